#ifndef P11_SLOT_H
#define P11_SLOT_H

#include "pkcs11-provider/call.h"
#include "pkcs11-provider/view.h"

/** The slot whose token shows everything; those of pkcs11.slots follow it. */
#define P11_SLOT_ID 0u
/** With slotPerKey: the slot of the key with index 0 in the table of objects, and so on. */
#define P11_SLOT_KEYS 0x10000u

/** A slot of the configuration. */
typedef struct {
    char label[33];
    const p11_view *view;
} p11_slot;

typedef struct {
    p11_slot *at; /* by CK_SLOT_ID; at least one */
    size_t count;
    bool per_key; /* slotPerKey */
} p11_slots;

/** Errors: TDSA_E_CONFIG (label, unknown view), TDSA_E_NO_MEMORY. */
TDSA_MUST_USE tdsa_status p11_slots_new(p11_slots *out, const p11_views *views, const cfg *c,
                                        tdsa_err *err) TDSA_NONNULL;
void p11_slots_clear(p11_slots *s) TDSA_NONNULL;
/** The view of a slot. */
const p11_view *p11_slot_view(const p11_core *core, CK_SLOT_ID slot) TDSA_NONNULL;
/** The index plus one of the key of a slot with one key; 0: another slot. */
static inline size_t p11_slot_key(CK_SLOT_ID slot)
{
    return slot >= P11_SLOT_KEYS ? (size_t)(slot - P11_SLOT_KEYS) + 1 : 0;
}

/** Slots and tokens: facts of the configuration and of the keystore, always there, also when every
 * peer is down (then signing fails, and a server that starts does not). All slots are one token to the
 * keystore: logging in to one is logging in to all. */
CK_RV p11_slot_list(p11_call *call, CK_SLOT_ID *list, CK_ULONG *count) __attribute__((nonnull(1)));
CK_RV p11_slot_info(p11_call *call, CK_SLOT_ID slot, CK_SLOT_INFO *out) __attribute__((nonnull(1)));
CK_RV p11_token_info(p11_call *call, CK_SLOT_ID slot, CK_TOKEN_INFO *out)
    __attribute__((nonnull(1)));
/** The first slot whose id is not below `first`; false: there is none. */
bool p11_slot_from(p11_core *core, CK_SLOT_ID first, CK_SLOT_ID *out) TDSA_NONNULL;
/** CKR_SLOT_ID_INVALID unless it is one of our slots. */
CK_RV p11_slot_check(p11_call *call, CK_SLOT_ID slot) TDSA_NONNULL;

/** C_GetInfo, as the table of that version answers it. */
CK_RV p11_module_info(CK_INFO *out, CK_BYTE major, CK_BYTE minor);

#endif
