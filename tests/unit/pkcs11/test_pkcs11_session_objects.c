/* Session keys: made for a session, ended with it, or taken to the token. */
#include "support/p11_calls.h"

#include <stdio.h>
#include <string.h>

#include "pkcs11-provider/names.h"
#include "support/fake_engine.h"

static CK_SESSION_HANDLE s;
static CK_OBJECT_HANDLE pub, priv;
static CK_BBOOL yes = CK_TRUE;
static CK_BBOOL no = CK_FALSE;

static int setup(void **state)
{
    if (p11_setup(state) != 0) {
        return -1;
    }
    s = p11_open_user();
    return 0;
}

static void make_in(CK_SESSION_HANDLE session)
{
    const p11_new_pair how = {CKM_EC_KEY_PAIR_GEN, p11_oid_p256, sizeof p11_oid_p256, NULL, 0};

    P11_OK(p11_make_any_pair(session, &how, &pub, &priv));
}

static CK_RV sign_with(CK_OBJECT_HANDLE key)
{
    CK_MECHANISM mech = {CKM_ECDSA, NULL, 0};
    CK_BYTE digest[32] = {1};
    CK_BYTE sig[64];
    CK_ULONG len = sizeof sig;
    const CK_RV rv = C_SignInit(s, &mech, key);

    return rv == CKR_OK ? C_Sign(s, digest, sizeof digest, sig, &len) : rv;
}

/* C_CopyObject to the token, under a name of its own; what the object is may be said again. */
static CK_RV promote(CK_SESSION_HANDLE session, CK_BBOOL *token, CK_OBJECT_HANDLE *copy)
{
    CK_BYTE name[] = "kept";
    CK_OBJECT_CLASS cls = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE templ[] = {
        {CKA_TOKEN, token, sizeof *token}, {CKA_CLASS, &cls, sizeof cls}, {CKA_LABEL, name, 4}};

    return C_CopyObject(session, priv, P11_ARRAY(templ), copy);
}

static void restart(void)
{
    P11_OK(C_Finalize(NULL));
    P11_OK(C_Initialize(NULL));
    s = p11_open_user();
}

static void a_session_key_goes_with_its_session(void **state)
{
    const CK_SESSION_HANDLE ro = p11_open(0);

    (void)state;
    make_in(ro);
    assert_int_equal(p11_get_bool(s, priv, CKA_TOKEN), CK_FALSE);
    assert_int_equal(p11_get_bool(s, pub, CKA_TOKEN), CK_FALSE);
    assert_int_equal(p11_get_bool(s, priv, CKA_COPYABLE), CK_TRUE);
    P11_OK(sign_with(priv)); /* by another session of the application */
    assert_int_equal(p11_count_class(s, CKO_PRIVATE_KEY, NULL), 1);
    P11_OK(C_CloseSession(ro));
    assert_int_equal(atomic_load(&fake.delete_calls), 1);
    assert_int_equal(fake_key_count(), 0);
    assert_int_equal(p11_count_class(s, CKO_PRIVATE_KEY, NULL), 0);
    assert_int_equal(p11_count_class(s, CKO_PUBLIC_KEY, NULL), 0);
    assert_int_equal(sign_with(priv), CKR_KEY_HANDLE_INVALID);
}

static void closing_all_sessions_ends_all_their_keys(void **state)
{
    CK_OBJECT_HANDLE kept_pub = 0;
    CK_OBJECT_HANDLE kept = 0;

    (void)state;
    p11_make_pair(s, "token", &kept_pub, &kept);
    make_in(s);
    make_in(p11_open(0));
    P11_OK(C_CloseAllSessions(0));
    assert_int_equal(atomic_load(&fake.delete_calls), 2);
    assert_int_equal(fake_key_count(), 1);
}

static void c_finalize_ends_session_keys(void **state)
{
    (void)state;
    make_in(s);
    P11_OK(C_Finalize(NULL));
    assert_int_equal(atomic_load(&fake.delete_calls), 1);
    assert_int_equal(fake_key_count(), 0);
    P11_OK(C_Initialize(NULL));
}

