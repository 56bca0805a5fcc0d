#ifndef MPC_PROTOCOL_IMPORT_H
#define MPC_PROTOCOL_IMPORT_H

#include "protocol/keygen.h"

/**
 * Import of an existing key, docs/protocol.md "Import": a key generation (R0..R4, the same machine) in
 * which one participant, the dealer, deals a polynomial whose constant is the key, and every other one
 * deals one whose constant is 0. So there is no moment at which shares that the dealer alone chose
 * would be the key's: each honest participant makes them anew in the same run. The dealer tells the
 * public key and the chain code in round 0; the run goes on only if all have heard the same, and everybody
 * checks the dealing against it.
 *
 * Threads, time: as mpc_keygen; constant in the key.
 */
typedef struct {
    const tdsa_secret *x; /* the scalar as grp_scalar_encode writes it, 1..q-1; lent */
    uint8_t cc[32];       /* chain code of the key */
} mpc_import_key;

typedef struct {
    mpc_keygen_cfg keygen; /* epoch 0 */
    uint16_t dealer;       /* one of the members */
    /* the dealer's; NULL at everybody else */
    const mpc_import_key *key;
} mpc_import_cfg;

/**
 * The scalar of a private key as its formats hold it: a big-endian number (leading zeros are allowed); on
 * Ed25519 the 32 bytes of RFC 8032, whose scalar is the clamped first half of their SHA-512, modulo the
 * order: it has the same public key.
 * public_key: what it must belong to, in any form that grp_point_decode takes; may be NULL.
 * Errors: TDSA_E_BAD_INPUT (length, range, another public key), TDSA_E_CRYPTO, TDSA_E_NO_MEMORY.
 */
TDSA_MUST_USE tdsa_status mpc_import_scalar(tdsa_secret **out, const grp *g,
                                            const tdsa_secret *private_key,
                                            const uint8_t *public_key, size_t public_key_len,
                                            tdsa_err *err) __attribute__((nonnull(1, 2, 3, 6)));

/** Errors: those of mpc_keygen_new, TDSA_E_BAD_INPUT (no member deals; the key is missing, given to
 * another, or out of range). */
TDSA_MUST_USE tdsa_status mpc_import_new(mpc_keygen **out, const mpc_import_cfg *cfg, tdsa_err *err)
    TDSA_NONNULL;

#endif
