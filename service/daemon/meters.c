#include "daemon/meters.h"

#include <stdio.h>
#include <string.h>

#define LIBRARY "com.sepior.tdsa."
#define SERVICE "com.sepior.tdsaservice."
#define JETTY   "io.dropwizard.jetty.MutableServletContextHandler."

/* The operations as the TDSA service names them; NULL: not counted. */
static const char *op_name(part_op_kind op)
{
    switch (op) {
    case PART_OP_REGISTER:
        return "REGISTER";
    case PART_OP_KEYGEN:
        return "KEYGEN";
    case PART_OP_PRESIGN:
        return "PRESIG";
    case PART_OP_SIGN:
        return "SIGN";
    case PART_OP_DELETE:
        return "DELETE";
    case PART_OP_UNDELETE:
        return "UNDELETE";
    case PART_OP_RESHARE:
        return "RESHARE";
    case PART_OP_PUBLIC_KEY:
        return "PUBLICKEY";
    case PART_OP_XPUB:
        return "XPUB";
    case PART_OP_PARTIAL_SIGN:
        return "PARTIALSIGN";
    case PART_OP_SIGN_BATCH:
        return "SIGN_BATCH";
    case PART_OP_RECOVERYINFO:
        return "RECOVERYINFO";
    case PART_OP_IMPORT:
        return "IMPORT";
    case PART_OP_EXPORT:
        return "EXPORT";
    case PART_OP_RESTORE:
    case PART_OP_PING:
    case PART_OP_BURN:
    case PART_OP_COUNT:
        break;
    }
    return NULL;
}

static const char *event_name(part_event event)
{
    switch (event) {
    case PART_EVENT_STARTED:
        return "STARTED";
    case PART_EVENT_COMPLETED:
        return "COMPLETED";
    case PART_EVENT_ABORTED:
        return "ABORTED";
    case PART_EVENT_TIMEOUT:
        return "TIMEOUT";
    }
    return "?";
}

static svc_metric *add(svc_meters *m, svc_metric_type type, const char *prefix, const char *name,
                       bool *ok)
{
    char full[160];
    svc_metric *x;

    (void)snprintf(full, sizeof full, "%s%s", prefix, name);
    x = svc_metrics_add(m->all, type, full);
    *ok = *ok && x != NULL;
    return x;
}

static void add_events(svc_meters *m, bool *ok)
{
    for (unsigned op = 0; op < PART_OP_COUNT; op++) {
        const char *name = op_name((part_op_kind)op);
        char text[64];

        if (name == NULL) {
            continue;
        }
        for (unsigned e = 0; e <= PART_EVENT_TIMEOUT; e++) {
            (void)snprintf(text, sizeof text, "%s.%s", event_name((part_event)e), name);
            m->event[op][e] = add(m, SVC_METER, LIBRARY, text, ok);
        }
        (void)snprintf(text, sizeof text, "DURATION.%s", name);
        m->duration[op] = add(m, SVC_TIMER, LIBRARY, text, ok);
    }
}

/* ---- asked of the engine and the keystore ---- */

static part_stats engine_stats(const void *ctx)
{
    const svc_meters *m = (const svc_meters *)ctx;
    part_stats s;

    memset(&s, 0, sizeof s);
    if (m->engine != NULL) {
        part_engine_stats(m->engine, &s);
    }
    return s;
}

static ks_stats store_stats(const void *ctx)
{
    const svc_meters *m = (const svc_meters *)ctx;
    ks_stats s;

    memset(&s, 0, sizeof s);
    if (m->store != NULL) {
        ks_get_stats(m->store, &s);
    }
    return s;
}

static int64_t ask_sessions(void *ctx)
{
    return (int64_t)engine_stats(ctx).sessions;
}

static int64_t ask_runs(void *ctx)
{
    return (int64_t)engine_stats(ctx).runs;
}

static int64_t ask_exchanges(void *ctx)
{
    return (int64_t)engine_stats(ctx).exchanges_waiting;
}

static int64_t ask_replies(void *ctx)
{
    return (int64_t)engine_stats(ctx).replies_waiting;
}

static int64_t ask_burned(void *ctx)
{
    return (int64_t)engine_stats(ctx).burned;
}

static int64_t ask_purged(void *ctx)
{
    return (int64_t)engine_stats(ctx).purged;
}

static int64_t ask_available(void *ctx)
{
    const svc_meters *m = (const svc_meters *)ctx;
    uint64_t available = 0;
    tdsa_err err;

    return m->engine != NULL && part_engine_available_all(m->engine, &available, &err) == TDSA_OK
               ? (int64_t)available
               : 0;
}

static int64_t ask_verify_failures(void *ctx)
{
    return (int64_t)engine_stats(ctx).verify_failures;
}

static int64_t ask_rollbacks(void *ctx)
{
    return (int64_t)engine_stats(ctx).rollbacks;
}

static int64_t ask_keys_cached(void *ctx)
{
    return (int64_t)engine_stats(ctx).keys_cached;
}

static int64_t ask_key_hits(void *ctx)
{
    return (int64_t)engine_stats(ctx).key_hits;
}

static int64_t ask_key_misses(void *ctx)
{
    return (int64_t)engine_stats(ctx).key_misses;
}

