#ifndef CLI_ANSWER_H
#define CLI_ANSWER_H

#include "cli/cli.h"

/** Who answers: a server. Errors: TDSA_E_BAD_INPUT (no http or https address). */
typedef struct {
    const char *url;     /* "http://127.0.0.1:8080", with a path prefix perhaps */
    const char *ca_file; /* NULL: the system's */
    int64_t timeout_s;
    bool secrets; /* requests will hold secrets: refused over http to another host */
} cli_http_cfg;
TDSA_MUST_USE tdsa_status cli_answer_http(cli_answerer *out, const cli_http_cfg *in, tdsa_err *err)
    TDSA_NONNULL;

/** Who answers: the participant of a configuration, in this process. Errors: of the configuration
 * and of the keystore; TDSA_E_LOGIN (the PIN). */
typedef struct {
    const char *file;
    const char *pin_file; /* NULL: the configuration's, or asked for */
    unsigned needs;       /* cli_need of the command */
    int64_t timeout_s;    /* 0: the configuration's deadline */
    bool quiet;           /* no warnings */
} cli_engine_cfg;
TDSA_MUST_USE tdsa_status cli_answer_engine(cli_answerer *out, const cli_engine_cfg *in,
                                            tdsa_err *err) TDSA_NONNULL;

#endif
