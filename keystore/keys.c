#include "keystore/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define KEY_TABLE "key"
/* Rows fetched at a time, so that a caller's function runs without the lock. */
#define PAGE_ROWS 32u

void ks_key_free(ks_key *k)
{
    if (k != NULL) {
        free(k->public_part);
        free(k->attrs);
        free(k);
    }
}

static bool copy_bytes(uint8_t **out, size_t *out_len, const uint8_t *bytes, size_t len)
{
    *out = NULL;
    *out_len = 0;
    if (len == 0) {
        return true;
    }
    *out = malloc(len);
    if (*out == NULL) {
        return false;
    }
    memcpy(*out, bytes, len);
    *out_len = len;
    return true;
}

/* The public columns of a row in memory of their own. */
tdsa_status ks_key_of_row(ks *s, ks_key **out, const ks_key_row *row, tdsa_err *err)
{
    ks_key *k = NULL;
    tdsa_status st = ks_refused(s, ks_check_key_row(row, err), err);

    *out = NULL;
    if (st != TDSA_OK) {
        return st;
    }
    k = calloc(1, sizeof *k);
    if (k == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for a key");
    }
    (void)strncpy(k->key_id, row->key_id, KS_KEY_ID_MAX);
    (void)strncpy(k->label, row->label, KS_LABEL_MAX);
    k->epoch = row->epoch;
    k->state = row->state;
    k->created_ms = row->created_ms;
    k->presignature_limit = row->presignature_limit;
    if (!copy_bytes(&k->public_part, &k->public_len, row->public_part, row->public_len) ||
        !copy_bytes(&k->attrs, &k->attrs_len, row->attrs, row->attrs_len)) {
        ks_key_free(k);
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for a key");
    }
    *out = k;
    return TDSA_OK;
}

ks_seal_place ks_key_place(const char *key_id, uint32_t epoch, const uint8_t *public_part,
                           size_t public_len)
{
    return (ks_seal_place){KEY_TABLE, key_id, strlen(key_id), epoch, public_part, public_len};
}

static tdsa_status check_label(const char *label, tdsa_err *err)
{
    if (strnlen(label, KS_LABEL_MAX + 1) > KS_LABEL_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a label has at most %u bytes", KS_LABEL_MAX);
    }
    return TDSA_OK;
}

static tdsa_status check_attrs(const uint8_t *attrs, size_t len, tdsa_err *err)
{
    if (len > KS_ATTRS_MAX || (attrs == NULL && len > 0)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the attributes of a key have at most %u bytes",
                         KS_ATTRS_MAX);
    }
    return TDSA_OK;
}

static tdsa_status check_public(const uint8_t *public_part, size_t len, tdsa_err *err)
{
    if (len > KS_PUBLIC_MAX || (public_part == NULL && len > 0)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the public part of a key has at most %u bytes",
                         KS_PUBLIC_MAX);
    }
    return TDSA_OK;
}

static tdsa_status check_limit(int64_t limit, tdsa_err *err)
{
    if (limit < -1) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a presignature limit is -1 (none) or more");
    }
    return TDSA_OK;
}

tdsa_status ks_key_to_row(ks_key_row *row, const ks_key *k, ks_key_state state, tdsa_err *err)
{
    tdsa_status st = ks_check_key_id(k->key_id, err);

    memset(row, 0, sizeof *row);
    if (st == TDSA_OK) {
        st = check_label(k->label, err);
    }
    if (st == TDSA_OK) {
        st = check_public(k->public_part, k->public_len, err);
    }
    if (st == TDSA_OK) {
        st = check_attrs(k->attrs, k->attrs_len, err);
    }
    if (st == TDSA_OK) {
        st = check_limit(k->presignature_limit, err);
    }
    row->key_id = k->key_id;
    row->epoch = k->epoch;
    row->state = state;
    row->label = k->label;
    row->created_ms = k->created_ms;
    row->presignature_limit = k->presignature_limit;
    row->public_part = k->public_part;
    row->public_len = k->public_len;
    row->attrs = k->attrs;
    row->attrs_len = k->attrs_len;
    return st;
}

tdsa_status ks_key_register(ks *s, const ks_key *k, tdsa_err *err)
{
    ks_key_row row;
    tdsa_status st = ks_key_to_row(&row, k, KS_KEY_REGISTERED, err);

    if (st != TDSA_OK) {
        return st;
    }
    ks_enter(s);
    return ks_leave_commit(s, s->backend->ops->key_insert(s->backend, &row, err));
}

