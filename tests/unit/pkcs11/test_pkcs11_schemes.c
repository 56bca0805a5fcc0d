/* Ed25519, BIP-340 and keys with rules of their own. */
#include "support/p11_calls.h"

#include <string.h>

#include "pkcs11-provider/mechanism.h"
#include "support/fake_engine.h"
#include "support/schnorr_judge.h"

static CK_SESSION_HANDLE s;
static CK_OBJECT_HANDLE pub, priv;
static CK_BYTE text[] = "the quick brown fox";
static CK_BYTE sig[64];
static CK_ULONG len;
static CK_BBOOL yes = CK_TRUE;
static CK_BBOOL no = CK_FALSE;

static int setup(void **state)
{
    if (p11_setup(state) != 0) {
        return -1;
    }
    s = p11_open_user();
    len = sizeof sig;
    return 0;
}

static CK_RV make_edwards(const CK_BYTE *params, CK_ULONG params_len)
{
    const p11_new_pair how = {CKM_EC_EDWARDS_KEY_PAIR_GEN, params, params_len, NULL, 0};

    return p11_make_any_pair(s, &how, &pub, &priv);
}

static void make_ed25519(void)
{
    P11_OK(make_edwards(p11_oid_ed25519, sizeof p11_oid_ed25519));
}

static CK_RV make_ec(CK_ATTRIBUTE *templ, CK_ULONG count)
{
    const p11_new_pair how = {CKM_EC_KEY_PAIR_GEN, p11_oid_secp256k1, sizeof p11_oid_secp256k1,
                              templ, count};

    return p11_make_any_pair(s, &how, &pub, &priv);
}

static void make_bip340(void)
{
    CK_MECHANISM_TYPE allowed = CKM_TDSA_BIP340;
    CK_ATTRIBUTE a = {CKA_ALLOWED_MECHANISMS, &allowed, sizeof allowed};

    P11_OK(make_ec(&a, 1));
}

static CK_RV sign_init(CK_MECHANISM_TYPE type)
{
    CK_MECHANISM mech = {type, NULL, 0};

    return C_SignInit(s, &mech, priv);
}

static CK_RV verify_init(CK_MECHANISM_TYPE type)
{
    CK_MECHANISM mech = {type, NULL, 0};

    return C_VerifyInit(s, &mech, pub);
}

/* ---- Ed25519 ---- */

static void an_edwards_key_is_made_by_oid_and_by_name(void **state)
{
    CK_ULONG number = 0;
    CK_BYTE have[192];

    (void)state;
    for (int i = 0; i < 2; i++) {
        P11_OK(i == 0 ? make_edwards(p11_oid_ed25519, sizeof p11_oid_ed25519)
                      : make_edwards(p11_name_ed25519, sizeof p11_name_ed25519));
        (void)p11_get(s, priv, CKA_KEY_TYPE, &number, sizeof number);
        assert_int_equal(number, CKK_EC_EDWARDS);
        (void)p11_get(s, pub, CKA_KEY_GEN_MECHANISM, &number, sizeof number);
        assert_int_equal(number, CKM_EC_EDWARDS_KEY_PAIR_GEN);
        assert_int_equal(p11_get(s, pub, CKA_EC_PARAMS, have, sizeof have), 5);
        assert_memory_equal(have, p11_oid_ed25519, 5);
        assert_int_equal(p11_get(s, priv, CKA_ALLOWED_MECHANISMS, have, sizeof have),
                         sizeof number);
        memcpy(&number, have, sizeof number);
        assert_int_equal(number, CKM_EDDSA);
        EVP_PKEY_free(p11_public_key(s, pub)); /* OpenSSL reads it */
    }
}

static void each_generator_has_its_curves(void **state)
{
    const p11_new_pair crossed = {CKM_EC_KEY_PAIR_GEN, p11_oid_ed25519, sizeof p11_oid_ed25519,
                                  NULL, 0};

    (void)state;
    assert_int_equal(p11_make_any_pair(s, &crossed, &pub, &priv), CKR_CURVE_NOT_SUPPORTED);
    assert_int_equal(make_edwards(p11_oid_p256, sizeof p11_oid_p256), CKR_CURVE_NOT_SUPPORTED);
}

