#ifndef KS_GUARD_H
#define KS_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/**
 * Calls of code that is not ours and may hang: a token's module, a plugin. Each runs on a thread of its
 * own, which is given up after a limit; while it has not ended, further calls are refused at once, so there
 * is never more than one such thread.
 *
 * The limit is first_ms until a call has succeeded, and then least_ms, or KS_GUARD_TIMES the longest
 * call that succeeded where that is more.
 */
typedef struct ks_guard ks_guard;

#define KS_GUARD_TIMES 4u

typedef struct {
    const char *what; /* for errors: who was called; lent until ks_guard_free */
    uint32_t first_ms, least_ms;
} ks_guard_cfg;

typedef struct {
    tdsa_status (*run)(void *ctx, tdsa_err *err); /* on the other thread */
    void (*drop)(void *ctx);                      /* after a call that was given up has ended */
    void *ctx;
} ks_guard_job;

TDSA_MUST_USE tdsa_status ks_guard_new(ks_guard **out, const ks_guard_cfg *cfg, tdsa_err *err)
    TDSA_NONNULL;
/**
 * Runs the job and gives back its status. Errors: those of the job; TDSA_E_WRAPPING (it was given up, and
 * *given_up is set: ctx is not the caller's any more; or an earlier one hangs still), TDSA_E_NO_MEMORY (no
 * thread). One caller at a time.
 */
TDSA_MUST_USE tdsa_status ks_guard_call(ks_guard *g, const ks_guard_job *job, bool *given_up,
                                        tdsa_err *err) TDSA_NONNULL;
/** Frees, then calls last(ctx): now, or when a call that was given up has ended, on its thread. In a
 * child after fork whose parent had such a call, never. */
void ks_guard_free(ks_guard *g, void (*last)(void *ctx), void *ctx) __attribute__((nonnull(2)));

#endif
