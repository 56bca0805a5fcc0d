#ifndef PEER_URL_H
#define PEER_URL_H

#include "peer/roster.h"

#define PEER_HOST_MAX 253u

/** The parts of a peer's URL that the exchange needs. */
typedef struct {
    bool https;
    bool literal;                 /* the host is an IP address: nothing to resolve */
    char host[PEER_HOST_MAX + 1]; /* without the brackets of an IPv6 address */
    uint16_t port;
} peer_url;

/**
 * Takes http:// or https:// URLs of up to PEER_URL_MAX printable ASCII characters: host name, IPv4
 * address or [IPv6 address], optional port, optional path and query. User information and fragments
 * are refused. Errors: TDSA_E_CONFIG; the text never repeats user information.
 */
TDSA_MUST_USE tdsa_status peer_url_parse(peer_url *out, const char *url, tdsa_err *err)
    TDSA_NONNULL;

#endif
