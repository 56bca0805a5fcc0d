#ifndef P11_OBJECT_INTERNAL_H
#define P11_OBJECT_INTERNAL_H

#include "pkcs11-provider/object.h"

/* Of object.c for object_refresh.c; the table is locked. */

/** As p11_objects_put_key, but *index_out is the index plus one, and 0 for a session key of another
 * process, which is not shown. */
TDSA_MUST_USE tdsa_status p11_objects_put_key_locked(p11_objects *o, const part_key_info *info,
                                                     const p11_owner *owner, size_t *index_out,
                                                     tdsa_err *err)
    __attribute__((nonnull(1, 2, 4, 5)));

#endif
