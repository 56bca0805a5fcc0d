#include <stdio.h>
#include <string.h>

#include "sim/sim_scenario.h"

/* What people do with a group: one operation at a time at random, and what must be true of its end. */

#define SLACK_MS 1000u /* past its deadline, on the clock of the process */

uint16_t sim_somebody(sim_life *l)
{
    const sim *s = l->s;

    if (!s->cfg.with_client) {
        return (uint16_t)sim_random(l->s, s->cfg.n);
    }
    const uint16_t extra = (uint16_t)(sim_nodes(s) - s->cfg.n);
    const uint16_t which = (uint16_t)sim_random(l->s, extra + 1u);
    return which == 0 ? 0 : (uint16_t)(s->cfg.n + which - 1);
}

static uint32_t some_deadline(sim_life *l)
{
    return sim_random(l->s, 5) == 0 ? 1 + (uint32_t)sim_random(l->s, 400) : 4000;
}

static void choose_curve(sim_life *l, sim_slot *slot)
{
    static const grp_curve dear[] = {GRP_P384, GRP_P521};
    const uint64_t dice = sim_random(l->s, 100);

    slot->curve = dice < 48 ? GRP_P256 : dice < 84 ? GRP_SECP256K1 : GRP_ED25519;
    if (dice >= 98 && l->s->cfg.n <= 4) {
        slot->curve = dear[sim_random(l->s, 2)];
    }
    if (l->s->groups[slot->curve] == NULL) {
        slot->curve = GRP_P256;
    }
    slot->scheme = mpc_scheme_default(slot->curve);
    if (slot->curve == GRP_SECP256K1 && sim_random(l->s, 4) == 0) {
        slot->scheme = MPC_SCHEME_BIP340;
    }
    slot->message = slot->scheme != MPC_SCHEME_ECDSA;
    slot->prepare = slot->scheme == MPC_SCHEME_ECDSA && sim_random(l->s, 6) == 0;
    slot->bip32 = slot->curve != GRP_ED25519 && sim_random(l->s, 4) == 0;
}

/* The slot gets a curve and a policy; gives the operation that registers it. */
static uint64_t start_register(sim_life *l, part *p, sim_slot *slot, uint32_t deadline,
                               tdsa_err *err)
{
    part_key_spec spec = {.label = "simulated", .presignature_limit = PART_LIMIT_DEFAULT};
    uint64_t id = PART_OP_NONE;

    choose_curve(l, slot);
    spec.curve = slot->curve;
    spec.scheme = slot->scheme;
    spec.policy = part_policy_default(slot->curve, slot->scheme);
    spec.policy.prepare = slot->prepare;
    if (slot->bip32) {
        spec.policy.derivation = MPC_DERIVE_BIP32;
        spec.policy.min_path = 0;
        spec.policy.min_path_xpub = 0;
    }
    id = part_start_register(p, &spec, deadline, slot->id, err);
    if (id == PART_OP_NONE && err->status == TDSA_E_BAD_INPUT) { /* not built into participants */
        *slot = (sim_slot){.curve = GRP_P256, .scheme = MPC_SCHEME_ECDSA};
        spec.curve = GRP_P256;
        spec.scheme = MPC_SCHEME_ECDSA;
        spec.policy = part_policy_default(GRP_P256, MPC_SCHEME_ECDSA);
        id = part_start_register(p, &spec, deadline, slot->id, err);
    }
    slot->state = id == PART_OP_NONE ? SLOT_FREE : SLOT_REGISTERING;
    return id;
}

static void fill_request(const sim_life *l, const sim_act *a, unsigned which,
                         part_sign_request *req)
{
    const sim_slot *slot = &l->slot[a->slot];
    const sim_wanted *w = &a->want[which];

    *req = (part_sign_request){.key_id = slot->id,
                               .digest_alg = slot->message ? TDSA_HASH_NONE : TDSA_HASH_SHA256,
                               .payload = w->payload,
                               .payload_len = w->payload_len,
                               .path = w->path,
                               .path_len = w->path_len};
}

