#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "unit/participant/batch_fixture.h"

/* Single signatures that are asked for while others are under way: their questions ride together. */

#define CALLERS 20u

/* Callers who ask at the same moment, each for itself; the first is alone, the others ride together. */
typedef struct {
    fixture *f;
    uint64_t op[CALLERS];
    part_result result[CALLERS];
    tdsa_err err[CALLERS];
} callers;

static void call(callers *c, size_t i, uint32_t deadline_ms)
{
    c->f->req[i].key_id = c->f->key_id;
    c->op[i] = part_start_sign(sim_part(c->f->s, 0), &c->f->req[i], deadline_ms, &c->err[i]);
    assert_int_not_equal(c->op[i], PART_OP_NONE);
}

static void finish(callers *c, size_t i)
{
    (void)sim_finish(c->f->s, 0, c->op[i], &c->result[i], &c->err[i]);
}

static void check(callers *c, size_t i)
{
    if (c->err[i].status != TDSA_OK) {
        fail_msg("caller %zu: %s", i, c->err[i].text);
    }
    sim_check_signature_at(c->f->s, 0, &c->f->req[i], &c->result[i].sign);
}

static void call_all(callers *c, fixture *f)
{
    memset(c, 0, sizeof *c);
    c->f = f;
    for (size_t i = 0; i < CALLERS; i++) {
        call(c, i, 0);
    }
}

static void finish_all(callers *c)
{
    for (size_t i = 0; i < CALLERS; i++) {
        finish(c, i);
    }
}

static void all_sign(callers *c)
{
    finish_all(c);
    for (size_t i = 0; i < CALLERS; i++) {
        check(c, i);
    }
}

/* A group whose session of signatures is open. */
static fixture *ready(const wish *w)
{
    fixture *f = set_up(w);
    callers c = {.f = f};

    presign(f, 100);
    f->digest[0][8] = 88;
    call(&c, 0, 0);
    finish(&c, 0);
    check(&c, 0);
    f->digest[0][8] = 1;
    return f;
}

static uint64_t heard(const fixture *f, uint16_t who)
{
    part_stats stats;

    part_get_stats(sim_part(f->s, who), &stats);
    return stats.heard;
}

static void who_comes_meanwhile_rides_with_the_others(void **state)
{
    fixture *f = ready(&(wish){.n = 3});
    const uint64_t before = heard(f, 1);
    callers c = {.f = f};

    (void)state;
    call(&c, 0, 0);
    sim_flush(f->s);
    for (size_t i = 1; i < CALLERS; i++) {
        call(&c, i, 0);
    }
    all_sign(&c);
    assert_int_equal(heard(f, 1) - before, 2); /* the first alone, then all others */
    tear_down(f);
}

static void who_comes_before_the_first_is_sent_rides_with_it(void **state)
{
    fixture *f = ready(&(wish){.n = 3});
    const uint64_t before = heard(f, 1);
    callers c;

    (void)state;
    call_all(&c, f);
    all_sign(&c);
    assert_int_equal(heard(f, 1) - before, 1);
    tear_down(f);
}

static void when_the_first_leaves_the_next_one_sends(void **state)
{
    fixture *f = ready(&(wish){.n = 3});
    callers c;
    tdsa_err why;

    (void)state;
    call_all(&c, f);
    (void)TDSA_FAIL(&why, TDSA_E_TIMEOUT, "left");
    part_op_cancel(sim_part(f->s, 0), c.op[0], &why);
    assert_true(part_exchange_is_ready(sim_part(f->s, 0), c.op[1]));
    assert_false(part_exchange_is_ready(sim_part(f->s, 0), c.op[2]));
    for (size_t i = 1; i < CALLERS; i++) {
        finish(&c, i);
        check(&c, i);
    }
    tear_down(f);
}

static void in_prepare_mode_the_locks_ride_too(void **state)
{
    fixture *f = ready(&(wish){.n = 3, .prepare = true});
    const uint64_t before = heard(f, 1);
    callers c;

    (void)state;
    call_all(&c, f);
    all_sign(&c);
    assert_in_range(heard(f, 1) - before, 3, CALLERS);
    tear_down(f);
}

