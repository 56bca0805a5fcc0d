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
#define P11_DATE_LEN    8u    /* bytes of a CK_DATE, when there is one */

/** What is said of a key pair beside its names. */
enum {
    P11_PUBLIC_HIDDEN = 1, /* C_DestroyObject was called on the public key object */
    P11_ALWAYS_AUTH = 2,   /* CKA_ALWAYS_AUTHENTICATE */
    P11_IMPORTED = 4,      /* brought in: not CKA_LOCAL */
    P11_NO_SIGN = 8,       /* CKA_SIGN was set to false */
    P11_NAMES_FLAGS = 15
};

/**
 * The attributes of a key pair that its participants do not know; both of its objects share them. Kept
 * beside the key, in this client's keystore, as stmt("pkcs11-names", version, id, label, subject,
 * start date, end date, flags, session life). An empty id stands for the default: SHA-1 of the public
 * point.
 */
typedef struct {
    p11_bytes id, label, subject;
    p11_bytes start_date, end_date; /* CK_DATE or empty */
    unsigned flags;
    /* a session key: wall clock in ms after which any process of the token may delete what its own left
     * behind; 0: a token object */
    uint64_t session_until_ms;
} p11_names;

void p11_names_clear(p11_names *n) TDSA_NONNULL;
/** Deep copy. Errors: TDSA_E_NO_MEMORY (out is empty). */
TDSA_MUST_USE tdsa_status p11_names_copy(p11_names *out, const p11_names *in, tdsa_err *err)
    TDSA_NONNULL;
void p11_names_encode(tdsa_buf *out, const p11_names *n) TDSA_NONNULL;
/** Strict; also reads version 1, which had no dates. Errors: TDSA_E_BAD_INPUT, TDSA_E_NO_MEMORY; out is
 * empty then. */
TDSA_MUST_USE tdsa_status p11_names_decode(p11_names *out, const uint8_t *in, size_t len,
                                           tdsa_err *err) TDSA_NONNULL;
/** The label as the engine keeps it: NUL-terminated text, "" when it holds a NUL. Room for
 * KS_LABEL_MAX + 1. */
void p11_names_label_text(const p11_names *n, char *out) TDSA_NONNULL;

#endif
