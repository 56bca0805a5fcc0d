#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/**
 * HTTP/1.1 listeners over libmicrohttpd. The limits are enforced here, before a handler runs:
 * 400 (broken request), 404 and 405 with Allow (no such route), 408 (too slow), 413 (body over the
 * limit, chunked or not), 431 (headers), 501 (another transfer coding than chunked), 503
 * (stopping). A handler sees complete requests only.
 */
typedef struct http_server http_server;
typedef struct http_request http_request;

typedef enum {
    HTTP_POOL,    /* epoll on `threads` threads; handlers must not block but may answer later */
    HTTP_BLOCKING /* one thread per connection, at most connections_max; handlers may block */
} http_model;

/**
 * Called once per complete request, on a thread of the server. It, or any thread later, must answer
 * exactly once with http_reply or http_reply_error; `r` may not be used after that.
 */
typedef void (*http_handler)(void *ctx, http_request *r);

/**
 * One row of the routing table, lent for the server's life. `path` is exact ("/metrics"), or has
 * segments "{}" that match one non-empty segment ("/v1/keys/{}/sign"), or ends in the segment "*"
 * that matches the rest, also nothing ("/docs/" "*"). The first row that fits wins. A row for GET
 * serves HEAD too.
 */
typedef struct {
    const char *method; /* "GET"; NULL: every method */
    const char *path;
    http_handler handler;
    size_t body_max; /* bytes; 0: the listener's body_max */
    const void *tag; /* for the handler: http_request_tag */
} http_route;

/** What the observer is told when a request has ended, refused ones included (but not those that
 * libmicrohttpd itself refuses as malformed); strings are lent. */
typedef struct {
    const char *method, *path, *peer, *id;
    const http_route *route; /* NULL: none fitted */
    unsigned status;         /* 0: the connection ended before an answer was made */
    uint64_t duration_us;    /* from the request line to the end of the answer */
    size_t body_len, reply_len;
} http_done;

typedef struct {
    const char *name; /* for errors: "protocol", "api", "admin"; lent */
    const char *host; /* name or address; NULL or "": every address, IPv6 and IPv4 */
    uint16_t port;    /* 0: any free one, see http_server_port */
    unsigned backlog; /* 0: 1024 */
    http_model model;
    unsigned threads;         /* HTTP_POOL: 1..64; 0: 1 */
    unsigned connections_max; /* 0: 1000; further clients wait in the backlog */
    unsigned per_ip_max;      /* connections of one address; 0: no limit */
    size_t header_max;        /* bytes of request line and headers; 0: 8 KiB; at most 1 MiB */
    size_t body_max;          /* bytes; 0: no body is taken; at most TDSA_BUF_LEN_MAX */
    uint32_t idle_timeout_ms; /* connection without a started request; 0: 30000 */
    uint32_t io_timeout_ms;   /* a started request must be complete, and an answer be taken by the
                                 client, within this; 0: 30000 */
    const http_route *routes; /* lent */
    size_t route_count;
    void *ctx;                                          /* for the handlers and the observer */
    void (*observer)(void *ctx, const http_done *done); /* may be NULL; must not block */
} http_cfg;

/**
 * Binds and starts to serve. `cfg` is copied; what it points to is lent until the server is freed.
 * Errors: TDSA_E_CONFIG (a value out of range, unknown host, address in use or not permitted: the
 * text names listener, host and port), TDSA_E_NO_MEMORY.
 */
TDSA_MUST_USE tdsa_status http_server_start(http_server **out, const http_cfg *cfg, tdsa_err *err)
    TDSA_NONNULL;
/** The port it really listens on. */
uint16_t http_server_port(const http_server *s) TDSA_NONNULL;
/** Requests that have begun and are not answered in full yet. */
size_t http_server_running(const http_server *s) TDSA_NONNULL;
/**
 * Stops accepting, answers 503 to requests that come on open connections, waits up to grace_ms for
 * running ones, then closes every connection; requests without an answer yet count as stopping
 * (http_request_stopping) and their later answer goes nowhere. HTTP_BLOCKING: returns only when
 * every handler has returned. Returns how many requests were cut. May be called once or more.
 */
size_t http_server_stop(http_server *s, uint32_t grace_ms) TDSA_NONNULL;
/** Stops without grace if still running, and frees. NULL is allowed. Requests not answered yet stay
 * valid until their http_reply. */
void http_server_free(http_server *s);

/** A request of this process itself. All of it is lent. */
typedef struct {
    const http_route *routes;
    size_t route_count;
    void *ctx;                   /* for the handler */
    const char *method, *target; /* "/v1/keys?limit=3" */
    const char *content_type;    /* NULL: none */
    const void *body;
    size_t body_len;
} http_local_request;
typedef struct {
    unsigned status;
    tdsa_buf body; /* owned by the caller; tdsa_buf_clear */
} http_local_answer;
/**
 * Answers a request without a network: routed, limited (404, 405, 413, 400) and handled as on a
 * listener, by the calling thread. The handler must answer before it returns, as those of a listener
 * of HTTP_BLOCKING may. Headers of the answer are dropped.
 * Errors: TDSA_E_NO_MEMORY. What the handler refuses is an answer, no error.
 */
TDSA_MUST_USE tdsa_status http_local(http_local_answer *out, const http_local_request *in,
                                     tdsa_err *err) TDSA_NONNULL;

/* What came. All lent until the answer; usable from any thread. */
const char *http_request_method(const http_request *r) TDSA_NONNULL; /* "HEAD" stays "HEAD" */
/** The path as it came, without the query. */
const char *http_request_path(const http_request *r) TDSA_NONNULL;
/** The i-th "{}" or "*" of the route, percent-decoded (never with a NUL or '/' from decoding). */
const char *http_request_param(const http_request *r, size_t i) TDSA_NONNULL;
/** Percent-decoded value of ?name=value; "" for ?name; NULL: not there. */
const char *http_request_query(const http_request *r, const char *name) TDSA_NONNULL;
/** Value of a header, name in any case; the first when repeated; NULL: not there. */
const char *http_request_header(const http_request *r, const char *name) TDSA_NONNULL;
const uint8_t *http_request_body(const http_request *r, size_t *len) TDSA_NONNULL;
/** Address of the client without its port: "192.0.2.1", "2001:db8::1". */
const char *http_request_peer(const http_request *r) TDSA_NONNULL;
/** X-Request-Id of the client when it is 1..64 of [A-Za-z0-9._-], else one of our own. */
const char *http_request_id(const http_request *r) TDSA_NONNULL;
const void *http_request_tag(const http_request *r) TDSA_NONNULL;
/** True when the server gave this request up: nobody will see the answer, which must still be
 * made. The flag is written by another thread and lives until the answer. */
const volatile bool *http_request_stopping(const http_request *r) TDSA_NONNULL;

/** Adds a header to the answer to come: at most 16, no CR or LF; wrong or excess ones are left
 * out. Content-Type comes from http_reply. */
void http_set_header(http_request *r, const char *name, const char *value) TDSA_NONNULL;
/** Answers and gives `r` back. The body is copied; content_type NULL: none is sent. */
void http_reply(http_request *r, unsigned status, const char *content_type, const void *body,
                size_t len) __attribute__((nonnull(1)));
/** Answers {"code":404,"message":"...","details":"..."}; without details when NULL; message NULL:
 * the standard phrase of the code. */
void http_reply_error(http_request *r, unsigned status, const char *message, const char *details)
    __attribute__((nonnull(1)));

#endif
