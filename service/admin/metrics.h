#ifndef ADMIN_METRICS_H
#define ADMIN_METRICS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/env.h"

/**
 * The numbers of one process, under the names that GET /metrics shows. Registered at start, then
 * only fed; a monitor reads single statistics of them.
 *
 * Threads: any, once registered. Feeding takes a short lock of that one metric.
 */
typedef struct svc_metrics svc_metrics;
typedef struct svc_metric svc_metric;

typedef enum { SVC_GAUGE, SVC_COUNTER, SVC_HISTOGRAM, SVC_METER, SVC_TIMER } svc_metric_type;
const char *svc_metric_type_name(svc_metric_type type);

typedef int64_t (*svc_asked_fn)(void *ctx);

/** clock: only its monotonic time is read. Errors: TDSA_E_NO_MEMORY. */
TDSA_MUST_USE tdsa_status svc_metrics_new(svc_metrics **out, tdsa_clock clock, tdsa_err *err)
    TDSA_NONNULL;
void svc_metrics_free(svc_metrics *m);

/**
 * Registers a metric and lends it; the same name and type again gives the same one.
 * NULL when there is no memory or the name has another type.
 */
svc_metric *svc_metrics_add(svc_metrics *m, svc_metric_type type, const char *name) TDSA_NONNULL;
/** A gauge or counter kept elsewhere, asked when it is read; fn must not call back into `m`.
 * False: as NULL above. */
bool svc_metrics_add_asked(svc_metrics *m, svc_metric_type type, const char *name, svc_asked_fn fn,
                           void *ctx) __attribute__((nonnull(1, 3, 4)));
/** NULL when there is none of that name. */
svc_metric *svc_metrics_find(svc_metrics *m, const char *name) TDSA_NONNULL;
svc_metric_type svc_metric_get_type(const svc_metric *x) TDSA_NONNULL;

/* Feeding. NULL is allowed and does nothing. */
void svc_metric_inc(svc_metric *x, int64_t by);       /* counter */
void svc_metric_mark(svc_metric *x, uint64_t n);      /* meter */
void svc_metric_update(svc_metric *x, int64_t value); /* histogram */
void svc_metric_time(svc_metric *x, uint64_t micros); /* timer */

/** Statistics legal for a type: "count, m1_rate, ..."; static text. */
const char *svc_metric_statistics(svc_metric_type type);
bool svc_metric_has_statistic(svc_metric_type type, const char *statistic) TDSA_NONNULL;
/** True when any type has it. */
bool svc_metrics_knows_statistic(const char *statistic) TDSA_NONNULL;
/** Timers in seconds, rates per second. False: the type has no such statistic. */
bool svc_metric_read(svc_metric *x, const char *statistic, double *out) TDSA_NONNULL;

/** The document of GET /metrics (reference R066, R072). Errors: TDSA_E_NO_MEMORY. */
TDSA_MUST_USE tdsa_status svc_metrics_json(svc_metrics *m, bool pretty, tdsa_buf *out,
                                           tdsa_err *err) TDSA_NONNULL;

#endif
