#include "pkcs11-provider/state.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>

#include "base/assert.h"
#include "pkcs11-provider/errors.h"

#define FINALIZE_WAIT_MS 1000u /* longest wait for other threads' calls to end */

typedef enum { P11_OFF, P11_ON, P11_STOPPING } p11_phase;

/* The one context of the process. Never freed: calls may come at any time, even inside exit(). */
static struct {
    atomic_int phase;    /* p11_phase, of the process `pid` */
    atomic_int pid;      /* who initialised */
    atomic_uint callers; /* calls inside the core */
    atomic_int starter;  /* pid whose thread is in C_Initialize or C_Finalize, or 0 */
    atomic_bool exiting, hooked, dead;
    _Atomic(p11_core *) core;
    p11_log log;
} process = {.log = {.fd = -1, .file_fd = -1}};

/* The call this thread is in, for failed assertions and recursion. */
static _Thread_local p11_call *current;

/* The core whose keystore this thread keeps still while it forks. */
static _Thread_local p11_core *forking;

static void mark_exiting(void)
{
    atomic_store(&process.exiting, true);
}

bool p11_exiting(void)
{
    /* OPENSSL_init_crypto(3): "once OPENSSL_cleanup() has been called the library cannot be
     * reinitialised": it gives 0 from then on, also for a host that calls it by hand. */
    return atomic_load(&process.exiting) || OPENSSL_init_crypto(0, NULL) == 0;
}

/*
 * Around fork the keystore is kept still, for some milliseconds at most: SQLite's list of locks must
 * not be inherited in the middle of a change. The child itself does nothing before its C_Initialize.
 */
static void before_fork(void)
{
    forking = NULL;
    if (current != NULL || atomic_load(&process.dead) || p11_exiting() ||
        atomic_load(&process.pid) != (int)getpid()) {
        return; /* a library inside our own call forks: its locks are this thread's */
    }
    atomic_fetch_add(&process.callers, 1);
    if (atomic_load(&process.phase) != P11_ON) {
        atomic_fetch_sub(&process.callers, 1);
        return;
    }
    forking = atomic_load(&process.core);
    ks_fork_prepare(forking->store);
}

static void after_fork(void)
{
    if (forking != NULL) {
        ks_fork_parent(forking->store);
        atomic_fetch_sub(&process.callers, 1);
        forking = NULL;
    }
}

/* After everything that start() loaded, so that our exit handler runs before theirs. */
static CK_RV hook_process(void)
{
    if (atomic_exchange(&process.hooked, true)) {
        return CKR_OK;
    }
    return atexit(mark_exiting) == 0 && pthread_atfork(before_fork, after_fork, NULL) == 0
               ? CKR_OK
               : CKR_HOST_MEMORY;
}

static void on_failed_assertion(const char *what, const char *where)
{
    atomic_store(&process.dead, true);
    p11_log_startup(&process.log,
                    "internal error: %s at %s; the module is out of use until the "
                    "process ends",
                    what, where);
    if (current != NULL) {
        siglongjmp(current->jump, 1);
    }
}

CK_RV p11_died(void)
{
    current = NULL;
    return CKR_GENERAL_ERROR;
}

static CK_RV finish_call(const p11_call *call, CK_RV rv)
{
    tdsa_log_level level = TDSA_LOG_WARN;
    const bool harmless = rv == CKR_BUFFER_TOO_SMALL || rv == CKR_ATTRIBUTE_TYPE_INVALID ||
                          rv == CKR_ATTRIBUTE_SENSITIVE || rv == CKR_NO_EVENT;

    if (rv == CKR_OK || harmless || call->quiet) {
        level = TDSA_LOG_DEBUG;
    } else if (rv == CKR_GENERAL_ERROR || rv == CKR_DEVICE_ERROR || rv == CKR_DEVICE_REMOVED ||
               rv == CKR_HOST_MEMORY || rv == CKR_PIN_INCORRECT) {
        level = TDSA_LOG_ERROR;
    }
    if (p11_log_wants(&process.log, level)) {
        p11_log_line(&process.log, level, "%s: %s%s%s (handle %lu%s%.8s)", call->function,
                     p11_rv_name(rv), call->reason[0] != '\0' ? ": " : "", call->reason,
                     call->handle, call->run_id[0] != '\0' ? ", session " : "", call->run_id);
    }
    return rv;
}

static void begin(p11_call *call, const char *function)
{
    call->function = function;
    call->core = NULL;
    call->session = NULL;
    call->handle = 0;
    call->run_id[0] = '\0';
    call->reason[0] = '\0';
    call->quiet = false;
    call->marked = false;
}

