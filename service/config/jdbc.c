#include "config/jdbc.h"

#include <string.h>

typedef enum { SQLITE, H2, POSTGRESQL, MARIADB, FAMILY_COUNT } family;

static const struct {
    family family;
    const char *driver;
} drivers[] = {
    {SQLITE, "org.sqlite.JDBC"},           {H2, "org.h2.Driver"},
    {POSTGRESQL, "org.postgresql.Driver"}, {MARIADB, "org.mariadb.jdbc.Driver"},
    {MARIADB, "com.mysql.jdbc.Driver"},    {MARIADB, "com.mysql.cj.jdbc.Driver"},
};

static const struct {
    family family;
    const char *prefix;
} prefixes[] = {
    {SQLITE, "jdbc:sqlite:"},    {H2, "jdbc:h2:"},          {POSTGRESQL, "jdbc:postgresql:"},
    {MARIADB, "jdbc:mariadb:"},  {MARIADB, "jdbc:mysql:"},  {SQLITE, "sqlite:"},
    {POSTGRESQL, "postgresql:"}, {POSTGRESQL, "postgres:"}, {MARIADB, "mariadb:"},
    {MARIADB, "mysql:"},
};

static family find_driver(const char *driver)
{
    for (size_t i = 0; i < sizeof drivers / sizeof drivers[0]; i++) {
        if (strcmp(drivers[i].driver, driver) == 0) {
            return drivers[i].family;
        }
    }
    return FAMILY_COUNT;
}

static family find_prefix(const char *url, const char **rest)
{
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        const size_t len = strlen(prefixes[i].prefix);
        if (strncmp(prefixes[i].prefix, url, len) == 0) {
            *rest = url + len;
            return prefixes[i].family;
        }
    }
    *rest = "";
    return FAMILY_COUNT;
}

static const char *after(const char *text, const char *prefix)
{
    const size_t len = strlen(prefix);

    return strncmp(text, prefix, len) == 0 ? text + len : NULL;
}

/* The file name up to the first of `ends`. */
static tdsa_status take_path(cfg_jdbc *out, const char *text, const char *ends, tdsa_err *err)
{
    const size_t len = strcspn(text, ends);

    out->options = text[len] != '\0';
    if (len == 0) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "the JDBC URL names no file");
    }
    if (len > CFG_JDBC_PATH_MAX) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "the file of the JDBC URL is longer than %u bytes",
                         CFG_JDBC_PATH_MAX);
    }
    if (text[0] == '~') {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "the JDBC URL starts at the home directory: write the full path");
    }
    memcpy(out->path, text, len);
    out->path[len] = '\0';
    return TDSA_OK;
}

static tdsa_status parse_sqlite(cfg_jdbc *out, const char *rest, tdsa_err *err)
{
    const char *file = after(rest, "file:");
    const char *name = file == NULL ? rest : file;

    if (after(name, "///") != NULL) { /* sqlite:///var/lib/x.db */
        name += 2;
    }
    if (after(name, "//") != NULL) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "a file of another host: write sqlite:/<path>");
    }
    if (strcmp(name, ":memory:") == 0 || after(name, ":memory:?") != NULL) {
        out->kind = CFG_JDBC_SQLITE_MEMORY;
        return TDSA_OK;
    }
    if (name[0] == ':') {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "only files and :memory: are supported for SQLite");
    }
    out->kind = CFG_JDBC_SQLITE;
    return take_path(out, name, "?", err);
}

static tdsa_status parse_h2(cfg_jdbc *out, const char *rest, tdsa_err *err)
{
    const char *file = after(rest, "file:");

    if (after(rest, "mem:") != NULL) {
        out->kind = CFG_JDBC_H2_MEMORY;
        return TDSA_OK;
    }
    if (after(rest, "tcp:") != NULL || after(rest, "ssl:") != NULL || after(rest, "zip:") != NULL ||
        after(rest, "nio:") != NULL) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "only files (jdbc:h2:file:<path>) can stand for H2");
    }
    out->kind = CFG_JDBC_H2;
    return take_path(out, file == NULL ? rest : file, ";", err);
}

/* The modes of MariaDB Connector/J before "//". Hosts are always tried in order, and one that takes
 * no writes is passed over, so most of them ask for nothing else. */
static const char *skip_mode(const char *rest, bool *any_order)
{
    static const char *const modes[] = {"sequential:", "replication:", "aurora:",
                                        "failover:",   "loadbalance:", "load-balance-read:"};

    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        const char *behind = after(rest, modes[i]);
        if (behind != NULL) {
            *any_order = modes[i][0] == 'l';
            return behind;
        }
    }
    return rest;
}

static tdsa_status parse_server(cfg_jdbc *out, family f, const char *rest, tdsa_err *err)
{
    out->kind = f == POSTGRESQL ? CFG_JDBC_POSTGRESQL : CFG_JDBC_MARIADB;
    if (f == MARIADB) {
        rest = skip_mode(rest, &out->any_order);
        if (after(rest, "//") == NULL) {
            return TDSA_FAIL(err, TDSA_E_CONFIG,
                             "no host: the form is jdbc:mariadb://<host>:<port>/<database>");
        }
    }
    return cfg_server_url_parse(&out->server, rest, err);
}

static tdsa_status parse_rest(cfg_jdbc *out, family f, const char *rest, tdsa_err *err)
{
    switch (f) {
    case SQLITE:
        return parse_sqlite(out, rest, err);
    case H2:
        return parse_h2(out, rest, err);
    case POSTGRESQL:
    case MARIADB:
        return parse_server(out, f, rest, err);
    case FAMILY_COUNT:
        break;
    }
    return TDSA_FAIL(err, TDSA_E_INTERNAL, "unknown kind of URL");
}

tdsa_status cfg_jdbc_parse(cfg_jdbc *out, const char *driver, const char *url, tdsa_err *err)
{
    const char *rest;
    const family by_url = find_prefix(url, &rest);
    const bool has_driver = driver != NULL && *driver != '\0';
    const family by_driver = has_driver ? find_driver(driver) : by_url;
    tdsa_status st;

    memset(out, 0, sizeof *out);
    if (by_driver == FAMILY_COUNT && has_driver) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "unknown driver class; known: org.sqlite.JDBC, org.h2.Driver, "
                         "org.postgresql.Driver, org.mariadb.jdbc.Driver");
    }
    if (by_url == FAMILY_COUNT) {
        return TDSA_FAIL(err, TDSA_E_CONFIG,
                         "unknown JDBC URL; known: jdbc:sqlite:, jdbc:h2:, jdbc:postgresql:, "
                         "jdbc:mariadb:, and postgresql:, mariadb:, sqlite:");
    }
    if (by_url != by_driver) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "the URL belongs to another driver than the class");
    }
    st = parse_rest(out, by_url, rest, err);
    if (st != TDSA_OK) {
        cfg_jdbc_clear(out);
    }
    return st;
}

void cfg_jdbc_clear(cfg_jdbc *db)
{
    cfg_server_url_clear(&db->server);
    memset(db, 0, sizeof *db);
}
