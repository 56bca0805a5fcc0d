#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "participant/internal.h"

/* Operations of local callers: birth, answers that all of them share, end. */

part_op *part_op_find(part *p, uint64_t id)
{
    part_op *op = p->ops;

    while (op != NULL && op->id != id) {
        op = op->next;
    }
    return op;
}

void part_op_event(part *p, part_op_kind kind, part_event event, uint64_t started_ms)
{
    const uint64_t now = part_now(p);

    if (p->cfg.on_event != NULL) {
        p->cfg.on_event(p->cfg.on_event_ctx, kind, event,
                        now > started_ms ? (now - started_ms) * 1000 : 0);
    }
}

/* Runs report their events themselves; burns are part of signatures. */
static bool reports_itself(part_op_kind kind)
{
    return kind == PART_OP_PRESIGN || kind == PART_OP_KEYGEN || kind == PART_OP_RESHARE ||
           kind == PART_OP_IMPORT || kind == PART_OP_EXPORT || kind == PART_OP_BURN;
}

part_op *part_op_new(part *p, part_op_kind kind, const char *key_id, uint32_t deadline_ms,
                     tdsa_err *err)
{
    part_op *op = calloc(1, sizeof *op);
    part_op **last = &p->ops;

    if (op == NULL) {
        (void)TDSA_FAIL(err, TDSA_E_NO_MEMORY, "operation");
        return NULL;
    }
    TDSA_ASSERT(strlen(key_id) <= KS_KEY_ID_MAX);
    op->id = p->next_op++;
    op->kind = kind;
    op->started_ms = part_now(p);
    op->deadline_ms = op->started_ms + (deadline_ms != 0 ? deadline_ms : p->cfg.deadline_ms);
    op->payload = TDSA_BUF_EMPTY;
    op->q = TDSA_BUF_EMPTY;
    op->replies = TDSA_BUF_EMPTY;
    op->err.participant = TDSA_NOBODY;
    memcpy(op->key_id, key_id, strlen(key_id) + 1);
    while (*last != NULL) { /* who came first is served first when presignatures arrive */
        last = &(*last)->next;
    }
    *last = op;
    if (!reports_itself(kind)) {
        part_op_event(p, kind, PART_EVENT_STARTED, op->started_ms);
    }
    return op;
}

uint64_t part_op_for_stock(const part *p, const char *key_id)
{
    for (const part_op *op = p->ops; op != NULL; op = op->next) {
        const bool waits =
            op->state == OP_STOCK || (op->kind == PART_OP_PRESIGN && op->state == OP_RUNNING);

        if (waits && strcmp(op->key_id, key_id) == 0) {
            return op->id;
        }
    }
    return PART_OP_NONE;
}

/* Runs that an ended operation drove: one that makes a key ends with it, presignatures are for all. */
static void leave_runs(part *p, uint64_t op, const tdsa_err *why)
{
    for (size_t i = 0; i < PART_SESSION_BUCKETS; i++) {
        for (part_session *s = p->sessions[i]; s != NULL; s = s->next) {
            part_run *r = s->runs;
            while (r != NULL) {
                part_run *next = r->next;
                if (r->op == op && r->kind != RUN_PRESIGN) {
                    part_run_end(p, r, why);
                } else if (r->op == op) {
                    r->op = part_op_for_stock(p, r->key_id);
                }
                r = next;
            }
        }
    }
}

static void end(part *p, part_op *op, const tdsa_err *why)
{
    part_event event = PART_EVENT_COMPLETED;

    op->state = OP_DONE;
    op->err = *why;
    if (why->status != TDSA_OK) {
        event = why->status == TDSA_E_TIMEOUT ? PART_EVENT_TIMEOUT : PART_EVENT_ABORTED;
    }
    if (!reports_itself(op->kind)) {
        part_op_event(p, op->kind, event, op->started_ms);
    }
    part_exchanges_orphan(p, op->id);
    leave_runs(p, op->id, why);
    part_many_close(p, op, why);
    part_sign_clear(p, op);
}

