#ifndef DAEMON_PROBES_H
#define DAEMON_PROBES_H

#include "admin/health.h"
#include "admin/heartbeat.h"
#include "participant/engine.h"

/** What the health checks ask. */
typedef struct {
    ks *store;           /* lent */
    part_engine *engine; /* lent */
    uint16_t n;
    tdsa_clock clock;
    svc_heartbeat heartbeat;
} svc_probes;

/** GET /healthcheck: database, deadlocks. GET /health/ready: database, wrapping, peers. */
void svc_probes_fill(svc_probes *p, svc_health_cfg *out, svc_check healthcheck[2],
                     svc_check ready[3]) TDSA_NONNULL;

/** One round of the watchdog: takes every lock that matters, step by step. */
void svc_probes_beat(svc_probes *p, svc_metrics *metrics) TDSA_NONNULL;

#endif
