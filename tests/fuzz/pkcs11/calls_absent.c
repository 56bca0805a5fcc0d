/* Functions that the token does not have: whatever comes in, they look at nothing. */
#include "calls_run.h"

static CK_RV encrypt_or_decrypt(const run *r, CK_SESSION_HANDLE s, uint8_t which, bool *found)
{
    const p11_table_3_2 *f = r->w->f;

    *found = true;
    switch (which) {
    case 0:
        return f->C_EncryptInit(s, NULL, 1);
    case 1:
        return f->C_Encrypt(s, NULL, 9, NULL, NULL);
    case 2:
        return f->C_EncryptUpdate(s, NULL, 9, NULL, NULL);
    case 3:
        return f->C_EncryptFinal(s, NULL, NULL);
    case 4:
        return f->C_DecryptInit(s, NULL, 1);
    case 5:
        return f->C_Decrypt(s, NULL, 9, NULL, NULL);
    case 6:
        return f->C_DecryptUpdate(s, NULL, 9, NULL, NULL);
    case 7:
        return f->C_DecryptFinal(s, NULL, NULL);
    case 8:
        return f->C_DigestEncryptUpdate(s, NULL, 9, NULL, NULL);
    case 9:
        return f->C_DecryptDigestUpdate(s, NULL, 9, NULL, NULL);
    case 10:
        return f->C_SignEncryptUpdate(s, NULL, 9, NULL, NULL);
    case 11:
        return f->C_DecryptVerifyUpdate(s, NULL, 9, NULL, NULL);
    case 12:
        return f->C_EncapsulateKey(s, NULL, 1, NULL, 9, NULL, NULL, NULL);
    case 13:
        return f->C_DecapsulateKey(s, NULL, 1, NULL, 9, NULL, 9, NULL);
    default:
        *found = false;
        return CKR_OK;
    }
}

static CK_RV by_messages(const run *r, CK_SESSION_HANDLE s, uint8_t which, bool *found)
{
    const p11_table_3_2 *f = r->w->f;

    *found = true;
    switch (which) {
    case 14:
        return f->C_MessageEncryptInit(s, NULL, 1);
    case 15:
        return f->C_EncryptMessage(s, NULL, 9, NULL, 9, NULL, 9, NULL, NULL);
    case 16:
        return f->C_EncryptMessageBegin(s, NULL, 9, NULL, 9);
    case 17:
        return f->C_EncryptMessageNext(s, NULL, 9, NULL, 9, NULL, NULL, 0);
    case 18:
        return f->C_MessageEncryptFinal(s);
    case 19:
        return f->C_MessageDecryptInit(s, NULL, 1);
    case 20:
        return f->C_DecryptMessage(s, NULL, 9, NULL, 9, NULL, 9, NULL, NULL);
    case 21:
        return f->C_DecryptMessageBegin(s, NULL, 9, NULL, 9);
    case 22:
        return f->C_DecryptMessageNext(s, NULL, 9, NULL, 9, NULL, NULL, 0);
    case 23:
        return f->C_MessageDecryptFinal(s);
    case 24:
        return f->C_SignMessageBegin(s, NULL, 9);
    case 25:
        return f->C_SignMessageNext(s, NULL, 9, NULL, 9, NULL, NULL);
    case 26:
        return f->C_VerifyMessageBegin(s, NULL, 9);
    case 27:
        return f->C_VerifyMessageNext(s, NULL, 9, NULL, 9, NULL, 9);
    default:
        *found = false;
        return CKR_OK;
    }
}

static CK_RV of_the_rest(const run *r, CK_SESSION_HANDLE s, uint8_t which)
{
    const p11_table_3_2 *f = r->w->f;

    switch (which) {
    case 28:
        return f->C_InitToken(0, NULL, 9, NULL);
    case 29:
        return f->C_InitPIN(s, NULL, 9);
    case 30:
        return f->C_SetPIN(s, NULL, 9, NULL, 9);
    case 31:
        return f->C_GetOperationState(s, NULL, NULL);
    case 32:
        return f->C_SetOperationState(s, NULL, 9, 1, 1);
    case 33:
        return f->C_SignRecoverInit(s, NULL, 1);
    case 34:
        return f->C_SignRecover(s, NULL, 9, NULL, NULL);
    case 35:
        return f->C_VerifyRecoverInit(s, NULL, 1);
    case 36:
        return f->C_VerifyRecover(s, NULL, 9, NULL, NULL);
    case 37:
        return f->C_DigestKey(s, 1);
    case 38:
        return f->C_GenerateKey(s, NULL, NULL, 9, NULL);
    case 39:
        return f->C_UnwrapKey(s, NULL, 1, NULL, 9, NULL, 9, NULL);
    case 40:
        return f->C_DeriveKey(s, NULL, 1, NULL, 9, NULL);
    case 41:
        return f->C_AsyncComplete(s, NULL, NULL);
    case 42:
        return f->C_AsyncGetID(s, NULL, NULL);
    case 43:
        return f->C_AsyncJoin(s, NULL, 1, NULL, 9);
    case 44:
        return f->C_UnwrapKeyAuthenticated(s, NULL, 1, NULL, 9, NULL, 9, NULL, 9, NULL);
    case 45:
        return f->C_GetFunctionStatus(s);
    case 46:
        return f->C_CancelFunction(s);
    case 47:
        return f->C_WrapKey(s, NULL, 1, 1, NULL, NULL);
    default:
        return f->C_WrapKeyAuthenticated(s, NULL, 1, 1, NULL, 9, NULL, NULL);
    }
}

void call_absent(run *r, CK_SESSION_HANDLE s)
{
    const uint8_t which = take(r) % 49;
    bool found = false;
    CK_RV rv = encrypt_or_decrypt(r, s, which, &found);

    if (!found) {
        rv = by_messages(r, s, which, &found);
    }
    if (!found) {
        rv = of_the_rest(r, s, which);
    }
    must(rv == CKR_FUNCTION_NOT_SUPPORTED || rv == CKR_FUNCTION_NOT_PARALLEL ||
         rv == CKR_KEY_UNEXTRACTABLE || (!r->alone && rv == CKR_CRYPTOKI_NOT_INITIALIZED));
}
