#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/statement.h"
#include "participant/sign_batch.h"

/*
 * Many signatures of one key with one exchange per committee member. The requests go in waves: a wave
 * takes a presignature for each request that waits, all of one committee; asks each member once for
 * all of them (in prepare mode twice); and judges each request on its own. What is worth another try
 * waits for the next wave. The arithmetic is done in slices by part_batch_work, so that it neither
 * delays the questions nor holds the lock for long. The asked side is signer.c.
 */

#define BATCHES_MAX 16u /* at a time */
#define MS_PER_ITEM 2u  /* what an attempt waits longer for each request */

/* ---- ends ---- */

static void clear_attempt(part *p, part_item *t)
{
    mpc_combine_free(t->combine);
    t->combine = NULL;
    part_batch_release(p, t->batch);
    t->batch = NULL;
    tdsa_buf_clear(&t->bytes);
}

/* One request has ended: why->status TDSA_OK, its signature is in out. */
void part_item_over(part *p, part_op *op, size_t i, const tdsa_err *why)
{
    part_item *t = &op->many->item[i];
    part_event event = PART_EVENT_COMPLETED;

    if (why->status != TDSA_OK) {
        event = why->status == TDSA_E_TIMEOUT ? PART_EVENT_TIMEOUT : PART_EVENT_ABORTED;
    }
    op->many->out[i].err = *why;
    t->state = ITEM_OVER;
    clear_attempt(p, t);
    part_op_event(p, PART_OP_SIGN, event, op->started_ms);
}

void part_item_fails(part_item *t, const tdsa_err *why)
{
    if (t->state == ITEM_ASKED) {
        t->state = ITEM_FAILED;
        t->why = *why;
    }
}

size_t part_many_count(const part_many *m, part_item_state state)
{
    size_t n = 0;

    for (size_t i = 0; i < m->count; i++) {
        n += m->item[i].state == state ? 1 : 0;
    }
    return n;
}

void part_many_close(part *p, part_op *op, const tdsa_err *why)
{
    part_many *m = op->many;
    tdsa_err reason = *why;

    if (m == NULL) {
        return;
    }
    if (reason.status == TDSA_OK) {
        (void)TDSA_FAIL(&reason, TDSA_E_INTERNAL, "not answered");
    }
    for (size_t i = 0; i < m->count; i++) {
        if (m->item[i].state != ITEM_OVER) {
            part_item_over(p, op, i, &reason);
        }
        tdsa_buf_clear(&m->item[i].payload);
    }
    p->many_count--;
    free(m->item);
    free(m);
    op->many = NULL;
}

/* All requests are over. */
void part_many_conclude(part *p, part_op *op)
{
    const part_many *m = op->many;

    for (size_t i = 0; i < m->count; i++) {
        if (m->out[i].err.status == TDSA_OK) {
            part_op_end_ok(p, op);
            return;
        }
    }
    part_op_end(p, op, &m->out[m->count - 1].err);
}

/* Those that wait cannot go on. */
void part_many_give_up(part *p, part_op *op, const tdsa_err *why)
{
    const tdsa_err reason = *why;

    for (size_t i = 0; i < op->many->count; i++) {
        if (op->many->item[i].state != ITEM_OVER) {
            part_item_over(p, op, i, &reason);
        }
    }
    part_many_conclude(p, op);
}

/* ---- a wave ---- */

static tdsa_status encode(part_item *t, const part_op *op, tdsa_err *err)
{
    mpc_request *q = &t->q;

    memcpy(q->beta, mpc_batch_beta(t->batch->batch), sizeof q->beta);
    q->committee_count = (uint16_t)(2 * op->key->key->pub.t + 1);
    memcpy(q->committee, mpc_batch_committee(t->batch->batch),
           q->committee_count * sizeof q->committee[0]);
    mpc_request_encode(&t->bytes, q);
    return tdsa_buf_check(&t->bytes, err);
}

