#include "keystore/internal.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/encode.h"
#include "base/hash.h"

/* Data keys from the encryptor: made at the first unlock, unwrapped, checked at open. */

static const char *encryptor_name(const ks *s)
{
    return s->encryptor != NULL ? s->encryptor->name : KS_ENCRYPTOR_NAME_NONE;
}

/* The check values of what is stored and of what is configured, as far as it is known before a login. */
static void check_values(char out[2][2 * KS_KCV_LEN + 1], const ks *s, const ks_wrapped_key *k)
{
    uint8_t kcv[KS_KCV_LEN];

    (void)snprintf(out[0], sizeof out[0], "?");
    (void)snprintf(out[1], sizeof out[1], "?");
    if (ks_wrapped_key_kcv(kcv, k)) {
        tdsa_hex(out[0], kcv, sizeof kcv);
    }
    if (s->encryptor != NULL && s->encryptor->kcv != NULL) {
        tdsa_hex(out[1], s->encryptor->kcv, KS_KCV_LEN);
    }
}

/* A store that was made with one encryptor never opens with another: rows would be refused one by
 * one later, or worse, new ones stored in clear beside the old. */
static tdsa_status check_encryptor(const ks *s, const ks_wrapped_key *k, tdsa_err *err)
{
    const char *now = encryptor_name(s);
    char kcv[2][2 * KS_KCV_LEN + 1];

    if (strcmp(k->encryptor, now) == 0) {
        return TDSA_OK;
    }
    if (strcmp(now, KS_ENCRYPTOR_NAME_NONE) == 0) {
        return TDSA_FAIL(err, TDSA_E_WRAPPING,
                         "the rows are sealed with encryptor '%s', but no encryption key is "
                         "configured: set it again",
                         k->encryptor);
    }
    if (strcmp(k->encryptor, KS_ENCRYPTOR_NAME_NONE) == 0) {
        return TDSA_FAIL(err, TDSA_E_WRAPPING,
                         "the rows are stored without encryption, but encryptor '%s' is "
                         "configured: open it without a key, or use tdsa keystore "
                         "change-encryptor",
                         now);
    }
    check_values(kcv, s, k);
    return TDSA_FAIL(
        err, TDSA_E_WRAPPING,
        "the rows are sealed with encryptor '%s', but '%s' is configured (check values "
        "%s and %s): use the old one, or tdsa keystore change-encryptor",
        k->encryptor, now, kcv[0], kcv[1]);
}

/* What stands in a row, for the encryptor of this store. Rows in clear beside a data key are there while
 * they are being sealed, which is for one process to do. */
static tdsa_status look_at(const ks *s, const ks_stored_key *row, ks_wrapped_key *out,
                           tdsa_err *err)
{
    tdsa_status st = ks_wrapped_key_parse(out, row->wrapped.data, row->wrapped.len, err);

    if (st != TDSA_OK) {
        return st;
    }
    if (row->state == KS_DATA_KEY_OLD && row->number == KS_SEAL_CLEAR) {
        return s->ring.takes_clear ? TDSA_OK
                                   : TDSA_FAIL(err, TDSA_E_WRAPPING,
                                               "some rows are not encrypted yet: run tdsa keystore "
                                               "change-encryptor again, to its end");
    }
    return check_encryptor(s, out, err);
}

