#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/failpoint.h"
#include "participant/internal.h"

/*
 * Presignatures: ranges are leased by the combiner and burnt by responders, durably, before anything
 * of a range is answered; then they are spent from memory (docs/architecture.md, "Burning"). A
 * range lies inside one aligned block of KS_BLOCK_SIZE and grows 1, 2, 4 ... 64 with demand.
 */

/* A lane belongs to one combiner instance: the participant in the top byte, the process below. */
uint64_t part_lane(const part *p)
{
    return ((uint64_t)p->cfg.roster.me << 56) | (ks_lane(p->cfg.store) & 0x00ffffffffffffffull);
}

uint64_t part_next_seq(part *p)
{
    const uint64_t now = p->cfg.clock.wall_ms(p->cfg.clock.ctx);

    p->seq = p->seq + 1 > now ? p->seq + 1 : now;
    return p->seq;
}

/* ---- combiner ---- */

static void drop_ahead(part *p, part_key *k)
{
    part_batch_release(p, k->ahead);
    k->ahead = NULL;
    k->ahead_from = 0;
    k->ahead_end = 0;
}

void part_stock_drop_lease(part *p, part_key *k)
{
    part_batch_release(p, k->lease);
    k->lease = NULL;
    k->lease_from = 0;
    k->lease_next = 0;
    k->lease_end = 0;
    k->lease_burnt = 0;
    drop_ahead(p, k);
}

uint32_t part_range_end(uint32_t from, uint32_t len, uint32_t count)
{
    const uint32_t block_end = (from / KS_BLOCK_SIZE + 1) * KS_BLOCK_SIZE;
    uint32_t to = len > KS_BLOCK_SIZE ? block_end : from + len;

    to = to > block_end ? block_end : to;
    return to > count ? count : to;
}

/* Leases a range, durably, and tells what of its blocks was deleted before. */
static tdsa_status lease_range(ks *store, const uint8_t *beta, uint32_t from, uint32_t to,
                               uint64_t *burnt, tdsa_err *err)
{
    const uint32_t first = from / KS_BLOCK_SIZE;
    tdsa_status st;

    TDSA_FAILPOINT("sign.before_lease");
    st = ks_lease(store, beta, from, to, err);
    TDSA_FAILPOINT("sign.after_lease");
    /* read after the lease: part_presig_delete relies on it */
    for (uint32_t block = first; st == TDSA_OK && block * KS_BLOCK_SIZE < to; block++) {
        st = ks_batch_burnt(store, beta, block, &burnt[block - first], err);
    }
    return st;
}

static tdsa_status lease(part *p, part_key *k, part_batch *b, uint32_t from, tdsa_err *err)
{
    uint64_t burnt = 0;
    uint32_t len = 0;
    uint32_t to = 0;
    tdsa_status st;

    if (b->members != k->lease_members) {
        k->lease_len = 1; /* it may not answer: little is lost */
        k->lease_members = b->members;
    }
    len = k->lease_want > k->lease_len ? k->lease_want : k->lease_len;
    to = part_range_end(from, len, mpc_batch_count(b->batch));

    st = lease_range(p->cfg.store, mpc_batch_beta(b->batch), from, to, &burnt, err);
    if (st != TDSA_OK) {
        return st;
    }
    (void)part_batch_ref(b);
    part_stock_drop_lease(p, k);
    k->lease = b;
    k->lease_from = from;
    k->lease_next = from;
    k->lease_end = to;
    k->lease_burnt = burnt;
    k->ahead_again = 0;
    k->lease_len = k->lease_len >= KS_BLOCK_SIZE ? KS_BLOCK_SIZE : k->lease_len * 2;
    part_keeper_leased(p, k);
    return TDSA_OK;
}

/* The first block of what was leased ahead is the lease. */
static void use_ahead(part *p, part_key *k)
{
    const uint32_t to = part_range_end(k->ahead_from, KS_BLOCK_SIZE, k->ahead_end);

    if (k->lease != k->ahead) {
        part_batch_release(p, k->lease);
        k->lease = part_batch_ref(k->ahead);
    }
    k->lease_from = k->ahead_from;
    k->lease_next = k->ahead_from;
    k->lease_end = to;
    k->lease_burnt = k->ahead_burnt[0];
    k->ahead_again = 0;
    memmove(k->ahead_burnt, k->ahead_burnt + 1, sizeof k->ahead_burnt - sizeof k->ahead_burnt[0]);
    k->ahead_from = to;
    if (to == k->ahead_end) {
        drop_ahead(p, k);
    }
    part_keeper_leased(p, k);
}

