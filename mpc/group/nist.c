#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <nettle/ecc-curve.h>
#include <nettle/ecc.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/obj_mac.h>

#include "base/assert.h"
#include "base/crypto.h"
#include "base/secret.h"
#include "group/group_internal.h"

/*
 * P-384 and P-521. Secret scalars go to nettle only, limbs in and limbs out: its multiplication of
 * the base point runs in constant time (nettle manual 7.7.3.1, "Side-channel silence") and is
 * several times faster than OpenSSL's on P-384. OpenSSL's numbers drop leading zero limbs, which on
 * P-521 would show for one secret in 512 that its nine highest bits are 0. What is public (sums,
 * decoding, products of P-521) runs on OpenSSL, which nettle has no functions for or is faster.
 *
 * grp_point.raw is x | y, big-endian, each as long as a number of the field.
 */
#define FIELD_LIMBS_MAX 9u
#define FIELD_LEN_MAX   66u

_Static_assert(2 * FIELD_LEN_MAX <= sizeof((grp_point *)0)->raw, "a point fits");

/* The temporary objects of one public operation; one set is kept for the next call. */
typedef struct {
    BN_CTX *bn;
    EC_POINT *acc; /* the result */
    BIGNUM *x, *y;
    BIGNUM *k, *m;                   /* scalars, public */
    EC_POINT *in[GRP_SUM_TERMS_MAX]; /* made when first needed */
} work;

typedef struct {
    const struct ecc_curve *nettle; /* static in the library */
    EC_GROUP *group;
    size_t len;      /* bytes of a number of the field */
    mp_size_t limbs; /* of the same */
    mp_limb_t p[FIELD_LIMBS_MAX];
    _Atomic(work *) spare; /* taken and given back whole: any thread, no lock */
} nist_ctx;

static tdsa_status failed(const grp *g, const char *what, tdsa_err *err)
{
    return TDSA_FAIL(err, TDSA_E_CRYPTO, "%s: could not %s", g->info.name, what);
}

static void work_free(work *w)
{
    if (w == NULL) {
        return;
    }
    for (size_t i = 0; i < GRP_SUM_TERMS_MAX; i++) {
        EC_POINT_free(w->in[i]);
    }
    EC_POINT_free(w->acc);
    BN_free(w->x);
    BN_free(w->y);
    BN_free(w->k);
    BN_free(w->m);
    BN_CTX_free(w->bn);
    free(w);
}

/* NULL when there is no memory. */
static work *work_take(nist_ctx *c)
{
    work *w = atomic_exchange(&c->spare, NULL);

    if (w != NULL) {
        return w;
    }
    w = calloc(1, sizeof *w);
    if (w == NULL) {
        return NULL;
    }
    w->bn = BN_CTX_new_ex(tdsa_crypto_libctx());
    w->acc = EC_POINT_new(c->group);
    w->x = BN_new();
    w->y = BN_new();
    w->k = BN_new();
    w->m = BN_new();
    if (w->bn == NULL || w->acc == NULL || w->x == NULL || w->y == NULL || w->k == NULL ||
        w->m == NULL) {
        work_free(w);
        return NULL;
    }
    return w;
}

static void work_give(nist_ctx *c, work *w)
{
    work_free(atomic_exchange(&c->spare, w)); /* another thread was faster */
}

static void nist_close(grp *g)
{
    nist_ctx *c = g->ctx;

    if (c != NULL) {
        work_free(atomic_exchange(&c->spare, NULL));
        EC_GROUP_free(c->group);
        free(c);
    }
}

/* nettle keeps a scalar as the limbs of its number: ours go in as they are. This asks the library,
 * through its documented functions, whether that still holds. */
