#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "unit/participant/batch_fixture.h"

/* What the caller of a signature computes itself, and when its parts may come together. */

typedef struct {
    fixture *f;
    part *p; /* of participant 0 */
    uint64_t op;
    part_sign_work w;
} caller;

static caller call(const wish *w, uint8_t tag)
{
    caller c = {.f = set_up(w)};
    tdsa_err err;

    presign(c.f, 8);
    memset(c.f->digest[0], tag, sizeof c.f->digest[0]);
    c.f->req[0].key_id = c.f->key_id;
    c.p = sim_part(c.f->s, 0);
    c.op = part_start_sign(c.p, &c.f->req[0], 0, &err);
    assert_int_not_equal(c.op, PART_OP_NONE);
    sim_flush(c.f->s);
    return c;
}

static void await(const caller *c, part_op_state state)
{
    while (part_op_find(c->p, c->op)->state != state) {
        assert_true(sim_step(c->f->s, UINT64_MAX));
    }
}

static void prove(caller *c)
{
    part_result result;
    tdsa_err err;

    assert_true(part_can_prove(&c->w));
    part_prove(&c->w);
    assert_false(part_can_prove(&c->w)); /* once */
    part_give_sign(c->p, &c->w);
    assert_null(c->w.key);
    assert_true(part_op_over(c->p, c->op, &result, &err));
    sim_must(c->f->s, err.status, "sign", &err);
    sim_check_signature_at(c->f->s, 0, &c->f->req[0], &result.sign);
    tear_down(c->f);
}

static void end(caller *c, tdsa_status st)
{
    part_result result;
    tdsa_err err;

    part_give_sign(c->p, &c->w);
    assert_true(part_op_over(c->p, c->op, &result, &err));
    assert_int_equal(err.status, st);
    tear_down(c->f);
}

static void my_part_may_come_before_the_replies(void **state)
{
    caller c = call(&(wish){.n = 3}, 1);

    (void)state;
    assert_true(part_take_sign(c.p, c.op, &c.w));
    assert_false(part_take_sign(c.p, c.op, &c.w));
    part_make_sign(&c.w);
    assert_false(part_hand_replies(c.p, &c.w));
    assert_false(part_can_prove(&c.w));
    await(&c, OP_PROVING);
    assert_true(part_hand_replies(c.p, &c.w));
    assert_false(part_hand_replies(c.p, &c.w));
    prove(&c);
}

static void my_part_may_come_after_the_replies(void **state)
{
    caller c = call(&(wish){.n = 3}, 1);

    (void)state;
    assert_true(part_take_sign(c.p, c.op, &c.w));
    await(&c, OP_PROVING);
    assert_true(part_hand_replies(c.p, &c.w));
    part_make_sign(&c.w);
    prove(&c);
}

static void in_prepare_mode_the_coins_come_first(void **state)
{
    caller c = call(&(wish){.n = 3, .prepare = true}, 1);

    (void)state;
    assert_false(part_take_sign(c.p, c.op, &c.w));
    await(&c, OP_REPLIES);
    assert_true(part_take_sign(c.p, c.op, &c.w));
    part_make_sign(&c.w);
    await(&c, OP_PROVING);
    assert_true(part_hand_replies(c.p, &c.w));
    prove(&c);
}

static void a_request_that_i_refuse_is_never_proved(void **state)
{
    caller c = call(&(wish){.n = 3}, 0); /* the digest is 0 */

    (void)state;
    assert_true(part_take_sign(c.p, c.op, &c.w));
    part_make_sign(&c.w);
    assert_int_equal(c.w.err.status, TDSA_E_BAD_INPUT);
    assert_false(part_can_prove(&c.w));
    end(&c, TDSA_E_BAD_INPUT);
}

static void an_operation_that_ended_takes_nothing(void **state)
{
    caller c = call(&(wish){.n = 3}, 1);
    tdsa_err why;

    (void)state;
    assert_true(part_take_sign(c.p, c.op, &c.w));
    part_make_sign(&c.w);
    await(&c, OP_PROVING);
    assert_true(part_hand_replies(c.p, &c.w));
    part_prove(&c.w);
    (void)TDSA_FAIL(&why, TDSA_E_TIMEOUT, "its time is over");
    part_op_end(c.p, part_op_find(c.p, c.op), &why);
    end(&c, TDSA_E_TIMEOUT); /* a signature that came too late is not given out */
}

static void replies_to_one_attempt_are_not_those_to_another(void **state)
{
    caller c = call(&(wish){.n = 3}, 1);
    part_op *op = part_op_find(c.p, c.op);

    (void)state;
    assert_true(part_take_sign(c.p, c.op, &c.w));
    part_make_sign(&c.w);
    await(&c, OP_PROVING);
    op->tries++;
    assert_false(part_hand_replies(c.p, &c.w));
    op->tries--;
    assert_true(part_hand_replies(c.p, &c.w));
    part_prove(&c.w);
    op->tries++;
    part_give_sign(c.p, &c.w); /* changes nothing */
    assert_int_equal(op->state, OP_PROVING);
    part_op_end(c.p, op, &(tdsa_err){.status = TDSA_E_TIMEOUT, .participant = TDSA_NOBODY});
    end(&c, TDSA_E_TIMEOUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(my_part_may_come_before_the_replies),
        cmocka_unit_test(my_part_may_come_after_the_replies),
        cmocka_unit_test(in_prepare_mode_the_coins_come_first),
        cmocka_unit_test(a_request_that_i_refuse_is_never_proved),
        cmocka_unit_test(an_operation_that_ended_takes_nothing),
        cmocka_unit_test(replies_to_one_attempt_are_not_those_to_another),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
