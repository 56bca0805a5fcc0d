#include "round/round.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* One request inside the engine. */
typedef struct {
    svc_round *round;
    http_request *request;
} pending;

void svc_round_init(svc_round *r, part_engine *engine, const tdsa_log *log, size_t waiting_max)
{
    r->engine = engine;
    r->log = log;
    r->waiting_max = waiting_max != 0 ? waiting_max : SVC_ROUND_WAITING_MAX;
    atomic_init(&r->waiting, 0);
    r->done = NULL;
    r->done_ctx = NULL;
}

void svc_round_observe(void *ctx, const http_done *done)
{
    const svc_round *r = (const svc_round *)ctx;

    if (r->done != NULL) {
        r->done(r->done_ctx, done);
    }
}

bool svc_session_id_ok(const char *text)
{
    size_t len = strlen(text);

    if (len < SVC_SESSION_ID_LEN_MIN || len > SVC_SESSION_ID_LEN_MAX) {
        return false;
    }
    return strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == len;
}

unsigned svc_round_http_status(tdsa_status status)
{
    switch (status) {
    case TDSA_OK:
        return 200;
    case TDSA_E_BAD_INPUT:
        return 400;
    case TDSA_E_NOT_FOUND:
        return 404;
    case TDSA_E_DENIED:
        return 403;
    case TDSA_E_CONFLICT:
        return 409;
    case TDSA_E_LIMIT:
    case TDSA_E_BUSY:
        return 503;
    case TDSA_E_TIMEOUT:
        return 504;
    case TDSA_E_LOGIN:
    case TDSA_E_UNAVAILABLE:
    case TDSA_E_PROTOCOL:
    case TDSA_E_VERIFY:
    case TDSA_E_CRYPTO:
    case TDSA_E_STORE:
    case TDSA_E_WRAPPING:
    case TDSA_E_CONFIG:
    case TDSA_E_NO_MEMORY:
    case TDSA_E_INTERNAL:
        return 500;
    }
    return 500;
}

/* `text` as the inside of a JSON string: it is one line of printable characters already, from
 * tdsa_err or from here. */
static void append_quoted(tdsa_buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            tdsa_buf_append_u8(out, (uint8_t)'\\');
        }
        tdsa_buf_append_u8(out, (uint8_t)*text);
    }
}

static void refuse(http_request *r, tdsa_status status, unsigned http, const char *text)
{
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;

    tdsa_buf_appendf(&body, "{\"code\":%u,\"error\":\"%s\",\"message\":\"", http,
                     tdsa_status_name(status));
    append_quoted(&body, text);
    tdsa_buf_append_str(&body, "\"}");
    http_reply(r, http, "application/json", body.data, body.len);
}

static void on_reply(void *ctx, const uint8_t *body, size_t len, const tdsa_err *err)
{
    pending *p = (pending *)ctx;
    svc_round *round = p->round;
    http_request *r = p->request;

    free(p);
    (void)atomic_fetch_sub(&round->waiting, 1);
    if (err == NULL || err->status == TDSA_OK) {
        http_reply(r, 200, SVC_ROUND_CONTENT_TYPE, body, len);
        return;
    }
    tdsa_logf(round->log, err->status == TDSA_E_NOT_FOUND ? TDSA_LOG_INFO : TDSA_LOG_WARN, "round",
              "request %s from %s refused: %s: %s", http_request_id(r), http_request_peer(r),
              tdsa_status_name(err->status), err->text);
    refuse(r, err->status, svc_round_http_status(err->status), err->text);
}

static bool is_octets(const char *type)
{
    size_t len = sizeof SVC_ROUND_CONTENT_TYPE - 1;

    return type != NULL && strncasecmp(type, SVC_ROUND_CONTENT_TYPE, len) == 0 &&
           (type[len] == '\0' || type[len] == ';' || type[len] == ' ');
}

static void on_round(void *ctx, http_request *r)
{
    svc_round *round = (svc_round *)ctx;
    const char *session = http_request_header(r, "Session-Id");
    size_t len = 0;
    const uint8_t *body = http_request_body(r, &len);
    pending *p;

    if (session == NULL || !svc_session_id_ok(session)) {
        refuse(r, TDSA_E_BAD_INPUT, 400,
               "the header Session-Id must hold 16 to 64 characters of [A-Za-z0-9._-]");
        return;
    }
    if (!is_octets(http_request_header(r, "Content-Type"))) {
        refuse(r, TDSA_E_BAD_INPUT, 415, "the content type must be " SVC_ROUND_CONTENT_TYPE);
        return;
    }
    if (len == 0) {
        refuse(r, TDSA_E_BAD_INPUT, 400, "the body is empty");
        return;
    }
    http_set_header(r, "Session-Id", session);
    p = (pending *)malloc(sizeof *p);
    if (p == NULL || atomic_fetch_add(&round->waiting, 1) >= round->waiting_max) {
        if (p != NULL) {
            (void)atomic_fetch_sub(&round->waiting, 1);
        }
        free(p);
        http_set_header(r, "Retry-After", "1");
        refuse(r, TDSA_E_BUSY, 503, "too many requests are waiting");
        return;
    }
    p->round = round;
    p->request = r;
    part_engine_handle(round->engine, session, body, len, on_reply, p);
}

const http_route *svc_round_routes(size_t *count)
{
    static const http_route routes[] = {
        {.method = "POST", .path = SVC_ROUND_PATH, .handler = on_round},
    };

    *count = sizeof routes / sizeof routes[0];
    return routes;
}
