/* C_* functions that sign, verify and digest. */
#include "pkcs11-provider/digest.h"
#include "pkcs11-provider/sign.h"
#include "pkcs11-provider/verify.h"

CK_RV C_SignInit(CK_SESSION_HANDLE session, CK_MECHANISM *mech, CK_OBJECT_HANDLE key)
{
    P11_ENTER_SESSION("C_SignInit", session);
    return p11_leave(&call, p11_sign_init(&call, mech, key));
}

CK_RV C_Sign(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG len, CK_BYTE *sig,
             CK_ULONG *sig_len)
{
    P11_ENTER_SESSION("C_Sign", session);
    return p11_leave(&call, p11_sign(&call, data, len, sig, sig_len));
}

CK_RV C_SignUpdate(CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG len)
{
    P11_ENTER_SESSION("C_SignUpdate", session);
    return p11_leave(&call, p11_sign_update(&call, part, len));
}

CK_RV C_SignFinal(CK_SESSION_HANDLE session, CK_BYTE *sig, CK_ULONG *sig_len)
{
    P11_ENTER_SESSION("C_SignFinal", session);
    return p11_leave(&call, p11_sign_final(&call, sig, sig_len));
}

CK_RV C_VerifyInit(CK_SESSION_HANDLE session, CK_MECHANISM *mech, CK_OBJECT_HANDLE key)
{
    P11_ENTER_SESSION("C_VerifyInit", session);
    return p11_leave(&call, p11_verify_init(&call, mech, key));
}

CK_RV C_Verify(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG len, CK_BYTE *sig,
               CK_ULONG sig_len)
{
    P11_ENTER_SESSION("C_Verify", session);
    return p11_leave(&call, p11_verify(&call, data, len, sig, sig_len));
}

CK_RV C_VerifyUpdate(CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG len)
{
    P11_ENTER_SESSION("C_VerifyUpdate", session);
    return p11_leave(&call, p11_verify_update(&call, part, len));
}

CK_RV C_VerifyFinal(CK_SESSION_HANDLE session, CK_BYTE *sig, CK_ULONG sig_len)
{
    P11_ENTER_SESSION("C_VerifyFinal", session);
    return p11_leave(&call, p11_verify_final(&call, sig, sig_len));
}

CK_RV C_VerifySignatureInit(CK_SESSION_HANDLE session, CK_MECHANISM *mech, CK_OBJECT_HANDLE key,
                            CK_BYTE *sig, CK_ULONG sig_len)
{
    P11_ENTER_SESSION("C_VerifySignatureInit", session);
    return p11_leave(&call, p11_verify_signature_init(&call, mech, key, sig, sig_len));
}

CK_RV C_VerifySignature(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG len)
{
    P11_ENTER_SESSION("C_VerifySignature", session);
    return p11_leave(&call, p11_verify_signature(&call, data, len));
}

CK_RV C_VerifySignatureUpdate(CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG len)
{
    P11_ENTER_SESSION("C_VerifySignatureUpdate", session);
    return p11_leave(&call, p11_verify_signature_update(&call, part, len));
}

CK_RV C_VerifySignatureFinal(CK_SESSION_HANDLE session)
{
    P11_ENTER_SESSION("C_VerifySignatureFinal", session);
    return p11_leave(&call, p11_verify_signature_final(&call));
}

CK_RV C_DigestInit(CK_SESSION_HANDLE session, CK_MECHANISM *mech)
{
    P11_ENTER_SESSION("C_DigestInit", session);
    return p11_leave(&call, p11_digest_init(&call, mech));
}

CK_RV C_Digest(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG len, CK_BYTE *out,
               CK_ULONG *out_len)
{
    P11_ENTER_SESSION("C_Digest", session);
    return p11_leave(&call, p11_digest(&call, data, len, out, out_len));
}

CK_RV C_DigestUpdate(CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG len)
{
    P11_ENTER_SESSION("C_DigestUpdate", session);
    return p11_leave(&call, p11_digest_update(&call, part, len));
}

CK_RV C_DigestFinal(CK_SESSION_HANDLE session, CK_BYTE *out, CK_ULONG *out_len)
{
    P11_ENTER_SESSION("C_DigestFinal", session);
    return p11_leave(&call, p11_digest_final(&call, out, out_len));
}
