#include "group_test.h"

/* What OpenSSL's big numbers say of the same operation: an independent implementation. */
typedef struct {
    BN_CTX *ctx;
    BIGNUM *q, *a, *b, *r;
} bn_kit;

static void kit_begin(bn_kit *k, size_t curve)
{
    *k = (bn_kit){BN_CTX_new(), NULL, BN_new(), BN_new(), BN_new()};
    assert_true(BN_hex2bn(&k->q, test_order[curve]) > 0);
}

static void kit_end(bn_kit *k)
{
    BN_free(k->q);
    BN_free(k->a);
    BN_free(k->b);
    BN_free(k->r);
    BN_CTX_free(k->ctx);
}

static void to_bn(const grp *g, BIGNUM *out, const grp_scalar *a)
{
    uint8_t bytes[GRP_SCALAR_LEN_MAX];

    scalar_big_endian(g, bytes, a);
    assert_non_null(BN_bin2bn(bytes, (int)grp_get_info(g)->scalar_len, out));
}

static void assert_is_bn(const grp *g, const grp_scalar *a, const BIGNUM *expect)
{
    BIGNUM *got = BN_new();

    to_bn(g, got, a);
    assert_int_equal(BN_cmp(got, expect), 0);
    BN_free(got);
}

static void check_pair(const grp *g, bn_kit *k, const grp_scalar *a, const grp_scalar *b)
{
    grp_scalar r;

    to_bn(g, k->a, a);
    to_bn(g, k->b, b);
    grp_scalar_add(g, &r, a, b);
    BN_mod_add(k->r, k->a, k->b, k->q, k->ctx);
    assert_is_bn(g, &r, k->r);
    grp_scalar_sub(g, &r, a, b);
    BN_mod_sub(k->r, k->a, k->b, k->q, k->ctx);
    assert_is_bn(g, &r, k->r);
    grp_scalar_mul(g, &r, a, b);
    BN_mod_mul(k->r, k->a, k->b, k->q, k->ctx);
    assert_is_bn(g, &r, k->r);
    grp_scalar_neg(g, &r, a);
    BN_zero(k->b);
    BN_mod_sub(k->r, k->b, k->a, k->q, k->ctx);
    assert_is_bn(g, &r, k->r);
    if (!grp_scalar_is_zero(g, a)) {
        grp_scalar_inv(g, &r, a);
        assert_non_null(BN_mod_inverse(k->r, k->a, k->q, k->ctx));
        assert_is_bn(g, &r, k->r);
        grp_scalar_inv_vartime(g, &r, a);
        assert_is_bn(g, &r, k->r);
    }
}

static void arithmetic_agrees_with_openssl(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        grp *g = open_curve(c);
        tdsa_test_rng rng;
        bn_kit k;
        grp_scalar s[12];

        seed_rng(&rng, "scalar");
        kit_begin(&k, c);
        for (size_t i = 0; i < 12; i++) {
            grp_scalar_set_u64(g, &s[i], i); /* 0, 1, 2 */
            if (i == 3 || i == 4) {
                grp_scalar_neg(g, &s[i], &s[i - 2]); /* q-1, q-2 */
            } else if (i > 4) {
                s[i] = random_scalar(g, &rng);
            }
        }
        for (size_t i = 0; i < 12; i++) {
            for (size_t j = 0; j < 12; j++) {
                check_pair(g, &k, &s[i], &s[j]);
            }
        }
        kit_end(&k);
        grp_close(g);
    }
}

static void operations_work_in_place(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        grp *g = open_curve(c);
        tdsa_test_rng rng;
        grp_scalar a;
        grp_scalar b;
        grp_scalar r;

        seed_rng(&rng, "place");
        a = random_scalar(g, &rng);
        b = a;
        grp_scalar_mul(g, &r, &a, &a);
        grp_scalar_mul(g, &b, &b, &b);
        assert_true(grp_scalar_equal(g, &r, &b));
        b = a;
        grp_scalar_sub(g, &b, &b, &b);
        assert_true(grp_scalar_is_zero(g, &b));
        b = a;
        grp_scalar_inv(g, &b, &b);
        grp_scalar_inv_vartime(g, &b, &b);
        grp_scalar_inv_vartime(g, &b, &b);
        grp_scalar_mul(g, &b, &b, &a);
        grp_scalar_set_u64(g, &r, 1);
        assert_true(grp_scalar_equal(g, &r, &b));
        grp_close(g);
    }
}

