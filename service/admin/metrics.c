#include "admin/metrics.h"

#include <stdlib.h>
#include <string.h>

#include "admin/metrics_internal.h"
#include "base/assert.h"

#define METRICS_MAX 1024u

const char *svc_metric_type_name(svc_metric_type type)
{
    switch (type) {
    case SVC_GAUGE:
        return "gauge";
    case SVC_COUNTER:
        return "counter";
    case SVC_HISTOGRAM:
        return "histogram";
    case SVC_METER:
        return "meter";
    case SVC_TIMER:
        return "timer";
    }
    return "?";
}

tdsa_status svc_metrics_new(svc_metrics **out, tdsa_clock clock, tdsa_err *err)
{
    svc_metrics *m = (svc_metrics *)calloc(1, sizeof *m);

    *out = NULL;
    if (m == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the metrics");
    }
    m->items = (svc_metric **)calloc(METRICS_MAX, sizeof(svc_metric *));
    if (m->items == NULL) {
        free(m);
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the metrics");
    }
    m->clock = clock;
    (void)pthread_mutex_init(&m->lock, NULL);
    *out = m;
    return TDSA_OK;
}

static void metric_free(svc_metric *x)
{
    if (x == NULL) {
        return;
    }
    (void)pthread_mutex_destroy(&x->lock);
    free(x->reservoir);
    free(x->name);
    free(x);
}

void svc_metrics_free(svc_metrics *m)
{
    if (m == NULL) {
        return;
    }
    for (size_t i = 0; i < m->count; i++) {
        metric_free(m->items[i]);
    }
    (void)pthread_mutex_destroy(&m->lock);
    free(m->items);
    free(m);
}

static uint64_t seed_of(const char *name)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

    for (; *name != '\0'; name++) {
        h = (h ^ (uint64_t)(unsigned char)*name) * UINT64_C(0x100000001b3);
    }
    return h;
}

static svc_metric *metric_new(const svc_metrics *m, svc_metric_type type, const char *name)
{
    svc_metric *x = (svc_metric *)calloc(1, sizeof *x);
    uint64_t now = m->clock.mono_ms(m->clock.ctx);

    if (x == NULL) {
        return NULL;
    }
    (void)pthread_mutex_init(&x->lock, NULL);
    x->type = type;
    x->clock = &m->clock;
    x->name = strdup(name);
    svc_rates_init(&x->rates, now);
    if (type == SVC_HISTOGRAM || type == SVC_TIMER) {
        x->reservoir = (svc_reservoir *)calloc(1, sizeof *x->reservoir);
        if (x->reservoir != NULL) {
            svc_reservoir_init(x->reservoir, seed_of(name), now);
        }
    }
    if (x->name == NULL || ((type == SVC_HISTOGRAM || type == SVC_TIMER) && x->reservoir == NULL)) {
        metric_free(x);
        return NULL;
    }
    return x;
}

/* Where `name` is, or would be. */
static size_t place_of(const svc_metrics *m, const char *name)
{
    size_t low = 0, high = m->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (strcmp(m->items[mid]->name, name) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static svc_metric *find_locked(const svc_metrics *m, const char *name, size_t at)
{
    return at < m->count && strcmp(m->items[at]->name, name) == 0 ? m->items[at] : NULL;
}

svc_metric *svc_metrics_find(svc_metrics *m, const char *name)
{
    svc_metric *x;

    (void)pthread_mutex_lock(&m->lock);
    x = find_locked(m, name, place_of(m, name));
    (void)pthread_mutex_unlock(&m->lock);
    return x;
}

svc_metric *svc_metrics_add(svc_metrics *m, svc_metric_type type, const char *name)
{
    svc_metric *x = NULL;
    size_t at;

    (void)pthread_mutex_lock(&m->lock);
    at = place_of(m, name);
    x = find_locked(m, name, at);
    if (x != NULL) {
        x = x->type == type ? x : NULL;
    } else if (m->count < METRICS_MAX) {
        x = metric_new(m, type, name);
        if (x != NULL) {
            memmove(&m->items[at + 1], &m->items[at], (m->count - at) * sizeof(svc_metric *));
            m->items[at] = x;
            m->count++;
        }
    }
    (void)pthread_mutex_unlock(&m->lock);
    return x;
}

bool svc_metrics_add_asked(svc_metrics *m, svc_metric_type type, const char *name, svc_asked_fn fn,
                           void *ctx)
{
    svc_metric *x = svc_metrics_add(m, type, name);

    TDSA_ASSERT(type == SVC_GAUGE || type == SVC_COUNTER);
    if (x == NULL) {
        return false;
    }
    (void)pthread_mutex_lock(&x->lock);
    x->asked = fn;
    x->asked_ctx = ctx;
    (void)pthread_mutex_unlock(&x->lock);
    return true;
}

svc_metric_type svc_metric_get_type(const svc_metric *x)
{
    return x->type;
}

static uint64_t now_of(const svc_metric *x)
{
    return x->clock->mono_ms(x->clock->ctx);
}

void svc_metric_inc(svc_metric *x, int64_t by)
{
    if (x == NULL) {
        return;
    }
    TDSA_ASSERT(x->type == SVC_COUNTER);
    (void)pthread_mutex_lock(&x->lock);
    x->counter += by;
    (void)pthread_mutex_unlock(&x->lock);
}

void svc_metric_mark(svc_metric *x, uint64_t n)
{
    if (x == NULL) {
        return;
    }
    TDSA_ASSERT(x->type == SVC_METER);
    (void)pthread_mutex_lock(&x->lock);
    svc_rates_mark(&x->rates, n, now_of(x));
    (void)pthread_mutex_unlock(&x->lock);
}

void svc_metric_update(svc_metric *x, int64_t value)
{
    if (x == NULL) {
        return;
    }
    TDSA_ASSERT(x->type == SVC_HISTOGRAM);
    (void)pthread_mutex_lock(&x->lock);
    svc_reservoir_update(x->reservoir, value, now_of(x));
    (void)pthread_mutex_unlock(&x->lock);
}

void svc_metric_time(svc_metric *x, uint64_t micros)
{
    uint64_t now;

    if (x == NULL) {
        return;
    }
    TDSA_ASSERT(x->type == SVC_TIMER);
    (void)pthread_mutex_lock(&x->lock);
    now = now_of(x);
    svc_rates_mark(&x->rates, 1, now);
    svc_reservoir_update(x->reservoir, micros > INT64_MAX ? INT64_MAX : (int64_t)micros, now);
    (void)pthread_mutex_unlock(&x->lock);
}

void svc_metric_take(svc_metric *x, svc_reading *out)
{
    uint64_t now;

    memset(out, 0, sizeof *out);
    (void)pthread_mutex_lock(&x->lock);
    now = now_of(x);
    out->counter = x->asked != NULL ? x->asked(x->asked_ctx) : x->counter;
    out->count = x->type == SVC_HISTOGRAM ? x->reservoir->count : x->rates.count;
    for (int i = 0; i < SVC_RATE_COUNT; i++) {
        out->rate[i] = svc_rates_get(&x->rates, (svc_rate)i, now);
    }
    out->mean_rate = svc_rates_mean(&x->rates, now);
    if (x->reservoir != NULL) {
        svc_reservoir_snapshot(x->reservoir, now, &out->snapshot);
    }
    (void)pthread_mutex_unlock(&x->lock);
}
