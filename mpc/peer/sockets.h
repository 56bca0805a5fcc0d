#ifndef PEER_SOCKETS_H
#define PEER_SOCKETS_H

#include <stdint.h>

#include <curl/curl.h>

#include "base/attr.h"

#define PEER_SOCKETS_MAX 128u

/**
 * The sockets of one client, which libcurl opens and closes through here: closed on exec, and probed
 * by the kernel while they are idle (keepalive), so that firewalls remember them and a dead one is
 * found before it is used.
 */
typedef struct {
    struct {
        int fd;        /* -1: free */
        uint16_t port; /* local; 0: not known yet */
        uint32_t unacked_ms;
    } at[PEER_SOCKETS_MAX];
} peer_sockets;

void peer_sockets_init(peer_sockets *s) TDSA_NONNULL;
/** For CURLOPT_OPENSOCKETFUNCTION and CURLOPT_CLOSESOCKETFUNCTION; ctx is the peer_sockets. */
curl_socket_t peer_sockets_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *address);
int peer_sockets_close(void *ctx, curl_socket_t fd);
/**
 * How long sent bytes may stay without an acknowledgement on the connection with this local port; then
 * it ends with an error. 0: as long as the system likes. A peer that is slow, or stopped, acknowledges
 * what fits into its buffer, because its kernel does so: silence means that the path or the host is
 * gone.
 */
void peer_sockets_limit(peer_sockets *s, uint16_t port, uint32_t unacked_ms) TDSA_NONNULL;
/** Half-closes the connection with this local port, which libcurl then does not take again. */
void peer_sockets_retire(peer_sockets *s, uint16_t port) TDSA_NONNULL;
/** Closes them behind libcurl's back. */
void peer_sockets_abandon(peer_sockets *s) TDSA_NONNULL;

#endif
