#define _GNU_SOURCE 1 /* statx */
#include "keystore/driver_sqlite.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/assert.h"

/* "TDSA": tells our files from other programs'. */
#define APPLICATION_ID 0x54445341

/* The files keystore/sql/sqlite/NNNN-*.sql, put in by the build. The number of the last one that was
 * applied is the database's user_version. */
extern const char *const ks_sqlite_migration[];
extern const uint32_t ks_sqlite_migration_count;

const char *const ks_sqlite_own[KS_SQLITE_OWN] = {
    [KS_SQLITE_BEGIN] = "BEGIN IMMEDIATE",
    [KS_SQLITE_COMMIT] = "COMMIT",
    [KS_SQLITE_DATA_VERSION] = "PRAGMA data_version",
};

ks_sqlite_conn *ks_sqlite_of(ks_sql_conn *c)
{
    return (ks_sqlite_conn *)(void *)c;
}

ks_sql_step ks_sqlite_outcome(ks_sqlite_conn *q, int rc)
{
    const int primary = rc & 0xff;
    const char *text = sqlite3_errstr(rc);

    switch (primary) {
    case SQLITE_OK:
    case SQLITE_DONE:
        return KS_SQL_DONE;
    case SQLITE_ROW:
        return KS_SQL_ROW;
    case SQLITE_FULL:
        text = "the disk is full";
        break;
    case SQLITE_NOMEM:
        text = "no memory";
        break;
    default:
        break;
    }
    (void)snprintf(q->base.error, sizeof q->base.error, "%s", text);
    if (rc == SQLITE_IOERR_FSYNC || rc == SQLITE_IOERR_DIR_FSYNC) {
        return KS_SQL_DEAD; /* a second fsync may succeed although the pages of the first are gone */
    }
    return primary == SQLITE_BUSY || primary == SQLITE_LOCKED ? KS_SQL_BUSY : KS_SQL_FAIL;
}

static int run_text(ks_sqlite_conn *q, const char *text)
{
    return sqlite3_exec(q->db, text, NULL, NULL, NULL);
}

/* ---- the connection ---- */

void ks_sqlite_close(ks_sql_conn *c)
{
    ks_sqlite_conn *q = ks_sqlite_of(c);

    for (size_t i = 0; i < KS_SQL_COUNT; i++) {
        (void)sqlite3_finalize(q->stmt[i]);
    }
    for (size_t i = 0; i < KS_SQLITE_OWN; i++) {
        (void)sqlite3_finalize(q->own[i]);
    }
    TDSA_ASSERT(sqlite3_close(q->db) == SQLITE_OK); /* only open statements keep it from closing */
    free(q->path);
    free(q);
}

/*
 * In a child after fork, while nobody was inside a call (ks_abandon makes sure).
 *
 * SQLite forbids to use an inherited connection, and closing one the usual way would checkpoint the
 * parent's log. But leaving it open is worse: SQLite keeps one list of the files that the process
 * has locked, the child inherits it, and a new connection of the child to the same file would
 * believe that it holds the parent's locks, which the kernel does not hand down. So the connection
 * is closed with the checkpoint switched off. It has no transaction and no statement in progress;
 * what is left of a close in WAL mode is to unmap the shared memory and to close descriptors. That
 * writes nothing, and POSIX locks belong to a process: the child's close() drops none of the
 * parent's.
 */
static void sqlite_abandon(ks_sql_conn *c)
{
    ks_sqlite_conn *q = ks_sqlite_of(c);
    int off = 0;

    if (sqlite3_db_config(q->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, &off) != SQLITE_OK ||
        off != 1) {
        return; /* rather a leak than a write */
    }
    ks_sqlite_close(c);
}

/* A file does not go away. */
static bool sqlite_valid(ks_sql_conn *c, const char *query)
{
    (void)c;
    (void)query;
    return true;
}

/* ---- transactions ---- */

static ks_sql_step run_own(ks_sqlite_conn *q, ks_sqlite_own_id which)
{
    /* migrations come before anything is prepared */
    const int rc =
        q->own[which] != NULL ? sqlite3_step(q->own[which]) : run_text(q, ks_sqlite_own[which]);

    if (q->own[which] != NULL) {
        (void)sqlite3_reset(q->own[which]); /* says again what step said */
    }
    return ks_sqlite_outcome(q, rc);
}

