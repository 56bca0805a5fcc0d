#ifndef P11_MECHANISM_H
#define P11_MECHANISM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/hash.h"
#include "participant/engine.h"
#include "pkcs11-provider/cryptoki.h"

typedef enum {
    P11_MECH_KEYGEN,  /* CKM_EC_KEY_PAIR_GEN, CKM_EC_EDWARDS_KEY_PAIR_GEN */
    P11_MECH_RAW,     /* CKM_ECDSA: the data is a digest */
    P11_MECH_HASHED,  /* CKM_ECDSA_SHAxxx: the data is a message */
    P11_MECH_MESSAGE, /* CKM_EDDSA, CKM_TDSA_BIP340: the scheme takes the message itself */
    P11_MECH_DIGEST   /* CKM_SHAxxx, CKM_SHA3_xxx */
} p11_mech_kind;

/** One mechanism of the token; static storage. */
typedef struct {
    CK_MECHANISM_TYPE type;
    p11_mech_kind kind;
    tdsa_hash_alg hash; /* HASHED and DIGEST; TDSA_HASH_NONE of MESSAGE and of SHA-3 */
    mpc_scheme scheme;  /* of the keys it makes, or that sign with it */
} p11_mech;

/**
 * BIP-340 signatures over secp256k1. No parameter; the data is the message, of any length up to
 * MPC_MESSAGE_MAX; a signature is the 64 bytes of BIP-340. Keys are CKK_EC on secp256k1, made by
 * CKM_EC_KEY_PAIR_GEN with this one mechanism as their CKA_ALLOWED_MECHANISMS; their public key is the
 * point whose x coordinate BIP-340 calls the key.
 */
#define CKM_TDSA_BIP340 (CKM_VENDOR_DEFINED | 0x54445341UL)

/** Longest data of CKM_ECDSA, in bytes. */
#define P11_RAW_LEN_MAX 1024u

/** The mechanism of a type; NULL when the token does not have it. sha1: CKM_ECDSA_SHA1 is on. */
const p11_mech *p11_mech_find(CK_MECHANISM_TYPE type, bool sha1);
/** C_GetMechanismList and C_GetMechanismInfo. */
CK_RV p11_mech_list(bool sha1, CK_MECHANISM_TYPE *list, CK_ULONG *count);
CK_RV p11_mech_info(bool sha1, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info);
/** The digest algorithm that CKM_ECDSA data of this length can only be of; false: none. */
bool p11_mech_hash_of_len(size_t len, tdsa_hash_alg *out) TDSA_NONNULL;
/** True when keys of this scheme could sign with it at all. */
bool p11_mech_fits(const p11_mech *mech, mpc_scheme scheme) TDSA_NONNULL;
/** True when a key of this scheme and policy may: what CKA_ALLOWED_MECHANISMS says. */
bool p11_mech_allowed(const p11_mech *mech, mpc_scheme scheme, const mpc_policy *policy)
    TDSA_NONNULL;
/** Writes the signing mechanisms a policy allows; room for P11_SIGN_MECHS_MAX. Returns how many. */
#define P11_SIGN_MECHS_MAX 6u
size_t p11_mech_allowed_list(mpc_scheme scheme, const mpc_policy *policy, bool sha1,
                             CK_MECHANISM_TYPE *out) TDSA_NONNULL;

#endif
