#include "pkcs11-provider/keygen.h"

#include <stdlib.h>
#include <string.h>

#include "pkcs11-provider/attributes.h"
#include "pkcs11-provider/create.h"
#include "pkcs11-provider/state.h"

#define P11_VALUE_MAX 70u /* bytes of a private key: 66 and some leading zeros */

/* What the templates ask for. */
typedef struct {
    p11_names names;
    bool has_curve, has_mechanisms;
    grp_curve curve;
    bool raw;         /* CKA_ALLOWED_MECHANISMS names CKM_ECDSA */
    uint32_t digests; /* and these CKM_ECDSA_SHAxxx */
    /* C_CreateObject, lent */
    bool importing;
    const CK_ATTRIBUTE *value; /* CKA_VALUE: the private key */
    const CK_ATTRIBUTE *point; /* CKA_EC_POINT: its public key */
} wish;

/* How a template entry is treated. */
typedef enum {
    RULE_NAME,       /* label, id, subject */
    RULE_CLASS,      /* must be the object's class */
    RULE_EC,         /* must be CKK_EC */
    RULE_CURVE,      /* CKA_EC_PARAMS */
    RULE_MECHANISMS, /* CKA_ALLOWED_MECHANISMS */
    RULE_ANY_BOOL,   /* any truth value; the object shows what it is */
    RULE_MUST_TRUE,
    RULE_MUST_FALSE,
    RULE_EMPTY,
    RULE_BROUGHT, /* C_CreateObject only */
    RULE_READ_ONLY
} template_rule;

static const struct {
    CK_ATTRIBUTE_TYPE type;
    template_rule rule;
} rules[] = {
    {CKA_LABEL, RULE_NAME},
    {CKA_ID, RULE_NAME},
    {CKA_SUBJECT, RULE_NAME},
    {CKA_CLASS, RULE_CLASS},
    {CKA_KEY_TYPE, RULE_EC},
    {CKA_EC_PARAMS, RULE_CURVE},
    {CKA_ALLOWED_MECHANISMS, RULE_MECHANISMS},
    {CKA_TOKEN, RULE_MUST_TRUE}, /* there are no session keys */
    {CKA_SIGN, RULE_MUST_TRUE},
    {CKA_VERIFY, RULE_MUST_TRUE},
    {CKA_EXTRACTABLE, RULE_MUST_FALSE},
    {CKA_ALWAYS_AUTHENTICATE, RULE_MUST_FALSE},
    {CKA_TRUSTED, RULE_MUST_FALSE},
    {CKA_PRIVATE, RULE_ANY_BOOL},
    {CKA_SENSITIVE, RULE_ANY_BOOL},
    {CKA_DERIVE, RULE_ANY_BOOL},
    {CKA_ENCRYPT, RULE_ANY_BOOL},
    {CKA_DECRYPT, RULE_ANY_BOOL},
    {CKA_WRAP, RULE_ANY_BOOL},
    {CKA_UNWRAP, RULE_ANY_BOOL},
    {CKA_SIGN_RECOVER, RULE_ANY_BOOL},
    {CKA_VERIFY_RECOVER, RULE_ANY_BOOL},
    {CKA_WRAP_WITH_TRUSTED, RULE_ANY_BOOL},
    {CKA_MODIFIABLE, RULE_ANY_BOOL},
    {CKA_COPYABLE, RULE_ANY_BOOL},
    {CKA_DESTROYABLE, RULE_ANY_BOOL},
    {CKA_START_DATE, RULE_EMPTY},
    {CKA_END_DATE, RULE_EMPTY},
    {CKA_LOCAL, RULE_READ_ONLY},
    {CKA_ALWAYS_SENSITIVE, RULE_READ_ONLY},
    {CKA_NEVER_EXTRACTABLE, RULE_READ_ONLY},
    {CKA_KEY_GEN_MECHANISM, RULE_READ_ONLY},
    {CKA_EC_POINT, RULE_BROUGHT},
    {CKA_VALUE, RULE_BROUGHT},
    {CKA_UNIQUE_ID, RULE_READ_ONLY},
};

