#ifndef TDSA_BASE_KEYFILE_H
#define TDSA_BASE_KEYFILE_H

#include <stdint.h>

#include "base/secret.h"

/** Longest file of a private key that is read. */
#define TDSA_KEYFILE_TEXT_MAX 16384u
/** Longest public key in it: an uncompressed point of P-521. */
#define TDSA_KEYFILE_PUBLIC_MAX 133u

/** A private key out of a file. */
typedef struct {
    const char *curve; /* "P-256", "P-384", "P-521", "secp256k1" or "Ed25519"; static */
    /* a big-endian number as long as the order; Ed25519: the 32 bytes of RFC 8032. Owned. */
    tdsa_secret *key;
    uint8_t
        public_key[TDSA_KEYFILE_PUBLIC_MAX]; /* as the file says, or computed where it does not */
    size_t public_key_len;
} tdsa_keyfile;

/**
 * Reads PKCS#8 or SEC 1 (ECPrivateKey), PEM or DER. Blocks before the key in a PEM file (EC PARAMETERS)
 * are passed over. Range and public key are for the caller to check.
 * Errors: TDSA_E_BAD_INPUT (no such key, encrypted, of another kind or curve, more bytes after it),
 * TDSA_E_CRYPTO, TDSA_E_NO_MEMORY. OpenSSL wipes its own copies when it frees them.
 */
TDSA_MUST_USE tdsa_status tdsa_keyfile_read(tdsa_keyfile *out, const uint8_t *bytes, size_t len,
                                            tdsa_err *err) TDSA_NONNULL;
/** Wipes. */
void tdsa_keyfile_clear(tdsa_keyfile *k) TDSA_NONNULL;

#endif
