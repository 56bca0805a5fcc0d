#include "pkcs11-provider/verify.h"

#include <string.h>

#include "participant/verify.h"
#include "pkcs11-provider/state.h"

CK_RV p11_verify_begin(p11_call *call, p11_op *op, const CK_MECHANISM *mech, CK_OBJECT_HANDLE key)
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
        return p11_fail(call, CKR_OPERATION_ACTIVE, "a verification is under way");
    }
    rv = p11_op_begin(call, op, mech, P11_SIGN_KINDS);
    if (rv == CKR_OK) {
        rv = p11_op_take_key(call, op, key, P11_PUBLIC_KEY);
    }
    if (rv != CKR_OK) {
        p11_op_end(op);
    }
    return rv;
}

CK_RV p11_verify_init(p11_call *call, const CK_MECHANISM *mech, CK_OBJECT_HANDLE key)
{
    return p11_verify_begin(call, &call->session->verify, mech, key);
}

static CK_RV check(p11_call *call, p11_op *op, const CK_BYTE *sig, CK_ULONG sig_len)
{
    const size_t want = p11_op_signature_len(call, op);
    p11_payload payload;
    part_signature signature = {.g = p11_core_curve(call->core, op->key.curve),
                                .scheme = op->mech->scheme,
                                .public_key = op->key.point,
                                .public_key_len = op->key.point_len,
                                .signature = sig,
                                .signature_len = sig_len};
    tdsa_err err;
    CK_RV rv = CKR_OK;

    if (sig_len != want) {
        return p11_fail(call, CKR_SIGNATURE_LEN_RANGE, "%lu bytes, not %zu", sig_len, want);
    }
    rv = p11_op_finish(call, op, &payload);
    if (rv != CKR_OK) {
        return rv;
    }
    if (payload.len == 0 && op->mech->kind == P11_MECH_RAW) {
        return p11_fail(call, CKR_DATA_LEN_RANGE, "CKM_ECDSA takes a digest of 1 to %u bytes",
                        P11_RAW_LEN_MAX);
    }
    signature.data = payload.data;
    signature.data_len = payload.len;
    if (part_verify_vartime(&signature, &err) != TDSA_OK) {
        return err.status == TDSA_E_VERIFY ? p11_fail(call, CKR_SIGNATURE_INVALID, "%s", err.text)
                                           : p11_fail_err(call, &err);
    }
    return CKR_OK;
}

CK_RV p11_verify_end(p11_call *call, p11_op *op, const CK_BYTE *sig, CK_ULONG sig_len)
{
    const CK_RV rv = check(call, op, sig, sig_len);

    p11_op_end(op);
    return rv;
}

CK_RV p11_verify(p11_call *call, const CK_BYTE *data, CK_ULONG len, const CK_BYTE *sig,
                 CK_ULONG sig_len)
{
    p11_op *op = &call->session->verify;
    CK_RV rv = CKR_OK;

    if (!op->active || op->started || op->expected_len > 0) {
        p11_op_end(op);
        return p11_fail(call, CKR_OPERATION_NOT_INITIALIZED,
                        "no C_VerifyInit, or C_VerifyUpdate was called since");
    }
    if (sig == NULL || (data == NULL && len > 0)) {
        p11_op_end(op);
        return p11_fail(call, CKR_ARGUMENTS_BAD, "no data or no signature");
    }
    rv = p11_op_update(call, op, data, len);
    return rv == CKR_OK ? p11_verify_end(call, op, sig, sig_len) : rv;
}

CK_RV p11_verify_update(p11_call *call, const CK_BYTE *part, CK_ULONG len)
{
    p11_op *op = &call->session->verify;

    if (op->expected_len > 0) {
        return p11_fail(call, CKR_OPERATION_NOT_INITIALIZED, "C_VerifySignatureInit was called");
    }
    return p11_op_update(call, op, part, len);
}

CK_RV p11_verify_final(p11_call *call, const CK_BYTE *sig, CK_ULONG sig_len)
{
    p11_op *op = &call->session->verify;

    if (!op->active || op->expected_len > 0) {
        return p11_fail(call, CKR_OPERATION_NOT_INITIALIZED, "no C_VerifyInit");
    }
    if (sig == NULL) {
        p11_op_end(op);
        return p11_fail(call, CKR_ARGUMENTS_BAD, "no signature");
    }
    return p11_verify_end(call, op, sig, sig_len);
}

CK_RV p11_verify_signature_init(p11_call *call, const CK_MECHANISM *mech, CK_OBJECT_HANDLE key,
                                const CK_BYTE *sig, CK_ULONG sig_len)
{
    p11_op *op = &call->session->verify;
    CK_RV rv = CKR_OK;

    if (mech != NULL && sig == NULL) {
        return p11_fail(call, CKR_ARGUMENTS_BAD, "no signature");
    }
    rv = p11_verify_init(call, mech, key);
    if (rv != CKR_OK || mech == NULL) {
        return rv;
    }
    if (sig_len != p11_op_signature_len(call, op)) {
        p11_op_end(op);
        return p11_fail(call, CKR_SIGNATURE_LEN_RANGE, "%lu bytes", sig_len);
    }
    memcpy(op->expected, sig, sig_len);
    op->expected_len = sig_len;
    return CKR_OK;
}

CK_RV p11_verify_signature_update(p11_call *call, const CK_BYTE *part, CK_ULONG len)
{
    p11_op *op = &call->session->verify;

    if (op->expected_len == 0) {
        return p11_fail(call, CKR_OPERATION_NOT_INITIALIZED, "no C_VerifySignatureInit");
    }
    return p11_op_update(call, op, part, len);
}

CK_RV p11_verify_signature_final(p11_call *call)
{
    p11_op *op = &call->session->verify;
    CK_RV rv = CKR_OK;

    if (!op->active || op->expected_len == 0) {
        return p11_fail(call, CKR_OPERATION_NOT_INITIALIZED, "no C_VerifySignatureInit");
    }
    rv = check(call, op, op->expected, op->expected_len);
    p11_op_end(op);
    return rv;
}

CK_RV p11_verify_signature(p11_call *call, const CK_BYTE *data, CK_ULONG len)
{
    p11_op *op = &call->session->verify;
    CK_RV rv = CKR_OK;

    if (op->started) {
        p11_op_end(op);
        return p11_fail(call, CKR_OPERATION_NOT_INITIALIZED, "an Update was called since");
    }
    rv = p11_verify_signature_update(call, data, len);
    return rv == CKR_OK ? p11_verify_signature_final(call) : rv;
}
