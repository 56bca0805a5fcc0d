#include "unit/peer/exchange_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "http/http.h"

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

static size_t count_dir(const char *path)
{
    DIR *d = opendir(path);
    size_t n = 0;

    assert_non_null(d);
    while (readdir(d) != NULL) {
        n++;
    }
    (void)closedir(d);
    return n;
}

/* Two requests that each wait for the other can only end together. */
static http_request *met;
static pthread_mutex_t met_lock = PTHREAD_MUTEX_INITIALIZER;
static size_t tasks_during;

static void meet(void *ctx, http_request *r)
{
    http_request *other = NULL;

    (void)ctx;
    (void)pthread_mutex_lock(&met_lock);
    other = met;
    met = other == NULL ? r : NULL;
    tasks_during = count_dir("/proc/self/task");
    (void)pthread_mutex_unlock(&met_lock);
    if (other != NULL) {
        http_reply(other, 200, NULL, "1", 1);
        http_reply(r, 200, NULL, "2", 1);
    }
}

static const http_route meet_routes[] = {{"POST", "/*", meet, 0, NULL}};

static void count_done(void *ctx, peer_request *r)
{
    assert_true(r->done);
    (*(size_t *)ctx)++;
}

static void two_requests_run_at_the_same_time(void **state)
{
    const http_cfg http = {.name = "test",
                           .host = "127.0.0.1",
                           .body_max = 100,
                           .routes = meet_routes,
                           .route_count = 1};
    http_server *s = NULL;
    peer_http *h = client();
    char url[64];
    peer_request a, b;
    peer_request *both[2] = {&a, &b};
    size_t ended = 0;
    tdsa_err err;

    (void)state;
    assert_int_equal(http_server_start(&s, &http, &err), TDSA_OK);
    url_of(url, "127.0.0.1", http_server_port(s), "/x");
    a = request(url, "a", 1);
    b = request(url, "b", 1);
    peer_http_run(h, both, 2, 5000, NULL, count_done, &ended);
    assert_int_equal(ended, 2);
    assert_int_equal(a.status, TDSA_OK);
    assert_int_equal(b.status, TDSA_OK);
    assert_int_equal(a.reply.len + b.reply.len, 2);
    tdsa_buf_clear(&a.reply);
    tdsa_buf_clear(&b.reply);
    peer_http_free(h);
    http_server_free(s);
}

/* A name that resolves to this host, if there is one beside "localhost", which is special to
 * libcurl. */
static void name_of_this_host(char *out, size_t cap)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;

    if (gethostname(out, cap) != 0 || getaddrinfo(out, NULL, &hints, &found) != 0) {
        (void)snprintf(out, cap, "localhost");
        return;
    }
    freeaddrinfo(found);
}

