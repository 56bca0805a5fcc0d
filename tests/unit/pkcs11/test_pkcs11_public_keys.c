/* Public keys without a private one, and the token's own written once more. */
#include "support/p11_calls.h"

#include <string.h>

#include <openssl/ecdsa.h>
#include <openssl/evp.h>

#include "support/fake_engine.h"

#define POINT_LEN 65u

static CK_SESSION_HANDLE s;
static CK_OBJECT_HANDLE pub, priv;
static EVP_PKEY *outside; /* P-256 */
static CK_BYTE oid[sizeof p11_oid_p256];
static CK_BYTE point[2 + POINT_LEN]; /* DER; the point itself begins at 2 */
static CK_BBOOL yes = CK_TRUE;
static CK_OBJECT_CLASS cls = CKO_PUBLIC_KEY;
static CK_KEY_TYPE type;

static int setup(void **state)
{
    size_t len = 0;

    if (p11_setup(state) != 0) {
        return -1;
    }
    s = p11_open_user();
    memcpy(oid, p11_oid_p256, sizeof oid);
    type = CKK_EC;
    outside = EVP_EC_gen("P-256");
    point[0] = 0x04;
    point[1] = POINT_LEN;
    assert_int_equal(EVP_PKEY_get_octet_string_param(outside, "pub", point + 2, POINT_LEN, &len),
                     1);
    assert_int_equal(len, POINT_LEN);
    return 0;
}

static int teardown(void **state)
{
    EVP_PKEY_free(outside);
    return p11_teardown(state);
}

/* The outside key; raw: CKA_EC_POINT without its DER head. */
static CK_RV create(bool raw, bool token, const char *label, CK_OBJECT_HANDLE *out)
{
    CK_BBOOL is_token = token ? CK_TRUE : CK_FALSE;
    CK_BYTE name[16];
    CK_ATTRIBUTE templ[] = {{CKA_CLASS, &cls, sizeof cls},
                            {CKA_KEY_TYPE, &type, sizeof type},
                            {CKA_TOKEN, &is_token, sizeof is_token},
                            {CKA_VERIFY, &yes, sizeof yes},
                            {CKA_EC_PARAMS, oid, sizeof oid},
                            {CKA_EC_POINT, raw ? point + 2 : point, raw ? POINT_LEN : sizeof point},
                            {CKA_LABEL, name, strlen(label)}};

    memcpy(name, label, strlen(label));
    return C_CreateObject(s, P11_ARRAY(templ), out);
}

/* The outside key signs; the token judges. */
static CK_RV verifies(CK_OBJECT_HANDLE key, bool right)
{
    CK_MECHANISM mech = {CKM_ECDSA_SHA256, NULL, 0};
    CK_BYTE text[] = "signed outside";
    unsigned char der[80];
    const unsigned char *p = der;
    size_t der_len = sizeof der;
    CK_BYTE rs[64];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    ECDSA_SIG *sig = NULL;

    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, outside), 1);
    assert_int_equal(EVP_DigestSign(ctx, der, &der_len, text, 14), 1);
    EVP_MD_CTX_free(ctx);
    sig = d2i_ECDSA_SIG(NULL, &p, (long)der_len);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(sig), rs, 32), 32);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(sig), rs + 32, 32), 32);
    ECDSA_SIG_free(sig);
    P11_OK(C_VerifyInit(s, &mech, key));
    return C_Verify(s, text, right ? 14 : 13, rs, 64);
}

static void a_public_key_of_any_form_verifies(void **state)
{
    CK_OBJECT_HANDLE o = 0;

    (void)state;
    for (unsigned i = 0; i < 4; i++) { /* raw or DER, of the token or the session */
        P11_OK(create((i & 1) != 0, (i & 2) != 0, "outside", &o));
        assert_int_equal(p11_get_bool(s, o, CKA_TOKEN), (i & 2) != 0 ? CK_TRUE : CK_FALSE);
        P11_OK(verifies(o, true));
        assert_int_equal(verifies(o, false), CKR_SIGNATURE_INVALID);
        P11_OK(C_DestroyObject(s, o));
        assert_int_equal(p11_count_class(s, CKO_PUBLIC_KEY, NULL), 0);
    }
}

