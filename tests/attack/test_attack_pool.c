#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "attack/hostile.h"
#include "attack/weak.h"
#include "protocol/schnorr.h"
#include "support/schnorr_judge.h"

/*
 * Rows 7 and 8: presignatures are opened before the request is known. Whoever can steer what a known
 * nonce signs solves an equation over many of them (ROS), or over one.
 */

/* ---- row 7: ROS over a pool of opened nonces (Benhamouda and others, eprint 2020/945) ---- */

enum { POOL = 256 };

/* What the adversary chooses between, for one presignature: two lawful requests. */
typedef struct {
    mpc_request q[2];
    mpc_context ctx[2];
    grp_scalar c[2]; /* challenge times the signs that x gets */
} choice;

typedef struct {
    protocol_run r;
    choice pool[POOL];
    grp_point nonce[POOL]; /* R of choice 0, as it will be published */
    grp_scalar alpha[POOL];
} ros;

static const uint8_t messages[2][16] = {"a lawful message", "another lawful 1"};
static const uint8_t forged[24] = "nobody has approved this";

static grp_scalar signed_by(const grp *g, bool negate, grp_scalar v)
{
    return negate ? sc_neg(g, v) : v;
}

/* BIP-340: one message, two script trees; Ed25519: two messages. */
static void make_choice(const ros *a, uint32_t index, choice *out)
{
    for (uint8_t b = 0; b < 2; b++) {
        TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;
        const bool bip340 = a->r.scheme == MPC_SCHEME_BIP340;
        mpc_request *q = &out->q[b];
        mpc_context *ctx = &out->ctx[b];
        tdsa_err err;

        *q = run_request(&a->r, index, messages[bip340 ? 0 : b], sizeof messages[0]);
        if (bip340) {
            q->taproot = true;
            q->has_merkle_root = true;
            q->merkle_root[0] = b;
        }
        mpc_request_encode(&bytes, q);
        assert_int_equal(
            mpc_context_new(ctx, a->r.key[0], a->r.batch[0], q, bytes.data, bytes.len, &err),
            TDSA_OK);
        out->c[b] = signed_by(a->r.g, ctx->negate_output != ctx->negate_key, ctx->c);
    }
}

/* The published R as a point: BIP-340 gives its x, y is even. */
static grp_point published(const ros *a, const mpc_context *ctx)
{
    uint8_t bytes[33] = {2};
    const bool bip340 = a->r.scheme == MPC_SCHEME_BIP340;
    grp_point out;
    tdsa_err err;

    memcpy(bytes + 1, ctx->r_bytes, 32);
    assert_int_equal(
        grp_point_decode(a->r.g, &out, bip340 ? bytes : bytes + 1, bip340 ? 33 : 32, &err),
        TDSA_OK);
    return out;
}

/* rho of a presignature in the weak engine. */
static void weaken(bool weak_rho, uint32_t index)
{
    weak_off();
    weak.rho_by_key = weak_rho;
    weak.key[0] = (uint8_t)(index >> 8);
    weak.key[1] = (uint8_t)index;
}

/* The service answers a lawful request: z of the whole committee without the known tweak. */
static grp_scalar ask_service(const ros *a, const choice *ch, unsigned bit)
{
    const grp *g = a->r.g;
    const mpc_context *ctx = &ch->ctx[bit];
    grp_scalar lambda[3];
    grp_scalar z = sc_u64(g, 0);

    grp_lagrange(g, lambda, a->r.committee, 3);
    for (uint16_t i = 0; i < 3; i++) {
        const hostile_answer answer = hostile_must_ask(&a->r, i, &ch->q[bit]);

        z = sc_add(g, z, sc_mul(g, lambda[i], answer.z));
    }
    return sc_sub(g, z, sc_mul(g, ctx->c, signed_by(g, ctx->negate_output, ctx->tweak)));
}

/* Bit `at` of a scalar. */
static unsigned bit_of(const grp *g, const grp_scalar *v, size_t at)
{
    uint8_t bytes[32];

    grp_scalar_encode(g, bytes, v);
    const unsigned byte = bytes[grp_get_info(g)->curve == GRP_ED25519 ? at / 8 : 31 - at / 8];

    return byte >> (at % 8) & 1u;
}

/* R* = sum of alpha_i*R_i, with the sign that BIP-340 wants; true when that took a negation. */
static bool sum_of_nonces(ros *a, uint8_t out[32])
{
    const grp *g = a->r.g;
    grp_scalar power = sc_u64(g, 1);
    grp_point sum;
    bool odd = false;
    bool wrapped = false;

    grp_point_set_identity(&sum);
    for (size_t i = 0; i < POOL; i++) {
        a->alpha[i] = sc_div(g, power, sc_sub(g, a->pool[i].c[1], a->pool[i].c[0]));
        power = sc_add(g, power, power);
        sum = pt_add(g, sum, pt_mul(g, a->alpha[i], a->nonce[i]));
    }
    if (a->r.scheme == MPC_SCHEME_BIP340) {
        grp_point_parity(g, &odd, &wrapped, &sum);
    }
    if (odd) {
        grp_point_neg(g, &sum, &sum);
    }
    schnorr_encode(g, a->r.scheme, out, &sum);
    return odd;
}

/* The key as verifiers know it, and whether x is negated for it. */
static bool public_key(const ros *a, uint8_t out[32])
{
    const grp_point y = a->r.key[0]->pub.y;
    bool odd = false;
    bool wrapped = false;

    if (a->r.scheme == MPC_SCHEME_BIP340) {
        grp_point_parity(a->r.g, &odd, &wrapped, &y);
    }
    schnorr_encode(a->r.g, a->r.scheme, out, &y);
    return odd;
}

