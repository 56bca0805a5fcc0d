#define _GNU_SOURCE 1 /* memmem */
#include "base_test.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "base/hash.h"
#include "base/rsa.h"
#include "support/rsa_maker.h"

static rsa_pair pair; /* one pair for all: making a key takes long */
static tdsa_rsa_cert *cert;
static tdsa_rsa_key *key;

static const uint8_t label[] = "label";
static const uint8_t seed[TDSA_OAEP_SEED_LEN] = {7};
static const uint8_t message[] = "what is kept";

static int set_up(void **state)
{
    tdsa_err err;

    (void)state;
    rsa_make_fit(&pair, 2048);
    assert_int_equal(tdsa_rsa_cert_new(&cert, pair.der.data, pair.der.len, &err), TDSA_OK);
    assert_int_equal(tdsa_rsa_key_new(&key, pair.key_pem.data, pair.key_pem.len, NULL, &err),
                     TDSA_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tdsa_rsa_cert_free(cert);
    tdsa_rsa_key_free(key);
    rsa_pair_clear(&pair);
    return 0;
}

static void encrypt(uint8_t *sealed)
{
    const tdsa_oaep p = {label, sizeof label, message, sizeof message, seed};
    tdsa_err err;

    assert_int_equal(tdsa_rsa_encrypt(sealed, cert, &p, &err), TDSA_OK);
}

static void openssl_decrypts_what_we_encrypt(void **state)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pair.key, NULL);
    uint8_t *owned = OPENSSL_memdup(label, sizeof label);
    uint8_t sealed[256];
    uint8_t out[256];
    size_t len = sizeof out;

    (void)state;
    encrypt(sealed);
    assert_int_equal(EVP_PKEY_decrypt_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()), 1);
    assert_int_equal(EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, owned, sizeof label), 1);
    assert_int_equal(EVP_PKEY_decrypt(ctx, out, &len, sealed, sizeof sealed), 1);
    assert_int_equal(len, sizeof message);
    assert_memory_equal(out, message, sizeof message);
    EVP_PKEY_CTX_free(ctx);
}

static void what_is_encrypted_is_decrypted_under_the_same_label_only(void **state)
{
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    uint8_t sealed[256];
    uint8_t again[256];
    tdsa_rsa_sealed s = {sealed, sizeof sealed, label, sizeof label};
    tdsa_err err;

    (void)state;
    encrypt(sealed);
    encrypt(again);
    assert_memory_equal(sealed, again, sizeof sealed);
    assert_int_equal(tdsa_rsa_decrypt(&out, key, &s, &err), TDSA_OK);
    assert_int_equal(out.len, sizeof message);
    assert_memory_equal(out.data, message, sizeof message);
    s.label_len--;
    tdsa_buf_reset(&out);
    assert_int_equal(tdsa_rsa_decrypt(&out, key, &s, &err), TDSA_E_CRYPTO);
    assert_int_equal(out.len, 0);
}

static void a_wrong_ciphertext_is_one_error_whatever_is_wrong(void **state)
{
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    uint8_t sealed[257];
    tdsa_rsa_sealed s = {sealed, 256, label, sizeof label};
    char first[TDSA_ERR_TEXT_MAX];
    tdsa_err err;

    (void)state;
    encrypt(sealed);
    sealed[255] ^= 1;
    assert_int_equal(tdsa_rsa_decrypt(&out, key, &s, &err), TDSA_E_CRYPTO); /* padding */
    memcpy(first, err.text, sizeof first);
    s.sealed_len = 255;
    assert_int_equal(tdsa_rsa_decrypt(&out, key, &s, &err), TDSA_E_CRYPTO); /* length */
    assert_string_equal(err.text, first);
    s.sealed_len = 257;
    assert_int_equal(tdsa_rsa_decrypt(&out, key, &s, &err), TDSA_E_CRYPTO);
    s.sealed_len = 256;
    memset(sealed, 0xff, sizeof sealed); /* not below the modulus */
    assert_int_equal(tdsa_rsa_decrypt(&out, key, &s, &err), TDSA_E_CRYPTO);
    assert_string_equal(err.text, first);
    assert_int_equal(out.len, 0);
    assert_int_equal(ERR_peek_error(), 0);
}

static void a_message_that_is_too_long_is_refused(void **state)
{
    uint8_t text[256] = {0};
    uint8_t sealed[256];
    tdsa_oaep p = {NULL, 0, text, 256 - TDSA_OAEP_OVERHEAD + 1, seed};
    tdsa_err err;

    (void)state;
    assert_int_equal(tdsa_rsa_encrypt(sealed, cert, &p, &err), TDSA_E_BAD_INPUT);
    p.message_len--;
    assert_int_equal(tdsa_rsa_encrypt(sealed, cert, &p, &err), TDSA_OK);
}

