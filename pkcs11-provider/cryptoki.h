#ifndef P11_CRYPTOKI_H
#define P11_CRYPTOKI_H

/**
 * PKCS#11 as this module speaks it: p11-kit's header for version 2.40, and here, in our own words
 * from the public standard, what versions 3.0 and 3.2 add: types, constants, prototypes and the
 * three function tables. The order of the table entries is the standard's and part of the ABI.
 */
/* The C_* functions, and nothing else, are exported. */
#pragma GCC visibility push(default)

#include <p11-kit/pkcs11.h>

#if CRYPTOKI_VERSION_MAJOR < 3
typedef struct ck_interface {
    CK_UTF8CHAR *pInterfaceName; /* "PKCS 11" */
    void *pFunctionList;         /* begins with its CK_VERSION */
    CK_FLAGS flags;
} CK_INTERFACE;
#    define CKF_INTERFACE_FORK_SAFE 1UL
#endif

/* Constants that p11-kit's header of Debian 12 does not have. */
#ifndef CKR_OPERATION_CANCEL_FAILED
#    define CKR_OPERATION_CANCEL_FAILED 0x202UL
#endif
#ifndef CKR_TOKEN_RESOURCE_EXCEEDED
#    define CKR_TOKEN_RESOURCE_EXCEEDED 0x201UL
#endif
#ifndef CKR_SESSION_ASYNC_NOT_SUPPORTED
#    define CKR_SESSION_ASYNC_NOT_SUPPORTED 0x205UL
#endif
#ifndef CKA_UNIQUE_ID
#    define CKA_UNIQUE_ID 4UL
#endif
#ifndef CKF_ASYNC_SESSION
#    define CKF_ASYNC_SESSION 8UL
#endif
#ifndef CKF_MESSAGE_SIGN
#    define CKF_MESSAGE_SIGN   8UL
#    define CKF_MESSAGE_VERIFY 0x10UL
#endif
#ifndef CKF_FIND_OBJECTS
#    define CKF_FIND_OBJECTS 0x40UL
#endif

#ifndef CKM_SHA3_256
#    define CKM_SHA3_256 0x2b0UL
#    define CKM_SHA3_224 0x2b5UL
#    define CKM_SHA3_384 0x2c0UL
#    define CKM_SHA3_512 0x2d0UL
#endif

#ifndef CKO_PROFILE
#    define CKO_PROFILE                   9UL
#    define CKA_PROFILE_ID                0x601UL
#    define CKP_BASELINE_PROVIDER         1UL
#    define CKP_EXTENDED_PROVIDER         2UL
#    define CKP_AUTHENTICATION_TOKEN      3UL
#    define CKP_PUBLIC_CERTIFICATES_TOKEN 4UL
#endif
#if CRYPTOKI_VERSION_MAJOR < 3
typedef struct ck_eddsa_params {
    CK_BBOOL phFlag; /* Ed25519ph */
    CK_ULONG ulContextDataLen;
    CK_BYTE *pContextData;
} CK_EDDSA_PARAMS;
#endif

/* Version 3.2; p11-kit up to 0.25 has none of it. */
typedef struct ck_async_data {
    CK_ULONG ulVersion;
    CK_BYTE *pValue;
    CK_ULONG ulValue;
    CK_OBJECT_HANDLE hObject;
    CK_OBJECT_HANDLE hAdditionalObject;
} CK_ASYNC_DATA;

#if CRYPTOKI_VERSION_MAJOR < 3
CK_RV C_GetInterfaceList(CK_INTERFACE *list, CK_ULONG *count);
CK_RV C_GetInterface(CK_UTF8CHAR *name, CK_VERSION *version, CK_INTERFACE **out, CK_FLAGS flags);
CK_RV C_LoginUser(CK_SESSION_HANDLE session, CK_ULONG type, CK_UTF8CHAR *pin, CK_ULONG pin_len,
                  CK_UTF8CHAR *user, CK_ULONG user_len);
CK_RV C_SessionCancel(CK_SESSION_HANDLE session, CK_FLAGS flags);
CK_RV C_MessageEncryptInit(CK_SESSION_HANDLE session, CK_MECHANISM *mech, CK_OBJECT_HANDLE key);
CK_RV C_EncryptMessage(CK_SESSION_HANDLE session, void *param, CK_ULONG param_len, CK_BYTE *aad,
                       CK_ULONG aad_len, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out,
                       CK_ULONG *out_len);
CK_RV C_EncryptMessageBegin(CK_SESSION_HANDLE session, void *param, CK_ULONG param_len,
                            CK_BYTE *aad, CK_ULONG aad_len);
CK_RV C_EncryptMessageNext(CK_SESSION_HANDLE session, void *param, CK_ULONG param_len, CK_BYTE *in,
                           CK_ULONG in_len, CK_BYTE *out, CK_ULONG *out_len, CK_FLAGS flags);
