#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "attack/hostile.h"
#include "attack/weak.h"
#include "protocol/presign_internal.h"

/*
 * Rows 1, 4, 13, 22, 23 and 27: members and combiners that deviate while a signature is made.
 */

enum { INDEX = 1, LIAR = 1 };

/* ---- row 1: more signers than 2t+1, shown different digests ---- */

/* The design that fell, with a dealer: s_j = c_j(h_j + r*x_j) + d_j, c a sharing of 1/k of degree t,
 * d a zero-sharing of degree 2t, over n ids. */
typedef struct {
    const grp *g;
    grp_scalar share[5]; /* by id: what each honest signer answers */
    grp_scalar c[5], d[5], x[5];
    grp_scalar r;
    grp_point y;
} old_design;

static grp_scalar poly(const grp *g, const char *word, uint64_t id, unsigned degree,
                       grp_scalar constant)
{
    grp_scalar sum = constant;
    grp_scalar power = sc_u64(g, 1);

    for (unsigned m = 1; m <= degree; m++) {
        power = sc_mul(g, power, sc_u64(g, id));
        sum = sc_add(g, sum, sc_mul(g, power, sc_pick(g, word, m)));
    }
    return sum;
}

static void deal_old_design(old_design *o, const grp *g)
{
    const grp_scalar k = sc_pick(g, "nonce", 0);
    const grp_scalar x = sc_pick(g, "key", 0);
    const grp_point big_r = pt_base(g, k);

    o->g = g;
    o->y = pt_base(g, x);
    grp_point_x_mod_q(g, &o->r, &big_r);
    for (uint64_t id = 1; id <= 4; id++) {
        o->c[id] = poly(g, "inverse nonce", id, 1, sc_div(g, sc_u64(g, 1), k));
        o->x[id] = poly(g, "key", id, 1, x);
        o->d[id] = poly(g, "mask", id, 2, sc_u64(g, 0));
    }
}

static grp_scalar old_answer(const old_design *o, size_t id, grp_scalar h)
{
    const grp_scalar inner = sc_add(o->g, h, sc_mul(o->g, o->r, o->x[id]));

    return sc_add(o->g, sc_mul(o->g, o->c[id], inner), o->d[id]);
}

/* Interpolation at 0 over the ids 1, 2 and `third`, 0 elsewhere. */
static void lagrange_of(const grp *g, grp_scalar out[5], uint16_t third)
{
    const uint16_t members[3] = {0, 1, (uint16_t)(third - 1)};
    grp_scalar l[3];

    grp_lagrange(g, l, members, 3);
    for (size_t id = 0; id < 5; id++) {
        out[id] = sc_u64(g, 0);
    }
    out[1] = l[0];
    out[2] = l[1];
    out[third] = l[2];
}

static void row_1_four_signers_of_the_old_design_sign_what_nobody_saw(void **state)
{
    grp *g = NULL;
    old_design o;
    grp_scalar l1[5];
    grp_scalar l2[5];
    grp_scalar s;
    tdsa_err err;

    (void)state;
    assert_int_equal(grp_open(&g, GRP_SECP256K1, &err), TDSA_OK);
    const grp_scalar target = sc_pick(g, "forged digest", 0);
    deal_old_design(&o, g);
    lagrange_of(g, l1, 3);
    lagrange_of(g, l2, 4);
    s = sc_u64(g, 0);
    for (size_t id = 1; id <= 4; id++) { /* id 1 is corrupt: it answers as it must */
        const grp_scalar parity = sc_sub(g, l1[id], l2[id]);
        const grp_scalar u = sc_add(g, l1[id], sc_mul(g, sc_u64(g, 7), parity));
        const grp_scalar v = sc_mul(g, target, sc_add(g, l1[id], sc_mul(g, sc_u64(g, 11), parity)));

        s = sc_add(g, s, sc_mul(g, u, old_answer(&o, id, sc_div(g, v, u))));
    }
    assert_true(grp_ecdsa_verify_vartime(g, &o.y, &target, &o.r, &s));
    grp_close(g);
}

