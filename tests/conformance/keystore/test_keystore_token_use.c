#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "keystore/internal.h"
#include "ks_shim.h"

/* A token in trouble while the store is in use: the data key has a lifetime, so the token is needed. */

#define LIMIT_MS 300u

typedef struct {
    unsigned bad, good;
    char last[512];
} lines;

static void take_line(void *ctx, tdsa_log_level level, const char *logger, const char *text)
{
    lines *l = ctx;

    (void)logger;
    l->bad += level == TDSA_LOG_ERROR ? 1 : 0;
    l->good += level == TDSA_LOG_WARN ? 1 : 0;
    (void)snprintf(l->last, sizeof l->last, "%s", text);
}

static tdsa_status use(ks_fixture *f)
{
    tdsa_secret *share = NULL;
    tdsa_status st = ks_key_open(f->s, "k", 0, &share, &f->err);

    if (st == TDSA_OK) {
        assert_int_equal(tdsa_secret_len(share), 5);
        assert_memory_equal(tdsa_secret_view(share), "share", 5);
    } else {
        assert_null(share);
        assert_null(strstr(f->err.text, KS_FIXTURE_PIN));
    }
    tdsa_secret_free(share);
    return st;
}

static void says(ks_fixture *f, const char *text)
{
    if (strstr(f->err.text, text) == NULL) {
        fail_msg("no '%s' in '%s'", text, f->err.text);
    }
}

/* An open store with a key, whose data key is unwrapped for each use. */
static ks_shim start(ks_fixture *f)
{
    ks_shim s;

    ks_fixture_active(f, "k", "share");
    s = ks_shim_put(f, KS_SHIM_PIN);
    f->cfg.data_key_expires = true;
    f->cfg.data_key_lifetime_ms = 0;
    ks_fixture_reopen(f);
    return s;
}

static void stop(ks_fixture *f, ks_shim *s)
{
    ks_close(f->s);
    f->s = NULL;
    ks_shim_drop(s);
}

static const CK_RV codes[] = {
    CKR_DEVICE_REMOVED,
    CKR_SESSION_HANDLE_INVALID,
    CKR_CRYPTOKI_NOT_INITIALIZED, /* few of them in the short form, all in the long one */
    CKR_GENERAL_ERROR,
    CKR_DEVICE_ERROR,
    CKR_TOKEN_NOT_PRESENT,
    CKR_HOST_MEMORY,
    CKR_SESSION_CLOSED,
    CKR_USER_NOT_LOGGED_IN,
    CKR_FUNCTION_FAILED,
    CKR_DEVICE_MEMORY,
    CKR_BUFFER_TOO_SMALL,
    CKR_KEY_HANDLE_INVALID,
    CKR_MECHANISM_INVALID,
    CKR_OPERATION_ACTIVE,
    CKR_ARGUMENTS_BAD,
    CKR_FUNCTION_NOT_SUPPORTED,
    CKR_SLOT_ID_INVALID,
    CKR_TOKEN_NOT_RECOGNIZED,
    CKR_USER_ALREADY_LOGGED_IN,
    CKR_ENCRYPTED_DATA_INVALID,
    CKR_SESSION_COUNT,
    CKR_CRYPTOKI_ALREADY_INITIALIZED,
    CKR_PIN_LOCKED,
    CKR_PIN_EXPIRED,
    0x80001234,
};
#define CODES_SHORT 2u

static size_t code_count(void)
{
    return getenv("TDSA_TEST_LONG") != NULL ? sizeof codes / sizeof codes[0] : CODES_SHORT;
}

/* It says that somebody else did what it did not do, and the store leaves the module to him. */
static bool is_a_lie(const char *call, CK_RV rv)
{
    return strcmp(call, "C_Finalize") == 0 && rv == CKR_CRYPTOKI_NOT_INITIALIZED;
}

