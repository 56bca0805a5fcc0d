#ifndef P11_ATTRIBUTES_H
#define P11_ATTRIBUTES_H

#include "pkcs11-provider/call.h"
#include "pkcs11-provider/object.h"

#define P11_SCRATCH_LEN 192u
/** One attribute's value: points into the object, into static storage or into its own scratch. */
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

/** How values are written for a call. */
typedef struct {
    const p11_core *core;
    bool raw_edwards; /* CKA_EC_POINT of Edwards keys: as it is, not in a DER OCTET STRING */
} p11_look;
p11_look p11_look_of(const p11_call *call) TDSA_NONNULL;

/**
 * The value of an attribute. Local, never waits; the table is locked.
 * Gives CKR_ATTRIBUTE_SENSITIVE or CKR_ATTRIBUTE_TYPE_INVALID when there is none to give.
 */
CK_RV p11_attribute(const p11_look *look, p11_object *o, p11_class cls, CK_ATTRIBUTE_TYPE type,
                    p11_value *out) TDSA_NONNULL;
/** Whether such objects have the attribute. */
bool p11_attribute_exists(const p11_object *o, p11_class cls, CK_ATTRIBUTE_TYPE type) TDSA_NONNULL;
/** True when the object has every attribute of the template with exactly that value. */
bool p11_attributes_match(const p11_look *look, p11_object *o, p11_class cls,
                          const CK_ATTRIBUTE *templ, CK_ULONG count) __attribute__((nonnull(1, 2)));
/** C_GetAttributeValue: works through the whole template and gives the first error. */
CK_RV p11_attributes_get(p11_call *call, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *templ,
                         CK_ULONG count) __attribute__((nonnull(1)));
/** C_GetObjectSize: bytes of all attributes. */
CK_RV p11_attributes_size(p11_call *call, CK_OBJECT_HANDLE object, CK_ULONG *size)
    __attribute__((nonnull(1)));

#endif
