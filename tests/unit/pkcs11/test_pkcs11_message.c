#include "support/p11_calls.h"

#include <string.h>

#include "support/fake_engine.h"

static CK_SESSION_HANDLE s;
static CK_OBJECT_HANDLE pub, priv;
static CK_BYTE text[] = "the quick brown fox";
static CK_BYTE sig[64];
static CK_ULONG len;

static int setup(void **state)
{
    if (p11_setup(state) != 0) {
        return -1;
    }
    s = p11_open_user();
    p11_make_pair(s, "a", &pub, &priv);
    len = sizeof sig;
    return 0;
}

static CK_RV sign_init(CK_OBJECT_HANDLE key)
{
    CK_MECHANISM mech = {CKM_ECDSA_SHA256, NULL, 0};

    return C_MessageSignInit(s, &mech, key);
}

static CK_RV verify_init(void)
{
    CK_MECHANISM mech = {CKM_ECDSA_SHA256, NULL, 0};

    return C_MessageVerifyInit(s, &mech, pub);
}

static CK_RV sign(CK_ULONG n)
{
    len = sizeof sig;
    return C_SignMessage(s, NULL, 0, text, n, sig, &len);
}

static void many_messages_are_signed_and_verified_after_one_init(void **state)
{
    (void)state;
    P11_OK(sign_init(priv));
    P11_OK(verify_init());
    for (CK_ULONG n = 0; n < 19; n++) {
        P11_OK(sign(n));
        assert_int_equal(len, 64);
        assert_true(p11_openssl_verifies(s, pub, sig, text, n));
        P11_OK(C_VerifyMessage(s, NULL, 0, text, n, sig, len));
        assert_int_equal(C_VerifyMessage(s, NULL, 0, text, n + 1, sig, len), CKR_SIGNATURE_INVALID);
    }
    assert_int_equal(atomic_load(&fake.sign_calls), 19);
    P11_OK(C_MessageSignFinal(s));
    P11_OK(C_MessageVerifyFinal(s));
    assert_int_equal(sign(1), CKR_OPERATION_NOT_INITIALIZED);
    assert_int_equal(C_VerifyMessage(s, NULL, 0, text, 1, sig, 64), CKR_OPERATION_NOT_INITIALIZED);
    assert_int_equal(C_MessageSignFinal(s), CKR_OPERATION_NOT_INITIALIZED);
    assert_int_equal(C_MessageVerifyFinal(s), CKR_OPERATION_NOT_INITIALIZED);
}

static void a_size_query_and_a_short_buffer_sign_nothing(void **state)
{
    (void)state;
    P11_OK(sign_init(priv));
    len = 0;
    P11_OK(C_SignMessage(s, NULL, 0, text, 5, NULL, &len));
    assert_int_equal(len, 64);
    len = 63;
    assert_int_equal(C_SignMessage(s, NULL, 0, text, 5, sig, &len), CKR_BUFFER_TOO_SMALL);
    assert_int_equal(len, 64);
    assert_int_equal(atomic_load(&fake.sign_calls), 0);
    P11_OK(sign(5));
}

