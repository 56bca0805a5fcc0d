#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include "cli/cli.h"
#include "cli/package.h"

/** What verifying and recovering say of each info. */
typedef struct {
    bool complete; /* verify: every participant's info is there and right */
    size_t others; /* infos under other certificates, not looked at */
    /* recover: verdict of each info of the package; NULL: of verify, where what is not corrupt is good */
    const mpc_recovery_verdict *verdicts;
} cli_report_facts;
/** Shows {"keyId","epoch",…,"participants":[{"participantIndex","verdict","message"}]}. */
void cli_report(cli *c, const cli_package *p, const cli_report_facts *facts) TDSA_NONNULL;
/** TDSA_OK when no info is corrupt, else TDSA_E_VERIFY naming the first that is and how many are. */
tdsa_status cli_report_blame(const cli_package *p, tdsa_err *err) TDSA_NONNULL;
/** Keeps the infos under one certificate; gives how many others there were. */
size_t cli_package_keep(cli_package *p, const uint8_t certificate[32]) TDSA_NONNULL;

#endif
