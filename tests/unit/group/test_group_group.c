#include "group_test.h"

#include <openssl/objects.h>

/* OpenSSL's generic curve code on the same curve. For secp256k1 it shares nothing with
 * libsecp256k1; for P-256 it is asked through points that our code never touches. */
static void openssl_times(size_t curve, uint8_t *raw, const grp *g, const grp_scalar *a,
                          const grp_scalar *b, const grp_point *p)
{
    const size_t raw_len = grp_get_info(g)->point_raw_len;
    EC_GROUP *group = EC_GROUP_new_by_curve_name(test_nid[curve]);
    EC_POINT *r = EC_POINT_new(group);
    EC_POINT *q = EC_POINT_new(group);
    uint8_t bytes[GRP_POINT_RAW_MAX];
    BIGNUM *k = NULL;
    BIGNUM *m = NULL;

    grp_scalar_encode(g, bytes, a);
    k = BN_bin2bn(bytes, (int)grp_get_info(g)->scalar_len, NULL);
    grp_scalar_encode(g, bytes, b);
    m = BN_bin2bn(bytes, (int)grp_get_info(g)->scalar_len, NULL);
    grp_point_encode_raw(g, bytes, p);
    assert_int_equal(EC_POINT_oct2point(group, q, bytes, raw_len, NULL), 1);
    assert_int_equal(EC_POINT_mul(group, r, k, q, m, NULL), 1);
    memset(raw, 0, raw_len);
    (void)EC_POINT_point2oct(group, r, POINT_CONVERSION_UNCOMPRESSED, raw, raw_len, NULL);
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
    assert_memory_equal(got, raw, grp_get_info(g)->point_raw_len);
}

