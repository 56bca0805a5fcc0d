#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "http/http_internal.h"

/* Requests of the process itself: no connection, no thread, no lock. */

static void admit(http_request *r, const http_local_request *in)
{
    if (in->content_type != NULL) {
        http_request_keep_header(r, "Content-Type", in->content_type);
    }
    http_request_target(r, in->method, in->target);
    if (r->route != NULL && in->body_len > r->route->body_max) {
        r->refused = MHD_HTTP_CONTENT_TOO_LARGE;
        r->refusal = "the body is longer than the limit";
    }
    tdsa_buf_append(&r->body, in->body, in->body_len);
}

tdsa_status http_local(http_local_answer *out, const http_local_request *in, tdsa_err *err)
{
    http_server server; /* what a request asks its listener for */
    http_request *r = calloc(1, sizeof *r);
    bool failed = false;

    *out = (http_local_answer){0, TDSA_BUF_EMPTY};
    if (r == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for a request");
    }
    memset(&server, 0, sizeof server);
    server.cfg.routes = in->routes;
    server.cfg.route_count = in->route_count;
    r->server = &server;
    r->app_owns = true;
    r->local = out;
    memcpy(r->id, "local", sizeof "local");
    memcpy(r->peer, "local", sizeof "local");
    admit(r, in);
    failed = r->text.failed || r->headers.failed || r->query.failed || r->body.failed ||
             (r->refused == 0 && r->route == NULL);
    if (!failed && r->refused != 0) {
        http_reply_error(r, r->refused, r->refusal, NULL);
    } else if (!failed) {
        r->route->handler(in->ctx, r);
        TDSA_ASSERT(!r->app_owns); /* it has answered */
    }
    http_request_free(r);
    if (failed || out->body.failed) {
        tdsa_buf_clear(&out->body);
        out->status = 0;
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for a request");
    }
    return TDSA_OK;
}
