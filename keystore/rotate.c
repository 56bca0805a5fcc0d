#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/failpoint.h"
#include "keystore/internal.h"

/*
 * A rotation: a new data key, stored beside the current one, which becomes old; every row that is under the
 * old one, sealed again in chunks; the old key's row deleted; the chained form of the new one deleted. Each
 * step is one commit, and what is left to do can be seen in the database, so that any process can go on.
 */

#define CHUNK_USUAL 32u
#define CHUNK_MAX   64u
#define CHUNK_BYTES (4u << 20)

/* One row of a chunk. */
typedef struct {
    ks_reseal r;
    char id[KS_META_NAME_MAX + KS_KEY_ID_MAX + 1];
    uint8_t beta[KS_BETA_LEN];
    uint8_t object[KS_OBJECT_ID_LEN];
    tdsa_buf was, now;
} piece;

typedef struct {
    ks *s;
    ks_rotation *r;
    ks_data_key from, to; /* own copies; from.secret NULL: rows in clear */
    uint8_t head[KS_SEAL_HEAD_LEN];
    uint64_t done, total;
    ks_sealed_table table;
    char after[KS_META_NAME_MAX + KS_KEY_ID_MAX + 1]; /* the last row that was looked at */
    uint32_t after_epoch;
    uint8_t after_beta[KS_BETA_LEN];
    bool after_any; /* after_object is one */
    uint8_t after_object[KS_OBJECT_ID_LEN];
    size_t seen, count, bytes;
    piece chunk[CHUNK_MAX];
    tdsa_err *err;
    tdsa_status st;
} rotation;

static const ks_data_key *from_of(const rotation *t)
{
    return t->from.secret != NULL ? &t->from : NULL;
}

/* The same of an object. */
static tdsa_status place_of_object(rotation *t, const ks_object_row *o, ks_seal_place *place,
                                   tdsa_buf *bound)
{
    uint8_t *room = tdsa_buf_extend(bound, sizeof o->created_ms);

    if (room == NULL) {
        return TDSA_FAIL(t->err, TDSA_E_NO_MEMORY, "no memory for a rotation");
    }
    if (o->id == NULL) {
        return TDSA_FAIL(t->err, TDSA_E_STORE, "a sealed object has no id: restore a backup");
    }
    memcpy(t->after_object, o->id, sizeof t->after_object);
    t->after_any = true;
    *place = ks_object_place(room, t->after_object, o->created_ms);
    return TDSA_OK;
}

/* What names the row, and where its record belongs. */
static tdsa_status place_of(rotation *t, const ks_sealed_row *row, ks_seal_place *place,
                            tdsa_buf *bound)
{
    const char *const name = row->table == KS_SEALED_KEY     ? row->key.key_id
                             : row->table == KS_SEALED_BATCH ? row->batch.key_id
                                                             : row->name;

    if (row->table == KS_SEALED_OBJECT) {
        return place_of_object(t, &row->object, place, bound);
    }
    if (name == NULL) {
        return TDSA_FAIL(t->err, TDSA_E_STORE, "a sealed row has no name: restore a backup");
    }
    switch (row->table) {
    case KS_SEALED_KEY:
        (void)strncpy(t->after, name, sizeof t->after - 1);
        t->after_epoch = row->key.epoch;
        *place = ks_key_place(t->after, row->key.epoch, row->key.public_part, row->key.public_len);
        return TDSA_OK;
    case KS_SEALED_BATCH:
        memcpy(t->after_beta, row->batch.beta, KS_BETA_LEN);
        return ks_batch_place(place, bound, &row->batch, t->err);
    case KS_SEALED_META:
        (void)strncpy(t->after, name, sizeof t->after - 1);
        *place = ks_meta_place(t->after);
        return TDSA_OK;
    case KS_SEALED_OBJECT:
        break;
    }
    return TDSA_FAIL(t->err, TDSA_E_INTERNAL, "a row of no table");
}

