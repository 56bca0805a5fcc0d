#include "base/statement.h"

#include <string.h>

#include "base/assert.h"

#define ITEM_HEADER_LEN 5u

static bool is_ascii(const uint8_t *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == 0 || text[i] > 0x7f) {
            return false;
        }
    }
    return true;
}

static void put_be(uint8_t *to, uint64_t v, size_t width)
{
    for (size_t i = 0; i < width; i++) {
        to[i] = (uint8_t)(v >> (8 * (width - 1 - i)));
    }
}

void tdsa_stmt_item(tdsa_buf *b, tdsa_item_type type, const void *bytes, size_t len)
{
    uint8_t *room = NULL;

    if (len > TDSA_BUF_LEN_MAX) {
        b->failed = true;
        return;
    }
    room = tdsa_buf_extend(b, ITEM_HEADER_LEN + len);
    if (room != NULL) {
        room[0] = (uint8_t)type;
        put_be(room + 1, len, ITEM_HEADER_LEN - 1);
        if (len > 0) {
            memcpy(room + ITEM_HEADER_LEN, bytes, len);
        }
    }
}

void tdsa_stmt_begin(tdsa_buf *b, const char *tag)
{
    tdsa_stmt_text(b, tag);
}

void tdsa_stmt_absent(tdsa_buf *b)
{
    tdsa_stmt_item(b, TDSA_ITEM_ABSENT, NULL, 0);
}

void tdsa_stmt_text(tdsa_buf *b, const char *text)
{
    const size_t len = strlen(text);

    if (!is_ascii((const uint8_t *)text, len)) {
        b->failed = true; /* nobody could read it back */
        return;
    }
    tdsa_stmt_item(b, TDSA_ITEM_TEXT, text, len);
}

void tdsa_stmt_uint(tdsa_buf *b, uint64_t v)
{
    uint8_t bytes[8];

    put_be(bytes, v, sizeof bytes);
    tdsa_stmt_item(b, TDSA_ITEM_UINT, bytes, sizeof bytes);
}

void tdsa_stmt_octets(tdsa_buf *b, const void *bytes, size_t len)
{
    tdsa_stmt_item(b, TDSA_ITEM_OCTETS, bytes, len);
}

size_t tdsa_stmt_list_begin(tdsa_buf *b)
{
    tdsa_stmt_item(b, TDSA_ITEM_LIST, NULL, 0);
    return b->len;
}

void tdsa_stmt_list_end(tdsa_buf *b, size_t mark)
{
    size_t len = 0;

    if (b->failed) {
        return;
    }
    TDSA_ASSERT(mark >= ITEM_HEADER_LEN);
    TDSA_ASSERT(mark <= b->len);
    len = b->len - mark;
    put_be(b->data + mark - 4, len, 4);
}

void tdsa_stmt_uint_list(tdsa_buf *b, const uint16_t *v, size_t count)
{
    const size_t mark = tdsa_stmt_list_begin(b);

    for (size_t i = 0; i < count; i++) {
        tdsa_stmt_uint(b, v[i]);
    }
    tdsa_stmt_list_end(b, mark);
}

/* The value of the next item, which must be of `type`; its length goes to *len. */
static const uint8_t *next_item(tdsa_reader *r, tdsa_item_type type, size_t *len)
{
    const uint8_t got = tdsa_read_u8(r);

    *len = tdsa_read_u32(r);
    if (got != (uint8_t)type) {
        r->failed = true;
    }
    if (r->failed) {
        *len = 0;
        return NULL;
    }
    return tdsa_read_bytes(r, *len);
}

const uint8_t *tdsa_stmt_read_item(tdsa_reader *r, tdsa_item_type type, size_t len)
{
    size_t got = 0;
    const uint8_t *p = next_item(r, type, &got);

    if (p == NULL || got != len) {
        r->failed = true;
        return NULL;
    }
    return p;
}

void tdsa_stmt_expect(tdsa_reader *r, const char *tag)
{
    const size_t len = strlen(tag);
    const uint8_t *p = tdsa_stmt_read_item(r, TDSA_ITEM_TEXT, len);

    if (p != NULL && memcmp(p, tag, len) != 0) {
        r->failed = true;
    }
}

uint64_t tdsa_stmt_read_uint(tdsa_reader *r)
{
    const uint8_t *p = tdsa_stmt_read_item(r, TDSA_ITEM_UINT, 8);
    tdsa_reader value;

    if (p == NULL) {
        return 0;
    }
    value = tdsa_reader_of(p, 8);
    return tdsa_read_u64(&value);
}

void tdsa_stmt_read_text(tdsa_reader *r, char *out, size_t cap)
{
    size_t len = 0;
    const uint8_t *p = next_item(r, TDSA_ITEM_TEXT, &len);

    TDSA_ASSERT(cap > 0);
    out[0] = '\0';
    if (p == NULL || len >= cap || !is_ascii(p, len)) {
        r->failed = true;
        return;
    }
    memcpy(out, p, len);
    out[len] = '\0';
}

const uint8_t *tdsa_stmt_read_octets(tdsa_reader *r, size_t *len, size_t max)
{
    const uint8_t *p = next_item(r, TDSA_ITEM_OCTETS, len);

    if (p == NULL || *len > max) {
        r->failed = true;
        *len = 0;
        return NULL;
    }
    return p;
}

void tdsa_stmt_read_exact(tdsa_reader *r, uint8_t *out, size_t len)
{
    const uint8_t *p = tdsa_stmt_read_item(r, TDSA_ITEM_OCTETS, len);

    if (p != NULL) {
        memcpy(out, p, len);
    } else {
        memset(out, 0, len);
    }
}

bool tdsa_stmt_read_absent(tdsa_reader *r)
{
    if (r->failed || r->len - r->pos < 1 || r->data[r->pos] != TDSA_ITEM_ABSENT) {
        return false;
    }
    return tdsa_stmt_read_item(r, TDSA_ITEM_ABSENT, 0) != NULL;
}

tdsa_reader tdsa_stmt_read_list(tdsa_reader *r)
{
    size_t len = 0;
    const uint8_t *p = next_item(r, TDSA_ITEM_LIST, &len);
    tdsa_reader items = tdsa_reader_of(p, len);

    items.failed = p == NULL;
    return items;
}

size_t tdsa_stmt_read_uint_list(tdsa_reader *r, uint16_t *out, size_t max)
{
    tdsa_reader items = tdsa_stmt_read_list(r);
    size_t count = 0;

    while (tdsa_reader_left(&items) > 0 && count < max) {
        const uint64_t v = tdsa_stmt_read_uint(&items);

        if (items.failed || v > UINT16_MAX) {
            items.failed = true;
            break;
        }
        out[count++] = (uint16_t)v;
    }
    if (items.failed || tdsa_reader_left(&items) > 0) {
        r->failed = true;
        return 0;
    }
    return count;
}