static void a_certificate_tells_what_it_is(void **state)
{
    const tdsa_rsa_facts *f = tdsa_rsa_cert_facts(cert);
    uint8_t hash[32];
    tdsa_err err;

    (void)state;
    assert_int_equal(f->bits, 2048);
    assert_int_equal(f->len, 256);
    assert_true(f->short_key);
    assert_string_equal(f->subject, "/CN=recovery");
    assert_int_equal(f->not_after_s - f->not_before_s, 3660);
    assert_true(f->not_before_s > 1600000000);
    assert_int_equal(tdsa_hash(hash, TDSA_HASH_SHA256, pair.der.data, pair.der.len, &err), TDSA_OK);
    assert_memory_equal(f->sha256, hash, sizeof hash);
}

static void check(const rsa_wish *wish, const char *refusal)
{
    rsa_pair p;
    tdsa_rsa_cert *c = NULL;
    tdsa_err err;

    rsa_make(&p, wish);
    if (refusal == NULL) {
        assert_int_equal(tdsa_rsa_cert_new(&c, p.der.data, p.der.len, &err), TDSA_OK);
    } else {
        assert_int_equal(tdsa_rsa_cert_new(&c, p.der.data, p.der.len, &err), TDSA_E_BAD_INPUT);
        assert_null(c);
        assert_non_null(strstr(err.text, refusal));
    }
    tdsa_rsa_cert_free(c);
    rsa_pair_clear(&p);
}

static void unfit_certificates_are_refused_with_the_reason(void **state)
{
    (void)state;
    check(&(rsa_wish){"EC", 0, 0, NULL, 0, 60, NULL}, "not an RSA key");
    check(&(rsa_wish){"RSA-PSS", 2048, 0, NULL, 0, 60, NULL}, "not an RSA key");
    check(&(rsa_wish){"RSA", 1024, 0, NULL, 0, 60, NULL}, "2048 to 4096 bits");
    check(&(rsa_wish){"RSA", 2047, 0, NULL, 0, 60, NULL}, "bits");
    check(&(rsa_wish){"RSA", 2048, 0, "digitalSignature", 0, 60, NULL}, "keyUsage");
    check(&(rsa_wish){"RSA", 2048, 0, "keyAgreement,keyCertSign", 0, 60, NULL}, "keyUsage");
}

static void a_key_that_does_not_encrypt_is_refused(void **state)
{
    TDSA_SCOPED_BUF der = TDSA_BUF_EMPTY;
    uint8_t n[256];
    uint8_t *at = NULL;
    BIGNUM *modulus = NULL;
    tdsa_rsa_cert *c = NULL;
    tdsa_err err;

    (void)state;
    assert_int_equal(EVP_PKEY_get_bn_param(pair.key, OSSL_PKEY_PARAM_RSA_N, &modulus), 1);
    assert_int_equal(BN_bn2binpad(modulus, n, sizeof n), sizeof n);
    tdsa_buf_append(&der, pair.der.data, pair.der.len);
    at = memmem(der.data, der.len, n, sizeof n);
    assert_non_null(at);
    at[sizeof n - 1] ^= 1; /* an even modulus; nobody verifies the certificate's signature */
    assert_int_equal(tdsa_rsa_cert_new(&c, der.data, der.len, &err), TDSA_E_BAD_INPUT);
    assert_non_null(strstr(err.text, "does not encrypt"));
    assert_null(c);
    BN_free(modulus);
}

static void fit_certificates_are_taken_expired_ones_too(void **state)
{
    (void)state;
    check(&(rsa_wish){"RSA", 2048, 3, NULL, 0, 60, NULL}, NULL);
    check(&(rsa_wish){"RSA", 2049, 0, "dataEncipherment", 0, 60, NULL}, NULL);
    check(&(rsa_wish){"RSA", 2048, 0, "keyEncipherment,digitalSignature", -99, -9, NULL}, NULL);
}

