#include "protocol/schnorr.h"

#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/statement.h"

#define TAG_HASH_LEN 32u /* SHA-256 */

void schnorr_encode(const grp *g, mpc_scheme scheme, uint8_t out[SCHNORR_KEY_LEN],
                    const grp_point *p)
{
    uint8_t bytes[GRP_POINT_LEN_MAX];
    const size_t len = grp_get_info(g)->point_len;

    TDSA_ASSERT(scheme != MPC_SCHEME_ECDSA);
    TDSA_ASSERT(len >= SCHNORR_KEY_LEN);
    grp_point_encode(g, bytes, p);
    memcpy(out, bytes + (len - SCHNORR_KEY_LEN), SCHNORR_KEY_LEN);
}

/* BIP-340: "hash_tag(x) = SHA256(SHA256(tag) || SHA256(tag) || x)". */
static tdsa_status tagged_hash(uint8_t out[TAG_HASH_LEN], const char *tag, const tdsa_buf *data,
                               tdsa_err *err)
{
    uint8_t digest[TDSA_DIGEST_LEN_MAX];
    tdsa_hasher *h = NULL;
    tdsa_status st = tdsa_buf_check(data, err);

    if (st == TDSA_OK) {
        st = tdsa_hash(digest, TDSA_HASH_SHA256, tag, strlen(tag), err);
    }
    if (st == TDSA_OK) {
        st = tdsa_hasher_new(&h, TDSA_HASH_SHA256, err);
    }
    for (size_t i = 0; i < 2 && st == TDSA_OK; i++) {
        st = tdsa_hasher_update(h, digest, TAG_HASH_LEN, err);
    }
    if (st == TDSA_OK) {
        st = tdsa_hasher_update(h, data->data, data->len, err);
    }
    if (st == TDSA_OK) {
        st = tdsa_hasher_final(h, out, err);
    }
    tdsa_hasher_free(h);
    return st;
}

/* SHA-512 of the data, read little-endian and reduced. */
static tdsa_status ed25519_hash(const grp *g, grp_scalar *out, const tdsa_buf *data, tdsa_err *err)
{
    uint8_t digest[TDSA_DIGEST_LEN_MAX];
    uint8_t turned[TDSA_SHA512_LEN];
    tdsa_status st = tdsa_buf_check(data, err);

    if (st == TDSA_OK) {
        st = tdsa_hash(digest, TDSA_HASH_SHA512, data->data, data->len, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    for (size_t i = 0; i < sizeof turned; i++) {
        turned[i] = digest[sizeof turned - 1 - i];
    }
    grp_scalar_reduce(g, out, turned, sizeof turned);
    return TDSA_OK;
}

tdsa_status schnorr_challenge(const grp *g, mpc_scheme scheme, grp_scalar *c,
                              const uint8_t r[SCHNORR_KEY_LEN], const uint8_t y[SCHNORR_KEY_LEN],
                              const uint8_t *msg, size_t len, tdsa_err *err)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    uint8_t digest[TAG_HASH_LEN];
    tdsa_status st;

    grp_scalar_set_u64(g, c, 0);
    tdsa_buf_append(&b, r, SCHNORR_KEY_LEN);
    tdsa_buf_append(&b, y, SCHNORR_KEY_LEN);
    tdsa_buf_append(&b, msg, len);
    if (scheme == MPC_SCHEME_EDDSA) {
        return ed25519_hash(g, c, &b, err);
    }
    st = tagged_hash(digest, "BIP0340/challenge", &b, err);
    if (st == TDSA_OK) {
        grp_scalar_reduce(g, c, digest, sizeof digest);
    }
    return st;
}

tdsa_status schnorr_tap_tweak(const grp *g, grp_scalar *out, const uint8_t x[SCHNORR_KEY_LEN],
                              const uint8_t *root, tdsa_err *err)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    uint8_t digest[TAG_HASH_LEN];
    tdsa_status st;

    grp_scalar_set_u64(g, out, 0);
    tdsa_buf_append(&b, x, SCHNORR_KEY_LEN);
    tdsa_buf_append(&b, root, root == NULL ? 0 : MPC_MERKLE_ROOT_LEN);
    st = tagged_hash(digest, "TapTweak", &b, err);
    if (st == TDSA_OK) { /* BIP-341: "if t >= SECP256K1_ORDER: raise ValueError" */
        st = grp_scalar_decode(g, out, digest, sizeof digest, err);
    }
    return st;
}

tdsa_status schnorr_verify_vartime(const grp *g, mpc_scheme scheme, const grp_point *y,
                                   const grp_scalar *c, const uint8_t sig[SCHNORR_SIG_LEN],
                                   tdsa_err *err)
{
    uint8_t r[SCHNORR_KEY_LEN];
    grp_scalar z;
    grp_scalar minus_c;
    grp_point v;
    bool odd = false;
    bool wrapped = false;

    grp_scalar_neg(g, &minus_c, c);
    if (grp_scalar_decode(g, &z, sig + SCHNORR_KEY_LEN, SCHNORR_SIG_LEN - SCHNORR_KEY_LEN, err) !=
            TDSA_OK ||
        grp_mul_add_vartime(g, &v, &z, &minus_c, y, err) != TDSA_OK || grp_point_is_identity(&v)) {
        return TDSA_FAIL(err, TDSA_E_VERIFY, "the signature does not verify");
    }
    if (scheme == MPC_SCHEME_BIP340) { /* "Fail if not has_even_y(R)." */
        grp_point_parity(g, &odd, &wrapped, &v);
    }
    schnorr_encode(g, scheme, r, &v);
    if (odd || memcmp(r, sig, sizeof r) != 0) {
        return TDSA_FAIL(err, TDSA_E_VERIFY, "the signature does not verify");
    }
    return TDSA_OK;
}