static bool scalars_are_limbs(const grp *g, const struct ecc_curve *curve)
{
    struct ecc_scalar known;
    mpz_t half;
    bool ok = false;

    ecc_scalar_init(&known, curve);
    ok = ecc_scalar_set(&known, mpz_roinit_n(half, g->half, g->n)) == 1 &&
         memcmp(known.p, g->half, (size_t)g->n * sizeof known.p[0]) == 0;
    ecc_scalar_clear(&known);
    return ok && ecc_size(curve) == g->n;
}

static tdsa_status nist_open(grp *g, const struct ecc_curve *nettle, int nid, tdsa_err *err)
{
    nist_ctx *c = calloc(1, sizeof *c);
    uint8_t p[FIELD_LEN_MAX];
    BIGNUM *field = BN_new();
    bool ok = false;

    g->ctx = c; /* nist_close takes what is there */
    if (c == NULL || field == NULL) {
        BN_free(field);
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for %s", g->info.name);
    }
    c->nettle = nettle;
    c->len = g->info.point_len - 1;
    c->limbs = (mp_size_t)((c->len + 7) / 8);
    c->group = EC_GROUP_new_by_curve_name_ex(tdsa_crypto_libctx(), NULL, nid);
    ok = c->group != NULL && EC_GROUP_get_curve(c->group, field, NULL, NULL, NULL) == 1 &&
         BN_bn2binpad(field, p, (int)c->len) == (int)c->len;
    BN_free(field);
    if (!ok) {
        return failed(g, "make the group", err);
    }
    grp_limbs_from_bytes(c->p, FIELD_LIMBS_MAX, p, c->len);
    if (!scalars_are_limbs(g, nettle)) {
        return failed(g, "use this nettle, which keeps scalars in another way", err);
    }
    return TDSA_OK;
}

static tdsa_status p384_open(grp *g, tdsa_err *err)
{
    return nist_open(g, nettle_get_secp_384r1(), NID_secp384r1, err);
}

static tdsa_status p521_open(grp *g, tdsa_err *err)
{
    return nist_open(g, nettle_get_secp_521r1(), NID_secp521r1, err);
}

/* out = the affine point that nettle made, whose coordinates are limbs; (0, 0) is the identity and
 * on neither curve. */
static void from_nettle(const nist_ctx *c, grp_point *out, const mp_limb_t *xy)
{
    grp_point_set_identity(out);
    if (mpn_zero_p(xy, 2 * c->limbs) == 0) {
        out->identity = 0;
        grp_limbs_to_bytes(out->raw, c->len, xy);
        grp_limbs_to_bytes(out->raw + c->len, c->len, xy + c->limbs);
    }
}

static tdsa_status nist_mul_base(const grp *g, grp_point *out, const grp_scalar *a, tdsa_err *err)
{
    const nist_ctx *c = g->ctx;
    mp_limb_t limbs[FIELD_LIMBS_MAX];
    mp_limb_t xy[2 * FIELD_LIMBS_MAX];
    const struct ecc_scalar scalar = {c->nettle, limbs};
    struct ecc_point product = {c->nettle, xy};

    (void)err;
    memcpy(limbs, a->limb, sizeof limbs);
    ecc_point_mul_g(&product, &scalar);
    tdsa_wipe(limbs, sizeof limbs);
    tdsa_declassify(xy, sizeof xy); /* a*G is made to be shown; finding a is the hard problem */
    from_nettle(c, out, xy);
    return TDSA_OK;
}

static bool load(const nist_ctx *c, const work *w, EC_POINT *to, const grp_point *p)
{
    return BN_bin2bn(p->raw, (int)c->len, w->x) != NULL &&
           BN_bin2bn(p->raw + c->len, (int)c->len, w->y) != NULL &&
           EC_POINT_set_affine_coordinates(c->group, to, w->x, w->y, w->bn) == 1;
}

