#include "support/p11_calls.h"

#include <string.h>

#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "support/fake_engine.h"

static CK_SESSION_HANDLE s;
static CK_OBJECT_HANDLE pub, priv;

static int setup(void **state)
{
    if (p11_setup(state) != 0) {
        return -1;
    }
    s = p11_open_user();
    p11_make_pair(s, "a", &pub, &priv);
    return 0;
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

/* OpenSSL's opinion of an r | s over `data`. */
static bool openssl_verifies(const CK_BYTE *rs, const CK_BYTE *data, size_t len)
{
    CK_BYTE info[192];
    CK_ATTRIBUTE a = {CKA_PUBLIC_KEY_INFO, info, sizeof info};
    const unsigned char *p = info;
    unsigned char *der = NULL;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    ECDSA_SIG *sig = ECDSA_SIG_new();
    EVP_PKEY *key = NULL;
    int der_len = 0;
    int half = 0;
    bool ok = false;

    P11_OK(C_GetAttributeValue(s, pub, &a, 1));
    key = d2i_PUBKEY(NULL, &p, (long)a.ulValueLen);
    half = (EVP_PKEY_get_bits(key) + 7) / 8;
    assert_int_equal(
        ECDSA_SIG_set0(sig, BN_bin2bn(rs, half, NULL), BN_bin2bn(rs + half, half, NULL)), 1);
    der_len = i2d_ECDSA_SIG(sig, &der);
    ok = EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
         EVP_DigestVerify(ctx, der, (size_t)der_len, data, len) == 1;
    OPENSSL_free(der);
    ECDSA_SIG_free(sig);
    EVP_PKEY_free(key);
    EVP_MD_CTX_free(ctx);
    return ok;
}

static void one_part_and_many_parts_sign_the_same_message(void **state)
{
    CK_BYTE message[] = "the quick brown fox";
    CK_BYTE sig[64];
    CK_ULONG len = sizeof sig;

    (void)state;
    P11_OK(sign_init(CKM_ECDSA_SHA256));
    P11_OK(C_Sign(s, message, 19, sig, &len));
    assert_int_equal(len, 64);
    assert_true(openssl_verifies(sig, message, 19));
    P11_OK(sign_init(CKM_ECDSA_SHA256));
    P11_OK(C_SignUpdate(s, message, 4));
    P11_OK(C_SignUpdate(s, NULL, 0));
    P11_OK(C_SignUpdate(s, message + 4, 15));
    P11_OK(C_SignFinal(s, sig, &len));
    assert_true(openssl_verifies(sig, message, 19));
    assert_int_equal(fake.last_payload_len, 32); /* hashed here: purpose digest */
    P11_OK(sign_init(CKM_ECDSA_SHA256));         /* the empty message, both ways */
    P11_OK(C_Sign(s, NULL, 0, sig, &len));
    assert_true(openssl_verifies(sig, message, 0));
    P11_OK(sign_init(CKM_ECDSA_SHA256));
    P11_OK(C_SignFinal(s, sig, &len));
    assert_true(openssl_verifies(sig, message, 0));
}

/* PKCS#11, ECDSA without hashing: what is longer than the order counts by its leftmost bits. Digests
 * are told to the participants by their length, so other lengths become that of the curve. */
static void ecdsa_takes_data_of_any_length(void **state)
{
    CK_BYTE data[80] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20};
    CK_BYTE too_much[1025] = {1};
    CK_BYTE sig[64];
    CK_ULONG len = sizeof sig;
    CK_MECHANISM mech = {CKM_ECDSA, NULL, 0};

    (void)state;
    for (size_t n = 0; n <= sizeof data; n++) {
        P11_OK(sign_init(CKM_ECDSA));
        assert_int_equal(C_Sign(s, data, n, sig, &len), n > 0 ? CKR_OK : CKR_DATA_LEN_RANGE);
        assert_int_equal(C_Sign(s, data, n, sig, &len), CKR_OPERATION_NOT_INITIALIZED);
        if (n > 0) { /* verification takes the data as they are */
            P11_OK(C_VerifyInit(s, &mech, pub));
            P11_OK(C_Verify(s, data, n, sig, sizeof sig));
        }
    }
    P11_OK(sign_init(CKM_ECDSA));
    P11_OK(C_SignUpdate(s, data, 30)); /* in parts */
    P11_OK(C_SignUpdate(s, data, 18));
    P11_OK(C_SignFinal(s, sig, &len));
    assert_int_equal(fake.last_hash, TDSA_HASH_SHA384);
    P11_OK(sign_init(CKM_ECDSA));
    assert_int_equal(C_SignUpdate(s, too_much, sizeof too_much), CKR_DATA_LEN_RANGE);
    assert_int_equal(C_SignFinal(s, sig, &len), CKR_OPERATION_NOT_INITIALIZED);
}

