#ifndef KS_BACKEND_H
#define KS_BACKEND_H

#include "keystore/keystore.h"
#include "keystore/seal.h"

/**
 * A database under the encryption. It sees sealed rows and public columns only, and never a key.
 * One conformance suite (tests/conformance/keystore) runs on every backend. Each changing call is
 * one durable transaction. The keystore serialises calls. Values passed in are lent; rows handed
 * to callbacks are lent for the call.
 *
 * Numbers (lane, seq, mask) are full 64-bit values: backends whose integers are signed store the
 * same 64 bits.
 */
typedef struct ks_backend ks_backend;

typedef struct {
    const char *key_id;
    uint32_t epoch;
    ks_key_state state;
    const char *label;
    uint64_t created_ms;
    int64_t presignature_limit;
    const uint8_t *public_part, *attrs, *sealed; /* NULL with length 0 when absent */
    size_t public_len, attrs_len, sealed_len;
    uint64_t
        change; /* of key_changed alone: the value of the change counter after the last change */
} ks_key_row;

typedef struct {
    const uint8_t *beta; /* KS_BETA_LEN */
    const char *key_id;
    uint32_t epoch;
    ks_batch_state state;
    uint64_t lane, seq;
    uint32_t count, next, members;
    const uint8_t *sealed;
    size_t sealed_len;
    const uint64_t *burnt; /* mask per block, when asked for */
} ks_batch_row;

typedef struct {
    const uint8_t *id; /* KS_OBJECT_ID_LEN; NULL: it has another length */
    uint64_t created_ms;
    bool is_sealed;
    const uint8_t *value, *sealed; /* one of them */
    size_t value_len, sealed_len;
} ks_object_row;

typedef bool (*ks_object_row_fn)(void *ctx, const ks_object_row *row);
typedef bool (*ks_key_row_fn)(void *ctx, const ks_key_row *row);
typedef bool (*ks_batch_row_fn)(void *ctx, const ks_batch_row *row);

#define KS_DATA_KEYS_MAX 2u

/** A data key, wrapped. Number 0 is that of a store without encryption. */
typedef enum {
    KS_DATA_KEY_CURRENT = 1, /* what is stored is sealed under it; one row */
    KS_DATA_KEY_OLD = 2      /* some rows may still be; at most one row */
} ks_data_key_state;

typedef struct {
    uint32_t number;
    ks_data_key_state state;
    const uint8_t *wrapped, *chained; /* chained: sealed under the key before it; NULL: not */
    size_t wrapped_len, chained_len;
} ks_data_key_row;
typedef bool (*ks_data_key_row_fn)(void *ctx, const ks_data_key_row *row);

/** Columns that hold sealed records, in the order in which they are sealed again. */
typedef enum {
    KS_SEALED_KEY = 1,
    KS_SEALED_BATCH = 2,
    KS_SEALED_META = 3,
    KS_SEALED_OBJECT = 4
} ks_sealed_table;

/** A row with a sealed record, with what names the row and what is bound to the record. Of meta it may be a
 * value that is not sealed. */
typedef struct {
    ks_sealed_table table;
    ks_key_row key;       /* KEY: key_id, epoch, public part */
    ks_batch_row batch;   /* BATCH: the public columns */
    const char *name;     /* META */
    ks_object_row object; /* OBJECT: id, created_ms */
    const uint8_t *sealed;
    size_t sealed_len;
} ks_sealed_row;
typedef bool (*ks_sealed_row_fn)(void *ctx, const ks_sealed_row *row);

/** Rows of one table that do not begin with `head`, behind a row, in the order of their primary keys. */
typedef struct {
    ks_sealed_table table;
    const uint8_t *head;  /* KS_SEAL_HEAD_LEN */
    const char *after;    /* key id or name; "": from the start */
    uint32_t after_epoch; /* of key id `after` */
    const uint8_t *after_beta;
    const uint8_t *after_object; /* KS_OBJECT_ID_LEN; NULL: from the start */
    size_t limit;
} ks_sealed_query;

/** A record in place of another one; of a key_id and epoch, a beta, a name, or an object's id. */
typedef struct {
    ks_sealed_table table;
    const char *id; /* key id or name */
    uint32_t epoch;
    const uint8_t *beta, *object;
    const uint8_t *was, *now; /* `was` goes, or nothing happens */
    size_t was_len, now_len;
} ks_reseal;