/* What stops any call: a dead module, or a caller that is already inside one. */
static CK_RV refuse(p11_call *call)
{
    if (current != NULL) {
        (void)p11_fail(call, CKR_FUNCTION_FAILED,
                       "called from inside %s: a library that this module uses has loaded it as "
                       "its own provider",
                       current->function);
        return finish_call(call, CKR_FUNCTION_FAILED);
    }
    if (atomic_load(&process.dead)) {
        (void)p11_fail(call, CKR_GENERAL_ERROR, "out of use after an internal error");
        return finish_call(call, CKR_GENERAL_ERROR);
    }
    return CKR_OK;
}

CK_RV p11_enter(p11_call *call, const char *function)
{
    CK_RV rv = CKR_OK;

    begin(call, function);
    rv = refuse(call);
    if (rv != CKR_OK) {
        return rv;
    }
    /* First the pid: after a fork the counter below belongs to the parent. */
    if (atomic_load(&process.pid) != (int)getpid() || p11_exiting()) {
        return finish_call(call, CKR_CRYPTOKI_NOT_INITIALIZED);
    }
    atomic_fetch_add(&process.callers, 1);
    if (atomic_load(&process.phase) != P11_ON) {
        atomic_fetch_sub(&process.callers, 1);
        return finish_call(call, CKR_CRYPTOKI_NOT_INITIALIZED);
    }
    call->core = atomic_load(&process.core);
    return CKR_OK;
}

CK_RV p11_enter_alone(p11_call *call, const char *function)
{
    begin(call, function);
    return refuse(call);
}

void p11_arm(p11_call *call)
{
    current = call;
    if (!p11_exiting()) {
        (void)
            ERR_set_mark(); /* false for an empty queue, which ERR_pop_to_mark then empties again */
        call->marked = true;
    }
}

CK_RV p11_take_session(p11_call *call, CK_SESSION_HANDLE session)
{
    p11_session *s = p11_session_get(&call->core->sessions, session);

    call->handle = session;
    if (s == NULL) {
        return p11_fail(call, CKR_SESSION_HANDLE_INVALID, "no session %lu", session);
    }
    pthread_mutex_lock(&s->lock);
    call->session = s;
    if (atomic_load(&s->closed)) {
        return p11_fail(call, CKR_SESSION_HANDLE_INVALID, "the session was closed meanwhile");
    }
    return CKR_OK;
}

CK_RV p11_leave(p11_call *call, CK_RV rv)
{
    if (call->session != NULL) {
        pthread_mutex_unlock(&call->session->lock);
        p11_session_put(call->session);
    }
    current = NULL;
    if (call->marked && !p11_exiting()) {
        (void)ERR_pop_to_mark();
    }
    rv = finish_call(call, rv);
    if (call->core != NULL) {
        atomic_fetch_sub(&process.callers, 1);
    }
    return rv;
}

CK_RV p11_refuse(const char *function, CK_RV rv)
{
    p11_call call;
    const CK_RV entered = p11_enter(&call, function);

    if (entered != CKR_OK) {
        return entered;
    }
    call.quiet = true; /* clients probe for these */
    return p11_leave(&call, rv);
}

CK_RV p11_fail(p11_call *call, CK_RV rv, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    if (vsnprintf(call->reason, sizeof call->reason, fmt, args) < 0) {
        call->reason[0] = '\0';
    }
    va_end(args);
    return rv;
}

CK_RV p11_fail_err(p11_call *call, const tdsa_err *err)
{
    const char *who = "participant "; /* many a text names him itself */
    CK_RV rv = p11_rv_of_err(err, call->session != NULL && call->session->v3);

    if (rv == CKR_FUNCTION_CANCELED && atomic_load(&process.phase) != P11_ON) {
        rv = CKR_CRYPTOKI_NOT_INITIALIZED; /* C_Finalize ran under this call */
    }
    if (err->participant != TDSA_NOBODY && strncmp(err->text, who, strlen(who)) != 0) {
        return p11_fail(call, rv, "%s: participant %d: %s", tdsa_status_name(err->status),
                        err->participant, err->text);
    }
    return p11_fail(call, rv, "%s: %s", tdsa_status_name(err->status), err->text);
}

static void sleep_ms(long ms)
{
    const struct timespec pause = {ms / 1000, (ms % 1000) * 1000000};

    (void)nanosleep(&pause, NULL);
}

/* C_Initialize and C_Finalize one at a time. A mutex would stay locked for ever in a child that
 * was forked while another thread held it; a pid tells. */
