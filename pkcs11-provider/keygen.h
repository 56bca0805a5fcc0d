#ifndef P11_KEYGEN_H
#define P11_KEYGEN_H

#include "pkcs11-provider/session.h"
#include "pkcs11-provider/template.h"

/** What C_GenerateKeyPair is asked for. */
typedef struct {
    const CK_MECHANISM *mech;
    p11_template public_key, private_key;
} p11_pair_wish;

/**
 * C_GenerateKeyPair: registers the key at every participant, then runs the distributed key
 * generation; both within one deadline. Nothing is shown unless all participants have the key.
 */
CK_RV p11_generate_pair(p11_call *call, const p11_pair_wish *wish, CK_OBJECT_HANDLE *public_key,
                        CK_OBJECT_HANDLE *private_key) __attribute__((nonnull(1, 2)));
/** Imports the private key of a template; the policy was asked. object: the private key object. */
CK_RV p11_import_key(p11_call *call, const p11_template *t, CK_OBJECT_HANDLE *object) TDSA_NONNULL;
/** What objects need where they are made: token objects an R/W session, private keys a login. */
CK_RV p11_may_make(p11_call *call, bool token, bool private_key) TDSA_NONNULL;

#endif
