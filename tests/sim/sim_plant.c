#include <stdlib.h>
#include <string.h>

#include "protocol/keygen_internal.h"
#include "protocol/presign_internal.h"
#include "sim/sim_internal.h"
#include "sim/sim_wrap.h"

/*
 * Liars: participants that follow the protocol but for wrong values in it. And mistakes made on
 * purpose, each a deviation of the shipped code at one of its own function calls, to prove that the
 * simulator finds them (test_sim_planted.c).
 */

static bool planted(sim_plant plant)
{
    return sim_current() != NULL && sim_current()->plant == plant;
}

const char *sim_plant_name(sim_plant plant)
{
    static const char *const names[SIM_PLANT_END] = {"nothing",
                                                     "no burn",
                                                     "leases rolled back",
                                                     "burn after the answer",
                                                     "lease after use",
                                                     "executed twice",
                                                     "used after a failed verification",
                                                     "no verification",
                                                     "any committee",
                                                     "any list",
                                                     "any points",
                                                     "R of the combiner",
                                                     "ACTIVE too early",
                                                     "collected without asking",
                                                     "rollback ignored",
                                                     "peers not told",
                                                     "burns not counted",
                                                     "memory kept"};

    return names[plant];
}

/* ---- liars ---- */

uint16_t sim_liar_of(const sim *s)
{
    return (uint16_t)__builtin_ctz(s->liars);
}

static bool lies(sim *s, uint16_t who)
{
    const bool yes = (s->liars >> who & 1u) != 0 && sim_chance(s, s->cfg.lie_permille);

    s->lied = s->lied || yes;
    return yes;
}

/* The last bytes of a reply are values; one more stays in range, but for a chance of 2^-8 per byte. */
void sim_lie_in_reply(sim *s, uint16_t who, tdsa_buf *reply, size_t from)
{
    if (lies(s, who) && reply->len > from) {
        reply->data[reply->len - 1 - sim_random(s, 8)] ^= 1;
    }
}

/* Another valid point in place of one of mine: the first for the last. */
static void swap_points(const mpc_presign *run, tdsa_buf *out)
{
    const size_t len = run->wire_len / (run->count * run->width);

    if (run->count > 1 && out->len > run->count * run->width * len) {
        memcpy(out->data + out->len - len, out->data + out->len - run->count * run->width * len,
               len);
    }
}

tdsa_status __wrap_mpc_presign_send(mpc_presign *run, uint16_t to, tdsa_buf *out, tdsa_err *err)
{
    sim *s = sim_current();
    const size_t from = out->len;
    const unsigned round = mpc_presign_round(run);
    const tdsa_status st = __real_mpc_presign_send(run, to, out, err);

    if (st == TDSA_OK && out->len > from && lies(s, run->key->pub.me)) {
        if (round == 1) {
            swap_points(run, out);
        } else {
            out->data[out->len - 1] ^= 1;
        }
    }
    return st;
}

tdsa_status __wrap_mpc_keygen_send(mpc_keygen *run, uint16_t to, tdsa_buf *out, tdsa_err *err)
{
    sim *s = sim_current();
    const size_t from = out->len;
    const tdsa_status st = __real_mpc_keygen_send(run, to, out, err);

    if (st == TDSA_OK && out->len > from && lies(s, run->key->pub.me)) {
        out->data[from + sim_random(s, out->len - from)] ^= 1;
    }
    return st;
}

/* ---- burns and leases ---- */

typedef struct late {
    struct late *next;
    bool lease;
    ks *store;
    uint8_t beta[KS_BETA_LEN];
    uint32_t a, b;
    uint64_t bits;
} late;

static late *later; /* one simulator at a time */

static void put_off(const late *what, const uint8_t *beta)
{
    late *l = sim_take(sizeof *l);

    *l = *what;
    memcpy(l->beta, beta, sizeof l->beta);
    l->next = later;
    later = l;
}