/* One of the errors that are documented, or what was asked for. */
static void is_clean(tdsa_status st, const char *call, CK_RV rv)
{
    if (st != TDSA_OK && st != TDSA_E_WRAPPING && st != TDSA_E_LOGIN) {
        fail_msg("%s with 0x%lx ends in %s", call, rv, tdsa_status_name(st));
    }
}

/* Where a session was pulled away after a login that succeeded, the same PIN may come again. */
static void tried_once(const ks_shim *s, const char *call)
{
    const unsigned most = strcmp(call, "C_Login") == 0 ? 1 : 3;

    if (s->logins() > most) {
        fail_msg("%s fails, and the PIN was tried %u times", call, s->logins());
    }
}

static void every_failing_call_fails_one_use_and_no_more(void **state)
{
    ks_fixture *f = *state;
    ks_shim s = start(f);

    for (const char *const *call = s.names(); *call != NULL; call++) {
        for (size_t i = 0; i < code_count(); i++) {
            if (is_a_lie(*call, codes[i])) {
                continue;
            }
            s.set(*call, codes[i], 0);
            is_clean(use(f), *call, codes[i]);
            tried_once(&s, *call);
            s.set(NULL, CKR_OK, 0);
            ks_expect_at(f, TDSA_OK, use(f), *call);
        }
    }
    stop(f, &s);
}

static void every_failing_call_fails_one_unlock_and_no_more(void **state)
{
    ks_fixture *f = *state;
    ks_shim s = start(f);
    const size_t step = getenv("TDSA_TEST_LONG") != NULL ? 1 : 6;
    size_t n = 0;

    for (const char *const *call = s.names(); *call != NULL; call++, n++) {
        for (size_t i = n % step; i < code_count(); i += step) {
            if (is_a_lie(*call, codes[i])) {
                continue;
            }
            s.set(*call, codes[i], 0);
            is_clean(ks_unlock(f->s, KS_FIXTURE_PIN, strlen(KS_FIXTURE_PIN), &f->err), *call,
                     codes[i]);
            tried_once(&s, *call);
            s.set(NULL, CKR_OK, 0);
            ks_expect_at(f, TDSA_OK, use(f), *call);
        }
    }
    stop(f, &s);
}

static void no_failing_call_makes_a_wrong_pin_right(void **state)
{
    ks_fixture *f = *state;
    ks_shim s = start(f);

    for (const char *const *call = s.names(); *call != NULL; call++) {
        for (size_t i = 0; i < code_count(); i++) {
            if (is_a_lie(*call, codes[i])) {
                continue;
            }
            s.set(*call, codes[i], 0);
            if (ks_check_pin(f->s, "00000000", 8, &f->err) == TDSA_OK) {
                fail_msg("a wrong PIN is right when %s gives 0x%lx", *call, codes[i]);
            }
            assert_null(strstr(f->err.text, "00000000"));
            s.set(NULL, CKR_OK, 0);
            OK(f, ks_check_pin(f->s, KS_FIXTURE_PIN, strlen(KS_FIXTURE_PIN), &f->err));
        }
    }
    stop(f, &s);
}

static void trouble_is_logged_once_and_its_end_once(void **state)
{
    ks_fixture *f = *state;
    lines l = {0};
    const tdsa_log log = {take_line, &l};
    ks_stats stats;
    ks_shim s;

    f->cfg.log = &log;
    s = start(f);
    l = (lines){0};
    s.set("C_GetSlotList", CKR_DEVICE_REMOVED, 0);
    for (int i = 0; i < 3; i++) {
        EXPECT(f, TDSA_E_WRAPPING, use(f));
        says(f, "CKR_DEVICE_REMOVED");
    }
    assert_int_equal(l.bad, 1);
    assert_non_null(strstr(l.last, "CKR_DEVICE_REMOVED"));
    EXPECT(f, TDSA_E_WRAPPING, ks_key_check(f->s, &f->err));
    s.set(NULL, CKR_OK, 0);
    OK(f, use(f));
    OK(f, use(f));
    OK(f, ks_key_check(f->s, &f->err));
    assert_int_equal(l.bad, 1);
    assert_int_equal(l.good, 1);
    ks_get_stats(f->s, &stats);
    assert_true(stats.unwraps_failed >= 3);
    stop(f, &s);
}

