#ifndef MPC_PROTOCOL_RESHARE_H
#define MPC_PROTOCOL_RESHARE_H

#include "protocol/keygen.h"

/**
 * Reshare and proactive refresh, docs/protocol.md "Reshare": members of the old epoch (the dealers S)
 * give a new set of members new shares of the same key under epoch + 1. It is a key generation whose
 * secret is there already: mpc_reshare_new makes an mpc_keygen, which runs in the same way and over
 * the same rounds (R0..R4), and then over one more:
 *   5 active   only after mpc_keygen_mark_active: the sender has made the new epoch the one it uses
 * Who takes part: dealers and members of the new set; one may be both. For a participant that leaves
 * (it deals only) mpc_keygen_key has no secret half, and `me` is not among its members.
 *
 * A run in which the members and t stay as they are and everybody deals is a refresh: its
 * polynomials have the constant 0.
 *
 * Threads, time: as mpc_keygen.
 */
#define MPC_RESHARE_ROUNDS       6u
#define MPC_RESHARE_ROUND_ACTIVE 5u

typedef struct {
    const grp *g;
    const char *key_id;
    mpc_scheme scheme;
    mpc_policy policy;  /* the key's; `reshare` must be set */
    uint32_t old_epoch; /* the new one is one more */
    uint16_t old_t;
    const uint16_t *old_indices; /* the members of the old epoch, ascending; lent, copied */
    uint16_t old_n;
    const mpc_member *dealers; /* S: more than old_t members of the old epoch; lent, copied */
    uint16_t dealer_count;
    const mpc_member *members; /* of the new epoch; lent, copied */
    uint16_t n, t;             /* of the new epoch; n >= 2t+1 */
    uint16_t me;
    /* my record of this key, lent for the call; a dealer's with its secret half, of old_epoch. NULL
     * when this participant has none: it believes what all dealers report alike. One of an earlier
     * epoch may be given too: public key and chain code must be the same. */
    const mpc_key *mine;
    tdsa_rng rng;
} mpc_reshare_cfg;

/** Errors: TDSA_E_BAD_INPUT (sizes, ids, sets; the record is not of this key, epoch or members),
 * TDSA_E_DENIED (the key's policy forbids it), TDSA_E_NO_MEMORY, TDSA_E_CRYPTO. */
TDSA_MUST_USE tdsa_status mpc_reshare_new(mpc_keygen **out, const mpc_reshare_cfg *cfg,
                                          tdsa_err *err) TDSA_NONNULL;

/** H('key', key id, epoch, curve, t, [indices], Y, [X_i], chain code): what all dealers report. */
TDSA_MUST_USE tdsa_status mpc_key_digest(uint8_t out[64], const mpc_key *k, tdsa_err *err)
    TDSA_NONNULL;

#endif
