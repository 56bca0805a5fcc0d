#ifndef P11_FIND_H
#define P11_FIND_H

#include "pkcs11-provider/call.h"

/** A search: the handles that matched when it began. */
typedef struct {
    bool active;
    CK_OBJECT_HANDLE *handles; /* owned */
    size_t count, next;
} p11_find;

void p11_find_end(p11_find *f) TDSA_NONNULL;
CK_RV p11_find_init(p11_call *call, const CK_ATTRIBUTE *templ, CK_ULONG count)
    __attribute__((nonnull(1)));
CK_RV p11_find_next(p11_call *call, CK_OBJECT_HANDLE *out, CK_ULONG max, CK_ULONG *count)
    __attribute__((nonnull(1)));
CK_RV p11_find_final(p11_call *call) TDSA_NONNULL;

#endif