static void multiplication_agrees_with_openssl(void **state)
{
    (void)state;
    for (size_t c = 0; c < SEC1_COUNT; c++) {
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
            uint8_t raw[GRP_POINT_RAW_MAX];

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

/* a*G + b*P with a table of P, and without. */
static void compare_with_table(const grp *g, const grp_table *t, const grp_scalar *a,
                               const grp_scalar *b)
{
    grp_point with;
    grp_point without;
    tdsa_err err;

    assert_int_equal(grp_mul_add_table_vartime(&with, a, b, t, &err), TDSA_OK);
    assert_int_equal(grp_mul_add_vartime(g, &without, a, b, grp_table_point(t), &err), TDSA_OK);
    assert_int_equal(grp_point_is_identity(&with), grp_point_is_identity(&without));
    if (!grp_point_is_identity(&with)) {
        assert_points_equal(g, &with, &without);
    }
}

static void a_table_changes_no_product(void **state)
{
    (void)state;
    for (size_t c = 0; c < SEC1_COUNT; c++) {
        grp *g = open_curve(c);
        grp_table *t = NULL;
        tdsa_test_rng rng;
        grp_point identity;
        grp_point p;
        grp_scalar d;

        seed_rng(&rng, "table");
        d = random_scalar(g, &rng);
        p = base_times(g, &d);
        t = grp_table_new_vartime(g, &p);
        assert_int_equal(t != NULL, grp_get_info(g)->curve == GRP_P256);
        for (unsigned i = 0; t != NULL && i < 60; i++) {
            grp_scalar a = random_scalar(g, &rng);
            grp_scalar b = random_scalar(g, &rng);

            if (i < 8) { /* 0, 1, q - 1 and a small one on either side */
                grp_scalar_set_u64(g, &a, i & 1);
                grp_scalar_set_u64(g, &b, i >> 1);
            } else if (i < 12) {
                grp_scalar_set_u64(g, i & 1 ? &a : &b, i >> 1 & 1);
                grp_scalar_neg(g, i & 1 ? &a : &b, i & 1 ? &a : &b);
            } else if (i < 20) { /* a*G = b*P, and the sum is the identity */
                grp_scalar_mul(g, &a, &b, &d);
                if (i & 1) {
                    grp_scalar_neg(g, &a, &a);
                }
            }
            compare_with_table(g, t, &a, &b);
        }
        grp_table_free(t);
        grp_point_set_identity(&identity);
        assert_null(grp_table_new_vartime(g, &identity));
        grp_close(g);
    }
    grp_table_free(NULL);
}

static void encoding_and_decoding_are_inverse(void **state)
{
    (void)state;
    for (size_t c = 0; c < SEC1_COUNT; c++) {
        grp *g = open_curve(c);
        const grp_info *info = grp_get_info(g);
        tdsa_test_rng rng;
        tdsa_err err;

        seed_rng(&rng, "encode");
        for (int i = 0; i < 30; i++) {
            const grp_scalar a = random_scalar(g, &rng);
            const grp_point p = base_times(g, &a);
            uint8_t raw[GRP_POINT_RAW_MAX];
            uint8_t zip[GRP_POINT_LEN_MAX];
            grp_point r;

            grp_point_encode_raw(g, raw, &p);
            grp_point_encode(g, zip, &p);
            assert_int_equal(raw[0], 4);
            assert_int_equal(zip[0], 2 + (raw[info->point_raw_len - 1] & 1));
            assert_memory_equal(zip + 1, raw + 1, info->point_len - 1);
            assert_int_equal(grp_point_decode(g, &r, raw, info->point_raw_len, &err), TDSA_OK);
            assert_points_equal(g, &r, &p);
            assert_int_equal(grp_point_decode(g, &r, zip, info->point_len, &err), TDSA_OK);
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
    (void)state;
    for (size_t c = 0; c < SEC1_COUNT; c++) {
        grp *g = open_curve(c);
        const size_t zip_len = grp_get_info(g)->point_len;
        const size_t raw_len = grp_get_info(g)->point_raw_len;
        const grp_point p = base_times_u64(g, 5);
        uint8_t raw[GRP_POINT_RAW_MAX + 1] = {0};
        uint8_t bad[GRP_POINT_RAW_MAX + 1];
        static const uint8_t zero[GRP_POINT_RAW_MAX];

        grp_point_encode_raw(g, raw, &p);
        for (size_t len = 0; len <= sizeof raw; len++) {
            if (len != zip_len && len != raw_len) {
                assert_refused(g, raw, len);
            }
        }
        for (unsigned first = 0; first < 256; first++) { /* hybrid 06 and 07 among them */
            memcpy(bad, raw, sizeof bad);
            bad[0] = (uint8_t)first;
            if (first != 4) {
                assert_refused(g, bad, raw_len);
            }
            if (first != 2 && first != 3) {
                assert_refused(g, bad, zip_len);
            }
        }
        assert_refused(g, zero, zip_len); /* 00 is SEC 1's identity */
        assert_refused(g, zero, raw_len);
        memcpy(bad, raw, sizeof bad);
        bad[raw_len - 1] ^= 1; /* off the curve */
        assert_refused(g, bad, raw_len);
        memset(bad + 1, 0, raw_len - 1); /* (0, 0) is not on any of these curves */
        assert_refused(g, bad, raw_len);
        memset(bad + 1, 0xff, raw_len - 1); /* x and y >= p */
        assert_refused(g, bad, raw_len);
        bad[0] = 2;
        assert_refused(g, bad, zip_len);
        from_hex(bad + 1, zip_len - 1, test_field[c]); /* x = p, the same as 0 */
        assert_refused(g, bad, zip_len);
        bad[0] = 3;
        assert_refused(g, bad, zip_len);
        grp_close(g);
    }
}

/* The compressed encoding of x = base + add. */
static void zip_of(const grp *g, uint8_t *zip, const BIGNUM *base, BN_ULONG add)
{
    const int len = (int)grp_get_info(g)->point_len - 1;
    BIGNUM *x = BN_dup(base);

    assert_int_equal(BN_add_word(x, add), 1);
    assert_int_equal(BN_bn2binpad(x, zip + 1, len), len);
    BN_free(x);
}

static void decode_refuses_x_plus_p_wherever_it_fits(void **state)
{
    (void)state;
    for (size_t c = 0; c < SEC1_COUNT; c++) {
        uint8_t zip[GRP_POINT_LEN_MAX] = {2};
        grp *g = open_curve(c);
        BIGNUM *zero = BN_new();
        BIGNUM *field = NULL;
        size_t tried = 0;

        assert_true(BN_hex2bn(&field, test_field[c]) > 0);
        for (BN_ULONG x = 0; x < 40; x++) { /* p + 40 is still as long as p, on each curve */
            grp_point p;
            tdsa_err err;

            zip_of(g, zip, zero, x);
            if (grp_point_decode(g, &p, zip, grp_get_info(g)->point_len, &err) == TDSA_OK) {
                zip_of(g, zip, field, x);
                assert_refused(g, zip, grp_get_info(g)->point_len);
                tried++;
            }
        }
        assert_true(tried > 5);
        BN_free(zero);
        BN_free(field);
        grp_close(g);
    }
}

static void x_without_a_point_is_refused(void **state)
{
    (void)state;
    for (size_t c = 0; c < SEC1_COUNT; c++) {
        grp *g = open_curve(c);
        const size_t len = grp_get_info(g)->point_len;
        size_t refused = 0;
        grp_point p;
        tdsa_err err;

        for (uint8_t x = 0; x < 64; x++) {
            uint8_t zip[GRP_POINT_LEN_MAX] = {2};

            zip[len - 1] = x;
            if (grp_point_decode(g, &p, zip, len, &err) != TDSA_OK) {
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
    for (size_t c = 0; c < SEC1_COUNT; c++) {
        grp *g = open_curve(c);
        const grp_info *info = grp_get_info(g);

        for (uint64_t v = 1; v < 20; v++) {
            const grp_point p = base_times_u64(g, v);
            uint8_t raw[GRP_POINT_RAW_MAX];
            grp_scalar x;
            grp_scalar expect;
            bool odd = false;
            bool wrapped = true;

            grp_point_encode_raw(g, raw, &p);
            grp_point_x_mod_q(g, &x, &p);
            grp_scalar_reduce(g, &expect, raw + 1, info->point_len - 1);
            assert_true(grp_scalar_equal(g, &x, &expect));
            grp_point_parity(g, &odd, &wrapped, &p);
            assert_int_equal(odd, raw[info->point_raw_len - 1] & 1);
            assert_false(wrapped);
        }
        grp_close(g);
    }
}

static void parity_sees_x_at_or_above_the_order(void **state)
{
    (void)state;
    for (size_t c = 0; c < SEC1_COUNT; c++) {
        grp *g = open_curve(c);
        const size_t len = grp_get_info(g)->point_len;
        uint8_t zip[GRP_POINT_LEN_MAX] = {3};
        BIGNUM *order = NULL;
        grp_point p;
        grp_scalar x;
        grp_scalar k;
        bool odd = false;
        bool wrapped = false;
        tdsa_err err;
        uint64_t add = 0;

        /* The first point with q <= x < p: x = q + k with the smallest k that is on the curve. */
        assert_true(BN_hex2bn(&order, test_order[c]) > 0);
        zip_of(g, zip, order, 0);
        while (grp_point_decode(g, &p, zip, len, &err) != TDSA_OK) {
            add++;
            zip_of(g, zip, order, add);
            assert_true(add < 64);
        }
        grp_point_parity(g, &odd, &wrapped, &p);
        assert_true(odd);
        assert_true(wrapped);
        grp_point_x_mod_q(g, &x, &p);
        grp_scalar_set_u64(g, &k, add);
        assert_true(grp_scalar_equal(g, &x, &k));
        BN_free(order);
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
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        assert_true(grp_curve_by_name(&curve, grp_curve_name(test_curve[c])));
        assert_int_equal(curve, test_curve[c]);
    }
    grp_close(NULL);
}

static void info_matches_openssl(void **state)
{
    (void)state;
    for (size_t c = 0; c < SEC1_COUNT; c++) {
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(multiplication_agrees_with_openssl),
        cmocka_unit_test(a_table_changes_no_product),
        cmocka_unit_test(encoding_and_decoding_are_inverse),
        cmocka_unit_test(decode_refuses_what_is_not_a_canonical_point),
        cmocka_unit_test(decode_refuses_x_plus_p_wherever_it_fits),
        cmocka_unit_test(x_without_a_point_is_refused),
        cmocka_unit_test(x_and_parity_match_the_encoding),
        cmocka_unit_test(parity_sees_x_at_or_above_the_order),
        cmocka_unit_test(open_refuses_unknown_curves),
        cmocka_unit_test(info_matches_openssl),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
