/*
 * The raw round trip: one keep-alive connection, small requests one after the other.
 *
 * usage: bench_http URL COUNT      prints "http.rtt_us" (p50) and "http.rtt_p99_us"
 */
#include <stdbool.h>
#include <string.h>

#include <curl/curl.h>

#include "bench.h"

#define SAMPLES_MAX 200000u

static size_t drop(char *bytes, size_t size, size_t count, void *ctx)
{
    (void)bytes;
    (void)ctx;
    return size * count;
}

static bool measure(CURL *curl, size_t count)
{
    double *samples = calloc(count, sizeof *samples);
    bool ok = samples != NULL;
    long connects = 0;
    size_t i = 0;

    for (i = 0; ok && i < count; i++) {
        const double from = bench_now_us();
        long made = 0;

        ok = curl_easy_perform(curl) == CURLE_OK;
        samples[i] = bench_now_us() - from;
        (void)curl_easy_getinfo(curl, CURLINFO_NUM_CONNECTS, &made);
        connects += made;
    }
    if (ok) {
        bench_print("http.", "rtt_us", bench_percentile(samples, count, 50));
        bench_print("http.", "rtt_p99_us", bench_percentile(samples, count, 99));
        bench_print("http.", "connects", (double)connects);
    }
    free(samples);
    return ok;
}

int main(int argc, char **argv)
{
    CURL *curl = NULL;
    size_t count = 0;
    bool ok = false;

    if (argc != 3) {
        (void)fprintf(stderr, "usage: bench_http URL COUNT\n");
        return 2;
    }
    count = strtoul(argv[2], NULL, 10);
    if (count == 0 || count > SAMPLES_MAX || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return 2;
    }
    curl = curl_easy_init();
    if (curl != NULL && curl_easy_setopt(curl, CURLOPT_URL, argv[1]) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 5000L) == CURLE_OK) {
        ok = measure(curl, count);
    }
    if (!ok) {
        (void)fprintf(stderr, "no answer from %s\n", argv[1]);
    }
    curl_easy_cleanup(curl);
    curl_global_cleanup();
    return ok ? 0 : 1;
}
