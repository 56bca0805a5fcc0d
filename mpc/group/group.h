#ifndef GRP_GROUP_H
#define GRP_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/rng.h"

/**
 * A prime-order group of points G with order q, and its scalars, the same for every curve. P-256
 * runs on OpenSSL, P-384 and P-521 on nettle and OpenSSL, secp256k1 on libsecp256k1, Ed25519 on
 * libsodium; scalars modulo q on GMP's mpn_sec_* functions, which run in constant time. A function
 * without the suffix _vartime may be given secrets.
 * Threads: a grp is immutable once open and may be shared.
 */
typedef enum {
    GRP_P256 = 1,
    GRP_SECP256K1 = 2,
    GRP_P384 = 3,
    GRP_P521 = 4,
    GRP_ED25519 = 5 /* the subgroup of order l; one encoding of 32 bytes, little-endian */
} grp_curve;
#define GRP_CURVE_END 6u /* one past the last: room of tables by curve */

#define GRP_SCALAR_LIMBS_MAX 9u   /* P-521 */
#define GRP_SCALAR_LEN_MAX   66u  /* bytes of an encoded scalar */
#define GRP_POINT_LEN_MAX    67u  /* bytes of a compressed point */
#define GRP_POINT_RAW_MAX    133u /* bytes of an uncompressed point */
#define GRP_WIDE_LEN_MAX     82u  /* L(q), bytes that are reduced to a scalar */

typedef struct grp grp;

/** A number modulo q, always fully reduced. Wipe secret ones with grp_scalar_clear. */
typedef struct {
    uint64_t limb[GRP_SCALAR_LIMBS_MAX];
} grp_scalar;

/** A point of the group, or the identity. The inside belongs to the backend. */
typedef struct {
    uint8_t identity; /* 1: the identity, the rest is zero */
    uint8_t raw[132];
} grp_point;

/** Fixed facts of a curve. */
typedef struct {
    grp_curve curve;
    const char *name;     /* "P-256", "secp256k1", "P-384", "P-521", "Ed25519": in statements */
    const uint8_t *oid;   /* DER OBJECT IDENTIFIER with tag and length (CKA_EC_PARAMS) */
    size_t oid_len;       /* bytes */
    size_t order_bits;    /* ceil(log2 q) */
    size_t scalar_len;    /* bytes of an encoded scalar: big-endian, on Ed25519 little-endian */
    size_t point_len;     /* bytes of a compressed point */
    size_t point_raw_len; /* bytes of an uncompressed point, 04 | x | y; Ed25519: point_len */
    size_t wide_len;      /* L(q) = ceil((ceil(log2 q) + 128) / 8) */
} grp_info;

/** Opens a curve. out: free with grp_close. Errors: TDSA_E_BAD_INPUT (no such curve), TDSA_E_CRYPTO
 * (the library fails, or is a libsodium with CVE-2025-69277), TDSA_E_NO_MEMORY. */
TDSA_MUST_USE tdsa_status grp_open(grp **out, grp_curve curve, tdsa_err *err) TDSA_NONNULL;
void grp_close(grp *g);
/** Opens every curve once, so that what is done at the first use of a curve in a process is done before there is
 * a secret. Errors: those of grp_open. */
TDSA_MUST_USE tdsa_status grp_prepare(tdsa_err *err) TDSA_NONNULL;
const grp_info *grp_get_info(const grp *g) TDSA_NONNULL;
/** The curve of a name in statements and in the API (grp_info.name); false when unknown. */
bool grp_curve_by_name(grp_curve *out, const char *name) TDSA_NONNULL;
const char *grp_curve_name(grp_curve curve);

/* ---- scalars (constant time) ---- */

void grp_scalar_clear(grp_scalar *a) TDSA_NONNULL;
void grp_scalar_set_u64(const grp *g, grp_scalar *out, uint64_t v) TDSA_NONNULL;
void grp_scalar_add(const grp *g, grp_scalar *out, const grp_scalar *a, const grp_scalar *b)
    TDSA_NONNULL;
