#define _GNU_SOURCE 1 /* pthread_setname_np */
#include "daemon/daemon.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "admin/admin.h"
#include "api/api.h"
#include "config/participant_cfg.h"
#include "daemon/listener.h"
#include "daemon/meters.h"
#include "daemon/probes.h"
#include "daemon/settings.h"
#include "round/round.h"

#define LOGGER         "daemon"
#define THREADS_MAX    1024u
#define WATCH_MS       1000u
#define DRAIN_POLL_MS  20u
#define CUT_GRACE_MS   500u
#define SILENCE_MS     1000u
#define PORTS_FILE_ENV "TDSA_PORTS_FILE"

struct svc_daemon {
    const tdsa_log *log;
    tdsa_clock clock;
    svc_settings settings;
    cfg_participant *participant;
    ks *store;
    tdsa_os_audit *audit; /* NULL: none is configured */
    part_engine *engine;
    svc_meters meters;
    svc_probes probes;
    svc_health *health;
    svc_admin admin;
    svc_api *api;
    svc_round round;
    svc_listener listeners[SVC_LISTENER_COUNT];
    pthread_t threads[THREADS_MAX];
    unsigned thread_count;
    bool watching;
    pthread_t watchdog;
    atomic_bool ending, drained, engine_stopped;
    uint64_t grace_end_ms;
};

static void sleep_ms(unsigned ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000L};

    while (nanosleep(&t, &t) != 0 && errno == EINTR) {
    }
}

/* ---- what the listeners tell ---- */

static void log_request(const svc_daemon *d, const http_done *done)
{
    if (d->settings.request_log) {
        tdsa_logf(d->log, TDSA_LOG_INFO, "request", "%s \"%s %s\" %u %zu %lluus (request %s)",
                  done->peer, done->method, done->path, done->status, done->reply_len,
                  (unsigned long long)done->duration_us, done->id);
    }
}

static void on_api_done(void *ctx, const char *operation, const http_done *done)
{
    svc_daemon *d = (svc_daemon *)ctx;

    svc_meters_api(&d->meters, operation, done->status, done->duration_us);
    log_request(d, done);
}

static void on_round_done(void *ctx, const http_done *done)
{
    svc_daemon *d = (svc_daemon *)ctx;

    svc_meters_round(&d->meters, done->body_len, done->status, done->duration_us);
    log_request(d, done);
}

static void on_admin_done(void *ctx, const http_done *done)
{
    log_request((const svc_daemon *)ctx, done);
}

/* ---- start ---- */

static tdsa_status open_store(svc_daemon *d, tdsa_err *err)
{
    ks_cfg store = *cfg_participant_keystore(d->participant);

    store.rng = tdsa_os_rng();
    store.clock = d->clock;
    store.log = d->log;
    return ks_open(&d->store, &store, err);
}

static tdsa_status open_audit(svc_daemon *d, const cfg *c, tdsa_err *err)
{
    const char *path = cfg_str(c, "tdsaLibrary.auditLog");
    tdsa_status st = TDSA_OK;

    if (path != NULL) {
        st = tdsa_os_audit_new(&d->audit, path, d->clock, err);
    }
    return st == TDSA_OK ? st : tdsa_err_wrap(err, "tdsaLibrary.auditLog");
}

static tdsa_status make_engine(svc_daemon *d, tdsa_err *err)
{
    part_engine_cfg *engine = (part_engine_cfg *)malloc(sizeof *engine);
    tdsa_status st;

    if (engine == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the engine");
    }
    *engine = *cfg_participant_engine(d->participant);
    engine->store = d->store;
    engine->clock = d->clock;
    engine->rng = tdsa_os_rng();
    engine->log = d->log;
    engine->audit = tdsa_os_audit_table(d->audit);
    engine->on_event = svc_meters_event;
    engine->on_event_ctx = &d->meters;
    st = part_engine_new(&d->engine, engine, err);
    tdsa_wipe(engine, sizeof *engine); /* it held the private keys */
    free(engine);
    return st;
}

static tdsa_status make_health(svc_daemon *d, tdsa_err *err)
{
    svc_check healthcheck[2], ready[3];
    svc_health_cfg health;
    tdsa_status st;

    memset(&health, 0, sizeof health);
    d->probes.store = d->store;
    d->probes.engine = d->engine;
    d->probes.n = cfg_participant_engine(d->participant)->roster.n;
    d->probes.clock = d->clock;
    svc_heartbeat_init(&d->probes.heartbeat, d->clock.mono_ms(d->clock.ctx));
    svc_probes_fill(&d->probes, &health, healthcheck, ready);
    health.monitors = d->settings.monitors;
    health.monitor_count = d->settings.monitor_count;
    health.metrics = d->meters.all;
    health.clock = d->clock;
    st = svc_monitors_check(health.monitors, health.monitor_count, health.metrics, d->log, err);
    return st == TDSA_OK ? svc_health_new(&d->health, &health, err) : st;
}

