#include <stdio.h>
#include <stdlib.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "support/protocol_run.h"

/* A failure of the test itself, not of what it tests. */
static void must(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "test support: %s\n", what);
        abort();
    }
}

/* ---- OpenSSL as an independent judge ---- */

static EVP_PKEY *to_pkey(const grp *g, const grp_point *y)
{
    const grp_info *info = grp_get_info(g);
    uint8_t raw[GRP_POINT_RAW_MAX];
    char name[16]; /* OpenSSL has these curves by the same names */
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM params[3];

    (void)snprintf(name, sizeof name, "%s", info->name);
    grp_point_encode_raw(g, raw, y);
    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, name, 0);
    params[1] =
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, raw, info->point_raw_len);
    params[2] = OSSL_PARAM_construct_end();
    must(ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1, "OpenSSL key");
    must(EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) == 1, "OpenSSL key");
    EVP_PKEY_CTX_free(ctx);
    return pkey;
}

bool run_openssl_verifies(const grp *g, const grp_point *y, const uint8_t *digest, size_t len,
                          const mpc_signature *sig)
{
    const int scalar_len = (int)(sig->len / 2);
    EVP_PKEY *pkey = to_pkey(g, y);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
    ECDSA_SIG *es = ECDSA_SIG_new();
    unsigned char *der = NULL;
    BIGNUM *r = NULL;
    BIGNUM *s = NULL;
    int der_len = 0;
    bool ok = false;

    r = BN_bin2bn(sig->bytes, scalar_len, NULL);
    s = BN_bin2bn(sig->bytes + scalar_len, scalar_len, NULL);
    must(es != NULL && ECDSA_SIG_set0(es, r, s) == 1, "OpenSSL signature");
    der_len = i2d_ECDSA_SIG(es, &der);
    must(der_len > 0 && ctx != NULL && EVP_PKEY_verify_init(ctx) == 1, "OpenSSL verify");
    ok = EVP_PKEY_verify(ctx, der, (size_t)der_len, digest, len) == 1;
    OPENSSL_free(der);
    ECDSA_SIG_free(es);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    return ok;
}