static void a_slow_answer_holds_nobody_up_for_long(void **state)
{
    fixture *f = ready(&(wish){.n = 3});
    const uint64_t from_ms = sim_now(f->s);
    callers c;

    (void)state;
    f->s->cfg.delay_max_ms = 400;
    call_all(&c, f);
    while (sim_now(f->s) < from_ms + 2 * PART_HOLD_MS &&
           sim_step(f->s, from_ms + 2 * PART_HOLD_MS)) {
    }
    for (const part_exchange *x = sim_part(f->s, 0)->exchanges; x != NULL; x = x->next) {
        assert_int_not_equal(x->state, EXCHANGE_HELD);
    }
    all_sign(&c);
    tear_down(f);
}

/* The first caller has all replies, and its signature is not verified yet. */
static void call_until_it_is_to_be_verified(callers *c)
{
    part *p = sim_part(c->f->s, 0);

    call(c, 0, 0);
    sim_flush(c->f->s);
    while (part_op_find(p, c->op[0])->state != OP_PROVING) {
        assert_true(sim_step(c->f->s, UINT64_MAX));
    }
}

static size_t held(const fixture *f)
{
    size_t count = 0;

    for (const part_exchange *x = sim_part(f->s, 0)->exchanges; x != NULL; x = x->next) {
        count += x->state == EXCHANGE_HELD ? 1 : 0;
    }
    return count;
}

static void who_comes_while_one_is_verified_waits_for_its_caller(void **state)
{
    fixture *f = ready(&(wish){.n = 3});
    const uint64_t before = heard(f, 1);
    callers c = {.f = f};

    (void)state;
    call_until_it_is_to_be_verified(&c);
    call(&c, 1, 0);
    call(&c, 2, 0);
    assert_int_equal(held(f), 4); /* two questions each, to two members */
    finish(&c, 0);
    assert_int_equal(held(f), 0);
    for (size_t i = 0; i < 3; i++) {
        if (i > 0) {
            finish(&c, i);
        }
        check(&c, i);
    }
    assert_int_equal(heard(f, 1) - before, 2);
    tear_down(f);
}

static void a_caller_that_does_not_verify_holds_nobody_up_for_long(void **state)
{
    fixture *f = ready(&(wish){.n = 3});
    callers c = {.f = f};

    (void)state;
    call_until_it_is_to_be_verified(&c);
    call(&c, 1, 0);
    finish(&c, 1);
    check(&c, 1);
    finish(&c, 0);
    check(&c, 0);
    tear_down(f);
}

static void a_deadline_ends_one_and_none_of_the_others(void **state)
{
    fixture *f = ready(&(wish){.n = 3});
    callers c = {.f = f};

    (void)state;
    f->s->cfg.delay_max_ms = 300;
    for (size_t i = 0; i < CALLERS; i++) { /* among them the first of those that ride */
        call(&c, i, i % 3 == 1 ? 8 : 0);
    }
    finish_all(&c);
    for (size_t i = 0; i < CALLERS; i++) {
        if (i % 3 == 1) {
            assert_int_equal(c.err[i].status, TDSA_E_TIMEOUT);
        } else {
            check(&c, i);
        }
    }
    tear_down(f);
}

static void a_lie_fails_what_it_is_about(void **state)
{
    fixture *f = ready(&(wish){.n = 3, .lie_permille = 400});
    unsigned failed = 0;
    callers c;

    (void)state;
    f->s->liars = 1u << 1;
    call_all(&c, f);
    finish_all(&c);
    f->s->liars = 0;
    for (size_t i = 0; i < CALLERS; i++) {
        if (c.err[i].status == TDSA_OK) {
            check(&c, i);
        } else {
            failed++;
        }
    }
    assert_in_range(failed, 1, CALLERS - 1);
    tear_down(f);
}

static void a_silent_member_is_named_to_everybody(void **state)
{
    fixture *f = ready(&(wish){.n = 3});
    callers c;

    (void)state;
    cut_off(f, 2, true);
    call_all(&c, f);
    finish_all(&c);
    for (size_t i = 0; i < CALLERS; i++) {
        assert_int_not_equal(c.err[i].status, TDSA_OK);
        assert_int_equal(c.err[i].participant, 2);
    }
    cut_off(f, 2, false);
    sim_idle(f->s, 1000);
    call_all(&c, f);
    all_sign(&c);
    tear_down(f);
}

