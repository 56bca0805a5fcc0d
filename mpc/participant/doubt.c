#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/failpoint.h"
#include "base/statement.h"
#include "participant/internal.h"

/*
 * Keys and epochs that are stored but not confirmed: a process ended, or a message was lost, in one of
 * the last rounds of a key generation or reshare. Peers are asked what they have. An epoch becomes
 * ACTIVE when t+1 peers call it so, or when all others have stored the same. It is collected when
 * every server has said that it is not ACTIVE there: one that is silent may have told its callers
 * that it is. The epoch before an ACTIVE one is wiped when every member has the ACTIVE one; whoever
 * is not in it wipes the key then.
 */

#define ASK_AGAIN_MS     500u
#define ASK_AGAIN_MAX_MS 60000u
#define LOAD_AGAIN_MS    5000u
#define PATIENCE_ROUNDS  4u
#define YOUNG_TIMEOUTS   2ull /* session time-outs after which a run cannot be under way */
#define COLLECT_TIMEOUTS 3ull

static part_doubt *find_doubt(const part *p, const char *key_id)
{
    part_doubt *d = p->doubts;

    while (d != NULL && strcmp(d->key_id, key_id) != 0) {
        d = d->next;
    }
    return d;
}

static uint32_t bit(uint16_t index)
{
    return index < 32 ? 1u << index : 0;
}

static void doubt_add(part *p, const mpc_key_public *pub, part_doubt_phase phase,
                      uint64_t created_ms)
{
    part_doubt *d = find_doubt(p, pub->key_id);

    if (d != NULL && d->epoch >= pub->epoch) {
        return;
    }
    if (d == NULL) {
        d = calloc(1, sizeof *d);
        if (d == NULL) {
            return; /* asked about at the next start */
        }
        d->next = p->doubts;
        p->doubts = d;
    } else { /* a later epoch: the earlier one is settled by it */
        part_doubt *next = d->next;
        memset(d, 0, sizeof *d);
        d->next = next;
    }
    memcpy(d->key_id, pub->key_id, sizeof d->key_id);
    memcpy(d->stored, pub->stored, sizeof d->stored);
    d->phase = phase;
    d->epoch = pub->epoch;
    d->t = pub->t;
    for (size_t i = 0; i < pub->n; i++) {
        const uint16_t index = pub->members[i].index;

        if (index == p->cfg.roster.me) {
            continue;
        }
        d->members |= bit(index);
        if (part_asker_of(p, index) == PART_BY_SERVER) {
            d->servers |= bit(index);
        }
    }
    d->id = ++p->next_doubt;
    d->created_ms = created_ms;
    d->ask_again_ms = part_now(p);
}

void part_doubt_of_run(part *p, const mpc_key_public *pub, part_doubt_phase phase, uint64_t born_ms)
{
    part_doubt *d = NULL;

    doubt_add(p, pub, phase, born_ms);
    d = find_doubt(p, pub->key_id);
    if (d != NULL && d->epoch == pub->epoch) {
        d->created_ms = born_ms;
        d->of_run = true;
    }
}

static void drop_doubt(part *p, const part_doubt *d)
{
    part_doubt **at = &p->doubts;

    while (*at != d) {
        TDSA_ASSERT(*at != NULL);
        at = &(*at)->next;
    }
    *at = (*at)->next;
}

void part_doubts_free(part *p)
{
    while (p->doubts != NULL) {
        part_doubt *d = p->doubts;
        p->doubts = d->next;
        free(d);
    }
}

bool part_doubt_phase_of(part *p, const ks_key *row, part_doubt_phase *phase)
{
    mpc_key *key = NULL;
    tdsa_err err;

    if (row->state == KS_KEY_PENDING && part_key_public(p, row, &key, &err) == TDSA_OK) {
        *phase = mpc_key_is_member(&key->pub, p->cfg.roster.me) ? DOUBT_PENDING : DOUBT_LEAVING;
        mpc_key_free(key);
        return true;
    }
    return false;
}

static void doubt_row(part *p, const ks_key *row, part_doubt_phase phase)
{
    mpc_key *key = NULL;
    tdsa_err err;

    if (part_key_public(p, row, &key, &err) == TDSA_OK) {
        doubt_add(p, &key->pub, phase, part_now(p));
    }
    mpc_key_free(key);
}

static bool load_pending(void *ctx, const ks_key *row)
{
    part *p = ctx;
    part_doubt_phase phase = DOUBT_PENDING;

    if (part_doubt_phase_of(p, row, &phase)) {
        doubt_row(p, row, phase);
    }
    return true;
}

