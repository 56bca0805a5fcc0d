#ifndef P11_DESTROY_H
#define P11_DESTROY_H

#include "pkcs11-provider/session.h"

/** C_DestroyObject: the private key object stands for the key, at every participant; destroying the
 * public one of a pair only hides it. Other objects are gone at once. */
CK_RV p11_destroy(p11_call *call, CK_OBJECT_HANDLE object) TDSA_NONNULL;

#endif
