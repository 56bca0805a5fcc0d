#include "sim/sim_scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- who they are ---- */

static void choose_group(sim_cfg *c, uint64_t seed)
{
    static const struct {
        uint16_t n, t, weight;
    } sizes[] = {{3, 1, 56}, {4, 1, 28}, {5, 1, 8}, {5, 2, 5}, {7, 3, 2}, {9, 4, 1}};
    uint64_t h = (seed ^ 0x5eed) * 0x9e3779b97f4a7c15ull;
    uint64_t dice = (h >> 33) % 100;
    size_t i = 0;

    while (dice >= sizes[i].weight) {
        dice -= sizes[i].weight;
        i++;
    }
    c->n = sizes[i].n;
    c->t = sizes[i].t;
    h = (h ^ (h >> 29)) * 0xbf58476d1ce4e5b9ull;
    c->with_client = (h >> 40) % 3 != 0;
    c->clients = (uint16_t)(c->with_client && (h >> 44) % 3 == 0 ? 2 : 1);
    c->skewed = (h >> 48) % 3 == 0;
    c->delay_max_ms = 1;
    c->background = (h >> 52) % 4 != 0;
    c->counter_files = (h >> 50) % 2 != 0;
    c->ahead_len = (h >> 46) % 2 != 0 ? 2 : 0;
    if ((h >> 54) % 3 == 0) {
        c->keep_low = 1 + (unsigned)(h >> 56) % 8;
        c->keep_high = c->keep_low + (unsigned)(h >> 59) % 8;
    }
}

/* ---- faults that come and go ---- */

/* Everybody is in one of the groups 0, 1, 2: nothing passes between two of them. */
static void cut_groups(sim *s, unsigned groups)
{
    unsigned of[GRP_PARTIES_MAX];

    for (uint16_t i = 0; i < s->cfg.n; i++) {
        of[i] = (unsigned)sim_random(s, groups);
    }
    for (uint16_t i = 0; i < s->cfg.n; i++) {
        for (uint16_t j = 0; j < s->cfg.n; j++) {
            s->cut[i][j] = of[i] != of[j];
        }
    }
}

static void cut_some(sim *s)
{
    memset(s->cut, 0, sizeof s->cut);
    switch (sim_random(s, 4)) {
    case 0:
        cut_groups(s, 2);
        break;
    case 1:
        for (uint16_t i = 0; i < s->cfg.n; i++) { /* everybody alone */
            for (uint16_t j = 0; j < s->cfg.n; j++) {
                s->cut[i][j] = i != j;
            }
        }
        break;
    case 2:
        cut_groups(s, 3);
        break;
    default: /* one direction of one line */
        s->cut[sim_random(s, s->cfg.n)][sim_random(s, s->cfg.n)] = true;
        break;
    }
}

typedef enum {
    PHASE_QUIET,
    PHASE_LOSSY,
    PHASE_SLOW,
    PHASE_CRASHES,
    PHASE_CUT,
    PHASE_FLAPPING,
    PHASE_DISK,
    PHASE_TORN,
    PHASE_CLOCK,
    PHASE_LIAR,
    PHASE_STORM,
    PHASE_PUT_BACK,
    PHASE_COUNT
} phase;

static void no_faults(sim *s)
{
    const sim_cfg c = s->cfg;

    s->cfg = (sim_cfg){.seed = c.seed,
                       .n = c.n,
                       .t = c.t,
                       .with_client = c.with_client,
                       .clients = c.clients,
                       .background = c.background,
                       .keep_low = c.keep_low,
                       .keep_high = c.keep_high,
                       .counter_files = c.counter_files,
                       .skewed = c.skewed,
                       .ahead_len = c.ahead_len,
                       .delay_max_ms = 1 + (uint32_t)sim_random(s, 20)};
    memset(s->cut, 0, sizeof s->cut);
    s->liars = 0;
}

static void lossy(sim *s)
{
    s->cfg.drop_permille = (unsigned)sim_random(s, 60);
    s->cfg.hang_permille = (unsigned)sim_random(s, 600);
    s->cfg.dup_permille = (unsigned)sim_random(s, 150);
    s->cfg.stale_permille = (unsigned)sim_random(s, 400);
    s->cfg.corrupt_permille = (unsigned)sim_random(s, 15);
    s->cfg.http_permille = (unsigned)sim_random(s, 10);
    s->cfg.step_permille = (unsigned)sim_random(s, 500);
    s->cfg.delay_max_ms = 1 + (uint32_t)sim_random(s, 80);
}

static void jump_clocks(sim *s)
{
    for (uint16_t i = 0; i < sim_nodes(s); i++) {
        if (sim_random(s, 2) == 0) { /* up to a day, forwards or back */
            s->node[i].wall_offset_ms += (int64_t)sim_random(s, 172800000) - 86400000;
        }
    }
}

