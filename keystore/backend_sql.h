#ifndef KS_BACKEND_SQL_H
#define KS_BACKEND_SQL_H

#include "keystore/server.h"
#include "keystore/sql.h"

/** Only for the files backend_sql*.c: each operation of ks_backend once, over a driver. */

/** What a connection is made of, in memory of its own; shared by the connections of a store. */
typedef struct ks_sql_place ks_sql_place;
TDSA_MUST_USE tdsa_status ks_sql_place_make(ks_sql_place **out, const ks_cfg *cfg, tdsa_err *err)
    TDSA_NONNULL;
/** Says create_tables false. */
const ks_cfg *ks_sql_place_cfg(const ks_sql_place *p) TDSA_NONNULL;
void ks_sql_place_free(ks_sql_place *p);

typedef struct ks_sql {
    ks_backend base;
    const ks_sql_driver *driver;
    ks_sql_place *place;
    const tdsa_log *log;  /* may be NULL */
    ks_sql_conn *conn;    /* NULL: lost, the next call makes a new one */
    ks_sql_step trouble;  /* of the statements since a transaction began: the last from AGAIN on */
    bool dead;            /* an fsync failed: what is on the disk is unknown */
    int64_t data_version; /* when key_changes was read */
    uint64_t key_changes;
    bool key_changes_known;
    /* backend_sql_pool.c */
    uint64_t born_ms, used_ms; /* of conn */
    bool down;
    uint64_t down_since_ms, quiet_until_ms;
    tdsa_err down_because;
    char identity[201]; /* as the last connection told it; "": unknown */
    bool moved;         /* it was another one before */
    bool fenced;        /* the store looks at `moved` */
    bool is_spare;
    struct ks_sql *spare;     /* NULL: there is none; for what goes apart (ks_backend) */
    pthread_mutex_t spare_mu; /* `spare`, everything in it */
} ks_sql;

ks_sql *ks_sql_of(ks_backend *b) TDSA_NONNULL;
/** TDSA_E_STORE with the database, what was tried and what the database says. */
tdsa_status ks_sql_fail(ks_sql *q, ks_sql_step step, const char *what, tdsa_err *err) TDSA_NONNULL;

/* ---- statements ---- */

/** A statement with its arguments filled in from the left. */
typedef struct {
    ks_sql *q;
    ks_sql_conn *c;
    ks_sql_id which;
    ks_sql_value arg[KS_SQL_ARGS_MAX];
    size_t n;
    bool started;
    ks_sql_step last;
} ks_stmt;

/** Takes a statement for use; arguments are lent until ks_stmt_done. */
ks_stmt ks_stmt_use(ks_sql *q, ks_sql_id which) TDSA_NONNULL;
void ks_arg_text(ks_stmt *b, const char *v) TDSA_NONNULL;
void ks_arg_int(ks_stmt *b, int64_t v) TDSA_NONNULL;
/** The same 64 bits. */
void ks_arg_u64(ks_stmt *b, uint64_t v) TDSA_NONNULL;
/** NULL when len is 0. */
void ks_arg_blob(ks_stmt *b, const uint8_t *v, size_t len);
/** Never NULL. */
void ks_arg_bytes(ks_stmt *b, const uint8_t *v, size_t len);
void ks_arg_null(ks_stmt *b) TDSA_NONNULL;
/** KS_SQL_ROW or KS_SQL_DONE or an error. */
ks_sql_step ks_stmt_step(ks_stmt *b) TDSA_NONNULL;
/** Gives the statement back. */
void ks_stmt_done(ks_stmt *b) TDSA_NONNULL;
/** Runs a statement without rows to its end and gives it back; *changes (may be NULL) is how many
 * rows it changed. */
TDSA_MUST_USE tdsa_status ks_stmt_run(ks_stmt *b, uint64_t *changes, const char *what,
                                      tdsa_err *err) __attribute__((nonnull(1, 3, 4)));

/** Columns of the row; 0 and NULL where it is of another type. */
int64_t ks_col_int(ks_stmt *b, unsigned column) TDSA_NONNULL;
const char *ks_col_text(ks_stmt *b, unsigned column) TDSA_NONNULL;
const uint8_t *ks_col_blob(ks_stmt *b, unsigned column, size_t *len) TDSA_NONNULL;

