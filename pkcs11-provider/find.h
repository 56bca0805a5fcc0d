#ifndef P11_FIND_H
#define P11_FIND_H

#include <stdint.h>

#include "pkcs11-provider/call.h"

typedef struct {
    uint64_t created_ms; /* of the key */
    CK_OBJECT_HANDLE handle;
} p11_found;

/** A search: the objects that matched when it began, the newest key first. (pkcs11-tool 0.23 signs
 * with the first private key it finds unless an id is given, whatever label it was told.) */
typedef struct {
    bool active;
    p11_found *found; /* owned */
    size_t count, capacity, next;
} p11_find;

void p11_find_end(p11_find *f) TDSA_NONNULL;
CK_RV p11_find_init(p11_call *call, const CK_ATTRIBUTE *templ, CK_ULONG count)
    __attribute__((nonnull(1)));
CK_RV p11_find_next(p11_call *call, CK_OBJECT_HANDLE *out, CK_ULONG max, CK_ULONG *count)
    __attribute__((nonnull(1)));
CK_RV p11_find_final(p11_call *call) TDSA_NONNULL;

#endif
