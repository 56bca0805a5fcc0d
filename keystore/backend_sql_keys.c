#include "keystore/backend_sql.h"

/* Every change of a key row or an object raises the counter of key changes in the same transaction, and a
 * key's value is noted beside its id. The writers' lock makes them visible in their order. */
tdsa_status ks_sql_key_changed(ks_sql *q, const char *key_id, tdsa_status st, tdsa_err *err)
{
    ks_stmt b;

    if (st == TDSA_OK) {
        b = ks_stmt_use(q, KS_SQL_KEY_CHANGED);
        st = ks_stmt_run(&b, NULL, "counting a change", err);
    }
    if (st == TDSA_OK && key_id != NULL) {
        b = ks_stmt_use(q, KS_SQL_CHANGE_NOTE);
        ks_arg_text(&b, key_id);
        st = ks_stmt_run(&b, NULL, "noting a change", err);
    }
    q->key_changes_known = false;
    return st;
}

tdsa_status ks_sql_key_live(ks_sql *q, const char *key_id, tdsa_err *err)
{
    ks_stmt b = ks_stmt_use(q, KS_SQL_KEY_LIVE);
    ks_sql_step rc;

    ks_arg_text(&b, key_id);
    rc = ks_stmt_step(&b);
    ks_stmt_done(&b);
    if (rc == KS_SQL_DONE) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "there is no key %s", key_id);
    }
    return rc == KS_SQL_ROW ? TDSA_OK : ks_sql_fail(q, rc, "reading a key", err);
}

/* Why a conditional update of a key changed nothing. */
static tdsa_status why_unchanged(ks_sql *q, const char *key_id, uint32_t epoch, ks_key_state wanted,
                                 tdsa_err *err)
{
    ks_stmt b = ks_stmt_use(q, KS_SQL_KEY_STATE);
    int64_t state = 0;
    ks_sql_step rc;

    ks_arg_text(&b, key_id);
    ks_arg_int(&b, epoch);
    rc = ks_stmt_step(&b);
    if (rc == KS_SQL_ROW) {
        state = ks_col_int(&b, 0);
    }
    ks_stmt_done(&b);
    if (rc != KS_SQL_ROW && rc != KS_SQL_DONE) {
        return ks_sql_fail(q, rc, "reading a key", err);
    }
    if (rc == KS_SQL_DONE || state == KS_KEY_DELETED) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "there is no key %s of epoch %u", key_id, epoch);
    }
    return TDSA_FAIL(err, TDSA_E_CONFLICT, "key %s is %s, not %s", key_id,
                     ks_key_state_name((ks_key_state)state), ks_key_state_name(wanted));
}

static void bind_columns(ks_stmt *b, const ks_key_row *row)
{
    ks_arg_text(b, row->key_id);
    ks_arg_int(b, row->epoch);
    ks_arg_int(b, row->state);
    ks_arg_text(b, row->label);
    ks_arg_u64(b, row->created_ms);
    ks_arg_int(b, row->presignature_limit);
    ks_arg_blob(b, row->public_part, row->public_len);
    ks_arg_blob(b, row->attrs, row->attrs_len);
}

tdsa_status ks_sql_key_insert(ks_backend *backend, const ks_key_row *row, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(backend);
    ks_stmt b;
    uint64_t changes = 0;
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_write(q); ks_sql_tx_next(&tx, &st, err);) {
        b = ks_stmt_use(q, KS_SQL_KEY_INSERT);
        bind_columns(&b, row);
        st = ks_stmt_run(&b, &changes, "storing a key", err);
        if (st == TDSA_OK && changes == 0) {
            st = TDSA_FAIL(err, TDSA_E_CONFLICT, "key %s exists already", row->key_id);
        }
        st = ks_sql_key_changed(q, row->key_id, st, err);
    }
    return st;
}

tdsa_status ks_sql_key_update(ks_backend *backend, const ks_key_row *row, ks_key_state from,
                              tdsa_err *err)
{
    ks_sql *q = ks_sql_of(backend);
    ks_stmt b;
    uint64_t changes = 0;
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_write(q); ks_sql_tx_next(&tx, &st, err);) {
        b = ks_stmt_use(q, KS_SQL_KEY_UPDATE);
        ks_arg_text(&b, row->key_id);
        ks_arg_int(&b, row->epoch);
        ks_arg_int(&b, row->state);
        ks_arg_blob(&b, row->public_part, row->public_len);
        ks_arg_blob(&b, row->sealed, row->sealed_len);
        ks_arg_int(&b, from);
        st = ks_stmt_run(&b, &changes, "storing a share", err);
        if (st == TDSA_OK && changes == 0) {
            st = why_unchanged(q, row->key_id, row->epoch, from, err);
        }
        st = ks_sql_key_changed(q, row->key_id, st, err);
    }
    return st;
}

