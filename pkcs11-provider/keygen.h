#ifndef P11_KEYGEN_H
#define P11_KEYGEN_H

#include "pkcs11-provider/session.h"

/** The two templates of C_GenerateKeyPair. */
typedef struct {
    const CK_ATTRIBUTE *attrs[2]; /* by p11_class */
    CK_ULONG count[2];
} p11_templates;

/** The one of C_CreateObject. */
typedef struct {
    const CK_ATTRIBUTE *attrs;
    CK_ULONG count;
} p11_template;

/** Imports the private key of a template; the checks of session and policy are done. object: the private
 * key object. */
CK_RV p11_import_key(p11_call *call, const p11_template *t, CK_OBJECT_HANDLE *object) TDSA_NONNULL;

/**
 * C_GenerateKeyPair: registers the key at every participant, then runs the distributed key
 * generation; both within one deadline. Nothing is shown unless all participants have the key.
 */
CK_RV p11_generate_pair(p11_call *call, const CK_MECHANISM *mech, const p11_templates *templates,
                        CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key)
    __attribute__((nonnull(1, 3)));

/** C_DestroyObject: the private key object stands for the key, at every participant; destroying
 * the public one only hides it. */
CK_RV p11_destroy(p11_call *call, CK_OBJECT_HANDLE object) TDSA_NONNULL;

#endif
