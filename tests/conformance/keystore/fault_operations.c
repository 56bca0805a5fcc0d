#include "fault_operations.h"

#include <stdio.h>

const uint8_t fault_bytes[FAULT_BYTES] = {1, 2, 3};

static ks_key_row key_row(const char *key_id, uint32_t epoch, ks_key_state state)
{
    return (ks_key_row){.key_id = key_id,
                        .epoch = epoch,
                        .state = state,
                        .label = "label",
                        .created_ms = 5,
                        .presignature_limit = -1,
                        .public_part = fault_bytes,
                        .public_len = 20,
                        .attrs = fault_bytes,
                        .attrs_len = 3,
                        .sealed = fault_bytes,
                        .sealed_len = FAULT_BYTES};
}

static ks_batch_row batch_row(const uint8_t *beta, ks_batch_state state, uint64_t seq)
{
    return (ks_batch_row){.beta = beta,
                          .key_id = "act",
                          .state = state,
                          .lane = 1,
                          .seq = seq,
                          .count = 100,
                          .members = 7,
                          .sealed = fault_bytes,
                          .sealed_len = FAULT_BYTES};
}

static ks_deletion order(const char *key_id, uint64_t serial, ks_deletion_state state)
{
    ks_deletion d = {.serial = serial, .state = state, .due_ms = 9, .grace_ms = 4, .members = 7};

    (void)snprintf(d.key_id, sizeof d.key_id, "%s", key_id);
    return d;
}

static ks_partial partial(uint32_t index)
{
    ks_partial p = {.beta = {1}, .index = index, .key_id = "act", .expires_ms = 50};

    return p;
}

/* ---- rows to begin with ---- */

static tdsa_status active_key(ks_backend *b, const char *key_id, tdsa_err *err)
{
    const ks_key_row row = key_row(key_id, 0, KS_KEY_REGISTERED);
    const ks_key_row share = key_row(key_id, 0, KS_KEY_PENDING);
    tdsa_status st = b->ops->key_insert(b, &row, err);

    if (st == TDSA_OK) {
        st = b->ops->key_update(b, &share, KS_KEY_REGISTERED, err);
    }
    return st == TDSA_OK ? b->ops->key_move(b, key_id, 0, KS_KEY_PENDING, KS_KEY_ACTIVE, err) : st;
}

tdsa_status fault_rows(ks_backend *b, tdsa_err *err)
{
    const ks_key_row next = key_row("act", 1, KS_KEY_PENDING);
    const ks_key_row registered = key_row("reg", 0, KS_KEY_REGISTERED);
    const ks_deletion d = order("ord", 1, KS_DELETION_SCHEDULED);
    const ks_partial p = partial(5);
    uint64_t burns = 0;
    tdsa_status st = active_key(b, "act", err);

    st = st == TDSA_OK ? active_key(b, "ord", err) : st;
    st = st == TDSA_OK ? b->ops->key_add(b, &next, err) : st;
    st = st == TDSA_OK ? b->ops->key_insert(b, &registered, err) : st;
    st = st == TDSA_OK ? b->ops->deletion_put(b, &d, NULL, err) : st;
    for (uint8_t tag = 1; st == TDSA_OK && tag <= 3; tag++) {
        const ks_batch_row row =
            batch_row(BETA(tag), tag == 2 ? KS_BATCH_MADE : KS_BATCH_FREE, tag);

        st = b->ops->batch_insert(b, &row, err);
    }
    st = st == TDSA_OK ? b->ops->lease(b, BETA(3), 0, 100, &burns, err) : st;
    st = st == TDSA_OK ? b->ops->burn(b, BETA(1), 1, 6, &burns, err) : st;
    st = st == TDSA_OK ? b->ops->partial_burn(b, &p, &burns, err) : st;
    st = st == TDSA_OK ? b->ops->seq_raise(b, "act", 0, 1, 3, err) : st;
    st = st == TDSA_OK ? b->ops->meta_put(b, "m", fault_bytes, 4, err) : st;
    return st == TDSA_OK ? fault_sealed_rows(b, err) : st;
}

/* ---- what reads ---- */

static bool note_key(void *ctx, const ks_key_row *row)
{
    tdsa_buf_appendf(ctx, "%s %u %d %zu;", row->key_id, row->epoch, (int)row->state,
                     row->sealed_len);
    return true;
}

static bool note_batch(void *ctx, const ks_batch_row *row)
{
    tdsa_buf_appendf(ctx, "%u %d %llu %zu %llx;", row->beta[0], (int)row->state,
                     (unsigned long long)row->seq, row->sealed_len,
                     (unsigned long long)(row->burnt[0] + row->burnt[1]));
    return true;
}

static bool note_order(void *ctx, const ks_deletion *d)
{
    tdsa_buf_appendf(ctx, "%s %d;", d->key_id, (int)d->state);
    return true;
}

