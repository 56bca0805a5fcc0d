#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "participant/engine_internal.h"

/*
 * The lock around the event-driven participant. Whoever waits for an operation performs the
 * exchanges that belong to it, outside the lock, and sleeps while others perform what it waits for
 * (engine_sleep.c). No thread is made here.
 */

#define SENDS_MAX 16u /* exchanges that one thread performs at the same time */
/* The transport ends this much before the time is up: it knows why a peer was not reached. */
#define VERDICT_MS    20u
#define VERDICT_SHARE 16u

tdsa_status part_engine_new(part_engine **out, const part_engine_cfg *cfg, tdsa_err *err)
{
    part_engine *e = NULL;
    tdsa_status st;

    *out = NULL;
    e = calloc(1, sizeof *e);
    if (e == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "engine");
    }
    if (!part_engine_lock_init(e)) {
        free(e);
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "engine lock");
    }
    e->store = cfg->store;
    e->clock = cfg->clock;
    st = grp_prepare(err);
    if (st == TDSA_OK) {
        st = part_new(&e->part, cfg, err);
    }
    if (st == TDSA_OK) {
        st = peer_http_new(&e->http, &cfg->http, err);
    }
    if (st != TDSA_OK) {
        part_engine_free(e);
        return st;
    }
    *out = e;
    return TDSA_OK;
}

void part_engine_free(part_engine *e)
{
    if (e == NULL) {
        return;
    }
    part_engine_enter(e);
    part_free(e->part);
    e->part = NULL;
    part_engine_leave(e);
    peer_http_free(e->http);
    part_engine_lock_free(e);
    free(e);
}

void part_engine_abandon(part_engine *e)
{
    if (e == NULL) {
        return;
    }
    /* The lock may have been held by a thread that does not exist in this child: it is not touched,
     * and what it guards may be half changed: it is not freed. Only descriptors are given back. */
    peer_http_abandon(e->http);
}

/* Hands finished answers to the protocol port. The callbacks only resume a connection; they run
 * under the lock so that their order is the order of the answers. */
void part_engine_flush(part_engine *e)
{
    part_reply r;

    while (part_take_reply(e->part, &r)) {
        part_waiter *w = r.ticket;
        if (r.err.status == TDSA_OK) {
            w->reply(w->ctx, r.body.data, r.body.len, &r.err);
        } else {
            w->reply(w->ctx, NULL, 0, &r.err);
        }
        tdsa_buf_clear(&r.body);
        free(w);
    }
    part_engine_wake(e);
}

void part_engine_stop(part_engine *e)
{
    part_engine_enter(e);
    e->stopping = true;
    __atomic_store_n(&e->cancel, true, __ATOMIC_RELEASE);
    part_engine_flush(e);
    part_engine_await_callers(e);
    part_engine_leave(e);
}

void part_engine_forget(part_engine *e)
{
    part_engine_enter(e);
    part_forget(e->part);
    part_engine_flush(e);
    part_engine_leave(e);
}

/* ---- performing exchanges ---- */

typedef struct {
    part_engine *e;
    uint64_t op;
    uint64_t exchange[SENDS_MAX];
    peer_request request[SENDS_MAX];
    bool flying[SENDS_MAX];
    bool leaving; /* the operation is over: what still flies is given back */
} flight;

static void landed(void *ctx, peer_request *r)
{
    flight *f = ctx;
    const size_t i = (size_t)(r - f->request);

    part_engine_enter(f->e);
    f->flying[i] = false;
    if (r->status == TDSA_E_TIMEOUT &&
        (f->leaving || part_op_left_ms(f->e->part, f->op) == 0)) { /* others may have time left */
        part_exchange_give_back(f->e->part, f->exchange[i]);
    } else {
        part_exchange_done(f->e->part, f->exchange[i], r->status, r->http_code, r->reply.data,
                           r->reply.len, r->detail);
    }
    part_engine_flush(f->e);
    part_engine_leave(f->e);
    tdsa_buf_clear(&r->reply);
}

