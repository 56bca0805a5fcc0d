#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/statement.h"
#include "participant/internal.h"

/* Questions of signatures that ride together (exchanges.h). */

static bool of_signature(const part_exchange *x)
{
    return x->kind == PART_ASK_SIGN || x->kind == PART_ASK_PREPARE || x->rider_count > 0;
}

bool part_wave_flies(const part *p, const part_session *s)
{
    for (const part_exchange *x = p->exchanges; x != NULL; x = x->next) {
        if (x->session == s && !x->handshake && of_signature(x) &&
            (x->state == EXCHANGE_READY || x->state == EXCHANGE_FLYING)) {
            return true;
        }
    }
    return false;
}

/* Signatures of the session that are being verified: their callers are soon back. */
static bool proofs_under_way(const part *p, const part_session *s)
{
    for (const part_op *op = p->ops; op != NULL; op = op->next) {
        if (op->state == OP_PROVING && strcmp(op->signing_id, s->id) == 0) {
            return true;
        }
    }
    return false;
}

bool part_wave_gathers(const part *p, const part_session *s)
{
    return s->wave_open || part_wave_flies(p, s) || proofs_under_way(p, s);
}

/* The thread of the first is woken, and seals when it sends: until then others come back and join. */
void part_wave_try(part *p, const char *session_id)
{
    part_session *s = part_session_find(p, session_id);

    if (s != NULL && !part_wave_gathers(p, s)) {
        s->wave_open = true;
    }
}

bool part_wave_leads(const part *p, const part_exchange *x)
{
    const part_exchange *y = p->exchanges;

    if (x->state != EXCHANGE_HELD || !x->session->wave_open) {
        return false;
    }
    while (y != x && (y->session != x->session || y->state != EXCHANGE_HELD)) {
        y = y->next;
    }
    return y == x;
}

/* ---- setting out ---- */

static bool together(const part_exchange *a, const part_exchange *b)
{
    const uint64_t apart_ms = a->deadline_ms > b->deadline_ms ? a->deadline_ms - b->deadline_ms
                                                              : b->deadline_ms - a->deadline_ms;

    return a->session == b->session && a->peer == b->peer && a->kind == b->kind &&
           b->state == EXCHANGE_HELD && apart_ms < PART_TOGETHER_MS;
}

/* The next after `x` that rides with it. */
static part_exchange *next_rider(const part_exchange *first, part_exchange *x)
{
    part_exchange *y = x->next;

    while (y != NULL && !together(first, y)) {
        y = y->next;
    }
    return y;
}

/* An item is a question without its name. */
static void put_item(tdsa_buf *body, const part_exchange *x, size_t name_len)
{
    TDSA_ASSERT(x->body.len > name_len);
    tdsa_stmt_octets(body, x->body.data + name_len, x->body.len - name_len);
}

static size_t name_len(part_ask_kind kind)
{
    TDSA_SCOPED_BUF name = TDSA_BUF_EMPTY;

    tdsa_stmt_begin(&name, kind == PART_ASK_PREPARE ? "prepare-request" : "sign-request");
    return name.len;
}

/* Puts the questions that go the same way as `x` into one, which takes the place of `x`. */
static tdsa_status join(part *p, part_exchange *x, tdsa_err *err)
{
    const size_t skip = name_len(x->kind);
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    part_rider *riders = calloc(PART_RIDERS_MAX, sizeof *riders);
    part_exchange *y = next_rider(x, x);
    size_t count = 0;
    size_t list = 0;
    part_exchange *next = NULL;
    tdsa_status st;

    if (riders == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "riders");
    }
    tdsa_stmt_begin(&body, "batch-request");
    tdsa_stmt_uint(&body, x->kind == PART_ASK_PREPARE ? PART_BATCH_COINS : PART_BATCH_REPLIES);
    list = tdsa_stmt_list_begin(&body);
    put_item(&body, x, skip);
    riders[count++] = (part_rider){x->for_op, x->attempt};
    for (; y != NULL && count < PART_RIDERS_MAX && body.len < PART_WAVE_BYTES; y = next) {
        next = next_rider(x, y);
        put_item(&body, y, skip);
        riders[count++] = (part_rider){y->for_op, y->attempt};
        x->deadline_ms = y->deadline_ms > x->deadline_ms ? y->deadline_ms : x->deadline_ms;
        part_exchange_drop(p, y);
    }
    tdsa_stmt_list_end(&body, list);
    x->riders = riders;
    x->rider_count = count;
    x->for_op = PART_OP_NONE;
    x->kind = PART_ASK_SIGN_BATCH;
    st = tdsa_buf_check(&body, err);
    if (st == TDSA_OK) {
        tdsa_buf_clear(&x->body);
        x->body = body;
        body = TDSA_BUF_EMPTY;
    }
    return st;
}