void sim_plant_step(sim *s)
{
    tdsa_err err;

    (void)s;
    while (later != NULL) {
        late *l = later;
        later = l->next;
        (void)(l->lease ? __real_ks_lease(l->store, l->beta, l->a, l->b, &err)
                        : __real_ks_burn(l->store, l->beta, l->a, l->bits, &err));
        sim_give(l);
    }
}

tdsa_status __wrap_ks_burn(ks *store, const uint8_t *beta, uint32_t block, uint64_t bits,
                           tdsa_err *err)
{
    if (planted(SIM_PLANT_NO_BURN)) {
        return TDSA_OK;
    }
    if (planted(SIM_PLANT_LATE_BURN)) {
        put_off(&(late){.store = store, .a = block, .bits = bits}, beta);
        return TDSA_OK;
    }
    return __real_ks_burn(store, beta, block, bits, err);
}

tdsa_status __wrap_ks_lease(ks *store, const uint8_t *beta, uint32_t from, uint32_t to,
                            tdsa_err *err)
{
    if (planted(SIM_PLANT_ROLLED_BACK)) {
        /* It was committed, and is forgotten: a database that was put back. */
        sim_ledger_durable(sim_owner_of(sim_current(), store), beta, from, to);
        return TDSA_OK;
    }
    if (planted(SIM_PLANT_LATE_LEASE)) {
        put_off(&(late){.lease = true, .store = store, .a = from, .b = to}, beta);
        return TDSA_OK;
    }
    return __real_ks_lease(store, beta, from, to, err);
}

/* ---- requests ---- */

/* Forgets that the request was executed. */
static void forget_request(part_link *l, uint64_t seq)
{
    for (part_inbound *in = l->inbound_newest; in != NULL; in = in->older) {
        if (in->seq == seq && in->answered) {
            *(in->newer == NULL ? &l->inbound_newest : &in->newer->older) = in->older;
            *(in->older == NULL ? &l->inbound_oldest : &in->older->newer) = in->newer;
            l->inbound_count--;
            l->inbound_bytes -= in->reply.len;
            tdsa_buf_clear(&in->reply);
            free(in);
            return;
        }
    }
}

void __wrap_part_inbound_take(part *p, part_session *s, const part_frame *f, part_ticket ticket)
{
    if (planted(SIM_PLANT_TWICE) && s->link[f->from] != NULL) {
        forget_request(s->link[f->from], f->seq);
    }
    if (planted(SIM_PLANT_LEAK)) {
        if (malloc(16) == NULL) {
            abort();
        }
    }
    __real_part_inbound_take(p, s, f, ticket);
}

/* ---- verification ---- */

/* The lease gives the same presignature once more. */
static void give_again(sim *s, const uint8_t *beta)
{
    for (uint16_t i = 0; i < sim_nodes(s); i++) {
        part_key *k = s->node[i].part == NULL ? NULL : s->node[i].part->keys;
        for (; k != NULL; k = k->next) {
            if (k->lease != NULL && k->lease_next > k->lease_from &&
                memcmp(mpc_batch_beta(k->lease->batch), beta, KS_BETA_LEN) == 0) {
                k->lease_next--;
            }
        }
    }
}

tdsa_status sim_plant_unverified(sim *s, const uint8_t *beta, tdsa_status st, mpc_signature *out)
{
    if (s->plant == SIM_PLANT_RETRY && beta != NULL) {
        give_again(s, beta);
    }
    if (s->plant == SIM_PLANT_NO_VERIFY) {
        memset(out, 0, sizeof *out);
        memset(out->bytes, 1, 64);
        out->len = 64;
        return TDSA_OK;
    }
    return st;
}

/* ---- checks that are skipped ---- */

