#include "support/p11_fixture.h"

#include <stdio.h>
#include <string.h>

#include "support/fake_engine.h"
#include "support/p11_calls.h"

static CK_MECHANISM ec = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
static CK_OBJECT_CLASS class_public = CKO_PUBLIC_KEY, class_private = CKO_PRIVATE_KEY;
static CK_KEY_TYPE type_ec = CKK_EC, type_rsa = CKK_RSA;
static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
static CK_BYTE p256[10], k256[7];
static CK_BYTE p384[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22};
static CK_BYTE p521[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23};

static int setup(void **state)
{
    memcpy(p256, p11_oid_p256, sizeof p256);
    memcpy(k256, p11_oid_secp256k1, sizeof k256);
    return p11_setup(state);
}

/* Generates a token key with one public attribute (the curve is added) and one private one; either
 * NULL. */
static CK_RV generate_with(CK_SESSION_HANDLE s, const CK_ATTRIBUTE *pub, const CK_ATTRIBUTE *priv)
{
    CK_ATTRIBUTE pub_templ[2] = {{CKA_EC_PARAMS, p256, sizeof p256}};
    CK_ATTRIBUTE priv_templ[2] = {{CKA_TOKEN, &yes, sizeof yes}};
    CK_OBJECT_HANDLE a = 0;
    CK_OBJECT_HANDLE b = 0;

    if (pub != NULL) {
        pub_templ[1] = *pub;
    }
    if (priv != NULL) {
        priv_templ[1] = *priv;
    }
    return C_GenerateKeyPair(s, &ec, pub_templ, pub != NULL ? 2 : 1, priv_templ,
                             priv != NULL ? 2 : 1, &a, &b);
}

static void four_curves_are_made_and_others_refused(void **state)
{
    static struct {
        CK_BYTE oid[16];
        CK_ULONG len;
    } others[] = {
        {{0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x21}, 7},                          /* P-224 */
        {{0x06, 0x09, 0x2b, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, 0x07}, 11}, /* brainpool */
        {{0x06, 0x03, 0x2b, 0x65, 0x70}, 5}, /* Ed25519: no ECDSA */
    };
    const CK_SESSION_HANDLE s = p11_open_user();
    CK_OBJECT_HANDLE pub = 0;
    CK_OBJECT_HANDLE priv = 0;
    CK_BYTE params[16];
    CK_BYTE explicit_params[] = {0x30, 0x03, 0x02, 0x01, 0x01};
    CK_ATTRIBUTE got = {CKA_EC_PARAMS, params, sizeof params};
    CK_ATTRIBUTE a = {CKA_EC_PARAMS, k256, sizeof k256};

    (void)state;
    P11_OK(C_GenerateKeyPair(s, &ec, &a, 1, NULL, 0, &pub, &priv));
    P11_OK(C_GetAttributeValue(s, priv, &got, 1));
    assert_int_equal(got.ulValueLen, sizeof k256);
    assert_memory_equal(params, k256, sizeof k256);
    assert_true(fake.last_policy.low_s);
    P11_OK(generate_with(s, NULL, NULL));
    a = (CK_ATTRIBUTE){CKA_EC_PARAMS, p384, sizeof p384};
    P11_OK(C_GenerateKeyPair(s, &ec, &a, 1, NULL, 0, &pub, &priv));
    a = (CK_ATTRIBUTE){CKA_EC_PARAMS, p521, sizeof p521};
    P11_OK(C_GenerateKeyPair(s, &ec, &a, 1, NULL, 0, &pub, &priv));
    assert_false(fake.last_policy.low_s);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        a = (CK_ATTRIBUTE){CKA_EC_PARAMS, others[i].oid, others[i].len};
        assert_int_equal(C_GenerateKeyPair(s, &ec, &a, 1, NULL, 0, &pub, &priv),
                         CKR_CURVE_NOT_SUPPORTED);
    }
    a = (CK_ATTRIBUTE){CKA_EC_PARAMS, explicit_params, sizeof explicit_params};
    assert_int_equal(C_GenerateKeyPair(s, &ec, &a, 1, NULL, 0, &pub, &priv),
                     CKR_CURVE_NOT_SUPPORTED);
    a = (CK_ATTRIBUTE){CKA_EC_PARAMS, NULL, 0};
    assert_int_equal(C_GenerateKeyPair(s, &ec, &a, 1, NULL, 0, &pub, &priv),
                     CKR_ATTRIBUTE_VALUE_INVALID);
    assert_int_equal(C_GenerateKeyPair(s, &ec, NULL, 0, NULL, 0, &pub, &priv),
                     CKR_TEMPLATE_INCOMPLETE);
    assert_int_equal(fake_key_count(), 4);
}