static void another_committee_signs_for_everybody(void **state)
{
    fixture *f = ready(&(wish){.n = 4});
    callers c;

    (void)state;
    cut_off(f, 2, true);
    call_all(&c, f);
    all_sign(&c);
    tear_down(f);
}

static void a_member_that_was_started_again_costs_presignatures_only(void **state)
{
    fixture *f = ready(&(wish){.n = 3});
    callers c;

    (void)state;
    call_all(&c, f);
    sim_crash(f->s, 1);
    sim_start(f->s, 1);
    all_sign(&c);
    tear_down(f);
}

static void who_still_waits_for_presignatures_drives_what_another_began(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    const tdsa_err why = {.status = TDSA_E_TIMEOUT, .participant = TDSA_NOBODY};
    callers c = {.f = f};
    unsigned rounds = 0;

    (void)state;
    call(&c, 0, 0); /* orders a batch */
    call(&c, 1, 0);
    part_op_cancel(sim_part(f->s, 0), c.op[0], &why);
    for (const part_exchange *x = sim_part(f->s, 0)->exchanges; x != NULL; x = x->next) {
        assert_int_equal(x->op, c.op[1]);
        rounds++;
    }
    assert_true(rounds > 0);
    part_op_cancel(sim_part(f->s, 0), c.op[1], &why); /* now nobody */
    call(&c, 2, 0);
    for (const part_exchange *x = sim_part(f->s, 0)->exchanges; x != NULL; x = x->next) {
        assert_true(x->kind != PART_ASK_PRESIGN || x->op == c.op[2]);
    }
    finish(&c, 2);
    check(&c, 2);
    tear_down(f);
}

static uint64_t stock(const fixture *f)
{
    uint64_t have = 0;
    tdsa_err err;

    sim_must(f->s, part_stock(sim_part(f->s, 0), f->key_id, &have, &err), "stock", &err);
    return have;
}

static void sign_alone(fixture *f, uint8_t tag)
{
    callers c = {.f = f};

    memset(f->digest[0], tag, sizeof f->digest[0]);
    call(&c, 0, 0);
    finish(&c, 0);
    check(&c, 0);
}

static void the_next_batch_is_made_before_the_last_has_gone(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    part *p = sim_part(f->s, 0);
    uint64_t op = PART_OP_NONE;
    part_result none;
    unsigned signatures = 0;
    tdsa_err err;

    (void)state;
    p->cfg.presign_batch_min = 16;
    p->cfg.presign_batch_max = 128;
    part_forget(p); /* keys in memory know the old sizes */
    while (op == PART_OP_NONE && signatures < 200) {
        sign_alone(f, (uint8_t)++signatures);
        assert_true(signatures > 16 || !p->keys->low); /* a few make nothing ahead */
        op = part_start_ahead(p, f->key_id, &err);
    }
    assert_in_range(signatures, 17, 199);
    assert_true(stock(f) > 0); /* nobody had to wait */
    sim_must(f->s, sim_finish(f->s, 0, op, &none, &err), "ahead", &err);
    assert_true(stock(f) >= 64);
    assert_int_equal(part_start_ahead(p, f->key_id, &err), PART_OP_NONE);
    tear_down(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_comes_meanwhile_rides_with_the_others),
        cmocka_unit_test(who_comes_before_the_first_is_sent_rides_with_it),
        cmocka_unit_test(when_the_first_leaves_the_next_one_sends),
        cmocka_unit_test(in_prepare_mode_the_locks_ride_too),
        cmocka_unit_test(a_slow_answer_holds_nobody_up_for_long),
        cmocka_unit_test(who_comes_while_one_is_verified_waits_for_its_caller),
        cmocka_unit_test(a_caller_that_does_not_verify_holds_nobody_up_for_long),
        cmocka_unit_test(a_deadline_ends_one_and_none_of_the_others),
        cmocka_unit_test(a_lie_fails_what_it_is_about),
        cmocka_unit_test(a_silent_member_is_named_to_everybody),
        cmocka_unit_test(another_committee_signs_for_everybody),
        cmocka_unit_test(a_member_that_was_started_again_costs_presignatures_only),
        cmocka_unit_test(who_still_waits_for_presignatures_drives_what_another_began),
        cmocka_unit_test(the_next_batch_is_made_before_the_last_has_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
