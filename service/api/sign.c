#include <string.h>

#include "api/call.h"
#include "api/encode.h"
#include "base/encode.h"
#include "base/hash.h"

/* POST /v1/keys/{id}/sign */

typedef struct {
    part_sign_request req;
    tdsa_buf payload;
    tdsa_buf merkle_root;
    uint32_t path[MPC_PATH_MAX];
    uint8_t public_key[GRP_POINT_RAW_MAX];
    size_t public_key_len;
} job;

static const struct {
    const char *name;
    tdsa_hash_alg alg;
} algorithms[] = {{"SHA-1", TDSA_HASH_SHA1},
                  {"SHA-224", TDSA_HASH_SHA224},
                  {"SHA-256", TDSA_HASH_SHA256},
                  {"SHA-384", TDSA_HASH_SHA384},
                  {"SHA-512", TDSA_HASH_SHA512}};

/* The algorithm asked for, or the one whose digest has this length (0: none has). */
static bool find_algorithm(tdsa_hash_alg *out, const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++) {
        if (name != NULL ? strcmp(algorithms[i].name, name) == 0
                         : tdsa_hash_len(algorithms[i].alg) == len) {
            *out = algorithms[i].alg;
            return true;
        }
    }
    return false;
}

static tdsa_status read_hash(svc_call *c, job *j, tdsa_err *err)
{
    const svc_value *hash = svc_call_value(c, SVC_SIGN_HASH);
    const char *name = svc_call_value(c, SVC_SIGN_ALGORITHM)->text;
    tdsa_status st = tdsa_hex_decode(&j->payload, hash->text, err);

    if (st != TDSA_OK) {
        return st;
    }
    if (!find_algorithm(&j->req.digest_alg, name, j->payload.len) ||
        tdsa_hash_len(j->req.digest_alg) != j->payload.len) {
        return svc_call_refuse(c, 422, "INVALID_FIELD", "hash", TDSA_E_BAD_INPUT, err,
                               "hash has not the length of the algorithm's digest");
    }
    return TDSA_OK;
}

static tdsa_status read_message(svc_call *c, job *j, tdsa_err *err)
{
    const svc_value *message = svc_call_value(c, SVC_SIGN_MESSAGE);
    const char *name = svc_call_value(c, SVC_SIGN_ALGORITHM)->text;

    if (tdsa_base64_decode(&j->payload, message->text, message->text_len, NULL, err) != TDSA_OK ||
        j->payload.len > SVC_MESSAGE_LEN_MAX) {
        return svc_call_refuse(c, 422, "INVALID_FIELD", "message", TDSA_E_BAD_INPUT, err,
                               "message must be base64 of at most 65536 bytes");
    }
    if (c->key.scheme != MPC_SCHEME_ECDSA) {
        j->req.digest_alg = TDSA_HASH_NONE;
        return name == NULL
                   ? TDSA_OK
                   : svc_call_refuse(c, 422, "INVALID_FIELD", "algorithm", TDSA_E_BAD_INPUT, err,
                                     "eddsa and bip340 sign the message itself");
    }
    (void)find_algorithm(&j->req.digest_alg, name != NULL ? name : "SHA-256", 0);
    return TDSA_OK;
}

static tdsa_status read_payload(svc_call *c, job *j, tdsa_err *err)
{
    bool message = c->key.policy.purpose == MPC_PURPOSE_MESSAGE;

    if (svc_call_value(c, SVC_SIGN_HASH)->present == message) {
        return svc_call_refuse(c, 422, message ? "INVALID_FIELD" : "MISSING_FIELD", "hash",
                               TDSA_E_BAD_INPUT, err,
                               message ? "the key signs messages: send message, not hash"
                                       : "hash is missing: it must be hex of 20..64 bytes");
    }
    if (svc_call_value(c, SVC_SIGN_MESSAGE)->present != message) {
        return svc_call_refuse(c, 422, message ? "MISSING_FIELD" : "INVALID_FIELD", "message",
                               TDSA_E_BAD_INPUT, err,
                               message ? "message is missing: the key signs messages"
                                       : "the key signs digests: send hash, not message");
    }
    return message ? read_message(c, j, err) : read_hash(c, j, err);
}

static tdsa_status read_path(svc_call *c, job *j, tdsa_err *err)
{
    const svc_value *path = svc_call_value(c, SVC_SIGN_PATH);
    uint16_t len = 0;
    tdsa_status st;

    if (!path->present) {
        return TDSA_OK;
    }
    st = svc_path_read(path->text, j->path, &len, err);
    if (st != TDSA_OK) {
        return svc_call_refuse(c, 422, "INVALID_FIELD", "path", TDSA_E_BAD_INPUT, err,
                               "path must look like m/44/0/0");
    }
    if (len > 0 && c->key.policy.derivation == MPC_DERIVE_NONE) {
        return svc_call_refuse(c, 422, "NO_DERIVATION", "path", TDSA_E_BAD_INPUT, err,
                               "the key was made without derivation");
    }
    j->req.path = len > 0 ? j->path : NULL;
    j->req.path_len = len;
    return TDSA_OK;
}

