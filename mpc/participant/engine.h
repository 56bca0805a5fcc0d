#ifndef PART_ENGINE_H
#define PART_ENGINE_H

#include <string.h>

#include "base/audit.h"
#include "keystore/keystore.h"
#include "peer/roster.h"
#include "protocol/bip32.h"
#include "protocol/recovery.h"
#include "protocol/sign.h"

/**
 * The participant engine as callers see it: blocking calls with one total deadline each, from any
 * number of threads. Under it lies the event-driven participant (participant/participant.h), which makes no
 * thread, opens no socket and reads no clock; the engine adds a lock and exchanges done by its callers.
 */
typedef struct part_engine part_engine;

/** What happened, for metrics. */
typedef enum {
    PART_EVENT_STARTED,
    PART_EVENT_COMPLETED,
    PART_EVENT_ABORTED,
    PART_EVENT_TIMEOUT
} part_event;
typedef enum {
    PART_OP_REGISTER,
    PART_OP_KEYGEN,
    PART_OP_PRESIGN,
    PART_OP_SIGN,
    PART_OP_DELETE,
    PART_OP_PING,
    PART_OP_RESHARE,
    PART_OP_PUBLIC_KEY,
    PART_OP_XPUB,
    PART_OP_RESTORE,
    PART_OP_PARTIAL_SIGN,
    PART_OP_SIGN_BATCH, /* the call; its items count as PART_OP_SIGN each */
    PART_OP_RECOVERYINFO,
    PART_OP_IMPORT,
    PART_OP_UNDELETE,
    PART_OP_EXPORT,
    PART_OP_BURN, /* no caller's: PKCS#11 callers wait for it after their own signature */
    PART_OP_COUNT
} part_op_kind;
typedef void (*part_event_fn)(void *ctx, part_op_kind op, part_event event, uint64_t duration_us);

/** Certificates that recovery infos are made for at most. */
#define PART_ERS_CERTIFICATES_MAX 4u

typedef struct {
    peer_roster roster; /* n, me, client index, keys and URLs; deep-copied */
    uint16_t t;         /* corruptions tolerated; n >= 2t+1 */
    bool may_generate;  /* participantIds is set */

    uint32_t session_timeout_ms; /* sessionTimeout; 60000 */
    uint32_t retries;            /* resends after a communication error; 2 */
    uint32_t retry_delay_ms;     /* 1000 */
    uint32_t deadline_ms;        /* total per operation when the caller gives 0 */
    int64_t default_presignature_limit;
    uint32_t min_path, min_path_xpub;
    uint32_t presign_batch_min, presign_batch_max; /* 1..1024; grows with demand */
    /* the stock keeper, where part_engine_work runs: below `low` usable presignatures of a key in use
     * it makes more, up to `high`, within the key's limit; low 0: off */
    uint32_t presign_low, presign_high;
    uint32_t presign_request_max; /* presignatures that one call may ask for; 0: no cap */
    uint64_t presign_global_max;  /* in stock over all keys; 0: no cap */
    /* cacheSize: keys in memory that nobody uses, at most PART_KEYS_CACHED_MOST; without `set` it is
     * PART_KEYS_CACHED_USUAL */
    struct {
        bool set;
        uint32_t max;
    } keys_cached;
    uint64_t partial_timeout_ms; /* partialSignatureTimeout; 0: PART_PARTIAL_TIMEOUT_MS */
    /* what a deletion leaves for its undoing: the default; what may be asked for here, by peers too */
    uint64_t deletion_grace_ms, deletion_grace_min_ms, deletion_grace_max_ms;
    bool disable_reshare;                /* disableReshare: refused here, asked or asking */
    bool import_keys;                    /* importKeys: existing keys may be imported */
    const tdsa_rsa_cert *const *ers;     /* ersCertificates; lent: must outlive the engine */
    size_t ers_count;                    /* at most PART_ERS_CERTIFICATES_MAX */
    const tdsa_rsa_cert *const *exports; /* exportCertificates: the same */
    size_t export_count;
    bool require_known_clients; /* `clients:` list is set: only these pairs may register keys */
    /* keys that clients registered here and that have no shares yet: of one client, of all (0: any
     * number), and how long they are kept (0: for ever) */
    uint32_t registered_client_max, registered_max;
    uint64_t registered_life_ms;
    const peer_keys *clients; /* lent for part_engine_new, copied */
    size_t client_count;

    peer_http_cfg http;
    ks *store; /* lent: must outlive the engine */
    tdsa_clock clock;
    tdsa_rng rng;
    const tdsa_log *log; /* may be NULL */
    tdsa_audit audit;    /* where acts on keys are recorded before they happen; may be empty */
    part_event_fn on_event;
    void *on_event_ctx;
} part_engine_cfg;

