#include "peer/exchange.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "peer/client.h"

/* Clients that exist at the same time, so threads inside peer_http_run. */
#define CLIENTS_MAX 256u

struct peer_http {
    peer_http_cfg cfg;
    pthread_mutex_t lock;
    pthread_cond_t freed;
    peer_client *idle[CLIENTS_MAX]; /* the most recently used last */
    size_t idle_count;
    peer_client *all[CLIENTS_MAX]; /* every client, for peer_http_abandon; holes are NULL */
    size_t all_count;
};

static tdsa_status check_file(const char *what, const char *path, tdsa_err *err)
{
    if (path[0] != '\0' && access(path, R_OK) != 0) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "cannot read the %s %.150s", what, path);
    }
    return TDSA_OK;
}

static bool init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attr;
    bool ok = false;

    if (pthread_condattr_init(&attr) != 0) {
        return false;
    }
    ok = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 &&
         pthread_cond_init(condition, &attr) == 0;
    (void)pthread_condattr_destroy(&attr);
    return ok;
}

tdsa_status peer_http_new(peer_http **out, const peer_http_cfg *cfg, tdsa_err *err)
{
    peer_http *h = NULL;

    *out = NULL;
    if (check_file("CA file", cfg->ca_file, err) != TDSA_OK ||
        check_file("client certificate", cfg->cert_file, err) != TDSA_OK ||
        check_file("client key", cfg->key_file, err) != TDSA_OK ||
        peer_client_global(err) != TDSA_OK) {
        return err->status;
    }
    h = calloc(1, sizeof *h);
    if (h == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for HTTP clients");
    }
    h->cfg = *cfg;
    if (pthread_mutex_init(&h->lock, NULL) != 0) {
        free(h);
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no lock for HTTP clients");
    }
    if (!init_condition(&h->freed)) {
        (void)pthread_mutex_destroy(&h->lock);
        free(h);
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no condition for HTTP clients");
    }
    *out = h;
    return TDSA_OK;
}

void peer_http_free(peer_http *h)
{
    if (h == NULL) {
        return;
    }
    TDSA_ASSERT(h->idle_count == h->all_count); /* no run is under way */
    for (size_t i = 0; i < h->idle_count; i++) {
        peer_client_free(h->idle[i]);
    }
    (void)pthread_cond_destroy(&h->freed);
    (void)pthread_mutex_destroy(&h->lock);
    free(h);
}

void peer_http_abandon(peer_http *h)
{
    if (h == NULL) {
        return;
    }
    /* Only the forking thread lives on; another may have held the lock, so it is left alone, and
     * with it the memory. */
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        if (h->all[i] != NULL) {
            peer_client_abandon(h->all[i]);
        }
    }
}

/* Puts a new client into the list of all; the lock is held. */
static peer_client *add_client(peer_http *h)
{
    peer_client *c = peer_client_new(&h->cfg);

    for (size_t i = 0; c != NULL && i < CLIENTS_MAX; i++) {
        if (h->all[i] == NULL) {
            h->all[i] = c;
            h->all_count++;
            break;
        }
    }
    return c;
}

/* The moment `ms` from now on the clock of h->freed. */
static struct timespec after_ms(uint32_t ms)
{
    struct timespec t = {0, 0};

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += (time_t)(ms / 1000u);
    t.tv_nsec += (long)(ms % 1000u) * 1000000L;
    if (t.tv_nsec >= 1000000000L) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000L;
    }
    return t;
}

/* A free client, a new one, or one that another thread gives back in time. On NULL `status` says
 * why. */
static peer_client *take_client(peer_http *h, uint32_t timeout_ms, tdsa_status *status)
{
    const struct timespec until = after_ms(timeout_ms);
    peer_client *c = NULL;
    int rc = 0;

    (void)pthread_mutex_lock(&h->lock);
    while (h->idle_count == 0 && h->all_count == CLIENTS_MAX && rc == 0) {
        rc = pthread_cond_timedwait(&h->freed, &h->lock, &until);
    }
    *status = TDSA_E_NO_MEMORY;
    if (h->idle_count > 0) {
        h->idle_count--;
        c = h->idle[h->idle_count];
    } else if (h->all_count < CLIENTS_MAX) {
        c = add_client(h);
    } else {
        *status = TDSA_E_TIMEOUT;
    }
    (void)pthread_mutex_unlock(&h->lock);
    return c;
}

/* Keeps at most connections_max clients idle, as each holds one connection per peer. */
static void give_client(peer_http *h, peer_client *c)
{
    const size_t idle_max = h->cfg.connections_max == 0 ? 1 : h->cfg.connections_max;
    bool keep = false;

    (void)pthread_mutex_lock(&h->lock);
    keep = h->idle_count < idle_max;
    if (keep) {
        h->idle[h->idle_count] = c;
        h->idle_count++;
    }
    for (size_t i = 0; !keep && i < CLIENTS_MAX; i++) {
        if (h->all[i] == c) {
            h->all[i] = NULL;
            h->all_count--;
        }
    }
    (void)pthread_cond_signal(&h->freed);
    (void)pthread_mutex_unlock(&h->lock);
    if (!keep) {
        peer_client_free(c);
    }
}

void peer_http_run(peer_http *h, peer_request **requests, size_t count, uint32_t timeout_ms,
                   const volatile bool *cancel, peer_done_fn done, void *ctx)
{
    const peer_source nothing = {NULL, NULL};

    peer_http_serve(h, requests, count, timeout_ms, cancel, done, &nothing, ctx);
}

void peer_http_serve(peer_http *h, peer_request **requests, size_t count, uint32_t timeout_ms,
                     const volatile bool *cancel, peer_done_fn done, const peer_source *source,
                     void *ctx)
{
    const peer_run run = {requests, count, timeout_ms, cancel, done, ctx, source};
    tdsa_status status = TDSA_E_LIMIT;
    peer_client *c = NULL;

    if (count == 0) {
        return;
    }
    if (count <= PEER_REQUESTS_MAX) {
        c = take_client(h, timeout_ms, &status);
    }
    if (c == NULL) {
        for (size_t i = 0; i < count; i++) {
            peer_request_end(requests[i], &run, status, "no HTTP client for this request");
        }
        return;
    }
    peer_client_run(c, &run);
    give_client(h, c);
}
