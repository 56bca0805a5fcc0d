#ifndef MPC_PROTOCOL_KEY_INTERNAL_H
#define MPC_PROTOCOL_KEY_INTERNAL_H

#include "protocol/key.h"

/* Only for the files of mpc/protocol. */

/** An empty key with room for its secret half. Errors: TDSA_E_NO_MEMORY. */
TDSA_MUST_USE tdsa_status mpc_key_alloc(mpc_key **out, const grp *g, bool with_secret,
                                        tdsa_err *err) TDSA_NONNULL;
/** 1 to MPC_KEY_ID_MAX printable ASCII characters without blanks. */
bool mpc_key_id_valid(const char *id) TDSA_NONNULL;
/** n, t and me of a key: 2t+1 <= n <= GRP_PARTIES_MAX, 1 <= t <= GRP_THRESHOLD_MAX, me < n. */
bool mpc_key_sizes_valid(unsigned n, unsigned t, unsigned me);
/** The sets of t+1 out of n that `me` is in, lexicographic; returns how many. */
size_t mpc_key_my_sets(grp_set out[GRP_MY_SETS_MAX], uint16_t n, uint16_t t, uint16_t me)
    TDSA_NONNULL;
/** Checks a committee: exactly 2t+1, ascending, all below n, `me` among them. */
bool mpc_committee_valid(const mpc_key *key, const uint16_t *committee, size_t count) TDSA_NONNULL;

#endif
