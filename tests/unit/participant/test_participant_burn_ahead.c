#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/statement.h"
#include "unit/participant/batch_fixture.h"

/* Ranges that members burn before they are asked to sign with them. */

#define MEMBER 1u

static part_key *key_of(const fixture *f, uint16_t who)
{
    part_key *k = NULL;
    tdsa_err err;

    sim_must(f->s, part_key_hold(sim_part(f->s, who), f->key_id, &k, &err), "key", &err);
    part_key_release(sim_part(f->s, who), k);
    return k;
}

static void sign(fixture *f, uint8_t tag)
{
    uint8_t digest[32];
    part_sign_result sig;
    tdsa_err err;

    memset(digest, tag, sizeof digest);
    sim_must(f->s, sim_sign(f->s, 0, f->key_id, digest, &sig, &err), "sign", &err);
    sim_check_signature(f->s, 0, f->key_id, digest, &sig);
}

/* Signs until a lease of 16 is in use, of which none is leased ahead yet. */
static part_key *leased(fixture *f)
{
    part_key *k = NULL;

    presign(f, 128);
    for (uint8_t i = 1; i < 16; i++) {
        sign(f, i);
    }
    sim_part(f->s, 0)->ahead_len = 16;
    k = key_of(f, 0);
    while (k->lease_end - k->lease_next > (k->lease_end - k->lease_from) / 4 * 3) {
        sign(f, (uint8_t)(k->lease_next + 100));
    }
    return k;
}

/* The operation that tells the members. */
static uint64_t lease_ahead(fixture *f)
{
    part *p = sim_part(f->s, 0);
    part_lease_work w;
    uint64_t op = PART_OP_NONE;

    assert_true(part_take_lease(p, f->key_id, &w));
    assert_false(part_take_lease(p, f->key_id, &w)); /* one at a time */
    part_make_lease(&w);
    op = part_give_lease(p, &w);
    assert_int_not_equal(op, PART_OP_NONE);
    return op;
}

static void lease_and_tell(fixture *f)
{
    part_result none;
    tdsa_err err;

    sim_must(f->s, sim_finish(f->s, 0, lease_ahead(f), &none, &err), "told", &err);
}

static uint64_t burnt(const fixture *f, const part_key *k, uint32_t from)
{
    uint64_t bits = 0;
    tdsa_err err;

    sim_must(f->s,
             ks_batch_burnt(sim_store(f->s, MEMBER), mpc_batch_beta(k->lease->batch),
                            from / KS_BLOCK_SIZE, &bits, &err),
             "burnt", &err);
    return bits >> (from % KS_BLOCK_SIZE);
}

static void use_up(fixture *f, part_key *k, uint8_t tag)
{
    while (k->lease_next < k->lease_end) {
        sign(f, tag++);
    }
}

/* ---- good ---- */

static void members_burn_what_is_leased_ahead_and_sign_without_a_commit(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    part_key *k = leased(f);
    uint32_t from = 0;
    uint32_t to = 0;
    uint64_t before = 0;

    (void)state;
    lease_and_tell(f);
    from = k->ahead_from;
    to = k->ahead_end;
    assert_true(to - from >= 16);
    assert_int_equal(burnt(f, k, from) & 0xffff, 0xffff);
    use_up(f, k, 30);
    before = commits(f, MEMBER);
    sign(f, 60);
    assert_int_equal(k->lease_from, from);
    assert_int_equal(k->lease_next, from + 1);
    use_up(f, k, 61);
    assert_int_equal(commits(f, MEMBER), before);
    assert_int_equal(k->lease_next, to);
    tear_down(f);
}

static void a_member_that_did_not_hear_of_it_burns_when_it_is_asked(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    part_key *k = leased(f);
    uint32_t from = 0;
    tdsa_err why;

    (void)state;
    (void)TDSA_FAIL(&why, TDSA_E_TIMEOUT, "nobody waits");
    part_op_cancel(sim_part(f->s, 0), lease_ahead(f), &why);
    from = k->ahead_from;
    assert_int_equal(burnt(f, k, from) & 1, 0);
    use_up(f, k, 30);
    sign(f, 60);
    assert_int_equal(k->lease_from, from);
    assert_int_equal(burnt(f, k, from) & 1, 1);
    tear_down(f);
}

