#include "peer/resolve.h"

#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define ADDRESSES_MAX 8u

tdsa_status peer_resolve(tdsa_buf *out, const peer_url *url, tdsa_err *err)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *found = NULL;
    char text[INET6_ADDRSTRLEN + 16]; /* room for a scope: fe80::1%eth0 */
    unsigned count = 0;
    const int rc = getaddrinfo(url->host, NULL, &hints, &found);

    if (rc != 0) {
        return TDSA_FAIL(err, TDSA_E_UNAVAILABLE, "cannot resolve %.120s: %s", url->host,
                         gai_strerror(rc));
    }
    tdsa_buf_appendf(out, "%s:%u:", url->host, url->port);
    for (const struct addrinfo *a = found; a != NULL && count < ADDRESSES_MAX; a = a->ai_next) {
        const bool v6 = a->ai_family == AF_INET6;

        if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) !=
            0) {
            continue;
        }
        tdsa_buf_appendf(out, "%s%s%s%s", count == 0 ? "" : ",", v6 ? "[" : "", text,
                         v6 ? "]" : "");
        count++;
    }
    freeaddrinfo(found);
    tdsa_buf_append_u8(out, 0);
    if (count == 0) {
        return TDSA_FAIL(err, TDSA_E_UNAVAILABLE, "%.120s has no address", url->host);
    }
    return tdsa_buf_check(out, err);
}
