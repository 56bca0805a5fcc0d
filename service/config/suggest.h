#ifndef CFG_SUGGEST_H
#define CFG_SUGGEST_H

#include <stddef.h>

#include "base/attr.h"

#define CFG_SUGGESTIONS_MAX 5u

/**
 * The names that are allowed directly below `pattern`, nearest to `name` first (Levenshtein
 * distance, then the order of the table).
 * out    filled with up to CFG_SUGGESTIONS_MAX static strings; returns how many names there are
 *        in all, so it may be more.
 */
size_t cfg_suggest(const char *pattern, const char *name, const char *out[CFG_SUGGESTIONS_MAX])
    TDSA_NONNULL;
/** Letters to insert, drop or change to get from a to b; texts beyond 128 bytes are cut. */
size_t cfg_suggest_distance(const char *a, const char *b) TDSA_NONNULL;

#endif
