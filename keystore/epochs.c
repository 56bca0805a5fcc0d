#include "keystore/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

/* Epochs of a key: the one in use, one in the making beside it, one that is on its way out. */

/* Into the row, over `record`; in the body of ks_keyed_next. */
static tdsa_status seal_share(ks *s, tdsa_buf *record, ks_key_row *row, const tdsa_secret *share,
                              tdsa_err *err)
{
    const ks_seal_place place =
        ks_key_place(row->key_id, row->epoch, row->public_part, row->public_len);
    tdsa_status st;

    tdsa_buf_clear(record);
    st = ks_seal_row(s, record, &place, tdsa_secret_view(share), tdsa_secret_len(share), err);
    row->sealed = record->data;
    row->sealed_len = record->len;
    return st;
}

tdsa_status ks_key_add_epoch(ks *s, const ks_key *k, const tdsa_secret *share, tdsa_err *err)
{
    TDSA_SCOPED_BUF sealed = TDSA_BUF_EMPTY;
    ks_key_row row;
    tdsa_status st = ks_key_to_row(&row, k, KS_KEY_PENDING, err);

    if (st != TDSA_OK) {
        return st;
    }
    for (ks_keyed r = ks_keyed_of(s); ks_keyed_next(&r, &st, err);) {
        st = share != NULL ? seal_share(s, &sealed, &row, share, err) : TDSA_OK;
        if (st == TDSA_OK) {
            st = s->backend->ops->key_add(s->backend, &row, err);
        }
    }
    return ks_leave_commit(s, st);
}

tdsa_status ks_key_restore(ks *s, const ks_key *k, const tdsa_secret *share, tdsa_err *err)
{
    TDSA_SCOPED_BUF sealed = TDSA_BUF_EMPTY;
    ks_key_row row;
    tdsa_status st = ks_key_to_row(&row, k, KS_KEY_RESTORED, err);

    if (st != TDSA_OK) {
        return st;
    }
    for (ks_keyed r = ks_keyed_of(s); ks_keyed_next(&r, &st, err);) {
        st = seal_share(s, &sealed, &row, share, err);
        if (st == TDSA_OK) {
            st = s->backend->ops->key_restore(s->backend, &row, err);
        }
    }
    return ks_leave_commit(s, st);
}

tdsa_status ks_key_drop_epoch(ks *s, const char *key_id, uint32_t epoch, tdsa_err *err)
{
    tdsa_status st = ks_check_key_id(key_id, err);

    if (st != TDSA_OK) {
        return st;
    }
    ks_enter(s);
    return ks_leave_commit(s, s->backend->ops->key_drop(s->backend, key_id, epoch, err));
}

typedef struct {
    ks *s;
    uint32_t epoch;
    ks_key *key;
    tdsa_err *err;
    tdsa_status st;
} get_epoch;

static bool take_epoch(void *ctx, const ks_key_row *row)
{
    get_epoch *g = ctx;

    if (row->epoch != g->epoch) {
        return true;
    }
    g->st = ks_key_of_row(g->s, &g->key, row, g->err);
    return false;
}

tdsa_status ks_key_get_epoch(ks *s, const char *key_id, uint32_t epoch, ks_key **out, tdsa_err *err)
{
    get_epoch g = {s, epoch, NULL, err, TDSA_OK};
    tdsa_status st = ks_check_key_id(key_id, err);

    *out = NULL;
    if (st != TDSA_OK) {
        return st;
    }
    ks_enter(s);
    st = s->backend->ops->key_rows(s->backend, key_id, (ks_key_state)0, take_epoch, &g, err);
    ks_leave(s);
    if (st == TDSA_OK) {
        st = g.st;
    }
    if (st == TDSA_OK && g.key == NULL) {
        st = TDSA_FAIL(err, TDSA_E_NOT_FOUND, "there is no key %s of epoch %u", key_id, epoch);
    }
    if (st == TDSA_OK) {
        *out = g.key;
    }
    return st;
}

/* Rows are copied first: the caller's function may use the store. */
typedef struct row_list {
    struct row_list *next;
    ks_key *key;
} row_list;

