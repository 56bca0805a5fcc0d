#include <stdio.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/statement.h"
#include "participant/internal.h"

/* What is ordered about a key, here and by peers. */

#define SERIAL_JUMP_MAX (1u << 20) /* orders that a participant may have missed */
#define SERIAL_MAX      ((uint64_t)1 << 62)
#define PUT_TRIES       4u /* other processes of this database give orders too */
#define SKEW_MS         1000u

static uint32_t bit(uint16_t index)
{
    return index < 32 ? 1u << index : 0;
}

static uint64_t wall(const part *p)
{
    return p->cfg.clock.wall_ms(p->cfg.clock.ctx);
}

/* ---- words ---- */

void part_word_put(tdsa_buf *out, const part_word *w)
{
    tdsa_stmt_begin(out, "deletion");
    tdsa_stmt_text(out, w->key_id);
    tdsa_stmt_uint(out, w->serial);
    tdsa_stmt_uint(out, (uint64_t)w->state);
    tdsa_stmt_uint(out, w->remaining_ms);
}

tdsa_status part_word_parse(part_word *out, const uint8_t *in, size_t len, tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(in, len);
    uint64_t state = 0;
    bool deletes = false;
    tdsa_status st;

    memset(out, 0, sizeof *out);
    tdsa_stmt_expect(&r, "deletion");
    tdsa_stmt_read_text(&r, out->key_id, sizeof out->key_id);
    out->serial = tdsa_stmt_read_uint(&r);
    state = tdsa_stmt_read_uint(&r);
    out->remaining_ms = tdsa_stmt_read_uint(&r);
    st = tdsa_reader_finish(&r, "deletion", err);
    if (st != TDSA_OK) {
        return st;
    }
    deletes = state == KS_DELETION_SCHEDULED || state == KS_DELETION_WIPED;
    if (!part_key_id_ok(out->key_id)) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no such key");
    }
    if (state > KS_DELETION_WIPED || (state == 0) != (out->serial == 0) ||
        (state != 0 && deletes != ((out->serial & 1) != 0)) || out->serial > SERIAL_MAX ||
        out->remaining_ms > PART_GRACE_MAX_MS) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "order %llu in state %llu",
                         (unsigned long long)out->serial, (unsigned long long)state);
    }
    out->state = (ks_deletion_state)state;
    return TDSA_OK;
}

tdsa_status part_deletion_load(part *p, const char *key_id, ks_deletion *out, tdsa_err *err)
{
    const tdsa_status st = ks_deletion_get(p->cfg.store, key_id, out, err);

    if (st != TDSA_E_NOT_FOUND) {
        return st;
    }
    memset(out, 0, sizeof *out);
    memcpy(out->key_id, key_id, strnlen(key_id, KS_KEY_ID_MAX));
    return TDSA_OK;
}

bool part_deletion_is_open(part *p, const char *key_id)
{
    ks_deletion d;
    tdsa_err err;

    return part_deletion_load(p, key_id, &d, &err) != TDSA_OK || d.state == KS_DELETION_SCHEDULED ||
           d.state == KS_DELETION_UNDOING;
}

part_word part_word_of(const part *p, const ks_deletion *d)
{
    const uint64_t now = wall(p);
    part_word w = {.serial = d->serial, .state = d->state};

    memcpy(w.key_id, d->key_id, sizeof w.key_id);
    if (d->state == KS_DELETION_SCHEDULED && d->due_ms > now) {
        w.remaining_ms = d->due_ms - now;
        w.remaining_ms = w.remaining_ms > PART_GRACE_MAX_MS ? PART_GRACE_MAX_MS : w.remaining_ms;
    }
    return w;
}

uint32_t part_deletion_tellable(const part *p)
{
    uint32_t mask = 0;

    if (part_has_client(p) && !part_is_client(p)) {
        return 0;
    }
    for (uint16_t i = 0; i < p->cfg.roster.n; i++) {
        if (i != p->cfg.roster.me && part_asker_of(p, i) == PART_BY_SERVER) {
            mask |= bit(i);
        }
    }
    return mask;
}

bool part_deletion_obeys(const part *p, uint16_t from)
{
    return !part_has_client(p) || part_asker_of(p, from) == PART_BY_CLIENT;
}

/* ---- storing ---- */

