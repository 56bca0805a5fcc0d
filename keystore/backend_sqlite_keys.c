#include "keystore/backend_sqlite.h"

/* Every change of a key row raises the counter of key changes in the same transaction. */
tdsa_status ks_sqlite_end_key_change(ks_sqlite *q, tdsa_status st, tdsa_err *err)
{
    if (st == TDSA_OK) {
        ks_bind b = ks_sqlite_use(q, SQL_KEY_CHANGED);

        st = ks_sqlite_run(&b, NULL, "counting a change", err);
    }
    q->key_changes_known = false;
    return ks_sqlite_end(q, st, err);
}

tdsa_status ks_sqlite_key_live(ks_sqlite *q, const char *key_id, tdsa_err *err)
{
    ks_bind b = ks_sqlite_use(q, SQL_KEY_LIVE);
    int rc;

    ks_bind_text(&b, key_id);
    rc = ks_sqlite_step(&b);
    ks_sqlite_done(&b);
    if (rc == SQLITE_DONE) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "there is no key %s", key_id);
    }
    return rc == SQLITE_ROW ? TDSA_OK : ks_sqlite_fail(q, rc, "reading a key", err);
}

/* Why a conditional update of a key changed nothing. */
static tdsa_status why_unchanged(ks_sqlite *q, const char *key_id, uint32_t epoch,
                                 ks_key_state wanted, tdsa_err *err)
{
    ks_bind b = ks_sqlite_use(q, SQL_KEY_STATE);
    int64_t state = 0;
    int rc;

    ks_bind_text(&b, key_id);
    ks_bind_int(&b, epoch);
    rc = ks_sqlite_step(&b);
    if (rc == SQLITE_ROW) {
        state = sqlite3_column_int64(b.stmt, 0);
    }
    ks_sqlite_done(&b);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        return ks_sqlite_fail(q, rc, "reading a key", err);
    }
    if (rc == SQLITE_DONE || state == KS_KEY_DELETED) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "there is no key %s of epoch %u", key_id, epoch);
    }
    return TDSA_FAIL(err, TDSA_E_CONFLICT, "key %s is in state %lld, not %d", key_id,
                     (long long)state, (int)wanted);
}

static void bind_columns(ks_bind *b, const ks_key_row *row)
{
    ks_bind_text(b, row->key_id);
    ks_bind_int(b, row->epoch);
    ks_bind_int(b, row->state);
    ks_bind_text(b, row->label);
    ks_bind_u64(b, row->created_ms);
    ks_bind_int(b, row->presignature_limit);
    ks_bind_blob(b, row->public_part, row->public_len);
    ks_bind_blob(b, row->attrs, row->attrs_len);
}

tdsa_status ks_sqlite_key_insert(ks_backend *backend, const ks_key_row *row, tdsa_err *err)
{
    ks_sqlite *q = ks_sqlite_of(backend);
    ks_bind b;
    int changes = 0;
    tdsa_status st = ks_sqlite_begin(q, err);

    if (st != TDSA_OK) {
        return st;
    }
    b = ks_sqlite_use(q, SQL_KEY_INSERT);
    bind_columns(&b, row);
    st = ks_sqlite_run(&b, &changes, "storing a key", err);
    if (st == TDSA_OK && changes == 0) {
        st = TDSA_FAIL(err, TDSA_E_CONFLICT, "key %s exists already", row->key_id);
    }
    return ks_sqlite_end_key_change(q, st, err);
}

tdsa_status ks_sqlite_key_update(ks_backend *backend, const ks_key_row *row, ks_key_state from,
                                 tdsa_err *err)
{
    ks_sqlite *q = ks_sqlite_of(backend);
    ks_bind b;
    int changes = 0;
    tdsa_status st = ks_sqlite_begin(q, err);

    if (st != TDSA_OK) {
        return st;
    }
    b = ks_sqlite_use(q, SQL_KEY_UPDATE);
    ks_bind_text(&b, row->key_id);
    ks_bind_int(&b, row->epoch);
    ks_bind_int(&b, row->state);
    ks_bind_blob(&b, row->public_part, row->public_len);
    ks_bind_blob(&b, row->sealed, row->sealed_len);
    ks_bind_int(&b, from);
    st = ks_sqlite_run(&b, &changes, "storing a share", err);
    if (st == TDSA_OK && changes == 0) {
        st = why_unchanged(q, row->key_id, row->epoch, from, err);
    }
    return ks_sqlite_end_key_change(q, st, err);
}

