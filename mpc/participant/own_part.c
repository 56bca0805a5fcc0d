#include "participant/internal.h"

/* My own part of a signature that I coordinate: the context, which is public and takes longest, and my
 * reply. */

bool part_take_sign(part *p, uint64_t id, part_sign_work *w)
{
    part_op *op = part_op_find(p, id);

    if (op == NULL || !op->own_due) {
        return false;
    }
    part_give_sign(p, w);
    op->own_due = false;
    *w = (part_sign_work){.op = id,
                          .attempt = op->tries,
                          .key = part_key_ref(op->key),
                          .batch = part_batch_ref(op->batch),
                          .request = op->request,
                          .q = op->q,
                          .context = op->context,
                          .replies = TDSA_BUF_EMPTY};
    op->q = TDSA_BUF_EMPTY;
    return true;
}

static tdsa_status own_reply(part_sign_work *w, tdsa_err *err)
{
    TDSA_SCOPED_BUF reply = TDSA_BUF_EMPTY;
    const mpc_key *key = w->key->key;
    tdsa_status st;

    st = mpc_combine_new(&w->combine, key, w->batch->batch, &w->context, err);
    if (st == TDSA_OK) {
        st = mpc_sign_reply(&reply, key, w->batch->batch, &w->request, &w->context, err);
    }
    if (st == TDSA_OK) {
        st = tdsa_buf_check(&reply, err);
    }
    if (st == TDSA_OK) {
        st = mpc_combine_take(w->combine, key->pub.me, reply.data, reply.len, err);
    }
    return st;
}

void part_make_sign(part_sign_work *w)
{
    tdsa_status st = TDSA_OK;

    if (!w->key->key->pub.policy.prepare) {
        st = mpc_context_new(&w->context, w->key->key, w->batch->batch, &w->request, w->q.data,
                             w->q.len, &w->err);
    }
    w->err.status = st == TDSA_OK ? own_reply(w, &w->err) : st;
}
