#include "keystore/backend_sqlite.h"

#define BLOCKS_MAX (KS_BATCH_COUNT_MAX / KS_BLOCK_SIZE)

static tdsa_status insert_rows(ks_sqlite *q, const ks_batch_row *row, tdsa_err *err)
{
    ks_bind b = ks_sqlite_use(q, SQL_BATCH_INSERT);
    int changes = 0;
    tdsa_status st;

    ks_bind_text(&b, row->key_id);
    ks_bind_blob(&b, row->beta, KS_BETA_LEN);
    ks_bind_int(&b, row->epoch);
    ks_bind_int(&b, row->state);
    ks_bind_u64(&b, row->lane);
    ks_bind_u64(&b, row->seq);
    ks_bind_int(&b, row->count);
    ks_bind_int(&b, row->next);
    ks_bind_int(&b, row->members);
    st = ks_sqlite_run(&b, &changes, "storing a batch", err);
    if (st == TDSA_OK && changes == 0) {
        st = ks_sqlite_key_live(q, row->key_id, err);
        return st != TDSA_OK ? st : TDSA_FAIL(err, TDSA_E_CONFLICT, "the batch exists already");
    }
    if (st != TDSA_OK) {
        return st;
    }
    b = ks_sqlite_use(q, SQL_BATCH_DATA_INSERT);
    ks_bind_blob(&b, row->beta, KS_BETA_LEN);
    ks_bind_blob(&b, row->sealed, row->sealed_len);
    return ks_sqlite_run(&b, NULL, "storing a batch", err);
}

tdsa_status ks_sqlite_batch_insert(ks_backend *backend, const ks_batch_row *row, tdsa_err *err)
{
    ks_sqlite *q = ks_sqlite_of(backend);
    tdsa_status st = ks_sqlite_begin(q, err);

    return st != TDSA_OK ? st : ks_sqlite_end(q, insert_rows(q, row, err), err);
}

/* The state of a batch, 0 when there is none. */
static tdsa_status state_of(ks_sqlite *q, const uint8_t *beta, int *state, tdsa_err *err)
{
    ks_bind b = ks_sqlite_use(q, SQL_BATCH_STATE);
    int rc;

    ks_bind_blob(&b, beta, KS_BETA_LEN);
    rc = ks_sqlite_step(&b);
    *state = rc == SQLITE_ROW ? sqlite3_column_int(b.stmt, 0) : 0;
    ks_sqlite_done(&b);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        return ks_sqlite_fail(q, rc, "reading a batch", err);
    }
    return TDSA_OK;
}

tdsa_status ks_sqlite_batch_move(ks_backend *backend, const uint8_t *beta, ks_batch_state from,
                                 ks_batch_state to, tdsa_err *err)
{
    ks_sqlite *q = ks_sqlite_of(backend);
    ks_bind b = ks_sqlite_use(q, SQL_BATCH_MOVE);
    int changes = 0;
    int state = 0;
    tdsa_status st;

    ks_bind_blob(&b, beta, KS_BETA_LEN);
    ks_bind_int(&b, from);
    ks_bind_int(&b, to);
    st = ks_sqlite_run(&b, &changes, "moving a batch", err);
    if (st != TDSA_OK || changes > 0) {
        return st;
    }
    st = state_of(q, beta, &state, err);
    if (st != TDSA_OK) {
        return st;
    }
    if (state == 0) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no such batch of presignatures");
    }
    return TDSA_FAIL(err, TDSA_E_CONFLICT, "the batch is in state %d, not %d", state, (int)from);
}

static void bind_wanted(ks_bind *b, const ks_batch_query *query)
{
    ks_bind_int(b, query->state);
    ks_bind_int(b, query->unspent);
    ks_bind_int(b, query->any_epoch);
    ks_bind_int(b, query->epoch);
    ks_bind_int(b, ks_any_lane(query) ? INT64_MIN : query->lane_from);
    ks_bind_int(b, ks_any_lane(query) ? INT64_MAX : query->lane_to);
    ks_bind_int(b, query->outside);
}

