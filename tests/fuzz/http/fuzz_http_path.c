#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/encode.h"
#include "http/http_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const http_route routes[] = {
    {.method = "GET", .path = "/v1/keys"},
    {.method = "DELETE", .path = "/v1/keys/{}"},
    {.method = "GET", .path = "/v1/keys/{}/public-key"},
    {.method = "DELETE", .path = "/v1/keys/{}/presignatures/{}"},
    {.method = "POST", .path = "/protocol/round"},
    {.method = NULL, .path = "/ui/*"},
};

static void require(bool ok)
{
    if (!ok) {
        __builtin_trap();
    }
}

static void find(const char *method, const char *path)
{
    http_server server = {.cfg = {.routes = routes, .route_count = 6}};
    http_request r = {.server = &server, .text = TDSA_BUF_EMPTY};
    const http_route *found = http_route_find(&r, method, path);

    require((found == NULL) == (r.refused != 0));
    for (size_t i = 0; found != NULL && i < r.param_count; i++) {
        require(r.params[i] < r.text.len);
        /* a parameter is one step of the path, decoded, unless the row says "*" */
        require(found == &routes[5] ||
                strchr((const char *)r.text.data + r.params[i], '/') == NULL);
    }
    tdsa_buf_clear(&r.text);
}

/* Raw request paths through the routing table, queries through http_decode, and the text of a
 * derivation path. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const methods[] = {"GET", "DELETE", "POST", "PUT", "HEAD"};
    TDSA_SCOPED_BUF query = TDSA_BUF_EMPTY;
    char *path = calloc(1, size + 2);

    require(path != NULL);
    path[0] = '/';
    memcpy(path + 1, data, size);
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        find(methods[i], path);
    }
    if (http_decode(&query, (const char *)data, size, true) && !query.failed) {
        uint32_t steps[MPC_PATH_MAX];
        uint16_t len = 0;
        tdsa_err err;

        require(query.data[query.len - 1] == 0);
        if (svc_path_read((const char *)query.data, steps, &len, &err) == TDSA_OK) {
            require(len <= MPC_PATH_MAX);
        }
    }
    free(path);
    return 0;
}
