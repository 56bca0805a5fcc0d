#include "http/http.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/rng.h"
#include "http/http_internal.h"
#include "http/http_listen.h"

#define THREADS_MAX         64u
#define CONNECTIONS_DEFAULT 1000u
#define CONNECTIONS_LIMIT   100000u
#define BACKLOG_DEFAULT     1024u
#define HEADER_DEFAULT      8192u
#define HEADER_LIMIT        (1u << 20)
#define TIMEOUT_DEFAULT_MS  30000u
#define TIMEOUT_LIMIT_MS    (24u * 3600u * 1000u)
#define ROUTES_MAX          256u
/* MHD keeps request and answer headers and its read buffer in one block per connection. */
#define MEMORY_BESIDE_HEADERS 16384u
/* How long the answers to given-up requests may take to leave. */
#define CUT_FLUSH_MS 500u
#define OPTIONS_MAX  16u

static http_connection *connection_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info == NULL ? NULL : info->socket_context;
}

/* A request line has come. What is returned comes back in on_access and on_completed. */
static void *on_uri(void *ctx, const char *uri, struct MHD_Connection *mhd)
{
    http_server *s = ctx;
    http_connection *c = connection_of(mhd);
    http_request *r = c == NULL ? NULL : http_request_new(s, c, uri);

    if (r != NULL) {
        r->mhd = mhd;
        (void)pthread_mutex_lock(&s->lock);
        s->requests++;
        c->request = r;
        http_phase_set(c, HTTP_READING);
        (void)pthread_mutex_unlock(&s->lock);
    }
    return r;
}

static size_t on_unescape(void *ctx, struct MHD_Connection *mhd, char *text)
{
    (void)ctx;
    (void)mhd;
    return strlen(text); /* http_decode does it, part by part */
}

/* Puts the answer on the wire; `response` is given up. */
static enum MHD_Result queue(http_request *r, unsigned status, struct MHD_Response *response)
{
    http_server *s = r->server;
    enum MHD_Result ok = MHD_NO;
    bool stopping = false;

    (void)pthread_mutex_lock(&s->lock);
    http_phase_set(r->connection, HTTP_SENDING);
    stopping = s->stopping;
    (void)pthread_mutex_unlock(&s->lock);
    if (response == NULL) {
        return MHD_NO; /* no memory: the connection is closed */
    }
    if (stopping || r->body_max == SIZE_MAX) { /* or it is not known where the next one begins */
        (void)MHD_add_response_header(response, "Connection", "close");
    }
    r->queued = true;
    r->status = status;
    ok = MHD_queue_response(r->mhd, status, response);
    MHD_destroy_response(response);
    return ok;
}

static enum MHD_Result queue_error(http_request *r, unsigned status, const char *details)
{
    struct MHD_Response *response = http_error_response(status, NULL, details);

    if (response != NULL && status == MHD_HTTP_METHOD_NOT_ALLOWED) {
        (void)MHD_add_response_header(response, "Allow", r->allow);
    }
    return queue(r, status, response);
}

/* The handler has answered, or was given up. */
static enum MHD_Result queue_answer(http_request *r)
{
    struct MHD_Response *response = NULL;
    bool given_up = false;

    (void)pthread_mutex_lock(&r->server->lock);
    response = r->response;
    r->response = NULL;
    given_up = r->stopping;
    (void)pthread_mutex_unlock(&r->server->lock);
    if (response == NULL && given_up) {
        return queue_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, "the service is stopping");
    }
    return queue(r, r->status, response);
}

static enum MHD_Result take_body(http_request *r, const char *bytes, size_t len)
{
    r->received += len;
    if (r->refused == 0 && r->received > r->body_max) {
        r->refused = MHD_HTTP_CONTENT_TOO_LARGE;
        r->refusal = "the body is longer than the limit";
        tdsa_buf_clear(&r->body);
        r->received = 0; /* counts what is thrown away from here on */
    }
    if (r->refused != 0) {
        return r->received > HTTP_DRAIN_MAX ? MHD_NO : MHD_YES;
    }
    tdsa_buf_append(&r->body, bytes, len);
    return r->body.failed ? MHD_NO : MHD_YES;
}

/* Gives the request up if the server is cutting; the lock is held. */
static void give_up(http_request *r)
{
    if (!r->stopping) {
        __atomic_store_n(&r->stopping, true, __ATOMIC_RELEASE);
        r->server->cut++;
    }
}

