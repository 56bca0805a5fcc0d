#include <string.h>

#include "keystore/internal.h"

/* Orders to delete a key and to undo that. Their meaning is the participant's (mpc/participant). */

tdsa_status ks_deletion_put(ks *s, const ks_deletion *d, const ks_deletion *was, tdsa_err *err)
{
    tdsa_status st = ks_check_deletion(d, err);

    if (st == TDSA_OK && was != NULL && was->state == KS_DELETION_WIPED) {
        st = TDSA_FAIL(err, TDSA_E_CONFLICT, "key %s is wiped", d->key_id);
    }
    if (st != TDSA_OK) {
        return st;
    }
    ks_enter(s);
    return ks_leave_commit(s, s->backend->ops->deletion_put(s->backend, d, was, err));
}

tdsa_status ks_deletion_told(ks *s, const ks_deletion *d, uint32_t told, tdsa_err *err)
{
    tdsa_status st = ks_check_deletion(d, err);

    if (st != TDSA_OK) {
        return st;
    }
    ks_enter(s);
    return ks_leave_commit(s, s->backend->ops->deletion_told(s->backend, d, told, err));
}

typedef struct {
    ks *s;
    ks_deletion_fn fn;
    void *ctx;
} each_checked;

/* A damaged order is counted and passed over. */
static bool give_checked(void *ctx, const ks_deletion *d)
{
    const each_checked *e = ctx;
    tdsa_err err;

    if (ks_check_deletion(d, &err) != TDSA_OK) {
        err.status = TDSA_E_STORE;
        (void)ks_refused(e->s, err.status, &err);
        return true;
    }
    return e->fn(e->ctx, d);
}

tdsa_status ks_deletion_each_open(ks *s, ks_deletion_fn fn, void *ctx, tdsa_err *err)
{
    each_checked e = {s, fn, ctx};
    tdsa_status st;

    ks_enter(s);
    st = s->backend->ops->deletion_each(s->backend, NULL, give_checked, &e, err);
    ks_leave(s);
    return st;
}

static bool take_one(void *ctx, const ks_deletion *d)
{
    memcpy(ctx, d, sizeof *d);
    return false;
}

tdsa_status ks_deletion_get(ks *s, const char *key_id, ks_deletion *out, tdsa_err *err)
{
    each_checked e = {s, take_one, out};
    tdsa_status st = ks_check_key_id(key_id, err);

    memset(out, 0, sizeof *out);
    if (st != TDSA_OK) {
        return st;
    }
    ks_enter(s);
    st = s->backend->ops->deletion_each(s->backend, key_id, give_checked, &e, err);
    ks_leave(s);
    if (st == TDSA_OK && out->serial == 0) {
        st = TDSA_FAIL(err, TDSA_E_NOT_FOUND, "there is no order about key %s", key_id);
    }
    return st;
}
