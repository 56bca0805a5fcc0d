#include "unit/service/http/http_fixture.h"

#include <sys/wait.h>

static void say_what_came(void *ctx, http_request *r)
{
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    size_t len = 0;
    const char *q = http_request_query(r, "q");
    const char *header = http_request_header(r, "x-test");
    const uint8_t *body = http_request_body(r, &len);

    (void)ctx;
    tdsa_buf_appendf(&out, "%s|%s|%s|%s|%s|%s|%.*s", http_request_method(r), http_request_path(r),
                     http_request_param(r, 0), http_request_param(r, 1), q == NULL ? "-" : q,
                     header == NULL ? "-" : header, (int)len, (const char *)body);
    http_set_header(r, "X-Tag", http_request_tag(r) == NULL ? "none" : http_request_tag(r));
    http_reply(r, 200, "text/plain", out.data, out.len);
}

static void say_peer(void *ctx, http_request *r)
{
    (void)ctx;
    http_reply(r, 200, "text/plain", http_request_peer(r), strlen(http_request_peer(r)));
}

static void say_id(void *ctx, http_request *r)
{
    (void)ctx;
    http_reply(r, 200, "text/plain", http_request_id(r), strlen(http_request_id(r)));
}

static void say_error(void *ctx, http_request *r)
{
    (void)ctx;
    http_reply_error(r, 422, "quote \" backslash \\ line\n bad \xff good \xc3\xa9", "more");
}

static void set_many_headers(void *ctx, http_request *r)
{
    (void)ctx;
    http_set_header(r, "X-Evil", "a\r\nX-Injected: 1");
    http_set_header(r, "X-Evil\r\n", "a");
    http_set_header(r, "", "a");
    for (int i = 0; i < 20; i++) {
        char name[16];

        (void)snprintf(name, sizeof name, "X-%d", i);
        http_set_header(r, name, "v");
    }
    http_reply(r, 204, NULL, NULL, 0);
}

static const http_route routes[] = {
    {"GET", "/", say_what_came, 0, NULL},
    {"GET", "/v1/keys/{}", say_what_came, 0, "key"},
    {"DELETE", "/v1/keys/{}", say_what_came, 0, NULL},
    {"POST", "/v1/keys/{}/sign/{}", say_what_came, 10, NULL},
    {"POST", "/body", say_what_came, 0, NULL},
    {"GET", "/docs/*", say_what_came, 0, NULL},
    {"GET", "/peer", say_peer, 0, NULL},
    {"GET", "/id", say_id, 0, NULL},
    {"GET", "/error", say_error, 0, NULL},
    {"GET", "/headers", set_many_headers, 0, NULL},
    {NULL, "/any", say_what_came, 0, NULL},
};

static http_server *server;
static uint16_t port;

#define OBSERVED "/v1/keys/observed"
static http_done observed; /* requests of other tests may end late */
static pthread_mutex_t done_lock = PTHREAD_MUTEX_INITIALIZER;

static void on_done(void *ctx, const http_done *done)
{
    (void)ctx;
    if (strcmp(done->path, OBSERVED) == 0) {
        (void)pthread_mutex_lock(&done_lock);
        observed = *done;
        (void)pthread_mutex_unlock(&done_lock);
    }
}

static int start_server(void **state)
{
    const http_cfg cfg = {.name = "test",
                          .host = "localhost",
                          .threads = 2,
                          .header_max = 2048,
                          .body_max = 1000,
                          .io_timeout_ms = 20000,
                          .routes = routes,
                          .route_count = sizeof routes / sizeof *routes,
                          .observer = on_done};
    tdsa_err err;

    (void)state;
    if (http_server_start(&server, &cfg, &err) != TDSA_OK) {
        print_error("%s\n", err.text);
        return 1;
    }
    port = http_server_port(server);
    return 0;
}

static int stop_server(void **state)
{
    (void)state;
    http_server_free(server);
    return 0;
}

static answer get(const char *path)
{
    char text[4096];

    (void)snprintf(text, sizeof text, "GET %s HTTP/1.1\r\n" SERVER_ID "\r\n", path);
    return ask(port, text);
}

