#include <string.h>

#include "base/statement.h"
#include "protocol/bip32.h"
#include "protocol/fields.h"
#include "protocol/prepare.h"
#include "protocol/presign_internal.h"
#include "protocol/schnorr.h"

/* The request names this key, epoch, batch, index and committee. */
static tdsa_status check_names(const mpc_key *key, const mpc_batch *batch, const mpc_request *q,
                               tdsa_err *err)
{
    const size_t committee_count = 2u * key->pub.t + 1u;

    if (batch->key != key) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the batch is not of key %s", key->pub.key_id);
    }
    if (strcmp(q->key_id, key->pub.key_id) != 0) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT, "the request is for another key than %s",
                         key->pub.key_id);
    }
    if (q->epoch != key->pub.epoch || q->scheme != key->pub.scheme) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT, "the request is for epoch %u of key %s, here is %u",
                         q->epoch, key->pub.key_id, key->pub.epoch);
    }
    if (memcmp(q->beta, batch->beta, sizeof q->beta) != 0 || q->index >= batch->count) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "presignature %u is not in this batch of %u",
                         q->index, batch->count);
    }
    if (q->committee_count != committee_count ||
        memcmp(q->committee, batch->committee, committee_count * sizeof q->committee[0]) != 0) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT, "the committee is not the one of the presignature");
    }
    if (memcmp(batch->policy_tag, q->policy_tag, sizeof q->policy_tag) != 0) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT, "the request names another policy of key %s",
                         key->pub.key_id);
    }
    return TDSA_OK;
}

/* What the key's policy allows. */
static tdsa_status check_policy(const mpc_key *key, const mpc_request *q, tdsa_err *err)
{
    const mpc_policy *p = &key->pub.policy;

    if ((p->digests >> (unsigned)q->digest_alg & 1u) == 0 ||
        (q->digest_alg == TDSA_HASH_NONE) != (q->scheme != MPC_SCHEME_ECDSA)) {
        return TDSA_FAIL(err, TDSA_E_DENIED, "key %s does not sign %s digests", key->pub.key_id,
                         tdsa_hash_name(q->digest_alg));
    }
    if (p->low_s && !q->low_s) {
        return TDSA_FAIL(err, TDSA_E_DENIED, "key %s makes low-S signatures only", key->pub.key_id);
    }
    if (q->payload_len > MPC_MESSAGE_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a payload of %zu bytes, at most %u are allowed",
                         q->payload_len, MPC_MESSAGE_MAX);
    }
    return mpc_policy_check_path(p, q->path, q->path_len, err);
}

/* h from the digest, or from the message where the key signs messages. */
static tdsa_status compute_h(mpc_context *out, const mpc_key *key, const mpc_request *q,
                             tdsa_err *err)
{
    uint8_t digest[TDSA_DIGEST_LEN_MAX];
    const size_t len = tdsa_hash_len(q->digest_alg);
    tdsa_status st = TDSA_OK;

    if (key->pub.policy.purpose == MPC_PURPOSE_MESSAGE) {
        st = tdsa_hash(digest, q->digest_alg, q->payload, q->payload_len, err);
    } else if (q->payload_len != len) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a %s digest has %zu bytes, not %zu",
                       tdsa_hash_name(q->digest_alg), len, q->payload_len);
    } else {
        memcpy(digest, q->payload, len);
    }
    if (st != TDSA_OK) {
        return st;
    }
    grp_digest_to_scalar(key->g, &out->h, digest, len);
    if (grp_scalar_is_zero(key->g, &out->h)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the digest is 0 modulo q");
    }
    return TDSA_OK;
}

/* What a transcript says beside the context: where the request, the bytes of it and the nonces are. */
typedef struct {
    const mpc_key *key;
    const mpc_batch *batch;
    const mpc_request *q;
    const uint8_t *q_bytes;
    size_t q_len;
    grp_point nonce[PRESIGN_POINTS_MAX]; /* of the own record */
} view;

/* version, cluster-id, curve, Q, beta, index, [R] or [D, E], Y, H('cc', cc), epsilon, Y', C, t: the
 * fields that T and T0 share. */
