#include "base/rsa.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "base/crypto_internal.h"
#include "base/hash.h"

#define EXPONENT_BITS_MAX 32
#define SECONDS_PER_DAY   86400

struct tdsa_rsa_cert {
    EVP_PKEY *key;
    tdsa_rsa_facts facts;
};

struct tdsa_rsa_key {
    EVP_PKEY *key;
    size_t len; /* of the modulus, in bytes */
};

static bool length_is_fit(const EVP_PKEY *key)
{
    const int bits = EVP_PKEY_get_bits(key);

    return bits >= TDSA_RSA_BITS_MIN && bits <= TDSA_RSA_BITS_MAX;
}

static bool exponent_is_fit(const EVP_PKEY *key)
{
    BIGNUM *e = NULL;
    bool ok = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) == 1 && BN_is_odd(e) == 1 &&
              BN_is_one(e) == 0 && BN_num_bits(e) <= EXPONENT_BITS_MAX;

    BN_free(e);
    return ok;
}

/* m^e mod n, both numbers as long as the modulus. Takes the library context alone: the compiler splits
 * a parameter of which one member is used, renames the function, and tests/ct/libraries.supp misses it. */
static bool raw_public(uint8_t *out, OSSL_LIB_CTX *libctx, EVP_PKEY *key, const uint8_t *em,
                       size_t len)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(libctx, key, NULL);
    size_t got = len;
    bool ok = ctx != NULL && EVP_PKEY_encrypt_init(ctx) == 1 &&
              EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) == 1 &&
              EVP_PKEY_encrypt(ctx, out, &got, em, len) == 1 && got == len;

    EVP_PKEY_CTX_free(ctx);
    return ok;
}

/* A key with an even modulus, and whatever else OpenSSL does not work with, shows when it is used. */
static bool encrypts(EVP_PKEY *key, const tdsa_crypto *crypto)
{
    uint8_t em[TDSA_RSA_LEN_MAX] = {0};
    uint8_t out[TDSA_RSA_LEN_MAX];
    const size_t len = ((size_t)EVP_PKEY_get_bits(key) + 7u) / 8u;

    em[len - 1] = 2;
    return raw_public(out, crypto->libctx, key, em, len);
}

/* Says why the certificate cannot be used, or NULL. */
static const char *unfit(X509 *x, const tdsa_crypto *crypto)
{
    EVP_PKEY *key = X509_get0_pubkey(x);
    const uint32_t usage = X509_get_key_usage(x); /* all ones where there is none */

    if (key == NULL || EVP_PKEY_is_a(key, "RSA") != 1) {
        return "its key is not an RSA key for encryption";
    }
    if (!length_is_fit(key)) {
        return "its RSA key must have " TDSA_STR(TDSA_RSA_BITS_MIN) " to " TDSA_STR(
            TDSA_RSA_BITS_MAX) " bits";
    }
    if (!exponent_is_fit(key)) {
        return "the exponent of its RSA key must be odd, 3 to 2^32-1";
    }
    if ((X509_get_extension_flags(x) & EXFLAG_INVALID) != 0) {
        return "an extension of it cannot be read";
    }
    if ((usage & (KU_KEY_ENCIPHERMENT | KU_DATA_ENCIPHERMENT)) == 0) {
        return "its keyUsage permits neither keyEncipherment nor dataEncipherment";
    }
    if (!encrypts(key, crypto)) {
        return "its RSA key does not encrypt";
    }
    return NULL;
}

/* Seconds since 1970; false when the time cannot be read. */
static bool to_seconds(int64_t *out, const ASN1_TIME *t)
{
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days = 0;
    int seconds = 0;
    bool ok = epoch != NULL && ASN1_TIME_diff(&days, &seconds, epoch, t) == 1;

    ASN1_TIME_free(epoch);
    *out = ok ? (int64_t)days * SECONDS_PER_DAY + seconds : 0;
    return ok;
}

static tdsa_status fill_facts(tdsa_rsa_cert *c, X509 *x, const uint8_t *der, size_t len,
                              tdsa_err *err)
{
    tdsa_rsa_facts *f = &c->facts;

    if (!to_seconds(&f->not_before_s, X509_get0_notBefore(x)) ||
        !to_seconds(&f->not_after_s, X509_get0_notAfter(x))) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the certificate's dates cannot be read");
    }
    c->key = X509_get_pubkey(x);
    f->bits = (unsigned)EVP_PKEY_get_bits(c->key);
    f->len = (f->bits + 7u) / 8u;
    f->short_key = (int)f->bits < TDSA_RSA_BITS_ADVISED;
    (void)X509_NAME_oneline(X509_get_subject_name(x), f->subject, (int)sizeof f->subject);
    return tdsa_hash(f->sha256, TDSA_HASH_SHA256, der, len, err);
}

