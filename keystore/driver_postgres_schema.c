#include <stdio.h>
#include <string.h>

#include "keystore/driver_postgres.h"

#define MIGRATION_MS 3600000u

/* The table schema_version says whose tables these are; other programs like the name too, without this
 * column. */
#define OURS                                                                \
    "c.relname = 'schema_version' AND EXISTS (SELECT 1 FROM pg_attribute a" \
    " WHERE a.attrelid = c.oid AND a.attname = 'program')"

/* Calls itself our schema from now on, and no other is looked into: one that comes in front of it later
 * would hide the tables, and new ones have forgotten what was burnt. */
ks_sql_step ks_postgres_settle(ks_postgres *p)
{
    return ks_postgres_query(
        p,
        "SELECT set_config('search_path', quote_ident(coalesce("
        "(SELECT s.name FROM unnest(current_schemas(false)) WITH ORDINALITY AS s (name, place)"
        " JOIN pg_namespace n ON n.nspname = s.name JOIN pg_class c ON c.relnamespace = n.oid"
        " WHERE " OURS " ORDER BY s.place LIMIT 1), current_schema())) || ', pg_temp', false)",
        NULL);
}

/* 'a','b': the tables that the migrations make. */
static void list_tables(tdsa_buf *out)
{
    static const char word[] = "CREATE TABLE ";

    for (uint32_t i = 0; i < ks_postgres_migration_count; i++) {
        const char *at = strstr(ks_postgres_migration[i], word);

        while (at != NULL) {
            const char *name = at + sizeof word - 1;
            const size_t quote = *name == '"' ? 1 : 0;

            tdsa_buf_appendf(out, "%s'%.*s'", out->len > 0 ? "," : "",
                             (int)strcspn(name + quote, "\" (\n"), name + quote);
            at = strstr(name, word);
        }
    }
    tdsa_buf_append_u8(out, 0);
}

/* A query with the list of tables put in for %s. */
static ks_sql_step ask_of_tables(ks_postgres *p, const char *before, const char *after,
                                 PGresult **rows)
{
    TDSA_SCOPED_BUF tables = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;

    *rows = NULL;
    list_tables(&tables);
    if (!tables.failed) {
        tdsa_buf_appendf(&text, "%s%s%s", before, (const char *)tables.data, after);
        tdsa_buf_append_u8(&text, 0);
    }
    if (tables.failed || text.failed) {
        (void)snprintf(p->base.error, sizeof p->base.error, "no memory");
        return KS_SQL_FAIL;
    }
    return ks_postgres_query(p, (const char *)text.data, rows);
}

/* Tables of other programs in the same schema are no hindrance while they have other names. */
static ks_sql_step read_schema(ks_postgres *p, ks_sql_schema *out)
{
    PGresult *rows = NULL;
    bool marked;
    ks_sql_step rc =
        ask_of_tables(p,
                      "SELECT count(*), count(*) FILTER (WHERE " OURS ") FROM pg_class c"
                      " JOIN pg_namespace n ON n.oid = c.relnamespace"
                      " WHERE n.nspname = current_schema() AND c.relname IN (",
                      ")", &rows);

    *out = (ks_sql_schema){0, 0, 0};
    if (rc != KS_SQL_DONE) {
        return rc;
    }
    out->tables = ks_postgres_number(p, rows, 0);
    marked = ks_postgres_number(p, rows, 1) > 0;
    p->pq.clear(rows);
    if (!marked) {
        return KS_SQL_DONE;
    }
    rc = ks_postgres_query(p, "SELECT max(version) FROM schema_version WHERE program = 'tdsa'",
                           &rows);
    if (rc == KS_SQL_DONE) {
        out->version = ks_postgres_number(p, rows, 0);
        out->ours = out->version > 0;
        p->pq.clear(rows);
    }
    return rc;
}

