#include "pg_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void keep_line(void *ctx, tdsa_log_level level, const char *logger, const char *text)
{
    pg_session *s = ctx;
    const size_t used = strlen(s->logged);

    (void)level;
    (void)logger;
    (void)snprintf(s->logged + used, sizeof s->logged - used, "%s\n", text);
}

int pg_session_setup(void **state)
{
    pg_session *s = calloc(1, sizeof *s);

    if (s == NULL || !db_place_make(&s->place, "postgres")) {
        free(s);
        return -1;
    }
    s->log = (tdsa_log){keep_line, s};
    s->place.server.statement_timeout_ms = 5000;
    s->cfg = (ks_cfg){
        .backend = "postgres",
        .server = &s->place.server,
        .create_tables = true,
        .encryptor = KS_ENCRYPTOR_AESGCM,
        .encryption_key = "correct horse battery staple",
        .unlock_at_open = true,
        .rng = tdsa_os_rng(),
        .clock = tdsa_os_clock(),
        .log = &s->log,
    };
    *state = s;
    return 0;
}

int pg_session_teardown(void **state)
{
    free(*state);
    return 0;
}

void pg_session_by_tcp(pg_session *s, const char *host)
{
    s->place.server.host[0].name = host;
    s->place.server.password = s->place.password;
}

ks_sql_conn *pg_connect(pg_session *s)
{
    ks_sql_conn *c = NULL;

    if (PG_DRIVER->connect(&c, &s->cfg, &s->err) != TDSA_OK) {
        fail_msg("%s", s->err.text);
    }
    return c;
}

ks_sql_conn *pg_connect_ready(pg_session *s)
{
    ks_sql_conn *c = NULL;

    if (ks_create_tables(&s->cfg, &s->err) != TDSA_OK) {
        fail_msg("%s", s->err.text);
    }
    c = pg_connect(s);
    if (PG_DRIVER->prepare(c, &s->err) != TDSA_OK) {
        fail_msg("%s", s->err.text);
    }
    return c;
}

void pg_refused(pg_session *s, tdsa_status want, ...)
{
    ks_sql_conn *c = NULL;
    const tdsa_status st = PG_DRIVER->connect(&c, &s->cfg, &s->err);
    const char *word = NULL;
    va_list words;

    assert_null(c);
    if (st != want) {
        fail_msg("%s instead of %s: %s", tdsa_status_name(st), tdsa_status_name(want), s->err.text);
    }
    va_start(words, want);
    while ((word = va_arg(words, const char *)) != NULL) {
        if (strstr(s->err.text, word) == NULL) {
            fail_msg("\"%s\" does not say \"%s\"", s->err.text, word);
        }
    }
    va_end(words);
}

void pg_admin(pg_session *s, const char *sql)
{
    char text[1024];
    size_t n = 0;

    for (const char *at = sql; *at != '\0'; at++) {
        const bool put = strncmp(at, "%s", 2) == 0;

        n += (size_t)snprintf(text + n, sizeof text - n, "%.*s", put ? 64 : 1,
                              put ? s->place.user : at);
        assert_true(n < sizeof text);
        at += put ? 1 : 0;
    }
    assert_true(db_place_sql(&s->place, text, NULL, 0));
}

int pg_backend(pg_session *s)
{
    char sql[160], pid[16];

    (void)snprintf(sql, sizeof sql, "SELECT pid FROM pg_stat_activity WHERE usename = '%s'",
                   s->place.user);
    assert_true(db_place_sql(&s->place, sql, pid, sizeof pid));
    assert_true(strtol(pid, NULL, 10) > 1);
    return (int)strtol(pid, NULL, 10);
}

void pg_ask(ks_sql_conn *c, const char *sql, char *out, size_t size)
{
    ks_postgres *p = ks_postgres_of(c);
    PGresult *rows = NULL;

    if (ks_postgres_query(p, sql, &rows) != KS_SQL_DONE) {
        fail_msg("%s: %s", sql, c->error);
    }
    (void)snprintf(out, size, "%s", ks_postgres_text(p, rows, 0));
    p->pq.clear(rows);
}

ks_sql_step pg_count(ks_sql_conn *c, int64_t *out)
{
    const ks_sql_value name = {.type = KS_SQL_TEXT, .data = "test", .len = 4};
    ks_sql_value value = {.type = KS_SQL_NULL};
    ks_sql_step rc = PG_DRIVER->begin(c);

    *out = 0;
    if (rc != KS_SQL_DONE) {
        return rc;
    }
    rc = PG_DRIVER->start(c, KS_SQL_COUNTER_NEXT, &name, 1);
    if (rc == KS_SQL_DONE) {
        assert_int_equal(PG_DRIVER->step(c, KS_SQL_COUNTER_NEXT), KS_SQL_ROW);
        PG_DRIVER->column(c, KS_SQL_COUNTER_NEXT, 0, &value);
        assert_int_equal(value.type, KS_SQL_INT);
        *out = value.number;
    }
    PG_DRIVER->finish(c, KS_SQL_COUNTER_NEXT);
    if (rc == KS_SQL_DONE) {
        rc = PG_DRIVER->commit(c);
    }
    if (rc != KS_SQL_DONE) {
        PG_DRIVER->rollback(c);
    }
    return rc;
}
