#include <stdlib.h>
#include <string.h>

#include "pkcs11-provider/attributes.h"
#include "pkcs11-provider/change.h"
#include "pkcs11-provider/create.h"
#include "pkcs11-provider/state.h"
#include "pkcs11-provider/viewer.h"

/* What the copy is to be. */
typedef struct {
    p11_object_copy made;
    bool token; /* the copy is a token object */
} original;

/* What a copy may differ in: where it is, and its names. */
static CK_RV take_changes(p11_call *call, original *o, const p11_template *t)
{
    const p11_look look = p11_look_of(call);
    tdsa_err err;
    CK_RV rv = p11_template_check(call, t);

    if (rv == CKR_OK) {
        rv = p11_template_bool(call, t, CKA_TOKEN, &o->token);
    }
    for (CK_ULONG i = 0; rv == CKR_OK && i < t->count; i++) {
        const CK_ATTRIBUTE *a = &t->attrs[i];

        if (a->type == CKA_TOKEN || p11_attributes_match(&look, &o->made.of, o->made.cls, a, 1)) {
            continue; /* some clients say again what the object is */
        }
        if (o->made.of.kind != P11_ITEM) {
            rv = p11_names_take(call, &o->made.of.names, a);
        } else if (a->type != CKA_LABEL && a->type != CKA_ID) {
            rv = p11_fail(call, CKR_ATTRIBUTE_READ_ONLY, "attribute 0x%lx cannot be set", a->type);
        } else if (p11_item_set(&o->made.item, a->type, a->pValue, a->ulValueLen, &err) !=
                   TDSA_OK) {
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

    if (o->made.of.owner.session == 0 || o->made.of.promoted) {
        return p11_fail(call, CKR_ACTION_PROHIBITED, "CKA_COPYABLE of object %lu is false", handle);
    }
    if (!o->token) {
        return p11_fail(call, CKR_ACTION_PROHIBITED,
                        "a private session key can only be copied to the token");
    }
    rv = p11_viewer_check_new(call, &o->made.of);
    if (rv != CKR_OK) {
        return rv;
    }
    o->made.of.names.session_until_ms = 0;
    rv = p11_rename_key(call, o->made.of.facts.key_id, &o->made.of.names);
    if (rv != CKR_OK) {
        return rv;
    }
    pthread_mutex_lock(&objects->lock);
    found = p11_objects_find_key(objects, o->made.of.facts.key_id);
    pthread_mutex_unlock(&objects->lock);
    if (found == 0) {
        return p11_fail(call, CKR_FUNCTION_FAILED, "the key was deleted meanwhile");
    }
    *copy = p11_object_handle(objects, found - 1, P11_PRIVATE_KEY);
    return CKR_OK;
}

static CK_RV copy_public(p11_call *call, original *o, CK_OBJECT_HANDLE *copy)
{
    tdsa_err err;

    if (o->made.of.kind == P11_ITEM && !p11_item_bool(&o->made.item, CKA_COPYABLE, true)) {
        return p11_fail(call, CKR_ACTION_PROHIBITED, "CKA_COPYABLE is false");
    }
    if (o->made.of.kind != P11_ITEM &&
        p11_item_of_key(&o->made.item,
                        grp_get_info(p11_core_curve(call->core, o->made.of.facts.curve)),
                        &o->made.of, &err) != TDSA_OK) {
        return p11_fail_err(call, &err);
    }
    return p11_add_item(call, &o->made.item, o->token, copy);
}

CK_RV p11_copy(p11_call *call, CK_OBJECT_HANDLE object, const p11_template *t,
               CK_OBJECT_HANDLE *copy)
{
    original *o = calloc(1, sizeof *o);
    CK_RV rv = CKR_OK;

    if (o == NULL) {
        return p11_fail(call, CKR_HOST_MEMORY, "no memory for a copy");
    }
    rv = copy != NULL ? p11_object_copy_take(call, object, &o->made)
                      : p11_fail(call, CKR_ARGUMENTS_BAD, "no place for the handle");
    o->token = o->made.of.owner.session == 0;
    if (rv == CKR_OK) {
        rv = take_changes(call, o, t);
    }
    if (rv == CKR_OK) {
        rv = p11_may_make(call, o->token, o->made.cls == P11_PRIVATE_KEY);
    }
    if (rv == CKR_OK) {
        rv = o->made.cls == P11_PRIVATE_KEY ? promote(call, o, object, copy)
                                            : copy_public(call, o, copy);
    }
    p11_object_copy_clear(&o->made);
    free(o);
    return rv;
}
