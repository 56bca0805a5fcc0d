#ifndef CFG_VALUE_H
#define CFG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

/**
 * Scalars of the configuration as text. Each gives false when the text is not one; nothing else.
 * Durations: a whole number and a unit (ns us ms s m min h d and the English words), as
 * Dropwizard's Duration reads them. Sizes: a whole number of bytes, or with B K KB KiB M MB MiB ...
 */
TDSA_MUST_USE bool cfg_value_int(const char *text, int64_t *out) TDSA_NONNULL;
TDSA_MUST_USE bool cfg_value_number(const char *text, double *out) TDSA_NONNULL;
TDSA_MUST_USE bool cfg_value_bool(const char *text, bool *out) TDSA_NONNULL;
/** Milliseconds; shorter times than 1 ms are rounded up. */
TDSA_MUST_USE bool cfg_value_duration(const char *text, int64_t *out_ms) TDSA_NONNULL;
TDSA_MUST_USE bool cfg_value_size(const char *text, int64_t *out_bytes) TDSA_NONNULL;
/** One of the words in "a|b|c", letters of either case; *out is where that word begins. */
TDSA_MUST_USE bool cfg_value_word(const char *text, const char *words, const char **out,
                                  size_t *out_len) TDSA_NONNULL;
/** The level in capitals ("INFO"); true and false are ALL and OFF. NULL when it is none. Static. */
const char *cfg_value_level(const char *text) TDSA_NONNULL;

#endif
