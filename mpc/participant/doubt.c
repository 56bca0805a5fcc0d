#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/statement.h"
#include "participant/internal.h"

/*
 * Keys that are stored but not confirmed: a process ended, or a message was lost, in the last round
 * of a key generation. Peers are asked what they have. A key becomes ACTIVE when t+1 peers call it
 * so, or when all others have stored the same. It is collected when every server has said that it is
 * not ACTIVE there: one that is silent may have told its callers that it is.
 */

#define ASK_AGAIN_MS     500u
#define ASK_AGAIN_MAX_MS 60000u
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

void part_doubt_add(part *p, const char *key_id, const uint8_t stored[64], uint64_t created_ms)
{
    part_doubt *d = find_doubt(p, key_id);

    if (d != NULL) {
        return;
    }
    d = calloc(1, sizeof *d);
    if (d == NULL) {
        return; /* asked about at the next start */
    }
    TDSA_ASSERT(strlen(key_id) <= KS_KEY_ID_MAX);
    memcpy(d->key_id, key_id, strlen(key_id) + 1);
    memcpy(d->stored, stored, sizeof d->stored);
    d->id = ++p->next_doubt;
    d->created_ms = created_ms;
    d->ask_again_ms = part_now(p);
    d->next = p->doubts;
    p->doubts = d;
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

/* The stored hash and the public half of a key that has a share. */
static tdsa_status stored_of(part *p, const ks_key *row, uint8_t stored[64], tdsa_err *err)
{
    mpc_key *key = NULL;
    tdsa_status st = part_key_public(p, row, &key, err);

    if (st == TDSA_OK) {
        memcpy(stored, key->pub.stored, 64);
    }
    mpc_key_free(key);
    return st;
}

typedef struct {
    part *p;
    char last[KS_KEY_ID_MAX + 1];
    size_t seen;
} load_state;

static bool load_row(void *ctx, const ks_key *row)
{
    load_state *l = ctx;
    uint8_t stored[64];
    tdsa_err err;

    l->seen++;
    memcpy(l->last, row->key_id, sizeof l->last);
    if (row->state == KS_KEY_PENDING && stored_of(l->p, row, stored, &err) == TDSA_OK) {
        part_doubt_add(l->p, row->key_id, stored, part_now(l->p));
    }
    return true;
}

void part_doubts_load(part *p)
{
    const size_t page = 256;
    load_state l = {.p = p};
    tdsa_err err;

    do {
        char from[KS_KEY_ID_MAX + 1];
        memcpy(from, l.last, sizeof from);
        l.seen = 0;
        if (ks_key_each(p->cfg.store, from[0] == '\0' ? NULL : from, page, load_row, &l, &err) !=
            TDSA_OK) {
            part_say(p, TDSA_LOG_WARN, "looking for half-made keys: %s", err.text);
            return;
        }
    } while (l.seen == page);
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

static uint32_t server_peers(const part *p)
{
    uint32_t mask = 0;

    for (uint16_t i = 0; i < p->cfg.roster.n; i++) {
        if (i != p->cfg.roster.me && part_asker_of(p, i) == PART_BY_SERVER) {
            mask |= 1u << i;
        }
    }
    return mask;
}

/*
 * A client settles only when every server calls the key ACTIVE: so a key that is PENDING at a server
 * is ACTIVE at no client, and the servers may collect it without asking the client, whom nobody can
 * call. That all others have stored the same is enough while the run is young, or when somebody has
 * settled already.
 */
static bool settled(const part *p, const part_doubt *d)
{
    const unsigned others = p->cfg.roster.n - 1u;
    const uint32_t servers = server_peers(p);
    const bool young = part_now(p) < d->created_ms + YOUNG_TIMEOUTS * p->cfg.session_timeout_ms;

    if (part_is_client(p)) {
        return (d->active_reports & servers) == servers;
    }
    return bits(d->active_reports) > p->cfg.t ||
           (bits(d->stored_reports) == others && (young || d->active_reports != 0));
}

static tdsa_status settle(part *p, part_doubt *d, tdsa_err *err)
{
    tdsa_status st;

    if (!settled(p, d)) {
        return TDSA_OK;
    }
    st = ks_key_move(p->cfg.store, d->key_id, 0, KS_KEY_PENDING, KS_KEY_ACTIVE, err);
    if (st == TDSA_OK || st == TDSA_E_CONFLICT || st == TDSA_E_NOT_FOUND) {
        part_say(p, TDSA_LOG_INFO, "key %s is confirmed by its participants", d->key_id);
        drop_doubt(p, d);
        free(d);
        return TDSA_OK;
    }
    return st;
}

static void report(part_doubt *d, uint16_t from, ks_key_state state, const uint8_t stored[64])
{
    if (!tdsa_ct_equal(d->stored, stored, sizeof d->stored)) {
        return;
    }
    d->stored_reports |= 1u << from;
    if (state == KS_KEY_ACTIVE) {
        d->active_reports |= 1u << from;
    }
}

tdsa_status part_doubt_reported(part *p, const char *key_id, uint16_t from, ks_key_state state,
                                const uint8_t stored[64], tdsa_err *err)
{
    part_doubt *d = find_doubt(p, key_id);
    ks_key *row = NULL;
    uint8_t mine[64];
    tdsa_status st = TDSA_OK;

    if (d == NULL) {
        st = ks_key_get(p->cfg.store, key_id, &row, err);
        if (st == TDSA_OK && row->state == KS_KEY_PENDING) {
            st = stored_of(p, row, mine, err);
            if (st == TDSA_OK) {
                part_doubt_add(p, key_id, mine, part_now(p));
            }
        }
        ks_key_free(row);
        d = find_doubt(p, key_id);
    }
    if (st != TDSA_OK || d == NULL) {
        return st;
    }
    report(d, from, state, stored);
    return settle(p, d, err);
}

/** Appends stmt("status", key-id, state, stored) of a key that has a share. */
tdsa_status part_status_put(part *p, const char *key_id, tdsa_buf *out, tdsa_err *err)
{
    ks_key *row = NULL;
    uint8_t stored[64];
    tdsa_status st = ks_key_get(p->cfg.store, key_id, &row, err);

    if (st == TDSA_OK && row->state != KS_KEY_PENDING && row->state != KS_KEY_ACTIVE) {
        st = TDSA_FAIL(err, TDSA_E_NOT_FOUND, "key %s has no share here", key_id);
    }
    if (st == TDSA_OK) {
        st = stored_of(p, row, stored, err);
    }
    if (st == TDSA_OK) {
        tdsa_stmt_begin(out, "status");
        tdsa_stmt_text(out, key_id);
        tdsa_stmt_uint(out, (uint64_t)row->state);
        tdsa_stmt_octets(out, stored, sizeof stored);
        st = tdsa_buf_check(out, err);
    }
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
    state = tdsa_stmt_read_uint(&r);
    tdsa_stmt_read_exact(&r, stored, sizeof stored);
    if (tdsa_reader_finish(&r, "status", &err) != TDSA_OK) {
        return;
    }
    d = find_doubt(p, key_id);
    if (d == NULL || (state != KS_KEY_PENDING && state != KS_KEY_ACTIVE)) {
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

    if (d->active_reports != 0 || d->rounds < PATIENCE_ROUNDS || !is_old(p, d) ||
        (d->not_active & server_peers(p)) != server_peers(p)) {
        return false;
    }
    if (ks_key_delete(p->cfg.store, d->key_id, true, &err) != TDSA_OK) {
        part_say(p, TDSA_LOG_ERROR, "half-made key %s: %s", d->key_id, err.text);
        return false;
    }
    part_say(p, TDSA_LOG_WARN, "half-made key %s collected", d->key_id);
    drop_doubt(p, d);
    free(d);
    return true;
}

/* False when the key is no longer in doubt here (it was deleted meanwhile). */
static bool still_pending(part *p, const part_doubt *d)
{
    ks_key *row = NULL;
    tdsa_err err;
    const tdsa_status st = ks_key_get(p->cfg.store, d->key_id, &row, &err);
    const bool pending = st == TDSA_OK ? row->state == KS_KEY_PENDING : st != TDSA_E_NOT_FOUND;

    ks_key_free(row);
    return pending;
}

static void ask_servers(part *p, const part_doubt *d)
{
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    part_question q = {.ask = {.kind = PART_ASK_STATUS}};
    tdsa_err err;

    if (part_status_put(p, d->key_id, &body, &err) != TDSA_OK) {
        return;
    }
    q.ask.run = d->id;
    q.ask.body = body.data;
    q.ask.body_len = body.len;
    q.deadline_ms = part_now(p) + p->cfg.deadline_ms;
    for (uint16_t i = 0; i < p->cfg.roster.n; i++) {
        if ((server_peers(p) & (1u << i)) == 0) {
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
    uint64_t soonest = UINT64_MAX;

    for (const part_doubt *d = p->doubts; d != NULL; d = d->next) {
        soonest = d->ask_again_ms < soonest ? d->ask_again_ms : soonest;
    }
    return soonest;
}

bool part_may_settle(const part *p)
{
    const uint32_t servers = server_peers(p);

    for (const part_doubt *d = p->doubts; d != NULL; d = d->next) {
        if (d->rounds == 0 || (d->stored_reports & servers) == servers) {
            return true;
        }
    }
    return false;
}

void part_doubts_due(part *p)
{
    const uint64_t now = part_now(p);
    part_doubt *d = p->doubts;
    tdsa_err err;

    while (d != NULL) {
        part_doubt *next = d->next;
        if (d->ask_again_ms <= now && !still_pending(p, d)) {
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
