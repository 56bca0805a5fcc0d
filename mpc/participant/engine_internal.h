#ifndef PART_ENGINE_INTERNAL_H
#define PART_ENGINE_INTERNAL_H

#include <pthread.h>

#include "participant/participant.h"
#include "peer/exchange.h"

struct part_engine {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* an operation ended, an exchange is to be sent, stopping */
    part *part;
    peer_http *http;
    ks *store; /* lent */
    tdsa_clock clock;
    unsigned inside;  /* callers of an operation, and communication threads */
    unsigned idle;    /* those that sleep */
    uint64_t wake_ms; /* when the last of them to lie down will look again; UINT64_MAX: wake it */
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
