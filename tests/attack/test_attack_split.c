#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "attack/hostile.h"
#include "attack/weak.h"

/*
 * Rows 2, 3 and 9: honest members are shown different requests, or different nonce points. Each
 * attack is the algebra that broke an earlier design; it runs against the engine, where it must give
 * noise, and against the engine with one rule taken out, where it must succeed.
 */

enum { INDEX = 1 }; /* of the presignature under attack */

/* Two honest members (ids 2 and 3), participant 0 (id 1) corrupt: what it gets and what it knows. */
typedef struct {
    hostile_answer answer[4]; /* by id */
    grp_scalar lambda[4];     /* by id */
    grp_scalar a1, k1, x1;    /* its own shares */
    grp_scalar pad_mu, pad_nu;
} split;

static void run_split(const protocol_run *r, const mpc_request *q2, const mpc_request *q3, split *s)
{
    grp_scalar lambda[3];

    grp_lagrange(r->g, lambda, r->committee, 3);
    for (size_t i = 0; i < 3; i++) {
        s->lambda[i + 1] = lambda[i];
    }
    s->answer[2] = hostile_must_ask(r, 1, q2);
    s->answer[3] = hostile_must_ask(r, 2, q3);
    s->a1 = hostile_share(r, 0, "a", INDEX);
    s->k1 = hostile_share(r, 0, "k", INDEX);
    s->x1 = r->key[0]->sec->share;
    s->pad_mu = hostile_pad(r, 0, "mu", s->answer[2].ctx.transcript);
    s->pad_nu = hostile_pad(r, 0, "nu", s->answer[2].ctx.transcript);
}

/* sum over the honest ids of lambda_j * v_j * p_j(1-j)^(2-m) * j^m: how a product of two sharings of
 * degree 1 splits into the secret, the corrupt share, and both. */
static grp_scalar part_of(const grp *g, const split *s, const grp_scalar *v, unsigned m, unsigned n)
{
    grp_scalar sum = sc_u64(g, 0);

    for (uint64_t j = 2; j <= 3; j++) {
        grp_scalar term = sc_mul(g, s->lambda[j], v[j]);

        for (unsigned i = 0; i < m; i++) {
            term = sc_mul(g, term, sc_sub(g, sc_u64(g, 1), sc_u64(g, j)));
        }
        for (unsigned i = 0; i < n; i++) {
            term = sc_mul(g, term, sc_u64(g, j));
        }
        sum = sc_add(g, sum, term);
    }
    return sum;
}

/* The static Diffie-Hellman value x*R, computed from two answers to different requests. */
static grp_point diffie_hellman(const protocol_run *r, const split *s)
{
    const grp *g = r->g;
    const grp_point y = r->key[0]->pub.y;
    const grp_point big_r = hostile_r(r, 0, INDEX);
    grp_scalar one[4];
    grp_scalar mu[4];
    grp_scalar nu[4];
    grp_scalar rr[4];
    grp_scalar yy[4];
    grp_scalar dd[4];

    for (size_t j = 2; j <= 3; j++) {
        one[j] = sc_u64(g, 1);
        mu[j] = s->answer[j].mu;
        nu[j] = s->answer[j].nu;
        rr[j] = s->answer[j].ctx.r;
        yy[j] = s->answer[j].y;
        dd[j] = s->answer[j].ctx.delta;
    }
    const grp_scalar ak = sc_mul(g, s->a1, s->k1);
    const grp_scalar ax = sc_mul(g, s->a1, s->x1);
    const grp_scalar ds = part_of(g, s, dd, 1, 0);
    const grp_scalar w1 = part_of(g, s, rr, 1, 1);
    grp_scalar m = part_of(g, s, mu, 0, 0);
    grp_scalar n = part_of(g, s, nu, 0, 0);
    m = sc_add(g, m, sc_mul(g, s->lambda[1], s->pad_mu));
    m = sc_sub(g, m, sc_mul(g, ak, part_of(g, s, one, 0, 2)));
    m = sc_sub(g, m, sc_mul(g, s->a1, part_of(g, s, dd, 0, 1))); /* a(k + ds) */
    n = sc_add(g, n, sc_mul(g, s->lambda[1], s->pad_nu));
    n = sc_sub(g, n, sc_mul(g, ax, part_of(g, s, rr, 0, 2)));
    n = sc_sub(g, n, sc_mul(g, s->a1, part_of(g, s, yy, 0, 1))); /* a(w0 x + hh) + a1 w1 x */
    const grp_scalar eta = sc_mul(g, s->a1, w1);
    const grp_scalar hh = sc_add(g, sc_mul(g, w1, s->x1), part_of(g, s, yy, 1, 0));
    const grp_point left = pt_mul(g, n, pt_add(g, big_r, pt_base(g, ds)));
    const grp_point inner = pt_add(g, pt_mul(g, part_of(g, s, rr, 2, 0), y), pt_base(g, hh));
    const grp_point out =
        pt_sub(g, pt_sub(g, left, pt_mul(g, m, inner)), pt_mul(g, sc_mul(g, eta, ds), y));

    return pt_mul(g, sc_div(g, sc_u64(g, 1), eta), out);
}

