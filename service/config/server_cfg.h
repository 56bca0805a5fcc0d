#ifndef CFG_SERVER_CFG_H
#define CFG_SERVER_CFG_H

#include "base/env.h"
#include "config/jdbc.h"

/**
 * From the parameters of a URL, and properties with the same names, to a ks_server: the names of pgjdbc,
 * MariaDB Connector/J, Connector/J of MySQL and libpq, whatever the case of their letters.
 */
typedef struct {
    ks_server server; /* lent from the URL, the properties and `init`; its pool is not touched */
    char *init;       /* owned; see cfg_server_set_init */
    const char *schema,
        *application; /* PostgreSQL: currentSchema, ApplicationName; NULL: not given */
} cfg_server;

/**
 * url_name    how messages call the URL: "database.url"
 * properties  what the URL says too goes before them
 *
 * Parameters that mean nothing here are accepted: known ones with an INFO line, others with a WARN line
 * that names them. Errors: TDSA_E_CONFIG: a value that is not understood, or that asks for what there is
 * not: a standby as target, another character set than UTF-8, Java's key stores. No text repeats a value.
 */
TDSA_MUST_USE tdsa_status cfg_server_fill(cfg_server *out, const cfg_jdbc *db, const char *url_name,
                                          const cfg_server_param *properties, size_t count,
                                          const tdsa_log *log, tdsa_err *err)
    __attribute__((nonnull(1, 2, 3, 7)));
/** Makes server.pool.init_query of schema, application and `query` (may be NULL).
 * Errors: TDSA_E_CONFIG (names that cannot stand in a statement), TDSA_E_NO_MEMORY. */
TDSA_MUST_USE tdsa_status cfg_server_set_init(cfg_server *s, const char *query, tdsa_err *err)
    __attribute__((nonnull(1, 3)));
void cfg_server_clear(cfg_server *s) TDSA_NONNULL;

#endif
