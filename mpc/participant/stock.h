#ifndef PART_STOCK_H
#define PART_STOCK_H

#include "participant/internal.h"

/* Presignatures inside the participant: leases, burns, committees, the keeper. Part of internal.h,
 * which includes it. */

/* presig.c */
/** The batches that this participant coordinates. */
ks_batch_filter part_my_batches(const part *p);
/** What is left unused of a lease. */
uint32_t part_lease_left(const part_key *k);
bool part_lease_has(const part_key *k, uint32_t index);
/** The range of my lease that presignature `index` is asked for with: without those around it that were
 * deleted or given away as partial signatures, whose bits are set at members too. */
void part_lease_range(const part_key *k, uint32_t index, uint32_t *from, uint32_t *to);
/** How many more presignatures of a key may be made, UINT64_MAX: no limit; and what limits them. */
tdsa_status part_stock_room(part *p, const char *key_id, uint64_t *room, tdsa_err *why,
                            tdsa_err *err);

/* stock.c */
/** Where a range of `len` from `from` on ends: in its block, and at `count`. */
uint32_t part_range_end(uint32_t from, uint32_t len, uint32_t count);
/** Gives the next presignature of my lease, leasing on when it is used up.
 * Errors: TDSA_E_NOT_FOUND (no stock: presign), TDSA_E_STORE. */
tdsa_status part_stock_take(part *p, part_key *k, part_batch **batch, uint32_t *index,
                            tdsa_err *err);
/** Gives back what part_stock_take gave last; nothing was done with it. */
void part_stock_give_back(part_key *k, uint32_t index);
void part_stock_drop_lease(part *p, part_key *k);
uint64_t part_lane(const part *p);
/** Of my next batch: higher than all before, and roughly the wall clock. */
uint64_t part_next_seq(part *p);
/** Leaves my signing session of a key and its lease; the next signature opens another. */
void part_signing_leave(part *p, part_key *k);
/** The same, when any link of the session is lost, also one that the next committee does not need. */
void part_signing_lost(part *p, part_key *k);
/** The size of a batch that nobody asked for; it doubles with demand. Errors: TDSA_E_LIMIT, TDSA_E_STORE. */
tdsa_status part_stock_usual(part *p, part_key *k, uint32_t *out, tdsa_err *err);
/** Starts a presigning run for a key when none is under way. */
tdsa_status part_stock_order(part *p, part_key *k, uint32_t count, uint64_t op,
                             uint64_t deadline_ms, tdsa_err *err);
void part_stock_arrived(part *p, const char *key_id, const tdsa_err *why);
/** My signing session for a key, with no link to `members` lost; opens another when need be, which
 * drops the lease: its ranges live in the old one. */
tdsa_status part_signing_session(part *p, part_key *k, uint32_t members, part_session **out,
                                 tdsa_err *err);

/* committee.c */
void part_peer_answered(part *p, uint16_t peer);
/** Something asked at since_ms was not answered. */
void part_peer_failed(part *p, uint16_t peer, uint64_t since_ms);
void part_peer_heard(part *p, uint16_t peer);
/** The key has more participants than a committee has members. */
bool part_committee_spare(const part_key *k);
/** The committee that new batches are made with; bit per participantIndex. */
uint32_t part_committee_choose(part *p, part_key *k);
/** Participants whose presignatures are worth a try; a committee at least. */
uint32_t part_committee_usable(part *p, part_key *k);
typedef enum {
    ATTEMPT_SIGN,
    ATTEMPT_BATCH, /* that a signature waits for */
    ATTEMPT_STOCK, /* a batch for the stock */
    ATTEMPT_LAST
} part_attempt;
/** When to give up on these members, so that there is time left for others. */
uint64_t part_attempt_ends(part *p, const part_key *k, uint32_t members, part_attempt what,
                           uint64_t deadline_ms);
void part_committee_silent(part *p, uint32_t members, uint64_t since_ms);
/** One of these broke something; why->participant, when it can be known. */
void part_committee_doubt(part *p, uint32_t members, const tdsa_err *why);
void part_committee_proved(part *p, uint32_t members);
/** Whether another committee is to be tried after this failure. */
bool part_failover(const part_key *k, const tdsa_err *why);
void part_peers_due(part *p);
uint64_t part_peers_next_due(const part *p);

/* keeper.c */
/** The stock of a key in use, or what it can be used with, has changed. */
void part_keeper_look(part *p, part_key *k);
/** A range of the key was leased. */
void part_keeper_leased(part *p, part_key *k);
/** A run of mine for the key ended. */
void part_keeper_result(part *p, part_key *k, bool ok);
void part_keeper_due(part *p);
uint64_t part_keeper_next_due(const part *p);

#endif
