#ifndef KS_INTERNAL_H
#define KS_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/hash.h"
#include "keystore/backend.h"
#include "keystore/data_key.h"
#include "keystore/encryptor.h"
#include "keystore/seal.h"

/** Only for the files of keystore/. */
struct ks {
    pthread_mutex_t mu;        /* everything below it */
    pthread_mutex_t unlock_mu; /* one unlocking at a time; taken before mu */
    ks_backend *backend;
    ks_ring ring;          /* empty: locked, its time is over, or rows_clear */
    _Atomic bool unlocked; /* read without it too: readiness does not wait for the database */
    bool forking;          /* between ks_fork_prepare and its end */
    ks_stats stats;
    /* the latest that this process knows: read with mu or marks_mu, written with both, so that ks_marks_known
     * does not wait for a commit */
    ks_marks marks;
    pthread_mutex_t marks_mu; /* taken after all others, for an assignment */

    /* identity.c */
    atomic_bool has_moved; /* ks_take_moved has not told it yet */
    ks_moved moved;

    /* what ks_change_counter gave last, and what it adds since the database was another one: no value comes
     * twice for different tables. Read without mu where the backend has the counter apart */
    _Atomic uint64_t change_last, change_shift;

    /* key_life.c */
    tdsa_secret
        *pin; /* of the last ks_unlock, for unwrapping again; NULL: that of the configuration */
    uint64_t key_until_ms;            /* when the ring is wiped */
    uint64_t key_tries, key_tried_ms; /* calls of the encryptor that ended; the last of them */
    tdsa_err key_error;               /* why it failed; status TDSA_OK: it did not */
    bool key_down;                    /* the log has said so */
    bool key_marked;
    uint32_t key_mark_number;
    uint8_t key_mark[TDSA_DIGEST_LEN_MAX]; /* hash of the data key of that number */

    /* key_ring.c */
    bool stale;          /* the database has other data keys than the ring */
    unsigned keyed_runs; /* of the body that runs */

    /* set at open, and changed by ks_rewrap alone, with both locks */
    ks_encryptor *encryptor; /* NULL: rows_clear */
    bool rows_clear;