static CK_RV take_number(p11_call *call, const CK_ATTRIBUTE *a, CK_ULONG want)
{
    CK_ULONG value = 0;

    if (a->pValue == NULL || a->ulValueLen != sizeof value) {
        return p11_fail(call, CKR_ATTRIBUTE_VALUE_INVALID, "attribute 0x%lx: not a number",
                        a->type);
    }
    memcpy(&value, a->pValue, sizeof value);
    if (value != want) {
        return p11_fail(call, CKR_TEMPLATE_INCONSISTENT, "attribute 0x%lx is %lu, not %lu", a->type,
                        value, want);
    }
    return CKR_OK;
}

static CK_RV take_bool(p11_call *call, const CK_ATTRIBUTE *a, template_rule rule)
{
    CK_BBOOL value = CK_FALSE;

    if (a->pValue == NULL || a->ulValueLen != sizeof value) {
        return p11_fail(call, CKR_ATTRIBUTE_VALUE_INVALID, "attribute 0x%lx: not a truth value",
                        a->type);
    }
    memcpy(&value, a->pValue, sizeof value);
    if (rule != RULE_ANY_BOOL && (value != CK_FALSE) != (rule == RULE_MUST_TRUE)) {
        return p11_fail(call, CKR_TEMPLATE_INCONSISTENT,
                        "attribute 0x%lx can only be %s for keys of this token", a->type,
                        rule == RULE_MUST_TRUE ? "true" : "false");
    }
    return CKR_OK;
}

/* CKA_EC_PARAMS: the OID of a curve we have. */
static CK_RV take_curve(p11_call *call, const CK_ATTRIBUTE *a, wish *w)
{
    const grp *g = NULL;

    if (a->pValue == NULL || a->ulValueLen == 0) {
        return p11_fail(call, CKR_ATTRIBUTE_VALUE_INVALID, "CKA_EC_PARAMS is empty");
    }
    g = p11_core_curve_by_oid(call->core, a->pValue, a->ulValueLen);
    if (g == NULL) {
        return p11_fail(call, CKR_CURVE_NOT_SUPPORTED,
                        "the curves are P-256, P-384, P-521 and secp256k1, by OID");
    }
    w->has_curve = true;
    w->curve = grp_get_info(g)->curve;
    return CKR_OK;
}

static CK_RV take_mechanisms(p11_call *call, const CK_ATTRIBUTE *a, wish *w)
{
    const CK_ULONG count = a->ulValueLen / sizeof(CK_MECHANISM_TYPE);

    if (a->pValue == NULL || a->ulValueLen % sizeof(CK_MECHANISM_TYPE) != 0) {
        return p11_fail(call, CKR_ATTRIBUTE_VALUE_INVALID, "CKA_ALLOWED_MECHANISMS: bad length");
    }
    for (CK_ULONG i = 0; i < count; i++) {
        const p11_mech *m = NULL;
        CK_MECHANISM_TYPE type = 0;

        memcpy(&type, (const CK_BYTE *)a->pValue + i * sizeof type, sizeof type);
        m = p11_mech_find(type, call->core->settings.sha1);
        if (m == NULL || (m->kind != P11_MECH_RAW && m->kind != P11_MECH_HASHED)) {
            return p11_fail(call, CKR_ATTRIBUTE_VALUE_INVALID,
                            "CKA_ALLOWED_MECHANISMS: keys cannot sign with 0x%lx", type);
        }
        w->has_mechanisms = true;
        w->raw = w->raw || m->kind == P11_MECH_RAW;
        w->digests |= m->kind == P11_MECH_HASHED ? 1u << m->hash : 0;
    }
    return CKR_OK;
}

