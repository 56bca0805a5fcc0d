#include "support/p11_calls.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "pkcs11-provider/session.h"
#include "support/fake_engine.h"

static void sessions_open_with_the_right_flags_only(void **state)
{
    CK_SESSION_HANDLE s = 0;

    (void)state;
    assert_int_equal(C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, NULL), CKR_ARGUMENTS_BAD);
    assert_int_equal(C_OpenSession(1, CKF_SERIAL_SESSION, NULL, NULL, &s), CKR_SLOT_ID_INVALID);
    assert_int_equal(C_OpenSession(0, 0, NULL, NULL, &s), CKR_SESSION_PARALLEL_NOT_SUPPORTED);
    assert_int_equal(C_OpenSession(0, CKF_SERIAL_SESSION | CKF_ASYNC_SESSION, NULL, NULL, &s),
                     CKR_SESSION_ASYNC_NOT_SUPPORTED);
    P11_OK(C_OpenSession(0, CKF_SERIAL_SESSION, &s, NULL, &s)); /* any pApplication */
}

static void a_closed_handle_never_comes_back(void **state)
{
    CK_SESSION_HANDLE first = p11_open(0);
    CK_SESSION_HANDLE second = 0;
    CK_SESSION_INFO info;

    (void)state;
    P11_OK(C_CloseSession(first));
    assert_int_equal(C_CloseSession(first), CKR_SESSION_HANDLE_INVALID);
    assert_int_equal(C_GetSessionInfo(first, &info), CKR_SESSION_HANDLE_INVALID);
    second = p11_open(0);
    assert_int_not_equal(first, second);
    assert_int_equal(C_GetSessionInfo(first, &info), CKR_SESSION_HANDLE_INVALID);
    assert_int_equal(C_CloseSession(0), CKR_SESSION_HANDLE_INVALID);
    assert_int_equal(C_CloseSession(~0ul), CKR_SESSION_HANDLE_INVALID);
}

static void sessions_are_counted_and_limited(void **state)
{
    CK_SESSION_HANDLE *all = calloc(P11_SESSIONS_MAX, sizeof *all);
    CK_SESSION_HANDLE more = 0;
    CK_TOKEN_INFO info;

    (void)state;
    assert_non_null(all);
    for (size_t i = 0; i < P11_SESSIONS_MAX; i++) {
        all[i] = p11_open(i % 2 == 0 ? CKF_RW_SESSION : 0);
    }
    P11_OK(C_GetTokenInfo(0, &info));
    assert_int_equal(info.ulSessionCount, P11_SESSIONS_MAX);
    assert_int_equal(info.ulRwSessionCount, P11_SESSIONS_MAX / 2);
    assert_int_equal(C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &more), CKR_SESSION_COUNT);
    P11_OK(C_CloseSession(all[7]));
    P11_OK(C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &more));
    P11_OK(C_CloseAllSessions(0));
    P11_OK(C_GetTokenInfo(0, &info));
    assert_int_equal(info.ulSessionCount, 0);
    assert_int_equal(C_CloseSession(more), CKR_SESSION_HANDLE_INVALID);
    assert_int_equal(C_CloseAllSessions(9), CKR_SLOT_ID_INVALID);
    free(all);
}

static void state_follows_login_and_read_write(void **state)
{
    const CK_SESSION_HANDLE ro = p11_open(0);
    const CK_SESSION_HANDLE rw = p11_open(CKF_RW_SESSION);
    CK_SESSION_INFO info;

    (void)state;
    P11_OK(C_GetSessionInfo(ro, &info));
    assert_int_equal(info.state, CKS_RO_PUBLIC_SESSION);
    assert_int_equal(info.flags, CKF_SERIAL_SESSION);
    P11_OK(C_GetSessionInfo(rw, &info));
    assert_int_equal(info.state, CKS_RW_PUBLIC_SESSION);
    P11_OK(p11_login(ro, FAKE_PIN)); /* counts for all sessions */
    P11_OK(C_GetSessionInfo(rw, &info));
    assert_int_equal(info.state, CKS_RW_USER_FUNCTIONS);
    P11_OK(C_GetSessionInfo(ro, &info));
    assert_int_equal(info.state, CKS_RO_USER_FUNCTIONS);
    P11_OK(C_Logout(rw));
    P11_OK(C_GetSessionInfo(ro, &info));
    assert_int_equal(info.state, CKS_RO_PUBLIC_SESSION);
    assert_int_equal(C_GetSessionInfo(ro, NULL), CKR_ARGUMENTS_BAD);
}

