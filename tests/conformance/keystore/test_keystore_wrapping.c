#define _GNU_SOURCE 1 /* dladdr */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <p11-kit/pkcs11.h>
#include <sqlite3.h>

#include "ks_fixture.h"
#include "support/softhsm.h"

static const ks_variant clear = {"sqlite+none", "sqlite", KS_ENCRYPTOR_NONE};
static const ks_variant gcm = {"sqlite+aesgcm", "sqlite", KS_ENCRYPTOR_AESGCM};
static const ks_variant token = {"sqlite+pkcs11", "sqlite", KS_ENCRYPTOR_PKCS11};

#define PIN_VALUE "&pin-value=" KS_FIXTURE_PIN

/* Opens with the changed configuration and expects a refusal that says `text`. */
static void refused(ks_fixture *f, tdsa_status want, const char *text)
{
    ks *s = NULL;

    EXPECT(f, want, ks_open(&s, &f->cfg, &f->err));
    assert_null(s);
    if (strstr(f->err.text, text) == NULL) {
        fail_msg("no '%s' in '%s'", text, f->err.text);
    }
    assert_null(strstr(f->err.text, KS_FIXTURE_PIN));
}

static void shut(ks_fixture *f)
{
    ks_close(f->s);
    f->s = NULL;
}

static void share_is_there(ks_fixture *f)
{
    tdsa_secret *share = NULL;

    OK(f, ks_key_open(f->s, "k", 0, &share, &f->err));
    assert_memory_equal(tdsa_secret_view(share), "the share", 9);
    tdsa_secret_free(share);
}

/* ---- any encryptor ---- */

static void a_changed_key_is_named_by_both_check_values(void **state)
{
    ks_fixture *f = *state;
    char first[160];

    ks_fixture_active(f, "k", "the share");
    shut(f);
    f->cfg.encryption_key = "another secret";
    refused(f, TDSA_E_WRAPPING, "check value");
    (void)snprintf(first, sizeof first, "%.150s", f->err.text);
    f->cfg.encryption_key = "a third secret";
    refused(f, TDSA_E_WRAPPING, "check value");
    assert_string_not_equal(first, f->err.text);
    assert_null(strstr(f->err.text, "secret"));
    f->cfg.encryption_key = "correct horse battery staple";
    ks_fixture_reopen(f);
    share_is_there(f);
}

static void a_dropped_key_stops_the_start(void **state)
{
    ks_fixture *f = *state;

    ks_fixture_active(f, "k", "the share");
    shut(f);
    f->cfg.encryptor = KS_ENCRYPTOR_NONE;
    refused(f, TDSA_E_WRAPPING, "no encryption key is configured");
    f->cfg.encryptor = KS_ENCRYPTOR_PKCS11;
    ks_fixture_uri(f, "tok", "tdsa-wrap", "");
    f->cfg.unlock_at_open = false; /* noticed although no PIN is there */
    refused(f, TDSA_E_WRAPPING, "'aesgcm', but 'pkcs11'");
    f->cfg.encryptor = KS_ENCRYPTOR_AESGCM;
    f->cfg.encryption_key = "";
    refused(f, TDSA_E_CONFIG, "encryption key");
    f->cfg.encryption_key = NULL;
    refused(f, TDSA_E_CONFIG, "encryption key");
}

static void a_clear_store_does_not_take_a_key_later(void **state)
{
    ks_fixture *f = *state;

    ks_fixture_active(f, "k", "the share");
    shut(f);
    f->cfg.encryptor = KS_ENCRYPTOR_AESGCM;
    refused(f, TDSA_E_WRAPPING, "without encryption");
}

static void unknown_backends_and_missing_parts_are_refused(void **state)
{
    ks_fixture *f = *state;

    shut(f);
    f->cfg.backend = "oracle";
    refused(f, TDSA_E_CONFIG, "oracle");
    f->cfg.backend = NULL;
    refused(f, TDSA_E_CONFIG, "backend");
    f->cfg.backend = "sqlite";
    f->cfg.path = NULL;
    refused(f, TDSA_E_CONFIG, "path");
    f->cfg.path = ":memory:";
    refused(f, TDSA_E_CONFIG, "path");
    f->cfg.path = f->path;
    f->cfg.rng.fill = NULL;
    refused(f, TDSA_E_CONFIG, "random");
}

