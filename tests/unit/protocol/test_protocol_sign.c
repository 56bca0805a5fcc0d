#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/statement.h"
#include "protocol/presign_internal.h"
#include "support/protocol_tamper.h"

/* Signing with exactly one wrong value: who refuses, who is blamed, and that no signature comes out. */

#define KEY_ID "SignKey000000000000000000000"

/* In a reply of (3,1): "reply", sender, T, committee, the two values. */
enum {
    REPLY_SENDER = 10 + 5 + 7,
    REPLY_T = 10 + 13 + 5,
    REPLY_COMMITTEE = REPLY_T + 64 + 5 + 5 + 7,
    REPLY_NU_END = 32,
    REPLY_MU_END = 32 + 5 + 32
};

typedef struct {
    protocol_run r;
    tamper t; /* the reply of 1 */
    uint8_t digest[64];
    mpc_request q;
} fixture;

static void set_up(fixture *f, grp_curve curve, const mpc_policy *policy)
{
    run_init(&f->r, curve, 3, 1, "sign negative");
    if (policy != NULL) {
        f->r.policy = *policy;
    }
    assert_int_equal(run_keygen(&f->r, KEY_ID), 3);
    assert_int_equal(run_presign(&f->r, 1, 1), 3);
    f->t = (tamper){.step = STEP_REPLY, .from = 1, .to = 0};
    f->r.hook = tamper_hook;
    f->r.hook_ctx = &f->t;
    memset(f->digest, 0x5a, sizeof f->digest);
    f->q = run_request(&f->r, 1, f->digest, 32);
}

static bool is_zero(const void *bytes, size_t len)
{
    const uint8_t *p = bytes;

    for (size_t i = 0; i < len; i++) {
        if (p[i] != 0) {
            return false;
        }
    }
    return true;
}

/* ---- the context: what every member checks before it answers ---- */

static void refuses(const fixture *f, const mpc_request *q, tdsa_status st, const char *text)
{
    TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;
    mpc_context ctx;
    tdsa_err err;

    mpc_request_encode(&bytes, q);
    assert_int_equal(
        mpc_context_new(&ctx, f->r.key[1], f->r.batch[1], q, bytes.data, bytes.len, &err), st);
    if (strstr(err.text, text) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", text, err.text);
    }
    assert_true(is_zero(&ctx, sizeof ctx));
}

static void a_request_for_something_else_is_refused(void **state)
{
    fixture f;
    mpc_request q;

    (void)state;
    set_up(&f, GRP_P256, NULL);
    q = f.q;
    q.key_id[0] ^= 1;
    refuses(&f, &q, TDSA_E_CONFLICT, "another key");
    q = f.q;
    q.epoch = 1;
    refuses(&f, &q, TDSA_E_CONFLICT, "epoch 1");
    q = f.q;
    q.policy_tag[31] ^= 1;
    refuses(&f, &q, TDSA_E_CONFLICT, "another policy");
    q = f.q;
    q.beta[0] ^= 1;
    refuses(&f, &q, TDSA_E_NOT_FOUND, "not in this batch");
    q = f.q;
    q.index = 3;
    refuses(&f, &q, TDSA_E_NOT_FOUND, "presignature 3 is not in this batch of 3");
    q = f.q;
    q.index = UINT32_MAX;
    refuses(&f, &q, TDSA_E_NOT_FOUND, "not in this batch");
    run_clear(&f.r);
}

static void another_committee_is_refused(void **state)
{
    fixture f;
    mpc_request q;

    (void)state;
    set_up(&f, GRP_P256, NULL);
    q = f.q;
    q.committee[2] = 3;
    refuses(&f, &q, TDSA_E_CONFLICT, "committee");
    q = f.q;
    q.committee_count = 2; /* t+1 are not enough */
    refuses(&f, &q, TDSA_E_CONFLICT, "committee");
    q = f.q;
    q.committee_count = 5;
    q.committee[3] = 3;
    q.committee[4] = 4;
    refuses(&f, &q, TDSA_E_CONFLICT, "committee");
    run_clear(&f.r);
}

