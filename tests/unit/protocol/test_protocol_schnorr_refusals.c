#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/statement.h"
#include "protocol/schnorr.h"
#include "support/protocol_tamper.h"

/* Schnorr signing with exactly one wrong thing: who refuses, who is blamed, and that nothing comes
 * out. */

#define KEY_ID "SchnorrKey000000000000000000"

/* In a reply of (3,1): "reply", sender, T, committee, z. */
enum { REPLY_T = 10 + 13 + 5, REPLY_Z_END = 32 };

static const uint8_t message[] = "a message";

typedef struct {
    protocol_run r;
    tamper t; /* the reply of 1 */
    mpc_request q;
} fixture;

static void set_up(fixture *f, mpc_scheme scheme)
{
    const grp_curve curve = scheme == MPC_SCHEME_EDDSA ? GRP_ED25519 : GRP_SECP256K1;

    run_init_scheme(&f->r, curve, scheme, 3, 1, "schnorr refusals");
    if (scheme == MPC_SCHEME_BIP340) {
        f->r.policy.derivation = MPC_DERIVE_BIP32;
    }
    assert_int_equal(run_keygen(&f->r, KEY_ID), 3);
    assert_int_equal(run_presign(&f->r, 1, 1), 3);
    f->t = (tamper){.step = STEP_REPLY, .from = 1, .to = 0};
    f->r.hook = tamper_hook;
    f->r.hook_ctx = &f->t;
    f->q = run_request(&f->r, 1, message, sizeof message);
    if (scheme == MPC_SCHEME_BIP340) {
        f->q.path_len = 1;
        f->q.path[0] = 3;
    }
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

/* ---- requests ---- */

static void decode_refuses(const mpc_request *q, const char *text)
{
    TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;
    mpc_request back;
    tdsa_err err;

    mpc_request_encode(&bytes, q);
    assert_int_equal(mpc_request_decode(&back, bytes.data, bytes.len, &err), TDSA_E_BAD_INPUT);
    if (strstr(err.text, text) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", text, err.text);
    }
    assert_true(is_zero(&back, sizeof back));
}

static void context_refuses(const fixture *f, const mpc_request *q, tdsa_status st,
                            const char *text)
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

static void requests_come_back_as_they_were(void **state)
{
    fixture f;

    (void)state;
    set_up(&f, MPC_SCHEME_BIP340);
    for (unsigned i = 0; i < 3; i++) {
        TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;
        TDSA_SCOPED_BUF again = TDSA_BUF_EMPTY;
        mpc_request back;
        tdsa_err err;

        f.q.taproot = i > 0;
        f.q.has_merkle_root = i > 1;
        memset(f.q.merkle_root, i > 1 ? 0x77 : 0, sizeof f.q.merkle_root);
        mpc_request_encode(&bytes, &f.q);
        assert_int_equal(mpc_request_decode(&back, bytes.data, bytes.len, &err), TDSA_OK);
        assert_int_equal(back.scheme, MPC_SCHEME_BIP340);
        assert_int_equal(back.digest_alg, TDSA_HASH_NONE);
        assert_int_equal(back.taproot, f.q.taproot);
        assert_int_equal(back.has_merkle_root, f.q.has_merkle_root);
        assert_memory_equal(back.merkle_root, f.q.merkle_root, 32);
        mpc_request_encode(&again, &back);
        assert_int_equal(again.len, bytes.len);
        assert_memory_equal(again.data, bytes.data, bytes.len);
    }
    run_clear(&f.r);
}

static void options_of_another_scheme_are_refused(void **state)
{
    fixture f;
    mpc_request q;

    (void)state;
    set_up(&f, MPC_SCHEME_BIP340);
    q = f.q;
    q.has_merkle_root = true; /* a root without taproot */
    decode_refuses(&q, "unknown options for scheme bip340");
    for (int from = MPC_SCHEME_ECDSA; from <= MPC_SCHEME_BIP340; from++) {
        for (int to = MPC_SCHEME_ECDSA; to <= MPC_SCHEME_BIP340; to++) {
            TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;
            TDSA_SCOPED_BUF other = TDSA_BUF_EMPTY;
            mpc_request back;
            tdsa_err err;
            const size_t tail = 5 + 32; /* the policy tag */
            const size_t option_len[] = {0, 5 + 13, 5, 5 + 13 + 5};
            size_t keep = 0;

            q = f.q;
            q.scheme = (mpc_scheme)to;
            q.digest_alg = to == MPC_SCHEME_ECDSA ? TDSA_HASH_SHA256 : TDSA_HASH_NONE;
            mpc_request_encode(&bytes, &q);
            q.scheme = (mpc_scheme)from;
            mpc_request_encode(&other, &q);
            keep = bytes.len - tail - option_len[to];
            bytes.len = keep; /* the options of `from` in the place of those of `to` */
            tdsa_buf_append(&bytes, other.data + other.len - tail - option_len[from],
                            tail + option_len[from]);
            assert_int_equal(mpc_request_decode(&back, bytes.data, bytes.len, &err),
                             from == to ? TDSA_OK : TDSA_E_BAD_INPUT);
        }
    }
    run_clear(&f.r);
}

static void the_digest_word_belongs_to_the_scheme(void **state)
{
    fixture f;
    mpc_request q;

    (void)state;
    set_up(&f, MPC_SCHEME_EDDSA);
    q = f.q;
    q.digest_alg = TDSA_HASH_SHA512;
    decode_refuses(&q, "scheme eddsa does not go with digest sha512");
    context_refuses(&f, &q, TDSA_E_DENIED, "does not sign sha512");
    q = f.q;
    q.scheme = MPC_SCHEME_ECDSA;
    decode_refuses(&q, "scheme ecdsa does not go with digest none");
    run_clear(&f.r);
}

static void a_request_of_another_scheme_is_refused(void **state)
{
    fixture f;
    mpc_request q;

    (void)state;
    set_up(&f, MPC_SCHEME_BIP340);
    q = f.q;
    q.scheme = MPC_SCHEME_EDDSA;
    context_refuses(&f, &q, TDSA_E_CONFLICT, "epoch");
    q.scheme = MPC_SCHEME_ECDSA;
    context_refuses(&f, &q, TDSA_E_CONFLICT, "epoch");
    run_clear(&f.r);
}

static void another_committee_is_refused(void **state)
{
    fixture f;
    mpc_request q;

    (void)state;
    set_up(&f, MPC_SCHEME_EDDSA);
    q = f.q;
    q.committee_count =
        2; /* t+1 would do for the mathematics: one rolled-back node loses the key */
    context_refuses(&f, &q, TDSA_E_CONFLICT, "committee");
    q = f.q;
    q.committee[2] = 3;
    context_refuses(&f, &q, TDSA_E_CONFLICT, "committee");
    q = f.q;
    q.path_len = 1;
    context_refuses(&f, &q, TDSA_E_DENIED, "path");
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

/* A lawful but wrong z_j shows at the end only and names nobody; each presignature is then burnt. */
static void a_wrong_value_names_nobody_and_releases_nothing(void **state)
{
    static const mpc_scheme schemes[] = {MPC_SCHEME_BIP340, MPC_SCHEME_EDDSA};
    fixture f;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        set_up(&f, schemes[i]);
        f.t.from_end = true;
        f.t.offset = 5;
        fails(&f, TDSA_E_VERIFY, TDSA_NOBODY, "does not verify");
        f.t.kind = TAMPER_FILL;
        f.t.offset = REPLY_Z_END;
        f.t.len = 32; /* z_j = 0 */
        fails(&f, TDSA_E_VERIFY, TDSA_NOBODY, "does not verify");
        run_clear(&f.r);
    }
}

static void a_malformed_reply_is_blamed(void **state)
{
    static const mpc_scheme schemes[] = {MPC_SCHEME_BIP340, MPC_SCHEME_EDDSA};
    fixture f;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        set_up(&f, schemes[i]);
        f.t.kind = TAMPER_CUT;
        fails(&f, TDSA_E_PROTOCOL, 1, "bytes, ");
        f.t.kind = TAMPER_APPEND;
        fails(&f, TDSA_E_PROTOCOL, 1, "bytes, ");
        f.t.kind = TAMPER_FILL;
        f.t.from_end = true;
        f.t.offset = REPLY_Z_END;
        f.t.len = 32;
        f.t.value = 0xff; /* not below q */
        fails(&f, TDSA_E_PROTOCOL, 1, "malformed");
        f.t.kind = TAMPER_FLIP;
        f.t.from_end = false;
        f.t.offset = REPLY_T;
        fails(&f, TDSA_E_PROTOCOL, 1, "answers another request");
        run_clear(&f.r);
    }
}