static void put_fields(tdsa_buf *b, const mpc_context *c, const view *v)
{
    const mpc_key *key = v->key;

    tdsa_stmt_uint(b, MPC_VERSION);
    tdsa_stmt_octets(b, key->pub.cluster_id, sizeof key->pub.cluster_id);
    tdsa_stmt_text(b, grp_curve_name(key->pub.curve));
    tdsa_stmt_octets(b, v->q_bytes, v->q_len);
    tdsa_stmt_octets(b, v->q->beta, sizeof v->q->beta);
    tdsa_stmt_uint(b, v->q->index);
    mpc_put_points(b, key->g, v->nonce, mpc_scheme_points(key->pub.scheme));
    mpc_put_point(b, key->g, &key->pub.y);
    tdsa_stmt_octets(b, v->batch->cc_hash, sizeof v->batch->cc_hash);
    mpc_put_scalar(b, key->g, &c->epsilon);
    mpc_put_point(b, key->g, &c->y_final);
    tdsa_stmt_uint_list(b, v->q->committee, v->q->committee_count);
    tdsa_stmt_uint(b, key->pub.t);
}

/* T = H('sign', fields, coin list or absent). */
static tdsa_status hash_transcript(mpc_context *out, const view *v, const mpc_coins *coins,
                                   tdsa_err *err)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;

    tdsa_stmt_begin(&b, "sign");
    put_fields(&b, out, v);
    if (coins == NULL) {
        tdsa_stmt_absent(&b);
    } else {
        mpc_coins_put(&b, v->key->g, coins);
    }
    return tdsa_hash_stmt(out->transcript, &b, err);
}

/* T0 = H('prepare', fields). */
static tdsa_status hash_prepare(mpc_context *out, const view *v, tdsa_err *err)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;

    tdsa_stmt_begin(&b, "prepare");
    put_fields(&b, out, v);
    return tdsa_hash_stmt(out->prepared, &b, err);
}

/* delta = H2S('delta', T), R^ = R + delta*G, r = F(R^). */
static tdsa_status compute_r(mpc_context *out, const mpc_key *key, const grp_point *big_r,
                             tdsa_err *err)
{
    TDSA_SCOPED_BUF field = TDSA_BUF_EMPTY;
    grp_point hat;
    tdsa_status st;

    tdsa_stmt_octets(&field, out->transcript, sizeof out->transcript);
    st = tdsa_buf_check(&field, err);
    if (st != TDSA_OK) {
        return st;
    }
    st = grp_hash_to_scalar(key->g, &out->delta, "delta", field.data, field.len, err);
    if (st != TDSA_OK) {
        return st;
    }
    if (grp_scalar_is_zero(key->g, &out->delta)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "delta is 0");
    }
    st = grp_mul_base_add_vartime(key->g, &hat, &out->delta, big_r, err);
    if (st != TDSA_OK) {
        return st;
    }
    if (grp_point_is_identity(&hat)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the re-randomised nonce is the identity");
    }
    grp_point_x_mod_q(key->g, &out->r, &hat);
    if (grp_scalar_is_zero(key->g, &out->r)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "r is 0");
    }
    return TDSA_OK;
}

/* The decoded form must say what the bytes say: T covers the bytes, h and epsilon come from q. */
static tdsa_status check_same(const mpc_request *q, const uint8_t *q_bytes, size_t q_len,
                              tdsa_err *err)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    tdsa_status st;

    mpc_request_encode(&b, q);
    st = tdsa_buf_check(&b, err);
    if (st == TDSA_OK && (b.len != q_len || memcmp(b.data, q_bytes, q_len) != 0)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the request and its bytes differ");
    }
    return st;
}

/* Y' and what belongs to the scheme alone, before T and after it. */
static tdsa_status before_transcript(mpc_context *out, const mpc_key *key, const mpc_request *q,
                                     tdsa_err *err)
{
    if (key->pub.scheme == MPC_SCHEME_ECDSA) {
        return compute_h(out, key, q, err);
    }
    return schnorr_final_key(out, key->g, q, err);
}

static tdsa_status after_transcript(mpc_context *out, const view *v, tdsa_err *err)
{
    if (v->key->pub.scheme == MPC_SCHEME_ECDSA) {
        return compute_r(out, v->key, &v->nonce[0], err);
    }
    return schnorr_bind(out, v->key->g, v->q, v->nonce, err);
}

