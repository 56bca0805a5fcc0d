/* Certificates and data on the token. */
#include "support/p11_calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "keystore/keystore.h"
#include "pkcs11-provider/item.h"
#include "support/fake_engine.h"

static CK_SESSION_HANDLE s;
static CK_OBJECT_HANDLE pub, priv;
static p11_test_cert cert; /* for the key pair */
static CK_BBOOL yes = CK_TRUE;
static CK_BBOOL no = CK_FALSE;
static CK_OBJECT_CLASS cert_class = CKO_CERTIFICATE;
static CK_OBJECT_CLASS data_class = CKO_DATA;

static int setup(void **state)
{
    EVP_PKEY *key = NULL;

    if (p11_setup(state) != 0) {
        return -1;
    }
    s = p11_open_user();
    p11_make_pair(s, "pair", &pub, &priv);
    key = p11_public_key(s, pub);
    p11_make_cert(&cert, key, "subject");
    EVP_PKEY_free(key);
    return 0;
}

/* Another life of the process, in which nobody has logged in. */
static void restart(void)
{
    P11_OK(C_Finalize(NULL));
    P11_OK(C_Initialize(NULL));
    s = p11_open(CKF_RW_SESSION);
}

/* A certificate with up to two more attributes. */
static CK_RV create_cert(const CK_ATTRIBUTE *more, CK_ULONG count, CK_OBJECT_HANDLE *out)
{
    CK_ATTRIBUTE templ[5] = {{CKA_CLASS, &cert_class, sizeof cert_class},
                             {CKA_TOKEN, &yes, sizeof yes},
                             {CKA_VALUE, cert.der, cert.len}};

    assert_in_range(count, 0, 2);
    if (count > 0) {
        memcpy(templ + 3, more, count * sizeof *more);
    }
    return C_CreateObject(s, templ, 3 + count, out);
}

static CK_RV create_data(CK_BBOOL *token, CK_BBOOL *is_private, CK_OBJECT_HANDLE *out)
{
    CK_BYTE name[] = "notes";
    CK_BYTE application[] = "app";
    CK_BYTE value[] = "what is kept";
    CK_ATTRIBUTE templ[] = {{CKA_CLASS, &data_class, sizeof data_class},
                            {CKA_TOKEN, token, sizeof *token},
                            {CKA_PRIVATE, is_private, sizeof *is_private},
                            {CKA_LABEL, name, 5},
                            {CKA_APPLICATION, application, 3},
                            {CKA_VALUE, value, 12}};

    return C_CreateObject(s, P11_ARRAY(templ), out);
}

/* ---- certificates ---- */

static void check_name(CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE type, const X509_NAME *want)
{
    unsigned char *der = NULL;
    const int len = i2d_X509_NAME(want, &der);
    CK_BYTE have[256];

    assert_true(len > 0);
    assert_int_equal(p11_get(s, o, type, have, sizeof have), len);
    assert_memory_equal(have, der, (size_t)len);
    OPENSSL_free(der);
}

static void a_certificate_tells_what_it_says_inside(void **state)
{
    static const CK_BYTE serial[] = {0x02, 0x02, 0x12, 0x67}; /* 4711 */
    const unsigned char *p = cert.der;
    X509 *x = d2i_X509(NULL, &p, (long)cert.len);
    unsigned char sha1[20];
    CK_BYTE have[2048];
    CK_BYTE id[20];
    CK_BYTE info[192];
    CK_ULONG number = 99;
    CK_OBJECT_HANDLE o = 0;

    (void)state;
    P11_OK(create_cert(NULL, 0, &o));
    assert_int_equal(p11_get(s, o, CKA_VALUE, have, sizeof have), cert.len);
    assert_memory_equal(have, cert.der, cert.len);
    check_name(o, CKA_SUBJECT, X509_get_subject_name(x));
    check_name(o, CKA_ISSUER, X509_get_issuer_name(x));
    assert_int_equal(p11_get(s, o, CKA_SERIAL_NUMBER, have, sizeof have), sizeof serial);
    assert_memory_equal(have, serial, sizeof serial);
    assert_int_equal(EVP_Q_digest(NULL, "SHA1", NULL, cert.der, cert.len, sha1, NULL), 1);
    assert_int_equal(p11_get(s, o, CKA_CHECK_VALUE, have, sizeof have), 3);
    assert_memory_equal(have, sha1, 3);
    assert_int_equal(p11_get(s, o, CKA_PUBLIC_KEY_INFO, have, sizeof have),
                     p11_get(s, pub, CKA_PUBLIC_KEY_INFO, info, sizeof info));
    assert_memory_equal(have, info, 91);
    assert_int_equal(p11_get(s, o, CKA_ID, have, sizeof have), 20); /* that of its key */
    assert_int_equal(p11_get(s, pub, CKA_ID, id, sizeof id), 20);
    assert_memory_equal(have, id, 20);
    P11_OK(C_GetAttributeValue(s, o, &(CK_ATTRIBUTE){CKA_CERTIFICATE_TYPE, &number, sizeof number},
                               1));
    assert_int_equal(number, CKC_X_509);
    (void)p11_get(s, o, CKA_CERTIFICATE_CATEGORY, &number, sizeof number);
    assert_int_equal(number, 0);
    assert_int_equal(p11_get(s, o, CKA_LABEL, have, sizeof have), 4);
    assert_memory_equal(have, "pair", 4);
    assert_int_equal(p11_get(s, o, CKA_UNIQUE_ID, have, sizeof have), 32);
    assert_int_equal(p11_get_bool(s, o, CKA_TOKEN), CK_TRUE);
    assert_int_equal(p11_get_bool(s, o, CKA_PRIVATE), CK_FALSE);
    assert_int_equal(p11_get_bool(s, o, CKA_TRUSTED), CK_FALSE);
    assert_int_equal(p11_get_bool(s, o, CKA_MODIFIABLE), CK_TRUE);
    X509_free(x);
}

