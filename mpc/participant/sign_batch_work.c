#include <string.h>

#include "base/statement.h"
#include "participant/sign_batch.h"

/* A wave of signatures from its answers on: what the members say, the arithmetic in slices, and what
 * becomes of each request. */

#define TRIES_MAX 4u  /* presignatures that one request may cost */
#define SLICE     32u /* requests whose arithmetic is done at one go */

/* ---- judging ---- */

/* A batch that a member does not have, or a range that is used there: leave it. */
static void leave_presignature(part *p, part_op *op, const part_item *t)
{
    tdsa_err err;

    if (strstr(t->why.text, "BATCH_UNKNOWN") != NULL &&
        ks_batch_move(p->cfg.store, t->q.beta, KS_BATCH_FREE, KS_BATCH_VOID, &err) != TDSA_OK &&
        err.status != TDSA_E_CONFLICT) {
        part_say(p, TDSA_LOG_WARN, "batch unknown to participant %d stays: %s", t->why.participant,
                 err.text);
    }
    if (op->key->lease == t->batch) {
        part_stock_drop_lease(p, op->key);
    }
}

static bool is_about_presignature(const tdsa_err *why)
{
    return why->participant != TDSA_NOBODY &&
           (why->status == TDSA_E_CONFLICT ||
            (why->status == TDSA_E_NOT_FOUND && strstr(why->text, "BATCH_UNKNOWN") != NULL));
}

/* Whether the request gets another presignature, as a single one would (signing.c). lied, trouble: what
 * it takes of the chances of the whole batch. */
static bool worth_another(part *p, part_op *op, const part_item *t, bool *lied, bool *trouble)
{
    const tdsa_err *why = &t->why;

    if (is_about_presignature(why)) {
        leave_presignature(p, op, t);
        return t->tries < TRIES_MAX;
    }
    if (!part_failover(op->key, why)) {
        return false;
    }
    if (why->status == TDSA_E_VERIFY || why->status == TDSA_E_PROTOCOL) {
        *lied = true;
        return !op->distrusted;
    }
    part_peer_failed(p, (uint16_t)why->participant, op->attempt_ms);
    *trouble = true;
    return op->failovers < PART_FAILOVERS_MAX;
}

/* The presignatures of what does not verify are burnt; one alarm for all of them. */
static void sound_alarm(part *p, part_op *op)
{
    const part_many *m = op->many;
    const tdsa_err *first = NULL;
    const tdsa_err *wrong = NULL;
    size_t count = 0;

    for (size_t i = 0; i < m->asked_count; i++) {
        const part_item *t = &m->item[m->asked[i]];

        if (t->state == ITEM_FAILED && t->why.status == TDSA_E_VERIFY) {
            first = &t->why;
            count++;
        } else if (t->state == ITEM_FAILED && t->why.status == TDSA_E_PROTOCOL) {
            wrong = &t->why;
        }
    }
    if (first != NULL) {
        p->stats.verify_failures += count;
        part_say(p, TDSA_LOG_ERROR, "ALARM: key %s: %zu signatures of a batch: %s", op->key_id,
                 count, first->text);
    }
    if (first != NULL || wrong != NULL) {
        part_committee_doubt(p, m->members, wrong != NULL ? wrong : first);
    }
}

/* The peer is in another epoch: true when the operation ended because it is right. */
static bool epoch_is_over(part *p, part_op *op)
{
    const part_many *m = op->many;

    for (size_t i = 0; i < m->asked_count; i++) {
        const part_item *t = &m->item[m->asked[i]];

        if (t->state == ITEM_FAILED && t->behind) {
            return part_key_refresh(p, op->key_id);
        }
    }
    return false;
}

/* Every member has answered and every signature was tried. */
static void wave_over(part *p, part_op *op)
{
    part_many *m = op->many;
    bool lied = false;
    bool trouble = false;

    if (epoch_is_over(p, op)) {
        return;
    }
    sound_alarm(p, op);
    for (size_t i = 0; i < m->count; i++) {
        part_item *t = &m->item[i];

        if (t->state != ITEM_FAILED) {
            continue;
        }
        if (!t->behind && worth_another(p, op, t, &lied, &trouble)) {
            t->state = ITEM_ASKED; /* wave_again takes it */
        } else {
            part_item_over(p, op, i, &t->why);
        }
    }
    op->distrusted = op->distrusted || lied;
    op->failovers += trouble ? 1 : 0;
    if (part_many_count(m, ITEM_OVER) == m->count) {
        part_many_conclude(p, op);
    } else {
        part_many_again(p, op);
    }
}

