#ifndef P11_CREATE_H
#define P11_CREATE_H

#include "pkcs11-provider/keygen.h"

/**
 * C_CreateObject. Certificates (X.509), data and public keys of our curves are stored, or kept for the
 * session. A public key of the token's own becomes no second object when a token object is asked for: the
 * one that is there gets the names, and is shown again if it was destroyed. A private key (CKA_EC_PARAMS,
 * CKA_VALUE) is imported where every participant allows it. For everything else the code says why.
 */
CK_RV p11_create(p11_call *call, const p11_template *t, CK_OBJECT_HANDLE *object)
    __attribute__((nonnull(1, 2)));
/**
 * C_CopyObject. Public objects are copied with what the template changes. A private session key becomes
 * a token object, once; other private keys have CKA_COPYABLE false.
 */
CK_RV p11_copy(p11_call *call, CK_OBJECT_HANDLE object, const p11_template *t,
               CK_OBJECT_HANDLE *copy) __attribute__((nonnull(1, 3)));

/** Shows an item as a new object: of the session, or (token) stored first. CKR_ACTION_PROHIBITED: the
 * session would not see it. */
CK_RV p11_add_item(p11_call *call, p11_item *item, bool token, CK_OBJECT_HANDLE *object)
    TDSA_NONNULL;

#endif
