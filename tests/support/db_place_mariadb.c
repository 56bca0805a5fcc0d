#include <stdio.h>
#include <string.h>

#include "keystore/driver_mariadb.h"
#include "support/db_place.h"

/* Not through the driver, which refuses a server that a test has set wrongly. */
static MYSQL *connect_admin(const ma_library *lib, const db_place *p, const char *database)
{
    const unsigned wait_s = 30; /* a test that left a lock behind fails, and does not hang */
    MYSQL *db = lib->mysql_init(NULL);

    if (db != NULL) {
        (void)lib->mysql_options(db, MYSQL_OPT_READ_TIMEOUT, &wait_s);
    }
    if (db != NULL && lib->mysql_real_connect(db, NULL, p->admin, p->admin_password, database, 0,
                                              p->socket, 0) == NULL) {
        (void)fprintf(stderr, "%s: %s\n", p->socket, lib->mysql_error(db));
        lib->mysql_close(db);
        db = NULL;
    }
    return db;
}

static bool query(const ma_library *lib, MYSQL *db, const char *sql, char *first, size_t size)
{
    MYSQL_RES *rows = NULL;
    MYSQL_ROW row = NULL;

    if (lib->mysql_real_query(db, sql, (unsigned long)strlen(sql)) != 0) {
        (void)fprintf(stderr, "%s: %s\n", sql, lib->mysql_error(db));
        return false;
    }
    rows = lib->mysql_store_result(db);
    if (rows != NULL) {
        row = lib->mysql_fetch_row(rows);
    }
    if (first != NULL) {
        (void)snprintf(first, size, "%s", row != NULL && row[0] != NULL ? row[0] : "");
    }
    if (rows != NULL) {
        lib->mysql_free_result(rows);
    }
    return true;
}

static const ma_library *load(void)
{
    const ma_library *lib = NULL;
    tdsa_err err;

    if (ks_mariadb_library(&lib, &err) != TDSA_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
    }
    return lib;
}

bool db_place_mariadb_sql(const db_place *p, const char *sql, char *first, size_t size)
{
    const ma_library *lib = load();
    MYSQL *db = lib != NULL ? connect_admin(lib, p, p->database) : NULL;
    bool ok = false;

    if (db != NULL) {
        ok = query(lib, db, sql, first, size);
        lib->mysql_close(db);
    }
    return ok;
}

bool db_place_mariadb_make(db_place *p)
{
    const ma_library *lib = load();
    MYSQL *db = lib != NULL ? connect_admin(lib, p, NULL) : NULL;
    char make[96], user[192], grant[192];
    bool ok = db != NULL;

    (void)snprintf(make, sizeof make, "CREATE DATABASE %s", p->user);
    (void)snprintf(user, sizeof user, "CREATE USER %s IDENTIFIED BY '%s'", p->user, p->password);
    (void)snprintf(grant, sizeof grant, "GRANT ALL ON %s.* TO %s", p->user, p->user);
    ok = ok && query(lib, db, make, NULL, 0) && query(lib, db, user, NULL, 0) &&
         query(lib, db, grant, NULL, 0);
    if (db != NULL) {
        lib->mysql_close(db);
    }
    (void)snprintf(p->database, sizeof p->database, "%s", p->user);
    p->server = (ks_server){.host = {{.name = p->socket}},
                            .hosts = 1,
                            .database = p->database,
                            .user = p->user,
                            .password = p->password,
                            .connect_timeout_ms = DB_PLACE_CONNECT_MS,
                            .tls = KS_TLS_DISABLE};
    return ok;
}

bool db_place_mariadb_empty(const db_place *p)
{
    const ma_library *lib = load();
    MYSQL *db = lib != NULL ? connect_admin(lib, p, p->database) : NULL;
    char tables[512] = "", sql[96];
    char *rest = NULL;
    bool ok =
        db != NULL && query(lib, db,
                            "SELECT group_concat(table_name) FROM information_schema.tables"
                            " WHERE table_schema = database() AND table_name <> 'schema_version'",
                            tables, sizeof tables);

    ok = ok && tables[0] != '\0';
    for (char *name = strtok_r(tables, ",", &rest); ok && name != NULL;
         name = strtok_r(NULL, ",", &rest)) {
        (void)snprintf(sql, sizeof sql, "DELETE FROM `%s`", name);
        ok = query(lib, db, sql, NULL, 0);
    }
    if (db != NULL) {
        lib->mysql_close(db);
    }
    return ok;
}
