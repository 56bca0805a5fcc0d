#include "support/rsa_maker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

static void require(bool ok)
{
    if (!ok) {
        (void)fputs("OpenSSL makes no certificate\n", stderr);
        abort();
    }
}

static EVP_PKEY *make_key(const rsa_wish *w)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, w->kind, NULL);
    EVP_PKEY *key = NULL;
    BIGNUM *e = BN_new();

    require(ctx != NULL && e != NULL && EVP_PKEY_keygen_init(ctx) == 1);
    if (strcmp(w->kind, "EC") == 0) {
        require(EVP_PKEY_CTX_set_group_name(ctx, "P-256") == 1);
    } else {
        require(BN_set_word(e, w->exponent != 0 ? w->exponent : 65537) == 1);
        require(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, (int)w->bits) == 1);
        require(EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, e) == 1);
    }
    require(EVP_PKEY_generate(ctx, &key) == 1);
    EVP_PKEY_CTX_free(ctx);
    BN_free(e);
    return key;
}

static X509 *make_certificate(const rsa_wish *w, EVP_PKEY *key)
{
    const char *cn = w->subject != NULL ? w->subject : "recovery";
    X509 *x = X509_new();
    X509_NAME *name = X509_get_subject_name(x);

    require(X509_set_version(x, X509_VERSION_3) == 1);
    require(ASN1_INTEGER_set(X509_get_serialNumber(x), 1) == 1);
    require(X509_gmtime_adj(X509_getm_notBefore(x), w->from_s) != NULL);
    require(X509_gmtime_adj(X509_getm_notAfter(x), w->to_s) != NULL);
    require(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)cn, -1, -1, 0) ==
            1);
    require(X509_set_issuer_name(x, name) == 1 && X509_set_pubkey(x, key) == 1);
    if (w->key_usage != NULL) {
        X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_key_usage, w->key_usage);

        require(e != NULL && X509_add_ext(x, e, -1) == 1);
        X509_EXTENSION_free(e);
    }
    require(X509_sign(x, key, EVP_sha256()) > 0);
    return x;
}

/* What was written, then the memory is freed. */
static void take(tdsa_buf *out, BIO *mem)
{
    char *text = NULL;
    const long len = BIO_get_mem_data(mem, &text);

    require(len > 0);
    tdsa_buf_append(out, text, (size_t)len);
    BIO_free(mem);
}

void rsa_make(rsa_pair *out, const rsa_wish *wish)
{
    X509 *x = NULL;
    BIO *der = BIO_new(BIO_s_mem());
    BIO *pem = BIO_new(BIO_s_mem());
    BIO *key_pem = BIO_new(BIO_s_mem());

    *out = (rsa_pair){make_key(wish), TDSA_BUF_EMPTY, TDSA_BUF_EMPTY, TDSA_BUF_EMPTY};
    x = make_certificate(wish, out->key);
    require(i2d_X509_bio(der, x) == 1 && PEM_write_bio_X509(pem, x) == 1);
    require(PEM_write_bio_PrivateKey(key_pem, out->key, NULL, NULL, 0, NULL, NULL) == 1);
    take(&out->der, der);
    take(&out->pem, pem);
    take(&out->key_pem, key_pem);
    X509_free(x);
}

void rsa_make_fit(rsa_pair *out, unsigned bits)
{
    rsa_make(out, &(rsa_wish){"RSA", bits, 0, "critical,keyEncipherment", -60, 3600, NULL});
}

void rsa_encrypted_pem(tdsa_buf *out, const rsa_pair *pair, const char *passphrase)
{
    BIO *mem = BIO_new(BIO_s_mem());

    require(PEM_write_bio_PKCS8PrivateKey(mem, pair->key, EVP_aes_256_cbc(), passphrase,
                                          (int)strlen(passphrase), NULL, NULL) == 1);
    take(out, mem);
}

void rsa_pair_clear(rsa_pair *p)
{
    EVP_PKEY_free(p->key);
    tdsa_buf_clear(&p->der);
    tdsa_buf_clear(&p->pem);
    tdsa_buf_clear(&p->key_pem);
    p->key = NULL;
}
