#ifndef TDSA_BASE_RSA_H
#define TDSA_BASE_RSA_H

#include "base/oaep.h"

/*
 * RSA-OAEP (SHA-256, MGF1-SHA256) under the key of a certificate: for emergency recovery and for the
 * export of keys. Nothing here verifies who issued a certificate: operators name the certificates that
 * they trust, and everything that is made names one by its SHA-256.
 */
#define TDSA_RSA_BITS_MIN 2048
/** Below this a certificate is taken with a warning. */
#define TDSA_RSA_BITS_ADVISED 3072
#define TDSA_RSA_BITS_MAX     4096
/** Longest ciphertext, in bytes. */
#define TDSA_RSA_LEN_MAX TDSA_OAEP_LEN_MAX
/** Longest certificate, as DER; a file with PEM may be twice as long. */
#define TDSA_RSA_CERT_LEN_MAX 8192u
#define TDSA_RSA_SUBJECT_MAX  128u
/** Longest private key, as PEM or DER. */
#define TDSA_RSA_KEY_LEN_MAX 16384u

typedef struct {
    uint8_t sha256[32];                 /* of the DER: the certificate's name everywhere */
    unsigned bits;                      /* of the modulus */
    size_t len;                         /* of a ciphertext, in bytes */
    bool short_key;                     /* below TDSA_RSA_BITS_ADVISED: warn */
    int64_t not_before_s, not_after_s;  /* since 1970: outside of this, warn. Not an error: data
                                           must be recoverable for longer than a certificate lives */
    char subject[TDSA_RSA_SUBJECT_MAX]; /* one printable line, cut when longer */
} tdsa_rsa_facts;

/** A certificate that is fit for encryption. Immutable; any number of threads may use one. */
typedef struct tdsa_rsa_cert tdsa_rsa_cert;

/**
 * Reads a certificate and checks that it is fit: X.509 in DER to the last byte, an RSA key (not
 * RSASSA-PSS) of TDSA_RSA_BITS_MIN to TDSA_RSA_BITS_MAX bits with an odd exponent from 3 to 2^32-1 that
 * encrypts, and a keyUsage, where there is one, that permits keyEncipherment or dataEncipherment.
 *
 * out  set on success, NULL on failure; free with tdsa_rsa_cert_free.
 *
 * Errors: TDSA_E_BAD_INPUT (with the reason), TDSA_E_NO_MEMORY, TDSA_E_CRYPTO.
 */
TDSA_MUST_USE tdsa_status tdsa_rsa_cert_new(tdsa_rsa_cert **out, const uint8_t *der, size_t len,
                                            tdsa_err *err) TDSA_NONNULL;
/** The same for the contents of a file, which may be PEM (its first certificate counts) or DER. */
TDSA_MUST_USE tdsa_status tdsa_rsa_cert_read(tdsa_rsa_cert **out, const uint8_t *file, size_t len,
                                             tdsa_err *err) TDSA_NONNULL;
/** NULL is allowed. */
void tdsa_rsa_cert_free(tdsa_rsa_cert *c);
/** Owned by `c`. */
const tdsa_rsa_facts *tdsa_rsa_cert_facts(const tdsa_rsa_cert *c) TDSA_NONNULL;

/**
 * RSA-OAEP with the seed that is given: the same input gives the same ciphertext.
 *
 * out   facts.len bytes; zeros on failure.
 *
 * Errors: TDSA_E_BAD_INPUT (message too long), TDSA_E_CRYPTO.
 * Time: constant in message and seed, as far as OpenSSL's public operation is (docs/security.md).
 */
TDSA_MUST_USE tdsa_status tdsa_rsa_encrypt(uint8_t *out, const tdsa_rsa_cert *c, const tdsa_oaep *p,
                                           tdsa_err *err) TDSA_NONNULL;

/** A private key in memory, for recovery offline. Immutable; threads as above. */
typedef struct tdsa_rsa_key tdsa_rsa_key;

/**
 * Reads a private key: PKCS#8, encrypted PKCS#8 or PKCS#1, as PEM or DER.
 *
 * passphrase  NULL when there is none; nobody is ever asked for one.
 *
 * Errors: TDSA_E_BAD_INPUT (no RSA key, wrong or missing passphrase, length out of range),
 * TDSA_E_CRYPTO.
 */
TDSA_MUST_USE tdsa_status tdsa_rsa_key_new(tdsa_rsa_key **out, const uint8_t *file, size_t len,
                                           const char *passphrase, tdsa_err *err)
    __attribute__((nonnull(1, 2, 5)));
/** Wipes and frees. NULL is allowed. */
void tdsa_rsa_key_free(tdsa_rsa_key *k);
/** True when it is the private key of this certificate. */
bool tdsa_rsa_key_matches(const tdsa_rsa_key *k, const tdsa_rsa_cert *c) TDSA_NONNULL;

/** A ciphertext and its label, both lent and public. */
typedef struct {
    const uint8_t *sealed;
    size_t sealed_len;
    const uint8_t *label;
    size_t label_len;
} tdsa_rsa_sealed;

/**
 * RSA-OAEP decryption: the raw operation (blinded, by OpenSSL), then tdsa_oaep_decode. The message is
 * appended to `out`.
 *
 * Errors: TDSA_E_CRYPTO (length, range or padding is wrong: one error), TDSA_E_NO_MEMORY.
 */
TDSA_MUST_USE tdsa_status tdsa_rsa_decrypt(tdsa_buf *out, const tdsa_rsa_key *k,
                                           const tdsa_rsa_sealed *s, tdsa_err *err) TDSA_NONNULL;

#endif
