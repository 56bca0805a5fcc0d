#include <string.h>

#include "base/assert.h"
#include "base/encode.h"
#include "keystore/internal.h"

/* Other wrappings of the same data keys, and what is known of them. */

static void hex_of(char out[16], const uint8_t kcv[KS_KCV_LEN])
{
    _Static_assert(2 * KS_KCV_LEN < 16, "room for a check value in hex");
    tdsa_hex(out, kcv, KS_KCV_LEN);
}

static tdsa_status fill_info(ks *s, const ks_stored_keys *rows, ks_data_key_info *out,
                             tdsa_err *err)
{
    const ks_stored_key *current = ks_stored_key_in(rows, KS_DATA_KEY_CURRENT);
    const ks_stored_key *old = ks_stored_key_in(rows, KS_DATA_KEY_OLD);
    uint8_t head[KS_SEAL_HEAD_LEN];
    uint8_t kcv[KS_KCV_LEN];
    ks_wrapped_key k;
    tdsa_status st;

    if (current == NULL) {
        return TDSA_OK;
    }
    st = ks_wrapped_key_parse(&k, current->wrapped.data, current->wrapped.len, err);
    if (st != TDSA_OK) {
        return st;
    }
    out->number = current->number;
    out->chained = current->chained.len > 0;
    memcpy(out->encryptor, k.encryptor, sizeof out->encryptor);
    if (ks_wrapped_key_kcv(kcv, &k)) {
        hex_of(out->check_value, kcv);
    }
    if (old == NULL) {
        return TDSA_OK;
    }
    out->rotating = true;
    out->old_number = old->number;
    ks_seal_head(head, current->number);
    return s->backend->ops->sealed_count(s->backend, head, &out->rows_left, err);
}

tdsa_status ks_data_key_status(ks *s, ks_data_key_info *out, tdsa_err *err)
{
    ks_stored_keys rows = {.count = 0};
    tdsa_status st;

    *out = (ks_data_key_info){.encryptor = KS_ENCRYPTOR_NAME_NONE};
    ks_enter(s);
    st = ks_stored_keys_read(s, &rows, err);
    if (st == TDSA_OK) {
        st = fill_info(s, &rows, out, err);
    }
    ks_leave(s);
    ks_stored_keys_clear(&rows);
    return st;
}

/* Wraps what is stored anew: the keys are those of the rows. unlock_mu is held. */
static tdsa_status wrap_rows(ks *s, const ks_encryptor_use *use, const ks_ring *keys,
                             const ks_stored_keys *rows, tdsa_err *err)
{
    tdsa_buf wrapped[KS_DATA_KEYS_MAX] = {TDSA_BUF_EMPTY, TDSA_BUF_EMPTY};
    ks_data_key_row now[KS_DATA_KEYS_MAX];
    ks_data_key_row was[KS_DATA_KEYS_MAX];
    size_t count = 0;
    tdsa_status st = TDSA_OK;

    for (size_t i = 0; st == TDSA_OK && i < rows->count; i++) {
        const ks_stored_key *row = &rows->row[i];
        const ks_data_key *key = ks_ring_find(keys, row->number);

        if (key == NULL) {
            continue; /* rows in clear */
        }
        st = ks_data_key_wrap(use, key, &wrapped[count], err);
        was[count] = (ks_data_key_row){
            .number = row->number, .wrapped = row->wrapped.data, .wrapped_len = row->wrapped.len};
        now[count] = (ks_data_key_row){.number = row->number,
                                       .wrapped = wrapped[count].data,
                                       .wrapped_len = wrapped[count].len};
        count++;
    }
    if (st == TDSA_OK) {
        ks_enter(s);
        st = s->backend->ops->data_key_wrap(s->backend, now, was, count, err);
        st = ks_leave_commit(s, st);
    }
    for (size_t i = 0; i < KS_DATA_KEYS_MAX; i++) {
        tdsa_buf_clear(&wrapped[i]);
    }
    return st;
}

/* The keys by the encryptor of now, wrapped by another; unlock_mu is held. The rows are read first, so
 * that a key which somebody adds meanwhile is a conflict. */
static tdsa_status rewrap(ks *s, const ks_encryptor_use *by, const ks_encryptor_use *to,
                          tdsa_err *err)
{
    ks_stored_keys rows = {.count = 0};
    ks_ring keys = {.takes_clear = false};
    tdsa_status st;

    ks_enter(s);
    st = ks_stored_keys_read(s, &rows, err);
    ks_leave(s);
    if (st == TDSA_OK) {
        st = ks_data_key_get(s, by->pin, by->pin_len, &keys, err);
    }
    if (st == TDSA_OK) {
        st = wrap_rows(s, to, &keys, &rows, err);
    }
    ks_ring_clear(&keys);
    ks_stored_keys_clear(&rows);
    return st;
}

/* unlock_mu is held. */
static void use_encryptor(ks *s, ks_encryptor *e)
{
    ks_encryptor *before = NULL;

    ks_enter(s);
    before = s->encryptor;
    s->encryptor = e;
    ks_leave(s);
    if (before != NULL) {
        before->ops->close(before);
    }
}

