#include <string.h>

#include <secp256k1.h>
#include <secp256k1_recovery.h>

#include "base/assert.h"
#include "base/secret.h"
#include "group/group_internal.h"

/* secp256k1 on libsecp256k1. grp_point.raw is a secp256k1_pubkey. The library has no identity and
 * no zero scalar: what it refuses although the arguments are good is the identity. */
#define SCALAR_LEN 32u
#define RAW_LEN    65u
/* Points of one secp256k1_ec_pubkey_combine: a sum of small coefficients needs a single one. */
#define COMBINE_MAX 96u

_Static_assert(sizeof(secp256k1_pubkey) <= sizeof((grp_point *)0)->raw, "a point fits");

static const secp256k1_context *lib(const grp *g)
{
    return g->ctx;
}

static tdsa_status k1_open(grp *g, tdsa_err *err)
{
    g->ctx = secp256k1_context_create(SECP256K1_CONTEXT_SIGN | SECP256K1_CONTEXT_VERIFY);
    if (g->ctx == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for secp256k1");
    }
    return TDSA_OK;
}

static void k1_close(grp *g)
{
    if (g->ctx != NULL) {
        secp256k1_context_destroy(g->ctx);
    }
}

static void get_key(secp256k1_pubkey *to, const grp_point *p)
{
    memcpy(to->data, p->raw, sizeof to->data);
}

static void set_key(grp_point *out, const secp256k1_pubkey *key)
{
    memset(out, 0, sizeof *out);
    memcpy(out->raw, key->data, sizeof key->data);
}

static tdsa_status k1_mul_base(const grp *g, grp_point *out, const grp_scalar *a, tdsa_err *err)
{
    uint8_t bytes[SCALAR_LEN];
    secp256k1_pubkey key;
    int ok = 0;

    (void)err;
    grp_scalar_encode(g, bytes, a);
    ok = secp256k1_ec_pubkey_create(lib(g), &key, bytes);
    tdsa_wipe(bytes, sizeof bytes);
    tdsa_declassify(&ok, sizeof ok);   /* 0 only for a = 0, whose product everybody can see */
    tdsa_declassify(&key, sizeof key); /* a*G is made to be shown; finding a is the hard problem */
    if (ok == 1) {
        set_key(out, &key);
    } else {
        grp_point_set_identity(out);
    }
    return TDSA_OK;
}

/* The two multiplications one after the other. */
static tdsa_status mul_then_add(const grp *g, grp_point *out, const grp_scalar *a,
                                const grp_scalar *b, const grp_point *p, tdsa_err *err)
{
    uint8_t bytes[SCALAR_LEN];
    secp256k1_pubkey key;

    get_key(&key, p);
    grp_scalar_encode(g, bytes, b);
    if (secp256k1_ec_pubkey_tweak_mul(lib(g), &key, bytes) != 1) { /* b is neither 0 nor >= q */
        return TDSA_FAIL(err, TDSA_E_CRYPTO, "secp256k1: a multiplication failed");
    }
    grp_scalar_encode(g, bytes, a);
    if (grp_scalar_is_zero(g, a) || secp256k1_ec_pubkey_tweak_add(lib(g), &key, bytes) == 1) {
        set_key(out, &key);
    } else {
        grp_point_set_identity(out); /* refused though a < q: the sum is the identity */
    }
    return TDSA_OK;
}

/*
 * a*G + b*P at the price of one verification. SEC 1 4.1.6 recovers the key Q = 1/r * (s*R - e*G) of a
 * signature (r, s) of e, where R has the x-coordinate r: with R = P, s = b*r and e = -a*r that is ours,
 * and the library computes both products together, which it does nowhere else.
 */
static tdsa_status k1_mul_add(const grp *g, grp_point *out, const grp_scalar *a,
                              const grp_scalar *b, const grp_point *p, tdsa_err *err)
{
    uint8_t rs[2 * SCALAR_LEN];
    uint8_t e[SCALAR_LEN];
    secp256k1_ecdsa_recoverable_signature sig;
    secp256k1_pubkey key;
    grp_scalar r;
    grp_scalar v;
    bool y_odd = false;
    bool x_wrapped = false;

    grp_point_x_mod_q(g, &r, p);
    grp_point_parity(g, &y_odd, &x_wrapped, p);
    grp_scalar_encode(g, rs, &r);
    grp_scalar_mul(g, &v, b, &r);
    grp_scalar_encode(g, rs + SCALAR_LEN, &v);
    grp_scalar_mul(g, &v, a, &r);
    grp_scalar_neg(g, &v, &v);
    grp_scalar_encode(g, e, &v);
    if (grp_scalar_is_zero(g, &r) ||
        secp256k1_ecdsa_recoverable_signature_parse_compact(
            lib(g), &sig, rs, (y_odd ? 1 : 0) + (x_wrapped ? 2 : 0)) != 1) {
        return mul_then_add(g, out, a, b, p, err); /* x = q: of one point in 2^256 */
    }
    if (secp256k1_ecdsa_recover(lib(g), &key, &sig, e) == 1) {
        set_key(out, &key);
    } else {
        grp_point_set_identity(out); /* refused though r, s and R are good: Q is the identity */
    }
    return TDSA_OK;
}

