#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "fake_server.h"
#include "http_client.h"
#include "round/round.h"

#define GOOD "Session-Id: 0123456789abcdef\r\nContent-Type: application/octet-stream\r\n"

typedef struct {
    part_engine *engine;
    svc_round round;
    http_server *server;
    uint16_t port;
    unsigned done; /* last status the observer was told */
} rig;

static void on_done(void *ctx, const http_done *done)
{
    ((rig *)ctx)->done = done->status;
}

static void start(rig *r, size_t waiting_max)
{
    static part_engine_cfg engine_cfg;
    http_cfg http = {.name = "protocol",
                     .host = "127.0.0.1",
                     .model = HTTP_POOL,
                     .threads = 2,
                     .body_max = TDSA_BUF_LEN_MAX,
                     .ctx = &r->round,
                     .observer = svc_round_observe};
    tdsa_err err;

    memset(r, 0, sizeof *r);
    engine_cfg.roster.n = 3;
    engine_cfg.roster.client_index = PEER_NO_CLIENT;
    engine_cfg.t = 1;
    assert_int_equal(part_engine_new(&r->engine, &engine_cfg, &err), TDSA_OK);
    svc_round_init(&r->round, r->engine, NULL, waiting_max);
    r->round.done = on_done;
    r->round.done_ctx = r;
    http.routes = svc_round_routes(&http.route_count);
    assert_int_equal(http_server_start(&r->server, &http, &err), TDSA_OK);
    r->port = http_server_port(r->server);
}

static void stop(rig *r)
{
    part_engine_stop(r->engine);
    http_server_free(r->server);
    part_engine_free(r->engine);
}

static void a_message_goes_in_and_the_reply_comes_out(void **state)
{
    rig r;
    test_answer a;

    (void)state;
    start(&r, 0);
    test_http(&a, r.port, "POST", "/protocol/round", GOOD, "hello\0there", 11);
    assert_int_equal(a.status, 200);
    assert_int_equal(a.body_len, 11);
    assert_memory_equal(a.body, "hello\0there", 11);
    assert_non_null(strstr(a.head, "Content-Type: application/octet-stream"));
    assert_non_null(strstr(a.head, "Session-Id: 0123456789abcdef"));
    stop(&r);
}

static void wrong_requests_are_refused_before_the_engine(void **state)
{
    static const struct {
        const char *method, *target, *headers, *body;
        unsigned status;
    } rows[] = {
        {"GET", "/protocol/round", GOOD, "", 405},
        {"POST", "/v1/keys", GOOD, "x", 404},
        {"POST", "/protocol/round/", GOOD, "x", 404},
        {"POST", "/protocol/round", GOOD, "", 400},
        {"POST", "/protocol/round", "Content-Type: application/octet-stream\r\n", "x", 400},
        {"POST", "/protocol/round",
         "Session-Id: 0123456789abcde\r\nContent-Type: application/octet-stream\r\n", "x", 400},
        {"POST", "/protocol/round",
         "Session-Id: 0123456789abcde/\r\nContent-Type: application/octet-stream\r\n", "x", 400},
        {"POST", "/protocol/round",
         "Session-Id: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdefx\r\n"
         "Content-Type: application/octet-stream\r\n",
         "x", 400},
        {"POST", "/protocol/round",
         "Session-Id: 0123456789abcdef\r\nContent-Type: application/json\r\n", "x", 415},
        {"POST", "/protocol/round", "Session-Id: 0123456789abcdef\r\n", "x", 415},
    };
    rig r;
    fake_calls calls;

    (void)state;
    start(&r, 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        test_answer a;

        test_http(&a, r.port, rows[i].method, rows[i].target, rows[i].headers, rows[i].body,
                  strlen(rows[i].body));
        assert_int_equal(a.status, rows[i].status);
        assert_non_null(strstr(a.body, "\"code\":"));
    }
    fake_engine_calls(r.engine, &calls);
    assert_int_equal(calls.handled, 0);
    stop(&r);
}