static void keep_place(const rotation *t, piece *p)
{
    memcpy(p->id, t->after, sizeof p->id);
    memcpy(p->beta, t->after_beta, sizeof p->beta);
    memcpy(p->object, t->after_object, sizeof p->object);
    p->r = (ks_reseal){.table = t->table,
                       .id = p->id,
                       .epoch = t->after_epoch,
                       .beta = p->beta,
                       .object = p->object,
                       .was = p->was.data,
                       .was_len = p->was.len,
                       .now = p->now.data,
                       .now_len = p->now.len};
}

/* What to do about a record that does not open under the old key; false: nothing. */
static bool take_damaged(rotation *t)
{
    if (t->table == KS_SEALED_META) {
        t->st = TDSA_OK; /* a value that is not sealed */
        return false;
    }
    if (t->table == KS_SEALED_BATCH || t->table == KS_SEALED_OBJECT) {
        t->st = TDSA_OK; /* nobody can use it: what is left of it goes */
        t->r->damaged++;
        tdsa_logf(t->s->log, TDSA_LOG_WARN, KS_LOGGER, "%s that does not open is emptied: %s",
                  t->table == KS_SEALED_BATCH ? "a batch" : "an object", t->err->text);
        return true;
    }
    t->st = TDSA_FAIL(t->err, TDSA_E_STORE,
                      "the share of key %.64s, epoch %u, does not open under data key %u, which is "
                      "kept: restore or delete the key, then go on",
                      t->after, t->after_epoch, t->from.number);
    return false;
}

/* Seals one row again, into the chunk; inside. */
static bool take_row(void *ctx, const ks_sealed_row *row)
{
    rotation *t = ctx;
    piece *p = &t->chunk[t->count];
    TDSA_SCOPED_BUF bound = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF plain = TDSA_BUF_EMPTY;
    ks_seal_place place = {.table = ""};

    t->seen++;
    t->st = place_of(t, row, &place, &bound);
    if (t->st != TDSA_OK) {
        return false;
    }
    t->st = ks_unseal(&plain, from_of(t), &place, row->sealed, row->sealed_len, t->err);
    if (t->st == TDSA_OK) {
        t->st = ks_seal(&p->now, &t->to, &t->s->rng, &place, plain.data, plain.len, t->err);
    } else if (t->st == TDSA_E_STORE && !take_damaged(t)) {
        return t->st == TDSA_OK;
    }
    if (t->st == TDSA_OK) {
        tdsa_buf_append(&p->was, row->sealed, row->sealed_len);
        t->st = tdsa_buf_check(&p->was, t->err);
    }
    if (t->st != TDSA_OK) {
        return false;
    }
    keep_place(t, p);
    t->count++;
    t->bytes += row->sealed_len;
    return t->bytes < CHUNK_BYTES;
}

static void clear_chunk(rotation *t)
{
    for (size_t i = 0; i < CHUNK_MAX; i++) {
        tdsa_buf_clear(&t->chunk[i].was);
        tdsa_buf_clear(&t->chunk[i].now);
    }
    t->count = 0;
    t->seen = 0;
    t->bytes = 0;
}

static tdsa_status store_chunk(rotation *t)
{
    ks *s = t->s;
    ks_reseal rows[CHUNK_MAX];
    tdsa_status st;

    for (size_t i = 0; i < t->count; i++) {
        rows[i] = t->chunk[i].r;
    }
    ks_enter(s);
    st = s->backend->ops->reseal(s->backend, t->to.number, rows, t->count, t->err);
    st = ks_leave_commit(s, st);
    if (st == TDSA_OK) {
        t->r->rows += t->count;
        t->done += t->table != KS_SEALED_META ? t->count : 0;
        TDSA_FAILPOINT("data_key.after_reseal");
    }
    return st;
}

