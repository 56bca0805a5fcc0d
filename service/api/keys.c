#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/call.h"
#include "api/encode.h"
#include "base/encode.h"
#include "base/hash.h"

/* Registering, listing, showing and deleting keys. */

#define LIST_LIMIT_DEFAULT 100u
#define LIST_LIMIT_MAX     1000u

static const char *state_name(ks_key_state state)
{
    switch (state) {
    case KS_KEY_REGISTERED:
        return "REGISTERED";
    case KS_KEY_PENDING:
        return "PENDING";
    case KS_KEY_ACTIVE:
        return "ACTIVE";
    case KS_KEY_DELETED:
        return "DELETED";
    case KS_KEY_OLD: /* never the row that is shown */
        break;
    }
    return "?";
}

static json_t *time_json(uint64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    char text[40], out[48];

    if (gmtime_r(&seconds, &tm) == NULL ||
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm) == 0) {
        return json_null();
    }
    (void)snprintf(out, sizeof out, "%s.%03uZ", text, (unsigned)(wall_ms % 1000));
    return json_string(out);
}

static json_t *digests_json(uint32_t digests)
{
    static const struct {
        tdsa_hash_alg alg;
        const char *name;
    } names[] = {{TDSA_HASH_SHA1, "SHA-1"},
                 {TDSA_HASH_SHA224, "SHA-224"},
                 {TDSA_HASH_SHA256, "SHA-256"},
                 {TDSA_HASH_SHA384, "SHA-384"},
                 {TDSA_HASH_SHA512, "SHA-512"}};
    json_t *list = json_array();

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if ((digests & (1u << (unsigned)names[i].alg)) != 0) {
            (void)json_array_append_new(list, json_string(names[i].name));
        }
    }
    return list;
}

static json_t *label_json(const char *label)
{
    json_t *v = json_string(label);

    return v != NULL ? v : json_string(""); /* not UTF-8: another program wrote it */
}

static json_t *hex_json(const uint8_t *bytes, size_t len)
{
    TDSA_SCOPED_BUF hex = TDSA_BUF_EMPTY;

    tdsa_hex_encode(&hex, bytes, len);
    return hex.failed ? NULL : json_stringn((const char *)hex.data, hex.len);
}

static json_t *compressed_json(const part_key_info *k)
{
    TDSA_SCOPED_BUF point = TDSA_BUF_EMPTY;
    tdsa_err err;

    if (svc_point_compress(&point, k->public_key, k->public_key_len, &err) != TDSA_OK) {
        return NULL;
    }
    return hex_json(point.data, point.len);
}

json_t *svc_key_json(const part_key_info *k)
{
    json_t *o = json_object();

    svc_put(o, "keyId", json_string(k->key_id));
    svc_put(o, "state", json_string(state_name(k->state)));
    svc_put(o, "curve", json_string(grp_curve_name(k->curve)));
    svc_put(o, "scheme", json_string(mpc_scheme_name(k->scheme)));
    svc_put(o, "label", label_json(k->label));
    svc_put(o, "participants", json_integer(k->n));
    svc_put(o, "threshold", json_integer(k->t));
    svc_put(o, "epoch", json_integer((json_int_t)k->epoch));
    svc_put(o, "created", time_json(k->created_ms));
    svc_put(o, "clientParticipates", json_boolean(k->client_participates));
    svc_put(o, "purpose",
            json_string(k->policy.purpose == MPC_PURPOSE_MESSAGE ? "message" : "digest"));
    svc_put(o, "derivation",
            json_string(k->policy.derivation == MPC_DERIVE_BIP32 ? "bip32" : "none"));
    svc_put(o, "digests", digests_json(k->policy.digests));
    svc_put(o, "lowS", json_boolean(k->policy.low_s));
    svc_put(o, "presignatureLimit", json_integer((json_int_t)k->presignature_limit));
    if (k->policy.derivation == MPC_DERIVE_BIP32) {
        svc_put(o, "minPathLength", json_integer((json_int_t)k->policy.min_path));
    }
    if (k->state == KS_KEY_ACTIVE &&
        (k->policy.derivation == MPC_DERIVE_NONE || k->policy.min_path == 0)) {
        svc_put(o, "publicKey", compressed_json(k));
    }
    return o;
}

/* ---- register, generate ---- */

