#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "participant/internal.h"
#include "sim/sim_internal.h"

/*
 * Many operations at the same time, begun at random by everybody who may coordinate: signatures with
 * long and short deadlines, presigning, purges, deletions, logouts, health checks; under lost,
 * repeated and changed messages and crashes. What holds always is checked on the way (I1, I4) and
 * after the faults (I3, I5).
 *
 *   TDSA_SIM_SEED=n   run this seed only        TDSA_SIM_COUNT=n   run n seeds
 */

#define SEEDS_DEFAULT 60u
#define KEYS          3u
#define OPS_MAX       24u
#define STEPS         1500u

typedef struct {
    uint64_t id; /* PART_OP_NONE: free */
    uint16_t who;
    unsigned life, key;
    bool signs;
    uint8_t digest[32];
} load_op;

typedef struct {
    sim *s;
    sim_cfg cfg;
    char key_id[KEYS][KS_KEY_ID_MAX + 1];
    bool deleted[KEYS]; /* somebody tried to */
    load_op op[OPS_MAX];
    unsigned signatures;
    uint32_t tag;
} load;

static sim_cfg cfg_of(uint64_t seed)
{
    sim_cfg cfg = {.seed = seed, .n = 3, .t = 1, .with_client = seed % 2 == 0};

    if (seed % 5 == 0) {
        cfg.n = 5;
        cfg.t = (uint16_t)(1 + seed / 5 % 2);
    }
    cfg.drop_permille = (unsigned)(seed * 7 % 40);
    cfg.dup_permille = (unsigned)(seed * 5 % 100);
    cfg.crash_permille = (unsigned)(seed % 3 == 0 ? seed % 6 : 0);
    cfg.corrupt_permille = (unsigned)(seed * 11 % 8);
    cfg.delay_max_ms = 1 + (uint32_t)(seed * 13 % 60);
    return cfg;
}

static uint16_t somebody(load *l)
{
    return l->cfg.with_client ? 0 : (uint16_t)sim_random(l->s, l->cfg.n);
}

static uint32_t some_deadline(load *l)
{
    return sim_random(l->s, 4) == 0 ? 1 + (uint32_t)sim_random(l->s, 300) : 4000;
}

static uint64_t start_sign(load *l, load_op *o, tdsa_err *err)
{
    const part_sign_request req = {.key_id = l->key_id[o->key],
                                   .digest_alg = TDSA_HASH_SHA256,
                                   .payload = o->digest,
                                   .payload_len = 32};

    o->signs = true;
    l->tag++;
    o->digest[0] = 1;
    memcpy(o->digest + 1, &l->tag, sizeof l->tag);
    return part_start_sign(sim_part(l->s, o->who), &req, some_deadline(l), err);
}

static void begin(load *l, load_op *o)
{
    const char *key_id = NULL;
    uint64_t dropped = 0;
    part *p = NULL;
    tdsa_err err;

    memset(o, 0, sizeof *o);
    o->who = somebody(l);
    if (!sim_is_up(l->s, o->who)) {
        sim_start(l->s, o->who);
    }
    p = sim_part(l->s, o->who);
    o->life = l->s->node[o->who].life;
    o->key = (unsigned)sim_random(l->s, KEYS);
    key_id = l->key_id[o->key];
    switch (sim_random(l->s, 40)) {
    case 0:
        sim_must(l->s, part_purge(p, key_id, &dropped, &err), "purge", &err);
        break;
    case 1:
        if (o->key == 0) { /* one key of three */
            l->deleted[0] = true;
            o->id = part_start_delete(p, key_id, some_deadline(l), &err);
        }
        break;
    case 2:
        part_forget(p);
        break;
    case 3:
    case 4:
        o->id = part_start_ping(p, some_deadline(l), &err);
        break;
    case 5:
    case 6:
    case 7:
        o->id = part_start_presign(p, key_id, 1 + (uint32_t)sim_random(l->s, 20), some_deadline(l),
                                   &err);
        break;
    default:
        o->id = start_sign(l, o, &err);
        break;
    }
}