static void nothing_but_sealed_rows_needs_the_token(void **state)
{
    ks_fixture *f = *state;
    ks_shim s = start(f);
    ks_batch_filter any = {0};
    ks_batch *b = NULL;
    uint64_t left = 0;
    ks_key *k = NULL;

    ks_fixture_batch(f, "k", 1, KS_BATCH_FREE, 1, 1, 64);
    s.set("*", CKR_TOKEN_NOT_PRESENT, 0);
    OK(f, ks_key_get(f->s, "k", &k, &f->err));
    ks_key_free(k);
    OK(f, ks_burn(f->s, ks_fixture_beta(1), 0, 1, &f->err));
    OK(f, ks_ping(f->s, &f->err));
    EXPECT(f, TDSA_E_WRAPPING, ks_batch_find(f->s, "k", 0, &any, &b, &f->err));
    s.set(NULL, CKR_OK, 0);
    OK(f, ks_batch_available(f->s, "k", &any, &left, &f->err));
    assert_int_equal(left, 63); /* what could not be opened then is not VOID now */
    OK(f, ks_batch_find(f->s, "k", 0, &any, &b, &f->err));
    ks_batch_free(b);
    stop(f, &s);
}

/* Threads of this process. */
static unsigned threads(void)
{
    DIR *dir = opendir("/proc/self/task");
    unsigned n = 0;

    assert_non_null(dir);
    while (readdir(dir) != NULL) {
        n++;
    }
    (void)closedir(dir);
    return n - 2;
}

static void nap(void)
{
    const struct timespec pause = {0, 10000000L};

    (void)nanosleep(&pause, NULL);
}

static void a_module_that_hangs_is_waited_for_once(void **state)
{
    ks_fixture *f = *state;
    const unsigned before = threads();
    tdsa_status st = TDSA_OK;
    ks_shim s;

    f->cfg.encryptor_limit_ms = LIMIT_MS;
    s = start(f);
    s.hang("C_DecryptInit", 600000);
    EXPECT(f, TDSA_E_WRAPPING, use(f));
    says(f, "has not answered for");
    s.set(NULL, CKR_OK, 0);
    for (int i = 0; i < 20; i++) {
        EXPECT(f, TDSA_E_WRAPPING, use(f));
        says(f, "encryptor pkcs11 still hangs");
        EXPECT(f, TDSA_E_WRAPPING,
               ks_unlock(f->s, KS_FIXTURE_PIN, strlen(KS_FIXTURE_PIN), &f->err));
        says(f, "still hangs");
    }
    assert_int_equal(threads(), before + 1);
    assert_int_equal(s.logins(), 0);
    s.hang(NULL, 0);
    do { /* heals by itself */
        nap();
        st = use(f);
    } while (st != TDSA_OK);
    assert_int_equal(threads(), before);
    stop(f, &s);
}

static void a_check_of_a_pin_is_waited_for_as_long(void **state)
{
    ks_fixture *f = *state;
    tdsa_status st = TDSA_OK;
    ks_shim s;

    f->cfg.encryptor_limit_ms = LIMIT_MS;
    s = start(f);
    s.hang("C_Login", 600000);
    EXPECT(f, TDSA_E_WRAPPING, ks_check_pin(f->s, KS_FIXTURE_PIN, strlen(KS_FIXTURE_PIN), &f->err));
    says(f, "has not answered for");
    s.hang(NULL, 0);
    do {
        nap();
        st = ks_check_pin(f->s, KS_FIXTURE_PIN, strlen(KS_FIXTURE_PIN), &f->err);
    } while (st != TDSA_OK);
    EXPECT(f, TDSA_E_LOGIN, ks_check_pin(f->s, "00000000", 8, &f->err));
    stop(f, &s);
}

