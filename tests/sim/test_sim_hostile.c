#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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
    s->dishonest = 1u << 1;
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
    s->dishonest = 0;
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

static void a_purge_at_a_member_costs_a_batch_and_no_signature(void **state)
{
    const sim_cfg cfg = {.seed = 13, .n = 3, .t = 1, .with_client = true, .delay_max_ms = 1};
    char key_id[KS_KEY_ID_MAX + 1];
    uint64_t dropped = 0;
    tdsa_err err;
    sim *s = sim_new(&cfg);

    (void)state;
    must_keygen(s, 0, key_id);
    for (uint8_t i = 0; i < 20; i++) {
        must_sign(s, 0, key_id, i);
        assert_int_equal(part_purge(sim_part(s, 1 + i % 2), key_id, &dropped, &err), TDSA_OK);
    }
    sim_free(s);
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

/* Generates a key and stops everybody as soon as it is ACTIVE at one of two and PENDING at the
 * other. False when that did not come about. */
static bool half_activated(sim *s, uint16_t active, uint16_t pending, char *key_id)
{
    const part_key_spec spec = {.curve = GRP_P256,
                                .policy = part_policy_default(GRP_P256, MPC_SCHEME_ECDSA),
                                .presignature_limit = PART_LIMIT_DEFAULT};
    part_result none;
    tdsa_err err;
    uint64_t op = part_start_register(sim_part(s, 0), &spec, 0, key_id, &err);
    const uint64_t until = sim_now(s) + 10000;

    assert_int_equal(sim_finish(s, 0, op, &none, &err), TDSA_OK);
    op = part_start_keygen(sim_part(s, 0), key_id, 0, &err);
    sim_flush(s);
    while (sim_step(s, until)) {
        if (state_at(s, active, key_id) == KS_KEY_ACTIVE &&
            state_at(s, pending, key_id) == KS_KEY_PENDING) {
            for (uint16_t i = 0; i < 3; i++) {
                sim_crash(s, i);
            }
            return true;
        }
        if (part_op_poll(sim_part(s, 0), op, &none, &err)) {
            return false;
        }
    }
    return false;
}

static void a_key_is_not_collected_while_a_peer_is_silent(void **state)
{
    unsigned found = 0;

    (void)state;
    for (uint64_t seed = 1; seed < 60; seed++) {
        const sim_cfg cfg = {
            .seed = seed, .n = 3, .t = 1, .with_client = seed % 2 == 0, .delay_max_ms = 20};
        const uint16_t active = (uint16_t)(1 + seed / 2 % 2);
        char key_id[KS_KEY_ID_MAX + 1];
        sim *s = sim_new(&cfg);

        if (half_activated(s, active, 3 - active, key_id)) {
            found++;
            sim_start(s, 3 - active);
            sim_idle(s, 7200000); /* two hours alone */
            sim_heal(s);
            sim_idle(s, 600000);
            for (uint16_t i = 0; i < 3; i++) {
                assert_int_equal(state_at(s, i, key_id), KS_KEY_ACTIVE);
            }
            must_sign(s, 0, key_id, 1);
        }
        sim_free(s);
    }
    assert_true(found > 5);
}

static void a_key_that_nobody_calls_active_is_collected(void **state)
{
    const sim_cfg cfg = {.seed = 15, .n = 3, .t = 1, .with_client = true, .delay_max_ms = 20};
    char key_id[KS_KEY_ID_MAX + 1];
    sim *s = sim_new(&cfg);
    const part_key_spec spec = {.curve = GRP_P256,
                                .policy = part_policy_default(GRP_P256, MPC_SCHEME_ECDSA),
                                .presignature_limit = PART_LIMIT_DEFAULT};
    part_result none;
    tdsa_err err;
    const uint64_t op = part_start_register(sim_part(s, 0), &spec, 0, key_id, &err);

    (void)state;
    assert_int_equal(sim_finish(s, 0, op, &none, &err), TDSA_OK);
    assert_true(part_start_keygen(sim_part(s, 0), key_id, 0, &err) != PART_OP_NONE);
    sim_flush(s);
    while (state_at(s, 2, key_id) != KS_KEY_PENDING) {
        (void)sim_step(s, UINT64_MAX - 1);
    }
    sim_crash(s, 0); /* for good */
    sim_idle(s, 7200000);
    assert_int_equal(state_at(s, 1, key_id), KS_KEY_DELETED);
    assert_int_equal(state_at(s, 2, key_id), KS_KEY_DELETED);
    sim_free(s);
}

static void peers_that_all_started_again_cost_no_operation(void **state)
{
    const sim_cfg cfg = {.seed = 16, .n = 3, .t = 1, .with_client = true, .delay_max_ms = 3};
    char key_id[KS_KEY_ID_MAX + 1];
    part_result result;
    tdsa_err err;
    sim *s = sim_new(&cfg);

    (void)state;
    must_keygen(s, 0, key_id);
    for (unsigned i = 0; i < 8; i++) {
        uint64_t op = PART_OP_NONE;

        must_sign(s, 0, key_id, (uint8_t)i);
        for (uint16_t k = 1; k < 3; k++) {
            sim_crash(s, k);
            sim_start(s, k);
        }
        op = part_start_ping(sim_part(s, 0), 0, &err);
        if (sim_finish(s, 0, op, &result, &err) != TDSA_OK) {
            sim_fail(s, "ping", err.text);
        }
        op = part_start_presign(sim_part(s, 0), key_id, 3, 0, &err);
        if (sim_finish(s, 0, op, &result, &err) != TDSA_OK) {
            sim_fail(s, "presign", err.text);
        }
    }
    sim_free(s);
}

#define CROWD 12u

static void who_waits_longest_is_served_first(void **state)
{
    const sim_cfg cfg = {.seed = 17, .n = 3, .t = 1, .with_client = true, .delay_max_ms = 1};
    const uint8_t digest[32] = {3};
    char key_id[KS_KEY_ID_MAX + 1];
    uint64_t op[CROWD];
    part_result result;
    tdsa_err err;
    unsigned ended = 0;
    unsigned first_left = CROWD;
    sim *s = sim_new(&cfg);
    const part_sign_request req = {
        .key_id = key_id, .digest_alg = TDSA_HASH_SHA256, .payload = digest, .payload_len = 32};

    (void)state;
    s->node[0].cfg.presign_batch_max = 2; /* the stock never suffices for all */
    sim_crash(s, 0);
    sim_start(s, 0);
    must_keygen(s, 0, key_id);
    for (unsigned i = 0; i < CROWD; i++) {
        op[i] = part_start_sign(sim_part(s, 0), &req, 0, &err);
        assert_true(op[i] != PART_OP_NONE);
    }
    sim_flush(s);
    const uint64_t first = op[CROWD - 1];
    while (first_left > 0) {
        (void)sim_step(s, UINT64_MAX - 1);
        for (unsigned i = 0; i < CROWD; i++) {
            if (!part_op_poll(sim_part(s, 0), op[i], &result, &err)) {
                continue;
            }
            if (err.status != TDSA_OK) {
                sim_fail(s, "sign", err.text);
            }
            ended++;
            first_left -= op[i] <= first ? 1 : 0;
            op[i] = part_start_sign(sim_part(s, 0), &req, 0, &err); /* and comes again */
        }
        sim_flush(s);
        assert_true(ended < 3 * CROWD);
    }
    sim_free(s);
}

static void one_short_deadline_does_not_fail_the_signatures_that_wait(void **state)
{
    const uint8_t digest[32] = {4};
    part_result result;
    tdsa_err err;

    (void)state;
    for (uint64_t seed = 1; seed < 20; seed++) {
        const sim_cfg cfg = {.seed = seed, .n = 3, .t = 1, .with_client = true, .delay_max_ms = 40};
        char key_id[KS_KEY_ID_MAX + 1];
        sim *s = sim_new(&cfg);
        const part_sign_request req = {
            .key_id = key_id, .digest_alg = TDSA_HASH_SHA256, .payload = digest, .payload_len = 32};

        must_keygen(s, 0, key_id);
        const uint64_t hasty = part_start_sign(sim_part(s, 0), &req, 50, &err);
        const uint64_t patient = part_start_sign(sim_part(s, 0), &req, 4000, &err);
        (void)sim_finish(s, 0, hasty, &result, &err);
        if (sim_finish(s, 0, patient, &result, &err) != TDSA_OK) {
            sim_fail(s, "sign", err.text);
        }
        sim_free(s);
    }
}

static void keys_that_signed_long_ago_leave_memory(void **state)
{
    const sim_cfg cfg = {.seed = 18, .n = 3, .t = 1, .with_client = true, .delay_max_ms = 1};
    char key_id[12][KS_KEY_ID_MAX + 1];
    sim *s = sim_new(&cfg);

    (void)state;
    for (uint16_t i = 0; i < 3; i++) {
        sim_part(s, i)->keys_max = 4;
    }
    for (unsigned round = 0; round < 2; round++) {
        for (uint8_t i = 0; i < 12; i++) {
            if (round == 0) {
                must_keygen(s, 0, key_id[i]);
            }
            must_sign(s, 0, key_id[i], (uint8_t)round);
            sim_idle(s, 30000);
        }
    }
    assert_in_range(sim_part(s, 0)->key_count, 1, 5);
    sim_idle(s, 3600000); /* a responder keeps what its sessions have burnt */
    for (uint16_t i = 0; i < 3; i++) {
        assert_in_range(sim_part(s, i)->key_count, 0, 4);
    }
    sim_free(s);
}

static void a_client_of_many_keys_makes_room_in_its_sessions(void **state)
{
    const sim_cfg cfg = {.seed = 19, .n = 3, .t = 1, .with_client = true, .delay_max_ms = 1};
    char key_id[20][KS_KEY_ID_MAX + 1];
    part_stats stats;
    sim *s = sim_new(&cfg);

    (void)state;
    for (uint16_t i = 0; i < 3; i++) {
        sim_part(s, i)->sessions_max = 16;
    }
    for (uint8_t round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 20; i++) {
            if (round == 0) {
                must_keygen(s, 0, key_id[i]);
            }
            must_sign(s, 0, key_id[i], round);
        }
    }
    sim_idle(s, 20000);
    for (uint16_t i = 0; i < 3; i++) {
        part_get_stats(sim_part(s, i), &stats);
        assert_in_range(stats.sessions, 1, 16);
    }
    sim_free(s);
}

