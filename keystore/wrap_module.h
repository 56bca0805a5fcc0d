#ifndef KS_WRAP_MODULE_H
#define KS_WRAP_MODULE_H

#include "keystore/wrap_uri.h"

/** What is remembered of a token from one session to the next. All zero: nothing. */
typedef struct {
    /* The PIN of the configuration that it refused; NULL: none. The same one is not tried again before the
     * token says that somebody logged in, or set the PIN, since: it showed CKF_USER_PIN_COUNT_LOW and
     * does no more. */
    tdsa_secret *refused_pin;
    bool was_low;
    bool left_open; /* the module was initialised here, and its C_Finalize failed */
} ks_wrap_memory;

/**
 * A session with the token that holds the wrapping key, for as long as one data key is wrapped or
 * unwrapped. Nothing of it outlives ks_wrap_end: the data key is what stays.
 *
 * The module is loaded for itself (RTLD_LOCAL). When the process had initialised it already, it is
 * used as it is and left as it is: no C_Finalize, and no C_Logout where the application had logged
 * in. Otherwise it is finalised at the end. PKCS#11 has one initialisation per process, so nobody
 * else may begin to use the same module in between: a keystore lets one thread at a time in here,
 * and a process should hold one keystore per wrapping module.
 */
typedef struct {
    const ks_wrap_uri *uri; /* lent */
    ks_wrap_memory *memory; /* lent; NULL: nothing is remembered */
    void *library;
    CK_FUNCTION_LIST *f;
    CK_SESSION_HANDLE session;
    CK_RV rv; /* of the call that failed */
    bool finalize, have_session, logout;
    bool was_logged_in; /* the application is: the PIN was not looked at */
    bool missing;       /* the last look found no token */
    bool login_failed;  /* C_Login was called and did not succeed: it is not called again */
} ks_wrap;

/** A PIN, lent; text NULL: none given. */
typedef struct {
    const char *text;
    size_t len;
    bool from_config; /* nobody is there who could mistype it: never spend the last try */
} ks_wrap_pin;

typedef struct {
    const ks_wrap_uri *uri;
    ks_wrap_pin pin;
    ks_wrap_memory *memory; /* may be NULL */
    bool write;             /* a session that can make keys */
} ks_wrap_way;

/**
 * Loads, initialises, finds the token, opens a session and logs in, with
 * one try at most. Errors: TDSA_E_WRAPPING (module or token missing or broken), TDSA_E_LOGIN (PIN
 * wrong, locked, not set). Call ks_wrap_end in any case.
 */
TDSA_MUST_USE tdsa_status ks_wrap_begin(ks_wrap *w, const ks_wrap_way *way, tdsa_err *err)
    TDSA_NONNULL;
void ks_wrap_end(ks_wrap *w) TDSA_NONNULL;

void ks_wrap_memory_clear(ks_wrap_memory *m) TDSA_NONNULL;

/** TDSA_E_WRAPPING naming token, what was tried and the CKR code, which is kept in w->rv. */
tdsa_status ks_wrap_fail(ks_wrap *w, CK_RV rv, const char *what, tdsa_err *err) TDSA_NONNULL;

/** "CKR_PIN_INCORRECT"; a number for codes that have no name here is written to `out`. */
const char *ks_ckr_name(CK_RV rv, char out[32]) TDSA_NONNULL;

#endif
