#ifndef GRP_SHARING_H
#define GRP_SHARING_H

#include "group/group.h"

/** Limits of the whole engine. */
#define GRP_PARTIES_MAX   9u
#define GRP_THRESHOLD_MAX 4u
/** Sets of t+1 out of n participants that one participant is in: C(8,4) for (9,4). */
#define GRP_MY_SETS_MAX  70u
#define GRP_ALL_SETS_MAX 126u /* C(9,5) */

/*
 * Shamir sharing, Feldman commitments and checks in the exponent. Participants are named by their
 * participant_index 0..n-1 everywhere; the evaluation id is index+1 and never leaves this module.
 */

/** A polynomial f of degree `degree` over the scalars. Secret: clear with grp_poly_clear. */
typedef struct {
    size_t degree; /* 1..GRP_THRESHOLD_MAX */
    grp_scalar coeff[GRP_THRESHOLD_MAX + 1];
} grp_poly;

void grp_poly_clear(grp_poly *f) TDSA_NONNULL;
/** Random polynomial without zero coefficients; coefficients are drawn from the constant upwards.
 * Errors: TDSA_E_BAD_INPUT (degree), those of rng. */
TDSA_MUST_USE tdsa_status grp_poly_random(const grp *g, grp_poly *out, size_t degree,
                                          const tdsa_rng *rng, tdsa_err *err) TDSA_NONNULL;
/** out = f(id of `index`). */
void grp_poly_eval(const grp *g, grp_scalar *out, const grp_poly *f, uint16_t index) TDSA_NONNULL;
/** out[m] = coeff[m]*G for m = 0..degree. */
TDSA_MUST_USE tdsa_status grp_poly_commit(const grp *g, grp_point *out, const grp_poly *f,
                                          tdsa_err *err) TDSA_NONNULL;
/** out = sum over m of id^m * commitment[m]: the point that f(id)*G must equal. Public.
 * Errors: TDSA_E_BAD_INPUT (count not 1..GRP_THRESHOLD_MAX+1, index out of range). */
TDSA_MUST_USE tdsa_status grp_commit_eval_vartime(const grp *g, grp_point *out,
                                                  const grp_point *commitment, size_t count,
                                                  uint16_t index, tdsa_err *err) TDSA_NONNULL;

/** Lagrange coefficients at 0: out[k] belongs to members[k]. members: distinct indices. */
void grp_lagrange(const grp *g, grp_scalar *out, const uint16_t *members, size_t count)
    TDSA_NONNULL;
/**
 * Sum of lambda_j * P_j over `members` (interpolation at 0 in the exponent): small coefficients
 * over one denominator, so additions only when members are 0..count-1, else one multiplication
 * more. Public. Errors: TDSA_E_BAD_INPUT (a member out of range or twice), TDSA_E_CRYPTO.
 */
TDSA_MUST_USE tdsa_status grp_interpolate_vartime(const grp *g, grp_point *out,
                                                  const grp_point *points, const uint16_t *members,
                                                  size_t count, tdsa_err *err) TDSA_NONNULL;
/**
 * Exponent consistency: the points lie on one polynomial of degree t (at most). The divided
 * difference of each t+2 neighbours must be the identity; with members 0..count-1 these are the
 * finite differences. Additions only. Fewer than t+2 points are always consistent.
 * Errors: TDSA_E_PROTOCOL (they do not), TDSA_E_BAD_INPUT (a member out of range or twice, t over
 * GRP_THRESHOLD_MAX), TDSA_E_CRYPTO.
 */
TDSA_MUST_USE tdsa_status grp_consist_vartime(const grp *g, const grp_point *points,
                                              const uint16_t *members, size_t count, size_t t,
                                              tdsa_err *err) TDSA_NONNULL;

/** Shared points of many indices, to be opened together. */
typedef struct {
    const grp_point
        *points; /* member_count rows of `count`: points[j * count + i] is of member j */
    const uint16_t *members; /* ascending indices */
    size_t member_count;     /* t+1..GRP_PARTIES_MAX */
    size_t t;                /* 1..GRP_THRESHOLD_MAX */
    size_t count;
} grp_shared;

/**
 * For each index i: the points of all members lie on one polynomial of degree t in the exponent
 * (grp_consist_vartime), and out[i] is its value at 0 (grp_interpolate_vartime), which may be the
 * identity. All public. With neighbouring members and a curve that can (P-256, Ed25519) it walks
 * along the differences of the polynomial, additions only, on P-256 one inversion for 64 of them;
 * else index by index.
 *
 * out  `count` points, identities after an error. bad: after an error of one index, which.
 *
 * Errors: TDSA_E_PROTOCOL (index *bad is not consistent; all before are), TDSA_E_BAD_INPUT (counts,
 * members out of order or range), TDSA_E_CRYPTO, TDSA_E_NO_MEMORY.
 */
TDSA_MUST_USE tdsa_status grp_open_batch_vartime(const grp *g, grp_point *out, const grp_shared *o,
                                                 size_t *bad, tdsa_err *err) TDSA_NONNULL;

/**
 * The same for shares in the clear: whether public values lie on one polynomial of degree t (at
 * most). members: distinct indices. Fewer than t+2 values always do.
 */
bool grp_shares_consist_vartime(const grp *g, const grp_scalar *shares, const uint16_t *members,
                                size_t count, size_t t) TDSA_NONNULL;

/** A set of participant indices, ascending. */
typedef struct {
    uint16_t count;
    uint16_t member[GRP_THRESHOLD_MAX + 1];
} grp_set;

/** All subsets of t+1 of `members` (ascending), in lexicographic order; returns how many. */
size_t grp_sets_of(grp_set *out, const uint16_t *members, size_t count, size_t t) TDSA_NONNULL;
bool grp_set_has(const grp_set *a, uint16_t index) TDSA_NONNULL;
/** True when every member of a is in `members`. */
bool grp_set_within(const grp_set *a, const uint16_t *members, size_t count) TDSA_NONNULL;
/** f_A(id of me): 1 at 0 and 0 at the ids of committee members outside A. */
void grp_set_factor(const grp *g, grp_scalar *out, const grp_set *a, const uint16_t *committee,
                    size_t committee_count, uint16_t me) TDSA_NONNULL;
/** The same as a fraction of whole numbers below 2^31. */
void grp_set_fraction(int64_t *num, int64_t *den, const grp_set *a, const uint16_t *committee,
                      size_t committee_count, uint16_t me) TDSA_NONNULL;

/** H2S: first L(q) bytes of SHA-512(stmt(tag,0,...)) | SHA-512(stmt(tag,1,...)) mod q. `fields`
 * holds the encoded items after the counter. Zero is the caller's to refuse. */
TDSA_MUST_USE tdsa_status grp_hash_to_scalar(const grp *g, grp_scalar *out, const char *tag,
                                             const uint8_t *fields, size_t fields_len,
                                             tdsa_err *err) TDSA_NONNULL;

#endif
