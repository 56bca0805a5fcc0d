#ifndef API_SIGN_REQUEST_H
#define API_SIGN_REQUEST_H

#include "api/call.h"

/** One thing to sign: from the fields of a body to a request, and from a signature to an answer. */
typedef struct {
    const svc_value *values; /* by SVC_SIGN_*, lent */
    part_sign_request req;
    tdsa_buf payload;
    tdsa_buf merkle_root;
    uint32_t path[MPC_PATH_MAX];
} svc_sign_job;

/** Reads the fields up to SVC_SIGN_TAPROOT; fails as svc_call_refuse does. Clear it in any case. */
TDSA_MUST_USE tdsa_status svc_sign_read(svc_call *c, const svc_value *values, svc_sign_job *j,
                                        tdsa_err *err) TDSA_NONNULL;
void svc_sign_clear(svc_sign_job *j) TDSA_NONNULL;
/** der and rs are for ECDSA, raw for the others. encoding: NULL or one of the field's. */
TDSA_MUST_USE tdsa_status svc_sign_encoding(svc_call *c, const char *encoding, tdsa_err *err)
    __attribute__((nonnull(1, 3)));
/** Public key and signature into an answer. */
void svc_sign_show(json_t *o, const svc_call *c, const char *encoding,
                   const part_sign_result *result) __attribute__((nonnull(1, 2, 4)));
/** The public key that a path leads to. Errors: of part_engine_public_key. */
TDSA_MUST_USE tdsa_status svc_sign_public_key(json_t *o, const svc_call *c, const uint32_t *path,
                                              uint16_t path_len, tdsa_err *err)
    __attribute__((nonnull(1, 2, 5)));

#endif
