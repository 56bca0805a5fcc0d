#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/statement.h"
#include "participant/run_internal.h"

/*
 * Runs in which every member sends every other one message per round: key generation and presigning.
 * Each pair exchanges both messages of a round in one request and its reply. Who asks: the
 * coordinator, else the lower index. A reply waits until the message for it is ready.
 */

/* ---- one face for both state machines ---- */

/* Key generation, import, reshare and export are one state machine, which makes shares of a key. */
static bool makes_key(const part_run *r)
{
    return r->kind != RUN_PRESIGN;
}

unsigned part_run_round(const part_run *r)
{
    if (r->stepping) {
        return r->step_from;
    }
    return makes_key(r) ? mpc_keygen_round(r->keygen) : mpc_presign_round(r->presign);
}

static unsigned sm_rounds(const part_run *r)
{
    return makes_key(r) ? mpc_keygen_round_count(r->keygen) : MPC_PRESIGN_ROUNDS;
}

bool part_run_has(const part_run *r, uint16_t from)
{
    if (r->stepping) { /* a step begins when all messages of its round are in */
        return true;
    }
    return makes_key(r) ? mpc_keygen_has(r->keygen, from) : mpc_presign_has(r->presign, from);
}

static bool sm_complete(const part_run *r)
{
    return makes_key(r) ? mpc_keygen_round_complete(r->keygen)
                        : mpc_presign_round_complete(r->presign);
}

static tdsa_status sm_take(part_run *r, uint16_t from, const uint8_t *in, size_t len, tdsa_err *err)
{
    return makes_key(r) ? mpc_keygen_take(r->keygen, from, in, len, err)
                        : mpc_presign_take(r->presign, from, in, len, err);
}

