#ifndef MPC_PROTOCOL_KEYGEN_INTERNAL_H
#define MPC_PROTOCOL_KEYGEN_INTERNAL_H

#include "protocol/export.h"
#include "protocol/import.h"
#include "protocol/key_internal.h"
#include "protocol/keygen.h"
#include "protocol/recovery_internal.h"
#include "protocol/reshare.h"
#include "protocol/round.h"

/* The inside of a key generation, reshare, import or export, shared by keygen*.c, reshare.c, import.c and
 * export.c only. */

#define KEYGEN_PART_LEN 32u /* chain code part, contribution, salt */
#define KEYGEN_SID_LEN  32u

/** Why a dealer is complained about; the number travels. */
typedef enum {
    KEYGEN_FINE = 0,
    KEYGEN_BAD_LENGTH = 1,
    KEYGEN_BAD_FORM = 2,
    KEYGEN_BAD_COMMITMENT = 3,
    KEYGEN_BAD_PROOF = 4,
    KEYGEN_BAD_SHARE = 5,
    KEYGEN_BAD_CC_PART = 6,
    KEYGEN_BAD_CONTRIBUTION = 7,
    KEYGEN_BAD_CONSTANT = 8 /* reshare: C_{i,0} is not lambda_i*X_i; import: it is not Y */
} keygen_reason;
#define KEYGEN_REASON_MAX 8u

typedef enum {
    KEYGEN_NEW,
    KEYGEN_RESHARE,
    KEYGEN_REFRESH,
    KEYGEN_IMPORT,
    KEYGEN_EXPORT
} keygen_kind;

/** What never leaves this participant, or only privately. Lives in a tdsa_secret. */
typedef struct {
    grp_poly f;
    grp_scalar share; /* sum of the f_i(me) taken so far */
    uint8_t cc[GRP_PARTIES_MAX][KEYGEN_PART_LEN];
    /* contributions to my sets, by position in key->sec->sets and position in the set */
    uint8_t set_part[GRP_MY_SETS_MAX][GRP_THRESHOLD_MAX + 1][KEYGEN_PART_LEN];
    uint8_t pair_part[GRP_PARTIES_MAX][2][KEYGEN_PART_LEN]; /* pair (me, i): lower index first */
    grp_scalar old_share; /* reshare: a dealer's; import: the dealer's, the key itself */
} keygen_secret;

/** The old epoch of a reshare, as the dealers report it in round 0; of an import the record of its dealer:
 * y, cc, record, digest, known and told_by. */
typedef struct {
    uint32_t epoch;
    uint16_t n, t;
    uint16_t indices[GRP_PARTIES_MAX];
    mpc_member dealers[GRP_PARTIES_MAX];
    uint16_t dealer_count;
    bool known;       /* y, x, cc, record and digest are there */
    bool mine;        /* ... from my own record of this epoch, not from a dealer */
    uint16_t told_by; /* the dealer that they are from */
    bool earlier;     /* there is a record of an earlier epoch here: the same key and chain code */
    grp_point earlier_y;
    uint8_t earlier_cc[32];
    grp_point y, x[GRP_PARTIES_MAX]; /* x: by participant index */
    uint8_t cc[32];
    tdsa_buf record; /* the statement "key" */
    uint8_t digest[64];
} keygen_old;

/** What an export is about, and what comes of it. */
typedef struct {
    uint16_t coordinator;
    uint32_t path[MPC_PATH_MAX];
    size_t path_len;
    const tdsa_rsa_cert *cert;      /* lent */
    uint8_t cc[32];                 /* of what is exported */
    tdsa_buf info[GRP_PARTIES_MAX]; /* mine from round 4 on; at the coordinator all, as they come */
    size_t head_len;                /* of an info, up to the end of its context: the same in all */
} keygen_export;

typedef struct {
    bool made;
    uint16_t dealer;
    keygen_reason reason;
} keygen_complaint;

