#ifndef PART_INTERNAL_H
#define PART_INTERNAL_H

#include "participant/participant.h"
#include "participant/permission.h"
#include "participant/share_backup.h"
#include "participant/wire.h"
#include "peer/channel.h"
#include "protocol/keygen.h"
#include "protocol/prepare.h"

/*
 * The inside of the participant, shared by the files of this folder only.
 *
 *   participant.c  birth, death, time, queues      session.c   sessions, links, handshakes
 *   exchange.c     what is sent to peers           inbound.c   what peers send, reply cache
 *   run.c          all-to-all runs (keygen, presign)           key.c  cache of keys and batches
 *   registry.c     register, keygen, ping          stock.c     leases, presigning
 *   committee.c    whom to sign with               spend.c, burn_ahead.c  burns
 *   keeper.c       keeps stocks filled             presig.c    counts, limits, deletes presignatures
 *   signing.c      one signature                   op.c        local operations
 *   audit.c        what is recorded before it happens   import.c  an existing key is dealt
 *   export.c       an export and its run                approvals.c  what it needs at each server
 *   partial.c      partial signatures
 *   sign_batch.c   many signatures at once         wave.c      questions that ride together
 *   own_part.c     the coordinator's own part      proof.c     what comes out is verified
 *   sign_request.c what is to be signed            signer.c    what a member answers
 *   recovery.c     recovery infos of one participant and of all
 *   backup.c (with share_backup.c)  backup, restore and the refresh after it
 *   marks.c  counters of peers              rollback.c  what follows when they go back
 *   deletion*.c    orders to delete keys and to undo that
 *   derive.c, doubt.c (half-made keys, epochs), registered.c, rate.c, reshare.c: as they are called
 */

#define PART_SESSIONS_MAX       4096u
#define PART_SESSION_BUCKETS    256u
#define PART_RUNS_PER_SESSION   8u
#define PART_INBOUND_MAX        256u /* remembered requests per link */
#define PART_INBOUND_BYTES_MAX  (1u << 20)
#define PART_TICKETS_MAX        4u
#define PART_PARKED_MAX         4u /* early requests of one peer in one session for runs not begun */
#define PART_PARKED_OF_PEER_MAX 256u /* the same over all sessions */
#define PART_PARKED_BODY_MAX    16384u
#define PART_AHEAD_MAX          (PART_AHEAD_BLOCKS * KS_BLOCK_SIZE) /* leased, or burnt, ahead at once */
#define PART_RANGES_MAX         64u   /* burnt ranges remembered per session (responder) */
#define PART_BUCKETS_MAX        4096u /* keys with a rate that signed within the last minute */
#define PART_BATCHES_CACHED_MAX 256u
#define PART_TABLES_MAX         64u     /* keys with a table to verify faster: 10 MB */
#define PART_SIGNING_LIFE_MS    600000u /* a signing session is replaced after 10 minutes */
#define PART_SIGNING_IDLE_MS    360000u /* and forgotten by the responder after 6 idle ones */
#define PART_CACHE_LINGER_MS    2000u /* a key over cacheSize is taken from a session this long idle */
#define PART_CACHE_LOOK_MS      250u /* how often keys over cacheSize are looked at that are in use */
#define PART_CACHE_IDLE_MS      300000u /* what nobody used so long leaves memory, with its session */
#define PART_SIGNING_ASKS_MAX   (1ull << PEER_REKEY_SHIFT)
#define PART_SESSION_ID_LEN     32u

typedef struct part_session part_session;
typedef struct part_link part_link;
typedef struct part_run part_run;
typedef struct part_op part_op;
typedef struct part_burn part_burn;
typedef struct part_key part_key;
typedef struct part_batch part_batch;
typedef struct part_exchange part_exchange;
typedef struct part_inbound part_inbound;
typedef struct part_bucket part_bucket;
typedef struct part_rider part_rider;
typedef struct part_many part_many;
typedef struct part_doubt part_doubt;

/* ---- keys and batches in memory ---- */

