#include "base/kdf.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>

#include "base/crypto_internal.h"

#define BLOCK_SIZE   8u /* r */
#define PARALLEL     1u /* p */
#define MEMORY_SPARE (1u << 20)

static tdsa_status derive(EVP_KDF_CTX *ctx, uint8_t out[32], const char *passphrase,
                          const uint8_t *salt, unsigned log2_n, tdsa_err *err)
{
    uint64_t n = 1ull << log2_n;
    uint32_t r = BLOCK_SIZE;
    uint32_t p = PARALLEL;
    uint64_t memory = 128ull * r * n + MEMORY_SPARE;
    /* OpenSSL takes these without const and does not write to them */
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PASSWORD, (void *)(uintptr_t)passphrase,
                                          strlen(passphrase)),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt,
                                          TDSA_SCRYPT_SALT_LEN),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n),
        OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_R, &r),
        OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_P, &p),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &memory),
        OSSL_PARAM_construct_end(),
    };

    if (ctx == NULL || EVP_KDF_derive(ctx, out, 32, params) != 1) {
        tdsa_wipe(out, 32);
        return TDSA_FAIL(err, TDSA_E_CRYPTO, "scrypt with 2^%u failed (it needs %u MiB)", log2_n,
                         1u << (log2_n - 10));
    }
    return TDSA_OK;
}

tdsa_status tdsa_scrypt(uint8_t out[32], const char *passphrase,
                        const uint8_t salt[TDSA_SCRYPT_SALT_LEN], unsigned log2_n, tdsa_err *err)
{
    const tdsa_crypto *crypto = tdsa_crypto_get(err);
    EVP_KDF *kdf = NULL;
    EVP_KDF_CTX *ctx = NULL;
    tdsa_status st;

    if (crypto == NULL) {
        return err->status;
    }
    if (log2_n < TDSA_SCRYPT_LOG2_MIN || log2_n > TDSA_SCRYPT_LOG2_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "scrypt with 2^%u: 2^%u to 2^%u are accepted",
                         log2_n, TDSA_SCRYPT_LOG2_MIN, TDSA_SCRYPT_LOG2_MAX);
    }
    kdf = EVP_KDF_fetch(crypto->libctx, "SCRYPT", NULL);
    ctx = kdf == NULL ? NULL : EVP_KDF_CTX_new(kdf);
    st = derive(ctx, out, passphrase, salt, log2_n, err);
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return st;
}
