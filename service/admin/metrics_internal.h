#ifndef ADMIN_METRICS_INTERNAL_H
#define ADMIN_METRICS_INTERNAL_H

#include <pthread.h>

#include "admin/metrics.h"
#include "admin/metrics_rate.h"
#include "admin/metrics_reservoir.h"

/* What metrics.c and metrics_json.c share. */

struct svc_metric {
    char *name;
    svc_metric_type type;
    const tdsa_clock *clock; /* the registry's */
    pthread_mutex_t lock;
    int64_t counter;
    svc_rates rates;          /* meter, timer */
    svc_reservoir *reservoir; /* histogram, timer; else NULL */
    svc_asked_fn asked;       /* gauge, counter; or NULL */
    void *asked_ctx;
};

struct svc_metrics {
    tdsa_clock clock;
    pthread_mutex_t lock; /* guards the list, not the values */
    svc_metric **items;   /* ascending by name */
    size_t count;
};

/** One consistent reading of a metric. */
typedef struct {
    uint64_t count;
    int64_t counter;
    double rate[SVC_RATE_COUNT], mean_rate;
    svc_snapshot snapshot;
} svc_reading;

void svc_metric_take(svc_metric *x, svc_reading *out) TDSA_NONNULL;

#endif
