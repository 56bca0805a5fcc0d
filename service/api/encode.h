#ifndef API_ENCODE_H
#define API_ENCODE_H

#include "base/buf.h"
#include "participant/engine.h"

/** Forms of public keys and signatures. */

/** SEQUENCE { INTEGER r, INTEGER s } of r | s, each half of rs_len bytes (1..GRP_SCALAR_LEN_MAX). */
void svc_der_signature(tdsa_buf *out, const uint8_t *rs, size_t rs_len) TDSA_NONNULL;
/** SEC 1 compressed from uncompressed (04 | x | y); the 32 bytes of Ed25519 stay as they are. Errors: TDSA_E_BAD_INPUT. */
TDSA_MUST_USE tdsa_status svc_point_compress(tdsa_buf *out, const uint8_t *raw, size_t len,
                                             tdsa_err *err) TDSA_NONNULL;
/** SubjectPublicKeyInfo of an uncompressed point or of the 32 bytes of Ed25519. Errors: TDSA_E_BAD_INPUT (length or curve). */
TDSA_MUST_USE tdsa_status svc_spki(tdsa_buf *out, grp_curve curve, const uint8_t *raw, size_t len,
                                   tdsa_err *err) TDSA_NONNULL;
/** Base64 with the standard alphabet and padding. */
void svc_base64(tdsa_buf *out, const uint8_t *bytes, size_t len) TDSA_NONNULL;
/** "-----BEGIN PUBLIC KEY-----" and so on. */
void svc_pem(tdsa_buf *out, const uint8_t *spki, size_t len) TDSA_NONNULL;
/** "m/44/0/0" to numbers below 2^31; "m" is the empty path. Errors: TDSA_E_BAD_INPUT. */
TDSA_MUST_USE tdsa_status svc_path_read(const char *text, uint32_t path[MPC_PATH_MAX],
                                        uint16_t *len, tdsa_err *err) TDSA_NONNULL;

#endif
