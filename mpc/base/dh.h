#ifndef TDSA_BASE_DH_H
#define TDSA_BASE_DH_H

#include "base/secret.h"

#define TDSA_X25519_LEN 32u
#define TDSA_X448_LEN   56u

typedef enum { TDSA_DH_X25519, TDSA_DH_X448 } tdsa_dh_kind;

/** Bytes of a key and of a shared secret: 32 or 56. */
size_t tdsa_dh_len(tdsa_dh_kind kind);
/** Public key of a private key (RFC 7748 section 5). */
TDSA_MUST_USE tdsa_status tdsa_dh_public(tdsa_dh_kind kind, uint8_t *pub, const uint8_t *priv,
                                         tdsa_err *err) TDSA_NONNULL;
/**
 * Shared secret. RFC 7748 section 6: "Both MAY check, without leaking extra information about the
 * value of K, whether K is the all-zero value and abort if so": we do.
 * Errors: TDSA_E_PROTOCOL (all-zero result), TDSA_E_CRYPTO.
 */
TDSA_MUST_USE tdsa_status tdsa_dh_shared(tdsa_dh_kind kind, uint8_t *shared, const uint8_t *priv,
                                         const uint8_t *peer_pub, tdsa_err *err) TDSA_NONNULL;

/**
 * Reads a key as configuration files hold it: base64url text (padding and the standard alphabet
 * are accepted) of PKCS#8 / SubjectPublicKeyInfo DER, or of the raw 32 / 56 bytes.
 * Errors: TDSA_E_CONFIG (not base64, wrong length, another curve).
 */
TDSA_MUST_USE tdsa_status tdsa_dh_parse_private(tdsa_dh_kind kind, uint8_t *out, const char *text,
                                                tdsa_err *err) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status tdsa_dh_parse_public(tdsa_dh_kind kind, uint8_t *out, const char *text,
                                               tdsa_err *err) TDSA_NONNULL;

#endif
