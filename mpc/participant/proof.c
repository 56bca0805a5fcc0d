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
                        .combine = op->combine};
    op->combine = NULL;
    part_proof_begins(op->key, out->combine);
    return true;
}

void part_prove(part_proof *proof)
{
    proof->err.status = mpc_combine_finish(proof->combine, &proof->sig, &proof->err);
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
