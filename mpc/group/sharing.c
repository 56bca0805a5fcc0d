#include "group/sharing.h"

#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/secret.h"
#include "base/statement.h"
#include "group/group_internal.h"

/* Windows of the consistency check have t+2 points. */
#define WINDOW_MAX (GRP_THRESHOLD_MAX + 2u)

/* The evaluation id of a participant: never 0. */
static int64_t id_of(uint16_t index)
{
    return (int64_t)index + 1;
}

void grp_poly_clear(grp_poly *f)
{
    tdsa_wipe(f, sizeof *f);
}

tdsa_status grp_poly_random(const grp *g, grp_poly *out, size_t degree, const tdsa_rng *rng,
                            tdsa_err *err)
{
    memset(out, 0, sizeof *out);
    if (degree < 1 || degree > GRP_THRESHOLD_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "polynomial of degree %zu, allowed are 1 to %u",
                         degree, GRP_THRESHOLD_MAX);
    }
    out->degree = degree;
    for (size_t m = 0; m <= degree; m++) {
        const tdsa_status st = grp_scalar_random(g, &out->coeff[m], rng, err);

        if (st != TDSA_OK) {
            grp_poly_clear(out);
            return st;
        }
    }
    return TDSA_OK;
}

void grp_poly_eval(const grp *g, grp_scalar *out, const grp_poly *f, uint16_t index)
{
    grp_scalar id;
    grp_scalar sum;

    TDSA_ASSERT(f->degree <= GRP_THRESHOLD_MAX);
    grp_scalar_set_u64(g, &id, (uint64_t)id_of(index));
    sum = f->coeff[f->degree];
    for (size_t m = f->degree; m-- > 0;) { /* Horner */
        grp_scalar_mul(g, &sum, &sum, &id);
        grp_scalar_add(g, &sum, &sum, &f->coeff[m]);
    }
    *out = sum;
    grp_scalar_clear(&sum);
}

tdsa_status grp_poly_commit(const grp *g, grp_point *out, const grp_poly *f, tdsa_err *err)
{
    TDSA_ASSERT(f->degree <= GRP_THRESHOLD_MAX);
    for (size_t m = 0; m <= f->degree; m++) {
        const tdsa_status st = grp_mul_base(g, &out[m], &f->coeff[m], err);

        if (st != TDSA_OK) {
            return st;
        }
    }
    return TDSA_OK;
}

tdsa_status grp_commit_eval_vartime(const grp *g, grp_point *out, const grp_point *commitment,
                                    size_t count, uint16_t index, tdsa_err *err)
{
    int32_t power[GRP_THRESHOLD_MAX + 1];
    int64_t v = 1;

    grp_point_set_identity(out);
    if (count < 1 || count > GRP_THRESHOLD_MAX + 1 || index >= GRP_PARTIES_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "%zu commitments for participant %u", count,
                         (unsigned)index);
    }
    for (size_t m = 0; m < count; m++) { /* at most 9^4, a small coefficient */
        power[m] = (int32_t)v;
        v *= id_of(index);
    }
    return grp_small_sum_vartime(g, out, commitment, power, count, err);
}

static void scalar_from_int(const grp *g, grp_scalar *out, int64_t v)
{
    grp_scalar_set_u64(g, out, (uint64_t)(v < 0 ? -v : v));
    if (v < 0) {
        grp_scalar_neg(g, out, out);
    }
}

static int64_t gcd(int64_t a, int64_t b)
{
    while (b != 0) {
        const int64_t rest = a % b;

        a = b;
        b = rest;
    }
    return a < 0 ? -a : a;
}

/*
 * Fractions num[k]/den[k] over one denominator: num becomes whole numbers and the denominator is
 * given back, without common divisor. Ids are at most 9, so nothing comes near 2^63.
 */
