#ifndef CLI_PUBKEY_H
#define CLI_PUBKEY_H

#include "participant/engine.h"

/**
 * Whether a file holds this public key: PEM or DER (SubjectPublicKeyInfo), or the point in hex, short
 * or long. Errors: TDSA_E_BAD_INPUT (cannot be read, or is none of these).
 */
typedef struct {
    const grp *g;
    const grp_point *y;
} cli_pubkey;
TDSA_MUST_USE tdsa_status cli_pubkey_is(bool *out, const cli_pubkey *key, const char *path,
                                        tdsa_err *err) TDSA_NONNULL;
/** Appends the short form in hex, as the API shows public keys. */
TDSA_MUST_USE tdsa_status cli_pubkey_hex(tdsa_buf *out, const cli_pubkey *key, tdsa_err *err)
    TDSA_NONNULL;

#endif
