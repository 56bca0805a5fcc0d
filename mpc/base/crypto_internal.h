#ifndef TDSA_BASE_CRYPTO_INTERNAL_H
#define TDSA_BASE_CRYPTO_INTERNAL_H

#include <openssl/evp.h>

#include "base/crypto.h"

/** What is fetched once per process and kept. Only for the files of mpc/base. */
typedef struct {
    OSSL_LIB_CTX *libctx;
    EVP_CIPHER *gcm; /* AES-256-GCM */
    EVP_CIPHER *ctr; /* AES-256-CTR */
} tdsa_crypto;

/** The one instance, made on first use; NULL and `err` filled (TDSA_E_CRYPTO) when it failed. */
const tdsa_crypto *tdsa_crypto_get(tdsa_err *err) TDSA_NONNULL;

#endif