/** An ACTIVE key with its secret half. Held by runs, batches and operations (refs). */
struct part_key {
    part_key *next;
    unsigned refs;
    uint64_t used_ms;
    mpc_key *key;  /* owned */
    bool restored; /* a share from a backup: it deals and does nothing else */
    bool gone;     /* deleted or replaced: found no more, freed when nobody holds it */
    /* combiner side */
    part_session *signing; /* my signing session for this key, or NULL */
    part_batch *lease;     /* batch that my lease is from, or NULL */
    uint32_t lease_from, lease_next, lease_end, lease_len;
    uint32_t lease_want;    /* a batch is to be signed: so many at once, if possible */
    uint32_t lease_members; /* the committee of the last lease */
    uint64_t lease_burnt;   /* of its block: deleted one by one before they were used */
    bool leasing;           /* what follows it is being leased, outside the lock */
    part_batch *ahead;      /* held: of that, perhaps the next one; NULL: not leased yet */
    uint32_t ahead_from, ahead_end, ahead_again; /* after a failure: when lease_next is that far */
    uint64_t ahead_burnt[PART_AHEAD_BLOCKS];     /* of its blocks, from that of ahead_from on */
    uint32_t batch_len;                          /* size of the next batch: grows with demand */
    uint32_t committee; /* of new batches, bit per participantIndex; 0: not chosen */
    bool presigning;    /* a run of mine is under way */
    bool look_again;    /* a coordinator named a newer epoch: the store may know it */
    uint64_t proved;    /* signatures that were verified here */
    grp_table *table;   /* of the public key, to verify faster; NULL: none yet, or none to be had */
    bool tabled;        /* it was asked for */
    bool low; /* at the last lease little was left, of a stock that goes fast (keeper.c) */
    /* stock keeper */
    bool filling;         /* below the high mark, on the way up */
    unsigned keep_fails;  /* in a row */
    uint64_t keep_due_ms; /* look at it then; UINT64_MAX: when something has changed */
    uint64_t kept_ms;     /* when it was last its turn */
    uint64_t wanted_ms;   /* when an operation here last took a presignature; 0: never */
};

struct part_batch {
    part_batch *next;
    unsigned refs;
    uint64_t used_ms;
    part_key *key;    /* held */
    uint64_t lane;    /* its combiner's; the top byte is the only participant that may use it */
    uint32_t members; /* bit per participantIndex */
    mpc_batch *batch; /* owned */
};

/* ---- what peers asked ---- */

struct part_inbound {
    part_inbound *older, *newer;
    uint64_t seq;
    uint8_t digest[32]; /* of the sealed request: the same again gets the same reply */
    bool answered;
    tdsa_buf reply; /* the frame */
    size_t ticket_count;
    part_ticket tickets[PART_TICKETS_MAX];
};

/* ---- sessions ---- */

typedef enum { LINK_OPENING, LINK_OPEN, LINK_LOST } part_link_state;

#include "participant/marks.h"

/** One peer inside one session. */
struct part_link {
    uint16_t peer;
    bool initiator; /* this participant asks over it */
    part_link_state state;
    peer_channel *channel;
    const peer_entry *entry; /* NULL for a client */
    peer_keys keys;          /* what the peer proved to hold */
    uint64_t next_seq;       /* initiator */
    /* marks.c */
    ks_marks told;    /* my counters that the peer knows */
    bool marks_taken; /* initiator: the peer has answered, so it knows what I saw of it */
    bool known;       /* it proved to share a key */
    bool last_set;
    part_mark last; /* what it told last */
    size_t then_count;
    part_mark then[PART_STORES_MAX]; /* what was known of it when the handshake began */
    /* responder */
    uint8_t hello_digest[32];
    tdsa_buf hello_reply; /* the same first message again gets the same answer */
    part_inbound *inbound_newest, *inbound_oldest;
    size_t inbound_count, inbound_bytes;
    size_t inbound_waiting; /* of them not answered yet */
    uint64_t seq_max;
    uint64_t seq_floor; /* smaller ones are forgotten and refused */
};

/** A range of presignatures that this responder burnt and now spends from memory. */
typedef struct part_range {
    struct part_range *next;
    part_batch *batch;                     /* held */
    uint32_t from, to;                     /* inside one block of 64 */
    uint64_t spent;                        /* bit (index - from) */
    uint8_t transcript[KS_BLOCK_SIZE][32]; /* first half of T per spent index */
    uint64_t locked;                       /* prepare mode: bit (index - from) */
    uint8_t (*lock)[32];                   /* first half of T0 per locked index; NULL: none */
} part_range;

