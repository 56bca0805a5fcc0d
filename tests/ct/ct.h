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
 * index that depends on them. A mark can get lost on the way (a value that is declassified too
 * early, a copy that valgrind cannot follow), and then nothing is checked any more: so each test
 * says at which places a value must still be marked.
 *
 * The same source built with CT_NEGATIVE leaks at each of these places on purpose, and proves that
 * valgrind reports that very leak and nothing else (tests/ct/expect_leaks.cmake runs it).
 */

/* Places at which this process leaked. */
static unsigned ct_leaks;

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

/* The bits of *p that are marked. */
static inline uint8_t ct_marks(const uint8_t *p)
{
    uint8_t marks = 0;

    if (VALGRIND_GET_VBITS(p, &marks, 1) != 1) {
        (void)fputs("failed: this runs under valgrind's memcheck only\n", stderr);
        exit(EXIT_FAILURE);
    }
    return marks;
}

/* Bytes of [p, p + len) with a marked bit. */
static inline size_t ct_marked_bytes(const void *p, size_t len)
{
    const uint8_t *bytes = p;
    size_t count = 0;

    for (size_t i = 0; i < len; i++) {
        count += ct_marks(bytes + i) != 0 ? 1u : 0u;
    }
    return count;
}

/* Built to leak on purpose, which proves that the check can fail. */
#ifdef CT_NEGATIVE
static const bool ct_negative = true;
#else
static const bool ct_negative = false;
#endif

/* Branches on the marked bits of one byte when built to fail, and requires exactly one report. */
static inline void ct_leak(const char *what, const uint8_t *p)
{
    const unsigned before = (unsigned)VALGRIND_COUNT_ERRORS;
    const uint8_t marks = ct_marks(p);
    volatile bool branched = false; /* so that the branch stays one */

    if (!ct_negative) {
        return;
    }
    if ((*(const volatile uint8_t *)p & marks) == 0) {
        branched = true;
    }
    (void)branched;
    ct_leaks++;
    if ((unsigned)VALGRIND_COUNT_ERRORS != before + 1) {
        (void)fprintf(stderr, "failed: valgrind does not see a leak of %s\n", what);
        exit(EXIT_FAILURE);
    }
}

/* Every byte is still marked. */
static inline void ct_still_secret(const char *what, const void *p, size_t len)
{
    const size_t marked = ct_marked_bytes(p, len);

    if (len == 0 || marked != len) {
        (void)fprintf(stderr, "failed: of %s only %zu of %zu bytes are marked as secret\n", what,
                      marked, len);
        exit(EXIT_FAILURE);
    }
    ct_leak(what, p);
}

/* No byte is marked: what is sent in the clear, and what does not depend on a marked value. */
static inline void ct_still_public(const char *what, const void *p, size_t len)
{
    const size_t marked = ct_marked_bytes(p, len);

    if (marked != 0) {
        (void)fprintf(stderr, "failed: of %s %zu of %zu bytes depend on a secret\n", what, marked,
                      len);
        exit(EXIT_FAILURE);
    }
}

/* The end of every test; the exit code of main. */
static inline int ct_end(void)
{
    const unsigned errors = (unsigned)VALGRIND_COUNT_ERRORS;

    ct_require(errors == ct_leaks, "valgrind reports what no test leaked on purpose");
    if (ct_negative) {
        ct_require(ct_leaks > 0, "no secret was leaked");
        (void)fprintf(stderr, "ct: %u leaks, each seen, nothing else\n", ct_leaks);
    }
    return EXIT_SUCCESS;
}

#endif
