#include "pkcs11-provider/attributes.h"

#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "pkcs11-provider/curve.h"
#include "pkcs11-provider/mechanism.h"
#include "pkcs11-provider/state.h"
#include "pkcs11-provider/viewer.h"

typedef enum {
    KIND_FALSE,
    KIND_TRUE,
    KIND_NUMBER,
    KIND_SECRET,   /* exists, never given out */
    KIND_FLAG,     /* `number` is set in the names' flags */
    KIND_NOT_FLAG, /* it is not */
    KIND_TOKEN,
    KIND_LOCAL,
    KIND_COPYABLE,
    KIND_DESTROYABLE,
    KIND_KEY_TYPE,
    KIND_GENERATOR,
    KIND_LABEL,
    KIND_ID,
    KIND_SUBJECT,
    KIND_START_DATE,
    KIND_END_DATE,
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
    {CKA_KEY_TYPE, BOTH, KIND_KEY_TYPE, 0},
    {CKA_TOKEN, BOTH, KIND_TOKEN, 0},
    {CKA_PRIVATE, PUB, KIND_FALSE, 0},
    {CKA_PRIVATE, PRIV, KIND_TRUE, 0},
    {CKA_LABEL, BOTH, KIND_LABEL, 0},
    {CKA_ID, BOTH, KIND_ID, 0},
    {CKA_SUBJECT, BOTH, KIND_SUBJECT, 0},
    {CKA_UNIQUE_ID, BOTH, KIND_UNIQUE_ID, 0},
    {CKA_MODIFIABLE, BOTH, KIND_TRUE, 0},
    {CKA_COPYABLE, PUB, KIND_TRUE, 0},
    {CKA_COPYABLE, PRIV, KIND_COPYABLE, 0},
    {CKA_DESTROYABLE, PUB, KIND_TRUE, 0},
    {CKA_DESTROYABLE, PRIV, KIND_DESTROYABLE, 0},
    {CKA_START_DATE, BOTH, KIND_START_DATE, 0},
    {CKA_END_DATE, BOTH, KIND_END_DATE, 0},
    {CKA_DERIVE, BOTH, KIND_FALSE, 0},
    {CKA_LOCAL, BOTH, KIND_LOCAL, 0},
    {CKA_KEY_GEN_MECHANISM, BOTH, KIND_GENERATOR, 0},
    {CKA_ALLOWED_MECHANISMS, BOTH, KIND_MECHANISMS, 0},
    {CKA_EC_PARAMS, BOTH, KIND_CURVE, 0},
    {CKA_EC_POINT, BOTH, KIND_POINT, 0},
    {CKA_PUBLIC_KEY_INFO, BOTH, KIND_KEY_INFO, 0},
    {CKA_VERIFY, PUB, KIND_TRUE, 0},
    {CKA_VERIFY_RECOVER, PUB, KIND_FALSE, 0},
    {CKA_ENCRYPT, PUB, KIND_FALSE, 0},
    {CKA_WRAP, PUB, KIND_FALSE, 0},
    {CKA_TRUSTED, PUB, KIND_FALSE, 0},
    {CKA_SIGN, PRIV, KIND_NOT_FLAG, P11_NO_SIGN},
    {CKA_SIGN_RECOVER, PRIV, KIND_FALSE, 0},
    {CKA_DECRYPT, PRIV, KIND_FALSE, 0},
    {CKA_UNWRAP, PRIV, KIND_FALSE, 0},
    {CKA_SENSITIVE, PRIV, KIND_TRUE, 0},
    {CKA_ALWAYS_SENSITIVE, PRIV, KIND_NOT_FLAG, P11_IMPORTED},
    {CKA_EXTRACTABLE, PRIV, KIND_FALSE, 0},
    {CKA_NEVER_EXTRACTABLE, PRIV, KIND_NOT_FLAG, P11_IMPORTED},
    {CKA_WRAP_WITH_TRUSTED, PRIV, KIND_FALSE, 0},
    {CKA_ALWAYS_AUTHENTICATE, PRIV, KIND_FLAG, P11_ALWAYS_AUTH},
    {CKA_VALUE, PRIV, KIND_SECRET, 0},
};
#define ROW_COUNT (sizeof table / sizeof table[0])

static CK_RV give(p11_value *out, const void *data, size_t len)
{
    out->data = data;
    out->len = len;
    return CKR_OK;
}

static CK_RV give_bytes(p11_value *out, p11_bytes bytes)
{
    return give(out, bytes.data, bytes.len);
}

static CK_RV give_flag(p11_value *out, bool flag)
{
    out->scratch.flag = flag ? CK_TRUE : CK_FALSE;
    return give(out, &out->scratch, sizeof(CK_BBOOL));
}