/* An epoch that is on its way out: the one in use is what peers are asked about. */
static bool load_old(void *ctx, const ks_key *row)
{
    part *p = ctx;
    ks_key *now = NULL;
    tdsa_err err;

    if (ks_key_get(p->cfg.store, row->key_id, &now, &err) == TDSA_OK && ks_key_in_use(now->state)) {
        doubt_row(p, now, DOUBT_ERASING);
    }
    ks_key_free(now);
    return true;
}

void part_doubts_load(part *p)
{
    tdsa_err err;

    p->doubts_load_ms = 0;
    if (ks_key_each_in(p->cfg.store, KS_KEY_PENDING, load_pending, p, &err) != TDSA_OK ||
        ks_key_each_in(p->cfg.store, KS_KEY_OLD, load_old, p, &err) != TDSA_OK) {
        part_say(p, TDSA_LOG_WARN, "looking for half-made keys: %s", err.text);
        p->doubts_load_ms = part_now(p) + LOAD_AGAIN_MS;
    }
}

void part_doubt_hurry(part *p, const char *key_id)
{
    part_doubt *d = find_doubt(p, key_id);

    if (d != NULL) {
        d->rounds = d->rounds > PATIENCE_ROUNDS ? PATIENCE_ROUNDS : d->rounds;
        d->ask_again_ms = part_now(p);
    }
}

/* ---- settling ---- */

static unsigned bits(uint32_t mask)
{
    unsigned count = 0;

    for (; mask != 0; mask &= mask - 1) {
        count++;
    }
    return count;
}

/*
 * A client settles only when every server calls the epoch ACTIVE: so one that is PENDING at a server
 * is ACTIVE at no client, and the servers may collect it without asking the client, whom nobody can
 * call. That all others have stored the same is enough while the run is young, or when somebody has
 * settled already. How old a run is that an earlier start of this process took part in nobody knows:
 * it is not young, since others may be about to collect what it stored.
 */
static bool settled(const part *p, const part_doubt *d)
{
    const bool young =
        d->of_run && part_now(p) < d->created_ms + YOUNG_TIMEOUTS * p->cfg.session_timeout_ms;

    if (part_is_client(p)) {
        return (d->active_reports & d->servers) == d->servers;
    }
    return bits(d->active_reports) > d->t ||
           ((d->stored_reports & d->members) == d->members && (young || d->active_reports != 0));
}

/* A client is counted as ACTIVE when all servers are: it has the epoch, and nobody can call it. */
static bool active_everywhere(const part_doubt *d)
{
    return (d->active_reports & d->servers) == d->servers;
}

static void end_doubt(part *p, part_doubt *d)
{
    drop_doubt(p, d);
    free(d);
}

static bool is_active(part *p, const part_doubt *d)
{
    ks_key *row = NULL;
    tdsa_err err;
    const bool active =
        ks_key_get_epoch(p->cfg.store, d->key_id, d->epoch, &row, &err) == TDSA_OK &&
        ks_key_in_use(row->state);

    ks_key_free(row);
    return active;
}

/* It is ACTIVE elsewhere, or can be. What there was before it is wiped when all say so. */
static tdsa_status settle_pending(part *p, part_doubt *d, tdsa_err *err)
{
    tdsa_status st;

    TDSA_FAILPOINT("settle.before_active");
    st = ks_key_move(p->cfg.store, d->key_id, d->epoch, KS_KEY_PENDING, KS_KEY_ACTIVE, err);
    TDSA_FAILPOINT("settle.after_active");
    if (st == TDSA_E_CONFLICT && is_active(p, d)) {
        st = TDSA_OK; /* an earlier try did it, whose outcome nobody heard */
    }
    if (st != TDSA_OK && st != TDSA_E_CONFLICT && st != TDSA_E_NOT_FOUND) {
        return st;
    }
    part_say(p, TDSA_LOG_INFO, "key %s is confirmed by its participants", d->key_id);
    if (st != TDSA_OK || d->epoch == 0) {
        end_doubt(p, d);
        return TDSA_OK;
    }
    part_key_replaced(p, d->key_id);
    d->phase = DOUBT_ERASING;
    return TDSA_OK;
}

static tdsa_status settle(part *p, part_doubt *d, tdsa_err *err)
{
    char key_id[KS_KEY_ID_MAX + 1];
    tdsa_status st = TDSA_OK;

    if (d->phase == DOUBT_PENDING && settled(p, d)) {
        memcpy(key_id, d->key_id, sizeof key_id);
        st = settle_pending(p, d, err);
        d = find_doubt(p, key_id); /* it may have ended */
    }
    if (st != TDSA_OK || d == NULL || d->phase == DOUBT_PENDING || !active_everywhere(d)) {
        return st;
    }
    st = part_epochs_erase(p, d->key_id, d->epoch, d->phase == DOUBT_LEAVING, err);
    if (st == TDSA_OK) {
        end_doubt(p, d);
    }
    return st;
}