/* Something nobody has signed before. */
static void choose_payload(sim_life *l, const sim_slot *slot, sim_wanted *w)
{
    l->tag++;
    w->payload_len = slot->message ? sizeof w->payload - sim_random(l->s, 20) : 32;
    memset(w->payload, 7, sizeof w->payload);
    memcpy(w->payload, &l->tag, sizeof l->tag);
    w->path_len = slot->bip32 ? (uint16_t)sim_random(l->s, SIM_PATH + 1) : 0;
    for (uint16_t i = 0; i < w->path_len; i++) {
        w->path[i] = (uint32_t)sim_random(l->s, 1000);
    }
}

static uint64_t start_sign(sim_life *l, part *p, sim_act *a, uint32_t deadline, tdsa_err *err)
{
    part_sign_request req;

    a->want_count = 1;
    choose_payload(l, &l->slot[a->slot], &a->want[0]);
    fill_request(l, a, 0, &req);
    return part_start_sign(p, &req, deadline, err);
}

static uint64_t start_batch(sim_life *l, part *p, sim_act *a, uint32_t deadline, tdsa_err *err)
{
    part_sign_request req[SIM_BATCH];

    a->want_count = 1 + (unsigned)sim_random(l->s, SIM_BATCH);
    for (unsigned i = 0; i < a->want_count; i++) {
        choose_payload(l, &l->slot[a->slot], &a->want[i]);
        fill_request(l, a, i, &req[i]);
    }
    return part_start_sign_batch(p, l->slot[a->slot].id, req, a->want_count, deadline, a->out, err);
}

/* A refresh, or other members: the client stays, and with luck whoever asks does. */
static uint64_t start_reshare(sim_life *l, part *p, const sim_slot *slot, uint32_t deadline,
                              tdsa_err *err)
{
    part_reshare_spec spec = {.member_count = 0};
    const uint16_t n = l->s->cfg.n;
    const uint16_t left_out = (uint16_t)sim_random(l->s, n);

    if (n > 3 && sim_random(l->s, 2) == 0) {
        for (uint16_t i = 0; i < n; i++) {
            if (i != left_out || (i == 0 && l->s->cfg.with_client) || sim_random(l->s, 3) == 0) {
                spec.members[spec.member_count++] = i;
            }
        }
        spec.t = (uint16_t)(1 + sim_random(l->s, (spec.member_count - 1u) / 2u));
    }
    return part_start_reshare(p, slot->id, &spec, deadline, err);
}

/* ---- things without an operation ---- */

static bool is_error(const sim_life *l, tdsa_status st, const tdsa_err *err)
{
    if (st == TDSA_E_CRYPTO || st == TDSA_E_NO_MEMORY) {
        sim_fail(l->s, "a local question failed", err->text);
    }
    return st != TDSA_OK;
}

static bool take_first(void *ctx, const part_presig_range *r)
{
    *(part_presig_range *)ctx = *r;
    return false;
}

/* Deletes the first presignature that is left. */
static void delete_one(sim_life *l, part *p, const sim_slot *slot)
{
    part_presig_range r = {.to = 0};
    tdsa_err err;

    if (!is_error(l, part_presignatures(p, slot->id, take_first, &r, &err), &err) && r.to > 0) {
        (void)is_error(l, part_presig_delete(p, slot->id, &r.first, &err), &err);
    }
}

/* An application gets parts of a signature from all members and combines them; what is away or refuses
 * makes it give up. Somebody is also asked for another signature with the same presignature. */
