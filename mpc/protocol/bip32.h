#ifndef MPC_PROTOCOL_BIP32_H
#define MPC_PROTOCOL_BIP32_H

#include "protocol/key.h"

/**
 * Non-hardened derivation of BIP32 on the public key (docs/protocol.md, "BIP32 with threshold
 * keys"): epsilon = sum of the tweaks, y = Y + epsilon*G.
 *
 * path  elements below 2^31; len may be 0 (epsilon = 0).
 *
 * Errors: TDSA_E_BAD_INPUT (hardened element, a tweak that is not below q, the identity on the way:
 * where SLIP-10 would try again we refuse), TDSA_E_CRYPTO. All public: time depends on the path.
 * Source: BIP32, "Public parent key -> public child key".
 */
TDSA_MUST_USE tdsa_status mpc_bip32_path_vartime(grp_scalar *epsilon, grp_point *y,
                                                 const mpc_key *key, const uint32_t *path,
                                                 size_t len, tdsa_err *err) TDSA_NONNULL;

#endif
