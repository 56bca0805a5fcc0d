#include "support/p11_fixture.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "support/fake_engine.h"

static CK_ULONG find(CK_SESSION_HANDLE s, CK_ATTRIBUTE *templ, CK_ULONG count,
                     CK_OBJECT_HANDLE *out, CK_ULONG max)
{
    CK_ULONG n = 0;

    P11_OK(C_FindObjectsInit(s, templ, count));
    P11_OK(C_FindObjects(s, out, max, &n));
    P11_OK(C_FindObjectsFinal(s));
    return n;
}

static CK_ULONG find_class(CK_SESSION_HANDLE s, CK_OBJECT_CLASS cls, CK_OBJECT_HANDLE *out,
                           CK_ULONG max)
{
    CK_ATTRIBUTE a = {CKA_CLASS, &cls, sizeof cls};

    return find(s, &a, 1, out, max);
}

static CK_BBOOL flag_of(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE type)
{
    CK_BBOOL value = 9;
    CK_ATTRIBUTE a = {type, &value, sizeof value};

    P11_OK(C_GetAttributeValue(s, o, &a, 1));
    assert_int_equal(a.ulValueLen, 1);
    return value;
}

static void every_boolean_is_answered(void **state)
{
    static const CK_ATTRIBUTE_TYPE no_public[] = {CKA_PRIVATE, CKA_ENCRYPT, CKA_WRAP,
                                                  CKA_DERIVE,  CKA_TRUSTED, CKA_VERIFY_RECOVER};
    static const CK_ATTRIBUTE_TYPE yes_public[] = {CKA_TOKEN,    CKA_VERIFY,     CKA_LOCAL,
                                                   CKA_COPYABLE, CKA_MODIFIABLE, CKA_DESTROYABLE};
    static const CK_ATTRIBUTE_TYPE no_private[] = {CKA_EXTRACTABLE,
                                                   CKA_DECRYPT,
                                                   CKA_UNWRAP,
                                                   CKA_DERIVE,
                                                   CKA_SIGN_RECOVER,
                                                   CKA_COPYABLE,
                                                   CKA_WRAP_WITH_TRUSTED,
                                                   CKA_ALWAYS_AUTHENTICATE};
    static const CK_ATTRIBUTE_TYPE yes_private[] = {
        CKA_TOKEN, CKA_PRIVATE,           CKA_SIGN,       CKA_SENSITIVE,  CKA_ALWAYS_SENSITIVE,
        CKA_LOCAL, CKA_NEVER_EXTRACTABLE, CKA_MODIFIABLE, CKA_DESTROYABLE};
    const CK_SESSION_HANDLE s = p11_open_user();
    CK_OBJECT_HANDLE pub = 0;
    CK_OBJECT_HANDLE priv = 0;

    (void)state;
    p11_make_pair(s, "a", &pub, &priv);
    for (size_t i = 0; i < sizeof no_public / sizeof no_public[0]; i++) {
        assert_int_equal(flag_of(s, pub, no_public[i]), CK_FALSE);
    }
    for (size_t i = 0; i < sizeof yes_public / sizeof yes_public[0]; i++) {
        assert_int_equal(flag_of(s, pub, yes_public[i]), CK_TRUE);
    }
    for (size_t i = 0; i < sizeof no_private / sizeof no_private[0]; i++) {
        assert_int_equal(flag_of(s, priv, no_private[i]), CK_FALSE);
    }
    for (size_t i = 0; i < sizeof yes_private / sizeof yes_private[0]; i++) {
        assert_int_equal(flag_of(s, priv, yes_private[i]), CK_TRUE);
    }
}

/* An object of the key pair whose label is `label`. */
static CK_OBJECT_HANDLE find_labelled(CK_SESSION_HANDLE s, CK_OBJECT_CLASS cls, const char *label)
{
    CK_BYTE name[16];
    CK_ATTRIBUTE templ[] = {{CKA_CLASS, &cls, sizeof cls}, {CKA_LABEL, name, strlen(label)}};
    CK_OBJECT_HANDLE found = 0;
    CK_ULONG count = 0;

    memcpy(name, label, strlen(label));
    P11_OK(C_FindObjectsInit(s, templ, 2));
    P11_OK(C_FindObjects(s, &found, 1, &count));
    P11_OK(C_FindObjectsFinal(s));
    assert_int_equal(count, 1);
    return found;
}