/* 1 answers `other`, says that it answered the request, and the sum is noise. */
static void split_view(fixture *f, const mpc_request *other)
{
    TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF mine = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF reply = TDSA_BUF_EMPTY;
    mpc_context theirs;
    mpc_context ours;
    tdsa_err err;

    mpc_request_encode(&bytes, other);
    assert_int_equal(
        mpc_context_new(&theirs, f->r.key[1], f->r.batch[1], other, bytes.data, bytes.len, &err),
        TDSA_OK);
    assert_int_equal(mpc_sign_reply(&reply, f->r.key[1], f->r.batch[1], other, &theirs, &err),
                     TDSA_OK);
    f->t.kind = TAMPER_REPLACE;
    f->t.bytes = reply;
    fails(f, TDSA_E_PROTOCOL, 1, "answers another request");
    mpc_request_encode(&mine, &f->q);
    assert_int_equal(
        mpc_context_new(&ours, f->r.key[1], f->r.batch[1], &f->q, mine.data, mine.len, &err),
        TDSA_OK);
    memcpy(reply.data + REPLY_T, ours.transcript, sizeof ours.transcript);
    f->t.bytes = reply;
    fails(f, TDSA_E_VERIFY, TDSA_NOBODY, "does not verify");
}

static void members_that_see_different_requests_give_noise(void **state)
{
    fixture f;
    mpc_request other;

    (void)state;
    set_up(&f, MPC_SCHEME_BIP340);
    f.q.taproot = true;
    f.q.has_merkle_root = true;
    other = f.q;
    other.payload_len--;
    split_view(&f, &other);
    other = f.q;
    other.path[0]++;
    split_view(&f, &other);
    other = f.q;
    other.merkle_root[31] ^= 1;
    split_view(&f, &other);
    other = f.q;
    other.has_merkle_root = false;
    split_view(&f, &other);
    other.taproot = false;
    split_view(&f, &other);
    run_clear(&f.r);
    set_up(&f, MPC_SCHEME_EDDSA);
    other = f.q;
    other.payload_len = 0;
    split_view(&f, &other);
    run_clear(&f.r);
}

