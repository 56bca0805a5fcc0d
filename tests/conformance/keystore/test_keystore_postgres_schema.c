#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keystore/keystore.h"
#include "pg_session.h"

/* What the driver of PostgreSQL finds in a database, and what it needs to be allowed to. */

#define OK(s, call) assert_ok((s), (call), TDSA_WHERE)

static void assert_ok(pg_session *s, tdsa_status st, const char *where)
{
    if (st != TDSA_OK) {
        fail_msg("%s: %s", where, s->err.text);
    }
}

/* Opening fails so, with this word. */
static void not_opened(pg_session *s, const char *word)
{
    assert_int_equal(ks_create_tables(&s->cfg, &s->err), TDSA_E_STORE);
    if (strstr(s->err.text, word) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", s->err.text, word);
    }
}

/* What the administrator reads; %s as in pg_admin. */
static void expect(pg_session *s, const char *query, const char *want)
{
    char got[64], sql[512];

    (void)snprintf(sql, sizeof sql, "SET search_path = %s; %s", s->place.user, query);
    assert_true(db_place_sql(&s->place, sql, got, sizeof got));
    assert_string_equal(got, want);
}

static void is_newest(pg_session *s)
{
    char want[32];

    (void)snprintf(want, sizeof want, "tdsa %u", *PG_DRIVER->migration_count);
    expect(s, "SELECT program || ' ' || version FROM schema_version", want);
}

static void tables_are_made_once_by_many_processes(void **state)
{
    pg_session *s = *state;
    pid_t child[6];

    for (size_t i = 0; i < 6; i++) {
        child[i] = fork();
        if (child[i] == 0) {
            const tdsa_status st = ks_create_tables(&s->cfg, &s->err);

            if (st != TDSA_OK) {
                (void)fprintf(stderr, "%s\n", s->err.text);
            }
            _exit(st == TDSA_OK ? 0 : 1);
        }
    }
    for (size_t i = 0; i < 6; i++) {
        int status = 1;

        assert_int_equal(waitpid(child[i], &status, 0), child[i]);
        assert_int_equal(status, 0);
    }
    is_newest(s);
    s->cfg.create_tables = false;
    OK(s, ks_create_tables(&s->cfg, &s->err));
}

static void an_older_schema_is_brought_forward(void **state)
{
    pg_session *s = *state;

    OK(s, ks_create_tables(&s->cfg, &s->err));
    pg_admin(s, "INSERT INTO %s.meta VALUES ('old', 'x'); UPDATE %s.schema_version SET version = 1;"
                "DROP TABLE %s.object; DROP TABLE %s.key_change");
    s->cfg.create_tables = false;
    not_opened(s, "schema version 1, this program needs");
    s->cfg.create_tables = true;
    OK(s, ks_create_tables(&s->cfg, &s->err));
    is_newest(s);
    expect(s, "SELECT count(*) FROM meta WHERE name = 'old'", "1");
    expect(s, "SELECT count(*) FROM object", "0");
    expect(s, "SELECT count(*) FROM key_change", "0");
}

/* How a statement is carried out whose arguments are these numbers. */
static void plan(pg_session *s, ks_sql_id which, const char *const args[], char *out, size_t size)
{
    char sql[4096];
    size_t n = (size_t)snprintf(sql, sizeof sql, "SET search_path = %s; EXPLAIN (FORMAT JSON) ",
                                s->place.user);

    for (const char *in = ks_sql_common[which].text; *in != '\0'; in++) {
        const bool argument = *in == '?';

        n += (size_t)snprintf(sql + n, sizeof sql - n, "%.*s", argument ? 16 : 1,
                              argument ? args[in[1] - '1'] : in);
        in += argument ? 1 : 0;
        assert_true(n < sizeof sql);
    }
    assert_true(db_place_sql(&s->place, sql, out, size));
}

