#include "unit/peer/exchange_fixture.h"

#include <poll.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "unit/peer/raw_server.h"

static void close_at_once(raw_server *s, int fd, unsigned nth)
{
    (void)s;
    (void)fd;
    (void)nth;
}

static void garbage(raw_server *s, int fd, unsigned nth)
{
    (void)s;
    (void)nth;
    (void)raw_read_request(fd);
    raw_send(fd, "\x16\x03\x01 this is not HTTP\r\n\r\n");
    raw_wait_closed(fd);
}

static void half_reply(raw_server *s, int fd, unsigned nth)
{
    (void)s;
    (void)nth;
    (void)raw_read_request(fd);
    raw_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
}

static void announces_too_much(raw_server *s, int fd, unsigned nth)
{
    (void)s;
    (void)nth;
    (void)raw_read_request(fd);
    raw_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 4294967296\r\n\r\n");
    raw_wait_closed(fd);
}

static void sends_too_much(raw_server *s, int fd, unsigned nth)
{
    static const char chunk[4096] = "x";
    ssize_t sent = 1;

    (void)s;
    (void)nth;
    (void)raw_read_request(fd);
    raw_send(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    while (sent > 0) { /* until the client has had enough */
        sent = send(fd, chunk, sizeof chunk, MSG_NOSIGNAL);
    }
}

static void endless_headers(raw_server *s, int fd, unsigned nth)
{
    char line[2048];
    ssize_t sent = 1;

    (void)s;
    (void)nth;
    (void)raw_read_request(fd);
    raw_send(fd, "HTTP/1.1 200 OK\r\n");
    memset(line, 'a', sizeof line);
    memcpy(line, "X: ", 3);
    memcpy(line + sizeof line - 2, "\r\n", 2);
    while (sent > 0) {
        sent = send(fd, line, sizeof line, MSG_NOSIGNAL);
    }
}

static void redirects(raw_server *s, int fd, unsigned nth)
{
    (void)s;
    (void)nth;
    (void)raw_read_request(fd);
    raw_send(fd, "HTTP/1.1 307 Elsewhere\r\nLocation: http://192.0.2.1/\r\n"
                 "Content-Length: 0\r\n\r\n");
    raw_wait_closed(fd);
}

static void never_answers(raw_server *s, int fd, unsigned nth)
{
    (void)s;
    (void)nth;
    raw_wait_closed(fd);
}

static void drips(raw_server *s, int fd, unsigned nth)
{
    const struct timespec pause = {0, 5000000};

    (void)nth;
    (void)s;
    (void)raw_read_request(fd);
    raw_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    while (send(fd, "x", 1, MSG_NOSIGNAL) == 1) {
        (void)nanosleep(&pause, NULL);
    }
}

/* One request to a misbehaving server. */
static void misbehaves(void (*serve_it)(raw_server *, int, unsigned), uint32_t timeout_ms,
                       tdsa_status expected, long code)
{
    raw_server s;
    peer_http *h = client();
    char url[64];
    peer_request r;

    raw_server_start(&s, serve_it);
    url_of(url, "127.0.0.1", s.port, "/");
    r = request(url, "x", 1);
    run_one(h, &r, timeout_ms);
    assert_int_equal(r.status, expected);
    assert_int_equal(r.http_code, code);
    assert_true(r.status == TDSA_OK || r.detail[0] != '\0');
    assert_true(r.status == TDSA_OK || r.reply.len == 0);
    tdsa_buf_clear(&r.reply);
    peer_http_free(h);
    raw_server_stop(&s);
}

static void misbehaving_servers_get_a_clear_verdict(void **state)
{
    (void)state;
    misbehaves(close_at_once, 60000, TDSA_E_UNAVAILABLE, 0);
    misbehaves(garbage, 60000, TDSA_E_BAD_INPUT, 0);
    misbehaves(half_reply, 60000, TDSA_E_UNAVAILABLE, 0);
    misbehaves(announces_too_much, 60000, TDSA_E_BAD_INPUT, 0);
    misbehaves(sends_too_much, 60000, TDSA_E_BAD_INPUT, 0);
    misbehaves(endless_headers, 60000, TDSA_E_UNAVAILABLE, 0);
    misbehaves(redirects, 60000, TDSA_OK, 307);
    misbehaves(never_answers, 500, TDSA_E_TIMEOUT, 0);
    misbehaves(drips, 500, TDSA_E_TIMEOUT, 0);
}

static void a_deadline_of_zero_ends_at_once(void **state)
{
    (void)state;
    misbehaves(never_answers, 0, TDSA_E_TIMEOUT, 0);
}

static void the_request_timeout_of_the_configuration_counts(void **state)
{
    peer_http_cfg quick = default_cfg;
    peer_http *h = NULL;
    raw_server s;
    char url[64];
    peer_request r;
    tdsa_err err;

    (void)state;
    quick.request_timeout_ms = 500;
    assert_int_equal(peer_http_new(&h, &quick, &err), TDSA_OK);
    raw_server_start(&s, never_answers);
    url_of(url, "127.0.0.1", s.port, "/");
    r = request(url, "x", 1);
    run_one(h, &r, 600000);
    assert_int_equal(r.status, TDSA_E_TIMEOUT);
    peer_http_free(h);
    raw_server_stop(&s);
}

static void *cancel_soon(void *ctx)
{
    const struct timespec pause = {0, 50000000};

    (void)nanosleep(&pause, NULL);
    __atomic_store_n((bool *)ctx, true, __ATOMIC_RELEASE);
    return NULL;
}

static void a_cancelled_run_ends(void **state)
{
    bool cancel = false;
    pthread_t thread;
    raw_server s;
    peer_http *h = client();
    char url[64];
    peer_request r;
    peer_request *one = &r;

    (void)state;
    raw_server_start(&s, never_answers);
    url_of(url, "127.0.0.1", s.port, "/");
    r = request(url, "x", 1);
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, &cancel), 0);
    peer_http_run(h, &one, 1, 600000, &cancel, NULL, NULL);
    (void)pthread_join(thread, NULL);
    assert_true(r.done);
    assert_int_equal(r.status, TDSA_E_TIMEOUT);
    assert_non_null(strstr(r.detail, "given up"));
    peer_http_free(h);
    raw_server_stop(&s);
}

