#include "keystore/backend_memory.h"

#include <stdlib.h>
#include <string.h>

static void free_batch(memory_batch *x)
{
    (void)ks_memory_copy(&x->sealed, &x->sealed_len, NULL, 0);
    free(x);
}

void ks_memory_drop_batches(ks_memory *m, const char *key_id)
{
    memory_batch **at = &m->batches;

    while (*at != NULL) {
        memory_batch *x = *at;

        if (key_id == NULL || strcmp(x->key_id, key_id) == 0) {
            *at = x->next;
            free_batch(x);
        } else {
            at = &x->next;
        }
    }
}

void ks_memory_void_before(ks_memory *m, const char *key_id, uint32_t epoch)
{
    for (memory_batch *x = m->batches; x != NULL; x = x->next) {
        if (strcmp(x->key_id, key_id) == 0 && x->epoch < epoch) {
            x->state = KS_BATCH_VOID;
        }
    }
}

static memory_batch *find(ks_memory *m, const uint8_t *beta)
{
    for (memory_batch *x = m->batches; x != NULL; x = x->next) {
        if (memcmp(x->beta, beta, KS_BETA_LEN) == 0) {
            return x;
        }
    }
    return NULL;
}

static bool older(const memory_batch *a, const ks_batch_row *b)
{
    const int64_t lane_a = (int64_t)a->lane;
    const int64_t lane_b = (int64_t)b->lane;

    return lane_a != lane_b ? lane_a < lane_b : a->seq < b->seq;
}

tdsa_status ks_memory_batch_insert(ks_backend *b, const ks_batch_row *row, tdsa_err *err)
{
    ks_memory *m = ks_memory_of(b);
    const memory_key *k = ks_memory_find_key(m, row->key_id);
    memory_batch **at = &m->batches;
    memory_batch *x = NULL;

    if (k == NULL || k->state == KS_KEY_DELETED) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "there is no key %s", row->key_id);
    }
    if (find(m, row->beta) != NULL) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT, "the batch exists already");
    }
    x = calloc(1, sizeof *x);
    if (x == NULL || !ks_memory_copy(&x->sealed, &x->sealed_len, row->sealed, row->sealed_len)) {
        free(x);
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the in-memory database");
    }
    memcpy(x->beta, row->beta, KS_BETA_LEN);
    (void)strncpy(x->key_id, row->key_id, KS_KEY_ID_MAX);
    x->epoch = row->epoch;
    x->state = row->state;
    x->lane = row->lane;
    x->seq = row->seq;
    x->count = row->count;
    x->leased = row->next;
    x->members = row->members;
    while (*at != NULL && older(*at, row)) {
        at = &(*at)->next;
    }
    x->next = *at;
    *at = x;
    return TDSA_OK;
}

tdsa_status ks_memory_batch_move(ks_backend *b, const uint8_t *beta, ks_batch_state from,
                                 ks_batch_state to, tdsa_err *err)
{
    memory_batch *x = find(ks_memory_of(b), beta);

    if (x == NULL) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no such batch of presignatures");
    }
    if (x->state != from) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT, "the batch is in state %d, not %d", (int)x->state,
                         (int)from);
    }
    x->state = to;
    return TDSA_OK;
}

static bool wanted(const ks_batch_query *q, const memory_batch *x)
{
    return (q->key_id == NULL || strcmp(q->key_id, x->key_id) == 0) &&
           (q->beta == NULL || memcmp(q->beta, x->beta, KS_BETA_LEN) == 0) &&
           (q->state == 0 || q->state == x->state) && (!q->unspent || x->leased < x->count) &&
           (q->any_epoch || q->epoch == x->epoch) && (q->outside & x->members) == 0 &&
           (ks_any_lane(q) || (q->lane_from <= (int64_t)x->lane && (int64_t)x->lane <= q->lane_to));
}

