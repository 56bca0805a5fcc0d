#include "ct/ct.h"

#include "base/secret.h"
#include "group/prss.h"

static tdsa_err err;

static tdsa_status secret_fill(void *ctx, uint8_t *out, size_t len, tdsa_err *e)
{
    (void)ctx;
    (void)e;
    for (size_t i = 0; i < len; i++) {
        out[i] = (uint8_t)(i * 37 + 11);
    }
    ct_secret(out, len);
    return TDSA_OK;
}

static const tdsa_rng secret_rng = {secret_fill, NULL};

/* Bytes of a grp_scalar or of its encoding that are in use on every curve: those above the order's
 * are 0, and the encoding of P-521 begins with bits that are. */
#define SCALAR_BYTES 32u

static void check_scalars(const grp *g)
{
    const size_t len = grp_get_info(g)->scalar_len;
    uint8_t bytes[GRP_SCALAR_LEN_MAX];
    grp_scalar a;
    grp_scalar b;
    grp_scalar c;
    bool verdict = false;

    ct_require(grp_scalar_random(g, &a, &secret_rng, &err) == TDSA_OK, "random");
    ct_still_secret("a random scalar", &a, SCALAR_BYTES);
    grp_scalar_set_u64(g, &b, 7);
    ct_secret(&b, sizeof b);
    grp_scalar_add(g, &c, &a, &b);
    ct_still_secret("a sum", &c, SCALAR_BYTES);
    grp_scalar_sub(g, &c, &c, &b);
    ct_still_secret("a difference", &c, SCALAR_BYTES);
    grp_scalar_mul(g, &c, &c, &b);
    ct_still_secret("a product", &c, SCALAR_BYTES);
    grp_scalar_neg(g, &c, &c);
    ct_still_secret("a negated scalar", &c, SCALAR_BYTES);
    grp_scalar_inv(g, &c, &c);
    ct_still_secret("an inverse", &c, SCALAR_BYTES);
    verdict = grp_scalar_is_zero(g, &c);
    ct_public(&verdict, sizeof verdict);
    ct_require(!verdict, "zero");
    verdict = grp_scalar_equal(g, &a, &c);
    ct_public(&verdict, sizeof verdict);
    ct_still_secret("a compared scalar", &c, SCALAR_BYTES);
    grp_scalar_encode(g, bytes, &c);
    ct_still_secret("an encoded scalar", bytes + len - SCALAR_BYTES, SCALAR_BYTES);
    ct_require(grp_scalar_decode(g, &b, bytes, len, &err) == TDSA_OK, "decode");
    ct_still_secret("a decoded scalar", &b, SCALAR_BYTES);
    grp_scalar_clear(&a);
}

static void check_polynomials(const grp *g)
{
    grp_poly f;
    grp_scalar share;
    grp_point commitment[GRP_THRESHOLD_MAX + 1];
    grp_point r;

    ct_require(grp_poly_random(g, &f, 2, &secret_rng, &err) == TDSA_OK, "poly");
    grp_poly_eval(g, &share, &f, 3);
    ct_still_secret("a value of a polynomial", &share, SCALAR_BYTES);
    ct_require(grp_poly_commit(g, commitment, &f, &err) == TDSA_OK, "commit");
    ct_still_public("commitments", commitment, 3 * sizeof commitment[0]);
    for (size_t m = 0; m <= 2; m++) {
        ct_still_secret("a committed coefficient", &f.coeff[m], SCALAR_BYTES);
    }
    ct_require(grp_mul_base(g, &r, &share, &err) == TDSA_OK, "base");
    ct_still_secret("a multiplied scalar", &share, SCALAR_BYTES);
    ct_require(!grp_point_is_identity(&r), "identity");
    grp_poly_clear(&f);
}

static void check_batch(const grp *g)
{
    grp_scalar a[3];
    grp_point p[3];

    for (size_t i = 0; i < 3; i++) {
        ct_require(grp_scalar_random(g, &a[i], &secret_rng, &err) == TDSA_OK, "random");
    }
    ct_require(grp_mul_base_batch(g, p, a, 3, &err) == TDSA_OK, "batch");
    ct_still_public("points of a batch", p, sizeof p);
    ct_require(!grp_point_is_identity(&p[2]), "identity");
    for (size_t i = 0; i < 3; i++) {
        ct_still_secret("a scalar of a batch", &a[i], SCALAR_BYTES);
        grp_scalar_clear(&a[i]);
    }
}

static void check_prss_and_pads(const grp *g)
{
    static const uint16_t committee[3] = {0, 1, 2};
    static const uint8_t beta[32] = {1};
    static const uint8_t transcript[64] = {2};
    grp_set_key keys[2] = {{.set = {2, {0, 1}}}, {.set = {2, {0, 2}}}};
    uint8_t pair[3][32] = {{0}};
    const grp_prss_cfg cfg = {.keys = keys,
                              .key_count = 2,
                              .committee = committee,
                              .committee_count = 3,
                              .me = 0,
                              .name = "k",
                              .beta = beta};
    const grp_pad_cfg pad_cfg = {.committee = committee,
                                 .committee_count = 3,
                                 .me = 0,
                                 .pair_keys = (const uint8_t(*)[32])pair,
                                 .word = "mu",
                                 .transcript = transcript};
    grp_prss *p = NULL;
    grp_scalar shares[5];
    grp_scalar pad;
    grp_point r;

    ct_secret(keys[0].key, 32);
    ct_secret(keys[1].key, 32);
    ct_secret(pair, sizeof pair);
    ct_require(grp_prss_new(&p, g, &cfg, &err) == TDSA_OK, "prss");
    ct_require(grp_prss_shares(p, shares, 3, 5, &err) == TDSA_OK, "shares");
    for (size_t i = 0; i < 5; i++) {
        ct_still_secret("a PRSS share", &shares[i], SCALAR_BYTES);
    }
    grp_prss_free(p);
    ct_require(grp_pad(g, &pad, &pad_cfg, &err) == TDSA_OK, "pad");
    ct_still_secret("a pad", &pad, SCALAR_BYTES);
    ct_require(grp_mul_base(g, &r, &shares[4], &err) == TDSA_OK, "base");
}

int main(void)
{
    static const grp_curve curves[] = {GRP_P256, GRP_SECP256K1, GRP_P384, GRP_P521, GRP_ED25519};

    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++) {
        grp *g = NULL;

        ct_require(grp_open(&g, curves[i], &err) == TDSA_OK, "open");
        check_scalars(g);
        check_polynomials(g);
        check_batch(g);
        check_prss_and_pads(g);
        grp_close(g);
    }
    return ct_end();
}
