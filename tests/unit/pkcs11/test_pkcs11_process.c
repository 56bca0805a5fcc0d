#include "support/p11_fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>

#include "support/fake_engine.h"

/* Runs `body` in a child and gives its exit code; signals count as 128 + number. */
static int in_child(int (*body)(void))
{
    int status = 0;
    const pid_t pid = fork();

    if (pid == 0) {
        _exit(body());
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The allocator of AddressSanitizer hangs in a child that is forked while other threads allocate. */
#ifdef TDSA_ASAN
#    define FORK_WITH_THREADS_HANGS 1
#else
#    define FORK_WITH_THREADS_HANGS 0
#endif

#define CHECK(cond)                     \
    do {                                \
        if (!(cond)) {                  \
            return __LINE__ % 100 + 10; \
        }                               \
    } while (0)

static CK_SESSION_HANDLE session;
static CK_OBJECT_HANDLE pub, priv;

static CK_RV sign_once(CK_SESSION_HANDLE s)
{
    CK_MECHANISM mech = {CKM_ECDSA, NULL, 0};
    CK_BYTE digest[32] = {1};
    CK_BYTE sig[64];
    CK_ULONG len = sizeof sig;
    const CK_RV rv = C_SignInit(s, &mech, priv);

    return rv == CKR_OK ? C_Sign(s, digest, sizeof digest, sig, &len) : rv;
}

static int setup(void **state)
{
    if (p11_setup(state) != 0) {
        return -1;
    }
    session = p11_open_user();
    p11_make_pair(session, "a", &pub, &priv);
    return 0;
}

static int child_that_does_nothing(void)
{
    return 0;
}

static int child_that_initialises(void)
{
    CK_UTF8CHAR pin[] = FAKE_PIN;
    CK_SESSION_HANDLE s = 0;
    CK_OBJECT_HANDLE found[2];
    CK_ULONG n = 0;
    CK_INFO info;

    CHECK(C_GetInfo(&info) == CKR_CRYPTOKI_NOT_INITIALIZED);
    CHECK(sign_once(session) == CKR_CRYPTOKI_NOT_INITIALIZED);
    CHECK(C_Finalize(NULL) == CKR_CRYPTOKI_NOT_INITIALIZED);
    CHECK(C_Initialize(NULL) == CKR_OK);
    CHECK(atomic_load(&fake.engine_abandoned) == 1);
    CHECK(atomic_load(&fake.store_abandoned) == 1);
    CHECK(C_Initialize(NULL) == CKR_CRYPTOKI_ALREADY_INITIALIZED);
    CHECK(C_CloseSession(session) == CKR_SESSION_HANDLE_INVALID); /* sessions stay behind */
    CHECK(C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &s) == CKR_OK);
    CHECK(C_Logout(s) == CKR_USER_NOT_LOGGED_IN);
    CHECK(C_Login(s, CKU_USER, pin, 4) == CKR_OK);
    CHECK(C_FindObjectsInit(s, NULL, 0) == CKR_OK);
    CHECK(C_FindObjects(s, found, 2, &n) == CKR_OK);
    CHECK(n == 2);
    CHECK(sign_once(s) == CKR_OK);
    CHECK(C_Finalize(NULL) == CKR_OK);
    return 0;
}

static void a_child_initialises_afresh_and_the_parent_goes_on(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(in_child(child_that_initialises), 0);
        P11_OK(sign_once(session));
    }
    assert_int_equal(atomic_load(&fake.fork_prepared), 4); /* the keystore was kept still */
    assert_int_equal(atomic_load(&fake.fork_released), 4);
}

static void fork_without_the_module_is_left_alone(void **state)
{
    (void)state;
    P11_OK(C_Finalize(NULL));
    assert_int_equal(in_child(child_that_does_nothing), 0);
    assert_int_equal(atomic_load(&fake.fork_prepared), 0);
}

static void fork_here(void)
{
    const pid_t pid = fork();

    if (pid == 0) {
        _exit(0);
    }
    (void)waitpid(pid, NULL, 0);
}

static void a_library_inside_our_call_may_fork(void **state)
{
    (void)state;
    fake.in_sign = fork_here;
    P11_OK(sign_once(session));
    fake.in_sign = NULL;
    assert_int_equal(atomic_load(&fake.fork_prepared), 0); /* it may hold the keystore itself */
    P11_OK(sign_once(session));
}

static void raise_an_error(void)
{
    ERR_raise(ERR_LIB_USER, ERR_R_INTERNAL_ERROR);
}

