#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/internal.h"
#include "config/jdbc.h"

/* From database and tdsaLibrary.storageConfiguration to a ks_cfg. */

#define STORAGE    "tdsaLibrary.storageConfiguration"
#define DEFAULT_DB "/var/lib/tdsa/participant%u.db"

static tdsa_status use_file(cfg_participant *p, const char *path, const char *suffix, tdsa_err *err)
{
    const size_t cap = strlen(path) + strlen(suffix) + 1;

    p->db_path = malloc(cap);
    if (p->db_path == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the database path");
    }
    (void)snprintf(p->db_path, cap, "%s%s", path, suffix);
    p->store.backend = "sqlite";
    p->store.path = p->db_path;
    return TDSA_OK;
}

/* H2 is a Java engine: its rows cannot be read, so a new SQLite file stands beside it. */
static tdsa_status use_h2(cfg_participant *p, const char *path, const tdsa_log *log, tdsa_err *err)
{
    static const char *const endings[] = {".mv.db", ".h2.db"};
    char other[CFG_JDBC_PATH_MAX + 16];

    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        (void)snprintf(other, sizeof other, "%s%s", path, endings[i]);
        if (access(other, F_OK) == 0) {
            return TDSA_FAIL(err, TDSA_E_CONFIG,
                             "database.url: H2 data that cannot be read is in %s; move it away, or "
                             "use another path",
                             other);
        }
    }
    tdsa_logf(log, TDSA_LOG_WARN, "config",
              "database.url names H2, which is kept in the SQLite file %s.sqlite", path);
    return use_file(p, path, ".sqlite", err);
}

static tdsa_status not_built(const char *what, tdsa_err *err)
{
    return TDSA_FAIL(err, TDSA_E_CONFIG,
                     "database.url: %s is not supported by this version; use "
                     "jdbc:sqlite:file:<path>",
                     what);
}

static tdsa_status use_jdbc(cfg_participant *p, const cfg_jdbc *db, const tdsa_log *log,
                            tdsa_err *err)
{
    if (db->options) {
        tdsa_logf(log, TDSA_LOG_WARN, "config",
                  "database.url: what follows the file name is not used");
    }
    switch (db->kind) {
    case CFG_JDBC_SQLITE:
        return use_file(p, db->path, "", err);
    case CFG_JDBC_H2:
        return use_h2(p, db->path, log, err);
    case CFG_JDBC_H2_MEMORY:
    case CFG_JDBC_SQLITE_MEMORY:
        p->store.backend = "memory";
        tdsa_logf(log, TDSA_LOG_INFO, "config",
                  "database.url keeps everything in memory: keys are lost at the end");
        return TDSA_OK;
    case CFG_JDBC_POSTGRESQL:
        return not_built("PostgreSQL", err);
    case CFG_JDBC_MARIADB:
        return not_built("MariaDB", err);
    }
    return TDSA_FAIL(err, TDSA_E_INTERNAL, "unknown kind of database");
}

static tdsa_status fill_database(cfg_participant *p, const cfg *c, const tdsa_log *log,
                                 tdsa_err *err)
{
    const char *url = cfg_str(c, "database.url");
    char path[64];
    cfg_jdbc db;
    tdsa_status st = cfg_refuse_selector(c, "database.user", err);

    if (st == TDSA_OK) {
        st = cfg_refuse_selector(c, "database.password", err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    if (cfg_bool(c, "database.readOnlyByDefault") || cfg_bool(c, "database.defaultReadOnly")) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "database.readOnlyByDefault, defaultReadOnly: every signature writes");
    }
    if (url == NULL) {
        (void)snprintf(path, sizeof path, DEFAULT_DB, (unsigned)p->engine.roster.me);
        return use_file(p, path, "", err);
    }
    if (cfg_jdbc_parse(&db, cfg_str(c, "database.driverClass"), url, err) != TDSA_OK) {
        return tdsa_err_wrap(err, "database");
    }
    return use_jdbc(p, &db, log, err);
}

tdsa_status cfg_fill_store(cfg_participant *p, const cfg *c, const tdsa_log *log, tdsa_err *err)
{
    tdsa_status st = fill_database(p, c, log, err);

    if (st == TDSA_OK) {
        st = cfg_fill_encryptor(p, c, log, err);
    }
    p->store.counter_file = cfg_str(c, STORAGE ".counterFile");
    if (p->store.counter_file != NULL && *p->store.counter_file == '\0') {
        p->store.counter_file = NULL;
    }
    p->store.create_tables = !cfg_bool(c, STORAGE ".skipCreateTables");
    p->store.unlock_at_open = true;
    return st;
}
