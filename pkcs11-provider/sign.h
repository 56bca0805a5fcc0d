#ifndef P11_SIGN_H
#define P11_SIGN_H

#include "pkcs11-provider/session.h"

/**
 * C_Sign*: the one operation that asks the other participants. The length of a signature follows
 * from the key, so neither a size query nor a buffer that is too small starts a run, and both
 * leave the operation as it is. Everything else ends it.
 */
CK_RV p11_sign_init(p11_call *call, const CK_MECHANISM *mech, CK_OBJECT_HANDLE key)
    __attribute__((nonnull(1)));
CK_RV p11_sign(p11_call *call, const CK_BYTE *data, CK_ULONG len, CK_BYTE *sig, CK_ULONG *sig_len)
    __attribute__((nonnull(1)));
CK_RV p11_sign_update(p11_call *call, const CK_BYTE *part, CK_ULONG len)
    __attribute__((nonnull(1)));
CK_RV p11_sign_final(p11_call *call, CK_BYTE *sig, CK_ULONG *sig_len) __attribute__((nonnull(1)));

/* What C_Sign* and the messages of version 3.0 share, for any operation that signs. */

/** Begins `op`. */
CK_RV p11_sign_begin(p11_call *call, p11_op *op, const CK_MECHANISM *mech, CK_OBJECT_HANDLE key)
    __attribute__((nonnull(1, 2)));
/** Signs what `op` has gathered and ends it; there is room for p11_op_signature_len. */
CK_RV p11_sign_end(p11_call *call, p11_op *op, CK_BYTE *sig, CK_ULONG *sig_len) TDSA_NONNULL;

#endif
