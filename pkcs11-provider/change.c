#include "pkcs11-provider/change.h"

#include <stdlib.h>
#include <string.h>

#include "pkcs11-provider/attributes.h"
#include "pkcs11-provider/curve.h"
#include "pkcs11-provider/state.h"
#include "pkcs11-provider/viewer.h"

/* ---- names of keys ---- */

/* The name of a type and the most bytes it may have; NULL: no name. */
static p11_bytes *name_of(p11_names *names, CK_ATTRIBUTE_TYPE type, size_t *max)
{
    *max = P11_DATE_LEN;
    switch (type) {
    case CKA_LABEL:
        *max = P11_LABEL_MAX;
        return &names->label;
    case CKA_ID:
        *max = P11_ID_MAX;
        return &names->id;
    case CKA_SUBJECT:
        *max = P11_SUBJECT_MAX;
        return &names->subject;
    case CKA_START_DATE:
        return &names->start_date;
    case CKA_END_DATE:
        return &names->end_date;
    default:
        return NULL;
    }
}

bool p11_is_name(CK_ATTRIBUTE_TYPE type)
{
    p11_names names;
    size_t max = 0;

    return name_of(&names, type, &max) != NULL;
}

CK_RV p11_names_take(p11_call *call, p11_names *names, const CK_ATTRIBUTE *a)
{
    size_t max = 0;
    p11_bytes *to = name_of(names, a->type, &max);

    if (to == NULL) {
        return p11_fail(call, CKR_ATTRIBUTE_READ_ONLY, "attribute 0x%lx cannot be set", a->type);
    }
    if (a->ulValueLen > max || (a->pValue == NULL && a->ulValueLen > 0) ||
        (max == P11_DATE_LEN && a->ulValueLen % P11_DATE_LEN != 0)) {
        return p11_fail(call, CKR_ATTRIBUTE_VALUE_INVALID, "attribute 0x%lx: at most %zu bytes",
                        a->type, max);
    }
    if (!p11_bytes_set(to, a->pValue, a->ulValueLen)) {
        return p11_fail(call, CKR_HOST_MEMORY, "no memory for a name");
    }
    return CKR_OK;
}

CK_RV p11_rename_key(p11_call *call, const char *key_id, const p11_names *names)
{
    p11_core *core = call->core;
    char label[KS_LABEL_MAX + 1];
    TDSA_SCOPED_BUF attrs = TDSA_BUF_EMPTY;
    part_key_info *info = calloc(1, sizeof *info);
    size_t index = 0;
    tdsa_err err;
    tdsa_status st = TDSA_OK;

    if (info == NULL) {
        return p11_fail(call, CKR_HOST_MEMORY, "no memory for the names");
    }
    p11_names_label_text(names, label);
    p11_names_encode(&attrs, names);
    st = tdsa_buf_check(&attrs, &err);
    if (st == TDSA_OK) {
        st = part_engine_set_attrs(core->engine, key_id, label, attrs.data, attrs.len, &err);
    }
    if (st == TDSA_OK) {
        st = part_engine_key(core->engine, key_id, info, &err);
    }
    if (st == TDSA_OK) {
        st = p11_objects_put_key(&core->objects, info, NULL, &index, &err);
    }
    free(info);
    return st == TDSA_OK ? CKR_OK : p11_fail_err(call, &err);
}

/* ---- other objects ---- */

tdsa_status p11_item_of_key(p11_item *out, const grp_info *curve, const p11_object *key,
                            tdsa_err *err)
{
    const struct {
        CK_ATTRIBUTE_TYPE type;
        const void *data;
        size_t len;
    } parts[] = {{CKA_EC_PARAMS, curve->oid, curve->oid_len},
                 {CKA_EC_POINT, key->facts.point, key->facts.point_len},
                 {CKA_ID, key->names.id.data, key->names.id.len},
                 {CKA_LABEL, key->names.label.data, key->names.label.len},
                 {CKA_SUBJECT, key->names.subject.data, key->names.subject.len},
                 {CKA_START_DATE, key->names.start_date.data, key->names.start_date.len},
                 {CKA_END_DATE, key->names.end_date.data, key->names.end_date.len}};
    tdsa_status st = TDSA_OK;

    *out = (p11_item){0};
    st = p11_item_set_number(out, CKA_CLASS, CKO_PUBLIC_KEY, err);
    for (size_t i = 0; st == TDSA_OK && i < sizeof parts / sizeof parts[0]; i++) {
        st = p11_item_set(out, parts[i].type, parts[i].data, parts[i].len, err);
    }
    if (st != TDSA_OK) {
        p11_item_clear(out);
    }
    return st;
}

CK_RV p11_store_item(p11_call *call, const p11_item *item, uint8_t store_id[KS_OBJECT_ID_LEN],
                     bool replaces)
{
    const tdsa_rng rng = tdsa_os_rng();
    const tdsa_clock clock = tdsa_os_clock();
    TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;
    ks_object row = {.sealed = p11_item_bool(item, CKA_PRIVATE, false),
                     .created_ms = clock.wall_ms(clock.ctx)};
    tdsa_err err;
    tdsa_status st = replaces ? TDSA_OK : tdsa_rng_fill(&rng, store_id, KS_OBJECT_ID_LEN, &err);

    p11_item_encode(&bytes, item);
    if (st == TDSA_OK) {
        st = tdsa_buf_check(&bytes, &err);
    }
    if (st == TDSA_OK) {
        memcpy(row.id, store_id, sizeof row.id);
        row.bytes = bytes.data;
        row.len = bytes.len;
        st = ks_object_put(call->core->store, &row, &err);
    }
    return st == TDSA_OK ? CKR_OK : p11_fail_err(call, &err);
}

