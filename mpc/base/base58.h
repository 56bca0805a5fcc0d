#ifndef TDSA_BASE_BASE58_H
#define TDSA_BASE_BASE58_H

#include "base/buf.h"

#define TDSA_BASE58CHECK_BYTES_MAX 128u /* of what is encoded */

/** Appends Base58Check: the bytes and the first four of their double SHA-256, in Bitcoin's Base58.
 * Errors: TDSA_E_BAD_INPUT (more than TDSA_BASE58CHECK_BYTES_MAX), TDSA_E_CRYPTO,
 * TDSA_E_NO_MEMORY. All public. */
TDSA_MUST_USE tdsa_status tdsa_base58check_encode(tdsa_buf *out, const uint8_t *bytes, size_t len,
                                                  tdsa_err *err) TDSA_NONNULL;
/** Appends the bytes of Base58Check text (`len` characters). Errors: TDSA_E_BAD_INPUT (a character
 * that is not Base58, too long, too short, a wrong checksum), TDSA_E_NO_MEMORY. */
TDSA_MUST_USE tdsa_status tdsa_base58check_decode(tdsa_buf *out, const char *text, size_t len,
                                                  tdsa_err *err) TDSA_NONNULL;

#endif
