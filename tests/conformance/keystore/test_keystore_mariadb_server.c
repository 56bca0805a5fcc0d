/* The driver, and what happens to the server: it hangs, stops, comes back, is set another way. Runs under
 * `support/db_server.py run mariadb --tls`, because no other test can use that server meanwhile. */
#include <glob.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "keystore/driver_mariadb.h"
#include "mariadb_fixture.h"

extern char **environ;

static const ks_sql_driver *const d = &ks_driver_mariadb;

/* Stops the server, or starts it again. */
static void tell_server(ma_fixture *f, const char *what)
{
    char python[] = "python3";
    char program[] = DB_SERVER_PROGRAM;
    char how[8];
    char file[256];
    char *argv[] = {python, program, how, file, NULL};
    int status = -1;
    pid_t pid = 0;

    (void)snprintf(how, sizeof how, "%s", what);
    (void)snprintf(file, sizeof file, "%s", getenv("TDSA_TEST_MARIADB"));
    assert_int_equal(posix_spawnp(&pid, python, NULL, NULL, argv, environ), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    ma_find_server(f);
}

static bool is_stopped(const char *task)
{
    char path[300], line[512] = "";
    FILE *in = NULL;
    const char *state = NULL;

    (void)snprintf(path, sizeof path, "%s/stat", task);
    in = fopen(path, "r");
    if (in != NULL) {
        if (fgets(line, sizeof line, in) == NULL) {
            line[0] = '\0';
        }
        (void)fclose(in);
    }
    state = strrchr(line, ')');
    return state == NULL || state[2] == 'T';
}

/* Until every thread of it stands still: the signal alone does not wait for that. */
static void stop_all_threads(const ma_fixture *f)
{
    const struct timespec pause = {.tv_nsec = 5000000};
    bool all = false;

    assert_int_equal(kill(f->place.pid, SIGSTOP), 0);
    while (!all) {
        char pattern[64];
        glob_t tasks;

        (void)snprintf(pattern, sizeof pattern, "/proc/%d/task/*", f->place.pid);
        assert_int_equal(glob(pattern, 0, NULL, &tasks), 0);
        all = true;
        for (size_t i = 0; i < tasks.gl_pathc; i++) {
            all = all && is_stopped(tasks.gl_pathv[i]);
        }
        globfree(&tasks);
        (void)nanosleep(&pause, NULL);
    }
}

/* ---- TLS ---- */

static const char *cipher_of(ks_sql_conn *c)
{
    const ma_conn *m = (const ma_conn *)(const void *)c;

    return m->f->mysql_get_ssl_cipher(m->db);
}

static void tls_is_used_as_it_was_asked_for(void **state)
{
    ma_fixture *f = *state;

    f->server.tls_ca = f->place.ca;
    for (int mode = KS_TLS_PREFER; mode <= KS_TLS_VERIFY_FULL; mode++) {
        ks_sql_conn *c = NULL;

        f->server.tls = (ks_tls_mode)mode;
        c = ma_connect(f);
        assert_int_equal(cipher_of(c) != NULL, mode != KS_TLS_DISABLE);
        d->close(c);
    }
    f->server.tls = KS_TLS_REQUIRE; /* whoever it is */
    f->server.tls_ca = NULL;
    d->close(ma_connect(f));
}

static void a_certificate_of_somebody_else_is_refused(void **state)
{
    static const char told[] =
        "TLS failed: check the CA, the host name and the server's certificate";
    ma_fixture *f = *state;
    char other[200];

    f->server.tls_ca = f->place.ca;
    f->server.host[0].name = "127.0.0.1"; /* it is for localhost */
    f->server.tls = KS_TLS_VERIFY_CA;
    d->close(ma_connect(f));
    f->server.tls = KS_TLS_VERIFY_FULL;
    ma_refused(f, TDSA_E_STORE, told);
    f->server.host[0].name = "localhost";
    (void)snprintf(other, sizeof other, "%.*sserver.pem",
                   (int)(strlen(f->place.ca) - strlen("ca.pem")), f->place.ca);
    for (int mode = KS_TLS_VERIFY_CA; mode <= KS_TLS_VERIFY_FULL; mode++) {
        f->server.tls = (ks_tls_mode)mode;
        f->server.tls_ca = other;
        ma_refused(f, TDSA_E_STORE, told);
        f->server.tls_ca = NULL; /* those of the system */
        ma_refused(f, TDSA_E_STORE, told);
    }
}

static void a_child_leaves_the_connection_alone_over_tls(void **state)
{
    ma_fixture *f = *state;
    ks_sql_conn *c = NULL;

    f->server.tls = KS_TLS_REQUIRE;
    c = ma_open(f);
    ma_abandon_in_child(c);
    d->close(c);
}

/* In a process that wants to hear of SIGPIPE. */
static void a_connection_that_breaks_raises_no_signal(void **state)
{
    ma_fixture *f = *state;
    ks_sql_conn *c = NULL;
    struct sigaction action;

    assert_int_equal(sigaction(SIGPIPE, NULL, &action), 0);
    assert_true(action.sa_handler == SIG_DFL); /* though the library would ignore it */
    f->server.tls = KS_TLS_REQUIRE;
    c = ma_open(f);
    ma_admin(f, "KILL USER @");
    assert_int_equal(ma_put(c, "x", "v", 1), KS_SQL_LOST);
    d->close(c); /* writes once more, or this program ends here */
}

/* ---- settings ---- */

static void a_server_that_forgets_is_refused(void **state)
{
    ma_fixture *f = *state;

    ma_admin(f, "SET GLOBAL innodb_flush_log_at_trx_commit = 2");
    ma_refused(f, TDSA_E_STORE, "innodb_flush_log_at_trx_commit is 2");
    ma_refused(f, TDSA_E_STORE, "set it to 1");
    ma_admin(f, "SET GLOBAL innodb_flush_log_at_trx_commit = 1");
    ma_admin(f, "SET GLOBAL max_allowed_packet = 1048576");
    ma_refused(f, TDSA_E_STORE, "max_allowed_packet is 1048576");
    ma_admin(f, "SET GLOBAL max_allowed_packet = 16777216");
    d->close(ma_connect(f));
}

static void a_standby_is_passed_over(void **state)
{
    ma_fixture *f = *state;
    ks_sql_conn *c = ma_open(f);

    f->server.host[1] = (ks_host){"127.0.0.1", 1};
    f->server.hosts = 2;
    ma_admin(f, "SET GLOBAL read_only = 1");
    /* the one that is down is the one to look after */
    ma_refused(f, TDSA_E_STORE, "127.0.0.1:1: no server answers");
    f->server.hosts = 1;
    ma_refused(f, TDSA_E_STORE, "takes no writes (read_only; a replica?)");
    /* it became one while connected */
    assert_int_equal(d->begin(c), KS_SQL_FAIL);
    assert_non_null(strstr(c->error, "the server takes no writes"));
    ma_admin(f, "SET GLOBAL read_only = 0");
    d->close(c);
    d->close(ma_connect(f));
}

/* ---- hanging, stopping ---- */

static void hang(ma_fixture *f, ks_tls_mode mode)
{
    ks_sql_conn *c = NULL;

    f->server.tls = mode;
    c = ma_open(f);
    stop_all_threads(f);
    assert_int_equal(d->begin(c), KS_SQL_LOST); /* or the test hangs, and CTest ends it */
    assert_false(d->valid(c, NULL));
    ma_refused(f, TDSA_E_STORE, "does not answer in time");
    assert_int_equal(kill(f->place.pid, SIGCONT), 0);
    d->close(c);
    c = ma_connect(f);
    assert_int_equal(d->begin(c), KS_SQL_DONE);
    assert_int_equal(d->commit(c), KS_SQL_DONE);
    d->close(c);
}

/* Connecting takes a second at most; a statement two, one of them for the server to say so itself. */
static void a_server_that_hangs_costs_a_bounded_time(void **state)
{
    const char *longer = getenv("TDSA_TEST_LONG");

    hang(*state, KS_TLS_REQUIRE);
    if (longer != NULL && strcmp(longer, "1") == 0) {
        hang(*state, KS_TLS_DISABLE);
    }
}

static void identity_of(ma_fixture *f, ks_sql_conn *c, char *out, size_t room)
{
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;

    assert_int_equal(d->identity(c, &text, &f->err), TDSA_OK);
    assert_in_range(text.len, 20, 200);
    (void)snprintf(out, room, "%.*s", (int)text.len, (const char *)text.data);
}

static void a_server_stays_itself_over_a_restart(void **state)
{
    ma_fixture *f = *state;
    ks_sql_conn *c = ma_open(f);
    char before[256], after[256];

    identity_of(f, c, before, sizeof before);
    assert_non_null(strstr(before, "mariadb server="));
    assert_int_equal(d->begin(c), KS_SQL_DONE);
    assert_int_equal(ma_put(c, "x", "v", 1), KS_SQL_DONE);
    tell_server(f, "down");
    assert_int_equal(ma_put(c, "y", "v", 1), KS_SQL_LOST);
    d->close(c);
    ma_refused(f, TDSA_E_STORE, "no server answers: start it");
    tell_server(f, "up");
    c = ma_connect(f);
    assert_int_equal(d->prepare(c, &f->err), TDSA_OK);
    assert_int_equal(ma_get(c, "x"), -1); /* it was not committed */
    identity_of(f, c, after, sizeof after);
    assert_string_equal(before, after);
    /* as a dump that is read in does: what was burnt since is not in it */
    ma_admin(f, "ALTER TABLE @.block FORCE");
    identity_of(f, c, after, sizeof after);
    assert_string_not_equal(before, after);
    d->close(c);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, ma_setup, ma_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tls_is_used_as_it_was_asked_for),
        TEST(a_certificate_of_somebody_else_is_refused),
        TEST(a_child_leaves_the_connection_alone_over_tls),
        TEST(a_connection_that_breaks_raises_no_signal),
        TEST(a_server_that_forgets_is_refused),
        TEST(a_standby_is_passed_over),
        TEST(a_server_that_hangs_costs_a_bounded_time),
        TEST(a_server_stays_itself_over_a_restart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