static ks_sql_step sqlite_begin(ks_sql_conn *c)
{
    return run_own(ks_sqlite_of(c), KS_SQLITE_BEGIN);
}

static ks_sql_step sqlite_commit(ks_sql_conn *c)
{
    return run_own(ks_sqlite_of(c), KS_SQLITE_COMMIT);
}

static void sqlite_rollback(ks_sql_conn *c)
{
    ks_sqlite_conn *q = ks_sqlite_of(c);

    if (sqlite3_get_autocommit(q->db) == 0) { /* else SQLite did it already */
        (void)run_text(q, "ROLLBACK");
    }
}

/* ---- statements ---- */

static int bind_one(sqlite3_stmt *stmt, int place, const ks_sql_value *v)
{
    switch (v->type) {
    case KS_SQL_INT:
        return sqlite3_bind_int64(stmt, place, v->number);
    case KS_SQL_TEXT:
        return sqlite3_bind_text64(stmt, place, v->data, v->len, SQLITE_STATIC, SQLITE_UTF8);
    case KS_SQL_BLOB:
        return sqlite3_bind_blob64(stmt, place, v->data, v->len, SQLITE_STATIC);
    case KS_SQL_NULL:
        break;
    }
    return sqlite3_bind_null(stmt, place);
}

static ks_sql_step sqlite_start(ks_sql_conn *c, ks_sql_id which, const ks_sql_value *args, size_t n)
{
    ks_sqlite_conn *q = ks_sqlite_of(c);
    int rc = SQLITE_OK;

    q->changes[which] = 0;
    for (size_t i = 0; rc == SQLITE_OK && i < n; i++) {
        rc = bind_one(q->stmt[which], (int)i + 1, &args[i]);
    }
    return ks_sqlite_outcome(q, rc);
}

static ks_sql_step sqlite_step(ks_sql_conn *c, ks_sql_id which)
{
    ks_sqlite_conn *q = ks_sqlite_of(c);
    const int rc = sqlite3_step(q->stmt[which]);

    if (rc == SQLITE_DONE) {
        q->changes[which] = (uint64_t)sqlite3_changes64(q->db);
    }
    return ks_sqlite_outcome(q, rc);
}

static void sqlite_column(ks_sql_conn *c, ks_sql_id which, unsigned column, ks_sql_value *out)
{
    sqlite3_stmt *stmt = ks_sqlite_of(c)->stmt[which];
    const int place = (int)column;

    *out = (ks_sql_value){.type = KS_SQL_NULL};
    switch (sqlite3_column_type(stmt, place)) {
    case SQLITE_INTEGER:
    case SQLITE_FLOAT:
        out->type = KS_SQL_INT;
        out->number = sqlite3_column_int64(stmt, place);
        return;
    case SQLITE_TEXT:
        out->type = KS_SQL_TEXT;
        out->data = sqlite3_column_text(stmt, place);
        break;
    case SQLITE_BLOB:
        out->type = KS_SQL_BLOB;
        out->data = sqlite3_column_blob(stmt, place);
        break;
    default:
        return;
    }
    out->len = (size_t)sqlite3_column_bytes(stmt, place);
}

static uint64_t sqlite_changes(ks_sql_conn *c, ks_sql_id which)
{
    return ks_sqlite_of(c)->changes[which];
}

static void sqlite_finish(ks_sql_conn *c, ks_sql_id which)
{
    sqlite3_stmt *stmt = ks_sqlite_of(c)->stmt[which];

    (void)sqlite3_reset(stmt); /* says again what step said */
    (void)sqlite3_clear_bindings(stmt);
}

/* ---- schema ---- */

