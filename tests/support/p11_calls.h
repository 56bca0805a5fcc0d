#ifndef SUPPORT_P11_CALLS_H
#define SUPPORT_P11_CALLS_H

#include <stdbool.h>

#include <openssl/x509.h>

#include "support/p11_fixture.h"

/* What the tests of PKCS#11 semantics do again and again; cmocka judges. */

#define P11_ARRAY(a) (a), (sizeof(a) / sizeof((a)[0]))

/** A table of version 3.2 of the module. */
const p11_table_3_2 *p11_table_v3(void);
/** A session of that table, R/W. */
CK_SESSION_HANDLE p11_open_v3(void);

/** A whole search; returns how many are found, at most max. */
CK_ULONG p11_find_all(CK_SESSION_HANDLE s, CK_ATTRIBUTE *templ, CK_ULONG count,
                      CK_OBJECT_HANDLE *out, CK_ULONG max);
/** How many objects of a class there are; `first`: one of them, may be NULL. */
CK_ULONG p11_count_class(CK_SESSION_HANDLE s, CK_OBJECT_CLASS cls, CK_OBJECT_HANDLE *first);
/** The one object of this class with this label; fails when there is not exactly one. */
CK_OBJECT_HANDLE p11_one_labelled(CK_SESSION_HANDLE s, CK_OBJECT_CLASS cls, const char *label);

/** One attribute; returns its length. */
CK_ULONG p11_get(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE type, void *out,
                 CK_ULONG cap);
CK_BBOOL p11_get_bool(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE type);
CK_RV p11_set(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE type, const char *text);

/** A key pair; templ: of the private key. */
typedef struct {
    CK_MECHANISM_TYPE mechanism;
    const CK_BYTE *params; /* CKA_EC_PARAMS */
    CK_ULONG params_len;
    CK_ATTRIBUTE *templ;
    CK_ULONG count;
} p11_new_pair;
CK_RV p11_make_any_pair(CK_SESSION_HANDLE s, const p11_new_pair *how, CK_OBJECT_HANDLE *pub,
                        CK_OBJECT_HANDLE *priv);
extern const CK_BYTE p11_oid_ed25519[5];
extern const CK_BYTE p11_name_ed25519[14]; /* PrintableString */

/** The public key of an object, as OpenSSL reads its CKA_PUBLIC_KEY_INFO. */
EVP_PKEY *p11_public_key(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE pub);
/** OpenSSL's opinion of a signature of CKM_ECDSA_SHA256 or CKM_EDDSA. */
bool p11_openssl_verifies(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE pub, const CK_BYTE *sig,
                          const CK_BYTE *data, size_t len);

/** DER of a certificate for `key` with this common name, signed by a key that is thrown away. */
typedef struct {
    CK_BYTE der[2048];
    CK_ULONG len;
} p11_test_cert;
void p11_make_cert(p11_test_cert *out, EVP_PKEY *key, const char *name);

#endif
