#ifndef P11_VERIFY_H
#define P11_VERIFY_H

#include "pkcs11-provider/session.h"

/** C_Verify* and C_VerifySignature*: in software, with the public key; no network. Every call but
 * a successful Update ends the operation. */
CK_RV p11_verify_init(p11_call *call, const CK_MECHANISM *mech, CK_OBJECT_HANDLE key)
    __attribute__((nonnull(1)));
CK_RV p11_verify(p11_call *call, const CK_BYTE *data, CK_ULONG len, const CK_BYTE *sig,
                 CK_ULONG sig_len) __attribute__((nonnull(1)));
CK_RV p11_verify_update(p11_call *call, const CK_BYTE *part, CK_ULONG len)
    __attribute__((nonnull(1)));
CK_RV p11_verify_final(p11_call *call, const CK_BYTE *sig, CK_ULONG sig_len)
    __attribute__((nonnull(1)));

/* What C_Verify* and the messages of version 3.0 share, for any operation that verifies. */

/** Begins `op`. */
CK_RV p11_verify_begin(p11_call *call, p11_op *op, const CK_MECHANISM *mech, CK_OBJECT_HANDLE key)
    __attribute__((nonnull(1, 2)));
/** Judges a signature of what `op` has gathered and ends it. */
CK_RV p11_verify_end(p11_call *call, p11_op *op, const CK_BYTE *sig, CK_ULONG sig_len) TDSA_NONNULL;

/** Version 3.2: the signature first, then the data. */
CK_RV p11_verify_signature_init(p11_call *call, const CK_MECHANISM *mech, CK_OBJECT_HANDLE key,
                                const CK_BYTE *sig, CK_ULONG sig_len) __attribute__((nonnull(1)));
CK_RV p11_verify_signature(p11_call *call, const CK_BYTE *data, CK_ULONG len)
    __attribute__((nonnull(1)));
CK_RV p11_verify_signature_update(p11_call *call, const CK_BYTE *part, CK_ULONG len)
    __attribute__((nonnull(1)));
CK_RV p11_verify_signature_final(p11_call *call) TDSA_NONNULL;

#endif
