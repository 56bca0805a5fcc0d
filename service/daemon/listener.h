#ifndef DAEMON_LISTENER_H
#define DAEMON_LISTENER_H

#include "daemon/settings.h"
#include "http/http.h"

/** One port with the routes of its module, put below the configured prefix. */
#define SVC_ROUTES_MAX 64u

typedef struct {
    http_server *server; /* NULL: not started */
    http_route routes[SVC_ROUTES_MAX];
    char paths[SVC_ROUTES_MAX][SVC_PREFIX_MAX + 64];
} svc_listener;

/**
 * keep_plain: the routes are served without the prefix as well (the protocol port: peers post to
 * /protocol/round whatever the prefix is).
 * Errors: TDSA_E_CONFIG (cannot listen; the text names listener, host and port), TDSA_E_NO_MEMORY.
 */
TDSA_MUST_USE tdsa_status svc_listener_start(svc_listener *l, const svc_listener_cfg *cfg,
                                             const http_route *routes, size_t count,
                                             bool keep_plain, void *ctx,
                                             void (*observer)(void *ctx, const http_done *done),
                                             tdsa_err *err) TDSA_NONNULL;

#endif
