#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "participant/internal.h"

/* Presignatures as people see them: counted, listed, limited, deleted. Nothing here uses the network. */

#define KEYS_PAGE 64u

ks_batch_filter part_my_batches(const part *p)
{
    const uint64_t first = (uint64_t)p->cfg.roster.me << 56;

    return (ks_batch_filter){.lane_from = first, .lane_to = first | 0x00ffffffffffffffull};
}

/* ---- names ---- */

void part_presig_id_put(char out[PART_PRESIG_ID_MAX], const part_presig_id *id)
{
    for (size_t i = 0; i < sizeof id->beta; i++) {
        (void)snprintf(out + 2 * i, 3, "%02x", id->beta[i]);
    }
    (void)snprintf(out + 2 * sizeof id->beta, PART_PRESIG_ID_MAX - 2 * sizeof id->beta, "-%u",
                   id->index % (KS_BATCH_COUNT_MAX + 1));
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool part_presig_id_parse(part_presig_id *out, const char *text)
{
    const size_t hex = 2 * sizeof out->beta;
    const size_t len = strnlen(text, PART_PRESIG_ID_MAX);
    uint32_t index = 0;

    if (len < hex + 2 || len > hex + 5 || text[hex] != '-' ||
        (text[hex + 1] == '0' && len > hex + 2)) {
        return false;
    }
    for (size_t i = 0; i < sizeof out->beta; i++) {
        const int high = hex_digit(text[2 * i]);
        const int low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out->beta[i] = (uint8_t)(high * 16 + low);
    }
    for (size_t i = hex + 1; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        index = index * 10 + (uint32_t)(text[i] - '0');
    }
    out->index = index;
    return index < KS_BATCH_COUNT_MAX;
}

/* ---- my lease ---- */

bool part_lease_has(const part_key *k, uint32_t index)
{
    return k->lease != NULL && k->lease_next <= index && index < k->lease_end &&
           (k->lease_burnt >> (index % KS_BLOCK_SIZE) & 1) == 0;
}

void part_lease_range(const part_key *k, uint32_t index, uint32_t *from, uint32_t *to)
{
    *from = index;
    *to = index + 1;
    while (*from > k->lease_from && (k->lease_burnt >> ((*from - 1) % KS_BLOCK_SIZE) & 1) == 0) {
        (*from)--;
    }
    while (*to < k->lease_end && (k->lease_burnt >> (*to % KS_BLOCK_SIZE) & 1) == 0) {
        (*to)++;
    }
}

static bool is_of(const part_batch *b, const uint8_t *beta)
{
    return b != NULL && (beta == NULL || memcmp(mpc_batch_beta(b->batch), beta, KS_BETA_LEN) == 0);
}

/* Of one batch; of all when beta is NULL. */
static uint32_t lease_left(const part_key *k, const uint8_t *beta)
{
    uint32_t left = 0;

    for (uint32_t i = k->lease_next; is_of(k->lease, beta) && i < k->lease_end; i++) {
        left += part_lease_has(k, i) ? 1 : 0;
    }
    for (uint32_t i = k->ahead_from; is_of(k->ahead, beta) && i < k->ahead_end; i++) {
        const uint32_t block = i / KS_BLOCK_SIZE - k->ahead_from / KS_BLOCK_SIZE;

        left += (k->ahead_burnt[block] >> (i % KS_BLOCK_SIZE) & 1) == 0 ? 1 : 0;
    }
    return left;
}

uint32_t part_lease_left(const part_key *k)
{
    return lease_left(k, NULL);
}

/* ---- counting ---- */

static tdsa_status check_key(part *p, const char *key_id, int64_t *limit, tdsa_err *err)
{
    ks_key *row = NULL;
    tdsa_status st;

    if (!part_key_id_ok(key_id)) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no such key");
    }
    st = ks_key_get(p->cfg.store, key_id, &row, err);
    if (st == TDSA_OK && row->state == KS_KEY_DELETED) {
        st = TDSA_FAIL(err, TDSA_E_NOT_FOUND, "key %s was deleted", key_id);
    }
    *limit = st == TDSA_OK ? row->presignature_limit : -1;
    ks_key_free(row);
    return st;
}

tdsa_status part_stock(part *p, const char *key_id, uint64_t *out, tdsa_err *err)
{
    const ks_batch_filter mine = part_my_batches(p);
    tdsa_status st = ks_batch_available(p->cfg.store, key_id, &mine, out, err);
    const part_key *k = part_key_in_memory(p, key_id);

    if (st == TDSA_OK && k != NULL) {
        *out += part_lease_left(k);
    }
    return st;
}

typedef struct {
    part_stock_info *out;
    const part_key *key; /* NULL: not in memory, no lease */
} counting;

static part_stock_count *row_of(part_stock_info *info, uint32_t members)
{
    size_t i = 0;

    while (i < info->committee_count && info->committee[i].members != members) {
        i++;
    }
    if (i == PART_COMMITTEES_MAX) {
        return NULL;
    }
    if (i == info->committee_count) {
        info->committee[i] = (part_stock_count){.members = members};
        info->committee_count++;
    }
    return &info->committee[i];
}

