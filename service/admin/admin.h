#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include "admin/health.h"
#include "admin/metrics.h"
#include "http/http.h"

/**
 * The administration port: /healthcheck, /metrics, /health/ready, /health/live, /ping, /threads
 * and a menu at /. Read-only.
 */
typedef struct {
    svc_metrics *metrics;                           /* lent */
    svc_health *health;                             /* lent */
    void (*done)(void *ctx, const http_done *done); /* a request has ended; may be NULL */
    void *done_ctx;
} svc_admin;

/** The routes; their listener's ctx is a svc_admin. Static. */
const http_route *svc_admin_routes(size_t *count) TDSA_NONNULL;
/** The listener's observer. */
void svc_admin_observe(void *ctx, const http_done *done);

#endif
