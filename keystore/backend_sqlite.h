#ifndef KS_BACKEND_SQLITE_H
#define KS_BACKEND_SQLITE_H

#include <sqlite3.h>

#include "keystore/internal.h"

/** Only for the files backend_sqlite*.c, the only ones that see sqlite3.h. */

/** Every statement, kept prepared. Texts in backend_sqlite_sql.c. */
typedef enum {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_DATA_VERSION,
    SQL_KEY_CHANGED,
    SQL_KEY_CHANGES,
    SQL_KEY_INSERT,
    SQL_KEY_UPDATE,
    SQL_KEY_MOVE,
    SQL_KEY_RETIRE,
    SQL_KEY_UNREGISTER,
    SQL_KEY_VOID,
    SQL_KEY_ADD,
    SQL_KEY_UNREGISTER_ALL,
    SQL_KEY_RESTORE,
    SQL_KEY_ROWS,
    SQL_KEY_DROP,
    SQL_KEY_SET_ATTRS,
    SQL_KEY_SET_LIMIT,
    SQL_KEY_STATE,
    SQL_KEY_LIVE,
    SQL_KEY_GET,
    SQL_KEY_EACH,
    SQL_KEY_DELETE,
    SQL_KEY_DELETE_OLD,
    SQL_KEY_BURY,
    SQL_KEY_SCHEDULE,
    SQL_KEY_REVIVE,
    SQL_LANE_DELETE,
    SQL_DELETION_PUT,
    SQL_DELETION_DELETE,
    SQL_DELETION_TOLD,
    SQL_DELETION_GET,
    SQL_DELETION_OPEN,
    SQL_BATCH_INSERT,
    SQL_BATCH_DATA_INSERT,
    SQL_BATCH_DATA,
    SQL_BATCH_MOVE,
    SQL_BATCH_STATE,
    SQL_BATCH_BY_BETA,
    SQL_BATCH_BY_KEY,
    SQL_BATCH_ALL,
    SQL_PURGE_COUNT,
    SQL_PURGE_MARK,
    SQL_PURGE_BLOCK,
    SQL_PURGE_DATA,
    SQL_PURGE_BATCH,
    SQL_VOID_MADE,
    SQL_LEASE,
    SQL_BURN,
    SQL_BURN_UNLEASED,
    SQL_BURNT,
    SQL_BURNT_ALL,
    SQL_SEQ_RAISE,
    SQL_PARTIAL_INSERT,
    SQL_PARTIAL_GET,
    SQL_PARTIAL_FAIL,
    SQL_PARTIAL_COLLECT,
    SQL_PARTIAL_COUNT,
    SQL_PARTIAL_DELETE,
    SQL_META_PUT,
    SQL_META_CREATE,
    SQL_META_GET,
    SQL_COUNTER_NEXT,
    SQL_COUNTER_GET,
    SQL_COUNTER_RAISE,
    SQL_VOID_WITH,
    SQL_CLEAR_COUNT,
    SQL_CLEAR_BLOCK,
    SQL_CLEAR_DATA,
    SQL_CLEAR_BATCH,
    SQL_PING,
    SQL_COUNT /* how many there are */
} ks_sql;

extern const char *const ks_sqlite_text[SQL_COUNT];
/** The files keystore/sql/sqlite/NNNN-*.sql in order, put in by the build: the first is number 1. The
 * number of the last one that was applied is the database's user_version. */
extern const char *const ks_sqlite_migration[];
extern const uint32_t ks_sqlite_migration_count;

typedef struct {
    ks_backend base;
    sqlite3 *db;
    sqlite3_stmt *stmt[SQL_COUNT];
    char *path;
    const tdsa_log *log; /* may be NULL; while opening */
    bool dead;           /* an fsync failed: what is on the disk is unknown */
    uint32_t busy_timeout_ms;
    int64_t data_version; /* when key_changes was read */
    uint64_t key_changes;
    bool key_changes_known;
} ks_sqlite;

ks_sqlite *ks_sqlite_of(ks_backend *b) TDSA_NONNULL;
/** TDSA_E_STORE with the file, what was tried and what SQLite says. */
tdsa_status ks_sqlite_fail(ks_sqlite *q, int rc, const char *what, tdsa_err *err) TDSA_NONNULL;

/** A statement with its values filled in from the left. */
typedef struct {
    ks_sqlite *q;
    sqlite3_stmt *stmt;
    int next, rc;
} ks_bind;