#define PART_KEYS_CACHED_USUAL 100u
#define PART_KEYS_CACHED_MOST  4096u

/** Errors: TDSA_E_CONFIG, TDSA_E_NO_MEMORY, TDSA_E_CRYPTO. No network, no thread. */
TDSA_MUST_USE tdsa_status part_engine_new(part_engine **out, const part_engine_cfg *cfg,
                                          tdsa_err *err) TDSA_NONNULL;
/** Cancels what runs (callers get TDSA_E_BUSY "stopping") and waits for callers to leave, at most
 * 1 s. No more calls may start. */
void part_engine_stop(part_engine *e) TDSA_NONNULL;
void part_engine_free(part_engine *e);
/** In a child after fork: release memory only; inherited sockets are closed, nothing is sent. */
void part_engine_abandon(part_engine *e);
/** Forgets cached shares and sessions (after ks_lock). */
void part_engine_forget(part_engine *e) TDSA_NONNULL;

/* ---- keys ---- */

typedef struct {
    const char *key_id; /* NULL or "": a new random id of 28 characters */
    grp_curve curve;
    mpc_scheme scheme; /* 0: mpc_scheme_default of the curve */
    const char *label; /* may be NULL */
    mpc_policy policy;
    int64_t presignature_limit; /* PART_LIMIT_DEFAULT: the configured default; -1: none */
    const uint8_t *attrs;       /* the caller's own attributes, kept beside the key; may be NULL */
    size_t attrs_len;
} part_key_spec;
#define PART_LIMIT_DEFAULT INT64_MIN

typedef struct {
    char key_id[KS_KEY_ID_MAX + 1];
    char label[KS_LABEL_MAX + 1];
    ks_key_state state;
    uint64_t created_ms;
    grp_curve curve;
    mpc_scheme scheme;
    uint16_t n, t;
    uint32_t epoch;
    bool client_participates;
    mpc_policy policy;
    int64_t presignature_limit;
    uint8_t public_key[GRP_POINT_RAW_MAX]; /* SEC 1 uncompressed; empty until ACTIVE */
    size_t public_key_len;
    uint8_t chain_code[32];
    uint8_t attrs[KS_ATTRS_MAX];
    size_t attrs_len;
    /* DELETING: when it is wiped here, wall clock; 0: it is being undone */
    uint64_t deletion_ms;
    uint32_t deletion_pending; /* participants not known to have heard of it, bit per index */
} part_key_info;

/** A policy with safe defaults: no derivation, reshare allowed; ECDSA: digest, SHA-2 digests, low-S
 * for secp256k1 only; the Schnorr schemes: message, no digest. */
mpc_policy part_policy_default(grp_curve curve, mpc_scheme scheme);

/**
 * Registers a key at every participant (binds it to this client's key pair when this is the client).
 * Idempotent for an equal spec. key_id_out: room for KS_KEY_ID_MAX + 1.
 * Errors: TDSA_E_CONFLICT (exists with another spec; or CLIENT_PARTICIPATES: asked at a server of a
 * group with a client), TDSA_E_DENIED, TDSA_E_UNAVAILABLE / TIMEOUT (participant named).
 */
TDSA_MUST_USE tdsa_status part_engine_register(part_engine *e, const part_key_spec *spec,
                                               uint32_t deadline_ms, char *key_id_out,
                                               tdsa_err *err) TDSA_NONNULL;
/** Distributed key generation of a registered key; returns when all participants have it ACTIVE. */
TDSA_MUST_USE tdsa_status part_engine_generate(part_engine *e, const char *key_id,
                                               uint32_t deadline_ms, tdsa_err *err) TDSA_NONNULL;