static bool learns_diffie_hellman(const protocol_run *r, const split *s)
{
    const grp_point found = diffie_hellman(r, s);
    const grp_point truth = pt_mul(r->g, judge_key(r), hostile_r(r, 0, INDEX));

    return grp_point_equal(r->g, &found, &truth);
}

/* A signature on y* = 3y_2 - 2y_3, which nobody approved (y = h + r*epsilon). */
static bool forges_mixture(const protocol_run *r, const split *s)
{
    const grp *g = r->g;
    const mpc_context *ctx = &s->answer[2].ctx;
    grp_scalar yy[4];
    grp_scalar mu = sc_mul(g, s->lambda[1],
                           sc_add(g, sc_mul(g, s->a1, sc_add(g, s->k1, ctx->delta)), s->pad_mu));
    grp_scalar nu =
        sc_mul(g, s->lambda[1], sc_add(g, sc_mul(g, s->a1, sc_mul(g, ctx->r, s->x1)), s->pad_nu));

    for (size_t j = 2; j <= 3; j++) {
        mu = sc_add(g, mu, sc_mul(g, s->lambda[j], s->answer[j].mu));
        nu = sc_add(g, nu, sc_mul(g, s->lambda[j], s->answer[j].nu));
        yy[j] = s->answer[j].y;
    }
    nu = sc_sub(g, nu, sc_mul(g, s->a1, part_of(g, s, yy, 0, 1)));
    return judge_verifies(r, r->key[0]->pub.y, part_of(g, s, yy, 1, 0), ctx->r, sc_div(g, nu, mu));
}

/* Row 2: every field of a request that two members can be shown differently. */
static void the_pairs(const protocol_run *r, mpc_request pair[4][2], uint8_t digest[3][48])
{
    mpc_request q;

    memset(digest, 0, 3 * sizeof digest[0]);
    digest[0][0] = 1;
    digest[1][0] = 2;
    q = run_request(r, INDEX, digest[0], 32);
    q.path_len = 1;
    for (size_t i = 0; i < 4; i++) {
        pair[i][0] = q;
        pair[i][1] = q;
    }
    pair[0][1].payload = digest[1];
    pair[1][1].path[0] = 7;
    pair[2][1].low_s = true;
    pair[3][1].digest_alg = TDSA_HASH_SHA384; /* the same h under another name */
    pair[3][1].payload_len = 48;
}

static void row_2_a_split_request_gives_neither_signature_nor_xr(void **state)
{
    const mpc_policy policy = hostile_policy_bip32();
    mpc_request pair[4][2];
    uint8_t digest[3][48];
    protocol_run r;
    split s;

    (void)state;
    weak_off();
    for (int curve = GRP_P256; curve <= GRP_SECP256K1; curve++) {
        hostile_cluster(&r, (grp_curve)curve, 3, 1, 0, &policy);
        the_pairs(&r, pair, digest);
        for (size_t i = 0; i < 4; i++) {
            run_split(&r, &pair[i][0], &pair[i][1], &s);
            assert_memory_not_equal(s.answer[2].ctx.transcript, s.answer[3].ctx.transcript, 64);
            assert_false(learns_diffie_hellman(&r, &s));
            assert_false(forges_mixture(&r, &s));
        }
        honest_run_still_signs(&r, 2);
        run_clear(&r);
    }
}