static void row_1_members_answer_for_their_stored_committee_only(void **state)
{
    static const uint8_t digest[32] = {1};
    protocol_run r;
    mpc_request q;
    mpc_request good;
    hostile_answer a;
    tdsa_err err;

    (void)state;
    weak_off();
    hostile_cluster(&r, GRP_P256, 4, 1, 1, NULL); /* committee 1, 2, 3 */
    good = run_request(&r, INDEX, digest, sizeof digest);
    for (uint16_t i = 1; i < 4; i++) {
        q = good; /* 2t+2 signers */
        q.committee_count = 4;
        for (uint16_t k = 0; k < 4; k++) {
            q.committee[k] = k;
        }
        assert_int_not_equal(hostile_ask(&r, i, &q, &a, &err), TDSA_OK);
        q.committee_count = 3; /* 2t+1, but not those that made it */
        assert_int_equal(hostile_ask(&r, i, &q, &a, &err), TDSA_E_CONFLICT);
        q.committee_count = 2; /* t+1 */
        assert_int_not_equal(hostile_ask(&r, i, &q, &a, &err), TDSA_OK);
        q = good; /* one of them twice */
        q.committee[0] = q.committee[1];
        assert_int_not_equal(hostile_ask(&r, i, &q, &a, &err), TDSA_OK);
    }
    honest_run_still_signs(&r, 2);
    run_clear(&r);
}

/* The reply of somebody outside the committee is not taken, whatever it says. */
static void row_1_a_reply_from_outside_the_committee_is_refused(void **state)
{
    static const uint8_t digest[32] = {1};
    TDSA_SCOPED_BUF reply = TDSA_BUF_EMPTY;
    protocol_run r;
    mpc_combine *c = NULL;
    hostile_answer a;
    tdsa_err err;

    (void)state;
    weak_off();
    hostile_cluster(&r, GRP_P256, 4, 1, 1, NULL);
    const mpc_request q = run_request(&r, INDEX, digest, sizeof digest);
    a = hostile_must_ask(&r, 1, &q);
    hostile_reply(&r, 0, &a.ctx, a.mu, a.nu, &reply);
    assert_int_equal(mpc_combine_new(&c, r.key[1], r.batch[1], &a.ctx, &err), TDSA_OK);
    assert_int_equal(mpc_combine_take(c, 0, reply.data, reply.len, &err), TDSA_E_PROTOCOL);
    assert_int_equal(err.participant, 0);
    assert_int_equal(mpc_combine_take(c, 2, reply.data, reply.len, &err), TDSA_E_PROTOCOL);
    assert_int_equal(err.participant, 2); /* in another's name */
    mpc_combine_free(c);
    run_clear(&r);
}

/* ---- row 4: degenerate values ---- */

/* 32 bytes whose number is q: h = 0 without being zero bytes. */
static void order_of(const grp *g, uint8_t out[32])
{
    grp_scalar minus_one = sc_neg(g, sc_u64(g, 1));

    grp_scalar_encode(g, out, &minus_one);
    for (size_t i = 31; ++out[i] == 0; i--) {
    }
}

static void row_4_a_digest_of_zero_or_q_is_answered_by_nobody(void **state)
{
    (void)state;
    weak_off();
    for (int curve = GRP_P256; curve <= GRP_SECP256K1; curve++) {
        uint8_t digest[2][32] = {{0}};
        protocol_run r;
        hostile_answer a;
        tdsa_err err;

        hostile_cluster(&r, (grp_curve)curve, 3, 1, 0, NULL);
        order_of(r.g, digest[1]);
        for (size_t d = 0; d < 2; d++) {
            const mpc_request q = run_request(&r, INDEX, digest[d], 32);

            for (uint16_t i = 0; i < 3; i++) {
                assert_int_equal(hostile_ask(&r, i, &q, &a, &err), TDSA_E_BAD_INPUT);
                assert_int_equal(a.bytes.len, 0);
            }
        }
        run_clear(&r);
    }
}

/* R = -delta*G makes R^ the identity: a corrupt record, or 2^256 work, gets no answer. */
static void row_4_an_identity_nonce_is_answered_by_nobody(void **state)
{
    static const uint8_t digest[32] = {3};
    protocol_run r;
    hostile_answer a;
    tdsa_err err;

    (void)state;
    weak_off();
    hostile_cluster(&r, GRP_P256, 3, 1, 0, NULL);
    const mpc_request q = run_request(&r, INDEX, digest, sizeof digest);
    weak.delta_by_key = true; /* delta that does not depend on R, so that R can be made to fit */
    a = hostile_must_ask(&r, 0, &q);
    weak.what = WEAK_R_FROM_REQUEST;
    weak.r = pt_base(r.g, sc_neg(r.g, a.ctx.delta));
    for (uint16_t i = 0; i < 3; i++) {
        assert_int_equal(hostile_ask(&r, i, &q, &a, &err), TDSA_E_BAD_INPUT);
        assert_non_null(strstr(err.text, "identity"));
    }
    weak_off();
    run_clear(&r);
}