/* After the handler has returned: true when the answer, or the verdict to give up, is there. */
static bool answer_is_ready(http_request *r)
{
    http_server *s = r->server;
    bool ready = false;

    (void)pthread_mutex_lock(&s->lock);
    r->waiting = r->app_owns && s->cfg.model == HTTP_BLOCKING;
    while (r->waiting && r->app_owns && !s->cutting) {
        (void)pthread_cond_wait(&s->changed, &s->lock);
    }
    r->waiting = false;
    if (r->app_owns && s->cutting) {
        give_up(r);
    }
    ready = !r->app_owns || r->stopping;
    if (!ready) {
        r->suspended = true;
        MHD_suspend_connection(r->mhd);
    }
    (void)pthread_mutex_unlock(&s->lock);
    return ready;
}

static enum MHD_Result dispatch(http_request *r)
{
    http_server *s = r->server;
    bool stopping = false;

    (void)pthread_mutex_lock(&s->lock);
    stopping = s->stopping;
    if (!stopping) {
        r->dispatched = true;
        r->app_owns = true;
        (void)__atomic_add_fetch(&s->running, 1, __ATOMIC_RELAXED);
        http_phase_set(r->connection, HTTP_HANDLING);
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (stopping) {
        return queue_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, "the service is stopping");
    }
    r->route->handler(s->cfg.ctx, r);
    return answer_is_ready(r) ? queue_answer(r) : MHD_YES;
}

/* MHD calls this when the headers are there, for every part of the body, at the end of the request,
 * and after a suspended connection was resumed. */
static enum MHD_Result on_access(void *ctx, struct MHD_Connection *mhd, const char *url,
                                 const char *method, const char *version, const char *upload_data,
                                 size_t *upload_len, void **request_ctx)
{
    http_request *r = *request_ctx;
    enum MHD_Result ok = MHD_YES;

    (void)ctx;
    (void)mhd;
    (void)url;
    if (r == NULL) {
        return MHD_NO; /* no memory */
    }
    if (!r->seen) {
        http_request_admit(r, method, version);
        if (r->refused != 0 &&
            (r->body_max == SIZE_MAX || http_request_header(r, "Expect") != NULL)) {
            return queue_error(r, r->refused, r->refusal);
        }
        return MHD_YES;
    }
    if (*upload_len > 0) {
        ok = take_body(r, upload_data, *upload_len);
        *upload_len = 0;
        return ok;
    }
    if (r->dispatched) {
        return queue_answer(r);
    }
    return r->refused != 0 ? queue_error(r, r->refused, r->refusal) : dispatch(r);
}

static void tell_observer(const http_server *s, const http_request *r)
{
    const http_done done = {
        http_request_method(r),    http_request_path(r),        r->peer,     r->id,       r->route,
        r->queued ? r->status : 0, http_now_us() - r->start_us, r->body.len, r->reply_len};

    s->cfg.observer(s->cfg.ctx, &done);
}

static void on_completed(void *ctx, struct MHD_Connection *mhd, void **request_ctx,
                         enum MHD_RequestTerminationCode code)
{
    http_server *s = ctx;
    http_request *r = *request_ctx;

    (void)mhd;
    (void)code;
    *request_ctx = NULL;
    if (r == NULL) {
        return;
    }
    if (r->seen && !r->text.failed && s->cfg.observer != NULL) {
        tell_observer(s, r);
    }
    (void)pthread_mutex_lock(&s->lock);
    r->connection->request = NULL;
    http_phase_set(r->connection, HTTP_AT_REST);
    r->connection = NULL;
    if (r->dispatched) {
        (void)__atomic_sub_fetch(&s->running, 1, __ATOMIC_RELAXED);
    }
    if (s->stopping) {
        (void)pthread_cond_broadcast(&s->changed);
    }
    r->mhd_owns = false;
    http_request_unlock(r);
}

