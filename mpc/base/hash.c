/* OpenSSL's low-level digests: EVP_DigestInit asks for an ENGINE each time, which reads the host's
 * configuration, may take the digest away from us, and costs more than the digest of a statement.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/ripemd.h>
#include <openssl/sha.h>

#include "base/assert.h"

#define SHA_BLOCK_LEN_MAX 128u

#define HASH_COUNT 6u

typedef union {
    SHA_CTX sha1;
    SHA256_CTX sha256; /* and SHA-224 */
    SHA512_CTX sha512; /* and SHA-384 */
} sha_state;

struct tdsa_hasher {
    tdsa_hash_alg alg;
    bool finished;
    sha_state state;
};

static const struct {
    const char *name;
    size_t len, block_len;
} facts[HASH_COUNT] = {
    [TDSA_HASH_SHA1] = {"sha1", 20, 64},      [TDSA_HASH_SHA224] = {"sha224", 28, 64},
    [TDSA_HASH_SHA256] = {"sha256", 32, 64},  [TDSA_HASH_SHA384] = {"sha384", 48, 128},
    [TDSA_HASH_SHA512] = {"sha512", 64, 128}, [TDSA_HASH_NONE] = {"none", 0, 0},
};

size_t tdsa_hash_len(tdsa_hash_alg alg)
{
    TDSA_ASSERT((unsigned)alg < HASH_COUNT);
    return facts[alg].len;
}

const char *tdsa_hash_name(tdsa_hash_alg alg)
{
    TDSA_ASSERT((unsigned)alg < HASH_COUNT);
    return facts[alg].name;
}

bool tdsa_hash_by_name(tdsa_hash_alg *out, const char *name)
{
    for (unsigned i = 0; i < HASH_COUNT; i++) {
        if (strcmp(facts[i].name, name) == 0) {
            *out = (tdsa_hash_alg)i;
            return true;
        }
    }
    return false;
}

/* The functions of sha.h answer 1, always, except for counts that no buffer of ours has. */
static void sha_begin(sha_state *s, tdsa_hash_alg alg)
{
    switch (alg) {
    case TDSA_HASH_SHA1:
        TDSA_ASSERT(SHA1_Init(&s->sha1) == 1);
        return;
    case TDSA_HASH_SHA224:
        TDSA_ASSERT(SHA224_Init(&s->sha256) == 1);
        return;
    case TDSA_HASH_SHA256:
        TDSA_ASSERT(SHA256_Init(&s->sha256) == 1);
        return;
    case TDSA_HASH_SHA384:
        TDSA_ASSERT(SHA384_Init(&s->sha512) == 1);
        return;
    case TDSA_HASH_SHA512:
        TDSA_ASSERT(SHA512_Init(&s->sha512) == 1);
        return;
    case TDSA_HASH_NONE:
        TDSA_ASSERT(false); /* callers hash with a hash */
        return;
    }
}

static void sha_add(sha_state *s, tdsa_hash_alg alg, const void *in, size_t len)
{
    if (len == 0) {
        return;
    }
    switch (alg) {
    case TDSA_HASH_SHA1:
        TDSA_ASSERT(SHA1_Update(&s->sha1, in, len) == 1);
        return;
    case TDSA_HASH_SHA224:
    case TDSA_HASH_SHA256:
        TDSA_ASSERT(SHA256_Update(&s->sha256, in, len) == 1);
        return;
    case TDSA_HASH_SHA384:
    case TDSA_HASH_SHA512:
        TDSA_ASSERT(SHA512_Update(&s->sha512, in, len) == 1);
        return;
    case TDSA_HASH_NONE:
        TDSA_ASSERT(false); /* callers hash with a hash */
        return;
    }
}

/* Writes the digest and wipes the state. */
static void sha_end(sha_state *s, tdsa_hash_alg alg, uint8_t *out)
{
    switch (alg) {
    case TDSA_HASH_SHA1:
        TDSA_ASSERT(SHA1_Final(out, &s->sha1) == 1);
        break;
    case TDSA_HASH_SHA224:
    case TDSA_HASH_SHA256:
        TDSA_ASSERT(SHA256_Final(out, &s->sha256) == 1);
        break;
    case TDSA_HASH_SHA384:
    case TDSA_HASH_SHA512:
        TDSA_ASSERT(SHA512_Final(out, &s->sha512) == 1);
        break;
    case TDSA_HASH_NONE:
        TDSA_ASSERT(false); /* callers hash with a hash */
        break;
    }
    tdsa_wipe(s, sizeof *s);
}

