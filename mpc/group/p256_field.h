#ifndef GRP_P256_FIELD_H
#define GRP_P256_FIELD_H

#include <gmp.h>

#include "group/group.h"

/*
 * Arithmetic modulo p = 2^256 - 2^224 + 2^192 + 2^96 - 1 (FIPS 186-4 D.1.2.3), the field of P-256.
 * OpenSSL multiplies points; what stands here lets us normalise, check and add many of them with
 * one inversion, which its interface cannot. Constant time but for the names in _vartime.
 */
#define FP256_LIMBS 4u
#define FP256_LEN   32u /* bytes of an encoded element */

/** An element in Montgomery form (times 2^256), fully reduced, least limb first. Results may be
 * the same objects as arguments everywhere. */
typedef struct {
    mp_limb_t limb[FP256_LIMBS];
} fp256;

extern const fp256 fp256_one;

/** False when this GMP needs more scratch than we give it: nothing below may be called then. */
bool fp256_fits(void);

void fp256_add(fp256 *out, const fp256 *a, const fp256 *b) TDSA_NONNULL;
void fp256_sub(fp256 *out, const fp256 *a, const fp256 *b) TDSA_NONNULL;
void fp256_mul(fp256 *out, const fp256 *a, const fp256 *b) TDSA_NONNULL;
void fp256_sqr(fp256 *out, const fp256 *a) TDSA_NONNULL;
/** out = 1/a; 0 of 0. By Fermat: 255 squarings. */
void fp256_inv(fp256 *out, const fp256 *a) TDSA_NONNULL;
/** The same for a public a: twelve times faster. */
void fp256_inv_vartime(fp256 *out, const fp256 *a) TDSA_NONNULL;
/** out = the root of a that is even or odd as asked; false when a has none. a is public. */
bool fp256_sqrt_vartime(fp256 *out, const fp256 *a, bool odd) TDSA_NONNULL;
/** All ones when a = 0, else 0. */
mp_limb_t fp256_zero_mask(const fp256 *a) TDSA_NONNULL;
bool fp256_is_zero_vartime(const fp256 *a) TDSA_NONNULL;
bool fp256_equal_vartime(const fp256 *a, const fp256 *b) TDSA_NONNULL;
/** Reads FP256_LEN bytes, big-endian; false when the number is not below p (out is 0 then). The
 * verdict is public. */
bool fp256_from_bytes(fp256 *out, const uint8_t *in) TDSA_NONNULL;
void fp256_to_bytes(uint8_t *out, const fp256 *a) TDSA_NONNULL;
/** y^2 = x^3 - 3x + b: the right side, of a public x. */
void fp256_curve_vartime(fp256 *out, const fp256 *x) TDSA_NONNULL;

#endif
