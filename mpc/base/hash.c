#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/assert.h"
#include "base/crypto_internal.h"

#define SHA_BLOCK_LEN_MAX 128u

struct tdsa_hasher {
    EVP_MD_CTX *ctx;
};

static const struct {
    const char *name;
    size_t len, block_len;
} facts[TDSA_HASH_COUNT] = {
    [TDSA_HASH_SHA1] = {"sha1", 20, 64},      [TDSA_HASH_SHA224] = {"sha224", 28, 64},
    [TDSA_HASH_SHA256] = {"sha256", 32, 64},  [TDSA_HASH_SHA384] = {"sha384", 48, 128},
    [TDSA_HASH_SHA512] = {"sha512", 64, 128},
};

size_t tdsa_hash_len(tdsa_hash_alg alg)
{
    TDSA_ASSERT((unsigned)alg < TDSA_HASH_COUNT);
    return facts[alg].len;
}

const char *tdsa_hash_name(tdsa_hash_alg alg)
{
    TDSA_ASSERT((unsigned)alg < TDSA_HASH_COUNT);
    return facts[alg].name;
}

bool tdsa_hash_by_name(tdsa_hash_alg *out, const char *name)
{
    for (unsigned i = 0; i < TDSA_HASH_COUNT; i++) {
        if (strcmp(facts[i].name, name) == 0) {
            *out = (tdsa_hash_alg)i;
            return true;
        }
    }
    return false;
}

/* One digest over up to two parts with a context that is used again. */
static bool digest_parts(EVP_MD_CTX *ctx, const EVP_MD *md, uint8_t *out, const uint8_t *head,
                         size_t head_len, const void *in, size_t len)
{
    return EVP_DigestInit_ex2(ctx, md, NULL) == 1 &&
           (head_len == 0 || EVP_DigestUpdate(ctx, head, head_len) == 1) &&
           (len == 0 || EVP_DigestUpdate(ctx, in, len) == 1) &&
           EVP_DigestFinal_ex(ctx, out, NULL) == 1;
}

tdsa_status tdsa_hash(uint8_t *out, tdsa_hash_alg alg, const void *in, size_t len, tdsa_err *err)
{
    const tdsa_crypto *c = tdsa_crypto_get(err);
    EVP_MD_CTX *ctx = NULL;
    bool ok = false;

    TDSA_ASSERT((unsigned)alg < TDSA_HASH_COUNT);
    if (c == NULL) {
        return err->status;
    }
    ctx = EVP_MD_CTX_new();
    ok = ctx != NULL && digest_parts(ctx, c->md[alg], out, NULL, 0, in, len);
    EVP_MD_CTX_free(ctx); /* wipes the state */
    if (!ok) {
        tdsa_wipe(out, tdsa_hash_len(alg));
        return TDSA_FAIL(err, TDSA_E_CRYPTO, "%s failed", tdsa_hash_name(alg));
    }
    return TDSA_OK;
}

tdsa_status tdsa_hasher_new(tdsa_hasher **out, tdsa_hash_alg alg, tdsa_err *err)
{
    const tdsa_crypto *c = tdsa_crypto_get(err);
    tdsa_hasher *h = NULL;

    TDSA_ASSERT((unsigned)alg < TDSA_HASH_COUNT);
    *out = NULL;
    if (c == NULL) {
        return err->status;
    }
    h = calloc(1, sizeof *h);
    if (h == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for a digest");
    }
    h->ctx = EVP_MD_CTX_new();
    if (h->ctx == NULL || EVP_DigestInit_ex2(h->ctx, c->md[alg], NULL) != 1) {
        tdsa_hasher_free(h);
        return TDSA_FAIL(err, TDSA_E_CRYPTO, "%s could not start", tdsa_hash_name(alg));
    }
    *out = h;
    return TDSA_OK;
}

tdsa_status tdsa_hasher_update(tdsa_hasher *h, const void *in, size_t len, tdsa_err *err)
{
    if (len > 0 && EVP_DigestUpdate(h->ctx, in, len) != 1) {
        return TDSA_FAIL(err, TDSA_E_CRYPTO, "digest update failed");
    }
    return TDSA_OK;
}

