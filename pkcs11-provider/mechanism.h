#ifndef P11_MECHANISM_H
#define P11_MECHANISM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/hash.h"
#include "participant/engine.h"
#include "pkcs11-provider/cryptoki.h"

typedef enum {
    P11_MECH_KEYGEN, /* CKM_EC_KEY_PAIR_GEN */
    P11_MECH_RAW,    /* CKM_ECDSA: the data is a digest */
    P11_MECH_HASHED, /* CKM_ECDSA_SHAxxx: the data is a message */
    P11_MECH_DIGEST  /* CKM_SHAxxx */
} p11_mech_kind;

/** One mechanism of the token; static storage. */
typedef struct {
    CK_MECHANISM_TYPE type;
    p11_mech_kind kind;
    tdsa_hash_alg hash; /* HASHED and DIGEST */
} p11_mech;

/** Longest data of CKM_ECDSA, in bytes. */
#define P11_RAW_LEN_MAX TDSA_DIGEST_LEN_MAX

/** The mechanism of a type; NULL when the token does not have it. sha1: CKM_ECDSA_SHA1 is on. */
const p11_mech *p11_mech_find(CK_MECHANISM_TYPE type, bool sha1);
/** C_GetMechanismList and C_GetMechanismInfo. */
CK_RV p11_mech_list(bool sha1, CK_MECHANISM_TYPE *list, CK_ULONG *count);
CK_RV p11_mech_info(bool sha1, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info);
/** The digest algorithm that CKM_ECDSA data of this length can only be of; false: none. */
bool p11_mech_hash_of_len(size_t len, tdsa_hash_alg *out) TDSA_NONNULL;
/** True when a key of this policy may sign with it: what CKA_ALLOWED_MECHANISMS says. */
bool p11_mech_allowed(const p11_mech *mech, const mpc_policy *policy) TDSA_NONNULL;
/** Writes the signing mechanisms a policy allows; room for P11_SIGN_MECHS_MAX. Returns how many. */
#define P11_SIGN_MECHS_MAX 6u
size_t p11_mech_allowed_list(const mpc_policy *policy, bool sha1, CK_MECHANISM_TYPE *out)
    TDSA_NONNULL;

#endif