static void routes_are_found(void **state)
{
    answer a;

    (void)state;
    assert_string_equal(get("/").body, "GET|/|||-|-|");
    a = get("/v1/keys/abc?q=1");
    assert_string_equal(a.body, "GET|/v1/keys/abc|abc||1|-|");
    assert_string_equal(answer_header(&a, "X-Tag"), "key");
    assert_string_equal(answer_header(&a, "Content-Type"), "text/plain");
    a = ask(port, "POST /v1/keys/a/sign/b HTTP/1.1\r\n" SERVER_ID
                  "X-TEST: yes\r\nContent-Length: 4\r\n\r\nbody");
    assert_string_equal(a.body, "POST|/v1/keys/a/sign/b|a|b|-|yes|body");
    assert_string_equal(get("/docs/").body, "GET|/docs/|||-|-|");
    assert_string_equal(get("/docs/a/b.html").body, "GET|/docs/a/b.html|a/b.html||-|-|");
    assert_string_equal(ask(port, "PURGE /any HTTP/1.1\r\n" SERVER_ID "\r\n").body,
                        "PURGE|/any|||-|-|");
}

static void absolute_targets_are_taken(void **state)
{
    (void)state;
    assert_string_equal(get("http://any.host:1/v1/keys/abc?q=1").body,
                        "GET|/v1/keys/abc|abc||1|-|");
    assert_string_equal(get("HTTPS://any.host").body, "GET|/|||-|-|");
    assert_int_equal(get("http://any.host?q=1").status, 404); /* an empty path is no path here */
    assert_int_equal(get("ftp://any.host/").status, 404);
}

static void unknown_paths_are_404_in_json(void **state)
{
    const char *paths[] = {"/nope",    "/v1/keys",        "/v1/keys/", "/v1/keys/a/",     "//",
                           "/v1//abc", "/v1/keys/a/sign", "/docs",     "/v1/keys/a/sign/"};

    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        const answer a = get(paths[i]);

        assert_int_equal(a.status, 404);
        assert_string_equal(a.body, "{\"code\":404,\"message\":\"Not Found\"}");
        assert_string_equal(answer_header(&a, "Content-Type"), "application/json");
    }
    assert_int_equal(ask(port, "OPTIONS * HTTP/1.1\r\n" SERVER_ID "\r\n").status, 404);
}

static void a_wrong_method_is_405_with_allow(void **state)
{
    answer a = ask(port, "PUT /v1/keys/a HTTP/1.1\r\n" SERVER_ID "Content-Length: 3\r\n\r\nabc");

    (void)state;
    assert_int_equal(a.status, 405);
    assert_string_equal(answer_header(&a, "Allow"), "GET, HEAD, DELETE");
    a = ask(port, "BREW /body HTTP/1.1\r\n" SERVER_ID "\r\n");
    assert_int_equal(a.status, 405);
    assert_string_equal(answer_header(&a, "Allow"), "POST");
}

static void head_has_the_length_and_no_body(void **state)
{
    const int fd = dial(port);
    answer a;

    (void)state;
    tell(fd, "HEAD /v1/keys/a HTTP/1.1\r\n" SERVER_ID "\r\nGET / HTTP/1.1\r\n" SERVER_ID "\r\n");
    a = hear(fd, true);
    assert_int_equal(a.status, 200);
    assert_string_equal(answer_header(&a, "Content-Length"), "23");
    assert_string_equal(hear(fd, false).body, "GET|/|||-|-|"); /* nothing in between */
    (void)close(fd);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    const int fd = dial(port);

    (void)state;
    tell(fd, "GET /v1/keys/1 HTTP/1.1\r\n" SERVER_ID "\r\n"
             "POST /body HTTP/1.1\r\n" SERVER_ID "Content-Length: 2\r\n\r\nxy"
             "GET /nope HTTP/1.1\r\n" SERVER_ID "\r\n"
             "GET /v1/keys/2 HTTP/1.1\r\n" SERVER_ID "\r\n");
    assert_string_equal(hear(fd, false).body, "GET|/v1/keys/1|1||-|-|");
    assert_string_equal(hear(fd, false).body, "POST|/body|||-|-|xy");
    assert_int_equal(hear(fd, false).status, 404);
    assert_string_equal(hear(fd, false).body, "GET|/v1/keys/2|2||-|-|");
    (void)close(fd);
}

