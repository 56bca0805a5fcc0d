#include <stdlib.h>
#include <string.h>

#include "keystore/backend_memory.h"

static void free_object(memory_object *o)
{
    (void)ks_memory_copy(&o->value, &o->value_len, NULL, 0); /* needs no memory */
    (void)ks_memory_copy(&o->sealed, &o->sealed_len, NULL, 0);
    free(o);
}

void ks_memory_drop_objects(ks_memory *m)
{
    while (m->objects != NULL) {
        memory_object *o = m->objects;

        m->objects = o->next;
        free_object(o);
    }
}

/* Takes it out of the list; NULL: it is not there. */
static memory_object *take(ks_memory *m, const uint8_t *id)
{
    for (memory_object **at = &m->objects; *at != NULL; at = &(*at)->next) {
        memory_object *o = *at;

        if (memcmp(o->id, id, sizeof o->id) == 0) {
            *at = o->next;
            return o;
        }
    }
    return NULL;
}

static bool is_behind(const memory_object *o, uint64_t created_ms, const uint8_t *id)
{
    return o->created_ms > created_ms ||
           (o->created_ms == created_ms && (id == NULL || memcmp(o->id, id, sizeof o->id) > 0));
}

tdsa_status ks_memory_object_put(ks_backend *b, const ks_object_row *row, tdsa_err *err)
{
    ks_memory *m = ks_memory_of(b);
    memory_object **at = &m->objects;
    memory_object *o = calloc(1, sizeof *o);
    memory_object *was = NULL;

    if (o == NULL || !ks_memory_copy(&o->value, &o->value_len, row->value, row->value_len) ||
        !ks_memory_copy(&o->sealed, &o->sealed_len, row->sealed, row->sealed_len)) {
        if (o != NULL) {
            free_object(o);
        }
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the in-memory database");
    }
    memcpy(o->id, row->id, sizeof o->id);
    o->created_ms = row->created_ms;
    o->is_sealed = row->is_sealed;
    was = take(m, row->id);
    if (was != NULL) {
        free_object(was);
    }
    while (*at != NULL && !is_behind(*at, o->created_ms, o->id)) {
        at = &(*at)->next;
    }
    o->next = *at;
    *at = o;
    ks_memory_changed(m, NULL);
    return TDSA_OK;
}

tdsa_status ks_memory_object_each(ks_backend *b, const ks_object_query *q, ks_object_row_fn fn,
                                  void *ctx, tdsa_err *err)
{
    size_t left = q->limit;

    (void)err;
    for (const memory_object *o = ks_memory_of(b)->objects; o != NULL && left > 0; o = o->next) {
        const ks_object_row row = {o->id,     o->created_ms, o->is_sealed, o->value,
                                   o->sealed, o->value_len,  o->sealed_len};

        if (is_behind(o, q->after_ms, q->after_id)) {
            left = fn(ctx, &row) ? left - 1 : 0;
        }
    }
    return TDSA_OK;
}

tdsa_status ks_memory_object_delete(ks_backend *b, const uint8_t *id, tdsa_err *err)
{
    ks_memory *m = ks_memory_of(b);
    memory_object *o = take(m, id);

    if (o == NULL) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "there is no such object");
    }
    free_object(o);
    ks_memory_changed(m, NULL);
    return TDSA_OK;
}