/* The batch that the last lease was from may have more. */
static tdsa_status lease_on(part *p, part_key *k, tdsa_err *err)
{
    part_batch *b = k->lease;

    if (b != NULL && k->ahead != NULL) {
        use_ahead(p, k);
        return TDSA_OK;
    }
    if (b == NULL || k->lease_end >= mpc_batch_count(b->batch)) {
        return TDSA_E_CONFLICT;
    }
    return lease(p, k, b, k->lease_end, err);
}

/* How far a lease goes that nobody waits for. */
static uint32_t ahead_end(uint32_t len, uint32_t from, uint32_t count)
{
    const uint32_t most = from / KS_BLOCK_SIZE * KS_BLOCK_SIZE + PART_AHEAD_MAX;

    if (len < KS_BLOCK_SIZE) {
        return part_range_end(from, len, count);
    }
    return most < count ? most : count;
}

bool part_take_lease(part *p, const char *key_id, part_lease_work *out)
{
    part_key *k = part_key_in_memory(p, key_id);
    uint32_t count = 0;

    if (k == NULL || k->lease == NULL || k->leasing || k->ahead != NULL ||
        k->lease_len < p->ahead_len || k->lease_next < k->ahead_again ||
        k->lease_end - k->lease_next > (k->lease_end - k->lease_from) / 4 * 3) {
        return false;
    }
    count = mpc_batch_count(k->lease->batch);
    k->leasing = true;
    *out = (part_lease_work){.key = part_key_ref(k),
                             .batch = part_batch_ref(k->lease),
                             .store = p->cfg.store,
                             .next = part_my_batches(p),
                             .len = k->lease_len};
    out->next.within = k->lease->members;
    if (k->lease_end < count) {
        out->from = k->lease_end;
        out->to = ahead_end(out->len, k->lease_end, count);
    }
    return true;
}

void part_make_lease(part_lease_work *w)
{
    const mpc_key_public *pub = &w->key->key->pub;
    const uint8_t *beta = mpc_batch_beta(w->batch->batch);
    tdsa_status st = TDSA_OK;

    if (w->to == 0) {
        st = ks_batch_find(w->store, pub->key_id, pub->epoch, &w->next, &w->row, &w->err);
    }
    if (st == TDSA_OK && w->row != NULL) {
        beta = w->row->beta;
        w->from = w->row->next;
        w->to = ahead_end(w->len, w->from, w->row->count);
    }
    if (st == TDSA_OK) {
        st = lease_range(w->store, beta, w->from, w->to, w->burnt, &w->err);
    }
    w->err.status = st;
}

/* What was leased is used next, unless the committee or the session was left meanwhile. */
static bool take_ahead(part *p, part_key *k, const part_lease_work *w)
{
    part_batch *b = NULL;
    tdsa_err err;

    if (k->lease == NULL || k->lease->members != w->batch->members || k->ahead != NULL || k->gone) {
        return false;
    }
    if (w->row == NULL) {
        b = part_batch_ref(w->batch);
    } else if (part_batch_adopt(p, k, w->row, &b, &err) != TDSA_OK) {
        return false;
    }
    k->ahead = b;
    k->ahead_from = w->from;
    k->ahead_end = w->to;
    memcpy(k->ahead_burnt, w->burnt, sizeof k->ahead_burnt);
    return true;
}

uint64_t part_give_lease(part *p, part_lease_work *w)
{
    part_key *k = w->key;
    uint64_t op = PART_OP_NONE;

    k->leasing = false;
    if (w->err.status == TDSA_OK && take_ahead(p, k, w)) {
        op = part_tell_ahead(p, k);
    } else { /* the next batch is still being made, say */
        k->ahead_again = k->lease_next + (k->lease_end - k->lease_from) / 4;
    }
    ks_batch_free(w->row);
    part_batch_release(p, w->batch);
    part_key_release(p, k);
    return op;
}

static tdsa_status lease_anew(part *p, part_key *k, uint32_t usable, tdsa_err *err)
{
    ks_batch *row = NULL;
    part_batch *b = NULL;
    /* Also batches that another instance of this participant or an earlier start of it made; those of
     * other participants only their coordinators may use. */
    ks_batch_filter mine = part_my_batches(p);
    tdsa_status st;

    mine.within = usable;
    st = ks_batch_find(p->cfg.store, k->key->pub.key_id, k->key->pub.epoch, &mine, &row, err);
    if (st == TDSA_OK) {
        st = part_batch_adopt(p, k, row, &b, err);
    }
    if (st == TDSA_OK) {
        st = lease(p, k, b, row->next, err);
    }
    part_batch_release(p, b);
    ks_batch_free(row);
    return st;
}

