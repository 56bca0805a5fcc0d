#include <stdio.h>
#include <string.h>

#include <libpq-fe.h>

#include "support/db_place.h"

bool db_place_postgres_sql(const db_place *p, const char *sql, char *first, size_t size)
{
    char port[8];
    const char *const name[] = {"host", "port", "dbname", "user", "options", NULL};
    const char *const value[] = {
        p->socket,
        port,
        "postgres",
        p->admin,
        "-c client_min_messages=warning -c synchronous_commit=local -c statement_timeout=20s",
        NULL};
    PGconn *db = NULL;
    PGresult *rows = NULL;
    bool ok;

    (void)snprintf(port, sizeof port, "%u", p->port);
    db = PQconnectdbParams(name, value, 0);
    rows = PQexec(db, sql);
    ok = PQresultStatus(rows) == PGRES_TUPLES_OK || PQresultStatus(rows) == PGRES_COMMAND_OK;
    if (!ok) {
        (void)fprintf(stderr, "%s: %s", sql, PQerrorMessage(db));
    }
    if (first != NULL) {
        (void)snprintf(first, size, "%s", ok && PQntuples(rows) > 0 ? PQgetvalue(rows, 0, 0) : "");
    }
    PQclear(rows);
    PQfinish(db);
    return ok;
}

bool db_place_postgres_make(db_place *p)
{
    char sql[400];

    (void)snprintf(sql, sizeof sql,
                   "CREATE ROLE %s LOGIN PASSWORD '%s'; CREATE SCHEMA %s AUTHORIZATION %s", p->user,
                   p->password, p->user, p->user);
    (void)snprintf(p->database, sizeof p->database, "postgres");
    /* the role's schema is the first of its search_path */
    p->server = (ks_server){.host = {{.name = p->socket, .port = (uint16_t)p->port}},
                            .hosts = 1,
                            .database = p->database,
                            .user = p->user,
                            .connect_timeout_ms = DB_PLACE_CONNECT_MS,
                            .tls = KS_TLS_DISABLE};
    return db_place_postgres_sql(p, sql, NULL, 0);
}

/* Runs a statement for each table of the place, %1$I in it. */
static bool for_each_table(const db_place *p, const char *first, const char *statement)
{
    char sql[800];

    (void)snprintf(sql, sizeof sql,
                   "DO $do$ DECLARE t name; BEGIN SET LOCAL search_path = %s; %s"
                   " FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = '%s' LOOP"
                   " EXECUTE format('%s', t); END LOOP; END $do$",
                   p->user, first, p->user, statement);
    return db_place_postgres_sql(p, sql, NULL, 0);
}

bool db_place_postgres_keep(const db_place *p)
{
    char first[200], each[200];

    (void)snprintf(first, sizeof first,
                   "DROP SCHEMA IF EXISTS kept_%s CASCADE; CREATE SCHEMA kept_%s;", p->user,
                   p->user);
    (void)snprintf(each, sizeof each, "CREATE TABLE kept_%s.%%1$I AS TABLE %%1$I", p->user);
    return for_each_table(p, first, each);
}

bool db_place_postgres_put_back(const db_place *p)
{
    char each[200];

    (void)snprintf(each, sizeof each, "TRUNCATE %%1$I; INSERT INTO %%1$I TABLE kept_%s.%%1$I",
                   p->user);
    return for_each_table(p, "", each);
}
