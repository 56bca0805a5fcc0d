#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "unit/participant/delete_fixture.h"

/* Deleting keys and undoing it, by participants that come and go. */

static bool see_key(void *ctx, const part_key_info *k)
{
    (void)k;
    *(bool *)ctx = true;
    return true;
}

static void a_key_that_is_being_deleted_is_out_of_use_everywhere(void **state)
{
    char key_id[KS_KEY_ID_MAX + 1];
    sim *s = start(false, key_id);
    part_key_info info;
    const part_key_filter ten = {.limit = 10};
    bool listed = false;
    tdsa_err err;

    (void)state;
    must_sign(s, 1, key_id); /* it is in memory */
    sim_must(s, delete_key(s, 0, key_id, &err), "delete", &err);
    all_are(s, key_id, KS_KEY_DELETING);
    for (uint16_t i = 0; i < 3; i++) {
        must_not_sign(s, i, key_id, "DELETING");
        sim_must(s, part_key_list(sim_part(s, i), &ten, see_key, &listed, &err), "list", &err);
        assert_false(listed);
        sim_must(s, part_key_describe(sim_part(s, i), key_id, &info, &err), "describe", &err);
        assert_int_equal(info.state, KS_KEY_DELETING);
        assert_true(info.deletion_ms > 0);
    }
    assert_int_equal(part_start_presign(sim_part(s, 1), key_id, 1, 0, &err), PART_OP_NONE);
    assert_int_equal(err.status, TDSA_E_CONFLICT);
    assert_int_equal(part_start_reshare(sim_part(s, 1), key_id, &(part_reshare_spec){0}, 0, &err),
                     PART_OP_NONE);
    assert_int_equal(err.status, TDSA_E_CONFLICT);
    sim_must(s, delete_key(s, 2, key_id, &err), "delete again", &err);
    assert_int_equal(pending_at(s, 0, key_id), 0);
    sim_free(s);
}

static bool note_state(void *ctx, const part_key_info *k)
{
    ks_key_state *state = ctx;

    assert_int_equal(*state, 0); /* one key */
    *state = k->state;
    return true;
}

/* What a list tells that reads changes alone. */
static ks_key_state changed_since(sim *s, uint64_t *since)
{
    const part_key_filter filter = {.changed_after = *since};
    ks_key_state state = (ks_key_state)0;
    tdsa_err err;

    sim_must(s, ks_change_counter(sim_store(s, 1), since, &err), "counter", &err);
    sim_must(s, part_key_list(sim_part(s, 1), &filter, note_state, &state, &err), "list", &err);
    return state;
}

static void changes_are_listed_in_every_state(void **state)
{
    char key_id[KS_KEY_ID_MAX + 1];
    sim *s = start(false, key_id);
    part_key_filter future = {.changed_after = UINT64_MAX};
    bool listed = false;
    uint64_t at = 1;
    tdsa_err err;

    (void)state;
    assert_int_equal(changed_since(s, &at), KS_KEY_ACTIVE);
    must_sign(s, 1, key_id);
    assert_int_equal(changed_since(s, &at), 0);
    sim_must(s, delete_key(s, 0, key_id, &err), "delete", &err);
    assert_int_equal(changed_since(s, &at), KS_KEY_DELETING);
    sim_must(s, undelete(s, 0, key_id, &err), "undelete", &err);
    assert_int_equal(changed_since(s, &at), KS_KEY_ACTIVE);
    sim_must(s, delete_key(s, 0, key_id, &err), "delete", &err);
    sim_idle(s, 2 * GRACE_MS);
    assert_int_equal(changed_since(s, &at), KS_KEY_DELETED);
    assert_int_equal(part_key_list(sim_part(s, 1), &future, see_key, &listed, &err),
                     TDSA_E_CONFLICT);
    assert_false(listed);
    sim_free(s);
}