/* All three from one snapshot: another process may be making the tables just now. */
static ks_sql_step sqlite_schema(ks_sql_conn *c, ks_sql_schema *out)
{
    ks_sqlite_conn *q = ks_sqlite_of(c);
    const bool alone = sqlite3_get_autocommit(q->db) != 0;
    int64_t application = 0;
    int rc = alone ? run_text(q, "BEGIN") : SQLITE_OK;

    if (rc == SQLITE_OK) {
        rc = ks_sqlite_pragma(q, "PRAGMA application_id", &application, NULL);
    }
    if (rc == SQLITE_OK) {
        rc = ks_sqlite_pragma(q, "PRAGMA user_version", &out->version, NULL);
    }
    if (rc == SQLITE_OK) {
        rc = ks_sqlite_pragma(q, "SELECT count(*) FROM sqlite_schema", &out->tables, NULL);
    }
    if (alone) {
        sqlite_rollback(c);
    }
    out->ours = application == APPLICATION_ID;
    return ks_sqlite_outcome(q, rc);
}

static ks_sql_step sqlite_migrate(ks_sql_conn *c, uint32_t number)
{
    ks_sqlite_conn *q = ks_sqlite_of(c);
    char stamp[96];
    int rc = run_text(q, ks_sqlite_migration[number - 1]);

    (void)snprintf(stamp, sizeof stamp, "PRAGMA application_id = %d; PRAGMA user_version = %u",
                   APPLICATION_ID, number);
    if (rc == SQLITE_OK) {
        rc = run_text(q, stamp);
    }
    return ks_sqlite_outcome(q, rc);
}

/* ---- the rest ---- */

static ks_sql_step sqlite_data_version(ks_sql_conn *c, int64_t *out)
{
    ks_sqlite_conn *q = ks_sqlite_of(c);
    sqlite3_stmt *stmt = q->own[KS_SQLITE_DATA_VERSION];
    const int rc = sqlite3_step(stmt);

    *out = rc == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
    (void)sqlite3_reset(stmt);
    return ks_sqlite_outcome(q, rc == SQLITE_ROW ? SQLITE_DONE : rc);
}

/* The number of a file and when it was made: a move within the file system keeps both, a copy has others.
 * Some file systems do not know the second. */
static tdsa_status sqlite_identity(ks_sql_conn *c, tdsa_buf *out, tdsa_err *err)
{
    ks_sqlite_conn *q = ks_sqlite_of(c);
    struct statx info = {0};
    char text[96];

    if (statx(AT_FDCWD, q->path, 0, STATX_INO | STATX_BTIME, &info) != 0) {
        return TDSA_FAIL(err, TDSA_E_STORE, "database %.120s: the file is gone", q->path);
    }
    if ((info.stx_mask & STATX_BTIME) == 0) {
        info.stx_btime.tv_sec = 0;
        info.stx_btime.tv_nsec = 0;
    }
    (void)snprintf(text, sizeof text, "sqlite inode=%llu birth=%lld.%09u",
                   (unsigned long long)info.stx_ino, (long long)info.stx_btime.tv_sec,
                   (unsigned)info.stx_btime.tv_nsec);
    tdsa_buf_append(out, (const uint8_t *)text, strlen(text));
    return tdsa_buf_check(out, err);
}

/* Copies the log into the database and empties it, so that deleted rows do not stay in it; does nothing
 * when somebody reads. */
static void sqlite_forget(ks_sql_conn *c)
{
    ks_sqlite_conn *q = ks_sqlite_of(c);

    (void)sqlite3_busy_timeout(q->db, 0);
    (void)sqlite3_wal_checkpoint_v2(q->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    (void)sqlite3_busy_timeout(q->db, (int)q->busy_timeout_ms);
}

const ks_sql_driver ks_driver_sqlite = {
    .name = "sqlite",
    .migrations = ks_sqlite_migration,
    .migration_count = &ks_sqlite_migration_count,
    .connect = ks_sqlite_connect,
    .prepare = ks_sqlite_prepare,
    .close = ks_sqlite_close,
    .abandon = sqlite_abandon,
    .valid = sqlite_valid,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .start = sqlite_start,
    .step = sqlite_step,
    .column = sqlite_column,
    .changes = sqlite_changes,
    .finish = sqlite_finish,
    .schema = sqlite_schema,
    .migrate = sqlite_migrate,
    .data_version = sqlite_data_version,
    .identity = sqlite_identity,
    .forget = sqlite_forget,
};
