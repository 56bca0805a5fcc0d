#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "http/http.h"

/* What a handler sees of a request that no connection brought, and what comes back. */

static void tell(void *ctx, http_request *r)
{
    size_t len = 0;
    const uint8_t *body = http_request_body(r, &len);
    const char *query = http_request_query(r, "q");
    const char *type = http_request_header(r, "content-type");
    char text[256];

    (void)snprintf(text, sizeof text, "%s|%s %s|%s|%s|%s|%.*s", (const char *)ctx,
                   http_request_method(r), http_request_path(r), http_request_param(r, 0),
                   query != NULL ? query : "-", type != NULL ? type : "-", (int)len,
                   (const char *)body);
    http_set_header(r, "X-Dropped", "yes");
    http_reply(r, 200, "text/plain", text, strlen(text));
}

static void refuse_it(void *ctx, http_request *r)
{
    (void)ctx;
    http_reply_error(r, 409, "no", NULL);
}

static const http_route routes[] = {
    {"GET", "/things/{}", tell, 0, NULL},
    {"POST", "/things/{}", tell, 8, NULL},
    {"POST", "/no", refuse_it, 8, NULL},
};

static http_local_answer ask(const char *method, const char *target, const char *body)
{
    char ctx[] = "ctx";
    const http_local_request in = {
        .routes = routes,
        .route_count = sizeof routes / sizeof routes[0],
        .ctx = ctx,
        .method = method,
        .target = target,
        .content_type = body != NULL ? "application/json" : NULL,
        .body = body,
        .body_len = body != NULL ? strlen(body) : 0,
    };
    http_local_answer out;
    tdsa_err err;

    assert_int_equal(http_local(&out, &in, &err), TDSA_OK);
    return out;
}

static void expect(const char *method, const char *target, const char *body, unsigned status,
                   const char *text)
{
    http_local_answer out = ask(method, target, body);

    assert_int_equal(out.status, status);
    if (text != NULL) {
        assert_int_equal(out.body.len, strlen(text));
        assert_memory_equal(out.body.data, text, out.body.len);
    }
    tdsa_buf_clear(&out.body);
}

static void a_handler_sees_what_was_asked(void **state)
{
    (void)state;
    expect("GET", "/things/a%20b?q=1%262&r=3", NULL, 200, "ctx|GET /things/a%20b|a b|1&2|-|");
    expect("POST", "/things/x", "{\"a\":1}", 200,
           "ctx|POST /things/x|x|-|application/json|{\"a\":1}");
}

static void what_a_handler_refuses_is_an_answer(void **state)
{
    (void)state;
    expect("POST", "/no", NULL, 409, "{\"code\":409,\"message\":\"no\"}");
}

static void the_limits_of_a_listener_hold(void **state)
{
    (void)state;
    expect("GET", "/other", NULL, 404, NULL);
    expect("DELETE", "/things/x", NULL, 405, NULL);
    expect("POST", "/things/x", "123456789", 413, NULL);
    expect("GET", "/things/x", "1", 413, NULL);
    expect("GET", "/things/%zz", NULL, 400, NULL);
    expect("GET", "/things/x?q=%zz", NULL, 400, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handler_sees_what_was_asked),
        cmocka_unit_test(what_a_handler_refuses_is_an_answer),
        cmocka_unit_test(the_limits_of_a_listener_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