/* nginx takes whatever it finds in the queue for the reason why its own handshake failed. */
static void errors_of_our_libraries_do_not_stay_in_openssls_queue(void **state)
{
    (void)state;
    fake.in_sign = raise_an_error;
    ERR_clear_error();
    P11_OK(sign_once(session));
    assert_int_equal(ERR_peek_error(), 0);
    ERR_raise(ERR_LIB_USER, ERR_R_PASSED_NULL_PARAMETER); /* the host's own stays */
    P11_OK(sign_once(session));
    fake.in_sign = NULL;
    assert_int_equal(ERR_GET_REASON(ERR_get_error()), ERR_R_PASSED_NULL_PARAMETER);
    assert_int_equal(ERR_get_error(), 0);
}

static void *sign_for_a_while(void *arg)
{
    atomic_bool *stop = arg;
    CK_SESSION_HANDLE s = 0;

    while (!atomic_load(stop)) {
        if (C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &s) == CKR_OK) {
            (void)sign_once(s);
            (void)C_CloseSession(s);
        }
    }
    return NULL;
}

static void a_child_of_a_busy_parent_initialises_too(void **state)
{
    static atomic_bool stop;
    pthread_t threads[4];

    (void)state;
    if (FORK_WITH_THREADS_HANGS) {
        skip();
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, sign_for_a_while, &stop), 0);
    }
    for (int i = 0; i < 10; i++) { /* whatever lock another thread holds at that moment */
        const pid_t pid = fork();
        int status = 0;

        if (pid == 0) {
            alarm(20);
            _exit(C_Initialize(NULL) == CKR_OK && C_Finalize(NULL) == CKR_OK ? 0 : 1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
}

static bool in_exit_test;

/* Registered before the module's own handler, as OpenSSL's clean-up is: runs after it. */
static void at_exit(void)
{
    CK_SESSION_HANDLE s = 0;

    if (!in_exit_test) {
        return;
    }
    if (C_CloseSession(session) != CKR_OK || C_CloseAllSessions(0) != CKR_OK ||
        C_Logout(session) != CKR_OK || C_Finalize(NULL) != CKR_OK || C_Finalize(NULL) != CKR_OK ||
        C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &s) != CKR_CRYPTOKI_NOT_INITIALIZED ||
        C_Initialize(NULL) != CKR_GENERAL_ERROR || atomic_load(&fake.stop_calls) != 0) {
        _exit(3);
    }
    _exit(42); /* a handler cannot return an exit code */
}

static void calls_inside_exit_answer_and_touch_nothing(void **state)
{
    int status = 0;
    pid_t pid = 0;

    (void)state;
    P11_OK(C_Finalize(NULL));
    pid = fork();
    if (pid == 0) {
        in_exit_test = true;
        atomic_store(&fake.stop_calls, 0);
        if (C_Initialize(NULL) != CKR_OK ||
            C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &session) != CKR_OK) {
            _exit(2);
        }
        exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);
}

static int child_whose_host_cleans_openssl_up(void)
{
    CHECK(C_Initialize(NULL) == CKR_OK);
    CHECK(C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &session) == CKR_OK);
    OPENSSL_cleanup(); /* by hand, long before exit() */
    CHECK(C_GetInfo(&(CK_INFO){0}) == CKR_CRYPTOKI_NOT_INITIALIZED);
    CHECK(C_CloseSession(session) == CKR_OK);
    CHECK(C_Finalize(NULL) == CKR_OK);
    CHECK(atomic_load(&fake.stop_calls) == 0);
    return 0;
}

static void after_openssl_was_cleaned_up_nothing_is_touched(void **state)
{
    (void)state;
    assert_int_equal(in_child(child_whose_host_cleans_openssl_up), 0);
}

static int child_with_our_own_bug(void)
{
    CK_INFO info;

    CHECK(C_Initialize(NULL) == CKR_OK);
    CHECK(C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &session) == CKR_OK);
    {
        CK_UTF8CHAR pin[] = FAKE_PIN;
        CK_OBJECT_HANDLE found[2];
        CK_ULONG n = 0;

        CHECK(C_Login(session, CKU_USER, pin, 4) == CKR_OK);
        CHECK(C_FindObjectsInit(session, NULL, 0) == CKR_OK);
        CHECK(C_FindObjects(session, found, 2, &n) == CKR_OK && n == 2);
    }
    atomic_store(&fake.assert_in_sign, true);
    CHECK(sign_once(session) == CKR_GENERAL_ERROR);
    atomic_store(&fake.assert_in_sign, false);
    CHECK(sign_once(session) == CKR_GENERAL_ERROR); /* dead, and never abort() */
    CHECK(C_GetInfo(&info) == CKR_GENERAL_ERROR);
    CHECK(C_CloseSession(session) == CKR_GENERAL_ERROR);
    CHECK(C_Finalize(NULL) == CKR_GENERAL_ERROR);
    CHECK(C_Initialize(NULL) == CKR_GENERAL_ERROR);
    return 0;
}

