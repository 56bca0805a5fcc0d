#include "pkcs11-provider/destroy.h"

#include <string.h>

#include "pkcs11-provider/change.h"
#include "pkcs11-provider/state.h"
#include "pkcs11-provider/viewer.h"

/* What is needed of an object that is to be destroyed. */
typedef struct {
    p11_class cls;
    p11_kind kind;
    p11_names names; /* our own copy */
    CK_SESSION_HANDLE session;
    bool promoted, stored, destroyable;
    char key_id[KS_KEY_ID_MAX + 1];
    uint8_t store_id[KS_OBJECT_ID_LEN];
} victim;

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

static CK_RV look_at(p11_call *call, CK_OBJECT_HANDLE handle, victim *v)
{
    const p11_object *o = p11_viewer_lock(call, handle, &v->cls);
    tdsa_err err;
    tdsa_status st = TDSA_OK;

    if (o == NULL) {
        return p11_fail(call, CKR_OBJECT_HANDLE_INVALID, "no object %lu", handle);
    }
    v->kind = o->kind;
    v->session = o->session;
    v->promoted = o->promoted;
    v->stored = o->stored;
    if (o->kind == P11_ITEM) {
        v->destroyable = p11_item_bool(o->item, CKA_DESTROYABLE, true);
    } else {
        v->destroyable =
            v->cls != P11_PRIVATE_KEY || o->session != 0 || call->core->settings.destroy;
    }
    memcpy(v->key_id, o->facts.key_id, sizeof v->key_id);
    memcpy(v->store_id, o->store_id, sizeof v->store_id);
    st = p11_names_copy(&v->names, &o->names, &err);
    p11_objects_unlock(&call->core->objects);
    return st == TDSA_OK ? CKR_OK : p11_fail_err(call, &err);
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
static CK_RV delete_key(p11_call *call, CK_OBJECT_HANDLE handle, const victim *v)
{
    p11_core *core = call->core;
    const uint64_t grace_ms = v->session != 0
                                  ? cfg_participant_engine(core->participant)->deletion_grace_min_ms
                                  : PART_GRACE_DEFAULT;
    tdsa_err err;

    if (!v->promoted && part_engine_delete(core->engine, v->key_id, grace_ms,
                                           core->settings.deadline_ms, &err) != TDSA_OK) {
        return p11_fail_err(call, &err);
    }
    drop(call, handle, P11_DELETED);
    return CKR_OK;
}

static CK_RV destroy(p11_call *call, CK_OBJECT_HANDLE handle, victim *v)
{
    tdsa_err err;

    if (v->session == 0 && !call->session->read_write) {
        return p11_fail(call, CKR_SESSION_READ_ONLY,
                        "token objects are destroyed in R/W sessions only");
    }
    if (!v->destroyable) {
        return p11_fail(call, CKR_ACTION_PROHIBITED, "CKA_DESTROYABLE is false");
    }
    if (v->kind == P11_PAIR && v->cls == P11_PRIVATE_KEY) {
        return delete_key(call, handle, v);
    }
    if (v->kind == P11_PAIR) {
        v->names.flags |= P11_PUBLIC_HIDDEN;
        if (!v->promoted) {
            return p11_rename_key(call, v->key_id, &v->names);
        }
        p11_objects_rename(&call->core->objects, p11_object_index(handle), &v->names);
        return CKR_OK;
    }
    if (v->stored && ks_object_delete(call->core->store, v->store_id, &err) != TDSA_OK &&
        err.status != TDSA_E_NOT_FOUND) { /* another process was faster */
        return p11_fail_err(call, &err);
    }
    drop(call, handle, P11_GONE);
    return CKR_OK;
}

CK_RV p11_destroy(p11_call *call, CK_OBJECT_HANDLE object)
{
    victim v = {0};
    CK_RV rv = CKR_OK;

    if (is_leftover(call, object)) {
        return CKR_OK;
    }
    rv = look_at(call, object, &v);
    if (rv == CKR_OK) {
        rv = destroy(call, object, &v);
    }
    p11_names_clear(&v.names);
    return rv;
}
