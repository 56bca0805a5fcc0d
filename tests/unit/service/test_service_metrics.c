#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "admin/metrics.h"
#include "admin/metrics_rate.h"
#include "admin/metrics_reservoir.h"

#define MINUTE_MS 60000u

static void near_to(double a, double b)
{
    if (!(fabs(a - b) < 1e-6)) {
        print_message("%.9f is not near %.9f\n", a, b);
    }
    assert_true(fabs(a - b) < 1e-6);
}

/* A clock the test moves. */
static uint64_t read_ms(void *ctx)
{
    return *(const uint64_t *)ctx;
}

static tdsa_clock clock_of(uint64_t *ms)
{
    return (tdsa_clock){read_ms, read_ms, ms};
}

static void rates_decay_as_the_reference_values_say(void **state)
{
    static const double m1[] = {0.6,        0.22072766, 0.08120117, 0.02987224,
                                0.01098938, 0.00404277, 0.00148725};
    static const double m5[] = {0.6, 0.49123845, 0.40219203};
    static const double m15[] = {0.6, 0.56130419, 0.52510399};
    svc_rates r;

    (void)state;
    svc_rates_init(&r, 1000);
    svc_rates_mark(&r, 3, 1000);
    near_to(svc_rates_get(&r, SVC_RATE_M1, 5999), 0.0); /* no tick yet */
    for (unsigned i = 0; i < sizeof m1 / sizeof m1[0]; i++) {
        near_to(svc_rates_get(&r, SVC_RATE_M1, 6000 + i * MINUTE_MS), m1[i]);
    }
    svc_rates_init(&r, 0);
    svc_rates_mark(&r, 3, 0);
    for (unsigned i = 0; i < 3; i++) {
        near_to(svc_rates_get(&r, SVC_RATE_M5, 5000 + i * MINUTE_MS), m5[i]);
        near_to(svc_rates_get(&r, SVC_RATE_M15, 5000 + i * MINUTE_MS), m15[i]);
    }
    assert_int_equal(r.count, 3);
    near_to(svc_rates_mean(&r, 6000), 0.5);
}

static void rates_of_a_long_idle_meter_are_zero_at_once(void **state)
{
    svc_rates r;

    (void)state;
    svc_rates_init(&r, 0);
    near_to(svc_rates_mean(&r, 1000), 0.0);
    svc_rates_mark(&r, 1000, 0);
    near_to(svc_rates_get(&r, SVC_RATE_M15, UINT64_C(1000) * 365 * 86400), 0.0);
    svc_rates_mark(&r, 5, UINT64_C(1000) * 365 * 86400);
    assert_int_equal(r.count, 1005);
}

static void snapshots_take_the_lower_neighbour(void **state)
{
    static svc_reservoir r;
    svc_snapshot s;

    (void)state;
    svc_reservoir_init(&r, 1, 0);
    svc_reservoir_snapshot(&r, 0, &s);
    assert_int_equal(s.max, 0);
    near_to(s.p99, 0.0);
    for (int i = 1; i <= 5; i++) {
        svc_reservoir_update(&r, i, 0);
    }
    svc_reservoir_snapshot(&r, 0, &s);
    assert_int_equal(s.min, 1);
    assert_int_equal(s.max, 5);
    near_to(s.mean, 3.0);
    near_to(s.stddev, 1.414213562);
    near_to(s.p50, 3.0);
    near_to(s.p75, 4.0);
    near_to(s.p999, 5.0);
}

static void a_reservoir_of_one_value_has_no_deviation(void **state)
{
    static svc_reservoir r;
    svc_snapshot s;

    (void)state;
    svc_reservoir_init(&r, 1, 0);
    svc_reservoir_update(&r, 42, 0);
    svc_reservoir_snapshot(&r, 0, &s);
    near_to(s.stddev, 0.0);
    near_to(s.p50, 42.0);
    assert_int_equal(s.min, 42);
}

