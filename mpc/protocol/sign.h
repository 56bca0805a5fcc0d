#ifndef MPC_PROTOCOL_SIGN_H
#define MPC_PROTOCOL_SIGN_H

#include "base/hash.h"
#include "protocol/presign.h"

/** Online signing, docs/protocol.md "Online signing" (ECDSA, B+) and "Schnorr" (EdDSA, BIP-340). */

#define MPC_MESSAGE_MAX     65536u /* bytes of a message for keys of purpose message */
#define MPC_MERKLE_ROOT_LEN 32u

/** Request Q in parts. */
typedef struct {
    char key_id[MPC_KEY_ID_MAX + 1];
    uint32_t epoch;
    uint8_t beta[32];
    uint32_t index; /* presig-id = (beta, index) */
    uint16_t committee[GRP_PARTIES_MAX];
    uint16_t committee_count;
    mpc_scheme scheme;
    tdsa_hash_alg digest_alg;
    const uint8_t *payload; /* digest, or message; lent */
    size_t payload_len;
    uint32_t path[MPC_PATH_MAX];
    uint16_t path_len;
    bool low_s; /* ECDSA only */
    /* BIP-340 only: sign with the output key of BIP-341, of a script tree with this root or of none */
    bool taproot;
    bool has_merkle_root; /* only with taproot */
    uint8_t merkle_root[MPC_MERKLE_ROOT_LEN];
    uint8_t policy_tag[32];
} mpc_request;

/** Q = stmt("request", version, key-id, epoch, [beta, index], committee, scheme, digest algorithm,
 * payload, path, options, policy tag). Options: ECDSA [low-S 0|1], BIP-340 [taproot 0|1, merkle root
 * or absent], EdDSA []. The Schnorr schemes have digest algorithm "none" and the message as payload. */
void mpc_request_encode(tdsa_buf *out, const mpc_request *q) TDSA_NONNULL;
/** Strict: shape, lengths and ranges, the digest word and options of the scheme; payload is lent from `in`. Errors: TDSA_E_BAD_INPUT. */
TDSA_MUST_USE tdsa_status mpc_request_decode(mpc_request *out, const uint8_t *in, size_t len,
                                             tdsa_err *err) TDSA_NONNULL;
/** Fills key id, epoch, scheme and policy tag of a key. */
TDSA_MUST_USE tdsa_status mpc_request_for_key(mpc_request *q, const mpc_key *key, tdsa_err *err)
    TDSA_NONNULL;

/** Everything that follows from (key, own presignature, Q). Public. */
typedef struct {
    mpc_scheme scheme;
    uint8_t transcript[64]; /* T */
    uint8_t prepared[64];   /* T0 in prepare mode, else 0 */
    grp_scalar epsilon;     /* of the derivation path */
    grp_point y_final;      /* Y': derived, in BIP-340 also tweaked and with even y */
    /* ECDSA */
    grp_scalar h, r, delta;
    bool low_s;
    /* Schnorr: R = D + rho*E as it is published, challenge, taproot tweak, and the signs that BIP-340
     * wants for R (s_R), the derived key (s_0) and the output key (s_1) */
    grp_scalar rho, c, tweak;
    uint8_t r_bytes[32];
    bool negate_nonce, negate_key, negate_output;
} mpc_context;

/**
 * Checks Q against the key's policy and the batch (own R, own committee) and computes the context.
 * q_bytes: the exact bytes of Q as received; q: their decoded form.
 * Errors: TDSA_E_BAD_INPUT (a batch of another key object, h = 0, delta = 0, R^ = O, r = 0; rho = 0, R = O, c = 0, a tweak that is
 * not below q, Y' = O; wrong lengths), TDSA_E_DENIED (policy:
 * purpose, digest algorithm, path, options), TDSA_E_NOT_FOUND (index outside the batch),
 * TDSA_E_CONFLICT (epoch, committee, policy tag differ). A key of prepare mode is refused here:
 * protocol/prepare.h.
 */
TDSA_MUST_USE tdsa_status mpc_context_new(mpc_context *out, const mpc_key *key,
                                          const mpc_batch *batch, const mpc_request *q,
                                          const uint8_t *q_bytes, size_t q_len, tdsa_err *err)
    TDSA_NONNULL;

/** Member: appends stmt("reply", me, T, committee, [mu, nu]), Schnorr [z]. The presignature must be marked used
 * durably before this is called. Several threads may use one batch. Errors: TDSA_E_CRYPTO. */
TDSA_MUST_USE tdsa_status mpc_sign_reply(tdsa_buf *out, const mpc_key *key, mpc_batch *batch,
                                         const mpc_request *q, const mpc_context *ctx,
                                         tdsa_err *err) TDSA_NONNULL;

/** The finished signature; all public. */
typedef struct {
    /* ECDSA: r | s, big-endian, fixed width; EdDSA: the 64 bytes of RFC 8032; BIP-340: its 64 */
    uint8_t bytes[2 * GRP_SCALAR_LEN_MAX];
    size_t len;
    uint8_t recovery_id; /* ECDSA: (y_V odd) + 2*(x_V >= q), from the verified V; else 0 */
} mpc_signature;

/** Combiner over the replies of a whole committee. */
typedef struct mpc_combine mpc_combine;
TDSA_MUST_USE tdsa_status mpc_combine_new(mpc_combine **out, const mpc_key *key,
                                          const mpc_batch *batch, const mpc_context *ctx,
                                          tdsa_err *err) TDSA_NONNULL;
void mpc_combine_free(mpc_combine *c);
/** Takes one member's reply (my own included). Errors: TDSA_E_PROTOCOL naming the member. */
TDSA_MUST_USE tdsa_status mpc_combine_take(mpc_combine *c, uint16_t from, const uint8_t *in,
                                           size_t len, tdsa_err *err) TDSA_NONNULL;
/** A table of the public key makes mpc_combine_finish faster; of another key (that of a derivation path is
 * another) it is not used. `t` is lent until then. */
void mpc_combine_use(mpc_combine *c, const grp_table *t) TDSA_NONNULL;
bool mpc_combine_complete(const mpc_combine *c) TDSA_NONNULL;
/** ECDSA: s = nu/mu, low-S if asked; Schnorr: z; verify, and only then release. Errors: TDSA_E_VERIFY
 * (mu or nu 0, or the signature does not verify: burnt, alarm, never retried with it). */
TDSA_MUST_USE tdsa_status mpc_combine_finish(mpc_combine *c, mpc_signature *out, tdsa_err *err)
    TDSA_NONNULL;

#endif
