#include "fault_operations.h"

/* Data keys, what is sealed under them, and objects. */

/* The data key of the rows, whose head is what they begin with. */
static const ks_data_key_row first_key = {.number = 1,
                                          .state = KS_DATA_KEY_CURRENT,
                                          .wrapped = fault_bytes,
                                          .wrapped_len = 40,
                                          .chained = fault_bytes,
                                          .chained_len = 30};

static const uint8_t no_head[KS_SEAL_HEAD_LEN] = {9};

#define OBJECT(tag) ((const uint8_t[KS_OBJECT_ID_LEN]){tag})

static const ks_object_row clear_object = {
    .id = OBJECT(1), .created_ms = 7, .value = fault_bytes, .value_len = 9};
static const ks_object_row sealed_object = {.id = OBJECT(2),
                                            .created_ms = 6,
                                            .is_sealed = true,
                                            .sealed = fault_bytes,
                                            .sealed_len = FAULT_BYTES};

tdsa_status fault_sealed_rows(ks_backend *b, tdsa_err *err)
{
    tdsa_status st = b->ops->data_key_add(b, &first_key, err);

    st = st == TDSA_OK ? b->ops->object_put(b, &clear_object, err) : st;
    return st == TDSA_OK ? b->ops->object_put(b, &sealed_object, err) : st;
}

/* ---- what reads ---- */

static bool note_object(void *ctx, const ks_object_row *row)
{
    tdsa_buf_appendf(ctx, "%u %llu %d %zu %zu;", row->id[0], (unsigned long long)row->created_ms,
                     row->is_sealed, row->value_len, row->sealed_len);
    return true;
}

OPERATION(object_each)
{
    const ks_object_query q = {.after_ms = 0, .after_id = NULL, .limit = 10};

    return b->ops->object_each(b, &q, note_object, out, err);
}

static bool note_data_key(void *ctx, const ks_data_key_row *row)
{
    tdsa_buf_appendf(ctx, "%u %d %zu %zu;", row->number, (int)row->state, row->wrapped_len,
                     row->chained_len);
    return true;
}

OPERATION(data_key_each)
{
    return b->ops->data_key_each(b, note_data_key, out, err);
}

static bool note_sealed(void *ctx, const ks_sealed_row *row)
{
    tdsa_buf_appendf(ctx, "%d %zu;", (int)row->table, row->sealed_len);
    return true;
}

static tdsa_status sealed(ks_backend *b, ks_sealed_table table, tdsa_buf *out, tdsa_err *err)
{
    const ks_sealed_query q = {
        .table = table, .head = no_head, .after = "", .after_beta = BETA(0), .limit = 10};

    return b->ops->sealed_each(b, &q, note_sealed, out, err);
}

OPERATION(sealed_keys)
{
    return sealed(b, KS_SEALED_KEY, out, err);
}

OPERATION(sealed_batches)
{
    return sealed(b, KS_SEALED_BATCH, out, err);
}

OPERATION(sealed_metas)
{
    return sealed(b, KS_SEALED_META, out, err);
}

OPERATION(sealed_objects)
{
    return sealed(b, KS_SEALED_OBJECT, out, err);
}

OPERATION(sealed_count)
{
    uint64_t number = 0;
    const tdsa_status st = b->ops->sealed_count(b, no_head, &number, err);

    fault_number(out, number);
    return st;
}

/* ---- what writes ---- */

OPERATION(data_key_add)
{
    const ks_data_key_row row = {.number = 2, .wrapped = fault_bytes, .wrapped_len = 41};

    NOTHING_GIVEN;
    return b->ops->data_key_add(b, &row, err);
}

OPERATION(data_key_wrap)
{
    ks_data_key_row now = first_key;

    NOTHING_GIVEN;
    now.wrapped_len = 50;
    return b->ops->data_key_wrap(b, &now, &first_key, 1, err);
}

OPERATION(data_key_unchain)
{
    NOTHING_GIVEN;
    return b->ops->data_key_unchain(b, 1, err);
}

OPERATION(reseal)
{
    const ks_reseal rows[] = {
        {KS_SEALED_KEY, "act", 0, NULL, NULL, fault_bytes, fault_bytes, FAULT_BYTES, 60},
        {KS_SEALED_BATCH, NULL, 0, BETA(1), NULL, fault_bytes, fault_bytes, FAULT_BYTES, 61},
        {KS_SEALED_META, "m", 0, NULL, NULL, fault_bytes, fault_bytes, 4, 62},
        {KS_SEALED_OBJECT, NULL, 0, NULL, OBJECT(2), fault_bytes, fault_bytes, FAULT_BYTES, 63},
    };

    NOTHING_GIVEN;
    return b->ops->reseal(b, 1, rows, sizeof rows / sizeof rows[0], err);
}

OPERATION(object_put)
{
    ks_object_row row = sealed_object;

    NOTHING_GIVEN;
    row.id = OBJECT(3);
    return b->ops->object_put(b, &row, err);
}

OPERATION(object_replace)
{
    ks_object_row row = clear_object;

    NOTHING_GIVEN;
    row.value_len = 30;
    return b->ops->object_put(b, &row, err);
}

OPERATION(object_delete)
{
    NOTHING_GIVEN;
    return b->ops->object_delete(b, OBJECT(2), err);
}

const fault_operation fault_sealed_operations[] = {
    LISTS(object_each),  LISTS(data_key_each),  LISTS(sealed_keys), LISTS(sealed_batches),
    LISTS(sealed_metas), LISTS(sealed_objects), ONE(sealed_count),  ONE(data_key_add),
    ONE(data_key_wrap),  ONE(data_key_unchain), ONE(reseal),        ONE(object_put),
    ONE(object_replace), ONE(object_delete),
};
const size_t fault_sealed_operation_count =
    sizeof fault_sealed_operations / sizeof fault_sealed_operations[0];