static void say_order(part *p, const ks_deletion *d)
{
    switch (d->state) {
    case KS_DELETION_SCHEDULED:
        part_say(p, TDSA_LOG_WARN, "key %s is to be deleted in %llu s (order %llu)", d->key_id,
                 (unsigned long long)(part_word_of(p, d).remaining_ms / 1000),
                 (unsigned long long)d->serial);
        break;
    case KS_DELETION_UNDOING:
        part_say(p, TDSA_LOG_INFO, "the deletion of key %s is being undone (order %llu)", d->key_id,
                 (unsigned long long)d->serial);
        break;
    case KS_DELETION_CANCELLED:
        part_say(p, TDSA_LOG_INFO, "the deletion of key %s is undone (order %llu)", d->key_id,
                 (unsigned long long)d->serial);
        break;
    case KS_DELETION_WIPED:
        part_say(p, TDSA_LOG_WARN, "key %s is wiped (order %llu)", d->key_id,
                 (unsigned long long)d->serial);
        break;
    }
}

static tdsa_status record(part *p, const ks_deletion *d, tdsa_err *err)
{
    static const char *const event[] = {[KS_DELETION_SCHEDULED] = "key.delete",
                                        [KS_DELETION_UNDOING] = "key.undelete",
                                        [KS_DELETION_CANCELLED] = "key.undelete",
                                        [KS_DELETION_WIPED] = "key.wipe"};
    static const char *const what[] = {[KS_DELETION_SCHEDULED] = "scheduled",
                                       [KS_DELETION_UNDOING] = "kept",
                                       [KS_DELETION_CANCELLED] = "in use again",
                                       [KS_DELETION_WIPED] = "wiped"};
    char detail[96];

    (void)snprintf(detail, sizeof detail, "order %llu: %s, grace period %llu s",
                   (unsigned long long)d->serial, what[d->state],
                   (unsigned long long)(d->grace_ms / 1000));
    return part_audit(p, event[d->state], d->key_id, detail, err);
}

tdsa_status part_deletion_store(part *p, const ks_deletion *d, const ks_deletion *was,
                                tdsa_err *err)
{
    const bool wipes = d->state == KS_DELETION_WIPED;
    const bool changed = d->serial != was->serial || d->state != was->state;
    tdsa_err why;
    tdsa_status st;

    (void)part_deletion_note(p, d->key_id);
    if (changed && record(p, d, err) != TDSA_OK) {
        return err->status;
    }
    if (wipes) {
        (void)TDSA_FAIL(&why, TDSA_E_NOT_FOUND, "DELETED: key %s was deleted", d->key_id);
        part_key_drop(p, d->key_id, &why);
        TDSA_FAILPOINT("delete.before_wipe");
    } else {
        TDSA_FAILPOINT("delete.before_order");
    }
    if (d->state == KS_DELETION_SCHEDULED) { /* before it is stored: an error may hide that it is */
        (void)TDSA_FAIL(&why, TDSA_E_CONFLICT, "DELETING: key %s is being deleted", d->key_id);
        part_key_drop(p, d->key_id, &why);
    }
    st = ks_deletion_put(p->cfg.store, d, was->serial == 0 ? NULL : was, err);
    if (wipes) {
        TDSA_FAILPOINT("delete.after_wipe");
    } else {
        TDSA_FAILPOINT("delete.after_order");
    }
    if (st == TDSA_OK && changed) {
        say_order(p, d);
    }
    if (st == TDSA_OK && d->state == KS_DELETION_CANCELLED) {
        part_restored_begin(p); /* the key may be one that waits for its refresh */
    }
    return st;
}

/* ---- what a peer says ---- */

/* A key that nobody here was ever told to be usable has nothing that could be undone. */
static bool never_active(const ks_key *row)
{
    return row->state == KS_KEY_REGISTERED || (row->state == KS_KEY_PENDING && row->epoch == 0);
}

static tdsa_status members_of(part *p, const ks_key *row, uint32_t *out, tdsa_err *err)
{
    part_registration reg;
    tdsa_status st = part_registration_of(p, row, &reg, err);

    *out = 0;
    for (uint16_t i = 0; st == TDSA_OK && i < reg.n; i++) {
        *out |= bit(reg.members[i].index);
    }
    return st;
}

static uint64_t below_most(const part *p, uint64_t ms)
{
    return ms > p->cfg.deletion_grace_max_ms ? p->cfg.deletion_grace_max_ms : ms;
}

/* Of an order that is new here: nobody shortens the time below the own lower bound. */
static uint64_t clamp_grace(const part *p, uint64_t ms)
{
    return below_most(p, ms < p->cfg.deletion_grace_min_ms ? p->cfg.deletion_grace_min_ms : ms);
}

