/*
 * Signs through any PKCS#11 module, ours and SoftHSM alike, and measures.
 *
 * usage: bench_pkcs11 MODULE TOKEN PIN p256|secp256k1 PREFIX SIGNATURES SECONDS KEYGENS
 *   PREFIX      of the printed names, such as "sign.pkcs11.p256."
 *   SIGNATURES  one after the other, for p50 and p99
 *   SECONDS     how long 8 threads sign, each one signature after the other
 *   KEYGENS     key generations for the p50; the last key is the one that signs
 */
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "bench.h"
#include "support/p11.h"

#define THREADS     8u
#define SAMPLES_MAX 200000u
#define KEYGENS_MAX 256u
#define WARM_UP     64u /* signatures before anything counts: connections, sessions, ranges */

typedef struct {
    const p11 *p;
    double until_us;
    unsigned long signatures;
    double *sample; /* SAMPLES_MAX / THREADS; what is beyond is counted and not kept */
    CK_RV failed;
} worker;

static CK_RV sign_once(const p11 *p, CK_SESSION_HANDLE session, unsigned long number)
{
    unsigned char digest[32] = {1};
    unsigned char signature[64];

    memcpy(digest + 8, &number, sizeof number);
    return p11_sign(p, session, digest, signature);
}

static bool measure_keygen(p11 *p, const char *curve, const char *prefix, size_t count)
{
    double samples[KEYGENS_MAX];
    size_t i = 0;

    for (i = 0; i < count && i < KEYGENS_MAX; i++) {
        const double from = bench_now_us();

        if (i > 0) {
            p11_destroy_key(p);
        }
        if (!p11_good(p11_make_key(p, curve, "bench"), "C_GenerateKeyPair")) {
            return false;
        }
        samples[i] = (bench_now_us() - from) / 1e3;
    }
    bench_print(prefix, "keygen.p50_ms", bench_percentile(samples, i, 50));
    return true;
}

static bool measure_one_thread(const p11 *p, const char *prefix, size_t count)
{
    double *samples = calloc(count, sizeof *samples);
    bool ok = samples != NULL;
    size_t i = 0;
    double cpu = 0;

    for (i = 0; ok && i < WARM_UP; i++) {
        ok = p11_good(sign_once(p, p->session, i), "C_Sign");
    }
    cpu = bench_cpu_us();
    for (i = 0; ok && i < count; i++) {
        const double from = bench_now_us();

        ok = p11_good(sign_once(p, p->session, i), "C_Sign");
        samples[i] = bench_now_us() - from;
    }
    if (ok) {
        bench_print(prefix, "1thread.cpu_us", (bench_cpu_us() - cpu) / (double)count);
        bench_print(prefix, "1thread.p50_us", bench_percentile(samples, count, 50));
        bench_print(prefix, "1thread.p99_us", bench_percentile(samples, count, 99));
    }
    free(samples);
    return ok;
}

static void *work(void *argument)
{
    worker *w = argument;
    CK_SESSION_HANDLE session = 0;

    if (!p11_open_session(w->p, &session)) {
        w->failed = CKR_GENERAL_ERROR;
        return NULL;
    }
    while (w->failed == CKR_OK && bench_now_us() < w->until_us) {
        const double from = bench_now_us();

        w->failed = sign_once(w->p, session, w->signatures);
        if (w->failed == CKR_OK && w->signatures < SAMPLES_MAX / THREADS) {
            w->sample[w->signatures] = bench_now_us() - from;
        }
        w->signatures += w->failed == CKR_OK;
    }
    (void)w->p->f->C_CloseSession(session);
    return NULL;
}

/* How long the calls of all threads took. */
static void print_samples(const char *prefix, double *all, const worker workers[THREADS])
{
    size_t count = 0;

    for (size_t i = 0; i < THREADS; i++) {
        const size_t most = SAMPLES_MAX / THREADS;
        const size_t own = workers[i].signatures < most ? workers[i].signatures : most;

        memmove(all + count, workers[i].sample, own * sizeof *all);
        count += own;
    }
    bench_print(prefix, "8threads.p50_us", bench_percentile(all, count, 50));
    bench_print(prefix, "8threads.p99_us", bench_percentile(all, count, 99));
}

static bool measure_threads(const p11 *p, const char *prefix, double seconds, size_t before)
{
    pthread_t thread[THREADS];
    worker workers[THREADS];
    double *samples = calloc(SAMPLES_MAX, sizeof *samples);
    unsigned long total = 0;
    const double from = bench_now_us();
    const double cpu = bench_cpu_us();
    bool ok = true;
    size_t i = 0;

    if (samples == NULL) {
        return false;
    }
    for (i = 0; i < THREADS; i++) {
        workers[i] = (worker){.p = p,
                              .until_us = from + seconds * 1e6,
                              .sample = samples + i * (SAMPLES_MAX / THREADS)};
        if (pthread_create(&thread[i], NULL, work, &workers[i]) != 0) {
            (void)fprintf(stderr, "no thread\n");
            exit(1);
        }
    }
    for (i = 0; i < THREADS; i++) {
        (void)pthread_join(thread[i], NULL);
        ok = p11_good(workers[i].failed, "C_Sign in a thread") && ok;
        total += workers[i].signatures;
    }
    bench_print(prefix, "signatures", (double)(total + before + WARM_UP));
    bench_print(prefix, "8threads.cpu_us",
                (bench_cpu_us() - cpu) / (double)(total > 0 ? total : 1));
    bench_print(prefix, "8threads.per_second", (double)total / ((bench_now_us() - from) / 1e6));
    if (ok && total > 0) {
        print_samples(prefix, samples, workers);
    }
    free(samples);
    return ok;
}

int main(int argc, char **argv)
{
    p11 p;
    size_t signatures = 0;
    bool ok = false;

    if (argc != 9) {
        (void)fprintf(stderr, "usage: bench_pkcs11 MODULE TOKEN PIN p256|secp256k1 PREFIX "
                              "SIGNATURES SECONDS KEYGENS\n");
        return 2;
    }
    signatures = strtoul(argv[6], NULL, 10);
    if (signatures == 0 || signatures > SAMPLES_MAX) {
        (void)fprintf(stderr, "SIGNATURES must be 1 to %u\n", SAMPLES_MAX);
        return 2;
    }
    ok = p11_open(&p, argv[1], argv[2]) && p11_log_in(&p, argv[3]) &&
         measure_keygen(&p, argv[4], argv[5], strtoul(argv[8], NULL, 10)) &&
         measure_one_thread(&p, argv[5], signatures) &&
         measure_threads(&p, argv[5], strtod(argv[7], NULL), signatures);
    if (ok) {
        p11_destroy_key(&p);
    }
    p11_close(&p);
    return ok ? 0 : 1;
}
