#include <string.h>

#include "base/assert.h"
#include "keystore/backend_memory.h"

/* Data keys, and what is sealed under them. */

static tdsa_status no_memory(tdsa_err *err)
{
    return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the in-memory database");
}

static memory_data_key *find(ks_memory *m, uint32_t number)
{
    for (size_t i = 0; i < m->data_key_count; i++) {
        if (m->data_keys[i].number == number) {
            return &m->data_keys[i];
        }
    }
    return NULL;
}

tdsa_status ks_memory_data_key_each(ks_backend *b, ks_data_key_row_fn fn, void *ctx, tdsa_err *err)
{
    const ks_memory *m = ks_memory_of(b);

    (void)err;
    for (size_t i = 0; i < m->data_key_count; i++) {
        const memory_data_key *k = &m->data_keys[i];
        const ks_data_key_row row = {k->number,  k->state,       k->wrapped,
                                     k->chained, k->wrapped_len, k->chained_len};

        if (!fn(ctx, &row)) {
            break;
        }
    }
    return TDSA_OK;
}

tdsa_status ks_memory_data_key_add(ks_backend *b, const ks_data_key_row *row, tdsa_err *err)
{
    ks_memory *m = ks_memory_of(b);
    memory_data_key *before = row->number > 0 ? find(m, row->number - 1) : NULL;
    memory_data_key *k = NULL;

    if (m->data_key_count >= KS_DATA_KEYS_MAX ||
        (m->data_key_count > 0 && (before == NULL || before->state != KS_DATA_KEY_CURRENT))) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT, "data key %u is there already", row->number);
    }
    k = &m->data_keys[m->data_key_count];
    *k = (memory_data_key){.number = row->number, .state = KS_DATA_KEY_CURRENT};
    if (!ks_memory_copy(&k->wrapped, &k->wrapped_len, row->wrapped, row->wrapped_len) ||
        !ks_memory_copy(&k->chained, &k->chained_len, row->chained, row->chained_len)) {
        ks_memory_drop_data_key(k);
        return no_memory(err);
    }
    m->data_key_count++;
    if (before != NULL) {
        before->state = KS_DATA_KEY_OLD;
    }
    return TDSA_OK;
}

void ks_memory_drop_data_key(memory_data_key *k)
{
    (void)ks_memory_copy(&k->wrapped, &k->wrapped_len, NULL, 0);
    (void)ks_memory_copy(&k->chained, &k->chained_len, NULL, 0);
}

tdsa_status ks_memory_data_key_wrap(ks_backend *b, const ks_data_key_row *now,
                                    const ks_data_key_row *was, size_t count, tdsa_err *err)
{
    ks_memory *m = ks_memory_of(b);

    for (size_t i = 0; i < count; i++) {
        const memory_data_key *k = find(m, now[i].number);

        if (k == NULL || k->wrapped_len != was[i].wrapped_len ||
            !tdsa_ct_equal(k->wrapped, was[i].wrapped, k->wrapped_len)) {
            return TDSA_FAIL(err, TDSA_E_CONFLICT, "data key %u was wrapped by somebody else",
                             now[i].number);
        }
    }
    for (size_t i = 0; i < count; i++) {
        memory_data_key *k = find(m, now[i].number);

        if (!ks_memory_copy(&k->wrapped, &k->wrapped_len, now[i].wrapped, now[i].wrapped_len)) {
            return no_memory(err);
        }
    }
    return TDSA_OK;
}

static bool wanted(const uint8_t *sealed, size_t len, const uint8_t *head)
{
    return len > 0 && (len < KS_SEAL_HEAD_LEN || memcmp(sealed, head, KS_SEAL_HEAD_LEN) != 0);
}

tdsa_status ks_memory_sealed_count(ks_backend *b, const uint8_t *head, uint64_t *out, tdsa_err *err)
{
    const ks_memory *m = ks_memory_of(b);

    (void)err;
    *out = 0;
    for (const memory_key *k = m->keys; k != NULL; k = k->next) {
        *out += wanted(k->sealed, k->sealed_len, head) ? 1 : 0;
    }
    for (const memory_batch *k = m->batches; k != NULL; k = k->next) {
        *out += wanted(k->sealed, k->sealed_len, head) ? 1 : 0;
    }
    for (const memory_object *o = m->objects; o != NULL; o = o->next) {
        *out += wanted(o->sealed, o->sealed_len, head) ? 1 : 0;
    }
    return TDSA_OK;
}

tdsa_status ks_memory_data_key_drop(ks_backend *b, uint32_t number, const uint8_t *head,
                                    tdsa_err *err)
{
    ks_memory *m = ks_memory_of(b);
    memory_data_key *k = find(m, number);
    uint64_t left = 0;
    tdsa_status st = ks_memory_sealed_count(b, head, &left, err);

    if (st != TDSA_OK || k == NULL || k->state != KS_DATA_KEY_OLD) {
        return st;
    }
    if (left > 0) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT, "rows are left under data key %u", number);
    }
    ks_memory_drop_data_key(k);
    TDSA_ASSERT(k == &m->data_keys[0] && m->data_key_count == 2);
    m->data_keys[0] = m->data_keys[1];
    m->data_key_count = 1;
    return TDSA_OK;
}

tdsa_status ks_memory_data_key_unchain(ks_backend *b, uint32_t number, tdsa_err *err)
{
    memory_data_key *k = find(ks_memory_of(b), number);

    (void)err;
    if (k != NULL) {
        (void)ks_memory_copy(&k->chained, &k->chained_len, NULL, 0);
    }
    return TDSA_OK;
}

static bool key_behind(const memory_key *k, const ks_sealed_query *q)
{
    const int order = strcmp(k->key_id, q->after);

    return order > 0 || (order == 0 && k->epoch > q->after_epoch);
}

