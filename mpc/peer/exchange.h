#ifndef PEER_EXCHANGE_H
#define PEER_EXCHANGE_H

#include "base/buf.h"
#include "peer/roster.h"

/**
 * HTTP exchanges with peers over libcurl: POST of one body, the reply's body back, several at a
 * time from one thread. Makes no thread: names are resolved with getaddrinfo in the caller and
 * handed to libcurl.
 *
 * Threads: a peer_http may be shared; each peer_http_run call takes a free client (own connection
 * cache) from its pool, so that N threads run N calls at once and no lock is held over the network.
 */
typedef struct peer_http peer_http;

/** Errors: TDSA_E_CONFIG (a certificate or key file cannot be read), TDSA_E_NO_MEMORY,
 * TDSA_E_INTERNAL (libcurl does not start). */
TDSA_MUST_USE tdsa_status peer_http_new(peer_http **out, const peer_http_cfg *cfg, tdsa_err *err)
    TDSA_NONNULL;
/** Closes every connection. No peer_http_run may be under way. NULL is allowed. */
void peer_http_free(peer_http *h);
/** In a child after fork: closes inherited descriptors without sending anything (no TLS alert). */
void peer_http_abandon(peer_http *h);

typedef struct {
    const char *url;
    const char *session_id; /* header Session-Id, see peer_session_id_ok */
    const uint8_t *body;    /* application/octet-stream; lent */
    size_t body_len;
    uint32_t timeout_ms; /* of its own; 0: that of the run */
    /* results */
    bool done;
    tdsa_status status; /* TDSA_OK: an HTTP answer came; UNAVAILABLE: could not resolve or connect
                           (in time), reset, TLS refused; TIMEOUT: it was asked and did not answer,
                           or the run was cancelled or had no time; BAD_INPUT: reply over
                           TDSA_BUF_LEN_MAX or not HTTP, malformed Session-Id; CONFIG: malformed
                           URL; LIMIT: more than 64 requests at a time; NO_MEMORY */
    long http_code;
    tdsa_buf reply;   /* owned by the request: clear it */
    char detail[160]; /* one line for people, no secrets */
} peer_request;

/** Called as each request ends (done is set), from inside peer_http_run. */
typedef void (*peer_done_fn)(void *ctx, peer_request *r);

/**
 * Runs all `count` requests at the same time and returns when all ended or `timeout_ms` passed
 * (those left get TDSA_E_TIMEOUT, or TDSA_E_UNAVAILABLE when there was not even a connection). One
 * transparent resend, on a new connection, happens only when a kept-alive connection turned out to be
 * closed, or forgotten by the network (nothing acknowledged for 0.8 s), before any byte of the answer
 * came (the body is idempotent by design).
 * A name is looked up at most once a minute and thread, and again after each failure and each answer
 * that is neither 200 nor 503; by getaddrinfo, whose patience with silent name servers is cut down to
 * a second or a quarter of what is left. Addresses are never looked up.
 * `cancel`, when not NULL and set to true by another thread, ends the wait within 100 ms.
 */
void peer_http_run(peer_http *h, peer_request **requests, size_t count, uint32_t timeout_ms,
                   const volatile bool *cancel, peer_done_fn done, void *ctx);

/** What a run asks its owner while requests are under way: after each that ended, and every 20 ms. */
typedef struct {
    peer_request *(*more)(void *ctx); /* another request with a timeout_ms; NULL: none now */
    bool (*enough)(void *ctx);        /* true: end what is under way with TDSA_E_TIMEOUT */
} peer_source;
/** The same run, which goes on as long as `source` has more. At most 64 requests at a time. */
void peer_http_serve(peer_http *h, peer_request **requests, size_t count, uint32_t timeout_ms,
                     const volatile bool *cancel, peer_done_fn done, const peer_source *source,
                     void *ctx);

#endif
