/* The driver against a server: errors, transactions, tables. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keystore/driver_mariadb.h"
#include "mariadb_fixture.h"

static const ks_sql_driver *const d = &ks_driver_mariadb;

/* ---- connecting ---- */

static void an_error_says_what_to_do_and_no_password(void **state)
{
    ma_fixture *f = *state;
    const ks_server good = f->server;

    f->server.host[0].port = 1;
    ma_refused(f, TDSA_E_STORE, "localhost:1: no server answers: start it");
    f->server = good;
    f->server.host[0].name = "no-such-host.invalid";
    ma_refused(f, TDSA_E_STORE, "the host is not known");
    f->server.host[0].name = "/no/such/socket";
    ma_refused(f, TDSA_E_STORE, "no server answers");
    f->server = good;
    f->server.password = "another password";
    ma_refused(f, TDSA_E_STORE, "wrong user or password");
    f->server.password = NULL;
    assert_int_equal(d->connect(&(ks_sql_conn *){NULL}, &f->cfg, &f->err), TDSA_E_STORE);
    f->server = good;
    f->server.user = "nobody";
    ma_refused(f, TDSA_E_STORE, "wrong user or password");
    f->server = good;
    f->server.database = "mysql";
    ma_refused(f, TDSA_E_STORE, "the user may not use the database: GRANT it");
    f->server = good;
    ma_admin(f, "DROP DATABASE @");
    ma_refused(f, TDSA_E_STORE, "the database does not exist");
}

static void a_configuration_that_says_nothing_is_refused(void **state)
{
    ma_fixture *f = *state;
    const ks_server good = f->server;

    f->server.hosts = 0;
    ma_refused(f, TDSA_E_CONFIG, "hosts");
    f->server = good;
    f->server.database = NULL;
    ma_refused(f, TDSA_E_CONFIG, "name of a database");
    f->server = good;
    f->server.user = "";
    ma_refused(f, TDSA_E_CONFIG, "name of a user");
    f->server = good;
    f->server.host[0].name = "";
    ma_refused(f, TDSA_E_CONFIG, "host 1");
}

static void hosts_are_tried_in_order(void **state)
{
    ma_fixture *f = *state;
    ks_sql_conn *c = NULL;

    f->server.host[1] = (ks_host){f->place.socket, 0};
    f->server.host[0].port = 1;
    f->server.hosts = 2;
    c = ma_connect(f);
    assert_non_null(strstr(c->name, f->place.socket));
    d->close(c);
    f->server.host[1].port = 1;
    f->server.host[1].name = "127.0.0.1";
    ma_refused(f, TDSA_E_STORE, "none of 2 hosts: database");
}

static void tls_that_is_required_must_be_offered(void **state)
{
    ma_fixture *f = *state;

    for (int mode = KS_TLS_REQUIRE; mode <= KS_TLS_VERIFY_FULL; mode++) {
        f->server.tls = (ks_tls_mode)mode;
        ma_refused(f, TDSA_E_STORE, "TLS");
    }
    f->server.tls = KS_TLS_PREFER;
    d->close(ma_connect(f));
}

/* ---- statements ---- */

static void names_differ_by_case_and_values_keep_their_bytes(void **state)
{
    ma_fixture *f = *state;
    const size_t large = (4u << 20);
    uint8_t *bytes = calloc(1, large);
    ks_sql_conn *c = ma_open(f);

    assert_non_null(bytes);
    memset(bytes, 0xff, large);
    assert_int_equal(ma_put(c, "name", bytes, large), KS_SQL_DONE);
    assert_int_equal(ma_put(c, "Name", "\0'\\", 3), KS_SQL_DONE);
    assert_int_equal(ma_put(c, "NAME", "", 0), KS_SQL_DONE); /* not NULL */
    assert_int_equal(ma_get(c, "name"), (long)large);
    assert_int_equal(ma_get(c, "Name"), 3);
    assert_int_equal(ma_get(c, "NAME"), 0);
    assert_int_equal(ma_get(c, "nAME"), -1);
    free(bytes);
    d->close(c);
}

static void a_value_that_does_not_fit_is_not_told(void **state)
{
    ma_fixture *f = *state;
    char name[100];
    ks_sql_conn *c = ma_open(f);

    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    assert_int_equal(ma_put(c, name, "v", 1), KS_SQL_FAIL);
    assert_non_null(strstr(c->error, "too long"));
    assert_null(strstr(c->error, "nnn"));
    assert_int_equal(ma_put(c, "\xff", "v", 1), KS_SQL_FAIL);
    assert_non_null(strstr(c->error, "UTF-8"));
    d->close(c);
}