/* Answers once, keeps the connection, and closes it when the second request has come. */
static void close_the_second(raw_server *s, int fd, unsigned nth)
{
    (void)s;
    if (raw_read_request(fd)) {
        raw_send(fd, RAW_OK);
        if (nth == 0) {
            (void)raw_read_request(fd);
        } else {
            raw_wait_closed(fd);
        }
    }
}

static void a_dead_kept_connection_is_tried_afresh(void **state)
{
    raw_server s;
    peer_http *h = client();
    char url[64];
    peer_request r;

    (void)state;
    raw_server_start(&s, close_the_second);
    url_of(url, "127.0.0.1", s.port, "/");
    for (int i = 0; i < 2; i++) {
        r = request(url, "x", 1);
        run_one(h, &r, 60000);
        assert_int_equal(r.status, TDSA_OK);
        assert_int_equal(r.http_code, 200);
        tdsa_buf_clear(&r.reply);
    }
    peer_http_free(h);
    raw_server_stop(&s);
    assert_int_equal(s.connections, 2);
}

/* Answers once, keeps the connection, and is silent from then on. */
static void silent_from_the_second(raw_server *s, int fd, unsigned nth)
{
    (void)s;
    (void)nth;
    if (raw_read_request(fd)) {
        raw_send(fd, RAW_OK);
        raw_wait_closed(fd);
    }
}

static void silence_on_a_kept_connection_is_a_timeout_too(void **state)
{
    peer_http_cfg quick = default_cfg;
    peer_http *h = NULL;
    raw_server s;
    char url[64];
    peer_request r;
    tdsa_err err;

    (void)state;
    quick.request_timeout_ms = 500;
    assert_int_equal(peer_http_new(&h, &quick, &err), TDSA_OK);
    raw_server_start(&s, silent_from_the_second);
    url_of(url, "127.0.0.1", s.port, "/");
    r = request(url, "x", 1);
    run_one(h, &r, 60000);
    assert_int_equal(r.status, TDSA_OK);
    tdsa_buf_clear(&r.reply);
    r = request(url, "x", 1);
    run_one(h, &r, 60000);
    assert_int_equal(r.status, TDSA_E_TIMEOUT);
    peer_http_free(h);
    raw_server_stop(&s);
}

