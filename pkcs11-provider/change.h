#ifndef P11_CHANGE_H
#define P11_CHANGE_H

#include "pkcs11-provider/call.h"
#include "pkcs11-provider/object.h"

/** C_SetAttributeValue: of keys CKA_LABEL, CKA_ID, CKA_SUBJECT, the dates (both objects of a pair change)
 * and CKA_SIGN to false, for ever; of certificates and data what describes them. All of the template or
 * nothing. */
CK_RV p11_attributes_set(p11_call *call, CK_OBJECT_HANDLE object, const CK_ATTRIBUTE *templ,
                         CK_ULONG count) __attribute__((nonnull(1)));

/** True for the attributes that are names of a key. */
bool p11_is_name(CK_ATTRIBUTE_TYPE type);
/** Takes one of them out of a template; any other type and a value that is too long are refused. */
CK_RV p11_names_take(p11_call *call, p11_names *names, const CK_ATTRIBUTE *a) TDSA_NONNULL;
/** Stores new names for the key of a pair, then shows them. */
CK_RV p11_rename_key(p11_call *call, const char *key_id, const p11_names *names) TDSA_NONNULL;
/** Stores an item as a token object; store_id: a new one is made and written there, unless `replaces`. */
CK_RV p11_store_item(p11_call *call, const p11_item *item, uint8_t store_id[KS_OBJECT_ID_LEN],
                     bool replaces) TDSA_NONNULL;
/** What a public key alone is written down as. Errors: TDSA_E_NO_MEMORY (out is empty). */
TDSA_MUST_USE tdsa_status p11_item_of_key(p11_item *out, const grp_info *curve,
                                          const p11_object *key, tdsa_err *err) TDSA_NONNULL;

#endif