tdsa_status part_stock_take(part *p, part_key *k, part_batch **batch, uint32_t *index,
                            tdsa_err *err)
{
    const uint32_t usable = part_committee_usable(p, k);
    tdsa_status st = TDSA_OK;

    *batch = NULL;
    if (k->lease != NULL && (k->lease->members & ~usable) != 0) {
        part_stock_drop_lease(p, k); /* the rest of the range is lost */
        k->lease_members = 0;
    }
    while (st == TDSA_OK && !part_lease_has(k, k->lease_next)) {
        if (k->lease_next < k->lease_end) {
            k->lease_next++; /* deleted */
            continue;
        }
        st = lease_on(p, k, err);
        /* CONFLICT: somebody else took that range; read again and try the next. */
        for (unsigned tries = 0; st == TDSA_E_CONFLICT && tries < 16; tries++) {
            st = lease_anew(p, k, usable, err);
        }
    }
    if (st != TDSA_OK) {
        return st == TDSA_E_CONFLICT ? TDSA_FAIL(err, TDSA_E_BUSY, "presignatures are contended")
                                     : st;
    }
    *index = k->lease_next++;
    *batch = part_batch_ref(k->lease);
    part_keeper_look(p, k);
    return TDSA_OK;
}

void part_stock_give_back(part_key *k, uint32_t index)
{
    TDSA_ASSERT(k->lease_next == index + 1);
    k->lease_next = index;
}

tdsa_status part_signing_session(part *p, part_key *k, uint32_t members, part_session **out,
                                 tdsa_err *err)
{
    part_session *s = k->signing;
    const uint64_t now = part_now(p);
    tdsa_status st;

    if (s != NULL) {
        bool fresh = now < s->ends_ms;
        for (size_t i = 0; i < GRP_PARTIES_MAX; i++) {
            const part_link *l = (members >> i & 1) != 0 ? s->link[i] : NULL;
            fresh = fresh &&
                    (l == NULL || (l->state != LINK_LOST && l->next_seq < PART_SIGNING_ASKS_MAX));
        }
        if (fresh) {
            *out = s;
            return TDSA_OK;
        }
        part_signing_leave(p, k);
    }
    st = part_session_open(p, out, PEER_FOR_SIGNING, k->key->pub.key_id, err);
    if (st == TDSA_OK) {
        part_session_bind(*out, k->key->pub.members, k->key->pub.n);
        k->signing = *out;
    }
    return st;
}

void part_signing_leave(part *p, part_key *k)
{
    if (k->signing != NULL) {
        /* What is under way in it may still end well; nothing new begins. */
        k->signing->ends_ms = part_now(p);
        k->signing = NULL;
    }
    part_stock_drop_lease(p, k);
}

void part_signing_lost(part *p, part_key *k)
{
    bool lost = false;

    for (size_t i = 0; k->signing != NULL && i < GRP_PARTIES_MAX; i++) {
        lost = lost || (k->signing->link[i] != NULL && k->signing->link[i]->state == LINK_LOST);
    }
    if (lost) {
        part_signing_leave(p, k);
    }
}

/* ---- new batches ---- */

typedef struct {
    uint32_t usable;
    bool found;
    uint8_t beta[KS_BETA_LEN];
} worst_batch;

static bool find_worst(void *ctx, const ks_batch_info *b)
{
    worst_batch *w = ctx;

    w->found = b->state == KS_BATCH_FREE && b->left > 0 && (b->members & ~w->usable) != 0;
    memcpy(w->beta, b->beta, sizeof w->beta);
    return !w->found;
}

static tdsa_status void_one(part *p, part_key *k, uint32_t usable, bool *more, tdsa_err *err)
{
    const ks_batch_filter mine = part_my_batches(p);
    worst_batch w = {.usable = usable};
    tdsa_status st = ks_batch_each(p->cfg.store, k->key->pub.key_id, &mine, find_worst, &w, err);

    *more = st == TDSA_OK && w.found;
    if (*more) {
        st = ks_batch_move(p->cfg.store, w.beta, KS_BATCH_FREE, KS_BATCH_VOID, err);
        part_say(p, TDSA_LOG_INFO, "key %s: a batch of a committee that does not answer makes room",
                 k->key->pub.key_id);
    }
    return st;
}

/* Callers that wait for presignatures of the key. */
static uint32_t waiting_for(const part *p, const part_key *k)
{
    uint32_t count = 0;

    for (const part_op *op = p->ops; op != NULL; op = op->next) {
        count += op->kind == PART_OP_SIGN && op->state == OP_STOCK && op->key == k ? 1 : 0;
    }
    return count;
}

/* Presignatures that cannot be used now, because some member does not answer, make room for some that
 * can. */