static int64_t ask_unwraps(void *ctx)
{
    return (int64_t)store_stats(ctx).unwraps;
}

static int64_t ask_unwraps_failed(void *ctx)
{
    return (int64_t)store_stats(ctx).unwraps_failed;
}

static int64_t ask_commits(void *ctx)
{
    return (int64_t)store_stats(ctx).commits;
}

static int64_t ask_refused(void *ctx)
{
    return (int64_t)store_stats(ctx).rows_refused;
}

static void add_asked(svc_meters *m, bool *ok)
{
    static const struct {
        svc_metric_type type;
        const char *name;
        svc_asked_fn fn;
    } asked[] = {{SVC_COUNTER, LIBRARY "SESSIONS.ACTIVE", ask_sessions},
                 {SVC_COUNTER, LIBRARY "PRESIG.BURNED", ask_burned},
                 {SVC_COUNTER, LIBRARY "PRESIG.PURGED", ask_purged},
                 {SVC_COUNTER, LIBRARY "SIGN.VERIFY_FAILURES", ask_verify_failures},
                 {SVC_COUNTER, LIBRARY "ROLLBACK.DETECTED", ask_rollbacks},
                 {SVC_GAUGE, LIBRARY "PRESIG.AVAILABLE", ask_available},
                 {SVC_GAUGE, LIBRARY "RUNS.ACTIVE", ask_runs},
                 {SVC_GAUGE, LIBRARY "EXCHANGES.WAITING", ask_exchanges},
                 {SVC_GAUGE, LIBRARY "REPLIES.WAITING", ask_replies},
                 {SVC_COUNTER, LIBRARY "db.commits", ask_commits},
                 {SVC_COUNTER, LIBRARY "db.rows_refused", ask_refused},
                 {SVC_GAUGE, LIBRARY "KEYCACHE.SIZE", ask_keys_cached},
                 {SVC_COUNTER, LIBRARY "KEYCACHE.HITS", ask_key_hits},
                 {SVC_COUNTER, LIBRARY "KEYCACHE.MISSES", ask_key_misses},
                 {SVC_COUNTER, LIBRARY "DATAKEY.UNWRAPPED", ask_unwraps},
                 {SVC_COUNTER, LIBRARY "DATAKEY.FAILED", ask_unwraps_failed}};

    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        *ok = svc_metrics_add_asked(m->all, asked[i].type, asked[i].name, asked[i].fn, m) && *ok;
    }
}

tdsa_status svc_meters_init(svc_meters *m, tdsa_clock clock, tdsa_err *err)
{
    bool ok = true;
    tdsa_status st;

    memset(m, 0, sizeof *m);
    st = svc_metrics_new(&m->all, clock, err);
    if (st != TDSA_OK) {
        return st;
    }
    add_events(m, &ok);
    add_asked(m, &ok);
    for (unsigned i = 0; i < SVC_OP_COUNT; i++) {
        m->api[i] = add(m, SVC_TIMER, SERVICE "api.", svc_rows[i].name, &ok);
    }
    m->round = add(m, SVC_TIMER, SERVICE, "protocol.round", &ok);
    m->message_size = add(m, SVC_HISTOGRAM, LIBRARY, "MESSAGE.SIZE", &ok);
    m->requests = add(m, SVC_TIMER, JETTY, "requests", &ok);
    for (unsigned i = 1; i < 6; i++) {
        char text[32];

        (void)snprintf(text, sizeof text, "%uxx-responses", i);
        m->responses[i] = add(m, SVC_METER, JETTY, text, &ok);
    }
    if (!ok) {
        svc_meters_clear(m);
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the metrics");
    }
    return TDSA_OK;
}

void svc_meters_clear(svc_meters *m)
{
    svc_metrics_free(m->all);
    memset(m, 0, sizeof *m);
}

void svc_meters_attach(svc_meters *m, part_engine *engine, ks *store)
{
    m->engine = engine;
    m->store = store;
}

/* ---- feeding ---- */

void svc_meters_event(void *ctx, part_op_kind op, part_event event, uint64_t duration_us)
{
    svc_meters *m = (svc_meters *)ctx;

    if ((unsigned)op >= PART_OP_COUNT || (unsigned)event > PART_EVENT_TIMEOUT) {
        return;
    }
    svc_metric_mark(m->event[op][event], 1);
    if (event == PART_EVENT_COMPLETED) {
        svc_metric_time(m->duration[op], duration_us);
    }
}

static void count_response(svc_meters *m, unsigned status, uint64_t duration_us)
{
    svc_metric_time(m->requests, duration_us);
    if (status >= 100 && status < 600) {
        svc_metric_mark(m->responses[status / 100], 1);
    }
}

void svc_meters_api(svc_meters *m, const char *operation, unsigned http_status,
                    uint64_t duration_us)
{
    for (unsigned i = 0; i < SVC_OP_COUNT; i++) {
        if (strcmp(svc_rows[i].name, operation) == 0) {
            svc_metric_time(m->api[i], duration_us);
        }
    }
    count_response(m, http_status, duration_us);
}

void svc_meters_round(svc_meters *m, size_t body_len, unsigned http_status, uint64_t duration_us)
{
    svc_metric_time(m->round, duration_us);
    svc_metric_update(m->message_size, (int64_t)body_len);
    count_response(m, http_status, duration_us);
}