static tdsa_status check_cfg(http_cfg *cfg, tdsa_err *err)
{
    cfg->threads = cfg->threads == 0 ? 1 : cfg->threads;
    cfg->backlog = cfg->backlog == 0 ? BACKLOG_DEFAULT : cfg->backlog;
    cfg->connections_max = cfg->connections_max == 0 ? CONNECTIONS_DEFAULT : cfg->connections_max;
    cfg->header_max = cfg->header_max == 0 ? HEADER_DEFAULT : cfg->header_max;
    cfg->idle_timeout_ms = cfg->idle_timeout_ms == 0 ? TIMEOUT_DEFAULT_MS : cfg->idle_timeout_ms;
    cfg->io_timeout_ms = cfg->io_timeout_ms == 0 ? TIMEOUT_DEFAULT_MS : cfg->io_timeout_ms;
    if (cfg->name == NULL || (cfg->route_count > 0 && cfg->routes == NULL) ||
        cfg->route_count > ROUTES_MAX) {
        return TDSA_FAIL(err, TDSA_E_INTERNAL, "listener without name or routes");
    }
    if (cfg->threads > THREADS_MAX || cfg->connections_max > CONNECTIONS_LIMIT ||
        cfg->backlog > INT_MAX) {
        return TDSA_FAIL(
            err, TDSA_E_CONFIG, "%s listener: %u threads (at most %u), %u connections (at most %u)",
            cfg->name, cfg->threads, THREADS_MAX, cfg->connections_max, CONNECTIONS_LIMIT);
    }
    if (cfg->header_max > HEADER_LIMIT || cfg->body_max > TDSA_BUF_LEN_MAX) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "%s listener: headers of %zu bytes (at most %u), bodies of %zu (at most "
                         "%u)",
                         cfg->name, cfg->header_max, HEADER_LIMIT, cfg->body_max, TDSA_BUF_LEN_MAX);
    }
    for (size_t i = 0; i < cfg->route_count; i++) {
        if (cfg->routes[i].handler == NULL || cfg->routes[i].path[0] != '/' ||
            cfg->routes[i].body_max > TDSA_BUF_LEN_MAX) {
            return TDSA_FAIL(err, TDSA_E_INTERNAL, "%s listener: route %zu is malformed", cfg->name,
                             i);
        }
    }
    if (cfg->idle_timeout_ms > TIMEOUT_LIMIT_MS || cfg->io_timeout_ms > TIMEOUT_LIMIT_MS) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "%s listener: a timeout is longer than a day",
                         cfg->name);
    }
    return TDSA_OK;
}

static void add_option(struct MHD_OptionItem *items, size_t *count, enum MHD_OPTION option,
                       size_t value)
{
    items[*count] = (struct MHD_OptionItem){option, (intptr_t)value, NULL};
    (*count)++;
}

static struct MHD_Daemon *start_mhd(http_server *s, int fd)
{
    const http_cfg *cfg = &s->cfg;
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_ITC;
    struct MHD_OptionItem items[OPTIONS_MAX];
    size_t count = 0;

    flags |= cfg->model == HTTP_POOL ? MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME
                                     : MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL;
    add_option(items, &count, MHD_OPTION_LISTEN_SOCKET, (size_t)fd);
    add_option(items, &count, MHD_OPTION_CONNECTION_LIMIT, cfg->connections_max);
    add_option(items, &count, MHD_OPTION_PER_IP_CONNECTION_LIMIT, cfg->per_ip_max);
    add_option(items, &count, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
               2 * cfg->header_max + MEMORY_BESIDE_HEADERS);
    add_option(items, &count, MHD_OPTION_CONNECTION_TIMEOUT, 0); /* the watchdog's */
    add_option(items, &count, MHD_OPTION_STRICT_FOR_CLIENT, 1);
    if (cfg->model == HTTP_POOL && cfg->threads > 1) {
        add_option(items, &count, MHD_OPTION_THREAD_POOL_SIZE, cfg->threads);
    }
    add_option(items, &count, MHD_OPTION_END, 0);
    return MHD_start_daemon(flags, 0, NULL, NULL, on_access, s, MHD_OPTION_URI_LOG_CALLBACK, on_uri,
                            s, MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, s,
                            MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
                            MHD_OPTION_NOTIFY_CONNECTION, http_on_connection, s, MHD_OPTION_ARRAY,
                            items, MHD_OPTION_END);
}

static bool init_locks(http_server *s)
{
    pthread_condattr_t attr;
    bool ok = false;

    if (pthread_condattr_init(&attr) != 0) {
        return false;
    }
    ok = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 &&
         pthread_mutex_init(&s->lock, NULL) == 0 && pthread_cond_init(&s->changed, &attr) == 0 &&
         pthread_cond_init(&s->tick, &attr) == 0;
    (void)pthread_condattr_destroy(&attr);
    return ok;
}

