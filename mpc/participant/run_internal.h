#ifndef PART_RUN_INTERNAL_H
#define PART_RUN_INTERNAL_H

#include "participant/internal.h"

/* Between run.c (going on) and run_begin.c (beginning). */

/** What round 0 says besides the first message. */
typedef struct {
    char key_id[KS_KEY_ID_MAX + 1];
    uint16_t coordinator;
    uint64_t epoch, lane, seq; /* presign */
    uint32_t count;
    bool compressed;
    uint16_t members[GRP_PARTIES_MAX];
    size_t member_count;
    const uint8_t *plan; /* reshare, export */
    size_t plan_len;
    const uint8_t *message;
    size_t message_len;
} part_begin;

void part_begin_put(tdsa_buf *out, const part_run *r);
tdsa_status part_begin_parse(part_begin *b, part_ask_kind kind, const uint8_t *in, size_t len,
                             tdsa_err *err);
/** The coordinator must be among the members and show their keys; one session is for one set. */
tdsa_status part_run_bind(const part *p, part_run *r, const mpc_member *members, size_t count,
                          tdsa_err *err);
/** True when a begin is that of this run. */
bool part_begin_fits(const part_run *r, const part_begin *b);
/** The registered key that a run makes shares of: members of the run, and what its state machine begins
 * with; reg must live as long as cfg. Errors: TDSA_E_NOT_FOUND, TDSA_E_CONFLICT (it has a share). */
tdsa_status part_run_registered(part *p, part_run *r, part_registration *reg, mpc_keygen_cfg *cfg,
                                tdsa_err *err);
/** import.c: the run of an import; key: the coordinator's, NULL at others. */
tdsa_status part_import_begin(part *p, part_run *r, const mpc_import_key *key, tdsa_err *err);
/** A run of secrets that this participant coordinates for an operation, in a session of its own. */
tdsa_status part_run_mine(part *p, part_run **out, const part_op *op, part_run_kind kind,
                          tdsa_err *err);
/** It goes on when its preparation ended well (st), and is freed otherwise; gives st. */
tdsa_status part_run_go(part *p, part_run *r, tdsa_status st);
/** A run that a peer coordinates. */
tdsa_status part_run_join(part *p, part_session *s, uint16_t from, const part_ask *a,
                          const part_begin *b, part_run **out, tdsa_err *err);
tdsa_status part_run_new(part *p, part_run **out, part_session *s, part_run_kind kind, uint32_t id,
                         tdsa_err *err);
void part_run_free(part *p, part_run *r);
/** run_store.c: makes durable what the round that is over now must leave behind. */
tdsa_status part_run_store(part *p, part_run *r, tdsa_err *err);
/** The same of presigning; needs no lock while the run is stepping. purge: why spent batches stay. */
tdsa_status part_presign_store(ks *store, const part_run *r, tdsa_err *purge, tdsa_err *err);
/** The same of the round that made the batch, under the lock: what the coordinator told of itself counts from
 * here on, and may say that this store was put back, which the batch must not outlive. */
tdsa_status part_batch_store(part *p, const part_run *r, tdsa_err *err);
/** Sends what is ready and moves on as long as rounds are complete. May end the run. */
void part_run_pump(part *p, part_run *r);
part_op_kind part_run_op_kind(const part_run *r);
part_ask_kind part_run_ask_kind(const part_run *r);
part_run *part_run_find(part_session *s, uint32_t id);
unsigned part_run_round(const part_run *r);
/** True when `from`'s message of the current round is in. */
bool part_run_has(const part_run *r, uint16_t from);
/** One message of a peer, of this round or the next. asked_seq: its request waits for mine; NULL: it
 * is the answer to my request. */
tdsa_status part_run_feed(part_run *r, uint16_t from, uint32_t round, const uint8_t *in, size_t len,
                          const uint64_t *asked_seq, tdsa_err *err);

#endif