static void what_was_burnt_in_a_session_that_ended_is_lost(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    part_key *k = leased(f);
    uint32_t to = 0;

    (void)state;
    lease_and_tell(f);
    to = k->ahead_end;
    part_signing_leave(sim_part(f->s, 0), k);
    sign(f, 60);
    assert_true(k->lease_from >= to);
    tear_down(f);
}

static void a_lease_that_is_used_up_first_leaves_the_range(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    part_key *k = leased(f);
    part *p = sim_part(f->s, 0);
    part_lease_work w;

    (void)state;
    assert_true(part_take_lease(p, f->key_id, &w));
    part_make_lease(&w);
    use_up(f, k, 30);
    sign(f, 60);
    assert_true(k->lease_from >= w.to);
    assert_int_equal(part_give_lease(p, &w), PART_OP_NONE);
    assert_int_equal(k->ahead_end, 0);
    sign(f, 61);
    tear_down(f);
}

/* ---- what a member refuses ---- */

typedef struct {
    const char *key_id;
    uint32_t epoch;
    const uint8_t *beta;
    uint64_t from, to;
    const char *more; /* behind it; NULL: nothing */
} burn_request;

/* Asked by `who`, in a signing session of its own. */
static tdsa_status ask(fixture *f, uint16_t who, const burn_request *r, tdsa_err *err)
{
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    part *p = sim_part(f->s, who);
    part_op *op = part_op_new(p, PART_OP_REGISTER, f->key_id, 0, err); /* one answer, any body */
    part_question question = {.peer = MEMBER, .ask = {.kind = PART_ASK_BURN}};
    part_key *k = key_of(f, who);
    part_result none;

    assert_non_null(op);
    sim_must(f->s, part_signing_session(p, k, 7, &question.session, err), "session", err);
    op->waiting = 1u << MEMBER;
    tdsa_stmt_begin(&body, "burn-request");
    tdsa_stmt_text(&body, r->key_id);
    tdsa_stmt_uint(&body, r->epoch);
    tdsa_stmt_octets(&body, r->beta, KS_BETA_LEN);
    tdsa_stmt_uint(&body, r->from);
    tdsa_stmt_uint(&body, r->to);
    if (r->more != NULL) {
        tdsa_stmt_text(&body, r->more);
    }
    question.op = question.for_op = op->id;
    question.deadline_ms = op->deadline_ms;
    question.ask.body = body.data;
    question.ask.body_len = body.len;
    sim_must(f->s, part_put(p, &question, err), "put", err);
    (void)sim_finish(f->s, who, op->id, &none, err);
    return err->status;
}

static void a_member_refuses_what_is_no_range_of_the_asker(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    const part_key *k = leased(f);
    const uint8_t other[KS_BETA_LEN] = {7};
    const uint8_t *beta = mpc_batch_beta(k->lease->batch);
    const uint32_t epoch = k->key->pub.epoch;
    const uint64_t wrong[][2] = {{64, 64},  {65, 64},        {60, 68},
                                 {64, 129}, {120, 1u << 20}, {0, 128}};
    const burn_request good = {f->key_id, epoch, beta, 64, 80, NULL};
    burn_request r = good;
    tdsa_err err;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        r.from = wrong[i][0];
        r.to = wrong[i][1];
        assert_int_equal(ask(f, 0, &r, &err), TDSA_E_BAD_INPUT);
    }
    r = good;
    r.more = "more";
    assert_int_equal(ask(f, 0, &r, &err), TDSA_E_BAD_INPUT);
    r = good;
    r.key_id = "nobody";
    assert_int_equal(ask(f, 0, &r, &err), TDSA_E_NOT_FOUND);
    r = good;
    r.beta = other;
    assert_int_equal(ask(f, 0, &r, &err), TDSA_E_NOT_FOUND);
    r = good;
    r.epoch++;
    assert_int_not_equal(ask(f, 0, &r, &err), TDSA_OK);
    assert_int_equal(ask(f, 2, &good, &err), TDSA_E_DENIED); /* participant 0 coordinates it */
    assert_int_equal(burnt(f, k, 64), 0);
    sim_must(f->s, ask(f, 0, &good, &err), "good", &err);
    assert_int_equal(burnt(f, k, 64), 0xffff);
    sim_must(f->s, ask(f, 0, &good, &err), "again", &err); /* changes nothing */
    assert_int_equal(burnt(f, k, 64), 0xffff);
    tear_down(f);
}

/* ---- a member that is slow ---- */

