#include <string.h>

#include "base/statement.h"
#include "participant/internal.h"

/* Local callers order a deletion, or undo it. What is ordered is durable here before anybody is told;
 * who does not answer is told later (deletion_due.c). */

static uint32_t bit(uint16_t index)
{
    return index < 32 ? 1u << index : 0;
}

static uint64_t wall(const part *p)
{
    return p->cfg.clock.wall_ms(p->cfg.clock.ctx);
}

static uint32_t untold(const part *p, const ks_deletion *d)
{
    return d->members & ~d->told & part_deletion_tellable(p);
}

/* A fresh order of this participant. */
static tdsa_status order(part *p, const ks_key *row, const ks_deletion *was, ks_deletion *next,
                         tdsa_err *err)
{
    part_registration reg;
    tdsa_status st = part_registration_of(p, row, &reg, err);

    if (st != TDSA_OK) {
        return st;
    }
    *next = *was;
    next->members = 0;
    for (uint16_t i = 0; i < reg.n; i++) {
        next->members |= bit(reg.members[i].index);
    }
    next->serial = was->serial + 1;
    next->told = bit(p->cfg.roster.me) | (next->members & ~part_deletion_tellable(p));
    return TDSA_OK;
}

static tdsa_status check_grace(const part *p, uint64_t *grace_ms, tdsa_err *err)
{
    if (*grace_ms == PART_GRACE_DEFAULT) {
        *grace_ms = p->cfg.deletion_grace_ms;
    }
    if (*grace_ms < p->cfg.deletion_grace_min_ms || *grace_ms > p->cfg.deletion_grace_max_ms) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a grace period of %llu s: here %llu to %llu",
                         (unsigned long long)(*grace_ms / 1000),
                         (unsigned long long)(p->cfg.deletion_grace_min_ms / 1000),
                         (unsigned long long)(p->cfg.deletion_grace_max_ms / 1000));
    }
    return TDSA_OK;
}

static tdsa_status load_row(part *p, const char *key_id, ks_key **row, ks_deletion *was,
                            tdsa_err *err)
{
    tdsa_status st = part_may_coordinate(p, err);

    *row = NULL;
    if (st == TDSA_OK && !part_key_id_ok(key_id)) {
        st = TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no such key");
    }
    if (st == TDSA_OK) {
        st = ks_key_get(p->cfg.store, key_id, row, err);
    }
    if (st == TDSA_OK && (*row)->state == KS_KEY_DELETED) {
        st = TDSA_FAIL(err, TDSA_E_NOT_FOUND, "key %s was deleted", key_id);
    }
    return st == TDSA_OK ? part_deletion_load(p, key_id, was, err) : st;
}

static tdsa_status schedule(part *p, const char *key_id, uint64_t grace_ms, tdsa_err *err)
{
    ks_key *row = NULL;
    ks_deletion was;
    ks_deletion next;
    tdsa_status st = load_row(p, key_id, &row, &was, err);

    if (st == TDSA_OK) {
        st = check_grace(p, &grace_ms, err);
    }
    if (st == TDSA_OK && was.state != KS_DELETION_SCHEDULED) { /* else it stays as it is */
        st = order(p, row, &was, &next, err);
        if (st == TDSA_OK) {
            const bool used = ks_key_in_use(row->state) || row->epoch > 0;

            next.state = used ? KS_DELETION_SCHEDULED : KS_DELETION_WIPED;
            next.grace_ms = used ? grace_ms : 0;
            next.due_ms = wall(p) + next.grace_ms;
            st = part_deletion_store(p, &next, &was, err);
        }
    }
    ks_key_free(row);
    return st;
}

static tdsa_status undo(part *p, const char *key_id, tdsa_err *err)
{
    ks_key *row = NULL;
    ks_deletion was;
    ks_deletion next;
    tdsa_status st = load_row(p, key_id, &row, &was, err);

    if (st == TDSA_OK && was.serial == 0) {
        st = TDSA_FAIL(err, TDSA_E_CONFLICT, "key %s is not being deleted", key_id);
    }
    if (st == TDSA_OK && was.state == KS_DELETION_SCHEDULED) {
        st = order(p, row, &was, &next, err);
        if (st == TDSA_OK) {
            next.state = KS_DELETION_UNDOING;
            st = part_deletion_store(p, &next, &was, err);
        }
    }
    ks_key_free(row);
    return st;
}

