#include "ct/ct.h"

#include <string.h>

#include "base/hash.h"
#include "keystore/internal.h"
#include "keystore/kcv.h"

#define SHARE_LEN 200u

static tdsa_err err;

/* Keys that the encryptor draws, secret from the start; nonces and ids become public as columns. */
static tdsa_status secret_fill(void *ctx, uint8_t *out, size_t len, tdsa_err *e)
{
    const tdsa_rng os = tdsa_os_rng();
    const tdsa_status st = tdsa_rng_fill(&os, out, len, e);

    (void)ctx;
    if (len == TDSA_KEY_LEN) {
        ct_secret(out, len);
    }
    return st;
}

/* Sealing and opening: neither the data key nor the share may steer a branch or an address. */
static void check_seal(void)
{
    const ks_seal_place place = {"key", "id", 2, 0, "public", 6};
    const tdsa_rng rng = tdsa_os_rng();
    TDSA_SCOPED_BUF record = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF plain = TDSA_BUF_EMPTY;
    TDSA_SCOPED_SECRET key = NULL;
    ks_data_key numbered = {3, NULL};
    uint8_t share[SHARE_LEN];

    memset(share, 0x5a, sizeof share);
    ct_require(tdsa_secret_new(&key, 32, &err) == TDSA_OK, "secret");
    ct_secret(tdsa_secret_bytes(key), 32);
    ct_secret(share, sizeof share);
    numbered.secret = key;
    ct_require(ks_seal(&record, &numbered, &rng, &place, share, sizeof share, &err) == TDSA_OK,
               "seal");
    ct_public(record.data, record.len); /* a ciphertext is public */
    ct_require(ks_unseal(&plain, &numbered, &place, record.data, record.len, &err) == TDSA_OK,
               "unseal");
    ct_still_secret("an opened record", plain.data, plain.len);
    ct_still_secret("the data key", tdsa_secret_view(key), 32);
}

static void check_kcv(void)
{
    uint8_t derived[32] = {1};
    uint8_t a[KS_KCV_LEN];
    uint8_t b[KS_KCV_LEN] = {0};

    ct_secret(derived, sizeof derived);
    ct_require(ks_kcv_of(a, derived, sizeof derived, &err) == TDSA_OK, "check value");
    ct_still_public("a check value", a, sizeof a);
    ct_still_secret("the key of a check value", derived, sizeof derived);
    ct_require(ks_kcv_compare(a, b, "key", &err) == TDSA_E_WRAPPING, "compare");
}

/* The encryptor alone, with a data key that is marked. Its wrapped form stays marked here, so it must be
 * marked when it is unwrapped as well. */
static void check_wrapping(const ks_cfg *cfg)
{
    TDSA_SCOPED_SECRET made = NULL;
    TDSA_SCOPED_SECRET back = NULL;
    uint8_t bytes[TDSA_KEY_LEN] = {7};
    TDSA_SCOPED_BUF wrapped = TDSA_BUF_EMPTY;
    ks_encryptor *e = NULL;

    ct_require(ks_encryptor_aesgcm.open(&e, cfg, &err) == TDSA_OK, "encryptor");
    ct_secret(bytes, sizeof bytes);
    ct_require(tdsa_secret_copy(&made, bytes, sizeof bytes, &err) == TDSA_OK, "data key");
    ct_require(e->ops->wrap(e, NULL, 0, made, &wrapped, &err) == TDSA_OK, "wrap");
    ct_still_secret("a wrapped data key", tdsa_secret_view(made), TDSA_KEY_LEN);
    ct_require(e->ops->unwrap(e, NULL, 0, wrapped.data, wrapped.len, &back, &err) == TDSA_OK,
               "unwrap");
    ct_require(tdsa_secret_len(back) == TDSA_KEY_LEN, "length");
    ct_still_secret("an unwrapped data key", tdsa_secret_view(back), TDSA_KEY_LEN);
    e->ops->close(e);
}

/* The data key that comes after another one, sealed under that. */
static void check_chain(ks *s)
{
    ks_stored_key stored = {9, KS_DATA_KEY_CURRENT, TDSA_BUF_EMPTY, TDSA_BUF_EMPTY};
    ks_data_key next;
    ks_data_key back;

    ct_require(ks_data_key_make(s, &next, 9, &err) == TDSA_OK, "next data key");
    ct_still_secret("the next data key", tdsa_secret_view(next.secret), TDSA_KEY_LEN);
    ct_require(ks_chain_put(s, &stored.chained, &s->ring.current, &next, &err) == TDSA_OK, "chain");
    ct_require(ks_chain_take(&back, &s->ring.current, &stored, &err) == TDSA_OK, "follow");
    ct_still_secret("a data key by the chain", tdsa_secret_view(back.secret), TDSA_KEY_LEN);
    tdsa_buf_clear(&stored.chained);
    tdsa_secret_free(next.secret);
    tdsa_secret_free(back.secret);
}

/* A whole store: a share goes in, is sealed under the data key, and comes out again. */
static void check_store(const ks_cfg *cfg)
{
    const ks_key key = {.key_id = "constant-time", .label = "x", .presignature_limit = -1};
    uint8_t bytes[SHARE_LEN];
    TDSA_SCOPED_SECRET share = NULL;
    TDSA_SCOPED_SECRET opened = NULL;
    ks *s = NULL;

    memset(bytes, 0x5a, sizeof bytes);
    ct_secret(bytes, sizeof bytes);
    ct_require(tdsa_secret_copy(&share, bytes, sizeof bytes, &err) == TDSA_OK, "share");
    ct_require(ks_open(&s, cfg, &err) == TDSA_OK, "open");
    ct_still_secret("the data key of a store", tdsa_secret_view(s->ring.current.secret),
                    TDSA_KEY_LEN);
    ct_require(ks_key_register(s, &key, &err) == TDSA_OK, "register");
    ct_require(ks_key_store(s, key.key_id, 0, (const uint8_t *)"pub", 3, share, &err) == TDSA_OK,
               "store");
    ct_require(ks_key_open(s, key.key_id, 0, &opened, &err) == TDSA_OK, "open a share");
    ct_still_secret("an opened share", tdsa_secret_view(opened), tdsa_secret_len(opened));
    ct_still_secret("the data key after use", tdsa_secret_view(s->ring.current.secret),
                    TDSA_KEY_LEN);
    check_chain(s);
    ks_close(s);
}

int main(void)
{
    const ks_cfg cfg = {.backend = "memory",
                        .create_tables = true,
                        .encryptor = KS_ENCRYPTOR_AESGCM,
                        .encryption_key = "a random secret",
                        .unlock_at_open = true,
                        .rng = {secret_fill, NULL},
                        .clock = tdsa_os_clock()};

    check_seal();
    check_kcv();
    check_wrapping(&cfg);
    check_store(&cfg);
    return ct_end();
}
