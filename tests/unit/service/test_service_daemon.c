#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/encode.h"
#include "daemon/log.h"
#include "daemon/meters.h"
#include "daemon/options.h"
#include "daemon/settings.h"
#include "daemon/tables.h"

/* ---- log ---- */

static uint64_t wall(void *ctx)
{
    (void)ctx;
    return UINT64_C(1795242882123); /* 2026-11-21 06:34:42,123 */
}

typedef struct {
    int read_fd, write_fd;
    svc_log *log;
} log_rig;

static log_rig log_start(void)
{
    log_rig l;
    int fds[2];
    tdsa_err err;

    assert_int_equal(pipe(fds), 0);
    l.read_fd = fds[0];
    l.write_fd = fds[1];
    assert_int_equal(svc_log_new(&l.log, l.write_fd, (tdsa_clock){wall, wall, NULL}, &err),
                     TDSA_OK);
    return l;
}

/* Everything written so far; ends the log. */
static void log_stop(log_rig *l, char *out, size_t cap)
{
    ssize_t n;

    (void)close(l->write_fd);
    n = read(l->read_fd, out, cap - 1);
    assert_true(n >= 0);
    out[n] = '\0';
    (void)close(l->read_fd);
    svc_log_free(l->log);
}

static void a_line_has_the_layout_of_logback(void **state)
{
    log_rig l = log_start();
    const tdsa_log *sink = svc_log_sink(l.log);
    char out[1024];

    (void)state;
    tdsa_logf(sink, TDSA_LOG_INFO, "daemon", "ready: %d", 7);
    tdsa_logf(sink, TDSA_LOG_ERROR, "keystore",
              "two\nlines\x1b[0m\xc2\x9b"
              "0m \xc3\xa9");
    tdsa_logf(sink, TDSA_LOG_WARN, "com.sepior.tdsa.participant", "full name");
    tdsa_logf(sink, TDSA_LOG_DEBUG, "daemon", "not shown");
    log_stop(&l, out, sizeof out);
    assert_string_equal(
        out, "INFO  [2026-11-21 06:34:42,123] com.sepior.tdsaservice.daemon: ready: 7\n"
             "ERROR [2026-11-21 06:34:42,123] com.sepior.tdsa.keystore: two?lines?[0m??0m "
             "\xc3\xa9\n"
             "WARN  [2026-11-21 06:34:42,123] com.sepior.tdsa.participant: full name\n");
}

static void the_longest_logger_name_decides(void **state)
{
    log_rig l = log_start();
    const tdsa_log *sink = svc_log_sink(l.log);
    char out[1024];

    (void)state;
    svc_log_set_root(l.log, SVC_LOG_WARN);
    assert_true(svc_log_set_logger(l.log, "com.sepior.tdsaservice.api", SVC_LOG_ALL));
    assert_true(svc_log_set_logger(l.log, "com.sepior.tdsaservice", SVC_LOG_OFF));
    assert_true(svc_log_set_logger(l.log, "org.apache", SVC_LOG_ALL));
    tdsa_logf(sink, TDSA_LOG_DEBUG, "api", "1");
    tdsa_logf(sink, TDSA_LOG_ERROR, "daemon", "2");
    tdsa_logf(sink, TDSA_LOG_INFO, "keystore", "3");
    tdsa_logf(sink, TDSA_LOG_WARN, "keystore", "4");
    svc_log_set_threshold(l.log, SVC_LOG_ERROR);
    tdsa_logf(sink, TDSA_LOG_WARN, "keystore", "5");
    log_stop(&l, out, sizeof out);
    assert_non_null(strstr(out, ": 1\n"));
    assert_null(strstr(out, ": 2\n"));
    assert_null(strstr(out, ": 3\n"));
    assert_non_null(strstr(out, ": 4\n"));
    assert_null(strstr(out, ": 5\n"));
}

static void levels_are_read_in_any_case(void **state)
{
    svc_log_limit limit;

    (void)state;
    assert_true(svc_log_limit_by_name(&limit, "warn"));
    assert_int_equal(limit, SVC_LOG_WARN);
    assert_true(svc_log_limit_by_name(&limit, "false")); /* YAML's OFF */
    assert_int_equal(limit, SVC_LOG_OFF);
    assert_true(svc_log_limit_by_name(&limit, "TRACE"));
    assert_int_equal(limit, SVC_LOG_ALL);
    assert_false(svc_log_limit_by_name(&limit, "LOUD"));
}

/* ---- command line ---- */