tdsa_status ks_data_key_check(ks *s, tdsa_err *err)
{
    ks_stored_keys rows = {.count = 0};
    ks_wrapped_key k;
    tdsa_status st;

    ks_enter(s);
    st = ks_stored_keys_read(s, &rows, err);
    ks_leave(s);
    for (size_t i = 0; st == TDSA_OK && i < rows.count; i++) {
        st = look_at(s, &rows.row[i], &k, err);
    }
    ks_stored_keys_clear(&rows);
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

tdsa_status ks_data_key_wrap(const ks_encryptor_use *use, const ks_data_key *key, tdsa_buf *out,
                             tdsa_err *err)
{
    TDSA_SCOPED_BUF wrapped = TDSA_BUF_EMPTY;
    tdsa_status st = TDSA_OK;

    if (use->e != NULL) {
        st = use->e->ops->wrap(use->e, use->pin, use->pin_len, key->secret, &wrapped, err);
    }
    return st == TDSA_OK
               ? ks_wrapped_key_put(out, use->e != NULL ? use->e->name : KS_ENCRYPTOR_NAME_NONE,
                                    &wrapped, err)
               : st;
}

/* The first unlock of an empty database makes the data key. */
static tdsa_status create(ks *s, const ks_encryptor_use *use, ks_ring *out, tdsa_err *err)
{
    TDSA_SCOPED_BUF wrapped = TDSA_BUF_EMPTY;
    ks_data_key_row row = {.state = KS_DATA_KEY_CURRENT};
    tdsa_status st = check_no_shares(s, err);

    if (st == TDSA_OK && !s->rows_clear) {
        st = ks_data_key_make(s, &out->current, 1, err);
    }
    if (st == TDSA_OK) {
        st = ks_data_key_wrap(use, &out->current, &wrapped, err);
    }
    if (st == TDSA_OK) {
        row.number = out->current.number;
        row.wrapped = wrapped.data;
        row.wrapped_len = wrapped.len;
        ks_enter(s);
        st = ks_leave_commit(s, s->backend->ops->data_key_add(s->backend, &row, err));
    }
    if (st != TDSA_OK) {
        tdsa_secret_free(out->current.secret);
        out->current = (ks_data_key){0, NULL};
    }
    return st;
}

static tdsa_status unwrap(ks *s, const ks_encryptor_use *use, const ks_stored_key *row,
                          ks_ring *out, tdsa_err *err)
{
    ks_data_key *to = row->state == KS_DATA_KEY_CURRENT ? &out->current : &out->old;
    ks_wrapped_key k;
    tdsa_status st = look_at(s, row, &k, err);

    to->number = row->number;
    if (st != TDSA_OK || s->rows_clear || row->number == KS_SEAL_CLEAR) {
        return st;
    }
    if (use->e == NULL) {
        return TDSA_FAIL(err, TDSA_E_WRAPPING,
                         "data key %u is wrapped, and no encryptor is configured", row->number);
    }
    st = use->e->ops->unwrap(use->e, use->pin, use->pin_len, k.wrapped, k.wrapped_len, &to->secret,
                             err);
    if (st == TDSA_OK && tdsa_secret_len(to->secret) != TDSA_KEY_LEN) {
        return TDSA_FAIL(err, TDSA_E_WRAPPING, "the unwrapped data key has the wrong length");
    }
    return st;
}

tdsa_status ks_data_key_get(ks *s, const char *pin, size_t pin_len, ks_ring *out, tdsa_err *err)
{
    const ks_encryptor_use use = {s->encryptor, pin, pin_len};
    ks_stored_keys rows = {.count = 0};
    tdsa_status st = TDSA_E_CONFLICT;

    ks_ring_clear(out);
    out->takes_clear = s->ring.takes_clear;
    for (int i = 0; st == TDSA_E_CONFLICT && i < 2;
         i++) { /* another process was first: its key counts */
        ks_enter(s);
        st = ks_stored_keys_read(s, &rows, err);
        ks_leave(s);
        if (st == TDSA_OK && rows.count == 0) {
            st = create(s, &use, out, err);
        }
    }
    for (size_t i = 0; st == TDSA_OK && i < rows.count; i++) {
        st = unwrap(s, &use, &rows.row[i], out, err);
    }
    ks_stored_keys_clear(&rows);
    if (st != TDSA_OK) {
        ks_ring_clear(out);
    }
    return st;
}

static tdsa_status keep(ks *s, const char *pin, size_t pin_len, ks_ring *ring, tdsa_err *err)
{
    tdsa_status st;

    ks_enter(s);
    st = ks_key_keep(s, ring, err);
    if (st == TDSA_OK) {
        st = ks_key_keep_pin(s, pin, pin_len, err);
    }
    ks_key_note(s, st, err);
    ks_leave(s);
    return st;
}

tdsa_status ks_data_key_load(ks *s, const char *pin, size_t pin_len, tdsa_err *err)
{
    ks_ring ring = {.takes_clear = false};
    tdsa_status st;

    TDSA_ASSERT(pthread_mutex_lock(&s->unlock_mu) == 0);
    st = ks_data_key_get(s, pin, pin_len, &ring, err);
    if (st == TDSA_OK) {
        st = keep(s, pin, pin_len, &ring, err);
    }
    ks_ring_clear(&ring);
    TDSA_ASSERT(pthread_mutex_unlock(&s->unlock_mu) == 0);
    return st;
}
