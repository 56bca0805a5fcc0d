#include "api/call.h"

/* GET /v1/info, /openapi.json, /docs */

static json_t *limits_json(const svc_api_cfg *cfg)
{
    json_t *o = json_object();

    svc_put(o, "presignaturesPerRequest",
            json_integer(cfg->presign_request_max != 0 ? (json_int_t)cfg->presign_request_max
                                                       : SVC_PRESIGN_COUNT_MAX));
    svc_put(o, "defaultPresignatureLimit",
            json_integer((json_int_t)cfg->default_presignature_limit));
    svc_put(o, "minPathLength", json_integer((json_int_t)cfg->min_path));
    svc_put(o, "minPathLengthXPub", json_integer((json_int_t)cfg->min_path_xpub));
    svc_put(o, "messageBytes", json_integer(SVC_MESSAGE_LEN_MAX));
    return o;
}

tdsa_status svc_api_do_INFO(svc_call *c, tdsa_err *err)
{
    const svc_api_cfg *cfg = &c->api->cfg;
    json_t *curves = json_array();

    (void)err;
    for (unsigned i = GRP_P256; i < GRP_CURVE_END; i++) {
        (void)json_array_append_new(curves, json_string(grp_curve_name((grp_curve)i)));
    }
    c->reply = json_object();
    svc_put(c->reply, "service", json_string(cfg->service != NULL ? cfg->service : "tdsa-service"));
    svc_put(c->reply, "version", json_string(cfg->version));
    svc_put(c->reply, "participantIndex", json_integer(cfg->me));
    svc_put(c->reply, "participants", json_integer(cfg->n));
    svc_put(c->reply, "threshold", json_integer(cfg->t));
    svc_put(c->reply, "clientIndex",
            cfg->client_index >= 0 ? json_integer(cfg->client_index) : json_null());
    svc_put(c->reply, "generatesKeys", json_boolean(cfg->may_generate));
    svc_put(c->reply, "curves", curves);
    svc_put(c->reply, "limits", limits_json(cfg));
    return TDSA_OK;
}

tdsa_status svc_api_do_OPENAPI(svc_call *c, tdsa_err *err)
{
    (void)err;
    c->text = c->api->openapi;
    c->text_type = "application/json";
    return TDSA_OK;
}

tdsa_status svc_api_do_DOCS(svc_call *c, tdsa_err *err)
{
    (void)err;
    http_set_header(c->request, "Content-Security-Policy",
                    "default-src 'none'; style-src 'unsafe-inline'");
    c->text = c->api->docs;
    c->text_type = "text/html; charset=utf-8";
    return TDSA_OK;
}
