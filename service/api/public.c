#include <string.h>

#include "api/call.h"
#include "api/encode.h"
#include "base/encode.h"

/* Public keys and extended public keys. */

static json_t *hex_json(const uint8_t *bytes, size_t len)
{
    TDSA_SCOPED_BUF hex = TDSA_BUF_EMPTY;

    tdsa_hex_encode(&hex, bytes, len);
    return hex.failed ? NULL : json_stringn((const char *)hex.data, hex.len);
}

json_t *svc_point_json(const uint8_t *raw, size_t len)
{
    TDSA_SCOPED_BUF point = TDSA_BUF_EMPTY;
    tdsa_err err;

    if (svc_point_compress(&point, raw, len, &err) != TDSA_OK) {
        return NULL;
    }
    return hex_json(point.data, point.len);
}

static void put_forms(json_t *o, const part_key_info *k, const uint8_t *raw, size_t len,
                      const tdsa_buf *spki)
{
    TDSA_SCOPED_BUF base64 = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF pem = TDSA_BUF_EMPTY;

    svc_put(o, "compressed", svc_point_json(raw, len));
    if (k->curve != GRP_ED25519) { /* which has one form only */
        svc_put(o, "uncompressed", hex_json(raw, len));
        svc_put(o, "x", hex_json(raw + 1, len / 2)); /* what BIP-340 calls the public key */
    }
    svc_base64(&base64, spki->data, spki->len);
    svc_put(o, "spki", json_stringn((const char *)base64.data, base64.len));
    svc_pem(&pem, spki->data, spki->len);
    svc_put(o, "pem", json_stringn((const char *)pem.data, pem.len));
}

/* ?path=, or the empty path. */
static tdsa_status read_path(svc_call *c, uint32_t path[MPC_PATH_MAX], uint16_t *len, tdsa_err *err)
{
    const char *text = http_request_query(c->request, "path");

    *len = 0;
    if (text != NULL && svc_path_read(text, path, len, err) != TDSA_OK) {
        return svc_call_refuse(c, 400, "INVALID_QUERY", "path", TDSA_E_BAD_INPUT, err,
                               "path must look like m/44/0/0: at most 50 steps of 0..2147483647");
    }
    if (*len > 0 && c->key.policy.derivation == MPC_DERIVE_NONE) {
        return svc_call_refuse(c, 422, "NO_DERIVATION", "path", TDSA_E_BAD_INPUT, err,
                               "the key was made without derivation");
    }
    return TDSA_OK;
}

tdsa_status svc_api_do_PUBLIC_KEY(svc_call *c, tdsa_err *err)
{
    TDSA_SCOPED_BUF spki = TDSA_BUF_EMPTY;
    uint32_t path[MPC_PATH_MAX];
    uint16_t path_len = 0;
    uint8_t raw[GRP_POINT_RAW_MAX];
    size_t len = sizeof raw;
    tdsa_status st = read_path(c, path, &path_len, err);

    if (st == TDSA_OK) {
        st = part_engine_public_key(c->api->cfg.engine, c->key.key_id, path_len > 0 ? path : NULL,
                                    path_len, raw, &len, err);
    }
    if (st == TDSA_OK) {
        st = svc_spki(&spki, c->key.curve, raw, len, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    c->reply = json_object();
    svc_put(c->reply, "keyId", json_string(c->key.key_id));
    svc_put(c->reply, "curve", json_string(grp_curve_name(c->key.curve)));
    put_forms(c->reply, &c->key, raw, len, &spki);
    return TDSA_OK;
}

tdsa_status svc_api_do_XPUB(svc_call *c, tdsa_err *err)
{
    char xpub[MPC_XPUB_TEXT_MAX];
    uint32_t path[MPC_PATH_MAX];
    uint16_t path_len = 0;
    tdsa_status st = read_path(c, path, &path_len, err);

    if (st == TDSA_OK && c->key.policy.derivation == MPC_DERIVE_NONE) {
        return svc_call_refuse(c, 422, "NO_DERIVATION", NULL, TDSA_E_BAD_INPUT, err,
                               "the key was made without derivation");
    }
    if (st == TDSA_OK) {
        st = part_engine_xpub(c->api->cfg.engine, c->key.key_id, path_len > 0 ? path : NULL,
                              path_len, xpub, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    c->reply = json_object();
    svc_put(c->reply, "keyId", json_string(c->key.key_id));
    svc_put(c->reply, "curve", json_string(grp_curve_name(c->key.curve)));
    svc_put(c->reply, "path", svc_path_json(path, path_len));
    svc_put(c->reply, "xpub", json_string(xpub));
    return TDSA_OK;
}