static void a_failed_assertion_ends_in_general_error(void **state)
{
    (void)state;
    assert_int_equal(in_child(child_with_our_own_bug), 0);
}

static CK_RV inner_rv;

static void call_back_into_us(void)
{
    inner_rv = C_GetInfo(&(CK_INFO){0});
}

static void recursion_is_an_error_and_no_loop(void **state)
{
    (void)state;
    fake.in_sign = call_back_into_us;
    P11_OK(sign_once(session));
    assert_int_equal(inner_rv, CKR_FUNCTION_FAILED);
    fake.in_sign = NULL;
    P11_OK(C_GetInfo(&(CK_INFO){0}));
}

typedef struct {
    CK_RV rv;
    unsigned count;
} worker_result;

static void *sign_many(void *arg)
{
    worker_result *r = arg;
    CK_SESSION_HANDLE s = 0;

    for (unsigned i = 0; i < r->count && r->rv == CKR_OK; i++) {
        r->rv = C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &s);
        if (r->rv == CKR_OK) {
            r->rv = sign_once(s);
            (void)C_CloseSession(s);
        }
    }
    return NULL;
}

static void threads_sign_at_the_same_time(void **state)
{
    worker_result results[8] = {{0}};
    pthread_t threads[8];

    (void)state;
    for (size_t i = 0; i < 8; i++) {
        results[i].count = 50;
        assert_int_equal(pthread_create(&threads[i], NULL, sign_many, &results[i]), 0);
    }
    for (unsigned i = 0; i < 20; i++) { /* the main thread changes names and keys under them */
        char name[8];
        CK_ATTRIBUTE a = {CKA_LABEL, name, 4};

        snprintf(name, sizeof name, "n%03u", i);
        P11_OK(C_SetAttributeValue(session, priv, &a, 1));
        fake_other_process_adds(name, GRP_P256, name);
        P11_OK(C_FindObjectsInit(session, &a, 1));
        P11_OK(C_FindObjectsFinal(session));
    }
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(results[i].rv, CKR_OK);
    }
    assert_int_equal(atomic_load(&fake.sign_calls), 400);
}

typedef struct {
    pthread_barrier_t both_inside;
    CK_RV rv[2];
} meeting;

static meeting meet;

static void wait_for_the_other(void)
{
    (void)pthread_barrier_wait(&meet.both_inside);
}

static void *sign_in_company(void *arg)
{
    CK_RV *rv = arg;
    CK_SESSION_HANDLE s = 0;

    *rv = C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &s);
    *rv = *rv == CKR_OK ? sign_once(s) : *rv;
    return NULL;
}

static void no_lock_is_held_over_the_network(void **state)
{
    pthread_t threads[2];

    (void)state;
    assert_int_equal(pthread_barrier_init(&meet.both_inside, NULL, 2), 0);
    fake.in_sign = wait_for_the_other; /* passes only when both runs are under way at once */
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, sign_in_company, &meet.rv[i]), 0);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(meet.rv[i], CKR_OK);
    }
    (void)pthread_barrier_destroy(&meet.both_inside);
}

static pthread_barrier_t inside;

static void tell_inside(void)
{
    (void)pthread_barrier_wait(&inside);
}

static void *sign_slowly(void *arg)
{
    CK_RV *rv = arg;

    *rv = sign_once(session);
    return NULL;
}

static void finalize_cancels_what_runs(void **state)
{
    pthread_t thread;
    CK_RV rv = CKR_OK;

    (void)state;
    assert_int_equal(pthread_barrier_init(&inside, NULL, 2), 0);
    atomic_store(&fake.sign_delay_ms, 60000);
    fake.in_sign = tell_inside;
    assert_int_equal(pthread_create(&thread, NULL, sign_slowly, &rv), 0);
    (void)pthread_barrier_wait(&inside);
    P11_OK(C_Finalize(NULL));
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(rv, CKR_CRYPTOKI_NOT_INITIALIZED);
    (void)pthread_barrier_destroy(&inside);
}

static void a_session_closed_under_a_signature_does_no_harm(void **state)
{
    pthread_t thread;
    CK_RV rv = CKR_GENERAL_ERROR;

    (void)state;
    assert_int_equal(pthread_barrier_init(&inside, NULL, 2), 0);
    atomic_store(&fake.sign_delay_ms, 30);
    fake.in_sign = tell_inside;
    assert_int_equal(pthread_create(&thread, NULL, sign_slowly, &rv), 0);
    (void)pthread_barrier_wait(&inside);
    P11_OK(C_CloseSession(session));
    assert_int_equal(C_CloseSession(session), CKR_SESSION_HANDLE_INVALID);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(rv, CKR_OK); /* it had begun */
    (void)pthread_barrier_destroy(&inside);
}