static tdsa_status sm_send(part_run *r, uint16_t to, tdsa_buf *out, tdsa_err *err)
{
    TDSA_SCOPED_BUF message = TDSA_BUF_EMPTY;
    tdsa_status st;

    st = makes_key(r) ? mpc_keygen_send(r->keygen, to, &message, err)
                      : mpc_presign_send(r->presign, to, &message, err);
    if (st == TDSA_OK) {
        st = tdsa_buf_check(&message, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    if (part_run_round(r) == 0) {
        part_begin_put(out, r);
        tdsa_stmt_octets(out, message.data, message.len);
    } else {
        tdsa_buf_append(out, message.data, message.len);
    }
    return tdsa_buf_check(out, err);
}

/* ---- birth and death ---- */

part_run *part_run_find(part_session *s, uint32_t id)
{
    part_run *r = s->runs;

    while (r != NULL && r->id != id) {
        r = r->next;
    }
    return r;
}

tdsa_status part_run_new(part *p, part_run **out, part_session *s, part_run_kind kind, uint32_t id,
                         tdsa_err *err)
{
    part_run *r = NULL;
    size_t count = 0;

    *out = NULL;
    for (const part_run *other = s->runs; other != NULL; other = other->next) {
        count++;
    }
    if (count >= PART_RUNS_PER_SESSION) {
        return TDSA_FAIL(err, TDSA_E_BUSY, "%u runs are under way in this session",
                         PART_RUNS_PER_SESSION);
    }
    r = calloc(1, sizeof *r);
    if (r == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "run");
    }
    r->session = s;
    r->kind = kind;
    r->id = id;
    r->born_ms = part_now(p);
    r->deadline_ms = r->born_ms + p->cfg.session_timeout_ms;
    r->plan_bytes = TDSA_BUF_EMPTY;
    for (size_t i = 0; i < GRP_PARTIES_MAX; i++) {
        r->at[i].early = TDSA_BUF_EMPTY;
    }
    r->next = s->runs;
    s->runs = r;
    p->run_count++;
    *out = r;
    return TDSA_OK;
}

static void unlink_run(part *p, const part_run *r)
{
    part_run **at = &r->session->runs;

    while (*at != r) {
        TDSA_ASSERT(*at != NULL);
        at = &(*at)->next;
    }
    *at = r->next;
    p->run_count--;
}

static void free_run(part *p, part_run *r)
{
    mpc_keygen_free(r->keygen);
    mpc_presign_free(r->presign);
    part_key_release(p, r->key);
    free(r->plan);
    free(r->export_plan);
    tdsa_buf_clear(&r->plan_bytes);
    for (size_t i = 0; i < GRP_PARTIES_MAX; i++) {
        tdsa_buf_clear(&r->at[i].early);
    }
    free(r);
}

void part_run_free(part *p, part_run *r)
{
    unlink_run(p, r);
    if (r->stepping) {
        r->left = true;
        r->session = NULL;
    } else {
        free_run(p, r);
    }
}

part_op_kind part_run_op_kind(const part_run *r)
{
    switch (r->kind) {
    case RUN_KEYGEN:
        return PART_OP_KEYGEN;
    case RUN_RESHARE:
        return PART_OP_RESHARE;
    case RUN_IMPORT:
        return PART_OP_IMPORT;
    case RUN_EXPORT:
        return PART_OP_EXPORT;
    case RUN_PRESIGN:
        break;
    }
    return PART_OP_PRESIGN;
}

part_ask_kind part_run_ask_kind(const part_run *r)
{
    switch (r->kind) {
    case RUN_KEYGEN:
        return PART_ASK_KEYGEN;
    case RUN_RESHARE:
        return PART_ASK_RESHARE;
    case RUN_IMPORT:
        return PART_ASK_IMPORT;
    case RUN_EXPORT:
        return PART_ASK_EXPORT;
    case RUN_PRESIGN:
        break;
    }
    return PART_ASK_PRESIGN;
}

/* A key or epoch that is stored here and not known to be settled everywhere. */
static void leave_doubt(part *p, const part_run *r)
{
    part_doubt_phase phase = DOUBT_PENDING;

    if (r->active && mpc_keygen_gets_share(r->keygen)) {
        phase = DOUBT_ERASING;
    } else if (!mpc_keygen_gets_share(r->keygen)) {
        phase = DOUBT_LEAVING;
    }
    part_doubt_of_run(p, &mpc_keygen_key(r->keygen)->pub, phase, r->born_ms);
}

/* What the run leaves behind; tells the local operation and the waiting peers. */
void part_run_end(part *p, part_run *run, const tdsa_err *why)
{
    static const char *const words[] = {[RUN_KEYGEN] = "key generation",
                                        [RUN_PRESIGN] = "presigning",
                                        [RUN_RESHARE] = "reshare",
                                        [RUN_IMPORT] = "import",
                                        [RUN_EXPORT] = "export"};
    const tdsa_err reason = *why;
    part_session *s = run->session;
    const uint64_t op = run->op;
    const part_run_kind kind = run->kind;
    const bool mine = run->coordinator == p->cfg.roster.me;
    const bool failed = reason.status != TDSA_OK;
    const uint32_t silent = run->silent;
    const uint64_t born_ms = run->born_ms;
    uint32_t members = 0;
    char key_id[KS_KEY_ID_MAX + 1];

    memcpy(key_id, run->key_id, sizeof key_id);
    for (size_t i = 0; i < run->member_count; i++) {
        members |= 1u << run->members[i];
    }
    part_op_event(p, part_run_op_kind(run),
                  !failed                           ? PART_EVENT_COMPLETED
                  : reason.status == TDSA_E_TIMEOUT ? PART_EVENT_TIMEOUT
                                                    : PART_EVENT_ABORTED,
                  run->born_ms);
    if (failed) {
        part_say(p, TDSA_LOG_WARN, "session %.8s: %s of key %s aborted: %s", s->id, words[kind],
                 key_id, reason.text);
        if (reason.participant >= 0 && reason.participant < (int)GRP_PARTIES_MAX) {
            p->stats.aborted_by_peer[reason.participant]++;
        }
        for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
            if (run->at[i].asked) {
                part_answer_to(p, s, i, run->at[i].seq, &reason, NULL, 0);
            }
            if (run->at[i].early_set && run->at[i].early_asked) {
                part_answer_to(p, s, i, run->at[i].early_seq, &reason, NULL, 0);
            }
        }
        if (run->stored) {
            leave_doubt(p, run);
        }
    }
    part_run_free(p, run);
    if (kind != RUN_PRESIGN) {
        s->ends_ms = s->mine ? part_now(p) : s->ends_ms;
        if (op != PART_OP_NONE) {
            part_op *o = part_op_find(p, op);
            if (o != NULL) {
                failed ? part_op_end(p, o, &reason) : part_op_end_ok(p, o);
            }
        }
    } else if (mine) {
        if (failed) {
            part_committee_silent(p, silent, born_ms);
        }
        if (reason.status == TDSA_E_PROTOCOL || reason.status == TDSA_E_VERIFY) {
            part_committee_doubt(p, members, &reason);
        }
        part_stock_arrived(p, key_id, &reason);
    }
}

/* ---- going on ---- */

static bool i_ask(const part *p, const part_run *r, uint16_t peer)
{
    if (r->coordinator == p->cfg.roster.me) {
        return true;
    }
    return r->coordinator != peer && p->cfg.roster.me < peer;
}

