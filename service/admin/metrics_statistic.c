#include <string.h>

#include "admin/metrics_internal.h"

/* Which statistics a monitor may ask of which type (reference R064). */

typedef enum {
    S_VALUE,
    S_COUNT,
    S_M1,
    S_M5,
    S_M15,
    S_MEAN_RATE,
    S_MIN,
    S_MAX,
    S_MEAN,
    S_STDDEV,
    S_P50,
    S_P75,
    S_P95,
    S_P98,
    S_P99,
    S_P999
} kind;

#define BIT(type) (1u << (unsigned)(type))
#define RATES     (BIT(SVC_METER) | BIT(SVC_TIMER))
#define SAMPLES   (BIT(SVC_HISTOGRAM) | BIT(SVC_TIMER))

/* The names of the TDSA service first, then the spellings of the JSON document. */
static const struct {
    const char *name;
    kind is;
    unsigned types;
} statistics[] = {
    {"count", S_COUNT, BIT(SVC_COUNTER) | BIT(SVC_HISTOGRAM) | BIT(SVC_METER) | BIT(SVC_TIMER)},
    {"value", S_VALUE, BIT(SVC_GAUGE)},
    {"m1_rate", S_M1, RATES},
    {"m5_rate", S_M5, RATES},
    {"m15_rate", S_M15, RATES},
    {"mean_rate", S_MEAN_RATE, RATES},
    {"min", S_MIN, SAMPLES},
    {"max", S_MAX, SAMPLES},
    {"mean", S_MEAN, SAMPLES},
    {"stddev", S_STDDEV, SAMPLES},
    {"median", S_P50, SAMPLES},
    {"75th", S_P75, SAMPLES},
    {"95th", S_P95, SAMPLES},
    {"98th", S_P98, SAMPLES},
    {"99th", S_P99, SAMPLES},
    {"999th", S_P999, SAMPLES},
    {"p50", S_P50, SAMPLES},
    {"p75", S_P75, SAMPLES},
    {"p95", S_P95, SAMPLES},
    {"p98", S_P98, SAMPLES},
    {"p99", S_P99, SAMPLES},
    {"p999", S_P999, SAMPLES},
};

#define STATISTIC_COUNT (sizeof statistics / sizeof statistics[0])
#define SAMPLE_NAMES    "min, max, mean, stddev, median, 75th, 95th, 98th, 99th, 999th"

const char *svc_metric_statistics(svc_metric_type type)
{
    switch (type) {
    case SVC_GAUGE:
        return "value";
    case SVC_COUNTER:
        return "count";
    case SVC_HISTOGRAM:
        return "count, " SAMPLE_NAMES;
    case SVC_METER:
        return "count, m1_rate, m5_rate, m15_rate, mean_rate";
    case SVC_TIMER:
        return "count, m1_rate, m5_rate, m15_rate, mean_rate, " SAMPLE_NAMES;
    }
    return "";
}

bool svc_metric_has_statistic(svc_metric_type type, const char *statistic)
{
    for (size_t i = 0; i < STATISTIC_COUNT; i++) {
        if (strcmp(statistics[i].name, statistic) == 0) {
            return (statistics[i].types & BIT(type)) != 0;
        }
    }
    return false;
}

bool svc_metrics_knows_statistic(const char *statistic)
{
    for (size_t i = 0; i < STATISTIC_COUNT; i++) {
        if (strcmp(statistics[i].name, statistic) == 0) {
            return true;
        }
    }
    return false;
}

static double sample_of(const svc_snapshot *s, kind is)
{
    switch (is) {
    case S_MIN:
        return (double)s->min;
    case S_MAX:
        return (double)s->max;
    case S_MEAN:
        return s->mean;
    case S_STDDEV:
        return s->stddev;
    case S_P50:
        return s->p50;
    case S_P75:
        return s->p75;
    case S_P95:
        return s->p95;
    case S_P98:
        return s->p98;
    case S_P99:
        return s->p99;
    case S_P999:
        return s->p999;
    case S_VALUE:
    case S_COUNT:
    case S_M1:
    case S_M5:
    case S_M15:
    case S_MEAN_RATE:
        break;
    }
    return 0.0;
}

static double read_one(const svc_metric *x, const svc_reading *r, kind is)
{
    switch (is) {
    case S_VALUE:
        return (double)r->counter;
    case S_COUNT:
        return x->type == SVC_COUNTER ? (double)r->counter : (double)r->count;
    case S_M1:
        return r->rate[SVC_RATE_M1];
    case S_M5:
        return r->rate[SVC_RATE_M5];
    case S_M15:
        return r->rate[SVC_RATE_M15];
    case S_MEAN_RATE:
        return r->mean_rate;
    case S_MIN:
    case S_MAX:
    case S_MEAN:
    case S_STDDEV:
    case S_P50:
    case S_P75:
    case S_P95:
    case S_P98:
    case S_P99:
    case S_P999:
        break;
    }
    /* timers hold microseconds, and show seconds */
    return sample_of(&r->snapshot, is) * (x->type == SVC_TIMER ? 1e-6 : 1.0);
}

bool svc_metric_read(svc_metric *x, const char *statistic, double *out)
{
    *out = 0.0;
    for (size_t i = 0; i < STATISTIC_COUNT; i++) {
        if (strcmp(statistics[i].name, statistic) == 0 && (statistics[i].types & BIT(x->type))) {
            svc_reading r;

            svc_metric_take(x, &r);
            *out = read_one(x, &r, statistics[i].is);
            return true;
        }
    }
    return false;
}