static void check_public_key(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE object, const char *group)
{
    CK_BYTE info[192];
    CK_BYTE point[160];
    CK_ATTRIBUTE a[] = {{CKA_PUBLIC_KEY_INFO, info, sizeof info},
                        {CKA_EC_POINT, point, sizeof point}};
    const unsigned char *p = info;
    const unsigned char *q = point;
    unsigned char raw[160];
    char name[32];
    size_t raw_len = 0;
    EVP_PKEY *key = NULL;
    ASN1_OCTET_STRING *octets = NULL;

    P11_OK(C_GetAttributeValue(s, object, a, 2));
    key = d2i_PUBKEY(NULL, &p, (long)a[0].ulValueLen);
    assert_non_null(key);
    assert_ptr_equal(p, info + a[0].ulValueLen);
    assert_int_equal(EVP_PKEY_get_group_name(key, name, sizeof name, NULL), 1);
    assert_string_equal(name, group);
    assert_int_equal(EVP_PKEY_get_octet_string_param(key, "pub", raw, sizeof raw, &raw_len), 1);
    octets = d2i_ASN1_OCTET_STRING(NULL, &q, (long)a[1].ulValueLen);
    assert_non_null(octets);
    assert_ptr_equal(q, point + a[1].ulValueLen);
    assert_int_equal(ASN1_STRING_length(octets), raw_len);
    assert_memory_equal(ASN1_STRING_get0_data(octets), raw, raw_len);
    ASN1_OCTET_STRING_free(octets);
    EVP_PKEY_free(key);
}

static void the_public_key_is_what_openssl_reads_on_every_curve(void **state)
{
    static const struct {
        grp_curve curve;
        const char *group;
    } curves[] = {{GRP_P256, "prime256v1"},
                  {GRP_SECP256K1, "secp256k1"},
                  {GRP_P384, "secp384r1"},
                  {GRP_P521, "secp521r1"}};
    const CK_SESSION_HANDLE s = p11_open_user();

    (void)state;
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++) {
        fake_other_process_adds(curves[i].group, curves[i].curve, curves[i].group);
        check_public_key(s, find_labelled(s, CKO_PUBLIC_KEY, curves[i].group), curves[i].group);
        check_public_key(s, find_labelled(s, CKO_PRIVATE_KEY, curves[i].group), curves[i].group);
    }
}

static void keys_of_every_scheme_are_shown(void **state)
{
    const CK_SESSION_HANDLE s = p11_open_user();
    CK_OBJECT_HANDLE found[8];

    (void)state;
    fake_other_process_adds("ed", GRP_ED25519, "ed");
    fake_other_process_adds("p384", GRP_P384, "p384");
    assert_int_equal(find_class(s, CKO_PUBLIC_KEY, found, 8), 2);
    assert_int_equal(find_class(s, CKO_PRIVATE_KEY, found, 8), 2);
}

