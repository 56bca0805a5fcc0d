#include "group_test.h"

#include <stdlib.h>

#include "group/sharing.h"

/* One inversion serves 64 additions or 128 multiplications: the counts go over both borders. */
#define COUNT_MAX 300u

static void a_batch_of_multiplications_is_the_single_ones(void **state)
{
    static const size_t counts[] = {0, 1, 2, 127, 128, 129, COUNT_MAX};
    static grp_scalar a[COUNT_MAX];
    static grp_point p[COUNT_MAX];

    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        grp *g = open_curve(c);
        tdsa_test_rng rng;
        tdsa_err err;

        seed_rng(&rng, "batch");
        for (size_t i = 0; i < COUNT_MAX; i++) {
            a[i] = random_scalar(g, &rng);
        }
        for (size_t i = 0; i < COUNT_MAX; i += 64) { /* a share of 0, first in a part and inside */
            grp_scalar_set_u64(g, &a[i], 0);
        }
        a[5] = a[4];
        for (size_t n = 0; n < sizeof counts / sizeof counts[0]; n++) {
            assert_int_equal(grp_mul_base_batch(g, p, a, counts[n], &err), TDSA_OK);
            for (size_t i = 0; i < counts[n]; i++) {
                const grp_point one = base_times(g, &a[i]);

                assert_points_equal(g, &p[i], &one);
            }
        }
        grp_close(g);
    }
}

static void multiply_and_add_is_right_in_every_special_case(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        grp *g = open_curve(c);
        const grp_point p7 = base_times_u64(g, 7);
        const grp_point p9 = base_times_u64(g, 9);
        const grp_point p14 = base_times_u64(g, 14);
        grp_scalar k;
        grp_point r;
        tdsa_err err;

        grp_scalar_set_u64(g, &k, 2);
        assert_int_equal(grp_mul_base_add_vartime(g, &r, &k, &p7, &err), TDSA_OK);
        assert_points_equal(g, &r, &p9);
        grp_scalar_set_u64(g, &k, 7); /* the product is the point itself */
        assert_int_equal(grp_mul_base_add_vartime(g, &r, &k, &p7, &err), TDSA_OK);
        assert_points_equal(g, &r, &p14);
        grp_scalar_neg(g, &k, &k); /* and its negative */
        assert_int_equal(grp_mul_base_add_vartime(g, &r, &k, &p7, &err), TDSA_OK);
        assert_true(grp_point_is_identity(&r));
        grp_scalar_neg(g, &k, &k);
        assert_int_equal(grp_mul_base_add_vartime(g, &r, &k, &r, &err), TDSA_OK); /* to identity */
        assert_points_equal(g, &r, &p7);
        grp_scalar_set_u64(g, &k, 0);
        assert_int_equal(grp_mul_base_add_vartime(g, &r, &k, &p9, &err), TDSA_OK);
        assert_points_equal(g, &r, &p9);
        grp_scalar_set_u64(g, &k, 5);
        assert_int_equal(grp_mul_base_add_vartime(g, &r, &k, &r, &err), TDSA_OK); /* in place */
        assert_points_equal(g, &r, &p14);
        grp_close(g);
    }
}

/* ---- shared points ---- */

typedef struct {
    grp *g;
    size_t t, count;
    uint16_t members[GRP_PARTIES_MAX];
    size_t member_count;
    grp_point *points; /* rows of members */
    grp_point *expect; /* values at 0 */
    grp_point *opened;
} shared;

/* Polynomials of which some are constant, linear or 0: equal neighbours, doublings, identities. */
static grp_poly poly_of(const shared *s, size_t i, tdsa_test_rng *seeded)
{
    const tdsa_rng rng = tdsa_test_rng_of(seeded);
    grp_poly f;
    tdsa_err err;

    assert_int_equal(grp_poly_random(s->g, &f, s->t, &rng, &err), TDSA_OK);
    for (size_t m = 0; m <= s->t; m++) {
        if ((i % 7 == 1 && m > 0) || (i % 7 == 2 && m > 1) || i % 7 == 3 ||
            (i % 7 == 4 && m == 0)) {
            grp_scalar_set_u64(s->g, &f.coeff[m], 0);
        }
        if (i % 7 == 5) { /* small: P + P, P - P on the way */
            grp_scalar_set_u64(s->g, &f.coeff[m], 1);
        }
    }
    return f;
}

static shared make_shared(size_t curve, size_t t, const char *members, size_t count)
{
    shared s = {.g = open_curve(curve), .t = t, .count = count, .member_count = strlen(members)};
    tdsa_test_rng rng;

    seed_rng(&rng, members);
    for (size_t j = 0; j < s.member_count; j++) {
        s.members[j] = (uint16_t)(members[j] - '0');
    }
    s.points = calloc(s.member_count * count, sizeof *s.points);
    s.expect = calloc(count, sizeof *s.expect);
    s.opened = calloc(count, sizeof *s.opened);
    assert_non_null(s.points);
    assert_non_null(s.expect);
    assert_non_null(s.opened);
    for (size_t i = 0; i < count; i++) {
        const grp_poly f = poly_of(&s, i, &rng);

        s.expect[i] = base_times(s.g, &f.coeff[0]);
        for (size_t j = 0; j < s.member_count; j++) {
            grp_scalar share;

            grp_poly_eval(s.g, &share, &f, s.members[j]);
            s.points[j * count + i] = base_times(s.g, &share);
        }
    }
    return s;
}