/* The next exchange for `op` in a free place; NULL: none. The lock is held. */
static peer_request *take_send_of(flight *f, uint64_t op)
{
    const uint32_t left = part_op_left_ms(f->e->part, f->op);
    uint32_t own = 0;
    size_t i = 0;
    part_send s;

    while (i < SENDS_MAX && f->flying[i]) {
        i++;
    }
    if (i == SENDS_MAX || !part_take_send(f->e->part, op, &s)) {
        return NULL;
    }
    own = s.timeout_ms < left ? s.timeout_ms : left;
    own -= own / VERDICT_SHARE < VERDICT_MS ? own / VERDICT_SHARE : VERDICT_MS;
    f->flying[i] = true;
    f->exchange[i] = s.exchange;
    f->request[i] = (peer_request){.url = s.url,
                                   .session_id = s.session_id,
                                   .body = s.body,
                                   .body_len = s.body_len,
                                   .timeout_ms = own == 0 ? 1 : own,
                                   .reply = TDSA_BUF_EMPTY};
    return &f->request[i];
}

/* Takes what is to be sent for the operation, else what belongs to nobody: an exchange that somebody
 * else left behind, perhaps with a peer that is down, must not hold up those of this operation, nor
 * outlast it. The lock is held. */
static size_t take_sends(flight *f, peer_request *out[SENDS_MAX])
{
    uint64_t op = f->op;
    size_t count = 0;

    out[0] = take_send_of(f, op);
    if (out[0] == NULL && op != PART_OP_NONE) {
        op = PART_OP_NONE;
        out[0] = take_send_of(f, op);
    }
    while (out[count] != NULL && ++count < SENDS_MAX) {
        out[count] = take_send_of(f, op);
    }
    return count;
}

/* One piece of arithmetic for the thread of `op`; what takes long outside the lock. False: none. */
static bool work(part_engine *e, uint64_t op)
{
    part_step step;

    if (!part_work(e->part, op, &step)) {
        return false;
    }
    if (part_step_is_out(&step)) {
        part_engine_leave(e);
        part_make_step(&step);
        part_engine_enter(e);
        part_give_step(e->part, &step);
    }
    part_engine_flush(e);
    return true;
}

/* Does what a thread that waits would do: this one waits for peers, perhaps long. The lock is held. */
static void serve(part_engine *e, uint64_t op)
{
    while (!e->stopping && (e->sleepers == NULL || part_has_work_of(e->part, op)) && work(e, op)) {
    }
    if (!e->stopping && e->sleepers == NULL && part_next_due(e->part) <= part_engine_now(e)) {
        part_due(e->part);
        part_engine_flush(e);
    }
}

static peer_request *take_more(void *ctx)
{
    flight *f = ctx;
    peer_request *r = NULL;

    part_engine_enter(f->e);
    serve(f->e, f->op);
    if (f->op == PART_OP_NONE || !part_op_done(f->e->part, f->op)) {
        r = take_send_of(f, f->op);
    }
    part_engine_leave(f->e);
    return r;
}

static bool over(void *ctx)
{
    flight *f = ctx;

    if (f->op != PART_OP_NONE) {
        part_engine_enter(f->e);
        f->leaving = part_op_done(f->e->part, f->op);
        part_engine_leave(f->e);
    }
    return f->leaving;
}

/* Performs exchanges outside the lock until none is left to wait for. False when there was nothing to
 * send. */
static bool perform(part_engine *e, uint64_t op)
{
    static const peer_source source = {take_more, over};
    peer_request *requests[SENDS_MAX] = {NULL};
    flight f = {.e = e, .op = op};
    const size_t count = take_sends(&f, requests);
    uint32_t timeout_ms = 0;

    if (count == 0) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        timeout_ms = requests[i]->timeout_ms > timeout_ms ? requests[i]->timeout_ms : timeout_ms;
    }
    part_engine_wake(e); /* somebody else sees to the rest */
    part_engine_leave(e);
    peer_http_serve(e->http, requests, count, timeout_ms, &e->cancel, landed, &source, &f);
    part_engine_enter(e);
    return true;
}

/* The arithmetic of a signature that is its caller's, outside the lock. While members are asked by somebody
 * else it is made on the way to sleep. */
static void compute(part_engine *e, uint64_t op, part_sign_work *sign)
{
    if (part_op_stirs(e->part, op) && part_take_sign(e->part, op, sign)) {
        part_engine_leave(e);
        part_make_sign(sign);
        part_engine_enter(e);
    }
    (void)part_hand_replies(e->part, sign);
    if (part_can_prove(sign)) {
        part_engine_leave(e);
        part_prove(sign);
        part_engine_enter(e);
    }
    if (sign->proved || sign->err.status != TDSA_OK) {
        part_give_sign(e->part, sign);
    }
}

/* True when the operation has ended. */
static bool ended(part_engine *e, uint64_t op, part_sign_work *sign, part_result *result,
                  tdsa_err *err)
{
    compute(e, op, sign);
    return part_op_over(e->part, op, result, err);
}

