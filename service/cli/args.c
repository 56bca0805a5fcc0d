#include "cli/args.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/suggest.h"

#define NEAR_MAX   3u  /* letters that may differ */
#define KEY_ID_MAX 64u /* as the API has it */

/* What is read, before it is known which command it is. */
typedef struct {
    const char *words[CLI_WORDS_MAX];
    size_t count;
    bool only_words; /* after "--" */
} words;

static size_t near_limit(const char *text)
{
    const size_t len = strlen(text);

    return len <= 3 ? 1 : NEAR_MAX;
}

/* ---- options ---- */

static tdsa_status unknown_option(const char *name, size_t len, tdsa_err *err)
{
    char text[64];
    const char *best = NULL;
    size_t least = 0;

    (void)snprintf(text, sizeof text, "%.*s", (int)len, name);
    for (size_t i = 0; i < CLI_OPTS_END; i++) {
        const bool begins = len >= 2 && strncmp(cli_options[i].name, text, len) == 0;
        const size_t d = begins ? 0 : cfg_suggest_distance(text, cli_options[i].name);

        if (best == NULL || d < least ||
            (d == least && strlen(cli_options[i].name) < strlen(best))) {
            best = cli_options[i].name;
            least = d;
        }
    }
    if (best != NULL && least <= near_limit(text)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "unknown option --%s: did you mean --%s?", text,
                         best);
    }
    return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "unknown option --%s: see tdsa help", text);
}

static bool find_option(cli_opt *out, const char *name, size_t len)
{
    for (unsigned i = 0; i < CLI_OPTS_END; i++) {
        if (strncmp(cli_options[i].name, name, len) == 0 && cli_options[i].name[len] == '\0') {
            *out = (cli_opt)i;
            return true;
        }
    }
    return false;
}

static bool find_letter(cli_opt *out, char letter)
{
    for (unsigned i = 0; i < CLI_OPTS_END; i++) {
        if (cli_options[i].letter == letter) {
            *out = (cli_opt)i;
            return true;
        }
    }
    return false;
}

static bool read_number(int64_t *out, const char *text, const char *ends)
{
    char *end = NULL;
    const bool starts =
        (text[0] >= '0' && text[0] <= '9') || (text[0] == '-' && text[1] >= '0' && text[1] <= '9');

    errno = 0;
    *out = strtoll(text, &end, 10);
    return starts && errno == 0 && strchr(ends, *end) != NULL;
}

static bool is_choice(const cli_option *o, const char *text, size_t len)
{
    for (size_t i = 0; o->choices[i] != NULL; i++) {
        if (strlen(o->choices[i]) == len && strncmp(o->choices[i], text, len) == 0) {
            return true;
        }
    }
    return false;
}

/* "a, b or c" */
static void list_choices(char *out, size_t cap, const cli_option *o)
{
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; o->choices[i] != NULL && used < cap; i++) {
        const char *between = i == 0 ? "" : o->choices[i + 1] == NULL ? " or " : ", ";

        used += (size_t)snprintf(out + used, cap - used, "%s%s", between, o->choices[i]);
    }
}

static tdsa_status check_choices(const cli_option *o, const char *value, tdsa_err *err)
{
    char all[128];
    const char *at = value;

    for (;;) {
        const size_t len = o->kind == CLI_CHOICES ? strcspn(at, ",") : strlen(at);

        if (!is_choice(o, at, len)) {
            list_choices(all, sizeof all, o);
            return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "--%s: %.40s is none of %s", o->name, value,
                             all);
        }
        if (at[len] == '\0') {
            return TDSA_OK;
        }
        at += len + 1;
    }
}

