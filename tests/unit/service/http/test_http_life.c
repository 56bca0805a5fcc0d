#include "unit/service/http/http_fixture.h"

#include <errno.h>

/* Requests that the handler keeps for another thread. */
typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t came;
    http_request *kept[64];
    size_t count;
} shelf;

static void shelf_init(shelf *s)
{
    memset(s, 0, sizeof *s);
    assert_int_equal(pthread_mutex_init(&s->lock, NULL), 0);
    assert_int_equal(pthread_cond_init(&s->came, NULL), 0);
}

static void keep(void *ctx, http_request *r)
{
    shelf *s = ctx;

    (void)pthread_mutex_lock(&s->lock);
    s->kept[s->count] = r;
    s->count++;
    (void)pthread_cond_broadcast(&s->came);
    (void)pthread_mutex_unlock(&s->lock);
}

static void shelf_wait(shelf *s, size_t count)
{
    (void)pthread_mutex_lock(&s->lock);
    while (s->count < count) {
        (void)pthread_cond_wait(&s->came, &s->lock);
    }
    (void)pthread_mutex_unlock(&s->lock);
}

static void quick(void *ctx, http_request *r)
{
    (void)ctx;
    http_reply(r, 200, NULL, "quick", 5);
}

/* Blocks until the server gives the request up. */
static void block(void *ctx, http_request *r)
{
    const volatile bool *stopping = http_request_stopping(r);

    keep(ctx, r);
    while (!__atomic_load_n(stopping, __ATOMIC_ACQUIRE)) {
        pause_ms(5);
    }
    http_reply(r, 200, NULL, "late", 4);
}

static void slow(void *ctx, http_request *r)
{
    keep(ctx, r);
    pause_ms(100);
    http_reply(r, 200, NULL, "slow", 4);
}

static void large(void *ctx, http_request *r)
{
    const size_t len = 32u << 20; /* more than the socket buffers of both sides */
    char *body = calloc(len, 1);

    keep(ctx, r);
    http_reply(r, 200, NULL, body, body == NULL ? 0 : len);
    free(body);
}

static const http_route routes[] = {
    {"GET", "/large", large, 0, NULL}, {"GET", "/keep", keep, 0, NULL},
    {"GET", "/quick", quick, 0, NULL}, {"GET", "/block", block, 0, NULL},
    {"GET", "/slow", slow, 0, NULL},   {"POST", "/quick", quick, 0, NULL},
};

static http_cfg base_cfg(shelf *s)
{
    return (http_cfg){.name = "test",
                      .host = "127.0.0.1",
                      .body_max = 10000,
                      .routes = routes,
                      .route_count = sizeof routes / sizeof *routes,
                      .ctx = s};
}

static http_server *start(const http_cfg *cfg)
{
    http_server *s = NULL;
    tdsa_err err;

    if (http_server_start(&s, cfg, &err) != TDSA_OK) {
        fail_msg("%s", err.text);
    }
    return s;
}

static void send_get(int fd, const char *path)
{
    char text[256];

    (void)snprintf(text, sizeof text, "GET %s HTTP/1.1\r\n" SERVER_ID "\r\n", path);
    tell(fd, text);
}

static void answers_later(http_model model, unsigned threads)
{
    shelf held;
    http_cfg cfg = base_cfg(&held);
    http_server *s = NULL;
    int fds[10];

    shelf_init(&held);
    cfg.model = model;
    cfg.threads = threads;
    s = start(&cfg);
    for (int i = 0; i < 10; i++) {
        fds[i] = dial(http_server_port(s));
        send_get(fds[i], "/keep");
    }
    shelf_wait(&held, 10);
    assert_int_equal(http_server_running(s), 10);
    for (size_t i = 0; i < 10; i++) {
        http_reply(held.kept[i], 200, "text/plain", "later", 5);
    }
    for (int i = 0; i < 10; i++) {
        assert_string_equal(hear(fds[i], false).body, "later");
        send_get(fds[i], "/quick"); /* the connection goes on */
        assert_string_equal(hear(fds[i], false).body, "quick");
        (void)close(fds[i]);
    }
    http_server_free(s);
}

static void a_pool_answers_suspended_requests_later(void **state)
{
    (void)state;
    answers_later(HTTP_POOL, 1);
    answers_later(HTTP_POOL, 4);
}

static void blocking_threads_wait_for_late_answers(void **state)
{
    (void)state;
    answers_later(HTTP_BLOCKING, 0);
}

