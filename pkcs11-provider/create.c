#include "pkcs11-provider/create.h"

#include <string.h>

#include "pkcs11-provider/state.h"

CK_RV p11_create(p11_call *call, const CK_ATTRIBUTE *templ, CK_ULONG count,
                 const CK_OBJECT_HANDLE *object)
{
    CK_OBJECT_CLASS cls = 0;
    bool has_class = false;

    if (object == NULL || (templ == NULL && count > 0)) {
        return p11_fail(call, CKR_ARGUMENTS_BAD, "no template or no place for the handle");
    }
    for (CK_ULONG i = 0; i < count; i++) {
        if (templ[i].type == CKA_CLASS) {
            if (templ[i].pValue == NULL || templ[i].ulValueLen != sizeof cls) {
                return p11_fail(call, CKR_ATTRIBUTE_VALUE_INVALID, "CKA_CLASS: not a number");
            }
            memcpy(&cls, templ[i].pValue, sizeof cls);
            has_class = true;
        }
    }
    if (!has_class) {
        return p11_fail(call, CKR_TEMPLATE_INCOMPLETE, "CKA_CLASS is missing");
    }
    if (cls == CKO_PRIVATE_KEY) {
        return p11_fail(call, CKR_ACTION_PROHIBITED,
                        "keys are generated among the participants, never brought in whole");
    }
    if (cls == CKO_SECRET_KEY) {
        return p11_fail(call, CKR_TEMPLATE_INCONSISTENT, "the token holds no secret keys");
    }
    return p11_fail(call, CKR_FUNCTION_NOT_SUPPORTED, "objects of class %lu cannot be stored", cls);
}

CK_RV p11_copy(p11_call *call, CK_OBJECT_HANDLE object)
{
    p11_objects *objects = &call->core->objects;
    p11_class cls = P11_PUBLIC_KEY;
    p11_key *key = p11_objects_lock(objects, object, &cls);
    bool visible = false;

    if (key != NULL) {
        visible = p11_object_visible(key, cls, p11_logged_in(call->core));
        p11_objects_unlock(objects);
    }
    if (!visible) {
        return p11_fail(call, CKR_OBJECT_HANDLE_INVALID, "no object %lu", object);
    }
    return p11_fail(call, CKR_ACTION_PROHIBITED, "CKA_COPYABLE is false");
}
