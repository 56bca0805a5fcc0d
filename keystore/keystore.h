#ifndef KS_KEYSTORE_H
#define KS_KEYSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"
#include "base/rng.h"
#include "base/secret.h"
#include "keystore/object.h"
#include "keystore/server.h"

/**
 * What a participant keeps: key shares, presignature batches, and what has been used up. Rows are
 * sealed (AES-256-GCM; table, primary key, seal version and epoch are authenticated) under a data
 * key, which an encryptor derives or unwraps. Backends see sealed rows and public attributes only.
 *
 * Every call that changes something is durable when it returns TDSA_OK (SQLite: WAL and
 * synchronous=FULL). A call that ends in TDSA_E_STORE may or may not have happened: the caller
 * counts a burn or lease as done and a release as not done.
 *
 * Threads: any; calls on one ks are serialised inside. Processes: many may share one database.
 */
typedef struct ks ks;

#define KS_KEY_ID_MAX      64u   /* characters of a key id: 1..64 of [A-Za-z0-9_.-] */
#define KS_LABEL_MAX       255u  /* bytes */
#define KS_PUBLIC_MAX      4096u /* bytes of the public part */
#define KS_ATTRS_MAX       4096u /* bytes of the caller's own attributes */
#define KS_BETA_LEN        32u   /* bytes of a batch label */
#define KS_BLOCK_SIZE      64u   /* presignatures per block of a responder's burn mask */
#define KS_BATCH_COUNT_MAX 1024u

typedef enum {
    KS_KEY_REGISTERED = 1, /* no share yet */
    KS_KEY_PENDING = 2,    /* share stored, not everybody has confirmed */
    KS_KEY_ACTIVE = 3,
    KS_KEY_DELETED = 4, /* tombstone: the share is wiped */
    KS_KEY_OLD = 5,     /* a newer epoch is ACTIVE; kept until everybody has that, never used */
    KS_KEY_DELETING =
        6,              /* was ACTIVE; wiped when its grace period is over, unless that is undone */
    KS_KEY_RESTORED = 7 /* a share from a backup: it never signs, and deals in a refresh */
} ks_key_state;

/** "ACTIVE", as people see it; "?" for what is none. */
const char *ks_key_state_name(ks_key_state state);
/** The epoch in use, or that was until the key was ordered to be deleted, or that will be refreshed. */
static inline bool ks_key_in_use(ks_key_state state)
{
    return state == KS_KEY_ACTIVE || state == KS_KEY_DELETING || state == KS_KEY_RESTORED;
}

typedef enum { KS_BATCH_MADE = 1, KS_BATCH_FREE = 2, KS_BATCH_VOID = 3 } ks_batch_state;

/** How shares at rest are protected. */
typedef enum {
    KS_ENCRYPTOR_NONE,   /* empty encryptionKey: rows are not encrypted (loud warning) */
    KS_ENCRYPTOR_AESGCM, /* data key = HKDF of the secret `encryption_key` */
    KS_ENCRYPTOR_PKCS11, /* data key wrapped by a key in a token found by an RFC 7512 URI */
    KS_ENCRYPTOR_PLUGIN  /* data key wrapped by a shared object (keystore/encryptor_plugin.h) */
} ks_encryptor_kind;

#define KS_PLUGIN_FOLDER_USUAL "/tdsa/lib"
#define KS_PLUGIN_NAME_MAX     96u /* characters */
#define KS_PLUGIN_FILES_MAX    64u /* *.so that are looked at */

typedef struct {
    const char *backend;     /* "sqlite", "postgres", "mariadb" or "memory" */
    const char *path;        /* sqlite: database file; its folder must exist */
    const ks_server *server; /* postgres, mariadb: where it is (server.h) */
    /* make the tables of an empty database, and the file, and bring an older database forward; one that
     * lost a table is refused (TDSA_E_STORE) in any case, because a new one would have forgotten what
     * was burnt */
    bool create_tables;
    ks_encryptor_kind encryptor;
    const char *encryption_key; /* AESGCM: opaque secret text, any length > 0 */
    /* PKCS11: "pkcs11:token=...;object=...?module-path=...&pin-source=file:...|pin-value=..." */
    const char *wrapping_uri;
    /* PLUGIN: the name that it declares, its folder (NULL: the usual one), and what it is given, in order */
    const char *plugin_name, *plugin_folder;
    const char *const *plugin_arguments;
    size_t plugin_argument_count;
    bool create_wrapping_key; /* PKCS11: make the AES-256 wrapping key when the token has none */
    uint32_t
        encryptor_limit_ms; /* PKCS11: longest wait for the token; 0: 10 s, and 1 s once it worked */
    /* PKCS11, PLUGIN: call it in the caller's thread, which a token that hangs then holds: for a library that
     * makes no threads of its own */
    bool no_threads;
    /* wipe the data key from memory so long after it was unwrapped (0: after each use), and unwrap it again
     * when it is needed; else it stays until ks_lock. A PIN given to ks_unlock is then kept until that. */
    bool data_key_expires;
    uint64_t data_key_lifetime_ms;
    /* open a database of which some rows are not encrypted yet, to seal them (ks_rotate_data_key) */
    bool takes_clear;
    /* a second copy of the counters, on another volume than the database; NULL: none */
    const char *counter_file;
    bool unlock_at_open;      /* daemon: true; module: false, C_Login unlocks with the PIN */
    uint32_t busy_timeout_ms; /* longest wait for another process's write; 0 = 2000 */
    tdsa_rng rng;
    tdsa_clock clock;
    const tdsa_log *log; /* may be NULL */
} ks_cfg;

