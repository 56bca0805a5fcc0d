#include "keystore/backend_sqlite.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define BUSY_TIMEOUT_MS 2000u

ks_sqlite *ks_sqlite_of(ks_backend *b)
{
    return (ks_sqlite *)(void *)b;
}

tdsa_status ks_sqlite_fail(ks_sqlite *q, int rc, const char *what, tdsa_err *err)
{
    const int primary = rc & 0xff;

    if (rc == SQLITE_IOERR_FSYNC || rc == SQLITE_IOERR_DIR_FSYNC) {
        /* A second fsync may succeed although the pages of the first are gone. */
        q->dead = true;
    }
    if (primary == SQLITE_BUSY || primary == SQLITE_LOCKED) {
        return TDSA_FAIL(err, TDSA_E_STORE,
                         "database %.120s is busy: %s (another process holds it)", q->path, what);
    }
    if (primary == SQLITE_FULL) {
        return TDSA_FAIL(err, TDSA_E_STORE, "database %.120s: %s: the disk is full", q->path, what);
    }
    if (primary == SQLITE_NOMEM) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "database %.120s: %s: no memory", q->path, what);
    }
    return TDSA_FAIL(err, TDSA_E_STORE, "database %.120s: %s: %.80s", q->path, what,
                     sqlite3_errstr(rc));
}

ks_bind ks_sqlite_use(ks_sqlite *q, ks_sql which)
{
    ks_bind b = {q, q->stmt[which], 1, SQLITE_OK};

    TDSA_ASSERT(b.stmt != NULL);
    if (q->dead) {
        b.rc = SQLITE_IOERR_FSYNC;
    }
    return b;
}

static void bound(ks_bind *b, int rc)
{
    if (b->rc == SQLITE_OK) {
        b->rc = rc;
    }
    b->next++;
}

void ks_bind_text(ks_bind *b, const char *v)
{
    bound(b, sqlite3_bind_text(b->stmt, b->next, v, -1, SQLITE_STATIC));
}

void ks_bind_int(ks_bind *b, int64_t v)
{
    bound(b, sqlite3_bind_int64(b->stmt, b->next, v));
}

void ks_bind_u64(ks_bind *b, uint64_t v)
{
    ks_bind_int(b, (int64_t)v);
}

void ks_bind_blob(ks_bind *b, const uint8_t *v, size_t len)
{
    if (len == 0) {
        bound(b, sqlite3_bind_null(b->stmt, b->next));
    } else {
        bound(b, sqlite3_bind_blob64(b->stmt, b->next, v, len, SQLITE_STATIC));
    }
}

int ks_sqlite_step(ks_bind *b)
{
    if (b->rc == SQLITE_OK || b->rc == SQLITE_ROW) {
        b->rc = sqlite3_step(b->stmt);
    }
    return b->rc;
}

void ks_sqlite_done(ks_bind *b)
{
    (void)sqlite3_reset(b->stmt); /* says again what step said */
    (void)sqlite3_clear_bindings(b->stmt);
}

tdsa_status ks_sqlite_run(ks_bind *b, int *changes, const char *what, tdsa_err *err)
{
    const int rc = ks_sqlite_step(b);

    if (changes != NULL) {
        *changes = rc == SQLITE_DONE ? sqlite3_changes(b->q->db) : 0;
    }
    ks_sqlite_done(b);
    return rc == SQLITE_DONE ? TDSA_OK : ks_sqlite_fail(b->q, rc, what, err);
}

tdsa_status ks_sqlite_begin(ks_sqlite *q, tdsa_err *err)
{
    ks_bind b = ks_sqlite_use(q, SQL_BEGIN);

    return ks_sqlite_run(&b, NULL, "begin", err);
}

static void roll_back(ks_sqlite *q)
{
    if (sqlite3_get_autocommit(q->db) == 0) { /* else SQLite did it already */
        (void)sqlite3_step(q->stmt[SQL_ROLLBACK]);
        (void)sqlite3_reset(q->stmt[SQL_ROLLBACK]);
    }
}

tdsa_status ks_sqlite_end(ks_sqlite *q, tdsa_status st, tdsa_err *err)
{
    if (st == TDSA_OK) {
        ks_bind b = ks_sqlite_use(q, SQL_COMMIT);

        st = ks_sqlite_run(&b, NULL, "commit", err);
    }
    if (st != TDSA_OK) {
        roll_back(q);
    }
    return st;
}

