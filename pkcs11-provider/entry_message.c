/* C_* functions that sign and verify messages, since version 3.0. */
#include "pkcs11-provider/message.h"

CK_RV C_MessageSignInit(CK_SESSION_HANDLE session, CK_MECHANISM *mech, CK_OBJECT_HANDLE key)
{
    P11_ENTER_SESSION("C_MessageSignInit", session);
    return p11_leave(&call, p11_message_sign_init(&call, mech, key));
}

CK_RV C_SignMessage(CK_SESSION_HANDLE session, void *param, CK_ULONG param_len, CK_BYTE *data,
                    CK_ULONG data_len, CK_BYTE *sig, CK_ULONG *sig_len)
{
    const p11_message m = {param, param_len, data, data_len};

    P11_ENTER_SESSION("C_SignMessage", session);
    return p11_leave(&call, p11_message_sign(&call, &m, sig, sig_len));
}

CK_RV C_MessageSignFinal(CK_SESSION_HANDLE session)
{
    P11_ENTER_SESSION("C_MessageSignFinal", session);
    return p11_leave(&call, p11_message_sign_final(&call));
}

CK_RV C_MessageVerifyInit(CK_SESSION_HANDLE session, CK_MECHANISM *mech, CK_OBJECT_HANDLE key)
{
    P11_ENTER_SESSION("C_MessageVerifyInit", session);
    return p11_leave(&call, p11_message_verify_init(&call, mech, key));
}

CK_RV C_VerifyMessage(CK_SESSION_HANDLE session, void *param, CK_ULONG param_len, CK_BYTE *data,
                      CK_ULONG data_len, CK_BYTE *sig, CK_ULONG sig_len)
{
    const p11_message m = {param, param_len, data, data_len};

    P11_ENTER_SESSION("C_VerifyMessage", session);
    return p11_leave(&call, p11_message_verify(&call, &m, sig, sig_len));
}

CK_RV C_MessageVerifyFinal(CK_SESSION_HANDLE session)
{
    P11_ENTER_SESSION("C_MessageVerifyFinal", session);
    return p11_leave(&call, p11_message_verify_final(&call));
}
