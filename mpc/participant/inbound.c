#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "participant/internal.h"

/*
 * What peers ask. Each request of a link has a number; it is executed once. The same bytes again get
 * the stored reply, or join the wait for it; other bytes under the same number can only be made by
 * the peer itself and end the session.
 */

static part_inbound *find(part_link *l, uint64_t seq)
{
    part_inbound *in = l->inbound_newest;

    if (seq > l->seq_max) {
        return NULL; /* every new request: no walk through all that are remembered */
    }
    while (in != NULL && in->seq != seq) {
        in = in->older;
    }
    return in;
}

static void forget(part_link *l, part_inbound *in)
{
    *(in->newer == NULL ? &l->inbound_newest : &in->newer->older) = in->older;
    *(in->older == NULL ? &l->inbound_oldest : &in->older->newer) = in->newer;
    l->inbound_count--;
    l->inbound_bytes -= in->reply.len;
    l->inbound_waiting -= in->answered ? 0 : 1;
    tdsa_buf_clear(&in->reply);
    free(in);
}

void part_inbound_free(part *p, part_link *l, const tdsa_err *why)
{
    while (l->inbound_newest != NULL) {
        part_inbound *in = l->inbound_newest;

        for (size_t i = 0; i < in->ticket_count; i++) {
            part_reply_error(p, in->tickets[i], why);
        }
        forget(l, in);
    }
}

/* Forgets the oldest answered requests while there are too many; their numbers are refused. */
static void trim(part_link *l)
{
    while (l->inbound_count > PART_INBOUND_MAX || l->inbound_bytes > PART_INBOUND_BYTES_MAX) {
        part_inbound *in = l->inbound_oldest;

        while (in != NULL && (!in->answered || in->seq == l->seq_max)) {
            in = in->newer;
        }
        if (in == NULL) {
            return;
        }
        if (in->seq >= l->seq_floor) {
            l->seq_floor = in->seq + 1;
        }
        forget(l, in);
    }
}

void part_answer_to(part *p, part_session *s, uint16_t peer, uint64_t seq, const tdsa_err *err,
                    const uint8_t *body, size_t len)
{
    TDSA_SCOPED_BUF plain = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF aad = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF marks = TDSA_BUF_EMPTY;
    part_answer a = {.status = err->status, .body = body, .body_len = len};
    part_link *l = s->link[peer];
    part_inbound *in = l == NULL ? NULL : find(l, seq);
    tdsa_err failed;
    tdsa_status st;

    if (in == NULL || in->answered) {
        return;
    }
    if (err->status != TDSA_OK) {
        part_answer_text(&a, err);
    }
    st = part_marks_tell(p, l, &marks, &failed);
    a.marks = marks.data;
    a.marks_len = marks.len;
    part_answer_put(&plain, &a);
    part_frame_put_sealed_head(&aad, p->cfg.roster.me, peer, seq);
    tdsa_buf_append(&in->reply, aad.data, aad.len);
    if (st == TDSA_OK) {
        st = tdsa_buf_check(&plain, &failed);
    }
    if (st == TDSA_OK) {
        st = peer_channel_seal(l->channel, PEER_REPLY, seq, &aad, plain.data, plain.len, &in->reply,
                               &failed);
    }
    if (st == TDSA_OK) {
        st = tdsa_buf_check(&in->reply, &failed);
    }
    in->answered = true;
    l->inbound_waiting--;
    for (size_t i = 0; i < in->ticket_count; i++) {
        if (st == TDSA_OK) {
            part_reply_with(p, in->tickets[i], in->reply.data, in->reply.len);
        } else {
            part_reply_error(p, in->tickets[i], &failed);
        }
    }
    in->ticket_count = 0;
    l->inbound_bytes += in->reply.len;
    s->used_ms = part_now(p);
    trim(l);
}

/* Runs the handler of one admissible question. Those of runs answer by themselves, later. */
static void dispatch(part *p, part_session *s, uint16_t from, uint64_t seq, const part_ask *a)
{
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    tdsa_err err = {.status = TDSA_OK, .participant = TDSA_NOBODY};
    tdsa_status st;

    st = part_permit(a->kind, part_asker_of(p, from), part_has_client(p), s->purpose, &err);
    if (st == TDSA_OK) {
        switch (a->kind) {
        case PART_ASK_KEYGEN:
        case PART_ASK_PRESIGN:
        case PART_ASK_RESHARE:
        case PART_ASK_IMPORT:
        case PART_ASK_EXPORT:
            part_run_asked(p, s, from, seq, a);
            return;
        case PART_ASK_REGISTER:
            st = part_ask_register(p, s, from, a, &err);
            break;
        case PART_ASK_STATUS:
            st = part_ask_status(p, s, from, a, &out, &err);
            break;
        case PART_ASK_DELETE:
        case PART_ASK_UNDELETE:
            st = part_ask_deletion(p, s, from, a, &out, &err);
            break;
        case PART_ASK_PING:
        case PART_ASK_MARKS:
            break;
        case PART_ASK_PREPARE:
            st = part_ask_prepare(p, s, from, a, &out, &err);
            break;
        case PART_ASK_SIGN:
            st = part_ask_sign(p, s, from, a, &out, &err);
            break;
        case PART_ASK_SIGN_BATCH:
            st = part_ask_sign_batch(p, s, from, a, &out, &err);
            break;
        case PART_ASK_BURN:
            st = part_ask_burn(p, s, from, a, &err);
            break;
        case PART_ASK_RECOVERY:
            st = part_ask_recovery(p, s, from, a, &out, &err);
            break;
        case PART_ASK_END:
            TDSA_ASSERT(false);
            break;
        }
    }
    if (st == TDSA_OK) {
        err.status = TDSA_OK;
        st = tdsa_buf_check(&out, &err);
    } else {
        part_say(p, TDSA_LOG_WARN, "session %.8s: '%s' of participant %u refused: %s", s->id,
                 part_permission_of(a->kind)->name, from, err.text);
    }
    part_answer_to(p, s, from, seq, &err, out.data, st == TDSA_OK ? out.len : 0);
}