ks_sql_step ks_postgres_schema(ks_sql_conn *c, ks_sql_schema *out)
{
    ks_postgres *p = ks_postgres_of(c);
    const bool alone = p->pq.transactionStatus(p->db) == PQTRANS_IDLE;
    ks_sql_step rc =
        alone ? ks_postgres_query(p, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", NULL)
              : KS_SQL_DONE;

    if (rc == KS_SQL_DONE) {
        rc = read_schema(p, out);
    }
    if (alone) {
        c->driver->rollback(c);
    }
    return rc;
}

/* A large table may take its time. */
ks_sql_step ks_postgres_migrate(ks_sql_conn *c, uint32_t number)
{
    ks_postgres *p = ks_postgres_of(c);
    const uint32_t patience_ms = p->patience_ms;
    char stamp[160];
    ks_sql_step rc;

    p->patience_ms = MIGRATION_MS;
    rc = ks_postgres_query(p, "SET LOCAL statement_timeout = 0", NULL);
    if (rc == KS_SQL_DONE) {
        rc = ks_postgres_query(p, ks_postgres_migration[number - 1], NULL);
    }
    (void)snprintf(stamp, sizeof stamp,
                   "INSERT INTO schema_version (program, version) VALUES ('tdsa', %u)"
                   " ON CONFLICT (program) DO UPDATE SET version = excluded.version",
                   number);
    if (rc == KS_SQL_DONE) {
        rc = ks_postgres_query(p, stamp, NULL);
    }
    p->patience_ms = patience_ms;
    return rc;
}

/* Every table is there and may be read and written. Lost ones are never made again: see README. */
tdsa_status ks_postgres_prepare(ks_sql_conn *c, tdsa_err *err)
{
    ks_postgres *p = ks_postgres_of(c);
    PGresult *rows = NULL;
    tdsa_status st = TDSA_OK;
    const ks_sql_step rc =
        ask_of_tables(p,
                      "SELECT name, to_regclass(quote_ident(name)) IS NULL, current_user"
                      " FROM unnest(ARRAY[",
                      "]) AS name WHERE to_regclass(quote_ident(name)) IS NULL OR (name <> "
                      "'schema_version' AND NOT"
                      " (has_table_privilege(to_regclass(quote_ident(name)), 'SELECT')"
                      " AND has_table_privilege(to_regclass(quote_ident(name)), 'INSERT')"
                      " AND has_table_privilege(to_regclass(quote_ident(name)), 'UPDATE')"
                      " AND has_table_privilege(to_regclass(quote_ident(name)), 'DELETE')))",
                      &rows);

    if (rc != KS_SQL_DONE) {
        return ks_sql_fail_on(c, rc, "looking at its tables", err);
    }
    if (p->pq.ntuples(rows) > 0) {
        const char *name = ks_postgres_text(p, rows, 0);

        st = strcmp(ks_postgres_text(p, rows, 1), "t") == 0
                 ? TDSA_FAIL(err, TDSA_E_STORE,
                             "database %.100s is damaged: table %.20s is gone; restore a backup",
                             c->name, name)
                 : TDSA_FAIL(
                       err, TDSA_E_STORE,
                       "database %.80s: role %.40s needs a right: GRANT SELECT, INSERT, UPDATE, "
                       "DELETE ON \"%.20s\"",
                       c->name, ks_postgres_text(p, rows, 2), name);
    }
    p->pq.clear(rows);
    p->ready = st == TDSA_OK;
    return st;
}

/* ---- which database this is ---- */

/* Every role may read these, unless somebody took that away: then `?` stands there. The timeline grows when
 * a standby becomes the primary or a base backup is brought to a point in time; a dump that is read back
 * makes a new database or new tables. */
static const struct {
    const char *name, *query;
} marks[] = {
    {"system", "SELECT system_identifier FROM pg_control_system()"},
    {"timeline",
     "SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int"},
    {"database", "SELECT oid FROM pg_database WHERE datname = current_database()"},
    {"table", "SELECT to_regclass('meta')::oid"},
};

tdsa_status ks_postgres_identity(ks_sql_conn *c, tdsa_buf *out, tdsa_err *err)
{
    ks_postgres *p = ks_postgres_of(c);

    tdsa_buf_append_str(out, "postgres");
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        PGresult *rows = NULL;
        const ks_sql_step rc = ks_postgres_query(p, marks[i].query, &rows);
        const char *value = rc == KS_SQL_DONE ? ks_postgres_text(p, rows, 0) : "?";

        /* refused, or no such function here; anything else passes and would look like another database */
        if (rc != KS_SQL_DONE && rc != KS_SQL_FAIL) {
            return ks_sql_fail_on(c, rc, "asking which one it is", err);
        }
        tdsa_buf_appendf(out, " %s=%.40s", marks[i].name, value[0] != '\0' ? value : "?");
        p->pq.clear(rows);
    }
    return tdsa_buf_check(out, err);
}
