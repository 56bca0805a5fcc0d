#include "group_test.h"

#include "group/p256_field.h"

/* The field of P-256 against OpenSSL's whole numbers. */

#define RANDOM_COUNT  400u
#define SPECIAL_COUNT (sizeof special / sizeof special[0])

static const char *const special[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000001",
    "0000000000000000000000000000000000000000000000000000000000000002",
    "ffffffff00000001000000000000000000000000fffffffffffffffffffffffe", /* p-1 */
    "ffffffff00000001000000000000000000000000fffffffffffffffffffffffd",
    "00000000fffffffeffffffffffffffffffffffff000000000000000000000001", /* 2^256 - p */
    "7fffffff800000008000000000000000000000007fffffffffffffffffffffff", /* (p-1)/2 */
    "00000000000000000000000000000000ffffffffffffffffffffffffffffffff",
    "fffffffe00000000ffffffffffffffffffffffffffffffffffffffffffffffff",
    "0000000000000000ffffffff00000000ffffffff00000000ffffffff00000000",
};

typedef struct {
    BN_CTX *ctx;
    BIGNUM *p, *a, *b, *r;
} numbers;

static numbers numbers_new(void)
{
    numbers n = {BN_CTX_new(), NULL, BN_new(), BN_new(), BN_new()};

    assert_int_not_equal(BN_hex2bn(&n.p, test_field[0]), 0);
    return n;
}

static void numbers_free(numbers *n)
{
    BN_free(n->p);
    BN_free(n->a);
    BN_free(n->b);
    BN_free(n->r);
    BN_CTX_free(n->ctx);
}

/* a as a number and as an element: special ones first, then random ones. */
static fp256 element(const numbers *n, BIGNUM *to, size_t i, tdsa_test_rng *seeded)
{
    const tdsa_rng rng = tdsa_test_rng_of(seeded);
    uint8_t bytes[FP256_LEN];
    tdsa_err err;
    fp256 e;

    if (i < SPECIAL_COUNT) {
        from_hex(bytes, sizeof bytes, special[i]);
        (void)BN_bin2bn(bytes, sizeof bytes, to);
    } else {
        assert_int_equal(tdsa_rng_fill(&rng, bytes, sizeof bytes, &err), TDSA_OK);
        (void)BN_bin2bn(bytes, sizeof bytes, to);
        (void)BN_nnmod(to, to, n->p, n->ctx);
        (void)BN_bn2binpad(to, bytes, sizeof bytes);
    }
    assert_true(fp256_from_bytes(&e, bytes));
    return e;
}

static void assert_number(const fp256 *got, const BIGNUM *expect)
{
    uint8_t bytes[FP256_LEN];
    uint8_t want[FP256_LEN];

    fp256_to_bytes(bytes, got);
    assert_int_equal(BN_bn2binpad(expect, want, sizeof want), FP256_LEN);
    assert_memory_equal(bytes, want, sizeof want);
}

static void check_pair(const numbers *n, const fp256 *a, const fp256 *b)
{
    fp256 r;

    fp256_add(&r, a, b);
    (void)BN_mod_add(n->r, n->a, n->b, n->p, n->ctx);
    assert_number(&r, n->r);
    fp256_sub(&r, a, b);
    (void)BN_mod_sub(n->r, n->a, n->b, n->p, n->ctx);
    assert_number(&r, n->r);
    fp256_mul(&r, a, b);
    (void)BN_mod_mul(n->r, n->a, n->b, n->p, n->ctx);
    assert_number(&r, n->r);
    fp256_sqr(&r, a);
    (void)BN_mod_sqr(n->r, n->a, n->p, n->ctx);
    assert_number(&r, n->r);
    r = *b;
    fp256_mul(&r, a, &r); /* in place */
    (void)BN_mod_mul(n->r, n->a, n->b, n->p, n->ctx);
    assert_number(&r, n->r);
    assert_int_equal(fp256_equal_vartime(a, b), BN_cmp(n->a, n->b) == 0);
}

