#include "attack/weak.h"

#include <stdlib.h>
#include <string.h>

#include "base/statement.h"
#include "protocol/fields.h"
#include "protocol/prepare.h"
#include "protocol/presign_internal.h"

weak_state weak;

void weak_off(void)
{
    memset(&weak, 0, sizeof weak);
}

/* NOLINTBEGIN: the names are the linker's */
tdsa_status __real_grp_pad(const grp *g, grp_scalar *out, const grp_pad_cfg *cfg, tdsa_err *err);
tdsa_status __wrap_grp_pad(const grp *g, grp_scalar *out, const grp_pad_cfg *cfg, tdsa_err *err);
tdsa_status __real_batch_points(grp_point out[PRESIGN_POINTS_MAX], const mpc_batch *b,
                                uint32_t index, tdsa_err *err);
tdsa_status __wrap_batch_points(grp_point out[PRESIGN_POINTS_MAX], const mpc_batch *b,
                                uint32_t index, tdsa_err *err);
tdsa_status __real_grp_hash_to_scalar(const grp *g, grp_scalar *out, const char *tag,
                                      const uint8_t *fields, size_t len, tdsa_err *err);
tdsa_status __wrap_grp_hash_to_scalar(const grp *g, grp_scalar *out, const char *tag,
                                      const uint8_t *fields, size_t len, tdsa_err *err);
void __real_grp_scalar_reduce(const grp *g, grp_scalar *out, const uint8_t *bytes, size_t len);
void __wrap_grp_scalar_reduce(const grp *g, grp_scalar *out, const uint8_t *bytes, size_t len);
void __real_mpc_coins_put(tdsa_buf *out, const grp *g, const mpc_coins *coins);
void __wrap_mpc_coins_put(tdsa_buf *out, const grp *g, const mpc_coins *coins);
tdsa_status __real_presign_take_list(mpc_presign *run, uint16_t from, const uint8_t *in, size_t len,
                                     tdsa_err *err);
tdsa_status __wrap_presign_take_list(mpc_presign *run, uint16_t from, const uint8_t *in, size_t len,
                                     tdsa_err *err);
void __real_grp_point_x_mod_q(const grp *g, grp_scalar *out, const grp_point *p);
void __wrap_grp_point_x_mod_q(const grp *g, grp_scalar *out, const grp_point *p);
/* NOLINTEND */

/* The pad of a transcript that is not T. */
static tdsa_status pad_for(const grp *g, grp_scalar *out, const grp_pad_cfg *cfg,
                           const uint8_t transcript[64], tdsa_err *err)
{
    grp_pad_cfg other = *cfg;

    other.transcript = transcript;
    return __real_grp_pad(g, out, &other, err);
}

/* out = b + tau*f, tau = T mod q. */
static void linear(const grp *g, grp_scalar *out, const grp_pad_cfg *cfg, const grp_scalar *b,
                   const grp_scalar *f)
{
    grp_scalar tau;

    __real_grp_scalar_reduce(g, &tau, cfg->transcript, 64);
    grp_scalar_mul(g, out, &tau, f);
    grp_scalar_add(g, out, out, b);
}

/* Values that only honest participants share: of the word, the same at all. */
static tdsa_status outsider_pad(const grp *g, grp_scalar *out, const grp_pad_cfg *cfg,
                                tdsa_err *err)
{
    TDSA_SCOPED_BUF field = TDSA_BUF_EMPTY;
    grp_scalar b;
    grp_scalar f;
    grp_scalar at;
    grp_scalar away;
    grp_scalar factor;
    tdsa_status st;

    tdsa_stmt_text(&field, cfg->word);
    st = __real_grp_hash_to_scalar(g, &b, "weak-b", field.data, field.len, err);
    if (st == TDSA_OK) {
        st = __real_grp_hash_to_scalar(g, &f, "weak-f", field.data, field.len, err);
    }
    if (st == TDSA_OK) { /* x(x - id of the outsider): zero at 0 and there */
        grp_scalar_set_u64(g, &at, cfg->me + 1u);
        grp_scalar_set_u64(g, &away, weak.outsider + 1u);
        grp_scalar_sub(g, &away, &at, &away);
        grp_scalar_mul(g, &factor, &at, &away);
        grp_scalar_mul(g, &b, &b, &factor);
        grp_scalar_mul(g, &f, &f, &factor);
        linear(g, out, cfg, &b, &f);
    }
    return st;
}