static void do_partial(sim_life *l, uint16_t who, const sim_slot *slot)
{
    const sim_act act = {.slot = (unsigned)(slot - l->slot)};
    part_presig_range r = {.to = 0};
    part_partial_result mine[GRP_PARTIES_MAX];
    part_bytes all[GRP_PARTIES_MAX];
    part_sign_request req;
    part_combined out;
    size_t count = 0;
    bool ok = true;
    sim_act a = act;
    tdsa_err err;

    if (l->s->cfg.with_client || /* servers refuse */
        is_error(l, part_presignatures(l->s->node[who].part, slot->id, take_first, &r, &err),
                 &err) ||
        r.to == 0) {
        return;
    }
    choose_payload(l, slot, &a.want[0]);
    fill_request(l, &a, 0, &req);
    for (uint16_t k = 0; k <= l->s->cfg.n; k++) { /* its coordinator first: it must not lease it */
        const uint16_t i = k == 0 ? who : (uint16_t)(k - 1);
        sim_node *n = &l->s->node[i];

        if ((r.members >> n->index & 1) == 0 || (k > 0 && i == who)) {
            continue;
        }
        n->touched = true;
        ok = ok && n->part != NULL &&
             !is_error(l, part_partial(n->part, &req, &r.first, &mine[count], &err), &err);
        if (ok) {
            all[count] = (part_bytes){mine[count].bytes.data, mine[count].bytes.len};
            count++;
        }
    }
    if (ok && !l->s->node[who].doomed) {
        const tdsa_status st = part_combine(l->s->node[who].part, slot->id, all, count, &out, &err);
        part_sign_result sig = {.rs_len = out.rs_len, .recovery_id = out.recovery_id};

        if (st == TDSA_E_VERIFY && !l->s->lied) {
            sim_fail(l->s, "partial signatures of honest members do not verify", err.text);
        }
        memcpy(sig.rs, out.rs, out.rs_len);
        if (st == TDSA_OK) {
            sim_check_signature_at(l->s, who, &req, &sig);
        }
        choose_payload(l, slot, &a.want[0]);
        if (part_partial(l->s->node[who].part, &req, &r.first, &mine[count], &err) == TDSA_OK) {
            sim_fail(l->s, "I1", "a presignature is given away for two requests");
        }
    }
    while (count > 0) {
        tdsa_buf_clear(&mine[--count].bytes);
    }
}

static void do_local(sim_life *l, uint16_t who, sim_slot *slot)
{
    sim_node *n = &l->s->node[who];
    uint64_t number = 0;
    part_stock_info info;
    tdsa_err err;

    switch (sim_random(l->s, 9)) {
    case 7:
    case 8:
        do_partial(l, who, slot);
        break;
    case 6:
        delete_one(l, n->part, slot);
        break;
    case 0:
        (void)is_error(l, part_purge(n->part, slot->id, &number, &err), &err);
        break;
    case 1: /* logging out */
        ks_lock(n->store);
        part_forget(n->part);
        break;
    case 2:
        (void)is_error(
            l, part_set_limit(n->part, slot->id, (int64_t)sim_random(l->s, 12) - 1, &err), &err);
        break;
    case 3:
        (void)is_error(l, part_stock(n->part, slot->id, &number, &err), &err);
        break;
    case 4:
        (void)is_error(l, part_stock_describe(n->part, slot->id, &info, &err), &err);
        break;
    default:
        (void)is_error(l, ks_unlock(n->store, NULL, 0, &err), &err);
        break;
    }
}

/* ---- beginning ---- */

static sim_act *free_act(sim_life *l)
{
    for (unsigned i = 0; i < SIM_ACTS; i++) {
        if (l->act[i].id == PART_OP_NONE) {
            return &l->act[i];
        }
    }
    return NULL;
}

static sim_act_kind choose_kind(sim_life *l, const sim_slot *slot)
{
    const uint64_t dice = sim_random(l->s, 100);

    switch (slot->state) {
    case SLOT_FREE:
        return dice < 30 ? ACT_REGISTER : ACT_NONE;
    case SLOT_REGISTERING:
        return ACT_NONE;
    case SLOT_REGISTERED:
        return ACT_KEYGEN; /* also while another one runs */
    case SLOT_MADE:
        break;
    }
    if (dice < 2) {
        return l->may_delete ? ACT_DELETE : ACT_PING;
    }
    if (dice < 6) {
        return ACT_RESHARE;
    }
    return dice < 9    ? ACT_PING
           : dice < 16 ? ACT_PRESIGN
           : dice < 24 ? ACT_NONE
           : dice < 36 ? ACT_SIGN_BATCH
                       : ACT_SIGN;
}

