#include "cli/answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "base/audit.h"
#include "cli/file.h"
#include "config/participant_cfg.h"

/* The participant of a configuration, in this process: requests go to the handlers of the API as
 * they would come in over its port, and no port is opened. */

#define SETTLE_MS 2000u /* longest wait for keys whose generation was cut off */

typedef struct {
    tdsa_log log;
    cfg *config;
    cfg_participant *participant;
    ks *store;
    tdsa_os_audit *audit; /* NULL: none is configured */
    part_engine *engine;
    svc_api *api;
} engine_answerer;

/* Only what people should know before they trust the answer. */
static void on_line(void *ctx, tdsa_log_level level, const char *logger, const char *text)
{
    (void)logger;
    if (ctx == NULL && (level == TDSA_LOG_ERROR || level == TDSA_LOG_WARN)) {
        (void)fprintf(stderr, "tdsa: warning: %s\n", text);
    }
}

static tdsa_status ask_engine(void *ctx, const cli_request *in, unsigned *http, tdsa_buf *body,
                              tdsa_err *err)
{
    engine_answerer *a = (engine_answerer *)ctx;
    char *text = in->body != NULL ? json_dumps(in->body, JSON_COMPACT) : NULL;
    http_local_request request = {
        .ctx = a->api,
        .method = in->method,
        .target = in->target,
        .content_type = text != NULL ? "application/json" : NULL,
        .body = text,
        .body_len = text != NULL ? strlen(text) : 0,
    };
    http_local_answer answer;
    tdsa_status st = TDSA_OK;

    if (in->body != NULL && text == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for a request");
    }
    request.routes = svc_api_routes(a->api, &request.route_count);
    st = http_local(&answer, &request, err);
    if (st == TDSA_OK) {
        *http = answer.status;
        tdsa_buf_append(body, answer.body.data, answer.body.len);
    }
    tdsa_buf_clear(&answer.body);
    if (text != NULL) { /* it may hold a passphrase */
        tdsa_wipe(text, strlen(text));
        free(text);
    }
    return st;
}

static void close_engine(void *ctx)
{
    engine_answerer *a = (engine_answerer *)ctx;

    if (a == NULL) {
        return;
    }
    svc_api_free(a->api);
    part_engine_free(a->engine);
    ks_close(a->store);
    tdsa_os_audit_free(a->audit);
    cfg_participant_free(a->participant);
    cfg_free(a->config);
    free(a);
}

static tdsa_status load(engine_answerer *a, const cli_engine_cfg *in, tdsa_err *err)
{
    const cfg_source source = {.file = in->file, .use_environment = true, .log = &a->log};
    const part_engine_cfg *e = NULL;
    tdsa_status st = cfg_load(&a->config, &source, NULL, err);

    if (st == TDSA_OK) {
        st = cfg_participant_new(&a->participant, a->config, &a->log, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    e = cfg_participant_engine(a->participant);
    if ((in->needs & CLI_PEERS) != 0 && (int)e->roster.me != e->roster.client_index) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "the participant of this configuration is a server: where others take "
                         "part, its daemon acts for it; ask that with --url");
    }
    return TDSA_OK;
}

/* Unlocks with the PIN of the file, else of the configuration, else of the person. */
static tdsa_status unlock(engine_answerer *a, const cli_engine_cfg *in, tdsa_err *err)
{
    const cli_secret_source source = {"PIN of the token", "--pin-file", in->pin_file, false};
    TDSA_SCOPED_SECRET pin = NULL;
    tdsa_status st = TDSA_E_LOGIN;

    if (!ks_needs_login(a->store)) {
        return TDSA_OK;
    }
    if (in->pin_file == NULL) {
        st = ks_unlock(a->store, NULL, 0, err);
    }
    if (st != TDSA_E_LOGIN) {
        return st;
    }
    st = cli_read_secret(&pin, &source, err);
    if (st == TDSA_OK) {
        st = ks_unlock(a->store, (const char *)tdsa_secret_view(pin), tdsa_secret_len(pin), err);
    }
    return st;
}

static tdsa_status open_store(engine_answerer *a, const cli_engine_cfg *in, tdsa_err *err)
{
    ks_cfg c = *cfg_participant_keystore(a->participant);
    tdsa_status st;

    c.unlock_at_open = false;
    c.rng = tdsa_os_rng();
    c.clock = tdsa_os_clock();
    c.log = &a->log;
    st = ks_open(&a->store, &c, err);
    return st == TDSA_OK && (in->needs & CLI_UNSEALS) != 0 ? unlock(a, in, err) : st;
}

/* Acts are recorded here as the daemon and the module record theirs. */
static tdsa_status open_audit(engine_answerer *a, tdsa_err *err)
{
    const char *path = cfg_str(a->config, "tdsaLibrary.auditLog");
    tdsa_status st = TDSA_OK;

    if (path != NULL) {
        st = tdsa_os_audit_new(&a->audit, path, tdsa_os_clock(), err);
    }
    return st == TDSA_OK ? st : tdsa_err_wrap(err, "tdsaLibrary.auditLog");
}

static tdsa_status open_engine(engine_answerer *a, const cli_engine_cfg *in, tdsa_err *err)
{
    part_engine_cfg *c = malloc(sizeof *c);
    tdsa_status st;

    if (c == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the engine");
    }
    *c = *cfg_participant_engine(a->participant);
    c->store = a->store;
    c->rng = tdsa_os_rng();
    c->clock = tdsa_os_clock();
    c->log = &a->log;
    c->audit = tdsa_os_audit_table(a->audit);
    if (in->timeout_s > 0) {
        c->deadline_ms = (uint32_t)in->timeout_s * 1000u;
    }
    st = part_engine_new(&a->engine, c, err);
    tdsa_wipe(c, sizeof *c); /* it held the private keys */
    free(c);
    if (st == TDSA_OK && (in->needs & CLI_PEERS) != 0) {
        part_engine_settle(a->engine, SETTLE_MS);
    }
    return st;
}

static tdsa_status open_api(engine_answerer *a, tdsa_err *err)
{
    const part_engine_cfg *e = cfg_participant_engine(a->participant);
    const svc_api_cfg c = {
        .engine = a->engine,
        .service = "tdsa",
        .version = TDSA_VERSION,
        .n = e->roster.n,
        .t = e->t,
        .me = e->roster.me,
        .client_index = e->roster.client_index,
        .may_generate = e->may_generate,
        .default_presignature_limit = e->default_presignature_limit,
        .min_path = e->min_path,
        .min_path_xpub = e->min_path_xpub,
        .presign_request_max = e->presign_request_max,
        .base_path = "",
    };

    return svc_api_new(&a->api, &c, err);
}

tdsa_status cli_answer_engine(cli_answerer *out, const cli_engine_cfg *in, tdsa_err *err)
{
    engine_answerer *a = calloc(1, sizeof *a);
    static char silent; /* tells on_line that nobody wants to know */
    tdsa_status st;

    *out = (cli_answerer){ask_engine, close_engine, NULL};
    if (a == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the engine");
    }
    a->log = (tdsa_log){on_line, in->quiet ? &silent : NULL};
    st = load(a, in, err);
    if (st == TDSA_OK) {
        st = open_store(a, in, err);
    }
    if (st == TDSA_OK) {
        st = open_audit(a, err);
    }
    if (st == TDSA_OK) {
        st = open_engine(a, in, err);
    }
    if (st == TDSA_OK) {
        st = open_api(a, err);
    }
    if (st != TDSA_OK) {
        close_engine(a);
        return st;
    }
    out->ctx = a;
    return TDSA_OK;
}