/** Which batches a query is about. */
typedef struct {
    const char *key_id;   /* NULL: all keys */
    const uint8_t *beta;  /* NULL: any */
    ks_batch_state state; /* 0: any */
    bool unspent;         /* only next < count */
    bool any_epoch;
    bool with_data;  /* fill `sealed`; it is the large part of a batch */
    bool with_burnt; /* fill `burnt` */
    uint32_t epoch;
    int64_t lane_from, lane_to; /* compared as numbers with sign; both 0: any */
    uint32_t outside;           /* none of these is a member */
    size_t limit;               /* 0: no limit; oldest (lane, seq) first */
} ks_batch_query;

/** Keys after this one (NULL: from the start), ascending, so many at most. */
typedef struct {
    const char *after;
    size_t limit;
} ks_key_page;

/** Objects behind one, in the order of created_ms (as a number with sign) and id, so many at most. */
typedef struct {
    uint64_t after_ms;
    const uint8_t *after_id; /* NULL: from after_ms on */
    size_t limit;
} ks_object_query;

/** Keys whose last change is behind `after` and not behind `upto`, ascending by that, so many at most. */
typedef struct {
    uint64_t after, upto;
    size_t limit;
} ks_key_changes;

/** Whether a query leaves the lane open. */
static inline bool ks_any_lane(const ks_batch_query *q)
{
    return q->lane_from == 0 && q->lane_to == 0;
}