static void eddsa_signs_in_one_part_and_in_many(void **state)
{
    (void)state;
    make_ed25519();
    for (CK_ULONG n = 0; n < 19; n += 6) {
        P11_OK(sign_init(CKM_EDDSA));
        P11_OK(C_Sign(s, text, n, sig, &len));
        assert_int_equal(len, 64);
        assert_int_equal(fake.last_payload_len, n); /* the participants get the message */
        assert_true(p11_openssl_verifies(s, pub, sig, text, n));
        P11_OK(verify_init(CKM_EDDSA));
        P11_OK(C_Verify(s, text, n, sig, len));
    }
    P11_OK(sign_init(CKM_EDDSA));
    P11_OK(C_SignUpdate(s, text, 4));
    P11_OK(C_SignUpdate(s, text + 4, 15));
    P11_OK(C_SignFinal(s, sig, &len));
    assert_true(p11_openssl_verifies(s, pub, sig, text, 19));
    P11_OK(verify_init(CKM_EDDSA));
    P11_OK(C_VerifyUpdate(s, text, 10));
    P11_OK(C_VerifyUpdate(s, text + 10, 9));
    P11_OK(C_VerifyFinal(s, sig, 64));
    P11_OK(verify_init(CKM_EDDSA));
    assert_int_equal(C_Verify(s, text, 18, sig, 64), CKR_SIGNATURE_INVALID);
    P11_OK(sign_init(CKM_EDDSA)); /* as ssh-keygen and others do */
    P11_OK(C_Sign(s, text, 19, NULL, &len));
    assert_int_equal(len, 64);
}

static void eddsa_has_no_prehash_and_no_context(void **state)
{
    CK_BYTE context[] = "context";
    CK_EDDSA_PARAMS params = {CK_FALSE, 0, NULL};
    CK_MECHANISM mech = {CKM_EDDSA, &params, sizeof params};

    (void)state;
    make_ed25519();
    P11_OK(C_SignInit(s, &mech, priv)); /* plain Ed25519, said in full */
    P11_OK(C_Sign(s, text, 19, sig, &len));
    assert_true(p11_openssl_verifies(s, pub, sig, text, 19));
    P11_OK(C_VerifyInit(s, &mech, pub));
    P11_OK(C_Verify(s, text, 19, sig, len));
    params.phFlag = CK_TRUE;
    assert_int_equal(C_SignInit(s, &mech, priv), CKR_MECHANISM_PARAM_INVALID);
    params = (CK_EDDSA_PARAMS){CK_FALSE, sizeof context, context};
    assert_int_equal(C_SignInit(s, &mech, priv), CKR_MECHANISM_PARAM_INVALID);
    assert_int_equal(C_VerifyInit(s, &mech, pub), CKR_MECHANISM_PARAM_INVALID);
    mech.ulParameterLen = 1;
    assert_int_equal(C_SignInit(s, &mech, priv), CKR_MECHANISM_PARAM_INVALID);
}

/* CKA_EC_POINT: the bytes as they are, or in an OCTET STRING. */
static void check_point(CK_SESSION_HANDLE session, bool raw)
{
    CK_BYTE have[64];

    assert_int_equal(p11_get(session, pub, CKA_EC_POINT, have, sizeof have), raw ? 32 : 34);
    assert_true(raw || (have[0] == 0x04 && have[1] == 32));
}

static void an_edwards_point_is_written_as_its_version_has_it(void **state)
{
    CK_BYTE point[34];
    CK_ATTRIBUTE by = {CKA_EC_POINT, point, sizeof point};
    CK_SESSION_HANDLE v3 = p11_open_v3();

    (void)state;
    make_ed25519();
    check_point(s, false);
    check_point(v3, true);
    (void)p11_get(s, pub, CKA_EC_POINT, point, sizeof point); /* and is found so */
    assert_int_equal(p11_find_all(s, &by, 1, &pub, 1), 1);
    assert_int_equal(p11_find_all(v3, &by, 1, &pub, 1), 0);
    by = (CK_ATTRIBUTE){CKA_EC_POINT, point + 2, 32};
    assert_int_equal(p11_find_all(v3, &by, 1, &pub, 1), 1);
}

