#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/statement.h"
#include "participant/internal.h"
#include "sim/sim_internal.h"

/* Prepare mode between participants: a coordinator that does not keep to it gets nothing. */

#define N      3u
#define MEMBER 1u /* the one that is asked; 0 coordinates */

typedef struct {
    sim *s;
    char key_id[KS_KEY_ID_MAX + 1];
    part_key *key[N]; /* held at each participant */
    part_batch *batch;
    part_session *session;
    uint32_t index;
    mpc_request q;
    tdsa_buf bytes;
    mpc_coins coins;
} fixture;

static const uint8_t digest[32] = {9};

static void new_key(fixture *f)
{
    part_key_spec spec = {.curve = GRP_P256,
                          .policy = part_policy_default(GRP_P256, MPC_SCHEME_ECDSA),
                          .presignature_limit = PART_LIMIT_DEFAULT};
    part_result none;
    tdsa_err err;
    part *p = sim_part(f->s, 0);

    spec.policy.prepare = true;
    sim_must(f->s,
             sim_finish(f->s, 0, part_start_register(p, &spec, 0, f->key_id, &err), &none, &err),
             "register", &err);
    sim_must(f->s, sim_finish(f->s, 0, part_start_keygen(p, f->key_id, 0, &err), &none, &err),
             "keygen", &err);
    sim_must(f->s, sim_finish(f->s, 0, part_start_presign(p, f->key_id, 8, 0, &err), &none, &err),
             "presign", &err);
}

static tdsa_status sign(fixture *f, tdsa_err *err)
{
    const part_sign_request req = {.key_id = f->key_id,
                                   .digest_alg = TDSA_HASH_SHA256,
                                   .payload = digest,
                                   .payload_len = sizeof digest};
    part_result result;

    return sim_finish(f->s, 0, part_start_sign(sim_part(f->s, 0), &req, 0, err), &result, err);
}

static void encode(fixture *f)
{
    tdsa_buf_reset(&f->bytes);
    mpc_request_encode(&f->bytes, &f->q);
}

/* The coins of all, as the participants themselves would give them; no ledger of these is kept. */
static void collect(fixture *f)
{
    const uint32_t dishonest = f->s->dishonest;
    uint8_t t0[64];
    tdsa_err err;

    f->s->dishonest = (1u << N) - 1;
    memset(&f->coins, 0, sizeof f->coins);
    for (uint16_t i = 0; i < N; i++) {
        TDSA_SCOPED_BUF coin = TDSA_BUF_EMPTY;
        part_batch *b = NULL;

        sim_must(f->s, part_batch_hold(sim_part(f->s, i), f->key[i], f->q.beta, &b, &err), "batch",
                 &err);
        sim_must(
            f->s,
            mpc_prepare_new(t0, f->key[i]->key, b->batch, &f->q, f->bytes.data, f->bytes.len, &err),
            "T0", &err);
        sim_must(f->s, mpc_prepare_reply(&coin, f->key[i]->key, b->batch, f->index, t0, &err),
                 "coin", &err);
        sim_must(f->s,
                 mpc_prepare_take(&f->coins, f->key[0]->key, f->batch->batch, t0, i, coin.data,
                                  coin.len, &err),
                 "list", &err);
        part_batch_release(sim_part(f->s, i), b);
    }
    f->s->dishonest = dishonest;
}

