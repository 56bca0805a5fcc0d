#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim/sim_internal.h"

/* cacheSize: how many keys a participant holds in memory with their shares. */

#define KEYS 6u

static void must_keygen(sim *s, char key_id[KS_KEY_ID_MAX + 1])
{
    tdsa_err err;

    if (sim_keygen(s, 0, GRP_P256, key_id, &err) != TDSA_OK) {
        sim_fail(s, "keygen", err.text);
    }
}

static void must_sign(sim *s, const char *key_id, uint8_t tag)
{
    const uint8_t digest[32] = {1, tag};
    part_sign_result sig;
    tdsa_err err;

    if (sim_sign(s, 0, key_id, digest, &sig, &err) != TDSA_OK) {
        sim_fail(s, "sign", err.text);
    }
    sim_check_signature(s, 0, key_id, digest, &sig);
}

/* Signs with more keys than may be held, twice; then lets the sessions rest. */
static sim *sign_with_all(size_t keys_max, uint64_t seed)
{
    const sim_cfg cfg = {.seed = seed, .n = 3, .t = 1, .delay_max_ms = 1};
    char key_id[KEYS][KS_KEY_ID_MAX + 1];
    sim *s = sim_new(&cfg);

    for (uint16_t i = 0; i < 3; i++) {
        sim_part(s, i)->keys_max = keys_max;
    }
    for (uint8_t round = 0; round < 3; round++) {
        for (uint8_t i = 0; i < KEYS; i++) {
            if (round == 0) {
                must_keygen(s, key_id[i]);
            }
            must_sign(s, key_id[i], round);
            must_sign(s, key_id[i], (uint8_t)(round + 100));
        }
    }
    sim_idle(s, 10000);
    return s;
}

static void no_more_keys_stay_in_memory_than_cache_size(void **state)
{
    sim *s = sign_with_all(2, 41);

    (void)state;
    for (uint16_t i = 0; i < 3; i++) {
        part_stats stats;

        part_get_stats(sim_part(s, i), &stats);
        assert_in_range(stats.keys_cached, 0, 2);
    }
    sim_free(s);
}

static void cache_size_0_keeps_no_key_after_its_use(void **state)
{
    sim *s = sign_with_all(0, 42);

    (void)state;
    for (uint16_t i = 0; i < 3; i++) {
        assert_null(sim_part(s, i)->keys);
        assert_null(sim_part(s, i)->batches);
    }
    sim_free(s);
}

static void hits_and_misses_are_counted(void **state)
{
    part_stats all, one;
    sim *s = sign_with_all(100, 43);

    (void)state;
    part_get_stats(sim_part(s, 0), &all);
    sim_free(s);
    s = sign_with_all(1, 43);
    part_get_stats(sim_part(s, 0), &one);
    sim_free(s);
    assert_int_equal(all.key_misses, KEYS); /* each was read once */
    assert_true(all.key_hits > 0);
    assert_true(one.key_misses >= 3 * KEYS); /* and here in each round */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_more_keys_stay_in_memory_than_cache_size),
        cmocka_unit_test(cache_size_0_keeps_no_key_after_its_use),
        cmocka_unit_test(hits_and_misses_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