void grp_scalar_sub(const grp *g, grp_scalar *out, const grp_scalar *a, const grp_scalar *b)
    TDSA_NONNULL;
void grp_scalar_mul(const grp *g, grp_scalar *out, const grp_scalar *a, const grp_scalar *b)
    TDSA_NONNULL;
void grp_scalar_neg(const grp *g, grp_scalar *out, const grp_scalar *a) TDSA_NONNULL;
/** out = 1/a. a = 0 gives 0: check first where it matters. */
void grp_scalar_inv(const grp *g, grp_scalar *out, const grp_scalar *a) TDSA_NONNULL;
/** The same for a public a (an opened value, a member's coefficient): 25 times faster. */
void grp_scalar_inv_vartime(const grp *g, grp_scalar *out, const grp_scalar *a) TDSA_NONNULL;
bool grp_scalar_is_zero(const grp *g, const grp_scalar *a) TDSA_NONNULL;
bool grp_scalar_equal(const grp *g, const grp_scalar *a, const grp_scalar *b) TDSA_NONNULL;
/** True when a > (q-1)/2 (low-S rule; a is public by then). */
bool grp_scalar_is_high_vartime(const grp *g, const grp_scalar *a) TDSA_NONNULL;
/** The number `bytes` (big-endian on every curve, 0..GRP_WIDE_LEN_MAX bytes) modulo q. */
void grp_scalar_reduce(const grp *g, grp_scalar *out, const uint8_t *bytes, size_t len)
    TDSA_NONNULL;
/** Writes info->scalar_len bytes: big-endian, on Ed25519 little-endian. */
void grp_scalar_encode(const grp *g, uint8_t *out, const grp_scalar *a) TDSA_NONNULL;
/** Reads exactly info->scalar_len bytes; refuses values >= q. Errors: TDSA_E_BAD_INPUT. */
TDSA_MUST_USE tdsa_status grp_scalar_decode(const grp *g, grp_scalar *out, const uint8_t *in,
                                            size_t len, tdsa_err *err) TDSA_NONNULL;
/** Uniform in 1..q-1: L(q) random bytes mod q, again while zero. */
TDSA_MUST_USE tdsa_status grp_scalar_random(const grp *g, grp_scalar *out, const tdsa_rng *rng,
                                            tdsa_err *err) TDSA_NONNULL;

/* ---- points ---- */

void grp_point_set_identity(grp_point *p) TDSA_NONNULL;
bool grp_point_is_identity(const grp_point *p) TDSA_NONNULL;
/** out = a*G, constant time in a. a = 0 gives the identity. Errors: TDSA_E_CRYPTO. */
TDSA_MUST_USE tdsa_status grp_mul_base(const grp *g, grp_point *out, const grp_scalar *a,
                                       tdsa_err *err) TDSA_NONNULL;
/** out[i] = a[i]*G for i < count, constant time in all a: the same as one by one, but with one
 * inversion for many (P-256: half the time). */
TDSA_MUST_USE tdsa_status grp_mul_base_batch(const grp *g, grp_point *out, const grp_scalar *a,
                                             size_t count, tdsa_err *err) TDSA_NONNULL;
/** out = a*G + P; both public. */
TDSA_MUST_USE tdsa_status grp_mul_base_add_vartime(const grp *g, grp_point *out,
                                                   const grp_scalar *a, const grp_point *p,
                                                   tdsa_err *err) TDSA_NONNULL;
/** out = a*P; a and P public. */
TDSA_MUST_USE tdsa_status grp_mul_vartime(const grp *g, grp_point *out, const grp_scalar *a,
                                          const grp_point *p, tdsa_err *err) TDSA_NONNULL;
/** out = a*G + b*P; all public (verification). */
TDSA_MUST_USE tdsa_status grp_mul_add_vartime(const grp *g, grp_point *out, const grp_scalar *a,
                                              const grp_scalar *b, const grp_point *p,
                                              tdsa_err *err) TDSA_NONNULL;
