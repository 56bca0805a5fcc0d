#include "protocol/bip32.h"

#include <string.h>

#include "base/hash.h"

#define HALF_LEN 32u /* bytes of I_L and I_R */

/* One step: y and cc become those of the child, the tweak is added to epsilon. */
static tdsa_status step(grp_scalar *epsilon, grp_point *y, uint8_t cc[32], const grp *g,
                        uint32_t index, tdsa_err *err)
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
    grp_point_encode(g, data, y);
    for (size_t i = 0; i < 4; i++) {
        data[point_len + i] = (uint8_t)(index >> (8 * (3 - i)));
    }
    st = tdsa_hmac(big_i, TDSA_HASH_SHA512, cc, 32, data, point_len + 4, err);
    if (st != TDSA_OK) {
        return st;
    }
    st = grp_scalar_decode(g, &tweak, big_i, HALF_LEN, err);
    if (st != TDSA_OK) {
        return tdsa_err_wrap(err, "path: element %u has no child", index);
    }
    st = grp_mul_base(g, &tweak_point, &tweak, err);
    if (st == TDSA_OK) {
        st = grp_point_add_vartime(g, y, y, &tweak_point, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    if (grp_point_is_identity(y)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "path: element %u leads to the identity", index);
    }
    grp_scalar_add(g, epsilon, epsilon, &tweak);
    memcpy(cc, big_i + HALF_LEN, HALF_LEN);
    return TDSA_OK;
}

tdsa_status mpc_bip32_path_vartime(grp_scalar *epsilon, grp_point *y, const mpc_key *key,
                                   const uint32_t *path, size_t len, tdsa_err *err)
{
    uint8_t cc[32];
    tdsa_status st = TDSA_OK;

    grp_scalar_set_u64(key->g, epsilon, 0);
    *y = key->pub.y;
    memcpy(cc, key->pub.cc, sizeof cc);
    for (size_t i = 0; i < len && st == TDSA_OK; i++) {
        st = step(epsilon, y, cc, key->g, path[i], err);
    }
    if (st != TDSA_OK) {
        grp_scalar_clear(epsilon);
        grp_point_set_identity(y);
    }
    return st;
}
