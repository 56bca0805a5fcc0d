#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/statement.h"
#include "unit/participant/batch_fixture.h"

/* Batches whose members are silent, lie, were restarted, or are asked what is no batch. */

/* ---- members ---- */

static void a_silent_member_is_named_in_every_request(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    tdsa_err err;

    (void)state;
    presign(f, 16);
    cut_off(f, 2, true);
    assert_int_not_equal(run(f, 4, &err), TDSA_OK);
    for (size_t i = 0; i < 4; i++) {
        assert_int_not_equal(f->out[i].err.status, TDSA_OK);
        assert_int_equal(f->out[i].err.participant, 2);
    }
    cut_off(f, 2, false);
    sim_idle(f->s, 1000);
    assert_int_equal(run(f, 4, &err), TDSA_OK);
    check_all(f);
    tear_down(f);
}

static void another_committee_signs_what_a_silent_member_does_not(void **state)
{
    fixture *f = set_up(&(wish){.n = 4});
    tdsa_err err;

    (void)state;
    presign(f, 32);
    assert_int_equal(run(f, 4, &err), TDSA_OK);
    check_all(f);
    cut_off(f, 2, true);
    f->digest[0][7] = f->digest[1][7] = f->digest[2][7] = f->digest[3][7] = 77;
    assert_int_equal(run(f, 20, &err), TDSA_OK);
    check_all(f);
    tear_down(f);
}

static void presignatures_of_two_committees_take_two_waves(void **state)
{
    fixture *f = set_up(&(wish){.n = 4});
    tdsa_err err;

    (void)state;
    presign(f, 8);
    cut_off(f, 2, true);
    assert_int_equal(run(f, 1, &err), TDSA_OK); /* makes a batch with 3 */
    presign(f, 8);
    cut_off(f, 2, false);
    sim_idle(f->s, 60000);
    f->digest[0][7] = 77;
    assert_int_equal(run(f, 16, &err), TDSA_OK);
    check_all(f);
    tear_down(f);
}

static void a_member_that_was_started_again_costs_presignatures_only(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    tdsa_err err;

    (void)state;
    presign(f, 64);
    assert_int_equal(run(f, 2, &err), TDSA_OK);
    check_all(f);
    sim_crash(f->s, 1);
    sim_start(f->s, 1);
    f->digest[0][9] = f->digest[1][9] = 9;
    assert_int_equal(run(f, 8, &err), TDSA_OK);
    check_all(f);
    tear_down(f);
}

static void a_member_without_the_batch_of_presignatures_costs_presignatures_only(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    uint64_t dropped = 0;
    tdsa_err err;

    (void)state;
    presign(f, 64);
    assert_int_equal(run(f, 2, &err), TDSA_OK);
    check_all(f);
    assert_int_equal(part_purge(sim_part(f->s, 1), f->key_id, &dropped, &err), TDSA_OK);
    f->digest[0][9] = f->digest[1][9] = 9;
    assert_int_equal(run(f, 8, &err), TDSA_OK);
    check_all(f);
    tear_down(f);
}

static void a_liar_fails_what_it_lied_about_and_raises_the_alarm(void **state)
{
    fixture *f = set_up(&(wish){.n = 3, .lie_permille = 400});
    unsigned failed = 0;
    tdsa_err err;

    (void)state;
    presign(f, 64);
    f->s->liars = 1u << 1;
    (void)run(f, 30, &err);
    f->s->liars = 0;
    for (size_t i = 0; i < 30; i++) {
        if (f->out[i].err.status == TDSA_OK) {
            check_item(f, i);
        } else {
            failed++;
        }
    }
    assert_true(failed > 0);
    assert_true(stats_of(f).verify_failures > 0);
    assert_true(stats_of(f).verify_failures <= failed);
    tear_down(f);
}

static void another_committee_signs_what_a_liar_broke(void **state)
{
    fixture *f = set_up(&(wish){.n = 4, .lie_permille = 400});
    tdsa_err err;

    (void)state;
    presign(f, 64);
    assert_int_equal(run(f, 2, &err), TDSA_OK);
    check_all(f);
    f->s->liars = 1u << 1;
    f->digest[0][9] = f->digest[1][9] = 9;
    assert_int_equal(run(f, 30, &err), TDSA_OK);
    check_all(f);
    assert_true(stats_of(f).verify_failures > 0);
    tear_down(f);
}

