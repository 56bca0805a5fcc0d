#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/statement.h"
#include "fuzz/protocol/fuzz_change.h"
#include "participant/internal.h"
#include "sim/sim_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUTS_PER_GROUP 256u

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
             sim_finish(g->sim, 0, part_start_presign(sim_part(g->sim, 0), g->key_id, 64, 0, &err),
                        &none, &err),
             "presign", &err);
    g->sim->dishonest = 1u << 0;
}

/* What the coordinator would ask now, about a presignature of its lease. */
static void honest_body(group *g, part_key *k, part_op *op, tdsa_buf *out)
{
    static const uint8_t digest[32] = {3};
    mpc_request q;
    tdsa_err err;

    sim_must(g->sim, mpc_request_for_key(&q, k->key, &err), "request", &err);
    q.index = op->request.index;
    memcpy(q.beta, mpc_batch_beta(op->batch->batch), sizeof q.beta);
    q.committee_count = 3;
    memcpy(q.committee, mpc_batch_committee(op->batch->batch), 3 * sizeof q.committee[0]);
    q.digest_alg = TDSA_HASH_SHA256;
    q.payload = digest;
    q.payload_len = sizeof digest;
    q.path_len = 0;
    q.low_s = false;
    op->request = q;
    mpc_request_encode(&op->q, &q);
    sim_must(g->sim, tdsa_buf_check(&op->q, &err), "request", &err);
    op->own_due = true;
    tdsa_stmt_begin(out, "sign-request");
    tdsa_stmt_uint(out, k->lease_from);
    tdsa_stmt_uint(out, k->lease_end);
    tdsa_stmt_octets(out, op->q.data, op->q.len);
}

/* The coordinator asks participant 1 with a changed sign-request (part_ask_sign, mpc_request_decode,
 * the policy, the burn): nothing may break, and a changed request about the true presignature is
 * refused or answered, never both at two inputs. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static group g;
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    fuzz_change change;
    part_session *session = NULL;
    part_result result;
    part_key *k = NULL;
    part_op *op = NULL;
    part *p = NULL;
    tdsa_err err;

    if (!fuzz_change_read(&change, 1, data, size)) {
        return 0;
    }
    if (g.sim == NULL || ++g.inputs == INPUTS_PER_GROUP) {
        if (g.sim != NULL) {
            sim_free(g.sim);
        }
        group_start(&g);
    }
    p = sim_part(g.sim, 0);
    sim_must(g.sim, part_key_hold(p, g.key_id, &k, &err), "key", &err);
    op = part_op_new(p, PART_OP_SIGN, g.key_id, 0, &err);
    fuzz_require(op != NULL);
    op->key = k;
    op->state = OP_REPLIES;
    sim_must(g.sim, part_signing_session(p, k, 7, &session, &err), "session", &err);
    if (part_stock_take(p, k, &op->batch, &op->request.index, &err) != TDSA_OK) {
        part_op_cancel(p, op->id, &err);
        sim_free(g.sim);
        g.sim = NULL;
        return 0;
    }
    honest_body(&g, k, op, &body);
    fuzz_change_apply(&change, &body);
    {
        const part_question question = {
            .session = session,
            .peer = 1,
            .op = op->id,
            .for_op = op->id,
            .deadline_ms = op->deadline_ms,
            .ask = {.kind = PART_ASK_SIGN, .body = body.data, .body_len = body.len}};

        if (part_put(p, &question, &err) == TDSA_OK) {
            op->tries = 1000; /* once */
            (void)!sim_finish(g.sim, 0, op->id, &result, &err);
        } else {
            part_op_cancel(p, op->id, &err);
        }
    }
    return 0;
}
