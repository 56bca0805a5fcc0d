#ifndef MPC_PROTOCOL_PREPARE_H
#define MPC_PROTOCOL_PREPARE_H

#include "protocol/sign.h"

/**
 * Prepare mode of ECDSA keys whose policy says so, docs/protocol.md "Prepare mode": one exchange more.
 * Each member locks the presignature to T0 (the request without coins) and gives its share c_j of a
 * value that nobody knew; the whole list of shares then goes into T.
 */

/** Coin shares by position in the committee. Public. */
typedef struct {
    uint16_t count; /* 2t+1 */
    uint16_t seen;  /* bit per position */
    grp_scalar c[GRP_PARTIES_MAX];
} mpc_coins;

/** T0: all checks of mpc_context_new that need no coins, then H('prepare', ...).
 * Errors: those of mpc_context_new; TDSA_E_DENIED (the key does not sign in prepare mode). */
TDSA_MUST_USE tdsa_status mpc_prepare_new(uint8_t t0[64], const mpc_key *key,
                                          const mpc_batch *batch, const mpc_request *q,
                                          const uint8_t *q_bytes, size_t q_len, tdsa_err *err)
    TDSA_NONNULL;
/** Member: appends stmt("coin", me, T0, committee, [c_j]). The presignature must be locked to T0
 * durably before this is called. Errors: TDSA_E_BAD_INPUT (no secret half, no prepare mode),
 * TDSA_E_CRYPTO. */
TDSA_MUST_USE tdsa_status mpc_prepare_reply(tdsa_buf *out, const mpc_key *key, mpc_batch *batch,
                                            uint32_t index, const uint8_t t0[64], tdsa_err *err)
    TDSA_NONNULL;
/** Takes one member's coin into a list that was {0} at first. Errors: TDSA_E_PROTOCOL naming it. */
TDSA_MUST_USE tdsa_status mpc_prepare_take(mpc_coins *coins, const mpc_key *key,
                                           const mpc_batch *batch, const uint8_t t0[64],
                                           uint16_t from, const uint8_t *in, size_t len,
                                           tdsa_err *err) TDSA_NONNULL;
bool mpc_prepare_complete(const mpc_coins *coins, const mpc_key *key) TDSA_NONNULL;
/** Whether my own c_j is in its place and all lie on one polynomial of degree t.
 * Errors: TDSA_E_PROTOCOL (they do not; who lied cannot be known), TDSA_E_BAD_INPUT (not complete). */
TDSA_MUST_USE tdsa_status mpc_prepare_check(const mpc_coins *coins, const mpc_key *key,
                                            mpc_batch *batch, uint32_t index, tdsa_err *err)
    TDSA_NONNULL;
/** mpc_context_new with a coin list: checks the list and puts all of it into T; out->prepared is T0,
 * which must be what the presignature is locked to. Errors: those of both. */
TDSA_MUST_USE tdsa_status mpc_context_prepared(mpc_context *out, const mpc_key *key,
                                               mpc_batch *batch, const mpc_request *q,
                                               const uint8_t *q_bytes, size_t q_len,
                                               const mpc_coins *coins, tdsa_err *err) TDSA_NONNULL;

/** The list as one item of a statement: a list of scalars. */
void mpc_coins_put(tdsa_buf *out, const grp *g, const mpc_coins *coins) TDSA_NONNULL;
/** Exactly `count` canonical scalars. Errors: TDSA_E_BAD_INPUT. */
TDSA_MUST_USE tdsa_status mpc_coins_get(tdsa_reader *r, const grp *g, uint16_t count,
                                        mpc_coins *out, tdsa_err *err) TDSA_NONNULL;

#endif