static void arithmetic_agrees_with_openssl(void **state)
{
    numbers n = numbers_new();
    tdsa_test_rng rng;

    (void)state;
    seed_rng(&rng, "field");
    assert_true(fp256_fits());
    for (size_t i = 0; i < SPECIAL_COUNT; i++) {
        for (size_t k = 0; k < SPECIAL_COUNT + 20; k++) {
            const fp256 a = element(&n, n.a, i, &rng);
            const fp256 b = element(&n, n.b, k, &rng);

            check_pair(&n, &a, &b);
        }
    }
    for (size_t i = 0; i < RANDOM_COUNT; i++) {
        const fp256 a = element(&n, n.a, SPECIAL_COUNT, &rng);
        const fp256 b = element(&n, n.b, SPECIAL_COUNT, &rng);

        check_pair(&n, &a, &b);
    }
    numbers_free(&n);
}

static void both_inverses_agree_and_0_has_the_inverse_0(void **state)
{
    numbers n = numbers_new();
    tdsa_test_rng rng;

    (void)state;
    seed_rng(&rng, "inverse");
    for (size_t i = 0; i < SPECIAL_COUNT + 50; i++) {
        fp256 a = element(&n, n.a, i, &rng);
        fp256 slow;
        fp256 fast;

        fp256_inv(&slow, &a);
        fp256_inv_vartime(&fast, &a);
        assert_true(fp256_equal_vartime(&slow, &fast));
        if (BN_is_zero(n.a)) {
            assert_true(fp256_is_zero_vartime(&slow));
            assert_int_equal(fp256_zero_mask(&slow), ~(mp_limb_t)0);
        } else {
            fp256_mul(&slow, &slow, &a);
            assert_true(fp256_equal_vartime(&slow, &fp256_one));
            assert_int_equal(fp256_zero_mask(&a), 0);
        }
        fp256_inv(&a, &a); /* in place */
        assert_true(fp256_equal_vartime(&a, &fast));
    }
    numbers_free(&n);
}

static void roots_have_the_parity_asked_for_and_others_have_none(void **state)
{
    numbers n = numbers_new();
    tdsa_test_rng rng;
    size_t without = 0;

    (void)state;
    seed_rng(&rng, "root");
    for (size_t i = 1; i < SPECIAL_COUNT + 50; i++) {
        const fp256 a = element(&n, n.a, i, &rng);
        const bool odd = i % 2 == 1;
        const bool expect = BN_kronecker(n.a, n.p, n.ctx) == 1;
        uint8_t bytes[FP256_LEN];
        fp256 root;
        fp256 square;

        assert_int_equal(fp256_sqrt_vartime(&root, &a, odd), expect);
        if (expect) {
            fp256_sqr(&square, &root);
            assert_true(fp256_equal_vartime(&square, &a));
            fp256_to_bytes(bytes, &root);
            assert_int_equal(bytes[FP256_LEN - 1] & 1, odd ? 1 : 0);
        } else {
            assert_true(fp256_is_zero_vartime(&root));
            without++;
        }
    }
    assert_true(without > 10);
    numbers_free(&n);
}

static void bytes_from_p_on_are_refused(void **state)
{
    static const char *const refused[] = {
        "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff", /* p */
        "ffffffff00000001000000000000000000000001000000000000000000000000",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    };

    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        uint8_t bytes[FP256_LEN];
        fp256 e;

        from_hex(bytes, sizeof bytes, refused[i]);
        assert_false(fp256_from_bytes(&e, bytes));
        assert_true(fp256_is_zero_vartime(&e));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arithmetic_agrees_with_openssl),
        cmocka_unit_test(both_inverses_agree_and_0_has_the_inverse_0),
        cmocka_unit_test(roots_have_the_parity_asked_for_and_others_have_none),
        cmocka_unit_test(bytes_from_p_on_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