/**
 * Opens the store: connects, makes tables when asked, checks the schema version and the key-check
 * row, compares the counters with counter_file, raises the start counter in both. A database that is
 * behind the file gives up its presignatures first (ks_found_rollback); one that never had the file
 * does so too when the file is there and empty.
 * Errors: TDSA_E_CONFIG (unknown backend, bad URI), TDSA_E_STORE (says which file and why),
 * TDSA_E_WRAPPING (token or key missing; wrong key: names the key check values of both),
 * TDSA_E_LOGIN (PIN missing or wrong; one try only). A counter_file that is missing beside an old
 * database is TDSA_E_CONFIG, one of another database or damaged TDSA_E_STORE: the texts say what to do.
 */
TDSA_MUST_USE tdsa_status ks_open(ks **out, const ks_cfg *cfg, tdsa_err *err) TDSA_NONNULL;
/** Makes missing tables, brings older ones forward, and checks the schema version, nothing else: no
 * encryptor, no data key. With create_tables false it only checks. Errors: TDSA_E_CONFIG, TDSA_E_STORE. */
TDSA_MUST_USE tdsa_status ks_create_tables(const ks_cfg *cfg, tdsa_err *err) TDSA_NONNULL;
/** Wipes keys held in memory and closes. NULL is allowed. */
void ks_close(ks *s);

/**
 * Unwraps the data key with a PIN, then closes the wrapping token again. A wrapping module that the
 * process already initialised is used as it is and never finalised. pin NULL: take it from the URI.
 * Already unlocked: the PIN is checked all the same. Errors: TDSA_E_LOGIN, TDSA_E_WRAPPING.
 */
TDSA_MUST_USE tdsa_status ks_unlock(ks *s, const char *pin, size_t pin_len, tdsa_err *err)
    __attribute__((nonnull(1, 4)));
/**
 * Whether ks_unlock would take this PIN now, asked anew: nothing changes, locked or not. A token gets one try,
 * and is left as it was. It tells TDSA_E_WRAPPING for any PIN while the application itself is logged in to the
 * wrapping token by the same module: that then looks at none. Errors: TDSA_E_LOGIN, TDSA_E_WRAPPING.
 */
TDSA_MUST_USE tdsa_status ks_check_pin(ks *s, const char *pin, size_t pin_len, tdsa_err *err)
    __attribute__((nonnull(1, 4)));
/** True when the encryptor wants a PIN (pkcs11). Other stores are unlocked by ks_open, and ks_unlock
 * opens them again after ks_lock whatever the PIN says: there is no PIN to compare it with. */
bool ks_needs_login(const ks *s) TDSA_NONNULL;
/** Wipes the data key. Public data stays readable; sealed data gives TDSA_E_LOGIN. */
void ks_lock(ks *s) TDSA_NONNULL;
bool ks_is_unlocked(ks *s) TDSA_NONNULL;
/**
 * Whether sealed rows can be used now: unlocked, and the data key is in memory, or the encryptor gives it
 * (asked when the last time is longer than KS_KEY_CHECK_MS ago). Errors: TDSA_E_LOGIN, TDSA_E_WRAPPING,
 * TDSA_E_STORE, with the reason. While an encryptor does not give it, every call that needs a sealed row
 * fails in the same way, and works again as soon as it does.
 */
TDSA_MUST_USE tdsa_status ks_key_check(ks *s, tdsa_err *err) TDSA_NONNULL;
#define KS_KEY_CHECK_MS 2000u
/** In a child after fork: forget the inherited connection and data key without touching either's
 * shared state; the caller then opens a new ks. When another thread was inside a call at the moment
 * of the fork, everything stays as it is (a leak), and the child should not open the same SQLite
 * file: SQLite's own list of locks is half inherited. ks_fork_prepare rules that out. */
void ks_abandon(ks *s);
/** Around fork, for callers that know of it (pthread_atfork): waits until no call is inside and
 * keeps others out; ks_fork_parent lets them in again. In the child: ks_abandon. */
