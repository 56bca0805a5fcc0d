#ifndef PART_EPOCHS_H
#define PART_EPOCHS_H

#include "participant/internal.h"

/* Epochs of a key: how new ones are made, and what is asked about those in doubt. A part of
 * internal.h. */

/* ---- half-made keys and epochs that peers are asked about ---- */

typedef enum {
    DOUBT_PENDING, /* stored here, not known to be stored by all */
    DOUBT_LEAVING, /* the same of an epoch that this participant has no share of */
    DOUBT_ERASING  /* ACTIVE here; the earlier epoch goes when it is ACTIVE everywhere */
} part_doubt_phase;

struct part_doubt {
    struct part_doubt *next;
    uint32_t id; /* so that a refusal, which names no key, finds it */
    char key_id[KS_KEY_ID_MAX + 1];
    part_doubt_phase phase;
    uint32_t epoch; /* the one in doubt; 0: the generation of the key */
    uint8_t stored[64];
    uint16_t t;
    uint32_t members,
        servers; /* of this epoch without me, bit per index; those that can be asked */
    uint32_t active_reports, stored_reports; /* bit per index */
    uint32_t not_active; /* said, when no run could be under way any more, that it is not ACTIVE */
    uint64_t ask_again_ms;
    uint64_t created_ms; /* when its run began (of_run), or when this process learnt of it */
    bool of_run;
    unsigned rounds; /* times the peers were asked */
};

/* reshare.c */
/** A peer was asked what it has: it is there, and perhaps can deal. */
void part_reshare_answered(part_op *op, uint16_t from, const part_answer *a);
/** All have answered, or not: it begins with those who are there, or ends. */
void part_reshare_go_on(part *p, part_op *op);
/** The run of a plan (r->plan), mine or a peer's. */
tdsa_status part_reshare_begin(part *p, part_run *r, tdsa_err *err);
/** Index in a list of members; NULL when it is not there. */
const mpc_member *part_member_of(const mpc_member *members, size_t count, uint16_t index);
void part_reshare_put_plan(tdsa_buf *out, const part_reshare_plan *plan);
tdsa_status part_reshare_parse_plan(part_reshare_plan *out, const uint8_t *in, size_t len,
                                    tdsa_err *err);
#define PART_OLD_EPOCHS_MAX 16u
/** Epoch `below` is ACTIVE everywhere: earlier ones are wiped; leaving: the whole key. */
tdsa_status part_epochs_erase(part *p, const char *key_id, uint32_t below, bool leaving,
                              tdsa_err *err);
/** What is durable after each round: PENDING beside ACTIVE, then ACTIVE, then the old one wiped. */
tdsa_status part_reshare_after(part *p, part_run *r, tdsa_err *err);

/* doubt.c */
/** A peer says what it has of an epoch; `row`: the same here. */
tdsa_status part_doubt_reported(part *p, const ks_key *row, uint16_t from, ks_key_state state,
                                const uint8_t stored[64], tdsa_err *err);
/** A run of this process ended after its result was stored. */
void part_doubt_of_run(part *p, const mpc_key_public *pub, part_doubt_phase phase,
                       uint64_t born_ms);
/** The phase in which an epoch is that a key row shows; false: nothing is in doubt. */
bool part_doubt_phase_of(part *p, const ks_key *row, part_doubt_phase *phase);
void part_doubts_load(part *p);
/** Peers seem to be further: asks about this key at once. */
void part_doubt_hurry(part *p, const char *key_id);
void part_doubts_due(part *p);
uint64_t part_doubts_next_due(const part *p);
/** `doubt`: the id that the question carried as its run. */
void part_doubt_answered(part *p, uint32_t doubt, uint16_t from, const part_answer *a);
void part_doubts_free(part *p);

/* status.c */
/** A coordinator means `epoch`. Errors: TDSA_E_CONFLICT ("EPOCH ...") when another is in use here; a
 * newer one makes the key be looked up again, since a commit may have been made unheard. */
tdsa_status part_epoch_check(part *p, part_key *k, uint64_t epoch, tdsa_err *err);
/** True when a refusal says so, or that the peer, which may have left, has no such key. */
bool part_epoch_refused(const part_answer *a);
void part_epochs_due(part *p);
uint64_t part_epochs_next_due(const part *p);
tdsa_status part_ask_status(part *p, part_session *s, uint16_t from, const part_ask *a,
                            tdsa_buf *out, tdsa_err *err);
tdsa_status part_status_put(part *p, const char *key_id, uint32_t epoch, tdsa_buf *out,
                            tdsa_err *err);

#endif
