#include <stdlib.h>
#include <string.h>

#include "sim/sim_internal.h"

tdsa_status sim_finish(sim *s, uint16_t index, uint64_t op, part_result *out, tdsa_err *err)
{
    const unsigned life = s->node[index].life;
    const uint64_t limit = s->now_ms + 600000;

    if (op == PART_OP_NONE) {
        sim_flush(s);
        return err->status;
    }
    sim_flush(s);
    for (;;) {
        if (s->node[index].life != life || s->node[index].part == NULL) {
            return TDSA_FAIL(err, TDSA_E_UNAVAILABLE, "the caller crashed");
        }
        if (part_op_poll(s->node[index].part, op, out, err)) {
            sim_flush(s);
            return err->status;
        }
        if (s->now_ms > limit) {
            sim_fail(s, "operation never ends", "10 minutes");
        }
        (void)sim_step(s, limit + 1);
    }
}

tdsa_status sim_keygen(sim *s, uint16_t index, grp_curve curve, char *key_id, tdsa_err *err)
{
    const part_key_spec spec = {.curve = curve,
                                .label = "simulated",
                                .policy = part_policy_default(curve, MPC_SCHEME_ECDSA),
                                .presignature_limit = PART_LIMIT_DEFAULT};
    part_result none;
    tdsa_status st;

    if (!sim_is_up(s, index)) {
        return TDSA_FAIL(err, TDSA_E_UNAVAILABLE, "the caller is down");
    }
    st = sim_finish(s, index, part_start_register(s->node[index].part, &spec, 0, key_id, err),
                    &none, err);
    if (st == TDSA_OK && sim_is_up(s, index)) {
        st = sim_finish(s, index, part_start_keygen(s->node[index].part, key_id, 0, err), &none,
                        err);
    }
    return st;
}

tdsa_status sim_reshare(sim *s, uint16_t index, const char *key_id, const part_reshare_spec *spec,
                        tdsa_err *err)
{
    part_result none;

    if (!sim_is_up(s, index)) {
        return TDSA_FAIL(err, TDSA_E_UNAVAILABLE, "the caller is down");
    }
    return sim_finish(s, index, part_start_reshare(s->node[index].part, key_id, spec, 0, err),
                      &none, err);
}

tdsa_status sim_sign(sim *s, uint16_t index, const char *key_id, const uint8_t digest[32],
                     part_sign_result *out, tdsa_err *err)
{
    const part_sign_request req = {
        .key_id = key_id, .digest_alg = TDSA_HASH_SHA256, .payload = digest, .payload_len = 32};
    part_result result;
    tdsa_status st;

    if (!sim_is_up(s, index)) {
        return TDSA_FAIL(err, TDSA_E_UNAVAILABLE, "the caller is down");
    }
    st = sim_finish(s, index, part_start_sign(s->node[index].part, &req, 0, err), &result, err);
    if (st == TDSA_OK) {
        *out = result.sign;
    }
    return st;
}
