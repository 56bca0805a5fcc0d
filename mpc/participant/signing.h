#ifndef PART_SIGNING_H
#define PART_SIGNING_H

#include "participant/internal.h"

/* Signing inside the participant. Part of internal.h, which includes it. */

/* burn_ahead.c */
/** Tells members to burn the range of k that was leased ahead; gives the operation that ends when they
 * know, PART_OP_NONE: they will burn it when asked for it. */
uint64_t part_tell_ahead(part *p, part_key *k);

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
#define PART_FAILOVERS_MAX 3u /* committees that a signature leaves because they do not answer */
/** Some member does not answer: true when another committee is to be asked, which is counted. */
bool part_sign_fail_over(part *p, part_op *op, const tdsa_err *why);
/** A peer that was started again does not know the session. */
bool part_sign_session_lost(const tdsa_err *why);
/** The operation ends with the signature. */
void part_sign_release(part *p, part_op *op, const mpc_signature *sig);
/** A member lied: another committee is asked, or the operation ends with `why`. */
void part_sign_broken(part *p, part_op *op, const tdsa_err *why);
void part_presign_go_on(part *p, part_op *op, const tdsa_err *last);

/* proof.c */
/** Before a signature is verified: counts it, and lends the key's table (NULL: there is none). */
const grp_table *part_proof_begins(part_key *k);

/* sign_batch.c */
/** The same for a batch of requests (op->many). */
void part_many_go_on(part *p, part_op *op);
void part_many_answered(part_op *op, uint16_t from, const part_answer *a);
void part_many_retry(part *p, part_op *op, const tdsa_err *why);
/** The operation ends: requests that are not over end with `why`. */
void part_many_close(part *p, part_op *op, const tdsa_err *why);
/** A slice of the arithmetic of a batch; false when there is none. */
bool part_batch_work(part *p);
bool part_batch_has_work(const part *p);

/* partial.c */
/** A partial signature taken apart; lent from its bytes. */
typedef struct {
    uint16_t from; /* as it says itself */
    const uint8_t *q, *reply;
    size_t q_len, reply_len;
} part_partial_view;
/** Errors: TDSA_E_BAD_INPUT. */
tdsa_status part_partial_parse(part_partial_view *out, const uint8_t *in, size_t len,
                               tdsa_err *err);
void part_partials_due(part *p);
uint64_t part_partials_next_due(const part *p);

/* signer.c */
tdsa_status part_ask_sign(part *p, part_session *s, uint16_t from, const part_ask *a, tdsa_buf *out,
                          tdsa_err *err);
tdsa_status part_ask_prepare(part *p, part_session *s, uint16_t from, const part_ask *a,
                             tdsa_buf *out, tdsa_err *err);
tdsa_status part_ask_burn(part *p, part_session *s, uint16_t from, const part_ask *a,
                          tdsa_err *err);
tdsa_status part_ask_sign_batch(part *p, part_session *s, uint16_t from, const part_ask *a,
                                tdsa_buf *out, tdsa_err *err);

#endif
