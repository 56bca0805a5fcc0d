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

static void what_comes_after_the_lease_was_used_up_is_used_next(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    part_key *k = leased(f);
    part *p = sim_part(f->s, 0);
    part_lease_work w;
    uint32_t from = 0;
    part_result none;
    tdsa_err err;

    (void)state;
    assert_true(part_take_lease(p, f->key_id, &w));
    part_make_lease(&w);
    from = w.from;
    use_up(f, k, 30);
    sign(f, 60);
    assert_true(k->lease_from >= w.to);
    sim_must(f->s, sim_finish(f->s, 0, part_give_lease(p, &w), &none, &err), "told", &err);
    use_up(f, k, 61);
    sign(f, 90);
    assert_int_equal(k->lease_from, from);
    use_up(f, k, 91);
    sign(f, 120); /* and further on where the others ended */
    tear_down(f);
}

/* A lease of a whole block is in use, of which `left` are left. */
static part_key *busy(fixture *f, uint32_t left)
{
    part_key *k = NULL;
    unsigned tag = 0;

    do {
        sign(f, (uint8_t)(tag++ % 200 + 1));
        k = key_of(f, 0);
    } while (k->lease_len < KS_BLOCK_SIZE || k->lease_end - k->lease_from < KS_BLOCK_SIZE ||
             k->lease_end - k->lease_next > left);
    return k;
}

static void several_blocks_are_leased_and_burnt_in_one_commit_each(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    part_key *k = NULL;
    uint64_t before = 0;
    uint64_t mine = 0;
    uint64_t burned = 0;
    uint32_t from = 0;

    (void)state;
    presign(f, 600);
    k = busy(f, 40);
    before = commits(f, MEMBER);
    mine = commits(f, 0);
    lease_and_tell(f);
    assert_int_equal(commits(f, MEMBER), before + 1);
    assert_int_equal(commits(f, 0), mine + 1);
    burned = sim_part(f->s, MEMBER)->stats.burned;
    from = k->ahead_from;
    assert_int_equal(from, k->lease_end);
    assert_int_equal(k->ahead_end, from + PART_AHEAD_MAX);
    for (uint32_t at = from; at < k->ahead_end; at += KS_BLOCK_SIZE) {
        assert_true(burnt(f, k, at) == UINT64_MAX);
    }
    assert_int_equal(burnt(f, k, k->ahead_end), 0);
    for (uint32_t at = from; at < from + PART_AHEAD_MAX; at += KS_BLOCK_SIZE) {
        use_up(f, k, 30);
        sign(f, 60);
        assert_int_equal(k->lease_from, at);
        assert_int_equal(k->lease_end, at + KS_BLOCK_SIZE);
    }
    assert_null(k->ahead);
    use_up(f, k, 30);
    assert_int_equal(sim_part(f->s, MEMBER)->stats.burned, burned);
    tear_down(f);
}