static void a_wrong_digest_is_refused(void **state)
{
    fixture f;
    mpc_request q;

    (void)state;
    set_up(&f, GRP_P256, NULL);
    q = f.q;
    q.payload_len = 31;
    refuses(&f, &q, TDSA_E_BAD_INPUT, "a sha256 digest has 32 bytes, not 31");
    q.payload_len = 33;
    refuses(&f, &q, TDSA_E_BAD_INPUT, "not 33");
    q.payload_len = 0;
    refuses(&f, &q, TDSA_E_BAD_INPUT, "not 0");
    q = f.q;
    q.digest_alg = TDSA_HASH_SHA384;
    refuses(&f, &q, TDSA_E_BAD_INPUT, "a sha384 digest has 48 bytes, not 32");
    q = f.q;
    q.digest_alg = TDSA_HASH_SHA1;
    q.payload_len = 20;
    refuses(&f, &q, TDSA_E_DENIED, "does not sign sha1");
    run_clear(&f.r);
}

/* h = 0 as the zero digest and as q itself. */
static void a_digest_that_is_zero_is_refused(void **state)
{
    static const uint8_t order[32] = {0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00,
                                      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                      0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84,
                                      0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};
    static const uint8_t zero[32] = {0};
    fixture f;
    mpc_request q;

    (void)state;
    set_up(&f, GRP_P256, NULL);
    q = f.q;
    q.payload = zero;
    refuses(&f, &q, TDSA_E_BAD_INPUT, "digest is 0");
    q.payload = order;
    refuses(&f, &q, TDSA_E_BAD_INPUT, "digest is 0");
    run_clear(&f.r);
}

static void a_path_on_a_key_without_derivation_is_refused(void **state)
{
    fixture f;
    mpc_request q;

    (void)state;
    set_up(&f, GRP_P256, NULL);
    q = f.q;
    q.path_len = 1;
    refuses(&f, &q, TDSA_E_DENIED, "no derivation");
    run_clear(&f.r);
}

static void an_unlawful_path_is_refused(void **state)
{
    mpc_policy policy = run_policy();
    fixture f;
    mpc_request q;

    (void)state;
    policy.derivation = MPC_DERIVE_BIP32;
    policy.min_path = 2;
    set_up(&f, GRP_SECP256K1, &policy);
    q = f.q;
    refuses(&f, &q, TDSA_E_DENIED, "2 elements");
    q.path_len = 1;
    refuses(&f, &q, TDSA_E_DENIED, "2 elements");
    q.path_len = 2;
    q.path[1] = 0x80000000u;
    refuses(&f, &q, TDSA_E_BAD_INPUT, "hardened");
    run_clear(&f.r);
}

static void options_follow_the_policy(void **state)
{
    mpc_policy policy = run_policy();
    fixture f;

    (void)state;
    policy.low_s = true;
    set_up(&f, GRP_P256, &policy);
    f.q.low_s = false;
    refuses(&f, &f.q, TDSA_E_DENIED, "low-S");
    run_clear(&f.r);
}

/* A key record that says prepare mode must not sign in the plain way. */
static void a_key_of_prepare_mode_does_not_sign_without_coins(void **state)
{
    fixture f;
    mpc_key key;
    mpc_batch *batch = NULL;
    TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;
    uint8_t t0[64];
    mpc_context ctx;
    tdsa_err err;

    (void)state;
    set_up(&f, GRP_P256, NULL);
    key = *f.r.key[0];
    key.pub.policy.prepare = true;
    assert_int_equal(mpc_batch_new(&batch, &key, mpc_batch_beta(f.r.batch[0]), f.r.count,
                                   f.r.data[0].data, f.r.data[0].len, &err),
                     TDSA_OK);
    assert_int_equal(mpc_request_for_key(&f.q, &key, &err), TDSA_OK);
    mpc_request_encode(&bytes, &f.q);
    assert_int_equal(mpc_prepare_new(t0, &key, f.r.batch[0], &f.q, bytes.data, bytes.len, &err),
                     TDSA_E_BAD_INPUT); /* a batch of another key */
    assert_int_equal(mpc_context_new(&ctx, &key, batch, &f.q, bytes.data, bytes.len, &err),
                     TDSA_E_DENIED);
    mpc_batch_free(batch);
    run_clear(&f.r);
}

