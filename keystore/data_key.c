#include "keystore/internal.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/encode.h"
#include "base/hash.h"
#include "base/statement.h"
#include "keystore/kcv.h"

#define NAME_NONE       "none"
#define NAME_LEN_MAX    (KS_PLUGIN_NAME_MAX + 1u)
#define WRAPPED_LEN_MAX 1024u

/* The meta row KS_META_DATA_KEY: stmt("data-key", encryptor, wrapped form). */
typedef struct {
    char encryptor[NAME_LEN_MAX];
    const uint8_t *wrapped; /* lent */
    size_t wrapped_len;
} data_key_row;

static const char *encryptor_name(const ks *s)
{
    return s->encryptor != NULL ? s->encryptor->name : NAME_NONE;
}

static tdsa_status parse_row(data_key_row *out, const tdsa_buf *row, tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(row->data, row->len);

    tdsa_stmt_expect(&r, "data-key");
    tdsa_stmt_read_text(&r, out->encryptor, sizeof out->encryptor);
    out->wrapped = tdsa_stmt_read_octets(&r, &out->wrapped_len, WRAPPED_LEN_MAX);
    if (tdsa_reader_finish(&r, "data key row", err) != TDSA_OK) {
        return TDSA_FAIL(err, TDSA_E_STORE,
                         "the data key row of the database is damaged; restore a backup");
    }
    return TDSA_OK;
}

static tdsa_status get_row(ks *s, tdsa_buf *out, tdsa_err *err)
{
    tdsa_status st;

    ks_enter(s);
    st = s->backend->ops->meta_get(s->backend, KS_META_DATA_KEY, out, err);
    ks_leave(s);
    return st;
}

/* Inserts the row; TDSA_E_CONFLICT when another process was first. */
static tdsa_status create_row(ks *s, const tdsa_buf *wrapped, tdsa_err *err)
{
    TDSA_SCOPED_BUF row = TDSA_BUF_EMPTY;
    tdsa_status st;

    tdsa_stmt_begin(&row, "data-key");
    tdsa_stmt_text(&row, encryptor_name(s));
    tdsa_stmt_octets(&row, wrapped->data, wrapped->len);
    st = tdsa_buf_check(&row, err);
    if (st != TDSA_OK) {
        return st;
    }
    ks_enter(s);
    st = s->backend->ops->meta_create(s->backend, KS_META_DATA_KEY, row.data, row.len, err);
    return ks_leave_commit(s, st);
}

/* The check value that each encryptor puts at the head of what it wraps, for people. */
static void stored_check_value(char out[2 * KS_KCV_LEN + 1], const data_key_row *row)
{
    tdsa_reader r = tdsa_reader_of(row->wrapped, row->wrapped_len);
    char label[NAME_LEN_MAX];
    uint8_t kcv[KS_KCV_LEN];

    tdsa_stmt_read_text(&r, label, sizeof label);
    tdsa_stmt_read_exact(&r, kcv, sizeof kcv);
    tdsa_hex(out, kcv, sizeof kcv);
}

/* That of the configured one, as far as it is known before a login. */
static void own_check_value(char out[2 * KS_KCV_LEN + 1], const ks *s)
{
    (void)snprintf(out, 2 * KS_KCV_LEN + 1, "?");
    if (s->encryptor != NULL && s->encryptor->kcv != NULL) {
        tdsa_hex(out, s->encryptor->kcv, KS_KCV_LEN);
    }
}

/* A store that was made with one encryptor never opens with another: rows would be refused one by
 * one later, or worse, new ones stored in clear beside the old. */
static tdsa_status check_encryptor(const ks *s, const data_key_row *row, tdsa_err *err)
{
    const char *now = encryptor_name(s);
    char stored[2 * KS_KCV_LEN + 1];
    char own[2 * KS_KCV_LEN + 1];

    if (strcmp(row->encryptor, now) == 0) {
        return TDSA_OK;
    }
    if (strcmp(now, NAME_NONE) == 0) {
        return TDSA_FAIL(err, TDSA_E_WRAPPING,
                         "the rows are sealed with encryptor '%s', but no encryption key is "
                         "configured: set it again",
                         row->encryptor);
    }
    if (strcmp(row->encryptor, NAME_NONE) == 0) {
        return TDSA_FAIL(err, TDSA_E_WRAPPING,
                         "the rows are stored without encryption, but encryptor '%s' is "
                         "configured: open it without a key, or start an empty database",
                         now);
    }
    stored_check_value(stored, row);
    own_check_value(own, s);
    return TDSA_FAIL(
        err, TDSA_E_WRAPPING,
        "the rows are sealed with encryptor '%s', but '%s' is configured (check values "
        "%s and %s): use the old one, or tdsa keystore change-encryptor",
        row->encryptor, now, stored, own);
}

tdsa_status ks_data_key_check(ks *s, tdsa_err *err)
{
    TDSA_SCOPED_BUF buf = TDSA_BUF_EMPTY;
    data_key_row row = {0};
    tdsa_status st = get_row(s, &buf, err);

    if (st == TDSA_E_NOT_FOUND) {
        return TDSA_OK;
    }
    if (st == TDSA_OK) {
        st = parse_row(&row, &buf, err);
    }
    if (st == TDSA_OK) {
        st = check_encryptor(s, &row, err);
    }
    return st;
}

