#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "participant/internal.h"
#include "sim/sim_internal.h"

/* Members that are silent, slow to come back, in trouble or lying, on virtual time. */

static const uint8_t digest[32] = {7};

static sim *start(uint16_t n, uint16_t t, char *key_id)
{
    const sim_cfg cfg = {.seed = 7,
                         .n = n,
                         .t = t,
                         .with_client = true,
                         .delay_max_ms = 5,
                         .hang_permille = 1000,
                         .lie_permille = 1000};
    sim *s = sim_new(&cfg);
    tdsa_err err;

    sim_must(s, sim_keygen(s, 0, GRP_P256, key_id, &err), "keygen", &err);
    return s;
}

static tdsa_status sign(sim *s, const char *key_id, tdsa_err *err)
{
    part_sign_result sig;
    const tdsa_status st = sim_sign(s, 0, key_id, digest, &sig, err);

    if (st == TDSA_OK) {
        sim_check_signature(s, 0, key_id, digest, &sig);
    }
    return st;
}

static void signs(sim *s, const char *key_id, unsigned count)
{
    tdsa_err err;

    for (unsigned i = 0; i < count; i++) {
        if (sign(s, key_id, &err) != TDSA_OK) {
            fail_msg("signature %u: %s", i, err.text);
        }
    }
}

static void presigns(sim *s, const char *key_id, uint32_t count)
{
    part_result none;
    tdsa_err err;

    sim_must(
        s,
        sim_finish(s, 0, part_start_presign(sim_part(s, 0), key_id, count, 0, &err), &none, &err),
        "presign", &err);
}

static void cut_off(sim *s, uint16_t peer, bool cut)
{
    for (uint16_t i = 0; i < s->cfg.n; i++) {
        s->cut[i][peer] = cut && i != peer;
        s->cut[peer][i] = cut && i != peer;
    }
}

static part_stock_count of(sim *s, const char *key_id, uint32_t members)
{
    part_stock_info info;
    tdsa_err err;

    sim_must(s, part_stock_describe(sim_part(s, 0), key_id, &info, &err), "stock", &err);
    for (size_t i = 0; i < info.committee_count; i++) {
        if (info.committee[i].members == members) {
            return info.committee[i];
        }
    }
    return (part_stock_count){.members = members};
}

static uint64_t in_stock(sim *s, const char *key_id)
{
    part_stock_info info;
    tdsa_err err;

    sim_must(s, part_stock_describe(sim_part(s, 0), key_id, &info, &err), "stock", &err);
    return info.total.available + info.total.leased;
}

static part_stats stats_of(sim *s)
{
    part_stats stats;

    part_get_stats(sim_part(s, 0), &stats);
    return stats;
}

/* ---- silence ---- */

static void silence_costs_one_presignature_and_a_part_of_the_deadline(void **state)
{
    char key_id[KS_KEY_ID_MAX + 1];
    sim *s = start(4, 1, key_id);
    uint64_t before = 0;

    (void)state;
    presigns(s, key_id, 8);
    signs(s, key_id, 1);
    before = of(s, key_id, 0x7).used;
    cut_off(s, 2, true);
    before = sim_now(s);
    signs(s, key_id, 1);
    assert_true(sim_now(s) - before < s->node[0].cfg.deadline_ms / 2);
    assert_int_equal(of(s, key_id, 0xb).used, 1);
    before = sim_now(s);
    signs(s, key_id, 5); /* it is avoided now */
    assert_true(sim_now(s) - before < 400);
    sim_free(s);
}

static void one_that_stays_away_is_tried_less_and_less(void **state)
{
    char key_id[KS_KEY_ID_MAX + 1];
    sim *s = start(4, 1, key_id);
    part *p = sim_part(s, 0);
    unsigned slow[2] = {0, 0};

    (void)state;
    presigns(s, key_id, 64);
    cut_off(s, 2, true);
    for (unsigned half = 0; half < 2; half++) {
        for (unsigned i = 0; i < 60; i++) {
            const uint64_t before = sim_now(s);
            signs(s, key_id, 1);
            slow[half] += sim_now(s) - before > 400 ? 1 : 0;
            sim_idle(s, 500);
        }
    }
    assert_true(slow[0] >= 2 && slow[1] < slow[0] && slow[1] <= 2);
    assert_true(p->peers[2].failures >= 4);
    assert_true(p->peers[2].avoid_until_ms - p->peers[2].failed_ms <= 30000);
    cut_off(s, 2, false);
    sim_idle(s, 31000);
    for (unsigned i = 0; i < 64 && p->peers[2].failures > 0; i++) {
        signs(s, key_id, 1); /* what is leased with others comes first */
    }
    assert_int_equal(p->peers[2].failures, 0);
    sim_free(s);
}

