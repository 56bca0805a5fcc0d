#ifndef TDSA_BASE_PKEY_H
#define TDSA_BASE_PKEY_H

#include "base/buf.h"

/** An elliptic-curve key pair to be written; everything lent. */
typedef struct {
    const uint8_t *oid; /* DER OBJECT IDENTIFIER of the curve, with tag and length */
    size_t oid_len;
    const uint8_t *scalar; /* private key, big-endian, as long as the order. Secret */
    size_t scalar_len;     /* at most TDSA_PKEY_SCALAR_MAX */
    const uint8_t *point;  /* public key, 04 | x | y */
    size_t point_len;
} tdsa_pkey;

#define TDSA_PKEY_SCALAR_MAX 66u
#define TDSA_PKEY_POINT_MAX  133u
#define TDSA_PKEY_OID_MAX    16u

/**
 * Appends the key as PKCS#8 in PEM (RFC 5958, RFC 5915: the public key is inside), the form that
 * `openssl pkey` reads.
 *
 * Errors: TDSA_E_BAD_INPUT (a length out of range), TDSA_E_NO_MEMORY. Nothing is appended then.
 * Time: constant in the scalar; no tables.
 */
TDSA_MUST_USE tdsa_status tdsa_pkey_to_pem(tdsa_buf *out, const tdsa_pkey *key, tdsa_err *err)
    TDSA_NONNULL;

#endif
