#include "attack/fields.h"

#include <stdlib.h>
#include <string.h>

#include "base/statement.h"

/* ---- finding ---- */

typedef struct {
    field *out;
    size_t count;
    const grp *g;
    const tdsa_buf *m;
} finder;

static uint32_t length_at(const tdsa_buf *m, size_t at)
{
    return (uint32_t)m->data[at + 1] << 24 | (uint32_t)m->data[at + 2] << 16 |
           (uint32_t)m->data[at + 3] << 8 | m->data[at + 4];
}

/* Whether bytes from..end are items without a rest; a statement begins with a text. */
static bool are_items(const tdsa_buf *m, size_t from, size_t end, bool statement)
{
    size_t at = from;

    if (statement && (from == end || m->data[from] != TDSA_ITEM_TEXT)) {
        return false;
    }
    while (at < end) {
        if (end - at < 5 || m->data[at] > TDSA_ITEM_LIST || length_at(m, at) > end - at - 5) {
            return false;
        }
        at += 5 + length_at(m, at);
    }
    return true;
}

static field *add_field(finder *f, const field *parent, size_t at, uint8_t type)
{
    field *new = &f->out[f->count];

    if (f->count == FIELDS_MAX) {
        abort();
    }
    f->count++;
    *new = (field){.at = at, .type = type};
    if (parent != NULL) {
        memcpy(new->parent, parent->parent, sizeof new->parent);
        new->depth = parent->depth;
        if (new->depth == FIELD_DEPTH_MAX) {
            abort();
        }
        new->parent[new->depth++] = parent->at;
    }
    return new;
}

/* Octets that hold one point after another. */
static void add_packed(finder *f, const field *holder)
{
    const size_t lens[2] = {grp_get_info(f->g)->point_len, grp_get_info(f->g)->point_raw_len};
    const field copy = *holder;

    for (size_t i = 0; i < 2; i++) {
        if (copy.len > 64 && copy.len % lens[i] == 0) { /* shorter ones are digests */
            for (size_t at = copy.value; at < copy.value + copy.len; at += lens[i]) {
                field *p = add_field(f, &copy, at, FIELD_PACKED_POINT);

                p->value = at;
                p->len = lens[i];
            }
            return;
        }
    }
}

static void find_items(finder *f, const field *parent, size_t from, size_t end)
{
    /* lists of equal items: the first two and the last are enough */
    size_t same = 0;

    for (size_t at = from; at < end; at += 5 + length_at(f->m, at)) {
        const size_t len = length_at(f->m, at);
        const bool last = at + 5 + len == end;
        field copy;

        if (at > from && parent != NULL && parent->type == TDSA_ITEM_LIST) {
            same++;
        }
        if (same > 1 && !last) {
            continue;
        }
        copy = (field){0};
        {
            field *new = add_field(f, parent, at, f->m->data[at]);
            new->value = at + 5;
            new->len = len;
            copy = *new;
        }
        if (copy.type == TDSA_ITEM_LIST ||
            (copy.type == TDSA_ITEM_OCTETS && are_items(f->m, at + 5, at + 5 + len, true))) {
            find_items(f, &copy, at + 5, at + 5 + len);
        } else if (copy.type == TDSA_ITEM_OCTETS && len > 0) {
            add_packed(f, &copy);
        }
    }
}

size_t fields_of(field *out, const grp *g, const tdsa_buf *message)
{
    finder f = {.out = out, .g = g, .m = message};

    if (!are_items(message, 0, message->len, true)) {
        abort();
    }
    find_items(&f, NULL, 0, message->len);
    return f.count;
}

/* ---- changing ---- */

/* out = message with bytes from..to replaced; the lengths of the holders follow. */
static void splice(tdsa_buf *out, const tdsa_buf *m, const field *f, size_t from, size_t to,
                   const uint8_t *bytes, size_t len)
{
    const size_t start = out->len;

    tdsa_buf_append(out, m->data, from);
    tdsa_buf_append(out, bytes, len);
    tdsa_buf_append(out, m->data + to, m->len - to);
    for (size_t i = 0; i < f->depth; i++) {
        uint8_t *at = out->data + start + f->parent[i];
        const uint32_t now = (uint32_t)(length_at(m, f->parent[i]) + len - (to - from));

        at[1] = (uint8_t)(now >> 24);
        at[2] = (uint8_t)(now >> 16);
        at[3] = (uint8_t)(now >> 8);
        at[4] = (uint8_t)now;
    }
}

/* Another item in the place of this one. */
static void put_item(tdsa_buf *out, const tdsa_buf *m, const field *f, uint8_t type,
                     const uint8_t *bytes, size_t len, size_t said)
{
    TDSA_SCOPED_BUF item = TDSA_BUF_EMPTY;

    tdsa_buf_append_u8(&item, type);
    tdsa_buf_append_u32(&item, (uint32_t)said);
    tdsa_buf_append(&item, bytes, len);
    splice(out, m, f, f->at, f->value + f->len, item.data, item.len);
}

