#include "keystore/backend_sql.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

static const ks_backend_ops sql_ops;

ks_sql *ks_sql_of(ks_backend *b)
{
    return (ks_sql *)(void *)b;
}

ks_sql *ks_sql_new(const ks_sql_driver *driver, ks_sql_place *place, tdsa_err *err)
{
    ks_sql *q = calloc(1, sizeof *q);

    if (q == NULL) {
        (void)TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the database");
        return NULL;
    }
    q->base.ops = &sql_ops;
    q->driver = driver;
    q->place = place;
    return q;
}

static void free_all(ks_sql *q)
{
    if (q->spare != NULL) {
        free(q->spare);
        (void)pthread_mutex_destroy(&q->spare_mu);
    }
    ks_sql_place_free(q->place);
    free(q);
}

static void sql_close(ks_backend *b)
{
    ks_sql *q = ks_sql_of(b);

    if (q->spare != NULL) {
        ks_sql_drop(q->spare);
    }
    ks_sql_drop(q);
    free_all(q);
}

/* In a child, which holds the lock of the spare connection. */
static void sql_abandon(ks_backend *b)
{
    ks_sql *q = ks_sql_of(b);

    if (q->conn != NULL) {
        q->driver->abandon(q->conn);
    }
    if (q->spare != NULL && q->spare->conn != NULL) {
        q->driver->abandon(q->spare->conn);
    }
    ks_sql_release(b);
    free_all(q);
}

tdsa_status ks_sql_open(ks_backend **out, const ks_sql_driver *driver, const ks_cfg *cfg,
                        tdsa_err *err)
{
    ks_sql_place *place = NULL;
    ks_sql *q = NULL;
    tdsa_status st = ks_sql_place_make(&place, cfg, err);

    *out = NULL;
    if (st != TDSA_OK) {
        return st;
    }
    q = ks_sql_new(driver, place, err);
    if (q == NULL) {
        ks_sql_place_free(place);
        return TDSA_E_NO_MEMORY;
    }
    q->log = cfg->log;
    st = ks_sql_connect(q, cfg, err);
    if (st == TDSA_OK) {
        st = ks_sql_add_spare(q, err);
    }
    if (st != TDSA_OK) {
        sql_close(&q->base);
        return st;
    }
    *out = &q->base;
    return TDSA_OK;
}

void ks_sql_forget(ks_sql *q)
{
    if (q->conn != NULL && q->driver->forget != NULL) {
        q->driver->forget(q->conn);
    }
}

/* ---- which database ---- */

static tdsa_status sql_identity(ks_backend *b, tdsa_buf *out, tdsa_err *err)
{
    const ks_sql *q = ks_sql_of(b);

    tdsa_buf_append(out, q->identity, strlen(q->identity));
    return tdsa_buf_check(out, err);
}

static bool sql_moved(ks_backend *b)
{
    return ks_sql_of(b)->moved;
}

static void sql_settled(ks_backend *b)
{
    ks_sql_of(b)->moved = false;
    ks_sql_of(b)->fenced = true;
}

/* ---- values and counters ---- */

static tdsa_status read_changes(ks_sql *q, uint64_t *out, tdsa_err *err)
{
    ks_stmt b = ks_stmt_use(q, KS_SQL_KEY_CHANGES);
    const ks_sql_step rc = ks_stmt_step(&b);

    *out = rc == KS_SQL_ROW ? (uint64_t)ks_col_int(&b, 0) : 0;
    ks_stmt_done(&b);
    if (rc != KS_SQL_ROW && rc != KS_SQL_DONE) {
        return ks_sql_fail(q, rc, "reading a counter", err);
    }
    return TDSA_OK;
}

/* data_version tells, without reading a page, whether another connection wrote anything at all;
 * only then is the counter of key changes read again. */