static tdsa_status register_key(svc_call *c, char key_id[KS_KEY_ID_MAX + 1], tdsa_err *err)
{
    const svc_value *id = svc_call_value(c, SVC_KEY_ID);
    const svc_value *limit = svc_call_value(c, SVC_KEY_LIMIT);
    const svc_value *purpose = svc_call_value(c, SVC_KEY_PURPOSE);
    const svc_value *derivation = svc_call_value(c, SVC_KEY_DERIVATION);
    const svc_value *scheme = svc_call_value(c, SVC_KEY_SCHEME);
    part_key_spec spec;

    memset(&spec, 0, sizeof spec);
    spec.key_id = id->present ? id->text : NULL;
    if (!grp_curve_by_name(&spec.curve, svc_call_value(c, SVC_KEY_CURVE)->text)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "curve is not known to this build");
    }
    spec.label = svc_call_value(c, SVC_KEY_LABEL)->text;
    spec.scheme = mpc_scheme_default(spec.curve);
    if (scheme->present && (!mpc_scheme_by_name(&spec.scheme, scheme->text) ||
                            !mpc_scheme_fits(spec.scheme, spec.curve))) {
        return svc_call_refuse(c, 422, "INVALID_FIELD", "scheme", TDSA_E_BAD_INPUT, err,
                               "scheme does not go with the curve: ecdsa on P-256 and secp256k1, "
                               "bip340 on secp256k1, eddsa on Ed25519");
    }
    spec.policy = part_policy_default(spec.curve, spec.scheme);
    if (purpose->present) {
        spec.policy.purpose =
            strcmp(purpose->text, "message") == 0 ? MPC_PURPOSE_MESSAGE : MPC_PURPOSE_DIGEST;
    }
    if (spec.scheme != MPC_SCHEME_ECDSA && spec.policy.purpose != MPC_PURPOSE_MESSAGE) {
        return svc_call_refuse(c, 422, "INVALID_FIELD", "purpose", TDSA_E_BAD_INPUT, err,
                               "purpose must be message for a key of this scheme");
    }
    if (spec.curve == GRP_ED25519 && derivation->present && strcmp(derivation->text, "none") != 0) {
        return svc_call_refuse(c, 422, "INVALID_FIELD", "derivation", TDSA_E_BAD_INPUT, err,
                               "derivation must be none on Ed25519");
    }
    if (spec.curve != GRP_ED25519 &&
        (!derivation->present || strcmp(derivation->text, "bip32") == 0)) {
        spec.policy.derivation = MPC_DERIVE_BIP32;
        spec.policy.min_path = c->api->cfg.min_path;
        spec.policy.min_path_xpub = c->api->cfg.min_path_xpub;
    }
    spec.presignature_limit = limit->present ? limit->number : PART_LIMIT_DEFAULT;
    return part_engine_register(c->api->cfg.engine, &spec, 0, key_id, err);
}

static tdsa_status show_key(svc_call *c, const char *key_id, tdsa_err *err)
{
    tdsa_status st = part_engine_key(c->api->cfg.engine, key_id, &c->key, err);

    if (st == TDSA_OK) {
        c->reply = svc_key_json(&c->key);
    }
    return st;
}

tdsa_status svc_api_do_REGISTER(svc_call *c, tdsa_err *err)
{
    char key_id[KS_KEY_ID_MAX + 1];
    tdsa_status st = register_key(c, key_id, err);

    return st == TDSA_OK ? show_key(c, key_id, err) : st;
}

tdsa_status svc_api_do_GENERATE(svc_call *c, tdsa_err *err)
{
    char key_id[KS_KEY_ID_MAX + 1];
    tdsa_status st = register_key(c, key_id, err);

    if (st == TDSA_OK) {
        st = part_engine_generate(c->api->cfg.engine, key_id, 0, err);
    }
    return st == TDSA_OK ? show_key(c, key_id, err) : st;
}

tdsa_status svc_api_do_SHARE(svc_call *c, tdsa_err *err)
{
    char key_id[KS_KEY_ID_MAX + 1];
    tdsa_status st;

    if (c->key.state == KS_KEY_ACTIVE) {
        return svc_call_refuse(c, 409, "KEY_ACTIVE", NULL, TDSA_E_CONFLICT, err,
                               "the key has its shares already");
    }
    memcpy(key_id, c->key.key_id, sizeof key_id);
    st = part_engine_generate(c->api->cfg.engine, key_id, 0, err);
    return st == TDSA_OK ? show_key(c, key_id, err) : st;
}

tdsa_status svc_api_do_KEY(svc_call *c, tdsa_err *err)
{
    (void)err;
    c->reply = svc_key_json(&c->key);
    return TDSA_OK;
}

tdsa_status svc_api_do_DELETE(svc_call *c, tdsa_err *err)
{
    return part_engine_delete(c->api->cfg.engine, c->key.key_id, 0, err);
}