static void the_whole_template_is_worked_through(void **state)
{
    const CK_SESSION_HANDLE s = p11_open_user();
    CK_OBJECT_HANDLE pub = 0;
    CK_OBJECT_HANDLE priv = 0;
    CK_BYTE label[8];
    CK_BYTE value[64];
    CK_BYTE tiny[1];
    CK_BBOOL sign = 9;
    CK_ATTRIBUTE a[] = {
        {CKA_LABEL, label, sizeof label},
        {CKA_EC_POINT, tiny, sizeof tiny},
        {CKA_VALUE, value, sizeof value},
        {CKA_MODULUS, value, sizeof value},
        {CKA_ID, NULL, 0},
        {CKA_SIGN, &sign, sizeof sign},
    };

    (void)state;
    p11_make_pair(s, "abc", &pub, &priv);
    assert_int_equal(C_GetAttributeValue(s, priv, a, 6), CKR_BUFFER_TOO_SMALL); /* the first */
    assert_int_equal(a[0].ulValueLen, 3);
    assert_memory_equal(label, "abc", 3);
    assert_int_equal(a[1].ulValueLen, CK_UNAVAILABLE_INFORMATION);
    assert_int_equal(a[2].ulValueLen, CK_UNAVAILABLE_INFORMATION);
    assert_int_equal(a[3].ulValueLen, CK_UNAVAILABLE_INFORMATION);
    assert_int_equal(a[4].ulValueLen, 20); /* the default id: SHA-1 of the point */
    assert_int_equal(sign, CK_TRUE);
    assert_int_equal(C_GetAttributeValue(s, priv, &a[2], 1), CKR_ATTRIBUTE_SENSITIVE);
    assert_int_equal(C_GetAttributeValue(s, priv, &a[3], 1), CKR_ATTRIBUTE_TYPE_INVALID);
    assert_int_equal(C_GetAttributeValue(s, priv, NULL, 1), CKR_ARGUMENTS_BAD);
    P11_OK(C_GetAttributeValue(s, priv, NULL, 0));
    assert_int_equal(C_GetAttributeValue(s, 0, a, 1), CKR_OBJECT_HANDLE_INVALID);
    assert_int_equal(C_GetAttributeValue(s, 9999, a, 1), CKR_OBJECT_HANDLE_INVALID);
    assert_int_equal(C_GetAttributeValue(0, priv, a, 1), CKR_SESSION_HANDLE_INVALID);
}

static void allowed_mechanisms_are_those_of_the_policy(void **state)
{
    const CK_SESSION_HANDLE s = p11_open_user();
    CK_OBJECT_HANDLE pub = 0;
    CK_OBJECT_HANDLE priv = 0;
    CK_MECHANISM_TYPE list[8];
    CK_ATTRIBUTE a = {CKA_ALLOWED_MECHANISMS, list, sizeof list};

    (void)state;
    p11_make_pair(s, "a", &pub, &priv);
    P11_OK(C_GetAttributeValue(s, priv, &a, 1));
    assert_int_equal(a.ulValueLen, 5 * sizeof list[0]);
    assert_int_equal(list[0], CKM_ECDSA);
    assert_int_equal(list[2], CKM_ECDSA_SHA256);
}

static void private_objects_hide_before_login(void **state)
{
    const CK_SESSION_HANDLE s = p11_open_user();
    CK_OBJECT_HANDLE pub = 0;
    CK_OBJECT_HANDLE priv = 0;
    CK_OBJECT_HANDLE found[4];
    CK_MECHANISM mech = {CKM_ECDSA, NULL, 0};
    CK_ULONG size = 0;

    (void)state;
    p11_make_pair(s, "a", &pub, &priv);
    P11_OK(C_GetObjectSize(s, priv, &size));
    assert_true(size > 100);
    assert_int_equal(C_GetObjectSize(s, priv, NULL), CKR_ARGUMENTS_BAD);
    P11_OK(C_Logout(s));
    assert_int_equal(find(s, NULL, 0, found, 4), 1);
    assert_int_equal(found[0], pub);
    assert_int_equal(C_GetAttributeValue(s, priv, NULL, 0), CKR_OBJECT_HANDLE_INVALID);
    assert_int_equal(C_GetObjectSize(s, priv, &size), CKR_OBJECT_HANDLE_INVALID);
    assert_int_equal(C_SignInit(s, &mech, priv), CKR_USER_NOT_LOGGED_IN);
    assert_int_equal(C_SetAttributeValue(s, priv, NULL, 0), CKR_OBJECT_HANDLE_INVALID);
    assert_int_equal(C_DestroyObject(s, priv), CKR_OBJECT_HANDLE_INVALID);
    P11_OK(C_GetAttributeValue(s, pub, NULL, 0));
    P11_OK(p11_login(s, FAKE_PIN));
    assert_int_equal(find(s, NULL, 0, found, 4), 2);
    assert_int_equal(C_SignInit(s, &mech, priv), CKR_KEY_HANDLE_INVALID); /* of the login before */
    assert_int_equal(found[0], pub);
    P11_OK(C_SignInit(s, &mech, found[1]));
}

