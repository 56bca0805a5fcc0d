/*
 * What the four profiles that the token claims ask of it (PKCS #11 Profiles 3.1: Baseline Provider, Extended
 * Provider, Authentication Token, Public Certificates Token): their calls in their order, through the
 * interface of version 3.2 of the real module, each in a life of its own. Keys are ECDSA ones in place of the
 * RSA keys of the standard's examples. Started by p11_host.
 */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ecdsa.h>
#include <openssl/evp.h>

#include <cmocka.h>

#include "pkcs11-provider/cryptoki.h"
#include "support/rsa_maker.h"

#define OK(call) assert_int_equal((call), CKR_OK)

static const p11_table_3_2 *f;
static rsa_pair cert;
static const char label[] = "profile";
static CK_BBOOL yes = CK_TRUE;

static CK_ATTRIBUTE token = {CKA_TOKEN, &yes, sizeof yes};

static void load(void)
{
    void *handle = dlopen(getenv("TDSA_PKCS11_MODULE"), RTLD_NOW | RTLD_LOCAL);
    CK_RV (*get)(CK_UTF8CHAR *, CK_VERSION *, CK_INTERFACE **, CK_FLAGS) = NULL;
    CK_VERSION version = {3, 2};
    CK_UTF8CHAR name[] = "PKCS 11";
    CK_INTERFACE *found = NULL;
    void *symbol = NULL;

    assert_non_null(handle);
    symbol = dlsym(handle, "C_GetInterface");
    assert_non_null(symbol);
    memcpy(&get, &symbol, sizeof get);
    OK(get(name, &version, &found, 0));
    f = found->pFunctionList;
}

static void log_in(CK_SESSION_HANDLE s)
{
    CK_UTF8CHAR pin[32];
    const char *text = getenv("TDSA_PIN");

    assert_in_range(strlen(text), 1, sizeof pin);
    memcpy(pin, text, strlen(text));
    OK(f->C_Login(s, CKU_USER, pin, strlen(text)));
}