tdsa_status tdsa_hash(uint8_t *out, tdsa_hash_alg alg, const void *in, size_t len, tdsa_err *err)
{
    sha_state s;

    if ((unsigned)alg >= HASH_COUNT || alg == TDSA_HASH_NONE) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "there is no hash with number %u", (unsigned)alg);
    }
    sha_begin(&s, alg);
    sha_add(&s, alg, in, len);
    sha_end(&s, alg, out);
    return TDSA_OK;
}

tdsa_status tdsa_hash160(uint8_t out[TDSA_HASH160_LEN], const void *in, size_t len, tdsa_err *err)
{
    uint8_t sha[TDSA_DIGEST_LEN_MAX];
    const tdsa_status st = tdsa_hash(sha, TDSA_HASH_SHA256, in, len, err);

    if (st == TDSA_OK && RIPEMD160(sha, 32, out) == NULL) {
        return TDSA_FAIL(err, TDSA_E_CRYPTO, "RIPEMD-160");
    }
    return st;
}

tdsa_status tdsa_hasher_new(tdsa_hasher **out, tdsa_hash_alg alg, tdsa_err *err)
{
    tdsa_hasher *h = NULL;

    *out = NULL;
    if ((unsigned)alg >= HASH_COUNT || alg == TDSA_HASH_NONE) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "there is no hash with number %u", (unsigned)alg);
    }
    h = calloc(1, sizeof *h);
    *out = h;
    if (h == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for a digest");
    }
    h->alg = alg;
    sha_begin(&h->state, alg);
    return TDSA_OK;
}

tdsa_status tdsa_hasher_update(tdsa_hasher *h, const void *in, size_t len, tdsa_err *err)
{
    if (h->finished) {
        return TDSA_FAIL(err, TDSA_E_CRYPTO, "the digest was finished before");
    }
    sha_add(&h->state, h->alg, in, len);
    return TDSA_OK;
}

tdsa_status tdsa_hasher_final(tdsa_hasher *h, uint8_t *out, tdsa_err *err)
{
    if (h->finished) {
        return TDSA_FAIL(err, TDSA_E_CRYPTO, "the digest was finished before");
    }
    h->finished = true;
    sha_end(&h->state, h->alg, out);
    return TDSA_OK;
}

