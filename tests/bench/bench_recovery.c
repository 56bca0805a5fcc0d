#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

#include "support/recovery_kit.h"
#include "support/rsa_maker.h"

/* What a recovery info costs: bytes, and CPU time of making and verifying one and of a recovery. */

#define REPEATS 15u

static tdsa_err err;

static void require(bool ok)
{
    if (!ok) {
        (void)fprintf(stderr, "bench_recovery: %s\n", err.text);
        exit(EXIT_FAILURE);
    }
}

/* Medians in milliseconds. */
static void measure(protocol_run *r, const tdsa_rsa_cert *cert, const tdsa_rsa_key *key)
{
    double make[REPEATS];
    double verify[REPEATS];
    double recover[REPEATS];
    size_t len = 0;

    for (size_t i = 0; i < REPEATS; i++) {
        tdsa_buf b[2] = {TDSA_BUF_EMPTY, TDSA_BUF_EMPTY};
        mpc_recovery_info infos[2];
        mpc_recovery_verdict verdicts[2];
        const mpc_recovery_opener opener = mpc_recovery_opener_of(key);
        const mpc_recovery_asked asked = {r->g, infos, 2, NULL};
        mpc_recovered out;
        double from = bench_cpu_us();

        recovery_kit_make(&b[0], r, 0, cert, NULL);
        make[i] = (bench_cpu_us() - from) / 1000;
        recovery_kit_make(&b[1], r, 1, cert, NULL);
        for (size_t k = 0; k < 2; k++) {
            require(mpc_recovery_decode(&infos[k], r->g, b[k].data, b[k].len, &err) == TDSA_OK);
        }
        from = bench_cpu_us();
        require(mpc_recovery_verify_vartime(&infos[0], r->g, cert, &err) == TDSA_OK);
        verify[i] = (bench_cpu_us() - from) / 1000;
        from = bench_cpu_us();
        require(mpc_recovery_recover(&out, verdicts, &asked, &opener, &err) == TDSA_OK);
        recover[i] = (bench_cpu_us() - from) / 1000;
        mpc_recovered_clear(&out);
        len = b[0].len;
        tdsa_buf_clear(&b[0]);
        tdsa_buf_clear(&b[1]);
    }
    (void)printf("%-10s RSA-%u  %6zu bytes  make %5.1f ms  verify %5.1f ms  recover %5.1f ms\n",
                 grp_get_info(r->g)->name, tdsa_rsa_cert_facts(cert)->bits, len,
                 bench_percentile(make, REPEATS, 50), bench_percentile(verify, REPEATS, 50),
                 bench_percentile(recover, REPEATS, 50));
}

static void with_length(protocol_run *runs, size_t count, unsigned bits)
{
    rsa_pair pair;
    tdsa_rsa_cert *cert = NULL;
    tdsa_rsa_key *key = NULL;

    rsa_make_fit(&pair, bits);
    require(tdsa_rsa_cert_new(&cert, pair.der.data, pair.der.len, &err) == TDSA_OK);
    require(tdsa_rsa_key_new(&key, pair.key_pem.data, pair.key_pem.len, NULL, &err) == TDSA_OK);
    for (size_t i = 0; i < count; i++) {
        measure(&runs[i], cert, key);
    }
    tdsa_rsa_cert_free(cert);
    tdsa_rsa_key_free(key);
    rsa_pair_clear(&pair);
}

int main(void)
{
    static const grp_curve curves[] = {GRP_P256, GRP_SECP256K1, GRP_ED25519, GRP_P521};
    enum { CURVES = sizeof curves / sizeof curves[0] };
    static protocol_run runs[CURVES];

    for (size_t i = 0; i < CURVES; i++) {
        run_init_scheme(&runs[i], curves[i], mpc_scheme_default(curves[i]), 3, 1, "bench");
        require(run_keygen(&runs[i], "BenchRecoveryKey") == 3);
    }
    with_length(runs, CURVES, 2048);
    with_length(runs, CURVES, 3072);
    with_length(runs, CURVES, 4096);
    for (size_t i = 0; i < CURVES; i++) {
        run_clear(&runs[i]);
    }
    return EXIT_SUCCESS;
}