static void a_size_query_and_a_short_buffer_start_no_run(void **state)
{
    CK_BYTE digest[32] = {7};
    CK_BYTE sig[64];
    CK_ULONG len = 0;

    (void)state;
    P11_OK(sign_init(CKM_ECDSA));
    P11_OK(C_Sign(s, digest, 32, NULL, &len));
    assert_int_equal(len, 64);
    P11_OK(C_Sign(s, digest, 1, NULL, &len)); /* the length follows from the key */
    len = 63;
    assert_int_equal(C_Sign(s, digest, 32, sig, &len), CKR_BUFFER_TOO_SMALL);
    assert_int_equal(len, 64);
    P11_OK(C_SignFinal(s, NULL, &len));
    len = 1;
    assert_int_equal(C_SignFinal(s, sig, &len), CKR_BUFFER_TOO_SMALL);
    assert_int_equal(atomic_load(&fake.sign_calls), 0);
    P11_OK(C_Sign(s, digest, 32, sig, &len));
    assert_int_equal(atomic_load(&fake.sign_calls), 1);
}

static void every_failure_ends_the_operation(void **state)
{
    CK_BYTE digest[32] = {7};
    CK_BYTE sig[64];
    CK_ULONG len = sizeof sig;

    (void)state;
    P11_OK(sign_init(CKM_ECDSA));
    assert_int_equal(C_Sign(s, NULL, 32, sig, &len), CKR_ARGUMENTS_BAD);
    P11_OK(sign_init(CKM_ECDSA));
    assert_int_equal(C_Sign(s, digest, 32, sig, NULL), CKR_ARGUMENTS_BAD);
    P11_OK(sign_init(CKM_ECDSA));
    assert_int_equal(C_SignFinal(s, sig, NULL), CKR_ARGUMENTS_BAD);
    P11_OK(sign_init(CKM_ECDSA));
    assert_int_equal(C_SignUpdate(s, NULL, 3), CKR_ARGUMENTS_BAD);
    P11_OK(sign_init(CKM_ECDSA));
    P11_OK(C_SignUpdate(s, digest, 32)); /* C_Sign cannot end what Update began */
    assert_int_equal(C_Sign(s, digest, 32, sig, &len), CKR_OPERATION_NOT_INITIALIZED);
    atomic_store(&fake.fail_sign, TDSA_E_UNAVAILABLE);
    P11_OK(sign_init(CKM_ECDSA));
    assert_int_equal(C_Sign(s, digest, 32, sig, &len), CKR_DEVICE_REMOVED);
    atomic_store(&fake.fail_sign, TDSA_E_TIMEOUT);
    P11_OK(sign_init(CKM_ECDSA));
    assert_int_equal(C_Sign(s, digest, 32, sig, &len), CKR_DEVICE_ERROR);
    atomic_store(&fake.fail_sign, TDSA_E_DENIED);
    P11_OK(sign_init(CKM_ECDSA));
    assert_int_equal(C_Sign(s, digest, 32, sig, &len), CKR_ACTION_PROHIBITED);
    assert_int_equal(C_SignUpdate(s, digest, 1), CKR_OPERATION_NOT_INITIALIZED);
    assert_int_equal(C_SignFinal(s, sig, &len), CKR_OPERATION_NOT_INITIALIZED);
}

