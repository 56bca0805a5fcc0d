#include <string.h>

#include "base/assert.h"
#include "base/failpoint.h"
#include "base/statement.h"
#include "participant/internal.h"

/*
 * Partial signatures: one participant's part, for callers that ask the members themselves and combine
 * later. What a presignature was given for is kept durably with its burn, so that the same request
 * gets the same bytes, also after a restart, and any other is refused for ever. Nothing here uses the
 * network.
 */

#define COLLECT_MIN_MS 60000u

static uint64_t wall(const part *p)
{
    return p->cfg.clock.wall_ms(p->cfg.clock.ctx);
}

static uint64_t life_ms(const part *p)
{
    return p->cfg.partial_timeout_ms == 0 ? PART_PARTIAL_TIMEOUT_MS : p->cfg.partial_timeout_ms;
}

/* ---- the presignature ---- */

/* A request, the presignature that it names, and what follows from both. */
typedef struct {
    part_key *key;     /* held */
    part_batch *batch; /* held */
    mpc_request q;
    tdsa_buf payload; /* q lends from it, or from the caller's bytes */
    tdsa_buf bytes;   /* Q */
    mpc_context context;
} subject;

static void subject_clear(part *p, subject *s)
{
    part_batch_release(p, s->batch);
    part_key_release(p, s->key);
    tdsa_buf_clear(&s->payload);
    tdsa_buf_clear(&s->bytes);
}

static tdsa_status hold_key(part *p, const char *key_id, subject *s, tdsa_err *err)
{
    tdsa_status st = part_may_coordinate(p, err);

    if (st == TDSA_OK && !part_key_id_ok(key_id)) {
        st = TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no such key");
    }
    if (st == TDSA_OK) {
        st = part_key_hold(p, key_id, &s->key, err);
    }
    if (st == TDSA_OK && s->key->key->pub.policy.prepare) {
        return TDSA_FAIL(err, TDSA_E_DENIED,
                         "key %s signs in prepare mode: its participants give no partial "
                         "signatures, since they exchange coins first",
                         key_id);
    }
    return st;
}

static tdsa_status hold_batch(part *p, const uint8_t *beta, subject *s, tdsa_err *err)
{
    const tdsa_status st = part_batch_hold(p, s->key, beta, &s->batch, err);

    if (st == TDSA_E_NOT_FOUND) {
        return TDSA_FAIL(
            err, st,
            "participant %u has no such presignature of key %s: ask the members of its "
            "committee",
            p->cfg.roster.me, s->key->key->pub.key_id);
    }
    return st;
}

/* ---- its record ---- */

static tdsa_status check_record(const part *p, const ks_partial *r, const mpc_context *ctx,
                                tdsa_err *err)
{
    if (!tdsa_ct_equal(r->transcript, ctx->transcript, sizeof r->transcript)) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT,
                         PART_PRESIGNATURE_USED ": this presignature answered another request");
    }
    if (r->failed) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT,
                         PART_SIGNATURE_FAILED
                         ": a signature made with these partial signatures did not verify; it is "
                         "not tried again");
    }
    if (wall(p) > r->expires_ms) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT,
                         PART_EXPIRED ": the partial signature expired; its presignature is used");
    }
    return TDSA_OK;
}

