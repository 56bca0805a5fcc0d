#include <stdlib.h>
#include <string.h>

#include "pkcs11-provider/attributes.h"
#include "pkcs11-provider/change.h"
#include "pkcs11-provider/create.h"
#include "pkcs11-provider/state.h"
#include "pkcs11-provider/viewer.h"

/* What is copied: our own copies of names and item. */
typedef struct {
    p11_object of;
    p11_item item;
    p11_class cls;
    bool token; /* the copy is a token object */
} original;

static CK_RV look_at(p11_call *call, CK_OBJECT_HANDLE handle, original *out)
{
    const p11_object *o = p11_viewer_lock(call, handle, &out->cls);
    tdsa_err err;
    tdsa_status st = TDSA_OK;

    if (o == NULL) {
        return p11_fail(call, CKR_OBJECT_HANDLE_INVALID, "no object %lu", handle);
    }
    out->of = *o;
    out->of.item = NULL;
    st = p11_names_copy(&out->of.names, &o->names, &err);
    if (st == TDSA_OK && o->item != NULL) {
        st = p11_item_copy(&out->item, o->item, &err);
    }
    p11_objects_unlock(&call->core->objects);
    out->token = out->of.session == 0;
    return st == TDSA_OK ? CKR_OK : p11_fail_err(call, &err);
}

/* Some clients say again what the object is. */
static bool is_unchanged(p11_call *call, CK_OBJECT_HANDLE handle, const CK_ATTRIBUTE *a)
{
    const p11_look look = p11_look_of(call);
    p11_class cls = P11_OTHER;
    p11_object *o = p11_viewer_lock(call, handle, &cls);
    const bool same = o != NULL && p11_attributes_match(&look, o, cls, a, 1);

    if (o != NULL) {
        p11_objects_unlock(&call->core->objects);
    }
    return same;
}

/* What a copy may differ in: where it is, and its names. */
static CK_RV take_changes(p11_call *call, original *o, CK_OBJECT_HANDLE handle,
                          const p11_template *t)
{
    tdsa_err err;
    CK_RV rv = p11_template_check(call, t);

    if (rv == CKR_OK) {
        rv = p11_template_bool(call, t, CKA_TOKEN, &o->token);
    }
    for (CK_ULONG i = 0; rv == CKR_OK && i < t->count; i++) {
        const CK_ATTRIBUTE *a = &t->attrs[i];

        if (a->type == CKA_TOKEN || is_unchanged(call, handle, a)) {
            continue;
        }
        if (o->of.kind != P11_ITEM) {
            rv = p11_names_take(call, &o->of.names, a);
        } else if (a->type != CKA_LABEL && a->type != CKA_ID) {
            rv = p11_fail(call, CKR_ATTRIBUTE_READ_ONLY, "attribute 0x%lx cannot be set", a->type);
        } else if (p11_item_set(&o->item, a->type, a->pValue, a->ulValueLen, &err) != TDSA_OK) {
            rv = p11_fail_err(call, &err);
        }
    }
    return rv;
}

/* A private session key becomes a token object; its session object goes with the session. */
static CK_RV promote(p11_call *call, original *o, CK_OBJECT_HANDLE handle, CK_OBJECT_HANDLE *copy)
{
    p11_objects *objects = &call->core->objects;
    size_t found = 0;
    CK_RV rv = CKR_OK;

    if (o->of.session == 0 || o->of.promoted) {
        return p11_fail(call, CKR_ACTION_PROHIBITED, "CKA_COPYABLE of object %lu is false", handle);
    }
    if (!o->token) {
        return p11_fail(call, CKR_ACTION_PROHIBITED,
                        "a private session key can only be copied to the token");
    }
    o->of.names.session_until_ms = 0;
    rv = p11_rename_key(call, o->of.facts.key_id, &o->of.names);
    if (rv != CKR_OK) {
        return rv;
    }
    pthread_mutex_lock(&objects->lock);
    found = p11_objects_find_key(objects, o->of.facts.key_id);
    pthread_mutex_unlock(&objects->lock);
    if (found == 0) {
        return p11_fail(call, CKR_FUNCTION_FAILED, "the key was deleted meanwhile");
    }
    *copy = p11_object_handle(found - 1, P11_PRIVATE_KEY);
    return CKR_OK;
}

static CK_RV copy_public(p11_call *call, original *o, CK_OBJECT_HANDLE *copy)
{
    tdsa_err err;

    if (o->of.kind == P11_ITEM && !p11_item_bool(&o->item, CKA_COPYABLE, true)) {
        return p11_fail(call, CKR_ACTION_PROHIBITED, "CKA_COPYABLE is false");
    }
    if (o->of.kind != P11_ITEM &&
        p11_item_of_key(&o->item, grp_get_info(p11_core_curve(call->core, o->of.facts.curve)),
                        &o->of, &err) != TDSA_OK) {
        return p11_fail_err(call, &err);
    }
    return p11_add_item(call, &o->item, o->token, copy);
}

CK_RV p11_copy(p11_call *call, CK_OBJECT_HANDLE object, const p11_template *t,
               CK_OBJECT_HANDLE *copy)
{
    original *o = calloc(1, sizeof *o);
    CK_RV rv = CKR_OK;

    if (o == NULL) {
        return p11_fail(call, CKR_HOST_MEMORY, "no memory for a copy");
    }
    rv = copy != NULL ? look_at(call, object, o)
                      : p11_fail(call, CKR_ARGUMENTS_BAD, "no place for the handle");
    if (rv == CKR_OK) {
        rv = take_changes(call, o, object, t);
    }
    if (rv == CKR_OK) {
        rv = p11_may_make(call, o->token, o->cls == P11_PRIVATE_KEY);
    }
    if (rv == CKR_OK) {
        rv =
            o->cls == P11_PRIVATE_KEY ? promote(call, o, object, copy) : copy_public(call, o, copy);
    }
    p11_names_clear(&o->of.names);
    p11_item_clear(&o->item);
    free(o);
    return rv;
}
