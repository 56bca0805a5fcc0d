#ifndef P11_TEMPLATE_H
#define P11_TEMPLATE_H

#include "pkcs11-provider/call.h"
#include "pkcs11-provider/object.h"

/** A template as a caller gave it. */
typedef struct {
    const CK_ATTRIBUTE *attrs;
    CK_ULONG count;
} p11_template;

/** The entry of a type; NULL: there is none. */
const CK_ATTRIBUTE *p11_template_find(const p11_template *t, CK_ATTRIBUTE_TYPE type) TDSA_NONNULL;
/** A truth value or a number of the template; `out` stays when there is no such entry. Gives
 * CKR_ATTRIBUTE_VALUE_INVALID for a value of another form. */
CK_RV p11_template_bool(p11_call *call, const p11_template *t, CK_ATTRIBUTE_TYPE type, bool *out)
    TDSA_NONNULL;
CK_RV p11_template_number(p11_call *call, const p11_template *t, CK_ATTRIBUTE_TYPE type,
                          CK_ULONG *out) TDSA_NONNULL;
/** CKR_ARGUMENTS_BAD for a template without a place, or an entry with a length and no value. */
CK_RV p11_template_check(p11_call *call, const p11_template *t) TDSA_NONNULL;

/** What the templates of a key pair ask for. */
typedef struct {
    p11_names names;
    bool token; /* CKA_TOKEN of the private key; PKCS#11: false when it is absent */
    bool has_curve;
    grp_curve curve;
    bool ecdsa, eddsa, bip340; /* CKA_ALLOWED_MECHANISMS names some of this scheme */
    bool raw;                  /* CKM_ECDSA among them */
    uint32_t digests;          /* and these CKM_ECDSA_SHAxxx */
    /* C_CreateObject, lent */
    bool importing;
    const CK_ATTRIBUTE *value; /* CKA_VALUE: the private key */
    const CK_ATTRIBUTE *point; /* CKA_EC_POINT: its public key */
} p11_key_wish;

/**
 * Takes the wishes out of a template for the private or the public key. Uses that keys of this token do
 * not have are accepted and will show as false; what would promise something else than what is made is
 * refused.
 */
CK_RV p11_key_wish_take(p11_call *call, p11_key_wish *w, const p11_template *t, p11_class cls)
    TDSA_NONNULL;
/** Whether the wishes fit each other: a curve, mechanisms of one scheme that keys on it have. */
CK_RV p11_key_wish_check(p11_call *call, const p11_key_wish *w) TDSA_NONNULL;
/** The scheme of the key that is wished for. */
mpc_scheme p11_key_wish_scheme(const p11_key_wish *w) TDSA_NONNULL;

#endif