struct part_session {
    part_session *next; /* in its bucket */
    char id[PEER_SESSION_ID_MAX + 1];
    peer_purpose purpose;
    uint16_t opened_by;
    bool mine; /* I opened it and coordinate */
    bool used; /* a question was put in it: more than a first message, which may be a replay */
    uint64_t ends_ms; /* when to end it; an exchange under way may still finish */
    uint64_t born_ms, used_ms;
    part_link *link[GRP_PARTIES_MAX];
    part_run *runs;
    uint32_t next_run;
    part_range *ranges;
    size_t range_count;
    bool wave_open; /* questions that are held go when the first is sent; others may still join */
    char key_id[KS_KEY_ID_MAX + 1]; /* "" for control sessions */
    bool bound_set;                 /* the key's members, when the session is for one key */
    peer_keys bound[GRP_PARTIES_MAX];
};

/* ---- what I ask ---- */

typedef enum {
    EXCHANGE_WAITING,
    EXCHANGE_HELD,
    EXCHANGE_READY,
    EXCHANGE_FLYING
} part_exchange_state;

struct part_exchange {
    part_exchange *next;
    uint64_t id;
    uint64_t op;           /* whose thread performs it; PART_OP_NONE: any */
    part_session *session; /* NULL when it ended meanwhile: the result is dropped */
    char session_id[PEER_SESSION_ID_MAX + 1];
    char url[PEER_URL_MAX + 1];
    uint16_t peer;
    bool handshake;
    part_exchange_state state; /* WAITING: for the link to open; HELD: wave.c */
    part_ask_kind kind;
    uint64_t born_ms;
    uint32_t run, round;
    uint64_t for_op;    /* operation that the answer is for; PART_OP_NONE: the run, or riders */
    unsigned attempt;   /* of for_op */
    part_rider *riders; /* owned */
    size_t rider_count;
    uint64_t seq;
    tdsa_buf body; /* of the ask, until it is sealed */
    tdsa_buf frame;
    unsigned tries;
    tdsa_buf why; /* text: why the first try failed; empty: none did */
    uint64_t not_before_ms, deadline_ms;
};

/* ---- runs ---- */

typedef enum { RUN_KEYGEN, RUN_PRESIGN, RUN_RESHARE, RUN_IMPORT, RUN_EXPORT } part_run_kind;

/** What a reshare is about, as its coordinator proposes it; everybody checks it. */
typedef struct {
    grp_curve curve;
    mpc_scheme scheme;
    mpc_policy policy;
    uint32_t old_epoch;
    uint16_t old_t, old_n, dealer_count, t, n;
    uint16_t old_indices[GRP_PARTIES_MAX];
    mpc_member dealers[GRP_PARTIES_MAX]; /* S: old members that deal */
    mpc_member members[GRP_PARTIES_MAX]; /* of the new epoch */
} part_reshare_plan;

struct part_run {
    part_run *next;
    part_session *session;
    uint32_t id;
    part_run_kind kind;
    uint16_t coordinator;
    uint64_t op; /* my operation that drives it; PART_OP_NONE at the others */
    uint64_t born_ms, deadline_ms;
    uint16_t members[GRP_PARTIES_MAX]; /* ascending */
    size_t member_count;
    mpc_keygen *keygen; /* of a reshare, import and export too */
    mpc_presign *presign;
    part_key *key; /* presign, export: held */
    char key_id[KS_KEY_ID_MAX + 1];
    uint64_t lane, seq;
    uint32_t count;
    bool compressed;
    bool stored;   /* keygen, reshare: the PENDING record is durable */
    bool active;   /* reshare: the new epoch is the one in use here */
    bool stepping; /* presign: a step is being made outside the lock, its state is not to be read */
    bool left;     /* it ended meanwhile: freed when the step comes back */
    unsigned step_from;                   /* the round of that step */
    part_reshare_plan *plan;              /* reshare: owned */
    struct part_export_plan *export_plan; /* export: owned */
    tdsa_buf plan_bytes;                  /* the same as it travels */
    uint32_t silent; /* why it fails: these members did not answer, bit per index */
    struct {
        bool sent;      /* my message of the current round went out */
        bool asked;     /* its request of the current round waits for my message */
        bool early_set; /* its message of the next round arrived too soon */
        bool early_asked;
        uint64_t seq, early_seq; /* of those requests */
        tdsa_buf early;
    } at[GRP_PARTIES_MAX];
};

