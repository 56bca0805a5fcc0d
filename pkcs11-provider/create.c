#include "pkcs11-provider/create.h"

#include <stdlib.h>
#include <string.h>

#include "pkcs11-provider/certificate.h"
#include "pkcs11-provider/change.h"
#include "pkcs11-provider/curve.h"
#include "pkcs11-provider/state.h"
#include "pkcs11-provider/viewer.h"

/* The curve of a public key or a certificate; NULL: it is none of ours, or there is none. */
static const grp *curve_of(const p11_core *core, const p11_item *item)
{
    const p11_bytes *params = p11_item_get(item, CKA_EC_PARAMS);
    const p11_bytes *spki = p11_item_get(item, CKA_PUBLIC_KEY_INFO);
    const uint8_t *point = NULL;

    if (params != NULL) {
        return p11_curve_of_params(core->curves, params->data, params->len);
    }
    return spki != NULL ? p11_curve_of_spki(core->curves, spki->data, spki->len, &point) : NULL;
}

/* A token object that this session would not see is not kept. */
static CK_RV check_shown(p11_call *call, p11_item *item)
{
    const grp *g = curve_of(call->core, item);
    const p11_bytes *label = p11_item_get(item, CKA_LABEL);
    p11_object *object = calloc(1, sizeof *object);
    CK_RV rv = CKR_OK;

    if (object == NULL) {
        return p11_fail(call, CKR_HOST_MEMORY, "no memory for an object");
    }
    object->kind = P11_ITEM;
    object->item = item; /* lent */
    if (p11_item_number(item, CKA_CLASS, CKO_DATA) == CKO_PUBLIC_KEY) {
        object->kind = P11_ALONE;
        object->names.label = label != NULL ? *label : (p11_bytes){NULL, 0}; /* lent too */
    }
    object->facts.curve = g != NULL ? grp_get_info(g)->curve : GRP_CURVE_END;
    object->facts.scheme = MPC_SCHEME_ECDSA; /* no BIP-340: none of these says so */
    rv = p11_viewer_check_new(call, object);
    free(object);
    return rv;
}

CK_RV p11_add_item(p11_call *call, p11_item *item, bool token, CK_OBJECT_HANDLE *object)
{
    const tdsa_clock clock = tdsa_os_clock();
    uint8_t store_id[KS_OBJECT_ID_LEN];
    p11_origin from = {.created_ms = clock.wall_ms(clock.ctx)};
    size_t index = 0;
    tdsa_err err;
    CK_RV rv = CKR_OK;

    if (token) {
        rv = check_shown(call, item);
        if (rv == CKR_OK) {
            rv = p11_store_item(call, item, store_id, false);
        }
        from.store_id = store_id;
    } else {
        from.owner = (p11_owner){call->handle, call->session->slot};
        atomic_store(&call->core->session_objects, true);
    }
    if (rv != CKR_OK) {
        return rv;
    }
    if (p11_objects_put_item(&call->core->objects, item, &from, &index, &err) != TDSA_OK) {
        return p11_fail_err(call, &err);
    }
    *object = p11_object_handle(&call->core->objects, index, P11_OTHER);
    return CKR_OK;
}

/* ---- public keys ---- */

/* The curve and the point of a template. */
typedef struct {
    const grp *g;
    const uint8_t *point;
    size_t len;
} public_key;

