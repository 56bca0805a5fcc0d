#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "participant/internal.h"

#define RETRY_LEAST_MS 50u /* with less time left nothing is sent again */

/* Exchanges: from a question (part_put) over sealing, sending and resending to its answer. */

static void append(part *p, part_exchange *x)
{
    if (p->exchanges == NULL) {
        p->exchanges = x;
    } else {
        p->exchanges_last->next = x;
    }
    p->exchanges_last = x;
}

static void detach(part *p, const part_exchange *x)
{
    part_exchange **at = &p->exchanges;
    part_exchange *before = NULL;

    while (*at != x) {
        TDSA_ASSERT(*at != NULL);
        before = *at;
        at = &(*at)->next;
    }
    *at = x->next;
    if (p->exchanges_last == x) {
        p->exchanges_last = before;
    }
}

static void exchange_free(part_exchange *x)
{
    tdsa_buf_clear(&x->body);
    tdsa_buf_clear(&x->frame);
    free(x->riders);
    tdsa_buf_clear(&x->why);
    free(x);
}

void part_exchange_drop(part *p, part_exchange *x)
{
    detach(p, x);
    exchange_free(x);
}

static part_exchange *find(part *p, uint64_t id)
{
    part_exchange *x = p->exchanges;

    while (x != NULL && x->id != id) {
        x = x->next;
    }
    return x;
}

static tdsa_status exchange_new(part *p, part_exchange **out, part_session *s, const part_link *l,
                                uint64_t deadline_ms, tdsa_err *err)
{
    part_exchange *x = calloc(1, sizeof *x);

    *out = NULL;
    if (x == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "exchange");
    }
    x->id = p->next_exchange++;
    x->session = s;
    x->peer = l->peer;
    x->born_ms = part_now(p);
    x->deadline_ms = deadline_ms;
    x->body = TDSA_BUF_EMPTY;
    x->frame = TDSA_BUF_EMPTY;
    memcpy(x->session_id, s->id, sizeof x->session_id);
    memcpy(x->url, l->entry->url, sizeof x->url);
    s->used_ms = part_now(p);
    *out = x;
    return TDSA_OK;
}

