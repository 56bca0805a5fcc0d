#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/obj_mac.h>

#include "base/assert.h"
#include "base/crypto.h"
#include "base/secret.h"
#include "group/group_internal.h"

/* P-256 on OpenSSL. grp_point.raw is x | y, 32 bytes each, big-endian. */
#define FIELD_LEN 32u
#define XY_LEN    (2 * FIELD_LEN)

_Static_assert(XY_LEN <= sizeof((grp_point *)0)->raw, "a point fits");

static tdsa_status failed(tdsa_err *err, const char *what)
{
    return TDSA_FAIL(err, TDSA_E_CRYPTO, "P-256: OpenSSL could not %s", what);
}

/* The temporary objects of one operation. Making them costs as much as several additions, so one
 * set is kept for the next call; they hold nothing secret between calls. */
typedef struct {
    const EC_GROUP *group; /* lent */
    BN_CTX *bn;
    EC_POINT *acc; /* the result */
    BIGNUM *x, *y;
    BIGNUM *k, *m;                   /* scalars, cleared after use */
    EC_POINT *in[GRP_SUM_TERMS_MAX]; /* made when first needed */
} work;

typedef struct {
    EC_GROUP *group;
    _Atomic(work *) spare; /* taken and given back whole: any thread, no lock */
} p256_ctx;

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
    BN_clear_free(w->k);
    BN_clear_free(w->m);
    BN_CTX_free(w->bn);
    free(w);
}

static work *work_new(const EC_GROUP *group)
{
    work *w = calloc(1, sizeof *w);

    if (w == NULL) {
        return NULL;
    }
    w->group = group;
    w->bn = BN_CTX_new_ex(tdsa_crypto_libctx());
    w->acc = EC_POINT_new(group);
    w->x = BN_new();
    w->y = BN_new();
    w->k = BN_secure_new();
    w->m = BN_secure_new();
    if (w->bn == NULL || w->acc == NULL || w->x == NULL || w->y == NULL || w->k == NULL ||
        w->m == NULL) {
        work_free(w);
        return NULL;
    }
    BN_set_flags(w->k, BN_FLG_CONSTTIME);
    BN_set_flags(w->m, BN_FLG_CONSTTIME);
    return w;
}

/* NULL when there is no memory. */
static work *work_take(const grp *g)
{
    p256_ctx *c = g->ctx;
    work *w = atomic_exchange(&c->spare, NULL);

    return w != NULL ? w : work_new(c->group);
}

static void work_give(const grp *g, work *w)
{
    p256_ctx *c = g->ctx;

    work_free(atomic_exchange(&c->spare, w)); /* another thread was faster */
}

static void p256_close(grp *g)
{
    p256_ctx *c = g->ctx;

    if (c != NULL) {
        work_free(atomic_exchange(&c->spare, NULL));
        EC_GROUP_free(c->group);
        free(c);
    }
}

static tdsa_status p256_open(grp *g, tdsa_err *err)
{
    p256_ctx *c = calloc(1, sizeof *c);

    if (c == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for P-256");
    }
    g->ctx = c; /* p256_close takes what is there */
    c->group = EC_GROUP_new_by_curve_name_ex(tdsa_crypto_libctx(), NULL, NID_X9_62_prime256v1);
    return c->group != NULL ? TDSA_OK : failed(err, "make the group");
}

static bool p256_load(const work *w, EC_POINT *to, const grp_point *p)
{
    return BN_bin2bn(p->raw, FIELD_LEN, w->x) != NULL &&
           BN_bin2bn(p->raw + FIELD_LEN, FIELD_LEN, w->y) != NULL &&
           EC_POINT_set_affine_coordinates(w->group, to, w->x, w->y, w->bn) == 1;
}

/* out = p, which may be the identity. */
static bool p256_store(const work *w, grp_point *out, const EC_POINT *p)
{
    grp_point_set_identity(out);
    if (EC_POINT_is_at_infinity(w->group, p) == 1) {
        return true;
    }
    if (EC_POINT_get_affine_coordinates(w->group, p, w->x, w->y, w->bn) != 1 ||
        BN_bn2binpad(w->x, out->raw, FIELD_LEN) != (int)FIELD_LEN ||
        BN_bn2binpad(w->y, out->raw + FIELD_LEN, FIELD_LEN) != (int)FIELD_LEN) {
        grp_point_set_identity(out);
        return false;
    }
    out->identity = 0;
    return true;
}

/* k = a. BN_bin2bn skips leading zero bytes, which would time a secret; so the number gets a bit
 * above its highest one, which is taken away afterwards. */
static bool scalar_to_bn(const grp *g, BIGNUM *k, const grp_scalar *a)
{
    uint8_t bytes[1 + FIELD_LEN];
    bool ok = false;

    bytes[0] = 1;
    grp_scalar_encode(g, bytes + 1, a);
    ok = BN_bin2bn(bytes, sizeof bytes, k) != NULL && BN_clear_bit(k, 8 * (int)FIELD_LEN) == 1;
    tdsa_wipe(bytes, sizeof bytes);
    return ok;
}

static tdsa_status p256_mul_base(const grp *g, grp_point *out, const grp_scalar *a, tdsa_err *err)
{
    work *w = work_take(g);
    EC_POINT *product = NULL; /* not a kept one: its Z tells of the scalar */
    bool ok = false;

    if (w == NULL) {
        return failed(err, "get memory");
    }
    product = EC_POINT_new(w->group);
    ok = product != NULL && scalar_to_bn(g, w->k, a) &&
         EC_POINT_mul(w->group, product, w->k, NULL, NULL, w->bn) == 1 &&
         p256_store(w, out, product);
    EC_POINT_clear_free(product);
    BN_clear(w->k);
    work_give(g, w);
    tdsa_declassify(out, sizeof *out); /* a*G is made to be shown; finding a is the hard problem */
    return ok ? TDSA_OK : failed(err, "multiply the base point");
}

