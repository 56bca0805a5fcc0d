#ifndef MPC_PROTOCOL_BIP32_H
#define MPC_PROTOCOL_BIP32_H

#include "protocol/key.h"

/**
 * Non-hardened derivation of BIP32 on the public key (docs/protocol.md, "BIP32 with threshold
 * keys"). All of it is public: time depends on key and path.
 * Source: BIP32, "Public parent key -> public child key" and "Serialization format"; for P-256 the
 * same steps, as SLIP-10 takes them.
 */

/** A node of the tree below a key. */
typedef struct {
    grp_scalar epsilon; /* sum of the tweaks from the root: y = Y + epsilon*G */
    grp_point y;
    uint8_t cc[32];
    uint8_t depth;
    uint8_t parent[4]; /* first bytes of HASH160 of the parent's public key; 0 at the root */
    uint32_t child;    /* last element of the path; 0 at the root */
} mpc_bip32_node;

/** The root of a key. */
void mpc_bip32_root(mpc_bip32_node *out, const mpc_key *key) TDSA_NONNULL;
/**
 * Moves a node down a path of elements below 2^31; len may be 0. `with_parent`: fill the fingerprint
 * of the parent too, which signing does not need.
 * Errors: TDSA_E_BAD_INPUT (hardened element, deeper than MPC_PATH_MAX, a tweak that is not below q,
 * the identity on the way: where SLIP-10 would try again we refuse), TDSA_E_CRYPTO. Then the node is
 * all zeros.
 */
TDSA_MUST_USE tdsa_status mpc_bip32_walk_vartime(mpc_bip32_node *node, const grp *g,
                                                 const uint32_t *path, size_t len, bool with_parent,
                                                 tdsa_err *err) __attribute__((nonnull(1, 2, 6)));
/** From the root of a key: epsilon and y of a path. Errors: as above. */
TDSA_MUST_USE tdsa_status mpc_bip32_path_vartime(grp_scalar *epsilon, grp_point *y,
                                                 const mpc_key *key, const uint32_t *path,
                                                 size_t len, tdsa_err *err)
    __attribute__((nonnull(1, 2, 3, 6)));

/** Room for the text of an extended public key, with its NUL. */
#define MPC_XPUB_TEXT_MAX 113u
/** The extended public key ("xpub...", main net version bytes) of a node. Curves with points of 33
 * bytes only; the text does not say which curve it is. Errors: TDSA_E_BAD_INPUT (curve),
 * TDSA_E_NO_MEMORY. */
TDSA_MUST_USE tdsa_status mpc_bip32_xpub(char out[MPC_XPUB_TEXT_MAX], const mpc_bip32_node *node,
                                         const grp *g, tdsa_err *err) TDSA_NONNULL;
/** Reads such a text; epsilon is 0, because the root is not known. Errors: TDSA_E_BAD_INPUT
 * (Base58Check, length, version, a root with a parent or child number, no point of the curve). */
TDSA_MUST_USE tdsa_status mpc_bip32_xpub_decode(mpc_bip32_node *out, const grp *g, const char *text,
                                                size_t len, tdsa_err *err) TDSA_NONNULL;

#endif
