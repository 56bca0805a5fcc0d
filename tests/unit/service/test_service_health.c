#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "admin/admin.h"
#include "admin/heartbeat.h"
#include "http_client.h"

/* A clock the test moves, and checks it breaks. */
typedef struct {
    uint64_t ms;
    bool broken;
    unsigned asked;
} world;

static uint64_t mono(void *ctx)
{
    return ((const world *)ctx)->ms;
}

static uint64_t wall(void *ctx)
{
    (void)ctx;
    return UINT64_C(1795242882123); /* 2026-11-21T06:34:42.123Z */
}

static bool ask(void *ctx, char *message, size_t cap)
{
    world *w = (world *)ctx;

    w->asked++;
    if (w->broken) {
        (void)snprintf(message, cap, "broken \"by\" the test");
    }
    return !w->broken;
}

static int warnings;
static void count_line(void *ctx, tdsa_log_level level, const char *logger, const char *text)
{
    (void)ctx;
    (void)logger;
    (void)text;
    warnings += level == TDSA_LOG_WARN ? 1 : 0;
}

static svc_metrics *metrics_of(world *w)
{
    svc_metrics *m;
    tdsa_err err;

    assert_int_equal(svc_metrics_new(&m, (tdsa_clock){mono, wall, w}, &err), TDSA_OK);
    assert_non_null(svc_metrics_add(m, SVC_METER, "com.sepior.tdsa.ABORTED.PRESIG"));
    assert_non_null(svc_metrics_add(m, SVC_COUNTER, "counter"));
    return m;
}

static svc_health *health_of(world *w, svc_metrics *m, const svc_monitor *monitors, size_t count)
{
    const svc_check checks[] = {{SVC_CHECK_DEADLOCKS, ask, w}, {SVC_CHECK_DATABASE, ask, w}};
    svc_health_cfg cfg = {.checks = checks,
                          .check_count = 2,
                          .ready = checks,
                          .ready_count = 2,
                          .monitors = monitors,
                          .monitor_count = count,
                          .metrics = m,
                          .clock = {mono, wall, w}};
    svc_health *h;
    tdsa_err err;

    assert_int_equal(svc_health_new(&h, &cfg, &err), TDSA_OK);
    return h;
}

static void run(svc_health *h, unsigned status, const char *text)
{
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    unsigned http;
    tdsa_err err;

    assert_int_equal(svc_health_run(h, false, &out, &http, &err), TDSA_OK);
    tdsa_buf_append_u8(&out, 0);
    assert_string_equal((const char *)out.data, text);
    assert_int_equal(http, status);
}

static void the_document_is_sorted_and_exact(void **state)
{
    static const svc_monitor monitor = {
        .name = "dam", .metric = "counter", .statistic = "count", .has_max = true, .max = 5.0};
    world w = {0, false, 0};
    svc_metrics *m = metrics_of(&w);
    svc_health *h = health_of(&w, m, &monitor, 1);

    (void)state;
    svc_metric_inc(svc_metrics_find(m, "counter"), 5); /* the bound itself passes */
    run(h, 200,
        "{\"dam\":{\"healthy\":true,\"duration\":0,\"timestamp\":\"2026-11-21T06:34:42.123Z\"},"
        "\"database\":{\"healthy\":true,\"duration\":0,"
        "\"timestamp\":\"2026-11-21T06:34:42.123Z\"},"
        "\"deadlocks\":{\"healthy\":true,\"duration\":0,"
        "\"timestamp\":\"2026-11-21T06:34:42.123Z\"}}");
    svc_metric_inc(svc_metrics_find(m, "counter"), 1);
    run(h, 500,
        "{\"dam\":{\"healthy\":false,\"message\":\"count of counter is 6, above the maximum 5\","
        "\"duration\":0,\"timestamp\":\"2026-11-21T06:34:42.123Z\"},"
        "\"database\":{\"healthy\":true,\"duration\":0,"
        "\"timestamp\":\"2026-11-21T06:34:42.123Z\"},"
        "\"deadlocks\":{\"healthy\":true,\"duration\":0,"
        "\"timestamp\":\"2026-11-21T06:34:42.123Z\"}}");
    svc_health_free(h);
    svc_metrics_free(m);
}

