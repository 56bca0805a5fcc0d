#ifndef PART_SIGN_BATCH_H
#define PART_SIGN_BATCH_H

#include "participant/internal.h"

/* Between sign_batch.c (waves: stock, questions) and sign_batch_work.c (answers, arithmetic, what
 * becomes of each request). */

typedef enum {
    ITEM_WAITS,  /* for a presignature */
    ITEM_ASKED,  /* part of this wave */
    ITEM_FAILED, /* the same, and some member did not give its part */
    ITEM_OVER
} part_item_state;

typedef struct {
    part_item_state state;
    unsigned tries, charged;
    tdsa_err why; /* ITEM_FAILED: the first reason */
    bool behind;  /* the same: a member is in another epoch of the key */
    mpc_request q;
    tdsa_buf payload;
    /* of this attempt */
    part_batch *batch; /* held */
    uint32_t range_from, range_to;
    tdsa_buf bytes; /* Q */
    mpc_coins coins;
    uint8_t prepared[64];
    mpc_context context;
    mpc_combine *combine;
} part_item;

struct part_many {
    size_t count;
    part_batch_item *out; /* the caller's */
    part_item *item;
    /* the wave */
    size_t asked[PART_BATCH_ITEMS_MAX]; /* numbers of its requests, in the order of the question */
    size_t asked_count;
    size_t own, combined; /* of them: my part is there, the signature was tried */
    uint32_t members;
    bool ordered; /* stock was ordered for it */
};

size_t part_many_count(const part_many *m, part_item_state state);
/** One request has ended: why->status TDSA_OK, its signature is in out. */
void part_item_over(part *p, part_op *op, size_t i, const tdsa_err *why);
/** A member did not give its part for it. */
void part_item_fails(part_item *t, const tdsa_err *why);
/** All requests are over: the operation ends. */
void part_many_conclude(part *p, part_op *op);
/** Those that are not over cannot go on. */
void part_many_give_up(part *p, part_op *op, const tdsa_err *why);
/** One question with everything to each member. */
tdsa_status part_many_ask(part *p, part_op *op, part_session *s, tdsa_err *err);
/** What is under way is forgotten; its requests wait for the next wave, which begins. */
void part_many_again(part *p, part_op *op);

#endif
