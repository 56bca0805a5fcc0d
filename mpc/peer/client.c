#include "peer/client.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>

#include "base/assert.h"
#include "peer/channel.h"
#include "peer/resolve.h"
#include "peer/url.h"
#include "peer/wakeup.h"

#define SOCKETS_MAX    (2u * PEER_REQUESTS_MAX)
#define RESOLVED_MS    60000u /* how long an address is used before it is looked up again */
#define CANCEL_POLL_MS 50u
#define SOURCE_POLL_MS 20u
#define WAIT_MAX_MS    1000u

/* An easy handle that stays with one URL, so that a request sets next to nothing. */
typedef struct {
    CURL *easy;
    struct curl_slist *headers, *resolve;
    peer_request *request; /* the one under way, or NULL */
    uint64_t used_ms, resolved_ms;
    bool ever_used, resent, too_long, no_memory;
    peer_url parts;
    char url[PEER_URL_MAX + 1];
    char session[PEER_SESSION_ID_MAX + 1];
    char error[CURL_ERROR_SIZE];
} slot;

struct peer_client {
    const peer_http_cfg *cfg;
    CURLM *multi;
    slot *slots[PEER_REQUESTS_MAX];
    size_t slot_count;
    size_t active;
    int sockets[SOCKETS_MAX]; /* open ones, for peer_client_abandon; -1: free */
    int wakeup[2];            /* the multi handle's own */
};

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static CURLcode global_result = CURLE_FAILED_INIT;

static void global_init(void)
{
    global_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

tdsa_status peer_client_global(tdsa_err *err)
{
    (void)pthread_once(&global_once, global_init);
    if (global_result != CURLE_OK) {
        return TDSA_FAIL(err, TDSA_E_INTERNAL, "libcurl does not start: %s",
                         curl_easy_strerror(global_result));
    }
    return TDSA_OK;
}

static uint64_t now_ms(void)
{
    struct timespec t = {0, 0};

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

static curl_socket_t on_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    peer_client *c = ctx;
    const int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

    (void)purpose;
    for (size_t i = 0; fd >= 0 && i < SOCKETS_MAX; i++) {
        if (c->sockets[i] < 0) {
            c->sockets[i] = fd;
            return fd;
        }
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return CURL_SOCKET_BAD;
}

static int on_close(void *ctx, curl_socket_t fd)
{
    peer_client *c = ctx;

    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        if (c->sockets[i] == fd) {
            c->sockets[i] = -1;
            break;
        }
    }
    return close(fd);
}

/* The signature is libcurl's; `size` is always 1. */
static size_t on_body(char *bytes, size_t size, size_t count, void *ctx)
{
    slot *s = ctx;
    tdsa_buf *reply = &s->request->reply;
    const size_t len = size * count;

    if (len > TDSA_BUF_LEN_MAX - reply->len) {
        s->too_long = true;
        return 0;
    }
    tdsa_buf_append(reply, bytes, len);
    s->no_memory = reply->failed;
    return reply->failed ? 0 : len;
}

peer_client *peer_client_new(const peer_http_cfg *cfg)
{
    peer_client *c = calloc(1, sizeof *c);

    if (c == NULL) {
        return NULL;
    }
    c->cfg = cfg;
    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        c->sockets[i] = -1;
    }
    c->multi = peer_multi_init(c->wakeup);
    if (c->multi == NULL) {
        free(c);
        return NULL;
    }
    (void)curl_multi_setopt(c->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    (void)curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)PEER_REQUESTS_MAX);
    return c;
}

static void slot_free(slot *s)
{
    if (s != NULL) {
        curl_easy_cleanup(s->easy);
        curl_slist_free_all(s->headers);
        curl_slist_free_all(s->resolve);
        free(s);
    }
}

void peer_client_free(peer_client *c)
{
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; i < c->slot_count; i++) {
        slot_free(c->slots[i]);
    }
    (void)curl_multi_cleanup(c->multi); /* closes the connections through on_close */
    free(c);
}

