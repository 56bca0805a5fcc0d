#ifndef MPC_PROTOCOL_SCHNORR_H
#define MPC_PROTOCOL_SCHNORR_H

#include "protocol/presign_internal.h"
#include "protocol/sign.h"

/*
 * What only the Schnorr schemes have: EdDSA on Ed25519 (RFC 8032) and BIP-340 on secp256k1 with the
 * key tweak of BIP-341. Everything here but the reply is public. For the files of mpc/protocol only.
 */

/** Bytes of R and of a public key as both schemes hash and publish them. */
#define SCHNORR_KEY_LEN 32u
#define SCHNORR_SIG_LEN 64u

/** A point as the scheme publishes it: Ed25519 its encoding, BIP-340 its x. */
void schnorr_encode(const grp *g, mpc_scheme scheme, uint8_t out[SCHNORR_KEY_LEN],
                    const grp_point *p) TDSA_NONNULL;
/** c: Ed25519 SHA-512(R | A | M), little-endian, mod l; BIP-340 the tagged hash
 * "BIP0340/challenge" of (R | P | m) mod q. msg may be NULL when len is 0. Errors: TDSA_E_CRYPTO. */
TDSA_MUST_USE tdsa_status schnorr_challenge(const grp *g, mpc_scheme scheme, grp_scalar *c,
                                            const uint8_t r[SCHNORR_KEY_LEN],
                                            const uint8_t y[SCHNORR_KEY_LEN], const uint8_t *msg,
                                            size_t len, tdsa_err *err);
/** The tweak of BIP-341: tagged hash "TapTweak" of (x | root); root NULL: without a script tree.
 * Errors: TDSA_E_BAD_INPUT (not below q), TDSA_E_CRYPTO. */
TDSA_MUST_USE tdsa_status schnorr_tap_tweak(const grp *g, grp_scalar *out,
                                            const uint8_t x[SCHNORR_KEY_LEN], const uint8_t *root,
                                            tdsa_err *err);
/** The scheme's rule over a signature and its challenge: V = z*G - c*Y is R. BIP-340: y is the point
 * with even y. Errors: TDSA_E_VERIFY. */
TDSA_MUST_USE tdsa_status schnorr_verify_vartime(const grp *g, mpc_scheme scheme,
                                                 const grp_point *y, const grp_scalar *c,
                                                 const uint8_t sig[SCHNORR_SIG_LEN], tdsa_err *err)
    TDSA_NONNULL;

/** ctx->y_final holds Y + epsilon*G: makes it the final key, with the signs and the tweak that lead
 * there. Errors: TDSA_E_BAD_INPUT (the identity, a tweak out of range), TDSA_E_CRYPTO. */
TDSA_MUST_USE tdsa_status schnorr_final_key(mpc_context *ctx, const grp *g, const mpc_request *q,
                                            tdsa_err *err) TDSA_NONNULL;
/** rho from T, R = D + rho*E with its sign, c. Errors: TDSA_E_BAD_INPUT (rho = 0, R = O, c = 0),
 * TDSA_E_CRYPTO. */
TDSA_MUST_USE tdsa_status schnorr_bind(mpc_context *ctx, const grp *g, const mpc_request *q,
                                       const grp_point nonce[PRESIGN_POINTS_MAX], tdsa_err *err)
    TDSA_NONNULL;
/** z = s_R(d + rho*e) + c*s_1(s_0(x + epsilon) + tweak) + pad. Secret in d, e, x, pad and z. */
void schnorr_value(grp_scalar *z, const grp *g, const mpc_context *ctx, const grp_scalar *d,
                   const grp_scalar *e, const grp_scalar *x, const grp_scalar *pad) TDSA_NONNULL;

#endif
