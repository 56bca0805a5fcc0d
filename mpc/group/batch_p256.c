#include <string.h>

#include "base/assert.h"
#include "base/secret.h"
#include "group/p256_points.h"

/* Additions that share one inversion. */
#define ADD_AT_ONCE 64u
#define SEC1_ODD    0x03u

_Static_assert(sizeof(p256_affine) <= sizeof((grp_point *)0)->raw, "a point fits");

static const fp256 zero = {{0}};

void p256_get(p256_affine *out, const grp_point *p)
{
    memcpy(out, p->raw, sizeof *out);
}

void p256_set(grp_point *out, const p256_affine *p)
{
    memset(out, 0, sizeof *out);
    memcpy(out->raw, p, sizeof *p);
}

bool p256_read_vartime(grp_point *out, const uint8_t *in, size_t len)
{
    p256_affine p;
    fp256 square;
    fp256 right;

    grp_point_set_identity(out);
    if (!fp256_from_bytes(&p.x, in + 1)) {
        return false;
    }
    fp256_curve_vartime(&right, &p.x);
    if (len == 1 + FP256_LEN) {
        if (!fp256_sqrt_vartime(&p.y, &right, in[0] == SEC1_ODD)) {
            return false;
        }
    } else {
        if (!fp256_from_bytes(&p.y, in + 1 + FP256_LEN)) {
            return false;
        }
        fp256_sqr(&square, &p.y);
        if (!fp256_equal_vartime(&square, &right)) {
            return false;
        }
    }
    p256_set(out, &p);
    return true;
}

/* "dbl-2001-b" of the Explicit-Formulas Database, for a = -3. Z = 0 stays 0. */
void p256_double_vartime(p256_jacobian *acc)
{
    fp256 delta;
    fp256 gamma;
    fp256 beta;
    fp256 alpha;
    fp256 t;

    fp256_sqr(&delta, &acc->z);
    fp256_sqr(&gamma, &acc->y);
    fp256_mul(&beta, &acc->x, &gamma);
    fp256_sub(&t, &acc->x, &delta);
    fp256_add(&alpha, &acc->x, &delta);
    fp256_mul(&alpha, &alpha, &t);
    fp256_add(&t, &alpha, &alpha);
    fp256_add(&alpha, &alpha, &t); /* 3(X - delta)(X + delta) */
    fp256_add(&t, &acc->y, &acc->z);
    fp256_sqr(&t, &t);
    fp256_sub(&t, &t, &gamma);
    fp256_sub(&acc->z, &t, &delta); /* (Y + Z)^2 - gamma - delta */
    fp256_add(&beta, &beta, &beta);
    fp256_add(&beta, &beta, &beta); /* 4 beta */
    fp256_sqr(&t, &alpha);
    fp256_sub(&t, &t, &beta);
    fp256_sub(&acc->x, &t, &beta); /* alpha^2 - 8 beta */
    fp256_sub(&t, &beta, &acc->x);
    fp256_mul(&t, &t, &alpha);
    fp256_add(&gamma, &gamma, &gamma);
    fp256_sqr(&gamma, &gamma);
    fp256_add(&gamma, &gamma, &gamma);
    fp256_sub(&acc->y, &t, &gamma); /* alpha(4 beta - X) - 8 gamma^2 */
}

/* "madd" of the same: H = x2*Z1^2 - X1, r = y2*Z1^3 - Y1. */
void p256_add_vartime(p256_jacobian *acc, const p256_affine *p)
{
    fp256 h;
    fp256 r;
    fp256 hh;
    fp256 v;
    fp256 t;

    if (fp256_is_zero_vartime(&acc->z)) {
        *acc = (p256_jacobian){p->x, p->y, fp256_one};
        return;
    }
    fp256_sqr(&t, &acc->z);
    fp256_mul(&h, &p->x, &t);
    fp256_sub(&h, &h, &acc->x);
    fp256_mul(&t, &t, &acc->z);
    fp256_mul(&r, &p->y, &t);
    fp256_sub(&r, &r, &acc->y);
    if (fp256_is_zero_vartime(&h)) { /* the same x: twice the point, or the identity */
        if (fp256_is_zero_vartime(&r)) {
            p256_double_vartime(acc);
        } else {
            *acc = (p256_jacobian){fp256_one, fp256_one, zero};
        }
        return;
    }
    fp256_sqr(&hh, &h);
    fp256_mul(&v, &acc->x, &hh);
    fp256_mul(&hh, &hh, &h); /* H^3 */
    fp256_mul(&acc->z, &acc->z, &h);
    fp256_sqr(&t, &r);
    fp256_sub(&t, &t, &hh);
    fp256_sub(&t, &t, &v);
    fp256_sub(&acc->x, &t, &v); /* r^2 - H^3 - 2V */
    fp256_sub(&t, &v, &acc->x);
    fp256_mul(&t, &t, &r);
    fp256_mul(&hh, &hh, &acc->y);
    fp256_sub(&acc->y, &t, &hh); /* r(V - X) - Y1*H^3 */
}

/* x and y of p, given 1/Z. */
static void to_affine(p256_affine *out, const p256_jacobian *p, const fp256 *inverse)
{
    fp256 t;

    fp256_sqr(&t, inverse);
    fp256_mul(&out->x, &p->x, &t);
    fp256_mul(&t, &t, inverse);
    fp256_mul(&out->y, &p->y, &t);
}

void p256_normalise_vartime(grp_point *out, const p256_jacobian *p)
{
    p256_affine affine;
    fp256 inverse;

    if (fp256_is_zero_vartime(&p->z)) {
        grp_point_set_identity(out);
        return;
    }
    fp256_inv_vartime(&inverse, &p->z);
    to_affine(&affine, p, &inverse);
    p256_set(out, &affine);
}