/* A newer epoch is ACTIVE now. */
static tdsa_status replace_earlier(ks_sql *q, const char *key_id, uint32_t epoch, tdsa_err *err)
{
    static const ks_sql_id each[] = {KS_SQL_KEY_RETIRE, KS_SQL_KEY_UNREGISTER, KS_SQL_KEY_VOID};
    tdsa_status st = TDSA_OK;

    for (size_t i = 0; i < sizeof each / sizeof each[0] && st == TDSA_OK; i++) {
        ks_stmt b = ks_stmt_use(q, each[i]);

        ks_arg_text(&b, key_id);
        ks_arg_int(&b, epoch);
        st = ks_stmt_run(&b, NULL, "replacing an epoch", err);
    }
    return st;
}

tdsa_status ks_sql_key_move(ks_backend *backend, const char *key_id, uint32_t epoch,
                            ks_key_state from, ks_key_state to, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(backend);
    ks_stmt b;
    uint64_t changes = 0;
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_write(q); ks_sql_tx_next(&tx, &st, err);) {
        b = ks_stmt_use(q, KS_SQL_KEY_MOVE);
        ks_arg_text(&b, key_id);
        ks_arg_int(&b, epoch);
        ks_arg_int(&b, from);
        ks_arg_int(&b, to);
        st = ks_stmt_run(&b, &changes, "moving a key", err);
        if (st == TDSA_OK && changes == 0) {
            st = why_unchanged(q, key_id, epoch, from, err);
        }
        if (st == TDSA_OK && to == KS_KEY_ACTIVE) {
            st = replace_earlier(q, key_id, epoch, err);
        }
        st = ks_sql_key_changed(q, key_id, st, err);
    }
    return st;
}

tdsa_status ks_sql_key_add(ks_backend *backend, const ks_key_row *row, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(backend);
    ks_stmt b;
    uint64_t changes = 0;
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_write(q); ks_sql_tx_next(&tx, &st, err);) {
        b = ks_stmt_use(q, KS_SQL_KEY_ADD);
        bind_columns(&b, row);
        ks_arg_blob(&b, row->sealed, row->sealed_len);
        st = ks_stmt_run(&b, &changes, "storing an epoch", err);
        if (st == TDSA_OK && changes == 0) {
            st = TDSA_FAIL(
                err, TDSA_E_CONFLICT,
                "key %s has epoch %u or a later one already, one in the making, or was deleted",
                row->key_id, row->epoch);
        }
        st = ks_sql_key_changed(q, row->key_id, st, err);
    }
    return st;
}

tdsa_status ks_sql_key_restore(ks_backend *backend, const ks_key_row *row, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(backend);
    ks_stmt b;
    uint64_t changes = 0;
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_write(q); ks_sql_tx_next(&tx, &st, err);) {
        b = ks_stmt_use(q, KS_SQL_KEY_UNREGISTER_ALL);
        ks_arg_text(&b, row->key_id);
        st = ks_stmt_run(&b, NULL, "restoring a share", err);
        if (st == TDSA_OK) {
            b = ks_stmt_use(q, KS_SQL_KEY_RESTORE);
            bind_columns(&b, row);
            ks_arg_blob(&b, row->sealed, row->sealed_len);
            st = ks_stmt_run(&b, &changes, "restoring a share", err);
        }
        if (st == TDSA_OK && changes == 0) {
            st = TDSA_FAIL(err, TDSA_E_CONFLICT, "key %s is here already, or was deleted",
                           row->key_id);
        }
        st = ks_sql_key_changed(q, row->key_id, st, err);
    }
    return st;
}

tdsa_status ks_sql_key_drop(ks_backend *backend, const char *key_id, uint32_t epoch, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(backend);
    ks_stmt b;
    uint64_t changes = 0;
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_write(q); ks_sql_tx_next(&tx, &st, err);) {
        b = ks_stmt_use(q, KS_SQL_KEY_DROP);
        ks_arg_text(&b, key_id);
        ks_arg_int(&b, epoch);
        st = ks_stmt_run(&b, &changes, "wiping an epoch", err);
        if (st == TDSA_OK && changes == 0) {
            st = why_unchanged(q, key_id, epoch, KS_KEY_OLD, err);
        }
        st = ks_sql_key_changed(q, key_id, st, err);
    }
    if (st == TDSA_OK) {
        ks_sql_forget(q);
    }
    return st;
}

static tdsa_status not_found_if(uint64_t changes, tdsa_status st, const char *key_id, tdsa_err *err)
{
    if (st == TDSA_OK && changes == 0) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "there is no key %s", key_id);
    }
    return st;
}