void ks_fork_prepare(ks *s) TDSA_NONNULL;
void ks_fork_parent(ks *s) TDSA_NONNULL;
/** One small durable write: the database answers, and has room for a burn or lease. */
TDSA_MUST_USE tdsa_status ks_ping(ks *s, tdsa_err *err) TDSA_NONNULL;
/** Changes whenever any process changed a key row or an object; equal values mean nothing to re-read. It is
 * of this ks: others on the database may count otherwise. */
TDSA_MUST_USE tdsa_status ks_change_counter(ks *s, uint64_t *out, tdsa_err *err) TDSA_NONNULL;
/** A number no other process or earlier start had: the lane of this combiner instance. */
uint64_t ks_lane(const ks *s) TDSA_NONNULL;

/* ---- keys ---- */

typedef struct {
    char key_id[KS_KEY_ID_MAX + 1];
    uint32_t epoch;
    ks_key_state state;
    char label[KS_LABEL_MAX + 1]; /* UTF-8 */
    uint64_t created_ms;          /* wall clock */
    int64_t presignature_limit;   /* -1: none */
    uint8_t *public_part;         /* opaque to the keystore, clear; bound to the sealed share */
    size_t public_len;
    uint8_t *attrs; /* the caller's own, clear, changeable (PKCS#11 id, label, ...) */
    size_t attrs_len;
} ks_key;

void ks_key_free(ks_key *k);

/** Adds a key in state REGISTERED. Errors: TDSA_E_CONFLICT (id exists), TDSA_E_BAD_INPUT. */
TDSA_MUST_USE tdsa_status ks_key_register(ks *s, const ks_key *k, tdsa_err *err) TDSA_NONNULL;
/**
 * REGISTERED -> PENDING: stores the public part and seals the share.
 * Errors: TDSA_E_CONFLICT (not REGISTERED), TDSA_E_NOT_FOUND, TDSA_E_LOGIN.
 */
TDSA_MUST_USE tdsa_status ks_key_store(ks *s, const char *key_id, uint32_t epoch,
                                       const uint8_t *public_part, size_t public_len,
                                       const tdsa_secret *share, tdsa_err *err) TDSA_NONNULL;
/**
 * PENDING -> ACTIVE, or PENDING -> REGISTERED, which wipes the share of an abandoned generation. With
 * the first every earlier epoch that was ACTIVE becomes OLD and all its batches VOID, at once; of a key
 * that is being deleted (ks_deletion_put) it becomes DELETING instead.
 * Errors: TDSA_E_CONFLICT (not in `from`), TDSA_E_NOT_FOUND, TDSA_E_BAD_INPUT (any other move).
 */
TDSA_MUST_USE tdsa_status ks_key_move(ks *s, const char *key_id, uint32_t epoch, ks_key_state from,
                                      ks_key_state to, tdsa_err *err) TDSA_NONNULL;
/** The row of the ACTIVE or DELETING epoch, of the newest when there is none. Errors: TDSA_E_NOT_FOUND. */
TDSA_MUST_USE tdsa_status ks_key_get(ks *s, const char *key_id, ks_key **out, tdsa_err *err)
    TDSA_NONNULL;
/** Opens the sealed share. Errors: TDSA_E_NOT_FOUND, TDSA_E_LOGIN, TDSA_E_STORE (the row was
 * edited or swapped: counted, see ks_get_stats). */
TDSA_MUST_USE tdsa_status ks_key_open(ks *s, const char *key_id, uint32_t epoch, tdsa_secret **out,
                                      tdsa_err *err) TDSA_NONNULL;
/**
 * Adds a PENDING row of epoch k->epoch beside the ACTIVE one (reshare), or alone where the key was not
 * before. Label, limit, attributes and time of birth are those of the rows that are there, else
 * those of k. share may be NULL: the public part of an epoch that this participant is not in.
 * Errors: TDSA_E_CONFLICT (another PENDING row, this or a later epoch, or the key was or is being
 * deleted), TDSA_E_BAD_INPUT, TDSA_E_LOGIN.
 */
TDSA_MUST_USE tdsa_status ks_key_add_epoch(ks *s, const ks_key *k, const tdsa_secret *share,
                                           tdsa_err *err) __attribute__((nonnull(1, 2, 4)));
/**
 * Adds a RESTORED row with a share from a backup, where the key is not, or is REGISTERED only: such
 * rows go. It becomes OLD when a later epoch becomes ACTIVE. Errors: TDSA_E_CONFLICT (the key is here,
 * or was deleted), TDSA_E_BAD_INPUT, TDSA_E_LOGIN.
 */