void part_op_end(part *p, part_op *op, const tdsa_err *why)
{
    const tdsa_err reason = *why;

    if (op->state == OP_DONE) {
        return;
    }
    TDSA_ASSERT(reason.status != TDSA_OK);
    if (op->kind == PART_OP_PING) { /* whoever asked is told; balancers ask every second */
        part_say(p, TDSA_LOG_DEBUG, "not ready: %s", reason.text);
    } else if (op->kind == PART_OP_BURN) { /* they burn when they are asked to sign */
        part_say(p, TDSA_LOG_DEBUG, "key %s: not burnt ahead: %s", op->key_id, reason.text);
    } else {
        part_say(p, TDSA_LOG_WARN, "operation on key '%s' failed: %s", op->key_id, reason.text);
    }
    end(p, op, &reason);
}

void part_op_end_ok(part *p, part_op *op)
{
    const tdsa_err ok = {.status = TDSA_OK, .participant = TDSA_NOBODY};

    if (op->state != OP_DONE) {
        end(p, op, &ok);
    }
}

static void op_free(part *p, part_op *op)
{
    part_op **at = &p->ops;

    while (*at != op) {
        TDSA_ASSERT(*at != NULL);
        at = &(*at)->next;
    }
    part_give_sign(p, &op->sign);
    *at = op->next;
    TDSA_ASSERT(op->many == NULL);
    part_sign_clear(p, op);
    tdsa_buf_clear(&op->payload);
    part_recovery_free(op->result.recovery);
    if (op->backup != NULL) {
        part_share_backup_clear(op->backup);
        free(op->backup);
    }
    free(op);
}

uint32_t part_op_left_ms(const part *p, uint64_t id)
{
    const uint64_t now = part_now(p);

    for (const part_op *op = p->ops; op != NULL; op = op->next) {
        if (op->id == id) {
            const uint64_t left = op->deadline_ms > now ? op->deadline_ms - now : 0;
            return left > UINT32_MAX ? UINT32_MAX : (uint32_t)left;
        }
    }
    return UINT32_MAX;
}

bool part_op_done(const part *p, uint64_t id)
{
    const part_op *op = p->ops;

    while (op != NULL && op->id != id) {
        op = op->next;
    }
    return op == NULL || op->state == OP_DONE || op->state == OP_PROVING;
}

bool part_op_over(part *p, uint64_t id, part_result *out, tdsa_err *err)
{
    part_op *op = part_op_find(p, id);

    TDSA_ASSERT(op != NULL);
    if (op->state != OP_DONE) {
        return false;
    }
    *err = op->err;
    *out = op->result;
    op->result.recovery = NULL; /* the taker's */
    op_free(p, op);
    return true;
}

bool part_op_poll(part *p, uint64_t id, part_result *out, tdsa_err *err)
{
    part_op *op = part_op_find(p, id);
    part_sign_work *w = NULL;

    TDSA_ASSERT(op != NULL);
    w = &op->sign;
    if (part_take_sign(p, id, w)) {
        part_make_sign(w);
    }
    (void)part_hand_replies(p, w);
    if (part_can_prove(w)) {
        part_prove(w);
    }
    if (w->proved || w->err.status != TDSA_OK) {
        part_give_sign(p, w);
    }
    return part_op_over(p, id, out, err);
}

void part_op_cancel(part *p, uint64_t id, const tdsa_err *why)
{
    part_op *op = part_op_find(p, id);

    if (op != NULL) {
        part_op_end(p, op, why);
        op_free(p, op);
    }
}

/* ---- questions to everybody ---- */

/* My control session, a fresh one when the link to `peer` was lost. */
tdsa_status part_control_session(part *p, uint16_t peer, part_session **out, tdsa_err *err)
{
    part_session *s = p->control;
    tdsa_status st;

    if (s != NULL) {
        const part_link *l = s->link[peer];
        if (part_now(p) < s->ends_ms && (l == NULL || l->state != LINK_LOST)) {
            *out = s;
            return TDSA_OK;
        }
        s->ends_ms = part_now(p);
        p->control = NULL;
    }
    st = part_session_open(p, out, PEER_FOR_CONTROL, "", err);
    if (st == TDSA_OK) {
        p->control = *out;
    }
    return st;
}

static bool of_deletion(const part_op *op)
{
    return op->kind == PART_OP_DELETE || op->kind == PART_OP_UNDELETE;
}

