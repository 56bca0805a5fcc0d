#include "group/p256_field.h"

#include <string.h>

#include "base/secret.h"
#include "group/group_internal.h"

_Static_assert(GMP_NUMB_BITS == 64, "the reduction works on limbs of 64 bits");

/* The product of two limbs; ISO C has no type of this width. */
__extension__ typedef unsigned __int128 wide;

#define LIMB_BITS 64u
#define HALF_BITS 32u
/* Highest limb of p, whose other limbs are 2^64-1, 2^32-1 and 0. */
#define P_HIGH 0xffffffff00000001u
/* Scratch of mpn_sec_mul; fp256_fits says whether this GMP is content with it. */
#define MUL_SCRATCH_LIMBS 16u

static const mp_limb_t p256[FP256_LIMBS] = {0xffffffffffffffff, 0x00000000ffffffff, 0, P_HIGH};

/* 2^256, 2^512 and 2^768 mod p, and the b of the curve in Montgomery form. */
const fp256 fp256_one = {{0x1, 0xffffffff00000000, 0xffffffffffffffff, 0xfffffffe}};
static const fp256 r2 = {{0x3, 0xfffffffbffffffff, 0xfffffffffffffffe, 0x4fffffffd}};
static const fp256 r3 = {{0xfffffffd0000000a, 0xffffffedfffffff7, 0x5fffffffc, 0x1800000001}};
static const fp256 curve_b = {
    {0xd89cdf6229c4bddf, 0xacf005cd78843090, 0xe5a220abf7212ed6, 0xdc30061d04874834}};

bool fp256_fits(void)
{
    return mpn_sec_mul_itch(FP256_LIMBS, FP256_LIMBS) <= (mp_size_t)MUL_SCRATCH_LIMBS;
}

void fp256_add(fp256 *out, const fp256 *a, const fp256 *b)
{
    mp_limb_t less[FP256_LIMBS];
    const mp_limb_t carry = mpn_add_n(out->limb, a->limb, b->limb, FP256_LIMBS);
    const mp_limb_t borrow = mpn_sub_n(less, out->limb, p256, FP256_LIMBS);

    (void)mpn_cnd_sub_n(carry | (borrow ^ 1), out->limb, out->limb, p256, FP256_LIMBS);
}

void fp256_sub(fp256 *out, const fp256 *a, const fp256 *b)
{
    const mp_limb_t borrow = mpn_sub_n(out->limb, a->limb, b->limb, FP256_LIMBS);

    (void)mpn_cnd_add_n(borrow, out->limb, out->limb, p256, FP256_LIMBS);
}

/*
 * Montgomery reduction: out = t / 2^256 mod p; t (8 limbs) is destroyed. Since p = -1 mod 2^64, the
 * multiple of p that clears a limb m is m*p itself, whose parts are: -m, which with m at this place
 * carries m into the next limb; (2^32-1)*m there, together m*2^32; nothing; P_HIGH*m.
 */
static void reduce(fp256 *out, mp_limb_t *t)
{
    mp_limb_t top = 0;
    mp_limb_t borrow = 0;

    for (size_t i = 0; i < FP256_LIMBS; i++) {
        const mp_limb_t m = t[i];
        const wide high = (wide)m * P_HIGH;
        wide sum = (wide)t[i + 1] + (m << HALF_BITS);

        t[i + 1] = (mp_limb_t)sum;
        sum = (wide)t[i + 2] + (m >> HALF_BITS) + (mp_limb_t)(sum >> LIMB_BITS);
        t[i + 2] = (mp_limb_t)sum;
        sum = (wide)t[i + 3] + (mp_limb_t)high + (mp_limb_t)(sum >> LIMB_BITS);
        t[i + 3] = (mp_limb_t)sum;
        sum = (wide)t[i + 4] + (mp_limb_t)(high >> LIMB_BITS) + (mp_limb_t)(sum >> LIMB_BITS) + top;
        t[i + 4] = (mp_limb_t)sum;
        top = (mp_limb_t)(sum >> LIMB_BITS);
    }
    borrow = mpn_sub_n(out->limb, t + FP256_LIMBS, p256, FP256_LIMBS); /* t < 2p */
    (void)mpn_cnd_add_n(borrow & (top ^ 1), out->limb, out->limb, p256, FP256_LIMBS);
}

void fp256_mul(fp256 *out, const fp256 *a, const fp256 *b)
{
    mp_limb_t t[2 * FP256_LIMBS];
    mp_limb_t scratch[MUL_SCRATCH_LIMBS];

    mpn_sec_mul(t, a->limb, FP256_LIMBS, b->limb, FP256_LIMBS, scratch);
    reduce(out, t);
}

void fp256_sqr(fp256 *out, const fp256 *a)
{
    mp_limb_t t[2 * FP256_LIMBS];
    mp_limb_t scratch[MUL_SCRATCH_LIMBS];

    mpn_sec_mul(t, a->limb, FP256_LIMBS, a->limb, FP256_LIMBS, scratch);
    reduce(out, t);
}

/* out = a^(2^times) * b */
static void sqr_mul(fp256 *out, const fp256 *a, unsigned times, const fp256 *b)
{
    fp256 r = *a;

    for (unsigned i = 0; i < times; i++) {
        fp256_sqr(&r, &r);
    }
    fp256_mul(out, &r, b);
}

