#ifndef PART_PARTICIPANT_H
#define PART_PARTICIPANT_H

#include "participant/engine.h"
#include "participant/share_backup.h"
#include "protocol/import.h"
#include "protocol/sign.h"

/**
 * The event-driven participant. It makes no thread, opens no socket, reads no clock and no
 * randomness but those it is given: bytes and time in, messages out. The blocking engine
 * (participant/engine.h) and the simulator (tests/sim) drive this very code.
 *
 * Threads: one at a time; the caller holds a lock.
 *
 * In:  part_handle (a request of a peer), part_exchange_done (the end of an exchange that was taken
 *      with part_take_send), part_due (time has passed), part_start_* (a local caller).
 * Out: part_take_send (exchanges to perform), part_take_reply (answers to suspended requests),
 *      part_op_poll (results of local operations).
 */
typedef struct part part;

/** Uses every field of cfg but `http`. Errors: TDSA_E_CONFIG, TDSA_E_NO_MEMORY, TDSA_E_CRYPTO. */
TDSA_MUST_USE tdsa_status part_new(part **out, const part_engine_cfg *cfg, tdsa_err *err)
    TDSA_NONNULL;
/** Wipes and frees; suspended requests are forgotten. NULL is allowed. */
void part_free(part *p);
/** Forgets cached shares, sessions and leases; what runs fails with TDSA_E_LOGIN. */
void part_forget(part *p) TDSA_NONNULL;

/* ---- peers ask ---- */

/** Names a suspended request; the caller's own pointer. */
typedef void *part_ticket;
/** Takes one request of the protocol port. Its reply comes out of part_take_reply, now or later. */
void part_handle(part *p, const char *session_id, const uint8_t *body, size_t len,
                 part_ticket ticket) TDSA_NONNULL;

typedef struct {
    part_ticket ticket;
    tdsa_err err;  /* TDSA_OK, or why there is no body */
    tdsa_buf body; /* owned by the taker: clear it */
} part_reply;
/** False when there is none. */
bool part_take_reply(part *p, part_reply *out) TDSA_NONNULL;

/* ---- this participant asks ---- */

#define PART_OP_NONE 0u
#define PART_OP_ANY  UINT64_MAX

typedef struct {
    uint64_t exchange;      /* names it in part_exchange_done */
    uint16_t peer;          /* participantIndex */
    const char *url;        /* lent until the exchange is done */
    const char *session_id; /* lent until the exchange is done */
    const uint8_t *body;    /* lent until the exchange is done */
    size_t body_len;
    uint32_t timeout_ms; /* from now */
} part_send;
/**
 * The next exchange that belongs to operation `op` (PART_OP_NONE: to none; PART_OP_ANY: whichever).
 * False when there is none that is due. A taken exchange must be ended with part_exchange_done.
 */
bool part_take_send(part *p, uint64_t op, part_send *out) TDSA_NONNULL;
/**
 * The end of an exchange. status TDSA_OK: an HTTP answer came (code and body); else the transport
 * failed: UNAVAILABLE or TIMEOUT, `detail` says how.
 */
void part_exchange_done(part *p, uint64_t exchange, tdsa_status status, long http_code,
                        const uint8_t *body, size_t len, const char *detail);

/** Gives back an exchange that was taken, though it is not over: it is sent again by whoever takes
 * the next, if anybody still waits for it. */
void part_exchange_give_back(part *p, uint64_t exchange) TDSA_NONNULL;

/* ---- work ---- */

/** The end of a round of presigning, for a thousand at once: milliseconds of arithmetic, and a commit; or the
 * commit of a burn. */
typedef struct {
    struct part_burn *burn; /* or */
    struct part_run *run;
    ks *store;           /* lent */
    tdsa_buf held;       /* what the coordinator is answered then */
    tdsa_err err, purge; /* of the step; of spent batches, which may stay */
} part_step;
/** Does the next piece of arithmetic that is ready (a round of a run); false when there is none. The
 * caller hands out replies and takes sends first, since others wait for them. What takes long is handed
 * out: the caller makes the step outside the lock and gives it back. op: whose thread asks; long steps
 * of operations are for their own threads. PART_OP_ANY: whatever is ready. */