static void what_the_template_says_of_a_certificate_stays(void **state)
{
    CK_BYTE id[] = {1, 2};
    CK_BYTE name[] = "mine";
    const CK_ATTRIBUTE more[] = {{CKA_ID, id, sizeof id}, {CKA_LABEL, name, 4}};
    CK_BYTE have[16];
    CK_OBJECT_HANDLE o = 0;

    (void)state;
    P11_OK(create_cert(P11_ARRAY(more), &o));
    assert_int_equal(p11_get(s, o, CKA_ID, have, sizeof have), 2);
    assert_memory_equal(have, id, 2);
    assert_int_equal(p11_one_labelled(s, CKO_CERTIFICATE, "mine"), o);
}

static void a_certificate_of_a_key_elsewhere_is_kept_too(void **state)
{
    EVP_PKEY *rsa = EVP_RSA_gen(2048);
    CK_OBJECT_HANDLE o = 0;
    CK_BYTE have[32];

    (void)state;
    p11_make_cert(&cert, rsa, "ca");
    EVP_PKEY_free(rsa);
    P11_OK(create_cert(NULL, 0, &o));
    assert_int_equal(p11_get(s, o, CKA_ID, have, sizeof have), 0);
    assert_int_equal(p11_count_class(s, CKO_CERTIFICATE, NULL), 1);
}

static void what_is_no_certificate_is_refused(void **state)
{
    static CK_BYTE huge[32769] = {0x30, 0x82, 0x7f, 0xfd};
    CK_BYTE wrong[2048];
    CK_ULONG wtls = CKC_WTLS;
    CK_BYTE two[2] = {0, 0};
    CK_ATTRIBUTE templ[] = {{CKA_CLASS, &cert_class, sizeof cert_class},
                            {CKA_TOKEN, &yes, sizeof yes},
                            {CKA_VALUE, wrong, sizeof wrong}};
    const CK_ATTRIBUTE trusted = {CKA_TRUSTED, &yes, sizeof yes};
    const CK_ATTRIBUTE hidden = {CKA_PRIVATE, &yes, sizeof yes};
    const CK_ATTRIBUTE type = {CKA_CERTIFICATE_TYPE, &wtls, sizeof wtls};
    const CK_ATTRIBUTE odd = {CKA_MODIFIABLE, two, sizeof two};
    const CK_ATTRIBUTE not_of_it = {CKA_SIGN, &yes, sizeof yes};
    CK_OBJECT_HANDLE o = 0;

    (void)state;
    memset(wrong, 0x30, sizeof wrong);
    assert_int_equal(C_CreateObject(s, templ, 3, &o), CKR_ATTRIBUTE_VALUE_INVALID);
    memcpy(wrong, cert.der, cert.len);
    templ[2].ulValueLen = cert.len + 1;
    assert_int_equal(C_CreateObject(s, templ, 3, &o), CKR_ATTRIBUTE_VALUE_INVALID);
    templ[2].ulValueLen = cert.len - 1;
    assert_int_equal(C_CreateObject(s, templ, 3, &o), CKR_ATTRIBUTE_VALUE_INVALID);
    templ[2].ulValueLen = 0;
    assert_int_equal(C_CreateObject(s, templ, 3, &o), CKR_ATTRIBUTE_VALUE_INVALID);
    templ[2] = (CK_ATTRIBUTE){CKA_VALUE, huge, sizeof huge};
    assert_int_equal(C_CreateObject(s, templ, 3, &o), CKR_ATTRIBUTE_VALUE_INVALID);
    assert_int_equal(C_CreateObject(s, templ, 2, &o), CKR_TEMPLATE_INCOMPLETE);
    assert_int_equal(create_cert(&trusted, 1, &o), CKR_ATTRIBUTE_READ_ONLY);
    assert_int_equal(create_cert(&hidden, 1, &o), CKR_ATTRIBUTE_VALUE_INVALID);
    assert_int_equal(create_cert(&type, 1, &o), CKR_ATTRIBUTE_VALUE_INVALID);
    assert_int_equal(create_cert(&odd, 1, &o), CKR_ATTRIBUTE_VALUE_INVALID);
    assert_int_equal(create_cert(&not_of_it, 1, &o), CKR_ATTRIBUTE_TYPE_INVALID);
    atomic_store(&fake.fail_object, TDSA_E_STORE);
    assert_int_equal(create_cert(NULL, 0, &o), CKR_DEVICE_ERROR);
    assert_int_equal(p11_count_class(s, CKO_CERTIFICATE, NULL), 0);
}