static void a_store_closes_while_its_module_hangs(void **state)
{
    ks_fixture *f = *state;
    const unsigned before = threads();
    ks_shim s;

    f->cfg.encryptor_limit_ms = LIMIT_MS;
    s = start(f);
    s.hang("C_Login", 600000);
    EXPECT(f, TDSA_E_WRAPPING, use(f));
    ks_close(f->s);
    f->s = NULL;
    assert_int_equal(threads(), before + 1);
    s.hang(NULL, 0);
    while (threads() > before) {
        nap();
    }
    ks_fixture_reopen(f);
    OK(f, use(f));
    stop(f, &s);
}

static void a_store_without_threads_waits_for_a_slow_module(void **state)
{
    ks_fixture *f = *state;
    const unsigned before = threads();
    ks_shim s;

    f->cfg.encryptor_limit_ms = LIMIT_MS;
    f->cfg.no_threads = true;
    s = start(f);
    s.hang("C_DecryptInit", 3 * LIMIT_MS);
    OK(f, use(f));
    s.hang("C_Login", 2 * LIMIT_MS);
    OK(f, ks_check_pin(f->s, KS_FIXTURE_PIN, strlen(KS_FIXTURE_PIN), &f->err));
    assert_int_equal(threads(), before);
    s.hang(NULL, 0);
    stop(f, &s);
}

static void a_refused_pin_of_the_configuration_is_not_tried_again(void **state)
{
    ks_fixture *f = *state;
    ks_shim s = start(f);

    s.set("C_Login", CKR_PIN_INCORRECT, 0);
    EXPECT(f, TDSA_E_LOGIN, use(f));
    assert_int_equal(s.logins(), 1);
    for (int i = 0; i < 3; i++) { /* the token shows that a wrong PIN came */
        s.set("C_Login", CKR_PIN_INCORRECT, CKF_USER_PIN_COUNT_LOW);
        EXPECT(f, TDSA_E_LOGIN, use(f));
        says(f, "not tried again");
        assert_int_equal(s.logins(), 0);
    }
    s.set(NULL, CKR_OK, 0); /* somebody logged in since, or set the PIN */
    OK(f, use(f));
    assert_int_equal(s.logins(), 1);
    stop(f, &s);
}

static void a_refused_pin_is_not_tried_again_without_a_sign(void **state)
{
    ks_fixture *f = *state;
    ks_shim s = start(f);

    s.set("C_Login", CKR_PIN_INCORRECT, 0);
    EXPECT(f, TDSA_E_LOGIN, use(f));
    s.set(NULL, CKR_OK, 0); /* a token that never shows it */
    EXPECT(f, TDSA_E_LOGIN, use(f));
    assert_int_equal(s.logins(), 0);
    OK(f, ks_unlock(f->s, KS_FIXTURE_PIN, strlen(KS_FIXTURE_PIN), &f->err)); /* by hand */
    OK(f, use(f));
    stop(f, &s);
}

static void a_locked_pin_heals_when_it_is_unlocked(void **state)
{
    ks_fixture *f = *state;
    ks_shim s = start(f);

    s.set("C_Login", CKR_PIN_LOCKED, 0);
    EXPECT(f, TDSA_E_LOGIN, use(f));
    s.set("C_Login", CKR_PIN_LOCKED, CKF_USER_PIN_LOCKED);
    EXPECT(f, TDSA_E_LOGIN, use(f));
    says(f, "is locked");
    assert_int_equal(s.logins(), 0);
    s.set(NULL, CKR_OK, 0);
    OK(f, use(f));
    stop(f, &s);
}