bool part_work(part *p, uint64_t op, part_step *step) TDSA_NONNULL;
/** Whether something was handed out. */
bool part_step_is_out(const part_step *step) TDSA_NONNULL;
/** Needs no lock. */
void part_make_step(part_step *step) TDSA_NONNULL;
/** What was handed out comes back; the run goes on, or ends. */
void part_give_step(part *p, part_step *step) TDSA_NONNULL;
/** There is something that no caller does for itself. */
bool part_has_work(const part *p) TDSA_NONNULL;
/** True when any thread that sleeps would have something to do: an exchange of nobody, or work. */
bool part_wants_thread(const part *p) TDSA_NONNULL;
/** True when there is arithmetic for the thread of this operation. */
bool part_has_work_of(const part *p, uint64_t op) TDSA_NONNULL;
/** True when it has something to do: that, the operation's end, or an exchange of it. */
bool part_op_stirs(const part *p, uint64_t op) TDSA_NONNULL;

/* ---- time ---- */

/** Ends what has timed out, resends what is to be resent, asks peers about half-made keys. */
void part_due(part *p) TDSA_NONNULL;
/** Monotonic ms at which part_due has something to do; UINT64_MAX when nothing waits. */
uint64_t part_next_due(const part *p) TDSA_NONNULL;

/** Some thread sees to due tasks all the time from now on: peers that failed are asked whether they
 * are back, and the stock keeper works. */
void part_set_background(part *p) TDSA_NONNULL;

/* ---- local operations: each start gives an id, or 0 and err ---- */

uint64_t part_start_register(part *p, const part_key_spec *spec, uint32_t deadline_ms,
                             char *key_id_out, tdsa_err *err) TDSA_NONNULL;
uint64_t part_start_keygen(part *p, const char *key_id, uint32_t deadline_ms, tdsa_err *err)
    TDSA_NONNULL;
/** The key, registered before, that `key` becomes. */
uint64_t part_start_import(part *p, const char *key_id, const mpc_import_key *key,
                           uint32_t deadline_ms, tdsa_err *err) TDSA_NONNULL;
/** What is imported, before anybody is asked: whether it may be done here, the scalar (*x: free it; out
 * lends it) and its chain code. Errors: TDSA_E_DENIED, TDSA_E_BAD_INPUT (the key). */
TDSA_MUST_USE tdsa_status part_import_read(part *p, const part_import_spec *spec,
                                           mpc_import_key *out, tdsa_secret **x, tdsa_err *err)
    TDSA_NONNULL;
uint64_t part_start_presign(part *p, const char *key_id, uint32_t count, uint32_t deadline_ms,
                            tdsa_err *err) TDSA_NONNULL;
uint64_t part_start_sign(part *p, const part_sign_request *req, uint32_t deadline_ms, tdsa_err *err)
    TDSA_NONNULL;
/** The next batch of presignatures of a key that was signed with, when its stock will soon be used up and
 * no thread keeps it; PART_OP_NONE: there is no need, or err. What it begins goes on without it. */
uint64_t part_start_ahead(part *p, const char *key_id, tdsa_err *err) TDSA_NONNULL;
/** `out` is the caller's until the operation has ended: written as the requests end. */
uint64_t part_start_sign_batch(part *p, const char *key_id, const part_sign_request *req,
                               size_t count, uint32_t deadline_ms, part_batch_item *out,
                               tdsa_err *err) TDSA_NONNULL;
uint64_t part_start_reshare(part *p, const char *key_id, const part_reshare_spec *spec,
                            uint32_t deadline_ms, tdsa_err *err) TDSA_NONNULL;
uint64_t part_start_delete(part *p, const char *key_id, uint64_t grace_ms, uint32_t deadline_ms,
                           tdsa_err *err) TDSA_NONNULL;
uint64_t part_start_undelete(part *p, const char *key_id, uint32_t deadline_ms, tdsa_err *err)
    TDSA_NONNULL;
uint64_t part_start_recovery(part *p, const part_recovery_request *req, uint32_t deadline_ms,
                             tdsa_err *err) TDSA_NONNULL;
uint64_t part_start_export(part *p, const part_export_spec *spec, uint32_t deadline_ms,
                           tdsa_err *err) TDSA_NONNULL;
/** What is to be sealed as the backup of a share; clear it. */
TDSA_MUST_USE tdsa_status part_backup_make(part *p, const char *key_id, part_share_backup *out,
                                           tdsa_err *err) TDSA_NONNULL;
/** What is inside `b` moves to the operation once it has begun. */
uint64_t part_start_restore(part *p, part_share_backup *b, uint32_t deadline_ms, tdsa_err *err)
    TDSA_NONNULL;
