#include <string.h>

#include "base/hash.h"
#include "base/statement.h"
#include "keystore/internal.h"

/* Data keys as they are stored. */

#define WRAPPED_LEN_MAX 1024u
#define TABLE           "data_key"

void ks_ring_clear(ks_ring *r)
{
    tdsa_secret_free(r->current.secret);
    tdsa_secret_free(r->old.secret);
    r->current = (ks_data_key){0, NULL};
    r->old = (ks_data_key){0, NULL};
}

const ks_data_key *ks_ring_find(const ks_ring *r, uint32_t number)
{
    if (r->current.secret != NULL && r->current.number == number) {
        return &r->current;
    }
    return r->old.secret != NULL && r->old.number == number ? &r->old : NULL;
}

tdsa_status ks_data_key_copy(ks_data_key *out, const ks_data_key *from, tdsa_err *err)
{
    *out = (ks_data_key){from->number, NULL};
    return from->secret == NULL ? TDSA_OK
                                : tdsa_secret_copy(&out->secret, tdsa_secret_view(from->secret),
                                                   tdsa_secret_len(from->secret), err);
}

tdsa_status ks_data_key_make(ks *s, ks_data_key *out, uint32_t number, tdsa_err *err)
{
    tdsa_status st;

    *out = (ks_data_key){number, NULL};
    st = tdsa_secret_new(&out->secret, TDSA_KEY_LEN, err);
    return st == TDSA_OK ? tdsa_rng_fill(&s->rng, tdsa_secret_bytes(out->secret), TDSA_KEY_LEN, err)
                         : st;
}

typedef struct {
    ks_stored_keys *out;
    tdsa_err *err;
    tdsa_status st;
} reading;

static bool copy_row(void *ctx, const ks_data_key_row *row)
{
    reading *r = ctx;
    ks_stored_key *k = NULL;

    if (r->out->count == KS_DATA_KEYS_MAX ||
        (row->state != KS_DATA_KEY_CURRENT && row->state != KS_DATA_KEY_OLD) ||
        ks_stored_key_in(r->out, row->state) != NULL) {
        r->st = TDSA_FAIL(r->err, TDSA_E_STORE,
                          "the data keys of the database are damaged; restore a backup");
        return false;
    }
    k = &r->out->row[r->out->count++];
    k->number = row->number;
    k->state = row->state;
    tdsa_buf_append(&k->wrapped, row->wrapped, row->wrapped_len);
    tdsa_buf_append(&k->chained, row->chained, row->chained_len);
    r->st = tdsa_buf_check(&k->wrapped, r->err);
    if (r->st == TDSA_OK) {
        r->st = tdsa_buf_check(&k->chained, r->err);
    }
    return r->st == TDSA_OK;
}

tdsa_status ks_stored_keys_read(ks *s, ks_stored_keys *out, tdsa_err *err)
{
    reading r = {out, err, TDSA_OK};
    tdsa_status st;

    ks_stored_keys_clear(out);
    st = s->backend->ops->data_key_each(s->backend, copy_row, &r, err);
    st = st == TDSA_OK ? r.st : st;
    if (st == TDSA_OK && out->count > 0 && ks_stored_key_in(out, KS_DATA_KEY_CURRENT) == NULL) {
        st = TDSA_FAIL(err, TDSA_E_STORE, "the database has no current data key; restore a backup");
    }
    if (st != TDSA_OK) {
        ks_stored_keys_clear(out);
    }
    return st;
}

void ks_stored_keys_clear(ks_stored_keys *k)
{
    for (size_t i = 0; i < KS_DATA_KEYS_MAX; i++) {
        tdsa_buf_clear(&k->row[i].wrapped);
        tdsa_buf_clear(&k->row[i].chained);
    }
    *k = (ks_stored_keys){.count = 0};
}

const ks_stored_key *ks_stored_key_in(const ks_stored_keys *k, ks_data_key_state state)
{
    for (size_t i = 0; i < k->count; i++) {
        if (k->row[i].state == state) {
            return &k->row[i];
        }
    }
    return NULL;
}

tdsa_status ks_wrapped_key_parse(ks_wrapped_key *out, const uint8_t *bytes, size_t len,
                                 tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(bytes, len);

    *out = (ks_wrapped_key){"", NULL, 0};
    tdsa_stmt_expect(&r, "data-key");
    tdsa_stmt_read_text(&r, out->encryptor, sizeof out->encryptor);
    out->wrapped = tdsa_stmt_read_octets(&r, &out->wrapped_len, WRAPPED_LEN_MAX);
    if (tdsa_reader_finish(&r, "data key row", err) != TDSA_OK) {
        return TDSA_FAIL(err, TDSA_E_STORE,
                         "the data key row of the database is damaged; restore a backup");
    }
    return TDSA_OK;
}

tdsa_status ks_wrapped_key_put(tdsa_buf *out, const char *encryptor, const tdsa_buf *wrapped,
                               tdsa_err *err)
{
    tdsa_stmt_begin(out, "data-key");
    tdsa_stmt_text(out, encryptor);
    tdsa_stmt_octets(out, wrapped->data, wrapped->len);
    return tdsa_buf_check(out, err);
}

bool ks_wrapped_key_kcv(uint8_t out[KS_KCV_LEN], const ks_wrapped_key *k)
{
    tdsa_reader r = tdsa_reader_of(k->wrapped, k->wrapped_len);
    char label[KS_PLUGIN_NAME_MAX + 1];

    tdsa_stmt_read_text(&r, label, sizeof label);
    tdsa_stmt_read_exact(&r, out, KS_KCV_LEN);
    return !r.failed;
}

/* Where a chained key belongs. */
static ks_seal_place place_of(uint8_t bytes[4], uint32_t number)
{
    for (unsigned i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(number >> (24 - 8 * i));
    }
    return (ks_seal_place){TABLE, bytes, 4, 0, NULL, 0};
}

tdsa_status ks_chain_put(ks *s, tdsa_buf *out, const ks_data_key *before, const ks_data_key *key,
                         tdsa_err *err)
{
    uint8_t bytes[4];
    const ks_seal_place place = place_of(bytes, key->number);

    return ks_seal(out, before, &s->rng, &place, tdsa_secret_view(key->secret),
                   tdsa_secret_len(key->secret), err);
}

tdsa_status ks_chain_take(ks_data_key *out, const ks_data_key *before, const ks_stored_key *stored,
                          tdsa_err *err)
{
    uint8_t bytes[4];
    const ks_seal_place place = place_of(bytes, stored->number);
    TDSA_SCOPED_BUF plain = TDSA_BUF_EMPTY;
    tdsa_status st;

    *out = (ks_data_key){stored->number, NULL};
    st = ks_unseal(&plain, before, &place, stored->chained.data, stored->chained.len, err);
    if (st == TDSA_OK && plain.len != TDSA_KEY_LEN) {
        st = TDSA_FAIL(err, TDSA_E_STORE, "the chained data key %u has the wrong length",
                       stored->number);
    }
    return st == TDSA_OK ? tdsa_secret_copy(&out->secret, plain.data, plain.len, err) : st;
}