/* All checks that come before T, and what goes into it. */
static tdsa_status begin(mpc_context *out, view *v, tdsa_err *err)
{
    const mpc_key *key = v->key;
    const mpc_request *q = v->q;
    tdsa_status st = check_same(q, v->q_bytes, v->q_len, err);

    *out = (mpc_context){.scheme = key->pub.scheme};
    if (st == TDSA_OK) {
        st = check_names(key, v->batch, q, err);
    }
    if (st == TDSA_OK) {
        st = check_policy(key, q, err);
    }
    if (st == TDSA_OK) {
        st = batch_points(v->nonce, v->batch, q->index, err); /* own record, never the request */
    }
    if (st == TDSA_OK) {
        st = mpc_bip32_path_vartime(&out->epsilon, &out->y_final, key, q->path, q->path_len, err);
    }
    if (st == TDSA_OK) {
        out->low_s = q->low_s && out->scheme == MPC_SCHEME_ECDSA;
        st = before_transcript(out, key, q, err);
    }
    return st;
}

tdsa_status mpc_context_new(mpc_context *out, const mpc_key *key, const mpc_batch *batch,
                            const mpc_request *q, const uint8_t *q_bytes, size_t q_len,
                            tdsa_err *err)
{
    view v = {.key = key, .batch = batch, .q = q, .q_bytes = q_bytes, .q_len = q_len};
    mpc_context c;
    tdsa_status st;

    memset(out, 0, sizeof *out);
    if (key->pub.policy.prepare) {
        return TDSA_FAIL(err, TDSA_E_DENIED,
                         "key %s signs in prepare mode only: the coins come first",
                         key->pub.key_id);
    }
    st = begin(&c, &v, err);
    if (st == TDSA_OK) {
        st = hash_transcript(&c, &v, NULL, err);
    }
    if (st == TDSA_OK) {
        st = after_transcript(&c, &v, err);
    }
    if (st == TDSA_OK) {
        *out = c;
    }
    return st;
}

/* ---- prepare mode ---- */

/* Everything up to T0, which goes to out->prepared. */
static tdsa_status begin_prepared(mpc_context *out, view *v, tdsa_err *err)
{
    tdsa_status st;

    if (!v->key->pub.policy.prepare) {
        return TDSA_FAIL(err, TDSA_E_DENIED, "key %s does not sign in prepare mode",
                         v->key->pub.key_id);
    }
    st = begin(out, v, err);
    return st == TDSA_OK ? hash_prepare(out, v, err) : st;
}

tdsa_status mpc_prepare_new(uint8_t t0[64], const mpc_key *key, const mpc_batch *batch,
                            const mpc_request *q, const uint8_t *q_bytes, size_t q_len,
                            tdsa_err *err)
{
    view v = {.key = key, .batch = batch, .q = q, .q_bytes = q_bytes, .q_len = q_len};
    mpc_context c;
    tdsa_status st;

    memset(t0, 0, sizeof c.prepared);
    st = begin_prepared(&c, &v, err);
    if (st == TDSA_OK) {
        memcpy(t0, c.prepared, sizeof c.prepared);
    }
    return st;
}

tdsa_status mpc_context_prepared(mpc_context *out, const mpc_key *key, mpc_batch *batch,
                                 const mpc_request *q, const uint8_t *q_bytes, size_t q_len,
                                 const mpc_coins *coins, tdsa_err *err)
{
    view v = {.key = key, .batch = batch, .q = q, .q_bytes = q_bytes, .q_len = q_len};
    mpc_context c;
    tdsa_status st;

    memset(out, 0, sizeof *out);
    st = begin_prepared(&c, &v, err);
    if (st == TDSA_OK) {
        st = mpc_prepare_check(coins, key, batch, q->index, err);
    }
    if (st == TDSA_OK) {
        st = hash_transcript(&c, &v, coins, err);
    }
    if (st == TDSA_OK) {
        st = after_transcript(&c, &v, err);
    }
    if (st == TDSA_OK) {
        *out = c;
    }
    return st;
}
