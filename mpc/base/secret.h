#ifndef TDSA_BASE_SECRET_H
#define TDSA_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/** Longest secret we hold, in bytes (the sealed part of a (9,4) key is below 8 KiB). */
#define TDSA_SECRET_LEN_MAX 16384u

/** Bytes that must not leak: locked in RAM where the limit allows, left out of core dumps, wiped
 * when freed. */
typedef struct tdsa_secret tdsa_secret;

/**
 * Makes a zero-filled secret of `len` bytes.
 *
 * out  set to a new secret on success, to NULL on failure; free with tdsa_secret_free.
 * len  bytes, 1 to TDSA_SECRET_LEN_MAX.
 *
 * Errors: TDSA_E_BAD_INPUT (len out of range), TDSA_E_NO_MEMORY.
 * When RLIMIT_MEMLOCK is exhausted the pages stay unlocked but out of core dumps;
 * tdsa_secret_unlocked_count tells how many such secrets were ever made (docs/security.md).
 */
TDSA_MUST_USE tdsa_status tdsa_secret_new(tdsa_secret **out, size_t len, tdsa_err *err)
    TDSA_NONNULL;

/** The same, filled with a copy of `bytes`. */
TDSA_MUST_USE tdsa_status tdsa_secret_copy(tdsa_secret **out, const uint8_t *bytes, size_t len,
                                           tdsa_err *err) TDSA_NONNULL;

/** Wipes and frees. NULL is allowed. */
void tdsa_secret_free(tdsa_secret *s);

/** The bytes, owned by `s`, valid until it is freed. */
uint8_t *tdsa_secret_bytes(tdsa_secret *s) TDSA_NONNULL;
const uint8_t *tdsa_secret_view(const tdsa_secret *s) TDSA_NONNULL;
size_t tdsa_secret_len(const tdsa_secret *s) TDSA_NONNULL;

/** True when both hold the same bytes. Time depends on the lengths only. */
bool tdsa_secret_equal(const tdsa_secret *a, const tdsa_secret *b) TDSA_NONNULL;

/** Secrets that could not be locked since the process started. */
unsigned long tdsa_secret_unlocked_count(void);

/** Wipes `len` bytes at `p`; the compiler cannot remove it. p may be NULL when len is 0. */
void tdsa_wipe(void *p, size_t len);

/** True when the two areas are equal. Time depends on len only. */
bool tdsa_ct_equal(const void *a, const void *b, size_t len) TDSA_NONNULL;

/** Marks bytes derived from secrets as public from here on (valgrind runs); say why at the call. */
void tdsa_declassify(const void *p, size_t len);

static inline void tdsa_secret_scope_end(tdsa_secret **s)
{
    tdsa_secret_free(*s);
}
/** A local secret that is wiped and freed on every way out of the block. */
#define TDSA_SCOPED_SECRET __attribute__((cleanup(tdsa_secret_scope_end))) tdsa_secret *

#endif