TDSA_MUST_USE tdsa_status ks_key_restore(ks *s, const ks_key *k, const tdsa_secret *share,
                                         tdsa_err *err) TDSA_NONNULL;
/** The row of one epoch. Errors: TDSA_E_NOT_FOUND. */
TDSA_MUST_USE tdsa_status ks_key_get_epoch(ks *s, const char *key_id, uint32_t epoch, ks_key **out,
                                           tdsa_err *err) TDSA_NONNULL;
/** Wipes one epoch of a key, which must be REGISTERED, PENDING or OLD. Errors: TDSA_E_NOT_FOUND, TDSA_E_CONFLICT
 * (another state). */
TDSA_MUST_USE tdsa_status ks_key_drop_epoch(ks *s, const char *key_id, uint32_t epoch,
                                            tdsa_err *err) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status ks_key_set_attrs(ks *s, const char *key_id, const char *label,
                                           const uint8_t *attrs, size_t attrs_len, tdsa_err *err)
    TDSA_NONNULL;
TDSA_MUST_USE tdsa_status ks_key_set_limit(ks *s, const char *key_id, int64_t limit, tdsa_err *err)
    TDSA_NONNULL;

/** Called per row, `k` lent; return false to stop. */
typedef bool (*ks_key_fn)(void *ctx, const ks_key *k);
/** Rows with key_id > after (NULL: from the start), ascending, at most `limit`; one row per key, the
 * one that ks_key_get gives. All states. */
TDSA_MUST_USE tdsa_status ks_key_each(ks *s, const char *after, size_t limit, ks_key_fn fn,
                                      void *ctx, tdsa_err *err) __attribute__((nonnull(1, 4, 6)));
/** The same of keys with exactly this label. */
TDSA_MUST_USE tdsa_status ks_key_each_labelled(ks *s, const char *label, const char *after,
                                               size_t limit, ks_key_fn fn, void *ctx, tdsa_err *err)
    __attribute__((nonnull(1, 2, 5, 7)));
/**
 * The same of keys that changed after ks_change_counter gave `since`, each once; one that is gone is given as
 * DELETED, with its id alone, whether or not a tombstone is left. What changes meanwhile is given by the next call,
 * whose `since` is a value from before this one. Errors: TDSA_E_CONFLICT (not all changes since then are known,
 * and no key is given: read all of them. After a database was brought forward, or came to be another one).
 */
TDSA_MUST_USE tdsa_status ks_key_each_changed(ks *s, uint64_t since, ks_key_fn fn, void *ctx,
                                              tdsa_err *err) __attribute__((nonnull(1, 3, 5)));
/** All rows in one state, of every epoch; a few at most: PENDING and OLD ones. */
TDSA_MUST_USE tdsa_status ks_key_each_in(ks *s, ks_key_state state, ks_key_fn fn, void *ctx,
                                         tdsa_err *err) __attribute__((nonnull(1, 3, 5)));
/** Removes the key's shares, batches, blocks and counters; keeps a tombstone when `tombstone`: id and
 * epoch in state DELETED, so that the id is not registered again. Errors: TDSA_E_NOT_FOUND. */
TDSA_MUST_USE tdsa_status ks_key_delete(ks *s, const char *key_id, bool tombstone, tdsa_err *err)
    TDSA_NONNULL;

/* ---- orders to delete a key, and to undo that ---- */

typedef enum {
    KS_DELETION_SCHEDULED = 1, /* the key is DELETING; due_ms */
    KS_DELETION_UNDOING =
        2, /* not wiped any more, and not in use before all participants say the same */
    KS_DELETION_CANCELLED = 3, /* ACTIVE again */
    KS_DELETION_WIPED = 4      /* for ever */
} ks_deletion_state;

/** The newest order about a key. */
typedef struct {
    char key_id[KS_KEY_ID_MAX + 1];
    uint64_t serial; /* odd: delete, even: undo; below 2^63 */
    ks_deletion_state state;
    uint64_t due_ms;   /* SCHEDULED: when to wipe, wall clock */
    uint64_t grace_ms; /* from the order to due_ms */
    uint32_t members;  /* participants of the key: bit (1 << participantIndex) */
    uint32_t told;     /* those of them that are known to have it in this state */
} ks_deletion;

/**
 * Stores an order in place of `was` (NULL: of none), and moves the key with it, in one transaction:
 * SCHEDULED: ACTIVE -> DELETING; UNDOING: nothing; CANCELLED: DELETING -> ACTIVE; WIPED: shares, batches,
 * blocks and counters go, a tombstone stays.
 * Errors: TDSA_E_CONFLICT (the stored order has another serial or state than `was`: read it again; WIPED
 * is never replaced), TDSA_E_NOT_FOUND (no such key, or it is wiped), TDSA_E_BAD_INPUT.
 */