static void a_token_certificate_outlives_the_process(void **state)
{
    CK_BYTE before[32];
    CK_BYTE after[32];
    CK_OBJECT_HANDLE o = 0;

    (void)state;
    P11_OK(create_cert(NULL, 0, &o));
    assert_int_equal(p11_get(s, o, CKA_UNIQUE_ID, before, sizeof before), 32);
    restart();
    assert_int_equal(p11_count_class(s, CKO_CERTIFICATE, &o), 1); /* without a login */
    assert_int_equal(p11_get(s, o, CKA_UNIQUE_ID, after, sizeof after), 32);
    assert_memory_equal(before, after, 32);
    P11_OK(C_DestroyObject(s, o));
    restart();
    assert_int_equal(p11_count_class(s, CKO_CERTIFICATE, NULL), 0);
}

static void a_session_certificate_goes_with_its_session(void **state)
{
    const CK_SESSION_HANDLE ro = p11_open(0);
    CK_ATTRIBUTE templ[] = {{CKA_CLASS, &cert_class, sizeof cert_class},
                            {CKA_VALUE, cert.der, cert.len},
                            {CKA_TOKEN, &yes, sizeof yes}};
    CK_OBJECT_HANDLE o = 0;
    CK_BYTE have[8];
    CK_BYTE unique[32];

    (void)state;
    assert_int_equal(C_CreateObject(ro, templ, 3, &o), CKR_SESSION_READ_ONLY);
    P11_OK(C_CreateObject(ro, templ, 2, &o));
    assert_int_equal(p11_get_bool(s, o, CKA_TOKEN), CK_FALSE); /* other sessions see it */
    P11_OK(p11_set(ro, o, CKA_LABEL, "x"));
    assert_int_equal(p11_get(s, o, CKA_LABEL, have, sizeof have), 1);
    assert_int_equal(p11_get(s, o, CKA_UNIQUE_ID, unique, sizeof unique), sizeof unique);
    P11_OK(C_CloseSession(ro));
    assert_int_equal(p11_count_class(s, CKO_CERTIFICATE, NULL), 0);
    assert_int_equal(C_DestroyObject(s, o), CKR_OBJECT_HANDLE_INVALID);
}

