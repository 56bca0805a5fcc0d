#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dh.h"
#include "base/failpoint.h"
#include "base/statement.h"
#include "participant/run_internal.h"
#include "protocol/reshare.h"

/*
 * Reshare of a key: old members give the members of a new set shares under the next epoch. The
 * coordinator asks who is there, proposes a plan, and everybody checks all of it. The new epoch is
 * stored PENDING beside the ACTIVE one; becomes ACTIVE when all have it, which voids every
 * presignature; and the earlier one is wiped when it is ACTIVE everywhere. At each moment exactly one
 * epoch is in use here. What a crash leaves half done, doubt.c settles.
 */

/* ---- the plan ---- */

static void put_members(tdsa_buf *out, const mpc_member *members, size_t count)
{
    const size_t list = tdsa_stmt_list_begin(out);

    for (size_t i = 0; i < count; i++) {
        const size_t one = tdsa_stmt_list_begin(out);

        tdsa_stmt_uint(out, members[i].index);
        tdsa_stmt_octets(out, members[i].x25519, TDSA_X25519_LEN);
        tdsa_stmt_octets(out, members[i].x448, TDSA_X448_LEN);
        tdsa_stmt_list_end(out, one);
    }
    tdsa_stmt_list_end(out, list);
}

/* stmt("reshare-plan", curve, scheme, policy, old epoch, old t, [old indices], [dealers], t,
 * [members]) */
void part_reshare_put_plan(tdsa_buf *out, const part_reshare_plan *plan)
{
    TDSA_SCOPED_BUF policy = TDSA_BUF_EMPTY;

    mpc_policy_encode(&policy, &plan->policy);
    out->failed = out->failed || policy.failed;
    tdsa_stmt_begin(out, "reshare-plan");
    tdsa_stmt_text(out, grp_curve_name(plan->curve));
    tdsa_stmt_text(out, mpc_scheme_name(plan->scheme));
    tdsa_stmt_octets(out, policy.data, policy.len);
    tdsa_stmt_uint(out, plan->old_epoch);
    tdsa_stmt_uint(out, plan->old_t);
    tdsa_stmt_uint_list(out, plan->old_indices, plan->old_n);
    put_members(out, plan->dealers, plan->dealer_count);
    tdsa_stmt_uint(out, plan->t);
    put_members(out, plan->members, plan->n);
}

static uint16_t read_members(tdsa_reader *r, mpc_member out[GRP_PARTIES_MAX])
{
    tdsa_reader list = tdsa_stmt_read_list(r);
    uint16_t count = 0;

    while (!list.failed && tdsa_reader_left(&list) > 0 && count < GRP_PARTIES_MAX) {
        tdsa_reader one = tdsa_stmt_read_list(&list);
        const uint64_t index = tdsa_stmt_read_uint(&one);

        tdsa_stmt_read_exact(&one, out[count].x25519, TDSA_X25519_LEN);
        tdsa_stmt_read_exact(&one, out[count].x448, TDSA_X448_LEN);
        if (one.failed || tdsa_reader_left(&one) > 0 || index >= GRP_PARTIES_MAX ||
            (count > 0 && index <= out[count - 1].index)) {
            r->failed = true;
            return 0;
        }
        out[count++].index = (uint16_t)index;
    }
    if (list.failed || tdsa_reader_left(&list) > 0) {
        r->failed = true;
    }
    return count;
}

tdsa_status part_reshare_parse_plan(part_reshare_plan *out, const uint8_t *in, size_t len,
                                    tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(in, len);
    char curve[32];
    char scheme[32];
    const uint8_t *policy = NULL;
    size_t policy_len = 0;
    uint64_t epoch = 0;
    uint64_t old_t = 0;
    uint64_t t = 0;
    tdsa_status st;

    memset(out, 0, sizeof *out);
    tdsa_stmt_expect(&r, "reshare-plan");
    tdsa_stmt_read_text(&r, curve, sizeof curve);
    tdsa_stmt_read_text(&r, scheme, sizeof scheme);
    policy = tdsa_stmt_read_octets(&r, &policy_len, 4096);
    epoch = tdsa_stmt_read_uint(&r);
    old_t = tdsa_stmt_read_uint(&r);
    out->old_n = (uint16_t)tdsa_stmt_read_uint_list(&r, out->old_indices, GRP_PARTIES_MAX);
    out->dealer_count = read_members(&r, out->dealers);
    t = tdsa_stmt_read_uint(&r);
    out->n = read_members(&r, out->members);
    st = tdsa_reader_finish(&r, "plan of a reshare", err);
    if (st != TDSA_OK) {
        return st;
    }
    if (epoch >= UINT32_MAX || old_t > GRP_THRESHOLD_MAX || t > GRP_THRESHOLD_MAX ||
        !grp_curve_by_name(&out->curve, curve) || !mpc_scheme_by_name(&out->scheme, scheme) ||
        !mpc_scheme_fits(out->scheme, out->curve)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "plan of a reshare: out of range");
    }
    out->old_epoch = (uint32_t)epoch;
    out->old_t = (uint16_t)old_t;
    out->t = (uint16_t)t;
    return mpc_policy_decode(&out->policy, policy, policy_len, err);
}