static void a_reshare_in_the_middle_is_said_in_every_request(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    const part_reshare_spec same = {.t = 0};
    part_result none;
    uint64_t op = PART_OP_NONE;
    tdsa_err err;

    (void)state;
    op = begin(f, 4, &err);
    assert_int_not_equal(op, PART_OP_NONE);
    assert_int_equal(sim_reshare(f->s, 1, f->key_id, &same, &err), TDSA_OK);
    (void)sim_finish(f->s, 0, op, &none, &err);
    for (size_t i = 0; i < 4; i++) { /* signed before, or told */
        if (f->out[i].err.status == TDSA_OK) {
            check_item(f, i);
        } else {
            assert_int_equal(f->out[i].err.status, TDSA_E_CONFLICT);
        }
    }
    f->digest[0][9] = f->digest[1][9] = f->digest[2][9] = f->digest[3][9] = 9;
    assert_int_equal(run(f, 4, &err), TDSA_OK);
    check_all(f);
    tear_down(f);
}

static void a_deadline_ends_what_is_left(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    part_result none;
    tdsa_err err;

    (void)state;
    presign(f, 8);
    cut_off(f, 1, true);
    f->count = 3;
    (void)sim_finish(
        f->s, 0, part_start_sign_batch(sim_part(f->s, 0), f->key_id, f->req, 3, 50, f->out, &err),
        &none, &err);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(f->out[i].err.status, TDSA_E_TIMEOUT);
        assert_int_equal(f->out[i].err.participant, 1);
    }
    tear_down(f);
}

/* ---- a member that is asked what is no batch ---- */

static tdsa_status ask(fixture *f, uint64_t phase, size_t items, const char *item, tdsa_err *err)
{
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    part *p = sim_part(f->s, 0);
    part_op *op = part_op_new(p, PART_OP_REGISTER, f->key_id, 0, err); /* one answer, any body */
    part_question question = {.peer = 1, .ask = {.kind = PART_ASK_SIGN_BATCH}};
    part_key *k = NULL;
    part_result none;
    size_t list = 0;

    assert_non_null(op);
    sim_must(f->s, part_key_hold(p, f->key_id, &k, err), "key", err);
    sim_must(f->s, part_signing_session(p, k, 7, &question.session, err), "session", err);
    op->waiting = 1u << 1;
    tdsa_stmt_begin(&body, "batch-request");
    tdsa_stmt_uint(&body, phase);
    list = tdsa_stmt_list_begin(&body);
    for (size_t i = 0; i < items; i++) {
        tdsa_stmt_octets(&body, item, strlen(item));
    }
    tdsa_stmt_list_end(&body, list);
    question.op = question.for_op = op->id;
    question.deadline_ms = op->deadline_ms;
    question.ask.body = body.data;
    question.ask.body_len = body.len;
    sim_must(f->s, part_put(p, &question, err), "put", err);
    (void)sim_finish(f->s, 0, op->id, &none, err);
    part_key_release(p, k);
    return err->status;
}

static void members_refuse_what_is_no_batch(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    tdsa_err err;

    (void)state;
    assert_int_equal(ask(f, PART_BATCH_REPLIES, 0, "", &err), TDSA_E_BAD_INPUT);
    assert_int_equal(ask(f, 3, 1, "x", &err), TDSA_E_BAD_INPUT);
    assert_int_equal(ask(f, 0, 1, "x", &err), TDSA_E_BAD_INPUT);
    assert_int_equal(ask(f, PART_BATCH_REPLIES, PART_BATCH_ITEMS_MAX + 1, "x", &err),
                     TDSA_E_BAD_INPUT);
    /* a batch, whose requests are nonsense: each is refused on its own */
    assert_int_equal(ask(f, PART_BATCH_REPLIES, PART_BATCH_ITEMS_MAX, "x", &err), TDSA_OK);
    assert_int_equal(ask(f, PART_BATCH_COINS, 3, "", &err), TDSA_OK);
    tear_down(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_silent_member_is_named_in_every_request),
        cmocka_unit_test(another_committee_signs_what_a_silent_member_does_not),
        cmocka_unit_test(presignatures_of_two_committees_take_two_waves),
        cmocka_unit_test(a_member_that_was_started_again_costs_presignatures_only),
        cmocka_unit_test(a_member_without_the_batch_of_presignatures_costs_presignatures_only),
        cmocka_unit_test(a_liar_fails_what_it_lied_about_and_raises_the_alarm),
        cmocka_unit_test(another_committee_signs_what_a_liar_broke),
        cmocka_unit_test(a_reshare_in_the_middle_is_said_in_every_request),
        cmocka_unit_test(a_deadline_ends_what_is_left),
        cmocka_unit_test(members_refuse_what_is_no_batch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
