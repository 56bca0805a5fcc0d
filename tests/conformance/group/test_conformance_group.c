#include <pthread.h>

#include "unit/group/group_test.h"

/* What every curve must do the same, whatever library it runs on. */

static void multiplication_knows_the_identity(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        grp *g = open_curve(c);
        tdsa_test_rng rng;
        grp_scalar zero;
        grp_scalar a;
        grp_scalar minus_a;
        grp_scalar one;
        grp_point o;
        grp_point p;
        grp_point r;
        tdsa_err err;

        seed_rng(&rng, "identity");
        a = random_scalar(g, &rng);
        grp_scalar_neg(g, &minus_a, &a);
        grp_scalar_set_u64(g, &zero, 0);
        grp_scalar_set_u64(g, &one, 1);
        grp_point_set_identity(&o);
        p = base_times(g, &a);
        r = base_times(g, &zero);
        assert_true(grp_point_is_identity(&r));
        assert_int_equal(grp_mul_vartime(g, &r, &zero, &p, &err), TDSA_OK);
        assert_true(grp_point_is_identity(&r));
        assert_int_equal(grp_mul_vartime(g, &r, &a, &o, &err), TDSA_OK);
        assert_true(grp_point_is_identity(&r));
        assert_int_equal(grp_mul_add_vartime(g, &r, &zero, &zero, &p, &err), TDSA_OK);
        assert_true(grp_point_is_identity(&r));
        assert_int_equal(grp_mul_add_vartime(g, &r, &a, &one, &o, &err), TDSA_OK);
        assert_points_equal(g, &r, &p);
        /* aG + (-1)(aG), and -aG + 1(aG): refused by libsecp256k1, the identity here */
        assert_int_equal(grp_mul_add_vartime(g, &r, &minus_a, &one, &p, &err), TDSA_OK);
        assert_true(grp_point_is_identity(&r));
        assert_int_equal(grp_mul_add_vartime(g, &r, &a, &one, &p, &err), TDSA_OK); /* doubling */
        grp_scalar_add(g, &a, &a, &a);
        o = base_times(g, &a);
        assert_points_equal(g, &r, &o);
        assert_int_equal(grp_mul_vartime(g, &p, &one, &p, &err), TDSA_OK); /* in place */
        assert_false(grp_point_is_identity(&p));
        grp_close(g);
    }
}

static void addition_obeys_the_group_laws(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        grp *g = open_curve(c);
        const grp_point p2 = base_times_u64(g, 2);
        const grp_point p3 = base_times_u64(g, 3);
        const grp_point p4 = base_times_u64(g, 4);
        const grp_point p5 = base_times_u64(g, 5);
        grp_point o;
        grp_point n;
        grp_point r;
        tdsa_err err;

        grp_point_set_identity(&o);
        assert_int_equal(grp_point_add_vartime(g, &r, &p2, &p3, &err), TDSA_OK);
        assert_points_equal(g, &r, &p5);
        assert_int_equal(grp_point_add_vartime(g, &r, &p2, &p2, &err), TDSA_OK);
        assert_points_equal(g, &r, &p4);
        assert_int_equal(grp_point_add_vartime(g, &r, &p2, &o, &err), TDSA_OK);
        assert_points_equal(g, &r, &p2);
        assert_int_equal(grp_point_add_vartime(g, &r, &o, &p2, &err), TDSA_OK);
        assert_points_equal(g, &r, &p2);
        assert_int_equal(grp_point_add_vartime(g, &r, &o, &o, &err), TDSA_OK);
        assert_true(grp_point_is_identity(&r));
        grp_point_neg(g, &n, &p2);
        assert_false(grp_point_equal(g, &n, &p2));
        assert_int_equal(grp_point_add_vartime(g, &r, &p2, &n, &err), TDSA_OK);
        assert_true(grp_point_is_identity(&r));
        grp_point_neg(g, &n, &n);
        assert_points_equal(g, &n, &p2);
        grp_point_neg(g, &n, &o);
        assert_true(grp_point_is_identity(&n));
        assert_false(grp_point_equal(g, &o, &p2));
        assert_false(grp_point_equal(g, &p2, &o));
        assert_true(grp_point_equal(g, &o, &n));
        grp_close(g);
    }
}

