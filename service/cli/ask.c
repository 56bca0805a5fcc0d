#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/answer.h"
#include "cli/exit.h"

/* Requests and what comes back. */

#define URL_DEFAULT       "http://127.0.0.1:8080"
#define TIMEOUT_DEFAULT_S 75 /* a server gives an operation up after sessionTimeout, 60 s */
#define TIMEOUT_MAX_S     86400
#define UNRESERVED        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

/* ---- who answers ---- */

static const char *from_environment(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && value[0] != '\0' ? value : NULL;
}

static tdsa_status open_answerer(cli *c, tdsa_err *err)
{
    const cli_args *a = &c->args;
    const int64_t seconds = a->number[CLI_OPT_TIMEOUT];
    const char *file = a->value[CLI_OPT_CONFIG];
    const char *url = a->value[CLI_OPT_URL];

    if (file != NULL && url != NULL) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "--url and --config: give one of them");
    }
    if (cli_given(c, CLI_OPT_TIMEOUT) && (seconds < 1 || seconds > TIMEOUT_MAX_S)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "--timeout is 1 to %d seconds", TIMEOUT_MAX_S);
    }
    if (file == NULL && url == NULL) {
        file = from_environment("TDSA_CONFIG_FILE");
        url = from_environment("TDSA_API_URL");
    }
    if (file != NULL) {
        const unsigned alone = cli_given(c, CLI_OPT_LOCAL) ? CLI_PEERS : 0;
        const cli_engine_cfg cfg = {file, a->value[CLI_OPT_PIN_FILE], a->command->needs & ~alone,
                                    seconds, c->quiet};

        return cli_answer_engine(&c->answerer, &cfg, err);
    }
    const cli_http_cfg cfg = {url != NULL ? url : URL_DEFAULT, a->value[CLI_OPT_CA_FILE],
                              seconds > 0 ? seconds : TIMEOUT_DEFAULT_S,
                              (a->command->needs & CLI_SECRETS) != 0};

    return cli_answer_http(&c->answerer, &cfg, err);
}

/* ---- answers ---- */

/* An error document becomes an error of ours; texts are cut where ours end. */
static tdsa_status refusal(cli *c, json_t *doc, unsigned http, tdsa_err *err)
{
    const char *message = cli_text(doc, "message");
    const json_t *who = json_object_get(doc, "participantIndex");
    const tdsa_status status = cli_status_of(doc, http);

    json_decref(c->refusal);
    c->refusal = doc;
    (void)TDSA_FAIL(err, status, "%s", message[0] != '\0' ? message : "it was refused");
    if (json_is_integer(who)) {
        err->participant = (int)json_integer_value(who);
    }
    return status;
}

static tdsa_status read_answer(cli *c, unsigned http, const tdsa_buf *body, json_t **out,
                               tdsa_err *err)
{
    json_t *doc = body->len > 0 ? json_loadb((const char *)body->data, body->len,
                                             JSON_REJECT_DUPLICATES, NULL)
                                : json_object();

    if (!json_is_object(doc)) {
        const tdsa_status st = http >= 400 ? cli_status_of(NULL, http) : TDSA_E_PROTOCOL;

        json_decref(doc);
        return TDSA_FAIL(err, st,
                         "the answer (HTTP %u) is no JSON: is this the API of tdsa-service?", http);
    }
    if (http < 200 || http > 299) {
        return refusal(c, doc, http, err);
    }
    *out = doc;
    return TDSA_OK;
}

tdsa_status cli_ask(cli *c, const cli_request *in, json_t **out, tdsa_err *err)
{
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    unsigned http = 0;
    tdsa_status st = TDSA_OK;

    *out = NULL;
    if (in->target[0] == '\0') {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for a request");
    }
    if (c->answerer.ctx == NULL) {
        st = open_answerer(c, err);
    }
    if (st == TDSA_OK) {
        st = c->answerer.ask(c->answerer.ctx, in, &http, &body, err);
    }
    if (st == TDSA_OK) {
        st = tdsa_buf_check(&body, err);
    }
    return st == TDSA_OK ? read_answer(c, http, &body, out, err) : st;
}

/* ---- requests ---- */

static void put_escaped(tdsa_buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (strchr(UNRESERVED, *text) != NULL) {
            tdsa_buf_append_u8(out, (uint8_t)*text);
        } else {
            tdsa_buf_appendf(out, "%%%02X", (unsigned)(unsigned char)*text);
        }
    }
}

void cli_target_key(tdsa_buf *out, const char *key_id, const char *rest)
{
    tdsa_buf_append_str(out, "/v1/keys/");
    put_escaped(out, key_id);
    tdsa_buf_append_str(out, rest);
}

void cli_target_query(tdsa_buf *out, const char *name, const char *value)
{
    const bool first = out->len == 0 || memchr(out->data, '?', out->len) == NULL;

    if (value != NULL) {
        tdsa_buf_appendf(out, "%c%s=", first ? '?' : '&', name);
        put_escaped(out, value);
    }
}

const char *cli_target_text(tdsa_buf *target)
{
    if (target->failed || target->len == 0 || target->data[target->len - 1] != 0) {
        tdsa_buf_append_u8(target, 0);
    }
    return target->failed ? "" : (const char *)target->data;
}

tdsa_status cli_post_key(cli *c, const char *rest, const json_t *body, json_t **out, tdsa_err *err)
{
    TDSA_SCOPED_BUF target = TDSA_BUF_EMPTY;
    cli_request in = {"POST", NULL, body};

    cli_target_key(&target, c->args.word[0], rest);
    in.target = cli_target_text(&target);
    return cli_ask(c, &in, out, err);
}

static json_t *numbers_json(const char *text)
{
    json_t *list = json_array();

    for (const char *at = text;; at += strcspn(at, ",") + 1) {
        (void)json_array_append_new(list, json_integer((json_int_t)strtoll(at, NULL, 10)));
        if (at[strcspn(at, ",")] == '\0') {
            return list;
        }
    }
}

static json_t *words_json(const char *text)
{
    json_t *list = json_array();

    for (const char *at = text;; at += strcspn(at, ",") + 1) {
        (void)json_array_append_new(list, json_stringn(at, strcspn(at, ",")));
        if (at[strcspn(at, ",")] == '\0') {
            return list;
        }
    }
}

static json_t *value_json(const cli *c, cli_opt o)
{
    const char *text = c->args.value[o];

    switch (cli_options[o].kind) {
    case CLI_FLAG:
        return json_boolean(cli_options[o].field[0] != '!');
    case CLI_INTEGER:
        return json_integer((json_int_t)c->args.number[o]);
    case CLI_INTEGERS:
        return numbers_json(text);
    case CLI_CHOICES:
        return words_json(text);
    case CLI_TEXT:
    case CLI_FILE:
    case CLI_CHOICE:
        break;
    }
    return json_string(text);
}

json_t *cli_body(const cli *c, cli_opts which)
{
    json_t *body = json_object();

    for (unsigned i = 0; i < CLI_OPTS_END; i++) {
        const char *field = cli_options[i].field;

        if (cli_has(which & c->args.given, (cli_opt)i) && field != NULL) {
            (void)json_object_set_new(body, field[0] == '!' ? field + 1 : field,
                                      value_json(c, (cli_opt)i));
        }
    }
    return body;
}
