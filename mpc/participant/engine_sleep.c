#define _GNU_SOURCE 1 /* sem_clockwait */
#include <errno.h>
#include <time.h>

#include "base/assert.h"
#include "participant/engine_internal.h"

/*
 * Who sleeps, and who wakes whom. A sleeper is woken after the lock was left, not under it: it would
 * only wait for the lock, at the price of two more switches of threads.
 */

#define WAIT_MIN_MS 2u
#define WAIT_MAX_MS 1000u

bool part_engine_lock_init(part_engine *e)
{
    pthread_condattr_t attr;
    bool ok = false;

    if (pthread_mutex_init(&e->lock, NULL) != 0) {
        return false;
    }
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    ok = pthread_cond_init(&e->left, &attr) == 0;
    (void)pthread_condattr_destroy(&attr);
    if (!ok) {
        (void)pthread_mutex_destroy(&e->lock);
    }
    return ok;
}

void part_engine_lock_free(part_engine *e)
{
    (void)pthread_cond_destroy(&e->left);
    (void)pthread_mutex_destroy(&e->lock);
}

void part_engine_enter(part_engine *e)
{
    TDSA_ASSERT(pthread_mutex_lock(&e->lock) == 0);
}

/* A bell lives until it has rung: its sleeper waits for that even when its time is over. */
static void ring(sem_t *const bells[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        TDSA_ASSERT(sem_post(bells[i]) == 0);
    }
}

void part_engine_leave(part_engine *e)
{
    const size_t count = e->bell_count;
    sem_t *bells[PART_POSTS_MAX];

    for (size_t i = 0; i < count; i++) {
        bells[i] = e->bells[i];
    }
    e->bell_count = 0;
    TDSA_ASSERT(pthread_mutex_unlock(&e->lock) == 0);
    ring(bells, count);
}

static void forget_sleeper(part_engine *e, const part_sleeper *s)
{
    part_sleeper **at = &e->sleepers;

    while (*at != s) {
        TDSA_ASSERT(*at != NULL);
        at = &(*at)->next;
    }
    *at = s->next;
}

/* It takes the replies of its signature along, and has no need of the lock before they are proved. */
static void rouse(part_engine *e, part_sleeper *s)
{
    s->woken = true;
    if (s->sign != NULL && part_hand_replies(e->part, s->sign)) {
        forget_sleeper(e, s);
        __atomic_store_n(&s->busy, true, __ATOMIC_RELEASE);
    }
    if (e->bell_count == PART_POSTS_MAX) {
        ring(e->bells, e->bell_count);
        e->bell_count = 0;
    }
    e->bells[e->bell_count++] = &s->bell;
}

/* A sleeper whose operation goes on by itself; a communication thread before all others. */
static part_sleeper *spare_sleeper(part_engine *e)
{
    part_sleeper *found = NULL;

    for (part_sleeper *s = e->sleepers; s != NULL; s = s->next) {
        if (!s->woken && (found == NULL || s->op == PART_OP_NONE)) {
            found = s;
        }
    }
    return found;
}

/* Waking a thread for nothing costs more than answering a request: woken is whoever has something to
 * do for its own operation, and one for what is everybody's. */
void part_engine_wake(part_engine *e)
{
    uint64_t soonest = UINT64_MAX;
    part_sleeper *spare = NULL;

    if (e->stopping && e->inside == 0) {
        TDSA_ASSERT(pthread_cond_broadcast(&e->left) == 0);
    }
    for (part_sleeper *s = e->sleepers, *next = NULL; s != NULL; s = next) {
        next = s->next;
        soonest = s->wake_ms < soonest ? s->wake_ms : soonest;
        if (!s->woken && (e->stopping || part_op_stirs(e->part, s->op))) {
            rouse(e, s);
        }
    }
    spare = spare_sleeper(e);
    if (spare != NULL && (part_wants_thread(e->part) || part_next_due(e->part) < soonest)) {
        rouse(e, spare);
    }
}

void part_engine_await_callers(part_engine *e)
{
    struct timespec until;

    ring(e->bells, e->bell_count);
    e->bell_count = 0;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 1;
    while (e->inside > 0 && pthread_cond_timedwait(&e->left, &e->lock, &until) != ETIMEDOUT) {
    }
}

static struct timespec in_ms(uint64_t ms)
{
    struct timespec at;

    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += (time_t)(ms / 1000);
    at.tv_nsec += (long)(ms % 1000) * 1000000L;
    if (at.tv_nsec >= 1000000000L) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000L;
    }
    return at;
}

/* True when it rang, false when the time is over. */
static bool wait_for_bell(sem_t *bell, const struct timespec *until)
{
    int rc = -1;

    do {
        rc = until == NULL ? sem_wait(bell) : sem_clockwait(bell, CLOCK_MONOTONIC, until);
    } while (rc != 0 && errno == EINTR);
    TDSA_ASSERT(rc == 0 || (until != NULL && errno == ETIMEDOUT));
    return rc == 0;
}

/* Before the bell is waited for: true when there is no use in waiting. */
static bool make(part_sign_work *sign)
{
    part_make_sign(sign);
    return sign->err.status != TDSA_OK;
}

void part_engine_sleep(part_engine *e, uint64_t op, part_sign_work *sign, uint64_t due)
{
    const uint64_t now = part_engine_now(e);
    const bool due_first = sign != NULL && part_take_sign(e->part, op, sign);
    part_sleeper self = {.next = e->sleepers, .op = op};
    struct timespec until;
    uint64_t ms = due > now ? due - now : 0;
    bool rang = false;

    ms = ms < WAIT_MIN_MS ? WAIT_MIN_MS : ms;
    ms = ms > WAIT_MAX_MS ? WAIT_MAX_MS : ms;
    until = in_ms(ms);
    self.wake_ms = now + ms;
    self.sign = sign != NULL && sign->key != NULL ? sign : NULL;
    TDSA_ASSERT(sem_init(&self.bell, 0, 0) == 0);
    e->sleepers = &self;
    part_engine_leave(e);
    rang = !(due_first && make(sign)) && wait_for_bell(&self.bell, &until);
    if (rang && __atomic_load_n(&self.busy, __ATOMIC_ACQUIRE) && part_can_prove(sign)) {
        part_prove(sign);
    }
    part_engine_enter(e);
    if (self.woken && !rang) { /* chosen when its time was over: the bell rings now */
        part_engine_leave(e);
        (void)wait_for_bell(&self.bell, NULL);
        part_engine_enter(e);
    }
    if (!self.busy) {
        forget_sleeper(e, &self);
    }
    (void)sem_destroy(&self.bell);
}
