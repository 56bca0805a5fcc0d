#include "cli/text.h"

#include <stdio.h>
#include <string.h>

#define WIDTH       80u
#define NAME_COLUMN 20u /* where summaries begin */
#define OPTION_TEXT 26u /* where the texts of options begin */

static void blanks(tdsa_buf *out, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        tdsa_buf_append_u8(out, ' ');
    }
}

void cli_wrap(tdsa_buf *out, const char *text, size_t indent, size_t at, size_t width)
{
    size_t column = at;
    bool first = true;

    while (*text != '\0') {
        const size_t len = strcspn(text, " ");

        if (!first && column + 1 + len > width) {
            tdsa_buf_append_u8(out, '\n');
            blanks(out, indent);
            column = indent;
        } else if (!first) {
            tdsa_buf_append_u8(out, ' ');
            column++;
        }
        tdsa_buf_append(out, text, len);
        column += len;
        first = false;
        text += len + strspn(text + len, " ");
    }
    tdsa_buf_append_u8(out, '\n');
}

/* A name and a text beside it, or below when the name is long. */
static void entry(tdsa_buf *out, const char *name, const char *text, size_t column)
{
    const size_t len = strlen(name) + 2;

    tdsa_buf_appendf(out, "  %s", name);
    if (len + 2 > column) {
        tdsa_buf_append_u8(out, '\n');
        blanks(out, column);
    } else {
        blanks(out, column - len);
    }
    cli_wrap(out, text, column, column, WIDTH);
}

static void put_options(tdsa_buf *out, cli_opts set, cli_opts needed)
{
    for (unsigned i = 0; i < CLI_OPTS_END; i++) {
        const cli_option *o = &cli_options[i];
        char name[64];
        char text[256];

        if (!cli_has(set, (cli_opt)i)) {
            continue;
        }
        (void)snprintf(name, sizeof name, "%s%.1s%s--%s%s%s", o->letter != 0 ? "-" : "",
                       o->letter != 0 ? &o->letter : "", o->letter != 0 ? ", " : "", o->name,
                       o->value != NULL ? " " : "", o->value != NULL ? o->value : "");
        (void)snprintf(text, sizeof text, "%s%s", o->text,
                       cli_has(needed, (cli_opt)i) ? " (needed)" : "");
        entry(out, name, text, OPTION_TEXT);
        if (o->choices != NULL && o->kind != CLI_TEXT) {
            blanks(out, OPTION_TEXT);
            for (size_t k = 0; o->choices[k] != NULL; k++) {
                tdsa_buf_appendf(out, "%s%s", k > 0 ? " | " : "", o->choices[k]);
            }
            tdsa_buf_append_u8(out, '\n');
        }
    }
}

static void put_commands(tdsa_buf *out, const char *group)
{
    const size_t len = strlen(group);

    for (size_t i = 0; i < cli_command_count; i++) {
        const char *name = cli_commands[i].name;

        if (len == 0 || (strncmp(name, group, len) == 0 && name[len] == ' ')) {
            entry(out, name, cli_commands[i].summary, NAME_COLUMN);
        }
    }
}

static void put_notes(tdsa_buf *out, const cli_note *notes, size_t count, size_t column)
{
    for (size_t i = 0; i < count; i++) {
        entry(out, notes[i].name, notes[i].text, column);
    }
}

void cli_help_all(tdsa_buf *out)
{
    tdsa_buf_append_str(out, "usage: tdsa COMMAND [ARGUMENTS] [OPTIONS]\n\n" CLI_TITLE "\n\n"
                             "Commands (tdsa help COMMAND says more):\n");
    put_commands(out, "");
    tdsa_buf_append_str(out, "\nOptions of every command:\n");
    put_options(out, CLI_COMMON, 0);
    tdsa_buf_append_str(out, "\nEnvironment:\n");
    put_notes(out, cli_environment_notes, cli_environment_note_count, NAME_COLUMN);
    tdsa_buf_append_str(out, "\nExit codes:\n");
    put_notes(out, cli_exit_notes, cli_exit_note_count, 5);
}

void cli_help_group(tdsa_buf *out, const char *group)
{
    tdsa_buf_appendf(out, "usage: tdsa %s COMMAND [ARGUMENTS] [OPTIONS]\n\nCommands:\n", group);
    put_commands(out, group);
    tdsa_buf_appendf(out, "\ntdsa help %s COMMAND says more.\n", group);
}

void cli_help_command(tdsa_buf *out, const cli_command *c)
{
    tdsa_buf_appendf(out, "usage: tdsa %s%s%s%s\n\n", c->name, c->arguments[0] != '\0' ? " " : "",
                     c->arguments, " [OPTIONS]");
    cli_wrap(out, c->summary, 0, 0, WIDTH);
    if (c->text != NULL) {
        tdsa_buf_append_u8(out, '\n');
        cli_wrap(out, c->text, 0, 0, WIDTH);
    }
    if (c->options != 0) {
        tdsa_buf_append_str(out, "\nOptions:\n");
        put_options(out, c->options, c->needed);
    }
    tdsa_buf_append_str(out, "\nOptions of every command:\n");
    put_options(out, CLI_COMMON, 0);
    tdsa_buf_appendf(out, "\nExample:\n  %s\n", c->example);
}