static void neither_a_page_nor_a_change_reads_all_keys(void **state)
{
    static char text[16384];
    pg_session *s = *state;

    OK(s, ks_create_tables(&s->cfg, &s->err));
    pg_admin(s, "INSERT INTO %s.key SELECT 'key-' || i, 0, 3, 'label', 5, -1, 'x', 'x', 'x'"
                " FROM generate_series(1, 20000) i;"
                "INSERT INTO %s.key_change SELECT 'key-' || i, i FROM generate_series(1, 20000) i");
    pg_admin(s, "ANALYZE %s.key");
    pg_admin(s, "ANALYZE %s.key_change");
    plan(s, KS_SQL_KEY_EACH, (const char *[]){"'key-7'", "32"}, text, sizeof text);
    assert_non_null(strstr(text, "Index Scan"));
    assert_null(strstr(text, "Join"));
    assert_null(strstr(text, "Seq Scan"));
    plan(s, KS_SQL_CHANGE_EACH, (const char *[]){"19990", "20000", "32"}, text, sizeof text);
    assert_non_null(strstr(text, "Index Scan"));
    assert_null(strstr(text, "Seq Scan"));
}

static void an_empty_schema_is_told(void **state)
{
    pg_session *s = *state;

    s->cfg.create_tables = false;
    not_opened(s, "create-tables");
}

static void a_newer_schema_is_left_alone(void **state)
{
    pg_session *s = *state;

    OK(s, ks_create_tables(&s->cfg, &s->err));
    pg_admin(s, "UPDATE %s.schema_version SET version = 1000");
    not_opened(s, "1000");
    expect(s, "SELECT version FROM schema_version", "1000");
}

static void a_lost_table_is_not_made_again(void **state)
{
    pg_session *s = *state;

    OK(s, ks_create_tables(&s->cfg, &s->err));
    pg_admin(s, "DROP TABLE %s.block");
    not_opened(s, "block is gone");
    pg_admin(s, "DROP TABLE %s.schema_version");
    not_opened(s, "another program");
    expect(s, "SELECT to_regclass('block') IS NULL", "t");
}

static void a_lost_lock_row_is_told(void **state)
{
    pg_session *s = *state;
    ks_sql_conn *c = pg_connect_ready(s);

    pg_admin(s, "DELETE FROM %s.counter WHERE name = 'writer'");
    assert_int_equal(PG_DRIVER->begin(c), KS_SQL_FAIL);
    assert_non_null(strstr(c->error, "writers' lock"));
    PG_DRIVER->close(c);
}

static void tables_of_others_are_left_alone(void **state)
{
    pg_session *s = *state;

    pg_admin(s, "CREATE TABLE %s.customer (key int); INSERT INTO %s.customer VALUES (7);"
                "CREATE VIEW %s.customers AS SELECT * FROM %s.customer");
    OK(s, ks_create_tables(&s->cfg, &s->err)); /* beside them */
    expect(s, "SELECT key FROM customers", "7");
}

static void a_name_that_is_taken_is_told(void **state)
{
    static const char *const taken[] = {
        "CREATE TABLE %s.\"key\" (id int)",
        "CREATE TABLE %s.schema_version (version int)", /* as others have it */
        "CREATE VIEW %s.meta AS SELECT 1 AS one",
        "CREATE TABLE %s.schema_version (program text, version int);"
        "INSERT INTO %s.schema_version VALUES ('theirs', 3); GRANT SELECT ON %s.schema_version TO "
        "%s",
    };
    pg_session *s = *state;

    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        pg_admin(s, taken[i]);
        not_opened(s, "another program");
        expect(s,
               "SELECT count(*) FROM pg_class WHERE relname = 'batch' AND relnamespace ="
               " current_schema()::regnamespace",
               "0");
        pg_admin(s, "DROP SCHEMA %s CASCADE; CREATE SCHEMA %s AUTHORIZATION %s");
    }
}

/* An owner made the tables; the role that works has no right to make any. */
static void a_role_without_the_right_to_make_tables_works(void **state)
{
    pg_session *s = *state;
    ks_sql_conn *c = NULL;
    int64_t value = 0;

    pg_admin(s, "ALTER SCHEMA %s OWNER TO admin; GRANT USAGE ON SCHEMA %s TO %s");
    not_opened(s, "create-tables as the owner");
    pg_admin(s, "ALTER SCHEMA %s OWNER TO %s");
    OK(s, ks_create_tables(&s->cfg, &s->err));
    pg_admin(s, "REASSIGN OWNED BY %s TO admin; GRANT USAGE ON SCHEMA %s TO %s");
    not_opened(s, "no right"); /* to read the version */
    pg_admin(s, "GRANT SELECT ON ALL TABLES IN SCHEMA %s TO %s");
    not_opened(s, "GRANT SELECT, INSERT, UPDATE, DELETE");
    pg_admin(s, "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %s TO %s");
    c = pg_connect_ready(s);
    assert_int_equal(pg_count(c, &value), KS_SQL_DONE);
    PG_DRIVER->close(c);
}