static tdsa_status read_line(svc_options *o, tdsa_err *err, const char *a, const char *b,
                             const char *c, const char *d)
{
    char words[5][80] = {"tdsa-service"};
    char *argv[6] = {words[0]};
    const char *const in[] = {a, b, c, d};
    int argc = 1;

    for (size_t i = 0; i < 4 && in[i] != NULL; i++) {
        (void)snprintf(words[argc], sizeof words[argc], "%s", in[i]);
        argv[argc] = words[argc];
        argc++;
    }
    return svc_options_read(o, argc, argv, err);
}

static void commands_files_and_defines_are_told_apart(void **state)
{
    svc_options o;
    tdsa_err err;

    (void)state;
    assert_int_equal(read_line(&o, &err, NULL, NULL, NULL, NULL), TDSA_OK);
    assert_int_equal(o.command, SVC_RUN);
    assert_null(o.file);
    assert_int_equal(read_line(&o, &err, "c.yml", NULL, NULL, NULL), TDSA_OK);
    assert_int_equal(o.command, SVC_RUN);
    assert_non_null(o.file);
    assert_int_equal(read_line(&o, &err, "-Da=b", "server", "c.yml", "-Dc=d=e"), TDSA_OK);
    assert_non_null(o.defines[1]);
    assert_null(o.defines[2]);
    assert_int_equal(read_line(&o, &err, "check", "c.yml", NULL, NULL), TDSA_OK);
    assert_int_equal(o.command, SVC_CHECK);
    assert_int_equal(read_line(&o, &err, "create-tables", "c.yml", NULL, NULL), TDSA_OK);
    assert_int_equal(o.command, SVC_TABLES_RUN);
    assert_int_equal(read_line(&o, &err, "create-tables-no-startup", NULL, NULL, NULL), TDSA_OK);
    assert_int_equal(o.command, SVC_TABLES_ONLY);
    assert_int_equal(read_line(&o, &err, "x", "--help", NULL, NULL), TDSA_OK);
    assert_int_equal(o.command, SVC_HELP);
    assert_int_equal(read_line(&o, &err, "--version", NULL, NULL, NULL), TDSA_OK);
    assert_int_equal(o.command, SVC_VERSION);
}

static void wrong_command_lines_are_refused(void **state)
{
    static const char *const rows[][3] = {
        {"check", NULL, NULL},
        {"-Dname", NULL, NULL},
        {"-D=x", NULL, NULL},
        {"--loud", NULL, NULL},
        {"a.yml", "b.yml", NULL},
        {"server", "a.yml", "b.yml"},
        {"create-tables-no-startup", "a.yml", NULL},
    };
    svc_options o;
    tdsa_err err;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(read_line(&o, &err, rows[i][0], rows[i][1], rows[i][2], NULL),
                         TDSA_E_BAD_INPUT);
    }
}

/* ---- settings ---- */

#define LIBRARY                                                                   \
    "tdsaLibrary: {remoteParticipants: [null, null, null], participantIndex: 0, " \
    "participantPrimaryPrivateKey: x, participantSecondaryPrivateKey: y}\n"
#define TWO "applicationConnectors: [{type: http, port: 0}, {type: http, port: 0}]"

static cfg *config_of(const char *text)
{
    TDSA_SCOPED_BUF encoded = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF problems = TDSA_BUF_EMPTY;
    cfg_source source;
    cfg *c = NULL;
    tdsa_err err;

    memset(&source, 0, sizeof source);
    tdsa_base64url_encode(&encoded, text, strlen(text));
    tdsa_buf_append_u8(&encoded, 0);
    source.base64 = (const char *)encoded.data;
    if (cfg_load(&c, &source, &problems, &err) != TDSA_OK) {
        print_message("%.*s\n", (int)problems.len, (const char *)problems.data);
    }
    assert_non_null(c);
    return c;
}

static tdsa_status settings_of(svc_settings *out, cfg **c, const char *rest, tdsa_err *err)
{
    char text[2048];

    (void)snprintf(text, sizeof text, LIBRARY "%s\n", rest);
    *c = config_of(text);
    return svc_settings_read(out, *c, err);
}

