/*
 * The mathematics without network and storage: all participants in one process, one thread.
 *
 * usage: bench_engine NAME N T COUNT MS
 *   NAME   p256, secp256k1, p384, p521, ed25519 or bip340
 *   COUNT  presignatures of one batch
 *   MS     CPU time to spend on each measurement, at least 5 repeats; medians are printed
 *
 * Names start with "curve.NAME.", "keygen.L.", "presign.L.", "sign.L.", where L is NAME for (3,1), else
 * NAME.nNtT. Units are in the names; ratios are against the bare library (bench_bare.h) or, of the
 * combiner, against one verification.
 */
#include <stdbool.h>
#include <string.h>

#include "base/hash.h"
#include "bench.h"
#include "bench_bare.h"
#include "support/protocol_run.h"

#define REPEATS_MIN 5u
#define REPEATS_MAX 200u
#define NAME_LEN    64u

static const struct {
    const char *name;
    grp_curve curve;
    mpc_scheme scheme;
} subjects[] = {
    {"p256", GRP_P256, MPC_SCHEME_ECDSA},       {"secp256k1", GRP_SECP256K1, MPC_SCHEME_ECDSA},
    {"p384", GRP_P384, MPC_SCHEME_ECDSA},       {"p521", GRP_P521, MPC_SCHEME_ECDSA},
    {"ed25519", GRP_ED25519, MPC_SCHEME_EDDSA}, {"bip340", GRP_SECP256K1, MPC_SCHEME_BIP340},
};
#define SUBJECT_COUNT (sizeof subjects / sizeof subjects[0])

typedef struct {
    protocol_run run;
    double budget_us;
    double bare_us, delta_us, verify_us;
    char name[NAME_LEN], label[NAME_LEN];
    uint64_t seq;
    grp_scalar a, b, c;
    grp_point y;
    uint8_t digest[TDSA_DIGEST_LEN_MAX];
    uint32_t index; /* of the presignature in use */
    double member_us, combiner_us;
} bench;

static void must(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "bench_engine: %s failed\n", what);
        exit(1);
    }
}

static void print(const bench *b, const char *kind, bool sized, const char *what, double value)
{
    char prefix[2 * NAME_LEN];

    (void)snprintf(prefix, sizeof prefix, "%s.%s.", kind, sized ? b->label : b->name);
    bench_print(prefix, what, value);
}

/* Median CPU time of one call of `step`, which gives back how much of it counts, in microseconds. */
static double median(bench *b, double (*step)(bench *b))
{
    double sample[REPEATS_MAX];
    const double begin = bench_cpu_us();
    size_t n = 0;

    while (n < REPEATS_MAX && (n < REPEATS_MIN || bench_cpu_us() - begin < b->budget_us)) {
        sample[n++] = step(b);
    }
    return bench_percentile(sample, n, 50);
}

/* ---- curve ---- */

#define CALLS 16u

static double base_step(bench *b)
{
    grp_point p;
    tdsa_err err;
    const double from = bench_cpu_us();

    for (size_t i = 0; i < CALLS; i++) {
        must(grp_mul_base(b->run.g, &p, &b->a, &err) == TDSA_OK, "multiplication");
    }
    return (bench_cpu_us() - from) / CALLS;
}

static double delta_step(bench *b)
{
    grp_point p;
    tdsa_err err;
    const double from = bench_cpu_us();

    for (size_t i = 0; i < CALLS; i++) {
        must(grp_mul_base_add_vartime(b->run.g, &p, &b->a, &b->y, &err) == TDSA_OK, "addition");
    }
    return (bench_cpu_us() - from) / CALLS;
}

/* Both ECDSA and Schnorr verify with one a*G + b*Y. */
static double verify_step(bench *b)
{
    grp_point p;
    tdsa_err err;
    const double from = bench_cpu_us();

    for (size_t i = 0; i < CALLS; i++) {
        if (b->run.scheme == MPC_SCHEME_ECDSA) {
            (void)grp_ecdsa_verify_vartime(b->run.g, &b->y, &b->a, &b->b, &b->c);
        } else {
            must(grp_mul_add_vartime(b->run.g, &p, &b->a, &b->b, &b->y, &err) == TDSA_OK, "verify");
        }
    }
    return (bench_cpu_us() - from) / CALLS;
}

static void measure_curve(bench *b, grp_curve curve, bool show)
{
    const tdsa_rng rng = tdsa_os_rng();
    tdsa_err err;

    must(grp_scalar_random(b->run.g, &b->a, &rng, &err) == TDSA_OK, "scalar");
    must(grp_scalar_random(b->run.g, &b->b, &rng, &err) == TDSA_OK, "scalar");
    must(grp_scalar_random(b->run.g, &b->c, &rng, &err) == TDSA_OK, "scalar");
    must(grp_mul_base(b->run.g, &b->y, &b->b, &err) == TDSA_OK, "point");
    b->bare_us = bench_bare_base_us(curve);
    must(b->bare_us > 0, "bare multiplication");
    b->delta_us = median(b, delta_step);
    b->verify_us = median(b, verify_step);
    if (show) {
        print(b, "curve", false, "mul_base_bare_us", b->bare_us);
        print(b, "curve", false, "mul_base_us", median(b, base_step));
        print(b, "curve", false, "mul_base_add_public_us", b->delta_us);
        print(b, "curve", false, "verify_us", b->verify_us);
    }
}

/* ---- key generation ---- */

