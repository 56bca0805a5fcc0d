#ifndef P11_CERTIFICATE_H
#define P11_CERTIFICATE_H

#include "pkcs11-provider/item.h"

/**
 * Completes a certificate object: CKA_VALUE must be one whole X.509 certificate; what the template did
 * not say about it (subject, issuer, serial number, check value, public key) is read out of it.
 * Errors: TDSA_E_BAD_INPUT (no certificate), TDSA_E_CRYPTO, TDSA_E_NO_MEMORY.
 */
TDSA_MUST_USE tdsa_status p11_certificate_complete(p11_item *item, tdsa_err *err) TDSA_NONNULL;

/** Called with the DER form of each certificate of a file. */
typedef tdsa_status (*p11_certificate_fn)(void *ctx, const uint8_t *der, size_t len, tdsa_err *err);
/** Reads a PEM file with one certificate or a chain. Errors: TDSA_E_CONFIG (file named: cannot be read,
 * no certificate in it), those of fn. */
TDSA_MUST_USE tdsa_status p11_certificates_read(const char *path, p11_certificate_fn fn, void *ctx,
                                                tdsa_err *err) __attribute__((nonnull(1, 2, 4)));

#endif
