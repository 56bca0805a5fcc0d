#include "base/failpoint.h"
#include "keystore/backend_sql.h"

/* Data keys, and what is sealed under them. */

typedef struct {
    uint32_t current; /* its number */
    bool any, old;    /* there is one at all; there is an OLD one */
} what_is_there;

static tdsa_status look(ks_sql *q, what_is_there *out, tdsa_err *err)
{
    ks_stmt b = ks_stmt_use(q, KS_SQL_DATA_KEY_ALL);
    ks_sql_step rc;

    *out = (what_is_there){0, false, false};
    while ((rc = ks_stmt_step(&b)) == KS_SQL_ROW) {
        out->any = true;
        if (ks_col_int(&b, 1) == KS_DATA_KEY_CURRENT) {
            const int64_t number = ks_col_int(&b, 0);

            out->current = (uint32_t)number;
        } else {
            out->old = true;
        }
    }
    ks_stmt_done(&b);
    return rc == KS_SQL_DONE ? TDSA_OK : ks_sql_fail(q, rc, "reading the data keys", err);
}

tdsa_status ks_sql_fence(ks_sql *q, tdsa_err *err)
{
    ks_stmt b = ks_stmt_use(q, KS_SQL_DATA_KEY_CURRENT);
    const ks_sql_step rc = ks_stmt_step(&b);
    const int64_t number = rc == KS_SQL_ROW ? ks_col_int(&b, 0) : -1;

    ks_stmt_done(&b);
    if (rc != KS_SQL_ROW && rc != KS_SQL_DONE) {
        return ks_sql_fail(q, rc, "reading the data key's number", err);
    }
    if (number != (int64_t)q->base.fence) {
        q->base.fenced = true;
        return TDSA_FAIL(err, TDSA_E_CONFLICT, "the data key is %lld now, not %u: seal again",
                         (long long)number, q->base.fence);
    }
    return TDSA_OK;
}

tdsa_status ks_sql_data_key_each(ks_backend *b, ks_data_key_row_fn fn, void *ctx, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(b);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_read(q); ks_sql_tx_next(&tx, &st, err);) {
        ks_stmt s = ks_stmt_use(q, KS_SQL_DATA_KEY_ALL);
        ks_sql_step rc;

        while ((rc = ks_stmt_step(&s)) == KS_SQL_ROW) {
            const int64_t number = ks_col_int(&s, 0);
            const int64_t state = ks_col_int(&s, 1);
            ks_data_key_row row = {.number = (uint32_t)number, .state = (ks_data_key_state)state};

            row.wrapped = ks_col_blob(&s, 2, &row.wrapped_len);
            row.chained = ks_col_blob(&s, 3, &row.chained_len);
            tx.given = true;
            if (!fn(ctx, &row)) {
                rc = KS_SQL_DONE;
                break;
            }
        }
        ks_stmt_done(&s);
        st = rc == KS_SQL_DONE ? TDSA_OK : ks_sql_fail(q, rc, "reading the data keys", err);
    }
    return st;
}

/* The one before it, and the new one. */
static tdsa_status add(ks_sql *q, const ks_data_key_row *row, tdsa_err *err)
{
    what_is_there there;
    ks_stmt b;
    tdsa_status st = look(q, &there, err);

    if (st == TDSA_OK && there.any &&
        (there.old || row->number == 0 || there.current != row->number - 1)) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT, "data key %u is there already", row->number);
    }
    if (st == TDSA_OK && there.any) {
        b = ks_stmt_use(q, KS_SQL_DATA_KEY_AGE);
        ks_arg_int(&b, there.current);
        st = ks_stmt_run(&b, NULL, "replacing the data key", err);
    }
    if (st == TDSA_OK) {
        b = ks_stmt_use(q, KS_SQL_DATA_KEY_INSERT);
        ks_arg_int(&b, row->number);
        ks_arg_bytes(&b, row->wrapped, row->wrapped_len);
        ks_arg_blob(&b, row->chained, row->chained_len);
        st = ks_stmt_run(&b, NULL, "storing a data key", err);
    }
    return st;
}

tdsa_status ks_sql_data_key_add(ks_backend *b, const ks_data_key_row *row, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(b);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_write(q); ks_sql_tx_next(&tx, &st, err);) {
        st = add(q, row, err);
        TDSA_FAILPOINT("data_key.before_add");
    }
    return st;
}

