#ifndef TDSA_TESTS_CT_H
#define TDSA_TESTS_CT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <valgrind/memcheck.h>

/*
 * Constant-time checks: secrets are marked "undefined", so valgrind reports every branch and every
 * index that depends on them. The same source built with CT_NEGATIVE leaks on purpose and must
 * fail, which proves that the check can.
 */
static inline void ct_secret(const void *p, size_t len)
{
    (void)VALGRIND_MAKE_MEM_UNDEFINED(p, len);
}

/* The end of a test: the result may be looked at. */
static inline void ct_public(const void *p, size_t len)
{
    (void)VALGRIND_MAKE_MEM_DEFINED(p, len);
}

static inline void ct_require(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "failed: %s\n", what);
        exit(EXIT_FAILURE);
    }
}

/* Looks at a secret byte when built to fail. */
static inline void ct_leak(const void *p)
{
#ifdef CT_NEGATIVE
    if (*(const volatile uint8_t *)p == 3) {
        (void)fputs("leaked\n", stderr);
    }
#else
    (void)p;
#endif
}

#endif