tdsa_status part_put_handshake(part *p, part_session *s, uint16_t peer, uint64_t op,
                               uint64_t deadline_ms, tdsa_buf *frame, tdsa_err *err)
{
    part_exchange *x = NULL;
    tdsa_status st = tdsa_buf_check(frame, err);

    if (st == TDSA_OK) {
        st = exchange_new(p, &x, s, s->link[peer], deadline_ms, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    x->handshake = true;
    x->op = op;
    x->state = EXCHANGE_READY;
    x->frame = *frame;
    *frame = TDSA_BUF_EMPTY;
    append(p, x);
    return TDSA_OK;
}

tdsa_status part_exchange_seal(part *p, part_exchange *x, tdsa_err *err)
{
    part_link *l = x->session->link[x->peer];
    TDSA_SCOPED_BUF aad = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF plain = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF marks = TDSA_BUF_EMPTY;
    part_ask a = {.kind = x->kind,
                  .run = x->run,
                  .round = x->round,
                  .body = x->body.data,
                  .body_len = x->body.len};
    tdsa_status st = part_marks_tell(p, l, &marks, err);

    a.marks = marks.data;
    a.marks_len = marks.len;
    part_ask_put(&plain, &a);
    if (st == TDSA_OK) {
        st = tdsa_buf_check(&plain, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    x->seq = l->next_seq++;
    part_frame_put_sealed_head(&aad, p->cfg.roster.me, x->peer, x->seq);
    tdsa_buf_append(&x->frame, aad.data, aad.len);
    st = peer_channel_seal(l->channel, PEER_REQUEST, x->seq, &aad, plain.data, plain.len, &x->frame,
                           err);
    if (st == TDSA_OK) {
        st = tdsa_buf_check(&x->frame, err);
    }
    if (st == TDSA_OK) {
        tdsa_buf_clear(&x->body);
        x->state = EXCHANGE_READY;
    }
    return st;
}

/* A handshake lasts as long as the most patient of those who wait for it. */
static void prolong_handshake(part *p, const part_session *s, uint16_t peer, uint64_t deadline_ms)
{
    for (part_exchange *x = p->exchanges; x != NULL; x = x->next) {
        if (x->handshake && x->session == s && x->peer == peer && x->deadline_ms < deadline_ms) {
            x->deadline_ms = deadline_ms;
        }
    }
}

tdsa_status part_put(part *p, const part_question *q, tdsa_err *err)
{
    part_exchange *x = NULL;
    part_link *l = NULL;
    tdsa_status st;

    st = part_link_to(p, q->session, q->peer, q->op, q->deadline_ms, &l, err);
    if (st == TDSA_OK) {
        st = exchange_new(p, &x, q->session, l, q->deadline_ms, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    x->op = q->op;
    x->for_op = q->for_op;
    x->attempt = q->attempt;
    x->kind = q->ask.kind;
    x->run = q->ask.run;
    x->round = q->ask.round;
    tdsa_buf_append(&x->body, q->ask.body, q->ask.body_len);
    st = tdsa_buf_check(&x->body, err);
    if (st == TDSA_OK && l->state == LINK_OPEN && q->hold) {
        x->state = EXCHANGE_HELD;
        x->not_before_ms = part_now(p) + PART_HOLD_MS;
    } else if (st == TDSA_OK && l->state == LINK_OPEN) {
        st = part_exchange_seal(p, x, err);
    } else if (st == TDSA_OK) {
        prolong_handshake(p, q->session, q->peer, q->deadline_ms);
    }
    if (st != TDSA_OK) {
        exchange_free(x);
        return st;
    }
    append(p, x);
    return TDSA_OK;
}

void part_exchanges_ready(part *p, part_session *s, uint16_t peer)
{
    tdsa_err err;

    for (part_exchange *x = p->exchanges; x != NULL; x = x->next) {
        if (x->session == s && x->peer == peer && x->state == EXCHANGE_WAITING) {
            if (part_exchange_seal(p, x, &err) != TDSA_OK) {
                part_exchanges_fail(p, s, peer, &err);
                return;
            }
        }
    }
}

/* ---- endings ---- */

static bool of_run(part_ask_kind kind)
{
    return kind == PART_ASK_KEYGEN || kind == PART_ASK_PRESIGN || kind == PART_ASK_RESHARE ||
           kind == PART_ASK_IMPORT || kind == PART_ASK_EXPORT;
}

/* Tells whoever asked that there is no answer. */
static void tell_failed(part *p, const part_exchange *x, const tdsa_err *why)
{
    if (x->session == NULL) {
        return;
    }
    if (x->rider_count > 0) {
        part_wave_failed(p, x, why);
    } else if (x->for_op != PART_OP_NONE) {
        part_op_failed(p, x->for_op, x->peer, why);
    } else if (of_run(x->kind)) {
        part_run_failed(p, x->session, x->run, why);
    }
}

static void tell_answered(part *p, const part_exchange *x, const part_answer *a)
{
    if (a->status != TDSA_OK && x->session->key_id[0] != '\0') {
        part_deletion_refused(p, x->session->key_id, a);
    }
    if (x->for_op != PART_OP_NONE) {
        part_op_answered(p, x->for_op, x->peer, a);
    } else if (of_run(x->kind)) {
        part_run_answered(p, x->session, x->peer, x->run, x->round, a);
    } else if (x->kind == PART_ASK_STATUS) {
        part_doubt_answered(p, x->run, x->peer, a);
    } else if (x->kind == PART_ASK_MARKS && a->status == TDSA_OK) {
        part_marks_told(p, x->peer);
    } else if (x->kind == PART_ASK_DELETE || x->kind == PART_ASK_UNDELETE) {
        part_deletion_answered(p, x->run, x->peer, a);
    }
}

void part_exchanges_fail(part *p, part_session *s, uint16_t peer, const tdsa_err *why)
{
    const tdsa_err reason = *why;
    part_exchange *x = p->exchanges;

    while (x != NULL) {
        if (x->session != s || x->peer != peer || x->state == EXCHANGE_FLYING) {
            x = x->next;
            continue;
        }
        detach(p, x);
        if (!x->handshake) {
            tell_failed(p, x, &reason);
        }
        exchange_free(x);
        x = p->exchanges; /* telling may have changed the list */
    }
}

void part_exchanges_forget(part *p, const part_session *s)
{
    part_exchange *x = p->exchanges;

    while (x != NULL) {
        part_exchange *next = x->next;
        if (x->session == s) {
            x->session = NULL;
            if (x->state != EXCHANGE_FLYING) {
                detach(p, x);
                exchange_free(x);
            }
        }
        x = next;
    }
}

void part_exchanges_orphan(part *p, uint64_t op)
{
    part_exchange *x = p->exchanges;

    while (x != NULL) {
        part_exchange *next = x->next;
        if (x->for_op == op || part_wave_left(x, op)) {
            x->for_op = PART_OP_NONE;
            x->rider_count = 0;
            x->kind = PART_ASK_PING; /* nobody waits for the answer */
            if (x->state != EXCHANGE_FLYING) {
                detach(p, x);
                exchange_free(x);
                x = next;
                continue;
            }
        }
        if (x->op == op) {
            x->op = part_exchange_heir(p, x); /* others may need it */
        }
        x = next;
    }
}

void part_exchanges_free(part *p)
{
    while (p->exchanges != NULL) {
        part_exchange *x = p->exchanges;
        p->exchanges = x->next;
        exchange_free(x);
    }
    p->exchanges_last = NULL;
}

/* ---- performing ---- */

/* No thread waits for the refresh of a restored key: whoever has time performs it. */
static bool wanted(const part *p, const part_exchange *x, uint64_t op)
{
    return op == PART_OP_ANY || x->op == op || (op == PART_OP_NONE && x->op == p->refresh_op);
}

static bool is_ready(const part *p, const part_exchange *x, uint64_t op, uint64_t now)
{
    return wanted(p, x, op) && x->deadline_ms > now &&
           ((x->state == EXCHANGE_READY && x->not_before_ms <= now) || part_wave_leads(p, x));
}

bool part_exchange_is_ready(const part *p, uint64_t op)
{
    const uint64_t now = part_now(p);

    for (const part_exchange *x = p->exchanges; x != NULL; x = x->next) {
        if (is_ready(p, x, op, now)) {
            return true;
        }
    }
    return false;
}

bool part_take_send(part *p, uint64_t op, part_send *out)
{
    const uint64_t now = part_now(p);
    part_exchange *x = p->exchanges;

    while (x != NULL) {
        if (!is_ready(p, x, op, now)) {
            x = x->next;
            continue;
        }
        if (x->state == EXCHANGE_HELD) {
            part_wave_go(p, x->session);
            x = p->exchanges; /* others are gone */
            continue;
        }
        x->state = EXCHANGE_FLYING;
        x->tries++;
        *out = (part_send){
            .exchange = x->id,
            .peer = x->peer,
            .url = x->url,
            .session_id = x->session_id,
            .body = x->frame.data,
            .body_len = x->frame.len,
            .timeout_ms = (uint32_t)(x->deadline_ms - now > 600000 ? 600000 : x->deadline_ms - now),
        };
        return true;
    }
    return false;
}

/* The peer's refusal in HTTP, which nobody authenticated: a hint for people, never a verdict. Its own
 * are in JSON. */
static tdsa_status http_refusal(const part_exchange *x, long code, const uint8_t *body, size_t len,
                                tdsa_err *err)
{
    const bool its_own = len > 0 && body[0] == '{';
    char text[160];
    size_t n = 0;
    tdsa_status st = TDSA_E_PROTOCOL;

    for (size_t i = 0; i < len && n + 1 < sizeof text; i++) {
        text[n++] = body[i] >= 0x20 && body[i] < 0x7f ? (char)body[i] : ' ';
    }
    text[n] = '\0';
    if (code == 403 && its_own) {
        st = TDSA_E_DENIED;
    } else if (code == 409) {
        st = TDSA_E_CONFLICT;
    } else if (code == 503) {
        st = TDSA_E_BUSY;
    } else if (code == 504) {
        st = TDSA_E_TIMEOUT;
    } else if (code == 404) {
        st = TDSA_E_NOT_FOUND;
    } else if (code >= 500) {
        st = TDSA_E_UNAVAILABLE;
    }
    return tdsa_err_blame(err, st, x->peer, TDSA_WHERE,
                          its_own ? "participant %u answered %ld: %s"
                                  : "participant %u: something else answers at its uri: %ld %s",
                          x->peer, code, text);
}

/* Opens the sealed reply. */
static tdsa_status open_reply(part *p, const part_exchange *x, const uint8_t *body, size_t len,
                              tdsa_buf *plain, part_answer *a, tdsa_err *err)
{
    TDSA_SCOPED_BUF aad = TDSA_BUF_EMPTY;
    part_frame f;
    tdsa_status st;

    st = part_frame_parse(&f, body, len, err);
    if (st != TDSA_OK || f.type != PART_FRAME_SEALED || f.from != x->peer ||
        f.to != p->cfg.roster.me || f.seq != x->seq) {
        return TDSA_BLAME(err, x->peer, "participant %u answered with a frame of another exchange",
                          x->peer);
    }
    tdsa_buf_append(&aad, f.head, PART_FRAME_HEAD_LEN);
    st = peer_channel_open(x->session->link[x->peer]->channel, PEER_REPLY, x->seq, &aad, f.rest,
                           f.rest_len, plain, err);
    if (st == TDSA_OK) {
        st = part_answer_parse(a, plain->data, plain->len, err);
    }
    if (st != TDSA_OK) {
        err->participant = x->peer;
    }
    return st;
}

/* retryDelay is made for sessions of a minute; of a shorter deadline a wait takes an eighth at most. */
static bool try_again(part *p, part_exchange *x)
{
    const uint64_t now = part_now(p);
    const uint64_t left = x->deadline_ms > now ? x->deadline_ms - now : 0;
    const uint64_t wait = left / 8 < p->cfg.retry_delay_ms ? left / 8 : p->cfg.retry_delay_ms;
    const uint64_t at = now + wait;

    if (x->tries > p->cfg.retries || left < RETRY_LEAST_MS || x->session == NULL) {
        return false;
    }
    x->state = EXCHANGE_READY;
    x->not_before_ms = at;
    return true;
}

static void lose_link(part *p, part_exchange *x, const tdsa_err *why)
{
    part_session *s = x->session;
    part_link *l = s->link[x->peer];

    if (l != NULL) {
        l->state = LINK_LOST;
    }
    part_say(p, TDSA_LOG_WARN, "session %.8s with participant %u is lost: %s", s->id, x->peer,
             why->text);
    if (why->status != TDSA_E_NOT_FOUND && why->status != TDSA_E_DENIED) { /* it is there */
        part_peer_failed(p, x->peer, x->born_ms);
    }
    tell_failed(p, x, why);
    part_exchanges_fail(p, s, x->peer, why);
}

static tdsa_status take_marks(part *p, const part_exchange *x, const part_answer *a, tdsa_err *err)
{
    part_link *l = x->session->link[x->peer];

    l->marks_taken = true;
    return part_marks_heard(p, l, a->marks, a->marks_len, err);
}

static void finish(part *p, part_exchange *x, long code, const uint8_t *body, size_t len)
{
    TDSA_SCOPED_BUF plain = TDSA_BUF_EMPTY;
    part_answer each[PART_RIDERS_MAX];
    part_answer a;
    tdsa_err err;

    if (code != 200) {
        (void)http_refusal(x, code, body, len, &err);
        lose_link(p, x, &err);
        return;
    }
    if (x->handshake) {
        part_session_opened(p, x->session, x->peer, body, len);
        return;
    }
    if (open_reply(p, x, body, len, &plain, &a, &err) != TDSA_OK ||
        take_marks(p, x, &a, &err) != TDSA_OK ||
        (x->rider_count > 0 && part_wave_split(x, &a, each, &err) != TDSA_OK)) {
        lose_link(p, x, &err);
        return;
    }
    part_peer_answered(p, x->peer);
    if (x->rider_count > 0) {
        part_wave_answered(p, x, each);
    } else {
        tell_answered(p, x, &a);
    }
}

void part_exchange_done(part *p, uint64_t exchange, tdsa_status status, long http_code,
                        const uint8_t *body, size_t len, const char *detail)
{
    part_exchange *x = find(p, exchange);
    const char *why = detail == NULL ? tdsa_status_name(status) : detail;
    tdsa_err err;

    TDSA_ASSERT(x != NULL);
    TDSA_ASSERT(x->state == EXCHANGE_FLYING);
    if (status != TDSA_OK && try_again(p, x)) {
        part_say(p, TDSA_LOG_DEBUG, "participant %u: %s; trying again", x->peer, why);
        if (x->why.len == 0) { /* of the first try: the last may only have been short of time */
            tdsa_buf_append(&x->why, why, strlen(why) + 1);
        }
        return;
    }
    detach(p, x);
    if (x->session != NULL) {
        if (status == TDSA_OK) {
            finish(p, x, http_code, body, len);
        } else {
            why = status == TDSA_E_UNAVAILABLE && x->why.len > 0 ? (const char *)x->why.data : why;
            (void)tdsa_err_blame(&err, status, x->peer, TDSA_WHERE,
                                 "participant %u does not answer: %s", x->peer, why);
            lose_link(p, x, &err);
        }
    }
    part_wave_try(p, x->session_id); /* those who waited for the answer to this set out */
    exchange_free(x);
}

void part_exchange_give_back(part *p, uint64_t exchange)
{
    part_exchange *x = find(p, exchange);

    TDSA_ASSERT(x != NULL);
    TDSA_ASSERT(x->state == EXCHANGE_FLYING);
    x->state = EXCHANGE_READY;
    x->op = part_exchange_heir(p, x);
    x->tries--;
    if (x->session == NULL ||
        (!x->handshake && x->for_op == PART_OP_NONE && x->kind == PART_ASK_PING)) {
        detach(p, x);
        exchange_free(x);
    }
}

/* ---- time ---- */

uint64_t part_exchanges_next_due(const part *p)
{
    uint64_t soonest = UINT64_MAX;

    for (const part_exchange *x = p->exchanges; x != NULL; x = x->next) {
        uint64_t at = x->deadline_ms;
        if (x->state == EXCHANGE_FLYING) {
            continue; /* the transport has the same deadline */
        }
        if (x->not_before_ms != 0 && x->not_before_ms < at) {
            at = x->not_before_ms;
        }
        soonest = at < soonest ? at : soonest;
    }
    return soonest;
}

void part_exchanges_due(part *p)
{
    const uint64_t now = part_now(p);
    part_exchange *x = p->exchanges;
    tdsa_err err;

    while (x != NULL) {
        if (x->state == EXCHANGE_HELD && x->not_before_ms <= now) {
            part_wave_go(p, x->session);
            x = p->exchanges;
            continue;
        }
        if (x->state == EXCHANGE_FLYING || x->deadline_ms > now) {
            x = x->next;
            continue;
        }
        detach(p, x);
        (void)tdsa_err_blame(&err, TDSA_E_TIMEOUT, x->peer, TDSA_WHERE,
                             "participant %u did not answer in time", x->peer);
        if (x->state == EXCHANGE_WAITING || x->state == EXCHANGE_HELD) {
            tell_failed(p, x, &err); /* others may have time left */
        } else if (x->session != NULL) {
            lose_link(p, x, &err);
        }
        exchange_free(x);
        x = p->exchanges;
    }
}