static void another_process_is_followed(void **state)
{
    const ks_cfg cfg = {0};
    const uint8_t odd[] = {1, 2, 3};
    ks_object row = {.id = {7}, .created_ms = 5};
    tdsa_buf bytes = TDSA_BUF_EMPTY;
    p11_item item = {0};
    ks *store = NULL;
    tdsa_err err;
    CK_OBJECT_HANDLE o = 0;

    (void)state;
    assert_int_equal(p11_count_class(s, CKO_DATA, NULL), 0);
    assert_int_equal(p11_item_set_number(&item, CKA_CLASS, CKO_DATA, &err), TDSA_OK);
    assert_int_equal(p11_item_set(&item, CKA_LABEL, "theirs", 6, &err), TDSA_OK);
    p11_item_encode(&bytes, &item);
    row.bytes = bytes.data;
    row.len = bytes.len;
    assert_int_equal(ks_open(&store, &cfg, &err), TDSA_OK);
    assert_int_equal(ks_object_put(store, &row, &err), TDSA_OK);
    o = p11_one_labelled(s, CKO_DATA, "theirs");
    tdsa_buf_clear(&bytes);
    assert_int_equal(p11_item_set(&item, CKA_LABEL, "renamed", 7, &err), TDSA_OK);
    p11_item_encode(&bytes, &item);
    row.bytes = bytes.data;
    row.len = bytes.len;
    assert_int_equal(ks_object_put(store, &row, &err), TDSA_OK);
    assert_int_equal(p11_one_labelled(s, CKO_DATA, "renamed"), o); /* the same handle */
    row = (ks_object){.id = {9}, .bytes = odd, .len = sizeof odd}; /* hides nothing else */
    assert_int_equal(ks_object_put(store, &row, &err), TDSA_OK);
    assert_int_equal(p11_count_class(s, CKO_DATA, NULL), 1);
    assert_int_equal(ks_object_delete(store, (const uint8_t[KS_OBJECT_ID_LEN]){7}, &err), TDSA_OK);
    assert_int_equal(p11_count_class(s, CKO_DATA, NULL), 0);
    assert_int_equal(C_DestroyObject(s, o), CKR_OBJECT_HANDLE_INVALID);
    tdsa_buf_clear(&bytes);
    p11_item_clear(&item);
    ks_close(store);
}

/* ---- changing, copying, destroying ---- */

static void a_certificate_changes_its_names_alone(void **state)
{
    const CK_SESSION_HANDLE ro = p11_open(0);
    CK_OBJECT_HANDLE o = 0;

    (void)state;
    P11_OK(create_cert(NULL, 0, &o));
    P11_OK(p11_set(s, o, CKA_LABEL, "first"));
    P11_OK(p11_set(s, o, CKA_ID, "77"));
    assert_int_equal(p11_set(s, o, CKA_VALUE, "x"), CKR_ATTRIBUTE_READ_ONLY);
    assert_int_equal(p11_set(s, o, CKA_TRUSTED, "x"), CKR_ATTRIBUTE_READ_ONLY);
    assert_int_equal(p11_set(s, o, CKA_TOKEN, "x"), CKR_ATTRIBUTE_READ_ONLY);
    assert_int_equal(p11_set(s, o, CKA_UNIQUE_ID, "x"), CKR_ATTRIBUTE_READ_ONLY);
    assert_int_equal(p11_set(s, o, CKA_SIGN, "x"), CKR_ATTRIBUTE_TYPE_INVALID);
    assert_int_equal(p11_set(ro, o, CKA_LABEL, "x"), CKR_SESSION_READ_ONLY);
    assert_int_equal(C_DestroyObject(ro, o), CKR_SESSION_READ_ONLY);
    atomic_store(&fake.fail_object, TDSA_E_STORE);
    assert_int_equal(p11_set(s, o, CKA_LABEL, "second"), CKR_DEVICE_ERROR);
    atomic_store(&fake.fail_object, TDSA_OK);
    restart();
    (void)p11_one_labelled(s, CKO_CERTIFICATE, "first");
}

static void a_copy_has_its_own_names_and_place(void **state)
{
    CK_BYTE name[] = "copy";
    CK_ATTRIBUTE templ[] = {{CKA_LABEL, name, 4}, {CKA_TOKEN, &no, sizeof no}};
    CK_ATTRIBUTE value = {CKA_VALUE, name, 4};
    CK_OBJECT_HANDLE o = 0;
    CK_OBJECT_HANDLE copy = 0;

    (void)state;
    P11_OK(create_cert(NULL, 0, &o));
    P11_OK(C_CopyObject(s, o, P11_ARRAY(templ), &copy));
    assert_int_equal(p11_one_labelled(s, CKO_CERTIFICATE, "copy"), copy);
    assert_int_equal(p11_get_bool(s, copy, CKA_TOKEN), CK_FALSE);
    assert_int_equal(C_CopyObject(s, o, &value, 1, &copy), CKR_ATTRIBUTE_READ_ONLY);
    assert_int_equal(C_CopyObject(s, o, NULL, 0, NULL), CKR_ARGUMENTS_BAD);
    assert_int_equal(C_CopyObject(s, 4242, NULL, 0, &copy), CKR_OBJECT_HANDLE_INVALID);
    P11_OK(C_CopyObject(s, o, NULL, 0, &copy));
    restart();
    assert_int_equal(p11_count_class(s, CKO_CERTIFICATE, NULL), 2);
}