/* ---- transactions ---- */

/**
 * The body of an operation, run again where that is safe:
 *
 *     for (ks_sql_tx tx = ks_sql_write(q); ks_sql_tx_next(&tx, &st, err);) {
 *         st = ...;
 *     }
 *
 * A writing body stands between begin and commit: it is committed when st is TDSA_OK, else undone. It
 * runs again after a deadlock and after a connection was lost before commit was sent, a few times. A
 * connection that is lost during commit is TDSA_E_STORE: nobody knows whether it happened. A reading body
 * runs a second time, unless rows were given away already. The body sets its results anew each time.
 */
typedef struct {
    ks_sql *q;
    bool writes, running;
    bool anywhere; /* runs too where the database is not the one of before */
    bool given;    /* a read sets it when the caller has a row: it is not repeated then */
    unsigned runs;
} ks_sql_tx;

ks_sql_tx ks_sql_write(ks_sql *q) TDSA_NONNULL;
ks_sql_tx ks_sql_read(ks_sql *q) TDSA_NONNULL;
ks_sql_tx ks_sql_anywhere(ks_sql_tx tx);
bool ks_sql_tx_next(ks_sql_tx *tx, tdsa_status *st, tdsa_err *err) TDSA_NONNULL;

/* ---- connections (backend_sql_pool.c) ---- */

/** NULL: no memory. */
ks_sql *ks_sql_new(const ks_sql_driver *driver, ks_sql_place *place, tdsa_err *err) TDSA_NONNULL;
/** Connects and prepares q->conn, which is NULL. Tables are made and brought forward when cfg says so.
 * Errors: those of the driver; TDSA_E_STORE when the tables are not ours or of another version. */
TDSA_MUST_USE tdsa_status ks_sql_connect(ks_sql *q, const ks_cfg *cfg, tdsa_err *err) TDSA_NONNULL;
/** Makes sure of q->conn: replaces one that is old or does not answer, waits for a server that is gone.
 * Errors: those of ks_sql_connect. */
TDSA_MUST_USE tdsa_status ks_sql_ensure(ks_sql *q, tdsa_err *err) TDSA_NONNULL;
/** Closes a connection that is of no use any more. */
void ks_sql_drop(ks_sql *q) TDSA_NONNULL;
/** Makes q->spare: on a server for pings, where the configuration has more than one connection; in a file for the
 * counter of changes. Errors: TDSA_E_NO_MEMORY. */
TDSA_MUST_USE tdsa_status ks_sql_add_spare(ks_sql *q, tdsa_err *err) TDSA_NONNULL;
void ks_sql_pause(uint32_t ms);
bool ks_sql_hold(ks_backend *b, bool wait);
void ks_sql_release(ks_backend *b);
tdsa_status ks_sql_ping(ks_backend *b, tdsa_err *err);

/** Checks whose database it is and its version; makes missing tables when asked. Errors: TDSA_E_STORE. */
TDSA_MUST_USE tdsa_status ks_sql_migrate(ks_sql *q, ks_sql_conn *c, bool create, tdsa_err *err)
    TDSA_NONNULL;

/* ---- inside a transaction ---- */

/** A row of this key changed, or (NULL) an object, when st says so. */
TDSA_MUST_USE tdsa_status ks_sql_key_changed(ks_sql *q, const char *key_id, tdsa_status st,
                                             tdsa_err *err) __attribute__((nonnull(1, 4)));
/** Adds 1 to a counter and gives the new value. */
TDSA_MUST_USE tdsa_status ks_sql_count(ks_sql *q, const char *name, uint64_t *out, tdsa_err *err)
    TDSA_NONNULL;
/** TDSA_OK when the key exists and is not deleted, else TDSA_E_NOT_FOUND. */
TDSA_MUST_USE tdsa_status ks_sql_key_live(ks_sql *q, const char *key_id, tdsa_err *err)
    TDSA_NONNULL;
