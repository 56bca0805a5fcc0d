#include "api/api.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/call.h"
#include "api/error.h"
#include "base/assert.h"
#include "base/secret.h"

#define JSON_TYPE      "application/json"
#define LOGGER         "api"
#define SESSION_ID_MIN 16u
#define SESSION_ID_MAX 64u

static const char *const method_names[SVC_METHOD_COUNT] = {
    [SVC_GET] = "GET",   [SVC_POST] = "POST",       [SVC_PUT] = "PUT",    [SVC_DELETE] = "DELETE",
    [SVC_HEAD] = "HEAD", [SVC_OPTIONS] = "OPTIONS", [SVC_PATCH] = "PATCH"};

const char *svc_method_name(svc_method m)
{
    return method_names[m];
}

bool svc_method_by_name(svc_method *out, const char *name)
{
    for (unsigned i = 0; i < SVC_METHOD_COUNT; i++) {
        if (strcmp(method_names[i], name) == 0) {
            *out = (svc_method)i;
            return true;
        }
    }
    return false;
}

tdsa_status svc_call_refuse(svc_call *c, unsigned http, const char *code, const char *details,
                            tdsa_status status, tdsa_err *err, const char *text)
{
    char copy[TDSA_ERR_TEXT_MAX]; /* text may be err's own, which is written below */

    (void)snprintf(copy, sizeof copy, "%s", text);
    c->fail_http = http;
    c->fail_code = code;
    (void)snprintf(c->fail_details, sizeof c->fail_details, "%s", details != NULL ? details : "");
    return TDSA_FAIL(err, status, "%s", copy);
}

void svc_put(json_t *to, const char *name, json_t *value)
{
    (void)json_object_set_new(to, name, value);
}

const svc_value *svc_call_value(const svc_call *c, unsigned i)
{
    TDSA_ASSERT(i < c->row->field_count);
    return &c->body.values[i];
}

/* ---- the checks every row asks for ---- */

static tdsa_status check_method(svc_call *c, tdsa_err *err)
{
    svc_method m;

    if (c->api->cfg.methods == 0 || (svc_method_by_name(&m, http_request_method(c->request)) &&
                                     (c->api->cfg.methods & (1u << (unsigned)m)) != 0)) {
        return TDSA_OK;
    }
    return svc_call_refuse(c, 405, "METHOD_NOT_ALLOWED", "server.allowedMethods", TDSA_E_DENIED,
                           err, "this method is not allowed by the configuration");
}

static bool is_json_type(const char *type)
{
    size_t len = sizeof JSON_TYPE - 1;

    return type != NULL && strncasecmp(type, JSON_TYPE, len) == 0 &&
           (type[len] == '\0' || type[len] == ';' || type[len] == ' ');
}

static tdsa_status read_body(svc_call *c, tdsa_err *err)
{
    const svc_shape shape = svc_row_shape(c->row);
    svc_body_fault fault;
    size_t len = 0;
    const uint8_t *bytes = http_request_body(c->request, &len);
    tdsa_status st;

    if (len > 0 && !is_json_type(http_request_header(c->request, "Content-Type"))) {
        return svc_call_refuse(c, 415, "UNSUPPORTED_MEDIA_TYPE", NULL, TDSA_E_BAD_INPUT, err,
                               "the content type must be " JSON_TYPE);
    }
    st = svc_body_read(&c->body, &shape, bytes, len, &fault, err);
    if (st == TDSA_E_BAD_INPUT) {
        c->fail_http = fault.http;
        c->fail_code = fault.code;
        (void)snprintf(c->fail_details, sizeof c->fail_details, "%s", fault.field);
    }
    return st;
}

static bool key_id_ok(const char *id)
{
    size_t len = strlen(id);

    return len >= 1 && len <= KS_KEY_ID_MAX &&
           strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == len;
}

static tdsa_status load_key(svc_call *c, tdsa_err *err)
{
    const char *id = http_request_param(c->request, 0);
    tdsa_status st;

    if (!key_id_ok(id)) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "there is no key of that name");
    }
    st = part_engine_key(c->api->cfg.engine, id, &c->key, err);
    if (st != TDSA_OK && svc_error_is_tombstone(err)) {
        return svc_call_refuse(c, 410, "DELETED", NULL, TDSA_E_NOT_FOUND, err,
                               "the key was deleted");
    }
    return st;
}

