#ifndef P11_VIEWER_H
#define P11_VIEWER_H

#include "pkcs11-provider/call.h"
#include "pkcs11-provider/view.h"

/** What a call sees of the objects: login, version of its interface, views. */
typedef struct {
    bool logged_in;
    bool v3;                 /* the session was opened through a table of version 3 */
    const p11_view *process; /* of this program */
    const p11_view *slot;    /* of the session's slot */
    CK_SLOT_ID slot_id;
    size_t only; /* a slot with one key: its index plus one; else 0 */
    const p11_objects *objects;
} p11_viewer;

/** The viewer of a call with a session. */
p11_viewer p11_viewer_of(const p11_call *call) TDSA_NONNULL;
/** True when it can see the object; the table is locked. */
bool p11_viewer_sees(const p11_viewer *v, p11_object *object, size_t index, p11_class cls)
    TDSA_NONNULL;
/** The object of a handle, visible to the call, with the table locked; else NULL and unlocked. */
p11_object *p11_viewer_lock(const p11_call *call, CK_OBJECT_HANDLE handle, p11_class *cls)
    TDSA_NONNULL;
/** CKR_ACTION_PROHIBITED for an object that the call would not see once it is in the token: nobody should
 * get a handle that means nothing. Of a key that is to be made the facts' curve and scheme, and the names,
 * are filled; of everything else `item` too. */
CK_RV p11_viewer_check_new(p11_call *call, p11_object *object) TDSA_NONNULL;
/** The same of a key that is there; its public object may be hidden. */
CK_RV p11_viewer_check_own(p11_call *call, CK_OBJECT_HANDLE handle) TDSA_NONNULL;

/** An object as it is at one moment; do not move it. */
typedef struct {
    p11_object of; /* its names are this copy's own; of.item is NULL or &item */
    p11_item item;
    p11_class cls;
} p11_object_copy;
/** Copies the object of a handle that is visible to the call. CKR_OBJECT_HANDLE_INVALID: there is none.
 * `out` is to be cleared whatever comes. */
CK_RV p11_object_copy_take(p11_call *call, CK_OBJECT_HANDLE handle, p11_object_copy *out)
    TDSA_NONNULL;
void p11_object_copy_clear(p11_object_copy *c) TDSA_NONNULL;

#endif