/* A newer epoch is ACTIVE now. */
static tdsa_status replace_earlier(ks_sqlite *q, const char *key_id, uint32_t epoch, tdsa_err *err)
{
    static const ks_sql each[] = {SQL_KEY_RETIRE, SQL_KEY_UNREGISTER, SQL_KEY_VOID};
    tdsa_status st = TDSA_OK;

    for (size_t i = 0; i < sizeof each / sizeof each[0] && st == TDSA_OK; i++) {
        ks_bind b = ks_sqlite_use(q, each[i]);

        ks_bind_text(&b, key_id);
        ks_bind_int(&b, epoch);
        st = ks_sqlite_run(&b, NULL, "replacing an epoch", err);
    }
    return st;
}

tdsa_status ks_sqlite_key_move(ks_backend *backend, const char *key_id, uint32_t epoch,
                               ks_key_state from, ks_key_state to, tdsa_err *err)
{
    ks_sqlite *q = ks_sqlite_of(backend);
    ks_bind b;
    int changes = 0;
    tdsa_status st = ks_sqlite_begin(q, err);

    if (st != TDSA_OK) {
        return st;
    }
    b = ks_sqlite_use(q, SQL_KEY_MOVE);
    ks_bind_text(&b, key_id);
    ks_bind_int(&b, epoch);
    ks_bind_int(&b, from);
    ks_bind_int(&b, to);
    st = ks_sqlite_run(&b, &changes, "moving a key", err);
    if (st == TDSA_OK && changes == 0) {
        st = why_unchanged(q, key_id, epoch, from, err);
    }
    if (st == TDSA_OK && to == KS_KEY_ACTIVE) {
        st = replace_earlier(q, key_id, epoch, err);
    }
    return ks_sqlite_end_key_change(q, st, err);
}

tdsa_status ks_sqlite_key_add(ks_backend *backend, const ks_key_row *row, tdsa_err *err)
{
    ks_sqlite *q = ks_sqlite_of(backend);
    ks_bind b;
    int changes = 0;
    tdsa_status st = ks_sqlite_begin(q, err);

    if (st != TDSA_OK) {
        return st;
    }
    b = ks_sqlite_use(q, SQL_KEY_ADD);
    bind_columns(&b, row);
    ks_bind_blob(&b, row->sealed, row->sealed_len);
    st = ks_sqlite_run(&b, &changes, "storing an epoch", err);
    if (st == TDSA_OK && changes == 0) {
        st = TDSA_FAIL(
            err, TDSA_E_CONFLICT,
            "key %s has epoch %u or a later one already, one in the making, or was deleted",
            row->key_id, row->epoch);
    }
    return ks_sqlite_end_key_change(q, st, err);
}

tdsa_status ks_sqlite_key_restore(ks_backend *backend, const ks_key_row *row, tdsa_err *err)
{
    ks_sqlite *q = ks_sqlite_of(backend);
    ks_bind b;
    int changes = 0;
    tdsa_status st = ks_sqlite_begin(q, err);

    if (st != TDSA_OK) {
        return st;
    }
    b = ks_sqlite_use(q, SQL_KEY_UNREGISTER_ALL);
    ks_bind_text(&b, row->key_id);
    st = ks_sqlite_run(&b, NULL, "restoring a share", err);
    if (st == TDSA_OK) {
        b = ks_sqlite_use(q, SQL_KEY_RESTORE);
        bind_columns(&b, row);
        ks_bind_blob(&b, row->sealed, row->sealed_len);
        st = ks_sqlite_run(&b, &changes, "restoring a share", err);
    }
    if (st == TDSA_OK && changes == 0) {
        st = TDSA_FAIL(err, TDSA_E_CONFLICT, "key %s is here already, or was deleted", row->key_id);
    }
    return ks_sqlite_end_key_change(q, st, err);
}