static void starter_lock(void)
{
    const int me = (int)getpid();
    int holder = 0;

    while (!atomic_compare_exchange_strong(&process.starter, &holder, me)) {
        if (holder != me && atomic_compare_exchange_strong(&process.starter, &holder, me)) {
            return;
        }
        holder = 0;
        sleep_ms(1);
    }
}

static void starter_unlock(void)
{
    atomic_store(&process.starter, 0);
}

/* PKCS#11 2.40, C_Initialize: the rules of CK_C_INITIALIZE_ARGS. We lock with the system's own
 * mutexes and make no thread, so CKF_LIBRARY_CANT_CREATE_OS_THREADS asks for nothing. */
static CK_RV check_args(p11_call *call, const CK_C_INITIALIZE_ARGS *args)
{
    unsigned given = 0;

    if (args == NULL) {
        return CKR_OK;
    }
    if (args->pReserved != NULL) {
        return p11_fail(call, CKR_ARGUMENTS_BAD, "pReserved is not NULL");
    }
    given += args->CreateMutex != NULL ? 1 : 0;
    given += args->DestroyMutex != NULL ? 1 : 0;
    given += args->LockMutex != NULL ? 1 : 0;
    given += args->UnlockMutex != NULL ? 1 : 0;
    if (given != 0 && given != 4) {
        return p11_fail(call, CKR_ARGUMENTS_BAD, "%u of four mutex functions", given);
    }
    if (given == 4 && (args->flags & CKF_OS_LOCKING_OK) == 0) {
        return p11_fail(call, CKR_CANT_LOCK,
                        "the application's own mutexes only: CKF_OS_LOCKING_OK is needed");
    }
    return CKR_OK;
}

static CK_RV start(p11_call *call)
{
    p11_core *core = atomic_load(&process.core);
    tdsa_err err;

    if (atomic_load(&process.phase) == P11_ON && atomic_load(&process.pid) == (int)getpid()) {
        return p11_fail(call, CKR_CRYPTOKI_ALREADY_INITIALIZED, "once is enough");
    }
    if (core != NULL) { /* inherited through fork */
        atomic_store(&process.core, NULL);
        p11_core_abandon(core);
    }
    p11_log_open(&process.log);
    if (p11_core_open(&core, &process.log, &err) != TDSA_OK) {
        p11_log_startup(&process.log, "C_Initialize failed: %s", err.text);
        return p11_fail(call, err.status == TDSA_E_NO_MEMORY ? CKR_HOST_MEMORY : CKR_GENERAL_ERROR,
                        "%s", err.text);
    }
    atomic_store(&process.core, core);
    atomic_store(&process.callers, 0);
    atomic_store(&process.phase, P11_ON);
    atomic_store(&process.pid, (int)getpid());
    return CKR_OK;
}

CK_RV p11_initialize(p11_call *call, const CK_C_INITIALIZE_ARGS *args)
{
    CK_RV rv = check_args(call, args);

    if (rv == CKR_OK && p11_exiting()) {
        rv = p11_fail(call, CKR_GENERAL_ERROR, "the process is ending");
    }
    if (rv != CKR_OK) {
        return rv;
    }
    starter_lock();
    tdsa_assert_set_handler(on_failed_assertion);
    rv = start(call);
    if (rv == CKR_OK) {
        rv = hook_process();
    }
    starter_unlock();
    return rv;
}

/* Phase STOPPING: no new call gets in; waits for those inside. False: some did not leave. */
static bool drain(p11_core *core)
{
    p11_quorum_stop(&core->quorum);
    part_engine_stop(core->engine);
    for (unsigned waited = 0; waited < FINALIZE_WAIT_MS; waited++) {
        if (atomic_load(&process.callers) == 0) {
            return true;
        }
        sleep_ms(1);
    }
    return false;
}

CK_RV p11_finalize(p11_call *call)
{
    p11_core *core = NULL;
    CK_RV rv = CKR_OK;

    starter_lock();
    if (atomic_load(&process.phase) != P11_ON || atomic_load(&process.pid) != (int)getpid()) {
        rv = p11_fail(call, CKR_CRYPTOKI_NOT_INITIALIZED, "not initialised");
        starter_unlock();
        return rv;
    }
    atomic_store(&process.phase, P11_STOPPING);
    core = atomic_load(&process.core);
    atomic_store(&process.core, NULL);
    p11_sessions_end(core);
    if (drain(core)) {
        p11_core_close(core);
    } else {
        /* somebody hangs inside: memory is the smaller loss */
        p11_log_line(&process.log, TDSA_LOG_WARN, "C_Finalize: %u calls did not end in time",
                     atomic_load(&process.callers));
    }
    atomic_store(&process.phase, P11_OFF);
    starter_unlock();
    return CKR_OK;
}
