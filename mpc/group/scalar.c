#include <string.h>

#include <gmp.h>

#include "base/assert.h"
#include "base/secret.h"
#include "group/group_internal.h"

/* Scratch of mpn_sec_div_r (18 by 9 limbs) and mpn_sec_invert (9 limbs), and the widest number:
 * a product, or GRP_WIDE_LEN_MAX bytes. */
#define SCRATCH_LIMBS 64u
#define WIDE_LIMBS    (2 * GRP_SCALAR_LIMBS_MAX)

_Static_assert(GRP_WIDE_LEN_MAX <= 8 * WIDE_LIMBS, "L(q) bytes fit");

/* The most significant byte first. */
static uint64_t load_u64(const uint8_t *b)
{
    return (uint64_t)b[0] << 56 | (uint64_t)b[1] << 48 | (uint64_t)b[2] << 40 |
           (uint64_t)b[3] << 32 | (uint64_t)b[4] << 24 | (uint64_t)b[5] << 16 |
           (uint64_t)b[6] << 8 | (uint64_t)b[7];
}

static void store_u64(uint8_t *b, uint64_t v)
{
    for (size_t i = 0; i < 8; i++) {
        b[i] = (uint8_t)(v >> (56 - 8 * i));
    }
}

void grp_limbs_from_bytes(uint64_t *limb, size_t count, const uint8_t *bytes, size_t len)
{
    size_t at = 0;

    TDSA_ASSERT(len <= 8 * count);
    for (; len >= 8; len -= 8) {
        limb[at++] = load_u64(bytes + len - 8);
    }
    for (; at < count; at++) {
        limb[at] = 0;
        for (; len > 0; len--) { /* the highest limb, when it is not a whole one */
            limb[at] = limb[at] << 8 | *bytes++;
        }
    }
}

void grp_limbs_to_bytes(uint8_t *bytes, size_t len, const uint64_t *limb)
{
    for (; len >= 8; len -= 8) {
        store_u64(bytes + len - 8, *limb++);
    }
    for (size_t i = 0; i < len; i++) {
        bytes[len - 1 - i] = (uint8_t)(*limb >> (8 * i));
    }
}

static void clear_rest(const grp *g, grp_scalar *a)
{
    for (size_t i = (size_t)g->n; i < GRP_SCALAR_LIMBS_MAX; i++) {
        a->limb[i] = 0;
    }
}

void grp_scalar_clear(grp_scalar *a)
{
    tdsa_wipe(a, sizeof *a);
}

void grp_scalar_set_u64(const grp *g, grp_scalar *out, uint64_t v)
{
    TDSA_ASSERT(g->n > 1); /* so v < q */
    memset(out, 0, sizeof *out);
    out->limb[0] = v;
}

void grp_scalar_add(const grp *g, grp_scalar *out, const grp_scalar *a, const grp_scalar *b)
{
    mp_limb_t diff[GRP_SCALAR_LIMBS_MAX];
    const mp_limb_t carry = mpn_add_n(out->limb, a->limb, b->limb, g->n);
    const mp_limb_t borrow = mpn_sub_n(diff, out->limb, g->q, g->n);

    (void)mpn_cnd_sub_n(carry | (borrow ^ 1), out->limb, out->limb, g->q, g->n);
    clear_rest(g, out);
    tdsa_wipe(diff, sizeof diff);
}

void grp_scalar_sub(const grp *g, grp_scalar *out, const grp_scalar *a, const grp_scalar *b)
{
    const mp_limb_t borrow = mpn_sub_n(out->limb, a->limb, b->limb, g->n);

    (void)mpn_cnd_add_n(borrow, out->limb, out->limb, g->q, g->n);
    clear_rest(g, out);
}

void grp_scalar_neg(const grp *g, grp_scalar *out, const grp_scalar *a)
{
    static const grp_scalar zero = {{0}};

    grp_scalar_sub(g, out, &zero, a);
}