static void set_up(fixture *f)
{
    const sim_cfg cfg = {.seed = 41, .n = N, .t = 1, .delay_max_ms = 1};
    tdsa_err err;

    memset(f, 0, sizeof *f);
    f->s = sim_new(&cfg);
    new_key(f);
    f->s->dishonest = 1u << 0;
    for (uint16_t i = 0; i < N; i++) {
        sim_must(f->s, part_key_hold(sim_part(f->s, i), f->key_id, &f->key[i], &err), "key", &err);
    }
    sim_must(f->s, part_signing_session(sim_part(f->s, 0), f->key[0], 7, &f->session, &err),
             "session", &err);
    sim_must(f->s, part_stock_take(sim_part(f->s, 0), f->key[0], &f->batch, &f->index, &err),
             "stock", &err);
    sim_must(f->s, mpc_request_for_key(&f->q, f->key[0]->key, &err), "request", &err);
    f->q.index = f->index;
    memcpy(f->q.beta, mpc_batch_beta(f->batch->batch), sizeof f->q.beta);
    f->q.committee_count = N;
    memcpy(f->q.committee, mpc_batch_committee(f->batch->batch), N * sizeof f->q.committee[0]);
    f->q.digest_alg = TDSA_HASH_SHA256;
    f->q.payload = digest;
    f->q.payload_len = sizeof digest;
    encode(f);
    collect(f);
}

static void tear_down(fixture *f)
{
    part_batch_release(sim_part(f->s, 0), f->batch);
    for (uint16_t i = 0; i < N; i++) {
        part_key_release(sim_part(f->s, i), f->key[i]);
    }
    tdsa_buf_clear(&f->bytes);
    sim_free(f->s);
}

/* Participant 0 puts the question to MEMBER past every check of its own. */
static tdsa_status ask(fixture *f, part_ask_kind kind, tdsa_err *err)
{
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    part *p = sim_part(f->s, 0);
    part_op *op = part_op_new(p, PART_OP_REGISTER, f->key_id, 0, err); /* one answer, any body */
    part_question question = {.session = f->session, .peer = MEMBER, .ask = {.kind = kind}};
    part_result result;

    assert_non_null(op);
    op->waiting = 1u << MEMBER;
    tdsa_stmt_begin(&body, kind == PART_ASK_SIGN ? "sign-request" : "prepare-request");
    tdsa_stmt_uint(&body, f->key[0]->lease_from);
    tdsa_stmt_uint(&body, f->key[0]->lease_end);
    tdsa_stmt_octets(&body, f->bytes.data, f->bytes.len);
    if (kind == PART_ASK_SIGN) {
        mpc_coins_put(&body, f->key[0]->key->g, &f->coins);
    }
    question.op = op->id;
    question.for_op = op->id;
    question.deadline_ms = op->deadline_ms;
    question.ask.body = body.data;
    question.ask.body_len = body.len;
    sim_must(f->s, part_put(p, &question, err), "question", err);
    return sim_finish(f->s, 0, op->id, &result, err);
}

static void refuses(fixture *f, part_ask_kind kind, tdsa_status st, const char *text)
{
    tdsa_err err;

    assert_int_equal(ask(f, kind, &err), st);
    assert_int_equal(err.participant, MEMBER);
    if (strstr(err.text, text) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", text, err.text);
    }
}

static uint64_t burned(const fixture *f, uint16_t index)
{
    part_stats stats;

    part_get_stats(sim_part(f->s, index), &stats);
    return stats.burned;
}

static void a_key_of_prepare_mode_signs(void **state)
{
    const sim_cfg cfg = {.seed = 42, .n = N, .t = 1, .delay_max_ms = 3};
    fixture f = {0};
    tdsa_err err;

    (void)state;
    f.s = sim_new(&cfg);
    new_key(&f);
    for (unsigned i = 0; i < 12; i++) { /* more than the stock: batches are made on the way */
        sim_must(f.s, sign(&f, &err), "sign", &err);
    }
    sim_free(f.s);
}

static void nothing_is_signed_before_the_lock(void **state)
{
    fixture f;

    (void)state;
    set_up(&f);
    refuses(&f, PART_ASK_SIGN, TDSA_E_CONFLICT, "NOT_PREPARED");
    assert_int_equal(burned(&f, MEMBER), 0);
    tear_down(&f);
}

