#ifndef SUPPORT_P11_FIXTURE_H
#define SUPPORT_P11_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pkcs11-provider/cryptoki.h"

/** A configuration of participant 0 in a folder of its own; sets TDSA_PKCS11_CONFIG. extra: lines
 * of the pkcs11 section, may be "". */
void p11_write_config(const char *extra);
void p11_remove_config(void);

/** cmocka set-up and tear-down: configuration, no keys, initialised module. */
int p11_setup(void **state);
int p11_teardown(void **state);
/** The same set-up, and a key of each kind with its label: p256, ed, k1. */
int p11_setup_kinds(void **state);
/** A new life of the module with this configuration; what C_Initialize says. */
CK_RV p11_restart(const char *extra);

#define P11_OK(call) assert_int_equal((call), CKR_OK)

CK_SESSION_HANDLE p11_open(CK_FLAGS flags);
/** An R/W session with the user logged in. */
CK_SESSION_HANDLE p11_open_user(void);
CK_RV p11_login(CK_SESSION_HANDLE s, const char *pin);
/** A P-256 key pair with the template that pkcs11-tool sends. */
void p11_make_pair(CK_SESSION_HANDLE s, const char *label, CK_OBJECT_HANDLE *pub,
                   CK_OBJECT_HANDLE *priv);
extern const CK_BYTE p11_oid_p256[10];
extern const CK_BYTE p11_oid_secp256k1[7];

#endif