static CK_RV take_entry(p11_call *call, const CK_ATTRIBUTE *a, p11_class cls, wish *w)
{
    size_t i = 0;

    while (i < sizeof rules / sizeof rules[0] && rules[i].type != a->type) {
        i++;
    }
    if (i == sizeof rules / sizeof rules[0]) {
        return p11_fail(call, CKR_ATTRIBUTE_TYPE_INVALID, "keys have no attribute 0x%lx", a->type);
    }
    switch (rules[i].rule) {
    case RULE_NAME:
        return p11_names_take(call, &w->names, a);
    case RULE_CLASS:
        return take_number(call, a, cls == P11_PUBLIC_KEY ? CKO_PUBLIC_KEY : CKO_PRIVATE_KEY);
    case RULE_EC:
        return take_number(call, a, CKK_EC);
    case RULE_CURVE:
        return take_curve(call, a, w);
    case RULE_MECHANISMS:
        return take_mechanisms(call, a, w);
    case RULE_ANY_BOOL:
    case RULE_MUST_TRUE:
    case RULE_MUST_FALSE:
        return take_bool(call, a, rules[i].rule);
    case RULE_EMPTY:
        return a->ulValueLen == 0 ? CKR_OK
                                  : p11_fail(call, CKR_ATTRIBUTE_VALUE_INVALID,
                                             "attribute 0x%lx: keys have no dates", a->type);
    case RULE_BROUGHT:
        if (w->importing) {
            *(a->type == CKA_VALUE ? &w->value : &w->point) = a;
            return CKR_OK;
        }
        return p11_fail(call, CKR_ATTRIBUTE_READ_ONLY, "attribute 0x%lx cannot be chosen", a->type);
    case RULE_READ_ONLY:
        return p11_fail(call, CKR_ATTRIBUTE_READ_ONLY, "attribute 0x%lx cannot be chosen", a->type);
    }
    return CKR_GENERAL_ERROR;
}

static CK_RV take_templates(p11_call *call, const p11_templates *t, wish *w)
{
    CK_RV rv = CKR_OK;

    for (int cls = P11_PUBLIC_KEY; cls <= P11_PRIVATE_KEY; cls++) {
        if (t->attrs[cls] == NULL && t->count[cls] > 0) {
            return p11_fail(call, CKR_ARGUMENTS_BAD, "no template");
        }
        for (CK_ULONG i = 0; rv == CKR_OK && i < t->count[cls]; i++) {
            rv = take_entry(call, &t->attrs[cls][i], (p11_class)cls, w);
        }
    }
    if (rv == CKR_OK && !w->has_curve) {
        rv = p11_fail(call, CKR_TEMPLATE_INCOMPLETE, "CKA_EC_PARAMS is missing");
    }
    return rv;
}

typedef struct {
    part_key_spec spec;
    char label[KS_LABEL_MAX + 1];
    tdsa_buf attrs;
} new_key;

/* A key as the templates ask for it; clear k->attrs whatever comes. */
static tdsa_status fill_spec(new_key *k, const p11_core *core, const wish *w, tdsa_err *err)
{
    part_key_spec *spec = &k->spec;

    k->attrs = TDSA_BUF_EMPTY;
    *spec = (part_key_spec){.curve = w->curve,
                            .policy = part_policy_default(w->curve, MPC_SCHEME_ECDSA),
                            .presignature_limit = PART_LIMIT_DEFAULT,
                            .label = k->label};
    if (core->settings.sha1) {
        spec->policy.digests |= 1u << TDSA_HASH_SHA1;
    }
    if (w->has_mechanisms) { /* architecture: only message mechanisms make a `message` key */
        spec->policy.purpose = w->raw ? MPC_PURPOSE_DIGEST : MPC_PURPOSE_MESSAGE;
        spec->policy.digests = w->digests != 0 ? w->digests : spec->policy.digests;
    }
    p11_names_label_text(&w->names, k->label);
    p11_names_encode(&k->attrs, &w->names);
    spec->attrs = k->attrs.data;
    spec->attrs_len = k->attrs.len;
    return tdsa_buf_check(&k->attrs, err);
}