static tdsa_status make_adapters(svc_daemon *d, tdsa_err *err)
{
    const part_engine_cfg *e = cfg_participant_engine(d->participant);
    svc_api_cfg api = {
        .engine = d->engine,
        .log = d->log,
        .version = TDSA_VERSION,
        .n = e->roster.n,
        .t = e->t,
        .me = e->roster.me,
        .client_index = e->roster.client_index,
        .may_generate = e->may_generate,
        .default_presignature_limit = e->default_presignature_limit,
        .min_path = e->min_path,
        .min_path_xpub = e->min_path_xpub,
        .presign_request_max = e->presign_request_max,
        .base_path = d->settings.listeners[SVC_API].prefix,
        .methods = d->settings.methods,
        .done = on_api_done,
        .done_ctx = d,
    };

    svc_round_init(&d->round, d->engine, d->log, d->settings.waiting_max);
    d->round.done = on_round_done;
    d->round.done_ctx = d;
    d->admin = (svc_admin){
        .metrics = d->meters.all, .health = d->health, .done = on_admin_done, .done_ctx = d};
    return svc_api_new(&d->api, &api, err);
}

/* HTTP says CONFIG for a port that is taken; the file is right, the host is not. */
static tdsa_status listen_on(svc_daemon *d, svc_listener_kind kind, const http_route *routes,
                             size_t count, void *ctx,
                             void (*observer)(void *ctx, const http_done *done), tdsa_err *err)
{
    tdsa_status st = svc_listener_start(&d->listeners[kind], &d->settings.listeners[kind], routes,
                                        count, kind == SVC_PROTOCOL, ctx, observer, err);

    if (st == TDSA_E_CONFIG) {
        err->status = TDSA_E_UNAVAILABLE;
        st = TDSA_E_UNAVAILABLE;
    }
    return st;
}

static tdsa_status start_listeners(svc_daemon *d, tdsa_err *err)
{
    size_t count;
    const http_route *routes = svc_round_routes(&count);
    tdsa_status st = listen_on(d, SVC_PROTOCOL, routes, count, &d->round, svc_round_observe, err);

    if (st == TDSA_OK) {
        routes = svc_api_routes(d->api, &count);
        st = listen_on(d, SVC_API, routes, count, d->api, svc_api_observe, err);
    }
    if (st == TDSA_OK && d->settings.listeners[SVC_ADMIN].wanted) {
        routes = svc_admin_routes(&count);
        st = listen_on(d, SVC_ADMIN, routes, count, &d->admin, svc_admin_observe, err);
    }
    return st;
}

static void *work(void *arg)
{
    part_engine_work((part_engine *)arg);
    return NULL;
}

static void *watch(void *arg)
{
    svc_daemon *d = (svc_daemon *)arg;

    while (!atomic_load(&d->ending)) {
        svc_probes_beat(&d->probes, d->meters.all);
        for (unsigned ms = 0; ms < WATCH_MS && !atomic_load(&d->ending); ms += 50) {
            sleep_ms(50);
        }
    }
    return NULL;
}

static tdsa_status start_threads(svc_daemon *d, tdsa_err *err)
{
    for (; d->thread_count < d->settings.communication_threads; d->thread_count++) {
        char name[16];

        if (pthread_create(&d->threads[d->thread_count], NULL, work, d->engine) != 0) {
            return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "a communication thread cannot be made");
        }
        (void)snprintf(name, sizeof name, "tdsa-comm-%u", d->thread_count % 1000u);
        (void)pthread_setname_np(d->threads[d->thread_count], name);
    }
    if (pthread_create(&d->watchdog, NULL, watch, d) != 0) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "the watchdog thread cannot be made");
    }
    (void)pthread_setname_np(d->watchdog, "tdsa-watchdog");
    d->watching = true;
    return TDSA_OK;
}

static unsigned port_of(const svc_daemon *d, svc_listener_kind kind)
{
    return d->listeners[kind].server != NULL ? http_server_port(d->listeners[kind].server) : 0;
}

/* Tests and the quick start read which ports were free. */
static tdsa_status write_ports(const svc_daemon *d, tdsa_err *err)
{
    const char *path = getenv(PORTS_FILE_ENV);
    char temporary[512];
    FILE *f;
    bool ok;

    if (path == NULL || path[0] == '\0') {
        return TDSA_OK;
    }
    if (snprintf(temporary, sizeof temporary, "%s.new", path) >= (int)sizeof temporary) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, PORTS_FILE_ENV " is too long");
    }
    f = fopen(temporary, "we");
    if (f == NULL) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, PORTS_FILE_ENV ": %s cannot be written", temporary);
    }
    ok = fprintf(f, "protocol=%u\napi=%u\nadmin=%u\n", port_of(d, SVC_PROTOCOL),
                 port_of(d, SVC_API), port_of(d, SVC_ADMIN)) > 0;
    ok = fclose(f) == 0 && ok;
    if (!ok || rename(temporary, path) != 0) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, PORTS_FILE_ENV ": %s cannot be written", path);
    }
    return TDSA_OK;
}

