#include "daemon/tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "config/server_cfg.h"
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

static tdsa_status make(ks_cfg *store, const char *where, const tdsa_log *log, tdsa_err *err)
{
    tdsa_status st;

    store->create_tables = true;
    store->rng = tdsa_os_rng();
    store->clock = tdsa_os_clock();
    store->log = log;
    st = ks_create_tables(store, err);
    if (st == TDSA_OK) {
        tdsa_logf(log, TDSA_LOG_INFO, "daemon", "the tables are there: %s", where);
    }
    return st;
}

static tdsa_status make_file(const char *path, const char *suffix, const tdsa_log *log,
                             tdsa_err *err)
{
    char file[CFG_JDBC_PATH_MAX + sizeof H2_SUFFIX];
    ks_cfg store;

    (void)snprintf(file, sizeof file, "%s%s", path, suffix);
    memset(&store, 0, sizeof store);
    store.backend = "sqlite";
    store.path = file;
    return make(&store, file, log, err);
}

/* DB_USERNAME and DB_PASSWORD go before the URL. DB_PASSWORD may be empty: the database asks for none. */
static tdsa_status take_credentials(ks_server *s, tdsa_err *err)
{
    const char *user = getenv("DB_USERNAME");
    const char *password = getenv("DB_PASSWORD");

    s->user = user != NULL && *user != '\0' ? user : s->user;
    s->password = password != NULL ? password : s->password;
    if (s->user == NULL) {
        return variable(&user, "DB_USERNAME", err);
    }
    if (s->password == NULL && s->tls_cert == NULL) {
        return variable(&password, "DB_PASSWORD", err);
    }
    return TDSA_OK;
}

static tdsa_status make_on_server(const cfg_jdbc *db, const tdsa_log *log, tdsa_err *err)
{
    cfg_server server;
    ks_cfg store;
    tdsa_status st = cfg_server_fill(&server, db, "DB_URL", NULL, 0, log, err);

    memset(&store, 0, sizeof store);
    store.backend = db->kind == CFG_JDBC_POSTGRESQL ? "postgres" : "mariadb";
    store.server = &server.server;
    if (st == TDSA_OK) {
        st = take_credentials(&server.server, err);
    }
    if (st == TDSA_OK && server.server.database == NULL) {
        st = TDSA_FAIL(err, TDSA_E_CONFIG,
                       "DB_URL names no database: jdbc:...://<host>:<port>/<database>");
    }
    if (st == TDSA_OK) {
        st = cfg_server_set_init(&server, NULL, err);
    }
    if (st == TDSA_OK) {
        st = make(&store, server.server.database, log, err);
    }
    cfg_server_clear(&server);
    return st;
}

static tdsa_status make_tables(const cfg_jdbc *db, const tdsa_log *log, tdsa_err *err)
{
    switch (db->kind) {
    case CFG_JDBC_SQLITE:
        return make_file(db->path, "", log, err);
    case CFG_JDBC_H2:
        return make_file(db->path, H2_SUFFIX, log, err);
    case CFG_JDBC_SQLITE_MEMORY:
    case CFG_JDBC_H2_MEMORY:
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "DB_URL: a database in memory has no tables to make beforehand");
    case CFG_JDBC_POSTGRESQL:
    case CFG_JDBC_MARIADB:
        return make_on_server(db, log, err);
    }
    return TDSA_FAIL(err, TDSA_E_INTERNAL, "unknown kind of database");
}

/* The service runs with the credentials of its configuration: nothing of the owner's stays behind. */
static void forget(const char *name)
{
    char *value = getenv(name);

    if (value != NULL) {
        tdsa_wipe(value, strlen(value));
    }
    (void)unsetenv(name);
}

static tdsa_status from_environment(const tdsa_log *log, tdsa_err *err)
{
    const char *driver = getenv("DB_DRIVER_CLASS");
    const char *url = getenv("DB_URL");
    cfg_jdbc db;
    tdsa_status st = TDSA_OK;

    /* a native URL says by itself which database it is */
    if (url == NULL || *url == '\0' || strncmp(url, "jdbc:", 5) == 0) {
        st = variable(&driver, "DB_DRIVER_CLASS", err);
    }
    if (st == TDSA_OK) {
        st = variable(&url, "DB_URL", err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    if (cfg_jdbc_parse(&db, driver, url, err) != TDSA_OK) {
        return tdsa_err_wrap(err, "DB_URL");
    }
    st = make_tables(&db, log, err);
    cfg_jdbc_clear(&db);
    return st;
}

tdsa_status svc_create_tables(const tdsa_log *log, tdsa_err *err)
{
    const tdsa_status st = from_environment(log, err);

    forget("DB_PASSWORD");
    return st;
}
