#include <string.h>

#include "participant/internal.h"

/*
 * The stock keeper: a due task like any other. A key that this process signs with is looked at
 * whenever its stock shrank; when fewer presignatures than the low mark can be used with the
 * participants that answer, batches are made until there are as many as the high mark, never more
 * than the key's limit. One batch at a time over all keys, the key that has waited longest first. It
 * works only where some thread sees to due tasks all the time: a run that nobody drives helps nobody.
 *
 * Where no thread does (the PKCS#11 module), one of several callers makes the next batch before the
 * last has gone, after its own signature: the others sign on meanwhile (part_start_ahead). A caller who
 * is alone would only wait earlier, and a process that signs a few times makes nothing ahead.
 */

#define KEEP_RETRY_MIN_MS 500u
#define KEEP_RETRY_MAX_MS 60000u
#define AHEAD_LEN_MIN     KS_BLOCK_SIZE /* batches have grown to this: demand goes on */

static bool off(const part *p)
{
    return p->cfg.presign_low == 0 || !p->background;
}

void part_keeper_look(part *p, part_key *k)
{
    const uint64_t now = part_now(p);

    k->wanted_ms = now;
    if (k->keep_due_ms == UINT64_MAX || (k->keep_fails == 0 && k->keep_due_ms > now)) {
        k->keep_due_ms = now;
    }
}

void part_keeper_result(part *p, part_key *k, bool ok)
{
    uint64_t wait = 0;

    if (!ok) {
        wait = (uint64_t)KEEP_RETRY_MIN_MS << (k->keep_fails < 8 ? k->keep_fails : 8);
        wait = wait > KEEP_RETRY_MAX_MS ? KEEP_RETRY_MAX_MS : wait;
    }
    k->keep_fails = ok ? 0 : k->keep_fails + 1;
    k->keep_due_ms = part_now(p) + wait;
}

/* Somebody signed with it here not long ago. That peers make presignatures with it is no reason: two
 * keepers would keep each other going. */
static bool in_use(const part *p, const part_key *k)
{
    return !k->gone && k->wanted_ms != 0 && k->wanted_ms + PART_CACHE_IDLE_MS > part_now(p);
}

/* The key whose turn it is; NULL when there is none, or another's batch is under way. */
static part_key *next_key(const part *p)
{
    part_key *found = NULL;

    for (part_key *k = p->keys; k != NULL; k = k->next) {
        if (k->presigning && k->filling) {
            return NULL;
        }
        if (in_use(p, k) && !k->presigning && k->keep_due_ms <= part_now(p) &&
            (found == NULL || k->kept_ms < found->kept_ms)) {
            found = k;
        }
    }
    return found;
}

/* How many presignatures are to be made now; 0: enough, or no room. */
static tdsa_status wanted(part *p, part_key *k, uint32_t *out, tdsa_err *err)
{
    ks_batch_filter mine = part_my_batches(p);
    uint64_t have = 0;
    uint64_t room = 0;
    tdsa_err why;
    tdsa_status st;

    *out = 0;
    mine.within = part_committee_usable(p, k);
    st = ks_batch_available(p->cfg.store, k->key->pub.key_id, &mine, &have, err);
    have += part_lease_left(k);
    if (st == TDSA_OK) {
        k->filling = have < p->cfg.presign_low || (k->filling && have < p->cfg.presign_high);
    }
    if (st == TDSA_OK && k->filling) {
        st = part_stock_room(p, k->key->pub.key_id, &room, &why, err);
    }
    if (st == TDSA_OK && k->filling) {
        const uint64_t lacks = p->cfg.presign_high - have;
        const uint64_t count = lacks < room ? lacks : room;
        *out = count < p->cfg.presign_batch_max ? (uint32_t)count : p->cfg.presign_batch_max;
    }
    return st;
}

void part_keeper_due(part *p)
{
    part_key *k = off(p) ? NULL : next_key(p);
    uint32_t count = 0;
    tdsa_err err;
    tdsa_status st;

    if (k == NULL) {
        return;
    }
    k->kept_ms = part_now(p);
    k->keep_due_ms = UINT64_MAX;
    st = wanted(p, k, &count, &err);
    if (st == TDSA_OK && count > 0) {
        st = part_stock_order(p, k, count, PART_OP_NONE, part_now(p) + p->cfg.session_timeout_ms,
                              &err);
    }
    if (st != TDSA_OK) {
        part_say(p, TDSA_LOG_WARN, "key %s: its stock of presignatures is not kept: %s",
                 k->key->pub.key_id, err.text);
        part_keeper_result(p, k, false);
    } else if (count == 0) {
        k->filling = false;
    }
}

uint64_t part_keeper_next_due(const part *p)
{
    uint64_t soonest = UINT64_MAX;

    for (const part_key *k = off(p) ? NULL : p->keys; k != NULL; k = k->next) {
        if (k->presigning && k->filling) {
            return UINT64_MAX;
        }
        if (in_use(p, k) && !k->presigning && k->keep_due_ms < soonest) {
            soonest = k->keep_due_ms;
        }
    }
    return soonest;
}

/* ---- ahead of demand, by callers ---- */

void part_keeper_leased(part *p, part_key *k)
{
    ks_batch_filter mine = part_my_batches(p);
    uint64_t have = 0;
    tdsa_err err;

    k->low = false;
    if (p->background || k->presigning || k->batch_len < AHEAD_LEN_MIN) {
        return;
    }
    mine.within = part_committee_usable(p, k);
    k->low = ks_batch_available(p->cfg.store, k->key->pub.key_id, &mine, &have, &err) == TDSA_OK &&
             have + (k->ahead_end - k->ahead_from) < k->batch_len / 2;
}

uint64_t part_start_ahead(part *p, const char *key_id, tdsa_err *err)
{
    part_key *k = p->keys;
    uint32_t count = 0;

    while (k != NULL && (!k->low || k->gone || strcmp(k->key->pub.key_id, key_id) != 0)) {
        k = k->next;
    }
    if (k == NULL) {
        return PART_OP_NONE;
    }
    k->low = false;
    if (k->presigning || part_stock_usual(p, k, &count, err) != TDSA_OK) {
        return PART_OP_NONE;
    }
    return part_start_presign(p, key_id, count, 0, err);
}
