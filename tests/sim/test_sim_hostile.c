#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "participant/internal.h"
#include "sim/sim_internal.h"

/* Single situations that the random lives of test_sim_faults meet too seldom. */

static void must_keygen(sim *s, uint16_t who, char *key_id)
{
    tdsa_err err;

    if (sim_keygen(s, who, GRP_P256, key_id, &err) != TDSA_OK) {
        sim_fail(s, "keygen", err.text);
    }
}

static void must_sign(sim *s, uint16_t who, const char *key_id, uint8_t tag)
{
    const uint8_t digest[32] = {1, tag};
    part_sign_result sig;
    tdsa_err err;

    if (sim_sign(s, who, key_id, digest, &sig, &err) != TDSA_OK) {
        sim_fail(s, "sign", err.text);
    }
    sim_check_signature(s, who, key_id, digest, &sig);
}

/* Lets a participant believe that a range of somebody else's batch is its own. */
static void steal_lease(sim *s, uint16_t thief, const char *key_id, uint32_t index)
{
    part *p = sim_part(s, thief);
    part_key *k = NULL;
    part_batch *b = NULL;
    ks_batch *row = NULL;
    tdsa_err err;

    sim_must(s, part_key_hold(p, key_id, &k, &err), "key", &err);
    sim_must(s, ks_batch_find(sim_store(s, thief), key_id, 0, NULL, &row, &err), "batch", &err);
    sim_must(s, part_batch_adopt(p, k, row, &b, &err), "batch", &err);
    part_stock_drop_lease(p, k);
    k->lease = b;
    k->lease_from = index;
    k->lease_next = index;
    k->lease_end = index + 1;
    part_key_release(p, k);
    ks_batch_free(row);
}

static void a_presignature_is_for_its_coordinator_only(void **state)
{
    const sim_cfg cfg = {.seed = 11, .n = 3, .t = 1, .delay_max_ms = 1};
    const uint8_t digest[32] = {9};
    char key_id[KS_KEY_ID_MAX + 1];
    part_sign_result sig;
    part_stats before[3];
    part_stats after[3];
    tdsa_err err;
    sim *s = sim_new(&cfg);

    (void)state;
    must_keygen(s, 0, key_id);
    must_sign(s, 0, key_id, 1); /* of a batch of two */
    steal_lease(s, 1, key_id, 1);
    for (uint16_t i = 0; i < 3; i++) {
        part_get_stats(sim_part(s, i), &before[i]);
    }
    assert_int_equal(sim_sign(s, 1, key_id, digest, &sig, &err), TDSA_E_DENIED);
    sim_idle(s, 10000);
    for (uint16_t i = 0; i < 3; i++) {
        part_get_stats(sim_part(s, i), &after[i]);
        assert_int_equal(before[i].burned, after[i].burned);
    }
    must_sign(s, 0, key_id, 2); /* the owner has lost nothing */
    must_sign(s, 1, key_id, 3);
    sim_free(s);
}

static void a_short_deadline_does_not_cost_others_their_session(void **state)
{
    const sim_cfg cfg = {.seed = 12, .n = 3, .t = 1, .with_client = true, .delay_max_ms = 200};
    part_result result;
    tdsa_err err;
    sim *s = sim_new(&cfg);

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        uint64_t hasty = i % 2 == 0 ? PART_OP_NONE : part_start_ping(sim_part(s, 0), 1 + i, &err);
        const uint64_t patient = part_start_ping(sim_part(s, 0), 4000, &err);

        /* both wait for the same handshakes, whoever began them; one gives up before they are through */
        if (hasty == PART_OP_NONE) {
            hasty = part_start_ping(sim_part(s, 0), 1 + i, &err);
        }
        assert_int_not_equal(sim_finish(s, 0, hasty, &result, &err), TDSA_OK);
        if (sim_finish(s, 0, patient, &result, &err) != TDSA_OK) {
            sim_fail(s, "ping", err.text);
        }
        sim_idle(s, 3600000); /* the session is gone */
    }
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_presignature_is_for_its_coordinator_only),
        cmocka_unit_test(a_short_deadline_does_not_cost_others_their_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
