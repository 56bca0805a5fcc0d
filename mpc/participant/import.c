#include <stdio.h>
#include <string.h>

#include "participant/run_internal.h"

/*
 * Import of an existing key: the run of a registered key in which the coordinator deals the key that it
 * was given (protocol/import.h). Every participant allows it by itself, and records it first.
 */

static tdsa_status import_allowed(const part *p, tdsa_err *err)
{
    if (!p->cfg.import_keys) {
        return TDSA_FAIL(err, TDSA_E_DENIED, "importKeys is not set here");
    }
    return part_audit_needed(p, "an import", err);
}

static tdsa_status record_it(part *p, const part_run *r, const part_registration *reg,
                             tdsa_err *err)
{
    char text[160];
    int len =
        snprintf(text, sizeof text, "%s %s, asked by participant %u, threshold %u of",
                 grp_curve_name(reg->curve), mpc_scheme_name(reg->scheme), r->coordinator, reg->t);

    for (size_t i = 0; i < reg->n; i++) {
        len += snprintf(text + len, sizeof text - (size_t)len, " %u", reg->members[i].index);
    }
    return part_audit(p, "key.import", r->key_id, text, err);
}

tdsa_status part_import_begin(part *p, part_run *r, const mpc_import_key *key, tdsa_err *err)
{
    mpc_import_cfg cfg = {.dealer = r->coordinator, .key = key};
    part_registration reg;
    tdsa_status st = import_allowed(p, err);

    if (st == TDSA_OK) {
        st = part_run_registered(p, r, &reg, &cfg.keygen, err);
    }
    if (st == TDSA_OK) {
        st = mpc_import_new(&r->keygen, &cfg, err);
    }
    if (st == TDSA_OK) { /* nothing was said yet */
        st = record_it(p, r, &reg, err);
    }
    return st;
}

tdsa_status part_import_read(part *p, const part_import_spec *spec, mpc_import_key *out,
                             tdsa_secret **x, tdsa_err *err)
{
    const grp *g = NULL;
    tdsa_status st = import_allowed(p, err);

    *x = NULL;
    if (st == TDSA_OK) {
        st = part_group(p, spec->key.curve, &g, err);
    }
    if (st == TDSA_OK) {
        st =
            mpc_import_scalar(x, g, spec->private_key, spec->public_key, spec->public_key_len, err);
    }
    if (st == TDSA_OK && spec->expected_key != NULL) {
        TDSA_SCOPED_SECRET again = NULL;

        st = mpc_import_scalar(&again, g, spec->private_key, spec->expected_key,
                               spec->expected_key_len, err);
    }
    out->x = *x;
    if (st == TDSA_OK && spec->chain_code == NULL) {
        return tdsa_rng_fill(&p->cfg.rng, out->cc, sizeof out->cc, err);
    }
    if (st == TDSA_OK) {
        memcpy(out->cc, spec->chain_code, sizeof out->cc);
    }
    return st;
}

static tdsa_status begin_mine(part *p, const part_op *op, const mpc_import_key *key, tdsa_err *err)
{
    part_run *r = NULL;
    const tdsa_status st = part_run_mine(p, &r, op, RUN_IMPORT, err);

    return st == TDSA_OK ? part_run_go(p, r, part_import_begin(p, r, key, err)) : st;
}

uint64_t part_start_import(part *p, const char *key_id, const mpc_import_key *key,
                           uint32_t deadline_ms, tdsa_err *err)
{
    part_op *op = NULL;

    if (part_check_registered(p, key_id, err) != TDSA_OK) {
        return PART_OP_NONE;
    }
    op = part_op_new(p, PART_OP_IMPORT, key_id, deadline_ms, err);
    if (op == NULL) {
        return PART_OP_NONE;
    }
    op->state = OP_RUNNING;
    part_op_event(p, PART_OP_IMPORT, PART_EVENT_STARTED, op->started_ms);
    if (begin_mine(p, op, key, err) != TDSA_OK) {
        part_op_cancel(p, op->id, err);
        return PART_OP_NONE;
    }
    return op->id;
}
