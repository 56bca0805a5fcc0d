#include <string.h>

#include "base/failpoint.h"
#include "participant/internal.h"
#include "participant/sign_batch.h"

/*
 * What follows when a store was put back. The keys are what they were; what was leased and burnt since
 * is forgotten, so nothing of the stock may be used: not here, and not by anybody with this
 * participant in the committee.
 */

/* Leases, sessions and ranges of every key; what waits for answers begins again. */
static void forget_stock(part *p)
{
    tdsa_err why;

    for (part_key *k = p->keys; k != NULL; k = k->next) {
        part_signing_leave(p, k);
        part_keeper_look(p, k);
    }
    for (size_t i = 0; i < PART_SESSION_BUCKETS; i++) {
        for (part_session *s = p->sessions[i]; s != NULL; s = s->next) {
            part_ranges_free(p, s);
        }
    }
    (void)TDSA_FAIL(&why, TDSA_E_NOT_FOUND, "PURGED: the presignatures were given up");
    for (part_op *op = p->ops; op != NULL; op = op->next) {
        const bool asked = op->state == OP_REPLIES || op->state == OP_COINS;
        if (op->kind == PART_OP_SIGN && asked) {
            part_sign_retry(p, op, &why);
        } else if (op->kind == PART_OP_SIGN_BATCH && asked) {
            part_many_retry(p, op, &why);
        }
    }
}

static void alarm(part *p, const ks_marks *mine, const ks_marks *seen)
{
    p->stats.rollbacks++;
    part_say(p, TDSA_LOG_ERROR,
             "ALARM: ROLLBACK_DETECTED: this database counted %llu starts and %llu burns, but had "
             "counted %llu and %llu: an old copy was put in its place. Its presignatures are "
             "purged; keys are kept",
             (unsigned long long)mine->starts, (unsigned long long)mine->burns,
             (unsigned long long)seen->starts, (unsigned long long)seen->burns);
    part_marks_announce(p);
}

static void alarm_moved(part *p, const ks_moved *m)
{
    p->stats.rollbacks++;
    p->stats.purged += m->dropped;
    part_say(
        p, TDSA_LOG_ERROR,
        "ALARM: ROLLBACK_DETECTED: the database is '%s' and was '%s': a copy, restored or failed "
        "over, which may have forgotten the last signatures. Its presignatures are purged; keys "
        "are kept",
        m->now, m->was);
    part_marks_announce(p);
}

void part_moved_due(part *p)
{
    ks_moved moved;
    ks_marks mine;

    if (ks_take_moved(p->cfg.store, &moved)) {
        ks_marks_known(p->cfg.store, &mine);
        p->purges = mine.purges;
        alarm_moved(p, &moved);
        forget_stock(p);
    }
}

uint64_t part_moved_next_due(const part *p)
{
    return ks_has_moved(p->cfg.store) ? 0 : UINT64_MAX;
}

void part_rollback_at_start(part *p)
{
    ks_moved moved;
    ks_marks was;
    ks_marks seen;

    if (ks_take_moved(p->cfg.store, &moved)) {
        alarm_moved(p, &moved);
    }
    if (ks_found_rollback(p->cfg.store, &was, &seen)) {
        alarm(p, &was, &seen);
    }
    ks_marks_known(p->cfg.store, &was);
    p->purges = was.purges;
}

tdsa_status part_rolled_back(part *p, const ks_marks *seen, tdsa_err *err)
{
    uint64_t dropped = 0;
    ks_marks mine;
    tdsa_status st = TDSA_OK;

    ks_marks_known(p->cfg.store, &mine);
    TDSA_FAILPOINT("rollback.before_purge");
    st = ks_purge_all(p->cfg.store, seen, &dropped, err);
    TDSA_FAILPOINT("rollback.after_purge");
    if (st != TDSA_OK) {
        return tdsa_err_wrap(err, "ROLLBACK_DETECTED, but presignatures could not be purged");
    }
    p->stats.purged += dropped;
    alarm(p, &mine, seen);
    ks_marks_known(p->cfg.store, &mine);
    p->purges = mine.purges;
    forget_stock(p);
    return TDSA_OK;
}

tdsa_status part_give_up_stock(part *p, tdsa_err *err)
{
    uint64_t dropped = 0;
    ks_marks mine;
    tdsa_status st = ks_marks_read(p->cfg.store, &mine, err);

    if (st == TDSA_OK) {
        st = ks_purge_all(p->cfg.store, &mine, &dropped, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    p->stats.purged += dropped;
    ks_marks_known(p->cfg.store, &mine);
    p->purges = mine.purges;
    forget_stock(p);
    part_marks_announce(p);
    return TDSA_OK;
}

void part_purged_elsewhere(part *p)
{
    ks_marks now;

    part_moved_due(p);
    ks_marks_known(p->cfg.store, &now);
    if (now.purges != p->purges) {
        p->purges = now.purges;
        forget_stock(p);
    }
}

typedef struct {
    part *p;
    uint16_t peer;
    const peer_keys *keys;
    tdsa_status st;
    tdsa_err *err;
} voiding;

static bool void_of_key(void *ctx, const ks_key *row)
{
    voiding *v = ctx;
    mpc_key *key = NULL;

    if (!ks_key_in_use(row->state)) {
        return true;
    }
    v->st = part_key_public(v->p, row, &key, v->err);
    if (v->st == TDSA_OK && part_members_have(key->pub.members, key->pub.n, v->peer, v->keys)) {
        v->st = ks_batch_void_with(v->p->cfg.store, row->key_id, 1u << v->peer, v->err);
    }
    mpc_key_free(key);
    return v->st == TDSA_OK;
}

tdsa_status part_void_with(part *p, uint16_t peer, const peer_keys *keys, tdsa_err *err)
{
    voiding v = {p, peer, keys, TDSA_OK, err};
    tdsa_status st = ks_key_each(p->cfg.store, NULL, SIZE_MAX, void_of_key, &v, err);

    for (part_key *k = p->keys; k != NULL; k = k->next) {
        if (k->lease != NULL && (k->lease->members >> peer & 1u) != 0 &&
            part_members_have(k->key->pub.members, k->key->pub.n, peer, keys)) {
            part_stock_drop_lease(p, k);
            part_keeper_look(p, k);
        }
    }
    return st == TDSA_OK ? v.st : st;
}