static tdsa_status send_round(part *p, part_run *r, uint16_t peer, tdsa_err *err)
{
    TDSA_SCOPED_BUF message = TDSA_BUF_EMPTY;
    tdsa_err ok = {.status = TDSA_OK, .participant = TDSA_NOBODY};
    part_question q = {
        .session = r->session,
        .peer = peer,
        .op = r->op,
        .deadline_ms = r->deadline_ms,
        .ask = {.kind = part_run_ask_kind(r), .run = r->id, .round = part_run_round(r)},
    };
    tdsa_status st = sm_send(r, peer, &message, err);

    if (st != TDSA_OK) {
        return st;
    }
    q.ask.body = message.data;
    q.ask.body_len = message.len;
    if (i_ask(p, r, peer)) {
        st = part_put(p, &q, err);
    } else {
        part_answer_to(p, r->session, peer, r->at[peer].seq, &ok, message.data, message.len);
        r->at[peer].asked = false;
    }
    r->at[peer].sent = st == TDSA_OK;
    return st;
}

/*
 * The coordinator gets its answer of the last round only when this participant has finished and
 * stored the result: a coordinator that is done then knows that everybody is. (A batch that is FREE
 * at the combiner is FREE at all members; a key that the coordinator calls ACTIVE is so everywhere.)
 * In a reshare the same holds for the round before, after which the new epoch is ACTIVE.
 */
static bool holds_back(const part *p, const part_run *r)
{
    return r->coordinator != p->cfg.roster.me &&
           (part_run_round(r) + 1 == sm_rounds(r) ||
            (r->kind == RUN_RESHARE && part_run_round(r) == MPC_KEYGEN_ROUND_STORED));
}

static tdsa_status send_ready(part *p, part_run *r, tdsa_err *err)
{
    for (size_t i = 0; i < r->member_count; i++) {
        const uint16_t peer = r->members[i];
        tdsa_status st;

        if (peer == p->cfg.roster.me || r->at[peer].sent ||
            (peer == r->coordinator && holds_back(p, r)) ||
            (!i_ask(p, r, peer) && !r->at[peer].asked)) {
            continue;
        }
        st = send_round(p, r, peer, err);
        if (st != TDSA_OK) {
            return st;
        }
    }
    return TDSA_OK;
}

static tdsa_status take_early(part_run *r, tdsa_err *err)
{
    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
        tdsa_status st;

        r->at[i].sent = false;
        r->at[i].asked = false;
        if (!r->at[i].early_set) {
            continue;
        }
        r->at[i].early_set = false;
        r->at[i].asked = r->at[i].early_asked;
        r->at[i].seq = r->at[i].early_seq;
        st = sm_take(r, i, r->at[i].early.data, r->at[i].early.len, err);
        tdsa_buf_clear(&r->at[i].early);
        if (st != TDSA_OK) {
            return st;
        }
    }
    return TDSA_OK;
}

/* The last message for the coordinator, whose answer was held back: of the round that ends now. */
static tdsa_status held_back(const part *p, part_run *r, tdsa_buf *message, tdsa_err *err)
{
    return holds_back(p, r) ? sm_send(r, r->coordinator, message, err) : TDSA_OK;
}

/* Sends what is ready. Moving on may cost milliseconds of arithmetic: part_work does that, after the
 * caller has handed out the messages that others wait for. May end the run. */
void part_run_pump(part *p, part_run *r)
{
    tdsa_err err = {.status = TDSA_OK, .participant = TDSA_NOBODY};

    if (!r->stepping && send_ready(p, r, &err) != TDSA_OK) {
        part_run_end(p, r, &err);
    }
}

/* What follows a round that ended with `st`: the coordinator's answer that was held back, and the
 * messages of the next round. May end the run. */
static void moved(part *p, part_run *r, const tdsa_buf *held, tdsa_status st, tdsa_err *err)
{
    const tdsa_err ok = {.status = TDSA_OK, .participant = TDSA_NOBODY};
    const bool last = part_run_round(r) == sm_rounds(r);
    const uint16_t first = r->coordinator;

    if (st == TDSA_OK && held->len > 0) {
        TDSA_ASSERT(r->at[first].asked);
        part_answer_to(p, r->session, first, r->at[first].seq, &ok, held->data, held->len);
    }
    if (st == TDSA_OK && !last) {
        st = take_early(r, err);
    }
    if (st == TDSA_OK && !last) {
        st = send_ready(p, r, err);
    }
    if (st != TDSA_OK || last) {
        err->status = st;
        part_run_end(p, r, err);
    }
}

