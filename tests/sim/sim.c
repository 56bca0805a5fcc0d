#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/sim_internal.h"
#include "support/roster.h"

#define WALL_START_MS 1700000000000ull

static char *fail_into;

void sim_fail_into(char *why)
{
    fail_into = why;
}

_Noreturn void sim_fail(const sim *s, const char *what, const char *detail)
{
    if (fail_into != NULL) {
        (void)snprintf(fail_into, SIM_WHY_MAX, "%s: %s", what, detail);
    }
    (void)fprintf(stderr, "SEED=%" PRIu64 " event %" PRIu64 " at %" PRIu64 " ms: %s: %s\n",
                  s->cfg.seed, s->events, s->now_ms, what, detail);
    abort();
}

void sim_must(const sim *s, tdsa_status st, const char *what, const tdsa_err *err)
{
    if (st != TDSA_OK) {
        sim_fail(s, what, err->text);
    }
}

/* ---- chance and time ---- */

/* splitmix64: small, and the same everywhere */
static uint64_t mix(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

uint64_t sim_random(sim *s, uint64_t below)
{
    return mix(&s->random) % below;
}

bool sim_chance(sim *s, unsigned permille)
{
    return !s->healed && permille > 0 && sim_random(s, 1000) < permille;
}

void sim_note(sim *s, uint64_t value)
{
    uint64_t h = s->trace ^ value;

    s->trace = mix(&h);
}

uint64_t sim_now(const sim *s)
{
    return s->now_ms;
}

uint64_t sim_events(const sim *s)
{
    return s->events;
}

uint64_t sim_trace(const sim *s)
{
    return s->trace;
}

uint64_t sim_mono(const sim_node *n)
{
    return n->mono_from + (n->sim->now_ms - n->mono_at) * n->rate / 1000;
}

uint64_t sim_time_of(const sim_node *n, uint64_t mono)
{
    if (mono == UINT64_MAX) {
        return UINT64_MAX;
    }
    return mono <= n->mono_from
               ? n->mono_at
               : n->mono_at + ((mono - n->mono_from) * 1000 + n->rate - 1) / n->rate;
}

static uint64_t clock_mono(void *ctx)
{
    return sim_mono(ctx);
}

static uint64_t clock_wall(void *ctx)
{
    const sim_node *n = ctx;

    return (uint64_t)((int64_t)(WALL_START_MS + n->sim->now_ms) + n->wall_offset_ms);
}

static tdsa_status rng_fill(void *ctx, uint8_t *out, size_t len, tdsa_err *err)
{
    sim *s = ctx;

    (void)err;
    for (size_t i = 0; i < len; i += 8) {
        const uint64_t v = mix(&s->entropy);
        memcpy(out + i, &v, len - i < 8 ? len - i : 8);
    }
    return TDSA_OK;
}

static void log_line(void *ctx, tdsa_log_level level, const char *logger, const char *text)
{
    const sim_node *n = ctx;
    const sim *s = n->sim;

    (void)logger;
    (void)fprintf(stderr, "%8" PRIu64 " %d [%td] %s\n", s->now_ms, (int)level, n - s->node, text);
}

/* ---- building ---- */

uint16_t sim_nodes(const sim *s)
{
    return (uint16_t)(s->cfg.n + (s->cfg.clients > 1 ? s->cfg.clients - 1 : 0));
}

part *sim_part(sim *s, uint16_t index)
{
    s->node[index].touched = true; /* the caller is going to do something with it */
    return s->node[index].part;
}

ks *sim_store(sim *s, uint16_t index)
{
    sim_node *n = &s->node[index];

    return n->store != NULL ? n->store : s->disk[n->index].inspector;
}

bool sim_is_up(const sim *s, uint16_t index)
{
    return s->node[index].part != NULL;
}

void sim_touch(sim *s, uint16_t node)
{
    s->node[node].touched = true;
}

static void make_rosters(sim *s)
{
    const roster_spec spec = {.n = s->cfg.n,
                              .with_client = s->cfg.with_client,
                              .group_id = "simulated group",
                              .rng = {rng_fill, s}};
    peer_roster *rosters[GRP_PARTIES_MAX] = {NULL};

    for (uint16_t i = sim_nodes(s); i > 0; i--) {
        rosters[s->node[i - 1].index] = &s->node[i - 1].cfg.roster;
    }
    roster_make(rosters, &spec);
    for (uint16_t i = 0; i < sim_nodes(s); i++) { /* other processes of a participant */
        peer_roster *r = &s->node[i].cfg.roster;
        if (r != rosters[s->node[i].index]) {
            *r = *rosters[s->node[i].index];
        }
    }
}

/* One simulator at a time prints. */
static tdsa_log sim_logs[SIM_NODES_MAX];

static void make_node(sim *s, uint16_t i)
{
    sim_node *n = &s->node[i];
    part_engine_cfg *c = &n->cfg;

    sim_logs[i] = (tdsa_log){getenv("TDSA_SIM_LOG") != NULL ? log_line : NULL, n};
    c->t = s->cfg.t;
    c->may_generate = true;
    c->session_timeout_ms = 10000;
    c->retries = 2;
    c->retry_delay_ms = 200;
    c->deadline_ms = 4000;
    c->default_presignature_limit = -1;
    c->presign_batch_min = 2;
    c->presign_batch_max = 8;
    c->clock = (tdsa_clock){clock_mono, clock_wall, n};
    c->rng = (tdsa_rng){rng_fill, s};
    c->log = &sim_logs[i];
    c->deletion_grace_ms = s->cfg.grace_ms;
    c->deletion_grace_min_ms = s->cfg.grace_ms;
    c->deletion_grace_max_ms = 10 * s->cfg.grace_ms;
    c->partial_timeout_ms = 60000;
    c->presign_low = s->cfg.keep_low;
    c->presign_high = s->cfg.keep_high;
    n->rate = 1000;
    n->mono_at = s->now_ms;
    n->mono_from = s->now_ms;
    if (s->cfg.skewed) {
        n->rate = 980 + sim_random(s, 41);
        n->mono_from = 1000 + sim_random(s, 1000000000);
        n->wall_offset_ms = (int64_t)sim_random(s, 7200000) - 3600000;
    }
}

sim *sim_new(const sim_cfg *cfg)
{
    sim *s = sim_take(sizeof *s);
    tdsa_err err;

    s->cfg = *cfg;
    s->now_ms = 1000000;
    s->random = cfg->seed;
    s->entropy = cfg->seed ^ 0x7464736120736565ull;
    s->allocated = sim_allocated();
    sim_ledger_open(s);
    for (size_t i = GRP_P256; i < GRP_CURVE_END; i++) {
        if (grp_open(&s->groups[i], (grp_curve)i, &err) != TDSA_OK) {
            s->groups[i] = NULL; /* a curve that is not built */
        }
    }
    for (uint16_t i = 0; i < sim_nodes(s); i++) {
        s->node[i].sim = s;
        s->node[i].index = i < cfg->n ? i : 0;
    }
    make_rosters(s);
    for (uint16_t i = 0; i < sim_nodes(s); i++) {
        make_node(s, i);
    }
    s->healed = true; /* nothing fails yet */
    for (uint16_t i = 0; i < cfg->n; i++) {
        sim_disk_new(s, i);
    }
    for (uint16_t i = 0; i < sim_nodes(s); i++) {
        sim_start(s, i);
    }
    s->healed = false;
    return s;
}

static void end_process(sim_node *n)
{
    sim_end_step(n);
    sim_end_lease(n);
    part_free(n->part);
    ks_close(n->store);
    n->part = NULL;
    n->store = NULL;
    n->tell_op = PART_OP_NONE;
    n->doomed = false;
    n->life++;
}

void sim_free(sim *s)
{
    for (uint16_t i = 0; i < sim_nodes(s); i++) {
        end_process(&s->node[i]);
    }
    sim_net_free(s);
    for (uint16_t i = 0; i < s->cfg.n; i++) {
        sim_disk_free(s, i);
    }
    sim_check_free(s);
    for (size_t i = GRP_P256; i < GRP_CURVE_END; i++) {
        grp_close(s->groups[i]);
    }
    if (sim_allocated() != s->allocated) {
        char what[64];
        (void)snprintf(what, sizeof what, "%lld pieces of memory",
                       (long long)(sim_allocated() - s->allocated));
        sim_fail(s, "I5: not given back", what);
    }
    sim_ledger_open(NULL);
    sim_dh_forget();
    sim_give(s);
}

/* ---- life and death ---- */

static tdsa_status start(sim *s, uint16_t index, tdsa_err *err)
{
    sim_node *n = &s->node[index];
    char path[8];
    const ks_cfg store = {.backend = "memory",
                          .path = path,
                          .create_tables = true,
                          .encryptor = KS_ENCRYPTOR_AESGCM,
                          .encryption_key = "simulated",
                          .unlock_at_open = true,
                          .counter_file = s->cfg.counter_files ? path : NULL,
                          .rng = n->cfg.rng,
                          .clock = n->cfg.clock,
                          .log = n->cfg.log};
    tdsa_status st;

    (void)snprintf(path, sizeof path, "%u", n->index);
    s->opening = index;
    st = ks_open(&n->store, &store, err);
    if (st == TDSA_OK) {
        n->cfg.store = n->store;
        st = part_new(&n->part, &n->cfg, err);
    }
    if (st == TDSA_OK && s->cfg.ahead_len > 0) {
        n->part->ahead_len = s->cfg.ahead_len;
    }
    if (st == TDSA_OK && s->cfg.background && !(s->cfg.with_client && n->index == 0)) {
        part_set_background(n->part);
    }
    return st;
}

void sim_start(sim *s, uint16_t index)
{
    sim_node *n = &s->node[index];
    tdsa_err err;
    tdsa_status st;

    if (n->part != NULL) {
        return;
    }
    if (s->cfg.skewed && !s->healed && sim_random(s, 3) == 0) { /* the host was started again */
        n->mono_at = s->now_ms;
        n->mono_from = sim_random(s, 100000);
    }
    st = start(s, index, &err);
    if (st != TDSA_OK || n->doomed) {
        if (s->healed) {
            sim_fail(s, "start", err.text);
        }
        end_process(n);
        return;
    }
    n->touched = true;
}

void sim_crash(sim *s, uint16_t index)
{
    if (s->node[index].part != NULL) {
        sim_break_tickets(s, index);
        s->node[index].doomed = true; /* what it would do at a proper end nobody sees */
        end_process(&s->node[index]);
        sim_note(s, 0xdead0000u + index);
    }
}

void sim_bury(sim *s, uint16_t node)
{
    if (s->node[node].doomed) {
        sim_crash(s, node);
    }
}

void sim_heal(sim *s)
{
    s->healed = true;
    s->liars = 0;
    s->cfg.delay_max_ms = s->cfg.delay_max_ms < 20 ? s->cfg.delay_max_ms : 20;
    memset(s->cut, 0, sizeof s->cut);
    for (uint16_t i = 0; i < sim_nodes(s); i++) {
        tdsa_err err;
        sim_bury(s, i);
        sim_start(s, i);
        sim_must(s, ks_unlock(s->node[i].store, NULL, 0, &err), "unlock", &err);
    }
    sim_flush(s);
}