/* Powers of a with exponents of 30 and of 32 one bits, which both chains below start from. */
static void powers(fp256 *x30, fp256 *x32, const fp256 *a)
{
    fp256 x2;
    fp256 x4;
    fp256 x8;
    fp256 x;

    sqr_mul(&x2, a, 1, a);
    sqr_mul(&x4, &x2, 2, &x2);
    sqr_mul(&x8, &x4, 4, &x4);
    sqr_mul(&x, &x8, 8, &x8);
    sqr_mul(&x, &x, 8, &x8);
    sqr_mul(&x, &x, 4, &x4);
    sqr_mul(x30, &x, 2, &x2);
    sqr_mul(x32, x30, 2, &x2);
}

/* The exponent p-2 in words of 32 bits: ffffffff 1 0 0 0 ffffffff ffffffff fffffffd. */
void fp256_inv(fp256 *out, const fp256 *a)
{
    fp256 x30;
    fp256 x32;
    fp256 r;

    powers(&x30, &x32, a);
    sqr_mul(&r, &x32, 32, a);
    sqr_mul(&r, &r, 128, &x32);
    sqr_mul(&r, &r, 32, &x32);
    sqr_mul(&r, &r, 30, &x30);
    sqr_mul(out, &r, 2, a);
    tdsa_wipe(&x30, sizeof x30);
    tdsa_wipe(&x32, sizeof x32);
    tdsa_wipe(&r, sizeof r);
}

void fp256_inv_vartime(fp256 *out, const fp256 *a)
{
    mpz_t value;
    mpz_t prime;
    mpz_t inverse;
    mp_size_t used = FP256_LIMBS;
    fp256 r = {{0}};

    while (used > 0 && a->limb[used - 1] == 0) {
        used--;
    }
    mpz_init2(inverse, (FP256_LIMBS + 1) * GMP_NUMB_BITS);
    if (mpz_invert(inverse, mpz_roinit_n(value, a->limb, used),
                   mpz_roinit_n(prime, p256, FP256_LIMBS)) != 0) {
        for (size_t i = 0; i < FP256_LIMBS; i++) {
            r.limb[i] = mpz_getlimbn(inverse, (mp_size_t)i); /* 0 above the highest */
        }
    }
    mpz_clear(inverse);
    fp256_mul(out, &r, &r3); /* 1/(a*2^256) to 2^256/a */
}

/* p = 3 mod 4, so the candidate is a^((p+1)/4), with (p+1)/4 = (2^32-1)*2^222 + 2^190 + 2^94. */
bool fp256_sqrt_vartime(fp256 *out, const fp256 *a, bool odd)
{
    static const fp256 zero = {{0}};
    uint8_t bytes[FP256_LEN];
    const fp256 square = *a; /* out and a may be one */
    fp256 x30;
    fp256 x32;
    fp256 r;

    powers(&x30, &x32, &square);
    sqr_mul(&r, &x32, 32, &square);
    sqr_mul(&r, &r, 96, &square);
    for (size_t i = 0; i < 94; i++) {
        fp256_sqr(&r, &r);
    }
    fp256_sqr(&x30, &r);
    if (!fp256_equal_vartime(&x30, &square)) {
        *out = zero;
        return false;
    }
    fp256_to_bytes(bytes, &r);
    if (((bytes[FP256_LEN - 1] & 1) != 0) != odd) {
        fp256_sub(&r, &zero, &r);
    }
    *out = r;
    return true;
}

mp_limb_t fp256_zero_mask(const fp256 *a)
{
    const mp_limb_t any = a->limb[0] | a->limb[1] | a->limb[2] | a->limb[3];

    return ((any | (0 - any)) >> (LIMB_BITS - 1)) - 1;
}

bool fp256_is_zero_vartime(const fp256 *a)
{
    return fp256_zero_mask(a) != 0;
}

bool fp256_equal_vartime(const fp256 *a, const fp256 *b)
{
    return mpn_cmp(a->limb, b->limb, FP256_LIMBS) == 0;
}

bool fp256_from_bytes(fp256 *out, const uint8_t *in)
{
    mp_limb_t less[FP256_LIMBS];
    mp_limb_t below = 0;

    grp_limbs_from_bytes(out->limb, FP256_LIMBS, in, FP256_LEN);
    below = mpn_sub_n(less, out->limb, p256, FP256_LIMBS);
    tdsa_declassify(&below, sizeof below); /* refusing is seen by everybody */
    if (below == 0) {
        memset(out, 0, sizeof *out);
        return false;
    }
    fp256_mul(out, out, &r2);
    return true;
}

void fp256_to_bytes(uint8_t *out, const fp256 *a)
{
    mp_limb_t t[2 * FP256_LIMBS] = {0};
    fp256 plain;

    memcpy(t, a->limb, sizeof a->limb);
    reduce(&plain, t);
    grp_limbs_to_bytes(out, FP256_LEN, plain.limb);
}

void fp256_curve_vartime(fp256 *out, const fp256 *x)
{
    fp256 cube;
    fp256 three;

    fp256_sqr(&cube, x);
    fp256_mul(&cube, &cube, x);
    fp256_add(&three, x, x);
    fp256_add(&three, &three, x);
    fp256_sub(&cube, &cube, &three);
    fp256_add(out, &cube, &curve_b);
}