static void row_2_pads_of_the_digest_alone_give_xr(void **state)
{
    const mpc_policy policy = hostile_policy_bip32();
    mpc_request pair[4][2];
    uint8_t digest[3][48];
    protocol_run r;
    split s;

    (void)state;
    weak_off();
    hostile_cluster(&r, GRP_P256, 3, 1, 0, &policy);
    the_pairs(&r, pair, digest);
    weak.what = WEAK_PADS_BY_KEY;
    memcpy(weak.key, digest[0], 32); /* both members see this digest */
    run_split(&r, &pair[1][0], &pair[1][1], &s);
    assert_true(learns_diffie_hellman(&r, &s));
    assert_false(forges_mixture(&r, &s)); /* each path still has its own r */
    weak_off();
    run_clear(&r);
}

static void row_2_a_delta_that_is_not_bound_gives_signatures(void **state)
{
    const mpc_policy policy = hostile_policy_bip32();
    mpc_request pair[4][2];
    uint8_t digest[3][48];
    protocol_run r;
    split s;

    (void)state;
    weak_off();
    hostile_cluster(&r, GRP_SECP256K1, 3, 1, 0, &policy);
    the_pairs(&r, pair, digest);
    weak.what = WEAK_PADS_BY_KEY;
    weak.delta_by_key = true;
    for (size_t i = 0; i < 2; i++) { /* a digest, then a child key that nobody approved */
        run_split(&r, &pair[i][0], &pair[i][1], &s);
        assert_true(forges_mixture(&r, &s));
    }
    weak_off();
    run_clear(&r);
}

/* The split at larger sizes: honest members in every grouping, the corrupt complete the sums. */
static void row_2_no_grouping_of_five_members_verifies(void **state)
{
    static const uint8_t digest[32] = {4};
    const mpc_policy policy = hostile_policy_bip32();
    protocol_run r;

    (void)state;
    weak_off();
    hostile_cluster(&r, GRP_P256, 5, 2, 0, &policy);
    for (unsigned group = 0; group < 8; group++) { /* members 2, 3, 4: path 0 or 1 */
        mpc_request q = run_request(&r, INDEX, digest, sizeof digest);
        hostile_answer first;
        mpc_combine *c = NULL;
        mpc_signature sig;
        tdsa_err err;

        q.path_len = 1;
        first = hostile_must_ask(&r, 0, &q);
        assert_int_equal(mpc_combine_new(&c, r.key[0], r.batch[0], &first.ctx, &err), TDSA_OK);
        for (uint16_t i = 0; i < 5; i++) {
            TDSA_SCOPED_BUF reply = TDSA_BUF_EMPTY;
            hostile_answer a;

            q.path[0] = i >= 2 ? group >> (i - 2) & 1u : 0;
            a = hostile_must_ask(&r, i, &q);
            hostile_reply(&r, i, &first.ctx, a.mu, a.nu, &reply); /* says that all was equal */
            assert_int_equal(mpc_combine_take(c, i, reply.data, reply.len, &err), TDSA_OK);
        }
        assert_int_equal(mpc_combine_finish(c, &sig, &err), group == 0 ? TDSA_OK : TDSA_E_VERIFY);
        mpc_combine_free(c);
    }
    run_clear(&r);
}

/* ---- row 3 ---- */

/* Committee of ids 1, 2, 3, all honest; the corrupt combiner sits outside with id 4. */
typedef struct {
    hostile_answer answer[4];
    grp_scalar u[4], l[4], m[4]; /* by id */
} outside;

static void ask_outside(const protocol_run *r, outside *o)
{
    const grp *g = r->g;
    const grp_scalar four = sc_u64(g, 4);
    grp_scalar tau[4];
    uint8_t digest[32] = {0};

    for (uint16_t j = 1; j <= 3; j++) {
        mpc_request q = run_request(r, INDEX, digest, sizeof digest);

        digest[0] = (uint8_t)j;
        q.path_len = 1;
        q.path[0] = j;
        o->answer[j] = hostile_must_ask(r, (uint16_t)(j - 1), &q);
        grp_scalar_reduce(g, &tau[j], o->answer[j].ctx.transcript, 64);
    }
    for (uint64_t j = 1; j <= 3; j++) {
        const grp_scalar at = sc_u64(g, j);
        const grp_scalar mask = sc_mul(g, at, sc_sub(g, at, four));
        const size_t next = j % 3 + 1;
        const size_t after = next % 3 + 1;

        o->u[j] = sc_div(g, sc_sub(g, tau[next], tau[after]), mask);
        o->l[j] = sc_div(g, sc_sub(g, four, at), four);
        o->m[j] = sc_div(g, at, four);
    }
}

