#ifndef PART_VERIFY_H
#define PART_VERIFY_H

#include "protocol/key.h"

/** A finished signature and what it is said to be of; all public, lent. */
typedef struct {
    const grp *g;
    mpc_scheme scheme;
    const uint8_t *public_key; /* as part_key_info has it */
    size_t public_key_len;
    const uint8_t *data; /* ECDSA: the digest; else the message; may be NULL if empty */
    size_t data_len;
    const uint8_t *signature; /* as part_sign_result.rs */
    size_t signature_len;
} part_signature;

/** Verifies in software. Errors: TDSA_E_VERIFY (it is not a signature of that), TDSA_E_BAD_INPUT (wrong
 * length of the signature, or no public key), TDSA_E_CRYPTO. Threads: any. */
TDSA_MUST_USE tdsa_status part_verify_vartime(const part_signature *s, tdsa_err *err) TDSA_NONNULL;

#endif
