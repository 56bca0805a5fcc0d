#include <string.h>

#include "base/statement.h"
#include "participant/internal.h"

/*
 * One signature, the side of a committee member that is asked: the request is checked against the own
 * record, the presignature is used up durably, and then the reply leaves. In prepare mode the lock and
 * the coin come first.
 */

/* A question about one presignature, taken apart. */
typedef struct {
    part_key *key; /* held */
    part_spend sp; /* its batch held */
    mpc_request q;
    const uint8_t *q_bytes;
    size_t q_len;
    mpc_coins coins; /* of a sign-request in prepare mode */
} asked;

static void close_asked(part *p, asked *m)
{
    part_batch_release(p, m->sp.batch);
    part_key_release(p, m->key);
}

/* The batch of a request. Its coordinator leases from it and marks what it used in its own way: that
 * only it asks for its presignatures is what keeps them from answering twice. */
static tdsa_status hold_batch(part *p, part_key *k, uint16_t from, const mpc_request *q,
                              part_batch **out, tdsa_err *err)
{
    tdsa_status st = part_batch_hold(p, k, q->beta, out, err);

    if (st == TDSA_E_NOT_FOUND) {
        return TDSA_FAIL(err, st, "BATCH_UNKNOWN: this presignature's batch is not here");
    }
    if (st == TDSA_OK && (*out)->lane >> 56 != from) {
        part_batch_release(p, *out);
        *out = NULL;
        return tdsa_err_blame(err, TDSA_E_DENIED, from, TDSA_WHERE,
                              "participant %u asks for a presignature that another coordinates",
                              from);
    }
    return st;
}

/* range from, range to, octets Q, with `coins` and in prepare mode the list of coins behind; to the end
 * of `r`. */
static tdsa_status read_asked(part *p, tdsa_reader *r, const char *what, bool coins, asked *m,
                              tdsa_err *err)
{
    uint64_t from = 0;
    uint64_t to = 0;
    tdsa_status st;

    from = tdsa_stmt_read_uint(r);
    to = tdsa_stmt_read_uint(r);
    m->q_bytes = tdsa_stmt_read_octets(r, &m->q_len, TDSA_BUF_LEN_MAX);
    if (m->q_bytes == NULL) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "%s: malformed", what);
    }
    if (to > KS_BATCH_COUNT_MAX || from >= to) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "range %llu to %llu", (unsigned long long)from,
                         (unsigned long long)to);
    }
    st = mpc_request_decode(&m->q, m->q_bytes, m->q_len, err);
    if (st == TDSA_OK) {
        st = part_key_hold(p, m->q.key_id, &m->key, err);
    }
    if (st == TDSA_OK && coins && m->key->key->pub.policy.prepare) {
        const mpc_key *key = m->key->key;

        st = mpc_coins_get(r, key->g, (uint16_t)(2 * key->pub.t + 1), &m->coins, err);
    }
    m->sp.index = m->q.index;
    m->sp.range_from = (uint32_t)from;
    m->sp.range_to = (uint32_t)to;
    return st == TDSA_OK ? tdsa_reader_finish(r, what, err) : st;
}

/* Where a question came from. */
typedef struct {
    part *p;
    part_session *s;
    uint16_t from;
} asker;

/* What every question about presignatures of m->q must pass, once it was read with this outcome. */
static tdsa_status admit(const asker *by, asked *m, tdsa_status st, tdsa_err *err)
{
    ks_key_state state = KS_KEY_DELETED;
    tdsa_err stranger;

    if (m->key == NULL && st == TDSA_E_CONFLICT &&
        part_check_bound(by->p, by->s, by->from, m->q.key_id, &state, &stranger) != TDSA_OK) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "there is no key %s", m->q.key_id);
    }
    if (m->key != NULL && !part_members_have(m->key->key->pub.members, m->key->key->pub.n, by->from,
                                             &by->s->link[by->from]->keys)) {
        /* The same words as for a key that is not here: nobody learns which keys exist. */
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "there is no key %s", m->q.key_id);
    }
    if (st == TDSA_OK) {
        st = part_epoch_check(by->p, m->key, m->q.epoch, err);
    }
    return st == TDSA_OK ? hold_batch(by->p, m->key, by->from, &m->q, &m->sp.batch, err) : st;
}

