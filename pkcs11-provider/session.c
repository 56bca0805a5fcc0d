#include "pkcs11-provider/session.h"

#include <stdlib.h>

#include "pkcs11-provider/session_object.h"
#include "pkcs11-provider/slot.h"
#include "pkcs11-provider/state.h"

#define INDEX_BITS  16u
#define PIN_LEN_MAX 255u
#define SETTLE_MS   1500u /* longest that a login waits for keys whose generation was cut off */

_Static_assert(P11_SESSIONS_MAX < (1u << INDEX_BITS), "an index and one fit the handle");

tdsa_status p11_sessions_init(p11_sessions *t, tdsa_err *err)
{
    if (pthread_mutex_init(&t->lock, NULL) != 0) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no lock for the sessions");
    }
    return TDSA_OK;
}

void p11_session_put(p11_session *s)
{
    if (atomic_fetch_sub(&s->refs, 1) != 1) {
        return;
    }
    p11_find_end(&s->find);
    p11_op_end(&s->sign);
    p11_op_end(&s->verify);
    p11_op_end(&s->digest);
    p11_op_end(&s->message_sign);
    p11_op_end(&s->message_verify);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}

/* Takes an entry out of the table; the caller drops the reference outside the lock. */
static p11_session *remove_locked(p11_sessions *t, uint32_t index)
{
    p11_session *s = t->at[index].session;

    atomic_store(&s->closed, true);
    t->at[index].session = NULL;
    t->at[index].generation++;
    t->at[index].next_free = t->first_free;
    t->first_free = index + 1;
    return s;
}

/* Of one slot, or (NULL) all. */
static void close_every(p11_sessions *t, const CK_SLOT_ID *slot)
{
    bool more = true;

    for (uint32_t i = 0; more; i++) {
        p11_session *s = NULL;

        pthread_mutex_lock(&t->lock);
        more = i < t->used;
        if (more && t->at[i].session != NULL && (slot == NULL || t->at[i].session->slot == *slot)) {
            s = remove_locked(t, i);
        }
        pthread_mutex_unlock(&t->lock);
        if (s != NULL) {
            p11_session_put(s);
        }
    }
}

void p11_sessions_end(p11_core *core)
{
    close_every(&core->sessions, NULL);
    if (atomic_load(&core->session_objects)) {
        p11_session_objects_end(core);
    }
}

void p11_sessions_clear(p11_sessions *t)
{
    close_every(t, NULL);
    (void)pthread_mutex_destroy(&t->lock);
}

void p11_sessions_count(p11_sessions *t, const CK_SLOT_ID *slot, CK_ULONG *count,
                        CK_ULONG *rw_count)
{
    *count = 0;
    *rw_count = 0;
    pthread_mutex_lock(&t->lock);
    for (uint32_t i = 0; i < t->used; i++) {
        const p11_session *s = t->at[i].session;

        if (s != NULL && (slot == NULL || s->slot == *slot)) {
            *count += 1;
            *rw_count += s->read_write ? 1 : 0;
        }
    }
    pthread_mutex_unlock(&t->lock);
}

/* index of a handle that is in use; false: none. Table locked. */
static bool index_of(const p11_sessions *t, CK_SESSION_HANDLE handle, uint32_t *out)
{
    const CK_ULONG low = handle & ((1u << INDEX_BITS) - 1);

    if (low < 1 || low > t->used) {
        return false;
    }
    *out = (uint32_t)low - 1;
    return t->at[*out].session != NULL && t->at[*out].session->handle == handle;
}

p11_session *p11_session_get(p11_sessions *t, CK_SESSION_HANDLE handle)
{
    p11_session *s = NULL;
    uint32_t index = 0;

    pthread_mutex_lock(&t->lock);
    if (index_of(t, handle, &index)) {
        s = t->at[index].session;
        atomic_fetch_add(&s->refs, 1);
    }
    pthread_mutex_unlock(&t->lock);
    return s;
}

/* From here on another thread may close it: only its handle is the caller's. */
static bool insert(p11_sessions *t, p11_session *s, CK_SESSION_HANDLE *handle)
{
    uint32_t index = 0;

    pthread_mutex_lock(&t->lock);
    if (t->first_free == 0 && t->used == P11_SESSIONS_MAX) {
        pthread_mutex_unlock(&t->lock);
        return false;
    }
    if (t->first_free != 0) {
        index = t->first_free - 1;
        t->first_free = t->at[index].next_free;
    } else {
        index = t->used++;
    }
    s->handle = ((CK_SESSION_HANDLE)t->at[index].generation << INDEX_BITS) | (index + 1);
    t->at[index].session = s;
    *handle = s->handle;
    pthread_mutex_unlock(&t->lock);
    return true;
}

