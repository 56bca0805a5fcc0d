#include "daemon/tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/jdbc.h"
#include "keystore/keystore.h"

#define H2_SUFFIX ".sqlite" /* H2 URLs are kept in SQLite, as the configuration has it */

static tdsa_status variable(const char **out, const char *name, tdsa_err *err)
{
    *out = getenv(name);
    if (*out == NULL || (*out)[0] == '\0') {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the environment variable %s is not set", name);
    }
    return TDSA_OK;
}

static tdsa_status make_file(const char *path, const char *suffix, const tdsa_log *log,
                             tdsa_err *err)
{
    char file[CFG_JDBC_PATH_MAX + sizeof H2_SUFFIX];
    ks_cfg store;
    tdsa_status st;

    (void)snprintf(file, sizeof file, "%s%s", path, suffix);
    memset(&store, 0, sizeof store);
    store.backend = "sqlite";
    store.path = file;
    store.create_tables = true;
    store.rng = tdsa_os_rng();
    store.clock = tdsa_os_clock();
    store.log = log;
    st = ks_create_tables(&store, err);
    if (st == TDSA_OK) {
        tdsa_logf(log, TDSA_LOG_INFO, "daemon", "the tables are there: %s", file);
    }
    return st;
}

tdsa_status svc_create_tables(const tdsa_log *log, tdsa_err *err)
{
    const char *driver, *url;
    cfg_jdbc db;
    tdsa_status st = variable(&driver, "DB_DRIVER_CLASS", err);

    if (st == TDSA_OK) {
        st = variable(&url, "DB_URL", err);
    }
    if (st == TDSA_OK) {
        st = cfg_jdbc_parse(&db, driver, url, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    switch (db.kind) {
    case CFG_JDBC_SQLITE:
        return make_file(db.path, "", log, err);
    case CFG_JDBC_H2:
        return make_file(db.path, H2_SUFFIX, log, err);
    case CFG_JDBC_SQLITE_MEMORY:
    case CFG_JDBC_H2_MEMORY:
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "DB_URL: a database in memory has no tables to make beforehand");
    case CFG_JDBC_POSTGRESQL:
    case CFG_JDBC_MARIADB:
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "DB_URL: PostgreSQL and MariaDB are not supported by this version; use "
                         "org.sqlite.JDBC and jdbc:sqlite:file:<path>");
    }
    return TDSA_FAIL(err, TDSA_E_INTERNAL, "unknown kind of database");
}