/** A key of this client that waits for a refresh, after the one given last; NULL: none, or this is no client. Lent
 * until the next call. */
const char *part_client_restored(part *p) TDSA_NONNULL;
uint64_t part_start_ping(part *p, uint32_t deadline_ms, tdsa_err *err) TDSA_NONNULL;

/** What an operation brought besides its status. */
typedef struct {
    part_sign_result sign;
    bool alive[GRP_PARTIES_MAX]; /* ping */
    part_recovery_package
        *recovery; /* infos (recovery, export): the taker's, part_recovery_free; or NULL */
} part_result;
/** Clears and frees. NULL is allowed. */
void part_recovery_free(part_recovery_package *pkg);
/** Milliseconds until the operation's deadline; UINT32_MAX for PART_OP_NONE. */
uint32_t part_op_left_ms(const part *p, uint64_t op) TDSA_NONNULL;
/** True when the operation has ended, or only its caller's arithmetic is left, and can be polled. */
bool part_op_done(const part *p, uint64_t op) TDSA_NONNULL;
/**
 * True when the operation has ended: its status is in err (TDSA_OK on success), `out` is filled, and
 * the id is forgotten. False while it runs.
 */
bool part_op_over(part *p, uint64_t op, part_result *out, tdsa_err *err) TDSA_NONNULL;
/** The same for callers without a lock: what is to be computed for a signature (part_sign_work) is computed here. */
bool part_op_poll(part *p, uint64_t op, part_result *out, tdsa_err *err) TDSA_NONNULL;

/** The store was asked outside the lock: `changes` is what ks_change_counter gave after the call came, 0: nothing. It
 * holds until part_keys_follow_again. */
void part_keys_follow_to(part *p, uint64_t changes) TDSA_NONNULL;
void part_keys_follow_again(part *p) TDSA_NONNULL;
/**
 * What the caller of a signature computes itself, outside the lock (or in part_op_poll): my own part while the
 * members are asked, and when all have replied the proof, which takes longest. It stays in the hands of that caller
 * until it is given back. All zeros: nothing was taken.
 */
typedef struct {
    uint64_t op;
    unsigned attempt;
    struct part_key *key;     /* held */
    struct part_batch *batch; /* held */
    mpc_request request;      /* its payload is lent by the operation */
    tdsa_buf q;               /* owned; empty in prepare mode, where the context is there */
    mpc_context context;
    mpc_combine *combine;   /* owned: with my reply */
    bool complete;          /* replies are there */
    tdsa_buf replies;       /* owned */
    const grp_table *table; /* of the key, or NULL */
    bool proved;
    mpc_signature sig;
    tdsa_err err; /* of what was made; TDSA_OK and proved: sig is the signature */
} part_sign_work;
/** False when there is none to be taken; *w is all zeros or of an attempt that is over, and then given up. */
bool part_take_sign(part *p, uint64_t op, part_sign_work *w) TDSA_NONNULL;
/** The context and my reply. Needs no lock. */
void part_make_sign(part_sign_work *w) TDSA_NONNULL;
/** Moves the replies of the members into *w, also while its owner is making it; false until all are there. */
bool part_hand_replies(part *p, part_sign_work *w) TDSA_NONNULL;
/** True when the replies are there and the proof is due, which needs my own part to be made. */
bool part_can_prove(const part_sign_work *w) TDSA_NONNULL;
/** Opens and verifies. Needs no lock. */
void part_prove(part_sign_work *w) TDSA_NONNULL;
/** What was taken comes back, and is all zeros again. When it was proved the operation ends, or tries another
 * committee; when my own part cannot be made it ends. */
void part_give_sign(part *p, part_sign_work *w) TDSA_NONNULL;
/** A key that has signed often gets a table (grp_table), which makes its proofs faster. */
typedef struct {
    struct part_key *key; /* held */
    grp_table *table;     /* made; NULL: could not be */
} part_table_work;
/** False when no table of this key is to be made now. */
bool part_take_table(part *p, const char *key_id, part_table_work *out) TDSA_NONNULL;
/** Needs no lock. Takes as long as some 500 multiplications. */
void part_make_table(part_table_work *w) TDSA_NONNULL;
void part_give_table(part *p, part_table_work *w) TDSA_NONNULL;
#define PART_AHEAD_BLOCKS 4u
/** What follows a lease of which a quarter is used, so that nobody waits for its commit: more of its batch, or the
 * beginning of the next one. */