static void announce(const svc_daemon *d)
{
    const part_engine_cfg *e = cfg_participant_engine(d->participant);
    char admin[16] = "none";

    if (d->listeners[SVC_ADMIN].server == NULL) {
        tdsa_logf(d->log, TDSA_LOG_INFO, LOGGER,
                  "server.adminConnectors is not set: no admin port, no health checks");
    } else {
        (void)snprintf(admin, sizeof admin, "%u", port_of(d, SVC_ADMIN));
    }
    tdsa_logf(d->log, TDSA_LOG_INFO, LOGGER,
              "ready: participant %u of %u, threshold %u, version %s, ports protocol=%u api=%u "
              "admin=%s",
              (unsigned)e->roster.me, (unsigned)e->roster.n, (unsigned)e->t, TDSA_VERSION,
              port_of(d, SVC_PROTOCOL), port_of(d, SVC_API), admin);
}

static tdsa_status apply_process(const svc_settings *s, tdsa_err *err)
{
    struct rlimit limit;

    if (s->umask >= 0) {
        (void)umask((mode_t)s->umask);
    }
    if (s->file_limit > 0) {
        if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
            return TDSA_FAIL(err, TDSA_E_UNAVAILABLE, "the limit of open files cannot be read");
        }
        limit.rlim_cur = (rlim_t)s->file_limit;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            return TDSA_FAIL(err, TDSA_E_CONFIG,
                             "server.nofileSoftLimit: %ld is not allowed here (hard limit %llu)",
                             s->file_limit, (unsigned long long)limit.rlim_max);
        }
    }
    return TDSA_OK;
}

static tdsa_status start(svc_daemon *d, const cfg *c, tdsa_err *err)
{
    tdsa_status st = svc_settings_read(&d->settings, c, err);

    if (st == TDSA_OK) {
        st = apply_process(&d->settings, err);
    }
    if (st == TDSA_OK) {
        st = cfg_participant_new(&d->participant, c, d->log, err);
    }
    if (st == TDSA_OK) {
        st = svc_meters_init(&d->meters, d->clock, err);
    }
    if (st == TDSA_OK) {
        st = open_audit(d, c, err);
    }
    if (st == TDSA_OK) {
        st = open_store(d, err);
    }
    if (st == TDSA_OK) {
        st = make_engine(d, err);
    }
    if (st == TDSA_OK) {
        svc_meters_attach(&d->meters, d->engine, d->store);
        st = make_health(d, err);
    }
    if (st == TDSA_OK) {
        st = make_adapters(d, err);
    }
    if (st == TDSA_OK) {
        st = start_threads(d, err);
    }
    if (st == TDSA_OK) {
        st = start_listeners(d, err);
    }
    return st;
}

tdsa_status svc_daemon_start(svc_daemon **out, const cfg *c, const svc_log *log, tdsa_err *err)
{
    svc_daemon *d = (svc_daemon *)calloc(1, sizeof *d);
    tdsa_status st;

    *out = NULL;
    if (d == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the service");
    }
    d->log = svc_log_sink(log);
    d->clock = tdsa_os_clock();
    atomic_init(&d->ending, false);
    atomic_init(&d->drained, false);
    atomic_init(&d->engine_stopped, false);
    st = start(d, c, err);
    if (st != TDSA_OK) {
        svc_daemon_free(d);
        return st;
    }
    *out = d;
    return TDSA_OK;
}

tdsa_status svc_daemon_announce(const svc_daemon *d, tdsa_err *err)
{
    tdsa_status st = write_ports(d, err);

    if (st == TDSA_OK) {
        announce(d);
    }
    return st;
}

/* ---- stop ---- */

static bool same_work(const part_stats *a, const part_stats *b)
{
    return a->heard == b->heard && a->runs == b->runs &&
           a->exchanges_waiting == b->exchanges_waiting && a->replies_waiting == b->replies_waiting;
}

/* Waits until no run is under way here, or nothing moves any more in those that are: whoever began them was
 * restarted, say, and will never end them. No caller waits for such a run: the API port has ended. True
 * when that came in time. */