/* sum coeff[i] * value[i]*G, checked through the scalars */
static void check_sum(const grp *g, const uint64_t *value, const int32_t *coeff, size_t count)
{
    grp_point p[12];
    grp_point r;
    grp_point expect;
    grp_scalar total;
    tdsa_err err;

    grp_scalar_set_u64(g, &total, 0);
    for (size_t i = 0; i < count; i++) {
        grp_scalar v;
        grp_scalar k;

        p[i] = base_times_u64(g, value[i]);
        grp_scalar_set_u64(g, &v, value[i]);
        grp_scalar_set_u64(g, &k, (uint64_t)(coeff[i] < 0 ? -coeff[i] : coeff[i]));
        grp_scalar_mul(g, &v, &v, &k);
        if (coeff[i] < 0) {
            grp_scalar_neg(g, &v, &v);
        }
        grp_scalar_add(g, &total, &total, &v);
    }
    expect = base_times(g, &total);
    assert_int_equal(grp_small_sum_vartime(g, &r, p, coeff, count, &err), TDSA_OK);
    assert_points_equal(g, &r, &expect);
}

static void small_sum_is_right_in_every_special_case(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        grp *g = open_curve(c);

        check_sum(g, (const uint64_t[]){7, 11, 13}, (const int32_t[]){3, -3, 1}, 3);
        check_sum(g, (const uint64_t[]){1, 2, 3}, (const int32_t[]){1, -2, 1}, 3); /* identity */
        check_sum(g, (const uint64_t[]){5, 5}, (const int32_t[]){1, 1}, 2);        /* doubling */
        check_sum(g, (const uint64_t[]){5, 5}, (const int32_t[]){1, -1}, 2);
        check_sum(g, (const uint64_t[]){2, 1, 9}, (const int32_t[]){1, -2, 4},
                  3);                                                        /* O on the way */
        check_sum(g, (const uint64_t[]){4, 8}, (const int32_t[]){2, 1}, 2);  /* P + P after dbl */
        check_sum(g, (const uint64_t[]){0, 3}, (const int32_t[]){5, -6}, 2); /* O as a term */
        check_sum(g, (const uint64_t[]){3, 4}, (const int32_t[]){0, 0}, 2);
        check_sum(g, (const uint64_t[]){3}, (const int32_t[]){-1048575}, 1);
        check_sum(g, (const uint64_t[]){3, 17, 99}, (const int32_t[]){1048575, -1048575, 524288},
                  3);
        check_sum(g, (const uint64_t[]){1, 2, 3, 4, 5, 6, 7, 8, 9},
                  (const int32_t[]){9, -36, 84, -126, 126, -84, 36, -9, 1}, 9);
        check_sum(g, (const uint64_t[]){3}, (const int32_t[]){1}, 0);
        grp_close(g);
    }
}

static void small_sum_takes_256_points_and_refuses_257(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        grp *g = open_curve(c);
        static grp_point p[257];
        static int32_t coeff[257];
        const grp_point one = base_times_u64(g, 1);
        const grp_point expect = base_times_u64(g, 256);
        grp_point r;
        tdsa_err err;

        for (size_t i = 0; i < 257; i++) {
            p[i] = one;
            coeff[i] = 1;
        }
        assert_int_equal(grp_small_sum_vartime(g, &r, p, coeff, 256, &err), TDSA_OK);
        assert_points_equal(g, &r, &expect);
        assert_int_equal(grp_small_sum_vartime(g, &r, p, coeff, 257, &err), TDSA_E_BAD_INPUT);
        assert_true(grp_point_is_identity(&r));
        grp_close(g);
    }
}

/* 1*G + 2*G + ... + 200*G, with every kind of operation on the way. */
static const char *add_up(const grp *g)
{
    grp_point sum;
    grp_point expect;
    tdsa_err err;

    grp_point_set_identity(&sum);
    for (uint64_t v = 1; v <= 200; v++) {
        grp_scalar a;
        grp_point p;
        uint8_t zip[GRP_POINT_LEN_MAX];

        grp_scalar_set_u64(g, &a, v);
        if (grp_mul_base(g, &p, &a, &err) != TDSA_OK) {
            return "mul_base";
        }
        grp_point_encode(g, zip, &p);
        if (grp_point_decode(g, &p, zip, grp_get_info(g)->point_len, &err) != TDSA_OK ||
            grp_point_add_vartime(g, &sum, &sum, &p, &err) != TDSA_OK) {
            return "decode or add";
        }
    }
    expect = base_times_u64(g, 200 * 201 / 2);
    return grp_point_equal(g, &sum, &expect) ? NULL : "sum";
}

typedef struct {
    const grp *g;
    const char *wrong; /* what failed, or NULL */
} thread_job;