/* Collects lawful signatures so that they add up to one on `forged` under the root key. */
static bool ros_forges(ros *a, bool weak_rho)
{
    const grp *g = a->r.g;
    uint8_t sig[64];
    uint8_t key[32];
    grp_scalar target;
    grp_scalar s = sc_u64(g, 0);
    tdsa_err err;

    for (uint32_t i = 0; i < POOL; i++) {
        weaken(weak_rho, i);
        make_choice(a, i, &a->pool[i]);
        a->nonce[i] = published(a, &a->pool[i].ctx[0]);
    }
    const bool nonce_negated = sum_of_nonces(a, sig);
    const bool key_negated = public_key(a, key);
    assert_int_equal(
        schnorr_challenge(g, a->r.scheme, &target, sig, key, forged, sizeof forged, &err), TDSA_OK);
    target = signed_by(g, nonce_negated != key_negated, target);
    for (size_t i = 0; i < POOL; i++) {
        target = sc_sub(g, target, sc_mul(g, a->alpha[i], a->pool[i].c[0]));
    }
    for (uint32_t i = 0; i < POOL; i++) {
        weaken(weak_rho, i);
        const grp_scalar z = ask_service(a, &a->pool[i], bit_of(g, &target, i));
        s = sc_add(g, s, sc_mul(g, a->alpha[i], z));
    }
    weak_off();
    s = signed_by(g, nonce_negated, s);
    grp_scalar_encode(g, sig + 32, &s);
    return a->r.scheme == MPC_SCHEME_BIP340 ? judge_bip340(key, forged, sizeof forged, sig)
                                            : judge_eddsa(key, forged, sizeof forged, sig);
}

static bool pool_forges(mpc_scheme scheme, bool weak_rho)
{
    ros *a = calloc(1, sizeof *a);
    bool forges = false;

    assert_non_null(a);
    weak_off();
    run_init_scheme(&a->r, scheme == MPC_SCHEME_BIP340 ? GRP_SECP256K1 : GRP_ED25519, scheme, 3, 1,
                    "pool");
    a->r.count = POOL;
    assert_int_equal(run_keygen(&a->r, "PoolKey000000000000000000000"), 3);
    assert_int_equal(run_presign(&a->r, 1, 1), 3);
    forges = ros_forges(a, weak_rho);
    run_clear(&a->r);
    free(a);
    return forges;
}

static void row_7_a_pool_of_nonces_forges_nothing(void **state)
{
    (void)state;
    assert_false(pool_forges(MPC_SCHEME_BIP340, false));
    assert_false(pool_forges(MPC_SCHEME_EDDSA, false));
}

static void row_7_a_rho_that_is_not_bound_forges_under_the_root_key(void **state)
{
    (void)state;
    assert_true(pool_forges(MPC_SCHEME_BIP340, true)); /* one message, two script trees */
    assert_true(pool_forges(MPC_SCHEME_EDDSA, true));  /* two messages */
}

/* ---- row 8: r known before digest and path ---- */

enum { INDEX = 1 };

/* Wants a signature of child 9 on h*. Asks for child 3 on h = h* + r(eps_9 - eps_3), which is lawful, with
 * the r that it expects. */
static bool moves_to_another_child(const protocol_run *r)
{
    const grp *g = r->g;
    const grp_scalar wanted = sc_pick(g, "wanted digest", 0);
    uint8_t digest[32] = {1};
    grp_scalar lambda[3];
    grp_scalar mu = sc_u64(g, 0);
    grp_scalar nu = mu;
    hostile_answer a;
    mpc_request q = run_request(r, INDEX, digest, sizeof digest);

    q.path_len = 1;
    q.path[0] = 9;
    a = hostile_must_ask(r, 0, &q); /* the corrupt member asks itself */
    const grp_scalar expected_r = a.ctx.r;
    const grp_scalar eps_9 = a.ctx.epsilon;
    const grp_point child = a.ctx.y_final;
    q.path[0] = 3;
    a = hostile_must_ask(r, 0, &q);
    const grp_scalar h = sc_add(g, wanted, sc_mul(g, expected_r, sc_sub(g, eps_9, a.ctx.epsilon)));
    grp_scalar_encode(g, digest, &h);
    grp_lagrange(g, lambda, r->committee, 3);
    for (uint16_t i = 0; i < 3; i++) {
        a = hostile_must_ask(r, i, &q);
        mu = sc_add(g, mu, sc_mul(g, lambda[i], a.mu));
        nu = sc_add(g, nu, sc_mul(g, lambda[i], a.nu));
    }
    return judge_verifies(r, child, wanted, a.ctx.r, sc_div(g, nu, mu));
}

static void row_8_a_digest_cannot_be_fitted_to_r(void **state)
{
    const mpc_policy policy = hostile_policy_bip32();
    protocol_run r;

    (void)state;
    weak_off();
    hostile_cluster(&r, GRP_SECP256K1, 3, 1, 0, &policy);
    assert_false(moves_to_another_child(&r));
    honest_run_still_signs(&r, 2);
    run_clear(&r);
}

static void row_8_an_r_known_in_advance_signs_for_another_child(void **state)
{
    const mpc_policy policy = hostile_policy_bip32();
    protocol_run r;

    (void)state;
    weak_off();
    hostile_cluster(&r, GRP_SECP256K1, 3, 1, 0, &policy);
    weak.delta_by_key = true; /* r does not move with the request */
    assert_true(moves_to_another_child(&r));
    weak_off();
    run_clear(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(row_7_a_pool_of_nonces_forges_nothing),
        cmocka_unit_test(row_7_a_rho_that_is_not_bound_forges_under_the_root_key),
        cmocka_unit_test(row_8_a_digest_cannot_be_fitted_to_r),
        cmocka_unit_test(row_8_an_r_known_in_advance_signs_for_another_child),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
