#ifndef P11_CREATE_H
#define P11_CREATE_H

#include "pkcs11-provider/keygen.h"

/**
 * C_CreateObject: a private key (CKK_EC, CKA_EC_PARAMS, CKA_VALUE) is imported where every participant
 * allows it; a public key object only where the token has the key already: then it gets the names, and is
 * shown again if it was destroyed. For everything else the code says why, by the object's class.
 */
CK_RV p11_create(p11_call *call, const p11_template *t, CK_OBJECT_HANDLE *object)
    __attribute__((nonnull(1, 2)));
/** The point of a CKA_EC_POINT, in DER or as it is; lent. False when there is none. */
bool p11_point_of(const CK_ATTRIBUTE *a, const CK_BYTE **point, size_t *len) TDSA_NONNULL;
/** C_CopyObject: CKA_COPYABLE is false for every object. */
CK_RV p11_copy(p11_call *call, CK_OBJECT_HANDLE object) TDSA_NONNULL;

#endif
