#define _GNU_SOURCE 1 /* memmem */
#include "base/keyfile.h"

#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/crypto.h"

#define PEM_BEGIN "-----BEGIN "

/* The curves that keys are made on, by the names that OpenSSL gives them. */
static const struct {
    const char *group, *curve;
    int len; /* of a number below the order */
} curves[] = {
    {"prime256v1", "P-256", 32},
    {"secp384r1", "P-384", 48},
    {"secp521r1", "P-521", 66},
    {"secp256k1", "secp256k1", 32},
};

static const uint8_t *find(const uint8_t *bytes, size_t len, const char *text)
{
    return memmem(bytes, len, text, strlen(text));
}

static bool encrypted_der(const uint8_t *bytes, size_t len)
{
    const uint8_t *at = bytes;
    X509_SIG *sealed = d2i_X509_SIG(NULL, &at, (long)len);
    const bool is = sealed != NULL;

    X509_SIG_free(sealed);
    return is;
}

/* Where the private key begins: its own block of a PEM file, or the DER. */
static tdsa_status find_key(const uint8_t **start, const uint8_t *bytes, size_t len, tdsa_err *err)
{
    const uint8_t *end = bytes + len;
    const uint8_t *block = find(bytes, len, PEM_BEGIN);
    const bool pem = block != NULL;

    if (pem ? find(bytes, len, "ENCRYPTED") != NULL : encrypted_der(bytes, len)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "the private key is encrypted; decrypt it where it is used last: "
                         "openssl pkey -in file");
    }
    *start = bytes;
    while (block != NULL) {
        const uint8_t *line = find(block, (size_t)(end - block), "\n");
        const size_t line_len = line != NULL ? (size_t)(line - block) : (size_t)(end - block);

        if (find(block, line_len, "PRIVATE KEY-----") != NULL) {
            *start = block;
            return TDSA_OK;
        }
        block += sizeof PEM_BEGIN - 1;
        block = find(block, (size_t)(end - block), PEM_BEGIN);
    }
    return pem ? TDSA_FAIL(err, TDSA_E_BAD_INPUT, "no private key in this PEM text") : TDSA_OK;
}

static tdsa_status read_ec(tdsa_keyfile *out, const EVP_PKEY *key, tdsa_err *err)
{
    char group[64] = "";
    size_t group_len = 0;
    BIGNUM *x = NULL;
    tdsa_status st = TDSA_OK;

    (void)EVP_PKEY_get_group_name(key, group, sizeof group, &group_len);
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++) {
        if (strcmp(group, curves[i].group) == 0) {
            out->curve = curves[i].curve;
            st = tdsa_secret_new(&out->key, (size_t)curves[i].len, err);
        }
    }
    if (out->curve == NULL) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "keys of curve \"%.32s\" are not used here", group);
    }
    if (st != TDSA_OK) {
        return st;
    }
    if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &x) != 1 ||
        BN_bn2binpad(x, tdsa_secret_bytes(out->key), (int)tdsa_secret_len(out->key)) < 0) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the private key is not a number of its curve");
    }
    BN_clear_free(x);
    if (st == TDSA_OK &&
        EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, out->public_key,
                                        sizeof out->public_key, &out->public_key_len) != 1) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the private key has no public key");
    }
    return st;
}

static tdsa_status read_edwards(tdsa_keyfile *out, const EVP_PKEY *key, tdsa_err *err)
{
    size_t len = 32;
    tdsa_status st = tdsa_secret_new(&out->key, len, err);

    out->curve = "Ed25519";
    out->public_key_len = len;
    if (st == TDSA_OK &&
        (EVP_PKEY_get_raw_private_key(key, tdsa_secret_bytes(out->key), &len) != 1 ||
         EVP_PKEY_get_raw_public_key(key, out->public_key, &out->public_key_len) != 1)) {
        st = TDSA_FAIL(err, TDSA_E_CRYPTO, "OpenSSL does not give the key out");
    }
    return st;
}

static tdsa_status read_key(tdsa_keyfile *out, const EVP_PKEY *key, tdsa_err *err)
{
    if (EVP_PKEY_is_a(key, "EC")) {
        return read_ec(out, key, err);
    }
    if (EVP_PKEY_is_a(key, "ED25519")) {
        return read_edwards(out, key, err);
    }
    return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "keys of type %.16s are not used here",
                     EVP_PKEY_get0_type_name(key));
}

/* What may stand behind a key: blanks, as files end. */
static bool only_blanks(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != '\n' && bytes[i] != '\r' && bytes[i] != ' ') {
            return false;
        }
    }
    return true;
}

static tdsa_status decode(EVP_PKEY **key, const uint8_t *start, size_t left, tdsa_err *err)
{
    OSSL_DECODER_CTX *ctx = OSSL_DECODER_CTX_new_for_pkey(key, NULL, NULL, NULL, EVP_PKEY_KEYPAIR,
                                                          tdsa_crypto_libctx(), NULL);
    tdsa_status st = TDSA_OK;

    if (ctx == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "OpenSSL has no decoder");
    }
    if (OSSL_DECODER_from_data(ctx, &start, &left) != 1 || *key == NULL) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "this is no private key of PKCS#8 or SEC 1");
    } else if (!only_blanks(start, left)) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "%zu bytes stand behind the private key", left);
    }
    OSSL_DECODER_CTX_free(ctx);
    return st;
}

tdsa_status tdsa_keyfile_read(tdsa_keyfile *out, const uint8_t *bytes, size_t len, tdsa_err *err)
{
    const uint8_t *start = NULL;
    EVP_PKEY *key = NULL;
    tdsa_status st;

    memset(out, 0, sizeof *out);
    if (len == 0 || len > TDSA_KEYFILE_TEXT_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a private key has 1 to %u bytes",
                         TDSA_KEYFILE_TEXT_MAX);
    }
    st = tdsa_crypto_init(err);
    if (st != TDSA_OK) {
        return st;
    }
    (void)ERR_set_mark();
    st = find_key(&start, bytes, len, err);
    if (st == TDSA_OK) {
        st = decode(&key, start, len - (size_t)(start - bytes), err);
    }
    if (st == TDSA_OK) {
        st = read_key(out, key, err);
    }
    EVP_PKEY_free(key);
    (void)ERR_pop_to_mark();
    if (st != TDSA_OK) {
        tdsa_keyfile_clear(out);
    }
    return st;
}

void tdsa_keyfile_clear(tdsa_keyfile *k)
{
    tdsa_secret_free(k->key);
    memset(k, 0, sizeof *k);
}
