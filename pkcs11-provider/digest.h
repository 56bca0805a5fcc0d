#ifndef P11_DIGEST_H
#define P11_DIGEST_H

#include "pkcs11-provider/session.h"

/** C_Digest*: SHA-1 and SHA-2 in software. */
CK_RV p11_digest_init(p11_call *call, const CK_MECHANISM *mech) __attribute__((nonnull(1)));
CK_RV p11_digest(p11_call *call, const CK_BYTE *data, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
    __attribute__((nonnull(1)));
CK_RV p11_digest_update(p11_call *call, const CK_BYTE *part, CK_ULONG len)
    __attribute__((nonnull(1)));
CK_RV p11_digest_final(p11_call *call, CK_BYTE *out, CK_ULONG *out_len) __attribute__((nonnull(1)));

#endif
