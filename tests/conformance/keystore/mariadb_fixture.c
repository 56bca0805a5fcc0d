#include "mariadb_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keystore/driver_mariadb.h"

static void take(char *out, size_t room, const char *line, const char *name)
{
    const size_t n = strlen(name);

    if (strncmp(line, name, n) == 0 && line[n] == '=') {
        (void)snprintf(out, room, "%.*s", (int)strcspn(line + n + 1, "\n"), line + n + 1);
    }
}

void ma_find_server(ma_fixture *f)
{
    const char *file = getenv("TDSA_TEST_MARIADB");
    char line[256], port[16] = "", pid[16] = "";
    FILE *in = NULL;

    assert_non_null(file); /* see support/db_server.py */
    (void)snprintf(f->file, sizeof f->file, "%s", file);
    in = fopen(file, "r");
    assert_non_null(in);
    while (fgets(line, sizeof line, in) != NULL) {
        take(f->socket, sizeof f->socket, line, "socket");
        take(f->ca, sizeof f->ca, line, "ca");
        take(f->admin_user, sizeof f->admin_user, line, "user");
        take(f->admin_password, sizeof f->admin_password, line, "password");
        take(port, sizeof port, line, "port");
        take(pid, sizeof pid, line, "pid");
    }
    (void)fclose(in);
    f->server.host[0].port = (uint16_t)strtoul(port, NULL, 10);
    f->pid = (int)strtol(pid, NULL, 10);
}

/* Not through the driver, which would refuse a server that a test has set wrongly. */
void ma_admin(ma_fixture *f, const char *sql)
{
    const ma_library *lib = NULL;
    MYSQL *db = NULL;
    char text[512];
    size_t n = 0;

    if (ks_mariadb_library(&lib, &f->err) != TDSA_OK) {
        fail_msg("%s", f->err.text);
    }
    for (const char *in = sql; *in != '\0'; in++) {
        const char one[] = {*in, '\0'};

        n += (size_t)snprintf(text + n, sizeof text - n, "%s", *in == '@' ? f->database : one);
        assert_true(n < sizeof text);
    }
    db = lib->mysql_init(NULL);
    assert_non_null(db);
    if (lib->mysql_real_connect(db, NULL, f->admin_user, f->admin_password, NULL, 0, f->socket,
                                0) == NULL ||
        lib->mysql_real_query(db, text, (unsigned long)strlen(text)) != 0) {
        fail_msg("%s: %s", text, lib->mysql_error(db));
    }
    lib->mysql_close(db);
}

int ma_setup(void **state)
{
    static unsigned number;
    ma_fixture *f = calloc(1, sizeof *f);

    if (f == NULL) {
        return -1;
    }
    *state = f;
    (void)snprintf(f->database, sizeof f->database, "driver_%d_%u", (int)getpid(), number++);
    f->server = (ks_server){.host = {{"localhost", 0}},
                            .hosts = 1,
                            .database = f->database,
                            .user = f->database,
                            .password = MA_USER_PASSWORD,
                            .connect_timeout_ms = 1000,
                            .statement_timeout_ms = 1000};
    f->cfg = (ks_cfg){.backend = "mariadb",
                      .server = &f->server,
                      .create_tables = true,
                      .rng = tdsa_os_rng(),
                      .clock = tdsa_os_clock()};
    ma_find_server(f);
    ma_admin(f, "CREATE DATABASE @");
    ma_admin(f, "CREATE USER @ IDENTIFIED BY 'a pass''word'");
    ma_admin(f, "GRANT ALL ON @.* TO @");
    return 0;
}

int ma_teardown(void **state)
{
    ma_fixture *f = *state;

    ma_admin(f, "DROP DATABASE IF EXISTS @");
    ma_admin(f, "DROP USER @");
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
