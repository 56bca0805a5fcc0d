#ifndef CLI_TERM_H
#define CLI_TERM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

/** Terminals: colours, progress, questions. */

/** True when `f` is a terminal that shows colours and NO_COLOR does not forbid it. */
bool cli_colours(FILE *f) TDSA_NONNULL;

/** A bar on standard error, when that is a terminal. Zero value: no bar. */
typedef struct {
    bool shown;
    const char *what; /* lent */
    uint64_t total;
    unsigned last; /* permille drawn last */
} cli_progress;
void cli_progress_begin(cli_progress *p, bool quiet, const char *what, uint64_t total) TDSA_NONNULL;
void cli_progress_step(cli_progress *p, uint64_t done) TDSA_NONNULL;
/** Takes the bar away. */
void cli_progress_end(cli_progress *p) TDSA_NONNULL;

/** Asks a question on the terminal that is answered with yes or no. Errors: TDSA_E_BAD_INPUT (no
 * terminal: --yes is needed), TDSA_E_DENIED (no). */
TDSA_MUST_USE tdsa_status cli_confirm(const char *question, tdsa_err *err) TDSA_NONNULL;

#endif
