#ifndef TDSA_BASE_CIPHER_H
#define TDSA_BASE_CIPHER_H

#include "base/buf.h"
#include "base/secret.h"

#define TDSA_GCM_NONCE_LEN 12u
#define TDSA_GCM_TAG_LEN   16u

/** What tdsa_gcm_seal and tdsa_gcm_open work on; key 32 bytes, nonce 12 bytes, all lent. */
typedef struct {
    const uint8_t *key;
    const uint8_t *nonce;
    const void *aad;
    size_t aad_len;
} tdsa_gcm;

/** AES-256-GCM: appends ciphertext | tag (16 bytes) to out. Errors: TDSA_E_CRYPTO. */
TDSA_MUST_USE tdsa_status tdsa_gcm_seal(tdsa_buf *out, const tdsa_gcm *p, const void *plain,
                                        size_t len, tdsa_err *err);
/** The reverse; appends nothing unless the tag is right. Errors: TDSA_E_CRYPTO. */
TDSA_MUST_USE tdsa_status tdsa_gcm_open(tdsa_buf *out, const tdsa_gcm *p, const void *sealed,
                                        size_t len, tdsa_err *err);

/** The key stream of AES-256-CTR from block 0 (128-bit big-endian counter), for PRSS. */
typedef struct tdsa_ctr_stream tdsa_ctr_stream;
TDSA_MUST_USE tdsa_status tdsa_ctr_new(tdsa_ctr_stream **out, const uint8_t key[32], tdsa_err *err)
    TDSA_NONNULL;
/** Stream bytes [offset, offset+len), for several threads. Reading on from where the last call ended costs least. */
TDSA_MUST_USE tdsa_status tdsa_ctr_read(tdsa_ctr_stream *s, uint64_t offset, uint8_t *out,
                                        size_t len, tdsa_err *err) TDSA_NONNULL;
void tdsa_ctr_free(tdsa_ctr_stream *s);

#endif