/* The keystore is locked afterwards: a key that stayed could not be deleted any more. */
static void a_logout_ends_session_keys(void **state)
{
    (void)state;
    make_in(s);
    P11_OK(C_Logout(s));
    assert_int_equal(atomic_load(&fake.delete_calls), 1);
    P11_OK(p11_login(s, FAKE_PIN));
    assert_int_equal(p11_count_class(s, CKO_PRIVATE_KEY, NULL), 0);
    assert_int_equal(C_DestroyObject(s, priv), CKR_OBJECT_HANDLE_INVALID);
}

static void a_session_key_is_destroyed_once(void **state)
{
    const CK_SESSION_HANDLE ro = p11_open(0);

    (void)state;
    make_in(ro);
    P11_OK(C_DestroyObject(ro, priv)); /* no R/W session is needed */
    P11_OK(C_DestroyObject(ro, pub));
    P11_OK(C_CloseSession(ro));
    assert_int_equal(atomic_load(&fake.delete_calls), 1);
}

static void a_session_closes_though_its_key_cannot_be_deleted(void **state)
{
    const CK_SESSION_HANDLE ro = p11_open(0);

    (void)state;
    make_in(ro);
    atomic_store(&fake.fail_delete, TDSA_E_STORE);
    P11_OK(C_CloseSession(ro));
    assert_int_equal(p11_count_class(s, CKO_PRIVATE_KEY, NULL), 0);
    assert_int_equal(fake_key_count(), 1); /* for whoever comes in a day */
}

/* Orders are written down at once; the participants have some time to hear of all of them together. */
static void participants_that_do_not_answer_are_told_later(void **state)
{
    const CK_SESSION_HANDLE ro = p11_open(0);

    (void)state;
    make_in(ro);
    P11_OK(C_CloseSession(ro));
    assert_in_range(atomic_load(&fake.delete_deadline_ms), 2, 500);
    make_in(s);
    make_in(s);
    atomic_store(&fake.delete_delay_ms, 600);
    P11_OK(C_Logout(s));
    assert_int_equal(atomic_load(&fake.delete_calls), 3);
    assert_int_equal(atomic_load(&fake.delete_deadline_ms), PART_TELL_LATER);
    assert_int_equal(fake_key_count(), 0);
}

static void a_copy_to_the_token_outlives_the_session(void **state)
{
    const CK_SESSION_HANDLE rw = p11_open(CKF_RW_SESSION);
    CK_OBJECT_HANDLE copy = 0;
    CK_OBJECT_HANDLE again = 0;

    (void)state;
    make_in(rw);
    assert_int_equal(promote(p11_open(0), &yes, &copy), CKR_SESSION_READ_ONLY);
    assert_int_equal(promote(rw, &no, &copy), CKR_ACTION_PROHIBITED);
    P11_OK(promote(rw, &yes, &copy));
    assert_int_not_equal(copy, priv);
    assert_int_equal(p11_get_bool(s, copy, CKA_TOKEN), CK_TRUE);
    assert_int_equal(p11_get_bool(s, priv, CKA_TOKEN), CK_FALSE);
    assert_int_equal(p11_get_bool(s, priv, CKA_COPYABLE), CK_FALSE); /* once */
    assert_int_equal(promote(rw, &yes, &again), CKR_ACTION_PROHIBITED);
    P11_OK(sign_with(priv));
    P11_OK(C_CloseSession(rw));
    assert_int_equal(atomic_load(&fake.delete_calls), 0);
    assert_int_equal(sign_with(priv), CKR_KEY_HANDLE_INVALID);
    P11_OK(sign_with(copy));
    restart();
    P11_OK(sign_with(p11_one_labelled(s, CKO_PRIVATE_KEY, "kept")));
    (void)p11_one_labelled(s, CKO_PUBLIC_KEY, "kept");
}