/* The key of the path can be used. */
static tdsa_status check_active(svc_call *c, tdsa_err *err)
{
    const char *why = "the key has no shares yet: POST its /share first";

    if (c->key.state == KS_KEY_DELETING) {
        return svc_call_refuse(c, 409, "KEY_DELETING", NULL, TDSA_E_CONFLICT, err,
                               "the key is being deleted: POST its /undelete brings it back");
    }
    if (c->key.state == KS_KEY_RESTORED) {
        if ((c->row->rules & SVC_RULE_RESTORED) != 0) {
            return TDSA_OK;
        }
        why = "the key was restored from a backup and is used again after a refresh: POST its "
              "/reshare, or /sign";
    }
    return c->key.state == KS_KEY_ACTIVE
               ? TDSA_OK
               : svc_call_refuse(c, 409, "KEY_NOT_ACTIVE", NULL, TDSA_E_CONFLICT, err, why);
}

static tdsa_status check_rules(svc_call *c, tdsa_err *err)
{
    unsigned rules = c->row->rules;
    const svc_api_cfg *cfg = &c->api->cfg;
    bool client = cfg->client_index >= 0;

    if ((rules & SVC_RULE_KEY) != 0) {
        tdsa_status st = load_key(c, err);

        if (st != TDSA_OK) {
            return st;
        }
        client = c->key.client_participates;
    }
    if ((rules & SVC_RULE_NO_CLIENT) != 0 && client && cfg->me != cfg->client_index) {
        return svc_call_refuse(c, 409, "CLIENT_PARTICIPATES", NULL, TDSA_E_CONFLICT, err,
                               "a client takes part in this group: ask the client");
    }
    return (rules & SVC_RULE_ACTIVE) != 0 ? check_active(c, err) : TDSA_OK;
}

/* ---- the answer ---- */

static void log_failure(const svc_call *c, const svc_failure *f, const tdsa_err *err)
{
    char who[32] = "";

    if (err->participant != TDSA_NOBODY) {
        (void)snprintf(who, sizeof who, " participant %d", err->participant);
    }
    tdsa_logf(c->api->cfg.log, f->http >= 500 ? TDSA_LOG_WARN : TDSA_LOG_INFO, LOGGER,
              "%s %s: %u %s%s: %s (request %s)", http_request_method(c->request),
              http_request_path(c->request), f->http, f->code, who, err->text, f->request_id);
}

static void reply_json(http_request *r, unsigned status, json_t *doc)
{
    char *text = doc != NULL ? json_dumps(doc, JSON_COMPACT) : NULL;

    if (text == NULL) {
        http_reply_error(r, 503, "out of memory", NULL);
        return;
    }
    http_reply(r, status, JSON_TYPE, text, strlen(text));
    free(text);
}

/* A key with a rate gets one more signature after 60/rate seconds at the latest. */
static unsigned retry_after_s(const svc_call *c, const tdsa_err *err)
{
    const uint32_t rate = c->key.policy.rate;

    return part_is_rate_limited(err) && rate > 0 ? (60 + rate - 1) / rate : 1;
}

static void reply_failure(svc_call *c, const tdsa_err *err)
{
    svc_failure f = {
        .http = c->fail_http != 0 ? c->fail_http : svc_http_status(err),
        .code = c->fail_code != NULL ? c->fail_code : svc_error_code(err),
        .details = c->fail_details[0] != '\0' ? c->fail_details : NULL,
        .request_id = http_request_id(c->request),
    };
    json_t *doc = svc_failure_json(&f, err);

    log_failure(c, &f, err);
    if (svc_error_is_passing(err->status) || part_is_rate_limited(err)) {
        char seconds[16];

        (void)snprintf(seconds, sizeof seconds, "%u", retry_after_s(c, err));
        http_set_header(c->request, "Retry-After", seconds);
    }
    reply_json(c->request, f.http, doc);
    json_decref(doc);
}