static void a_client_that_left_costs_nothing(void **state)
{
    shelf held;
    http_cfg cfg = base_cfg(&held);
    http_server *s = NULL;

    (void)state;
    shelf_init(&held);
    s = start(&cfg);
    for (size_t i = 0; i < 5; i++) {
        const int fd = dial(http_server_port(s));

        send_get(fd, "/keep");
        shelf_wait(&held, i + 1);
        (void)close(fd);
    }
    for (size_t i = 0; i < 5; i++) {
        http_reply(held.kept[i], 200, NULL, "x", 1);
    }
    for (int i = 0; i < 500 && http_server_running(s) > 0; i++) {
        pause_ms(10);
    }
    assert_int_equal(http_server_running(s), 0);
    http_server_free(s);
}

static void stop_cuts_what_is_not_answered(void **state)
{
    shelf held;
    http_cfg cfg = base_cfg(&held);
    http_server *s = NULL;
    answer a;
    int fds[3];

    (void)state;
    shelf_init(&held);
    s = start(&cfg);
    for (int i = 0; i < 3; i++) {
        fds[i] = dial(http_server_port(s));
        send_get(fds[i], "/keep");
    }
    shelf_wait(&held, 3);
    http_reply(held.kept[0], 200, NULL, "in time", 7);
    assert_int_equal(http_server_stop(s, 50), 2);
    assert_false(*http_request_stopping(held.kept[1]) == false);
    /* what the handler may read stays valid */
    assert_string_equal(http_request_path(held.kept[1]), "/keep");
    assert_string_equal(http_request_header(held.kept[1], "Host"), "test");
    http_reply(held.kept[1], 200, NULL, "too late", 8);
    assert_int_equal(http_server_stop(s, 50), 0); /* again: nothing to do */
    http_server_free(s);
    http_reply(held.kept[2], 200, NULL, "later still", 11); /* frees what is left */
    for (int i = 0; i < 3; i++) {
        a = hear(fds[i], false);
        if (strcmp(a.body, "in time") != 0) {
            assert_int_equal(a.status, 503);
            assert_string_equal(answer_header(&a, "Connection"), "close");
        }
        (void)close(fds[i]);
    }
}

static void *stop_with_grace(void *ctx)
{
    http_server *s = ctx;

    return http_server_stop(s, 60000) == 0 ? ctx : NULL;
}

static void stop_waits_for_running_requests(void **state)
{
    shelf held;
    http_cfg cfg = base_cfg(&held);
    http_server *s = NULL;
    pthread_t stopper;
    void *clean = NULL;
    uint16_t port = 0;
    answer a;
    int fd, other;

    (void)state;
    shelf_init(&held);
    s = start(&cfg);
    port = http_server_port(s);
    fd = dial(port);
    other = dial(port);
    send_get(fd, "/keep");
    send_get(other, "/quick");
    assert_int_equal(hear(other, false).status, 200);
    shelf_wait(&held, 1);
    assert_int_equal(pthread_create(&stopper, NULL, stop_with_grace, s), 0);
    do { /* open connections get a 503 while the server waits */
        pause_ms(5);
        send_get(other, "/quick");
        a = hear(other, false);
    } while (a.status == 200);
    assert_int_equal(a.status, 503);
    (void)is_closed(other);
    (void)close(other);
    http_reply(held.kept[0], 200, NULL, "served", 6);
    assert_string_equal(hear(fd, false).body, "served");
    (void)pthread_join(stopper, &clean);
    assert_non_null(clean);
    (void)close(fd);
    http_server_free(s);
    cfg.port = port; /* the port is free again */
    s = start(&cfg);
    http_server_free(s);
}

static void blocking_handlers_run_side_by_side(void **state)
{
    shelf held;
    http_cfg cfg = base_cfg(&held);
    http_server *s = NULL;
    int fds[4];

    (void)state;
    shelf_init(&held);
    cfg.model = HTTP_BLOCKING;
    s = start(&cfg);
    for (int i = 0; i < 4; i++) {
        fds[i] = dial(http_server_port(s));
        send_get(fds[i], "/slow");
    }
    shelf_wait(&held, 4);
    for (int i = 0; i < 4; i++) {
        assert_string_equal(hear(fds[i], false).body, "slow");
        (void)close(fds[i]);
    }
    http_server_free(s);
}

static void blocking_handlers_are_told_to_stop(void **state)
{
    shelf held;
    http_cfg cfg = base_cfg(&held);
    http_server *s = NULL;
    int fd = -1;

    (void)state;
    shelf_init(&held);
    cfg.model = HTTP_BLOCKING;
    s = start(&cfg);
    fd = dial(http_server_port(s));
    send_get(fd, "/block");
    shelf_wait(&held, 1);
    assert_int_equal(http_server_stop(s, 20), 1);
    (void)is_closed(fd);
    (void)close(fd);
    http_server_free(s);
}

