#include "pkcs11-provider/destroy.h"

#include <stdlib.h>

#include "pkcs11-provider/change.h"
#include "pkcs11-provider/state.h"
#include "pkcs11-provider/viewer.h"

/* The public object of a key whose private one was destroyed a moment ago: clients destroy both. */
static bool is_leftover(p11_call *call, CK_OBJECT_HANDLE handle)
{
    p11_objects *objects = &call->core->objects;
    p11_class cls = P11_OTHER;
    p11_object *o = p11_objects_lock(objects, handle, &cls);
    bool leftover = false;

    if (o != NULL) {
        leftover = o->state == P11_DELETED && cls == P11_PUBLIC_KEY;
        o->state = leftover ? P11_GONE : o->state;
        p11_objects_unlock(objects);
    }
    return leftover;
}

static bool is_destroyable(const p11_core *core, const p11_object_copy *v)
{
    if (v->of.kind == P11_ITEM) {
        return p11_item_bool(&v->item, CKA_DESTROYABLE, true);
    }
    return v->cls != P11_PRIVATE_KEY || v->of.owner.session != 0 || core->settings.destroy;
}

static void drop(p11_call *call, CK_OBJECT_HANDLE handle, p11_state state)
{
    p11_objects *objects = &call->core->objects;
    p11_class cls = P11_OTHER;
    const p11_object *o = p11_objects_lock(objects, handle, &cls);

    if (o != NULL) {
        if (o->state == P11_LIVE) {
            p11_objects_drop(objects, p11_object_index(handle), state);
        }
        p11_objects_unlock(objects);
    }
}

/* Orders the key to be deleted. A session key that C_CopyObject made a token object stays. */
static CK_RV delete_key(p11_call *call, CK_OBJECT_HANDLE handle, const p11_object_copy *v)
{
    p11_core *core = call->core;
    const uint64_t grace_ms = v->of.owner.session != 0
                                  ? cfg_participant_engine(core->participant)->deletion_grace_min_ms
                                  : PART_GRACE_DEFAULT;
    tdsa_err err;

    if (!v->of.promoted && part_engine_delete(core->engine, v->of.facts.key_id, grace_ms,
                                              core->settings.deadline_ms, &err) != TDSA_OK) {
        return p11_fail_err(call, &err);
    }
    drop(call, handle, P11_DELETED);
    return CKR_OK;
}

static CK_RV destroy(p11_call *call, CK_OBJECT_HANDLE handle, p11_object_copy *v)
{
    tdsa_err err;

    if (v->of.owner.session == 0 && !call->session->read_write) {
        return p11_fail(call, CKR_SESSION_READ_ONLY,
                        "token objects are destroyed in R/W sessions only");
    }
    if (!is_destroyable(call->core, v)) {
        return p11_fail(call, CKR_ACTION_PROHIBITED, "CKA_DESTROYABLE is false");
    }
    if (v->of.kind == P11_PAIR && v->cls == P11_PRIVATE_KEY) {
        return delete_key(call, handle, v);
    }
    if (v->of.kind == P11_PAIR) {
        v->of.names.flags |= P11_PUBLIC_HIDDEN;
        if (!v->of.promoted) {
            return p11_rename_key(call, v->of.facts.key_id, &v->of.names);
        }
        p11_objects_rename(&call->core->objects, p11_object_index(handle), &v->of.names);
        return CKR_OK;
    }
    if (v->of.stored && ks_object_delete(call->core->store, v->of.store_id, &err) != TDSA_OK &&
        err.status != TDSA_E_NOT_FOUND) { /* another process was faster */
        return p11_fail_err(call, &err);
    }
    drop(call, handle, P11_GONE);
    return CKR_OK;
}

CK_RV p11_destroy(p11_call *call, CK_OBJECT_HANDLE object)
{
    p11_object_copy *v = NULL;
    CK_RV rv = CKR_OK;

    if (is_leftover(call, object)) {
        return CKR_OK;
    }
    v = malloc(sizeof *v);
    if (v == NULL) {
        return p11_fail(call, CKR_HOST_MEMORY, "no memory to look at an object");
    }
    rv = p11_object_copy_take(call, object, v);
    if (rv == CKR_OK) {
        rv = destroy(call, object, v);
    }
    p11_object_copy_clear(v);
    free(v);
    return rv;
}
