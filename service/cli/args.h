#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include "cli/command.h"

#define CLI_WORDS_MAX 64u

/** A command line, taken apart. Everything is lent from argv. */
typedef struct {
    const cli_command *command; /* NULL: --help or --version without one */
    cli_opts given;
    const char *value[CLI_OPTS_END]; /* of options that have one */
    int64_t number[CLI_OPTS_END];    /* of CLI_INTEGER */
    const char *word[CLI_WORDS_MAX]; /* what follows the command */
    size_t word_count;
    char group[16]; /* --help of a group of commands; "" else */
} cli_args;

/**
 * Reads a command line: options may stand anywhere, as --name=value or --name value, up to "--". No
 * abbreviations: scripts that use them break when an option is added.
 * On failure `given` tells at least whether --json is there.
 * Errors: TDSA_E_BAD_INPUT with one line for people, which names what is near.
 */
TDSA_MUST_USE tdsa_status cli_args_read(cli_args *out, int argc, char *const *argv, tdsa_err *err)
    TDSA_NONNULL;

#endif
