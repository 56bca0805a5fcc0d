#include "keystore/backend_sql.h"

#define BLOCKS_MAX (KS_BATCH_COUNT_MAX / KS_BLOCK_SIZE)

static tdsa_status insert_rows(ks_sql *q, const ks_batch_row *row, tdsa_err *err)
{
    ks_stmt b = ks_stmt_use(q, KS_SQL_BATCH_INSERT);
    uint64_t changes = 0;
    tdsa_status st;

    ks_arg_text(&b, row->key_id);
    ks_arg_blob(&b, row->beta, KS_BETA_LEN);
    ks_arg_int(&b, row->epoch);
    ks_arg_int(&b, row->state);
    ks_arg_u64(&b, row->lane);
    ks_arg_u64(&b, row->seq);
    ks_arg_int(&b, row->count);
    ks_arg_int(&b, row->next);
    ks_arg_int(&b, row->members);
    st = ks_stmt_run(&b, &changes, "storing a batch", err);
    if (st == TDSA_OK && changes == 0) {
        st = ks_sql_key_live(q, row->key_id, err);
        return st != TDSA_OK ? st : TDSA_FAIL(err, TDSA_E_CONFLICT, "the batch exists already");
    }
    if (st != TDSA_OK) {
        return st;
    }
    b = ks_stmt_use(q, KS_SQL_BATCH_DATA_INSERT);
    ks_arg_blob(&b, row->beta, KS_BETA_LEN);
    ks_arg_blob(&b, row->sealed, row->sealed_len);
    return ks_stmt_run(&b, NULL, "storing a batch", err);
}

tdsa_status ks_sql_batch_insert(ks_backend *backend, const ks_batch_row *row, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(backend);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_write(q); ks_sql_tx_next(&tx, &st, err);) {
        st = insert_rows(q, row, err);
    }
    return st;
}

/* The state of a batch, 0 when there is none. */
static ks_sql_step state_of(ks_sql *q, const uint8_t *beta, int64_t *state)
{
    ks_stmt b = ks_stmt_use(q, KS_SQL_BATCH_STATE);
    ks_sql_step rc;

    ks_arg_blob(&b, beta, KS_BETA_LEN);
    rc = ks_stmt_step(&b);
    *state = rc == KS_SQL_ROW ? ks_col_int(&b, 0) : 0;
    ks_stmt_done(&b);
    return rc;
}

static tdsa_status move_row(ks_sql *q, const uint8_t *beta, ks_batch_state from, ks_batch_state to,
                            tdsa_err *err)
{
    ks_stmt b = ks_stmt_use(q, KS_SQL_BATCH_MOVE);
    ks_sql_step rc;
    uint64_t changes = 0;
    int64_t state = 0;
    tdsa_status st;

    ks_arg_blob(&b, beta, KS_BETA_LEN);
    ks_arg_int(&b, from);
    ks_arg_int(&b, to);
    st = ks_stmt_run(&b, &changes, "moving a batch", err);
    if (st != TDSA_OK || changes > 0) {
        return st;
    }
    rc = state_of(q, beta, &state);
    if (rc == KS_SQL_DONE) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no such batch of presignatures");
    }
    if (rc != KS_SQL_ROW) {
        return ks_sql_fail(q, rc, "reading a batch", err);
    }
    return TDSA_FAIL(err, TDSA_E_CONFLICT, "the batch is in state %lld, not %d", (long long)state,
                     (int)from);
}

tdsa_status ks_sql_batch_move(ks_backend *backend, const uint8_t *beta, ks_batch_state from,
                              ks_batch_state to, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(backend);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_write(q); ks_sql_tx_next(&tx, &st, err);) {
        st = move_row(q, beta, from, to, err);
    }
    return st;
}

static void bind_wanted(ks_stmt *b, const ks_batch_query *query)
{
    ks_arg_int(b, query->state);
    ks_arg_int(b, query->unspent);
    ks_arg_int(b, query->any_epoch);
    ks_arg_int(b, query->epoch);
    ks_arg_int(b, ks_any_lane(query) ? INT64_MIN : query->lane_from);
    ks_arg_int(b, ks_any_lane(query) ? INT64_MAX : query->lane_to);
    ks_arg_int(b, query->outside);
}

