#ifndef KS_SERVER_H
#define KS_SERVER_H

#include <stddef.h>
#include <stdint.h>

/** A database server, in words that do not depend on its client library. Everything is lent. */

#define KS_HOSTS_MAX 8u

typedef enum {
    KS_TLS_PREFER = 0, /* use it when the server offers it */
    KS_TLS_DISABLE,    /* never */
    KS_TLS_REQUIRE,    /* or no connection; whose certificate it is does not matter */
    KS_TLS_VERIFY_CA,  /* a certificate of tls_ca (NULL: of the system) */
    KS_TLS_VERIFY_FULL /* and of the host that was asked for */
} ks_tls_mode;

typedef struct {
    const char
        *name; /* host name, address (IPv6 without brackets), or the folder of a socket ("/...") */
    uint16_t port; /* 0: the usual one of the server */
} ks_host;

/** Connections of one process. A ks works with one at a time and keeps another for its health check. */
typedef struct {
    uint32_t initial;       /* opened at start: 0, 1 or 2; more counts as 2 */
    uint32_t max;           /* at most; 0: 2 */
    uint32_t wait_ms;       /* longest wait until a connection is there; 0: 30 s */
    uint32_t validation_ms; /* idle longer than this: checked before use; 0: before each use */
    uint32_t max_age_ms;    /* replaced when older; 0: never */
    uint32_t idle_ms;       /* the spare one is closed after this; 0: never */
    const char *validation_query; /* NULL: SELECT 1 */
    const char *init_query;       /* run on each new connection; NULL: none */
} ks_pool;

typedef struct {
    ks_host host[KS_HOSTS_MAX]; /* tried in order; a standby that takes no writes is passed over */
    size_t hosts;
    const char *database, *user, *password; /* user, password: NULL for none */
    ks_tls_mode tls;
    const char *tls_ca, *tls_cert, *tls_key; /* files; NULL: none */
    uint32_t connect_timeout_ms;             /* 0: 5 s */
    uint32_t statement_timeout_ms;           /* 0: 10 s; also the longest wait for a lock */
    ks_pool pool;
} ks_server;

#endif
