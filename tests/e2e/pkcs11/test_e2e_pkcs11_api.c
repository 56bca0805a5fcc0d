/* The module as an application has it, with the real engine: started by p11_host. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/p11.h"

#define THREADS    8
#define PER_THREAD 40

/* A child gives up what it inherited from its parent, which the leak checkers of memory and of
 * threads cannot know. */
#ifdef TDSA_SANITIZED
#    define CHILD_EXIT _exit
#else
#    define CHILD_EXIT exit /* with all exit handlers, as a real program ends */
#endif
/* The allocator of AddressSanitizer hangs in a child that is forked while other threads allocate. */
#ifdef TDSA_ASAN
#    define FORK_WITH_THREADS_HANGS 1
#else
#    define FORK_WITH_THREADS_HANGS 0
#endif

static p11 module;
static const char *pin;

static int setup_all(void **state)
{
    (void)state;
    pin = getenv("TDSA_PIN");
    if (!p11_open(&module, getenv("TDSA_PKCS11_MODULE"), getenv("TDSA_TOKEN"))) {
        return -1;
    }
    return p11_log_in(&module, pin) ? 0 : -1;
}

static int teardown_all(void **state)
{
    (void)state;
    p11_close(&module);
    return 0;
}

/* Signs and verifies with the public key object of the same module. */
static CK_RV sign_and_verify(const p11 *p, CK_SESSION_HANDLE s, uint8_t tag, uint8_t r[32])
{
    CK_MECHANISM mech = {CKM_ECDSA, NULL, 0};
    unsigned char digest[32] = {1, tag};
    unsigned char sig[64];
    CK_RV rv = p11_sign(p, s, digest, sig);

    if (rv == CKR_OK) {
        rv = p->f->C_VerifyInit(s, &mech, p->public_key);
    }
    if (rv == CKR_OK) {
        rv = p->f->C_Verify(s, digest, sizeof digest, sig, sizeof sig);
    }
    memcpy(r, sig, 32);
    return rv;
}

static void both_curves_sign_and_verify(void **state)
{
    static const char *const curves[] = {"secp256k1", "p256"};
    uint8_t r[32];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(p11_make_key(&module, curves[i], curves[i]), CKR_OK);
        for (uint8_t n = 0; n < 5; n++) {
            assert_int_equal(sign_and_verify(&module, module.session, n, r), CKR_OK);
        }
    }
}

typedef struct {
    CK_RV rv;
    uint8_t r[PER_THREAD][32];
} worker;

static void *sign_many(void *arg)
{
    worker *w = arg;
    CK_SESSION_HANDLE s = 0;

    if (!p11_open_session(&module, &s)) {
        w->rv = CKR_GENERAL_ERROR;
        return NULL;
    }
    for (uint8_t i = 0; i < PER_THREAD && w->rv == CKR_OK; i++) {
        w->rv = sign_and_verify(&module, s, i, w->r[i]);
    }
    (void)module.f->C_CloseSession(s);
    return NULL;
}

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, 32);
}

static void threads_sign_at_once_and_no_r_repeats(void **state)
{
    static worker workers[THREADS];
    static uint8_t all[THREADS * PER_THREAD][32];
    pthread_t threads[THREADS];

    (void)state;
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, sign_many, &workers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(workers[i].rv, CKR_OK);
        memcpy(all[i * PER_THREAD], workers[i].r, sizeof workers[i].r);
    }
    qsort(all, THREADS * PER_THREAD, 32, by_bytes);
    for (size_t i = 1; i < THREADS * PER_THREAD; i++) {
        assert_memory_not_equal(all[i - 1], all[i], 32);
    }
}

/* What a worker of nginx does: initialise again, log in, find, sign. */
static int child(void)
{
    p11 mine = {0};
    uint8_t r[32];

    if (!p11_open(&mine, getenv("TDSA_PKCS11_MODULE"), getenv("TDSA_TOKEN")) ||
        !p11_log_in(&mine, pin) || !p11_find_key(&mine, "p256")) {
        return 1;
    }
    for (uint8_t i = 0; i < 10; i++) {
        if (sign_and_verify(&mine, mine.session, i, r) != CKR_OK) {
            return 2;
        }
    }
    p11_close(&mine);
    return 0;
}

static void forked_workers_sign_beside_the_parent(void **state)
{
    pid_t pids[4];
    uint8_t r[32];

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            CHILD_EXIT(child());
        }
    }
    for (uint8_t i = 0; i < 10; i++) {
        assert_int_equal(sign_and_verify(&module, module.session, i, r), CKR_OK);
    }
    for (size_t i = 0; i < 4; i++) {
        int status = 0;

        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    assert_int_equal(sign_and_verify(&module, module.session, 77, r), CKR_OK);
}

static atomic_bool stop;

/* Signs until told to stop or until C_Finalize ends it; counts in *arg. */
static void *sign_on(void *arg)
{
    unsigned *count = arg;
    CK_SESSION_HANDLE s = 0;
    uint8_t r[32];

    if (!p11_open_session(&module, &s)) {
        return NULL;
    }
    while (!atomic_load(&stop) && sign_and_verify(&module, s, 1, r) == CKR_OK) {
        (*count)++;
    }
    return NULL;
}