static void *run_job(void *arg)
{
    thread_job *job = arg;

    job->wrong = add_up(job->g);
    return NULL;
}

static void one_group_serves_many_threads(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        grp *g = open_curve(c);
        pthread_t thread[4];
        thread_job job[4];

        for (size_t i = 0; i < 4; i++) {
            job[i].g = g;
            assert_int_equal(pthread_create(&thread[i], NULL, run_job, &job[i]), 0);
        }
        for (size_t i = 0; i < 4; i++) {
            assert_int_equal(pthread_join(thread[i], NULL), 0);
            assert_null(job[i].wrong);
        }
        grp_close(g);
    }
}

/* a*G and a*P, the latter in variable time, for a and -a. */
static void check_both(const grp *g, const grp_scalar *a, const grp_point *g_times,
                       const grp_point *p, const grp_point *p_times)
{
    grp_scalar minus;
    grp_point expect;
    grp_point r;
    tdsa_err err;

    r = base_times(g, a);
    assert_points_equal(g, &r, g_times);
    grp_scalar_neg(g, &minus, a);
    r = base_times(g, &minus);
    grp_point_neg(g, &expect, g_times);
    assert_points_equal(g, &r, &expect);
    if (p != NULL) {
        assert_int_equal(grp_mul_vartime(g, &r, a, p, &err), TDSA_OK);
        assert_points_equal(g, &r, p_times);
        assert_int_equal(grp_mul_vartime(g, &r, &minus, p, &err), TDSA_OK);
        grp_point_neg(g, &expect, p_times);
        assert_points_equal(g, &r, &expect);
    }
}

/* 2^k, 2^k + 1, 2^k - 1 and their negatives: where windows and combs meet their special cases. */
static void multiplication_is_right_for_special_scalars(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        grp *g = open_curve(c);
        const grp_point one = base_times_u64(g, 1);
        const grp_point p = base_times_u64(g, 0x123456789abcdef1);
        grp_point g_power = one;
        grp_point p_power = p;
        grp_scalar power;
        grp_scalar unit;
        tdsa_err err;

        grp_scalar_set_u64(g, &power, 1);
        grp_scalar_set_u64(g, &unit, 1);
        for (size_t k = 0; k < grp_get_info(g)->order_bits; k++) {
            const bool with_p = k % 8 == 0;
            grp_point minus_one;
            grp_point near;
            grp_scalar a;

            check_both(g, &power, &g_power, with_p ? &p : NULL, &p_power);
            grp_scalar_add(g, &a, &power, &unit);
            assert_int_equal(grp_point_add_vartime(g, &near, &g_power, &one, &err), TDSA_OK);
            check_both(g, &a, &near, NULL, NULL);
            grp_scalar_sub(g, &a, &power, &unit);
            grp_point_neg(g, &minus_one, &one);
            assert_int_equal(grp_point_add_vartime(g, &near, &g_power, &minus_one, &err), TDSA_OK);
            check_both(g, &a, &near, NULL, NULL);
            grp_scalar_add(g, &power, &power, &power);
            assert_int_equal(grp_point_add_vartime(g, &g_power, &g_power, &g_power, &err), TDSA_OK);
            assert_int_equal(grp_point_add_vartime(g, &p_power, &p_power, &p_power, &err), TDSA_OK);
        }
        grp_close(g);
    }
}

static void multiplication_is_right_for_small_scalars(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        grp *g = open_curve(c);
        const grp_point one = base_times_u64(g, 1);
        const grp_point p = base_times_u64(g, 977);
        grp_point g_sum = one;
        grp_point p_sum = p;
        tdsa_err err;

        for (uint64_t v = 1; v <= 130; v++) {
            grp_scalar a;

            grp_scalar_set_u64(g, &a, v);
            check_both(g, &a, &g_sum, v <= 40 ? &p : NULL, &p_sum);
            assert_int_equal(grp_point_add_vartime(g, &g_sum, &g_sum, &one, &err), TDSA_OK);
            assert_int_equal(grp_point_add_vartime(g, &p_sum, &p_sum, &p, &err), TDSA_OK);
        }
        grp_close(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(multiplication_knows_the_identity),
        cmocka_unit_test(addition_obeys_the_group_laws),
        cmocka_unit_test(small_sum_is_right_in_every_special_case),
        cmocka_unit_test(small_sum_takes_256_points_and_refuses_257),
        cmocka_unit_test(multiplication_is_right_for_special_scalars),
        cmocka_unit_test(multiplication_is_right_for_small_scalars),
        cmocka_unit_test(one_group_serves_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
