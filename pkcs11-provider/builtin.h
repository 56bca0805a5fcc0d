#ifndef P11_BUILTIN_H
#define P11_BUILTIN_H

#include "base/err.h"

typedef struct p11_core p11_core;

/** Objects that are in no keystore: the profiles that the token fulfils (PKCS#11 3.0, profiles), and the
 * certificates of the files that pkcs11.certificates names. Nobody can change them.
 * Errors: TDSA_E_CONFIG, TDSA_E_NO_MEMORY, TDSA_E_CRYPTO. */
TDSA_MUST_USE tdsa_status p11_builtin_objects(p11_core *core, tdsa_err *err) TDSA_NONNULL;

#endif
