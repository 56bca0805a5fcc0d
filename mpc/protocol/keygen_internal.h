#ifndef MPC_PROTOCOL_KEYGEN_INTERNAL_H
#define MPC_PROTOCOL_KEYGEN_INTERNAL_H

#include "protocol/key_internal.h"
#include "protocol/keygen.h"
#include "protocol/round.h"

/* The inside of a key generation, shared by the keygen*.c files only. */

#define KEYGEN_PART_LEN 32u /* chain code part, contribution, salt */

/** Why a dealer is complained about; the number travels. */
typedef enum {
    KEYGEN_FINE = 0,
    KEYGEN_BAD_LENGTH = 1,
    KEYGEN_BAD_FORM = 2,
    KEYGEN_BAD_COMMITMENT = 3,
    KEYGEN_BAD_PROOF = 4,
    KEYGEN_BAD_SHARE = 5,
    KEYGEN_BAD_CC_PART = 6,
    KEYGEN_BAD_CONTRIBUTION = 7
} keygen_reason;
#define KEYGEN_REASON_MAX 7u

/** What never leaves this participant, or only privately. Lives in a tdsa_secret. */
typedef struct {
    grp_poly f;
    grp_scalar share; /* sum of the f_i(me) taken so far */
    uint8_t cc[GRP_PARTIES_MAX][KEYGEN_PART_LEN];
    /* contributions to my sets, by position in key->sec->sets and position in the set */
    uint8_t set_part[GRP_MY_SETS_MAX][GRP_THRESHOLD_MAX + 1][KEYGEN_PART_LEN];
    uint8_t pair_part[GRP_PARTIES_MAX][2][KEYGEN_PART_LEN]; /* pair (me, i): lower index first */
} keygen_secret;

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
    bool stored;
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

/* keygen_deal.c: round 1 and 2 */

/** Draws my polynomial, proof, parts and salt; makes my opening and commitment. */
TDSA_MUST_USE tdsa_status keygen_deal_make(mpc_keygen *run, tdsa_err *err) TDSA_NONNULL;
/** My private part for `to`. */
void keygen_deal_private(const mpc_keygen *run, uint16_t to, tdsa_buf *out) TDSA_NONNULL;
size_t keygen_open_len(const mpc_keygen *run, uint16_t from) TDSA_NONNULL;
size_t keygen_private_len(const mpc_keygen *run, uint16_t from, uint16_t to) TDSA_NONNULL;
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

#endif