static void idle_connections_are_closed(void **state)
{
    shelf held;
    http_cfg cfg = base_cfg(&held);
    http_server *s = NULL;

    (void)state;
    shelf_init(&held);
    cfg.idle_timeout_ms = 1000;
    for (int model = 0; model < 2; model++) {
        int fresh, used, dribbling;

        cfg.model = model == 0 ? HTTP_POOL : HTTP_BLOCKING;
        s = start(&cfg);
        fresh = dial(http_server_port(s));
        used = dial(http_server_port(s));
        dribbling = dial(http_server_port(s));
        send_get(used, "/quick");
        assert_int_equal(hear(used, false).status, 200);
        for (int i = 0; i < 1000 && send(dribbling, "G", 1, MSG_NOSIGNAL) == 1; i++) {
            pause_ms(20); /* a request line that never ends */
        }
        assert_int_equal(hear(fresh, false).status, 0);
        assert_int_equal(hear(used, false).status, 0);
        (void)close(fresh);
        (void)close(used);
        (void)close(dribbling);
        http_server_free(s);
    }
}

static void slow_requests_are_408(void **state)
{
    shelf held;
    http_cfg cfg = base_cfg(&held);
    http_server *s = NULL;

    (void)state;
    shelf_init(&held);
    cfg.io_timeout_ms = 100;
    for (int model = 0; model < 2; model++) {
        int head, body, later;

        cfg.model = model == 0 ? HTTP_POOL : HTTP_BLOCKING;
        s = start(&cfg);
        head = dial(http_server_port(s));
        body = dial(http_server_port(s));
        later = dial(http_server_port(s));
        tell(head, "GET /quick HTTP/1.1\r\n" SERVER_ID);
        tell(body, "POST /quick HTTP/1.1\r\n" SERVER_ID "Content-Length: 100\r\n\r\nabc");
        send_get(later, "/keep"); /* a slow handler is not a slow client */
        assert_int_equal(hear(head, false).status, 408);
        assert_int_equal(hear(head, false).status, 0);
        assert_string_equal(hear(body, false).body,
                            "{\"code\":408,\"message\":\"Request Timeout\"}");
        shelf_wait(&held, (size_t)model + 1);
        pause_ms(200);
        http_reply(held.kept[model], 200, NULL, "fine", 4);
        assert_string_equal(hear(later, false).body, "fine");
        (void)close(head);
        (void)close(body);
        (void)close(later);
        http_server_free(s);
    }
}

static void a_dribbled_body_is_408(void **state)
{
    shelf held;
    http_cfg cfg = base_cfg(&held);
    http_server *s = NULL;
    int fd = -1;

    (void)state;
    shelf_init(&held);
    cfg.io_timeout_ms = 200;
    s = start(&cfg);
    fd = dial(http_server_port(s));
    tell(fd, "POST /quick HTTP/1.1\r\n" SERVER_ID "Content-Length: 10000\r\n\r\n");
    for (int i = 0; i < 300 && send(fd, "x", 1, MSG_NOSIGNAL) == 1; i++) {
        pause_ms(10);
    }
    (void)close(fd);
    http_server_free(s);
}

static void a_client_that_does_not_take_its_answer_is_cut(void **state)
{
    shelf held;
    http_cfg cfg = base_cfg(&held);
    http_server *s = NULL;
    int fd = -1;

    (void)state;
    shelf_init(&held);
    cfg.io_timeout_ms = 300;
    s = start(&cfg);
    fd = dial(http_server_port(s));
    send_get(fd, "/large");
    shelf_wait(&held, 1);
    while (http_server_running(s) > 0) { /* until the server gives up; ctest has a time limit */
        pause_ms(10);
    }
    (void)close(fd);
    http_server_free(s);
}

static void connections_beyond_the_limit_wait(void **state)
{
    shelf held;
    http_cfg cfg = base_cfg(&held);
    http_server *s = NULL;
    struct pollfd second = {.events = POLLIN};
    int first = -1;

    (void)state;
    shelf_init(&held);
    cfg.connections_max = 1;
    s = start(&cfg);
    first = dial(http_server_port(s));
    send_get(first, "/quick");
    assert_int_equal(hear(first, false).status, 200);
    second.fd = dial(http_server_port(s));
    send_get(second.fd, "/quick");
    assert_int_equal(poll(&second, 1, 100), 0);
    (void)close(first);
    assert_int_equal(hear(second.fd, false).status, 200);
    (void)close(second.fd);
    http_server_free(s);
}

static void one_address_can_be_limited(void **state)
{
    shelf held;
    http_cfg cfg = base_cfg(&held);
    http_server *s = NULL;
    int first = -1;
    int second = -1;

    (void)state;
    shelf_init(&held);
    cfg.per_ip_max = 1;
    s = start(&cfg);
    first = dial(http_server_port(s));
    send_get(first, "/quick");
    assert_int_equal(hear(first, false).status, 200);
    second = dial(http_server_port(s));
    send_get(second, "/quick");
    assert_int_equal(hear(second, false).status, 0);
    (void)close(first);
    (void)close(second);
    http_server_free(s);
}

