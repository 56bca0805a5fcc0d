#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/statement.h"
#include "fuzz/protocol/fuzz_change.h"
#include "participant/internal.h"
#include "sim/sim_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUTS_PER_GROUP 128u
#define ITEMS            3u

/* A group with one ACTIVE key; participant 0 coordinates and has presignatures. */
typedef struct {
    sim *sim;
    char key_id[KS_KEY_ID_MAX + 1];
    unsigned inputs;
} group;

static void group_start(group *g)
{
    const sim_cfg cfg = {.seed = 7, .n = 3, .t = 1, .delay_max_ms = 1};
    part_result none;
    tdsa_err err;

    memset(g, 0, sizeof *g);
    g->sim = sim_new(&cfg);
    sim_must(g->sim, sim_keygen(g->sim, 0, GRP_P256, g->key_id, &err), "keygen", &err);
    sim_must(g->sim,
             sim_finish(g->sim, 0,
                        part_start_presign(sim_part(g->sim, 0), g->key_id, 1024, 0, &err), &none,
                        &err),
             "presign", &err);
    g->sim->dishonest = 1u << 0;
    g->sim->lied = true;
}

/* One request of the batch, about the next presignature of the lease. */
static void put_item(group *g, part_key *k, tdsa_buf *out)
{
    static const uint8_t digest[32] = {3};
    TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF item = TDSA_BUF_EMPTY;
    part *p = sim_part(g->sim, 0);
    part_batch *b = NULL;
    mpc_request q;
    tdsa_err err;

    memset(&q, 0, sizeof q);
    sim_must(g->sim, part_stock_take(p, k, &b, &q.index, &err), "stock", &err);
    sim_must(g->sim, mpc_request_for_key(&q, k->key, &err), "request", &err);
    memcpy(q.beta, mpc_batch_beta(b->batch), sizeof q.beta);
    q.committee_count = 3;
    memcpy(q.committee, mpc_batch_committee(b->batch), 3 * sizeof q.committee[0]);
    q.digest_alg = TDSA_HASH_SHA256;
    q.payload = digest;
    q.payload_len = sizeof digest;
    mpc_request_encode(&bytes, &q);
    tdsa_stmt_uint(&item, k->lease_from);
    tdsa_stmt_uint(&item, k->lease_end);
    tdsa_stmt_octets(&item, bytes.data, bytes.len);
    tdsa_stmt_octets(out, item.data, item.len);
    part_batch_release(p, b);
}

/* Participant 0 asks participant 1 a changed batch (part_ask_sign_batch). */
static void ask_changed(group *g, const fuzz_change *change)
{
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    part *p = sim_part(g->sim, 0);
    part_op *op = NULL;
    part_key *k = NULL;
    part_result none;
    part_question question = {.peer = 1, .ask = {.kind = PART_ASK_SIGN_BATCH}};
    size_t list = 0;
    tdsa_err err;

    sim_must(g->sim, part_key_hold(p, g->key_id, &k, &err), "key", &err);
    sim_must(g->sim, part_signing_session(p, k, 7, &question.session, &err), "session", &err);
    op = part_op_new(p, PART_OP_REGISTER, g->key_id, 0, &err); /* one answer, any body */
    fuzz_require(op != NULL);
    op->waiting = 1u << 1;
    tdsa_stmt_begin(&body, "batch-request");
    tdsa_stmt_uint(&body, PART_BATCH_REPLIES);
    list = tdsa_stmt_list_begin(&body);
    for (unsigned i = 0; i < ITEMS; i++) {
        put_item(g, k, &body);
    }
    tdsa_stmt_list_end(&body, list);
    fuzz_change_apply(change, &body);
    question.op = question.for_op = op->id;
    question.deadline_ms = op->deadline_ms;
    question.ask.body = body.data;
    question.ask.body_len = body.len;
    if (part_put(p, &question, &err) == TDSA_OK) {
        (void)!sim_finish(g->sim, 0, op->id, &none, &err);
    } else {
        part_op_cancel(p, op->id, &err);
    }
    part_key_release(p, k);
}

/* Participant 1 gives participant 0 a changed answer to its batch (part_many_answered). */
static void answer_changed(group *g, const fuzz_change *change)
{
    static const uint8_t digest[32] = {4};
    const part_sign_request req = {
        .digest_alg = TDSA_HASH_SHA256, .payload = digest, .payload_len = sizeof digest};
    const part_sign_request reqs[ITEMS] = {req, req, req};
    const part_answer one = {.status = TDSA_OK, .body = digest, .body_len = sizeof digest};
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF answer = TDSA_BUF_EMPTY;
    part *p = sim_part(g->sim, 0);
    part_batch_item out[ITEMS];
    part_answer a = {.status = TDSA_OK};
    part_result none;
    uint64_t op = PART_OP_NONE;
    size_t list = 0;
    tdsa_err err;

    op = part_start_sign_batch(p, g->key_id, reqs, ITEMS, 0, out, &err);
    fuzz_require(op != PART_OP_NONE);
    part_answer_put(&answer, &one);
    tdsa_stmt_begin(&body, "batch-answer");
    list = tdsa_stmt_list_begin(&body);
    for (unsigned i = 0; i < ITEMS; i++) {
        tdsa_stmt_octets(&body, answer.data, answer.len);
    }
    tdsa_stmt_list_end(&body, list);
    fuzz_change_apply(change, &body);
    a.body = body.data;
    a.body_len = body.len;
    part_op_answered(p, op, 1, &a);
    (void)!sim_finish(g->sim, 0, op, &none, &err);
    for (unsigned i = 0; i < ITEMS; i++) { /* what participant 1 said cannot make a signature */
        fuzz_require(out[i].err.status != TDSA_OK);
    }
}

/* The first byte says whether the question or the answer is changed. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static group g;
    fuzz_change change;

    if (size < 1 || !fuzz_change_read(&change, 1, data + 1, size - 1)) {
        return 0;
    }
    if (g.sim == NULL || ++g.inputs == INPUTS_PER_GROUP) {
        if (g.sim != NULL) {
            sim_free(g.sim);
        }
        group_start(&g);
    }
    if ((data[0] & 1) == 0) {
        ask_changed(&g, &change);
    } else {
        answer_changed(&g, &change);
    }
    return 0;
}
