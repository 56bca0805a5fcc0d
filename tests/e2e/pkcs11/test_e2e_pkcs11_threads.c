/*
 * 64 threads sign with one key through the module while their sessions are closed under them, one by
 * one and all at once: started by p11_host. 16 signatures a thread, 1,000 with TDSA_TEST_LONG.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>

#include "support/p11.h"

#define THREADS     64u
#define SHORT       16u
#define LONG        1000u
#define CLOSE_EVERY 5u   /* of its own signatures: then a thread closes the session of another */
#define CLEAR_EVERY 257u /* of all: then one closes every session, which logs out too */
#define TRIES_MAX   (100u * LONG)
#define POINT_LEN   65u

typedef struct {
    uint8_t digest[32], signature[64];
} signed_digest;

typedef struct {
    unsigned number;
    CK_SESSION_HANDLE session; /* 0: none */
    CK_OBJECT_HANDLE key;
    size_t count, opened;
    signed_digest *done;
    CK_RV wrong; /* a code that this must not end with */
    const char *where;
} worker;

static p11 module;
static const char *pin;
static size_t per_thread;
static worker workers[THREADS];
static _Atomic CK_SESSION_HANDLE open_session[THREADS]; /* for others to close */
static atomic_ulong signatures;

/* ---- what may happen to a thread whose sessions somebody else closes ---- */

static bool is_expected(CK_RV rv)
{
    switch (rv) {
    case CKR_OK:
    case CKR_SESSION_HANDLE_INVALID: /* closed */
    case CKR_USER_NOT_LOGGED_IN:     /* with the last session the login went */
    case CKR_KEY_HANDLE_INVALID:     /* and private keys are hidden */
    case CKR_OBJECT_HANDLE_INVALID:
    case CKR_USER_ALREADY_LOGGED_IN: /* another thread was faster */
        return true;
    default:
        return false;
    }
}

static bool good(worker *w, CK_RV rv, const char *where)
{
    if (!is_expected(rv) && w->wrong == CKR_OK) {
        w->wrong = rv;
        w->where = where;
    }
    return rv == CKR_OK;
}

/* ---- a thread ---- */

static bool log_in(worker *w)
{
    CK_UTF8CHAR copy[32];
    const size_t len = strnlen(pin, sizeof copy);
    CK_RV rv = CKR_OK;

    memcpy(copy, pin, len);
    rv = module.f->C_Login(w->session, CKU_USER, copy, len);
    return good(w, rv, "C_Login") || rv == CKR_USER_ALREADY_LOGGED_IN;
}

static bool find(worker *w)
{
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE wanted = {CKA_CLASS, &class, sizeof class};
    CK_ULONG found = 0;
    bool ok = good(w, module.f->C_FindObjectsInit(w->session, &wanted, 1), "C_FindObjectsInit");

    ok = ok && good(w, module.f->C_FindObjects(w->session, &w->key, 1, &found), "C_FindObjects");
    ok = ok && good(w, module.f->C_FindObjectsFinal(w->session), "C_FindObjectsFinal");
    return ok && found == 1;
}

static bool open_one(worker *w)
{
    CK_RV rv = module.f->C_OpenSession(module.slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                                       &w->session);

    if (!good(w, rv, "C_OpenSession")) {
        w->session = 0;
        return false;
    }
    w->opened++;
    atomic_store(&open_session[w->number], w->session);
    return true;
}

static void close_own(worker *w)
{
    atomic_store(&open_session[w->number], 0);
    if (w->session != 0) {
        (void)good(w, module.f->C_CloseSession(w->session), "C_CloseSession");
    }
    w->session = 0;
}

/* One signature in the session that is open; in a new one when there is none. */
static bool sign_once(worker *w)
{
    CK_MECHANISM mechanism = {CKM_ECDSA, NULL, 0};
    signed_digest *out = &w->done[w->count];
    CK_ULONG len = sizeof out->signature;

    if (w->session == 0 && !(open_one(w) && log_in(w) && find(w))) {
        return false;
    }
    memset(out->digest, 7, sizeof out->digest);
    memcpy(out->digest, &w->number, sizeof w->number);
    memcpy(out->digest + 8, &w->count, sizeof w->count);
    return good(w, module.f->C_SignInit(w->session, &mechanism, w->key), "C_SignInit") &&
           good(w,
                module.f->C_Sign(w->session, out->digest, sizeof out->digest, out->signature, &len),
                "C_Sign") &&
           len == sizeof out->signature;
}

