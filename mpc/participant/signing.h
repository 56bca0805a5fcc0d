#ifndef PART_SIGNING_H
#define PART_SIGNING_H

#include "participant/internal.h"

/* Signing inside the participant. Part of internal.h, which includes it. */

/* sign_request.c */
/** Lengths and the name of the key. Errors: TDSA_E_NOT_FOUND, TDSA_E_BAD_INPUT. */
tdsa_status part_request_check(const part_sign_request *req, tdsa_err *err);
/** What the key's policy says to it. Errors: TDSA_E_DENIED, TDSA_E_BAD_INPUT. */
tdsa_status part_request_allowed(const part_key *k, const part_sign_request *req, tdsa_err *err);
/** The request without its presignature; its payload is copied to `payload`, which q lends from.
 * Errors: TDSA_E_NO_MEMORY, TDSA_E_CRYPTO. */
tdsa_status part_request_fill(mpc_request *q, tdsa_buf *payload, const part_key *k,
                              const part_sign_request *req, tdsa_err *err);

/* signing.c */
void part_sign_go_on(part *p, part_op *op);
void part_sign_answered(part *p, part_op *op, uint16_t from, const part_answer *a);
void part_sign_clear(part *p, part_op *op);
/** Tries once more in another session, or ends the operation with `why`. */
void part_sign_retry(part *p, part_op *op, const tdsa_err *why);
void part_presign_go_on(part *p, part_op *op, const tdsa_err *last);

/* signer.c */
tdsa_status part_ask_sign(part *p, part_session *s, uint16_t from, const part_ask *a, tdsa_buf *out,
                          tdsa_err *err);
tdsa_status part_ask_prepare(part *p, part_session *s, uint16_t from, const part_ask *a,
                             tdsa_buf *out, tdsa_err *err);

#endif
