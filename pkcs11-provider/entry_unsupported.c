/* C_* functions that this token does not have. None is missing from a table: each checks that the
 * module is initialised and gives the code that clients expect. */
#include "pkcs11-provider/call.h"

/* The parameters are the standard's and none is read. */
#pragma GCC diagnostic ignored "-Wunused-parameter"

/* Administration of a token: done with the tdsa command and the wrapping token's own tools. */

CK_RV C_InitToken(CK_SLOT_ID slot_id, CK_BYTE *pin, CK_ULONG pin_len, CK_BYTE *label)
{
    return p11_refuse("C_InitToken", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_InitPIN(CK_SESSION_HANDLE session, CK_BYTE *pin, CK_ULONG pin_len)
{
    return p11_refuse("C_InitPIN", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_SetPIN(CK_SESSION_HANDLE session, CK_BYTE *old_pin, CK_ULONG old_len, CK_BYTE *new_pin,
               CK_ULONG new_len)
{
    return p11_refuse("C_SetPIN", CKR_FUNCTION_NOT_SUPPORTED);
}

/* State of an operation: a signature under way is not something to save and restore. */

CK_RV C_GetOperationState(CK_SESSION_HANDLE session, CK_BYTE *operation_state,
                          CK_ULONG *operation_state_len)
{
    return p11_refuse("C_GetOperationState", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_SetOperationState(CK_SESSION_HANDLE session, CK_BYTE *operation_state,
                          CK_ULONG operation_state_len, CK_OBJECT_HANDLE encryption_key,
                          CK_OBJECT_HANDLE authentication_key)
{
    return p11_refuse("C_SetOperationState", CKR_FUNCTION_NOT_SUPPORTED);
}

/* Encryption: the keys only sign. */

CK_RV C_EncryptInit(CK_SESSION_HANDLE session, CK_MECHANISM *mech, CK_OBJECT_HANDLE key)
{
    return p11_refuse("C_EncryptInit", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_Encrypt(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len,
                CK_BYTE *encrypted_data, CK_ULONG *encrypted_data_len)
{
    return p11_refuse("C_Encrypt", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_EncryptUpdate(CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG part_len,
                      CK_BYTE *encrypted_part, CK_ULONG *encrypted_part_len)
{
    return p11_refuse("C_EncryptUpdate", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_EncryptFinal(CK_SESSION_HANDLE session, CK_BYTE *last_encrypted_part,
                     CK_ULONG *last_encrypted_part_len)
{
    return p11_refuse("C_EncryptFinal", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_DecryptInit(CK_SESSION_HANDLE session, CK_MECHANISM *mech, CK_OBJECT_HANDLE key)
{
    return p11_refuse("C_DecryptInit", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_Decrypt(CK_SESSION_HANDLE session, CK_BYTE *encrypted_data, CK_ULONG encrypted_data_len,
                CK_BYTE *data, CK_ULONG *data_len)
{
    return p11_refuse("C_Decrypt", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_DecryptUpdate(CK_SESSION_HANDLE session, CK_BYTE *encrypted_part,
                      CK_ULONG encrypted_part_len, CK_BYTE *part, CK_ULONG *part_len)
{
    return p11_refuse("C_DecryptUpdate", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_DecryptFinal(CK_SESSION_HANDLE session, CK_BYTE *last_part, CK_ULONG *last_part_len)
{
    return p11_refuse("C_DecryptFinal", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_MessageEncryptInit(CK_SESSION_HANDLE session, CK_MECHANISM *mech, CK_OBJECT_HANDLE key)
{
    return p11_refuse("C_MessageEncryptInit", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_EncryptMessage(CK_SESSION_HANDLE session, void *param, CK_ULONG param_len, CK_BYTE *aad,
                       CK_ULONG aad_len, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out,
                       CK_ULONG *out_len)
{
    return p11_refuse("C_EncryptMessage", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_EncryptMessageBegin(CK_SESSION_HANDLE session, void *param, CK_ULONG param_len,
                            CK_BYTE *aad, CK_ULONG aad_len)
{
    return p11_refuse("C_EncryptMessageBegin", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_EncryptMessageNext(CK_SESSION_HANDLE session, void *param, CK_ULONG param_len, CK_BYTE *in,
                           CK_ULONG in_len, CK_BYTE *out, CK_ULONG *out_len, CK_FLAGS flags)
{
    return p11_refuse("C_EncryptMessageNext", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_MessageEncryptFinal(CK_SESSION_HANDLE session)
{
    return p11_refuse("C_MessageEncryptFinal", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_MessageDecryptInit(CK_SESSION_HANDLE session, CK_MECHANISM *mech, CK_OBJECT_HANDLE key)
{
    return p11_refuse("C_MessageDecryptInit", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_DecryptMessage(CK_SESSION_HANDLE session, void *param, CK_ULONG param_len, CK_BYTE *aad,
                       CK_ULONG aad_len, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out,
                       CK_ULONG *out_len)
{
    return p11_refuse("C_DecryptMessage", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_DecryptMessageBegin(CK_SESSION_HANDLE session, void *param, CK_ULONG param_len,
                            CK_BYTE *aad, CK_ULONG aad_len)
{
    return p11_refuse("C_DecryptMessageBegin", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_DecryptMessageNext(CK_SESSION_HANDLE session, void *param, CK_ULONG param_len, CK_BYTE *in,
                           CK_ULONG in_len, CK_BYTE *out, CK_ULONG *out_len, CK_FLAGS flags)
{
    return p11_refuse("C_DecryptMessageNext", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_MessageDecryptFinal(CK_SESSION_HANDLE session)
{
    return p11_refuse("C_MessageDecryptFinal", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_EncapsulateKey(CK_SESSION_HANDLE session, CK_MECHANISM *mech, CK_OBJECT_HANDLE public_key,
                       CK_ATTRIBUTE *templ, CK_ULONG count, CK_BYTE *out, CK_ULONG *out_len,
                       CK_OBJECT_HANDLE *key)
{
    return p11_refuse("C_EncapsulateKey", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_DecapsulateKey(CK_SESSION_HANDLE session, CK_MECHANISM *mech, CK_OBJECT_HANDLE private_key,
                       CK_ATTRIBUTE *templ, CK_ULONG count, CK_BYTE *in, CK_ULONG in_len,
                       CK_OBJECT_HANDLE *key)
{
    return p11_refuse("C_DecapsulateKey", CKR_FUNCTION_NOT_SUPPORTED);
}

/* Recovery and double operations: ECDSA has none. */

CK_RV C_SignRecoverInit(CK_SESSION_HANDLE session, CK_MECHANISM *mech, CK_OBJECT_HANDLE key)
{
    return p11_refuse("C_SignRecoverInit", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_SignRecover(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *signature,
                    CK_ULONG *signature_len)
{
    return p11_refuse("C_SignRecover", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_VerifyRecoverInit(CK_SESSION_HANDLE session, CK_MECHANISM *mech, CK_OBJECT_HANDLE key)
{
    return p11_refuse("C_VerifyRecoverInit", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_VerifyRecover(CK_SESSION_HANDLE session, CK_BYTE *signature, CK_ULONG signature_len,
                      CK_BYTE *data, CK_ULONG *data_len)
{
    return p11_refuse("C_VerifyRecover", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_DigestKey(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)
{
    return p11_refuse("C_DigestKey", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_DigestEncryptUpdate(CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG part_len,
                            CK_BYTE *encrypted_part, CK_ULONG *encrypted_part_len)
{
    return p11_refuse("C_DigestEncryptUpdate", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_DecryptDigestUpdate(CK_SESSION_HANDLE session, CK_BYTE *encrypted_part,
                            CK_ULONG encrypted_part_len, CK_BYTE *part, CK_ULONG *part_len)
{
    return p11_refuse("C_DecryptDigestUpdate", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_SignEncryptUpdate(CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG part_len,
                          CK_BYTE *encrypted_part, CK_ULONG *encrypted_part_len)
{
    return p11_refuse("C_SignEncryptUpdate", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_DecryptVerifyUpdate(CK_SESSION_HANDLE session, CK_BYTE *encrypted_part,
                            CK_ULONG encrypted_part_len, CK_BYTE *part, CK_ULONG *part_len)
{
    return p11_refuse("C_DecryptVerifyUpdate", CKR_FUNCTION_NOT_SUPPORTED);
}

/* Secret keys: none are made, brought in or derived. */

CK_RV C_GenerateKey(CK_SESSION_HANDLE session, CK_MECHANISM *mech, CK_ATTRIBUTE *templ,
                    CK_ULONG count, CK_OBJECT_HANDLE *key)
{
    return p11_refuse("C_GenerateKey", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_UnwrapKey(CK_SESSION_HANDLE session, CK_MECHANISM *mech, CK_OBJECT_HANDLE unwrapping_key,
                  CK_BYTE *wrapped_key, CK_ULONG wrapped_key_len, CK_ATTRIBUTE *templ,
                  CK_ULONG attribute_count, CK_OBJECT_HANDLE *key)
{
    return p11_refuse("C_UnwrapKey", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_DeriveKey(CK_SESSION_HANDLE session, CK_MECHANISM *mech, CK_OBJECT_HANDLE base_key,
                  CK_ATTRIBUTE *templ, CK_ULONG attribute_count, CK_OBJECT_HANDLE *key)
{
    return p11_refuse("C_DeriveKey", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_WrapKeyAuthenticated(CK_SESSION_HANDLE session, CK_MECHANISM *mech,
                             CK_OBJECT_HANDLE wrapping_key, CK_OBJECT_HANDLE key, CK_BYTE *aad,
                             CK_ULONG aad_len, CK_BYTE *out, CK_ULONG *out_len)
{
    return p11_refuse("C_WrapKeyAuthenticated", CKR_KEY_UNEXTRACTABLE);
}

CK_RV C_UnwrapKeyAuthenticated(CK_SESSION_HANDLE session, CK_MECHANISM *mech,
                               CK_OBJECT_HANDLE unwrapping_key, CK_BYTE *in, CK_ULONG in_len,
                               CK_ATTRIBUTE *templ, CK_ULONG count, CK_BYTE *aad, CK_ULONG aad_len,
                               CK_OBJECT_HANDLE *key)
{
    return p11_refuse("C_UnwrapKeyAuthenticated", CKR_FUNCTION_NOT_SUPPORTED);
}

/* Messages of version 3.0 in parts (ours are whole), and asynchronous calls of version 3.2. */

CK_RV C_SignMessageBegin(CK_SESSION_HANDLE session, void *param, CK_ULONG param_len)
{
    return p11_refuse("C_SignMessageBegin", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_SignMessageNext(CK_SESSION_HANDLE session, void *param, CK_ULONG param_len, CK_BYTE *data,
                        CK_ULONG data_len, CK_BYTE *sig, CK_ULONG *sig_len)
{
    return p11_refuse("C_SignMessageNext", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_VerifyMessageBegin(CK_SESSION_HANDLE session, void *param, CK_ULONG param_len)
{
    return p11_refuse("C_VerifyMessageBegin", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_VerifyMessageNext(CK_SESSION_HANDLE session, void *param, CK_ULONG param_len, CK_BYTE *data,
                          CK_ULONG data_len, CK_BYTE *sig, CK_ULONG sig_len)
{
    return p11_refuse("C_VerifyMessageNext", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_AsyncComplete(CK_SESSION_HANDLE session, CK_UTF8CHAR *function, CK_ASYNC_DATA *result)
{
    return p11_refuse("C_AsyncComplete", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_AsyncGetID(CK_SESSION_HANDLE session, CK_UTF8CHAR *function, CK_ULONG *id)
{
    return p11_refuse("C_AsyncGetID", CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_AsyncJoin(CK_SESSION_HANDLE session, CK_UTF8CHAR *function, CK_ULONG id, CK_BYTE *data,
                  CK_ULONG data_len)
{
    return p11_refuse("C_AsyncJoin", CKR_FUNCTION_NOT_SUPPORTED);
}

/* PKCS#11 2.40: parallel functions are legacy; "simply return CKR_FUNCTION_NOT_PARALLEL". */

CK_RV C_GetFunctionStatus(CK_SESSION_HANDLE session)
{
    return p11_refuse("C_GetFunctionStatus", CKR_FUNCTION_NOT_PARALLEL);
}

CK_RV C_CancelFunction(CK_SESSION_HANDLE session)
{
    return p11_refuse("C_CancelFunction", CKR_FUNCTION_NOT_PARALLEL);
}