static void a_full_reservoir_keeps_1028_values_and_forgets_old_ones(void **state)
{
    static svc_reservoir r;
    svc_snapshot s;

    (void)state;
    svc_reservoir_init(&r, 7, 0);
    for (unsigned i = 0; i < 5000; i++) {
        svc_reservoir_update(&r, 1000, 0);
    }
    assert_int_equal(r.used, SVC_RESERVOIR_SIZE);
    assert_int_equal(r.count, 5000);
    for (unsigned i = 0; i < 2000; i++) { /* 10 minutes later: weight e^9 each */
        svc_reservoir_update(&r, 1, 600000);
    }
    svc_reservoir_snapshot(&r, 600000, &s);
    near_to(s.p50, 1.0);
    assert_true(s.mean < 2.0);
}

static void an_hourly_rescale_changes_no_percentile(void **state)
{
    static svc_reservoir r;
    svc_snapshot before, after;

    (void)state;
    svc_reservoir_init(&r, 9, 0);
    for (int i = 0; i < 101; i++) {
        svc_reservoir_update(&r, i, 3599000);
    }
    svc_reservoir_snapshot(&r, 3599000, &before);
    svc_reservoir_snapshot(&r, 3600000, &after); /* moves the landmark */
    near_to(after.p50, before.p50);
    near_to(after.p999, before.p999);
    near_to(after.mean, before.mean);
    svc_reservoir_update(&r, 5000, 3600000 + 3600000);
    svc_reservoir_snapshot(&r, 7200000, &after);
    assert_int_equal(after.max, 5000);
    /* so long idle that nothing old has a weight left */
    svc_reservoir_snapshot(&r, UINT64_C(1000) * 30 * 86400, &after);
    assert_int_equal(after.max, 0);
}

static void names_are_unique_and_typed(void **state)
{
    uint64_t ms = 0;
    svc_metrics *m;
    svc_metric *x;
    tdsa_err err;

    (void)state;
    assert_int_equal(svc_metrics_new(&m, clock_of(&ms), &err), TDSA_OK);
    x = svc_metrics_add(m, SVC_METER, "a.b");
    assert_non_null(x);
    assert_ptr_equal(svc_metrics_add(m, SVC_METER, "a.b"), x);
    assert_null(svc_metrics_add(m, SVC_TIMER, "a.b"));
    assert_ptr_equal(svc_metrics_find(m, "a.b"), x);
    assert_null(svc_metrics_find(m, "a"));
    svc_metric_mark(NULL, 1); /* a metric that could not be made is fed for nothing */
    svc_metrics_free(m);
    svc_metrics_free(NULL);
}

static void each_type_has_its_statistics(void **state)
{
    static const struct {
        const char *name;
        bool gauge, counter, histogram, meter, timer;
    } rows[] = {
        {"count", 0, 1, 1, 1, 1},    {"m1_rate", 0, 0, 0, 1, 1},   {"m5_rate", 0, 0, 0, 1, 1},
        {"m15_rate", 0, 0, 0, 1, 1}, {"mean_rate", 0, 0, 0, 1, 1}, {"min", 0, 0, 1, 0, 1},
        {"max", 0, 0, 1, 0, 1},      {"stddev", 0, 0, 1, 0, 1},    {"median", 0, 0, 1, 0, 1},
        {"75th", 0, 0, 1, 0, 1},     {"999th", 0, 0, 1, 0, 1},     {"p98", 0, 0, 1, 0, 1},
        {"value", 1, 0, 0, 0, 0},    {"p97", 0, 0, 0, 0, 0}};
    uint64_t ms = 0;
    svc_metrics *m;
    svc_metric *x;
    double v;
    tdsa_err err;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(svc_metric_has_statistic(SVC_GAUGE, rows[i].name), rows[i].gauge);
        assert_int_equal(svc_metric_has_statistic(SVC_COUNTER, rows[i].name), rows[i].counter);
        assert_int_equal(svc_metric_has_statistic(SVC_HISTOGRAM, rows[i].name), rows[i].histogram);
        assert_int_equal(svc_metric_has_statistic(SVC_METER, rows[i].name), rows[i].meter);
        assert_int_equal(svc_metric_has_statistic(SVC_TIMER, rows[i].name), rows[i].timer);
    }
    assert_int_equal(svc_metrics_new(&m, clock_of(&ms), &err), TDSA_OK);
    x = svc_metrics_add(m, SVC_TIMER, "t");
    svc_metric_time(x, 1500000);
    assert_true(svc_metric_read(x, "max", &v));
    near_to(v, 1.5); /* seconds */
    assert_true(svc_metric_read(x, "count", &v));
    near_to(v, 1.0);
    assert_false(svc_metric_read(x, "value", &v));
    svc_metrics_free(m);
}

