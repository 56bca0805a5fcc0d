#include "base/encode.h"

#include <string.h>

#include "base/secret.h"

/* Keys pass through here, so characters are mapped by arithmetic and not by table look-ups: the
 * time depends on lengths, blanks and mistakes only. */

/* 0xff when lo <= c <= hi, else 0. */
static unsigned in_range(unsigned c, unsigned lo, unsigned hi)
{
    return (((lo - 1 - c) & (c - hi - 1)) >> 8) & 0xff;
}

static char hex_digit(unsigned v)
{
    return (char)('0' + v + (in_range(v, 10, 15) & ('a' - '0' - 10)));
}

void tdsa_hex(char *out, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;

    for (size_t i = 0; i < len; i++) {
        out[2 * i] = hex_digit(p[i] >> 4);
        out[2 * i + 1] = hex_digit(p[i] & 15);
    }
    out[2 * len] = '\0';
}

void tdsa_hex_encode(tdsa_buf *out, const void *bytes, size_t len)
{
    uint8_t *room = NULL;

    if (len >= TDSA_BUF_LEN_MAX / 2) {
        out->failed = true;
        return;
    }
    if (len == 0) {
        return;
    }
    room = tdsa_buf_extend(out, 2 * len + 1);
    if (room != NULL) {
        tdsa_hex((char *)room, bytes, len);
        out->len--; /* the NUL is not part of it */
    }
}

/* Value of a hex digit; 0x100 set when it is none. */
static unsigned hex_value(unsigned c)
{
    const unsigned digit = in_range(c, '0', '9');
    const unsigned lower = in_range(c, 'a', 'f');
    const unsigned upper = in_range(c, 'A', 'F');

    return (digit & (c - '0')) | (lower & (c - 'a' + 10)) | (upper & (c - 'A' + 10)) |
           (~(digit | lower | upper) & 0x80) << 1;
}

tdsa_status tdsa_hex_decode(tdsa_buf *out, const char *text, tdsa_err *err)
{
    const size_t len = strlen(text);
    const size_t before = out->len;
    uint8_t *room = NULL;

    if (len % 2 != 0) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "hex text of odd length %zu", len);
    }
    if (len == 0) {
        return TDSA_OK;
    }
    room = tdsa_buf_extend(out, len / 2);
    if (room == NULL) {
        return tdsa_buf_check(out, err);
    }
    for (size_t i = 0; i < len; i += 2) {
        const unsigned high = hex_value((unsigned char)text[i]);
        const unsigned low = hex_value((unsigned char)text[i + 1]);

        if (((high | low) & 0x100) != 0) {
            tdsa_wipe(room, len / 2);
            out->len = before;
            return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "not a hex digit near position %zu", i);
        }
        room[i / 2] = (uint8_t)(high << 4 | low);
    }
    return TDSA_OK;
}

/* Character of a 6-bit value in the url-safe alphabet. */
static uint8_t base64_digit(unsigned v)
{
    return (uint8_t)((in_range(v, 0, 25) & (v + 'A')) | (in_range(v, 26, 51) & (v - 26 + 'a')) |
                     (in_range(v, 52, 61) & (v - 52 + '0')) | (in_range(v, 62, 62) & '-') |
                     (in_range(v, 63, 63) & '_'));
}

void tdsa_base64url_encode(tdsa_buf *out, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;

    for (size_t i = 0; i < len; i += 3) {
        const size_t left = len - i < 3 ? len - i : 3;
        const unsigned v = (unsigned)p[i] << 16 | (left > 1 ? (unsigned)p[i + 1] << 8 : 0) |
                           (left > 2 ? (unsigned)p[i + 2] : 0);
        const uint8_t digits[4] = {base64_digit(v >> 18), base64_digit(v >> 12 & 63),
                                   base64_digit(v >> 6 & 63), base64_digit(v & 63)};

        tdsa_buf_append(out, digits, left + 1);
    }
}

/* Value of a base64 character of either alphabet; 0x100 set when it is none. */
static unsigned base64_value(unsigned c)
{
    const unsigned upper = in_range(c, 'A', 'Z');
    const unsigned lower = in_range(c, 'a', 'z');
    const unsigned digit = in_range(c, '0', '9');
    const unsigned v62 = in_range(c, '+', '+') | in_range(c, '-', '-');
    const unsigned v63 = in_range(c, '/', '/') | in_range(c, '_', '_');

    return (upper & (c - 'A')) | (lower & (c - 'a' + 26)) | (digit & (c - '0' + 52)) | (v62 & 62) |
           (v63 & 63) | (~(upper | lower | digit | v62 | v63) & 0x80) << 1;
}

typedef struct {
    unsigned bits;      /* not yet written, low end */
    unsigned bit_count; /* 0..7 between characters */
    size_t chars;       /* of the alphabet */
    size_t pads;
} base64_state;

/* Takes one character; false when it is illegal there. */
static bool base64_take(tdsa_buf *out, base64_state *s, tdsa_base64_form *seen, unsigned char c)
{
    unsigned v = 0;

    if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
        return true;
    }
    if (c == '=') {
        seen->padded = true;
        s->pads++;
        return s->pads <= 2;
    }
    v = base64_value(c);
    if (v >= 64 || s->pads > 0) {
        return false;
    }
    seen->standard_alphabet = seen->standard_alphabet || c == '+' || c == '/';
    s->chars++;
    s->bits = s->bits << 6 | v;
    s->bit_count += 6;
    if (s->bit_count >= 8) {
        s->bit_count -= 8;
        tdsa_buf_append_u8(out, (uint8_t)(s->bits >> s->bit_count));
        s->bits &= (1u << s->bit_count) - 1;
    }
    return true;
}

tdsa_status tdsa_base64_decode(tdsa_buf *out, const char *text, size_t len, tdsa_base64_form *form,
                               tdsa_err *err)
{
    const size_t before = out->len;
    base64_state s = {0, 0, 0, 0};
    tdsa_base64_form seen = {false, false};
    tdsa_status st = TDSA_OK;

    for (size_t i = 0; i < len && st == TDSA_OK; i++) {
        if (!base64_take(out, &s, &seen, (unsigned char)text[i])) {
            st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "illegal base64 character at position %zu", i);
        }
    }
    if (st == TDSA_OK && (s.chars % 4 == 1 || (s.pads > 0 && (s.chars + s.pads) % 4 != 0))) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "base64 of impossible length: %zu characters",
                       s.chars + s.pads);
    }
    if (st == TDSA_OK && s.bits != 0) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "base64 with bits left over at the end");
    }
    if (st == TDSA_OK) {
        st = tdsa_buf_check(out, err);
    }
    if (st != TDSA_OK) {
        if (out->len > before) {
            tdsa_wipe(out->data + before, out->len - before);
            out->len = before;
        }
        return st;
    }
    if (form != NULL) {
        *form = seen;
    }
    return TDSA_OK;
}
