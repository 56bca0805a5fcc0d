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
    size_t only;             /* a slot with one key: its index plus one; else 0 */
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

#endif