static void bind_limit(ks_bind *b, const ks_batch_query *query)
{
    ks_bind_int(b, query->limit == 0 || query->limit > INT32_MAX ? -1 : (int64_t)query->limit);
}

static ks_bind use_query(ks_sqlite *q, const ks_batch_query *query)
{
    ks_bind b;

    if (query->beta != NULL) {
        b = ks_sqlite_use(q, SQL_BATCH_BY_BETA);
        ks_bind_blob(&b, query->beta, KS_BETA_LEN);
        bind_wanted(&b, query);
        if (query->key_id != NULL) {
            ks_bind_text(&b, query->key_id);
        }
    } else if (query->key_id == NULL) {
        b = ks_sqlite_use(q, SQL_BATCH_ALL);
        b.next++; /* NULL */
        bind_wanted(&b, query);
        bind_limit(&b, query);
    } else {
        b = ks_sqlite_use(q, SQL_BATCH_BY_KEY);
        ks_bind_text(&b, query->key_id);
        bind_wanted(&b, query);
        bind_limit(&b, query);
    }
    return b;
}

/* The burn masks of a batch; SQLITE_DONE, or an error code. */
static int read_burnt(ks_sqlite *q, const uint8_t *beta, uint64_t masks[BLOCKS_MAX])
{
    ks_bind b = ks_sqlite_use(q, SQL_BURNT_ALL);
    int rc;

    ks_bind_blob(&b, beta, KS_BETA_LEN);
    while ((rc = ks_sqlite_step(&b)) == SQLITE_ROW) {
        const int64_t block = sqlite3_column_int64(b.stmt, 0);

        if (block >= 0 && block < (int64_t)BLOCKS_MAX) { /* else an edited row */
            masks[block] = (uint64_t)sqlite3_column_int64(b.stmt, 1);
        }
    }
    ks_sqlite_done(&b);
    return rc;
}

/* Hands one row on; with_data reads the large part while the row stays lent. */
static int give_row(ks_sqlite *q, sqlite3_stmt *stmt, const ks_batch_query *query,
                    ks_batch_row_fn fn, void *ctx, bool *more)
{
    uint64_t masks[BLOCKS_MAX] = {0};
    static const uint8_t no_beta[KS_BETA_LEN] = {0};
    ks_batch_row row = {0};
    ks_bind data = ks_sqlite_use(q, SQL_BATCH_DATA);
    const int state = sqlite3_column_int(stmt, 3);
    int rc = SQLITE_DONE;

    *more = false;
    row.beta = sqlite3_column_blob(stmt, 0);
    if (row.beta == NULL || sqlite3_column_bytes(stmt, 0) != (int)KS_BETA_LEN) {
        row.beta = no_beta; /* an edited row: its seal will not open */
    }
    row.key_id = (const char *)sqlite3_column_text(stmt, 1);
    row.epoch = (uint32_t)sqlite3_column_int64(stmt, 2);
    row.state = (ks_batch_state)state;
    row.lane = (uint64_t)sqlite3_column_int64(stmt, 4);
    row.seq = (uint64_t)sqlite3_column_int64(stmt, 5);
    row.count = (uint32_t)sqlite3_column_int64(stmt, 6);
    row.next = (uint32_t)sqlite3_column_int64(stmt, 7);
    row.members = (uint32_t)sqlite3_column_int64(stmt, 8);
    row.burnt = masks;
    if (query->with_burnt) {
        rc = read_burnt(q, row.beta, masks);
    }
    if (query->with_data && rc == SQLITE_DONE) {
        ks_bind_blob(&data, row.beta, KS_BETA_LEN);
        rc = ks_sqlite_step(&data);
        if (rc == SQLITE_ROW) {
            row.sealed = sqlite3_column_blob(data.stmt, 0);
            row.sealed_len = (size_t)sqlite3_column_bytes(data.stmt, 0);
        }
    }
    if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
        *more = fn(ctx, &row);
        rc = SQLITE_OK;
    }
    ks_sqlite_done(&data);
    return rc;
}

