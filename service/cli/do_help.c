#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/text.h"

/* tdsa help, tdsa completion */

static tdsa_status put(cli *c, const tdsa_buf *text, tdsa_err *err)
{
    const tdsa_status st = tdsa_buf_check(text, err);

    if (st == TDSA_OK) {
        cli_print(c, text->data, text->len);
    }
    return st;
}

tdsa_status cli_do_help(cli *c, tdsa_err *err)
{
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    const cli_args *a = &c->args;
    const bool asked =
        a->command != NULL && (a->command->handler != cli_do_help || cli_given(c, CLI_OPT_HELP));
    const cli_command *about = asked ? a->command : NULL;
    const char *group = a->group;
    char name[128] = "";

    if (!asked && a->command != NULL && a->word_count > 0) { /* tdsa help key sign */
        (void)snprintf(name, sizeof name, "%.60s%s%.60s", a->word[0], a->word_count > 1 ? " " : "",
                       a->word_count > 1 ? a->word[1] : "");
        about = cli_command_find(name);
        group = a->word_count == 1 && cli_is_group(name) ? name : "";
    }
    if (about != NULL) {
        cli_help_command(&text, about);
    } else if (group[0] != '\0') {
        cli_help_group(&text, group);
    } else if (name[0] != '\0') {
        const char *near = cli_command_suggest(name);

        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "there is no command %.100s%s%s%s", name,
                         near != NULL ? ": did you mean tdsa help " : ": see tdsa help",
                         near != NULL ? near : "", near != NULL ? "?" : "");
    } else {
        cli_help_all(&text);
    }
    return put(c, &text, err);
}

tdsa_status cli_do_completion(cli *c, tdsa_err *err)
{
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;

    if (strcmp(c->args.word[0], "bash") != 0) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "there is a completion for bash only");
    }
    cli_completion_bash(&text);
    return put(c, &text, err);
}
