#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/statement.h"
#include "participant/internal.h"
#include "sim/sim_internal.h"

/* Many signatures at once: what one request suffers the others do not. Every released signature is
 * checked with OpenSSL, and its r against all others; the ledger watches what members answer. */

#define ITEMS_MAX 300u

typedef struct {
    sim *s;
    char key_id[KS_KEY_ID_MAX + 1];
    uint8_t digest[ITEMS_MAX][32];
    part_sign_request req[ITEMS_MAX];
    part_batch_item out[ITEMS_MAX];
    size_t count;
} fixture;

typedef struct {
    uint16_t n;
    bool prepare;
    uint32_t rate;
    int64_t limit;
    unsigned lie_permille;
} wish;

static void make_key(fixture *f, const wish *w)
{
    part_key_spec spec = {.curve = GRP_P256,
                          .policy = part_policy_default(GRP_P256, MPC_SCHEME_ECDSA),
                          .presignature_limit = w->limit == 0 ? -1 : w->limit};
    part *p = sim_part(f->s, 0);
    part_result none;
    tdsa_err err;

    spec.policy.prepare = w->prepare;
    spec.policy.rate = w->rate;
    spec.policy.derivation = MPC_DERIVE_BIP32;
    sim_must(f->s,
             sim_finish(f->s, 0, part_start_register(p, &spec, 0, f->key_id, &err), &none, &err),
             "register", &err);
    sim_must(f->s, sim_finish(f->s, 0, part_start_keygen(p, f->key_id, 0, &err), &none, &err),
             "keygen", &err);
}

static fixture *set_up(const wish *w)
{
    const sim_cfg cfg = {.seed = 11,
                         .n = w->n,
                         .t = 1,
                         .delay_max_ms = 2,
                         .hang_permille = 1000,
                         .lie_permille = w->lie_permille};
    fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->s = sim_new(&cfg);
    make_key(f, w);
    for (size_t i = 0; i < ITEMS_MAX; i++) {
        memset(f->digest[i], (int)(i % 251) + 1, sizeof f->digest[i]);
        f->digest[i][0] = (uint8_t)(i >> 8);
        f->req[i] = (part_sign_request){.digest_alg = TDSA_HASH_SHA256,
                                        .payload = f->digest[i],
                                        .payload_len = sizeof f->digest[i]};
    }
    return f;
}

static void tear_down(fixture *f)
{
    sim_free(f->s);
    free(f);
}

static uint64_t begin(fixture *f, size_t count, tdsa_err *err)
{
    f->count = count;
    return part_start_sign_batch(sim_part(f->s, 0), f->key_id, f->req, count, 0, f->out, err);
}

static tdsa_status run(fixture *f, size_t count, tdsa_err *err)
{
    part_result none;

    return sim_finish(f->s, 0, begin(f, count, err), &none, err);
}

static void check_item(fixture *f, size_t i)
{
    part_sign_request req = f->req[i];

    if (f->out[i].err.status != TDSA_OK) {
        fail_msg("request %zu: %s", i, f->out[i].err.text);
    }
    req.key_id = f->key_id;
    sim_check_signature_at(f->s, 0, &req, &f->out[i].sign);
}

static void check_all(fixture *f)
{
    for (size_t i = 0; i < f->count; i++) {
        check_item(f, i);
    }
}

static void presign(fixture *f, uint32_t count)
{
    part_result none;
    tdsa_err err;

    sim_must(f->s,
             sim_finish(f->s, 0, part_start_presign(sim_part(f->s, 0), f->key_id, count, 0, &err),
                        &none, &err),
             "presign", &err);
}

static uint64_t commits(const fixture *f, uint16_t who)
{
    ks_stats stats;

    ks_get_stats(f->s->node[who].store, &stats);
    return stats.commits;
}

static void cut_off(fixture *f, uint16_t peer, bool cut)
{
    for (uint16_t i = 0; i < f->s->cfg.n; i++) {
        f->s->cut[i][peer] = cut && i != peer;
        f->s->cut[peer][i] = cut && i != peer;
    }
}

static part_stats stats_of(const fixture *f)
{
    part_stats stats;

    part_get_stats(sim_part(f->s, 0), &stats);
    return stats;
}

/* ---- what it is for ---- */