static void the_bytes_and_the_request_must_agree(void **state)
{
    fixture f;
    TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;
    mpc_context ctx;
    tdsa_err err;

    (void)state;
    set_up(&f, GRP_P256, NULL);
    mpc_request_encode(&bytes, &f.q);
    f.digest[0] ^= 1; /* the decoded form says another digest than T would cover */
    assert_int_equal(
        mpc_context_new(&ctx, f.r.key[0], f.r.batch[0], &f.q, bytes.data, bytes.len, &err),
        TDSA_E_BAD_INPUT);
    f.digest[0] ^= 1;
    assert_int_equal(
        mpc_context_new(&ctx, f.r.key[0], f.r.batch[0], &f.q, bytes.data, bytes.len - 1, &err),
        TDSA_E_BAD_INPUT);
    run_clear(&f.r);
}

/* Purposes keep apart: a message key hashes the payload itself, so a chosen digest is a message. */
static void a_message_key_signs_the_hash_of_the_message(void **state)
{
    static const uint8_t message[] = "a message of any length";
    mpc_policy policy = run_policy();
    uint8_t digest[TDSA_DIGEST_LEN_MAX];
    fixture f;
    mpc_signature sig;
    mpc_context ctx;
    tdsa_err err;

    (void)state;
    policy.purpose = MPC_PURPOSE_MESSAGE;
    set_up(&f, GRP_P256, &policy);
    f.r.hook = NULL;
    f.q = run_request(&f.r, 0, message, sizeof message);
    f.q.digest_alg = TDSA_HASH_SHA512;
    assert_int_equal(run_sign(&f.r, &f.q, &sig, &ctx, &err), TDSA_OK);
    assert_int_equal(tdsa_hash(digest, TDSA_HASH_SHA512, message, sizeof message, &err), TDSA_OK);
    assert_true(run_openssl_verifies(f.r.g, &ctx.y_final, digest, 64, &sig));
    f.q = run_request(&f.r, 1, message, 0); /* the empty message is one */
    assert_int_equal(run_sign(&f.r, &f.q, &sig, &ctx, &err), TDSA_OK);
    run_clear(&f.r);
}

static void long_digests_are_truncated(void **state)
{
    fixture f;
    mpc_signature sig;
    mpc_context ctx;
    tdsa_err err;

    (void)state;
    set_up(&f, GRP_SECP256K1, NULL);
    f.r.hook = NULL;
    f.q = run_request(&f.r, 0, f.digest, 48);
    f.q.digest_alg = TDSA_HASH_SHA384;
    assert_int_equal(run_sign(&f.r, &f.q, &sig, &ctx, &err), TDSA_OK);
    assert_true(run_openssl_verifies(f.r.g, &ctx.y_final, f.digest, 48, &sig));
    run_clear(&f.r);
}

/* ---- replies ---- */

static void fails(fixture *f, tdsa_status st, int culprit, const char *text)
{
    mpc_signature sig;
    mpc_context ctx;
    tdsa_err err;

    f->t.hits = 0;
    assert_int_equal(run_sign(&f->r, &f->q, &sig, &ctx, &err), st);
    assert_int_equal(f->t.hits, 1);
    assert_int_equal(err.participant, culprit);
    if (strstr(err.text, text) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", text, err.text);
    }
    assert_true(is_zero(&sig, sizeof sig));
}

static void a_wrong_reply_is_blamed(void **state)
{
    fixture f;

    (void)state;
    set_up(&f, GRP_P256, NULL);
    f.t.kind = TAMPER_CUT;
    fails(&f, TDSA_E_PROTOCOL, 1, "bytes, ");
    f.t.kind = TAMPER_APPEND;
    fails(&f, TDSA_E_PROTOCOL, 1, "bytes, ");
    f.t.kind = TAMPER_FLIP;
    f.t.offset = 5;
    fails(&f, TDSA_E_PROTOCOL, 1, "malformed");
    f.t.offset = REPLY_SENDER;
    fails(&f, TDSA_E_PROTOCOL, 1, "another's name");
    f.t.offset = REPLY_T;
    fails(&f, TDSA_E_PROTOCOL, 1, "answers another request");
    f.t.offset = REPLY_COMMITTEE;
    fails(&f, TDSA_E_PROTOCOL, 1, "another committee");
    f.t.from_end = true;
    f.t.kind = TAMPER_FILL;
    f.t.len = 32;
    f.t.value = 0xff; /* not below q */
    f.t.offset = REPLY_NU_END;
    fails(&f, TDSA_E_PROTOCOL, 1, "malformed");
    f.t.offset = REPLY_MU_END;
    fails(&f, TDSA_E_PROTOCOL, 1, "malformed");
    run_clear(&f.r);
}