static void poll_all(load *l)
{
    part_result result;
    tdsa_err err;

    for (unsigned i = 0; i < OPS_MAX; i++) {
        load_op *o = &l->op[i];
        if (o->id == PART_OP_NONE) {
            continue;
        }
        if (!sim_is_up(l->s, o->who) || l->s->node[o->who].life != o->life) {
            o->id = PART_OP_NONE;
        } else if (part_op_poll(sim_part(l->s, o->who), o->id, &result, &err)) {
            o->id = PART_OP_NONE;
            if (o->signs && err.status == TDSA_OK && o->key != 0) {
                sim_check_signature(l->s, o->who, l->key_id[o->key], o->digest, &result.sign);
                l->signatures++;
            }
        }
    }
}

static void check_after(load *l)
{
    const uint8_t digest[32] = {2};
    part_sign_result sig;
    part_stats stats;
    tdsa_err err;

    for (unsigned k = 0; k < KEYS; k++) {
        const uint16_t who = somebody(l);
        if (l->deleted[k]) {
            continue;
        }
        if (sim_sign(l->s, who, l->key_id[k], digest, &sig, &err) != TDSA_OK) {
            sim_fail(l->s, "I3: an ACTIVE key does not sign", err.text);
        }
        sim_check_signature(l->s, who, l->key_id[k], digest, &sig);
    }
    sim_idle(l->s, 3600000);
    for (uint16_t i = 0; i < l->cfg.n; i++) {
        part_get_stats(sim_part(l->s, i), &stats);
        if (stats.sessions != 0 || stats.runs != 0 || stats.exchanges_waiting != 0 ||
            stats.replies_waiting != 0 || sim_part(l->s, i)->ops != NULL) {
            sim_fail(l->s, "I5", "something stays behind");
        }
    }
}

static unsigned scenario(uint64_t seed)
{
    load l = {.cfg = cfg_of(seed)};
    unsigned signatures = 0;
    tdsa_err err;

    const sim_cfg quiet = {.seed = seed,
                           .n = l.cfg.n,
                           .t = l.cfg.t,
                           .with_client = l.cfg.with_client,
                           .delay_max_ms = 1};
    l.s = sim_new(&quiet);
    for (unsigned k = 0; k < KEYS; k++) {
        if (sim_keygen(l.s, 0, GRP_P256, l.key_id[k], &err) != TDSA_OK) {
            sim_fail(l.s, "keygen", err.text);
        }
    }
    l.s->cfg = l.cfg;
    for (unsigned i = 0; i < STEPS; i++) {
        load_op *o = &l.op[sim_random(l.s, OPS_MAX)];
        if (o->id == PART_OP_NONE && sim_random(l.s, 3) == 0) {
            begin(&l, o);
            sim_flush(l.s);
        }
        (void)sim_step(l.s, sim_now(l.s) + 1000);
        poll_all(&l);
    }
    sim_heal(l.s);
    for (unsigned i = 0; i < 200; i++) {
        sim_idle(l.s, 1000);
        poll_all(&l);
    }
    check_after(&l);
    signatures = l.signatures;
    sim_free(l.s);
    return signatures;
}

static void invariants_hold_under_load(void **state)
{
    const char *one = getenv("TDSA_SIM_SEED");
    const char *count = getenv("TDSA_SIM_COUNT");
    const uint64_t n = count == NULL ? SEEDS_DEFAULT : strtoull(count, NULL, 10);
    unsigned signatures = 0;

    (void)state;
    if (one != NULL) {
        (void)scenario(strtoull(one, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= n; seed++) {
        signatures += scenario(seed);
    }
    assert_true(signatures > 20 * n); /* it did more than fail */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(invariants_hold_under_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
