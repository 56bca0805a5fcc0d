#include "group_test.h"

#include <pthread.h>

#include <openssl/objects.h>

/* OpenSSL's generic curve code on the same curve. For secp256k1 it shares nothing with
 * libsecp256k1; for P-256 it is asked through points that our code never touches. */
static void openssl_times(size_t curve, uint8_t *raw, const grp *g, const grp_scalar *a,
                          const grp_scalar *b, const grp_point *p)
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name(test_nid[curve]);
    EC_POINT *r = EC_POINT_new(group);
    EC_POINT *q = EC_POINT_new(group);
    uint8_t bytes[GRP_POINT_RAW_MAX];
    BIGNUM *k = NULL;
    BIGNUM *m = NULL;

    grp_scalar_encode(g, bytes, a);
    k = BN_bin2bn(bytes, 32, NULL);
    grp_scalar_encode(g, bytes, b);
    m = BN_bin2bn(bytes, 32, NULL);
    grp_point_encode_raw(g, bytes, p);
    assert_int_equal(EC_POINT_oct2point(group, q, bytes, 65, NULL), 1);
    assert_int_equal(EC_POINT_mul(group, r, k, q, m, NULL), 1);
    memset(raw, 0, 65);
    (void)EC_POINT_point2oct(group, r, POINT_CONVERSION_UNCOMPRESSED, raw, 65, NULL);
    BN_free(k);
    BN_free(m);
    EC_POINT_free(r);
    EC_POINT_free(q);
    EC_GROUP_free(group);
}

static void assert_raw(const grp *g, const grp_point *p, const uint8_t *raw)
{
    uint8_t got[GRP_POINT_RAW_MAX] = {0};

    if (!grp_point_is_identity(p)) {
        grp_point_encode_raw(g, got, p);
    }
    assert_memory_equal(got, raw, 65);
}

static void multiplication_agrees_with_openssl(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        grp *g = open_curve(c);
        tdsa_test_rng rng;
        tdsa_err err;

        seed_rng(&rng, "mul");
        for (int i = 0; i < 40; i++) {
            grp_scalar a = random_scalar(g, &rng);
            grp_scalar b = random_scalar(g, &rng);
            const grp_scalar d = random_scalar(g, &rng);
            const grp_point p = base_times(g, &d);
            grp_scalar zero;
            grp_point r;
            uint8_t raw[65];

            grp_scalar_set_u64(g, &zero, 0);
            if (i < 3) {
                grp_scalar_set_u64(g, &a, (uint64_t)i);
                grp_scalar_neg(g, &b, &a);
            }
            openssl_times(c, raw, g, &a, &zero, &p);
            r = base_times(g, &a);
            assert_raw(g, &r, raw);
            openssl_times(c, raw, g, &zero, &b, &p);
            assert_int_equal(grp_mul_vartime(g, &r, &b, &p, &err), TDSA_OK);
            assert_raw(g, &r, raw);
            openssl_times(c, raw, g, &a, &b, &p);
            assert_int_equal(grp_mul_add_vartime(g, &r, &a, &b, &p, &err), TDSA_OK);
            assert_raw(g, &r, raw);
        }
        grp_close(g);
    }
}

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

static void encoding_and_decoding_are_inverse(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        grp *g = open_curve(c);
        tdsa_test_rng rng;
        tdsa_err err;

        seed_rng(&rng, "encode");
        for (int i = 0; i < 30; i++) {
            const grp_scalar a = random_scalar(g, &rng);
            const grp_point p = base_times(g, &a);
            uint8_t raw[65];
            uint8_t zip[33];
            grp_point r;

            grp_point_encode_raw(g, raw, &p);
            grp_point_encode(g, zip, &p);
            assert_int_equal(raw[0], 4);
            assert_int_equal(zip[0], 2 + (raw[64] & 1));
            assert_memory_equal(zip + 1, raw + 1, 32);
            assert_int_equal(grp_point_decode(g, &r, raw, 65, &err), TDSA_OK);
            assert_points_equal(g, &r, &p);
            assert_int_equal(grp_point_decode(g, &r, zip, 33, &err), TDSA_OK);
            assert_points_equal(g, &r, &p);
        }
        grp_close(g);
    }
}

static void assert_refused(const grp *g, const uint8_t *in, size_t len)
{
    grp_point r;
    tdsa_err err;

    assert_int_equal(grp_point_decode(g, &r, in, len, &err), TDSA_E_BAD_INPUT);
    assert_true(grp_point_is_identity(&r));
}

static void decode_refuses_what_is_not_a_canonical_point(void **state)
{
    static const char *const field[CURVE_COUNT] = {
        "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
        "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f"};

    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        grp *g = open_curve(c);
        const grp_point p = base_times_u64(g, 5);
        uint8_t raw[66] = {0};
        uint8_t bad[66];
        static const uint8_t zero[66];

        grp_point_encode_raw(g, raw, &p);
        for (size_t len = 0; len <= sizeof raw; len++) {
            if (len != 33 && len != 65) {
                assert_refused(g, raw, len);
            }
        }
        for (unsigned first = 0; first < 256; first++) { /* hybrid 06 and 07 among them */
            memcpy(bad, raw, sizeof bad);
            bad[0] = (uint8_t)first;
            if (first != 4) {
                assert_refused(g, bad, 65);
            }
            if (first != 2 && first != 3) {
                assert_refused(g, bad, 33);
            }
        }
        assert_refused(g, zero, 33);
        assert_refused(g, zero, 65);
        memcpy(bad, raw, sizeof bad);
        bad[64] ^= 1; /* off the curve */
        assert_refused(g, bad, 65);
        memset(bad + 1, 0xff, 64); /* x and y >= p */
        assert_refused(g, bad, 65);
        bad[0] = 2;
        assert_refused(g, bad, 33);
        from_hex(bad + 1, 32, field[c]); /* x = p, the same as 0 */
        assert_refused(g, bad, 33);
        bad[0] = 3;
        assert_refused(g, bad, 33);
        grp_close(g);
    }
}

