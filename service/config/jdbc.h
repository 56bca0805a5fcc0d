#ifndef CFG_JDBC_H
#define CFG_JDBC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "config/server_url.h"

/**
 * The database of a URL and a driver class: jdbc:sqlite:, jdbc:h2:, jdbc:postgresql:, jdbc:mariadb:,
 * jdbc:mysql:, and the native sqlite:, postgresql:, postgres:, mariadb:, mysql:.
 */

#define CFG_JDBC_PATH_MAX 1024u

typedef enum {
    CFG_JDBC_SQLITE,
    CFG_JDBC_SQLITE_MEMORY,
    CFG_JDBC_H2,
    CFG_JDBC_H2_MEMORY,
    CFG_JDBC_POSTGRESQL,
    CFG_JDBC_MARIADB
} cfg_jdbc_kind;

typedef struct {
    cfg_jdbc_kind kind;
    char path[CFG_JDBC_PATH_MAX + 1]; /* SQLite, H2: the file as written; else "" */
    bool options;                     /* the URL carries options that SQLite and H2 ignore */
    cfg_server_url server;            /* PostgreSQL, MariaDB; else all zero */
    bool any_order; /* MariaDB: a mode that would not try the hosts in their order */
} cfg_jdbc;

/**
 * driver  class name; NULL or "": the URL tells.
 * out     to be cleared when this succeeds.
 * Errors: TDSA_E_CONFIG: unknown driver (names the four), URL of another driver, unknown form,
 * empty or over-long path, malformed host, no database; TDSA_E_NO_MEMORY. The text never repeats what
 * stands behind '?' or ';' or before '@'.
 */
TDSA_MUST_USE tdsa_status cfg_jdbc_parse(cfg_jdbc *out, const char *driver, const char *url,
                                         tdsa_err *err) __attribute__((nonnull(1, 3, 4)));
/** Wipes. */
void cfg_jdbc_clear(cfg_jdbc *db) TDSA_NONNULL;

#endif