/** Takes a statement for use; values are lent until ks_sqlite_done. */
ks_bind ks_sqlite_use(ks_sqlite *q, ks_sql which) TDSA_NONNULL;
void ks_bind_text(ks_bind *b, const char *v) TDSA_NONNULL;
void ks_bind_int(ks_bind *b, int64_t v) TDSA_NONNULL;
/** The same 64 bits. */
void ks_bind_u64(ks_bind *b, uint64_t v) TDSA_NONNULL;
/** NULL when len is 0. */
void ks_bind_blob(ks_bind *b, const uint8_t *v, size_t len);
/** SQLITE_ROW or SQLITE_DONE or an error code. */
int ks_sqlite_step(ks_bind *b) TDSA_NONNULL;
/** Gives the statement back. */
void ks_sqlite_done(ks_bind *b) TDSA_NONNULL;
/** Runs a statement without rows to its end and gives it back; *changes (may be NULL) is how many
 * rows it changed. */
TDSA_MUST_USE tdsa_status ks_sqlite_run(ks_bind *b, int *changes, const char *what, tdsa_err *err)
    __attribute__((nonnull(1, 3, 4)));

TDSA_MUST_USE tdsa_status ks_sqlite_begin(ks_sqlite *q, tdsa_err *err) TDSA_NONNULL;
/** Commits when st is TDSA_OK, else rolls back; gives the outcome of the whole. */
TDSA_MUST_USE tdsa_status ks_sqlite_end(ks_sqlite *q, tdsa_status st, tdsa_err *err) TDSA_NONNULL;

/** Adds 1 to a counter, inside a transaction or as one; gives the new value. */
TDSA_MUST_USE tdsa_status ks_sqlite_count(ks_sqlite *q, const char *name, uint64_t *out,
                                          tdsa_err *err) TDSA_NONNULL;

/** TDSA_OK when the key exists and is not deleted, else TDSA_E_NOT_FOUND. */
TDSA_MUST_USE tdsa_status ks_sqlite_key_live(ks_sqlite *q, const char *key_id, tdsa_err *err)
    TDSA_NONNULL;
/** Deletes what a key has in the tables of batches; inside a transaction. */
TDSA_MUST_USE tdsa_status ks_sqlite_purge(ks_sqlite *q, const char *key_id, bool only_spent,
                                          uint64_t *dropped, tdsa_err *err) TDSA_NONNULL;
/** Copies the log into the database and empties it, so that deleted rows do not stay in it; does
 * nothing when somebody reads. */
void ks_sqlite_truncate_log(ks_sqlite *q) TDSA_NONNULL;

/** Runs one statement and gives its first column as a number (when number is set) or compares it as text
 * (when expect is set; SQLITE_CANTOPEN when it differs). */
int ks_sqlite_pragma(ks_sqlite *q, const char *sql, int64_t *number, const char *expect)
    __attribute__((nonnull(1, 2)));
/** Checks whose database it is and its version; makes missing tables when asked. Errors: TDSA_E_STORE. */
TDSA_MUST_USE tdsa_status ks_sqlite_migrate(ks_sqlite *q, bool create_tables, tdsa_err *err)
    TDSA_NONNULL;
/** Opens the connection of q->path. Errors: TDSA_E_STORE, TDSA_E_CONFIG. */
TDSA_MUST_USE tdsa_status ks_sqlite_connect(ks_sqlite *q, bool create_tables, tdsa_err *err)
    TDSA_NONNULL;

tdsa_status ks_sqlite_key_insert(ks_backend *b, const ks_key_row *row, tdsa_err *err);
tdsa_status ks_sqlite_key_update(ks_backend *b, const ks_key_row *row, ks_key_state from,
                                 tdsa_err *err);
tdsa_status ks_sqlite_key_move(ks_backend *b, const char *key_id, uint32_t epoch, ks_key_state from,
                               ks_key_state to, tdsa_err *err);
tdsa_status ks_sqlite_key_add(ks_backend *b, const ks_key_row *row, tdsa_err *err);
tdsa_status ks_sqlite_key_restore(ks_backend *b, const ks_key_row *row, tdsa_err *err);
tdsa_status ks_sqlite_key_rows(ks_backend *b, const char *key_id, ks_key_state state,
                               ks_key_row_fn fn, void *ctx, tdsa_err *err);
tdsa_status ks_sqlite_key_drop(ks_backend *b, const char *key_id, uint32_t epoch, tdsa_err *err);
tdsa_status ks_sqlite_key_set_attrs(ks_backend *b, const char *key_id, const char *label,
                                    const uint8_t *attrs, size_t attrs_len, tdsa_err *err);