void ks_sqlite_truncate_log(ks_sqlite *q)
{
    (void)sqlite3_busy_timeout(q->db, 0);
    (void)sqlite3_wal_checkpoint_v2(q->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    (void)sqlite3_busy_timeout(q->db, (int)q->busy_timeout_ms);
}

static void finalize_all(ks_sqlite *q)
{
    for (size_t i = 0; i < SQL_COUNT; i++) {
        (void)sqlite3_finalize(q->stmt[i]);
        q->stmt[i] = NULL;
    }
}

static void close_connection(ks_backend *b)
{
    ks_sqlite *q = ks_sqlite_of(b);

    finalize_all(q);
    TDSA_ASSERT(sqlite3_close(q->db) == SQLITE_OK); /* only open statements keep it from closing */
    free(q->path);
    free(q);
}

static tdsa_status sqlite_open(ks_backend **out, const ks_cfg *cfg, tdsa_err *err)
{
    ks_sqlite *q = NULL;
    tdsa_status st;

    *out = NULL;
    if (cfg->path == NULL || cfg->path[0] == '\0' || cfg->path[0] == ':') {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "backend sqlite needs the path of a database file");
    }
    q = calloc(1, sizeof *q);
    if (q == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the database");
    }
    q->base.ops = &ks_backend_sqlite;
    q->busy_timeout_ms = cfg->busy_timeout_ms != 0 ? cfg->busy_timeout_ms : BUSY_TIMEOUT_MS;
    q->log = cfg->log;
    q->path = strdup(cfg->path);
    if (q->path == NULL) {
        st = TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the database");
    } else {
        st = ks_sqlite_connect(q, cfg->create_tables, err);
    }
    if (st != TDSA_OK) {
        close_connection(&q->base);
        return st;
    }
    *out = &q->base;
    return TDSA_OK;
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
static void sqlite_abandon(ks_backend *b)
{
    ks_sqlite *q = ks_sqlite_of(b);
    int off = 0;

    if (sqlite3_db_config(q->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, &off) != SQLITE_OK ||
        off != 1) {
        return; /* rather a leak than a write */
    }
    close_connection(b);
}

static tdsa_status sqlite_ping(ks_backend *b, tdsa_err *err)
{
    ks_bind ping = ks_sqlite_use(ks_sqlite_of(b), SQL_PING);

    /* a full disk takes the lock of a writer, but no commit */
    return ks_sqlite_run(&ping, NULL, "trying to write", err);
}

/* One number of a statement without arguments; *found false when it has no row. */
static tdsa_status one_number(ks_sqlite *q, ks_sql which, int64_t *out, tdsa_err *err)
{
    ks_bind b = ks_sqlite_use(q, which);
    const int rc = ks_sqlite_step(&b);

    *out = rc == SQLITE_ROW ? sqlite3_column_int64(b.stmt, 0) : 0;
    ks_sqlite_done(&b);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        return ks_sqlite_fail(q, rc, "reading a counter", err);
    }
    return TDSA_OK;
}

/* data_version tells, without reading a page, whether another connection wrote anything at all;
 * only then is the counter of key changes read again. */
static tdsa_status sqlite_change_counter(ks_backend *b, uint64_t *out, tdsa_err *err)
{
    ks_sqlite *q = ks_sqlite_of(b);
    int64_t version = 0;
    int64_t changes = 0;
    tdsa_status st = one_number(q, SQL_DATA_VERSION, &version, err);

    if (st != TDSA_OK) {
        return st;
    }
    if (!q->key_changes_known || version != q->data_version) {
        st = one_number(q, SQL_KEY_CHANGES, &changes, err);
        if (st != TDSA_OK) {
            return st;
        }
        q->key_changes = (uint64_t)changes;
        q->data_version = version;
        q->key_changes_known = true;
    }
    *out = q->key_changes;
    return TDSA_OK;
}

static tdsa_status meta_put(ks_backend *b, const char *name, const uint8_t *value, size_t len,
                            tdsa_err *err)
{
    ks_bind put = ks_sqlite_use(ks_sqlite_of(b), SQL_META_PUT);

    ks_bind_text(&put, name);
    /* zero-length, not NULL */
    bound(&put, sqlite3_bind_blob64(put.stmt, put.next, len > 0 ? (const void *)value : "", len,
                                    SQLITE_STATIC));
    return ks_sqlite_run(&put, NULL, "storing a value", err);
}

static tdsa_status meta_create(ks_backend *b, const char *name, const uint8_t *value, size_t len,
                               tdsa_err *err)
{
    ks_bind put = ks_sqlite_use(ks_sqlite_of(b), SQL_META_CREATE);
    int changes = 0;
    tdsa_status st;

    ks_bind_text(&put, name);
    bound(&put, sqlite3_bind_blob64(put.stmt, put.next, len > 0 ? (const void *)value : "", len,
                                    SQLITE_STATIC));
    st = ks_sqlite_run(&put, &changes, "storing a value", err);
    if (st == TDSA_OK && changes == 0) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT, "the value %s exists already", name);
    }
    return st;
}