/* Asks them, with what is known here; false when there is nobody. */
static bool ask(part *p, part_op *op, const ks_deletion *d, uint32_t whom)
{
    const part_word w = part_word_of(p, d);
    tdsa_err err;

    op->waiting = whom;
    op->told_state = d->state;
    tdsa_buf_reset(&op->payload);
    part_word_put(&op->payload, &w);
    return op->waiting != 0 &&
           part_op_ask(p, op, (d->serial & 1) != 0 ? PART_ASK_DELETE : PART_ASK_UNDELETE, &err) ==
               TDSA_OK;
}

static bool ask_untold(part *p, part_op *op, const ks_deletion *d)
{
    return ask(p, op, d, untold(p, d));
}

/* What is undone here already may be ordered again elsewhere, unheard of: all are asked. */
static bool ask_all(part *p, part_op *op, const ks_deletion *d)
{
    op->confirming = true;
    return ask(p, op, d, d->members & part_deletion_tellable(p));
}

static uint64_t begin(part *p, part_op_kind kind, const char *key_id, uint32_t deadline_ms,
                      tdsa_err *err)
{
    ks_deletion d;
    part_op *op = NULL;

    if (part_deletion_load(p, key_id, &d, err) != TDSA_OK) {
        return PART_OP_NONE;
    }
    op = part_op_new(p, kind, key_id, deadline_ms, err);
    if (op == NULL) {
        return PART_OP_NONE;
    }
    if (kind == PART_OP_DELETE && deadline_ms == PART_TELL_LATER) {
        part_deletion_op_go_on(p, op);
    } else if (kind == PART_OP_UNDELETE && d.state == KS_DELETION_CANCELLED
                   ? !ask_all(p, op, &d)
                   : !ask_untold(p, op, &d)) {
        part_deletion_op_go_on(p, op);
    }
    return op->id;
}

/* Another process of this database may order at the same moment: then once more. */
uint64_t part_start_delete(part *p, const char *key_id, uint64_t grace_ms, uint32_t deadline_ms,
                           tdsa_err *err)
{
    tdsa_status st = schedule(p, key_id, grace_ms, err);

    if (st == TDSA_E_CONFLICT) {
        st = schedule(p, key_id, grace_ms, err);
    }
    return st == TDSA_OK ? begin(p, PART_OP_DELETE, key_id, deadline_ms, err) : PART_OP_NONE;
}

uint64_t part_start_undelete(part *p, const char *key_id, uint32_t deadline_ms, tdsa_err *err)
{
    tdsa_status st = undo(p, key_id, err);

    return st == TDSA_OK ? begin(p, PART_OP_UNDELETE, key_id, deadline_ms, err) : PART_OP_NONE;
}

/* ---- answers ---- */

/* What the answer of a peer says: its word, or that it has no such key, as if it were wiped. */
static bool read_answer(part_word *w, const char *key_id, uint64_t serial, const part_answer *a)
{
    tdsa_err err;

    if (a->status == TDSA_OK) {
        return part_word_parse(w, a->body, a->body_len, &err) == TDSA_OK &&
               strcmp(w->key_id, key_id) == 0;
    }
    memset(w, 0, sizeof *w);
    memcpy(w->key_id, key_id, strnlen(key_id, KS_KEY_ID_MAX));
    w->state = KS_DELETION_WIPED;
    w->serial = (serial & 1) != 0 ? serial : serial - 1;
    return a->status == TDSA_E_NOT_FOUND;
}

bool part_deletion_read_answer(part *p, const char *key_id, uint16_t from, const part_answer *a)
{
    part_word w;
    const part_heard h = {.word = &w, .from = from};
    ks_deletion d;
    tdsa_err err;

    if (part_deletion_load(p, key_id, &d, &err) != TDSA_OK ||
        (d.serial == 0 && a->status != TDSA_OK) || !read_answer(&w, key_id, d.serial, a)) {
        return false;
    }
    if (part_deletion_hear(p, &h, &err) != TDSA_OK) {
        part_say(p, TDSA_LOG_WARN, "participant %u about key %s: %s", from, key_id, err.text);
        return false;
    }
    return true;
}