CK_RV C_MessageEncryptFinal(CK_SESSION_HANDLE session);
CK_RV C_MessageDecryptInit(CK_SESSION_HANDLE session, CK_MECHANISM *mech, CK_OBJECT_HANDLE key);
CK_RV C_DecryptMessage(CK_SESSION_HANDLE session, void *param, CK_ULONG param_len, CK_BYTE *aad,
                       CK_ULONG aad_len, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out,
                       CK_ULONG *out_len);
CK_RV C_DecryptMessageBegin(CK_SESSION_HANDLE session, void *param, CK_ULONG param_len,
                            CK_BYTE *aad, CK_ULONG aad_len);
CK_RV C_DecryptMessageNext(CK_SESSION_HANDLE session, void *param, CK_ULONG param_len, CK_BYTE *in,
                           CK_ULONG in_len, CK_BYTE *out, CK_ULONG *out_len, CK_FLAGS flags);
CK_RV C_MessageDecryptFinal(CK_SESSION_HANDLE session);
CK_RV C_MessageSignInit(CK_SESSION_HANDLE session, CK_MECHANISM *mech, CK_OBJECT_HANDLE key);
CK_RV C_SignMessage(CK_SESSION_HANDLE session, void *param, CK_ULONG param_len, CK_BYTE *data,
                    CK_ULONG data_len, CK_BYTE *sig, CK_ULONG *sig_len);
CK_RV C_SignMessageBegin(CK_SESSION_HANDLE session, void *param, CK_ULONG param_len);
CK_RV C_SignMessageNext(CK_SESSION_HANDLE session, void *param, CK_ULONG param_len, CK_BYTE *data,
                        CK_ULONG data_len, CK_BYTE *sig, CK_ULONG *sig_len);
CK_RV C_MessageSignFinal(CK_SESSION_HANDLE session);
CK_RV C_MessageVerifyInit(CK_SESSION_HANDLE session, CK_MECHANISM *mech, CK_OBJECT_HANDLE key);
CK_RV C_VerifyMessage(CK_SESSION_HANDLE session, void *param, CK_ULONG param_len, CK_BYTE *data,
                      CK_ULONG data_len, CK_BYTE *sig, CK_ULONG sig_len);
CK_RV C_VerifyMessageBegin(CK_SESSION_HANDLE session, void *param, CK_ULONG param_len);
CK_RV C_VerifyMessageNext(CK_SESSION_HANDLE session, void *param, CK_ULONG param_len, CK_BYTE *data,
                          CK_ULONG data_len, CK_BYTE *sig, CK_ULONG sig_len);
CK_RV C_MessageVerifyFinal(CK_SESSION_HANDLE session);
#endif

CK_RV C_EncapsulateKey(CK_SESSION_HANDLE session, CK_MECHANISM *mech, CK_OBJECT_HANDLE public_key,
                       CK_ATTRIBUTE *templ, CK_ULONG count, CK_BYTE *out, CK_ULONG *out_len,
                       CK_OBJECT_HANDLE *key);
CK_RV C_DecapsulateKey(CK_SESSION_HANDLE session, CK_MECHANISM *mech, CK_OBJECT_HANDLE private_key,
                       CK_ATTRIBUTE *templ, CK_ULONG count, CK_BYTE *in, CK_ULONG in_len,
                       CK_OBJECT_HANDLE *key);
CK_RV C_VerifySignatureInit(CK_SESSION_HANDLE session, CK_MECHANISM *mech, CK_OBJECT_HANDLE key,
                            CK_BYTE *sig, CK_ULONG sig_len);
CK_RV C_VerifySignature(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len);
CK_RV C_VerifySignatureUpdate(CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG part_len);
CK_RV C_VerifySignatureFinal(CK_SESSION_HANDLE session);
CK_RV C_GetSessionValidationFlags(CK_SESSION_HANDLE session, CK_ULONG type, CK_FLAGS *flags);
CK_RV C_AsyncComplete(CK_SESSION_HANDLE session, CK_UTF8CHAR *function, CK_ASYNC_DATA *result);
CK_RV C_AsyncGetID(CK_SESSION_HANDLE session, CK_UTF8CHAR *function, CK_ULONG *id);
CK_RV C_AsyncJoin(CK_SESSION_HANDLE session, CK_UTF8CHAR *function, CK_ULONG id, CK_BYTE *data,
                  CK_ULONG data_len);
CK_RV C_WrapKeyAuthenticated(CK_SESSION_HANDLE session, CK_MECHANISM *mech,
                             CK_OBJECT_HANDLE wrapping_key, CK_OBJECT_HANDLE key, CK_BYTE *aad,
                             CK_ULONG aad_len, CK_BYTE *out, CK_ULONG *out_len);
CK_RV C_UnwrapKeyAuthenticated(CK_SESSION_HANDLE session, CK_MECHANISM *mech,
                               CK_OBJECT_HANDLE unwrapping_key, CK_BYTE *in, CK_ULONG in_len,
                               CK_ATTRIBUTE *templ, CK_ULONG count, CK_BYTE *aad, CK_ULONG aad_len,
                               CK_OBJECT_HANDLE *key);

