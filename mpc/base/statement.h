#ifndef TDSA_BASE_STATEMENT_H
#define TDSA_BASE_STATEMENT_H

#include "base/buf.h"

/**
 * The one encoding of everything that is hashed or sent between participants (docs/protocol.md,
 * "Common ground"). A statement is a text item with its tag, then its fields as items.
 * Item = type (1) | length (u32 big-endian) | value.
 */
typedef enum {
    TDSA_ITEM_ABSENT = 0, /* length 0 */
    TDSA_ITEM_TEXT = 1,   /* ASCII */
    TDSA_ITEM_UINT = 2,   /* 8 bytes big-endian */
    TDSA_ITEM_OCTETS = 3,
    TDSA_ITEM_SCALAR = 4, /* fixed width of the curve */
    TDSA_ITEM_POINT = 5,  /* compressed, fixed width of the curve */
    TDSA_ITEM_LIST = 6    /* items */
} tdsa_item_type;

/** Lists nest at most this deep. */
#define TDSA_STMT_DEPTH_MAX 4u

/** Starts a statement: appends the tag. */
void tdsa_stmt_begin(tdsa_buf *b, const char *tag) TDSA_NONNULL;
void tdsa_stmt_absent(tdsa_buf *b) TDSA_NONNULL;
void tdsa_stmt_text(tdsa_buf *b, const char *text) TDSA_NONNULL;
void tdsa_stmt_uint(tdsa_buf *b, uint64_t v) TDSA_NONNULL;
void tdsa_stmt_octets(tdsa_buf *b, const void *bytes, size_t len);
/** An item of any type whose value is ready: scalars and points come encoded from grp. */
void tdsa_stmt_item(tdsa_buf *b, tdsa_item_type type, const void *bytes, size_t len);
/** Opens a list; hand the mark to tdsa_stmt_list_end, which writes the length. */
size_t tdsa_stmt_list_begin(tdsa_buf *b) TDSA_NONNULL;
void tdsa_stmt_list_end(tdsa_buf *b, size_t mark) TDSA_NONNULL;
/** A list of uints, as committees and sets of indices are written. */
void tdsa_stmt_uint_list(tdsa_buf *b, const uint16_t *v, size_t count);

/* Reading: on a wrong type, length or tag the reader fails (sticky) and the call gives zero/NULL. */

/** Reads the tag and requires it. */
void tdsa_stmt_expect(tdsa_reader *r, const char *tag) TDSA_NONNULL;
uint64_t tdsa_stmt_read_uint(tdsa_reader *r) TDSA_NONNULL;
/** Copies a text item of 0..cap-1 ASCII bytes without NUL, and NUL-terminates it. */
void tdsa_stmt_read_text(tdsa_reader *r, char *out, size_t cap) TDSA_NONNULL;
/** An octets item of any length up to max; lent. */
const uint8_t *tdsa_stmt_read_octets(tdsa_reader *r, size_t *len, size_t max) TDSA_NONNULL;
/** An octets item of exactly `len` bytes, copied. */
void tdsa_stmt_read_exact(tdsa_reader *r, uint8_t *out, size_t len) TDSA_NONNULL;
/** An item of the given type and exact length; lent. */
const uint8_t *tdsa_stmt_read_item(tdsa_reader *r, tdsa_item_type type, size_t len) TDSA_NONNULL;
/** True, and consumed, when the next item is `absent`. */
bool tdsa_stmt_read_absent(tdsa_reader *r) TDSA_NONNULL;
/** A reader over the items of the next list. */
tdsa_reader tdsa_stmt_read_list(tdsa_reader *r) TDSA_NONNULL;
/** A list of 0..max uints below 2^16; returns how many. */
size_t tdsa_stmt_read_uint_list(tdsa_reader *r, uint16_t *out, size_t max) TDSA_NONNULL;

#endif