void p256_normalise_batch(grp_point *out, p256_jacobian *p, size_t count)
{
    fp256 before[P256_NORMALISE_MAX]; /* product of Z of all points before this one */
    fp256 running = fp256_one;
    fp256 inverse;

    TDSA_ASSERT(count <= P256_NORMALISE_MAX);
    for (size_t i = 0; i < count; i++) {
        const mp_limb_t is_zero = fp256_zero_mask(&p[i].z);

        for (size_t k = 0; k < FP256_LIMBS; k++) { /* Z = 0 would spoil the product: take 1 */
            p[i].z.limb[k] |= is_zero & fp256_one.limb[k];
        }
        grp_point_set_identity(&out[i]);
        out[i].identity = (uint8_t)(is_zero & 1);
        tdsa_declassify(&out[i].identity, 1); /* everybody sees it in the result */
        before[i] = running;
        fp256_mul(&running, &running, &p[i].z);
    }
    fp256_inv(&running, &running);
    for (size_t i = count; i-- > 0;) {
        p256_affine affine;

        fp256_mul(&inverse, &running, &before[i]);
        fp256_mul(&running, &running, &p[i].z);
        to_affine(&affine, &p[i], &inverse);
        if (out[i].identity == 0) {
            p256_set(&out[i], &affine);
        }
    }
    tdsa_wipe(before, sizeof before);
    tdsa_wipe(&running, sizeof running);
    tdsa_wipe(&inverse, sizeof inverse);
    tdsa_wipe(p, count * sizeof *p);
}

/* One addition of points that are both proper: numerator and denominator of the slope. False when
 * the sum is the identity. */
static bool slope_of(fp256 *top, fp256 *bottom, const p256_affine *a, const p256_affine *b)
{
    fp256 t;

    fp256_sub(bottom, &b->x, &a->x);
    if (!fp256_is_zero_vartime(bottom)) {
        fp256_sub(top, &b->y, &a->y);
        return true;
    }
    if (!fp256_equal_vartime(&a->y, &b->y)) {
        return false;
    }
    fp256_add(bottom, &a->y, &a->y); /* the tangent: 3(x^2 - 1) / 2y; y is not 0 */
    fp256_sqr(&t, &a->x);
    fp256_sub(&t, &t, &fp256_one);
    fp256_add(top, &t, &t);
    fp256_add(top, top, &t);
    return true;
}

/* The third point on the line through a and b, mirrored. */
static void chord(p256_affine *out, const p256_affine *a, const p256_affine *b, const fp256 *slope)
{
    fp256 x;
    fp256 t;

    fp256_sqr(&x, slope);
    fp256_sub(&x, &x, &a->x);
    fp256_sub(&x, &x, &b->x);
    fp256_sub(&t, &a->x, &x);
    fp256_mul(&t, &t, slope);
    fp256_sub(&out->y, &t, &a->y);
    out->x = x;
}

typedef struct {
    size_t count;
    size_t index[ADD_AT_ONCE]; /* of the sums that need a slope */
    p256_affine a[ADD_AT_ONCE], b[ADD_AT_ONCE];
    fp256 top[ADD_AT_ONCE], bottom[ADD_AT_ONCE];
    fp256 before[ADD_AT_ONCE]; /* product of the denominators before this one */
} add_work;

/* out = a + b where no slope is needed; else a line of work for finish_additions. */
static void start_addition(add_work *w, grp_point *out, const grp_point *a, const grp_point *b,
                           bool minus, size_t index)
{
    const size_t at = w->count;
    const bool a_is_identity = grp_point_is_identity(a);

    if (grp_point_is_identity(b)) {
        *out = *a;
        return;
    }
    p256_get(&w->b[at], b);
    if (minus) {
        fp256_sub(&w->b[at].y, &zero, &w->b[at].y);
    }
    if (a_is_identity) {
        p256_set(out, &w->b[at]);
        return;
    }
    p256_get(&w->a[at], a);
    if (!slope_of(&w->top[at], &w->bottom[at], &w->a[at], &w->b[at])) {
        grp_point_set_identity(out);
        return;
    }
    w->index[at] = index;
    w->count++;
}

static void finish_additions(add_work *w, grp_point *out)
{
    fp256 running = fp256_one;

    for (size_t i = 0; i < w->count; i++) {
        w->before[i] = running;
        fp256_mul(&running, &running, &w->bottom[i]);
    }
    fp256_inv_vartime(&running, &running);
    for (size_t i = w->count; i-- > 0;) {
        p256_affine sum;
        fp256 slope;

        fp256_mul(&slope, &running, &w->before[i]);
        fp256_mul(&running, &running, &w->bottom[i]);
        fp256_mul(&slope, &slope, &w->top[i]);
        chord(&sum, &w->a[i], &w->b[i], &slope);
        p256_set(&out[w->index[i]], &sum);
    }
}

void p256_add_batch_vartime(grp_point *out, const grp_point *a, const grp_point *b, bool minus,
                            size_t count)
{
    add_work w;

    for (size_t first = 0; first < count; first += ADD_AT_ONCE) {
        const size_t left = count - first;
        const size_t n = left < ADD_AT_ONCE ? left : ADD_AT_ONCE;

        w.count = 0;
        for (size_t i = first; i < first + n; i++) {
            start_addition(&w, &out[i], &a[i], &b[i], minus, i);
        }
        finish_additions(&w, out);
    }
}