static CK_RV read_public_key(p11_call *call, const p11_template *t, public_key *out)
{
    const CK_ATTRIBUTE *params = p11_template_find(t, CKA_EC_PARAMS);
    const CK_ATTRIBUTE *point = p11_template_find(t, CKA_EC_POINT);
    CK_ULONG type = CKK_EC;
    grp_point checked;
    tdsa_err err;
    const CK_RV rv = p11_template_number(call, t, CKA_KEY_TYPE, &type);

    if (rv != CKR_OK) {
        return rv;
    }
    if (type != CKK_EC && type != CKK_EC_EDWARDS) {
        return p11_fail(call, CKR_ATTRIBUTE_VALUE_INVALID,
                        "public keys of type %lu are not kept: CKK_EC and CKK_EC_EDWARDS are",
                        type);
    }
    if (params == NULL || point == NULL) {
        return p11_fail(call, CKR_TEMPLATE_INCOMPLETE, "CKA_EC_PARAMS or CKA_EC_POINT is missing");
    }
    out->g = p11_curve_of_params(call->core->curves, params->pValue, params->ulValueLen);
    if (out->g == NULL) {
        return p11_fail(call, CKR_CURVE_NOT_SUPPORTED,
                        "the curves are P-256, P-384, P-521, secp256k1 and Ed25519, by OID");
    }
    out->point = p11_point_of(out->g, point->pValue, point->ulValueLen, &out->len);
    if (out->point == NULL ||
        grp_point_decode(out->g, &checked, out->point, out->len, &err) != TDSA_OK) {
        return p11_fail(call, CKR_ATTRIBUTE_VALUE_INVALID, "CKA_EC_POINT: no point of the curve");
    }
    return CKR_OK;
}

/* The names of a template; other entries say what public keys are anyway, and are not looked at. */
static CK_RV take_names(p11_call *call, const p11_template *t, p11_names *names)
{
    CK_RV rv = CKR_OK;

    for (CK_ULONG i = 0; rv == CKR_OK && i < t->count; i++) {
        if (p11_is_name(t->attrs[i].type)) {
            rv = p11_names_take(call, names, &t->attrs[i]);
        }
    }
    return rv;
}

/* The token's own key with this point, if it has one: handle of its public object, copies of the rest. */
static CK_RV find_own(p11_call *call, const public_key *key, p11_names *names,
                      CK_OBJECT_HANDLE *object, char key_id[KS_KEY_ID_MAX + 1])
{
    const p11_source from = p11_core_source(call->core);
    p11_objects *o = &call->core->objects;
    size_t found = 0;
    tdsa_err err;
    tdsa_status st = p11_objects_refresh(o, &from, &err);

    *object = CK_INVALID_HANDLE;
    if (st != TDSA_OK) {
        return p11_fail_err(call, &err);
    }
    pthread_mutex_lock(&o->lock);
    found = p11_objects_find_point(o, key->point, key->len);
    if (found != 0 && o->at[found - 1]->owner.session == 0) {
        *object = p11_object_handle(o, found - 1, P11_PUBLIC_KEY);
        memcpy(key_id, o->at[found - 1]->facts.key_id, KS_KEY_ID_MAX + 1);
        st = p11_names_copy(names, &o->at[found - 1]->names, &err);
    }
    pthread_mutex_unlock(&o->lock);
    return st == TDSA_OK ? CKR_OK : p11_fail_err(call, &err);
}

/* Of a key of this token: there is an object already, which gets the names. */
static CK_RV rename_own(p11_call *call, const p11_template *t, const char *key_id, p11_names *names)
{
    const CK_RV rv = take_names(call, t, names);

    if (rv != CKR_OK) {
        return rv;
    }
    names->flags &= ~(unsigned)P11_PUBLIC_HIDDEN;
    return p11_rename_key(call, key_id, names);
}

/* A key alone, under names of its own. */
static CK_RV add_public(p11_call *call, const p11_template *t, const public_key *key, bool token,
                        CK_OBJECT_HANDLE *object)
{
    p11_object *alone = calloc(1, sizeof *alone);
    p11_item *item = calloc(1, sizeof *item);
    tdsa_err err;
    CK_RV rv = CKR_OK;

    if (alone == NULL || item == NULL) {
        rv = p11_fail(call, CKR_HOST_MEMORY, "no memory for a public key");
    } else {
        memcpy(alone->facts.point, key->point, key->len);
        alone->facts.point_len = key->len;
        rv = take_names(call, t, &alone->names);
    }
    if (rv == CKR_OK && p11_item_of_key(item, grp_get_info(key->g), alone, &err) != TDSA_OK) {
        rv = p11_fail_err(call, &err);
    }
    if (rv == CKR_OK) {
        rv = p11_add_item(call, item, token, object);
        p11_item_clear(item);
    }
    if (alone != NULL) {
        p11_names_clear(&alone->names);
    }
    free(alone);
    free(item);
    return rv;
}

