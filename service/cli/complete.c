#include "cli/text.h"

#include <string.h>

/* Completion for bash. It needs nothing but bash itself. */

static void put_names(tdsa_buf *out, cli_opts set)
{
    for (unsigned i = 0; i < CLI_OPTS_END; i++) {
        if (cli_has(set, (cli_opt)i)) {
            tdsa_buf_appendf(out, " --%s", cli_options[i].name);
        }
    }
}

/* The words that may follow `group`, or begin a command line. */
static void put_words(tdsa_buf *out, const char *group)
{
    const size_t len = strlen(group);

    for (size_t i = 0; i < cli_command_count; i++) {
        const char *name = cli_commands[i].name;
        const char *previous = i > 0 ? cli_commands[i - 1].name : "";
        const size_t first = strcspn(name, " ");

        if (len == 0 && (strncmp(name, previous, first) != 0 || previous[first] != ' ')) {
            tdsa_buf_append_u8(out, ' ');
            tdsa_buf_append(out, name, first);
        } else if (len > 0 && strncmp(name, group, len) == 0 && name[len] == ' ') {
            tdsa_buf_appendf(out, " %s", name + len + 1);
        }
    }
}

/* What stands after an option that takes a value. */
static void put_values(tdsa_buf *out)
{
    tdsa_buf_append_str(out, "    case $previous in\n");
    for (unsigned i = 0; i < CLI_OPTS_END; i++) {
        const cli_option *o = &cli_options[i];

        if (o->kind == CLI_FLAG) {
            continue;
        }
        tdsa_buf_appendf(out, "    --%s)\n", o->name);
        if (o->kind == CLI_FILE) {
            tdsa_buf_append_str(out,
                                "        mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
                                "        compopt -o filenames 2>/dev/null\n");
        } else if (o->choices != NULL) {
            tdsa_buf_append_str(out, "        mapfile -t COMPREPLY < <(compgen -W '");
            for (size_t k = 0; o->choices[k] != NULL; k++) {
                tdsa_buf_appendf(out, "%s%s", k > 0 ? " " : "", o->choices[k]);
            }
            tdsa_buf_append_str(out, "' -- \"$current\")\n");
        }
        tdsa_buf_append_str(out, "        return ;;\n");
    }
    tdsa_buf_append_str(out, "    esac\n");
}

static void put_takers(tdsa_buf *out)
{
    const char *between = "";

    for (unsigned i = 0; i < CLI_OPTS_END; i++) {
        if (cli_options[i].kind != CLI_FLAG) {
            tdsa_buf_appendf(out, "%s--%s", between, cli_options[i].name);
            between = " | ";
        }
    }
}

static bool begins_group(size_t i)
{
    const char *name = cli_commands[i].name;
    const size_t first = strcspn(name, " ");
    const char *previous = i > 0 ? cli_commands[i - 1].name : "";

    return name[first] == ' ' && (strncmp(name, previous, first) != 0 || previous[first] != ' ');
}

static void put_commands(tdsa_buf *out)
{
    tdsa_buf_append_str(out, "    case $command in\n    '') words='");
    put_words(out, "");
    tdsa_buf_append_str(out, " --help --version' ;;\n");
    for (size_t i = 0; i < cli_command_count; i++) {
        const char *name = cli_commands[i].name;

        if (begins_group(i)) {
            char group[16];
            const size_t len = strcspn(name, " ");

            memcpy(group, name, len);
            group[len] = '\0';
            tdsa_buf_appendf(out, "    %s) words='", group);
            put_words(out, group);
            tdsa_buf_append_str(out, " --help' ;;\n");
        }
        tdsa_buf_appendf(out, "    '%s') words='", name);
        put_names(out, cli_commands[i].options | CLI_COMMON);
        tdsa_buf_append_str(out, "' ;;\n");
    }
    tdsa_buf_append_str(out, "    esac\n");
}

void cli_completion_bash(tdsa_buf *out)
{
    tdsa_buf_append_str(
        out, "# bash completion for tdsa; written by: tdsa completion bash\n"
             "_tdsa() {\n"
             "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
             "    local command='' words='' word i\n"
             "    COMPREPLY=()\n");
    put_values(out);
    tdsa_buf_append_str(out, "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
                             "        word=${COMP_WORDS[i]}\n"
                             "        case $word in\n        ");
    put_takers(out);
    tdsa_buf_append_str(out, ") ((i++)) ;;\n"
                             "        -*) ;;\n"
                             "        *)\n"
                             "            case $command in\n"
                             "            '') command=$word ;;\n"
                             "            ");
    for (size_t i = 0, found = 0; i < cli_command_count; i++) {
        if (begins_group(i)) {
            tdsa_buf_appendf(out, "%s%.*s", found++ > 0 ? " | " : "",
                             (int)strcspn(cli_commands[i].name, " "), cli_commands[i].name);
        }
    }
    tdsa_buf_append_str(out, ") command=\"$command $word\" ;;\n"
                             "            esac ;;\n"
                             "        esac\n"
                             "    done\n");
    put_commands(out);
    tdsa_buf_append_str(
        out, "    case $current in\n"
             "    -*) ;;\n"
             "    *) [ -z \"$command\" ] || case $words in *' --json'*) words='' ;; esac ;;\n"
             "    esac\n"
             "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
             "}\n"
             "complete -o default -F _tdsa tdsa\n");
}
