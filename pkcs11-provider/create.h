#ifndef P11_CREATE_H
#define P11_CREATE_H

#include "pkcs11-provider/session.h"

/** C_CreateObject: nothing can be brought in so far; the code says why, by the object's class. */
CK_RV p11_create(p11_call *call, const CK_ATTRIBUTE *templ, CK_ULONG count,
                 const CK_OBJECT_HANDLE *object) __attribute__((nonnull(1)));
/** C_CopyObject: CKA_COPYABLE is false for every object. */
CK_RV p11_copy(p11_call *call, CK_OBJECT_HANDLE object) TDSA_NONNULL;

#endif
