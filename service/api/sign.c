#include "api/sign_request.h"

#include <string.h>

#include "api/encode.h"
#include "base/encode.h"

/* POST /v1/keys/{id}/sign */

static void put_hex(json_t *o, const char *name, const uint8_t *bytes, size_t len)
{
    TDSA_SCOPED_BUF hex = TDSA_BUF_EMPTY;

    tdsa_hex_encode(&hex, bytes, len);
    svc_put(o, name, json_stringn((const char *)hex.data, hex.len));
}

static void put_ecdsa(json_t *o, const char *encoding, const part_sign_result *result)
{
    const bool rs = encoding != NULL && strcmp(encoding, "rs") == 0;
    TDSA_SCOPED_BUF der = TDSA_BUF_EMPTY;
    const size_t half = result->rs_len / 2;

    svc_der_signature(&der, result->rs, result->rs_len);
    if (rs) {
        put_hex(o, "signature", result->rs, result->rs_len);
    } else {
        put_hex(o, "signature", der.data, der.len);
    }
    svc_put(o, "encoding", json_string(rs ? "rs" : "der"));
    put_hex(o, "r", result->rs, half);
    put_hex(o, "s", result->rs + half, half);
    svc_put(o, "recoveryId", json_integer(result->recovery_id));
}

tdsa_status svc_sign_encoding(svc_call *c, const char *encoding, tdsa_err *err)
{
    const bool ecdsa = c->key.scheme == MPC_SCHEME_ECDSA;

    if (encoding != NULL && ecdsa == (strcmp(encoding, "raw") == 0)) {
        return svc_call_refuse(c, 422, "INVALID_FIELD", "encoding", TDSA_E_BAD_INPUT, err,
                               "encoding must be der or rs for ecdsa keys, raw for the others");
    }
    return TDSA_OK;
}

void svc_sign_show(json_t *o, const svc_call *c, const char *encoding,
                   const part_sign_result *result)
{
    if (c->key.scheme == MPC_SCHEME_ECDSA) {
        put_ecdsa(o, encoding, result);
    } else {
        put_hex(o, "signature", result->rs, result->rs_len);
        svc_put(o, "encoding", json_string("raw"));
    }
}

tdsa_status svc_sign_public_key(json_t *o, const svc_call *c, const uint32_t *path,
                                uint16_t path_len, tdsa_err *err)
{
    uint8_t point[GRP_POINT_RAW_MAX];
    size_t len = sizeof point;
    tdsa_status st =
        part_engine_public_key(c->api->cfg.engine, c->key.key_id, path, path_len, point, &len, err);

    if (st == TDSA_OK) {
        svc_put(o, "publicKey", svc_point_json(point, len));
    }
    return st;
}

static tdsa_status sign(svc_call *c, const svc_sign_job *j, tdsa_err *err)
{
    const char *encoding = svc_call_value(c, SVC_SIGN_ENCODING)->text;
    part_sign_result result;
    json_t *key = json_object();
    tdsa_status st;

    memset(&result, 0, sizeof result);
    st = svc_sign_public_key(key, c, j->req.path, j->req.path_len, err);
    if (st == TDSA_OK) {
        st = part_engine_sign(c->api->cfg.engine, &j->req, 0, &result, err);
    }
    if (st == TDSA_OK && http_request_header(c->request, "Session-Id") == NULL) {
        http_set_header(c->request, "Session-Id", result.session_id);
    }
    if (st == TDSA_OK) {
        c->reply = json_object();
        svc_put(c->reply, "keyId", json_string(c->key.key_id));
        svc_sign_show(c->reply, c, encoding, &result);
        (void)json_object_update(c->reply, key);
        svc_put(c->reply, "sessionId", json_string(result.session_id));
    }
    json_decref(key);
    return st;
}

tdsa_status svc_api_do_SIGN(svc_call *c, tdsa_err *err)
{
    svc_sign_job j;
    tdsa_status st = svc_sign_read(c, c->body.values, &j, err);

    if (st == TDSA_OK) {
        st = svc_sign_encoding(c, svc_call_value(c, SVC_SIGN_ENCODING)->text, err);
    }
    if (st == TDSA_OK) {
        st = sign(c, &j, err);
    }
    svc_sign_clear(&j);
    return st;
}