OPERATION(key_get)
{
    return b->ops->key_get(b, "act", note_key, out, err);
}

OPERATION(key_each)
{
    return b->ops->key_each(b, NULL, 10, note_key, out, err);
}

OPERATION(key_labelled)
{
    const ks_key_page page = {NULL, 10};

    return b->ops->key_labelled(b, "label of act", &page, note_key, out, err);
}

OPERATION(key_changed)
{
    const ks_key_changes which = {0, 100, 10};

    return b->ops->key_changed(b, &which, note_key, out, err);
}

OPERATION(key_has_share)
{
    bool has = false;
    const tdsa_status st = b->ops->key_has_share(b, &has, err);

    fault_number(out, has);
    return st;
}

OPERATION(key_rows)
{
    return b->ops->key_rows(b, "act", (ks_key_state)0, note_key, out, err);
}

OPERATION(deletion_each)
{
    return b->ops->deletion_each(b, NULL, note_order, out, err);
}

OPERATION(batch_one)
{
    const ks_batch_query q = {
        .beta = BETA(1), .any_epoch = true, .with_data = true, .with_burnt = true};

    return b->ops->batch_each(b, &q, note_batch, out, err);
}

OPERATION(batch_each)
{
    const ks_batch_query q = {
        .key_id = "act", .any_epoch = true, .with_data = true, .with_burnt = true};

    return b->ops->batch_each(b, &q, note_batch, out, err);
}

OPERATION(burnt)
{
    uint64_t mask = 0;
    const tdsa_status st = b->ops->burnt(b, BETA(1), 1, &mask, err);

    fault_number(out, mask);
    return st;
}

OPERATION(partial_get)
{
    ks_partial p = {0};
    const tdsa_status st = b->ops->partial_get(b, BETA(1), 5, &p, err);

    fault_number(out, p.expires_ms);
    return st;
}

OPERATION(meta_get)
{
    return b->ops->meta_get(b, "m", out, err);
}

OPERATION(counter_get)
{
    uint64_t number = 0;
    const tdsa_status st = b->ops->counter_get(b, "burns", &number, err);

    fault_number(out, number);
    return st;
}

OPERATION(change_counter)
{
    uint64_t number = 0;
    const tdsa_status st = b->ops->change_counter(b, &number, err);

    fault_number(out, number);
    return st;
}

/* ---- what writes ---- */

/* A row that is sealed under the current data key, which the transaction checks. */
OPERATION(fenced)
{
    const ks_key_row row = key_row("reg", 0, KS_KEY_PENDING);
    tdsa_status st;

    NOTHING_GIVEN;
    b->fencing = true;
    b->fence = 1;
    st = b->ops->key_update(b, &row, KS_KEY_REGISTERED, err);
    b->fencing = false;
    return st;
}

OPERATION(ping)
{
    NOTHING_GIVEN;
    return b->ops->ping(b, err);
}

OPERATION(key_insert)
{
    const ks_key_row row = key_row("new", 0, KS_KEY_REGISTERED);

    NOTHING_GIVEN;
    return b->ops->key_insert(b, &row, err);
}

OPERATION(key_update)
{
    const ks_key_row row = key_row("reg", 0, KS_KEY_PENDING);

    NOTHING_GIVEN;
    return b->ops->key_update(b, &row, KS_KEY_REGISTERED, err);
}

OPERATION(key_move)
{
    NOTHING_GIVEN;
    return b->ops->key_move(b, "act", 1, KS_KEY_PENDING, KS_KEY_ACTIVE, err);
}

OPERATION(key_add)
{
    const ks_key_row row = key_row("reg", 1, KS_KEY_PENDING);

    NOTHING_GIVEN;
    return b->ops->key_add(b, &row, err);
}

OPERATION(key_restore)
{
    const ks_key_row row = key_row("reg", 2, KS_KEY_RESTORED);

    NOTHING_GIVEN;
    return b->ops->key_restore(b, &row, err);
}

OPERATION(key_drop)
{
    NOTHING_GIVEN;
    return b->ops->key_drop(b, "act", 1, err);
}

OPERATION(key_set_attrs)
{
    NOTHING_GIVEN;
    return b->ops->key_set_attrs(b, "act", "other", fault_bytes, 9, err);
}

OPERATION(key_set_limit)
{
    NOTHING_GIVEN;
    return b->ops->key_set_limit(b, "act", 77, err);
}

OPERATION(key_delete)
{
    NOTHING_GIVEN;
    return b->ops->key_delete(b, "act", true, err);
}

OPERATION(deletion_put)
{
    const ks_deletion was = order("ord", 1, KS_DELETION_SCHEDULED);
    const ks_deletion d = order("ord", 1, KS_DELETION_WIPED);

    NOTHING_GIVEN;
    return b->ops->deletion_put(b, &d, &was, err);
}

