#include <string.h>

#include "participant/internal.h"

/* Keys as callers see them. */

tdsa_status part_key_public(part *p, const ks_key *row, mpc_key **out, tdsa_err *err)
{
    const grp *g = NULL;
    grp_curve curve = GRP_P256;
    tdsa_status st = mpc_key_peek_curve(&curve, row->public_part, row->public_len, err);

    *out = NULL;
    if (st == TDSA_OK) {
        st = part_group(p, curve, &g, err);
    }
    if (st == TDSA_OK) {
        st = mpc_key_decode(out, g, row->public_part, row->public_len, NULL, err);
    }
    return st;
}

static tdsa_status describe_half(part *p, const ks_key *row, part_key_info *out, tdsa_err *err)
{
    part_registration reg;
    ks_key_state state = row->state;
    tdsa_status st = part_registration_of(p, row, &reg, err);

    out->state = state;
    if (st == TDSA_OK) {
        out->curve = reg.curve;
        out->scheme = reg.scheme;
        out->n = reg.n;
        out->t = reg.t;
        out->policy = reg.policy;
    }
    return st;
}

static tdsa_status describe_active(part *p, const ks_key *row, part_key_info *out, tdsa_err *err)
{
    mpc_key *key = NULL;
    tdsa_status st = part_key_public(p, row, &key, err);

    if (st == TDSA_OK) {
        out->curve = key->pub.curve;
        out->scheme = key->pub.scheme;
        out->n = key->pub.n;
        out->t = key->pub.t;
        out->policy = key->pub.policy;
        memcpy(out->chain_code, key->pub.cc, sizeof out->chain_code);
        grp_point_encode_raw(key->g, out->public_key, &key->pub.y);
        out->public_key_len = grp_get_info(key->g)->point_raw_len;
    }
    mpc_key_free(key);
    return st;
}

static void describe_deletion(part *p, const char *key_id, part_key_info *out)
{
    part_deletion_info d;
    tdsa_err err;

    if (part_deletion_describe(p, key_id, &d, &err) == TDSA_OK) {
        out->deletion_ms = d.state == KS_DELETION_SCHEDULED ? d.due_ms : 0;
        out->deletion_pending = d.pending;
    }
}

static tdsa_status describe(part *p, const ks_key *row, part_key_info *out, tdsa_err *err)
{
    memset(out, 0, sizeof *out);
    memcpy(out->key_id, row->key_id, sizeof out->key_id);
    memcpy(out->label, row->label, sizeof out->label);
    out->state = part_key_state(p, row);
    out->created_ms = row->created_ms;
    out->epoch = row->epoch;
    out->presignature_limit = row->presignature_limit;
    out->client_participates = part_has_client(p);
    if (row->attrs_len <= sizeof out->attrs && row->attrs_len > 0) {
        memcpy(out->attrs, row->attrs, row->attrs_len);
        out->attrs_len = row->attrs_len;
    }
    if (row->state == KS_KEY_DELETED) {
        return TDSA_OK;
    }
    if (out->state == KS_KEY_DELETING) {
        describe_deletion(p, row->key_id, out);
    }
    /* Nobody sees the public key before all have stored. */
    return ks_key_in_use(row->state) ? describe_active(p, row, out, err)
                                     : describe_half(p, row, out, err);
}

tdsa_status part_key_describe(part *p, const char *key_id, part_key_info *out, tdsa_err *err)
{
    ks_key *row = NULL;
    tdsa_status st;

    memset(out, 0, sizeof *out);
    if (!part_key_id_ok(key_id)) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no such key");
    }
    st = ks_key_get(p->cfg.store, key_id, &row, err);
    if (st == TDSA_OK && row->state == KS_KEY_DELETED) {
        st = TDSA_FAIL(err, TDSA_E_NOT_FOUND, "key %s was deleted", key_id);
    }
    if (st == TDSA_OK) {
        st = describe(p, row, out, err);
    }
    ks_key_free(row);
    return st;
}

typedef struct {
    part *p;
    size_t left;
    bool all_states;
    part_key_fn fn;
    void *ctx;
    bool stopped;
    tdsa_status st;
    tdsa_err *err;
    char last[KS_KEY_ID_MAX + 1];
    size_t seen;
} list_state;

static bool list_row(void *ctx, const ks_key *row)
{
    list_state *l = ctx;
    part_key_info info;

    l->seen++;
    memcpy(l->last, row->key_id, sizeof l->last);
    if (row->state != KS_KEY_ACTIVE && (!l->all_states || row->state == KS_KEY_DELETED)) {
        return true;
    }
    l->st = describe(l->p, row, &info, l->err);
    if (l->st != TDSA_OK) {
        part_say(l->p, TDSA_LOG_ERROR, "key %s cannot be read: %s", row->key_id, l->err->text);
        l->st = TDSA_OK; /* one odd key must not hide the others */
        return true;
    }
    l->left--;
    l->stopped = !l->fn(l->ctx, &info) || l->left == 0;
    return !l->stopped;
}

/* A key that changed, as DELETED when a list of all would not show it. */
static bool change_row(void *ctx, const ks_key *row)
{
    list_state *l = ctx;
    part_key_info info;

    if (describe(l->p, row, &info, l->err) != TDSA_OK) {
        part_say(l->p, TDSA_LOG_ERROR, "key %s cannot be read: %s", row->key_id, l->err->text);
        info.state = KS_KEY_DELETED;
    }
    return l->fn(l->ctx, &info);
}

static tdsa_status list_page(list_state *l, const part_key_filter *f, size_t page, tdsa_err *err)
{
    ks *store = l->p->cfg.store;
    char from[KS_KEY_ID_MAX + 1];
    const char *after = from;

    memcpy(from, l->last, sizeof from);
    after = from[0] == '\0' ? NULL : from;
    l->seen = 0;
    if (f->label != NULL) {
        return ks_key_each_labelled(store, f->label, after, page, list_row, l, err);
    }
    return ks_key_each(store, after, page, list_row, l, err);
}

tdsa_status part_key_list(part *p, const part_key_filter *filter, part_key_fn fn, void *ctx,
                          tdsa_err *err)
{
    const size_t page = 256;
    list_state l = {.p = p,
                    .left = filter->limit == 0 ? SIZE_MAX : filter->limit,
                    .all_states = filter->all_states,
                    .fn = fn,
                    .ctx = ctx,
                    .err = err};
    tdsa_status st = TDSA_OK;

    if (filter->changed_after != 0) {
        return ks_key_each_changed(p->cfg.store, filter->changed_after, change_row, &l, err);
    }
    if (filter->after != NULL) {
        memcpy(l.last, filter->after, strnlen(filter->after, KS_KEY_ID_MAX));
    }
    do {
        st = list_page(&l, filter, page, err);
    } while (st == TDSA_OK && !l.stopped && l.seen == page);
    return st;
}