tdsa_status part_stock_usual(part *p, part_key *k, uint32_t *out, tdsa_err *err)
{
    const uint32_t usable = part_committee_usable(p, k);
    const uint32_t most = p->cfg.presign_batch_max;
    const uint32_t waiting = waiting_for(p, k);
    uint64_t room = 0;
    bool more = true;
    tdsa_err why;
    tdsa_status st = part_stock_room(p, k->key->pub.key_id, &room, &why, err);

    while (st == TDSA_OK && room == 0 && more) {
        st = void_one(p, k, usable, &more, err);
        if (st == TDSA_OK && more) {
            st = part_stock_room(p, k->key->pub.key_id, &room, &why, err);
        }
    }
    if (st == TDSA_OK && room == 0) {
        *err = why;
        st = why.status;
    }
    k->batch_len = k->batch_len < waiting ? waiting : k->batch_len;
    k->batch_len = k->batch_len > most ? most : k->batch_len;
    *out = room < k->batch_len ? (uint32_t)room : k->batch_len;
    k->batch_len = k->batch_len * 2 > most ? most : k->batch_len * 2;
    return st;
}

/* Somebody waits for the run that is under way: it ends as early as one of his would. */
static void hurry(part_key *k, uint64_t ends_ms)
{
    for (part_run *r = k->signing == NULL ? NULL : k->signing->runs; r != NULL; r = r->next) {
        if (r->kind == RUN_PRESIGN && r->key == k && r->deadline_ms > ends_ms) {
            r->deadline_ms = ends_ms;
        }
    }
}

/* Whoever waits for a run that nobody drives any more drives it. */
static void adopt(part *p, part_key *k, uint64_t op)
{
    for (part_run *r = k->signing == NULL ? NULL : k->signing->runs; r != NULL; r = r->next) {
        r->op = r->kind == RUN_PRESIGN && r->op == PART_OP_NONE ? op : r->op;
    }
    for (part_exchange *x = p->exchanges; x != NULL; x = x->next) {
        if (x->kind == PART_ASK_PRESIGN && x->op == PART_OP_NONE && x->session != NULL &&
            x->session == k->signing) {
            x->op = op;
        }
    }
}

tdsa_status part_stock_order(part *p, part_key *k, uint32_t count, uint64_t op,
                             uint64_t deadline_ms, tdsa_err *err)
{
    part_session *s = NULL;
    const part_attempt what = count == 0 ? ATTEMPT_BATCH : ATTEMPT_STOCK;
    const uint64_t usual_ms = part_now(p) + p->cfg.deadline_ms;
    uint32_t members = 0;
    tdsa_status st;

    /* Others wait for the batch as well: it does not end with the one who happened to order it. */
    if (!part_committee_spare(k)) {
        deadline_ms = deadline_ms < usual_ms ? usual_ms : deadline_ms;
    }
    if (k->presigning) {
        adopt(p, k, op);
        hurry(k, part_attempt_ends(p, k, 0, what, deadline_ms));
        return TDSA_OK;
    }
    if (count == 0) {
        st = part_stock_usual(p, k, &count, err);
        if (st != TDSA_OK) {
            return st;
        }
    }
    members = part_committee_choose(p, k);
    st = part_signing_session(p, k, members, &s, err);
    if (st != TDSA_OK) {
        return st;
    }
    k->presigning = true;
    part_op_event(p, PART_OP_PRESIGN, PART_EVENT_STARTED, part_now(p));
    st = part_run_begin_presign(p, s, k, count, members, op,
                                part_attempt_ends(p, k, members, what, deadline_ms), err);
    if (st != TDSA_OK) {
        k->presigning = false;
    }
    return st;
}

/* A run of mine ended. The operations that waited go on, or fail. */
void part_stock_arrived(part *p, const char *key_id, const tdsa_err *why)
{
    const tdsa_err reason = *why;

    for (part_key *k = p->keys; k != NULL; k = k->next) {
        if (strcmp(k->key->pub.key_id, key_id) == 0) {
            k->presigning = false;
            part_keeper_result(p, k, reason.status == TDSA_OK);
            if (reason.status != TDSA_OK) {
                part_signing_leave(p, k); /* some link of the session may be lost at a peer */
            }
        }
    }
    for (part_op *op = p->ops; op != NULL; op = op->next) {
        if (strcmp(op->key_id, key_id) != 0 || op->state == OP_DONE) {
            continue;
        }
        if (op->kind == PART_OP_SIGN && op->state == OP_STOCK) {
            if (reason.status == TDSA_OK) {
                part_sign_go_on(p, op);
            } else {
                part_sign_retry(p, op, &reason);
            }
        } else if (op->kind == PART_OP_SIGN_BATCH && op->state == OP_STOCK) {
            if (reason.status == TDSA_OK) {
                part_many_go_on(p, op);
            } else {
                part_many_retry(p, op, &reason);
            }
        } else if (op->kind == PART_OP_PRESIGN) {
            part_presign_go_on(p, op, &reason);
        }
    }
}