static void members_that_do_not_reach_each_other_are_not_put_together(void **state)
{
    char key_id[KS_KEY_ID_MAX + 1];
    sim *s = start(4, 1, key_id);

    (void)state;
    s->cut[1][2] = true;
    s->cut[2][1] = true;
    signs(s, key_id, 2);
    assert_int_equal(of(s, key_id, 0x7).used, 0);
    assert_true(of(s, key_id, 0xb).used + of(s, key_id, 0xd).used >= 2);
    sim_free(s);
}

static void too_many_away_is_an_error_in_time_that_names_one(void **state)
{
    char key_id[KS_KEY_ID_MAX + 1];
    sim *s = start(4, 1, key_id);
    tdsa_err err;
    tdsa_status st;
    uint64_t before = 0;

    (void)state;
    signs(s, key_id, 1);
    cut_off(s, 2, true);
    cut_off(s, 3, true);
    before = sim_now(s);
    st = sign(s, key_id, &err);
    assert_true(st == TDSA_E_TIMEOUT || st == TDSA_E_UNAVAILABLE);
    assert_true(err.participant == 2 || err.participant == 3);
    assert_true(sim_now(s) - before <= s->node[0].cfg.deadline_ms + 100);
    cut_off(s, 2, false);
    cut_off(s, 3, false);
    signs(s, key_id, 1);
    sim_free(s);
}

/* ---- lies ---- */

static void a_lie_costs_one_presignature_and_raises_the_alarm(void **state)
{
    char key_id[KS_KEY_ID_MAX + 1];
    sim *s = start(4, 1, key_id);

    (void)state;
    presigns(s, key_id, 8);
    s->liars = 1u << 2;
    signs(s, key_id, 1);
    assert_int_equal(stats_of(s).verify_failures, 1);
    assert_int_equal(of(s, key_id, 0x7).used, 1);
    assert_int_equal(of(s, key_id, 0xb).used, 1);
    signs(s, key_id, 5); /* the liar is not asked any more */
    assert_int_equal(stats_of(s).verify_failures, 1);
    sim_free(s);
}

static void the_liar_is_found_out_whoever_it_is(void **state)
{
    (void)state;
    for (uint16_t liar = 1; liar < 5; liar++) {
        char key_id[KS_KEY_ID_MAX + 1];
        sim *s = start(5, 1, key_id);
        tdsa_err err;
        unsigned good = 0;

        presigns(s, key_id, 8);
        s->liars = 1u << liar;
        for (unsigned i = 0; i < 10; i++) {
            good += sign(s, key_id, &err) == TDSA_OK ? 1 : 0;
        }
        assert_true(good >= 9);
        assert_true(stats_of(s).verify_failures <= 2);
        sim_free(s);
    }
}

static void when_all_lie_a_signature_ends_after_two_committees(void **state)
{
    char key_id[KS_KEY_ID_MAX + 1];
    sim *s = start(4, 1, key_id);
    tdsa_err err;
    uint64_t used = 0;

    (void)state;
    presigns(s, key_id, 8);
    s->liars = 0xe;
    used = of(s, key_id, 0x7).used;
    assert_true(sign(s, key_id, &err) == TDSA_E_VERIFY || err.status == TDSA_E_PROTOCOL);
    assert_true(of(s, key_id, 0x7).used + of(s, key_id, 0x7).leased - used <= 2);
    s->liars = 0;
    signs(s, key_id, 3);
    sim_free(s);
}

static void without_a_spare_participant_a_lie_ends_the_signature(void **state)
{
    char key_id[KS_KEY_ID_MAX + 1];
    sim *s = start(3, 1, key_id);
    tdsa_err err;

    (void)state;
    presigns(s, key_id, 8);
    s->liars = 1u << 2;
    assert_int_equal(sign(s, key_id, &err), TDSA_E_VERIFY);
    assert_int_equal(of(s, key_id, 0x7).used, 1);
    s->liars = 0;
    signs(s, key_id, 1);
    sim_free(s);
}

/* ---- the stock keeper ---- */

static sim *start_keeping(unsigned keys, char key_id[][KS_KEY_ID_MAX + 1])
{
    const sim_cfg cfg = {.seed = 9, .n = 4, .t = 1, .delay_max_ms = 5, .hang_permille = 1000};
    sim *s = sim_new(&cfg);
    tdsa_err err;

    s->node[0].cfg.presign_low = 10;
    s->node[0].cfg.presign_high = 40;
    s->node[0].cfg.presign_batch_max = 8;
    sim_crash(s, 0);
    sim_start(s, 0);
    part_set_background(sim_part(s, 0));
    for (unsigned i = 0; i < keys; i++) {
        sim_must(s, sim_keygen(s, 0, GRP_P256, key_id[i], &err), "keygen", &err);
    }
    return s;
}