static void ed25519_keys_are_made_as_the_standard_says_and_as_gnutls_asks(void **state)
{
    CK_MECHANISM mechs[] = {{CKM_EC_EDWARDS_KEY_PAIR_GEN, NULL, 0}, {CKM_EDDSA, NULL, 0}};
    const CK_SESSION_HANDLE s = p11_open_user();
    CK_OBJECT_HANDLE pub = 0;
    CK_OBJECT_HANDLE priv = 0;
    CK_BYTE oid[sizeof p11_oid_ed25519];
    CK_ATTRIBUTE curve = {CKA_EC_PARAMS, oid, sizeof oid};
    CK_MECHANISM_TYPE made_by = 0;
    CK_ATTRIBUTE got = {CKA_KEY_GEN_MECHANISM, &made_by, sizeof made_by};

    (void)state;
    memcpy(oid, p11_oid_ed25519, sizeof oid);
    for (size_t i = 0; i < 2; i++) {
        P11_OK(C_GenerateKeyPair(s, &mechs[i], &curve, 1, NULL, 0, &pub, &priv));
        P11_OK(C_GetAttributeValue(s, priv, &got, 1));
        assert_int_equal(made_by, CKM_EC_EDWARDS_KEY_PAIR_GEN);
    }
    curve = (CK_ATTRIBUTE){CKA_EC_PARAMS, p256, sizeof p256};
    assert_int_equal(C_GenerateKeyPair(s, &mechs[1], &curve, 1, NULL, 0, &pub, &priv),
                     CKR_CURVE_NOT_SUPPORTED);
}

static void arguments_and_session_are_checked_first(void **state)
{
    const CK_SESSION_HANDLE ro = p11_open(0);
    const CK_SESSION_HANDLE s = p11_open(CKF_RW_SESSION);
    CK_MECHANISM rsa = {CKM_RSA_PKCS_KEY_PAIR_GEN, NULL, 0};
    CK_MECHANISM with = {CKM_EC_KEY_PAIR_GEN, &yes, 1};
    CK_OBJECT_HANDLE pub = 0;
    CK_OBJECT_HANDLE priv = 0;

    (void)state;
    assert_int_equal(generate_with(s, NULL, NULL), CKR_USER_NOT_LOGGED_IN);
    P11_OK(p11_login(s, FAKE_PIN));
    assert_int_equal(generate_with(ro, NULL, NULL), CKR_SESSION_READ_ONLY);
    assert_int_equal(generate_with(0, NULL, NULL), CKR_SESSION_HANDLE_INVALID);
    assert_int_equal(C_GenerateKeyPair(s, &rsa, NULL, 0, NULL, 0, &pub, &priv),
                     CKR_MECHANISM_INVALID);
    assert_int_equal(C_GenerateKeyPair(s, &with, NULL, 0, NULL, 0, &pub, &priv),
                     CKR_MECHANISM_PARAM_INVALID);
    assert_int_equal(C_GenerateKeyPair(s, NULL, NULL, 0, NULL, 0, &pub, &priv), CKR_ARGUMENTS_BAD);
    assert_int_equal(C_GenerateKeyPair(s, &ec, NULL, 0, NULL, 0, NULL, &priv), CKR_ARGUMENTS_BAD);
    assert_int_equal(C_GenerateKeyPair(s, &ec, NULL, 0, NULL, 0, &pub, NULL), CKR_ARGUMENTS_BAD);
    assert_int_equal(C_GenerateKeyPair(s, &ec, NULL, 1, NULL, 0, &pub, &priv), CKR_ARGUMENTS_BAD);
    assert_int_equal(C_GenerateKeyPair(s, &ec, NULL, 0, NULL, 1, &pub, &priv), CKR_ARGUMENTS_BAD);
    assert_int_equal(atomic_load(&fake.register_calls), 0);
}