static void decode_refuses_x_plus_p(void **state)
{
    /* On P-256 the number 5 + p still fits 32 bytes. */
    uint8_t zip[33] = {2};
    grp *g = open_curve(0);
    grp_point p;
    tdsa_err err;

    (void)state;
    zip[32] = 5;
    assert_int_equal(grp_point_decode(g, &p, zip, 33, &err), TDSA_OK);
    from_hex(zip + 1, 32, "ffffffff00000001000000000000000000000001000000000000000000000004");
    assert_refused(g, zip, 33);
    grp_close(g);
}

static void x_without_a_point_is_refused(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        grp *g = open_curve(c);
        size_t refused = 0;
        grp_point p;
        tdsa_err err;

        for (uint8_t x = 0; x < 64; x++) {
            uint8_t zip[33] = {2};

            zip[32] = x;
            if (grp_point_decode(g, &p, zip, 33, &err) != TDSA_OK) {
                assert_int_equal(err.status, TDSA_E_BAD_INPUT);
                refused++;
            }
        }
        assert_in_range(refused, 16, 48); /* about half of all x have no point */
        grp_close(g);
    }
}

static void x_and_parity_match_the_encoding(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        grp *g = open_curve(c);

        for (uint64_t v = 1; v < 20; v++) {
            const grp_point p = base_times_u64(g, v);
            uint8_t raw[65];
            grp_scalar x;
            grp_scalar expect;
            bool odd = false;
            bool wrapped = true;

            grp_point_encode_raw(g, raw, &p);
            grp_point_x_mod_q(g, &x, &p);
            grp_scalar_reduce(g, &expect, raw + 1, 32);
            assert_true(grp_scalar_equal(g, &x, &expect));
            grp_point_parity(g, &odd, &wrapped, &p);
            assert_int_equal(odd, raw[64] & 1);
            assert_false(wrapped);
        }
        grp_close(g);
    }
}

static void parity_sees_x_at_or_above_the_order(void **state)
{
    /* The first points with q <= x < p: x = q + k with the smallest k that is on the curve. */
    static const char *const order[CURVE_COUNT] = {
        "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"};

    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        grp *g = open_curve(c);
        uint8_t zip[33] = {3};
        grp_point p;
        grp_scalar x;
        grp_scalar k;
        bool odd = false;
        bool wrapped = false;
        tdsa_err err;
        uint64_t add = 0;

        from_hex(zip + 1, 32, order[c]);
        while (grp_point_decode(g, &p, zip, 33, &err) != TDSA_OK) {
            zip[32]++;
            add++;
            assert_true(add < 64);
        }
        grp_point_parity(g, &odd, &wrapped, &p);
        assert_true(odd);
        assert_true(wrapped);
        grp_point_x_mod_q(g, &x, &p);
        grp_scalar_set_u64(g, &k, add);
        assert_true(grp_scalar_equal(g, &x, &k));
        grp_close(g);
    }
}

static void open_refuses_unknown_curves(void **state)
{
    grp *g = NULL;
    grp_curve curve = GRP_P256;
    tdsa_err err;
    int number = 99;
    grp_curve unknown = GRP_P256;

    (void)state;
    memcpy(&unknown, &number, sizeof unknown);
    assert_int_equal(grp_open(&g, unknown, &err), TDSA_E_BAD_INPUT);
    assert_null(g);
    assert_true(grp_curve_by_name(&curve, "secp256k1"));
    assert_int_equal(curve, GRP_SECP256K1);
    assert_true(grp_curve_by_name(&curve, "P-256"));
    assert_int_equal(curve, GRP_P256);
    assert_false(grp_curve_by_name(&curve, "P-999"));
    assert_string_equal(grp_curve_name(GRP_SECP256K1), "secp256k1");
    grp_close(NULL);
}

static void info_matches_openssl(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        grp *g = open_curve(c);
        const grp_info *info = grp_get_info(g);
        uint8_t *der = NULL;
        const int len = i2d_ASN1_OBJECT(OBJ_nid2obj(test_nid[c]), &der);

        assert_int_equal(info->oid_len, len);
        assert_memory_equal(info->oid, der, (size_t)len);
        assert_int_equal(info->wide_len, (info->order_bits + 128 + 7) / 8);
        OPENSSL_free(der);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(multiplication_agrees_with_openssl),
        cmocka_unit_test(multiplication_knows_the_identity),
        cmocka_unit_test(addition_obeys_the_group_laws),
        cmocka_unit_test(small_sum_is_right_in_every_special_case),
        cmocka_unit_test(small_sum_takes_256_points_and_refuses_257),
        cmocka_unit_test(encoding_and_decoding_are_inverse),
        cmocka_unit_test(decode_refuses_what_is_not_a_canonical_point),
        cmocka_unit_test(decode_refuses_x_plus_p),
        cmocka_unit_test(x_without_a_point_is_refused),
        cmocka_unit_test(x_and_parity_match_the_encoding),
        cmocka_unit_test(parity_sees_x_at_or_above_the_order),
        cmocka_unit_test(open_refuses_unknown_curves),
        cmocka_unit_test(info_matches_openssl),
        cmocka_unit_test(one_group_serves_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
