#include <string.h>

#include "base/assert.h"
#include "base/encode.h"
#include "keystore/internal.h"

#define OBJECT_TABLE "object"
/* Rows fetched at a time, so that a caller's function runs without the lock. */
#define PAGE_ROWS 16u

ks_seal_place ks_object_place(uint8_t bound[sizeof(uint64_t)], const uint8_t id[KS_OBJECT_ID_LEN],
                              uint64_t created_ms)
{
    for (size_t i = 0; i < sizeof created_ms; i++) {
        bound[i] = (uint8_t)(created_ms >> (56 - 8 * i));
    }
    return (ks_seal_place){OBJECT_TABLE, id, KS_OBJECT_ID_LEN, 0, bound, sizeof created_ms};
}

static tdsa_status check_object(const ks_object *o, tdsa_err *err)
{
    if (o->len > KS_OBJECT_MAX || (o->bytes == NULL && o->len > 0)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "an object has at most %u bytes", KS_OBJECT_MAX);
    }
    if (o->created_ms > KS_SEQ_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "no time: %llu", (unsigned long long)o->created_ms);
    }
    return TDSA_OK;
}

tdsa_status ks_object_put(ks *s, const ks_object *o, tdsa_err *err)
{
    TDSA_SCOPED_BUF record = TDSA_BUF_EMPTY;
    uint8_t bound[sizeof o->created_ms];
    const ks_seal_place place = ks_object_place(bound, o->id, o->created_ms);
    ks_object_row row = {.id = o->id, .created_ms = o->created_ms, .is_sealed = o->sealed};
    tdsa_status st = check_object(o, err);

    if (st != TDSA_OK) {
        return st;
    }
    for (ks_keyed k = ks_keyed_of(s); ks_keyed_next_when(&k, o->sealed, &st, err);) {
        if (o->sealed) {
            tdsa_buf_clear(&record);
            st = ks_seal_row(s, &record, &place, o->bytes, o->len, err);
            row.sealed = record.data;
            row.sealed_len = record.len;
        } else {
            row.value = o->bytes;
            row.value_len = o->len;
        }
        if (st == TDSA_OK) {
            st = s->backend->ops->object_put(s->backend, &row, err);
        }
    }
    return ks_leave_commit(s, st);
}

tdsa_status ks_object_delete(ks *s, const uint8_t id[KS_OBJECT_ID_LEN], tdsa_err *err)
{
    ks_enter(s);
    return ks_leave_commit(s, s->backend->ops->object_delete(s->backend, id, err));
}

/* ---- listing ---- */

/* Behind which row; any false: from the start. */
typedef struct {
    bool any;
    uint64_t created_ms;
    uint8_t id[KS_OBJECT_ID_LEN];
} cursor;

typedef struct {
    ks *s;
    bool keyed;     /* this time sealed rows are opened */
    bool wants_key; /* there is one */
    bool moved;     /* `last` is behind `after` */
    cursor after, last;
    size_t seen, damaged, count;
    ks_object objects[PAGE_ROWS];
    tdsa_buf bytes[PAGE_ROWS];
    tdsa_err *err;
    tdsa_status st;
} page;

static bool is_behind(const ks_object_row *row, const cursor *c)
{
    return !c->any || row->created_ms > c->created_ms ||
           (row->created_ms == c->created_ms && memcmp(row->id, c->id, sizeof c->id) > 0);
}

/* A row that has a place behind the last one; the cursor moves to it whatever else is in it. */
static bool take_place(page *p, const ks_object_row *row)
{
    if (row->id == NULL || row->created_ms > KS_SEQ_MAX || !is_behind(row, &p->last)) {
        return false;
    }
    p->last = (cursor){.any = true, .created_ms = row->created_ms};
    memcpy(p->last.id, row->id, sizeof p->last.id);
    p->moved = true;
    return true;
}

/* Says whose record was refused. */
static void pass_over(const page *p, const ks_object_row *row)
{
    char id[2 * KS_OBJECT_ID_LEN + 1];

    tdsa_hex(id, row->id, KS_OBJECT_ID_LEN);
    tdsa_logf(p->s->log, TDSA_LOG_WARN, KS_LOGGER, "object %s does not open and is passed over",
              id);
}

