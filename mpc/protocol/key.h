#ifndef MPC_PROTOCOL_KEY_H
#define MPC_PROTOCOL_KEY_H

#include "base/buf.h"
#include "base/secret.h"
#include "group/prss.h"
#include "group/sharing.h"

/** Version of every statement; bound into sid, Q and T. */
#define MPC_VERSION    1u
#define MPC_KEY_ID_MAX 64u
#define MPC_PATH_MAX   50u /* derivation path elements */
#define MPC_PREFIX_MAX 8u  /* elements that every signing path of a key may have to begin with */
#define MPC_RATE_MAX   1000000u    /* signatures per minute that a policy may name */
#define MPC_HARDENED   0x80000000u /* elements from here on need the private key: refused */

typedef enum {
    MPC_SCHEME_ECDSA = 1, /* on the NIST curves and secp256k1 */
    MPC_SCHEME_EDDSA = 2, /* Ed25519, verifies under RFC 8032 */
    MPC_SCHEME_BIP340 = 3 /* secp256k1 */
} mpc_scheme;
/** "ecdsa", "eddsa", "bip340": the word in statements and in the API. */
const char *mpc_scheme_name(mpc_scheme scheme);
/** The scheme of a name; false when unknown. */
bool mpc_scheme_by_name(mpc_scheme *out, const char *name) TDSA_NONNULL;
/** Whether keys on `curve` may have this scheme. */
bool mpc_scheme_fits(mpc_scheme scheme, grp_curve curve);
/** What a key on `curve` gets when nobody says: ECDSA, on Ed25519 EdDSA. */
mpc_scheme mpc_scheme_default(grp_curve curve);
/** Points opened per presignature: 1 (R), or 2 (D and E) for the Schnorr schemes. */
unsigned mpc_scheme_points(mpc_scheme scheme);

typedef enum { MPC_PURPOSE_DIGEST = 1, MPC_PURPOSE_MESSAGE = 2 } mpc_purpose;
typedef enum { MPC_DERIVE_NONE = 1, MPC_DERIVE_BIP32 = 2 } mpc_derivation;

/** What a key may be used for; fixed at generation, hashed into sid, its tag is part of Q. */
typedef struct {
    mpc_purpose purpose;
    mpc_derivation derivation;
    uint32_t min_path, min_path_xpub;
    uint32_t max_path;               /* longest signing path; 0: MPC_PATH_MAX */
    uint32_t prefix[MPC_PREFIX_MAX]; /* what every signing path begins with */
    uint32_t prefix_len;             /* 0: anything */
    uint32_t rate;                   /* signatures per minute at each participant; 0: no limit */
    bool prepare, exportable, reshare, low_s;
    uint32_t digests; /* bit (1 << tdsa_hash_alg) per allowed digest algorithm */
} mpc_policy;

/** The policy record: stmt("policy", purpose, derivation, min_path, min_path_xpub, max_path, prefix,
 * prepare, exportable, reshare, low-S, rate, list of digest names in the order of tdsa_hash_alg). */
void mpc_policy_encode(tdsa_buf *out, const mpc_policy *p) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status mpc_policy_decode(mpc_policy *out, const uint8_t *in, size_t len,
                                            tdsa_err *err) TDSA_NONNULL;
/**
 * Whether a key of this scheme on this curve may have the policy: mpc_policy_check_rules, bip32 on
 * secp256k1 and P-256 only; ECDSA: known digests, never "none"; the Schnorr schemes: purpose message,
 * digest "none" and nothing else, no low-S, no prepare mode. Errors: TDSA_E_BAD_INPUT.
 */
TDSA_MUST_USE tdsa_status mpc_policy_check(const mpc_policy *p, mpc_scheme scheme, grp_curve curve,
                                           tdsa_err *err) TDSA_NONNULL;
/** What no policy may say, whatever the key: values out of range, path rules without derivation,
 * a prefix or minimum longer than the maximum. Errors: TDSA_E_BAD_INPUT. */
TDSA_MUST_USE tdsa_status mpc_policy_check_rules(const mpc_policy *p, tdsa_err *err) TDSA_NONNULL;
/** Whether a signature may be made under `path`. Errors: TDSA_E_DENIED. */
TDSA_MUST_USE tdsa_status mpc_policy_check_path(const mpc_policy *p, const uint32_t *path,
                                                size_t len, tdsa_err *err)
    __attribute__((nonnull(1, 4)));