static void every_status_of_the_engine_has_its_code(void **state)
{
    static const struct {
        tdsa_status status;
        CK_RV local, peer; /* here, and as a participant's answer */
    } cases[] = {
        {TDSA_E_BAD_INPUT, CKR_DATA_INVALID, CKR_DEVICE_ERROR},
        {TDSA_E_NOT_FOUND, CKR_KEY_HANDLE_INVALID, CKR_DEVICE_ERROR},
        {TDSA_E_DENIED, CKR_ACTION_PROHIBITED, CKR_ACTION_PROHIBITED},
        {TDSA_E_LOGIN, CKR_USER_NOT_LOGGED_IN, CKR_DEVICE_ERROR},
        {TDSA_E_CONFLICT, CKR_FUNCTION_FAILED, CKR_FUNCTION_FAILED},
        {TDSA_E_LIMIT, CKR_DEVICE_MEMORY, CKR_DEVICE_MEMORY},
        {TDSA_E_BUSY, CKR_FUNCTION_CANCELED, CKR_DEVICE_ERROR},
        {TDSA_E_UNAVAILABLE, CKR_DEVICE_REMOVED, CKR_DEVICE_REMOVED},
        {TDSA_E_TIMEOUT, CKR_DEVICE_ERROR, CKR_DEVICE_ERROR},
        {TDSA_E_PROTOCOL, CKR_DEVICE_ERROR, CKR_DEVICE_ERROR},
        {TDSA_E_VERIFY, CKR_DEVICE_ERROR, CKR_DEVICE_ERROR},
        {TDSA_E_CRYPTO, CKR_GENERAL_ERROR, CKR_GENERAL_ERROR},
        {TDSA_E_STORE, CKR_DEVICE_ERROR, CKR_DEVICE_ERROR},
        {TDSA_E_WRAPPING, CKR_DEVICE_ERROR, CKR_DEVICE_ERROR},
        {TDSA_E_CONFIG, CKR_GENERAL_ERROR, CKR_GENERAL_ERROR},
        {TDSA_E_NO_MEMORY, CKR_HOST_MEMORY, CKR_HOST_MEMORY},
        {TDSA_E_INTERNAL, CKR_GENERAL_ERROR, CKR_GENERAL_ERROR},
    };
    CK_BYTE digest[32] = {7};
    CK_BYTE sig[64];
    CK_ULONG len = sizeof sig;

    (void)state;
    for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
        atomic_store(&fake.blame, i % 2 == 0 ? 0 : 2);
        atomic_store(&fake.fail_sign, (int)cases[i / 2].status);
        P11_OK(sign_init(CKM_ECDSA));
        assert_int_equal(C_Sign(s, digest, 32, sig, &len),
                         i % 2 == 0 ? cases[i / 2].local : cases[i / 2].peer);
    }
}

static void a_used_up_rate_is_a_resource_that_is_used_up(void **state)
{
    const CK_SESSION_HANDLE v3 = p11_open_v3();
    CK_MECHANISM mech = {CKM_ECDSA, NULL, 0};
    CK_BYTE digest[32] = {7};
    CK_BYTE sig[64];

    (void)state;
    atomic_store(&fake.why, PART_RATE_LIMITED ": key k signs 3 times a minute at most");
    for (int blame = 0; blame <= 2; blame += 2) { /* here, and at participant 1 */
        CK_ULONG len = sizeof sig;

        atomic_store(&fake.blame, blame);
        atomic_store(&fake.fail_sign, (int)TDSA_E_LIMIT);
        P11_OK(sign_init(CKM_ECDSA));
        assert_int_equal(C_Sign(s, digest, 32, sig, &len), CKR_DEVICE_MEMORY);
        P11_OK(C_SignInit(v3, &mech, priv));
        assert_int_equal(C_Sign(v3, digest, 32, sig, &len), CKR_TOKEN_RESOURCE_EXCEEDED);
    }
    atomic_store(&fake.why, NULL);
}

