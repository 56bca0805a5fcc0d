#include "bench_bare.h"

#include <string.h>

#include <nettle/ecc-curve.h>
#include <nettle/ecc.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include <secp256k1.h>
#include <sodium.h>

#include "bench.h"

/* Repeats of one measurement; a median of this many is reported. */
#define REPEATS    9u
#define SCALAR_LEN 66u

typedef struct {
    unsigned long count; /* multiplications of one repeat */
    void *ctx;
    bool (*once)(void *ctx);
} subject;

/* Median CPU time of one call, in microseconds; negative after a failure. */
static double measure(const subject *s)
{
    double sample[REPEATS];

    for (size_t i = 0; i < REPEATS; i++) {
        const double from = bench_cpu_us();

        for (unsigned long k = 0; k < s->count; k++) {
            if (!s->once(s->ctx)) {
                return -1;
            }
        }
        sample[i] = (bench_cpu_us() - from) / (double)s->count;
    }
    return bench_percentile(sample, REPEATS, 50);
}

/* ---- P-256: OpenSSL, the product left as it comes, without affine coordinates ---- */

typedef struct {
    EC_GROUP *group;
    EC_POINT *product;
    BIGNUM *k;
    BN_CTX *bn;
} openssl_ctx;

static bool openssl_once(void *ctx)
{
    openssl_ctx *c = ctx;

    return EC_POINT_mul(c->group, c->product, c->k, NULL, NULL, c->bn) == 1;
}

static double openssl_base(void)
{
    openssl_ctx c = {.group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1),
                     .k = BN_new(),
                     .bn = BN_CTX_new()};
    double us = -1;

    c.product = c.group != NULL ? EC_POINT_new(c.group) : NULL;
    if (c.product != NULL && c.k != NULL && c.bn != NULL &&
        BN_priv_rand_range(c.k, EC_GROUP_get0_order(c.group)) == 1) {
        us = measure(&(subject){2000, &c, openssl_once});
    }
    EC_POINT_free(c.product);
    EC_GROUP_free(c.group);
    BN_clear_free(c.k);
    BN_CTX_free(c.bn);
    return us;
}

/* ---- secp256k1: libsecp256k1, with the encoding ---- */

typedef struct {
    secp256k1_context *lib;
    unsigned char k[32];
} secp_ctx;

static bool secp_once(void *ctx)
{
    secp_ctx *c = ctx;
    secp256k1_pubkey product;
    unsigned char bytes[65];
    size_t len = sizeof bytes;

    return secp256k1_ec_pubkey_create(c->lib, &product, c->k) == 1 &&
           secp256k1_ec_pubkey_serialize(c->lib, bytes, &len, &product,
                                         SECP256K1_EC_UNCOMPRESSED) == 1;
}

static double secp_base(void)
{
    secp_ctx c = {.lib = secp256k1_context_create(SECP256K1_CONTEXT_SIGN)};
    double us = -1;

    memset(c.k, 0x5a, sizeof c.k);
    if (c.lib != NULL) {
        us = measure(&(subject){1000, &c, secp_once});
        secp256k1_context_destroy(c.lib);
    }
    return us;
}

/* ---- P-384, P-521: nettle, affine out ---- */

typedef struct {
    struct ecc_scalar k;
    struct ecc_point product;
} nettle_ctx;

static bool nettle_once(void *ctx)
{
    nettle_ctx *c = ctx;

    ecc_point_mul_g(&c->product, &c->k);
    return true;
}

static double nettle_base(const struct ecc_curve *curve)
{
    static const char bytes[] = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"
                                "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";
    nettle_ctx c;
    mpz_t k;
    double us = -1;

    ecc_scalar_init(&c.k, curve);
    ecc_point_init(&c.product, curve);
    if (mpz_init_set_str(k, bytes, 16) == 0 && ecc_scalar_set(&c.k, k) == 1) {
        us = measure(&(subject){100, &c, nettle_once});
    }
    mpz_clear(k);
    ecc_point_clear(&c.product);
    ecc_scalar_clear(&c.k);
    return us;
}

/* ---- Ed25519: libsodium, encoded ---- */

static bool sodium_once(void *ctx)
{
    unsigned char product[32];

    return crypto_scalarmult_ed25519_base_noclamp(product, ctx) == 0;
}

static double sodium_base(void)
{
    unsigned char k[32];

    memset(k, 0x05, sizeof k);
    return sodium_init() >= 0 ? measure(&(subject){1000, k, sodium_once}) : -1;
}

double bench_bare_base_us(grp_curve curve)
{
    switch (curve) {
    case GRP_P256:
        return openssl_base();
    case GRP_SECP256K1:
        return secp_base();
    case GRP_P384:
        return nettle_base(nettle_get_secp_384r1());
    case GRP_P521:
        return nettle_base(nettle_get_secp_521r1());
    case GRP_ED25519:
        return sodium_base();
    }
    return -1;
}