/* Burns the presignature for this request, once; or finds that this was done. */
static tdsa_status burn(part *p, const subject *s, uint64_t *expires_ms, tdsa_err *err)
{
    ks_partial row = {.index = s->q.index, .expires_ms = wall(p) + life_ms(p)};
    ks_partial there;
    tdsa_status st;

    memcpy(row.beta, s->q.beta, sizeof row.beta);
    memcpy(row.key_id, s->q.key_id, sizeof row.key_id);
    memcpy(row.transcript, s->context.transcript, sizeof row.transcript);
    st = ks_partial_get(p->cfg.store, row.beta, row.index, &there, err);
    if (st == TDSA_E_NOT_FOUND) {
        st = part_rate_take(p, &s->key->key->pub, err);
        if (st != TDSA_OK) {
            return st;
        }
        TDSA_FAILPOINT("partial.before_burn");
        st = ks_partial_burn(p->cfg.store, &row, err);
        TDSA_FAILPOINT("partial.after_burn");
        there = row;
        p->stats.burned += st == TDSA_OK ? 1 : 0;
        p->partials_due_ms = part_now(p) + COLLECT_MIN_MS;
        if (st == TDSA_E_CONFLICT) { /* perhaps another process of mine did it just now */
            st = ks_partial_get(p->cfg.store, row.beta, row.index, &there, err);
        }
    }
    if (st == TDSA_E_NOT_FOUND) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT,
                         PART_PRESIGNATURE_USED ": this presignature is used, leased or deleted");
    }
    if (st == TDSA_OK) {
        st = check_record(p, &there, &s->context, err);
    }
    *expires_ms = st == TDSA_OK ? there.expires_ms : 0;
    return st;
}

/* ---- giving ---- */

static tdsa_status read_wish(part *p, const part_sign_request *req, const part_presig_id *id,
                             subject *s, tdsa_err *err)
{
    tdsa_status st = part_request_check(req, err);

    if (st == TDSA_OK) {
        st = hold_key(p, req->key_id, s, err);
    }
    if (st == TDSA_OK) {
        st = part_request_allowed(s->key, req, err);
    }
    if (st == TDSA_OK) {
        st = hold_batch(p, id->beta, s, err);
    }
    if (st == TDSA_OK) {
        st = part_request_fill(&s->q, &s->payload, s->key, req, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    s->q.index = id->index;
    memcpy(s->q.beta, id->beta, sizeof s->q.beta);
    s->q.committee_count = (uint16_t)(2 * s->key->key->pub.t + 1);
    memcpy(s->q.committee, mpc_batch_committee(s->batch->batch),
           s->q.committee_count * sizeof s->q.committee[0]);
    mpc_request_encode(&s->bytes, &s->q);
    st = tdsa_buf_check(&s->bytes, err);
    return st == TDSA_OK ? mpc_context_new(&s->context, s->key->key, s->batch->batch, &s->q,
                                           s->bytes.data, s->bytes.len, err)
                         : st;
}

static tdsa_status put_partial(const subject *s, tdsa_buf *out, tdsa_err *err)
{
    TDSA_SCOPED_BUF reply = TDSA_BUF_EMPTY;
    tdsa_status st = mpc_sign_reply(&reply, s->key->key, s->batch->batch, &s->q, &s->context, err);

    if (st == TDSA_OK) {
        st = tdsa_buf_check(&reply, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    tdsa_stmt_begin(out, "partial");
    tdsa_stmt_uint(out, MPC_VERSION);
    tdsa_stmt_octets(out, s->bytes.data, s->bytes.len);
    tdsa_stmt_octets(out, reply.data, reply.len);
    return tdsa_buf_check(out, err);
}

static void told(part *p, part_op_kind kind, tdsa_status st, uint64_t started_ms)
{
    part_op_event(p, kind, PART_EVENT_STARTED, started_ms);
    part_op_event(p, kind, st == TDSA_OK ? PART_EVENT_COMPLETED : PART_EVENT_ABORTED, started_ms);
}

tdsa_status part_partial(part *p, const part_sign_request *req, const part_presig_id *id,
                         part_partial_result *out, tdsa_err *err)
{
    subject s = {.payload = TDSA_BUF_EMPTY, .bytes = TDSA_BUF_EMPTY};
    const uint64_t started = part_now(p);
    tdsa_status st;

    *out = (part_partial_result){.bytes = TDSA_BUF_EMPTY, .participant = p->cfg.roster.me};
    st = read_wish(p, req, id, &s, err);
    if (st == TDSA_OK) {
        st = burn(p, &s, &out->expires_ms, err);
    }
    if (st == TDSA_OK) {
        part_keeper_look(p, s.key);
        st = put_partial(&s, &out->bytes, err);
    }
    if (st != TDSA_OK) {
        tdsa_buf_clear(&out->bytes);
        out->expires_ms = 0;
    }
    subject_clear(p, &s);
    told(p, PART_OP_PARTIAL_SIGN, st, started);
    return st;
}

/* ---- combining ---- */

tdsa_status part_partial_parse(part_partial_view *out, const uint8_t *in, size_t len, tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(in, len);
    tdsa_reader reply;
    uint64_t version = 0;
    uint64_t from = 0;

    memset(out, 0, sizeof *out);
    tdsa_stmt_expect(&r, "partial");
    version = tdsa_stmt_read_uint(&r);
    out->q = tdsa_stmt_read_octets(&r, &out->q_len, TDSA_BUF_LEN_MAX);
    out->reply = tdsa_stmt_read_octets(&r, &out->reply_len, TDSA_BUF_LEN_MAX);
    if (tdsa_reader_finish(&r, "partial signature", err) != TDSA_OK || version != MPC_VERSION) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "malformed, or not of version %u", MPC_VERSION);
    }
    reply = tdsa_reader_of(out->reply, out->reply_len);
    tdsa_stmt_expect(&reply, "reply");
    from = tdsa_stmt_read_uint(&reply);
    if (reply.failed || from >= GRP_PARTIES_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "malformed: it names no participant");
    }
    out->from = (uint16_t)from;
    return TDSA_OK;
}

/* All are about one request of this key. */
static tdsa_status read_partials(const part_bytes *in, size_t count, const char *key_id,
                                 part_partial_view *out, subject *s, tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    if (count == 0 || count > GRP_PARTIES_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "%zu partial signatures: 1 to %u are taken", count,
                         GRP_PARTIES_MAX);
    }
    for (size_t i = 0; st == TDSA_OK && i < count; i++) {
        st = part_partial_parse(&out[i], in[i].bytes, in[i].len, err);
        if (st != TDSA_OK) {
            return tdsa_err_wrap(err, "partial signature %zu", i);
        }
        if (out[i].q_len != out[0].q_len || memcmp(out[i].q, out[0].q, out[0].q_len) != 0) {
            return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                             "partial signature %zu is of another request than the first", i);
        }
    }
    st = mpc_request_decode(&s->q, out[0].q, out[0].q_len, err);
    if (st == TDSA_OK && strcmp(s->q.key_id, key_id) != 0) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "these are partial signatures of another key");
    }
    return st;
}