/* A value that is lawful and wrong can only be noticed at the end: nobody is named. */
static void a_wrong_value_burns_the_presignature(void **state)
{
    fixture f;

    (void)state;
    set_up(&f, GRP_P256, NULL);
    f.t.from_end = true;
    f.t.offset = 1;
    fails(&f, TDSA_E_VERIFY, TDSA_NOBODY, "does not verify");
    f.t.offset = REPLY_MU_END;
    fails(&f, TDSA_E_VERIFY, TDSA_NOBODY, "does not verify");
    run_clear(&f.r);
}

static void reply_of(const fixture *f, const mpc_request *q, uint16_t i, tdsa_buf *out,
                     mpc_context *ctx)
{
    TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;
    tdsa_err err;

    mpc_request_encode(&bytes, q);
    assert_int_equal(
        mpc_context_new(ctx, f->r.key[i], f->r.batch[i], q, bytes.data, bytes.len, &err), TDSA_OK);
    assert_int_equal(mpc_sign_reply(out, f->r.key[i], f->r.batch[i], q, ctx, &err), TDSA_OK);
}

static void a_reply_to_another_request_is_refused(void **state)
{
    fixture f;
    TDSA_SCOPED_BUF other = TDSA_BUF_EMPTY;
    mpc_request q;
    mpc_context ctx;

    (void)state;
    set_up(&f, GRP_P256, NULL);
    q = f.q;
    q.low_s = true;
    reply_of(&f, &q, 1, &other, &ctx);
    f.t.kind = TAMPER_REPLACE;
    f.t.bytes = other;
    fails(&f, TDSA_E_PROTOCOL, 1, "answers another request");
    run_clear(&f.r);
}

static void who_replies_and_how_often(void **state)
{
    fixture f;
    tdsa_buf reply[3] = {TDSA_BUF_EMPTY, TDSA_BUF_EMPTY, TDSA_BUF_EMPTY};
    mpc_context ctx;
    mpc_combine *c = NULL;
    mpc_signature sig;
    tdsa_err err;

    (void)state;
    set_up(&f, GRP_P256, NULL);
    for (uint16_t i = 0; i < 3; i++) {
        reply_of(&f, &f.q, i, &reply[i], &ctx);
    }
    assert_int_equal(mpc_combine_new(&c, f.r.key[2], f.r.batch[2], &ctx, &err), TDSA_OK);
    assert_int_equal(mpc_combine_take(c, 1, reply[1].data, reply[1].len, &err), TDSA_OK);
    assert_int_equal(mpc_combine_take(c, 1, reply[1].data, reply[1].len, &err), TDSA_E_PROTOCOL);
    assert_int_equal(err.participant, 1);
    assert_int_equal(mpc_combine_take(c, 3, reply[1].data, reply[1].len, &err), TDSA_E_PROTOCOL);
    assert_int_equal(mpc_combine_take(c, 0, reply[1].data, reply[1].len, &err), TDSA_E_PROTOCOL);
    assert_int_equal(err.participant, 0);
    assert_false(mpc_combine_complete(c));
    assert_int_equal(mpc_combine_finish(c, &sig, &err), TDSA_E_BAD_INPUT);
    assert_true(is_zero(&sig, sizeof sig));
    assert_int_equal(mpc_combine_take(c, 0, reply[0].data, reply[0].len, &err), TDSA_OK);
    assert_int_equal(mpc_combine_take(c, 2, reply[2].data, reply[2].len, &err), TDSA_OK);
    assert_true(mpc_combine_complete(c));
    assert_int_equal(mpc_combine_finish(c, &sig, &err), TDSA_OK);
    assert_int_equal(mpc_combine_finish(c, &sig, &err), TDSA_E_BAD_INPUT);
    mpc_combine_free(c);
    mpc_combine_free(NULL);
    for (uint16_t i = 0; i < 3; i++) {
        tdsa_buf_clear(&reply[i]);
    }
    run_clear(&f.r);
}

/* Puts value v in the place of mu (or nu) in a reply. */
static void put_value(const fixture *f, tdsa_buf *reply, size_t from_end, const grp_scalar *v)
{
    grp_scalar_encode(f->r.g, reply->data + reply->len - from_end, v);
}