static bool session_id_ok(const char *text)
{
    size_t len = strlen(text);

    return len >= SESSION_ID_MIN && len <= SESSION_ID_MAX &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == len;
}

static void set_headers(svc_call *c)
{
    const char *session = http_request_header(c->request, "Session-Id");

    http_set_header(c->request, "Cache-Control", "no-store");
    http_set_header(c->request, "X-Content-Type-Options", "nosniff");
    http_set_header(c->request, "X-Request-Id", http_request_id(c->request));
    if (session != NULL && session_id_ok(session)) {
        http_set_header(c->request, "Session-Id", session);
    }
}

static tdsa_status run(svc_call *c, tdsa_err *err)
{
    tdsa_status st = check_method(c, err);

    if (st == TDSA_OK) {
        st = read_body(c, err);
    }
    if (st == TDSA_OK) {
        st = check_rules(c, err);
    }
    if (st == TDSA_OK) {
        st = c->row->handler(c, err);
    }
    return st;
}

static void dispatch(void *ctx, http_request *r)
{
    const svc_api *a = (const svc_api *)ctx;
    tdsa_err err;
    svc_call c;

    memset(&c, 0, sizeof c);
    c.api = a;
    c.request = r;
    c.row = (const svc_row *)http_request_tag(r);
    set_headers(&c);
    if (run(&c, &err) != TDSA_OK) {
        reply_failure(&c, &err);
    } else if (c.text != NULL) {
        http_reply(r, c.row->success, c.text_type, c.text, strlen(c.text));
    } else if (c.row->success == 204) {
        http_reply(r, 204, NULL, NULL, 0);
    } else {
        reply_json(r, c.success != 0 ? c.success : c.row->success, c.reply);
    }
    json_decref(c.reply);
    svc_body_clear(&c.body);
}

/* ---- life ---- */

static size_t body_max_of(svc_op op)
{
    if (op == SVC_OP_SIGN_BATCH || op == SVC_OP_COMBINE) {
        return SVC_BATCH_BODY_MAX;
    }
    return op == SVC_OP_SIGN || op == SVC_OP_PARTIAL ? SVC_SIGN_BODY_MAX : SVC_BODY_MAX;
}

/* JSON text may hold a private key (an import): what jansson gives back is wiped first. The blocks are
 * malloc's, so that those made before this was set are right too. */
static void wipe_and_free(void *block)
{
    if (block != NULL) {
        tdsa_wipe(block, malloc_usable_size(block));
        free(block);
    }
}

tdsa_status svc_api_new(svc_api **out, const svc_api_cfg *cfg, tdsa_err *err)
{
    svc_api *a = (svc_api *)calloc(1, sizeof *a);

    *out = NULL;
    if (a == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the API");
    }
    json_set_alloc_funcs(malloc, wipe_and_free);
    a->cfg = *cfg;
    a->openapi = svc_openapi_make(cfg);
    a->docs = svc_docs_make(cfg);
    if (a->openapi == NULL || a->docs == NULL) {
        svc_api_free(a);
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the API's documentation");
    }
    for (size_t i = 0; i < SVC_OP_COUNT; i++) {
        a->routes[i] = (http_route){
            .method = method_names[svc_rows[i].method],
            .path = svc_rows[i].path,
            .handler = dispatch,
            .body_max = body_max_of(svc_rows[i].op),
            .tag = &svc_rows[i],
        };
    }
    *out = a;
    return TDSA_OK;
}

void svc_api_free(svc_api *a)
{
    if (a == NULL) {
        return;
    }
    free(a->openapi);
    free(a->docs);
    free(a);
}

const http_route *svc_api_routes(const svc_api *a, size_t *count)
{
    *count = SVC_OP_COUNT;
    return a->routes;
}

void svc_api_observe(void *ctx, const http_done *done)
{
    const svc_api *a = (const svc_api *)ctx;

    if (a->cfg.done != NULL) {
        const svc_row *row = done->route != NULL ? (const svc_row *)done->route->tag : NULL;

        a->cfg.done(a->cfg.done_ctx, row != NULL ? row->name : "", done);
    }
}