/* They came from the caller, not from a channel: who is named may not have made them. */
static tdsa_status bad_partial(tdsa_err *err)
{
    err->status = TDSA_E_BAD_INPUT;
    return err->status;
}

static tdsa_status take_partials(mpc_combine *c, const part_partial_view *view, size_t count,
                                 const mpc_request *q, tdsa_err *err)
{
    uint32_t seen = 0;

    for (size_t i = 0; i < count; i++) {
        if (mpc_combine_take(c, view[i].from, view[i].reply, view[i].reply_len, err) != TDSA_OK) {
            return bad_partial(err);
        }
        seen |= 1u << view[i].from;
    }
    for (size_t i = 0; i < q->committee_count; i++) {
        if ((seen >> q->committee[i] & 1) == 0) {
            return tdsa_err_blame(err, TDSA_E_BAD_INPUT, q->committee[i], TDSA_WHERE,
                                  "the partial signature of participant %u is missing",
                                  q->committee[i]);
        }
    }
    return TDSA_OK;
}

/* My own part was given for this very request, and has not expired. */
static tdsa_status check_own(part *p, const subject *s, tdsa_err *err)
{
    ks_partial mine;
    tdsa_status st = ks_partial_get(p->cfg.store, s->q.beta, s->q.index, &mine, err);

    if (st == TDSA_E_NOT_FOUND) {
        return TDSA_FAIL(err, st,
                         PART_PARTIAL_UNKNOWN
                         ": participant %u gave no partial signature for this request, or forgot "
                         "it after it expired",
                         p->cfg.roster.me);
    }
    return st == TDSA_OK ? check_record(p, &mine, &s->context, err) : st;
}