/* A key pair and a certificate are on the token before anybody looks. */
static void fill_token(CK_SESSION_HANDLE s)
{
    CK_MECHANISM mech = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
    CK_BYTE oid[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    CK_BYTE name[sizeof label];
    CK_OBJECT_CLASS cls = CKO_CERTIFICATE;
    CK_OBJECT_HANDLE made[3];
    CK_ATTRIBUTE key[] = {
        {CKA_LABEL, name, sizeof label - 1}, token, {CKA_EC_PARAMS, oid, sizeof oid}};
    CK_ATTRIBUTE object[] = {{CKA_LABEL, name, sizeof label - 1},
                             token,
                             {CKA_CLASS, &cls, sizeof cls},
                             {CKA_VALUE, cert.der.data, cert.der.len}};

    memcpy(name, label, sizeof label);
    OK(f->C_GenerateKeyPair(s, &mech, key, 3, key, 2, &made[0], &made[1]));
    OK(f->C_CreateObject(s, object, 4, &made[2]));
}

static int setup_all(void **state)
{
    CK_SESSION_HANDLE s = 0;

    (void)state;
    load();
    rsa_make_fit(&cert, 2048);
    OK(f->C_Initialize(NULL));
    OK(f->C_OpenSession(0, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &s));
    log_in(s);
    fill_token(s);
    OK(f->C_Finalize(NULL));
    return 0;
}

static int teardown_all(void **state)
{
    (void)state;
    rsa_pair_clear(&cert);
    return 0;
}

/* ---- steps that the transcripts share ---- */

static CK_SLOT_ID begin(void)
{
    CK_INFO info;
    CK_SLOT_ID list[8];
    CK_ULONG count = 0;

    OK(f->C_Initialize(NULL));
    OK(f->C_GetInfo(&info));
    assert_int_equal(info.cryptokiVersion.major, 3);
    assert_int_equal(info.cryptokiVersion.minor, 2);
    assert_int_equal(info.flags, 0);
    OK(f->C_GetSlotList(CK_TRUE, NULL, &count));
    assert_in_range(count, 1, 8);
    OK(f->C_GetSlotList(CK_TRUE, list, &count));
    return list[0];
}

static void look_at_slot(CK_SLOT_ID slot)
{
    const CK_FLAGS want =
        CKF_RNG | CKF_LOGIN_REQUIRED | CKF_USER_PIN_INITIALIZED | CKF_TOKEN_INITIALIZED;
    CK_SLOT_INFO info;
    CK_TOKEN_INFO about;

    OK(f->C_GetSlotInfo(slot, &info));
    assert_true((info.flags & CKF_TOKEN_PRESENT) != 0);
    OK(f->C_GetTokenInfo(slot, &about));
    assert_int_equal(about.flags & want, want);
    assert_true(about.ulMinPinLen <= about.ulMaxPinLen);
    assert_int_equal(about.ulSessionCount, 0);
}

static CK_SESSION_HANDLE open_session(CK_SLOT_ID slot, CK_FLAGS flags)
{
    CK_SESSION_HANDLE s = 0;

    OK(f->C_OpenSession(slot, CKF_SERIAL_SESSION | flags, NULL, NULL, &s));
    return s;
}

static CK_ULONG find(CK_SESSION_HANDLE s, CK_ATTRIBUTE *templ, CK_ULONG n, CK_OBJECT_HANDLE *out,
                     CK_ULONG max)
{
    CK_ULONG count = 0;

    OK(f->C_FindObjectsInit(s, templ, n));
    OK(f->C_FindObjects(s, out, max, &count));
    OK(f->C_FindObjectsFinal(s));
    return count;
}

/* The object that says that the token follows a profile. */
static void claims(CK_SESSION_HANDLE s, CK_ULONG profile)
{
    CK_OBJECT_CLASS cls = CKO_PROFILE;
    CK_ATTRIBUTE templ[] = {{CKA_CLASS, &cls, sizeof cls},
                            {CKA_PROFILE_ID, &profile, sizeof profile}};
    CK_OBJECT_HANDLE found[2];

    assert_int_equal(find(s, templ, 2, found, 2), 1);
}

static CK_OBJECT_HANDLE find_key(CK_SESSION_HANDLE s, CK_OBJECT_CLASS cls)
{
    CK_BYTE name[sizeof label];
    CK_ATTRIBUTE templ[] = {
        token, {CKA_LABEL, name, sizeof label - 1}, {CKA_CLASS, &cls, sizeof cls}};
    CK_OBJECT_HANDLE found = 0;

    memcpy(name, label, sizeof label);
    assert_int_equal(find(s, templ, 3, &found, 1), 1);
    return found;
}

static void end(CK_SLOT_ID slot, CK_SESSION_HANDLE s)
{
    OK(f->C_CloseSession(s));
    OK(f->C_CloseAllSessions(slot));
    OK(f->C_Finalize(NULL));
}

/* ---- the four ---- */

static void baseline_provider(void **state)
{
    const CK_SLOT_ID slot = begin();
    CK_SESSION_HANDLE s = 0;
    CK_OBJECT_HANDLE found = 0;

    (void)state;
    look_at_slot(slot);
    s = open_session(slot, 0);
    assert_int_equal(find(s, &token, 1, &found, 1), 1);
    claims(s, CKP_BASELINE_PROVIDER);
    end(slot, s);
}

static void extended_provider(void **state)
{
    const CK_SLOT_ID slot = begin();
    CK_MECHANISM_TYPE list[64];
    CK_MECHANISM_INFO info;
    CK_ULONG count = 0;
    CK_SESSION_HANDLE s = 0;
    CK_OBJECT_HANDLE found = 0;

    (void)state;
    look_at_slot(slot);
    OK(f->C_GetMechanismList(slot, NULL, &count));
    assert_in_range(count, 1, 64);
    OK(f->C_GetMechanismList(slot, list, &count));
    for (CK_ULONG i = 0; i < count; i++) {
        OK(f->C_GetMechanismInfo(slot, list[i], &info));
        assert_true(info.flags != 0 && info.ulMinKeySize <= info.ulMaxKeySize);
    }
    s = open_session(slot, CKF_RW_SESSION);
    log_in(s);
    assert_int_equal(find(s, &token, 1, &found, 1), 1);
    claims(s, CKP_EXTENDED_PROVIDER);
    OK(f->C_Logout(s));
    end(slot, s);
}

/* The opinion of OpenSSL, which knows the point alone. */
static bool verifies(const CK_BYTE *point, const CK_BYTE *data, size_t len, const CK_BYTE *rs)
{
    EVP_PKEY *key = EVP_EC_gen("P-256"); /* gives the curve */
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    ECDSA_SIG *sig = ECDSA_SIG_new();
    unsigned char *der = NULL;
    int der_len = 0;
    bool ok = false;

    assert_int_equal(EVP_PKEY_set1_encoded_public_key(key, point + 2, 65), 1);
    assert_int_equal(ECDSA_SIG_set0(sig, BN_bin2bn(rs, 32, NULL), BN_bin2bn(rs + 32, 32, NULL)), 1);
    der_len = i2d_ECDSA_SIG(sig, &der);
    ok = EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
         EVP_DigestVerify(ctx, der, (size_t)der_len, data, len) == 1;
    OPENSSL_free(der);
    ECDSA_SIG_free(sig);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return ok;
}

static void authentication_token(void **state)
{
    const CK_SLOT_ID slot = begin();
    CK_MECHANISM mech = {CKM_ECDSA_SHA256, NULL, 0};
    CK_BYTE params[16];
    CK_BYTE point[67];
    CK_ATTRIBUTE a[] = {{CKA_EC_PARAMS, params, sizeof params},
                        {CKA_EC_POINT, point, sizeof point}};
    CK_BYTE data[] = "a certificate request, for example";
    CK_BYTE sig[64];
    CK_ULONG len = sizeof sig;
    CK_SESSION_HANDLE s = 0;

    (void)state;
    s = open_session(slot, CKF_RW_SESSION);
    log_in(s);
    OK(f->C_GetAttributeValue(s, find_key(s, CKO_PUBLIC_KEY), a, 2));
    assert_int_equal(a[1].ulValueLen, sizeof point);
    OK(f->C_SignInit(s, &mech, find_key(s, CKO_PRIVATE_KEY)));
    OK(f->C_Sign(s, data, sizeof data, sig, &len));
    assert_int_equal(len, sizeof sig);
    assert_true(verifies(point, data, sizeof data, sig));
    assert_false(verifies(point, data, sizeof data - 1, sig));
    claims(s, CKP_AUTHENTICATION_TOKEN);
    OK(f->C_Logout(s));
    end(slot, s);
}

/* One attribute as the transcript reads it: its length first. */
static void read_one(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE type,
                     const void *want, CK_ULONG len)
{
    CK_BYTE have[4096];
    CK_ATTRIBUTE a = {type, NULL, 0};

    OK(f->C_GetAttributeValue(s, o, &a, 1));
    assert_int_equal(a.ulValueLen, len);
    a.pValue = have;
    OK(f->C_GetAttributeValue(s, o, &a, 1));
    assert_int_equal(a.ulValueLen, len);
    assert_memory_equal(have, want, len);
}

static void public_certificates_token(void **state)
{
    const CK_SLOT_ID slot = begin();
    CK_OBJECT_HANDLE found[32];
    CK_OBJECT_CLASS cls = 0;
    CK_ATTRIBUTE a = {CKA_CLASS, &cls, sizeof cls};
    CK_SESSION_HANDLE s = 0;
    CK_ULONG count = 0;
    CK_ULONG seen = 0;

    (void)state;
    s = open_session(slot, 0); /* nobody logs in */
    OK(f->C_FindObjectsInit(s, &token, 1));
    OK(f->C_FindObjects(s, found, 32, &count));
    for (CK_ULONG i = 0; i < count; i++) {
        OK(f->C_GetAttributeValue(s, found[i], &a, 1));
        if (cls == CKO_CERTIFICATE) {
            seen++;
            read_one(s, found[i], CKA_LABEL, label, sizeof label - 1);
            read_one(s, found[i], CKA_VALUE, cert.der.data, cert.der.len);
        }
    }
    OK(f->C_FindObjectsFinal(s));
    assert_int_equal(seen, 1);
    claims(s, CKP_PUBLIC_CERTIFICATES_TOKEN);
    end(slot, s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(baseline_provider),
        cmocka_unit_test(extended_provider),
        cmocka_unit_test(authentication_token),
        cmocka_unit_test(public_certificates_token),
    };

    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