static tdsa_status open_asked(const asker *by, tdsa_reader *r, const char *what, bool coins,
                              asked *m, tdsa_err *err)
{
    return admit(by, m, read_asked(by->p, r, what, coins, m, err), err);
}

/* Prepare mode: the presignature is locked to T0, then my coin leaves. */
static tdsa_status give_coin(const asker *by, tdsa_reader *r, tdsa_buf *out, tdsa_err *err)
{
    asked m = {0};
    uint8_t t0[64];
    tdsa_status st = open_asked(by, r, "prepare-request", false, &m, err);

    if (st == TDSA_OK) {
        st = mpc_prepare_new(t0, m.key->key, m.sp.batch->batch, &m.q, m.q_bytes, m.q_len, err);
    }
    if (st == TDSA_OK) {
        st = part_rate_take(by->p, &m.key->key->pub, err);
    }
    if (st == TDSA_OK) {
        m.sp.prepared = t0;
        st = part_stock_lock(by->p, by->s, &m.sp, err);
    }
    if (st == TDSA_OK) {
        st = mpc_prepare_reply(out, m.key->key, m.sp.batch->batch, m.q.index, t0, err);
    }
    close_asked(by->p, &m);
    return st;
}

tdsa_status part_ask_prepare(part *p, part_session *s, uint16_t from, const part_ask *a,
                             tdsa_buf *out, tdsa_err *err)
{
    const asker by = {p, s, from};
    tdsa_reader r = tdsa_reader_of(a->body, a->body_len);

    tdsa_stmt_expect(&r, "prepare-request");
    return give_coin(&by, &r, out, err);
}

/* In prepare mode the rate was taken with the lock. */
static tdsa_status make_context(part *p, asked *m, mpc_context *ctx, tdsa_err *err)
{
    const mpc_key *key = m->key->key;
    mpc_batch *batch = m->sp.batch->batch;
    tdsa_status st;

    if (key->pub.policy.prepare) {
        st = mpc_context_prepared(ctx, key, batch, &m->q, m->q_bytes, m->q_len, &m->coins, err);
        m->sp.prepared = ctx->prepared;
        return st;
    }
    st = mpc_context_new(ctx, key, batch, &m->q, m->q_bytes, m->q_len, err);
    return st == TDSA_OK ? part_rate_take(p, &key->pub, err) : st;
}

static tdsa_status give_reply(const asker *by, tdsa_reader *r, tdsa_buf *out, tdsa_err *err)
{
    asked m = {0};
    mpc_context ctx;
    part *p = by->p;
    const uint64_t started = part_now(p);
    tdsa_status st = open_asked(by, r, "sign-request", true, &m, err);

    if (st == TDSA_OK) {
        part_op_event(p, PART_OP_SIGN, PART_EVENT_STARTED, started);
        st = make_context(p, &m, &ctx, err);
    }
    if (st == TDSA_OK) {
        m.sp.transcript = ctx.transcript;
        st = part_stock_spend(p, by->s, &m.sp, err);
    }
    if (st == TDSA_OK) {
        st = mpc_sign_reply(out, m.key->key, m.sp.batch->batch, &m.q, &ctx, err);
        part_op_event(p, PART_OP_SIGN, st == TDSA_OK ? PART_EVENT_COMPLETED : PART_EVENT_ABORTED,
                      started);
    }
    close_asked(p, &m);
    return st;
}

tdsa_status part_ask_sign(part *p, part_session *s, uint16_t from, const part_ask *a, tdsa_buf *out,
                          tdsa_err *err)
{
    const asker by = {p, s, from};
    tdsa_reader r = tdsa_reader_of(a->body, a->body_len);

    tdsa_stmt_expect(&r, "sign-request");
    return give_reply(&by, &r, out, err);
}

/* ---- burning ahead ---- */

