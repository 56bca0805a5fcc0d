#include "cli/own.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/file.h"
#include "participant/engine.h"

/* Only what people should know before they trust the answer. */
static void on_line(void *ctx, tdsa_log_level level, const char *logger, const char *text)
{
    (void)logger;
    if (ctx == NULL && (level == TDSA_LOG_ERROR || level == TDSA_LOG_WARN)) {
        (void)fprintf(stderr, "tdsa: warning: %s\n", text);
    }
}

tdsa_status cli_own_file(const char **out, const cli *c, tdsa_err *err)
{
    *out = c->args.value[CLI_OPT_CONFIG];
    if (c->args.value[CLI_OPT_URL] != NULL) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "--url: this works on the participant's database itself, on its machine: "
                         "give --config");
    }
    if (*out == NULL) {
        *out = getenv("TDSA_CONFIG_FILE");
    }
    if (*out == NULL || **out == '\0') {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "--config FILE is needed, or TDSA_CONFIG_FILE");
    }
    return TDSA_OK;
}

tdsa_status cli_own_load(cli_own *o, const cli *c, const char *file, tdsa_err *err)
{
    static char silent; /* tells on_line that nobody wants to know */
    const cfg_source source = {.file = file, .use_environment = true, .log = &o->log};
    tdsa_status st;

    o->log = (tdsa_log){on_line, c->quiet ? &silent : NULL};
    st = cfg_load(&o->config, &source, NULL, err);
    return st == TDSA_OK ? cfg_participant_new(&o->participant, o->config, &o->log, err) : st;
}

ks_cfg cli_own_cfg(cli_own *o)
{
    ks_cfg c = *cfg_participant_keystore(o->participant);

    c.unlock_at_open = false;
    c.create_tables = false;
    c.rng = tdsa_os_rng();
    c.clock = tdsa_os_clock();
    c.log = &o->log;
    return c;
}

tdsa_status cli_own_open(cli_own *o, const ks_cfg *store, tdsa_err *err)
{
    const char *path = cfg_str(o->config, "tdsaLibrary.auditLog");
    tdsa_status st = TDSA_OK;

    if (strcmp(store->backend, "memory") == 0) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "the database of this configuration is in the memory of its process");
    }
    if (path != NULL && *path != '\0') {
        st = tdsa_os_audit_new(&o->audit, path, tdsa_os_clock(), err);
        if (st != TDSA_OK) {
            return tdsa_err_wrap(err, "tdsaLibrary.auditLog");
        }
    }
    return ks_open(&o->store, store, err);
}

tdsa_status cli_own_unlock(cli_own *o, const char *pin_file, tdsa_err *err)
{
    const cli_secret_source source = {"PIN of the token", "--pin-file", pin_file, false};
    size_t len = 0;
    tdsa_status st = TDSA_E_LOGIN;

    if (pin_file == NULL) {
        st = ks_unlock(o->store, NULL, 0, err);
    }
    if (st != TDSA_E_LOGIN || !ks_needs_login(o->store)) {
        return st;
    }
    st = cli_read_secret(&o->pin, &source, err);
    if (st == TDSA_OK) {
        const char *pin = cli_own_pin(o, &len);

        st = ks_unlock(o->store, pin, len, err);
    }
    return st;
}

tdsa_status cli_own_record(cli_own *o, const char *event, const char *detail, tdsa_err *err)
{
    const tdsa_audit_event e = {
        .participant = cfg_participant_engine(o->participant)->roster.me,
        .event = event,
        .detail = detail,
    };
    const tdsa_audit table = tdsa_os_audit_table(o->audit);

    return table.record == NULL ? TDSA_OK : table.record(table.ctx, &e, err);
}

const char *cli_own_pin(const cli_own *o, size_t *len)
{
    *len = o->pin != NULL ? tdsa_secret_len(o->pin) : 0;
    return o->pin != NULL ? (const char *)tdsa_secret_view(o->pin) : NULL;
}

void cli_own_close(cli_own *o)
{
    ks_close(o->store);
    tdsa_os_audit_free(o->audit);
    tdsa_secret_free(o->pin);
    cfg_participant_free(o->participant);
    cfg_free(o->config);
    *o = (cli_own){.store = NULL};
}