struct mpc_keygen {
    mpc_round round;
    const grp *g;
    tdsa_rng rng;
    mpc_key *key; /* sizes, names, members, policy and my sets from the start */
    keygen_secret *sec;
    tdsa_secret *sec_mem;
    /* bit (1 << index): who deals a polynomial, who gets a share; in key generation everybody does */
    uint16_t dealers, getters;
    keygen_kind kind;
    uint16_t importer;             /* import: who deals the key */
    keygen_old old;                /* not in key generation */
    keygen_export exported;        /* in an export */
    size_t sets_each, sets_shared; /* sets of t+1 that a getter is in, that two are in */
    uint8_t inputs[64];            /* H of what sid covers, without the random values */
    uint8_t random[GRP_PARTIES_MAX][KEYGEN_PART_LEN];
    uint8_t sid[64]; /* full digest; its first 32 bytes name the run */
    uint8_t com[GRP_PARTIES_MAX][64];
    tdsa_buf open[GRP_PARTIES_MAX]; /* openings as received, mine included */
    grp_point c[GRP_PARTIES_MAX][GRP_THRESHOLD_MAX + 1];
    keygen_complaint complaint[GRP_PARTIES_MAX]; /* by complainer */
    uint8_t view[GRP_PARTIES_MAX][64];
    uint16_t confirm_bad; /* bit per sender */
    bool stored, active;
};

static inline bool keygen_takes_part(const mpc_keygen *run, uint16_t index)
{
    return (run->round.members >> index & 1u) != 0;
}
static inline bool keygen_deals(const mpc_keygen *run, uint16_t index)
{
    return (run->dealers >> index & 1u) != 0;
}
static inline bool keygen_gets(const mpc_keygen *run, uint16_t index)
{
    return (run->getters >> index & 1u) != 0;
}

/** Everybody adds a sharing of 0 to its share: a refresh, whether it is kept or exported. */
static inline bool keygen_refreshes(const mpc_keygen *run)
{
    return run->kind == KEYGEN_REFRESH || run->kind == KEYGEN_EXPORT;
}
/** The constant of `from`'s polynomial is 0: it has no secret of its own in it. */
static inline bool keygen_zero_constant(const mpc_keygen *run, uint16_t from)
{
    return keygen_refreshes(run) || (run->kind == KEYGEN_IMPORT && from != run->importer);
}
/** `from` says in round 0 what the run is about. */
static inline bool keygen_tells_record(const mpc_keygen *run, uint16_t from)
{
    return run->kind == KEYGEN_IMPORT ? from == run->importer
                                      : run->kind != KEYGEN_NEW && keygen_deals(run, from);
}

/** Commitments in an opening of `from`: a constant of 0 is left out. */
static inline size_t keygen_point_count(const mpc_keygen *run, uint16_t from)
{
    if (!keygen_deals(run, from)) {
        return 0;
    }
    return keygen_zero_constant(run, from) ? run->key->pub.t : run->key->pub.t + 1u;
}
static inline bool keygen_proves(const mpc_keygen *run, uint16_t from)
{
    return keygen_deals(run, from) && !keygen_zero_constant(run, from);
}

/* keygen.c: for reshare.c */

/** What holds for every run. */
TDSA_MUST_USE tdsa_status keygen_check_cfg(const mpc_keygen_cfg *cfg, tdsa_err *err) TDSA_NONNULL;
/** A run with its key and secrets; whatever comes, the caller frees *out. dealers: bits. */
TDSA_MUST_USE tdsa_status keygen_alloc(mpc_keygen **out, const mpc_keygen_cfg *cfg,
                                       keygen_kind kind, uint16_t dealers, tdsa_err *err)
    TDSA_NONNULL;
/** My inputs and random value: ready for round 0. */
TDSA_MUST_USE tdsa_status keygen_begin(mpc_keygen *run, tdsa_err *err) TDSA_NONNULL;
uint16_t keygen_member_bits(const mpc_member *members, size_t count) TDSA_NONNULL;

/* reshare.c */

/** What this participant knows of the old epoch from its own record, cfg->mine: of cfg only what tells of
 * the old epoch and its dealers counts. */
TDSA_MUST_USE tdsa_status reshare_fill_old(mpc_keygen *run, const mpc_reshare_cfg *cfg,
                                           tdsa_err *err) TDSA_NONNULL;

/** Appends the fields of sid that a reshare has beyond those of a key generation. */
void reshare_put_inputs(const mpc_keygen *run, tdsa_buf *b) TDSA_NONNULL;
/** The length of the record that a dealer sends in round 0. */
size_t reshare_record_len(const mpc_keygen *run) TDSA_NONNULL;
/** A dealer's record of the old epoch: the first is decoded and checked, the others are the same. */
TDSA_MUST_USE tdsa_status reshare_take_record(mpc_keygen *run, uint16_t from, const uint8_t *in,
                                              size_t len, tdsa_err *err) TDSA_NONNULL;