tdsa_status ks_sqlite_batch_each(ks_backend *backend, const ks_batch_query *query,
                                 ks_batch_row_fn fn, void *ctx, tdsa_err *err)
{
    ks_sqlite *q = ks_sqlite_of(backend);
    ks_bind b = use_query(q, query);
    int rc = ks_sqlite_step(&b);
    bool more = true;

    while (rc == SQLITE_ROW) {
        rc = give_row(q, b.stmt, query, fn, ctx, &more);
        if (rc == SQLITE_OK && more) {
            rc = ks_sqlite_step(&b);
        }
    }
    ks_sqlite_done(&b);
    if (rc != SQLITE_OK && rc != SQLITE_DONE) {
        return ks_sqlite_fail(q, rc, "reading batches", err);
    }
    return TDSA_OK;
}

static tdsa_status count_dropped(ks_sqlite *q, const char *key_id, bool only_spent,
                                 uint64_t *dropped, tdsa_err *err)
{
    ks_bind b = ks_sqlite_use(q, SQL_PURGE_COUNT);
    int rc;

    ks_bind_text(&b, key_id);
    ks_bind_int(&b, only_spent);
    rc = ks_sqlite_step(&b);
    if (rc == SQLITE_ROW) {
        *dropped = (uint64_t)sqlite3_column_int64(b.stmt, 0);
    }
    ks_sqlite_done(&b);
    return rc == SQLITE_ROW ? TDSA_OK : ks_sqlite_fail(q, rc, "counting presignatures", err);
}

tdsa_status ks_sqlite_purge(ks_sqlite *q, const char *key_id, bool only_spent, uint64_t *dropped,
                            tdsa_err *err)
{
    static const ks_sql steps[] = {SQL_PURGE_BLOCK, SQL_PURGE_DATA, SQL_PURGE_BATCH};
    ks_bind b;
    tdsa_status st = count_dropped(q, key_id, only_spent, dropped, err);

    if (st != TDSA_OK) {
        return st;
    }
    b = ks_sqlite_use(q, SQL_PURGE_MARK);
    ks_bind_text(&b, key_id);
    ks_bind_int(&b, only_spent);
    st = ks_sqlite_run(&b, NULL, "purging presignatures", err);
    for (size_t i = 0; st == TDSA_OK && i < sizeof steps / sizeof steps[0]; i++) {
        b = ks_sqlite_use(q, steps[i]);
        ks_bind_text(&b, key_id);
        st = ks_sqlite_run(&b, NULL, "purging presignatures", err);
    }
    return st;
}

tdsa_status ks_sqlite_batch_purge(ks_backend *backend, const char *key_id, bool only_spent,
                                  uint64_t *dropped, tdsa_err *err)
{
    ks_sqlite *q = ks_sqlite_of(backend);
    tdsa_status st = ks_sqlite_begin(q, err);

    *dropped = 0;
    if (st == TDSA_OK) {
        st = ks_sqlite_end(q, ks_sqlite_purge(q, key_id, only_spent, dropped, err), err);
    }
    if (st != TDSA_OK) {
        *dropped = 0;
    }
    return st;
}

tdsa_status ks_sqlite_batch_void_made(ks_backend *backend, uint64_t seq_below, tdsa_err *err)
{
    ks_bind b = ks_sqlite_use(ks_sqlite_of(backend), SQL_VOID_MADE);

    ks_bind_u64(&b, seq_below);
    return ks_sqlite_run(&b, NULL, "voiding batches", err);
}

/* Raises the counter of leases and burns, inside the transaction of one. */
static tdsa_status count_burn(ks_sqlite *q, tdsa_status st, uint64_t *burns, tdsa_err *err)
{
    return st == TDSA_OK ? ks_sqlite_count(q, KS_COUNTER_BURN, burns, err) : st;
}