static void a_certificate_is_read_to_its_last_byte(void **state)
{
    TDSA_SCOPED_BUF der = TDSA_BUF_EMPTY;
    tdsa_rsa_cert *c = NULL;
    uint8_t big[TDSA_RSA_CERT_LEN_MAX + 1] = {0x30};
    tdsa_err err;

    (void)state;
    tdsa_buf_append(&der, pair.der.data, pair.der.len);
    tdsa_buf_append_u8(&der, 0);
    assert_int_equal(tdsa_rsa_cert_new(&c, der.data, der.len, &err), TDSA_E_BAD_INPUT);
    for (size_t len = 0; len < pair.der.len; len += 13) {
        assert_int_equal(tdsa_rsa_cert_new(&c, der.data, len, &err), TDSA_E_BAD_INPUT);
        assert_null(c);
    }
    assert_int_equal(tdsa_rsa_cert_new(&c, big, sizeof big, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(ERR_peek_error(), 0);
}

static void a_file_holds_pem_or_der(void **state)
{
    tdsa_rsa_cert *c = NULL;
    tdsa_err err;

    (void)state;
    assert_int_equal(tdsa_rsa_cert_read(&c, pair.pem.data, pair.pem.len, &err), TDSA_OK);
    assert_memory_equal(tdsa_rsa_cert_facts(c)->sha256, tdsa_rsa_cert_facts(cert)->sha256, 32);
    tdsa_rsa_cert_free(c);
    assert_int_equal(tdsa_rsa_cert_read(&c, pair.der.data, pair.der.len, &err), TDSA_OK);
    tdsa_rsa_cert_free(c);
    assert_int_equal(tdsa_rsa_cert_read(&c, pair.key_pem.data, pair.key_pem.len, &err),
                     TDSA_E_BAD_INPUT);
    assert_null(c);
}

static void a_private_key_may_have_a_passphrase(void **state)
{
    TDSA_SCOPED_BUF pem = TDSA_BUF_EMPTY;
    tdsa_rsa_key *k = NULL;
    tdsa_err err;

    (void)state;
    rsa_encrypted_pem(&pem, &pair, "correct");
    assert_int_equal(tdsa_rsa_key_new(&k, pem.data, pem.len, "wrong", &err), TDSA_E_BAD_INPUT);
    assert_int_equal(tdsa_rsa_key_new(&k, pem.data, pem.len, NULL, &err), TDSA_E_BAD_INPUT);
    assert_null(k);
    assert_int_equal(tdsa_rsa_key_new(&k, pem.data, pem.len, "correct", &err), TDSA_OK);
    assert_true(tdsa_rsa_key_matches(k, cert));
    tdsa_rsa_key_free(k);
    assert_int_equal(ERR_peek_error(), 0);
}

static void what_is_no_private_key_is_refused(void **state)
{
    rsa_pair other;
    tdsa_rsa_key *k = NULL;
    uint8_t big[TDSA_RSA_KEY_LEN_MAX + 1] = {0};
    tdsa_err err;

    (void)state;
    assert_int_equal(tdsa_rsa_key_new(&k, pair.pem.data, pair.pem.len, NULL, &err),
                     TDSA_E_BAD_INPUT);
    assert_int_equal(tdsa_rsa_key_new(&k, big, sizeof big, NULL, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(tdsa_rsa_key_new(&k, big, 0, NULL, &err), TDSA_E_BAD_INPUT);
    rsa_make(&other, &(rsa_wish){"EC", 0, 0, NULL, 0, 60, NULL});
    assert_int_equal(tdsa_rsa_key_new(&k, other.key_pem.data, other.key_pem.len, NULL, &err),
                     TDSA_E_BAD_INPUT);
    rsa_pair_clear(&other);
    rsa_make_fit(&other, 2048);
    assert_int_equal(tdsa_rsa_key_new(&k, other.key_pem.data, other.key_pem.len, NULL, &err),
                     TDSA_OK);
    assert_false(tdsa_rsa_key_matches(k, cert));
    tdsa_rsa_key_free(k);
    rsa_pair_clear(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openssl_decrypts_what_we_encrypt),
        cmocka_unit_test(what_is_encrypted_is_decrypted_under_the_same_label_only),
        cmocka_unit_test(a_wrong_ciphertext_is_one_error_whatever_is_wrong),
        cmocka_unit_test(a_message_that_is_too_long_is_refused),
        cmocka_unit_test(a_certificate_tells_what_it_is),
        cmocka_unit_test(unfit_certificates_are_refused_with_the_reason),
        cmocka_unit_test(a_key_that_does_not_encrypt_is_refused),
        cmocka_unit_test(fit_certificates_are_taken_expired_ones_too),
        cmocka_unit_test(a_certificate_is_read_to_its_last_byte),
        cmocka_unit_test(a_file_holds_pem_or_der),
        cmocka_unit_test(a_private_key_may_have_a_passphrase),
        cmocka_unit_test(what_is_no_private_key_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