tdsa_status ks_sqlite_key_drop(ks_backend *backend, const char *key_id, uint32_t epoch,
                               tdsa_err *err)
{
    ks_sqlite *q = ks_sqlite_of(backend);
    ks_bind b;
    int changes = 0;
    tdsa_status st = ks_sqlite_begin(q, err);

    if (st != TDSA_OK) {
        return st;
    }
    b = ks_sqlite_use(q, SQL_KEY_DROP);
    ks_bind_text(&b, key_id);
    ks_bind_int(&b, epoch);
    st = ks_sqlite_run(&b, &changes, "wiping an epoch", err);
    if (st == TDSA_OK && changes == 0) {
        st = why_unchanged(q, key_id, epoch, KS_KEY_OLD, err);
    }
    st = ks_sqlite_end_key_change(q, st, err);
    if (st == TDSA_OK) {
        ks_sqlite_truncate_log(q);
    }
    return st;
}

static tdsa_status not_found_if(int changes, tdsa_status st, const char *key_id, tdsa_err *err)
{
    if (st == TDSA_OK && changes == 0) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "there is no key %s", key_id);
    }
    return st;
}

tdsa_status ks_sqlite_key_set_attrs(ks_backend *backend, const char *key_id, const char *label,
                                    const uint8_t *attrs, size_t attrs_len, tdsa_err *err)
{
    ks_sqlite *q = ks_sqlite_of(backend);
    ks_bind b;
    int changes = 0;
    tdsa_status st = ks_sqlite_begin(q, err);

    if (st != TDSA_OK) {
        return st;
    }
    b = ks_sqlite_use(q, SQL_KEY_SET_ATTRS);
    ks_bind_text(&b, key_id);
    ks_bind_text(&b, label);
    ks_bind_blob(&b, attrs, attrs_len);
    st = ks_sqlite_run(&b, &changes, "storing attributes", err);
    return ks_sqlite_end_key_change(q, not_found_if(changes, st, key_id, err), err);
}

tdsa_status ks_sqlite_key_set_limit(ks_backend *backend, const char *key_id, int64_t limit,
                                    tdsa_err *err)
{
    ks_sqlite *q = ks_sqlite_of(backend);
    ks_bind b;
    int changes = 0;
    tdsa_status st = ks_sqlite_begin(q, err);

    if (st != TDSA_OK) {
        return st;
    }
    b = ks_sqlite_use(q, SQL_KEY_SET_LIMIT);
    ks_bind_text(&b, key_id);
    ks_bind_int(&b, limit);
    st = ks_sqlite_run(&b, &changes, "storing a limit", err);
    return ks_sqlite_end_key_change(q, not_found_if(changes, st, key_id, err), err);
}

static const uint8_t *column_blob(sqlite3_stmt *stmt, int column, size_t *len)
{
    const uint8_t *bytes = sqlite3_column_blob(stmt, column);

    *len = (size_t)sqlite3_column_bytes(stmt, column);
    return bytes;
}

static bool give_row(sqlite3_stmt *stmt, ks_key_row_fn fn, void *ctx)
{
    const int state = sqlite3_column_int(stmt, 2);
    ks_key_row row = {0};

    row.key_id = (const char *)sqlite3_column_text(stmt, 0);
    row.epoch = (uint32_t)sqlite3_column_int64(stmt, 1);
    row.state = (ks_key_state)state;
    row.label = (const char *)sqlite3_column_text(stmt, 3);
    row.created_ms = (uint64_t)sqlite3_column_int64(stmt, 4);
    row.presignature_limit = sqlite3_column_int64(stmt, 5);
    row.public_part = column_blob(stmt, 6, &row.public_len);
    row.attrs = column_blob(stmt, 7, &row.attrs_len);
    row.sealed = column_blob(stmt, 8, &row.sealed_len);
    return fn(ctx, &row);
}