static void close_another(worker *w)
{
    const size_t victim = (w->number + w->count) % THREADS;
    const CK_SESSION_HANDLE handle = atomic_exchange(&open_session[victim], 0);

    if (handle != 0) {
        (void)good(w, module.f->C_CloseSession(handle), "C_CloseSession of another");
    }
}

static void *work(void *arg)
{
    worker *w = arg;

    for (unsigned i = 0; w->count < per_thread && w->wrong == CKR_OK && i < TRIES_MAX; i++) {
        if (!sign_once(w)) {
            close_own(w);
            continue;
        }
        w->count++;
        if (w->count % CLOSE_EVERY == 0) {
            close_another(w);
        }
        if (atomic_fetch_add(&signatures, 1) % CLEAR_EVERY == CLEAR_EVERY - 1) {
            (void)good(w, module.f->C_CloseAllSessions(module.slot), "C_CloseAllSessions");
        }
    }
    close_own(w);
    return NULL;
}

/* ---- what came out, judged by OpenSSL ---- */

static EVP_PKEY *public_key(void)
{
    CK_BYTE encoded[POINT_LEN + 2]; /* an OCTET STRING */
    CK_ATTRIBUTE point = {CKA_EC_POINT, encoded, sizeof encoded};
    char group[] = "P-256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, encoded + 2, POINT_LEN),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *key = NULL;

    assert_int_equal(module.f->C_GetAttributeValue(module.session, module.public_key, &point, 1),
                     CKR_OK);
    assert_int_equal(point.ulValueLen, sizeof encoded);
    assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
    assert_int_equal(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params), 1);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static void verify(EVP_PKEY *key, const signed_digest *d)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    ECDSA_SIG *sig = ECDSA_SIG_new();
    unsigned char *der = NULL;
    int len = 0;

    assert_int_equal(ECDSA_SIG_set0(sig, BN_bin2bn(d->signature, 32, NULL),
                                    BN_bin2bn(d->signature + 32, 32, NULL)),
                     1);
    len = i2d_ECDSA_SIG(sig, &der);
    assert_true(len > 0);
    assert_int_equal(EVP_PKEY_verify_init(ctx), 1);
    assert_int_equal(EVP_PKEY_verify(ctx, der, (size_t)len, d->digest, sizeof d->digest), 1);
    OPENSSL_free(der);
    ECDSA_SIG_free(sig);
    EVP_PKEY_CTX_free(ctx);
}

static int by_r(const void *a, const void *b)
{
    return memcmp(((const signed_digest *)a)->signature, ((const signed_digest *)b)->signature, 32);
}

static void judge(EVP_PKEY *key, signed_digest *all, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        verify(key, &all[i]);
    }
    qsort(all, count, sizeof *all, by_r);
    for (size_t i = 1; i < count; i++) {
        assert_memory_not_equal(all[i - 1].signature, all[i].signature, 32);
    }
}

static void every_signature_is_good_while_sessions_die(void **state)
{
    signed_digest *all = calloc(THREADS * per_thread, sizeof *all);
    pthread_t threads[THREADS];
    CK_TOKEN_INFO info;
    EVP_PKEY *key = NULL;
    size_t opened = 0;

    (void)state;
    assert_non_null(all);
    assert_int_equal(p11_make_key(&module, "p256", "threads"), CKR_OK);
    key = public_key();
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (worker){.number = i, .done = all + i * per_thread};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        if (workers[i].wrong != CKR_OK) {
            fail_msg("%s: 0x%lx", workers[i].where, (unsigned long)workers[i].wrong);
        }
        assert_int_equal(workers[i].count, per_thread);
        opened += workers[i].opened;
    }
    assert_true(opened > THREADS); /* sessions did die */
    judge(key, all, THREADS * per_thread);
    (void)module.f->C_CloseSession(module.session); /* if it is still there */
    assert_int_equal(module.f->C_GetTokenInfo(module.slot, &info), CKR_OK);
    assert_int_equal(info.ulSessionCount, 0);
    assert_int_equal(info.ulRwSessionCount, 0);
    EVP_PKEY_free(key);
    free(all);
}

static int set_up(void **state)
{
    (void)state;
    per_thread = getenv("TDSA_TEST_LONG") != NULL ? LONG : SHORT;
    pin = getenv("TDSA_PIN");
    return p11_open(&module, getenv("TDSA_PKCS11_MODULE"), getenv("TDSA_TOKEN")) &&
                   p11_log_in(&module, pin)
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    (void)state;
    p11_close(&module);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_signature_is_good_while_sessions_die),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