static void sign_init_refuses_what_cannot_work(void **state)
{
    CK_MECHANISM with = {CKM_ECDSA, &with, 4};
    CK_MECHANISM mech = {CKM_ECDSA, NULL, 0};

    (void)state;
    assert_int_equal(C_SignInit(s, NULL, priv), CKR_ARGUMENTS_BAD);
    assert_int_equal(sign_init(CKM_RSA_PKCS), CKR_MECHANISM_INVALID);
    assert_int_equal(sign_init(CKM_SHA256), CKR_MECHANISM_INVALID);
    assert_int_equal(sign_init(CKM_EC_KEY_PAIR_GEN), CKR_MECHANISM_INVALID);
    assert_int_equal(sign_init(CKM_ECDSA_SHA1), CKR_MECHANISM_INVALID);
    assert_int_equal(C_SignInit(s, &with, priv), CKR_MECHANISM_PARAM_INVALID);
    assert_int_equal(C_SignInit(s, &mech, 0), CKR_KEY_HANDLE_INVALID);
    assert_int_equal(C_SignInit(s, &mech, 4242), CKR_KEY_HANDLE_INVALID);
    assert_int_equal(C_SignInit(s, &mech, pub), CKR_KEY_FUNCTION_NOT_PERMITTED);
    P11_OK(sign_init(CKM_ECDSA));
    assert_int_equal(sign_init(CKM_ECDSA), CKR_OPERATION_ACTIVE);
}

static void signing_after_logout_needs_a_login(void **state)
{
    CK_BYTE digest[32] = {7};
    CK_BYTE sig[64];
    CK_ULONG len = sizeof sig;

    (void)state;
    P11_OK(sign_init(CKM_ECDSA));
    P11_OK(C_Logout(s));
    assert_int_equal(C_Sign(s, digest, 32, sig, &len), CKR_USER_NOT_LOGGED_IN);
    assert_int_equal(atomic_load(&fake.sign_calls), 0);
}

static void a_message_key_sends_the_message_itself(void **state)
{
    CK_MECHANISM gen = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
    CK_MECHANISM_TYPE allowed[] = {CKM_ECDSA_SHA256};
    CK_BYTE oid[10];
    CK_ATTRIBUTE curve = {CKA_EC_PARAMS, oid, sizeof oid};
    CK_ATTRIBUTE mechs = {CKA_ALLOWED_MECHANISMS, allowed, sizeof allowed};
    static CK_BYTE message[65537];
    CK_BYTE sig[64];
    CK_ULONG len = sizeof sig;

    (void)state;
    memcpy(oid, p11_oid_p256, sizeof oid);
    P11_OK(C_GenerateKeyPair(s, &gen, &curve, 1, &mechs, 1, &pub, &priv));
    assert_int_equal(sign_init(CKM_ECDSA), CKR_MECHANISM_INVALID);
    assert_int_equal(sign_init(CKM_ECDSA_SHA384), CKR_MECHANISM_INVALID);
    P11_OK(sign_init(CKM_ECDSA_SHA256));
    P11_OK(C_SignUpdate(s, message, 65000));
    P11_OK(C_SignUpdate(s, message, 536));
    P11_OK(C_SignFinal(s, sig, &len));
    assert_int_equal(fake.last_payload_len, 65536);
    assert_true(openssl_verifies(sig, message, 65536));
    P11_OK(verify_init(CKM_ECDSA_SHA256)); /* verified here, from the digest */
    P11_OK(C_Verify(s, message, 65536, sig, len));
    P11_OK(sign_init(CKM_ECDSA_SHA256));
    assert_int_equal(C_Sign(s, message, 65537, sig, &len), CKR_DATA_LEN_RANGE);
    P11_OK(sign_init(CKM_ECDSA_SHA256));
    P11_OK(C_Sign(s, message, 0, sig, &len));
    assert_true(openssl_verifies(sig, message, 0));
}