static void an_edwards_point_is_written_as_the_configuration_wants(void **state)
{
    static const char *const words[] = {"  edwardsPoint: der\n", "  edwardsPoint: raw\n"};
    CK_BBOOL token = CK_TRUE;
    CK_ATTRIBUTE a = {CKA_TOKEN, &token, sizeof token};
    const p11_new_pair how = {CKM_EC_EDWARDS_KEY_PAIR_GEN, p11_oid_ed25519, sizeof p11_oid_ed25519,
                              &a, 1};

    (void)state;
    P11_OK(p11_make_any_pair(s, &how, &pub, &priv));
    for (size_t i = 0; i < 2; i++) {
        P11_OK(p11_restart(words[i]));
        s = p11_open(0);
        assert_int_equal(p11_count_class(s, CKO_PUBLIC_KEY, &pub), 1);
        check_point(s, i == 1);
        check_point(p11_open_v3(), i == 1);
    }
}

/* ---- BIP-340 ---- */

static void a_bip340_key_signs_for_bitcoin(void **state)
{
    CK_BYTE point[80];

    (void)state;
    make_bip340();
    assert_int_equal(p11_get(s, pub, CKA_EC_POINT, point, sizeof point), 67);
    for (CK_ULONG n = 0; n < 19; n += 6) { /* of any length, not only digests */
        P11_OK(sign_init(CKM_TDSA_BIP340));
        P11_OK(C_Sign(s, text, n, sig, &len));
        assert_int_equal(len, 64);
        assert_true(judge_bip340(point + 3, text, n, sig));
        P11_OK(verify_init(CKM_TDSA_BIP340));
        P11_OK(C_Verify(s, text, n, sig, 64));
        P11_OK(verify_init(CKM_TDSA_BIP340));
        assert_int_equal(C_Verify(s, text, n + 1, sig, 64), CKR_SIGNATURE_INVALID);
    }
    P11_OK(sign_init(CKM_TDSA_BIP340));
    P11_OK(C_SignUpdate(s, text, 5));
    P11_OK(C_SignUpdate(s, text + 5, 14));
    P11_OK(C_SignFinal(s, sig, &len));
    assert_true(judge_bip340(point + 3, text, 19, sig));
}

static void a_key_has_mechanisms_of_one_scheme(void **state)
{
    CK_MECHANISM_TYPE mixed[] = {CKM_TDSA_BIP340, CKM_ECDSA};
    CK_MECHANISM_TYPE edwards = CKM_EDDSA;
    CK_MECHANISM_TYPE digest = CKM_SHA256;
    CK_ATTRIBUTE a = {CKA_ALLOWED_MECHANISMS, mixed, sizeof mixed};
    const p11_new_pair p256 = {CKM_EC_KEY_PAIR_GEN, p11_oid_p256, sizeof p11_oid_p256, &a, 1};

    (void)state;
    assert_int_equal(make_ec(&a, 1), CKR_TEMPLATE_INCONSISTENT);
    a.ulValueLen = sizeof mixed[0];
    assert_int_equal(p11_make_any_pair(s, &p256, &pub, &priv), CKR_TEMPLATE_INCONSISTENT);
    a = (CK_ATTRIBUTE){CKA_ALLOWED_MECHANISMS, &edwards, sizeof edwards};
    assert_int_equal(make_ec(&a, 1), CKR_TEMPLATE_INCONSISTENT);
    a = (CK_ATTRIBUTE){CKA_ALLOWED_MECHANISMS, &digest, sizeof digest};
    assert_int_equal(make_ec(&a, 1), CKR_ATTRIBUTE_VALUE_INVALID);
    a.ulValueLen--;
    assert_int_equal(make_ec(&a, 1), CKR_ATTRIBUTE_VALUE_INVALID);
}

/* ---- the wrong mechanism ---- */