/* ---- C_SetAttributeValue ---- */

/* A copy of what is to be changed. */
static CK_RV begin_change(p11_call *call, CK_OBJECT_HANDLE object, p11_object_copy *c)
{
    const CK_RV rv = p11_object_copy_take(call, object, c);

    if (rv != CKR_OK) {
        return rv;
    }
    if (c->of.owner.session == 0 && !call->session->read_write) {
        return p11_fail(call, CKR_SESSION_READ_ONLY, "token objects change in R/W sessions only");
    }
    if (c->of.kind == P11_ITEM && !p11_item_bool(&c->item, CKA_MODIFIABLE, true)) {
        return p11_fail(call, CKR_ACTION_PROHIBITED, "CKA_MODIFIABLE is false");
    }
    return CKR_OK;
}

/* CKA_SIGN may be given up, never taken. */
static CK_RV give_up_signing(p11_call *call, p11_names *names, const CK_ATTRIBUTE *a)
{
    if (a->pValue == NULL || a->ulValueLen != sizeof(CK_BBOOL)) {
        return p11_fail(call, CKR_ATTRIBUTE_VALUE_INVALID, "CKA_SIGN: not a truth value");
    }
    if (*(const CK_BBOOL *)a->pValue != CK_FALSE && (names->flags & P11_NO_SIGN) != 0) {
        return p11_fail(call, CKR_ATTRIBUTE_READ_ONLY, "CKA_SIGN was set to false, for ever");
    }
    names->flags |= *(const CK_BBOOL *)a->pValue == CK_FALSE ? P11_NO_SIGN : 0;
    return CKR_OK;
}

static bool item_may_change(const p11_item *item, CK_ATTRIBUTE_TYPE type)
{
    const bool data = p11_item_number(item, CKA_CLASS, CKO_DATA) == CKO_DATA;

    switch (type) {
    case CKA_LABEL:
        return true;
    case CKA_ID:
    case CKA_SUBJECT:
    case CKA_ISSUER:
    case CKA_SERIAL_NUMBER:
    case CKA_START_DATE:
    case CKA_END_DATE:
        return !data;
    case CKA_APPLICATION:
    case CKA_OBJECT_ID:
    case CKA_VALUE:
        return data;
    default:
        return false;
    }
}

static CK_RV change_one(p11_call *call, p11_object_copy *c, const CK_ATTRIBUTE *a)
{
    tdsa_err err;

    if (!p11_attribute_exists(&c->of, c->cls, a->type)) {
        return p11_fail(call, CKR_ATTRIBUTE_TYPE_INVALID, "no attribute 0x%lx", a->type);
    }
    if (c->of.kind != P11_ITEM) {
        return a->type == CKA_SIGN ? give_up_signing(call, &c->of.names, a)
                                   : p11_names_take(call, &c->of.names, a);
    }
    if (!item_may_change(&c->item, a->type)) {
        return p11_fail(call, CKR_ATTRIBUTE_READ_ONLY, "attribute 0x%lx cannot be set", a->type);
    }
    if ((a->pValue == NULL && a->ulValueLen > 0) ||
        p11_item_set(&c->item, a->type, a->pValue, a->ulValueLen, &err) != TDSA_OK) {
        return p11_fail(call, CKR_ATTRIBUTE_VALUE_INVALID, "attribute 0x%lx: no value, or too long",
                        a->type);
    }
    return CKR_OK;
}

/* Shows new contents of an object that is no pair. */
static CK_RV show(p11_call *call, const p11_item *item, const p11_object *was, size_t index)
{
    const p11_origin from = {.store_id = was->stored ? was->store_id : NULL,
                             .owner = was->owner,
                             .created_ms = was->created_ms};
    tdsa_err err;

    return p11_objects_update_item(&call->core->objects, item, &from, index, &err) == TDSA_OK
               ? CKR_OK
               : p11_fail_err(call, &err);
}

static CK_RV end_change(p11_call *call, CK_OBJECT_HANDLE object, p11_object_copy *c)
{
    tdsa_err err;
    CK_RV rv = CKR_OK;

    if (c->of.promoted) { /* the token object has names of its own */
        p11_objects_rename(&call->core->objects, p11_object_index(object), &c->of.names);
        return CKR_OK;
    }
    if (c->of.kind == P11_PAIR) {
        return p11_rename_key(call, c->of.facts.key_id, &c->of.names);
    }
    if (c->of.kind == P11_ALONE &&
        p11_item_of_key(&c->item, grp_get_info(p11_core_curve(call->core, c->of.facts.curve)),
                        &c->of, &err) != TDSA_OK) {
        return p11_fail_err(call, &err);
    }
    if (c->of.stored) {
        rv = p11_store_item(call, &c->item, c->of.store_id, true);
    }
    return rv == CKR_OK ? show(call, &c->item, &c->of, p11_object_index(object)) : rv;
}

CK_RV p11_attributes_set(p11_call *call, CK_OBJECT_HANDLE object, const CK_ATTRIBUTE *templ,
                         CK_ULONG count)
{
    p11_object_copy *c = NULL;
    CK_RV rv = CKR_OK;

    if (templ == NULL && count > 0) {
        return p11_fail(call, CKR_ARGUMENTS_BAD, "no template");
    }
    c = malloc(sizeof *c);
    if (c == NULL) {
        return p11_fail(call, CKR_HOST_MEMORY, "no memory for a change");
    }
    rv = begin_change(call, object, c);
    for (CK_ULONG i = 0; rv == CKR_OK && i < count; i++) {
        rv = change_one(call, c, &templ[i]);
    }
    if (rv == CKR_OK && count > 0) {
        rv = end_change(call, object, c);
    }
    p11_object_copy_clear(c);
    free(c);
    return rv;
}
