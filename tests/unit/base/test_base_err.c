#include "base_test.h"

#include "base/assert.h"
#include "base/env.h"
#include "base/err.h"

static void set_records_status_place_and_text(void **state)
{
    tdsa_err err;

    (void)state;
    assert_int_equal(TDSA_FAIL(&err, TDSA_E_LIMIT, "%d of %s", 3, "them"), TDSA_E_LIMIT);
    assert_int_equal(err.status, TDSA_E_LIMIT);
    assert_int_equal(err.participant, TDSA_NOBODY);
    assert_string_equal(err.text, "3 of them");
    assert_non_null(strstr(err.where, "test_base_err.c:"));
}

static void blame_names_the_participant(void **state)
{
    tdsa_err err;

    (void)state;
    assert_int_equal(TDSA_BLAME(&err, 2, "bad share"), TDSA_E_PROTOCOL);
    assert_int_equal(err.participant, 2);
    assert_int_equal(tdsa_err_blame(&err, TDSA_E_TIMEOUT, 1, "x", "slow"), TDSA_E_TIMEOUT);
    assert_int_equal(err.participant, 1);
}

static void wrap_keeps_cause_status_and_participant(void **state)
{
    tdsa_err err;

    (void)state;
    (void)TDSA_BLAME(&err, 2, "bad share");
    assert_int_equal(tdsa_err_wrap(&err, "signing with %s", "k1"), TDSA_E_PROTOCOL);
    assert_string_equal(err.text, "signing with k1: bad share");
    assert_int_equal(err.participant, 2);
}

static void long_texts_are_cut_and_the_cause_survives(void **state)
{
    char big[600];
    tdsa_err err;

    (void)state;
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    (void)TDSA_FAIL(&err, TDSA_E_STORE, "%s", big);
    assert_int_equal(strlen(err.text), TDSA_ERR_TEXT_MAX - 1);
    (void)TDSA_FAIL(&err, TDSA_E_STORE, "the cause");
    (void)tdsa_err_wrap(&err, "%s", big);
    assert_non_null(strstr(err.text, ": the cause"));
    for (int i = 0; i < 5; i++) {
        (void)tdsa_err_wrap(&err, "%s", big);
        assert_true(strlen(err.text) < TDSA_ERR_TEXT_MAX);
    }
}

static void texts_stay_one_line(void **state)
{
    tdsa_err err;

    (void)state;
    (void)TDSA_FAIL(&err, TDSA_E_BAD_INPUT, "name \"%s\"", "a\nb\x1b[2J");
    assert_string_equal(err.text, "name \"a?b?[2J\"");
    (void)tdsa_err_wrap(&err, "in\r\n");
    assert_null(strpbrk(err.text, "\r\n"));
}

static void every_status_has_its_own_name(void **state)
{
    (void)state;
    for (int i = TDSA_OK; i <= TDSA_E_INTERNAL; i++) {
        assert_string_not_equal(tdsa_status_name((tdsa_status)i), "UNKNOWN");
        for (int j = TDSA_OK; j < i; j++) {
            assert_string_not_equal(tdsa_status_name((tdsa_status)i),
                                    tdsa_status_name((tdsa_status)j));
        }
    }
    assert_string_equal(tdsa_status_name(TDSA_E_BAD_INPUT), "BAD_INPUT");
}

static jmp_buf after_assert;
static const char *assert_what;

static void jump_out(const char *what, const char *where)
{
    (void)where;
    assert_what = what;
    longjmp(after_assert, 1);
}

static void a_failed_assert_reaches_the_handler(void **state)
{
    int one = 1;

    (void)state;
    tdsa_assert_set_handler(jump_out);
    if (setjmp(after_assert) == 0) {
        TDSA_ASSERT(one == 1);
        TDSA_ASSERT(one == 2);
        fail();
    }
    assert_string_equal(assert_what, "one == 2");
}

static char last_line[2000];

static void keep_line(void *ctx, tdsa_log_level level, const char *logger, const char *text)
{
    (void)snprintf(last_line, sizeof last_line, "%d %s %s", (int)level, logger, text);
    (*(int *)ctx)++;
}

static void log_lines_are_formatted_cut_and_one_line(void **state)
{
    int count = 0;
    const tdsa_log log = {keep_line, &count};
    const tdsa_log none = {NULL, NULL};
    char big[3000];

    (void)state;
    tdsa_logf(&log, TDSA_LOG_WARN, "peer", "took %d ms", 5);
    assert_string_equal(last_line, "1 peer took 5 ms");
    tdsa_logf(&log, TDSA_LOG_INFO, "api", "user \"%s\"", "x\nFATAL");
    assert_string_equal(last_line, "2 api user \"x?FATAL\"");
    memset(big, 'y', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    tdsa_logf(&log, TDSA_LOG_ERROR, "a", "%s", big);
    assert_int_equal(strlen(last_line), strlen("0 a ") + 1023);
    tdsa_logf(NULL, TDSA_LOG_ERROR, "a", "nothing");
    tdsa_logf(&none, TDSA_LOG_ERROR, "a", "nothing");
    assert_int_equal(count, 3);
}

static void the_clock_goes_forward(void **state)
{
    const tdsa_clock clock = tdsa_os_clock();
    const uint64_t a = clock.mono_ms(clock.ctx);

    (void)state;
    assert_true(clock.mono_ms(clock.ctx) >= a);
    assert_true(clock.wall_ms(clock.ctx) > 1600000000000u); /* 2020 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_records_status_place_and_text),
        cmocka_unit_test(blame_names_the_participant),
        cmocka_unit_test(wrap_keeps_cause_status_and_participant),
        cmocka_unit_test(long_texts_are_cut_and_the_cause_survives),
        cmocka_unit_test(texts_stay_one_line),
        cmocka_unit_test(every_status_has_its_own_name),
        cmocka_unit_test(a_failed_assert_reaches_the_handler),
        cmocka_unit_test(log_lines_are_formatted_cut_and_one_line),
        cmocka_unit_test(the_clock_goes_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