static part_inbound *remember(part_link *l, uint64_t seq, const uint8_t digest[32],
                              part_ticket ticket)
{
    part_inbound *in = calloc(1, sizeof *in);

    if (in == NULL) {
        return NULL;
    }
    in->seq = seq;
    memcpy(in->digest, digest, sizeof in->digest);
    in->reply = TDSA_BUF_EMPTY;
    in->tickets[0] = ticket;
    in->ticket_count = 1;
    in->older = l->inbound_newest;
    *(in->older == NULL ? &l->inbound_oldest : &in->older->newer) = in;
    l->inbound_newest = in;
    l->inbound_count++;
    l->inbound_waiting++;
    if (seq > l->seq_max) {
        l->seq_max = seq;
    }
    return in;
}

static void again(part *p, part_session *s, part_link *l, part_inbound *in,
                  const uint8_t digest[32], part_ticket ticket)
{
    tdsa_err err;

    if (!tdsa_ct_equal(in->digest, digest, sizeof in->digest)) {
        /* It opened, so it is the peer's own: two contents for one number. */
        (void)TDSA_BLAME(&err, l->peer,
                         "participant %u sent two different requests under number %llu", l->peer,
                         (unsigned long long)in->seq);
        part_say(p, TDSA_LOG_ERROR, "session %.8s aborted: %s", s->id, err.text);
        p->stats.aborted_by_peer[l->peer]++;
        part_reply_error(p, ticket, &err);
        part_session_end(p, s, &err);
        return;
    }
    if (in->answered) {
        part_reply_with(p, ticket, in->reply.data, in->reply.len);
        return;
    }
    if (in->ticket_count == PART_TICKETS_MAX) {
        (void)TDSA_FAIL(&err, TDSA_E_BUSY, "the same request waits %u times", PART_TICKETS_MAX);
        part_reply_error(p, ticket, &err);
        return;
    }
    in->tickets[in->ticket_count++] = ticket;
}

void part_inbound_take(part *p, part_session *s, const part_frame *f, part_ticket ticket)
{
    TDSA_SCOPED_BUF plain = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF aad = TDSA_BUF_EMPTY;
    part_link *l = s->link[f->from];
    part_inbound *in = NULL;
    uint8_t digest[TDSA_DIGEST_LEN_MAX];
    part_ask a;
    tdsa_err err;

    if (l->initiator || l->state != LINK_OPEN) {
        (void)TDSA_FAIL(&err, TDSA_E_NOT_FOUND, "SESSION_UNKNOWN: open a new session");
        part_reply_error(p, ticket, &err);
        return;
    }
    tdsa_buf_append(&aad, f->head, PART_FRAME_HEAD_LEN);
    if (tdsa_hash(digest, TDSA_HASH_SHA256, f->rest, f->rest_len, &err) != TDSA_OK ||
        peer_channel_open(l->channel, PEER_REQUEST, f->seq, &aad, f->rest, f->rest_len, &plain,
                          &err) != TDSA_OK) {
        part_reply_error(p, ticket, &err);
        return;
    }
    part_peer_heard(p, f->from);
    in = find(l, f->seq);
    if (in != NULL) {
        again(p, s, l, in, digest, ticket);
        return;
    }
    if (f->seq < l->seq_floor || l->inbound_waiting >= PART_INBOUND_MAX) {
        (void)(f->seq < l->seq_floor
                   ? TDSA_FAIL(&err, TDSA_E_NOT_FOUND,
                               "request %llu is too old for this session: open another",
                               (unsigned long long)f->seq)
                   : TDSA_FAIL(&err, TDSA_E_BUSY, "%u requests wait already", PART_INBOUND_MAX));
        part_reply_error(p, ticket, &err);
        return;
    }
    if (part_ask_parse(&a, plain.data, plain.len, &err) != TDSA_OK) {
        part_reply_error(p, ticket, &err);
        return;
    }
    if (remember(l, f->seq, digest, ticket) == NULL) {
        (void)TDSA_FAIL(&err, TDSA_E_NO_MEMORY, "request");
        part_reply_error(p, ticket, &err);
        return;
    }
    s->used_ms = part_now(p);
    s->used = true;
    if (part_marks_heard(p, l, a.marks, a.marks_len, &err) != TDSA_OK) {
        part_answer_to(p, s, f->from, f->seq, &err, NULL, 0);
        return;
    }
    dispatch(p, s, f->from, f->seq, &a);
}