static void settings_are_read(void **state)
{
    static svc_settings s;
    cfg *c;
    tdsa_err err;

    (void)state;
    assert_int_equal(
        settings_of(&s, &c,
                    "server: {applicationConnectors: [{type: http, port: 9080, bindHost: "
                    "127.0.0.1, idleTimeout: 5s, maxRequestHeaderSize: 4KiB, acceptQueueSize: 7}, "
                    "{type: http, port: 8080}], adminConnectors: [{type: http, port: 8081}], "
                    "applicationContextPath: /tdsa/, rootPath: '/api/*', adminContextPath: /admin, "
                    "maxThreads: 100, maxQueuedRequests: 20, shutdownGracePeriod: 3s, "
                    "allowedMethods: [GET, POST], adminMaxThreads: 4, umask: '0077'}\n"
                    "health: {monitors: [{name: a, metric: b, statistic: count, max: 1.5}]}",
                    &err),
        TDSA_OK);
    assert_int_equal(s.listeners[SVC_PROTOCOL].http.port, 9080);
    assert_string_equal(s.listeners[SVC_PROTOCOL].http.host, "127.0.0.1");
    assert_int_equal(s.listeners[SVC_PROTOCOL].http.idle_timeout_ms, 5000);
    assert_int_equal(s.listeners[SVC_PROTOCOL].http.header_max, 4096);
    assert_int_equal(s.listeners[SVC_PROTOCOL].http.backlog, 7);
    assert_int_equal(s.listeners[SVC_API].http.connections_max, 100);
    assert_string_equal(s.listeners[SVC_API].prefix, "/tdsa/api");
    assert_true(s.listeners[SVC_ADMIN].wanted);
    assert_string_equal(s.listeners[SVC_ADMIN].prefix, "/admin");
    assert_int_equal(s.listeners[SVC_ADMIN].http.connections_max, 4);
    assert_int_equal(s.waiting_max, 120);
    assert_int_equal(s.grace_ms, 3000);
    assert_int_equal(s.methods, (1u << SVC_GET) | (1u << SVC_POST));
    assert_int_equal(s.umask, 077);
    assert_false(s.request_log);
    assert_int_equal(s.monitor_count, 1);
    assert_true(s.monitors[0].has_max);
    assert_false(s.monitors[0].has_min);
    assert_true(s.monitors[0].max > 1.4 && s.monitors[0].max < 1.6);
    cfg_free(c);
    assert_int_equal(
        settings_of(&s, &c, "server: {" TWO ", requestLog: {appenders: [{type: console}]}}", &err),
        TDSA_OK);
    assert_false(s.listeners[SVC_ADMIN].wanted); /* and that is no error */
    assert_true(s.request_log);
    assert_string_equal(s.listeners[SVC_API].prefix, "");
    assert_int_equal(s.grace_ms, 30000);
    cfg_free(c);
}

static void what_is_not_built_is_refused_by_its_path(void **state)
{
    static const struct {
        const char *text, *path;
    } rows[] = {
        {"server: {applicationConnectors: [{type: http}]}",
         "server.applicationConnectors must have two entries"},
        {"server: {}", "server.applicationConnectors must have two entries"},
        {"server: {applicationConnectors: [{type: http}, {type: http}, {type: http}]}", "it has 3"},
        {"server: {applicationConnectors: [{type: http}, {type: https, keyStorePath: a, "
         "keyStorePassword: b}]}",
         "server.applicationConnectors[1].type: \"https\" is not supported"},
        {"server: {" TWO ", adminConnectors: [{type: h2c}]}",
         "server.adminConnectors[0].type: \"h2c\""},
        {"server: {" TWO ", adminConnectors: [{type: http}, {type: http}]}",
         "server.adminConnectors must have one"},
        {"server: {applicationConnectors: [{type: http, useForwardedHeaders: true}, {type: "
         "http}]}",
         "server.applicationConnectors[0].useForwardedHeaders"},
        {"server: {applicationConnectors: [{type: http}, {type: http, needClientAuth: true}]}",
         "server.applicationConnectors[1].needClientAuth"},
        {"server: {applicationConnectors: [{type: http}, {type: http, wantClientAuth: true}]}",
         "server.applicationConnectors[1].wantClientAuth"},
        {"server: {applicationConnectors: [{type: http, minRequestDataPerSecond: 1KiB}, {type: "
         "http}]}",
         "server.applicationConnectors[0].minRequestDataPerSecond"},
        {"server: {applicationConnectors: [{type: http, useDateHeader: false}, {type: http}]}",
         "useDateHeader"},
        {"server: {type: simple, connector: {type: http}}", "server.type"},
        {"server: {" TWO ", applicationContextPath: tdsa}", "server.applicationContextPath"},
        {"server: {" TWO ", rootPath: '/a b'}", "server.rootPath"},
        {"server: {" TWO ", adminContextPath: '/{}'}", "server.adminContextPath"},
        {"server: {" TWO ", allowedMethods: [POST, PAINT]}", "server.allowedMethods[1]"},
        {"server: {" TWO ", allowedMethods: [GET]}", "must hold POST"},
        {"server: {" TWO ", requestLog: {appenders: [{type: file}]}}",
         "server.requestLog.appenders[0].type: \"file\""},
        {"server: {" TWO ", requestLog: {appenders: [{type: console}, {type: console}]}}",
         "server.requestLog.appenders: more than one"},
        {"server: {" TWO ", requestLog: {appenders: [{type: console, target: stderr}]}}",
         "server.requestLog.appenders[0].target"},
        {"server: {" TWO ", requestLog: {appenders: [{type: console}]}}\n"
         "logging: {appenders: [{type: console, target: stderr}]}",
         "server.requestLog.appenders[0].target"},
        {"server: {" TWO ", user: tdsa}", "server.user"},
        {"server: {" TWO ", umask: '0999'}", "server.umask"},
    };
    static svc_settings s;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cfg *c;
        tdsa_err err = {TDSA_OK, TDSA_NOBODY, "", ""};

        assert_int_equal(settings_of(&s, &c, rows[i].text, &err), TDSA_E_CONFIG);
        if (strstr(err.text, rows[i].path) == NULL) {
            print_message("%s\n", err.text);
        }
        assert_non_null(strstr(err.text, rows[i].path));
        cfg_free(c);
    }
}

