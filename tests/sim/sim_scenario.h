#ifndef SIM_SIM_SCENARIO_H
#define SIM_SIM_SCENARIO_H

#include "sim/sim_internal.h"

/**
 * A life of a group from one seed: its size, its curves, what people do, and faults that come and go.
 * Afterwards all is healed, and the invariants must hold: every key that anybody called ACTIVE signs
 * at once (I3) and nothing stays behind (I5). I1, I2 and I4 are checked at every step of the way.
 */
typedef struct {
    uint64_t seed;
    sim_plant plant;
} sim_scenario_cfg;

typedef struct {
    uint64_t trace; /* a hash of all that happened */
    uint64_t events, operations, signatures, keys;
    uint64_t put_back; /* disks */
} sim_scenario_result;

/** Aborts with the seed when an invariant is broken. */
void sim_scenario(const sim_scenario_cfg *cfg, sim_scenario_result *out);

/** Scenarios of many seeds, spread over processes. */
typedef struct {
    uint64_t first, count;
    unsigned workers;
    sim_plant plant;
    unsigned failures_max; /* stop after so many */
    bool quiet;            /* what is found is expected: no word about it */
} sim_campaign_cfg;

typedef struct {
    uint64_t scenarios, failures, failed_seed; /* one of the seeds that failed */
    uint64_t operations, signatures, keys, put_back;
    double seconds;
    char why[SIM_WHY_MAX]; /* of failed_seed: what sim_fail said; empty when it died otherwise */
} sim_campaign_result;

void sim_campaign(const sim_campaign_cfg *cfg, sim_campaign_result *out);

#define SIM_SLOTS 4u  /* keys of a scenario */
#define SIM_ACTS  16u /* operations at a time */
#define SIM_PATH  3u
#define SIM_BATCH 6u /* requests of a batch */

typedef enum {
    ACT_NONE,
    ACT_REGISTER,
    ACT_KEYGEN,
    ACT_PRESIGN,
    ACT_SIGN,
    ACT_SIGN_BATCH,
    ACT_RESHARE,
    ACT_DELETE,
    ACT_PING
} sim_act_kind;

/* Between sim_scenario.c (phases and checks) and sim_acts.c (what people do). */

typedef struct {
    char id[KS_KEY_ID_MAX + 1];
    enum { SLOT_FREE, SLOT_REGISTERING, SLOT_REGISTERED, SLOT_MADE } state;
    grp_curve curve;
    mpc_scheme scheme;
    bool bip32, message, prepare;
} sim_slot;

typedef struct {
    uint8_t payload[48];
    size_t payload_len;
    uint32_t path[SIM_PATH];
    uint16_t path_len;
} sim_wanted;

typedef struct {
    uint64_t id; /* PART_OP_NONE: free */
    sim_act_kind kind;
    uint16_t who;
    unsigned life, slot;
    uint64_t over_mono; /* it must have ended by then */
    sim_wanted want[SIM_BATCH];
    unsigned want_count;
    part_batch_item out[SIM_BATCH]; /* of a batch: written until it has ended */
} sim_act;

typedef struct {
    sim *s;
    sim_slot slot[SIM_SLOTS];
    sim_act act[SIM_ACTS];
    unsigned rate; /* one step of so many begins an operation */
    bool may_delete;
    uint32_t tag;
    uint64_t operations;
} sim_life;

/** Some process that may coordinate. */
uint16_t sim_somebody(sim_life *l);
/** Begins some operation at somebody's, if there is room. */
void sim_act_begin(sim_life *l);
/** Takes the results of what has ended and checks them. */
void sim_act_poll(sim_life *l);
/** Makes the key of a slot while nothing fails. */
void sim_act_make_key(sim_life *l, unsigned slot);
/** Signs with a key, which must succeed. */
void sim_act_must_sign(sim_life *l, uint16_t who, const char *key_id);

#endif
