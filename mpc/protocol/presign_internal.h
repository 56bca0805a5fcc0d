#ifndef MPC_PROTOCOL_PRESIGN_INTERNAL_H
#define MPC_PROTOCOL_PRESIGN_INTERNAL_H

#include "protocol/key_internal.h"
#include "protocol/presign.h"
#include "protocol/round.h"

/* The inside of a presignature run and of a batch, shared by the files of mpc/protocol only. */

#define PRESIGN_NONCE_LEN 32u

struct mpc_presign {
    mpc_round round;
    const grp *g;
    const mpc_key *key;
    uint16_t committee[GRP_PARTIES_MAX];
    uint16_t committee_count;
    uint64_t lane, seq;
    uint32_t count;
    bool compressed_wire;
    uint8_t nonce[GRP_PARTIES_MAX][PRESIGN_NONCE_LEN]; /* by participant */
    uint8_t beta[32];
    grp_point *points; /* R_j by position in the committee, then index; NULL but in round 1 */
    uint8_t *wire;     /* my R_j as they travel */
    size_t wire_len;
    uint8_t *r_list; /* all R, uncompressed; from round 2 on */
    size_t r_list_len;
    uint8_t list[64];
};

size_t presign_message_len(const mpc_presign *run, unsigned round) TDSA_NONNULL;
void presign_send_nonce(const mpc_presign *run, tdsa_buf *out) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status presign_take_nonce(mpc_presign *run, uint16_t from, const uint8_t *in,
                                             size_t len, tdsa_err *err) TDSA_NONNULL;
/** All nonces are in: beta, my shares of k, my R_j. */
TDSA_MUST_USE tdsa_status presign_end_nonce(mpc_presign *run, tdsa_err *err) TDSA_NONNULL;
void presign_send_r(const mpc_presign *run, tdsa_buf *out) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status presign_take_r(mpc_presign *run, uint16_t from, const uint8_t *in,
                                         size_t len, tdsa_err *err) TDSA_NONNULL;
/** All R_j are in: consistency, R, list digest. */
TDSA_MUST_USE tdsa_status presign_end_r(mpc_presign *run, tdsa_err *err) TDSA_NONNULL;
void presign_send_list(const mpc_presign *run, tdsa_buf *out) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status presign_take_list(mpc_presign *run, uint16_t from, const uint8_t *in,
                                            size_t len, tdsa_err *err) TDSA_NONNULL;

struct mpc_batch {
    const mpc_key *key;
    uint8_t beta[32];
    uint32_t count;
    uint16_t committee[GRP_PARTIES_MAX];
    uint8_t *r_list; /* count uncompressed points, decoded when used */
    grp_prss *k, *a; /* NULL when the key has no secret half here */
};

/** R of one index, decoded. index < count. Errors: TDSA_E_BAD_INPUT. */
TDSA_MUST_USE tdsa_status batch_r(grp_point *out, const mpc_batch *b, uint32_t index, tdsa_err *err)
    TDSA_NONNULL;
/** My PRSS streams 'k' or 'a' of a batch. */
TDSA_MUST_USE tdsa_status presign_stream(grp_prss **out, const mpc_key *key,
                                         const uint16_t *committee, size_t committee_count,
                                         const char *name, const uint8_t beta[32], tdsa_err *err)
    TDSA_NONNULL;

#endif
