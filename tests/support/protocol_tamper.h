#ifndef TESTS_SUPPORT_PROTOCOL_TAMPER_H
#define TESTS_SUPPORT_PROTOCOL_TAMPER_H

#include "support/protocol_run.h"

#define ANYBODY UINT16_MAX

/** What happens to the messages of one step and round between `from` and `to` (or ANYBODY). */
typedef enum {
    TAMPER_FLIP,    /* flips the lowest bit of the byte at `offset` */
    TAMPER_FILL,    /* sets `len` bytes at `offset` to `value` */
    TAMPER_CUT,     /* drops the last byte */
    TAMPER_APPEND,  /* one byte more */
    TAMPER_REPLACE, /* puts `bytes` in the place of the message */
    TAMPER_DROP     /* the message is lost */
} tamper_kind;

typedef struct {
    run_step step;
    unsigned round;
    uint16_t from, to;
    tamper_kind kind;
    size_t offset, len;
    bool from_end; /* offset counts back from the end */
    uint8_t value;
    tdsa_buf bytes; /* for TAMPER_REPLACE; lent */
    size_t hits;    /* how many messages were changed */
} tamper;

/** A run_hook with a tamper as its context. */
void tamper_hook(void *ctx, run_step step, unsigned round, uint16_t from, uint16_t to,
                 tdsa_buf *message);

/** A run_hook that keeps a copy of the message of step, round, from, to in `bytes` (clear it). */
void record_hook(void *ctx, run_step step, unsigned round, uint16_t from, uint16_t to,
                 tdsa_buf *message);

#endif