static void the_long_curves_sign_and_verify(void **state)
{
    static struct {
        CK_BYTE oid[7];
        CK_ULONG sig_len;
    } curves[] = {{{0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22}, 96},   /* P-384 */
                  {{0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23}, 132}}; /* P-521 */
    CK_MECHANISM gen = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
    CK_BYTE message[] = "message";

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        CK_ATTRIBUTE curve = {CKA_EC_PARAMS, curves[i].oid, sizeof curves[i].oid};
        CK_BYTE sig[140];
        CK_ULONG len = 0;

        P11_OK(C_GenerateKeyPair(s, &gen, &curve, 1, NULL, 0, &pub, &priv));
        P11_OK(sign_init(CKM_ECDSA_SHA256));
        P11_OK(C_Sign(s, message, 7, NULL, &len));
        assert_int_equal(len, curves[i].sig_len);
        P11_OK(C_Sign(s, message, 7, sig, &len));
        assert_int_equal(len, curves[i].sig_len);
        assert_true(openssl_verifies(sig, message, 7));
        P11_OK(verify_init(CKM_ECDSA_SHA256));
        P11_OK(C_Verify(s, message, 7, sig, len));
        P11_OK(verify_init(CKM_ECDSA_SHA256));
        assert_int_equal(C_Verify(s, message, 7, sig, 64), CKR_SIGNATURE_LEN_RANGE);
        P11_OK(verify_init(CKM_ECDSA_SHA512)); /* longer than the order of P-384 */
        assert_int_equal(C_Verify(s, message, 7, sig, len), CKR_SIGNATURE_INVALID);
        P11_OK(sign_init(CKM_ECDSA_SHA512));
        P11_OK(C_Sign(s, message, 7, sig, &len));
        P11_OK(verify_init(CKM_ECDSA_SHA512));
        P11_OK(C_Verify(s, message, 7, sig, len));
    }
}

static void verification_accepts_the_right_and_refuses_the_wrong(void **state)
{
    CK_BYTE message[] = "message";
    CK_BYTE sig[65];
    CK_ULONG len = 64;

    (void)state;
    P11_OK(sign_init(CKM_ECDSA_SHA512));
    P11_OK(C_Sign(s, message, 7, sig, &len));
    P11_OK(verify_init(CKM_ECDSA_SHA512));
    P11_OK(C_Verify(s, message, 7, sig, 64));
    P11_OK(verify_init(CKM_ECDSA_SHA512));
    P11_OK(C_VerifyUpdate(s, message, 3));
    P11_OK(C_VerifyUpdate(s, message + 3, 4));
    P11_OK(C_VerifyFinal(s, sig, 64));
    P11_OK(verify_init(CKM_ECDSA_SHA512));
    assert_int_equal(C_Verify(s, message, 6, sig, 64), CKR_SIGNATURE_INVALID);
    P11_OK(verify_init(CKM_ECDSA_SHA512));
    assert_int_equal(C_Verify(s, message, 7, sig, 63), CKR_SIGNATURE_LEN_RANGE);
    P11_OK(verify_init(CKM_ECDSA_SHA512));
    assert_int_equal(C_Verify(s, message, 7, sig, 65), CKR_SIGNATURE_LEN_RANGE);
    sig[5] ^= 1;
    P11_OK(verify_init(CKM_ECDSA_SHA512));
    assert_int_equal(C_Verify(s, message, 7, sig, 64), CKR_SIGNATURE_INVALID);
    memset(sig, 0xff, sizeof sig); /* not below the order */
    P11_OK(verify_init(CKM_ECDSA_SHA512));
    assert_int_equal(C_Verify(s, message, 7, sig, 64), CKR_SIGNATURE_INVALID);
    memset(sig, 0, sizeof sig);
    P11_OK(verify_init(CKM_ECDSA_SHA512));
    assert_int_equal(C_Verify(s, message, 7, sig, 64), CKR_SIGNATURE_INVALID);
    assert_int_equal(C_Verify(s, message, 7, sig, 64), CKR_OPERATION_NOT_INITIALIZED);
}

