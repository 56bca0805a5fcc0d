#include <stdlib.h>
#include <string.h>

#include "participant/internal.h"

/*
 * The rate of a key's policy: a token bucket per key that holds one minute's worth. It is kept apart
 * from the cache of keys, out of which a key can be pushed, and forgotten when it is full again. Every
 * participant counts for itself, in memory, on the monotonic clock.
 */

#define MINUTE_MS 60000u

struct part_bucket {
    part_bucket *next;
    char key_id[KS_KEY_ID_MAX + 1];
    uint32_t rate; /* signatures per minute */
    uint64_t
        used; /* of rate * MINUTE_MS; a signature costs MINUTE_MS, a millisecond gives `rate` */
    uint64_t as_of_ms; /* when `used` was right */
};

static void refill(part_bucket *b, uint64_t now_ms)
{
    const uint64_t ms = now_ms - b->as_of_ms;
    const uint64_t gain = ms > MINUTE_MS ? (uint64_t)b->rate * MINUTE_MS : ms * b->rate;

    b->used = b->used > gain ? b->used - gain : 0;
    b->as_of_ms = now_ms;
}

/* Drops the buckets that are full: they say the same as none. */
static void sweep(part *p)
{
    part_bucket **at = &p->buckets;

    while (*at != NULL) {
        part_bucket *b = *at;

        refill(b, part_now(p));
        if (b->used == 0) {
            *at = b->next;
            p->bucket_count--;
            free(b);
        } else {
            at = &b->next;
        }
    }
}

static tdsa_status find_or_add(part *p, const mpc_key_public *key, part_bucket **out, tdsa_err *err)
{
    part_bucket *b = p->buckets;

    while (b != NULL && strcmp(b->key_id, key->key_id) != 0) {
        b = b->next;
    }
    if (b == NULL) {
        sweep(p);
    }
    if (b == NULL && p->bucket_count >= PART_BUCKETS_MAX) {
        return TDSA_FAIL(err, TDSA_E_LIMIT,
                         PART_RATE_LIMITED ": %u keys with a rate sign at the same time",
                         PART_BUCKETS_MAX);
    }
    if (b == NULL) {
        b = calloc(1, sizeof *b);
        if (b == NULL) {
            return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "rate");
        }
        memcpy(b->key_id, key->key_id, sizeof b->key_id);
        b->rate = key->policy.rate;
        b->as_of_ms = part_now(p);
        b->next = p->buckets;
        p->buckets = b;
        p->bucket_count++;
    }
    *out = b;
    return TDSA_OK;
}

tdsa_status part_rate_take(part *p, const mpc_key_public *key, tdsa_err *err)
{
    part_bucket *b = NULL;
    tdsa_status st;

    if (key->policy.rate == 0) {
        return TDSA_OK;
    }
    st = find_or_add(p, key, &b, err);
    if (st != TDSA_OK) {
        return st;
    }
    refill(b, part_now(p));
    if (b->used + MINUTE_MS > (uint64_t)b->rate * MINUTE_MS) {
        return TDSA_FAIL(err, TDSA_E_LIMIT,
                         PART_RATE_LIMITED ": key %s signs %u times a minute at most", key->key_id,
                         b->rate);
    }
    b->used += MINUTE_MS;
    return TDSA_OK;
}

void part_rates_free(part *p)
{
    while (p->buckets != NULL) {
        part_bucket *next = p->buckets->next;

        free(p->buckets);
        p->buckets = next;
    }
    p->bucket_count = 0;
}