static tdsa_status meta_get(ks_backend *b, const char *name, tdsa_buf *out, tdsa_err *err)
{
    ks_bind get = ks_sqlite_use(ks_sqlite_of(b), SQL_META_GET);
    int rc;

    ks_bind_text(&get, name);
    rc = ks_sqlite_step(&get);
    if (rc == SQLITE_ROW) {
        const void *value = sqlite3_column_blob(get.stmt, 0);

        tdsa_buf_append(out, value, (size_t)sqlite3_column_bytes(get.stmt, 0));
    }
    ks_sqlite_done(&get);
    if (rc == SQLITE_DONE) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no value named %s is stored", name);
    }
    if (rc != SQLITE_ROW) {
        return ks_sqlite_fail(get.q, rc, "reading a value", err);
    }
    return tdsa_buf_check(out, err);
}

tdsa_status ks_sqlite_count(ks_sqlite *q, const char *name, uint64_t *out, tdsa_err *err)
{
    ks_bind next = ks_sqlite_use(q, SQL_COUNTER_NEXT);
    int rc;

    *out = 0;
    ks_bind_text(&next, name);
    rc = ks_sqlite_step(&next);
    if (rc == SQLITE_ROW) {
        *out = (uint64_t)sqlite3_column_int64(next.stmt, 0);
        rc = ks_sqlite_step(&next); /* the commit happens here */
    }
    ks_sqlite_done(&next);
    if (rc != SQLITE_DONE) {
        *out = 0;
        return ks_sqlite_fail(next.q, rc, "raising a counter", err);
    }
    return TDSA_OK;
}

static tdsa_status counter_next(ks_backend *b, const char *name, uint64_t *out, tdsa_err *err)
{
    return ks_sqlite_count(ks_sqlite_of(b), name, out, err);
}

static tdsa_status counter_get(ks_backend *b, const char *name, uint64_t *out, tdsa_err *err)
{
    ks_bind get = ks_sqlite_use(ks_sqlite_of(b), SQL_COUNTER_GET);
    int rc;

    ks_bind_text(&get, name);
    rc = ks_sqlite_step(&get);
    *out = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(get.stmt, 0) : 0;
    ks_sqlite_done(&get);
    return rc == SQLITE_ROW ? TDSA_OK : ks_sqlite_fail(get.q, rc, "reading a counter", err);
}

const ks_backend_ops ks_backend_sqlite = {
    .name = "sqlite",
    .open = sqlite_open,
    .close = close_connection,
    .abandon = sqlite_abandon,
    .ping = sqlite_ping,
    .change_counter = sqlite_change_counter,
    .key_insert = ks_sqlite_key_insert,
    .key_update = ks_sqlite_key_update,
    .key_move = ks_sqlite_key_move,
    .key_set_attrs = ks_sqlite_key_set_attrs,
    .key_set_limit = ks_sqlite_key_set_limit,
    .key_add = ks_sqlite_key_add,
    .key_restore = ks_sqlite_key_restore,
    .key_rows = ks_sqlite_key_rows,
    .key_drop = ks_sqlite_key_drop,
    .key_get = ks_sqlite_key_get,
    .key_each = ks_sqlite_key_each,
    .key_delete = ks_sqlite_key_delete,
    .deletion_put = ks_sqlite_deletion_put,
    .deletion_told = ks_sqlite_deletion_told,
    .deletion_each = ks_sqlite_deletion_each,
    .batch_insert = ks_sqlite_batch_insert,
    .batch_move = ks_sqlite_batch_move,
    .batch_each = ks_sqlite_batch_each,
    .batch_purge = ks_sqlite_batch_purge,
    .batch_void_made = ks_sqlite_batch_void_made,
    .batch_void_with = ks_sqlite_batch_void_with,
    .purge_all = ks_sqlite_purge_all,
    .lease = ks_sqlite_lease,
    .burn = ks_sqlite_burn,
    .burnt = ks_sqlite_burnt,
    .seq_raise = ks_sqlite_seq_raise,
    .partial_burn = ks_sqlite_partial_burn,
    .partial_get = ks_sqlite_partial_get,
    .partial_fail = ks_sqlite_partial_fail,
    .partial_collect = ks_sqlite_partial_collect,
    .meta_put = meta_put,
    .meta_create = meta_create,
    .meta_get = meta_get,
    .counter_next = counter_next,
    .counter_get = counter_get,
};