tdsa_status ks_sql_key_set_attrs(ks_backend *backend, const char *key_id, const char *label,
                                 const uint8_t *attrs, size_t attrs_len, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(backend);
    ks_stmt b;
    uint64_t changes = 0;
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_write(q); ks_sql_tx_next(&tx, &st, err);) {
        b = ks_stmt_use(q, KS_SQL_KEY_SET_ATTRS);
        ks_arg_text(&b, key_id);
        ks_arg_text(&b, label);
        ks_arg_blob(&b, attrs, attrs_len);
        st = ks_stmt_run(&b, &changes, "storing attributes", err);
        st = ks_sql_key_changed(q, key_id, not_found_if(changes, st, key_id, err), err);
    }
    return st;
}

tdsa_status ks_sql_key_set_limit(ks_backend *backend, const char *key_id, int64_t limit,
                                 tdsa_err *err)
{
    ks_sql *q = ks_sql_of(backend);
    ks_stmt b;
    uint64_t changes = 0;
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_write(q); ks_sql_tx_next(&tx, &st, err);) {
        b = ks_stmt_use(q, KS_SQL_KEY_SET_LIMIT);
        ks_arg_text(&b, key_id);
        ks_arg_int(&b, limit);
        st = ks_stmt_run(&b, &changes, "storing a limit", err);
        st = ks_sql_key_changed(q, key_id, not_found_if(changes, st, key_id, err), err);
    }
    return st;
}

/* KS_SQL_KEY_COLUMNS and what is sealed. */
static ks_key_row read_row(ks_stmt *b)
{
    const int64_t state = ks_col_int(b, 2);
    ks_key_row row = {0};

    row.key_id = ks_col_text(b, 0);
    row.epoch = (uint32_t)ks_col_int(b, 1);
    row.state = (ks_key_state)state;
    row.label = ks_col_text(b, 3);
    row.created_ms = (uint64_t)ks_col_int(b, 4);
    row.presignature_limit = ks_col_int(b, 5);
    row.public_part = ks_col_blob(b, 6, &row.public_len);
    row.attrs = ks_col_blob(b, 7, &row.attrs_len);
    row.sealed = ks_col_blob(b, 8, &row.sealed_len);
    return row;
}

static bool give_row(ks_stmt *b, ks_key_row_fn fn, void *ctx)
{
    const ks_key_row row = read_row(b);

    return fn(ctx, &row);
}

/* With the number of the change behind. */
static bool give_change(ks_stmt *b, ks_key_row_fn fn, void *ctx)
{
    ks_key_row row = read_row(b);

    row.change = (uint64_t)ks_col_int(b, 9);
    return fn(ctx, &row);
}

tdsa_status ks_sql_key_get(ks_backend *backend, const char *key_id, ks_key_row_fn fn, void *ctx,
                           tdsa_err *err)
{
    ks_sql *q = ks_sql_of(backend);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_read(q); ks_sql_tx_next(&tx, &st, err);) {
        ks_stmt b = ks_stmt_use(q, KS_SQL_KEY_GET);
        ks_sql_step rc;

        ks_arg_text(&b, key_id);
        rc = ks_stmt_step(&b);
        if (rc == KS_SQL_ROW) {
            (void)give_row(&b, fn, ctx);
        }
        ks_stmt_done(&b);
        if (rc == KS_SQL_DONE) {
            st = TDSA_FAIL(err, TDSA_E_NOT_FOUND, "there is no key %s", key_id);
        } else {
            st = rc == KS_SQL_ROW ? TDSA_OK : ks_sql_fail(q, rc, "reading a key", err);
        }
    }
    return st;
}

/* Hands on all rows of a statement, and gives it back. */
static tdsa_status give_rows(ks_sql_tx *tx, ks_stmt *b, ks_key_row_fn fn, void *ctx,
                             const char *what, tdsa_err *err)
{
    bool (*give)(ks_stmt *, ks_key_row_fn, void *) =
        b->which == KS_SQL_CHANGE_EACH ? give_change : give_row;
    ks_sql_step rc = ks_stmt_step(b);

    while (rc == KS_SQL_ROW) {
        tx->given = true;
        if (!give(b, fn, ctx)) {
            break;
        }
        rc = ks_stmt_step(b);
    }
    ks_stmt_done(b);
    return rc == KS_SQL_ROW || rc == KS_SQL_DONE ? TDSA_OK : ks_sql_fail(tx->q, rc, what, err);
}

tdsa_status ks_sql_key_each(ks_backend *backend, const char *after, size_t limit, ks_key_row_fn fn,
                            void *ctx, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(backend);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_read(q); ks_sql_tx_next(&tx, &st, err);) {
        ks_stmt b = ks_stmt_use(q, KS_SQL_KEY_EACH);

        ks_arg_text(&b, after != NULL ? after : "");
        ks_arg_int(&b, limit > INT32_MAX ? INT32_MAX : (int64_t)limit);
        st = give_rows(&tx, &b, fn, ctx, "listing keys", err);
    }
    return st;
}

