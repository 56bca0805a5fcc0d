#ifndef CFG_OVERRIDE_H
#define CFG_OVERRIDE_H

#include "base/env.h"
#include "config/node.h"

/**
 * Puts the values of -D and of the environment over those of the file (environment over -D over file).
 * "dw.<path>=value" sets any key; a list is written with commas. The com.sepior.tdsa.* properties and
 * the variables PARTICIPANT_PRIMARY_PRIVATE_KEY, PARTICIPANT_SECONDARY_PRIVATE_KEY and
 * DATABASE_ENCRYPTION_KEY set the three secrets; an empty variable counts as unset. Other
 * properties are ignored with an INFO line.
 *
 * defines  "name=value", NULL-terminated; NULL: none.
 * Errors: TDSA_E_CONFIG (no '=', a path that cannot be set: index beyond the end, a value where the
 * path goes on), TDSA_E_NO_MEMORY. Values appear in no text.
 */
TDSA_MUST_USE tdsa_status cfg_override(cfg_tree *t, const char *const *defines,
                                       bool use_environment, const tdsa_log *log, tdsa_err *err)
    __attribute__((nonnull(1, 5)));

#endif
