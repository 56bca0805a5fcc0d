#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "participant/internal.h"

/*
 * What is left to do about orders: telling those that were away, and wiping.
 *
 * No single clock wipes a key: the time must have come by this participant's own wall clock, and another
 * member must say that it has come by its clock too, or that it has wiped. Where no other member says so,
 * the grace period must have passed twice, and this process must have asked for an hour (or the grace
 * period, when that is shorter).
 */

#define ASK_AGAIN_MS     500u
#define ASK_AGAIN_MAX_MS 60000u
#define LOAD_AGAIN_MS    5000u
#define ALONE_MS         3600000u /* asking for so long, or the grace period when that is shorter */

static uint64_t wall(const part *p)
{
    return p->cfg.clock.wall_ms(p->cfg.clock.ctx);
}

part_deletion *part_deletion_find(part *p, const char *key_id)
{
    part_deletion *d = p->deletions;

    while (d != NULL && strcmp(d->key_id, key_id) != 0) {
        d = d->next;
    }
    return d;
}

part_deletion *part_deletion_open(part *p, const char *key_id)
{
    part_deletion *d = part_deletion_find(p, key_id);

    if (d == NULL) {
        d = calloc(1, sizeof *d);
        if (d == NULL) {
            return NULL;
        }
        memcpy(d->key_id, key_id, strnlen(key_id, KS_KEY_ID_MAX));
        d->id = ++p->next_deletion;
        d->next = p->deletions;
        d->next_ms = part_now(p);
        p->deletions = d;
    }
    return d;
}

part_deletion *part_deletion_note(part *p, const char *key_id)
{
    part_deletion *d = part_deletion_open(p, key_id);

    if (d != NULL) {
        d->rounds = d->rounds > 1 ? 1 : d->rounds;
        d->next_ms = part_now(p);
    }
    return d;
}

static void drop(part *p, const part_deletion *d)
{
    part_deletion **at = &p->deletions;

    while (*at != d) {
        TDSA_ASSERT(*at != NULL);
        at = &(*at)->next;
    }
    *at = (*at)->next;
}

void part_deletions_free(part *p)
{
    while (p->deletions != NULL) {
        part_deletion *d = p->deletions;

        p->deletions = d->next;
        free(d);
    }
}

static bool load_one(void *ctx, const ks_deletion *d)
{
    return part_deletion_note(ctx, d->key_id) != NULL;
}

void part_deletions_load(part *p)
{
    tdsa_err err;

    p->deletions_load_ms = 0;
    if (ks_deletion_each_open(p->cfg.store, load_one, p, &err) != TDSA_OK) {
        part_say(p, TDSA_LOG_WARN, "looking for keys to be deleted: %s", err.text);
        p->deletions_load_ms = part_now(p) + LOAD_AGAIN_MS;
    }
}

/* ---- wiping ---- */

static bool is_due(const part *p, const ks_deletion *d)
{
    return d->state == KS_DELETION_SCHEDULED && wall(p) >= d->due_ms;
}

/* Nobody answered for long enough, and the grace period has passed twice. */
static bool is_alone(const part *p, const part_deletion *open, const ks_deletion *d)
{
    const uint64_t patience = d->grace_ms < ALONE_MS ? d->grace_ms : ALONE_MS;

    return wall(p) - d->due_ms >= d->grace_ms && open->due_since_ms != 0 &&
           part_now(p) - open->due_since_ms >= patience;
}

static bool may_wipe(part *p, const ks_deletion *d)
{
    const part_deletion *open = part_deletion_find(p, d->key_id);

    if (!is_due(p, d)) {
        return false;
    }
    return d->grace_ms == 0 ||
           (open != NULL &&
            ((open->agreed != 0 && open->agreed_serial == d->serial) || is_alone(p, open, d)));
}

void part_deletion_try_wipe(part *p, const char *lent)
{
    char key_id[KS_KEY_ID_MAX + 1] = "";
    ks_deletion was;
    ks_deletion next;
    tdsa_err err;

    memcpy(key_id, lent, strnlen(lent, KS_KEY_ID_MAX));
    if (part_deletion_load(p, key_id, &was, &err) != TDSA_OK || !may_wipe(p, &was)) {
        return;
    }
    next = was;
    next.state = KS_DELETION_WIPED;
    if (part_deletion_store(p, &next, &was, &err) != TDSA_OK) { /* tried again when due */
        part_say(p, TDSA_LOG_WARN, "wiping key %s: %s", key_id, err.text);
    }
}

/* ---- asking ---- */

static uint32_t servers(const part *p)
{
    uint32_t mask = 0;

    for (uint16_t i = 0; i < p->cfg.roster.n; i++) {
        if (i != p->cfg.roster.me && part_asker_of(p, i) == PART_BY_SERVER) {
            mask |= 1u << i;
        }
    }
    return mask;
}