/* The last to reply knows the others and can make mu or nu 0. */
static void opened_values_of_zero_are_refused(void **state)
{
    static const size_t places[] = {REPLY_MU_END, REPLY_NU_END};
    static const uint16_t members[] = {0, 1, 2};
    fixture f;

    (void)state;
    set_up(&f, GRP_P256, NULL);
    for (size_t p = 0; p < 2; p++) {
        tdsa_buf reply[3] = {TDSA_BUF_EMPTY, TDSA_BUF_EMPTY, TDSA_BUF_EMPTY};
        grp_scalar lambda[3];
        grp_scalar v;
        grp_scalar sum;
        mpc_context ctx;
        mpc_combine *c = NULL;
        mpc_signature sig;
        tdsa_err err;

        grp_lagrange(f.r.g, lambda, members, 3);
        grp_scalar_set_u64(f.r.g, &sum, 0);
        for (uint16_t i = 0; i < 3; i++) {
            reply_of(&f, &f.q, i, &reply[i], &ctx);
            assert_int_equal(
                grp_scalar_decode(f.r.g, &v, reply[i].data + reply[i].len - places[p], 32, &err),
                TDSA_OK);
            grp_scalar_mul(f.r.g, &v, &v, &lambda[i]);
            if (i < 2) {
                grp_scalar_add(f.r.g, &sum, &sum, &v);
            }
        }
        grp_scalar_inv(f.r.g, &v, &lambda[2]);
        grp_scalar_mul(f.r.g, &v, &v, &sum);
        grp_scalar_neg(f.r.g, &v, &v);
        put_value(&f, &reply[2], places[p], &v);
        assert_int_equal(mpc_combine_new(&c, f.r.key[0], f.r.batch[0], &ctx, &err), TDSA_OK);
        for (uint16_t i = 0; i < 3; i++) {
            assert_int_equal(mpc_combine_take(c, i, reply[i].data, reply[i].len, &err), TDSA_OK);
            tdsa_buf_clear(&reply[i]);
        }
        assert_int_equal(mpc_combine_finish(c, &sig, &err), TDSA_E_VERIFY);
        assert_non_null(strstr(err.text, "are 0"));
        assert_true(is_zero(&sig, sizeof sig));
        mpc_combine_free(c);
    }
    run_clear(&f.r);
}

static void a_reply_needs_the_secret_half_and_its_batch(void **state)
{
    fixture f;
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF good = TDSA_BUF_EMPTY;
    mpc_context ctx;
    mpc_request q;
    tdsa_err err;

    (void)state;
    set_up(&f, GRP_P256, NULL);
    reply_of(&f, &f.q, 0, &good, &ctx);
    assert_int_equal(mpc_sign_reply(&out, f.r.key[0], f.r.batch[1], &f.q, &ctx, &err),
                     TDSA_E_BAD_INPUT);
    q = f.q;
    q.index = 3;
    assert_int_equal(mpc_sign_reply(&out, f.r.key[0], f.r.batch[0], &q, &ctx, &err),
                     TDSA_E_BAD_INPUT);
    assert_int_equal(out.len, 0);
    reply_of(&f, &f.q, 0, &out, &ctx); /* the same T may be answered again: the same reply */
    assert_int_equal(out.len, good.len);
    assert_memory_equal(out.data, good.data, good.len);
    run_clear(&f.r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_for_something_else_is_refused),
        cmocka_unit_test(another_committee_is_refused),
        cmocka_unit_test(a_wrong_digest_is_refused),
        cmocka_unit_test(a_digest_that_is_zero_is_refused),
        cmocka_unit_test(a_path_on_a_key_without_derivation_is_refused),
        cmocka_unit_test(an_unlawful_path_is_refused),
        cmocka_unit_test(options_follow_the_policy),
        cmocka_unit_test(a_key_of_prepare_mode_does_not_sign_without_coins),
        cmocka_unit_test(the_bytes_and_the_request_must_agree),
        cmocka_unit_test(a_message_key_signs_the_hash_of_the_message),
        cmocka_unit_test(long_digests_are_truncated),
        cmocka_unit_test(a_wrong_reply_is_blamed),
        cmocka_unit_test(a_wrong_value_burns_the_presignature),
        cmocka_unit_test(a_reply_to_another_request_is_refused),
        cmocka_unit_test(who_replies_and_how_often),
        cmocka_unit_test(opened_values_of_zero_are_refused),
        cmocka_unit_test(a_reply_needs_the_secret_half_and_its_batch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
