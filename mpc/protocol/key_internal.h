#ifndef MPC_PROTOCOL_KEY_INTERNAL_H
#define MPC_PROTOCOL_KEY_INTERNAL_H

#include "base/hash.h"
#include "protocol/key.h"

/* Only for the files of mpc/protocol. */

/** An empty key with room for its secret half. Errors: TDSA_E_NO_MEMORY. */
TDSA_MUST_USE tdsa_status mpc_key_alloc(mpc_key **out, const grp *g, bool with_secret,
                                        tdsa_err *err) TDSA_NONNULL;
/** The digest algorithm of a word in a policy or request: those of tdsa_hash_by_name and "none". */
bool mpc_digest_by_name(tdsa_hash_alg *out, const char *name) TDSA_NONNULL;
/** 1 to MPC_KEY_ID_MAX printable ASCII characters without blanks. */
bool mpc_key_id_valid(const char *id) TDSA_NONNULL;
/** 2t+1 <= n <= GRP_PARTIES_MAX and 1 <= t <= GRP_THRESHOLD_MAX. */
bool mpc_key_sizes_valid(unsigned n, unsigned t);
/** Indices below GRP_PARTIES_MAX, ascending, none twice. */
bool mpc_members_valid(const mpc_member *members, size_t count) TDSA_NONNULL;
/** The sets of t+1 members that `who` is in, lexicographic; returns how many. */
size_t mpc_key_sets_with(grp_set out[GRP_MY_SETS_MAX], const mpc_key_public *pub, uint16_t who)
    TDSA_NONNULL;
/** The list [[index, id, X25519, X448] ...] of statements that name participants. */
void mpc_put_members(tdsa_buf *b, const mpc_member *members, size_t count) TDSA_NONNULL;
/** Checks a committee: exactly 2t+1 members of the key, ascending, `me` among them. */
bool mpc_committee_valid(const mpc_key *key, const uint16_t *committee, size_t count) TDSA_NONNULL;

#endif
