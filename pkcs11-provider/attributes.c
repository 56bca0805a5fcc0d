#include "pkcs11-provider/attributes.h"

#include <string.h>

#include "base/assert.h"
#include "pkcs11-provider/mechanism.h"
#include "pkcs11-provider/state.h"

typedef enum {
    KIND_FALSE,
    KIND_TRUE,
    KIND_NUMBER,
    KIND_EMPTY,
    KIND_SECRET, /* exists, never given out */
    KIND_LABEL,
    KIND_ID,
    KIND_SUBJECT,
    KIND_CURVE,
    KIND_POINT,
    KIND_KEY_INFO,
    KIND_MECHANISMS,
    KIND_UNIQUE_ID
} value_kind;

enum { PUB = 1, PRIV = 2, BOTH = PUB | PRIV };

typedef struct {
    CK_ATTRIBUTE_TYPE type;
    int classes;
    value_kind kind;
    CK_ULONG number;
} attribute_row;

static const attribute_row table[] = {
    {CKA_CLASS, PUB, KIND_NUMBER, CKO_PUBLIC_KEY},
    {CKA_CLASS, PRIV, KIND_NUMBER, CKO_PRIVATE_KEY},
    {CKA_KEY_TYPE, BOTH, KIND_NUMBER, CKK_EC},
    {CKA_TOKEN, BOTH, KIND_TRUE, 0},
    {CKA_PRIVATE, PUB, KIND_FALSE, 0},
    {CKA_PRIVATE, PRIV, KIND_TRUE, 0},
    {CKA_LABEL, BOTH, KIND_LABEL, 0},
    {CKA_ID, BOTH, KIND_ID, 0},
    {CKA_SUBJECT, BOTH, KIND_SUBJECT, 0},
    {CKA_UNIQUE_ID, BOTH, KIND_UNIQUE_ID, 0},
    {CKA_MODIFIABLE, BOTH, KIND_TRUE, 0},
    {CKA_COPYABLE, BOTH, KIND_FALSE, 0},
    {CKA_DESTROYABLE, BOTH, KIND_TRUE, 0},
    {CKA_START_DATE, BOTH, KIND_EMPTY, 0},
    {CKA_END_DATE, BOTH, KIND_EMPTY, 0},
    {CKA_DERIVE, BOTH, KIND_FALSE, 0},
    {CKA_LOCAL, BOTH, KIND_TRUE, 0},
    {CKA_KEY_GEN_MECHANISM, BOTH, KIND_NUMBER, CKM_EC_KEY_PAIR_GEN},
    {CKA_ALLOWED_MECHANISMS, BOTH, KIND_MECHANISMS, 0},
    {CKA_EC_PARAMS, BOTH, KIND_CURVE, 0},
    {CKA_EC_POINT, BOTH, KIND_POINT, 0},
    {CKA_PUBLIC_KEY_INFO, BOTH, KIND_KEY_INFO, 0},
    {CKA_VERIFY, PUB, KIND_TRUE, 0},
    {CKA_VERIFY_RECOVER, PUB, KIND_FALSE, 0},
    {CKA_ENCRYPT, PUB, KIND_FALSE, 0},
    {CKA_WRAP, PUB, KIND_FALSE, 0},
    {CKA_TRUSTED, PUB, KIND_FALSE, 0},
    {CKA_SIGN, PRIV, KIND_TRUE, 0},
    {CKA_SIGN_RECOVER, PRIV, KIND_FALSE, 0},
    {CKA_DECRYPT, PRIV, KIND_FALSE, 0},
    {CKA_UNWRAP, PRIV, KIND_FALSE, 0},
    {CKA_SENSITIVE, PRIV, KIND_TRUE, 0},
    {CKA_ALWAYS_SENSITIVE, PRIV, KIND_TRUE, 0},
    {CKA_EXTRACTABLE, PRIV, KIND_FALSE, 0},
    {CKA_NEVER_EXTRACTABLE, PRIV, KIND_TRUE, 0},
    {CKA_WRAP_WITH_TRUSTED, PRIV, KIND_FALSE, 0},
    {CKA_ALWAYS_AUTHENTICATE, PRIV, KIND_FALSE, 0},
    {CKA_VALUE, PRIV, KIND_SECRET, 0},
};
#define ROW_COUNT (sizeof table / sizeof table[0])