static bool says_wiped(const char *key_id, const part_answer *a)
{
    part_word w;

    return read_answer(&w, key_id, 1, a) && w.state == KS_DELETION_WIPED;
}

void part_deletion_op_answered(part *p, part_op *op, uint16_t from, const part_answer *a)
{
    op->key_is_gone = op->key_is_gone || says_wiped(op->key_id, a);
    op->result.alive[from] = part_deletion_read_answer(p, op->key_id, from, a);
    op->waiting &= ~bit(from);
    if (op->waiting == 0) {
        part_deletion_op_go_on(p, op);
    }
}

/* All said that they know of nothing newer; false: the operation has ended, or goes on otherwise. */
static bool confirmed(part *p, part_op *op, const ks_deletion *d)
{
    const uint32_t asked = d->members & part_deletion_tellable(p);
    ks_deletion now;
    tdsa_err err;

    op->confirming = false;
    if (d->state == KS_DELETION_SCHEDULED) { /* there was: it is undone as well */
        if (undo(p, op->key_id, &err) != TDSA_OK ||
            part_deletion_load(p, op->key_id, &now, &err) != TDSA_OK) {
            part_op_end(p, op, &err);
        } else if (!ask_untold(p, op, &now)) {
            part_deletion_op_go_on(p, op);
        }
        return false;
    }
    for (uint16_t i = 0; i < p->cfg.roster.n && d->state == KS_DELETION_CANCELLED; i++) {
        if ((asked & bit(i)) != 0 && !op->result.alive[i]) {
            (void)tdsa_err_blame(&err, TDSA_E_UNAVAILABLE, i, TDSA_WHERE,
                                 "participant %u does not say whether key %s is in use", i,
                                 op->key_id);
            part_op_end(p, op, &err);
            return false;
        }
    }
    return true;
}

static void end_undo(part *p, part_op *op, const ks_deletion *d)
{
    tdsa_err err;
    uint16_t missing = 0;

    if (op->confirming && !confirmed(p, op, d)) {
        return;
    }
    if (d->state == KS_DELETION_CANCELLED) {
        if (op->told_state == KS_DELETION_CANCELLED || !ask_untold(p, op, d)) {
            part_op_end_ok(p, op);
        }
        return;
    }
    if (d->state == KS_DELETION_UNDOING) {
        while (missing < p->cfg.roster.n && (untold(p, d) & bit(missing)) == 0) {
            missing++;
        }
        (void)tdsa_err_blame(&err, TDSA_E_UNAVAILABLE, missing, TDSA_WHERE,
                             "UNDOING: key %s is kept, and comes back when participant %u says the "
                             "same",
                             op->key_id, missing);
    } else if (d->state == KS_DELETION_SCHEDULED && !op->key_is_gone) {
        (void)TDSA_FAIL(&err, TDSA_E_CONFLICT,
                        "DELETING: key %s was ordered to be deleted again meanwhile", op->key_id);
    } else {
        (void)TDSA_FAIL(&err, TDSA_E_NOT_FOUND,
                        "DELETED: key %s was deleted by a participant and cannot be brought back",
                        op->key_id);
    }
    part_op_end(p, op, &err);
}

void part_deletion_op_go_on(part *p, part_op *op)
{
    char key_id[KS_KEY_ID_MAX + 1];
    ks_deletion d;
    tdsa_err err;

    memcpy(key_id, op->key_id, sizeof key_id);
    op->waiting = 0;
    part_deletion_try_wipe(p, key_id);
    if (part_deletion_load(p, key_id, &d, &err) != TDSA_OK) {
        part_op_end(p, op, &err);
    } else if (op->kind == PART_OP_UNDELETE) {
        end_undo(p, op, &d);
    } else {
        part_op_end_ok(p, op);
    }
}

/* ---- description ---- */

tdsa_status part_deletion_describe(part *p, const char *key_id, part_deletion_info *out,
                                   tdsa_err *err)
{
    ks_deletion d;
    tdsa_status st = TDSA_OK;

    memset(out, 0, sizeof *out);
    if (!part_key_id_ok(key_id)) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no such key");
    }
    st = ks_deletion_get(p->cfg.store, key_id, &d, err);
    if (st == TDSA_OK) {
        out->state = d.state;
        out->due_ms = d.due_ms;
        out->pending = d.members & ~d.told;
    }
    return st;
}
