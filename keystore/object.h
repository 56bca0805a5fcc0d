#ifndef KS_OBJECT_H
#define KS_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct ks ks;

/**
 * What an application leaves in a token and is no key of ours: certificates, data, public keys of others. The
 * keystore does not look into it. It knows nobody else's: each participant has its own.
 */

#define KS_OBJECT_ID_LEN 16u
#define KS_OBJECT_MAX    65536u /* bytes */

typedef struct {
    uint8_t id[KS_OBJECT_ID_LEN];
    /* encrypted under the data key, and bound to id and created_ms; else in clear, and whoever can write to
     * the database can change it */
    bool sealed;
    uint64_t created_ms;  /* wall clock, below 2^63 */
    const uint8_t *bytes; /* NULL with length 0: a sealed one, and the store is locked */
    size_t len;
} ks_object;

/** Inserts it, or replaces the one with this id. Errors: TDSA_E_BAD_INPUT (too long), TDSA_E_LOGIN (to be
 * sealed, and the store is locked), TDSA_E_WRAPPING, TDSA_E_STORE. */
TDSA_MUST_USE tdsa_status ks_object_put(ks *s, const ks_object *o, tdsa_err *err) TDSA_NONNULL;
/** Called per object, `o` lent; return false to stop. */
typedef bool (*ks_object_fn)(void *ctx, const ks_object *o);
/**
 * All of them, the oldest first, those of one time in the order of their ids. One that is damaged, edited or
 * does not open is counted (ks_get_stats), logged and passed over, so that it hides none of the others.
 * Errors: TDSA_E_STORE; of a store that is unlocked those of ks_key_check, when there is a sealed one.
 */
TDSA_MUST_USE tdsa_status ks_object_each(ks *s, ks_object_fn fn, void *ctx, tdsa_err *err)
    __attribute__((nonnull(1, 2, 4)));
/** Errors: TDSA_E_NOT_FOUND, TDSA_E_STORE. */
TDSA_MUST_USE tdsa_status ks_object_delete(ks *s, const uint8_t id[KS_OBJECT_ID_LEN], tdsa_err *err)
    TDSA_NONNULL;

#endif
