#include "pkcs11-provider/keygen.h"

#include <stdlib.h>
#include <string.h>

#include "pkcs11-provider/curve.h"
#include "pkcs11-provider/mechanism.h"
#include "pkcs11-provider/session_object.h"
#include "pkcs11-provider/state.h"
#include "pkcs11-provider/viewer.h"

#define P11_VALUE_MAX 70u /* bytes of a private key: 66 and some leading zeros */

typedef struct {
    part_key_spec spec;
    char label[KS_LABEL_MAX + 1];
    tdsa_buf attrs;
} new_key;

/* A key as the templates ask for it; clear k->attrs whatever comes. */
static tdsa_status fill_spec(new_key *k, const p11_core *core, const p11_key_wish *w, tdsa_err *err)
{
    const mpc_scheme scheme = p11_key_wish_scheme(w);
    part_key_spec *spec = &k->spec;

    k->attrs = TDSA_BUF_EMPTY;
    *spec = (part_key_spec){.curve = w->curve,
                            .scheme = scheme,
                            .policy = part_policy_default(w->curve, scheme),
                            .presignature_limit = PART_LIMIT_DEFAULT,
                            .label = k->label};
    if (core->settings.sha1 && scheme == MPC_SCHEME_ECDSA) {
        spec->policy.digests |= 1u << TDSA_HASH_SHA1;
    }
    if (w->ecdsa) { /* architecture: only message mechanisms make a `message` key */
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
static tdsa_status import_key(const p11_core *core, const part_key_spec *spec,
                              const p11_key_wish *w, char *key_id, tdsa_err *err)
{
    part_import_spec import = {.key = *spec};
    TDSA_SCOPED_SECRET value = NULL;
    tdsa_status st = tdsa_secret_copy(&value, w->value->pValue, w->value->ulValueLen, err);

    if (st != TDSA_OK) {
        return st;
    }
    import.private_key = value;
    if (w->point != NULL) {
        import.public_key = p11_point_of(core->curves[w->curve], w->point->pValue,
                                         w->point->ulValueLen, &import.public_key_len);
        if (import.public_key == NULL) {
            return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "CKA_EC_POINT: no point of the curve");
        }
    }
    return part_engine_import(core->engine, &import, core->settings.deadline_ms, key_id, err);
}

static tdsa_status make_key(const p11_core *core, const p11_key_wish *w, part_key_info *info,
                            tdsa_err *err)
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

static CK_RV generate(p11_call *call, p11_key_wish *w, CK_OBJECT_HANDLE *public_key,
                      CK_OBJECT_HANDLE *private_key)
{
    p11_objects *objects = &call->core->objects;
    const p11_owner owner = {call->handle, call->session->slot};
    const tdsa_clock clock = tdsa_os_clock();
    part_key_info *info = calloc(1, sizeof *info);
    size_t index = 0;
    tdsa_err err;
    tdsa_status st = TDSA_OK;

    if (info == NULL) {
        return p11_fail(call, CKR_HOST_MEMORY, "no memory for a key");
    }
    if (!w->token) {
        w->names.session_until_ms = clock.wall_ms(clock.ctx) + P11_SESSION_KEY_LIFE_MS;
        atomic_store(&call->core->session_objects, true);
    }
    st = make_key(call->core, w, info, &err);
    if (st == TDSA_OK) {
        st = p11_objects_put_key(objects, info, w->token ? NULL : &owner, &index, &err);
    }
    free(info);
    if (st != TDSA_OK) {
        return p11_fail_err(call, &err);
    }
    *public_key = p11_object_handle(objects, index, P11_PUBLIC_KEY);
    *private_key = p11_object_handle(objects, index, P11_PRIVATE_KEY);
    return CKR_OK;
}

CK_RV p11_may_make(p11_call *call, bool token, bool private_key)
{
    if (token && !call->session->read_write) {
        return p11_fail(call, CKR_SESSION_READ_ONLY, "token objects are made in R/W sessions only");
    }
    if (private_key && !p11_logged_in(call->core)) {
        return p11_fail(call, CKR_USER_NOT_LOGGED_IN,
                        "private objects are made after a login only");
    }
    return CKR_OK;
}

/* A key of the token that this session would not see is not made. */
static CK_RV check_shown(p11_call *call, const p11_key_wish *w)
{
    p11_object *key = NULL;
    CK_RV rv = CKR_OK;

    if (!w->token) {
        return CKR_OK;
    }
    key = calloc(1, sizeof *key);
    if (key == NULL) {
        return p11_fail(call, CKR_HOST_MEMORY, "no memory for a key");
    }
    key->facts.curve = w->curve;
    key->facts.scheme = p11_key_wish_scheme(w);
    key->names.label = w->names.label; /* lent */
    rv = p11_viewer_check_new(call, key);
    free(key);
    return rv;
}

static CK_RV check_generator(p11_call *call, const CK_MECHANISM *mech)
{
    const p11_mech *m = NULL;

    if (mech == NULL) {
        return p11_fail(call, CKR_ARGUMENTS_BAD, "no mechanism");
    }
    m = p11_mech_find(mech->mechanism, call->core->settings.sha1);
    /* GnuTLS 3.7, and Knot DNS through it, ask for CKM_EDDSA when they want an Ed25519 key */
    if (m == NULL || (m->kind != P11_MECH_KEYGEN && m->type != CKM_EDDSA)) {
        return p11_fail(call, CKR_MECHANISM_INVALID, "0x%lx does not make key pairs here",
                        mech->mechanism);
    }
    if (mech->pParameter != NULL || mech->ulParameterLen != 0) {
        return p11_fail(call, CKR_MECHANISM_PARAM_INVALID, "0x%lx takes no parameter",
                        mech->mechanism);
    }
    return CKR_OK;
}

static CK_RV take_wishes(p11_call *call, p11_key_wish *w, const p11_pair_wish *wish)
{
    const bool edwards = wish->mech->mechanism != CKM_EC_KEY_PAIR_GEN;
    CK_RV rv = p11_key_wish_take(call, w, &wish->public_key, P11_PUBLIC_KEY);

    if (rv == CKR_OK) {
        rv = p11_key_wish_take(call, w, &wish->private_key, P11_PRIVATE_KEY);
    }
    if (rv == CKR_OK) {
        rv = p11_key_wish_check(call, w);
    }
    if (rv == CKR_OK && edwards != (w->curve == GRP_ED25519)) {
        rv = p11_fail(call, CKR_CURVE_NOT_SUPPORTED, "0x%lx makes no keys on this curve",
                      wish->mech->mechanism);
    }
    if (rv == CKR_OK && w->token && !call->core->settings.generate) {
        rv = p11_fail(call, CKR_ACTION_PROHIBITED, "pkcs11.generateKeys is false");
    }
    if (rv == CKR_OK) {
        rv = p11_may_make(call, w->token, true);
    }
    return rv == CKR_OK ? check_shown(call, w) : rv;
}

CK_RV p11_generate_pair(p11_call *call, const p11_pair_wish *wish, CK_OBJECT_HANDLE *public_key,
                        CK_OBJECT_HANDLE *private_key)
{
    p11_key_wish w = {0};
    CK_RV rv = check_generator(call, wish->mech);

    if (rv == CKR_OK && (public_key == NULL || private_key == NULL)) {
        rv = p11_fail(call, CKR_ARGUMENTS_BAD, "no place for the handles");
    }
    if (rv == CKR_OK) {
        rv = take_wishes(call, &w, wish);
    }
    if (rv == CKR_OK) {
        rv = generate(call, &w, public_key, private_key);
    }
    p11_names_clear(&w.names);
    return rv;
}

static CK_RV check_value(p11_call *call, const p11_key_wish *w)
{
    if (w->value == NULL) {
        return p11_fail(call, CKR_TEMPLATE_INCOMPLETE, "CKA_VALUE is missing");
    }
    if (w->value->pValue == NULL || w->value->ulValueLen == 0 ||
        w->value->ulValueLen > P11_VALUE_MAX) {
        return p11_fail(call, CKR_ATTRIBUTE_VALUE_INVALID, "CKA_VALUE: 1 to %u bytes",
                        P11_VALUE_MAX);
    }
    return CKR_OK;
}

CK_RV p11_import_key(p11_call *call, const p11_template *t, CK_OBJECT_HANDLE *object)
{
    CK_OBJECT_HANDLE public_key = CK_INVALID_HANDLE;
    p11_key_wish w = {.importing = true, .names.flags = P11_IMPORTED};
    CK_RV rv = p11_key_wish_take(call, &w, t, P11_PRIVATE_KEY);

    if (rv == CKR_OK) {
        rv = p11_key_wish_check(call, &w);
    }
    if (rv == CKR_OK) {
        rv = check_value(call, &w);
    }
    if (rv == CKR_OK) {
        rv = p11_may_make(call, w.token, true);
    }
    if (rv == CKR_OK) {
        rv = check_shown(call, &w);
    }
    if (rv == CKR_OK) {
        rv = generate(call, &w, &public_key, object);
    }
    p11_names_clear(&w.names);
    return rv;
}