static int64_t common_denominator(int64_t *num, const int64_t *den, size_t count)
{
    int64_t lcm = 1;
    int64_t common = 0;

    for (size_t k = 0; k < count; k++) {
        const int64_t d = den[k] / gcd(den[k], num[k]);

        lcm = lcm / gcd(lcm, d) * (d < 0 ? -d : d);
    }
    common = lcm;
    for (size_t k = 0; k < count; k++) {
        const int64_t shrink = gcd(den[k], num[k]);

        num[k] = num[k] / shrink * (lcm / (den[k] / shrink));
        common = gcd(common, num[k]);
    }
    for (size_t k = 0; k < count; k++) {
        num[k] /= common;
    }
    return lcm / common;
}

/* lambda_k = num[k] / (given denominator): prod over m != k of id_m / (id_m - id_k). */
static int64_t lagrange_integers(int64_t *num, const uint16_t *members, size_t count)
{
    int64_t den[GRP_PARTIES_MAX];

    TDSA_ASSERT(count >= 1);
    TDSA_ASSERT(count <= GRP_PARTIES_MAX);
    for (size_t k = 0; k < count; k++) {
        num[k] = 1;
        den[k] = 1;
        TDSA_ASSERT(members[k] < GRP_PARTIES_MAX);
        for (size_t m = 0; m < count; m++) {
            if (m != k) {
                TDSA_ASSERT(members[m] != members[k]);
                num[k] *= id_of(members[m]);
                den[k] *= id_of(members[m]) - id_of(members[k]);
            }
        }
    }
    return common_denominator(num, den, count);
}

void grp_lagrange(const grp *g, grp_scalar *out, const uint16_t *members, size_t count)
{
    int64_t num[GRP_PARTIES_MAX];
    const int64_t den = lagrange_integers(num, members, count);
    grp_scalar inverse;

    scalar_from_int(g, &inverse, den);
    grp_scalar_inv_vartime(g, &inverse, &inverse); /* who the members are is public */
    for (size_t k = 0; k < count; k++) {
        scalar_from_int(g, &out[k], num[k]);
        grp_scalar_mul(g, &out[k], &out[k], &inverse);
    }
}

/* num as coefficients of a small sum. */
static void to_coefficients(int32_t *coeff, const int64_t *num, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        TDSA_ASSERT(num[k] > -GRP_COEFF_LIMIT); /* holds for all ids up to 9 */
        TDSA_ASSERT(num[k] < GRP_COEFF_LIMIT);
        coeff[k] = (int32_t)num[k];
    }
}

static tdsa_status check_members(const uint16_t *members, size_t count, size_t least, tdsa_err *err)
{
    unsigned seen = 0;

    if (count < least || count > GRP_PARTIES_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "%zu members, allowed are %zu to %u", count, least,
                         GRP_PARTIES_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        if (members[i] >= GRP_PARTIES_MAX || (seen >> members[i] & 1) != 0) {
            return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "member %u is out of range or named twice",
                             (unsigned)members[i]);
        }
        seen |= 1u << members[i];
    }
    return TDSA_OK;
}

tdsa_status grp_interpolate_vartime(const grp *g, grp_point *out, const grp_point *points,
                                    const uint16_t *members, size_t count, tdsa_err *err)
{
    int64_t num[GRP_PARTIES_MAX];
    int32_t coeff[GRP_PARTIES_MAX];
    grp_scalar inverse;
    int64_t den = 0;
    tdsa_status st = check_members(members, count, 1, err);

    if (st != TDSA_OK) {
        grp_point_set_identity(out);
        return st;
    }
    den = lagrange_integers(num, members, count);
    to_coefficients(coeff, num, count);
    st = grp_small_sum_vartime(g, out, points, coeff, count, err);
    if (st != TDSA_OK || den == 1) { /* 1 for all members 0..count-1 */
        return st;
    }
    scalar_from_int(g, &inverse, den);
    grp_scalar_inv_vartime(g, &inverse, &inverse);
    return grp_mul_vartime(g, out, &inverse, out, err);
}

