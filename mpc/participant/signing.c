#include <string.h>

#include "base/assert.h"
#include "base/statement.h"
#include "participant/internal.h"

/* One signature: a presignature, one exchange with each committee member (in prepare mode two), combine,
 * verify, release. The asked side is signer.c. */

#define SIGN_TRIES_MAX 4u /* presignatures that one signature may cost */

static void clear_attempt(part *p, part_op *op)
{
    part_batch_release(p, op->batch);
    op->batch = NULL;
    tdsa_buf_clear(&op->q);
    op->own_due = false;
    tdsa_buf_clear(&op->replies);
    op->waiting = 0;
}

void part_sign_clear(part *p, part_op *op)
{
    clear_attempt(p, op);
    part_key_release(p, op->key);
    op->key = NULL;
}

/* ---- coordinator ---- */

uint64_t part_start_sign(part *p, const part_sign_request *req, uint32_t deadline_ms, tdsa_err *err)
{
    part_op *op = NULL;
    part_key *k = NULL;

    if (part_may_coordinate(p, err) != TDSA_OK || part_request_check(req, err) != TDSA_OK ||
        part_key_hold(p, req->key_id, &k, err) != TDSA_OK) {
        return PART_OP_NONE;
    }
    if (part_request_allowed(k, req, err) == TDSA_OK) {
        op = part_op_new(p, PART_OP_SIGN, req->key_id, deadline_ms, err);
    }
    if (op == NULL) {
        part_key_release(p, k);
        return PART_OP_NONE;
    }
    op->key = k;
    op->state = OP_STOCK;
    if (part_request_fill(&op->request, &op->payload, k, req, err) != TDSA_OK) {
        part_op_cancel(p, op->id, err);
        return PART_OP_NONE;
    }
    part_sign_go_on(p, op);
    return op->id;
}

/* The range goes with the question that burns it; the lock of prepare mode did that already. */
static void put_question(tdsa_buf *body, const part_op *op, part_ask_kind kind)
{
    const bool burns = kind == PART_ASK_PREPARE || !op->key->key->pub.policy.prepare;
    uint32_t from = op->request.index;
    uint32_t to = op->request.index + 1;

    tdsa_stmt_begin(body, kind == PART_ASK_PREPARE ? "prepare-request" : "sign-request");
    if (burns) {
        part_lease_range(op->key, op->request.index, &from, &to);
    }
    tdsa_stmt_uint(body, from);
    tdsa_stmt_uint(body, to);
    tdsa_stmt_octets(body, op->q.data, op->q.len);
    if (!burns) {
        mpc_coins_put(body, op->key->key->g, &op->coins);
    }
}

static tdsa_status ask_members(part *p, part_op *op, part_session *s, part_ask_kind kind,
                               tdsa_err *err)
{
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    const uint16_t *committee = mpc_batch_committee(op->batch->batch);
    const uint64_t ends_ms = part_attempt_ends(
        p, op->key, op->batch->members,
        op->failovers < PART_FAILOVERS_MAX ? ATTEMPT_SIGN : ATTEMPT_LAST, op->deadline_ms);
    const bool hold = part_wave_gathers(p, s);
    tdsa_status st = TDSA_OK;

    op->attempt_ms = part_now(p);
    put_question(&body, op, kind);
    st = tdsa_buf_check(&body, err);
    for (size_t i = 0; st == TDSA_OK && i < op->request.committee_count; i++) {
        const part_question q = {
            .session = s,
            .peer = committee[i],
            .op = op->id,
            .for_op = op->id,
            .attempt = op->tries,
            .hold = hold,
            .deadline_ms = ends_ms,
            .ask = {.kind = kind, .body = body.data, .body_len = body.len},
        };
        if (committee[i] == p->cfg.roster.me) {
            continue;
        }
        st = part_put(p, &q, err);
        op->waiting |= 1u << committee[i];
    }
    return st;
}

/* Prepare mode: T0 to all, my coin into the list; my lease locked this presignature durably. */
static tdsa_status ask_coins(part *p, part_op *op, part_session *s, tdsa_err *err)
{
    TDSA_SCOPED_BUF coin = TDSA_BUF_EMPTY;
    const mpc_key *key = op->key->key;
    mpc_batch *batch = op->batch->batch;
    tdsa_status st;

    op->state = OP_COINS;
    op->coins = (mpc_coins){0};
    st = mpc_prepare_new(op->prepared, key, batch, &op->request, op->q.data, op->q.len, err);
    if (st == TDSA_OK) {
        st = ask_members(p, op, s, PART_ASK_PREPARE, err);
    }
    if (st == TDSA_OK) {
        st = mpc_prepare_reply(&coin, key, batch, op->request.index, op->prepared, err);
    }
    if (st == TDSA_OK) {
        st = mpc_prepare_take(&op->coins, key, batch, op->prepared, p->cfg.roster.me, coin.data,
                              coin.len, err);
    }
    return st;
}

