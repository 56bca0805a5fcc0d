#include "mariadb_fixture.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keystore/driver_mariadb.h"

void ma_find_server(ma_fixture *f)
{
    assert_true(db_place_facts(&f->place));
    f->server.host[0].port = (uint16_t)f->place.port;
}

void ma_admin(ma_fixture *f, const char *sql)
{
    char text[512];
    size_t n = 0;

    for (const char *in = sql; *in != '\0'; in++) {
        const char one[] = {*in, '\0'};

        n +=
            (size_t)snprintf(text + n, sizeof text - n, "%s", *in == '@' ? f->place.database : one);
        assert_true(n < sizeof text);
    }
    assert_true(db_place_sql(&f->place, text, NULL, 0));
}

int ma_setup(void **state)
{
    ma_fixture *f = calloc(1, sizeof *f);

    if (f == NULL || !db_place_make(&f->place, "mariadb")) {
        free(f);
        return -1;
    }
    *state = f;
    f->server = f->place.server;
    f->server.host[0] = (ks_host){"localhost", (uint16_t)f->place.port};
    f->server.connect_timeout_ms = 3000; /* this machine may be slow */
    f->server.statement_timeout_ms = 1000;
    f->cfg = (ks_cfg){.backend = "mariadb",
                      .server = &f->server,
                      .create_tables = true,
                      .rng = tdsa_os_rng(),
                      .clock = tdsa_os_clock()};
    return 0;
}

int ma_teardown(void **state)
{
    ma_fixture *f = *state;

    (void)kill(f->place.pid, SIGCONT); /* a test that stopped it may have failed */
    free(f);
    return 0;
}

ks_sql_conn *ma_connect(ma_fixture *f)
{
    ks_sql_conn *c = NULL;

    if (ks_driver_mariadb.connect(&c, &f->cfg, &f->err) != TDSA_OK) {
        fail_msg("%s", f->err.text);
    }
    return c;
}

void ma_migrate(ks_sql_conn *c)
{
    const ks_sql_driver *d = &ks_driver_mariadb;

    for (uint32_t i = 1; i <= *d->migration_count; i++) {
        assert_int_equal(d->begin(c), KS_SQL_DONE);
        if (d->migrate(c, i) != KS_SQL_DONE) {
            fail_msg("migration %u: %s", i, c->error);
        }
        assert_int_equal(d->commit(c), KS_SQL_DONE);
    }
}

ks_sql_conn *ma_open(ma_fixture *f)
{
    ks_sql_conn *c = ma_connect(f);

    ma_migrate(c);
    if (ks_driver_mariadb.prepare(c, &f->err) != TDSA_OK) {
        fail_msg("%s", f->err.text);
    }
    return c;
}

void ma_refused(ma_fixture *f, tdsa_status want, const char *text)
{
    ks_sql_conn *c = NULL;
    const tdsa_status st = ks_driver_mariadb.connect(&c, &f->cfg, &f->err);

    assert_null(c);
    if (st != want || strstr(f->err.text, text) == NULL ||
        strstr(f->err.text, f->server.password) != NULL) {
        fail_msg("%s: %s, expected \"%s\"", tdsa_status_name(st), f->err.text, text);
    }
}

ks_sql_step ma_put(ks_sql_conn *c, const char *name, const void *bytes, size_t len)
{
    const ks_sql_value args[] = {{.type = KS_SQL_TEXT, .data = name, .len = strlen(name)},
                                 {.type = KS_SQL_BLOB, .data = bytes, .len = len}};
    ks_sql_step step = ks_driver_mariadb.start(c, KS_SQL_META_PUT, args, 2);

    if (step == KS_SQL_DONE) {
        step = ks_driver_mariadb.step(c, KS_SQL_META_PUT);
    }
    ks_driver_mariadb.finish(c, KS_SQL_META_PUT);
    return step;
}

long ma_get(ks_sql_conn *c, const char *name)
{
    const ks_sql_value arg = {.type = KS_SQL_TEXT, .data = name, .len = strlen(name)};
    ks_sql_value value = {.type = KS_SQL_NULL};
    long len = -1;

    assert_int_equal(ks_driver_mariadb.start(c, KS_SQL_META_GET, &arg, 1), KS_SQL_DONE);
    if (ks_driver_mariadb.step(c, KS_SQL_META_GET) == KS_SQL_ROW) {
        ks_driver_mariadb.column(c, KS_SQL_META_GET, 0, &value);
        assert_int_equal(value.type, KS_SQL_BLOB);
        len = (long)value.len;
    }
    ks_driver_mariadb.finish(c, KS_SQL_META_GET);
    return len;
}

void ma_abandon_in_child(ks_sql_conn *c)
{
    const ks_sql_driver *d = &ks_driver_mariadb;
    int status = -1;
    pid_t child;

    assert_int_equal(d->begin(c), KS_SQL_DONE);
    assert_int_equal(ma_put(c, "x", "v", 1), KS_SQL_DONE);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        d->abandon(c);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(d->commit(c), KS_SQL_DONE);
    assert_int_equal(ma_get(c, "x"), 1);
}
