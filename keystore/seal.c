#include "keystore/seal.h"

#include <string.h>

#include "base/assert.h"
#include "base/cipher.h"
#include "base/hash.h"
#include "base/statement.h"

#define VERSION_CLEAR  0u
#define VERSION_GCM    1u /* of data key 1, without its number */
#define VERSION_NUMBER 2u
#define CHECKSUM_LEN   16u
#define OLD_HEAD_LEN   1u
#define CLEAR_HEAD_LEN (1u + CHECKSUM_LEN)
#define AROUND_GCM     (TDSA_GCM_NONCE_LEN + TDSA_GCM_TAG_LEN)
#define NUMBER_OF_OLD  1u

_Static_assert(KS_SEAL_OVERHEAD == KS_SEAL_HEAD_LEN + AROUND_GCM, "what sealing adds");

void ks_seal_head(uint8_t out[KS_SEAL_HEAD_LEN], uint32_t number)
{
    out[0] = VERSION_NUMBER;
    for (unsigned i = 0; i < 4; i++) {
        out[1 + i] = (uint8_t)(number >> (24 - 8 * i));
    }
}

uint32_t ks_seal_number(const uint8_t *record, size_t len)
{
    uint32_t number = KS_SEAL_CLEAR;

    if (record != NULL && len >= 1 && record[0] == VERSION_GCM) {
        return NUMBER_OF_OLD;
    }
    if (record == NULL || len < KS_SEAL_HEAD_LEN || record[0] != VERSION_NUMBER) {
        return KS_SEAL_CLEAR;
    }
    for (unsigned i = 0; i < 4; i++) {
        number = number << 8 | record[1 + i];
    }
    return number;
}

/* numbered: the record says the number of its key, which is bound to it too. */
static tdsa_status place_statement(tdsa_buf *out, const ks_seal_place *place,
                                   const ks_data_key *numbered, tdsa_err *err)
{
    uint8_t digest[TDSA_SHA512_LEN];
    tdsa_status st = tdsa_hash(digest, TDSA_HASH_SHA512, place->bound, place->bound_len, err);

    if (st != TDSA_OK) {
        return st;
    }
    tdsa_stmt_begin(out, "keystore-row");
    tdsa_stmt_text(out, place->table);
    tdsa_stmt_octets(out, place->primary_key, place->primary_key_len);
    tdsa_stmt_uint(out, KS_SEAL_VERSION);
    tdsa_stmt_uint(out, place->epoch);
    tdsa_stmt_octets(out, digest, sizeof digest);
    if (numbered != NULL) {
        tdsa_stmt_uint(out, numbered->number);
    }
    return tdsa_buf_check(out, err);
}

/* Finds accidents, not attackers: a store without encryption promises no more. */
static tdsa_status checksum(uint8_t out[CHECKSUM_LEN], const tdsa_buf *place, const uint8_t *plain,
                            size_t len, tdsa_err *err)
{
    TDSA_SCOPED_BUF all = TDSA_BUF_EMPTY;
    uint8_t digest[TDSA_DIGEST_LEN_MAX];
    tdsa_status st;

    tdsa_buf_append(&all, place->data, place->len);
    tdsa_buf_append(&all, plain, len);
    st = tdsa_buf_check(&all, err);
    if (st == TDSA_OK) {
        st = tdsa_hash(digest, TDSA_HASH_SHA256, all.data, all.len, err);
    }
    if (st == TDSA_OK) {
        memcpy(out, digest, CHECKSUM_LEN);
    }
    return st;
}

static tdsa_status seal_clear(tdsa_buf *out, const tdsa_buf *place, const uint8_t *plain,
                              size_t len, tdsa_err *err)
{
    uint8_t sum[CHECKSUM_LEN];
    tdsa_status st = checksum(sum, place, plain, len, err);

    if (st != TDSA_OK) {
        return st;
    }
    tdsa_buf_append_u8(out, VERSION_CLEAR);
    tdsa_buf_append(out, sum, sizeof sum);
    tdsa_buf_append(out, plain, len);
    return tdsa_buf_check(out, err);
}

static tdsa_status seal_gcm(tdsa_buf *out, const ks_data_key *key, const tdsa_rng *rng,
                            const tdsa_buf *place, const uint8_t *plain, size_t len, tdsa_err *err)
{
    uint8_t head[KS_SEAL_HEAD_LEN];
    uint8_t nonce[TDSA_GCM_NONCE_LEN];
    const tdsa_gcm p = {tdsa_secret_view(key->secret), nonce, place->data, place->len};
    tdsa_status st = tdsa_rng_fill(rng, nonce, sizeof nonce, err);

    if (st != TDSA_OK) {
        return st;
    }
    ks_seal_head(head, key->number);
    tdsa_buf_append(out, head, sizeof head);
    tdsa_buf_append(out, nonce, sizeof nonce);
    return tdsa_gcm_seal(out, &p, plain, len, err);
}