static void search_matches_every_attribute(void **state)
{
    const CK_SESSION_HANDLE s = p11_open_user();
    CK_OBJECT_HANDLE pub[2];
    CK_OBJECT_HANDLE priv[2];
    CK_OBJECT_HANDLE found[8];
    CK_OBJECT_CLASS cls = CKO_PRIVATE_KEY;
    CK_BBOOL yes = CK_TRUE;
    char label[] = "two";
    CK_ATTRIBUTE a[] = {
        {CKA_CLASS, &cls, sizeof cls}, {CKA_LABEL, label, 3}, {CKA_SIGN, &yes, sizeof yes}};
    CK_ATTRIBUTE odd = {CKA_MODULUS, label, 3};
    CK_ATTRIBUTE bad = {CKA_LABEL, NULL, 3};
    CK_ULONG n = 0;

    (void)state;
    p11_make_pair(s, "one", &pub[0], &priv[0]);
    p11_make_pair(s, "two", &pub[1], &priv[1]);
    assert_int_equal(find(s, a, 3, found, 8), 1);
    assert_int_equal(found[0], priv[1]);
    assert_int_equal(find(s, &a[1], 1, found, 8), 2);
    assert_int_equal(find(s, &odd, 1, found, 8), 0);
    assert_int_equal(find(s, NULL, 0, found, 8), 4);
    a[0].ulValueLen = 1; /* another length never matches */
    assert_int_equal(find(s, a, 1, found, 8), 0);
    assert_int_equal(C_FindObjectsInit(s, &bad, 1), CKR_ATTRIBUTE_VALUE_INVALID);
    assert_int_equal(C_FindObjectsInit(s, NULL, 1), CKR_ARGUMENTS_BAD);
    assert_int_equal(C_FindObjects(s, found, 8, &n), CKR_OPERATION_NOT_INITIALIZED);
    assert_int_equal(C_FindObjectsFinal(s), CKR_OPERATION_NOT_INITIALIZED);
    P11_OK(C_FindObjectsInit(s, NULL, 0));
    assert_int_equal(C_FindObjectsInit(s, NULL, 0), CKR_OPERATION_ACTIVE);
    assert_int_equal(C_FindObjects(s, NULL, 1, &n), CKR_ARGUMENTS_BAD);
    assert_int_equal(C_FindObjects(s, found, 1, NULL), CKR_ARGUMENTS_BAD);
    for (CK_ULONG i = 0; i < 4; i++) {
        P11_OK(C_FindObjects(s, found, 1, &n));
        assert_int_equal(n, 1);
    }
    P11_OK(C_FindObjects(s, found, 8, &n));
    assert_int_equal(n, 0);
    P11_OK(C_FindObjectsFinal(s));
}

static void keys_of_other_processes_appear_and_go(void **state)
{
    const CK_SESSION_HANDLE s = p11_open(0);
    CK_OBJECT_HANDLE found[8];
    CK_OBJECT_HANDLE kept = 0;
    CK_BYTE label[16];
    CK_ATTRIBUTE a = {CKA_LABEL, label, sizeof label};
    unsigned lists = 0;

    (void)state;
    assert_int_equal(find_class(s, CKO_PUBLIC_KEY, found, 8), 0);
    fake_other_process_adds("b-key", GRP_P256, "from the API");
    fake_other_process_adds("c-key", GRP_SECP256K1, "c");
    assert_int_equal(find_class(s, CKO_PUBLIC_KEY, found, 8), 2);
    kept = found[1]; /* the newest key comes first */
    P11_OK(C_GetAttributeValue(s, kept, &a, 1));
    assert_memory_equal(label, "from the API", 12); /* no names of ours: the engine's label */
    lists = atomic_load(&fake.list_calls);
    assert_int_equal(find_class(s, CKO_PUBLIC_KEY, found, 8), 2);
    assert_int_equal(atomic_load(&fake.list_calls), lists); /* nothing changed: not read again */
    fake_other_process_deletes("c-key");
    fake_other_process_adds("a-key", GRP_P256, "a");
    assert_int_equal(find_class(s, CKO_PUBLIC_KEY, found, 8), 2);
    assert_int_equal(found[1], kept); /* handles are stable */
    fake_other_process_adds("c-key", GRP_P256, "c again");
    assert_int_equal(find_class(s, CKO_PUBLIC_KEY, found, 8), 3);
    assert_true(found[0] > found[1]); /* the same id, another key: another handle */
}