static void free_shared(shared *s)
{
    free(s->points);
    free(s->expect);
    free(s->opened);
    grp_close(s->g);
}

static tdsa_status open_shared(shared *s, size_t *bad, tdsa_err *err)
{
    const grp_shared all = {.points = s->points,
                            .members = s->members,
                            .member_count = s->member_count,
                            .t = s->t,
                            .count = s->count};

    return grp_open_batch_vartime(s->g, s->opened, &all, bad, err);
}

static void points_of_many_indices_open_to_their_values(void **state)
{
    static const struct {
        size_t t;
        const char *members;
    } cases[] = {
        {1, "012"},     {1, "123"},       {1, "234"}, {1, "024"},   {1, "013"},
        {1, "01"},      {2, "01234"},     {2, "012"}, {2, "23456"}, {2, "01356"},
        {3, "0123456"}, {4, "012345678"}, {1, "2"},   {3, "012"},   {3, "1234568"},
    };

    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        for (size_t n = 0; n < sizeof cases / sizeof cases[0]; n++) {
            shared s = make_shared(c, cases[n].t, cases[n].members, c == 0 ? 70 : 9);
            const bool enough = s.member_count > s.t;
            size_t bad = 0;
            tdsa_err err;

            assert_int_equal(open_shared(&s, &bad, &err), enough ? TDSA_OK : TDSA_E_BAD_INPUT);
            for (size_t i = 0; enough && i < s.count; i++) {
                assert_points_equal(s.g, &s.opened[i], &s.expect[i]);
            }
            free_shared(&s);
        }
    }
}

static void the_lowest_index_with_a_wrong_point_is_named(void **state)
{
    static const size_t wrong[] = {0, 1, 6, 64, 69};

    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        shared s = make_shared(c, 2, "01234", c == 0 ? 70 : 9);

        for (size_t n = 0; n < sizeof wrong / sizeof wrong[0] && wrong[n] < s.count; n++) {
            for (size_t j = 0; j < s.member_count; j++) {
                grp_point *first = &s.points[j * s.count + wrong[n]];
                grp_point *last = &s.points[(s.member_count - 1 - j) * s.count + s.count - 1];
                const grp_point keep_first = *first;
                const grp_point keep_last = *last;
                size_t bad = 0;
                tdsa_err err;

                *last = base_times_u64(s.g, 77); /* another liar at a later index */
                *first = base_times_u64(s.g, 78);
                assert_int_equal(open_shared(&s, &bad, &err), TDSA_E_PROTOCOL);
                assert_int_equal(bad, wrong[n]);
                for (size_t i = 0; i < s.count; i++) {
                    assert_true(grp_point_is_identity(&s.opened[i]));
                }
                *last = keep_last;
                *first = keep_first;
            }
        }
        free_shared(&s);
    }
}

static void opening_refuses_counts_and_members_out_of_range(void **state)
{
    shared s = make_shared(0, 1, "012", 3);
    size_t bad = 0;
    tdsa_err err;

    (void)state;
    s.t = 0;
    assert_int_equal(open_shared(&s, &bad, &err), TDSA_E_BAD_INPUT);
    s.t = GRP_THRESHOLD_MAX + 1;
    assert_int_equal(open_shared(&s, &bad, &err), TDSA_E_BAD_INPUT);
    s.t = 1;
    s.members[2] = 1;
    assert_int_equal(open_shared(&s, &bad, &err), TDSA_E_BAD_INPUT);
    s.members[2] = GRP_PARTIES_MAX;
    assert_int_equal(open_shared(&s, &bad, &err), TDSA_E_BAD_INPUT);
    assert_true(grp_point_is_identity(&s.opened[0]));
    s.members[2] = 2;
    s.member_count = GRP_PARTIES_MAX + 1;
    assert_int_equal(open_shared(&s, &bad, &err), TDSA_E_BAD_INPUT);
    s.member_count = 3;
    s.count = 0;
    assert_int_equal(open_shared(&s, &bad, &err), TDSA_OK);
    free_shared(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_of_multiplications_is_the_single_ones),
        cmocka_unit_test(multiply_and_add_is_right_in_every_special_case),
        cmocka_unit_test(points_of_many_indices_open_to_their_values),
        cmocka_unit_test(the_lowest_index_with_a_wrong_point_is_named),
        cmocka_unit_test(opening_refuses_counts_and_members_out_of_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
