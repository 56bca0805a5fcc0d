#include <stdlib.h>
#include <string.h>

#include "base/dh.h"
#include "base/statement.h"
#include "participant/run_internal.h"

/* The coordinator of a reshare: who is there, who deals, who gets a share. */

/* The keys that a participant shows today. */
static bool todays_keys(const part *p, uint16_t index, mpc_member *out)
{
    const peer_entry *e = peer_roster_selected(&p->cfg.roster, index);
    const peer_keys *keys = index == p->cfg.roster.me ? &p->cfg.roster.my_public : NULL;

    if (keys == NULL && e != NULL) {
        keys = &e->keys;
    }
    if (keys == NULL) {
        return false;
    }
    out->index = index;
    memcpy(out->x25519, keys->x25519, TDSA_X25519_LEN);
    memcpy(out->x448, keys->x448, TDSA_X448_LEN);
    return true;
}

/* The new members; those of the key when the caller names none. */
static tdsa_status new_members(const part *p, const mpc_key *key, const part_reshare_spec *spec,
                               part_reshare_plan *plan, tdsa_err *err)
{
    uint16_t indices[GRP_PARTIES_MAX];
    size_t count = mpc_key_indices(indices, &key->pub);

    if (spec->member_count > GRP_PARTIES_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "%zu members, at most %u", spec->member_count,
                         GRP_PARTIES_MAX);
    }
    if (spec->member_count > 0) {
        count = spec->member_count;
        memcpy(indices, spec->members, count * sizeof indices[0]);
    }
    plan->t = spec->t == 0 ? key->pub.t : spec->t;
    plan->n = (uint16_t)count;
    if (plan->t > GRP_THRESHOLD_MAX || count < 2u * plan->t + 1) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "threshold %u needs at least %u members, not %zu",
                         plan->t, 2u * plan->t + 1, count);
    }
    for (size_t i = 0; i < count; i++) {
        if (indices[i] >= p->cfg.roster.n || (i > 0 && indices[i] <= indices[i - 1])) {
            return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                             "members are participants of 0..%u in order, each once",
                             p->cfg.roster.n - 1u);
        }
        if (!todays_keys(p, indices[i], &plan->members[i])) {
            return TDSA_FAIL(err, TDSA_E_CONFIG, "participantIds[%u] selects nobody", indices[i]);
        }
    }
    return TDSA_OK;
}

/* Old members that show the keys of the key today and have their share. */
static void choose_dealers(const part *p, const mpc_key *key, uint32_t able,
                           part_reshare_plan *plan)
{
    plan->old_n = (uint16_t)mpc_key_indices(plan->old_indices, &key->pub);
    for (size_t i = 0; i < key->pub.n; i++) {
        const mpc_member *old = &key->pub.members[i];
        mpc_member now;

        if ((able >> old->index & 1u) != 0 && todays_keys(p, old->index, &now) &&
            memcmp(old, &now, sizeof now) == 0) {
            plan->dealers[plan->dealer_count++] = now;
        }
    }
}

static tdsa_status check_alive(const part_reshare_plan *plan, uint32_t alive, tdsa_err *err)
{
    for (size_t i = 0; i < plan->n; i++) {
        if ((alive >> plan->members[i].index & 1u) == 0) {
            return tdsa_err_blame(err, TDSA_E_UNAVAILABLE, plan->members[i].index, TDSA_WHERE,
                                  "participant %u does not answer: a new member must",
                                  plan->members[i].index);
        }
    }
    if (plan->dealer_count <= plan->old_t) {
        return TDSA_FAIL(err, TDSA_E_UNAVAILABLE,
                         "%u members of the old epoch are there with their shares, %u must be",
                         plan->dealer_count, plan->old_t + 1u);
    }
    return TDSA_OK;
}

static tdsa_status make_plan(part *p, const part_key *k, const part_op *op, part_reshare_plan *plan,
                             tdsa_err *err)
{
    const mpc_key_public *pub = &k->key->pub;
    uint32_t alive = 1u << p->cfg.roster.me;
    tdsa_status st = new_members(p, k->key, &op->reshare, plan, err);

    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
        alive |= op->result.alive[i] ? 1u << i : 0u;
    }
    plan->curve = pub->curve;
    plan->scheme = pub->scheme;
    plan->policy = pub->policy;
    plan->old_epoch = pub->epoch;
    plan->old_t = pub->t;
    choose_dealers(p, k->key, op->has_epoch | 1u << p->cfg.roster.me, plan);
    return st == TDSA_OK ? check_alive(plan, alive, err) : st;
}