/* All coins are there: the list is checked and goes into T. */
static tdsa_status ask_with_coins(part *p, part_op *op, part_session *s, tdsa_err *err)
{
    tdsa_status st = mpc_context_prepared(&op->context, op->key->key, op->batch->batch,
                                          &op->request, op->q.data, op->q.len, &op->coins, err);

    op->state = OP_REPLIES;
    if (st == TDSA_OK) {
        st = ask_members(p, op, s, PART_ASK_SIGN, err);
    }
    op->own_due = st == TDSA_OK;
    return st;
}

/* The caller is told of it also when the signature fails. */
static void name_session(part_op *op, const part_session *s)
{
    memcpy(op->result.sign.session_id, s->id, PART_SESSION_ID_LEN);
}

static tdsa_status begin_attempt(part *p, part_op *op, part_session *s, tdsa_err *err)
{
    mpc_request *q = &op->request;
    tdsa_status st;

    memcpy(q->beta, mpc_batch_beta(op->batch->batch), sizeof q->beta);
    q->committee_count = (uint16_t)(2 * op->key->key->pub.t + 1);
    memcpy(q->committee, mpc_batch_committee(op->batch->batch),
           q->committee_count * sizeof q->committee[0]);
    memcpy(op->signing_id, s->id, sizeof op->signing_id);
    name_session(op, s);
    mpc_request_encode(&op->q, q);
    st = tdsa_buf_check(&op->q, err);
    if (st == TDSA_OK && op->key->key->pub.policy.prepare) {
        return ask_coins(p, op, s, err);
    }
    if (st == TDSA_OK) {
        st = ask_members(p, op, s, PART_ASK_SIGN, err);
    }
    op->own_due = st == TDSA_OK;
    return st;
}

/* Each attempt once: it may wait for the stock in between. */
static tdsa_status charge(part *p, part_op *op, tdsa_err *err)
{
    if (op->charged > op->tries) {
        return TDSA_OK;
    }
    op->charged = op->tries + 1;
    return part_rate_take(p, &op->key->key->pub, err);
}

/* A presignature and the session to use it in. When a link to its committee is lost, another session
 * takes the place of the old one, and the lease whose range lived there is gone: once more. */
static tdsa_status take(part *p, part_op *op, part_session **s, tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    for (unsigned i = 0; i < 2; i++) {
        st = part_stock_take(p, op->key, &op->batch, &op->request.index, err);
        if (st == TDSA_OK) {
            st = part_signing_session(p, op->key, op->batch->members, s, err);
        }
        if (st != TDSA_OK || op->key->lease == op->batch) {
            break;
        }
        part_batch_release(p, op->batch);
        op->batch = NULL;
    }
    return st;
}

void part_sign_go_on(part *p, part_op *op)
{
    part_session *s = NULL;
    tdsa_err err;
    tdsa_status st;

    TDSA_ASSERT(op->state == OP_STOCK);
    st = charge(p, op, &err);
    if (st == TDSA_OK) {
        st = take(p, op, &s, &err);
    }
    if (st == TDSA_E_NOT_FOUND) {
        op->joined = op->key->presigning;
        st = part_stock_order(p, op->key, 0, op->id, op->deadline_ms, &err);
        if (op->state != OP_DONE && op->key->signing != NULL) {
            name_session(op, op->key->signing);
        }
        if (st == TDSA_OK) {
            return; /* part_stock_arrived calls again; it may have done so already */
        }
    } else if (st == TDSA_OK) {
        op->tries++;
        op->state = OP_REPLIES;
        st = begin_attempt(p, op, s, &err);
    }
    if (st != TDSA_OK && op->state != OP_DONE) {
        part_op_end(p, op, &err);
    }
}

void part_sign_release(part *p, part_op *op, const mpc_signature *sig)
{
    part_sign_result *out = &op->result.sign;

    part_committee_proved(p, op->batch->members);
    memcpy(out->rs, sig->bytes, sig->len);
    out->rs_len = sig->len;
    out->recovery_id = sig->recovery_id;
    part_op_end_ok(p, op);
}