/* The bytes of a row; false: it is not given. */
static bool open_row(page *p, const ks_object_row *row, tdsa_buf *out)
{
    uint8_t bound[sizeof row->created_ms];
    const ks_seal_place place = ks_object_place(bound, row->id, row->created_ms);

    if (!row->is_sealed) {
        tdsa_buf_append(out, row->value, row->value_len);
        p->st = tdsa_buf_check(out, p->err);
        return p->st == TDSA_OK;
    }
    if (!p->s->unlocked) {
        return true;
    }
    p->st = ks_need_key(p->s, p->err);
    if (p->st != TDSA_OK) {
        return false;
    }
    p->st = ks_unseal_row(p->s, out, &place, row->sealed, row->sealed_len, p->err);
    if (p->st == TDSA_E_STORE && !p->s->stale) {
        p->st = TDSA_OK;
        pass_over(p, row);
        return false;
    }
    return p->st == TDSA_OK;
}

static bool take_row(void *ctx, const ks_object_row *row)
{
    page *p = ctx;
    ks_object *o = &p->objects[p->count];
    tdsa_buf *bytes = &p->bytes[p->count];

    TDSA_ASSERT(p->seen < PAGE_ROWS);
    p->seen++;
    if (!take_place(p, row) || ks_check_object_row(row, p->err) != TDSA_OK) {
        p->damaged++;
        return true;
    }
    if (row->is_sealed && row->sealed_len == 0) {
        return true; /* a rotation emptied it */
    }
    if (row->is_sealed && p->s->unlocked && !p->keyed) {
        p->wants_key = true;
        return false;
    }
    if (!open_row(p, row, bytes)) {
        return p->st == TDSA_OK;
    }
    *o = (ks_object){.sealed = row->is_sealed, .created_ms = row->created_ms};
    memcpy(o->id, row->id, sizeof o->id);
    if (!row->is_sealed || p->s->unlocked) {
        o->bytes = bytes->len > 0 ? bytes->data : (const uint8_t *)"";
        o->len = bytes->len;
    }
    p->count++;
    return true;
}

static void clear_page(page *p)
{
    for (size_t i = 0; i < PAGE_ROWS; i++) {
        tdsa_buf_clear(&p->bytes[i]);
    }
    p->last = p->after;
    p->moved = false;
    p->seen = 0;
    p->damaged = 0;
    p->count = 0;
    p->wants_key = false;
    p->st = TDSA_OK;
}

static void count_damaged(const page *p)
{
    if (p->damaged > 0) {
        p->s->stats.rows_refused += p->damaged;
        tdsa_logf(p->s->log, TDSA_LOG_ERROR, KS_LOGGER,
                  "%zu damaged rows of table object are passed over", p->damaged);
    }
}

static tdsa_status read_page(page *p, bool keyed)
{
    const ks_object_query q = {p->after.created_ms, p->after.any ? p->after.id : NULL, PAGE_ROWS};
    ks *s = p->s;
    tdsa_status st = TDSA_OK;

    p->keyed = keyed;
    for (ks_keyed k = ks_keyed_of(s); ks_keyed_next_when(&k, keyed, &st, p->err);) {
        clear_page(p);
        st = s->backend->ops->object_each(s->backend, &q, take_row, p, p->err);
        st = st == TDSA_OK ? p->st : st;
    }
    if (st == TDSA_OK && !p->wants_key) {
        count_damaged(p);
    }
    ks_leave(s);
    return st;
}

/* The data key is asked for where there is something to open. */
static tdsa_status fetch_page(page *p, tdsa_err *err)
{
    tdsa_status st = read_page(p, false);

    if (st == TDSA_OK && p->wants_key) {
        st = read_page(p, true);
    }
    if (st == TDSA_OK && p->seen == PAGE_ROWS && !p->moved) {
        st = TDSA_FAIL(err, TDSA_E_STORE,
                       "table object is damaged: its rows have no order: restore a backup");
    }
    return st;
}

tdsa_status ks_object_each(ks *s, ks_object_fn fn, void *ctx, tdsa_err *err)
{
    page p = {.s = s, .err = err};
    tdsa_status st = TDSA_OK;
    bool more = true;

    while (more) {
        st = fetch_page(&p, err);
        more = st == TDSA_OK;
        for (size_t i = 0; i < p.count && more; i++) {
            more = fn(ctx, &p.objects[i]);
        }
        more = more && p.seen == PAGE_ROWS;
        p.after = p.last;
    }
    clear_page(&p);
    return st;
}
