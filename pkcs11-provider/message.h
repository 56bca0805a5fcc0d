#ifndef P11_MESSAGE_H
#define P11_MESSAGE_H

#include "pkcs11-provider/session.h"

/**
 * Messages of version 3.0: C_MessageSignInit names the key once, C_SignMessage signs any number of
 * messages with it, until C_MessageSignFinal; verification likewise. Each message is an operation of its
 * own, a copy of what Init made ready, so that one that fails does not end the others. A key with
 * CKA_ALWAYS_AUTHENTICATE asks for the PIN before each message. Messages are whole: the functions for
 * parts (Begin, Next) are not supported.
 */
CK_RV p11_message_sign_init(p11_call *call, const CK_MECHANISM *mech, CK_OBJECT_HANDLE key)
    __attribute__((nonnull(1)));
CK_RV p11_message_verify_init(p11_call *call, const CK_MECHANISM *mech, CK_OBJECT_HANDLE key)
    __attribute__((nonnull(1)));

/** A message as C_SignMessage and C_VerifyMessage get it. */
typedef struct {
    const void *param; /* our mechanisms have none per message */
    CK_ULONG param_len;
    const CK_BYTE *data;
    CK_ULONG len;
} p11_message;

CK_RV p11_message_sign(p11_call *call, const p11_message *m, CK_BYTE *sig, CK_ULONG *sig_len)
    __attribute__((nonnull(1, 2)));
CK_RV p11_message_verify(p11_call *call, const p11_message *m, const CK_BYTE *sig, CK_ULONG sig_len)
    __attribute__((nonnull(1, 2)));
CK_RV p11_message_sign_final(p11_call *call) TDSA_NONNULL;
CK_RV p11_message_verify_final(p11_call *call) TDSA_NONNULL;

#endif