static void bind_limit(ks_stmt *b, const ks_batch_query *query)
{
    const bool all = query->limit == 0 || query->limit > INT32_MAX;

    ks_arg_int(b, all ? INT32_MAX : (int64_t)query->limit);
}

static ks_stmt use_query(ks_sql *q, const ks_batch_query *query)
{
    ks_stmt b;

    if (query->beta != NULL) {
        b = ks_stmt_use(q, KS_SQL_BATCH_BY_BETA);
        ks_arg_blob(&b, query->beta, KS_BETA_LEN);
        bind_wanted(&b, query);
        if (query->key_id != NULL) {
            ks_arg_text(&b, query->key_id);
        } else {
            ks_arg_null(&b);
        }
    } else if (query->key_id == NULL) {
        b = ks_stmt_use(q, KS_SQL_BATCH_ALL);
        ks_arg_int(&b, 0);
        bind_wanted(&b, query);
        bind_limit(&b, query);
    } else {
        b = ks_stmt_use(q, KS_SQL_BATCH_BY_KEY);
        ks_arg_text(&b, query->key_id);
        bind_wanted(&b, query);
        bind_limit(&b, query);
    }
    return b;
}

/* The burn masks of a batch; KS_SQL_DONE, or an error. */
static ks_sql_step read_burnt(ks_sql *q, const uint8_t *beta, uint64_t masks[BLOCKS_MAX])
{
    ks_stmt b = ks_stmt_use(q, KS_SQL_BURNT_ALL);
    ks_sql_step rc;

    ks_arg_blob(&b, beta, KS_BETA_LEN);
    while ((rc = ks_stmt_step(&b)) == KS_SQL_ROW) {
        const int64_t block = ks_col_int(&b, 0);

        if (block >= 0 && block < (int64_t)BLOCKS_MAX) { /* else an edited row */
            masks[block] = (uint64_t)ks_col_int(&b, 1);
        }
    }
    ks_stmt_done(&b);
    return rc;
}

void ks_sql_batch_columns(ks_stmt *b, ks_batch_row *row)
{
    static const uint8_t no_beta[KS_BETA_LEN] = {0};
    const int64_t state = ks_col_int(b, 3);
    size_t len = 0;

    row->beta = ks_col_blob(b, 0, &len);
    if (row->beta == NULL || len != KS_BETA_LEN) {
        row->beta = no_beta; /* an edited row: its seal will not open */
    }
    row->key_id = ks_col_text(b, 1);
    row->epoch = (uint32_t)ks_col_int(b, 2);
    row->state = (ks_batch_state)state;
    row->lane = (uint64_t)ks_col_int(b, 4);
    row->seq = (uint64_t)ks_col_int(b, 5);
    row->count = (uint32_t)ks_col_int(b, 6);
    row->next = (uint32_t)ks_col_int(b, 7);
    row->members = (uint32_t)ks_col_int(b, 8);
}

/* Reads the large part of a batch. Without one the batch was purged since its row was read (gone), or
 * somebody edited the tables. */
static ks_sql_step read_data(ks_stmt *data, ks_batch_row *row, bool *gone)
{
    ks_sql_step rc;
    int64_t state = 0;

    ks_arg_blob(data, row->beta, KS_BETA_LEN);
    rc = ks_stmt_step(data);
    if (rc == KS_SQL_ROW) {
        row->sealed = ks_col_blob(data, 0, &row->sealed_len);
    } else if (rc == KS_SQL_DONE) {
        rc = state_of(data->q, row->beta, &state);
        *gone = rc == KS_SQL_DONE;
    }
    return rc;
}

/* Hands one row on; with_data reads the large part while the row stays lent. KS_SQL_ROW: go on. */
static ks_sql_step give_row(ks_sql_tx *tx, ks_stmt *b, const ks_batch_query *query,
                            ks_batch_row_fn fn, void *ctx)
{
    uint64_t masks[BLOCKS_MAX] = {0};
    ks_batch_row row = {.burnt = masks};
    ks_stmt data = ks_stmt_use(tx->q, KS_SQL_BATCH_DATA);
    ks_sql_step rc = KS_SQL_DONE;
    bool gone = false;

    ks_sql_batch_columns(b, &row);
    if (query->with_burnt) {
        rc = read_burnt(tx->q, row.beta, masks);
    }
    if (query->with_data && rc == KS_SQL_DONE) {
        rc = read_data(&data, &row, &gone);
    }
    if (rc == KS_SQL_ROW || rc == KS_SQL_DONE) {
        rc = KS_SQL_ROW;
        if (!gone) {
            tx->given = true;
            rc = fn(ctx, &row) && query->beta == NULL ? KS_SQL_ROW : KS_SQL_DONE;
        }
    }
    ks_stmt_done(&data);
    return rc;
}

