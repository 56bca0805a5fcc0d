#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/** The command line. */
#define SVC_DEFINES_MAX 256u

typedef enum {
    SVC_RUN,         /* [server] [file] */
    SVC_CHECK,       /* check <file> */
    SVC_TABLES_RUN,  /* create-tables [file] */
    SVC_TABLES_ONLY, /* create-tables-no-startup */
    SVC_HELP,
    SVC_VERSION
} svc_command;

typedef struct {
    svc_command command;
    const char *file;                         /* lent from argv; NULL: none given */
    const char *defines[SVC_DEFINES_MAX + 1]; /* "name=value" of -D; NULL-terminated; lent */
} svc_options;

/** Errors: TDSA_E_BAD_INPUT with one line for people. */
TDSA_MUST_USE tdsa_status svc_options_read(svc_options *out, int argc, char *const *argv,
                                           tdsa_err *err) TDSA_NONNULL;
/** The text of --help. */
const char *svc_options_help(void);

#endif