static void verification_checks_its_arguments(void **state)
{
    CK_MECHANISM mech = {CKM_ECDSA, NULL, 0};
    CK_BYTE data[32] = {0};
    CK_BYTE sig[64] = {0};

    (void)state;
    assert_int_equal(C_VerifyInit(s, NULL, pub), CKR_ARGUMENTS_BAD);
    assert_int_equal(C_VerifyInit(s, &mech, priv), CKR_KEY_FUNCTION_NOT_PERMITTED);
    assert_int_equal(C_VerifyInit(s, &mech, 99), CKR_KEY_HANDLE_INVALID);
    assert_int_equal(verify_init(CKM_SHA256), CKR_MECHANISM_INVALID);
    P11_OK(verify_init(CKM_ECDSA));
    assert_int_equal(verify_init(CKM_ECDSA), CKR_OPERATION_ACTIVE);
    assert_int_equal(C_Verify(s, NULL, 32, sig, 64), CKR_ARGUMENTS_BAD);
    P11_OK(verify_init(CKM_ECDSA));
    assert_int_equal(C_Verify(s, data, 32, NULL, 64), CKR_ARGUMENTS_BAD);
    P11_OK(verify_init(CKM_ECDSA));
    assert_int_equal(C_Verify(s, data, 0, sig, 64), CKR_DATA_LEN_RANGE);
    P11_OK(verify_init(CKM_ECDSA));
    assert_int_equal(C_VerifyFinal(s, NULL, 64), CKR_ARGUMENTS_BAD);
    assert_int_equal(C_VerifyFinal(s, sig, 64), CKR_OPERATION_NOT_INITIALIZED);
    assert_int_equal(C_VerifyUpdate(s, data, 1), CKR_OPERATION_NOT_INITIALIZED);
}

static void the_signature_may_come_first(void **state)
{
    CK_MECHANISM mech = {CKM_ECDSA_SHA256, NULL, 0};
    CK_BYTE message[] = "message";
    CK_BYTE sig[64];
    CK_ULONG len = 64;

    (void)state;
    P11_OK(sign_init(CKM_ECDSA_SHA256));
    P11_OK(C_Sign(s, message, 7, sig, &len));
    P11_OK(C_VerifySignatureInit(s, &mech, pub, sig, 64));
    P11_OK(C_VerifySignature(s, message, 7));
    P11_OK(C_VerifySignatureInit(s, &mech, pub, sig, 64));
    assert_int_equal(C_VerifyFinal(s, sig, 64), CKR_OPERATION_NOT_INITIALIZED);
    P11_OK(C_VerifySignatureUpdate(s, message, 5));
    P11_OK(C_VerifySignatureUpdate(s, message + 5, 2));
    P11_OK(C_VerifySignatureFinal(s));
    P11_OK(C_VerifySignatureInit(s, &mech, pub, sig, 64));
    assert_int_equal(C_VerifySignature(s, message, 6), CKR_SIGNATURE_INVALID);
    assert_int_equal(C_VerifySignatureInit(s, &mech, pub, sig, 9), CKR_SIGNATURE_LEN_RANGE);
    assert_int_equal(C_VerifySignatureInit(s, &mech, pub, NULL, 64), CKR_ARGUMENTS_BAD);
    assert_int_equal(C_VerifySignature(s, message, 7), CKR_OPERATION_NOT_INITIALIZED);
    assert_int_equal(C_VerifySignatureFinal(s), CKR_OPERATION_NOT_INITIALIZED);
}

static void digests_are_right_in_one_part_and_in_many(void **state)
{
    static const struct {
        CK_MECHANISM_TYPE type;
        const char *name;
    } cases[] = {
        {CKM_SHA_1, "SHA1"},        {CKM_SHA224, "SHA224"},     {CKM_SHA256, "SHA256"},
        {CKM_SHA384, "SHA384"},     {CKM_SHA512, "SHA512"},     {CKM_SHA3_224, "SHA3-224"},
        {CKM_SHA3_256, "SHA3-256"}, {CKM_SHA3_384, "SHA3-384"}, {CKM_SHA3_512, "SHA3-512"}};
    CK_BYTE data[] = "abcdefgh";
    CK_BYTE out[64];
    unsigned char want[64];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CK_MECHANISM mech = {cases[i].type, NULL, 0};
        CK_ULONG len = 0;
        size_t want_len = 0;

        assert_int_equal(EVP_Q_digest(NULL, cases[i].name, NULL, data, 8, want, &want_len), 1);
        P11_OK(C_DigestInit(s, &mech));
        P11_OK(C_Digest(s, data, 8, NULL, &len));
        assert_int_equal(len, want_len);
        len--;
        assert_int_equal(C_Digest(s, data, 8, out, &len), CKR_BUFFER_TOO_SMALL);
        P11_OK(C_Digest(s, data, 8, out, &len));
        assert_memory_equal(out, want, want_len);
        P11_OK(C_DigestInit(s, &mech));
        P11_OK(C_DigestUpdate(s, data, 3));
        P11_OK(C_DigestFinal(s, NULL, &len));
        P11_OK(C_DigestUpdate(s, data + 3, 5));
        P11_OK(C_DigestFinal(s, out, &len));
        assert_memory_equal(out, want, want_len);
        assert_int_equal(EVP_Q_digest(NULL, cases[i].name, NULL, data, 0, want, &want_len), 1);
        P11_OK(C_DigestInit(s, &mech));
        P11_OK(C_DigestFinal(s, out, &len)); /* of nothing */
        assert_memory_equal(out, want, want_len);
        assert_int_equal(sign_init(cases[i].type), CKR_MECHANISM_INVALID);
    }
}

