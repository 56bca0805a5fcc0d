#ifndef P11_PROGRAM_H
#define P11_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

/* The program that has loaded the module: some need to be shown things in their own way. */

#define P11_PROGRAM_NAME_MAX 256u

/** The name of its file, without the folder; "" when the system does not say. */
void p11_program_name(char out[P11_PROGRAM_NAME_MAX]) TDSA_NONNULL;
/** True when a shared library is in the process whose path ends with one of these ("/libp11.so"), or goes on
 * with a version (".3"). */
bool p11_program_has(const char *const *libraries, size_t count) TDSA_NONNULL;
/** pkcs11-tool up to OpenSC 0.23: it asks for version 3.0, and reads the points of Edwards keys only as 2.40
 * has them. Later ones read them as they are, and no longer the other way. */
bool p11_program_is_old_pkcs11_tool(void);

#endif
