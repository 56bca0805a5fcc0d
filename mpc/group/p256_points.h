#ifndef GRP_P256_POINTS_H
#define GRP_P256_POINTS_H

#include "group/p256_field.h"

/* Points of P-256 over p256_field.h. The raw part of a grp_point of this curve is p256_affine. */

typedef struct {
    fp256 x, y;
} p256_affine;

/** (X/Z^2, Y/Z^3); the identity when Z = 0. */
typedef struct {
    fp256 x, y, z;
} p256_jacobian;

/** p is not the identity. */
void p256_get(p256_affine *out, const grp_point *p) TDSA_NONNULL;
void p256_set(grp_point *out, const p256_affine *p) TDSA_NONNULL;

/** Reads 02|x, 03|x (33 bytes) or 04|x|y; false when that is not a point of the curve. The cofactor
 * is 1, so every point of the curve is of the group. Public. */
bool p256_read_vartime(grp_point *out, const uint8_t *in, size_t len) TDSA_NONNULL;

void p256_double_vartime(p256_jacobian *acc) TDSA_NONNULL;
void p256_add_vartime(p256_jacobian *acc, const p256_affine *p) TDSA_NONNULL;
void p256_normalise_vartime(grp_point *out, const p256_jacobian *p) TDSA_NONNULL;

/** Points that p256_normalise_batch takes at a time. */
#define P256_NORMALISE_MAX 128u
/**
 * out[i] = p[i] with one inversion for all; constant time, since Z tells of the scalar that made a
 * point. p is wiped. Whether a point is the identity is public. count <= P256_NORMALISE_MAX.
 */
void p256_normalise_batch(grp_point *out, p256_jacobian *p, size_t count) TDSA_NONNULL;

/** out[i] = a[i] + b[i], or a[i] - b[i] when `minus`, one inversion for every 64. Any of them may
 * be the identity; out may be a or b. */
void p256_add_batch_vartime(grp_point *out, const grp_point *a, const grp_point *b, bool minus,
                            size_t count) TDSA_NONNULL;

#endif
