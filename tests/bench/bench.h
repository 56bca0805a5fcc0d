#ifndef TESTS_BENCH_H
#define TESTS_BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* What the benchmark programs share. Each prints lines "name value" that run.sh collects. */

static inline double bench_now_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static inline double bench_cpu_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static inline int bench_order(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;

    return (x > y) - (x < y);
}

/** The value below which `percent` of the samples lie; sorts them. count > 0. */
static inline double bench_percentile(double *samples, size_t count, unsigned percent)
{
    const size_t at = count * percent / 100u;

    qsort(samples, count, sizeof samples[0], bench_order);
    return samples[at < count ? at : count - 1u];
}

static inline void bench_print(const char *prefix, const char *name, double value)
{
    (void)printf("%s%s %.3f\n", prefix, name, value);
    (void)fflush(stdout);
}

#endif
