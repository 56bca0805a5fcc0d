#ifndef SIM_SIM_INTERNAL_H
#define SIM_SIM_INTERNAL_H

#include "peer/channel.h"
#include "sim/sim.h"

/* Between sim.c (nodes, network, time) and sim_ops.c (what people do). */

typedef struct sim_message {
    struct sim_message *next;
    uint64_t at_ms, order;
    bool reply;
    uint16_t from, to; /* from asked; a reply travels from `to` to `from` */
    uint64_t exchange;
    unsigned life; /* of `from` when it asked: a restarted asker is another */
    tdsa_status status;
    long code;
    char session_id[PEER_SESSION_ID_MAX + 1];
    tdsa_buf body;
} sim_message;

/* Who waits for the reply of a delivered request. */
typedef struct sim_ticket {
    struct sim_ticket *next;
    uint16_t from, to;
    uint64_t exchange;
    unsigned life;
} sim_ticket;

typedef struct {
    part *part;
    ks *store;
    unsigned life;
    part_engine_cfg cfg;
    sim_ticket *tickets;
} sim_node;

typedef struct sim_seen {
    struct sim_seen *next;
    char key_id[KS_KEY_ID_MAX + 1];
    uint8_t r[GRP_SCALAR_LEN_MAX];
} sim_seen;

/** Mistakes made on purpose, to prove that they are found. */
typedef enum {
    SIM_PLANT_NOTHING,
    SIM_PLANT_NO_BURN,    /* responders answer without burning */
    SIM_PLANT_ROLLED_BACK /* what combiners leased is forgotten */
} sim_plant;

struct sim {
    sim_plant plant;
    uint32_t dishonest; /* participants that the ledger does not watch, bit per index */
    sim_cfg cfg;
    uint64_t now_ms, random, entropy, order, events, trace;
    sim_node node[GRP_PARTIES_MAX];
    sim_message *messages;
    sim_seen *seen;
    grp *groups[GRP_CURVE_END];
    bool healed;
};

/** Begins an empty ledger of answered presignatures for `s` (sim_ledger.c). NULL: gives it up. */
void sim_ledger_open(sim *s);
/** Aborts with the seed unless st is TDSA_OK. */
void sim_must(const sim *s, tdsa_status st, const char *what, const tdsa_err *err);
/** Puts on the network what the participants want to send. */
void sim_flush(sim *s);
/** One event: the next message, or time passes to the next thing that is due. False at until_ms. */
bool sim_step(sim *s, uint64_t until_ms);

#endif
