#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include "cli/command.h"

#include "base/buf.h"

/** What is made from the table of commands, appended to a buffer. */

/** tdsa help */
void cli_help_all(tdsa_buf *out) TDSA_NONNULL;
/** tdsa help key */
void cli_help_group(tdsa_buf *out, const char *group) TDSA_NONNULL;
/** tdsa help key sign */
void cli_help_command(tdsa_buf *out, const cli_command *c) TDSA_NONNULL;
/** The page tdsa(1) for man. version: "0.1.0" */
void cli_man(tdsa_buf *out, const char *version) TDSA_NONNULL;
/** A script for bash 4 or later. */
void cli_completion_bash(tdsa_buf *out) TDSA_NONNULL;

/** Appends text broken into lines of at most `width` columns, each after `indent` blanks; the first
 * line is at column `at` already. */
void cli_wrap(tdsa_buf *out, const char *text, size_t indent, size_t at, size_t width) TDSA_NONNULL;

#endif