/** My polynomial: constant lambda_me*x_me, in a refresh 0; and its commitments. */
TDSA_MUST_USE tdsa_status reshare_make_poly(mpc_keygen *run, tdsa_err *err) TDSA_NONNULL;
/** C_{from,0} = lambda_from*X_from; of the dealer of an import: = Y. */
TDSA_MUST_USE tdsa_status reshare_constant_fits(bool *fits, const mpc_keygen *run, uint16_t from,
                                                tdsa_err *err) TDSA_NONNULL;
/** The sums of the dealings become the new public key and verification shares. */
TDSA_MUST_USE tdsa_status reshare_finish_public(mpc_keygen *run, tdsa_err *err) TDSA_NONNULL;

/* export.c */

/** Appends the fields of sid that an export has beyond those of a refresh. */
void export_put_inputs(const mpc_keygen *run, tdsa_buf *b) TDSA_NONNULL;
/** After round 3: my share of the run, moved to the child of the path, becomes my info and is wiped. */
TDSA_MUST_USE tdsa_status export_make_info(mpc_keygen *run, tdsa_err *err) TDSA_NONNULL;
/** The length of a message of round 4 to me. */
size_t export_release_len(const mpc_keygen *run) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status export_send_release(mpc_keygen *run, uint16_t to, tdsa_buf *out,
                                              tdsa_err *err) TDSA_NONNULL;
/** At the coordinator an info, which is verified; at others none. */
TDSA_MUST_USE tdsa_status export_take_release(mpc_keygen *run, uint16_t from, const uint8_t *in,
                                              size_t len, tdsa_err *err) TDSA_NONNULL;

/* import.c */

/** Appends the field of sid that an import has beyond those of a key generation. */
void import_put_inputs(const mpc_keygen *run, tdsa_buf *b) TDSA_NONNULL;
/** The length of the record that the dealer sends in round 0. */
size_t import_record_len(const mpc_keygen *run) TDSA_NONNULL;
/** The dealer's record: its point is decoded. */
TDSA_MUST_USE tdsa_status import_take_record(mpc_keygen *run, uint16_t from, const uint8_t *in,
                                             size_t len, tdsa_err *err) TDSA_NONNULL;
/** My polynomial: the constant is the key at the dealer, 0 at others; and its commitments. */
TDSA_MUST_USE tdsa_status import_make_poly(mpc_keygen *run, tdsa_err *err) TDSA_NONNULL;

/* keygen_deal.c: my dealing, and what both sides of one need */

/** Draws my polynomial over a constant, lent in locked memory, or over 0 (NULL), which is not committed to; and makes its
 * commitments. */
TDSA_MUST_USE tdsa_status keygen_deal_over(mpc_keygen *run, const grp_scalar *constant,
                                           tdsa_err *err) __attribute__((nonnull(1, 3)));
/** Draws my polynomial, proof, parts and salt; makes my opening and commitment. */
TDSA_MUST_USE tdsa_status keygen_deal_make(mpc_keygen *run, tdsa_err *err) TDSA_NONNULL;
/** My private part for `to`. */
void keygen_deal_private(const mpc_keygen *run, uint16_t to, tdsa_buf *out) TDSA_NONNULL;
size_t keygen_open_len(const mpc_keygen *run, uint16_t from) TDSA_NONNULL;
size_t keygen_private_len(const mpc_keygen *run, uint16_t from, uint16_t to) TDSA_NONNULL;
/** Hashes of contributions in an opening: a getter's sets, then its pairs. */
size_t keygen_hash_count_of(const mpc_keygen *run, uint16_t from) TDSA_NONNULL;
/** Contributions in a private part: the sets that both are in, and the pair. */
size_t keygen_part_count_of(const mpc_keygen *run, uint16_t from, uint16_t to) TDSA_NONNULL;
bool keygen_gives_share(const mpc_keygen *run, uint16_t from, uint16_t to) TDSA_NONNULL;
/** A pair as a set, lower index first. */
void keygen_pair_of(uint16_t out[2], uint16_t a, uint16_t b) TDSA_NONNULL;
size_t keygen_position_in(const grp_set *set, uint16_t index) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status keygen_hash_cc_part(uint8_t out[32], const mpc_keygen *run,
                                              uint16_t dealer, const uint8_t part[KEYGEN_PART_LEN],
                                              tdsa_err *err) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status keygen_hash_part(uint8_t out[32], const mpc_keygen *run, uint16_t dealer,
                                           const char *kind, const uint16_t *members, size_t count,
                                           const uint8_t part[KEYGEN_PART_LEN], tdsa_err *err)
    TDSA_NONNULL;