void tdsa_hasher_free(tdsa_hasher *h)
{
    if (h != NULL) {
        tdsa_wipe(h, sizeof *h);
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

/* FIPS 198-1: H((K0 ^ opad) | H((K0 ^ ipad) | text)). */
static void hmac(uint8_t *out, tdsa_hash_alg alg, const uint8_t *key, size_t key_len,
                 const void *in, size_t len)
{
    const size_t block_len = facts[alg].block_len;
    uint8_t k0[SHA_BLOCK_LEN_MAX] = {0};
    uint8_t inner[TDSA_DIGEST_LEN_MAX];
    sha_state s;

    if (key_len > block_len) {
        sha_begin(&s, alg);
        sha_add(&s, alg, key, key_len);
        sha_end(&s, alg, k0);
    } else if (key_len > 0) {
        memcpy(k0, key, key_len);
    }
    for (size_t i = 0; i < block_len; i++) {
        k0[i] ^= 0x36;
    }
    sha_begin(&s, alg);
    sha_add(&s, alg, k0, block_len);
    sha_add(&s, alg, in, len);
    sha_end(&s, alg, inner);
    for (size_t i = 0; i < block_len; i++) {
        k0[i] ^= 0x36 ^ 0x5c;
    }
    sha_begin(&s, alg);
    sha_add(&s, alg, k0, block_len);
    sha_add(&s, alg, inner, facts[alg].len);
    sha_end(&s, alg, out);
    tdsa_wipe(k0, sizeof k0);
    tdsa_wipe(inner, sizeof inner);
}

tdsa_status tdsa_hmac(uint8_t *out, tdsa_hash_alg alg, const uint8_t *key, size_t key_len,
                      const void *in, size_t len, tdsa_err *err)
{
    (void)err;
    TDSA_ASSERT((unsigned)alg < HASH_COUNT);
    hmac(out, alg, key, key_len, in, len);
    return TDSA_OK;
}

/* RFC 5869 2.3: "T(n) = HMAC-Hash(PRK, T(n-1) | info | n)". `block` has T | info | n. */
static void expand(uint8_t *out, size_t len, const uint8_t *prk, size_t prk_len, uint8_t *block,
                   size_t info_len)
{
    uint8_t t[TDSA_SHA512_LEN];
    size_t done = 0;

    for (uint8_t n = 1; done < len; n++) {
        const size_t skip = n == 1 ? TDSA_SHA512_LEN : 0; /* T(0) is empty */
        const size_t part = len - done < TDSA_SHA512_LEN ? len - done : TDSA_SHA512_LEN;

        block[TDSA_SHA512_LEN + info_len] = n;
        hmac(t, TDSA_HASH_SHA512, prk, prk_len, block + skip,
             TDSA_SHA512_LEN - skip + info_len + 1);
        memcpy(block, t, TDSA_SHA512_LEN);
        memcpy(out + done, t, part);
        done += part;
    }
    tdsa_wipe(t, sizeof t);
}

static tdsa_status expand_any(uint8_t *out, size_t len, const uint8_t *prk, size_t prk_len,
                              const uint8_t *info, size_t info_len, tdsa_err *err)
{
    TDSA_SCOPED_BUF block = TDSA_BUF_EMPTY;
    uint8_t *room = NULL;

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
    expand(out, len, prk, prk_len, room, info_len);
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

/* The states after the key blocks of HMAC, FIPS 198-1: K0 ^ ipad, K0 ^ opad. */
struct tdsa_hkdf_key {
    sha_state inner, outer;
};

tdsa_status tdsa_hkdf_key_new(tdsa_hkdf_key **out, const uint8_t prk[32], tdsa_err *err)
{
    uint8_t k0[SHA_BLOCK_LEN_MAX];
    tdsa_hkdf_key *k = malloc(sizeof *k);

    *out = k;
    if (k == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for a key");
    }
    memset(k0, 0x36, sizeof k0);
    for (size_t i = 0; i < TDSA_KEY_LEN; i++) {
        k0[i] ^= prk[i];
    }
    sha_begin(&k->inner, TDSA_HASH_SHA512);
    sha_add(&k->inner, TDSA_HASH_SHA512, k0, sizeof k0);
    for (size_t i = 0; i < sizeof k0; i++) {
        k0[i] ^= 0x36 ^ 0x5c;
    }
    sha_begin(&k->outer, TDSA_HASH_SHA512);
    sha_add(&k->outer, TDSA_HASH_SHA512, k0, sizeof k0);
    tdsa_wipe(k0, sizeof k0);
    return TDSA_OK;
}

/* HMAC(PRK, T(n-1) | info | n); T(0) is empty. */
static void next_block(const tdsa_hkdf_key *k, uint8_t t[TDSA_SHA512_LEN], uint8_t n,
                       const tdsa_buf *info)
{
    sha_state s = k->inner;

    sha_add(&s, TDSA_HASH_SHA512, t, n == 1 ? 0 : TDSA_SHA512_LEN);
    sha_add(&s, TDSA_HASH_SHA512, info->data, info->len);
    sha_add(&s, TDSA_HASH_SHA512, &n, 1);
    sha_end(&s, TDSA_HASH_SHA512, t);
    s = k->outer;
    sha_add(&s, TDSA_HASH_SHA512, t, TDSA_SHA512_LEN);
    sha_end(&s, TDSA_HASH_SHA512, t);
}

tdsa_status tdsa_hkdf_key_expand(const tdsa_hkdf_key *k, uint8_t *out, size_t len,
                                 const tdsa_buf *info, tdsa_err *err)
{
    uint8_t t[TDSA_SHA512_LEN];
    size_t done = 0;
    tdsa_status st = tdsa_buf_check(info, err);

    if (st == TDSA_OK && len > 255 * (size_t)TDSA_SHA512_LEN) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "HKDF of %zu bytes", len);
    }
    if (st != TDSA_OK) {
        tdsa_wipe(out, len);
        return st;
    }
    for (uint8_t n = 1; done < len; n++) {
        const size_t part = len - done < TDSA_SHA512_LEN ? len - done : TDSA_SHA512_LEN;

        next_block(k, t, n, info);
        memcpy(out + done, t, part);
        done += part;
    }
    tdsa_wipe(t, sizeof t);
    return TDSA_OK;
}

void tdsa_hkdf_key_free(tdsa_hkdf_key *k)
{
    if (k != NULL) {
        tdsa_wipe(k, sizeof *k);
        free(k);
    }
}
