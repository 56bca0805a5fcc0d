#ifndef PEER_RESOLVE_H
#define PEER_RESOLVE_H

#include "base/buf.h"
#include "peer/url.h"

/** Appends "host:port:address,address..." as libcurl's CURLOPT_RESOLVE wants it, NUL-terminated.
 * Blocks in getaddrinfo. Errors: TDSA_E_UNAVAILABLE (no such host, no answer). */
TDSA_MUST_USE tdsa_status peer_resolve(tdsa_buf *out, const peer_url *url, tdsa_err *err)
    TDSA_NONNULL;

#endif
