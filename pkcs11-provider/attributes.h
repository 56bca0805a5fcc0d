#ifndef P11_ATTRIBUTES_H
#define P11_ATTRIBUTES_H

#include "pkcs11-provider/call.h"
#include "pkcs11-provider/object.h"

#define P11_SCRATCH_LEN 192u

/** One attribute's value: points into the key, into static storage or into its own scratch. */
typedef struct {
    const void *data;
    size_t len;
    union {
        CK_BBOOL flag;
        CK_ULONG number;
        CK_ULONG numbers[8];
        uint8_t bytes[P11_SCRATCH_LEN];
    } scratch;
} p11_value;

/**
 * The value of an attribute of a key object. Local, never waits.
 * Gives CKR_ATTRIBUTE_SENSITIVE or CKR_ATTRIBUTE_TYPE_INVALID when there is none to give.
 */
CK_RV p11_attribute(const p11_core *core, const p11_key *key, p11_class cls, CK_ATTRIBUTE_TYPE type,
                    p11_value *out) TDSA_NONNULL;
/** True when the object has every attribute of the template with exactly that value. */
bool p11_attributes_match(const p11_core *core, const p11_key *key, p11_class cls,
                          const CK_ATTRIBUTE *templ, CK_ULONG count) __attribute__((nonnull(1, 2)));

/** C_GetAttributeValue: works through the whole template and gives the first error. */
CK_RV p11_attributes_get(p11_call *call, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *templ,
                         CK_ULONG count) __attribute__((nonnull(1)));
/** C_SetAttributeValue: CKA_LABEL, CKA_ID and CKA_SUBJECT of the pair; all of the template or
 * nothing. */
CK_RV p11_attributes_set(p11_call *call, CK_OBJECT_HANDLE object, const CK_ATTRIBUTE *templ,
                         CK_ULONG count) __attribute__((nonnull(1)));
/** C_GetObjectSize: bytes of all attributes. */
CK_RV p11_attributes_size(p11_call *call, CK_OBJECT_HANDLE object, CK_ULONG *size)
    __attribute__((nonnull(1)));

/** Takes one of LABEL, ID, SUBJECT out of a template into `names`; any other type and a value
 * that is too long are refused. */
CK_RV p11_names_take(p11_call *call, p11_names *names, const CK_ATTRIBUTE *a) TDSA_NONNULL;

#endif
