#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/schnorr.h"
#include "support/protocol_run.h"
#include "support/schnorr_judge.h"

/* Schnorr signatures of whole committees, judged by libsecp256k1 (BIP-340) and OpenSSL (Ed25519). */

#define KEY_ID "SchnorrKey000000000000000000"

static const uint8_t message[] = "what is signed is the message itself";

static void make_batch(protocol_run *r, mpc_scheme scheme, uint16_t n, uint16_t t,
                       const uint16_t *committee)
{
    const grp_curve curve = scheme == MPC_SCHEME_EDDSA ? GRP_ED25519 : GRP_SECP256K1;

    run_init_scheme(r, curve, scheme, n, t, "schnorr");
    if (committee != NULL) {
        memcpy(r->committee, committee, r->committee_count * sizeof committee[0]);
    }
    assert_int_equal(run_keygen(r, KEY_ID), n);
    assert_int_equal(run_presign(r, 1, 1), r->committee_count);
}

static bool verifies(const protocol_run *r, const grp_point *y, const mpc_request *q,
                     const mpc_signature *sig)
{
    uint8_t key[SCHNORR_KEY_LEN];

    assert_int_equal(sig->len, SCHNORR_SIG_LEN);
    assert_int_equal(sig->recovery_id, 0);
    schnorr_encode(r->g, r->scheme, key, y);
    return r->scheme == MPC_SCHEME_EDDSA
               ? judge_eddsa(key, q->payload, q->payload_len, sig->bytes)
               : judge_bip340(key, q->payload, q->payload_len, sig->bytes);
}

static void sign_and_judge(protocol_run *r, const mpc_request *q, mpc_context *ctx)
{
    mpc_signature sig;
    tdsa_err err;

    assert_int_equal(run_sign(r, q, &sig, ctx, &err), TDSA_OK);
    assert_true(verifies(r, &ctx->y_final, q, &sig));
    sig.bytes[40] ^= 1;
    assert_false(verifies(r, &ctx->y_final, q, &sig));
}

static void whole_run(mpc_scheme scheme, uint16_t n, uint16_t t, const uint16_t *committee)
{
    protocol_run r;
    mpc_context ctx;

    make_batch(&r, scheme, n, t, committee);
    for (uint32_t index = 0; index < r.count; index++) {
        const mpc_request q = run_request(&r, index, message, sizeof message - index);

        sign_and_judge(&r, &q, &ctx);
    }
    run_clear(&r);
}

static void committees_of_every_size_sign(void **state)
{
    static const uint16_t gap[3] = {0, 1, 3};
    static const mpc_scheme schemes[] = {MPC_SCHEME_BIP340, MPC_SCHEME_EDDSA};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        whole_run(schemes[i], 3, 1, NULL);
        whole_run(schemes[i], 4, 1, gap);
        whole_run(schemes[i], 5, 2, NULL);
        whole_run(schemes[i], 7, 3, NULL);
    }
}

static void messages_of_any_length_are_signed(void **state)
{
    static const size_t lens[] = {0, 1, 32, 33, 1000, MPC_MESSAGE_MAX};
    static const mpc_scheme schemes[] = {MPC_SCHEME_BIP340, MPC_SCHEME_EDDSA};
    uint8_t *text = calloc(1, MPC_MESSAGE_MAX + 1);

    (void)state;
    assert_non_null(text);
    for (size_t s = 0; s < 2; s++) {
        protocol_run r;
        mpc_context ctx;
        mpc_signature sig;
        mpc_request q;
        tdsa_err err;

        make_batch(&r, schemes[s], 3, 1, NULL);
        for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
            q = run_request(&r, (uint32_t)(i % r.count), text, lens[i]);
            sign_and_judge(&r, &q, &ctx);
        }
        q = run_request(&r, 0, text, MPC_MESSAGE_MAX + 1);
        assert_int_equal(run_sign(&r, &q, &sig, &ctx, &err), TDSA_E_BAD_INPUT);
        run_clear(&r);
    }
    free(text);
}

/* ---- BIP-340: signs and tweaks ---- */

static void make_bip32_batch(protocol_run *r)
{
    run_init_scheme(r, GRP_SECP256K1, MPC_SCHEME_BIP340, 3, 1, "signs");
    r->policy.derivation = MPC_DERIVE_BIP32;
    assert_int_equal(run_keygen(r, KEY_ID), 3);
    assert_int_equal(run_presign(r, 1, 1), 3);
}