/* Signs, restarts the combiner and signs again with a mistake planted. In a child: what the simulator
 * finds ends it. Returns the status of the second signature, or -1 when it was found. */
static int planted(sim_plant plant, uint32_t dishonest)
{
    const sim_cfg cfg = {.seed = 20, .n = 3, .t = 1, .with_client = true, .delay_max_ms = 1};
    const uint8_t digest[32] = {7};
    const pid_t child = fork();
    char key_id[KS_KEY_ID_MAX + 1];
    part_sign_result sig;
    tdsa_err err;
    int status = 0;

    assert_true(child >= 0);
    if (child == 0) {
        sim_child_begins();
        sim *s = sim_new(&cfg);
        s->plant = plant;
        s->dishonest = dishonest;
        must_keygen(s, 0, key_id);
        must_sign(s, 0, key_id, 1);
        sim_crash(s, 0);
        sim_start(s, 0);
        err.status = sim_sign(s, 0, key_id, digest, &sig, &err);
        _exit((int)err.status);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? -1 : WEXITSTATUS(status);
}

static void planted_mistakes_are_found(void **state)
{
    (void)state;
    assert_int_equal(planted(SIM_PLANT_NOTHING, 0), TDSA_OK);
    assert_int_equal(planted(SIM_PLANT_NO_BURN, 0), -1);
    assert_int_equal(planted(SIM_PLANT_ROLLED_BACK, 0), -1);
}

static void responders_stop_a_combiner_that_was_rolled_back(void **state)
{
    (void)state;
    assert_int_equal(planted(SIM_PLANT_ROLLED_BACK, 1u << 0), TDSA_E_CONFLICT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_presignature_is_for_its_coordinator_only),
        cmocka_unit_test(a_short_deadline_does_not_cost_others_their_session),
        cmocka_unit_test(a_purge_at_a_member_costs_a_batch_and_no_signature),
        cmocka_unit_test(a_key_is_not_collected_while_a_peer_is_silent),
        cmocka_unit_test(a_key_that_nobody_calls_active_is_collected),
        cmocka_unit_test(keys_that_signed_long_ago_leave_memory),
        cmocka_unit_test(a_client_of_many_keys_makes_room_in_its_sessions),
        cmocka_unit_test(planted_mistakes_are_found),
        cmocka_unit_test(responders_stop_a_combiner_that_was_rolled_back),
        cmocka_unit_test(peers_that_all_started_again_cost_no_operation),
        cmocka_unit_test(who_waits_longest_is_served_first),
        cmocka_unit_test(one_short_deadline_does_not_fail_the_signatures_that_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
