#include "peer/sockets.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROBE_AFTER_S 15 /* firewalls that forget sooner are rare */
#define PROBE_EVERY_S 5
#define PROBES_MAX    3

void peer_sockets_init(peer_sockets *s)
{
    for (size_t i = 0; i < PEER_SOCKETS_MAX; i++) {
        s->at[i].fd = -1;
    }
}

static void set_int(int fd, int level, int option, int value)
{
    (void)setsockopt(fd, level, option, &value,
                     sizeof value); /* without it: the system's defaults */
}

static void probe_when_idle(int fd)
{
    set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, PROBE_AFTER_S);
    set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, PROBE_EVERY_S);
    set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, PROBES_MAX);
}

curl_socket_t peer_sockets_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    peer_sockets *s = ctx;
    const int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

    (void)purpose;
    for (size_t i = 0; fd >= 0 && i < PEER_SOCKETS_MAX; i++) {
        if (s->at[i].fd < 0) {
            s->at[i].fd = fd;
            s->at[i].port = 0;
            s->at[i].unacked_ms = 0;
            probe_when_idle(fd);
            return fd;
        }
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return CURL_SOCKET_BAD;
}

int peer_sockets_close(void *ctx, curl_socket_t fd)
{
    peer_sockets *s = ctx;

    for (size_t i = 0; i < PEER_SOCKETS_MAX; i++) {
        if (s->at[i].fd == fd) {
            s->at[i].fd = -1;
            break;
        }
    }
    return close(fd);
}

static uint16_t local_port(int fd)
{
    struct sockaddr_storage local;
    socklen_t len = sizeof local;

    if (getsockname(fd, (void *)&local, &len) != 0) {
        return 0;
    }
    return ntohs(local.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)(void *)&local)->sin6_port
                                             : ((struct sockaddr_in *)(void *)&local)->sin_port);
}

static bool is_at(peer_sockets *s, size_t i, uint16_t port)
{
    if (s->at[i].fd >= 0 && s->at[i].port == 0) {
        s->at[i].port = local_port(s->at[i].fd);
    }
    return s->at[i].fd >= 0 && s->at[i].port == port;
}

void peer_sockets_limit(peer_sockets *s, uint16_t port, uint32_t unacked_ms)
{
    for (size_t i = 0; i < PEER_SOCKETS_MAX; i++) {
        if (is_at(s, i, port) && s->at[i].unacked_ms != unacked_ms) {
            set_int(s->at[i].fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)unacked_ms);
            s->at[i].unacked_ms = unacked_ms;
        }
    }
}

void peer_sockets_retire(peer_sockets *s, uint16_t port)
{
    for (size_t i = 0; i < PEER_SOCKETS_MAX; i++) {
        if (is_at(s, i, port)) {
            (void)shutdown(s->at[i].fd, SHUT_RDWR);
        }
    }
}

void peer_sockets_abandon(peer_sockets *s)
{
    for (size_t i = 0; i < PEER_SOCKETS_MAX; i++) {
        if (s->at[i].fd >= 0) {
            (void)close(s->at[i].fd);
            s->at[i].fd = -1;
        }
    }
}
