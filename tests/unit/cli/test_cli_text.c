#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/exit.h"
#include "cli/text.h"

/* What is made from the table of commands, and the exit codes. */

static const char *text_of(tdsa_buf *b)
{
    tdsa_buf_append_u8(b, 0);
    assert_false(b->failed);
    return (const char *)b->data;
}

static void every_command_is_in_every_text(void **state)
{
    TDSA_SCOPED_BUF help = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF man = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF bash = TDSA_BUF_EMPTY;

    (void)state;
    cli_help_all(&help);
    cli_man(&man, "1.2.3");
    cli_completion_bash(&bash);
    (void)text_of(&help);
    (void)text_of(&man);
    (void)text_of(&bash);
    for (size_t i = 0; i < cli_command_count; i++) {
        TDSA_SCOPED_BUF one = TDSA_BUF_EMPTY;
        const cli_command *c = &cli_commands[i];
        char title[64];

        assert_non_null(strstr((const char *)help.data, c->name));
        (void)snprintf(title, sizeof title, "'%s') words=", c->name);
        assert_non_null(strstr((const char *)bash.data, title));
        cli_help_command(&one, c);
        assert_non_null(strstr(text_of(&one), c->name));
        assert_non_null(strstr((const char *)one.data, c->example));
        assert_int_equal(strncmp(c->example, "tdsa ", 5), 0);
        assert_int_equal(strncmp(c->example + 5, c->name, strlen(c->name)), 0);
    }
    assert_non_null(strstr((const char *)man.data, "tdsa 1.2.3"));
}

static void rows_are_whole(void **state)
{
    cli_opts used = 0;

    (void)state;
    for (size_t i = 0; i < cli_command_count; i++) {
        const cli_command *c = &cli_commands[i];

        assert_int_equal(c->needed & ~c->options, 0);
        assert_int_equal(c->options & CLI_COMMON, 0);
        assert_non_null(c->handler);
        assert_ptr_equal(cli_command_find(c->name), c);
        assert_true(c->summary[strlen(c->summary) - 1] != '.');
        used |= c->options;
    }
    for (unsigned i = 0; i < CLI_OPTS_END; i++) {
        const cli_option *o = &cli_options[i];

        assert_true(cli_has(used | CLI_COMMON, (cli_opt)i)); /* some command has it */
        assert_true((o->kind == CLI_FLAG) == (o->value == NULL));
        assert_true((o->kind != CLI_CHOICE && o->kind != CLI_CHOICES) || o->choices != NULL);
        assert_null(strstr(o->name, "passphrase=")); /* secrets come from files */
    }
}

static void lines_are_as_wide_as_asked(void **state)
{
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;

    (void)state;
    cli_wrap(&out, "aaa bbb ccc ddd", 2, 0, 8);
    assert_string_equal(text_of(&out), "aaa bbb\n  ccc\n  ddd\n");
}

static void a_status_has_its_exit_code(void **state)
{
    (void)state;
    assert_int_equal(cli_exit_code(TDSA_OK), 0);
    assert_int_equal(cli_exit_code(TDSA_E_BAD_INPUT), CLI_EXIT_USAGE);
    assert_int_equal(cli_exit_code(TDSA_E_CONFIG), CLI_EXIT_USAGE);
    assert_int_equal(cli_exit_code(TDSA_E_NOT_FOUND), CLI_EXIT_NOT_FOUND);
    assert_int_equal(cli_exit_code(TDSA_E_DENIED), CLI_EXIT_REFUSED);
    assert_int_equal(cli_exit_code(TDSA_E_CONFLICT), CLI_EXIT_REFUSED);
    assert_int_equal(cli_exit_code(TDSA_E_LIMIT), CLI_EXIT_REFUSED);
    assert_int_equal(cli_exit_code(TDSA_E_UNAVAILABLE), CLI_EXIT_UNAVAILABLE);
    assert_int_equal(cli_exit_code(TDSA_E_TIMEOUT), CLI_EXIT_UNAVAILABLE);
    assert_int_equal(cli_exit_code(TDSA_E_BUSY), CLI_EXIT_UNAVAILABLE);
    assert_int_equal(cli_exit_code(TDSA_E_VERIFY), CLI_EXIT_VERIFY);
    assert_int_equal(cli_exit_code(TDSA_E_STORE), CLI_EXIT_FAILED);
    assert_int_equal(cli_exit_code(TDSA_E_LOGIN), CLI_EXIT_FAILED);
}

static void an_error_document_has_its_status(void **state)
{
    static const struct {
        const char *error;
        unsigned http;
        tdsa_status status;
    } rows[] = {
        {"UNAVAILABLE", 503, TDSA_E_UNAVAILABLE},
        {"VERIFY", 502, TDSA_E_VERIFY},
        {"PROTOCOL", 502, TDSA_E_PROTOCOL},
        {"LIMIT", 409, TDSA_E_LIMIT},
        {"CLIENT_PARTICIPATES", 409, TDSA_E_CONFLICT},
        {"DELETED", 410, TDSA_E_NOT_FOUND},
        {"RATE_LIMITED", 429, TDSA_E_LIMIT},
        {"INVALID_FIELD", 422, TDSA_E_BAD_INPUT},
        {"STORE", 503, TDSA_E_UNAVAILABLE},
        {"WRAPPING", 503, TDSA_E_UNAVAILABLE},
        {"BUSY", 503, TDSA_E_BUSY},
        {"STORE", 500, TDSA_E_STORE},
        {NULL, 404, TDSA_E_NOT_FOUND},
        {NULL, 503, TDSA_E_UNAVAILABLE},
        {NULL, 504, TDSA_E_TIMEOUT},
        {NULL, 405, TDSA_E_DENIED},
        {NULL, 500, TDSA_E_INTERNAL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_t *doc = json_object();

        if (rows[i].error != NULL) {
            (void)json_object_set_new(doc, "error", json_string(rows[i].error));
        }
        assert_int_equal(cli_status_of(doc, rows[i].http), rows[i].status);
        json_decref(doc);
    }
    assert_int_equal(cli_status_of(NULL, 502), TDSA_E_PROTOCOL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_is_in_every_text),
        cmocka_unit_test(rows_are_whole),
        cmocka_unit_test(lines_are_as_wide_as_asked),
        cmocka_unit_test(a_status_has_its_exit_code),
        cmocka_unit_test(an_error_document_has_its_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