tdsa_status ks_sql_key_labelled(ks_backend *backend, const char *label, const ks_key_page *page,
                                ks_key_row_fn fn, void *ctx, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(backend);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_read(q); ks_sql_tx_next(&tx, &st, err);) {
        ks_stmt b = ks_stmt_use(q, KS_SQL_KEY_LABELLED);

        ks_arg_text(&b, page->after != NULL ? page->after : "");
        ks_arg_int(&b, page->limit > INT32_MAX ? INT32_MAX : (int64_t)page->limit);
        ks_arg_text(&b, label);
        st = give_rows(&tx, &b, fn, ctx, "listing keys", err);
    }
    return st;
}

tdsa_status ks_sql_key_each_changed(ks_backend *backend, const ks_key_changes *which,
                                    ks_key_row_fn fn, void *ctx, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(backend);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_read(q); ks_sql_tx_next(&tx, &st, err);) {
        ks_stmt b = ks_stmt_use(q, KS_SQL_CHANGE_EACH);

        ks_arg_u64(&b, which->after);
        ks_arg_u64(&b, which->upto);
        ks_arg_int(&b, which->limit > INT32_MAX ? INT32_MAX : (int64_t)which->limit);
        st = give_rows(&tx, &b, fn, ctx, "listing keys that changed", err);
    }
    return st;
}

tdsa_status ks_sql_key_has_share(ks_backend *backend, bool *out, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(backend);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_read(q); ks_sql_tx_next(&tx, &st, err);) {
        ks_stmt b = ks_stmt_use(q, KS_SQL_KEY_HAS_SHARE);
        const ks_sql_step rc = ks_stmt_step(&b);

        *out = rc == KS_SQL_ROW;
        ks_stmt_done(&b);
        st = rc == KS_SQL_ROW || rc == KS_SQL_DONE ? TDSA_OK
                                                   : ks_sql_fail(q, rc, "looking for shares", err);
    }
    return st;
}

/* A statement that reads no more than it gives. */
static ks_stmt rows_of(ks_sql *q, const char *key_id, ks_key_state state)
{
    const bool by_state = key_id == NULL && state != 0;
    ks_stmt b = ks_stmt_use(q, by_state         ? KS_SQL_KEY_IN_STATE
                               : key_id != NULL ? KS_SQL_KEY_OF
                                                : KS_SQL_KEY_ROWS);

    if (key_id != NULL) {
        ks_arg_text(&b, key_id);
    }
    if (!by_state && key_id == NULL) {
        return b;
    }
    ks_arg_int(&b, state);
    return b;
}

tdsa_status ks_sql_key_rows(ks_backend *backend, const char *key_id, ks_key_state state,
                            ks_key_row_fn fn, void *ctx, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(backend);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_read(q); ks_sql_tx_next(&tx, &st, err);) {
        ks_stmt b = rows_of(q, key_id, state);

        st = give_rows(&tx, &b, fn, ctx, "reading the epochs of a key", err);
    }
    return st;
}

static tdsa_status run_for_key(ks_sql *q, ks_sql_id which, const char *key_id, uint64_t *changes,
                               tdsa_err *err)
{
    ks_stmt b = ks_stmt_use(q, which);

    ks_arg_text(&b, key_id);
    return ks_stmt_run(&b, changes, "deleting a key", err);
}

tdsa_status ks_sql_key_wipe(ks_sql *q, const char *key_id, bool tombstone, tdsa_err *err)
{
    uint64_t dropped = 0;
    uint64_t changes = 0;
    tdsa_status st = ks_sql_purge(q, key_id, false, &dropped, err);

    if (st == TDSA_OK) {
        st = run_for_key(q, KS_SQL_LANE_DELETE, key_id, NULL, err);
    }
    if (st == TDSA_OK) {
        st = run_for_key(q, KS_SQL_PARTIAL_DELETE, key_id, NULL, err);
    }
    if (st == TDSA_OK) {
        st = run_for_key(q, tombstone ? KS_SQL_KEY_DELETE_OLD : KS_SQL_DELETION_DELETE, key_id,
                         NULL, err);
    }
    if (st == TDSA_OK) {
        st = run_for_key(q, tombstone ? KS_SQL_KEY_BURY : KS_SQL_KEY_DELETE, key_id, &changes, err);
    }
    return not_found_if(changes, st, key_id, err);
}

tdsa_status ks_sql_key_delete(ks_backend *backend, const char *key_id, bool tombstone,
                              tdsa_err *err)
{
    ks_sql *q = ks_sql_of(backend);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_write(q); ks_sql_tx_next(&tx, &st, err);) {
        st = ks_sql_key_changed(q, key_id, ks_sql_key_wipe(q, key_id, tombstone, err), err);
    }
    if (st == TDSA_OK) {
        ks_sql_forget(q);
    }
    return st;
}