static void check_key(const ks_data_key *key)
{
    TDSA_ASSERT(key == NULL || key->number != KS_SEAL_CLEAR);
    TDSA_ASSERT(key == NULL || tdsa_secret_len(key->secret) == TDSA_KEY_LEN);
}

tdsa_status ks_seal(tdsa_buf *out, const ks_data_key *key, const tdsa_rng *rng,
                    const ks_seal_place *place, const uint8_t *plain, size_t len, tdsa_err *err)
{
    TDSA_SCOPED_BUF stmt = TDSA_BUF_EMPTY;
    const size_t before = out->len;
    tdsa_status st = place_statement(&stmt, place, key, err);

    check_key(key);
    if (st != TDSA_OK) {
        return st;
    }
    if (key == NULL) {
        st = seal_clear(out, &stmt, plain, len, err);
    } else {
        st = seal_gcm(out, key, rng, &stmt, plain, len, err);
    }
    if (st != TDSA_OK && out->len > before) {
        tdsa_wipe(out->data + before, out->len - before);
        out->len = before;
    }
    return st;
}

static tdsa_status refuse(const ks_seal_place *place, const char *why, tdsa_err *err)
{
    return TDSA_FAIL(err, TDSA_E_STORE, "a sealed row of table %s is refused: %s", place->table,
                     why);
}

static tdsa_status unseal_clear(tdsa_buf *out, const tdsa_buf *stmt, const ks_seal_place *place,
                                const uint8_t *record, size_t len, tdsa_err *err)
{
    uint8_t sum[CHECKSUM_LEN];
    tdsa_status st;

    if (len < CLEAR_HEAD_LEN) {
        return refuse(place, "it is cut short", err);
    }
    st = checksum(sum, stmt, record + CLEAR_HEAD_LEN, len - CLEAR_HEAD_LEN, err);
    if (st != TDSA_OK) {
        return st;
    }
    if (!tdsa_ct_equal(sum, record + 1, sizeof sum)) {
        return refuse(place, "it was edited or belongs to another row", err);
    }
    tdsa_buf_append(out, record + CLEAR_HEAD_LEN, len - CLEAR_HEAD_LEN);
    return tdsa_buf_check(out, err);
}

static tdsa_status unseal_gcm(tdsa_buf *out, const ks_data_key *key, const ks_seal_place *place,
                              const uint8_t *record, size_t len, tdsa_err *err)
{
    TDSA_SCOPED_BUF stmt = TDSA_BUF_EMPTY;
    const bool numbered = record[0] == VERSION_NUMBER;
    const size_t head = numbered ? KS_SEAL_HEAD_LEN : OLD_HEAD_LEN;
    const uint8_t *body = record + head + TDSA_GCM_NONCE_LEN;
    tdsa_gcm p = {tdsa_secret_view(key->secret), record + head, NULL, 0};
    tdsa_status st;

    if (len < head + AROUND_GCM) {
        return refuse(place, "it is cut short", err);
    }
    if (ks_seal_number(record, len) != key->number) {
        return refuse(place, "it is sealed under another data key", err);
    }
    st = place_statement(&stmt, place, numbered ? key : NULL, err);
    if (st != TDSA_OK) {
        return st;
    }
    p.aad = stmt.data;
    p.aad_len = stmt.len;
    st = tdsa_gcm_open(out, &p, body, len - head - TDSA_GCM_NONCE_LEN, err);
    if (st == TDSA_E_CRYPTO) {
        return refuse(place, "it was edited, belongs to another row or to another data key", err);
    }
    return st;
}

tdsa_status ks_unseal(tdsa_buf *out, const ks_data_key *key, const ks_seal_place *place,
                      const uint8_t *record, size_t len, tdsa_err *err)
{
    TDSA_SCOPED_BUF stmt = TDSA_BUF_EMPTY;
    tdsa_status st;

    check_key(key);
    if (record == NULL || len == 0) {
        return refuse(place, "it is empty", err);
    }
    if (key != NULL) {
        return record[0] == VERSION_GCM || record[0] == VERSION_NUMBER
                   ? unseal_gcm(out, key, place, record, len, err)
                   : refuse(place, "it is not sealed with AES-256-GCM", err);
    }
    if (record[0] != VERSION_CLEAR) {
        return refuse(place, "it is encrypted, and this store has no key", err);
    }
    st = place_statement(&stmt, place, NULL, err);
    return st == TDSA_OK ? unseal_clear(out, &stmt, place, record, len, err) : st;
}
