#ifndef MPC_PROTOCOL_PRESIGN_H
#define MPC_PROTOCOL_PRESIGN_H

#include "protocol/key.h"

/**
 * Presignature batches, docs/protocol.md "Presignatures" (B+), as a pure state machine. Rounds, each
 * committee member to each other:
 *   0 nonce  N_j, 32 fresh bytes, with (key-id, epoch, lane, seq, count, committee) repeated
 *   1 R      stmt("R", beta, index, octets of all my R_j; wire form fixed by cfg); the Schnorr schemes
 *            send D_j and E_j of each presignature one after the other
 *   2 list   H('list', beta, all R), 64 bytes
 * The caller raises seq durably after round 0 is complete and before it sends round 1; it stores the
 * batch MADE before it sends round 2 and FREE when the run is done.
 * The calls have the same meaning as in protocol/keygen.h.
 */
typedef struct mpc_presign mpc_presign;

#define MPC_PRESIGN_ROUNDS    3u
#define MPC_PRESIGN_COUNT_MAX 1024u

typedef struct {
    const mpc_key *key;                  /* with its secret half; lent for the whole run */
    uint16_t committee[GRP_PARTIES_MAX]; /* exactly 2t+1, ascending, key->pub.me among them */
    uint64_t lane, seq;
    uint32_t count;       /* 1..MPC_PRESIGN_COUNT_MAX */
    bool compressed_wire; /* points compressed on the wire; else uncompressed */
    tdsa_rng rng;
} mpc_presign_cfg;

TDSA_MUST_USE tdsa_status mpc_presign_new(mpc_presign **out, const mpc_presign_cfg *cfg,
                                          tdsa_err *err) TDSA_NONNULL;
void mpc_presign_free(mpc_presign *run);
unsigned mpc_presign_round(const mpc_presign *run) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status mpc_presign_send(mpc_presign *run, uint16_t to, tdsa_buf *out,
                                           tdsa_err *err) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status mpc_presign_take(mpc_presign *run, uint16_t from, const uint8_t *in,
                                           size_t len, tdsa_err *err) TDSA_NONNULL;
bool mpc_presign_has(const mpc_presign *run, uint16_t from) TDSA_NONNULL;
bool mpc_presign_round_complete(const mpc_presign *run) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status mpc_presign_advance(mpc_presign *run, tdsa_err *err) TDSA_NONNULL;

/** From round 1 on: the batch label (32 bytes, lent). */
const uint8_t *mpc_presign_beta(const mpc_presign *run) TDSA_NONNULL;
/** From round 2 on: the batch as the keystore holds it, stmt("batch-data", committee, octets of the
 * uncompressed R list; D and E of each presignature in the Schnorr schemes). */
TDSA_MUST_USE tdsa_status mpc_presign_data(const mpc_presign *run, tdsa_buf *out, tdsa_err *err)
    TDSA_NONNULL;

/** A finished batch in memory, ready to sign from: committee, R list, its two PRSS streams.
 * Holds secrets (stream keys). Threads: one at a time in mpc_sign_reply; calls that take it as const
 * may run beside it. */
typedef struct mpc_batch mpc_batch;

/** From stored batch data. `key` is lent and must outlive it. Errors: TDSA_E_BAD_INPUT. */
TDSA_MUST_USE tdsa_status mpc_batch_new(mpc_batch **out, const mpc_key *key, const uint8_t beta[32],
                                        uint32_t count, const uint8_t *data, size_t len,
                                        tdsa_err *err) TDSA_NONNULL;
void mpc_batch_free(mpc_batch *b);
const uint8_t *mpc_batch_beta(const mpc_batch *b) TDSA_NONNULL;
uint32_t mpc_batch_count(const mpc_batch *b) TDSA_NONNULL;
/** 2t+1 ascending indices, lent. */
const uint16_t *mpc_batch_committee(const mpc_batch *b) TDSA_NONNULL;

#endif
