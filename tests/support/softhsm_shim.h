#ifndef TESTS_SUPPORT_SOFTHSM_SHIM_H
#define TESTS_SUPPORT_SOFTHSM_SHIM_H

#include <p11-kit/pkcs11.h>

/**
 * softhsm_shim.so: SoftHSM with faults put in. A test loads it itself, so that it stays in memory,
 * and finds these functions with dlsym. For other processes the file $TDSA_SHIM_FAULTS says the same; it is
 * read at every call, and missing or empty it says nothing. One fault a line:
 *   fail FUNCTION CODE    answers the code, without asking SoftHSM
 *   hang FUNCTION MS      waits so long first, or until the file says otherwise
 *   flags BITS            every token shows them beside its own
 * FUNCTION is C_Login and so on, or * for all; numbers as strtoul reads them.
 */

/** Makes the C_ function of this name answer `rv` without being called (NULL: none), and every token
 * show `flags` beside its own. */
typedef void softhsm_shim_set_fn(const char *function, CK_RV rv, CK_FLAGS flags);
/** Makes the function of this name wait for ms milliseconds first, or until this is called again (NULL). */
typedef void softhsm_shim_hang_fn(const char *function, unsigned ms);
/** How many PINs reached the token since the last set. */
typedef unsigned softhsm_shim_logins_fn(void);
/** Names of all C_ functions that it can break, in the order of their use; NULL ends them. */
typedef const char *const *softhsm_shim_names_fn(void);

#endif
