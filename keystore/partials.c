#include <string.h>

#include "keystore/internal.h"

/* Records of partial signatures: what a presignature that was given away on its own has answered. */

static tdsa_status check_place(const uint8_t *beta, uint32_t index, tdsa_err *err)
{
    (void)beta;
    if (index >= KS_BATCH_COUNT_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a batch has no presignature %u", index);
    }
    return TDSA_OK;
}

tdsa_status ks_partial_burn(ks *s, const ks_partial *row, tdsa_err *err)
{
    uint64_t burns = 0;
    tdsa_status st = ks_check_key_id(row->key_id, err);

    if (st == TDSA_OK) {
        st = check_place(row->beta, row->index, err);
    }
    if (st == TDSA_OK && row->expires_ms > KS_SEQ_MAX) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a partial signature that never expires");
    }
    if (st != TDSA_OK) {
        return st;
    }
    ks_enter(s);
    st = s->backend->ops->partial_burn(s->backend, row, &burns, err);
    return ks_leave_burn(s, st, burns, err);
}

tdsa_status ks_partial_get(ks *s, const uint8_t beta[KS_BETA_LEN], uint32_t index, ks_partial *out,
                           tdsa_err *err)
{
    tdsa_status st = check_place(beta, index, err);

    memset(out, 0, sizeof *out);
    if (st != TDSA_OK) {
        return st;
    }
    ks_enter(s);
    st = s->backend->ops->partial_get(s->backend, beta, index, out, err);
    ks_leave(s);
    return st;
}

tdsa_status ks_partial_fail(ks *s, const uint8_t beta[KS_BETA_LEN], uint32_t index, tdsa_err *err)
{
    tdsa_status st = check_place(beta, index, err);

    if (st != TDSA_OK) {
        return st;
    }
    ks_enter(s);
    return ks_leave_commit(s, s->backend->ops->partial_fail(s->backend, beta, index, err));
}

tdsa_status ks_partial_collect(ks *s, uint64_t before_ms, uint64_t *left, tdsa_err *err)
{
    tdsa_status st;

    *left = 0;
    if (before_ms > KS_SEQ_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "no time: %llu", (unsigned long long)before_ms);
    }
    ks_enter(s);
    st = s->backend->ops->partial_collect(s->backend, before_ms, left, err);
    ks_leave(s);
    return st;
}