static tdsa_status changes_since(ks_sql *q, tdsa_err *err)
{
    int64_t version = 0;
    ks_sql_step rc = KS_SQL_DONE;
    tdsa_status st = TDSA_OK;

    if (q->driver->data_version != NULL) {
        rc = q->dead ? KS_SQL_DEAD : q->driver->data_version(q->conn, &version);
        if (rc != KS_SQL_DONE) {
            q->trouble = rc;
            return ks_sql_fail(q, rc, "reading a counter", err);
        }
    }
    if (q->driver->data_version == NULL || !q->key_changes_known || version != q->data_version) {
        st = read_changes(q, &q->key_changes, err);
        q->data_version = version;
        q->key_changes_known = st == TDSA_OK;
    }
    return st;
}

static tdsa_status count_changes(ks_sql *q, uint64_t *out, tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_read(q); ks_sql_tx_next(&tx, &st, err);) {
        st = changes_since(q, err);
    }
    *out = q->key_changes;
    return st;
}

static tdsa_status sql_change_counter(ks_backend *b, uint64_t *out, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(b);
    tdsa_status st;

    if (!b->counter_apart) {
        return count_changes(q, out, err);
    }
    TDSA_ASSERT(pthread_mutex_lock(&q->spare_mu) == 0);
    st = count_changes(q->spare, out, err);
    TDSA_ASSERT(pthread_mutex_unlock(&q->spare_mu) == 0);
    return st;
}

/* Runs a statement that stores a value under a name. */
static tdsa_status put(ks_sql *q, ks_sql_id how, const char *name, const uint8_t *value, size_t len,
                       uint64_t *changes, tdsa_err *err)
{
    ks_stmt b = ks_stmt_use(q, how);

    ks_arg_text(&b, name);
    ks_arg_bytes(&b, value, len);
    return ks_stmt_run(&b, changes, "storing a value", err);
}

static tdsa_status meta_put(ks_backend *b, const char *name, const uint8_t *value, size_t len,
                            tdsa_err *err)
{
    ks_sql *q = ks_sql_of(b);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_anywhere(ks_sql_write(q)); ks_sql_tx_next(&tx, &st, err);) {
        st = put(q, KS_SQL_META_PUT, name, value, len, NULL, err);
    }
    return st;
}

static tdsa_status meta_create(ks_backend *b, const char *name, const uint8_t *value, size_t len,
                               tdsa_err *err)
{
    ks_sql *q = ks_sql_of(b);
    uint64_t changes = 0;
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_anywhere(ks_sql_write(q)); ks_sql_tx_next(&tx, &st, err);) {
        st = put(q, KS_SQL_META_CREATE, name, value, len, &changes, err);
        if (st == TDSA_OK && changes == 0) {
            st = TDSA_FAIL(err, TDSA_E_CONFLICT, "the value %s exists already", name);
        }
    }
    return st;
}

static tdsa_status get(ks_sql *q, const char *name, tdsa_buf *out, tdsa_err *err)
{
    ks_stmt b = ks_stmt_use(q, KS_SQL_META_GET);
    ks_sql_step rc;

    ks_arg_text(&b, name);
    rc = ks_stmt_step(&b);
    if (rc == KS_SQL_ROW) {
        size_t len = 0;
        const uint8_t *value = ks_col_blob(&b, 0, &len);

        tdsa_buf_append(out, value, len);
    }
    ks_stmt_done(&b);
    if (rc == KS_SQL_DONE) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no value named %s is stored", name);
    }
    return rc == KS_SQL_ROW ? tdsa_buf_check(out, err) : ks_sql_fail(q, rc, "reading a value", err);
}

static tdsa_status meta_get(ks_backend *b, const char *name, tdsa_buf *out, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(b);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_anywhere(ks_sql_read(q)); ks_sql_tx_next(&tx, &st, err);) {
        st = get(q, name, out, err);
    }
    return st;
}

tdsa_status ks_sql_count(ks_sql *q, const char *name, uint64_t *out, tdsa_err *err)
{
    ks_stmt next = ks_stmt_use(q, KS_SQL_COUNTER_NEXT);
    ks_sql_step rc;

    *out = 0;
    ks_arg_text(&next, name);
    rc = ks_stmt_step(&next);
    if (rc == KS_SQL_ROW) {
        *out = (uint64_t)ks_col_int(&next, 0);
        rc = ks_stmt_step(&next);
    }
    ks_stmt_done(&next);
    if (rc != KS_SQL_DONE) {
        *out = 0;
        return ks_sql_fail(q, rc, "raising a counter", err);
    }
    return TDSA_OK;
}