static void choose_liars(sim *s)
{
    const uint64_t count = 1 + sim_random(s, s->cfg.t);

    for (uint64_t i = 0; i < count; i++) {
        s->liars |= 1u << sim_random(s, s->cfg.n);
    }
    s->cfg.lie_permille = 20 + (unsigned)sim_random(s, 300);
}

/* A copy of some disks: with the second copies of the counters of as many as all, else so many that
 * of each committee somebody stays who knows what it burnt. */
static void save_disks(sim *s)
{
    const uint64_t count = 1 + sim_random(s, s->cfg.counter_files ? s->cfg.n : 2u * s->cfg.t);

    for (uint16_t i = 0; i < s->cfg.n; i++) {
        sim_disk_drop_copy(s, i);
    }
    for (uint64_t i = 0; i < count; i++) {
        sim_disk_save(s, (uint16_t)sim_random(s, s->cfg.n));
    }
}

static void put_back(sim *s)
{
    uint32_t mask = 0;

    for (uint16_t i = 0; i < s->cfg.n; i++) {
        mask |= sim_disk_put_back(s, i) ? 1u << i : 0;
    }
    sim_disks_judge(s, mask);
    for (uint16_t i = 0; i < sim_nodes(s); i++) {
        sim_start(s, i);
    }
}

static void enter(sim *s, phase p)
{
    no_faults(s);
    switch (p) {
    case PHASE_QUIET:
        break;
    case PHASE_LOSSY:
        lossy(s);
        break;
    case PHASE_SLOW:
        s->cfg.delay_max_ms = 100 + (uint32_t)sim_random(s, 3000);
        s->cfg.step_permille = (unsigned)sim_random(s, 1000);
        break;
    case PHASE_CRASHES:
        s->cfg.crash_permille = 2 + (unsigned)sim_random(s, 20);
        break;
    case PHASE_CUT:
    case PHASE_FLAPPING:
        s->cfg.hang_permille = (unsigned)sim_random(s, 1000);
        cut_some(s);
        break;
    case PHASE_DISK:
        s->cfg.store_permille = 5 + (unsigned)sim_random(s, 150);
        break;
    case PHASE_TORN:
        s->cfg.torn_permille = 5 + (unsigned)sim_random(s, 60);
        s->cfg.crash_permille = 15; /* which also starts who is down */
        break;
    case PHASE_CLOCK:
        jump_clocks(s);
        s->cfg.crash_permille = (unsigned)sim_random(s, 10);
        break;
    case PHASE_LIAR:
        choose_liars(s);
        break;
    case PHASE_STORM:
        lossy(s);
        s->cfg.crash_permille = (unsigned)sim_random(s, 8);
        s->cfg.store_permille = (unsigned)sim_random(s, 30);
        s->cfg.torn_permille = (unsigned)sim_random(s, 20);
        break;
    case PHASE_PUT_BACK:
        save_disks(s);
        s->cfg.crash_permille = (unsigned)sim_random(s, 8);
        break;
    case PHASE_COUNT:
        break;
    }
}

/* ---- living ---- */

static void run_phase(sim_life *l, phase p, unsigned steps)
{
    sim *s = l->s;

    enter(s, p);
    l->rate = 2 + (unsigned)sim_random(s, 24);
    for (unsigned i = 0; i < steps; i++) {
        if (p == PHASE_FLAPPING && i % 16 == 0) {
            memset(s->cut, 0, sizeof s->cut);
            if (sim_random(s, 2) == 0) {
                cut_some(s);
            }
        }
        if (p == PHASE_PUT_BACK && i == steps * 3 / 4) {
            put_back(s);
        }
        if (sim_random(s, l->rate) == 0) {
            sim_act_begin(l);
        }
        (void)sim_step(s, s->now_ms + 500);
        sim_act_poll(l);
    }
    for (uint16_t i = 0; i < sim_nodes(s); i++) { /* nobody stays down or locked for long */
        tdsa_err err;
        if (sim_random(s, 2) == 0) {
            sim_start(s, i);
        }
        if (s->node[i].part != NULL && sim_random(s, 2) == 0 &&
            ks_unlock(s->node[i].store, NULL, 0, &err) != TDSA_OK) {
            continue; /* the store failed */
        }
    }
}

/* Time passes until sessions, ranges and caches are given up. */
static void rest(sim_life *l)
{
    static const uint64_t spans[] = {6000, 30000, 700000, 1000000, 4000000};
    const uint64_t until = l->s->now_ms + spans[sim_random(l->s, 5)];

    while (l->s->now_ms < until && sim_step(l->s, until)) {
        sim_act_poll(l);
    }
    sim_act_poll(l);
}

