#ifndef TESTS_SUPPORT_SOFTHSM_SHIM_H
#define TESTS_SUPPORT_SOFTHSM_SHIM_H

#include <p11-kit/pkcs11.h>

/**
 * softhsm_shim.so: SoftHSM with faults put in. A test loads it itself, so that it stays in memory,
 * and finds these two functions with dlsym.
 */

/** Makes the C_ function of this name answer `rv` without being called (NULL: none), and every token
 * show `flags` beside its own. */
typedef void softhsm_shim_set_fn(const char *function, CK_RV rv, CK_FLAGS flags);
/** How many PINs reached the token since the last set. */
typedef unsigned softhsm_shim_logins_fn(void);

#endif