TDSA_MUST_USE tdsa_status ks_deletion_put(ks *s, const ks_deletion *d, const ks_deletion *was,
                                          tdsa_err *err) __attribute__((nonnull(1, 2, 4)));
/** Errors: TDSA_E_NOT_FOUND (there was no order). */
TDSA_MUST_USE tdsa_status ks_deletion_get(ks *s, const char *key_id, ks_deletion *out,
                                          tdsa_err *err) TDSA_NONNULL;
/** Adds to `told` of the order d->serial in d->state; nothing when it was replaced meanwhile. */
TDSA_MUST_USE tdsa_status ks_deletion_told(ks *s, const ks_deletion *d, uint32_t told,
                                           tdsa_err *err) TDSA_NONNULL;
/** Called inside the store's lock, `d` lent; return false to stop. No other call on this ks may be
 * made from it. */
typedef bool (*ks_deletion_fn)(void *ctx, const ks_deletion *d);
/** Orders about which something is left to do: SCHEDULED, UNDOING, or not known to all. */
TDSA_MUST_USE tdsa_status ks_deletion_each_open(ks *s, ks_deletion_fn fn, void *ctx, tdsa_err *err)
    __attribute__((nonnull(1, 2, 4)));

/* ---- presignature batches ---- */

typedef struct {
    uint8_t beta[KS_BETA_LEN];
    char key_id[KS_KEY_ID_MAX + 1];
    uint32_t epoch;
    ks_batch_state state;
    uint64_t lane, seq;
    uint32_t count;   /* 1..KS_BATCH_COUNT_MAX */
    uint32_t next;    /* first index not leased yet (combiner) */
    uint32_t members; /* its committee: bit (1 << participantIndex) */
    uint8_t *data;    /* opaque: committee and R list; sealed at rest */
    size_t data_len;
} ks_batch;

/** Which batches are meant; a zero leaves a condition out. */
typedef struct {
    uint64_t lane_from, lane_to; /* lanes from..to, both below 2^63; lane_to 0: any lane */
    uint32_t within;             /* only batches whose members are all in this mask */
} ks_batch_filter;

/** The public columns of a batch, for counting. */
typedef struct {
    uint8_t beta[KS_BETA_LEN];
    char key_id[KS_KEY_ID_MAX + 1];
    uint32_t epoch;
    ks_batch_state state;
    uint64_t lane, seq;
    uint32_t count, next, members;
    uint64_t burnt[KS_BATCH_COUNT_MAX / KS_BLOCK_SIZE]; /* bit per presignature */
    uint32_t left; /* presignatures from `next` on that are not burnt */
} ks_batch_info;

void ks_batch_free(ks_batch *b);
/** Errors: TDSA_E_CONFLICT (beta exists), TDSA_E_LOGIN, TDSA_E_NOT_FOUND (no such key). */
TDSA_MUST_USE tdsa_status ks_batch_insert(ks *s, const ks_batch *b, tdsa_err *err) TDSA_NONNULL;
/** MADE -> FREE, MADE -> VOID or FREE -> VOID. Errors: TDSA_E_CONFLICT (not in `from`),
 * TDSA_E_NOT_FOUND, TDSA_E_BAD_INPUT (any other move). */
TDSA_MUST_USE tdsa_status ks_batch_move(ks *s, const uint8_t beta[KS_BETA_LEN], ks_batch_state from,
                                        ks_batch_state to, tdsa_err *err) TDSA_NONNULL;
/** Errors: TDSA_E_NOT_FOUND, TDSA_E_LOGIN, TDSA_E_STORE (refused: counted). */
TDSA_MUST_USE tdsa_status ks_batch_get(ks *s, const uint8_t beta[KS_BETA_LEN], ks_batch **out,
                                       tdsa_err *err) TDSA_NONNULL;
/** The oldest FREE batch that passes the filter (NULL: any) with next < count; data opened. A
 * batch that does not open is counted, becomes VOID and is passed over.
 * Errors: TDSA_E_NOT_FOUND, TDSA_E_LOGIN. */
TDSA_MUST_USE tdsa_status ks_batch_find(ks *s, const char *key_id, uint32_t epoch,
                                        const ks_batch_filter *filter, ks_batch **out,
                                        tdsa_err *err) __attribute__((nonnull(1, 2, 5, 6)));
/** Presignatures of FREE batches that pass the filter (NULL: any), neither leased nor burnt. */
TDSA_MUST_USE tdsa_status ks_batch_available(ks *s, const char *key_id,
                                             const ks_batch_filter *filter, uint64_t *out,
                                             tdsa_err *err) __attribute__((nonnull(1, 2, 4, 5)));
/** Called per batch inside the store's lock, `b` lent; return false to stop. No other call on this
 * ks may be made from it. */
