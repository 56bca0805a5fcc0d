#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "participant/internal.h"

/* Keys and batches held in memory, counted by their users; wiped when dropped. */

part_key *part_key_ref(part_key *k)
{
    k->refs++;
    return k;
}

static part_key *find_key(const part *p, const char *key_id)
{
    part_key *k = p->keys;

    while (k != NULL && (k->gone || strcmp(k->key->pub.key_id, key_id) != 0)) {
        k = k->next;
    }
    return k;
}

static tdsa_status load(part *p, const ks_key *row, part_key **out, tdsa_err *err)
{
    TDSA_SCOPED_SECRET share = NULL;
    const grp *g = NULL;
    grp_curve curve = GRP_P256;
    part_key *k = NULL;
    tdsa_status st;

    st = mpc_key_peek_curve(&curve, row->public_part, row->public_len, err);
    if (st == TDSA_OK) {
        st = part_group(p, curve, &g, err);
    }
    if (st == TDSA_OK) {
        st = ks_key_open(p->cfg.store, row->key_id, row->epoch, &share, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    k = calloc(1, sizeof *k);
    if (k == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "key");
    }
    st = mpc_key_decode(&k->key, g, row->public_part, row->public_len, share, err);
    if (st != TDSA_OK) {
        free(k);
        return st;
    }
    part_cache_trim(p, false);
    k->lease_len = 1;
    k->batch_len = p->cfg.presign_batch_min;
    k->keep_due_ms = UINT64_MAX;
    k->next = p->keys;
    p->keys = k;
    p->key_count++;
    *out = k;
    return TDSA_OK;
}

tdsa_status part_key_hold(part *p, const char *key_id, part_key **out, tdsa_err *err)
{
    part_key *k = find_key(p, key_id);
    ks_key *row = NULL;
    tdsa_status st = TDSA_OK;

    *out = NULL;
    if (k == NULL) {
        st = ks_key_get(p->cfg.store, key_id, &row, err);
        if (st == TDSA_OK && row->state == KS_KEY_PENDING) {
            st = TDSA_FAIL(err, TDSA_E_CONFLICT, "PENDING: key %s is not confirmed by all yet",
                           key_id);
        } else if (st == TDSA_OK && row->state != KS_KEY_ACTIVE) {
            st = TDSA_FAIL(err, TDSA_E_NOT_FOUND, "key %s is not active", key_id);
        }
        if (st == TDSA_OK) {
            st = load(p, row, &k, err);
        }
        ks_key_free(row);
    }
    if (st == TDSA_OK) {
        k->used_ms = part_now(p);
        *out = part_key_ref(k);
    }
    return st;
}

void part_key_release(part *p, part_key *k)
{
    (void)p;
    if (k != NULL) {
        TDSA_ASSERT(k->refs > 0);
        k->refs--;
    }
}

static void free_key(part *p, part_key *k)
{
    part_key **at = &p->keys;

    while (*at != k) {
        TDSA_ASSERT(*at != NULL);
        at = &(*at)->next;
    }
    *at = k->next;
    p->key_count--;
    mpc_key_free(k->key);
    free(k);
}

/* ---- batches ---- */

part_batch *part_batch_ref(part_batch *b)
{
    b->refs++;
    return b;
}

void part_batch_release(part *p, part_batch *b)
{
    (void)p;
    if (b != NULL) {
        TDSA_ASSERT(b->refs > 0);
        b->refs--;
    }
}

static void free_batch(part *p, part_batch *b)
{
    part_batch **at = &p->batches;

    while (*at != b) {
        TDSA_ASSERT(*at != NULL);
        at = &(*at)->next;
    }
    *at = b->next;
    p->batch_count--;
    mpc_batch_free(b->batch);
    part_key_release(p, b->key);
    free(b);
}

static part_batch *find_batch(const part *p, const uint8_t beta[32])
{
    part_batch *b = p->batches;

    while (b != NULL && !tdsa_ct_equal(mpc_batch_beta(b->batch), beta, KS_BETA_LEN)) {
        b = b->next;
    }
    return b;
}

tdsa_status part_batch_adopt(part *p, part_key *k, const ks_batch *row, part_batch **out,
                             tdsa_err *err)
{
    part_batch *b = find_batch(p, row->beta);
    tdsa_status st;

    *out = NULL;
    if (strcmp(row->key_id, k->key->pub.key_id) != 0 || row->epoch != k->key->pub.epoch ||
        (b != NULL && b->key != k)) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "the batch is of another key");
    }
    if (b == NULL) {
        b = calloc(1, sizeof *b);
        if (b == NULL) {
            return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "batch");
        }
        st = mpc_batch_new(&b->batch, k->key, row->beta, row->count, row->data, row->data_len, err);
        if (st != TDSA_OK) {
            free(b);
            return st;
        }
        b->key = part_key_ref(k);
        b->lane = row->lane;
        b->members = row->members;
        b->next = p->batches;
        p->batches = b;
        p->batch_count++;
    }
    b->used_ms = part_now(p);
    *out = part_batch_ref(b);
    return TDSA_OK;
}