/** An existing key. */
typedef struct {
    part_key_spec key;
    /* the private key as its formats hold it: a big-endian number, leading zeros allowed; Ed25519: the
     * 32 bytes of RFC 8032. Lent for the call. */
    const tdsa_secret *private_key;
    const uint8_t *chain_code; /* 32 bytes; NULL: a random one */
    /* what it must belong to, in a form of SEC 1 or RFC 8032; NULL: unknown */
    const uint8_t *public_key; /* as the key's file says */
    size_t public_key_len;
    const uint8_t *expected_key; /* as the caller says */
    size_t expected_key_len;
} part_import_spec;
/**
 * Registers a key and shares out an existing private key for it; returns when all participants have it
 * ACTIVE. A key id that was registered with the same spec and has no share yet may be given again.
 * Errors: TDSA_E_DENIED (importKeys is not set, or there is no audit log, here or at a peer),
 * TDSA_E_BAD_INPUT (the key is out of range, or not that of the public key), TDSA_E_CONFLICT (there is
 * such a key; CLIENT_PARTICIPATES), TDSA_E_STORE (not recorded), and those of register and generate.
 */
TDSA_MUST_USE tdsa_status part_engine_import(part_engine *e, const part_import_spec *spec,
                                             uint32_t deadline_ms, char *key_id_out, tdsa_err *err)
    TDSA_NONNULL;
/** Makes `count` presignatures. Errors: TDSA_E_LIMIT (would pass the key's limit or a cap of the
 * configuration: none made). */
TDSA_MUST_USE tdsa_status part_engine_presign(part_engine *e, const char *key_id, uint32_t count,
                                              uint32_t deadline_ms, tdsa_err *err) TDSA_NONNULL;
/** Presignatures that this participant can combine now: what nobody leased, and the rest of its own
 * lease. Those that other participants coordinate are not counted. */
TDSA_MUST_USE tdsa_status part_engine_available(part_engine *e, const char *key_id, uint64_t *out,
                                                tdsa_err *err) TDSA_NONNULL;
/** The same over all keys. */
TDSA_MUST_USE tdsa_status part_engine_available_all(part_engine *e, uint64_t *out, tdsa_err *err)
    TDSA_NONNULL;
/** Drops the stock of a key here (peers keep theirs; it can never be used). */
TDSA_MUST_USE tdsa_status part_engine_purge(part_engine *e, const char *key_id, uint64_t *dropped,
                                            tdsa_err *err) TDSA_NONNULL;
/** The same for every key. */
TDSA_MUST_USE tdsa_status part_engine_purge_all(part_engine *e, uint64_t *dropped, tdsa_err *err)
    TDSA_NONNULL;
/** Changes how many presignatures of a key may be in stock here; -1: any number. What is there stays.
 * Errors: TDSA_E_BAD_INPUT (below -1), TDSA_E_NOT_FOUND. */
TDSA_MUST_USE tdsa_status part_engine_set_limit(part_engine *e, const char *key_id, int64_t limit,
                                                tdsa_err *err) TDSA_NONNULL;

/** Of the presignatures that this participant coordinates (local, no network). */
typedef struct {
    uint32_t members;   /* the committee: bit (1 << participantIndex); 0 in the total */
    uint64_t available; /* nobody leased them */
    uint64_t leased;    /* by this process, not used yet */
    uint64_t used;      /* used, lost or deleted; of the batches that are still kept */
} part_stock_count;
#define PART_COMMITTEES_MAX 70u /* C(8, 4) */
typedef struct {
    part_stock_count total;
    int64_t limit; /* -1: none */
    size_t committee_count;
    part_stock_count committee[PART_COMMITTEES_MAX]; /* oldest batch first */
} part_stock_info;
/** Errors: TDSA_E_NOT_FOUND. */
TDSA_MUST_USE tdsa_status part_engine_stock(part_engine *e, const char *key_id,
                                            part_stock_info *out, tdsa_err *err) TDSA_NONNULL;

/** One presignature as people name it: 64 hexadecimal digits of its batch, '-', its place in it. */
#define PART_PRESIG_ID_MAX 72u
typedef struct {
    uint8_t beta[KS_BETA_LEN];
    uint32_t index;
} part_presig_id;
void part_presig_id_put(char out[PART_PRESIG_ID_MAX], const part_presig_id *id) TDSA_NONNULL;
/** False when it is none. */
bool part_presig_id_parse(part_presig_id *out, const char *text) TDSA_NONNULL;

/** Presignatures first.index .. to-1 of one batch, all available. */
typedef struct {
    part_presig_id first;
    uint32_t to;
    uint32_t members;
} part_presig_range;
/** Called under the engine's lock; return false to stop. */
typedef bool (*part_presig_fn)(void *ctx, const part_presig_range *r);
/** The available presignatures of a key that this participant coordinates, oldest first. */
TDSA_MUST_USE tdsa_status part_engine_presignatures(part_engine *e, const char *key_id,
                                                    part_presig_fn fn, void *ctx, tdsa_err *err)
    __attribute__((nonnull(1, 2, 3, 5)));
