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
                             size_t digest_len, const grp_scalar *r, const grp_scalar *s)
{
    uint8_t raw[GRP_POINT_RAW_MAX];
    uint8_t rb[GRP_SCALAR_LEN_MAX];
    uint8_t sb[GRP_SCALAR_LEN_MAX];
    const int len = (int)grp_get_info(g)->scalar_len;
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
    ECDSA_SIG_set0(sig, BN_bin2bn(rb, len, NULL), BN_bin2bn(sb, len, NULL));
    der_len = i2d_ECDSA_SIG(sig, &der);
    OSSL_PARAM_BLD_push_utf8_string(bld, "group", OBJ_nid2sn(test_nid[curve]), 0);
    OSSL_PARAM_BLD_push_octet_string(bld, "pub", raw, grp_get_info(g)->point_raw_len);
    params = OSSL_PARAM_BLD_to_param(bld);
    assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
    assert_int_equal(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params), 1);
    vctx = EVP_PKEY_CTX_new(key, NULL);
    assert_int_equal(EVP_PKEY_verify_init(vctx), 1);
    ok = EVP_PKEY_verify(vctx, der, (size_t)der_len, digest, digest_len) == 1;
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
        const tdsa_rng bytes = tdsa_test_rng_of(&rng);
        grp_scalar one;
        tdsa_err err;

        seed_rng(&rng, "ecdsa");
        grp_scalar_set_u64(g, &one, 1);
        for (int i = 0; i < 8; i++) {
            const grp_scalar d = random_scalar(g, &rng);
            const grp_scalar k = random_scalar(g, &rng);
            const grp_point y = base_times(g, &d);
            uint8_t digest[64];
            grp_scalar h;
            grp_scalar r;
            grp_scalar s;
            grp_scalar bad;

            assert_int_equal(tdsa_rng_fill(&bytes, digest, sizeof digest, &err), TDSA_OK);
            grp_digest_to_scalar(g, &h, digest, sizeof digest); /* SHA-512 on every curve */
            sign(g, &d, &k, &h, &r, &s);
            assert_true(openssl_verifies(c, g, &y, digest, sizeof digest, &r, &s));
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

typedef struct {
    size_t curve;
    tdsa_hash_alg hash;
    const char *x, *ux, *uy, *r, *s;
} rfc6979_case;

/* RFC 6979 A.2.6 with SHA-384 and A.2.7 with SHA-512, message "sample". */
static const rfc6979_case rfc6979[] = {
    {
        .curve = 2,
        .hash = TDSA_HASH_SHA384,
        .x = "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba"
             "9aa47740787137d896d5724e4c70a825f872c9ea60d2edf5",
        .ux = "ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e"
              "06aae5286b300c64def8f0ea9055866064a254515480bc13",
        .uy = "8015d9b72d7d57244ea8ef9ac0c621896708a59367f9dfb9"
              "f54ca84b3f1c9db1288b231c3ae0d4fe7344fd2533264720",
        .r = "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa7"
             "3d64c4ea95ad133c81a648152e44acf96e36dd1e80fabe46",
        .s = "99ef4aeb15f178cea1fe40db2603138f130e740a19624526"
             "203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8",
    },
    {
        .curve = 3,
        .hash = TDSA_HASH_SHA512,
        .x = "00fad06daa62ba3b25d2fb40133da757205de67f5bb0018fee8c86e1b68c7e75ca"
             "a896eb32f1f47c70855836a6d16fcc1466f6d8fbec67db89ec0c08b0e996b83538",
        .ux = "01894550d0785932e00eaa23b694f213f8c3121f86dc97a04e5a7167db4e5bcd37"
              "1123d46e45db6b5d5370a7f20fb633155d38ffa16d2bd761dcac474b9a2f5023a4",
        .uy = "00493101c962cd4d2fddf782285e64584139c2f91b47f87ff82354d6630f746a28"
              "a0db25741b5b34a828008b22acc23f924faafbd4d33f81ea66956dfeaa2bfdfcf5",
        .r = "00c328fafcbd79dd77850370c46325d987cb525569fb63c5d3bc53950e6d4c5f17"
             "4e25a1ee9017b5d450606add152b534931d7d4e8455cc91f9b15bf05ec36e377fa",
        .s = "00617cce7cf5064806c467f678d3b4080d6f1cc50af26ca209417308281b68af28"
             "2623eaa63e5b5c0723d8b8c37ff0777b1a20f8ccb1dccc43997f1ee0e44da4a67a",
    },
};

static void ecdsa_verify_accepts_the_signatures_of_rfc_6979(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rfc6979 / sizeof rfc6979[0]; i++) {
        const rfc6979_case *v = &rfc6979[i];
        grp *g = open_curve(v->curve);
        const size_t len = grp_get_info(g)->scalar_len;
        const grp_scalar x = scalar_from_hex(g, v->x);
        const grp_scalar r = scalar_from_hex(g, v->r);
        const grp_scalar s = scalar_from_hex(g, v->s);
        const grp_point y = base_times(g, &x);
        uint8_t expect[GRP_POINT_RAW_MAX] = {4};
        uint8_t got[GRP_POINT_RAW_MAX];
        uint8_t digest[TDSA_DIGEST_LEN_MAX];
        grp_scalar h;
        tdsa_err err;

        from_hex(expect + 1, len, v->ux);
        from_hex(expect + 1 + len, len, v->uy);
        grp_point_encode_raw(g, got, &y);
        assert_memory_equal(got, expect, 1 + 2 * len);
        assert_int_equal(tdsa_hash(digest, v->hash, (const uint8_t *)"sample", 6, &err), TDSA_OK);
        grp_digest_to_scalar(g, &h, digest, len < 64 ? len : 64);
        assert_true(grp_ecdsa_verify_vartime(g, &y, &h, &r, &s));
        assert_false(grp_ecdsa_verify_vartime(g, &y, &h, &s, &r));
        grp_close(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ecdsa_verify_agrees_with_openssl),
        cmocka_unit_test(ecdsa_verify_accepts_the_signatures_of_rfc_6979),
        cmocka_unit_test(ecdsa_verify_refuses_zero_and_the_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