/* out = p, which may be the identity. */
static bool store(const nist_ctx *c, const work *w, grp_point *out, const EC_POINT *p)
{
    grp_point_set_identity(out);
    if (EC_POINT_is_at_infinity(c->group, p) == 1) {
        return true;
    }
    if (EC_POINT_get_affine_coordinates(c->group, p, w->x, w->y, w->bn) != 1 ||
        BN_bn2binpad(w->x, out->raw, (int)c->len) != (int)c->len ||
        BN_bn2binpad(w->y, out->raw + c->len, (int)c->len) != (int)c->len) {
        grp_point_set_identity(out);
        return false;
    }
    out->identity = 0;
    return true;
}

/* w->acc = sum of coeff[i]*in[i] with all |coeff| bits handled together: Jacobian doublings and
 * additions, no inversion. in[i] already has the sign of coeff[i]. */
static bool sum_bits(const nist_ctx *c, const work *w, const int32_t *coeff, size_t count)
{
    bool started = false;

    if (EC_POINT_set_to_infinity(c->group, w->acc) != 1) {
        return false;
    }
    for (uint32_t bit = GRP_COEFF_LIMIT >> 1; bit != 0; bit >>= 1) {
        if (started && EC_POINT_dbl(c->group, w->acc, w->acc, w->bn) != 1) {
            return false;
        }
        for (size_t i = 0; i < count; i++) {
            const uint32_t size = (uint32_t)(coeff[i] < 0 ? -coeff[i] : coeff[i]);

            if ((size & bit) != 0) {
                started = true;
                if (EC_POINT_add(c->group, w->acc, w->acc, w->in[i], w->bn) != 1) {
                    return false;
                }
            }
        }
    }
    return true;
}

static tdsa_status nist_sum(const grp *g, grp_point *out, const grp_point *const *p,
                            const int32_t *coeff, size_t count, tdsa_err *err)
{
    nist_ctx *c = g->ctx;
    work *w = work_take(c);
    bool ok = w != NULL;

    for (size_t i = 0; ok && i < count; i++) {
        if (w->in[i] == NULL) {
            w->in[i] = EC_POINT_new(c->group);
        }
        ok = w->in[i] != NULL && load(c, w, w->in[i], p[i]) &&
             (coeff[i] > 0 || EC_POINT_invert(c->group, w->in[i], w->bn) == 1);
    }
    ok = ok && sum_bits(c, w, coeff, count) && store(c, w, out, w->acc);
    if (w != NULL) {
        work_give(c, w);
    }
    return ok ? TDSA_OK : failed(g, "add points", err);
}

/* P-384: two multiplications by nettle and one addition beat OpenSSL's double multiplication. */
static tdsa_status p384_mul_add(const grp *g, grp_point *out, const grp_scalar *a,
                                const grp_scalar *b, const grp_point *p, tdsa_err *err)
{
    static const int32_t ones[2] = {1, 1};
    const nist_ctx *c = g->ctx;
    mp_limb_t number[2][FIELD_LIMBS_MAX];
    mp_limb_t xy[2 * FIELD_LIMBS_MAX];
    const struct ecc_scalar scalar = {c->nettle, number[0]};
    struct ecc_point point = {c->nettle, xy};
    grp_point part[2];
    mpz_t x;
    mpz_t y;
    const grp_point *const both[2] = {&part[0], &part[1]};
    tdsa_status st = TDSA_OK;

    grp_limbs_from_bytes(number[0], FIELD_LIMBS_MAX, p->raw, c->len);
    grp_limbs_from_bytes(number[1], FIELD_LIMBS_MAX, p->raw + c->len, c->len);
    if (ecc_point_set(&point, mpz_roinit_n(x, number[0], c->limbs),
                      mpz_roinit_n(y, number[1], c->limbs)) != 1) {
        return failed(g, "take a point", err);
    }
    memcpy(number[0], b->limb, sizeof number[0]);
    ecc_point_mul(&point, &scalar, &point);
    from_nettle(c, &part[0], xy);
    st = nist_mul_base(g, &part[1], a, err);
    if (st != TDSA_OK || grp_point_is_identity(&part[1])) {
        *out = part[0];
        return st;
    }
    return nist_sum(g, out, both, ones, 2, err);
}