static tdsa_status begin_mine(part *p, part_op *op, tdsa_err *err)
{
    part_run *r = NULL;
    tdsa_status st = part_run_mine(p, &r, op, RUN_RESHARE, err);

    if (st != TDSA_OK) {
        return st;
    }
    r->plan = calloc(1, sizeof *r->plan);
    if (r->plan == NULL) {
        st = TDSA_FAIL(err, TDSA_E_NO_MEMORY, "plan of a reshare");
    }
    if (st == TDSA_OK) {
        st = make_plan(p, op->key, op, r->plan, err);
    }
    if (st == TDSA_OK) {
        part_reshare_put_plan(&r->plan_bytes, r->plan);
        st = tdsa_buf_check(&r->plan_bytes, err);
    }
    if (st == TDSA_OK) {
        st = part_reshare_begin(p, r, err);
    }
    return part_run_go(p, r, st);
}

void part_reshare_answered(part_op *op, uint16_t from, const part_answer *a)
{
    tdsa_reader r = tdsa_reader_of(a->body, a->body_len);
    char key_id[KS_KEY_ID_MAX + 1];
    uint64_t state = 0;

    /* A refusal too comes from somebody who is there: a new member, or one that lost its share. */
    op->result.alive[from] = a->status == TDSA_OK || a->status == TDSA_E_NOT_FOUND;
    tdsa_stmt_expect(&r, "status");
    tdsa_stmt_read_text(&r, key_id, sizeof key_id);
    (void)tdsa_stmt_read_uint(&r);
    state = tdsa_stmt_read_uint(&r);
    if (a->status == TDSA_OK && !r.failed && (state == KS_KEY_ACTIVE || state == KS_KEY_RESTORED)) {
        op->has_epoch |= 1u << from;
    }
}

void part_reshare_go_on(part *p, part_op *op)
{
    tdsa_err err;

    op->state = OP_RUNNING;
    part_op_event(p, PART_OP_RESHARE, PART_EVENT_STARTED, op->started_ms);
    if (begin_mine(p, op, &err) != TDSA_OK) {
        part_op_end(p, op, &err);
    }
    part_key_release(p, op->key); /* the run holds it itself; what replaces it must not wait */
    op->key = NULL;
}

/* Servers whose answer decides who deals. */
static uint32_t to_be_asked(const part *p, const mpc_key *key, const part_reshare_plan *plan)
{
    uint32_t mask = 0;

    for (uint16_t i = 0; i < p->cfg.roster.n; i++) {
        const bool wanted =
            mpc_key_is_member(&key->pub, i) || part_member_of(plan->members, plan->n, i) != NULL;

        if (wanted && i != p->cfg.roster.me && part_asker_of(p, i) == PART_BY_SERVER &&
            peer_roster_selected(&p->cfg.roster, i) != NULL) {
            mask |= 1u << i;
        }
    }
    return mask;
}

static tdsa_status check_start(part *p, const part_key *k, tdsa_err *err)
{
    if (p->cfg.disable_reshare) {
        return TDSA_FAIL(err, TDSA_E_DENIED, "disableReshare is set here");
    }
    if (!k->key->pub.policy.reshare) {
        return TDSA_FAIL(err, TDSA_E_DENIED, "the policy of key %s forbids resharing",
                         k->key->pub.key_id);
    }
    return TDSA_OK;
}

uint64_t part_start_reshare(part *p, const char *key_id, const part_reshare_spec *spec,
                            uint32_t deadline_ms, tdsa_err *err)
{
    part_reshare_plan plan = {.n = 0};
    part_op *op = NULL;
    part_key *k = NULL;
    tdsa_status st = part_may_coordinate(p, err);

    if (st == TDSA_OK && !part_key_id_ok(key_id)) {
        st = TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no such key");
    }
    if (st == TDSA_OK) {
        st = part_key_hold_dealer(p, key_id, &k, err);
    }
    if (st != TDSA_OK) {
        return PART_OP_NONE;
    }
    if (check_start(p, k, err) == TDSA_OK && new_members(p, k->key, spec, &plan, err) == TDSA_OK) {
        op = part_op_new(p, PART_OP_RESHARE, key_id, deadline_ms, err);
    }
    if (op == NULL) {
        part_key_release(p, k);
        return PART_OP_NONE;
    }
    op->key = k;
    op->reshare = *spec;
    op->waiting = to_be_asked(p, k->key, &plan);
    if (part_status_put(p, key_id, k->key->pub.epoch, &op->payload, err) != TDSA_OK ||
        part_op_ask(p, op, PART_ASK_STATUS, err) != TDSA_OK) {
        part_op_cancel(p, op->id, err);
        return PART_OP_NONE;
    }
    return op->id;
}