typedef bool (*ks_batch_fn)(void *ctx, const ks_batch_info *b);
/** Batches of one key (NULL: of all) that pass the filter (NULL: any), in any state and epoch,
 * oldest first. Damaged rows are passed over. */
TDSA_MUST_USE tdsa_status ks_batch_each(ks *s, const char *key_id, const ks_batch_filter *filter,
                                        ks_batch_fn fn, void *ctx, tdsa_err *err)
    __attribute__((nonnull(1, 4, 6)));
/** What is burnt in one block of a batch: 0 when nothing is, or no such batch is there. */
TDSA_MUST_USE tdsa_status ks_batch_burnt(ks *s, const uint8_t beta[KS_BETA_LEN], uint32_t block,
                                         uint64_t *mask, tdsa_err *err) TDSA_NONNULL;
/** Deletes batches (and their blocks) of a key: all, or those used up (leased or burnt to the end)
 * and VOID ones; tells how many usable presignatures went. */
TDSA_MUST_USE tdsa_status ks_batch_purge(ks *s, const char *key_id, bool only_spent,
                                         uint64_t *dropped, tdsa_err *err) TDSA_NONNULL;
/** At start: every MADE batch becomes VOID; of a shared database only those with a seq below
 * `seq_below`, because others may still be in the making. */
TDSA_MUST_USE tdsa_status ks_batch_void_made(ks *s, uint64_t seq_below, tdsa_err *err) TDSA_NONNULL;

/**
 * Combiner's lease: advances next from `from` to `to` in one conditional statement.
 * Errors: TDSA_E_CONFLICT (somebody else moved it), TDSA_E_STORE (count it as moved).
 */
TDSA_MUST_USE tdsa_status ks_lease(ks *s, const uint8_t beta[KS_BETA_LEN], uint32_t from,
                                   uint32_t to, tdsa_err *err) TDSA_NONNULL;
/**
 * Responder's burn: sets `bits` in the mask of one block (index / 64) in one conditional
 * statement, only when none of them was set and the batch is FREE.
 * Errors: TDSA_E_CONFLICT (some bit was set: refused for ever), TDSA_E_NOT_FOUND (no FREE batch),
 * TDSA_E_STORE (count it as burnt).
 */
TDSA_MUST_USE tdsa_status ks_burn(ks *s, const uint8_t beta[KS_BETA_LEN], uint32_t block,
                                  uint64_t bits, tdsa_err *err) TDSA_NONNULL;
/** A burn that several threads may be about to make. Begins as zeros; its fields are the keystore's. */
typedef struct {
    bool made;
    tdsa_err err;
} ks_once;
/** Burns presignatures from..to-1 of any number of blocks, all or none in one commit, the first time with this `once`;
 * whoever comes second waits for it and gets the same. Errors: those of ks_burn. */
TDSA_MUST_USE tdsa_status ks_burn_once(ks *s, ks_once *once, const uint8_t beta[KS_BETA_LEN],
                                       uint32_t from, uint32_t to, tdsa_err *err) TDSA_NONNULL;
/** Raises the highest seq of (key, epoch, lane). Errors: TDSA_E_CONFLICT (not higher),
 * TDSA_E_NOT_FOUND (no such key), TDSA_E_BAD_INPUT (above 2^63 - 1). */
TDSA_MUST_USE tdsa_status ks_seq_raise(ks *s, const char *key_id, uint32_t epoch, uint64_t lane,
                                       uint64_t seq, tdsa_err *err) TDSA_NONNULL;

/* ---- partial signatures ---- */

#define KS_PARTIALS_MAX 65536u /* records at a time */

/** Which request a presignature has answered that was given away on its own. */
typedef struct {
    uint8_t beta[KS_BETA_LEN];
    uint32_t index;
    char key_id[KS_KEY_ID_MAX + 1];
    uint8_t transcript[64];
    uint64_t expires_ms; /* wall clock */
    bool failed;         /* a signature made with it did not verify */
} ks_partial;

/**
 * Burns one presignature, which nobody leased, and keeps the record, in one transaction.
 * Errors: TDSA_E_CONFLICT (it is used or leased: refused for ever), TDSA_E_NOT_FOUND (no FREE batch),
 * TDSA_E_LIMIT (KS_PARTIALS_MAX; nothing was burnt), TDSA_E_STORE (count it as burnt).
 */
TDSA_MUST_USE tdsa_status ks_partial_burn(ks *s, const ks_partial *row, tdsa_err *err) TDSA_NONNULL;
/** Errors: TDSA_E_NOT_FOUND. */
TDSA_MUST_USE tdsa_status ks_partial_get(ks *s, const uint8_t beta[KS_BETA_LEN], uint32_t index,
                                         ks_partial *out, tdsa_err *err) TDSA_NONNULL;