static tdsa_status cert_from_der(tdsa_rsa_cert *c, const tdsa_crypto *crypto, const uint8_t *der,
                                 size_t len, tdsa_err *err)
{
    const uint8_t *end = der;
    const char *why = NULL;
    X509 *x = X509_new_ex(crypto->libctx, NULL);
    tdsa_status st = TDSA_OK;

    if (x == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for a certificate");
    }
    if (d2i_X509(&x, &end, (long)len) == NULL || end != der + len) {
        X509_free(x);
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "not an X.509 certificate in DER");
    }
    why = unfit(x, crypto);
    st = why != NULL ? TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the certificate cannot be used: %s", why)
                     : fill_facts(c, x, der, len, err);
    X509_free(x);
    return st;
}

tdsa_status tdsa_rsa_cert_new(tdsa_rsa_cert **out, const uint8_t *der, size_t len, tdsa_err *err)
{
    const tdsa_crypto *crypto = tdsa_crypto_get(err);
    tdsa_rsa_cert *c = NULL;
    tdsa_status st = TDSA_OK;

    *out = NULL;
    if (crypto == NULL) {
        return err->status;
    }
    if (len == 0 || len > TDSA_RSA_CERT_LEN_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a certificate of %zu bytes", len);
    }
    c = calloc(1, sizeof *c);
    if (c == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for a certificate");
    }
    (void)ERR_set_mark();
    st = cert_from_der(c, crypto, der, len, err);
    (void)ERR_pop_to_mark();
    if (st != TDSA_OK) {
        tdsa_rsa_cert_free(c);
        return st;
    }
    *out = c;
    return TDSA_OK;
}

/* The first certificate of a PEM file, as DER; NULL when there is none. Free with OPENSSL_free. */
static uint8_t *pem_certificate(size_t *len, const uint8_t *file, size_t file_len)
{
    BIO *in = BIO_new_mem_buf(file, (int)file_len);
    uint8_t *der = NULL;
    long der_len = 0;
    bool ok = false;

    (void)ERR_set_mark();
    ok = in != NULL &&
         PEM_bytes_read_bio(&der, &der_len, NULL, PEM_STRING_X509, in, NULL, NULL) == 1;
    (void)ERR_pop_to_mark();
    BIO_free(in);
    *len = ok ? (size_t)der_len : 0;
    return ok ? der : NULL;
}

tdsa_status tdsa_rsa_cert_read(tdsa_rsa_cert **out, const uint8_t *file, size_t len, tdsa_err *err)
{
    static const char begin[] = "-----BEGIN";
    uint8_t *der = NULL;
    size_t der_len = 0;
    tdsa_status st = TDSA_OK;

    *out = NULL;
    if (len < sizeof begin || memcmp(file, begin, sizeof begin - 1) != 0) {
        return tdsa_rsa_cert_new(out, file, len, err);
    }
    if (len > 2u * TDSA_RSA_CERT_LEN_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a certificate of %zu bytes", len);
    }
    der = pem_certificate(&der_len, file, len);
    if (der == NULL) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "no certificate in this PEM file");
    }
    st = tdsa_rsa_cert_new(out, der, der_len, err);
    OPENSSL_free(der);
    return st;
}

void tdsa_rsa_cert_free(tdsa_rsa_cert *c)
{
    if (c != NULL) {
        EVP_PKEY_free(c->key);
        free(c);
    }
}

const tdsa_rsa_facts *tdsa_rsa_cert_facts(const tdsa_rsa_cert *c)
{
    return &c->facts;
}

tdsa_status tdsa_rsa_encrypt(uint8_t *out, const tdsa_rsa_cert *c, const tdsa_oaep *p,
                             tdsa_err *err)
{
    const tdsa_crypto *crypto = tdsa_crypto_get(err);
    const size_t len = c->facts.len;
    uint8_t em[TDSA_RSA_LEN_MAX];
    tdsa_status st = TDSA_OK;

    memset(out, 0, len);
    if (crypto == NULL) {
        return err->status;
    }
    st = tdsa_oaep_encode(em, len, p, err);
    if (st != TDSA_OK) {
        return st;
    }
    (void)ERR_set_mark();
    if (!raw_public(out, crypto->libctx, c->key, em, len)) {
        memset(out, 0, len);
        st = TDSA_FAIL(err, TDSA_E_CRYPTO, "RSA encryption failed");
    }
    (void)ERR_pop_to_mark();
    tdsa_wipe(em, sizeof em);
    return st;
}