static bool scalar_to_bn_vartime(const grp *g, BIGNUM *k, const grp_scalar *a)
{
    uint8_t bytes[GRP_SCALAR_LEN_MAX];

    grp_scalar_encode(g, bytes, a);
    return BN_bin2bn(bytes, (int)g->info.scalar_len, k) != NULL;
}

static tdsa_status p521_mul_add(const grp *g, grp_point *out, const grp_scalar *a,
                                const grp_scalar *b, const grp_point *p, tdsa_err *err)
{
    nist_ctx *c = g->ctx;
    work *w = work_take(c);
    bool ok = w != NULL;

    ok = ok && scalar_to_bn_vartime(g, w->k, a) && scalar_to_bn_vartime(g, w->m, b) &&
         load(c, w, w->acc, p) &&
         EC_POINT_mul(c->group, w->acc, grp_scalar_is_zero(g, a) ? NULL : w->k, w->acc, w->m,
                      w->bn) == 1 &&
         store(c, w, out, w->acc);
    if (w != NULL) {
        work_give(c, w);
    }
    return ok ? TDSA_OK : failed(g, "multiply a point", err);
}

static void nist_neg(const grp *g, grp_point *out, const grp_point *a)
{
    const nist_ctx *c = g->ctx;
    mp_limb_t y[FIELD_LIMBS_MAX];

    grp_limbs_from_bytes(y, FIELD_LIMBS_MAX, a->raw + c->len, c->len);
    (void)mpn_sub_n(y, c->p, y, c->limbs); /* y is not 0: no point has order 2 */
    *out = *a;
    grp_limbs_to_bytes(out->raw + c->len, c->len, y);
}

static bool nist_equal(const grp *g, const grp_point *a, const grp_point *b)
{
    const nist_ctx *c = g->ctx;

    return memcmp(a->raw, b->raw, 2 * c->len) == 0;
}

static void nist_encode_raw(const grp *g, uint8_t *out, const grp_point *p)
{
    const nist_ctx *c = g->ctx;

    out[0] = 0x04;
    memcpy(out + 1, p->raw, 2 * c->len);
}

static tdsa_status nist_decode(const grp *g, grp_point *out, const uint8_t *in, size_t len,
                               tdsa_err *err)
{
    nist_ctx *c = g->ctx;
    work *w = work_take(c);
    bool valid = false;
    bool ok = true;

    if (w == NULL) {
        return failed(g, "get memory", err);
    }
    (void)ERR_set_mark();
    /* Refuses coordinates not below p and points off the curve; the cofactor is 1. */
    valid = EC_POINT_oct2point(c->group, w->acc, in, len, w->bn) == 1;
    (void)ERR_pop_to_mark();
    if (valid && len == g->info.point_raw_len) {
        out->identity = 0;
        memcpy(out->raw, in + 1, 2 * c->len); /* canonical, so the input is our form */
    } else if (valid) {
        ok = store(c, w, out, w->acc);
    }
    work_give(c, w);
    if (!ok) {
        return failed(g, "read a point", err);
    }
    if (!valid || grp_point_is_identity(out)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "not a point of %s", g->info.name);
    }
    return TDSA_OK;
}

const grp_backend grp_p384_backend = {
    .open = p384_open,
    .close = nist_close,
    .mul_base = nist_mul_base,
    .mul_add = p384_mul_add,
    .sum = nist_sum,
    .neg = nist_neg,
    .equal = nist_equal,
    .encode_raw = nist_encode_raw,
    .decode = nist_decode,
};

const grp_backend grp_p521_backend = {
    .open = p521_open,
    .close = nist_close,
    .mul_base = nist_mul_base,
    .mul_add = p521_mul_add,
    .sum = nist_sum,
    .neg = nist_neg,
    .equal = nist_equal,
    .encode_raw = nist_encode_raw,
    .decode = nist_decode,
};