static void login_follows_the_rules(void **state)
{
    const CK_SESSION_HANDLE s = p11_open(0);
    CK_UTF8CHAR pin[300] = {'1'};

    (void)state;
    assert_int_equal(C_Logout(s), CKR_USER_NOT_LOGGED_IN);
    assert_int_equal(p11_login(s, "wrong"), CKR_PIN_INCORRECT);
    assert_int_equal(p11_login(s, ""), CKR_PIN_INCORRECT);
    assert_int_equal(C_Login(s, CKU_USER, pin, 256), CKR_PIN_LEN_RANGE);
    assert_int_equal(C_Login(s, CKU_USER, NULL, 0), CKR_ARGUMENTS_BAD);
    assert_int_equal(C_Login(s, CKU_SO, pin, 4), CKR_USER_TYPE_INVALID);
    assert_int_equal(C_Login(s, 77, pin, 4), CKR_USER_TYPE_INVALID);
    assert_int_equal(C_Login(s, CKU_CONTEXT_SPECIFIC, pin, 4), CKR_OPERATION_NOT_INITIALIZED);
    assert_int_equal(C_Login(s + 1, CKU_USER, pin, 4), CKR_SESSION_HANDLE_INVALID);
    P11_OK(p11_login(s, FAKE_PIN));
    assert_int_equal(p11_login(s, FAKE_PIN), CKR_USER_ALREADY_LOGGED_IN);
    P11_OK(C_Logout(s));
    assert_int_equal(atomic_load(&fake.forget_calls), 1); /* shares are forgotten at once */
    P11_OK(p11_login(s, FAKE_PIN));
}

static void a_broken_wrapping_token_is_a_device_error(void **state)
{
    const CK_SESSION_HANDLE s = p11_open(0);

    (void)state;
    atomic_store(&fake.fail_unlock, TDSA_E_WRAPPING);
    assert_int_equal(p11_login(s, FAKE_PIN), CKR_DEVICE_ERROR);
}

static void the_last_session_logs_out(void **state)
{
    const CK_SESSION_HANDLE a = p11_open(0);
    const CK_SESSION_HANDLE b = p11_open(0);
    CK_SESSION_INFO info;
    CK_SESSION_HANDLE c = 0;

    (void)state;
    P11_OK(p11_login(a, FAKE_PIN));
    P11_OK(C_CloseSession(a));
    P11_OK(C_GetSessionInfo(b, &info));
    assert_int_equal(info.state, CKS_RO_USER_FUNCTIONS);
    P11_OK(C_CloseSession(b));
    c = p11_open(0);
    P11_OK(C_GetSessionInfo(c, &info));
    assert_int_equal(info.state, CKS_RO_PUBLIC_SESSION);
    P11_OK(p11_login(c, FAKE_PIN));
    P11_OK(C_CloseAllSessions(0));
    c = p11_open(0);
    assert_int_equal(C_Logout(c), CKR_USER_NOT_LOGGED_IN);
}

/* PKCS#11, C_Logout: "any of the application's handles to private objects become invalid (even if a user is
 * later logged back into the token, those handles remain invalid)". */