/** Deletes one presignature here: nobody signs with it any more. Errors: TDSA_E_NOT_FOUND,
 * TDSA_E_CONFLICT (used, deleted already, or leased by another process). */
TDSA_MUST_USE tdsa_status part_engine_delete_presignature(part_engine *e, const char *key_id,
                                                          const part_presig_id *id, tdsa_err *err)
    TDSA_NONNULL;

#define PART_GRACE_DEFAULT UINT64_MAX
#define PART_TELL_LATER    UINT32_MAX /* a deadline of part_engine_delete */
/** No grace period is longer: 366 days. */
#define PART_GRACE_MAX_MS UINT64_C(31622400000)
/**
 * Orders a key to be deleted: it is out of use at once, here and at every participant that hears of it,
 * and each wipes its share when the grace period is over (cfg.deletion_grace_*). Until then
 * part_engine_undelete brings it back. Participants that do not answer are told later, with the deadline PART_TELL_LATER
 * all of them (part_key_info.deletion_pending). What was never ACTIVE is wiped at once; what is being deleted stays so.
 * Errors: TDSA_E_NOT_FOUND (no such key, or wiped), TDSA_E_CONFLICT (CLIENT_PARTICIPATES), TDSA_E_BAD_INPUT
 * (grace_ms out of bounds), TDSA_E_STORE.
 */
TDSA_MUST_USE tdsa_status part_engine_delete(part_engine *e, const char *key_id, uint64_t grace_ms,
                                             uint32_t deadline_ms, tdsa_err *err) TDSA_NONNULL;
/**
 * Undoes a deletion: first every participant of the key must say that it keeps its share, then the key
 * is ACTIVE again. Nothing to do: TDSA_OK.
 * Errors: TDSA_E_CONFLICT (no deletion was ordered; CLIENT_PARTICIPATES), TDSA_E_NOT_FOUND (wiped here
 * or by a participant: it is gone), TDSA_E_UNAVAILABLE (UNDOING: who has heard keeps it, and it comes
 * back by itself when the participant that is named has), TDSA_E_STORE.
 */
TDSA_MUST_USE tdsa_status part_engine_undelete(part_engine *e, const char *key_id,
                                               uint32_t deadline_ms, tdsa_err *err) TDSA_NONNULL;
/** The newest order about a key, also when it is wiped. */
typedef struct {
    ks_deletion_state state;
    uint64_t due_ms;  /* SCHEDULED: wall clock */
    uint32_t pending; /* participants not known to have heard of it, bit per index */
} part_deletion_info;
/** Local. Errors: TDSA_E_NOT_FOUND (there was none). */
TDSA_MUST_USE tdsa_status part_engine_deletion(part_engine *e, const char *key_id,
                                               part_deletion_info *out, tdsa_err *err) TDSA_NONNULL;

/** What a reshare changes; zeros leave things as they are. */
typedef struct {
    uint16_t members[GRP_PARTIES_MAX]; /* the new participants, ascending */
    size_t member_count;               /* 0: the same participants */
    uint16_t t;                        /* 0: the same threshold; member_count >= 2t+1 */
} part_reshare_spec;
/**
 * Gives the key new shares under epoch+1 (proactive refresh when nothing changes), at the same public key and
 * chain code. All presignatures of the old epoch are void; the old shares are erased when all new participants
 * have the new ones ACTIVE. Errors: TDSA_E_DENIED (disableReshare here or at a peer, or the key's policy),
 * TDSA_E_CONFLICT (not ACTIVE; CLIENT_PARTICIPATES), TDSA_E_BAD_INPUT (members), TDSA_E_UNAVAILABLE / TIMEOUT /
 * PROTOCOL (participant named; the old epoch stays usable).
 */
TDSA_MUST_USE tdsa_status part_engine_reshare(part_engine *e, const char *key_id,
                                              const part_reshare_spec *spec, uint32_t deadline_ms,
                                              tdsa_err *err) TDSA_NONNULL;