static tdsa_status check_value(cli_args *out, cli_opt number, tdsa_err *err)
{
    const cli_option *o = &cli_options[number];
    const char *value = out->value[number];
    int64_t one = 0;

    switch (o->kind) {
    case CLI_FLAG:
    case CLI_TEXT:
        return TDSA_OK;
    case CLI_FILE:
        return value[0] != '\0' ? TDSA_OK
                                : TDSA_FAIL(err, TDSA_E_BAD_INPUT, "--%s: no file", o->name);
    case CLI_INTEGER:
        if (!read_number(&out->number[number], value, "")) {
            return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "--%s: %.40s is no number", o->name, value);
        }
        return TDSA_OK;
    case CLI_INTEGERS:
        for (const char *at = value;; at += strcspn(at, ",") + 1) {
            if (!read_number(&one, at, ",")) {
                return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                                 "--%s: %.40s is no list of numbers such as 0,1,2", o->name, value);
            }
            if (at[strcspn(at, ",")] == '\0') {
                return TDSA_OK;
            }
        }
    case CLI_CHOICE:
    case CLI_CHOICES:
        return check_choices(o, value, err);
    }
    return TDSA_OK;
}

/* argv[*at] begins with '-'. */
static tdsa_status read_option(cli_args *out, int argc, char *const *argv, int *at, tdsa_err *err)
{
    const char *text = argv[*at];
    const bool is_long = text[1] == '-';
    const char *name = is_long ? text + 2 : text + 1;
    const char *equals = is_long ? strchr(name, '=') : NULL;
    const size_t len = equals != NULL ? (size_t)(equals - name) : strlen(name);
    cli_opt number = CLI_OPTS_END;

    if (is_long ? !find_option(&number, name, len) : len != 1 || !find_letter(&number, name[0])) {
        return is_long
                   ? unknown_option(name, len, err)
                   : TDSA_FAIL(err, TDSA_E_BAD_INPUT, "unknown option %.40s: see tdsa help", text);
    }
    if (cli_has(out->given, number)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "--%s is given twice", cli_options[number].name);
    }
    if (cli_options[number].kind == CLI_FLAG && equals != NULL) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "--%s takes no value", cli_options[number].name);
    }
    if (cli_options[number].kind != CLI_FLAG && equals == NULL) {
        if (*at + 1 >= argc) {
            return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "--%s needs a value: %s",
                             cli_options[number].name, cli_options[number].value);
        }
        (*at)++;
        out->value[number] = argv[*at];
    } else if (equals != NULL) {
        out->value[number] = equals + 1;
    }
    out->given |= UINT64_C(1) << (unsigned)number;
    return check_value(out, number, err);
}

/* ---- the command ---- */

static tdsa_status unknown_command(const words *w, tdsa_err *err)
{
    char name[128];
    const char *near = NULL;

    (void)snprintf(name, sizeof name, "%.60s%s%.60s", w->words[0], w->count > 1 ? " " : "",
                   w->count > 1 ? w->words[1] : "");
    near = cli_command_suggest(name);
    if (w->count == 1 && cli_is_group(w->words[0])) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "tdsa %s needs a command: see tdsa help %s",
                         w->words[0], w->words[0]);
    }
    if (near != NULL) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "unknown command %.100s: did you mean tdsa %s?",
                         name, near);
    }
    return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "unknown command %.100s: see tdsa help", name);
}

/* The command is the first two words, or the first. */
static size_t take_command(cli_args *out, const words *w)
{
    char name[128];

    if (w->count >= 2) {
        (void)snprintf(name, sizeof name, "%.60s %.60s", w->words[0], w->words[1]);
        out->command = cli_command_find(name);
        if (out->command != NULL) {
            return 2;
        }
    }
    out->command = w->count >= 1 ? cli_command_find(w->words[0]) : NULL;
    return out->command != NULL ? 1 : 0;
}

static void count_arguments(const char *text, size_t *least, size_t *most)
{
    *least = 0;
    *most = 0;
    while (*text != '\0') {
        const size_t len = strcspn(text, " ");

        *least += text[0] != '[' ? 1 : 0;
        *most += 1;
        if (len > 3 && strncmp(text + len - 3, "...", 3) == 0) {
            *most = CLI_WORDS_MAX;
        }
        text += len + strspn(text + len, " ");
    }
}