/* out = sum of the keys; the identity when the library refuses. */
static void combine(const grp *g, grp_point *out, const secp256k1_pubkey *const *keys, size_t count)
{
    secp256k1_pubkey sum;

    if (count > 0 && secp256k1_ec_pubkey_combine(lib(g), &sum, keys, count) == 1) {
        set_key(out, &sum);
    } else {
        grp_point_set_identity(out);
    }
}

static uint32_t size_of(int32_t coeff)
{
    return (uint32_t)(coeff < 0 ? -coeff : coeff);
}

/* One combination in which each key stands |coeff| times; false when they are too many. */
static bool sum_at_once(const grp *g, grp_point *out, const secp256k1_pubkey *keys,
                        const int32_t *coeff, size_t count)
{
    const secp256k1_pubkey *list[COMBINE_MAX];
    size_t used = 0;

    for (size_t i = 0; i < count; i++) {
        if (size_of(coeff[i]) > COMBINE_MAX - used) {
            return false;
        }
        for (uint32_t k = 0; k < size_of(coeff[i]); k++) {
            list[used++] = &keys[i];
        }
    }
    combine(g, out, list, used);
    return true;
}

/* Double and add over the bits of all coefficients together, one combination per bit. */
static void sum_bits(const grp *g, grp_point *out, const secp256k1_pubkey *keys,
                     const int32_t *coeff, size_t count)
{
    grp_point_set_identity(out);
    for (uint32_t bit = GRP_COEFF_LIMIT >> 1; bit != 0; bit >>= 1) {
        const secp256k1_pubkey *list[GRP_SUM_TERMS_MAX + 2];
        secp256k1_pubkey acc;
        size_t used = 0;

        if (!grp_point_is_identity(out)) {
            get_key(&acc, out);
            list[used++] = &acc;
            list[used++] = &acc;
        }
        for (size_t i = 0; i < count; i++) {
            if ((size_of(coeff[i]) & bit) != 0) {
                list[used++] = &keys[i];
            }
        }
        combine(g, out, list, used);
    }
}

static tdsa_status k1_sum(const grp *g, grp_point *out, const grp_point *const *p,
                          const int32_t *coeff, size_t count, tdsa_err *err)
{
    secp256k1_pubkey keys[GRP_SUM_TERMS_MAX];

    for (size_t i = 0; i < count; i++) {
        get_key(&keys[i], p[i]);
        if (coeff[i] < 0 && secp256k1_ec_pubkey_negate(lib(g), &keys[i]) != 1) {
            return TDSA_FAIL(err, TDSA_E_CRYPTO, "secp256k1: a negation failed");
        }
    }
    if (!sum_at_once(g, out, keys, coeff, count)) {
        sum_bits(g, out, keys, coeff, count);
    }
    return TDSA_OK;
}

static void k1_neg(const grp *g, grp_point *out, const grp_point *a)
{
    secp256k1_pubkey key;

    get_key(&key, a);
    TDSA_ASSERT(secp256k1_ec_pubkey_negate(lib(g), &key) == 1); /* it never refuses a point */
    set_key(out, &key);
}

static bool k1_equal(const grp *g, const grp_point *a, const grp_point *b)
{
    secp256k1_pubkey ka;
    secp256k1_pubkey kb;

    get_key(&ka, a);
    get_key(&kb, b);
    return secp256k1_ec_pubkey_cmp(lib(g), &ka, &kb) == 0;
}

static void k1_encode_raw(const grp *g, uint8_t *out, const grp_point *p)
{
    secp256k1_pubkey key;
    size_t len = RAW_LEN;

    get_key(&key, p);
    TDSA_ASSERT(secp256k1_ec_pubkey_serialize(lib(g), out, &len, &key, SECP256K1_EC_UNCOMPRESSED) ==
                1);
    TDSA_ASSERT(len == RAW_LEN);
}

static tdsa_status k1_decode(const grp *g, grp_point *out, const uint8_t *in, size_t len,
                             tdsa_err *err)
{
    secp256k1_pubkey key;

    if (secp256k1_ec_pubkey_parse(lib(g), &key, in, len) != 1) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "not a point of secp256k1");
    }
    set_key(out, &key);
    return TDSA_OK;
}

static bool k1_ecdsa_verify(const grp *g, const grp_point *y, const grp_scalar *h,
                            const grp_scalar *r, const grp_scalar *s)
{
    uint8_t rs[2 * SCALAR_LEN];
    uint8_t hash[SCALAR_LEN];
    secp256k1_ecdsa_signature sig;
    secp256k1_pubkey key;

    get_key(&key, y);
    grp_scalar_encode(g, hash, h);
    grp_scalar_encode(g, rs, r);
    grp_scalar_encode(g, rs + SCALAR_LEN, s);
    if (secp256k1_ecdsa_signature_parse_compact(lib(g), &sig, rs) != 1) {
        return false;
    }
    /* The library accepts the lower of s and -s only; both are ECDSA. */
    (void)secp256k1_ecdsa_signature_normalize(lib(g), &sig, &sig);
    return secp256k1_ecdsa_verify(lib(g), &sig, hash, &key) == 1;
}

const grp_backend grp_secp256k1_backend = {
    .open = k1_open,
    .close = k1_close,
    .mul_base = k1_mul_base,
    .mul_add = k1_mul_add,
    .sum = k1_sum,
    .neg = k1_neg,
    .equal = k1_equal,
    .encode_raw = k1_encode_raw,
    .decode = k1_decode,
    .ecdsa_verify = k1_ecdsa_verify,
};