tdsa_status ks_sqlite_key_set_limit(ks_backend *b, const char *key_id, int64_t limit,
                                    tdsa_err *err);
tdsa_status ks_sqlite_key_get(ks_backend *b, const char *key_id, ks_key_row_fn fn, void *ctx,
                              tdsa_err *err);
tdsa_status ks_sqlite_key_each(ks_backend *b, const char *after, size_t limit, ks_key_row_fn fn,
                               void *ctx, tdsa_err *err);
tdsa_status ks_sqlite_key_delete(ks_backend *b, const char *key_id, bool tombstone, tdsa_err *err);
/** What goes with a key, inside a transaction; TDSA_E_NOT_FOUND when there is no row of it. */
TDSA_MUST_USE tdsa_status ks_sqlite_key_wipe(ks_sqlite *q, const char *key_id, bool tombstone,
                                             tdsa_err *err) TDSA_NONNULL;
/** Ends a transaction that changed a key row. */
TDSA_MUST_USE tdsa_status ks_sqlite_end_key_change(ks_sqlite *q, tdsa_status st, tdsa_err *err)
    TDSA_NONNULL;
tdsa_status ks_sqlite_deletion_put(ks_backend *b, const ks_deletion *d, const ks_deletion *was,
                                   tdsa_err *err);
tdsa_status ks_sqlite_deletion_told(ks_backend *b, const ks_deletion *d, uint32_t told,
                                    tdsa_err *err);
tdsa_status ks_sqlite_deletion_each(ks_backend *b, const char *key_id, ks_deletion_fn fn, void *ctx,
                                    tdsa_err *err);
tdsa_status ks_sqlite_batch_insert(ks_backend *b, const ks_batch_row *row, tdsa_err *err);
tdsa_status ks_sqlite_batch_move(ks_backend *b, const uint8_t *beta, ks_batch_state from,
                                 ks_batch_state to, tdsa_err *err);
tdsa_status ks_sqlite_batch_each(ks_backend *b, const ks_batch_query *query, ks_batch_row_fn fn,
                                 void *ctx, tdsa_err *err);
tdsa_status ks_sqlite_batch_purge(ks_backend *b, const char *key_id, bool only_spent,
                                  uint64_t *dropped, tdsa_err *err);
tdsa_status ks_sqlite_batch_void_made(ks_backend *b, uint64_t seq_below, tdsa_err *err);
tdsa_status ks_sqlite_burnt(ks_backend *b, const uint8_t *beta, uint32_t block, uint64_t *mask,
                            tdsa_err *err);
tdsa_status ks_sqlite_lease(ks_backend *b, const uint8_t *beta, uint32_t from, uint32_t to,
                            uint64_t *burns, tdsa_err *err);
tdsa_status ks_sqlite_burn(ks_backend *b, const uint8_t *beta, uint32_t block, uint64_t bits,
                           uint64_t *burns, tdsa_err *err);
tdsa_status ks_sqlite_batch_void_with(ks_backend *b, const char *key_id, uint32_t members,
                                      tdsa_err *err);
tdsa_status ks_sqlite_purge_all(ks_backend *b, const ks_marks *at_least, uint64_t *dropped,
                                tdsa_err *err);
tdsa_status ks_sqlite_seq_raise(ks_backend *b, const char *key_id, uint32_t epoch, uint64_t lane,
                                uint64_t seq, tdsa_err *err);
/** One presignature that is not leased; inside a transaction. */
TDSA_MUST_USE tdsa_status ks_sqlite_burn_unleased(ks_sqlite *q, const uint8_t *beta, uint32_t index,
                                                  uint64_t *burns, tdsa_err *err) TDSA_NONNULL;
tdsa_status ks_sqlite_partial_burn(ks_backend *b, const ks_partial *row, uint64_t *burns,
                                   tdsa_err *err);
tdsa_status ks_sqlite_partial_get(ks_backend *b, const uint8_t *beta, uint32_t index,
                                  ks_partial *out, tdsa_err *err);
tdsa_status ks_sqlite_partial_fail(ks_backend *b, const uint8_t *beta, uint32_t index,
                                   tdsa_err *err);
tdsa_status ks_sqlite_partial_collect(ks_backend *b, uint64_t before_ms, uint64_t *left,
                                      tdsa_err *err);

#endif
