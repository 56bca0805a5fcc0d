#ifndef MPC_PROTOCOL_KEYGEN_H
#define MPC_PROTOCOL_KEYGEN_H

#include "protocol/key.h"

/**
 * Distributed key generation, docs/protocol.md "Key generation" (R0..R4), as a pure state machine.
 *
 * Rounds (every participant sends one message to every other in each round):
 *   0 random   32 fresh bytes and H of my view of the inputs
 *   1 commit   R1, and my full sid digest (64 bytes): a difference aborts before any share is sent
 *   2 deal     R2: the opening and, for this receiver only, share, cc part and contributions
 *   3 report   R3: view digest, OK or complaint, kappa confirms for this receiver
 *   4 stored   R4: only after mpc_keygen_mark_stored
 * Use: new; then per round: mpc_keygen_send for each peer, mpc_keygen_take for each peer's message
 * (in any order, also ahead of time by one round: keep it and take it when the round begins is the
 * caller's work), and when mpc_keygen_round_complete, mpc_keygen_advance.
 *
 * Threads: one at a time per run. Randomness only through cfg->rng. Time: constant in all secrets.
 */
typedef struct mpc_keygen mpc_keygen;

#define MPC_KEYGEN_ROUNDS       5u
#define MPC_KEYGEN_ROUND_STORED 4u

typedef struct {
    const grp *g;
    mpc_scheme scheme;
    uint16_t n, t, me;         /* n >= 2t+1; me: the index of one of the members */
    const mpc_member *members; /* n, ascending index, any of 0..8; lent, copied */
    const char *key_id;
    uint32_t epoch; /* 0 */
    mpc_policy policy;
    tdsa_rng rng;
} mpc_keygen_cfg;

/** Errors: TDSA_E_BAD_INPUT (sizes, ids), TDSA_E_NO_MEMORY, TDSA_E_CRYPTO. */
TDSA_MUST_USE tdsa_status mpc_keygen_new(mpc_keygen **out, const mpc_keygen_cfg *cfg, tdsa_err *err)
    TDSA_NONNULL;
/** Wipes and frees at any point. */
void mpc_keygen_free(mpc_keygen *run);

/** The current round, from 0; mpc_keygen_round_count when done. */
unsigned mpc_keygen_round(const mpc_keygen *run) TDSA_NONNULL;
/** Appends my message of the current round for `to`. May be asked again: same bytes.
 * Errors: TDSA_E_BAD_INPUT (dead run, no such peer, or round 4 before mark_stored). */
TDSA_MUST_USE tdsa_status mpc_keygen_send(mpc_keygen *run, uint16_t to, tdsa_buf *out,
                                          tdsa_err *err) TDSA_NONNULL;
/**
 * Takes `from`'s message of the current round. All checks that need nobody else happen here; a
 * failed check of round 2 does not end the run at once but becomes the complaint of round 3 (as the
 * protocol says: a complaint names dealer and reason, never a share).
 * Errors: TDSA_E_PROTOCOL (run dead; err->participant named), TDSA_E_BAD_INPUT (second message of
 * one sender in a round, run over).
 */
TDSA_MUST_USE tdsa_status mpc_keygen_take(mpc_keygen *run, uint16_t from, const uint8_t *in,
                                          size_t len, tdsa_err *err) TDSA_NONNULL;
/** True when all n-1 messages of the current round are in. */
bool mpc_keygen_round_complete(const mpc_keygen *run) TDSA_NONNULL;
/** True when `from`'s message of the current round is in. */
bool mpc_keygen_has(const mpc_keygen *run, uint16_t from) TDSA_NONNULL;
/** Ends the round: compares what needs everybody, computes, moves to the next. Errors:
 * TDSA_E_PROTOCOL (digests differ, complaint, failed confirm...), TDSA_E_BAD_INPUT (not complete). */
TDSA_MUST_USE tdsa_status mpc_keygen_advance(mpc_keygen *run, tdsa_err *err) TDSA_NONNULL;

/** From round 4 on: the key, lent; the caller stores it PENDING durably, then marks it. Of an export it
 * has no secret, and what is recorded before the mark is the export. */
const mpc_key *mpc_keygen_key(const mpc_keygen *run) TDSA_NONNULL;
void mpc_keygen_mark_stored(mpc_keygen *run) TDSA_NONNULL;
/** Reshare only, in its last round: the new epoch is durably the one in use here. */
void mpc_keygen_mark_active(mpc_keygen *run) TDSA_NONNULL;
/** How many rounds this run has: MPC_KEYGEN_ROUNDS, a reshare one more. */
unsigned mpc_keygen_round_count(const mpc_keygen *run) TDSA_NONNULL;
/** True when this participant gets a share: only a reshare has others. */
bool mpc_keygen_gets_share(const mpc_keygen *run) TDSA_NONNULL;
/** The sid of the run from round 1 on (32 bytes, lent). */
const uint8_t *mpc_keygen_sid(const mpc_keygen *run) TDSA_NONNULL;

#endif
