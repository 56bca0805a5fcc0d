#include "base/statement.h"
#include "participant/internal.h"

/* The last step of a signature: it is opened and verified. */

/* Making a table takes as long as what some 650 of its proofs save (P-256: 19 ms, 29 us each). */
#define TABLE_AFTER 1000u

const grp_table *part_proof_begins(part_key *k)
{
    k->proved++;
    return k->table;
}

bool part_hand_replies(part *p, part_sign_work *w)
{
    part_op *op = part_op_find(p, w->op);

    if (w->key == NULL || w->complete || op == NULL || op->state != OP_PROVING ||
        op->tries != w->attempt) {
        return false;
    }
    w->replies = op->replies;
    op->replies = TDSA_BUF_EMPTY;
    w->complete = true;
    w->table = part_proof_begins(op->key);
    return true;
}

bool part_can_prove(const part_sign_work *w)
{
    return w->complete && !w->proved && w->err.status == TDSA_OK;
}

void part_prove(part_sign_work *w)
{
    tdsa_reader r = tdsa_reader_of(w->replies.data, w->replies.len);
    tdsa_status st = tdsa_buf_check(&w->replies, &w->err);

    while (st == TDSA_OK && tdsa_reader_left(&r) > 0) {
        const uint16_t from = (uint16_t)tdsa_stmt_read_uint(&r);
        size_t len = 0;
        const uint8_t *reply = tdsa_stmt_read_octets(&r, &len, TDSA_BUF_LEN_MAX);

        st = mpc_combine_take(w->combine, from, reply, len, &w->err);
    }
    if (st == TDSA_OK && w->table != NULL) {
        mpc_combine_use(w->combine, w->table);
    }
    if (st == TDSA_OK) {
        st = mpc_combine_finish(w->combine, &w->sig, &w->err);
    }
    w->proved = true;
    w->err.status = st;
}

static void conclude(part *p, part_op *op, const part_sign_work *w)
{
    if (w->err.status == TDSA_OK) {
        part_sign_release(p, op, &w->sig);
    } else if (w->proved) {
        part_sign_broken(p, op, &w->err);
    } else {
        part_op_end(p, op, &w->err);
    }
}

void part_give_sign(part *p, part_sign_work *w)
{
    part_op *op = part_op_find(p, w->op);

    if (w->key == NULL) {
        return;
    }
    /* its time may be over, or its key gone, or another attempt under way, since */
    if (op != NULL && (op->state == OP_REPLIES || op->state == OP_PROVING) &&
        op->tries == w->attempt && (w->proved || w->err.status != TDSA_OK)) {
        conclude(p, op, w);
    }
    if (op != NULL && w->complete) {
        part_wave_try(p, op->signing_id);
    }
    tdsa_buf_clear(&w->q);
    tdsa_buf_clear(&w->replies);
    mpc_combine_free(w->combine);
    part_batch_release(p, w->batch);
    part_key_release(p, w->key);
    *w = (part_sign_work){.op = PART_OP_NONE};
}

/* ---- tables ---- */

bool part_take_table(part *p, const char *key_id, part_table_work *out)
{
    part_key *k = part_key_in_memory(p, key_id);

    if (k == NULL || k->tabled || k->proved < TABLE_AFTER || p->table_count >= PART_TABLES_MAX ||
        k->key->pub.scheme != MPC_SCHEME_ECDSA) {
        return false;
    }
    k->tabled = true;
    p->table_count++;
    *out = (part_table_work){.key = part_key_ref(k)};
    return true;
}

void part_make_table(part_table_work *w)
{
    w->table = grp_table_new_vartime(w->key->key->g, &w->key->key->pub.y);
}

void part_give_table(part *p, part_table_work *w)
{
    w->key->table = w->table;
    if (w->table == NULL) {
        p->table_count--;
    }
    part_key_release(p, w->key);
}