/* sum over j of u_j * v_j * l_j^a * m_j^b */
static grp_scalar weigh(const grp *g, const outside *o, const grp_scalar *v, unsigned a, unsigned b)
{
    grp_scalar sum = sc_u64(g, 0);

    for (size_t j = 1; j <= 3; j++) {
        grp_scalar term = sc_mul(g, o->u[j], v[j]);

        for (unsigned i = 0; i < a; i++) {
            term = sc_mul(g, term, o->l[j]);
        }
        for (unsigned i = 0; i < b; i++) {
            term = sc_mul(g, term, o->m[j]);
        }
        sum = sc_add(g, sum, term);
    }
    return sum;
}

/* x*R from three answers. The outsider is given its values of the sharings of k and a, which the
 * design that fell gave it. */
static bool outsider_learns(const protocol_run *r, const outside *o)
{
    const grp *g = r->g;
    const grp_scalar a4 = judge_value_at(r, "a", INDEX, 4);
    const grp_scalar k4 = judge_value_at(r, "k", INDEX, 4);
    const grp_scalar x4 = r->key[3]->sec->share;
    const grp_point y = r->key[0]->pub.y;
    const grp_point big_r = hostile_r(r, 0, INDEX);
    grp_scalar one[4];
    grp_scalar mu[4];
    grp_scalar nu[4];
    grp_scalar rr[4];
    grp_scalar yy[4];
    grp_scalar dd[4];

    for (size_t j = 1; j <= 3; j++) {
        one[j] = sc_u64(g, 1);
        mu[j] = o->answer[j].mu;
        nu[j] = o->answer[j].nu;
        rr[j] = o->answer[j].ctx.r;
        yy[j] = o->answer[j].y;
        dd[j] = o->answer[j].ctx.delta;
    }
    const grp_scalar al = weigh(g, o, one, 2, 0);
    const grp_scalar ds = weigh(g, o, dd, 1, 0);
    const grp_scalar w1 = weigh(g, o, rr, 1, 1);
    const grp_scalar eta = sc_mul(g, a4, w1);
    grp_scalar m = weigh(g, o, mu, 0, 0);
    grp_scalar n = weigh(g, o, nu, 0, 0);
    m = sc_sub(g, m, sc_mul(g, sc_mul(g, a4, k4), weigh(g, o, one, 0, 2)));
    m = sc_sub(g, m, sc_mul(g, a4, weigh(g, o, dd, 0, 1)));
    n = sc_sub(g, n, sc_mul(g, sc_mul(g, a4, x4), weigh(g, o, rr, 0, 2)));
    n = sc_sub(g, n, sc_mul(g, a4, weigh(g, o, yy, 0, 1)));
    const grp_scalar hh = sc_add(g, sc_mul(g, w1, x4), weigh(g, o, yy, 1, 0));
    const grp_point left = pt_mul(g, n, pt_add(g, pt_mul(g, al, big_r), pt_base(g, ds)));
    const grp_point inner = pt_add(g, pt_mul(g, weigh(g, o, rr, 2, 0), y), pt_base(g, hh));
    const grp_point sum =
        pt_sub(g, pt_sub(g, left, pt_mul(g, m, inner)), pt_mul(g, sc_mul(g, eta, ds), y));
    const grp_point found = pt_mul(g, sc_div(g, sc_u64(g, 1), sc_mul(g, eta, al)), sum);
    const grp_point truth = pt_mul(g, judge_key(r), big_r);

    return grp_point_equal(g, &found, &truth);
}