static void hundreds_of_keys_are_no_trouble(void **state)
{
    const CK_SESSION_HANDLE s = p11_open(0);
    CK_OBJECT_HANDLE found[300];
    char name[16];

    (void)state;
    for (unsigned i = 0; i < 256; i++) { /* passes the first size of the table twice */
        snprintf(name, sizeof name, "key%03u", i);
        fake_other_process_adds(name, GRP_P256, name);
    }
    assert_int_equal(find_class(s, CKO_PUBLIC_KEY, found, 300), 256);
    assert_int_equal(find_class(s, CKO_PRIVATE_KEY, found, 300), 0);
}

static void label_id_and_subject_change_for_the_pair(void **state)
{
    const CK_SESSION_HANDLE s = p11_open_user();
    const CK_SESSION_HANDLE ro = p11_open(0);
    CK_OBJECT_HANDLE pub = 0;
    CK_OBJECT_HANDLE priv = 0;
    CK_BYTE id[] = {1, 2, 3};
    CK_BYTE name[] = {'n', 0, 'm'}; /* any bytes */
    CK_BYTE out[3][16];
    CK_BYTE big[300] = {0};
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE set[] = {{CKA_ID, id, 3}, {CKA_LABEL, name, 3}, {CKA_SUBJECT, name, 2}};
    CK_ATTRIBUTE get[] = {{CKA_ID, out[0], 16}, {CKA_LABEL, out[1], 16}, {CKA_SUBJECT, out[2], 16}};
    CK_ATTRIBUTE mixed[] = {{CKA_LABEL, big, 1}, {CKA_EXTRACTABLE, &yes, 1}};
    CK_ATTRIBUTE unknown = {CKA_MODULUS, big, 1};
    CK_ATTRIBUTE too_long = {CKA_LABEL, big, 256};

    (void)state;
    p11_make_pair(s, "old", &pub, &priv);
    P11_OK(C_SetAttributeValue(s, priv, set, 3));
    P11_OK(C_GetAttributeValue(s, pub, get, 3));
    assert_memory_equal(out[0], id, 3);
    assert_memory_equal(out[1], name, 3);
    assert_int_equal(get[1].ulValueLen, 3);
    assert_int_equal(get[2].ulValueLen, 2);
    assert_int_equal(C_SetAttributeValue(ro, priv, set, 3), CKR_SESSION_READ_ONLY);
    assert_int_equal(C_SetAttributeValue(s, priv, NULL, 1), CKR_ARGUMENTS_BAD);
    assert_int_equal(C_SetAttributeValue(s, 0, set, 1), CKR_OBJECT_HANDLE_INVALID);
    assert_int_equal(C_SetAttributeValue(s, priv, mixed, 2), CKR_ATTRIBUTE_READ_ONLY);
    assert_int_equal(C_SetAttributeValue(s, priv, &unknown, 1), CKR_ATTRIBUTE_TYPE_INVALID);
    assert_int_equal(C_SetAttributeValue(s, priv, &too_long, 1), CKR_ATTRIBUTE_VALUE_INVALID);
    P11_OK(C_GetAttributeValue(s, pub, get, 2));
    assert_memory_equal(out[1], name, 3); /* all or nothing */
}