static void undoing_brings_it_back_everywhere(void **state)
{
    char key_id[KS_KEY_ID_MAX + 1];
    sim *s = start(false, key_id);
    tdsa_err err;

    (void)state;
    assert_int_equal(undelete(s, 0, key_id, &err), TDSA_E_CONFLICT);
    for (unsigned round = 0; round < 3; round++) {
        must_sign(s, 0, key_id);
        sim_must(s, delete_key(s, 0, key_id, &err), "delete", &err);
        sim_idle(s, GRACE_MS / 2);
        sim_must(s, undelete(s, 1, key_id, &err), "undelete", &err);
        all_are(s, key_id, KS_KEY_ACTIVE);
        sim_idle(s, 3 * GRACE_MS); /* nothing of the order is left */
        all_are(s, key_id, KS_KEY_ACTIVE);
    }
    sim_must(s, undelete(s, 2, key_id, &err), "nothing to do", &err);
    must_sign(s, 2, key_id);
    sim_free(s);
}

static void after_the_grace_period_it_is_wiped_everywhere(void **state)
{
    char key_id[KS_KEY_ID_MAX + 1];
    sim *s = start(false, key_id);
    tdsa_secret *share = NULL;
    tdsa_err err;

    (void)state;
    must_sign(s, 0, key_id);
    sim_must(s, delete_key(s, 0, key_id, &err), "delete", &err);
    sim_idle(s, GRACE_MS - 5000);
    all_are(s, key_id, KS_KEY_DELETING);
    sim_idle(s, 10000);
    all_are(s, key_id, KS_KEY_DELETED);
    for (uint16_t i = 0; i < 3; i++) {
        assert_int_equal(ks_key_open(sim_store(s, i), key_id, 0, &share, &err), TDSA_E_NOT_FOUND);
        assert_int_equal(delete_key(s, i, key_id, &err), TDSA_E_NOT_FOUND);
        assert_int_equal(undelete(s, i, key_id, &err), TDSA_E_NOT_FOUND);
        must_not_sign(s, i, key_id, "deleted");
        assert_int_equal(pending_at(s, i, key_id), 0);
    }
    sim_free(s);
}

static void a_participant_that_was_away_learns_of_it(void **state)
{
    char key_id[KS_KEY_ID_MAX + 1];
    sim *s = start(false, key_id);
    tdsa_err err;

    (void)state;
    sim_crash(s, 2);
    sim_must(s, delete_key(s, 0, key_id, &err), "delete", &err);
    assert_int_equal(pending_at(s, 0, key_id), 1u << 2);
    assert_int_equal(state_at(s, 2, key_id), KS_KEY_ACTIVE);
    sim_start(s, 2);
    sim_idle(s, 70000);
    all_are(s, key_id, KS_KEY_DELETING);
    assert_int_equal(pending_at(s, 0, key_id), 0);
    sim_idle(s, 3 * GRACE_MS);
    all_are(s, key_id, KS_KEY_DELETED);
    sim_free(s);
}

static void an_order_that_tells_later_waits_for_nobody(void **state)
{
    char key_id[KS_KEY_ID_MAX + 1];
    sim *s = start(false, key_id);
    const uint64_t before = s->now_ms;
    part_result none;
    uint64_t op = PART_OP_NONE;
    tdsa_err err;

    (void)state;
    op = part_start_delete(sim_part(s, 0), key_id, PART_GRACE_DEFAULT, PART_TELL_LATER, &err);
    sim_must(s, sim_finish(s, 0, op, &none, &err), "delete", &err);
    assert_int_equal(s->now_ms, before);
    assert_int_equal(state_at(s, 0, key_id), KS_KEY_DELETING);
    assert_int_equal(pending_at(s, 0, key_id), 1u << 1 | 1u << 2);
    sim_idle(s, 20000);
    all_are(s, key_id, KS_KEY_DELETING);
    assert_int_equal(pending_at(s, 0, key_id), 0);
    sim_free(s);
}