static void report(part_doubt *d, uint16_t from, ks_key_state state, const uint8_t stored[64])
{
    if (!tdsa_ct_equal(d->stored, stored, sizeof d->stored)) {
        return;
    }
    d->stored_reports |= 1u << from;
    if (state != KS_KEY_PENDING) { /* OLD: it was, and is past it */
        d->active_reports |= 1u << from;
    }
}

tdsa_status part_doubt_reported(part *p, const ks_key *row, uint16_t from, ks_key_state state,
                                const uint8_t stored[64], tdsa_err *err)
{
    part_doubt_phase phase = DOUBT_PENDING;
    part_doubt *d = NULL;

    if (part_doubt_phase_of(p, row, &phase)) {
        doubt_row(p, row, phase);
    }
    d = find_doubt(p, row->key_id);
    if (d == NULL || d->epoch != row->epoch) {
        return TDSA_OK;
    }
    report(d, from, state, stored);
    return settle(p, d, err);
}

/** Appends stmt("status", key-id, epoch, state, stored) of an epoch that is stored here. */
tdsa_status part_status_put(part *p, const char *key_id, uint32_t epoch, tdsa_buf *out,
                            tdsa_err *err)
{
    ks_key *row = NULL;
    mpc_key *key = NULL;
    tdsa_status st = ks_key_get_epoch(p->cfg.store, key_id, epoch, &row, err);

    if (st == TDSA_OK && row->state != KS_KEY_PENDING && !ks_key_in_use(row->state) &&
        row->state != KS_KEY_OLD) {
        st = TDSA_FAIL(err, TDSA_E_NOT_FOUND, "key %s has no share here", key_id);
    }
    if (st == TDSA_OK) {
        st = part_key_public(p, row, &key, err);
    }
    if (st == TDSA_OK) {
        tdsa_stmt_begin(out, "status");
        tdsa_stmt_text(out, key_id);
        tdsa_stmt_uint(out, epoch);
        /* one that is being deleted was confirmed all the same */
        tdsa_stmt_uint(out, (uint64_t)(row->state == KS_KEY_DELETING ? KS_KEY_ACTIVE : row->state));
        tdsa_stmt_octets(out, key->pub.stored, sizeof key->pub.stored);
        st = tdsa_buf_check(out, err);
    }
    mpc_key_free(key);
    ks_key_free(row);
    return st;
}

static bool is_old(const part *p, const part_doubt *d)
{
    return part_now(p) >= d->created_ms + COLLECT_TIMEOUTS * p->cfg.session_timeout_ms;
}

static void said_not_active(part *p, uint32_t doubt, uint16_t from)
{
    for (part_doubt *d = p->doubts; d != NULL; d = d->next) {
        if (d->id == doubt && is_old(p, d)) {
            d->not_active |= 1u << from;
        }
    }
}

void part_doubt_answered(part *p, uint32_t doubt, uint16_t from, const part_answer *a)
{
    tdsa_reader r = tdsa_reader_of(a->body, a->body_len);
    char key_id[KS_KEY_ID_MAX + 1];
    uint8_t stored[64];
    uint64_t epoch = 0;
    uint64_t state = 0;
    part_doubt *d = NULL;
    tdsa_err err;

    if (a->status == TDSA_E_NOT_FOUND) {
        said_not_active(p, doubt, from); /* it does not have the key, or not yet */
    }
    if (a->status != TDSA_OK) {
        return;
    }
    tdsa_stmt_expect(&r, "status");
    tdsa_stmt_read_text(&r, key_id, sizeof key_id);
    epoch = tdsa_stmt_read_uint(&r);
    state = tdsa_stmt_read_uint(&r);
    tdsa_stmt_read_exact(&r, stored, sizeof stored);
    if (tdsa_reader_finish(&r, "status", &err) != TDSA_OK) {
        return;
    }
    d = find_doubt(p, key_id);
    if (d == NULL || d->epoch != epoch ||
        (state != KS_KEY_PENDING && state != KS_KEY_ACTIVE && state != KS_KEY_OLD)) {
        return;
    }
    if (state == KS_KEY_PENDING) {
        said_not_active(p, doubt, from);
    }
    report(d, from, (ks_key_state)state, stored);
    if (settle(p, d, &err) != TDSA_OK) {
        part_say(p, TDSA_LOG_ERROR, "key %s: %s", key_id, err.text);
    }
}

