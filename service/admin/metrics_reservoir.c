#include "admin/metrics_reservoir.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ALPHA      0.015
#define RESCALE_MS 3600000u

/* xorshift64*; in (0, 1] */
static double roll(svc_reservoir *r)
{
    uint64_t x = r->dice;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    r->dice = x;
    x *= UINT64_C(2685821657736338717);
    return ((double)(x >> 11) + 1.0) * (1.0 / 9007199254740992.0);
}

void svc_reservoir_init(svc_reservoir *r, uint64_t seed, uint64_t now_ms)
{
    memset(r, 0, sizeof *r);
    r->start_ms = now_ms;
    r->rescale_ms = now_ms + RESCALE_MS;
    r->dice = seed ^ UINT64_C(0x9e3779b97f4a7c15);
    if (r->dice == 0) {
        r->dice = 1;
    }
}

static void swap(svc_sample *a, svc_sample *b)
{
    svc_sample t = *a;

    *a = *b;
    *b = t;
}

static void sift_up(svc_sample *heap, size_t i)
{
    while (i > 0 && heap[i].priority < heap[(i - 1) / 2].priority) {
        swap(&heap[i], &heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
}

static void sift_down(svc_sample *heap, size_t n, size_t i)
{
    for (;;) {
        size_t least = i;

        for (size_t c = 2 * i + 1; c <= 2 * i + 2 && c < n; c++) {
            if (heap[c].priority < heap[least].priority) {
                least = c;
            }
        }
        if (least == i) {
            return;
        }
        swap(&heap[i], &heap[least]);
        i = least;
    }
}

/* Moves the landmark to now, so that the weights of new values stay small numbers. The order of
 * the heap does not change: every priority gets the same factor. */
static void rescale(svc_reservoir *r, uint64_t now_ms)
{
    double factor = exp(-ALPHA * ((double)(now_ms - r->start_ms) / 1000.0));

    r->start_ms = now_ms;
    r->rescale_ms = now_ms + RESCALE_MS;
    for (size_t i = 0; i < r->used; i++) {
        r->heap[i].priority *= factor;
        r->heap[i].weight *= factor;
    }
    if (!(factor > 1e-280)) { /* so long idle that the old weights vanished */
        r->used = 0;
    }
}

void svc_reservoir_update(svc_reservoir *r, int64_t value, uint64_t now_ms)
{
    svc_sample s;

    if (now_ms >= r->rescale_ms) {
        rescale(r, now_ms);
    }
    s.value = value;
    s.weight = exp(ALPHA * ((double)(now_ms > r->start_ms ? now_ms - r->start_ms : 0) / 1000.0));
    s.priority = s.weight / roll(r);
    r->count++;
    if (r->used < SVC_RESERVOIR_SIZE) {
        r->heap[r->used] = s;
        sift_up(r->heap, r->used);
        r->used++;
    } else if (r->heap[0].priority < s.priority) {
        r->heap[0] = s;
        sift_down(r->heap, r->used, 0);
    }
}

static int by_value(const void *a, const void *b)
{
    const svc_sample *x = (const svc_sample *)a;
    const svc_sample *y = (const svc_sample *)b;

    return (x->value > y->value) - (x->value < y->value);
}

/* The value at quantile q: the last one whose cumulative weight before it is not above q. */
static double quantile(const svc_sample *sorted, const double *before, size_t n, double q)
{
    size_t at = 0;

    for (size_t i = 1; i < n && before[i] <= q; i++) {
        at = i;
    }
    return (double)sorted[at].value;
}

static void fill(svc_snapshot *out, svc_sample *sorted, size_t n)
{
    double before[SVC_RESERVOIR_SIZE];
    double sum = 0.0, seen = 0.0, variance = 0.0;

    for (size_t i = 0; i < n; i++) {
        sum += sorted[i].weight;
    }
    for (size_t i = 0; i < n; i++) {
        sorted[i].weight = sum > 0.0 ? sorted[i].weight / sum : 0.0;
        before[i] = seen;
        seen += sorted[i].weight;
        out->mean += (double)sorted[i].value * sorted[i].weight;
    }
    for (size_t i = 0; i < n; i++) {
        double d = (double)sorted[i].value - out->mean;

        variance += sorted[i].weight * d * d;
    }
    out->stddev = n > 1 ? sqrt(variance) : 0.0;
    out->min = sorted[0].value;
    out->max = sorted[n - 1].value;
    out->p50 = quantile(sorted, before, n, 0.5);
    out->p75 = quantile(sorted, before, n, 0.75);
    out->p95 = quantile(sorted, before, n, 0.95);
    out->p98 = quantile(sorted, before, n, 0.98);
    out->p99 = quantile(sorted, before, n, 0.99);
    out->p999 = quantile(sorted, before, n, 0.999);
}

void svc_reservoir_snapshot(svc_reservoir *r, uint64_t now_ms, svc_snapshot *out)
{
    svc_sample sorted[SVC_RESERVOIR_SIZE];

    memset(out, 0, sizeof *out);
    if (now_ms >= r->rescale_ms) {
        rescale(r, now_ms);
    }
    if (r->used == 0) {
        return;
    }
    memcpy(sorted, r->heap, r->used * sizeof sorted[0]);
    qsort(sorted, r->used, sizeof sorted[0], by_value);
    fill(out, sorted, r->used);
}