/* Makes y of the point even; tells whether that took a negation. */
static bool make_even(const grp *g, grp_point *p)
{
    bool odd = false;
    bool wrapped = false;

    grp_point_parity(g, &odd, &wrapped, p);
    if (odd) {
        grp_point_neg(g, p, p);
    }
    return odd;
}

/* BIP-341, taproot_tweak_pubkey: P is the point with even y, Q = P + t*G. */
static tdsa_status tweak_key(mpc_context *ctx, const grp *g, const mpc_request *q, tdsa_err *err)
{
    uint8_t x[SCHNORR_KEY_LEN];
    grp_point tweak_point;
    tdsa_status st;

    schnorr_encode(g, ctx->scheme, x, &ctx->y_final);
    st = schnorr_tap_tweak(g, &ctx->tweak, x, q->has_merkle_root ? q->merkle_root : NULL, err);
    if (st == TDSA_OK) {
        st = grp_mul_base(g, &tweak_point, &ctx->tweak, err);
    }
    if (st == TDSA_OK) {
        st = grp_point_add_vartime(g, &ctx->y_final, &ctx->y_final, &tweak_point, err);
    }
    if (st == TDSA_OK && grp_point_is_identity(&ctx->y_final)) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the output key is the identity");
    }
    return st;
}

tdsa_status schnorr_final_key(mpc_context *ctx, const grp *g, const mpc_request *q, tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    grp_scalar_set_u64(g, &ctx->tweak, 0);
    if (grp_point_is_identity(&ctx->y_final)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the public key is the identity");
    }
    if (ctx->scheme != MPC_SCHEME_BIP340) {
        return TDSA_OK;
    }
    ctx->negate_key = make_even(g, &ctx->y_final);
    if (q->taproot) {
        st = tweak_key(ctx, g, q, err);
        if (st == TDSA_OK) {
            ctx->negate_output = make_even(g, &ctx->y_final);
        }
    }
    return st;
}

tdsa_status schnorr_bind(mpc_context *ctx, const grp *g, const mpc_request *q,
                         const grp_point nonce[PRESIGN_POINTS_MAX], tdsa_err *err)
{
    TDSA_SCOPED_BUF field = TDSA_BUF_EMPTY;
    uint8_t y[SCHNORR_KEY_LEN];
    grp_point r;
    tdsa_status st;

    tdsa_stmt_octets(&field, ctx->transcript, sizeof ctx->transcript);
    st = tdsa_buf_check(&field, err);
    if (st == TDSA_OK) {
        st = grp_hash_to_scalar(g, &ctx->rho, "bind", field.data, field.len, err);
    }
    if (st == TDSA_OK && grp_scalar_is_zero(g, &ctx->rho)) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "rho is 0");
    }
    if (st == TDSA_OK) {
        st = grp_mul_vartime(g, &r, &ctx->rho, &nonce[1], err);
    }
    if (st == TDSA_OK) {
        st = grp_point_add_vartime(g, &r, &r, &nonce[0], err);
    }
    if (st == TDSA_OK && grp_point_is_identity(&r)) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the nonce R is the identity");
    }
    if (st != TDSA_OK) {
        return st;
    }
    ctx->negate_nonce = ctx->scheme == MPC_SCHEME_BIP340 && make_even(g, &r);
    schnorr_encode(g, ctx->scheme, ctx->r_bytes, &r);
    schnorr_encode(g, ctx->scheme, y, &ctx->y_final);
    st = schnorr_challenge(g, ctx->scheme, &ctx->c, ctx->r_bytes, y, q->payload, q->payload_len,
                           err);
    if (st == TDSA_OK && grp_scalar_is_zero(g, &ctx->c)) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the challenge is 0");
    }
    return st;
}

void schnorr_value(grp_scalar *z, const grp *g, const mpc_context *ctx, const grp_scalar *d,
                   const grp_scalar *e, const grp_scalar *x, const grp_scalar *pad)
{
    grp_scalar share;

    grp_scalar_add(g, &share, x, &ctx->epsilon);
    if (ctx->negate_key) { /* the signs come from public points */
        grp_scalar_neg(g, &share, &share);
    }
    grp_scalar_add(g, &share, &share, &ctx->tweak);
    if (ctx->negate_output) {
        grp_scalar_neg(g, &share, &share);
    }
    grp_scalar_mul(g, &share, &share, &ctx->c);
    grp_scalar_mul(g, z, &ctx->rho, e);
    grp_scalar_add(g, z, z, d);
    if (ctx->negate_nonce) {
        grp_scalar_neg(g, z, z);
    }
    grp_scalar_add(g, z, z, &share);
    grp_scalar_add(g, z, z, pad);
    grp_scalar_clear(&share);
}