/* ---- answers ---- */

/* The answer of a member to one request. */
static void take_answer(const part_op *op, part_item *t, uint16_t from, const part_answer *a)
{
    const mpc_key *key = op->key->key;
    tdsa_err err;
    tdsa_status st = a->status;

    if (t->state != ITEM_ASKED) {
        return;
    }
    if (st != TDSA_OK) {
        (void)tdsa_err_blame(&err, st, from, TDSA_WHERE, "participant %u: %s", from, a->text);
        t->behind = part_epoch_refused(a);
    } else if (op->state == OP_COINS) {
        st = mpc_prepare_take(&t->coins, key, t->batch->batch, t->prepared, from, a->body,
                              a->body_len, &err);
    } else {
        st = mpc_combine_take(t->combine, from, a->body, a->body_len, &err);
    }
    if (st != TDSA_OK) {
        part_item_fails(t, &err);
    }
}

/* stmt("batch-answer", [an answer per request]), of exactly as many as were asked. */
static tdsa_status take_answers(part_op *op, uint16_t from, const part_answer *a, tdsa_err *err)
{
    part_many *m = op->many;
    tdsa_reader r = tdsa_reader_of(a->body, a->body_len);
    tdsa_reader list;
    tdsa_status st;

    tdsa_stmt_expect(&r, "batch-answer");
    list = tdsa_stmt_read_list(&r);
    st = tdsa_reader_finish(&r, "batch-answer", err);
    for (size_t i = 0; st == TDSA_OK && i < m->asked_count; i++) {
        size_t len = 0;
        const uint8_t *bytes = tdsa_stmt_read_octets(&list, &len, TDSA_BUF_LEN_MAX);
        part_answer one;

        st = bytes == NULL ? TDSA_E_BAD_INPUT : part_answer_parse(&one, bytes, len, err);
        if (st == TDSA_OK) {
            take_answer(op, &m->item[m->asked[i]], from, &one);
        }
    }
    if (st == TDSA_OK) {
        st = tdsa_reader_finish(&list, "answers", err);
    }
    return st == TDSA_OK
               ? TDSA_OK
               : TDSA_BLAME(err, from, "participant %u sent a malformed answer to a batch", from);
}

void part_many_answered(part_op *op, uint16_t from, const part_answer *a)
{
    part_many *m = op->many;
    tdsa_err err;
    tdsa_status st = a->status;

    if (op->state != OP_COINS && op->state != OP_REPLIES) {
        return;
    }
    op->waiting &= ~(1u << from);
    if (st == TDSA_OK) {
        st = take_answers(op, from, a, &err);
    } else {
        (void)tdsa_err_blame(&err, st, from, TDSA_WHERE, "participant %u: %s", from, a->text);
    }
    for (size_t i = 0; st != TDSA_OK && i < m->asked_count; i++) {
        m->item[m->asked[i]].behind = a->status != TDSA_OK && part_epoch_refused(a);
        part_item_fails(&m->item[m->asked[i]], &err);
    }
    /* part_batch_work goes on */
}

/* ---- arithmetic ---- */

/* My own part; my lease burnt this presignature durably. */
static void own_part(const part *p, const part_op *op, part_item *t)
{
    TDSA_SCOPED_BUF mine = TDSA_BUF_EMPTY;
    const mpc_key *key = op->key->key;
    mpc_batch *batch = t->batch->batch;
    const uint16_t me = p->cfg.roster.me;
    const bool coins = op->state == OP_COINS;
    tdsa_err err;
    tdsa_status st;

    st = coins ? mpc_prepare_reply(&mine, key, batch, t->q.index, t->prepared, &err)
               : mpc_sign_reply(&mine, key, batch, &t->q, &t->context, &err);
    if (st == TDSA_OK) {
        st = tdsa_buf_check(&mine, &err);
    }
    if (st == TDSA_OK && coins) {
        st = mpc_prepare_take(&t->coins, key, batch, t->prepared, me, mine.data, mine.len, &err);
    } else if (st == TDSA_OK) {
        st = mpc_combine_take(t->combine, me, mine.data, mine.len, &err);
    }
    if (st != TDSA_OK) {
        part_item_fails(t, &err);
    }
}