static part_session *session_at_member(fixture *f)
{
    part_session *s = part_session_find(sim_part(f->s, MEMBER), key_of(f, 0)->signing->id);

    assert_non_null(s);
    return s;
}

static tdsa_status order(fixture *f, const part_key *k, uint32_t from)
{
    part *p = sim_part(f->s, MEMBER);
    part_key *mine = key_of(f, MEMBER);
    part_spend sp = {.index = from, .range_from = from, .range_to = from + 1};
    tdsa_status st;
    tdsa_err err;

    sim_must(f->s, part_batch_hold(p, mine, mpc_batch_beta(k->lease->batch), &sp.batch, &err),
             "batch", &err);
    st = part_burn_order(p, session_at_member(f), &sp, mine, &err);
    part_batch_release(p, sp.batch);
    return st;
}

static void a_member_takes_so_many_orders_and_no_more(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    const part_key *k = leased(f);
    part *p = sim_part(f->s, MEMBER);
    unsigned taken = 0;

    (void)state;
    while (taken < 1000 && order(f, k, 64) == TDSA_OK) {
        taken++;
    }
    assert_int_equal(taken, 64);
    assert_int_equal(order(f, k, 64), TDSA_E_BUSY);
    part_burns_drop(p);
    assert_null(p->burns);
    assert_int_equal(order(f, k, 64), TDSA_OK);
    part_burns_drop(p);
    assert_int_equal(burnt(f, k, 64), 0);
    tear_down(f);
}

static void what_is_asked_for_before_it_is_burnt_is_burnt_then(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    part_key *k = leased(f);
    part *p = sim_part(f->s, MEMBER);
    part_burn *b = NULL;
    uint32_t at = 0;

    (void)state;
    use_up(f, k, 30);
    at = k->lease_end; /* the next lease begins here */
    assert_int_equal(order(f, k, at), TDSA_OK);
    b = part_burn_hand_out(p); /* a thread has it, and is slow */
    assert_non_null(b);
    sign(f, 60);
    assert_int_equal(k->lease_next, at + 1);
    assert_int_equal(burnt(f, k, at) & 1, 1);
    part_burn_make(b);
    part_burn_give(p, b);
    assert_null(p->burns);
    use_up(f, k, 61);
    tear_down(f);
}

static void a_session_may_end_while_its_range_is_burnt(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    const part_key *k = leased(f);
    part *p = sim_part(f->s, MEMBER);
    part_burn *b = NULL;
    tdsa_err why;

    (void)state;
    assert_int_equal(order(f, k, 64), TDSA_OK);
    b = part_burn_hand_out(p);
    assert_non_null(b);
    assert_null(part_burn_hand_out(p));
    part_burns_drop(p); /* not this one */
    assert_non_null(p->burns);
    (void)TDSA_FAIL(&why, TDSA_E_TIMEOUT, "idle");
    part_session_end(p, session_at_member(f), &why);
    part_burn_make(b);
    part_burn_give(p, b);
    assert_null(p->burns);
    assert_int_equal(burnt(f, k, 64), 1);
    tear_down(f);
}

static void a_key_may_go_while_its_range_is_burnt(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    const part_key *k = leased(f);
    part *p = sim_part(f->s, MEMBER);
    const part_session *s = session_at_member(f);
    part_burn *b = NULL;

    (void)state;
    assert_int_equal(order(f, k, 64), TDSA_OK);
    b = part_burn_hand_out(p);
    assert_non_null(b);
    part_key_replaced(p, f->key_id);
    part_burn_make(b);
    part_burn_give(p, b);
    assert_null(s->ranges); /* which would keep its secrets in memory */
    assert_int_equal(burnt(f, k, 64), 1);
    tear_down(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_burn_what_is_leased_ahead_and_sign_without_a_commit),
        cmocka_unit_test(a_member_that_did_not_hear_of_it_burns_when_it_is_asked),
        cmocka_unit_test(what_was_burnt_in_a_session_that_ended_is_lost),
        cmocka_unit_test(a_lease_that_is_used_up_first_leaves_the_range),
        cmocka_unit_test(a_member_refuses_what_is_no_range_of_the_asker),
        cmocka_unit_test(a_member_takes_so_many_orders_and_no_more),
        cmocka_unit_test(what_is_asked_for_before_it_is_burnt_is_burnt_then),
        cmocka_unit_test(a_session_may_end_while_its_range_is_burnt),
        cmocka_unit_test(a_key_may_go_while_its_range_is_burnt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