static void live(sim_life *l)
{
    sim *s = l->s;
    const unsigned share = s->cfg.n <= 4 ? 1 : s->cfg.n <= 5 ? 2 : 4;
    const unsigned phases = 3 + (unsigned)sim_random(s, 4);

    if (sim_random(s, 4) != 0) {
        sim_act_make_key(l, 0);
    }
    for (unsigned i = 0; i < phases; i++) {
        const uint64_t p = sim_random(s, PHASE_COUNT);
        run_phase(l, (phase)p, (40 + (unsigned)sim_random(s, 160)) / share);
        if (sim_random(s, 3) == 0) {
            rest(l);
        }
    }
}

/* ---- afterwards ---- */

static void settle(sim_life *l)
{
    const uint64_t until = l->s->now_ms + 300000;

    sim_heal(l->s);
    while (l->s->now_ms < until && sim_step(l->s, until)) {
        sim_act_poll(l);
    }
    sim_act_poll(l);
}

/* The limit that somebody set at this participant is not what is tested here. */
static void lift_limits(sim_life *l, const char *key_id)
{
    for (uint16_t i = 0; i < sim_nodes(l->s); i++) {
        tdsa_err err;
        const tdsa_status st = part_set_limit(l->s->node[i].part, key_id, -1, &err);
        if (st != TDSA_E_NOT_FOUND) { /* it may have left the key */
            sim_must(l->s, st, "limit", &err);
        }
    }
}

static void check_keys_sign(sim_life *l)
{
    sim *s = l->s;

    sim_check_keys(s);
    for (const sim_key *k = s->keys; k != NULL; k = k->next) {
        if (!k->active || k->deleted) {
            continue;
        }
        lift_limits(l, k->key_id);
        sim_act_must_sign(l, sim_somebody(l), k->key_id);
        if (s->cfg.n <= 5) {
            sim_act_must_sign(l, sim_somebody(l), k->key_id);
        }
    }
}

/* What was deleted halfway is deleted now. */
static void finish_deletions(sim_life *l)
{
    sim *s = l->s;
    part_result none;
    tdsa_err err;

    for (const sim_key *k = s->keys; k != NULL; k = k->next) {
        for (uint16_t i = 0; k->deleted && i < s->cfg.n && (i == 0 || !s->cfg.with_client); i++) {
            const uint64_t id =
                part_start_delete(s->node[i].part, k->key_id, PART_GRACE_DEFAULT, 0, &err);
            const tdsa_status st = sim_finish(s, i, id, &none, &err);
            if (st != TDSA_OK && st != TDSA_E_NOT_FOUND) {
                sim_fail(s, "a key is not deleted", err.text);
            }
        }
    }
}

static void check_nothing_stays(sim_life *l)
{
    sim *s = l->s;

    for (unsigned i = 0; i < SIM_ACTS; i++) {
        if (l->act[i].id != PART_OP_NONE) {
            sim_fail(s, "I5", "an operation does not end");
        }
    }
    finish_deletions(l);
    sim_idle(s, 4000000);
    sim_check_bounds(s);
}

/* The same again must not take more memory than before. Presignatures that are kept take some. */
static void check_steady(sim_life *l)
{
    sim *s = l->s;
    uint64_t held[3] = {0};

    for (unsigned i = 0; i < 3; i++) {
        for (const sim_key *k = s->keys; k != NULL; k = k->next) {
            if (k->active && !k->deleted) {
                sim_act_must_sign(l, 0, k->key_id);
            }
        }
        sim_idle(s, 4000000);
        for (uint16_t j = 0; j < sim_nodes(s); j++) {
            part_forget(s->node[j].part);
        }
        for (const sim_key *k = s->keys; k != NULL; k = k->next) {
            for (uint16_t j = 0; j < s->cfg.n && k->active && !k->deleted; j++) {
                uint64_t dropped = 0;
                tdsa_err err;
                sim_must(s, part_purge(s->node[j].part, k->key_id, &dropped, &err), "purge", &err);
            }
        }
        sim_flush(s);
        held[i] = sim_allocated();
    }
    if (held[2] > held[1]) {
        sim_fail(s, "I5", "memory grows with the same work");
    }
}

void sim_scenario(const sim_scenario_cfg *cfg, sim_scenario_result *out)
{
    sim_cfg c = {.seed = cfg->seed};
    sim_life l = {.may_delete = true};

    choose_group(&c, cfg->seed);
    l.s = sim_new(&c);
    l.s->plant = cfg->plant;
    live(&l);
    settle(&l);
    sim_check_rollback(l.s);
    check_keys_sign(&l);
    check_nothing_stays(&l);
    if (cfg->seed % 8 == 0 && c.n <= 4) {
        check_steady(&l);
    }
    *out = (sim_scenario_result){.trace = sim_trace(l.s),
                                 .events = sim_events(l.s),
                                 .operations = l.operations,
                                 .signatures = l.s->releases,
                                 .keys = l.s->keygens,
                                 .put_back = l.s->put_back};
    sim_free(l.s);
}
