#include "keystore/wrap_module.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SLOTS_MAX 256u

/* SoftHSM rewrites a token's file at every login; a process that starts at that moment does not see
 * the token at all. Several workers of one server do log in at once. */
#define FIND_TRIES    10u
#define FIND_PAUSE_NS 20000000L

tdsa_status ks_wrap_fail(ks_wrap *w, CK_RV rv, const char *what, tdsa_err *err)
{
    char number[32];

    w->rv = rv;
    return TDSA_FAIL(err, TDSA_E_WRAPPING, "wrapping token %s: %s: %s", w->uri->token_name, what,
                     ks_ckr_name(rv, number));
}

static tdsa_status load(ks_wrap *w, tdsa_err *err)
{
    const char *path = w->uri->module_path;
    CK_C_GetFunctionList get_list = NULL;
    void *symbol = NULL;
    CK_RV rv;

    w->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (w->library == NULL) {
        return TDSA_FAIL(err, TDSA_E_WRAPPING, "the module of the wrapping token does not load: %s",
                         dlerror());
    }
    symbol = dlsym(w->library, "C_GetFunctionList");
    if (symbol == NULL) {
        return TDSA_FAIL(err, TDSA_E_WRAPPING, "%.120s is not a PKCS#11 module", path);
    }
    memcpy(&get_list, &symbol, sizeof get_list);
    rv = get_list(&w->f);
    if (rv != CKR_OK) {
        return ks_wrap_fail(w, rv, "C_GetFunctionList", err);
    }
    if (w->f == NULL || w->f->version.major < 2) {
        return TDSA_FAIL(err, TDSA_E_WRAPPING, "%.120s is not a PKCS#11 2.x or 3.x module", path);
    }
    return TDSA_OK;
}

static tdsa_status initialize(ks_wrap *w, tdsa_err *err)
{
    CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK | CKF_LIBRARY_CANT_CREATE_OS_THREADS};
    CK_RV rv = w->f->C_Initialize(&args);

    if (rv == CKR_NEED_TO_CREATE_THREADS) {
        args.flags = CKF_OS_LOCKING_OK;
        rv = w->f->C_Initialize(&args);
    }
    if (rv == CKR_CRYPTOKI_ALREADY_INITIALIZED) {
        /* the application's: leave it as it is */
        w->finalize = w->memory != NULL && w->memory->left_open;
        return TDSA_OK;
    }
    if (rv != CKR_OK) {
        return ks_wrap_fail(w, rv, "C_Initialize", err);
    }
    w->finalize = true;
    return TDSA_OK;
}

static void finalize(ks_wrap *w)
{
    const CK_RV rv = w->f->C_Finalize(NULL);

    w->finalize = false;
    if (w->memory != NULL) {
        w->memory->left_open = rv != CKR_OK && rv != CKR_CRYPTOKI_NOT_INITIALIZED;
    }
}

static bool slot_matches(ks_wrap *w, CK_SLOT_ID slot, CK_TOKEN_INFO *token)
{
    const CK_SLOT_ID wanted = p11_kit_uri_get_slot_id(w->uri->uri);
    CK_SLOT_INFO info;

    if (wanted != (CK_SLOT_ID)-1 && wanted != slot) {
        return false;
    }
    return w->f->C_GetSlotInfo(slot, &info) == CKR_OK &&
           p11_kit_uri_match_slot_info(w->uri->uri, &info) == 1 &&
           w->f->C_GetTokenInfo(slot, token) == CKR_OK &&
           (token->flags & CKF_TOKEN_INITIALIZED) != 0 &&
           p11_kit_uri_match_token_info(w->uri->uri, token) == 1;
}