static void one_that_comes_back_after_the_others_wiped_follows(void **state)
{
    char key_id[KS_KEY_ID_MAX + 1];
    sim *s = start(false, key_id);
    tdsa_err err;

    (void)state;
    sim_crash(s, 2);
    sim_must(s, delete_key(s, 0, key_id, &err), "delete", &err);
    sim_idle(s, 3 * GRACE_MS);
    assert_int_equal(state_at(s, 0, key_id), KS_KEY_DELETED);
    assert_int_equal(state_at(s, 1, key_id), KS_KEY_DELETED);
    sim_crash(s, 0); /* what is left to be told outlives its process */
    sim_crash(s, 1);
    sim_start(s, 0);
    sim_start(s, 1);
    sim_start(s, 2);
    sim_idle(s, 70000);
    assert_int_equal(state_at(s, 2, key_id), KS_KEY_DELETING);
    assert_int_equal(undelete(s, 2, key_id, &err), TDSA_E_NOT_FOUND); /* the others have wiped */
    sim_idle(s, 3 * GRACE_MS);
    all_are(s, key_id, KS_KEY_DELETED);
    sim_free(s);
}

static void an_undoing_waits_for_one_that_is_away_and_nobody_wipes(void **state)
{
    char key_id[KS_KEY_ID_MAX + 1];
    sim *s = start(false, key_id);
    tdsa_err err;

    (void)state;
    sim_must(s, delete_key(s, 0, key_id, &err), "delete", &err);
    sim_crash(s, 2);
    assert_int_equal(undelete(s, 0, key_id, &err), TDSA_E_UNAVAILABLE);
    assert_int_equal(err.participant, 2);
    assert_non_null(strstr(err.text, "UNDOING"));
    sim_idle(s, 5 * GRACE_MS);
    assert_int_equal(state_at(s, 0, key_id), KS_KEY_DELETING);
    assert_int_equal(state_at(s, 1, key_id), KS_KEY_DELETING);
    must_not_sign(s, 0, key_id, "DELETING");
    sim_start(s, 2); /* its time has come: it asks first, and hears of the undoing */
    sim_idle(s, 130000);
    all_are(s, key_id, KS_KEY_ACTIVE);
    must_sign(s, 2, key_id);
    sim_free(s);
}

static void an_undoing_that_comes_too_late_ends_with_the_key_gone_everywhere(void **state)
{
    char key_id[KS_KEY_ID_MAX + 1];
    sim *s = start(false, key_id);
    tdsa_err err;

    (void)state;
    sim_must(s, delete_key(s, 0, key_id, &err), "delete", &err);
    cut(s, 2, true);
    assert_int_equal(undelete(s, 0, key_id, &err), TDSA_E_UNAVAILABLE);
    sim_idle(s, GRACE_MS + 10000);
    assert_int_equal(state_at(s, 2, key_id), KS_KEY_DELETING); /* no other clock agrees */
    sim_idle(s, 2 * GRACE_MS);
    assert_int_equal(state_at(s, 2, key_id), KS_KEY_DELETED); /* twice the time, and nobody there */
    assert_int_equal(state_at(s, 0, key_id), KS_KEY_DELETING);
    cut(s, 2, false);
    sim_idle(s, 70000);
    assert_int_equal(undelete(s, 0, key_id, &err), TDSA_E_NOT_FOUND);
    sim_idle(s, 4 * GRACE_MS);
    all_are(s, key_id, KS_KEY_DELETED);
    sim_free(s);
}

static void a_clock_that_jumps_does_not_wipe_alone(void **state)
{
    char key_id[KS_KEY_ID_MAX + 1];
    sim *s = start(false, key_id);
    tdsa_err err;

    (void)state;
    sim_must(s, delete_key(s, 0, key_id, &err), "delete", &err);
    s->node[2].wall_offset_ms += GRACE_MS + 1000;
    sim_idle(s, GRACE_MS / 4);
    assert_int_equal(state_at(s, 2, key_id), KS_KEY_DELETING);
    sim_must(s, undelete(s, 1, key_id, &err), "undelete", &err);
    all_are(s, key_id, KS_KEY_ACTIVE);
    s->node[1].wall_offset_ms -=
        1000 * (int64_t)GRACE_MS; /* back: it wipes with the others' word */
    sim_must(s, delete_key(s, 0, key_id, &err), "delete", &err);
    sim_idle(s, 3 * GRACE_MS);
    all_are(s, key_id, KS_KEY_DELETED);
    sim_free(s);
}

