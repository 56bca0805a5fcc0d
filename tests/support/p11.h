#ifndef TESTS_SUPPORT_P11_H
#define TESTS_SUPPORT_P11_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <p11-kit/pkcs11.h>

/** A PKCS#11 module as an application has it: loaded by path, one token, one session. For tests and
 * benchmarks; errors go to stderr with the name of the call and its CKR code. */
typedef struct {
    CK_FUNCTION_LIST *f;
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE public_key, private_key; /* of p11_make_key or p11_find_key */
} p11;

/** True when rv is CKR_OK; prints "<what>: CKR 0x..." otherwise. */
bool p11_good(CK_RV rv, const char *what);
/** dlopen, C_GetFunctionList, C_Initialize, the token with this label, a session. */
bool p11_open(p11 *p, const char *module, const char *token);
bool p11_open_session(const p11 *p, CK_SESSION_HANDLE *out);
bool p11_log_in(const p11 *p, const char *pin);
/** curve: "p256" or "secp256k1". Leaves the handles in p; gives the code of C_GenerateKeyPair. */
CK_RV p11_make_key(p11 *p, const char *curve, const char *label);
/** Finds the private and the public key with this label. */
bool p11_find_key(p11 *p, const char *label);
void p11_destroy_key(const p11 *p);
/** CKM_ECDSA over 32 bytes; signature: r | s, 64 bytes. */
CK_RV p11_sign(const p11 *p, CK_SESSION_HANDLE session, const unsigned char digest[32],
               unsigned char signature[64]);
/** C_Finalize. */
void p11_close(p11 *p);

#endif
