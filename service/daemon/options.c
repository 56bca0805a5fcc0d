#include "daemon/options.h"

#include <string.h>

static const struct {
    const char *word;
    svc_command command;
} commands[] = {{"server", SVC_RUN},
                {"check", SVC_CHECK},
                {"create-tables", SVC_TABLES_RUN},
                {"create-tables-no-startup", SVC_TABLES_ONLY}};

const char *svc_options_help(void)
{
    return "usage: tdsa-service [-Dname=value]... [server] [file]\n"
           "       tdsa-service [-Dname=value]... check <file>\n"
           "       tdsa-service [-Dname=value]... create-tables [file]\n"
           "       tdsa-service create-tables-no-startup\n"
           "       tdsa-service --help | --version\n"
           "\n"
           "  server                    run (the default)\n"
           "  check                     check the configuration and say what is wrong with it\n"
           "  create-tables             make the tables of the database that DB_DRIVER_CLASS,\n"
           "                            DB_URL, DB_USERNAME, DB_PASSWORD name, then run\n"
           "  create-tables-no-startup  make the tables and end\n"
           "\n"
           "The configuration is TDSA_CONFIG (the whole file in base64) when it is set and not\n"
           "empty, else the file named, else /config/config.yml or /config/config.yaml.\n"
           "-Ddw.server.applicationConnectors[0].port=9080 overrides one value of it.\n"
           "\n"
           "Exit codes: 0 done, 1 failed, 2 wrong command line or configuration.\n";
}

static tdsa_status add_define(svc_options *out, size_t *count, const char *text, tdsa_err *err)
{
    if (strchr(text, '=') == NULL || text[0] == '=') {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "-D needs name=value");
    }
    if (*count == SVC_DEFINES_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "more than %u -D options", SVC_DEFINES_MAX);
    }
    out->defines[(*count)++] = text;
    return TDSA_OK;
}

static bool is_command(const char *word, svc_command *out)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(commands[i].word, word) == 0) {
            *out = commands[i].command;
            return true;
        }
    }
    return false;
}

static tdsa_status add_word(svc_options *out, bool *commanded, const char *word, tdsa_err *err)
{
    if (!*commanded && out->file == NULL && is_command(word, &out->command)) {
        *commanded = true;
        return TDSA_OK;
    }
    if (word[0] == '-') {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "unknown option %.64s", word);
    }
    if (out->file != NULL || out->command == SVC_TABLES_ONLY) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "unexpected argument %.64s", word);
    }
    out->file = word;
    return TDSA_OK;
}

tdsa_status svc_options_read(svc_options *out, int argc, char *const *argv, tdsa_err *err)
{
    size_t defines = 0;
    bool commanded = false;
    tdsa_status st = TDSA_OK;

    memset(out, 0, sizeof *out);
    for (int i = 1; st == TDSA_OK && i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            out->command = SVC_HELP;
            return TDSA_OK;
        }
        if (strcmp(argv[i], "--version") == 0) {
            out->command = SVC_VERSION;
            return TDSA_OK;
        }
        if (strncmp(argv[i], "-D", 2) == 0) {
            st = add_define(out, &defines, argv[i] + 2, err);
        } else {
            st = add_word(out, &commanded, argv[i], err);
        }
    }
    if (st == TDSA_OK && out->command == SVC_CHECK && out->file == NULL) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "check needs the file to check");
    }
    return st;
}