static void destroying_the_private_key_destroys_the_pair(void **state)
{
    const CK_SESSION_HANDLE s = p11_open_user();
    const CK_SESSION_HANDLE ro = p11_open(0);
    CK_OBJECT_HANDLE pub = 0;
    CK_OBJECT_HANDLE priv = 0;
    CK_OBJECT_HANDLE found[4];

    (void)state;
    p11_make_pair(s, "a", &pub, &priv);
    assert_int_equal(C_DestroyObject(ro, priv), CKR_SESSION_READ_ONLY);
    atomic_store(&fake.fail_delete, TDSA_E_UNAVAILABLE);
    assert_int_equal(C_DestroyObject(s, priv), CKR_DEVICE_REMOVED);
    assert_int_equal(find(s, NULL, 0, found, 4), 2); /* still there */
    atomic_store(&fake.fail_delete, TDSA_OK);
    P11_OK(C_DestroyObject(s, priv));
    assert_int_equal(fake_key_count(), 0);
    assert_int_equal(find(s, NULL, 0, found, 4), 0);
    assert_int_equal(C_DestroyObject(s, priv), CKR_OBJECT_HANDLE_INVALID);
    P11_OK(C_DestroyObject(s, pub)); /* clients destroy both: once more is no error */
    assert_int_equal(C_DestroyObject(s, pub), CKR_OBJECT_HANDLE_INVALID);
}

static void destroying_the_public_key_only_hides_it(void **state)
{
    const CK_SESSION_HANDLE s = p11_open_user();
    CK_OBJECT_HANDLE pub = 0;
    CK_OBJECT_HANDLE priv = 0;
    CK_OBJECT_HANDLE found[4];

    (void)state;
    p11_make_pair(s, "a", &pub, &priv);
    P11_OK(C_DestroyObject(s, pub));
    assert_int_equal(find(s, NULL, 0, found, 4), 1);
    assert_int_equal(found[0], priv);
    assert_int_equal(fake_key_count(), 1);
    P11_OK(C_DestroyObject(s, priv));
    assert_int_equal(fake_key_count(), 0);
}

static void what_is_not_kept_is_refused(void **state)
{
    const CK_SESSION_HANDLE s = p11_open_user();
    CK_OBJECT_CLASS cls = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE a = {CKA_CLASS, &cls, sizeof cls};
    CK_OBJECT_HANDLE out = 0;
    CK_OBJECT_HANDLE pub = 0;
    CK_OBJECT_HANDLE priv = 0;

    (void)state;
    assert_int_equal(C_CreateObject(s, &a, 1, &out), CKR_ACTION_PROHIBITED);
    cls = CKO_SECRET_KEY;
    assert_int_equal(C_CreateObject(s, &a, 1, &out), CKR_TEMPLATE_INCONSISTENT);
    cls = CKO_VENDOR_DEFINED | 7; /* NSS tries trust objects, and tolerates this code */
    assert_int_equal(C_CreateObject(s, &a, 1, &out), CKR_ATTRIBUTE_VALUE_INVALID);
    cls = CKO_CERTIFICATE; /* without a certificate */
    assert_int_equal(C_CreateObject(s, &a, 1, &out), CKR_TEMPLATE_INCOMPLETE);
    a.ulValueLen = 1;
    assert_int_equal(C_CreateObject(s, &a, 1, &out), CKR_ATTRIBUTE_VALUE_INVALID);
    assert_int_equal(C_CreateObject(s, NULL, 0, &out), CKR_TEMPLATE_INCOMPLETE);
    assert_int_equal(C_CreateObject(s, NULL, 1, &out), CKR_ARGUMENTS_BAD);
    assert_int_equal(C_CreateObject(s, &a, 1, NULL), CKR_ARGUMENTS_BAD);
    p11_make_pair(s, "a", &pub, &priv);
    assert_int_equal(C_CopyObject(s, priv, NULL, 0, &out), CKR_ACTION_PROHIBITED);
    assert_int_equal(C_CopyObject(s, 777, NULL, 0, &out), CKR_OBJECT_HANDLE_INVALID);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, p11_setup, p11_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_boolean_is_answered),
        TEST(the_public_key_is_what_openssl_reads_on_every_curve),
        TEST(keys_of_every_scheme_are_shown),
        TEST(the_whole_template_is_worked_through),
        TEST(allowed_mechanisms_are_those_of_the_policy),
        TEST(private_objects_hide_before_login),
        TEST(search_matches_every_attribute),
        TEST(keys_of_other_processes_appear_and_go),
        TEST(hundreds_of_keys_are_no_trouble),
        TEST(label_id_and_subject_change_for_the_pair),
        TEST(destroying_the_private_key_destroys_the_pair),
        TEST(destroying_the_public_key_only_hides_it),
        TEST(what_is_not_kept_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
