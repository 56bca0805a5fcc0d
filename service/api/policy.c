#include <stdio.h>
#include <string.h>

#include "api/call.h"
#include "api/encode.h"
#include "base/hash.h"

/* What a new key may be used for: from a request body, and as GET /v1/keys/{id} shows it. */

/* In the order of the words in route.c. */
static const struct {
    tdsa_hash_alg alg;
    const char *name;
} digests[] = {{TDSA_HASH_SHA1, "SHA-1"},
               {TDSA_HASH_SHA224, "SHA-224"},
               {TDSA_HASH_SHA256, "SHA-256"},
               {TDSA_HASH_SHA384, "SHA-384"},
               {TDSA_HASH_SHA512, "SHA-512"}};

#define DIGEST_COUNT (sizeof digests / sizeof digests[0])

/* ---- reading ---- */

static tdsa_status refuse(svc_call *c, const char *field, tdsa_err *err, const char *text)
{
    return svc_call_refuse(c, 422, "INVALID_FIELD", field, TDSA_E_BAD_INPUT, err, text);
}

static tdsa_status read_kind(svc_call *c, part_key_spec *spec, tdsa_err *err)
{
    const svc_value *scheme = svc_call_value(c, SVC_KEY_SCHEME);

    if (!grp_curve_by_name(&spec->curve, svc_call_value(c, SVC_KEY_CURVE)->text)) {
        return refuse(c, "curve", err, "curve is not known to this build");
    }
    spec->scheme = mpc_scheme_default(spec->curve);
    if (scheme->present && !mpc_scheme_by_name(&spec->scheme, scheme->text)) {
        return refuse(c, "scheme", err, "scheme is not known to this build");
    }
    if (!mpc_scheme_fits(spec->scheme, spec->curve)) {
        return refuse(c, "scheme", err,
                      "scheme does not go with the curve: ecdsa on P-256, P-384, P-521 and "
                      "secp256k1, bip340 on secp256k1, eddsa on Ed25519");
    }
    spec->policy = part_policy_default(spec->curve, spec->scheme);
    return TDSA_OK;
}

static tdsa_status read_payload_rules(svc_call *c, part_key_spec *spec, tdsa_err *err)
{
    const svc_value *purpose = svc_call_value(c, SVC_KEY_PURPOSE);
    const svc_value *allowed = svc_call_value(c, SVC_KEY_DIGESTS);
    const svc_value *low_s = svc_call_value(c, SVC_KEY_LOW_S);
    const bool ecdsa = spec->scheme == MPC_SCHEME_ECDSA;

    if (!ecdsa && purpose->present && strcmp(purpose->text, "message") != 0) {
        return refuse(c, "purpose", err, "purpose must be message for a key of this scheme");
    }
    if (!ecdsa && (allowed->present || low_s->present)) {
        return refuse(c, allowed->present ? "digests" : "lowS", err,
                      "digests and lowS are for ecdsa keys");
    }
    if (purpose->present) {
        spec->policy.purpose =
            strcmp(purpose->text, "message") == 0 ? MPC_PURPOSE_MESSAGE : MPC_PURPOSE_DIGEST;
    }
    if (allowed->present && allowed->list_len == 0) {
        return refuse(c, "digests", err, "digests must name one at least");
    }
    if (allowed->present) {
        spec->policy.digests = 0;
    }
    for (size_t i = 0; i < allowed->list_len; i++) {
        spec->policy.digests |= 1u << (unsigned)digests[allowed->list[i]].alg;
    }
    if (low_s->present) {
        spec->policy.low_s = low_s->number != 0;
    }
    return TDSA_OK;
}

static tdsa_status read_prefix(svc_call *c, mpc_policy *p, tdsa_err *err)
{
    const svc_value *prefix = svc_call_value(c, SVC_KEY_PREFIX);
    uint32_t path[MPC_PATH_MAX];
    uint16_t len = 0;

    if (!prefix->present) {
        return TDSA_OK;
    }
    if (svc_path_read(prefix->text, path, &len, err) != TDSA_OK || len > MPC_PREFIX_MAX) {
        return refuse(c, "pathPrefix", err, "pathPrefix must look like m/44/0, of up to 8 steps");
    }
    memcpy(p->prefix, path, len * sizeof path[0]);
    p->prefix_len = len;
    return TDSA_OK;
}

static uint32_t number_or(const svc_value *v, uint32_t otherwise)
{
    return v->present ? (uint32_t)v->number : otherwise;
}