static void a_message_that_fails_does_not_end_the_others(void **state)
{
    (void)state;
    P11_OK(sign_init(priv));
    P11_OK(verify_init());
    assert_int_equal(C_SignMessage(s, text, 0, text, 5, sig, &len), CKR_ARGUMENTS_BAD);
    assert_int_equal(C_SignMessage(s, NULL, 3, text, 5, sig, &len), CKR_ARGUMENTS_BAD);
    assert_int_equal(C_SignMessage(s, NULL, 0, NULL, 5, sig, &len), CKR_ARGUMENTS_BAD);
    assert_int_equal(C_SignMessage(s, NULL, 0, text, 5, sig, NULL), CKR_ARGUMENTS_BAD);
    atomic_store(&fake.fail_sign, TDSA_E_UNAVAILABLE);
    assert_int_equal(sign(5), CKR_DEVICE_REMOVED);
    atomic_store(&fake.fail_sign, TDSA_OK);
    P11_OK(C_Logout(s));
    assert_int_equal(sign(5), CKR_USER_NOT_LOGGED_IN);
    P11_OK(p11_login(s, FAKE_PIN));
    P11_OK(sign(5));
    assert_int_equal(C_VerifyMessage(s, NULL, 0, text, 5, sig, 63), CKR_SIGNATURE_LEN_RANGE);
    assert_int_equal(C_VerifyMessage(s, NULL, 0, text, 5, NULL, 64), CKR_ARGUMENTS_BAD);
    assert_int_equal(C_VerifyMessage(s, text, 1, text, 5, sig, 64), CKR_ARGUMENTS_BAD);
    assert_int_equal(C_VerifyMessage(s, NULL, 0, NULL, 5, sig, 64), CKR_ARGUMENTS_BAD);
    P11_OK(C_VerifyMessage(s, NULL, 0, text, 5, sig, 64));
}

static void init_refuses_what_c_sign_init_refuses(void **state)
{
    CK_MECHANISM digest = {CKM_SHA256, NULL, 0};
    CK_MECHANISM eddsa = {CKM_EDDSA, NULL, 0};
    CK_MECHANISM with = {CKM_ECDSA, &with, 4};

    (void)state;
    assert_int_equal(C_MessageSignInit(s, NULL, priv), CKR_ARGUMENTS_BAD);
    assert_int_equal(C_MessageSignInit(s, &digest, priv), CKR_MECHANISM_INVALID);
    assert_int_equal(C_MessageSignInit(s, &eddsa, priv), CKR_KEY_TYPE_INCONSISTENT);
    assert_int_equal(C_MessageSignInit(s, &with, priv), CKR_MECHANISM_PARAM_INVALID);
    assert_int_equal(sign_init(pub), CKR_KEY_FUNCTION_NOT_PERMITTED);
    assert_int_equal(sign_init(4242), CKR_KEY_HANDLE_INVALID);
    assert_int_equal(C_MessageVerifyInit(s, &digest, pub), CKR_MECHANISM_INVALID);
    assert_int_equal(C_MessageVerifyInit(s, NULL, pub), CKR_ARGUMENTS_BAD);
    P11_OK(sign_init(priv));
    assert_int_equal(sign_init(priv), CKR_OPERATION_ACTIVE);
    P11_OK(verify_init());
    assert_int_equal(verify_init(), CKR_OPERATION_ACTIVE);
    P11_OK(C_MessageSignInit(s, NULL, 0)); /* a NULL mechanism cancels */
    P11_OK(C_MessageVerifyInit(s, NULL, 0));
    assert_int_equal(sign(1), CKR_OPERATION_NOT_INITIALIZED);
    assert_int_equal(C_MessageVerifyFinal(s), CKR_OPERATION_NOT_INITIALIZED);
}

static void session_cancel_ends_messages_alone(void **state)
{
    CK_MECHANISM mech = {CKM_ECDSA_SHA256, NULL, 0};

    (void)state;
    P11_OK(sign_init(priv));
    P11_OK(verify_init());
    P11_OK(C_SignInit(s, &mech, priv));
    P11_OK(C_SessionCancel(s, CKF_MESSAGE_SIGN));
    assert_int_equal(sign(1), CKR_OPERATION_NOT_INITIALIZED);
    P11_OK(C_SessionCancel(s, CKF_MESSAGE_VERIFY));
    assert_int_equal(C_MessageVerifyFinal(s), CKR_OPERATION_NOT_INITIALIZED);
    P11_OK(sign_init(priv));
    P11_OK(C_SessionCancel(s, CKF_SIGN)); /* and the other one stays */
    P11_OK(sign(1));
    assert_int_equal(C_SignFinal(s, sig, &len), CKR_OPERATION_NOT_INITIALIZED);
}

static CK_RV context_login(const char *pin)
{
    CK_UTF8CHAR copy[16];

    memcpy(copy, pin, strlen(pin));
    return C_Login(s, CKU_CONTEXT_SPECIFIC, copy, strlen(pin));
}

