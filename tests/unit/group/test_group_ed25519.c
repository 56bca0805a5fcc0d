#include "group_test.h"

#include <setjmp.h>

#include <openssl/evp.h>

#include "base/assert.h"
#include "base/hash.h"

/* Ed25519: what the other curves do not have, a cofactor and an encoding of its own. */

/* i*T for a point T of order 8; the first is the identity. */
static const char *const small_order[] = {
    "0100000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
};

/* The other encodings of those: y not below p, or x = 0 with the sign bit. */
static const char *const small_order_again[] = {
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
};

/* P + i*T for i = 1..7, with P = G and then another P of the subgroup: on the curve, canonical, of
 * order 2l, 4l or 8l. P + 4T slips through a libsodium with CVE-2025-69277. */
static const char *const mixed_order[] = {
    "98519eadf35b995233b51b5cd23e9cc5a28b639b5a4af0ec903cb960d81b7819",
    "9bad33f580df7ecc49df5342bac8145d5bedc40f573d1b067f3c4ce449689a15",
    "da99e28ba529cdde35a25fba9059e78ecaee239f99755b9b1aa4f65df00803e2",
    "9599999999999999999999999999999999999999999999999999999999999999",
    "55ae61520ca466adcc4ae4a32dc1633a5d749c64a5b50f136fc3469f27e487e6",
    "5252cc0a7f208133b620acbd4537eba2a4123bf0a8c2e4f980c3b31bb69765ea",
    "13661d745ad63221ca5da0456fa618713511dc60668aa464e55b09a20ff7fc1d",
    "afe985e432d16abaeed0fbd848db44520ef193bdde65d944b6a942a8f97ab11c",
    "d547d46ec766e802f89e0723b90562a9e0264679d3a7337346c2a07df9d1028b",
    "6086e74f42e0b829b06d5d4e7a59193ec8be2ffe86b53a9316c32e1493022287",
    "5a36bb641b1c68a0866596e0ee2c42547539cb745d5042046cef02494cd14228",
    "3e167a1bcd2e9545112f0427b724bbadf10e6c42219a26bb4956bd5706854ee3",
    "18b82b91389917fd0761f8dc46fa9d561fd9b9862c58cc8cb93d5f82062efd74",
    "8d7918b0bd1f47d64f92a2b185a6e6c13741d001794ac56ce93cd1eb6cfddd78",
};

static grp *open_ed25519(void)
{
    grp *g = NULL;
    tdsa_err err;

    assert_int_equal(grp_open(&g, GRP_ED25519, &err), TDSA_OK);
    return g;
}

static void assert_refused(const grp *g, const uint8_t *in, size_t len)
{
    grp_point p;
    tdsa_err err;

    assert_int_equal(grp_point_decode(g, &p, in, len, &err), TDSA_E_BAD_INPUT);
    assert_true(grp_point_is_identity(&p));
}

static void assert_hex_refused(const grp *g, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t bytes[32];

        from_hex(bytes, sizeof bytes, list[i]);
        assert_refused(g, bytes, sizeof bytes);
    }
}

static void decode_refuses_the_identity_and_all_small_orders(void **state)
{
    grp *g = open_ed25519();

    (void)state;
    assert_int_equal(sizeof small_order / sizeof small_order[0], 8);
    assert_hex_refused(g, small_order, 8);
    assert_hex_refused(g, small_order_again,
                       sizeof small_order_again / sizeof small_order_again[0]);
    grp_close(g);
}

static void decode_refuses_points_with_torsion(void **state)
{
    grp *g = open_ed25519();

    (void)state;
    assert_hex_refused(g, mixed_order, sizeof mixed_order / sizeof mixed_order[0]);
    grp_close(g);
}

static void decode_refuses_y_not_below_the_prime(void **state)
{
    grp *g = open_ed25519();
    uint8_t bytes[32];

    (void)state;
    for (unsigned y = 0; y < 19; y++) { /* all y + p below 2^255 */
        memset(bytes, 0xff, sizeof bytes);
        bytes[0] = (uint8_t)(0xed + y);
        assert_refused(g, bytes, sizeof bytes);
        bytes[31] = 0x7f;
        assert_refused(g, bytes, sizeof bytes);
    }
    grp_close(g);
}

static void decode_refuses_what_is_off_the_curve_or_of_another_length(void **state)
{
    grp *g = open_ed25519();
    const grp_point p = base_times_u64(g, 5);
    uint8_t raw[GRP_POINT_RAW_MAX + 1] = {0};
    size_t refused = 0;

    (void)state;
    grp_point_encode(g, raw, &p);
    for (size_t len = 0; len <= sizeof raw; len++) {
        if (len != 32) {
            assert_refused(g, raw, len);
        }
    }
    for (unsigned y = 0; y < 256; y++) { /* one in two is on the curve, one in 16 in the subgroup */
        grp_point q;
        tdsa_err err;

        memset(raw, 0, 32);
        raw[0] = (uint8_t)y;
        if (grp_point_decode(g, &q, raw, 32, &err) != TDSA_OK) {
            assert_int_equal(err.status, TDSA_E_BAD_INPUT);
            refused++;
        }
    }
    assert_in_range(refused, 216, 254);
    grp_close(g);
}

/* RFC 8032 7.1: the scalar of a seed, clamped; then reduced, which does not change a*G. */
static grp_scalar scalar_of_seed(const grp *g, const uint8_t seed[32])
{
    uint8_t digest[TDSA_SHA512_LEN];
    uint8_t big_endian[32];
    grp_scalar a;
    tdsa_err err;

    assert_int_equal(tdsa_hash(digest, TDSA_HASH_SHA512, seed, 32, &err), TDSA_OK);
    digest[0] &= 0xf8;
    digest[31] = (uint8_t)((digest[31] & 0x7f) | 0x40);
    for (size_t i = 0; i < 32; i++) {
        big_endian[i] = digest[31 - i];
    }
    grp_scalar_reduce(g, &a, big_endian, 32);
    return a;
}