static void the_logging_section_sets_levels(void **state)
{
    log_rig l = log_start();
    const tdsa_log *sink = svc_log_sink(l.log);
    cfg *c = config_of(LIBRARY "logging: {level: ERROR, loggers: {com.sepior.tdsa: INFO, "
                               "com.sepior.tdsaservice: {level: WARN}, org.apache.axis2: OFF}}\n");
    char out[1024];
    tdsa_err err;

    (void)state;
    assert_int_equal(svc_settings_logging(l.log, c, &err), TDSA_OK);
    tdsa_logf(sink, TDSA_LOG_INFO, "peer", "1");
    tdsa_logf(sink, TDSA_LOG_INFO, "api", "2");
    tdsa_logf(sink, TDSA_LOG_WARN, "api", "3");
    cfg_free(c);
    c = config_of(LIBRARY "logging: {appenders: [{type: syslog}]}\n");
    assert_int_equal(svc_settings_logging(l.log, c, &err), TDSA_E_CONFIG);
    assert_non_null(strstr(err.text, "logging.appenders[0].type"));
    cfg_free(c);
    c = config_of(LIBRARY "logging: {appenders: [{type: console}, {type: console, target: "
                          "stderr}]}\n");
    assert_int_equal(svc_settings_logging(l.log, c, &err), TDSA_E_CONFIG);
    assert_non_null(strstr(err.text, "logging.appenders: more than one"));
    cfg_free(c);
    log_stop(&l, out, sizeof out);
    assert_non_null(strstr(out, ": 1\n"));
    assert_null(strstr(out, ": 2\n"));
    assert_non_null(strstr(out, ": 3\n"));
}

/* ---- meters ---- */

static double read_metric(svc_meters *m, const char *name, const char *statistic)
{
    svc_metric *x = svc_metrics_find(m->all, name);
    double v = -1.0;

    assert_non_null(x);
    assert_true(svc_metric_read(x, statistic, &v));
    return v;
}