static CK_RV create_public(p11_call *call, const p11_template *t, bool token,
                           CK_OBJECT_HANDLE *object)
{
    char key_id[KS_KEY_ID_MAX + 1] = "";
    p11_names names = {0};
    public_key key = {0};
    CK_RV rv = read_public_key(call, t, &key);

    if (rv == CKR_OK && token) {
        rv = find_own(call, &key, &names, object, key_id);
    }
    if (rv == CKR_OK && key_id[0] != '\0') {
        rv = p11_viewer_check_own(call, *object);
    }
    if (rv == CKR_OK) {
        rv = key_id[0] != '\0' ? rename_own(call, t, key_id, &names)
                               : add_public(call, t, &key, token, object);
    }
    p11_names_clear(&names);
    return rv;
}

/* ---- certificates and data ---- */

/* What a template may say about items of a class. */
static bool is_of(CK_OBJECT_CLASS cls, CK_ATTRIBUTE_TYPE type)
{
    switch (type) {
    case CKA_CLASS:
    case CKA_TOKEN:
    case CKA_PRIVATE:
    case CKA_MODIFIABLE:
    case CKA_COPYABLE:
    case CKA_DESTROYABLE:
    case CKA_LABEL:
    case CKA_VALUE:
        return true;
    case CKA_APPLICATION:
    case CKA_OBJECT_ID:
        return cls == CKO_DATA;
    case CKA_CERTIFICATE_TYPE:
    case CKA_CERTIFICATE_CATEGORY:
    case CKA_TRUSTED:
    case CKA_ID:
    case CKA_SUBJECT:
    case CKA_ISSUER:
    case CKA_SERIAL_NUMBER:
    case CKA_CHECK_VALUE:
    case CKA_START_DATE:
    case CKA_END_DATE:
    case CKA_PUBLIC_KEY_INFO:
    case CKA_URL:
    case CKA_HASH_OF_SUBJECT_PUBLIC_KEY:
    case CKA_HASH_OF_ISSUER_PUBLIC_KEY:
    case CKA_JAVA_MIDP_SECURITY_DOMAIN:
        return cls == CKO_CERTIFICATE;
    default:
        return false;
    }
}

static CK_RV check_bools(p11_call *call, const p11_template *t, CK_OBJECT_CLASS cls)
{
    static const CK_ATTRIBUTE_TYPE bools[] = {CKA_PRIVATE, CKA_MODIFIABLE, CKA_COPYABLE,
                                              CKA_DESTROYABLE, CKA_TRUSTED};
    bool value = false;
    CK_RV rv = CKR_OK;

    for (size_t i = 0; rv == CKR_OK && i < sizeof bools / sizeof bools[0]; i++) {
        rv = p11_template_bool(call, t, bools[i], &value);
    }
    value = false;
    if (rv == CKR_OK) {
        rv = p11_template_bool(call, t, CKA_TRUSTED, &value);
    }
    if (rv == CKR_OK && value) {
        rv = p11_fail(call, CKR_ATTRIBUTE_READ_ONLY, "CKA_TRUSTED is set by nobody here");
    }
    value = false;
    if (rv == CKR_OK) {
        rv = p11_template_bool(call, t, CKA_PRIVATE, &value);
    }
    if (rv == CKR_OK && value && cls == CKO_CERTIFICATE) {
        rv = p11_fail(call, CKR_ATTRIBUTE_VALUE_INVALID,
                      "certificates are public: CKA_PRIVATE is false");
    }
    return rv;
}