static tdsa_status ask_one(part *p, part_op *op, uint16_t peer, part_ask_kind kind, tdsa_err *err)
{
    part_question q = {
        .peer = peer,
        .op = op->id,
        .for_op = op->id,
        .deadline_ms = op->deadline_ms,
        .ask = {.kind = kind, .body = op->payload.data, .body_len = op->payload.len},
    };
    tdsa_status st = part_control_session(p, peer, &q.session, err);

    if (op->kind == PART_OP_RESHARE ||
        op->kind == PART_OP_RESTORE) { /* who is silent is left out: there must be time to go on */
        q.deadline_ms = op->started_ms + (op->deadline_ms - op->started_ms) / 4;
    } else if (of_deletion(op) && op->deadline_ms > part_now(p)) {
        q.deadline_ms = part_now(p) + (op->deadline_ms - part_now(p)) / 4;
    }
    return st == TDSA_OK ? part_put(p, &q, err) : st;
}

tdsa_status part_op_ask(part *p, part_op *op, part_ask_kind kind, tdsa_err *err)
{
    tdsa_status st = tdsa_buf_check(&op->payload, err);

    for (uint16_t i = 0; i < p->cfg.roster.n && st == TDSA_OK; i++) {
        if ((op->waiting & (1u << i)) != 0) {
            st = ask_one(p, op, i, kind, err);
        }
    }
    return st;
}

tdsa_status part_op_ask_members(part *p, part_op *op, part_session *s, uint32_t members,
                                const part_ask *ask, uint64_t deadline_ms, tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    for (uint16_t i = 0; st == TDSA_OK && i < GRP_PARTIES_MAX; i++) {
        const part_question q = {.session = s,
                                 .peer = i,
                                 .op = op->id,
                                 .for_op = op->id,
                                 .deadline_ms = deadline_ms,
                                 .ask = *ask};

        if ((members >> i & 1) != 0 && i != p->cfg.roster.me) {
            st = part_put(p, &q, err);
            op->waiting |= 1u << i;
        }
    }
    return st;
}

static part_ask_kind kind_of(const part_op *op)
{
    switch (op->kind) {
    case PART_OP_REGISTER:
        return PART_ASK_REGISTER;
    case PART_OP_DELETE:
        return PART_ASK_DELETE;
    case PART_OP_UNDELETE:
        return PART_ASK_UNDELETE;
    case PART_OP_RESHARE:
    case PART_OP_RESTORE:
        return PART_ASK_STATUS;
    case PART_OP_RECOVERYINFO:
        return PART_ASK_RECOVERY;
    case PART_OP_PING:
    case PART_OP_KEYGEN:
    case PART_OP_PRESIGN:
    case PART_OP_SIGN:
    case PART_OP_SIGN_BATCH:
    case PART_OP_PARTIAL_SIGN:
    case PART_OP_PUBLIC_KEY:
    case PART_OP_XPUB:
    case PART_OP_IMPORT:
    case PART_OP_EXPORT:
    case PART_OP_BURN:
    case PART_OP_COUNT:
        break;
    }
    return PART_ASK_PING;
}

/* A committee can be had; else the first that is missing. */
static tdsa_status enough_alive(const part *p, const part_op *op, tdsa_err *err)
{
    uint16_t alive = 0;
    uint16_t missing = p->cfg.roster.n;

    for (uint16_t i = p->cfg.roster.n; i > 0; i--) {
        if (op->result.alive[i - 1]) {
            alive++;
        } else {
            missing = i - 1;
        }
    }
    if (alive >= 2u * p->cfg.t + 1) {
        return TDSA_OK;
    }
    return tdsa_err_blame(err, TDSA_E_UNAVAILABLE, missing, TDSA_WHERE,
                          "participant %u does not answer", missing);
}

static void all_answered(part *p, part_op *op)
{
    tdsa_err err;
    tdsa_status st = TDSA_OK;

    if (op->kind == PART_OP_RESHARE) {
        part_reshare_go_on(p, op);
        return;
    }
    if (op->kind == PART_OP_RESTORE) {
        part_restore_go_on(p, op);
        return;
    }
    if (of_deletion(op)) {
        part_deletion_op_go_on(p, op);
        return;
    }
    if (op->kind == PART_OP_PING) {
        st = enough_alive(p, op, &err);
    }
    if (st == TDSA_OK) {
        part_op_end_ok(p, op);
    } else {
        part_op_end(p, op, &err);
    }
}

/* Who does not answer is noted, nothing else. */
static bool only_pings(const part_op *op)
{
    return op->kind == PART_OP_PING || op->kind == PART_OP_RESTORE || of_deletion(op) ||
           (op->kind == PART_OP_RESHARE && op->state == OP_ASKING);
}

