#ifndef P11_SLOT_H
#define P11_SLOT_H

#include "pkcs11-provider/call.h"

/** The one slot and its token: facts of the configuration, always there, also when every peer is
 * down (then signing fails, and a server that starts does not). */
CK_RV p11_slot_list(p11_call *call, CK_SLOT_ID *list, CK_ULONG *count) __attribute__((nonnull(1)));
CK_RV p11_slot_info(p11_call *call, CK_SLOT_ID slot, CK_SLOT_INFO *out) __attribute__((nonnull(1)));
CK_RV p11_token_info(p11_call *call, CK_SLOT_ID slot, CK_TOKEN_INFO *out)
    __attribute__((nonnull(1)));
CK_RV p11_slot_event(p11_call *call, CK_FLAGS flags, const void *reserved)
    __attribute__((nonnull(1)));
/** CKR_SLOT_ID_INVALID unless it is our slot. */
CK_RV p11_slot_check(p11_call *call, CK_SLOT_ID slot) TDSA_NONNULL;
/** C_GetInfo, as the table of that version answers it. */
CK_RV p11_module_info(CK_INFO *out, CK_BYTE major, CK_BYTE minor);

#endif