static tdsa_status lease_rows(ks_sqlite *q, const uint8_t *beta, uint32_t from, uint32_t to,
                              tdsa_err *err)
{
    ks_bind b = ks_sqlite_use(q, SQL_LEASE);
    int changes = 0;
    tdsa_status st;

    ks_bind_blob(&b, beta, KS_BETA_LEN);
    ks_bind_int(&b, from);
    ks_bind_int(&b, to);
    st = ks_sqlite_run(&b, &changes, "leasing presignatures", err);
    if (st == TDSA_OK && changes == 0) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT,
                         "presignatures %u to %u are not there to lease: read the batch again",
                         from, to);
    }
    return st;
}

tdsa_status ks_sqlite_lease(ks_backend *backend, const uint8_t *beta, uint32_t from, uint32_t to,
                            uint64_t *burns, tdsa_err *err)
{
    ks_sqlite *q = ks_sqlite_of(backend);
    tdsa_status st = ks_sqlite_begin(q, err);

    if (st != TDSA_OK) {
        return st;
    }
    st = lease_rows(q, beta, from, to, err);
    return ks_sqlite_end(q, count_burn(q, st, burns, err), err);
}

/* Sets bits of one block, by a statement that says under what condition. */
static tdsa_status burn_rows(ks_sqlite *q, ks_sql how, const uint8_t *beta, uint32_t block,
                             uint64_t bits, tdsa_err *err)
{
    const uint32_t top = block * KS_BLOCK_SIZE + ks_top_bit(bits);
    const ks_batch_query query = {.beta = beta, .state = KS_BATCH_FREE, .any_epoch = true};
    ks_bind b = ks_sqlite_use(q, how);
    uint32_t count = 0;
    int changes = 0;
    tdsa_status st;

    ks_bind_blob(&b, beta, KS_BETA_LEN);
    ks_bind_int(&b, block);
    ks_bind_u64(&b, bits);
    ks_bind_int(&b, top);
    st = ks_sqlite_run(&b, &changes, "burning presignatures", err);
    if (st != TDSA_OK || changes > 0) {
        return st;
    }
    b = use_query(q, &query);
    if (ks_sqlite_step(&b) == SQLITE_ROW) {
        count = (uint32_t)sqlite3_column_int64(b.stmt, 6);
    }
    ks_sqlite_done(&b);
    if (b.rc != SQLITE_ROW && b.rc != SQLITE_DONE) {
        return ks_sqlite_fail(q, b.rc, "reading a batch", err);
    }
    if (top >= count) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no such presignature is free");
    }
    return TDSA_FAIL(err, TDSA_E_CONFLICT, "a presignature of the range was used already");
}

tdsa_status ks_sqlite_burn(ks_backend *backend, const uint8_t *beta, uint32_t block, uint64_t bits,
                           uint64_t *burns, tdsa_err *err)
{
    ks_sqlite *q = ks_sqlite_of(backend);
    tdsa_status st = ks_sqlite_begin(q, err);

    if (st != TDSA_OK) {
        return st;
    }
    st = burn_rows(q, SQL_BURN, beta, block, bits, err);
    return ks_sqlite_end(q, count_burn(q, st, burns, err), err);
}

tdsa_status ks_sqlite_burn_unleased(ks_sqlite *q, const uint8_t *beta, uint32_t index,
                                    uint64_t *burns, tdsa_err *err)
{
    const tdsa_status st = burn_rows(q, SQL_BURN_UNLEASED, beta, index / KS_BLOCK_SIZE,
                                     1ull << (index % KS_BLOCK_SIZE), err);

    return count_burn(q, st, burns, err);
}

tdsa_status ks_sqlite_batch_void_with(ks_backend *backend, const char *key_id, uint32_t members,
                                      tdsa_err *err)
{
    ks_bind b = ks_sqlite_use(ks_sqlite_of(backend), SQL_VOID_WITH);

    ks_bind_text(&b, key_id);
    ks_bind_int(&b, members);
    return ks_sqlite_run(&b, NULL, "voiding batches", err);
}

/* ---- everything ---- */

static tdsa_status raise_counter(ks_sqlite *q, const char *name, uint64_t value, tdsa_err *err)
{
    ks_bind b = ks_sqlite_use(q, SQL_COUNTER_RAISE);

    ks_bind_text(&b, name);
    ks_bind_u64(&b, value);
    return ks_sqlite_run(&b, NULL, "raising a counter", err);
}