/* ---- checks of everybody ---- */

const mpc_member *part_member_of(const mpc_member *members, size_t count, uint16_t index)
{
    for (size_t i = 0; i < count; i++) {
        if (members[i].index == index) {
            return &members[i];
        }
    }
    return NULL;
}

/* Dealers and new members, ascending; nobody twice with different keys. */
static tdsa_status all_of(const part_reshare_plan *plan, mpc_member out[GRP_PARTIES_MAX],
                          size_t *count, tdsa_err *err)
{
    *count = 0;
    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
        const mpc_member *d = part_member_of(plan->dealers, plan->dealer_count, i);
        const mpc_member *m = part_member_of(plan->members, plan->n, i);

        if (d != NULL && m != NULL && memcmp(d, m, sizeof *d) != 0) {
            return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                             "participant %u deals with other keys than it is to get its share", i);
        }
        if (d != NULL || m != NULL) {
            out[(*count)++] = d != NULL ? *d : *m;
        }
    }
    return TDSA_OK;
}

/* Everybody in it is who the configuration here says; a client is who the key says, or who asks. */
static tdsa_status check_known(const part *p, const part_run *r, const mpc_member *all,
                               size_t count, const mpc_key *mine, tdsa_err *err)
{
    const peer_roster *roster = &p->cfg.roster;

    for (size_t i = 0; i < count; i++) {
        const uint16_t index = all[i].index;
        peer_keys keys;
        bool known = false;

        memcpy(keys.x25519, all[i].x25519, sizeof keys.x25519);
        memcpy(keys.x448, all[i].x448, sizeof keys.x448);
        if (index >= roster->n) {
            known = false;
        } else if (index == roster->me) {
            known = part_member_is(&all[i], &roster->my_public);
        } else if (part_asker_of(p, index) == PART_BY_CLIENT) {
            known = mine != NULL ? part_members_have(mine->pub.members, mine->pub.n, index, &keys)
                                 : index == r->coordinator; /* who showed these very keys */
        } else {
            known = peer_roster_find(roster, index, &keys) != NULL;
        }
        if (!known) {
            return TDSA_FAIL(err, TDSA_E_CONFLICT,
                             "participant %u of the reshare has other keys than "
                             "remoteParticipants[%u] here",
                             index, index);
        }
    }
    if (part_has_client(p) &&
        part_member_of(r->plan->members, r->plan->n, (uint16_t)roster->client_index) == NULL) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the client, participant %d, stays in the key",
                         roster->client_index);
    }
    return TDSA_OK;
}

/* One who has the key listens to its members only, in the words for a key that is not here. */
static tdsa_status check_coordinator(const part *p, const part_run *r, const mpc_key *mine,
                                     tdsa_err *err)
{
    const uint16_t who = r->coordinator;

    if (mine == NULL || who == p->cfg.roster.me || mine->pub.epoch != r->plan->old_epoch) {
        return TDSA_OK;
    }
    if (!part_members_have(mine->pub.members, mine->pub.n, who, &r->session->link[who]->keys)) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "there is no key %s", r->key_id);
    }
    return TDSA_OK;
}

/* The epoch to be made must not be there already, half made by an earlier run. */
static tdsa_status check_unsettled(part *p, const part_run *r, tdsa_err *err)
{
    ks_key *row = NULL;
    tdsa_status st = ks_key_get_epoch(p->cfg.store, r->key_id, r->plan->old_epoch + 1, &row, err);

    ks_key_free(row);
    if (st == TDSA_E_NOT_FOUND) {
        return TDSA_OK;
    }
    return st != TDSA_OK
               ? st
               : TDSA_FAIL(err, TDSA_E_CONFLICT,
                           "RESHARE_UNSETTLED: epoch %u of key %s was made here already and is not "
                           "known to be settled; try again after three session timeouts",
                           r->plan->old_epoch + 1, r->key_id);
}

/* A share to deal from: a restored one is good for that. */
static bool has_share(const ks_key *row)
{
    return row->state == KS_KEY_ACTIVE || row->state == KS_KEY_RESTORED;
}

/* My own record: a dealer's is held with its secret half (r->key), another's public half is loaded
 * into *loaded. */
