#ifndef CLI_TOKEN_H
#define CLI_TOKEN_H

#include "base/rsa.h"

/**
 * An RSA private key in a PKCS #11 token. It decrypts with the raw operation (CKM_RSA_X_509), because
 * tokens differ in the OAEP that they know; the padding is taken off here.
 */
typedef struct cli_token cli_token;

/**
 * Opens the token of a URI, logs in and finds the one RSA private key that it names.
 * uri       "pkcs11:token=…;object=…?module-path=…"; it may name the file of a PIN (pin-source), not
 *           the PIN itself: other users see command lines.
 * pin_file  NULL: the URI's file; without that the PIN is asked for.
 * Errors: TDSA_E_BAD_INPUT, TDSA_E_CONFIG (the URI), TDSA_E_WRAPPING (module, token or key), TDSA_E_LOGIN.
 */
TDSA_MUST_USE tdsa_status cli_token_open(cli_token **out, const char *uri, const char *pin_file,
                                         tdsa_err *err) __attribute__((nonnull(1, 2, 4)));
void cli_token_close(cli_token *t);
/** As tdsa_rsa_decrypt. Errors: TDSA_E_CRYPTO (the ciphertext), TDSA_E_WRAPPING (the token). */
TDSA_MUST_USE tdsa_status cli_token_decrypt(cli_token *t, tdsa_buf *out, const tdsa_rsa_sealed *s,
                                            tdsa_err *err) TDSA_NONNULL;

#endif