typedef struct {
    ks *s;
    row_list *first, **last;
    tdsa_err *err;
    tdsa_status st;
} list_all;

static bool list_row(void *ctx, const ks_key_row *row)
{
    list_all *l = ctx;
    row_list *one = calloc(1, sizeof *one);

    if (one == NULL) {
        l->st = TDSA_FAIL(l->err, TDSA_E_NO_MEMORY, "no memory for a key");
        return false;
    }
    l->st = ks_key_of_row(l->s, &one->key, row, l->err);
    if (l->st != TDSA_OK) {
        free(one);
        return false;
    }
    *l->last = one;
    l->last = &one->next;
    return true;
}

tdsa_status ks_key_each_in(ks *s, ks_key_state state, ks_key_fn fn, void *ctx, tdsa_err *err)
{
    list_all l = {s, NULL, NULL, err, TDSA_OK};
    bool more = true;
    tdsa_status st;

    l.last = &l.first;
    ks_enter(s);
    st = s->backend->ops->key_rows(s->backend, NULL, state, list_row, &l, err);
    ks_leave(s);
    st = st == TDSA_OK ? l.st : st;
    while (l.first != NULL) {
        row_list *one = l.first;

        l.first = one->next;
        more = more && st == TDSA_OK && fn(ctx, one->key);
        ks_key_free(one->key);
        free(one);
    }
    return st;
}

typedef struct {
    ks *s;
    uint32_t epoch;
    tdsa_buf *plain;
    tdsa_err *err;
    tdsa_status st;
    bool other; /* the last row was of another epoch */
} open_one;

static bool open_share(void *ctx, const ks_key_row *row)
{
    open_one *o = ctx;
    ks_seal_place place;

    o->other = false;
    o->st = ks_refused(o->s, ks_check_key_row(row, o->err), o->err);
    if (o->st != TDSA_OK) {
        return false;
    }
    place = ks_key_place(row->key_id, row->epoch, row->public_part, row->public_len);
    if (row->state == KS_KEY_DELETED) {
        o->st = TDSA_FAIL(o->err, TDSA_E_NOT_FOUND, "key %s was deleted", row->key_id);
    } else if (row->epoch != o->epoch) {
        o->other = true;
        o->st = TDSA_FAIL(o->err, TDSA_E_NOT_FOUND, "key %s has epoch %u, not %u", row->key_id,
                          row->epoch, o->epoch);
        return true;
    } else if (row->sealed_len == 0 &&
               (row->state == KS_KEY_REGISTERED || row->state == KS_KEY_PENDING)) {
        o->st = TDSA_FAIL(o->err, TDSA_E_NOT_FOUND, "key %s has no share yet", row->key_id);
    } else {
        o->st = ks_unseal_row(o->s, o->plain, &place, row->sealed, row->sealed_len, o->err);
        if (o->st != TDSA_OK) {
            o->st = tdsa_err_wrap(o->err, "key %s", row->key_id);
        }
    }
    return false;
}

tdsa_status ks_key_open(ks *s, const char *key_id, uint32_t epoch, tdsa_secret **out, tdsa_err *err)
{
    TDSA_SCOPED_BUF plain = TDSA_BUF_EMPTY;
    open_one o = {s, epoch, &plain, err, TDSA_OK, false};
    tdsa_status st = ks_check_key_id(key_id, err);

    *out = NULL;
    if (st != TDSA_OK) {
        return st;
    }
    for (ks_keyed r = ks_keyed_of(s); ks_keyed_next(&r, &st, err);) {
        tdsa_buf_clear(&plain);
        o = (open_one){s, epoch, &plain, err, TDSA_OK, false};
        st = s->backend->ops->key_get(s->backend, key_id, open_share, &o, err);
        if (st == TDSA_OK && o.other) {
            st =
                s->backend->ops->key_rows(s->backend, key_id, (ks_key_state)0, open_share, &o, err);
        }
    }
    ks_leave(s);
    if (st == TDSA_OK) {
        st = o.st;
    }
    if (st == TDSA_OK) {
        st = tdsa_secret_copy(out, plain.data, plain.len, err);
    }
    return st;
}
