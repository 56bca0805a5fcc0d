#include <stdio.h>
#include <string.h>

#include "http/http_internal.h"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool http_decode(tdsa_buf *out, const char *text, size_t len, bool is_query)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (c == '%') {
            const int high = len - i > 2 ? hex_value(text[i + 1]) : -1;
            const int low = len - i > 2 ? hex_value(text[i + 2]) : -1;

            if (high < 0 || low < 0 || high + low == 0) {
                return false;
            }
            c = (char)(high * 16 + low);
            if (c == '/' && !is_query) {
                return false;
            }
            i += 2;
        } else if (c == '+' && is_query) {
            c = ' ';
        }
        tdsa_buf_append_u8(out, (uint8_t)c);
    }
    tdsa_buf_append_u8(out, 0);
    return true;
}

/* One step through pattern and path. */
typedef struct {
    const char *at[HTTP_PARAMS_MAX];
    size_t len[HTTP_PARAMS_MAX];
    size_t count;
} captures;

static void capture(captures *c, const char *at, size_t len)
{
    if (c->count < HTTP_PARAMS_MAX) {
        c->at[c->count] = at;
        c->len[c->count] = len;
        c->count++;
    }
}

/* Both begin with '/' at every turn of the loop. */
static bool matches(const char *pattern, const char *path, captures *found)
{
    found->count = 0;
    while (*pattern == '/' && *path == '/') {
        const size_t pattern_len = strcspn(pattern + 1, "/");
        const size_t path_len = strcspn(path + 1, "/");

        if (pattern_len == 1 && pattern[1] == '*') {
            capture(found, path + 1, strlen(path + 1));
            return true;
        }
        if (pattern_len == 2 && strncmp(pattern + 1, "{}", 2) == 0) {
            if (path_len == 0) {
                return false;
            }
            capture(found, path + 1, path_len);
        } else if (pattern_len != path_len || strncmp(pattern + 1, path + 1, path_len) != 0) {
            return false;
        }
        pattern += 1 + pattern_len;
        path += 1 + path_len;
    }
    return *pattern == '\0' && *path == '\0';
}

static bool method_fits(const http_route *route, const char *method)
{
    return route->method == NULL || strcmp(route->method, method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

static void refuse(http_request *r, unsigned status, const char *why)
{
    r->refused = status;
    r->refusal = why;
}

/* Adds a method to the Allow header once. */
static void allow(http_request *r, const char *method)
{
    const size_t used = strlen(r->allow);
    const size_t len = strlen(method);
    const char *at = strstr(r->allow, method);

    if (at != NULL && (at[len] == '\0' || at[len] == ',')) {
        return;
    }
    if (used + len + 3 < sizeof r->allow) {
        (void)snprintf(r->allow + used, sizeof r->allow - used, "%s%s", used == 0 ? "" : ", ",
                       method);
    }
}

/* Decodes what the pattern captured; a "*" may hold slashes of its own. */
static bool keep_params(http_request *r, const captures *found)
{
    for (size_t i = 0; i < found->count; i++) {
        r->params[i] = r->text.len;
        if (!http_decode(&r->text, found->at[i], found->len[i], false)) {
            return false;
        }
        r->param_count = i + 1;
    }
    return true;
}

const http_route *http_route_find(http_request *r, const char *method, const char *path)
{
    const http_cfg *cfg = &r->server->cfg;
    captures found;

    for (size_t i = 0; i < cfg->route_count; i++) {
        const http_route *route = &cfg->routes[i];

        if (!matches(route->path, path, &found)) {
            continue;
        }
        if (method_fits(route, method)) {
            if (!keep_params(r, &found)) {
                refuse(r, MHD_HTTP_BAD_REQUEST, "broken percent-encoding in the path");
                return NULL;
            }
            return route;
        }
        allow(r, route->method);
        if (strcmp(route->method, "GET") == 0) {
            allow(r, "HEAD");
        }
    }
    if (r->allow[0] != '\0') {
        refuse(r, MHD_HTTP_METHOD_NOT_ALLOWED, NULL);
    } else {
        refuse(r, MHD_HTTP_NOT_FOUND, NULL);
    }
    return NULL;
}