/* A data key for a store that had none; unlock_mu is held. */
static tdsa_status first_key(ks *s, const ks_encryptor_use *to, ks_ring *keys, tdsa_err *err)
{
    ks_stored_keys rows = {.count = 0};
    const ks_stored_key *current = NULL;
    tdsa_status st;

    ks_enter(s);
    st = ks_stored_keys_read(s, &rows, err);
    ks_leave(s);
    current = ks_stored_key_in(&rows, KS_DATA_KEY_CURRENT);
    if (st == TDSA_OK && (current == NULL || current->number != KS_SEAL_CLEAR)) {
        st = TDSA_FAIL(err, TDSA_E_CONFLICT, "somebody else has changed the encryptor");
    }
    ks_stored_keys_clear(&rows);
    return st == TDSA_OK ? ks_rotation_begin(s, to, keys, err) : st;
}

static tdsa_status change(ks *s, const ks_rewrapping *w, ks_encryptor *e, ks_ring *keys,
                          tdsa_err *err)
{
    const ks_encryptor_use to = {e, w->pin, w->pin_len};
    const ks_encryptor_use by = {s->encryptor, w->old_pin, w->old_pin_len};

    return s->rows_clear ? first_key(s, &to, keys, err) : rewrap(s, &by, &to, err);
}

tdsa_status ks_rewrap(ks *s, const ks_rewrapping *w, tdsa_err *err)
{
    ks_ring keys = {.takes_clear = false};
    ks_encryptor *e = NULL;
    bool was_clear = false;
    tdsa_status st = ks_encryptor_open(&e, w->cfg, err);

    if (st == TDSA_OK && e == NULL) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                       "rows that are encrypted stay so: name an encryptor or an encryption key");
    }
    if (st != TDSA_OK) {
        return st;
    }
    TDSA_ASSERT(pthread_mutex_lock(&s->unlock_mu) == 0);
    was_clear = s->rows_clear;
    st = change(s, w, e, &keys, err);
    if (st == TDSA_OK) {
        use_encryptor(s, e);
    } else {
        e->ops->close(e);
    }
    TDSA_ASSERT(pthread_mutex_unlock(&s->unlock_mu) == 0);
    if (st == TDSA_OK && was_clear) {
        w->rotation->resumed = false;
        w->rotation->rows = 0;
        w->rotation->damaged = 0;
        w->rotation->number = keys.current.number;
        st = ks_seal_all(s, w->rotation, &keys, err);
    }
    ks_ring_clear(&keys);
    return st;
}

/* The check value of the wrapping key that is in use. */
static tdsa_status stored_kcv(ks *s, uint8_t kcv[KS_KCV_LEN], tdsa_err *err)
{
    ks_stored_keys rows = {.count = 0};
    const ks_stored_key *current = NULL;
    ks_wrapped_key k;
    tdsa_status st;

    memset(kcv, 0, KS_KCV_LEN);
    ks_enter(s);
    st = ks_stored_keys_read(s, &rows, err);
    ks_leave(s);
    current = ks_stored_key_in(&rows, KS_DATA_KEY_CURRENT);
    if (st == TDSA_OK && current == NULL) {
        st = TDSA_FAIL(err, TDSA_E_NOT_FOUND, "the database has no data key yet");
    }
    if (st == TDSA_OK) {
        st = ks_wrapped_key_parse(&k, current->wrapped.data, current->wrapped.len, err);
    }
    if (st == TDSA_OK && !ks_wrapped_key_kcv(kcv, &k)) {
        st = TDSA_FAIL(err, TDSA_E_STORE, "the wrapped data key has no check value");
    }
    ks_stored_keys_clear(&rows);
    return st;
}

static tdsa_status renew(ks *s, ks_new_wrapping_key *w, tdsa_err *err)
{
    const ks_encryptor_use use = {s->encryptor, w->pin, w->pin_len};
    uint8_t old[KS_KCV_LEN];
    uint8_t kcv[KS_KCV_LEN];
    ks_encryptor *e = s->encryptor;
    tdsa_status st = stored_kcv(s, old, err);

    if (st == TDSA_OK) {
        st = e->ops->renew(e, w->pin, w->pin_len, kcv, err);
    }
    if (st == TDSA_OK) {
        st = rewrap(s, &use, &use, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    hex_of(w->old_check_value, old);
    hex_of(w->check_value, kcv);
    return w->destroy_old ? e->ops->destroy(e, w->pin, w->pin_len, old, err) : TDSA_OK;
}

tdsa_status ks_rotate_wrapping_key(ks *s, ks_new_wrapping_key *w, tdsa_err *err)
{
    tdsa_status st;

    w->old_check_value[0] = '\0';
    w->check_value[0] = '\0';
    TDSA_ASSERT(pthread_mutex_lock(&s->unlock_mu) == 0);
    if (s->encryptor == NULL || s->encryptor->ops->renew == NULL) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                       "encryptor %.60s has no wrapping key that could be made here: use tdsa "
                       "keystore change-encryptor with another one",
                       s->encryptor != NULL ? s->encryptor->name : KS_ENCRYPTOR_NAME_NONE);
    } else {
        st = renew(s, w, err);
    }
    TDSA_ASSERT(pthread_mutex_unlock(&s->unlock_mu) == 0);
    return st;
}