tdsa_status ks_sql_data_key_wrap(ks_backend *b, const ks_data_key_row *now,
                                 const ks_data_key_row *was, size_t count, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(b);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_write(q); ks_sql_tx_next(&tx, &st, err);) {
        for (size_t i = 0; i < count && st == TDSA_OK; i++) {
            ks_stmt s = ks_stmt_use(q, KS_SQL_DATA_KEY_WRAP);
            uint64_t changes = 0;

            ks_arg_int(&s, now[i].number);
            ks_arg_bytes(&s, now[i].wrapped, now[i].wrapped_len);
            ks_arg_bytes(&s, was[i].wrapped, was[i].wrapped_len);
            st = ks_stmt_run(&s, &changes, "wrapping a data key", err);
            if (st == TDSA_OK && changes == 0) {
                st = TDSA_FAIL(err, TDSA_E_CONFLICT, "data key %u was wrapped by somebody else",
                               now[i].number);
            }
        }
        TDSA_FAILPOINT("data_key.before_wrap");
    }
    if (st == TDSA_OK) {
        ks_sql_forget(q);
    }
    return st;
}

static tdsa_status count_one(ks_sql *q, ks_sql_id which, const uint8_t *head, uint64_t *out,
                             tdsa_err *err)
{
    ks_stmt b = ks_stmt_use(q, which);
    ks_sql_step rc;

    ks_arg_bytes(&b, head, KS_SEAL_HEAD_LEN);
    rc = ks_stmt_step(&b);
    if (rc == KS_SQL_ROW) {
        *out += (uint64_t)ks_col_int(&b, 0);
    }
    ks_stmt_done(&b);
    return rc == KS_SQL_ROW ? TDSA_OK : ks_sql_fail(q, rc, "counting sealed rows", err);
}

static tdsa_status count_all(ks_sql *q, const uint8_t *head, uint64_t *out, tdsa_err *err)
{
    tdsa_status st;

    *out = 0;
    st = count_one(q, KS_SQL_SEALED_KEY_COUNT, head, out, err);
    if (st == TDSA_OK) {
        st = count_one(q, KS_SQL_SEALED_BATCH_COUNT, head, out, err);
    }
    return st == TDSA_OK ? count_one(q, KS_SQL_SEALED_OBJECT_COUNT, head, out, err) : st;
}

tdsa_status ks_sql_sealed_count(ks_backend *b, const uint8_t *head, uint64_t *out, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(b);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_read(q); ks_sql_tx_next(&tx, &st, err);) {
        st = count_all(q, head, out, err);
    }
    return st;
}

/* One statement about a data key. */
static tdsa_status about(ks_sql *q, ks_sql_id which, uint32_t number, const char *what,
                         tdsa_err *err)
{
    ks_stmt b = ks_stmt_use(q, which);

    ks_arg_int(&b, number);
    return ks_stmt_run(&b, NULL, what, err);
}

tdsa_status ks_sql_data_key_drop(ks_backend *b, uint32_t number, const uint8_t *head, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(b);
    uint64_t left = 0;
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_write(q); ks_sql_tx_next(&tx, &st, err);) {
        st = count_all(q, head, &left, err);
        if (st == TDSA_OK && left > 0) {
            st = TDSA_FAIL(err, TDSA_E_CONFLICT, "%llu rows are left under data key %u",
                           (unsigned long long)left, number);
        }
        if (st == TDSA_OK) {
            st = about(q, KS_SQL_DATA_KEY_DELETE, number, "deleting a data key", err);
        }
        TDSA_FAILPOINT("data_key.before_drop");
    }
    if (st == TDSA_OK) {
        ks_sql_forget(q);
    }
    return st;
}

tdsa_status ks_sql_data_key_unchain(ks_backend *b, uint32_t number, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(b);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_write(q); ks_sql_tx_next(&tx, &st, err);) {
        st = about(q, KS_SQL_DATA_KEY_UNCHAIN, number, "deleting a chained data key", err);
    }
    if (st == TDSA_OK) {
        ks_sql_forget(q);
    }
    return st;
}

static ks_stmt sealed_query(ks_sql *q, const ks_sealed_query *query)
{
    static const ks_sql_id which[] = {[KS_SEALED_KEY] = KS_SQL_SEALED_KEYS,
                                      [KS_SEALED_BATCH] = KS_SQL_SEALED_BATCHES,
                                      [KS_SEALED_META] = KS_SQL_SEALED_METAS,
                                      [KS_SEALED_OBJECT] = KS_SQL_SEALED_OBJECTS};
    const uint8_t *id = query->after_object;
    ks_stmt b = ks_stmt_use(q, which[query->table]);

    ks_arg_bytes(&b, query->head, KS_SEAL_HEAD_LEN);
    if (query->table == KS_SEALED_BATCH) {
        ks_arg_bytes(&b, query->after_beta, KS_BETA_LEN);
    } else if (query->table == KS_SEALED_OBJECT) {
        ks_arg_bytes(&b, id, id != NULL ? KS_OBJECT_ID_LEN : 0);
    } else {
        ks_arg_text(&b, query->after);
    }
    if (query->table == KS_SEALED_KEY) {
        ks_arg_int(&b, query->after_epoch);
    }
    ks_arg_int(&b, (int64_t)query->limit);
    return b;
}