/** Marks it failed. Errors: TDSA_E_NOT_FOUND. */
TDSA_MUST_USE tdsa_status ks_partial_fail(ks *s, const uint8_t beta[KS_BETA_LEN], uint32_t index,
                                          tdsa_err *err) TDSA_NONNULL;
/** Deletes records that expired before before_ms; tells how many are left. The burns stay. A batch that
 * is used up is kept (ks_batch_purge) as long as it has a record. */
TDSA_MUST_USE tdsa_status ks_partial_collect(ks *s, uint64_t before_ms, uint64_t *left,
                                             tdsa_err *err) TDSA_NONNULL;

/* ---- small named values ---- */

/** name: 1..64 characters, not starting with "ks."; at most 64 KiB. Sealed like rows when `sealed`.
 * Errors: TDSA_E_BAD_INPUT, TDSA_E_LOGIN. */
TDSA_MUST_USE tdsa_status ks_meta_put(ks *s, const char *name, bool sealed, const uint8_t *value,
                                      size_t len, tdsa_err *err) TDSA_NONNULL;
/** The same when there is none of this name yet: of two who try, in any process, one succeeds. Errors:
 * TDSA_E_CONFLICT (there is one), and those of ks_meta_put. */
TDSA_MUST_USE tdsa_status ks_meta_create(ks *s, const char *name, bool sealed, const uint8_t *value,
                                         size_t len, tdsa_err *err) TDSA_NONNULL;
/** Errors: TDSA_E_NOT_FOUND. */
TDSA_MUST_USE tdsa_status ks_meta_get(ks *s, const char *name, bool sealed, tdsa_buf *out,
                                      tdsa_err *err) TDSA_NONNULL;

/* ---- the keys of the rows ---- */

/** What is known without a login. */
typedef struct {
    uint32_t number; /* of the current data key; 0: rows are not encrypted, or there is none yet */
    char encryptor[KS_PLUGIN_NAME_MAX + 1]; /* that wrapped it; "none" */
    char check_value[16];                   /* of the wrapping key, in hex; "" for none */
    bool rotating;                          /* some rows may still be sealed under old_number */
    uint32_t old_number;
    uint64_t rows_left; /* shares, batches and objects that are not under the current key */
    bool chained; /* who has the key before this one can come to it: a rotation has not ended */
} ks_data_key_info;
TDSA_MUST_USE tdsa_status ks_data_key_status(ks *s, ks_data_key_info *out, tdsa_err *err)
    TDSA_NONNULL;

/** How to seal all rows under a new data key, and what came of it. */
typedef struct {
    const char *pin; /* for the encryptor; NULL: that of the configuration */
    size_t pin_len;
    uint32_t rows_per_commit; /* 0: 32; at most 64 */
    /* how long, at the end, processes on this database may still come to the new key by the one before; one that
     * was idle for longer asks its encryptor, and one that has no PIN for that wants a login */
    uint32_t follow_ms;
    void (*progress)(void *ctx, uint64_t done,
                     uint64_t total); /* outside of all locks; may be NULL */
    void *ctx;
    /* set by the call */
    bool resumed; /* it ended an earlier rotation, and began none */
    uint32_t number;
    /* sealed again; batches and objects that did not open and hold nothing any more */
    uint64_t rows, damaged;
} ks_rotation;

/**
 * A new data key, and every row sealed under it; then the old key's row is deleted. Other processes work on
 * meanwhile and follow without a login. Where an earlier call did not end (it was killed, the database or the
 * token was away) this one goes on with that, and makes no key of its own: r->resumed. Any process may do so.
 * Errors: TDSA_E_STORE (a share does not open: it is named, and the old key is kept; the database failed),
 * TDSA_E_CONFLICT (somebody else rotates), TDSA_E_LOGIN, TDSA_E_WRAPPING, TDSA_E_BAD_INPUT (rows are not
 * encrypted: ks_rewrap).
 */
TDSA_MUST_USE tdsa_status ks_rotate_data_key(ks *s, ks_rotation *r, tdsa_err *err) TDSA_NONNULL;

/** What wraps the data keys from now on. */
typedef struct {
    const ks_cfg *cfg; /* the encryptor fields, rng and log of it */
    const char *pin;   /* for it; NULL: that of its configuration */
    size_t pin_len;
    const char *old_pin; /* for the encryptor that the store has now; the same */
    size_t old_pin_len;
    ks_rotation *rotation; /* for a store without encryption, whose rows are sealed; never NULL */
} ks_rewrapping;