static void log_lines_name_call_code_and_reason_and_no_pin(void **state)
{
    char path[] = "/tmp/tdsa-p11-log-XXXXXX";
    char text[4096] = {0};
    const int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    P11_OK(C_Finalize(NULL));
    setenv("TDSA_PKCS11_LOG", "debug", 1);
    setenv("TDSA_PKCS11_LOG_FILE", path, 1);
    P11_OK(C_Initialize(NULL));
    unsetenv("TDSA_PKCS11_LOG");
    unsetenv("TDSA_PKCS11_LOG_FILE");
    session = p11_open(0);
    assert_int_equal(p11_login(session, "7391-secret"), CKR_PIN_INCORRECT);
    P11_OK(p11_login(session, FAKE_PIN));
    {
        CK_ULONG n = 0;

        P11_OK(C_FindObjectsInit(session, NULL, 0));
        P11_OK(C_FindObjects(session, &priv, 1, &n));
        P11_OK(C_FindObjects(session, &priv, 1, &n));
    }
    P11_OK(sign_once(session));
    atomic_store(&fake.fail_sign, TDSA_E_UNAVAILABLE);
    assert_int_equal(sign_once(session), CKR_DEVICE_REMOVED);
    P11_OK(C_Finalize(NULL));
    P11_OK(C_Initialize(NULL)); /* closes the file */
    assert_true(read(fd, text, sizeof text - 1) > 0);
    assert_non_null(strstr(text, "ERROR C_Login: CKR_PIN_INCORRECT: the PIN is wrong"));
    assert_non_null(strstr(text, "ERROR C_Sign: CKR_DEVICE_REMOVED: UNAVAILABLE: the test"));
    assert_non_null(strstr(text, "session fake-ses)")); /* what the peers log too */
    assert_null(strstr(text, "7391"));
    (void)close(fd);
    (void)unlink(path);
}

static void the_log_never_writes_into_a_descriptor_of_the_host(void **state)
{
    char path[] = "/tmp/tdsa-p11-log-XXXXXX";
    char other[] = "/tmp/tdsa-p11-other-XXXXXX";
    struct stat log_info;
    struct stat info;
    int fd = mkstemp(path);

    (void)state;
    assert_int_equal(fstat(fd, &log_info), 0);
    (void)close(fd);
    P11_OK(C_Finalize(NULL));
    setenv("TDSA_PKCS11_LOG", "debug", 1);
    setenv("TDSA_PKCS11_LOG_FILE", path, 1);
    P11_OK(C_Initialize(NULL));
    unsetenv("TDSA_PKCS11_LOG");
    unsetenv("TDSA_PKCS11_LOG_FILE");
    for (int i = 3; i < 1024; i++) { /* a host that becomes a daemon closes what it does not know */
        if (fstat(i, &info) == 0 && info.st_ino == log_info.st_ino) {
            (void)close(i);
        }
    }
    fd = mkstemp(other); /* takes the number */
    P11_OK(C_GetInfo(&(CK_INFO){0}));
    assert_int_equal(fstat(fd, &info), 0);
    assert_int_equal(info.st_size, 0);
    P11_OK(C_Finalize(NULL));
    P11_OK(C_Initialize(NULL));
    (void)close(fd);
    (void)unlink(path);
    (void)unlink(other);
}

/* The tests below load the library as an application does. */

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, p11_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_child_initialises_afresh_and_the_parent_goes_on),
        TEST(fork_without_the_module_is_left_alone),
        TEST(a_library_inside_our_call_may_fork),
        TEST(errors_of_our_libraries_do_not_stay_in_openssls_queue),
        TEST(a_child_of_a_busy_parent_initialises_too),
        TEST(calls_inside_exit_answer_and_touch_nothing),
        TEST(after_openssl_was_cleaned_up_nothing_is_touched),
        TEST(a_failed_assertion_ends_in_general_error),
        TEST(recursion_is_an_error_and_no_loop),
        TEST(threads_sign_at_the_same_time),
        TEST(no_lock_is_held_over_the_network),
        TEST(finalize_cancels_what_runs),
        TEST(a_session_closed_under_a_signature_does_no_harm),
        TEST(log_lines_name_call_code_and_reason_and_no_pin),
        TEST(the_log_never_writes_into_a_descriptor_of_the_host),
    };

    if (atexit(at_exit) != 0) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
