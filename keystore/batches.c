#include "keystore/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/statement.h"

#define BATCH_TABLE "batch"
/* Damaged batches that one search passes over. */
#define REFUSED_MAX 16u
#define BLOCKS_MAX  (KS_BATCH_COUNT_MAX / KS_BLOCK_SIZE)

_Static_assert(KS_BATCH_COUNT_MAX % KS_BLOCK_SIZE == 0, "a batch has whole blocks");
_Static_assert(KS_BLOCK_SIZE == 64, "a block's mask is one 64-bit number");

void ks_batch_free(ks_batch *b)
{
    if (b != NULL) {
        if (b->data != NULL) {
            tdsa_wipe(b->data, b->data_len);
        }
        free(b->data);
        free(b);
    }
}

/* The columns that never change are bound to the sealed data. */
static tdsa_status bind_columns(tdsa_buf *out, const ks_batch_row *row, tdsa_err *err)
{
    tdsa_stmt_begin(out, "batch");
    tdsa_stmt_text(out, row->key_id);
    tdsa_stmt_uint(out, row->lane);
    tdsa_stmt_uint(out, row->seq);
    tdsa_stmt_uint(out, row->count);
    tdsa_stmt_uint(out, row->members);
    return tdsa_buf_check(out, err);
}

tdsa_status ks_batch_place(ks_seal_place *out, tdsa_buf *bound, const ks_batch_row *row,
                           tdsa_err *err)
{
    tdsa_status st = bind_columns(bound, row, err);

    *out =
        (ks_seal_place){BATCH_TABLE, row->beta, KS_BETA_LEN, row->epoch, bound->data, bound->len};
    return st;
}

static tdsa_status check_batch(const ks_batch *b, tdsa_err *err)
{
    tdsa_status st = ks_check_key_id(b->key_id, err);

    if (st != TDSA_OK) {
        return st;
    }
    if (b->count == 0 || b->count > KS_BATCH_COUNT_MAX || b->next > b->count) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a batch has 1 to %u presignatures, not %u",
                         KS_BATCH_COUNT_MAX, b->count);
    }
    if (b->seq > KS_SEQ_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the sequence number of a batch is too large");
    }
    if (b->data_len > KS_BATCH_DATA_MAX || (b->data == NULL && b->data_len > 0)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the data of a batch has at most %u bytes",
                         KS_BATCH_DATA_MAX);
    }
    if (b->state != KS_BATCH_MADE && b->state != KS_BATCH_FREE) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a new batch is MADE or FREE");
    }
    return TDSA_OK;
}

tdsa_status ks_batch_insert(ks *s, const ks_batch *b, tdsa_err *err)
{
    TDSA_SCOPED_BUF bound = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF sealed = TDSA_BUF_EMPTY;
    ks_batch_row row = {.beta = b->beta,
                        .key_id = b->key_id,
                        .epoch = b->epoch,
                        .state = b->state,
                        .lane = b->lane,
                        .seq = b->seq,
                        .count = b->count,
                        .next = b->next,
                        .members = b->members};
    ks_seal_place place;
    tdsa_status st = check_batch(b, err);

    if (st == TDSA_OK) {
        st = ks_batch_place(&place, &bound, &row, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    for (ks_keyed k = ks_keyed_of(s); ks_keyed_next(&k, &st, err);) {
        tdsa_buf_clear(&sealed);
        st = ks_seal_row(s, &sealed, &place, b->data, b->data_len, err);
        row.sealed = sealed.data;
        row.sealed_len = sealed.len;
        if (st == TDSA_OK) {
            st = s->backend->ops->batch_insert(s->backend, &row, err);
        }
    }
    return ks_leave_commit(s, st);
}

tdsa_status ks_batch_move(ks *s, const uint8_t beta[KS_BETA_LEN], ks_batch_state from,
                          ks_batch_state to, tdsa_err *err)
{
    /* never back: a VOID batch may have been used by somebody who saw it FREE */
    const bool legal = (from == KS_BATCH_MADE && (to == KS_BATCH_FREE || to == KS_BATCH_VOID)) ||
                       (from == KS_BATCH_FREE && to == KS_BATCH_VOID);

    if (!legal) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a batch does not move from state %d to %d",
                         (int)from, (int)to);
    }
    ks_enter(s);
    return ks_leave_commit(s, s->backend->ops->batch_move(s->backend, beta, from, to, err));
}