static CK_RV give_number(p11_value *out, CK_ULONG number)
{
    out->scratch.number = number;
    return give(out, &out->scratch, sizeof(CK_ULONG));
}

/* X9.62: the point as a DER OCTET STRING. Edwards keys: PKCS#11 2.40 wrote them so too, from 3.0 on
 * the point stands as it is; the clients of each follow their own (reference: errata of 3.0). */
static CK_RV give_point(const p11_look *look, const p11_object *o, p11_value *out)
{
    if (o->facts.curve == GRP_ED25519 && look->raw_edwards) {
        return give(out, o->facts.point, o->facts.point_len);
    }
    return give(out, out->scratch.bytes,
                p11_point_der(out->scratch.bytes, o->facts.point, o->facts.point_len));
}

static CK_RV give_unique_id(const p11_object *o, p11_class cls, p11_value *out)
{
    char *text = (char *)out->scratch.bytes;
    const char *id = o->facts.key_id;
    char hex[2 * sizeof o->facts.default_id + 1];

    if (id[0] == '\0') { /* a public key alone */
        tdsa_hex(hex, o->facts.default_id, sizeof o->facts.default_id);
        id = hex;
    }
    (void)snprintf(text, sizeof out->scratch.bytes, "%s/%s%s", id,
                   cls == P11_PRIVATE_KEY ? "private" : "public",
                   o->owner.session != 0 ? "/session" : "");
    return give(out, text, strlen(text));
}

static CK_RV give_mechanisms(const p11_look *look, const p11_object *o, p11_value *out)
{
    if (o->kind != P11_PAIR) {
        return CKR_ATTRIBUTE_TYPE_INVALID;
    }
    return give(out, &out->scratch,
                sizeof(CK_ULONG) * p11_mech_allowed_list(o->facts.scheme, &o->facts.policy,
                                                         look->core->settings.sha1,
                                                         out->scratch.numbers));
}

static CK_ULONG generator_of(const p11_object *o)
{
    if (o->kind != P11_PAIR || (o->names.flags & P11_IMPORTED) != 0) {
        return CK_UNAVAILABLE_INFORMATION;
    }
    return o->facts.curve == GRP_ED25519 ? CKM_EC_EDWARDS_KEY_PAIR_GEN : CKM_EC_KEY_PAIR_GEN;
}

static CK_RV give_kind(const p11_look *look, p11_object *o, p11_class cls, const attribute_row *row,
                       p11_value *out)
{
    const grp_info *curve = grp_get_info(p11_core_curve(look->core, o->facts.curve));

    switch (row->kind) {
    case KIND_FALSE:
    case KIND_TRUE:
        return give_flag(out, row->kind == KIND_TRUE);
    case KIND_FLAG:
        return give_flag(out, (o->names.flags & row->number) != 0);
    case KIND_NOT_FLAG:
        return give_flag(out, (o->names.flags & row->number) == 0);
    case KIND_TOKEN:
        return give_flag(out, o->owner.session == 0);
    case KIND_COPYABLE: /* a session key can become a token object, once */
        return give_flag(out, o->owner.session != 0 && !o->promoted);
    case KIND_DESTROYABLE:
        return give_flag(out, o->owner.session != 0 || look->core->settings.destroy);
    case KIND_LOCAL:
        return give_flag(out, o->kind == P11_PAIR && (o->names.flags & P11_IMPORTED) == 0);
    case KIND_NUMBER:
        return give_number(out, row->number);
    case KIND_KEY_TYPE:
        return give_number(out, o->facts.curve == GRP_ED25519 ? CKK_EC_EDWARDS : CKK_EC);
    case KIND_GENERATOR:
        return give_number(out, generator_of(o));
    case KIND_SECRET:
        return CKR_ATTRIBUTE_SENSITIVE;
    case KIND_LABEL:
        return give_bytes(out, o->names.label);
    case KIND_ID:
        return give_bytes(out, p11_object_id(o));
    case KIND_SUBJECT:
        return give_bytes(out, o->names.subject);
    case KIND_START_DATE:
        return give_bytes(out, o->names.start_date);
    case KIND_END_DATE:
        return give_bytes(out, o->names.end_date);
    case KIND_CURVE:
        return give(out, curve->oid, curve->oid_len);
    case KIND_POINT:
        return give_point(look, o, out);
    case KIND_KEY_INFO:
        return give(out, out->scratch.bytes,
                    p11_spki(out->scratch.bytes, curve, o->facts.point, o->facts.point_len));
    case KIND_MECHANISMS:
        return give_mechanisms(look, o, out);
    case KIND_UNIQUE_ID:
        return give_unique_id(o, cls, out);
    }
    return CKR_GENERAL_ERROR;
}

