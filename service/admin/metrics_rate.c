#include "admin/metrics_rate.h"

#include <math.h>
#include <string.h>

#define TICK_MS 5000u
/* after so many idle ticks (three days) every rate is zero for all purposes */
#define TICKS_MAX 50000u

static const double minutes_of[SVC_RATE_COUNT] = {1.0, 5.0, 15.0};

static void tick(svc_rates *r)
{
    double instant = (double)r->uncounted / (TICK_MS / 1000.0);

    r->uncounted = 0;
    for (int i = 0; i < SVC_RATE_COUNT; i++) {
        double alpha = 1.0 - exp(-(TICK_MS / 1000.0) / 60.0 / minutes_of[i]);

        if (r->primed) {
            r->rate[i] += alpha * (instant - r->rate[i]);
        } else {
            r->rate[i] = instant;
        }
    }
    r->primed = 1;
}

static void catch_up(svc_rates *r, uint64_t now_ms)
{
    uint64_t ticks = now_ms > r->tick_ms ? (now_ms - r->tick_ms) / TICK_MS : 0;

    if (ticks == 0) {
        return;
    }
    r->tick_ms += ticks * TICK_MS;
    if (ticks > TICKS_MAX) {
        memset(r->rate, 0, sizeof r->rate);
        r->uncounted = 0;
        r->primed = 1;
        return;
    }
    for (uint64_t i = 0; i < ticks; i++) {
        tick(r);
    }
}

void svc_rates_init(svc_rates *r, uint64_t now_ms)
{
    memset(r, 0, sizeof *r);
    r->start_ms = now_ms;
    r->tick_ms = now_ms;
}

void svc_rates_mark(svc_rates *r, uint64_t n, uint64_t now_ms)
{
    catch_up(r, now_ms);
    r->count += n;
    r->uncounted += n;
}

double svc_rates_get(svc_rates *r, svc_rate which, uint64_t now_ms)
{
    catch_up(r, now_ms);
    return r->rate[which];
}

double svc_rates_mean(const svc_rates *r, uint64_t now_ms)
{
    if (r->count == 0 || now_ms <= r->start_ms) {
        return 0.0;
    }
    return (double)r->count / ((double)(now_ms - r->start_ms) / 1000.0);
}
