#include "base/rng.h"

#include <string.h>

#include "base/hash.h"

tdsa_status tdsa_rng_fill(const tdsa_rng *rng, uint8_t *out, size_t len, tdsa_err *err)
{
    const tdsa_status st = rng->fill(rng->ctx, out, len, err);

    if (st != TDSA_OK) {
        tdsa_wipe(out, len);
    }
    return st;
}

tdsa_status tdsa_test_rng_init(tdsa_test_rng *r, const uint8_t *seed_stmt, size_t len,
                               tdsa_err *err)
{
    *r = (tdsa_test_rng){.counter = 0, .used = sizeof r->block};
    return tdsa_hash(r->key, TDSA_HASH_SHA512, seed_stmt, len, err);
}

static tdsa_status next_block(tdsa_test_rng *r, tdsa_err *err)
{
    uint8_t in[sizeof r->key + 8];

    memcpy(in, r->key, sizeof r->key);
    for (size_t i = 0; i < 8; i++) {
        in[sizeof r->key + i] = (uint8_t)(r->counter >> (8 * (7 - i)));
    }
    r->counter++;
    r->used = 0;
    return tdsa_hash(r->block, TDSA_HASH_SHA512, in, sizeof in, err);
}

static tdsa_status test_fill(void *ctx, uint8_t *out, size_t len, tdsa_err *err)
{
    tdsa_test_rng *r = ctx;

    while (len > 0) {
        size_t part = 0;

        if (r->used == sizeof r->block) {
            const tdsa_status st = next_block(r, err);

            if (st != TDSA_OK) {
                return st;
            }
        }
        part = sizeof r->block - r->used < len ? sizeof r->block - r->used : len;
        memcpy(out, r->block + r->used, part);
        r->used += part;
        out += part;
        len -= part;
    }
    return TDSA_OK;
}

tdsa_rng tdsa_test_rng_of(tdsa_test_rng *r)
{
    return (tdsa_rng){.fill = test_fill, .ctx = r};
}