typedef struct {
    const char *name;
    tdsa_status (*open)(ks_backend **out, const ks_cfg *cfg, tdsa_err *err); /* SQL: ks_sql_open */
    void (*close)(ks_backend *b);
    void (*abandon)(ks_backend *b); /* after fork: no write to any inherited descriptor */
    /* around fork, and before abandon: nobody is in a ping that runs apart, nor comes in; false without
     * `wait`: somebody is. release undoes it; abandon does so too. Both may be NULL */
    bool (*hold)(ks_backend *b, bool wait);
    void (*release)(ks_backend *b);
    tdsa_status (*ping)(ks_backend *b, tdsa_err *err);
    /* Which database this is (ks_sql_driver.identity). moved: a connection that was lost came back to
     * another one: from the first settled on, every call but these three, meta_*, counter_* and purge_all
     * is TDSA_E_STORE until the next settled. All three may be NULL */
    tdsa_status (*identity)(ks_backend *b, tdsa_buf *out, tdsa_err *err);
    bool (*moved)(ks_backend *b);
    void (*settled)(ks_backend *b);
    tdsa_status (*change_counter)(ks_backend *b, uint64_t *out, tdsa_err *err);

    tdsa_status (*key_insert)(ks_backend *b, const ks_key_row *row, tdsa_err *err);
    /* state, public part and sealed share together; only when the state is `from` */
    tdsa_status (*key_update)(ks_backend *b, const ks_key_row *row, ks_key_state from,
                              tdsa_err *err);
    /* to ACTIVE (DELETING while an order is SCHEDULED or UNDOING): earlier epochs in use become OLD,
     * earlier REGISTERED ones go, batches of earlier epochs become VOID, in the same transaction */
    tdsa_status (*key_move)(ks_backend *b, const char *key_id, uint32_t epoch, ks_key_state from,
                            ks_key_state to, tdsa_err *err);
    /* a PENDING row beside others: TDSA_E_CONFLICT when one of this or a later epoch, a PENDING, DELETING
     * or DELETED one is there; label, limit, birth and attributes of the rows that are there win */
    tdsa_status (*key_add)(ks_backend *b, const ks_key_row *row, tdsa_err *err);
    /* a RESTORED row where there is none but REGISTERED ones, which go; else TDSA_E_CONFLICT */
    tdsa_status (*key_restore)(ks_backend *b, const ks_key_row *row, tdsa_err *err);
    /* whether any row holds a share, or a sealed object */
    tdsa_status (*key_has_share)(ks_backend *b, bool *out, tdsa_err *err);
    /* all rows of a key (NULL: of all) in a state (0: in any), ascending by key id and epoch */
    tdsa_status (*key_rows)(ks_backend *b, const char *key_id, ks_key_state state, ks_key_row_fn fn,
                            void *ctx, tdsa_err *err);
    /* deletes one epoch that is REGISTERED, PENDING or OLD */
    tdsa_status (*key_drop)(ks_backend *b, const char *key_id, uint32_t epoch, tdsa_err *err);
    tdsa_status (*key_set_attrs)(ks_backend *b, const char *key_id, const char *label,
                                 const uint8_t *attrs, size_t attrs_len, tdsa_err *err);
    tdsa_status (*key_set_limit)(ks_backend *b, const char *key_id, int64_t limit, tdsa_err *err);
    tdsa_status (*key_get)(ks_backend *b, const char *key_id, ks_key_row_fn fn, void *ctx,
                           tdsa_err *err); /* in use, else newest epoch; TDSA_E_NOT_FOUND */
    tdsa_status (*key_each)(ks_backend *b, const char *after, size_t limit, ks_key_row_fn fn,
                            void *ctx, tdsa_err *err);
    /* the same of keys with this label */
    tdsa_status (*key_labelled)(ks_backend *b, const char *label, const ks_key_page *page,
                                ks_key_row_fn fn, void *ctx, tdsa_err *err);
    /* one row per key, as key_get gives it; one that is gone: DELETED, and its key_id alone. Changes up to the
     * counter KS_COUNTER_CHANGES_FROM are not known */
    tdsa_status (*key_changed)(ks_backend *b, const ks_key_changes *which, ks_key_row_fn fn,
                               void *ctx, tdsa_err *err);
    /* without a tombstone the order about the key goes too */
    tdsa_status (*key_delete)(ks_backend *b, const char *key_id, bool tombstone, tdsa_err *err);

    /* see ks_deletion_put; fields are checked already */
    tdsa_status (*deletion_put)(ks_backend *b, const ks_deletion *d, const ks_deletion *was,
                                tdsa_err *err);
    tdsa_status (*deletion_told)(ks_backend *b, const ks_deletion *d, uint32_t told, tdsa_err *err);
    /* that of one key, or (key_id NULL) all open ones; rows as they are, not checked */
    tdsa_status (*deletion_each)(ks_backend *b, const char *key_id, ks_deletion_fn fn, void *ctx,
                                 tdsa_err *err);

    tdsa_status (*batch_insert)(ks_backend *b, const ks_batch_row *row, tdsa_err *err);
    tdsa_status (*batch_move)(ks_backend *b, const uint8_t *beta, ks_batch_state from,
                              ks_batch_state to, tdsa_err *err);
    tdsa_status (*batch_each)(ks_backend *b, const ks_batch_query *q, ks_batch_row_fn fn, void *ctx,
                              tdsa_err *err);
    tdsa_status (*batch_purge)(ks_backend *b, const char *key_id, bool only_spent,
                               uint64_t *dropped, tdsa_err *err);
    /* seq_below 0: all */
    tdsa_status (*batch_void_made)(ks_backend *b, uint64_t seq_below, tdsa_err *err);
    tdsa_status (*burnt)(ks_backend *b, const uint8_t *beta, uint32_t block, uint64_t *mask,
                         tdsa_err *err);
    /* raises the counter KS_COUNTER_BURN in the same transaction and gives its new value */
    tdsa_status (*lease)(ks_backend *b, const uint8_t *beta, uint32_t from, uint32_t to,
                         uint64_t *burns, tdsa_err *err);
    /* the same */
    tdsa_status (*burn)(ks_backend *b, const uint8_t *beta, uint32_t block, uint64_t bits,
                        uint64_t *burns, tdsa_err *err);
    /* the same for from..to-1 in one transaction; the counter rises by one */
    tdsa_status (*burn_range)(ks_backend *b, const uint8_t *beta, uint32_t from, uint32_t to,
                              uint64_t *burns, tdsa_err *err);
    /* MADE and FREE batches of a key with one of these members become VOID */
    tdsa_status (*batch_void_with)(ks_backend *b, const char *key_id, uint32_t members,
                                   tdsa_err *err);
    /* deletes every batch and block; the counters become what `at_least` says where they are below
     * it, and that of purges rises by one beyond; tells how many usable presignatures went */
    tdsa_status (*purge_all)(ks_backend *b, const ks_marks *at_least, uint64_t *dropped,
                             tdsa_err *err);
    tdsa_status (*seq_raise)(ks_backend *b, const char *key_id, uint32_t epoch, uint64_t lane,
                             uint64_t seq, tdsa_err *err);

    /* burn of one presignature that is not leased, and its record, together; TDSA_E_LIMIT at
     * KS_PARTIALS_MAX records */
    tdsa_status (*partial_burn)(ks_backend *b, const ks_partial *row, uint64_t *burns,
                                tdsa_err *err);
    tdsa_status (*partial_get)(ks_backend *b, const uint8_t *beta, uint32_t index, ks_partial *out,
                               tdsa_err *err);
    tdsa_status (*partial_fail)(ks_backend *b, const uint8_t *beta, uint32_t index, tdsa_err *err);
    tdsa_status (*partial_collect)(ks_backend *b, uint64_t before_ms, uint64_t *left,
                                   tdsa_err *err);

    tdsa_status (*object_put)(ks_backend *b, const ks_object_row *row, tdsa_err *err);
    tdsa_status (*object_each)(ks_backend *b, const ks_object_query *q, ks_object_row_fn fn,
                               void *ctx, tdsa_err *err);
    tdsa_status (*object_delete)(ks_backend *b, const uint8_t *id, tdsa_err *err);

    tdsa_status (*meta_put)(ks_backend *b, const char *name, const uint8_t *value, size_t len,
                            tdsa_err *err);
    /* insert only when absent: TDSA_E_CONFLICT otherwise */
    tdsa_status (*meta_create)(ks_backend *b, const char *name, const uint8_t *value, size_t len,
                               tdsa_err *err);
    tdsa_status (*meta_get)(ks_backend *b, const char *name, tdsa_buf *out, tdsa_err *err);
    /* adds 1 to a counter that starts at 0 and gives the new value; atomic over processes */
    tdsa_status (*counter_next)(ks_backend *b, const char *name, uint64_t *out, tdsa_err *err);
    tdsa_status (*counter_get)(ks_backend *b, const char *name, uint64_t *out, tdsa_err *err);

    /* ascending by number */
    tdsa_status (*data_key_each)(ks_backend *b, ks_data_key_row_fn fn, void *ctx, tdsa_err *err);
    /* the first one, or that after row->number - 1, which becomes OLD: TDSA_E_CONFLICT when that is not CURRENT,
     * or an OLD one is there */
    tdsa_status (*data_key_add)(ks_backend *b, const ks_data_key_row *row, tdsa_err *err);
    /* new wrapped forms of `count` keys, all or none: TDSA_E_CONFLICT when one is not as in `was` */
    tdsa_status (*data_key_wrap)(ks_backend *b, const ks_data_key_row *now,
                                 const ks_data_key_row *was, size_t count, tdsa_err *err);
    /* deletes an OLD one: TDSA_E_CONFLICT when a row of key, batch or object does not begin with `head` */
    tdsa_status (*data_key_drop)(ks_backend *b, uint32_t number, const uint8_t *head,
                                 tdsa_err *err);
    tdsa_status (*data_key_unchain)(ks_backend *b, uint32_t number, tdsa_err *err);
    tdsa_status (*sealed_each)(ks_backend *b, const ks_sealed_query *q, ks_sealed_row_fn fn,
                               void *ctx, tdsa_err *err);
    /* rows of key, batch and object that do not begin with `head` */
    tdsa_status (*sealed_count)(ks_backend *b, const uint8_t *head, uint64_t *out, tdsa_err *err);
    /* in one commit, while data key `number` is CURRENT: else TDSA_E_CONFLICT */
    tdsa_status (*reseal)(ks_backend *b, uint32_t number, const ks_reseal *rows, size_t count,
                          tdsa_err *err);
} ks_backend_ops;

/** Every backend object starts with this. */
struct ks_backend {
    const ks_backend_ops *ops;
    /* ping, change_counter may run beside another call; set at open */
    bool ping_apart, counter_apart;
    /* What is stored is sealed under data key `fence`. A backend that others write to checks, in each
     * transaction that begins while fencing is set, that this is the CURRENT one; else it sets fenced, and the
     * call ends in TDSA_E_CONFLICT. */
    bool fencing, fenced;
    uint32_t fence;
};

extern const ks_backend_ops ks_backend_memory;

#endif