static void row_3_an_outsider_learns_nothing_from_a_split(void **state)
{
    const mpc_policy policy = hostile_policy_bip32();
    protocol_run r;
    outside o;

    (void)state;
    weak_off();
    hostile_cluster(&r, GRP_P256, 4, 1, 0, &policy);
    ask_outside(&r, &o);
    assert_false(outsider_learns(&r, &o));
    honest_run_still_signs(&r, 2);
    run_clear(&r);
}

static void row_3_masks_that_vanish_at_an_outsider_give_xr(void **state)
{
    const mpc_policy policy = hostile_policy_bip32();
    protocol_run r;
    outside o;

    (void)state;
    weak_off();
    hostile_cluster(&r, GRP_P256, 4, 1, 0, &policy);
    weak.what = WEAK_PADS_OUTSIDER;
    weak.outsider = 3;
    ask_outside(&r, &o);
    assert_true(outsider_learns(&r, &o));
    weak_off();
    run_clear(&r);
}

/* ---- row 9 ---- */

/* The corrupt combiner has all believe, if it can, in R' = R + eG: h*r^/r' is then signed. */
static bool forges_with_another_r(protocol_run *r, bool *honest_signature)
{
    static const uint8_t digest[32] = {9};
    const grp *g = r->g;
    const grp_point real = hostile_r(r, 0, INDEX);
    const mpc_request q = run_request(r, INDEX, digest, sizeof digest);
    grp_scalar mu = sc_u64(g, 0);
    grp_scalar nu = sc_u64(g, 0);
    grp_scalar lambda[3];
    grp_scalar r_hat;
    grp_point hat;
    hostile_answer a;

    weak.r = pt_add(g, real, pt_base(g, sc_pick(g, "another R", 1)));
    grp_lagrange(g, lambda, r->committee, 3);
    memset(&a, 0, sizeof a);
    for (uint16_t i = 0; i < 3; i++) {
        a = hostile_must_ask(r, i, &q);
        mu = sc_add(g, mu, sc_mul(g, lambda[i], a.mu));
        nu = sc_add(g, nu, sc_mul(g, lambda[i], a.nu));
    }
    hat = pt_add(g, real, pt_base(g, a.ctx.delta));
    grp_point_x_mod_q(g, &r_hat, &hat);
    hat = pt_add(g, weak.r, pt_base(g, a.ctx.delta));
    grp_scalar r_other;
    grp_point_x_mod_q(g, &r_other, &hat);
    const grp_scalar factor = sc_div(g, r_hat, r_other);
    const grp_scalar s = sc_div(g, nu, mu);
    *honest_signature = judge_verifies(r, r->key[0]->pub.y, a.ctx.h, r_hat, s);
    return judge_verifies(r, r->key[0]->pub.y, sc_mul(g, a.ctx.h, factor), r_hat,
                          sc_mul(g, s, factor));
}

static void row_9_a_nonce_point_of_the_combiner_forges_nothing(void **state)
{
    protocol_run r;
    bool fine = false;

    (void)state;
    weak_off();
    hostile_cluster(&r, GRP_P256, 3, 1, 0, NULL);
    assert_false(forges_with_another_r(&r, &fine));
    assert_true(fine); /* they signed what was asked, with the R that they made */
    run_clear(&r);
}

static void row_9_r_from_the_request_signs_another_digest(void **state)
{
    protocol_run r;
    bool fine = true;

    (void)state;
    weak_off();
    hostile_cluster(&r, GRP_P256, 3, 1, 0, NULL);
    weak.what = WEAK_R_FROM_REQUEST;
    assert_true(forges_with_another_r(&r, &fine));
    assert_false(fine);
    weak_off();
    run_clear(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(row_2_a_split_request_gives_neither_signature_nor_xr),
        cmocka_unit_test(row_2_pads_of_the_digest_alone_give_xr),
        cmocka_unit_test(row_2_a_delta_that_is_not_bound_gives_signatures),
        cmocka_unit_test(row_2_no_grouping_of_five_members_verifies),
        cmocka_unit_test(row_3_an_outsider_learns_nothing_from_a_split),
        cmocka_unit_test(row_3_masks_that_vanish_at_an_outsider_give_xr),
        cmocka_unit_test(row_9_a_nonce_point_of_the_combiner_forges_nothing),
        cmocka_unit_test(row_9_r_from_the_request_signs_another_digest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