/**
 * Another encryptor, or the same with another key, for the data keys; the rows stay as they are, except that a
 * store without encryption gets a data key and every row is sealed (go on with ks_rotate_data_key when that did
 * not end, and takes_clear). In one commit. This ks uses the new encryptor afterwards; processes that run keep
 * the data key that they have, and must be restarted with the new configuration before they need it again.
 * Errors: TDSA_E_CONFLICT (somebody else changed the keys), TDSA_E_BAD_INPUT (to no encryption), those of
 * ks_open.
 */
TDSA_MUST_USE tdsa_status ks_rewrap(ks *s, const ks_rewrapping *w, tdsa_err *err) TDSA_NONNULL;

/** How to take a new wrapping key, and what came of it. */
typedef struct {
    const char *pin; /* NULL: that of the configuration */
    size_t pin_len;
    bool destroy_old;
    char old_check_value[16], check_value[16]; /* set by the call, in hex */
} ks_new_wrapping_key;

/**
 * Makes a new wrapping key of the same name in the token, and wraps the data keys with it; the old one stays
 * in the token, or is destroyed at the end. A database that was copied before needs the old one.
 * Errors: TDSA_E_BAD_INPUT (the encryptor has no keys that it could make), TDSA_E_CONFLICT, TDSA_E_LOGIN,
 * TDSA_E_WRAPPING.
 */
TDSA_MUST_USE tdsa_status ks_rotate_wrapping_key(ks *s, ks_new_wrapping_key *w, tdsa_err *err)
    TDSA_NONNULL;

/* ---- rollback ---- */

/**
 * What a database has counted. As long as it is the same database none of the counters goes back; when
 * one is lower than somebody saw it, an old copy was put in its place, and what it forgot is what was
 * leased and burnt since.
 */
typedef struct {
    uint64_t store_id; /* random, made with the database */
    uint64_t starts;   /* of processes on it */
    uint64_t burns;    /* leases and burns; each raises it in its own commit */
    uint64_t purges;   /* times that ks_purge_all gave up every presignature */
} ks_marks;

/** The counters as they are in the database now. */
TDSA_MUST_USE tdsa_status ks_marks_read(ks *s, ks_marks *out, tdsa_err *err) TDSA_NONNULL;
/** The latest that this process knows: of its own changes, and of the last ks_marks_read. */
void ks_marks_known(ks *s, ks_marks *out) TDSA_NONNULL;
/** True when `seen` says, both being of the same store, that `mine` was put back: more purges, or as
 * many and a lower counter. What was seen before the last purge means nothing any more. */
static inline bool ks_marks_behind(const ks_marks *mine, const ks_marks *seen)
{
    return mine->purges < seen->purges ||
           (mine->purges == seen->purges &&
            (mine->starts < seen->starts || mine->burns < seen->burns));
}
/**
 * Gives up every presignature of every key, raises the counters to those of at_least where they are
 * below it, and the number of purges by one beyond: one commit. Works while the store is locked. Tells
 * how many usable presignatures went. Errors: TDSA_E_BAD_INPUT (a counter above 2^63 - 2).
 */
TDSA_MUST_USE tdsa_status ks_purge_all(ks *s, const ks_marks *at_least, uint64_t *dropped,
                                       tdsa_err *err) TDSA_NONNULL;
/** True when ks_open found by counter_file that an old copy of the database was put in its place (or
 * of the file), and gave up all presignatures; `was`, `seen`: what the database and the file counted. */
bool ks_found_rollback(ks *s, ks_marks *was, ks_marks *seen) TDSA_NONNULL;
#define KS_IDENTITY_MAX 200u
/** The database is another one than it was. */
typedef struct {
    char was[KS_IDENTITY_MAX + 1],
        now[KS_IDENTITY_MAX + 1]; /* as the server or the file system names it */
    uint64_t dropped;             /* usable presignatures that went */
} ks_moved;
/**
 * True once after the keystore gave up all presignatures because the database is not the one of before: a
 * copy, one that was restored, or a server that another took the place of. ks_open finds it, and each call
 * after a connection that was lost, before it does anything else.
 */
bool ks_take_moved(ks *s, ks_moved *out) TDSA_NONNULL;
/** Whether ks_take_moved has something to tell. */
bool ks_has_moved(ks *s) TDSA_NONNULL;
/** MADE and FREE batches of a key with one of these members (bit per participantIndex) become VOID. */
TDSA_MUST_USE tdsa_status ks_batch_void_with(ks *s, const char *key_id, uint32_t members,
                                             tdsa_err *err) TDSA_NONNULL;

typedef struct {
    uint64_t start_counter; /* starts of processes on this database */
    uint64_t rows_refused;  /* sealed rows that did not open */
    uint64_t commits;       /* durable commits made by this ks */
    uint64_t unwraps;       /* times that the encryptor gave the data key */
    uint64_t unwraps_failed;
} ks_stats;
void ks_get_stats(ks *s, ks_stats *out) TDSA_NONNULL;

#endif