static void what_is_fixed_stays(void **state)
{
    static const CK_ATTRIBUTE_TYPE locks[] = {CKA_MODIFIABLE, CKA_COPYABLE, CKA_DESTROYABLE};
    CK_RV got[3];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const CK_ATTRIBUTE more = {locks[i], &no, sizeof no};
        CK_OBJECT_HANDLE o = 0;
        CK_OBJECT_HANDLE copy = 0;

        P11_OK(create_cert(&more, 1, &o));
        got[0] = p11_set(s, o, CKA_LABEL, "x");
        got[1] = C_CopyObject(s, o, NULL, 0, &copy);
        got[2] = C_DestroyObject(s, o);
        for (size_t j = 0; j < 3; j++) {
            assert_int_equal(got[j], i == j ? CKR_ACTION_PROHIBITED : CKR_OK);
        }
    }
}

/* ---- certificates of files ---- */

static char pem_path[] = "/tmp/tdsa-p11-pem-XXXXXX";

static void write_pem(void)
{
    const unsigned char *p = cert.der;
    X509 *x = d2i_X509(NULL, &p, (long)cert.len);
    const int fd = mkstemp(pem_path);
    FILE *f = fdopen(fd, "w");

    assert_non_null(f);
    assert_int_equal(PEM_write_X509(f, x), 1);
    assert_int_equal(fclose(f), 0);
    X509_free(x);
}

/* A new life with this file among the certificates. */
static CK_RV start_with(const char *path)
{
    char extra[128];

    (void)snprintf(extra, sizeof extra, "  certificates:\n    - %s\n", path);
    return p11_restart(extra);
}

static void certificates_of_files_have_the_names_of_their_key(void **state)
{
    CK_BYTE have[32];
    CK_OBJECT_HANDLE o = 0;
    CK_OBJECT_HANDLE key = 0;

    (void)state;
    write_pem();
    P11_OK(start_with(pem_path));
    s = p11_open(CKF_RW_SESSION);
    o = p11_one_labelled(s, CKO_CERTIFICATE, "pair");
    assert_int_equal(p11_get(s, o, CKA_ID, have, sizeof have), 20);
    assert_int_equal(p11_set(s, o, CKA_LABEL, "x"), CKR_ACTION_PROHIBITED);
    assert_int_equal(C_DestroyObject(s, o), CKR_ACTION_PROHIBITED);
    assert_int_equal(C_CopyObject(s, o, NULL, 0, &key), CKR_ACTION_PROHIBITED);
    P11_OK(p11_login(s, FAKE_PIN));
    key = p11_one_labelled(s, CKO_PRIVATE_KEY, "pair");
    P11_OK(p11_set(s, key, CKA_LABEL, "new name"));
    P11_OK(p11_set(s, key, CKA_ID, "42"));
    assert_int_equal(p11_one_labelled(s, CKO_CERTIFICATE, "new name"), o);
    assert_int_equal(p11_get(s, o, CKA_ID, have, sizeof have), 2);
    P11_OK(C_DestroyObject(s, key)); /* and the file is still there */
    assert_int_equal(p11_count_class(s, CKO_CERTIFICATE, NULL), 1);
    (void)unlink(pem_path);
}

static void a_file_without_certificates_stops_the_module(void **state)
{
    (void)state;
    assert_int_equal(start_with("/dev/null"), CKR_GENERAL_ERROR);
    assert_int_equal(start_with("/nowhere/at/all.pem"), CKR_GENERAL_ERROR);
}

/* ---- data ---- */

static void data_is_found_read_and_changed(void **state)
{
    CK_BYTE application[] = "app";
    CK_ATTRIBUTE by = {CKA_APPLICATION, application, 3};
    CK_OBJECT_HANDLE found = 0;
    CK_OBJECT_HANDLE o = 0;
    CK_BYTE have[32];

    (void)state;
    P11_OK(create_data(&yes, &no, &o));
    assert_int_equal(p11_find_all(s, &by, 1, &found, 1), 1);
    assert_int_equal(found, o);
    assert_int_equal(p11_get(s, o, CKA_VALUE, have, sizeof have), 12);
    assert_memory_equal(have, "what is kept", 12);
    assert_int_equal(p11_get(s, o, CKA_OBJECT_ID, have, sizeof have), 0);
    P11_OK(p11_set(s, o, CKA_VALUE, "other"));
    assert_int_equal(p11_set(s, o, CKA_ID, "1"), CKR_ATTRIBUTE_TYPE_INVALID);
    restart();
    o = p11_one_labelled(s, CKO_DATA, "notes");
    assert_int_equal(p11_get(s, o, CKA_VALUE, have, sizeof have), 5);
    assert_memory_equal(have, "other", 5);
}

