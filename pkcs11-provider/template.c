#include "pkcs11-provider/template.h"

#include <string.h>

#include "pkcs11-provider/change.h"
#include "pkcs11-provider/curve.h"
#include "pkcs11-provider/mechanism.h"
#include "pkcs11-provider/state.h"

/* ---- templates of any object ---- */

const CK_ATTRIBUTE *p11_template_find(const p11_template *t, CK_ATTRIBUTE_TYPE type)
{
    for (CK_ULONG i = 0; i < t->count; i++) {
        if (t->attrs[i].type == type) {
            return &t->attrs[i];
        }
    }
    return NULL;
}

static CK_RV read_bool(p11_call *call, const CK_ATTRIBUTE *a, bool *out)
{
    CK_BBOOL value = CK_FALSE;

    if (a->pValue == NULL || a->ulValueLen != sizeof value) {
        return p11_fail(call, CKR_ATTRIBUTE_VALUE_INVALID, "attribute 0x%lx: not a truth value",
                        a->type);
    }
    memcpy(&value, a->pValue, sizeof value);
    *out = value != CK_FALSE;
    return CKR_OK;
}

static CK_RV read_number(p11_call *call, const CK_ATTRIBUTE *a, CK_ULONG *out)
{
    if (a->pValue == NULL || a->ulValueLen != sizeof *out) {
        return p11_fail(call, CKR_ATTRIBUTE_VALUE_INVALID, "attribute 0x%lx: not a number",
                        a->type);
    }
    memcpy(out, a->pValue, sizeof *out);
    return CKR_OK;
}

CK_RV p11_template_bool(p11_call *call, const p11_template *t, CK_ATTRIBUTE_TYPE type, bool *out)
{
    const CK_ATTRIBUTE *a = p11_template_find(t, type);

    return a != NULL ? read_bool(call, a, out) : CKR_OK;
}

CK_RV p11_template_number(p11_call *call, const p11_template *t, CK_ATTRIBUTE_TYPE type,
                          CK_ULONG *out)
{
    const CK_ATTRIBUTE *a = p11_template_find(t, type);

    return a != NULL ? read_number(call, a, out) : CKR_OK;
}

CK_RV p11_template_check(p11_call *call, const p11_template *t)
{
    if (t->attrs == NULL && t->count > 0) {
        return p11_fail(call, CKR_ARGUMENTS_BAD, "no template");
    }
    for (CK_ULONG i = 0; i < t->count; i++) {
        if (t->attrs[i].pValue == NULL && t->attrs[i].ulValueLen > 0) {
            return p11_fail(call, CKR_ATTRIBUTE_VALUE_INVALID, "attribute 0x%lx has no value",
                            t->attrs[i].type);
        }
    }
    return CKR_OK;
}

/* ---- templates of key pairs ---- */

/* How an entry is treated. */
typedef enum {
    RULE_NAME,       /* label, id, subject, dates */
    RULE_CLASS,      /* must be the object's class */
    RULE_KEY_TYPE,   /* must be that of the curve */
    RULE_TOKEN,      /* a session key, or not */
    RULE_CURVE,      /* CKA_EC_PARAMS */
    RULE_MECHANISMS, /* CKA_ALLOWED_MECHANISMS */
    RULE_ALWAYS_AUTH,
    RULE_ANY_BOOL, /* any truth value; the object shows what it is */
    RULE_MUST_TRUE,
    RULE_MUST_FALSE,
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
    {CKA_START_DATE, RULE_NAME},
    {CKA_END_DATE, RULE_NAME},
    {CKA_CLASS, RULE_CLASS},
    {CKA_KEY_TYPE, RULE_KEY_TYPE},
    {CKA_TOKEN, RULE_TOKEN},
    {CKA_EC_PARAMS, RULE_CURVE},
    {CKA_ALLOWED_MECHANISMS, RULE_MECHANISMS},
    {CKA_ALWAYS_AUTHENTICATE, RULE_ALWAYS_AUTH},
    {CKA_SIGN, RULE_MUST_TRUE},
    {CKA_VERIFY, RULE_MUST_TRUE},
    {CKA_EXTRACTABLE, RULE_MUST_FALSE},
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
    {CKA_LOCAL, RULE_READ_ONLY},
    {CKA_ALWAYS_SENSITIVE, RULE_READ_ONLY},
    {CKA_NEVER_EXTRACTABLE, RULE_READ_ONLY},
    {CKA_KEY_GEN_MECHANISM, RULE_READ_ONLY},
    {CKA_EC_POINT, RULE_BROUGHT},
    {CKA_VALUE, RULE_BROUGHT},
    {CKA_UNIQUE_ID, RULE_READ_ONLY},
};
#define RULE_COUNT (sizeof rules / sizeof rules[0])