tdsa_status __wrap_mpc_context_new(mpc_context *out, const mpc_key *key, const mpc_batch *batch,
                                   const mpc_request *q, const uint8_t *q_bytes, size_t q_len,
                                   tdsa_err *err)
{
    static uint8_t combiners[KS_BATCH_COUNT_MAX][GRP_POINT_RAW_MAX]; /* R as the combiner has it */
    const size_t raw = grp_get_info(key->g)->point_raw_len;
    tdsa_status st;

    if (planted(SIM_PLANT_ANY_COMMITTEE)) {
        TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
        mpc_request mine = *q;
        memcpy(mine.committee, batch->committee, sizeof mine.committee);
        mine.committee_count = (uint16_t)(2 * key->pub.t + 1);
        mpc_request_encode(&b, &mine);
        return __real_mpc_context_new(out, key, batch, &mine, b.data, b.len, err);
    }
    if (planted(SIM_PLANT_FOREIGN_R) && q->index < batch->count) {
        uint8_t *mine = batch->r_list + q->index * raw;
        uint8_t kept[GRP_POINT_RAW_MAX];
        if ((sim_current()->dishonest >> key->pub.me & 1u) != 0) { /* it moves R: another index's */
            memcpy(combiners[q->index], batch->r_list + (q->index + 1) % batch->count * raw, raw);
        }
        memcpy(kept, mine, raw);
        memcpy(mine, combiners[q->index], raw);
        st = __real_mpc_context_new(out, key, batch, q, q_bytes, q_len, err);
        memcpy(mine, kept, raw);
        return st;
    }
    return __real_mpc_context_new(out, key, batch, q, q_bytes, q_len, err);
}

tdsa_status __wrap_presign_take_list(mpc_presign *run, uint16_t from, const uint8_t *in, size_t len,
                                     tdsa_err *err)
{
    return planted(SIM_PLANT_ANY_LIST) ? TDSA_OK
                                       : __real_presign_take_list(run, from, in, len, err);
}

/* With honest members enough the points of a liar do not fit, and no two lists come about: the digest
 * of the list shows its worth only when this check is gone as well. */
tdsa_status __wrap_grp_consist_vartime(const grp *g, const grp_point *points,
                                       const uint16_t *members, size_t count, size_t t,
                                       tdsa_err *err)
{
    return planted(SIM_PLANT_ANY_LIST) || planted(SIM_PLANT_ANY_POINTS)
               ? TDSA_OK
               : __real_grp_consist_vartime(g, points, members, count, t, err);
}

/* ---- keys ---- */

tdsa_status __wrap_ks_key_store(ks *store, const char *key_id, uint32_t epoch,
                                const uint8_t *public_part, size_t public_len,
                                const tdsa_secret *share, tdsa_err *err)
{
    tdsa_status st = __real_ks_key_store(store, key_id, epoch, public_part, public_len, share, err);

    if (st == TDSA_OK && planted(SIM_PLANT_EARLY_ACTIVE)) {
        st = ks_key_move(store, key_id, epoch, KS_KEY_PENDING, KS_KEY_ACTIVE, err);
    }
    return st;
}

static bool find_pending(void *ctx, const ks_key *k)
{
    if (k->state == KS_KEY_PENDING) {
        memcpy(ctx, k->key_id, sizeof k->key_id);
    }
    return k->state != KS_KEY_PENDING;
}

void __wrap_part_doubts_load(part *p)
{
    char found[KS_KEY_ID_MAX + 1] = "";
    tdsa_err err;

    if (planted(SIM_PLANT_COLLECT) &&
        ks_key_each(p->cfg.store, NULL, 100, find_pending, found, &err) == TDSA_OK &&
        found[0] != '\0' && ks_key_delete(p->cfg.store, found, true, &err) != TDSA_OK) {
        return;
    }
    __real_part_doubts_load(p);
}

uint64_t __wrap_part_start_delete(part *p, const char *key_id, uint64_t grace_ms,
                                  uint32_t deadline_ms, tdsa_err *err)
{
    sim_key_of(sim_current(), key_id)->deleted = true;
    return __real_part_start_delete(p, key_id, grace_ms, deadline_ms, err);
}