static void template_values_are_judged_one_by_one(void **state)
{
    static const struct {
        bool on_private;
        CK_ATTRIBUTE_TYPE type;
        void *value;
        CK_ULONG len;
        CK_RV want;
    } cases[] = {
        {false, CKA_CLASS, &class_public, sizeof class_public, CKR_OK},
        {false, CKA_CLASS, &class_private, sizeof class_private, CKR_TEMPLATE_INCONSISTENT},
        {true, CKA_CLASS, &class_public, sizeof class_public, CKR_TEMPLATE_INCONSISTENT},
        {true, CKA_CLASS, &class_private, 1, CKR_ATTRIBUTE_VALUE_INVALID},
        {true, CKA_KEY_TYPE, &type_ec, sizeof type_ec, CKR_OK},
        {true, CKA_KEY_TYPE, &type_rsa, sizeof type_rsa, CKR_TEMPLATE_INCONSISTENT},
        {true, CKA_TOKEN, &yes, 1, CKR_OK},
        {true, CKA_TOKEN, &no, 1, CKR_OK},  /* a session key */
        {false, CKA_TOKEN, &no, 1, CKR_OK}, /* the private key decides: NSS does that */
        {true, CKA_TOKEN, &yes, 2, CKR_ATTRIBUTE_VALUE_INVALID},
        {true, CKA_TOKEN, NULL, 1, CKR_ATTRIBUTE_VALUE_INVALID},
        {true, CKA_EXTRACTABLE, &no, 1, CKR_OK},
        {true, CKA_EXTRACTABLE, &yes, 1, CKR_TEMPLATE_INCONSISTENT},
        {true, CKA_SENSITIVE, &no, 1, CKR_OK}, /* it is true all the same */
        {true, CKA_PRIVATE, &yes, 1, CKR_OK},
        {true, CKA_SIGN, &yes, 1, CKR_OK},
        {true, CKA_SIGN, &no, 1, CKR_TEMPLATE_INCONSISTENT},
        {true, CKA_DERIVE, &yes, 1, CKR_OK}, /* pkcs11-tool and NSS send it; it shows as false */
        {true, CKA_DECRYPT, &yes, 1, CKR_OK},
        {true, CKA_UNWRAP, &yes, 1, CKR_OK},
        {false, CKA_WRAP, &yes, 1, CKR_OK},
        {false, CKA_ENCRYPT, &no, 1, CKR_OK},
        {true, CKA_ALWAYS_AUTHENTICATE, &yes, 1, CKR_OK},
        {true, CKA_ALWAYS_AUTHENTICATE, &yes, 2, CKR_ATTRIBUTE_VALUE_INVALID},
        {false, CKA_TRUSTED, &yes, 1, CKR_TEMPLATE_INCONSISTENT},
        {true, CKA_START_DATE, NULL, 0, CKR_OK},
        {true, CKA_START_DATE, p256, 8, CKR_OK},
        {true, CKA_END_DATE, p256, 7, CKR_ATTRIBUTE_VALUE_INVALID},
        {true, CKA_LOCAL, &yes, 1, CKR_ATTRIBUTE_READ_ONLY},
        {true, CKA_VALUE, p256, 8, CKR_ATTRIBUTE_READ_ONLY},
        {true, CKA_MODULUS_BITS, p256, 8, CKR_ATTRIBUTE_TYPE_INVALID},
        {false, CKA_LABEL, p256, 256, CKR_ATTRIBUTE_VALUE_INVALID},
        {false, CKA_ID, NULL, 4, CKR_ATTRIBUTE_VALUE_INVALID},
    };
    const CK_SESSION_HANDLE s = p11_open_user();
    size_t made = 0;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const CK_ATTRIBUTE a = {cases[i].type, cases[i].value, cases[i].len};
        const CK_RV rv =
            generate_with(s, cases[i].on_private ? NULL : &a, cases[i].on_private ? &a : NULL);

        if (rv != cases[i].want) {
            fail_msg("case %zu: 0x%lx instead of 0x%lx", i, rv, cases[i].want);
        }
        made += rv == CKR_OK ? 1 : 0;
    }
    assert_int_equal(fake_key_count(), made); /* a refused template reached nobody */
}

