#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "participant/run_internal.h"

/* What peers send for runs: requests (also early ones, which are parked), answers, silence. */

static tdsa_status park(part *p, part_session *s, uint16_t from, uint64_t seq, const part_ask *a,
                        tdsa_err *err)
{
    part_parked *k = NULL;
    size_t here = 0;
    size_t everywhere = 0;

    for (const part_parked *other = p->parked; other != NULL; other = other->next) {
        here += other->session == s && other->from == from ? 1 : 0;
        everywhere += other->from == from ? 1 : 0;
    }
    if (a->body_len > PART_PARKED_BODY_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "early message of %zu bytes, limit %u", a->body_len,
                         PART_PARKED_BODY_MAX);
    }
    if (here >= PART_PARKED_MAX || everywhere >= PART_PARKED_OF_PEER_MAX) {
        return TDSA_FAIL(err, TDSA_E_BUSY, "too many early messages of participant %u", from);
    }
    k = calloc(1, sizeof *k);
    if (k == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "early message");
    }
    k->session = s;
    k->from = from;
    k->seq = seq;
    k->kind = a->kind;
    k->run = a->run;
    k->round = a->round;
    k->deadline_ms = part_now(p) + p->cfg.session_timeout_ms;
    k->body = TDSA_BUF_EMPTY;
    tdsa_buf_append(&k->body, a->body, a->body_len);
    if (tdsa_buf_check(&k->body, err) != TDSA_OK) {
        free(k);
        return err->status;
    }
    k->next = p->parked;
    p->parked = k;
    return TDSA_OK;
}

static part_parked *unpark(part *p, const part_session *s, uint32_t run)
{
    for (part_parked **at = &p->parked; *at != NULL; at = &(*at)->next) {
        part_parked *k = *at;
        if (k->session == s && k->run == run) {
            *at = k->next;
            return k;
        }
    }
    return NULL;
}

static tdsa_status check_sender(const part_run *r, uint16_t from, tdsa_err *err)
{
    bool member = false;

    for (size_t i = 0; i < r->member_count; i++) {
        member = member || r->members[i] == from;
    }
    if (!member || !tdsa_ct_equal(&r->session->bound[from], &r->session->link[from]->keys,
                                  sizeof(peer_keys))) {
        return tdsa_err_blame(err, TDSA_E_DENIED, from, TDSA_WHERE,
                              "participant %u does not show the keys that key %s is bound to", from,
                              r->key_id);
    }
    return TDSA_OK;
}

/* The part of part_run_asked that can fail. `parked` is set when the answer comes later anyway. */
static tdsa_status take_request(part *p, part_session *s, uint16_t from, uint64_t seq,
                                const part_ask *a, part_run **run, tdsa_err *err)
{
    part_run *r = part_run_find(s, a->run);
    part_begin b;
    const uint8_t *message = a->body;
    size_t message_len = a->body_len;
    tdsa_status st = TDSA_OK;

    *run = NULL;
    if (a->round == 0) {
        st = part_begin_parse(&b, a->kind, a->body, a->body_len, err);
        if (st == TDSA_OK && r == NULL) {
            if (b.coordinator != from && b.coordinator != p->cfg.roster.me) {
                return park(p, s, from, seq, a, err);
            }
            st = part_run_join(p, s, from, a, &b, &r, err);
        } else if (st == TDSA_OK && !part_begin_fits(r, &b)) {
            st = TDSA_BLAME(err, from, "participant %u begins another run", from);
        }
        message = b.message;
        message_len = b.message_len;
    } else if (r == NULL) {
        st = TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no such run: it has ended here");
    }
    if (st == TDSA_OK) {
        st = check_sender(r, from, err); /* a stranger's message does not end the run */
    }
    if (st == TDSA_OK) {
        *run = r;
        st = part_run_feed(r, from, a->round, message, message_len, &seq, err);
    }
    return st;
}

void part_run_asked(part *p, part_session *s, uint16_t from, uint64_t seq, const part_ask *a)
{
    part_run *r = NULL;
    part_parked *k = NULL;
    tdsa_err err = {.status = TDSA_OK, .participant = TDSA_NOBODY};
    const bool known = part_run_find(s, a->run) != NULL;

    if (take_request(p, s, from, seq, a, &r, &err) != TDSA_OK) {
        if (r != NULL) {
            part_run_end(p, r, &err); /* answers those who wait, this one too if it was taken */
        } else {
            part_say(p, TDSA_LOG_WARN, "session %.8s: participant %u: %s", s->id, from, err.text);
        }
        part_answer_to(p, s, from, seq, &err, NULL, 0);
        return;
    }
    if (r == NULL) {
        return; /* parked */
    }
    part_run_pump(p, r);
    if (known) {
        return;
    }
    while ((k = unpark(p, s, a->run)) != NULL) {
        const bool gone = part_run_find(s, a->run) == NULL;
        const part_ask early = {.kind = k->kind,
                                .run = k->run,
                                .round = k->round,
                                .body = k->body.data,
                                .body_len = k->body.len};
        if (gone) { /* it would be parked again */
            (void)TDSA_FAIL(&err, TDSA_E_NOT_FOUND, "no such run: it has ended here");
            part_answer_to(p, s, k->from, k->seq, &err, NULL, 0);
        } else {
            part_run_asked(p, s, k->from, k->seq, &early);
        }
        tdsa_buf_clear(&k->body);
        free(k);
    }
}

