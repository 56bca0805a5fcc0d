#ifndef GRP_PRSS_H
#define GRP_PRSS_H

#include "group/sharing.h"

/**
 * Pseudo-random secret sharing over one batch (docs/protocol.md, "Keys for randomness"): the share
 * v_j of a random value per index that all members of the committee compute alone.
 */
typedef struct grp_prss grp_prss;

/** One set key kappa_A of mine. */
typedef struct {
    grp_set set;
    uint8_t key[32]; /* secret */
} grp_set_key;

typedef struct {
    const grp_set_key *keys; /* every set that `me` is in; lent during the call */
    size_t key_count;
    const uint16_t *committee; /* 2t+1 ascending indices */
    size_t committee_count;
    uint16_t me;
    const char *name;    /* "k", "a", "coin", "d", "e" */
    const uint8_t *beta; /* 32 bytes, the batch label */
} grp_prss_cfg;

/** Prepares the streams; g is lent until grp_prss_free. Errors: TDSA_E_BAD_INPUT (committee not
 * ascending, of even size or without me; a set key that is not mine, comes twice or is missing),
 * TDSA_E_CRYPTO, TDSA_E_NO_MEMORY. */
TDSA_MUST_USE tdsa_status grp_prss_new(grp_prss **out, const grp *g, const grp_prss_cfg *cfg,
                                       tdsa_err *err) TDSA_NONNULL;
/** out[i] = my share of value first+i, for i < count. Secret. Errors: TDSA_E_BAD_INPUT (first not
 * below 2^32), TDSA_E_CRYPTO. */
TDSA_MUST_USE tdsa_status grp_prss_shares(grp_prss *p, grp_scalar *out, uint64_t first,
                                          size_t count, tdsa_err *err) TDSA_NONNULL;
/** Wipes and frees. */
void grp_prss_free(grp_prss *p);

/** What all pads of one participant in one committee have in common. */
typedef struct grp_pad_keys grp_pad_keys;

typedef struct {
    const uint16_t *committee; /* 2t+1 ascending indices */
    size_t committee_count;
    uint16_t me;
    const uint8_t (*pair_keys)[32]; /* kappa_{me,i} at position i; own position unused */
    const grp_pad_keys *prepared;   /* from the same committee and keys; NULL: made for this call */
    const char *word;               /* "mu", "nu" or "z" */
    const uint8_t *transcript;      /* T, 64 bytes */
} grp_pad_cfg;

/**
 * pad_j = lambda_j^-1 * sum over i != j of sigma_ji * PRF(kappa_ij; word, T), with sigma_ji = +1
 * when j < i, else -1; PRF = HKDF-Expand(kappa, stmt("pad-" word, T), L) mod q.
 */
TDSA_MUST_USE tdsa_status grp_pad(const grp *g, grp_scalar *out, const grp_pad_cfg *cfg,
                                  tdsa_err *err) TDSA_NONNULL;
/** Prepares cfg->committee, me and pair_keys for many pads, each of which then costs a third. Holds
 * secrets: free with grp_pad_keys_free, which wipes. Errors: TDSA_E_BAD_INPUT, TDSA_E_NO_MEMORY. */
TDSA_MUST_USE tdsa_status grp_pad_keys_new(grp_pad_keys **out, const grp *g, const grp_pad_cfg *cfg,
                                           tdsa_err *err) TDSA_NONNULL;
void grp_pad_keys_free(grp_pad_keys *k);

#endif