static void events_feed_the_metrics_of_their_operation(void **state)
{
    svc_meters m;
    tdsa_err err;

    (void)state;
    assert_int_equal(svc_meters_init(&m, tdsa_os_clock(), &err), TDSA_OK);
    svc_meters_event(&m, PART_OP_PRESIGN, PART_EVENT_STARTED, 0);
    svc_meters_event(&m, PART_OP_PRESIGN, PART_EVENT_ABORTED, 10);
    svc_meters_event(&m, PART_OP_SIGN, PART_EVENT_COMPLETED, 2000);
    svc_meters_event(&m, PART_OP_PING, PART_EVENT_COMPLETED, 10); /* not counted */
    assert_true(read_metric(&m, "com.sepior.tdsa.STARTED.PRESIG", "count") > 0.5);
    assert_true(read_metric(&m, "com.sepior.tdsa.ABORTED.PRESIG", "count") > 0.5);
    assert_true(read_metric(&m, "com.sepior.tdsa.COMPLETED.PRESIG", "count") < 0.5);
    assert_true(read_metric(&m, "com.sepior.tdsa.DURATION.SIGN", "max") > 0.0019);
    assert_true(read_metric(&m, "com.sepior.tdsa.DURATION.PRESIG", "count") < 0.5);
    svc_meters_api(&m, "sign", 200, 5);
    svc_meters_api(&m, "", 404, 5);
    svc_meters_round(&m, 100, 200, 7);
    assert_true(read_metric(&m, "com.sepior.tdsaservice.api.sign", "count") > 0.5);
    assert_true(read_metric(&m, "com.sepior.tdsaservice.protocol.round", "count") > 0.5);
    assert_true(read_metric(&m, "com.sepior.tdsa.MESSAGE.SIZE", "max") > 99.5);
    assert_true(read_metric(&m, "io.dropwizard.jetty.MutableServletContextHandler.4xx-responses",
                            "count") > 0.5);
    assert_true(read_metric(&m, "com.sepior.tdsa.PRESIG.BURNED", "count") < 0.5);
    svc_meters_clear(&m);
}

/* ---- create-tables ---- */

static void tables_are_made_from_the_environment_alone(void **state)
{
    char folder[] = "/tmp/tdsa-tables-XXXXXX", url[96], file[64];
    tdsa_err err;

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)unsetenv("DB_DRIVER_CLASS");
    (void)unsetenv("DB_URL");
    assert_int_equal(svc_create_tables(NULL, &err), TDSA_E_BAD_INPUT);
    assert_non_null(strstr(err.text, "DB_DRIVER_CLASS"));
    (void)setenv("DB_DRIVER_CLASS", "org.sqlite.JDBC", 1);
    assert_int_equal(svc_create_tables(NULL, &err), TDSA_E_BAD_INPUT);
    assert_non_null(strstr(err.text, "DB_URL"));
    (void)snprintf(url, sizeof url, "jdbc:sqlite:file:%s/none/t.db", folder);
    (void)setenv("DB_URL", url, 1);
    assert_int_equal(svc_create_tables(NULL, &err), TDSA_E_STORE);
    (void)snprintf(url, sizeof url, "jdbc:sqlite:file:%s/t.db", folder);
    (void)setenv("DB_URL", url, 1);
    assert_int_equal(svc_create_tables(NULL, &err), TDSA_OK);
    assert_int_equal(svc_create_tables(NULL, &err), TDSA_OK); /* they are there: fine */
    (void)setenv("DB_DRIVER_CLASS", "org.postgresql.Driver", 1);
    assert_int_equal(svc_create_tables(NULL, &err), TDSA_E_CONFIG);
    (void)setenv("DB_URL", "jdbc:postgresql://db.example.com:5432/mydb", 1);
    (void)unsetenv("DB_USERNAME");
    (void)unsetenv("DB_PASSWORD");
    assert_int_equal(svc_create_tables(NULL, &err), TDSA_E_BAD_INPUT);
    assert_non_null(strstr(err.text, "DB_USERNAME"));
    (void)setenv("DB_USERNAME", "owner", 1);
    assert_int_equal(svc_create_tables(NULL, &err), TDSA_E_BAD_INPUT);
    assert_non_null(strstr(err.text, "DB_PASSWORD"));
    (void)setenv("DB_PASSWORD", "hush", 1);
    (void)unsetenv("DB_DRIVER_CLASS");
    (void)setenv("DB_URL", "postgresql://db.example.com:x/mydb", 1);
    assert_int_equal(svc_create_tables(NULL, &err), TDSA_E_CONFIG);
    assert_non_null(strstr(err.text, "DB_URL: host 1: the port"));
    assert_null(getenv("DB_PASSWORD")); /* it is for this step alone */
    (void)snprintf(file, sizeof file, "%s/t.db", folder);
    assert_int_equal(unlink(file), 0);
    (void)rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_the_layout_of_logback),
        cmocka_unit_test(the_longest_logger_name_decides),
        cmocka_unit_test(levels_are_read_in_any_case),
        cmocka_unit_test(commands_files_and_defines_are_told_apart),
        cmocka_unit_test(wrong_command_lines_are_refused),
        cmocka_unit_test(settings_are_read),
        cmocka_unit_test(what_is_not_built_is_refused_by_its_path),
        cmocka_unit_test(the_logging_section_sets_levels),
        cmocka_unit_test(events_feed_the_metrics_of_their_operation),
        cmocka_unit_test(tables_are_made_from_the_environment_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
