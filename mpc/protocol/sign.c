#include "protocol/sign.h"

#include <string.h>

#include "base/statement.h"
#include "protocol/fields.h"
#include "protocol/schnorr.h"

/* The secrets of one reply; wiped before it is sent. */
typedef struct {
    grp_scalar nonce[PRESIGN_STREAMS]; /* k and a, or d and e */
    grp_scalar pad[REPLY_VALUES_MAX], x;
    grp_scalar value[REPLY_VALUES_MAX]; /* mu and nu, or z */
} reply_secret;

static tdsa_status draw_pads(reply_secret *s, const mpc_key *key, const mpc_batch *batch,
                             const mpc_context *ctx, tdsa_err *err)
{
    static const char *const ecdsa_words[] = {"mu", "nu"};
    static const char *const schnorr_words[] = {"z"};
    const char *const *words = ctx->scheme == MPC_SCHEME_ECDSA ? ecdsa_words : schnorr_words;
    tdsa_status st = TDSA_OK;
    grp_pad_cfg cfg = {.committee = batch->committee,
                       .committee_count = 2u * key->pub.t + 1u,
                       .me = key->pub.me,
                       .prepared = batch->pads,
                       .transcript = ctx->transcript};

    for (size_t i = 0; i < mpc_reply_values(ctx->scheme) && st == TDSA_OK; i++) {
        cfg.word = words[i];
        st = grp_pad(key->g, &s->pad[i], &cfg, err);
    }
    return st;
}

/* mu_j = a_j(k_j + delta) + pad, nu_j = a_j(h + r(x_j + epsilon)) + pad. */
static void ecdsa_values(reply_secret *s, const mpc_key *key, const mpc_context *ctx)
{
    const grp *g = key->g;
    const grp_scalar *k = &s->nonce[0];
    const grp_scalar *a = &s->nonce[1];
    grp_scalar *mu = &s->value[0];
    grp_scalar *nu = &s->value[1];

    grp_scalar_add(g, mu, k, &ctx->delta);
    grp_scalar_mul(g, mu, mu, a);
    grp_scalar_add(g, mu, mu, &s->pad[0]);
    grp_scalar_add(g, &s->x, &key->sec->share, &ctx->epsilon);
    grp_scalar_mul(g, nu, &s->x, &ctx->r);
    grp_scalar_add(g, nu, nu, &ctx->h);
    grp_scalar_mul(g, nu, nu, a);
    grp_scalar_add(g, nu, nu, &s->pad[1]);
}

static tdsa_status compute_reply(reply_secret *s, const mpc_key *key, mpc_batch *batch,
                                 uint32_t index, const mpc_context *ctx, tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    for (size_t i = 0; i < PRESIGN_STREAMS && st == TDSA_OK; i++) {
        st = grp_prss_shares(batch->stream[i], &s->nonce[i], index, 1, err);
    }
    if (st == TDSA_OK) {
        st = draw_pads(s, key, batch, ctx, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    if (ctx->scheme == MPC_SCHEME_ECDSA) {
        ecdsa_values(s, key, ctx);
    } else {
        schnorr_value(&s->value[0], key->g, ctx, &s->nonce[0], &s->nonce[1], &key->sec->share,
                      &s->pad[0]);
    }
    return TDSA_OK;
}

tdsa_status mpc_sign_reply(tdsa_buf *out, const mpc_key *key, mpc_batch *batch,
                           const mpc_request *q, const mpc_context *ctx, tdsa_err *err)
{
    reply_secret s;
    size_t list = 0;
    tdsa_status st = TDSA_OK;

    memset(&s, 0, sizeof s);
    if (key->sec == NULL || batch->key != key || q->index >= batch->count ||
        ctx->scheme != key->pub.scheme) {
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
        for (size_t i = 0; i < mpc_reply_values(ctx->scheme); i++) {
            mpc_put_scalar(out, key->g, &s.value[i]);
        }
        tdsa_stmt_list_end(out, list);
        st = tdsa_buf_check(out, err);
    }
    tdsa_wipe(&s, sizeof s);
    return st;
}
