#ifndef CLI_PACKAGE_H
#define CLI_PACKAGE_H

#include <jansson.h>

#include "protocol/recovery.h"

/**
 * Recovery packages: the documents of POST /v1/keys/{id}/recovery-info and …/export, read from files.
 * What one participant made may stand in a file of its own. What cannot be read of an info makes that
 * info corrupt, not the package.
 */
typedef struct {
    int said;             /* participantIndex that the file gives it */
    char certificate[65]; /* SHA-256 in hex that the file says it is for; "" when it says none */
    tdsa_buf bytes;       /* what `info` lends from */
    bool readable;        /* info is there */
    mpc_recovery_info info;
    char why[TDSA_ERR_TEXT_MAX]; /* when it is corrupt; "" else */
} cli_info;

typedef struct {
    grp *g;          /* curve of most infos; NULL: none names one */
    cli_info *infos; /* owned */
    size_t count;
} cli_package;

/** Errors: TDSA_E_BAD_INPUT (a file cannot be read or is no package, too many infos). */
TDSA_MUST_USE tdsa_status cli_package_read(cli_package *out, const char *const *files,
                                           size_t file_count, tdsa_err *err) TDSA_NONNULL;
void cli_package_clear(cli_package *p) TDSA_NONNULL;

/** The name of an info's certificate in hex. */
void cli_info_certificate(char out[65], const cli_info *info) TDSA_NONNULL;

/** Marks an info as corrupt, unless it is already. */
void cli_info_blame(cli_info *info, const char *why) TDSA_NONNULL;

#endif
