/* C_* functions about objects: search, attributes, making and destroying. */
#include "pkcs11-provider/attributes.h"
#include "pkcs11-provider/change.h"
#include "pkcs11-provider/create.h"
#include "pkcs11-provider/destroy.h"
#include "pkcs11-provider/state.h"

CK_RV C_FindObjectsInit(CK_SESSION_HANDLE session, CK_ATTRIBUTE *templ, CK_ULONG count)
{
    P11_ENTER_SESSION("C_FindObjectsInit", session);
    return p11_leave(&call, p11_find_init(&call, templ, count));
}

CK_RV C_FindObjects(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *out, CK_ULONG max, CK_ULONG *count)
{
    P11_ENTER_SESSION("C_FindObjects", session);
    return p11_leave(&call, p11_find_next(&call, out, max, count));
}

CK_RV C_FindObjectsFinal(CK_SESSION_HANDLE session)
{
    P11_ENTER_SESSION("C_FindObjectsFinal", session);
    return p11_leave(&call, p11_find_final(&call));
}

CK_RV C_GetAttributeValue(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *templ,
                          CK_ULONG count)
{
    P11_ENTER_SESSION("C_GetAttributeValue", session);
    return p11_leave(&call, p11_attributes_get(&call, object, templ, count));
}

CK_RV C_SetAttributeValue(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *templ,
                          CK_ULONG count)
{
    P11_ENTER_SESSION("C_SetAttributeValue", session);
    return p11_leave(&call, p11_attributes_set(&call, object, templ, count));
}

CK_RV C_GetObjectSize(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ULONG *size)
{
    P11_ENTER_SESSION("C_GetObjectSize", session);
    return p11_leave(&call, p11_attributes_size(&call, object, size));
}

CK_RV C_CreateObject(CK_SESSION_HANDLE session, CK_ATTRIBUTE *templ, CK_ULONG count,
                     CK_OBJECT_HANDLE *object)
{
    const p11_template t = {templ, count};

    P11_ENTER_SESSION("C_CreateObject", session);
    return p11_leave(&call, p11_create(&call, &t, object));
}

CK_RV C_CopyObject(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *templ,
                   CK_ULONG count, CK_OBJECT_HANDLE *copy)
{
    const p11_template t = {templ, count};

    P11_ENTER_SESSION("C_CopyObject", session);
    return p11_leave(&call, p11_copy(&call, object, &t, copy));
}

CK_RV C_DestroyObject(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object)
{
    P11_ENTER_SESSION("C_DestroyObject", session);
    return p11_leave(&call, p11_destroy(&call, object));
}

CK_RV C_GenerateKeyPair(CK_SESSION_HANDLE session, CK_MECHANISM *mech, CK_ATTRIBUTE *public_templ,
                        CK_ULONG public_count, CK_ATTRIBUTE *private_templ, CK_ULONG private_count,
                        CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key)
{
    const p11_pair_wish wish = {mech, {public_templ, public_count}, {private_templ, private_count}};

    P11_ENTER_SESSION("C_GenerateKeyPair", session);
    return p11_leave(&call, p11_generate_pair(&call, &wish, public_key, private_key));
}

CK_RV C_WrapKey(CK_SESSION_HANDLE session, CK_MECHANISM *mech, CK_OBJECT_HANDLE wrapping_key,
                CK_OBJECT_HANDLE key, CK_BYTE *out, CK_ULONG *out_len)
{
    (void)session;
    (void)mech;
    (void)wrapping_key;
    (void)key;
    (void)out;
    (void)out_len;
    return p11_refuse("C_WrapKey", CKR_KEY_UNEXTRACTABLE); /* no key is whole anywhere */
}