static void the_pin_of_a_login_is_kept_until_it_is_refused(void **state)
{
    ks_fixture *f = *state;
    ks_shim s;

    ks_fixture_active(f, "k", "share");
    s = ks_shim_put(f, ""); /* no PIN in the configuration */
    f->cfg.data_key_expires = true;
    f->cfg.unlock_at_open = false;
    ks_fixture_reopen(f);
    EXPECT(f, TDSA_E_LOGIN, use(f));
    OK(f, ks_unlock(f->s, KS_FIXTURE_PIN, strlen(KS_FIXTURE_PIN), &f->err));
    OK(f, use(f));
    s.set("C_Login", CKR_DEVICE_ERROR, 0);
    EXPECT(f, TDSA_E_WRAPPING, use(f));
    s.set(NULL, CKR_OK, 0);
    OK(f, use(f)); /* trouble of the token is not the PIN's */
    s.set("C_Login", CKR_PIN_INCORRECT, 0);
    EXPECT(f, TDSA_E_LOGIN, use(f));
    assert_int_equal(s.logins(), 1);
    s.set(NULL, CKR_OK, 0);
    EXPECT(f, TDSA_E_LOGIN, use(f)); /* as after a logout */
    says(f, "log in first");
    assert_int_equal(s.logins(), 0);
    assert_false(ks_is_unlocked(f->s));
    assert_null(f->s->pin);
    stop(f, &s);
}

static uint64_t fake_ms;

static uint64_t fake_now(void *ctx)
{
    (void)ctx;
    return fake_ms;
}

static uint64_t unwraps(ks_fixture *f)
{
    ks_stats stats;

    ks_get_stats(f->s, &stats);
    return stats.unwraps;
}

static void a_data_key_is_wiped_when_its_time_is_over(void **state)
{
    ks_fixture *f = *state;

    ks_fixture_active(f, "k", "share");
    f->cfg.data_key_expires = true;
    f->cfg.data_key_lifetime_ms = 600000;
    f->cfg.clock.mono_ms = fake_now;
    fake_ms = 1;
    ks_fixture_reopen(f);
    OK(f, use(f));
    fake_ms = 600000;
    OK(f, use(f));
    assert_int_equal(unwraps(f), 1);
    assert_non_null(f->s->ring.current.secret);
    fake_ms = 600001;
    OK(f, ks_ping(f->s, &f->err)); /* whatever comes next */
    assert_null(f->s->ring.current.secret);
    assert_true(ks_is_unlocked(f->s));
    OK(f, use(f));
    OK(f, use(f));
    assert_int_equal(unwraps(f), 2);
    f->cfg.data_key_lifetime_ms = 0;
    ks_fixture_reopen(f);
    OK(f, use(f));
    assert_null(f->s->ring.current.secret);
    OK(f, use(f));
    assert_int_equal(unwraps(f), 3);
    ks_lock(f->s);
    EXPECT(f, TDSA_E_LOGIN, use(f));
}

#define TOKEN(f) ks_shim_test((struct CMUnitTest)cmocka_unit_test(f))

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN(every_failing_call_fails_one_use_and_no_more),
        TOKEN(every_failing_call_fails_one_unlock_and_no_more),
        TOKEN(no_failing_call_makes_a_wrong_pin_right),
        TOKEN(trouble_is_logged_once_and_its_end_once),
        TOKEN(nothing_but_sealed_rows_needs_the_token),
        TOKEN(a_module_that_hangs_is_waited_for_once),
        TOKEN(a_check_of_a_pin_is_waited_for_as_long),
        TOKEN(a_store_closes_while_its_module_hangs),
        TOKEN(a_store_without_threads_waits_for_a_slow_module),
        TOKEN(a_refused_pin_of_the_configuration_is_not_tried_again),
        TOKEN(a_refused_pin_is_not_tried_again_without_a_sign),
        TOKEN(a_locked_pin_heals_when_it_is_unlocked),
        TOKEN(the_pin_of_a_login_is_kept_until_it_is_refused),
        TOKEN(a_data_key_is_wiped_when_its_time_is_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
