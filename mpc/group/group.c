#include "group/group.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/crypto.h"
#include "base/secret.h"
#include "group/group_internal.h"

#define SEC1_RAW 0x04u

#define WALKS 64u /* numbers that reach every branch of GMP's inversion */

/*
 * libgmp and libsecp256k1 of Debian bind their functions lazily: at the first call of each, the dynamic linker puts
 * all vector registers on the stack, and with them what was copied last, which may be a key. So each path is
 * walked with public numbers before there is a secret: once in a process for each curve.
 */
static tdsa_status walk(const grp *g, tdsa_err *err)
{
    uint8_t bytes[GRP_POINT_RAW_MAX];
    uint64_t x = 1;
    grp_scalar a;
    grp_scalar b;
    grp_point p;
    tdsa_status st = TDSA_OK;

    for (unsigned i = 0; i < WALKS; i++) {
        for (size_t at = 0; at < sizeof bytes; at++) {
            x = x * 6364136223846793005u +
                1442695040888963407u; /* Knuth's generator: anything does */
            bytes[at] = (uint8_t)(x >> 56);
        }
        grp_scalar_reduce(g, &a, bytes, 1 + i % g->info.wide_len); /* of every length */
        grp_scalar_inv_vartime(g, &b, &a);
    }
    grp_scalar_set_u64(g, &a, 1);
    for (size_t i = 0; i < g->info.order_bits; i++) { /* numbers near a power of two, and near q */
        grp_scalar_add(g, &a, &a, &a);
        grp_scalar_neg(g, &b, &a);
        grp_scalar_inv_vartime(g, &b, &b);
    }
    grp_scalar_inv(g, &b, &a);
    grp_scalar_mul(g, &a, &a, &b);
    grp_scalar_add(g, &a, &a, &b);
    grp_scalar_sub(g, &a, &a, &b);
    grp_scalar_neg(g, &a, &a);
    st = grp_mul_base(g, &p, &b, err);
    if (st == TDSA_OK) {
        st = grp_mul_add_vartime(g, &p, &a, &b, &p, err);
    }
    if (st == TDSA_OK) {
        grp_point_encode_raw(g, bytes, &p);
        st = grp_point_decode(g, &p, bytes, g->info.point_raw_len, err);
    }
    if (st == TDSA_OK) {
        grp_point_encode(g, bytes, &p);
        st = grp_point_decode(g, &p, bytes, g->info.point_len, err);
    }
    if (st == TDSA_OK) {
        st = grp_point_add_vartime(g, &p, &p, &p, err);
    }
    return st != TDSA_OK || grp_point_equal(g, &p, &p)
               ? st
               : TDSA_FAIL(err, TDSA_E_CRYPTO, "curve %s: a point is not itself", g->info.name);
}

static tdsa_status walk_once(const grp *g, tdsa_err *err)
{
    static atomic_bool walked[GRP_CURVE_END];

    return atomic_exchange(&walked[g->info.curve], true) ? TDSA_OK : walk(g, err);
}

tdsa_status grp_open(grp **out, grp_curve curve, tdsa_err *err)
{
    const grp_curve_entry *c = grp_curve_find(curve);
    grp *g = NULL;
    tdsa_status st = TDSA_OK;

    *out = NULL;
    if (c == NULL) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "no curve with number %d", (int)curve);
    }
    st = tdsa_crypto_init(err);
    if (st != TDSA_OK) {
        return st;
    }
    g = calloc(1, sizeof *g);
    if (g == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for curve %s", c->info.name);
    }
    g->info = c->info;
    g->backend = c->backend;
    g->n = (mp_size_t)((c->info.order_bits + 63) / 64);
    grp_limbs_from_bytes(g->q, GRP_SCALAR_LIMBS_MAX, c->order, c->info.scalar_len);
    (void)mpn_rshift(g->half, g->q, g->n, 1); /* q is odd, so this is (q-1)/2 */
    st = g->backend->open(g, err);
    if (st == TDSA_OK) {
        st = walk_once(g, err);
    }
    if (st != TDSA_OK) {
        grp_close(g);
        return st;
    }
    *out = g;
    return TDSA_OK;
}

tdsa_status grp_prepare(tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    for (unsigned curve = GRP_P256; st == TDSA_OK && curve < GRP_CURVE_END; curve++) {
        grp *g = NULL;

        st = grp_open(&g, (grp_curve)curve, err);
        grp_close(g);
    }
    return st;
}

void grp_close(grp *g)
{
    if (g != NULL) {
        g->backend->close(g);
        free(g);
    }
}

const grp_info *grp_get_info(const grp *g)
{
    return &g->info;
}

void grp_point_set_identity(grp_point *p)
{
    memset(p, 0, sizeof *p);
    p->identity = 1;
}

bool grp_point_is_identity(const grp_point *p)
{
    return p->identity != 0;
}

