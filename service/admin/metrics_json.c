#include <jansson.h>
#include <stdlib.h>

#include "admin/metrics_internal.h"

/* A missing member is better than a missing document; the final check reports lost memory. */
static void put(json_t *to, const char *name, json_t *value)
{
    (void)json_object_set_new(to, name, value);
}

static void put_samples(json_t *to, const svc_snapshot *s, double unit)
{
    bool whole = unit >= 1.0; /* histograms show min and max as they came */

    put(to, "max", whole ? json_integer(s->max) : json_real((double)s->max * unit));
    put(to, "mean", json_real(s->mean * unit));
    put(to, "min", whole ? json_integer(s->min) : json_real((double)s->min * unit));
    put(to, "p50", json_real(s->p50 * unit));
    put(to, "p75", json_real(s->p75 * unit));
    put(to, "p95", json_real(s->p95 * unit));
    put(to, "p98", json_real(s->p98 * unit));
    put(to, "p99", json_real(s->p99 * unit));
    put(to, "p999", json_real(s->p999 * unit));
    put(to, "stddev", json_real(s->stddev * unit));
}

static void put_rates(json_t *to, const svc_reading *r)
{
    put(to, "m15_rate", json_real(r->rate[SVC_RATE_M15]));
    put(to, "m1_rate", json_real(r->rate[SVC_RATE_M1]));
    put(to, "m5_rate", json_real(r->rate[SVC_RATE_M5]));
    put(to, "mean_rate", json_real(r->mean_rate));
}

static json_t *metric_json(svc_metric *x)
{
    json_t *o = json_object();
    svc_reading r;

    svc_metric_take(x, &r);
    switch (x->type) {
    case SVC_GAUGE:
        put(o, "value", json_integer(r.counter));
        break;
    case SVC_COUNTER:
        put(o, "count", json_integer(r.counter));
        break;
    case SVC_HISTOGRAM:
        put(o, "count", json_integer((json_int_t)r.count));
        put_samples(o, &r.snapshot, 1.0);
        break;
    case SVC_METER:
        put(o, "count", json_integer((json_int_t)r.count));
        put_rates(o, &r);
        put(o, "units", json_string("events/second"));
        break;
    case SVC_TIMER:
        put(o, "count", json_integer((json_int_t)r.count));
        put_samples(o, &r.snapshot, 1e-6);
        put_rates(o, &r);
        put(o, "duration_units", json_string("seconds"));
        put(o, "rate_units", json_string("calls/second"));
        break;
    }
    return o;
}

tdsa_status svc_metrics_json(svc_metrics *m, bool pretty, tdsa_buf *out, tdsa_err *err)
{
    static const struct {
        svc_metric_type type;
        const char *group;
    } groups[] = {{SVC_GAUGE, "gauges"},
                  {SVC_COUNTER, "counters"},
                  {SVC_HISTOGRAM, "histograms"},
                  {SVC_METER, "meters"},
                  {SVC_TIMER, "timers"}};
    json_t *doc = json_object();
    char *text;

    put(doc, "version", json_string("4.0.0")); /* of the format */
    (void)pthread_mutex_lock(&m->lock);
    for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++) {
        json_t *o = json_object();

        for (size_t i = 0; i < m->count; i++) {
            if (m->items[i]->type == groups[g].type) {
                put(o, m->items[i]->name, metric_json(m->items[i]));
            }
        }
        put(doc, groups[g].group, o);
    }
    (void)pthread_mutex_unlock(&m->lock);
    text = json_dumps(doc, (pretty ? JSON_INDENT(2) : JSON_COMPACT) | JSON_REAL_PRECISION(15));
    json_decref(doc);
    if (text == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the metrics document");
    }
    tdsa_buf_append_str(out, text);
    free(text);
    return tdsa_buf_check(out, err);
}