void peer_client_abandon(peer_client *c)
{
    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        if (c->sockets[i] >= 0) {
            (void)close(c->sockets[i]);
            c->sockets[i] = -1;
        }
    }
    for (size_t i = 0; i < 2; i++) {
        if (c->wakeup[i] >= 0) {
            (void)close(c->wakeup[i]);
            c->wakeup[i] = -1;
        }
    }
}

/* Nothing of the host application's surroundings may reach us: no proxy, no netrc, no redirects, no
 * signals, no threads. */
static CURLcode set_behaviour(CURL *e, peer_client *c)
{
    CURLcode rc = curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);

    rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_PROXY, "");
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_NOPROXY, "*");
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    rc = rc != CURLE_OK ? rc
                        : curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_TCP_NODELAY, 1L);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_DNS_CACHE_TIMEOUT, -1L);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_open);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, c);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_CLOSESOCKETFUNCTION, on_close);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_CLOSESOCKETDATA, c);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    rc = rc != CURLE_OK
             ? rc
             : curl_easy_setopt(e, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)TDSA_BUF_LEN_MAX);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_POST, 1L);
    return rc;
}

static CURLcode set_tls(CURL *e, const peer_http_cfg *cfg)
{
    CURLcode rc = curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);

    rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
    rc = rc != CURLE_OK
             ? rc
             : curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, cfg->verify_hostname ? 2L : 0L);
    if (rc == CURLE_OK && cfg->ca_file[0] != '\0') {
        rc = curl_easy_setopt(e, CURLOPT_CAINFO, cfg->ca_file);
    }
    if (rc == CURLE_OK && cfg->cert_file[0] != '\0') {
        rc = curl_easy_setopt(e, CURLOPT_SSLCERT, cfg->cert_file);
    }
    if (rc == CURLE_OK && cfg->key_file[0] != '\0') {
        rc = curl_easy_setopt(e, CURLOPT_SSLKEY, cfg->key_file);
    }
    return rc;
}

static CURLcode set_slot(slot *s, peer_client *c)
{
    const peer_http_cfg *cfg = c->cfg;
    CURLcode rc = set_behaviour(s->easy, c);

    rc = rc != CURLE_OK || !s->parts.https ? rc : set_tls(s->easy, cfg);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(s->easy, CURLOPT_URL, s->url);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(s->easy, CURLOPT_PRIVATE, s);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(s->easy, CURLOPT_WRITEDATA, s);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(s->easy, CURLOPT_ERRORBUFFER, s->error);
    rc = rc != CURLE_OK
             ? rc
             : curl_easy_setopt(s->easy, CURLOPT_FORBID_REUSE, cfg->keep_alive_ms == 0 ? 1L : 0L);
    rc = rc != CURLE_OK ? rc
                        : curl_easy_setopt(s->easy, CURLOPT_MAXAGE_CONN,
                                           (long)(cfg->keep_alive_ms / 1000u + 1u));
    if (rc == CURLE_OK && cfg->user_agent[0] != '\0') {
        rc = curl_easy_setopt(s->easy, CURLOPT_USERAGENT, cfg->user_agent);
    }
    return rc;
}

/* A slot for the URL: an idle one that has it, a new one, or an idle one of another URL replaced.
 * NULL: no memory. */