static bool count_batch(void *ctx, const ks_batch_info *b)
{
    const counting *c = ctx;
    part_stock_count *row = NULL;
    uint64_t leased = 0;

    if (b->state != KS_BATCH_FREE) {
        return true;
    }
    if (c->key != NULL) {
        leased = lease_left(c->key, b->beta);
    }
    row = row_of(c->out, b->members);
    if (row != NULL) {
        row->available += b->left;
        row->used += b->count - b->left - leased;
    }
    c->out->total.available += b->left;
    c->out->total.used += b->count - b->left - leased;
    return true;
}

/* By itself: a batch that is leased to its end may be kept in memory alone. */
static void count_leased(const part_key *k, part_stock_info *out)
{
    const uint32_t left = part_lease_left(k);
    part_stock_count *row = left == 0 ? NULL : row_of(out, k->lease->members);

    out->total.leased = left;
    if (row != NULL) { /* what is leased ahead is of the same committee */
        row->leased = left;
    }
}

tdsa_status part_stock_describe(part *p, const char *key_id, part_stock_info *out, tdsa_err *err)
{
    const ks_batch_filter mine = part_my_batches(p);
    counting c = {.out = out};
    tdsa_status st;

    memset(out, 0, sizeof *out);
    st = check_key(p, key_id, &out->limit, err);
    if (st != TDSA_OK) {
        return st;
    }
    c.key = part_key_in_memory(p, key_id);
    st = ks_batch_each(p->cfg.store, key_id, &mine, count_batch, &c, err);
    if (st == TDSA_OK && c.key != NULL) {
        count_leased(c.key, out);
    }
    return st;
}

/* ---- listing ---- */

typedef struct {
    part_presig_fn fn;
    void *ctx;
} listing;

/* Hands on the runs of presignatures between those that were deleted. */
static bool list_batch(void *ctx, const ks_batch_info *b)
{
    const listing *l = ctx;
    uint32_t from = b->next;

    while (b->state == KS_BATCH_FREE && from < b->count) {
        part_presig_range r = {.first.index = from, .members = b->members};
        uint32_t to = from;

        while (to < b->count && (b->burnt[to / KS_BLOCK_SIZE] >> (to % KS_BLOCK_SIZE) & 1) == 0) {
            to++;
        }
        r.to = to;
        memcpy(r.first.beta, b->beta, sizeof r.first.beta);
        if (to > from && !l->fn(l->ctx, &r)) {
            return false;
        }
        from = to + 1;
    }
    return true;
}

tdsa_status part_presignatures(part *p, const char *key_id, part_presig_fn fn, void *ctx,
                               tdsa_err *err)
{
    const ks_batch_filter mine = part_my_batches(p);
    listing l = {.fn = fn, .ctx = ctx};
    int64_t limit = 0;
    tdsa_status st = check_key(p, key_id, &limit, err);

    return st == TDSA_OK ? ks_batch_each(p->cfg.store, key_id, &mine, list_batch, &l, err) : st;
}

/* ---- limits ---- */

tdsa_status part_set_limit(part *p, const char *key_id, int64_t limit, tdsa_err *err)
{
    int64_t old = 0;
    tdsa_status st;

    if (limit < -1) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "a limit of presignatures is -1 (none) or a number, not %lld",
                         (long long)limit);
    }
    st = check_key(p, key_id, &old, err);
    if (st == TDSA_OK) {
        st = ks_key_set_limit(p->cfg.store, key_id, limit, err);
    }
    if (st == TDSA_OK) {
        part_say(p, TDSA_LOG_INFO, "key %s: limit of presignatures %lld, was %lld", key_id,
                 (long long)limit, (long long)old);
    }
    return st;
}

static bool sum_batch(void *ctx, const ks_batch_info *b)
{
    *(uint64_t *)ctx += b->state == KS_BATCH_FREE ? b->left : 0;
    return true;
}

tdsa_status part_stock_all(part *p, uint64_t *out, tdsa_err *err)
{
    const ks_batch_filter mine = part_my_batches(p);
    tdsa_status st;

    *out = 0;
    st = ks_batch_each(p->cfg.store, NULL, &mine, sum_batch, out, err);
    for (const part_key *k = p->keys; k != NULL; k = k->next) {
        *out += part_lease_left(k);
    }
    return st;
}

static tdsa_status global_room(part *p, uint64_t *room, tdsa_err *err)
{
    const uint64_t cap = p->cfg.presign_global_max;
    uint64_t have = 0;
    tdsa_status st = part_stock_all(p, &have, err);

    *room = have >= cap ? 0 : cap - have;
    return st;
}

