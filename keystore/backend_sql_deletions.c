#include <string.h>

#include "keystore/backend_sql.h"

static tdsa_status put_row(ks_sql *q, const ks_deletion *d, const ks_deletion *was, tdsa_err *err)
{
    ks_stmt b = ks_stmt_use(q, KS_SQL_DELETION_PUT);
    uint64_t changes = 0;
    tdsa_status st;

    ks_arg_text(&b, d->key_id);
    ks_arg_u64(&b, d->serial);
    ks_arg_int(&b, d->state);
    ks_arg_u64(&b, d->due_ms);
    ks_arg_u64(&b, d->grace_ms);
    ks_arg_int(&b, d->members);
    ks_arg_int(&b, d->told);
    ks_arg_u64(&b, was != NULL ? was->serial : 0);
    ks_arg_int(&b, was != NULL ? was->state : 0);
    st = ks_stmt_run(&b, &changes, "storing an order", err);
    if (st == TDSA_OK && changes == 0) {
        st = TDSA_FAIL(err, TDSA_E_CONFLICT, "another order about key %s is stored meanwhile",
                       d->key_id);
    }
    return st;
}

/* The key goes where the order says. */
static tdsa_status move_key(ks_sql *q, const ks_deletion *d, tdsa_err *err)
{
    ks_stmt b;

    if (d->state == KS_DELETION_WIPED) {
        return ks_sql_key_wipe(q, d->key_id, true, err);
    }
    if (d->state == KS_DELETION_UNDOING) {
        return TDSA_OK;
    }
    b = ks_stmt_use(q, d->state == KS_DELETION_SCHEDULED ? KS_SQL_KEY_SCHEDULE : KS_SQL_KEY_REVIVE);
    ks_arg_text(&b, d->key_id);
    return ks_stmt_run(&b, NULL, "moving a key", err);
}

static tdsa_status put_order(ks_sql *q, const ks_deletion *d, const ks_deletion *was, tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    if (d->state != KS_DELETION_WIPED) { /* else the wiping finds it */
        st = ks_sql_key_live(q, d->key_id, err);
    }
    if (st == TDSA_OK) {
        st = put_row(q, d, was, err);
    }
    if (st == TDSA_OK) {
        st = move_key(q, d, err);
    }
    return ks_sql_key_changed(q, d->key_id, st, err);
}

tdsa_status ks_sql_deletion_put(ks_backend *backend, const ks_deletion *d, const ks_deletion *was,
                                tdsa_err *err)
{
    ks_sql *q = ks_sql_of(backend);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_write(q); ks_sql_tx_next(&tx, &st, err);) {
        st = put_order(q, d, was, err);
    }
    if (st == TDSA_OK && d->state == KS_DELETION_WIPED) {
        ks_sql_forget(q);
    }
    return st;
}

tdsa_status ks_sql_deletion_told(ks_backend *backend, const ks_deletion *d, uint32_t told,
                                 tdsa_err *err)
{
    ks_sql *q = ks_sql_of(backend);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_write(q); ks_sql_tx_next(&tx, &st, err);) {
        ks_stmt b = ks_stmt_use(q, KS_SQL_DELETION_TOLD);

        ks_arg_text(&b, d->key_id);
        ks_arg_u64(&b, d->serial);
        ks_arg_int(&b, d->state);
        ks_arg_int(&b, told);
        st = ks_stmt_run(&b, NULL, "noting who has an order", err);
    }
    return st;
}

static bool give_row(ks_stmt *b, ks_deletion_fn fn, void *ctx)
{
    const char *key_id = ks_col_text(b, 0);
    const int64_t state = ks_col_int(b, 2);
    ks_deletion d;

    memset(&d, 0, sizeof d);
    if (key_id != NULL) {
        (void)strncpy(d.key_id, key_id, KS_KEY_ID_MAX);
    }
    d.serial = (uint64_t)ks_col_int(b, 1);
    d.state = (ks_deletion_state)state;
    d.due_ms = (uint64_t)ks_col_int(b, 3);
    d.grace_ms = (uint64_t)ks_col_int(b, 4);
    d.members = (uint32_t)ks_col_int(b, 5);
    d.told = (uint32_t)ks_col_int(b, 6);
    return fn(ctx, &d);
}

/* Hands on all rows of a statement, and gives it back. */
static tdsa_status give_rows(ks_sql_tx *tx, ks_stmt *b, ks_deletion_fn fn, void *ctx, tdsa_err *err)
{
    ks_sql_step rc = ks_stmt_step(b);

    while (rc == KS_SQL_ROW) {
        tx->given = true;
        if (!give_row(b, fn, ctx)) {
            break;
        }
        rc = ks_stmt_step(b);
    }
    ks_stmt_done(b);
    return rc == KS_SQL_ROW || rc == KS_SQL_DONE ? TDSA_OK
                                                 : ks_sql_fail(tx->q, rc, "reading orders", err);
}

tdsa_status ks_sql_deletion_each(ks_backend *backend, const char *key_id, ks_deletion_fn fn,
                                 void *ctx, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(backend);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_read(q); ks_sql_tx_next(&tx, &st, err);) {
        ks_stmt b = ks_stmt_use(q, key_id != NULL ? KS_SQL_DELETION_GET : KS_SQL_DELETION_OPEN);

        if (key_id != NULL) {
            ks_arg_text(&b, key_id);
        }
        st = give_rows(&tx, &b, fn, ctx, err);
    }
    return st;
}