tdsa_status part_batch_hold(part *p, part_key *k, const uint8_t beta[32], part_batch **out,
                            tdsa_err *err)
{
    part_batch *b = find_batch(p, beta);
    ks_batch *row = NULL;
    tdsa_status st;

    *out = NULL;
    if (b != NULL && b->key == k) {
        b->used_ms = part_now(p);
        *out = part_batch_ref(b);
        return TDSA_OK;
    }
    st = ks_batch_get(p->cfg.store, beta, &row, err);
    if (st == TDSA_OK && row->state != KS_BATCH_FREE) {
        st = TDSA_FAIL(err, TDSA_E_NOT_FOUND, "the presignature's batch is not free");
    }
    if (st == TDSA_OK) {
        st = part_batch_adopt(p, k, row, out, err);
    }
    ks_batch_free(row);
    return st;
}

/* ---- trimming ---- */

static part_batch *oldest_batch(const part *p)
{
    part_batch *oldest = NULL;

    for (part_batch *b = p->batches; b != NULL; b = b->next) {
        if (b->refs == 0 && (oldest == NULL || b->used_ms <= oldest->used_ms)) {
            oldest = b;
        }
    }
    return oldest;
}

/* Nobody but my own lease and batches in memory holds it. */
static bool idle_key(const part *p, const part_key *k)
{
    unsigned own = 0;

    for (const part_batch *b = p->batches; b != NULL; b = b->next) {
        if (b->key == k && b->refs > (k->lease == b ? 1u : 0u)) {
            return false;
        }
        own += b->key == k ? 1 : 0;
    }
    return k->refs == own;
}

static part_key *oldest_key(const part *p)
{
    part_key *oldest = NULL;

    for (part_key *k = p->keys; k != NULL; k = k->next) {
        if ((oldest == NULL || k->used_ms <= oldest->used_ms) && idle_key(p, k)) {
            oldest = k;
        }
    }
    return oldest;
}

/* One that is out and that nobody holds. */
static part_key *gone_key(const part *p)
{
    for (part_key *k = p->keys; k != NULL; k = k->next) {
        if (k->gone && idle_key(p, k)) {
            return k;
        }
    }
    return NULL;
}

static void free_batches_of(part *p, const part_key *k)
{
    for (part_batch *b = p->batches; b != NULL;) {
        part_batch *next = b->next;
        if (b->key == k && b->refs == 0) {
            free_batch(p, b);
        }
        b = next;
    }
}

static void leave_memory(part *p, part_key *k)
{
    part_signing_leave(p, k); /* what is left of its lease is lost */
    free_batches_of(p, k);
    free_key(p, k);
}

void part_cache_trim(part *p, bool all)
{
    part_batch *b = NULL;
    part_key *k = NULL;

    while ((all || p->batch_count > PART_BATCHES_CACHED_MAX) && (b = oldest_batch(p)) != NULL) {
        free_batch(p, b);
    }
    while ((all || p->key_count > p->keys_max) && (k = oldest_key(p)) != NULL) {
        leave_memory(p, k);
    }
    while ((k = gone_key(p)) != NULL) {
        free_batches_of(p, k);
        free_key(p, k);
    }
}

void part_cache_due(part *p)
{
    const uint64_t now = part_now(p);
    part_batch *b = NULL;
    part_key *k = NULL;

    part_cache_trim(p, false);
    if (now < p->cache_due_ms) {
        return;
    }
    p->cache_due_ms = now + PART_CACHE_IDLE_MS / 10;
    while ((b = oldest_batch(p)) != NULL && b->used_ms + PART_CACHE_IDLE_MS <= now) {
        free_batch(p, b);
    }
    while ((k = oldest_key(p)) != NULL && k->used_ms + PART_CACHE_IDLE_MS <= now) {
        leave_memory(p, k);
    }
}