/* A schema that comes in front of the one with the tables does not hide what was burnt. */
static void the_tables_are_found_behind_another_schema(void **state)
{
    pg_session *s = *state;
    ks_sql_conn *c = pg_connect_ready(s);
    int64_t value = 0;
    char schema[64];

    assert_int_equal(pg_count(c, &value), KS_SQL_DONE);
    PG_DRIVER->close(c);
    pg_admin(s, "CREATE SCHEMA front_%s AUTHORIZATION %s;"
                "ALTER ROLE %s SET search_path = front_%s, %s, public");
    c = pg_connect_ready(s);
    pg_ask(c, "SELECT current_schema()", schema, sizeof schema);
    assert_string_equal(schema, s->place.user);
    assert_int_equal(pg_count(c, &value), KS_SQL_DONE);
    assert_int_equal(value, 2);
    PG_DRIVER->close(c);
}

static void a_search_path_without_a_schema_is_told(void **state)
{
    pg_session *s = *state;

    pg_admin(s, "ALTER ROLE %s SET search_path = nowhere");
    not_opened(s, "search_path");
}

static void a_commit_is_on_disk_when_it_returns(void **state)
{
    static const char *const set[] = {"off", "local", "remote_write", "on", "remote_apply"};
    pg_session *s = *state;

    for (size_t i = 0; i < sizeof set / sizeof set[0]; i++) {
        char sql[80], got[32];
        ks_sql_conn *c = NULL;

        (void)snprintf(sql, sizeof sql, "ALTER ROLE %%s SET synchronous_commit = %s", set[i]);
        pg_admin(s, sql);
        c = pg_connect(s);
        pg_ask(c, "SHOW synchronous_commit", got, sizeof got);
        assert_string_equal(got, i == 4 ? "remote_apply" : "on");
        pg_ask(c, "SHOW default_transaction_isolation", got, sizeof got);
        assert_string_equal(got, "read committed");
        PG_DRIVER->close(c);
    }
    assert_non_null(strstr(s->logged, "fsync = off")); /* servers of tests have it so */
}

static void the_first_query_is_run(void **state)
{
    pg_session *s = *state;
    ks_sql_conn *c = NULL;
    char got[32];

    s->place.server.pool.init_query = "SET application_name = 'of a test'";
    c = pg_connect(s);
    pg_ask(c, "SHOW application_name", got, sizeof got);
    assert_string_equal(got, "of a test");
    PG_DRIVER->close(c);
    s->place.server.pool.init_query = "SELECT 1 FROM nothing_like_that";
    pg_refused(s, TDSA_E_STORE, "nothing_like_that", NULL);
    s->place.server.pool.init_query = "COPY pg_class TO STDOUT"; /* never ends by itself */
    pg_refused(s, TDSA_E_STORE, NULL);
}

/* Stores a value under "v" and reads it again. */
static void there_and_back(ks_sql_conn *c, const void *bytes, size_t len)
{
    const ks_sql_value args[2] = {{.type = KS_SQL_TEXT, .data = "v", .len = 1},
                                  {.type = KS_SQL_BLOB, .data = bytes, .len = len}};
    ks_sql_value got;

    assert_int_equal(PG_DRIVER->begin(c), KS_SQL_DONE);
    assert_int_equal(PG_DRIVER->start(c, KS_SQL_META_PUT, args, 2), KS_SQL_DONE);
    assert_int_equal(PG_DRIVER->step(c, KS_SQL_META_PUT), KS_SQL_DONE);
    assert_int_equal(PG_DRIVER->changes(c, KS_SQL_META_PUT), 1);
    PG_DRIVER->finish(c, KS_SQL_META_PUT);
    assert_int_equal(PG_DRIVER->commit(c), KS_SQL_DONE);
    assert_int_equal(PG_DRIVER->start(c, KS_SQL_META_GET, args, 1), KS_SQL_DONE);
    assert_int_equal(PG_DRIVER->step(c, KS_SQL_META_GET), KS_SQL_ROW);
    PG_DRIVER->column(c, KS_SQL_META_GET, 0, &got);
    assert_int_equal(got.type, KS_SQL_BLOB);
    assert_int_equal(got.len, len);
    assert_memory_equal(got.data, bytes, len);
    assert_int_equal(PG_DRIVER->step(c, KS_SQL_META_GET), KS_SQL_DONE);
    PG_DRIVER->finish(c, KS_SQL_META_GET);
}