/* Replies that make mu or nu zero: 1/0 must not become a signature. */
static void row_4_opened_zeros_release_nothing(void **state)
{
    static const uint8_t digest[32] = {3};
    protocol_run r;
    grp_scalar lambda[3];

    (void)state;
    weak_off();
    hostile_cluster(&r, GRP_P256, 3, 1, 0, NULL);
    const grp *g = r.g;
    const mpc_request q = run_request(&r, INDEX, digest, sizeof digest);
    grp_lagrange(g, lambda, r.committee, 3);
    for (unsigned which = 1; which <= 3; which++) { /* mu, nu, both */
        hostile_answer a[3];
        mpc_combine *c = NULL;
        mpc_signature sig;
        grp_scalar mu = sc_u64(g, 0);
        grp_scalar nu = mu;
        tdsa_err err;

        for (uint16_t i = 0; i < 3; i++) {
            a[i] = hostile_must_ask(&r, i, &q);
            mu = sc_add(g, mu, sc_mul(g, lambda[i], a[i].mu));
            nu = sc_add(g, nu, sc_mul(g, lambda[i], a[i].nu));
        }
        if ((which & 1u) != 0) {
            a[LIAR].mu = sc_sub(g, a[LIAR].mu, sc_div(g, mu, lambda[LIAR]));
        }
        if ((which & 2u) != 0) {
            a[LIAR].nu = sc_sub(g, a[LIAR].nu, sc_div(g, nu, lambda[LIAR]));
        }
        assert_int_equal(mpc_combine_new(&c, r.key[0], r.batch[0], &a[0].ctx, &err), TDSA_OK);
        for (uint16_t i = 0; i < 3; i++) {
            TDSA_SCOPED_BUF reply = TDSA_BUF_EMPTY;

            hostile_reply(&r, i, &a[i].ctx, a[i].mu, a[i].nu, &reply);
            assert_int_equal(mpc_combine_take(c, i, reply.data, reply.len, &err), TDSA_OK);
        }
        assert_int_equal(mpc_combine_finish(c, &sig, &err), TDSA_E_VERIFY);
        assert_int_equal(sig.len, 0);
        mpc_combine_free(c);
    }
    honest_run_still_signs(&r, 2);
    run_clear(&r);
}

/* ---- rows 13, 22 and 27: a member that changes its values ---- */

/* The members' values, with those of the liar changed by `lie`; what the combiner makes of it. */
typedef void (*lie_fn)(const grp *g, hostile_answer *a, const grp_scalar *lambda);

static tdsa_status combine_lie(const protocol_run *r, const mpc_request *q, lie_fn lie,
                               mpc_signature *sig, hostile_answer *first)
{
    grp_scalar lambda[GRP_PARTIES_MAX];
    hostile_answer a[GRP_PARTIES_MAX];
    mpc_combine *c = NULL;
    mpc_signature none;
    tdsa_err err;
    tdsa_status st;

    grp_lagrange(r->g, lambda, r->committee, r->committee_count);
    for (uint16_t i = 0; i < r->committee_count; i++) {
        a[i] = hostile_must_ask(r, i, q);
    }
    *first = a[0];
    lie(r->g, a, lambda);
    assert_int_equal(mpc_combine_new(&c, r->key[0], r->batch[0], &first->ctx, &err), TDSA_OK);
    for (uint16_t i = 0; i < r->committee_count; i++) {
        TDSA_SCOPED_BUF reply = TDSA_BUF_EMPTY;

        hostile_reply(r, i, &first->ctx, a[i].mu, a[i].nu, &reply);
        assert_int_equal(mpc_combine_take(c, i, reply.data, reply.len, &err), TDSA_OK);
    }
    st = mpc_combine_finish(c, sig, &err);
    assert_int_equal(mpc_combine_finish(c, &none, &err), TDSA_E_BAD_INPUT); /* no second try */
    mpc_combine_free(c);
    return st;
}

static void adds_one(const grp *g, hostile_answer *a, const grp_scalar *lambda)
{
    (void)lambda;
    a[LIAR].nu = sc_add(g, a[LIAR].nu, sc_u64(g, 1));
}

static void applies_lambda(const grp *g, hostile_answer *a, const grp_scalar *lambda)
{
    a[LIAR].mu = sc_mul(g, a[LIAR].mu, lambda[LIAR]);
    a[LIAR].nu = sc_mul(g, a[LIAR].nu, lambda[LIAR]);
}

