#ifndef TDSA_BASE_KDF_H
#define TDSA_BASE_KDF_H

#include "base/secret.h"

/** Costs of scrypt that are accepted: memory is 1 KiB * 2^log2_n, so 16 MiB to 256 MiB. */
#define TDSA_SCRYPT_LOG2_MIN 14u
#define TDSA_SCRYPT_LOG2_MAX 18u
#define TDSA_SCRYPT_SALT_LEN 16u

/** 32 bytes from a passphrase: scrypt (RFC 7914) with r = 8, p = 1. Where it reads its memory depends on
 * the passphrase: that is scrypt's design. Errors: TDSA_E_BAD_INPUT (cost), TDSA_E_CRYPTO (no memory,
 * too). */
TDSA_MUST_USE tdsa_status tdsa_scrypt(uint8_t out[32], const char *passphrase,
                                      const uint8_t salt[TDSA_SCRYPT_SALT_LEN], unsigned log2_n,
                                      tdsa_err *err) TDSA_NONNULL;

#endif