static CK_RV give(p11_value *out, const void *data, size_t len)
{
    out->data = data;
    out->len = len;
    return CKR_OK;
}

/* Tag and length of a DER element of up to 255 bytes; gives where its contents begin. */
static uint8_t *put_head(uint8_t *p, uint8_t tag, size_t len)
{
    TDSA_ASSERT(len <= 0xff);
    *p++ = tag;
    if (len >= 0x80) { /* P-521 */
        *p++ = 0x81;
    }
    *p++ = (uint8_t)len;
    return p;
}

static size_t head_len(size_t len)
{
    return len >= 0x80 ? 3 : 2;
}

/* X9.62: the point as a DER OCTET STRING. */
static CK_RV give_point(const p11_key *key, p11_value *out)
{
    uint8_t *p = put_head(out->scratch.bytes, 0x04, key->facts.point_len);

    memcpy(p, key->facts.point, key->facts.point_len);
    return give(out, out->scratch.bytes, head_len(key->facts.point_len) + key->facts.point_len);
}

/* RFC 5480: SubjectPublicKeyInfo { { id-ecPublicKey, namedCurve }, BIT STRING point }. */
static CK_RV give_key_info(const grp_info *curve, const p11_key *key, p11_value *out)
{
    static const uint8_t ec_public_key[] = {0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01};
    const size_t algorithm_len = sizeof ec_public_key + curve->oid_len;
    const size_t bits_len = key->facts.point_len + 1;
    const size_t inner_len =
        head_len(algorithm_len) + algorithm_len + head_len(bits_len) + bits_len;
    uint8_t *p = out->scratch.bytes;

    TDSA_ASSERT(head_len(inner_len) + inner_len <= sizeof out->scratch.bytes);
    p = put_head(p, 0x30, inner_len);
    p = put_head(p, 0x30, algorithm_len);
    memcpy(p, ec_public_key, sizeof ec_public_key);
    p += sizeof ec_public_key;
    memcpy(p, curve->oid, curve->oid_len);
    p += curve->oid_len;
    p = put_head(p, 0x03, bits_len);
    *p++ = 0x00; /* no unused bits */
    memcpy(p, key->facts.point, key->facts.point_len);
    return give(out, out->scratch.bytes, head_len(inner_len) + inner_len);
}

static CK_RV give_unique_id(const p11_key *key, p11_class cls, p11_value *out)
{
    const char *tail = cls == P11_PRIVATE_KEY ? "/private" : "/public";
    const size_t id_len = strlen(key->facts.key_id);
    const size_t tail_len = strlen(tail);

    memcpy(out->scratch.bytes, key->facts.key_id, id_len);
    memcpy(out->scratch.bytes + id_len, tail, tail_len);
    return give(out, out->scratch.bytes, id_len + tail_len);
}

static CK_RV give_kind(const p11_core *core, const p11_key *key, p11_class cls,
                       const attribute_row *row, p11_value *out)
{
    const grp_info *curve = grp_get_info(p11_core_curve(core, key->facts.curve));

    switch (row->kind) {
    case KIND_FALSE:
    case KIND_TRUE:
        out->scratch.flag = row->kind == KIND_TRUE ? CK_TRUE : CK_FALSE;
        return give(out, &out->scratch, sizeof(CK_BBOOL));
    case KIND_NUMBER:
        out->scratch.number = row->number;
        return give(out, &out->scratch, sizeof(CK_ULONG));
    case KIND_EMPTY:
        return give(out, "", 0);
    case KIND_SECRET:
        return CKR_ATTRIBUTE_SENSITIVE;
    case KIND_LABEL:
        return give(out, key->names.label.data, key->names.label.len);
    case KIND_ID:
        if (key->names.id.len == 0) {
            return give(out, key->facts.default_id, sizeof key->facts.default_id);
        }
        return give(out, key->names.id.data, key->names.id.len);
    case KIND_SUBJECT:
        return give(out, key->names.subject.data, key->names.subject.len);
    case KIND_CURVE:
        return give(out, curve->oid, curve->oid_len);
    case KIND_POINT:
        return give_point(key, out);
    case KIND_KEY_INFO:
        return give_key_info(curve, key, out);
    case KIND_MECHANISMS:
        return give(out, &out->scratch,
                    sizeof(CK_ULONG) * p11_mech_allowed_list(&key->facts.policy,
                                                             core->settings.sha1,
                                                             out->scratch.numbers));
    case KIND_UNIQUE_ID:
        return give_unique_id(key, cls, out);
    }
    return CKR_GENERAL_ERROR;
}

