#include "pkcs11-provider/create.h"

#include <string.h>

#include "pkcs11-provider/attributes.h"
#include "pkcs11-provider/keygen.h"
#include "pkcs11-provider/state.h"

/* Objects that are brought in: a private key by import, and the public key object of a key that is there. */

/* ---- the public key object ---- */

#define DER_OCTETS   0x04u
#define POINT_OFFSET 2u /* of the point in CKA_EC_POINT: tag and one byte of length, below 128 */

/* A point of at most 133 bytes, as it is or in a DER OCTET STRING. */
bool p11_point_of(const CK_ATTRIBUTE *a, const CK_BYTE **point, size_t *len)
{
    const CK_BYTE *bytes = a->pValue;
    const size_t count = a->ulValueLen;

    *point = bytes;
    *len = count;
    if (bytes == NULL || count < 3) {
        return false;
    }
    if (bytes[0] == DER_OCTETS && bytes[1] == count - POINT_OFFSET && bytes[1] < 0x80) {
        *point = bytes + POINT_OFFSET;
        *len = count - POINT_OFFSET;
    } else if (bytes[0] == DER_OCTETS && bytes[1] == 0x81 && bytes[2] == count - 3) {
        *point = bytes + 3;
        *len = count - 3;
    }
    return true;
}

/* The key with this point, and a copy of its names. */
static CK_RV find_by_point(p11_call *call, const CK_BYTE *point, size_t len, p11_names *names,
                           CK_OBJECT_HANDLE *object, char key_id[KS_KEY_ID_MAX + 1])
{
    p11_objects *o = &call->core->objects;
    tdsa_err err;
    tdsa_status st = TDSA_OK;

    *object = CK_INVALID_HANDLE;
    pthread_mutex_lock(&o->lock);
    for (size_t i = 0; i < o->count && *object == CK_INVALID_HANDLE; i++) {
        const p11_key *k = o->keys[i];

        if (k->state == P11_KEY_LIVE && k->facts.point_len == len &&
            memcmp(k->facts.point, point, len) == 0) {
            *object = p11_object_handle(i, P11_PUBLIC_KEY);
            memcpy(key_id, k->facts.key_id, KS_KEY_ID_MAX + 1);
            st = p11_names_copy(names, &k->names, &err);
        }
    }
    pthread_mutex_unlock(&o->lock);
    return st == TDSA_OK ? CKR_OK : p11_fail_err(call, &err);
}

/* Of a key of this token: there is one already, which gets the names. Others cannot be stored. */
static CK_RV create_public(p11_call *call, const CK_ATTRIBUTE *templ, CK_ULONG count,
                           CK_OBJECT_HANDLE *object)
{
    char key_id[KS_KEY_ID_MAX + 1] = "";
    const CK_BYTE *point = NULL;
    size_t len = 0;
    p11_names names = {0};
    tdsa_err err;
    CK_RV rv = CKR_OK;

    for (CK_ULONG i = 0; i < count; i++) {
        if (templ[i].type == CKA_EC_POINT && !p11_point_of(&templ[i], &point, &len)) {
            return p11_fail(call, CKR_ATTRIBUTE_VALUE_INVALID, "CKA_EC_POINT: no point");
        }
    }
    if (p11_objects_refresh(&call->core->objects, call->core->store, call->core->engine,
                            &call->core->log->sink, &err) != TDSA_OK) {
        return p11_fail_err(call, &err);
    }
    if (point != NULL) {
        rv = find_by_point(call, point, len, &names, object, key_id);
    }
    if (rv == CKR_OK && key_id[0] == '\0') {
        rv = p11_fail(call, CKR_FUNCTION_NOT_SUPPORTED,
                      "only public keys whose private key is in the token can be stored");
    }
    for (CK_ULONG i = 0; rv == CKR_OK && i < count; i++) {
        if (templ[i].type == CKA_LABEL || templ[i].type == CKA_ID || templ[i].type == CKA_SUBJECT) {
            rv = p11_names_take(call, &names, &templ[i]);
        }
    }
    if (rv == CKR_OK) {
        names.public_hidden = false;
        rv = p11_core_rename(call, key_id, &names);
    }
    p11_names_clear(&names);
    return rv;
}

/* ---- C_CreateObject, C_CopyObject ---- */

static CK_RV create_key(p11_call *call, const p11_template *t, bool is_private,
                        CK_OBJECT_HANDLE *object)
{
    if (is_private && !cfg_participant_engine(call->core->participant)->import_keys) {
        return p11_fail(call, CKR_ACTION_PROHIBITED,
                        "keys are generated among the participants; tdsaLibrary.importKeys, which "
                        "would let one be brought in whole, is not set here");
    }
    if (!call->session->read_write) {
        return p11_fail(call, CKR_SESSION_READ_ONLY, "objects are made in R/W sessions only");
    }
    if (is_private && !p11_logged_in(call->core)) {
        return p11_fail(call, CKR_USER_NOT_LOGGED_IN, "keys are brought in after a login only");
    }
    return is_private ? p11_import_key(call, t, object)
                      : create_public(call, t->attrs, t->count, object);
}

CK_RV p11_create(p11_call *call, const p11_template *t, CK_OBJECT_HANDLE *object)
{
    CK_OBJECT_CLASS cls = 0;
    bool has_class = false;

    if (object == NULL || (t->attrs == NULL && t->count > 0)) {
        return p11_fail(call, CKR_ARGUMENTS_BAD, "no template or no place for the handle");
    }
    for (CK_ULONG i = 0; i < t->count; i++) {
        const CK_ATTRIBUTE *a = &t->attrs[i];

        if (a->type == CKA_CLASS) {
            if (a->pValue == NULL || a->ulValueLen != sizeof cls) {
                return p11_fail(call, CKR_ATTRIBUTE_VALUE_INVALID, "CKA_CLASS: not a number");
            }
            memcpy(&cls, a->pValue, sizeof cls);
            has_class = true;
        }
    }
    if (!has_class) {
        return p11_fail(call, CKR_TEMPLATE_INCOMPLETE, "CKA_CLASS is missing");
    }
    if (cls == CKO_PRIVATE_KEY || cls == CKO_PUBLIC_KEY) {
        return create_key(call, t, cls == CKO_PRIVATE_KEY, object);
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