static void digest_checks_its_arguments(void **state)
{
    CK_MECHANISM mech = {CKM_SHA256, NULL, 0};
    CK_MECHANISM sign = {CKM_ECDSA, NULL, 0};
    CK_BYTE out[64];
    CK_ULONG len = sizeof out;

    (void)state;
    assert_int_equal(C_DigestInit(s, NULL), CKR_ARGUMENTS_BAD);
    assert_int_equal(C_DigestInit(s, &sign), CKR_MECHANISM_INVALID);
    assert_int_equal(C_Digest(s, out, 1, out, &len), CKR_OPERATION_NOT_INITIALIZED);
    P11_OK(C_DigestInit(s, &mech));
    assert_int_equal(C_DigestInit(s, &mech), CKR_OPERATION_ACTIVE);
    assert_int_equal(C_Digest(s, NULL, 1, out, &len), CKR_ARGUMENTS_BAD);
    P11_OK(C_DigestInit(s, &mech));
    P11_OK(C_DigestUpdate(s, out, 1));
    assert_int_equal(C_Digest(s, out, 1, out, &len), CKR_OPERATION_NOT_INITIALIZED);
    P11_OK(C_DigestInit(s, &mech));
    assert_int_equal(C_DigestFinal(s, out, NULL), CKR_ARGUMENTS_BAD);
    assert_int_equal(C_DigestFinal(s, out, &len), CKR_OPERATION_NOT_INITIALIZED);
    assert_int_equal(C_DigestUpdate(s, out, 1), CKR_OPERATION_NOT_INITIALIZED);
}

static void sign_verify_and_digest_do_not_disturb_each_other(void **state)
{
    CK_MECHANISM sha = {CKM_SHA256, NULL, 0};
    CK_BYTE message[] = "message";
    CK_BYTE digest[32];
    CK_BYTE sig[64];
    CK_ULONG len = 32;
    CK_ULONG sig_len = 64;

    (void)state;
    P11_OK(sign_init(CKM_ECDSA_SHA256));
    P11_OK(C_DigestInit(s, &sha));
    P11_OK(C_SignUpdate(s, message, 7));
    P11_OK(C_Digest(s, message, 7, digest, &len));
    P11_OK(C_SignFinal(s, sig, &sig_len));
    P11_OK(verify_init(CKM_ECDSA));
    P11_OK(C_Verify(s, digest, 32, sig, 64));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, p11_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_part_and_many_parts_sign_the_same_message),
        TEST(ecdsa_takes_data_of_any_length),
        TEST(a_size_query_and_a_short_buffer_start_no_run),
        TEST(every_failure_ends_the_operation),
        TEST(every_status_of_the_engine_has_its_code),
        TEST(a_used_up_rate_is_a_resource_that_is_used_up),
        TEST(sign_init_refuses_what_cannot_work),
        TEST(signing_after_logout_needs_a_login),
        TEST(a_message_key_sends_the_message_itself),
        TEST(the_long_curves_sign_and_verify),
        TEST(verification_accepts_the_right_and_refuses_the_wrong),
        TEST(verification_checks_its_arguments),
        TEST(the_signature_may_come_first),
        TEST(digests_are_right_in_one_part_and_in_many),
        TEST(digest_checks_its_arguments),
        TEST(sign_verify_and_digest_do_not_disturb_each_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
