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

uint16_t part_committee_member(const part *p, const part_key *k, uint16_t place)
{
    const mpc_key_public *pub = &k->key->pub;
    const uint16_t size = (uint16_t)(2 * pub->t + 1);

    TDSA_ASSERT(place < size);
    /* The lowest members, and myself in the last place when I am not among them. */
    if (p->cfg.roster.me > pub->members[size - 1].index && place == size - 1) {
        return p->cfg.roster.me;
    }
    return pub->members[place].index;
}

/* ---- combiner ---- */

void part_stock_drop_lease(part *p, part_key *k)
{
    part_batch_release(p, k->lease);
    k->lease = NULL;
    k->lease_from = 0;
    k->lease_next = 0;
    k->lease_end = 0;
}

static uint32_t range_end(uint32_t from, uint32_t len, uint32_t count)
{
    const uint32_t block_end = (from / KS_BLOCK_SIZE + 1) * KS_BLOCK_SIZE;
    uint32_t to = from + len;

    to = to > block_end ? block_end : to;
    return to > count ? count : to;
}

static tdsa_status lease(part *p, part_key *k, part_batch *b, uint32_t from, tdsa_err *err)
{
    const uint32_t to = range_end(from, k->lease_len, mpc_batch_count(b->batch));
    tdsa_status st;

    TDSA_FAILPOINT("sign.before_lease");
    st = ks_lease(p->cfg.store, mpc_batch_beta(b->batch), from, to, err);
    TDSA_FAILPOINT("sign.after_lease");
    if (st != TDSA_OK) {
        return st;
    }
    (void)part_batch_ref(b);
    part_stock_drop_lease(p, k);
    k->lease = b;
    k->lease_from = from;
    k->lease_next = from;
    k->lease_end = to;
    k->lease_len = k->lease_len >= KS_BLOCK_SIZE ? KS_BLOCK_SIZE : k->lease_len * 2;
    return TDSA_OK;
}

/* The batch that the last lease was from may have more. */
static tdsa_status lease_on(part *p, part_key *k, tdsa_err *err)
{
    part_batch *b = k->lease;

    if (b == NULL || k->lease_end >= mpc_batch_count(b->batch)) {
        return TDSA_E_CONFLICT;
    }
    return lease(p, k, b, k->lease_end, err);
}

static tdsa_status lease_anew(part *p, part_key *k, tdsa_err *err)
{
    ks_batch *row = NULL;
    part_batch *b = NULL;
    const uint64_t lane = part_lane(p);
    tdsa_status st;

    /* A client's database holds only batches that it coordinated; a server's also those of others,
     * which only their coordinators may use. */
    st = ks_batch_find(p->cfg.store, k->key->pub.key_id, k->key->pub.epoch,
                       part_is_client(p) ? NULL : &lane, &row, err);
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
    tdsa_status st = TDSA_OK;

    *batch = NULL;
    if (k->lease == NULL || k->lease_next == k->lease_end) {
        st = lease_on(p, k, err);
        /* CONFLICT: somebody else took that range; read again and try the next. */
        for (unsigned tries = 0; st == TDSA_E_CONFLICT && tries < 16; tries++) {
            st = lease_anew(p, k, err);
        }
    }
    if (st != TDSA_OK) {
        return st == TDSA_E_CONFLICT ? TDSA_FAIL(err, TDSA_E_BUSY, "presignatures are contended")
                                     : st;
    }
    *index = k->lease_next++;
    *batch = part_batch_ref(k->lease);
    return TDSA_OK;
}