/* Y' is the key that a verifier makes of Y: derived, then its output key. */
static void check_key(const protocol_run *r, const mpc_request *q, const mpc_context *ctx)
{
    uint8_t internal[32];
    uint8_t want[32];
    uint8_t have[32];
    grp_point derived;
    tdsa_err err;

    assert_int_equal(grp_mul_base(r->g, &derived, &ctx->epsilon, &err), TDSA_OK);
    assert_int_equal(grp_point_add_vartime(r->g, &derived, &derived, &r->key[0]->pub.y, &err),
                     TDSA_OK);
    schnorr_encode(r->g, r->scheme, internal, &derived);
    memcpy(want, internal, sizeof want);
    if (q->taproot) {
        judge_tap_output(want, internal, q->has_merkle_root ? q->merkle_root : NULL);
    }
    schnorr_encode(r->g, r->scheme, have, &ctx->y_final);
    assert_memory_equal(have, want, sizeof want);
}

static void all_eight_sign_combinations_verify(void **state)
{
    unsigned seen = 0;
    protocol_run r;

    (void)state;
    make_bip32_batch(&r);
    for (uint32_t i = 0; i < 200 && seen != 0xff; i++) {
        mpc_request q = run_request(&r, i % 3, message, sizeof message);
        mpc_context ctx;

        q.path_len = 2;
        q.path[0] = 86;
        q.path[1] = i;
        q.taproot = true;
        q.has_merkle_root = i % 2 == 0;
        memset(q.merkle_root, q.has_merkle_root ? (int)i : 0, sizeof q.merkle_root);
        sign_and_judge(&r, &q, &ctx);
        check_key(&r, &q, &ctx);
        seen |= 1u << ((ctx.negate_nonce ? 4u : 0u) + (ctx.negate_key ? 2u : 0u) +
                       (ctx.negate_output ? 1u : 0u));
    }
    assert_int_equal(seen, 0xff);
    run_clear(&r);
}

static void a_key_without_taproot_has_four_sign_combinations(void **state)
{
    unsigned seen = 0;
    protocol_run r;

    (void)state;
    make_bip32_batch(&r);
    for (uint32_t i = 0; i < 100 && seen != 0xf; i++) {
        mpc_request q = run_request(&r, i % 3, message, sizeof message);
        mpc_context ctx;

        q.path_len = 1;
        q.path[0] = i;
        sign_and_judge(&r, &q, &ctx);
        check_key(&r, &q, &ctx);
        assert_false(ctx.negate_output);
        seen |= 1u << ((ctx.negate_nonce ? 2u : 0u) + (ctx.negate_key ? 1u : 0u));
    }
    assert_int_equal(seen, 0xf);
    run_clear(&r);
}

static void hex(uint8_t out[32], const char *text)
{
    for (size_t i = 0; i < 32; i++) {
        const char byte[3] = {text[2 * i], text[2 * i + 1], '\0'};

        out[i] = (uint8_t)strtoul(byte, NULL, 16);
    }
}

/* BIP-341, wallet test vectors: internal key, Merkle root, tweak, output key. */
static void tweaks_are_those_of_bip341(void **state)
{
    static const struct {
        const char *internal, *root, *tweak, *output;
    } vectors[] = {{"d6889cb081036e0faefa3a35157ad71086b123b2b144b649798b494c300a961d", NULL,
                    "b86e7be8f39bab32a6f2c0443abbc210f0edac0e2c53d501b36b64437d9c6c70",
                    "53a1f6e454df1aa2776a2814a721372d6258050de330b3c6d10ee8f4e0dda343"},
                   {"187791b6f712a8ea41c8ecdd0ee77fab3e85263b37e1ec18a3651926b3a6cf27",
                    "5b75adecf53548f3ec6ad7d78383bf84cc57b55a3127c72b9a2481752dd88b21",
                    "cbd8679ba636c1110ea247542cfbd964131a6be84f873f7f3b62a777528ed001",
                    "147c9c57132f6e7ecddba9800bb0c4449251c92a1e60371ee77557b6620f3ea3"}};
    grp *g = NULL;
    tdsa_err err;

    (void)state;
    assert_int_equal(grp_open(&g, GRP_SECP256K1, &err), TDSA_OK);
    for (size_t i = 0; i < 2; i++) {
        mpc_context ctx = {.scheme = MPC_SCHEME_BIP340};
        mpc_request q = {.scheme = MPC_SCHEME_BIP340,
                         .taproot = true,
                         .has_merkle_root = vectors[i].root != NULL};
        uint8_t point[33] = {2};
        uint8_t want[32];
        uint8_t have[32];

        hex(point + 1, vectors[i].internal);
        if (q.has_merkle_root) {
            hex(q.merkle_root, vectors[i].root);
        }
        assert_int_equal(grp_point_decode(g, &ctx.y_final, point, sizeof point, &err), TDSA_OK);
        assert_int_equal(schnorr_final_key(&ctx, g, &q, &err), TDSA_OK);
        hex(want, vectors[i].tweak);
        grp_scalar_encode(g, have, &ctx.tweak);
        assert_memory_equal(have, want, 32);
        hex(want, vectors[i].output);
        schnorr_encode(g, MPC_SCHEME_BIP340, have, &ctx.y_final);
        assert_memory_equal(have, want, 32);
    }
    grp_close(g);
}