_Static_assert(P11_SIGN_MECHS_MAX <= 8, "the allowed mechanisms fit the scratch");
_Static_assert(GRP_POINT_RAW_MAX + 32u <= P11_SCRATCH_LEN, "the public key of each curve fits");
_Static_assert(KS_KEY_ID_MAX + 16u <= P11_SCRATCH_LEN, "a unique id fits the scratch");

static const attribute_row *find_row(p11_class cls, CK_ATTRIBUTE_TYPE type)
{
    const int bit = cls == P11_PUBLIC_KEY ? PUB : PRIV;

    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (table[i].type == type && (table[i].classes & bit) != 0) {
            return &table[i];
        }
    }
    return NULL;
}

CK_RV p11_attribute(const p11_core *core, const p11_key *key, p11_class cls, CK_ATTRIBUTE_TYPE type,
                    p11_value *out)
{
    const attribute_row *row = find_row(cls, type);

    out->data = NULL;
    out->len = 0;
    return row == NULL ? CKR_ATTRIBUTE_TYPE_INVALID : give_kind(core, key, cls, row, out);
}

bool p11_attributes_match(const p11_core *core, const p11_key *key, p11_class cls,
                          const CK_ATTRIBUTE *templ, CK_ULONG count)
{
    p11_value value;

    for (CK_ULONG i = 0; i < count; i++) {
        if (p11_attribute(core, key, cls, templ[i].type, &value) != CKR_OK ||
            value.len != templ[i].ulValueLen) {
            return false;
        }
        if (value.len > 0 && memcmp(value.data, templ[i].pValue, value.len) != 0) {
            return false;
        }
    }
    return true;
}

/* PKCS#11 2.40, C_GetAttributeValue: the five cases of one template entry. */
static CK_RV get_one(const p11_core *core, const p11_key *key, p11_class cls, CK_ATTRIBUTE *a)
{
    p11_value value;
    const CK_RV rv = p11_attribute(core, key, cls, a->type, &value);

    if (rv != CKR_OK) {
        a->ulValueLen = CK_UNAVAILABLE_INFORMATION;
        return rv;
    }
    if (a->pValue == NULL) {
        a->ulValueLen = value.len;
        return CKR_OK;
    }
    if (a->ulValueLen < value.len) {
        a->ulValueLen = CK_UNAVAILABLE_INFORMATION;
        return CKR_BUFFER_TOO_SMALL;
    }
    if (value.len > 0) {
        memcpy(a->pValue, value.data, value.len);
    }
    a->ulValueLen = value.len;
    return CKR_OK;
}

CK_RV p11_attributes_get(p11_call *call, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *templ,
                         CK_ULONG count)
{
    p11_core *core = call->core;
    p11_class cls = P11_PUBLIC_KEY;
    p11_key *key = NULL;
    CK_RV first = CKR_OK;

    if (templ == NULL && count > 0) {
        return p11_fail(call, CKR_ARGUMENTS_BAD, "no template");
    }
    key = p11_objects_lock(&core->objects, object, &cls);
    if (key == NULL) {
        return p11_fail(call, CKR_OBJECT_HANDLE_INVALID, "no object %lu", object);
    }
    if (!p11_object_visible(key, cls, p11_logged_in(core))) {
        p11_objects_unlock(&core->objects);
        return p11_fail(call, CKR_OBJECT_HANDLE_INVALID, "object %lu is not visible", object);
    }
    for (CK_ULONG i = 0; i < count; i++) {
        const CK_RV rv = get_one(core, key, cls, &templ[i]);

        first = first == CKR_OK ? rv : first;
    }
    p11_objects_unlock(&core->objects);
    return first;
}

