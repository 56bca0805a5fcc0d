#include "cli/text.h"

#include <string.h>

/* The manual page in the macros of man(7). */

/* Text as roff reads it: no escapes, hyphens that can be copied, no line that is a request. */
static void roff(tdsa_buf *out, const char *text)
{
    for (size_t i = 0; text[i] != '\0'; i++) {
        if (i == 0 && (text[0] == '.' || text[0] == '\'')) {
            tdsa_buf_append_str(out, "\\&");
        }
        if (text[i] == '\\') {
            tdsa_buf_append_str(out, "\\e");
        } else if (text[i] == '-') {
            tdsa_buf_append_str(out, "\\-");
        } else {
            tdsa_buf_append_u8(out, (uint8_t)text[i]);
        }
    }
}

static void line(tdsa_buf *out, const char *macro, const char *text)
{
    tdsa_buf_append_str(out, macro);
    roff(out, text);
    tdsa_buf_append_u8(out, '\n');
}

/* "KEY [N]": words in italics, brackets not. */
static void put_arguments(tdsa_buf *out, const char *text)
{
    while (*text != '\0') {
        const size_t len = strcspn(text, " ");
        const bool optional = text[0] == '[';
        const bool more = len > 3 && strncmp(text + len - 3, "...", 3) == 0;

        tdsa_buf_append_str(out, optional ? " [\\fI" : " \\fI");
        tdsa_buf_append(out, text + (optional ? 1 : 0), optional ? len - 2 : more ? len - 3 : len);
        tdsa_buf_append_str(out, optional ? "\\fR]" : more ? "\\fR..." : "\\fR");
        text += len + strspn(text + len, " ");
    }
}

static void put_options(tdsa_buf *out, cli_opts set, cli_opts needed)
{
    for (unsigned i = 0; i < CLI_OPTS_END; i++) {
        const cli_option *o = &cli_options[i];

        if (!cli_has(set, (cli_opt)i)) {
            continue;
        }
        tdsa_buf_append_str(out, ".TP\n");
        if (o->letter != 0) {
            tdsa_buf_appendf(out, "\\fB\\-%c\\fR, ", o->letter);
        }
        tdsa_buf_append_str(out, "\\fB\\-\\-");
        roff(out, o->name);
        tdsa_buf_append_str(out, "\\fR");
        if (o->value != NULL) {
            tdsa_buf_appendf(out, " \\fI%s\\fR", o->value);
        }
        tdsa_buf_append_u8(out, '\n');
        roff(out, o->text);
        tdsa_buf_append_str(out, cli_has(needed, (cli_opt)i) ? " (needed)\n" : "\n");
        for (size_t k = 0; o->choices != NULL && o->choices[k] != NULL; k++) {
            tdsa_buf_append_str(out, k == 0 ? "(" : ", ");
            roff(out, o->choices[k]);
            tdsa_buf_append_str(out, o->choices[k + 1] == NULL ? ")\n" : "");
        }
    }
}

static void put_command(tdsa_buf *out, const cli_command *c)
{
    tdsa_buf_append_str(out, ".SS \"tdsa ");
    roff(out, c->name);
    put_arguments(out, c->arguments);
    tdsa_buf_append_str(out, c->options != 0 ? " [\\fIOPTIONS\\fR]\"\n" : "\"\n");
    tdsa_buf_append_str(out, "To ");
    roff(out, c->summary);
    tdsa_buf_append_str(out, ".\n");
    if (c->text != NULL) {
        line(out, "", c->text);
    }
    put_options(out, c->options, c->needed);
    line(out, ".PP\nExample:\n.PP\n.nf\n.RS\n", c->example);
    tdsa_buf_append_str(out, ".RE\n.fi\n");
}

static void put_notes(tdsa_buf *out, const cli_note *notes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        line(out, ".TP\n.B ", notes[i].name);
        line(out, "", notes[i].text);
    }
}

void cli_man(tdsa_buf *out, const char *version)
{
    tdsa_buf_append_str(out, ".\\\" Written by tdsa-man from the table of commands: change "
                             "service/cli/command.c and option.h instead.\n");
    tdsa_buf_appendf(out, ".TH TDSA 1 \"\" \"tdsa %s\" \"User Commands\"\n", version);
    line(out, ".SH NAME\ntdsa \\- ", CLI_TITLE);
    tdsa_buf_append_str(
        out, ".SH SYNOPSIS\n.B tdsa\n\\fICOMMAND\\fR [\\fIARGUMENTS\\fR] [\\fIOPTIONS\\fR]\n"
             ".SH DESCRIPTION\n"
             "The command line of a signing HSM whose keys are shared among several participants.\n"
             "It reaches a key in one of two ways.\n"
             "With \\fB\\-\\-url\\fR it asks the API of a server.\n"
             "With \\fB\\-\\-config\\fR it is the participant of that configuration itself, "
             "which keys of a client need; for the configuration of a server this serves what\n"
             "needs no other participant.\n"
             ".PP\n"
             "People get tables. With \\fB\\-\\-json\\fR standard output is the document that the "
             "API answers with, and a failure is its error document, on standard error; the\n"
             "members of both are described in docs/api.md and stay.\n"
             ".PP\n"
             "Options may stand anywhere, as \\fB\\-\\-name\\fR \\fIvalue\\fR or "
             "\\fB\\-\\-name=\\fR\\fIvalue\\fR; after \\fB\\-\\-\\fR there are only arguments.\n"
             "No secret is an argument: PINs, passphrases and private keys come from files or are\n"
             "asked for without echo.\n");
    tdsa_buf_append_str(out, ".SH COMMANDS\n");
    for (size_t i = 0; i < cli_command_count; i++) {
        put_command(out, &cli_commands[i]);
    }
    tdsa_buf_append_str(out, ".SH OPTIONS\nThose of every command:\n");
    put_options(out, CLI_COMMON, 0);
    tdsa_buf_append_str(out, ".SH EXIT STATUS\n");
    put_notes(out, cli_exit_notes, cli_exit_note_count);
    tdsa_buf_append_str(out, ".SH ENVIRONMENT\n");
    put_notes(out, cli_environment_notes, cli_environment_note_count);
    tdsa_buf_append_str(out, ".SH FILES\nA file of \\fB\\-\\-out\\fR appears whole or not at all: "
                             "it is written beside its place and renamed.\n"
                             ".SH SEE ALSO\n.BR openssl (1),\n.BR curl (1)\n");
}