static void each_message_of_such_a_key_asks_for_the_pin(void **state)
{
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE templ[] = {{CKA_ALWAYS_AUTHENTICATE, &yes, sizeof yes},
                            {CKA_TOKEN, &yes, sizeof yes}};
    const p11_new_pair how = {CKM_EC_KEY_PAIR_GEN, p11_oid_p256, sizeof p11_oid_p256,
                              P11_ARRAY(templ)};

    (void)state;
    P11_OK(p11_make_any_pair(s, &how, &pub, &priv));
    P11_OK(sign_init(priv));
    assert_int_equal(sign(5), CKR_USER_NOT_LOGGED_IN);
    assert_int_equal(context_login("4321"), CKR_PIN_INCORRECT);
    assert_int_equal(sign(5), CKR_USER_NOT_LOGGED_IN);
    P11_OK(context_login(FAKE_PIN));
    P11_OK(C_SignMessage(s, NULL, 0, text, 5, NULL, &len)); /* a size query uses up nothing */
    P11_OK(sign(5));
    assert_int_equal(sign(5), CKR_USER_NOT_LOGGED_IN);
    P11_OK(context_login(FAKE_PIN));
    P11_OK(sign(5));
    P11_OK(C_MessageSignFinal(s));
    assert_int_equal(context_login(FAKE_PIN), CKR_OPERATION_NOT_INITIALIZED);
}

static void mechanisms_say_it_to_callers_of_version_3(void **state)
{
    static const CK_MECHANISM_TYPE signing[] = {CKM_ECDSA, CKM_ECDSA_SHA256, CKM_EDDSA};
    CK_MECHANISM_INFO info;

    (void)state;
    for (size_t i = 0; i < sizeof signing / sizeof signing[0]; i++) {
        P11_OK(C_GetMechanismInfo(0, signing[i], &info));
        assert_int_equal(info.flags & (CKF_MESSAGE_SIGN | CKF_MESSAGE_VERIFY), 0);
        P11_OK(p11_table_v3()->C_GetMechanismInfo(0, signing[i], &info));
        assert_int_equal(info.flags & (CKF_MESSAGE_SIGN | CKF_MESSAGE_VERIFY),
                         CKF_MESSAGE_SIGN | CKF_MESSAGE_VERIFY);
    }
    P11_OK(p11_table_v3()->C_GetMechanismInfo(0, CKM_SHA256, &info));
    assert_int_equal(info.flags, CKF_DIGEST);
    assert_int_equal(p11_table_v3()->C_GetMechanismInfo(0, CKM_ECDSA, NULL), CKR_ARGUMENTS_BAD);
}

static void messages_in_parts_are_not_there(void **state)
{
    (void)state;
    P11_OK(sign_init(priv));
    assert_int_equal(C_SignMessageBegin(s, NULL, 0), CKR_FUNCTION_NOT_SUPPORTED);
    assert_int_equal(C_SignMessageNext(s, NULL, 0, text, 1, sig, &len), CKR_FUNCTION_NOT_SUPPORTED);
    assert_int_equal(C_VerifyMessageBegin(s, NULL, 0), CKR_FUNCTION_NOT_SUPPORTED);
    assert_int_equal(C_VerifyMessageNext(s, NULL, 0, text, 1, sig, 64), CKR_FUNCTION_NOT_SUPPORTED);
    P11_OK(sign(1));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, p11_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(many_messages_are_signed_and_verified_after_one_init),
        TEST(a_size_query_and_a_short_buffer_sign_nothing),
        TEST(a_message_that_fails_does_not_end_the_others),
        TEST(init_refuses_what_c_sign_init_refuses),
        TEST(session_cancel_ends_messages_alone),
        TEST(each_message_of_such_a_key_asks_for_the_pin),
        TEST(mechanisms_say_it_to_callers_of_version_3),
        TEST(messages_in_parts_are_not_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
