#include "pkcs11-provider/sign.h"

#include <string.h>

#include "pkcs11-provider/state.h"

CK_RV p11_sign_begin(p11_call *call, p11_op *op, const CK_MECHANISM *mech, CK_OBJECT_HANDLE key)
{
    CK_RV rv = CKR_OK;

    if (mech == NULL && op->active) { /* PKCS#11 3.0: a NULL mechanism cancels */
        p11_op_end(op);
        return CKR_OK;
    }
    if (mech == NULL) {
        return p11_fail(call, CKR_ARGUMENTS_BAD, "no mechanism");
    }
    if (op->active) {
        return p11_fail(call, CKR_OPERATION_ACTIVE, "a signature is under way");
    }
    rv = p11_op_begin(call, op, mech, P11_SIGN_KINDS);
    if (rv == CKR_OK) {
        rv = p11_op_take_key(call, op, key, P11_PRIVATE_KEY);
    }
    if (rv == CKR_OK && !p11_mech_allowed(op->mech, op->key.scheme, &op->key.policy)) {
        rv = p11_fail(call, CKR_MECHANISM_INVALID,
                      "the key's CKA_ALLOWED_MECHANISMS do not name 0x%lx", mech->mechanism);
    }
    if (rv != CKR_OK) {
        p11_op_end(op);
        return rv;
    }
    op->whole = op->whole || op->key.policy.purpose == MPC_PURPOSE_MESSAGE;
    return CKR_OK;
}

CK_RV p11_sign_init(p11_call *call, const CK_MECHANISM *mech, CK_OBJECT_HANDLE key)
{
    return p11_sign_begin(call, &call->session->sign, mech, key);
}

/*
 * Data of CKM_ECDSA as a digest of the length that its policy has a name for. Other lengths become that
 * of the curve, which is the same number: PKCS#11, ECDSA without hashing, and SEC 1, 4.1.3, take the
 * leftmost bits of what is longer than the order, and what is shorter as the number it is.
 */
static CK_RV fit_digest(p11_call *call, const p11_op *op, p11_payload *p)
{
    const grp_info *curve = grp_get_info(p11_core_curve(call->core, op->key.curve));
    const size_t want =
        curve->scalar_len > TDSA_DIGEST_LEN_MAX ? TDSA_DIGEST_LEN_MAX : curve->scalar_len;
    const size_t cut = p->len > want ? want : p->len;

    if (p11_mech_hash_of_len(p->len, &p->hash)) {
        return CKR_OK;
    }
    if (p->len == 0 || (p->len > want && curve->order_bits != 8 * want)) {
        return p11_fail(call, CKR_DATA_LEN_RANGE, "CKM_ECDSA takes a digest, not %zu bytes",
                        p->len);
    }
    memset(p->digest, 0, sizeof p->digest);
    memcpy(p->digest + (want - cut), p->data, cut);
    p->data = p->digest;
    p->len = want;
    return p11_mech_hash_of_len(want, &p->hash)
               ? CKR_OK
               : p11_fail(call, CKR_GENERAL_ERROR, "no digest of %zu bytes", want);
}

/* Asks the participants for the signature of what the operation has gathered. */
static CK_RV run(p11_call *call, p11_op *op, CK_BYTE *sig, CK_ULONG *sig_len)
{
    p11_core *core = call->core;
    p11_payload payload;
    part_sign_request req = {.key_id = op->key.key_id, .low_s = op->key.policy.low_s};
    part_sign_result result;
    tdsa_status st = TDSA_OK;
    tdsa_err err;
    CK_RV rv = p11_op_finish(call, op, &payload);

    if (rv != CKR_OK) {
        return rv;
    }
    if (op->mech->kind == P11_MECH_RAW) {
        rv = fit_digest(call, op, &payload);
    }
    if (rv != CKR_OK) {
        return rv;
    }
    if (!p11_logged_in(core)) {
        return p11_fail(call, CKR_USER_NOT_LOGGED_IN, "logged out since C_SignInit");
    }
    if (op->asks_pin) {
        return p11_fail(call, CKR_USER_NOT_LOGGED_IN,
                        "CKA_ALWAYS_AUTHENTICATE: C_Login with CKU_CONTEXT_SPECIFIC comes first");
    }
    req.digest_alg = payload.hash;
    req.payload = payload.data != NULL ? payload.data : payload.digest;
    req.payload_len = payload.len;
    atomic_store(&call->session->in_flight, true);
    st = part_engine_sign(core->engine, &req, core->settings.deadline_ms, &result, &err);
    atomic_store(&call->session->in_flight, false);
    p11_quorum_note(core, st == TDSA_OK ? NULL : &err);
    memcpy(call->run_id, result.session_id, sizeof call->run_id);
    call->run_id[sizeof call->run_id - 1] = '\0';
    if (st != TDSA_OK) {
        rv = p11_fail_err(call, &err);
        if (rv ==
            CKR_ARGUMENTS_BAD) { /* a digest that is 0 modulo the order, say: nobody signs it */
            return CKR_DATA_INVALID;
        }
        /* deleted by somebody else since C_SignInit */
        return rv == CKR_OBJECT_HANDLE_INVALID ? CKR_KEY_HANDLE_INVALID : rv;
    }
    memcpy(sig, result.rs, result.rs_len);
    *sig_len = result.rs_len;
    return CKR_OK;
}

CK_RV p11_sign_end(p11_call *call, p11_op *op, CK_BYTE *sig, CK_ULONG *sig_len)
{
    const CK_RV rv = run(call, op, sig, sig_len);

    p11_op_end(op);
    return rv;
}

/* The common end of C_Sign and C_SignFinal, after the checks of their own. */
static CK_RV finish(p11_call *call, const CK_BYTE *data, CK_ULONG len, CK_BYTE *sig,
                    CK_ULONG *sig_len)
{
    p11_op *op = &call->session->sign;
    CK_RV rv = CKR_OK;

    if (!p11_room_for(p11_op_signature_len(call, op), sig, sig_len, &rv)) {
        return rv;
    }
    if (data != NULL) {
        rv = p11_op_update(call, op, data, len);
    }
    return rv == CKR_OK ? p11_sign_end(call, op, sig, sig_len) : rv;
}

CK_RV p11_sign(p11_call *call, const CK_BYTE *data, CK_ULONG len, CK_BYTE *sig, CK_ULONG *sig_len)
{
    p11_op *op = &call->session->sign;

    if (!op->active || op->started) {
        p11_op_end(op);
        return p11_fail(call, CKR_OPERATION_NOT_INITIALIZED,
                        "no C_SignInit, or C_SignUpdate was called since");
    }
    if (sig_len == NULL || (data == NULL && len > 0)) {
        p11_op_end(op);
        return p11_fail(call, CKR_ARGUMENTS_BAD, "no data or no place for the length");
    }
    return finish(call, data, len, sig, sig_len);
}

CK_RV p11_sign_update(p11_call *call, const CK_BYTE *part, CK_ULONG len)
{
    return p11_op_update(call, &call->session->sign, part, len);
}

CK_RV p11_sign_final(p11_call *call, CK_BYTE *sig, CK_ULONG *sig_len)
{
    p11_op *op = &call->session->sign;

    if (!op->active) {
        return p11_fail(call, CKR_OPERATION_NOT_INITIALIZED, "no C_SignInit");
    }
    if (sig_len == NULL) {
        p11_op_end(op);
        return p11_fail(call, CKR_ARGUMENTS_BAD, "no place for the length");
    }
    return finish(call, NULL, 0, sig, sig_len);
}
