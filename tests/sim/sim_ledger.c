#include <stdlib.h>
#include <string.h>

#include "protocol/prepare.h"
#include "protocol/presign_internal.h"
#include "sim/sim_wrap.h"

/*
 * What no signature shows: which presignatures a participant has given its part of. Every part is
 * compared with a ledger that outlives crashes: the disk had it leased or burnt before, it answers one
 * transcript only, and it is of this participant's own batch (I1). A presignature whose signature did
 * not verify is never answered again (I4). The linker puts these functions before the real ones.
 */

#define BUCKETS 1024u

typedef struct entry {
    struct entry *next;
    uint16_t who;
    uint8_t beta[KS_BETA_LEN];
    uint32_t index;
    bool durable, prepared, answered, failed;
    bool may_repeat; /* its burn was forgotten with a disk, and nobody can have noticed yet */
    uint8_t t0[64];  /* prepare mode */
    uint8_t transcript[64];
} entry;

/* A batch as a participant stored it, or (index UINT32_MAX) a request that was executed. */
typedef struct made {
    struct made *next;
    uint16_t who;
    bool free;
    uint64_t at_ms;
    uint8_t beta[KS_BETA_LEN];
    uint64_t hash;
} made;

typedef struct combiner {
    struct combiner *next;
    const mpc_combine *combine;
    uint16_t who;
    uint8_t transcript[64];
} combiner;

static struct {
    sim *s; /* one at a time */
    entry *entries[BUCKETS];
    made *batches[BUCKETS];
    made *requests[BUCKETS];
    combiner *combiners;
} ledger;

static void drop_made(made **list)
{
    while (*list != NULL) {
        made *m = *list;
        *list = m->next;
        sim_give(m);
    }
}

void sim_ledger_open(sim *s)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        while (ledger.entries[i] != NULL) {
            entry *e = ledger.entries[i];
            ledger.entries[i] = e->next;
            sim_give(e);
        }
        drop_made(&ledger.batches[i]);
        drop_made(&ledger.requests[i]);
    }
    while (ledger.combiners != NULL) {
        combiner *c = ledger.combiners;
        ledger.combiners = c->next;
        sim_give(c);
    }
    ledger.s = s;
}

sim *sim_current(void)
{
    return ledger.s;
}

bool sim_is_blind(const sim *s, uint16_t participant)
{
    bool blind = (s->dishonest >> participant & 1u) != 0;

    for (uint16_t i = 0; i < sim_nodes(s); i++) {
        blind = blind || (s->node[i].index == participant && s->node[i].doomed);
    }
    return blind;
}

static entry *entry_of(uint16_t who, const uint8_t *beta, uint32_t index)
{
    entry **bucket = &ledger.entries[(beta[0] + 256u * beta[1] + index) % BUCKETS];
    entry *e = *bucket;

    while (e != NULL &&
           !(e->who == who && e->index == index && memcmp(e->beta, beta, sizeof e->beta) == 0)) {
        e = e->next;
    }
    if (e == NULL) {
        e = sim_take(sizeof *e);
        e->who = who;
        e->index = index;
        memcpy(e->beta, beta, sizeof e->beta);
        e->next = *bucket;
        *bucket = e;
    }
    return e;
}

void sim_ledger_durable(uint16_t who, const uint8_t *beta, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        entry_of(who, beta, i)->durable = true;
    }
}

void sim_ledger_put_back(uint16_t who)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        for (entry *e = ledger.entries[i]; e != NULL; e = e->next) {
            if (e->who == who) {
                e->durable = false;
                e->failed = false;
                e->may_repeat = !ledger.s->cfg.counter_files;
            }
        }
    }
}

/* ---- answers ---- */

/* Nobody honest answered the presignature with another transcript. */
static void check_others(const sim *s, const entry *mine)
{
    for (const entry *e =
             ledger.entries[(mine->beta[0] + 256u * mine->beta[1] + mine->index) % BUCKETS];
         e != NULL && s->dishonest == 0; e = e->next) {
        if (e->index == mine->index && e->answered && !e->may_repeat && !mine->may_repeat &&
            memcmp(e->beta, mine->beta, sizeof e->beta) == 0 &&
            memcmp(e->transcript, mine->transcript, sizeof e->transcript) != 0) {
            sim_fail(s, "I1", "participants answer one presignature in two requests");
        }
    }
}

/* The context follows from the participant's own batch and committee. */
static void check_context(const sim *s, const mpc_key *key, const mpc_batch *batch,
                          const mpc_request *q, const mpc_context *ctx)
{
    TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;
    mpc_context own;
    tdsa_err err;

    if (memcmp(q->committee, batch->committee, q->committee_count * sizeof q->committee[0]) != 0) {
        sim_fail(s, "I1", "an answer for another committee than the presignature's");
    }
    mpc_request_encode(&bytes, q);
    if (key->pub.policy.prepare) { /* the coins are in ctx alone; T0 covers the rest of T */
        sim_must(s, mpc_prepare_new(own.prepared, key, batch, q, bytes.data, bytes.len, &err),
                 "I1: an answer to a request that is refused", &err);
        if (memcmp(own.prepared, ctx->prepared, sizeof own.prepared) != 0) {
            sim_fail(s, "I1", "an answer with another R than the participant's own");
        }
        return;
    }
    sim_must(s, __real_mpc_context_new(&own, key, batch, q, bytes.data, bytes.len, &err),
             "I1: an answer to a request that is refused", &err);
    if (memcmp(own.transcript, ctx->transcript, sizeof own.transcript) != 0) {
        sim_fail(s, "I1", "an answer with another R than the participant's own");
    }
}