/* Both objects are of one key, and each has its own names. */
static void the_session_object_of_a_kept_key_changes_alone(void **state)
{
    CK_OBJECT_HANDLE copy = 0;

    (void)state;
    make_in(s);
    P11_OK(promote(s, &yes, &copy));
    P11_OK(p11_set(s, priv, CKA_LABEL, "fleeting"));
    assert_int_equal(p11_one_labelled(s, CKO_PRIVATE_KEY, "fleeting"), priv);
    assert_int_equal(p11_one_labelled(s, CKO_PRIVATE_KEY, "kept"), copy);
    P11_OK(C_DestroyObject(s, pub));
    assert_int_equal(p11_count_class(s, CKO_PUBLIC_KEY, NULL), 1);
    P11_OK(C_DestroyObject(s, priv));
    assert_int_equal(atomic_load(&fake.delete_calls), 0);
    restart();
    P11_OK(sign_with(p11_one_labelled(s, CKO_PRIVATE_KEY, "kept")));
}

static void a_session_key_stays_while_others_change_the_token(void **state)
{
    (void)state;
    make_in(s);
    fake_other_process_adds("other", GRP_P256, "other");
    assert_int_equal(p11_count_class(s, CKO_PRIVATE_KEY, NULL), 2);
    P11_OK(p11_set(s, priv, CKA_LABEL, "mine"));
    assert_int_equal(p11_one_labelled(s, CKO_PRIVATE_KEY, "mine"), priv);
    assert_int_equal(p11_get_bool(s, priv, CKA_TOKEN), CK_FALSE);
}

/* A session key as another process of the token has it. */
static void other_process_makes(const char *key_id, uint64_t until_ms)
{
    const part_engine_cfg cfg = {0};
    const p11_names names = {.session_until_ms = until_ms};
    tdsa_buf attrs = TDSA_BUF_EMPTY;
    part_engine *engine = NULL;
    tdsa_err err;

    fake_other_process_adds(key_id, GRP_P256, "");
    p11_names_encode(&attrs, &names);
    assert_int_equal(part_engine_new(&engine, &cfg, &err), TDSA_OK);
    assert_int_equal(part_engine_set_attrs(engine, key_id, "", attrs.data, attrs.len, &err),
                     TDSA_OK);
    part_engine_free(engine);
    tdsa_buf_clear(&attrs);
}

static void the_session_key_of_another_process_is_not_shown(void **state)
{
    (void)state;
    other_process_makes("theirs", UINT64_C(1) << 50);
    assert_int_equal(p11_count_class(s, CKO_PRIVATE_KEY, NULL), 0);
    assert_int_equal(p11_count_class(s, CKO_PUBLIC_KEY, NULL), 0);
    P11_OK(C_CloseSession(p11_open(0)));
    assert_true(fake_has_key("theirs"));
}

static void what_was_left_behind_is_deleted_after_its_time(void **state)
{
    char name[16];

    (void)state;
    for (int i = 0; i < 20; i++) { /* more than one search remembers */
        (void)snprintf(name, sizeof name, "old-%d", i);
        other_process_makes(name, 1);
    }
    assert_int_equal(p11_count_class(s, CKO_PRIVATE_KEY, NULL), 0);
    P11_OK(C_Logout(s));
    P11_OK(C_CloseSession(p11_open(0))); /* nobody is logged in */
    assert_int_equal(fake_key_count(), 20);
    P11_OK(p11_login(s, FAKE_PIN));
    P11_OK(C_CloseSession(p11_open(0)));
    assert_int_equal(fake_key_count(), 4);
    assert_int_equal(p11_count_class(s, CKO_PRIVATE_KEY, NULL), 0);
    P11_OK(C_CloseSession(p11_open(0)));
    assert_int_equal(fake_key_count(), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, p11_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_session_key_goes_with_its_session),
        TEST(closing_all_sessions_ends_all_their_keys),
        TEST(c_finalize_ends_session_keys),
        TEST(a_logout_ends_session_keys),
        TEST(a_session_key_is_destroyed_once),
        TEST(a_session_closes_though_its_key_cannot_be_deleted),
        TEST(participants_that_do_not_answer_are_told_later),
        TEST(a_copy_to_the_token_outlives_the_session),
        TEST(the_session_object_of_a_kept_key_changes_alone),
        TEST(a_session_key_stays_while_others_change_the_token),
        TEST(the_session_key_of_another_process_is_not_shown),
        TEST(what_was_left_behind_is_deleted_after_its_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
