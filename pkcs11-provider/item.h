#ifndef P11_ITEM_H
#define P11_ITEM_H

#include "base/buf.h"
#include "keystore/object.h"
#include "pkcs11-provider/cryptoki.h"
#include "pkcs11-provider/names.h"

/** Attributes that an object can have at most, and bytes of one value. */
#define P11_ITEM_ATTRS_MAX 32u
#define P11_ITEM_VALUE_MAX 32768u

/**
 * An object that is no key of the participants: a list of attributes, as it was made and completed.
 * Kept in the keystore as stmt("pkcs11-object", version, list of [type, octets value]); numbers and
 * truth values as octets, the most significant byte first, so that no machine's layout is stored.
 */
typedef struct {
    struct {
        CK_ATTRIBUTE_TYPE type;
        p11_bytes value; /* as C_GetAttributeValue gives it */
    } at[P11_ITEM_ATTRS_MAX];
    size_t count;
} p11_item;

void p11_item_clear(p11_item *item) TDSA_NONNULL;
/** The value of an attribute; NULL when the item does not have it. */
const p11_bytes *p11_item_get(const p11_item *item, CK_ATTRIBUTE_TYPE type) TDSA_NONNULL;
/** Sets or replaces one. Errors: TDSA_E_LIMIT (too many, too long), TDSA_E_NO_MEMORY. */
TDSA_MUST_USE tdsa_status p11_item_set(p11_item *item, CK_ATTRIBUTE_TYPE type, const void *value,
                                       size_t len, tdsa_err *err) __attribute__((nonnull(1, 5)));
TDSA_MUST_USE tdsa_status p11_item_set_bool(p11_item *item, CK_ATTRIBUTE_TYPE type, bool value,
                                            tdsa_err *err) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status p11_item_set_number(p11_item *item, CK_ATTRIBUTE_TYPE type,
                                              CK_ULONG value, tdsa_err *err) TDSA_NONNULL;
/** A number or truth value of the item; `otherwise` when it has none. */
CK_ULONG p11_item_number(const p11_item *item, CK_ATTRIBUTE_TYPE type, CK_ULONG otherwise)
    TDSA_NONNULL;
bool p11_item_bool(const p11_item *item, CK_ATTRIBUTE_TYPE type, bool otherwise) TDSA_NONNULL;
/** Errors: TDSA_E_NO_MEMORY (out is empty). */
TDSA_MUST_USE tdsa_status p11_item_copy(p11_item *out, const p11_item *in, tdsa_err *err)
    TDSA_NONNULL;

void p11_item_encode(tdsa_buf *out, const p11_item *item) TDSA_NONNULL;
/** Strict. Errors: TDSA_E_BAD_INPUT, TDSA_E_NO_MEMORY; out is empty then. */
TDSA_MUST_USE tdsa_status p11_item_decode(p11_item *out, const uint8_t *in, size_t len,
                                          tdsa_err *err) TDSA_NONNULL;

#endif