static tdsa_status own_record(part *p, part_run *r, const mpc_key **mine, mpc_key **loaded,
                              tdsa_err *err)
{
    const bool dealer =
        part_member_of(r->plan->dealers, r->plan->dealer_count, p->cfg.roster.me) != NULL;
    ks_key *row = NULL;
    tdsa_status st = ks_key_get(p->cfg.store, r->key_id, &row, err);

    if (st == TDSA_E_NOT_FOUND) {
        return dealer ? st : TDSA_OK;
    }
    if (st == TDSA_OK && has_share(row) && row->epoch > r->plan->old_epoch) {
        st = TDSA_FAIL(err, TDSA_E_CONFLICT, "EPOCH: key %s is at epoch %u here, not %u", r->key_id,
                       row->epoch, r->plan->old_epoch);
    } else if (st == TDSA_OK && has_share(row) && dealer) {
        st = part_key_hold_dealer(p, r->key_id, &r->key, err);
        *mine = st == TDSA_OK ? r->key->key : NULL;
    } else if (st == TDSA_OK && has_share(row)) {
        st = part_key_public(p, row, loaded, err);
        *mine = *loaded;
    } else if (st == TDSA_OK && row->state == KS_KEY_DELETING) {
        st = TDSA_FAIL(err, TDSA_E_CONFLICT, "DELETING: key %s is being deleted", r->key_id);
    } else if (st == TDSA_OK && (row->state != KS_KEY_REGISTERED || dealer)) {
        st = TDSA_FAIL(err, TDSA_E_CONFLICT, "key %s is not active here", r->key_id);
    }
    ks_key_free(row);
    return st;
}

static tdsa_status make_run(part *p, part_run *r, const mpc_key *mine, tdsa_err *err)
{
    const part_reshare_plan *plan = r->plan;
    mpc_reshare_cfg cfg = {.key_id = r->key_id,
                           .scheme = plan->scheme,
                           .policy = plan->policy,
                           .old_epoch = plan->old_epoch,
                           .old_t = plan->old_t,
                           .old_indices = plan->old_indices,
                           .old_n = plan->old_n,
                           .dealers = plan->dealers,
                           .dealer_count = plan->dealer_count,
                           .members = plan->members,
                           .n = plan->n,
                           .t = plan->t,
                           .me = p->cfg.roster.me,
                           .mine = mine,
                           .rng = p->cfg.rng};
    tdsa_status st = part_group(p, plan->curve, &cfg.g, err);

    return st == TDSA_OK ? mpc_reshare_new(&r->keygen, &cfg, err) : st;
}

static tdsa_status record_it(part *p, const part_run *r, tdsa_err *err)
{
    const part_reshare_plan *plan = r->plan;
    char text[160];
    int len =
        snprintf(text, sizeof text, "epoch %u to %u, asked by participant %u, threshold %u of",
                 plan->old_epoch, plan->old_epoch + 1, r->coordinator, plan->t);

    for (size_t i = 0; i < plan->n; i++) {
        len += snprintf(text + len, sizeof text - (size_t)len, " %u", plan->members[i].index);
    }
    return part_audit(p, "key.reshare", r->key_id, text, err);
}

tdsa_status part_reshare_begin(part *p, part_run *r, tdsa_err *err)
{
    mpc_member all[GRP_PARTIES_MAX];
    const mpc_key *mine = NULL;
    mpc_key *loaded = NULL;
    size_t count = 0;
    tdsa_status st;

    if (p->cfg.disable_reshare) {
        return TDSA_FAIL(err, TDSA_E_DENIED, "disableReshare is set here");
    }
    st = all_of(r->plan, all, &count, err);
    if (st != TDSA_OK) {
        return st;
    }
    for (size_t i = 0; i < count; i++) {
        r->members[i] = all[i].index;
    }
    r->member_count = count;
    st = part_run_bind(p, r, all, count, err);
    if (st == TDSA_OK) {
        st = own_record(p, r, &mine, &loaded, err);
    }
    if (st == TDSA_OK) {
        st = check_coordinator(p, r, mine, err);
    }
    if (st == TDSA_OK) {
        st = check_known(p, r, all, count, mine, err);
    }
    if (st == TDSA_OK) {
        st = check_unsettled(p, r, err);
    }
    if (st == TDSA_OK) {
        st = make_run(p, r, mine, err);
    }
    if (st == TDSA_OK) { /* nothing was said yet */
        st = record_it(p, r, err);
    }
    mpc_key_free(loaded);
    return st;
}

/* ---- what is durable ---- */

