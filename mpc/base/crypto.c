#include "base/crypto.h"

#include <stdatomic.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>

#include "base/crypto_internal.h"

static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;
static tdsa_crypto instance; /* written by make_instance only, read-only afterwards */
static atomic_bool ready;

static void make_instance(void)
{
    tdsa_crypto *c = &instance;

    c->libctx = OSSL_LIB_CTX_new();
    if (c->libctx == NULL || OSSL_PROVIDER_load(c->libctx, "default") == NULL) {
        return;
    }
    c->gcm = EVP_CIPHER_fetch(c->libctx, "AES-256-GCM", NULL);
    c->ctr = EVP_CIPHER_fetch(c->libctx, "AES-256-CTR", NULL);
    atomic_store(&ready, c->gcm != NULL && c->ctr != NULL);
}

const tdsa_crypto *tdsa_crypto_get(tdsa_err *err)
{
    if (atomic_load(&ready)) {
        return &instance;
    }
    (void)ERR_set_mark(); /* a host application never finds our errors in its queue */
    /* The first cipher operation of a process makes OpenSSL read the configuration file for the
     * default context, whatever context it is in (ossl_engine_table_select). It may name an engine
     * that loads this very module; so it happens here, where we can be entered again. */
    (void)OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL);
    (void)CRYPTO_THREAD_run_once(&once, make_instance);
    (void)ERR_pop_to_mark();
    if (!atomic_load(&ready)) {
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
    return atomic_load(&ready) ? instance.libctx : NULL;
}