typedef struct {
    ks *s;
    ks_batch *batch;
    tdsa_err *err;
    tdsa_status st;
    bool refused; /* there was a row, and it is damaged */
    uint8_t beta[KS_BETA_LEN];
} take_one;

static tdsa_status open_row(ks *s, ks_batch *b, const ks_batch_row *row, tdsa_err *err)
{
    TDSA_SCOPED_BUF bound = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF plain = TDSA_BUF_EMPTY;
    ks_seal_place place;
    tdsa_status st = ks_batch_place(&place, &bound, row, err);

    if (st != TDSA_OK) {
        return st;
    }
    st = ks_unseal_row(s, &plain, &place, row->sealed, row->sealed_len, err);
    if (st != TDSA_OK || plain.len == 0) {
        return st;
    }
    b->data = malloc(plain.len);
    if (b->data == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for a batch");
    }
    memcpy(b->data, plain.data, plain.len);
    b->data_len = plain.len;
    return TDSA_OK;
}

static bool take_batch(void *ctx, const ks_batch_row *row)
{
    take_one *t = ctx;
    ks_batch *b = NULL;

    t->st = ks_refused(t->s, ks_check_batch_row(row, t->err), t->err);
    if (t->st != TDSA_OK) {
        t->refused = true;
        if (row->beta != NULL) {
            memcpy(t->beta, row->beta, KS_BETA_LEN);
        }
        return false;
    }
    memcpy(t->beta, row->beta, KS_BETA_LEN);
    b = calloc(1, sizeof *b);
    if (b == NULL) {
        t->st = TDSA_FAIL(t->err, TDSA_E_NO_MEMORY, "no memory for a batch");
        return false;
    }
    memcpy(b->beta, row->beta, KS_BETA_LEN);
    (void)strncpy(b->key_id, row->key_id, KS_KEY_ID_MAX);
    b->epoch = row->epoch;
    b->state = row->state;
    b->lane = row->lane;
    b->seq = row->seq;
    b->count = row->count;
    b->next = row->next;
    b->members = row->members;
    t->st = open_row(t->s, b, row, t->err);
    if (t->st != TDSA_OK) {
        t->refused = t->st == TDSA_E_STORE;
        ks_batch_free(b);
        return false;
    }
    t->batch = b;
    return false;
}

static tdsa_status first_batch(take_one *t, const ks_batch_query *q, const char *missing)
{
    tdsa_status st;

    for (ks_keyed k = ks_keyed_of(t->s); ks_keyed_next(&k, &st, t->err);) {
        ks_batch_free(t->batch);
        *t = (take_one){.s = t->s, .err = t->err};
        st = ks_need_key(t->s,
                         t->err); /* before a row: one that cannot be opened now is not damaged */
        if (st == TDSA_OK) {
            st = t->s->backend->ops->batch_each(t->s->backend, q, take_batch, t, t->err);
        }
    }
    ks_leave(t->s);
    if (st == TDSA_OK) {
        st = t->st;
    }
    if (st == TDSA_OK && t->batch == NULL) {
        return TDSA_FAIL(t->err, TDSA_E_NOT_FOUND, "%s", missing);
    }
    return st;
}

tdsa_status ks_batch_get(ks *s, const uint8_t beta[KS_BETA_LEN], ks_batch **out, tdsa_err *err)
{
    const ks_batch_query q = {.beta = beta, .any_epoch = true, .with_data = true, .limit = 1};
    take_one t = {.s = s, .err = err};
    tdsa_status st = first_batch(&t, &q, "no such batch of presignatures");

    *out = st == TDSA_OK ? t.batch : NULL;
    return st;
}

