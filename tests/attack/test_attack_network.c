#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sim/sim_internal.h"

/*
 * Rows 13, 19 and 26 at whole participants: disks, sessions and the channel are there, and one
 * participant lies in every message that the protocol has. The simulator watches the rest: nothing
 * is answered twice, nothing is released that does not verify, no honest key is lost.
 */

enum { LIAR = 1 };

static sim *network(uint64_t seed, uint16_t n, uint16_t t)
{
    const sim_cfg cfg = {
        .seed = seed, .n = n, .t = t, .with_client = true, .delay_max_ms = 1, .lie_permille = 1000};

    return sim_new(&cfg);
}

static void let_lie(sim *s, bool yes)
{
    s->liars = yes ? 1u << LIAR : 0; /* s->lied stays: lies may be under way */
}

static void must_sign(sim *s, const char *key_id, uint8_t tag)
{
    const uint8_t digest[32] = {1, tag};
    part_sign_result sig;
    tdsa_err err;

    if (sim_sign(s, 0, key_id, digest, &sig, &err) != TDSA_OK) {
        fail_msg("an honest signature: %s", err.text);
    }
    sim_check_signature(s, 0, key_id, digest, &sig);
}

static void row_13_a_member_that_lies_costs_presignatures_and_no_key(void **state)
{
    char key_id[KS_KEY_ID_MAX + 1];
    part_stats before;
    part_stats after;
    sim *s = network(31, 3, 1);
    tdsa_err err;

    (void)state;
    assert_int_equal(sim_keygen(s, 0, GRP_P256, key_id, &err), TDSA_OK);
    for (uint8_t i = 0; i < 5; i++) {
        const uint8_t digest[32] = {2, i};
        part_sign_result sig;

        must_sign(s, key_id, i);
        part_get_stats(sim_part(s, 0), &before);
        let_lie(s, true);
        assert_int_not_equal(sim_sign(s, 0, key_id, digest, &sig, &err), TDSA_OK);
        assert_true(s->lied);
        assert_true(err.status == TDSA_E_VERIFY || err.status == TDSA_E_PROTOCOL);
        assert_true(err.participant == TDSA_NOBODY || err.participant == LIAR);
        let_lie(s, false);
        part_get_stats(sim_part(s, 0), &after);
        assert_true(after.verify_failures > before.verify_failures ||
                    err.status == TDSA_E_PROTOCOL);
    }
    must_sign(s, key_id, 99);
    sim_free(s);
}

static void row_26_a_liar_in_key_generation_leaves_no_key_behind(void **state)
{
    (void)state;
    for (uint64_t seed = 41; seed < 49; seed++) {
        char bad[KS_KEY_ID_MAX + 1];
        char good[KS_KEY_ID_MAX + 1];
        sim *s = network(seed, seed % 2 == 0 ? 3 : 5, seed % 2 == 0 ? 1 : 2);
        tdsa_err err;

        let_lie(s, true);
        assert_int_not_equal(sim_keygen(s, 0, GRP_P256, bad, &err), TDSA_OK);
        assert_true(s->lied);
        if (err.participant != TDSA_NOBODY && err.participant != LIAR) {
            fail_msg("an honest participant is blamed: %s %d: %s", tdsa_status_name(err.status),
                     err.participant, err.text);
        }
        let_lie(s, false);
        assert_int_equal(sim_keygen(s, 0, GRP_P256, good, &err), TDSA_OK);
        must_sign(s, good, 1);
        sim_idle(s, 7200000);
        for (uint16_t i = 0; i < s->cfg.n; i++) { /* collected, or never begun */
            ks_key *row = NULL;

            if (ks_key_get(sim_store(s, i), bad, &row, &err) == TDSA_OK) {
                assert_int_not_equal(row->state, KS_KEY_ACTIVE);
            }
            ks_key_free(row);
        }
        sim_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(row_13_a_member_that_lies_costs_presignatures_and_no_key),
        cmocka_unit_test(row_26_a_liar_in_key_generation_leaves_no_key_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
