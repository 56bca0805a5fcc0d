#include <string.h>

#include "api/encode.h"
#include "api/sign_request.h"
#include "base/encode.h"

/* POST /v1/keys/{id}/partial-signatures and /v1/keys/{id}/combine */

static tdsa_status read_id(svc_call *c, part_presig_id *id, tdsa_err *err)
{
    if (!part_presig_id_parse(id, svc_call_value(c, SVC_PARTIAL_PRESIGNATURE)->text)) {
        return svc_call_refuse(c, 422, "INVALID_FIELD", "presignatureId", TDSA_E_BAD_INPUT, err,
                               "presignatureId must be the 64 hex digits of a batch, '-' and a "
                               "place in it");
    }
    return TDSA_OK;
}

static void show_partial(svc_call *c, const part_presig_id *id, const part_partial_result *result)
{
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    char name[PART_PRESIG_ID_MAX];

    part_presig_id_put(name, id);
    svc_base64(&text, result->bytes.data, result->bytes.len);
    c->reply = json_object();
    svc_put(c->reply, "keyId", json_string(c->key.key_id));
    svc_put(c->reply, "participantIndex", json_integer(result->participant));
    svc_put(c->reply, "presignatureId", json_string(name));
    svc_put(c->reply, "partialSignature", json_stringn((const char *)text.data, text.len));
    svc_put(c->reply, "expiresAt", svc_time_json(result->expires_ms));
}

tdsa_status svc_api_do_PARTIAL(svc_call *c, tdsa_err *err)
{
    part_partial_result result = {.bytes = TDSA_BUF_EMPTY};
    part_presig_id id;
    svc_sign_job j;
    tdsa_status st = svc_sign_read(c, c->body.values, &j, err);

    if (st == TDSA_OK) {
        st = read_id(c, &id, err);
    }
    if (st == TDSA_OK) {
        st = part_engine_partial(c->api->cfg.engine, &j.req, &id, &result, err);
    }
    if (st == TDSA_OK) {
        show_partial(c, &id, &result);
    }
    tdsa_buf_clear(&result.bytes);
    svc_sign_clear(&j);
    return st;
}

static tdsa_status decode(svc_call *c, tdsa_buf bytes[SVC_LIST_MAX], part_bytes out[SVC_LIST_MAX],
                          size_t *count, tdsa_err *err)
{
    const svc_value *v = svc_call_value(c, SVC_COMBINE_PARTIALS);

    for (*count = 0; *count < v->list_len; (*count)++) {
        size_t len = 0;
        const char *text = svc_value_text(v, *count, &len);
        char name[32];

        (void)snprintf(name, sizeof name, "partials[%u]", (unsigned)*count);
        if (tdsa_base64_decode(&bytes[*count], text, len, NULL, err) != TDSA_OK) {
            return svc_call_refuse(c, 422, "INVALID_FIELD", name, TDSA_E_BAD_INPUT, err,
                                   "each of partials must be base64");
        }
        out[*count] = (part_bytes){bytes[*count].data, bytes[*count].len};
    }
    return TDSA_OK;
}

static tdsa_status combine(svc_call *c, const part_bytes *partials, size_t count, tdsa_err *err)
{
    const char *encoding = svc_call_value(c, SVC_COMBINE_ENCODING)->text;
    part_sign_result sig;
    part_combined out;
    tdsa_status st =
        part_engine_combine(c->api->cfg.engine, c->key.key_id, partials, count, &out, err);

    if (st != TDSA_OK) {
        return st;
    }
    memset(&sig, 0, sizeof sig);
    memcpy(sig.rs, out.rs, out.rs_len);
    sig.rs_len = out.rs_len;
    sig.recovery_id = out.recovery_id;
    c->reply = json_object();
    svc_put(c->reply, "keyId", json_string(c->key.key_id));
    svc_sign_show(c->reply, c, encoding, &sig);
    return svc_sign_public_key(c->reply, c, out.path_len > 0 ? out.path : NULL, out.path_len, err);
}

tdsa_status svc_api_do_COMBINE(svc_call *c, tdsa_err *err)
{
    tdsa_buf bytes[SVC_LIST_MAX];
    part_bytes partials[SVC_LIST_MAX];
    size_t count = 0;
    tdsa_status st = svc_sign_encoding(c, svc_call_value(c, SVC_COMBINE_ENCODING)->text, err);

    for (size_t i = 0; i < SVC_LIST_MAX; i++) {
        bytes[i] = TDSA_BUF_EMPTY;
    }
    if (st == TDSA_OK) {
        st = decode(c, bytes, partials, &count, err);
    }
    if (st == TDSA_OK) {
        st = combine(c, partials, count, err);
    }
    for (size_t i = 0; i < SVC_LIST_MAX; i++) {
        tdsa_buf_clear(&bytes[i]);
    }
    return st;
}
