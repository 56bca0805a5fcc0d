#include "group_test.h"

#include "group/sharing.h"

static void shares_of_a_polynomial_match_its_commitments(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        grp *g = open_curve(c);
        tdsa_test_rng seeded;
        const tdsa_rng rng = tdsa_test_rng_of(&seeded);
        tdsa_err err;

        seed_rng(&seeded, "poly");
        for (size_t t = 1; t <= GRP_THRESHOLD_MAX; t++) {
            grp_poly f;
            grp_point commitment[GRP_THRESHOLD_MAX + 1];

            assert_int_equal(grp_poly_random(g, &f, t, &rng, &err), TDSA_OK);
            assert_int_equal(grp_poly_commit(g, commitment, &f, &err), TDSA_OK);
            for (uint16_t j = 0; j < GRP_PARTIES_MAX; j++) {
                grp_scalar share;
                grp_point mine;
                grp_point expect;

                grp_poly_eval(g, &share, &f, j);
                mine = base_times(g, &share);
                assert_int_equal(grp_commit_eval_vartime(g, &expect, commitment, t + 1, j, &err),
                                 TDSA_OK);
                assert_points_equal(g, &mine, &expect);
            }
            grp_poly_clear(&f);
            assert_int_equal(f.degree, 0);
        }
        grp_close(g);
    }
}

static tdsa_status no_entropy(void *ctx, uint8_t *out, size_t len, tdsa_err *err)
{
    (void)ctx;
    memset(out, 0xaa, len);
    return TDSA_FAIL(err, TDSA_E_CRYPTO, "no entropy");
}

