#ifndef TESTS_HTTP_FIXTURE_H
#define TESTS_HTTP_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http/http.h"

#define SERVER_ID "Host: test\r\n"

static inline int dial(uint16_t port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const void *)&a, sizeof a), 0);
    return fd;
}

static inline void tell(int fd, const char *text)
{
    (void)send(fd, text, strlen(text), MSG_NOSIGNAL);
}

typedef struct {
    int status; /* 0: the connection ended without an answer */
    char head[4096], body[8192];
    size_t body_len;
} answer;

/* Value of a header in the answer, or NULL; a copy that the next call overwrites. */
static inline const char *answer_header(const answer *a, const char *name)
{
    static char value[512];
    const char *at = a->head;

    while ((at = strstr(at, "\r\n")) != NULL) {
        at += 2;
        if (strncasecmp(at, name, strlen(name)) == 0 && at[strlen(name)] == ':') {
            (void)snprintf(value, sizeof value, "%.*s", (int)strcspn(at + strlen(name) + 2, "\r\n"),
                           at + strlen(name) + 2);
            return value;
        }
    }
    return NULL;
}

/** Reads one answer, byte by byte so that a pipelined one stays in the socket. */
static inline answer hear(int fd, bool no_body)
{
    answer a = {.status = 0};
    size_t len = 0;
    const char *length = NULL;
    size_t want = 0;

    while (len < sizeof a.head - 1 && strstr(a.head, "\r\n\r\n") == NULL) {
        if (recv(fd, a.head + len, 1, 0) != 1) {
            a.status = 0;
            return a;
        }
        len++;
    }
    assert_int_equal(sscanf(a.head, "HTTP/1.1 %d", &a.status), 1);
    length = answer_header(&a, "Content-Length");
    want = length == NULL || no_body ? 0 : (size_t)strtoul(length, NULL, 10);
    assert_true(want < sizeof a.body);
    while (a.body_len < want) {
        const ssize_t n = recv(fd, a.body + a.body_len, want - a.body_len, 0);

        assert_true(n > 0);
        a.body_len += (size_t)n;
    }
    a.body[a.body_len] = '\0';
    return a;
}

/** One request on a connection of its own. */
static inline answer ask(uint16_t port, const char *text)
{
    const int fd = dial(port);
    answer a;

    tell(fd, text);
    a = hear(fd, strncmp(text, "HEAD", 4) == 0);
    (void)close(fd);
    return a;
}

/** True when the other side has closed, after reading what is left. */
static inline bool is_closed(int fd)
{
    char bytes[4096];
    ssize_t n = 1;

    while (n > 0) {
        n = recv(fd, bytes, sizeof bytes, 0);
    }
    return true;
}

static inline void pause_ms(long ms)
{
    const struct timespec t = {ms / 1000, ms % 1000 * 1000000};

    (void)nanosleep(&t, NULL);
}

#endif
