#ifndef PART_ENGINE_INTERNAL_H
#define PART_ENGINE_INTERNAL_H

#include <pthread.h>
#include <semaphore.h>

#include "participant/participant.h"
#include "peer/exchange.h"

#define PART_POSTS_MAX 16u

/** A thread that has nothing to do for now; on its own stack. */
typedef struct part_sleeper {
    struct part_sleeper *next;
    sem_t bell;
    uint64_t op;      /* it waits for; PART_OP_NONE: a communication thread */
    uint64_t wake_ms; /* when it will look by itself */
    bool woken;       /* its bell rings once, when the lock is left */
    /* of its operation, lent; NULL: none. busy: it was woken to prove it, and is in the list no more; __atomic */
    part_sign_work *sign;
    bool busy;
} part_sleeper;

struct part_engine {
    pthread_mutex_t lock;
    pthread_cond_t left; /* the last caller, while stopping */
    part *part;
    peer_http *http;
    ks *store; /* lent */
    tdsa_clock clock;
    unsigned inside;              /* callers of an operation, and communication threads */
    part_sleeper *sleepers;       /* those that sleep */
    sem_t *bells[PART_POSTS_MAX]; /* of sleepers to be woken when the lock is left */
    size_t bell_count;
    bool stopping;
    bool cancel; /* read by transfers under way: __atomic only */
};

/** A suspended request of the protocol port. */
typedef struct {
    part_reply_fn reply;
    void *ctx;
} part_waiter;

/* engine_sleep.c */
TDSA_MUST_USE bool part_engine_lock_init(part_engine *e);
void part_engine_lock_free(part_engine *e);
void part_engine_enter(part_engine *e);
/** Gives the lock back, and then wakes whom part_engine_wake chose. */
void part_engine_leave(part_engine *e);
/** Chooses the sleepers that have something to do; the lock is held. */
void part_engine_wake(part_engine *e);
/** Sleeps until something changes for `op` or is due; the lock is held, and released meanwhile. What is to be computed
 * for a signature, sign, is before and after. */
void part_engine_sleep(part_engine *e, uint64_t op, part_sign_work *sign, uint64_t due);
/** Waits until no caller is inside, a second at most; the lock is held, and released meanwhile. */
void part_engine_await_callers(part_engine *e);

/* engine.c */
/** Hands out answers and wakes waiters; the lock is held. */
void part_engine_flush(part_engine *e);
uint64_t part_engine_now(const part_engine *e);
/** Drives an operation to its end; the lock is held, and released meanwhile. */
tdsa_status part_engine_finish(part_engine *e, uint64_t op, part_result *result, tdsa_err *err);

#endif