static slot *slot_for(peer_client *c, const char *url, const peer_url *parts)
{
    size_t at = c->slot_count;
    slot *s = NULL;

    for (size_t i = 0; i < c->slot_count; i++) {
        if (c->slots[i]->request == NULL && strcmp(c->slots[i]->url, url) == 0) {
            return c->slots[i];
        }
    }
    for (size_t i = 0; at == PEER_REQUESTS_MAX && i < c->slot_count; i++) {
        at = c->slots[i]->request == NULL ? i : at;
    }
    TDSA_ASSERT(at < PEER_REQUESTS_MAX); /* a run has at most that many requests */
    s = calloc(1, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    s->easy = curl_easy_init();
    s->parts = *parts;
    (void)snprintf(s->url, sizeof s->url, "%s", url);
    if (s->easy == NULL || set_slot(s, c) != CURLE_OK) {
        slot_free(s);
        return NULL;
    }
    if (at < c->slot_count) {
        slot_free(c->slots[at]);
    } else {
        c->slot_count++;
    }
    c->slots[at] = s;
    return s;
}

/* The header list, made again only when the session changes. */
static bool set_headers(slot *s, const char *session_id)
{
    struct curl_slist *list = NULL;
    char line[sizeof "Session-Id: " + PEER_SESSION_ID_MAX];
    const char *const lines[] = {"Content-Type: application/octet-stream",
                                 "Accept:", "Expect:", line};

    if (s->headers != NULL && strcmp(s->session, session_id) == 0) {
        return true;
    }
    (void)snprintf(line, sizeof line, "Session-Id: %s", session_id);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct curl_slist *longer = curl_slist_append(list, lines[i]);

        if (longer == NULL) {
            curl_slist_free_all(list);
            return false;
        }
        list = longer;
    }
    if (curl_easy_setopt(s->easy, CURLOPT_HTTPHEADER, list) != CURLE_OK) {
        curl_slist_free_all(list);
        return false;
    }
    curl_slist_free_all(s->headers);
    s->headers = list;
    (void)snprintf(s->session, sizeof s->session, "%s", session_id);
    return true;
}

/* Looks the host up when that is due; a failed look-up keeps the address known before. */
static tdsa_status set_address(slot *s, uint64_t now, tdsa_err *err)
{
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    struct curl_slist *list = NULL;

    if (s->parts.literal || (s->resolve != NULL && now - s->resolved_ms < RESOLVED_MS)) {
        return TDSA_OK;
    }
    if (peer_resolve(&text, &s->parts, err) != TDSA_OK) {
        return s->resolve != NULL ? TDSA_OK : err->status;
    }
    list = curl_slist_append(NULL, (const char *)text.data);
    if (list == NULL || curl_easy_setopt(s->easy, CURLOPT_RESOLVE, list) != CURLE_OK) {
        curl_slist_free_all(list);
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for an address");
    }
    curl_slist_free_all(s->resolve);
    s->resolve = list;
    s->resolved_ms = now;
    return TDSA_OK;
}

static long capped(uint32_t limit_ms, uint32_t left_ms)
{
    return limit_ms == 0 || limit_ms > left_ms ? (long)left_ms : (long)limit_ms;
}

/* What differs from request to request. */
static bool set_request(slot *s, peer_client *c, const peer_request *r, uint32_t left_ms,
                        bool fresh)
{
    return curl_easy_setopt(s->easy, CURLOPT_POSTFIELDS,
                            r->body_len == 0 ? "" : (const char *)r->body) == CURLE_OK &&
           curl_easy_setopt(s->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_len) ==
               CURLE_OK &&
           curl_easy_setopt(s->easy, CURLOPT_TIMEOUT_MS,
                            capped(c->cfg->request_timeout_ms, left_ms)) == CURLE_OK &&
           curl_easy_setopt(s->easy, CURLOPT_CONNECTTIMEOUT_MS,
                            capped(c->cfg->connect_timeout_ms, left_ms)) == CURLE_OK &&
           curl_easy_setopt(s->easy, CURLOPT_FRESH_CONNECT, fresh ? 1L : 0L) == CURLE_OK;
}

void peer_request_end(peer_request *r, const peer_run *run, tdsa_status status, const char *detail)
{
    r->status = status;
    (void)snprintf(r->detail, sizeof r->detail, "%s", detail);
    if (status != TDSA_OK) {
        r->http_code = 0;
        tdsa_buf_reset(&r->reply);
    }
    r->done = true;
    if (run->done != NULL) {
        run->done(run->ctx, r);
    }
}
/* True when curl failed on a kept-alive connection before any byte of the answer: once more, on a
 * new connection. libcurl does so itself unless several kept connections are dead. */