/* What follows from the request and my own record; T0 only in prepare mode. */
static tdsa_status begin_item(part_item *t, const part_op *op, tdsa_err *err)
{
    const mpc_key *key = op->key->key;
    mpc_batch *batch = t->batch->batch;
    tdsa_status st = encode(t, op, err);

    if (st == TDSA_OK && key->pub.policy.prepare) {
        t->coins = (mpc_coins){0};
        return mpc_prepare_new(t->prepared, key, batch, &t->q, t->bytes.data, t->bytes.len, err);
    }
    if (st == TDSA_OK) {
        st = mpc_context_new(&t->context, key, batch, &t->q, t->bytes.data, t->bytes.len, err);
    }
    return st == TDSA_OK ? mpc_combine_new(&t->combine, key, batch, &t->context, err) : st;
}

/* The rate counts each attempt of each request, once. */
static tdsa_status charge(part *p, const part_op *op, part_item *t, tdsa_err *err)
{
    if (t->charged > t->tries) {
        return TDSA_OK;
    }
    t->charged = t->tries + 1;
    return part_rate_take(p, &op->key->key->pub, err);
}

/* A presignature of the wave's committee, and the session to use it in. The first sets both; a session
 * that takes the place of a lost one drops the lease: once more. */
static tdsa_status take_one(part *p, part_op *op, part_item *t, part_session **s, tdsa_err *err)
{
    part_many *m = op->many;
    part_key *k = op->key;
    tdsa_status st = TDSA_OK;

    for (unsigned i = 0; i < 2; i++) {
        st = part_stock_take(p, k, &t->batch, &t->q.index, err);
        if (st != TDSA_OK || *s != NULL) {
            break;
        }
        st = part_signing_session(p, k, t->batch->members, s, err);
        if (st != TDSA_OK || k->lease == t->batch) {
            m->members = t->batch->members;
            break;
        }
        *s = NULL;
        part_batch_release(p, t->batch);
        t->batch = NULL;
    }
    if (st == TDSA_OK && t->batch == NULL) {
        st = TDSA_FAIL(err, TDSA_E_BUSY, "the signing session was lost twice");
    }
    if (st == TDSA_OK && t->batch->members != m->members) {
        part_stock_give_back(k, t->q.index);
        st = TDSA_E_CONFLICT; /* of another committee: another wave */
    }
    if (st != TDSA_OK) {
        part_batch_release(p, t->batch);
        t->batch = NULL;
        return st;
    }
    part_lease_range(k, t->q.index, &t->range_from, &t->range_to);
    return TDSA_OK;
}

/* Presignatures for as many of those that wait as there are; TDSA_OK: for one at least, or all fell. */
static tdsa_status take_all(part *p, part_op *op, part_session **s, tdsa_err *err)
{
    part_many *m = op->many;
    size_t left = part_many_count(m, ITEM_WAITS);
    tdsa_status st = TDSA_OK;

    m->asked_count = 0;
    for (size_t i = 0; st == TDSA_OK && i < m->count; i++) {
        part_item *t = &m->item[i];
        tdsa_err why;

        if (t->state != ITEM_WAITS) {
            continue;
        }
        if (charge(p, op, t, &why) != TDSA_OK) {
            part_item_over(p, op, i, &why);
            left--;
            continue;
        }
        op->key->lease_want = (uint32_t)left--; /* in whole ranges */
        st = take_one(p, op, t, s, err);
        op->key->lease_want = 0;
        if (st == TDSA_OK && begin_item(t, op, &why) != TDSA_OK) {
            part_item_over(p, op, i, &why);
        } else if (st == TDSA_OK) {
            t->tries++;
            t->state = ITEM_ASKED;
            m->asked[m->asked_count++] = i;
        }
    }
    return m->asked_count > 0 || part_many_count(m, ITEM_WAITS) == 0 ? TDSA_OK : st;
}

static void put_item(tdsa_buf *body, const part_op *op, const part_item *t, bool replies)
{
    const bool burns = !replies || !op->key->key->pub.policy.prepare;
    TDSA_SCOPED_BUF one = TDSA_BUF_EMPTY;

    tdsa_stmt_uint(&one, burns ? t->range_from : t->q.index);
    tdsa_stmt_uint(&one, burns ? t->range_to : t->q.index + 1);
    tdsa_stmt_octets(&one, t->bytes.data, t->bytes.len);
    if (!burns) {
        mpc_coins_put(&one, op->key->key->g, &t->coins);
    }
    tdsa_stmt_octets(body, one.data, one.len);
    body->failed = body->failed || one.failed;
}