void part_op_answered(part *p, uint64_t id, uint16_t from, const part_answer *a)
{
    part_op *op = part_op_find(p, id);
    tdsa_err err;

    if (op == NULL || op->state == OP_DONE) {
        return;
    }
    if (op->kind == PART_OP_SIGN) {
        part_sign_answered(p, op, from, a);
        return;
    }
    if (op->kind == PART_OP_SIGN_BATCH) {
        part_many_answered(op, from, a);
        return;
    }
    if (of_deletion(op)) {
        part_deletion_op_answered(p, op, from, a);
        return;
    }
    op->waiting &= ~(1u << from);
    if (op->kind == PART_OP_RESHARE) {
        part_reshare_answered(op, from, a);
    } else if (op->kind == PART_OP_RESTORE) {
        part_restore_answered(op, from, a);
    } else if (a->status == TDSA_OK && op->kind == PART_OP_RECOVERYINFO) {
        if (part_recovery_answered(p, op, from, a, &err) != TDSA_OK) {
            part_op_end(p, op, &err);
            return;
        }
    } else if (a->status == TDSA_OK) {
        op->result.alive[from] = true;
    } else if (!only_pings(op)) {
        (void)tdsa_err_blame(&err, a->status, from, TDSA_WHERE, "participant %u: %s", from,
                             a->text);
        part_op_end(p, op, &err);
        return;
    }
    if (op->waiting == 0) {
        all_answered(p, op);
    }
}

/* A session that the peer does not know any more (it was restarted) is opened once more. */
static bool worth_another(const part_op *op, uint16_t peer, const tdsa_err *why)
{
    return (op->asked_twice & (1u << peer)) == 0 &&
           (why->status == TDSA_E_NOT_FOUND || why->status == TDSA_E_PROTOCOL);
}

void part_op_failed(part *p, uint64_t id, uint16_t from, const tdsa_err *why)
{
    part_op *op = part_op_find(p, id);
    tdsa_err err;

    if (op == NULL || op->state == OP_DONE) {
        return;
    }
    if (op->kind == PART_OP_SIGN) {
        part_sign_retry(p, op, why);
        return;
    }
    if (op->kind == PART_OP_SIGN_BATCH) {
        part_many_retry(p, op, why);
        return;
    }
    if (op->kind != PART_OP_BURN && worth_another(op, from, why)) {
        op->asked_twice |= 1u << from;
        if (ask_one(p, op, from, kind_of(op), &err) == TDSA_OK) {
            return;
        }
    }
    if (!only_pings(op)) {
        part_op_end(p, op, why);
        return;
    }
    op->waiting &= ~(1u << from);
    if (op->waiting == 0) {
        all_answered(p, op);
    }
}

/* ---- time ---- */

uint64_t part_ops_next_due(const part *p)
{
    uint64_t soonest = UINT64_MAX;

    for (const part_op *op = p->ops; op != NULL; op = op->next) {
        if (op->state != OP_DONE && op->deadline_ms < soonest) {
            soonest = op->deadline_ms;
        }
    }
    return soonest;
}

static void time_out(part *p, part_op *op)
{
    tdsa_err err;

    if (op->kind == PART_OP_PING && enough_alive(p, op, &err) == TDSA_OK) {
        part_op_end_ok(p, op);
        return;
    }
    if (of_deletion(op)) {
        part_deletion_op_go_on(p, op);
        return;
    }
    for (uint16_t i = 0; i < p->cfg.roster.n; i++) {
        if ((op->waiting & (1u << i)) != 0) {
            (void)tdsa_err_blame(&err, TDSA_E_TIMEOUT, i, TDSA_WHERE,
                                 "participant %u did not answer within %llu ms", i,
                                 (unsigned long long)(op->deadline_ms - op->started_ms));
            part_op_end(p, op, &err);
            return;
        }
    }
    (void)TDSA_FAIL(&err, TDSA_E_TIMEOUT, "not finished within %llu ms",
                    (unsigned long long)(op->deadline_ms - op->started_ms));
    part_op_end(p, op, &err);
}

void part_ops_due(part *p)
{
    const uint64_t now = part_now(p);

    for (part_op *op = p->ops; op != NULL; op = op->next) {
        if (op->state != OP_DONE && op->deadline_ms <= now) {
            time_out(p, op);
        }
    }
}
