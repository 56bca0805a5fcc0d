#include <string.h>

#include "base/assert.h"
#include "participant/internal.h"

/*
 * Whom to sign with. A presignature has a committee of exactly 2t+1 participants, this one among
 * them. Where a key has more participants than that, those that answer are preferred, a committee is
 * kept as long as it works, and ties go to the lower index (docs/architecture.md, "Committees").
 *
 * What is known of a peer is in memory only: a peer that failed is avoided for a while, twice as long
 * each time, and then tried again; an answer clears it. A finished signature that does not verify
 * throws doubt on all peers of its committee, because it does not say which of them lied; a signature
 * that verifies clears those who took part in it.
 */

#define AVOID_MIN_MS 500u
#define AVOID_MAX_MS 30000u
#define PROBE_MS     2000u
/* Longest wait for silent members while another committee could be asked. */
#define SIGN_WAIT_MAX_MS  1500u
#define BATCH_WAIT_MAX_MS 4000u
#define STOCK_WAIT_MAX_MS 15000u

typedef enum { PEER_WELL, PEER_ON_TRIAL, PEER_AVOIDED } peer_class;

static uint64_t avoid_ms(const part_peer *peer)
{
    const unsigned doublings = peer->failures < 10 ? peer->failures - 1 : 9;
    const uint64_t ms = (uint64_t)AVOID_MIN_MS << doublings;

    return ms > AVOID_MAX_MS ? AVOID_MAX_MS : ms;
}

void part_peer_answered(part *p, uint16_t peer)
{
    part_peer *h = &p->peers[peer];

    if (h->failures > 0) {
        part_say(p, TDSA_LOG_INFO, "participant %u answers again", peer);
    }
    h->answered_ms = part_now(p);
    h->failures = 0;
    h->avoid_until_ms = 0;
    h->heard = false;
}

void part_peer_failed(part *p, uint16_t peer, uint64_t since_ms)
{
    part_peer *h = &p->peers[peer];

    if (h->failures > 0 && since_ms <= h->failed_ms) {
        return; /* it was under way when the peer failed: the same failure */
    }
    h->failures++;
    h->failed_ms = part_now(p);
    h->avoid_until_ms = h->failed_ms + avoid_ms(h);
}

/* A peer that asks is alive, though perhaps it cannot be asked: it is tried soon, once. */
void part_peer_heard(part *p, uint16_t peer)
{
    part_peer *h = &p->peers[peer];
    const uint64_t soon = part_now(p) + AVOID_MIN_MS;

    if (h->failures > 0 && !h->heard) {
        h->heard = true;
        h->avoid_until_ms = h->avoid_until_ms < soon ? h->avoid_until_ms : soon;
    }
}

static peer_class class_of(const part *p, uint16_t peer)
{
    const part_peer *h = &p->peers[peer];

    if (h->failures == 0) {
        return PEER_WELL;
    }
    return part_now(p) >= h->avoid_until_ms ? PEER_ON_TRIAL : PEER_AVOIDED;
}

static unsigned size_of(uint32_t mask)
{
    return (unsigned)__builtin_popcount(mask);
}

static unsigned committee_size(const part_key *k)
{
    return 2u * k->key->pub.t + 1;
}

bool part_committee_spare(const part_key *k)
{
    return k->key->pub.n > committee_size(k);
}

/* ---- choosing ---- */

static bool works(const part *p, uint32_t mask)
{
    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
        if ((mask >> i & 1) != 0 && i != p->cfg.roster.me &&
            (class_of(p, i) != PEER_WELL || p->peers[i].doubts > 0)) {
            return false;
        }
    }
    return true;
}

static bool better(const part *p, uint16_t a, uint16_t b)
{
    const part_peer *x = &p->peers[a];
    const part_peer *y = &p->peers[b];

    if (class_of(p, a) != class_of(p, b)) {
        return class_of(p, a) < class_of(p, b);
    }
    if (x->doubts != y->doubts) {
        return x->doubts < y->doubts;
    }
    return x->failures != y->failures ? x->failures < y->failures : a < b;
}

uint32_t part_committee_choose(part *p, part_key *k)
{
    const mpc_key_public *pub = &k->key->pub;
    uint32_t chosen = 1u << p->cfg.roster.me;

    if (k->committee != 0 && works(p, k->committee)) {
        return k->committee;
    }
    while (size_of(chosen) < committee_size(k)) {
        uint16_t best = GRP_PARTIES_MAX;
        for (size_t i = 0; i < pub->n; i++) {
            const uint16_t index = pub->members[i].index;
            if ((chosen >> index & 1) == 0 && (best == GRP_PARTIES_MAX || better(p, index, best))) {
                best = index;
            }
        }
        TDSA_ASSERT(best < GRP_PARTIES_MAX); /* n >= 2t+1 */
        chosen |= 1u << best;
    }
    if (k->committee != 0 && k->committee != chosen) {
        part_say(p, TDSA_LOG_INFO, "key %s: committee changes from %#x to %#x", pub->key_id,
                 k->committee, chosen);
    }
    k->committee = chosen;
    return chosen;
}