#pragma GCC visibility pop

/* Every function of a version, in table order: X(name). */
/* clang-format off */
#define P11_FUNCTIONS_2_40(X) \
    X(C_Initialize) X(C_Finalize) X(C_GetInfo) X(C_GetFunctionList) X(C_GetSlotList) \
    X(C_GetSlotInfo) X(C_GetTokenInfo) X(C_GetMechanismList) X(C_GetMechanismInfo) \
    X(C_InitToken) X(C_InitPIN) X(C_SetPIN) X(C_OpenSession) X(C_CloseSession) \
    X(C_CloseAllSessions) X(C_GetSessionInfo) X(C_GetOperationState) X(C_SetOperationState) \
    X(C_Login) X(C_Logout) X(C_CreateObject) X(C_CopyObject) X(C_DestroyObject) \
    X(C_GetObjectSize) X(C_GetAttributeValue) X(C_SetAttributeValue) X(C_FindObjectsInit) \
    X(C_FindObjects) X(C_FindObjectsFinal) X(C_EncryptInit) X(C_Encrypt) X(C_EncryptUpdate) \
    X(C_EncryptFinal) X(C_DecryptInit) X(C_Decrypt) X(C_DecryptUpdate) X(C_DecryptFinal) \
    X(C_DigestInit) X(C_Digest) X(C_DigestUpdate) X(C_DigestKey) X(C_DigestFinal) X(C_SignInit) \
    X(C_Sign) X(C_SignUpdate) X(C_SignFinal) X(C_SignRecoverInit) X(C_SignRecover) \
    X(C_VerifyInit) X(C_Verify) X(C_VerifyUpdate) X(C_VerifyFinal) X(C_VerifyRecoverInit) \
    X(C_VerifyRecover) X(C_DigestEncryptUpdate) X(C_DecryptDigestUpdate) X(C_SignEncryptUpdate) \
    X(C_DecryptVerifyUpdate) X(C_GenerateKey) X(C_GenerateKeyPair) X(C_WrapKey) X(C_UnwrapKey) \
    X(C_DeriveKey) X(C_SeedRandom) X(C_GenerateRandom) X(C_GetFunctionStatus) \
    X(C_CancelFunction) X(C_WaitForSlotEvent)
#define P11_FUNCTIONS_3_0(X) \
    X(C_GetInterfaceList) X(C_GetInterface) X(C_LoginUser) X(C_SessionCancel) \
    X(C_MessageEncryptInit) X(C_EncryptMessage) X(C_EncryptMessageBegin) X(C_EncryptMessageNext) \
    X(C_MessageEncryptFinal) X(C_MessageDecryptInit) X(C_DecryptMessage) \
    X(C_DecryptMessageBegin) X(C_DecryptMessageNext) X(C_MessageDecryptFinal) \
    X(C_MessageSignInit) X(C_SignMessage) X(C_SignMessageBegin) X(C_SignMessageNext) \
    X(C_MessageSignFinal) X(C_MessageVerifyInit) X(C_VerifyMessage) X(C_VerifyMessageBegin) \
    X(C_VerifyMessageNext) X(C_MessageVerifyFinal)
#define P11_FUNCTIONS_3_2(X) \
    X(C_EncapsulateKey) X(C_DecapsulateKey) X(C_VerifySignatureInit) X(C_VerifySignature) \
    X(C_VerifySignatureUpdate) X(C_VerifySignatureFinal) X(C_GetSessionValidationFlags) \
    X(C_AsyncComplete) X(C_AsyncGetID) X(C_AsyncJoin) X(C_WrapKeyAuthenticated) \
    X(C_UnwrapKeyAuthenticated)
/* clang-format on */

/** Adds one member of a function table: a pointer of the function's own type. */
#define P11_TABLE_MEMBER(name) __typeof__(&name) name;

/* clang-format off */
typedef struct {
    CK_VERSION version; /* 3.0 */
    P11_FUNCTIONS_2_40(P11_TABLE_MEMBER)
    P11_FUNCTIONS_3_0(P11_TABLE_MEMBER)
} p11_table_3_0;

typedef struct {
    CK_VERSION version; /* 3.2 */
    P11_FUNCTIONS_2_40(P11_TABLE_MEMBER)
    P11_FUNCTIONS_3_0(P11_TABLE_MEMBER)
    P11_FUNCTIONS_3_2(P11_TABLE_MEMBER)
} p11_table_3_2;
/* clang-format on */

_Static_assert(sizeof(p11_table_3_0) == sizeof(CK_FUNCTION_LIST) + 24 * sizeof(void *), "24 more");
_Static_assert(sizeof(p11_table_3_2) == sizeof(p11_table_3_0) + 12 * sizeof(void *), "12 more");

#endif