static void a_mechanism_of_another_scheme_does_not_fit(void **state)
{
    (void)state;
    make_ed25519();
    assert_int_equal(sign_init(CKM_ECDSA), CKR_KEY_TYPE_INCONSISTENT);
    assert_int_equal(sign_init(CKM_ECDSA_SHA256), CKR_KEY_TYPE_INCONSISTENT);
    assert_int_equal(sign_init(CKM_TDSA_BIP340), CKR_KEY_TYPE_INCONSISTENT);
    assert_int_equal(verify_init(CKM_ECDSA), CKR_KEY_TYPE_INCONSISTENT);
    make_bip340(); /* a CKK_EC key: what it may do is said by its CKA_ALLOWED_MECHANISMS */
    assert_int_equal(sign_init(CKM_ECDSA), CKR_MECHANISM_INVALID);
    assert_int_equal(sign_init(CKM_EDDSA), CKR_KEY_TYPE_INCONSISTENT);
    P11_OK(make_ec(NULL, 0));
    assert_int_equal(sign_init(CKM_EDDSA), CKR_KEY_TYPE_INCONSISTENT);
    assert_int_equal(sign_init(CKM_TDSA_BIP340), CKR_MECHANISM_INVALID);
    P11_OK(sign_init(CKM_ECDSA));
}

static void a_mechanism_that_is_not_allowed_is_invalid(void **state)
{
    CK_MECHANISM_TYPE allowed[] = {CKM_ECDSA_SHA256, CKM_ECDSA_SHA512};
    CK_ATTRIBUTE a = {CKA_ALLOWED_MECHANISMS, allowed, sizeof allowed};
    CK_MECHANISM_TYPE have[8];

    (void)state;
    P11_OK(make_ec(&a, 1));
    assert_int_equal(p11_get(s, priv, CKA_ALLOWED_MECHANISMS, have, sizeof have), sizeof allowed);
    assert_memory_equal(have, allowed, sizeof allowed);
    assert_int_equal(sign_init(CKM_ECDSA), CKR_MECHANISM_INVALID);
    assert_int_equal(sign_init(CKM_ECDSA_SHA384), CKR_MECHANISM_INVALID);
    P11_OK(sign_init(CKM_ECDSA_SHA512));
}

/* ---- rules of a key ---- */

static CK_RV context_login(CK_SESSION_HANDLE session, const char *pin)
{
    CK_UTF8CHAR copy[16];

    memcpy(copy, pin, strlen(pin));
    return C_Login(session, CKU_CONTEXT_SPECIFIC, copy, strlen(pin));
}

static void such_a_key_asks_for_the_pin_each_time(void **state)
{
    CK_ATTRIBUTE a = {CKA_ALWAYS_AUTHENTICATE, &yes, sizeof yes};
    const CK_SESSION_HANDLE other = p11_open(0);

    (void)state;
    P11_OK(make_ec(&a, 1));
    assert_int_equal(p11_get_bool(s, priv, CKA_ALWAYS_AUTHENTICATE), CK_TRUE);
    assert_int_equal(context_login(s, FAKE_PIN), CKR_OPERATION_NOT_INITIALIZED);
    P11_OK(sign_init(CKM_ECDSA_SHA256));
    assert_int_equal(C_Sign(s, text, 19, sig, &len), CKR_USER_NOT_LOGGED_IN);
    P11_OK(sign_init(CKM_ECDSA_SHA256));
    assert_int_equal(context_login(s, "4321"), CKR_PIN_INCORRECT);
    assert_int_equal(context_login(s, ""), CKR_PIN_INCORRECT);
    assert_int_equal(context_login(other, FAKE_PIN), CKR_OPERATION_NOT_INITIALIZED);
    P11_OK(context_login(s, FAKE_PIN)); /* the operation went on */
    assert_int_equal(context_login(s, FAKE_PIN), CKR_OPERATION_NOT_INITIALIZED);
    P11_OK(C_SignUpdate(s, text, 10)); /* in as many parts as it takes */
    P11_OK(C_SignUpdate(s, text + 10, 9));
    P11_OK(C_SignFinal(s, sig, &len));
    P11_OK(sign_init(CKM_ECDSA_SHA256));
    assert_int_equal(C_Sign(s, text, 19, sig, &len), CKR_USER_NOT_LOGGED_IN); /* once */
    P11_OK(verify_init(CKM_ECDSA_SHA256)); /* and verifying takes none */
    P11_OK(C_Verify(s, text, 19, sig, 64));
    assert_int_equal(atomic_load(&fake.sign_calls), 1);
}