/* What the operator forbids; session keys are not his. */
static void making_and_destroying_can_be_forbidden(void **state)
{
    CK_OBJECT_HANDLE pub = 0;
    CK_OBJECT_HANDLE priv = 0;
    CK_BBOOL destroyable = CK_TRUE;
    CK_ATTRIBUTE a = {CKA_DESTROYABLE, &destroyable, sizeof destroyable};
    CK_ATTRIBUTE params = {CKA_EC_PARAMS, p256, sizeof p256};
    CK_SESSION_HANDLE s = p11_open_user();

    (void)state;
    p11_make_pair(s, "kept", &pub, &priv);
    P11_OK(C_Finalize(NULL));
    p11_write_config("  generateKeys: false\n  destroyKeys: false\n");
    P11_OK(C_Initialize(NULL));
    s = p11_open_user();
    assert_int_equal(generate_with(s, NULL, NULL), CKR_ACTION_PROHIBITED);
    P11_OK(C_FindObjectsInit(s, NULL, 0));
    {
        CK_OBJECT_HANDLE both[4];
        CK_ULONG n = 0;

        P11_OK(C_FindObjects(s, both, 4, &n));
        P11_OK(C_FindObjectsFinal(s));
        assert_int_equal(n, 2);
        P11_OK(C_GetAttributeValue(s, both[1], &a, 1));
        assert_int_equal(destroyable, CK_FALSE);
        assert_int_equal(C_DestroyObject(s, both[1]), CKR_ACTION_PROHIBITED);
    }
    P11_OK(C_GenerateKeyPair(s, &ec, &params, 1, NULL, 0, &pub, &priv)); /* a session key */
    P11_OK(C_DestroyObject(s, priv));
    assert_int_equal(fake_key_count(), 1);
}

static void label_and_id_are_kept_and_shared(void **state)
{
    const CK_SESSION_HANDLE s = p11_open_user();
    char label[] = "my key";
    CK_BYTE id[] = {0x41, 0x00, 0xff};
    CK_ATTRIBUTE pub_templ[] = {{CKA_EC_PARAMS, p256, sizeof p256}, {CKA_LABEL, label, 6}};
    CK_ATTRIBUTE priv_templ[] = {{CKA_ID, id, 3}, {CKA_TOKEN, &yes, sizeof yes}};
    CK_BYTE got_label[16];
    CK_BYTE got_id[16];
    CK_ATTRIBUTE get[] = {{CKA_LABEL, got_label, 16}, {CKA_ID, got_id, 16}};
    CK_OBJECT_HANDLE both[2];

    (void)state;
    P11_OK(C_GenerateKeyPair(s, &ec, pub_templ, 2, priv_templ, 2, &both[0], &both[1]));
    for (size_t i = 0; i < 2; i++) {
        get[0].ulValueLen = 16;
        get[1].ulValueLen = 16;
        P11_OK(C_GetAttributeValue(s, both[i], get, 2));
        assert_int_equal(get[0].ulValueLen, 6);
        assert_memory_equal(got_label, label, 6);
        assert_int_equal(get[1].ulValueLen, 3);
        assert_memory_equal(got_id, id, 3);
    }
    P11_OK(C_Finalize(NULL)); /* kept beside the key, not in this process */
    P11_OK(C_Initialize(NULL));
    {
        const CK_SESSION_HANDLE t = p11_open(0);
        CK_ULONG n = 0;

        P11_OK(C_FindObjectsInit(t, get, 2));
        P11_OK(C_FindObjects(t, both, 2, &n));
        assert_int_equal(n, 1);
    }
}