/* A new order: what is to be stored of it. */
static tdsa_status adopt(part *p, const part_heard *h, const ks_deletion *was, ks_deletion *next,
                         tdsa_err *err)
{
    const part_word *w = h->word;
    ks_key *row = NULL;
    tdsa_status st;

    if (w->serial - was->serial > SERIAL_JUMP_MAX) {
        return TDSA_FAIL(err, TDSA_E_DENIED, "order %llu about key %s: here it is %llu",
                         (unsigned long long)w->serial, w->key_id, (unsigned long long)was->serial);
    }
    st = ks_key_get(p->cfg.store, w->key_id, &row, err);
    if (st == TDSA_OK) {
        st = members_of(p, row, &next->members, err);
    }
    if (st == TDSA_OK) {
        next->serial = w->serial;
        next->told =
            bit(p->cfg.roster.me) | bit(h->from) | (next->members & ~part_deletion_tellable(p));
        next->state = w->state;
        if ((w->serial & 1) != 0) {
            next->grace_ms = clamp_grace(p, w->remaining_ms);
            next->due_ms = wall(p) + next->grace_ms;
            next->state = w->remaining_ms == 0 && never_active(row) ? KS_DELETION_WIPED
                                                                    : KS_DELETION_SCHEDULED;
        }
    }
    ks_key_free(row);
    return st;
}

/* The key comes back when all say that they keep it; in the group of a client, when the client does. */
static bool all_keep(const part *p, const ks_deletion *d)
{
    return part_deletion_tellable(p) != 0 && (d->told & d->members) == d->members;
}

static void cancel(const part *p, ks_deletion *next)
{
    next->state = KS_DELETION_CANCELLED;
    next->told = bit(p->cfg.roster.me) | (next->members & ~part_deletion_tellable(p));
}

/* The same order as here. */
static void compare(part *p, const part_heard *h, ks_deletion *next)
{
    const part_word *w = h->word;
    /* no lower bound: it was given when the order came, and near the end would begin again and again */
    const uint64_t due = wall(p) + below_most(p, w->remaining_ms);

    switch (next->state) {
    case KS_DELETION_SCHEDULED: /* of two that were given at once the later time counts */
        next->told |= bit(h->from);
        if (w->state == KS_DELETION_SCHEDULED && part_deletion_obeys(p, h->from) &&
            w->remaining_ms > 0 && due > next->due_ms + next->grace_ms / 16 + SKEW_MS) {
            next->due_ms = due;
        }
        break;
    case KS_DELETION_UNDOING:
        next->told |= bit(h->from);
        if (all_keep(p, next)) {
            cancel(p, next);
        }
        if (w->state == KS_DELETION_CANCELLED && part_deletion_obeys(p, h->from)) {
            cancel(p, next);
            next->told |= bit(h->from);
        }
        break;
    case KS_DELETION_CANCELLED:
        next->told |= w->state == KS_DELETION_CANCELLED ? bit(h->from) : 0;
        break;
    case KS_DELETION_WIPED:
        next->told |= bit(h->from);
        break;
    }
}

/* The peer wiped its share under an earlier order than mine. */
static void too_late(part *p, const part_heard *h, ks_deletion *next)
{
    const uint64_t now = wall(p);
    const uint64_t due = now + clamp_grace(p, p->cfg.deletion_grace_ms);

    if ((next->serial & 1) != 0) {
        next->told |= bit(h->from);
        return;
    }
    if (part_deletion_tellable(p) == 0 || next->serial >= SERIAL_MAX) {
        return; /* the client sees to it */
    }
    part_say(p, TDSA_LOG_ERROR, "key %s cannot be brought back: participant %u has wiped its share",
             next->key_id, h->from);
    next->serial++;
    next->state = KS_DELETION_SCHEDULED;
    next->due_ms = due > next->due_ms ? due : next->due_ms; /* no sooner than without the undoing */
    next->grace_ms = next->due_ms - now;
    next->told =
        bit(p->cfg.roster.me) | bit(h->from) | (next->members & ~part_deletion_tellable(p));
}

/* A client follows no single server, but t+1 of them: one of those is honest. */
static bool claimed(part *p, const part_heard *h)
{
    part_deletion *d = NULL;
    unsigned count = 0;

    if (!part_is_client(p)) {
        return false;
    }
    d = part_deletion_open(p, h->word->key_id);
    if (d == NULL) {
        return false;
    }
    d->claims |= bit(h->from);
    for (uint32_t mask = d->claims; mask != 0; mask &= mask - 1) {
        count++;
    }
    return count > p->cfg.t;
}