static void an_error_of_the_engine_becomes_its_status(void **state)
{
    static const struct {
        tdsa_status status;
        unsigned http;
        const char *name;
    } rows[] = {
        {TDSA_E_BAD_INPUT, 400, "BAD_INPUT"}, {TDSA_E_NOT_FOUND, 404, "NOT_FOUND"},
        {TDSA_E_DENIED, 403, "DENIED"},       {TDSA_E_LOGIN, 500, "LOGIN"},
        {TDSA_E_CONFLICT, 409, "CONFLICT"},   {TDSA_E_LIMIT, 503, "LIMIT"},
        {TDSA_E_BUSY, 503, "BUSY"},           {TDSA_E_UNAVAILABLE, 500, "UNAVAILABLE"},
        {TDSA_E_TIMEOUT, 504, "TIMEOUT"},     {TDSA_E_PROTOCOL, 500, "PROTOCOL"},
        {TDSA_E_VERIFY, 500, "VERIFY"},       {TDSA_E_CRYPTO, 500, "CRYPTO"},
        {TDSA_E_STORE, 500, "STORE"},         {TDSA_E_WRAPPING, 500, "WRAPPING"},
        {TDSA_E_CONFIG, 500, "CONFIG"},       {TDSA_E_NO_MEMORY, 500, "NO_MEMORY"},
        {TDSA_E_INTERNAL, 500, "INTERNAL"},
    };
    rig r;

    (void)state;
    assert_int_equal(svc_round_http_status(TDSA_OK), 200);
    start(&r, 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        test_answer a;
        char body[160];

        fake_engine_fail_next(r.engine, rows[i].status, TDSA_NOBODY, "say \"no\" \\ now");
        test_http(&a, r.port, "POST", "/protocol/round", GOOD, "x", 1);
        assert_int_equal(a.status, rows[i].http);
        (void)snprintf(body, sizeof body,
                       "{\"code\":%u,\"error\":\"%s\",\"message\":\"say \\\"no\\\" \\\\ now\"}",
                       rows[i].http, rows[i].name);
        assert_string_equal(a.body, body);
    }
    stop(&r);
}

typedef struct {
    uint16_t port;
    test_answer answer;
} late;

static void *ask(void *arg)
{
    late *l = (late *)arg;

    test_http(&l->answer, l->port, "POST", "/protocol/round", GOOD, "x", 1);
    return NULL;
}

static size_t kept(part_engine *e)
{
    part_stats s;

    part_engine_stats(e, &s);
    return (size_t)s.replies_waiting;
}

static void a_reply_may_come_later_and_the_queue_is_bounded(void **state)
{
    const struct timespec tick = {0, 2000000};
    static late one;
    pthread_t thread;
    test_answer a;
    rig r;

    (void)state;
    start(&r, 1);
    fake_engine_hold(r.engine, true);
    one.port = r.port;
    assert_int_equal(pthread_create(&thread, NULL, ask, &one), 0);
    while (kept(r.engine) == 0) {
        (void)nanosleep(&tick, NULL);
    }
    test_http(&a, r.port, "POST", "/protocol/round", GOOD, "y", 1);
    assert_int_equal(a.status, 503);
    assert_non_null(strstr(a.head, "Retry-After: 1"));
    assert_int_equal(fake_engine_release(r.engine, TDSA_OK), 1);
    (void)pthread_join(thread, NULL);
    assert_int_equal(one.answer.status, 200);
    fake_engine_hold(r.engine, false);
    test_http(&a, r.port, "POST", "/protocol/round", GOOD, "z", 1);
    assert_int_equal(a.status, 200); /* the place is free again */
    stop(&r);
}

static void requests_that_wait_end_when_the_engine_stops(void **state)
{
    const struct timespec tick = {0, 2000000};
    static late one;
    pthread_t thread;
    rig r;

    (void)state;
    start(&r, 0);
    fake_engine_hold(r.engine, true);
    one.port = r.port;
    assert_int_equal(pthread_create(&thread, NULL, ask, &one), 0);
    while (kept(r.engine) == 0) {
        (void)nanosleep(&tick, NULL);
    }
    part_engine_stop(r.engine);
    (void)pthread_join(thread, NULL);
    assert_int_equal(one.answer.status, 503);
    stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_goes_in_and_the_reply_comes_out),
        cmocka_unit_test(wrong_requests_are_refused_before_the_engine),
        cmocka_unit_test(an_error_of_the_engine_becomes_its_status),
        cmocka_unit_test(a_reply_may_come_later_and_the_queue_is_bounded),
        cmocka_unit_test(requests_that_wait_end_when_the_engine_stops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
