#include "admin/admin.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#define JSON_TYPE "application/json"
#define HTML_TYPE "text/html; charset=utf-8"
#define TEXT_TYPE "text/plain; charset=utf-8"

static void no_cache(http_request *r)
{
    http_set_header(r, "Cache-Control", "must-revalidate,no-cache,no-store");
}

static bool wants(const http_request *r, const char *name, const char *value)
{
    const char *v = http_request_query(r, name);

    return v != NULL && strcmp(v, value) == 0;
}

static void on_metrics(void *ctx, http_request *r)
{
    const svc_admin *a = (const svc_admin *)ctx;
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    tdsa_err err;

    if (svc_metrics_json(a->metrics, wants(r, "pretty", "true"), &body, &err) != TDSA_OK) {
        http_reply_error(r, 503, err.text, NULL);
        return;
    }
    no_cache(r);
    http_reply(r, 200, JSON_TYPE, body.data, body.len);
}

static void on_healthcheck(void *ctx, http_request *r)
{
    const svc_admin *a = (const svc_admin *)ctx;
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    unsigned status = 500;
    tdsa_err err;

    if (svc_health_run(a->health, wants(r, "pretty", "true"), &body, &status, &err) != TDSA_OK) {
        http_reply_error(r, 500, err.text, NULL);
        return;
    }
    if (status == 500 && wants(r, "httpStatusIndicator", "false")) {
        status = 200;
    }
    no_cache(r);
    http_reply(r, status, JSON_TYPE, body.data, body.len);
}

static void on_ready(void *ctx, http_request *r)
{
    const svc_admin *a = (const svc_admin *)ctx;
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    unsigned status = 503;
    tdsa_err err;

    if (svc_health_ready(a->health, &body, &status, &err) != TDSA_OK) {
        http_reply_error(r, 503, err.text, NULL);
        return;
    }
    no_cache(r);
    http_reply(r, status, JSON_TYPE, body.data, body.len);
}

static void on_live(void *ctx, http_request *r)
{
    static const char body[] = "{\"live\":true}";

    (void)ctx;
    no_cache(r);
    http_reply(r, 200, JSON_TYPE, body, sizeof body - 1);
}

static void on_ping(void *ctx, http_request *r)
{
    (void)ctx;
    no_cache(r);
    http_reply(r, 200, TEXT_TYPE, "pong\n", 5);
}

/* Name of one thread of this process: "123 tdsa-comm-0". */
static void append_thread(tdsa_buf *out, const char *tid)
{
    char path[320], name[64] = "";
    FILE *f;

    (void)snprintf(path, sizeof path, "/proc/self/task/%s/comm", tid);
    f = fopen(path, "re");
    if (f == NULL) {
        return; /* it has just ended */
    }
    if (fgets(name, sizeof name, f) != NULL) {
        tdsa_buf_appendf(out, "%s %s", tid, name);
    }
    (void)fclose(f);
}

static void on_threads(void *ctx, http_request *r)
{
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    DIR *d = opendir("/proc/self/task");

    (void)ctx;
    if (d == NULL) {
        http_reply_error(r, 503, "the list of threads cannot be read", NULL);
        return;
    }
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        if (e->d_name[0] != '.') {
            append_thread(&body, e->d_name);
        }
    }
    (void)closedir(d);
    no_cache(r);
    http_reply(r, 200, TEXT_TYPE, body.data, body.len);
}

static void on_menu(void *ctx, http_request *r)
{
    static const char page[] =
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>tdsa-service"
        "</title></head>\n<body><h1>Operational Menu</h1>\n<ul>\n"
        "<li><a href=\"metrics?pretty=true\">Metrics</a></li>\n"
        "<li><a href=\"healthcheck?pretty=true\">Healthcheck</a></li>\n"
        "<li><a href=\"health/ready\">Ready</a></li>\n"
        "<li><a href=\"health/live\">Live</a></li>\n"
        "<li><a href=\"ping\">Ping</a></li>\n"
        "<li><a href=\"threads\">Threads</a></li>\n"
        "</ul></body></html>\n";

    (void)ctx;
    no_cache(r);
    http_set_header(r, "Content-Security-Policy", "default-src 'none'");
    http_reply(r, 200, HTML_TYPE, page, sizeof page - 1);
}

void svc_admin_observe(void *ctx, const http_done *done)
{
    const svc_admin *a = (const svc_admin *)ctx;

    if (a->done != NULL) {
        a->done(a->done_ctx, done);
    }
}

const http_route *svc_admin_routes(size_t *count)
{
    static const http_route routes[] = {
        {.method = "GET", .path = "/healthcheck", .handler = on_healthcheck},
        {.method = "GET", .path = "/metrics", .handler = on_metrics},
        {.method = "GET", .path = "/health/ready", .handler = on_ready},
        {.method = "GET", .path = "/health/live", .handler = on_live},
        {.method = "GET", .path = "/ping", .handler = on_ping},
        {.method = "GET", .path = "/threads", .handler = on_threads},
        {.method = "GET", .path = "/", .handler = on_menu},
    };

    *count = sizeof routes / sizeof routes[0];
    return routes;
}
