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
    k->lease_burnt = 0;
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
    uint64_t burnt = 0;
    tdsa_status st;

    TDSA_FAILPOINT("sign.before_lease");
    st = ks_lease(p->cfg.store, mpc_batch_beta(b->batch), from, to, err);
    TDSA_FAILPOINT("sign.after_lease");
    if (st == TDSA_OK) { /* read after the lease: part_presig_delete relies on it */
        st = ks_batch_burnt(p->cfg.store, mpc_batch_beta(b->batch), from / KS_BLOCK_SIZE, &burnt,
                            err);
    }
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
    /* Also batches that another instance of this participant or an earlier start of it made; those of
     * other participants only their coordinators may use. */
    const ks_batch_filter mine = part_my_batches(p);
    tdsa_status st;

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
    tdsa_status st = TDSA_OK;

    *batch = NULL;
    while (st == TDSA_OK && !part_lease_has(k, k->lease_next)) {
        if (k->lease_next < k->lease_end) {
            k->lease_next++; /* deleted */
            continue;
        }
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

/* The size of a batch that nobody asked for: doubles with demand, within the limits. */
static tdsa_status usual_count(part *p, part_key *k, uint32_t *out, tdsa_err *err)
{
    uint64_t room = 0;
    tdsa_err why;
    tdsa_status st = part_stock_room(p, k->key->pub.key_id, &room, &why, err);

    if (st == TDSA_OK && room == 0) {
        *err = why;
        st = why.status;
    }
    *out = room < k->batch_len ? (uint32_t)room : k->batch_len;
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