/** Deletes what a key has in the tables of batches. */
TDSA_MUST_USE tdsa_status ks_sql_purge(ks_sql *q, const char *key_id, bool only_spent,
                                       uint64_t *dropped, tdsa_err *err) TDSA_NONNULL;

/** The data key that a sealed row is about to be stored under is the current one. Errors: TDSA_E_CONFLICT (and
 * q->base.fenced), TDSA_E_STORE. */
TDSA_MUST_USE tdsa_status ks_sql_fence(ks_sql *q, tdsa_err *err) TDSA_NONNULL;
/** The public columns of a batch, KS_SQL_BATCH_COLUMNS; lent like the row. */
void ks_sql_batch_columns(ks_stmt *b, ks_batch_row *row) TDSA_NONNULL;

/** After a commit that deleted secrets: they leave the disk where the driver can do something for it. */
void ks_sql_forget(ks_sql *q) TDSA_NONNULL;

/* ---- operations ---- */

tdsa_status ks_sql_key_insert(ks_backend *b, const ks_key_row *row, tdsa_err *err);
tdsa_status ks_sql_key_update(ks_backend *b, const ks_key_row *row, ks_key_state from,
                              tdsa_err *err);
tdsa_status ks_sql_key_move(ks_backend *b, const char *key_id, uint32_t epoch, ks_key_state from,
                            ks_key_state to, tdsa_err *err);
tdsa_status ks_sql_key_add(ks_backend *b, const ks_key_row *row, tdsa_err *err);
tdsa_status ks_sql_key_restore(ks_backend *b, const ks_key_row *row, tdsa_err *err);
tdsa_status ks_sql_key_has_share(ks_backend *b, bool *out, tdsa_err *err);
tdsa_status ks_sql_key_rows(ks_backend *b, const char *key_id, ks_key_state state, ks_key_row_fn fn,
                            void *ctx, tdsa_err *err);
tdsa_status ks_sql_key_drop(ks_backend *b, const char *key_id, uint32_t epoch, tdsa_err *err);
tdsa_status ks_sql_key_set_attrs(ks_backend *b, const char *key_id, const char *label,
                                 const uint8_t *attrs, size_t attrs_len, tdsa_err *err);
tdsa_status ks_sql_key_set_limit(ks_backend *b, const char *key_id, int64_t limit, tdsa_err *err);
tdsa_status ks_sql_key_get(ks_backend *b, const char *key_id, ks_key_row_fn fn, void *ctx,
                           tdsa_err *err);
tdsa_status ks_sql_key_labelled(ks_backend *backend, const char *label, const ks_key_page *page,
                                ks_key_row_fn fn, void *ctx, tdsa_err *err);
tdsa_status ks_sql_key_each_changed(ks_backend *b, const ks_key_changes *which, ks_key_row_fn fn,
                                    void *ctx, tdsa_err *err);
tdsa_status ks_sql_key_each(ks_backend *b, const char *after, size_t limit, ks_key_row_fn fn,
                            void *ctx, tdsa_err *err);
tdsa_status ks_sql_key_delete(ks_backend *b, const char *key_id, bool tombstone, tdsa_err *err);
/** What goes with a key, inside a transaction; TDSA_E_NOT_FOUND when there is no row of it. */
TDSA_MUST_USE tdsa_status ks_sql_key_wipe(ks_sql *q, const char *key_id, bool tombstone,
                                          tdsa_err *err) TDSA_NONNULL;
tdsa_status ks_sql_deletion_put(ks_backend *b, const ks_deletion *d, const ks_deletion *was,
                                tdsa_err *err);
tdsa_status ks_sql_deletion_told(ks_backend *b, const ks_deletion *d, uint32_t told, tdsa_err *err);
tdsa_status ks_sql_deletion_each(ks_backend *b, const char *key_id, ks_deletion_fn fn, void *ctx,
                                 tdsa_err *err);
tdsa_status ks_sql_batch_insert(ks_backend *b, const ks_batch_row *row, tdsa_err *err);
tdsa_status ks_sql_batch_move(ks_backend *b, const uint8_t *beta, ks_batch_state from,
                              ks_batch_state to, tdsa_err *err);