static double keygen_step(bench *b)
{
    protocol_run *r = &b->run;
    double from = 0;

    for (uint16_t i = 0; i < r->n; i++) {
        mpc_keygen_free(r->keygen[i]);
        r->keygen[i] = NULL;
        r->key[i] = NULL;
    }
    from = bench_cpu_us();
    must(run_keygen(r, "bench") == r->n, "key generation");
    return (bench_cpu_us() - from) / r->n;
}

/* ---- presigning ---- */

static double presign_step(bench *b)
{
    protocol_run *r = &b->run;
    const double from = bench_cpu_us();

    must(run_presign(r, 1, ++b->seq) == r->committee_count, "presigning");
    return (bench_cpu_us() - from) / r->committee_count / r->count;
}

/* ---- signing ---- */

/* All members answer, the first combines; the CPU time of one member, and of the combiner besides its
 * own part as member. */
static double sign_step(bench *b)
{
    protocol_run *r = &b->run;
    TDSA_SCOPED_BUF q_bytes = TDSA_BUF_EMPTY;
    tdsa_buf reply[GRP_PARTIES_MAX];
    mpc_request q;
    mpc_combine *combine = NULL;
    mpc_signature sig;
    mpc_context ctx;
    tdsa_err err;
    double from = 0;
    uint16_t i = 0;

    q = run_request(r, b->index++ % r->count, b->digest, 32);
    mpc_request_encode(&q_bytes, &q);
    from = bench_cpu_us();
    for (i = 0; i < r->committee_count; i++) {
        reply[i] = TDSA_BUF_EMPTY;
        must(mpc_request_decode(&q, q_bytes.data, q_bytes.len, &err) == TDSA_OK, "request");
        must(mpc_context_new(&ctx, r->key[i], r->batch[i], &q, q_bytes.data, q_bytes.len, &err) ==
                 TDSA_OK,
             err.text);
        must(mpc_sign_reply(&reply[i], r->key[i], r->batch[i], &q, &ctx, &err) == TDSA_OK,
             err.text);
    }
    b->member_us = (bench_cpu_us() - from) / r->committee_count;
    from = bench_cpu_us();
    must(mpc_combine_new(&combine, r->key[0], r->batch[0], &ctx, &err) == TDSA_OK, err.text);
    for (i = 0; i < r->committee_count; i++) {
        must(mpc_combine_take(combine, i, reply[i].data, reply[i].len, &err) == TDSA_OK, err.text);
    }
    must(mpc_combine_finish(combine, &sig, &err) == TDSA_OK, err.text);
    mpc_combine_free(combine);
    b->combiner_us = bench_cpu_us() - from;
    for (i = 0; i < r->committee_count; i++) {
        tdsa_buf_clear(&reply[i]);
    }
    return b->member_us;
}

static double combiner_step(bench *b)
{
    (void)sign_step(b);
    return b->combiner_us;
}

/* ---- all ---- */

static void measure_protocols(bench *b)
{
    double us = median(b, keygen_step);

    print(b, "keygen", true, "protocol_cpu_ms_per_participant", us / 1e3);
    us = median(b, presign_step);
    print(b, "presign", true, "protocol_cpu_us_per_participant", us);
    print(b, "presign", true, "ratio_to_mul_base", us / b->bare_us);
    if (b->run.n == 3) { /* the form on the wire that was not chosen */
        b->run.compressed_wire = true;
        print(b, "presign", true, "compressed_cpu_us_per_participant", median(b, presign_step));
        b->run.compressed_wire = false;
    }
    us = median(b, sign_step);
    print(b, "sign", true, "cpu_us_participant", us);
    print(b, "sign", true, "participant_ratio_to_mul_base", us / b->bare_us);
    print(b, "sign", true, "participant_ratio_to_delta_mul", us / b->delta_us);
    us = median(b, combiner_step);
    print(b, "sign", true, "cpu_us_combiner", us);
    print(b, "sign", true, "combiner_ratio_to_verify", us / b->verify_us);
}

int main(int argc, char **argv)
{
    static bench b;
    size_t at = 0;
    unsigned n = 0;
    unsigned t = 0;

    while (argc == 6 && at < SUBJECT_COUNT && strcmp(subjects[at].name, argv[1]) != 0) {
        at++;
    }
    n = argc == 6 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    t = argc == 6 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
    if (argc != 6 || at == SUBJECT_COUNT || t < 1 || t > GRP_THRESHOLD_MAX || n < 2 * t + 1 ||
        n > GRP_PARTIES_MAX) {
        (void)fprintf(stderr, "usage: bench_engine p256|secp256k1|p384|p521|ed25519|bip340 N T "
                              "COUNT MS\n");
        return 2;
    }
    (void)snprintf(b.name, sizeof b.name, "%s", argv[1]);
    (void)snprintf(b.label, sizeof b.label, n == 3 ? "%s" : "%s.n%ut%u", argv[1], n, t);
    b.budget_us = strtod(argv[5], NULL) * 1e3;
    b.digest[0] = 1;
    run_init_scheme(&b.run, subjects[at].curve, subjects[at].scheme, (uint16_t)n, (uint16_t)t,
                    "bench");
    b.run.compressed_wire = false;
    b.run.count = (uint32_t)strtoul(argv[4], NULL, 10);
    measure_curve(&b, subjects[at].curve, n == 3);
    measure_protocols(&b);
    run_clear(&b.run);
    return 0;
}
