#include "ct/ct.h"

#include "base/cipher.h"
#include "base/dh.h"
#include "base/encode.h"
#include "base/hash.h"
#include "base/secret.h"
#include "base/statement.h"

static tdsa_err err;

static void check_secret(void)
{
    TDSA_SCOPED_SECRET a = NULL;
    TDSA_SCOPED_SECRET b = NULL;
    bool same = false;

    ct_require(tdsa_secret_new(&a, 32, &err) == TDSA_OK, "secret");
    ct_require(tdsa_secret_new(&b, 32, &err) == TDSA_OK, "secret");
    ct_secret(tdsa_secret_bytes(a), 32);
    same = tdsa_secret_equal(a, b);
    ct_leak(tdsa_secret_bytes(a));
    ct_public(&same, sizeof same);
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
    ct_require(tdsa_hmac(out, TDSA_HASH_SHA512, key, sizeof key, key, sizeof key, &err) == TDSA_OK,
               "hmac");
    ct_require(tdsa_hmac(out, TDSA_HASH_SHA256, key, sizeof key, key, sizeof key, &err) == TDSA_OK,
               "hmac");
    ct_require(tdsa_hkdf_stmt(out, key, sizeof key, &info, &err) == TDSA_OK, "hkdf");
    ct_require(tdsa_hkdf_expand(out, sizeof out, key, &info, &err) == TDSA_OK, "expand");
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
    ct_require(tdsa_ctr_new(&s, key, &err) == TDSA_OK, "ctr");
    ct_require(tdsa_ctr_read(s, 100, stream, sizeof stream, &err) == TDSA_OK, "ctr");
    tdsa_ctr_free(s);
}

static void check_dh(void)
{
    static const tdsa_dh_kind kinds[2] = {TDSA_DH_X25519, TDSA_DH_X448};
    uint8_t priv[TDSA_X448_LEN];
    uint8_t peer[TDSA_X448_LEN] = {9};
    uint8_t out[TDSA_X448_LEN];

    for (size_t i = 0; i < 2; i++) {
        memset(priv, 0x5c, sizeof priv);
        ct_secret(priv, sizeof priv);
        ct_require(tdsa_dh_public(kinds[i], out, priv, &err) == TDSA_OK, "public");
        ct_require(tdsa_dh_shared(kinds[i], out, priv, peer, &err) == TDSA_OK, "shared");
    }
}

static void check_encodings(void)
{
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    uint8_t bytes[32] = {1, 2, 3};
    char hex[65];

    ct_secret(bytes, sizeof bytes);
    tdsa_hex(hex, bytes, sizeof bytes);
    tdsa_base64url_encode(&text, bytes, sizeof bytes);
}

int main(void)
{
    check_secret();
    check_hash_and_kdf();
    check_ciphers();
    check_dh();
    check_encodings();
    return EXIT_SUCCESS;
}