/** A request for a run that the coordinator has not begun here yet. */
typedef struct part_parked {
    struct part_parked *next;
    part_session *session;
    uint16_t from;
    uint64_t seq;
    uint64_t deadline_ms;
    part_ask_kind kind;
    uint32_t run, round;
    tdsa_buf body;
} part_parked;

/* ---- local operations ---- */

typedef enum {
    OP_ASKING,  /* register, delete, ping: one answer of each peer */
    OP_RUNNING, /* a run of mine is under way */
    OP_STOCK,   /* sign: waits for a presignature */
    OP_COINS,   /* sign in prepare mode: waits for the coins of the committee */
    OP_REPLIES, /* sign: waits for the committee */
    OP_PROVING, /* sign: all replies are there; its caller proves them (part_prove) */
    OP_DONE
} part_op_state;

struct part_op {
    part_op *next;
    uint64_t id;
    part_op_kind kind;
    part_op_state state;
    uint64_t started_ms, deadline_ms;
    tdsa_err err;
    part_result result;
    char key_id[KS_KEY_ID_MAX + 1];
    uint32_t waiting;     /* peers whose answer is missing, bit per index */
    uint32_t asked_twice; /* peers that were asked again in another session */
    part_reshare_spec reshare;
    bool confirming;              /* undelete: all are asked whether they know of a newer order */
    ks_deletion_state told_state; /* delete, undelete: what is being told */
    uint32_t has_epoch;        /* reshare: peers that have the key's epoch ACTIVE, bit per index */
    bool key_is_gone;          /* restore, undelete: a peer says that the key was wiped */
    part_share_backup *backup; /* restore: owned */
    uint8_t stored[64];        /* restore: of the epoch in it */
    /* presign */
    uint32_t count;
    /* sign */
    mpc_request request;
    tdsa_buf payload;
    bool second_try;     /* in another session */
    bool joined;         /* it waits for a batch that was under way already */
    unsigned failovers;  /* to another committee, because of silence */
    bool distrusted;     /* the same, because a signature did not verify */
    uint64_t attempt_ms; /* when the members were asked */
    unsigned tries;
    unsigned charged;  /* attempts that were counted against the key's rate */
    part_key *key;     /* held */
    part_batch *batch; /* held */
    tdsa_buf q;
    mpc_coins coins;                          /* prepare mode */
    uint8_t prepared[64];                     /* T0, the same */
    char signing_id[PEER_SESSION_ID_MAX + 1]; /* session of this attempt */
    bool own_due;        /* my own part is to be made by the caller (part_take_sign) */
    tdsa_buf replies;    /* of members: uint who, octets reply; the proof looks into them */
    mpc_context context; /* prepare mode */
    part_sign_work sign; /* of part_op_poll only */
    part_many *many;     /* a batch of requests: owned; request to combine are not used */
};

/* ---- what is known of a peer ---- */

typedef struct {
    uint64_t answered_ms, failed_ms; /* when last */
    uint64_t avoid_until_ms;
    unsigned failures; /* since it last answered */
    unsigned doubts;   /* broken signatures of its committees since one that verified */
    bool heard;        /* it asked something since it failed */
} part_peer;