static tdsa_status unwrap_row(ks *s, const tdsa_buf *buf, const char *pin, size_t pin_len,
                              tdsa_secret **key, tdsa_err *err)
{
    data_key_row row = {0};
    tdsa_status st = parse_row(&row, buf, err);

    if (st == TDSA_OK) {
        st = check_encryptor(s, &row, err);
    }
    if (st != TDSA_OK || s->rows_clear) {
        return st;
    }
    st = s->encryptor->ops->unwrap(s->encryptor, pin, pin_len, row.wrapped, row.wrapped_len, key,
                                   err);
    if (st == TDSA_OK && tdsa_secret_len(*key) != TDSA_KEY_LEN) {
        tdsa_secret_free(*key);
        *key = NULL;
        return TDSA_FAIL(err, TDSA_E_WRAPPING, "the unwrapped data key has the wrong length");
    }
    return st;
}

/* A database with shares has lost its data key row: a new key would hide that. */
static tdsa_status check_no_shares(ks *s, tdsa_err *err)
{
    bool found = false;
    tdsa_status st;

    ks_enter(s);
    st = s->backend->ops->key_has_share(s->backend, &found, err);
    ks_leave(s);
    if (st == TDSA_OK && found) {
        return TDSA_FAIL(err, TDSA_E_STORE,
                         "the data key row of the database is gone; restore a backup");
    }
    return st;
}

static tdsa_status make_data_key(ks *s, tdsa_secret **out, tdsa_err *err)
{
    tdsa_status st = tdsa_secret_new(out, TDSA_KEY_LEN, err);

    return st == TDSA_OK ? tdsa_rng_fill(&s->rng, tdsa_secret_bytes(*out), TDSA_KEY_LEN, err) : st;
}

/* The first unlock of an empty database makes the data key. */
static tdsa_status create_data_key(ks *s, const char *pin, size_t pin_len, tdsa_secret **key,
                                   tdsa_err *err)
{
    TDSA_SCOPED_BUF wrapped = TDSA_BUF_EMPTY;
    tdsa_status st = check_no_shares(s, err);

    if (st == TDSA_OK && !s->rows_clear) {
        st = make_data_key(s, key, err);
    }
    if (st == TDSA_OK && !s->rows_clear) {
        st = s->encryptor->ops->wrap(s->encryptor, pin, pin_len, *key, &wrapped, err);
    }
    if (st == TDSA_OK) {
        st = create_row(s, &wrapped, err);
    }
    if (st != TDSA_OK) {
        tdsa_secret_free(*key);
        *key = NULL;
    }
    return st;
}

static tdsa_status keep(ks *s, const char *pin, size_t pin_len, tdsa_secret **key, tdsa_err *err)
{
    tdsa_status st;

    ks_enter(s);
    st = ks_key_keep(s, key, err);
    if (st == TDSA_OK) {
        st = ks_key_keep_pin(s, pin, pin_len, err);
    }
    ks_key_note(s, st, err);
    ks_leave(s);
    return st;
}

tdsa_status ks_data_key_get(ks *s, const char *pin, size_t pin_len, tdsa_secret **key,
                            tdsa_err *err)
{
    TDSA_SCOPED_BUF row = TDSA_BUF_EMPTY;
    tdsa_status st = get_row(s, &row, err);

    if (st == TDSA_E_NOT_FOUND) {
        st = create_data_key(s, pin, pin_len, key, err);
        if (st == TDSA_E_CONFLICT) { /* another process was first: its key counts */
            st = get_row(s, &row, err);
        }
    }
    if (st == TDSA_OK && row.len > 0) {
        st = unwrap_row(s, &row, pin, pin_len, key, err);
    }
    return st;
}

tdsa_status ks_data_key_load(ks *s, const char *pin, size_t pin_len, tdsa_err *err)
{
    TDSA_SCOPED_SECRET key = NULL;
    tdsa_status st;

    TDSA_ASSERT(pthread_mutex_lock(&s->unlock_mu) == 0);
    st = ks_data_key_get(s, pin, pin_len, &key, err);
    if (st == TDSA_OK) {
        st = keep(s, pin, pin_len, &key, err);
    }
    TDSA_ASSERT(pthread_mutex_unlock(&s->unlock_mu) == 0);
    return st;
}

tdsa_status ks_seal_row(ks *s, tdsa_buf *out, const ks_seal_place *place, const uint8_t *plain,
                        size_t len, tdsa_err *err)
{
    tdsa_status st = ks_need_key(s, err);

    if (st == TDSA_OK) {
        st = ks_seal(out, s->data_key, &s->rng, place, plain, len, err);
    }
    return st;
}

tdsa_status ks_unseal_row(ks *s, tdsa_buf *out, const ks_seal_place *place, const uint8_t *record,
                          size_t len, tdsa_err *err)
{
    tdsa_status st = ks_need_key(s, err);

    if (st != TDSA_OK) {
        return st;
    }
    return ks_refused(s, ks_unseal(out, s->data_key, place, record, len, err), err);
}