tdsa_status part_signing_session(part *p, part_key *k, part_session **out, tdsa_err *err)
{
    part_session *s = k->signing;
    const uint64_t now = part_now(p);
    tdsa_status st;

    if (s != NULL) {
        bool fresh = now < s->ends_ms;
        for (size_t i = 0; i < GRP_PARTIES_MAX; i++) {
            const part_link *l = s->link[i];
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

void part_signing_leave_lost(part *p, part_key *k)
{
    bool lost = false;

    for (size_t i = 0; k->signing != NULL && i < GRP_PARTIES_MAX; i++) {
        const part_link *l = k->signing->link[i];
        lost = lost || (l != NULL && l->state == LINK_LOST);
    }
    if (lost) {
        part_signing_leave(p, k);
    }
}

/* The size of a batch that nobody asked for: doubles with demand, within the key's limit. */
static tdsa_status usual_count(part *p, part_key *k, uint32_t *out, tdsa_err *err)
{
    ks_key *row = NULL;
    uint64_t have = 0;
    tdsa_status st = ks_key_get(p->cfg.store, k->key->pub.key_id, &row, err);
    const int64_t limit = st == TDSA_OK ? row->presignature_limit : -1;

    ks_key_free(row);
    *out = k->batch_len;
    if (st == TDSA_OK && limit >= 0) {
        st = part_stock(p, k->key->pub.key_id, &have, err);
        if (st == TDSA_OK && have >= (uint64_t)limit) {
            st = TDSA_FAIL(err, TDSA_E_LIMIT, "the key's limit of %lld presignatures is reached",
                           (long long)limit);
        } else if (have + *out > (uint64_t)limit) {
            *out = (uint32_t)((uint64_t)limit - have);
        }
    }
    k->batch_len =
        k->batch_len * 2 > p->cfg.presign_batch_max ? p->cfg.presign_batch_max : k->batch_len * 2;
    return st;
}

tdsa_status part_stock_order(part *p, part_key *k, uint32_t count, uint64_t op,
                             uint64_t deadline_ms, tdsa_err *err)
{
    part_session *s = NULL;
    const uint64_t usual_ms = part_now(p) + p->cfg.deadline_ms;
    tdsa_status st;

    if (k->presigning) {
        return TDSA_OK;
    }
    /* Others wait for the batch as well: it does not end with the one who happened to order it. */
    deadline_ms = deadline_ms < usual_ms ? usual_ms : deadline_ms;
    if (count == 0) {
        st = usual_count(p, k, &count, err);
        if (st != TDSA_OK) {
            return st;
        }
    }
    st = part_signing_session(p, k, &s, err);
    if (st != TDSA_OK) {
        return st;
    }
    k->presigning = true;
    part_op_event(p, PART_OP_PRESIGN, PART_EVENT_STARTED, part_now(p));
    st = part_run_begin_presign(p, s, k, count, op, deadline_ms, err);
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
        } else if (op->kind == PART_OP_PRESIGN) {
            part_presign_go_on(p, op, &reason);
        }
    }
}

/* ---- responder ---- */

static void range_free(part *p, part_session *s, part_range **at)
{
    part_range *r = *at;

    *at = r->next;
    s->range_count--;
    part_batch_release(p, r->batch);
    free(r);
}

void part_ranges_free(part *p, part_session *s)
{
    while (s->ranges != NULL) {
        range_free(p, s, &s->ranges);
    }
}

void part_ranges_drop(part *p, part_session *s, const char *key_id)
{
    part_range **at = &s->ranges;

    while (*at != NULL) {
        if (strcmp((*at)->batch->key->key->pub.key_id, key_id) == 0) {
            range_free(p, s, at);
        } else {
            at = &(*at)->next;
        }
    }
}

static part_range *find_range(const part_session *s, const part_spend *sp)
{
    part_range *r = s->ranges;

    while (r != NULL && !(r->batch == sp->batch && r->from <= sp->index && sp->index < r->to)) {
        r = r->next;
    }
    return r;
}

static tdsa_status check_range(const part_spend *sp, tdsa_err *err)
{
    const uint32_t count = mpc_batch_count(sp->batch->batch);

    if (sp->range_from > sp->index || sp->index >= sp->range_to || sp->range_to > count ||
        sp->range_to - sp->range_from > KS_BLOCK_SIZE ||
        sp->range_from / KS_BLOCK_SIZE != (sp->range_to - 1) / KS_BLOCK_SIZE) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "presignature %u with range %u to %u of %u",
                         sp->index, sp->range_from, sp->range_to, count);
    }
    return TDSA_OK;
}