static void the_inverse_of_zero_is_zero(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        grp *g = open_curve(c);
        grp_scalar a;

        grp_scalar_set_u64(g, &a, 0);
        grp_scalar_inv(g, &a, &a);
        assert_true(grp_scalar_is_zero(g, &a));
        grp_scalar_inv_vartime(g, &a, &a);
        assert_true(grp_scalar_is_zero(g, &a));
        grp_close(g);
    }
}

static void reduce_agrees_with_openssl_for_every_length(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        grp *g = open_curve(c);
        tdsa_test_rng rng;
        tdsa_rng r = tdsa_test_rng_of(&rng);
        bn_kit k;
        uint8_t bytes[GRP_WIDE_LEN_MAX];
        tdsa_err err;

        seed_rng(&rng, "reduce");
        kit_begin(&k, c);
        for (size_t len = 0; len <= sizeof bytes; len++) {
            grp_scalar s;

            assert_int_equal(tdsa_rng_fill(&r, bytes, sizeof bytes, &err), TDSA_OK);
            if (len % 3 == 0) {
                memset(bytes, 0xff, sizeof bytes);
            }
            grp_scalar_reduce(g, &s, bytes, len);
            assert_non_null(BN_bin2bn(bytes, (int)len, k.a));
            assert_int_equal(BN_nnmod(k.r, k.a, k.q, k.ctx), 1);
            assert_is_bn(g, &s, k.r);
        }
        kit_end(&k);
        grp_close(g);
    }
}

/* The number `v` in the form of the curve. */
static void encode_bn(const grp *g, uint8_t *out, const BIGNUM *v)
{
    const int len = (int)grp_get_info(g)->scalar_len;

    if (grp_get_info(g)->curve == GRP_ED25519) {
        assert_int_equal(BN_bn2lebinpad(v, out, len), len);
    } else {
        assert_int_equal(BN_bn2binpad(v, out, len), len);
    }
}

static void assert_scalar_refused(const grp *g, const uint8_t *bytes, size_t len)
{
    grp_scalar s;
    tdsa_err err;

    assert_int_equal(grp_scalar_decode(g, &s, bytes, len, &err), TDSA_E_BAD_INPUT);
    assert_true(grp_scalar_is_zero(g, &s));
}

static void decode_takes_q_minus_one_and_refuses_q_and_wrong_lengths(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        grp *g = open_curve(c);
        const size_t len = grp_get_info(g)->scalar_len;
        bn_kit k;
        uint8_t bytes[GRP_SCALAR_LEN_MAX + 1] = {0};
        grp_scalar s;
        tdsa_err err;

        kit_begin(&k, c);
        encode_bn(g, bytes, k.q);
        assert_scalar_refused(g, bytes, len);
        assert_int_equal(BN_copy(k.a, k.q) != NULL && BN_add_word(k.a, 1), 1); /* q + 1 */
        encode_bn(g, bytes, k.a);
        assert_scalar_refused(g, bytes, len);
        assert_int_equal(BN_sub_word(k.a, 2), 1); /* q - 1 */
        encode_bn(g, bytes, k.a);
        assert_int_equal(grp_scalar_decode(g, &s, bytes, len, &err), TDSA_OK);
        assert_is_bn(g, &s, k.a);
        for (size_t wrong = 0; wrong <= sizeof bytes; wrong++) {
            if (wrong != len) {
                assert_scalar_refused(g, bytes, wrong);
            }
        }
        memset(bytes, 0xff, sizeof bytes);
        assert_scalar_refused(g, bytes, len);
        kit_end(&k);
        grp_close(g);
    }
}