static void a_public_key_alone_says_what_it_is(void **state)
{
    CK_MECHANISM mech = {CKM_ECDSA_SHA256, NULL, 0};
    unsigned char sha1[20];
    CK_BYTE have[192];
    CK_ULONG number = 0;
    CK_OBJECT_HANDLE o = 0;

    (void)state;
    P11_OK(create(true, true, "outside", &o));
    assert_int_equal(EVP_Q_digest(NULL, "SHA1", NULL, point + 2, POINT_LEN, sha1, NULL), 1);
    assert_int_equal(p11_get(s, o, CKA_ID, have, sizeof have), 20);
    assert_memory_equal(have, sha1, 20);
    assert_int_equal(p11_get(s, o, CKA_EC_POINT, have, sizeof have), sizeof point);
    assert_memory_equal(have, point, sizeof point);
    assert_int_equal(p11_get_bool(s, o, CKA_LOCAL), CK_FALSE);
    assert_int_equal(p11_get_bool(s, o, CKA_PRIVATE), CK_FALSE);
    (void)p11_get(s, o, CKA_KEY_GEN_MECHANISM, &number, sizeof number);
    assert_int_equal(number, CK_UNAVAILABLE_INFORMATION);
    assert_int_equal(C_SignInit(s, &mech, o), CKR_KEY_FUNCTION_NOT_PERMITTED);
    assert_int_equal(C_DestroyObject(s, o + 1), CKR_OBJECT_HANDLE_INVALID); /* no private one */
}

static void an_edwards_public_key_verifies(void **state)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    CK_MECHANISM mech = {CKM_EDDSA, NULL, 0};
    CK_BYTE params[sizeof p11_oid_ed25519];
    CK_BYTE raw[32];
    CK_BYTE sig[64];
    CK_BYTE text[] = "text";
    CK_ATTRIBUTE templ[] = {{CKA_CLASS, &cls, sizeof cls},
                            {CKA_KEY_TYPE, &type, sizeof type},
                            {CKA_EC_PARAMS, params, sizeof params},
                            {CKA_EC_POINT, raw, sizeof raw}};
    size_t len = sizeof raw;
    CK_OBJECT_HANDLE o = 0;

    (void)state;
    type = CKK_EC_EDWARDS;
    memcpy(params, p11_oid_ed25519, sizeof params);
    assert_int_equal(EVP_PKEY_get_raw_public_key(key, raw, &len), 1);
    len = sizeof sig;
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, NULL, NULL, key), 1);
    assert_int_equal(EVP_DigestSign(ctx, sig, &len, text, 4), 1);
    P11_OK(C_CreateObject(s, P11_ARRAY(templ), &o));
    P11_OK(C_VerifyInit(s, &mech, o));
    P11_OK(C_Verify(s, text, 4, sig, 64));
    P11_OK(C_VerifyInit(s, &mech, o));
    assert_int_equal(C_Verify(s, text, 3, sig, 64), CKR_SIGNATURE_INVALID);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
}

static void what_is_no_public_key_is_refused(void **state)
{
    CK_ATTRIBUTE templ[] = {{CKA_CLASS, &cls, sizeof cls},
                            {CKA_EC_PARAMS, oid, sizeof oid},
                            {CKA_EC_POINT, point, sizeof point},
                            {CKA_KEY_TYPE, &type, sizeof type}};
    CK_OBJECT_HANDLE o = 0;

    (void)state;
    assert_int_equal(C_CreateObject(s, templ, 2, &o), CKR_TEMPLATE_INCOMPLETE);
    type = CKK_RSA;
    assert_int_equal(C_CreateObject(s, templ, 4, &o), CKR_ATTRIBUTE_VALUE_INVALID);
    type = CKK_EC;
    point[40] ^= 1;
    assert_int_equal(C_CreateObject(s, templ, 4, &o), CKR_ATTRIBUTE_VALUE_INVALID);
    templ[2].ulValueLen--;
    assert_int_equal(C_CreateObject(s, templ, 4, &o), CKR_ATTRIBUTE_VALUE_INVALID);
    oid[9] = 0x08; /* a curve that nobody has */
    assert_int_equal(C_CreateObject(s, templ, 4, &o), CKR_CURVE_NOT_SUPPORTED);
    assert_int_equal(p11_count_class(s, CKO_PUBLIC_KEY, NULL), 0);
}

