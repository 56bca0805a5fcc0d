#include "daemon/listener.h"

#include <stdio.h>

#include "base/assert.h"

tdsa_status svc_listener_start(svc_listener *l, const svc_listener_cfg *want,
                               const http_route *routes, size_t count, bool keep_plain, void *ctx,
                               void (*observer)(void *ctx, const http_done *done), tdsa_err *err)
{
    http_cfg http = want->http;
    size_t n = 0;

    l->server = NULL;
    TDSA_ASSERT(2 * count <= SVC_ROUTES_MAX);
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(l->paths[n], sizeof l->paths[n], "%s%s", want->prefix, routes[i].path);
        l->routes[n] = routes[i];
        l->routes[n].path = l->paths[n];
        n++;
    }
    for (size_t i = 0; keep_plain && want->prefix[0] != '\0' && i < count; i++) {
        l->routes[n++] = routes[i];
    }
    http.routes = l->routes;
    http.route_count = n;
    http.ctx = ctx;
    http.observer = observer;
    return http_server_start(&l->server, &http, err);
}