OPERATION(deletion_told)
{
    const ks_deletion d = order("ord", 1, KS_DELETION_SCHEDULED);

    NOTHING_GIVEN;
    return b->ops->deletion_told(b, &d, 3, err);
}

OPERATION(batch_insert)
{
    const ks_batch_row row = batch_row(BETA(9), KS_BATCH_MADE, 9);

    NOTHING_GIVEN;
    return b->ops->batch_insert(b, &row, err);
}

OPERATION(batch_move)
{
    NOTHING_GIVEN;
    return b->ops->batch_move(b, BETA(2), KS_BATCH_MADE, KS_BATCH_FREE, err);
}

OPERATION(batch_purge)
{
    uint64_t dropped = 0;
    const tdsa_status st = b->ops->batch_purge(b, "act", false, &dropped, err);

    fault_number(out, dropped);
    return st;
}

OPERATION(batch_void_made)
{
    NOTHING_GIVEN;
    return b->ops->batch_void_made(b, 0, err);
}

OPERATION(batch_void_with)
{
    NOTHING_GIVEN;
    return b->ops->batch_void_with(b, "act", 2, err);
}

OPERATION(purge_all)
{
    const ks_marks marks = {.burns = 1000};
    uint64_t dropped = 0;
    const tdsa_status st = b->ops->purge_all(b, &marks, &dropped, err);

    fault_number(out, dropped);
    return st;
}

OPERATION(lease)
{
    uint64_t burns = 0;
    const tdsa_status st = b->ops->lease(b, BETA(1), 0, 4, &burns, err);

    if (st == TDSA_OK) {
        fault_number(out, burns);
    }
    return st;
}

OPERATION(burn)
{
    uint64_t burns = 0;
    const tdsa_status st = b->ops->burn(b, BETA(1), 0, 8, &burns, err);

    if (st == TDSA_OK) {
        fault_number(out, burns);
    }
    return st;
}

OPERATION(burn_range)
{
    uint64_t burns = 0;
    const tdsa_status st = b->ops->burn_range(b, BETA(1), 60, 65, &burns, err);

    if (st == TDSA_OK) {
        fault_number(out, burns);
    }
    return st;
}

OPERATION(partial_burn)
{
    const ks_partial p = partial(6);
    uint64_t burns = 0;
    const tdsa_status st = b->ops->partial_burn(b, &p, &burns, err);

    if (st == TDSA_OK) {
        fault_number(out, burns);
    }
    return st;
}

OPERATION(partial_fail)
{
    NOTHING_GIVEN;
    return b->ops->partial_fail(b, BETA(1), 5, err);
}

OPERATION(partial_collect)
{
    uint64_t left = 0;
    const tdsa_status st = b->ops->partial_collect(b, 60, &left, err);

    fault_number(out, left);
    return st;
}

OPERATION(seq_raise)
{
    NOTHING_GIVEN;
    return b->ops->seq_raise(b, "act", 0, 1, 4, err);
}

OPERATION(meta_put)
{
    NOTHING_GIVEN;
    return b->ops->meta_put(b, "m", fault_bytes, 8, err);
}

OPERATION(meta_create)
{
    NOTHING_GIVEN;
    return b->ops->meta_create(b, "n", fault_bytes, 8, err);
}

OPERATION(counter_next)
{
    uint64_t number = 0;
    const tdsa_status st = b->ops->counter_next(b, "burns", &number, err);

    if (st == TDSA_OK) {
        fault_number(out, number);
    }
    return st;
}

const fault_operation fault_operations[] = {
    ONE(key_has_share),
    ONE(key_get),
    LISTS(key_each),
    LISTS(key_labelled),
    LISTS(key_changed),
    LISTS(key_rows),
    LISTS(deletion_each),
    ONE(batch_one),
    LISTS(batch_each),
    ONE(burnt),
    ONE(partial_get),
    ONE(meta_get),
    ONE(counter_get),
    ONE(change_counter),
    ONE(ping),
    ONE(key_insert),
    ONE(key_update),
    ONE(key_move),
    ONE(key_add),
    ONE(key_restore),
    ONE(key_drop),
    ONE(key_set_attrs),
    ONE(key_set_limit),
    ONE(key_delete),
    ONE(deletion_put),
    ONE(deletion_told),
    ONE(batch_insert),
    ONE(batch_move),
    ONE(batch_purge),
    ONE(batch_void_made),
    ONE(batch_void_with),
    ONE(purge_all),
    ONE(lease),
    ONE(burn),
    ONE(burn_range),
    ONE(partial_burn),
    ONE(partial_fail),
    ONE(partial_collect),
    ONE(seq_raise),
    ONE(meta_put),
    ONE(meta_create),
    ONE(counter_next),
    ONE(fenced),
};
const size_t fault_operation_count = sizeof fault_operations / sizeof fault_operations[0];
