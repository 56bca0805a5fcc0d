#include "keystore/backend_memory.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

ks_memory *ks_memory_of(ks_backend *b)
{
    return (ks_memory *)(void *)b;
}

bool ks_memory_copy(uint8_t **out, size_t *out_len, const uint8_t *bytes, size_t len)
{
    uint8_t *copy = NULL;

    if (len > 0) {
        copy = malloc(len);
        if (copy == NULL) {
            return false;
        }
        memcpy(copy, bytes, len);
    }
    if (*out != NULL) {
        tdsa_wipe(*out, *out_len);
    }
    free(*out);
    *out = copy;
    *out_len = len;
    return true;
}

static void drop_bytes(uint8_t **bytes, size_t *len)
{
    (void)ks_memory_copy(bytes, len, NULL, 0); /* needs no memory */
}

static tdsa_status no_memory(tdsa_err *err)
{
    return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the in-memory database");
}

static tdsa_status memory_open(ks_backend **out, const ks_cfg *cfg, tdsa_err *err)
{
    ks_memory *m = calloc(1, sizeof *m);

    (void)cfg;
    *out = NULL;
    if (m == NULL) {
        return no_memory(err);
    }
    m->base.ops = &ks_backend_memory;
    *out = &m->base;
    return TDSA_OK;
}

static void memory_close(ks_backend *b)
{
    ks_memory *m = ks_memory_of(b);

    ks_memory_drop_keys(m);
    ks_memory_drop_batches(m, NULL);
    ks_memory_drop_partials(m, NULL);
    ks_memory_drop_deletions(m, NULL);
    ks_memory_drop_objects(m);
    ks_memory_drop_changes(m);
    while (m->lanes != NULL) {
        memory_lane *l = m->lanes;

        m->lanes = l->next;
        free(l);
    }
    while (m->metas != NULL) {
        memory_meta *v = m->metas;

        m->metas = v->next;
        drop_bytes(&v->value, &v->len);
        free(v);
    }
    for (size_t i = 0; i < m->data_key_count; i++) {
        ks_memory_drop_data_key(&m->data_keys[i]);
    }
    free(m);
}

static tdsa_status memory_ping(ks_backend *b, tdsa_err *err)
{
    (void)b;
    (void)err;
    return TDSA_OK;
}

static tdsa_status memory_change_counter(ks_backend *b, uint64_t *out, tdsa_err *err)
{
    (void)err;
    *out = ks_memory_of(b)->key_changes;
    return TDSA_OK;
}

const ks_backend_ops ks_backend_memory = {
    .name = "memory",
    .open = memory_open,
    .close = memory_close,
    .abandon = memory_close, /* its memory is a copy of the parent's */
    .ping = memory_ping,
    .change_counter = memory_change_counter,
    .key_insert = ks_memory_key_insert,
    .key_update = ks_memory_key_update,
    .key_move = ks_memory_key_move,
    .key_add = ks_memory_key_add,
    .key_restore = ks_memory_key_restore,
    .key_has_share = ks_memory_key_has_share,
    .key_rows = ks_memory_key_rows,
    .key_drop = ks_memory_key_drop,
    .key_set_attrs = ks_memory_key_set_attrs,
    .key_set_limit = ks_memory_key_set_limit,
    .key_get = ks_memory_key_get,
    .key_each = ks_memory_key_each,
    .key_labelled = ks_memory_key_labelled,
    .key_changed = ks_memory_key_changed,
    .key_delete = ks_memory_key_delete,
    .deletion_put = ks_memory_deletion_put,
    .deletion_told = ks_memory_deletion_told,
    .deletion_each = ks_memory_deletion_each,
    .batch_insert = ks_memory_batch_insert,
    .batch_move = ks_memory_batch_move,
    .batch_each = ks_memory_batch_each,
    .batch_purge = ks_memory_batch_purge,
    .batch_void_made = ks_memory_batch_void_made,
    .batch_void_with = ks_memory_batch_void_with,
    .purge_all = ks_memory_purge_all,
    .lease = ks_memory_lease,
    .burn = ks_memory_burn,
    .burn_range = ks_memory_burn_range,
    .burnt = ks_memory_burnt,
    .seq_raise = ks_memory_seq_raise,
    .partial_burn = ks_memory_partial_burn,
    .partial_get = ks_memory_partial_get,
    .partial_fail = ks_memory_partial_fail,
    .partial_collect = ks_memory_partial_collect,
    .object_put = ks_memory_object_put,
    .object_each = ks_memory_object_each,
    .object_delete = ks_memory_object_delete,
    .meta_put = ks_memory_meta_put,
    .meta_create = ks_memory_meta_create,
    .meta_get = ks_memory_meta_get,
    .counter_next = ks_memory_counter_next,
    .counter_get = ks_memory_counter_get,
    .data_key_each = ks_memory_data_key_each,
    .data_key_add = ks_memory_data_key_add,
    .data_key_wrap = ks_memory_data_key_wrap,
    .data_key_drop = ks_memory_data_key_drop,
    .data_key_unchain = ks_memory_data_key_unchain,
    .sealed_each = ks_memory_sealed_each,
    .sealed_count = ks_memory_sealed_count,
    .reseal = ks_memory_reseal,
};