/*
 * The divided difference of t+2 points is 0 exactly when they lie on a polynomial of degree t:
 * sum of P_i / prod over m != i of (id_i - id_m). Over a common denominator these factors are
 * small integers; for consecutive ids they are (-1)^i C(t+1,i), the finite differences.
 */
static tdsa_status check_window(const grp *g, const grp_point *points, const uint16_t *members,
                                size_t count, bool *ok, tdsa_err *err)
{
    int64_t num[WINDOW_MAX];
    int64_t den[WINDOW_MAX];
    int32_t coeff[WINDOW_MAX];
    grp_point sum;
    tdsa_status st = TDSA_OK;

    for (size_t i = 0; i < count; i++) {
        num[i] = 1;
        den[i] = 1;
        for (size_t m = 0; m < count; m++) {
            den[i] *= m == i ? 1 : id_of(members[i]) - id_of(members[m]);
        }
    }
    (void)common_denominator(num, den, count);
    to_coefficients(coeff, num, count);
    st = grp_small_sum_vartime(g, &sum, points, coeff, count, err);
    *ok = st == TDSA_OK && grp_point_is_identity(&sum);
    return st;
}

tdsa_status grp_consist_vartime(const grp *g, const grp_point *points, const uint16_t *members,
                                size_t count, size_t t, tdsa_err *err)
{
    tdsa_status st = check_members(members, count, 1, err);

    if (st != TDSA_OK) {
        return st;
    }
    if (t > GRP_THRESHOLD_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "degree %zu, limit %u", t, GRP_THRESHOLD_MAX);
    }
    /* Neighbouring windows share t+1 points, which fix the polynomial: it is the same for all. */
    for (size_t first = 0; first + t + 2 <= count; first++) {
        bool ok = false;

        st = check_window(g, points + first, members + first, t + 2, &ok, err);
        if (st != TDSA_OK) {
            return st;
        }
        if (!ok) {
            return TDSA_FAIL(err, TDSA_E_PROTOCOL,
                             "the points of participants %u to %u do not fit one polynomial of "
                             "degree %zu",
                             (unsigned)members[first], (unsigned)members[first + t + 1], t);
        }
    }
    return TDSA_OK;
}

size_t grp_sets_of(grp_set *out, const uint16_t *members, size_t count, size_t t)
{
    const size_t size = t + 1;
    size_t pick[GRP_THRESHOLD_MAX + 1];
    size_t made = 0;
    size_t i = 0;

    TDSA_ASSERT(t <= GRP_THRESHOLD_MAX);
    TDSA_ASSERT(count <= GRP_PARTIES_MAX);
    if (size > count) {
        return 0;
    }
    for (i = 0; i < size; i++) {
        pick[i] = i;
    }
    for (;;) {
        TDSA_ASSERT(made < GRP_ALL_SETS_MAX);
        out[made] = (grp_set){.count = (uint16_t)size};
        for (i = 0; i < size; i++) {
            out[made].member[i] = members[pick[i]];
        }
        made++;
        for (i = size; i > 0 && pick[i - 1] == count - size + i - 1;) {
            i--;
        }
        if (i == 0) {
            return made;
        }
        pick[i - 1]++;
        for (; i < size; i++) {
            pick[i] = pick[i - 1] + 1;
        }
    }
}

static bool is_member(const uint16_t *members, size_t count, uint16_t index)
{
    for (size_t i = 0; i < count; i++) {
        if (members[i] == index) {
            return true;
        }
    }
    return false;
}

/* One word of the dual code: sum over j of id_j^power * share_j / product over m != j of (id_j - id_m)
 * is 0 for all polynomials of degree below count - 1 - power. */