static tdsa_status p256_mul_add(const grp *g, grp_point *out, const grp_scalar *a,
                                const grp_scalar *b, const grp_point *p, tdsa_err *err)
{
    const bool with_base = !grp_scalar_is_zero(g, a);
    work *w = work_take(g);
    bool ok = false;

    if (w == NULL) {
        return failed(err, "get memory");
    }
    ok = scalar_to_bn(g, w->k, a) && scalar_to_bn(g, w->m, b) && p256_load(w, w->acc, p) &&
         EC_POINT_mul(w->group, w->acc, with_base ? w->k : NULL, w->acc, w->m, w->bn) == 1 &&
         p256_store(w, out, w->acc);
    BN_clear(w->k);
    BN_clear(w->m);
    work_give(g, w);
    return ok ? TDSA_OK : failed(err, "multiply a point");
}

/* w->acc = sum of coeff[i]*in[i] with all |coeff| bits handled together: Jacobian doublings and
 * additions, no inversion. in[i] already has the sign of coeff[i]. */
static bool sum_bits(const work *w, const int32_t *coeff, size_t count)
{
    bool started = false;

    if (EC_POINT_set_to_infinity(w->group, w->acc) != 1) {
        return false;
    }
    for (uint32_t bit = GRP_COEFF_LIMIT >> 1; bit != 0; bit >>= 1) {
        if (started && EC_POINT_dbl(w->group, w->acc, w->acc, w->bn) != 1) {
            return false;
        }
        for (size_t i = 0; i < count; i++) {
            const uint32_t size = (uint32_t)(coeff[i] < 0 ? -coeff[i] : coeff[i]);

            if ((size & bit) != 0) {
                started = true;
                if (EC_POINT_add(w->group, w->acc, w->acc, w->in[i], w->bn) != 1) {
                    return false;
                }
            }
        }
    }
    return true;
}

static tdsa_status p256_sum(const grp *g, grp_point *out, const grp_point *const *p,
                            const int32_t *coeff, size_t count, tdsa_err *err)
{
    work *w = work_take(g);
    bool ok = w != NULL;

    for (size_t i = 0; ok && i < count; i++) {
        if (w->in[i] == NULL) {
            w->in[i] = EC_POINT_new(w->group);
        }
        ok = w->in[i] != NULL && p256_load(w, w->in[i], p[i]) &&
             (coeff[i] > 0 || EC_POINT_invert(w->group, w->in[i], w->bn) == 1);
    }
    ok = ok && sum_bits(w, coeff, count) && p256_store(w, out, w->acc);
    if (w != NULL) {
        work_give(g, w);
    }
    return ok ? TDSA_OK : failed(err, "add points");
}

static void p256_neg(const grp *g, grp_point *out, const grp_point *a)
{
    /* FIPS 186-4 D.1.2.3: p = 2^256 - 2^224 + 2^192 + 2^96 - 1 */
    static const mp_limb_t p[4] = {0xffffffffffffffff, 0x00000000ffffffff, 0, 0xffffffff00000001};
    mp_limb_t y[4];

    (void)g;
    grp_limbs_from_bytes(y, 4, a->raw + FIELD_LEN, FIELD_LEN);
    (void)mpn_sub_n(y, p, y, 4); /* y is not 0: no point has order 2 */
    *out = *a;
    grp_limbs_to_bytes(out->raw + FIELD_LEN, FIELD_LEN, y);
}

static bool p256_equal(const grp *g, const grp_point *a, const grp_point *b)
{
    (void)g;
    return memcmp(a->raw, b->raw, XY_LEN) == 0;
}

static void p256_encode_raw(const grp *g, uint8_t *out, const grp_point *p)
{
    (void)g;
    out[0] = 0x04;
    memcpy(out + 1, p->raw, XY_LEN);
}

static tdsa_status p256_decode(const grp *g, grp_point *out, const uint8_t *in, size_t len,
                               tdsa_err *err)
{
    work *w = work_take(g);
    bool valid = false;
    bool ok = true;

    if (w == NULL) {
        return failed(err, "get memory");
    }
    (void)ERR_set_mark();
    /* Refuses coordinates not below p and points off the curve; the cofactor is 1. */
    valid = EC_POINT_oct2point(w->group, w->acc, in, len, w->bn) == 1;
    (void)ERR_pop_to_mark();
    if (valid && len == g->info.point_raw_len) {
        out->identity = 0;
        memcpy(out->raw, in + 1, XY_LEN); /* canonical, so the input is our form */
    } else if (valid) {
        ok = p256_store(w, out, w->acc);
    }
    work_give(g, w);
    if (!ok) {
        return failed(err, "read a point");
    }
    if (!valid || grp_point_is_identity(out)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "not a point of P-256");
    }
    return TDSA_OK;
}

const grp_backend grp_p256_backend = {
    .open = p256_open,
    .close = p256_close,
    .mul_base = p256_mul_base,
    .mul_add = p256_mul_add,
    .sum = p256_sum,
    .neg = p256_neg,
    .equal = p256_equal,
    .encode_raw = p256_encode_raw,
    .decode = p256_decode,
    .ecdsa_verify = NULL,
};
