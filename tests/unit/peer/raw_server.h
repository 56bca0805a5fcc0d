#ifndef TESTS_RAW_SERVER_H
#define TESTS_RAW_SERVER_H

#include <arpa/inet.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/** A TCP server that misbehaves as `serve` says: one thread, connections one after another. */
typedef struct raw_server {
    int fd;
    uint16_t port;
    pthread_t thread;
    /** Called for each connection, counted from 0; the descriptor is closed afterwards. */
    void (*serve)(struct raw_server *s, int fd, unsigned nth);
    unsigned connections; /* so far; read after raw_server_stop */
    int current;          /* connection being served, -1: none */
    bool stopping;
    pthread_mutex_t lock;
} raw_server;

static inline void *raw_server_run(void *ctx)
{
    raw_server *s = ctx;

    for (;;) {
        const int fd = accept(s->fd, NULL, NULL);

        if (fd < 0) {
            return NULL;
        }
        (void)pthread_mutex_lock(&s->lock);
        s->current = s->stopping ? -1 : fd;
        (void)pthread_mutex_unlock(&s->lock);
        if (s->current >= 0) {
            s->serve(s, fd, s->connections);
            s->connections++;
        }
        (void)pthread_mutex_lock(&s->lock);
        s->current = -1;
        (void)close(fd);
        (void)pthread_mutex_unlock(&s->lock);
    }
}

static inline void raw_server_start(raw_server *s, void (*serve)(raw_server *, int, unsigned))
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int rc = 0;

    *s = (raw_server){.serve = serve, .current = -1};
    rc |= pthread_mutex_init(&s->lock, NULL);
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    rc |= bind(s->fd, (const void *)&a, sizeof a);
    rc |= listen(s->fd, 64);
    rc |= getsockname(s->fd, (void *)&a, &len);
    s->port = ntohs(a.sin_port);
    rc |= pthread_create(&s->thread, NULL, raw_server_run, s);
    assert_int_equal(rc, 0);
}

static inline void raw_server_stop(raw_server *s)
{
    (void)pthread_mutex_lock(&s->lock);
    s->stopping = true;
    if (s->current >= 0) {
        (void)shutdown(s->current, SHUT_RDWR);
    }
    (void)pthread_mutex_unlock(&s->lock);
    (void)shutdown(s->fd, SHUT_RDWR);
    (void)pthread_join(s->thread, NULL);
    (void)close(s->fd);
    (void)pthread_mutex_destroy(&s->lock);
}

/** Reads one request with a Content-Length or chunked-free body; false at the end of the stream. */
static inline bool raw_read_request(int fd)
{
    char text[8192];
    size_t len = 0;

    while (len < sizeof text - 1) {
        const ssize_t n = recv(fd, text + len, sizeof text - 1 - len, 0);
        const char *body = NULL;
        const char *length = NULL;
        unsigned long want = 0;

        if (n <= 0) {
            return false;
        }
        len += (size_t)n;
        text[len] = '\0';
        body = strstr(text, "\r\n\r\n");
        if (body == NULL) {
            continue;
        }
        length = strstr(text, "Content-Length: ");
        if (length == NULL || sscanf(length + 16, "%lu", &want) != 1) {
            want = 0;
        }
        if ((size_t)(text + len - (body + 4)) >= want) {
            return true;
        }
    }
    return false;
}

static inline void raw_send(int fd, const char *text)
{
    (void)send(fd, text, strlen(text), MSG_NOSIGNAL);
}

/** Waits until the client closes. */
static inline void raw_wait_closed(int fd)
{
    char byte;

    while (recv(fd, &byte, 1, 0) > 0) {
    }
}

#define RAW_OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

#endif