tdsa_status ks_memory_batch_each(ks_backend *b, const ks_batch_query *q, ks_batch_row_fn fn,
                                 void *ctx, tdsa_err *err)
{
    size_t given = 0;

    (void)err;
    for (const memory_batch *x = ks_memory_of(b)->batches; x != NULL; x = x->next) {
        const ks_batch_row row = {
            .beta = x->beta,
            .key_id = x->key_id,
            .epoch = x->epoch,
            .state = x->state,
            .lane = x->lane,
            .seq = x->seq,
            .count = x->count,
            .next = x->leased,
            .members = x->members,
            .burnt = x->masks,
            .sealed = q->with_data ? x->sealed : NULL,
            .sealed_len = q->with_data ? x->sealed_len : 0,
        };

        if (!wanted(q, x)) {
            continue;
        }
        given++;
        if (!fn(ctx, &row) || given == q->limit) {
            break;
        }
    }
    return TDSA_OK;
}

static uint32_t used_up(const memory_batch *x)
{
    uint32_t burnt = 0;

    for (size_t i = 0; i < sizeof x->masks / sizeof x->masks[0]; i++) {
        burnt += (uint32_t)__builtin_popcountll(x->masks[i]);
    }
    return burnt > x->leased ? burnt : x->leased;
}

tdsa_status ks_memory_batch_purge(ks_backend *b, const char *key_id, bool only_spent,
                                  uint64_t *dropped, tdsa_err *err)
{
    const ks_memory *m = ks_memory_of(b);
    memory_batch **at = &ks_memory_of(b)->batches;

    (void)err;
    while (*at != NULL) {
        memory_batch *x = *at;
        const uint32_t used = used_up(x);

        if (strcmp(x->key_id, key_id) == 0 &&
            (!only_spent || x->state == KS_BATCH_VOID ||
             (used >= x->count && !ks_memory_has_partial(m, x->beta)))) {
            *dropped += x->state == KS_BATCH_VOID ? 0 : x->count - used;
            *at = x->next;
            free_batch(x);
        } else {
            at = &x->next;
        }
    }
    return TDSA_OK;
}

tdsa_status ks_memory_batch_void_made(ks_backend *b, uint64_t seq_below, tdsa_err *err)
{
    (void)err;
    for (memory_batch *x = ks_memory_of(b)->batches; x != NULL; x = x->next) {
        if (x->state == KS_BATCH_MADE && (seq_below == 0 || x->seq < seq_below)) {
            x->state = KS_BATCH_VOID;
        }
    }
    return TDSA_OK;
}

tdsa_status ks_memory_batch_void_with(ks_backend *b, const char *key_id, uint32_t members,
                                      tdsa_err *err)
{
    (void)err;
    for (memory_batch *x = ks_memory_of(b)->batches; x != NULL; x = x->next) {
        if (strcmp(x->key_id, key_id) == 0 && (x->members & members) != 0) {
            x->state = KS_BATCH_VOID;
        }
    }
    return TDSA_OK;
}

static uint64_t higher(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

tdsa_status ks_memory_purge_all(ks_backend *b, const ks_marks *at_least, uint64_t *dropped,
                                tdsa_err *err)
{
    ks_memory *m = ks_memory_of(b);

    (void)err;
    for (const memory_batch *x = m->batches; x != NULL; x = x->next) {
        *dropped += x->state == KS_BATCH_VOID ? 0 : x->count - used_up(x);
    }
    ks_memory_drop_batches(m, NULL);
    m->starts = higher(m->starts, at_least->starts);
    m->burns = higher(m->burns, at_least->burns);
    m->purges = higher(m->purges, at_least->purges) + 1;
    return TDSA_OK;
}

tdsa_status ks_memory_lease(ks_backend *b, const uint8_t *beta, uint32_t from, uint32_t to,
                            uint64_t *burns, tdsa_err *err)
{
    memory_batch *x = find(ks_memory_of(b), beta);

    if (x == NULL || x->state != KS_BATCH_FREE || x->leased != from || to > x->count) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT,
                         "presignatures %u to %u are not there to lease: read the batch again",
                         from, to);
    }
    x->leased = to;
    *burns = ++ks_memory_of(b)->burns;
    return TDSA_OK;
}