void grp_limbs_reduce(const grp *g, grp_scalar *out, mp_limb_t *wide, size_t count)
{
    const mp_size_t limbs = (mp_size_t)count;
    mp_limb_t scratch[SCRATCH_LIMBS];

    TDSA_ASSERT(mpn_sec_div_r_itch(limbs, g->n) <= (mp_size_t)SCRATCH_LIMBS);
    mpn_sec_div_r(wide, limbs, g->q, g->n, scratch);
    memcpy(out->limb, wide, (size_t)g->n * sizeof wide[0]);
    clear_rest(g, out);
    tdsa_wipe(scratch, sizeof scratch);
}

void grp_scalar_mul(const grp *g, grp_scalar *out, const grp_scalar *a, const grp_scalar *b)
{
    mp_limb_t wide[WIDE_LIMBS];
    mp_limb_t scratch[SCRATCH_LIMBS];

    TDSA_ASSERT(mpn_sec_mul_itch(g->n, g->n) <= (mp_size_t)SCRATCH_LIMBS);
    mpn_sec_mul(wide, a->limb, g->n, b->limb, g->n, scratch);
    grp_limbs_reduce(g, out, wide, 2 * (size_t)g->n);
    tdsa_wipe(wide, (size_t)(2 * g->n) * sizeof wide[0]);
}

void grp_scalar_inv(const grp *g, grp_scalar *out, const grp_scalar *a)
{
    mp_limb_t value[GRP_SCALAR_LIMBS_MAX];
    mp_limb_t inverse[GRP_SCALAR_LIMBS_MAX] = {0};
    mp_limb_t scratch[SCRATCH_LIMBS];
    mp_limb_t found = 0;

    TDSA_ASSERT(mpn_sec_invert_itch(g->n) <= (mp_size_t)SCRATCH_LIMBS);
    memcpy(value, a->limb, sizeof value);
    found = (mp_limb_t)mpn_sec_invert(inverse, value, g->q, g->n,
                                      (mp_bitcnt_t)(2 * g->n * GMP_NUMB_BITS), scratch);
    for (size_t i = 0; i < (size_t)g->n; i++) { /* no inverse: 0, without a branch */
        out->limb[i] = inverse[i] & (0 - found);
    }
    clear_rest(g, out);
    tdsa_wipe(value, sizeof value);
    tdsa_wipe(inverse, sizeof inverse);
    tdsa_wipe(scratch, sizeof scratch);
}

void grp_scalar_inv_vartime(const grp *g, grp_scalar *out, const grp_scalar *a)
{
    mpz_t value;
    mpz_t order;
    mpz_t inverse;
    mp_size_t used = g->n;

    while (used > 0 && a->limb[used - 1] == 0) {
        used--;
    }
    mpz_init2(inverse, (mp_bitcnt_t)(g->n + 1) * GMP_NUMB_BITS);
    if (mpz_invert(inverse, mpz_roinit_n(value, a->limb, used), mpz_roinit_n(order, g->q, g->n)) ==
        0) {
        mpz_set_ui(inverse, 0);
    }
    memset(out, 0, sizeof *out); /* only now: out and a may be one */
    for (mp_size_t i = 0; i < g->n; i++) {
        out->limb[i] = mpz_getlimbn(inverse, i); /* 0 above the highest */
    }
    mpz_clear(inverse);
}

bool grp_scalar_is_zero(const grp *g, const grp_scalar *a)
{
    static const grp_scalar zero = {{0}};

    return grp_scalar_equal(g, a, &zero);
}

bool grp_scalar_equal(const grp *g, const grp_scalar *a, const grp_scalar *b)
{
    return tdsa_ct_equal(a->limb, b->limb, (size_t)g->n * sizeof a->limb[0]);
}

bool grp_scalar_is_high_vartime(const grp *g, const grp_scalar *a)
{
    return mpn_cmp(a->limb, g->half, g->n) > 0;
}

