#ifndef UNIT_PARTICIPANT_BATCH_FIXTURE_H
#define UNIT_PARTICIPANT_BATCH_FIXTURE_H

#include "participant/internal.h"
#include "sim/sim_internal.h"

/** A group on virtual time, whose participant 0 signs batches. Every released signature is checked with
 * OpenSSL, and its r against all others; the ledger watches what members answer. */

#define ITEMS_MAX 300u

typedef struct {
    sim *s;
    char key_id[KS_KEY_ID_MAX + 1];
    uint8_t digest[ITEMS_MAX][32];
    part_sign_request req[ITEMS_MAX];
    part_batch_item out[ITEMS_MAX];
    size_t count;
} fixture;

typedef struct {
    uint16_t n;
    bool prepare;
    uint32_t rate;
    int64_t limit;
    unsigned lie_permille;
} wish;

/** A group, and an ECDSA key that derives. */
fixture *set_up(const wish *w);
void tear_down(fixture *f);
/** Starts a batch of the first `count` requests; and finishes it. */
uint64_t begin(fixture *f, size_t count, tdsa_err *err);
tdsa_status run(fixture *f, size_t count, tdsa_err *err);
/** It was signed, the signature verifies, and its r is new. */
void check_item(fixture *f, size_t i);
void check_all(fixture *f);
void presign(fixture *f, uint32_t count);
/** Durable commits of a participant so far. */
uint64_t commits(const fixture *f, uint16_t who);
void cut_off(fixture *f, uint16_t peer, bool cut);
part_stats stats_of(const fixture *f);

#endif