static ks_sealed_row sealed_row(ks_stmt *b, ks_sealed_table table)
{
    ks_sealed_row row = {.table = table};
    int64_t epoch = 0;

    switch (table) {
    case KS_SEALED_KEY:
        row.key.key_id = ks_col_text(b, 0);
        epoch = ks_col_int(b, 1);
        row.key.epoch = (uint32_t)epoch;
        row.key.public_part = ks_col_blob(b, 2, &row.key.public_len);
        row.sealed = ks_col_blob(b, 3, &row.sealed_len);
        break;
    case KS_SEALED_BATCH:
        ks_sql_batch_columns(b, &row.batch);
        row.sealed = ks_col_blob(b, 9, &row.sealed_len);
        break;
    case KS_SEALED_META:
        row.name = ks_col_text(b, 0);
        row.sealed = ks_col_blob(b, 1, &row.sealed_len);
        break;
    case KS_SEALED_OBJECT:
        row.object.id = ks_sql_object_id(b, 0);
        row.object.created_ms = (uint64_t)ks_col_int(b, 1);
        row.sealed = ks_col_blob(b, 2, &row.sealed_len);
        break;
    }
    return row;
}

tdsa_status ks_sql_sealed_each(ks_backend *b, const ks_sealed_query *query, ks_sealed_row_fn fn,
                               void *ctx, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(b);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_read(q); ks_sql_tx_next(&tx, &st, err);) {
        ks_stmt s = sealed_query(q, query);
        ks_sql_step rc;

        while ((rc = ks_stmt_step(&s)) == KS_SQL_ROW) {
            const ks_sealed_row row = sealed_row(&s, query->table);

            tx.given = true;
            if (!fn(ctx, &row)) {
                rc = KS_SQL_DONE;
                break;
            }
        }
        ks_stmt_done(&s);
        st = rc == KS_SQL_DONE ? TDSA_OK : ks_sql_fail(q, rc, "reading sealed rows", err);
    }
    return st;
}

static tdsa_status reseal_one(ks_sql *q, const ks_reseal *r, tdsa_err *err)
{
    static const ks_sql_id which[] = {[KS_SEALED_KEY] = KS_SQL_RESEAL_KEY,
                                      [KS_SEALED_BATCH] = KS_SQL_RESEAL_BATCH,
                                      [KS_SEALED_META] = KS_SQL_RESEAL_META,
                                      [KS_SEALED_OBJECT] = KS_SQL_RESEAL_OBJECT};
    ks_stmt b = ks_stmt_use(q, which[r->table]);

    if (r->table == KS_SEALED_BATCH) {
        ks_arg_bytes(&b, r->beta, KS_BETA_LEN);
    } else if (r->table == KS_SEALED_OBJECT) {
        ks_arg_bytes(&b, r->object, KS_OBJECT_ID_LEN);
    } else {
        ks_arg_text(&b, r->id);
    }
    if (r->table == KS_SEALED_KEY) {
        ks_arg_int(&b, r->epoch);
    }
    ks_arg_bytes(&b, r->now, r->now_len);
    ks_arg_bytes(&b, r->was, r->was_len);
    return ks_stmt_run(&b, NULL, "sealing a row again", err);
}

tdsa_status ks_sql_reseal(ks_backend *b, uint32_t number, const ks_reseal *rows, size_t count,
                          tdsa_err *err)
{
    ks_sql *q = ks_sql_of(b);
    what_is_there there;
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_write(q); ks_sql_tx_next(&tx, &st, err);) {
        st = look(q, &there, err);
        if (st == TDSA_OK && (!there.any || there.current != number)) {
            st = TDSA_FAIL(err, TDSA_E_CONFLICT, "data key %u is not the current one", number);
        }
        for (size_t i = 0; i < count && st == TDSA_OK; i++) {
            st = reseal_one(q, &rows[i], err);
        }
        TDSA_FAILPOINT("data_key.before_reseal");
    }
    return st;
}
