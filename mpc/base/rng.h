#ifndef TDSA_BASE_RNG_H
#define TDSA_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/** Where randomness comes from. The real one is tdsa_os_rng; tests hand in a seeded one. */
typedef struct {
    tdsa_status (*fill)(void *ctx, uint8_t *out, size_t len, tdsa_err *err);
    void *ctx;
} tdsa_rng;

TDSA_MUST_USE tdsa_status tdsa_rng_fill(const tdsa_rng *rng, uint8_t *out, size_t len,
                                        tdsa_err *err) TDSA_NONNULL;

/** getrandom(2); safe across fork because it keeps no state. */
tdsa_rng tdsa_os_rng(void);

/** A deterministic generator for tests and simulation; never use it for real keys. The same
 * stream as class Rng of the reference model: SHA-512(SHA-512(stmt("rng", seed...)) | counter). */
typedef struct {
    uint8_t key[64];
    uint64_t counter;
    uint8_t block[64];
    size_t used;
} tdsa_test_rng;
/** seed_stmt is the statement stmt("rng", ...) as the model builds it. */
TDSA_MUST_USE tdsa_status tdsa_test_rng_init(tdsa_test_rng *r, const uint8_t *seed_stmt, size_t len,
                                             tdsa_err *err) TDSA_NONNULL;
tdsa_rng tdsa_test_rng_of(tdsa_test_rng *r) TDSA_NONNULL;

#endif
