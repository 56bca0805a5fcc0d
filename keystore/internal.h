#ifndef KS_INTERNAL_H
#define KS_INTERNAL_H

#include <pthread.h>

#include "base/hash.h"
#include "keystore/backend.h"
#include "keystore/encryptor.h"
#include "keystore/seal.h"

/** Only for the files of keystore/. */
struct ks {
    pthread_mutex_t mu;        /* everything below it */
    pthread_mutex_t unlock_mu; /* one unlocking at a time; taken before mu */
    ks_backend *backend;
    tdsa_secret *data_key; /* NULL: locked, or rows_clear */
    _Atomic bool unlocked; /* read without it too: readiness does not wait for the database */
    bool forking;          /* between ks_fork_prepare and its end */
    ks_stats stats;
    ks_marks marks; /* the latest that this process knows */

    /* key_life.c */
    tdsa_secret
        *pin; /* of the last ks_unlock, for unwrapping again; NULL: that of the configuration */
    uint64_t key_until_ms;            /* when data_key is wiped */
    uint64_t key_tries, key_tried_ms; /* calls of the encryptor that ended; the last of them */
    tdsa_err key_error;               /* why it failed; status TDSA_OK: it did not */
    bool key_down;                    /* the log has said so */
    bool key_marked;
    uint8_t key_mark[TDSA_DIGEST_LEN_MAX]; /* hash of the data key */

    /* set at open, never changed */
    ks_encryptor *encryptor; /* NULL: rows_clear */
    bool rows_clear;
    bool key_expires;
    uint64_t key_lifetime_ms;
    tdsa_rng rng;
    tdsa_clock clock;
    const tdsa_log *log;
    uint64_t lane;
    char *counter_file; /* NULL: none */
    bool rolled_back;   /* what ks_open found */
    ks_marks found_was, found_seen;
};

#define KS_LOGGER "keystore"
/** Longest name of a meta value. Names that start with KS_META_OWN belong to the keystore. */
#define KS_META_NAME_MAX 64u
#define KS_META_OWN      "ks."
#define KS_META_DATA_KEY KS_META_OWN "data-key"
#define KS_META_STORE_ID KS_META_OWN "store-id"
#define KS_COUNTER_START "starts"
#define KS_COUNTER_BURN  "burns"
#define KS_COUNTER_PURGE "purges"
/** Largest value that every backend can compare. */
#define KS_SEQ_MAX ((uint64_t)INT64_MAX)
/** Largest `data` of a batch. */
#define KS_BATCH_DATA_MAX (2u << 20)

/** Place of the highest bit that is set; bits != 0. */
static inline uint32_t ks_top_bit(uint64_t bits)
{
    return 63u - (uint32_t)__builtin_clzll(bits);
}

void ks_enter(ks *s) TDSA_NONNULL;
void ks_leave(ks *s) TDSA_NONNULL;
/** Counts a durable commit when st says so, leaves, and gives st back. */
tdsa_status ks_leave_commit(ks *s, tdsa_status st) TDSA_NONNULL;

/** The same after a lease or burn that raised the counter to `burns` (marks.c). */
tdsa_status ks_leave_burn(ks *s, tdsa_status st, uint64_t burns, tdsa_err *err) TDSA_NONNULL;
/** At open: compares the counters with the file, then raises the start counter in both. Call
 * outside, with marks.store_id set. */
TDSA_MUST_USE tdsa_status ks_count_start(ks *s, tdsa_err *err) TDSA_NONNULL;

/** 1..KS_KEY_ID_MAX of [A-Za-z0-9_.-]; else TDSA_E_BAD_INPUT. */
TDSA_MUST_USE tdsa_status ks_check_key_id(const char *key_id, tdsa_err *err) TDSA_NONNULL;

/** The public columns of a row in memory of their own; a damaged row is counted. Call inside. */
TDSA_MUST_USE tdsa_status ks_key_of_row(ks *s, ks_key **out, const ks_key_row *row, tdsa_err *err)
    TDSA_NONNULL;