/* One step of a run whose round is complete. May end the run. */
static void move_on(part *p, part_run *r)
{
    TDSA_SCOPED_BUF held = TDSA_BUF_EMPTY;
    tdsa_err err = {.status = TDSA_OK, .participant = TDSA_NOBODY};
    tdsa_status st = held_back(p, r, &held, &err);

    if (st == TDSA_OK) {
        st = mpc_keygen_advance(r->keygen, &err);
    }
    if (st == TDSA_OK) {
        st = part_run_store(p, r, &err);
    }
    moved(p, r, &held, st, &err);
}

/* ---- presigning: outside the lock ---- */

/* A run with something to do for the thread of `op`; PART_OP_ANY: for any. What takes long and belongs
 * to an operation is left to its own thread: others have better to do. */
static part_run *ready_run(const part *p, uint64_t op)
{
    for (size_t i = 0; p->run_count > 0 && i < PART_SESSION_BUCKETS; i++) {
        for (const part_session *s = p->sessions[i]; s != NULL; s = s->next) {
            for (part_run *r = s->runs; r != NULL; r = r->next) {
                if (!r->stepping && sm_complete(r) &&
                    (op == PART_OP_ANY || r->op == PART_OP_NONE || r->op == op || makes_key(r))) {
                    return r;
                }
            }
        }
    }
    return NULL;
}

bool part_has_work(const part *p)
{
    return part_burn_ready(p) != NULL || ready_run(p, PART_OP_NONE) != NULL ||
           part_batch_has_work(p);
}

bool part_has_work_of(const part *p, uint64_t op)
{
    const part_run *r = ready_run(p, op);

    return r != NULL && r->op == op;
}

static void hand_out(part *p, part_run *r, part_step *step)
{
    tdsa_err err;

    step->held = TDSA_BUF_EMPTY;
    if (held_back(p, r, &step->held, &err) != TDSA_OK) {
        tdsa_buf_clear(&step->held);
        part_run_end(p, r, &err);
        return;
    }
    r->step_from = part_run_round(r);
    r->stepping = true;
    step->run = r;
    step->store = p->cfg.store;
}

bool part_work(part *p, uint64_t op, part_step *step)
{
    part_run *r = NULL;

    step->run = NULL;
    step->burn = part_burn_hand_out(p);
    if (step->burn != NULL) {
        return true;
    }
    r = ready_run(p, op);
    if (r == NULL) {
        return part_batch_work(p);
    }
    if (makes_key(r)) {
        move_on(p, r);
    } else {
        hand_out(p, r, step);
    }
    return true;
}

bool part_step_is_out(const part_step *step)
{
    return step->run != NULL || step->burn != NULL;
}

void part_make_step(part_step *step)
{
    if (step->burn != NULL) {
        part_burn_make(step->burn);
        return;
    }
    step->err = (tdsa_err){.status = TDSA_OK, .participant = TDSA_NOBODY};
    step->purge = step->err;
    step->err.status = mpc_presign_advance(step->run->presign, &step->err);
    if (step->err.status == TDSA_OK) {
        step->err.status = part_presign_store(step->store, step->run, &step->purge, &step->err);
    }
}

void part_give_step(part *p, part_step *step)
{
    part_run *r = step->run;

    if (step->burn != NULL) {
        part_burn_give(p, step->burn);
        return;
    }
    r->stepping = false;
    if (step->purge.status != TDSA_OK) {
        part_say(p, TDSA_LOG_WARN, "spent presignatures of key %s stay: %s", r->key_id,
                 step->purge.text);
    }
    if (r->left) {
        free_run(p, r);
    } else {
        if (step->err.status == TDSA_OK && r->step_from == 1) {
            step->err.status = part_batch_store(p, r, &step->err);
        }
        moved(p, r, &step->held, step->err.status, &step->err);
    }
    tdsa_buf_clear(&step->held);
}

/* One message of a peer, of this round or the next. */
tdsa_status part_run_feed(part_run *r, uint16_t from, uint32_t round, const uint8_t *in, size_t len,
                          const uint64_t *asked_seq, tdsa_err *err)
{
    const unsigned now = part_run_round(r);

    if (round == now && !part_run_has(r, from)) {
        if (asked_seq != NULL) {
            r->at[from].asked = true;
            r->at[from].seq = *asked_seq;
        }
        return sm_take(r, from, in, len, err);
    }
    if (round == now + 1 && round < sm_rounds(r) && !r->at[from].early_set) {
        r->at[from].early_set = true;
        r->at[from].early_asked = asked_seq != NULL;
        r->at[from].early_seq = asked_seq == NULL ? 0 : *asked_seq;
        tdsa_buf_append(&r->at[from].early, in, len);
        return tdsa_buf_check(&r->at[from].early, err);
    }
    return TDSA_BLAME(err, from, "participant %u sent a message of round %u in round %u", from,
                      round, now);
}