static void handles_of_private_objects_end_with_the_login(void **state)
{
    const CK_SESSION_HANDLE s = p11_open_user();
    CK_MECHANISM mech = {CKM_ECDSA, NULL, 0};
    CK_OBJECT_HANDLE pub = 0;
    CK_OBJECT_HANDLE priv = 0;
    CK_OBJECT_HANDLE anew = 0;
    CK_OBJECT_HANDLE before = 0;
    CK_ULONG size = 0;

    (void)state;
    p11_make_pair(s, "a", &pub, &priv);
    for (unsigned i = 0; i < 3; i++) {
        before = priv;
        P11_OK(C_Logout(s));
        assert_int_equal(C_SignInit(s, &mech, before), CKR_USER_NOT_LOGGED_IN);
        P11_OK(p11_login(s, FAKE_PIN));
        assert_int_equal(C_GetObjectSize(s, before, &size), CKR_OBJECT_HANDLE_INVALID);
        assert_int_equal(C_SignInit(s, &mech, before), CKR_KEY_HANDLE_INVALID);
        assert_int_equal(C_DestroyObject(s, before), CKR_OBJECT_HANDLE_INVALID);
        anew = p11_one_labelled(s, CKO_PRIVATE_KEY, "a");
        assert_int_not_equal(anew, before);
        P11_OK(C_SignInit(s, &mech, anew));
        P11_OK(C_SessionCancel(s, CKF_SIGN));
        assert_int_equal(p11_one_labelled(s, CKO_PUBLIC_KEY, "a"), pub); /* as ever */
        priv = anew;
    }
    P11_OK(C_CloseSession(s)); /* the last one */
    assert_int_equal(C_GetObjectSize(p11_open_user(), priv, &size), CKR_OBJECT_HANDLE_INVALID);
}

static void login_user_takes_no_name(void **state)
{
    const CK_SESSION_HANDLE s = p11_open(0);
    CK_UTF8CHAR pin[] = FAKE_PIN;
    CK_UTF8CHAR name[] = "alice";

    (void)state;
    assert_int_equal(C_LoginUser(s, CKU_USER, pin, 4, name, 5), CKR_USER_TYPE_INVALID);
    P11_OK(C_LoginUser(s, CKU_USER, pin, 4, NULL, 0));
}

static void a_token_without_login_is_always_open(void **state)
{
    CK_TOKEN_INFO info;
    CK_SESSION_HANDLE s = 0;
    CK_OBJECT_HANDLE pub = 0;
    CK_OBJECT_HANDLE priv = 0;

    (void)state;
    P11_OK(p11_restart("  login: never\n"));
    P11_OK(C_GetTokenInfo(0, &info));
    assert_int_equal(info.flags & CKF_LOGIN_REQUIRED, 0);
    s = p11_open(CKF_RW_SESSION);
    p11_make_pair(s, "a", &pub, &priv);
    P11_OK(p11_login(s, "anything"));
    P11_OK(C_Logout(s));
    P11_OK(C_CloseSession(s));
    s = p11_open(CKF_RW_SESSION);
    P11_OK(C_DestroyObject(s, priv));
}

static void cancel_ends_the_named_operations(void **state)
{
    const CK_SESSION_HANDLE s = p11_open_user();
    CK_OBJECT_HANDLE pub = 0;
    CK_OBJECT_HANDLE priv = 0;
    CK_MECHANISM mech = {CKM_ECDSA, NULL, 0};
    CK_MECHANISM sha = {CKM_SHA256, NULL, 0};

    (void)state;
    p11_make_pair(s, "a", &pub, &priv);
    for (int i = 0; i < 2; i++) {
        P11_OK(C_SignInit(s, &mech, priv));
        P11_OK(C_VerifyInit(s, &mech, pub));
        P11_OK(C_DigestInit(s, &sha));
        P11_OK(C_FindObjectsInit(s, NULL, 0));
        P11_OK(C_SessionCancel(s, CKF_SIGN | CKF_VERIFY | CKF_DIGEST | CKF_FIND_OBJECTS));
    }
    P11_OK(C_SignInit(s, &mech, priv));
    P11_OK(C_SessionCancel(s, CKF_VERIFY));
    assert_int_equal(C_SignInit(s, &mech, priv), CKR_OPERATION_ACTIVE);
    P11_OK(C_SignInit(s, NULL, 0)); /* version 3.0: a NULL mechanism cancels */
    P11_OK(C_SignInit(s, &mech, priv));
}

