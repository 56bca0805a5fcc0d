#ifndef DAEMON_METERS_H
#define DAEMON_METERS_H

#include "admin/metrics.h"
#include "api/route.h"
#include "participant/engine.h"

/**
 * Every metric of the daemon, registered at start so that a monitor of a misspelt name is found
 * out, and fed by the engine's events and the listeners.
 */
typedef struct {
    svc_metrics *all;                                         /* owned */
    svc_metric *event[PART_OP_COUNT][PART_EVENT_TIMEOUT + 1]; /* NULL: not counted */
    svc_metric *duration[PART_OP_COUNT];
    svc_metric *api[SVC_OP_COUNT];
    svc_metric *round, *message_size, *requests, *responses[6]; /* [2]: 2xx */
    part_engine *engine;                                        /* lent; asked by gauges */
    ks *store;                                                  /* lent; asked by gauges */
} svc_meters;

/** m: stays where it is. Errors: TDSA_E_NO_MEMORY. */
TDSA_MUST_USE tdsa_status svc_meters_init(svc_meters *m, tdsa_clock clock, tdsa_err *err)
    TDSA_NONNULL;
/** From here on the gauges ask the engine and the keystore. Before other threads run. */
void svc_meters_attach(svc_meters *m, part_engine *engine, ks *store) TDSA_NONNULL;
void svc_meters_clear(svc_meters *m) TDSA_NONNULL;

/** part_event_fn; ctx is the svc_meters. */
void svc_meters_event(void *ctx, part_op_kind op, part_event event, uint64_t duration_us);
/** A request of the API port has ended. */
void svc_meters_api(svc_meters *m, const char *operation, unsigned http_status,
                    uint64_t duration_us) TDSA_NONNULL;
/** A request of the protocol port has ended. */
void svc_meters_round(svc_meters *m, size_t body_len, unsigned http_status, uint64_t duration_us)
    TDSA_NONNULL;

#endif
