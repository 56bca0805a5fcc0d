#include "pkcs11-provider/operation.h"

#include <string.h>

#include "pkcs11-provider/state.h"
#include "pkcs11-provider/viewer.h"

void p11_op_end(p11_op *op)
{
    tdsa_hasher_free(op->hasher);
    p11_sha3_free(op->sha3);
    tdsa_buf_clear(&op->data);
    *op = (p11_op){0};
}

/* Ed25519 is what is asked for, not Ed25519ctx or Ed25519ph (RFC 8032, section 5.1). */
static bool is_plain_eddsa(const CK_MECHANISM *mech)
{
    CK_EDDSA_PARAMS params;

    if (mech->mechanism != CKM_EDDSA || mech->pParameter == NULL ||
        mech->ulParameterLen != sizeof params) {
        return false;
    }
    memcpy(&params, mech->pParameter, sizeof params);
    return params.phFlag == CK_FALSE && params.ulContextDataLen == 0;
}

CK_RV p11_op_begin(p11_call *call, p11_op *op, const CK_MECHANISM *mech, unsigned kinds)
{
    const p11_mech *m = p11_mech_find(mech->mechanism, call->core->settings.sha1);

    if (m == NULL || (kinds & P11_KIND_BIT(m->kind)) == 0) {
        return p11_fail(call, CKR_MECHANISM_INVALID, "mechanism 0x%lx cannot do this",
                        mech->mechanism);
    }
    if ((mech->pParameter != NULL || mech->ulParameterLen != 0) && !is_plain_eddsa(mech)) {
        return p11_fail(call, CKR_MECHANISM_PARAM_INVALID, "mechanism 0x%lx: no such parameter",
                        mech->mechanism);
    }
    p11_op_end(op);
    op->mech = m;
    op->whole = m->kind == P11_MECH_MESSAGE;
    op->active = true;
    return CKR_OK;
}

/* Why a handle is no key to work with. Clients log in again when they hear that it takes a login. */
static CK_RV no_key(p11_call *call, CK_OBJECT_HANDLE handle)
{
    if (!p11_logged_in(call->core) && p11_objects_private_key(&call->core->objects, handle)) {
        return p11_fail(call, CKR_USER_NOT_LOGGED_IN, "the private key needs a login");
    }
    return p11_fail(call, CKR_KEY_HANDLE_INVALID, "no key %lu", handle);
}

/* Whether the mechanism is for the type that the key shows; which of its schemes a CKK_EC key on secp256k1
 * has, its CKA_ALLOWED_MECHANISMS say. A public key alone does not say. */
static bool fits(const p11_op *op, const p11_object *o)
{
    return mpc_scheme_fits(op->mech->scheme, o->facts.curve);
}

CK_RV p11_op_take_key(p11_call *call, p11_op *op, CK_OBJECT_HANDLE handle, p11_class cls)
{
    p11_class have = P11_OTHER;
    const p11_object *o = p11_viewer_lock(call, handle, &have);
    CK_RV rv = CKR_OK;

    if (o == NULL) {
        return no_key(call, handle);
    }
    if (have == P11_OTHER) {
        rv = p11_fail(call, CKR_KEY_HANDLE_INVALID, "object %lu is no key", handle);
    } else if (have != cls || (cls == P11_PRIVATE_KEY && (o->names.flags & P11_NO_SIGN) != 0)) {
        rv = p11_fail(call, CKR_KEY_FUNCTION_NOT_PERMITTED, "a %s key is needed",
                      cls == P11_PRIVATE_KEY ? "private signing" : "public");
    } else if (!fits(op, o)) {
        rv = p11_fail(call, CKR_KEY_TYPE_INCONSISTENT, "mechanism 0x%lx is for keys of %s, not %s",
                      op->mech->type, mpc_scheme_name(op->mech->scheme),
                      mpc_scheme_name(o->facts.scheme));
    } else {
        op->key = o->facts;
        op->always_auth = cls == P11_PRIVATE_KEY && (o->names.flags & P11_ALWAYS_AUTH) != 0;
        op->asks_pin = op->always_auth;
    }
    p11_objects_unlock(&call->core->objects);
    return rv;
}

