#ifndef PEER_RESOLVE_H
#define PEER_RESOLVE_H

#include "base/buf.h"
#include "peer/url.h"

/**
 * Appends "host:port:address,address..." as libcurl's CURLOPT_RESOLVE wants it, NUL-terminated.
 *
 * Blocks in getaddrinfo. Name servers that do not answer are given up after a quarter of `limit_ms`
 * each, but not in less than a second and not later than resolv.conf says.
 * Errors: TDSA_E_UNAVAILABLE (no such host, no answer).
 */
TDSA_MUST_USE tdsa_status peer_resolve(tdsa_buf *out, const peer_url *url, uint32_t limit_ms,
                                       tdsa_err *err) TDSA_NONNULL;

#endif
