#include "group_test.h"

#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

/* Textbook ECDSA with our scalars; OpenSSL judges it. */
static void sign(const grp *g, const grp_scalar *d, const grp_scalar *k, const grp_scalar *h,
                 grp_scalar *r, grp_scalar *s)
{
    const grp_point big_r = base_times(g, k);
    grp_scalar k_inv;

    grp_point_x_mod_q(g, r, &big_r);
    grp_scalar_inv(g, &k_inv, k);
    grp_scalar_mul(g, s, r, d);
    grp_scalar_add(g, s, s, h);
    grp_scalar_mul(g, s, s, &k_inv);
}

static bool openssl_verifies(size_t curve, const grp *g, const grp_point *y, const uint8_t *digest,
                             const grp_scalar *r, const grp_scalar *s)
{
    uint8_t raw[65];
    uint8_t rb[32];
    uint8_t sb[32];
    uint8_t *der = NULL;
    ECDSA_SIG *sig = ECDSA_SIG_new();
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY_CTX *vctx = NULL;
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = NULL;
    int der_len = 0;
    bool ok = false;

    grp_point_encode_raw(g, raw, y);
    grp_scalar_encode(g, rb, r);
    grp_scalar_encode(g, sb, s);
    ECDSA_SIG_set0(sig, BN_bin2bn(rb, 32, NULL), BN_bin2bn(sb, 32, NULL));
    der_len = i2d_ECDSA_SIG(sig, &der);
    OSSL_PARAM_BLD_push_utf8_string(bld, "group", OBJ_nid2sn(test_nid[curve]), 0);
    OSSL_PARAM_BLD_push_octet_string(bld, "pub", raw, sizeof raw);
    params = OSSL_PARAM_BLD_to_param(bld);
    assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
    assert_int_equal(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params), 1);
    vctx = EVP_PKEY_CTX_new(key, NULL);
    assert_int_equal(EVP_PKEY_verify_init(vctx), 1);
    ok = EVP_PKEY_verify(vctx, der, (size_t)der_len, digest, 32) == 1;
    OPENSSL_free(der);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(bld);
    ECDSA_SIG_free(sig);
    EVP_PKEY_CTX_free(vctx);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
    return ok;
}

static void ecdsa_verify_agrees_with_openssl(void **state)
{
    (void)state;
    for (size_t c = 0; c < SEC1_COUNT; c++) {
        grp *g = open_curve(c);
        tdsa_test_rng rng;
        grp_scalar one;

        seed_rng(&rng, "ecdsa");
        grp_scalar_set_u64(g, &one, 1);
        for (int i = 0; i < 20; i++) {
            const grp_scalar d = random_scalar(g, &rng);
            const grp_scalar k = random_scalar(g, &rng);
            const grp_point y = base_times(g, &d);
            uint8_t digest[32];
            grp_scalar h = random_scalar(g, &rng);
            grp_scalar r;
            grp_scalar s;
            grp_scalar bad;

            grp_scalar_encode(g, digest, &h);
            sign(g, &d, &k, &h, &r, &s);
            assert_true(openssl_verifies(c, g, &y, digest, &r, &s));
            assert_true(grp_ecdsa_verify_vartime(g, &y, &h, &r, &s));
            grp_scalar_neg(g, &bad, &s); /* the other form is valid too */
            assert_true(grp_ecdsa_verify_vartime(g, &y, &h, &r, &bad));
            grp_scalar_add(g, &bad, &s, &one);
            assert_false(grp_ecdsa_verify_vartime(g, &y, &h, &r, &bad));
            grp_scalar_add(g, &bad, &r, &one);
            assert_false(grp_ecdsa_verify_vartime(g, &y, &h, &bad, &s));
            grp_scalar_add(g, &bad, &h, &one);
            assert_false(grp_ecdsa_verify_vartime(g, &y, &bad, &r, &s));
        }
        grp_close(g);
    }
}

static void ecdsa_verify_refuses_zero_and_the_identity(void **state)
{
    (void)state;
    for (size_t c = 0; c < SEC1_COUNT; c++) {
        grp *g = open_curve(c);
        const grp_point y = base_times_u64(g, 77);
        grp_scalar zero;
        grp_scalar one;
        grp_scalar h;
        grp_scalar minus;
        grp_point o;

        grp_scalar_set_u64(g, &zero, 0);
        grp_scalar_set_u64(g, &one, 1);
        grp_scalar_set_u64(g, &h, 77);
        grp_scalar_neg(g, &minus, &h);
        grp_point_set_identity(&o);
        assert_false(grp_ecdsa_verify_vartime(g, &y, &h, &zero, &one));
        assert_false(grp_ecdsa_verify_vartime(g, &y, &h, &one, &zero));
        assert_false(grp_ecdsa_verify_vartime(g, &o, &h, &one, &one));
        /* u1 G + u2 Y = -77 G + 77 G is the identity */
        assert_false(grp_ecdsa_verify_vartime(g, &y, &minus, &one, &one));
        grp_close(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ecdsa_verify_agrees_with_openssl),
        cmocka_unit_test(ecdsa_verify_refuses_zero_and_the_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
