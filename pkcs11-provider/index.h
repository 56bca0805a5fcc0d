#ifndef P11_INDEX_H
#define P11_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/**
 * Finds objects by bytes (an id, a label): a hash table from the bytes to indices of the object table.
 * It keeps no bytes: who looks up compares. An object is in the table at most once.
 * Not thread safe: the lock of the objects guards it.
 */
typedef struct {
    size_t *buckets; /* index + 1 of the first of a chain, or 0 */
    struct p11_link {
        uint64_t hash;
        size_t next; /* index + 1, or 0 */
        size_t here; /* 1: in the table */
    } * links;       /* by index */
    size_t capacity; /* of both; a power of two */
} p11_index;

/** Makes room for indices below `capacity` (a power of two). Errors: TDSA_E_NO_MEMORY (unchanged). */
TDSA_MUST_USE tdsa_status p11_index_grow(p11_index *x, size_t capacity, tdsa_err *err) TDSA_NONNULL;
void p11_index_clear(p11_index *x) TDSA_NONNULL;
/** Puts an index under these bytes; it is taken out of where it was. */
void p11_index_put(p11_index *x, size_t index, const void *bytes, size_t len)
    __attribute__((nonnull(1)));
void p11_index_remove(p11_index *x, size_t index) TDSA_NONNULL;
/** First index that may have these bytes, plus one, newest first; 0: none. */
size_t p11_index_first(const p11_index *x, const void *bytes, size_t len)
    __attribute__((nonnull(1)));
/** The next one after `at` (an answer of these two). */
size_t p11_index_next(const p11_index *x, size_t at) TDSA_NONNULL;

#endif