/* lowS, der and rs are for ECDSA, taproot is for BIP-340. */
static tdsa_status read_options(svc_call *c, job *j, tdsa_err *err)
{
    const svc_value *low_s = svc_call_value(c, SVC_SIGN_LOW_S);
    const svc_value *taproot = svc_call_value(c, SVC_SIGN_TAPROOT);
    const svc_value *encoding = svc_call_value(c, SVC_SIGN_ENCODING);
    const bool ecdsa = c->key.scheme == MPC_SCHEME_ECDSA;

    j->req.low_s = c->key.policy.low_s || low_s->number != 0;
    if (low_s->number != 0 && !ecdsa) {
        return svc_call_refuse(c, 422, "INVALID_FIELD", "lowS", TDSA_E_BAD_INPUT, err,
                               "lowS is for ecdsa keys");
    }
    if (encoding->present && ecdsa == (strcmp(encoding->text, "raw") == 0)) {
        return svc_call_refuse(c, 422, "INVALID_FIELD", "encoding", TDSA_E_BAD_INPUT, err,
                               "encoding must be der or rs for ecdsa keys, raw for the others");
    }
    if (!taproot->present) {
        return TDSA_OK;
    }
    if (c->key.scheme != MPC_SCHEME_BIP340 ||
        tdsa_hex_decode(&j->merkle_root, taproot->text, err) != TDSA_OK ||
        (j->merkle_root.len != 0 && j->merkle_root.len != MPC_MERKLE_ROOT_LEN)) {
        return svc_call_refuse(c, 422, "INVALID_FIELD", "taproot", TDSA_E_BAD_INPUT, err,
                               "taproot is for keys of scheme bip340: \"\", or hex of 32 bytes");
    }
    j->req.taproot = true;
    j->req.merkle_root = j->merkle_root.len > 0 ? j->merkle_root.data : NULL;
    return TDSA_OK;
}

static void put_hex(json_t *o, const char *name, const uint8_t *bytes, size_t len)
{
    TDSA_SCOPED_BUF hex = TDSA_BUF_EMPTY;

    tdsa_hex_encode(&hex, bytes, len);
    svc_put(o, name, json_stringn((const char *)hex.data, hex.len));
}

static void put_ecdsa(svc_call *c, const part_sign_result *result)
{
    const char *encoding = svc_call_value(c, SVC_SIGN_ENCODING)->text;
    const bool rs = encoding != NULL && strcmp(encoding, "rs") == 0;
    TDSA_SCOPED_BUF der = TDSA_BUF_EMPTY;
    const size_t half = result->rs_len / 2;

    svc_der_signature(&der, result->rs, result->rs_len);
    if (rs) {
        put_hex(c->reply, "signature", result->rs, result->rs_len);
    } else {
        put_hex(c->reply, "signature", der.data, der.len);
    }
    svc_put(c->reply, "encoding", json_string(rs ? "rs" : "der"));
    put_hex(c->reply, "r", result->rs, half);
    put_hex(c->reply, "s", result->rs + half, half);
    svc_put(c->reply, "recoveryId", json_integer(result->recovery_id));
}

static void show(svc_call *c, const job *j, const part_sign_result *result)
{
    c->reply = json_object();
    svc_put(c->reply, "keyId", json_string(c->key.key_id));
    if (c->key.scheme == MPC_SCHEME_ECDSA) {
        put_ecdsa(c, result);
    } else {
        put_hex(c->reply, "signature", result->rs, result->rs_len);
        svc_put(c->reply, "encoding", json_string("raw"));
    }
    svc_put(c->reply, "publicKey", svc_point_json(j->public_key, j->public_key_len));
    svc_put(c->reply, "sessionId", json_string(result->session_id));
}

static tdsa_status sign(svc_call *c, job *j, tdsa_err *err)
{
    part_sign_result result;
    tdsa_status st;

    j->req.key_id = c->key.key_id;
    j->req.payload = j->payload.data;
    j->req.payload_len = j->payload.len;
    j->public_key_len = sizeof j->public_key;
    memset(&result, 0, sizeof result);
    st = part_engine_public_key(c->api->cfg.engine, c->key.key_id, j->req.path, j->req.path_len,
                                j->public_key, &j->public_key_len, err);
    if (st == TDSA_OK) {
        st = part_engine_sign(c->api->cfg.engine, &j->req, 0, &result, err);
    }
    if (st == TDSA_OK && http_request_header(c->request, "Session-Id") == NULL) {
        http_set_header(c->request, "Session-Id", result.session_id);
    }
    if (st == TDSA_OK) {
        show(c, j, &result);
    }
    return st;
}

tdsa_status svc_api_do_SIGN(svc_call *c, tdsa_err *err)
{
    job j;
    tdsa_status st;

    memset(&j, 0, sizeof j);
    st = read_payload(c, &j, err);
    if (st == TDSA_OK) {
        st = read_path(c, &j, err);
    }
    if (st == TDSA_OK) {
        st = read_options(c, &j, err);
    }
    if (st == TDSA_OK) {
        st = sign(c, &j, err);
    }
    tdsa_buf_clear(&j.payload);
    tdsa_buf_clear(&j.merkle_root);
    return st;
}