static CK_RV take_template(p11_call *call, const p11_template *t, CK_OBJECT_CLASS cls,
                           p11_item *item)
{
    tdsa_err err;
    tdsa_status st = TDSA_OK;
    CK_RV rv = check_bools(call, t, cls);

    for (CK_ULONG i = 0; rv == CKR_OK && i < t->count; i++) {
        const CK_ATTRIBUTE *a = &t->attrs[i];

        if (!is_of(cls, a->type)) {
            return p11_fail(call, CKR_ATTRIBUTE_TYPE_INVALID,
                            "objects of class %lu have no attribute 0x%lx", cls, a->type);
        }
        if (a->type == CKA_TOKEN) {
            continue; /* said by where the object is */
        }
        st = p11_item_set(item, a->type, a->pValue, a->ulValueLen, &err);
        if (st != TDSA_OK) {
            rv = st == TDSA_E_LIMIT ? p11_fail(call, CKR_ATTRIBUTE_VALUE_INVALID, "%s", err.text)
                                    : p11_fail_err(call, &err);
        }
    }
    return rv;
}

/* What an item says that its template did not. */
static tdsa_status set_defaults(p11_item *item, CK_OBJECT_CLASS cls, tdsa_err *err)
{
    static const struct {
        CK_ATTRIBUTE_TYPE type;
        bool value;
    } bools[] = {{CKA_PRIVATE, false},
                 {CKA_MODIFIABLE, true},
                 {CKA_COPYABLE, true},
                 {CKA_DESTROYABLE, true}};
    static const CK_ATTRIBUTE_TYPE empty[] = {CKA_LABEL, CKA_VALUE, CKA_APPLICATION, CKA_OBJECT_ID};
    tdsa_status st = TDSA_OK;

    for (size_t i = 0; st == TDSA_OK && i < sizeof bools / sizeof bools[0]; i++) {
        if (p11_item_get(item, bools[i].type) == NULL) {
            st = p11_item_set_bool(item, bools[i].type, bools[i].value, err);
        }
    }
    for (size_t i = 0; st == TDSA_OK && i < sizeof empty / sizeof empty[0]; i++) {
        if (cls == CKO_DATA && p11_item_get(item, empty[i]) == NULL) {
            st = p11_item_set(item, empty[i], NULL, 0, err);
        }
    }
    return st;
}

/* A certificate without an id or a label gets that of the key that it is of. */
static tdsa_status adopt_names(p11_core *core, p11_item *item, tdsa_err *err)
{
    p11_objects *o = &core->objects;
    const p11_bytes *label = p11_item_get(item, CKA_LABEL);
    const bool has_id = p11_item_get(item, CKA_ID)->len > 0;
    const bool has_label = label != NULL && label->len > 0;
    const p11_bytes *spki = p11_item_get(item, CKA_PUBLIC_KEY_INFO);
    const uint8_t *point = NULL;
    const grp *g = p11_curve_of_spki(o->curves, spki->data, spki->len, &point);
    size_t found = 0;
    tdsa_status st = TDSA_OK;

    if (g == NULL || (has_id && has_label)) {
        return TDSA_OK;
    }
    pthread_mutex_lock(&o->lock);
    found = p11_objects_find_point(o, point, grp_get_info(g)->point_raw_len);
    if (found != 0 && !has_id) {
        const p11_bytes name = p11_object_id(o->at[found - 1]);

        st = p11_item_set(item, CKA_ID, name.data, name.len, err);
    }
    if (st == TDSA_OK && found != 0 && !has_label) {
        const p11_bytes name = p11_object_label(o->at[found - 1]);

        st = p11_item_set(item, CKA_LABEL, name.data, name.len, err);
    }
    pthread_mutex_unlock(&o->lock);
    return st;
}

