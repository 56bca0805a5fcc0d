#include "base/crypto.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>

#include "base/crypto_internal.h"

static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;
static tdsa_crypto instance; /* written by make_instance only, read-only afterwards */
static int ready;

static void make_instance(void)
{
    static const char *const md_name[TDSA_HASH_COUNT] = {"SHA1", "SHA2-224", "SHA2-256", "SHA2-384",
                                                         "SHA2-512"};
    tdsa_crypto *c = &instance;

    (void)ERR_set_mark(); /* a host application never finds our errors in its queue */
    c->libctx = OSSL_LIB_CTX_new();
    if (c->libctx == NULL || OSSL_PROVIDER_load(c->libctx, "default") == NULL) {
        goto out;
    }
    for (size_t i = 0; i < TDSA_HASH_COUNT; i++) {
        c->md[i] = EVP_MD_fetch(c->libctx, md_name[i], NULL);
        if (c->md[i] == NULL) {
            goto out;
        }
    }
    c->gcm = EVP_CIPHER_fetch(c->libctx, "AES-256-GCM", NULL);
    c->ctr = EVP_CIPHER_fetch(c->libctx, "AES-256-CTR", NULL);
    ready = c->gcm != NULL && c->ctr != NULL;
out:
    (void)ERR_pop_to_mark();
}

const tdsa_crypto *tdsa_crypto_get(tdsa_err *err)
{
    if (CRYPTO_THREAD_run_once(&once, make_instance) != 1 || !ready) {
        (void)TDSA_FAIL(err, TDSA_E_CRYPTO, "OpenSSL's default provider could not be prepared");
        return NULL;
    }
    return &instance;
}

tdsa_status tdsa_crypto_init(tdsa_err *err)
{
    return tdsa_crypto_get(err) != NULL ? TDSA_OK : err->status;
}

struct ossl_lib_ctx_st *tdsa_crypto_libctx(void)
{
    return ready ? instance.libctx : NULL;
}
