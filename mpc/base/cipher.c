#include "base/cipher.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/assert.h"
#include "base/crypto_internal.h"

#define AES_BLOCK_LEN 16u
/* EVP counts in int. */
#define CHUNK_LEN_MAX (1u << 30)

_Static_assert(TDSA_BUF_LEN_MAX <= INT_MAX, "lengths of buffers fit EVP's int");

struct tdsa_ctr_stream {
    CRYPTO_RWLOCK *lock; /* of what follows */
    EVP_CIPHER_CTX *ctx;
    uint64_t pos; /* stream byte that the context gives next */
};

/* Everything but the payload: key, nonce, associated data. `enc` as EVP_CipherInit has it. */
static bool gcm_start(EVP_CIPHER_CTX *ctx, const tdsa_crypto *c, const tdsa_gcm *p, int enc)
{
    int n = 0;

    return EVP_CipherInit_ex2(ctx, c->gcm, p->key, p->nonce, enc, NULL) == 1 &&
           (p->aad_len == 0 || EVP_CipherUpdate(ctx, NULL, &n, p->aad, (int)p->aad_len) == 1);
}

static bool seal_into(uint8_t *out, const tdsa_crypto *c, const tdsa_gcm *p, const void *plain,
                      size_t len)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n = 0;
    bool ok = ctx != NULL && gcm_start(ctx, c, p, 1) &&
              (len == 0 || EVP_EncryptUpdate(ctx, out, &n, plain, (int)len) == 1) &&
              EVP_EncryptFinal_ex(ctx, out + len, &n) == 1 &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TDSA_GCM_TAG_LEN, out + len) == 1;

    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

tdsa_status tdsa_gcm_seal(tdsa_buf *out, const tdsa_gcm *p, const void *plain, size_t len,
                          tdsa_err *err)
{
    const tdsa_crypto *c = tdsa_crypto_get(err);
    const size_t before = out->len;
    uint8_t *room = NULL;

    if (c == NULL) {
        return err->status;
    }
    if (len > TDSA_BUF_LEN_MAX - TDSA_GCM_TAG_LEN || p->aad_len > TDSA_BUF_LEN_MAX) {
        return TDSA_FAIL(err, TDSA_E_CRYPTO, "AES-GCM over %zu bytes is too long", len);
    }
    room = tdsa_buf_extend(out, len + TDSA_GCM_TAG_LEN);
    if (room == NULL) {
        return tdsa_buf_check(out, err);
    }
    if (!seal_into(room, c, p, plain, len)) {
        tdsa_wipe(room, len + TDSA_GCM_TAG_LEN);
        out->len = before;
        return TDSA_FAIL(err, TDSA_E_CRYPTO, "AES-GCM encryption failed");
    }
    return TDSA_OK;
}

static bool open_into(uint8_t *out, const tdsa_crypto *c, const tdsa_gcm *p, const uint8_t *sealed,
                      size_t len)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t tag[TDSA_GCM_TAG_LEN];
    uint8_t none[AES_BLOCK_LEN];
    int n = 0;
    bool ok = false;

    memcpy(tag, sealed + len, sizeof tag);
    ok = ctx != NULL && gcm_start(ctx, c, p, 0) &&
         (len == 0 || EVP_DecryptUpdate(ctx, out, &n, sealed, (int)len) == 1) &&
         EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TDSA_GCM_TAG_LEN, tag) == 1 &&
         EVP_DecryptFinal_ex(ctx, none, &n) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

