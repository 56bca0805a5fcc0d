#ifndef MPC_PROTOCOL_PRESIGN_INTERNAL_H
#define MPC_PROTOCOL_PRESIGN_INTERNAL_H

#include "protocol/key_internal.h"
#include "protocol/presign.h"
#include "protocol/round.h"

/* The inside of a presignature run and of a batch, shared by the files of mpc/protocol only. */

#define PRESIGN_NONCE_LEN  32u
#define PRESIGN_STREAMS    2u /* PRSS streams of a batch, any scheme */
#define PRESIGN_POINTS_MAX 2u /* opened points per presignature */

struct mpc_presign {
    mpc_round round;
    const grp *g;
    const mpc_key *key;
    uint16_t committee[GRP_PARTIES_MAX];
    uint16_t committee_count;
    uint64_t lane, seq;
    uint32_t count;
    uint32_t width; /* points per presignature: mpc_scheme_points */
    bool compressed_wire;
    uint8_t nonce[GRP_PARTIES_MAX][PRESIGN_NONCE_LEN]; /* by participant */
    uint8_t beta[32];
    /* R_j (or D_j, E_j) by position in the committee, then index, then stream; NULL but in round 1 */
    grp_point *points;
    uint8_t *wire; /* mine as they travel: index, then stream */
    size_t wire_len;
    uint8_t *r_list; /* all R (or D, E), uncompressed; from round 2 on */
    size_t r_list_len;
    uint8_t list[64];
};

size_t presign_message_len(const mpc_presign *run, unsigned round) TDSA_NONNULL;
void presign_send_nonce(const mpc_presign *run, tdsa_buf *out) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status presign_take_nonce(mpc_presign *run, uint16_t from, const uint8_t *in,
                                             size_t len, tdsa_err *err) TDSA_NONNULL;
/** All nonces are in: beta, my shares of the nonces, my R_j. */
TDSA_MUST_USE tdsa_status presign_end_nonce(mpc_presign *run, tdsa_err *err) TDSA_NONNULL;
void presign_send_r(const mpc_presign *run, tdsa_buf *out) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status presign_take_r(mpc_presign *run, uint16_t from, const uint8_t *in,
                                         size_t len, tdsa_err *err) TDSA_NONNULL;
/** All R_j are in: consistency, R, list digest. */
TDSA_MUST_USE tdsa_status presign_end_r(mpc_presign *run, tdsa_err *err) TDSA_NONNULL;
void presign_send_list(const mpc_presign *run, tdsa_buf *out) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status presign_take_list(mpc_presign *run, uint16_t from, const uint8_t *in,
                                            size_t len, tdsa_err *err) TDSA_NONNULL;

/** Scalars in a reply of a scheme: mu and nu, or z. */
#define REPLY_VALUES_MAX 2u
size_t mpc_reply_values(mpc_scheme scheme);

struct mpc_batch {
    const mpc_key *key;
    uint8_t beta[32];
    uint32_t count;
    uint16_t committee[GRP_PARTIES_MAX];
    uint8_t *r_list; /* R, or D and E, of each index, uncompressed, decoded when used */
    grp_prss *stream[PRESIGN_STREAMS]; /* NULL when the key has no secret half here */
    grp_pad_keys *pads;                /* the same */
    /* what every request of the batch is checked against or hashed with: the key's, fixed */
    uint8_t policy_tag[32], cc_hash[32];
    grp_scalar lambda[GRP_PARTIES_MAX]; /* Lagrange coefficients of the committee at 0 */
    grp_prss *coin;                     /* of keys in prepare mode only */
};

/** R, or D and E, of one index, decoded; the rest of out is the identity. index < count.
 * Errors: TDSA_E_BAD_INPUT. */
TDSA_MUST_USE tdsa_status batch_points(grp_point out[PRESIGN_POINTS_MAX], const mpc_batch *b,
                                       uint32_t index, tdsa_err *err) TDSA_NONNULL;
/** Name of PRSS stream 0 or 1 of a scheme: ECDSA 'k' (opened as R) and 'a'; Schnorr 'd' and 'e' (both
 * opened, as D and E). The first mpc_scheme_points streams are the opened ones. */
const char *presign_stream_name(mpc_scheme scheme, size_t which);
/** My share stream of that name for a batch. */
TDSA_MUST_USE tdsa_status presign_stream(grp_prss **out, const mpc_key *key,
                                         const uint16_t *committee, size_t committee_count,
                                         const char *name, const uint8_t beta[32], tdsa_err *err)
    TDSA_NONNULL;

#endif
