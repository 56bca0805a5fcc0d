#include "pkcs11-provider/certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/crypto.h"
#include "base/hash.h"

#define CHECK_VALUE_LEN \
    3u /* PKCS#11 2.40, 4.6.3: the first three bytes of the SHA-1 of CKA_VALUE */

/* Sets an attribute unless the template has it with a value. */
static tdsa_status set_missing(p11_item *item, CK_ATTRIBUTE_TYPE type, const void *value, int len,
                               tdsa_err *err)
{
    const p11_bytes *have = p11_item_get(item, type);

    if (len < 0) {
        return TDSA_FAIL(err, TDSA_E_CRYPTO, "a part of a certificate cannot be encoded");
    }
    return have != NULL && have->len > 0 ? TDSA_OK
                                         : p11_item_set(item, type, value, (size_t)len, err);
}

/* The DER form of a part of the certificate. */
static tdsa_status set_name(p11_item *item, CK_ATTRIBUTE_TYPE type, const X509_NAME *name,
                            tdsa_err *err)
{
    unsigned char *der = NULL;
    const int len = i2d_X509_NAME(name, &der);
    const tdsa_status st = set_missing(item, type, der, len, err);

    OPENSSL_free(der);
    return st;
}

static tdsa_status set_serial(p11_item *item, const X509 *x, tdsa_err *err)
{
    unsigned char *der = NULL;
    const int len = i2d_ASN1_INTEGER(X509_get0_serialNumber(x), &der);
    const tdsa_status st = set_missing(item, CKA_SERIAL_NUMBER, der, len, err);

    OPENSSL_free(der);
    return st;
}

static tdsa_status set_public_key(p11_item *item, const X509 *x, tdsa_err *err)
{
    unsigned char *der = NULL;
    const int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
    tdsa_status st = set_missing(item, CKA_PUBLIC_KEY_INFO, der, len, err);

    OPENSSL_free(der);
    return st;
}

static tdsa_status set_check_value(p11_item *item, const p11_bytes *value, tdsa_err *err)
{
    uint8_t digest[TDSA_DIGEST_LEN_MAX];
    const tdsa_status st = tdsa_hash(digest, TDSA_HASH_SHA1, value->data, value->len, err);

    return st == TDSA_OK ? set_missing(item, CKA_CHECK_VALUE, digest, CHECK_VALUE_LEN, err) : st;
}

static tdsa_status set_defaults(p11_item *item, tdsa_err *err)
{
    static const CK_ATTRIBUTE_TYPE empty[] = {CKA_ID,
                                              CKA_LABEL,
                                              CKA_START_DATE,
                                              CKA_END_DATE,
                                              CKA_URL,
                                              CKA_HASH_OF_SUBJECT_PUBLIC_KEY,
                                              CKA_HASH_OF_ISSUER_PUBLIC_KEY};
    tdsa_status st = TDSA_OK;

    for (size_t i = 0; st == TDSA_OK && i < sizeof empty / sizeof empty[0]; i++) {
        st = set_missing(item, empty[i], NULL, 0, err);
    }
    if (st == TDSA_OK && p11_item_get(item, CKA_TRUSTED) == NULL) {
        st = p11_item_set_bool(item, CKA_TRUSTED, false, err);
    }
    if (st == TDSA_OK && p11_item_get(item, CKA_CERTIFICATE_CATEGORY) == NULL) {
        st = p11_item_set_number(item, CKA_CERTIFICATE_CATEGORY, 0, err); /* unspecified */
    }
    if (st == TDSA_OK && p11_item_get(item, CKA_JAVA_MIDP_SECURITY_DOMAIN) == NULL) {
        st = p11_item_set_number(item, CKA_JAVA_MIDP_SECURITY_DOMAIN, 0, err); /* unspecified */
    }
    return st;
}

static tdsa_status complete(p11_item *item, const X509 *x, tdsa_err *err)
{
    tdsa_status st = set_name(item, CKA_SUBJECT, X509_get_subject_name(x), err);

    if (st == TDSA_OK) {
        st = set_name(item, CKA_ISSUER, X509_get_issuer_name(x), err);
    }
    if (st == TDSA_OK) {
        st = set_serial(item, x, err);
    }
    if (st == TDSA_OK) {
        st = set_public_key(item, x, err);
    }
    return st == TDSA_OK ? set_defaults(item, err) : st;
}

/* In the private context: the host's providers, which may be this very module, are not asked. */
static X509 *new_x509(tdsa_err *err)
{
    X509 *x = NULL;

    if (tdsa_crypto_init(err) == TDSA_OK) {
        x = X509_new_ex(tdsa_crypto_libctx(), NULL);
    }
    return x;
}

tdsa_status p11_certificate_complete(p11_item *item, tdsa_err *err)
{
    const p11_bytes *value = p11_item_get(item, CKA_VALUE);
    const unsigned char *p = value != NULL ? value->data : NULL;
    X509 *x = NULL;
    tdsa_status st = TDSA_OK;

    if (value == NULL || value->len == 0) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "CKA_VALUE: no certificate");
    }
    x = new_x509(err);
    if (x == NULL) {
        return TDSA_FAIL(err, TDSA_E_CRYPTO, "no place for a certificate");
    }
    if (d2i_X509(&x, &p, (long)value->len) == NULL || p != value->data + value->len) {
        X509_free(x);
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "CKA_VALUE is not one X.509 certificate in DER");
    }
    st = complete(item, x, err);
    if (st == TDSA_OK) {
        st = set_check_value(item, value, err);
    }
    X509_free(x);
    return st;
}

static tdsa_status give_der(X509 *x, p11_certificate_fn fn, void *ctx, tdsa_err *err)
{
    unsigned char *der = NULL;
    const int len = i2d_X509(x, &der);
    const tdsa_status st = len > 0 ? fn(ctx, der, (size_t)len, err)
                                   : TDSA_FAIL(err, TDSA_E_CRYPTO, "no DER of a certificate");

    OPENSSL_free(der);
    return st;
}

tdsa_status p11_certificates_read(const char *path, p11_certificate_fn fn, void *ctx, tdsa_err *err)
{
    BIO *file = BIO_new_file(path, "r");
    X509 *x = new_x509(err);
    size_t count = 0;
    tdsa_status st = TDSA_OK;

    while (file != NULL && x != NULL && st == TDSA_OK &&
           PEM_read_bio_X509(file, &x, NULL, NULL) != NULL) {
        count++;
        st = give_der(x, fn, ctx, err);
        X509_free(x);
        x = new_x509(err);
    }
    X509_free(x);
    BIO_free(file);
    if (st == TDSA_OK && count == 0) {
        st = TDSA_FAIL(err, TDSA_E_CONFIG, "%s: %s", path,
                       file == NULL ? "cannot be read" : "no certificate in PEM");
    }
    return st == TDSA_OK ? st : tdsa_err_wrap(err, "pkcs11.certificates");
}