/* Changes of the item's header or length. */
static bool change_shape(tdsa_buf *out, const tdsa_buf *m, const field *f, field_change change)
{
    const uint8_t *v = m->data + f->value;
    TDSA_SCOPED_BUF longer = TDSA_BUF_EMPTY;
    const size_t whole = f->value + f->len - f->at;

    if (f->type == FIELD_PACKED_POINT || change > CHANGE_LENGTH_HUGE) {
        return false;
    }
    if (change == CHANGE_ABSENT) {
        put_item(out, m, f, TDSA_ITEM_ABSENT, NULL, 0, 0);
    } else if (change == CHANGE_REMOVED) {
        splice(out, m, f, f->at, f->value + f->len, NULL, 0);
    } else if (change == CHANGE_EMPTY) {
        put_item(out, m, f, f->type, NULL, 0, 0);
    } else if (change == CHANGE_TYPE) {
        put_item(out, m, f, f->type ^ 1, v, f->len, f->len);
    } else if (change == CHANGE_UNKNOWN_TYPE) {
        put_item(out, m, f, 7, v, f->len, f->len);
    } else if (change == CHANGE_SHORTER && f->len > 0) {
        put_item(out, m, f, f->type, v, f->len - 1, f->len - 1);
    } else if (change == CHANGE_LONGER) {
        tdsa_buf_append(&longer, v, f->len);
        tdsa_buf_append_u8(&longer, 0);
        put_item(out, m, f, f->type, longer.data, longer.len, longer.len);
    } else if (change == CHANGE_TWICE) {
        splice(out, m, f, f->at, f->at, m->data + f->at, whole);
    } else if (change == CHANGE_LENGTH_LIES) {
        put_item(out, m, f, f->type, v, f->len, f->len + 1);
    } else if (change == CHANGE_LENGTH_HUGE) {
        put_item(out, m, f, f->type, v, f->len, UINT32_MAX);
    }
    return out->len > 0;
}

static void put_value(tdsa_buf *out, const tdsa_buf *m, const field *f, const uint8_t *bytes)
{
    splice(out, m, f, f->value, f->value + f->len, bytes, f->len);
}

/* Adds the order to the scalar, most significant byte first; false when it does not fit. */
static bool add_order(const grp *g, uint8_t *v, size_t len)
{
    const bool little = grp_get_info(g)->curve == GRP_ED25519;
    uint8_t minus_one[GRP_SCALAR_LEN_MAX];
    unsigned carry = 1; /* q = (q - 1) + 1 */
    grp_scalar one;

    grp_scalar_set_u64(g, &one, 1);
    grp_scalar_neg(g, &one, &one);
    grp_scalar_encode(g, minus_one, &one);
    for (size_t i = 0; i < len; i++) {
        const size_t at = little ? i : len - 1 - i;

        carry += (unsigned)v[at] + minus_one[at];
        v[at] = (uint8_t)carry;
        carry >>= 8;
    }
    return carry == 0;
}

static bool change_scalar(const grp *g, uint8_t *v, size_t len, field_change change)
{
    grp_scalar s;
    tdsa_err err;

    if (len != grp_get_info(g)->scalar_len || grp_scalar_decode(g, &s, v, len, &err) != TDSA_OK) {
        return false;
    }
    if (change == CHANGE_PLUS_ORDER) {
        if (!add_order(g, v, len)) {
            memset(v, 0, len);
            (void)add_order(g, v, len);
        }
        return true;
    }
    if (change == CHANGE_NEGATED) {
        grp_scalar_neg(g, &s, &s);
    } else if (change == CHANGE_ONE) {
        grp_scalar_set_u64(g, &s, 1);
    } else {
        return false;
    }
    grp_scalar_encode(g, v, &s);
    return true;
}

static void encode_like(const grp *g, uint8_t *v, size_t len, const grp_point *p)
{
    if (len == grp_get_info(g)->point_len) {
        grp_point_encode(g, v, p);
    } else {
        grp_point_encode_raw(g, v, p);
    }
}

/* The nearest x (or y of Ed25519) that is no point. */
static void leave_curve(const grp *g, uint8_t *v, size_t len)
{
    const size_t at = grp_get_info(g)->curve == GRP_ED25519 ? 0 : len - 1;
    grp_point p;
    tdsa_err err;

    do {
        v[at]++;
    } while (grp_point_decode(g, &p, v, len, &err) == TDSA_OK);
}

/* A point of order 8, and P + (0, -1): y and the sign turn over (RFC 8032: y little-endian). */
static const uint8_t order_8[32] = {
    0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
    0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05};

