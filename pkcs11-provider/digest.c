#include "pkcs11-provider/digest.h"

#include <string.h>

CK_RV p11_digest_init(p11_call *call, const CK_MECHANISM *mech)
{
    p11_op *op = &call->session->digest;

    if (mech == NULL && op->active) { /* PKCS#11 3.0: a NULL mechanism cancels */
        p11_op_end(op);
        return CKR_OK;
    }
    if (mech == NULL) {
        return p11_fail(call, CKR_ARGUMENTS_BAD, "no mechanism");
    }
    if (op->active) {
        return p11_fail(call, CKR_OPERATION_ACTIVE, "a digest is under way");
    }
    return p11_op_begin(call, op, mech, P11_KIND_BIT(P11_MECH_DIGEST));
}

static CK_RV finish(p11_call *call, const CK_BYTE *data, CK_ULONG len, CK_BYTE *out,
                    CK_ULONG *out_len)
{
    p11_op *op = &call->session->digest;
    p11_payload payload;
    CK_RV rv = CKR_OK;

    if (!p11_room_for(p11_op_digest_len(op), out, out_len, &rv)) {
        return rv;
    }
    if (len > 0) {
        rv = p11_op_update(call, op, data, len);
    }
    if (rv == CKR_OK) {
        rv = p11_op_finish(call, op, &payload);
    }
    if (rv == CKR_OK) {
        memcpy(out, payload.data, payload.len);
        *out_len = payload.len;
    }
    p11_op_end(op);
    return rv;
}

CK_RV p11_digest(p11_call *call, const CK_BYTE *data, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
{
    p11_op *op = &call->session->digest;

    if (!op->active || op->started) {
        p11_op_end(op);
        return p11_fail(call, CKR_OPERATION_NOT_INITIALIZED,
                        "no C_DigestInit, or C_DigestUpdate was called since");
    }
    if (out_len == NULL || (data == NULL && len > 0)) {
        p11_op_end(op);
        return p11_fail(call, CKR_ARGUMENTS_BAD, "no data or no place for the length");
    }
    return finish(call, data, len, out, out_len);
}

CK_RV p11_digest_update(p11_call *call, const CK_BYTE *part, CK_ULONG len)
{
    return p11_op_update(call, &call->session->digest, part, len);
}

CK_RV p11_digest_final(p11_call *call, CK_BYTE *out, CK_ULONG *out_len)
{
    p11_op *op = &call->session->digest;

    if (!op->active) {
        return p11_fail(call, CKR_OPERATION_NOT_INITIALIZED, "no C_DigestInit");
    }
    if (out_len == NULL) {
        p11_op_end(op);
        return p11_fail(call, CKR_ARGUMENTS_BAD, "no place for the length");
    }
    return finish(call, NULL, 0, out, out_len);
}
