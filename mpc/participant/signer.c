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

/* stmt(tag, range from, range to, octets Q), with `coins` and in prepare mode the list of coins behind. */
static tdsa_status read_asked(part *p, const part_ask *a, const char *tag, bool coins, asked *m,
                              tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(a->body, a->body_len);
    uint64_t from = 0;
    uint64_t to = 0;
    tdsa_status st;

    tdsa_stmt_expect(&r, tag);
    from = tdsa_stmt_read_uint(&r);
    to = tdsa_stmt_read_uint(&r);
    m->q_bytes = tdsa_stmt_read_octets(&r, &m->q_len, TDSA_BUF_LEN_MAX);
    if (m->q_bytes == NULL) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "%s: malformed", tag);
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

        st = mpc_coins_get(&r, key->g, (uint16_t)(2 * key->pub.t + 1), &m->coins, err);
    }
    m->sp.index = m->q.index;
    m->sp.range_from = (uint32_t)from;
    m->sp.range_to = (uint32_t)to;
    return st == TDSA_OK ? tdsa_reader_finish(&r, tag, err) : st;
}

static tdsa_status open_asked(part *p, part_session *s, uint16_t from, const part_ask *a,
                              const char *tag, bool coins, asked *m, tdsa_err *err)
{
    tdsa_status st = read_asked(p, a, tag, coins, m, err);

    if (m->key != NULL && !part_members_have(m->key->key->pub.members, m->key->key->pub.n, from,
                                             &s->link[from]->keys)) {
        /* The same words as for a key that is not here: nobody learns which keys exist. */
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "there is no key %s", m->q.key_id);
    }
    if (st == TDSA_OK) {
        st = part_epoch_check(p, m->key, m->q.epoch, err);
    }
    return st == TDSA_OK ? hold_batch(p, m->key, from, &m->q, &m->sp.batch, err) : st;
}

/* Prepare mode: the presignature is locked to T0, then my coin leaves. */
tdsa_status part_ask_prepare(part *p, part_session *s, uint16_t from, const part_ask *a,
                             tdsa_buf *out, tdsa_err *err)
{
    asked m = {0};
    uint8_t t0[64];
    tdsa_status st = open_asked(p, s, from, a, "prepare-request", false, &m, err);

    if (st == TDSA_OK) {
        st = mpc_prepare_new(t0, m.key->key, m.sp.batch->batch, &m.q, m.q_bytes, m.q_len, err);
    }
    if (st == TDSA_OK) {
        st = part_rate_take(p, &m.key->key->pub, err);
    }
    if (st == TDSA_OK) {
        m.sp.prepared = t0;
        st = part_stock_lock(p, s, &m.sp, err);
    }
    if (st == TDSA_OK) {
        st = mpc_prepare_reply(out, m.key->key, m.sp.batch->batch, m.q.index, t0, err);
    }
    close_asked(p, &m);
    return st;
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

tdsa_status part_ask_sign(part *p, part_session *s, uint16_t from, const part_ask *a, tdsa_buf *out,
                          tdsa_err *err)
{
    asked m = {0};
    mpc_context ctx;
    const uint64_t started = part_now(p);
    tdsa_status st = open_asked(p, s, from, a, "sign-request", true, &m, err);

    if (st == TDSA_OK) {
        part_op_event(p, PART_OP_SIGN, PART_EVENT_STARTED, started);
        st = make_context(p, &m, &ctx, err);
    }
    if (st == TDSA_OK) {
        m.sp.transcript = ctx.transcript;
        st = part_stock_spend(p, s, &m.sp, err);
    }
    if (st == TDSA_OK) {
        st = mpc_sign_reply(out, m.key->key, m.sp.batch->batch, &m.q, &ctx, err);
        part_op_event(p, PART_OP_SIGN, st == TDSA_OK ? PART_EVENT_COMPLETED : PART_EVENT_ABORTED,
                      started);
    }
    close_asked(p, &m);
    return st;
}
