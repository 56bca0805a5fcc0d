#include <string.h>

#include "base/failpoint.h"
#include "keystore/backend_sql.h"

static tdsa_status insert(ks_sql *q, const ks_partial *row, tdsa_err *err)
{
    ks_stmt b = ks_stmt_use(q, KS_SQL_PARTIAL_INSERT);
    uint64_t changes = 0;
    tdsa_status st;

    ks_arg_blob(&b, row->beta, sizeof row->beta);
    ks_arg_int(&b, row->index);
    ks_arg_text(&b, row->key_id);
    ks_arg_blob(&b, row->transcript, sizeof row->transcript);
    ks_arg_u64(&b, row->expires_ms);
    ks_arg_int(&b, row->failed);
    ks_arg_int(&b, KS_PARTIALS_MAX);
    st = ks_stmt_run(&b, &changes, "keeping a partial signature", err);
    if (st == TDSA_OK && changes == 0) {
        return TDSA_FAIL(err, TDSA_E_LIMIT, "%u partial signatures are waiting already",
                         KS_PARTIALS_MAX);
    }
    return st;
}

tdsa_status ks_sql_partial_burn(ks_backend *backend, const ks_partial *row, uint64_t *burns,
                                tdsa_err *err)
{
    ks_sql *q = ks_sql_of(backend);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_write(q); ks_sql_tx_next(&tx, &st, err);) {
        st = ks_sql_burn_unleased(q, row->beta, row->index, burns, err);
        if (st == TDSA_OK) {
            st = insert(q, row, err);
        }
        TDSA_FAILPOINT("partial.before_commit");
    }
    return st;
}

/* The columns of a row; false when it is damaged. */
static bool columns_of(ks_partial *out, ks_stmt *b)
{
    const char *key_id = ks_col_text(b, 0);
    size_t len = 0;
    const uint8_t *transcript = ks_col_blob(b, 1, &len);

    if (key_id == NULL || strnlen(key_id, KS_KEY_ID_MAX + 1) > KS_KEY_ID_MAX ||
        transcript == NULL || len != sizeof out->transcript) {
        return false;
    }
    memcpy(out->key_id, key_id, strlen(key_id) + 1);
    memcpy(out->transcript, transcript, sizeof out->transcript);
    out->expires_ms = (uint64_t)ks_col_int(b, 2);
    out->failed = ks_col_int(b, 3) != 0;
    return true;
}

static tdsa_status read_row(ks_sql *q, const uint8_t *beta, uint32_t index, ks_partial *out,
                            tdsa_err *err)
{
    ks_stmt b = ks_stmt_use(q, KS_SQL_PARTIAL_GET);
    bool whole = false;
    ks_sql_step rc;

    ks_arg_blob(&b, beta, KS_BETA_LEN);
    ks_arg_int(&b, index);
    rc = ks_stmt_step(&b);
    if (rc == KS_SQL_ROW) {
        memcpy(out->beta, beta, sizeof out->beta);
        out->index = index;
        whole = columns_of(out, &b);
    }
    ks_stmt_done(&b);
    if (rc == KS_SQL_DONE) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no such partial signature");
    }
    if (rc != KS_SQL_ROW) {
        return ks_sql_fail(q, rc, "reading a partial signature", err);
    }
    return whole ? TDSA_OK
                 : TDSA_FAIL(err, TDSA_E_STORE, "the row of a partial signature is damaged");
}

tdsa_status ks_sql_partial_get(ks_backend *backend, const uint8_t *beta, uint32_t index,
                               ks_partial *out, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(backend);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_read(q); ks_sql_tx_next(&tx, &st, err);) {
        st = read_row(q, beta, index, out, err);
    }
    return st;
}

tdsa_status ks_sql_partial_fail(ks_backend *backend, const uint8_t *beta, uint32_t index,
                                tdsa_err *err)
{
    ks_sql *q = ks_sql_of(backend);
    uint64_t changes = 0;
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_write(q); ks_sql_tx_next(&tx, &st, err);) {
        ks_stmt b = ks_stmt_use(q, KS_SQL_PARTIAL_FAIL);

        ks_arg_blob(&b, beta, KS_BETA_LEN);
        ks_arg_int(&b, index);
        st = ks_stmt_run(&b, &changes, "marking a partial signature", err);
        if (st == TDSA_OK && changes == 0) {
            st = TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no such partial signature");
        }
    }
    return st;
}

static tdsa_status collect(ks_sql *q, uint64_t before_ms, uint64_t *left, tdsa_err *err)
{
    ks_stmt b = ks_stmt_use(q, KS_SQL_PARTIAL_COLLECT);
    ks_sql_step rc;
    tdsa_status st;

    ks_arg_u64(&b, before_ms);
    st = ks_stmt_run(&b, NULL, "collecting partial signatures", err);
    if (st != TDSA_OK) {
        return st;
    }
    b = ks_stmt_use(q, KS_SQL_PARTIAL_COUNT);
    rc = ks_stmt_step(&b);
    if (rc == KS_SQL_ROW) {
        *left = (uint64_t)ks_col_int(&b, 0);
    }
    ks_stmt_done(&b);
    return rc == KS_SQL_ROW ? TDSA_OK : ks_sql_fail(q, rc, "counting partial signatures", err);
}

tdsa_status ks_sql_partial_collect(ks_backend *backend, uint64_t before_ms, uint64_t *left,
                                   tdsa_err *err)
{
    ks_sql *q = ks_sql_of(backend);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_write(q); ks_sql_tx_next(&tx, &st, err);) {
        st = collect(q, before_ms, left, err);
    }
    return st;
}