static tdsa_status run_chunk(rotation *t)
{
    const uint32_t wanted = t->r->rows_per_commit == 0 ? CHUNK_USUAL : t->r->rows_per_commit;
    const ks_sealed_query q = {t->table,
                               t->head,
                               t->after,
                               t->after_epoch,
                               t->after_beta,
                               t->after_any ? t->after_object : NULL,
                               wanted < CHUNK_MAX ? wanted : CHUNK_MAX};
    ks *s = t->s;
    tdsa_status st;

    clear_chunk(t);
    ks_enter(s);
    st = s->backend->ops->sealed_each(s->backend, &q, take_row, t, t->err);
    ks_leave(s);
    st = st == TDSA_OK ? t->st : st;
    if (st == TDSA_OK && t->count > 0) {
        st = store_chunk(t);
    }
    if (t->r->progress != NULL && st == TDSA_OK) {
        t->r->progress(t->r->ctx, t->done < t->total ? t->done : t->total, t->total);
    }
    return st;
}

static tdsa_status seal_all(rotation *t)
{
    static const ks_sealed_table tables[] = {KS_SEALED_KEY, KS_SEALED_BATCH, KS_SEALED_META,
                                             KS_SEALED_OBJECT};
    ks *s = t->s;
    tdsa_status st;

    ks_seal_head(t->head, t->to.number);
    ks_enter(s);
    st = s->backend->ops->sealed_count(s->backend, t->head, &t->total, t->err);
    ks_leave(s);
    for (size_t i = 0; st == TDSA_OK && i < sizeof tables / sizeof tables[0]; i++) {
        t->table = tables[i];
        memset(t->after, 0, sizeof t->after);
        memset(t->after_beta, 0, sizeof t->after_beta);
        t->after_epoch = 0;
        do {
            st = run_chunk(t);
        } while (st == TDSA_OK && t->seen > 0);
    }
    clear_chunk(t);
    return st;
}

static void pause_ms(uint32_t ms)
{
    struct timespec left = {ms / 1000, (long)(ms % 1000) * 1000000L};

    while (ms > 0 && nanosleep(&left, &left) != 0) {
    }
}

/* The last steps: the old key goes, and after some time the way to the new one by it. */
static tdsa_status finish(rotation *t)
{
    ks *s = t->s;
    tdsa_status st = TDSA_OK;

    ks_enter(s);
    st = s->backend->ops->data_key_drop(s->backend, t->from.number, t->head, t->err);
    if (st == TDSA_OK) { /* the old key in memory goes too */
        s->stale = true;
        (void)ks_ring_follow(s);
    }
    st = ks_leave_commit(s, st);
    TDSA_FAILPOINT("data_key.after_drop");
    return st;
}

static tdsa_status unchain(ks *s, uint32_t number, tdsa_err *err)
{
    tdsa_status st;

    ks_enter(s);
    st = ks_leave_commit(s, s->backend->ops->data_key_unchain(s->backend, number, err));
    TDSA_FAILPOINT("data_key.after_unchain");
    return st;
}

tdsa_status ks_seal_all(ks *s, ks_rotation *r, const ks_ring *keys, tdsa_err *err)
{
    rotation *t = calloc(1, sizeof *t);
    tdsa_status st;

    if (t == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for a rotation");
    }
    t->s = s;
    t->r = r;
    t->err = err;
    t->from = keys->old;
    t->to = keys->current;
    st = seal_all(t);
    if (st == TDSA_OK) {
        st = finish(t);
    }
    free(t);
    if (st == TDSA_OK) {
        pause_ms(r->follow_ms);
        st = unchain(s, keys->current.number, err);
    }
    return st;
}

/* The keys of a rotation, for the rows of this process too; inside. */
static void keep_copies(ks *s, const ks_ring *keys)
{
    ks_ring ring = {.takes_clear = keys->old.number == KS_SEAL_CLEAR};
    tdsa_err err;

    s->stale = true; /* or it follows when it must */
    if (ks_data_key_copy(&ring.current, &keys->current, &err) == TDSA_OK &&
        ks_data_key_copy(&ring.old, &keys->old, &err) == TDSA_OK) {
        s->stale = ks_key_keep(s, &ring, &err) != TDSA_OK;
    }
    ks_ring_clear(&ring);
}