tdsa_status ks_sqlite_key_get(ks_backend *backend, const char *key_id, ks_key_row_fn fn, void *ctx,
                              tdsa_err *err)
{
    ks_sqlite *q = ks_sqlite_of(backend);
    ks_bind b = ks_sqlite_use(q, SQL_KEY_GET);
    int rc;

    ks_bind_text(&b, key_id);
    rc = ks_sqlite_step(&b);
    if (rc == SQLITE_ROW) {
        (void)give_row(b.stmt, fn, ctx);
    }
    ks_sqlite_done(&b);
    if (rc == SQLITE_DONE) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "there is no key %s", key_id);
    }
    return rc == SQLITE_ROW ? TDSA_OK : ks_sqlite_fail(q, rc, "reading a key", err);
}

tdsa_status ks_sqlite_key_each(ks_backend *backend, const char *after, size_t limit,
                               ks_key_row_fn fn, void *ctx, tdsa_err *err)
{
    ks_sqlite *q = ks_sqlite_of(backend);
    ks_bind b = ks_sqlite_use(q, SQL_KEY_EACH);
    int rc;

    ks_bind_text(&b, after != NULL ? after : "");
    ks_bind_int(&b, limit > INT32_MAX ? INT32_MAX : (int64_t)limit);
    rc = ks_sqlite_step(&b);
    while (rc == SQLITE_ROW && give_row(b.stmt, fn, ctx)) {
        rc = ks_sqlite_step(&b);
    }
    ks_sqlite_done(&b);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        return ks_sqlite_fail(q, rc, "listing keys", err);
    }
    return TDSA_OK;
}

tdsa_status ks_sqlite_key_rows(ks_backend *backend, const char *key_id, ks_key_state state,
                               ks_key_row_fn fn, void *ctx, tdsa_err *err)
{
    ks_sqlite *q = ks_sqlite_of(backend);
    ks_bind b = ks_sqlite_use(q, SQL_KEY_ROWS);
    int rc;

    if (key_id == NULL) {
        ks_bind_blob(&b, NULL, 0); /* any */
    } else {
        ks_bind_text(&b, key_id);
    }
    ks_bind_int(&b, state);
    rc = ks_sqlite_step(&b);
    while (rc == SQLITE_ROW && give_row(b.stmt, fn, ctx)) {
        rc = ks_sqlite_step(&b);
    }
    ks_sqlite_done(&b);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        return ks_sqlite_fail(q, rc, "reading the epochs of a key", err);
    }
    return TDSA_OK;
}

static tdsa_status run_for_key(ks_sqlite *q, ks_sql which, const char *key_id, int *changes,
                               tdsa_err *err)
{
    ks_bind b = ks_sqlite_use(q, which);

    ks_bind_text(&b, key_id);
    return ks_sqlite_run(&b, changes, "deleting a key", err);
}

tdsa_status ks_sqlite_key_wipe(ks_sqlite *q, const char *key_id, bool tombstone, tdsa_err *err)
{
    uint64_t dropped = 0;
    int changes = 0;
    tdsa_status st = ks_sqlite_purge(q, key_id, false, &dropped, err);

    if (st == TDSA_OK) {
        st = run_for_key(q, SQL_LANE_DELETE, key_id, NULL, err);
    }
    if (st == TDSA_OK) {
        st = run_for_key(q, SQL_PARTIAL_DELETE, key_id, NULL, err);
    }
    if (st == TDSA_OK) {
        st =
            run_for_key(q, tombstone ? SQL_KEY_DELETE_OLD : SQL_DELETION_DELETE, key_id, NULL, err);
    }
    if (st == TDSA_OK) {
        st = run_for_key(q, tombstone ? SQL_KEY_BURY : SQL_KEY_DELETE, key_id, &changes, err);
    }
    return not_found_if(changes, st, key_id, err);
}

tdsa_status ks_sqlite_key_delete(ks_backend *backend, const char *key_id, bool tombstone,
                                 tdsa_err *err)
{
    ks_sqlite *q = ks_sqlite_of(backend);
    tdsa_status st = ks_sqlite_begin(q, err);

    if (st != TDSA_OK) {
        return st;
    }
    st = ks_sqlite_end_key_change(q, ks_sqlite_key_wipe(q, key_id, tombstone, err), err);
    if (st == TDSA_OK) {
        ks_sqlite_truncate_log(q);
    }
    return st;
}