tdsa_status part_stock_room(part *p, const char *key_id, uint64_t *room, tdsa_err *why,
                            tdsa_err *err)
{
    uint64_t have = 0;
    uint64_t global = 0;
    int64_t limit = -1;
    tdsa_status st = check_key(p, key_id, &limit, err);

    *room = UINT64_MAX;
    *why = (tdsa_err){.status = TDSA_OK, .participant = TDSA_NOBODY};
    if (st == TDSA_OK && limit >= 0) {
        st = part_stock(p, key_id, &have, err);
        *room = have >= (uint64_t)limit ? 0 : (uint64_t)limit - have;
        (void)TDSA_FAIL(why, TDSA_E_LIMIT,
                        "the key's limit of %lld presignatures would be passed (%llu in stock)",
                        (long long)limit, (unsigned long long)have);
    }
    if (st == TDSA_OK && p->cfg.presign_global_max > 0) {
        st = global_room(p, &global, err);
        if (st == TDSA_OK && global < *room) {
            *room = global;
            (void)TDSA_FAIL(why, TDSA_E_LIMIT,
                            "the limit of %llu presignatures over all keys would be passed",
                            (unsigned long long)p->cfg.presign_global_max);
        }
    }
    return st;
}

/* ---- deleting ---- */

tdsa_status part_purge(part *p, const char *key_id, uint64_t *dropped, tdsa_err *err)
{
    part_key *k = part_key_in_memory(p, key_id);
    tdsa_status st;

    if (k != NULL) {
        part_stock_drop_lease(p, k);
    }
    for (size_t i = 0; i < PART_SESSION_BUCKETS; i++) {
        for (part_session *s = p->sessions[i]; s != NULL; s = s->next) {
            part_ranges_drop(p, s, key_id);
        }
    }
    st = ks_batch_purge(p->cfg.store, key_id, false, dropped, err);
    if (st == TDSA_OK) {
        p->stats.purged += *dropped;
        part_say(p, TDSA_LOG_INFO, "key %s: %llu presignatures purged", key_id,
                 (unsigned long long)*dropped);
    }
    return st;
}

typedef struct {
    char id[KEYS_PAGE][KS_KEY_ID_MAX + 1];
    size_t count;
} id_page;

static bool note_id(void *ctx, const ks_key *k)
{
    id_page *page = ctx;

    memcpy(page->id[page->count++], k->key_id, sizeof page->id[0]);
    return page->count < KEYS_PAGE;
}

tdsa_status part_purge_all(part *p, uint64_t *dropped, tdsa_err *err)
{
    char after[KS_KEY_ID_MAX + 1] = "";
    id_page page;
    tdsa_status st = TDSA_OK;

    *dropped = 0;
    do {
        page.count = 0;
        st = ks_key_each(p->cfg.store, after[0] == '\0' ? NULL : after, KEYS_PAGE, note_id, &page,
                         err);
        for (size_t i = 0; st == TDSA_OK && i < page.count; i++) {
            uint64_t of_key = 0;
            st = part_purge(p, page.id[i], &of_key, err);
            *dropped += of_key;
            memcpy(after, page.id[i], sizeof after);
        }
    } while (st == TDSA_OK && page.count == KEYS_PAGE);
    return st;
}

typedef struct {
    const part_presig_id *id;
    ks_batch_info batch;
    bool found;
} search;

static bool match_batch(void *ctx, const ks_batch_info *b)
{
    search *s = ctx;

    s->found = b->state == KS_BATCH_FREE && memcmp(b->beta, s->id->beta, KS_BETA_LEN) == 0;
    if (s->found) {
        s->batch = *b;
    }
    return !s->found;
}

static tdsa_status find_presig(part *p, const char *key_id, const part_presig_id *id, search *s,
                               tdsa_err *err)
{
    tdsa_status st;

    *s = (search){.id = id};
    st = ks_batch_each(p->cfg.store, key_id, NULL, match_batch, s, err);
    if (st == TDSA_OK && (!s->found || id->index >= s->batch.count)) {
        st = TDSA_FAIL(err, TDSA_E_NOT_FOUND, "key %s has no such presignature", key_id);
    }
    return st;
}

tdsa_status part_presig_delete(part *p, const char *key_id, const part_presig_id *id, tdsa_err *err)
{
    part_key *k = part_key_in_memory(p, key_id);
    search s;
    int64_t limit = 0;
    bool leased = false;
    tdsa_status st = check_key(p, key_id, &limit, err);

    if (st == TDSA_OK) {
        st = find_presig(p, key_id, id, &s, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    leased = k != NULL && part_lease_has(k, id->index) &&
             memcmp(mpc_batch_beta(k->lease->batch), id->beta, KS_BETA_LEN) == 0;
    if (id->index < s.batch.next && !leased) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT, "the presignature is used or leased");
    }
    st = ks_burn(p->cfg.store, id->beta, id->index / KS_BLOCK_SIZE,
                 1ull << (id->index % KS_BLOCK_SIZE), err);
    if (st == TDSA_OK && leased) {
        k->lease_burnt |= 1ull << (id->index % KS_BLOCK_SIZE);
    } else if (st == TDSA_OK) {
        /* A lease reads what is burnt after it has moved on: either it sees this, or we see it. */
        st = find_presig(p, key_id, id, &s, err);
        if (st == TDSA_OK && id->index < s.batch.next) {
            st = TDSA_FAIL(err, TDSA_E_CONFLICT, "the presignature was leased meanwhile");
        }
    }
    return st;
}
