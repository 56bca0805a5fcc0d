#include "base/oaep.h"

#include <string.h>

#include "base/hash.h"
#include "base/secret.h"

#define HASH_LEN    TDSA_H32_LEN
#define COUNTER_LEN 4u
/* Longest data block: everything behind 00 and the seed. */
#define DB_LEN_MAX (TDSA_OAEP_LEN_MAX - 1u - TDSA_OAEP_SEED_LEN)

_Static_assert(TDSA_OAEP_OVERHEAD == 2u * HASH_LEN + 2u, "RFC 8017 7.1.1: mLen <= k - 2hLen - 2");
_Static_assert(TDSA_OAEP_SEED_LEN == HASH_LEN, "RFC 8017 7.1.1: the seed has hLen octets");

/* io ^= MGF1(seed), RFC 8017 B.2.1. */
static tdsa_status mgf1_mask(uint8_t *io, size_t io_len, const uint8_t *seed, size_t seed_len,
                             tdsa_err *err)
{
    uint8_t in[DB_LEN_MAX + COUNTER_LEN];
    uint8_t block[HASH_LEN];
    tdsa_status st = TDSA_OK;

    memcpy(in, seed, seed_len);
    for (size_t pos = 0; pos < io_len && st == TDSA_OK; pos += HASH_LEN) {
        const uint32_t counter = (uint32_t)(pos / HASH_LEN);

        for (unsigned i = 0; i < COUNTER_LEN; i++) {
            in[seed_len + i] = (uint8_t)(counter >> (8u * (COUNTER_LEN - 1u - i)));
        }
        st = tdsa_hash(block, TDSA_HASH_SHA256, in, seed_len + COUNTER_LEN, err);
        for (size_t i = 0; st == TDSA_OK && i < HASH_LEN && pos + i < io_len; i++) {
            io[pos + i] = (uint8_t)(io[pos + i] ^ block[i]);
        }
    }
    tdsa_wipe(in, sizeof in);
    tdsa_wipe(block, sizeof block);
    return st;
}

tdsa_status tdsa_oaep_encode(uint8_t *em, size_t em_len, const tdsa_oaep *p, tdsa_err *err)
{
    uint8_t *seed = em + 1;
    uint8_t *db = em + 1 + TDSA_OAEP_SEED_LEN;
    size_t db_len = 0;
    tdsa_status st = TDSA_OK;

    if (em_len < TDSA_OAEP_OVERHEAD || em_len > TDSA_OAEP_LEN_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "no OAEP in %zu bytes", em_len);
    }
    memset(em, 0, em_len);
    if (p->message_len > em_len - TDSA_OAEP_OVERHEAD) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a message of %zu bytes is too long for %zu",
                         p->message_len, em_len);
    }
    db_len = em_len - 1 - TDSA_OAEP_SEED_LEN;
    st = tdsa_hash(db, TDSA_HASH_SHA256, p->label, p->label_len, err);
    db[db_len - p->message_len - 1] = 1;
    if (p->message_len > 0) {
        memcpy(db + db_len - p->message_len, p->message, p->message_len);
    }
    memcpy(seed, p->seed, TDSA_OAEP_SEED_LEN);
    st = st != TDSA_OK ? st : mgf1_mask(db, db_len, seed, TDSA_OAEP_SEED_LEN, err);
    st = st != TDSA_OK ? st : mgf1_mask(seed, TDSA_OAEP_SEED_LEN, db, db_len, err);
    if (st != TDSA_OK) {
        tdsa_wipe(em, em_len);
    }
    return st;
}

/* All ones when x is 0, else 0; without a branch. */
static uint32_t mask_zero(uint32_t x)
{
    return 0u - ((~x & (x - 1u)) >> 31);
}

/* Where the message begins in DB = lHash | 00.. | 01 | message; *bad is 0 only when that is its form. */
static size_t message_start(uint32_t *bad, const uint8_t *db, size_t db_len)
{
    uint32_t found = 0;
    uint32_t start = 0;

    for (size_t i = HASH_LEN; i < db_len; i++) {
        const uint32_t is_one = mask_zero((uint32_t)db[i] ^ 1u);

        start |= (uint32_t)(i + 1) & is_one & ~found;
        *bad |= ~found & ~is_one & db[i];
        found |= is_one;
    }
    *bad |= ~found;
    return start;
}

/* Seed and data block unmasked; 0 in *bad when the padding is right. */
static tdsa_status unmask(uint8_t *db, size_t db_len, size_t *start, uint32_t *bad,
                          const uint8_t *em, const uint8_t hash[HASH_LEN], tdsa_err *err)
{
    uint8_t seed[TDSA_OAEP_SEED_LEN];
    tdsa_status st = TDSA_OK;

    memcpy(seed, em + 1, sizeof seed);
    memcpy(db, em + 1 + sizeof seed, db_len);
    st = mgf1_mask(seed, sizeof seed, db, db_len, err);
    st = st != TDSA_OK ? st : mgf1_mask(db, db_len, seed, sizeof seed, err);
    tdsa_wipe(seed, sizeof seed);
    *bad = em[0];
    for (size_t i = 0; i < HASH_LEN; i++) {
        *bad |= (uint32_t)(db[i] ^ hash[i]);
    }
    *start = message_start(bad, db, db_len);
    return st;
}

tdsa_status tdsa_oaep_decode(tdsa_buf *out, const uint8_t *em, size_t em_len, const uint8_t *label,
                             size_t label_len, tdsa_err *err)
{
    const size_t before = out->len;
    const size_t db_len = em_len - 1 - TDSA_OAEP_SEED_LEN;
    uint8_t hash[HASH_LEN];
    uint8_t db[DB_LEN_MAX];
    size_t start = 0;
    uint32_t bad = 0;
    tdsa_status st = TDSA_OK;

    if (em_len < TDSA_OAEP_OVERHEAD || em_len > TDSA_OAEP_LEN_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "no OAEP in %zu bytes", em_len);
    }
    st = tdsa_hash(hash, TDSA_HASH_SHA256, label, label_len, err);
    st = st != TDSA_OK ? st : unmask(db, db_len, &start, &bad, em, hash, err);
    tdsa_declassify(&bad, sizeof bad); /* the verdict is the output */
    if (st == TDSA_OK && bad != 0) {
        st = TDSA_FAIL(err, TDSA_E_CRYPTO, "the ciphertext is not one under this key and label");
    }
    if (st == TDSA_OK) {
        tdsa_declassify(&start, sizeof start); /* the length of a right message is public */
        tdsa_buf_append(out, db + start, db_len - start);
        st = tdsa_buf_check(out, err);
    }
    if (st != TDSA_OK) {
        out->len = before;
    }
    tdsa_wipe(db, sizeof db);
    return st;
}
