#include "participant/internal.h"

/* My own part of a signature that I coordinate: the context, which is public and takes longest, and my
 * reply. */

tdsa_status part_own_reply(part *p, part_op *op, tdsa_err *err)
{
    TDSA_SCOPED_BUF reply = TDSA_BUF_EMPTY;
    tdsa_status st;

    st = mpc_combine_new(&op->combine, op->key->key, op->batch->batch, &op->context, err);
    if (st == TDSA_OK) {
        st =
            mpc_sign_reply(&reply, op->key->key, op->batch->batch, &op->request, &op->context, err);
    }
    if (st == TDSA_OK) {
        st = tdsa_buf_check(&reply, err);
    }
    if (st == TDSA_OK) {
        st = mpc_combine_take(op->combine, p->cfg.roster.me, reply.data, reply.len, err);
    }
    return st;
}

bool part_take_context(part *p, uint64_t id, part_context_work *out)
{
    part_op *op = part_op_find(p, id);

    if (op == NULL || !op->context_due) {
        return false;
    }
    op->context_due = false;
    *out = (part_context_work){.op = id,
                               .attempt = op->tries,
                               .key = part_key_ref(op->key),
                               .batch = part_batch_ref(op->batch),
                               .request = op->request,
                               .q = op->q};
    op->q = TDSA_BUF_EMPTY;
    return true;
}

void part_make_context(part_context_work *w)
{
    w->err.status = mpc_context_new(&w->context, w->key->key, w->batch->batch, &w->request,
                                    w->q.data, w->q.len, &w->err);
}

void part_give_context(part *p, part_context_work *w)
{
    part_op *op = part_op_find(p, w->op);

    /* its time may be over, or another attempt under way, since */
    if (op != NULL && (op->state == OP_REPLIES || op->state == OP_PROVING) &&
        op->tries == w->attempt) {
        op->context = w->context;
        if (w->err.status == TDSA_OK) {
            w->err.status = part_own_reply(p, op, &w->err);
        }
        if (w->err.status != TDSA_OK) {
            part_op_end(p, op, &w->err);
        }
    }
    tdsa_buf_clear(&w->q);
    part_batch_release(p, w->batch);
    part_key_release(p, w->key);
}