static tdsa_status burn_range(part *p, part_session *s, const part_spend *sp, part_range **out,
                              tdsa_err *err)
{
    const uint32_t len = sp->range_to - sp->range_from;
    const uint64_t ones = len == 64 ? UINT64_MAX : (1ull << len) - 1;
    const uint64_t bits = ones << (sp->range_from % KS_BLOCK_SIZE);
    part_range *r = NULL;
    tdsa_status st = check_range(sp, err);

    if (st != TDSA_OK) {
        return st;
    }
    r = calloc(1, sizeof *r);
    if (r == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "range");
    }
    TDSA_FAILPOINT("sign.before_burn");
    st = ks_burn(p->cfg.store, mpc_batch_beta(sp->batch->batch), sp->range_from / KS_BLOCK_SIZE,
                 bits, err);
    TDSA_FAILPOINT("sign.after_burn");
    if (st != TDSA_OK) {
        free(r);
    }
    if (st == TDSA_E_CONFLICT) {
        return TDSA_FAIL(err, st, "NOT_MY_RANGE: presignatures %u to %u are used", sp->range_from,
                         sp->range_to);
    }
    if (st == TDSA_E_NOT_FOUND) { /* it was purged; only memory still had it */
        return TDSA_FAIL(err, st, "BATCH_UNKNOWN: this presignature's batch is not here any more");
    }
    if (st != TDSA_OK) {
        return st;
    }
    p->stats.burned += len;
    r->batch = part_batch_ref(sp->batch);
    r->from = sp->range_from;
    r->to = sp->range_to;
    r->next = s->ranges;
    s->ranges = r;
    s->range_count++;
    *out = r;
    return TDSA_OK;
}

/* Forgets the oldest range; what is left of it stays burnt. */
static void trim_ranges(part *p, part_session *s)
{
    while (s->range_count > PART_RANGES_MAX) {
        part_range **at = &s->ranges;
        while ((*at)->next != NULL) {
            at = &(*at)->next;
        }
        range_free(p, s, at);
    }
}

tdsa_status part_stock_spend(part *p, part_session *s, const part_spend *sp, tdsa_err *err)
{
    part_range *r = find_range(s, sp);
    uint64_t bit = 0;
    tdsa_status st = TDSA_OK;

    if (r == NULL) {
        st = burn_range(p, s, sp, &r, err);
        if (st != TDSA_OK) {
            return st;
        }
    }
    bit = 1ull << (sp->index - r->from);
    if ((r->spent & bit) != 0) {
        if (tdsa_ct_equal(r->transcript[sp->index - r->from], sp->transcript, 32)) {
            return TDSA_OK; /* the same request again */
        }
        return TDSA_FAIL(err, TDSA_E_CONFLICT,
                         "PRESIGNATURE_USED: this presignature answered another request");
    }
    r->spent |= bit;
    memcpy(r->transcript[sp->index - r->from], sp->transcript, 32);
    trim_ranges(p, s);
    return TDSA_OK;
}

/* ---- questions ---- */

tdsa_status part_stock(part *p, const char *key_id, uint64_t *out, tdsa_err *err)
{
    tdsa_status st = ks_batch_available(p->cfg.store, key_id, out, err);

    for (const part_key *k = p->keys; st == TDSA_OK && k != NULL; k = k->next) {
        if (strcmp(k->key->pub.key_id, key_id) == 0) {
            *out += k->lease_end - k->lease_next;
        }
    }
    return st;
}

tdsa_status part_purge(part *p, const char *key_id, uint64_t *dropped, tdsa_err *err)
{
    tdsa_status st;

    for (part_key *k = p->keys; k != NULL; k = k->next) {
        if (strcmp(k->key->pub.key_id, key_id) == 0) {
            part_stock_drop_lease(p, k);
        }
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