static void without_checks_the_status_is_501(void **state)
{
    world w = {0, false, 0};
    svc_metrics *m = metrics_of(&w);
    svc_health_cfg cfg = {.metrics = m, .clock = {mono, wall, &w}};
    svc_health *h;
    tdsa_err err;

    (void)state;
    assert_int_equal(svc_health_new(&h, &cfg, &err), TDSA_OK);
    run(h, 501, "{}");
    svc_health_free(h);
    cfg.check_count = SVC_CHECKS_MAX + 1;
    assert_int_equal(svc_health_new(&h, &cfg, &err), TDSA_E_BAD_INPUT);
    svc_metrics_free(m);
}

static void the_example_of_the_tdsa_service_works(void **state)
{
    static const svc_monitor monitor = {.name = "max_aborted_presiggen",
                                        .metric = "com.sepior.tdsa.ABORTED.PRESIG",
                                        .statistic = "m5_rate",
                                        .has_max = true,
                                        .max = 5.0};
    char message[SVC_MONITOR_TEXT_MAX];
    world w = {0, false, 0};
    svc_metrics *m = metrics_of(&w);
    tdsa_err err;

    (void)state;
    assert_int_equal(svc_monitors_check(&monitor, 1, m, NULL, &err), TDSA_OK);
    svc_metric_mark(svc_metrics_find(m, monitor.metric), 20);
    w.ms = 5000; /* 4 a second */
    assert_true(svc_monitor_run(&monitor, m, message));
    svc_metric_mark(svc_metrics_find(m, monitor.metric), 2000);
    w.ms = 10000;
    assert_false(svc_monitor_run(&monitor, m, message));
    assert_non_null(strstr(message, "above the maximum 5"));
    svc_metrics_free(m);
}

static void wrong_monitors_are_refused_by_their_path(void **state)
{
    static const struct {
        svc_monitor list[2];
        size_t count;
        const char *text;
    } rows[] = {
        {{{"a", "counter", "count", false, false, 0, 0}}, 1, "health.monitors[0]: give min or max"},
        {{{"a", "counter", "count", true, true, 2, 1}}, 1, "min is above max"},
        {{{"database", "counter", "count", true, false, 2, 0}}, 1, "built-in check"},
        {{{"deadlocks", "counter", "count", true, false, 2, 0}}, 1, "built-in check"},
        {{{"a", "counter", "count", true, false, 2, 0},
          {"a", "counter", "count", true, false, 2, 0}},
         2,
         "health.monitors[1].name: \"a\" is used twice"},
        {{{"a", "counter", "m1_rate", true, false, 2, 0}},
         1,
         "health.monitors[0].statistic: a counter has no \"m1_rate\"; it has count"},
        {{{"a", "counter", "p97", true, false, 2, 0}}, 1, "is none of count, m1_rate"},
    };
    world w = {0, false, 0};
    svc_metrics *m = metrics_of(&w);
    tdsa_err err;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(svc_monitors_check(rows[i].list, rows[i].count, m, NULL, &err),
                         TDSA_E_CONFIG);
        assert_non_null(strstr(err.text, rows[i].text));
    }
    assert_int_equal(svc_monitors_check(rows[0].list, SVC_MONITORS_MAX + 1, m, NULL, &err),
                     TDSA_E_CONFIG);
    svc_metrics_free(m);
}

static void a_misspelt_metric_warns_and_stays_unhealthy(void **state)
{
    static const svc_monitor low = {"a", "no.such", "count", true, false, 1, 0};
    static const svc_monitor bound = {"b", "counter", "count", true, false, 1, 0};
    const tdsa_log log = {count_line, NULL};
    char message[SVC_MONITOR_TEXT_MAX];
    world w = {0, false, 0};
    svc_metrics *m = metrics_of(&w);
    tdsa_err err;

    (void)state;
    warnings = 0;
    assert_int_equal(svc_monitors_check(&low, 1, m, &log, &err), TDSA_OK);
    assert_int_equal(warnings, 1);
    assert_false(svc_monitor_run(&low, m, message));
    assert_string_equal(message, "metric not found: no.such");
    assert_false(svc_monitor_run(&bound, m, message));
    assert_non_null(strstr(message, "below the minimum 1"));
    svc_metrics_free(m);
}