/* ---- list ---- */

typedef struct {
    json_t *keys;
    size_t left;
    bool more;
    char last[KS_KEY_ID_MAX + 1];
} page;

static bool add_key(void *ctx, const part_key_info *k)
{
    page *p = (page *)ctx;

    if (p->left == 0) {
        p->more = true;
        return false;
    }
    p->left--;
    (void)snprintf(p->last, sizeof p->last, "%s", k->key_id);
    (void)json_array_append_new(p->keys, svc_key_json(k));
    return true;
}

static tdsa_status read_limit(svc_call *c, size_t *out, tdsa_err *err)
{
    const char *text = http_request_query(c->request, "limit");
    char *end = NULL;
    unsigned long v;

    *out = LIST_LIMIT_DEFAULT;
    if (text == NULL) {
        return TDSA_OK;
    }
    v = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || v < 1 || v > LIST_LIMIT_MAX) {
        return svc_call_refuse(c, 400, "INVALID_QUERY", "limit", TDSA_E_BAD_INPUT, err,
                               "limit must be an integer of 1..1000");
    }
    *out = (size_t)v;
    return TDSA_OK;
}

tdsa_status svc_api_do_LIST(svc_call *c, tdsa_err *err)
{
    const char *after = http_request_query(c->request, "after");
    const char *state = http_request_query(c->request, "state");
    bool all = state != NULL && strcmp(state, "all") == 0;
    page p = {NULL, 0, false, ""};
    size_t limit;
    tdsa_status st = read_limit(c, &limit, err);

    if (st != TDSA_OK) {
        return st;
    }
    if (state != NULL && !all && strcmp(state, "ACTIVE") != 0) {
        return svc_call_refuse(c, 400, "INVALID_QUERY", "state", TDSA_E_BAD_INPUT, err,
                               "state must be ACTIVE or all");
    }
    if (after != NULL && strlen(after) > KS_KEY_ID_MAX) {
        return svc_call_refuse(c, 400, "INVALID_QUERY", "after", TDSA_E_BAD_INPUT, err,
                               "after must be a cursor of the page before");
    }
    p.keys = json_array();
    p.left = limit;
    /* one more than asked for tells whether there is a next page */
    st = part_engine_list(c->api->cfg.engine, after, limit + 1, all, add_key, &p, err);
    if (st != TDSA_OK) {
        json_decref(p.keys);
        return st;
    }
    c->reply = json_object();
    svc_put(c->reply, "keys", p.keys);
    if (p.more) {
        svc_put(c->reply, "next", json_string(p.last));
    }
    return TDSA_OK;
}

/* ---- public key ---- */

static void put_forms(json_t *o, const uint8_t *raw, size_t len, const tdsa_buf *spki)
{
    TDSA_SCOPED_BUF point = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF base64 = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF pem = TDSA_BUF_EMPTY;
    tdsa_err err;

    if (svc_point_compress(&point, raw, len, &err) == TDSA_OK) {
        svc_put(o, "compressed", hex_json(point.data, point.len));
    }
    if (len > 1 && len % 2 == 1) { /* Ed25519 has one form */
        svc_put(o, "uncompressed", hex_json(raw, len));
        svc_put(o, "x", hex_json(raw + 1, len / 2)); /* what BIP-340 calls the public key */
    }
    svc_base64(&base64, spki->data, spki->len);
    svc_put(o, "spki", json_stringn((const char *)base64.data, base64.len));
    svc_pem(&pem, spki->data, spki->len);
    svc_put(o, "pem", json_stringn((const char *)pem.data, pem.len));
}

tdsa_status svc_api_do_PUBLIC_KEY(svc_call *c, tdsa_err *err)
{
    const char *text = http_request_query(c->request, "path");
    TDSA_SCOPED_BUF spki = TDSA_BUF_EMPTY;
    uint32_t path[MPC_PATH_MAX];
    uint16_t path_len = 0;
    uint8_t raw[GRP_POINT_RAW_MAX];
    size_t len = sizeof raw;
    tdsa_status st = TDSA_OK;

    if (text != NULL) {
        st = svc_path_read(text, path, &path_len, err);
    }
    if (st == TDSA_OK && path_len > 0 && c->key.policy.derivation == MPC_DERIVE_NONE) {
        return svc_call_refuse(c, 422, "NO_DERIVATION", "path", TDSA_E_BAD_INPUT, err,
                               "the key was made without derivation");
    }
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
    put_forms(c->reply, raw, len, &spki);
    return TDSA_OK;
}
