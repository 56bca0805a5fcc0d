#ifndef P11_STATE_H
#define P11_STATE_H

#include "config/participant_cfg.h"
#include "participant/engine.h"
#include "pkcs11-provider/log.h"
#include "pkcs11-provider/object.h"
#include "pkcs11-provider/quorum.h"
#include "pkcs11-provider/session.h"
#include "pkcs11-provider/slot.h"

/** How CKA_EC_POINT of Edwards keys is written: PKCS#11 2.40 has a DER OCTET STRING, 3.0 the bytes as
 * they are; AUTO: as the session's interface has it. */
typedef enum { P11_EDWARDS_AUTO, P11_EDWARDS_DER, P11_EDWARDS_RAW } p11_edwards_point;

/** What the configuration says about the module itself. */
typedef struct {
    uint32_t deadline_ms; /* total, per operation */
    bool sha1;            /* CKM_ECDSA_SHA1 is offered */
    p11_edwards_point edwards_point;
    bool generate, destroy; /* token keys may be made, and deleted, by applications */
    bool login_never;       /* the keystore opens without a PIN; everything is always visible */
} p11_settings;

/** Everything between C_Initialize and C_Finalize; made and closed by core.c. */
struct p11_core {
    p11_settings settings;
    p11_log *log; /* the process's */
    cfg *config;
    cfg_participant *participant;
    ks *store;
    tdsa_os_audit *audit; /* NULL: none is configured */
    part_engine *engine;
    grp *curves[GRP_CURVE_END];
    char serial[17]; /* of the token: hex of a hash of our public keys */
    pthread_mutex_t login_lock;
    atomic_bool logged_in;
    p11_views views;
    const p11_view *view; /* of this process */
    p11_slots slots;
    p11_quorum quorum;
    atomic_bool session_objects; /* somebody made one */
    p11_objects objects;
    p11_sessions sessions;
};

/** Reads the configuration and opens keystore and engine. No network, no thread.
 * Errors: those of cfg_load, cfg_participant_new, ks_open, part_engine_new. */
TDSA_MUST_USE tdsa_status p11_core_open(p11_core **out, p11_log *log, tdsa_err *err) TDSA_NONNULL;
/** Closes and frees. Nobody may be inside. */
void p11_core_close(p11_core *core) TDSA_NONNULL;
/** In a child after fork: gives up what was inherited; its locks may be held by nobody for ever. */
void p11_core_abandon(p11_core *core) TDSA_NONNULL;
/** Locks the keystore and forgets opened shares; with the login lock held. */
void p11_core_logout(p11_core *core) TDSA_NONNULL;
/** C_GenerateRandom: getrandom(2). */
CK_RV p11_core_random(p11_call *call, CK_BYTE *out, CK_ULONG len) __attribute__((nonnull(1)));
/** The curve, opened; of any key in the table of objects. */
const grp *p11_core_curve(const p11_core *core, grp_curve curve) TDSA_NONNULL;
/** Whom the table of objects is filled from. */
p11_source p11_core_source(const p11_core *core) TDSA_NONNULL;

static inline bool p11_logged_in(const p11_core *core)
{
    return atomic_load(&core->logged_in);
}

/* The process: C_Initialize and C_Finalize. */
CK_RV p11_initialize(p11_call *call, const CK_C_INITIALIZE_ARGS *args) __attribute__((nonnull(1)));
CK_RV p11_finalize(p11_call *call) TDSA_NONNULL;
/** Begins C_Initialize and C_Finalize, which need no initialised module. */
CK_RV p11_enter_alone(p11_call *call, const char *function) TDSA_NONNULL;
/** True once exit() runs, or OpenSSL has been cleaned up: then no library may be touched. */
bool p11_exiting(void);

#endif