static int64_t forty_two(void *ctx)
{
    (void)ctx;
    return 42;
}

/* Every number becomes N, so that the shape alone is compared. */
static void expect_shape(svc_metrics *m, const char *shape)
{
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    char got[8192];
    size_t n = 0;
    bool quoted = false;
    tdsa_err err;

    assert_int_equal(svc_metrics_json(m, false, &out, &err), TDSA_OK);
    for (size_t i = 0; i < out.len && n + 1 < sizeof got; i++) {
        quoted = out.data[i] == '"' ? !quoted : quoted;
        if (!quoted && strchr("-0123456789", out.data[i]) != NULL) {
            while (i + 1 < out.len && strchr("-+.eE0123456789", out.data[i + 1]) != NULL) {
                i++;
            }
            got[n++] = 'N';
        } else {
            got[n++] = (char)out.data[i];
        }
    }
    got[n] = '\0';
    assert_string_equal(got, shape);
}

static void the_document_has_the_exact_shape(void **state)
{
    uint64_t ms = 0;
    svc_metrics *m;
    tdsa_err err;

    (void)state;
    assert_int_equal(svc_metrics_new(&m, clock_of(&ms), &err), TDSA_OK);
    expect_shape(m, "{\"version\":\"4.0.0\",\"gauges\":{},\"counters\":{},\"histograms\":{},"
                    "\"meters\":{},\"timers\":{}}");
    assert_true(svc_metrics_add_asked(m, SVC_GAUGE, "g", forty_two, NULL));
    svc_metric_inc(svc_metrics_add(m, SVC_COUNTER, "c2"), 100);
    svc_metric_inc(svc_metrics_add(m, SVC_COUNTER, "c1"), -1);
    svc_metric_update(svc_metrics_add(m, SVC_HISTOGRAM, "h"), 7);
    svc_metric_mark(svc_metrics_add(m, SVC_METER, "m"), 1);
    svc_metric_time(svc_metrics_add(m, SVC_TIMER, "t"), 1000);
    expect_shape(
        m, "{\"version\":\"4.0.0\",\"gauges\":{\"g\":{\"value\":N}},"
           "\"counters\":{\"c1\":{\"count\":N},\"c2\":{\"count\":N}},"
           "\"histograms\":{\"h\":{\"count\":N,\"max\":N,\"mean\":N,\"min\":N,\"p50\":N,\"p75\":N,"
           "\"p95\":N,\"p98\":N,\"p99\":N,\"p999\":N,\"stddev\":N}},"
           "\"meters\":{\"m\":{\"count\":N,\"m15_rate\":N,\"m1_rate\":N,\"m5_rate\":N,"
           "\"mean_rate\":N,\"units\":\"events/second\"}},"
           "\"timers\":{\"t\":{\"count\":N,\"max\":N,\"mean\":N,\"min\":N,\"p50\":N,\"p75\":N,"
           "\"p95\":N,\"p98\":N,\"p99\":N,\"p999\":N,\"stddev\":N,\"m15_rate\":N,\"m1_rate\":N,"
           "\"m5_rate\":N,\"mean_rate\":N,\"duration_units\":\"seconds\","
           "\"rate_units\":\"calls/second\"}}}");
    svc_metrics_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_decay_as_the_reference_values_say),
        cmocka_unit_test(rates_of_a_long_idle_meter_are_zero_at_once),
        cmocka_unit_test(snapshots_take_the_lower_neighbour),
        cmocka_unit_test(a_reservoir_of_one_value_has_no_deviation),
        cmocka_unit_test(a_full_reservoir_keeps_1028_values_and_forgets_old_ones),
        cmocka_unit_test(an_hourly_rescale_changes_no_percentile),
        cmocka_unit_test(names_are_unique_and_typed),
        cmocka_unit_test(each_type_has_its_statistics),
        cmocka_unit_test(the_document_has_the_exact_shape),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