static void add_filter(ks_batch_query *q, const ks_batch_filter *filter)
{
    if (filter != NULL && filter->lane_to != 0) {
        q->lane_from = (int64_t)filter->lane_from;
        q->lane_to = (int64_t)filter->lane_to;
    }
    if (filter != NULL && filter->within != 0) {
        q->outside = ~filter->within;
    }
}

tdsa_status ks_batch_find(ks *s, const char *key_id, uint32_t epoch, const ks_batch_filter *filter,
                          ks_batch **out, tdsa_err *err)
{
    ks_batch_query q = {.key_id = key_id,
                        .state = KS_BATCH_FREE,
                        .unspent = true,
                        .with_data = true,
                        .epoch = epoch,
                        .limit = 1};
    tdsa_status st = ks_check_key_id(key_id, err);

    add_filter(&q, filter);
    *out = NULL;
    if (st != TDSA_OK) {
        return st;
    }
    /* A damaged batch becomes VOID, or it would stand before all later ones for ever. */
    for (unsigned i = 0; i < REFUSED_MAX; i++) {
        take_one t = {.s = s, .err = err};

        st = first_batch(&t, &q, "the key has no free presignatures");
        if (st == TDSA_OK) {
            *out = t.batch;
        }
        if (!t.refused || ks_batch_move(s, t.beta, KS_BATCH_FREE, KS_BATCH_VOID, err) != TDSA_OK) {
            break;
        }
    }
    return st;
}

/* Presignatures that nobody leased and nobody burnt; 0 in a damaged row. */
static uint32_t left_in(const ks_batch_row *row)
{
    uint32_t left = 0;

    if (row->next >= row->count || row->count > KS_BATCH_COUNT_MAX) {
        return 0;
    }
    for (uint32_t i = row->next; row->burnt != NULL && i < row->count; i++) {
        left += (row->burnt[i / KS_BLOCK_SIZE] >> (i % KS_BLOCK_SIZE) & 1) == 0 ? 1 : 0;
    }
    return left;
}

static bool add_available(void *ctx, const ks_batch_row *row)
{
    uint64_t *sum = ctx;

    *sum += left_in(row);
    return true;
}

typedef struct {
    ks_batch_fn fn;
    void *ctx;
} each_batch;

static bool give_info(void *ctx, const ks_batch_row *row)
{
    const each_batch *e = ctx;
    ks_batch_info b = {0};
    tdsa_err err;

    if (ks_check_batch_row(row, &err) != TDSA_OK) {
        return true;
    }
    memcpy(b.beta, row->beta, sizeof b.beta);
    (void)strncpy(b.key_id, row->key_id, KS_KEY_ID_MAX);
    b.epoch = row->epoch;
    b.state = row->state;
    b.lane = row->lane;
    b.seq = row->seq;
    b.count = row->count;
    b.next = row->next;
    b.members = row->members;
    b.left = left_in(row);
    if (row->burnt != NULL) {
        memcpy(b.burnt, row->burnt, sizeof b.burnt);
    }
    return e->fn(e->ctx, &b);
}

tdsa_status ks_batch_each(ks *s, const char *key_id, const ks_batch_filter *filter, ks_batch_fn fn,
                          void *ctx, tdsa_err *err)
{
    ks_batch_query q = {.key_id = key_id, .any_epoch = true, .with_burnt = true};
    each_batch e = {.fn = fn, .ctx = ctx};
    tdsa_status st = key_id == NULL ? TDSA_OK : ks_check_key_id(key_id, err);

    if (st != TDSA_OK) {
        return st;
    }
    add_filter(&q, filter);
    ks_enter(s);
    st = s->backend->ops->batch_each(s->backend, &q, give_info, &e, err);
    ks_leave(s);
    return st;
}

tdsa_status ks_batch_burnt(ks *s, const uint8_t beta[KS_BETA_LEN], uint32_t block, uint64_t *mask,
                           tdsa_err *err)
{
    tdsa_status st;

    *mask = 0;
    if (block >= BLOCKS_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a batch has no block %u", block);
    }
    ks_enter(s);
    st = s->backend->ops->burnt(s->backend, beta, block, mask, err);
    ks_leave(s);
    return st;
}