/* Registration and generation at all participants, within one deadline. */
static tdsa_status generate_key(const p11_core *core, const part_key_spec *spec, char *key_id,
                                tdsa_err *err)
{
    const tdsa_clock clock = tdsa_os_clock();
    const uint64_t end = clock.mono_ms(clock.ctx) + core->settings.deadline_ms;
    uint64_t now = 0;
    tdsa_status st =
        part_engine_register(core->engine, spec, core->settings.deadline_ms, key_id, err);

    if (st != TDSA_OK) {
        return st;
    }
    now = clock.mono_ms(clock.ctx);
    if (now >= end) {
        return TDSA_FAIL(err, TDSA_E_TIMEOUT, "registration took all of the time");
    }
    return part_engine_generate(core->engine, key_id, (uint32_t)(end - now), err);
}

/* The same with the key that the template brings. */
static tdsa_status import_key(const p11_core *core, const part_key_spec *spec, const wish *w,
                              char *key_id, tdsa_err *err)
{
    part_import_spec import = {.key = *spec};
    TDSA_SCOPED_SECRET value = NULL;
    const CK_BYTE *point = NULL;
    tdsa_status st = tdsa_secret_copy(&value, w->value->pValue, w->value->ulValueLen, err);

    if (st != TDSA_OK) {
        return st;
    }
    import.private_key = value;
    if (w->point != NULL) {
        if (!p11_point_of(w->point, &point, &import.public_key_len)) {
            return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "CKA_EC_POINT: no point");
        }
        import.public_key = point;
    }
    return part_engine_import(core->engine, &import, core->settings.deadline_ms, key_id, err);
}

static tdsa_status make_key(const p11_core *core, const wish *w, part_key_info *info, tdsa_err *err)
{
    char key_id[KS_KEY_ID_MAX + 1];
    new_key k;
    tdsa_status st = fill_spec(&k, core, w, err);

    if (st == TDSA_OK) {
        st = w->importing ? import_key(core, &k.spec, w, key_id, err)
                          : generate_key(core, &k.spec, key_id, err);
    }
    tdsa_buf_clear(&k.attrs);
    return st == TDSA_OK ? part_engine_key(core->engine, key_id, info, err) : st;
}

static CK_RV generate(p11_call *call, const wish *w, CK_OBJECT_HANDLE *public_key,
                      CK_OBJECT_HANDLE *private_key)
{
    part_key_info *info = calloc(1, sizeof *info);
    size_t index = 0;
    tdsa_err err;
    tdsa_status st = TDSA_OK;

    if (info == NULL) {
        return p11_fail(call, CKR_HOST_MEMORY, "no memory for a key");
    }
    st = make_key(call->core, w, info, &err);
    if (st == TDSA_OK) {
        st = p11_objects_put(&call->core->objects, info, &index, &err);
    }
    free(info);
    if (st != TDSA_OK) {
        return p11_fail_err(call, &err);
    }
    *public_key = p11_object_handle(index, P11_PUBLIC_KEY);
    *private_key = p11_object_handle(index, P11_PRIVATE_KEY);
    return CKR_OK;
}

CK_RV p11_generate_pair(p11_call *call, const CK_MECHANISM *mech, const p11_templates *templates,
                        CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key)
{
    wish w = {0};
    CK_RV rv = CKR_OK;

    if (mech == NULL || public_key == NULL || private_key == NULL) {
        return p11_fail(call, CKR_ARGUMENTS_BAD, "no mechanism or no place for the handles");
    }
    if (mech->mechanism != CKM_EC_KEY_PAIR_GEN) {
        return p11_fail(call, CKR_MECHANISM_INVALID, "0x%lx does not make key pairs here",
                        mech->mechanism);
    }
    if (mech->pParameter != NULL || mech->ulParameterLen != 0) {
        return p11_fail(call, CKR_MECHANISM_PARAM_INVALID, "CKM_EC_KEY_PAIR_GEN takes none");
    }
    if (!call->session->read_write) {
        return p11_fail(call, CKR_SESSION_READ_ONLY, "keys are made in R/W sessions only");
    }
    if (!p11_logged_in(call->core)) {
        return p11_fail(call, CKR_USER_NOT_LOGGED_IN, "keys are made after a login only");
    }
    rv = take_templates(call, templates, &w);
    if (rv == CKR_OK) {
        rv = generate(call, &w, public_key, private_key);
    }
    p11_names_clear(&w.names);
    return rv;
}