tdsa_status ks_sql_batch_each(ks_backend *backend, const ks_batch_query *query, ks_batch_row_fn fn,
                              void *ctx, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(backend);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_read(q); ks_sql_tx_next(&tx, &st, err);) {
        ks_stmt b = use_query(q, query);
        ks_sql_step rc = ks_stmt_step(&b);

        while (rc == KS_SQL_ROW) {
            rc = give_row(&tx, &b, query, fn, ctx);
            if (rc == KS_SQL_ROW) {
                rc = ks_stmt_step(&b);
            }
        }
        ks_stmt_done(&b);
        st = rc == KS_SQL_DONE ? TDSA_OK : ks_sql_fail(q, rc, "reading batches", err);
    }
    return st;
}

static tdsa_status count_dropped(ks_sql *q, const char *key_id, bool only_spent, uint64_t *dropped,
                                 tdsa_err *err)
{
    ks_stmt b = ks_stmt_use(q, KS_SQL_PURGE_COUNT);
    ks_sql_step rc;

    ks_arg_text(&b, key_id);
    ks_arg_int(&b, only_spent);
    rc = ks_stmt_step(&b);
    if (rc == KS_SQL_ROW) {
        *dropped = (uint64_t)ks_col_int(&b, 0);
    }
    ks_stmt_done(&b);
    return rc == KS_SQL_ROW ? TDSA_OK : ks_sql_fail(q, rc, "counting presignatures", err);
}

tdsa_status ks_sql_purge(ks_sql *q, const char *key_id, bool only_spent, uint64_t *dropped,
                         tdsa_err *err)
{
    static const ks_sql_id steps[] = {KS_SQL_PURGE_BLOCK, KS_SQL_PURGE_DATA, KS_SQL_PURGE_BATCH};
    ks_stmt b;
    tdsa_status st = count_dropped(q, key_id, only_spent, dropped, err);

    if (st != TDSA_OK) {
        return st;
    }
    b = ks_stmt_use(q, KS_SQL_PURGE_MARK);
    ks_arg_text(&b, key_id);
    ks_arg_int(&b, only_spent);
    st = ks_stmt_run(&b, NULL, "purging presignatures", err);
    for (size_t i = 0; st == TDSA_OK && i < sizeof steps / sizeof steps[0]; i++) {
        b = ks_stmt_use(q, steps[i]);
        ks_arg_text(&b, key_id);
        st = ks_stmt_run(&b, NULL, "purging presignatures", err);
    }
    return st;
}

tdsa_status ks_sql_batch_purge(ks_backend *backend, const char *key_id, bool only_spent,
                               uint64_t *dropped, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(backend);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_write(q); ks_sql_tx_next(&tx, &st, err);) {
        st = ks_sql_purge(q, key_id, only_spent, dropped, err);
    }
    if (st != TDSA_OK) {
        *dropped = 0;
    }
    return st;
}

tdsa_status ks_sql_batch_void_made(ks_backend *backend, uint64_t seq_below, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(backend);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_write(q); ks_sql_tx_next(&tx, &st, err);) {
        ks_stmt b = ks_stmt_use(q, KS_SQL_VOID_MADE);

        ks_arg_u64(&b, seq_below);
        st = ks_stmt_run(&b, NULL, "voiding batches", err);
    }
    return st;
}

/* Raises the counter of leases and burns, inside the transaction of one. */
static tdsa_status count_burn(ks_sql *q, tdsa_status st, uint64_t *burns, tdsa_err *err)
{
    return st == TDSA_OK ? ks_sql_count(q, KS_COUNTER_BURN, burns, err) : st;
}

static tdsa_status lease_rows(ks_sql *q, const uint8_t *beta, uint32_t from, uint32_t to,
                              tdsa_err *err)
{
    ks_stmt b = ks_stmt_use(q, KS_SQL_LEASE);
    uint64_t changes = 0;
    tdsa_status st;

    ks_arg_blob(&b, beta, KS_BETA_LEN);
    ks_arg_int(&b, from);
    ks_arg_int(&b, to);
    st = ks_stmt_run(&b, &changes, "leasing presignatures", err);
    if (st == TDSA_OK && changes == 0) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT,
                         "presignatures %u to %u are not there to lease: read the batch again",
                         from, to);
    }
    return st;
}