static tdsa_status read_path_rules(svc_call *c, part_key_spec *spec, tdsa_err *err)
{
    const bool has_tree = spec->curve == GRP_P256 || spec->curve == GRP_SECP256K1;
    const svc_value *derivation = svc_call_value(c, SVC_KEY_DERIVATION);
    const bool bip32 = derivation->present ? strcmp(derivation->text, "bip32") == 0 : has_tree;
    mpc_policy *p = &spec->policy;

    if (bip32 && !has_tree) {
        return refuse(c, "derivation", err, "derivation must be none but on P-256 and secp256k1");
    }
    if (!bip32) {
        for (unsigned i = SVC_KEY_MIN_PATH; i <= SVC_KEY_PREFIX; i++) {
            if (svc_call_value(c, i)->present) {
                return refuse(c, c->row->fields[i].name, err, "path rules are for bip32 keys");
            }
        }
        return TDSA_OK;
    }
    p->derivation = MPC_DERIVE_BIP32;
    p->min_path = number_or(svc_call_value(c, SVC_KEY_MIN_PATH), c->api->cfg.min_path);
    p->min_path_xpub =
        number_or(svc_call_value(c, SVC_KEY_MIN_PATH_XPUB), c->api->cfg.min_path_xpub);
    p->max_path = number_or(svc_call_value(c, SVC_KEY_MAX_PATH), 0);
    return read_prefix(c, p, err);
}

tdsa_status svc_policy_read(svc_call *c, part_key_spec *spec, tdsa_err *err)
{
    const svc_value *reshare = svc_call_value(c, SVC_KEY_RESHARE);
    const svc_value *prepare = svc_call_value(c, SVC_KEY_PREPARE);
    const svc_value *exportable = svc_call_value(c, SVC_KEY_EXPORTABLE);
    tdsa_status st = read_kind(c, spec, err);

    if (st == TDSA_OK) {
        st = read_payload_rules(c, spec, err);
    }
    if (st == TDSA_OK) {
        st = read_path_rules(c, spec, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    spec->policy.rate = number_or(svc_call_value(c, SVC_KEY_RATE), 0);
    spec->policy.reshare = !reshare->present || reshare->number != 0;
    spec->policy.prepare = prepare->present && prepare->number != 0;
    spec->policy.exportable = exportable->present && exportable->number != 0;
    if (spec->policy.prepare && spec->scheme != MPC_SCHEME_ECDSA) {
        return refuse(c, "prepare", err, "prepare mode is for ecdsa keys");
    }
    return mpc_policy_check_rules(&spec->policy, err);
}

/* ---- showing ---- */

static json_t *digests_json(uint32_t allowed)
{
    json_t *list = json_array();

    for (size_t i = 0; i < DIGEST_COUNT; i++) {
        if ((allowed & (1u << (unsigned)digests[i].alg)) != 0) {
            (void)json_array_append_new(list, json_string(digests[i].name));
        }
    }
    return list;
}

json_t *svc_path_json(const uint32_t *path, size_t len)
{
    char text[1 + 11 * MPC_PATH_MAX + 1] = "m";
    size_t used = 1;

    for (size_t i = 0; i < len && used < sizeof text; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "/%u", path[i]);
    }
    return json_string(text);
}

void svc_policy_put(json_t *o, const part_key_info *k)
{
    const mpc_policy *p = &k->policy;

    svc_put(o, "purpose", json_string(p->purpose == MPC_PURPOSE_MESSAGE ? "message" : "digest"));
    svc_put(o, "derivation", json_string(p->derivation == MPC_DERIVE_BIP32 ? "bip32" : "none"));
    svc_put(o, "digests", digests_json(p->digests));
    svc_put(o, "lowS", json_boolean(p->low_s));
    svc_put(o, "reshare", json_boolean(p->reshare));
    svc_put(o, "prepare", json_boolean(p->prepare));
    svc_put(o, "exportable", json_boolean(p->exportable));
    svc_put(o, "signaturesPerMinute", json_integer((json_int_t)p->rate));
    if (p->derivation == MPC_DERIVE_BIP32) {
        svc_put(o, "minPathLength", json_integer((json_int_t)p->min_path));
        svc_put(o, "minPathLengthXPub", json_integer((json_int_t)p->min_path_xpub));
        svc_put(o, "maxPathLength",
                json_integer((json_int_t)(p->max_path != 0 ? p->max_path : MPC_PATH_MAX)));
        svc_put(o, "pathPrefix", svc_path_json(p->prefix, p->prefix_len));
    }
}
