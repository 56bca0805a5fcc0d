#include "protocol/sign.h"

#include <string.h>

#include "base/statement.h"
#include "protocol/fields.h"
#include "protocol/presign_internal.h"

/* The secrets of one reply; wiped before it is sent. */
typedef struct {
    uint8_t pair[GRP_PARTIES_MAX][32]; /* kappa_{me,i} by position in the committee */
    grp_scalar k, a, pad_mu, pad_nu, x, mu, nu;
} reply_secret;

static tdsa_status draw_pads(reply_secret *s, const mpc_key *key, const mpc_batch *batch,
                             const mpc_context *ctx, tdsa_err *err)
{
    grp_pad_cfg cfg = {.committee = batch->committee,
                       .committee_count = 2u * key->pub.t + 1u,
                       .me = key->pub.me,
                       .pair_keys = (const uint8_t(*)[32])s->pair,
                       .transcript = ctx->transcript};
    tdsa_status st;

    for (size_t i = 0; i < cfg.committee_count; i++) {
        memcpy(s->pair[i], key->sec->pairs[batch->committee[i]], sizeof s->pair[i]);
    }
    cfg.word = "mu";
    st = grp_pad(key->g, &s->pad_mu, &cfg, err);
    if (st != TDSA_OK) {
        return st;
    }
    cfg.word = "nu";
    return grp_pad(key->g, &s->pad_nu, &cfg, err);
}

/* mu_j = a_j(k_j + delta) + pad, nu_j = a_j(h + r(x_j + epsilon)) + pad. */
static tdsa_status compute_reply(reply_secret *s, const mpc_key *key, mpc_batch *batch,
                                 uint32_t index, const mpc_context *ctx, tdsa_err *err)
{
    const grp *g = key->g;
    tdsa_status st = grp_prss_shares(batch->stream[0], &s->k, index, 1, err);

    if (st == TDSA_OK) {
        st = grp_prss_shares(batch->stream[1], &s->a, index, 1, err);
    }
    if (st == TDSA_OK) {
        st = draw_pads(s, key, batch, ctx, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    grp_scalar_add(g, &s->mu, &s->k, &ctx->delta);
    grp_scalar_mul(g, &s->mu, &s->mu, &s->a);
    grp_scalar_add(g, &s->mu, &s->mu, &s->pad_mu);
    grp_scalar_add(g, &s->x, &key->sec->share, &ctx->epsilon);
    grp_scalar_mul(g, &s->nu, &s->x, &ctx->r);
    grp_scalar_add(g, &s->nu, &s->nu, &ctx->h);
    grp_scalar_mul(g, &s->nu, &s->nu, &s->a);
    grp_scalar_add(g, &s->nu, &s->nu, &s->pad_nu);
    return TDSA_OK;
}

tdsa_status mpc_sign_reply(tdsa_buf *out, const mpc_key *key, mpc_batch *batch,
                           const mpc_request *q, const mpc_context *ctx, tdsa_err *err)
{
    reply_secret s;
    size_t list = 0;
    tdsa_status st = TDSA_OK;

    memset(&s, 0, sizeof s);
    if (key->sec == NULL || batch->key != key || q->index >= batch->count) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "key %s, its secret half and the batch do not match", key->pub.key_id);
    }
    st = compute_reply(&s, key, batch, q->index, ctx, err);
    if (st == TDSA_OK) {
        tdsa_stmt_begin(out, "reply");
        tdsa_stmt_uint(out, key->pub.me);
        tdsa_stmt_octets(out, ctx->transcript, sizeof ctx->transcript);
        tdsa_stmt_uint_list(out, batch->committee, 2u * key->pub.t + 1u);
        list = tdsa_stmt_list_begin(out);
        mpc_put_scalar(out, key->g, &s.mu);
        mpc_put_scalar(out, key->g, &s.nu);
        tdsa_stmt_list_end(out, list);
        st = tdsa_buf_check(out, err);
    }
    tdsa_wipe(&s, sizeof s);
    return st;
}