static void each_key(ks_memory *m, const ks_sealed_query *q, ks_sealed_row_fn fn, void *ctx)
{
    size_t left = q->limit;

    for (const memory_key *k = m->keys; k != NULL && left > 0; k = k->next) {
        ks_sealed_row row = {.table = q->table, .sealed = k->sealed, .sealed_len = k->sealed_len};

        if (!wanted(k->sealed, k->sealed_len, q->head) || !key_behind(k, q)) {
            continue;
        }
        row.key = (ks_key_row){.key_id = k->key_id,
                               .epoch = k->epoch,
                               .public_part = k->public_part,
                               .public_len = k->public_len};
        left = fn(ctx, &row) ? left - 1 : 0;
    }
}

/* Not in the order of beta: a batch that is done begins with the head and is not met again. */
static void each_batch(ks_memory *m, const ks_sealed_query *q, ks_sealed_row_fn fn, void *ctx)
{
    size_t left = q->limit;

    for (const memory_batch *k = m->batches; k != NULL && left > 0; k = k->next) {
        ks_sealed_row row = {.table = q->table, .sealed = k->sealed, .sealed_len = k->sealed_len};

        if (!wanted(k->sealed, k->sealed_len, q->head)) {
            continue;
        }
        row.batch = (ks_batch_row){.beta = k->beta,
                                   .key_id = k->key_id,
                                   .epoch = k->epoch,
                                   .lane = k->lane,
                                   .seq = k->seq,
                                   .count = k->count,
                                   .members = k->members};
        left = fn(ctx, &row) ? left - 1 : 0;
    }
}

/* One at a time, since the list has no order. */
static void next_meta(ks_memory *m, const ks_sealed_query *q, ks_sealed_row_fn fn, void *ctx)
{
    const memory_meta *first = NULL;

    for (const memory_meta *v = m->metas; v != NULL; v = v->next) {
        if (wanted(v->value, v->len, q->head) && strcmp(v->name, q->after) > 0 &&
            (first == NULL || strcmp(v->name, first->name) < 0)) {
            first = v;
        }
    }
    if (first != NULL) {
        const ks_sealed_row row = {.table = q->table,
                                   .name = first->name,
                                   .sealed = first->value,
                                   .sealed_len = first->len};

        (void)fn(ctx, &row);
    }
}

/* In the order of their age; each begins with the head when it is done. */
static void each_object(ks_memory *m, const ks_sealed_query *q, ks_sealed_row_fn fn, void *ctx)
{
    size_t left = q->limit;

    for (const memory_object *o = m->objects; o != NULL && left > 0; o = o->next) {
        ks_sealed_row row = {.table = q->table, .sealed = o->sealed, .sealed_len = o->sealed_len};

        if (wanted(o->sealed, o->sealed_len, q->head)) {
            row.object = (ks_object_row){.id = o->id, .created_ms = o->created_ms};
            left = fn(ctx, &row) ? left - 1 : 0;
        }
    }
}

tdsa_status ks_memory_sealed_each(ks_backend *b, const ks_sealed_query *q, ks_sealed_row_fn fn,
                                  void *ctx, tdsa_err *err)
{
    ks_memory *m = ks_memory_of(b);

    (void)err;
    switch (q->table) {
    case KS_SEALED_KEY:
        each_key(m, q, fn, ctx);
        break;
    case KS_SEALED_BATCH:
        each_batch(m, q, fn, ctx);
        break;
    case KS_SEALED_META:
        next_meta(m, q, fn, ctx);
        break;
    case KS_SEALED_OBJECT:
        each_object(m, q, fn, ctx);
        break;
    }
    return TDSA_OK;
}

/* Where a record lies; NULL: there is no such row any more. */
static uint8_t **record_of(ks_memory *m, const ks_reseal *r, size_t **len)
{
    for (memory_key *k = m->keys; r->table == KS_SEALED_KEY && k != NULL; k = k->next) {
        if (k->epoch == r->epoch && strcmp(k->key_id, r->id) == 0) {
            *len = &k->sealed_len;
            return &k->sealed;
        }
    }
    for (memory_batch *k = m->batches; r->table == KS_SEALED_BATCH && k != NULL; k = k->next) {
        if (memcmp(k->beta, r->beta, KS_BETA_LEN) == 0) {
            *len = &k->sealed_len;
            return &k->sealed;
        }
    }
    for (memory_meta *v = m->metas; r->table == KS_SEALED_META && v != NULL; v = v->next) {
        if (strcmp(v->name, r->id) == 0) {
            *len = &v->len;
            return &v->value;
        }
    }
    for (memory_object *o = m->objects; r->table == KS_SEALED_OBJECT && o != NULL; o = o->next) {
        if (memcmp(o->id, r->object, KS_OBJECT_ID_LEN) == 0) {
            *len = &o->sealed_len;
            return &o->sealed;
        }
    }
    return NULL;
}

tdsa_status ks_memory_reseal(ks_backend *b, uint32_t number, const ks_reseal *rows, size_t count,
                             tdsa_err *err)
{
    ks_memory *m = ks_memory_of(b);
    const memory_data_key *current = find(m, number);

    if (current == NULL || current->state != KS_DATA_KEY_CURRENT) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT, "data key %u is not the current one", number);
    }
    for (size_t i = 0; i < count; i++) {
        size_t *len = NULL;
        uint8_t **record = record_of(m, &rows[i], &len);

        if (record != NULL && *len == rows[i].was_len && *len > 0 &&
            memcmp(*record, rows[i].was, *len) == 0 &&
            !ks_memory_copy(record, len, rows[i].now, rows[i].now_len)) {
            return no_memory(err);
        }
    }
    return TDSA_OK;
}