static uint64_t run(ks_sql_conn *c, ks_sql_id which, const ks_sql_value *args)
{
    uint64_t changes = 0;

    if (d->start(c, which, args, strlen(ks_sql_common[which].args)) != KS_SQL_DONE) {
        fail_msg("%s", c->error);
    }
    assert_int_equal(d->step(c, which), KS_SQL_DONE);
    changes = d->changes(c, which);
    d->finish(c, which);
    return changes;
}

static void a_row_that_was_the_same_counts_as_changed(void **state)
{
    static const char bytes[64] = {0};
    const ks_sql_value args[] = {
        {.type = KS_SQL_BLOB, .data = bytes, .len = 32},
        {.type = KS_SQL_INT, .number = 1},
        {.type = KS_SQL_TEXT, .data = "k", .len = 1},
        {.type = KS_SQL_BLOB, .data = bytes, .len = sizeof bytes},
        {.type = KS_SQL_INT, .number = INT64_MAX},
        {.type = KS_SQL_INT, .number = 0},
        {.type = KS_SQL_INT, .number = 1},
    };
    ks_sql_conn *c = ma_open(*state);

    assert_int_equal(run(c, KS_SQL_PARTIAL_FAIL, args), 0);
    assert_int_equal(run(c, KS_SQL_PARTIAL_INSERT, args), 1);
    assert_int_equal(run(c, KS_SQL_PARTIAL_FAIL, args), 1);
    assert_int_equal(run(c, KS_SQL_PARTIAL_FAIL, args), 1);
    d->close(c);
}

/* ---- transactions ---- */

static void after_an_error_nothing_of_a_transaction_happens(void **state)
{
    ma_fixture *f = *state;
    ks_sql_conn *c = ma_open(f);

    assert_int_equal(d->begin(c), KS_SQL_DONE);
    assert_int_equal(ma_put(c, "before", "v", 1), KS_SQL_DONE);
    assert_int_equal(ma_put(c, "\xff", "v", 1), KS_SQL_FAIL);
    assert_int_equal(ma_put(c, "after", "v", 1), KS_SQL_FAIL);
    assert_int_equal(d->commit(c), KS_SQL_FAIL);
    d->rollback(c);
    assert_int_equal(ma_get(c, "before"), -1);
    assert_int_equal(ma_get(c, "after"), -1);
    d->close(c);
}

static void the_second_writer_waits_and_is_told(void **state)
{
    ma_fixture *f = *state;
    ks_sql_conn *first = NULL;
    ks_sql_conn *second = NULL;

    f->server.statement_timeout_ms = 60000; /* so that it is not cut off meanwhile */
    first = ma_open(f);
    f->server.statement_timeout_ms = 500; /* counts as 1 s */
    second = ma_connect(f);
    assert_int_equal(d->begin(first), KS_SQL_DONE);
    assert_int_equal(ma_put(first, "x", "v", 1), KS_SQL_DONE);
    assert_int_equal(ma_get(second, "x"), -1);
    assert_int_equal(d->begin(second), KS_SQL_BUSY);
    assert_non_null(strstr(second->error, "another process"));
    d->rollback(second);
    assert_true(d->valid(second, NULL));
    d->close(first); /* without commit */
    assert_int_equal(d->begin(second), KS_SQL_DONE);
    assert_int_equal(ma_get(second, "x"), -1);
    assert_int_equal(d->commit(second), KS_SQL_DONE);
    d->close(second);
}

static void a_writer_that_stands_still_is_cut_off(void **state)
{
    ma_fixture *f = *state;
    ks_sql_conn *still = ma_open(f);
    ks_sql_conn *next = NULL;

    f->server.statement_timeout_ms = 20000;
    next = ma_connect(f);
    assert_int_equal(d->begin(still), KS_SQL_DONE);
    assert_int_equal(ma_put(still, "x", "v", 1), KS_SQL_DONE);
    assert_int_equal(d->begin(next), KS_SQL_DONE); /* waits a second, not twenty */
    assert_int_equal(d->commit(next), KS_SQL_DONE);
    assert_int_equal(ma_put(still, "y", "v", 1), KS_SQL_LOST);
    assert_int_equal(d->commit(still), KS_SQL_LOST);
    assert_int_equal(ma_get(next, "x"), -1);
    d->close(still);
    d->close(next);
}

static void kill_connections(ma_fixture *f)
{
    ma_admin(f, "KILL USER @");
}

