#ifndef SIM_SIM_INTERNAL_H
#define SIM_SIM_INTERNAL_H

#include "keystore/backend.h"
#include "participant/internal.h"
#include "peer/channel.h"
#include "sim/sim.h"

/*
 * Between the files of this folder:
 *
 *   sim.c       nodes and clocks          sim_net.c    messages, partitions, events
 *   sim_disk.c  the store under faults    sim_ops.c    what people do, start and finish
 *   sim_ledger.c  I1, I4: what was answered, observed at the disk and at the protocol
 *   sim_check.c   I2, I3, I5 and signatures            sim_memory.c  counts allocations
 *   sim_rollback.c  disks that are put back, I7
 *   sim_plant.c   mistakes made on purpose and liars
 */

#define SIM_CLIENTS_MAX 3u
#define SIM_NODES_MAX   (GRP_PARTIES_MAX + SIM_CLIENTS_MAX)

typedef struct sim_message {
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

/* An exchange that a node performs: the transport gives up at at_ms. */
typedef struct sim_wait {
    struct sim_wait *next;
    uint64_t exchange, at_ms;
} sim_wait;

typedef struct {
    struct sim *sim;
    part *part;
    ks *store;
    uint16_t index; /* of its participant */
    unsigned life;
    bool doomed;  /* died inside a call: what it does until the call returns nobody sees */
    bool touched; /* something happened to it since the last flush */
    uint64_t due_ms;
    part_step step;        /* its process computes; not out: no */
    uint64_t step_ms;      /* until then */
    part_lease_work lease; /* it leases ahead; key NULL: no */
    uint64_t lease_ms;     /* until then */
    uint64_t tell_op;      /* members burn that; PART_OP_NONE: nobody waits for it */
    part_engine_cfg cfg;
    sim_ticket *tickets;
    sim_wait *waits;
    /* its clocks: monotonic time is mono_from + (now - mono_at) * rate / 1000 */
    uint64_t mono_from, mono_at, rate;
    int64_t wall_offset_ms;
} sim_node;

typedef struct {
    ks_backend *durable; /* the memory backend below */
    ks *inspector;       /* a handle of its own, without faults */
    struct sim *sim;
    /* sim_rollback.c */
    void *copy;           /* taken some time ago, or NULL */
    ks_marks file;        /* the second copy of the counters */
    uint64_t back_ms;     /* when it was put back last; 0: never */
    uint64_t back_purges; /* what it counted then */
    bool must_purge;      /* somebody knew better then */
} sim_disk;

typedef struct sim_seen {
    struct sim_seen *next;
    char key_id[KS_KEY_ID_MAX + 1];
    uint8_t r[GRP_SCALAR_LEN_MAX];
} sim_seen;

/** What the simulator knows of a key that was ACTIVE anywhere. */
typedef struct sim_key {
    struct sim_key *next;
    char key_id[KS_KEY_ID_MAX + 1];
    bool active;        /* somebody called it ACTIVE */
    bool deleted;       /* somebody asked to delete it */
    uint8_t stored[64]; /* what all compared when they made the epoch `epoch` */
    uint32_t epoch;
    uint64_t checked[GRP_PARTIES_MAX]; /* hash of the row whose share was checked */
    bool compared;                     /* `stored` and `epoch` are set */
    uint32_t newest;                   /* epoch that was ACTIVE anywhere */
    uint32_t members;                  /* of that epoch, bit per index; 0: not looked at yet */
} sim_key;

/** Mistakes made on purpose, to prove that they are found (sim_plant.c). */
typedef enum {
    SIM_PLANT_NOTHING,
    SIM_PLANT_NO_BURN,       /* responders answer without burning */
    SIM_PLANT_ROLLED_BACK,   /* what combiners leased is forgotten */
    SIM_PLANT_LATE_BURN,     /* the burn follows the answer */
    SIM_PLANT_LATE_LEASE,    /* the lease follows the use */
    SIM_PLANT_TWICE,         /* a repeated request is executed again */
    SIM_PLANT_RETRY,         /* a presignature that failed verification is used again */
    SIM_PLANT_NO_VERIFY,     /* the combiner releases what does not verify */
    SIM_PLANT_ANY_COMMITTEE, /* the committee of a request is not compared */
    SIM_PLANT_ANY_LIST,      /* neither points of R nor the digests of the lists are compared */
    SIM_PLANT_ANY_POINTS,    /* of these two only the points */
    SIM_PLANT_FOREIGN_R,     /* members take R from the combiner */
    SIM_PLANT_EARLY_ACTIVE,  /* a key becomes ACTIVE before all have stored it */
    SIM_PLANT_COLLECT,       /* a half-made key is collected without asking anybody */
    SIM_PLANT_IGNORED,       /* a disk that was put back is used as it is */
    SIM_PLANT_UNTOLD,        /* peers of one that was keep their presignatures with it */
    SIM_PLANT_UNCOUNTED,     /* leases and burns do not raise the counter */
    SIM_PLANT_LEAK,          /* a session keeps a piece of memory */
    SIM_PLANT_END
} sim_plant;

struct sim {
    sim_plant plant;
    uint32_t dishonest; /* participants that the ledger does not watch, bit per index */
    uint32_t liars;     /* participants that send wrong values now, bit per index */
    bool lied;          /* somebody did */
    bool keys_touched;  /* a row of a key changed */
    sim_cfg cfg;
    uint64_t now_ms, random, entropy, order, events, trace;
    uint64_t allocated; /* pieces of memory when it began */
    uint64_t releases, keygens, put_back;
    sim_node node[SIM_NODES_MAX];
    uint16_t opening; /* node whose store is being opened; SIM_NODES_MAX: an inspector */
    sim_disk disk[GRP_PARTIES_MAX];
    bool cut[GRP_PARTIES_MAX][GRP_PARTIES_MAX]; /* [from][to]: nothing gets through */
    sim_message **heap;                         /* the next message first */
    size_t heap_count, heap_room;
    sim_seen *seen;
    sim_key *keys;
    grp *groups[GRP_CURVE_END];
    bool healed;
};

uint16_t sim_nodes(const sim *s);
/** True by chance, never once healed. */
bool sim_chance(sim *s, unsigned permille);
/** Something is done to a node from outside: it is looked at in the next flush. */
void sim_touch(sim *s, uint16_t node);
/** Mixes a value into the trace. */
void sim_note(sim *s, uint64_t value);
/** Aborts with the seed unless st is TDSA_OK. */
void sim_must(const sim *s, tdsa_status st, const char *what, const tdsa_err *err);
/** Where sim_fail also writes what it found, or NULL; room for SIM_WHY_MAX. */
#define SIM_WHY_MAX 96u
void sim_fail_into(char *why);
/** Memory of the simulator itself, which is not counted (sim_memory.c). */
void *sim_take(size_t size);
void sim_give(void *memory);
/** Pieces that the code under test holds. */
uint64_t sim_allocated(void);

/* sim.c */
uint64_t sim_mono(const sim_node *n);
/** The earliest virtual time at which the monotonic clock of the node shows `mono`. */
uint64_t sim_time_of(const sim_node *n, uint64_t mono);
/** A node died inside a call: takes it down now. */
void sim_bury(sim *s, uint16_t node);

/* sim_net.c */
/** Puts on the network what the participants want to send. */
void sim_flush(sim *s);
/** One event: the next message, or time passes to the next thing that is due. False at until_ms. */
bool sim_step(sim *s, uint64_t until_ms);
void sim_net_free(sim *s);
/** What the process does outside the lock is done now; at its end too. */
void sim_end_step(sim_node *n);
void sim_end_lease(sim_node *n);
void sim_break_tickets(sim *s, uint16_t node);

/* sim_disk.c */
void sim_disk_new(sim *s, uint16_t participant);
void sim_disk_free(sim *s, uint16_t participant);
/** Any row of the disk, whatever the state of the process; false without it. */
bool sim_disk_key(sim *s, uint16_t participant, const char *key_id, ks_key_row_fn fn, void *ctx);
bool sim_disk_keys(sim *s, uint16_t participant, ks_key_row_fn fn, void *ctx);

/* sim_dh.c */
void sim_dh_forget(void);

/* sim_ledger.c */
/** Begins an empty ledger of answered presignatures for `s`. NULL: gives it up. */
void sim_ledger_open(sim *s);
/** The simulator that runs. */
sim *sim_current(void);
/** A range became durable at a participant. */
void sim_ledger_durable(uint16_t who, const uint8_t *beta, uint32_t from, uint32_t to);

/** What a participant has burnt since an earlier day is forgotten: it may answer again until it has
 * noticed, which is harmless as long as some member of the committee knows better. */
void sim_ledger_put_back(uint16_t who);
/** When a participant stored a batch. */
uint64_t sim_ledger_made_ms(uint16_t who, const uint8_t *beta);
/** A batch became FREE at a participant. */
void sim_ledger_free_batch(uint16_t who, const uint8_t *beta);

/* sim_check.c */
/** After every step: I2. */
void sim_check_keys(sim *s);
sim_key *sim_key_of(sim *s, const char *key_id);
/** Everybody is idle and nothing stays behind (I5). */
void sim_check_bounds(sim *s);
void sim_check_free(sim *s);

/* sim_rollback.c */
/** Takes a copy of a disk, which replaces an earlier one. */
void sim_disk_save(sim *s, uint16_t participant);
void sim_disk_drop_copy(sim *s, uint16_t participant);
/** Ends the processes of a participant and puts the copy in the place of its disk. False: there is
 * none, or a key has changed since. */
bool sim_disk_put_back(sim *s, uint16_t participant);
/** Ends the processes of a participant and leaves it an empty disk. */
void sim_disk_lose(sim *s, uint16_t participant);
/** Afterwards, when all of `mask` were put back: which of them others must find out. */
void sim_disks_judge(sim *s, uint32_t mask);
/** Everybody talks with everybody, and then I7 must hold. Only while nothing fails. */
void sim_check_rollback(sim *s);

/* sim_plant.c */
/** What a plant does between steps. */
void sim_plant_step(sim *s);
/** The lowest liar. */
uint16_t sim_liar_of(const sim *s);
/** The participant whose store this is. */
uint16_t sim_owner_of(const sim *s, const ks *store);
/** A liar's part of a signature, from `from` on, becomes wrong. */
void sim_lie_in_reply(sim *s, uint16_t who, tdsa_buf *reply, size_t from);
/** A signature did not verify: what the plants make of it. beta: NULL when unknown. */
tdsa_status sim_plant_unverified(sim *s, const uint8_t *beta, tdsa_status st, mpc_signature *out);
/** True when the node's participant is dying or is not watched. */
bool sim_is_blind(const sim *s, uint16_t participant);
const char *sim_plant_name(sim_plant plant);

#endif
