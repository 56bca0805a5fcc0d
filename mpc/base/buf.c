#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/secret.h"

#define BUF_CAP_MIN 512u /* most statements fit */

void tdsa_buf_clear(tdsa_buf *b)
{
    if (b->data != NULL) {
        tdsa_wipe(b->data, b->cap);
        free(b->data);
    }
    *b = TDSA_BUF_EMPTY;
}

void tdsa_buf_reset(tdsa_buf *b)
{
    if (b->data != NULL) {
        tdsa_wipe(b->data, b->len);
    }
    b->len = 0;
    b->failed = false;
}

/* Room for `len` more bytes; false (and failed) when there is none. */
static bool reserve(tdsa_buf *b, size_t len)
{
    uint8_t *grown = NULL;
    size_t cap = b->cap;

    TDSA_ASSERT(b->len <= b->cap);
    if (b->failed) {
        return false;
    }
    if (len > TDSA_BUF_LEN_MAX - b->len) {
        b->failed = true;
        return false;
    }
    if (b->len + len <= b->cap && b->data != NULL) {
        return true;
    }
    cap = cap < BUF_CAP_MIN ? BUF_CAP_MIN : cap * 2;
    if (cap < b->len + len) {
        cap = b->len + len;
    }
    grown = malloc(cap); /* not realloc: the old block must be wiped */
    if (grown == NULL) {
        b->failed = true;
        return false;
    }
    if (b->data != NULL) {
        memcpy(grown, b->data, b->len);
        tdsa_wipe(b->data, b->cap);
        free(b->data);
    }
    b->data = grown;
    b->cap = cap;
    return true;
}

uint8_t *tdsa_buf_extend(tdsa_buf *b, size_t len)
{
    uint8_t *room = NULL;

    if (!reserve(b, len)) {
        return NULL;
    }
    room = b->data + b->len;
    b->len += len;
    return room;
}

void tdsa_buf_append(tdsa_buf *b, const void *bytes, size_t len)
{
    TDSA_ASSERT(bytes != NULL || len == 0);
    if (len > 0 && reserve(b, len)) {
        memcpy(b->data + b->len, bytes, len);
        b->len += len;
    }
}

void tdsa_buf_append_u8(tdsa_buf *b, uint8_t v)
{
    tdsa_buf_append(b, &v, 1);
}

static void append_be(tdsa_buf *b, uint64_t v, size_t width)
{
    uint8_t bytes[8];

    for (size_t i = 0; i < width; i++) {
        bytes[i] = (uint8_t)(v >> (8 * (width - 1 - i)));
    }
    tdsa_buf_append(b, bytes, width);
}

void tdsa_buf_append_u16(tdsa_buf *b, uint16_t v)
{
    append_be(b, v, 2);
}

void tdsa_buf_append_u32(tdsa_buf *b, uint32_t v)
{
    append_be(b, v, 4);
}

void tdsa_buf_append_u64(tdsa_buf *b, uint64_t v)
{
    append_be(b, v, 8);
}

void tdsa_buf_append_str(tdsa_buf *b, const char *text)
{
    tdsa_buf_append(b, text, strlen(text));
}

void tdsa_buf_appendf(tdsa_buf *b, const char *fmt, ...)
{
    va_list args;
    int len = 0;

    va_start(args, fmt);
    len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (len < 0) {
        b->failed = true;
        return;
    }
    if (!reserve(b, (size_t)len + 1)) { /* vsnprintf writes a NUL, which is not counted */
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf((char *)(b->data + b->len), (size_t)len + 1, fmt, args);
    va_end(args);
    b->len += (size_t)len;
}

tdsa_status tdsa_buf_check(const tdsa_buf *b, tdsa_err *err)
{
    if (b->failed) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY,
                         "a buffer could not grow: no memory, over %u bytes, or text not ASCII",
                         TDSA_BUF_LEN_MAX);
    }
    return TDSA_OK;
}

size_t tdsa_reader_left(const tdsa_reader *r)
{
    return r->failed ? 0 : r->len - r->pos;
}

const uint8_t *tdsa_read_bytes(tdsa_reader *r, size_t len)
{
    static const uint8_t nothing[1] = {0};
    const uint8_t *p = NULL;

    if (r->failed || len > r->len - r->pos) {
        r->failed = true;
        return NULL;
    }
    if (r->data == NULL) {
        return nothing; /* an empty input lends an empty area, not a failure */
    }
    p = r->data + r->pos;
    r->pos += len;
    return p;
}

static uint64_t read_be(tdsa_reader *r, size_t width)
{
    const uint8_t *p = tdsa_read_bytes(r, width);
    uint64_t v = 0;

    if (p == NULL) {
        return 0;
    }
    for (size_t i = 0; i < width; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

uint8_t tdsa_read_u8(tdsa_reader *r)
{
    return (uint8_t)read_be(r, 1);
}

uint16_t tdsa_read_u16(tdsa_reader *r)
{
    return (uint16_t)read_be(r, 2);
}

uint32_t tdsa_read_u32(tdsa_reader *r)
{
    return (uint32_t)read_be(r, 4);
}

uint64_t tdsa_read_u64(tdsa_reader *r)
{
    return read_be(r, 8);
}

tdsa_status tdsa_reader_finish(const tdsa_reader *r, const char *what, tdsa_err *err)
{
    if (r->failed) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "%s: too short or malformed near byte %zu of %zu",
                         what, r->pos, r->len);
    }
    if (r->pos != r->len) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "%s: %zu bytes left over", what, r->len - r->pos);
    }
    return TDSA_OK;
}
