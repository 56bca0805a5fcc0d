/* C_* functions about the module, its slot, its token and its mechanisms; and randomness. */
#include "base/rng.h"
#include "pkcs11-provider/mechanism.h"
#include "pkcs11-provider/slot.h"
#include "pkcs11-provider/state.h"

CK_RV C_Initialize(void *args)
{
    p11_call call;
    const CK_RV entered = p11_enter_alone(&call, "C_Initialize");

    if (entered != CKR_OK) {
        return entered;
    }
    if (sigsetjmp(call.jump, 0) != 0) {
        return p11_died();
    }
    p11_arm(&call);
    return p11_leave(&call, p11_initialize(&call, args));
}

CK_RV C_Finalize(void *reserved)
{
    p11_call call;
    const CK_RV entered = p11_exiting() ? CKR_OK : p11_enter_alone(&call, "C_Finalize");

    if (entered != CKR_OK || p11_exiting()) {
        return entered; /* inside exit() nothing may be touched, and nothing needs to be */
    }
    if (sigsetjmp(call.jump, 0) != 0) {
        return p11_died();
    }
    p11_arm(&call);
    return p11_leave(&call, reserved != NULL ? CKR_ARGUMENTS_BAD : p11_finalize(&call));
}

CK_RV C_GetInfo(CK_INFO *info)
{
    P11_ENTER("C_GetInfo");
    return p11_leave(&call, p11_module_info(info, 2, 40));
}

CK_RV C_GetSlotList(CK_BBOOL token_present, CK_SLOT_ID *list, CK_ULONG *count)
{
    (void)token_present; /* the one slot always has its token */
    P11_ENTER("C_GetSlotList");
    return p11_leave(&call, p11_slot_list(&call, list, count));
}

CK_RV C_GetSlotInfo(CK_SLOT_ID slot, CK_SLOT_INFO *info)
{
    P11_ENTER("C_GetSlotInfo");
    return p11_leave(&call, p11_slot_info(&call, slot, info));
}

CK_RV C_GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    P11_ENTER("C_GetTokenInfo");
    return p11_leave(&call, p11_token_info(&call, slot, info));
}

CK_RV C_WaitForSlotEvent(CK_FLAGS flags, CK_SLOT_ID *slot, void *reserved)
{
    P11_ENTER("C_WaitForSlotEvent");
    return p11_leave(&call, p11_quorum_wait(&call, flags, slot, reserved));
}

CK_RV C_GetMechanismList(CK_SLOT_ID slot, CK_MECHANISM_TYPE *list, CK_ULONG *count)
{
    P11_ENTER("C_GetMechanismList");
    const CK_RV rv = p11_slot_check(&call, slot);
    return p11_leave(&call,
                     rv != CKR_OK ? rv : p11_mech_list(call.core->settings.sha1, list, count));
}

CK_RV C_GetMechanismInfo(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info)
{
    P11_ENTER("C_GetMechanismInfo");
    const CK_RV rv = p11_slot_check(&call, slot);
    return p11_leave(&call,
                     rv != CKR_OK ? rv : p11_mech_info(call.core->settings.sha1, type, info));
}

CK_RV C_SeedRandom(CK_SESSION_HANDLE session, CK_BYTE *seed, CK_ULONG seed_len)
{
    P11_ENTER_SESSION("C_SeedRandom", session);
    /* the kernel needs none; clients like NSS want to hear OK */
    return p11_leave(&call, seed == NULL && seed_len > 0 ? CKR_ARGUMENTS_BAD : CKR_OK);
}

CK_RV C_GenerateRandom(CK_SESSION_HANDLE session, CK_BYTE *out, CK_ULONG len)
{
    P11_ENTER_SESSION("C_GenerateRandom", session);
    return p11_leave(&call, p11_core_random(&call, out, len));
}
