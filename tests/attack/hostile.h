#ifndef TESTS_ATTACK_HOSTILE_H
#define TESTS_ATTACK_HOSTILE_H

#include "support/protocol_run.h"

/**
 * The adversary of the attack suite. All n participants live in one protocol_run; the corrupt ones
 * are those whose keys, streams and states a test reads. Nothing here asks an honest participant
 * anything that a peer could not ask it. All functions abort the test when the machine fails.
 */

/** Scalars by value, so that an attack reads like its formula. */
grp_scalar sc_u64(const grp *g, uint64_t v);
grp_scalar sc_add(const grp *g, grp_scalar a, grp_scalar b);
grp_scalar sc_sub(const grp *g, grp_scalar a, grp_scalar b);
grp_scalar sc_mul(const grp *g, grp_scalar a, grp_scalar b);
grp_scalar sc_div(const grp *g, grp_scalar a, grp_scalar b);
grp_scalar sc_neg(const grp *g, grp_scalar a);
bool sc_equal(const grp *g, grp_scalar a, grp_scalar b);
/** A number of the adversary's choice: H2S of a word and a counter. */
grp_scalar sc_pick(const grp *g, const char *word, uint64_t counter);

/** Points by value. */
grp_point pt_base(const grp *g, grp_scalar a);
grp_point pt_mul(const grp *g, grp_scalar a, grp_point p);
grp_point pt_add(const grp *g, grp_point a, grp_point b);
grp_point pt_sub(const grp *g, grp_point a, grp_point b);

/** A cluster with a key and a batch of r->count presignatures over participants first.. of the
 * committee. policy may be NULL. */
void hostile_cluster(protocol_run *r, grp_curve curve, uint16_t n, uint16_t t, uint16_t first,
                     const mpc_policy *policy);
/** Policy that the attacks on requests use: paths allowed, no minimum. */
mpc_policy hostile_policy_bip32(void);
/** The same cluster signs afterwards: a fresh batch, every member answers, OpenSSL agrees. */
void honest_run_still_signs(protocol_run *r, uint64_t seq);

/** What one member answers. */
typedef struct {
    mpc_context ctx;
    grp_scalar mu, nu, y; /* y = h + r*epsilon */
    grp_scalar z;         /* of Schnorr keys, instead of the three */
    tdsa_buf bytes;
} hostile_answer;

/** Asks `who` to answer q from its own record, as the protocol port does; TDSA_OK and the answer, or
 * the refusal. Clear with hostile_answer_clear. */
tdsa_status hostile_ask(const protocol_run *r, uint16_t who, const mpc_request *q,
                        hostile_answer *out, tdsa_err *err);
void hostile_answer_clear(hostile_answer *a);
/** Reads the values of a reply into mu and nu, or z. */
void hostile_values(const protocol_run *r, const tdsa_buf *reply, hostile_answer *out);
/** Asks and insists on an answer; only mu, nu, y and the context are kept. */
hostile_answer hostile_must_ask(const protocol_run *r, uint16_t who, const mpc_request *q);
/** A reply of `who` to the transcript of ctx with any values. */
void hostile_reply(const protocol_run *r, uint16_t who, const mpc_context *ctx, grp_scalar mu,
                   grp_scalar nu, tdsa_buf *out);

/** What a corrupt participant knows of presignature `index`: its own share of 'k' or 'a'. */
grp_scalar hostile_share(const protocol_run *r, uint16_t who, const char *name, uint32_t index);
/** Its own pad for a transcript. */
grp_scalar hostile_pad(const protocol_run *r, uint16_t who, const char *word, const uint8_t t[64]);
/** R of a presignature as `who` has stored it. */
grp_point hostile_r(const protocol_run *r, uint16_t who, uint32_t index);

/** The judge's knowledge, never the adversary's: the key, from t+1 shares. */
grp_scalar judge_key(const protocol_run *r);
/** The value at `id` of the polynomial of 'k' or 'a', from t+1 committee members; id 0: itself. */
grp_scalar judge_value_at(const protocol_run *r, const char *name, uint32_t index, uint64_t id);
/** Whether (r, s) is a signature on h under y. */
bool judge_verifies(const protocol_run *r, grp_point y, grp_scalar h, grp_scalar big_r,
                    grp_scalar s);

/** A participant in round `round` of a run failed with TDSA_E_PROTOCOL and blames `culprit` or, when
 * that cannot be known, nobody; never an honest one. */
void assert_refused(const protocol_run *r, uint16_t who, uint16_t culprit);

#endif