static void a_batch_takes_one_exchange_and_few_commits(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    uint64_t exchanges = 0;
    uint64_t coordinator = 0;
    uint64_t member = 0;
    tdsa_err err;

    (void)state;
    presign(f, 256);
    assert_int_equal(run(f, 1, &err), TDSA_OK); /* opens the session */
    exchanges = sim_part(f->s, 0)->next_exchange;
    coordinator = commits(f, 0);
    member = commits(f, 1);
    f->digest[0][5] = 99;
    assert_int_equal(run(f, 200, &err), TDSA_OK);
    check_all(f);
    assert_int_equal(sim_part(f->s, 0)->next_exchange - exchanges, 2); /* one for each member */
    assert_true(commits(f, 0) - coordinator <= 5);
    assert_true(commits(f, 1) - member <= 5);
    tear_down(f);
}

static void missing_stock_is_made_first(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    tdsa_err err;

    (void)state;
    presign(f, 3);
    assert_int_equal(run(f, 70, &err), TDSA_OK);
    check_all(f);
    tear_down(f);
}

static void the_limit_of_the_key_holds_in_a_batch(void **state)
{
    fixture *f = set_up(&(wish){.n = 3, .limit = 8});
    part_stock_info info;
    tdsa_err err;

    (void)state;
    assert_int_equal(run(f, 20, &err), TDSA_OK); /* 8 at a time */
    check_all(f);
    assert_int_equal(part_stock_describe(sim_part(f->s, 0), f->key_id, &info, &err), TDSA_OK);
    assert_true(info.total.available + info.total.leased <= 8);
    assert_int_equal(part_set_limit(sim_part(f->s, 0), f->key_id, 0, &err), TDSA_OK);
    f->digest[0][5] = 99;
    assert_int_equal(part_purge(sim_part(f->s, 0), f->key_id, &(uint64_t){0}, &err), TDSA_OK);
    assert_int_equal(run(f, 2, &err), TDSA_E_LIMIT);
    assert_int_equal(f->out[0].err.status, TDSA_E_LIMIT);
    assert_int_equal(f->out[1].err.status, TDSA_E_LIMIT);
    tear_down(f);
}

static void prepare_mode_takes_one_exchange_more(void **state)
{
    fixture *f = set_up(&(wish){.n = 3, .prepare = true});
    uint64_t exchanges = 0;
    tdsa_err err;

    (void)state;
    presign(f, 100);
    assert_int_equal(run(f, 1, &err), TDSA_OK);
    exchanges = sim_part(f->s, 0)->next_exchange;
    f->digest[0][5] = 99;
    assert_int_equal(run(f, 80, &err), TDSA_OK);
    check_all(f);
    assert_int_equal(sim_part(f->s, 0)->next_exchange - exchanges, 4);
    tear_down(f);
}

static void each_request_has_its_own_path_and_options(void **state)
{
    static const uint32_t path[] = {44, 0, 7};
    fixture *f = set_up(&(wish){.n = 3});
    tdsa_err err;

    (void)state;
    f->req[1].path = path;
    f->req[1].path_len = 3;
    f->req[2].low_s = true;
    f->req[3].path = path;
    f->req[3].path_len = 1;
    assert_int_equal(run(f, 4, &err), TDSA_OK);
    check_all(f);
    tear_down(f);
}

/* ---- what is refused ---- */

static void a_bad_request_does_not_fail_the_others(void **state)
{
    static const uint32_t path[MPC_PATH_MAX + 1] = {0};
    static const uint32_t hardened[] = {1u << 31};
    fixture *f = set_up(&(wish){.n = 3});
    static const uint8_t zero[32] = {0};
    tdsa_err err;

    (void)state;
    f->req[0].digest_alg = TDSA_HASH_SHA1; /* not of the policy */
    f->req[1].payload_len = 31;
    f->req[3].path = path;
    f->req[3].path_len = MPC_PATH_MAX + 1;
    f->req[4].payload = zero; /* h = 0: found when its presignature is known */
    f->req[5].path = hardened;
    f->req[5].path_len = 1;
    assert_int_equal(run(f, 7, &err), TDSA_OK);
    assert_int_equal(f->out[0].err.status, TDSA_E_DENIED);
    assert_int_equal(f->out[1].err.status, TDSA_E_BAD_INPUT);
    assert_int_equal(f->out[3].err.status, TDSA_E_BAD_INPUT);
    assert_int_equal(f->out[4].err.status, TDSA_E_BAD_INPUT);
    assert_int_not_equal(f->out[5].err.status, TDSA_OK);
    check_item(f, 2);
    check_item(f, 6);
    tear_down(f);
}