struct part {
    part_engine_cfg cfg; /* log, store, clock, rng; the roster is owned */
    peer_identity identity;
    peer_dh_cache *dh_cache;
    grp *groups[GRP_CURVE_END];
    part_session *sessions[PART_SESSION_BUCKETS];
    size_t session_count, run_count;
    part_session *control; /* my own control session, or NULL */
    part_key *keys;
    size_t key_count;
    uint64_t cache_due_ms, cache_over_ms; /* the latter: keys_max is passed, look then */
    uint64_t partials_due_ms;             /* when to collect expired partial signatures */
    size_t table_count;                   /* keys that have one, or get one now */
    uint32_t
        ahead_len; /* a lease of this length is followed by one ahead; tests have a smaller one */
    size_t keys_max, sessions_max; /* cacheSize, PART_SESSIONS_MAX; tests have fewer */
    size_t batch_count;
    part_batch *batches;
    part_exchange *exchanges, *exchanges_last;
    part_parked *parked;
    part_doubt *doubts;
    struct part_deletion *deletions;
    uint64_t deletions_load_ms; /* when to look for orders again; 0: all are known */
    uint32_t next_deletion;
    uint64_t key_changes;    /* of the store, when cached keys were last known to be right */
    bool keys_followed;      /* it was asked for the question at hand, which has many items */
    uint64_t doubts_load_ms; /* when to look for half-made keys again; 0: all are known */
    uint32_t next_doubt;
    part_burn *burns; /* that members are to make, or are making */
    size_t burn_count;
    part_op *ops;
    size_t many_count;    /* of them, batches of signatures */
    part_bucket *buckets; /* rate.c */
    size_t bucket_count;
    uint64_t next_exchange, next_op;
    part_peer peers[GRP_PARTIES_MAX];
    bool background; /* some thread sees to due tasks all the time */
    uint64_t seq;    /* of my last batch, over all keys: never twice in my lane */
    /* marks.c */
    uint8_t mark_key[32];
    part_identity *identities;
    uint64_t marks_store_ms, marks_tell_ms; /* 0: nothing to store */
    uint32_t marks_untold;                  /* servers to be told, bit per index */
    /* backup.c: the refresh of restored keys */
    char refresh_key[KS_KEY_ID_MAX + 1]; /* tried last */
    uint64_t refresh_op, refresh_ms, refresh_wait_ms;
    unsigned marks_left; /* times to tell them */
    uint64_t purges;     /* that memory has followed */
    struct part_reply_node *replies, *replies_last;
    part_stats stats;
};

/* participant.c */
uint64_t part_now(const part *p);
void part_reply_with(part *p, part_ticket ticket, const uint8_t *body, size_t len);
void part_reply_error(part *p, part_ticket ticket, const tdsa_err *err);
tdsa_status part_group(part *p, grp_curve curve, const grp **out, tdsa_err *err);
void part_say(const part *p, tdsa_log_level level, const char *fmt, ...) TDSA_PRINTF(3, 4);
static inline bool part_has_client(const part *p)
{
    return p->cfg.roster.client_index != PEER_NO_CLIENT;
}
static inline bool part_is_client(const part *p)
{
    return p->cfg.roster.client_index == (int)p->cfg.roster.me;
}
/** 409 CLIENT_PARTICIPATES unless this participant may coordinate. */
tdsa_status part_may_coordinate(const part *p, tdsa_err *err);

/* session.c */
part_session *part_session_find(part *p, const char *id);
tdsa_status part_session_new(part *p, part_session **out, const char *id, peer_purpose purpose,
                             uint16_t opened_by, tdsa_err *err);
/** A session of mine with a fresh id. */
tdsa_status part_session_open(part *p, part_session **out, peer_purpose purpose, const char *key_id,
                              tdsa_err *err);
/** Ends it: runs abort with `why`, waiting requests get it, exchanges of it are dropped. */
void part_session_end(part *p, part_session *s, const tdsa_err *why);
/** Ties a session to the participants that a key was made with. */
void part_session_bind(part_session *s, const mpc_member *members, size_t count);
/** The link to `peer` on which I ask; starts the handshake when there is none. */
tdsa_status part_link_to(part *p, part_session *s, uint16_t peer, uint64_t op, uint64_t deadline_ms,
                         part_link **out, tdsa_err *err);
void part_link_free(part *p, part_link *l, const tdsa_err *why);
/** A first message of a peer came. */
tdsa_status part_session_accept(part *p, const char *session_id, const part_frame *f,
                                const uint8_t *body, size_t len, part_ticket ticket, tdsa_err *err);
/** The second one came back. */
void part_session_opened(part *p, part_session *s, uint16_t peer, const uint8_t *body, size_t len);
part_asker part_asker_of(const part *p, uint16_t peer);
uint64_t part_session_next_due(const part *p);
void part_sessions_due(part *p);

#include "participant/exchanges.h"

