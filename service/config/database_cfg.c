#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"
#include "config/internal.h"
#include "config/row.h"

/* From the section database to the database part of a ks_cfg. */

#define DEFAULT_DB      "/var/lib/tdsa/participant%u.db"
#define CONNECTIONS_MAX 2u /* what a ks uses; more are accepted and not opened */

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

/* ---- servers ---- */

static bool same_text(const char *a, const char *b)
{
    return strlen(a) == strlen(b) && tdsa_ct_equal(a, b, strlen(a));
}

/* From the configuration's own key, or the URL (or properties), which may not say something else. */
static tdsa_status use_credential(const char **out, const cfg *c, const char *path, tdsa_err *err)
{
    const char *own = cfg_str(c, path);

    if (own == NULL || *own == '\0') {
        return TDSA_OK;
    }
    if (*out != NULL && !same_text(*out, own)) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "%s and database.url or database.properties differ: leave one of them out",
                         path);
    }
    *out = own;
    return TDSA_OK;
}

static uint32_t ms_of(const cfg *c, const char *path)
{
    const int64_t ms = cfg_duration_ms(c, path);

    return ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

static tdsa_status fill_pool(ks_pool *pool, const cfg *c, tdsa_err *err)
{
    const int64_t smallest = cfg_is_set(c, "database.minSize") ? cfg_int(c, "database.minSize") : 0;
    const int64_t initial = cfg_int(c, "database.initialSize");
    const int64_t largest = cfg_int(c, "database.maxSize");

    if (smallest > largest ||
        (cfg_is_set(c, "database.initialSize") && (initial < smallest || initial > largest))) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "database: initialSize must be between minSize and maxSize");
    }
    pool->max = largest > CONNECTIONS_MAX ? CONNECTIONS_MAX : (uint32_t)largest;
    pool->initial = initial > pool->max ? pool->max : (uint32_t)initial;
    pool->wait_ms = ms_of(c, "database.maxWaitForConnection");
    pool->max_age_ms = ms_of(c, "database.maxConnectionAge");
    pool->idle_ms = ms_of(c, "database.minIdleTime");
    pool->validation_ms = UINT32_MAX; /* never */
    if (cfg_bool(c, "database.checkConnectionWhileIdle") ||
        cfg_bool(c, "database.checkConnectionOnBorrow")) {
        pool->validation_ms = ms_of(c, "database.validationInterval");
    }
    pool->validation_query = cfg_str(c, "database.validationQuery");
    return TDSA_OK;
}

static tdsa_status fill_properties(cfg_server_param all[CFG_SERVER_PARAMS_MAX], size_t *count,
                                   const cfg *c, tdsa_err *err)
{
    char path[CFG_PATH_MAX];

    *count = cfg_count(c, "database.properties");
    if (*count > CFG_SERVER_PARAMS_MAX) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "database.properties: more than %u",
                         CFG_SERVER_PARAMS_MAX);
    }
    for (size_t i = 0; i < *count; i++) {
        const char *value = cfg_str(c, cfg_path(path, sizeof path, "database.properties[%zu]", i));

        all[i].name = cfg_map_key(c, "database.properties", i);
        all[i].value = value == NULL ? "" : value;
    }
    return TDSA_OK;
}

static tdsa_status check_server(const ks_server *s, tdsa_err *err)
{
    if (s->database == NULL || *s->database == '\0') {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "database.url names no database: jdbc:...://<host>:<port>/<database>");
    }
    if (s->user == NULL || *s->user == '\0') {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "database.user is missing");
    }
    return TDSA_OK;
}

static tdsa_status use_server(cfg_participant *p, const cfg *c, const tdsa_log *log, tdsa_err *err)
{
    cfg_server_param properties[CFG_SERVER_PARAMS_MAX];
    ks_server *s = &p->server.server;
    const char *catalog = cfg_str(c, "database.defaultCatalog");
    size_t count;
    tdsa_status st = fill_properties(properties, &count, c, err);

    if (st == TDSA_OK) {
        st = cfg_server_fill(&p->server, &p->db, "database.url", properties, count, log, err);
    }
    if (st == TDSA_OK) {
        st = use_credential(&s->user, c, "database.user", err);
    }
    if (st == TDSA_OK) {
        st = use_credential(&s->password, c, "database.password", err);
    }
    if (st == TDSA_OK) {
        st = fill_pool(&s->pool, c, err);
    }
    if (st == TDSA_OK) {
        st = cfg_server_set_init(&p->server, cfg_str(c, "database.initializationQuery"), err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    if (s->database == NULL && catalog != NULL) {
        s->database = catalog;
    } else if (catalog != NULL && strcmp(catalog, s->database) != 0) {
        tdsa_logf(log, TDSA_LOG_WARN, "config",
                  "database.defaultCatalog has no effect: database.url names the database");
    }
    p->store.backend = p->db.kind == CFG_JDBC_POSTGRESQL ? "postgres" : "mariadb";
    p->store.server = s;
    return check_server(s, err);
}

/* ---- all ---- */

/* What only servers have. */
static void say_unused(const cfg *c, const tdsa_log *log)
{
    static const char *const keys[] = {
        "user",        "password", "properties",      "minSize",
        "initialSize", "maxSize",  "validationQuery", "initializationQuery"};
    char path[CFG_PATH_MAX];

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (cfg_is_set(c, cfg_path(path, sizeof path, "database.%s", keys[i]))) {
            tdsa_logf(log, TDSA_LOG_INFO, "config",
                      "%s is accepted; only PostgreSQL and MariaDB have a use for it", path);
        }
    }
}

static tdsa_status use_jdbc(cfg_participant *p, const cfg *c, const tdsa_log *log, tdsa_err *err)
{
    const cfg_jdbc *db = &p->db;

    if (db->options) {
        tdsa_logf(log, TDSA_LOG_WARN, "config",
                  "database.url: what follows the file name is not used");
    }
    switch (db->kind) {
    case CFG_JDBC_SQLITE:
        say_unused(c, log);
        return use_file(p, db->path, "", err);
    case CFG_JDBC_H2:
        say_unused(c, log);
        return use_h2(p, db->path, log, err);
    case CFG_JDBC_H2_MEMORY:
    case CFG_JDBC_SQLITE_MEMORY:
        p->store.backend = "memory";
        tdsa_logf(log, TDSA_LOG_INFO, "config",
                  "database.url keeps everything in memory: keys are lost at the end");
        return TDSA_OK;
    case CFG_JDBC_POSTGRESQL:
    case CFG_JDBC_MARIADB:
        return use_server(p, c, log, err);
    }
    return TDSA_FAIL(err, TDSA_E_INTERNAL, "unknown kind of database");
}

tdsa_status cfg_fill_database(cfg_participant *p, const cfg *c, const tdsa_log *log, tdsa_err *err)
{
    const char *url = cfg_str(c, "database.url");
    char path[64];
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
    if (cfg_jdbc_parse(&p->db, cfg_str(c, "database.driverClass"), url, err) != TDSA_OK) {
        return tdsa_err_wrap(err, "database.url");
    }
    return use_jdbc(p, c, log, err);
}