static tdsa_status store_epoch(part *p, part_run *r, tdsa_err *err)
{
    TDSA_SCOPED_BUF pub = TDSA_BUF_EMPTY;
    TDSA_SCOPED_SECRET secret = NULL;
    const mpc_key *key = mpc_keygen_key(r->keygen);
    ks_key row = {.epoch = key->pub.epoch, .presignature_limit = p->cfg.default_presignature_limit};
    tdsa_status st;

    mpc_key_encode_public(&pub, key);
    st = tdsa_buf_check(&pub, err);
    if (st == TDSA_OK && key->sec != NULL) {
        st = mpc_key_encode_secret(&secret, key, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    memcpy(row.key_id, r->key_id, sizeof row.key_id);
    row.created_ms = p->cfg.clock.wall_ms(p->cfg.clock.ctx);
    row.public_part = pub.data;
    row.public_len = pub.len;
    TDSA_FAILPOINT("reshare.before_pending");
    st = ks_key_add_epoch(p->cfg.store, &row, secret, err);
    TDSA_FAILPOINT("reshare.after_pending");
    if (st == TDSA_OK) {
        r->stored = true;
        mpc_keygen_mark_stored(r->keygen);
    }
    return st;
}

/* All have it. Whoever leaves goes on with nothing: the earlier epoch is no use any more. */
static tdsa_status activate(part *p, part_run *r, tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    if (mpc_keygen_gets_share(r->keygen)) {
        TDSA_FAILPOINT("reshare.before_active");
        st = ks_key_move(p->cfg.store, r->key_id, mpc_keygen_key(r->keygen)->pub.epoch,
                         KS_KEY_PENDING, KS_KEY_ACTIVE, err);
        TDSA_FAILPOINT("reshare.after_active");
    }
    if (st != TDSA_OK) {
        return st;
    }
    part_key_release(p, r->key);
    r->key = NULL;
    part_key_replaced(p, r->key_id);
    r->active = true;
    mpc_keygen_mark_active(r->keygen);
    return TDSA_OK;
}

typedef struct {
    const char *key_id;
    uint32_t below;
    uint32_t epochs[PART_OLD_EPOCHS_MAX];
    size_t count;
} old_epochs;

static bool note_epoch(void *ctx, const ks_key *row)
{
    old_epochs *o = ctx;

    if (strcmp(row->key_id, o->key_id) == 0 && row->epoch < o->below) {
        o->epochs[o->count++] = row->epoch;
    }
    return o->count < PART_OLD_EPOCHS_MAX;
}

static tdsa_status erase_old(part *p, const char *key_id, uint32_t below, tdsa_err *err)
{
    old_epochs o = {.key_id = key_id, .below = below};
    uint64_t dropped = 0;
    tdsa_status st = ks_key_each_in(p->cfg.store, KS_KEY_OLD, note_epoch, &o, err);

    for (size_t i = 0; i < o.count && st == TDSA_OK; i++) {
        st = ks_key_drop_epoch(p->cfg.store, key_id, o.epochs[i], err);
        st = st == TDSA_E_NOT_FOUND ? TDSA_OK : st;
    }
    return st == TDSA_OK ? ks_batch_purge(p->cfg.store, key_id, true, &dropped, err) : st;
}

tdsa_status part_epochs_erase(part *p, const char *key_id, uint32_t below, bool leaving,
                              tdsa_err *err)
{
    tdsa_status st;

    TDSA_FAILPOINT("reshare.before_erase");
    if (leaving) {
        part_key_replaced(p, key_id);
        st = ks_key_delete(p->cfg.store, key_id, false, err);
        st = st == TDSA_E_NOT_FOUND ? TDSA_OK : st;
    } else {
        st = erase_old(p, key_id, below, err);
    }
    TDSA_FAILPOINT("reshare.after_erase");
    if (st == TDSA_OK && leaving) {
        part_say(p, TDSA_LOG_INFO, "key %s has moved to others: its share here is wiped", key_id);
    } else if (st == TDSA_OK) {
        part_say(p, TDSA_LOG_INFO, "key %s: shares of epochs before %u are wiped", key_id, below);
    }
    return st;
}

tdsa_status part_reshare_after(part *p, part_run *r, tdsa_err *err)
{
    switch (part_run_round(r)) {
    case MPC_KEYGEN_ROUND_STORED:
        return store_epoch(p, r, err);
    case MPC_RESHARE_ROUND_ACTIVE:
        return activate(p, r, err);
    case MPC_RESHARE_ROUNDS:
        return part_epochs_erase(p, r->key_id, mpc_keygen_key(r->keygen)->pub.epoch,
                                 !mpc_keygen_gets_share(r->keygen), err);
    default:
        return TDSA_OK;
    }
}