static CK_RV complete_certificate(p11_call *call, p11_item *item)
{
    tdsa_err err;
    tdsa_status st = TDSA_OK;

    if (p11_item_number(item, CKA_CERTIFICATE_TYPE, CKC_X_509) != CKC_X_509) {
        return p11_fail(call, CKR_ATTRIBUTE_VALUE_INVALID, "certificates are X.509 ones");
    }
    if (p11_item_get(item, CKA_VALUE) == NULL) {
        return p11_fail(call, CKR_TEMPLATE_INCOMPLETE, "CKA_VALUE is missing");
    }
    st = p11_item_set_number(item, CKA_CERTIFICATE_TYPE, CKC_X_509, &err);
    if (st == TDSA_OK) {
        st = p11_certificate_complete(item, &err);
    }
    if (st == TDSA_OK) {
        st = adopt_names(call->core, item, &err);
    }
    if (st == TDSA_E_BAD_INPUT) {
        return p11_fail(call, CKR_ATTRIBUTE_VALUE_INVALID, "%s", err.text);
    }
    return st == TDSA_OK ? CKR_OK : p11_fail_err(call, &err);
}

static CK_RV create_item(p11_call *call, const p11_template *t, CK_OBJECT_CLASS cls, bool token,
                         CK_OBJECT_HANDLE *object)
{
    p11_item *item = calloc(1, sizeof *item);
    tdsa_err err;
    CK_RV rv = item != NULL ? take_template(call, t, cls, item)
                            : p11_fail(call, CKR_HOST_MEMORY, "no memory for an object");

    if (rv == CKR_OK && cls == CKO_CERTIFICATE) {
        rv = complete_certificate(call, item);
    }
    if (rv == CKR_OK && set_defaults(item, cls, &err) != TDSA_OK) {
        rv = p11_fail_err(call, &err);
    }
    if (rv == CKR_OK) {
        rv = p11_may_make(call, token, p11_item_bool(item, CKA_PRIVATE, false));
    }
    if (rv == CKR_OK) {
        rv = p11_add_item(call, item, token, object);
    }
    if (item != NULL) {
        p11_item_clear(item);
    }
    free(item);
    return rv;
}

/* ---- C_CreateObject ---- */

static CK_RV create_private(p11_call *call, const p11_template *t, CK_OBJECT_HANDLE *object)
{
    if (!cfg_participant_engine(call->core->participant)->import_keys) {
        return p11_fail(call, CKR_ACTION_PROHIBITED,
                        "keys are generated among the participants; tdsaLibrary.importKeys, which "
                        "would let one be brought in whole, is not set here");
    }
    return p11_import_key(call, t, object);
}

CK_RV p11_create(p11_call *call, const p11_template *t, CK_OBJECT_HANDLE *object)
{
    CK_ULONG cls = 0;
    bool token = false;
    CK_RV rv = object != NULL ? p11_template_check(call, t)
                              : p11_fail(call, CKR_ARGUMENTS_BAD, "no place for the handle");

    if (rv == CKR_OK && p11_template_find(t, CKA_CLASS) == NULL) {
        rv = p11_fail(call, CKR_TEMPLATE_INCOMPLETE, "CKA_CLASS is missing");
    }
    if (rv == CKR_OK) {
        rv = p11_template_number(call, t, CKA_CLASS, &cls);
    }
    if (rv == CKR_OK) {
        rv = p11_template_bool(call, t, CKA_TOKEN, &token);
    }
    if (rv != CKR_OK) {
        return rv;
    }
    switch (cls) {
    case CKO_PRIVATE_KEY:
        return create_private(call, t, object);
    case CKO_PUBLIC_KEY:
        rv = p11_may_make(call, token, false);
        return rv == CKR_OK ? create_public(call, t, token, object) : rv;
    case CKO_CERTIFICATE:
    case CKO_DATA:
        return create_item(call, t, cls, token, object);
    case CKO_SECRET_KEY:
        return p11_fail(call, CKR_TEMPLATE_INCONSISTENT, "the token holds no secret keys");
    default: /* NSS tries its trust objects, and goes on without */
        return p11_fail(call, CKR_ATTRIBUTE_VALUE_INVALID, "objects of class 0x%lx are not kept",
                        cls);
    }
}