static tdsa_status find_token(ks_wrap *w, CK_SLOT_ID *slot, CK_TOKEN_INFO *token, tdsa_err *err)
{
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG count = SLOTS_MAX;
    CK_TOKEN_INFO info;
    unsigned found = 0;
    const CK_RV rv = w->f->C_GetSlotList(CK_TRUE, slots, &count);

    if (rv != CKR_OK) {
        return ks_wrap_fail(w, rv, "C_GetSlotList", err);
    }
    for (CK_ULONG i = 0; i < count && i < SLOTS_MAX; i++) {
        if (slot_matches(w, slots[i], &info)) {
            found++;
            *slot = slots[i];
            *token = info;
        }
    }
    if (found == 1) {
        return TDSA_OK;
    }
    w->missing = found == 0;
    if (found > 1) {
        return TDSA_FAIL(err, TDSA_E_WRAPPING,
                         "%u wrapping tokens match '%s': add serial= or slot-id= to the URI", found,
                         w->uri->token_name);
    }
    return TDSA_FAIL(err, TDSA_E_WRAPPING,
                     "wrapping token %s is missing (%lu other tokens in %.80s): plug it in, or "
                     "check the URI and the module's configuration",
                     w->uri->token_name, count, w->uri->module_path);
}

static bool is_wrong_pin(CK_RV rv)
{
    return rv == CKR_PIN_INCORRECT || rv == CKR_PIN_INVALID || rv == CKR_PIN_LEN_RANGE;
}

static bool is_about_pin(CK_RV rv)
{
    return is_wrong_pin(rv) || rv == CKR_PIN_EXPIRED || rv == CKR_PIN_LOCKED ||
           rv == CKR_USER_PIN_NOT_INITIALIZED;
}

void ks_wrap_memory_clear(ks_wrap_memory *m)
{
    tdsa_secret_free(m->refused_pin);
    *m = (ks_wrap_memory){NULL, false, false};
}

static void forget_pin(ks_wrap_memory *m)
{
    tdsa_secret_free(m->refused_pin);
    m->refused_pin = NULL;
    m->was_low = false;
}

/* Out of memory: it may be tried once more. */
static void remember_pin(const ks_wrap *w, const ks_wrap_pin *pin)
{
    tdsa_err ignored;

    if (pin->from_config && w->memory != NULL && pin->text != NULL && pin->len > 0) {
        forget_pin(w->memory);
        if (tdsa_secret_copy(&w->memory->refused_pin, (const uint8_t *)pin->text, pin->len,
                             &ignored) != TDSA_OK) {
            w->memory->refused_pin = NULL;
        }
    }
}

/* Whether the token would be asked what it answered already. */
static bool was_refused(const ks_wrap *w, const CK_TOKEN_INFO *token, const ks_wrap_pin *pin)
{
    ks_wrap_memory *m = w->memory;
    const bool low = (token->flags & CKF_USER_PIN_COUNT_LOW) != 0;

    if (!pin->from_config || m == NULL || m->refused_pin == NULL || pin->text == NULL) {
        return false;
    }
    if (tdsa_secret_len(m->refused_pin) != pin->len ||
        !tdsa_ct_equal(tdsa_secret_view(m->refused_pin), pin->text, pin->len) ||
        (m->was_low && !low)) {
        forget_pin(m);
        return false;
    }
    m->was_low = m->was_low || low;
    return true;
}

/* What can be said without spending a try. */
static tdsa_status check_pin(const ks_wrap *w, const CK_TOKEN_INFO *token, const ks_wrap_pin *pin,
                             tdsa_err *err)
{
    if ((token->flags & CKF_USER_PIN_LOCKED) != 0) {
        return TDSA_FAIL(err, TDSA_E_LOGIN,
                         "the PIN of wrapping token %s is locked: its security officer must set a "
                         "new one",
                         w->uri->token_name);
    }
    if ((token->flags & CKF_USER_PIN_FINAL_TRY) != 0 && pin->from_config) {
        return TDSA_FAIL(err, TDSA_E_LOGIN,
                         "wrapping token %s has one PIN try left, which the PIN of the "
                         "configuration does not get: log in by hand once",
                         w->uri->token_name);
    }
    if (was_refused(w, token, pin)) {
        return TDSA_FAIL(
            err, TDSA_E_LOGIN,
            "wrapping token %s refused the PIN of the configuration, which is not tried "
            "again: correct it, or log in by hand once",
            w->uri->token_name);
    }
    if (pin->text != NULL && (pin->len == 0 || pin->len > KS_WRAP_PIN_MAX)) {
        return TDSA_FAIL(err, TDSA_E_LOGIN, "the PIN of wrapping token %s has 1 to %u bytes",
                         w->uri->token_name, KS_WRAP_PIN_MAX);
    }
    return TDSA_OK;
}