typedef struct {
    struct part_key *key;     /* held */
    struct part_batch *batch; /* held: of that lease */
    ks *store;                /* lent */
    ks_batch_filter next;     /* which batches may be the next one */
    uint32_t len;             /* of that lease, at full demand */
    ks_batch *row;            /* owned: the next one; NULL: it is `batch` */
    uint32_t from, to;        /* 0, 0: all of `batch` is leased */
    uint64_t burnt[PART_AHEAD_BLOCKS];
    tdsa_err err;
} part_lease_work;
/** False when nothing is to be leased now. */
bool part_take_lease(part *p, const char *key_id, part_lease_work *out) TDSA_NONNULL;
/** Needs no lock. */
void part_make_lease(part_lease_work *w) TDSA_NONNULL;
/** What was leased is used next, or is lost when the lease was left meanwhile. Gives the operation that tells the
 * members to burn it; PART_OP_NONE: they will when they are asked for it. */
uint64_t part_give_lease(part *p, part_lease_work *w) TDSA_NONNULL;
/** Gives up: the operation ends with `why`. The id is forgotten. */
void part_op_cancel(part *p, uint64_t op, const tdsa_err *why) TDSA_NONNULL;

/* ---- local questions, no network ---- */

TDSA_MUST_USE tdsa_status part_key_describe(part *p, const char *key_id, part_key_info *out,
                                            tdsa_err *err) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status part_key_list(part *p, const part_key_filter *filter, part_key_fn fn,
                                        void *ctx, tdsa_err *err)
    __attribute__((nonnull(1, 2, 3, 5)));
/** Presignatures that can be signed with: FREE and not leased, plus what is left of my lease. */
TDSA_MUST_USE tdsa_status part_stock(part *p, const char *key_id, uint64_t *out, tdsa_err *err)
    TDSA_NONNULL;
TDSA_MUST_USE tdsa_status part_stock_all(part *p, uint64_t *out, tdsa_err *err) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status part_purge(part *p, const char *key_id, uint64_t *dropped, tdsa_err *err)
    TDSA_NONNULL;
/* The following mean what part_engine_* says. */
TDSA_MUST_USE tdsa_status part_purge_all(part *p, uint64_t *dropped, tdsa_err *err) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status part_approve_export(part *p, const part_export_spec *spec,
                                              uint64_t valid_ms, uint64_t *expires_ms,
                                              tdsa_err *err) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status part_deletion_describe(part *p, const char *key_id,
                                                 part_deletion_info *out, tdsa_err *err)
    TDSA_NONNULL;
TDSA_MUST_USE tdsa_status part_set_limit(part *p, const char *key_id, int64_t limit, tdsa_err *err)
    TDSA_NONNULL;
TDSA_MUST_USE tdsa_status part_stock_describe(part *p, const char *key_id, part_stock_info *out,
                                              tdsa_err *err) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status part_presignatures(part *p, const char *key_id, part_presig_fn fn,
                                             void *ctx, tdsa_err *err)
    __attribute__((nonnull(1, 2, 3, 5)));
TDSA_MUST_USE tdsa_status part_presig_delete(part *p, const char *key_id, const part_presig_id *id,
                                             tdsa_err *err) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status part_derive_public(part *p, const char *key_id, const uint32_t *path,
                                             uint16_t path_len, uint8_t *out, size_t *out_len,
                                             tdsa_err *err) __attribute__((nonnull(1, 2, 5, 6, 7)));
TDSA_MUST_USE tdsa_status part_partial(part *p, const part_sign_request *req,
                                       const part_presig_id *id, part_partial_result *out,
                                       tdsa_err *err) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status part_combine(part *p, const char *key_id, const part_bytes *partials,
                                       size_t count, part_combined *out, tdsa_err *err)
    TDSA_NONNULL;
/** out: room for MPC_XPUB_TEXT_MAX. */
TDSA_MUST_USE tdsa_status part_derive_xpub(part *p, const char *key_id, const uint32_t *path,
                                           uint16_t path_len, char *out, tdsa_err *err)
    __attribute__((nonnull(1, 2, 5, 6)));
void part_get_stats(const part *p, part_stats *out) TDSA_NONNULL;
/** True while a half-made key may still be settled now (its servers were not asked yet, or all of them
 * have stored the same), or an order to delete a key was not told yet. */
bool part_may_settle(const part *p) TDSA_NONNULL;

#endif
