#include "protocol/bip32.h"

#include <string.h>

#include "base/base58.h"
#include "base/hash.h"

#define HALF_LEN 32u /* bytes of I_L and I_R */

#define VERSION_XPUB 0x0488b21eu
#define XPUB_LEN     78u

/* The first bytes of HASH160 of the public key. */
static tdsa_status fingerprint(uint8_t out[4], const grp *g, const grp_point *y, tdsa_err *err)
{
    uint8_t point[GRP_POINT_LEN_MAX];
    uint8_t digest[TDSA_HASH160_LEN];
    tdsa_status st;

    grp_point_encode(g, point, y);
    st = tdsa_hash160(digest, point, grp_get_info(g)->point_len, err);
    if (st == TDSA_OK) {
        memcpy(out, digest, 4);
    }
    return st;
}

/* One step: y and cc become those of the child, the tweak is added to epsilon. */
static tdsa_status step(mpc_bip32_node *n, const grp *g, uint32_t index, tdsa_err *err)
{
    const size_t point_len = grp_get_info(g)->point_len;
    uint8_t data[GRP_POINT_LEN_MAX + 4];
    uint8_t big_i[TDSA_DIGEST_LEN_MAX];
    grp_scalar tweak;
    grp_point tweak_point;
    tdsa_status st;

    if (index >= MPC_HARDENED) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "path: hardened elements need the private key");
    }
    if (n->depth >= MPC_PATH_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "path: more than %u elements", MPC_PATH_MAX);
    }
    grp_point_encode(g, data, &n->y);
    for (size_t i = 0; i < 4; i++) {
        data[point_len + i] = (uint8_t)(index >> (8 * (3 - i)));
    }
    st = tdsa_hmac(big_i, TDSA_HASH_SHA512, n->cc, sizeof n->cc, data, point_len + 4, err);
    if (st != TDSA_OK) {
        return st;
    }
    st = grp_scalar_decode(g, &tweak, big_i, HALF_LEN, err);
    if (st != TDSA_OK) {
        return tdsa_err_wrap(err, "path: element %u has no child", index);
    }
    st = grp_mul_base(g, &tweak_point, &tweak, err);
    if (st == TDSA_OK) {
        st = grp_point_add_vartime(g, &n->y, &n->y, &tweak_point, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    if (grp_point_is_identity(&n->y)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "path: element %u leads to the identity", index);
    }
    grp_scalar_add(g, &n->epsilon, &n->epsilon, &tweak);
    memcpy(n->cc, big_i + HALF_LEN, HALF_LEN);
    n->child = index;
    n->depth++;
    return TDSA_OK;
}

void mpc_bip32_root(mpc_bip32_node *out, const mpc_key *key)
{
    memset(out, 0, sizeof *out);
    grp_scalar_set_u64(key->g, &out->epsilon, 0);
    out->y = key->pub.y;
    memcpy(out->cc, key->pub.cc, sizeof out->cc);
}

tdsa_status mpc_bip32_walk_vartime(mpc_bip32_node *node, const grp *g, const uint32_t *path,
                                   size_t len, bool with_parent, tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    for (size_t i = 0; i < len && st == TDSA_OK; i++) {
        if (with_parent && i + 1 == len) {
            st = fingerprint(node->parent, g, &node->y, err);
        }
        if (st == TDSA_OK) {
            st = step(node, g, path[i], err);
        }
    }
    if (st != TDSA_OK) {
        memset(node, 0, sizeof *node);
        grp_point_set_identity(&node->y);
    }
    return st;
}

tdsa_status mpc_bip32_path_vartime(grp_scalar *epsilon, grp_point *y, const mpc_key *key,
                                   const uint32_t *path, size_t len, tdsa_err *err)
{
    mpc_bip32_node node;
    tdsa_status st;

    mpc_bip32_root(&node, key);
    st = mpc_bip32_walk_vartime(&node, key->g, path, len, false, err);
    *epsilon = node.epsilon;
    *y = node.y;
    return st;
}

/* ---- serialisation ---- */

static void put_u32(uint8_t out[4], uint32_t v)
{
    for (size_t i = 0; i < 4; i++) {
        out[i] = (uint8_t)(v >> (8 * (3 - i)));
    }
}

static uint32_t get_u32(const uint8_t in[4])
{
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

static tdsa_status check_curve(const grp *g, tdsa_err *err)
{
    const grp_info *info = grp_get_info(g);

    if (info->curve != GRP_SECP256K1 && info->curve != GRP_P256) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "there are no extended keys on %s", info->name);
    }
    return TDSA_OK;
}

/* BIP32: "4 byte: version bytes, 1 byte: depth, 4 bytes: the fingerprint of the parent's key, 4 bytes:
 * child number, 32 bytes: the chain code, 33 bytes: the public key" */
tdsa_status mpc_bip32_xpub(char out[MPC_XPUB_TEXT_MAX], const mpc_bip32_node *node, const grp *g,
                           tdsa_err *err)
{
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    uint8_t bytes[XPUB_LEN];
    tdsa_status st = check_curve(g, err);

    out[0] = '\0';
    if (st != TDSA_OK) {
        return st;
    }
    put_u32(bytes, VERSION_XPUB);
    bytes[4] = node->depth;
    memcpy(bytes + 5, node->parent, 4);
    put_u32(bytes + 9, node->child);
    memcpy(bytes + 13, node->cc, sizeof node->cc);
    grp_point_encode(g, bytes + 45, &node->y);
    st = tdsa_base58check_encode(&text, bytes, sizeof bytes, err);
    if (st == TDSA_OK && text.len >= MPC_XPUB_TEXT_MAX) {
        st = TDSA_FAIL(err, TDSA_E_INTERNAL, "an extended key of %zu characters", text.len);
    }
    if (st == TDSA_OK) {
        memcpy(out, text.data, text.len);
        out[text.len] = '\0';
    }
    return st;
}

tdsa_status mpc_bip32_xpub_decode(mpc_bip32_node *out, const grp *g, const char *text, size_t len,
                                  tdsa_err *err)
{
    TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;
    mpc_bip32_node n;
    tdsa_status st = check_curve(g, err);

    memset(out, 0, sizeof *out);
    memset(&n, 0, sizeof n);
    if (st == TDSA_OK) {
        st = tdsa_base58check_decode(&bytes, text, len, err);
    }
    if (st == TDSA_OK && bytes.len != XPUB_LEN) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "an extended key has %u bytes, not %zu", XPUB_LEN,
                       bytes.len);
    }
    if (st != TDSA_OK) {
        return st;
    }
    if (get_u32(bytes.data) != VERSION_XPUB) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "not an extended public key: version %08x",
                         get_u32(bytes.data));
    }
    n.depth = bytes.data[4];
    memcpy(n.parent, bytes.data + 5, 4);
    n.child = get_u32(bytes.data + 9);
    if (n.depth == 0 && (get_u32(n.parent) != 0 || n.child != 0)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "an extended key of depth 0 has no parent");
    }
    memcpy(n.cc, bytes.data + 13, sizeof n.cc);
    st = grp_point_decode(g, &n.y, bytes.data + 45, XPUB_LEN - 45, err);
    if (st == TDSA_OK) {
        *out = n;
    }
    return st;
}