void grp_scalar_reduce(const grp *g, grp_scalar *out, const uint8_t *bytes, size_t len)
{
    mp_limb_t wide[WIDE_LIMBS];
    size_t limbs = (len + 7) / 8;

    TDSA_ASSERT(len <= GRP_WIDE_LEN_MAX);
    if (limbs < (size_t)g->n) {
        limbs = (size_t)g->n;
    }
    grp_limbs_from_bytes(wide, limbs, bytes, len);
    grp_limbs_reduce(g, out, wide, limbs);
    tdsa_wipe(wide, limbs * sizeof wide[0]);
}

static void reverse(uint8_t *out, const uint8_t *in, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        out[i] = in[len - 1 - i];
    }
}

void grp_scalar_encode(const grp *g, uint8_t *out, const grp_scalar *a)
{
    uint8_t bytes[GRP_SCALAR_LEN_MAX];

    if (!g->backend->is_edwards) {
        grp_limbs_to_bytes(out, g->info.scalar_len, a->limb);
        return;
    }
    grp_limbs_to_bytes(bytes, g->info.scalar_len, a->limb);
    reverse(out, bytes, g->info.scalar_len); /* RFC 8032 5.1.2: little-endian */
    tdsa_wipe(bytes, sizeof bytes);
}

tdsa_status grp_scalar_decode(const grp *g, grp_scalar *out, const uint8_t *in, size_t len,
                              tdsa_err *err)
{
    uint8_t bytes[GRP_SCALAR_LEN_MAX];
    mp_limb_t diff[GRP_SCALAR_LIMBS_MAX];
    mp_limb_t below = 0;

    memset(out, 0, sizeof *out);
    if (len != g->info.scalar_len) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "scalar of %zu bytes instead of %zu", len,
                         g->info.scalar_len);
    }
    if (g->backend->is_edwards) {
        reverse(bytes, in, len);
        in = bytes;
    }
    grp_limbs_from_bytes(out->limb, GRP_SCALAR_LIMBS_MAX, in, len);
    below = mpn_sub_n(diff, out->limb, g->q, g->n); /* scalar_len bytes fit n limbs */
    tdsa_wipe(diff, sizeof diff);
    tdsa_wipe(bytes, sizeof bytes);
    tdsa_declassify(&below, sizeof below); /* refusing is seen by everybody */
    if (below == 0) {
        grp_scalar_clear(out);
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "scalar not below the order of %s", g->info.name);
    }
    return TDSA_OK;
}

tdsa_status grp_scalar_random(const grp *g, grp_scalar *out, const tdsa_rng *rng, tdsa_err *err)
{
    uint8_t wide[GRP_WIDE_LEN_MAX];
    tdsa_status st = TDSA_OK;
    bool is_zero = true;

    do { /* a second round has probability 2^-256 */
        st = tdsa_rng_fill(rng, wide, g->info.wide_len, err);
        if (st != TDSA_OK) {
            grp_scalar_clear(out);
            return st;
        }
        grp_scalar_reduce(g, out, wide, g->info.wide_len);
        is_zero = grp_scalar_is_zero(g, out);
        tdsa_declassify(&is_zero, sizeof is_zero); /* a value that is thrown away */
    } while (is_zero);
    tdsa_wipe(wide, sizeof wide);
    return TDSA_OK;
}

void grp_digest_to_scalar(const grp *g, grp_scalar *out, const uint8_t *digest, size_t len)
{
    const size_t whole = g->info.scalar_len; /* bytes that hold order_bits bits */
    const unsigned excess = (unsigned)(8 * whole - g->info.order_bits);
    uint8_t left[GRP_SCALAR_LEN_MAX];

    TDSA_ASSERT(!g->backend->is_edwards);
    if (len < whole || excess == 0) {
        grp_scalar_reduce(g, out, digest, len < whole ? len : whole);
        return;
    }
    for (size_t i = whole; i-- > 0;) { /* FIPS 186-4 6.4: the leftmost bits: shift the rest out */
        const unsigned above = i > 0 ? digest[i - 1] : 0;

        left[i] = (uint8_t)((above << 8 | digest[i]) >> excess);
    }
    grp_scalar_reduce(g, out, left, whole);
}