static void other_keys_ask_for_no_pin(void **state)
{
    (void)state;
    P11_OK(make_ec(NULL, 0));
    P11_OK(sign_init(CKM_ECDSA_SHA256));
    assert_int_equal(context_login(s, FAKE_PIN), CKR_OPERATION_NOT_INITIALIZED);
    P11_OK(C_Sign(s, text, 19, sig, &len)); /* which disturbs nothing */
}

static void signing_is_given_up_for_ever(void **state)
{
    CK_ATTRIBUTE off = {CKA_SIGN, &no, sizeof no};
    CK_ATTRIBUTE on = {CKA_SIGN, &yes, sizeof yes};
    CK_ATTRIBUTE odd = {CKA_SIGN, text, 3};

    (void)state;
    P11_OK(make_ec(NULL, 0));
    P11_OK(C_SetAttributeValue(s, priv, &on, 1));
    assert_int_equal(C_SetAttributeValue(s, priv, &odd, 1), CKR_ATTRIBUTE_VALUE_INVALID);
    assert_int_equal(C_SetAttributeValue(s, pub, &off, 1), CKR_ATTRIBUTE_TYPE_INVALID);
    P11_OK(C_SetAttributeValue(s, priv, &off, 1));
    assert_int_equal(p11_get_bool(s, priv, CKA_SIGN), CK_FALSE);
    assert_int_equal(sign_init(CKM_ECDSA), CKR_KEY_FUNCTION_NOT_PERMITTED);
    assert_int_equal(C_SetAttributeValue(s, priv, &on, 1), CKR_ATTRIBUTE_READ_ONLY);
    P11_OK(C_SetAttributeValue(s, priv, &off, 1));
}

static void dates_are_kept_and_judged_by_nobody(void **state)
{
    CK_DATE past = {{'1', '9', '9', '9'}, {'0', '1'}, {'0', '1'}};
    CK_ATTRIBUTE a[] = {{CKA_START_DATE, &past, sizeof past}, {CKA_END_DATE, &past, sizeof past}};
    CK_BYTE have[16];

    (void)state;
    P11_OK(make_ec(a, 2));
    assert_int_equal(p11_get(s, priv, CKA_END_DATE, have, sizeof have), 8);
    assert_memory_equal(have, "19990101", 8);
    assert_int_equal(p11_get(s, pub, CKA_START_DATE, have, sizeof have), 8);
    P11_OK(sign_init(CKM_ECDSA)); /* PKCS#11: the dates are for reference only */
    P11_OK(p11_set(s, priv, CKA_END_DATE, "20991231"));
    P11_OK(p11_set(s, priv, CKA_START_DATE, ""));
    assert_int_equal(p11_get(s, pub, CKA_END_DATE, have, sizeof have), 8);
    assert_memory_equal(have, "20991231", 8);
    assert_int_equal(p11_get(s, pub, CKA_START_DATE, have, sizeof have), 0);
    assert_int_equal(p11_set(s, priv, CKA_END_DATE, "2099"), CKR_ATTRIBUTE_VALUE_INVALID);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, p11_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_edwards_key_is_made_by_oid_and_by_name),
        TEST(each_generator_has_its_curves),
        TEST(eddsa_signs_in_one_part_and_in_many),
        TEST(eddsa_has_no_prehash_and_no_context),
        TEST(an_edwards_point_is_written_as_its_version_has_it),
        TEST(an_edwards_point_is_written_as_the_configuration_wants),
        TEST(a_bip340_key_signs_for_bitcoin),
        TEST(a_key_has_mechanisms_of_one_scheme),
        TEST(a_mechanism_of_another_scheme_does_not_fit),
        TEST(a_mechanism_that_is_not_allowed_is_invalid),
        TEST(such_a_key_asks_for_the_pin_each_time),
        TEST(other_keys_ask_for_no_pin),
        TEST(signing_is_given_up_for_ever),
        TEST(dates_are_kept_and_judged_by_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
