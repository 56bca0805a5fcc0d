#include "pkcs11-provider/viewer.h"

#include <string.h>

#include "pkcs11-provider/slot.h"
#include "pkcs11-provider/state.h"

p11_viewer p11_viewer_of(const p11_call *call)
{
    const p11_core *core = call->core;
    const p11_session *s = call->session;

    return (p11_viewer){.logged_in = p11_logged_in(core),
                        .v3 = s->v3,
                        .process = core->view,
                        .slot = p11_slot_view(core, s->slot),
                        .slot_id = s->slot,
                        .only = p11_slot_key(s->slot),
                        .objects = &core->objects};
}

/* The private half, and private data, take a login. */
static bool is_private(const p11_object *object, p11_class cls)
{
    return cls == P11_PRIVATE_KEY ||
           (object->kind == P11_ITEM && p11_item_bool(object->item, CKA_PRIVATE, false));
}

/* A slot with one key shows the certificates with the key's id too. */
static bool is_certificate_of(p11_object *object, p11_object *key)
{
    const p11_bytes a = p11_object_id(object);
    const p11_bytes b = p11_object_id(key);

    return object->kind == P11_ITEM && a.len > 0 && a.len == b.len &&
           memcmp(a.data, b.data, a.len) == 0;
}

/* By the views, and by what a slot with one key shows; the table is locked. */
static bool shows(const p11_viewer *v, p11_object *object, size_t index)
{
    if (v->only != 0 && v->only != index + 1 &&
        !is_certificate_of(object, v->objects->at[v->only - 1])) {
        return false;
    }
    return p11_view_shows(v->process, object) && p11_view_shows(v->slot, object);
}

bool p11_viewer_sees(const p11_viewer *v, p11_object *object, size_t index, p11_class cls)
{
    if (object->state != P11_LIVE || (is_private(object, cls) && !v->logged_in)) {
        return false;
    }
    if (cls == P11_PUBLIC_KEY && (object->names.flags & P11_PUBLIC_HIDDEN) != 0) {
        return false;
    }
    if (object->kind == P11_ITEM &&
        p11_item_number(object->item, CKA_CLASS, CKO_DATA) == CKO_PROFILE) {
        return v->v3; /* profiles came with version 3.0: older callers do not know the class */
    }
    if (object->owner.session != 0) {
        return object->owner.slot == v->slot_id;
    }
    return shows(v, object, index);
}

p11_object *p11_viewer_lock(const p11_call *call, CK_OBJECT_HANDLE handle, p11_class *cls)
{
    p11_objects *objects = &call->core->objects;
    const p11_viewer viewer = p11_viewer_of(call);
    p11_object *object = p11_objects_lock(objects, handle, cls);

    if (object != NULL && !p11_viewer_sees(&viewer, object, p11_object_index(handle), *cls)) {
        p11_objects_unlock(objects);
        return NULL;
    }
    return object;
}

static CK_RV check_shown(p11_call *call, const p11_viewer *v, bool shown)
{
    if (shown) {
        return CKR_OK;
    }
    return p11_fail(call, CKR_ACTION_PROHIBITED, "slot %lu would not show it (%s)", v->slot_id,
                    v->only != 0 ? "pkcs11.slotPerKey: it is of one key" : "its view");
}

CK_RV p11_viewer_check_new(p11_call *call, p11_object *object)
{
    p11_objects *objects = &call->core->objects;
    const p11_viewer viewer = p11_viewer_of(call);
    bool shown = false;

    pthread_mutex_lock(&objects->lock);
    shown = shows(&viewer, object, SIZE_MAX);
    pthread_mutex_unlock(&objects->lock);
    return check_shown(call, &viewer, shown);
}

CK_RV p11_viewer_check_own(p11_call *call, CK_OBJECT_HANDLE handle)
{
    p11_objects *objects = &call->core->objects;
    const p11_viewer viewer = p11_viewer_of(call);
    p11_class cls = P11_OTHER;
    p11_object *object = p11_objects_lock(objects, handle, &cls);
    const bool shown = object != NULL && shows(&viewer, object, p11_object_index(handle));

    if (object != NULL) {
        p11_objects_unlock(objects);
    }
    return check_shown(call, &viewer, shown);
}

CK_RV p11_object_copy_take(p11_call *call, CK_OBJECT_HANDLE handle, p11_object_copy *out)
{
    const p11_object *o = NULL;
    tdsa_err err;
    tdsa_status st = TDSA_OK;

    *out = (p11_object_copy){0};
    o = p11_viewer_lock(call, handle, &out->cls);
    if (o == NULL) {
        return p11_fail(call, CKR_OBJECT_HANDLE_INVALID, "no object %lu", handle);
    }
    out->of = *o;
    out->of.item = NULL;
    st = p11_names_copy(&out->of.names, &o->names, &err);
    if (st == TDSA_OK && o->item != NULL) {
        out->of.item = &out->item;
        st = p11_item_copy(&out->item, o->item, &err);
    }
    p11_objects_unlock(&call->core->objects);
    return st == TDSA_OK ? CKR_OK : p11_fail_err(call, &err);
}

void p11_object_copy_clear(p11_object_copy *c)
{
    p11_names_clear(&c->of.names);
    p11_item_clear(&c->item);
}
