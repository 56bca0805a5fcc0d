#include "admin/health.h"

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define READY_CACHE_MS 1000u

struct svc_health {
    svc_check checks[SVC_CHECKS_MAX];
    size_t check_count;
    svc_check ready[SVC_CHECKS_MAX];
    size_t ready_count;
    const svc_monitor *monitors;
    size_t monitor_count;
    svc_metrics *metrics;
    tdsa_clock clock;
    atomic_bool stopping;

    pthread_mutex_t lock; /* guards what follows; held while the probes run, so they run once */
    bool asked;
    uint64_t asked_ms;
    unsigned answer;
    char *answer_text;
};

tdsa_status svc_health_new(svc_health **out, const svc_health_cfg *cfg, tdsa_err *err)
{
    svc_health *h;

    *out = NULL;
    if (cfg->check_count > SVC_CHECKS_MAX || cfg->ready_count > SVC_CHECKS_MAX ||
        cfg->monitor_count > SVC_MONITORS_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "too many health checks");
    }
    h = (svc_health *)calloc(1, sizeof *h);
    if (h == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the health checks");
    }
    if (cfg->check_count > 0) {
        memcpy(h->checks, cfg->checks, cfg->check_count * sizeof h->checks[0]);
    }
    if (cfg->ready_count > 0) {
        memcpy(h->ready, cfg->ready, cfg->ready_count * sizeof h->ready[0]);
    }
    h->check_count = cfg->check_count;
    h->ready_count = cfg->ready_count;
    h->monitors = cfg->monitors;
    h->monitor_count = cfg->monitor_count;
    h->metrics = cfg->metrics;
    h->clock = cfg->clock;
    atomic_init(&h->stopping, false);
    (void)pthread_mutex_init(&h->lock, NULL);
    *out = h;
    return TDSA_OK;
}

void svc_health_free(svc_health *h)
{
    if (h == NULL) {
        return;
    }
    (void)pthread_mutex_destroy(&h->lock);
    free(h->answer_text);
    free(h);
}

void svc_health_stopping(svc_health *h)
{
    atomic_store(&h->stopping, true);
}

static void put(json_t *to, const char *name, json_t *value)
{
    (void)json_object_set_new(to, name, value);
}

/* yyyy-MM-dd'T'HH:mm:ss.SSSXXX in UTC */
static void timestamp(char *out, size_t cap, uint64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    char text[32];

    (void)gmtime_r(&seconds, &tm);
    (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(out, cap, "%s.%03uZ", text, (unsigned)(wall_ms % 1000));
}

/* One member of the document: fields in the order of the format. */
static json_t *result_json(const svc_health *h, bool healthy, const char *message, uint64_t ms)
{
    json_t *o = json_object();
    char when[48];

    timestamp(when, sizeof when, h->clock.wall_ms(h->clock.ctx));
    put(o, "healthy", json_boolean(healthy));
    if (!healthy) {
        put(o, "message", json_string(message));
    }
    put(o, "duration", json_integer((json_int_t)ms));
    put(o, "timestamp", json_string(when));
    return o;
}

static tdsa_status dump(json_t *doc, size_t flags, tdsa_buf *out, tdsa_err *err)
{
    char *text = json_dumps(doc, flags);

    if (text == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the health document");
    }
    tdsa_buf_append_str(out, text);
    free(text);
    return tdsa_buf_check(out, err);
}

typedef struct {
    const char *name;
    json_t *json;
} result;

static int by_name(const void *a, const void *b)
{
    const result *x = (const result *)a;
    const result *y = (const result *)b;

    return strcmp(x->name, y->name);
}

static bool run_check(const svc_health *h, const svc_check *c, result *out)
{
    char message[SVC_CHECK_TEXT_MAX] = "";
    uint64_t begin = h->clock.mono_ms(h->clock.ctx);
    bool well = c->fn(c->ctx, message, sizeof message);

    out->name = c->name;
    out->json = result_json(h, well, message, h->clock.mono_ms(h->clock.ctx) - begin);
    return well;
}

tdsa_status svc_health_run(svc_health *h, bool pretty, tdsa_buf *out, unsigned *http, tdsa_err *err)
{
    result results[SVC_CHECKS_MAX + SVC_MONITORS_MAX];
    json_t *doc = json_object();
    size_t n = 0;
    bool all = true;
    tdsa_status st;

    *http = 500;
    for (size_t i = 0; i < h->check_count; i++) {
        all = run_check(h, &h->checks[i], &results[n++]) && all;
    }
    for (size_t i = 0; i < h->monitor_count; i++) {
        char message[SVC_MONITOR_TEXT_MAX];
        bool well = svc_monitor_run(&h->monitors[i], h->metrics, message);

        results[n].name = h->monitors[i].name;
        results[n++].json = result_json(h, well, message, 0);
        all = well && all;
    }
    qsort(results, n, sizeof results[0], by_name);
    for (size_t i = 0; i < n; i++) {
        put(doc, results[i].name, results[i].json);
    }
    st = dump(doc, pretty ? JSON_INDENT(2) : JSON_COMPACT, out, err);
    json_decref(doc);
    if (st == TDSA_OK) {
        *http = n == 0 ? 501 : (all ? 200 : 500);
    }
    return st;
}

/* Asks every probe; called with the lock held. */
static void ask(svc_health *h)
{
    json_t *doc = json_object();
    json_t *checks = json_object();
    bool all = true;

    for (size_t i = 0; i < h->ready_count; i++) {
        char message[SVC_CHECK_TEXT_MAX] = "";
        bool well = h->ready[i].fn(h->ready[i].ctx, message, sizeof message);
        json_t *o = json_object();

        put(o, "ready", json_boolean(well));
        if (!well) {
            put(o, "message", json_string(message));
        }
        put(checks, h->ready[i].name, o);
        all = well && all;
    }
    put(doc, "ready", json_boolean(all));
    put(doc, "checks", checks);
    free(h->answer_text);
    h->answer_text = json_dumps(doc, JSON_COMPACT);
    json_decref(doc);
    h->answer = all ? 200 : 503;
    h->asked = true;
    h->asked_ms = h->clock.mono_ms(h->clock.ctx);
}

tdsa_status svc_health_ready(svc_health *h, tdsa_buf *out, unsigned *http, tdsa_err *err)
{
    *http = 503;
    (void)pthread_mutex_lock(&h->lock);
    if (!atomic_load(&h->stopping) &&
        (!h->asked || h->clock.mono_ms(h->clock.ctx) - h->asked_ms >= READY_CACHE_MS)) {
        ask(h);
    }
    if (atomic_load(&h->stopping)) { /* perhaps while we asked */
        tdsa_buf_append_str(out, "{\"ready\":false,\"message\":\"the service is stopping\"}");
    } else if (h->answer_text == NULL) {
        tdsa_buf_append_str(out, "{\"ready\":false,\"message\":\"no memory\"}");
    } else {
        *http = h->answer;
        tdsa_buf_append_str(out, h->answer_text);
    }
    (void)pthread_mutex_unlock(&h->lock);
    return tdsa_buf_check(out, err);
}
