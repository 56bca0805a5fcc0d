#ifndef PEER_CLIENT_H
#define PEER_CLIENT_H

#include "peer/exchange.h"

#define PEER_REQUESTS_MAX 64u /* requests of one run */

/** One libcurl multi handle with its connections; used by one thread at a time (exchange.c). */
typedef struct peer_client peer_client;

/** Prepares libcurl once per process. Errors: TDSA_E_INTERNAL. */
TDSA_MUST_USE tdsa_status peer_client_global(tdsa_err *err) TDSA_NONNULL;
/** NULL: no memory or no descriptors. `cfg` is lent for the client's life. */
peer_client *peer_client_new(const peer_http_cfg *cfg) TDSA_NONNULL;
void peer_client_free(peer_client *c);
/** Closes the sockets behind libcurl's back; the client may not be used or freed any more. */
void peer_client_abandon(peer_client *c) TDSA_NONNULL;

/** Arguments of peer_http_run, in one piece. */
typedef struct {
    peer_request **requests;
    size_t count;
    uint32_t timeout_ms;
    const volatile bool *cancel;
    peer_done_fn done;
    void *ctx;
    const peer_source *source; /* its functions may be NULL */
} peer_run;
void peer_client_run(peer_client *c, const peer_run *run) TDSA_NONNULL;
/** Ends a request that never started. */
void peer_request_end(peer_request *r, const peer_run *run, tdsa_status status, const char *detail)
    TDSA_NONNULL;

#endif
