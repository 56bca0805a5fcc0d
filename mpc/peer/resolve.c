#include "peer/resolve.h"

#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <string.h>
#include <sys/socket.h>

#define ADDRESSES_MAX 8u

/* getaddrinfo with less patience than resolv.conf, which by default waits for each name server for
 * five seconds, and twice. The resolver's state belongs to this thread; the host gets it back. */
static int look_up(const char *host, uint32_t limit_ms, struct addrinfo **found)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    const int most = limit_ms < 8000 ? 1 : (int)(limit_ms / 4000u);
    struct __res_state *state = &_res;
    int wait_s = 0;
    int tries = 0;
    int rc = 0;

    if ((state->options & RES_INIT) == 0 && res_init() != 0) {
        return EAI_SYSTEM;
    }
    wait_s = state->retrans;
    tries = state->retry;
    state->retrans = wait_s < most ? wait_s : most;
    state->retry = 1; /* who asks a peer tries again by itself */
    rc = getaddrinfo(host, NULL, &hints, found);
    state->retrans = wait_s;
    state->retry = tries;
    return rc;
}

tdsa_status peer_resolve(tdsa_buf *out, const peer_url *url, uint32_t limit_ms, tdsa_err *err)
{
    struct addrinfo *found = NULL;
    char text[INET6_ADDRSTRLEN + 16]; /* room for a scope: fe80::1%eth0 */
    unsigned count = 0;
    const int rc = look_up(url->host, limit_ms, &found);

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
