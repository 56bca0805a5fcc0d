#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ks_shim.h"

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

static void works(ks_fixture *f)
{
    tdsa_secret *share = NULL;

    ks_fixture_reopen(f);
    OK(f, ks_key_open(f->s, "k", 0, &share, &f->err));
    tdsa_secret_free(share);
    ks_close(f->s);
    f->s = NULL;
}

static void every_failing_call_is_named_and_heals(void **state)
{
    static const char *const calls[] = {
        "C_Initialize",  "C_GetSlotList",     "C_OpenSession", "C_Login",       "C_FindObjects",
        "C_EncryptInit", "C_FindObjectsInit", "C_Encrypt",     "C_DecryptInit", "C_Decrypt"};
    static const struct {
        CK_RV rv;
        const char *name;
    } codes[] = {{CKR_DEVICE_ERROR, "CKR_DEVICE_ERROR"},
                 {CKR_GENERAL_ERROR, "CKR_GENERAL_ERROR"},
                 {CKR_TOKEN_NOT_PRESENT, "CKR_TOKEN_NOT_PRESENT"},
                 {CKR_HOST_MEMORY, "CKR_HOST_MEMORY"},
                 {CKR_CRYPTOKI_NOT_INITIALIZED, "CKR_CRYPTOKI_NOT_INITIALIZED"},
                 {0x80001234, "CKR 0x80001234"}};
    ks_fixture *f = *state;
    ks_shim s;

    ks_fixture_active(f, "k", "share");
    s = ks_shim_put(f, KS_SHIM_PIN);
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        for (size_t k = 0; k < sizeof codes / sizeof codes[0]; k++) {
            s.set(calls[i], codes[k].rv, 0);
            refused(f, TDSA_E_WRAPPING, codes[k].name);
        }
    }
    s.set("C_GetSlotInfo", CKR_DEVICE_ERROR, 0);
    refused(f, TDSA_E_WRAPPING, "is missing");
    s.set("C_GetTokenInfo", CKR_TOKEN_NOT_PRESENT, 0);
    refused(f, TDSA_E_WRAPPING, "is missing");
    s.set(NULL, CKR_OK, 0);
    works(f);
    ks_shim_drop(&s);
}

static void a_token_that_cannot_make_a_key_is_named(void **state)
{
    ks_fixture *f = *state;
    ks_shim s = ks_shim_put(f, KS_SHIM_PIN);

    assert_int_equal(unlink(f->path), 0);
    (void)snprintf(f->uri, sizeof f->uri, "pkcs11:token=tok;object=new?module-path=%s%s", SHIM_PATH,
                   KS_SHIM_PIN);
    f->cfg.create_wrapping_key = true;
    s.set("C_GenerateKey", CKR_TOKEN_WRITE_PROTECTED, 0);
    refused(f, TDSA_E_WRAPPING, "CKR_TOKEN_WRITE_PROTECTED");
    s.set("C_Encrypt", CKR_DEVICE_ERROR, 0); /* no half state: no data key row without a key */
    refused(f, TDSA_E_WRAPPING, "CKR_DEVICE_ERROR");
    s.set(NULL, CKR_OK, 0);
    ks_fixture_reopen(f);
    ks_close(f->s);
    f->s = NULL;
    ks_shim_drop(&s);
}

static void a_refused_pin_is_named_and_tried_once(void **state)
{
    static const struct {
        CK_RV rv;
        const char *name;
    } codes[] = {{CKR_PIN_INCORRECT, "CKR_PIN_INCORRECT"},
                 {CKR_PIN_LOCKED, "CKR_PIN_LOCKED"},
                 {CKR_PIN_LEN_RANGE, "CKR_PIN_LEN_RANGE"},
                 {CKR_PIN_EXPIRED, "CKR_PIN_EXPIRED"},
                 {CKR_PIN_INVALID, "CKR_PIN_INVALID"},
                 {CKR_USER_PIN_NOT_INITIALIZED, "CKR_USER_PIN_NOT_INITIALIZED"}};
    ks_fixture *f = *state;
    ks_shim s;

    ks_fixture_active(f, "k", "share");
    s = ks_shim_put(f, KS_SHIM_PIN);
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        s.set("C_Login", codes[i].rv, 0);
        refused(f, TDSA_E_LOGIN, codes[i].name);
        assert_int_equal(s.logins(), 1);
    }
    ks_shim_drop(&s);
}

static void a_locked_token_is_not_asked(void **state)
{
    ks_fixture *f = *state;
    ks_shim s;

    ks_fixture_active(f, "k", "share");
    s = ks_shim_put(f, KS_SHIM_PIN);
    s.set(NULL, CKR_OK, CKF_USER_PIN_LOCKED);
    refused(f, TDSA_E_LOGIN, "is locked");
    assert_int_equal(s.logins(), 0);
    ks_shim_drop(&s);
}

static void the_last_try_is_left_to_people(void **state)
{
    ks_fixture *f = *state;
    ks_shim s;

    ks_fixture_active(f, "k", "share");
    s = ks_shim_put(f, KS_SHIM_PIN);
    s.set(NULL, CKR_OK, CKF_USER_PIN_FINAL_TRY);
    refused(f, TDSA_E_LOGIN, "one PIN try left");
    assert_int_equal(s.logins(), 0);
    f->cfg.unlock_at_open = false;
    ks_fixture_reopen(f);
    OK(f, ks_unlock(f->s, KS_FIXTURE_PIN, strlen(KS_FIXTURE_PIN), &f->err));
    assert_int_equal(s.logins(), 1);
    ks_close(f->s);
    f->s = NULL;
    ks_shim_drop(&s);
}

static void a_failed_unlock_leaves_an_open_store_open(void **state)
{
    ks_fixture *f = *state;
    tdsa_secret *share = NULL;
    ks_shim s;

    ks_fixture_active(f, "k", "share");
    s = ks_shim_put(f, KS_SHIM_PIN);
    ks_fixture_reopen(f);
    s.set("C_GetSlotList", CKR_DEVICE_REMOVED, 0);
    EXPECT(f, TDSA_E_WRAPPING, ks_unlock(f->s, NULL, 0, &f->err));
    OK(f, ks_key_open(f->s, "k", 0, &share, &f->err)); /* the token is needed to unlock only */
    tdsa_secret_free(share);
    ks_close(f->s);
    f->s = NULL;
    ks_shim_drop(&s);
}

#define TOKEN(f) ks_shim_test((struct CMUnitTest)cmocka_unit_test(f))

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN(every_failing_call_is_named_and_heals),
        TOKEN(a_token_that_cannot_make_a_key_is_named),
        TOKEN(a_refused_pin_is_named_and_tried_once),
        TOKEN(a_locked_token_is_not_asked),
        TOKEN(the_last_try_is_left_to_people),
        TOKEN(a_failed_unlock_leaves_an_open_store_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
