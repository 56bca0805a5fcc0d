#ifndef P11_OBJECT_INTERNAL_H
#define P11_OBJECT_INTERNAL_H

#include "pkcs11-provider/object.h"

/* Of object.c for object_refresh.c; the table is locked. */

/** As p11_objects_put_key, but *index_out is the index plus one, and 0 for a session key of another
 * process, which is not shown. */
TDSA_MUST_USE tdsa_status p11_objects_put_key_locked(p11_objects *o, const part_key_info *info,
                                                     CK_SESSION_HANDLE session, size_t *index_out,
                                                     tdsa_err *err) TDSA_NONNULL;
TDSA_MUST_USE tdsa_status p11_objects_put_item_locked(p11_objects *o, const p11_item *item,
                                                      const p11_origin *from, size_t *index_out,
                                                      tdsa_err *err) TDSA_NONNULL;
/** The live object with this id in the keystore: index plus one, or 0. */
size_t p11_objects_find_stored(const p11_objects *o, const uint8_t store_id[KS_OBJECT_ID_LEN])
    TDSA_NONNULL;

#endif
