#include "participant/verify.h"

#include "protocol/schnorr.h"

static tdsa_status verify_ecdsa(const part_signature *s, const grp_point *y, tdsa_err *err)
{
    const size_t half = s->signature_len / 2;
    grp_scalar h;
    grp_scalar r;
    grp_scalar t;

    if (grp_scalar_decode(s->g, &r, s->signature, half, err) != TDSA_OK ||
        grp_scalar_decode(s->g, &t, s->signature + half, half, err) != TDSA_OK) {
        return TDSA_FAIL(err, TDSA_E_VERIFY, "r or s is out of range");
    }
    grp_digest_to_scalar(s->g, &h, s->data, s->data_len);
    if (!grp_ecdsa_verify_vartime(s->g, y, &h, &r, &t)) {
        return TDSA_FAIL(err, TDSA_E_VERIFY, "the signature does not verify");
    }
    return TDSA_OK;
}

static tdsa_status verify_schnorr(const part_signature *s, const grp_point *y, tdsa_err *err)
{
    uint8_t encoded[SCHNORR_KEY_LEN];
    grp_point even = *y;
    bool y_odd = false;
    bool wrapped = false;
    grp_scalar c;
    tdsa_status st = TDSA_OK;

    if (s->scheme == MPC_SCHEME_BIP340) { /* the key is the point with this x and an even y */
        grp_point_parity(s->g, &y_odd, &wrapped, y);
        if (y_odd) {
            grp_point_neg(s->g, &even, y);
        }
    }
    schnorr_encode(s->g, s->scheme, encoded, &even);
    st = schnorr_challenge(s->g, s->scheme, &c, s->signature, encoded, s->data, s->data_len, err);
    return st == TDSA_OK ? schnorr_verify_vartime(s->g, s->scheme, &even, &c, s->signature, err)
                         : st;
}

tdsa_status part_verify_vartime(const part_signature *s, tdsa_err *err)
{
    const size_t want = 2 * grp_get_info(s->g)->scalar_len; /* of every scheme */
    grp_point y;
    tdsa_status st = TDSA_OK;

    if (s->signature_len != want) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a signature of %zu bytes, not %zu",
                         s->signature_len, want);
    }
    st = grp_point_decode(s->g, &y, s->public_key, s->public_key_len, err);
    if (st != TDSA_OK) {
        return st;
    }
    return s->scheme == MPC_SCHEME_ECDSA ? verify_ecdsa(s, &y, err) : verify_schnorr(s, &y, err);
}
