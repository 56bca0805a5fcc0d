#ifndef ADMIN_HEALTH_H
#define ADMIN_HEALTH_H

#include <stdbool.h>
#include <stddef.h>

#include "admin/monitor.h"
#include "base/buf.h"
#include "base/env.h"

/**
 * GET /healthcheck and GET /health/ready. Checks are functions that the daemon hands in, and the
 * monitors of the configuration.
 */
#define SVC_CHECK_DATABASE  "database"
#define SVC_CHECK_DEADLOCKS "deadlocks"
#define SVC_CHECKS_MAX      16u
#define SVC_CHECK_TEXT_MAX  256u

/** True when it is well; else fills `message` with one line for people, without secrets. */
typedef bool (*svc_check_fn)(void *ctx, char *message, size_t cap);

typedef struct {
    const char *name; /* lent */
    svc_check_fn fn;
    void *ctx;
} svc_check;

typedef struct svc_health svc_health;

typedef struct {
    const svc_check *checks; /* GET /healthcheck; copied */
    size_t check_count;
    const svc_check *ready; /* GET /health/ready, in this order; copied */
    size_t ready_count;
    const svc_monitor *monitors; /* lent: must outlive the health */
    size_t monitor_count;
    svc_metrics *metrics; /* lent */
    tdsa_clock clock;
} svc_health_cfg;

/** Errors: TDSA_E_NO_MEMORY, TDSA_E_BAD_INPUT (too many checks or
 * monitors). */
TDSA_MUST_USE tdsa_status svc_health_new(svc_health **out, const svc_health_cfg *cfg, tdsa_err *err)
    TDSA_NONNULL;
void svc_health_free(svc_health *h);

/**
 * Runs every check and writes the document of R060, sorted by name.
 * http  set to 200 (all well), 500 (one is not) or 501 (no checks).
 * Threads: any.
 */
TDSA_MUST_USE tdsa_status svc_health_run(svc_health *h, bool pretty, tdsa_buf *out, unsigned *http,
                                         tdsa_err *err) TDSA_NONNULL;
/**
 * Readiness, asked at most once a second; callers in between get the last answer.
 * http  set to 200 or 503. After svc_health_stopping always 503, without asking.
 */
TDSA_MUST_USE tdsa_status svc_health_ready(svc_health *h, tdsa_buf *out, unsigned *http,
                                           tdsa_err *err) TDSA_NONNULL;
/** The service has begun to stop. */
void svc_health_stopping(svc_health *h) TDSA_NONNULL;

#endif