tdsa_status grp_mul_base(const grp *g, grp_point *out, const grp_scalar *a, tdsa_err *err)
{
    grp_point_set_identity(out);
    return g->backend->mul_base(g, out, a, err);
}

tdsa_status grp_mul_base_batch(const grp *g, grp_point *out, const grp_scalar *a, size_t count,
                               tdsa_err *err)
{
    for (size_t i = 0; i < count; i++) {
        grp_point_set_identity(&out[i]);
    }
    if (g->backend->mul_base_batch != NULL) {
        return g->backend->mul_base_batch(g, out, a, count, err);
    }
    for (size_t i = 0; i < count; i++) {
        const tdsa_status st = g->backend->mul_base(g, &out[i], &a[i], err);

        if (st != TDSA_OK) {
            return st;
        }
    }
    return TDSA_OK;
}

tdsa_status grp_mul_base_add_vartime(const grp *g, grp_point *out, const grp_scalar *a,
                                     const grp_point *p, tdsa_err *err)
{
    const grp_point other = *p; /* out and p may be one */
    grp_point product;
    tdsa_status st = TDSA_OK;

    if (grp_scalar_is_zero(g, a)) {
        *out = other;
        return TDSA_OK;
    }
    grp_point_set_identity(out);
    if (!grp_point_is_identity(&other) && g->backend->mul_base_add != NULL) {
        return g->backend->mul_base_add(g, out, a, &other, err);
    }
    st = grp_mul_base(g, &product, a, err);
    return st == TDSA_OK ? grp_point_add_vartime(g, out, &product, &other, err) : st;
}

tdsa_status grp_mul_vartime(const grp *g, grp_point *out, const grp_scalar *a, const grp_point *p,
                            tdsa_err *err)
{
    static const grp_scalar zero = {{0}};

    return grp_mul_add_vartime(g, out, &zero, a, p, err);
}

tdsa_status grp_mul_add_vartime(const grp *g, grp_point *out, const grp_scalar *a,
                                const grp_scalar *b, const grp_point *p, tdsa_err *err)
{
    const grp_point base = *p; /* out and p may be one */

    grp_point_set_identity(out);
    if (grp_point_is_identity(&base) || grp_scalar_is_zero(g, b)) {
        return grp_scalar_is_zero(g, a) ? TDSA_OK : g->backend->mul_base(g, out, a, err);
    }
    return g->backend->mul_add(g, out, a, b, &base, err);
}

/* ---- multiples made beforehand ---- */

struct grp_table {
    const grp *g;
    grp_point p;
    void *inside; /* the backend's */
};

grp_table *grp_table_new_vartime(const grp *g, const grp_point *p)
{
    grp_table *t = NULL;

    if (g->backend->table_new == NULL || grp_point_is_identity(p)) {
        return NULL;
    }
    t = calloc(1, sizeof *t);
    if (t == NULL) {
        return NULL;
    }
    t->g = g;
    t->p = *p;
    t->inside = g->backend->table_new(g, p);
    if (t->inside == NULL) {
        free(t);
        return NULL;
    }
    return t;
}

void grp_table_free(grp_table *t)
{
    if (t != NULL) {
        t->g->backend->table_free(t->inside);
        free(t);
    }
}

const grp_point *grp_table_point(const grp_table *t)
{
    return &t->p;
}

tdsa_status grp_mul_add_table_vartime(grp_point *out, const grp_scalar *a, const grp_scalar *b,
                                      const grp_table *t, tdsa_err *err)
{
    return t->g->backend->mul_add_table(t->g, out, a, b, t->inside, err);
}

tdsa_status grp_point_add_vartime(const grp *g, grp_point *out, const grp_point *a,
                                  const grp_point *b, tdsa_err *err)
{
    static const int32_t ones[2] = {1, 1};
    const grp_point both[2] = {*a, *b};

    return grp_small_sum_vartime(g, out, both, ones, 2, err);
}

void grp_point_neg(const grp *g, grp_point *out, const grp_point *a)
{
    if (grp_point_is_identity(a)) {
        grp_point_set_identity(out);
    } else {
        g->backend->neg(g, out, a);
    }
}

bool grp_point_equal(const grp *g, const grp_point *a, const grp_point *b)
{
    if (grp_point_is_identity(a) || grp_point_is_identity(b)) {
        return grp_point_is_identity(a) && grp_point_is_identity(b);
    }
    return g->backend->equal(g, a, b);
}