static void the_next_batch_follows_the_last_block_of_this_one(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    part *p = sim_part(f->s, 0);
    const part_batch *first = NULL;
    part_key *k = NULL;
    part_lease_work w;
    part_stock_info stock;
    tdsa_err err;

    (void)state;
    presign(f, 192);
    k = busy(f, 40);
    while (k->lease_end < 192 || k->lease_end - k->lease_next > 40) {
        sign(f, (uint8_t)(k->lease_next % 200 + 1));
    }
    first = k->lease;
    assert_true(part_take_lease(p, f->key_id, &w));
    part_make_lease(&w);
    assert_int_equal(part_give_lease(p, &w), PART_OP_NONE); /* there is none yet */
    assert_null(k->ahead);
    assert_false(part_take_lease(p, f->key_id, &w)); /* nor is it asked for again at once */
    presign(f, 100);
    while (!part_take_lease(p, f->key_id, &w)) {
        assert_true(k->lease_next < k->lease_end);
        sign(f, (uint8_t)(k->lease_next % 200 + 1));
    }
    part_make_lease(&w);
    assert_int_not_equal(part_give_lease(p, &w), PART_OP_NONE);
    assert_non_null(k->ahead);
    assert_ptr_not_equal(k->ahead, first);
    assert_int_equal(k->ahead_from, 0);
    assert_int_equal(k->ahead_end, 100);
    sim_must(f->s, part_stock_describe(p, f->key_id, &stock, &err), "stock", &err);
    assert_int_equal(stock.total.leased, k->lease_end - k->lease_next + 100);
    assert_int_equal(stock.committee[0].leased, stock.total.leased);
    assert_int_equal(stock.total.used, 0); /* the first batch is used up and kept no more */
    assert_int_equal(stock.total.available, 0);
    use_up(f, k, 30);
    assert_ptr_equal(k->lease, first);
    sign(f, 60);
    assert_ptr_not_equal(k->lease, first);
    assert_int_equal(k->lease_next, 1);
    use_up(f, k, 61);
    sign(f, 62);
    assert_int_equal(k->lease_next, 65);
    assert_null(k->ahead);
    tear_down(f);
}

static void members_are_not_told_of_a_range_with_holes(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    part *p = sim_part(f->s, 0);
    part_presig_id gone = {.index = 200};
    part_key *k = NULL;
    part_lease_work w;
    tdsa_err err;

    (void)state;
    presign(f, 400);
    k = busy(f, 40);
    memcpy(gone.beta, mpc_batch_beta(k->lease->batch), sizeof gone.beta);
    sim_must(f->s, part_presig_delete(p, f->key_id, &gone, &err), "delete", &err);
    assert_true(part_take_lease(p, f->key_id, &w));
    part_make_lease(&w);
    assert_int_equal(part_give_lease(p, &w), PART_OP_NONE);
    assert_non_null(k->ahead);
    assert_int_equal(part_lease_left(k),
                     k->lease_end - k->lease_next + k->ahead_end - k->ahead_from - 1);
    while (k->lease_next != 200) {
        sign(f, (uint8_t)(k->lease_next % 200 + 1));
    }
    sign(f, 1);
    assert_int_equal(k->lease_next, 202);
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
    const uint64_t wrong[][2] = {{64, 64}, {65, 64}, {64, 129}, {120, 1u << 20}};
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

static void a_member_burns_so_many_at_once_and_no_more(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    const part_key *k = NULL;
    burn_request r = {.key_id = f->key_id};
    tdsa_err err;

    (void)state;
    presign(f, 400);
    sign(f, 1);
    k = key_of(f, 0);
    r.beta = mpc_batch_beta(k->lease->batch);
    r.epoch = k->key->pub.epoch;
    r.from = 100;
    r.to = r.from + PART_AHEAD_MAX + 1;
    assert_int_equal(ask(f, 0, &r, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(burnt(f, k, 100), 0);
    r.to--;
    sim_must(f->s, ask(f, 0, &r, &err), "good", &err);
    assert_true(burnt(f, k, 64) == UINT64_MAX << 36);
    assert_true(burnt(f, k, 320) == (1ull << 36) - 1);
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
        cmocka_unit_test(what_comes_after_the_lease_was_used_up_is_used_next),
        cmocka_unit_test(several_blocks_are_leased_and_burnt_in_one_commit_each),
        cmocka_unit_test(the_next_batch_follows_the_last_block_of_this_one),
        cmocka_unit_test(members_are_not_told_of_a_range_with_holes),
        cmocka_unit_test(a_member_refuses_what_is_no_range_of_the_asker),
        cmocka_unit_test(a_member_burns_so_many_at_once_and_no_more),
        cmocka_unit_test(a_member_takes_so_many_orders_and_no_more),
        cmocka_unit_test(what_is_asked_for_before_it_is_burnt_is_burnt_then),
        cmocka_unit_test(a_session_may_end_while_its_range_is_burnt),
        cmocka_unit_test(a_key_may_go_while_its_range_is_burnt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
