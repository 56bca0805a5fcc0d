#ifndef SUPPORT_PARTIAL_RUN_H
#define SUPPORT_PARTIAL_RUN_H

#include "participant/internal.h"
#include "sim/sim_internal.h"

/**
 * An application that asks the members of a committee for their parts itself, on virtual time: a group of
 * servers, one key, presignatures that participant 0 coordinates.
 */
#define PARTIAL_TIMEOUT_MS 60000u
/* In sim.dishonest: no participant, but the application is hostile. */
#define PARTIAL_CALLER (1u << GRP_PARTIES_MAX)

typedef struct {
    sim *s;
    char key_id[KS_KEY_ID_MAX + 1];
    part_presig_id id; /* the presignature in use */
    uint32_t members;  /* its committee */
    uint8_t digest[32];
    part_sign_request req;
    tdsa_buf partial[GRP_PARTIES_MAX]; /* by participant; empty: not asked, or refused */
} partial_run;

typedef struct {
    uint16_t n;
    grp_curve curve;
    mpc_scheme scheme;
    bool prepare, with_client;
    uint32_t rate;
    uint32_t stock;
} partial_wish;

partial_run *partial_run_new(const partial_wish *w);
void partial_run_free(partial_run *f);
void partial_run_presign(partial_run *f, uint32_t count);
/** Takes the first presignature that participant 0 lists. */
void partial_run_choose(partial_run *f);
/** Asks one participant; the bytes go to f->partial. */
tdsa_status partial_run_ask(partial_run *f, uint16_t who, tdsa_err *err);
/** Asks the whole committee; aborts when one refuses. */
void partial_run_ask_all(partial_run *f);
/** Combines what was gathered at `who`, and checks a signature that comes out. */
tdsa_status partial_run_combine(partial_run *f, uint16_t who, tdsa_err *err);
/** An ordinary signature by `who`. */
tdsa_status partial_run_sign(partial_run *f, uint16_t who, uint8_t first, tdsa_err *err);
/** Where the sender, T and the last scalar of a partial signature stand: replaced by tests. */
size_t partial_run_sender_at(const tdsa_buf *partial);
size_t partial_run_transcript_at(const tdsa_buf *partial);
bool partial_run_says(const tdsa_err *err, const char *name);

#endif
