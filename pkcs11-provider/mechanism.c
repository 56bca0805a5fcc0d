#include "pkcs11-provider/mechanism.h"

#define KEY_BITS_MIN 256u /* P-256, secp256k1 */
#define KEY_BITS_MAX 521u /* P-521 */
#define ED25519_BITS 255u
#define BIP340_BITS  256u
#define EC_FLAGS     (CKF_EC_F_P | CKF_EC_NAMEDCURVE | CKF_EC_UNCOMPRESS)

static const p11_mech mechs[] = {
    {CKM_EC_KEY_PAIR_GEN, P11_MECH_KEYGEN, TDSA_HASH_NONE, MPC_SCHEME_ECDSA},
    {CKM_EC_EDWARDS_KEY_PAIR_GEN, P11_MECH_KEYGEN, TDSA_HASH_NONE, MPC_SCHEME_EDDSA},
    {CKM_ECDSA, P11_MECH_RAW, TDSA_HASH_SHA256, MPC_SCHEME_ECDSA},
    {CKM_ECDSA_SHA1, P11_MECH_HASHED, TDSA_HASH_SHA1, MPC_SCHEME_ECDSA},
    {CKM_ECDSA_SHA224, P11_MECH_HASHED, TDSA_HASH_SHA224, MPC_SCHEME_ECDSA},
    {CKM_ECDSA_SHA256, P11_MECH_HASHED, TDSA_HASH_SHA256, MPC_SCHEME_ECDSA},
    {CKM_ECDSA_SHA384, P11_MECH_HASHED, TDSA_HASH_SHA384, MPC_SCHEME_ECDSA},
    {CKM_ECDSA_SHA512, P11_MECH_HASHED, TDSA_HASH_SHA512, MPC_SCHEME_ECDSA},
    {CKM_EDDSA, P11_MECH_MESSAGE, TDSA_HASH_NONE, MPC_SCHEME_EDDSA},
    {CKM_TDSA_BIP340, P11_MECH_MESSAGE, TDSA_HASH_NONE, MPC_SCHEME_BIP340},
    {CKM_SHA_1, P11_MECH_DIGEST, TDSA_HASH_SHA1, MPC_SCHEME_ECDSA},
    {CKM_SHA224, P11_MECH_DIGEST, TDSA_HASH_SHA224, MPC_SCHEME_ECDSA},
    {CKM_SHA256, P11_MECH_DIGEST, TDSA_HASH_SHA256, MPC_SCHEME_ECDSA},
    {CKM_SHA384, P11_MECH_DIGEST, TDSA_HASH_SHA384, MPC_SCHEME_ECDSA},
    {CKM_SHA512, P11_MECH_DIGEST, TDSA_HASH_SHA512, MPC_SCHEME_ECDSA},
    {CKM_SHA3_224, P11_MECH_DIGEST, TDSA_HASH_NONE, MPC_SCHEME_ECDSA},
    {CKM_SHA3_256, P11_MECH_DIGEST, TDSA_HASH_NONE, MPC_SCHEME_ECDSA},
    {CKM_SHA3_384, P11_MECH_DIGEST, TDSA_HASH_NONE, MPC_SCHEME_ECDSA},
    {CKM_SHA3_512, P11_MECH_DIGEST, TDSA_HASH_NONE, MPC_SCHEME_ECDSA},
};
#define MECH_COUNT (sizeof mechs / sizeof mechs[0])

static bool is_on(const p11_mech *m, bool sha1)
{
    return sha1 || m->type != CKM_ECDSA_SHA1;
}

const p11_mech *p11_mech_find(CK_MECHANISM_TYPE type, bool sha1)
{
    for (size_t i = 0; i < MECH_COUNT; i++) {
        if (mechs[i].type == type && is_on(&mechs[i], sha1)) {
            return &mechs[i];
        }
    }
    return NULL;
}

CK_RV p11_mech_list(bool sha1, CK_MECHANISM_TYPE *list, CK_ULONG *count)
{
    const CK_ULONG have = sha1 ? MECH_COUNT : MECH_COUNT - 1;
    CK_ULONG n = 0;

    if (count == NULL) {
        return CKR_ARGUMENTS_BAD;
    }
    if (list == NULL || *count < have) {
        *count = have;
        return list == NULL ? CKR_OK : CKR_BUFFER_TOO_SMALL;
    }
    for (size_t i = 0; i < MECH_COUNT; i++) {
        if (is_on(&mechs[i], sha1)) {
            list[n++] = mechs[i].type;
        }
    }
    *count = n;
    return CKR_OK;
}

CK_RV p11_mech_info(bool sha1, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info)
{
    const p11_mech *m = p11_mech_find(type, sha1);

    if (info == NULL) {
        return CKR_ARGUMENTS_BAD;
    }
    if (m == NULL) {
        return CKR_MECHANISM_INVALID;
    }
    *info = (CK_MECHANISM_INFO){KEY_BITS_MIN, KEY_BITS_MAX, EC_FLAGS};
    if (m->scheme != MPC_SCHEME_ECDSA) {
        info->ulMinKeySize = m->scheme == MPC_SCHEME_EDDSA ? ED25519_BITS : BIP340_BITS;
        info->ulMaxKeySize = info->ulMinKeySize;
    }
    switch (m->kind) {
    case P11_MECH_KEYGEN:
        info->flags |= CKF_GENERATE_KEY_PAIR;
        break;
    case P11_MECH_RAW:
    case P11_MECH_HASHED:
        info->flags |= CKF_SIGN | CKF_VERIFY;
        break;
    case P11_MECH_MESSAGE:
        info->flags |= CKF_SIGN | CKF_VERIFY;
        break;
    case P11_MECH_DIGEST:
        *info = (CK_MECHANISM_INFO){0, 0, CKF_DIGEST};
        break;
    }
    return CKR_OK;
}

bool p11_mech_hash_of_len(size_t len, tdsa_hash_alg *out)
{
    for (size_t i = 0; i < MECH_COUNT; i++) {
        if (mechs[i].kind == P11_MECH_DIGEST && mechs[i].hash != TDSA_HASH_NONE &&
            tdsa_hash_len(mechs[i].hash) == len) {
            *out = mechs[i].hash;
            return true;
        }
    }
    return false;
}

bool p11_mech_fits(const p11_mech *mech, mpc_scheme scheme)
{
    return mech->scheme == scheme && (mech->kind == P11_MECH_RAW || mech->kind == P11_MECH_HASHED ||
                                      mech->kind == P11_MECH_MESSAGE);
}

bool p11_mech_allowed(const p11_mech *mech, mpc_scheme scheme, const mpc_policy *policy)
{
    if (!p11_mech_fits(mech, scheme)) {
        return false;
    }
    return mech->kind == P11_MECH_RAW ? policy->purpose == MPC_PURPOSE_DIGEST
                                      : (policy->digests & (1u << mech->hash)) != 0;
}

size_t p11_mech_allowed_list(mpc_scheme scheme, const mpc_policy *policy, bool sha1,
                             CK_MECHANISM_TYPE *out)
{
    size_t n = 0;

    for (size_t i = 0; i < MECH_COUNT; i++) {
        if (is_on(&mechs[i], sha1) && p11_mech_allowed(&mechs[i], scheme, policy)) {
            out[n++] = mechs[i].type;
        }
    }
    return n;
}