/* From here on the kernel refuses to make threads for the calling thread. */
static bool forbid_threads(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

typedef struct {
    char url[512];
    bool forbidden, none_made, all_ok;
} no_threads;

static void *nothing(void *ctx)
{
    return ctx;
}

static void *run_without_threads(void *ctx)
{
    no_threads *t = ctx;
    peer_http *h = client();
    const size_t before = count_dir("/proc/self/task");
    pthread_t thread;

    t->forbidden = forbid_threads() && pthread_create(&thread, NULL, nothing, NULL) != 0;
    t->none_made = true;
    t->all_ok = true;
    for (int i = 0; i < 3; i++) {
        peer_request a = request(t->url, "a", 1);
        peer_request b = request(t->url, "b", 1);
        peer_request *both[2] = {&a, &b};

        peer_http_run(h, both, 2, 60000, NULL, NULL, NULL);
        t->all_ok = t->all_ok && a.status == TDSA_OK && b.status == TDSA_OK;
        t->none_made = t->none_made && tasks_during == before;
        tdsa_buf_clear(&a.reply);
        tdsa_buf_clear(&b.reply);
    }
    peer_http_free(h);
    return NULL;
}

/* libcurl starts a thread for a name that it has to resolve itself. */
static void no_thread_is_made_even_for_a_name(void **state)
{
    const http_cfg http = {
        .name = "test", .body_max = 100, .routes = meet_routes, .route_count = 1};
    char host[256] = "";
    http_server *s = NULL;
    no_threads t = {.forbidden = false};
    pthread_t thread;
    tdsa_err err;

    (void)state;
    name_of_this_host(host, sizeof host);
    assert_int_equal(http_server_start(&s, &http, &err), TDSA_OK);
    (void)snprintf(t.url, sizeof t.url, "http://%s:%u/x", host, http_server_port(s));
    assert_int_equal(pthread_create(&thread, NULL, run_without_threads, &t), 0);
    (void)pthread_join(thread, NULL);
    assert_true(t.all_ok);
    assert_true(t.none_made);
    if (!t.forbidden) {
        print_message("no seccomp here: threads were only counted\n");
    }
    http_server_free(s);
}

static void an_unknown_name_is_unavailable(void **state)
{
    peer_http *h = client();
    peer_request r = request("http://no-such-host.invalid/", "", 0);

    (void)state;
    run_one(h, &r, 20000);
    assert_int_equal(r.status, TDSA_E_UNAVAILABLE);
    assert_non_null(strstr(r.detail, "no-such-host.invalid"));
    peer_http_free(h);
}

static void a_refused_connection_is_unavailable_at_once(void **state)
{
    uint16_t port = 0;
    http_server *s = serve(&port, "127.0.0.1");
    peer_http *h = client();
    char url[64];
    peer_request r;

    (void)state;
    http_server_free(s); /* nobody listens there now */
    url_of(url, "127.0.0.1", port, "/");
    r = request(url, "x", 1);
    run_one(h, &r, 600000);
    assert_int_equal(r.status, TDSA_E_UNAVAILABLE);
    assert_non_null(strstr(r.detail, "127.0.0.1"));
    assert_int_equal(r.http_code, 0);
    peer_http_free(h);
}

static void bad_urls_and_sessions_are_refused(void **state)
{
    peer_http *h = client();
    peer_request r = request("ftp://127.0.0.1/", "", 0);

    (void)state;
    run_one(h, &r, 1000);
    assert_int_equal(r.status, TDSA_E_CONFIG);
    r = request("file:///etc/passwd", "", 0);
    run_one(h, &r, 1000);
    assert_int_equal(r.status, TDSA_E_CONFIG);
    r = request("http://user:secret@127.0.0.1/", "", 0);
    run_one(h, &r, 1000);
    assert_int_equal(r.status, TDSA_E_CONFIG);
    assert_null(strstr(r.detail, "secret"));
    r = request("http://localhost.:80/", "", 0); /* libcurl would look it up without the dot */
    run_one(h, &r, 1000);
    assert_int_equal(r.status, TDSA_E_CONFIG);
    r = request("http://127.0.0.1/", "", 0);
    r.session_id = "0123456789abcdef\r\nX-Evil: 1";
    run_one(h, &r, 1000);
    assert_int_equal(r.status, TDSA_E_BAD_INPUT);
    peer_http_free(h);
}

typedef struct {
    peer_http *h;
    char url[64];
    unsigned ok;
} worker;

static void *work(void *ctx)
{
    worker *w = ctx;

    for (unsigned i = 0; i < 100; i++) {
        peer_request a = request(w->url, "abc", 3);
        peer_request b = request(w->url, "defg", 4);
        peer_request *both[2] = {&a, &b};

        peer_http_run(w->h, both, 2, 60000, NULL, NULL, NULL);
        w->ok += a.status == TDSA_OK && b.status == TDSA_OK && a.reply.len == 3 &&
                 b.reply.len == 4 && memcmp(a.reply.data, "abc", 3) == 0;
        tdsa_buf_clear(&a.reply);
        tdsa_buf_clear(&b.reply);
    }
    return NULL;
}

static void many_threads_share_one_pool(void **state)
{
    uint16_t port = 0;
    http_server *s = serve(&port, "127.0.0.1");
    peer_http *h = client();
    worker w[8];
    pthread_t threads[8];

    (void)state;
    for (int i = 0; i < 8; i++) {
        w[i] = (worker){.h = h, .ok = 0};
        url_of(w[i].url, "127.0.0.1", port, "/protocol/round");
        assert_int_equal(pthread_create(&threads[i], NULL, work, &w[i]), 0);
    }
    for (int i = 0; i < 8; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_int_equal(w[i].ok, 100);
    }
    peer_http_free(h);
    http_server_free(s);
}

static void more_requests_than_one_run_takes_are_refused(void **state)
{
    peer_http *h = client();
    peer_request r[65];
    peer_request *all[65];

    (void)state;
    for (size_t i = 0; i < 65; i++) {
        r[i] = request("http://127.0.0.1:1/", "", 0);
        all[i] = &r[i];
    }
    peer_http_run(h, all, 65, 1000, NULL, NULL, NULL);
    assert_int_equal(r[64].status, TDSA_E_LIMIT);
    peer_http_run(h, all, 0, 1000, NULL, NULL, NULL);
    peer_http_run(h, all, 64, 10000, NULL, NULL, NULL);
    assert_int_equal(r[0].status, TDSA_E_UNAVAILABLE);
    assert_int_equal(r[63].status, TDSA_E_UNAVAILABLE);
    peer_http_free(h);
}

/* More peers than slots: idle handles make room. */
static void many_urls_take_turns(void **state)
{
    uint16_t port = 0;
    http_server *s = serve(&port, "127.0.0.1");
    peer_http *h = client();

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        char url[64];
        peer_request r;

        (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/protocol/round?%u", port, i);
        r = request(url, "x", 1);
        run_one(h, &r, 60000);
        assert_int_equal(r.status, TDSA_OK);
        tdsa_buf_clear(&r.reply);
    }
    peer_http_free(h);
    http_server_free(s);
}

static void the_environment_changes_nothing(void **state)
{
    uint16_t port = 0;
    http_server *s = serve(&port, "127.0.0.1");
    peer_http *h = NULL;
    char url[64];
    peer_request r;

    (void)state;
    assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
    assert_int_equal(setenv("all_proxy", "http://127.0.0.1:1", 1), 0);
    h = client();
    url_of(url, "127.0.0.1", port, "/protocol/round");
    r = request(url, "x", 1);
    run_one(h, &r, 60000);
    assert_int_equal(r.status, TDSA_OK);
    assert_int_equal(unsetenv("http_proxy"), 0);
    assert_int_equal(unsetenv("all_proxy"), 0);
    tdsa_buf_clear(&r.reply);
    peer_http_free(h);
    http_server_free(s);
}

/* The OpenSSL flavour of libcurl reads the host application's OpenSSL configuration. */
static void libcurl_is_the_gnutls_flavour(void **state)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    bool gnutls = false;
    char line[512];

    (void)state;
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps) != NULL) {
        gnutls = gnutls || strstr(line, "/libcurl-gnutls.so") != NULL;
        assert_null(strstr(line, "/libcurl.so"));
        assert_null(strstr(line, "/libssl.so"));
    }
    (void)fclose(maps);
    assert_true(gnutls);
}