tdsa_status grp_small_sum_vartime(const grp *g, grp_point *out, const grp_point *p,
                                  const int32_t *coeff, size_t count, tdsa_err *err)
{
    const grp_point *term[GRP_SUM_TERMS_MAX];
    int32_t factor[GRP_SUM_TERMS_MAX];
    grp_point sum;
    size_t used = 0;
    tdsa_status st = TDSA_OK;

    grp_point_set_identity(&sum);
    if (count > GRP_SUM_TERMS_MAX) {
        grp_point_set_identity(out);
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "sum of %zu points, limit %u", count,
                         GRP_SUM_TERMS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        TDSA_ASSERT(coeff[i] > -GRP_COEFF_LIMIT);
        TDSA_ASSERT(coeff[i] < GRP_COEFF_LIMIT);
        if (coeff[i] != 0 && !grp_point_is_identity(&p[i])) {
            term[used] = &p[i];
            factor[used] = coeff[i];
            used++;
        }
    }
    if (used > 0) {
        st = g->backend->sum(g, &sum, term, factor, used, err);
    }
    *out = sum;
    return st;
}

static const uint8_t *raw_x(const uint8_t *raw)
{
    return raw + 1;
}

void grp_point_encode_raw(const grp *g, uint8_t *out, const grp_point *p)
{
    TDSA_ASSERT(!grp_point_is_identity(p));
    g->backend->encode_raw(g, out, p);
}

void grp_point_encode(const grp *g, uint8_t *out, const grp_point *p)
{
    uint8_t raw[GRP_POINT_RAW_MAX];

    if (g->backend->is_edwards) {
        grp_point_encode_raw(g, out, p);
        return;
    }
    grp_point_encode_raw(g, raw, p);
    out[0] = (uint8_t)(0x02 + (raw[g->info.point_raw_len - 1] & 1));
    memcpy(out + 1, raw_x(raw), g->info.point_len - 1);
}

void grp_point_x_mod_q(const grp *g, grp_scalar *out, const grp_point *p)
{
    uint8_t raw[GRP_POINT_RAW_MAX];

    TDSA_ASSERT(!g->backend->is_edwards);
    grp_point_encode_raw(g, raw, p);
    grp_scalar_reduce(g, out, raw_x(raw), g->info.point_len - 1);
}

void grp_point_parity(const grp *g, bool *y_odd, bool *x_wrapped, const grp_point *p)
{
    uint8_t raw[GRP_POINT_RAW_MAX];
    uint64_t x[GRP_SCALAR_LIMBS_MAX];

    TDSA_ASSERT(!g->backend->is_edwards);
    grp_point_encode_raw(g, raw, p);
    grp_limbs_from_bytes(x, GRP_SCALAR_LIMBS_MAX, raw_x(raw), g->info.point_len - 1);
    *y_odd = (raw[g->info.point_raw_len - 1] & 1) != 0;
    *x_wrapped = mpn_cmp(x, g->q, (mp_size_t)GRP_SCALAR_LIMBS_MAX) >= 0;
}

tdsa_status grp_point_decode(const grp *g, grp_point *out, const uint8_t *in, size_t len,
                             tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    grp_point_set_identity(out);
    if (g->backend->is_edwards && len != g->info.point_len) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "point of %zu bytes instead of %zu", len,
                         g->info.point_len);
    }
    if (len != g->info.point_len && len != g->info.point_raw_len) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "point of %zu bytes instead of %zu or %zu", len,
                         g->info.point_len, g->info.point_raw_len);
    }
    /* SEC 1 2.3.4: 02 or 03 and x, or 04 and both; hybrid forms are not canonical. */
    if (!g->backend->is_edwards &&
        (len == g->info.point_len ? (in[0] & 0xfe) != 0x02 : in[0] != SEC1_RAW)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "point with first byte %02x", (unsigned)in[0]);
    }
    st = g->backend->decode(g, out, in, len, err);
    if (st != TDSA_OK) {
        grp_point_set_identity(out);
    }
    return st;
}

bool grp_ecdsa_verify_vartime(const grp *g, const grp_point *y, const grp_scalar *h,
                              const grp_scalar *r, const grp_scalar *s)
{
    tdsa_err err;
    grp_point big_r;
    grp_scalar w;
    grp_scalar u1;
    grp_scalar u2;
    grp_scalar x;

    TDSA_ASSERT(!g->backend->is_edwards);
    if (grp_point_is_identity(y) || grp_scalar_is_zero(g, r) || grp_scalar_is_zero(g, s)) {
        return false;
    }
    if (g->backend->ecdsa_verify != NULL) {
        return g->backend->ecdsa_verify(g, y, h, r, s);
    }
    grp_scalar_inv_vartime(g, &w, s);
    grp_scalar_mul(g, &u1, h, &w);
    grp_scalar_mul(g, &u2, r, &w);
    if (grp_mul_add_vartime(g, &big_r, &u1, &u2, y, &err) != TDSA_OK ||
        grp_point_is_identity(&big_r)) {
        return false;
    }
    grp_point_x_mod_q(g, &x, &big_r);
    return grp_scalar_equal(g, &x, r);
}
