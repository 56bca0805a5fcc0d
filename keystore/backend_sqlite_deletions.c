#include <string.h>

#include "keystore/backend_sqlite.h"

static tdsa_status put_row(ks_sqlite *q, const ks_deletion *d, const ks_deletion *was,
                           tdsa_err *err)
{
    ks_bind b = ks_sqlite_use(q, SQL_DELETION_PUT);
    int changes = 0;
    tdsa_status st;

    ks_bind_text(&b, d->key_id);
    ks_bind_u64(&b, d->serial);
    ks_bind_int(&b, d->state);
    ks_bind_u64(&b, d->due_ms);
    ks_bind_u64(&b, d->grace_ms);
    ks_bind_int(&b, d->members);
    ks_bind_int(&b, d->told);
    ks_bind_u64(&b, was != NULL ? was->serial : 0);
    ks_bind_int(&b, was != NULL ? was->state : 0);
    st = ks_sqlite_run(&b, &changes, "storing an order", err);
    if (st == TDSA_OK && changes == 0) {
        st = TDSA_FAIL(err, TDSA_E_CONFLICT, "another order about key %s is stored meanwhile",
                       d->key_id);
    }
    return st;
}

/* The key goes where the order says. */
static tdsa_status move_key(ks_sqlite *q, const ks_deletion *d, tdsa_err *err)
{
    ks_bind b;

    if (d->state == KS_DELETION_WIPED) {
        return ks_sqlite_key_wipe(q, d->key_id, true, err);
    }
    if (d->state == KS_DELETION_UNDOING) {
        return TDSA_OK;
    }
    b = ks_sqlite_use(q, d->state == KS_DELETION_SCHEDULED ? SQL_KEY_SCHEDULE : SQL_KEY_REVIVE);
    ks_bind_text(&b, d->key_id);
    return ks_sqlite_run(&b, NULL, "moving a key", err);
}

tdsa_status ks_sqlite_deletion_put(ks_backend *backend, const ks_deletion *d,
                                   const ks_deletion *was, tdsa_err *err)
{
    ks_sqlite *q = ks_sqlite_of(backend);
    tdsa_status st = ks_sqlite_begin(q, err);

    if (st != TDSA_OK) {
        return st;
    }
    if (d->state != KS_DELETION_WIPED) { /* else the wiping finds it */
        st = ks_sqlite_key_live(q, d->key_id, err);
    }
    if (st == TDSA_OK) {
        st = put_row(q, d, was, err);
    }
    if (st == TDSA_OK) {
        st = move_key(q, d, err);
    }
    st = ks_sqlite_end_key_change(q, st, err);
    if (st == TDSA_OK && d->state == KS_DELETION_WIPED) {
        ks_sqlite_truncate_log(q);
    }
    return st;
}

tdsa_status ks_sqlite_deletion_told(ks_backend *backend, const ks_deletion *d, uint32_t told,
                                    tdsa_err *err)
{
    ks_bind b = ks_sqlite_use(ks_sqlite_of(backend), SQL_DELETION_TOLD);

    ks_bind_text(&b, d->key_id);
    ks_bind_u64(&b, d->serial);
    ks_bind_int(&b, d->state);
    ks_bind_int(&b, told);
    return ks_sqlite_run(&b, NULL, "noting who has an order", err);
}

static bool give_row(sqlite3_stmt *stmt, ks_deletion_fn fn, void *ctx)
{
    const char *key_id = (const char *)sqlite3_column_text(stmt, 0);
    const int state = sqlite3_column_int(stmt, 2);
    ks_deletion d;

    memset(&d, 0, sizeof d);
    if (key_id != NULL) {
        (void)strncpy(d.key_id, key_id, KS_KEY_ID_MAX);
    }
    d.serial = (uint64_t)sqlite3_column_int64(stmt, 1);
    d.state = (ks_deletion_state)state;
    d.due_ms = (uint64_t)sqlite3_column_int64(stmt, 3);
    d.grace_ms = (uint64_t)sqlite3_column_int64(stmt, 4);
    d.members = (uint32_t)sqlite3_column_int64(stmt, 5);
    d.told = (uint32_t)sqlite3_column_int64(stmt, 6);
    return fn(ctx, &d);
}

tdsa_status ks_sqlite_deletion_each(ks_backend *backend, const char *key_id, ks_deletion_fn fn,
                                    void *ctx, tdsa_err *err)
{
    ks_sqlite *q = ks_sqlite_of(backend);
    ks_bind b = ks_sqlite_use(q, key_id != NULL ? SQL_DELETION_GET : SQL_DELETION_OPEN);
    int rc;

    if (key_id != NULL) {
        ks_bind_text(&b, key_id);
    }
    rc = ks_sqlite_step(&b);
    while (rc == SQLITE_ROW && give_row(b.stmt, fn, ctx)) {
        rc = ks_sqlite_step(&b);
    }
    ks_sqlite_done(&b);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        return ks_sqlite_fail(q, rc, "reading orders", err);
    }
    return TDSA_OK;
}
