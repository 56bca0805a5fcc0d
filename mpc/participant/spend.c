#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "participant/internal.h"

/*
 * Presignatures, the responder's side: a range is burnt durably at its first request and then spent
 * from memory (docs/architecture.md, "Burning").
 */

static void range_free(part *p, part_session *s, part_range **at)
{
    part_range *r = *at;

    *at = r->next;
    s->range_count--;
    part_batch_release(p, r->batch);
    free(r->lock);
    free(r);
}

void part_ranges_free(part *p, part_session *s)
{
    while (s->ranges != NULL) {
        range_free(p, s, &s->ranges);
    }
}

void part_ranges_drop(part *p, part_session *s, const char *key_id)
{
    part_range **at = &s->ranges;

    while (*at != NULL) {
        if (strcmp((*at)->batch->key->key->pub.key_id, key_id) == 0) {
            range_free(p, s, at);
        } else {
            at = &(*at)->next;
        }
    }
}

static part_range *find_range(const part_session *s, const part_spend *sp)
{
    part_range *r = s->ranges;

    while (r != NULL && !(r->batch == sp->batch && r->from <= sp->index && sp->index < r->to)) {
        r = r->next;
    }
    return r;
}

tdsa_status part_range_check(const part_spend *sp, tdsa_err *err)
{
    const uint32_t count = mpc_batch_count(sp->batch->batch);

    if (sp->range_from > sp->index || sp->index >= sp->range_to || sp->range_to > count ||
        sp->range_to - sp->range_from > KS_BLOCK_SIZE ||
        sp->range_from / KS_BLOCK_SIZE != (sp->range_to - 1) / KS_BLOCK_SIZE) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "presignature %u with range %u to %u of %u",
                         sp->index, sp->range_from, sp->range_to, count);
    }
    return TDSA_OK;
}

tdsa_status part_range_burn(ks *store, ks_once *once, const mpc_batch *batch, uint32_t from,
                            uint32_t to, tdsa_err *err)
{
    const uint32_t len = to - from;
    const uint8_t *beta = mpc_batch_beta(batch);
    tdsa_status st;

    TDSA_FAILPOINT("sign.before_burn");
    if (once != NULL) {
        st = ks_burn_once(store, once, beta, from, to, err);
    } else {
        const uint64_t ones = len == KS_BLOCK_SIZE ? UINT64_MAX : (1ull << len) - 1;

        st = ks_burn(store, beta, from / KS_BLOCK_SIZE, ones << (from % KS_BLOCK_SIZE), err);
    }
    TDSA_FAILPOINT("sign.after_burn");
    if (st == TDSA_E_CONFLICT) {
        return TDSA_FAIL(err, st, "NOT_MY_RANGE: presignatures %u to %u are used", from, to);
    }
    if (st == TDSA_E_NOT_FOUND) { /* it was purged; only memory still had it */
        return TDSA_FAIL(err, st, "BATCH_UNKNOWN: this presignature's batch is not here any more");
    }
    return st;
}

/* Forgets the oldest range; what is left of it stays burnt. */
static void trim_ranges(part *p, part_session *s)
{
    while (s->range_count > PART_RANGES_MAX) {
        part_range **at = &s->ranges;
        while ((*at)->next != NULL) {
            at = &(*at)->next;
        }
        range_free(p, s, at);
    }
}

static bool add_range(part_session *s, part_batch *batch, uint32_t from, uint32_t to)
{
    part_range *r = calloc(1, sizeof *r);

    if (r == NULL) {
        return false;
    }
    r->batch = part_batch_ref(batch);
    r->from = from;
    r->to = to;
    r->next = s->ranges;
    s->ranges = r;
    s->range_count++;
    return true;
}

tdsa_status part_range_add(part *p, part_session *s, part_batch *batch, uint32_t from, uint32_t to,
                           tdsa_err *err)
{
    bool ok = true;

    part_marks_keep(p, s->link[s->opened_by]);
    p->stats.burned += to - from;
    while (ok && from < to) {
        const uint32_t end = part_range_end(from, KS_BLOCK_SIZE, to);

        ok = add_range(s, batch, from, end);
        from = end;
    }
    trim_ranges(p, s);
    return ok ? TDSA_OK : TDSA_FAIL(err, TDSA_E_NO_MEMORY, "range");
}

static tdsa_status burn_range(part *p, part_session *s, const part_spend *sp, part_range **out,
                              tdsa_err *err)
{
    tdsa_status st = part_range_check(sp, err);

    if (st == TDSA_OK && !part_burn_claim(p, s, sp, &st, err)) {
        st = part_range_burn(p->cfg.store, NULL, sp->batch->batch, sp->range_from, sp->range_to,
                             err);
        if (st == TDSA_OK) {
            st = part_range_add(p, s, sp->batch, sp->range_from, sp->range_to, err);
        }
    }
    *out = st == TDSA_OK ? find_range(s, sp) : NULL;
    return st;
}

static bool is_locked_to(const part_range *r, uint32_t at, const uint8_t *prepared)
{
    return (r->locked >> at & 1) != 0 && tdsa_ct_equal(r->lock[at], prepared, sizeof r->lock[at]);
}

tdsa_status part_stock_lock(part *p, part_session *s, const part_spend *sp, tdsa_err *err)
{
    part_range *r = find_range(s, sp);
    uint32_t at = 0;
    tdsa_status st = TDSA_OK;

    if (r == NULL) {
        st = burn_range(p, s, sp, &r, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    if (r->lock == NULL) {
        r->lock = calloc(KS_BLOCK_SIZE, sizeof r->lock[0]);
    }
    if (r->lock == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "lock of a presignature");
    }
    at = sp->index - r->from;
    if (((r->locked | r->spent) >> at & 1) != 0) {
        if (is_locked_to(r, at, sp->prepared)) {
            return TDSA_OK; /* the same request again: the same coin */
        }
        return TDSA_FAIL(err, TDSA_E_CONFLICT,
                         "PRESIGNATURE_LOCKED: this presignature is locked to another request");
    }
    r->locked |= 1ull << at;
    memcpy(r->lock[at], sp->prepared, sizeof r->lock[at]);
    return TDSA_OK;
}

tdsa_status part_stock_spend(part *p, part_session *s, const part_spend *sp, tdsa_err *err)
{
    part_range *r = find_range(s, sp);
    uint64_t bit = 0;
    tdsa_status st = TDSA_OK;

    if (sp->prepared != NULL &&
        (r == NULL || !is_locked_to(r, sp->index - r->from, sp->prepared))) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT,
                         "NOT_PREPARED: this presignature is not locked to this request here");
    }
    if (r == NULL) {
        st = burn_range(p, s, sp, &r, err);
        if (st != TDSA_OK) {
            return st;
        }
    }
    bit = 1ull << (sp->index - r->from);
    if ((r->spent & bit) != 0) {
        if (tdsa_ct_equal(r->transcript[sp->index - r->from], sp->transcript, 32)) {
            return TDSA_OK; /* the same request again */
        }
        return TDSA_FAIL(err, TDSA_E_CONFLICT,
                         "PRESIGNATURE_USED: this presignature answered another request");
    }
    r->spent |= bit;
    memcpy(r->transcript[sp->index - r->from], sp->transcript, 32);
    return TDSA_OK;
}