tdsa_status ks_batch_available(ks *s, const char *key_id, const ks_batch_filter *filter,
                               uint64_t *out, tdsa_err *err)
{
    ks_batch_query q = {.key_id = key_id,
                        .state = KS_BATCH_FREE,
                        .unspent = true,
                        .any_epoch = true,
                        .with_burnt = true};
    uint64_t sum = 0;
    tdsa_status st = ks_check_key_id(key_id, err);

    add_filter(&q, filter);
    *out = 0;
    if (st != TDSA_OK) {
        return st;
    }
    ks_enter(s);
    st = s->backend->ops->batch_each(s->backend, &q, add_available, &sum, err);
    ks_leave(s);
    if (st == TDSA_OK) {
        *out = sum;
    }
    return st;
}

tdsa_status ks_batch_purge(ks *s, const char *key_id, bool only_spent, uint64_t *dropped,
                           tdsa_err *err)
{
    tdsa_status st = ks_check_key_id(key_id, err);

    *dropped = 0;
    if (st != TDSA_OK) {
        return st;
    }
    ks_enter(s);
    st = s->backend->ops->batch_purge(s->backend, key_id, only_spent, dropped, err);
    return ks_leave_commit(s, st);
}

tdsa_status ks_batch_void_made(ks *s, uint64_t seq_below, tdsa_err *err)
{
    ks_enter(s);
    return ks_leave_commit(s, s->backend->ops->batch_void_made(s->backend, seq_below, err));
}

tdsa_status ks_lease(ks *s, const uint8_t beta[KS_BETA_LEN], uint32_t from, uint32_t to,
                     tdsa_err *err)
{
    uint64_t burns = 0;
    tdsa_status st;

    if (from >= to || to > KS_BATCH_COUNT_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "cannot lease presignatures %u to %u", from, to);
    }
    ks_enter(s);
    st = s->backend->ops->lease(s->backend, beta, from, to, &burns, err);
    return ks_leave_burn(s, st, burns, err);
}

tdsa_status ks_burn(ks *s, const uint8_t beta[KS_BETA_LEN], uint32_t block, uint64_t bits,
                    tdsa_err *err)
{
    uint64_t burns = 0;
    tdsa_status st;

    if (block >= BLOCKS_MAX || bits == 0) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "cannot burn in block %u", block);
    }
    ks_enter(s);
    st = s->backend->ops->burn(s->backend, beta, block, bits, &burns, err);
    return ks_leave_burn(s, st, burns, err);
}

tdsa_status ks_burn_once(ks *s, ks_once *once, const uint8_t beta[KS_BETA_LEN], uint32_t from,
                         uint32_t to, tdsa_err *err)
{
    uint64_t burns = 0;
    tdsa_status st;

    if (from >= to || to > KS_BATCH_COUNT_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "cannot burn presignatures %u to %u", from, to);
    }
    ks_enter(s);
    if (once->made) {
        *err = once->err;
        ks_leave(s);
        return err->status;
    }
    st = s->backend->ops->burn_range(s->backend, beta, from, to, &burns, err);
    st = ks_note_burn(s, st, burns, err);
    once->made = true;
    once->err = st == TDSA_OK ? (tdsa_err){.status = TDSA_OK, .participant = TDSA_NOBODY} : *err;
    ks_leave(s);
    return st;
}

tdsa_status ks_seq_raise(ks *s, const char *key_id, uint32_t epoch, uint64_t lane, uint64_t seq,
                         tdsa_err *err)
{
    tdsa_status st = ks_check_key_id(key_id, err);

    if (st != TDSA_OK) {
        return st;
    }
    if (seq > KS_SEQ_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the sequence number of a batch is too large");
    }
    ks_enter(s);
    return ks_leave_commit(s,
                           s->backend->ops->seq_raise(s->backend, key_id, epoch, lane, seq, err));
}