void part_wave_go(part *p, part_session *s)
{
    part_exchange *x = p->exchanges;
    tdsa_err err;

    s->wave_open = false;
    while (x != NULL) {
        tdsa_status st = TDSA_OK;

        if (x->session != s || x->state != EXCHANGE_HELD) {
            x = x->next;
            continue;
        }
        x->not_before_ms = 0;
        if (next_rider(x, x) != NULL) {
            st = join(p, x, &err);
        }
        if (st == TDSA_OK) {
            st = part_exchange_seal(p, x, &err);
        }
        if (st == TDSA_OK) {
            x = x->next;
        } else {
            part_exchanges_fail(p, s, x->peer, &err);
            x = p->exchanges; /* telling may have changed the list */
        }
    }
}

/* ---- coming back ---- */

tdsa_status part_wave_split(const part_exchange *x, const part_answer *a,
                            part_answer out[PART_RIDERS_MAX], tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(a->body, a->body_len);
    tdsa_reader list;
    tdsa_status st;

    for (size_t i = 0; a->status != TDSA_OK && i < x->rider_count; i++) {
        out[i] = *a;
    }
    if (a->status != TDSA_OK) {
        return TDSA_OK;
    }
    tdsa_stmt_expect(&r, "batch-answer");
    list = tdsa_stmt_read_list(&r);
    st = tdsa_reader_finish(&r, "batch-answer", err);
    for (size_t i = 0; st == TDSA_OK && i < x->rider_count; i++) {
        size_t len = 0;
        const uint8_t *bytes = tdsa_stmt_read_octets(&list, &len, TDSA_BUF_LEN_MAX);

        st = bytes == NULL ? TDSA_E_BAD_INPUT : part_answer_parse(&out[i], bytes, len, err);
    }
    if (st == TDSA_OK) {
        st = tdsa_reader_finish(&list, "answers", err);
    }
    return st == TDSA_OK
               ? TDSA_OK
               : TDSA_BLAME(err, x->peer,
                            "participant %u sent a malformed answer to several questions", x->peer);
}

/* The operation, if it still waits for this. */
static bool waits(part *p, const part_rider *r)
{
    const part_op *op = r->op == PART_OP_NONE ? NULL : part_op_find(p, r->op);

    return op != NULL && op->state != OP_DONE && op->tries == r->attempt;
}

void part_wave_answered(part *p, const part_exchange *x, const part_answer a[PART_RIDERS_MAX])
{
    char key_id[KS_KEY_ID_MAX + 1];

    memcpy(key_id, x->session->key_id, sizeof key_id); /* telling may end the session */
    for (size_t i = 0; i < x->rider_count; i++) {
        if (!waits(p, &x->riders[i])) {
            continue;
        }
        if (a[i].status != TDSA_OK) {
            part_deletion_refused(p, key_id, &a[i]);
        }
        part_op_answered(p, x->riders[i].op, x->peer, &a[i]);
    }
}

void part_wave_failed(part *p, const part_exchange *x, const tdsa_err *why)
{
    for (size_t i = 0; i < x->rider_count; i++) {
        if (waits(p, &x->riders[i])) {
            part_op_failed(p, x->riders[i].op, x->peer, why);
        }
    }
}

bool part_wave_left(part_exchange *x, uint64_t op)
{
    bool empty = x->rider_count > 0;

    for (size_t i = 0; i < x->rider_count; i++) {
        if (x->riders[i].op == op) {
            x->riders[i].op = PART_OP_NONE;
        }
        empty = empty && x->riders[i].op == PART_OP_NONE;
    }
    return empty;
}

/* ---- who performs what its caller has left ---- */

/* Whom the answer is for. */
static uint64_t waits_for(const part *p, const part_exchange *x)
{
    for (size_t i = 0; i < x->rider_count; i++) {
        if (x->riders[i].op != PART_OP_NONE) {
            return x->riders[i].op;
        }
    }
    if (x->kind == PART_ASK_PRESIGN && x->session != NULL) {
        return part_op_for_stock(p, x->session->key_id);
    }
    return x->for_op;
}

uint64_t part_exchange_heir(const part *p, const part_exchange *x)
{
    uint64_t heir = x->handshake ? PART_OP_NONE : waits_for(p, x);

    for (const part_exchange *y = p->exchanges; x->handshake && y != NULL; y = y->next) {
        if (heir == PART_OP_NONE && y->state == EXCHANGE_WAITING && y->session == x->session &&
            y->peer == x->peer) {
            heir = waits_for(p, y);
        }
    }
    return heir;
}
