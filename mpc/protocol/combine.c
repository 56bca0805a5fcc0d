#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/statement.h"
#include "protocol/fields.h"
#include "protocol/schnorr.h"

struct mpc_combine {
    const mpc_key *key;
    const mpc_batch *batch;
    mpc_context ctx;
    const grp_table *table; /* of ctx.y_final, lent; NULL: none */
    uint16_t seen;          /* bit per position in the committee */
    bool over;
    /* mu and nu, or z, by position in the committee */
    grp_scalar value[REPLY_VALUES_MAX][GRP_PARTIES_MAX];
};

static uint16_t committee_count(const mpc_combine *c)
{
    return (uint16_t)(2u * c->key->pub.t + 1u);
}

tdsa_status mpc_combine_new(mpc_combine **out, const mpc_key *key, const mpc_batch *batch,
                            const mpc_context *ctx, tdsa_err *err)
{
    mpc_combine *c = calloc(1, sizeof *c);

    *out = NULL;
    if (c == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for a combiner");
    }
    c->key = key;
    c->batch = batch;
    c->ctx = *ctx;
    *out = c;
    return TDSA_OK;
}

void mpc_combine_free(mpc_combine *c)
{
    if (c == NULL) {
        return;
    }
    tdsa_wipe(c, sizeof *c);
    free(c);
}

void mpc_combine_use(mpc_combine *c, const grp_table *t)
{
    if (grp_point_equal(c->key->g, grp_table_point(t), &c->ctx.y_final)) {
        c->table = t;
    }
}

bool mpc_combine_complete(const mpc_combine *c)
{
    return c->seen == (uint16_t)((1u << committee_count(c)) - 1u);
}

static size_t reply_len(const mpc_combine *c)
{
    const size_t scalar_len = grp_get_info(c->key->g)->scalar_len;

    return MPC_TEXT("reply") + MPC_UINT + MPC_ITEM(sizeof c->ctx.transcript) +
           MPC_ITEM(committee_count(c) * MPC_UINT) +
           MPC_ITEM(mpc_reply_values(c->ctx.scheme) * MPC_ITEM(scalar_len));
}

/* Sender, transcript and committee of a reply; the scalars are left to read. */
static tdsa_status check_reply(const mpc_combine *c, uint16_t from, tdsa_reader *r, tdsa_err *err)
{
    uint16_t committee[GRP_PARTIES_MAX];
    const uint8_t *transcript = NULL;
    uint64_t sender = 0;
    size_t count = 0;

    tdsa_stmt_expect(r, "reply");
    sender = tdsa_stmt_read_uint(r);
    transcript = tdsa_stmt_read_item(r, TDSA_ITEM_OCTETS, sizeof c->ctx.transcript);
    count = tdsa_stmt_read_uint_list(r, committee, GRP_PARTIES_MAX);
    if (r->failed || transcript == NULL) {
        return TDSA_BLAME(err, from, "participant %u sent a malformed reply", from);
    }
    if (sender != from) {
        return TDSA_BLAME(err, from, "participant %u sent a reply in another's name", from);
    }
    if (memcmp(transcript, c->ctx.transcript, sizeof c->ctx.transcript) != 0) {
        return TDSA_BLAME(err, from, "participant %u answers another request", from);
    }
    if (count != committee_count(c) ||
        memcmp(committee, c->batch->committee, count * sizeof committee[0]) != 0) {
        return TDSA_BLAME(err, from, "participant %u answers for another committee", from);
    }
    return TDSA_OK;
}

tdsa_status mpc_combine_take(mpc_combine *c, uint16_t from, const uint8_t *in, size_t len,
                             tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(in, len);
    tdsa_reader values;
    uint16_t at = 0;
    tdsa_status st;

    while (at < committee_count(c) && c->batch->committee[at] != from) {
        at++;
    }
    if (at == committee_count(c) || c->over) {
        return TDSA_BLAME(err, from, "participant %u is not asked for a reply", from);
    }
    if (((unsigned)c->seen >> at & 1u) != 0) {
        return TDSA_BLAME(err, from, "participant %u replied twice", from);
    }
    if (len != reply_len(c)) {
        return TDSA_BLAME(err, from, "participant %u sent a reply of %zu bytes, %zu are due", from,
                          len, reply_len(c));
    }
    st = check_reply(c, from, &r, err);
    if (st != TDSA_OK) {
        return st;
    }
    values = tdsa_stmt_read_list(&r);
    for (size_t i = 0; i < mpc_reply_values(c->ctx.scheme) && st == TDSA_OK; i++) {
        st = mpc_get_scalar(&values, c->key->g, &c->value[i][at], err);
    }
    if (st == TDSA_OK) {
        st = tdsa_reader_finish(&values, "values", err);
    }
    if (st == TDSA_OK) {
        st = tdsa_reader_finish(&r, "reply", err);
    }
    if (st != TDSA_OK) {
        return TDSA_BLAME(err, from, "participant %u sent a malformed reply", from);
    }
    c->seen = (uint16_t)(c->seen | 1u << at);
    return TDSA_OK;
}