/* Its values as they would count in the set of ids 1, 2 and 4, which it claims to sign in. */
static void applies_lambda_of_another_set(const grp *g, hostile_answer *a, const grp_scalar *lambda)
{
    static const uint16_t others[3] = {0, 1, 3};
    grp_scalar l[3];

    grp_lagrange(g, l, others, 3);
    a[LIAR].mu = sc_div(g, sc_mul(g, a[LIAR].mu, l[LIAR]), lambda[LIAR]);
    a[LIAR].nu = sc_div(g, sc_mul(g, a[LIAR].nu, l[LIAR]), lambda[LIAR]);
}

static void sends_zeros(const grp *g, hostile_answer *a, const grp_scalar *lambda)
{
    (void)lambda;
    a[LIAR].mu = sc_u64(g, 0);
    a[LIAR].nu = sc_u64(g, 0);
}

static void repeats_the_first(const grp *g, hostile_answer *a, const grp_scalar *lambda)
{
    (void)g;
    (void)lambda;
    a[LIAR].mu = a[0].mu;
    a[LIAR].nu = a[0].nu;
}

static void swaps_its_values(const grp *g, hostile_answer *a, const grp_scalar *lambda)
{
    const grp_scalar mu = a[LIAR].mu;

    (void)g;
    (void)lambda;
    a[LIAR].mu = a[LIAR].nu;
    a[LIAR].nu = mu;
}

static void wrong_values_release_nothing(const lie_fn *lies, size_t count)
{
    static const uint8_t digest[32] = {5};
    protocol_run r;

    weak_off();
    hostile_cluster(&r, GRP_SECP256K1, 5, 2, 0, NULL);
    const mpc_request q = run_request(&r, INDEX, digest, sizeof digest);
    for (size_t i = 0; i < count; i++) {
        hostile_answer first;
        mpc_signature sig;

        assert_int_equal(combine_lie(&r, &q, lies[i], &sig, &first), TDSA_E_VERIFY);
        assert_int_equal(sig.len, 0);
    }
    honest_run_still_signs(&r, 2);
    run_clear(&r);
}

static void row_13_a_failed_signature_is_not_tried_again(void **state)
{
    static const lie_fn lies[] = {adds_one, sends_zeros, repeats_the_first, swaps_its_values};

    (void)state;
    wrong_values_release_nothing(lies, sizeof lies / sizeof lies[0]);
}

static void row_22_a_member_that_applies_lambda_breaks_its_own_reply(void **state)
{
    static const lie_fn lies[] = {applies_lambda, applies_lambda_of_another_set};

    (void)state;
    wrong_values_release_nothing(lies, sizeof lies / sizeof lies[0]);
}

/* Rushing: it knows the values of the others and turns nu into -nu. */
static void negates_the_quotient(const grp *g, hostile_answer *a, const grp_scalar *lambda)
{
    grp_scalar nu = sc_u64(g, 0);

    for (size_t i = 0; i < 5; i++) {
        nu = sc_add(g, nu, sc_mul(g, lambda[i], a[i].nu));
    }
    nu = sc_div(g, sc_add(g, nu, nu), lambda[LIAR]);
    a[LIAR].nu = sc_sub(g, a[LIAR].nu, nu);
}

/* Y = (s*V - h*G) / r with V of the recovery id. */
static grp_point recover(const protocol_run *r, const mpc_context *ctx, const mpc_signature *sig,
                         uint8_t id)
{
    const grp *g = r->g;
    uint8_t bytes[33];
    grp_scalar big_r;
    grp_scalar s;
    grp_point v;
    tdsa_err err;

    run_ecdsa_split(g, &big_r, &s, sig);
    bytes[0] = (uint8_t)(2 + (id & 1));
    grp_scalar_encode(g, bytes + 1, &big_r);
    assert_int_equal(grp_point_decode(g, &v, bytes, sizeof bytes, &err), TDSA_OK);
    v = pt_sub(g, pt_mul(g, s, v), pt_base(g, ctx->h));
    return pt_mul(g, sc_div(g, sc_u64(g, 1), big_r), v);
}

