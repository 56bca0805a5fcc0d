#ifndef P11_QUORUM_H
#define P11_QUORUM_H

#include <pthread.h>
#include <stdatomic.h>

#include "pkcs11-provider/call.h"

/**
 * Whether signatures can be made, as far as this process knows. Signatures tell, those that are made and
 * those that fail because a participant does not answer; a thread that waits in C_WaitForSlotEvent asks the
 * participants now and then. A change is an event of every slot: all are one token to the participants.
 * Slots and tokens stay present whatever comes, so that servers start.
 */
typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* CLOCK_MONOTONIC */
    atomic_uint
        missing;  /* who did not answer, bit per participant index; 0: signatures can be made */
    bool pending; /* slots from `next` on have an event that nobody has fetched */
    CK_SLOT_ID next;
    bool stopping;
} p11_quorum;

/** Errors: TDSA_E_NO_MEMORY. */
TDSA_MUST_USE tdsa_status p11_quorum_init(p11_quorum *q, tdsa_err *err) TDSA_NONNULL;
void p11_quorum_clear(p11_quorum *q) TDSA_NONNULL;
/** C_Finalize: whoever waits gets CKR_CRYPTOKI_NOT_INITIALIZED. */
void p11_quorum_stop(p11_quorum *q) TDSA_NONNULL;
/** After a signature; err: why it was not made, or NULL. */
void p11_quorum_note(p11_core *core, const tdsa_err *err) __attribute__((nonnull(1)));
/** CK_SESSION_INFO.ulDeviceError: `missing`. */
CK_ULONG p11_quorum_missing(const p11_core *core) TDSA_NONNULL;
/** C_WaitForSlotEvent. With CKF_DONT_BLOCK it tells what is known, and asks nobody. */
CK_RV p11_quorum_wait(p11_call *call, CK_FLAGS flags, CK_SLOT_ID *slot, const void *reserved)
    __attribute__((nonnull(1)));

#endif