tdsa_status ks_sql_batch_each(ks_backend *b, const ks_batch_query *query, ks_batch_row_fn fn,
                              void *ctx, tdsa_err *err);
tdsa_status ks_sql_batch_purge(ks_backend *b, const char *key_id, bool only_spent,
                               uint64_t *dropped, tdsa_err *err);
tdsa_status ks_sql_batch_void_made(ks_backend *b, uint64_t seq_below, tdsa_err *err);
tdsa_status ks_sql_burnt(ks_backend *b, const uint8_t *beta, uint32_t block, uint64_t *mask,
                         tdsa_err *err);
tdsa_status ks_sql_lease(ks_backend *b, const uint8_t *beta, uint32_t from, uint32_t to,
                         uint64_t *burns, tdsa_err *err);
tdsa_status ks_sql_burn(ks_backend *b, const uint8_t *beta, uint32_t block, uint64_t bits,
                        uint64_t *burns, tdsa_err *err);
tdsa_status ks_sql_burn_range(ks_backend *b, const uint8_t *beta, uint32_t from, uint32_t to,
                              uint64_t *burns, tdsa_err *err);
tdsa_status ks_sql_batch_void_with(ks_backend *b, const char *key_id, uint32_t members,
                                   tdsa_err *err);
tdsa_status ks_sql_purge_all(ks_backend *b, const ks_marks *at_least, uint64_t *dropped,
                             tdsa_err *err);
tdsa_status ks_sql_seq_raise(ks_backend *b, const char *key_id, uint32_t epoch, uint64_t lane,
                             uint64_t seq, tdsa_err *err);
/** One presignature that is not leased; inside a transaction. */
TDSA_MUST_USE tdsa_status ks_sql_burn_unleased(ks_sql *q, const uint8_t *beta, uint32_t index,
                                               uint64_t *burns, tdsa_err *err) TDSA_NONNULL;
tdsa_status ks_sql_partial_burn(ks_backend *b, const ks_partial *row, uint64_t *burns,
                                tdsa_err *err);
tdsa_status ks_sql_partial_get(ks_backend *b, const uint8_t *beta, uint32_t index, ks_partial *out,
                               tdsa_err *err);
tdsa_status ks_sql_partial_fail(ks_backend *b, const uint8_t *beta, uint32_t index, tdsa_err *err);
tdsa_status ks_sql_partial_collect(ks_backend *b, uint64_t before_ms, uint64_t *left,
                                   tdsa_err *err);
tdsa_status ks_sql_object_put(ks_backend *b, const ks_object_row *row, tdsa_err *err);
tdsa_status ks_sql_object_each(ks_backend *b, const ks_object_query *query, ks_object_row_fn fn,
                               void *ctx, tdsa_err *err);
tdsa_status ks_sql_object_delete(ks_backend *b, const uint8_t *id, tdsa_err *err);
/** The blob in a column, when it is as long as an object's id; else NULL. */
const uint8_t *ks_sql_object_id(ks_stmt *b, unsigned column) TDSA_NONNULL;
tdsa_status ks_sql_data_key_each(ks_backend *b, ks_data_key_row_fn fn, void *ctx, tdsa_err *err);
tdsa_status ks_sql_data_key_add(ks_backend *b, const ks_data_key_row *row, tdsa_err *err);
tdsa_status ks_sql_data_key_wrap(ks_backend *b, const ks_data_key_row *now,
                                 const ks_data_key_row *was, size_t count, tdsa_err *err);
tdsa_status ks_sql_data_key_drop(ks_backend *b, uint32_t number, const uint8_t *head,
                                 tdsa_err *err);
tdsa_status ks_sql_data_key_unchain(ks_backend *b, uint32_t number, tdsa_err *err);
tdsa_status ks_sql_sealed_each(ks_backend *b, const ks_sealed_query *query, ks_sealed_row_fn fn,
                               void *ctx, tdsa_err *err);
tdsa_status ks_sql_sealed_count(ks_backend *b, const uint8_t *head, uint64_t *out, tdsa_err *err);
tdsa_status ks_sql_reseal(ks_backend *b, uint32_t number, const ks_reseal *rows, size_t count,
                          tdsa_err *err);

#endif