static void values_come_back_as_they_were(void **state)
{
    static const int64_t numbers[] = {INT64_MIN, -1, 0, 1, 255, INT64_MAX};
    static uint8_t large[1 << 20];
    pg_session *s = *state;
    ks_sql_conn *c = pg_connect_ready(s);

    for (size_t i = 0; i < sizeof large; i++) {
        large[i] = (uint8_t)(i * 7);
    }
    there_and_back(c, "", 0); /* not NULL */
    there_and_back(c, "\0'\\x00\377", 8);
    there_and_back(c, large, sizeof large);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        ks_sql_value args[2] = {{.type = KS_SQL_TEXT, .data = "n", .len = 1},
                                {.type = KS_SQL_INT, .number = numbers[i]}};

        pg_admin(s, "DELETE FROM %s.counter WHERE name = 'n'");
        assert_int_equal(PG_DRIVER->start(c, KS_SQL_COUNTER_RAISE, args, 2), KS_SQL_DONE);
        PG_DRIVER->finish(c, KS_SQL_COUNTER_RAISE);
        assert_int_equal(PG_DRIVER->start(c, KS_SQL_COUNTER_GET, args, 1), KS_SQL_DONE);
        assert_int_equal(PG_DRIVER->step(c, KS_SQL_COUNTER_GET), KS_SQL_ROW);
        PG_DRIVER->column(c, KS_SQL_COUNTER_GET, 0, &args[1]);
        assert_true(args[1].type == KS_SQL_INT && args[1].number == numbers[i]);
        PG_DRIVER->finish(c, KS_SQL_COUNTER_GET);
    }
    PG_DRIVER->close(c);
}

static void identity_of(pg_session *s, char *out, size_t size)
{
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    ks_sql_conn *c = pg_connect_ready(s);

    OK(s, PG_DRIVER->identity(c, &text, &s->err));
    assert_true(text.len < size && text.len <= 200);
    memcpy(out, text.data, text.len);
    out[text.len] = '\0';
    PG_DRIVER->close(c);
}

static void an_identity_stays_until_tables_are_brought_back(void **state)
{
    pg_session *s = *state;
    char first[256], second[256];

    identity_of(s, first, sizeof first);
    identity_of(s, second, sizeof second);
    assert_string_equal(first, second);
    assert_null(strchr(first, '?')); /* an ordinary role may read it all */
    assert_non_null(strstr(first, " timeline=1 "));
    pg_admin(s, "DROP SCHEMA %s CASCADE; CREATE SCHEMA %s AUTHORIZATION %s");
    identity_of(s, second, sizeof second);
    assert_string_not_equal(first, second);
}

static void what_a_role_may_not_read_is_left_out(void **state)
{
    pg_session *s = *state;
    char text[256];

    pg_admin(s, "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC");
    identity_of(s, text, sizeof text);
    pg_admin(s, "GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC");
    assert_non_null(strstr(text, "system=? timeline=1 "));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, pg_session_setup, pg_session_teardown)
    const struct CMUnitTest tests[] = {
        TEST(tables_are_made_once_by_many_processes),
        TEST(an_older_schema_is_brought_forward),
        TEST(neither_a_page_nor_a_change_reads_all_keys),
        TEST(an_empty_schema_is_told),
        TEST(a_newer_schema_is_left_alone),
        TEST(a_lost_table_is_not_made_again),
        TEST(a_lost_lock_row_is_told),
        TEST(tables_of_others_are_left_alone),
        TEST(a_name_that_is_taken_is_told),
        TEST(a_role_without_the_right_to_make_tables_works),
        TEST(the_tables_are_found_behind_another_schema),
        TEST(a_search_path_without_a_schema_is_told),
        TEST(a_commit_is_on_disk_when_it_returns),
        TEST(the_first_query_is_run),
        TEST(values_come_back_as_they_were),
        TEST(an_identity_stays_until_tables_are_brought_back),
        TEST(what_a_role_may_not_read_is_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
