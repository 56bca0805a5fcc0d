#ifndef GRP_GROUP_INTERNAL_H
#define GRP_GROUP_INTERNAL_H

#include <gmp.h>

#include "group/group.h"

_Static_assert(sizeof(mp_limb_t) == sizeof(uint64_t), "scalars are GMP limbs");
_Static_assert(GMP_NUMB_BITS == 64, "GMP without nails");

/** Most terms of one grp_small_sum_vartime; |coefficient| is below GRP_COEFF_LIMIT. */
#define GRP_SUM_TERMS_MAX 256u
#define GRP_COEFF_LIMIT   (1 << 20)

/**
 * What a curve library gives. The identity never reaches a backend: group.c answers for it, so
 * points handed in are proper points, coefficients of `sum` are not 0, and the scalars of `mul` are
 * not both 0. Results may be the identity.
 */
typedef struct {
    /** A twisted Edwards curve: scalars are encoded little-endian, a point has one form of
     * point_len bytes, and there is no ECDSA. Otherwise SEC 1 holds. */
    bool is_edwards;
    tdsa_status (*open)(grp *g, tdsa_err *err);
    void (*close)(grp *g);
    tdsa_status (*mul_base)(const grp *g, grp_point *out, const grp_scalar *a, tdsa_err *err);
    /** out[i] = a[i]*G, constant time. NULL: one by one. */
    tdsa_status (*mul_base_batch)(const grp *g, grp_point *out, const grp_scalar *a, size_t count,
                                  tdsa_err *err);
    /** a*G + P in variable time, a not 0. NULL: mul_base and sum. */
    tdsa_status (*mul_base_add)(const grp *g, grp_point *out, const grp_scalar *a,
                                const grp_point *p, tdsa_err *err);
    /** a*G + b*P in variable time. */
    tdsa_status (*mul_add)(const grp *g, grp_point *out, const grp_scalar *a, const grp_scalar *b,
                           const grp_point *p, tdsa_err *err);
    /** A table for mul_add_table, of a point that is not the identity; NULL: no memory. All NULL: it would
     * gain nothing. */
    void *(*table_new)(const grp *g, const grp_point *p);
    void (*table_free)(void *table);
    tdsa_status (*mul_add_table)(const grp *g, grp_point *out, const grp_scalar *a,
                                 const grp_scalar *b, const void *table, tdsa_err *err);
    tdsa_status (*sum)(const grp *g, grp_point *out, const grp_point *const *p,
                       const int32_t *coeff, size_t count, tdsa_err *err);
    /** out[i] = a[i] + b[i], or a[i] - b[i] when `minus`, in variable time; any may be the identity,
     * out may be a or b. NULL: batches of shared points are opened one by one with `sum`. */
    void (*add_batch)(const grp *g, grp_point *out, const grp_point *a, const grp_point *b,
                      bool minus, size_t count);
    void (*neg)(const grp *g, grp_point *out, const grp_point *a);
    bool (*equal)(const grp *g, const grp_point *a, const grp_point *b);
    /** 04 | x | y; an Edwards curve: its one form */
    void (*encode_raw)(const grp *g, uint8_t *out, const grp_point *p);
    /** `in` has one of the two lengths and a first byte that fits it (SEC 1). */
    tdsa_status (*decode)(const grp *g, grp_point *out, const uint8_t *in, size_t len,
                          tdsa_err *err);
    /** NULL: group.c verifies with mul_add. r and s are not 0. */
    bool (*ecdsa_verify)(const grp *g, const grp_point *y, const grp_scalar *h, const grp_scalar *r,
                         const grp_scalar *s);
} grp_backend;

struct grp {
    grp_info info;
    const grp_backend *backend;
    void *ctx;   /* the backend's */
    mp_size_t n; /* limbs of a scalar */
    mp_limb_t q[GRP_SCALAR_LIMBS_MAX];
    mp_limb_t half[GRP_SCALAR_LIMBS_MAX]; /* (q-1)/2 */
};

extern const grp_backend grp_p256_backend;
extern const grp_backend grp_secp256k1_backend;
extern const grp_backend grp_p384_backend;
extern const grp_backend grp_p521_backend;
extern const grp_backend grp_ed25519_backend;

/** A row of the table of curves (curve.c). */
typedef struct {
    grp_info info;
    const grp_backend *backend;
    uint8_t order[GRP_SCALAR_LEN_MAX]; /* big-endian, scalar_len bytes */
} grp_curve_entry;

/** NULL when there is no such curve. */
const grp_curve_entry *grp_curve_find(grp_curve curve);

/** out = wide mod q, constant time; wide (count limbs, at least those of q) is destroyed. */
#define GRP_REDUCE_LIMBS_MAX (2 * GRP_SCALAR_LIMBS_MAX)
void grp_limbs_reduce(const grp *g, grp_scalar *out, mp_limb_t *wide, size_t count);
/** limb[0..count-1] = the big-endian number; len <= 8*count. */
void grp_limbs_from_bytes(uint64_t *limb, size_t count, const uint8_t *bytes, size_t len);
/** The lowest `len` bytes of the number, big-endian; len <= 8*count. */
void grp_limbs_to_bytes(uint8_t *bytes, size_t len, const uint64_t *limb);

#endif