/** A row without share from a key, whose fields are checked and lent. Errors: TDSA_E_BAD_INPUT. */
TDSA_MUST_USE tdsa_status ks_key_to_row(ks_key_row *row, const ks_key *k, ks_key_state state,
                                        tdsa_err *err) TDSA_NONNULL;
/** Where a share belongs. */
ks_seal_place ks_key_place(const char *key_id, uint32_t epoch, const uint8_t *public_part,
                           size_t public_len);

/** Everything that the rest of the code relies on in a row; else TDSA_E_STORE. */
TDSA_MUST_USE tdsa_status ks_check_key_row(const ks_key_row *row, tdsa_err *err) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status ks_check_batch_row(const ks_batch_row *row, tdsa_err *err) TDSA_NONNULL;
/** Else TDSA_E_BAD_INPUT. */
TDSA_MUST_USE tdsa_status ks_check_deletion(const ks_deletion *d, tdsa_err *err) TDSA_NONNULL;
/** Counts and logs a row that is refused (TDSA_E_STORE); gives st back; call inside. */
tdsa_status ks_refused(ks *s, tdsa_status st, const tdsa_err *err) TDSA_NONNULL;

/** As ks_enter, for calls that seal or open rows: first has the data key unwrapped again where its time was
 * over. Where that fails, ks_need_key says so. */
void ks_enter_keyed(ks *s) TDSA_NONNULL;
/** Inside. Errors: TDSA_E_LOGIN when locked, and why the data key was not unwrapped. */
TDSA_MUST_USE tdsa_status ks_need_key(const ks *s, tdsa_err *err) TDSA_NONNULL;
/** Inside: wipes the data key when its time is over. */
void ks_key_expire(ks *s) TDSA_NONNULL;
/** Inside: wipes it, and the PIN that is kept for it, and locks the store. */
void ks_key_forget(ks *s) TDSA_NONNULL;
/** Inside: takes a data key (NULL inside: rows_clear) and unlocks the store. Errors: TDSA_E_WRAPPING (it is
 * not the one of before). */
TDSA_MUST_USE tdsa_status ks_key_keep(ks *s, tdsa_secret **key, tdsa_err *err) TDSA_NONNULL;
/** Inside: keeps the PIN of a login where the data key will be unwrapped again. */
TDSA_MUST_USE tdsa_status ks_key_keep_pin(ks *s, const char *pin, size_t len, tdsa_err *err)
    __attribute__((nonnull(1, 4)));
/** Inside: notes how a call of the encryptor ended. */
void ks_key_note(ks *s, tdsa_status st, const tdsa_err *err) TDSA_NONNULL;

/** Seals with the store's data key; call inside ks_enter_keyed. Errors: those of ks_need_key. */
TDSA_MUST_USE tdsa_status ks_seal_row(ks *s, tdsa_buf *out, const ks_seal_place *place,
                                      const uint8_t *plain, size_t len, tdsa_err *err)
    __attribute__((nonnull(1, 2, 3, 6)));
/** Opens a row, counts and logs one that is refused; call inside ks_enter_keyed. Errors: those of
 * ks_need_key, TDSA_E_STORE. */
TDSA_MUST_USE tdsa_status ks_unseal_row(ks *s, tdsa_buf *out, const ks_seal_place *place,
                                        const uint8_t *record, size_t len, tdsa_err *err)
    __attribute__((nonnull(1, 2, 3, 6)));

/** The data key: made or unwrapped, checked against the one in use, kept. Call outside. */
TDSA_MUST_USE tdsa_status ks_data_key_load(ks *s, const char *pin, size_t pin_len, tdsa_err *err)
    __attribute__((nonnull(1, 4)));
/** The data key: made or unwrapped. Call outside with unlock_mu held. */
TDSA_MUST_USE tdsa_status ks_data_key_get(ks *s, const char *pin, size_t pin_len, tdsa_secret **key,
                                          tdsa_err *err) __attribute__((nonnull(1, 4, 5)));
/** Fails when the stored data key belongs to another encryptor than the configured one. */
TDSA_MUST_USE tdsa_status ks_data_key_check(ks *s, tdsa_err *err) TDSA_NONNULL;

#endif
