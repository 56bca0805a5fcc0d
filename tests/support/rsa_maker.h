#ifndef TDSA_TESTS_SUPPORT_RSA_MAKER_H
#define TDSA_TESTS_SUPPORT_RSA_MAKER_H

#include <openssl/evp.h>

#include "base/buf.h"

/** What a certificate is to be. */
typedef struct {
    const char *kind;      /* "RSA", "RSA-PSS" or "EC" */
    unsigned bits;         /* of an RSA key */
    unsigned exponent;     /* 0: 65537 */
    const char *key_usage; /* as in openssl.cnf, NULL for none */
    long from_s, to_s;     /* relative to now */
    const char *subject;   /* common name, NULL: "recovery" */
} rsa_wish;

/** A certificate (self-signed, by OpenSSL) and its key, as files have them. */
typedef struct {
    EVP_PKEY *key;
    tdsa_buf der; /* certificate */
    tdsa_buf pem; /* certificate */
    tdsa_buf key_pem;
} rsa_pair;

/** Ends the process when OpenSSL cannot. Clear with rsa_pair_clear. */
void rsa_make(rsa_pair *out, const rsa_wish *wish);
/** A fit certificate of so many bits. */
void rsa_make_fit(rsa_pair *out, unsigned bits);
/** The private key as encrypted PKCS#8. */
void rsa_encrypted_pem(tdsa_buf *out, const rsa_pair *pair, const char *passphrase);
void rsa_pair_clear(rsa_pair *p);

#endif