/* Starts the watchdog and MHD on a bound socket, which is MHD's afterwards. */
static tdsa_status start_threads(http_server *s, int fd, tdsa_err *err)
{
    s->mhd = start_mhd(s, fd);
    if (s->mhd == NULL) {
        (void)close(fd);
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "%s listener: cannot start its threads",
                         s->cfg.name);
    }
    s->watchdog_runs = pthread_create(&s->watchdog, NULL, http_watchdog, s) == 0;
    if (!s->watchdog_runs) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "%s listener: no thread for its timeouts",
                         s->cfg.name);
    }
    return TDSA_OK;
}

tdsa_status http_server_start(http_server **out, const http_cfg *cfg, tdsa_err *err)
{
    const tdsa_rng rng = tdsa_os_rng();
    http_server *s = calloc(1, sizeof *s);
    int fd = -1;
    tdsa_status st;

    *out = NULL;
    if (s == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for a listener");
    }
    s->cfg = *cfg;
    if (!init_locks(s)) {
        free(s);
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no locks for a listener");
    }
    st = check_cfg(&s->cfg, err);
    if (st == TDSA_OK) {
        st = tdsa_rng_fill(&rng, (uint8_t *)&s->id_prefix, sizeof s->id_prefix, err);
    }
    if (st == TDSA_OK) {
        st = http_listen(&fd, &s->port, &s->cfg, err);
    }
    if (st == TDSA_OK) {
        st = start_threads(s, fd, err);
    }
    if (st != TDSA_OK) {
        http_server_free(s);
        return st;
    }
    *out = s;
    return TDSA_OK;
}

uint16_t http_server_port(const http_server *s)
{
    return s->port;
}

size_t http_server_running(const http_server *s)
{
    return __atomic_load_n(&s->running, __ATOMIC_RELAXED);
}

/* Waits until no request runs; the lock is held. */
static void wait_for_quiet(http_server *s, uint32_t timeout_ms)
{
    const uint64_t until_us = http_now_us() + (uint64_t)timeout_ms * 1000u;
    const struct timespec until = {(time_t)(until_us / 1000000u),
                                   (long)(until_us % 1000000u) * 1000};

    while (s->running > 0 && pthread_cond_timedwait(&s->changed, &s->lock, &until) != ETIMEDOUT) {
    }
}

/* Gives up every request that has no answer yet; the lock is held. */
static void cut_all(http_server *s)
{
    s->cutting = true;
    for (http_connection *c = s->connections; c != NULL; c = c->next) {
        http_request *r = c->request;

        if (r != NULL && r->app_owns) {
            give_up(r);
        }
        if (r != NULL && r->suspended) {
            r->suspended = false;
            MHD_resume_connection(r->mhd);
        }
    }
    (void)pthread_cond_broadcast(&s->changed);
}

size_t http_server_stop(http_server *s, uint32_t grace_ms)
{
    int fd = -1;
    size_t cut = 0;

    if (s->mhd == NULL) {
        return 0;
    }
    (void)pthread_mutex_lock(&s->lock);
    s->stopping = true;
    (void)pthread_mutex_unlock(&s->lock);
    fd = MHD_quiesce_daemon(s->mhd);
    if (fd >= 0) {
        /* Refuses new clients at once. Closed only when MHD's threads have ended: one of them may
         * still be about to take it out of its epoll set, and aborts when that fails. */
        (void)shutdown(fd, SHUT_RDWR);
    }
    (void)pthread_mutex_lock(&s->lock);
    wait_for_quiet(s, grace_ms);
    cut_all(s);
    if (s->cut > 0) {
        wait_for_quiet(s, CUT_FLUSH_MS);
    }
    cut = s->cut;
    s->ended = true;
    (void)pthread_cond_broadcast(&s->tick);
    (void)pthread_mutex_unlock(&s->lock);
    MHD_stop_daemon(s->mhd);
    s->mhd = NULL;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (s->watchdog_runs) {
        (void)pthread_join(s->watchdog, NULL);
        s->watchdog_runs = false;
    }
    return cut;
}

void http_server_free(http_server *s)
{
    bool last = false;

    if (s == NULL) {
        return;
    }
    (void)http_server_stop(s, 0);
    (void)pthread_mutex_lock(&s->lock);
    s->freed = true;
    last = s->requests == 0;
    (void)pthread_mutex_unlock(&s->lock);
    if (last) {
        (void)pthread_cond_destroy(&s->changed);
        (void)pthread_cond_destroy(&s->tick);
        (void)pthread_mutex_destroy(&s->lock);
        free(s);
    }
}