tdsa_status __wrap_grp_pad(const grp *g, grp_scalar *out, const grp_pad_cfg *cfg, tdsa_err *err)
{
    static const uint8_t first[64] = {1};
    static const uint8_t second[64] = {2};
    grp_scalar b;
    grp_scalar f;
    tdsa_status st = TDSA_OK;

    switch (weak.what) {
    case WEAK_PADS_BY_KEY:
        return pad_for(g, out, cfg, weak.key, err);
    case WEAK_PADS_LINEAR:
        st = pad_for(g, &b, cfg, first, err);
        if (st == TDSA_OK) {
            st = pad_for(g, &f, cfg, second, err);
        }
        if (st == TDSA_OK) {
            linear(g, out, cfg, &b, &f);
        }
        return st;
    case WEAK_PADS_OUTSIDER:
        return outsider_pad(g, out, cfg, err);
    case WEAK_NOTHING:
    case WEAK_R_FROM_REQUEST:
        break;
    }
    return __real_grp_pad(g, out, cfg, err);
}

tdsa_status __wrap_batch_points(grp_point out[PRESIGN_POINTS_MAX], const mpc_batch *b,
                                uint32_t index, tdsa_err *err)
{
    const tdsa_status st = __real_batch_points(out, b, index, err);

    if (weak.what == WEAK_R_FROM_REQUEST) {
        out[0] = weak.r;
    }
    return st;
}

tdsa_status __wrap_grp_hash_to_scalar(const grp *g, grp_scalar *out, const char *tag,
                                      const uint8_t *fields, size_t len, tdsa_err *err)
{
    if ((weak.delta_by_key && strcmp(tag, "delta") == 0) ||
        (weak.rho_by_key && strcmp(tag, "bind") == 0)) {
        return __real_grp_hash_to_scalar(g, out, tag, weak.key, sizeof weak.key, err);
    }
    return __real_grp_hash_to_scalar(g, out, tag, fields, len, err);
}

void __wrap_grp_scalar_reduce(const grp *g, grp_scalar *out, const uint8_t *bytes, size_t len)
{
    const bool wide = len >= grp_get_info(g)->wide_len;

    __real_grp_scalar_reduce(g, out, bytes, weak.short_values && len > 48 ? 48 : len);
    weak.reductions += weak.coordinate ? 0 : 1;
    weak.narrow += wide || weak.coordinate ? 0 : 1;
    weak.high += wide && grp_scalar_is_high_vartime(g, out) ? 1 : 0;
}

void __wrap_grp_point_x_mod_q(const grp *g, grp_scalar *out, const grp_point *p)
{
    weak.coordinate = true;
    __real_grp_point_x_mod_q(g, out, p);
    weak.coordinate = false;
}

tdsa_status __wrap_presign_take_list(mpc_presign *run, uint16_t from, const uint8_t *in, size_t len,
                                     tdsa_err *err)
{
    return weak.any_list ? TDSA_OK : __real_presign_take_list(run, from, in, len, err);
}

void __wrap_mpc_coins_put(tdsa_buf *out, const grp *g, const mpc_coins *coins)
{
    static const uint16_t committee[3] = {0, 1, 2};
    grp_scalar lambda[3];
    grp_scalar value;
    grp_scalar term;

    if (!weak.coin_value_only) {
        __real_mpc_coins_put(out, g, coins);
        return;
    }
    grp_lagrange(g, lambda, committee, 3);
    grp_scalar_set_u64(g, &value, 0);
    for (size_t i = 0; i < 3; i++) {
        grp_scalar_mul(g, &term, &lambda[i], &coins->c[i]);
        grp_scalar_add(g, &value, &value, &term);
    }
    mpc_put_scalar(out, g, &value);
}
