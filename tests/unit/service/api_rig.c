#include "api_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/route.h"

static void on_done(void *ctx, const char *operation, const http_done *done)
{
    rig *r = (rig *)ctx;

    r->seen = done->status;
    (void)snprintf(r->last, sizeof r->last, "%s", operation);
}

void rig_start(rig *r, int client_index, unsigned methods)
{
    static part_engine_cfg engine_cfg;
    svc_api_cfg cfg;
    http_cfg http;
    tdsa_err err;

    memset(r, 0, sizeof *r);
    memset(&engine_cfg, 0, sizeof engine_cfg);
    engine_cfg.roster.n = 3;
    engine_cfg.roster.me = 1;
    engine_cfg.roster.client_index = client_index;
    engine_cfg.t = 1;
    engine_cfg.default_presignature_limit = 100;
    assert_int_equal(part_engine_new(&r->engine, &engine_cfg, &err), TDSA_OK);
    cfg = (svc_api_cfg){.engine = r->engine,
                        .version = "0.1.0",
                        .n = 3,
                        .t = 1,
                        .me = 1,
                        .client_index = client_index,
                        .may_generate = true,
                        .default_presignature_limit = 100,
                        .base_path = "",
                        .methods = methods,
                        .done = on_done,
                        .done_ctx = r};
    assert_int_equal(svc_api_new(&r->api, &cfg, &err), TDSA_OK);
    http = (http_cfg){.name = "api",
                      .host = "127.0.0.1",
                      .model = HTTP_BLOCKING,
                      .body_max = SVC_BATCH_BODY_MAX,
                      .ctx = r->api,
                      .observer = svc_api_observe};
    http.routes = svc_api_routes(r->api, &http.route_count);
    assert_int_equal(http_server_start(&r->server, &http, &err), TDSA_OK);
    r->port = http_server_port(r->server);
}

void rig_stop(rig *r)
{
    http_server_free(r->server);
    svc_api_free(r->api);
    part_engine_free(r->engine);
}

void rig_make_key(rig *r, const char *body)
{
    test_answer a;

    test_json(&a, r->port, "POST", "/v1/keys:generate", body);
    if (a.status != 201) {
        print_message("%s\n", a.body);
    }
    assert_int_equal(a.status, 201);
}