uint32_t part_committee_usable(part *p, part_key *k)
{
    const mpc_key_public *pub = &k->key->pub;
    /* Where peers are probed in the background, no signature has to try. */
    const peer_class worst = p->background ? PEER_WELL : PEER_ON_TRIAL;
    uint32_t mask = 1u << p->cfg.roster.me;

    for (size_t i = 0; i < pub->n; i++) {
        const uint16_t index = pub->members[i].index;
        if (class_of(p, index) <= worst && p->peers[index].doubts == 0) {
            mask |= 1u << index;
        }
    }
    /* A new batch goes to the committee that is chosen now: what it brings must be usable, or the
     * signatures that wait for it would order one after the other. */
    return mask | part_committee_choose(p, k);
}

/* ---- one attempt ---- */

/* How much of the time that is left one attempt may take, so that another committee has a chance. */
static uint64_t share_of(part_attempt what, uint64_t left)
{
    uint64_t share = left;

    switch (what) {
    case ATTEMPT_SIGN:
        share = left / 3 > SIGN_WAIT_MAX_MS ? SIGN_WAIT_MAX_MS : left / 3;
        break;
    case ATTEMPT_BATCH:
        share = left / 2 > BATCH_WAIT_MAX_MS ? BATCH_WAIT_MAX_MS : left / 2;
        break;
    case ATTEMPT_STOCK:
        share = left / 2 > STOCK_WAIT_MAX_MS ? STOCK_WAIT_MAX_MS : left / 2;
        break;
    case ATTEMPT_LAST:
        break;
    }
    return share;
}

uint64_t part_attempt_ends(part *p, const part_key *k, uint32_t members, part_attempt what,
                           uint64_t deadline_ms)
{
    const uint64_t now = part_now(p);
    const uint64_t left = deadline_ms > now ? deadline_ms - now : 0;
    uint64_t share = share_of(what, left);

    if (!part_committee_spare(k)) {
        return deadline_ms;
    }
    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
        if ((members >> i & 1) != 0 && i != p->cfg.roster.me && class_of(p, i) == PEER_ON_TRIAL) {
            share = share > left / 8 ? left / 8 : share;
            p->peers[i].avoid_until_ms = now + share; /* one tries, others do not wait with it */
        }
    }
    return now + share;
}

void part_committee_silent(part *p, uint32_t members, uint64_t since_ms)
{
    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
        if ((members >> i & 1) != 0 && i != p->cfg.roster.me) {
            part_peer_failed(p, i, since_ms);
        }
    }
}

void part_committee_doubt(part *p, uint32_t members, const tdsa_err *why)
{
    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
        if ((members >> i & 1) != 0 && i != p->cfg.roster.me &&
            (why->participant == TDSA_NOBODY || why->participant == (int)i)) {
            p->peers[i].doubts++;
        }
    }
}

void part_committee_proved(part *p, uint32_t members)
{
    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
        if ((members >> i & 1) != 0) {
            p->peers[i].doubts = 0;
        }
    }
}

bool part_failover(const part_key *k, const tdsa_err *why)
{
    if (!part_committee_spare(k)) {
        return false;
    }
    switch (why->status) {
    case TDSA_E_UNAVAILABLE:
    case TDSA_E_TIMEOUT:
    case TDSA_E_PROTOCOL:
    case TDSA_E_VERIFY:
        return true;
    case TDSA_E_BUSY:
    case TDSA_E_LOGIN:
    case TDSA_E_CRYPTO:
    case TDSA_E_STORE:
    case TDSA_E_WRAPPING:
    case TDSA_E_NO_MEMORY:
    case TDSA_E_INTERNAL:
        return why->participant != TDSA_NOBODY; /* a member's trouble, not mine */
    case TDSA_OK:
    case TDSA_E_BAD_INPUT:
    case TDSA_E_NOT_FOUND:
    case TDSA_E_DENIED:
    case TDSA_E_CONFLICT:
    case TDSA_E_LIMIT:
    case TDSA_E_CONFIG:
        break; /* refusals: another committee must not answer what one of them forbids */
    }
    return false;
}

/* ---- asking those that failed ---- */

void part_peers_due(part *p)
{
    const uint64_t now = part_now(p);

    for (uint16_t i = 0; p->background && i < p->cfg.roster.n; i++) {
        part_question q = {.peer = i,
                           .op = PART_OP_NONE,
                           .for_op = PART_OP_NONE,
                           .deadline_ms = now + PROBE_MS,
                           .ask = {.kind = PART_ASK_PING}};
        tdsa_err err;

        if (class_of(p, i) != PEER_ON_TRIAL) {
            continue;
        }
        p->peers[i].avoid_until_ms = now + PROBE_MS;
        if (part_control_session(p, i, &q.session, &err) == TDSA_OK) {
            (void)part_put(p, &q, &err);
        }
    }
}

uint64_t part_peers_next_due(const part *p)
{
    uint64_t soonest = UINT64_MAX;

    for (uint16_t i = 0; p->background && i < p->cfg.roster.n; i++) {
        if (p->peers[i].failures > 0 && p->peers[i].avoid_until_ms < soonest) {
            soonest = p->peers[i].avoid_until_ms;
        }
    }
    return soonest;
}

void part_set_background(part *p)
{
    if (!p->background) {
        part_marks_announce(p); /* who was put back learns of it before it is asked for anything */
    }
    p->background = true;
}
