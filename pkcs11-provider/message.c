#include "pkcs11-provider/message.h"

#include "pkcs11-provider/sign.h"
#include "pkcs11-provider/verify.h"

CK_RV p11_message_sign_init(p11_call *call, const CK_MECHANISM *mech, CK_OBJECT_HANDLE key)
{
    return p11_sign_begin(call, &call->session->message_sign, mech, key);
}

CK_RV p11_message_verify_init(p11_call *call, const CK_MECHANISM *mech, CK_OBJECT_HANDLE key)
{
    return p11_verify_begin(call, &call->session->message_verify, mech, key);
}

static CK_RV check(p11_call *call, const p11_op *op, const p11_message *m)
{
    if (!op->active) {
        return p11_fail(call, CKR_OPERATION_NOT_INITIALIZED, "no Init of messages");
    }
    if (m->param != NULL || m->param_len > 0) {
        return p11_fail(call, CKR_ARGUMENTS_BAD, "messages of mechanism 0x%lx have no parameter",
                        op->mech->type);
    }
    if (m->data == NULL && m->len > 0) {
        return p11_fail(call, CKR_ARGUMENTS_BAD, "no data");
    }
    return CKR_OK;
}

CK_RV p11_message_sign(p11_call *call, const p11_message *m, CK_BYTE *sig, CK_ULONG *sig_len)
{
    p11_op *op = &call->session->message_sign;
    p11_op one;
    CK_RV rv = check(call, op, m);

    if (rv == CKR_OK && sig_len == NULL) {
        rv = p11_fail(call, CKR_ARGUMENTS_BAD, "no place for the length");
    }
    if (rv != CKR_OK || !p11_room_for(p11_op_signature_len(call, op), sig, sig_len, &rv)) {
        return rv;
    }
    one = *op; /* nothing in it is owned yet */
    op->asks_pin = op->always_auth;
    rv = p11_op_update(call, &one, m->data, m->len);
    return rv == CKR_OK ? p11_sign_end(call, &one, sig, sig_len) : rv;
}

CK_RV p11_message_verify(p11_call *call, const p11_message *m, const CK_BYTE *sig, CK_ULONG sig_len)
{
    p11_op one = call->session->message_verify;
    CK_RV rv = check(call, &one, m);

    if (rv == CKR_OK && sig == NULL) {
        rv = p11_fail(call, CKR_ARGUMENTS_BAD, "no signature");
    }
    if (rv == CKR_OK) {
        rv = p11_op_update(call, &one, m->data, m->len);
    }
    return rv == CKR_OK ? p11_verify_end(call, &one, sig, sig_len) : rv;
}

static CK_RV end(p11_call *call, p11_op *op)
{
    if (!op->active) {
        return p11_fail(call, CKR_OPERATION_NOT_INITIALIZED, "no Init of messages");
    }
    p11_op_end(op);
    return CKR_OK;
}

CK_RV p11_message_sign_final(p11_call *call)
{
    return end(call, &call->session->message_sign);
}

CK_RV p11_message_verify_final(p11_call *call)
{
    return end(call, &call->session->message_verify);
}