tdsa_status ks_sql_lease(ks_backend *backend, const uint8_t *beta, uint32_t from, uint32_t to,
                         uint64_t *burns, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(backend);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_write(q); ks_sql_tx_next(&tx, &st, err);) {
        st = lease_rows(q, beta, from, to, err);
        st = count_burn(q, st, burns, err);
    }
    return st;
}

/* Sets bits of one block, by a statement that says under what condition. */
static tdsa_status burn_rows(ks_sql *q, ks_sql_id how, const uint8_t *beta, uint32_t block,
                             uint64_t bits, tdsa_err *err)
{
    const uint32_t top = block * KS_BLOCK_SIZE + ks_top_bit(bits);
    const ks_batch_query query = {.beta = beta, .state = KS_BATCH_FREE, .any_epoch = true};
    ks_stmt b = ks_stmt_use(q, how);
    ks_sql_step rc;
    uint32_t count = 0;
    uint64_t changes = 0;
    tdsa_status st;

    ks_arg_blob(&b, beta, KS_BETA_LEN);
    ks_arg_int(&b, block);
    ks_arg_u64(&b, bits);
    ks_arg_int(&b, top);
    st = ks_stmt_run(&b, &changes, "burning presignatures", err);
    if (st != TDSA_OK || changes > 0) {
        return st;
    }
    b = use_query(q, &query);
    rc = ks_stmt_step(&b);
    if (rc == KS_SQL_ROW) {
        count = (uint32_t)ks_col_int(&b, 6);
    }
    ks_stmt_done(&b);
    if (rc != KS_SQL_ROW && rc != KS_SQL_DONE) {
        return ks_sql_fail(q, rc, "reading a batch", err);
    }
    if (top >= count) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no such presignature is free");
    }
    return TDSA_FAIL(err, TDSA_E_CONFLICT, "a presignature of the range was used already");
}

tdsa_status ks_sql_burn(ks_backend *backend, const uint8_t *beta, uint32_t block, uint64_t bits,
                        uint64_t *burns, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(backend);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_write(q); ks_sql_tx_next(&tx, &st, err);) {
        st = burn_rows(q, KS_SQL_BURN, beta, block, bits, err);
        st = count_burn(q, st, burns, err);
    }
    return st;
}

static tdsa_status burn_blocks(ks_sql *q, const uint8_t *beta, uint32_t from, uint32_t to,
                               tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    for (uint32_t block = from / KS_BLOCK_SIZE; st == TDSA_OK && block * KS_BLOCK_SIZE < to;
         block++) {
        st = burn_rows(q, KS_SQL_BURN, beta, block, ks_block_bits(block, from, to), err);
    }
    return st;
}

tdsa_status ks_sql_burn_range(ks_backend *backend, const uint8_t *beta, uint32_t from, uint32_t to,
                              uint64_t *burns, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(backend);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_write(q); ks_sql_tx_next(&tx, &st, err);) {
        st = burn_blocks(q, beta, from, to, err);
        st = count_burn(q, st, burns, err);
    }
    return st;
}

tdsa_status ks_sql_burn_unleased(ks_sql *q, const uint8_t *beta, uint32_t index, uint64_t *burns,
                                 tdsa_err *err)
{
    const tdsa_status st = burn_rows(q, KS_SQL_BURN_UNLEASED, beta, index / KS_BLOCK_SIZE,
                                     1ull << (index % KS_BLOCK_SIZE), err);

    return count_burn(q, st, burns, err);
}

tdsa_status ks_sql_batch_void_with(ks_backend *backend, const char *key_id, uint32_t members,
                                   tdsa_err *err)
{
    ks_sql *q = ks_sql_of(backend);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_write(q); ks_sql_tx_next(&tx, &st, err);) {
        ks_stmt b = ks_stmt_use(q, KS_SQL_VOID_WITH);

        ks_arg_text(&b, key_id);
        ks_arg_int(&b, members);
        st = ks_stmt_run(&b, NULL, "voiding batches", err);
    }
    return st;
}

