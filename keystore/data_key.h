#ifndef KS_DATA_KEY_H
#define KS_DATA_KEY_H

#include "keystore/backend.h"
#include "keystore/kcv.h"
#include "keystore/seal.h"

/**
 * The data keys of a store: the current one, and while rows are sealed again the one before it. In the
 * table data_key each is wrapped by the encryptor:
 *   wrapped = stmt("data-key", encryptor's name, what the encryptor gave)
 *   chained = the key, sealed (seal.h) under the one before it
 * so that a process that has the one before follows without its encryptor. `chained` goes when the rotation
 * ends: whoever stole an old key must not come to the new one by it.
 */

#define KS_ENCRYPTOR_NAME_NONE "none"

/** Keys in memory. A secret that is NULL is not there. */
typedef struct {
    ks_data_key current, old;
    bool takes_clear; /* rows that are not encrypted are opened too: they are being sealed */
} ks_ring;

void ks_ring_clear(ks_ring *r) TDSA_NONNULL;
/** NULL: it is not there. */
const ks_data_key *ks_ring_find(const ks_ring *r, uint32_t number) TDSA_NONNULL;
/** A copy with secrets of its own. Errors: TDSA_E_NO_MEMORY. */
TDSA_MUST_USE tdsa_status ks_data_key_copy(ks_data_key *out, const ks_data_key *from, tdsa_err *err)
    TDSA_NONNULL;

/** A row of the table in memory of its own. */
typedef struct {
    uint32_t number;
    ks_data_key_state state;
    tdsa_buf wrapped, chained;
} ks_stored_key;

typedef struct {
    ks_stored_key row[KS_DATA_KEYS_MAX];
    size_t count;
} ks_stored_keys;

/** All rows; inside. Errors: TDSA_E_STORE (there are more than can be). */
TDSA_MUST_USE tdsa_status ks_stored_keys_read(ks *s, ks_stored_keys *out, tdsa_err *err)
    TDSA_NONNULL;
void ks_stored_keys_clear(ks_stored_keys *k) TDSA_NONNULL;
/** The one in this state; NULL: there is none. */
const ks_stored_key *ks_stored_key_in(const ks_stored_keys *k, ks_data_key_state state)
    TDSA_NONNULL;

/** What `wrapped` says. */
typedef struct {
    char encryptor[KS_PLUGIN_NAME_MAX + 1];
    const uint8_t *wrapped; /* lent; what the encryptor gave */
    size_t wrapped_len;
} ks_wrapped_key;

/** `bytes` may be anything. Errors: TDSA_E_STORE. */
TDSA_MUST_USE tdsa_status ks_wrapped_key_parse(ks_wrapped_key *out, const uint8_t *bytes,
                                               size_t len, tdsa_err *err)
    __attribute__((nonnull(1, 4)));
TDSA_MUST_USE tdsa_status ks_wrapped_key_put(tdsa_buf *out, const char *encryptor,
                                             const tdsa_buf *wrapped, tdsa_err *err) TDSA_NONNULL;
/** The check value at the head of what every encryptor gives; false: there is none. */
bool ks_wrapped_key_kcv(uint8_t out[KS_KCV_LEN], const ks_wrapped_key *k) TDSA_NONNULL;

/** Seals `key` under the one before it. */
TDSA_MUST_USE tdsa_status ks_chain_put(ks *s, tdsa_buf *out, const ks_data_key *before,
                                       const ks_data_key *key, tdsa_err *err) TDSA_NONNULL;
/** The secret of key `number` from its chained form. Errors: TDSA_E_STORE. */
TDSA_MUST_USE tdsa_status ks_chain_take(ks_data_key *out, const ks_data_key *before,
                                        const ks_stored_key *stored, tdsa_err *err) TDSA_NONNULL;

/** A new secret. */
TDSA_MUST_USE tdsa_status ks_data_key_make(ks *s, ks_data_key *out, uint32_t number, tdsa_err *err)
    TDSA_NONNULL;

#endif
