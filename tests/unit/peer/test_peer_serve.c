#include "unit/peer/exchange_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "http/http.h"

/* Runs that take on more while they are under way. */

static http_request *held; /* of /silent: answered when the test ends */

static void echo(void *ctx, http_request *r)
{
    size_t len = 0;
    const uint8_t *body = http_request_body(r, &len);

    (void)ctx;
    http_reply(r, 200, "application/octet-stream", body, len);
}

static void silent(void *ctx, http_request *r)
{
    (void)ctx;
    __atomic_store_n(&held, r, __ATOMIC_RELEASE);
}

static const http_route routes[] = {
    {"POST", "/echo", echo, 0, NULL},
    {"POST", "/silent", silent, 0, NULL},
};

typedef struct {
    http_server *server;
    peer_http *http;
    char echo[64], silent[64];
    peer_request first, more[4];
    size_t more_count, more_given, done_count;
    size_t enough_at; /* this many done: enough; 0: never */
} rig;

static rig *start(void)
{
    const http_cfg cfg = {.name = "test",
                          .host = "127.0.0.1",
                          .model = HTTP_POOL,
                          .threads = 2,
                          .body_max = TDSA_BUF_LEN_MAX,
                          .routes = routes,
                          .route_count = sizeof routes / sizeof *routes};
    rig *r = calloc(1, sizeof *r);
    tdsa_err err;

    assert_non_null(r);
    held = NULL;
    assert_int_equal(http_server_start(&r->server, &cfg, &err), TDSA_OK);
    r->http = client();
    url_of(r->echo, "127.0.0.1", http_server_port(r->server), "/echo");
    url_of(r->silent, "127.0.0.1", http_server_port(r->server), "/silent");
    return r;
}

static void stop(rig *r)
{
    http_request *last = __atomic_load_n(&held, __ATOMIC_ACQUIRE);

    if (last != NULL) {
        http_reply(last, 200, "application/octet-stream", (const uint8_t *)"", 0);
    }
    tdsa_buf_clear(&r->first.reply);
    for (size_t i = 0; i < r->more_count; i++) {
        tdsa_buf_clear(&r->more[i].reply);
    }
    peer_http_free(r->http);
    http_server_free(r->server);
    free(r);
}

static void add(rig *r, const char *url, uint32_t timeout_ms)
{
    r->more[r->more_count] = request(url, "more", 4);
    r->more[r->more_count].timeout_ms = timeout_ms;
    r->more_count++;
}

static peer_request *give_more(void *ctx)
{
    rig *r = ctx;

    return r->more_given < r->more_count ? &r->more[r->more_given++] : NULL;
}

static bool is_enough(void *ctx)
{
    const rig *r = ctx;

    return r->enough_at != 0 && r->done_count >= r->enough_at;
}

static void count(void *ctx, peer_request *request)
{
    (void)request;
    ((rig *)ctx)->done_count++;
}

static void run(rig *r, uint32_t timeout_ms)
{
    static const peer_source source = {give_more, is_enough};
    peer_request *first = &r->first;

    peer_http_serve(r->http, &first, 1, timeout_ms, NULL, count, &source, r);
}

static void a_run_goes_on_with_what_comes_up(void **state)
{
    rig *r = start();

    (void)state;
    r->first = request(r->echo, "first", 5);
    for (unsigned i = 0; i < 4; i++) {
        add(r, r->echo, 30000);
    }
    run(r, 30000);
    assert_int_equal(r->done_count, 5);
    assert_int_equal(r->first.status, TDSA_OK);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(r->more[i].status, TDSA_OK);
        assert_int_equal(r->more[i].http_code, 200);
    }
    stop(r);
}

static void a_silent_peer_does_not_hold_up_what_comes_up(void **state)
{
    rig *r = start();

    (void)state;
    r->first = request(r->silent, "first", 5);
    r->enough_at = 3;
    for (unsigned i = 0; i < 3; i++) {
        add(r, r->echo, 30000);
    }
    run(r, 60000);
    assert_int_equal(r->done_count, 4);
    assert_int_equal(r->first.status, TDSA_E_TIMEOUT); /* given up when it was enough */
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(r->more[i].status, TDSA_OK);
    }
    stop(r);
}

static void each_request_has_its_own_time(void **state)
{
    rig *r = start();

    (void)state;
    r->first = request(r->silent, "first", 5);
    r->first.timeout_ms = 500;
    add(r, r->echo, 30000);
    run(r, 60000); /* ends without that of the run */
    assert_int_equal(r->done_count, 2);
    assert_int_equal(r->first.status, TDSA_E_TIMEOUT);
    assert_int_equal(r->more[0].status, TDSA_OK);
    stop(r);
}

static void a_bad_request_among_them_ends_by_itself(void **state)
{
    rig *r = start();

    (void)state;
    r->first = request(r->echo, "first", 5);
    add(r, "nonsense", 1000);
    add(r, r->echo, 30000);
    run(r, 30000);
    assert_int_equal(r->done_count, 3);
    assert_int_equal(r->more[0].status, TDSA_E_CONFIG);
    assert_int_equal(r->more[1].status, TDSA_OK);
    stop(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_goes_on_with_what_comes_up),
        cmocka_unit_test(a_silent_peer_does_not_hold_up_what_comes_up),
        cmocka_unit_test(each_request_has_its_own_time),
        cmocka_unit_test(a_bad_request_among_them_ends_by_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
