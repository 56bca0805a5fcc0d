#ifndef TDSA_BASE_OAEP_H
#define TDSA_BASE_OAEP_H

#include "base/buf.h"

/*
 * EME-OAEP of RFC 8017 with SHA-256 and MGF1-SHA256, the padding alone. OpenSSL's own draws the seed
 * itself; here the seed is handed in, so that a ciphertext can be made again from what it holds.
 */
#define TDSA_OAEP_SEED_LEN 32u
/** What the padding takes of the modulus, in bytes. */
#define TDSA_OAEP_OVERHEAD 66u
/** Longest encoded message: the modulus of RSA-4096. */
#define TDSA_OAEP_LEN_MAX 512u

/** What is encoded; everything lent. Message and seed are secret, the lengths and the label not. */
typedef struct {
    const uint8_t *label; /* may be NULL when label_len is 0 */
    size_t label_len;
    const uint8_t *message; /* the same */
    size_t message_len;
    const uint8_t
        *seed; /* TDSA_OAEP_SEED_LEN bytes, never used twice unless for the same message */
} tdsa_oaep;

/**
 * EM = 00 | masked seed | masked DB (RFC 8017 7.1.1, step 2).
 *
 * em      em_len bytes, the length of the modulus; wiped on failure.
 *
 * Errors: TDSA_E_BAD_INPUT (em_len out of range, or the message too long for it).
 * Time: constant in message and seed.
 */
TDSA_MUST_USE tdsa_status tdsa_oaep_encode(uint8_t *em, size_t em_len, const tdsa_oaep *p,
                                           tdsa_err *err) TDSA_NONNULL;

/**
 * The message of an EM, appended to `out` (RFC 8017 7.1.2, step 3): for the result of a raw RSA
 * operation, by OpenSSL or by a token (CKM_RSA_X_509).
 *
 * Errors: TDSA_E_BAD_INPUT (em_len out of range), TDSA_E_CRYPTO (one error for all that can be wrong
 * inside, after the same steps: Manger, CRYPTO 2001). Nothing is appended then.
 * Time: constant in all of EM but for the verdict, and for the length of a message that is right.
 */
TDSA_MUST_USE tdsa_status tdsa_oaep_decode(tdsa_buf *out, const uint8_t *em, size_t em_len,
                                           const uint8_t *label, size_t label_len, tdsa_err *err)
    __attribute__((nonnull(1, 2, 6)));

#endif