static bool is_sealed(void *ctx, const ks_object *o)
{
    *(bool *)ctx = o->sealed && o->bytes == NULL;
    return true;
}

static void private_data_is_sealed_and_seen_by_the_user_alone(void **state)
{
    const ks_cfg cfg = {0};
    bool sealed = false;
    ks *locked = NULL;
    tdsa_err err;
    CK_BYTE have[32];
    CK_OBJECT_HANDLE o = 0;

    (void)state;
    P11_OK(create_data(&yes, &yes, &o));
    assert_int_equal(ks_open(&locked, &cfg, &err), TDSA_OK);
    assert_int_equal(ks_object_each(locked, is_sealed, &sealed, &err), TDSA_OK);
    assert_true(sealed);
    ks_close(locked);
    (void)p11_one_labelled(s, CKO_DATA, "notes");
    P11_OK(C_Logout(s));
    assert_int_equal(p11_count_class(s, CKO_DATA, NULL), 0);
    assert_int_equal(C_DestroyObject(s, o), CKR_OBJECT_HANDLE_INVALID);
    assert_int_equal(create_data(&yes, &yes, &o), CKR_USER_NOT_LOGGED_IN);
    P11_OK(p11_login(s, FAKE_PIN));
    o = p11_one_labelled(s, CKO_DATA, "notes");
    assert_int_equal(p11_get(s, o, CKA_VALUE, have, sizeof have), 12);
    restart();
    assert_int_equal(p11_count_class(s, CKO_DATA, NULL), 0);
}

/* PKCS#11 2.40, C_Logout: "all private session objects ... are destroyed". */
static void private_session_data_ends_with_the_login(void **state)
{
    CK_OBJECT_HANDLE o = 0;

    (void)state;
    P11_OK(create_data(&no, &yes, &o));
    P11_OK(C_Logout(s));
    P11_OK(p11_login(s, FAKE_PIN));
    assert_int_equal(p11_count_class(s, CKO_DATA, NULL), 0);
    assert_int_equal(C_DestroyObject(s, o), CKR_OBJECT_HANDLE_INVALID);
}

static void other_classes_are_refused(void **state)
{
    static const struct {
        CK_OBJECT_CLASS cls;
        CK_RV rv;
    } cases[] = {{CKO_SECRET_KEY, CKR_TEMPLATE_INCONSISTENT},
                 {CKO_PRIVATE_KEY, CKR_ACTION_PROHIBITED},
                 {CKO_DOMAIN_PARAMETERS, CKR_ATTRIBUTE_VALUE_INVALID},
                 {CKO_PROFILE, CKR_ATTRIBUTE_VALUE_INVALID}};
    CK_OBJECT_HANDLE o = 0;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CK_OBJECT_CLASS cls = cases[i].cls;
        CK_ATTRIBUTE a = {CKA_CLASS, &cls, sizeof cls};

        assert_int_equal(C_CreateObject(s, &a, 1, &o), cases[i].rv);
    }
    assert_int_equal(C_CreateObject(s, NULL, 0, &o), CKR_TEMPLATE_INCOMPLETE);
    assert_int_equal(C_CreateObject(s, NULL, 1, &o), CKR_ARGUMENTS_BAD);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, p11_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_certificate_tells_what_it_says_inside),
        TEST(what_the_template_says_of_a_certificate_stays),
        TEST(a_certificate_of_a_key_elsewhere_is_kept_too),
        TEST(what_is_no_certificate_is_refused),
        TEST(a_token_certificate_outlives_the_process),
        TEST(a_session_certificate_goes_with_its_session),
        TEST(another_process_is_followed),
        TEST(a_certificate_changes_its_names_alone),
        TEST(a_copy_has_its_own_names_and_place),
        TEST(what_is_fixed_stays),
        TEST(certificates_of_files_have_the_names_of_their_key),
        TEST(a_file_without_certificates_stops_the_module),
        TEST(data_is_found_read_and_changed),
        TEST(private_data_is_sealed_and_seen_by_the_user_alone),
        TEST(private_session_data_ends_with_the_login),
        TEST(other_classes_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