static tdsa_status read_burn(part *p, tdsa_reader *r, asked *m, tdsa_err *err)
{
    const uint8_t *beta = NULL;
    uint64_t epoch = 0;
    uint64_t from = 0;
    uint64_t to = 0;
    tdsa_status st;

    tdsa_stmt_expect(r, "burn-request");
    tdsa_stmt_read_text(r, m->q.key_id, sizeof m->q.key_id);
    epoch = tdsa_stmt_read_uint(r);
    beta = tdsa_stmt_read_item(r, TDSA_ITEM_OCTETS, KS_BETA_LEN);
    from = tdsa_stmt_read_uint(r);
    to = tdsa_stmt_read_uint(r);
    st = tdsa_reader_finish(r, "burn-request", err);
    if (st != TDSA_OK || beta == NULL || epoch > UINT32_MAX || to > KS_BATCH_COUNT_MAX ||
        from >= to) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "burn-request: malformed");
    }
    m->q.epoch = (uint32_t)epoch;
    memcpy(m->q.beta, beta, sizeof m->q.beta);
    m->sp.index = (uint32_t)from;
    m->sp.range_from = (uint32_t)from;
    m->sp.range_to = (uint32_t)to;
    return part_key_hold(p, m->q.key_id, &m->key, err);
}

tdsa_status part_ask_burn(part *p, part_session *s, uint16_t from, const part_ask *a, tdsa_err *err)
{
    const asker by = {p, s, from};
    tdsa_reader r = tdsa_reader_of(a->body, a->body_len);
    asked m = {0};
    tdsa_status st = admit(&by, &m, read_burn(p, &r, &m, err), err);

    if (st == TDSA_OK) {
        st = part_burn_order(p, s, &m.sp, m.key, err);
    }
    close_asked(p, &m);
    return st;
}

/* ---- a batch: each item is a question of its own, and is answered as if it had come alone ---- */

static void answer_item(const asker *by, bool coins, const uint8_t *item, size_t len, tdsa_buf *out)
{
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF answer = TDSA_BUF_EMPTY;
    tdsa_reader r = tdsa_reader_of(item, len);
    tdsa_err err = {.status = TDSA_OK, .participant = TDSA_NOBODY};
    part_answer a = {.status = TDSA_OK};

    a.status = coins ? give_coin(by, &r, &body, &err) : give_reply(by, &r, &body, &err);
    if (a.status == TDSA_OK) {
        a.status = tdsa_buf_check(&body, &err);
    }
    if (a.status == TDSA_OK) {
        a.body = body.data;
        a.body_len = body.len;
    } else {
        part_answer_text(&a, &err);
    }
    part_answer_put(&answer, &a);
    tdsa_stmt_octets(out, answer.data, answer.len);
    if (tdsa_buf_check(&answer, &err) != TDSA_OK) {
        out->failed = true;
    }
}

static tdsa_status count_items(tdsa_reader items, size_t *count, tdsa_err *err)
{
    *count = 0;
    while (!items.failed && tdsa_reader_left(&items) > 0) {
        size_t len = 0;

        (void)tdsa_stmt_read_octets(&items, &len, TDSA_BUF_LEN_MAX);
        (*count)++;
    }
    if (items.failed || *count == 0 || *count > PART_BATCH_ITEMS_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "batch-request: not 1 to %u items",
                         PART_BATCH_ITEMS_MAX);
    }
    return TDSA_OK;
}

tdsa_status part_ask_sign_batch(part *p, part_session *s, uint16_t from, const part_ask *a,
                                tdsa_buf *out, tdsa_err *err)
{
    const asker by = {p, s, from};
    tdsa_reader r = tdsa_reader_of(a->body, a->body_len);
    tdsa_reader items;
    uint64_t phase = 0;
    size_t count = 0;
    size_t list = 0;
    tdsa_status st;

    tdsa_stmt_expect(&r, "batch-request");
    phase = tdsa_stmt_read_uint(&r);
    items = tdsa_stmt_read_list(&r);
    st = tdsa_reader_finish(&r, "batch-request", err);
    if (st == TDSA_OK && phase != PART_BATCH_COINS && phase != PART_BATCH_REPLIES) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "batch-request: phase %llu",
                       (unsigned long long)phase);
    }
    if (st == TDSA_OK) {
        st = count_items(items, &count, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    tdsa_stmt_begin(out, "batch-answer");
    list = tdsa_stmt_list_begin(out);
    part_keys_follow_once(p);
    for (size_t i = 0; i < count; i++) {
        size_t len = 0;
        const uint8_t *item = tdsa_stmt_read_octets(&items, &len, TDSA_BUF_LEN_MAX);

        answer_item(&by, phase == PART_BATCH_COINS, item, len, out);
    }
    part_keys_follow_again(p);
    tdsa_stmt_list_end(out, list);
    return TDSA_OK;
}
