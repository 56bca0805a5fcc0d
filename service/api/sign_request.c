#include "api/sign_request.h"

#include <string.h>

#include "api/encode.h"
#include "base/encode.h"
#include "base/hash.h"

/* What is to be signed, as bodies say it. */

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

static const svc_value *value(const svc_sign_job *j, unsigned i)
{
    return &j->values[i];
}

static tdsa_status read_hash(svc_call *c, svc_sign_job *j, tdsa_err *err)
{
    const svc_value *hash = value(j, SVC_SIGN_HASH);
    const char *name = value(j, SVC_SIGN_ALGORITHM)->text;
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

static tdsa_status read_message(svc_call *c, svc_sign_job *j, tdsa_err *err)
{
    const svc_value *message = value(j, SVC_SIGN_MESSAGE);
    const char *name = value(j, SVC_SIGN_ALGORITHM)->text;

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

static tdsa_status read_payload(svc_call *c, svc_sign_job *j, tdsa_err *err)
{
    bool message = c->key.policy.purpose == MPC_PURPOSE_MESSAGE;

    if (value(j, SVC_SIGN_HASH)->present == message) {
        return svc_call_refuse(c, 422, message ? "INVALID_FIELD" : "MISSING_FIELD", "hash",
                               TDSA_E_BAD_INPUT, err,
                               message ? "the key signs messages: send message, not hash"
                                       : "hash is missing: it must be hex of 20..64 bytes");
    }
    if (value(j, SVC_SIGN_MESSAGE)->present != message) {
        return svc_call_refuse(c, 422, message ? "MISSING_FIELD" : "INVALID_FIELD", "message",
                               TDSA_E_BAD_INPUT, err,
                               message ? "message is missing: the key signs messages"
                                       : "the key signs digests: send hash, not message");
    }
    return message ? read_message(c, j, err) : read_hash(c, j, err);
}

static tdsa_status read_path(svc_call *c, svc_sign_job *j, tdsa_err *err)
{
    const svc_value *path = value(j, SVC_SIGN_PATH);
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

/* lowS is for ECDSA, taproot is for BIP-340. */
static tdsa_status read_options(svc_call *c, svc_sign_job *j, tdsa_err *err)
{
    const svc_value *low_s = value(j, SVC_SIGN_LOW_S);
    const svc_value *taproot = value(j, SVC_SIGN_TAPROOT);
    const bool ecdsa = c->key.scheme == MPC_SCHEME_ECDSA;

    j->req.low_s = c->key.policy.low_s || low_s->number != 0;
    if (low_s->number != 0 && !ecdsa) {
        return svc_call_refuse(c, 422, "INVALID_FIELD", "lowS", TDSA_E_BAD_INPUT, err,
                               "lowS is for ecdsa keys");
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

tdsa_status svc_sign_read(svc_call *c, const svc_value *values, svc_sign_job *j, tdsa_err *err)
{
    tdsa_status st;

    memset(j, 0, sizeof *j);
    j->values = values;
    j->req.key_id = c->key.key_id;
    st = read_payload(c, j, err);
    if (st == TDSA_OK) {
        st = read_path(c, j, err);
    }
    if (st == TDSA_OK) {
        st = read_options(c, j, err);
    }
    j->req.payload = j->payload.data;
    j->req.payload_len = j->payload.len;
    return st;
}

void svc_sign_clear(svc_sign_job *j)
{
    tdsa_buf_clear(&j->payload);
    tdsa_buf_clear(&j->merkle_root);
}