static void a_connection_that_is_killed_is_lost_for_good(void **state)
{
    ma_fixture *f = *state;
    ks_sql_conn *c = ma_open(f);

    assert_int_equal(d->begin(c), KS_SQL_DONE);
    assert_int_equal(ma_put(c, "x", "v", 1), KS_SQL_DONE);
    kill_connections(f);
    assert_int_equal(ma_put(c, "y", "v", 1), KS_SQL_LOST);
    d->rollback(c);
    assert_int_equal(d->begin(c), KS_SQL_LOST);
    assert_false(d->valid(c, NULL));
    d->close(c);
    c = ma_connect(f);
    assert_int_equal(ma_get(c, "x"), -1);
    kill_connections(f);
    assert_int_equal(d->commit(c), KS_SQL_LOST);
    d->close(c);
}

static void a_child_leaves_the_connection_alone(void **state)
{
    ks_sql_conn *c = ma_open(*state);

    ma_abandon_in_child(c);
    d->close(c);
}

/* ---- tables ---- */

static ks_sql_schema schema_of(ks_sql_conn *c)
{
    ks_sql_schema s = {0};

    assert_int_equal(d->schema(c, &s), KS_SQL_DONE);
    return s;
}

static void tables_are_made_to_the_end_after_a_kill(void **state)
{
    static const char *const undone[] = {"key_change", "object",     "counter",  "meta",
                                         "data_key",   "partial",    "deletion", "lane",
                                         "block",      "batch_data", "batch"};
    ma_fixture *f = *state;
    ks_sql_conn *c = ma_open(f);
    char text[64];

    for (size_t n = 0; n <= sizeof undone / sizeof undone[0]; n++) {
        ma_admin(f, "DELETE FROM @.schema_version");
        for (size_t i = 0; i < n; i++) {
            (void)snprintf(text, sizeof text, "DROP TABLE @.%s", undone[i]);
            ma_admin(f, text);
        }
        assert_int_equal(schema_of(c).tables, 0);
        ma_migrate(c);
        assert_int_equal(schema_of(c).version, *d->migration_count);
        assert_int_equal(d->prepare(c, &f->err), TDSA_OK);
    }
    d->close(c);
}

/* Once with nothing done of what comes next, and once with all but its note. */
static void an_older_database_is_brought_forward(void **state)
{
    ma_fixture *f = *state;
    ks_sql_conn *c = ma_open(f);
    ks_backend *b = NULL;

    assert_int_equal(ma_put(c, "ks.store-id", "v", 1), KS_SQL_DONE);
    d->close(c);
    for (unsigned i = 0; i < 2; i++) {
        if (i == 0) {
            ma_admin(f, "DROP TABLE @.object");
            ma_admin(f, "DROP TABLE @.key_change");
        }
        ma_admin(f, "DELETE FROM @.schema_version WHERE number > 1");
        f->cfg.create_tables = false;
        assert_int_equal(ks_sql_open(&b, d, &f->cfg, &f->err), TDSA_E_STORE);
        assert_non_null(strstr(f->err.text, "schema version 1, this program needs"));
        f->cfg.create_tables = true;
        if (ks_sql_open(&b, d, &f->cfg, &f->err) != TDSA_OK) {
            fail_msg("%s", f->err.text);
        }
        b->ops->close(b);
    }
    c = ma_connect(f);
    assert_int_equal(schema_of(c).version, *d->migration_count);
    assert_int_equal(d->prepare(c, &f->err), TDSA_OK);
    d->close(c);
}

static void a_lost_table_is_never_made_again(void **state)
{
    ma_fixture *f = *state;
    ks_sql_conn *c = ma_open(f);

    ma_admin(f, "DROP TABLE @.block");
    assert_int_equal(schema_of(c).version, *d->migration_count);
    assert_int_equal(d->prepare(c, &f->err), TDSA_E_STORE);
    assert_non_null(strstr(f->err.text, "no table block"));
    assert_non_null(strstr(f->err.text, "restore a backup"));
    /* not by forgetting the version either, once the store was in use */
    assert_int_equal(ma_put(c, "ks.store-id", "v", 1), KS_SQL_DONE);
    ma_admin(f, "DELETE FROM @.schema_version");
    assert_true(schema_of(c).tables > 0);
    assert_int_equal(schema_of(c).version, 0);
    d->close(c);
}