tdsa_status tdsa_hasher_final(tdsa_hasher *h, uint8_t *out, tdsa_err *err)
{
    if (EVP_DigestFinal_ex(h->ctx, out, NULL) != 1) {
        return TDSA_FAIL(err, TDSA_E_CRYPTO, "digest final failed: was it finished before?");
    }
    return TDSA_OK;
}

void tdsa_hasher_free(tdsa_hasher *h)
{
    if (h != NULL) {
        EVP_MD_CTX_free(h->ctx);
        free(h);
    }
}

tdsa_status tdsa_hash_stmt(uint8_t out[64], const tdsa_buf *stmt, tdsa_err *err)
{
    tdsa_status st = tdsa_buf_check(stmt, err);

    if (st != TDSA_OK) {
        tdsa_wipe(out, TDSA_SHA512_LEN);
        return st;
    }
    return tdsa_hash(out, TDSA_HASH_SHA512, stmt->data, stmt->len, err);
}

tdsa_status tdsa_hash32_stmt(uint8_t out[32], const tdsa_buf *stmt, tdsa_err *err)
{
    uint8_t full[TDSA_SHA512_LEN];
    const tdsa_status st = tdsa_hash_stmt(full, stmt, err);

    memcpy(out, full, TDSA_H32_LEN);
    tdsa_wipe(full, sizeof full);
    return st;
}

/* FIPS 198-1: H((K0 ^ opad) | H((K0 ^ ipad) | text)), with one context for all passes. The input
 * is in two parts because HKDF-Expand needs it. */
static bool hmac_parts(EVP_MD_CTX *ctx, const tdsa_crypto *c, tdsa_hash_alg alg, uint8_t *out,
                       const uint8_t *key, size_t key_len, const uint8_t *in, size_t len)
{
    const size_t block_len = facts[alg].block_len;
    uint8_t k0[SHA_BLOCK_LEN_MAX] = {0};
    uint8_t inner[TDSA_DIGEST_LEN_MAX];
    bool ok = true;

    if (key_len > block_len) {
        ok = digest_parts(ctx, c->md[alg], k0, NULL, 0, key, key_len);
    } else if (key_len > 0) {
        memcpy(k0, key, key_len);
    }
    for (size_t i = 0; i < block_len; i++) {
        k0[i] ^= 0x36;
    }
    ok = ok && digest_parts(ctx, c->md[alg], inner, k0, block_len, in, len);
    for (size_t i = 0; i < block_len; i++) {
        k0[i] ^= 0x36 ^ 0x5c;
    }
    ok = ok && digest_parts(ctx, c->md[alg], out, k0, block_len, inner, facts[alg].len);
    tdsa_wipe(k0, sizeof k0);
    tdsa_wipe(inner, sizeof inner);
    return ok;
}

tdsa_status tdsa_hmac(uint8_t *out, tdsa_hash_alg alg, const uint8_t *key, size_t key_len,
                      const void *in, size_t len, tdsa_err *err)
{
    const tdsa_crypto *c = tdsa_crypto_get(err);
    EVP_MD_CTX *ctx = NULL;
    bool ok = false;

    TDSA_ASSERT((unsigned)alg < TDSA_HASH_COUNT);
    if (c == NULL) {
        return err->status;
    }
    ctx = EVP_MD_CTX_new();
    ok = ctx != NULL && hmac_parts(ctx, c, alg, out, key, key_len, in, len);
    EVP_MD_CTX_free(ctx);
    if (!ok) {
        tdsa_wipe(out, tdsa_hash_len(alg));
        return TDSA_FAIL(err, TDSA_E_CRYPTO, "HMAC with %s failed", tdsa_hash_name(alg));
    }
    return TDSA_OK;
}