    /* set at open, never changed */
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
#define KS_META_NAME_MAX        64u
#define KS_META_OWN             "ks."
#define KS_META_STORE_ID        KS_META_OWN "store-id"
#define KS_COUNTER_START        "starts"
#define KS_COUNTER_BURN         "burns"
#define KS_COUNTER_PURGE        "purges"
#define KS_COUNTER_CHANGES_FROM "changes-from"
/** Largest value that every backend can compare. */
#define KS_SEQ_MAX ((uint64_t)INT64_MAX)
/** Largest `data` of a batch. */
#define KS_BATCH_DATA_MAX (2u << 20)

/** Place of the highest bit that is set; bits != 0. */
static inline uint32_t ks_top_bit(uint64_t bits)
{
    return 63u - (uint32_t)__builtin_clzll(bits);
}

/** The bits of presignatures from..to-1 that lie in a block; 0: none. */
static inline uint64_t ks_block_bits(uint32_t block, uint32_t from, uint32_t to)
{
    const uint32_t first = block * KS_BLOCK_SIZE;
    const uint32_t low = from > first ? from - first : 0;
    const uint32_t high = to > first ? to - first : 0;
    const uint64_t below = high >= KS_BLOCK_SIZE ? UINT64_MAX : (1ull << high) - 1;

    return low >= KS_BLOCK_SIZE ? 0 : below & (UINT64_MAX << low);
}

void ks_enter(ks *s) TDSA_NONNULL;
void ks_leave(ks *s) TDSA_NONNULL;
/** Counts a durable commit when st says so, leaves, and gives st back. */
tdsa_status ks_leave_commit(ks *s, tdsa_status st) TDSA_NONNULL;

/** Inside, after a lease or burn that raised the counter to `burns`, if st says so (marks.c). */
tdsa_status ks_note_burn(ks *s, tdsa_status st, uint64_t burns, tdsa_err *err) TDSA_NONNULL;
/** The same, and leaves. */
tdsa_status ks_leave_burn(ks *s, tdsa_status st, uint64_t burns, tdsa_err *err) TDSA_NONNULL;
/** At open: compares the counters with the file, then raises the start counter in both. Call
 * outside, with marks.store_id set. */
TDSA_MUST_USE tdsa_status ks_count_start(ks *s, tdsa_err *err) TDSA_NONNULL;

/** Reads the counters of the database into s->marks; inside, or at open. */
TDSA_MUST_USE tdsa_status ks_marks_refresh(ks *s, tdsa_err *err) TDSA_NONNULL;

/** At open, with marks.store_id set: gives up all presignatures of a database that is another one. */
TDSA_MUST_USE tdsa_status ks_identity_at_open(ks *s, tdsa_err *err) TDSA_NONNULL;
/** Inside: the same after a lost connection came back to another one. */
void ks_identity_follow(ks *s) TDSA_NONNULL;

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
TDSA_MUST_USE tdsa_status ks_check_object_row(const ks_object_row *row, tdsa_err *err) TDSA_NONNULL;
/** Else TDSA_E_BAD_INPUT. */
TDSA_MUST_USE tdsa_status ks_check_deletion(const ks_deletion *d, tdsa_err *err) TDSA_NONNULL;
/** Counts and logs a row that is refused (TDSA_E_STORE); gives st back; call inside. */
tdsa_status ks_refused(ks *s, tdsa_status st, const tdsa_err *err) TDSA_NONNULL;

/** As ks_enter, for ks_keyed_next: first has the data keys unwrapped again where their time was over or they
 * are stale. Where that fails, ks_need_key says so. */
void ks_enter_keyed(ks *s) TDSA_NONNULL;
/**
 * The part of a call that seals or opens rows:
 *     for (ks_keyed k = ks_keyed_of(s); ks_keyed_next(&k, &st, err);) {
 *         st = ...;
 *     }
 *     ks_leave(s);
 * It runs inside, again when the data keys in memory were not those of the database, and sets its results anew
 * each time. What follows the loop is inside too.
 */
typedef struct {
    ks *s;
    unsigned runs;
} ks_keyed;
ks_keyed ks_keyed_of(ks *s) TDSA_NONNULL;
bool ks_keyed_next(ks_keyed *k, tdsa_status *st, tdsa_err *err) TDSA_NONNULL;
/** The same, and for what is not sealed one run that needs no data key. */
bool ks_keyed_next_when(ks_keyed *k, bool sealed, tdsa_status *st, tdsa_err *err) TDSA_NONNULL;
/** Inside, with unlock_mu held: makes stale keys those of the database without the encryptor; false: that
 * must be asked. */
bool ks_ring_follow(ks *s) TDSA_NONNULL;
/** Inside: follows while the way is open, so that an idle process does too. */
void ks_ring_watch(ks *s) TDSA_NONNULL;
/** Inside. Errors: TDSA_E_LOGIN when locked, and why the data key was not unwrapped. */
TDSA_MUST_USE tdsa_status ks_need_key(const ks *s, tdsa_err *err) TDSA_NONNULL;
/** Inside: wipes the data key when its time is over. */
void ks_key_expire(ks *s) TDSA_NONNULL;
/** Inside: wipes it, and the PIN that is kept for it, and locks the store. */
void ks_key_forget(ks *s) TDSA_NONNULL;
/** Inside: takes the keys out of `ring` and unlocks the store. Errors: TDSA_E_WRAPPING (a key is not the one that
 * its number had before). */
TDSA_MUST_USE tdsa_status ks_key_keep(ks *s, ks_ring *ring, tdsa_err *err) TDSA_NONNULL;
/** Inside: keeps the PIN of a login where the data key will be unwrapped again. */
TDSA_MUST_USE tdsa_status ks_key_keep_pin(ks *s, const char *pin, size_t len, tdsa_err *err)
    __attribute__((nonnull(1, 4)));
/** Inside: notes how a call of the encryptor ended. */
void ks_key_note(ks *s, tdsa_status st, const tdsa_err *err) TDSA_NONNULL;

/** Seals with the store's data key; call in the body of ks_keyed_next. Errors: those of ks_need_key. */
TDSA_MUST_USE tdsa_status ks_seal_row(ks *s, tdsa_buf *out, const ks_seal_place *place,
                                      const uint8_t *plain, size_t len, tdsa_err *err)
    __attribute__((nonnull(1, 2, 3, 6)));
/** Opens a row, counts and logs one that is refused; call in the body of ks_keyed_next. Errors: those of
 * ks_need_key, TDSA_E_STORE. */
TDSA_MUST_USE tdsa_status ks_unseal_row(ks *s, tdsa_buf *out, const ks_seal_place *place,
                                        const uint8_t *record, size_t len, tdsa_err *err)
    __attribute__((nonnull(1, 2, 3, 6)));

/** The data key: made or unwrapped, checked against the one in use, kept. Call outside. */
TDSA_MUST_USE tdsa_status ks_data_key_load(ks *s, const char *pin, size_t pin_len, tdsa_err *err)
    __attribute__((nonnull(1, 4)));
/** The data keys: made or unwrapped; `out` is cleared with ks_ring_clear. Call outside with unlock_mu held. */
TDSA_MUST_USE tdsa_status ks_data_key_get(ks *s, const char *pin, size_t pin_len, ks_ring *out,
                                          tdsa_err *err) __attribute__((nonnull(1, 4, 5)));
/** An encryptor (NULL: none) and the PIN for it. */
typedef struct {
    ks_encryptor *e;
    const char *pin;
    size_t pin_len;
} ks_encryptor_use;
/** Appends the wrapped form of a key, as it is stored. Call outside with unlock_mu held. */
TDSA_MUST_USE tdsa_status ks_data_key_wrap(const ks_encryptor_use *use, const ks_data_key *key,
                                           tdsa_buf *out, tdsa_err *err) TDSA_NONNULL;
/** Stores a new key, and makes keys->current the old one in it. Call outside with unlock_mu held. */
TDSA_MUST_USE tdsa_status ks_rotation_begin(ks *s, const ks_encryptor_use *use, ks_ring *keys,
                                            tdsa_err *err) TDSA_NONNULL;
/** The rest of a rotation from keys->old (no secret: rows in clear) to keys->current. Call outside. */
TDSA_MUST_USE tdsa_status ks_seal_all(ks *s, ks_rotation *r, const ks_ring *keys, tdsa_err *err)
    TDSA_NONNULL;
/** Where batches, sealed values and objects belong; `bound` is filled and must live as long. */
TDSA_MUST_USE tdsa_status ks_batch_place(ks_seal_place *out, tdsa_buf *bound,
                                         const ks_batch_row *row, tdsa_err *err) TDSA_NONNULL;
ks_seal_place ks_meta_place(const char *name) TDSA_NONNULL;
ks_seal_place ks_object_place(uint8_t bound[sizeof(uint64_t)], const uint8_t id[KS_OBJECT_ID_LEN],
                              uint64_t created_ms) TDSA_NONNULL;
/** Fails when the stored data key belongs to another encryptor than the configured one. */
TDSA_MUST_USE tdsa_status ks_data_key_check(ks *s, tdsa_err *err) TDSA_NONNULL;

#endif