CK_RV p11_session_open(p11_call *call, const p11_session_wish *wish, CK_SESSION_HANDLE *out)
{
    p11_session *s = NULL;
    CK_RV rv = CKR_OK;

    if (out == NULL) {
        return p11_fail(call, CKR_ARGUMENTS_BAD, "no place for the handle");
    }
    rv = p11_slot_check(call, wish->slot);
    if (rv != CKR_OK) {
        return rv;
    }
    if ((wish->flags & CKF_SERIAL_SESSION) == 0) {
        return p11_fail(call, CKR_SESSION_PARALLEL_NOT_SUPPORTED, "CKF_SERIAL_SESSION is not set");
    }
    if ((wish->flags & CKF_ASYNC_SESSION) != 0) {
        return p11_fail(call, CKR_SESSION_ASYNC_NOT_SUPPORTED, "no asynchronous sessions");
    }
    s = calloc(1, sizeof *s);
    if (s == NULL || pthread_mutex_init(&s->lock, NULL) != 0) {
        free(s);
        return p11_fail(call, CKR_HOST_MEMORY, "no memory for a session");
    }
    atomic_store(&s->refs, 1);
    s->slot = wish->slot;
    s->v3 = wish->v3;
    s->read_write = (wish->flags & CKF_RW_SESSION) != 0;
    if (!insert(&call->core->sessions, s, out)) {
        p11_session_put(s);
        return p11_fail(call, CKR_SESSION_COUNT, "%u sessions are open", P11_SESSIONS_MAX);
    }
    return CKR_OK;
}

/* PKCS#11 2.40, C_CloseSession: "If this function is successful and it closes the last session
 * between the application and the token, the login state of the token for the application returns
 * to public sessions." */
static void logout_after_last(p11_core *core)
{
    CK_ULONG count = 0;
    CK_ULONG rw_count = 0;

    pthread_mutex_lock(&core->login_lock);
    p11_sessions_count(&core->sessions, NULL, &count, &rw_count);
    if (count == 0 && p11_logged_in(core) && !core->settings.login_never) {
        p11_core_logout(core);
    }
    pthread_mutex_unlock(&core->login_lock);
}

CK_RV p11_session_close(p11_call *call, CK_SESSION_HANDLE handle)
{
    p11_sessions *t = &call->core->sessions;
    p11_session *s = NULL;
    uint32_t index = 0;

    pthread_mutex_lock(&t->lock);
    if (index_of(t, handle, &index)) {
        s = remove_locked(t, index);
    }
    pthread_mutex_unlock(&t->lock);
    if (s == NULL) {
        return p11_fail(call, CKR_SESSION_HANDLE_INVALID, "no session %lu", handle);
    }
    p11_session_put(s);
    p11_session_objects_end(call->core);
    logout_after_last(call->core);
    return CKR_OK;
}

CK_RV p11_session_close_all(p11_call *call, CK_SLOT_ID slot)
{
    const CK_RV rv = p11_slot_check(call, slot);

    if (rv != CKR_OK) {
        return rv;
    }
    close_every(&call->core->sessions, &slot);
    p11_session_objects_end(call->core);
    logout_after_last(call->core);
    return CKR_OK;
}

CK_RV p11_session_info(p11_call *call, CK_SESSION_INFO *out)
{
    const bool rw = call->session->read_write;
    const bool user = p11_logged_in(call->core);

    if (out == NULL) {
        return p11_fail(call, CKR_ARGUMENTS_BAD, "no place for the information");
    }
    out->slotID = call->session->slot;
    out->flags = CKF_SERIAL_SESSION | (rw ? CKF_RW_SESSION : 0);
    out->ulDeviceError = p11_quorum_missing(call->core);
    if (user) {
        out->state = rw ? CKS_RW_USER_FUNCTIONS : CKS_RO_USER_FUNCTIONS;
    } else {
        out->state = rw ? CKS_RW_PUBLIC_SESSION : CKS_RO_PUBLIC_SESSION;
    }
    return CKR_OK;
}

/* With the login lock held. */
static CK_RV login_locked(p11_call *call, const CK_BYTE *pin, CK_ULONG pin_len)
{
    p11_core *core = call->core;
    tdsa_err err;
    tdsa_status st = TDSA_OK;

    if (p11_logged_in(core)) {
        return p11_fail(call, CKR_USER_ALREADY_LOGGED_IN, "the user is logged in");
    }
    if (atomic_load(&call->session->closed)) {
        return p11_fail(call, CKR_SESSION_HANDLE_INVALID, "the session was closed meanwhile");
    }
    st = ks_unlock(core->store, (const char *)pin, pin_len, &err);
    if (st == TDSA_E_LOGIN) {
        return p11_fail(call, CKR_PIN_INCORRECT, "%s", err.text);
    }
    if (st != TDSA_OK) {
        return p11_fail_err(call, &err);
    }
    atomic_store(&core->logged_in, true);
    p11_objects_remember(&core->objects); /* private data can be read now */
    return CKR_OK;
}

