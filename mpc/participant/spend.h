#ifndef PART_SPEND_H
#define PART_SPEND_H

#include "participant/internal.h"

/* spend.c, the end of internal.h: what a responder does with a presignature before it answers. */

/** Burns the range the first time, spends `index` once. same: the index was
 * spent for this very transcript before. */
typedef struct {
    part_batch *batch;
    uint32_t index, range_from, range_to;
    const uint8_t *transcript; /* 64 bytes */
    const uint8_t *prepared;   /* T0, 64 bytes, in prepare mode; else NULL */
} part_spend;
/** Prepare mode: burns the range the first time and locks `index` to sp->prepared, once. The burn is
 * what makes the lock durable: after a crash the presignature is used up. */
tdsa_status part_stock_lock(part *p, part_session *s, const part_spend *sp, tdsa_err *err);
tdsa_status part_stock_spend(part *p, part_session *s, const part_spend *sp, tdsa_err *err);
/** Inside one block and the batch. Errors: TDSA_E_BAD_INPUT. */
tdsa_status part_range_check(const part_spend *sp, tdsa_err *err);
/** Durable; needs no lock. once: NULL when nobody else may be about to burn it. Errors: TDSA_E_CONFLICT,
 * NOT_FOUND, STORE. */
tdsa_status part_range_burn(ks *store, ks_once *once, const mpc_batch *batch, uint32_t from,
                            uint32_t to, tdsa_err *err);
/** A range that was burnt, of any number of blocks, is spent in this session from now on. */
tdsa_status part_range_add(part *p, part_session *s, part_batch *batch, uint32_t from, uint32_t to,
                           tdsa_err *err);
void part_ranges_free(part *p, part_session *s);
void part_ranges_drop(part *p, part_session *s, const char *key_id);

/* burn_ahead.c */
/** Burns sp's range, of at most PART_AHEAD_MAX, soon, for this session. Errors: TDSA_E_BAD_INPUT, BUSY. */
tdsa_status part_burn_order(part *p, const part_session *s, const part_spend *sp, part_key *k,
                            tdsa_err *err);
/** False when the range of sp was not ordered, or was claimed before. Else it is made now, if need be, and
 * *st says whether it is there. Errors: those of part_range_burn. */
bool part_burn_claim(part *p, part_session *s, const part_spend *sp, tdsa_status *st,
                     tdsa_err *err);
/** The next that is to be made; NULL: none. */
part_burn *part_burn_ready(const part *p);
part_burn *part_burn_hand_out(part *p);
/** Needs no lock, and does nothing the second time. */
void part_burn_make(part_burn *b);
void part_burn_give(part *p, part_burn *b);
/** Forgets those that were not handed out. */
void part_burns_drop(part *p);

#endif
