#include "http/http_listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool any_host(const http_cfg *cfg)
{
    return cfg->host == NULL || cfg->host[0] == '\0';
}

/* A listening socket, or -1 with errno. */
static int listen_on(const struct addrinfo *a, const http_cfg *cfg)
{
    const int on = 1;
    const int v6_only = any_host(cfg) ? 0 : 1;
    const int fd =
        socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
    int saved = 0;

    if (fd < 0) {
        return -1;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        (a->ai_family != AF_INET6 ||
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only) == 0) &&
        bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, (int)cfg->backlog) == 0) {
        return fd;
    }
    saved = errno;
    (void)close(fd);
    errno = saved;
    return -1;
}

/* The first address of a family that can be bound, or -1 with errno. */
static int listen_family(const struct addrinfo *found, int family, const http_cfg *cfg)
{
    int fd = -1;

    errno = EADDRNOTAVAIL; /* when there is no address of the family */
    for (const struct addrinfo *a = found; a != NULL && fd < 0; a = a->ai_next) {
        if (a->ai_family == family) {
            fd = listen_on(a, cfg);
        }
    }
    return fd;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    const void *in = &address;

    if (getsockname(fd, (void *)&address, &len) != 0) {
        return 0;
    }
    return address.ss_family == AF_INET6 ? ntohs(((const struct sockaddr_in6 *)in)->sin6_port)
                                         : ntohs(((const struct sockaddr_in *)in)->sin_port);
}

tdsa_status http_listen(int *out_fd, uint16_t *out_port, const http_cfg *cfg, tdsa_err *err)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    const char *host = any_host(cfg) ? "*" : cfg->host;
    struct addrinfo *found = NULL;
    char port[8];
    int rc = 0;
    int fd = -1;

    *out_fd = -1;
    *out_port = 0;
    (void)snprintf(port, sizeof port, "%u", cfg->port);
    rc = getaddrinfo(any_host(cfg) ? NULL : cfg->host, port, &hints, &found);
    if (rc != 0) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "%s listener: cannot resolve bindHost %.100s: %s",
                         cfg->name, host, gai_strerror(rc));
    }
    /* Every address: one socket for both families. A name: IPv4 first, as Java binds it. */
    fd = listen_family(found, any_host(cfg) ? AF_INET6 : AF_INET, cfg);
    if (fd < 0 && errno != EADDRINUSE && errno != EACCES) {
        fd = listen_family(found, any_host(cfg) ? AF_INET : AF_INET6, cfg);
    }
    rc = errno;
    freeaddrinfo(found);
    if (fd < 0) {
        return TDSA_FAIL(err, TDSA_E_CONFIG, "%s listener: cannot listen on %.100s port %u: %s",
                         cfg->name, host, cfg->port, strerror(rc));
    }
    *out_fd = fd;
    *out_port = port_of(fd);
    return TDSA_OK;
}