static void base_multiplication_gives_the_public_keys_of_rfc_8032(void **state)
{
    static const char *const keys[][2] = {
        {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
         "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"},
        {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
         "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"},
        {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
         "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"},
    };
    grp *g = open_ed25519();

    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        uint8_t seed[32];
        uint8_t expect[32];
        uint8_t got[32];
        grp_scalar a;
        grp_point p;

        from_hex(seed, 32, keys[i][0]);
        from_hex(expect, 32, keys[i][1]);
        a = scalar_of_seed(g, seed);
        p = base_times(g, &a);
        grp_point_encode(g, got, &p);
        assert_memory_equal(got, expect, 32);
    }
    grp_close(g);
}

static void base_multiplication_agrees_with_openssl(void **state)
{
    grp *g = open_ed25519();
    tdsa_test_rng seeded;
    const tdsa_rng rng = tdsa_test_rng_of(&seeded);

    (void)state;
    seed_rng(&seeded, "ed25519");
    for (int i = 0; i < 40; i++) {
        uint8_t seed[32];
        uint8_t expect[32];
        uint8_t got[32];
        size_t len = sizeof expect;
        EVP_PKEY *key = NULL;
        grp_scalar a;
        grp_point p;
        tdsa_err err;

        assert_int_equal(tdsa_rng_fill(&rng, seed, sizeof seed, &err), TDSA_OK);
        key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof seed);
        assert_int_equal(EVP_PKEY_get_raw_public_key(key, expect, &len), 1);
        a = scalar_of_seed(g, seed);
        p = base_times(g, &a);
        grp_point_encode(g, got, &p);
        assert_memory_equal(got, expect, 32);
        assert_int_equal(grp_point_decode(g, &p, expect, 32, &err), TDSA_OK);
        grp_point_encode_raw(g, got, &p); /* the one form there is */
        assert_memory_equal(got, expect, 32);
        EVP_PKEY_free(key);
    }
    grp_close(g);
}

static void scalars_are_little_endian_and_their_reduction_big_endian(void **state)
{
    static const uint8_t number[3] = {0x01, 0x02, 0x03};
    uint8_t bytes[32];
    uint8_t expect[32] = {0x03, 0x02, 0x01};
    grp *g = open_ed25519();
    grp_scalar a;
    grp_scalar b;
    tdsa_err err;

    (void)state;
    grp_scalar_reduce(g, &a, number, sizeof number);
    grp_scalar_set_u64(g, &b, 0x010203);
    assert_true(grp_scalar_equal(g, &a, &b));
    grp_scalar_encode(g, bytes, &a);
    assert_memory_equal(bytes, expect, 32);
    assert_int_equal(grp_scalar_decode(g, &a, bytes, 32, &err), TDSA_OK);
    assert_true(grp_scalar_equal(g, &a, &b));
    grp_close(g);
}

static void the_oid_is_that_of_rfc_8410(void **state)
{
    static const uint8_t oid[] = {0x06, 0x03, 0x2b, 0x65, 0x70}; /* 1.3.101.112 */
    grp *g = open_ed25519();
    const grp_info *info = grp_get_info(g);

    (void)state;
    assert_string_equal(info->name, "Ed25519");
    assert_int_equal(info->oid_len, sizeof oid);
    assert_memory_equal(info->oid, oid, sizeof oid);
    assert_int_equal(info->order_bits, 253);
    assert_int_equal(info->wide_len, 48);
    assert_int_equal(info->point_len, 32);
    assert_int_equal(info->point_raw_len, 32);
    grp_close(g);
}

static jmp_buf after_assert;

static void jump_out(const char *what, const char *where)
{
    (void)what;
    (void)where;
    longjmp(after_assert, 1);
}

static void what_only_ecdsa_needs_is_refused_by_an_assert(void **state)
{
    grp *g = open_ed25519();
    const grp_point p = base_times_u64(g, 5);
    static const uint8_t digest[32] = {1};
    volatile unsigned refused = 0;
    grp_scalar a;
    bool odd = false;
    bool wrapped = false;

    (void)state;
    grp_scalar_set_u64(g, &a, 5);
    tdsa_assert_set_handler(jump_out);
    for (volatile unsigned i = 0; i < 4; i++) {
        if (setjmp(after_assert) != 0) {
            refused++;
        } else if (i == 0) {
            grp_point_x_mod_q(g, &a, &p);
        } else if (i == 1) {
            grp_point_parity(g, &odd, &wrapped, &p);
        } else if (i == 2) {
            (void)grp_ecdsa_verify_vartime(g, &p, &a, &a, &a);
        } else {
            grp_digest_to_scalar(g, &a, digest, sizeof digest);
        }
    }
    assert_int_equal(refused, 4);
    grp_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decode_refuses_the_identity_and_all_small_orders),
        cmocka_unit_test(decode_refuses_points_with_torsion),
        cmocka_unit_test(decode_refuses_y_not_below_the_prime),
        cmocka_unit_test(decode_refuses_what_is_off_the_curve_or_of_another_length),
        cmocka_unit_test(base_multiplication_gives_the_public_keys_of_rfc_8032),
        cmocka_unit_test(base_multiplication_agrees_with_openssl),
        cmocka_unit_test(scalars_are_little_endian_and_their_reduction_big_endian),
        cmocka_unit_test(the_oid_is_that_of_rfc_8410),
        cmocka_unit_test(what_only_ecdsa_needs_is_refused_by_an_assert),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
