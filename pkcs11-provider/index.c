#include "pkcs11-provider/index.h"

#include <stdlib.h>

#include "base/assert.h"

/* FNV-1a; ids and labels are chosen by ourselves or by the operator of this very token. */
static uint64_t hash_of(const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    uint64_t h = 14695981039346656037u;

    for (size_t i = 0; i < len; i++) {
        h = (h ^ p[i]) * 1099511628211u;
    }
    return h;
}

static size_t *bucket_of(const p11_index *x, uint64_t hash)
{
    return &x->buckets[hash & (x->capacity - 1)];
}

static void chain(p11_index *x, size_t index)
{
    size_t *bucket = bucket_of(x, x->links[index].hash);

    x->links[index].next = *bucket;
    x->links[index].here = 1;
    *bucket = index + 1;
}

tdsa_status p11_index_grow(p11_index *x, size_t capacity, tdsa_err *err)
{
    p11_index bigger = {.capacity = capacity};

    bigger.buckets = calloc(capacity, sizeof *bigger.buckets);
    bigger.links = calloc(capacity, sizeof *bigger.links);
    if (bigger.buckets == NULL || bigger.links == NULL) {
        p11_index_clear(&bigger);
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for an index of %zu objects", capacity);
    }
    for (size_t i = 0; i < x->capacity; i++) {
        if (x->links[i].here != 0) {
            bigger.links[i].hash = x->links[i].hash;
            chain(&bigger, i);
        }
    }
    p11_index_clear(x);
    *x = bigger;
    return TDSA_OK;
}

void p11_index_clear(p11_index *x)
{
    free(x->buckets);
    free(x->links);
    *x = (p11_index){0};
}

void p11_index_remove(p11_index *x, size_t index)
{
    size_t *at = NULL;

    TDSA_ASSERT(index < x->capacity);
    if (x->links[index].here == 0) {
        return;
    }
    at = bucket_of(x, x->links[index].hash);
    while (*at != index + 1) {
        at = &x->links[*at - 1].next;
    }
    *at = x->links[index].next;
    x->links[index].here = 0;
}

void p11_index_put(p11_index *x, size_t index, const void *bytes, size_t len)
{
    p11_index_remove(x, index);
    x->links[index].hash = hash_of(bytes, len);
    chain(x, index);
}

static size_t same_hash(const p11_index *x, size_t at, uint64_t hash)
{
    while (at != 0 && x->links[at - 1].hash != hash) {
        at = x->links[at - 1].next;
    }
    return at;
}

size_t p11_index_first(const p11_index *x, const void *bytes, size_t len)
{
    const uint64_t hash = hash_of(bytes, len);

    return same_hash(x, *bucket_of(x, hash), hash);
}

size_t p11_index_next(const p11_index *x, size_t at)
{
    return same_hash(x, x->links[at - 1].next, x->links[at - 1].hash);
}