static CK_RV check_pin_form(p11_call *call, const CK_BYTE *pin, CK_ULONG pin_len)
{
    if (pin == NULL) {
        return p11_fail(call, CKR_ARGUMENTS_BAD, "no PIN");
    }
    if (pin_len == 0) {
        return p11_fail(call, CKR_PIN_INCORRECT, "the PIN is empty");
    }
    if (pin_len > PIN_LEN_MAX) {
        return p11_fail(call, CKR_PIN_LEN_RANGE, "the PIN is longer than %u bytes", PIN_LEN_MAX);
    }
    return CKR_OK;
}

/* CKU_CONTEXT_SPECIFIC: once more, for the operation that waits for it. */
static CK_RV login_for_operation(p11_call *call, const CK_BYTE *pin, CK_ULONG pin_len)
{
    p11_session *s = call->session;
    p11_op *op = s->sign.asks_pin ? &s->sign : &s->message_sign;
    tdsa_err err;
    CK_RV rv = CKR_OK;

    if (!op->asks_pin) {
        return p11_fail(call, CKR_OPERATION_NOT_INITIALIZED, "no operation waits for a login");
    }
    rv = check_pin_form(call, pin, pin_len);
    if (rv == CKR_OK &&
        ks_check_pin(call->core->store, (const char *)pin, pin_len, &err) != TDSA_OK) {
        rv = err.status == TDSA_E_LOGIN ? p11_fail(call, CKR_PIN_INCORRECT, "%s", err.text)
                                        : p11_fail_err(call, &err);
    }
    op->asks_pin = rv != CKR_OK;
    return rv;
}

CK_RV p11_session_login(p11_call *call, CK_ULONG user, const CK_BYTE *pin, CK_ULONG pin_len)
{
    CK_RV rv = CKR_OK;

    if (user == CKU_CONTEXT_SPECIFIC) {
        return login_for_operation(call, pin, pin_len);
    }
    if (user != CKU_USER) {
        return p11_fail(call, CKR_USER_TYPE_INVALID, "the token has no user of type %lu", user);
    }
    if (call->core->settings.login_never) { /* clients that always log in may */
        return CKR_OK;
    }
    rv = check_pin_form(call, pin, pin_len);
    if (rv != CKR_OK) {
        return rv;
    }
    pthread_mutex_lock(&call->core->login_lock);
    rv = login_locked(call, pin, pin_len);
    pthread_mutex_unlock(&call->core->login_lock);
    if (rv == CKR_OK) { /* a key whose maker was killed may be ACTIVE at the servers already */
        part_engine_settle(call->core->engine, SETTLE_MS);
    }
    return rv;
}

CK_RV p11_session_logout(p11_call *call)
{
    p11_core *core = call->core;
    CK_RV rv = CKR_OK;

    if (core->settings.login_never) {
        return CKR_OK;
    }
    if (p11_logged_in(core)) { /* told to the participants: before the lock that others wait for */
        p11_session_keys_end(core);
    }
    pthread_mutex_lock(&core->login_lock);
    if (p11_logged_in(core)) {
        p11_core_logout(core);
    } else {
        rv = p11_fail(call, CKR_USER_NOT_LOGGED_IN, "nobody is logged in");
    }
    pthread_mutex_unlock(&core->login_lock);
    return rv;
}

CK_RV p11_session_may_cancel(p11_call *call, CK_SESSION_HANDLE session, CK_FLAGS flags)
{
    p11_session *s = p11_session_get(&call->core->sessions, session);
    const bool in_flight = s != NULL && atomic_load(&s->in_flight);

    if (s != NULL) {
        p11_session_put(s);
    }
    if (in_flight && (flags & (CKF_SIGN | CKF_MESSAGE_SIGN)) != 0) {
        return p11_fail(call, CKR_OPERATION_CANCEL_FAILED,
                        "the participants are making the signature: its presignature is spent");
    }
    return CKR_OK;
}

CK_RV p11_session_cancel(p11_call *call, CK_FLAGS flags)
{
    p11_session *s = call->session;

    if ((flags & CKF_FIND_OBJECTS) != 0) {
        p11_find_end(&s->find);
    }
    if ((flags & CKF_SIGN) != 0) {
        p11_op_end(&s->sign);
    }
    if ((flags & CKF_VERIFY) != 0) {
        p11_op_end(&s->verify);
    }
    if ((flags & CKF_DIGEST) != 0) {
        p11_op_end(&s->digest);
    }
    if ((flags & CKF_MESSAGE_SIGN) != 0) {
        p11_op_end(&s->message_sign);
    }
    if ((flags & CKF_MESSAGE_VERIFY) != 0) {
        p11_op_end(&s->message_verify);
    }
    return CKR_OK;
}
