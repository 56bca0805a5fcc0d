#ifndef ADMIN_METRICS_RESERVOIR_H
#define ADMIN_METRICS_RESERVOIR_H

#include <stddef.h>
#include <stdint.h>

/**
 * A sample of the values of about the last five minutes: forward-decaying priority sampling with
 * 1028 places and alpha 0.015, landmarks moved every hour. Its snapshot is weighted: percentiles
 * take the lower neighbour and do not interpolate.
 * Threads: the caller's lock. Time: milliseconds of one monotonic clock.
 * Source: Cormode et al., "Forward decay" (2009), as dropwizard/metrics uses it.
 */
#define SVC_RESERVOIR_SIZE 1028u

typedef struct {
    double priority, weight;
    int64_t value;
} svc_sample;

typedef struct {
    svc_sample heap[SVC_RESERVOIR_SIZE]; /* least priority first */
    size_t used;
    uint64_t count; /* values ever seen */
    uint64_t start_ms, rescale_ms;
    uint64_t dice; /* state of a plain generator; nothing secret hangs on it */
} svc_reservoir;

typedef struct {
    int64_t min, max;
    double mean, stddev, p50, p75, p95, p98, p99, p999;
} svc_snapshot;

/** seed: any number; the same seed samples the same values. */
void svc_reservoir_init(svc_reservoir *r, uint64_t seed, uint64_t now_ms);
void svc_reservoir_update(svc_reservoir *r, int64_t value, uint64_t now_ms);
/** All zero when nothing was sampled. */
void svc_reservoir_snapshot(svc_reservoir *r, uint64_t now_ms, svc_snapshot *out);

#endif