#define PART_BACKUP_LEN_MAX     (16u * 1024u)
#define PART_PASSPHRASE_LEN_MIN 8u
#define PART_PASSPHRASE_LEN_MAX 1024u
/** How errors begin that say that a share was restored (here or at the participant named) and waits
 * for a refresh. A call that signs or presigns and may coordinate makes it, and tries once more. */
#define PART_RESTORED "RESTORED"
/**
 * The backup of this participant's share of an ACTIVE key, sealed under a passphrase of 8 to 1024 bytes: share,
 * public half, label, attributes, limit. Recorded in the audit log. Local; takes half a second and 128 MiB.
 * Errors: TDSA_E_NOT_FOUND, TDSA_E_CONFLICT (not ACTIVE, RESTORED), TDSA_E_BAD_INPUT (passphrase), TDSA_E_LOGIN.
 */
TDSA_MUST_USE tdsa_status part_engine_backup(part_engine *e, const char *key_id,
                                             const char *passphrase, tdsa_buf *out, tdsa_err *err)
    TDSA_NONNULL;
/**
 * Restores a share at the participant that it was backed up at, into a store that does not have the key. All
 * presignatures of this store are given up, here and at the peers. The key is RESTORED until it is refreshed: a
 * server without a client asks for that by itself; else the client does, when it settles or with its first use. key_id_out: room for
 * KS_KEY_ID_MAX + 1. Errors: TDSA_E_BAD_INPUT (cut, malformed), TDSA_E_DENIED (wrong passphrase or edited; of
 * another participant or identity; disableReshare or the policy forbids the refresh), TDSA_E_CONFLICT (the key is
 * here; BACKUP_TOO_OLD: the participants have left that epoch), TDSA_E_NOT_FOUND (deleted), TDSA_E_UNAVAILABLE.
 */
TDSA_MUST_USE tdsa_status part_engine_restore(part_engine *e, const uint8_t *backup, size_t len,
                                              const char *passphrase, uint32_t deadline_ms,
                                              char *key_id_out, tdsa_err *err) TDSA_NONNULL;
/** Local, never touches the network. */
TDSA_MUST_USE tdsa_status part_engine_key(part_engine *e, const char *key_id, part_key_info *out,
                                          tdsa_err *err) TDSA_NONNULL;
typedef bool (*part_key_fn)(void *ctx, const part_key_info *k);
typedef struct {
    const char *after, *label; /* keys above this id, with exactly this label; NULL: any */
    size_t limit;              /* 0: none */
    bool all_states;           /* else ACTIVE ones */
    /* 0, or a value of ks_change_counter: what changed after it alone (ks_key_each_changed), each key in its
     * state; DELETED: it is gone or cannot be read. The rest of the filter is not looked at. */
    uint64_t changed_after;
} part_key_filter;
/** Local. ACTIVE keys only unless `all_states`. Errors: with changed_after TDSA_E_CONFLICT, no key: list all. */
TDSA_MUST_USE tdsa_status part_engine_list(part_engine *e, const part_key_filter *filter,
                                           part_key_fn fn, void *ctx, tdsa_err *err)
    __attribute__((nonnull(1, 2, 3, 5)));
/** Local: label and the caller's own attributes. */
TDSA_MUST_USE tdsa_status part_engine_set_attrs(part_engine *e, const char *key_id,
                                                const char *label, const uint8_t *attrs,
                                                size_t attrs_len, tdsa_err *err) TDSA_NONNULL;

/* ---- recovery ---- */

#define PART_RECOVERY_INFOS_MAX (PART_ERS_CERTIFICATES_MAX * GRP_PARTIES_MAX)

/** What part_engine_recovery is asked; lent. */
typedef struct {
    const char *key_id;
    const uint8_t *aux; /* auxiliary data, bound into the infos and readable in them; may be NULL */
    size_t aux_len;     /* at most MPC_RECOVERY_AUX_MAX */
    bool local;         /* this participant's infos only; no network, also for keys of a client */
} part_recovery_request;

typedef struct {
    uint16_t participant;
    uint8_t certificate[32]; /* SHA-256 */
    tdsa_buf bytes;          /* mpc_recovery_decode reads it */
} part_recovery_info;
/** Clear with part_recovery_package_clear. */
typedef struct {
    uint32_t epoch;
    uint8_t public_key[GRP_POINT_LEN_MAX]; /* of the root, compressed */
    size_t public_key_len;
    size_t count; /* ascending by participant */
    part_recovery_info infos[PART_RECOVERY_INFOS_MAX];
} part_recovery_package;
void part_recovery_package_clear(part_recovery_package *pkg) TDSA_NONNULL;

