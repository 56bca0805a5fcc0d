#include <string.h>

#include "base/failpoint.h"
#include "keystore/backend_sqlite.h"

static tdsa_status insert(ks_sqlite *q, const ks_partial *row, tdsa_err *err)
{
    ks_bind b = ks_sqlite_use(q, SQL_PARTIAL_INSERT);
    int changes = 0;
    tdsa_status st;

    ks_bind_blob(&b, row->beta, sizeof row->beta);
    ks_bind_int(&b, row->index);
    ks_bind_text(&b, row->key_id);
    ks_bind_blob(&b, row->transcript, sizeof row->transcript);
    ks_bind_u64(&b, row->expires_ms);
    ks_bind_int(&b, row->failed);
    ks_bind_int(&b, KS_PARTIALS_MAX);
    st = ks_sqlite_run(&b, &changes, "keeping a partial signature", err);
    if (st == TDSA_OK && changes == 0) {
        return TDSA_FAIL(err, TDSA_E_LIMIT, "%u partial signatures are waiting already",
                         KS_PARTIALS_MAX);
    }
    return st;
}

tdsa_status ks_sqlite_partial_burn(ks_backend *backend, const ks_partial *row, uint64_t *burns,
                                   tdsa_err *err)
{
    ks_sqlite *q = ks_sqlite_of(backend);
    tdsa_status st = ks_sqlite_begin(q, err);

    if (st != TDSA_OK) {
        return st;
    }
    st = ks_sqlite_burn_unleased(q, row->beta, row->index, burns, err);
    if (st == TDSA_OK) {
        st = insert(q, row, err);
    }
    TDSA_FAILPOINT("partial.before_commit");
    return ks_sqlite_end(q, st, err);
}

tdsa_status ks_sqlite_partial_get(ks_backend *backend, const uint8_t *beta, uint32_t index,
                                  ks_partial *out, tdsa_err *err)
{
    ks_sqlite *q = ks_sqlite_of(backend);
    ks_bind b = ks_sqlite_use(q, SQL_PARTIAL_GET);
    bool whole = false;
    int rc;

    ks_bind_blob(&b, beta, KS_BETA_LEN);
    ks_bind_int(&b, index);
    rc = ks_sqlite_step(&b);
    if (rc == SQLITE_ROW) {
        const unsigned char *key_id = sqlite3_column_text(b.stmt, 0);
        const void *transcript = sqlite3_column_blob(b.stmt, 1);

        whole = key_id != NULL && transcript != NULL &&
                sqlite3_column_bytes(b.stmt, 0) <= (int)KS_KEY_ID_MAX &&
                sqlite3_column_bytes(b.stmt, 1) == (int)sizeof out->transcript;
        if (whole) {
            memcpy(out->beta, beta, sizeof out->beta);
            out->index = index;
            memcpy(out->key_id, key_id, strlen((const char *)key_id) + 1);
            memcpy(out->transcript, transcript, sizeof out->transcript);
            out->expires_ms = (uint64_t)sqlite3_column_int64(b.stmt, 2);
            out->failed = sqlite3_column_int(b.stmt, 3) != 0;
        }
    }
    ks_sqlite_done(&b);
    if (rc == SQLITE_DONE) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no such partial signature");
    }
    if (rc != SQLITE_ROW) {
        return ks_sqlite_fail(q, rc, "reading a partial signature", err);
    }
    return whole ? TDSA_OK
                 : TDSA_FAIL(err, TDSA_E_STORE, "the row of a partial signature is damaged");
}

tdsa_status ks_sqlite_partial_fail(ks_backend *backend, const uint8_t *beta, uint32_t index,
                                   tdsa_err *err)
{
    ks_bind b = ks_sqlite_use(ks_sqlite_of(backend), SQL_PARTIAL_FAIL);
    int changes = 0;
    tdsa_status st;

    ks_bind_blob(&b, beta, KS_BETA_LEN);
    ks_bind_int(&b, index);
    st = ks_sqlite_run(&b, &changes, "marking a partial signature", err);
    if (st == TDSA_OK && changes == 0) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no such partial signature");
    }
    return st;
}

tdsa_status ks_sqlite_partial_collect(ks_backend *backend, uint64_t before_ms, uint64_t *left,
                                      tdsa_err *err)
{
    ks_sqlite *q = ks_sqlite_of(backend);
    ks_bind b = ks_sqlite_use(q, SQL_PARTIAL_COLLECT);
    int rc = SQLITE_DONE;
    tdsa_status st;

    ks_bind_u64(&b, before_ms);
    st = ks_sqlite_run(&b, NULL, "collecting partial signatures", err);
    if (st != TDSA_OK) {
        return st;
    }
    b = ks_sqlite_use(q, SQL_PARTIAL_COUNT);
    rc = ks_sqlite_step(&b);
    if (rc == SQLITE_ROW) {
        *left = (uint64_t)sqlite3_column_int64(b.stmt, 0);
    }
    ks_sqlite_done(&b);
    return rc == SQLITE_ROW ? TDSA_OK : ks_sqlite_fail(q, rc, "counting partial signatures", err);
}
