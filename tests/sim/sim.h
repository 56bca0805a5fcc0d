#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "participant/participant.h"

/**
 * n participants, their clients, disks, clocks and network in one process on virtual time, all from
 * one 64-bit seed. It drives the participant that ships (participant/participant.h). Asserts by abort
 * after printing the seed, so that every failure can be replayed.
 *
 * Nodes are processes: node i < n is participant i; from n on come further processes of the client,
 * which are participant 0 as well and share its disk. Threads: one simulator at a time.
 */
typedef struct sim sim;

/** The faults are rates in force now; a scenario changes them as it goes (sim_internal.h). */
typedef struct {
    uint64_t seed;
    uint16_t n, t;
    bool with_client;          /* participant 0 is a client that nobody can call */
    uint16_t clients;          /* processes of that client; 0 and 1 are one */
    unsigned drop_permille;    /* messages lost, each way */
    unsigned hang_permille;    /* of those: nobody says so until the asker's patience ends */
    unsigned dup_permille;     /* requests delivered twice */
    unsigned stale_permille;   /* of the repeats: up to a minute later */
    unsigned crash_permille;   /* per event: some process loses its memory and starts again */
    uint32_t delay_max_ms;     /* each message takes 1..delay_max_ms: that reorders */
    unsigned corrupt_permille; /* a message is changed, cut or prolonged */
    unsigned http_permille;    /* a balancer answers instead of the participant */
    unsigned store_permille;   /* a call of the store fails, done or not */
    unsigned torn_permille;    /* the process dies before, in or after a commit */
    unsigned lie_permille;     /* a liar's message is wrong */
    unsigned step_permille; /* a step of presigning, or a lease ahead, is back only after a while */
    uint32_t ahead_len;     /* leases of this length are followed by one ahead; 0: none is */
    bool background;        /* servers do background work, as in the daemon */
    unsigned keep_low, keep_high; /* marks of the stock keeper */
    uint64_t grace_ms;  /* that a deletion leaves for its undoing, ten times that at most */
    bool counter_files; /* participants keep a second copy of their counters */
    bool skewed;        /* clocks run at different speeds, and begin anywhere */
} sim_cfg;

/** Never fails: aborts with the seed. */
sim *sim_new(const sim_cfg *cfg);
/** Also checks that the participants gave back all memory. */
void sim_free(sim *s);

uint64_t sim_now(const sim *s);
part *sim_part(sim *s, uint16_t index);
/** What the participant of a node stores; of a process that is down, through another handle. */
ks *sim_store(sim *s, uint16_t index);
/** Turns every fault off from now on, and starts what is down. */
void sim_heal(sim *s);
/** Lets events happen until nothing is under way and `ms` of virtual time passed. */
void sim_idle(sim *s, uint64_t ms);
/** Takes a process down (memory lost, disk kept) or up (stays down when its store fails). */
void sim_crash(sim *s, uint16_t index);
void sim_start(sim *s, uint16_t index);
bool sim_is_up(const sim *s, uint16_t index);

/** Runs events until operation `op` at `index` has ended (it also ends when `index` crashes:
 * TDSA_E_UNAVAILABLE). */
tdsa_status sim_finish(sim *s, uint16_t index, uint64_t op, part_result *out, tdsa_err *err);

/* The operations, start and finish. */
tdsa_status sim_keygen(sim *s, uint16_t index, grp_curve curve, char *key_id, tdsa_err *err);
/** Keys allow resharing. spec: part_engine_reshare. */
tdsa_status sim_reshare(sim *s, uint16_t index, const char *key_id, const part_reshare_spec *spec,
                        tdsa_err *err);
tdsa_status sim_sign(sim *s, uint16_t index, const char *key_id, const uint8_t digest[32],
                     part_sign_result *out, tdsa_err *err);
/** Checks a signature against the key with OpenSSL and notes its r: the same r twice aborts (I1,
 * I4). */
void sim_check_signature(sim *s, uint16_t index, const char *key_id, const uint8_t digest[32],
                         const part_sign_result *sig);
/** The same for a signature below `path`. */
void sim_check_signature_at(sim *s, uint16_t index, const part_sign_request *req,
                            const part_sign_result *sig);

/** A number in 0..below-1 from the seed. */
uint64_t sim_random(sim *s, uint64_t below);
/** Events so far and a running hash of all of them: equal seeds give equal values. */
uint64_t sim_events(const sim *s);
uint64_t sim_trace(const sim *s);
_Noreturn void sim_fail(const sim *s, const char *what, const char *detail);

/** First call of a forked child: it dies of what it does wrong, without a core, and with its parent. */
void sim_child_begins(void);

#endif
