#include <stdlib.h>
#include <string.h>

#include "base/statement.h"
#include "participant/internal.h"

/*
 * The range that a coordinator leased ahead is burnt by the members before it is asked for, outside their
 * lock, so that no signature waits for these commits (docs/protocol.md, "Leases and burning"). A member that
 * did not hear of it burns with the first question as always.
 */

#define TELL_MS 1000u /* members answer before they burn */

/* ---- coordinator ---- */

static tdsa_status tell(part *p, part_op *op, part_session *s, tdsa_err *err)
{
    const part_key *k = op->key;
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    tdsa_status st;

    tdsa_stmt_begin(&body, "burn-request");
    tdsa_stmt_text(&body, op->key_id);
    tdsa_stmt_uint(&body, k->key->pub.epoch);
    tdsa_stmt_octets(&body, mpc_batch_beta(op->batch->batch), KS_BETA_LEN);
    tdsa_stmt_uint(&body, k->ahead_from);
    tdsa_stmt_uint(&body, k->ahead_end);
    st = tdsa_buf_check(&body, err);
    if (st == TDSA_OK) {
        const part_ask ask = {.kind = PART_ASK_BURN, .body = body.data, .body_len = body.len};

        st = part_op_ask_members(p, op, s, op->batch->members, &ask, op->deadline_ms, err);
    }
    return st;
}

uint64_t part_tell_ahead(part *p, part_key *k)
{
    part_op *op = NULL;
    tdsa_err err;

    if (k->ahead == NULL || k->signing == NULL || part_now(p) >= k->signing->ends_ms) {
        return PART_OP_NONE;
    }
    for (size_t i = 0; i < PART_AHEAD_BLOCKS; i++) {
        if (k->ahead_burnt[i] != 0) { /* members would refuse all of it */
            return PART_OP_NONE;
        }
    }
    op = part_op_new(p, PART_OP_BURN, k->key->pub.key_id, TELL_MS, &err);
    if (op == NULL) {
        return PART_OP_NONE;
    }
    op->key = part_key_ref(k);
    op->batch = part_batch_ref(k->ahead);
    if (tell(p, op, k->signing, &err) != TDSA_OK) {
        part_op_end(p, op, &err);
    }
    return op->id;
}

/* ---- member ---- */

#define BURNS_MAX 64u

struct part_burn {
    part_burn *next;
    bool out;                                 /* handed out */
    bool taken;                               /* a question came first and has the range */
    char session_id[PEER_SESSION_ID_MAX + 1]; /* the session may end meanwhile */
    part_key *key;
    part_batch *batch; /* both held */
    uint32_t from, to;
    ks *store; /* lent */
    ks_once once;
    tdsa_err err; /* of the thread that it was handed out to */
};

static void burn_free(part *p, part_burn *b)
{
    part_burn **at = &p->burns;

    while (*at != b) {
        at = &(*at)->next;
    }
    *at = b->next;
    p->burn_count--;
    part_batch_release(p, b->batch);
    part_key_release(p, b->key);
    free(b);
}

void part_burns_drop(part *p)
{
    for (part_burn *b = part_burn_ready(p); b != NULL; b = part_burn_ready(p)) {
        burn_free(p, b);
    }
}

tdsa_status part_burn_order(part *p, const part_session *s, const part_spend *sp, part_key *k,
                            tdsa_err *err)
{
    const uint32_t count = mpc_batch_count(sp->batch->batch);
    part_burn *b = NULL;
    part_burn **last = &p->burns;
    tdsa_status st = TDSA_OK;

    if (sp->range_from >= sp->range_to || sp->range_to > count ||
        sp->range_to - sp->range_from > PART_AHEAD_MAX) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "presignatures %u to %u of %u, at most %u at once",
                       sp->range_from, sp->range_to, count, PART_AHEAD_MAX);
    }
    if (st == TDSA_OK && p->burn_count >= BURNS_MAX) {
        st = TDSA_FAIL(err, TDSA_E_BUSY, "%u ranges are being burnt already", BURNS_MAX);
    }
    if (st != TDSA_OK) {
        return st;
    }
    b = calloc(1, sizeof *b);
    if (b == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "range");
    }
    memcpy(b->session_id, s->id, sizeof b->session_id);
    b->key = part_key_ref(k);
    b->batch = part_batch_ref(sp->batch);
    b->from = sp->range_from;
    b->to = sp->range_to;
    b->store = p->cfg.store;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = b;
    p->burn_count++;
    return TDSA_OK;
}

part_burn *part_burn_ready(const part *p)
{
    part_burn *b = p->burns;

    while (b != NULL && b->out) {
        b = b->next;
    }
    return b;
}

part_burn *part_burn_hand_out(part *p)
{
    part_burn *b = part_burn_ready(p);

    if (b != NULL) {
        b->out = true;
    }
    return b;
}

void part_burn_make(part_burn *b)
{
    b->err.status = part_range_burn(b->store, &b->once, b->batch->batch, b->from, b->to, &b->err);
}

bool part_burn_claim(part *p, part_session *s, const part_spend *sp, tdsa_status *st, tdsa_err *err)
{
    part_burn *b = p->burns;

    while (b != NULL && (b->taken || b->batch != sp->batch || b->from > sp->index ||
                         sp->index >= b->to || strcmp(b->session_id, s->id) != 0)) {
        b = b->next;
    }
    if (b == NULL) {
        return false;
    }
    b->taken = true; /* a thread may be making it: this one waits, or is the first */
    *st = part_range_burn(b->store, &b->once, b->batch->batch, b->from, b->to, err);
    if (*st == TDSA_OK) {
        *st = part_range_add(p, s, b->batch, b->from, b->to, err);
    }
    return true;
}

void part_burn_give(part *p, part_burn *b)
{
    part_session *s = part_session_find(p, b->session_id);
    tdsa_err err = b->err;

    /* Where the session has ended, or the key, nobody will ask for the range: it stays burnt. */
    if (s != NULL && !b->key->gone && !b->taken && err.status == TDSA_OK) {
        err.status = part_range_add(p, s, b->batch, b->from, b->to, &err);
    }
    if (err.status != TDSA_OK) { /* who asks for it will be told */
        part_say(p, TDSA_LOG_DEBUG, "key %s: not burnt ahead: %s", b->key->key->pub.key_id,
                 err.text);
    }
    burn_free(p, b);
}
