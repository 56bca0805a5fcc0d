#ifndef HTTP_HTTP_INTERNAL_H
#define HTTP_HTTP_INTERNAL_H

#include <pthread.h>

#include <microhttpd.h>

#include "http/http.h"

#define HTTP_PARAMS_MAX   8u
#define HTTP_HEADERS_MAX  16u          /* of an answer */
#define HTTP_DRAIN_MAX    (256u << 10) /* bytes of a refused body that are read and thrown away */
#define HTTP_PEER_TEXT    46u
#define HTTP_REQUEST_ID   64u
#define HTTP_METHODS_MAX  16u
#define HTTP_VALUE_ABSENT SIZE_MAX

/** Where a connection stands; the watchdog ends those that stand too long. */
typedef enum {
    HTTP_AT_REST,  /* between requests, or in the first line of one */
    HTTP_READING,  /* request line read, request not complete */
    HTTP_HANDLING, /* a handler has it: no limit */
    HTTP_SENDING   /* the answer goes out */
} http_phase;

typedef struct http_connection {
    struct http_connection *next, *prev;
    http_request *request; /* under way, or NULL */
    http_phase phase;
    uint64_t since_ms; /* when the phase began */
    int fd;
    char peer[HTTP_PEER_TEXT];
} http_connection;

struct http_server {
    http_cfg cfg;
    struct MHD_Daemon *mhd;
    uint16_t port;
    uint64_t id_prefix;
    pthread_t watchdog;
    bool watchdog_runs;
    pthread_mutex_t lock;   /* guards all below, and the hand-over fields of every request */
    pthread_cond_t changed; /* a request ended while stopping, or an awaited answer came */
    pthread_cond_t tick;    /* wakes the watchdog */
    bool stopping;          /* no new requests */
    bool cutting;           /* unanswered ones are given up */
    bool ended;             /* the watchdog must end */
    bool freed;             /* http_server_free was called; the last request frees */
    size_t running;         /* requests that MHD has not completed */
    size_t requests;        /* requests that exist */
    size_t cut;
    uint64_t next_id;
    http_connection *connections; /* list */
};

/** Text cut out of request bytes: `block` holds it NUL-terminated at the offset. */
typedef struct {
    size_t name, value;
} http_pair;

struct http_request {
    http_server *server;
    struct MHD_Connection *mhd; /* may be used while mhd_owns */
    http_connection *connection;
    const http_route *route;
    uint64_t start_us;
    char *uri;     /* raw, owned */
    tdsa_buf text; /* method, path, decoded parameters, query, headers: NUL-terminated strings */
    size_t method, path, params[HTTP_PARAMS_MAX], param_count;
    tdsa_buf query, headers; /* arrays of http_pair */
    tdsa_buf body;
    size_t body_max, received;
    unsigned refused; /* status to answer instead of calling the handler; 0: none */
    const char *refusal;
    char allow[96];
    bool seen;       /* the headers were looked at */
    bool dispatched; /* the handler was called */
    char peer[HTTP_PEER_TEXT], id[HTTP_REQUEST_ID + 1];
    /* hand-over, under the server's lock */
    bool mhd_owns, app_owns;
    bool suspended, queued, waiting;
    bool stopping; /* read by handlers without the lock */
    struct MHD_Response *response;
    unsigned status;
    size_t reply_len;
    /* headers of the answer to come; the answering thread's */
    struct {
        char *name, *value;
    } answer_headers[HTTP_HEADERS_MAX];
    size_t answer_header_count;
    http_local_answer *local; /* where the answer goes when no connection asked; else NULL */
};

uint64_t http_now_us(void);

/* http_request.c */
http_request *http_request_new(http_server *s, http_connection *c, const char *uri);
void http_request_free(http_request *r);
/** Copies what the accessors need, and decides on a refusal; runs once, when headers are there. */
void http_request_admit(http_request *r, const char *method, const char *version);
/** Finds the route of a target, and keeps method, path and query; refuses what does not fit. */
void http_request_target(http_request *r, const char *method, const char *target);
/** Adds a header of the request. */
void http_request_keep_header(http_request *r, const char *name, const char *value);
/** A response of {"code":..}; NULL: no memory. */
struct MHD_Response *http_error_response(unsigned status, const char *message, const char *details);
/** Frees the request when nobody owns it any more; the lock is held, and is released. */
void http_request_unlock(http_request *r);

/* http_route.c */
/** Finds the row for the method and raw path; on a refusal NULL, with 404 or 405 in r->refused. */
const http_route *http_route_find(http_request *r, const char *method, const char *path);
/** Appends the decoded text and a NUL. False: a broken escape, or one that gives NUL (or '/'). */
bool http_decode(tdsa_buf *out, const char *text, size_t len, bool is_query);

/* http_watch.c */
void http_on_connection(void *ctx, struct MHD_Connection *mhd, void **socket_ctx,
                        enum MHD_ConnectionNotificationCode code);
/** Notes a phase; the lock is held. */
void http_phase_set(http_connection *c, http_phase phase);
void *http_watchdog(void *ctx);

#endif