static void allowed_mechanisms_make_the_policy(void **state)
{
    const CK_SESSION_HANDLE s = p11_open_user();
    CK_MECHANISM_TYPE message[] = {CKM_ECDSA_SHA256, CKM_ECDSA_SHA384};
    CK_MECHANISM_TYPE mixed[] = {CKM_ECDSA, CKM_ECDSA_SHA256};
    CK_MECHANISM_TYPE raw[] = {CKM_ECDSA};
    CK_MECHANISM_TYPE wrong[] = {CKM_SHA256};
    CK_ATTRIBUTE a = {CKA_ALLOWED_MECHANISMS, message, sizeof message};

    (void)state;
    P11_OK(generate_with(s, NULL, &a));
    assert_int_equal(fake.last_policy.purpose, MPC_PURPOSE_MESSAGE);
    assert_int_equal(fake.last_policy.digests, 1u << TDSA_HASH_SHA256 | 1u << TDSA_HASH_SHA384);
    a = (CK_ATTRIBUTE){CKA_ALLOWED_MECHANISMS, mixed, sizeof mixed};
    P11_OK(generate_with(s, NULL, &a));
    assert_int_equal(fake.last_policy.purpose, MPC_PURPOSE_DIGEST);
    assert_int_equal(fake.last_policy.digests, 1u << TDSA_HASH_SHA256);
    a = (CK_ATTRIBUTE){CKA_ALLOWED_MECHANISMS, raw, sizeof raw};
    P11_OK(generate_with(s, NULL, &a));
    assert_int_equal(fake.last_policy.digests,
                     part_policy_default(GRP_P256, MPC_SCHEME_ECDSA).digests);
    a = (CK_ATTRIBUTE){CKA_ALLOWED_MECHANISMS, wrong, sizeof wrong};
    assert_int_equal(generate_with(s, NULL, &a), CKR_ATTRIBUTE_VALUE_INVALID);
    a = (CK_ATTRIBUTE){CKA_ALLOWED_MECHANISMS, wrong, 3};
    assert_int_equal(generate_with(s, NULL, &a), CKR_ATTRIBUTE_VALUE_INVALID);
}

static void a_failed_generation_shows_nothing(void **state)
{
    static const struct {
        tdsa_status status;
        CK_RV rv;
    } cases[] = {
        {TDSA_E_UNAVAILABLE, CKR_DEVICE_REMOVED}, {TDSA_E_TIMEOUT, CKR_DEVICE_ERROR},
        {TDSA_E_PROTOCOL, CKR_DEVICE_ERROR},      {TDSA_E_DENIED, CKR_ACTION_PROHIBITED},
        {TDSA_E_LIMIT, CKR_DEVICE_MEMORY},
    };
    const CK_SESSION_HANDLE s = p11_open_user();
    CK_OBJECT_HANDLE found[2];
    CK_ULONG n = 9;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        atomic_store(&fake.fail_generate, (int)cases[i].status);
        assert_int_equal(generate_with(s, NULL, NULL), cases[i].rv);
    }
    P11_OK(C_FindObjectsInit(s, NULL, 0));
    P11_OK(C_FindObjects(s, found, 2, &n));
    assert_int_equal(n, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, p11_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(four_curves_are_made_and_others_refused),
        TEST(ed25519_keys_are_made_as_the_standard_says_and_as_gnutls_asks),
        TEST(arguments_and_session_are_checked_first),
        TEST(template_values_are_judged_one_by_one),
        TEST(making_and_destroying_can_be_forbidden),
        TEST(label_and_id_are_kept_and_shared),
        TEST(allowed_mechanisms_make_the_policy),
        TEST(a_failed_generation_shows_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