tdsa_status ks_key_store(ks *s, const char *key_id, uint32_t epoch, const uint8_t *public_part,
                         size_t public_len, const tdsa_secret *share, tdsa_err *err)
{
    const ks_seal_place place = ks_key_place(key_id, epoch, public_part, public_len);
    TDSA_SCOPED_BUF sealed = TDSA_BUF_EMPTY;
    ks_key_row row = {0};
    tdsa_status st = ks_check_key_id(key_id, err);

    if (st == TDSA_OK) {
        st = check_public(public_part, public_len, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    row.key_id = key_id;
    row.epoch = epoch;
    row.state = KS_KEY_PENDING;
    row.public_part = public_part;
    row.public_len = public_len;
    for (ks_keyed k = ks_keyed_of(s); ks_keyed_next(&k, &st, err);) {
        tdsa_buf_clear(&sealed);
        st = ks_seal_row(s, &sealed, &place, tdsa_secret_view(share), tdsa_secret_len(share), err);
        row.sealed = sealed.data;
        row.sealed_len = sealed.len;
        if (st == TDSA_OK) {
            st = s->backend->ops->key_update(s->backend, &row, KS_KEY_REGISTERED, err);
        }
    }
    return ks_leave_commit(s, st);
}

tdsa_status ks_key_move(ks *s, const char *key_id, uint32_t epoch, ks_key_state from,
                        ks_key_state to, tdsa_err *err)
{
    const ks_backend_ops *ops = s->backend->ops;
    ks_key_row row = {0};
    tdsa_status st = ks_check_key_id(key_id, err);

    if (st != TDSA_OK) {
        return st;
    }
    if (from == KS_KEY_PENDING && to == KS_KEY_ACTIVE) {
        ks_enter(s);
        return ks_leave_commit(s, ops->key_move(s->backend, key_id, epoch, from, to, err));
    }
    if (from == KS_KEY_PENDING && to == KS_KEY_REGISTERED) {
        /* an abandoned generation: the half-made share goes with it */
        row.key_id = key_id;
        row.epoch = epoch;
        row.state = to;
        ks_enter(s);
        return ks_leave_commit(s, ops->key_update(s->backend, &row, from, err));
    }
    return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a key does not move from state %d to %d", (int)from,
                     (int)to);
}

typedef struct {
    ks *s;
    ks_key *key;
    tdsa_err *err;
    tdsa_status st;
} get_one;

static bool take_key(void *ctx, const ks_key_row *row)
{
    get_one *got = ctx;

    got->st = ks_key_of_row(got->s, &got->key, row, got->err);
    return false;
}

tdsa_status ks_key_get(ks *s, const char *key_id, ks_key **out, tdsa_err *err)
{
    get_one got = {s, NULL, err, TDSA_OK};
    tdsa_status st = ks_check_key_id(key_id, err);

    *out = NULL;
    if (st != TDSA_OK) {
        return st;
    }
    ks_enter(s);
    st = s->backend->ops->key_get(s->backend, key_id, take_key, &got, err);
    ks_leave(s);
    if (st == TDSA_OK) {
        st = got.st;
    }
    if (st == TDSA_OK) {
        *out = got.key;
    }
    return st;
}

tdsa_status ks_key_set_attrs(ks *s, const char *key_id, const char *label, const uint8_t *attrs,
                             size_t attrs_len, tdsa_err *err)
{
    tdsa_status st = ks_check_key_id(key_id, err);

    if (st == TDSA_OK) {
        st = check_label(label, err);
    }
    if (st == TDSA_OK) {
        st = check_attrs(attrs, attrs_len, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    ks_enter(s);
    return ks_leave_commit(
        s, s->backend->ops->key_set_attrs(s->backend, key_id, label, attrs, attrs_len, err));
}

tdsa_status ks_key_set_limit(ks *s, const char *key_id, int64_t limit, tdsa_err *err)
{
    tdsa_status st = ks_check_key_id(key_id, err);

    if (st == TDSA_OK) {
        st = check_limit(limit, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    ks_enter(s);
    return ks_leave_commit(s, s->backend->ops->key_set_limit(s->backend, key_id, limit, err));
}

typedef struct {
    ks *s;
    ks_key *rows[PAGE_ROWS];
    size_t count;
    uint64_t change; /* of the last row */
    tdsa_err *err;
    tdsa_status st;
} page;

static bool take_page_row(void *ctx, const ks_key_row *row)
{
    page *p = ctx;

    TDSA_ASSERT(p->count < PAGE_ROWS);
    p->st = ks_key_of_row(p->s, &p->rows[p->count], row, p->err);
    if (p->st != TDSA_OK) {
        return false;
    }
    p->change = row->change;
    p->count++;
    return true;
}

static page empty_page(ks *s, tdsa_err *err)
{
    return (page){.s = s, .err = err, .st = TDSA_OK};
}

/* label NULL: any */
static tdsa_status fetch_page(ks *s, page *p, const char *label, const ks_key_page *which,
                              tdsa_err *err)
{
    const ks_backend_ops *ops = s->backend->ops;
    tdsa_status st;

    *p = empty_page(s, err);
    ks_enter(s);
    if (label != NULL) {
        st = ops->key_labelled(s->backend, label, which, take_page_row, p, err);
    } else {
        st = ops->key_each(s->backend, which->after, which->limit, take_page_row, p, err);
    }
    ks_leave(s);
    return st == TDSA_OK ? p->st : st;
}

/* Hands the rows of a page to the caller and frees them; false when the caller wants no more. */
static bool give_page(page *p, bool ok, ks_key_fn fn, void *ctx)
{
    bool more = ok;

    for (size_t i = 0; i < p->count; i++) {
        more = more && fn(ctx, p->rows[i]);
        ks_key_free(p->rows[i]);
    }
    return more;
}

static tdsa_status each(ks *s, const char *label, const ks_key_page *which, ks_key_fn fn, void *ctx,
                        tdsa_err *err)
{
    char last[KS_KEY_ID_MAX + 1] = "";
    tdsa_status st = TDSA_OK;
    size_t left = which->limit;
    bool more = true;

    if (which->after != NULL) {
        (void)strncpy(last, which->after, KS_KEY_ID_MAX);
    }
    while (more && left > 0) {
        const ks_key_page next = {last, left < PAGE_ROWS ? left : PAGE_ROWS};
        page p;

        st = fetch_page(s, &p, label, &next, err);
        left -= p.count < left ? p.count : left;
        more = st == TDSA_OK && p.count == next.limit;
        if (p.count > 0) {
            memcpy(last, p.rows[p.count - 1]->key_id, sizeof last);
        }
        more = give_page(&p, st == TDSA_OK, fn, ctx) && more;
    }
    return st;
}

tdsa_status ks_key_each(ks *s, const char *after, size_t limit, ks_key_fn fn, void *ctx,
                        tdsa_err *err)
{
    const ks_key_page which = {after, limit};

    return each(s, NULL, &which, fn, ctx, err);
}

tdsa_status ks_key_each_labelled(ks *s, const char *label, const char *after, size_t limit,
                                 ks_key_fn fn, void *ctx, tdsa_err *err)
{
    const ks_key_page which = {after, limit};

    return each(s, label, &which, fn, ctx, err);
}

/* Up to what the counter is now: whoever reads it before each call misses nothing. */
static tdsa_status begin_changes(ks *s, uint64_t since, ks_key_changes *out, tdsa_err *err)
{
    const ks_backend_ops *ops = s->backend->ops;
    uint64_t from = 0;
    tdsa_status st;

    *out = (ks_key_changes){.limit = PAGE_ROWS};
    ks_enter(s);
    st = ops->change_counter(s->backend, &out->upto, err);
    if (st == TDSA_OK) {
        st = ops->counter_get(s->backend, KS_COUNTER_CHANGES_FROM, &from, err);
    }
    out->after = since - s->change_shift;
    if (st == TDSA_OK && (since < s->change_shift || out->after < from || out->after > out->upto)) {
        st = TDSA_FAIL(err, TDSA_E_CONFLICT, "which keys changed since %llu is not known: read all",
                       (unsigned long long)since);
    }
    ks_leave(s);
    return st;
}

tdsa_status ks_key_each_changed(ks *s, uint64_t since, ks_key_fn fn, void *ctx, tdsa_err *err)
{
    ks_key_changes which;
    tdsa_status st = begin_changes(s, since, &which, err);
    bool more = st == TDSA_OK;

    while (more) {
        page p = empty_page(s, err);

        ks_enter(s);
        st = s->backend->ops->key_changed(s->backend, &which, take_page_row, &p, err);
        ks_leave(s);
        st = st == TDSA_OK ? p.st : st;
        more = st == TDSA_OK && p.count == which.limit;
        which.after = p.change;
        more = give_page(&p, st == TDSA_OK, fn, ctx) && more;
    }
    return st;
}

tdsa_status ks_key_delete(ks *s, const char *key_id, bool tombstone, tdsa_err *err)
{
    tdsa_status st = ks_check_key_id(key_id, err);

    if (st != TDSA_OK) {
        return st;
    }
    ks_enter(s);
    return ks_leave_commit(s, s->backend->ops->key_delete(s->backend, key_id, tombstone, err));
}