static sem_t signing;
static sem_t go_on;

static void wait_in_sign(void)
{
    assert_int_equal(sem_post(&signing), 0);
    assert_int_equal(sem_wait(&go_on), 0);
}

static void *sign_in_thread(void *session)
{
    CK_BYTE digest[32] = {1};
    CK_BYTE signature[64];
    CK_ULONG len = sizeof signature;
    static CK_RV rv;

    rv = C_Sign(*(const CK_SESSION_HANDLE *)session, digest, sizeof digest, signature, &len);
    return &rv;
}

/* PKCS#11 3.0, C_SessionCancel: who cannot cancel says so, and does not wait. */
static void a_signature_under_way_cannot_be_cancelled(void **state)
{
    CK_SESSION_HANDLE s = p11_open_user();
    CK_MECHANISM mech = {CKM_ECDSA, NULL, 0};
    CK_OBJECT_HANDLE pub = 0;
    CK_OBJECT_HANDLE priv = 0;
    pthread_t thread;
    void *rv = NULL;

    (void)state;
    p11_make_pair(s, "a", &pub, &priv);
    P11_OK(C_SignInit(s, &mech, priv));
    assert_int_equal(sem_init(&signing, 0, 0) + sem_init(&go_on, 0, 0), 0);
    fake.in_sign = wait_in_sign;
    assert_int_equal(pthread_create(&thread, NULL, sign_in_thread, &s), 0);
    assert_int_equal(sem_wait(&signing), 0);
    assert_int_equal(C_SessionCancel(s, CKF_SIGN), CKR_OPERATION_CANCEL_FAILED);
    assert_int_equal(C_SessionCancel(s, CKF_MESSAGE_SIGN), CKR_OPERATION_CANCEL_FAILED);
    assert_int_equal(C_SessionCancel(s + 1, CKF_SIGN), CKR_SESSION_HANDLE_INVALID);
    assert_int_equal(sem_post(&go_on), 0);
    assert_int_equal(pthread_join(thread, &rv), 0);
    fake.in_sign = NULL;
    P11_OK(*(const CK_RV *)rv);
    P11_OK(C_SessionCancel(s, CKF_SIGN));
}

#define ROUNDS 2000

static atomic_bool opened_all;

static void *open_and_look(void *unused)
{
    CK_SESSION_HANDLE s = 0;
    CK_SESSION_INFO info;

    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        if (C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &s) != CKR_OK) {
            abort();
        }
        (void)C_GetSessionInfo(s, &info); /* may be closed already */
    }
    atomic_store(&opened_all, true);
    return NULL;
}

/* The memory of a session may be gone before C_OpenSession returns; the sanitizers see who looks. */
static void sessions_open_while_another_thread_closes_all(void **state)
{
    pthread_t thread;

    (void)state;
    atomic_store(&opened_all, false);
    assert_int_equal(pthread_create(&thread, NULL, open_and_look, NULL), 0);
    while (!atomic_load(&opened_all)) {
        P11_OK(C_CloseAllSessions(0));
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, p11_setup, p11_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sessions_open_with_the_right_flags_only),
        TEST(a_closed_handle_never_comes_back),
        TEST(sessions_are_counted_and_limited),
        TEST(state_follows_login_and_read_write),
        TEST(login_follows_the_rules),
        TEST(a_broken_wrapping_token_is_a_device_error),
        TEST(the_last_session_logs_out),
        TEST(handles_of_private_objects_end_with_the_login),
        TEST(login_user_takes_no_name),
        TEST(a_token_without_login_is_always_open),
        TEST(cancel_ends_the_named_operations),
        TEST(a_signature_under_way_cannot_be_cancelled),
        TEST(sessions_open_while_another_thread_closes_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
