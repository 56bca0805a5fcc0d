#include "participant/internal.h"
#include "protocol/bip32.h"

/* Public keys below a key: what anybody may know who may know the key. Local. */

static tdsa_status load_public(part *p, const char *key_id, mpc_key **out, tdsa_err *err)
{
    ks_key *row = NULL;
    ks_key_state state = KS_KEY_DELETED;
    tdsa_status st;

    *out = NULL;
    if (!part_key_id_ok(key_id)) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no such key");
    }
    st = ks_key_get(p->cfg.store, key_id, &row, err);
    if (st == TDSA_OK) {
        state = part_key_state(p, row);
    }
    if (st == TDSA_OK && state != KS_KEY_ACTIVE && state != KS_KEY_RESTORED) {
        st = TDSA_FAIL(err, TDSA_E_NOT_FOUND, "key %s is not active", key_id);
    }
    if (st == TDSA_OK) {
        st = part_key_public(p, row, out, err);
    }
    ks_key_free(row);
    return st;
}

static tdsa_status check_path(const mpc_key *key, uint16_t len, uint32_t min, const char *what,
                              tdsa_err *err)
{
    if (key->pub.policy.derivation == MPC_DERIVE_NONE) {
        return TDSA_FAIL(err, TDSA_E_DENIED, "the key has no derivation: the path must be empty");
    }
    if (len < min) {
        return TDSA_FAIL(err, TDSA_E_DENIED,
                         "a path of %u elements is below the key's minimum of %u for %s", len, min,
                         what);
    }
    return TDSA_OK;
}

static void told(part *p, part_op_kind kind, tdsa_status st, uint64_t started_ms)
{
    part_op_event(p, kind, PART_EVENT_STARTED, started_ms);
    part_op_event(p, kind, st == TDSA_OK ? PART_EVENT_COMPLETED : PART_EVENT_ABORTED, started_ms);
}

tdsa_status part_derive_public(part *p, const char *key_id, const uint32_t *path, uint16_t path_len,
                               uint8_t *out, size_t *out_len, tdsa_err *err)
{
    const uint64_t started_ms = part_now(p);
    mpc_key *key = NULL;
    grp_scalar epsilon;
    grp_point y;
    tdsa_status st;

    *out_len = 0;
    st = load_public(p, key_id, &key, err);
    if (st == TDSA_OK && (key->pub.policy.derivation == MPC_DERIVE_BIP32 || path_len > 0)) {
        st = check_path(key, path_len, key->pub.policy.min_path, "public keys", err);
    }
    if (st == TDSA_OK) {
        st = mpc_bip32_path_vartime(&epsilon, &y, key, path, path_len, err);
    }
    if (st == TDSA_OK) {
        grp_point_encode_raw(key->g, out, &y);
        *out_len = grp_get_info(key->g)->point_raw_len;
    }
    mpc_key_free(key);
    told(p, PART_OP_PUBLIC_KEY, st, started_ms);
    return st;
}

tdsa_status part_derive_xpub(part *p, const char *key_id, const uint32_t *path, uint16_t path_len,
                             char *out, tdsa_err *err)
{
    const uint64_t started_ms = part_now(p);
    mpc_key *key = NULL;
    mpc_bip32_node node;
    tdsa_status st;

    out[0] = '\0';
    st = load_public(p, key_id, &key, err);
    if (st == TDSA_OK) {
        st = check_path(key, path_len, key->pub.policy.min_path_xpub, "extended public keys", err);
    }
    if (st == TDSA_OK) {
        mpc_bip32_root(&node, key);
        st = mpc_bip32_walk_vartime(&node, key->g, path, path_len, true, err);
    }
    if (st == TDSA_OK) {
        st = mpc_bip32_xpub(out, &node, key->g, err);
    }
    mpc_key_free(key);
    told(p, PART_OP_XPUB, st, started_ms);
    return st;
}