static bool wants_resend(slot *s, CURLcode rc)
{
    long connects = 1;
    long header_len = 1;

    if (s->resent ||
        (rc != CURLE_GOT_NOTHING && rc != CURLE_SEND_ERROR && rc != CURLE_RECV_ERROR)) {
        return false;
    }
    (void)curl_easy_getinfo(s->easy, CURLINFO_NUM_CONNECTS, &connects);
    (void)curl_easy_getinfo(s->easy, CURLINFO_HEADER_SIZE, &header_len);
    return connects == 0 && header_len == 0 && s->request->reply.len == 0;
}

static tdsa_status status_of(const slot *s, CURLcode rc)
{
    long asked_len = 0;

    if (rc == CURLE_OK) {
        return TDSA_OK;
    }
    if (s->no_memory || rc == CURLE_OUT_OF_MEMORY) {
        return TDSA_E_NO_MEMORY;
    }
    if (s->too_long || rc == CURLE_FILESIZE_EXCEEDED || rc == CURLE_WEIRD_SERVER_REPLY ||
        rc == CURLE_UNSUPPORTED_PROTOCOL) {
        return TDSA_E_BAD_INPUT;
    }
    if (rc == CURLE_OPERATION_TIMEDOUT) {
        /* the time of connecting is 0 on a connection that was kept */
        (void)curl_easy_getinfo(s->easy, CURLINFO_REQUEST_SIZE, &asked_len);
        return asked_len > 0 ? TDSA_E_TIMEOUT : TDSA_E_UNAVAILABLE;
    }
    return TDSA_E_UNAVAILABLE;
}

/* Takes the request back from libcurl and ends it; `why` is NULL when all is well. */
static void end_slot(peer_client *c, slot *s, const peer_run *run, tdsa_status status,
                     const char *why)
{
    peer_request *r = s->request;
    char detail[sizeof r->detail] = "";

    if (why != NULL) {
        (void)snprintf(detail, sizeof detail, "%.60s:%u: %.88s", s->parts.host, s->parts.port, why);
    }
    (void)curl_multi_remove_handle(c->multi, s->easy);
    s->request = NULL;
    c->active--;
    peer_request_end(r, run, status, detail);
}

static void finish(peer_client *c, slot *s, CURLcode rc, const peer_run *run)
{
    const tdsa_status status = status_of(s, rc);
    const char *why = NULL;

    if (status == TDSA_OK) {
        (void)curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &s->request->http_code);
        s->used_ms = now_ms();
        s->ever_used = true;
    } else if (s->too_long) {
        why = "the reply is too long";
    } else {
        why = s->error[0] != '\0' ? s->error : curl_easy_strerror(rc);
    }
    end_slot(c, s, run, status, why);
}

/* Hands a request to libcurl. TDSA_OK: it will end in harvest or give_up. */
static tdsa_status begin(peer_client *c, peer_request *r, uint32_t left_ms, tdsa_err *err)
{
    peer_url parts;
    slot *s = NULL;
    const uint64_t now = now_ms();
    bool fresh = false;

    if (r->session_id == NULL || !peer_session_id_ok(r->session_id)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "malformed Session-Id");
    }
    if (peer_url_parse(&parts, r->url, err) != TDSA_OK) {
        return err->status;
    }
    s = slot_for(c, r->url, &parts);
    if (s == NULL || !set_headers(s, r->session_id)) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for an HTTP request");
    }
    if (set_address(s, now, err) != TDSA_OK) {
        return err->status;
    }
    fresh = s->ever_used && now - s->used_ms >= c->cfg->keep_alive_ms;
    s->error[0] = '\0';
    s->resent = false;
    s->too_long = false;
    s->no_memory = false;
    if (!set_request(s, c, r, left_ms, fresh)) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for an HTTP request");
    }
    s->request = r;
    if (curl_multi_add_handle(c->multi, s->easy) != CURLM_OK) {
        s->request = NULL;
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "libcurl takes no request");
    }
    c->active++;
    return TDSA_OK;
}

