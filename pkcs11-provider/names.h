#ifndef P11_NAMES_H
#define P11_NAMES_H

#include "participant/engine.h"

/** Bytes owned by whoever holds the struct; data NULL when len is 0. */
typedef struct {
    uint8_t *data;
    size_t len;
} p11_bytes;

void p11_bytes_clear(p11_bytes *b) TDSA_NONNULL;
/** Replaces the contents by a copy; false: no memory, the old contents stay. */
TDSA_MUST_USE bool p11_bytes_set(p11_bytes *b, const void *data, size_t len)
    __attribute__((nonnull(1)));

#define P11_ID_MAX      255u  /* bytes of CKA_ID */
#define P11_LABEL_MAX   255u  /* bytes of CKA_LABEL */
#define P11_SUBJECT_MAX 2048u /* bytes of CKA_SUBJECT */

/**
 * The changeable attributes of a key pair; both of its objects share them. Kept beside the key as
 * stmt("pkcs11-names", version, id, label, subject, public hidden). An empty id stands for the
 * default: SHA-1 of the public point.
 */
typedef struct {
    p11_bytes id, label, subject;
    bool public_hidden; /* C_DestroyObject was called on the public key object */
} p11_names;

void p11_names_clear(p11_names *n) TDSA_NONNULL;
/** Deep copy. Errors: TDSA_E_NO_MEMORY (out is empty). */
TDSA_MUST_USE tdsa_status p11_names_copy(p11_names *out, const p11_names *in, tdsa_err *err)
    TDSA_NONNULL;
void p11_names_encode(tdsa_buf *out, const p11_names *n) TDSA_NONNULL;
/** Strict. Errors: TDSA_E_BAD_INPUT, TDSA_E_NO_MEMORY; out is empty then. */
TDSA_MUST_USE tdsa_status p11_names_decode(p11_names *out, const uint8_t *in, size_t len,
                                           tdsa_err *err) TDSA_NONNULL;
/** The label as the engine keeps it: NUL-terminated text, "" when it holds a NUL. Room for
 * KS_LABEL_MAX + 1. */
void p11_names_label_text(const p11_names *n, char *out) TDSA_NONNULL;

#endif
