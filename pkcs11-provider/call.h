#ifndef P11_CALL_H
#define P11_CALL_H

#include <setjmp.h>
#include <stdbool.h>

#include "base/err.h"
#include "pkcs11-provider/cryptoki.h"

typedef struct p11_core p11_core;
typedef struct p11_session p11_session;

/** One call of a C_* function, on its stack. */
typedef struct {
    const char *function; /* "C_Sign" */
    p11_core *core;       /* counted: stays until p11_leave */
    p11_session *session; /* locked and referenced, or NULL */
    CK_SESSION_HANDLE handle;
    char run_id[40]; /* protocol session that the peers log too, or "" */
    char reason[TDSA_ERR_TEXT_MAX];
    bool quiet;      /* failing is part of normal use: logged at debug */
    bool marked;     /* OpenSSL's error queue gets back to where it was: hosts read it */
    sigjmp_buf jump; /* where a failed assertion goes */
} p11_call;

/**
 * Begins a call: checks that the module is initialised in this very process, alive and not inside
 * exit(), and that the caller is not inside another call of ours (a library that we use, loading us
 * as its provider). Anything but CKR_OK is already logged and goes straight back.
 */
CK_RV p11_enter(p11_call *call, const char *function) TDSA_NONNULL;
/** From here on a failed assertion of this thread jumps to call->jump. */
void p11_arm(p11_call *call) TDSA_NONNULL;
/** Finds the session and locks it. */
CK_RV p11_take_session(p11_call *call, CK_SESSION_HANDLE session) TDSA_NONNULL;
/** Ends the call: unlocks, writes the log line, gives back `rv`. */
CK_RV p11_leave(p11_call *call, CK_RV rv) TDSA_NONNULL;
/** After the jump: the module is dead from now on. Gives CKR_GENERAL_ERROR. */
CK_RV p11_died(void);

/** A whole call that only gives a considered code: for functions that this token does not have. */
CK_RV p11_refuse(const char *function, CK_RV rv) TDSA_NONNULL;

/** Fills the reason and gives back `rv`, so that a failing function can end in one line. */
CK_RV p11_fail(p11_call *call, CK_RV rv, const char *fmt, ...) TDSA_PRINTF(3, 4) TDSA_NONNULL;
/** The same from a status of the engine; names the participant at fault. */
CK_RV p11_fail_err(p11_call *call, const tdsa_err *err) TDSA_NONNULL;

/** First line of every C_* function that needs an initialised module. */
#define P11_ENTER(name)                           \
    p11_call call;                                \
    const CK_RV entered = p11_enter(&call, name); \
    if (entered != CKR_OK) {                      \
        return entered;                           \
    }                                             \
    if (sigsetjmp(call.jump, 0) != 0) {           \
        return p11_died();                        \
    }                                             \
    p11_arm(&call)

/** The same for functions that work in a session. */
#define P11_ENTER_SESSION(name, session)                  \
    P11_ENTER(name);                                      \
    const CK_RV found = p11_take_session(&call, session); \
    if (found != CKR_OK) {                                \
        return p11_leave(&call, found);                   \
    }                                                     \
    (void)0

#endif