static bool resend(peer_client *c, slot *s)
{
    s->resent = true;
    s->error[0] = '\0';
    (void)curl_multi_remove_handle(c->multi, s->easy);
    return curl_easy_setopt(s->easy, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK &&
           curl_multi_add_handle(c->multi, s->easy) == CURLM_OK;
}

static void harvest(peer_client *c, const peer_run *run)
{
    int left = 0;
    CURLMsg *m = curl_multi_info_read(c->multi, &left);

    for (; m != NULL; m = curl_multi_info_read(c->multi, &left)) {
        const CURLcode rc = m->data.result; /* the message dies with the next call */
        char *own = NULL;
        slot *s = NULL;

        if (m->msg != CURLMSG_DONE) {
            continue;
        }
        (void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &own);
        s = (void *)own;
        if (!wants_resend(s, rc) || !resend(c, s)) {
            finish(c, s, rc, run);
        }
    }
}

static bool cancelled(const peer_run *run)
{
    return run->cancel != NULL && __atomic_load_n(run->cancel, __ATOMIC_ACQUIRE);
}

/* Ends what is still under way; libcurl closes those connections. */
static void give_up(peer_client *c, const peer_run *run)
{
    const char *why = cancelled(run) ? "given up" : "no answer in time";

    for (size_t i = 0; i < c->slot_count; i++) {
        if (c->slots[i]->request != NULL) {
            end_slot(c, c->slots[i], run, TDSA_E_TIMEOUT, why);
        }
    }
}

/* Milliseconds until `deadline`, 0 when it has passed. */
static uint32_t left_until(uint64_t deadline_ms)
{
    const uint64_t now = now_ms();

    return now >= deadline_ms ? 0 : (uint32_t)(deadline_ms - now);
}

static void wait_for_sockets(peer_client *c, const peer_run *run, uint32_t left_ms)
{
    const uint32_t often = run->source->more != NULL ? SOURCE_POLL_MS : CANCEL_POLL_MS;
    const uint32_t most = run->cancel != NULL ? often : WAIT_MAX_MS;

    (void)curl_multi_poll(c->multi, NULL, 0, (int)(left_ms < most ? left_ms : most), NULL);
}

static void start(peer_client *c, const peer_run *run, peer_request *r, uint64_t deadline_ms)
{
    const uint32_t left_ms = left_until(deadline_ms);
    tdsa_err err;

    r->done = false;
    /* One ms more than we wait ourselves, so that the verdict is ours; 0 would mean "never". */
    if (begin(c, r, (uint32_t)capped(r->timeout_ms, left_ms) + 1u, &err) != TDSA_OK) {
        peer_request_end(r, run, err.status, err.text);
    }
}

/* What has come up meanwhile; a later deadline makes the run longer. */
static void take_more(peer_client *c, const peer_run *run, uint64_t *deadline_ms)
{
    while (run->source->more != NULL && c->active < (int)PEER_REQUESTS_MAX) {
        peer_request *r = run->source->more(run->ctx);
        const uint64_t until = r == NULL ? 0 : now_ms() + r->timeout_ms;

        if (r == NULL) {
            break;
        }
        *deadline_ms = until > *deadline_ms ? until : *deadline_ms;
        start(c, run, r, *deadline_ms);
    }
}

void peer_client_run(peer_client *c, const peer_run *run)
{
    uint64_t deadline_ms = now_ms() + run->timeout_ms;
    uint32_t left_ms = run->timeout_ms;
    int running = 0;

    TDSA_ASSERT(c->active == 0);
    for (size_t i = 0; i < run->count; i++) {
        start(c, run, run->requests[i], deadline_ms);
    }
    while (c->active > 0) {
        if (curl_multi_perform(c->multi, &running) != CURLM_OK) {
            break;
        }
        harvest(c, run);
        if (cancelled(run) || (run->source->enough != NULL && run->source->enough(run->ctx))) {
            break;
        }
        take_more(c, run, &deadline_ms);
        left_ms = left_until(deadline_ms);
        if (c->active == 0 || left_ms == 0) {
            break;
        }
        wait_for_sockets(c, run, left_ms);
    }
    give_up(c, run);
}