/**
 * Recovery infos (protocol/recovery.h) of an ACTIVE key under every configured certificate: of all
 * participants, each verified with its proof and chain code before it is handed out, or of this one.
 * Errors: TDSA_E_CONFLICT (NO_CERTIFICATE; CERTIFICATES_DIFFER names the participant;
 * CLIENT_PARTICIPATES; EPOCH), TDSA_E_NOT_FOUND, TDSA_E_LOGIN, TDSA_E_BAD_INPUT (too much auxiliary
 * data), TDSA_E_PROTOCOL (the participant named sent a bad one), TDSA_E_UNAVAILABLE / TIMEOUT.
 */
TDSA_MUST_USE tdsa_status part_engine_recovery(part_engine *e, const part_recovery_request *req,
                                               uint32_t deadline_ms, part_recovery_package *out,
                                               tdsa_err *err) TDSA_NONNULL;

/* ---- export ---- */

/** What is exported; lent. */
typedef struct {
    const char *key_id;
    uint8_t certificate[32]; /* SHA-256 of one of the exportCertificates */
    const uint32_t *path;    /* of a child; may be NULL */
    uint16_t path_len;
} part_export_spec;

/* How errors begin that say whose approval is missing or too old; TDSA_E_DENIED. */
#define PART_NOT_APPROVED        "NOT_APPROVED"
#define PART_APPROVAL_EXPIRED    "APPROVAL_EXPIRED"
#define PART_APPROVAL_DEFAULT_MS UINT64_C(900000)
#define PART_APPROVAL_MAX_MS     UINT64_C(604800000)

/**
 * This participant's approval of one export, of the epoch that is in use now; recorded in the audit log
 * first. The same again replaces it. Local. *expires_ms: wall clock.
 * Errors: TDSA_E_NOT_FOUND, TDSA_E_DENIED (the key's policy, another certificate, no audit log),
 * TDSA_E_BAD_INPUT (path, valid_ms), TDSA_E_LOGIN, TDSA_E_STORE.
 */
TDSA_MUST_USE tdsa_status part_engine_approve_export(part_engine *e, const part_export_spec *spec,
                                                     uint64_t valid_ms, uint64_t *expires_ms,
                                                     tdsa_err *err) TDSA_NONNULL;
/**
 * Exports an ACTIVE key, or a child of it: an info of a fresh sharing per participant, all verified.
 * Every server must have approved it; that of a client is this call. Each approval is good for one.
 * Errors: as part_engine_recovery, and TDSA_E_DENIED (PART_NOT_APPROVED, PART_APPROVAL_EXPIRED, policy,
 * certificate, audit log; here or at the participant named).
 */
TDSA_MUST_USE tdsa_status part_engine_export(part_engine *e, const part_export_spec *spec,
                                             uint32_t deadline_ms, part_recovery_package *out,
                                             tdsa_err *err) TDSA_NONNULL;

/* ---- signing ---- */

typedef struct {
    const char *key_id;
    tdsa_hash_alg digest_alg; /* what the payload is a digest of, or is to be hashed with */
    const uint8_t *payload;   /* digest (purpose digest) or message (purpose message), lent */
    size_t payload_len;
    const uint32_t *path; /* derivation, may be NULL */
    uint16_t path_len;
    bool low_s;
    /* BIP-340 only: sign for the taproot output key; merkle_root NULL: without a script tree */
    bool taproot;
    const uint8_t *merkle_root; /* 32 bytes, lent */
} part_sign_request;

typedef struct {
    /* ECDSA: r | s, big-endian, fixed width; EdDSA: the 64 bytes of RFC 8032; BIP-340: its 64 */
    uint8_t rs[2 * GRP_SCALAR_LEN_MAX];
    size_t rs_len;
    uint8_t recovery_id;
    char session_id[40]; /* what the peers log too; filled also when signing fails */
} part_sign_result;

/**
 * Signs: takes a presignature (making a batch first when the stock is empty), asks the committee,
 * combines, verifies, releases. A lost session is opened again and tried once more inside the
 * deadline, with another presignature.
 * Errors: TDSA_E_NOT_FOUND, TDSA_E_DENIED (policy), TDSA_E_LIMIT (part_is_rate_limited: the rate of
 * the key's policy; nothing was burnt at who refused), TDSA_E_LOGIN (store locked), TDSA_E_BAD_INPUT,
 * TDSA_E_UNAVAILABLE, TDSA_E_TIMEOUT, TDSA_E_PROTOCOL, TDSA_E_VERIFY (participant named where known).
 */