static void a_lost_data_key_row_is_not_replaced(void **state)
{
    ks_fixture *f = *state;
    sqlite3 *db = NULL;

    ks_fixture_active(f, "k", "the share");
    shut(f);
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "DELETE FROM data_key", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    refused(f, TDSA_E_STORE, "data key row of the database is gone");
}

static void an_edited_data_key_row_is_refused(void **state)
{
    ks_fixture *f = *state;
    sqlite3 *db = NULL;

    ks_fixture_active(f, "k", "the share");
    shut(f);
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    /* the last byte belongs to the tag of the wrapped key */
    assert_int_equal(
        sqlite3_exec(db,
                     "UPDATE data_key SET wrapped = CAST(substr(wrapped, 1, length(wrapped) - 1)"
                     " || CASE substr(wrapped, -1) WHEN x'00' THEN x'01' ELSE x'00' END AS BLOB)",
                     NULL, NULL, NULL),
        SQLITE_OK);
    refused(f, TDSA_E_WRAPPING, "edited");
    assert_int_equal(
        sqlite3_exec(db, "UPDATE data_key SET wrapped = substr(wrapped, 1, 40)", NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    refused(f, TDSA_E_STORE, "damaged");
}

/* ---- pkcs11 ---- */

static void a_wrong_pin_is_tried_once(void **state)
{
    ks_fixture *f = *state;

    ks_fixture_active(f, "k", "the share");
    shut(f);
    ks_fixture_uri(f, "tok", "tdsa-wrap", "&pin-value=00000000");
    refused(f, TDSA_E_LOGIN, "CKR_PIN_INCORRECT (tried once)");
    ks_fixture_uri(f, "tok", "tdsa-wrap", "&pin-value=1");
    refused(f, TDSA_E_LOGIN, "CKR_PIN_");
    ks_fixture_uri(f, "tok", "tdsa-wrap", PIN_VALUE);
    ks_fixture_reopen(f);
    share_is_there(f);
}

static void a_pin_comes_from_a_file(void **state)
{
    ks_fixture *f = *state;
    char pin_file[200];
    char rest[300];
    FILE *file = NULL;

    ks_fixture_active(f, "k", "the share");
    shut(f);
    (void)snprintf(pin_file, sizeof pin_file, "%s/pin", f->dir);
    (void)snprintf(rest, sizeof rest, "&pin-source=file:%s", pin_file);
    ks_fixture_uri(f, "tok", "tdsa-wrap", rest);
    refused(f, TDSA_E_LOGIN, "No such file");
    file = fopen(pin_file, "w");
    assert_non_null(file);
    assert_int_equal(chmod(pin_file, 0600), 0);
    refused(f, TDSA_E_LOGIN, "must hold 1 to 255 bytes");
    (void)fprintf(file, "%s\nmore\n", KS_FIXTURE_PIN);
    (void)fclose(file);
    assert_int_equal(chmod(pin_file, 0644), 0);
    refused(f, TDSA_E_LOGIN, "others may read");
    assert_int_equal(chmod(pin_file, 0640), 0);
    ks_fixture_reopen(f);
    share_is_there(f);
    (void)snprintf(rest, sizeof rest, "&pin-source=%s", pin_file);
    ks_fixture_uri(f, "tok", "tdsa-wrap", rest);
    ks_fixture_reopen(f);
    share_is_there(f);
}

static void a_pin_comes_from_the_environment(void **state)
{
    ks_fixture *f = *state;

    ks_fixture_active(f, "k", "the share");
    shut(f);
    ks_fixture_uri(f, "tok", "tdsa-wrap", "&pin-source=env:TDSA_TEST_PIN");
    assert_int_equal(unsetenv("TDSA_TEST_PIN"), 0);
    refused(f, TDSA_E_LOGIN, "variable TDSA_TEST_PIN with the PIN of token tok is not set");
    assert_int_equal(setenv("TDSA_TEST_PIN", "", 1), 0);
    refused(f, TDSA_E_LOGIN, "variable TDSA_TEST_PIN of token tok must hold 1 to 255 bytes");
    assert_int_equal(setenv("TDSA_TEST_PIN", KS_FIXTURE_PIN, 1), 0);
    ks_fixture_reopen(f);
    share_is_there(f);
    assert_int_equal(unsetenv("TDSA_TEST_PIN"), 0);
}

static void a_pin_comes_from_a_credential_of_systemd(void **state)
{
    ks_fixture *f = *state;
    char path[200];
    FILE *file = NULL;

    ks_fixture_active(f, "k", "the share");
    shut(f);
    ks_fixture_uri(f, "tok", "tdsa-wrap", "&pin-source=credential:tdsa.pin");
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
    refused(f, TDSA_E_LOGIN, "CREDENTIALS_DIRECTORY is not set");
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", f->dir, 1), 0);
    refused(f, TDSA_E_LOGIN, "No such file");
    (void)snprintf(path, sizeof path, "%s/tdsa.pin", f->dir);
    file = fopen(path, "w");
    assert_non_null(file);
    (void)fprintf(file, "%s", KS_FIXTURE_PIN);
    (void)fclose(file);
    assert_int_equal(chmod(path, 0400), 0);
    ks_fixture_reopen(f);
    share_is_there(f);
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
}

static void without_a_pin_it_says_so(void **state)
{
    ks_fixture *f = *state;

    shut(f);
    ks_fixture_uri(f, "tok", "tdsa-wrap", "");
    refused(f, TDSA_E_LOGIN, "needs a PIN");
}

static void a_locked_store_opens_with_the_pin_of_a_login(void **state)
{
    ks_fixture *f = *state;
    ks_key *k = NULL;
    tdsa_secret *share = NULL;

    ks_fixture_active(f, "k", "the share");
    shut(f);
    ks_fixture_uri(f, "tok", "tdsa-wrap", "");
    f->cfg.unlock_at_open = false;
    OK(f, ks_open(&f->s, &f->cfg, &f->err));
    assert_true(ks_needs_login(f->s));
    assert_false(ks_is_unlocked(f->s));
    OK(f, ks_key_get(f->s, "k", &k, &f->err));
    ks_key_free(k);
    EXPECT(f, TDSA_E_LOGIN, ks_key_open(f->s, "k", 0, &share, &f->err));
    EXPECT(f, TDSA_E_LOGIN, ks_unlock(f->s, "000000", 6, &f->err));
    EXPECT(f, TDSA_E_LOGIN, ks_unlock(f->s, "", 0, &f->err));
    EXPECT(f, TDSA_E_LOGIN, ks_unlock(f->s, NULL, 0, &f->err));
    assert_false(ks_is_unlocked(f->s));
    OK(f, ks_unlock(f->s, KS_FIXTURE_PIN, strlen(KS_FIXTURE_PIN), &f->err));
    share_is_there(f);
    /* already open: the PIN is checked all the same, and a wrong one changes nothing */
    EXPECT(f, TDSA_E_LOGIN, ks_unlock(f->s, "000000", 6, &f->err));
    share_is_there(f);
    ks_lock(f->s);
    EXPECT(f, TDSA_E_LOGIN, ks_key_open(f->s, "k", 0, &share, &f->err));
}

static void a_first_login_makes_the_data_key(void **state)
{
    ks_fixture *f = *state;

    shut(f);
    assert_int_equal(unlink(f->path), 0);
    f->cfg.unlock_at_open = false;
    OK(f, ks_open(&f->s, &f->cfg, &f->err));
    ks_fixture_register(f, "k"); /* needs no secret */
    EXPECT(f, TDSA_E_LOGIN, ks_unlock(f->s, "000000", 6, &f->err));
    OK(f, ks_unlock(f->s, KS_FIXTURE_PIN, strlen(KS_FIXTURE_PIN), &f->err));
    ks_fixture_store(f, "k", "the share");
    f->cfg.unlock_at_open = true;
    ks_fixture_reopen(f);
    share_is_there(f);
}

static void missing_tokens_keys_and_modules_are_named(void **state)
{
    ks_fixture *f = *state;
    Dl_info library;

    ks_fixture_active(f, "k", "the share");
    shut(f);
    ks_fixture_uri(f, "elsewhere", "tdsa-wrap", PIN_VALUE);
    refused(f, TDSA_E_WRAPPING, "token elsewhere is missing");
    ks_fixture_uri(f, "tok", "no-such-key", PIN_VALUE);
    refused(f, TDSA_E_WRAPPING, "has no AES key object=no-such-key");
    f->cfg.create_wrapping_key = true; /* never made for a store that has a data key */
    refused(f, TDSA_E_WRAPPING, "has no AES key object=no-such-key");
    f->cfg.wrapping_uri = "pkcs11:token=tok;object=tdsa-wrap?module-path=/none/x.so" PIN_VALUE;
    refused(f, TDSA_E_WRAPPING, "/none/x.so");
    assert_true(dladdr(dlsym(RTLD_DEFAULT, "gnu_get_libc_version"), &library) !=
                0); /* any other library */
    (void)snprintf(f->uri, sizeof f->uri, "pkcs11:object=x?module-path=%s%s", library.dli_fname,
                   PIN_VALUE);
    f->cfg.wrapping_uri = f->uri;
    refused(f, TDSA_E_WRAPPING, "is not a PKCS#11 module");
    f->cfg.wrapping_uri = "pkcs11:nonsense";
    refused(f, TDSA_E_CONFIG, "URI of the wrapping key");
    f->cfg.wrapping_uri = NULL;
    refused(f, TDSA_E_CONFIG, "URI of a wrapping key");
}

static void a_wrong_wrapping_key_is_named_by_check_values(void **state)
{
    ks_fixture *f = *state;

    ks_fixture_active(f, "k", "the share");
    shut(f);
    assert_int_equal(softhsm_make(f->dir, "tok", KS_FIXTURE_PIN, "second"), 0);
    ks_fixture_uri(f, "tok", "second", PIN_VALUE);
    refused(f, TDSA_E_WRAPPING, "object=second with check value");
    ks_fixture_uri(f, "tok", "tdsa-wrap", PIN_VALUE);
    ks_fixture_reopen(f);
    share_is_there(f);
}

static void the_wrapping_key_is_made_when_allowed(void **state)
{
    ks_fixture *f = *state;

    shut(f);
    assert_int_equal(unlink(f->path), 0);
    ks_fixture_uri(f, "tok", "fresh", PIN_VALUE);
    refused(f, TDSA_E_WRAPPING, "has no AES key object=fresh");
    f->cfg.create_wrapping_key = true;
    ks_fixture_reopen(f);
    ks_fixture_active(f, "k", "the share");
    f->cfg.create_wrapping_key = false;
    ks_fixture_reopen(f);
    share_is_there(f);
}

static void of_two_keys_of_one_name_the_right_one_is_taken(void **state)
{
    ks_fixture *f = *state;

    ks_fixture_active(f, "k", "the share");
    shut(f);
    for (int i = 0; i < 3; i++) { /* handles come in no order that one could know */
        assert_int_equal(softhsm_add_key("tok", KS_FIXTURE_PIN, "tdsa-wrap"), 0);
        ks_fixture_reopen(f);
        share_is_there(f);
    }
}

typedef struct {
    void *module;
    CK_FUNCTION_LIST *f;
} host;

static host host_begin(void)
{
    CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK};
    CK_C_GetFunctionList get = NULL;
    host h = {dlopen(softhsm_module(), RTLD_NOW | RTLD_LOCAL), NULL};
    void *symbol = NULL;

    assert_non_null(h.module);
    symbol = dlsym(h.module, "C_GetFunctionList");
    memcpy(&get, &symbol, sizeof get);
    assert_int_equal(get(&h.f), CKR_OK);
    assert_int_equal(h.f->C_Initialize(&args), CKR_OK);
    return h;
}

static CK_SESSION_HANDLE host_session(const host *h)
{
    CK_SLOT_ID slots[8];
    CK_ULONG count = 8;
    CK_SESSION_HANDLE session = 0;
    CK_TOKEN_INFO info;

    assert_int_equal(h->f->C_GetSlotList(CK_TRUE, slots, &count), CKR_OK);
    for (CK_ULONG i = 0; i < count; i++) {
        if (h->f->C_GetTokenInfo(slots[i], &info) == CKR_OK && memcmp(info.label, "tok ", 4) == 0) {
            assert_int_equal(
                h->f->C_OpenSession(slots[i], CKF_SERIAL_SESSION, NULL, NULL, &session), CKR_OK);
        }
    }
    assert_true(session != 0);
    return session;
}

static void a_module_of_the_application_is_left_as_it_was(void **state)
{
    ks_fixture *f = *state;
    CK_UTF8CHAR pin[] = KS_FIXTURE_PIN;
    CK_SESSION_INFO info;
    CK_SESSION_HANDLE session = 0;
    host h;

    ks_fixture_active(f, "k", "the share");
    shut(f);
    h = host_begin();
    session = host_session(&h);
    ks_fixture_reopen(f);
    share_is_there(f);
    /* not finalised, the session lives, nobody is logged in */
    assert_int_equal(h.f->C_GetSessionInfo(session, &info), CKR_OK);
    assert_int_equal(info.state, CKS_RO_PUBLIC_SESSION);
    assert_int_equal(h.f->C_Login(session, CKU_USER, pin, strlen(KS_FIXTURE_PIN)), CKR_OK);
    ks_fixture_reopen(f);
    share_is_there(f);
    /* still logged in */
    assert_int_equal(h.f->C_GetSessionInfo(session, &info), CKR_OK);
    assert_int_equal(info.state, CKS_RO_USER_FUNCTIONS);
    assert_int_equal(h.f->C_Finalize(NULL), CKR_OK);
    (void)dlclose(h.module);
    ks_fixture_reopen(f);
    share_is_there(f);
}

static tdsa_status check(ks_fixture *f, const char *pin)
{
    return ks_check_pin(f->s, pin, pin != NULL ? strlen(pin) : 0, &f->err);
}

static void a_pin_is_checked_and_nothing_changes(void **state)
{
    ks_fixture *f = *state;

    ks_fixture_active(f, "k", "the share");
    OK(f, check(f, KS_FIXTURE_PIN));
    EXPECT(f, TDSA_E_LOGIN, check(f, "00000000"));
    assert_non_null(strstr(f->err.text, "CKR_PIN_INCORRECT (tried once)"));
    EXPECT(f, TDSA_E_LOGIN, check(f, "1"));
    EXPECT(f, TDSA_E_LOGIN, check(f, "")); /* and not that of the configuration */
    EXPECT(f, TDSA_E_LOGIN, check(f, NULL));
    share_is_there(f);
    ks_lock(f->s);
    OK(f, check(f, KS_FIXTURE_PIN));
    EXPECT(f, TDSA_E_LOGIN, check(f, "00000000"));
    assert_false(ks_is_unlocked(f->s));
    OK(f, ks_unlock(f->s, KS_FIXTURE_PIN, strlen(KS_FIXTURE_PIN), &f->err));
    share_is_there(f);
}

static void without_a_token_no_pin_is_wrong(void **state)
{
    ks_fixture *f = *state;

    OK(f, check(f, "any"));
    ks_lock(f->s);
    OK(f, check(f, NULL));
    assert_false(ks_is_unlocked(f->s));
}

static void a_pin_is_checked_beside_the_application(void **state)
{
    ks_fixture *f = *state;
    CK_UTF8CHAR pin[] = KS_FIXTURE_PIN;
    CK_SESSION_INFO info;
    CK_SESSION_HANDLE session = 0;
    host h = host_begin();

    session = host_session(&h);
    OK(f, check(f, KS_FIXTURE_PIN));
    EXPECT(f, TDSA_E_LOGIN, check(f, "00000000"));
    assert_int_equal(h.f->C_GetSessionInfo(session, &info), CKR_OK);
    assert_int_equal(info.state, CKS_RO_PUBLIC_SESSION);
    /* now the token looks at no PIN: none is taken for right, and the application stays logged in */
    assert_int_equal(h.f->C_Login(session, CKU_USER, pin, strlen(KS_FIXTURE_PIN)), CKR_OK);
    EXPECT(f, TDSA_E_WRAPPING, check(f, "00000000"));
    EXPECT(f, TDSA_E_WRAPPING, check(f, KS_FIXTURE_PIN));
    assert_non_null(strstr(f->err.text, "the application is logged in"));
    assert_int_equal(h.f->C_GetSessionInfo(session, &info), CKR_OK);
    assert_int_equal(info.state, CKS_RO_USER_FUNCTIONS);
    assert_int_equal(h.f->C_Logout(session), CKR_OK);
    OK(f, check(f, KS_FIXTURE_PIN));
    assert_int_equal(h.f->C_Finalize(NULL), CKR_OK);
    (void)dlclose(h.module);
}

static void the_module_is_finalised_when_it_was_ours(void **state)
{
    ks_fixture *f = *state;
    host h;

    for (int i = 0; i < 50; i++) {
        OK(f, ks_unlock(f->s, KS_FIXTURE_PIN, strlen(KS_FIXTURE_PIN), &f->err));
    }
    h = host_begin(); /* would say CKR_CRYPTOKI_ALREADY_INITIALIZED */
    assert_int_equal(h.f->C_Finalize(NULL), CKR_OK);
    (void)dlclose(h.module);
}

static struct CMUnitTest with(struct CMUnitTest test, const ks_variant *variant)
{
    test.setup_func = ks_fixture_setup;
    test.teardown_func = ks_fixture_teardown;
    test.initial_state = (void *)(uintptr_t)variant;
    return test;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with((struct CMUnitTest)cmocka_unit_test(a_changed_key_is_named_by_both_check_values),
             &gcm),
        with((struct CMUnitTest)cmocka_unit_test(a_dropped_key_stops_the_start), &gcm),
        with((struct CMUnitTest)cmocka_unit_test(a_clear_store_does_not_take_a_key_later), &clear),
        with((struct CMUnitTest)cmocka_unit_test(unknown_backends_and_missing_parts_are_refused),
             &gcm),
        with((struct CMUnitTest)cmocka_unit_test(a_lost_data_key_row_is_not_replaced), &gcm),
        with((struct CMUnitTest)cmocka_unit_test(an_edited_data_key_row_is_refused), &gcm),
        with((struct CMUnitTest)cmocka_unit_test(an_edited_data_key_row_is_refused), &token),
        with((struct CMUnitTest)cmocka_unit_test(a_wrong_pin_is_tried_once), &token),
        with((struct CMUnitTest)cmocka_unit_test(a_pin_comes_from_a_file), &token),
        with((struct CMUnitTest)cmocka_unit_test(a_pin_comes_from_the_environment), &token),
        with((struct CMUnitTest)cmocka_unit_test(a_pin_comes_from_a_credential_of_systemd), &token),
        with((struct CMUnitTest)cmocka_unit_test(without_a_pin_it_says_so), &token),
        with((struct CMUnitTest)cmocka_unit_test(a_locked_store_opens_with_the_pin_of_a_login),
             &token),
        with((struct CMUnitTest)cmocka_unit_test(a_first_login_makes_the_data_key), &token),
        with((struct CMUnitTest)cmocka_unit_test(missing_tokens_keys_and_modules_are_named),
             &token),
        with((struct CMUnitTest)cmocka_unit_test(a_wrong_wrapping_key_is_named_by_check_values),
             &token),
        with((struct CMUnitTest)cmocka_unit_test(the_wrapping_key_is_made_when_allowed), &token),
        with((struct CMUnitTest)cmocka_unit_test(of_two_keys_of_one_name_the_right_one_is_taken),
             &token),
        with((struct CMUnitTest)cmocka_unit_test(a_module_of_the_application_is_left_as_it_was),
             &token),
        with((struct CMUnitTest)cmocka_unit_test(a_pin_is_checked_and_nothing_changes), &token),
        with((struct CMUnitTest)cmocka_unit_test(without_a_token_no_pin_is_wrong), &gcm),
        with((struct CMUnitTest)cmocka_unit_test(without_a_token_no_pin_is_wrong), &clear),
        with((struct CMUnitTest)cmocka_unit_test(a_pin_is_checked_beside_the_application), &token),
        with((struct CMUnitTest)cmocka_unit_test(the_module_is_finalised_when_it_was_ours), &token),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