/* Members whose message of the current round is not in. */
static uint32_t missing(const part *p, const part_run *r)
{
    uint32_t mask = 0;

    for (size_t i = 0; i < r->member_count; i++) {
        if (r->members[i] != p->cfg.roster.me && !part_run_has(r, r->members[i])) {
            mask |= 1u << r->members[i];
        }
    }
    return mask;
}

/* Whom the failure that `from` tells of speaks against. Silence is that of others: of those who have
 * not sent me theirs either, if there are any. */
static uint32_t silent_for(const part *p, const part_run *r, uint16_t from, tdsa_status status)
{
    const uint32_t others = missing(p, r) & ~(1u << from);

    if (status == TDSA_E_DENIED || status == TDSA_E_BAD_INPUT || status == TDSA_E_CONFLICT ||
        status == TDSA_E_PROTOCOL) {
        return 0;
    }
    if (status != TDSA_E_UNAVAILABLE && status != TDSA_E_TIMEOUT && status != TDSA_E_NOT_FOUND) {
        return 1u << from; /* its own trouble */
    }
    return others != 0 ? others : 1u << from;
}

void part_run_answered(part *p, part_session *s, uint16_t from, uint32_t run, uint32_t round,
                       const part_answer *a)
{
    part_run *r = part_run_find(s, run);
    part_begin b;
    const uint8_t *message = a->body;
    size_t message_len = a->body_len;
    tdsa_err err = {.status = TDSA_OK, .participant = TDSA_NOBODY};
    tdsa_status st = TDSA_OK;

    if (r == NULL ||
        (r->kind == RUN_PRESIGN && part_epoch_refused(a) && part_key_refresh(p, r->key_id))) {
        return;
    }
    if (a->status != TDSA_OK) {
        r->silent = silent_for(p, r, from, a->status);
        st = tdsa_err_blame(&err, a->status, from, TDSA_WHERE, "participant %u: %s", from, a->text);
        if (st == TDSA_E_PROTOCOL) { /* it reports a fault, perhaps of a third */
            err.participant = TDSA_NOBODY;
        }
    } else if (round == 0) {
        st = part_begin_parse(&b, part_run_ask_kind(r), a->body, a->body_len, &err);
        if (st == TDSA_OK && !part_begin_fits(r, &b)) {
            st = TDSA_BLAME(&err, from, "participant %u answers for another run", from);
        }
        message = b.message;
        message_len = b.message_len;
    }
    if (st == TDSA_OK) {
        st = check_sender(r, from, &err);
    }
    if (st == TDSA_OK) {
        st = part_run_feed(r, from, round, message, message_len, NULL, &err);
    }
    if (st != TDSA_OK) {
        part_run_end(p, r, &err);
        return;
    }
    part_run_pump(p, r);
}

void part_run_failed(part *p, part_session *s, uint32_t run, const tdsa_err *why)
{
    part_run *r = part_run_find(s, run);

    if (r != NULL) {
        r->silent = why->status == TDSA_E_TIMEOUT ? missing(p, r) : 0;
        part_run_end(p, r, why);
    }
}

/* ---- time ---- */

uint64_t part_runs_next_due(const part *p)
{
    uint64_t soonest = UINT64_MAX;

    for (size_t i = 0; p->run_count > 0 && i < PART_SESSION_BUCKETS; i++) {
        for (const part_session *s = p->sessions[i]; s != NULL; s = s->next) {
            for (const part_run *r = s->runs; r != NULL; r = r->next) {
                soonest = r->deadline_ms < soonest ? r->deadline_ms : soonest;
            }
        }
    }
    for (const part_parked *k = p->parked; k != NULL; k = k->next) {
        soonest = k->deadline_ms < soonest ? k->deadline_ms : soonest;
    }
    return soonest;
}

static part_run *overdue(part *p, uint64_t now)
{
    for (size_t i = 0; p->run_count > 0 && i < PART_SESSION_BUCKETS; i++) {
        for (part_session *s = p->sessions[i]; s != NULL; s = s->next) {
            for (part_run *r = s->runs; r != NULL; r = r->next) {
                if (r->deadline_ms <= now) {
                    return r;
                }
            }
        }
    }
    return NULL;
}

static tdsa_status late_err(const part_run *r, const part *p, tdsa_err *err)
{
    for (size_t i = 0; i < r->member_count; i++) {
        if (r->members[i] != p->cfg.roster.me && !part_run_has(r, r->members[i])) {
            return tdsa_err_blame(err, TDSA_E_TIMEOUT, r->members[i], TDSA_WHERE,
                                  "participant %u did not send its message of round %u in time",
                                  r->members[i], part_run_round(r));
        }
    }
    return TDSA_FAIL(err, TDSA_E_TIMEOUT, "round %u was not finished in time", part_run_round(r));
}

void part_runs_due(part *p)
{
    const uint64_t now = part_now(p);
    part_run *r = NULL;
    tdsa_err err;

    while ((r = overdue(p, now)) != NULL) {
        (void)late_err(r, p, &err);
        r->silent = missing(p, r);
        part_run_end(p, r, &err);
    }
    for (part_parked **at = &p->parked; *at != NULL;) {
        part_parked *k = *at;
        if (k->deadline_ms > now) {
            at = &k->next;
            continue;
        }
        *at = k->next;
        (void)TDSA_FAIL(&err, TDSA_E_TIMEOUT, "the coordinator did not begin this run");
        part_answer_to(p, k->session, k->from, k->seq, &err, NULL, 0);
        tdsa_buf_clear(&k->body);
        free(k);
    }
}
