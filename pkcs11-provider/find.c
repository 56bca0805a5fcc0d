#include "pkcs11-provider/find.h"

#include <stdlib.h>

#include "pkcs11-provider/attributes.h"
#include "pkcs11-provider/session.h"
#include "pkcs11-provider/state.h"

void p11_find_end(p11_find *f)
{
    free(f->found);
    *f = (p11_find){0};
}

/* Room for one more handle; doubles. */
static bool reserve(p11_find *f, size_t *capacity)
{
    p11_found *bigger = NULL;

    if (f->count < *capacity) {
        return true;
    }
    *capacity = *capacity == 0 ? 16 : *capacity * 2;
    bigger = realloc(f->found, *capacity * sizeof *bigger);
    if (bigger == NULL) {
        return false;
    }
    f->found = bigger;
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

static CK_RV snapshot(p11_call *call, p11_find *f, const CK_ATTRIBUTE *templ, CK_ULONG count)
{
    p11_core *core = call->core;
    p11_objects *objects = &core->objects;
    const bool logged_in = p11_logged_in(core);
    size_t capacity = 0;
    CK_RV rv = CKR_OK;

    pthread_mutex_lock(&objects->lock);
    for (size_t i = 0; rv == CKR_OK && i < 2 * objects->count; i++) {
        const p11_class cls = i % 2 == 0 ? P11_PUBLIC_KEY : P11_PRIVATE_KEY;
        const p11_key *key = objects->keys[i / 2];

        if (!p11_object_visible(key, cls, logged_in) ||
            !p11_attributes_match(core, key, cls, templ, count)) {
            continue;
        }
        if (!reserve(f, &capacity)) {
            rv = p11_fail(call, CKR_HOST_MEMORY, "no memory for the search");
            break;
        }
        f->found[f->count++] = (p11_found){key->facts.created_ms, p11_object_handle(i / 2, cls)};
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
    p11_core *core = call->core;
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
    if (p11_objects_refresh(&core->objects, core->store, core->engine, &core->log->sink, &err) !=
        TDSA_OK) {
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
