#ifndef CLI_EXIT_H
#define CLI_EXIT_H

#include <jansson.h>

#include "base/err.h"

/** Exit codes; the texts are in command.c, for --help and the man page. */
enum {
    CLI_EXIT_DONE = 0,
    CLI_EXIT_FAILED = 1,
    CLI_EXIT_USAGE = 2,
    CLI_EXIT_NOT_FOUND = 3,
    CLI_EXIT_REFUSED = 4,
    CLI_EXIT_UNAVAILABLE = 5,
    CLI_EXIT_VERIFY = 6
};

int cli_exit_code(tdsa_status status);
/** What can be done about it; "" when nothing is known. */
const char *cli_hint(tdsa_status status);
/** The status that an error document of the API stands for; doc NULL: there was none. */
tdsa_status cli_status_of(const json_t *doc, unsigned http);

#endif