/* ---- time ---- */

/* All servers say that it is not ACTIVE, long after its run must have ended: the half-made key goes. */
static bool collect(part *p, part_doubt *d)
{
    tdsa_err err;
    tdsa_status st;

    if (d->phase == DOUBT_ERASING || d->active_reports != 0 || d->rounds < PATIENCE_ROUNDS ||
        !is_old(p, d) || (d->not_active & d->servers) != d->servers) {
        return false;
    }
    st = d->epoch == 0 ? ks_key_delete(p->cfg.store, d->key_id, true, &err)
                       : ks_key_drop_epoch(p->cfg.store, d->key_id, d->epoch, &err);
    if (st != TDSA_OK && st != TDSA_E_NOT_FOUND) {
        part_say(p, TDSA_LOG_ERROR, "half-made key %s: %s", d->key_id, err.text);
        return false;
    }
    part_say(p, TDSA_LOG_WARN, "half-made key %s, epoch %u, collected", d->key_id, d->epoch);
    end_doubt(p, d);
    return true;
}

/* False when nothing is in doubt here any more (the key was deleted meanwhile, or settled by another
 * process). */
static bool still_in_doubt(part *p, const part_doubt *d)
{
    const bool erasing = d->phase == DOUBT_ERASING;
    ks_key *row = NULL;
    tdsa_err err;
    const tdsa_status st = ks_key_get_epoch(p->cfg.store, d->key_id, d->epoch, &row, &err);
    const bool same = st != TDSA_OK
                          ? st != TDSA_E_NOT_FOUND
                          : (erasing ? ks_key_in_use(row->state) : row->state == KS_KEY_PENDING);

    ks_key_free(row);
    return same;
}

static void ask_servers(part *p, const part_doubt *d)
{
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    part_question q = {.ask = {.kind = PART_ASK_STATUS}};
    tdsa_err err;

    if (part_status_put(p, d->key_id, d->epoch, &body, &err) != TDSA_OK) {
        return;
    }
    q.ask.run = d->id;
    q.ask.body = body.data;
    q.ask.body_len = body.len;
    q.deadline_ms = part_now(p) + p->cfg.deadline_ms;
    for (uint16_t i = 0; i < p->cfg.roster.n; i++) {
        if ((d->servers & (1u << i)) == 0) {
            continue;
        }
        q.peer = i;
        if (part_control_session(p, i, &q.session, &err) == TDSA_OK) {
            (void)part_put(p, &q, &err);
        }
    }
}

uint64_t part_doubts_next_due(const part *p)
{
    uint64_t soonest = p->doubts_load_ms == 0 ? UINT64_MAX : p->doubts_load_ms;

    for (const part_doubt *d = p->doubts; d != NULL; d = d->next) {
        soonest = d->ask_again_ms < soonest ? d->ask_again_ms : soonest;
    }
    return soonest;
}

bool part_may_settle(const part *p)
{
    if (part_deletions_unasked(p)) {
        return true;
    }
    for (const part_doubt *d = p->doubts; d != NULL; d = d->next) {
        if (d->rounds == 0 ||
            (d->phase == DOUBT_PENDING && (d->stored_reports & d->servers) == d->servers)) {
            return true;
        }
    }
    return false;
}

/* A commit that made the epoch ACTIVE was not heard of: memory follows the store. */
static void follow_store(part *p, part_doubt *d)
{
    if (d->phase == DOUBT_PENDING && d->epoch > 0 && is_active(p, d)) {
        (void)part_key_refresh(p, d->key_id);
        d->phase = DOUBT_ERASING;
    }
}

void part_doubts_due(part *p)
{
    const uint64_t now = part_now(p);
    part_doubt *d = NULL;
    tdsa_err err;

    if (p->doubts_load_ms != 0 && p->doubts_load_ms <= now) {
        part_doubts_load(p);
    }
    d = p->doubts;
    while (d != NULL) {
        part_doubt *next = d->next;
        if (d->ask_again_ms <= now) {
            follow_store(p, d);
        }
        if (d->ask_again_ms <= now && !still_in_doubt(p, d)) {
            drop_doubt(p, d);
            free(d);
        } else if (d->ask_again_ms <= now && !collect(p, d)) {
            const uint64_t wait = (uint64_t)ASK_AGAIN_MS << (d->rounds < 7 ? d->rounds : 7);
            d->rounds++;
            d->ask_again_ms = now + (wait > ASK_AGAIN_MAX_MS ? ASK_AGAIN_MAX_MS : wait);
            ask_servers(p, d);
            (void)settle(p, d, &err);
        }
        d = next;
    }
}