static void an_unreadable_certificate_file_is_a_configuration_error(void **state)
{
    peer_http_cfg own = default_cfg;
    peer_http *h = NULL;
    tdsa_err err;

    (void)state;
    (void)snprintf(own.ca_file, sizeof own.ca_file, "/no/such/file.pem");
    assert_int_equal(peer_http_new(&h, &own, &err), TDSA_E_CONFIG);
    assert_null(h);
    assert_non_null(strstr(err.text, "/no/such/file.pem"));
}

/* Descriptors of this process that are sockets, and those of them that a started program keeps. */
static void count_sockets(unsigned *all, unsigned *kept_on_exec)
{
    *all = 0;
    *kept_on_exec = 0;
    for (int fd = 0; fd < 1024; fd++) {
        struct stat st;

        if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode)) {
            (*all)++;
            *kept_on_exec += (fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0;
        }
    }
}

/* Exit code of a child that gave the inherited client up. */
static int child_after_fork(peer_http *h, const char *url, unsigned sockets_before)
{
    unsigned all = 0;
    unsigned kept = 0;
    peer_http *own = NULL;
    peer_request r = request(url, "child", 5);
    peer_request *one = &r;
    tdsa_err err;

    peer_http_abandon(h);
    count_sockets(&all, &kept);
    if (all != sockets_before) {
        return 2;
    }
    if (peer_http_new(&own, &default_cfg, &err) != TDSA_OK) {
        return 3;
    }
    peer_http_run(own, &one, 1, 60000, NULL, NULL, NULL);
    return r.status == TDSA_OK && r.reply.len == 5 ? 0 : 4;
}

static void a_forked_child_closes_and_the_parent_goes_on(void **state)
{
    uint16_t port = 0;
    http_server *s = NULL;
    peer_http *h = client();
    char url[64];
    peer_request r;
    unsigned before = 0;
    unsigned after = 0;
    unsigned kept_before = 0;
    unsigned kept_after = 0;
    int status = -1;
    pid_t pid = 0;

    (void)state;
    s = serve(&port, "127.0.0.1");
    count_sockets(&before, &kept_before);
    url_of(url, "127.0.0.1", port, "/protocol/round");
    r = request(url, "x", 1);
    run_one(h, &r, 60000);
    assert_int_equal(r.status, TDSA_OK);
    tdsa_buf_clear(&r.reply);
    count_sockets(&after, &kept_after);
    assert_true(after > before);
    assert_int_equal(kept_after, kept_before); /* ours all close on exec */
    pid = fork();
    if (pid == 0) {
        /* the connection's other end belongs to the server, which this process forked along */
        _exit(child_after_fork(h, url, after - 3));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    r = request(url, "again", 5);
    run_one(h, &r, 60000);
    assert_int_equal(r.status, TDSA_OK);
    assert_int_equal(r.reply.len, 5);
    tdsa_buf_clear(&r.reply);
    peer_http_free(h);
    http_server_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_goes_out_and_the_reply_comes_back),
        cmocka_unit_test(an_error_code_is_an_answer),
        cmocka_unit_test(two_requests_run_at_the_same_time),
        cmocka_unit_test(no_thread_is_made_even_for_a_name),
        cmocka_unit_test(an_unknown_name_is_unavailable),
        cmocka_unit_test(a_refused_connection_is_unavailable_at_once),
        cmocka_unit_test(bad_urls_and_sessions_are_refused),
        cmocka_unit_test(many_threads_share_one_pool),
        cmocka_unit_test(more_requests_than_one_run_takes_are_refused),
        cmocka_unit_test(many_urls_take_turns),
        cmocka_unit_test(the_environment_changes_nothing),
        cmocka_unit_test(a_forked_child_closes_and_the_parent_goes_on),
        cmocka_unit_test(libcurl_is_the_gnutls_flavour),
        cmocka_unit_test(an_unreadable_certificate_file_is_a_configuration_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
