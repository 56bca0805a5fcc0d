#include "pkcs11-provider/find.h"

#include <stdlib.h>

#include "pkcs11-provider/attributes.h"
#include "pkcs11-provider/session.h"
#include "pkcs11-provider/state.h"
#include "pkcs11-provider/viewer.h"

void p11_find_end(p11_find *f)
{
    free(f->found);
    *f = (p11_find){0};
}

/* Room for one more handle; doubles. */
static bool reserve(p11_find *f)
{
    const size_t capacity = f->capacity == 0 ? 16 : f->capacity * 2;
    p11_found *bigger = NULL;

    if (f->count < f->capacity) {
        return true;
    }
    bigger = realloc(f->found, capacity * sizeof *bigger);
    if (bigger == NULL) {
        return false;
    }
    f->found = bigger;
    f->capacity = capacity;
    return true;
}

static int newest_first(const void *a, const void *b)
{
    const p11_found *x = a;
    const p11_found *y = b;

    if (x->created_ms != y->created_ms) {
        return x->created_ms < y->created_ms ? 1 : -1;
    }
    return x->handle < y->handle ? -1 : 1;
}

/* What a search looks for, and the part of the table where that can be. */
typedef struct {
    const CK_ATTRIBUTE *templ;
    CK_ULONG count;
    const p11_index *index; /* NULL: all of it */
    const CK_ATTRIBUTE *by; /* the attribute that the index is of */
} p11_query;

static p11_query plan(const p11_objects *o, const CK_ATTRIBUTE *templ, CK_ULONG count)
{
    p11_query q = {.templ = templ, .count = count};

    for (CK_ULONG i = 0; i < count; i++) {
        if (templ[i].type == CKA_ID && templ[i].ulValueLen > 0) {
            q.index = &o->by_id;
            q.by = &templ[i];
            return q; /* ids differ more than labels */
        }
        if (templ[i].type == CKA_LABEL && templ[i].ulValueLen > 0) {
            q.index = &o->by_label;
            q.by = &templ[i];
        }
    }
    return q;
}

/* The candidate after `at`, both index plus one; 0 begins and ends. */
static size_t next_candidate(const p11_objects *o, const p11_query *q, size_t at)
{
    if (q->index == NULL) {
        return at < o->count ? at + 1 : 0;
    }
    return at == 0 ? p11_index_first(q->index, q->by->pValue, q->by->ulValueLen)
                   : p11_index_next(q->index, at);
}

/* Adds one object of an entry of the table, if it matches; false: no memory. */
static bool take_match(p11_call *call, const p11_query *q, size_t index, p11_class cls)
{
    const p11_look look = p11_look_of(call);
    const p11_viewer viewer = p11_viewer_of(call);
    p11_find *f = &call->session->find;
    p11_object *o = call->core->objects.at[index];

    if (!p11_viewer_sees(&viewer, o, index, cls) ||
        !p11_attributes_match(&look, o, cls, q->templ, q->count)) {
        return true;
    }
    if (!reserve(f)) {
        return false;
    }
    f->found[f->count++] =
        (p11_found){o->created_ms, p11_object_handle(&call->core->objects, index, cls)};
    return true;
}

/* Both objects of a pair, or the one that another entry is. */
static bool take_entry(p11_call *call, const p11_query *q, size_t index)
{
    const p11_object *o = call->core->objects.at[index];

    if (o->kind != P11_PAIR) {
        return take_match(call, q, index, p11_class_alone(o));
    }
    return take_match(call, q, index, P11_PUBLIC_KEY) &&
           take_match(call, q, index, P11_PRIVATE_KEY);
}

static CK_RV snapshot(p11_call *call, p11_find *f, const CK_ATTRIBUTE *templ, CK_ULONG count)
{
    p11_objects *objects = &call->core->objects;
    p11_query q;
    CK_RV rv = CKR_OK;

    pthread_mutex_lock(&objects->lock);
    q = plan(objects, templ, count);
    for (size_t at = next_candidate(objects, &q, 0); rv == CKR_OK && at != 0;
         at = next_candidate(objects, &q, at)) {
        if (!take_entry(call, &q, at - 1)) {
            rv = p11_fail(call, CKR_HOST_MEMORY, "no memory for the search");
        }
    }
    pthread_mutex_unlock(&objects->lock);
    if (f->count > 1) {
        qsort(f->found, f->count, sizeof *f->found, newest_first);
    }
    return rv;
}

CK_RV p11_find_init(p11_call *call, const CK_ATTRIBUTE *templ, CK_ULONG count)
{
    p11_find *f = &call->session->find;
    const p11_source from = p11_core_source(call->core);
    tdsa_err err;
    CK_RV rv = CKR_OK;

    if (f->active) {
        return p11_fail(call, CKR_OPERATION_ACTIVE, "a search is running");
    }
    if (templ == NULL && count > 0) {
        return p11_fail(call, CKR_ARGUMENTS_BAD, "no template");
    }
    for (CK_ULONG i = 0; i < count; i++) {
        if (templ[i].pValue == NULL && templ[i].ulValueLen > 0) {
            return p11_fail(call, CKR_ATTRIBUTE_VALUE_INVALID, "attribute 0x%lx has no value",
                            templ[i].type);
        }
    }
    if (p11_objects_refresh(&call->core->objects, &from, &err) != TDSA_OK) {
        return p11_fail_err(call, &err);
    }
    rv = snapshot(call, f, templ, count);
    if (rv != CKR_OK) {
        p11_find_end(f);
        return rv;
    }
    f->active = true;
    return CKR_OK;
}

CK_RV p11_find_next(p11_call *call, CK_OBJECT_HANDLE *out, CK_ULONG max, CK_ULONG *count)
{
    p11_find *f = &call->session->find;
    size_t n = 0;

    if (!f->active) {
        return p11_fail(call, CKR_OPERATION_NOT_INITIALIZED, "no search is running");
    }
    if (count == NULL || (out == NULL && max > 0)) {
        return p11_fail(call, CKR_ARGUMENTS_BAD, "no place for the handles");
    }
    n = f->count - f->next;
    n = n > max ? max : n;
    for (size_t i = 0; i < n; i++) {
        out[i] = f->found[f->next++].handle;
    }
    *count = n;
    return CKR_OK;
}

CK_RV p11_find_final(p11_call *call)
{
    p11_find *f = &call->session->find;

    if (!f->active) {
        return p11_fail(call, CKR_OPERATION_NOT_INITIALIZED, "no search is running");
    }
    p11_find_end(f);
    return CKR_OK;
}