TDSA_MUST_USE tdsa_status part_engine_sign(part_engine *e, const part_sign_request *req,
                                           uint32_t deadline_ms, part_sign_result *out,
                                           tdsa_err *err) TDSA_NONNULL;

#define PART_BATCH_ITEMS_MAX 1000u
#define PART_BATCH_BYTES_MAX (2u << 20) /* digests and messages of one batch together */

/** One request of a batch: what became of it. */
typedef struct {
    tdsa_err err; /* status TDSA_OK: `sign` is filled */
    part_sign_result sign;
} part_batch_item;

/**
 * Signs up to PART_BATCH_ITEMS_MAX requests of one key (req[i].key_id is not read) with one exchange
 * per committee member for all of them; in prepare mode with two. out[i] belongs to req[i]: a request
 * that fails does not fail the others. Stock that is missing is made first, within the key's limit.
 * Presignatures of several committees, and requests that are tried again, take another exchange.
 * TDSA_OK: each item says how it ended. Errors, nothing was begun: TDSA_E_BAD_INPUT (no or too many
 * requests, more than PART_BATCH_BYTES_MAX), TDSA_E_NOT_FOUND, TDSA_E_CONFLICT, TDSA_E_LOGIN,
 * TDSA_E_BUSY (too many batches at once), TDSA_E_NO_MEMORY.
 */
TDSA_MUST_USE tdsa_status part_engine_sign_batch(part_engine *e, const char *key_id,
                                                 const part_sign_request *req, size_t count,
                                                 uint32_t deadline_ms, part_batch_item *out,
                                                 tdsa_err *err) TDSA_NONNULL;

/** How errors about the rate of a policy begin, here or at the participant that they name. */
#define PART_RATE_LIMITED "RATE_LIMITED"
/** The rate of a key's policy is used up here or at a peer: try again after 60/rate seconds. */
static inline bool part_is_rate_limited(const tdsa_err *err)
{
    return err->status == TDSA_E_LIMIT && strstr(err->text, PART_RATE_LIMITED) != NULL;
}

/* ---- partial signatures, for callers that ask the members themselves (local, no network) ---- */

#define PART_PARTIAL_TIMEOUT_MS 3600000u

/* How errors of these calls begin that callers tell apart; TDSA_E_CONFLICT, the last NOT_FOUND. */
#define PART_PRESIGNATURE_USED "PRESIGNATURE_USED"
#define PART_SIGNATURE_FAILED  "SIGNATURE_FAILED"
#define PART_EXPIRED           "EXPIRED"
#define PART_PARTIAL_UNKNOWN   "PARTIAL_UNKNOWN"

typedef struct {
    uint16_t participant; /* whose part it is */
    uint64_t expires_ms;  /* wall clock: it can be combined until then */
    tdsa_buf bytes;       /* stmt("partial", version, octets Q, octets reply); clear it */
} part_partial_result;

/**
 * This participant's part of a signature with the presignature `id`, after all checks that it makes
 * when a coordinator asks. The presignature is used up for this request, durably; one that this
 * participant coordinates must not be leased. The same request again gives the same bytes until they
 * expire, also after a restart.
 * Errors: TDSA_E_CONFLICT (PART_PRESIGNATURE_USED: for ever; PART_EXPIRED; PART_SIGNATURE_FAILED;
 * CLIENT_PARTICIPATES), TDSA_E_NOT_FOUND (no such key, or no member of that committee), TDSA_E_DENIED
 * (policy, prepare mode), TDSA_E_LIMIT (the key's rate; KS_PARTIALS_MAX), TDSA_E_BAD_INPUT, TDSA_E_LOGIN,
 * TDSA_E_STORE.
 */
TDSA_MUST_USE tdsa_status part_engine_partial(part_engine *e, const part_sign_request *req,
                                              const part_presig_id *id, part_partial_result *out,
                                              tdsa_err *err) TDSA_NONNULL;

typedef struct {
    const uint8_t *bytes;
    size_t len;
} part_bytes;

typedef struct {
    uint8_t rs[2 * GRP_SCALAR_LEN_MAX]; /* as part_sign_result */
    size_t rs_len;
    uint8_t recovery_id;
    uint32_t path[MPC_PATH_MAX]; /* what the request was derived by */
    uint16_t path_len;
} part_combined;