/* An RSA key pair in any form that OpenSSL reads; NULL when it is none. */
static EVP_PKEY *read_pair(const tdsa_crypto *crypto, const uint8_t *file, size_t len,
                           const char *passphrase)
{
    EVP_PKEY *key = NULL;
    OSSL_DECODER_CTX *ctx = OSSL_DECODER_CTX_new_for_pkey(&key, NULL, NULL, "RSA", EVP_PKEY_KEYPAIR,
                                                          crypto->libctx, NULL);
    bool ok =
        ctx != NULL &&
        (passphrase == NULL || OSSL_DECODER_CTX_set_passphrase(ctx, (const uint8_t *)passphrase,
                                                               strlen(passphrase)) == 1) &&
        OSSL_DECODER_from_data(ctx, &file, &len) == 1;

    OSSL_DECODER_CTX_free(ctx);
    if (!ok || !length_is_fit(key)) {
        EVP_PKEY_free(key);
        return NULL;
    }
    return key;
}

tdsa_status tdsa_rsa_key_new(tdsa_rsa_key **out, const uint8_t *file, size_t len,
                             const char *passphrase, tdsa_err *err)
{
    const tdsa_crypto *crypto = tdsa_crypto_get(err);
    tdsa_rsa_key *k = NULL;

    *out = NULL;
    if (crypto == NULL) {
        return err->status;
    }
    if (len == 0 || len > TDSA_RSA_KEY_LEN_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a private key of %zu bytes", len);
    }
    k = calloc(1, sizeof *k);
    if (k == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for a private key");
    }
    (void)ERR_set_mark();
    k->key = read_pair(crypto, file, len, passphrase);
    (void)ERR_pop_to_mark();
    if (k->key == NULL) {
        free(k);
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "no RSA private key of " TDSA_STR(TDSA_RSA_BITS_MIN) " to " TDSA_STR(
                             TDSA_RSA_BITS_MAX) " bits, or the passphrase is wrong");
    }
    k->len = ((size_t)EVP_PKEY_get_bits(k->key) + 7u) / 8u;
    *out = k;
    return TDSA_OK;
}

void tdsa_rsa_key_free(tdsa_rsa_key *k)
{
    if (k != NULL) {
        EVP_PKEY_free(k->key); /* wipes the numbers */
        free(k);
    }
}

bool tdsa_rsa_key_matches(const tdsa_rsa_key *k, const tdsa_rsa_cert *c)
{
    return EVP_PKEY_eq(k->key, c->key) == 1;
}

/* c^d mod n; OpenSSL blinds it. */
static bool raw_private(uint8_t *em, const tdsa_crypto *crypto, const tdsa_rsa_key *k,
                        const uint8_t *sealed)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(crypto->libctx, k->key, NULL);
    size_t got = k->len;
    bool ok = ctx != NULL && EVP_PKEY_decrypt_init(ctx) == 1 &&
              EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) == 1 &&
              EVP_PKEY_decrypt(ctx, em, &got, sealed, k->len) == 1 && got == k->len;

    EVP_PKEY_CTX_free(ctx);
    return ok;
}

tdsa_status tdsa_rsa_decrypt(tdsa_buf *out, const tdsa_rsa_key *k, const tdsa_rsa_sealed *s,
                             tdsa_err *err)
{
    const tdsa_crypto *crypto = tdsa_crypto_get(err);
    uint8_t em[TDSA_RSA_LEN_MAX];
    bool ok = false;
    tdsa_status st = TDSA_OK;

    if (crypto == NULL) {
        return err->status;
    }
    if (s->sealed_len == k->len) {
        (void)ERR_set_mark();
        ok = raw_private(em, crypto, k, s->sealed);
        (void)ERR_pop_to_mark();
    }
    st = ok ? tdsa_oaep_decode(out, em, k->len, s->label, s->label_len, err)
            : TDSA_FAIL(err, TDSA_E_CRYPTO, "the ciphertext is not one under this key and label");
    tdsa_wipe(em, sizeof em);
    return st;
}