static tdsa_status clear_batches(ks_sqlite *q, uint64_t *dropped, tdsa_err *err)
{
    static const ks_sql steps[] = {SQL_CLEAR_BLOCK, SQL_CLEAR_DATA, SQL_CLEAR_BATCH};
    ks_bind b = ks_sqlite_use(q, SQL_CLEAR_COUNT);
    const int rc = ks_sqlite_step(&b);
    tdsa_status st = TDSA_OK;

    *dropped = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(b.stmt, 0) : 0;
    ks_sqlite_done(&b);
    if (rc != SQLITE_ROW) {
        return ks_sqlite_fail(q, rc, "counting presignatures", err);
    }
    for (size_t i = 0; st == TDSA_OK && i < sizeof steps / sizeof steps[0]; i++) {
        b = ks_sqlite_use(q, steps[i]);
        st = ks_sqlite_run(&b, NULL, "purging presignatures", err);
    }
    return st;
}

static tdsa_status purge_rows(ks_sqlite *q, const ks_marks *at_least, uint64_t *dropped,
                              tdsa_err *err)
{
    uint64_t purges = 0;
    tdsa_status st = clear_batches(q, dropped, err);

    if (st == TDSA_OK) {
        st = raise_counter(q, KS_COUNTER_START, at_least->starts, err);
    }
    if (st == TDSA_OK) {
        st = raise_counter(q, KS_COUNTER_BURN, at_least->burns, err);
    }
    if (st == TDSA_OK) {
        st = raise_counter(q, KS_COUNTER_PURGE, at_least->purges, err);
    }
    return st == TDSA_OK ? ks_sqlite_count(q, KS_COUNTER_PURGE, &purges, err) : st;
}

tdsa_status ks_sqlite_purge_all(ks_backend *backend, const ks_marks *at_least, uint64_t *dropped,
                                tdsa_err *err)
{
    ks_sqlite *q = ks_sqlite_of(backend);
    tdsa_status st = ks_sqlite_begin(q, err);

    if (st == TDSA_OK) {
        st = ks_sqlite_end(q, purge_rows(q, at_least, dropped, err), err);
    }
    if (st != TDSA_OK) {
        *dropped = 0;
    }
    return st;
}

tdsa_status ks_sqlite_burnt(ks_backend *backend, const uint8_t *beta, uint32_t block,
                            uint64_t *mask, tdsa_err *err)
{
    ks_sqlite *q = ks_sqlite_of(backend);
    ks_bind b = ks_sqlite_use(q, SQL_BURNT);
    int rc;

    ks_bind_blob(&b, beta, KS_BETA_LEN);
    ks_bind_int(&b, block);
    rc = ks_sqlite_step(&b);
    *mask = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(b.stmt, 0) : 0;
    ks_sqlite_done(&b);
    return rc == SQLITE_ROW || rc == SQLITE_DONE
               ? TDSA_OK
               : ks_sqlite_fail(q, rc, "reading what is burnt", err);
}

tdsa_status ks_sqlite_seq_raise(ks_backend *backend, const char *key_id, uint32_t epoch,
                                uint64_t lane, uint64_t seq, tdsa_err *err)
{
    ks_sqlite *q = ks_sqlite_of(backend);
    ks_bind b = ks_sqlite_use(q, SQL_SEQ_RAISE);
    int changes = 0;
    tdsa_status st;

    ks_bind_text(&b, key_id);
    ks_bind_int(&b, epoch);
    ks_bind_u64(&b, lane);
    ks_bind_u64(&b, seq);
    st = ks_sqlite_run(&b, &changes, "raising a batch number", err);
    if (st != TDSA_OK || changes > 0) {
        return st;
    }
    st = ks_sqlite_key_live(q, key_id, err);
    if (st != TDSA_OK) {
        return st;
    }
    return TDSA_FAIL(err, TDSA_E_CONFLICT, "batch number %llu of key %s was used already",
                     (unsigned long long)seq, key_id);
}
