#ifndef TDSA_BASE_ASSERT_H
#define TDSA_BASE_ASSERT_H

#include "base/attr.h"

/** Called when our own code is wrong. Must not return: the daemon logs and aborts, the PKCS#11
 * module marks itself dead and jumps back to the entry point. */
typedef void (*tdsa_assert_fn)(const char *what, const char *where);

/** Replaces the handler (tests; the PKCS#11 module). Call before any other thread runs. */
void tdsa_assert_set_handler(tdsa_assert_fn fn) TDSA_NONNULL;

_Noreturn void tdsa_assert_failed(const char *what, const char *where) TDSA_NONNULL;

/** Stays on in every build type. One condition per line. */
#define TDSA_ASSERT(cond)                          \
    do {                                           \
        if (!(cond)) {                             \
            tdsa_assert_failed(#cond, TDSA_WHERE); \
        }                                          \
    } while (0)

#endif