static void add_order_two(uint8_t v[32])
{
    unsigned borrow = 0;
    const uint8_t sign = v[31] & 0x80;

    v[31] &= 0x7f;
    for (size_t i = 0; i < 32; i++) { /* p - y, p = 2^255 - 19 */
        const unsigned p = i == 0 ? 0xed : i == 31 ? 0x7f : 0xff;
        const unsigned d = p - v[i] - borrow;

        borrow = d >> 8 & 1;
        v[i] = (uint8_t)d;
    }
    v[31] = (uint8_t)(v[31] | (sign ^ 0x80));
}

static bool change_point(const grp *g, uint8_t *v, size_t len, field_change change)
{
    const bool edwards = grp_get_info(g)->curve == GRP_ED25519;
    grp_point p;
    grp_scalar one;
    tdsa_err err;

    if (grp_point_decode(g, &p, v, len, &err) != TDSA_OK) {
        return false;
    }
    if (change == CHANGE_NEGATED) {
        grp_point_neg(g, &p, &p);
        encode_like(g, v, len, &p);
    } else if (change == CHANGE_ONE) {
        grp_scalar_set_u64(g, &one, 1);
        if (grp_mul_base(g, &p, &one, &err) != TDSA_OK) {
            abort();
        }
        encode_like(g, v, len, &p);
    } else if (change == CHANGE_HYBRID && !edwards) {
        v[0] = (uint8_t)(6 + (v[len - 1] & 1));
    } else if (change == CHANGE_OFF_CURVE) {
        leave_curve(g, v, len);
    } else if (change == CHANGE_SMALL_ORDER && edwards) {
        memcpy(v, order_8, len);
    } else if (change == CHANGE_SMALL_ORDER) {
        memset(v, 0, len);
    } else if (change == CHANGE_TORSION && edwards) {
        add_order_two(v);
    } else {
        return false;
    }
    return true;
}

/* The same field of another message of the same shape. */
static bool take_from(uint8_t *v, const field *f, const grp *g, const tdsa_buf *m, size_t which,
                      const tdsa_buf *from)
{
    field theirs[FIELDS_MAX];

    if (from == NULL || from->len != m->len || which >= fields_of(theirs, g, from) ||
        theirs[which].len != f->len || theirs[which].type != f->type) {
        return false;
    }
    memcpy(v, from->data + theirs[which].value, f->len);
    return true;
}

static bool change_value(uint8_t *v, const grp *g, const tdsa_buf *m, size_t which, const field *f,
                         field_change change, const tdsa_buf *other, const tdsa_buf *earlier)
{
    if (f->len == 0) {
        return false;
    }
    if (change == CHANGE_ZERO || change == CHANGE_ONES) {
        memset(v, change == CHANGE_ZERO ? 0 : 0xff, f->len);
        return true;
    }
    if (change == CHANGE_LAST_BIT || change == CHANGE_FIRST_BIT) {
        v[change == CHANGE_LAST_BIT ? f->len - 1 : 0] ^= 1;
        return true;
    }
    if (change == CHANGE_OTHER_SENDER || change == CHANGE_OTHER_SESSION) {
        return take_from(v, f, g, m, which, change == CHANGE_OTHER_SENDER ? other : earlier);
    }
    if (f->type == TDSA_ITEM_SCALAR) {
        return change_scalar(g, v, f->len, change);
    }
    if (f->type == TDSA_ITEM_POINT || f->type == FIELD_PACKED_POINT) {
        return change_point(g, v, f->len, change);
    }
    return false;
}

bool field_apply(tdsa_buf *out, const grp *g, const tdsa_buf *message, size_t which,
                 field_change change, const tdsa_buf *other, const tdsa_buf *earlier)
{
    TDSA_SCOPED_BUF value = TDSA_BUF_EMPTY;
    field all[FIELDS_MAX];
    const field *f = &all[which];

    tdsa_buf_reset(out);
    if (which >= fields_of(all, g, message)) {
        return false;
    }
    if (change <= CHANGE_LENGTH_HUGE) {
        if (!change_shape(out, message, f, change)) {
            return false;
        }
    } else {
        tdsa_buf_append(&value, message->data + f->value, f->len);
        if (!change_value(value.data, g, message, which, f, change, other, earlier)) {
            return false;
        }
        put_value(out, message, f, value.data);
    }
    return out->len != message->len || memcmp(out->data, message->data, out->len) != 0;
}

const char *field_change_name(field_change change)
{
    static const char *const names[CHANGE_END] = {
        "absent",    "removed",     "empty",       "another type", "unknown type", "shorter",
        "longer",    "twice",       "length lies", "length huge",  "zero",         "ones",
        "last bit",  "first bit",   "plus order",  "negated",      "one",          "hybrid form",
        "off curve", "small order", "torsion",     "other sender", "other session"};

    return names[change];
}