CK_RV p11_import_key(p11_call *call, const p11_template *t, CK_OBJECT_HANDLE *object)
{
    CK_OBJECT_HANDLE public_key = CK_INVALID_HANDLE;
    wish w = {.importing = true};
    CK_RV rv = CKR_OK;

    for (CK_ULONG i = 0; rv == CKR_OK && i < t->count; i++) {
        rv = take_entry(call, &t->attrs[i], P11_PRIVATE_KEY, &w);
    }
    if (rv == CKR_OK && (!w.has_curve || w.value == NULL)) {
        rv = p11_fail(call, CKR_TEMPLATE_INCOMPLETE, "CKA_EC_PARAMS or CKA_VALUE is missing");
    }
    if (rv == CKR_OK && (w.value->pValue == NULL || w.value->ulValueLen == 0 ||
                         w.value->ulValueLen > P11_VALUE_MAX)) {
        rv = p11_fail(call, CKR_ATTRIBUTE_VALUE_INVALID, "CKA_VALUE: 1 to %u bytes", P11_VALUE_MAX);
    }
    if (rv == CKR_OK) {
        rv = generate(call, &w, &public_key, object);
    }
    p11_names_clear(&w.names);
    return rv;
}

/* Copies what is needed of an object that may be destroyed. */
static CK_RV destroy_prepare(p11_call *call, CK_OBJECT_HANDLE object, p11_class *cls,
                             p11_names *names, char *key_id)
{
    p11_objects *objects = &call->core->objects;
    p11_key *key = p11_objects_lock(objects, object, cls);
    tdsa_err err;
    bool visible = false;
    bool leftover = false;
    tdsa_status st = TDSA_OK;

    key_id[0] = '\0';
    if (key != NULL) {
        visible = p11_object_visible(key, *cls, p11_logged_in(call->core));
        leftover = key->state == P11_KEY_DELETED && *cls == P11_PUBLIC_KEY;
        key->state = leftover ? P11_KEY_GONE : key->state;
        if (visible) {
            memcpy(key_id, key->facts.key_id, KS_KEY_ID_MAX + 1);
            st = p11_names_copy(names, &key->names, &err);
        }
        p11_objects_unlock(objects);
    }
    if (!visible && !leftover) {
        return p11_fail(call, CKR_OBJECT_HANDLE_INVALID, "no object %lu", object);
    }
    return st == TDSA_OK ? CKR_OK : p11_fail_err(call, &err);
}

static CK_RV delete_key(p11_call *call, CK_OBJECT_HANDLE object, const char *key_id)
{
    p11_core *core = call->core;
    p11_class cls = P11_PRIVATE_KEY;
    p11_key *key = NULL;
    tdsa_err err;

    if (part_engine_delete(core->engine, key_id, PART_GRACE_DEFAULT, core->settings.deadline_ms,
                           &err) != TDSA_OK) {
        return p11_fail_err(call, &err);
    }
    key = p11_objects_lock(&core->objects, object, &cls);
    if (key != NULL) {
        key->state = P11_KEY_DELETED;
        p11_objects_unlock(&core->objects);
    }
    return CKR_OK;
}

CK_RV p11_destroy(p11_call *call, CK_OBJECT_HANDLE object)
{
    char key_id[KS_KEY_ID_MAX + 1];
    p11_names names = {0};
    p11_class cls = P11_PUBLIC_KEY;
    CK_RV rv = CKR_OK;

    if (!call->session->read_write) {
        return p11_fail(call, CKR_SESSION_READ_ONLY, "objects are destroyed in R/W sessions only");
    }
    rv = destroy_prepare(call, object, &cls, &names, key_id);
    if (rv == CKR_OK && key_id[0] != '\0') {
        if (cls == P11_PRIVATE_KEY) {
            rv = delete_key(call, object, key_id);
        } else {
            names.public_hidden = true;
            rv = p11_core_rename(call, key_id, &names);
        }
    }
    p11_names_clear(&names);
    return rv;
}
