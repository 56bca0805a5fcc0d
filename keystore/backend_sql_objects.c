#include "keystore/backend_sql.h"

tdsa_status ks_sql_object_put(ks_backend *b, const ks_object_row *row, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(b);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_write(q); ks_sql_tx_next(&tx, &st, err);) {
        ks_stmt s = ks_stmt_use(q, KS_SQL_OBJECT_PUT);

        ks_arg_bytes(&s, row->id, KS_OBJECT_ID_LEN);
        ks_arg_u64(&s, row->created_ms);
        if (row->is_sealed) {
            ks_arg_null(&s);
            ks_arg_bytes(&s, row->sealed, row->sealed_len);
        } else {
            ks_arg_bytes(&s, row->value, row->value_len);
            ks_arg_null(&s);
        }
        st = ks_sql_key_changed(q, NULL, ks_stmt_run(&s, NULL, "storing an object", err), err);
    }
    if (st == TDSA_OK && row->is_sealed) { /* of one that it replaces */
        ks_sql_forget(q);
    }
    return st;
}

const uint8_t *ks_sql_object_id(ks_stmt *b, unsigned column)
{
    size_t len = 0;
    const uint8_t *id = ks_col_blob(b, column, &len);

    return len == KS_OBJECT_ID_LEN ? id : NULL;
}

static bool give_row(ks_stmt *b, ks_object_row_fn fn, void *ctx)
{
    ks_object_row row = {.id = ks_sql_object_id(b, 0)};

    row.created_ms = (uint64_t)ks_col_int(b, 1);
    row.value = ks_col_blob(b, 2, &row.value_len);
    row.sealed = ks_col_blob(b, 3, &row.sealed_len);
    row.is_sealed = ks_col_int(b, 4) != 0;
    return fn(ctx, &row);
}

tdsa_status ks_sql_object_each(ks_backend *b, const ks_object_query *query, ks_object_row_fn fn,
                               void *ctx, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(b);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_read(q); ks_sql_tx_next(&tx, &st, err);) {
        ks_stmt s = ks_stmt_use(q, KS_SQL_OBJECT_EACH);
        ks_sql_step rc;

        ks_arg_u64(&s, query->after_ms);
        ks_arg_bytes(&s, query->after_id, query->after_id != NULL ? KS_OBJECT_ID_LEN : 0);
        ks_arg_int(&s, (int64_t)query->limit);
        rc = ks_stmt_step(&s);
        while (rc == KS_SQL_ROW) {
            tx.given = true;
            if (!give_row(&s, fn, ctx)) {
                break;
            }
            rc = ks_stmt_step(&s);
        }
        ks_stmt_done(&s);
        st = rc == KS_SQL_ROW || rc == KS_SQL_DONE ? TDSA_OK
                                                   : ks_sql_fail(q, rc, "listing objects", err);
    }
    return st;
}

tdsa_status ks_sql_object_delete(ks_backend *b, const uint8_t *id, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(b);
    uint64_t changes = 0;
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_write(q); ks_sql_tx_next(&tx, &st, err);) {
        ks_stmt s = ks_stmt_use(q, KS_SQL_OBJECT_DELETE);

        ks_arg_bytes(&s, id, KS_OBJECT_ID_LEN);
        st = ks_stmt_run(&s, &changes, "deleting an object", err);
        if (st == TDSA_OK && changes == 0) {
            st = TDSA_FAIL(err, TDSA_E_NOT_FOUND, "there is no such object");
        }
        st = ks_sql_key_changed(q, NULL, st, err);
    }
    if (st == TDSA_OK) {
        ks_sql_forget(q);
    }
    return st;
}