/* V = s^-1 (h*G + r*Y') with inverse = s^-1; only F(V) = r lets the signature out. */
static tdsa_status verify(const mpc_combine *c, const grp_scalar *s, const grp_scalar *inverse,
                          uint8_t *recovery_id, tdsa_err *err)
{
    const grp *g = c->key->g;
    grp_scalar one;
    grp_scalar u1;
    grp_scalar u2;
    grp_scalar x;
    grp_point v;
    bool y_odd = false;
    bool x_wrapped = false;
    tdsa_status st;

    grp_scalar_set_u64(g, &one, 1);
    grp_scalar_mul(g, &x, s, inverse);
    TDSA_ASSERT(grp_scalar_equal(g, &x, &one));
    grp_scalar_mul(g, &u1, inverse, &c->ctx.h);
    grp_scalar_mul(g, &u2, inverse, &c->ctx.r);
    st = c->table != NULL ? grp_mul_add_table_vartime(&v, &u1, &u2, c->table, err)
                          : grp_mul_add_vartime(g, &v, &u1, &u2, &c->ctx.y_final, err);
    if (st != TDSA_OK) {
        return st;
    }
    if (!grp_point_is_identity(&v)) {
        grp_point_x_mod_q(g, &x, &v);
    }
    if (grp_point_is_identity(&v) || !grp_scalar_equal(g, &x, &c->ctx.r)) {
        return TDSA_FAIL(err, TDSA_E_VERIFY,
                         "the signature does not verify: a member sent a wrong reply");
    }
    grp_point_parity(g, &y_odd, &x_wrapped, &v);
    *recovery_id = (uint8_t)((y_odd ? 1u : 0u) + (x_wrapped ? 2u : 0u));
    return TDSA_OK;
}

/* out = sum of lambda_j*value_j; the replies are public to the combiner. */
static void open_values(const mpc_combine *c, grp_scalar out[REPLY_VALUES_MAX])
{
    const grp *g = c->key->g;
    grp_scalar term;

    for (size_t v = 0; v < mpc_reply_values(c->ctx.scheme); v++) {
        grp_scalar_set_u64(g, &out[v], 0);
        for (size_t i = 0; i < committee_count(c); i++) {
            grp_scalar_mul(g, &term, &c->batch->lambda[i], &c->value[v][i]);
            grp_scalar_add(g, &out[v], &out[v], &term);
        }
    }
}

/* s = nu/mu. */
static tdsa_status finish_ecdsa(const mpc_combine *c, const grp_scalar opened[REPLY_VALUES_MAX],
                                mpc_signature *sig, tdsa_err *err)
{
    const grp *g = c->key->g;
    const size_t len = grp_get_info(g)->scalar_len;
    const grp_scalar *mu = &opened[0];
    const grp_scalar *nu = &opened[1];
    grp_scalar both;
    grp_scalar s;
    grp_scalar inverse;

    if (grp_scalar_is_zero(g, mu) || grp_scalar_is_zero(g, nu)) {
        return TDSA_FAIL(err, TDSA_E_VERIFY,
                         "the opened values are 0: a member sent a wrong reply");
    }
    grp_scalar_mul(g, &both, mu, nu);        /* one inversion for s and for 1/s */
    grp_scalar_inv_vartime(g, &both, &both); /* opened: the combiner may know it */
    grp_scalar_mul(g, &s, nu, &both);
    grp_scalar_mul(g, &s, &s, nu);
    grp_scalar_mul(g, &inverse, mu, &both);
    grp_scalar_mul(g, &inverse, &inverse, mu);
    if (c->ctx.low_s && grp_scalar_is_high_vartime(g, &s)) {
        grp_scalar_neg(g, &s, &s);
        grp_scalar_neg(g, &inverse, &inverse);
    }
    grp_scalar_encode(g, sig->bytes, &c->ctx.r);
    grp_scalar_encode(g, sig->bytes + len, &s);
    sig->len = 2 * len;
    return verify(c, &s, &inverse, &sig->recovery_id, err);
}

static tdsa_status finish_schnorr(const mpc_combine *c, const grp_scalar *z, mpc_signature *sig,
                                  tdsa_err *err)
{
    const grp *g = c->key->g;

    memcpy(sig->bytes, c->ctx.r_bytes, SCHNORR_KEY_LEN);
    grp_scalar_encode(g, sig->bytes + SCHNORR_KEY_LEN, z);
    sig->len = SCHNORR_SIG_LEN;
    if (schnorr_verify_vartime(g, c->ctx.scheme, &c->ctx.y_final, &c->ctx.c, sig->bytes, err) !=
        TDSA_OK) {
        return TDSA_FAIL(err, TDSA_E_VERIFY,
                         "the signature does not verify: a member sent a wrong reply");
    }
    return TDSA_OK;
}

tdsa_status mpc_combine_finish(mpc_combine *c, mpc_signature *out, tdsa_err *err)
{
    mpc_signature sig = {.len = 0};
    grp_scalar opened[REPLY_VALUES_MAX];
    tdsa_status st;

    memset(out, 0, sizeof *out);
    if (!mpc_combine_complete(c) || c->over) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "replies are missing, or the combiner is over");
    }
    c->over = true;
    open_values(c, opened);
    if (c->ctx.scheme == MPC_SCHEME_ECDSA) {
        st = finish_ecdsa(c, opened, &sig, err);
    } else {
        st = finish_schnorr(c, &opened[0], &sig, err);
    }
    if (st == TDSA_OK) {
        *out = sig;
    }
    return st;
}