tdsa_status part_engine_finish(part_engine *e, uint64_t op, part_result *result, tdsa_err *err)
{
    part_sign_work sign = {.op = PART_OP_NONE};
    tdsa_err why;

    e->inside++;
    if (part_next_due(e->part) <= part_engine_now(e)) {
        part_due(e->part); /* a caller that never has to wait would never come to it */
    }
    while (!ended(e, op, &sign, result, err)) {
        uint64_t due = 0;

        if (e->stopping) {
            (void)TDSA_FAIL(&why, TDSA_E_BUSY, "stopping");
            part_op_cancel(e->part, op, &why);
            *err = why;
            break;
        }
        if (part_op_left_ms(e->part, op) > 0 && perform(e, op)) {
            continue;
        }
        if (work(e, op)) {
            continue;
        }
        due = part_next_due(e->part);
        if (due <= part_engine_now(e)) {
            part_due(e->part);
            part_engine_flush(e);
            due = part_next_due(e->part);
            if (part_op_done(e->part, op)) {
                continue;
            }
        }
        part_engine_sleep(e, op, &sign, due);
    }
    part_give_sign(e->part, &sign);
    e->inside--;
    part_engine_flush(e);
    return err->status;
}

/* A client refreshes what it restored: nobody else may, and applications are not shown such a key. */
static void refresh_restored(part_engine *e, uint64_t until)
{
    const part_reshare_spec same = {.member_count = 0};
    const char *key_id = NULL;
    part_result none;
    uint64_t op = PART_OP_NONE;
    tdsa_err err;

    while (part_engine_now(e) < until && (key_id = part_client_restored(e->part)) != NULL) {
        op = part_start_reshare(e->part, key_id, &same, (uint32_t)(until - part_engine_now(e)),
                                &err);
        if (op == PART_OP_NONE || part_engine_finish(e, op, &none, &err) != TDSA_OK) {
            return; /* the participant said so: the first use tries again */
        }
    }
}

static void settle_doubts(part_engine *e, uint64_t until)
{
    while (!e->stopping && part_engine_now(e) < until) {
        if (part_next_due(e->part) <= part_engine_now(e)) {
            part_due(e->part);
            part_engine_flush(e);
        }
        if (perform(e, PART_OP_NONE)) {
            continue;
        }
        if (work(e, PART_OP_NONE)) {
            continue;
        }
        if (!part_may_settle(e->part)) {
            break;
        }
        part_engine_sleep(e, PART_OP_NONE, NULL, part_next_due(e->part));
    }
}

void part_engine_settle(part_engine *e, uint32_t limit_ms)
{
    uint64_t until = 0;

    part_engine_enter(e);
    e->inside++;
    until = part_engine_now(e) + limit_ms;
    settle_doubts(e, until);
    refresh_restored(e, until);
    e->inside--;
    part_engine_flush(e);
    part_engine_leave(e);
}

/* ---- servers ---- */

void part_engine_handle(part_engine *e, const char *session_id, const uint8_t *body, size_t len,
                        part_reply_fn reply, void *ctx)
{
    part_waiter *w = calloc(1, sizeof *w);
    tdsa_err err;

    if (w == NULL) {
        (void)TDSA_FAIL(&err, TDSA_E_NO_MEMORY, "request");
        reply(ctx, NULL, 0, &err);
        return;
    }
    w->reply = reply;
    w->ctx = ctx;
    part_engine_enter(e);
    if (e->stopping) {
        (void)TDSA_FAIL(&err, TDSA_E_BUSY, "stopping");
        reply(ctx, NULL, 0, &err);
        free(w);
    } else {
        part_handle(e->part, session_id, body, len, w);
        part_engine_flush(e);
        while (!e->stopping && e->sleepers == NULL && work(e, PART_OP_NONE)) {
            /* nobody else is free to do it */
        }
    }
    part_engine_leave(e);
}

void part_engine_work(part_engine *e)
{
    part_engine_enter(e);
    part_set_background(e->part);
    e->inside++;
    while (!e->stopping) {
        if (perform(e, PART_OP_NONE)) {
            continue;
        }
        if (work(e, PART_OP_NONE)) {
            continue;
        }
        if (part_next_due(e->part) <= part_engine_now(e)) {
            part_due(e->part);
            part_engine_flush(e);
        }
        if (!e->stopping) {
            part_engine_sleep(e, PART_OP_NONE, NULL, part_next_due(e->part));
        }
    }
    e->inside--;
    part_engine_flush(e);
    part_engine_leave(e);
}
