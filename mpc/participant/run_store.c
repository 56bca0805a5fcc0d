#include <string.h>

#include "base/assert.h"
#include "base/failpoint.h"
#include "participant/export.h"
#include "participant/run_internal.h"

/* What of a run is durable before its next message leaves. */

static tdsa_status store_key(part *p, part_run *r, tdsa_err *err)
{
    TDSA_SCOPED_BUF pub = TDSA_BUF_EMPTY;
    TDSA_SCOPED_SECRET secret = NULL;
    const mpc_key *key = mpc_keygen_key(r->keygen);
    tdsa_status st;

    mpc_key_encode_public(&pub, key);
    st = tdsa_buf_check(&pub, err);
    if (st == TDSA_OK) {
        st = mpc_key_encode_secret(&secret, key, err);
    }
    TDSA_FAILPOINT("keygen.before_pending");
    if (st == TDSA_OK) {
        st = ks_key_store(p->cfg.store, r->key_id, key->pub.epoch, pub.data, pub.len, secret, err);
    }
    TDSA_FAILPOINT("keygen.after_pending");
    if (st == TDSA_OK) {
        r->stored = true;
        mpc_keygen_mark_stored(r->keygen);
    }
    return st;
}

static tdsa_status store_batch(ks *store, const part_run *r, tdsa_err *err)
{
    TDSA_SCOPED_BUF data = TDSA_BUF_EMPTY;
    ks_batch b = {.state = KS_BATCH_MADE, .lane = r->lane, .seq = r->seq, .count = r->count};
    tdsa_status st;

    st = mpc_presign_data(r->presign, &data, err);
    if (st == TDSA_OK) {
        st = tdsa_buf_check(&data, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    memcpy(b.beta, mpc_presign_beta(r->presign), sizeof b.beta);
    memcpy(b.key_id, r->key_id, sizeof b.key_id);
    b.epoch = r->key->key->pub.epoch;
    for (size_t i = 0; i < r->member_count; i++) {
        b.members |= 1u << r->members[i];
    }
    b.data = data.data;
    b.data_len = data.len;
    TDSA_FAILPOINT("presign.before_made");
    st = ks_batch_insert(store, &b, err);
    TDSA_FAILPOINT("presign.after_made");
    return st;
}

/* Each new batch makes room: those used up and those void go, with their burn marks; what is not there
 * is refused. */
static tdsa_status free_batch(ks *store, const part_run *r, tdsa_err *purge, tdsa_err *err)
{
    uint64_t dropped = 0;
    tdsa_status st;

    TDSA_FAILPOINT("presign.before_free");
    st = ks_batch_move(store, mpc_presign_beta(r->presign), KS_BATCH_MADE, KS_BATCH_FREE, err);
    TDSA_FAILPOINT("presign.after_free");
    if (st == TDSA_OK) {
        purge->status = ks_batch_purge(store, r->key_id, true, &dropped, purge);
    }
    return st;
}

tdsa_status part_presign_store(ks *store, const part_run *r, tdsa_err *purge, tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    *purge = (tdsa_err){.status = TDSA_OK, .participant = TDSA_NOBODY};
    if (mpc_presign_round(r->presign) == 1) {
        TDSA_FAILPOINT("presign.before_seq");
        st = ks_seq_raise(store, r->key_id, r->key->key->pub.epoch, r->lane, r->seq, err);
        TDSA_FAILPOINT("presign.after_seq");
    } else if (mpc_presign_round(r->presign) == MPC_PRESIGN_ROUNDS) {
        st = free_batch(store, r, purge, err);
    }
    return st;
}

tdsa_status part_batch_store(part *p, const part_run *r, tdsa_err *err)
{
    part_marks_keep(p, r->session->link[r->coordinator]);
    return store_batch(p->cfg.store, r, err);
}

tdsa_status part_run_store(part *p, part_run *r, tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    TDSA_ASSERT(r->kind != RUN_PRESIGN);
    if (r->kind == RUN_RESHARE) {
        return part_reshare_after(p, r, err);
    }
    if (r->kind == RUN_EXPORT) {
        return part_export_after(p, r, err);
    }
    if (part_run_round(r) == MPC_KEYGEN_ROUND_STORED) {
        st = store_key(p, r, err);
    } else if (part_run_round(r) == MPC_KEYGEN_ROUNDS) {
        TDSA_FAILPOINT("keygen.before_active");
        st = ks_key_move(p->cfg.store, r->key_id, mpc_keygen_key(r->keygen)->pub.epoch,
                         KS_KEY_PENDING, KS_KEY_ACTIVE, err);
        TDSA_FAILPOINT("keygen.after_active");
    }
    return st;
}
