#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/sim.h"

/*
 * Many short lives under faults, each from one seed. Afterwards the faults stop and the invariants
 * must hold: I1 (no r twice), I2 and I3 (a key ACTIVE anywhere is ACTIVE everywhere and signs), I4
 * (what was released verifies), I5 (nothing stays behind).
 *
 *   TDSA_SIM_SEED=n   run this seed only        TDSA_SIM_COUNT=n   run n seeds
 */

#define SEEDS_DEFAULT 150u
#define KEYS_MAX      8u

typedef struct {
    char id[KEYS_MAX * 4][KS_KEY_ID_MAX + 1];
    size_t count;
} key_set;

static bool add_key(void *ctx, const part_key_info *k)
{
    key_set *set = ctx;

    for (size_t i = 0; i < set->count; i++) {
        if (strcmp(set->id[i], k->key_id) == 0) {
            return true;
        }
    }
    if (set->count < KEYS_MAX * 4) {
        memcpy(set->id[set->count++], k->key_id, sizeof k->key_id);
    }
    return true;
}

static sim_cfg cfg_of(uint64_t seed)
{
    sim_cfg cfg = {.seed = seed, .n = 3, .t = 1, .with_client = seed % 2 == 0};

    cfg.drop_permille = (unsigned)(seed * 7 % 60);
    cfg.dup_permille = (unsigned)(seed * 5 % 100);
    cfg.crash_permille = (unsigned)(seed * 3 % 25);
    cfg.corrupt_permille = (unsigned)(seed * 11 % 10);
    cfg.delay_max_ms = 1 + (uint32_t)(seed % 40);
    return cfg;
}

static uint16_t coordinator_of(sim *s, const sim_cfg *cfg)
{
    return cfg->with_client ? 0 : (uint16_t)sim_random(s, cfg->n);
}

static void live(sim *s, const sim_cfg *cfg, key_set *keys)
{
    uint8_t digest[32] = {0};
    part_sign_result sig;
    tdsa_err err;

    for (unsigned i = 0; i < 25; i++) {
        const uint16_t who = coordinator_of(s, cfg);
        digest[0] = (uint8_t)i;
        if (!sim_is_up(s, who)) {
            sim_idle(s, 50);
            sim_start(s, who);
        }
        if (keys->count == 0 || sim_random(s, 8) == 0) {
            char id[KS_KEY_ID_MAX + 1];
            if (keys->count < KEYS_MAX && sim_keygen(s, who, GRP_P256, id, &err) == TDSA_OK) {
                memcpy(keys->id[keys->count++], id, sizeof id);
            }
            continue;
        }
        const char *id = keys->id[sim_random(s, keys->count)];
        if (sim_sign(s, who, id, digest, &sig, &err) == TDSA_OK && sim_is_up(s, who)) {
            sim_check_signature(s, who, id, digest, &sig);
        }
    }
}

static void check_keys(sim *s, const sim_cfg *cfg, key_set *keys)
{
    uint8_t digest[32] = {0xff};
    part_sign_result sig;
    part_key_info info;
    tdsa_err err;

    for (uint16_t i = 0; i < cfg->n; i++) {
        if (part_key_list(sim_part(s, i), NULL, 0, false, add_key, keys, &err) != TDSA_OK) {
            sim_fail(s, "list", err.text);
        }
    }
    for (size_t k = 0; k < keys->count; k++) {
        for (uint16_t i = 0; i < cfg->n; i++) {
            if (part_key_describe(sim_part(s, i), keys->id[k], &info, &err) != TDSA_OK ||
                info.state != KS_KEY_ACTIVE) {
                sim_fail(s, "I2: a key is ACTIVE, but not everywhere", keys->id[k]);
            }
        }
        for (unsigned i = 0; i < 3; i++) {
            const uint16_t who = coordinator_of(s, cfg);
            digest[1] = (uint8_t)i;
            if (sim_sign(s, who, keys->id[k], digest, &sig, &err) != TDSA_OK) {
                sim_fail(s, "I3: an ACTIVE key does not sign", err.text);
            }
            sim_check_signature(s, who, keys->id[k], digest, &sig);
        }
    }
}

static void check_bounds(sim *s, const sim_cfg *cfg)
{
    part_stats stats;

    sim_idle(s, 3600000);
    for (uint16_t i = 0; i < cfg->n; i++) {
        part_get_stats(sim_part(s, i), &stats);
        if (stats.sessions != 0 || stats.runs != 0 || stats.exchanges_waiting != 0 ||
            stats.replies_waiting != 0) {
            char what[160];
            (void)snprintf(what, sizeof what,
                           "participant %u keeps %llu sessions, %llu runs, %llu exchanges, %llu "
                           "replies",
                           i, (unsigned long long)stats.sessions, (unsigned long long)stats.runs,
                           (unsigned long long)stats.exchanges_waiting,
                           (unsigned long long)stats.replies_waiting);
            sim_fail(s, "I5", what);
        }
    }
}

static uint64_t scenario(uint64_t seed)
{
    const sim_cfg cfg = cfg_of(seed);
    sim *s = sim_new(&cfg);
    key_set keys = {.count = 0};
    uint64_t trace = 0;

    live(s, &cfg, &keys);
    sim_heal(s);
    sim_idle(s, 120000);
    check_keys(s, &cfg, &keys);
    check_bounds(s, &cfg);
    trace = sim_trace(s);
    sim_free(s);
    return trace;
}

static void invariants_hold_under_faults(void **state)
{
    const char *one = getenv("TDSA_SIM_SEED");
    const char *count = getenv("TDSA_SIM_COUNT");
    const uint64_t n = count == NULL ? SEEDS_DEFAULT : strtoull(count, NULL, 10);

    (void)state;
    if (one != NULL) {
        (void)scenario(strtoull(one, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= n; seed++) {
        (void)scenario(seed);
    }
}

static void a_seed_replays_bit_for_bit(void **state)
{
    (void)state;
    assert_true(scenario(7) == scenario(7));
    assert_true(scenario(7) != scenario(9));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(invariants_hold_under_faults),
        cmocka_unit_test(a_seed_replays_bit_for_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
