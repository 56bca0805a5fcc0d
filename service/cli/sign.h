#ifndef CLI_SIGN_H
#define CLI_SIGN_H

#include "cli/cli.h"

/** tdsa key sign --batch. Errors: of the first item that was not signed; the others are shown. */
TDSA_MUST_USE tdsa_status cli_sign_batch(cli *c, tdsa_err *err) TDSA_NONNULL;

#endif
