#include "http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int connect_to(uint16_t port)
{
    struct sockaddr_in a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memset(&a, 0, sizeof a);
    a.sin_family = AF_INET;
    a.sin_port = htons(port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void send_all(int fd, const void *data, size_t len)
{
    const char *p = (const char *)data;

    while (len > 0) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

        assert_true(n > 0);
        p += n;
        len -= (size_t)n;
    }
}

void test_http(test_answer *out, uint16_t port, const char *method, const char *target,
               const char *headers, const void *body, size_t body_len)
{
    char all[sizeof out->head + sizeof out->body];
    char head[4096];
    size_t len = 0;
    const char *split;
    int fd = connect_to(port);
    int n = snprintf(head, sizeof head,
                     "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                     "Content-Length: %zu\r\n%s\r\n",
                     method, target, body_len, headers);

    assert_true(n > 0 && (size_t)n < sizeof head);
    send_all(fd, head, (size_t)n);
    send_all(fd, body, body_len);
    for (;;) {
        ssize_t got = recv(fd, all + len, sizeof all - 1 - len, 0);

        assert_true(got >= 0);
        if (got == 0) {
            break;
        }
        len += (size_t)got;
    }
    (void)close(fd);
    all[len] = '\0';
    memset(out, 0, sizeof *out);
    split = strstr(all, "\r\n\r\n");
    assert_non_null(split);
    assert_true((size_t)(split - all) < sizeof out->head);
    memcpy(out->head, all, (size_t)(split - all));
    out->body_len = len - (size_t)(split + 4 - all);
    memcpy(out->body, split + 4, out->body_len);
    assert_int_equal(strncmp(out->head, "HTTP/1.1 ", 9), 0);
    out->status = (unsigned)strtoul(out->head + 9, NULL, 10);
}

void test_json(test_answer *out, uint16_t port, const char *method, const char *target,
               const char *body)
{
    test_http(out, port, method, target, body != NULL ? "Content-Type: application/json\r\n" : "",
              body != NULL ? body : "", body != NULL ? strlen(body) : 0);
}