/* One question with everything to each member; when to give up on them grows with it. */
tdsa_status part_many_ask(part *p, part_op *op, part_session *s, tdsa_err *err)
{
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    const part_many *m = op->many;
    const bool replies = op->state == OP_REPLIES;
    const uint64_t patience = MS_PER_ITEM * m->asked_count;
    uint64_t ends_ms = part_attempt_ends(p, op->key, m->members, ATTEMPT_SIGN, op->deadline_ms);
    size_t list = 0;
    tdsa_status st;

    ends_ms = ends_ms + patience < op->deadline_ms ? ends_ms + patience : op->deadline_ms;
    op->attempt_ms = part_now(p);
    tdsa_stmt_begin(&body, "batch-request");
    tdsa_stmt_uint(&body, replies ? PART_BATCH_REPLIES : PART_BATCH_COINS);
    list = tdsa_stmt_list_begin(&body);
    for (size_t i = 0; i < m->asked_count; i++) {
        put_item(&body, op, &m->item[m->asked[i]], replies);
    }
    tdsa_stmt_list_end(&body, list);
    st = tdsa_buf_check(&body, err);
    if (st == TDSA_OK) {
        const part_ask ask = {.kind = PART_ASK_SIGN_BATCH, .body = body.data, .body_len = body.len};

        st = part_op_ask_members(p, op, s, m->members, &ask, ends_ms, err);
    }
    return st;
}

/* More stock for those that wait, when there is not enough; false: go on with what there is. */
static bool order(part *p, part_op *op, bool must)
{
    part_many *m = op->many;
    const uint64_t want = part_many_count(m, ITEM_WAITS);
    const bool joins = op->key->presigning;
    uint64_t have = 0;
    uint64_t room = 0;
    uint64_t count = 0;
    tdsa_err err;
    tdsa_err why;

    if (!must &&
        (m->ordered || part_stock(p, op->key_id, &have, &err) != TDSA_OK || have >= want)) {
        return false;
    }
    if (part_stock_room(p, op->key_id, &room, &why, &err) == TDSA_OK) {
        count = want - have < room ? want - have : room;
    }
    if (count == 0 && have > 0) {
        return false;
    }
    m->ordered = !joins;
    op->joined = joins;
    count = count > MPC_PRESIGN_COUNT_MAX ? MPC_PRESIGN_COUNT_MAX : count;
    if (part_stock_order(p, op->key, (uint32_t)count, op->id, op->deadline_ms, &err) != TDSA_OK &&
        op->state == OP_STOCK) {
        part_many_give_up(p, op, &err);
    }
    return true; /* part_stock_arrived calls again; it may have done so already */
}

void part_many_go_on(part *p, part_op *op)
{
    part_many *m = op->many;
    part_session *s = NULL;
    tdsa_err err;
    tdsa_status st;

    TDSA_ASSERT(op->state == OP_STOCK);
    if (order(p, op, false)) {
        return;
    }
    st = take_all(p, op, &s, &err);
    if (st == TDSA_E_NOT_FOUND) {
        (void)order(p, op, true);
        return;
    }
    if (st == TDSA_OK && m->asked_count > 0) {
        m->own = 0;
        m->combined = 0;
        op->state = op->key->key->pub.policy.prepare ? OP_COINS : OP_REPLIES;
        memcpy(op->signing_id, s->id, sizeof op->signing_id);
        st = part_many_ask(p, op, s, &err);
    }
    if (st != TDSA_OK && op->state != OP_DONE) {
        part_many_give_up(p, op, &err);
    } else if (part_many_count(m, ITEM_OVER) == m->count) {
        part_many_conclude(p, op);
    }
}

/* What is under way is forgotten; its requests wait for the next wave. */
void part_many_again(part *p, part_op *op)
{
    part_many *m = op->many;

    part_exchanges_orphan(p, op->id);
    for (size_t i = 0; i < m->count; i++) {
        if (m->item[i].state == ITEM_ASKED || m->item[i].state == ITEM_FAILED) {
            clear_attempt(p, &m->item[i]);
            m->item[i].state = ITEM_WAITS;
            m->item[i].behind = false;
        }
    }
    m->asked_count = 0;
    m->ordered = false;
    op->waiting = 0;
    op->state = OP_STOCK;
    part_many_go_on(p, op);
}

