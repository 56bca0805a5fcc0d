#ifndef P11_ERRORS_H
#define P11_ERRORS_H

#include <stdbool.h>

#include "base/err.h"
#include "pkcs11-provider/cryptoki.h"

/** The one place where a status of the engine becomes a code of PKCS#11 (docs/pkcs11.md, "Error
 * codes"). */
CK_RV p11_rv_of(tdsa_status status);

/** The same for an error that may be a participant's answer: what it lacks, refuses as malformed or
 * has not opened is no fault of the caller, so it is CKR_DEVICE_ERROR. v3: the caller knows the codes of
 * version 3. */
CK_RV p11_rv_of_err(const tdsa_err *err, bool v3) TDSA_NONNULL;

/** "CKR_DEVICE_REMOVED" and so on, for log lines; "CKR_?" for a code this module never gives. */
const char *p11_rv_name(CK_RV rv);

#endif
