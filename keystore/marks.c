#include "keystore/internal.h"

/* The counters of the database: by them it is seen that an old copy was put in its place. */

tdsa_status ks_leave_burn(ks *s, tdsa_status st, uint64_t burns)
{
    if (st == TDSA_OK && burns > s->marks.burns) {
        s->marks.burns = burns;
    }
    return ks_leave_commit(s, st);
}

static tdsa_status read_all(ks *s, ks_marks *out, tdsa_err *err)
{
    const ks_backend_ops *ops = s->backend->ops;
    tdsa_status st = ops->counter_get(s->backend, KS_COUNTER_START, &out->starts, err);

    if (st == TDSA_OK) {
        st = ops->counter_get(s->backend, KS_COUNTER_BURN, &out->burns, err);
    }
    if (st == TDSA_OK) {
        st = ops->counter_get(s->backend, KS_COUNTER_PURGE, &out->purges, err);
    }
    return st;
}

tdsa_status ks_marks_read(ks *s, ks_marks *out, tdsa_err *err)
{
    ks_marks now = {.store_id = s->marks.store_id};
    tdsa_status st;

    *out = (ks_marks){0};
    ks_enter(s);
    st = read_all(s, &now, err);
    if (st == TDSA_OK) {
        s->marks = now;
        *out = now;
    }
    ks_leave(s);
    return st;
}

void ks_marks_known(ks *s, ks_marks *out)
{
    ks_enter(s);
    *out = s->marks;
    ks_leave(s);
}

tdsa_status ks_purge_all(ks *s, const ks_marks *at_least, uint64_t *dropped, tdsa_err *err)
{
    ks_marks now = {.store_id = s->marks.store_id};
    tdsa_status st;

    *dropped = 0;
    if (at_least->starts >= KS_SEQ_MAX || at_least->burns >= KS_SEQ_MAX ||
        at_least->purges >= KS_SEQ_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a counter of the store would be too large");
    }
    ks_enter(s);
    st = s->backend->ops->purge_all(s->backend, at_least, dropped, err);
    if (st == TDSA_OK) {
        st = read_all(s, &now, err);
    }
    if (st == TDSA_OK) {
        s->marks = now;
    }
    return ks_leave_commit(s, st);
}

tdsa_status ks_batch_void_with(ks *s, const char *key_id, uint32_t members, tdsa_err *err)
{
    tdsa_status st = ks_check_key_id(key_id, err);

    if (st != TDSA_OK) {
        return st;
    }
    ks_enter(s);
    return ks_leave_commit(s, s->backend->ops->batch_void_with(s->backend, key_id, members, err));
}
