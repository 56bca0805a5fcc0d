#ifndef CFG_CONFIG_H
#define CFG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"

/**
 * The configuration of a daemon or of the PKCS#11 module: a YAML document in the format of the TDSA
 * service (Dropwizard style), checked key by key against one table (config_table.c). The same table
 * gives the defaults, the error messages and docs/configuration.md.
 *
 * A value is named by its path: "tdsaLibrary.sessionTimeout",
 * "server.applicationConnectors[0].port", "tdsaLibrary.remoteParticipants[1][0].uri".
 * Reading a path that the table does not have is our own bug (assert).
 * Strings are owned by the cfg and live as long as it does. Immutable after loading; any thread.
 */
typedef struct cfg cfg;

/** Where a configuration comes from. Zero fields are not used. */
typedef struct {
    const char *file;           /* path of a YAML file */
    const char *base64;         /* the whole file in base64 (TDSA_CONFIG); wins when not empty */
    const char *const *defines; /* "name=value" of -D on the command line; NULL-terminated */
    bool use_environment;       /* PARTICIPANT_PRIMARY_PRIVATE_KEY and the like override */
    const tdsa_log *log;        /* warnings and "accepted, ignored" lines go here; may be NULL */
} cfg_source;

/**
 * Loads and checks. Unknown key, wrong type, out of range, missing required value, malformed YAML
 * (line and column): TDSA_E_CONFIG, with a text that starts "<file> has an error:" and, for an
 * unknown key, suggests the nearest names ("Did you mean ...?"). err->text holds the first problem
 * in one line; `problems` (may be NULL) the full list for people.
 */
TDSA_MUST_USE tdsa_status cfg_load(cfg **out, const cfg_source *source, tdsa_buf *problems,
                                   tdsa_err *err) __attribute__((nonnull(1, 2, 4)));
void cfg_free(cfg *c);

/** True when the document itself (or an override) sets the value, not only the table's default. */
bool cfg_is_set(const cfg *c, const char *path) TDSA_NONNULL;
/** Elements of an array or entries of a map of free names, or 0. */
size_t cfg_count(const cfg *c, const char *path) TDSA_NONNULL;
/** Text of a value; NULL when it is neither set nor has a default (or is YAML null). */
const char *cfg_str(const cfg *c, const char *path) TDSA_NONNULL;
int64_t cfg_int(const cfg *c, const char *path) TDSA_NONNULL;
double cfg_number(const cfg *c, const char *path) TDSA_NONNULL; /* health.monitors[].min, max */
bool cfg_bool(const cfg *c, const char *path) TDSA_NONNULL;
/** Milliseconds of a duration ("30s", "500ms"; integer keys such as sessionTimeout in their unit). */
int64_t cfg_duration_ms(const cfg *c, const char *path) TDSA_NONNULL;
/** Bytes of a size ("8KiB"). */
int64_t cfg_size(const cfg *c, const char *path) TDSA_NONNULL;
/** Name of entry `index` of a map of free names (logging.loggers, database.properties); NULL beyond
 * the end. Its value has the path "logging.loggers[<index>]". */
const char *cfg_map_key(const cfg *c, const char *path, size_t index) TDSA_NONNULL;
/** Builds "a[0].b" style paths: cfg_path(buf, sizeof buf, "server.adminConnectors[%zu].port", i). */
const char *cfg_path(char *out, size_t cap, const char *fmt, ...) TDSA_PRINTF(3, 4) TDSA_NONNULL;

#endif