static void start_signing(pthread_t threads[THREADS], unsigned counts[THREADS])
{
    atomic_store(&stop, false);
    for (size_t i = 0; i < THREADS; i++) {
        counts[i] = 0;
        assert_int_equal(pthread_create(&threads[i], NULL, sign_on, &counts[i]), 0);
    }
}

static void workers_of_a_busy_parent_sign_too(void **state)
{
    pthread_t threads[THREADS];
    unsigned counts[THREADS];

    (void)state;
    if (FORK_WITH_THREADS_HANGS) {
        skip();
    }
    start_signing(threads, counts);
    for (unsigned i = 0; i < 12; i++) { /* whatever locks the threads hold at that moment */
        int status = 0;
        const pid_t pid = fork();

        if (pid == 0) {
            (void)alarm(60); /* hanging is failing */
            CHILD_EXIT(child());
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(counts[i] > 0);
    }
}

static void finalize_under_signatures_ends_them(void **state)
{
    pthread_t threads[THREADS];
    unsigned counts[THREADS];
    uint8_t r[32];

    (void)state;
    for (unsigned round = 0; round < 3; round++) {
        const struct timespec pause = {0, 50000000};

        start_signing(threads, counts);
        (void)nanosleep(&pause, NULL); /* lets them begin; nothing depends on how far they get */
        assert_int_equal(module.f->C_Finalize(NULL), CKR_OK);
        for (size_t i = 0; i < THREADS; i++) {
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        }
        assert_int_equal(setup_all(state), 0);
        assert_true(p11_find_key(&module, "p256"));
        assert_int_equal(sign_and_verify(&module, module.session, 1, r), CKR_OK);
    }
}

static void keys_outlive_the_process_state(void **state)
{
    uint8_t r[32];

    (void)state;
    p11_close(&module);
    assert_int_equal(setup_all(state), 0);
    assert_true(p11_find_key(&module, "p256"));
    assert_int_equal(sign_and_verify(&module, module.session, 1, r), CKR_OK);
}

static void a_wrong_pin_is_told_and_the_right_one_still_works(void **state)
{
    CK_UTF8CHAR wrong[] = "nonsense";

    (void)state;
    assert_int_equal(module.f->C_Logout(module.session), CKR_OK);
    assert_int_equal(module.f->C_Login(module.session, CKU_USER, wrong, 8), CKR_PIN_INCORRECT);
    assert_true(p11_log_in(&module, pin));
    assert_true(p11_find_key(&module, "p256"));
}

static void a_message_key_signs_messages_only(void **state)
{
    CK_MECHANISM gen = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
    CK_MECHANISM raw = {CKM_ECDSA, NULL, 0};
    CK_MECHANISM hashed = {CKM_ECDSA_SHA256, NULL, 0};
    CK_MECHANISM_TYPE allowed[] = {CKM_ECDSA_SHA256};
    CK_BYTE oid[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    CK_ATTRIBUTE pub[] = {{CKA_EC_PARAMS, oid, sizeof oid}};
    CK_ATTRIBUTE priv[] = {{CKA_ALLOWED_MECHANISMS, allowed, sizeof allowed}};
    CK_BYTE message[3000] = {5};
    CK_BYTE sig[64];
    CK_ULONG len = sizeof sig;
    CK_OBJECT_HANDLE y = 0;
    CK_OBJECT_HANDLE x = 0;

    (void)state;
    assert_int_equal(module.f->C_GenerateKeyPair(module.session, &gen, pub, 1, priv, 1, &y, &x),
                     CKR_OK);
    assert_int_equal(module.f->C_SignInit(module.session, &raw, x), CKR_MECHANISM_INVALID);
    assert_int_equal(module.f->C_SignInit(module.session, &hashed, x), CKR_OK);
    assert_int_equal(module.f->C_Sign(module.session, message, sizeof message, sig, &len), CKR_OK);
    assert_int_equal(module.f->C_VerifyInit(module.session, &hashed, y), CKR_OK);
    assert_int_equal(module.f->C_Verify(module.session, message, sizeof message, sig, len), CKR_OK);
    assert_int_equal(module.f->C_DestroyObject(module.session, x), CKR_OK);
}

static void a_destroyed_key_does_not_sign(void **state)
{
    CK_MECHANISM mech = {CKM_ECDSA, NULL, 0};

    (void)state;
    assert_int_equal(p11_make_key(&module, "p256", "short-lived"), CKR_OK);
    p11_destroy_key(&module);
    assert_int_equal(module.f->C_SignInit(module.session, &mech, module.private_key),
                     CKR_KEY_HANDLE_INVALID);
    assert_false(p11_find_key(&module, "short-lived"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_curves_sign_and_verify),
        cmocka_unit_test(threads_sign_at_once_and_no_r_repeats),
        cmocka_unit_test(forked_workers_sign_beside_the_parent),
        cmocka_unit_test(workers_of_a_busy_parent_sign_too),
        cmocka_unit_test(finalize_under_signatures_ends_them),
        cmocka_unit_test(keys_outlive_the_process_state),
        cmocka_unit_test(a_wrong_pin_is_told_and_the_right_one_still_works),
        cmocka_unit_test(a_message_key_signs_messages_only),
        cmocka_unit_test(a_destroyed_key_does_not_sign),
    };

    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