void part_many_retry(part *p, part_op *op, const tdsa_err *why)
{
    const tdsa_err reason = *why;

    if (op->state == OP_DONE) {
        return;
    }
    if (op->state != OP_STOCK && reason.status == TDSA_E_TIMEOUT) {
        part_committee_silent(p, op->waiting, op->attempt_ms);
    }
    if (part_sign_session_lost(&reason) && op->state == OP_STOCK && op->joined) {
        part_say(p, TDSA_LOG_INFO, "the session of a batch is lost: ordering another one");
    } else if (part_sign_session_lost(&reason) && !op->second_try) {
        op->second_try = true;
        part_signing_lost(p, op->key);
        part_say(p, TDSA_LOG_INFO, "trying once more in another session: %s", reason.text);
    } else if (!part_sign_fail_over(p, op, &reason)) {
        part_exchanges_orphan(p, op->id);
        part_many_give_up(p, op, &reason);
        return;
    }
    part_many_again(p, op);
}

/* ---- beginning ---- */

static tdsa_status check_batch(const part *p, const char *key_id, const part_sign_request *req,
                               size_t count, tdsa_err *err)
{
    size_t bytes = 0;

    if (!part_key_id_ok(key_id)) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no such key");
    }
    if (count == 0 || count > PART_BATCH_ITEMS_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a batch of %zu requests: 1 to %u are taken", count,
                         PART_BATCH_ITEMS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        bytes += req[i].payload_len > MPC_MESSAGE_MAX ? 0 : req[i].payload_len;
    }
    if (bytes > PART_BATCH_BYTES_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "a batch of %zu bytes to be signed: at most %u go into one, send several",
                         bytes, PART_BATCH_BYTES_MAX);
    }
    if (p->many_count >= BATCHES_MAX) {
        return TDSA_FAIL(err, TDSA_E_BUSY, "%u batches are being signed already", BATCHES_MAX);
    }
    return TDSA_OK;
}

/* What can be refused before anything is spent. */
static void begin_items(part *p, part_op *op, const char *key_id, const part_sign_request *req)
{
    part_many *m = op->many;

    for (size_t i = 0; i < m->count; i++) {
        part_sign_request one = req[i];
        tdsa_err why;
        tdsa_status st;

        one.key_id = key_id;
        part_op_event(p, PART_OP_SIGN, PART_EVENT_STARTED, op->started_ms);
        st = part_request_check(&one, &why);
        if (st == TDSA_OK) {
            st = part_request_allowed(op->key, &one, &why);
        }
        if (st == TDSA_OK) {
            st = part_request_fill(&m->item[i].q, &m->item[i].payload, op->key, &one, &why);
        }
        if (st != TDSA_OK) {
            part_item_over(p, op, i, &why);
        }
    }
}

uint64_t part_start_sign_batch(part *p, const char *key_id, const part_sign_request *req,
                               size_t count, uint32_t deadline_ms, part_batch_item *out,
                               tdsa_err *err)
{
    part_op *op = NULL;
    part_key *k = NULL;
    part_many *m = NULL;

    if (part_may_coordinate(p, err) != TDSA_OK ||
        check_batch(p, key_id, req, count, err) != TDSA_OK ||
        part_key_hold(p, key_id, &k, err) != TDSA_OK) {
        return PART_OP_NONE;
    }
    m = calloc(1, sizeof *m);
    if (m != NULL) {
        m->item = calloc(count, sizeof *m->item);
    }
    if (m == NULL || m->item == NULL) {
        (void)TDSA_FAIL(err, TDSA_E_NO_MEMORY, "batch of %zu requests", count);
    } else {
        op = part_op_new(p, PART_OP_SIGN_BATCH, key_id, deadline_ms, err);
    }
    if (op == NULL) {
        part_key_release(p, k);
        free(m == NULL ? NULL : m->item);
        free(m);
        return PART_OP_NONE;
    }
    memset(out, 0, count * sizeof *out);
    m->count = count;
    m->out = out;
    op->key = k;
    op->many = m;
    op->state = OP_STOCK;
    p->many_count++;
    begin_items(p, op, key_id, req);
    if (part_many_count(m, ITEM_WAITS) == 0) {
        part_many_conclude(p, op);
    } else {
        part_many_go_on(p, op);
    }
    return op->id;
}
