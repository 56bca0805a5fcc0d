#include "participant/wire.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/statement.h"

/* Statuses travel as their position in tdsa_status; anything outside is refused. */
#define MARKS_MAX  1024u /* bytes of what goes with an ask or answer */
#define STATUS_MAX ((uint64_t)TDSA_E_INTERNAL)

static void put_text8(tdsa_buf *out, const char *text)
{
    const size_t len = strlen(text);

    TDSA_ASSERT(len <= PEER_ID_MAX);
    tdsa_buf_append_u8(out, (uint8_t)len);
    tdsa_buf_append(out, text, len);
}

static void read_text8(tdsa_reader *r, char *out)
{
    const size_t len = tdsa_read_u8(r);
    const uint8_t *bytes = NULL;

    out[0] = '\0';
    if (len > PEER_ID_MAX) {
        r->failed = true;
        return;
    }
    bytes = tdsa_read_bytes(r, len);
    if (bytes == NULL) {
        return;
    }
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] < 0x21 || bytes[i] > 0x7e) {
            r->failed = true;
            return;
        }
        out[i] = (char)bytes[i];
    }
    out[len] = '\0';
}

void part_frame_put_handshake(tdsa_buf *out, const part_frame *f)
{
    tdsa_buf_append_u8(out, PART_FRAME_VERSION);
    tdsa_buf_append_u8(out, PART_FRAME_HANDSHAKE);
    tdsa_buf_append_u16(out, f->from);
    tdsa_buf_append_u16(out, f->to);
    tdsa_buf_append_u8(out, (uint8_t)f->purpose);
    put_text8(out, f->from_id);
    put_text8(out, f->to_id);
}

void part_frame_put_sealed_head(tdsa_buf *out, uint16_t from, uint16_t to, uint64_t seq)
{
    tdsa_buf_append_u8(out, PART_FRAME_VERSION);
    tdsa_buf_append_u8(out, PART_FRAME_SEALED);
    tdsa_buf_append_u16(out, from);
    tdsa_buf_append_u16(out, to);
    tdsa_buf_append_u64(out, seq);
}

static void parse_handshake(part_frame *out, tdsa_reader *r)
{
    uint8_t purpose = 0;

    out->from = tdsa_read_u16(r);
    out->to = tdsa_read_u16(r);
    purpose = tdsa_read_u8(r);
    if (purpose < PEER_FOR_SECRETS || purpose > PEER_FOR_CONTROL) {
        r->failed = true;
        return;
    }
    out->purpose = (peer_purpose)purpose;
    read_text8(r, out->from_id);
    read_text8(r, out->to_id);
}

tdsa_status part_frame_parse(part_frame *out, const uint8_t *in, size_t len, tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(in, len);

    memset(out, 0, sizeof *out);
    if (len < 2 || len > TDSA_BUF_LEN_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "frame of %zu bytes", len);
    }
    if (tdsa_read_u8(&r) != PART_FRAME_VERSION) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "unknown frame version %u", in[0]);
    }
    out->type = tdsa_read_u8(&r);
    if (out->type == PART_FRAME_HANDSHAKE) {
        parse_handshake(out, &r);
    } else if (out->type == PART_FRAME_SEALED) {
        out->head = in;
        out->from = tdsa_read_u16(&r);
        out->to = tdsa_read_u16(&r);
        out->seq = tdsa_read_u64(&r);
    } else {
        r.failed = true;
    }
    out->rest_len = tdsa_reader_left(&r);
    out->rest = tdsa_read_bytes(&r, out->rest_len);
    return tdsa_reader_finish(&r, "frame", err);
}

static void put_marks(tdsa_buf *out, const uint8_t *marks, size_t len)
{
    if (len == 0) {
        tdsa_stmt_absent(out);
    } else {
        tdsa_stmt_octets(out, marks, len);
    }
}

/* Absent or not empty: one encoding for each. */
static const uint8_t *read_marks(tdsa_reader *r, size_t *len)
{
    const uint8_t *marks = NULL;

    *len = 0;
    if (tdsa_stmt_read_absent(r)) {
        return NULL;
    }
    marks = tdsa_stmt_read_octets(r, len, MARKS_MAX);
    r->failed = r->failed || *len == 0;
    return marks;
}

void part_ask_put(tdsa_buf *out, const part_ask *a)
{
    tdsa_stmt_begin(out, "ask");
    tdsa_stmt_uint(out, (uint64_t)a->kind);
    tdsa_stmt_uint(out, a->run);
    tdsa_stmt_uint(out, a->round);
    put_marks(out, a->marks, a->marks_len);
    tdsa_stmt_octets(out, a->body, a->body_len);
}

tdsa_status part_ask_parse(part_ask *out, const uint8_t *in, size_t len, tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(in, len);
    uint64_t kind = 0;
    uint64_t run = 0;
    uint64_t round = 0;

    memset(out, 0, sizeof *out);
    tdsa_stmt_expect(&r, "ask");
    kind = tdsa_stmt_read_uint(&r);
    run = tdsa_stmt_read_uint(&r);
    round = tdsa_stmt_read_uint(&r);
    out->marks = read_marks(&r, &out->marks_len);
    out->body = tdsa_stmt_read_octets(&r, &out->body_len, TDSA_BUF_LEN_MAX);
    if (kind == 0 || kind >= PART_ASK_END || run > UINT32_MAX || round > UINT8_MAX) {
        r.failed = true;
    }
    out->kind = (part_ask_kind)kind;
    out->run = (uint32_t)run;
    out->round = (uint32_t)round;
    return tdsa_reader_finish(&r, "ask", err);
}

void part_answer_text(part_answer *a, const tdsa_err *err)
{
    size_t i = 0;

    for (; i + 1 < sizeof a->text && err->text[i] != '\0'; i++) {
        a->text[i] = err->text[i] >= 0x20 && err->text[i] < 0x7f ? err->text[i] : '?';
    }
    a->text[i] = '\0';
    a->body_len = 0;
}

void part_answer_put(tdsa_buf *out, const part_answer *a)
{
    tdsa_stmt_begin(out, "answer");
    tdsa_stmt_uint(out, (uint64_t)a->status);
    tdsa_stmt_text(out, a->text);
    put_marks(out, a->marks, a->marks_len);
    tdsa_stmt_octets(out, a->body, a->body_len);
}

tdsa_status part_answer_parse(part_answer *out, const uint8_t *in, size_t len, tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(in, len);
    uint64_t status = 0;

    memset(out, 0, sizeof *out);
    tdsa_stmt_expect(&r, "answer");
    status = tdsa_stmt_read_uint(&r);
    tdsa_stmt_read_text(&r, out->text, sizeof out->text);
    out->marks = read_marks(&r, &out->marks_len);
    out->body = tdsa_stmt_read_octets(&r, &out->body_len, TDSA_BUF_LEN_MAX);
    if (status > STATUS_MAX) {
        r.failed = true;
    }
    out->status = (tdsa_status)status;
    return tdsa_reader_finish(&r, "answer", err);
}
