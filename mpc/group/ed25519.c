#include <string.h>

#include <sodium.h>

#include "base/assert.h"
#include "base/secret.h"
#include "group/group_internal.h"

/* The subgroup of order l of edwards25519, on libsodium. grp_point.raw is the encoding of RFC 8032
 * 5.1.2: y little-endian, the lowest bit of x on top. Only points of the subgroup other than the
 * identity come here, so x is never 0 and each point has exactly one encoding. */
#define ENCODED_LEN 32u
#define SIGN_BYTE   (ENCODED_LEN - 1)
#define SIGN_BIT    0x80u

_Static_assert(ENCODED_LEN <= sizeof((grp_point *)0)->raw, "a point fits");
_Static_assert(ENCODED_LEN == crypto_core_ed25519_BYTES, "libsodium's encoding");

static tdsa_status ed_open(grp *g, tdsa_err *err)
{
    /* G + (0, -1), of order 2l. libsodium up to 1.0.20 without its later correction
     * (CVE-2025-69277) takes such points for members of the subgroup. */
    uint8_t mixed[ENCODED_LEN];

    (void)g;
    if (sodium_init() < 0) {
        return TDSA_FAIL(err, TDSA_E_CRYPTO, "Ed25519: libsodium cannot start");
    }
    memset(mixed, 0x99, sizeof mixed);
    mixed[0] = 0x95;
    if (crypto_core_ed25519_is_valid_point(mixed) != 0) {
        return TDSA_FAIL(err, TDSA_E_CRYPTO,
                         "Ed25519: this libsodium accepts points outside the subgroup "
                         "(CVE-2025-69277); install a corrected one");
    }
    return TDSA_OK;
}

static void ed_close(grp *g)
{
    (void)g; /* libsodium keeps nothing per curve */
}

/* out = the point of an encoding that libsodium made; the identity is y = 1. */
static void set_point(grp_point *out, const uint8_t encoded[ENCODED_LEN])
{
    static const uint8_t identity[ENCODED_LEN] = {1};

    grp_point_set_identity(out);
    if (memcmp(encoded, identity, ENCODED_LEN) != 0) {
        out->identity = 0;
        memcpy(out->raw, encoded, ENCODED_LEN);
    }
}

static tdsa_status ed_mul_base(const grp *g, grp_point *out, const grp_scalar *a, tdsa_err *err)
{
    uint8_t scalar[ENCODED_LEN];
    uint8_t product[ENCODED_LEN];
    int verdict = 0;

    (void)err;
    grp_scalar_encode(g, scalar, a);
    verdict = crypto_scalarmult_ed25519_base_noclamp(product, scalar);
    tdsa_wipe(scalar, sizeof scalar);
    tdsa_declassify(&verdict, sizeof verdict); /* -1 only for a = 0, whose product all can see */
    tdsa_declassify(product, sizeof product);  /* a*G is made to be shown */
    if (verdict == 0) {
        set_point(out, product);
    } else {
        grp_point_set_identity(out);
    }
    return TDSA_OK;
}

/* acc += q, an encoded point of the subgroup. */
static bool add_to(grp_point *acc, const uint8_t q[ENCODED_LEN])
{
    uint8_t sum[ENCODED_LEN];

    if (grp_point_is_identity(acc)) {
        set_point(acc, q);
        return true;
    }
    if (crypto_core_ed25519_add(sum, acc->raw, q) != 0) {
        return false;
    }
    set_point(acc, sum);
    return true;
}