static CK_RV must_be(p11_call *call, const CK_ATTRIBUTE *a, bool want)
{
    bool value = false;
    const CK_RV rv = read_bool(call, a, &value);

    if (rv == CKR_OK && value != want) {
        return p11_fail(call, CKR_TEMPLATE_INCONSISTENT,
                        "attribute 0x%lx can only be %s for keys of this token", a->type,
                        want ? "true" : "false");
    }
    return rv;
}

static CK_RV take_class(p11_call *call, const CK_ATTRIBUTE *a, p11_class cls)
{
    CK_ULONG value = 0;
    const CK_ULONG want = cls == P11_PUBLIC_KEY ? CKO_PUBLIC_KEY : CKO_PRIVATE_KEY;
    const CK_RV rv = read_number(call, a, &value);

    if (rv == CKR_OK && value != want) {
        return p11_fail(call, CKR_TEMPLATE_INCONSISTENT, "CKA_CLASS is %lu, not %lu", value, want);
    }
    return rv;
}

static CK_RV take_key_type(p11_call *call, const CK_ATTRIBUTE *a)
{
    CK_ULONG value = 0;
    const CK_RV rv = read_number(call, a, &value);

    if (rv == CKR_OK && value != CKK_EC && value != CKK_EC_EDWARDS) {
        return p11_fail(call, CKR_TEMPLATE_INCONSISTENT,
                        "the token's keys are CKK_EC and CKK_EC_EDWARDS, not %lu", value);
    }
    return rv;
}

/* CKA_EC_PARAMS: the OID of a curve we have. */
static CK_RV take_curve(p11_call *call, const CK_ATTRIBUTE *a, p11_key_wish *w)
{
    const grp *g = NULL;

    if (a->pValue == NULL || a->ulValueLen == 0) {
        return p11_fail(call, CKR_ATTRIBUTE_VALUE_INVALID, "CKA_EC_PARAMS is empty");
    }
    g = p11_curve_of_params(call->core->curves, a->pValue, a->ulValueLen);
    if (g == NULL) {
        return p11_fail(call, CKR_CURVE_NOT_SUPPORTED,
                        "the curves are P-256, P-384, P-521, secp256k1 and Ed25519, by OID");
    }
    if (w->has_curve && w->curve != grp_get_info(g)->curve) {
        return p11_fail(call, CKR_TEMPLATE_INCONSISTENT, "CKA_EC_PARAMS differ");
    }
    w->has_curve = true;
    w->curve = grp_get_info(g)->curve;
    return CKR_OK;
}

static CK_RV take_mechanisms(p11_call *call, const CK_ATTRIBUTE *a, p11_key_wish *w)
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
        if (m == NULL || (P11_KIND_BIT(m->kind) & P11_SIGN_KINDS) == 0) {
            return p11_fail(call, CKR_ATTRIBUTE_VALUE_INVALID,
                            "CKA_ALLOWED_MECHANISMS: keys cannot sign with 0x%lx", type);
        }
        w->ecdsa = w->ecdsa || m->scheme == MPC_SCHEME_ECDSA;
        w->bip340 = w->bip340 || m->scheme == MPC_SCHEME_BIP340;
        w->eddsa = w->eddsa || m->scheme == MPC_SCHEME_EDDSA;
        w->raw = w->raw || m->kind == P11_MECH_RAW;
        w->digests |= m->kind == P11_MECH_HASHED ? 1u << m->hash : 0;
    }
    return CKR_OK;
}