static void the_secret_half_and_the_scheme_must_match(void **state)
{
    TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF reply = TDSA_BUF_EMPTY;
    fixture f;
    mpc_context ctx;
    tdsa_err err;

    (void)state;
    set_up(&f, MPC_SCHEME_BIP340);
    mpc_request_encode(&bytes, &f.q);
    assert_int_equal(
        mpc_context_new(&ctx, f.r.key[1], f.r.batch[1], &f.q, bytes.data, bytes.len, &err),
        TDSA_OK);
    assert_int_equal(mpc_sign_reply(&reply, f.r.key[0], f.r.batch[1], &f.q, &ctx, &err),
                     TDSA_E_BAD_INPUT);
    ctx.scheme = MPC_SCHEME_ECDSA; /* R of one nonce and mu of the other would open x */
    assert_int_equal(mpc_sign_reply(&reply, f.r.key[1], f.r.batch[1], &f.q, &ctx, &err),
                     TDSA_E_BAD_INPUT);
    assert_int_equal(reply.len, 0);
    run_clear(&f.r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_come_back_as_they_were),
        cmocka_unit_test(options_of_another_scheme_are_refused),
        cmocka_unit_test(the_digest_word_belongs_to_the_scheme),
        cmocka_unit_test(a_request_of_another_scheme_is_refused),
        cmocka_unit_test(another_committee_is_refused),
        cmocka_unit_test(a_wrong_value_names_nobody_and_releases_nothing),
        cmocka_unit_test(a_malformed_reply_is_blamed),
        cmocka_unit_test(members_that_see_different_requests_give_noise),
        cmocka_unit_test(the_secret_half_and_the_scheme_must_match),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
