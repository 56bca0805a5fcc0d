#ifndef TDSA_BASE_ENCODE_H
#define TDSA_BASE_ENCODE_H

#include "base/buf.h"

/** Appends lower-case hex. */
void tdsa_hex_encode(tdsa_buf *out, const void *bytes, size_t len);
/** Writes 2*len hex digits and a NUL to `out`. */
void tdsa_hex(char *out, const void *bytes, size_t len) TDSA_NONNULL;
/** Appends the bytes of a hex string (either case). Errors: TDSA_E_BAD_INPUT. */
TDSA_MUST_USE tdsa_status tdsa_hex_decode(tdsa_buf *out, const char *text, tdsa_err *err)
    TDSA_NONNULL;

/** Appends url-safe base64 without padding. */
void tdsa_base64url_encode(tdsa_buf *out, const void *bytes, size_t len);

typedef struct {
    bool standard_alphabet; /* '+' or '/' was seen */
    bool padded;            /* '=' was seen */
} tdsa_base64_form;

/**
 * Appends the bytes of base64 text: url-safe or standard alphabet, padding optional, line breaks
 * and blanks skipped; `form` (may be NULL) tells what was seen so that the caller can warn.
 * Errors: TDSA_E_BAD_INPUT (illegal character with its position, impossible length, or
 * non-zero trailing bits).
 */
TDSA_MUST_USE tdsa_status tdsa_base64_decode(tdsa_buf *out, const char *text, size_t len,
                                             tdsa_base64_form *form, tdsa_err *err)
    __attribute__((nonnull(1, 2, 5)));

#endif
