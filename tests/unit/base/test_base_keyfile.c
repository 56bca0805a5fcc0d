#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/keyfile.h"
#include "base_test.h"

/* Keys that OpenSSL writes, in each of its forms, against what it says of them. */

typedef enum { PKCS8_DER, PKCS8_PEM, SEC1_DER, SEC1_PEM, SEALED_PEM, SEALED_DER, FORM_END } form;

static const struct {
    const char *group, *curve;
    size_t len;
} curves[] = {
    {"P-256", "P-256", 32},
    {"P-384", "P-384", 48},
    {"P-521", "P-521", 66},
    {"secp256k1", "secp256k1", 32},
};

static size_t write_key(EVP_PKEY *key, form f, uint8_t *out, size_t cap)
{
    BIO *b = BIO_new(BIO_s_mem());
    char *bytes = NULL;
    long len;
    int ok = 0;

    switch (f) {
    case PKCS8_DER:
        ok = i2d_PKCS8PrivateKey_bio(b, key, NULL, NULL, 0, NULL, NULL);
        break;
    case PKCS8_PEM:
        ok = PEM_write_bio_PKCS8PrivateKey(b, key, NULL, NULL, 0, NULL, NULL);
        break;
    case SEC1_DER:
        ok = i2d_PrivateKey_bio(b, key);
        break;
    case SEC1_PEM:
        ok = BIO_puts(b, "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n"
                         "-----END EC PARAMETERS-----\n") > 0 &&
             PEM_write_bio_PrivateKey_traditional(b, key, NULL, NULL, 0, NULL, NULL);
        break;
    case SEALED_PEM:
        ok = PEM_write_bio_PKCS8PrivateKey(b, key, EVP_aes_256_cbc(), "word", 4, NULL, NULL);
        break;
    case SEALED_DER:
        ok = i2d_PKCS8PrivateKey_bio(b, key, EVP_aes_256_cbc(), "word", 4, NULL, NULL);
        break;
    case FORM_END:
        break;
    }
    assert_true(ok);
    len = BIO_get_mem_data(b, &bytes);
    assert_true(len > 0 && (size_t)len <= cap);
    memcpy(out, bytes, (size_t)len);
    (void)BIO_free(b);
    return (size_t)len;
}

static void every_form_of_every_curve_is_read(void **state)
{
    (void)state;
    for (size_t c = 0; c < sizeof curves / sizeof curves[0]; c++) {
        EVP_PKEY *key = EVP_EC_gen(curves[c].group);
        BIGNUM *x = NULL;
        uint8_t want[66];

        assert_int_equal(EVP_PKEY_get_bn_param(key, "priv", &x), 1);
        assert_true(BN_bn2binpad(x, want, (int)curves[c].len) > 0);
        for (int f = PKCS8_DER; f <= SEC1_PEM; f++) {
            uint8_t bytes[2048];
            const size_t len = write_key(key, (form)f, bytes, sizeof bytes);
            tdsa_keyfile got;
            tdsa_err err;

            assert_int_equal(tdsa_keyfile_read(&got, bytes, len, &err), TDSA_OK);
            assert_string_equal(got.curve, curves[c].curve);
            assert_int_equal(tdsa_secret_len(got.key), curves[c].len);
            assert_memory_equal(tdsa_secret_view(got.key), want, curves[c].len);
            assert_int_equal(got.public_key[0], 4);
            tdsa_keyfile_clear(&got);
            assert_null(got.key);
        }
        BN_free(x);
        EVP_PKEY_free(key);
    }
}

/* RFC 8410, section 10.3 */
static void a_key_of_ed25519_is_its_32_bytes(void **state)
{
    static const char pem[] = "-----BEGIN PRIVATE KEY-----\n"
                              "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
                              "-----END PRIVATE KEY-----\n";
    static const uint8_t first[] = {0xd4, 0xee, 0x72, 0xdb};
    tdsa_keyfile got;
    tdsa_err err;

    (void)state;
    assert_int_equal(tdsa_keyfile_read(&got, (const uint8_t *)pem, sizeof pem - 1, &err), TDSA_OK);
    assert_string_equal(got.curve, "Ed25519");
    assert_int_equal(tdsa_secret_len(got.key), 32);
    assert_memory_equal(tdsa_secret_view(got.key), first, sizeof first);
    assert_int_equal(got.public_key_len, 32);
    tdsa_keyfile_clear(&got);
}

static void refused(const uint8_t *bytes, size_t len, const char *why)
{
    tdsa_keyfile got;
    tdsa_err err;

    assert_int_equal(tdsa_keyfile_read(&got, bytes, len, &err), TDSA_E_BAD_INPUT);
    assert_null(got.key);
    if (strstr(err.text, why) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", why, err.text);
    }
}

static void an_encrypted_key_is_refused_with_a_hint(void **state)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    uint8_t bytes[2048];

    (void)state;
    refused(bytes, write_key(key, SEALED_PEM, bytes, sizeof bytes), "openssl pkey");
    refused(bytes, write_key(key, SEALED_DER, bytes, sizeof bytes), "is encrypted");
    EVP_PKEY_free(key);
}

static void other_keys_and_other_bytes_are_refused(void **state)
{
    static const char *const kinds[] = {"X25519", "ED448"};
    uint8_t bytes[TDSA_KEYFILE_TEXT_MAX + 1] = {0};
    EVP_PKEY *key = EVP_EC_gen("brainpoolP256r1");
    size_t len = 0;

    (void)state;
    refused(bytes, write_key(key, PKCS8_DER, bytes, sizeof bytes), "brainpoolP256r1");
    EVP_PKEY_free(key);
    for (size_t i = 0; i < 2; i++) {
        key = EVP_PKEY_Q_keygen(NULL, NULL, kinds[i]);
        refused(bytes, write_key(key, PKCS8_PEM, bytes, sizeof bytes), kinds[i]);
        EVP_PKEY_free(key);
    }
    key = EVP_RSA_gen(1024);
    refused(bytes, write_key(key, PKCS8_DER, bytes, sizeof bytes), "type RSA");
    EVP_PKEY_free(key);
    key = EVP_EC_gen("P-256");
    len = write_key(key, PKCS8_DER, bytes, sizeof bytes);
    bytes[len] = 'x';
    refused(bytes, len + 1, "behind the private key");
    refused(bytes, len - 1, "no private key");
    refused(bytes, 0, "1 to 16384 bytes");
    refused(bytes, sizeof bytes, "1 to 16384 bytes");
    refused((const uint8_t *)"-----BEGIN CERTIFICATE-----\n", 28, "no private key in this PEM");
    refused((const uint8_t *)"nonsense", 8, "no private key of");
    EVP_PKEY_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_of_every_curve_is_read),
        cmocka_unit_test(a_key_of_ed25519_is_its_32_bytes),
        cmocka_unit_test(an_encrypted_key_is_refused_with_a_hint),
        cmocka_unit_test(other_keys_and_other_bytes_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