/* ---- the nonce ---- */

/* rho covers the whole transcript: R moves with the message, the path and each option, although the
 * pair (D, E) is one. */
static void the_nonce_is_bound_to_the_whole_request(void **state)
{
    protocol_run r;
    mpc_request q[5];
    mpc_context ctx[5];
    tdsa_err err;

    (void)state;
    make_bip32_batch(&r);
    for (size_t i = 0; i < 5; i++) {
        TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;

        q[i] = run_request(&r, 1, message, i == 1 ? 5 : 6);
        q[i].path_len = 1;
        q[i].path[0] = i == 2 ? 8 : 7;
        q[i].taproot = i >= 3;
        q[i].has_merkle_root = i == 4;
        mpc_request_encode(&bytes, &q[i]);
        assert_int_equal(
            mpc_context_new(&ctx[i], r.key[0], r.batch[0], &q[i], bytes.data, bytes.len, &err),
            TDSA_OK);
        for (size_t j = 0; j < i; j++) {
            assert_false(grp_scalar_equal(r.g, &ctx[i].rho, &ctx[j].rho));
            assert_memory_not_equal(ctx[i].r_bytes, ctx[j].r_bytes, 32);
            assert_memory_not_equal(ctx[i].transcript, ctx[j].transcript, 64);
        }
    }
    run_clear(&r);
}

static void identities_are_refused(void **state)
{
    protocol_run r;
    mpc_context ctx = {.scheme = MPC_SCHEME_BIP340};
    grp_point nonce[2];
    mpc_request q;
    tdsa_err err;

    (void)state;
    make_batch(&r, MPC_SCHEME_BIP340, 3, 1, NULL);
    q = run_request(&r, 0, message, sizeof message);
    grp_point_set_identity(&ctx.y_final);
    assert_int_equal(schnorr_final_key(&ctx, r.g, &q, &err), TDSA_E_BAD_INPUT);
    ctx.y_final = r.key[0]->pub.y;
    assert_int_equal(schnorr_final_key(&ctx, r.g, &q, &err), TDSA_OK);
    assert_int_equal(batch_points(nonce, r.batch[0], 0, &err), TDSA_OK);
    assert_int_equal(schnorr_bind(&ctx, r.g, &q, nonce, &err), TDSA_OK);
    /* D = -rho*E: R would be the identity */
    assert_int_equal(grp_mul_vartime(r.g, &nonce[0], &ctx.rho, &nonce[1], &err), TDSA_OK);
    grp_point_neg(r.g, &nonce[0], &nonce[0]);
    assert_int_equal(schnorr_bind(&ctx, r.g, &q, nonce, &err), TDSA_E_BAD_INPUT);
    assert_non_null(strstr(err.text, "R is the identity"));
    run_clear(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(committees_of_every_size_sign),
        cmocka_unit_test(messages_of_any_length_are_signed),
        cmocka_unit_test(all_eight_sign_combinations_verify),
        cmocka_unit_test(a_key_without_taproot_has_four_sign_combinations),
        cmocka_unit_test(tweaks_are_those_of_bip341),
        cmocka_unit_test(the_nonce_is_bound_to_the_whole_request),
        cmocka_unit_test(identities_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