static bool is_key_id(const char *text)
{
    const size_t len = strlen(text);

    return len >= 1 && len <= KEY_ID_MAX &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == len;
}

static tdsa_status check_key(const cli_args *a, tdsa_err *err)
{
    const bool wanted = strncmp(a->command->arguments, "KEY", 3) == 0 ||
                        strncmp(a->command->arguments, "[KEY]", 5) == 0;

    if (wanted && a->word_count > 0 && !is_key_id(a->word[0])) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "%.64s is no name of a key: 1 to %u characters of A-Z a-z 0-9 _ . -",
                         a->word[0], KEY_ID_MAX);
    }
    return TDSA_OK;
}

static tdsa_status check_command(const cli_args *a, tdsa_err *err)
{
    const cli_command *c = a->command;
    size_t least, most;

    for (unsigned i = 0; i < CLI_OPTS_END; i++) {
        if (cli_has(a->given & ~(c->options | CLI_COMMON), (cli_opt)i)) {
            return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "tdsa %s has no option --%s: see tdsa help %s",
                             c->name, cli_options[i].name, c->name);
        }
    }
    count_arguments(c->arguments, &least, &most);
    if (a->word_count < least) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "an argument is missing: tdsa %s %s", c->name,
                         c->arguments);
    }
    if (a->word_count > most) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "unexpected argument %.60s: tdsa %s %s",
                         a->word[most], c->name, c->arguments);
    }
    for (unsigned i = 0; i < CLI_OPTS_END; i++) {
        if (cli_has(c->needed & ~a->given, (cli_opt)i)) {
            return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "tdsa %s needs --%s %s: see tdsa help %s",
                             c->name, cli_options[i].name, cli_options[i].value, c->name);
        }
    }
    return check_key(a, err);
}

static tdsa_status settle(cli_args *out, const words *w, tdsa_err *err)
{
    const bool asks_about = (out->given & (CLI_SET(HELP) | CLI_SET(VERSION))) != 0;
    const size_t taken = take_command(out, w);

    for (size_t i = taken; i < w->count; i++) {
        out->word[out->word_count++] = w->words[i];
    }
    if (out->command == NULL && asks_about && (w->count == 0 || cli_is_group(w->words[0]))) {
        (void)snprintf(out->group, sizeof out->group, "%s", w->count > 0 ? w->words[0] : "");
        return TDSA_OK;
    }
    if (w->count == 0) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "no command: see tdsa help");
    }
    if (out->command == NULL) {
        return unknown_command(w, err);
    }
    return asks_about ? TDSA_OK : check_command(out, err);
}

/* "-" is a file, "-1" a number. */
static bool is_option(const char *text)
{
    return text[0] == '-' && text[1] != '\0' && (text[1] < '0' || text[1] > '9');
}

/* Of a line that is wrong elsewhere, too. */
static cli_opts find_json(int argc, char *const *argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            return CLI_SET(JSON);
        }
    }
    return 0;
}

static tdsa_status read_words(cli_args *out, int argc, char *const *argv, words *w, tdsa_err *err)
{
    for (int i = 1; i < argc; i++) {
        if (!w->only_words && strcmp(argv[i], "--") == 0) {
            w->only_words = true;
        } else if (!w->only_words && is_option(argv[i])) {
            const tdsa_status st = read_option(out, argc, argv, &i, err);

            if (st != TDSA_OK) {
                return st;
            }
        } else if (w->count == CLI_WORDS_MAX) {
            return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "too many arguments");
        } else {
            w->words[w->count++] = argv[i];
        }
    }
    return TDSA_OK;
}

tdsa_status cli_args_read(cli_args *out, int argc, char *const *argv, tdsa_err *err)
{
    words w = {{NULL}, 0, false};
    tdsa_status st;

    memset(out, 0, sizeof *out);
    st = read_words(out, argc, argv, &w, err);
    if (st == TDSA_OK) {
        st = settle(out, &w, err);
    }
    if (st != TDSA_OK) {
        out->given |= find_json(argc, argv);
    }
    return st;
}