static tdsa_status ed_mul_add(const grp *g, grp_point *out, const grp_scalar *a,
                              const grp_scalar *b, const grp_point *p, tdsa_err *err)
{
    uint8_t scalar[ENCODED_LEN];
    uint8_t part[ENCODED_LEN];
    grp_point sum;

    grp_point_set_identity(out);
    grp_scalar_encode(g, scalar, b);
    /* b is not 0 and p has order l: the product is not the identity, which would be refused. */
    if (crypto_scalarmult_ed25519_noclamp(part, scalar, p->raw) != 0) {
        return TDSA_FAIL(err, TDSA_E_CRYPTO, "Ed25519: libsodium could not multiply a point");
    }
    set_point(&sum, part);
    grp_scalar_encode(g, scalar, a);
    if (!grp_scalar_is_zero(g, a) &&
        (crypto_scalarmult_ed25519_base_noclamp(part, scalar) != 0 || !add_to(&sum, part))) {
        return TDSA_FAIL(err, TDSA_E_CRYPTO, "Ed25519: libsodium could not add a product");
    }
    *out = sum;
    return TDSA_OK;
}

static void ed_neg(const grp *g, grp_point *out, const grp_point *a)
{
    (void)g;
    *out = *a;
    out->raw[SIGN_BYTE] ^= SIGN_BIT; /* x is not 0, so -x is the other one for this y */
}

static uint32_t size_of(int32_t coeff)
{
    return (uint32_t)(coeff < 0 ? -coeff : coeff);
}

/* The bits of all coefficients together: double, then add what has the bit. */
static tdsa_status ed_sum(const grp *g, grp_point *out, const grp_point *const *p,
                          const int32_t *coeff, size_t count, tdsa_err *err)
{
    grp_point sum;
    bool ok = true;

    grp_point_set_identity(out);
    grp_point_set_identity(&sum);
    for (uint32_t bit = GRP_COEFF_LIMIT >> 1; ok && bit != 0; bit >>= 1) {
        if (!grp_point_is_identity(&sum)) {
            const grp_point once = sum;

            ok = add_to(&sum, once.raw);
        }
        for (size_t i = 0; ok && i < count; i++) {
            grp_point term = *p[i];

            if ((size_of(coeff[i]) & bit) == 0) {
                continue;
            }
            if (coeff[i] < 0) {
                ed_neg(g, &term, p[i]);
            }
            ok = add_to(&sum, term.raw);
        }
    }
    if (!ok) {
        return TDSA_FAIL(err, TDSA_E_CRYPTO, "Ed25519: libsodium could not add points");
    }
    *out = sum;
    return TDSA_OK;
}

/* No inversion is shared here; but opening along the differences of a polynomial takes fewer additions
 * than sums with coefficients, and each addition reads two encodings. */
static void ed_add_batch(const grp *g, grp_point *out, const grp_point *a, const grp_point *b,
                         bool minus, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        grp_point term = b[i];
        grp_point sum = a[i];

        if (!grp_point_is_identity(&term)) {
            if (minus) {
                ed_neg(g, &term, &b[i]);
            }
            TDSA_ASSERT(add_to(&sum, term.raw)); /* refuses what is no point only */
        }
        out[i] = sum;
    }
}

static bool ed_equal(const grp *g, const grp_point *a, const grp_point *b)
{
    (void)g;
    return memcmp(a->raw, b->raw, ENCODED_LEN) == 0;
}

static void ed_encode_raw(const grp *g, uint8_t *out, const grp_point *p)
{
    (void)g;
    memcpy(out, p->raw, ENCODED_LEN);
}

static tdsa_status ed_decode(const grp *g, grp_point *out, const uint8_t *in, size_t len,
                             tdsa_err *err)
{
    TDSA_ASSERT(len == g->info.point_len);
    /* Refuses y >= p, small order (whatever the sign bit), points off the curve, and those outside
     * the subgroup of order l: what remains has order l and one encoding. */
    if (crypto_core_ed25519_is_valid_point(in) != 1) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "not a canonical point of the prime-order subgroup of Ed25519");
    }
    set_point(out, in);
    return TDSA_OK;
}

const grp_backend grp_ed25519_backend = {
    .is_edwards = true,
    .open = ed_open,
    .close = ed_close,
    .mul_base = ed_mul_base,
    .mul_add = ed_mul_add,
    .sum = ed_sum,
    .add_batch = ed_add_batch,
    .neg = ed_neg,
    .equal = ed_equal,
    .encode_raw = ed_encode_raw,
    .decode = ed_decode,
    .ecdsa_verify = NULL,
};