/* ---- everything ---- */

static tdsa_status raise_counter(ks_sql *q, const char *name, uint64_t value, tdsa_err *err)
{
    ks_stmt b = ks_stmt_use(q, KS_SQL_COUNTER_RAISE);

    ks_arg_text(&b, name);
    ks_arg_u64(&b, value);
    return ks_stmt_run(&b, NULL, "raising a counter", err);
}

static tdsa_status clear_batches(ks_sql *q, uint64_t *dropped, tdsa_err *err)
{
    static const ks_sql_id steps[] = {KS_SQL_CLEAR_BLOCK, KS_SQL_CLEAR_DATA, KS_SQL_CLEAR_BATCH};
    ks_stmt b = ks_stmt_use(q, KS_SQL_CLEAR_COUNT);
    const ks_sql_step rc = ks_stmt_step(&b);
    tdsa_status st = TDSA_OK;

    *dropped = rc == KS_SQL_ROW ? (uint64_t)ks_col_int(&b, 0) : 0;
    ks_stmt_done(&b);
    if (rc != KS_SQL_ROW) {
        return ks_sql_fail(q, rc, "counting presignatures", err);
    }
    for (size_t i = 0; st == TDSA_OK && i < sizeof steps / sizeof steps[0]; i++) {
        b = ks_stmt_use(q, steps[i]);
        st = ks_stmt_run(&b, NULL, "purging presignatures", err);
    }
    return st;
}

static tdsa_status purge_rows(ks_sql *q, const ks_marks *at_least, uint64_t *dropped, tdsa_err *err)
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
    return st == TDSA_OK ? ks_sql_count(q, KS_COUNTER_PURGE, &purges, err) : st;
}

tdsa_status ks_sql_purge_all(ks_backend *backend, const ks_marks *at_least, uint64_t *dropped,
                             tdsa_err *err)
{
    ks_sql *q = ks_sql_of(backend);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_anywhere(ks_sql_write(q)); ks_sql_tx_next(&tx, &st, err);) {
        st = purge_rows(q, at_least, dropped, err);
    }
    if (st != TDSA_OK) {
        *dropped = 0;
    }
    return st;
}

tdsa_status ks_sql_burnt(ks_backend *backend, const uint8_t *beta, uint32_t block, uint64_t *mask,
                         tdsa_err *err)
{
    ks_sql *q = ks_sql_of(backend);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_read(q); ks_sql_tx_next(&tx, &st, err);) {
        ks_stmt b = ks_stmt_use(q, KS_SQL_BURNT);
        ks_sql_step rc;

        ks_arg_blob(&b, beta, KS_BETA_LEN);
        ks_arg_int(&b, block);
        rc = ks_stmt_step(&b);
        *mask = rc == KS_SQL_ROW ? (uint64_t)ks_col_int(&b, 0) : 0;
        ks_stmt_done(&b);
        st = rc == KS_SQL_ROW || rc == KS_SQL_DONE
                 ? TDSA_OK
                 : ks_sql_fail(q, rc, "reading what is burnt", err);
    }
    return st;
}

static tdsa_status raise_seq(ks_sql *q, const char *key_id, uint32_t epoch, uint64_t lane,
                             uint64_t seq, tdsa_err *err)
{
    ks_stmt b = ks_stmt_use(q, KS_SQL_SEQ_RAISE);
    uint64_t changes = 0;
    tdsa_status st;

    ks_arg_text(&b, key_id);
    ks_arg_int(&b, epoch);
    ks_arg_u64(&b, lane);
    ks_arg_u64(&b, seq);
    st = ks_stmt_run(&b, &changes, "raising a batch number", err);
    if (st != TDSA_OK || changes > 0) {
        return st;
    }
    st = ks_sql_key_live(q, key_id, err);
    if (st != TDSA_OK) {
        return st;
    }
    return TDSA_FAIL(err, TDSA_E_CONFLICT, "batch number %llu of key %s was used already",
                     (unsigned long long)seq, key_id);
}

tdsa_status ks_sql_seq_raise(ks_backend *backend, const char *key_id, uint32_t epoch, uint64_t lane,
                             uint64_t seq, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(backend);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_write(q); ks_sql_tx_next(&tx, &st, err);) {
        st = raise_seq(q, key_id, epoch, lane, seq, err);
    }
    return st;
}