/* Words that are compared near the time do not put it off by another grace period. */
static void clocks_that_are_a_little_apart_wipe_in_time(void **state)
{
    char key_id[KS_KEY_ID_MAX + 1];
    sim *s = start(false, key_id);
    tdsa_err err;

    (void)state;
    sim_must(s, delete_key(s, 0, key_id, &err), "delete", &err);
    s->node[1].wall_offset_ms -= 3000;
    s->node[2].wall_offset_ms += 2000;
    sim_idle(s, GRACE_MS - 5000);
    all_are(s, key_id, KS_KEY_DELETING);
    sim_idle(s, 20000);
    all_are(s, key_id, KS_KEY_DELETED);
    sim_free(s);
}

static void the_later_of_two_orders_given_at_once_counts(void **state)
{
    char key_id[KS_KEY_ID_MAX + 1];
    sim *s = start(false, key_id);
    part_result none;
    uint64_t one, two;
    tdsa_err err;

    (void)state;
    one = part_start_delete(sim_part(s, 0), key_id, PART_GRACE_DEFAULT, 2000, &err);
    two = part_start_delete(sim_part(s, 1), key_id, 5 * GRACE_MS, 2000, &err);
    sim_must(s, sim_finish(s, 0, one, &none, &err), "delete", &err);
    sim_must(s, sim_finish(s, 1, two, &none, &err), "delete", &err);
    sim_idle(s, 3 * GRACE_MS);
    all_are(s, key_id, KS_KEY_DELETING);
    one = part_start_undelete(sim_part(s, 0), key_id, 2000, &err);
    two = part_start_undelete(sim_part(s, 1), key_id, 2000, &err);
    sim_must(s, sim_finish(s, 0, one, &none, &err), "undelete", &err);
    sim_must(s, sim_finish(s, 1, two, &none, &err), "undelete", &err);
    all_are(s, key_id, KS_KEY_ACTIVE);
    must_sign(s, 2, key_id);
    sim_free(s);
}

static void a_deletion_and_an_undoing_at_once_end_alike_everywhere(void **state)
{
    (void)state;
    for (unsigned turn = 0; turn < 6; turn++) {
        char key_id[KS_KEY_ID_MAX + 1];
        sim *s = start(false, key_id);
        const uint16_t first = (uint16_t)(turn % 3);
        const uint16_t second = (uint16_t)((turn + 1 + turn / 3) % 3);
        part_result none;
        uint64_t one, two;
        tdsa_err err;

        sim_must(s, delete_key(s, 0, key_id, &err), "delete", &err);
        one = part_start_undelete(sim_part(s, first), key_id, 2000, &err);
        two = part_start_delete(sim_part(s, second), key_id, PART_GRACE_DEFAULT, 2000, &err);
        /* nobody has wiped: an undoing that is overtaken does not say so */
        assert_int_not_equal(sim_finish(s, first, one, &none, &err), TDSA_E_NOT_FOUND);
        (void)sim_finish(s, second, two, &none, &err);
        sim_idle(s, 70000);
        all_are(s, key_id, state_at(s, 0, key_id));
        sim_idle(s, 3 * GRACE_MS);
        all_are(s, key_id, state_at(s, 0, key_id));
        assert_int_not_equal(state_at(s, 0, key_id), KS_KEY_DELETING);
        sim_free(s);
    }
}

static tdsa_status hear(sim *s, uint16_t at, uint16_t from, const part_word *w, tdsa_err *err)
{
    const part_heard h = {.word = w, .from = from};

    return part_deletion_hear(sim_part(s, at), &h, err);
}

static void an_old_order_that_is_repeated_changes_nothing(void **state)
{
    char key_id[KS_KEY_ID_MAX + 1];
    sim *s = start(false, key_id);
    part_word w = {.serial = 1, .state = KS_DELETION_SCHEDULED};
    tdsa_err err;

    (void)state;
    memcpy(w.key_id, key_id, sizeof w.key_id);
    sim_must(s, delete_key(s, 0, key_id, &err), "delete", &err);
    sim_must(s, undelete(s, 0, key_id, &err), "undelete", &err);
    sim_must(s, hear(s, 1, 0, &w, &err), "old order", &err);
    all_are(s, key_id, KS_KEY_ACTIVE);
    w.serial = 1 + (UINT64_C(1) << 40); /* out of reach: else no order could follow it */
    assert_int_equal(hear(s, 1, 0, &w, &err), TDSA_E_DENIED);
    all_are(s, key_id, KS_KEY_ACTIVE);
    must_sign(s, 1, key_id);
    sim_free(s);
}

