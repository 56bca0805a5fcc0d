#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pg_session.h"

/* Connections to PostgreSQL: what is refused, what breaks, what heals. On a server of its own, with TLS, that
 * may be stopped. */

/* A socket that listens on loopback; *port is where. */
static int listener(uint16_t *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof at;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

static uint16_t closed_port(void)
{
    uint16_t port = 0;

    (void)close(listener(&port));
    return port;
}

static void server_is(const char *how)
{
    char command[400];

    (void)snprintf(command, sizeof command, "%s %s %s", DB_SERVER_PROGRAM, how,
                   getenv("TDSA_TEST_POSTGRES"));
    assert_int_equal(system(command), 0);
}

static void a_missing_library_names_the_package(void **state)
{
    pg_session *s = *state;
    ks_pq pq;

    assert_int_equal(ks_pq_load(&pq, "libpq.so.none", &s->err), TDSA_E_CONFIG);
    assert_non_null(strstr(s->err.text, "libpq5"));
    assert_int_equal(ks_pq_load(&pq, "libc.so.6", &s->err), TDSA_E_CONFIG);
    assert_non_null(strstr(s->err.text, "PQ"));
}

static void a_server_must_be_named(void **state)
{
    pg_session *s = *state;

    s->place.server.database = "";
    pg_refused(s, TDSA_E_CONFIG, "host and a database", NULL);
    s->place.server.database = "postgres";
    s->place.server.hosts = 0;
    pg_refused(s, TDSA_E_CONFIG, "host and a database", NULL);
    s->cfg.server = NULL;
    pg_refused(s, TDSA_E_CONFIG, "host and a database", NULL);
}

static void wrong_words_are_told_apart(void **state)
{
    pg_session *s = *state;
    ks_server *server = &s->place.server;

    pg_session_by_tcp(s, "127.0.0.1");
    PG_DRIVER->close(pg_connect(s));
    server->password = "not the password";
    pg_refused(s, TDSA_E_STORE, s->place.user, "check user and password", NULL);
    assert_null(strstr(s->err.text, "not the password"));
    server->password = s->place.password;
    server->user = "nobody_like_that";
    pg_refused(s, TDSA_E_STORE, "nobody_like_that", "check user and password", NULL);
    assert_null(strstr(s->err.text, s->place.password));
    server->user = s->place.user;
    server->database = "nothing_like_that";
    pg_refused(s, TDSA_E_STORE, "nothing_like_that", "make the database first", NULL);
    server->database = "postgres";
    server->host[0].port = closed_port();
    pg_refused(s, TDSA_E_STORE, "127.0.0.1", "refused", NULL);
    server->host[0].name = "/nowhere";
    pg_refused(s, TDSA_E_STORE, "/nowhere", NULL);
}

static void another_encoding_is_refused(void **state)
{
    pg_session *s = *state;

    pg_admin(s, "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'");
    s->place.server.database = "latin";
    pg_refused(s, TDSA_E_STORE, "latin", "UTF8", NULL);
}

static void a_silent_host_costs_the_time_of_connecting(void **state)
{
    pg_session *s = *state;
    uint16_t port = 0;
    const int fd = listener(&port);

    s->place.server.host[0] = (ks_host){.name = "127.0.0.1", .port = port};
    s->place.server.connect_timeout_ms = 100;
    pg_refused(s, TDSA_E_STORE, "no answer within 100 ms", NULL);
    (void)close(fd);
}

static void hosts_are_tried_in_order(void **state)
{
    pg_session *s = *state;
    ks_server *server = &s->place.server;
    ks_sql_conn *c = NULL;

    server->host[2] = server->host[0];
    server->host[0] = (ks_host){.name = "127.0.0.1", .port = closed_port()};
    server->host[1] = (ks_host){.name = "/nowhere", .port = 0};
    server->hosts = 3;
    c = pg_connect(s);
    assert_non_null(strstr(c->name, server->host[2].name));
    PG_DRIVER->close(c);
    server->hosts = 2;
    pg_refused(s, TDSA_E_STORE, "127.0.0.1:", "refused", "/nowhere:5432", NULL);
}

/* A standby says the same of itself as a role like this. */
static void a_server_that_takes_no_writes_is_passed_over(void **state)
{
    pg_session *s = *state;

    pg_admin(s, "ALTER ROLE %s SET default_transaction_read_only = on");
    pg_refused(s, TDSA_E_STORE, "read-only", NULL);
}

static void tls_is_what_was_asked_for(void **state)
{
    pg_session *s = *state;
    ks_server *server = &s->place.server;
    ks_sql_conn *c = NULL;
    char used[8];

    pg_session_by_tcp(s, "localhost");
    for (ks_tls_mode mode = KS_TLS_PREFER; mode <= KS_TLS_VERIFY_FULL; mode++) {
        server->tls = mode;
        server->tls_ca = s->place.ca;
        c = pg_connect(s);
        pg_ask(c, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", used, sizeof used);
        assert_string_equal(used, mode == KS_TLS_DISABLE ? "f" : "t");
        PG_DRIVER->close(c);
    }
    server->host[0].name = "127.0.0.1"; /* not in the certificate */
    pg_refused(s, TDSA_E_STORE, "127.0.0.1", "does not match", NULL);
    server->tls = KS_TLS_VERIFY_CA;
    PG_DRIVER->close(pg_connect(s));
    server->tls_ca = NULL; /* those of the system did not sign it */
    pg_refused(s, TDSA_E_STORE, "certificate", NULL);
    server->tls_ca = "/nowhere/ca.pem";
    pg_refused(s, TDSA_E_CONFIG, "/nowhere/ca.pem", NULL);
    server->tls = KS_TLS_REQUIRE; /* whose it is does not matter */
    PG_DRIVER->close(pg_connect(s));
}

/* A server says N to the request for TLS when it has none. */
static void tls_that_is_not_offered_is_missed(void **state)
{
    pg_session *s = *state;
    uint16_t port = 0;
    const int fd = listener(&port);
    const pid_t child = fork();

    if (child == 0) {
        char request[8];
        const int client = accept(fd, NULL, NULL);
        const bool ok = client >= 0 && read(client, request, sizeof request) == sizeof request &&
                        write(client, "N", 1) == 1 && read(client, request, 1) == 0;

        _exit(ok ? 0 : 1); /* nothing more came: no password either */
    }
    (void)close(fd);
    s->place.server.host[0] = (ks_host){.name = "127.0.0.1", .port = port};
    s->place.server.tls = KS_TLS_REQUIRE;
    s->place.server.password = "secret words";
    pg_refused(s, TDSA_E_STORE, "SSL", NULL);
    {
        int status = 1;

        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
}

static void a_lock_is_waited_for_and_no_longer(void **state)
{
    pg_session *s = *state;
    ks_sql_conn *first = NULL;
    ks_sql_conn *second = NULL;
    int64_t value = 0;

    first = pg_connect_ready(s);
    s->place.server.statement_timeout_ms = 200;
    second = pg_connect_ready(s);
    assert_int_equal(PG_DRIVER->begin(first), KS_SQL_DONE);
    assert_int_equal(pg_count(second, &value), KS_SQL_BUSY);
    assert_int_equal(PG_DRIVER->commit(first), KS_SQL_DONE);
    assert_int_equal(pg_count(second, &value), KS_SQL_DONE);
    assert_int_equal(value, 1);
    PG_DRIVER->close(first);
    PG_DRIVER->close(second);
}

/* A process that was stopped with the lock in its hand does not stop the others. */
static void who_sleeps_with_the_lock_loses_it(void **state)
{
    pg_session *s = *state;
    ks_sql_conn *sleeper = NULL;
    ks_sql_conn *other = NULL;
    int64_t value = 0;

    s->place.server.statement_timeout_ms = 200;
    sleeper = pg_connect_ready(s);
    s->place.server.statement_timeout_ms = 5000;
    other = pg_connect_ready(s);
    assert_int_equal(PG_DRIVER->begin(sleeper), KS_SQL_DONE);
    assert_int_equal(pg_count(other, &value), KS_SQL_DONE);
    assert_int_equal(PG_DRIVER->commit(sleeper), KS_SQL_LOST);
    assert_int_equal(PG_DRIVER->begin(sleeper), KS_SQL_LOST);
    PG_DRIVER->close(sleeper);
    PG_DRIVER->close(other);
}

static void a_server_that_hangs_costs_the_connection(void **state)
{
    pg_session *s = *state;
    ks_sql_conn *c = NULL;
    int64_t value = 0;
    int pid;

    s->place.server.statement_timeout_ms = 100;
    c = pg_connect_ready(s);
    pid = pg_backend(s);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_int_equal(pg_count(c, &value), KS_SQL_LOST);
    assert_non_null(strstr(c->error, "did not answer"));
    assert_false(PG_DRIVER->valid(c, NULL));
    PG_DRIVER->close(c);
    assert_int_equal(kill(pid, SIGCONT), 0);
}

static void a_connection_that_is_cut_off_says_so(void **state)
{
    pg_session *s = *state;
    ks_sql_conn *c = pg_connect_ready(s);
    int64_t value = 0;

    assert_true(PG_DRIVER->valid(c, NULL));
    assert_int_equal(PG_DRIVER->begin(c), KS_SQL_DONE);
    pg_admin(s,
             "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '%s'");
    assert_int_equal(PG_DRIVER->commit(c), KS_SQL_LOST);
    assert_non_null(strstr(c->error, "terminat"));
    assert_false(PG_DRIVER->valid(c, NULL));
    PG_DRIVER->close(c);
    c = pg_connect_ready(s);
    assert_int_equal(pg_count(c, &value), KS_SQL_DONE);
    PG_DRIVER->close(c);
}

static void codes_mean_what_can_be_done(void **state)
{
    static const struct {
        const char *code;
        ks_sql_step step;
        const char *word;
    } cases[] = {
        {"40001", KS_SQL_AGAIN, "40001"},  {"40P01", KS_SQL_AGAIN, "40P01"},
        {"55P03", KS_SQL_BUSY, "55P03"},   {"57014", KS_SQL_BUSY, "57014"},
        {"53100", KS_SQL_FAIL, "full"},    {"42501", KS_SQL_FAIL, "GRANT"},
        {"XX001", KS_SQL_FAIL, "damage"},  {"23505", KS_SQL_FAIL, "23505"},
        {"25006", KS_SQL_LOST, "standby"},
    };
    pg_session *s = *state;
    ks_sql_conn *c = pg_connect(s);

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char sql[128];

        (void)snprintf(sql, sizeof sql,
                       "DO $$ BEGIN RAISE EXCEPTION 'as it was told' USING ERRCODE = '%s'; END $$",
                       cases[i].code);
        assert_int_equal(ks_postgres_query(ks_postgres_of(c), sql, NULL), cases[i].step);
        assert_non_null(strstr(c->error, cases[i].word));
    }
    PG_DRIVER->close(c);
}

/* Waits until a commit waits for a standby, and tells it to stop. */
static void cancel_commit(const pg_session *s)
{
    char sql[200], done[8] = "";

    (void)snprintf(sql, sizeof sql,
                   "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
                   " WHERE usename = '%s' AND wait_event = 'SyncRep'",
                   s->place.user);
    for (int i = 0; i < 1000 && strcmp(done, "t") != 0; i++) {
        if (!db_place_sql(&s->place, sql, done, sizeof done)) {
            _exit(1);
        }
        (void)usleep(5000);
    }
    _exit(strcmp(done, "t") == 0 ? 0 : 1);
}

static void a_commit_that_no_standby_has_is_unknown(void **state)
{
    pg_session *s = *state;
    ks_sql_conn *c = pg_connect_ready(s);
    ks_sql_step rc = KS_SQL_DONE;
    int64_t value = 0;
    int status = 1;
    pid_t child;

    pg_admin(s, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    pg_admin(s, "SELECT pg_reload_conf()");
    child = fork();
    if (child == 0) {
        cancel_commit(s);
    }
    while (rc == KS_SQL_DONE && value < 10000) { /* the server takes its time to believe it */
        rc = pg_count(c, &value);
    }
    pg_admin(s, "ALTER SYSTEM RESET synchronous_standby_names");
    pg_admin(s, "SELECT pg_reload_conf()");
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(rc, KS_SQL_LOST);
    assert_non_null(strstr(c->error, "standby"));
    assert_int_equal(PG_DRIVER->begin(c), KS_SQL_LOST);
    PG_DRIVER->close(c);
}

static void a_server_that_comes_back_is_taken_again(void **state)
{
    pg_session *s = *state;
    ks_sql_conn *c = pg_connect_ready(s);
    int64_t value = 0;

    assert_int_equal(pg_count(c, &value), KS_SQL_DONE);
    server_is("down");
    assert_int_equal(pg_count(c, &value), KS_SQL_LOST);
    PG_DRIVER->close(c);
    pg_refused(s, TDSA_E_STORE, s->place.socket, NULL);
    server_is("up");
    c = pg_connect_ready(s);
    assert_int_equal(pg_count(c, &value), KS_SQL_DONE);
    assert_int_equal(value, 2);
    PG_DRIVER->close(c);
}

/* What a child does with the connection that it inherited; then whether the parent's works. */
static ks_sql_step after_child(ks_sql_conn *c, void (*does)(ks_sql_conn *c))
{
    const pid_t child = fork();
    int status = 1;
    int64_t value = 0;

    if (child == 0) {
        does(c);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    return pg_count(c, &value);
}

static void a_child_leaves_the_connection_alone(void **state)
{
    pg_session *s = *state;
    ks_sql_conn *c = NULL;

    for (int tls = 0; tls < 2; tls++) {
        pg_session_by_tcp(s, "localhost");
        s->place.server.tls = tls != 0 ? KS_TLS_REQUIRE : KS_TLS_DISABLE;
        c = pg_connect_ready(s);
        assert_int_equal(after_child(c, PG_DRIVER->abandon), KS_SQL_DONE);
        assert_int_equal(after_child(c, PG_DRIVER->abandon), KS_SQL_DONE);
        /* and how it looks when one does not */
        assert_int_equal(after_child(c, PG_DRIVER->close), KS_SQL_LOST);
        PG_DRIVER->close(c);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, pg_session_setup, pg_session_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_missing_library_names_the_package),
        TEST(a_server_must_be_named),
        TEST(wrong_words_are_told_apart),
        TEST(another_encoding_is_refused),
        TEST(a_silent_host_costs_the_time_of_connecting),
        TEST(hosts_are_tried_in_order),
        TEST(a_server_that_takes_no_writes_is_passed_over),
        TEST(tls_is_what_was_asked_for),
        TEST(tls_that_is_not_offered_is_missed),
        TEST(a_lock_is_waited_for_and_no_longer),
        TEST(who_sleeps_with_the_lock_loses_it),
        TEST(a_server_that_hangs_costs_the_connection),
        TEST(a_connection_that_is_cut_off_says_so),
        TEST(codes_mean_what_can_be_done),
        TEST(a_commit_that_no_standby_has_is_unknown),
        TEST(a_server_that_comes_back_is_taken_again),
        TEST(a_child_leaves_the_connection_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