/* What does not verify is never tried again. */
static void alarm(part *p, const subject *s, const tdsa_err *why)
{
    tdsa_err failed;

    p->stats.verify_failures++;
    part_say(p, TDSA_LOG_ERROR, "ALARM: key %s: combining partial signatures: %s", s->q.key_id,
             why->text);
    if (ks_partial_fail(p->cfg.store, s->q.beta, s->q.index, &failed) != TDSA_OK) {
        part_say(p, TDSA_LOG_ERROR, "key %s: that it failed is not kept: %s", s->q.key_id,
                 failed.text);
    }
}

static tdsa_status combine(part *p, const subject *s, const part_partial_view *view, size_t count,
                           mpc_signature *sig, tdsa_err *err)
{
    mpc_combine *c = NULL;
    tdsa_status st = mpc_combine_new(&c, s->key->key, s->batch->batch, &s->context, err);

    if (st == TDSA_OK) {
        st = take_partials(c, view, count, &s->q, err);
    }
    if (st == TDSA_OK) {
        st = mpc_combine_finish(c, sig, err);
        if (st == TDSA_E_VERIFY) {
            alarm(p, s, err);
        }
    }
    mpc_combine_free(c);
    return st;
}

tdsa_status part_combine(part *p, const char *key_id, const part_bytes *partials, size_t count,
                         part_combined *out, tdsa_err *err)
{
    part_partial_view view[GRP_PARTIES_MAX];
    subject s = {.payload = TDSA_BUF_EMPTY, .bytes = TDSA_BUF_EMPTY};
    mpc_signature sig = {.len = 0};
    tdsa_status st;

    memset(out, 0, sizeof *out);
    st = hold_key(p, key_id, &s, err);
    if (st == TDSA_OK) {
        st = read_partials(partials, count, key_id, view, &s, err);
    }
    if (st == TDSA_OK) {
        st = part_epoch_check(p, s.key, s.q.epoch, err);
    }
    if (st == TDSA_OK) {
        st = hold_batch(p, s.q.beta, &s, err);
    }
    if (st == TDSA_OK) {
        st = mpc_context_new(&s.context, s.key->key, s.batch->batch, &s.q, view[0].q, view[0].q_len,
                             err);
    }
    if (st == TDSA_OK) {
        st = check_own(p, &s, err);
    }
    if (st == TDSA_OK) {
        st = combine(p, &s, view, count, &sig, err);
    }
    if (st == TDSA_OK) {
        memcpy(out->rs, sig.bytes, sig.len);
        out->rs_len = sig.len;
        out->recovery_id = sig.recovery_id;
        out->path_len = s.q.path_len;
        memcpy(out->path, s.q.path, sizeof out->path);
    }
    subject_clear(p, &s);
    return st;
}

/* ---- time ---- */

/* Records stay as long again after they expired, to say so to those who come late. */
void part_partials_due(part *p)
{
    const uint64_t now = part_now(p);
    const uint64_t wall_now = wall(p);
    const uint64_t wait = life_ms(p) / 4 > COLLECT_MIN_MS ? life_ms(p) / 4 : COLLECT_MIN_MS;
    uint64_t left = 0;
    tdsa_err err;

    if (now < p->partials_due_ms) {
        return;
    }
    p->partials_due_ms = now + wait;
    if (ks_partial_collect(p->cfg.store, wall_now > life_ms(p) ? wall_now - life_ms(p) : 0, &left,
                           &err) != TDSA_OK) {
        part_say(p, TDSA_LOG_WARN, "partial signatures are not collected: %s", err.text);
    } else if (left == 0) {
        p->partials_due_ms = UINT64_MAX;
    }
}

uint64_t part_partials_next_due(const part *p)
{
    return p->partials_due_ms;
}
