#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "cli/table.h"

static void equals(const tdsa_buf *got, const char *want)
{
    assert_false(got->failed);
    assert_int_equal(got->len, strlen(want));
    assert_memory_equal(got->data, want, got->len);
}

static void columns_are_aligned_and_lines_end_without_blanks(void **state)
{
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    cli_table t;

    (void)state;
    cli_table_init(&t, 3);
    t.heading = true;
    t.right = 1u << 1;
    for (size_t i = 0; i < 9; i++) {
        cli_table_cell(&t, (const char *const[]){"KEY", "N", "LABEL", "invoices", "7", "Invoices",
                                                 "b", "1000", ""}[i]);
    }
    cli_table_put(&t, &out, false);
    equals(&out, "KEY          N  LABEL\n"
                 "invoices     7  Invoices\n"
                 "b         1000  \n");
    tdsa_buf_reset(&out);
    cli_table_put(&t, &out, true);
    assert_memory_equal(out.data, "\033[1mKEY          N  LABEL\033[0m\n", 30);
    cli_table_clear(&t);
}

static void no_text_reaches_the_terminal_as_it_is(void **state)
{
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;

    (void)state;
    assert_int_equal(cli_clean_put(&out, "a\033[2J\tb\n\x7f"), 9);
    equals(&out, "a?[2J?b??");
    tdsa_buf_reset(&out);
    assert_int_equal(cli_clean_put(&out, "\xff\xc3x\xe2\x82"), 5); /* broken UTF-8 */
    equals(&out, "??x??");
}

static void wide_characters_take_two_columns(void **state)
{
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;

    (void)state;
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL) {
        skip();
    }
    assert_int_equal(cli_clean_put(&out, "\xe6\xbc\xa2\xc3\xa9"), 3);
    equals(&out, "\xe6\xbc\xa2\xc3\xa9");
}

static void an_empty_table_is_no_line(void **state)
{
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    cli_table t;

    (void)state;
    cli_table_init(&t, 2);
    cli_table_put(&t, &out, false);
    assert_int_equal(out.len, 0);
    cli_table_clear(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_aligned_and_lines_end_without_blanks),
        cmocka_unit_test(no_text_reaches_the_terminal_as_it_is),
        cmocka_unit_test(an_empty_table_is_no_line),
        cmocka_unit_test(wide_characters_take_two_columns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
