/*
 * The mathematics without network and storage: base multiplication, and the CPU time of one
 * participant for one presignature (three state machines in one process).
 *
 * usage: bench_engine p256|secp256k1 BATCHES      names start with "curve.<c>." and "presign.<c>."
 */
#include <stdbool.h>
#include <string.h>

#include "base/hash.h"
#include "bench.h"
#include "protocol/keygen.h"
#include "protocol/presign.h"

#define N            3u
#define MULS         4000u
#define BATCH_COUNT  256u
#define NAME_LEN_MAX 64u

typedef struct {
    grp *g;
    tdsa_rng rng;
    mpc_keygen *keygen[N];
} setup;

static bool good(tdsa_status st, const tdsa_err *err)
{
    if (st != TDSA_OK) {
        (void)fprintf(stderr, "%s at %s: %s\n", tdsa_status_name(st), err->where, err->text);
    }
    return st == TDSA_OK;
}

static bool measure_base(const setup *s, const char *prefix)
{
    static grp_scalar scalar[16];
    grp_point p;
    tdsa_err err;
    bool ok = true;
    double from = 0;
    size_t i = 0;

    for (i = 0; ok && i < 16u; i++) {
        ok = good(grp_scalar_random(s->g, &scalar[i], &s->rng, &err), &err);
    }
    from = bench_cpu_us();
    for (i = 0; ok && i < MULS; i++) {
        ok = good(grp_mul_base(s->g, &p, &scalar[i % 16u], &err), &err);
    }
    if (ok) {
        bench_print(prefix, "mul_base_us", (bench_cpu_us() - from) / MULS);
    }
    return ok;
}

static bool keygen_new(setup *s)
{
    static mpc_member members[N];
    tdsa_err err;
    uint16_t i = 0;
    bool ok = true;

    for (i = 0; i < N; i++) {
        members[i] = (mpc_member){.index = i, .x25519 = {(uint8_t)(i + 1u)}, .x448 = {1}};
    }
    for (i = 0; ok && i < N; i++) {
        const mpc_keygen_cfg cfg = {
            .g = s->g,
            .scheme = MPC_SCHEME_ECDSA,
            .n = N,
            .t = 1,
            .me = i,
            .members = members,
            .key_id = "bench",
            .policy = {.purpose = MPC_PURPOSE_DIGEST,
                       .derivation = MPC_DERIVE_NONE,
                       .digests = 1u << TDSA_HASH_SHA256},
            .rng = s->rng,
        };

        ok = good(mpc_keygen_new(&s->keygen[i], &cfg, &err), &err);
    }
    return ok;
}

static bool keygen_round(setup *s, unsigned round)
{
    tdsa_err err;
    bool ok = true;
    uint16_t i = 0;
    uint16_t j = 0;

    for (i = 0; i < N && round == MPC_KEYGEN_ROUND_STORED; i++) {
        mpc_keygen_mark_stored(s->keygen[i]);
    }
    for (i = 0; i < N; i++) {
        for (j = 0; ok && j < N; j++) {
            TDSA_SCOPED_BUF message = TDSA_BUF_EMPTY;

            ok = i == j ||
                 (good(mpc_keygen_send(s->keygen[i], j, &message, &err), &err) &&
                  good(mpc_keygen_take(s->keygen[j], i, message.data, message.len, &err), &err));
        }
    }
    for (i = 0; ok && i < N; i++) {
        ok = good(mpc_keygen_advance(s->keygen[i], &err), &err);
    }
    return ok;
}

static bool presign_round(mpc_presign **run)
{
    tdsa_err err;
    bool ok = true;
    uint16_t i = 0;
    uint16_t j = 0;

    for (i = 0; i < N; i++) {
        for (j = 0; ok && j < N; j++) {
            TDSA_SCOPED_BUF message = TDSA_BUF_EMPTY;

            ok = i == j ||
                 (good(mpc_presign_send(run[i], j, &message, &err), &err) &&
                  good(mpc_presign_take(run[j], i, message.data, message.len, &err), &err));
        }
    }
    for (i = 0; ok && i < N; i++) {
        ok = good(mpc_presign_advance(run[i], &err), &err);
    }
    return ok;
}

static bool presign_batch(const setup *s, uint64_t seq)
{
    mpc_presign *run[N] = {NULL};
    tdsa_err err;
    bool ok = true;
    uint16_t i = 0;
    unsigned round = 0;

    for (i = 0; ok && i < N; i++) {
        const mpc_presign_cfg cfg = {
            .key = mpc_keygen_key(s->keygen[i]),
            .committee = {0, 1, 2},
            .lane = 1,
            .seq = seq,
            .count = BATCH_COUNT,
            .rng = s->rng,
        };

        ok = good(mpc_presign_new(&run[i], &cfg, &err), &err);
    }
    for (round = 0; ok && round < MPC_PRESIGN_ROUNDS; round++) {
        ok = presign_round(run);
    }
    for (i = 0; i < N; i++) {
        mpc_presign_free(run[i]);
    }
    return ok;
}

static bool measure_presign(setup *s, const char *prefix, uint64_t batches)
{
    bool ok = keygen_new(s);
    unsigned round = 0;
    uint64_t seq = 0;
    double from = 0;

    for (round = 0; ok && round < MPC_KEYGEN_ROUNDS; round++) {
        ok = keygen_round(s, round);
    }
    ok = ok && presign_batch(s, 1); /* warm */
    from = bench_cpu_us();
    for (seq = 2; ok && seq < 2u + batches; seq++) {
        ok = presign_batch(s, seq);
    }
    if (ok) {
        bench_print(prefix, "protocol_cpu_us_per_participant",
                    (bench_cpu_us() - from) / (double)(batches * BATCH_COUNT * N));
    }
    return ok;
}

int main(int argc, char **argv)
{
    setup s;
    tdsa_err err;
    char curve_prefix[NAME_LEN_MAX];
    char presign_prefix[NAME_LEN_MAX];
    bool ok = false;
    size_t i = 0;

    memset(&s, 0, sizeof s);
    if (argc != 3 || (strcmp(argv[1], "p256") != 0 && strcmp(argv[1], "secp256k1") != 0)) {
        (void)fprintf(stderr, "usage: bench_engine p256|secp256k1 BATCHES\n");
        return 2;
    }
    s.rng = tdsa_os_rng();
    (void)snprintf(curve_prefix, sizeof curve_prefix, "curve.%s.", argv[1]);
    (void)snprintf(presign_prefix, sizeof presign_prefix, "presign.%s.", argv[1]);
    ok = good(grp_open(&s.g, strcmp(argv[1], "p256") == 0 ? GRP_P256 : GRP_SECP256K1, &err), &err);
    ok = ok && measure_base(&s, curve_prefix) &&
         measure_presign(&s, presign_prefix, strtoull(argv[2], NULL, 10));
    for (i = 0; i < N; i++) {
        mpc_keygen_free(s.keygen[i]);
    }
    if (s.g != NULL) {
        grp_close(s.g);
    }
    return ok ? 0 : 1;
}