/* Answers on one connection until another client, or the same with a new connection, knocks. */
static void answers_until_next(raw_server *s, int fd, unsigned nth)
{
    struct pollfd wait[2] = {{fd, POLLIN, 0}, {s->fd, POLLIN, 0}};

    (void)nth;
    while (poll(wait, 2, -1) > 0 && wait[1].revents == 0 && raw_read_request(fd)) {
        raw_send(fd, RAW_OK);
    }
}

/* Connections that a server saw for two requests with a pause between them. */
static unsigned connections_used(uint32_t keep_alive_ms, long pause_ms)
{
    const struct timespec pause = {0, pause_ms * 1000000};
    peer_http_cfg own = default_cfg;
    peer_http *h = NULL;
    raw_server s;
    char url[64];
    peer_request r;
    tdsa_err err;

    own.keep_alive_ms = keep_alive_ms;
    assert_int_equal(peer_http_new(&h, &own, &err), TDSA_OK);
    raw_server_start(&s, answers_until_next);
    url_of(url, "127.0.0.1", s.port, "/");
    for (int i = 0; i < 2; i++) {
        r = request(url, "x", 1);
        run_one(h, &r, 60000);
        assert_int_equal(r.status, TDSA_OK);
        tdsa_buf_clear(&r.reply);
        (void)nanosleep(&pause, NULL);
    }
    peer_http_free(h);
    raw_server_stop(&s);
    return s.connections;
}

static void connections_are_kept_and_not_beyond_their_age(void **state)
{
    (void)state;
    assert_int_equal(connections_used(30000, 0), 1);
    assert_int_equal(connections_used(0, 0), 2);
    assert_int_equal(connections_used(100, 150), 2);
}

static void not_found(raw_server *s, int fd, unsigned nth)
{
    (void)s;
    (void)nth;
    while (raw_read_request(fd)) {
        raw_send(fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    }
}

/* It may be a stranger at an address that a peer has left. */
static void what_gave_a_strange_answer_is_not_kept(void **state)
{
    raw_server s;
    peer_http *h = client();
    char url[64];
    peer_request r;

    (void)state;
    raw_server_start(&s, not_found);
    url_of(url, "127.0.0.1", s.port, "/");
    for (int i = 0; i < 2; i++) {
        r = request(url, "x", 1);
        run_one(h, &r, 60000);
        assert_int_equal(r.status, TDSA_OK);
        assert_int_equal(r.http_code, 404);
        tdsa_buf_clear(&r.reply);
    }
    peer_http_free(h);
    raw_server_stop(&s);
    assert_int_equal(s.connections, 2);
}

/* A server with a full queue of connections drops the packets that ask for more. */
static void a_connection_that_is_not_made_is_no_timeout(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int first = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    peer_http *h = client();
    char url[64];
    peer_request r;

    (void)state;
    assert_int_equal(bind(server, (const void *)&a, sizeof a), 0);
    assert_int_equal(listen(server, 0), 0);
    assert_int_equal(getsockname(server, (void *)&a, &len), 0);
    assert_int_equal(connect(first, (const void *)&a, sizeof a), 0);
    url_of(url, "127.0.0.1", ntohs(a.sin_port), "/");
    r = request(url, "x", 1);
    run_one(h, &r, 200);
    assert_int_equal(r.status, TDSA_E_UNAVAILABLE);
    assert_non_null(strstr(r.detail, "no connection in time"));
    peer_http_free(h);
    (void)close(first);
    (void)close(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(misbehaving_servers_get_a_clear_verdict),
        cmocka_unit_test(a_deadline_of_zero_ends_at_once),
        cmocka_unit_test(the_request_timeout_of_the_configuration_counts),
        cmocka_unit_test(a_cancelled_run_ends),
        cmocka_unit_test(a_dead_kept_connection_is_tried_afresh),
        cmocka_unit_test(silence_on_a_kept_connection_is_a_timeout_too),
        cmocka_unit_test(connections_are_kept_and_not_beyond_their_age),
        cmocka_unit_test(what_gave_a_strange_answer_is_not_kept),
        cmocka_unit_test(a_connection_that_is_not_made_is_no_timeout),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
