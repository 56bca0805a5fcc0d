#include "support/p11_calls.h"

#include <string.h>

#include <openssl/ecdsa.h>
#include <openssl/evp.h>

const CK_BYTE p11_oid_ed25519[5] = {0x06, 0x03, 0x2b, 0x65, 0x70};
const CK_BYTE p11_name_ed25519[14] = {0x13, 0x0c, 'e', 'd', 'w', 'a', 'r',
                                      'd',  's',  '2', '5', '5', '1', '9'};

const p11_table_3_2 *p11_table_v3(void)
{
    CK_UTF8CHAR name[] = "PKCS 11";
    CK_VERSION version = {3, 2};
    CK_INTERFACE *found = NULL;

    P11_OK(C_GetInterface(name, &version, &found, 0));
    return found->pFunctionList;
}

CK_SESSION_HANDLE p11_open_v3(void)
{
    CK_SESSION_HANDLE s = 0;

    P11_OK(p11_table_v3()->C_OpenSession(0, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &s));
    return s;
}

CK_ULONG p11_find_all(CK_SESSION_HANDLE s, CK_ATTRIBUTE *templ, CK_ULONG count,
                      CK_OBJECT_HANDLE *out, CK_ULONG max)
{
    CK_ULONG n = 0;

    P11_OK(C_FindObjectsInit(s, templ, count));
    P11_OK(C_FindObjects(s, out, max, &n));
    P11_OK(C_FindObjectsFinal(s));
    return n;
}

CK_ULONG p11_count_class(CK_SESSION_HANDLE s, CK_OBJECT_CLASS cls, CK_OBJECT_HANDLE *first)
{
    CK_ATTRIBUTE a = {CKA_CLASS, &cls, sizeof cls};
    CK_OBJECT_HANDLE found[64];
    const CK_ULONG n = p11_find_all(s, &a, 1, P11_ARRAY(found));

    if (first != NULL && n > 0) {
        *first = found[0];
    }
    return n;
}

CK_OBJECT_HANDLE p11_one_labelled(CK_SESSION_HANDLE s, CK_OBJECT_CLASS cls, const char *label)
{
    CK_BYTE name[64];
    CK_ATTRIBUTE templ[] = {{CKA_CLASS, &cls, sizeof cls}, {CKA_LABEL, name, strlen(label)}};
    CK_OBJECT_HANDLE found[2] = {0, 0};

    memcpy(name, label, strlen(label));
    assert_int_equal(p11_find_all(s, P11_ARRAY(templ), P11_ARRAY(found)), 1);
    return found[0];
}

CK_ULONG p11_get(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE type, void *out,
                 CK_ULONG cap)
{
    CK_ATTRIBUTE a = {type, out, cap};

    P11_OK(C_GetAttributeValue(s, o, &a, 1));
    return a.ulValueLen;
}

CK_BBOOL p11_get_bool(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE type)
{
    CK_BBOOL value = 9;

    assert_int_equal(p11_get(s, o, type, &value, sizeof value), 1);
    return value;
}

CK_RV p11_set(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE type, const char *text)
{
    CK_BYTE value[64];
    CK_ATTRIBUTE a = {type, value, strlen(text)};

    memcpy(value, text, strlen(text));
    return C_SetAttributeValue(s, o, &a, 1);
}

CK_RV p11_make_any_pair(CK_SESSION_HANDLE s, const p11_new_pair *how, CK_OBJECT_HANDLE *pub,
                        CK_OBJECT_HANDLE *priv)
{
    CK_MECHANISM mech = {how->mechanism, NULL, 0};
    CK_BYTE params[32];
    CK_ATTRIBUTE curve = {CKA_EC_PARAMS, params, how->params_len};

    memcpy(params, how->params, how->params_len);
    return C_GenerateKeyPair(s, &mech, &curve, 1, how->templ, how->count, pub, priv);
}

EVP_PKEY *p11_public_key(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE pub)
{
    CK_BYTE info[192];
    const CK_ULONG len = p11_get(s, pub, CKA_PUBLIC_KEY_INFO, info, sizeof info);
    const unsigned char *p = info;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)len);

    assert_non_null(key);
    assert_ptr_equal(p, info + len);
    return key;
}

/* r | s as the DER form that OpenSSL wants. */
static int der_of(unsigned char **der, const CK_BYTE *rs, int half)
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    int len = 0;

    assert_int_equal(
        ECDSA_SIG_set0(sig, BN_bin2bn(rs, half, NULL), BN_bin2bn(rs + half, half, NULL)), 1);
    len = i2d_ECDSA_SIG(sig, der);
    ECDSA_SIG_free(sig);
    return len;
}

bool p11_openssl_verifies(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE pub, const CK_BYTE *sig,
                          const CK_BYTE *data, size_t len)
{
    EVP_PKEY *key = p11_public_key(s, pub);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const bool edwards = EVP_PKEY_is_a(key, "ED25519") == 1;
    unsigned char *der = NULL;
    bool ok = false;

    if (edwards) {
        ok = EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
             EVP_DigestVerify(ctx, sig, 64, data, len) == 1;
    } else {
        const int der_len = der_of(&der, sig, (EVP_PKEY_get_bits(key) + 7) / 8);

        ok = EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
             EVP_DigestVerify(ctx, der, (size_t)der_len, data, len) == 1;
    }
    OPENSSL_free(der);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return ok;
}

void p11_make_cert(p11_test_cert *out, EVP_PKEY *key, const char *name)
{
    EVP_PKEY *issuer = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_NAME *subject = X509_NAME_new();
    unsigned char *p = out->der;
    int len = 0;

    assert_int_equal(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                                (const unsigned char *)name, -1, -1, 0),
                     1);
    assert_int_equal(X509_set_version(x, X509_VERSION_3), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x), 4711), 1);
    assert_int_equal(X509_set_subject_name(x, subject), 1);
    assert_int_equal(X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_ASC,
                                                (const unsigned char *)"issuer", -1, -1, 0),
                     1);
    assert_int_equal(X509_set_issuer_name(x, subject), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(x), 0));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(x), 86400));
    assert_int_equal(X509_set_pubkey(x, key), 1);
    assert_true(X509_sign(x, issuer, EVP_sha256()) > 0);
    len = i2d_X509(x, NULL);
    assert_in_range(len, 1, sizeof out->der);
    out->len = (CK_ULONG)i2d_X509(x, &p);
    X509_NAME_free(subject);
    X509_free(x);
    EVP_PKEY_free(issuer);
}
