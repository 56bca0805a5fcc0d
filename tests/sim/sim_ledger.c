#include "sim/sim_internal.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/sign.h"

/*
 * What no signature shows: which presignatures a participant has given its part of. Every part is
 * compared with a ledger that outlives crashes: it was leased or burnt durably before, and it answers
 * one transcript only (I1). The linker puts these functions before the real ones.
 */

#define BUCKETS 256u

typedef struct entry {
    struct entry *next;
    uint16_t who;
    uint8_t beta[KS_BETA_LEN];
    uint32_t index;
    bool durable, answered;
    uint8_t transcript[64];
} entry;

static struct {
    sim *s; /* one at a time */
    entry *entries[BUCKETS];
} ledger;

/* NOLINTBEGIN: the names are the linker's */
tdsa_status __real_mpc_sign_reply(tdsa_buf *out, const mpc_key *key, mpc_batch *batch,
                                  const mpc_request *q, const mpc_context *ctx, tdsa_err *err);
tdsa_status __wrap_mpc_sign_reply(tdsa_buf *out, const mpc_key *key, mpc_batch *batch,
                                  const mpc_request *q, const mpc_context *ctx, tdsa_err *err);
tdsa_status __real_ks_burn(ks *store, const uint8_t *beta, uint32_t block, uint64_t bits,
                           tdsa_err *err);
tdsa_status __wrap_ks_burn(ks *store, const uint8_t *beta, uint32_t block, uint64_t bits,
                           tdsa_err *err);
tdsa_status __real_ks_lease(ks *store, const uint8_t *beta, uint32_t from, uint32_t to,
                            tdsa_err *err);
tdsa_status __wrap_ks_lease(ks *store, const uint8_t *beta, uint32_t from, uint32_t to,
                            tdsa_err *err);
/* NOLINTEND */

void sim_ledger_open(sim *s)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        while (ledger.entries[i] != NULL) {
            entry *e = ledger.entries[i];
            ledger.entries[i] = e->next;
            free(e);
        }
    }
    ledger.s = s;
}

static entry *entry_of(uint16_t who, const uint8_t *beta, uint32_t index)
{
    entry **bucket = &ledger.entries[(beta[0] ^ index) % BUCKETS];
    entry *e = *bucket;

    while (e != NULL &&
           !(e->who == who && e->index == index && memcmp(e->beta, beta, sizeof e->beta) == 0)) {
        e = e->next;
    }
    if (e == NULL) {
        e = calloc(1, sizeof *e);
        if (e == NULL) {
            abort();
        }
        e->who = who;
        e->index = index;
        memcpy(e->beta, beta, sizeof e->beta);
        e->next = *bucket;
        *bucket = e;
    }
    return e;
}

static uint16_t owner_of(const ks *store)
{
    uint16_t i = 0;

    while (i < GRP_PARTIES_MAX && ledger.s->node[i].store != store) {
        i++;
    }
    return i;
}

tdsa_status __wrap_ks_burn(ks *store, const uint8_t *beta, uint32_t block, uint64_t bits,
                           tdsa_err *err)
{
    const uint16_t who = owner_of(store);
    tdsa_status st = TDSA_OK;

    if (ledger.s->plant == SIM_PLANT_NO_BURN) {
        return TDSA_OK;
    }
    st = __real_ks_burn(store, beta, block, bits, err);
    for (uint32_t i = 0; st == TDSA_OK && i < KS_BLOCK_SIZE; i++) {
        if ((bits >> i & 1) != 0) {
            entry_of(who, beta, block * KS_BLOCK_SIZE + i)->durable = true;
        }
    }
    return st;
}

tdsa_status __wrap_ks_lease(ks *store, const uint8_t *beta, uint32_t from, uint32_t to,
                            tdsa_err *err)
{
    const uint16_t who = owner_of(store);
    /* The plant says that it has happened, and forgets it: a database that was put back. */
    const tdsa_status st = ledger.s->plant == SIM_PLANT_ROLLED_BACK
                               ? TDSA_OK
                               : __real_ks_lease(store, beta, from, to, err);

    for (uint32_t i = from; st == TDSA_OK && i < to; i++) {
        entry_of(who, beta, i)->durable = true;
    }
    return st;
}

tdsa_status __wrap_mpc_sign_reply(tdsa_buf *out, const mpc_key *key, mpc_batch *batch,
                                  const mpc_request *q, const mpc_context *ctx, tdsa_err *err)
{
    entry *e = entry_of(key->pub.me, q->beta, q->index);

    if ((ledger.s->dishonest >> key->pub.me & 1u) != 0) {
        return __real_mpc_sign_reply(out, key, batch, q, ctx, err);
    }
    if (!e->durable) {
        sim_fail(ledger.s, "I1", "a presignature is answered before it is burnt");
    }
    if (e->answered && memcmp(e->transcript, ctx->transcript, sizeof e->transcript) != 0) {
        sim_fail(ledger.s, "I1", "a presignature answers two requests");
    }
    e->answered = true;
    memcpy(e->transcript, ctx->transcript, sizeof e->transcript);
    return __real_mpc_sign_reply(out, key, batch, q, ctx, err);
}