/* What was asked for this attempt is forgotten; another begins. */
static void attempt_again(part *p, part_op *op)
{
    part_exchanges_orphan(p, op->id);
    clear_attempt(p, op);
    op->state = OP_STOCK;
    part_sign_go_on(p, op);
}

bool part_sign_fail_over(part *p, part_op *op, const tdsa_err *why)
{
    if (!part_failover(op->key, why) || op->failovers >= PART_FAILOVERS_MAX ||
        part_now(p) >= op->deadline_ms) {
        return false;
    }
    op->failovers++;
    part_say(p, TDSA_LOG_INFO, "key %s: signing with another committee: %s", op->key_id, why->text);
    return true;
}

/* What the refusal of a member means for the next attempt. */
static void refused(part *p, part_op *op, uint16_t from, const part_answer *a)
{
    tdsa_err err;
    const bool presignature = a->status == TDSA_E_CONFLICT || a->status == TDSA_E_NOT_FOUND;

    (void)tdsa_err_blame(&err, a->status, from, TDSA_WHERE, "participant %u: %s", from, a->text);
    if (part_epoch_refused(
            a)) { /* the key was reshared by another process, or the peer is behind */
        if (!part_key_refresh(p, op->key_id)) {
            part_op_end(p, op, &err);
        }
        return;
    }
    if (part_deletion_is_refusal(a)) {
        part_op_end(p, op, &err);
        return;
    }
    if (!presignature && part_failover(op->key, &err)) {
        part_peer_failed(p, from, op->attempt_ms);
        if (part_sign_fail_over(p, op, &err)) {
            attempt_again(p, op);
            return;
        }
    }
    if (!presignature || op->tries >= SIGN_TRIES_MAX) {
        part_op_end(p, op, &err);
        return;
    }
    /* The member does not have this range, or not this batch: leave it, take another. */
    if (a->status == TDSA_E_NOT_FOUND && strncmp(a->text, "BATCH_UNKNOWN", 13) == 0) {
        tdsa_err failed;
        if (ks_batch_move(p->cfg.store, op->request.beta, KS_BATCH_FREE, KS_BATCH_VOID, &failed) !=
            TDSA_OK) {
            part_say(p, TDSA_LOG_WARN, "batch unknown to participant %u stays: %s", from,
                     failed.text);
        }
    } else if (a->status == TDSA_E_NOT_FOUND) {
        part_op_end(p, op, &err);
        return;
    }
    part_say(p, TDSA_LOG_INFO, "presignature dropped: %s", err.text);
    if (op->key->lease == op->batch) {
        part_stock_drop_lease(p, op->key);
    }
    attempt_again(p, op);
}

/* A member lied. The presignature is burnt and never tried again; where there are other committees,
 * one of them gets one chance. */
void part_sign_broken(part *p, part_op *op, const tdsa_err *why)
{
    const tdsa_err reason = *why;

    if (reason.status == TDSA_E_VERIFY) {
        p->stats.verify_failures++;
        part_say(p, TDSA_LOG_ERROR, "ALARM: key %s: %s", op->key_id, reason.text);
    }
    if (reason.status == TDSA_E_VERIFY || reason.status == TDSA_E_PROTOCOL) {
        part_committee_doubt(p, op->batch->members, &reason);
    }
    if (op->distrusted || !part_failover(op->key, &reason)) {
        part_op_end(p, op, &reason);
        return;
    }
    op->distrusted = true;
    part_say(p, TDSA_LOG_INFO, "key %s: signing with another committee", op->key_id);
    attempt_again(p, op);
}

static void coin_answered(part *p, part_op *op, uint16_t from, const part_answer *a)
{
    part_session *s = NULL;
    tdsa_err err;
    tdsa_status st = mpc_prepare_take(&op->coins, op->key->key, op->batch->batch, op->prepared,
                                      from, a->body, a->body_len, &err);

    if (st == TDSA_OK && !mpc_prepare_complete(&op->coins, op->key->key)) {
        return;
    }
    if (st == TDSA_OK) {
        s = part_session_find(p, op->signing_id);
        if (s == NULL && op->tries < SIGN_TRIES_MAX) { /* the locks went with it */
            attempt_again(p, op);
            return;
        }
        if (s == NULL) {
            (void)TDSA_FAIL(&err, TDSA_E_UNAVAILABLE, "the signing session ended too often");
            part_op_end(p, op, &err);
            return;
        }
        st = ask_with_coins(p, op, s, &err);
    }
    if (st != TDSA_OK) {
        part_sign_broken(p, op, &err);
    }
}

