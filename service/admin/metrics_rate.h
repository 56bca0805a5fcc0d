#ifndef ADMIN_METRICS_RATE_H
#define ADMIN_METRICS_RATE_H

#include <stdint.h>

/**
 * The arithmetic of a meter: events counted, and rates per second that forget exponentially over
 * 1, 5 and 15 minutes, in ticks of 5 seconds (alpha = 1 - e^(-5/60/minutes)).
 * Time is handed in as milliseconds of one monotonic clock. Threads: the caller's lock.
 * Source: dropwizard/metrics Meter, ExponentialMovingAverages, EWMA (behaviour, not code).
 */
typedef enum { SVC_RATE_M1, SVC_RATE_M5, SVC_RATE_M15, SVC_RATE_COUNT } svc_rate;

typedef struct {
    uint64_t count;     /* since the start */
    uint64_t uncounted; /* since the last tick */
    uint64_t start_ms, tick_ms;
    double rate[SVC_RATE_COUNT]; /* events per second */
    int primed;                  /* one tick has been seen */
} svc_rates;

void svc_rates_init(svc_rates *r, uint64_t now_ms);
/** n events happened now. */
void svc_rates_mark(svc_rates *r, uint64_t n, uint64_t now_ms);
/** Events per second now. */
double svc_rates_get(svc_rates *r, svc_rate which, uint64_t now_ms);
/** Events per second since the start; 0 when nothing happened. */
double svc_rates_mean(const svc_rates *r, uint64_t now_ms);

#endif
