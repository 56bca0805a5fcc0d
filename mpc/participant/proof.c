#include "base/statement.h"
#include "participant/internal.h"

/* The last step of a signature: it is opened and verified. */

/* Making a table takes as long as what some 650 of its proofs save (P-256: 19 ms, 29 us each). */
#define TABLE_AFTER 1000u

void part_proof_begins(part_key *k, mpc_combine *c)
{
    k->proved++;
    if (k->table != NULL) {
        mpc_combine_use(c, k->table);
    }
}

bool part_take_proof(part *p, uint64_t id, part_proof *out)
{
    part_op *op = part_op_find(p, id);

    if (op == NULL || op->state != OP_PROVING || op->combine == NULL) {
        return false;
    }
    *out = (part_proof){.op = id,
                        .attempt = op->tries,
                        .key = part_key_ref(op->key),
                        .batch = part_batch_ref(op->batch),
                        .combine = op->combine,
                        .replies = op->replies};
    op->combine = NULL;
    op->replies = TDSA_BUF_EMPTY;
    part_proof_begins(op->key, out->combine);
    return true;
}

void part_prove(part_proof *proof)
{
    tdsa_reader r = tdsa_reader_of(proof->replies.data, proof->replies.len);
    tdsa_status st = tdsa_buf_check(&proof->replies, &proof->err);

    while (st == TDSA_OK && tdsa_reader_left(&r) > 0) {
        const uint16_t from = (uint16_t)tdsa_stmt_read_uint(&r);
        size_t len = 0;
        const uint8_t *reply = tdsa_stmt_read_octets(&r, &len, TDSA_BUF_LEN_MAX);

        st = mpc_combine_take(proof->combine, from, reply, len, &proof->err);
    }
    if (st == TDSA_OK) {
        st = mpc_combine_finish(proof->combine, &proof->sig, &proof->err);
    }
    proof->err.status = st;
}

void part_give_proof(part *p, part_proof *proof)
{
    part_op *op = part_op_find(p, proof->op);

    /* its time may be over, or its key gone, since */
    if (op != NULL && op->state == OP_PROVING && op->tries == proof->attempt) {
        if (proof->err.status == TDSA_OK) {
            part_sign_release(p, op, &proof->sig);
        } else {
            part_sign_broken(p, op, &proof->err);
        }
    }
    if (op != NULL) {
        part_wave_try(p, op->signing_id);
    }
    tdsa_buf_clear(&proof->replies);
    mpc_combine_free(proof->combine);
    part_batch_release(p, proof->batch);
    part_key_release(p, proof->key);
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