tdsa_status __wrap_mpc_sign_reply(tdsa_buf *out, const mpc_key *key, mpc_batch *batch,
                                  const mpc_request *q, const mpc_context *ctx, tdsa_err *err)
{
    sim *s = ledger.s;
    entry *e = NULL;

    if (sim_is_blind(s, key->pub.me)) {
        return __real_mpc_sign_reply(out, key, batch, q, ctx, err);
    }
    e = entry_of(key->pub.me, q->beta, q->index);
    if (!e->durable) {
        sim_fail(s, "I1", "a presignature is answered before it is burnt");
    }
    if (e->failed) {
        sim_fail(s, "I4", "a presignature that failed verification is used again");
    }
    if (e->answered && !e->may_repeat &&
        memcmp(e->transcript, ctx->transcript, sizeof e->transcript) != 0) {
        sim_fail(s, "I1", "a presignature answers two requests");
    }
    if ((s->plant != SIM_PLANT_NOTHING || q->index % 8 == 0) && !key->pub.policy.prepare) {
        check_context(s, key, batch, q, ctx);
    }
    e->answered = true;
    memcpy(e->transcript, ctx->transcript, sizeof e->transcript);
    check_others(s, e);
    const size_t from = out->len;
    const tdsa_status st = __real_mpc_sign_reply(out, key, batch, q, ctx, err);
    if (st == TDSA_OK) {
        sim_lie_in_reply(s, key->pub.me, out, from);
    }
    return st;
}

/* Prepare mode: a coin too is given for one request only, after the burn. */
tdsa_status __wrap_mpc_prepare_reply(tdsa_buf *out, const mpc_key *key, mpc_batch *batch,
                                     uint32_t index, const uint8_t t0[64], tdsa_err *err)
{
    const sim *s = ledger.s;
    entry *e = entry_of(key->pub.me, batch->beta, index);

    if (!sim_is_blind(s, key->pub.me)) {
        if (!e->durable) {
            sim_fail(s, "I1", "a coin is given before the presignature is burnt");
        }
        if (e->prepared && !e->may_repeat && memcmp(e->t0, t0, sizeof e->t0) != 0) {
            sim_fail(s, "I1", "coins of one presignature are given for two requests");
        }
        e->prepared = true;
        memcpy(e->t0, t0, sizeof e->t0);
    }
    return __real_mpc_prepare_reply(out, key, batch, index, t0, err);
}

static uint64_t hash_of(const uint8_t *bytes, size_t len, uint64_t h)
{
    for (size_t i = 0; i < len; i++) {
        h = (h ^ bytes[i]) * 0x100000001b3ull;
    }
    return h;
}

/* Each request of a signature is executed once. */
tdsa_status __wrap_part_ask_sign(part *p, part_session *s, uint16_t from, const part_ask *a,
                                 tdsa_buf *out, tdsa_err *err)
{
    const uint16_t me = p->cfg.roster.me;
    const uint64_t h = hash_of(a->body, a->body_len, hash_of((const uint8_t *)s->id, 32, me));
    made *m = ledger.requests[h % BUCKETS];

    while (m != NULL && m->hash != h) {
        m = m->next;
    }
    if (m != NULL && ledger.s->dishonest == 0) {
        sim_fail(ledger.s, "I1", "a request is executed twice");
    }
    m = sim_take(sizeof *m);
    m->hash = h;
    m->next = ledger.requests[h % BUCKETS];
    ledger.requests[h % BUCKETS] = m;
    return __real_part_ask_sign(p, s, from, a, out, err);
}

/* ---- batches: members hold the same list ---- */

static made *made_of(uint16_t who, const uint8_t *beta)
{
    made *m = ledger.batches[(beta[0] + 256u * beta[1]) % BUCKETS];

    while (m != NULL && !(m->who == who && memcmp(m->beta, beta, sizeof m->beta) == 0)) {
        m = m->next;
    }
    return m;
}

uint64_t sim_ledger_made_ms(uint16_t who, const uint8_t *beta)
{
    const made *m = made_of(who, beta);

    return m == NULL ? UINT64_MAX : m->at_ms;
}

uint16_t sim_owner_of(const sim *s, const ks *store)
{
    uint16_t i = 0;

    while (i < SIM_NODES_MAX && s->node[i].store != store) {
        i++;
    }
    return i < SIM_NODES_MAX ? s->node[i].index : GRP_PARTIES_MAX;
}

