#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "cli/args.h"

/* The command line. */

#define LINE(...) ((char *[]){(char[]){"tdsa"}, __VA_ARGS__, NULL})
#define W(text)   ((char[]){text})

static tdsa_status read_line(cli_args *a, char **argv, tdsa_err *err)
{
    int argc = 0;

    while (argv[argc] != NULL) {
        argc++;
    }
    memset(err, 0, sizeof *err);
    return cli_args_read(a, argc, argv, err);
}

static void accepts(cli_args *a, char **argv)
{
    tdsa_err err;

    assert_int_equal(read_line(a, argv, &err), TDSA_OK);
}

static void refuses(char **argv, const char *part)
{
    cli_args a;
    tdsa_err err;

    assert_int_equal(read_line(&a, argv, &err), TDSA_E_BAD_INPUT);
    assert_non_null(strstr(err.text, part));
}

static void options_stand_anywhere(void **state)
{
    cli_args a;

    (void)state;
    accepts(&a,
            LINE(W("--url=http://x"), W("key"), W("--json"), W("sign"), W("k"), W("--in"), W("f")));
    assert_string_equal(a.command->name, "key sign");
    assert_string_equal(a.value[CLI_OPT_URL], "http://x");
    assert_string_equal(a.value[CLI_OPT_IN], "f");
    assert_true(cli_has(a.given, CLI_OPT_JSON));
    assert_int_equal(a.word_count, 1);
    assert_string_equal(a.word[0], "k");
}

static void numbers_and_a_lone_hyphen_are_arguments(void **state)
{
    cli_args a;

    (void)state;
    accepts(&a, LINE(W("key"), W("limit"), W("k"), W("-1")));
    assert_string_equal(a.word[1], "-1");
    accepts(&a, LINE(W("key"), W("sign"), W("k"), W("--in"), W("-")));
    assert_string_equal(a.value[CLI_OPT_IN], "-");
}

static void two_hyphens_end_the_options(void **state)
{
    cli_args a;

    (void)state;
    accepts(&a, LINE(W("help"), W("--"), W("--json")));
    assert_string_equal(a.word[0], "--json");
    assert_false(cli_has(a.given, CLI_OPT_JSON));
}

static void values_are_checked(void **state)
{
    cli_args a;

    (void)state;
    accepts(&a, LINE(W("key"), W("presign"), W("k"), W("--count"), W("12")));
    assert_int_equal(a.number[CLI_OPT_COUNT], 12);
    refuses(LINE(W("key"), W("presign"), W("k"), W("--count"), W("12x")), "is no number");
    refuses(LINE(W("key"), W("presign"), W("k"), W("--count"), W("99999999999999999999")),
            "is no number");
    refuses(LINE(W("key"), W("presign"), W("k"), W("--count=")), "is no number");
    accepts(&a, LINE(W("key"), W("reshare"), W("k"), W("--members"), W("0,1,3")));
    refuses(LINE(W("key"), W("reshare"), W("k"), W("--members"), W("0,,3")), "no list of numbers");
    refuses(LINE(W("key"), W("reshare"), W("k"), W("--members"), W("0,1,")), "no list of numbers");
    accepts(&a, LINE(W("key"), W("create"), W("--curve"), W("P-256"), W("--digests"),
                     W("SHA-256,SHA-384")));
    refuses(LINE(W("key"), W("create"), W("--curve"), W("P-256"), W("--digests"), W("SHA-256,")),
            "SHA-384 or SHA-512");
    refuses(LINE(W("key"), W("create"), W("--curve"), W("p256")), "is none of P-256, secp256k1");
    refuses(LINE(W("key"), W("sign"), W("k"), W("--in"), W("")), "no file");
}

static void what_is_near_is_suggested(void **state)
{
    (void)state;
    refuses(LINE(W("key"), W("sgin"), W("k")), "did you mean tdsa key sign?");
    refuses(LINE(W("sign"), W("k")), "did you mean tdsa key sign?");
    refuses(LINE(W("inof")), "did you mean tdsa info?");
    refuses(LINE(W("key"), W("sign"), W("k"), W("--digset"), W("00")), "did you mean --digest?");
    refuses(LINE(W("key"), W("sign"), W("k"), W("--dig"), W("00")), "did you mean --digest?");
    refuses(LINE(W("key"), W("sign"), W("k"), W("--xyzzyxyzzy")), "see tdsa help");
    refuses(LINE(W("frobnicate")), "see tdsa help");
    refuses(LINE(W("key")), "see tdsa help key");
    refuses(LINE(W("-x"), W("info")), "unknown option -x");
}

static void wrong_lines_are_refused(void **state)
{
    char word[] = "help";
    char *many[CLI_WORDS_MAX + 3] = {NULL};

    (void)state;
    refuses((char *[]){W("tdsa"), NULL}, "no command");
    refuses(LINE(W("info"), W("--json"), W("--json")), "given twice");
    refuses(LINE(W("info"), W("--json=yes")), "takes no value");
    refuses(LINE(W("info"), W("--url")), "needs a value: URL");
    refuses(LINE(W("info"), W("--count"), W("1")), "has no option --count");
    refuses(LINE(W("info"), W("more")), "unexpected argument more");
    refuses(LINE(W("key"), W("show")), "an argument is missing");
    refuses(LINE(W("key"), W("create"), W("k")), "needs --curve CURVE");
    refuses(LINE(W("key"), W("show"), W("a/b")), "no name of a key");
    refuses(LINE(W("key"), W("show"), W("")), "no name of a key");
    for (size_t i = 0; i < sizeof many / sizeof many[0] - 1; i++) {
        many[i] = word;
    }
    refuses(many, "too many arguments");
}

static void help_and_version_ask_for_nothing_else(void **state)
{
    cli_args a;

    (void)state;
    accepts(&a, LINE(W("--help")));
    assert_null(a.command);
    accepts(&a, LINE(W("-h")));
    accepts(&a, LINE(W("--version")));
    accepts(&a, LINE(W("key"), W("--help")));
    assert_string_equal(a.group, "key");
    accepts(&a, LINE(W("key"), W("sign"), W("--help")));
    assert_string_equal(a.command->name, "key sign");
}

static void a_wrong_line_still_says_whether_json_is_wanted(void **state)
{
    cli_args a;
    tdsa_err err;

    (void)state;
    assert_int_equal(read_line(&a, LINE(W("key"), W("--nope"), W("--json")), &err),
                     TDSA_E_BAD_INPUT);
    assert_true(cli_has(a.given, CLI_OPT_JSON));
    assert_int_equal(read_line(&a, LINE(W("nope"), W("--"), W("--json")), &err), TDSA_E_BAD_INPUT);
    assert_false(cli_has(a.given, CLI_OPT_JSON));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_stand_anywhere),
        cmocka_unit_test(numbers_and_a_lone_hyphen_are_arguments),
        cmocka_unit_test(two_hyphens_end_the_options),
        cmocka_unit_test(values_are_checked),
        cmocka_unit_test(what_is_near_is_suggested),
        cmocka_unit_test(wrong_lines_are_refused),
        cmocka_unit_test(help_and_version_ask_for_nothing_else),
        cmocka_unit_test(a_wrong_line_still_says_whether_json_is_wanted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