static void readiness_is_asked_once_a_second_and_ends_with_the_service(void **state)
{
    world w = {0, false, 0};
    svc_metrics *m = metrics_of(&w);
    svc_health *h = health_of(&w, m, NULL, 0);
    unsigned http;
    tdsa_err err;

    (void)state;
    for (int i = 0; i < 3; i++) {
        TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;

        assert_int_equal(svc_health_ready(h, &out, &http, &err), TDSA_OK);
        assert_int_equal(http, 200);
    }
    assert_int_equal(w.asked, 2); /* both probes, once */
    w.broken = true;
    w.ms = 1000;
    for (int i = 0; i < 2; i++) {
        TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;

        assert_int_equal(svc_health_ready(h, &out, &http, &err), TDSA_OK);
        assert_int_equal(http, 503);
    }
    assert_int_equal(w.asked, 4);
    w.broken = false;
    w.ms = 5000;
    svc_health_stopping(h);
    {
        TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;

        assert_int_equal(svc_health_ready(h, &out, &http, &err), TDSA_OK);
        assert_int_equal(http, 503);
        assert_int_equal(w.asked, 4); /* nobody was bothered */
    }
    svc_health_free(h);
    svc_metrics_free(m);
}

static void a_stuck_step_is_named(void **state)
{
    svc_heartbeat h;
    char message[128] = "";

    (void)state;
    svc_heartbeat_init(&h, 1000);
    svc_heartbeat_step(&h, "the engine", 2000);
    assert_true(svc_heartbeat_ok(&h, 2000 + SVC_HEARTBEAT_MS - 1, message, sizeof message));
    assert_false(svc_heartbeat_ok(&h, 2000 + SVC_HEARTBEAT_MS, message, sizeof message));
    assert_string_equal(message, "no heartbeat for 30 s, stuck in: the engine");
    svc_heartbeat_step(&h, "", 40000);
    assert_true(svc_heartbeat_ok(&h, 40001, message, sizeof message));
}

static void the_admin_port_serves_its_pages(void **state)
{
    world w = {0, false, 0};
    svc_metrics *m = metrics_of(&w);
    svc_admin admin = {.metrics = m, .health = health_of(&w, m, NULL, 0)};
    http_cfg http = {.name = "admin",
                     .host = "127.0.0.1",
                     .model = HTTP_BLOCKING,
                     .ctx = &admin,
                     .observer = svc_admin_observe};
    http_server *server;
    test_answer a;
    uint16_t port;
    tdsa_err err;

    (void)state;
    http.routes = svc_admin_routes(&http.route_count);
    assert_int_equal(http_server_start(&server, &http, &err), TDSA_OK);
    port = http_server_port(server);
    test_http(&a, port, "GET", "/metrics", "", "", 0);
    assert_int_equal(a.status, 200);
    assert_non_null(strstr(a.head, "Content-Type: application/json"));
    assert_non_null(strstr(a.head, "Cache-Control: must-revalidate,no-cache,no-store"));
    test_http(&a, port, "GET", "/metrics?pretty=true", "", "", 0);
    assert_non_null(strstr(a.body, "\n  \"gauges\""));
    test_http(&a, port, "GET", "/healthcheck", "", "", 0);
    assert_int_equal(a.status, 200);
    w.broken = true;
    test_http(&a, port, "GET", "/healthcheck", "", "", 0);
    assert_int_equal(a.status, 500);
    assert_non_null(strstr(a.body, "\"message\":\"broken \\\"by\\\" the test\""));
    test_http(&a, port, "GET", "/healthcheck?httpStatusIndicator=false", "", "", 0);
    assert_int_equal(a.status, 200);
    test_http(&a, port, "GET", "/health/ready", "", "", 0);
    assert_int_equal(a.status, 503);
    test_http(&a, port, "GET", "/health/live", "", "", 0);
    assert_int_equal(a.status, 200);
    test_http(&a, port, "GET", "/ping", "", "", 0);
    assert_string_equal(a.body, "pong\n");
    test_http(&a, port, "GET", "/threads", "", "", 0);
    assert_int_equal(a.status, 200);
    test_http(&a, port, "GET", "/", "", "", 0);
    assert_non_null(strstr(a.body, "Operational Menu"));
    test_http(&a, port, "GET", "/v1/keys", "", "", 0);
    assert_int_equal(a.status, 404);
    test_http(&a, port, "POST", "/metrics", "", "", 0);
    assert_int_equal(a.status, 405);
    http_server_free(server);
    svc_health_free(admin.health);
    svc_metrics_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_document_is_sorted_and_exact),
        cmocka_unit_test(without_checks_the_status_is_501),
        cmocka_unit_test(the_example_of_the_tdsa_service_works),
        cmocka_unit_test(wrong_monitors_are_refused_by_their_path),
        cmocka_unit_test(a_misspelt_metric_warns_and_stays_unhealthy),
        cmocka_unit_test(readiness_is_asked_once_a_second_and_ends_with_the_service),
        cmocka_unit_test(a_stuck_step_is_named),
        cmocka_unit_test(the_admin_port_serves_its_pages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