static void is_high_turns_at_half_the_order(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        grp *g = open_curve(c);
        grp_scalar two;
        grp_scalar half_up; /* (q+1)/2 = 1/2 */
        grp_scalar half;    /* (q-1)/2 */
        grp_scalar one;

        grp_scalar_set_u64(g, &two, 2);
        grp_scalar_set_u64(g, &one, 1);
        grp_scalar_inv(g, &half_up, &two);
        grp_scalar_sub(g, &half, &half_up, &one);
        assert_true(grp_scalar_is_high_vartime(g, &half_up));
        assert_false(grp_scalar_is_high_vartime(g, &half));
        assert_false(grp_scalar_is_high_vartime(g, &one));
        grp_scalar_neg(g, &one, &one);
        assert_true(grp_scalar_is_high_vartime(g, &one));
        grp_close(g);
    }
}

static tdsa_status zeros_then_one(void *ctx, uint8_t *out, size_t len, tdsa_err *err)
{
    int *calls = ctx;

    (void)err;
    memset(out, 0, len);
    out[len - 1] = (uint8_t)(*calls > 0);
    (*calls)++;
    return TDSA_OK;
}

static tdsa_status no_entropy(void *ctx, uint8_t *out, size_t len, tdsa_err *err)
{
    (void)ctx;
    memset(out, 0xaa, len);
    return TDSA_FAIL(err, TDSA_E_CRYPTO, "no entropy");
}

static void random_draws_again_while_zero_and_hands_on_failure(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        grp *g = open_curve(c);
        int calls = 0;
        const tdsa_rng weak = {zeros_then_one, &calls};
        const tdsa_rng none = {no_entropy, NULL};
        grp_scalar s;
        grp_scalar one;
        tdsa_err err;

        grp_scalar_set_u64(g, &one, 1);
        assert_int_equal(grp_scalar_random(g, &s, &weak, &err), TDSA_OK);
        assert_int_equal(calls, 2);
        assert_true(grp_scalar_equal(g, &s, &one));
        assert_int_equal(grp_scalar_random(g, &s, &none, &err), TDSA_E_CRYPTO);
        assert_true(grp_scalar_is_zero(g, &s));
        grp_close(g);
    }
}

static void digest_to_scalar_takes_the_leftmost_bits(void **state)
{
    (void)state;
    for (size_t c = 0; c < SEC1_COUNT; c++) {
        grp *g = open_curve(c);
        const int bits = (int)grp_get_info(g)->order_bits;
        uint8_t digest[80];
        bn_kit k;

        kit_begin(&k, c);
        for (size_t len = 0; len <= sizeof digest; len++) {
            grp_scalar h;

            for (size_t i = 0; i < len; i++) { /* in part above the order: reduced */
                digest[i] = len % 2 == 0 ? 0xff : (uint8_t)(i + 0x81);
            }
            grp_digest_to_scalar(g, &h, digest, len);
            assert_non_null(BN_bin2bn(digest, (int)len, k.a));
            if (8 * (int)len > bits) {
                assert_int_equal(BN_rshift(k.a, k.a, 8 * (int)len - bits), 1);
            }
            assert_int_equal(BN_nnmod(k.r, k.a, k.q, k.ctx), 1);
            assert_is_bn(g, &h, k.r);
        }
        kit_end(&k);
        grp_close(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arithmetic_agrees_with_openssl),
        cmocka_unit_test(operations_work_in_place),
        cmocka_unit_test(the_inverse_of_zero_is_zero),
        cmocka_unit_test(reduce_agrees_with_openssl_for_every_length),
        cmocka_unit_test(decode_takes_q_minus_one_and_refuses_q_and_wrong_lengths),
        cmocka_unit_test(is_high_turns_at_half_the_order),
        cmocka_unit_test(random_draws_again_while_zero_and_hands_on_failure),
        cmocka_unit_test(digest_to_scalar_takes_the_leftmost_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