static void poly_random_refuses_degree_0_and_5_and_hands_on_failure(void **state)
{
    grp *g = open_curve(0);
    tdsa_test_rng seeded;
    const tdsa_rng rng = tdsa_test_rng_of(&seeded);
    grp_poly f;
    tdsa_err err;

    (void)state;
    seed_rng(&seeded, "degree");
    assert_int_equal(grp_poly_random(g, &f, 0, &rng, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(grp_poly_random(g, &f, 5, &rng, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(grp_poly_random(g, &f, 1, &(tdsa_rng){no_entropy, NULL}, &err), TDSA_E_CRYPTO);
    assert_true(grp_scalar_is_zero(g, &f.coeff[0]));
    grp_close(g);
}

static void commit_eval_refuses_bad_counts_and_participants(void **state)
{
    grp *g = open_curve(0);
    grp_point p[6];
    grp_point r;
    tdsa_err err;

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        p[i] = base_times_u64(g, i + 1);
    }
    assert_int_equal(grp_commit_eval_vartime(g, &r, p, 0, 0, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(grp_commit_eval_vartime(g, &r, p, 6, 0, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(grp_commit_eval_vartime(g, &r, p, 2, 9, &err), TDSA_E_BAD_INPUT);
    assert_true(grp_point_is_identity(&r));
    grp_close(g);
}

/* Every subset of 1..9 participants: 511 of them. */
static size_t members_of(uint16_t *out, unsigned mask)
{
    size_t count = 0;

    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
        if ((mask >> i & 1) != 0) {
            out[count++] = i;
        }
    }
    return count;
}

static void interpolation_at_0_gives_the_constant_for_every_set(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        grp *g = open_curve(c);
        tdsa_test_rng seeded;
        const tdsa_rng rng = tdsa_test_rng_of(&seeded);
        grp_poly f;
        grp_scalar share[GRP_PARTIES_MAX];
        grp_point point[GRP_PARTIES_MAX];
        grp_point constant;
        tdsa_err err;

        seed_rng(&seeded, "interpolate");
        assert_int_equal(grp_poly_random(g, &f, 2, &rng, &err), TDSA_OK);
        constant = base_times(g, &f.coeff[0]);
        for (uint16_t j = 0; j < GRP_PARTIES_MAX; j++) {
            grp_poly_eval(g, &share[j], &f, j);
            point[j] = base_times(g, &share[j]);
        }
        for (unsigned mask = 1; mask < 512; mask++) {
            uint16_t members[GRP_PARTIES_MAX];
            const size_t count = members_of(members, mask);
            grp_scalar lambda[GRP_PARTIES_MAX];
            grp_point chosen[GRP_PARTIES_MAX];
            grp_scalar sum;
            grp_point r;

            if (count < 3) {
                continue;
            }
            grp_lagrange(g, lambda, members, count);
            grp_scalar_set_u64(g, &sum, 0);
            for (size_t k = 0; k < count; k++) {
                grp_scalar_mul(g, &lambda[k], &lambda[k], &share[members[k]]);
                grp_scalar_add(g, &sum, &sum, &lambda[k]);
                chosen[k] = point[members[k]];
            }
            assert_true(grp_scalar_equal(g, &sum, &f.coeff[0]));
            assert_int_equal(grp_interpolate_vartime(g, &r, chosen, members, count, &err), TDSA_OK);
            assert_points_equal(g, &r, &constant);
        }
        grp_close(g);
    }
}

static void interpolation_refuses_bad_members(void **state)
{
    static const uint16_t twice[2] = {1, 1};
    static const uint16_t far[2] = {1, 9};
    static const uint16_t ten[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    grp *g = open_curve(0);
    grp_point p[10];
    grp_point r;
    tdsa_err err;

    (void)state;
    for (size_t i = 0; i < 10; i++) {
        p[i] = base_times_u64(g, i + 1);
    }
    assert_int_equal(grp_interpolate_vartime(g, &r, p, twice, 2, &err), TDSA_E_BAD_INPUT);
    assert_true(grp_point_is_identity(&r));
    assert_int_equal(grp_interpolate_vartime(g, &r, p, far, 2, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(grp_interpolate_vartime(g, &r, p, ten, 10, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(grp_interpolate_vartime(g, &r, p, ten, 0, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(grp_consist_vartime(g, p, twice, 2, 1, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(grp_consist_vartime(g, p, ten, 9, 5, &err), TDSA_E_BAD_INPUT);
    grp_close(g);
}

/* All sets of members that a degree can be checked on, on one curve and with small numbers. */
static void check_consist(size_t curve, size_t t)
{
    grp *g = open_curve(curve);
    tdsa_test_rng seeded;
    const tdsa_rng rng = tdsa_test_rng_of(&seeded);
    const grp_point one = base_times_u64(g, 1);
    grp_poly f;
    grp_point point[GRP_PARTIES_MAX];
    tdsa_err err;

    seed_rng(&seeded, "consist");
    assert_int_equal(grp_poly_random(g, &f, t, &rng, &err), TDSA_OK);
    for (uint16_t j = 0; j < GRP_PARTIES_MAX; j++) {
        grp_scalar share;

        grp_poly_eval(g, &share, &f, j);
        point[j] = base_times(g, &share);
    }
    for (unsigned mask = 1; mask < 512; mask++) {
        uint16_t members[GRP_PARTIES_MAX];
        const size_t count = members_of(members, mask);
        grp_point chosen[GRP_PARTIES_MAX];

        for (size_t k = 0; k < count; k++) {
            chosen[k] = point[members[k]];
        }
        assert_int_equal(grp_consist_vartime(g, chosen, members, count, t, &err), TDSA_OK);
        if (count >= t + 2) { /* one wrong point, whichever it is */
            const size_t liar = mask % count;

            assert_int_equal(grp_point_add_vartime(g, &chosen[liar], &chosen[liar], &one, &err),
                             TDSA_OK);
            assert_int_equal(grp_consist_vartime(g, chosen, members, count, t, &err),
                             TDSA_E_PROTOCOL);
            assert_int_equal(err.participant, TDSA_NOBODY);
        }
    }
    grp_close(g);
}

static void consist_accepts_polynomials_and_sees_any_liar_in_every_set(void **state)
{
    (void)state;
    for (size_t t = 1; t <= GRP_THRESHOLD_MAX; t++) {
        check_consist(0, t);
    }
    check_consist(1, 1);
    check_consist(1, 2);
}

/* The same for values in the clear. */
static void shares_in_the_clear_are_checked_in_every_set(void **state)
{
    (void)state;
    for (size_t t = 1; t <= GRP_THRESHOLD_MAX; t++) {
        grp *g = open_curve(t % 2);
        tdsa_test_rng seeded;
        const tdsa_rng rng = tdsa_test_rng_of(&seeded);
        grp_scalar one;
        grp_poly f;
        tdsa_err err;

        seed_rng(&seeded, "shares");
        grp_scalar_set_u64(g, &one, 1);
        assert_int_equal(grp_poly_random(g, &f, t, &rng, &err), TDSA_OK);
        for (unsigned mask = 1; mask < 512; mask++) {
            uint16_t members[GRP_PARTIES_MAX];
            const size_t count = members_of(members, mask);
            grp_scalar share[GRP_PARTIES_MAX];

            for (size_t k = 0; k < count; k++) {
                grp_poly_eval(g, &share[k], &f, members[k]);
            }
            assert_true(grp_shares_consist_vartime(g, share, members, count, t));
            grp_scalar_add(g, &share[mask % count], &share[mask % count], &one);
            assert_int_equal(grp_shares_consist_vartime(g, share, members, count, t),
                             count < t + 2);
        }
        grp_close(g);
    }
}

static void consist_accepts_the_identity_as_a_point(void **state)
{
    static const uint16_t members[3] = {0, 1, 2};

    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        grp *g = open_curve(c);
        grp_point p[3];
        tdsa_err err;

        p[1] = base_times_u64(g, 5);
        p[2] = base_times_u64(g, 10);
        grp_point_set_identity(&p[0]); /* 5(id - 1) */
        assert_int_equal(grp_consist_vartime(g, p, members, 3, 1, &err), TDSA_OK);
        assert_int_equal(grp_consist_vartime(g, p, members, 3, 0, &err), TDSA_E_PROTOCOL);
        grp_close(g);
    }
}

static void sets_come_in_lexicographic_order(void **state)
{
    static const uint16_t members[4] = {0, 1, 3, 7};
    static const uint16_t expect[6][2] = {{0, 1}, {0, 3}, {0, 7}, {1, 3}, {1, 7}, {3, 7}};
    static const uint16_t nine[9] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    static grp_set sets[GRP_ALL_SETS_MAX];

    (void)state;
    assert_int_equal(grp_sets_of(sets, members, 4, 1), 6);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(sets[i].count, 2);
        assert_memory_equal(sets[i].member, expect[i], sizeof expect[i]);
    }
    assert_int_equal(grp_sets_of(sets, nine, 9, 4), GRP_ALL_SETS_MAX);
    assert_int_equal(sets[125].member[0], 4);
    assert_int_equal(grp_sets_of(sets, members, 1, 1), 0);
    assert_int_equal(grp_sets_of(sets, members, 2, 1), 1);
    assert_true(grp_set_has(&sets[0], 1));
    assert_false(grp_set_has(&sets[0], 3));
    assert_true(grp_set_within(&sets[0], members, 2));
    assert_false(grp_set_within(&sets[0], members + 1, 3));
}

static void set_factor_is_1_at_0_and_0_outside_the_set(void **state)
{
    static const uint16_t committee[5] = {0, 2, 3, 5, 8};
    grp *g = open_curve(0);
    grp_set sets[GRP_ALL_SETS_MAX];
    const size_t count = grp_sets_of(sets, committee, 5, 2);
    grp_scalar one;

    (void)state;
    grp_scalar_set_u64(g, &one, 1);
    for (size_t i = 0; i < count; i++) {
        grp_scalar f[5];
        grp_scalar lambda[5];
        grp_scalar at_0;

        grp_lagrange(g, lambda, committee, 5);
        grp_scalar_set_u64(g, &at_0, 0);
        for (size_t k = 0; k < 5; k++) {
            grp_set_factor(g, &f[k], &sets[i], committee, 5, committee[k]);
            assert_int_equal(grp_scalar_is_zero(g, &f[k]), !grp_set_has(&sets[i], committee[k]));
            grp_scalar_mul(g, &f[k], &f[k], &lambda[k]);
            grp_scalar_add(g, &at_0, &at_0, &f[k]);
        }
        assert_true(grp_scalar_equal(g, &at_0, &one));
    }
    grp_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_of_a_polynomial_match_its_commitments),
        cmocka_unit_test(poly_random_refuses_degree_0_and_5_and_hands_on_failure),
        cmocka_unit_test(commit_eval_refuses_bad_counts_and_participants),
        cmocka_unit_test(interpolation_at_0_gives_the_constant_for_every_set),
        cmocka_unit_test(interpolation_refuses_bad_members),
        cmocka_unit_test(consist_accepts_polynomials_and_sees_any_liar_in_every_set),
        cmocka_unit_test(shares_in_the_clear_are_checked_in_every_set),
        cmocka_unit_test(consist_accepts_the_identity_as_a_point),
        cmocka_unit_test(sets_come_in_lexicographic_order),
        cmocka_unit_test(set_factor_is_1_at_0_and_0_outside_the_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