static CK_RV take_token(p11_call *call, const CK_ATTRIBUTE *a, p11_class cls, p11_key_wish *w)
{
    bool token = false;
    const CK_RV rv = read_bool(call, a, &token);

    if (cls == P11_PRIVATE_KEY) { /* the public object is where its private one is */
        w->token = token;
    }
    return rv;
}

static CK_RV take_always_auth(p11_call *call, const CK_ATTRIBUTE *a, p11_key_wish *w)
{
    bool always = false;
    const CK_RV rv = read_bool(call, a, &always);

    if (always && call->core->settings.login_never) {
        return p11_fail(call, CKR_TEMPLATE_INCONSISTENT,
                        "CKA_ALWAYS_AUTHENTICATE: this token has no PIN (pkcs11.login: never)");
    }
    w->names.flags |= always ? P11_ALWAYS_AUTH : 0;
    return rv;
}

static CK_RV take_brought(p11_call *call, const CK_ATTRIBUTE *a, p11_key_wish *w)
{
    if (!w->importing) {
        return p11_fail(call, CKR_ATTRIBUTE_READ_ONLY, "attribute 0x%lx cannot be chosen", a->type);
    }
    *(a->type == CKA_VALUE ? &w->value : &w->point) = a;
    return CKR_OK;
}

static CK_RV take_entry(p11_call *call, const CK_ATTRIBUTE *a, p11_class cls, p11_key_wish *w)
{
    bool any = false;
    size_t i = 0;

    while (i < RULE_COUNT && rules[i].type != a->type) {
        i++;
    }
    if (i == RULE_COUNT) {
        return p11_fail(call, CKR_ATTRIBUTE_TYPE_INVALID, "keys have no attribute 0x%lx", a->type);
    }
    switch (rules[i].rule) {
    case RULE_NAME:
        return p11_names_take(call, &w->names, a);
    case RULE_CLASS:
        return take_class(call, a, cls);
    case RULE_KEY_TYPE:
        return take_key_type(call, a);
    case RULE_TOKEN:
        return take_token(call, a, cls, w);
    case RULE_CURVE:
        return take_curve(call, a, w);
    case RULE_MECHANISMS:
        return take_mechanisms(call, a, w);
    case RULE_ALWAYS_AUTH:
        return take_always_auth(call, a, w);
    case RULE_ANY_BOOL:
        return read_bool(call, a, &any);
    case RULE_MUST_TRUE:
    case RULE_MUST_FALSE:
        return must_be(call, a, rules[i].rule == RULE_MUST_TRUE);
    case RULE_BROUGHT:
        return take_brought(call, a, w);
    case RULE_READ_ONLY:
        return p11_fail(call, CKR_ATTRIBUTE_READ_ONLY, "attribute 0x%lx cannot be chosen", a->type);
    }
    return CKR_GENERAL_ERROR;
}

CK_RV p11_key_wish_take(p11_call *call, p11_key_wish *w, const p11_template *t, p11_class cls)
{
    CK_RV rv = p11_template_check(call, t);

    for (CK_ULONG i = 0; rv == CKR_OK && i < t->count; i++) {
        rv = take_entry(call, &t->attrs[i], cls, w);
    }
    return rv;
}

mpc_scheme p11_key_wish_scheme(const p11_key_wish *w)
{
    return w->bip340 ? MPC_SCHEME_BIP340 : mpc_scheme_default(w->curve);
}

CK_RV p11_key_wish_check(p11_call *call, const p11_key_wish *w)
{
    const mpc_scheme scheme = w->has_curve ? p11_key_wish_scheme(w) : MPC_SCHEME_ECDSA;

    if (!w->has_curve) {
        return p11_fail(call, CKR_TEMPLATE_INCOMPLETE, "CKA_EC_PARAMS is missing");
    }
    if (!mpc_scheme_fits(scheme, w->curve) || (w->ecdsa && scheme != MPC_SCHEME_ECDSA) ||
        (w->eddsa && scheme != MPC_SCHEME_EDDSA)) {
        return p11_fail(call, CKR_TEMPLATE_INCONSISTENT,
                        "CKA_ALLOWED_MECHANISMS: a key has mechanisms of one scheme, that of its "
                        "curve");
    }
    return CKR_OK;
}
