#include "daemon/probes.h"

#include <stdio.h>

#define PING_DEADLINE_MS 800u

static bool well(tdsa_status st, const tdsa_err *err, char *message, size_t cap)
{
    if (st != TDSA_OK) {
        (void)snprintf(message, cap, "%s: %s", tdsa_status_name(st), err->text);
    }
    return st == TDSA_OK;
}

static bool ask_database(void *ctx, char *message, size_t cap)
{
    svc_probes *p = (svc_probes *)ctx;
    tdsa_err err;

    return well(ks_ping(p->store, &err), &err, message, cap);
}

static bool ask_deadlocks(void *ctx, char *message, size_t cap)
{
    svc_probes *p = (svc_probes *)ctx;

    return svc_heartbeat_ok(&p->heartbeat, p->clock.mono_ms(p->clock.ctx), message, cap);
}

static bool ask_wrapping(void *ctx, char *message, size_t cap)
{
    svc_probes *p = (svc_probes *)ctx;
    tdsa_err err;

    return well(ks_key_check(p->store, &err), &err, message, cap);
}

static bool ask_peers(void *ctx, char *message, size_t cap)
{
    svc_probes *p = (svc_probes *)ctx;
    bool ok[GRP_PARTIES_MAX] = {false};
    size_t used;
    tdsa_err err;

    if (part_engine_ping(p->engine, PING_DEADLINE_MS, ok, &err) == TDSA_OK) {
        return true;
    }
    used =
        (size_t)snprintf(message, cap, "%s: %s; silent:", tdsa_status_name(err.status), err.text);
    for (unsigned i = 0; i < p->n && used < cap; i++) {
        if (!ok[i]) {
            used += (size_t)snprintf(message + used, cap - used, " participant %u", i);
        }
    }
    return false;
}

void svc_probes_fill(svc_probes *p, svc_health_cfg *out, svc_check healthcheck[2],
                     svc_check ready[3])
{
    healthcheck[0] = (svc_check){SVC_CHECK_DATABASE, ask_database, p};
    healthcheck[1] = (svc_check){SVC_CHECK_DEADLOCKS, ask_deadlocks, p};
    ready[0] = (svc_check){"database", ask_database, p};
    ready[1] = (svc_check){"wrapping", ask_wrapping, p};
    ready[2] = (svc_check){"peers", ask_peers, p};
    out->checks = healthcheck;
    out->check_count = 2;
    out->ready = ready;
    out->ready_count = 3;
}

static uint64_t now_of(const svc_probes *p)
{
    return p->clock.mono_ms(p->clock.ctx);
}

void svc_probes_beat(svc_probes *p, svc_metrics *metrics)
{
    part_stats engine;
    ks_stats store;

    svc_heartbeat_step(&p->heartbeat, "the engine", now_of(p));
    part_engine_stats(p->engine, &engine);
    svc_heartbeat_step(&p->heartbeat, "the keystore", now_of(p));
    ks_get_stats(p->store, &store);
    svc_heartbeat_step(&p->heartbeat, "the metrics", now_of(p));
    (void)svc_metrics_find(metrics, "");
    svc_heartbeat_step(&p->heartbeat, "", now_of(p));
}
