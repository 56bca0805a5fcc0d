#ifndef CLI_SIGN_H
#define CLI_SIGN_H

#include "cli/cli.h"

/** tdsa key sign --batch. Errors: of the first item that was not signed; the others are shown. */
TDSA_MUST_USE tdsa_status cli_sign_batch(cli *c, tdsa_err *err) TDSA_NONNULL;

/** What is to be signed, --in or --digest, into a body: as the key, the first word, wants it. Errors:
 * TDSA_E_BAD_INPUT (neither or both; a file cannot be read), those of asking for the key. */
TDSA_MUST_USE tdsa_status cli_put_payload(cli *c, json_t *body, tdsa_err *err) TDSA_NONNULL;
/** A signature: hex for people, bytes for --out. Errors: those of writing. */
TDSA_MUST_USE tdsa_status cli_put_signature(cli *c, json_t *doc, tdsa_err *err) TDSA_NONNULL;

#endif