static void a_table_without_transactions_is_refused(void **state)
{
    ma_fixture *f = *state;
    ks_sql_conn *c = ma_open(f);

    ma_admin(f, "ALTER TABLE @.block ENGINE = MyISAM");
    assert_int_equal(d->prepare(c, &f->err), TDSA_E_STORE);
    assert_non_null(strstr(f->err.text, "InnoDB"));
    d->close(c);
}

static void tables_of_others_are_told_from_ours(void **state)
{
    ma_fixture *f = *state;
    ks_sql_conn *c = ma_connect(f);

    assert_int_equal(schema_of(c).tables, 0);
    ma_admin(f, "CREATE TABLE @.schema_version (number BIGINT)");
    assert_int_equal(schema_of(c).tables, 1);
    assert_int_equal(schema_of(c).ours, 0);
    d->close(c);
}

static void several_processes_make_tables_at_once(void **state)
{
    ma_fixture *f = *state;
    ks_sql_conn *c = NULL;
    pid_t child[3];
    int status = -1;

    f->server.statement_timeout_ms = 20000;
    for (size_t i = 0; i < 3; i++) {
        child[i] = fork();
        assert_true(child[i] >= 0);
        if (child[i] == 0) {
            c = ma_connect(f);
            ma_migrate(c);
            _exit(d->prepare(c, &f->err) == TDSA_OK ? 0 : 1);
        }
    }
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(waitpid(child[i], &status, 0), child[i]);
        assert_int_equal(status, 0);
    }
    c = ma_connect(f);
    assert_int_equal(schema_of(c).version, *d->migration_count);
    d->close(c);
}

static void a_user_without_create_is_told_and_then_works(void **state)
{
    ma_fixture *f = *state;
    ks_sql_conn *c = NULL;

    ma_admin(f, "REVOKE ALL ON @.* FROM @");
    ma_admin(f, "GRANT SELECT, INSERT, UPDATE, DELETE ON @.* TO @");
    c = ma_connect(f);
    assert_int_equal(d->begin(c), KS_SQL_DONE);
    assert_int_equal(d->migrate(c, 1), KS_SQL_FAIL);
    assert_non_null(strstr(c->error, "run create-tables with an owner of the database"));
    d->close(c);
    ma_admin(f, "GRANT CREATE, INDEX ON @.* TO @");
    d->close(ma_open(f));
    ma_admin(f, "REVOKE CREATE, INDEX ON @.* FROM @");
    c = ma_connect(f);
    assert_int_equal(d->prepare(c, &f->err), TDSA_OK);
    assert_int_equal(d->begin(c), KS_SQL_DONE);
    assert_int_equal(ma_put(c, "x", "v", 1), KS_SQL_DONE);
    assert_int_equal(d->commit(c), KS_SQL_DONE);
    d->close(c);
}

/* ---- texts ---- */

static void arguments_become_positions(void **state)
{
    ma_rewritten out;

    (void)state;
    assert_true(ks_mariadb_rewrite(&out, "SELECT ?2, '?1', ?10 WHERE a = ?2 LIMIT ?1"));
    assert_string_equal(out.text, "SELECT ?, '?1', ? WHERE a = ? LIMIT ?");
    assert_int_equal(out.count, 4);
    assert_int_equal(out.arg[0], 1);
    assert_int_equal(out.arg[1], 9);
    assert_int_equal(out.arg[2], 1);
    assert_int_equal(out.arg[3], 0);
    free(out.text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, ma_setup, ma_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_error_says_what_to_do_and_no_password),
        TEST(a_configuration_that_says_nothing_is_refused),
        TEST(hosts_are_tried_in_order),
        TEST(tls_that_is_required_must_be_offered),
        TEST(names_differ_by_case_and_values_keep_their_bytes),
        TEST(a_value_that_does_not_fit_is_not_told),
        TEST(a_row_that_was_the_same_counts_as_changed),
        TEST(after_an_error_nothing_of_a_transaction_happens),
        TEST(the_second_writer_waits_and_is_told),
        TEST(a_writer_that_stands_still_is_cut_off),
        TEST(a_connection_that_is_killed_is_lost_for_good),
        TEST(a_child_leaves_the_connection_alone),
        TEST(tables_are_made_to_the_end_after_a_kill),
        TEST(an_older_database_is_brought_forward),
        TEST(a_lost_table_is_never_made_again),
        TEST(a_table_without_transactions_is_refused),
        TEST(tables_of_others_are_told_from_ours),
        TEST(several_processes_make_tables_at_once),
        TEST(a_user_without_create_is_told_and_then_works),
        cmocka_unit_test(arguments_become_positions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
