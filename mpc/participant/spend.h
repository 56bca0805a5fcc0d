#ifndef PART_SPEND_H
#define PART_SPEND_H

#include "participant/internal.h"

/* spend.c, the end of internal.h: what a responder does with a presignature before it answers. */

/** Burns the range the first time, spends `index` once. same: the index was
 * spent for this very transcript before. */
typedef struct {
    part_batch *batch;
    uint32_t index, range_from, range_to;
    const uint8_t *transcript; /* 64 bytes */
    const uint8_t *prepared;   /* T0, 64 bytes, in prepare mode; else NULL */
} part_spend;
/** Prepare mode: burns the range the first time and locks `index` to sp->prepared, once. The burn is
 * what makes the lock durable: after a crash the presignature is used up. */
tdsa_status part_stock_lock(part *p, part_session *s, const part_spend *sp, tdsa_err *err);
tdsa_status part_stock_spend(part *p, part_session *s, const part_spend *sp, tdsa_err *err);
void part_ranges_free(part *p, part_session *s);
void part_ranges_drop(part *p, part_session *s, const char *key_id);

#endif