static bool dual_sum_is_zero(const grp *g, const grp_scalar *shares, const uint16_t *members,
                             size_t count, size_t power)
{
    grp_scalar sum;

    grp_scalar_set_u64(g, &sum, 0);
    for (size_t j = 0; j < count; j++) {
        grp_scalar weight;
        grp_scalar factor;

        grp_scalar_set_u64(g, &weight, 1);
        for (size_t m = 0; m < count; m++) {
            if (m != j) {
                scalar_from_int(g, &factor, id_of(members[j]) - id_of(members[m]));
                grp_scalar_mul(g, &weight, &weight, &factor);
            }
        }
        grp_scalar_inv_vartime(g, &weight, &weight);
        scalar_from_int(g, &factor, id_of(members[j]));
        for (size_t i = 0; i < power; i++) {
            grp_scalar_mul(g, &weight, &weight, &factor);
        }
        grp_scalar_mul(g, &weight, &weight, &shares[j]);
        grp_scalar_add(g, &sum, &sum, &weight);
    }
    return grp_scalar_is_zero(g, &sum);
}

bool grp_shares_consist_vartime(const grp *g, const grp_scalar *shares, const uint16_t *members,
                                size_t count, size_t t)
{
    TDSA_ASSERT(count <= GRP_PARTIES_MAX);
    for (size_t power = 0; power + t + 2 <= count; power++) {
        if (!dual_sum_is_zero(g, shares, members, count, power)) {
            return false;
        }
    }
    return true;
}

bool grp_set_has(const grp_set *a, uint16_t index)
{
    return is_member(a->member, a->count, index);
}

bool grp_set_within(const grp_set *a, const uint16_t *members, size_t count)
{
    for (size_t i = 0; i < a->count; i++) {
        if (!is_member(members, count, a->member[i])) {
            return false;
        }
    }
    return true;
}

void grp_set_fraction(int64_t *num, int64_t *den, const grp_set *a, const uint16_t *committee,
                      size_t committee_count, uint16_t me)
{
    *num = 1;
    *den = 1;
    TDSA_ASSERT(committee_count <= GRP_PARTIES_MAX);
    for (size_t i = 0; i < committee_count; i++) {
        const uint16_t m = committee[i];

        TDSA_ASSERT(m < GRP_PARTIES_MAX);
        if (!grp_set_has(a, m)) {
            *num *= id_of(m) - id_of(me);
            *den *= id_of(m);
        }
    }
}

void grp_set_factor(const grp *g, grp_scalar *out, const grp_set *a, const uint16_t *committee,
                    size_t committee_count, uint16_t me)
{
    int64_t num = 0;
    int64_t den = 0;
    grp_scalar inverse;

    grp_set_fraction(&num, &den, a, committee, committee_count, me);
    scalar_from_int(g, out, num);
    scalar_from_int(g, &inverse, den);
    grp_scalar_inv_vartime(g, &inverse, &inverse);
    grp_scalar_mul(g, out, out, &inverse);
}

tdsa_status grp_hash_to_scalar(const grp *g, grp_scalar *out, const char *tag,
                               const uint8_t *fields, size_t fields_len, tdsa_err *err)
{
    uint8_t wide[2 * TDSA_SHA512_LEN];
    tdsa_status st = TDSA_OK;

    _Static_assert(GRP_WIDE_LEN_MAX <= sizeof wide, "two digests give L(q) bytes");
    memset(out, 0, sizeof *out);
    /* the second digest where L(q) bytes need it */
    for (size_t i = 0; i * TDSA_SHA512_LEN < g->info.wide_len && st == TDSA_OK; i++) {
        TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;

        tdsa_stmt_begin(&b, tag);
        tdsa_stmt_uint(&b, i);
        tdsa_buf_append(&b, fields, fields_len);
        st = tdsa_hash_stmt(wide + i * TDSA_SHA512_LEN, &b, err);
    }
    if (st == TDSA_OK) {
        grp_scalar_reduce(g, out, wide, g->info.wide_len);
    }
    tdsa_wipe(wide, sizeof wide);
    return st;
}
