#include "keystore/guard.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "base/assert.h"

#define MS_PER_S  1000u
#define NS_PER_MS 1000000L

struct ks_guard {
    ks_guard_cfg cfg;
    pthread_mutex_t mu; /* all below */
    pthread_cond_t ended;
    ks_guard_job job;
    bool busy;     /* a call is out */
    bool done;     /* it has ended, and its caller waits */
    bool given_up; /* nobody waits for it */
    tdsa_status st;
    tdsa_err err;
    uint64_t began_ms;
    uint64_t slowest_ms; /* of those that succeeded; 0: none has */

    bool orphan; /* nobody has this any more but the thread */
    void (*last)(void *ctx);
    void *last_ctx;
};

static uint64_t now_ms(void)
{
    struct timespec t = {0, 0};

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * MS_PER_S + (uint64_t)(t.tv_nsec / NS_PER_MS);
}

tdsa_status ks_guard_new(ks_guard **out, const ks_guard_cfg *cfg, tdsa_err *err)
{
    ks_guard *g = calloc(1, sizeof *g);
    pthread_condattr_t attr;

    *out = NULL;
    if (g == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for an encryptor");
    }
    g->cfg = *cfg;
    TDSA_ASSERT(pthread_mutex_init(&g->mu, NULL) == 0);
    TDSA_ASSERT(pthread_condattr_init(&attr) == 0);
    TDSA_ASSERT(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    TDSA_ASSERT(pthread_cond_init(&g->ended, &attr) == 0);
    (void)pthread_condattr_destroy(&attr);
    *out = g;
    return TDSA_OK;
}

static void destroy(ks_guard *g)
{
    void (*last)(void *ctx) = g->last;
    void *ctx = g->last_ctx;

    (void)pthread_cond_destroy(&g->ended);
    (void)pthread_mutex_destroy(&g->mu);
    free(g);
    last(ctx);
}

static void *work(void *ctx)
{
    ks_guard *g = ctx;
    tdsa_err err = {0};
    bool orphan = false;
    const tdsa_status st = g->job.run(g->job.ctx, &err);

    TDSA_ASSERT(pthread_mutex_lock(&g->mu) == 0);
    g->done = true;
    g->st = st;
    g->err = err;
    if (g->given_up) {
        g->job.drop(g->job.ctx);
        g->busy = false;
        orphan = g->orphan;
    }
    TDSA_ASSERT(pthread_cond_signal(&g->ended) == 0);
    TDSA_ASSERT(pthread_mutex_unlock(&g->mu) == 0);
    if (orphan) {
        destroy(g);
    }
    return NULL;
}

/* Signals are for the threads of the process, not for this one. */
static int start(ks_guard *g, pthread_t *thread)
{
    sigset_t all;
    sigset_t before;
    int rc;

    (void)sigfillset(&all);
    TDSA_ASSERT(pthread_sigmask(SIG_BLOCK, &all, &before) == 0);
    rc = pthread_create(thread, NULL, work, g);
    TDSA_ASSERT(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    return rc;
}

static uint64_t limit_ms(const ks_guard *g)
{
    const uint64_t by_use = KS_GUARD_TIMES * g->slowest_ms;

    if (g->slowest_ms == 0) {
        return g->cfg.first_ms;
    }
    return by_use > g->cfg.least_ms ? by_use : g->cfg.least_ms;
}

/* Inside; false when the limit passed first. */
static bool wait_for(ks_guard *g, uint64_t limit)
{
    const uint64_t until = g->began_ms + limit;
    const struct timespec at = {(time_t)(until / MS_PER_S), (long)(until % MS_PER_S) * NS_PER_MS};

    while (!g->done) {
        if (pthread_cond_timedwait(&g->ended, &g->mu, &at) != 0) {
            return g->done;
        }
    }
    return true;
}

/* What the call gave back; inside. */
static tdsa_status take(ks_guard *g, tdsa_err *err)
{
    const uint64_t took = now_ms() - g->began_ms + 1;

    g->busy = false;
    if (g->st != TDSA_OK) {
        *err = g->err;
    } else if (took > g->slowest_ms) {
        g->slowest_ms = took;
    }
    return g->st;
}

static tdsa_status give_up(ks_guard *g, uint64_t limit, tdsa_err *err)
{
    g->given_up = true;
    return TDSA_FAIL(err, TDSA_E_WRAPPING,
                     "%s has not answered for %llu ms and is not waited for any longer",
                     g->cfg.what, (unsigned long long)limit);
}

tdsa_status ks_guard_call(ks_guard *g, const ks_guard_job *job, bool *given_up, tdsa_err *err)
{
    pthread_t thread;
    uint64_t limit = 0;
    tdsa_status st;

    *given_up = false;
    TDSA_ASSERT(pthread_mutex_lock(&g->mu) == 0);
    if (g->busy) {
        const uint64_t since = now_ms() - g->began_ms;

        TDSA_ASSERT(pthread_mutex_unlock(&g->mu) == 0);
        return TDSA_FAIL(err, TDSA_E_WRAPPING, "%s still hangs in a call of %llu ms ago",
                         g->cfg.what, (unsigned long long)since);
    }
    g->busy = true;
    g->done = false;
    g->given_up = false;
    g->job = *job;
    g->began_ms = now_ms();
    limit = limit_ms(g);
    if (start(g, &thread) != 0) {
        g->busy = false;
        TDSA_ASSERT(pthread_mutex_unlock(&g->mu) == 0);
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no thread to call %s", g->cfg.what);
    }
    if (wait_for(g, limit)) {
        st = take(g, err);
    } else {
        st = give_up(g, limit, err);
        *given_up = true;
        TDSA_ASSERT(pthread_detach(thread) == 0);
    }
    TDSA_ASSERT(pthread_mutex_unlock(&g->mu) == 0);
    if (!*given_up) {
        TDSA_ASSERT(pthread_join(thread, NULL) == 0);
    }
    return st;
}

void ks_guard_free(ks_guard *g, void (*last)(void *ctx), void *ctx)
{
    if (g == NULL) {
        last(ctx);
        return;
    }
    if (pthread_mutex_trylock(&g->mu) != 0) {
        /* the thread is just ending, or this is a child where it does not exist */
        const struct timespec pause = {0, NS_PER_MS};

        (void)nanosleep(&pause, NULL);
        if (pthread_mutex_trylock(&g->mu) != 0) {
            return;
        }
    }
    g->last = last;
    g->last_ctx = ctx;
    g->orphan = g->busy;
    if (g->busy) { /* its thread goes on with it */
        TDSA_ASSERT(pthread_mutex_unlock(&g->mu) == 0);
        return;
    }
    TDSA_ASSERT(pthread_mutex_unlock(&g->mu) == 0);
    destroy(g);
}