static tdsa_status counter_next(ks_backend *b, const char *name, uint64_t *out, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(b);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_anywhere(ks_sql_write(q)); ks_sql_tx_next(&tx, &st, err);) {
        st = ks_sql_count(q, name, out, err);
    }
    return st;
}

static tdsa_status counter_get(ks_backend *b, const char *name, uint64_t *out, tdsa_err *err)
{
    ks_sql *q = ks_sql_of(b);
    tdsa_status st = TDSA_OK;

    for (ks_sql_tx tx = ks_sql_anywhere(ks_sql_read(q)); ks_sql_tx_next(&tx, &st, err);) {
        ks_stmt get_it = ks_stmt_use(q, KS_SQL_COUNTER_GET);
        ks_sql_step rc;

        ks_arg_text(&get_it, name);
        rc = ks_stmt_step(&get_it);
        *out = rc == KS_SQL_ROW ? (uint64_t)ks_col_int(&get_it, 0) : 0;
        ks_stmt_done(&get_it);
        st = rc == KS_SQL_ROW ? TDSA_OK : ks_sql_fail(q, rc, "reading a counter", err);
    }
    return st;
}

static const ks_backend_ops sql_ops = {
    .close = sql_close,
    .abandon = sql_abandon,
    .hold = ks_sql_hold,
    .release = ks_sql_release,
    .ping = ks_sql_ping,
    .identity = sql_identity,
    .moved = sql_moved,
    .settled = sql_settled,
    .change_counter = sql_change_counter,
    .key_insert = ks_sql_key_insert,
    .key_update = ks_sql_key_update,
    .key_move = ks_sql_key_move,
    .key_set_attrs = ks_sql_key_set_attrs,
    .key_set_limit = ks_sql_key_set_limit,
    .key_add = ks_sql_key_add,
    .key_restore = ks_sql_key_restore,
    .key_has_share = ks_sql_key_has_share,
    .key_rows = ks_sql_key_rows,
    .key_drop = ks_sql_key_drop,
    .key_get = ks_sql_key_get,
    .key_each = ks_sql_key_each,
    .key_labelled = ks_sql_key_labelled,
    .key_changed = ks_sql_key_each_changed,
    .key_delete = ks_sql_key_delete,
    .deletion_put = ks_sql_deletion_put,
    .deletion_told = ks_sql_deletion_told,
    .deletion_each = ks_sql_deletion_each,
    .batch_insert = ks_sql_batch_insert,
    .batch_move = ks_sql_batch_move,
    .batch_each = ks_sql_batch_each,
    .batch_purge = ks_sql_batch_purge,
    .batch_void_made = ks_sql_batch_void_made,
    .batch_void_with = ks_sql_batch_void_with,
    .purge_all = ks_sql_purge_all,
    .lease = ks_sql_lease,
    .burn = ks_sql_burn,
    .burn_range = ks_sql_burn_range,
    .burnt = ks_sql_burnt,
    .seq_raise = ks_sql_seq_raise,
    .partial_burn = ks_sql_partial_burn,
    .partial_get = ks_sql_partial_get,
    .partial_fail = ks_sql_partial_fail,
    .partial_collect = ks_sql_partial_collect,
    .object_put = ks_sql_object_put,
    .object_each = ks_sql_object_each,
    .object_delete = ks_sql_object_delete,
    .meta_put = meta_put,
    .meta_create = meta_create,
    .meta_get = meta_get,
    .counter_next = counter_next,
    .counter_get = counter_get,
    .data_key_each = ks_sql_data_key_each,
    .data_key_add = ks_sql_data_key_add,
    .data_key_wrap = ks_sql_data_key_wrap,
    .data_key_drop = ks_sql_data_key_drop,
    .data_key_unchain = ks_sql_data_key_unchain,
    .sealed_each = ks_sql_sealed_each,
    .sealed_count = ks_sql_sealed_count,
    .reseal = ks_sql_reseal,
};
