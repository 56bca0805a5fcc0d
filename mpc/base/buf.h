#ifndef TDSA_BASE_BUF_H
#define TDSA_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/** Largest buffer that ever grows: one protocol message with a full batch of presignatures. */
#define TDSA_BUF_LEN_MAX (4u << 20)

/**
 * A growing byte buffer. Appending never fails at the call: the first failure (no memory, over
 * TDSA_BUF_LEN_MAX) makes the buffer `failed` and later appends do nothing. Ask tdsa_buf_check once
 * at the end. Old blocks are wiped when it grows and when it is cleared, so it may hold secrets
 * for a moment.
 */
typedef struct {
    uint8_t *data; /* owned */
    size_t len, cap;
    bool failed;
} tdsa_buf;

#define TDSA_BUF_EMPTY ((tdsa_buf){NULL, 0, 0, false})

/** Wipes, frees, and makes it empty again. */
void tdsa_buf_clear(tdsa_buf *b) TDSA_NONNULL;
/** Wipes the contents, keeps the block, len = 0, failed = false. */
void tdsa_buf_reset(tdsa_buf *b) TDSA_NONNULL;
void tdsa_buf_append(tdsa_buf *b, const void *bytes, size_t len);
void tdsa_buf_append_u8(tdsa_buf *b, uint8_t v) TDSA_NONNULL;
void tdsa_buf_append_u16(tdsa_buf *b, uint16_t v) TDSA_NONNULL; /* big-endian */
void tdsa_buf_append_u32(tdsa_buf *b, uint32_t v) TDSA_NONNULL; /* big-endian */
void tdsa_buf_append_u64(tdsa_buf *b, uint64_t v) TDSA_NONNULL; /* big-endian */
void tdsa_buf_append_str(tdsa_buf *b, const char *text) TDSA_NONNULL;
void tdsa_buf_appendf(tdsa_buf *b, const char *fmt, ...) TDSA_PRINTF(2, 3) TDSA_NONNULL;
/** Room for `len` more bytes at the end, already counted; NULL when failed. */
uint8_t *tdsa_buf_extend(tdsa_buf *b, size_t len) TDSA_NONNULL;
/** TDSA_OK, or TDSA_E_NO_MEMORY when an append failed. */
TDSA_MUST_USE tdsa_status tdsa_buf_check(const tdsa_buf *b, tdsa_err *err) TDSA_NONNULL;

static inline void tdsa_buf_scope_end(tdsa_buf *b)
{
    tdsa_buf_clear(b);
}
/** A local buffer that is wiped and freed on every way out of the block. */
#define TDSA_SCOPED_BUF __attribute__((cleanup(tdsa_buf_scope_end))) tdsa_buf

/** Bytes from outside, lent. Reading past the end makes the reader `failed` and gives zeros / NULL. */
typedef struct {
    const uint8_t *data;
    size_t len, pos;
    bool failed;
} tdsa_reader;

static inline tdsa_reader tdsa_reader_of(const void *data, size_t len)
{
    return (tdsa_reader){(const uint8_t *)data, len, 0, false};
}
size_t tdsa_reader_left(const tdsa_reader *r) TDSA_NONNULL;
/** The next `len` bytes, lent from the input; NULL (and failed) when they are not there. */
const uint8_t *tdsa_read_bytes(tdsa_reader *r, size_t len) TDSA_NONNULL;
uint8_t tdsa_read_u8(tdsa_reader *r) TDSA_NONNULL;
uint16_t tdsa_read_u16(tdsa_reader *r) TDSA_NONNULL;
uint32_t tdsa_read_u32(tdsa_reader *r) TDSA_NONNULL;
uint64_t tdsa_read_u64(tdsa_reader *r) TDSA_NONNULL;
/** TDSA_OK only when nothing failed and every byte was used; else TDSA_E_BAD_INPUT naming `what`. */
TDSA_MUST_USE tdsa_status tdsa_reader_finish(const tdsa_reader *r, const char *what, tdsa_err *err)
    TDSA_NONNULL;

#endif