/** H('policy-tag', record), first 32 bytes. */
TDSA_MUST_USE tdsa_status mpc_policy_tag(uint8_t tag[32], const mpc_policy *p, tdsa_err *err)
    TDSA_NONNULL;

/** A participant as sid names it. */
typedef struct {
    uint16_t index;
    uint8_t x25519[32], x448[56];
} mpc_member;

/** The public half of a key epoch, equal at every participant. */
typedef struct {
    grp_curve curve;
    mpc_scheme scheme;
    char key_id[MPC_KEY_ID_MAX + 1];
    uint32_t epoch;
    uint16_t n, t, me;
    mpc_member members[GRP_PARTIES_MAX]; /* n, ascending by index; any subset of 0..8 */
    mpc_policy policy;
    uint8_t cluster_id[32];       /* sid of the run that made the epoch */
    uint8_t cc[32];               /* chain code */
    uint8_t stored[64];           /* H('stored', ...): what all compared in R4 */
    grp_point y;                  /* public key */
    grp_point x[GRP_PARTIES_MAX]; /* verification shares X_j, by participant index */
} mpc_key_public;

/** The secret half. A type of its own; wiped by mpc_key_free. */
typedef struct {
    grp_scalar share;                   /* x_j */
    size_t set_count;                   /* C(n-1, t) */
    grp_set_key sets[GRP_MY_SETS_MAX];  /* kappa_A, lexicographic */
    uint8_t pairs[GRP_PARTIES_MAX][32]; /* kappa_ij at index i; own unused */
} mpc_key_secret;

typedef struct {
    const grp *g; /* lent: must outlive the key */
    mpc_key_public pub;
    mpc_key_secret *sec;  /* NULL when only the public half is loaded */
    tdsa_secret *sec_mem; /* owns sec: locked, not dumped, wiped */
} mpc_key;

/** Wipes and frees. NULL is allowed. */
void mpc_key_free(mpc_key *k);
/** The member with this participant index; NULL when the key has none. */
const mpc_member *mpc_key_member(const mpc_key_public *pub, uint16_t index) TDSA_NONNULL;
bool mpc_key_is_member(const mpc_key_public *pub, uint16_t index) TDSA_NONNULL;
/** The participant indices of the key, ascending; returns how many (n). */
size_t mpc_key_indices(uint16_t out[GRP_PARTIES_MAX], const mpc_key_public *pub) TDSA_NONNULL;
/** The public half as bytes for the keystore (a statement), and back. */
void mpc_key_encode_public(tdsa_buf *out, const mpc_key *k) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status mpc_key_encode_secret(tdsa_secret **out, const mpc_key *k, tdsa_err *err)
    TDSA_NONNULL;
/** The share alone, without the keys for randomness: what a backup holds. mpc_key_decode does not take
 * it. */
TDSA_MUST_USE tdsa_status mpc_key_encode_share(tdsa_secret **out, const mpc_key *k, tdsa_err *err)
    TDSA_NONNULL;
/** A key that can deal in a reshare and do nothing else: it has its share and no keys for randomness.
 * Errors: as mpc_key_decode. */
TDSA_MUST_USE tdsa_status mpc_key_decode_share(mpc_key **out, const grp *g, const uint8_t *pub,
                                               size_t pub_len, const tdsa_secret *share,
                                               tdsa_err *err) TDSA_NONNULL;
/** The curve of an encoded public half, so that the caller can hand in the right grp. */
TDSA_MUST_USE tdsa_status mpc_key_peek_curve(grp_curve *out, const uint8_t *in, size_t len,
                                             tdsa_err *err) TDSA_NONNULL;
/** secret may be NULL: public half only. Checks every length and point; with a secret also
 * x_j*G = X_j. Errors: TDSA_E_BAD_INPUT, TDSA_E_CRYPTO. */
TDSA_MUST_USE tdsa_status mpc_key_decode(mpc_key **out, const grp *g, const uint8_t *pub,
                                         size_t pub_len, const tdsa_secret *secret, tdsa_err *err)
    __attribute__((nonnull(1, 2, 3, 6)));

#endif