tdsa_status __wrap_ks_batch_insert(ks *store, const ks_batch *b, tdsa_err *err)
{
    const uint16_t who = sim_owner_of(ledger.s, store);
    made *m = made_of(who, b->beta);

    if (m == NULL) {
        made **bucket = &ledger.batches[(b->beta[0] + 256u * b->beta[1]) % BUCKETS];
        m = sim_take(sizeof *m);
        m->who = who;
        memcpy(m->beta, b->beta, sizeof m->beta);
        m->next = *bucket;
        *bucket = m;
    }
    m->at_ms = ledger.s->now_ms;
    m->hash = hash_of(b->data, b->data_len, 1);
    m->free = b->state == KS_BATCH_FREE;
    return __real_ks_batch_insert(store, b, err);
}

void sim_ledger_free_batch(uint16_t who, const uint8_t *beta)
{
    made *mine = made_of(who, beta);

    if (mine == NULL || sim_is_blind(ledger.s, who)) {
        return;
    }
    mine->free = true;
    for (uint16_t i = 0; i < ledger.s->cfg.n; i++) {
        const made *m = made_of(i, beta);
        const bool honest = ((ledger.s->dishonest | ledger.s->liars) >> i & 1u) == 0;
        if (m != NULL && m->free && honest && m->hash != mine->hash) {
            sim_fail(ledger.s, "I4", "members hold different lists of R of a FREE batch");
        }
    }
}

/* ---- combiners ---- */

tdsa_status __wrap_mpc_combine_new(mpc_combine **out, const mpc_key *key, const mpc_batch *batch,
                                   const mpc_context *ctx, tdsa_err *err)
{
    const tdsa_status st = __real_mpc_combine_new(out, key, batch, ctx, err);

    if (st == TDSA_OK) {
        combiner *c = sim_take(sizeof *c);
        c->combine = *out;
        c->who = key->pub.me;
        memcpy(c->transcript, ctx->transcript, sizeof c->transcript);
        c->next = ledger.combiners;
        ledger.combiners = c;
    }
    return st;
}

void __wrap_mpc_combine_free(mpc_combine *combine)
{
    combiner **at = &ledger.combiners;

    while (*at != NULL && (*at)->combine != combine) {
        at = &(*at)->next;
    }
    if (*at != NULL) {
        combiner *c = *at;
        *at = c->next;
        sim_give(c);
    }
    __real_mpc_combine_free(combine);
}

/* Its own answer, which every combiner gives before it asks for others. */
static entry *entry_of_combiner(const mpc_combine *combine)
{
    const combiner *c = ledger.combiners;

    while (c != NULL && c->combine != combine) {
        c = c->next;
    }
    for (size_t i = 0; c != NULL && i < BUCKETS; i++) {
        for (entry *e = ledger.entries[i]; e != NULL; e = e->next) {
            if (e->who == c->who && e->answered &&
                memcmp(e->transcript, c->transcript, sizeof e->transcript) == 0) {
                return e;
            }
        }
    }
    return NULL;
}

tdsa_status __wrap_mpc_combine_finish(mpc_combine *c, mpc_signature *out, tdsa_err *err)
{
    const tdsa_status st = __real_mpc_combine_finish(c, out, err);

    if (st == TDSA_E_VERIFY) {
        entry *e = entry_of_combiner(c);
        if (e != NULL) {
            e->failed = true;
        }
        if (!ledger.s->lied) {
            sim_fail(ledger.s, "I4: a verification failed although nobody lied", err->text);
        }
        return sim_plant_unverified(ledger.s, e == NULL ? NULL : e->beta, st, out);
    }
    return st;
}

/* ---- honest messages are taken ---- */

static tdsa_status honest(tdsa_status st, const tdsa_err *err)
{
    const sim *s = ledger.s;

    if (st == TDSA_E_PROTOCOL && !s->lied && s->dishonest == 0) {
        sim_fail(s, "an honest message is refused", err->text);
    }
    return st;
}

tdsa_status __wrap_mpc_combine_take(mpc_combine *c, uint16_t from, const uint8_t *in, size_t len,
                                    tdsa_err *err)
{
    return honest(__real_mpc_combine_take(c, from, in, len, err), err);
}

tdsa_status __wrap_mpc_presign_take(mpc_presign *run, uint16_t from, const uint8_t *in, size_t len,
                                    tdsa_err *err)
{
    return honest(__real_mpc_presign_take(run, from, in, len, err), err);
}

tdsa_status __wrap_mpc_presign_advance(mpc_presign *run, tdsa_err *err)
{
    return honest(__real_mpc_presign_advance(run, err), err);
}

tdsa_status __wrap_mpc_keygen_take(mpc_keygen *run, uint16_t from, const uint8_t *in, size_t len,
                                   tdsa_err *err)
{
    return honest(__real_mpc_keygen_take(run, from, in, len, err), err);
}

tdsa_status __wrap_mpc_keygen_advance(mpc_keygen *run, tdsa_err *err)
{
    return honest(__real_mpc_keygen_advance(run, err), err);
}
