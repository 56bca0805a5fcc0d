#ifndef GROUP_TEST_H
#define GROUP_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>

#include "base/encode.h"
#include "base/hash.h"
#include "base/rng.h"
#include "base/statement.h"
#include "group/group.h"

/* The curves with SEC 1 encodings and ECDSA, which OpenSSL knows too, and then the others. */
#define SEC1_COUNT  4u
#define CURVE_COUNT 5u
static const grp_curve test_curve[CURVE_COUNT] = {GRP_P256, GRP_SECP256K1, GRP_P384, GRP_P521,
                                                  GRP_ED25519};
static const int test_nid[SEC1_COUNT] = {NID_X9_62_prime256v1, NID_secp256k1, NID_secp384r1,
                                         NID_secp521r1};
/* The orders and the primes of the fields, big-endian. */
static const char *const test_order[CURVE_COUNT] = {
    "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
    "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
    "ffffffffffffffffffffffffffffffffffffffffffffffff"
    "c7634d81f4372ddf581a0db248b0a77aecec196accc52973",
    "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
    "fa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
    "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed",
};
static const char *const test_field[CURVE_COUNT] = {
    "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
    "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f",
    "ffffffffffffffffffffffffffffffffffffffffffffffff"
    "fffffffffffffffeffffffff0000000000000000ffffffff",
    "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed",
};

static inline grp *open_curve(size_t i)
{
    grp *g = NULL;
    tdsa_err err;

    assert_int_equal(grp_open(&g, test_curve[i], &err), TDSA_OK);
    return g;
}

/* A fixed stream per test: failures repeat. */
static inline void seed_rng(tdsa_test_rng *r, const char *seed)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    tdsa_err err;

    tdsa_stmt_begin(&b, "rng");
    tdsa_stmt_text(&b, seed);
    assert_int_equal(tdsa_test_rng_init(r, b.data, b.len, &err), TDSA_OK);
}

static inline void from_hex(uint8_t *out, size_t len, const char *hex)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    tdsa_err err;

    assert_int_equal(tdsa_hex_decode(&b, hex, &err), TDSA_OK);
    assert_int_equal(b.len, len);
    memcpy(out, b.data, len);
}

/* The big-endian bytes of a scalar, on every curve. */
static inline void scalar_big_endian(const grp *g, uint8_t *out, const grp_scalar *a)
{
    const size_t len = grp_get_info(g)->scalar_len;
    uint8_t bytes[GRP_SCALAR_LEN_MAX];

    grp_scalar_encode(g, bytes, a);
    for (size_t i = 0; i < len; i++) {
        out[i] = grp_get_info(g)->curve == GRP_ED25519 ? bytes[len - 1 - i] : bytes[i];
    }
}

static inline grp_scalar scalar_from_hex(const grp *g, const char *hex)
{
    uint8_t bytes[GRP_SCALAR_LEN_MAX];
    grp_scalar s;
    tdsa_err err;

    from_hex(bytes, grp_get_info(g)->scalar_len, hex);
    assert_int_equal(grp_scalar_decode(g, &s, bytes, grp_get_info(g)->scalar_len, &err), TDSA_OK);
    return s;
}

static inline grp_scalar random_scalar(const grp *g, tdsa_test_rng *r)
{
    const tdsa_rng rng = tdsa_test_rng_of(r);
    grp_scalar s;
    tdsa_err err;

    assert_int_equal(grp_scalar_random(g, &s, &rng, &err), TDSA_OK);
    return s;
}

static inline grp_point base_times(const grp *g, const grp_scalar *a)
{
    grp_point p;
    tdsa_err err;

    assert_int_equal(grp_mul_base(g, &p, a, &err), TDSA_OK);
    return p;
}

static inline grp_point base_times_u64(const grp *g, uint64_t v)
{
    grp_scalar a;

    grp_scalar_set_u64(g, &a, v);
    return base_times(g, &a);
}

static inline void assert_points_equal(const grp *g, const grp_point *a, const grp_point *b)
{
    assert_true(grp_point_equal(g, a, b));
}

#endif
