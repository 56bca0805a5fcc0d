#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sim/sim_internal.h"

/* What random lives found once, as single situations. */

static void must_keygen(sim *s, uint16_t who, char *key_id)
{
    tdsa_err err;

    sim_must(s, sim_keygen(s, who, GRP_P256, key_id, &err), "keygen", &err);
}

static void must_sign(sim *s, uint16_t who, const char *key_id, uint8_t tag)
{
    const uint8_t digest[32] = {1, tag};
    part_sign_result sig;
    tdsa_err err;

    sim_must(s, sim_sign(s, who, key_id, digest, &sig, &err), "sign", &err);
    sim_check_signature(s, who, key_id, digest, &sig);
}

/* One peer took part in a signature that did not verify, another failed a while ago: the committee
 * that new batches are made with must be one that signatures take their presignatures from. */
static void a_doubted_and_a_failed_peer_do_not_stop_signatures(void **state)
{
    const sim_cfg cfg = {.seed = 21, .n = 4, .t = 1, .with_client = true, .delay_max_ms = 3};
    char key_id[KS_KEY_ID_MAX + 1];
    sim *s = sim_new(&cfg);

    (void)state;
    must_keygen(s, 0, key_id);
    for (uint8_t i = 0; i < 8; i++) {
        part *p = sim_part(s, 0);
        p->peers[1].doubts = 1;
        p->peers[3].failures = 1;
        p->peers[3].avoid_until_ms = i % 2 == 0 ? 0 : part_now(p) + 1000;
        must_sign(s, 0, key_id, i);
    }
    sim_free(s);
}

/* All peers started again while a batch was ordered: the signature that asks with what is left of the
 * old stock loses its session, joins the batch that is under way in it, and loses that as well. */
static void a_batch_of_a_lost_session_costs_no_signature(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        const sim_cfg cfg = {.seed = seed, .n = 3, .t = 1, .with_client = true, .delay_max_ms = 20};
        char key_id[KS_KEY_ID_MAX + 1];
        part_result none;
        tdsa_err err;
        sim *s = sim_new(&cfg);

        must_keygen(s, 0, key_id);
        must_sign(s, 0, key_id, 1);
        for (uint16_t i = 1; i < 3; i++) {
            sim_crash(s, i);
            sim_start(s, i);
        }
        const uint64_t op = part_start_presign(sim_part(s, 0), key_id, 2, 0, &err);
        must_sign(s, 0, key_id, 2);
        (void)sim_finish(s, 0, op, &none, &err);
        sim_free(s);
    }
}

/* All peers started again, and the second attempt is made with another committee: it must not use the
 * session that the first one lost, although only a member that is left out has said so yet. */
static void the_second_attempt_leaves_the_lost_session_of_another_committee(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        const sim_cfg cfg = {.seed = seed, .n = 4, .t = 1, .with_client = true, .delay_max_ms = 20};
        char key_id[KS_KEY_ID_MAX + 1];
        sim *s = sim_new(&cfg);

        must_keygen(s, 0, key_id);
        must_sign(s, 0, key_id, 1);
        for (uint16_t i = 1; i < 4; i++) {
            sim_crash(s, i);
            sim_start(s, i);
        }
        sim_part(s, 0)->peers[2].failures = 1; /* usable, but not chosen again */
        must_sign(s, 0, key_id, 2);
        sim_free(s);
    }
}

static ks_key_state state_at(sim *s, uint16_t index, const char *key_id)
{
    ks_key *row = NULL;
    ks_key_state state = KS_KEY_DELETED;
    tdsa_err err;

    if (ks_key_get(sim_store(s, index), key_id, &row, &err) == TDSA_OK) {
        state = row->state;
    }
    ks_key_free(row);
    return state;
}

/* Server 1 has asked all servers and is about to collect a half-made key. Server 2, which said that it
 * is PENDING there, starts again, and hears from the client that it has stored the same: it must not
 * take the run for a young one and make the key ACTIVE. */
static void a_key_that_a_server_is_about_to_collect_becomes_active_nowhere(void **state)
{
    const sim_cfg cfg = {.seed = 22, .n = 3, .t = 1, .with_client = true, .delay_max_ms = 20};
    const part_key_spec spec = {.curve = GRP_P256,
                                .policy = part_policy_default(GRP_P256, MPC_SCHEME_ECDSA),
                                .presignature_limit = PART_LIMIT_DEFAULT};
    char key_id[KS_KEY_ID_MAX + 1];
    part_result none;
    tdsa_err err;
    sim *s = sim_new(&cfg);
    const uint64_t op = part_start_register(sim_part(s, 0), &spec, 0, key_id, &err);

    (void)state;
    assert_int_equal(sim_finish(s, 0, op, &none, &err), TDSA_OK);
    assert_true(part_start_keygen(sim_part(s, 0), key_id, 0, &err) != PART_OP_NONE);
    sim_flush(s);
    while (state_at(s, 0, key_id) != KS_KEY_PENDING) {
        assert_true(sim_step(s, sim_now(s) + 10000));
    }
    for (size_t i = 0; i < s->heap_count; i++) { /* it tells nobody */
        s->heap[i]->body.len = s->heap[i]->from == 0 ? 0 : s->heap[i]->body.len;
    }
    sim_crash(s, 0);
    sim_idle(s, 50000);
    assert_int_equal(state_at(s, 1, key_id), KS_KEY_PENDING);
    assert_int_equal(state_at(s, 2, key_id), KS_KEY_PENDING);
    sim_crash(s, 2);
    sim_start(s, 2);
    s->cut[0][1] = true;
    sim_start(s, 0);
    sim_idle(s, 200000); /* I2 is checked at every step */
    sim_heal(s);
    sim_idle(s, 600000);
    for (uint16_t i = 0; i < 3; i++) {
        assert_int_equal(state_at(s, i, key_id), state_at(s, 0, key_id));
    }
    sim_free(s);
}

/* The store makes the new epoch ACTIVE and says that it failed: what is in memory must follow. */
static void an_epoch_that_became_active_unheard_is_used(void **state)
{
    const part_reshare_spec refresh = {.member_count = 0};

    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        const sim_cfg cfg = {.seed = seed, .n = 3, .t = 1, .delay_max_ms = 5};
        const uint8_t digest[32] = {9};
        char key_id[KS_KEY_ID_MAX + 1];
        part_sign_result sig;
        tdsa_err err;
        sim *s = sim_new(&cfg);

        must_keygen(s, 0, key_id);
        for (uint16_t i = 0; i < 3; i++) {
            must_sign(s, i, key_id, (uint8_t)i); /* everybody has the key in memory */
        }
        s->cfg.store_permille = 250;
        (void)sim_reshare(s, 0, key_id, &refresh, &err);
        s->cfg.store_permille = 0;
        sim_idle(s, 300000);
        for (uint16_t i = 0; i < 3; i++) {
            (void)sim_sign(s, i, key_id, digest, &sig, &err); /* may be told of the new epoch */
            must_sign(s, i, key_id, (uint8_t)(10 + i));
        }
        sim_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_doubted_and_a_failed_peer_do_not_stop_signatures),
        cmocka_unit_test(a_batch_of_a_lost_session_costs_no_signature),
        cmocka_unit_test(the_second_attempt_leaves_the_lost_session_of_another_committee),
        cmocka_unit_test(an_epoch_that_became_active_unheard_is_used),
        cmocka_unit_test(a_key_that_a_server_is_about_to_collect_becomes_active_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