static CK_RV update_sha3(p11_call *call, p11_op *op, const CK_BYTE *part, CK_ULONG len)
{
    if (op->sha3 == NULL) {
        op->sha3 = p11_sha3_new(op->mech->type);
    }
    if (op->sha3 == NULL) {
        return p11_fail(call, CKR_HOST_MEMORY, "no memory for a digest");
    }
    p11_sha3_update(op->sha3, part, len);
    return CKR_OK;
}

static CK_RV update_hasher(p11_call *call, p11_op *op, const CK_BYTE *part, CK_ULONG len)
{
    tdsa_err err;
    tdsa_status st = TDSA_OK;

    if (op->mech->hash == TDSA_HASH_NONE) {
        return update_sha3(call, op, part, len);
    }
    if (op->hasher == NULL) {
        st = tdsa_hasher_new(&op->hasher, op->mech->hash, &err);
    }
    if (st == TDSA_OK && len > 0) {
        st = tdsa_hasher_update(op->hasher, part, len, &err);
    }
    return st == TDSA_OK ? CKR_OK : p11_fail_err(call, &err);
}

static CK_RV update_buffer(p11_call *call, p11_op *op, const CK_BYTE *part, CK_ULONG len)
{
    const size_t max = op->whole ? MPC_MESSAGE_MAX : P11_RAW_LEN_MAX;
    tdsa_err err;

    if (len > max || op->data.len + len > max) {
        return p11_fail(call, CKR_DATA_LEN_RANGE, "more than %zu bytes", max);
    }
    tdsa_buf_append(&op->data, part, len);
    return tdsa_buf_check(&op->data, &err) == TDSA_OK ? CKR_OK : p11_fail_err(call, &err);
}

CK_RV p11_op_update(p11_call *call, p11_op *op, const CK_BYTE *part, CK_ULONG len)
{
    CK_RV rv = CKR_OK;

    if (!op->active) {
        return p11_fail(call, CKR_OPERATION_NOT_INITIALIZED, "no operation to go on with");
    }
    if (part == NULL && len > 0) {
        rv = p11_fail(call, CKR_ARGUMENTS_BAD, "no data");
    } else if (op->whole || op->mech->kind == P11_MECH_RAW) {
        rv = update_buffer(call, op, part, len);
    } else {
        rv = update_hasher(call, op, part, len);
    }
    op->started = true;
    if (rv != CKR_OK) {
        p11_op_end(op);
    }
    return rv;
}

CK_RV p11_op_finish(p11_call *call, p11_op *op, p11_payload *out)
{
    tdsa_err err;
    CK_RV rv = CKR_OK;

    out->hash = op->mech->hash;
    if (op->whole || op->mech->kind == P11_MECH_RAW) {
        out->data = op->data.data;
        out->len = op->data.len;
        return CKR_OK;
    }
    if (op->hasher == NULL && op->sha3 == NULL) { /* the digest of the empty message */
        rv = update_hasher(call, op, NULL, 0);
    }
    if (rv == CKR_OK && op->sha3 != NULL) {
        p11_sha3_final(op->sha3, out->digest);
    } else if (rv == CKR_OK && tdsa_hasher_final(op->hasher, out->digest, &err) != TDSA_OK) {
        rv = p11_fail_err(call, &err);
    }
    out->data = out->digest;
    out->len = p11_op_digest_len(op);
    return rv;
}

size_t p11_op_digest_len(const p11_op *op)
{
    return op->mech->hash == TDSA_HASH_NONE ? p11_sha3_len(op->mech->type)
                                            : tdsa_hash_len(op->mech->hash);
}

size_t p11_op_signature_len(const p11_call *call, const p11_op *op)
{
    return 2 *
           grp_get_info(p11_core_curve(call->core, op->key.curve))->scalar_len; /* of all schemes */
}

bool p11_room_for(size_t need, const CK_BYTE *out, CK_ULONG *out_len, CK_RV *rv)
{
    const CK_ULONG have = *out_len;

    *rv = CKR_OK;
    if (out == NULL || have < need) {
        *rv = out == NULL ? CKR_OK : CKR_BUFFER_TOO_SMALL;
        *out_len = need;
        return false;
    }
    return true;
}