static void escapes_are_decoded_once_and_slashes_refused(void **state)
{
    (void)state;
    assert_string_equal(get("/v1/keys/a%20b%2541?x=1&q=%3D+%2f&q=2").body,
                        "GET|/v1/keys/a%20b%2541|a b%41||= /|-|");
    assert_string_equal(get("/?q").body, "GET|/||||-|");
    assert_string_equal(get("/?&&=&q=a=b").body, "GET|/|||a=b|-|");
    assert_int_equal(get("/v1/keys/a%2Fb").status, 400);
    assert_int_equal(get("/v1/keys/a%00b").status, 400);
    assert_int_equal(get("/v1/keys/a%4").status, 400);
    assert_int_equal(get("/v1/keys/a%").status, 400);
    assert_int_equal(get("/v1/keys/a%zz").status, 400);
    assert_int_equal(get("/?q=%").status, 400);
    assert_int_equal(get("/?q=%00").status, 400);
}

static void long_headers_are_431(void **state)
{
    static char text[40000];

    (void)state;
    for (size_t len = 1100; len < 30000; len = len * 2) {
        answer a;

        memset(text, 0, sizeof text);
        (void)snprintf(text, sizeof text, "GET / HTTP/1.1\r\n" SERVER_ID "X-Long: ");
        memset(text + strlen(text), 'x', len);
        memcpy(text + strlen(text), "\r\n\r\n", 4);
        a = ask(port, text);
        assert_int_equal(a.status, len < 2000 ? 200 : 431);
    }
}

static void a_long_body_is_413_and_the_connection_lives_on(void **state)
{
    const int fd = dial(port);
    static char text[2000];
    answer a;

    (void)state;
    (void)snprintf(text, sizeof text,
                   "POST /body HTTP/1.1\r\n" SERVER_ID "Content-Length: 1001\r\n\r\n");
    memset(text + strlen(text), 'x', 1001);
    tell(fd, text);
    a = hear(fd, false);
    assert_int_equal(a.status, 413);
    assert_non_null(strstr(a.body, "\"code\":413"));
    /* the limit of a route */
    tell(fd, "POST /v1/keys/a/sign/b HTTP/1.1\r\n" SERVER_ID "Content-Length: 11\r\n\r\n"
             "01234567890");
    assert_int_equal(hear(fd, false).status, 413);
    tell(fd, "POST /body HTTP/1.1\r\n" SERVER_ID "Content-Length: 11\r\n\r\n01234567890");
    assert_int_equal(hear(fd, false).status, 200);
    (void)close(fd);
}

static void a_huge_announced_body_is_413_at_once(void **state)
{
    const int fd = dial(port);

    (void)state;
    tell(fd, "POST /body HTTP/1.1\r\n" SERVER_ID "Content-Length: 99999999999\r\n\r\n");
    assert_int_equal(hear(fd, false).status, 413);
    assert_true(is_closed(fd));
    (void)close(fd);
}

static void expect_continue_is_refused_before_the_body(void **state)
{
    const int fd = dial(port);

    (void)state;
    tell(fd, "POST /body HTTP/1.1\r\n" SERVER_ID
             "Expect: 100-continue\r\nContent-Length: 1001\r\n\r\n");
    assert_int_equal(hear(fd, false).status, 413);
    (void)close(fd);
}

static void chunked_bodies_have_the_same_limit(void **state)
{
    int fd = dial(port);
    answer a;

    (void)state;
    tell(fd, "POST /body HTTP/1.1\r\n" SERVER_ID "Transfer-Encoding: chunked\r\n\r\n"
             "3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\n\r\n");
    a = hear(fd, false);
    assert_string_equal(a.body, "POST|/body|||-|-|abcde");
    tell(fd, "POST /body HTTP/1.1\r\n" SERVER_ID "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 20; i++) {
        tell(fd, "40\r\n0123456789012345678901234567890123456789012345678901234567890123\r\n");
    }
    tell(fd, "0\r\n\r\n");
    assert_int_equal(hear(fd, false).status, 413);
    (void)close(fd);
}