uint64_t part_cache_next_due(const part *p)
{
    return p->keys == NULL ? UINT64_MAX : p->cache_due_ms;
}

/* Forgets a key in memory, now or when nobody holds it any more. */
static void put_out(part *p, const char *key_id)
{
    part_key *k = find_key(p, key_id);

    if (k == NULL) {
        return;
    }
    part_signing_leave(p, k);
    k->gone = true;
    k->keep_due_ms = UINT64_MAX;
    if (idle_key(p, k)) {
        free_batches_of(p, k);
        free_key(p, k);
    }
}

static void end_runs(part *p, part_session *s, const char *key_id, bool all, const tdsa_err *why)
{
    part_run *r = s->runs;

    while (r != NULL) {
        part_run *next = r->next;
        if (strcmp(r->key_id, key_id) == 0 && (all || r->kind == RUN_PRESIGN)) {
            part_run_end(p, r, why);
            next = s->runs;
        }
        r = next;
    }
}

void part_key_replaced(part *p, const char *lent)
{
    char key_id[KS_KEY_ID_MAX + 1]; /* the run that names it may end here */
    tdsa_err why;

    TDSA_ASSERT(strlen(lent) < sizeof key_id);
    memcpy(key_id, lent, strlen(lent) + 1);
    (void)TDSA_FAIL(&why, TDSA_E_CONFLICT, "EPOCH_CHANGED: key %s got new shares: ask again",
                    key_id);
    for (part_op *op = p->ops; op != NULL; op = op->next) {
        if ((op->kind == PART_OP_SIGN || op->kind == PART_OP_SIGN_BATCH ||
             op->kind == PART_OP_PRESIGN) &&
            strcmp(op->key_id, key_id) == 0) {
            part_op_end(p, op, &why);
        }
    }
    for (size_t i = 0; i < PART_SESSION_BUCKETS; i++) {
        for (part_session *s = p->sessions[i]; s != NULL; s = s->next) {
            end_runs(p, s, key_id, false, &why);
            part_ranges_drop(p, s, key_id);
        }
    }
    put_out(p, key_id);
}

bool part_key_refresh(part *p, const char *key_id)
{
    const part_key *k = find_key(p, key_id);
    ks_key *row = NULL;
    tdsa_err err;
    bool other = false;

    if (k != NULL && ks_key_get(p->cfg.store, key_id, &row, &err) == TDSA_OK) {
        other = row->state != KS_KEY_ACTIVE || row->epoch != k->key->pub.epoch;
    }
    ks_key_free(row);
    if (other) {
        part_key_replaced(p, key_id);
    }
    return other;
}

void part_key_drop(part *p, const char *lent)
{
    char key_id[KS_KEY_ID_MAX + 1]; /* the operation that names it may end here */
    tdsa_err why;

    TDSA_ASSERT(strlen(lent) < sizeof key_id);
    memcpy(key_id, lent, strlen(lent) + 1);
    (void)TDSA_FAIL(&why, TDSA_E_NOT_FOUND, "key %s was deleted", key_id);
    for (part_op *op = p->ops; op != NULL; op = op->next) {
        if (op->kind != PART_OP_DELETE && strcmp(op->key_id, key_id) == 0) {
            part_op_end(p, op, &why);
        }
    }
    for (size_t i = 0; i < PART_SESSION_BUCKETS; i++) {
        for (part_session *s = p->sessions[i]; s != NULL; s = s->next) {
            end_runs(p, s, key_id, true, &why);
            part_ranges_drop(p, s, key_id);
        }
    }
    put_out(p, key_id);
}

/* ---- descriptions ---- */

tdsa_status part_key_public(part *p, const ks_key *row, mpc_key **out, tdsa_err *err)
{
    const grp *g = NULL;
    grp_curve curve = GRP_P256;
    tdsa_status st = mpc_key_peek_curve(&curve, row->public_part, row->public_len, err);

    *out = NULL;
    if (st == TDSA_OK) {
        st = part_group(p, curve, &g, err);
    }
    if (st == TDSA_OK) {
        st = mpc_key_decode(out, g, row->public_part, row->public_len, NULL, err);
    }
    return st;
}

static tdsa_status describe_half(part *p, const ks_key *row, part_key_info *out, tdsa_err *err)
{
    part_registration reg;
    ks_key_state state = row->state;
    tdsa_status st = part_registration_of(p, row, &reg, err);

    out->state = state;
    if (st == TDSA_OK) {
        out->curve = reg.curve;
        out->scheme = reg.scheme;
        out->n = reg.n;
        out->t = reg.t;
        out->policy = reg.policy;
    }
    return st;
}

