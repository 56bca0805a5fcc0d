#ifndef CLI_OWN_H
#define CLI_OWN_H

#include "base/audit.h"
#include "cli/cli.h"
#include "config/participant_cfg.h"

/** A participant's configuration, keystore and audit log, without an engine. Zero value: nothing is open. */
typedef struct {
    tdsa_log log;
    cfg *config;
    cfg_participant *participant;
    ks *store;
    tdsa_os_audit *audit; /* NULL: none is configured */
    tdsa_secret *pin; /* that was asked for or stood in a file; NULL: that of the configuration */
} cli_own;

/** Reads a file. Errors: TDSA_E_CONFIG. */
TDSA_MUST_USE tdsa_status cli_own_load(cli_own *o, const cli *c, const char *file, tdsa_err *err)
    TDSA_NONNULL;
/** The file of --config or TDSA_CONFIG_FILE. Errors: TDSA_E_BAD_INPUT (there is none, or --url). */
TDSA_MUST_USE tdsa_status cli_own_file(const char **out, const cli *c, tdsa_err *err) TDSA_NONNULL;
/** What the keystore is opened with: fields of the configuration, rng, clock and log. */
ks_cfg cli_own_cfg(cli_own *o) TDSA_NONNULL;
/** Opens the store with this, and the audit log; locked still. */
TDSA_MUST_USE tdsa_status cli_own_open(cli_own *o, const ks_cfg *store, tdsa_err *err) TDSA_NONNULL;
/** Unlocks it with the PIN of the file (NULL: of the configuration, else of the person), which stays in o->pin. */
TDSA_MUST_USE tdsa_status cli_own_unlock(cli_own *o, const char *pin_file, tdsa_err *err)
    __attribute__((nonnull(1, 3)));
/** Records an act before it happens, where an audit log is configured. */
TDSA_MUST_USE tdsa_status cli_own_record(cli_own *o, const char *event, const char *detail,
                                         tdsa_err *err) TDSA_NONNULL;
/** The PIN, lent, or NULL; *len 0 then. */
const char *cli_own_pin(const cli_own *o, size_t *len) TDSA_NONNULL;
void cli_own_close(cli_own *o) TDSA_NONNULL;

#endif