/* inbound.c */
void part_inbound_take(part *p, part_session *s, const part_frame *f, part_ticket ticket);
/** Answers a request that was taken with part_inbound_take, now or later. err->status TDSA_OK: body. */
void part_answer_to(part *p, part_session *s, uint16_t peer, uint64_t seq, const tdsa_err *err,
                    const uint8_t *body, size_t len);
void part_inbound_free(part *p, part_link *l, const tdsa_err *why);

/* run.c */
tdsa_status part_run_begin_keygen(part *p, part_session *s, const char *key_id, uint64_t op,
                                  uint64_t deadline_ms, tdsa_err *err);
tdsa_status part_run_begin_presign(part *p, part_session *s, part_key *k, uint32_t count,
                                   uint32_t members, uint64_t op, uint64_t deadline_ms,
                                   tdsa_err *err);
/** A peer's request of a run. */
void part_run_asked(part *p, part_session *s, uint16_t from, uint64_t seq, const part_ask *a);
/** A peer's answer to mine. */
void part_run_answered(part *p, part_session *s, uint16_t from, uint32_t run, uint32_t round,
                       const part_answer *a);
void part_run_failed(part *p, part_session *s, uint32_t run, const tdsa_err *why);
void part_run_end(part *p, part_run *run, const tdsa_err *why);
void part_runs_due(part *p);
uint64_t part_runs_next_due(const part *p);

/* key.c */
/** A newer epoch is ACTIVE: forgets what is in memory of the earlier one. */
void part_key_replaced(part *p, const char *key_id);
/** Looks again which epoch is in use; true when it is another than the one in memory, which is
 * forgotten then, with every operation and run that uses it. */
bool part_key_refresh(part *p, const char *key_id);
/** Whether another process of this database ordered something about the keys in memory is asked of the store
 * before each part_key_hold; between these two only once, for a question of many items. */
void part_keys_follow_once(part *p);
/** The ACTIVE key with its secret half, held; release it. Errors: TDSA_E_NOT_FOUND, LOGIN... */
tdsa_status part_key_hold(part *p, const char *key_id, part_key **out, tdsa_err *err);
/** Without asking the store; NULL: it is not in memory. */
part_key *part_key_in_memory(const part *p, const char *key_id);
/** What a row is used as: a RESTORED one that is ordered to be deleted is DELETING. */
ks_key_state part_key_state(part *p, const ks_key *row);
/** The public half of a row that has a share; free it. */
tdsa_status part_key_public(part *p, const ks_key *row, mpc_key **out, tdsa_err *err);
/** The same, or a RESTORED one: what a reshare deals from. */
tdsa_status part_key_hold_dealer(part *p, const char *key_id, part_key **out, tdsa_err *err);
part_key *part_key_ref(part_key *k);
void part_key_release(part *p, part_key *k);
tdsa_status part_batch_hold(part *p, part_key *k, const uint8_t beta[32], part_batch **out,
                            tdsa_err *err);
tdsa_status part_batch_adopt(part *p, part_key *k, const ks_batch *b, part_batch **out,
                             tdsa_err *err);
part_batch *part_batch_ref(part_batch *b);
void part_batch_release(part *p, part_batch *b);
/** Drops what nobody holds and is old while there is too much, or (all) whatever nobody holds. */
void part_cache_trim(part *p, bool all);
/** Drops what was not used for PART_CACHE_IDLE_MS as well. */
void part_cache_due(part *p);
uint64_t part_cache_next_due(const part *p);
/** Forgets a key that is deleted, or being deleted: everything that uses it ends with `why`. */
void part_key_drop(part *p, const char *key_id, const tdsa_err *why);

/* registry.c */
/** The registration record: stmt("registration", key-id, curve, scheme, n, t, policy, members...). */
typedef struct {
    char key_id[KS_KEY_ID_MAX + 1];
    grp_curve curve;
    mpc_scheme scheme;
    uint16_t n, t;
    mpc_policy policy;
    mpc_member members[GRP_PARTIES_MAX];
} part_registration;
tdsa_status part_registration_of(part *p, const ks_key *row, part_registration *out, tdsa_err *err);
tdsa_status part_registration_load(part *p, const char *key_id, part_registration *out,
                                   ks_key_state *state, tdsa_err *err);
bool part_member_is(const mpc_member *m, const peer_keys *keys);
/** Whether participant `index` is among the members with these very keys. */
bool part_members_have(const mpc_member *members, size_t count, uint16_t index,
                       const peer_keys *keys);