static void wrong_configurations_are_refused(void **state)
{
    shelf held;
    http_cfg good = base_cfg(&held);
    http_cfg bad[6];
    http_server *taken = NULL;
    http_server *s = NULL;
    tdsa_err err;

    (void)state;
    shelf_init(&held);
    taken = start(&good);
    for (size_t i = 0; i < 6; i++) {
        bad[i] = good;
    }
    bad[0].port = http_server_port(taken);
    bad[1].host = "no-such-host.invalid";
    bad[2].host = "192.0.2.1"; /* not an address of this machine */
    bad[3].threads = 65;
    bad[4].body_max = TDSA_BUF_LEN_MAX + 1;
    bad[5].idle_timeout_ms = UINT32_MAX;
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(http_server_start(&s, &bad[i], &err), TDSA_E_CONFIG);
        assert_null(s);
        assert_non_null(strstr(err.text, "test listener"));
        if (i == 0) {
            assert_non_null(strstr(err.text, "Address already in use"));
        }
    }
    http_server_free(taken);
    http_server_free(NULL);
}

static void every_address_means_both_families(void **state)
{
    shelf held;
    http_cfg cfg = base_cfg(&held);
    http_server *s = NULL;

    (void)state;
    shelf_init(&held);
    cfg.host = NULL;
    s = start(&cfg);
    assert_int_equal(ask(http_server_port(s), "GET /quick HTTP/1.0\r\n\r\n").status, 200);
    http_server_free(s);
}

static void an_ipv6_address_is_bound_whatever_errno_was(void **state)
{
    static const int stale[] = {EADDRINUSE, EACCES};
    shelf held;
    http_cfg cfg = base_cfg(&held);

    (void)state;
    shelf_init(&held);
    cfg.host = "::1";
    for (size_t i = 0; i < sizeof stale / sizeof stale[0]; i++) {
        http_server *s = NULL;
        tdsa_err err;

        errno = stale[i]; /* of an earlier call that had nothing to do with sockets */
        assert_int_equal(http_server_start(&s, &cfg, &err), TDSA_OK);
        http_server_free(s);
    }
}

/* Answers come from several threads while the server stops. */
typedef struct {
    shelf *held;
    size_t next;
} answerer;

static void *answer_all(void *ctx)
{
    answerer *w = ctx;

    for (size_t i = w->next; i < 32; i += 2) {
        http_reply(w->held->kept[i], 200, NULL, "x", 1);
    }
    return NULL;
}

static void answers_and_stop_may_race(void **state)
{
    (void)state;
    for (int round = 0; round < 5; round++) {
        shelf held;
        http_cfg cfg = base_cfg(&held);
        http_server *s = NULL;
        answerer w[2] = {{&held, 0}, {&held, 1}};
        pthread_t threads[2];
        int fds[32];

        shelf_init(&held);
        cfg.threads = 2;
        s = start(&cfg);
        for (int i = 0; i < 32; i++) {
            fds[i] = dial(http_server_port(s));
            send_get(fds[i], "/keep");
        }
        shelf_wait(&held, 32);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(pthread_create(&threads[i], NULL, answer_all, &w[i]), 0);
        }
        http_server_free(s);
        for (int i = 0; i < 2; i++) {
            (void)pthread_join(threads[i], NULL);
        }
        for (int i = 0; i < 32; i++) {
            (void)close(fds[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pool_answers_suspended_requests_later),
        cmocka_unit_test(blocking_threads_wait_for_late_answers),
        cmocka_unit_test(a_client_that_left_costs_nothing),
        cmocka_unit_test(stop_cuts_what_is_not_answered),
        cmocka_unit_test(stop_waits_for_running_requests),
        cmocka_unit_test(blocking_handlers_run_side_by_side),
        cmocka_unit_test(blocking_handlers_are_told_to_stop),
        cmocka_unit_test(idle_connections_are_closed),
        cmocka_unit_test(slow_requests_are_408),
        cmocka_unit_test(a_dribbled_body_is_408),
        cmocka_unit_test(a_client_that_does_not_take_its_answer_is_cut),
        cmocka_unit_test(connections_beyond_the_limit_wait),
        cmocka_unit_test(one_address_can_be_limited),
        cmocka_unit_test(wrong_configurations_are_refused),
        cmocka_unit_test(every_address_means_both_families),
        cmocka_unit_test(an_ipv6_address_is_bound_whatever_errno_was),
        cmocka_unit_test(answers_and_stop_may_race),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