tdsa_status ks_rotation_begin(ks *s, const ks_encryptor_use *use, ks_ring *keys, tdsa_err *err)
{
    TDSA_SCOPED_BUF wrapped = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF chained = TDSA_BUF_EMPTY;
    ks_data_key_row row = {.state = KS_DATA_KEY_CURRENT};
    tdsa_status st;

    keys->old = keys->current;
    keys->current = (ks_data_key){0, NULL};
    if (keys->old.number == UINT32_MAX) {
        return TDSA_FAIL(err, TDSA_E_LIMIT, "there are no numbers left for data keys");
    }
    st = ks_data_key_make(s, &keys->current, keys->old.number + 1, err);
    if (st == TDSA_OK) {
        st = ks_data_key_wrap(use, &keys->current, &wrapped, err);
    }
    if (st == TDSA_OK && keys->old.secret != NULL) {
        st = ks_chain_put(s, &chained, &keys->old, &keys->current, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    row.number = keys->current.number;
    row.wrapped = wrapped.data;
    row.wrapped_len = wrapped.len;
    row.chained = chained.data;
    row.chained_len = chained.len;
    TDSA_FAILPOINT("data_key.before_rotation");
    ks_enter(s);
    st = s->backend->ops->data_key_add(s->backend, &row, err);
    if (st == TDSA_OK) {
        s->rows_clear = false;
        keep_copies(s, keys);
    }
    st = ks_leave_commit(s, st);
    TDSA_FAILPOINT("data_key.after_add");
    return st;
}

/* What an earlier rotation left: the old key's row, or only the chained form. */
typedef struct {
    bool old, chained;
    uint32_t number;
} leftover;

static tdsa_status find_left(ks *s, leftover *out, tdsa_err *err)
{
    ks_stored_keys rows = {.count = 0};
    const ks_stored_key *current = NULL;
    tdsa_status st;

    ks_enter(s);
    st = ks_stored_keys_read(s, &rows, err);
    ks_leave(s);
    current = ks_stored_key_in(&rows, KS_DATA_KEY_CURRENT);
    *out = (leftover){ks_stored_key_in(&rows, KS_DATA_KEY_OLD) != NULL, false, 0};
    if (current != NULL) {
        out->chained = current->chained.len > 0;
        out->number = current->number;
    }
    ks_stored_keys_clear(&rows);
    return st;
}

/* The keys, and where there is no rotation to go on with a new one; the encryptor is asked. */
static tdsa_status prepare(ks *s, ks_rotation *r, ks_ring *keys, leftover *left, tdsa_err *err)
{
    const ks_encryptor_use use = {s->encryptor, r->pin, r->pin_len};
    tdsa_status st = ks_data_key_get(s, r->pin, r->pin_len, keys, err);

    if (st == TDSA_OK) {
        st = find_left(s, left, err);
    }
    r->resumed = st == TDSA_OK && (left->old || left->chained);
    if (st == TDSA_OK && !r->resumed) {
        st = ks_rotation_begin(s, &use, keys, err);
    }
    r->number = keys->current.number;
    return st;
}

tdsa_status ks_rotate_data_key(ks *s, ks_rotation *r, tdsa_err *err)
{
    ks_ring keys = {.takes_clear = false};
    leftover left = {false, false, 0};
    tdsa_status st;

    r->resumed = false;
    r->rows = 0;
    r->damaged = 0;
    TDSA_ASSERT(pthread_mutex_lock(&s->unlock_mu) == 0);
    st = s->rows_clear ? TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                                   "the rows are not encrypted, so there is no data key: use "
                                   "tdsa keystore change-encryptor")
                       : prepare(s, r, &keys, &left, err);
    TDSA_ASSERT(pthread_mutex_unlock(&s->unlock_mu) == 0);
    if (st == TDSA_OK && left.chained && !left.old) {
        st = unchain(s, left.number, err);
    } else if (st == TDSA_OK) {
        st = ks_seal_all(s, r, &keys, err);
    }
    ks_ring_clear(&keys);
    return st;
}