/** H of the opening under the tag 'com': the fields are the same. */
TDSA_MUST_USE tdsa_status keygen_hash_opening(uint8_t out[64], const uint8_t *open, size_t len,
                                              tdsa_err *err) TDSA_NONNULL;
/** e = H2S('pop', sid, i, all of C_i, K) */
TDSA_MUST_USE tdsa_status keygen_pop_challenge(grp_scalar *e, const mpc_keygen *run,
                                               uint16_t dealer, const grp_point *c,
                                               const grp_point *k, tdsa_err *err) TDSA_NONNULL;

/* keygen_take.c: another's dealing */

/** Checks and keeps `from`'s opening and private part. *reason tells what is wrong; only a failure
 * of our own machine is an error. */
TDSA_MUST_USE tdsa_status keygen_deal_take(mpc_keygen *run, uint16_t from, const uint8_t *in,
                                           size_t len, keygen_reason *reason, tdsa_err *err)
    TDSA_NONNULL;

/* keygen_output.c: round 3 and 4 */

/** View digest, kappa keys: what the reports are about. */
TDSA_MUST_USE tdsa_status keygen_close_deals(mpc_keygen *run, tdsa_err *err) TDSA_NONNULL;
/** How many confirms I exchange with `peer`. */
size_t keygen_confirm_count(const mpc_keygen *run, uint16_t peer) TDSA_NONNULL;
/** Confirms of `sender` (me or `peer`) for the keys that I share with `peer`, in order. */
TDSA_MUST_USE tdsa_status keygen_confirms(const mpc_keygen *run, uint16_t peer, uint16_t sender,
                                          uint8_t (*out)[64], tdsa_err *err) TDSA_NONNULL;
/** Complaints, views, confirms; then the key. */
TDSA_MUST_USE tdsa_status keygen_finish_key(mpc_keygen *run, tdsa_err *err) TDSA_NONNULL;

/* keygen_message.c: what each round sends and takes */

/** The length of `from`'s message of a round to me. */
size_t keygen_message_len(const mpc_keygen *run, unsigned round, uint16_t from) TDSA_NONNULL;
/** The length of a complaint. */
size_t keygen_complaint_len(void);
TDSA_MUST_USE tdsa_status keygen_send_random(mpc_keygen *run, uint16_t to, tdsa_buf *out,
                                             tdsa_err *err) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status keygen_take_random(mpc_keygen *run, uint16_t from, const uint8_t *in,
                                             size_t len, tdsa_err *err) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status keygen_send_commit(mpc_keygen *run, uint16_t to, tdsa_buf *out,
                                             tdsa_err *err) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status keygen_take_commit(mpc_keygen *run, uint16_t from, const uint8_t *in,
                                             size_t len, tdsa_err *err) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status keygen_send_deal(mpc_keygen *run, uint16_t to, tdsa_buf *out,
                                           tdsa_err *err) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status keygen_take_deal(mpc_keygen *run, uint16_t from, const uint8_t *in,
                                           size_t len, tdsa_err *err) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status keygen_send_report(mpc_keygen *run, uint16_t to, tdsa_buf *out,
                                             tdsa_err *err) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status keygen_take_report(mpc_keygen *run, uint16_t from, const uint8_t *in,
                                             size_t len, tdsa_err *err) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status keygen_send_stored(mpc_keygen *run, uint16_t to, tdsa_buf *out,
                                             tdsa_err *err) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status keygen_take_stored(mpc_keygen *run, uint16_t from, const uint8_t *in,
                                             size_t len, tdsa_err *err) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status keygen_send_active(mpc_keygen *run, uint16_t to, tdsa_buf *out,
                                             tdsa_err *err) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status keygen_take_active(mpc_keygen *run, uint16_t from, const uint8_t *in,
                                             size_t len, tdsa_err *err) TDSA_NONNULL;

#endif