static tdsa_status describe_active(part *p, const ks_key *row, part_key_info *out, tdsa_err *err)
{
    mpc_key *key = NULL;
    tdsa_status st = part_key_public(p, row, &key, err);

    if (st == TDSA_OK) {
        out->curve = key->pub.curve;
        out->scheme = key->pub.scheme;
        out->n = key->pub.n;
        out->t = key->pub.t;
        out->policy = key->pub.policy;
        memcpy(out->chain_code, key->pub.cc, sizeof out->chain_code);
        grp_point_encode_raw(key->g, out->public_key, &key->pub.y);
        out->public_key_len = grp_get_info(key->g)->point_raw_len;
    }
    mpc_key_free(key);
    return st;
}

static tdsa_status describe(part *p, const ks_key *row, part_key_info *out, tdsa_err *err)
{
    memset(out, 0, sizeof *out);
    memcpy(out->key_id, row->key_id, sizeof out->key_id);
    memcpy(out->label, row->label, sizeof out->label);
    out->state = row->state;
    out->created_ms = row->created_ms;
    out->epoch = row->epoch;
    out->presignature_limit = row->presignature_limit;
    out->client_participates = part_has_client(p);
    if (row->attrs_len <= sizeof out->attrs && row->attrs_len > 0) {
        memcpy(out->attrs, row->attrs, row->attrs_len);
        out->attrs_len = row->attrs_len;
    }
    if (row->state == KS_KEY_DELETED) {
        return TDSA_OK;
    }
    /* Nobody sees the public key before all have stored. */
    return row->state == KS_KEY_ACTIVE ? describe_active(p, row, out, err)
                                       : describe_half(p, row, out, err);
}

tdsa_status part_key_describe(part *p, const char *key_id, part_key_info *out, tdsa_err *err)
{
    ks_key *row = NULL;
    tdsa_status st;

    memset(out, 0, sizeof *out);
    if (!part_key_id_ok(key_id)) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no such key");
    }
    st = ks_key_get(p->cfg.store, key_id, &row, err);
    if (st == TDSA_OK && row->state == KS_KEY_DELETED) {
        st = TDSA_FAIL(err, TDSA_E_NOT_FOUND, "key %s was deleted", key_id);
    }
    if (st == TDSA_OK) {
        st = describe(p, row, out, err);
    }
    ks_key_free(row);
    return st;
}

typedef struct {
    part *p;
    size_t left;
    bool all_states;
    part_key_fn fn;
    void *ctx;
    bool stopped;
    tdsa_status st;
    tdsa_err *err;
    char last[KS_KEY_ID_MAX + 1];
    size_t seen;
} list_state;

static bool list_row(void *ctx, const ks_key *row)
{
    list_state *l = ctx;
    part_key_info info;

    l->seen++;
    memcpy(l->last, row->key_id, sizeof l->last);
    if (row->state != KS_KEY_ACTIVE && (!l->all_states || row->state == KS_KEY_DELETED)) {
        return true;
    }
    l->st = describe(l->p, row, &info, l->err);
    if (l->st != TDSA_OK) {
        part_say(l->p, TDSA_LOG_ERROR, "key %s cannot be read: %s", row->key_id, l->err->text);
        l->st = TDSA_OK; /* one odd key must not hide the others */
        return true;
    }
    l->left--;
    l->stopped = !l->fn(l->ctx, &info) || l->left == 0;
    return !l->stopped;
}

tdsa_status part_key_list(part *p, const char *after, size_t limit, bool all_states, part_key_fn fn,
                          void *ctx, tdsa_err *err)
{
    const size_t page = 256;
    list_state l = {.p = p,
                    .left = limit == 0 ? SIZE_MAX : limit,
                    .all_states = all_states,
                    .fn = fn,
                    .ctx = ctx,
                    .err = err};
    tdsa_status st = TDSA_OK;

    if (after != NULL) {
        memcpy(l.last, after, strnlen(after, KS_KEY_ID_MAX));
    }
    do {
        char from[KS_KEY_ID_MAX + 1];
        memcpy(from, l.last, sizeof from);
        l.seen = 0;
        st = ks_key_each(p->cfg.store, from[0] == '\0' ? NULL : from, page, list_row, &l, err);
    } while (st == TDSA_OK && !l.stopped && l.seen == page);
    return st;
}
