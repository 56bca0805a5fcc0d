#include "config/value.h"

#include <math.h>

#include "config/suggest.h"
#include "config_support.h"

static void whole_numbers_are_read_to_the_last_digit(void **state)
{
    static const char *const bad[] = {
        "", "-", "+", "1 ", " 1", "1.0", "0x10", "1_000", "9223372036854775808", "a"};
    int64_t v;

    (void)state;
    assert_true(cfg_value_int("0", &v) && v == 0);
    assert_true(cfg_value_int("-17", &v) && v == -17);
    assert_true(cfg_value_int("+17", &v) && v == 17);
    assert_true(cfg_value_int("9223372036854775807", &v) && v == INT64_MAX);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(cfg_value_int(bad[i], &v));
    }
}

static void fractions_do_not_depend_on_the_locale(void **state)
{
    static const char *const bad[] = {"",   ".",   "-",   "1,5",   "1e",   "1e999",
                                      "e5", "nan", "inf", "1.2.3", "0x1p3"};
    double v;

    (void)state;
    assert_true(cfg_value_number("5.0", &v) && fabs(v - 5.0) < 1e-12);
    assert_true(cfg_value_number("-.25", &v) && fabs(v + 0.25) < 1e-12);
    assert_true(cfg_value_number("1.5e2", &v) && fabs(v - 150.0) < 1e-9);
    assert_true(cfg_value_number("25E-1", &v) && fabs(v - 2.5) < 1e-12);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(cfg_value_number(bad[i], &v));
    }
}

static void durations_need_a_unit(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"0ms", 0},       {"500ms", 500},     {"30s", 30000},      {"30 seconds", 30000},
                {"1m", 60000},    {"2 mins", 120000}, {"1 minute", 60000}, {"3h", 10800000},
                {"1d", 86400000}, {"1500us", 2},      {"1 nanosecond", 1}, {"1000000ns", 1}};
    static const char *const bad[] = {
        "", "30", "s", "-1s", "1.5s", "30 parsecs", "1S", "1s ", "9223372036854775807d"};
    int64_t v;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(cfg_value_duration(good[i].text, &v));
        assert_int_equal(v, good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(cfg_value_duration(bad[i], &v));
    }
}

static void sizes_count_in_thousands_or_in_1024(void **state)
{
    static const struct {
        const char *text;
        int64_t bytes;
    } good[] = {{"0", 0},
                {"512B", 512},
                {"8KiB", 8192},
                {"8 KB", 8000},
                {"8K", 8000},
                {"1MiB", 1048576},
                {"2 megabytes", 2000000},
                {"1GiB", 1 << 30},
                {"1PiB", INT64_C(1) << 50}};
    static const char *const bad[] = {"", "KiB", "-1", "1.5KiB", "8kib", "9223372036854775807KiB"};
    int64_t v;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(cfg_value_size(good[i].text, &v));
        assert_int_equal(v, good[i].bytes);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(cfg_value_size(bad[i], &v));
    }
}

static void words_and_levels_ignore_case(void **state)
{
    const char *word;
    size_t len;

    (void)state;
    assert_true(cfg_value_word("HTTPS", "http|https", &word, &len));
    assert_int_equal(len, 5);
    assert_memory_equal(word, "https", 5);
    assert_false(cfg_value_word("htt", "http|https", &word, &len));
    assert_false(cfg_value_word("", "http|https", &word, &len));
    assert_false(cfg_value_word("http|https", "http|https", &word, &len));
    assert_string_equal(cfg_value_level("info"), "INFO");
    assert_string_equal(cfg_value_level("false"), "OFF"); /* what YAML 1.1 makes of OFF */
    assert_string_equal(cfg_value_level("true"), "ALL");
    assert_null(cfg_value_level("LOUD"));
}

static void distance_counts_edits(void **state)
{
    (void)state;
    assert_int_equal(cfg_suggest_distance("", ""), 0);
    assert_int_equal(cfg_suggest_distance("", "abc"), 3);
    assert_int_equal(cfg_suggest_distance("kitten", "sitting"), 3);
    assert_int_equal(cfg_suggest_distance("adminConnectrs", "adminConnectors"), 1);
    assert_int_equal(cfg_suggest_distance("port", "prot"), 2);
}

static void nearest_names_come_first_and_five_at_most(void **state)
{
    const char *best[CFG_SUGGESTIONS_MAX];
    size_t total;

    (void)state;
    total = cfg_suggest("server", "adminConnectrs", best);
    assert_true(total > CFG_SUGGESTIONS_MAX);
    assert_string_equal(best[0], "adminConnectors");
    assert_non_null(best[4]);
    assert_int_equal(cfg_suggest("tdsaServer", "serverGroup", best), 1);
    assert_string_equal(best[0], "serverGroupId");
    assert_null(best[1]);
    assert_int_equal(cfg_suggest("logging.loggers", "x", best), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_numbers_are_read_to_the_last_digit),
        cmocka_unit_test(fractions_do_not_depend_on_the_locale),
        cmocka_unit_test(durations_need_a_unit),
        cmocka_unit_test(sizes_count_in_thousands_or_in_1024),
        cmocka_unit_test(words_and_levels_ignore_case),
        cmocka_unit_test(distance_counts_edits),
        cmocka_unit_test(nearest_names_come_first_and_five_at_most),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