static void a_member_cannot_shorten_the_time_for_undoing(void **state)
{
    char key_id[KS_KEY_ID_MAX + 1];
    sim *s = start(false, key_id);
    part_word w = {.serial = 1, .state = KS_DELETION_SCHEDULED};
    tdsa_err err;

    (void)state;
    memcpy(w.key_id, key_id, sizeof w.key_id);
    cut(s, 2, true);
    sim_must(s, hear(s, 1, 2, &w, &err), "at once, it says", &err);
    w.state = KS_DELETION_WIPED;
    sim_must(s, hear(s, 1, 2, &w, &err), "wiped, it says", &err);
    sim_idle(s, GRACE_MS / 2);
    assert_int_equal(state_at(s, 1, key_id), KS_KEY_DELETING);
    cut(s, 2, false);
    sim_must(s, undelete(s, 0, key_id, &err), "undelete", &err);
    all_are(s, key_id, KS_KEY_ACTIVE);
    assert_int_equal(part_start_delete(sim_part(s, 0), key_id, GRACE_MS - 1, 0, &err),
                     PART_OP_NONE);
    assert_int_equal(err.status, TDSA_E_BAD_INPUT);
    assert_int_equal(part_start_delete(sim_part(s, 0), key_id, 10 * GRACE_MS + 1, 0, &err),
                     PART_OP_NONE);
    assert_int_equal(err.status, TDSA_E_BAD_INPUT);
    sim_free(s);
}

static void a_key_without_shares_goes_at_once(void **state)
{
    const sim_cfg cfg = {
        .seed = 5, .n = 3, .t = 1, .delay_max_ms = 1, .grace_ms = GRACE_MS, .background = true};
    const part_key_spec spec = {.curve = GRP_P256,
                                .policy = part_policy_default(GRP_P256, MPC_SCHEME_ECDSA)};
    char key_id[KS_KEY_ID_MAX + 1];
    part_result none;
    sim *s = sim_new(&cfg);
    uint64_t op;
    tdsa_err err;

    (void)state;
    op = part_start_register(sim_part(s, 0), &spec, 2000, key_id, &err);
    sim_must(s, sim_finish(s, 0, op, &none, &err), "register", &err);
    sim_crash(s, 2);
    sim_must(s, delete_key(s, 0, key_id, &err), "delete", &err);
    assert_int_equal(state_at(s, 0, key_id), KS_KEY_DELETED);
    assert_int_equal(state_at(s, 1, key_id), KS_KEY_DELETED);
    sim_start(s, 2);
    sim_idle(s, 70000);
    all_are(s, key_id, KS_KEY_DELETED);
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_that_is_being_deleted_is_out_of_use_everywhere),
        cmocka_unit_test(changes_are_listed_in_every_state),
        cmocka_unit_test(undoing_brings_it_back_everywhere),
        cmocka_unit_test(after_the_grace_period_it_is_wiped_everywhere),
        cmocka_unit_test(a_participant_that_was_away_learns_of_it),
        cmocka_unit_test(an_order_that_tells_later_waits_for_nobody),
        cmocka_unit_test(one_that_comes_back_after_the_others_wiped_follows),
        cmocka_unit_test(an_undoing_waits_for_one_that_is_away_and_nobody_wipes),
        cmocka_unit_test(an_undoing_that_comes_too_late_ends_with_the_key_gone_everywhere),
        cmocka_unit_test(a_clock_that_jumps_does_not_wipe_alone),
        cmocka_unit_test(clocks_that_are_a_little_apart_wipe_in_time),
        cmocka_unit_test(the_later_of_two_orders_given_at_once_counts),
        cmocka_unit_test(a_deletion_and_an_undoing_at_once_end_alike_everywhere),
        cmocka_unit_test(an_old_order_that_is_repeated_changes_nothing),
        cmocka_unit_test(a_member_cannot_shorten_the_time_for_undoing),
        cmocka_unit_test(a_key_without_shares_goes_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