static void a_batch_of_bad_requests_ends_at_once(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    part_result none;
    uint64_t op = PART_OP_NONE;
    tdsa_err err;

    (void)state;
    f->req[0].payload_len = 1;
    f->req[1].payload_len = 2;
    op = begin(f, 2, &err);
    assert_int_not_equal(op, PART_OP_NONE);
    assert_true(part_op_poll(sim_part(f->s, 0), op, &none, &err));
    assert_int_equal(f->out[0].err.status, TDSA_E_BAD_INPUT);
    assert_int_equal(f->out[1].err.status, TDSA_E_BAD_INPUT);
    tear_down(f);
}

static void a_batch_that_is_too_large_is_refused_with_the_numbers(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    uint8_t *long_one = calloc(1, MPC_MESSAGE_MAX);
    part_sign_request *many = calloc(PART_BATCH_ITEMS_MAX + 1, sizeof *many);
    tdsa_err err;

    (void)state;
    assert_non_null(long_one);
    assert_non_null(many);
    assert_int_equal(begin(f, 0, &err), PART_OP_NONE);
    assert_int_equal(err.status, TDSA_E_BAD_INPUT);
    for (size_t i = 0; i <= PART_BATCH_ITEMS_MAX; i++) {
        many[i] = (part_sign_request){.payload = long_one, .payload_len = MPC_MESSAGE_MAX};
    }
    assert_int_equal(part_start_sign_batch(sim_part(f->s, 0), f->key_id, many,
                                           PART_BATCH_ITEMS_MAX + 1, 0, f->out, &err),
                     PART_OP_NONE);
    assert_int_equal(err.status, TDSA_E_BAD_INPUT);
    assert_non_null(strstr(err.text, "1001"));
    assert_int_equal(part_start_sign_batch(sim_part(f->s, 0), f->key_id, many, 33, 0, f->out, &err),
                     PART_OP_NONE);
    assert_int_equal(err.status, TDSA_E_BAD_INPUT);
    assert_non_null(strstr(err.text, "2162688")); /* 33 * 65536 */
    assert_non_null(strstr(err.text, "2097152"));
    assert_int_equal(part_start_sign_batch(sim_part(f->s, 0), "nobody", f->req, 1, 0, f->out, &err),
                     PART_OP_NONE);
    assert_int_equal(err.status, TDSA_E_NOT_FOUND);
    free(long_one);
    free(many);
    tear_down(f);
}

static void only_so_many_batches_are_signed_at_a_time(void **state)
{
    fixture *f = set_up(&(wish){.n = 3});
    uint64_t op[32] = {0};
    unsigned begun = 0;
    part_result none;
    tdsa_err err;

    (void)state;
    f->count = 1;
    while (begun < 32 && (op[begun] = begin(f, 1, &err)) != PART_OP_NONE) {
        begun++;
    }
    assert_int_equal(begun, 16);
    assert_int_equal(err.status, TDSA_E_BUSY);
    for (unsigned i = 0; i < begun; i++) {
        assert_int_equal(sim_finish(f->s, 0, op[i], &none, &err), TDSA_OK);
    }
    assert_int_not_equal(op[0] = begin(f, 1, &err), PART_OP_NONE);
    part_op_cancel(sim_part(f->s, 0), op[0], &(tdsa_err){.status = TDSA_E_BUSY, .text = "stop"});
    assert_int_equal(f->out[0].err.status, TDSA_E_BUSY);
    tear_down(f);
}

static void the_rate_counts_each_request(void **state)
{
    fixture *f = set_up(&(wish){.n = 3, .rate = 5});
    unsigned signatures = 0;
    tdsa_err err;

    (void)state;
    presign(f, 16);
    assert_int_equal(run(f, 8, &err), TDSA_OK);
    for (size_t i = 0; i < 8; i++) {
        if (f->out[i].err.status == TDSA_OK) {
            check_item(f, i);
            signatures++;
        } else {
            assert_true(part_is_rate_limited(&f->out[i].err));
        }
    }
    assert_int_equal(signatures, 5);
    tear_down(f);
}

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
        cmocka_unit_test(a_batch_takes_one_exchange_and_few_commits),
        cmocka_unit_test(missing_stock_is_made_first),
        cmocka_unit_test(the_limit_of_the_key_holds_in_a_batch),
        cmocka_unit_test(prepare_mode_takes_one_exchange_more),
        cmocka_unit_test(each_request_has_its_own_path_and_options),
        cmocka_unit_test(a_bad_request_does_not_fail_the_others),
        cmocka_unit_test(a_batch_of_bad_requests_ends_at_once),
        cmocka_unit_test(a_batch_that_is_too_large_is_refused_with_the_numbers),
        cmocka_unit_test(only_so_many_batches_are_signed_at_a_time),
        cmocka_unit_test(the_rate_counts_each_request),
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