/* RFC 5869 2.3: "T(n) = HMAC-Hash(PRK, T(n-1) | info | n)". `block` has T | info | n. */
static bool expand(const tdsa_crypto *c, uint8_t *out, size_t len, const uint8_t *prk,
                   size_t prk_len, uint8_t *block, size_t info_len)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t t[TDSA_SHA512_LEN];
    size_t done = 0;
    bool ok = ctx != NULL;

    for (uint8_t n = 1; ok && done < len; n++) {
        const size_t skip = n == 1 ? TDSA_SHA512_LEN : 0; /* T(0) is empty */
        const size_t part = len - done < TDSA_SHA512_LEN ? len - done : TDSA_SHA512_LEN;

        block[TDSA_SHA512_LEN + info_len] = n;
        ok = hmac_parts(ctx, c, TDSA_HASH_SHA512, t, prk, prk_len, block + skip,
                        TDSA_SHA512_LEN - skip + info_len + 1);
        if (ok) {
            memcpy(block, t, TDSA_SHA512_LEN);
            memcpy(out + done, t, part);
            done += part;
        }
    }
    tdsa_wipe(t, sizeof t);
    EVP_MD_CTX_free(ctx);
    return ok;
}

static tdsa_status expand_any(uint8_t *out, size_t len, const uint8_t *prk, size_t prk_len,
                              const uint8_t *info, size_t info_len, tdsa_err *err)
{
    const tdsa_crypto *c = tdsa_crypto_get(err);
    TDSA_SCOPED_BUF block = TDSA_BUF_EMPTY;
    uint8_t *room = NULL;

    if (c == NULL) {
        return err->status;
    }
    if (len > 255 * (size_t)TDSA_SHA512_LEN || info_len > TDSA_BUF_LEN_MAX / 2) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "HKDF of %zu bytes", len);
    }
    room = tdsa_buf_extend(&block, TDSA_SHA512_LEN + info_len + 1);
    if (room == NULL) {
        return tdsa_buf_check(&block, err);
    }
    if (info_len > 0) {
        memcpy(room + TDSA_SHA512_LEN, info, info_len);
    }
    if (!expand(c, out, len, prk, prk_len, room, info_len)) {
        tdsa_wipe(out, len);
        return TDSA_FAIL(err, TDSA_E_CRYPTO, "HKDF-Expand failed");
    }
    return TDSA_OK;
}

tdsa_status tdsa_hkdf(uint8_t *out, size_t len, const uint8_t *ikm, size_t ikm_len,
                      const uint8_t *salt, size_t salt_len, const uint8_t *info, size_t info_len,
                      tdsa_err *err)
{
    uint8_t prk[TDSA_SHA512_LEN];
    tdsa_status st = TDSA_OK;

    /* RFC 5869 2.2: an absent salt "is set to a string of HashLen zeros", which is what HMAC
     * makes of an empty key. */
    st = tdsa_hmac(prk, TDSA_HASH_SHA512, salt, salt_len, ikm, ikm_len, err);
    if (st == TDSA_OK) {
        st = expand_any(out, len, prk, sizeof prk, info, info_len, err);
    }
    tdsa_wipe(prk, sizeof prk);
    return st;
}

tdsa_status tdsa_hkdf_stmt(uint8_t out[32], const uint8_t *ikm, size_t ikm_len,
                           const tdsa_buf *info, tdsa_err *err)
{
    const tdsa_status st = tdsa_buf_check(info, err);

    if (st != TDSA_OK) {
        tdsa_wipe(out, TDSA_KEY_LEN);
        return st;
    }
    return tdsa_hkdf(out, TDSA_KEY_LEN, ikm, ikm_len, NULL, 0, info->data, info->len, err);
}

tdsa_status tdsa_hkdf_expand(uint8_t *out, size_t len, const uint8_t prk[32], const tdsa_buf *info,
                             tdsa_err *err)
{
    const tdsa_status st = tdsa_buf_check(info, err);

    if (st != TDSA_OK) {
        tdsa_wipe(out, len);
        return st;
    }
    return expand_any(out, len, prk, TDSA_KEY_LEN, info->data, info->len, err);
}
