#ifndef P11_SESSION_H
#define P11_SESSION_H

#include <pthread.h>
#include <stdatomic.h>

#include "pkcs11-provider/find.h"
#include "pkcs11-provider/operation.h"

/** Sessions at a time. */
#define P11_SESSIONS_MAX 8192u

/** A session. Its lock is held by the call that works in it, also over the network; nothing else
 * is. Closing it under a running call is allowed: the call ends first, then the memory goes. */
struct p11_session {
    atomic_uint refs;
    atomic_bool closed;
    atomic_bool in_flight; /* a signature of it is being made with the participants */
    pthread_mutex_t lock;
    CK_SESSION_HANDLE handle;
    CK_SLOT_ID slot;
    bool read_write;
    bool v3; /* opened through a function table of version 3 */
    p11_find find;
    p11_op sign, verify, digest;
    p11_op message_sign, message_verify; /* take no data themselves */
};

/** The table of sessions. A handle is (generation << 16) | (index + 1). */
typedef struct {
    pthread_mutex_t lock;
    struct {
        p11_session *session; /* one reference */
        uint32_t generation;
        uint32_t next_free; /* index + 1 of the next free entry, or 0 */
    } at[P11_SESSIONS_MAX];
    uint32_t first_free; /* index + 1, or 0 */
    uint32_t used;       /* entries ever handed out */
} p11_sessions;

TDSA_MUST_USE tdsa_status p11_sessions_init(p11_sessions *t, tdsa_err *err) TDSA_NONNULL;
/** Closes every session, and ends what is theirs; calls may still be inside. */
void p11_sessions_end(p11_core *core) TDSA_NONNULL;
/** Closes every session. */
void p11_sessions_clear(p11_sessions *t) TDSA_NONNULL;
/** Open sessions, of one slot or (NULL) of all. */
void p11_sessions_count(p11_sessions *t, const CK_SLOT_ID *slot, CK_ULONG *count,
                        CK_ULONG *rw_count) __attribute__((nonnull(1, 3, 4)));
/** Adds a reference; NULL when the handle means nothing. */
p11_session *p11_session_get(p11_sessions *t, CK_SESSION_HANDLE handle) TDSA_NONNULL;
/** Drops one; the last one frees. */
void p11_session_put(p11_session *s) TDSA_NONNULL;

/** What C_OpenSession is asked for. */
typedef struct {
    CK_SLOT_ID slot;
    CK_FLAGS flags;
    bool v3;
} p11_session_wish;

/* C_OpenSession, C_CloseSession, C_CloseAllSessions, C_GetSessionInfo, C_Login, C_Logout,
 * C_SessionCancel. */
CK_RV p11_session_open(p11_call *call, const p11_session_wish *wish, CK_SESSION_HANDLE *out)
    __attribute__((nonnull(1)));
/** C_OpenSession of the tables of version 3: a session remembers which version its caller speaks. */
CK_RV p11_open_session_v3(CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify,
                          CK_SESSION_HANDLE *session);
CK_RV p11_session_close(p11_call *call, CK_SESSION_HANDLE handle) TDSA_NONNULL;
CK_RV p11_session_close_all(p11_call *call, CK_SLOT_ID slot) TDSA_NONNULL;
CK_RV p11_session_info(p11_call *call, CK_SESSION_INFO *out) __attribute__((nonnull(1)));
CK_RV p11_session_login(p11_call *call, CK_ULONG user, const CK_BYTE *pin, CK_ULONG pin_len)
    __attribute__((nonnull(1)));
CK_RV p11_session_logout(p11_call *call) TDSA_NONNULL;
/** Before the session is taken, which a call under way holds: CKR_OPERATION_CANCEL_FAILED when `flags` name a signature whose
 * presignature is spent already (PKCS#11 3.0, C_SessionCancel). */
CK_RV p11_session_may_cancel(p11_call *call, CK_SESSION_HANDLE session, CK_FLAGS flags)
    TDSA_NONNULL;
CK_RV p11_session_cancel(p11_call *call, CK_FLAGS flags) TDSA_NONNULL;

#endif