_Static_assert(P11_SIGN_MECHS_MAX <= 8, "the allowed mechanisms fit the scratch");
_Static_assert(P11_SPKI_MAX <= P11_SCRATCH_LEN, "the public key of each curve fits");
_Static_assert(KS_KEY_ID_MAX + 20u <= P11_SCRATCH_LEN, "a unique id fits the scratch");

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

/* An attribute of an object that is a list of them. */
static CK_RV give_item(const p11_object *o, CK_ATTRIBUTE_TYPE type, p11_value *out)
{
    const p11_bytes *b = p11_item_get(o->item, type);

    if (type == CKA_TOKEN) {
        return give_flag(out, o->owner.session == 0);
    }
    if (type == CKA_UNIQUE_ID) {
        tdsa_hex((char *)out->scratch.bytes, o->store_id, sizeof o->store_id);
        return give(out, out->scratch.bytes, 2 * sizeof o->store_id);
    }
    return b == NULL ? CKR_ATTRIBUTE_TYPE_INVALID : give_bytes(out, *b);
}

p11_look p11_look_of(const p11_call *call)
{
    const p11_core *core = call->core;
    const bool v3 = call->session->v3;

    return (p11_look){.core = core,
                      .raw_edwards = core->settings.edwards_point == P11_EDWARDS_RAW ||
                                     (core->settings.edwards_point == P11_EDWARDS_AUTO && v3)};
}

CK_RV p11_attribute(const p11_look *look, p11_object *o, p11_class cls, CK_ATTRIBUTE_TYPE type,
                    p11_value *out)
{
    const attribute_row *row = NULL;

    out->data = NULL;
    out->len = 0;
    if (o->kind == P11_ITEM) {
        return give_item(o, type, out);
    }
    row = find_row(cls, type);
    return row == NULL ? CKR_ATTRIBUTE_TYPE_INVALID : give_kind(look, o, cls, row, out);
}

bool p11_attribute_exists(const p11_object *o, p11_class cls, CK_ATTRIBUTE_TYPE type)
{
    if (o->kind != P11_ITEM) {
        return find_row(cls, type) != NULL;
    }
    return type == CKA_TOKEN || type == CKA_UNIQUE_ID || p11_item_get(o->item, type) != NULL;
}

bool p11_attributes_match(const p11_look *look, p11_object *o, p11_class cls,
                          const CK_ATTRIBUTE *templ, CK_ULONG count)
{
    p11_value value;

    for (CK_ULONG i = 0; i < count; i++) {
        if (p11_attribute(look, o, cls, templ[i].type, &value) != CKR_OK ||
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
static CK_RV get_one(const p11_look *look, p11_object *o, p11_class cls, CK_ATTRIBUTE *a)
{
    p11_value value;
    const CK_RV rv = p11_attribute(look, o, cls, a->type, &value);

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
    const p11_look look = p11_look_of(call);
    p11_class cls = P11_OTHER;
    p11_object *o = NULL;
    CK_RV first = CKR_OK;

    if (templ == NULL && count > 0) {
        return p11_fail(call, CKR_ARGUMENTS_BAD, "no template");
    }
    o = p11_viewer_lock(call, object, &cls);
    if (o == NULL) {
        return p11_fail(call, CKR_OBJECT_HANDLE_INVALID, "no object %lu", object);
    }
    for (CK_ULONG i = 0; i < count; i++) {
        const CK_RV rv = get_one(&look, o, cls, &templ[i]);

        first = first == CKR_OK ? rv : first;
    }
    p11_objects_unlock(&call->core->objects);
    return first;
}

CK_RV p11_attributes_size(p11_call *call, CK_OBJECT_HANDLE object, CK_ULONG *size)
{
    const p11_look look = p11_look_of(call);
    p11_class cls = P11_OTHER;
    p11_object *o = NULL;
    p11_value value;
    CK_ULONG total = 0;

    if (size == NULL) {
        return p11_fail(call, CKR_ARGUMENTS_BAD, "no place for the size");
    }
    o = p11_viewer_lock(call, object, &cls);
    if (o == NULL) {
        return p11_fail(call, CKR_OBJECT_HANDLE_INVALID, "no object %lu", object);
    }
    if (o->kind == P11_ITEM) {
        for (size_t i = 0; i < o->item->count; i++) {
            total += o->item->at[i].value.len;
        }
    } else {
        for (size_t i = 0; i < ROW_COUNT; i++) {
            if ((table[i].classes & (cls == P11_PUBLIC_KEY ? PUB : PRIV)) != 0 &&
                p11_attribute(&look, o, cls, table[i].type, &value) == CKR_OK) {
                total += value.len;
            }
        }
    }
    p11_objects_unlock(&call->core->objects);
    *size = total;
    return CKR_OK;
}