/**
 * Multiples of one public point, made beforehand for a point that is multiplied often: a*G + b*P then
 * takes a third of the time on P-256. Takes 150 KiB and as long as some 500 multiplications.
 * Threads: immutable, may be shared. `g` must outlive it.
 */
typedef struct grp_table grp_table;
/** NULL: the curve gains nothing by a table, or there is no memory for one. Free with grp_table_free. */
grp_table *grp_table_new_vartime(const grp *g, const grp_point *p) TDSA_NONNULL;
/** NULL is allowed. */
void grp_table_free(grp_table *t);
/** The point, lent. */
const grp_point *grp_table_point(const grp_table *t) TDSA_NONNULL;
/** out = a*G + b*P with the P of the table; all public. Errors: TDSA_E_CRYPTO. */
TDSA_MUST_USE tdsa_status grp_mul_add_table_vartime(grp_point *out, const grp_scalar *a,
                                                    const grp_scalar *b, const grp_table *t,
                                                    tdsa_err *err) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status grp_point_add_vartime(const grp *g, grp_point *out, const grp_point *a,
                                                const grp_point *b, tdsa_err *err) TDSA_NONNULL;
void grp_point_neg(const grp *g, grp_point *out, const grp_point *a) TDSA_NONNULL;
bool grp_point_equal(const grp *g, const grp_point *a, const grp_point *b) TDSA_NONNULL;
/**
 * out = sum of coeff[i]*p[i] with small integer coefficients (|coeff| < 2^20), all public. What
 * Lagrange factors at 0 and finite differences of consecutive ids need: additions, not ladders.
 * Errors: TDSA_E_BAD_INPUT (more than 256 points), TDSA_E_CRYPTO.
 */
TDSA_MUST_USE tdsa_status grp_small_sum_vartime(const grp *g, grp_point *out, const grp_point *p,
                                                const int32_t *coeff, size_t count, tdsa_err *err)
    TDSA_NONNULL;
/** x(P) mod q. P must not be the identity. Not on Ed25519: assert. */
void grp_point_x_mod_q(const grp *g, grp_scalar *out, const grp_point *p) TDSA_NONNULL;
/** The parity of y(P), and whether x(P) >= q: recovery id = odd + 2*wrapped. Not on Ed25519: assert. */
void grp_point_parity(const grp *g, bool *y_odd, bool *x_wrapped, const grp_point *p) TDSA_NONNULL;

/** Writes info->point_len bytes (SEC 1 compressed; Ed25519: RFC 8032 5.1.2). The identity cannot be
 * encoded: assert. */
void grp_point_encode(const grp *g, uint8_t *out, const grp_point *p) TDSA_NONNULL;
/** Writes info->point_raw_len bytes (SEC 1 uncompressed; Ed25519: the same as grp_point_encode). */
void grp_point_encode_raw(const grp *g, uint8_t *out, const grp_point *p) TDSA_NONNULL;
/**
 * Reads a compressed (point_len) or uncompressed (point_raw_len) point, told by its length. This
 * is the one door for points from outside: canonical, on the curve, not the identity, in the
 * prime-order subgroup. Hybrid forms (06, 07) are refused, and on Ed25519 everything with torsion.
 * Errors: TDSA_E_BAD_INPUT.
 */
TDSA_MUST_USE tdsa_status grp_point_decode(const grp *g, grp_point *out, const uint8_t *in,
                                           size_t len, tdsa_err *err) TDSA_NONNULL;

/** ECDSA verification in software: (r, s) over the already truncated and reduced h. Not on Ed25519:
 * assert. */
bool grp_ecdsa_verify_vartime(const grp *g, const grp_point *y, const grp_scalar *h,
                              const grp_scalar *r, const grp_scalar *s) TDSA_NONNULL;
/** h of the specification: leftmost order_bits bits of the digest, reduced modulo q. Not on Ed25519:
 * assert. */
void grp_digest_to_scalar(const grp *g, grp_scalar *out, const uint8_t *digest, size_t len)
    TDSA_NONNULL;

#endif