static uint64_t start(sim_life *l, part *p, sim_act *a, uint32_t deadline, tdsa_err *err)
{
    sim_slot *slot = &l->slot[a->slot];

    switch (a->kind) {
    case ACT_REGISTER:
        return start_register(l, p, slot, deadline, err);
    case ACT_KEYGEN:
        return part_start_keygen(p, slot->id, deadline, err);
    case ACT_PRESIGN:
        return part_start_presign(p, slot->id, 1 + (uint32_t)sim_random(l->s, 12), deadline, err);
    case ACT_SIGN:
        return start_sign(l, p, a, deadline, err);
    case ACT_SIGN_BATCH:
        return start_batch(l, p, a, deadline, err);
    case ACT_RESHARE:
        return start_reshare(l, p, slot, deadline, err);
    case ACT_DELETE:
        l->may_delete = false;
        return part_start_delete(p, slot->id, PART_GRACE_DEFAULT, deadline, err);
    case ACT_PING:
        return part_start_ping(p, deadline, err);
    case ACT_NONE:
        break;
    }
    return PART_OP_NONE;
}

void sim_act_begin(sim_life *l)
{
    const uint16_t who = sim_somebody(l);
    const uint32_t deadline = some_deadline(l);
    sim_act *a = free_act(l);
    sim_node *n = &l->s->node[who];
    tdsa_err err = {.status = TDSA_OK};

    if (a == NULL || n->part == NULL) {
        return;
    }
    memset(a, 0, sizeof *a);
    a->who = who;
    a->life = n->life;
    a->slot = (unsigned)sim_random(l->s, SIM_SLOTS);
    a->kind = choose_kind(l, &l->slot[a->slot]);
    a->over_mono = sim_mono(n) + deadline + SLACK_MS;
    n->touched = true;
    if (a->kind == ACT_NONE) {
        if (l->slot[a->slot].state == SLOT_MADE && sim_random(l->s, 4) == 0) {
            do_local(l, who, &l->slot[a->slot]);
        }
        return;
    }
    l->operations++;
    a->id = start(l, n->part, a, deadline, &err);
    if (a->id == PART_OP_NONE && (err.status == TDSA_OK || err.status == TDSA_E_CRYPTO)) {
        sim_fail(l->s, "an operation that does not begin says why", err.text);
    }
}

/* ---- ending ---- */

static bool cannot_be(const sim_life *l, const tdsa_err *err)
{
    return err->status == TDSA_E_CRYPTO || err->status == TDSA_E_NO_MEMORY ||
           (err->status == TDSA_E_VERIFY && !l->s->lied);
}

/* What came out verifies, and what did not come out says why; also when the whole failed. */
static void batch_ended(sim_life *l, const sim_act *a)
{
    const bool deleted = sim_key_of(l->s, l->slot[a->slot].id)->deleted;

    for (unsigned i = 0; i < a->want_count; i++) {
        part_sign_request req;

        if (cannot_be(l, &a->out[i].err)) {
            sim_fail(l->s, "a request of a batch failed for a reason that cannot be",
                     a->out[i].err.text);
        }
        fill_request(l, a, i, &req);
        if (a->out[i].err.status == TDSA_OK && !deleted) {
            sim_check_signature_at(l->s, a->who, &req, &a->out[i].sign);
        }
    }
}

static void ended(sim_life *l, sim_act *a, const tdsa_err *err, const part_result *result)
{
    sim_slot *slot = &l->slot[a->slot];
    const bool ok = err->status == TDSA_OK;

    sim_note(l->s, (uint64_t)a->kind * 1000 + (uint64_t)err->status);
    if (cannot_be(l, err)) {
        sim_fail(l->s, "an operation failed for a reason that cannot be", err->text);
    }
    switch (a->kind) {
    case ACT_REGISTER:
        /* One that failed here may have been registered at some; it is generated all the same. */
        slot->state = ok ? SLOT_REGISTERED : SLOT_FREE;
        break;
    case ACT_KEYGEN:
        if (ok) {
            slot->state = SLOT_MADE;
            sim_key_of(l->s, slot->id)->active = true;
            l->s->keys_touched = true;
            l->s->keygens++;
        }
        break;
    case ACT_SIGN:
        if (ok && !sim_key_of(l->s, slot->id)->deleted) {
            part_sign_request req;
            fill_request(l, a, 0, &req);
            sim_check_signature_at(l->s, a->who, &req, &result->sign);
        }
        break;
    case ACT_SIGN_BATCH:
        batch_ended(l, a);
        break;
    case ACT_PRESIGN:
    case ACT_RESHARE:
    case ACT_DELETE:
    case ACT_PING:
    case ACT_NONE:
        break;
    }
}

