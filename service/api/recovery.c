#include <string.h>

#include "api/call.h"
#include "api/encode.h"
#include "base/encode.h"

/* POST /v1/keys/{id}/recovery-info. The answer is the package that `tdsa recovery` reads. */

static json_t *hex_json(const uint8_t *bytes, size_t len)
{
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;

    tdsa_hex_encode(&text, bytes, len);
    return text.failed ? NULL : json_stringn((const char *)text.data, text.len);
}

static json_t *info_json(const part_recovery_info *info)
{
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    json_t *o = json_object();

    svc_base64(&text, info->bytes.data, info->bytes.len);
    svc_put(o, "certificate", hex_json(info->certificate, sizeof info->certificate));
    svc_put(o, "recoveryInfo",
            text.failed ? NULL : json_stringn((const char *)text.data, text.len));
    return o;
}

/* One element per participant; the infos are in their order. */
static json_t *participants_json(const part_recovery_package *pkg)
{
    json_t *list = json_array();
    json_t *infos = NULL;

    for (size_t i = 0; i < pkg->count; i++) {
        if (i == 0 || pkg->infos[i].participant != pkg->infos[i - 1].participant) {
            json_t *one = json_object();

            infos = json_array();
            svc_put(one, "participantIndex", json_integer(pkg->infos[i].participant));
            svc_put(one, "infos", infos);
            (void)json_array_append_new(list, one);
        }
        (void)json_array_append_new(infos, info_json(&pkg->infos[i]));
    }
    return list;
}

json_t *svc_recovery_json(const char *key_id, const part_recovery_package *pkg)
{
    json_t *o = json_object();

    svc_put(o, "keyId", json_string(key_id));
    svc_put(o, "epoch", json_integer((json_int_t)pkg->epoch));
    svc_put(o, "publicKey", hex_json(pkg->public_key, pkg->public_key_len));
    svc_put(o, "participants", participants_json(pkg));
    return o;
}

static tdsa_status read_aux(svc_call *c, tdsa_buf *out, tdsa_err *err)
{
    const svc_value *aux = svc_call_value(c, SVC_RECOVERY_AUX);

    if (aux->present && (tdsa_base64_decode(out, aux->text, aux->text_len, NULL, err) != TDSA_OK ||
                         out->len > MPC_RECOVERY_AUX_MAX)) {
        return svc_call_refuse(c, 422, "INVALID_FIELD", "auxiliaryData", TDSA_E_BAD_INPUT, err,
                               "auxiliaryData must be base64 of at most 1024 bytes");
    }
    return TDSA_OK;
}

tdsa_status svc_api_do_RECOVERY_INFO(svc_call *c, tdsa_err *err)
{
    TDSA_SCOPED_BUF aux = TDSA_BUF_EMPTY;
    const svc_value *local = svc_call_value(c, SVC_RECOVERY_LOCAL);
    part_recovery_request req = {.key_id = c->key.key_id};
    part_recovery_package pkg;
    tdsa_status st = read_aux(c, &aux, err);

    if (st != TDSA_OK) {
        return st;
    }
    req.aux = aux.data;
    req.aux_len = aux.len;
    req.local = local->present && local->number != 0;
    st = part_engine_recovery(c->api->cfg.engine, &req, 0, &pkg, err);
    if (st == TDSA_OK) {
        c->reply = svc_recovery_json(c->key.key_id, &pkg);
        part_recovery_package_clear(&pkg);
    }
    return st;
}