static void ask(part *p, const part_deletion *d, const ks_deletion *order, uint32_t whom)
{
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    const part_word w = part_word_of(p, order);
    part_question q = {.ask = {.kind = (order->serial & 1) != 0 || order->serial == 0
                                           ? PART_ASK_DELETE
                                           : PART_ASK_UNDELETE,
                               .run = d->id}};
    tdsa_err err;

    part_word_put(&body, &w);
    if (tdsa_buf_check(&body, &err) != TDSA_OK) {
        return;
    }
    q.ask.body = body.data;
    q.ask.body_len = body.len;
    q.deadline_ms = part_now(p) + p->cfg.deadline_ms;
    for (uint16_t i = 0; i < p->cfg.roster.n; i++) {
        q.peer = i;
        if ((whom & (1u << i)) != 0 && part_control_session(p, i, &q.session, &err) == TDSA_OK) {
            (void)part_put(p, &q, &err);
        }
    }
}

static void later(const part *p, part_deletion *d, uint64_t wait_ms)
{
    d->next_ms = part_now(p) + (wait_ms > ASK_AGAIN_MAX_MS ? ASK_AGAIN_MAX_MS : wait_ms);
}

/* False when nothing is left to do. */
static bool see_to(part *p, part_deletion *d)
{
    const uint64_t now = wall(p);
    uint32_t whom = 0;
    ks_deletion order;
    tdsa_err err;

    if (part_deletion_load(p, d->key_id, &order, &err) != TDSA_OK) {
        later(p, d, LOAD_AGAIN_MS);
        d->rounds++;
        return true;
    }
    whom = order.members & ~order.told & part_deletion_tellable(p);
    if (is_due(p, &order)) {
        d->due_since_ms = d->due_since_ms == 0 ? part_now(p) : d->due_since_ms;
        part_deletion_try_wipe(p, d->key_id);
        whom |= order.members & servers(p); /* to compare times */
    } else if (d->inquire) {
        whom |= servers(p);
    } else if (whom == 0 && order.state != KS_DELETION_SCHEDULED &&
               !(order.state == KS_DELETION_UNDOING && part_deletion_tellable(p) != 0)) {
        return false;
    }
    d->inquire = false;
    if (whom == 0) { /* SCHEDULED and known to all */
        later(p, d, order.due_ms > now ? order.due_ms - now : ASK_AGAIN_MS);
    } else {
        ask(p, d, &order, whom);
        later(p, d, (uint64_t)ASK_AGAIN_MS << (d->rounds < 7 ? d->rounds : 7));
    }
    d->rounds++;
    return true;
}

void part_deletions_due(part *p)
{
    part_deletion *d = NULL;

    if (p->deletions_load_ms != 0 && p->deletions_load_ms <= part_now(p)) {
        part_deletions_load(p);
    }
    d = p->deletions;
    while (d != NULL) {
        part_deletion *next = d->next;

        if (d->next_ms <= part_now(p) && !see_to(p, d)) {
            drop(p, d);
            free(d);
        }
        d = next;
    }
}

uint64_t part_deletions_next_due(const part *p)
{
    uint64_t soonest = p->deletions_load_ms == 0 ? UINT64_MAX : p->deletions_load_ms;

    for (const part_deletion *d = p->deletions; d != NULL; d = d->next) {
        soonest = d->next_ms < soonest ? d->next_ms : soonest;
    }
    return soonest;
}

bool part_deletions_unasked(const part *p)
{
    for (const part_deletion *d = p->deletions; d != NULL; d = d->next) {
        if (d->rounds == 0 || d->inquire) {
            return true;
        }
    }
    return false;
}

/* ---- what peers answer ---- */

void part_deletion_answered(part *p, uint32_t id, uint16_t from, const part_answer *a)
{
    char key_id[KS_KEY_ID_MAX + 1];
    const part_deletion *d = p->deletions;

    while (d != NULL && d->id != id) {
        d = d->next;
    }
    if (d != NULL) {
        memcpy(key_id, d->key_id, sizeof key_id);
        (void)part_deletion_read_answer(p, key_id, from, a);
    }
}

bool part_deletion_is_refusal(const part_answer *a)
{
    return a->status != TDSA_OK && (strncmp(a->text, "DELETING:", strlen("DELETING:")) == 0 ||
                                    strncmp(a->text, "DELETED:", strlen("DELETED:")) == 0);
}

void part_deletion_refused(part *p, const char *key_id, const part_answer *a)
{
    part_deletion *d = NULL;

    if (!part_deletion_is_refusal(a)) {
        return;
    }
    d = part_deletion_note(p, key_id);
    if (d != NULL) {
        d->inquire = true;
    }
}