static void endless_chunks_are_cut(void **state)
{
    static const char chunk[] =
        "40\r\n0123456789012345678901234567890123456789012345678901234567890123\r\n";
    const int fd = dial(port);
    size_t sent = 0;

    (void)state;
    tell(fd, "POST /body HTTP/1.1\r\n" SERVER_ID "Transfer-Encoding: chunked\r\n\r\n");
    while (send(fd, chunk, sizeof chunk - 1, MSG_NOSIGNAL) > 0) {
        sent += sizeof chunk;
        assert_true(sent < 64u << 20);
    }
    (void)close(fd);
}

static void contradictory_lengths_are_400(void **state)
{
    const char *bad[] = {"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
                         "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
                         "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                         "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
                         "Content-Length: -3\r\n\r\nabc",
                         "Content-Length: 3x\r\n\r\nabc",
                         "Content-Length: 99999999999999999999999999\r\n\r\nabc"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[512];
        int status = 0;

        (void)snprintf(text, sizeof text, "POST /body HTTP/1.1\r\n" SERVER_ID "%s", bad[i]);
        status = ask(port, text).status;
        if (status != 400 && status != 413) { /* libmicrohttpd has its own word on numbers */
            fail_msg("%s: %d", bad[i], status);
        }
    }
}

/* What the next server and this one could read as two different requests. */
static void ambiguous_headers_are_refused_and_the_connection_ends(void **state)
{
    static const struct {
        const char *headers;
        int status;
    } bad[] = {{"Content-Length : 36\r\n", 400},
               {"Content-Length\t: 36\r\n", 400},
               {"Transfer-Encoding : chunked\r\n", 400},
               {"Host: other\r\n", 400},
               {"Transfer-Encoding: gzip\r\n", 501},
               {"Transfer-Encoding: xchunked\r\n", 501},
               {"Transfer-Encoding: gzip, chunked\r\n", 501},
               {"Transfer-Encoding: identity\r\n", 501}};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const int fd = dial(port);
        char text[512];
        answer a;

        (void)snprintf(text, sizeof text,
                       "POST /body HTTP/1.1\r\n" SERVER_ID "%s\r\nGET /peer HTTP/1.1\r\n" SERVER_ID
                       "\r\n",
                       bad[i].headers);
        tell(fd, text);
        a = hear(fd, false);
        if (a.status != bad[i].status) {
            fail_msg("%s: %d", bad[i].headers, a.status);
        }
        assert_int_equal(hear(fd, false).status, 0); /* what follows is not a request */
        (void)close(fd);
    }
}

static void garbage_is_refused_and_harms_nobody(void **state)
{
    const char *bad[] = {"\r\n\r\n\r\n",
                         "GET\r\n\r\n",
                         "GET / HTTP/9.9\r\n\r\n",
                         "GET / HTTP/1.1\r\n\r\n", /* no Host */
                         "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
                         "GET / HTTP/1.1\r\n: x\r\n\r\n"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const int fd = dial(port);

        struct pollfd wait = {fd, POLLIN, 0};

        tell(fd, bad[i]);
        (void)poll(&wait, 1, 50); /* an answer, the end, or neither: all are well */
        (void)close(fd);
    }
    assert_int_equal(get("/").status, 200);
}

static void errors_are_valid_json(void **state)
{
    const answer a = get("/error");

    (void)state;
    assert_int_equal(a.status, 422);
    assert_string_equal(a.body,
                        "{\"code\":422,\"message\":\"quote \\\" backslash \\\\ line\\u000a bad "
                        "\\ufffd good \xc3\xa9\",\"details\":\"more\"}");
}

static void headers_cannot_be_injected_and_are_limited(void **state)
{
    const answer a = get("/headers");

    (void)state;
    assert_int_equal(a.status, 204);
    assert_null(answer_header(&a, "X-Evil"));
    assert_null(answer_header(&a, "X-Injected"));
    assert_non_null(answer_header(&a, "X-15"));
    assert_null(answer_header(&a, "X-16"));
    assert_null(answer_header(&a, "Content-Type"));
}