CK_RV p11_attributes_size(p11_call *call, CK_OBJECT_HANDLE object, CK_ULONG *size)
{
    p11_core *core = call->core;
    p11_class cls = P11_PUBLIC_KEY;
    p11_key *key = NULL;
    p11_value value;
    bool visible = false;
    CK_ULONG total = 0;

    if (size == NULL) {
        return p11_fail(call, CKR_ARGUMENTS_BAD, "no place for the size");
    }
    key = p11_objects_lock(&core->objects, object, &cls);
    if (key != NULL) {
        visible = p11_object_visible(key, cls, p11_logged_in(core));
        for (size_t i = 0; i < ROW_COUNT; i++) {
            if (p11_attribute(core, key, cls, table[i].type, &value) == CKR_OK) {
                total += value.len;
            }
        }
        p11_objects_unlock(&core->objects);
    }
    if (!visible) {
        return p11_fail(call, CKR_OBJECT_HANDLE_INVALID, "no object %lu", object);
    }
    *size = total;
    return CKR_OK;
}

CK_RV p11_names_take(p11_call *call, p11_names *names, const CK_ATTRIBUTE *a)
{
    const bool is_label = a->type == CKA_LABEL;
    const bool is_id = a->type == CKA_ID;
    p11_bytes *to = is_label ? &names->label : is_id ? &names->id : &names->subject;
    const size_t max = is_label ? P11_LABEL_MAX : is_id ? P11_ID_MAX : P11_SUBJECT_MAX;

    if (!is_label && !is_id && a->type != CKA_SUBJECT) {
        return p11_fail(call, CKR_ATTRIBUTE_READ_ONLY, "attribute 0x%lx cannot be set", a->type);
    }
    if (a->ulValueLen > max || (a->pValue == NULL && a->ulValueLen > 0)) {
        return p11_fail(call, CKR_ATTRIBUTE_VALUE_INVALID, "attribute 0x%lx: at most %zu bytes",
                        a->type, max);
    }
    if (!p11_bytes_set(to, a->pValue, a->ulValueLen)) {
        return p11_fail(call, CKR_HOST_MEMORY, "no memory for a name");
    }
    return CKR_OK;
}

/* The checks of C_SetAttributeValue, and a copy of what is to be changed. */
static CK_RV set_prepare(p11_call *call, CK_OBJECT_HANDLE object, p11_names *names, char *key_id)
{
    p11_objects *objects = &call->core->objects;
    p11_class cls = P11_PUBLIC_KEY;
    p11_key *key = p11_objects_lock(objects, object, &cls);
    tdsa_err err;
    tdsa_status st = TDSA_OK;
    bool visible = false;

    if (key != NULL) {
        visible = p11_object_visible(key, cls, p11_logged_in(call->core));
        st = visible ? p11_names_copy(names, &key->names, &err) : TDSA_OK;
        memcpy(key_id, key->facts.key_id, KS_KEY_ID_MAX + 1);
        p11_objects_unlock(objects);
    }
    if (!visible) {
        return p11_fail(call, CKR_OBJECT_HANDLE_INVALID, "no object %lu", object);
    }
    return st == TDSA_OK ? CKR_OK : p11_fail_err(call, &err);
}

CK_RV p11_attributes_set(p11_call *call, CK_OBJECT_HANDLE object, const CK_ATTRIBUTE *templ,
                         CK_ULONG count)
{
    char key_id[KS_KEY_ID_MAX + 1] = {0};
    const p11_class cls = object % 2 == 1 ? P11_PRIVATE_KEY : P11_PUBLIC_KEY;
    p11_names names = {0};
    CK_RV rv = CKR_OK;

    if (templ == NULL && count > 0) {
        return p11_fail(call, CKR_ARGUMENTS_BAD, "no template");
    }
    rv = set_prepare(call, object, &names, key_id);
    if (rv == CKR_OK && !call->session->read_write) {
        rv = p11_fail(call, CKR_SESSION_READ_ONLY, "token objects change in R/W sessions only");
    }
    for (CK_ULONG i = 0; rv == CKR_OK && i < count; i++) {
        rv = find_row(cls, templ[i].type) == NULL
                 ? p11_fail(call, CKR_ATTRIBUTE_TYPE_INVALID, "no attribute 0x%lx", templ[i].type)
                 : p11_names_take(call, &names, &templ[i]);
    }
    if (rv == CKR_OK && count > 0) {
        rv = p11_core_rename(call, key_id, &names);
    }
    p11_names_clear(&names);
    return rv;
}