static tdsa_status log_in(ks_wrap *w, const CK_TOKEN_INFO *token, const ks_wrap_pin *pin,
                          tdsa_err *err)
{
    CK_UTF8CHAR copy[KS_WRAP_PIN_MAX];
    char number[32];
    CK_RV rv;
    tdsa_status st = check_pin(w, token, pin, err);

    if (st != TDSA_OK) {
        return st;
    }
    if (pin->text == NULL) { /* a pin pad, which the URI has no PIN for */
        rv = w->f->C_Login(w->session, CKU_USER, NULL, 0);
    } else {
        memcpy(copy, pin->text, pin->len); /* C_Login takes a pointer that is not const */
        rv = w->f->C_Login(w->session, CKU_USER, copy, pin->len);
        tdsa_wipe(copy, sizeof copy);
    }
    if (rv == CKR_OK) {
        w->logout = true;
        return TDSA_OK;
    }
    if (rv == CKR_USER_ALREADY_LOGGED_IN) {
        w->was_logged_in = true;
        return TDSA_OK; /* the application did: its right to use the token is shown */
    }
    w->login_failed = true;
    if (is_about_pin(rv)) {
        w->rv = rv;
        if (is_wrong_pin(rv)) {
            remember_pin(w, pin);
        }
        return TDSA_FAIL(err, TDSA_E_LOGIN, "wrapping token %s refuses the PIN: %s (tried once)",
                         w->uri->token_name, ks_ckr_name(rv, number));
    }
    return ks_wrap_fail(w, rv, "C_Login", err);
}

static tdsa_status open_session(ks_wrap *w, CK_SLOT_ID slot, bool write, tdsa_err *err)
{
    const CK_FLAGS flags = CKF_SERIAL_SESSION | (write ? CKF_RW_SESSION : 0);
    const CK_RV rv = w->f->C_OpenSession(slot, flags, NULL, NULL, &w->session);

    if (rv != CKR_OK) {
        return ks_wrap_fail(w, rv, "C_OpenSession", err);
    }
    w->have_session = true;
    return TDSA_OK;
}

/* A module that looks at its tokens only when it starts is started again. */
static tdsa_status find_token_patiently(ks_wrap *w, CK_SLOT_ID *slot, CK_TOKEN_INFO *token,
                                        tdsa_err *err)
{
    const struct timespec pause = {0, FIND_PAUSE_NS};
    tdsa_status st = find_token(w, slot, token, err);

    for (unsigned i = 1; st != TDSA_OK && w->missing && w->finalize && i < FIND_TRIES; i++) {
        finalize(w);
        (void)nanosleep(&pause, NULL);
        st = initialize(w, err);
        if (st == TDSA_OK) {
            st = find_token(w, slot, token, err);
        }
    }
    return st;
}

tdsa_status ks_wrap_begin(ks_wrap *w, const ks_wrap_way *way, tdsa_err *err)
{
    CK_SLOT_ID slot = 0;
    CK_TOKEN_INFO token = {0};
    tdsa_status st;

    *w = (ks_wrap){.uri = way->uri, .memory = way->memory, .rv = CKR_OK};
    st = load(w, err);
    if (st == TDSA_OK) {
        st = initialize(w, err);
    }
    if (st == TDSA_OK) {
        st = find_token_patiently(w, &slot, &token, err);
    }
    if (st == TDSA_OK) {
        st = open_session(w, slot, way->write, err);
    }
    if (st == TDSA_OK && (token.flags & CKF_LOGIN_REQUIRED) != 0) {
        st = log_in(w, &token, &way->pin, err);
    }
    return st;
}

void ks_wrap_end(ks_wrap *w)
{
    if (w->logout) {
        (void)w->f->C_Logout(w->session);
    }
    if (w->have_session) {
        (void)w->f->C_CloseSession(w->session);
    }
    if (w->finalize) {
        finalize(w);
    }
    if (w->library != NULL) {
        (void)dlclose(w->library);
    }
    *w = (ks_wrap){.rv = w->rv, .login_failed = w->login_failed};
}