/* All coins are there: the list is checked and goes into T. */
static void with_coins(const part_op *op, part_item *t)
{
    const mpc_key *key = op->key->key;
    tdsa_err err;
    tdsa_status st;

    st = mpc_context_prepared(&t->context, key, t->batch->batch, &t->q, t->bytes.data, t->bytes.len,
                              &t->coins, &err);
    if (st == TDSA_OK) {
        st = mpc_combine_new(&t->combine, key, t->batch->batch, &t->context, &err);
    }
    if (st != TDSA_OK) {
        part_item_fails(t, &err);
    }
}

static void release(part *p, part_op *op, size_t i)
{
    part_item *t = &op->many->item[i];
    part_sign_result *out = &op->many->out[i].sign;
    const tdsa_err ok = {.status = TDSA_OK, .participant = TDSA_NOBODY};
    const grp_table *table = part_proof_begins(op->key);
    mpc_signature sig;
    tdsa_err err;

    if (table != NULL) {
        mpc_combine_use(t->combine, table);
    }
    if (mpc_combine_finish(t->combine, &sig, &err) != TDSA_OK) {
        part_item_fails(t, &err);
        return;
    }
    memcpy(out->rs, sig.bytes, sig.len);
    out->rs_len = sig.len;
    out->recovery_id = sig.recovery_id;
    memcpy(out->session_id, op->signing_id, PART_SESSION_ID_LEN);
    part_committee_proved(p, op->many->members);
    part_item_over(p, op, i, &ok);
}

/* The second question of prepare mode, about those whose coins are right. */
static void ask_with_coins(part *p, part_op *op)
{
    part_many *m = op->many;
    part_session *s = part_session_find(p, op->signing_id);
    size_t kept = 0;
    tdsa_err err;

    for (size_t i = 0; i < m->asked_count; i++) {
        if (m->item[m->asked[i]].state == ITEM_ASKED) {
            m->asked[kept++] = m->asked[i];
        }
    }
    if (kept == 0) {
        wave_over(p, op);
        return;
    }
    if (s == NULL) { /* the locks went with it */
        (void)TDSA_FAIL(&err, TDSA_E_NOT_FOUND, "the signing session ended");
        part_many_retry(p, op, &err);
        return;
    }
    m->asked_count = kept;
    m->own = 0;
    m->combined = 0;
    op->state = OP_REPLIES;
    if (part_many_ask(p, op, s, &err) != TDSA_OK) {
        part_exchanges_orphan(p, op->id);
        part_many_give_up(p, op, &err);
    }
}

/* A slice of what is due: my own parts while the members compute theirs, then the rest. */
static bool work_on(part *p, part_op *op)
{
    part_many *m = op->many;
    const size_t own_to = m->own + SLICE < m->asked_count ? m->own + SLICE : m->asked_count;
    const size_t to = m->combined + SLICE < m->asked_count ? m->combined + SLICE : m->asked_count;

    if (m->own < m->asked_count) {
        for (; m->own < own_to; m->own++) {
            part_item *t = &m->item[m->asked[m->own]];
            if (t->state == ITEM_ASKED) {
                own_part(p, op, t);
            }
        }
        return true;
    }
    for (; m->combined < to; m->combined++) {
        const size_t i = m->asked[m->combined];
        if (m->item[i].state != ITEM_ASKED) {
            continue;
        }
        if (op->state == OP_COINS) {
            with_coins(op, &m->item[i]);
        } else {
            release(p, op, i);
        }
    }
    if (m->combined < m->asked_count) {
        return true;
    }
    if (op->state == OP_COINS) {
        ask_with_coins(p, op);
    } else {
        wave_over(p, op);
    }
    return true;
}

static part_op *ready(const part *p)
{
    for (part_op *op = p->ops; p->many_count > 0 && op != NULL; op = op->next) {
        if (op->many != NULL && (op->state == OP_COINS || op->state == OP_REPLIES) &&
            (op->waiting == 0 || op->many->own < op->many->asked_count)) {
            return op;
        }
    }
    return NULL;
}

bool part_batch_has_work(const part *p)
{
    return ready(p) != NULL;
}

bool part_batch_work(part *p)
{
    part_op *op = ready(p);

    return op != NULL && work_on(p, op);
}
