#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "http/http_internal.h"

#define TICK_MIN_MS 10u
#define TICK_MAX_MS 1000u

static const char too_slow[] = "HTTP/1.1 408 Request Timeout\r\n"
                               "Connection: close\r\n"
                               "Content-Type: application/json\r\n"
                               "Content-Length: 40\r\n\r\n"
                               "{\"code\":408,\"message\":\"Request Timeout\"}";

uint64_t http_now_us(void)
{
    struct timespec t = {0, 0};

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

void http_phase_set(http_connection *c, http_phase phase)
{
    c->phase = phase;
    c->since_ms = http_now_us() / 1000u;
}

static http_connection *connection_new(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *fd = NULL;
    const union MHD_ConnectionInfo *address = NULL;
    socklen_t len = 0;
    http_connection *c = calloc(1, sizeof *c);

    if (c == NULL) {
        return NULL;
    }
    fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    address = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    c->fd = fd == NULL ? -1 : fd->connect_fd;
    if (address != NULL && address->client_addr != NULL) {
        len = address->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                          : sizeof(struct sockaddr_in);
        if (getnameinfo(address->client_addr, len, c->peer, sizeof c->peer, NULL, 0,
                        NI_NUMERICHOST) != 0) {
            c->peer[0] = '\0';
        }
    }
    if (strncmp(c->peer, "::ffff:", 7) == 0) { /* IPv4 on a dual-stack socket */
        memmove(c->peer, c->peer + 7, strlen(c->peer + 7) + 1);
    }
    http_phase_set(c, HTTP_AT_REST);
    return c;
}

void http_on_connection(void *ctx, struct MHD_Connection *mhd, void **socket_ctx,
                        enum MHD_ConnectionNotificationCode code)
{
    http_server *s = ctx;
    http_connection *c = NULL;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        c = connection_new(mhd);
        *socket_ctx = c; /* NULL: no memory; requests are then refused with 503 */
        if (c == NULL) {
            return;
        }
        (void)pthread_mutex_lock(&s->lock);
        c->next = s->connections;
        if (c->next != NULL) {
            c->next->prev = c;
        }
        s->connections = c;
        (void)pthread_mutex_unlock(&s->lock);
        return;
    }
    c = *socket_ctx;
    *socket_ctx = NULL;
    if (c == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&s->lock); /* MHD closes the descriptor after this call */
    if (c->prev != NULL) {
        c->prev->next = c->next;
    } else {
        s->connections = c->next;
    }
    if (c->next != NULL) {
        c->next->prev = c->prev;
    }
    (void)pthread_mutex_unlock(&s->lock);
    free(c);
}

/* Ends a connection that stands too long. MHD sees the end of the stream and cleans up. */
static void check_connection(const http_server *s, http_connection *c, uint64_t now_ms)
{
    const uint64_t stood_ms = now_ms - c->since_ms;
    bool late = false;

    switch (c->phase) {
    case HTTP_AT_REST:
        late = stood_ms >= s->cfg.idle_timeout_ms;
        break;
    case HTTP_READING:
        late = stood_ms >= s->cfg.io_timeout_ms;
        if (late) {
            (void)send(c->fd, too_slow, sizeof too_slow - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        }
        break;
    case HTTP_HANDLING:
        break;
    case HTTP_SENDING:
        late = stood_ms >= s->cfg.io_timeout_ms;
        break;
    }
    if (late) {
        (void)shutdown(c->fd, SHUT_RDWR);
        http_phase_set(c, HTTP_HANDLING); /* once is enough */
    }
}

static uint32_t tick_of(const http_cfg *cfg)
{
    const uint32_t shortest =
        cfg->idle_timeout_ms < cfg->io_timeout_ms ? cfg->idle_timeout_ms : cfg->io_timeout_ms;
    const uint32_t tick = shortest / 4u;

    return tick < TICK_MIN_MS ? TICK_MIN_MS : tick > TICK_MAX_MS ? TICK_MAX_MS : tick;
}

void *http_watchdog(void *ctx)
{
    http_server *s = ctx;
    const uint32_t tick_ms = tick_of(&s->cfg);

    (void)pthread_mutex_lock(&s->lock);
    while (!s->ended) {
        const uint64_t wake_us = http_now_us() + (uint64_t)tick_ms * 1000u;
        const struct timespec until = {(time_t)(wake_us / 1000000u),
                                       (long)(wake_us % 1000000u) * 1000};
        uint64_t now_ms = 0;

        (void)pthread_cond_timedwait(&s->tick, &s->lock, &until);
        now_ms = http_now_us() / 1000u;
        for (http_connection *c = s->connections; c != NULL; c = c->next) {
            check_connection(s, c, now_ms);
        }
    }
    (void)pthread_mutex_unlock(&s->lock);
    return NULL;
}