void sim_act_poll(sim_life *l)
{
    part_result result;
    tdsa_err err;

    for (unsigned i = 0; i < SIM_ACTS; i++) {
        sim_act *a = &l->act[i];
        sim_node *n = &l->s->node[a->who];
        if (a->id == PART_OP_NONE) {
            continue;
        }
        if (n->part == NULL || n->life != a->life) { /* nobody is told */
            a->id = PART_OP_NONE;
            if (a->kind == ACT_REGISTER) {
                l->slot[a->slot].state = SLOT_FREE;
            }
        } else if (part_op_poll(n->part, a->id, &result, &err)) {
            a->id = PART_OP_NONE;
            ended(l, a, &err, &result);
        } else if (sim_mono(n) > a->over_mono) {
            sim_fail(l->s, "an operation outlives its deadline", l->slot[a->slot].id);
        }
    }
}

/* ---- while nothing fails ---- */

static void finish(sim_life *l, sim_act *a, const char *what)
{
    part_result result;
    tdsa_err err;
    const uint64_t id = a->id;

    a->id = PART_OP_NONE;
    if (id == PART_OP_NONE || sim_finish(l->s, a->who, id, &result, &err) != TDSA_OK) {
        sim_fail(l->s, what, id == PART_OP_NONE ? "does not begin" : err.text);
    }
    ended(l, a, &err, &result);
}

void sim_act_make_key(sim_life *l, unsigned slot)
{
    sim_act a = {.slot = slot, .who = sim_somebody(l), .kind = ACT_REGISTER};
    part *p = l->s->node[a.who].part;
    tdsa_err err;

    a.id = start_register(l, p, &l->slot[slot], 0, &err);
    finish(l, &a, "registering without a fault");
    a.kind = ACT_KEYGEN;
    a.id = part_start_keygen(p, l->slot[slot].id, 0, &err);
    finish(l, &a, "generating a key without a fault");
}

/* Finishes an operation that may find that its key has got new shares meanwhile, which its caller is
 * told; else it stays to be polled. */
static bool is_behind(sim_life *l, const sim_act *a)
{
    part *p = l->s->node[a->who].part;
    const part_op *op = NULL;

    sim_flush(l->s);
    while (!part_op_done(p, a->id)) {
        (void)sim_step(l->s, l->s->now_ms + 100000);
    }
    op = part_op_find(p, a->id);
    return op->err.status == TDSA_E_CONFLICT && strncmp(op->err.text, "EPOCH_CHANGED", 13) == 0;
}

void sim_act_must_sign(sim_life *l, uint16_t who, const char *key_id)
{
    const uint32_t members = sim_key_of(l->s, key_id)->members;

    sim_act a = {.who = who, .kind = ACT_SIGN, .slot = SIM_SLOTS};
    tdsa_err err;

    while ((members >> l->s->node[a.who].index & 1u) == 0) { /* it left the key */
        a.who = (uint16_t)((a.who + 1u) % l->s->cfg.n);
    }
    for (unsigned i = 0; i < SIM_SLOTS; i++) {
        if (strcmp(l->slot[i].id, key_id) == 0) {
            a.slot = i;
        }
    }
    if (a.slot < SIM_SLOTS) { /* else a registration that failed left it: nobody knows its curve */
        a.id = start_sign(l, l->s->node[a.who].part, &a, 0, &err);
        if (a.id == PART_OP_NONE) {
            sim_fail(l->s, "I3: an ACTIVE key does not sign", err.text);
        }
        if (is_behind(l, &a)) { /* it says so once */
            part_op_cancel(l->s->node[a.who].part, a.id, &err);
            sim_idle(l->s, 5000);
            a.id = start_sign(l, l->s->node[a.who].part, &a, 0, &err);
        }
        finish(l, &a, "I3: an ACTIVE key does not sign");
    }
}
