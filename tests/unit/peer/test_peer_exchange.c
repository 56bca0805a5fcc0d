#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "http/http.h"
#include "peer/exchange.h"

#define SESSION "session-0123456789"

static const peer_http_cfg cfg = {.connect_timeout_ms = 10000,
                                  .request_timeout_ms = 30000,
                                  .keep_alive_ms = 30000,
                                  .connections_max = 4,
                                  .user_agent = "tdsa-test"};

/* Answers with the body, the session and the agent, so that a test sees what came. */
static void echo(void *ctx, http_request *r)
{
    size_t len = 0;
    const uint8_t *body = http_request_body(r, &len);

    (void)ctx;
    assert_string_equal(http_request_header(r, "Session-Id"), SESSION);
    assert_string_equal(http_request_header(r, "user-agent"), "tdsa-test");
    assert_string_equal(http_request_header(r, "Content-Type"), "application/octet-stream");
    assert_null(http_request_header(r, "Expect"));
    http_reply(r, 200, "application/octet-stream", body, len);
}

static void teapot(void *ctx, http_request *r)
{
    (void)ctx;
    http_reply_error(r, 409, "no", NULL);
}

static const http_route routes[] = {
    {"POST", "/protocol/round", echo, 0, NULL},
    {"POST", "/conflict", teapot, 0, NULL},
};

static http_server *serve(uint16_t *port, const char *host)
{
    const http_cfg http = {.name = "test",
                           .host = host,
                           .model = HTTP_POOL,
                           .threads = 2,
                           .body_max = TDSA_BUF_LEN_MAX,
                           .routes = routes,
                           .route_count = sizeof routes / sizeof *routes};
    http_server *s = NULL;
    tdsa_err err;

    assert_int_equal(http_server_start(&s, &http, &err), TDSA_OK);
    *port = http_server_port(s);
    return s;
}

static peer_http *client(void)
{
    peer_http *h = NULL;
    tdsa_err err;

    assert_int_equal(peer_http_new(&h, &cfg, &err), TDSA_OK);
    return h;
}

static void url_of(char url[64], const char *host, unsigned port, const char *path)
{
    (void)snprintf(url, 64, "http://%s:%u%s", host, port, path);
}

static peer_request request(const char *url, const void *body, size_t len)
{
    return (peer_request){
        .url = url, .session_id = SESSION, .body = body, .body_len = len, .reply = TDSA_BUF_EMPTY};
}

static void run_one(peer_http *h, peer_request *r, uint32_t timeout_ms)
{
    peer_http_run(h, &r, 1, timeout_ms, NULL, NULL, NULL);
    assert_true(r->done);
}

static void a_body_goes_out_and_the_reply_comes_back(void **state)
{
    uint16_t port = 0;
    http_server *s = serve(&port, "127.0.0.1");
    peer_http *h = client();
    char url[64];

    (void)state;
    url_of(url, "127.0.0.1", port, "/protocol/round");
    for (size_t len = 0; len <= 3 << 20; len = len * 7 + 1) {
        uint8_t *body = malloc(len + 1);
        peer_request r;

        memset(body, (int)(len & 0xff), len);
        r = request(url, body, len);
        run_one(h, &r, 10000);
        assert_int_equal(r.status, TDSA_OK);
        assert_int_equal(r.http_code, 200);
        assert_int_equal(r.reply.len, len);
        assert_memory_equal(r.reply.data == NULL ? body : r.reply.data, body, len);
        tdsa_buf_clear(&r.reply);
        free(body);
    }
    peer_http_free(h);
    http_server_free(s);
}

static void an_error_code_is_an_answer(void **state)
{
    uint16_t port = 0;
    http_server *s = serve(&port, "127.0.0.1");
    peer_http *h = client();
    char url[64];
    peer_request r;

    (void)state;
    url_of(url, "127.0.0.1", port, "/conflict");
    r = request(url, "x", 1);
    run_one(h, &r, 5000);
    assert_int_equal(r.status, TDSA_OK);
    assert_int_equal(r.http_code, 409);
    assert_memory_equal(r.reply.data, "{\"code\":409,\"message\":\"no\"}", r.reply.len);
    tdsa_buf_clear(&r.reply);
    peer_http_free(h);
    http_server_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_goes_out_and_the_reply_comes_back),
        cmocka_unit_test(an_error_code_is_an_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
