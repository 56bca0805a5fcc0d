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

part_key *part_key_in_memory(const part *p, const char *key_id)
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
    k->restored = row->state == KS_KEY_RESTORED;
    st = k->restored
             ? mpc_key_decode_share(&k->key, g, row->public_part, row->public_len, share, err)
             : mpc_key_decode(&k->key, g, row->public_part, row->public_len, share, err);
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
    if (p->key_count > p->keys_max) {
        p->cache_over_ms = part_now(p);
    }
    *out = k;
    return TDSA_OK;
}

/* Another process of this database may have ordered something about the keys in memory here. */
static void follow_to(part *p, uint64_t changes)
{
    if (changes <= p->key_changes) { /* another caller was told later */
        return;
    }
    p->key_changes = changes;
    for (part_key *k = p->keys; k != NULL; k = k->next) {
        k->look_again = true;
    }
}

static void follow_changes(part *p)
{
    uint64_t changes = 0;
    tdsa_err err;

    if (!p->keys_followed && p->keys != NULL &&
        ks_change_counter(p->cfg.store, &changes, &err) == TDSA_OK) {
        follow_to(p, changes);
    }
}

void part_keys_follow_once(part *p)
{
    follow_changes(p);
    p->keys_followed = true;
}

void part_keys_follow_to(part *p, uint64_t changes)
{
    follow_to(p, changes);
    p->keys_followed = true;
}

void part_keys_follow_again(part *p)
{
    p->keys_followed = false;
}

ks_key_state part_key_state(part *p, const ks_key *row)
{
    return row->state == KS_KEY_RESTORED && part_deletion_is_open(p, row->key_id) ? KS_KEY_DELETING
                                                                                  : row->state;
}

static tdsa_status check_usable(part *p, const ks_key *row, tdsa_err *err)
{
    switch (part_key_state(p, row)) {
    case KS_KEY_ACTIVE:
    case KS_KEY_RESTORED: /* to deal from: see below */
        return TDSA_OK;
    case KS_KEY_PENDING:
        return TDSA_FAIL(err, TDSA_E_CONFLICT, "PENDING: key %s is not confirmed by all yet",
                         row->key_id);
    case KS_KEY_DELETING:
        return TDSA_FAIL(err, TDSA_E_CONFLICT, "DELETING: key %s is being deleted", row->key_id);
    case KS_KEY_DELETED:
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "DELETED: key %s was deleted", row->key_id);
    case KS_KEY_REGISTERED:
    case KS_KEY_OLD:
        break;
    }
    return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "key %s is not active", row->key_id);
}

static tdsa_status hold(part *p, const char *key_id, bool to_deal, part_key **out, tdsa_err *err)
{
    part_key *k = NULL;
    ks_key *row = NULL;
    tdsa_status st = TDSA_OK;

    *out = NULL;
    follow_changes(p);
    k = part_key_in_memory(p, key_id);
    if (k != NULL) {
        p->stats.key_hits++;
    } else {
        p->stats.key_misses++;
    }
    if (k == NULL || k->look_again) {
        st = ks_key_get(p->cfg.store, key_id, &row, err);
        if (st == TDSA_OK) {
            st = check_usable(p, row, err);
        }
        if (st == TDSA_OK && k == NULL) {
            st = load(p, row, &k, err);
        }
        ks_key_free(row);
    }
    if (st == TDSA_OK && k->restored && !to_deal) {
        st = TDSA_FAIL(err, TDSA_E_CONFLICT,
                       PART_RESTORED ": key %s was restored from a backup here and signs after a "
                                     "refresh",
                       key_id);
    }
    if (st == TDSA_OK) {
        k->used_ms = part_now(p);
        *out = part_key_ref(k);
    }
    return st;
}

tdsa_status part_key_hold(part *p, const char *key_id, part_key **out, tdsa_err *err)
{
    return hold(p, key_id, false, out, err);
}

tdsa_status part_key_hold_dealer(part *p, const char *key_id, part_key **out, tdsa_err *err)
{
    return hold(p, key_id, true, out, err);
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
    p->table_count -= k->table == NULL ? 0 : 1;
    grp_table_free(k->table);
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
        if (b->key == k && b->refs > (k->lease == b ? 1u : 0u) + (k->ahead == b ? 1u : 0u)) {
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

/* The oldest session that nobody used for a while and that holds burnt ranges. */
static part_session *idle_holder(const part *p)
{
    part_session *oldest = NULL;

    for (size_t i = 0; i < PART_SESSION_BUCKETS; i++) {
        for (part_session *s = p->sessions[i]; s != NULL; s = s->next) {
            if (s->ranges != NULL && s->runs == NULL &&
                s->used_ms + PART_CACHE_LINGER_MS <= part_now(p) &&
                (oldest == NULL || s->used_ms < oldest->used_ms)) {
                oldest = s;
            }
        }
    }
    return oldest;
}

/* More keys than there may be: burnt ranges of idle sessions hold them, and are given up. What was
 * left of those is lost; it is burnt, so nobody uses it twice. */
static void trim_over(part *p)
{
    part_session *s = NULL;

    while (p->key_count > p->keys_max && (s = idle_holder(p)) != NULL) {
        part_ranges_free(p, s);
        part_cache_trim(p, false);
    }
    p->cache_over_ms = p->key_count > p->keys_max ? part_now(p) + PART_CACHE_LOOK_MS : UINT64_MAX;
}

void part_cache_due(part *p)
{
    const uint64_t now = part_now(p);
    part_batch *b = NULL;
    part_key *k = NULL;

    part_cache_trim(p, false);
    if (now >= p->cache_over_ms) {
        trim_over(p);
    }
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
    if (p->keys == NULL) {
        return UINT64_MAX;
    }
    return p->cache_over_ms < p->cache_due_ms ? p->cache_over_ms : p->cache_due_ms;
}

/* Forgets a key in memory, now or when nobody holds it any more. */
static void put_out(part *p, const char *key_id)
{
    part_key *k = part_key_in_memory(p, key_id);

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
    const part_key *k = part_key_in_memory(p, key_id);
    ks_key *row = NULL;
    tdsa_err err;
    bool other = false;

    if (k != NULL && ks_key_get(p->cfg.store, key_id, &row, &err) == TDSA_OK) {
        other = (row->state != KS_KEY_ACTIVE && row->state != KS_KEY_RESTORED) ||
                k->restored != (row->state == KS_KEY_RESTORED) || row->epoch != k->key->pub.epoch;
    }
    ks_key_free(row);
    if (other) {
        part_key_replaced(p, key_id);
    }
    return other;
}

void part_key_drop(part *p, const char *lent, const tdsa_err *why)
{
    char key_id[KS_KEY_ID_MAX + 1]; /* the operation that names it may end here */

    TDSA_ASSERT(strlen(lent) < sizeof key_id);
    memcpy(key_id, lent, strlen(lent) + 1);
    for (part_op *op = p->ops; op != NULL; op = op->next) {
        if (op->kind != PART_OP_DELETE && op->kind != PART_OP_UNDELETE &&
            strcmp(op->key_id, key_id) == 0) {
            part_op_end(p, op, why);
        }
    }
    for (size_t i = 0; i < PART_SESSION_BUCKETS; i++) {
        for (part_session *s = p->sessions[i]; s != NULL; s = s->next) {
            end_runs(p, s, key_id, true, why);
            part_ranges_drop(p, s, key_id);
        }
    }
    put_out(p, key_id);
}
