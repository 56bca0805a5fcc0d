#ifndef TESTS_FUZZ_PROTOCOL_FUZZ_CHANGE_H
#define TESTS_FUZZ_PROTOCOL_FUZZ_CHANGE_H

#include "support/protocol_run.h"

/*
 * How an input changes one message: round (1 byte), mode (1 byte; even: the rest is the message,
 * odd: offset of 2 bytes, then bytes that are XORed onto the valid message from there on).
 */
typedef struct {
    unsigned round;
    bool xors;
    size_t offset;
    const uint8_t *bytes;
    size_t len;
} fuzz_change;

static inline bool fuzz_change_read(fuzz_change *c, unsigned rounds, const uint8_t *data,
                                    size_t size)
{
    if (size < 4) {
        return false;
    }
    *c = (fuzz_change){.round = data[0] % rounds, .xors = (data[1] & 1) != 0};
    c->offset = c->xors ? (size_t)data[2] << 8 | data[3] : 0;
    c->bytes = data + (c->xors ? 4 : 2);
    c->len = size - (c->xors ? 4 : 2);
    return true;
}

static inline void fuzz_change_apply(const fuzz_change *c, tdsa_buf *m)
{
    if (!c->xors) {
        tdsa_buf_reset(m);
        tdsa_buf_append(m, c->bytes, c->len);
        return;
    }
    for (size_t i = 0; i < c->len && c->offset + i < m->len; i++) {
        m->data[c->offset + i] ^= c->bytes[i];
    }
}

/* Stops the fuzzer when something that must hold does not. */
static inline void fuzz_require(bool ok)
{
    if (!ok) {
        __builtin_trap();
    }
}

#endif