static bool drain(const svc_daemon *d, uint64_t until_ms)
{
    uint64_t moved_ms = d->clock.mono_ms(d->clock.ctx);
    part_stats before = {0};
    part_stats s;

    for (;;) {
        const uint64_t now = d->clock.mono_ms(d->clock.ctx);

        part_engine_stats(d->engine, &s);
        if (s.runs == 0 && s.exchanges_waiting == 0 && s.replies_waiting == 0) {
            return true;
        }
        if (!same_work(&s, &before)) {
            before = s;
            moved_ms = now;
        } else if (now - moved_ms >= SILENCE_MS) {
            return true;
        }
        if (now >= until_ms) {
            return false;
        }
        sleep_ms(DRAIN_POLL_MS);
    }
}

static uint32_t left_until(const svc_daemon *d, uint64_t until_ms)
{
    uint64_t now = d->clock.mono_ms(d->clock.ctx);

    return now >= until_ms ? CUT_GRACE_MS : (uint32_t)(until_ms - now);
}

static size_t stop_listener(svc_daemon *d, svc_listener_kind kind, uint32_t grace_ms)
{
    return d->listeners[kind].server != NULL ? http_server_stop(d->listeners[kind].server, grace_ms)
                                             : 0;
}

static void stop_engine(svc_daemon *d)
{
    if (d->engine != NULL && !atomic_exchange(&d->engine_stopped, true)) {
        part_engine_stop(d->engine);
    }
}

/* Handlers of the API port wait inside the engine, for a whole session timeout if a peer hangs. When
 * the grace is over they are called back. */
static void *cut_after_grace(void *arg)
{
    svc_daemon *d = (svc_daemon *)arg;

    while (!atomic_load(&d->drained)) {
        if (d->clock.mono_ms(d->clock.ctx) >= d->grace_end_ms) {
            stop_engine(d);
            break;
        }
        sleep_ms(DRAIN_POLL_MS);
    }
    return NULL;
}

void svc_daemon_stop(svc_daemon *d)
{
    uint64_t until = d->clock.mono_ms(d->clock.ctx) + d->settings.grace_ms;
    pthread_t cutter;
    size_t cut;
    bool drained, cutting;

    tdsa_logf(d->log, TDSA_LOG_INFO, LOGGER, "stopping: finishing what runs, for %u ms at most",
              d->settings.grace_ms);
    svc_health_stopping(d->health);
    d->grace_end_ms = until;
    cutting = pthread_create(&cutter, NULL, cut_after_grace, d) == 0;
    cut = stop_listener(d, SVC_API, left_until(d, until));
    drained = drain(d, until);
    stop_engine(d);
    part_engine_forget(d->engine); /* answers whoever still waits */
    cut += stop_listener(d, SVC_PROTOCOL, left_until(d, until));
    atomic_store(&d->drained, true);
    if (cutting) {
        (void)pthread_join(cutter, NULL);
    }
    if (cut > 0 || !drained) {
        tdsa_logf(d->log, TDSA_LOG_WARN, LOGGER,
                  "shutdownGracePeriod is over: %zu requests were cut off", cut);
    }
    (void)stop_listener(d, SVC_ADMIN, CUT_GRACE_MS);
    tdsa_logf(d->log, TDSA_LOG_INFO, LOGGER, "stopped");
}

void svc_daemon_free(svc_daemon *d)
{
    if (d == NULL) {
        return;
    }
    atomic_store(&d->ending, true);
    stop_engine(d); /* handlers that wait in it come back */
    for (unsigned i = 0; i < SVC_LISTENER_COUNT; i++) {
        http_server_free(d->listeners[i].server);
    }
    for (unsigned i = 0; i < d->thread_count; i++) {
        (void)pthread_join(d->threads[i], NULL);
    }
    if (d->watching) {
        (void)pthread_join(d->watchdog, NULL);
    }
    svc_api_free(d->api);
    svc_health_free(d->health);
    part_engine_free(d->engine);
    tdsa_os_audit_free(d->audit);
    ks_close(d->store);
    svc_meters_clear(&d->meters);
    cfg_participant_free(d->participant);
    free(d);
}

tdsa_status svc_daemon_check(const cfg *c, const svc_log *log, tdsa_err *err)
{
    svc_settings *settings = (svc_settings *)calloc(1, sizeof *settings);
    cfg_participant *p = NULL;
    svc_meters meters;
    tdsa_status st;

    memset(&meters, 0, sizeof meters);
    if (settings == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the settings");
    }
    st = svc_settings_read(settings, c, err);
    if (st == TDSA_OK) {
        st = cfg_participant_new(&p, c, svc_log_sink(log), err);
    }
    if (st == TDSA_OK) {
        st = svc_meters_init(&meters, tdsa_os_clock(), err);
    }
    if (st == TDSA_OK) {
        st = svc_monitors_check(settings->monitors, settings->monitor_count, meters.all,
                                svc_log_sink(log), err);
    }
    svc_meters_clear(&meters);
    cfg_participant_free(p);
    free(settings);
    return st;
}