tdsa_status tdsa_gcm_open(tdsa_buf *out, const tdsa_gcm *p, const void *sealed, size_t len,
                          tdsa_err *err)
{
    const tdsa_crypto *c = tdsa_crypto_get(err);
    const size_t before = out->len;
    uint8_t *room = NULL;
    bool ok = false;

    if (c == NULL) {
        return err->status;
    }
    if (len < TDSA_GCM_TAG_LEN || len > TDSA_BUF_LEN_MAX || p->aad_len > TDSA_BUF_LEN_MAX) {
        return TDSA_FAIL(err, TDSA_E_CRYPTO, "AES-GCM ciphertext of %zu bytes", len);
    }
    room = tdsa_buf_extend(out, len - TDSA_GCM_TAG_LEN);
    if (room == NULL) {
        return tdsa_buf_check(out, err);
    }
    (void)ERR_set_mark();
    ok = open_into(room, c, p, sealed, len - TDSA_GCM_TAG_LEN);
    (void)ERR_pop_to_mark();
    if (!ok) {
        tdsa_wipe(room, len - TDSA_GCM_TAG_LEN);
        out->len = before;
        return TDSA_FAIL(err, TDSA_E_CRYPTO, "AES-GCM: the tag is wrong");
    }
    return TDSA_OK;
}

tdsa_status tdsa_ctr_new(tdsa_ctr_stream **out, const uint8_t key[32], tdsa_err *err)
{
    static const uint8_t block0[AES_BLOCK_LEN] = {0};
    const tdsa_crypto *c = tdsa_crypto_get(err);
    tdsa_ctr_stream *s = NULL;

    *out = NULL;
    if (c == NULL) {
        return err->status;
    }
    s = calloc(1, sizeof *s);
    if (s == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for a key stream");
    }
    s->lock = CRYPTO_THREAD_lock_new();
    s->ctx = EVP_CIPHER_CTX_new();
    if (s->lock == NULL || s->ctx == NULL ||
        EVP_EncryptInit_ex2(s->ctx, c->ctr, key, block0, NULL) != 1) {
        tdsa_ctr_free(s);
        return TDSA_FAIL(err, TDSA_E_CRYPTO, "AES-CTR could not start");
    }
    *out = s;
    return TDSA_OK;
}

/* The next `len` stream bytes, or that many thrown away. */
static bool ctr_next(tdsa_ctr_stream *s, uint8_t *out, size_t len)
{
    while (len > 0) {
        const size_t part = len < CHUNK_LEN_MAX ? len : CHUNK_LEN_MAX;
        int n = 0;

        memset(out, 0, part);
        if (EVP_EncryptUpdate(s->ctx, out, &n, out, (int)part) != 1 || (size_t)n != part) {
            return false;
        }
        out += part;
        len -= part;
        s->pos += part;
    }
    return true;
}

static bool ctr_seek(tdsa_ctr_stream *s, uint64_t offset)
{
    uint8_t iv[AES_BLOCK_LEN] = {0};
    uint8_t skipped[AES_BLOCK_LEN];
    const uint64_t block = offset / AES_BLOCK_LEN;
    bool ok = false;

    for (size_t i = 0; i < 8; i++) {
        iv[8 + i] = (uint8_t)(block >> (8 * (7 - i)));
    }
    ok = EVP_EncryptInit_ex2(s->ctx, NULL, NULL, iv, NULL) == 1;
    s->pos = block * AES_BLOCK_LEN;
    ok = ok && ctr_next(s, skipped, (size_t)(offset % AES_BLOCK_LEN));
    tdsa_wipe(skipped, sizeof skipped);
    return ok;
}

tdsa_status tdsa_ctr_read(tdsa_ctr_stream *s, uint64_t offset, uint8_t *out, size_t len,
                          tdsa_err *err)
{
    bool ok = false;

    if (len > UINT64_MAX - offset) {
        tdsa_wipe(out, len);
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "AES-CTR stream read past its end");
    }
    TDSA_ASSERT(CRYPTO_THREAD_write_lock(s->lock) == 1);
    ok = (offset == s->pos || ctr_seek(s, offset)) && ctr_next(s, out, len);
    TDSA_ASSERT(CRYPTO_THREAD_unlock(s->lock) == 1);
    if (!ok) {
        tdsa_wipe(out, len);
        return TDSA_FAIL(err, TDSA_E_CRYPTO, "AES-CTR failed");
    }
    return TDSA_OK;
}

void tdsa_ctr_free(tdsa_ctr_stream *s)
{
    if (s != NULL) {
        EVP_CIPHER_CTX_free(s->ctx); /* wipes the key schedule */
        CRYPTO_THREAD_lock_free(s->lock);
        free(s);
    }
}