bool part_key_id_ok(const char *key_id);
/** I may coordinate, and the key is registered and has no share yet. */
tdsa_status part_check_registered(part *p, const char *key_id, tdsa_err *err);
tdsa_status part_ask_register(part *p, part_session *s, uint16_t from, const part_ask *a,
                              tdsa_err *err);
/** Whether `from` is a member of the key, with the keys that it showed; else NOT_FOUND in the words for
 * a key that is not here. */
tdsa_status part_check_bound(part *p, const part_session *s, uint16_t from, const char *key_id,
                             ks_key_state *state, tdsa_err *err);

/* recovery.c */
tdsa_status part_ask_recovery(part *p, part_session *s, uint16_t from, const part_ask *a,
                              tdsa_buf *out, tdsa_err *err);
/** The infos of a peer, verified and kept. Errors: those of part_engine_recovery. */
tdsa_status part_recovery_answered(part *p, part_op *op, uint16_t from, const part_answer *a,
                                   tdsa_err *err);

/* registered.c */
/** A client may leave so many keys without shares here only. Errors: TDSA_E_LIMIT, TDSA_E_STORE. */
tdsa_status part_registered_check(part *p, const part_registration *r, uint16_t by, tdsa_err *err);

/* audit.c */
/** One act on a key, recorded durably before it happens, where an audit log is configured; without one
 * nothing. event: "key.reshare"; detail: for people, no secret; may be NULL. Errors: those of
 * tdsa_audit.record; then the act is refused. */
tdsa_status part_audit(part *p, const char *event, const char *key_id, const char *detail,
                       tdsa_err *err) __attribute__((nonnull(1, 2, 5)));

/** For acts that nobody may do unseen. Errors: TDSA_E_DENIED (no audit log is configured here). */
tdsa_status part_audit_needed(const part *p, const char *what, tdsa_err *err) TDSA_NONNULL;

/* rate.c */
/** One signature against the key's rate, before any burn. Errors: TDSA_E_LIMIT, TDSA_E_NO_MEMORY. */
tdsa_status part_rate_take(part *p, const mpc_key_public *key, tdsa_err *err);
void part_rates_free(part *p);

/* op.c */
part_op *part_op_find(part *p, uint64_t id);
part_op *part_op_new(part *p, part_op_kind kind, const char *key_id, uint32_t deadline_ms,
                     tdsa_err *err);
void part_op_end(part *p, part_op *op, const tdsa_err *why);
void part_op_end_ok(part *p, part_op *op);
/** An operation that waits for presignatures of a key; PART_OP_NONE: none does. */
uint64_t part_op_for_stock(const part *p, const char *key_id);
/** The answer of `from` to a question of the operation; or why there is none. */
void part_op_answered(part *p, uint64_t op, uint16_t from, const part_answer *a);
void part_op_failed(part *p, uint64_t op, uint16_t from, const tdsa_err *why);
/** Puts op->payload as a question of `kind` to everybody in op->waiting, in the control session. */
tdsa_status part_control_session(part *p, uint16_t peer, part_session **out, tdsa_err *err);
tdsa_status part_op_ask(part *p, part_op *op, part_ask_kind kind, tdsa_err *err);
/** Asks each of these members but me the same, in a session of mine; op->waiting says whom. */
tdsa_status part_op_ask_members(part *p, part_op *op, part_session *s, uint32_t members,
                                const part_ask *ask, uint64_t deadline_ms, tdsa_err *err);
void part_ops_due(part *p);
uint64_t part_ops_next_due(const part *p);
void part_op_event(part *p, part_op_kind kind, part_event event, uint64_t started_ms);

#include "participant/deletion.h"
/* backup.c */
void part_restore_answered(part_op *op, uint16_t from, const part_answer *a);
void part_restore_go_on(part *p, part_op *op);
void part_restored_begin(part *p); /* looks for keys that wait for a refresh */
void part_restored_due(part *p);
uint64_t part_restored_next_due(const part *p);

#include "participant/epochs.h" /* reshare.c, doubt.c, status.c */
#include "participant/signing.h"
#include "participant/spend.h"
#include "participant/stock.h"

#endif