static void the_client_is_known_by_address_and_id(void **state)
{
    char first[128];

    (void)state;
    assert_string_equal(get("/peer").body, "127.0.0.1");
    (void)snprintf(first, sizeof first, "%.100s", get("/id").body);
    assert_true(strlen(first) > 16);
    assert_string_not_equal(get("/id").body, first);
    assert_string_equal(
        ask(port, "GET /id HTTP/1.1\r\n" SERVER_ID "X-Request-Id: my.own_id-1\r\n\r\n").body,
        "my.own_id-1");
    assert_string_not_equal(
        ask(port, "GET /id HTTP/1.1\r\n" SERVER_ID "X-Request-Id: <script>\r\n\r\n").body,
        "<script>");
}

static void the_observer_hears_of_every_request(void **state)
{
    http_done done = {.status = 0};

    (void)state;
    assert_int_equal(get(OBSERVED).status, 200);
    for (int i = 0; i < 3000 && done.status == 0; i++) {
        pause_ms(10);
        (void)pthread_mutex_lock(&done_lock);
        done = observed;
        (void)pthread_mutex_unlock(&done_lock);
    }
    assert_int_equal(done.status, 200);
    assert_ptr_equal(done.route, &routes[1]);
    assert_int_equal(done.reply_len, strlen("GET|" OBSERVED "|observed||-|-|"));
}

static void curl_gets_along_with_it(void **state)
{
    char command[512];
    char out[512] = "";
    char port_text[16];
    int pipe_fd[2];
    pid_t pid = 0;
    size_t len = 0;
    ssize_t n = 1;

    (void)state;
    (void)snprintf(port_text, sizeof port_text, "%u", port);
    (void)snprintf(command, sizeof command, "http://127.0.0.1:%u/v1/keys/k/sign/p?q=%%41", port);
    assert_int_equal(pipe(pipe_fd), 0);
    pid = fork();
    if (pid == 0) {
        (void)dup2(pipe_fd[1], STDOUT_FILENO);
        (void)execlp("curl", "curl", "-sS", "-m", "20", "--data-binary", "0123456789", "-H",
                     "Transfer-Encoding: chunked", command, (char *)NULL);
        _exit(127);
    }
    (void)close(pipe_fd[1]);
    while (n > 0 && len < sizeof out - 1) {
        n = read(pipe_fd[0], out + len, sizeof out - 1 - len);
        len += n > 0 ? (size_t)n : 0;
    }
    (void)close(pipe_fd[0]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_string_equal(out, "POST|/v1/keys/k/sign/p|k|p|A|-|0123456789");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes_are_found),
        cmocka_unit_test(absolute_targets_are_taken),
        cmocka_unit_test(unknown_paths_are_404_in_json),
        cmocka_unit_test(a_wrong_method_is_405_with_allow),
        cmocka_unit_test(head_has_the_length_and_no_body),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(escapes_are_decoded_once_and_slashes_refused),
        cmocka_unit_test(long_headers_are_431),
        cmocka_unit_test(a_long_body_is_413_and_the_connection_lives_on),
        cmocka_unit_test(a_huge_announced_body_is_413_at_once),
        cmocka_unit_test(expect_continue_is_refused_before_the_body),
        cmocka_unit_test(chunked_bodies_have_the_same_limit),
        cmocka_unit_test(endless_chunks_are_cut),
        cmocka_unit_test(contradictory_lengths_are_400),
        cmocka_unit_test(ambiguous_headers_are_refused_and_the_connection_ends),
        cmocka_unit_test(garbage_is_refused_and_harms_nobody),
        cmocka_unit_test(errors_are_valid_json),
        cmocka_unit_test(headers_cannot_be_injected_and_are_limited),
        cmocka_unit_test(the_client_is_known_by_address_and_id),
        cmocka_unit_test(the_observer_hears_of_every_request),
        cmocka_unit_test(curl_gets_along_with_it),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