static void the_keeper_is_fair_between_keys(void **state)
{
    char key_id[3][KS_KEY_ID_MAX + 1];
    sim *s = start_keeping(3, key_id);
    uint64_t begun[3];
    uint64_t most = 0;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        signs(s, key_id[i], 1);
    }
    for (unsigned i = 0; i < 3; i++) {
        begun[i] = in_stock(s, key_id[i]);
    }
    while (most < 16) {
        uint64_t least = UINT64_MAX;

        assert_true(sim_step(s, sim_now(s) + 60000));
        most = 0;
        for (unsigned i = 0; i < 3; i++) {
            const uint64_t made = in_stock(s, key_id[i]) - begun[i];
            least = made < least ? made : least;
            most = made > most ? made : most;
        }
        assert_true(most <= least + 16); /* two batches */
    }
    sim_idle(s, 5000);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(in_stock(s, key_id[i]), 40);
    }
    sim_free(s);
}

static void the_keeper_waits_longer_each_time_that_it_fails(void **state)
{
    char key_id[1][KS_KEY_ID_MAX + 1];
    sim *s = start_keeping(1, key_id);
    uint64_t seq = 0;

    (void)state;
    signs(s, key_id[0], 1);
    for (uint16_t i = 1; i < 4; i++) {
        cut_off(s, i, true);
    }
    sim_idle(s, 120000);
    seq = sim_part(s, 0)->seq;
    assert_true(sim_part(s, 0)->keys->keep_fails > 3);
    assert_true(sim_part(s, 0)->keys->keep_fails < 12);
    sim_idle(s, 80000);
    assert_true(sim_part(s, 0)->seq != seq);
    for (uint16_t i = 1; i < 4; i++) {
        cut_off(s, i, false);
    }
    sim_idle(s, 80000);
    assert_int_equal(sim_part(s, 0)->keys->keep_fails, 0);
    assert_true(in_stock(s, key_id[0]) >= 10);
    sim_free(s);
}

static void the_keeper_stops_when_a_key_is_deleted(void **state)
{
    char key_id[1][KS_KEY_ID_MAX + 1];
    sim *s = start_keeping(1, key_id);
    part_result none;
    part_stats stats;
    tdsa_err err;

    (void)state;
    signs(s, key_id[0], 1);
    sim_must(s,
             sim_finish(s, 0,
                        part_start_delete(sim_part(s, 0), key_id[0], PART_GRACE_DEFAULT, 0, &err),
                        &none, &err),
             "delete", &err);
    sim_idle(s, 10000);
    stats = stats_of(s);
    assert_int_equal(stats.runs, 0);
    assert_null(sim_part(s, 0)->keys);
    sim_free(s);
}

static void logging_out_stops_the_keeper(void **state)
{
    char key_id[1][KS_KEY_ID_MAX + 1];
    sim *s = start_keeping(1, key_id);

    (void)state;
    signs(s, key_id[0], 1);
    part_forget(sim_part(s, 0));
    sim_idle(s, 10000);
    assert_int_equal(stats_of(s).runs, 0);
    assert_null(sim_part(s, 0)->keys);
    sim_free(s);
}

/* ---- memory ---- */

static void what_is_not_used_leaves_memory(void **state)
{
    char key_id[KS_KEY_ID_MAX + 1];
    sim *s = start(3, 1, key_id);

    (void)state;
    signs(s, key_id, 2);
    assert_int_equal(sim_part(s, 0)->key_count, 1);
    assert_true(stats_of(s).sessions > 0);
    sim_idle(s, 1000000); /* sessions for control live ten minutes */
    for (uint16_t i = 0; i < 3; i++) {
        assert_int_equal(sim_part(s, i)->key_count, 0);
        assert_int_equal(sim_part(s, i)->batch_count, 0);
        assert_int_equal(sim_part(s, i)->session_count, 0);
    }
    signs(s, key_id, 1);
    assert_int_equal(stats_of(s).verify_failures, 0);
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silence_costs_one_presignature_and_a_part_of_the_deadline),
        cmocka_unit_test(one_that_stays_away_is_tried_less_and_less),
        cmocka_unit_test(members_that_do_not_reach_each_other_are_not_put_together),
        cmocka_unit_test(too_many_away_is_an_error_in_time_that_names_one),
        cmocka_unit_test(a_lie_costs_one_presignature_and_raises_the_alarm),
        cmocka_unit_test(the_liar_is_found_out_whoever_it_is),
        cmocka_unit_test(when_all_lie_a_signature_ends_after_two_committees),
        cmocka_unit_test(without_a_spare_participant_a_lie_ends_the_signature),
        cmocka_unit_test(what_is_not_used_leaves_memory),
        cmocka_unit_test(the_keeper_is_fair_between_keys),
        cmocka_unit_test(the_keeper_waits_longer_each_time_that_it_fails),
        cmocka_unit_test(the_keeper_stops_when_a_key_is_deleted),
        cmocka_unit_test(logging_out_stops_the_keeper),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