tdsa_status ks_memory_burn(ks_backend *b, const uint8_t *beta, uint32_t block, uint64_t bits,
                           uint64_t *burns, tdsa_err *err)
{
    memory_batch *x = find(ks_memory_of(b), beta);

    if (x == NULL || x->state != KS_BATCH_FREE ||
        block * KS_BLOCK_SIZE + ks_top_bit(bits) >= x->count) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no such presignature is free");
    }
    if ((x->masks[block] & bits) != 0) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT, "a presignature of the range was used already");
    }
    x->masks[block] |= bits;
    *burns = ++ks_memory_of(b)->burns;
    return TDSA_OK;
}

tdsa_status ks_memory_burn_range(ks_backend *b, const uint8_t *beta, uint32_t from, uint32_t to,
                                 uint64_t *burns, tdsa_err *err)
{
    memory_batch *x = find(ks_memory_of(b), beta);
    const uint32_t end = (to - 1) / KS_BLOCK_SIZE;

    if (x == NULL || x->state != KS_BATCH_FREE || to > x->count) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no such presignature is free");
    }
    for (uint32_t block = from / KS_BLOCK_SIZE; block <= end; block++) {
        if ((x->masks[block] & ks_block_bits(block, from, to)) != 0) {
            return TDSA_FAIL(err, TDSA_E_CONFLICT, "a presignature of the range was used already");
        }
    }
    for (uint32_t block = from / KS_BLOCK_SIZE; block <= end; block++) {
        x->masks[block] |= ks_block_bits(block, from, to);
    }
    *burns = ++ks_memory_of(b)->burns;
    return TDSA_OK;
}

tdsa_status ks_memory_burn_unleased(ks_backend *b, const uint8_t *beta, uint32_t index,
                                    uint64_t *burns, tdsa_err *err)
{
    const memory_batch *x = find(ks_memory_of(b), beta);

    if (x != NULL && x->state == KS_BATCH_FREE && index < x->leased) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT, "the presignature is leased or used");
    }
    return ks_memory_burn(b, beta, index / KS_BLOCK_SIZE, 1ull << (index % KS_BLOCK_SIZE), burns,
                          err);
}

tdsa_status ks_memory_burnt(ks_backend *b, const uint8_t *beta, uint32_t block, uint64_t *mask,
                            tdsa_err *err)
{
    const memory_batch *x = find(ks_memory_of(b), beta);

    (void)err;
    *mask = x == NULL ? 0 : x->masks[block];
    return TDSA_OK;
}

tdsa_status ks_memory_seq_raise(ks_backend *b, const char *key_id, uint32_t epoch, uint64_t lane,
                                uint64_t seq, tdsa_err *err)
{
    ks_memory *m = ks_memory_of(b);
    const memory_key *k = ks_memory_find_key(m, key_id);
    memory_lane *l = m->lanes;

    if (k == NULL || k->state == KS_KEY_DELETED) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "there is no key %s", key_id);
    }
    while (l != NULL && (strcmp(l->key_id, key_id) != 0 || l->epoch != epoch || l->lane != lane)) {
        l = l->next;
    }
    if (l != NULL && seq <= l->seq) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT,
                         "batch number %llu of key %s was used already: the highest is %llu",
                         (unsigned long long)seq, key_id, (unsigned long long)l->seq);
    }
    if (l == NULL) {
        l = calloc(1, sizeof *l);
        if (l == NULL) {
            return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the in-memory database");
        }
        (void)strncpy(l->key_id, key_id, KS_KEY_ID_MAX);
        l->epoch = epoch;
        l->lane = lane;
        l->next = m->lanes;
        m->lanes = l;
    }
    l->seq = seq;
    return TDSA_OK;
}
