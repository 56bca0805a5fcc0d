#include "pkcs11-provider/quorum.h"

#include <time.h>

#include "pkcs11-provider/slot.h"
#include "pkcs11-provider/state.h"

#define ASK_AGAIN_MS 5000u

tdsa_status p11_quorum_init(p11_quorum *q, tdsa_err *err)
{
    pthread_condattr_t monotonic;
    bool ok = pthread_mutex_init(&q->lock, NULL) == 0 && pthread_condattr_init(&monotonic) == 0;

    if (ok) {
        ok = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 &&
             pthread_cond_init(&q->changed, &monotonic) == 0;
        (void)pthread_condattr_destroy(&monotonic);
    }
    return ok ? TDSA_OK : TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no lock for events");
}

void p11_quorum_clear(p11_quorum *q)
{
    (void)pthread_cond_destroy(&q->changed);
    (void)pthread_mutex_destroy(&q->lock);
}

void p11_quorum_stop(p11_quorum *q)
{
    pthread_mutex_lock(&q->lock);
    q->stopping = true;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
}

CK_ULONG p11_quorum_missing(const p11_core *core)
{
    return atomic_load(&core->quorum.missing);
}

/* Is there one, or not any more: then each slot has an event. Who is missing may change without. */
static void found(p11_quorum *q, unsigned missing)
{
    if (missing == 0 && atomic_load(&q->missing) == 0) {
        return; /* as ever: no lock for each signature */
    }
    pthread_mutex_lock(&q->lock);
    if ((atomic_exchange(&q->missing, missing) == 0) != (missing == 0)) {
        q->pending = true;
        q->next = 0;
        pthread_cond_broadcast(&q->changed);
    }
    pthread_mutex_unlock(&q->lock);
}

void p11_quorum_note(p11_core *core, const tdsa_err *err)
{
    if (err == NULL) {
        found(&core->quorum, 0);
    } else if ((err->status == TDSA_E_UNAVAILABLE || err->status == TDSA_E_TIMEOUT) &&
               err->participant != TDSA_NOBODY) {
        found(&core->quorum, 1u << (unsigned)err->participant);
    } /* else they answered, or nobody was asked */
}

/* Asks the participants. */
static void ask(p11_core *core)
{
    const uint16_t n = cfg_participant_engine(core->participant)->roster.n;
    bool there[GRP_PARTIES_MAX] = {false};
    unsigned missing = 0;
    tdsa_err err;

    if (part_engine_ping(core->engine, core->settings.deadline_ms, there, &err) == TDSA_OK) {
        found(&core->quorum, 0);
        return;
    }
    for (uint16_t i = 0; i < n; i++) {
        missing |= there[i] ? 0 : 1u << i;
    }
    if (err.status == TDSA_E_UNAVAILABLE || err.status == TDSA_E_TIMEOUT) {
        found(&core->quorum, missing);
    }
}

_Static_assert(GRP_PARTIES_MAX <= 32, "a bit per participant");

/* The next slot that has an event; the lock is held. */
static bool take(p11_core *core, CK_SLOT_ID *slot)
{
    p11_quorum *q = &core->quorum;

    if (!q->pending || !p11_slot_from(core, q->next, slot)) {
        q->pending = false;
        return false;
    }
    q->next = *slot + 1;
    return true;
}

static struct timespec in_a_while(void)
{
    struct timespec t = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ASK_AGAIN_MS / 1000;
    return t;
}

/* PKCS#11, C_WaitForSlotEvent: it "blocks until an event occurs", and gives CKR_CRYPTOKI_NOT_INITIALIZED "if
 * ... C_Finalize is called" meanwhile. */
static CK_RV wait_for_event(p11_call *call, CK_SLOT_ID *slot)
{
    p11_quorum *q = &call->core->quorum;
    struct timespec again = {0}; /* at once */
    bool stopping = false;
    bool taken = false;

    while (!stopping && !taken) {
        int rc = 0;

        pthread_mutex_lock(&q->lock);
        taken = take(call->core, slot);
        while (!q->stopping && !taken && rc == 0) {
            rc = pthread_cond_timedwait(&q->changed, &q->lock, &again);
            taken = take(call->core, slot);
        }
        stopping = q->stopping;
        pthread_mutex_unlock(&q->lock);
        if (!stopping && !taken) {
            ask(call->core);
            again = in_a_while();
        }
    }
    return taken ? CKR_OK
                 : p11_fail(call, CKR_CRYPTOKI_NOT_INITIALIZED, "C_Finalize ended the wait");
}

CK_RV p11_quorum_wait(p11_call *call, CK_FLAGS flags, CK_SLOT_ID *slot, const void *reserved)
{
    p11_quorum *q = &call->core->quorum;
    bool taken = false;

    if (slot == NULL || reserved != NULL) {
        return p11_fail(call, CKR_ARGUMENTS_BAD, "no place for the slot, or pReserved is not NULL");
    }
    if ((flags & CKF_DONT_BLOCK) == 0) {
        return wait_for_event(call, slot);
    }
    pthread_mutex_lock(&q->lock);
    taken = take(call->core, slot);
    pthread_mutex_unlock(&q->lock);
    return taken ? CKR_OK : CKR_NO_EVENT;
}
