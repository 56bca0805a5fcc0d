/* OpenSSL 3.0 calls EC_POINT_get_Jprojective_coordinates_GFp deprecated and has nothing instead: the
 * affine coordinates cost half a multiplication for each point, our own with one inversion for
 * many points a fiftieth. The same of EC_GROUP_precompute_mult; where it does nothing there is no table. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>

#include "base/assert.h"
#include "base/crypto.h"
#include "base/secret.h"
#include "group/group_internal.h"
#include "group/p256_points.h"

/* P-256: multiplications by OpenSSL, everything else on p256_points.h. */

static tdsa_status failed(tdsa_err *err, const char *what)
{
    return TDSA_FAIL(err, TDSA_E_CRYPTO, "P-256: OpenSSL could not %s", what);
}

/* The temporary objects of one operation. Making them costs as much as several additions, so one
 * set is kept for the next call; they hold nothing secret between calls. */
typedef struct {
    const EC_GROUP *group; /* lent */
    BN_CTX *bn;
    EC_POINT *acc, *other; /* public points */
    BIGNUM *x, *y, *z;     /* of a secret multiplication too: cleared after use */
    BIGNUM *k, *m;         /* scalars, cleared after use */
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
    EC_POINT_free(w->acc);
    EC_POINT_free(w->other);
    BN_clear_free(w->x);
    BN_clear_free(w->y);
    BN_clear_free(w->z);
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
    w->other = EC_POINT_new(group);
    w->x = BN_secure_new();
    w->y = BN_secure_new();
    w->z = BN_secure_new();
    w->k = BN_secure_new();
    w->m = BN_secure_new();
    if (w->bn == NULL || w->acc == NULL || w->other == NULL || w->x == NULL || w->y == NULL ||
        w->z == NULL || w->k == NULL || w->m == NULL) {
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
    if (!fp256_fits()) {
        return failed(err, "be used with this GMP");
    }
    c->group = EC_GROUP_new_by_curve_name_ex(tdsa_crypto_libctx(), NULL, NID_X9_62_prime256v1);
    return c->group != NULL ? TDSA_OK : failed(err, "make the group");
}

static bool bn_to_field(fp256 *out, const BIGNUM *v)
{
    uint8_t bytes[FP256_LEN];
    const bool ok =
        BN_bn2binpad(v, bytes, sizeof bytes) == (int)sizeof bytes && fp256_from_bytes(out, bytes);

    tdsa_wipe(bytes, sizeof bytes);
    return ok;
}

static bool field_to_bn(BIGNUM *out, const fp256 *v)
{
    uint8_t bytes[FP256_LEN];

    fp256_to_bytes(bytes, v);
    return BN_bin2bn(bytes, sizeof bytes, out) != NULL;
}

/* to = p, a public point. */
static bool p256_load(const work *w, EC_POINT *to, const grp_point *p)
{
    p256_affine a;

    p256_get(&a, p);
    return field_to_bn(w->x, &a.x) && field_to_bn(w->y, &a.y) &&
           EC_POINT_set_affine_coordinates(w->group, to, w->x, w->y, w->bn) == 1;
}

/* out = p, which may be the identity, without the inversion of the affine coordinates. */
static bool p256_store(const work *w, p256_jacobian *out, const EC_POINT *p)
{
    return EC_POINT_get_Jprojective_coordinates_GFp(w->group, p, w->x, w->y, w->z, w->bn) == 1 &&
           bn_to_field(&out->x, w->x) && bn_to_field(&out->y, w->y) && bn_to_field(&out->z, w->z);
}

/* k = a. BN_bin2bn skips leading zero bytes, which would time a secret; so the number gets a bit
 * above its highest one, which is taken away afterwards. */
static bool scalar_to_bn(const grp *g, BIGNUM *k, const grp_scalar *a)
{
    uint8_t bytes[1 + FP256_LEN];
    bool ok = false;

    bytes[0] = 1;
    grp_scalar_encode(g, bytes + 1, a);
    ok = BN_bin2bn(bytes, sizeof bytes, k) != NULL && BN_clear_bit(k, 8 * (int)FP256_LEN) == 1;
    tdsa_wipe(bytes, sizeof bytes);
    return ok;
}

/* product[i] = a[i]*G, not normalised: the Z tell of the scalars. */
static bool products(const grp *g, work *w, p256_jacobian *product, const grp_scalar *a,
                     size_t count)
{
    EC_POINT *point = EC_POINT_new(w->group); /* not the kept one, which is never wiped */
    bool ok = point != NULL;

    for (size_t i = 0; ok && i < count; i++) {
        ok = scalar_to_bn(g, w->k, &a[i]) &&
             EC_POINT_mul(w->group, point, w->k, NULL, NULL, w->bn) == 1 &&
             p256_store(w, &product[i], point);
    }
    EC_POINT_clear_free(point);
    BN_clear(w->k);
    BN_clear(w->x);
    BN_clear(w->y);
    BN_clear(w->z);
    return ok;
}

static tdsa_status p256_mul_base_batch(const grp *g, grp_point *out, const grp_scalar *a,
                                       size_t count, tdsa_err *err)
{
    p256_jacobian product[P256_NORMALISE_MAX];
    work *w = work_take(g);
    bool ok = w != NULL;

    for (size_t first = 0; ok && first < count; first += P256_NORMALISE_MAX) {
        const size_t left = count - first;
        const size_t n = left < P256_NORMALISE_MAX ? left : P256_NORMALISE_MAX;

        ok = products(g, w, product, a + first, n);
        if (ok) {
            p256_normalise_batch(out + first, product, n);
            tdsa_declassify(out + first, n * sizeof out[0]); /* a*G is made to be shown */
        } else {
            tdsa_wipe(product, sizeof product);
        }
    }
    if (w != NULL) {
        work_give(g, w);
    }
    return ok ? TDSA_OK : failed(err, "multiply the base point");
}

/* One point alone: OpenSSL's own inversion is faster than ours and in constant time too. */
static tdsa_status p256_mul_base(const grp *g, grp_point *out, const grp_scalar *a, tdsa_err *err)
{
    p256_affine p;
    EC_POINT *product = NULL; /* not the kept one, which is never wiped */
    work *w = work_take(g);
    bool identity = false;
    bool ok = false;

    if (w == NULL) {
        return failed(err, "get memory");
    }
    product = EC_POINT_new(w->group);
    ok = product != NULL && scalar_to_bn(g, w->k, a) &&
         EC_POINT_mul(w->group, product, w->k, NULL, NULL, w->bn) == 1;
    identity = ok && EC_POINT_is_at_infinity(w->group, product) == 1;
    if (ok && !identity) {
        ok = EC_POINT_get_affine_coordinates(w->group, product, w->x, w->y, w->bn) == 1 &&
             bn_to_field(&p.x, w->x) && bn_to_field(&p.y, w->y);
        if (ok) {
            p256_set(out, &p);
        }
    }
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
    p256_jacobian sum;
    work *w = work_take(g);
    bool ok = false;

    if (w == NULL) {
        return failed(err, "get memory");
    }
    ok = scalar_to_bn(g, w->k, a) && scalar_to_bn(g, w->m, b) && p256_load(w, w->acc, p) &&
         EC_POINT_mul(w->group, w->acc, with_base ? w->k : NULL, w->acc, w->m, w->bn) == 1 &&
         p256_store(w, &sum, w->acc);
    BN_clear(w->k);
    BN_clear(w->m);
    work_give(g, w);
    if (!ok) {
        return failed(err, "multiply a point");
    }
    p256_normalise_vartime(out, &sum);
    return TDSA_OK;
}

/* OpenSSL keeps multiples of the generator with its group: a group whose generator is the point. */
static void *p256_table_new(const grp *g, const grp_point *p)
{
    const p256_ctx *c = g->ctx;
    EC_GROUP *group = EC_GROUP_dup(c->group);
    work *w = work_take(g);
    const bool ok = group != NULL && w != NULL && p256_load(w, w->acc, p) &&
                    EC_GROUP_set_generator(group, w->acc, EC_GROUP_get0_order(c->group),
                                           EC_GROUP_get0_cofactor(c->group)) == 1 &&
                    EC_GROUP_precompute_mult(group, w->bn) == 1 &&
                    EC_GROUP_have_precompute_mult(group) == 1;

    work_give(g, w);
    if (!ok) {
        EC_GROUP_free(group);
        return NULL;
    }
    return group;
}

static void p256_table_free(void *table)
{
    EC_GROUP_free(table);
}

static tdsa_status p256_mul_add_table(const grp *g, grp_point *out, const grp_scalar *a,
                                      const grp_scalar *b, const void *table, tdsa_err *err)
{
    p256_jacobian sum;
    work *w = work_take(g);
    bool ok = false;

    if (w == NULL) {
        return failed(err, "get memory");
    }
    ok = scalar_to_bn(g, w->k, a) && scalar_to_bn(g, w->m, b) &&
         EC_POINT_mul(w->group, w->acc, w->k, NULL, NULL, w->bn) == 1 &&
         EC_POINT_mul(table, w->other, w->m, NULL, NULL, w->bn) == 1 &&
         EC_POINT_add(w->group, w->acc, w->acc, w->other, w->bn) == 1 &&
         p256_store(w, &sum, w->acc);
    BN_clear(w->k);
    BN_clear(w->m);
    work_give(g, w);
    if (!ok) {
        return failed(err, "multiply with a table");
    }
    p256_normalise_vartime(out, &sum);
    return TDSA_OK;
}

static tdsa_status p256_mul_base_add(const grp *g, grp_point *out, const grp_scalar *a,
                                     const grp_point *p, tdsa_err *err)
{
    p256_affine other;
    p256_jacobian sum;
    work *w = work_take(g);
    bool ok = false;

    if (w == NULL) {
        return failed(err, "get memory");
    }
    ok = scalar_to_bn(g, w->k, a) && EC_POINT_mul(w->group, w->acc, w->k, NULL, NULL, w->bn) == 1 &&
         p256_store(w, &sum, w->acc);
    BN_clear(w->k);
    work_give(g, w);
    if (!ok) {
        return failed(err, "multiply the base point");
    }
    p256_get(&other, p);
    p256_add_vartime(&sum, &other);
    p256_normalise_vartime(out, &sum);
    return TDSA_OK;
}

/* All |coeff| bit by bit together: Jacobian doublings and additions, one inversion at the end. */
static tdsa_status p256_sum(const grp *g, grp_point *out, const grp_point *const *p,
                            const int32_t *coeff, size_t count, tdsa_err *err)
{
    p256_jacobian acc = {.z = {{0}}};

    (void)g;
    (void)err;
    for (uint32_t bit = GRP_COEFF_LIMIT >> 1; bit != 0; bit >>= 1) {
        if (!fp256_is_zero_vartime(&acc.z)) {
            p256_double_vartime(&acc);
        }
        for (size_t i = 0; i < count; i++) {
            const uint32_t size = (uint32_t)(coeff[i] < 0 ? -coeff[i] : coeff[i]);
            p256_affine a;

            if ((size & bit) != 0) {
                p256_get(&a, p[i]);
                if (coeff[i] < 0) {
                    fp256_sub(&a.y, &(fp256){{0}}, &a.y);
                }
                p256_add_vartime(&acc, &a);
            }
        }
    }
    p256_normalise_vartime(out, &acc);
    return TDSA_OK;
}

static void p256_add_batch(const grp *g, grp_point *out, const grp_point *a, const grp_point *b,
                           bool minus, size_t count)
{
    (void)g;
    p256_add_batch_vartime(out, a, b, minus, count);
}

static void p256_neg(const grp *g, grp_point *out, const grp_point *a)
{
    p256_affine p;

    (void)g;
    p256_get(&p, a);
    fp256_sub(&p.y, &(fp256){{0}}, &p.y);
    p256_set(out, &p);
}

static bool p256_equal(const grp *g, const grp_point *a, const grp_point *b)
{
    (void)g;
    return memcmp(a->raw, b->raw, sizeof(p256_affine)) == 0; /* both fully reduced */
}

static void p256_encode_raw(const grp *g, uint8_t *out, const grp_point *p)
{
    p256_affine a;

    (void)g;
    p256_get(&a, p);
    out[0] = 0x04;
    fp256_to_bytes(out + 1, &a.x);
    fp256_to_bytes(out + 1 + FP256_LEN, &a.y);
}

static tdsa_status p256_decode(const grp *g, grp_point *out, const uint8_t *in, size_t len,
                               tdsa_err *err)
{
    (void)g;
    if (!p256_read_vartime(out, in, len)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "not a point of P-256");
    }
    return TDSA_OK;
}

const grp_backend grp_p256_backend = {
    .open = p256_open,
    .close = p256_close,
    .mul_base = p256_mul_base,
    .mul_base_batch = p256_mul_base_batch,
    .mul_base_add = p256_mul_base_add,
    .mul_add = p256_mul_add,
    .table_new = p256_table_new,
    .table_free = p256_table_free,
    .mul_add_table = p256_mul_add_table,
    .sum = p256_sum,
    .add_batch = p256_add_batch,
    .neg = p256_neg,
    .equal = p256_equal,
    .encode_raw = p256_encode_raw,
    .decode = p256_decode,
    .ecdsa_verify = NULL,
};
