#include <string.h>

#include "api/call.h"
#include "api/encode.h"
#include "base/encode.h"
#include "base/keyfile.h"

/* Import of an existing key. Its bytes lie in the request's body and the JSON document until the answer is
 * made; both are wiped (docs/security.md says what is not). */

#define PEM_BEGIN "-----BEGIN "
#define PEM_END   "-----END "

static tdsa_status refuse(svc_call *c, const char *field, tdsa_err *err, const char *text)
{
    return svc_call_refuse(c, 422, "INVALID_FIELD", field, TDSA_E_BAD_INPUT, err, text);
}

static bool is_pem(const svc_value *v)
{
    return v->text_len > sizeof PEM_BEGIN && strstr(v->text, PEM_BEGIN) != NULL;
}

/* Why the reader refused it; the text holds nothing of the key. */
static tdsa_status refuse_why(svc_call *c, const char *field, tdsa_err *err)
{
    char why[TDSA_ERR_TEXT_MAX];

    memcpy(why, err->text, sizeof why);
    return refuse(c, field, err, why);
}

static tdsa_status read_private(svc_call *c, tdsa_keyfile *out, tdsa_err *err)
{
    const svc_value *v = svc_call_value(c, SVC_IMPORT_PRIVATE_KEY);
    TDSA_SCOPED_BUF der = TDSA_BUF_EMPTY;
    tdsa_status st = TDSA_OK;

    memset(out, 0, sizeof *out);
    if (is_pem(v)) {
        st = tdsa_keyfile_read(out, (const uint8_t *)v->text, v->text_len, err);
    } else {
        st = tdsa_base64_decode(&der, v->text, v->text_len, NULL, err);
        if (st == TDSA_OK) {
            st = tdsa_keyfile_read(out, der.data, der.len, err);
        }
    }
    return st == TDSA_E_BAD_INPUT ? refuse_why(c, "privateKey", err) : st;
}

/* The curve is that of the key; who names one means this one. */
static tdsa_status set_curve(svc_call *c, const tdsa_keyfile *key, tdsa_err *err)
{
    svc_value *curve = &c->body.values[SVC_KEY_CURVE];

    if (curve->present && strcmp(curve->text, key->curve) != 0) {
        return refuse(c, "curve", err, "the private key is of another curve");
    }
    curve->present = true;
    curve->text = key->curve;
    curve->text_len = strlen(key->curve);
    return TDSA_OK;
}

/* The DER in the first block of a PEM text. */
static tdsa_status pem_to_der(tdsa_buf *out, const char *text, tdsa_err *err)
{
    const char *begin = strstr(text, PEM_BEGIN);
    const char *from = begin != NULL ? strchr(begin, '\n') : NULL;
    const char *to = from != NULL ? strstr(from, PEM_END) : NULL;

    if (to == NULL) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "this PEM text has no end");
    }
    return tdsa_base64_decode(out, from, (size_t)(to - from), NULL, err);
}

/* publicKey, in PEM: the same bytes as ours. In hex: the engine compares the points. */
static tdsa_status read_public(svc_call *c, const part_key_spec *spec, const tdsa_keyfile *key,
                               tdsa_buf *out, tdsa_err *err)
{
    const svc_value *v = svc_call_value(c, SVC_IMPORT_PUBLIC_KEY);
    TDSA_SCOPED_BUF given = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF ours = TDSA_BUF_EMPTY;
    tdsa_status st = TDSA_OK;

    if (v->present && is_pem(v)) {
        st = pem_to_der(&given, v->text, err);
        if (st == TDSA_OK) {
            st = svc_spki(&ours, spec->curve, key->public_key, key->public_key_len, err);
        }
        if (st == TDSA_OK &&
            (given.len != ours.len || memcmp(given.data, ours.data, ours.len) != 0)) {
            st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the public key is not that of the private key");
        }
    } else if (v->present) {
        st = tdsa_hex_decode(out, v->text, err);
    }
    return st == TDSA_E_BAD_INPUT ? refuse_why(c, "publicKey", err) : st;
}

static tdsa_status read_chain_code(svc_call *c, part_import_spec *spec, tdsa_buf *cc, tdsa_err *err)
{
    const svc_value *v = svc_call_value(c, SVC_IMPORT_CHAIN_CODE);
    tdsa_status st = TDSA_OK;

    if (!v->present) {
        return TDSA_OK;
    }
    if (spec->key.policy.derivation != MPC_DERIVE_BIP32) {
        return refuse(c, "chainCode", err, "a chain code is for bip32 keys");
    }
    st = tdsa_hex_decode(cc, v->text, err);
    spec->chain_code = cc->data;
    return st;
}

static tdsa_status import_it(svc_call *c, const tdsa_keyfile *key, char key_id[KS_KEY_ID_MAX + 1],
                             tdsa_err *err)
{
    TDSA_SCOPED_BUF public_key = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF cc = TDSA_BUF_EMPTY;
    part_import_spec spec;
    tdsa_status st;

    memset(&spec, 0, sizeof spec);
    st = svc_key_spec_read(c, &spec.key, err);
    if (st == TDSA_OK) {
        st = read_public(c, &spec.key, key, &public_key, err);
    }
    if (st == TDSA_OK) {
        st = read_chain_code(c, &spec, &cc, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    spec.private_key = key->key;
    spec.public_key = key->public_key;
    spec.public_key_len = key->public_key_len;
    spec.expected_key = public_key.len > 0 ? public_key.data : NULL;
    spec.expected_key_len = public_key.len;
    return part_engine_import(c->api->cfg.engine, &spec, 0, key_id, err);
}

tdsa_status svc_api_do_IMPORT(svc_call *c, tdsa_err *err)
{
    char key_id[KS_KEY_ID_MAX + 1];
    tdsa_keyfile key;
    tdsa_status st = read_private(c, &key, err);

    if (st == TDSA_OK) {
        st = set_curve(c, &key, err);
    }
    if (st == TDSA_OK) {
        st = import_it(c, &key, key_id, err);
    }
    tdsa_keyfile_clear(&key);
    return st == TDSA_OK ? svc_key_show(c, key_id, err) : st;
}