static void a_lock_is_for_one_request(void **state)
{
    static const uint8_t other[32] = {10};
    fixture f;
    tdsa_err err;

    (void)state;
    set_up(&f);
    sim_must(f.s, ask(&f, PART_ASK_PREPARE, &err), "prepare", &err);
    assert_true(burned(&f, MEMBER) > 0); /* durable before the coin left */
    sim_must(f.s, ask(&f, PART_ASK_PREPARE, &err), "the same again", &err);
    f.q.payload = other;
    encode(&f);
    refuses(&f, PART_ASK_PREPARE, TDSA_E_CONFLICT, "PRESIGNATURE_LOCKED");
    refuses(&f, PART_ASK_SIGN, TDSA_E_CONFLICT, "NOT_PREPARED");
    f.q.payload = digest;
    encode(&f);
    sim_must(f.s, ask(&f, PART_ASK_SIGN, &err), "sign", &err);
    sim_must(f.s, ask(&f, PART_ASK_SIGN, &err), "the same again", &err);
    f.q.payload = other;
    encode(&f);
    refuses(&f, PART_ASK_PREPARE, TDSA_E_CONFLICT, "PRESIGNATURE_LOCKED");
    refuses(&f, PART_ASK_SIGN, TDSA_E_CONFLICT, "NOT_PREPARED");
    tear_down(&f);
}

static void a_wrong_list_is_refused_after_the_lock(void **state)
{
    fixture f;
    mpc_coins good;
    grp_scalar one;
    tdsa_err err;

    (void)state;
    set_up(&f);
    good = f.coins;
    grp_scalar_set_u64(f.key[0]->key->g, &one, 1);
    sim_must(f.s, ask(&f, PART_ASK_PREPARE, &err), "prepare", &err);
    grp_scalar_add(f.key[0]->key->g, &f.coins.c[MEMBER], &good.c[MEMBER], &one);
    refuses(&f, PART_ASK_SIGN, TDSA_E_PROTOCOL, "in the place of participant 1");
    f.coins = good;
    grp_scalar_add(f.key[0]->key->g, &f.coins.c[2], &good.c[2], &one);
    refuses(&f, PART_ASK_SIGN, TDSA_E_PROTOCOL, "one polynomial");
    f.coins = good;
    f.coins.count = 2;
    refuses(&f, PART_ASK_SIGN, TDSA_E_BAD_INPUT, "scalar");
    f.coins = good;
    sim_must(f.s, ask(&f, PART_ASK_SIGN, &err), "sign", &err);
    tear_down(&f);
}

/* The lock lives in memory, its burn in the database: after a restart the presignature is gone. */
static void a_lock_does_not_come_back_after_a_restart(void **state)
{
    fixture f;
    tdsa_err err;

    (void)state;
    set_up(&f);
    sim_must(f.s, ask(&f, PART_ASK_PREPARE, &err), "prepare", &err);
    part_key_release(sim_part(f.s, MEMBER), f.key[MEMBER]);
    sim_crash(f.s, MEMBER);
    sim_start(f.s, MEMBER);
    sim_must(f.s, part_key_hold(sim_part(f.s, MEMBER), f.key_id, &f.key[MEMBER], &err), "key",
             &err);
    part_signing_leave(sim_part(f.s, 0), f.key[0]);
    sim_must(f.s, part_signing_session(sim_part(f.s, 0), f.key[0], 7, &f.session, &err), "session",
             &err);
    f.key[0]->lease_from = f.index;
    f.key[0]->lease_end = f.index + 1;
    refuses(&f, PART_ASK_SIGN, TDSA_E_CONFLICT, "NOT_PREPARED");
    refuses(&f, PART_ASK_PREPARE, TDSA_E_CONFLICT, "NOT_MY_RANGE");
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_of_prepare_mode_signs),
        cmocka_unit_test(nothing_is_signed_before_the_lock),
        cmocka_unit_test(a_lock_is_for_one_request),
        cmocka_unit_test(a_wrong_list_is_refused_after_the_lock),
        cmocka_unit_test(a_lock_does_not_come_back_after_a_restart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