static void note_agreement(part *p, const part_heard *h, const ks_deletion *d)
{
    part_deletion *open = NULL;
    const bool wiped = h->word->state == KS_DELETION_WIPED;

    if (d->state != KS_DELETION_SCHEDULED ||
        !(wiped || (h->word->serial == d->serial && h->word->remaining_ms == 0))) {
        return;
    }
    open = part_deletion_open(p, d->key_id);
    if (open != NULL) {
        open->agreed =
            open->agreed_serial == d->serial ? open->agreed | bit(h->from) : bit(h->from);
        open->agreed_serial = d->serial;
    }
}

static tdsa_status take_once(part *p, const part_heard *h, tdsa_err *err)
{
    const part_word *w = h->word;
    ks_deletion was;
    ks_deletion next;
    tdsa_status st = part_deletion_load(p, w->key_id, &was, err);

    if (st == TDSA_OK && was.state == KS_DELETION_WIPED) { /* for ever */
        return w->serial == was.serial || w->state == KS_DELETION_WIPED
                   ? ks_deletion_told(p->cfg.store, &was, bit(h->from), err)
                   : TDSA_OK;
    }
    if (st != TDSA_OK) {
        return st;
    }
    next = was;
    if (w->serial > was.serial) {
        if (!part_deletion_obeys(p, h->from) && !claimed(p, h)) {
            return TDSA_OK;
        }
        st = adopt(p, h, &was, &next, err);
    } else if (w->serial == was.serial && w->serial != 0) {
        compare(p, h, &next);
    } else if (w->state == KS_DELETION_WIPED && was.serial != 0) {
        too_late(p, h, &next);
    }
    if (st != TDSA_OK) {
        return st;
    }
    if (next.serial != was.serial || next.state != was.state || next.due_ms != was.due_ms) {
        st = part_deletion_store(p, &next, &was, err);
    } else if (next.told != was.told) {
        st = ks_deletion_told(p->cfg.store, &was, next.told, err);
    }
    if (st == TDSA_OK) {
        note_agreement(p, h, &next);
    }
    return st;
}

tdsa_status part_deletion_hear(part *p, const part_heard *h, tdsa_err *err)
{
    tdsa_status st = TDSA_E_CONFLICT;

    for (unsigned i = 0; i < PUT_TRIES && st == TDSA_E_CONFLICT; i++) {
        st = take_once(p, h, err);
    }
    if (st == TDSA_OK) {
        part_deletion_try_wipe(p, h->word->key_id);
    }
    return st;
}

/* ---- a peer asks ---- */

/* Members may ask; of a tombstone it is only known who was one. */
static tdsa_status check_member(part *p, const part_session *s, uint16_t from, const char *key_id,
                                tdsa_err *err)
{
    ks_key_state state = KS_KEY_DELETED;
    ks_deletion d;
    tdsa_status st = part_deletion_load(p, key_id, &d, err);

    if (st == TDSA_OK && d.state == KS_DELETION_WIPED && (d.members & bit(from)) != 0) {
        return TDSA_OK;
    }
    return st == TDSA_OK ? part_check_bound(p, s, from, key_id, &state, err) : st;
}

tdsa_status part_ask_deletion(part *p, part_session *s, uint16_t from, const part_ask *a,
                              tdsa_buf *out, tdsa_err *err)
{
    const bool deletes = a->kind == PART_ASK_DELETE;
    part_word w;
    const part_heard h = {.word = &w, .from = from};
    part_word mine;
    ks_deletion d;
    tdsa_status st = part_word_parse(&w, a->body, a->body_len, err);

    if (st == TDSA_OK && w.serial != 0 && ((w.serial & 1) != 0) != deletes) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "order %llu is none of this kind",
                       (unsigned long long)w.serial);
    }
    if (st == TDSA_OK) {
        st = check_member(p, s, from, w.key_id, err);
    }
    if (st == TDSA_OK) {
        st = part_deletion_hear(p, &h, err);
    }
    if (st == TDSA_OK) {
        st = part_deletion_load(p, w.key_id, &d, err);
    }
    if (st == TDSA_OK) {
        mine = part_word_of(p, &d);
        part_word_put(out, &mine);
    }
    return st;
}
