/*
 * What the groups do with points: multiplication, verification, decoding; and OpenSSL's multiplication
 * of the base point, in constant time, where OpenSSL has the curve.
 *
 * usage: bench_curve p256|secp256k1|p384|p521|ed25519      names start with "curve.<c>."
 */
#include <stdbool.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>

#include "bench.h"
#include "group/group.h"

#define REPEATS 15u

static const struct {
    const char *name;
    grp_curve curve;
    int nid;           /* 0: OpenSSL has no group of it */
    unsigned long mul; /* calls of one repeat */
} subjects[] = {
    {"p256", GRP_P256, NID_X9_62_prime256v1, 1000},
    {"secp256k1", GRP_SECP256K1, NID_secp256k1, 500},
    {"p384", GRP_P384, NID_secp384r1, 50},
    {"p521", GRP_P521, NID_secp521r1, 50},
    {"ed25519", GRP_ED25519, 0, 500},
};
#define SUBJECT_COUNT (sizeof subjects / sizeof subjects[0])

typedef struct {
    grp *g;
    grp_scalar a, b;
    grp_point y;
    uint8_t zip[GRP_POINT_LEN_MAX], raw[GRP_POINT_RAW_MAX];
    EC_GROUP *group; /* NULL without nid */
    EC_POINT *product;
    BIGNUM *k;
    BN_CTX *bn;
} bench;

static void must(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "bench_curve: %s failed\n", what);
        exit(1);
    }
}

static void mul_base(bench *b)
{
    grp_point p;
    tdsa_err err;

    must(grp_mul_base(b->g, &p, &b->a, &err) == TDSA_OK, "multiplication");
}

static void mul_add(bench *b)
{
    grp_point p;
    tdsa_err err;

    must(grp_mul_add_vartime(b->g, &p, &b->a, &b->b, &b->y, &err) == TDSA_OK, "mul_add");
}

static void verify(bench *b)
{
    (void)grp_ecdsa_verify_vartime(b->g, &b->y, &b->a, &b->b, &b->b);
}

static void decode(bench *b)
{
    grp_point p;
    tdsa_err err;

    must(grp_point_decode(b->g, &p, b->zip, grp_get_info(b->g)->point_len, &err) == TDSA_OK,
         "decoding");
}

static void decode_raw(bench *b)
{
    grp_point p;
    tdsa_err err;

    must(grp_point_decode(b->g, &p, b->raw, grp_get_info(b->g)->point_raw_len, &err) == TDSA_OK,
         "decoding");
}

static void add(bench *b)
{
    static const int32_t coeff[3] = {1, -2, 1};
    const grp_point p[3] = {b->y, b->y, b->y};
    grp_point sum;
    tdsa_err err;

    must(grp_small_sum_vartime(b->g, &sum, p, coeff, 3, &err) == TDSA_OK, "sum");
}

static void openssl(bench *b)
{
    must(EC_POINT_mul(b->group, b->product, b->k, NULL, NULL, b->bn) == 1, "OpenSSL");
}

/* Median CPU time of one call, in microseconds. */
static double measure(bench *b, unsigned long calls, void (*step)(bench *b))
{
    double sample[REPEATS];

    step(b); /* warm */
    for (size_t i = 0; i < REPEATS; i++) {
        const double from = bench_cpu_us();

        for (unsigned long k = 0; k < calls; k++) {
            step(b);
        }
        sample[i] = (bench_cpu_us() - from) / (double)calls;
    }
    return bench_percentile(sample, REPEATS, 50);
}

static void set_up(bench *b, grp_curve curve, int nid)
{
    const tdsa_rng rng = tdsa_os_rng();
    tdsa_err err;

    must(grp_open(&b->g, curve, &err) == TDSA_OK &&
             grp_scalar_random(b->g, &b->a, &rng, &err) == TDSA_OK &&
             grp_scalar_random(b->g, &b->b, &rng, &err) == TDSA_OK &&
             grp_mul_base(b->g, &b->y, &b->b, &err) == TDSA_OK,
         "opening the curve");
    grp_point_encode(b->g, b->zip, &b->y);
    grp_point_encode_raw(b->g, b->raw, &b->y);
    if (nid != 0) {
        b->group = EC_GROUP_new_by_curve_name(nid);
        b->product = EC_POINT_new(b->group);
        b->k = BN_secure_new();
        b->bn = BN_CTX_new();
        must(b->product != NULL && b->k != NULL && b->bn != NULL &&
                 BN_priv_rand_range(b->k, EC_GROUP_get0_order(b->group)) == 1,
             "OpenSSL");
        BN_set_flags(b->k, BN_FLG_CONSTTIME);
    }
}

static void run(bench *b, const char *prefix, unsigned long calls)
{
    const double base = measure(b, calls, mul_base);

    bench_print(prefix, "mul_base_us", base);
    bench_print(prefix, "mul_add_us", measure(b, calls, mul_add));
    if (b->group != NULL) {
        const double theirs = measure(b, calls, openssl);

        bench_print(prefix, "verify_us", measure(b, calls, verify));
        bench_print(prefix, "decode_raw_us", measure(b, calls, decode_raw));
        bench_print(prefix, "openssl_mul_base_us", theirs);
        bench_print(prefix, "openssl_ratio", theirs / base);
    }
    bench_print(prefix, "decode_us", measure(b, calls, decode));
    bench_print(prefix, "consist_3_us", measure(b, calls, add));
}

int main(int argc, char **argv)
{
    char prefix[64];
    bench b;

    memset(&b, 0, sizeof b);
    for (size_t i = 0; argc == 2 && i < SUBJECT_COUNT; i++) {
        if (strcmp(argv[1], subjects[i].name) == 0) {
            (void)snprintf(prefix, sizeof prefix, "curve.%s.", argv[1]);
            set_up(&b, subjects[i].curve, subjects[i].nid);
            run(&b, prefix, subjects[i].mul);
            EC_POINT_free(b.product);
            EC_GROUP_free(b.group);
            BN_clear_free(b.k);
            BN_CTX_free(b.bn);
            grp_close(b.g);
            return 0;
        }
    }
    (void)fprintf(stderr, "usage: bench_curve p256|secp256k1|p384|p521|ed25519\n");
    return 2;
}
