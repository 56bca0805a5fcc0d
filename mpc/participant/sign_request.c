#include <string.h>

#include "participant/internal.h"

/* What is asked for when somebody wants a signature: whether it makes sense, whether the key's policy
 * allows it, and its form on the wire. */

tdsa_status part_request_check(const part_sign_request *req, tdsa_err *err)
{
    if (!part_key_id_ok(req->key_id)) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no such key");
    }
    if (req->payload_len > MPC_MESSAGE_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "message of %zu bytes, limit %u", req->payload_len,
                         MPC_MESSAGE_MAX);
    }
    if (req->path_len > MPC_PATH_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "derivation path of %u elements, limit %u",
                         req->path_len, MPC_PATH_MAX);
    }
    return TDSA_OK;
}

tdsa_status part_request_allowed(const part_key *k, const part_sign_request *req, tdsa_err *err)
{
    const mpc_policy *policy = &k->key->pub.policy;
    const mpc_scheme scheme = k->key->pub.scheme;

    if ((req->low_s && scheme != MPC_SCHEME_ECDSA) ||
        (req->taproot && scheme != MPC_SCHEME_BIP340) ||
        (req->merkle_root != NULL && !req->taproot)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "low-S is for ECDSA keys, taproot for BIP-340 keys, a Merkle root for "
                         "taproot; this key has scheme %s",
                         mpc_scheme_name(scheme));
    }
    if ((policy->digests & (1u << (unsigned)req->digest_alg)) == 0) {
        return TDSA_FAIL(err, TDSA_E_DENIED, "the key's policy does not allow %s",
                         tdsa_hash_name(req->digest_alg));
    }
    if (policy->purpose == MPC_PURPOSE_DIGEST &&
        req->payload_len != tdsa_hash_len(req->digest_alg)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a %s digest has %zu bytes, not %zu",
                         tdsa_hash_name(req->digest_alg), tdsa_hash_len(req->digest_alg),
                         req->payload_len);
    }
    return mpc_policy_check_path(policy, req->path, req->path_len, err);
}

tdsa_status part_request_fill(mpc_request *q, tdsa_buf *payload, const part_key *k,
                              const part_sign_request *req, tdsa_err *err)
{
    tdsa_status st;

    tdsa_buf_append(payload, req->payload, req->payload_len);
    st = tdsa_buf_check(payload, err);
    if (st == TDSA_OK) {
        st = mpc_request_for_key(q, k->key, err);
    }
    q->digest_alg = req->digest_alg;
    q->payload = payload->data;
    q->payload_len = payload->len;
    q->path_len = req->path_len;
    if (req->path_len > 0) {
        memcpy(q->path, req->path, req->path_len * sizeof q->path[0]);
    }
    q->low_s = req->low_s || k->key->pub.policy.low_s;
    q->taproot = req->taproot;
    q->has_merkle_root = req->merkle_root != NULL;
    if (req->merkle_root != NULL) {
        memcpy(q->merkle_root, req->merkle_root, sizeof q->merkle_root);
    }
    return st;
}