static void row_27_a_negated_quotient_has_the_right_recovery_id(void **state)
{
    uint8_t digest[32] = {6};
    protocol_run r;
    unsigned wrong_from_r = 0;

    (void)state;
    weak_off();
    hostile_cluster(&r, GRP_SECP256K1, 5, 2, 0, NULL);
    for (uint8_t i = 0; i < 8; i++) {
        mpc_request q;
        mpc_signature sig;
        hostile_answer first;
        grp_point hat;
        grp_point y;
        bool odd = false;
        bool wrapped = false;

        digest[1] = i;
        q = run_request(&r, i % 3, digest, sizeof digest);
        q.low_s = i >= 4;
        assert_int_equal(combine_lie(&r, &q, negates_the_quotient, &sig, &first), TDSA_OK);
        y = recover(&r, &first.ctx, &sig, sig.recovery_id);
        assert_true(grp_point_equal(r.g, &y, &r.key[0]->pub.y));
        /* the parity of R^, turned with s where low-S turned it, would be another key's */
        hat = pt_add(r.g, hostile_r(&r, 0, i % 3), pt_base(r.g, first.ctx.delta));
        grp_point_parity(r.g, &odd, &wrapped, &hat);
        if (!q.low_s) {
            y = recover(&r, &first.ctx, &sig, odd ? 1 : 0);
            wrong_from_r += grp_point_equal(r.g, &y, &r.key[0]->pub.y) ? 0 : 1;
        }
    }
    assert_int_equal(wrong_from_r, 4);
    run_clear(&r);
}

/* ---- row 23: one key, two purposes ---- */

static void row_23_no_member_signs_for_another_purpose(void **state)
{
    static const uint8_t message[64] = "a message that some other protocol would take for a digest";
    static const uint32_t path[1] = {7};
    mpc_policy policy = run_policy();
    uint8_t digest[64];
    protocol_run r;
    tdsa_err err;

    (void)state;
    weak_off();
    for (unsigned purpose = 0; purpose < 2; purpose++) {
        mpc_request q;
        hostile_answer a;

        policy.purpose = purpose == 0 ? MPC_PURPOSE_DIGEST : MPC_PURPOSE_MESSAGE;
        hostile_cluster(&r, GRP_P256, 3, 1, 0, &policy);
        assert_int_equal(tdsa_hash(digest, TDSA_HASH_SHA256, message, sizeof message, &err),
                         TDSA_OK);
        for (uint16_t i = 0; i < 3; i++) {
            /* a message to a key of digests; the digest of it to a key of messages is a message */
            q = run_request(&r, INDEX, message, sizeof message);
            if (purpose == 0) {
                assert_int_equal(hostile_ask(&r, i, &q, &a, &err), TDSA_E_BAD_INPUT);
            }
            q = run_request(&r, INDEX, digest, 32);
            a = hostile_must_ask(&r, i, &q);
            grp_scalar h;
            grp_digest_to_scalar(r.g, &h, digest, 32);
            assert_true(sc_equal(r.g, h, a.ctx.h) == (purpose == 0));
            q.path_len = 1; /* a child of a key without derivation */
            q.path[0] = path[0];
            assert_int_equal(hostile_ask(&r, i, &q, &a, &err), TDSA_E_DENIED);
            q = run_request(&r, INDEX, digest, 32); /* the policy of another key */
            q.policy_tag[0] ^= 1;
            assert_int_equal(hostile_ask(&r, i, &q, &a, &err), TDSA_E_CONFLICT);
            q = run_request(&r, INDEX, digest, 20);
            q.digest_alg = TDSA_HASH_SHA1; /* not allowed by the policy of these tests */
            assert_int_equal(hostile_ask(&r, i, &q, &a, &err), TDSA_E_DENIED);
        }
        honest_run_still_signs(&r, 2);
        run_clear(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(row_1_four_signers_of_the_old_design_sign_what_nobody_saw),
        cmocka_unit_test(row_1_members_answer_for_their_stored_committee_only),
        cmocka_unit_test(row_1_a_reply_from_outside_the_committee_is_refused),
        cmocka_unit_test(row_4_a_digest_of_zero_or_q_is_answered_by_nobody),
        cmocka_unit_test(row_4_an_identity_nonce_is_answered_by_nobody),
        cmocka_unit_test(row_4_opened_zeros_release_nothing),
        cmocka_unit_test(row_13_a_failed_signature_is_not_tried_again),
        cmocka_unit_test(row_22_a_member_that_applies_lambda_breaks_its_own_reply),
        cmocka_unit_test(row_23_no_member_signs_for_another_purpose),
        cmocka_unit_test(row_27_a_negated_quotient_has_the_right_recovery_id),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