void part_sign_answered(part *p, part_op *op, uint16_t from, const part_answer *a)
{
    if (op->state != OP_REPLIES && op->state != OP_COINS) {
        return;
    }
    if (a->status != TDSA_OK) {
        refused(p, op, from, a);
        return;
    }
    op->waiting &= ~(1u << from);
    if (op->state == OP_COINS) {
        coin_answered(p, op, from, a);
        return;
    }
    tdsa_stmt_uint(&op->replies, from);
    tdsa_stmt_octets(&op->replies, a->body, a->body_len);
    if (op->waiting == 0) {
        op->state = OP_PROVING;
    }
}

bool part_sign_session_lost(const tdsa_err *why)
{
    return why->status == TDSA_E_NOT_FOUND || why->status == TDSA_E_PROTOCOL;
}

void part_sign_retry(part *p, part_op *op, const tdsa_err *why)
{
    const tdsa_err reason = *why;

    if (op->state == OP_DONE) {
        return;
    }
    if ((op->state == OP_REPLIES || op->state == OP_COINS) && reason.status == TDSA_E_TIMEOUT) {
        part_committee_silent(p, op->waiting, op->attempt_ms);
    }
    if (part_sign_session_lost(&reason) && op->state == OP_STOCK && op->joined) {
        part_say(p, TDSA_LOG_INFO, "the session of a batch is lost: ordering another one");
    } else if (part_sign_session_lost(&reason) && !op->second_try) {
        op->second_try = true;
        part_signing_lost(p, op->key); /* its other members may have forgotten it too */
        part_say(p, TDSA_LOG_INFO, "trying once more in another session: %s", reason.text);
    } else if (!part_sign_fail_over(p, op, &reason)) {
        part_op_end(p, op, &reason);
        return;
    }
    attempt_again(p, op);
}

/* ---- presigning for its own sake ---- */

void part_presign_go_on(part *p, part_op *op, const tdsa_err *last)
{
    tdsa_err err;
    tdsa_status st;
    uint32_t next = 0;

    if (last->status == TDSA_OK) {
        op->count -= op->tries; /* `tries`: the size of the run under way, 0 for another's */
    } else if (op->tries > 0 && part_sign_session_lost(last) && !op->second_try) {
        op->second_try = true;
    } else if (op->tries > 0 && !part_sign_fail_over(p, op, last)) {
        part_op_end(p, op, last);
        return;
    }
    op->tries = 0;
    if (op->count == 0) {
        part_op_end_ok(p, op);
        return;
    }
    next = op->count > MPC_PRESIGN_COUNT_MAX ? MPC_PRESIGN_COUNT_MAX : op->count;
    if (op->key->presigning) {
        return; /* somebody else's run; ours follows */
    }
    op->tries = next;
    st = part_stock_order(p, op->key, next, op->id, op->deadline_ms, &err);
    if (st != TDSA_OK && op->state != OP_DONE) {
        part_op_end(p, op, &err);
    }
}

static tdsa_status check_limits(part *p, const char *key_id, uint32_t count, tdsa_err *err)
{
    uint64_t room = 0;
    tdsa_err why;
    tdsa_status st;

    if (p->cfg.presign_request_max > 0 && count > p->cfg.presign_request_max) {
        return TDSA_FAIL(err, TDSA_E_LIMIT,
                         "%u presignatures at once are more than the limit of %u per request",
                         count, p->cfg.presign_request_max);
    }
    st = part_stock_room(p, key_id, &room, &why, err);
    if (st == TDSA_OK && count > room) {
        *err = why;
        st = why.status;
    }
    return st;
}

uint64_t part_start_presign(part *p, const char *key_id, uint32_t count, uint32_t deadline_ms,
                            tdsa_err *err)
{
    const tdsa_err ok = {.status = TDSA_OK, .participant = TDSA_NOBODY};
    part_op *op = NULL;
    part_key *k = NULL;

    if (part_may_coordinate(p, err) != TDSA_OK || check_limits(p, key_id, count, err) != TDSA_OK ||
        part_key_hold(p, key_id, &k, err) != TDSA_OK) {
        return PART_OP_NONE;
    }
    op = part_op_new(p, PART_OP_PRESIGN, key_id, deadline_ms, err);
    if (op == NULL) {
        part_key_release(p, k);
        return PART_OP_NONE;
    }
    op->key = k;
    op->state = OP_RUNNING;
    op->count = count;
    part_presign_go_on(p, op, &ok);
    return op->id;
}
