#include "ct/ct.h"

#include "base/cipher.h"
#include "base/dh.h"
#include "base/encode.h"
#include "base/hash.h"
#include "base/rsa.h"
#include "base/secret.h"
#include "base/statement.h"
#include "support/rsa_fixed.h"

static tdsa_err err;

static void check_secret(void)
{
    TDSA_SCOPED_SECRET a = NULL;
    TDSA_SCOPED_SECRET b = NULL;
    TDSA_SCOPED_SECRET copy = NULL;
    bool same = false;

    ct_require(tdsa_secret_new(&a, 32, &err) == TDSA_OK, "secret");
    ct_require(tdsa_secret_new(&b, 32, &err) == TDSA_OK, "secret");
    ct_secret(tdsa_secret_bytes(a), 32);
    ct_require(tdsa_secret_copy(&copy, tdsa_secret_view(a), 32, &err) == TDSA_OK, "copy");
    ct_still_secret("a copied secret", tdsa_secret_view(copy), 32);
    same = tdsa_secret_equal(a, b);
    ct_still_secret("a verdict before it is declassified", &same, sizeof same);
    tdsa_declassify(&same, sizeof same);
    ct_still_public("a declassified verdict", &same, sizeof same);
    ct_still_secret("a compared secret", tdsa_secret_view(a), 32);
    ct_require(same, "equal");
}

static void check_hash_and_kdf(void)
{
    TDSA_SCOPED_BUF info = TDSA_BUF_EMPTY;
    uint8_t key[32] = {1};
    uint8_t out[200];

    tdsa_stmt_begin(&info, "info");
    ct_secret(key, sizeof key);
    ct_require(tdsa_hash(out, TDSA_HASH_SHA512, key, sizeof key, &err) == TDSA_OK, "hash");
    ct_still_secret("SHA-512 of a secret", out, 64);
    ct_require(tdsa_hmac(out, TDSA_HASH_SHA512, key, sizeof key, key, sizeof key, &err) == TDSA_OK,
               "hmac");
    ct_still_secret("HMAC-SHA-512 of a secret", out, 64);
    ct_require(tdsa_hmac(out, TDSA_HASH_SHA256, key, sizeof key, key, sizeof key, &err) == TDSA_OK,
               "hmac");
    ct_still_secret("HMAC-SHA-256 of a secret", out, 32);
    ct_require(tdsa_hkdf_stmt(out, key, sizeof key, &info, &err) == TDSA_OK, "hkdf");
    ct_still_secret("HKDF of a secret", out, 32);
    ct_require(tdsa_hkdf_expand(out, sizeof out, key, &info, &err) == TDSA_OK, "expand");
    ct_still_secret("HKDF-Expand of a secret", out, sizeof out);
}

static void check_ciphers(void)
{
    TDSA_SCOPED_BUF sealed = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF back = TDSA_BUF_EMPTY;
    uint8_t key[32] = {1};
    uint8_t nonce[12] = {2};
    uint8_t plain[100] = {3};
    uint8_t stream[100];
    const tdsa_gcm p = {key, nonce, "aad", 3};
    tdsa_ctr_stream *s = NULL;

    ct_secret(key, sizeof key);
    ct_secret(plain, sizeof plain);
    ct_require(tdsa_gcm_seal(&sealed, &p, plain, sizeof plain, &err) == TDSA_OK, "seal");
    ct_public(sealed.data, sealed.len); /* a ciphertext is public */
    ct_require(tdsa_gcm_open(&back, &p, sealed.data, sealed.len, &err) == TDSA_OK, "open");
    ct_still_secret("an opened plaintext", back.data, back.len);
    ct_require(tdsa_ctr_new(&s, key, &err) == TDSA_OK, "ctr");
    ct_require(tdsa_ctr_read(s, 100, stream, sizeof stream, &err) == TDSA_OK, "ctr");
    ct_still_secret("a key stream", stream, sizeof stream);
    tdsa_ctr_free(s);
}

static void check_dh(tdsa_dh_kind kind)
{
    const size_t len = tdsa_dh_len(kind);
    uint8_t priv[TDSA_X448_LEN];
    uint8_t peer[TDSA_X448_LEN] = {9};
    uint8_t out[TDSA_X448_LEN];

    memset(priv, 0x5c, sizeof priv);
    ct_secret(priv, sizeof priv);
    ct_require(tdsa_dh_public(kind, out, priv, &err) == TDSA_OK, "public");
    ct_still_secret("a private key", priv, len);
    ct_still_secret("a public key that nobody declassified", out, len);
    ct_require(tdsa_dh_shared(kind, out, priv, peer, &err) == TDSA_OK, "shared");
    ct_still_secret(kind == TDSA_DH_X25519 ? "an X25519 secret" : "an X448 secret", out, len);
}

static void check_encodings(void)
{
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    uint8_t bytes[32] = {1, 2, 3};
    char hex[65];

    ct_secret(bytes, sizeof bytes);
    tdsa_hex(hex, bytes, sizeof bytes);
    ct_still_secret("the digits of a secret", hex, 64);
    tdsa_base64url_encode(&text, bytes, sizeof bytes);
    ct_still_secret("the base64 of a secret", text.data, text.len);
}

static void check_oaep(void)
{
    TDSA_SCOPED_BUF der = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF back = TDSA_BUF_EMPTY;
    uint8_t seed[TDSA_OAEP_SEED_LEN] = {1};
    uint8_t message[32] = {2};
    uint8_t out[256];
    const tdsa_oaep p = {(const uint8_t *)"label", 5, message, sizeof message, seed};
    tdsa_rsa_cert *cert = NULL;

    ct_require(tdsa_hex_decode(&der, rsa_fixed_cert, &err) == TDSA_OK, "hex");
    ct_require(tdsa_rsa_cert_new(&cert, der.data, der.len, &err) == TDSA_OK, "certificate");
    ct_secret(seed, sizeof seed);
    ct_secret(message, sizeof message);
    ct_require(tdsa_oaep_encode(out, sizeof out, &p, &err) == TDSA_OK, "encode");
    ct_still_secret("padding around a secret", out + 1, sizeof out - 1);
    ct_require(tdsa_oaep_decode(&back, out, sizeof out, p.label, p.label_len, &err) == TDSA_OK,
               "decode");
    ct_still_secret("a decoded message", back.data, back.len);
    ct_require(tdsa_rsa_encrypt(out, cert, &p, &err) == TDSA_OK, "encrypt");
    ct_still_secret("an RSA ciphertext that nobody declassified", out, sizeof out);
    tdsa_rsa_cert_free(cert);
}

int main(void)
{
    check_secret();
    check_hash_and_kdf();
    check_ciphers();
    check_dh(TDSA_DH_X25519);
    check_dh(TDSA_DH_X448);
    check_encodings();
    check_oaep();
    return ct_end();
}