/**
 * Combines the partial signatures of a whole committee, this participant's among them, and verifies;
 * only then the signature comes out. The same again gives the same.
 * Errors: TDSA_E_BAD_INPUT (malformed, of different requests, a member twice or missing, no member:
 * participant named), TDSA_E_CONFLICT (PART_EXPIRED; PART_SIGNATURE_FAILED; PART_PRESIGNATURE_USED: this
 * participant answered another request; another epoch), TDSA_E_NOT_FOUND (PART_PARTIAL_UNKNOWN; no such
 * key or presignature here), TDSA_E_VERIFY (alarm; never tried again), TDSA_E_DENIED, TDSA_E_STORE.
 */
TDSA_MUST_USE tdsa_status part_engine_combine(part_engine *e, const char *key_id,
                                              const part_bytes *partials, size_t count,
                                              part_combined *out, tdsa_err *err) TDSA_NONNULL;

/** Public key of a derivation path (local). Errors: TDSA_E_DENIED (path too short). */
TDSA_MUST_USE tdsa_status part_engine_public_key(part_engine *e, const char *key_id,
                                                 const uint32_t *path, uint16_t path_len,
                                                 uint8_t *out, size_t *out_len, tdsa_err *err)
    __attribute__((nonnull(1, 2, 5, 6, 7)));

/** Extended public key (BIP32 xpub) of a derivation path of a bip32 key (local). out: room for
 * MPC_XPUB_TEXT_MAX. Whoever has it and one private key below it has the private key at its depth.
 * Errors: TDSA_E_NOT_FOUND, TDSA_E_DENIED (path shorter than the key's minimum for xpubs, no
 * derivation), TDSA_E_BAD_INPUT (the path). */
TDSA_MUST_USE tdsa_status part_engine_xpub(part_engine *e, const char *key_id, const uint32_t *path,
                                           uint16_t path_len, char *out, tdsa_err *err)
    __attribute__((nonnull(1, 2, 5, 6)));

/* ---- servers ---- */

/**
 * Handles one request of the protocol port. `reply` is called exactly once, now or later, from any
 * thread that calls into the engine: with status TDSA_OK and the body of the reply, or with an error
 * (BAD_INPUT -> 400, NOT_FOUND unknown session -> 404, DENIED -> 403, CONFLICT -> 409,
 * LIMIT/BUSY -> 503, TIMEOUT -> 504, others 500).
 */
typedef void (*part_reply_fn)(void *ctx, const uint8_t *body, size_t len, const tdsa_err *err);
void part_engine_handle(part_engine *e, const char *session_id, const uint8_t *body, size_t len,
                        part_reply_fn reply, void *ctx) TDSA_NONNULL;
/** Runs on a communication thread of the daemon until part_engine_stop: performs exchanges that
 * requests caused (server to server) and the due tasks. */
void part_engine_work(part_engine *e) TDSA_NONNULL;
/** Asks every server peer whether it is there. ok[index] for 0..n-1 (self and client: true).
 * Errors: TDSA_E_UNAVAILABLE naming the first that is not, when fewer than 2t+1 are. */
TDSA_MUST_USE tdsa_status part_engine_ping(part_engine *e, uint32_t deadline_ms, bool *ok,
                                           tdsa_err *err) TDSA_NONNULL;

/**
 * Settles keys whose generation was cut off between PENDING and ACTIVE, and orders to delete keys that
 * were not told to all or are due, by asking the servers; a client also refreshes its RESTORED keys. Returns
 * when nothing is left that could be settled now, at the latest after limit_ms; without such a key at once.
 * For callers whose process lives too short for the due tasks to do it.
 */
void part_engine_settle(part_engine *e, uint32_t limit_ms) TDSA_NONNULL;

typedef struct {
    uint64_t sessions, runs, exchanges_waiting, replies_waiting;
    uint64_t burned, purged, aborted_by_peer[GRP_PARTIES_MAX], verify_failures;
    uint64_t keys_cached, key_hits,
        key_misses;     /* in memory now; uses that found the key there, or not */
    uint64_t rollbacks; /* times that this store was found to be an old copy */
    uint64_t heard;     /* requests of peers */
} part_stats;
void part_engine_stats(part_engine *e, part_stats *out) TDSA_NONNULL;

#endif