static void the_names_of_a_public_key_alone_are_kept(void **state)
{
    CK_OBJECT_HANDLE o = 0;
    CK_BYTE have[16];

    (void)state;
    P11_OK(create(false, true, "outside", &o));
    P11_OK(p11_set(s, o, CKA_LABEL, "renamed"));
    P11_OK(p11_set(s, o, CKA_ID, "12"));
    P11_OK(p11_set(s, o, CKA_START_DATE, "20260101"));
    P11_OK(p11_set(s, o, CKA_END_DATE, "20271231"));
    assert_int_equal(p11_set(s, o, CKA_EC_POINT, "x"), CKR_ATTRIBUTE_READ_ONLY);
    P11_OK(C_Finalize(NULL));
    P11_OK(C_Initialize(NULL));
    s = p11_open(0);
    o = p11_one_labelled(s, CKO_PUBLIC_KEY, "renamed");
    assert_int_equal(p11_get(s, o, CKA_ID, have, sizeof have), 2);
    assert_int_equal(p11_get(s, o, CKA_START_DATE, have, sizeof have), 8);
    assert_memory_equal(have, "20260101", 8);
    assert_int_equal(p11_get(s, o, CKA_END_DATE, have, sizeof have), 8);
    assert_memory_equal(have, "20271231", 8);
    P11_OK(verifies(o, true));
}

/* The point of the pair instead of the outside one. */
static void take_own_point(void)
{
    assert_int_equal(p11_get(s, pub, CKA_EC_POINT, point, sizeof point), sizeof point);
}

static void the_own_public_key_written_again_is_renamed(void **state)
{
    CK_OBJECT_HANDLE o = 0;
    CK_OBJECT_HANDLE alone = 0;

    (void)state;
    p11_make_pair(s, "pair", &pub, &priv);
    take_own_point();
    P11_OK(create(false, true, "again", &o));
    assert_int_equal(o, pub);
    assert_int_equal(p11_one_labelled(s, CKO_PRIVATE_KEY, "again"), priv);
    assert_int_equal(p11_count_class(s, CKO_PUBLIC_KEY, NULL), 1);
    P11_OK(C_DestroyObject(s, pub)); /* hidden, and back */
    assert_int_equal(p11_count_class(s, CKO_PUBLIC_KEY, NULL), 0);
    P11_OK(create(true, true, "back", &o));
    assert_int_equal(o, pub);
    assert_int_equal(p11_one_labelled(s, CKO_PUBLIC_KEY, "back"), pub);
    P11_OK(create(true, false, "session", &alone)); /* of the session: another object */
    assert_int_not_equal(alone, pub);
    assert_int_equal(p11_count_class(s, CKO_PUBLIC_KEY, NULL), 2);
}

static void a_public_key_is_copied(void **state)
{
    CK_BYTE name[] = "copy";
    CK_ATTRIBUTE label = {CKA_LABEL, name, 4};
    CK_OBJECT_HANDLE copy = 0;

    (void)state;
    p11_make_pair(s, "pair", &pub, &priv);
    P11_OK(C_CopyObject(s, pub, &label, 1, &copy));
    assert_int_equal(p11_one_labelled(s, CKO_PUBLIC_KEY, "copy"), copy);
    assert_int_equal(C_CopyObject(s, priv, &label, 1, &copy), CKR_ACTION_PROHIBITED);
    P11_OK(C_DestroyObject(s, priv)); /* the copy is no part of the pair */
    assert_int_equal(p11_count_class(s, CKO_PUBLIC_KEY, NULL), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_public_key_of_any_form_verifies),
        TEST(a_public_key_alone_says_what_it_is),
        TEST(an_edwards_public_key_verifies),
        TEST(what_is_no_public_key_is_refused),
        TEST(the_names_of_a_public_key_alone_are_kept),
        TEST(the_own_public_key_written_again_is_renamed),
        TEST(a_public_key_is_copied),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
