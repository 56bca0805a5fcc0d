#ifndef PART_ENGINE_INTERNAL_H
#define PART_ENGINE_INTERNAL_H

#include <pthread.h>

#include "participant/participant.h"
#include "peer/exchange.h"

/** A thread that has nothing to do for now; on its own stack. */
typedef struct part_sleeper {
    struct part_sleeper *next;
    pthread_cond_t cond;
    uint64_t op;      /* it waits for; PART_OP_NONE: a communication thread */
    uint64_t wake_ms; /* when it will look by itself */
    bool woken;
} part_sleeper;

struct part_engine {
    pthread_mutex_t lock;
    pthread_cond_t left; /* the last caller, while stopping */
    part *part;
    peer_http *http;
    ks *store; /* lent */
    tdsa_clock clock;
    unsigned inside;        /* callers of an operation, and communication threads */
    part_sleeper *sleepers; /* those that sleep */
    bool stopping;
    bool cancel; /* read by transfers under way: __atomic only */
};

/** A suspended request of the protocol port. */
typedef struct {
    part_reply_fn reply;
    void *ctx;
} part_waiter;

void part_engine_enter(part_engine *e);
void part_engine_leave(part_engine *e);
/** Hands out answers and wakes waiters; the lock is held. */
void part_engine_flush(part_engine *e);
uint64_t part_engine_now(const part_engine *e);
/** Drives an operation to its end; the lock is held, and released meanwhile. */
tdsa_status part_engine_finish(part_engine *e, uint64_t op, part_result *result, tdsa_err *err);

#endif
