#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/error.h"
#include "cli/cli.h"
#include "cli/exit.h"
#include "cli/table.h"
#include "cli/term.h"

/* From a command line to an exit code. */

/* The document of the API, or one of the same form. */
static void put_error_json(const cli *c, const tdsa_err *err)
{
    const svc_failure f = {svc_http_status(err), svc_error_code(err), NULL, NULL};
    json_t *doc = c->refusal != NULL ? json_incref(c->refusal) : svc_failure_json(&f, err);

    (void)json_dumpf(doc, stderr, JSON_COMPACT);
    (void)fputc('\n', stderr);
    json_decref(doc);
}

/* "tdsa: key sign: participant 2 does not answer; is it running ...": one line */
static void put_error_text(const cli *c, const tdsa_err *err)
{
    TDSA_SCOPED_BUF line = TDSA_BUF_EMPTY;
    const bool colour = cli_colours(stderr);
    const char *hint = c->hint != NULL ? c->hint : cli_hint(err->status);
    char who[32] = "";

    (void)snprintf(who, sizeof who, "participant %d", err->participant);
    tdsa_buf_append_str(&line, colour ? "\033[1;31mtdsa:\033[0m " : "tdsa: ");
    if (c->args.command != NULL) {
        tdsa_buf_appendf(&line, "%s: ", c->args.command->name);
    }
    if (err->participant != TDSA_NOBODY && strstr(err->text, who) == NULL) {
        tdsa_buf_appendf(&line, "%s: ", who);
    }
    (void)cli_clean_put(&line, err->text);
    if (hint[0] != '\0') {
        tdsa_buf_appendf(&line, "; %s", hint);
    }
    tdsa_buf_append_u8(&line, '\n');
    (void)fwrite(line.data, 1, line.len, stderr);
}

static int report(const cli *c, const tdsa_err *err)
{
    if (c->json) {
        put_error_json(c, err);
    } else {
        put_error_text(c, err);
    }
    return cli_exit_code(err->status);
}

/* A full disk or a closed pipe shows at the last moment. */
static tdsa_status close_stdout(const cli *c, tdsa_err *err)
{
    const bool flushed = fflush(stdout) == 0;
    const int why = c->out_errno != 0 || flushed ? c->out_errno : errno;

    return why == 0 ? TDSA_OK
                    : TDSA_FAIL(err, TDSA_E_STORE, "standard output cannot be written: %s",
                                strerror(why));
}

static tdsa_status run(cli *c, tdsa_err *err)
{
    if (cli_given(c, CLI_OPT_VERSION)) {
        cli_print_line(c, "tdsa " TDSA_VERSION);
        return TDSA_OK;
    }
    if (cli_given(c, CLI_OPT_HELP)) {
        return cli_do_help(c, err);
    }
    return c->args.command->handler(c, err);
}

int cli_main(int argc, char *const *argv)
{
    cli c;
    tdsa_err err;
    tdsa_status st;
    int code = CLI_EXIT_DONE;

    memset(&c, 0, sizeof c);
    st = cli_args_read(&c.args, argc, argv, &err);
    c.json = cli_given(&c, CLI_OPT_JSON);
    c.quiet = cli_given(&c, CLI_OPT_QUIET);
    if (st == TDSA_OK) {
        st = run(&c, &err);
    }
    if (st == TDSA_OK) {
        st = close_stdout(&c, &err);
        c.hint = "";
    }
    if (st != TDSA_OK) {
        code = report(&c, &err);
    }
    if (c.answerer.ctx != NULL) {
        c.answerer.close(c.answerer.ctx);
    }
    json_decref(c.refusal);
    return code;
}
