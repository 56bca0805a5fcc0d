#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/dh.h"
#include "base/failpoint.h"
#include "base/statement.h"
#include "participant/internal.h"

/* Registration of keys. The registration record is what all compare. */

#define NEW_KEY_ID_LEN 28u

bool part_key_id_ok(const char *key_id)
{
    const size_t len = strnlen(key_id, KS_KEY_ID_MAX + 1);

    if (len == 0 || len > KS_KEY_ID_MAX) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        const char c = key_id[i];
        const bool ok = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                        (c >= 'a' && c <= 'z') || c == '-' || c == '_' || c == '.';
        if (!ok) {
            return false;
        }
    }
    return true;
}

bool part_member_is(const mpc_member *m, const peer_keys *keys)
{
    return tdsa_ct_equal(m->x25519, keys->x25519, sizeof m->x25519) &&
           tdsa_ct_equal(m->x448, keys->x448, sizeof m->x448);
}

bool part_members_have(const mpc_member *members, size_t count, uint16_t index,
                       const peer_keys *keys)
{
    for (size_t i = 0; i < count; i++) {
        if (members[i].index == index) {
            return part_member_is(&members[i], keys);
        }
    }
    return false;
}

/* ---- the record ---- */

static void put_registration(tdsa_buf *out, const part_registration *r)
{
    TDSA_SCOPED_BUF policy = TDSA_BUF_EMPTY;
    size_t list = 0;

    mpc_policy_encode(&policy, &r->policy);
    out->failed = out->failed || policy.failed;
    tdsa_stmt_begin(out, "registration");
    tdsa_stmt_text(out, r->key_id);
    tdsa_stmt_text(out, grp_curve_name(r->curve));
    tdsa_stmt_text(out, mpc_scheme_name(r->scheme));
    tdsa_stmt_uint(out, r->n);
    tdsa_stmt_uint(out, r->t);
    tdsa_stmt_octets(out, policy.data, policy.len);
    list = tdsa_stmt_list_begin(out);
    for (size_t i = 0; i < r->n; i++) {
        tdsa_stmt_octets(out, r->members[i].x25519, TDSA_X25519_LEN);
        tdsa_stmt_octets(out, r->members[i].x448, TDSA_X448_LEN);
    }
    tdsa_stmt_list_end(out, list);
}

static tdsa_status parse_registration(part_registration *out, const uint8_t *in, size_t len,
                                      tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(in, len);
    tdsa_reader list;
    char curve[32];
    char scheme[32];
    uint64_t n = 0;
    uint64_t t = 0;
    const uint8_t *policy = NULL;
    size_t policy_len = 0;
    tdsa_status st;

    memset(out, 0, sizeof *out);
    tdsa_stmt_expect(&r, "registration");
    tdsa_stmt_read_text(&r, out->key_id, sizeof out->key_id);
    tdsa_stmt_read_text(&r, curve, sizeof curve);
    tdsa_stmt_read_text(&r, scheme, sizeof scheme);
    n = tdsa_stmt_read_uint(&r);
    t = tdsa_stmt_read_uint(&r);
    policy = tdsa_stmt_read_octets(&r, &policy_len, 1024);
    list = tdsa_stmt_read_list(&r);
    st = tdsa_reader_finish(&r, "registration", err);
    if (st != TDSA_OK) {
        return st;
    }
    if (n < 3 || n > GRP_PARTIES_MAX || t < 1 || t > GRP_THRESHOLD_MAX ||
        !part_key_id_ok(out->key_id) || !mpc_scheme_by_name(&out->scheme, scheme)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "registration out of range");
    }
    if (!grp_curve_by_name(&out->curve, curve)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "unknown curve '%s'", curve);
    }
    if (!mpc_scheme_fits(out->scheme, out->curve)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "no %s keys on %s", scheme, curve);
    }
    out->n = (uint16_t)n;
    out->t = (uint16_t)t;
    for (uint16_t i = 0; i < out->n; i++) {
        out->members[i].index = i;
        tdsa_stmt_read_exact(&list, out->members[i].x25519, TDSA_X25519_LEN);
        tdsa_stmt_read_exact(&list, out->members[i].x448, TDSA_X448_LEN);
    }
    st = tdsa_reader_finish(&list, "registration members", err);
    return st == TDSA_OK ? mpc_policy_decode(&out->policy, policy, policy_len, err) : st;
}

static tdsa_status registration_of_share(part *p, const ks_key *row, part_registration *out,
                                         tdsa_err *err)
{
    mpc_key *key = NULL;
    tdsa_status st = part_key_public(p, row, &key, err);

    if (st == TDSA_OK) {
        memset(out, 0, sizeof *out);
        memcpy(out->key_id, key->pub.key_id, sizeof out->key_id);
        out->curve = key->pub.curve;
        out->scheme = key->pub.scheme;
        out->n = key->pub.n;
        out->t = key->pub.t;
        out->policy = key->pub.policy;
        memcpy(out->members, key->pub.members, sizeof out->members);
    }
    mpc_key_free(key);
    return st;
}

tdsa_status part_registration_of(part *p, const ks_key *row, part_registration *out, tdsa_err *err)
{
    switch (row->state) {
    case KS_KEY_REGISTERED:
        return parse_registration(out, row->public_part, row->public_len, err);
    case KS_KEY_PENDING:
    case KS_KEY_ACTIVE:
    case KS_KEY_OLD:
    case KS_KEY_DELETING:
    case KS_KEY_RESTORED:
        return registration_of_share(p, row, out, err);
    case KS_KEY_DELETED:
        break;
    }
    return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "DELETED: key %s was deleted", row->key_id);
}

tdsa_status part_registration_load(part *p, const char *key_id, part_registration *out,
                                   ks_key_state *state, tdsa_err *err)
{
    ks_key *row = NULL;
    tdsa_status st = ks_key_get(p->cfg.store, key_id, &row, err);

    if (st == TDSA_OK) {
        *state = row->state;
        st = part_registration_of(p, row, out, err);
    }
    ks_key_free(row);
    return st;
}

/* Stores the record; an equal one that is there already is fine. */
static tdsa_status store_registration(part *p, ks_key *row, tdsa_err *err)
{
    ks_key *old = NULL;
    tdsa_status st;

    TDSA_FAILPOINT("register.before_store");
    st = ks_key_register(p->cfg.store, row, err);
    TDSA_FAILPOINT("register.after_store");
    if (st != TDSA_E_CONFLICT) {
        return st;
    }
    st = ks_key_get(p->cfg.store, row->key_id, &old, err);
    if (st == TDSA_OK && (old->state != KS_KEY_REGISTERED || old->public_len != row->public_len ||
                          !tdsa_ct_equal(old->public_part, row->public_part, row->public_len))) {
        st = TDSA_FAIL(err, TDSA_E_CONFLICT, "key %s exists already", row->key_id);
    }
    ks_key_free(old);
    return st;
}

/* ---- coordinator: register ---- */

static tdsa_status new_key_id(const part *p, char *out, tdsa_err *err)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    size_t n = 0;

    while (n < NEW_KEY_ID_LEN) {
        uint8_t b = 0;
        const tdsa_status st = tdsa_rng_fill(&p->cfg.rng, &b, 1, err);
        if (st != TDSA_OK) {
            return st;
        }
        if (b < 248) { /* 4 * 62: no bias */
            out[n++] = digits[b % 62];
        }
    }
    out[n] = '\0';
    return TDSA_OK;
}

static tdsa_status fill_members(const part *p, part_registration *r, tdsa_err *err)
{
    const peer_roster *roster = &p->cfg.roster;

    for (uint16_t i = 0; i < roster->n; i++) {
        const peer_entry *e = peer_roster_selected(roster, i);
        const peer_keys *keys = i == roster->me ? &roster->my_public : NULL;

        if (keys == NULL && e != NULL) {
            keys = &e->keys;
        }
        if (keys == NULL) {
            return TDSA_FAIL(err, TDSA_E_CONFIG, "participantIds[%u] selects nobody", i);
        }
        r->members[i].index = i;
        memcpy(r->members[i].x25519, keys->x25519, TDSA_X25519_LEN);
        memcpy(r->members[i].x448, keys->x448, TDSA_X448_LEN);
    }
    return TDSA_OK;
}

/* A key's minima are no lower than those of each participant. */
static tdsa_status check_minima(const part *p, const mpc_policy *policy, tdsa_err *err)
{
    if (policy->derivation == MPC_DERIVE_BIP32 &&
        (policy->min_path < p->cfg.min_path || policy->min_path_xpub < p->cfg.min_path_xpub)) {
        return TDSA_FAIL(err, TDSA_E_DENIED,
                         "minimum path lengths %u and %u are below minChainPathLength %u and "
                         "minChainPathLengthXPub %u here",
                         policy->min_path, policy->min_path_xpub, p->cfg.min_path,
                         p->cfg.min_path_xpub);
    }
    return TDSA_OK;
}

static tdsa_status fill_registration(part *p, part_registration *r, const part_key_spec *spec,
                                     tdsa_err *err)
{
    const mpc_scheme scheme = spec->scheme == 0 ? mpc_scheme_default(spec->curve) : spec->scheme;
    const grp *g = NULL;
    tdsa_status st = part_may_coordinate(p, err);

    memset(r, 0, sizeof *r);
    if (st == TDSA_OK && !p->cfg.may_generate) {
        st = TDSA_FAIL(err, TDSA_E_CONFLICT,
                       "participantIds is not set: this participant does not start new keys");
    }
    if (st == TDSA_OK) {
        st = part_group(p, spec->curve, &g, err);
    }
    if (st == TDSA_OK) {
        st = mpc_policy_check(&spec->policy, scheme, spec->curve, err);
    }
    if (st == TDSA_OK) {
        st = check_minima(p, &spec->policy, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    r->curve = spec->curve;
    r->scheme = scheme;
    r->n = p->cfg.roster.n;
    r->t = p->cfg.t;
    r->policy = spec->policy;
    if (spec->key_id == NULL || spec->key_id[0] == '\0') {
        st = new_key_id(p, r->key_id, err);
    } else if (part_key_id_ok(spec->key_id)) {
        memcpy(r->key_id, spec->key_id, strlen(spec->key_id) + 1);
    } else {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a key id has 1 to %u characters of [A-Za-z0-9_.-]",
                       KS_KEY_ID_MAX);
    }
    return st == TDSA_OK ? fill_members(p, r, err) : st;
}

static tdsa_status register_here(part *p, const part_registration *r, const part_key_spec *spec,
                                 const tdsa_buf *record, tdsa_err *err)
{
    TDSA_SCOPED_BUF attrs = TDSA_BUF_EMPTY;
    const char *label = spec->label == NULL ? "" : spec->label;
    ks_key row = {.state = KS_KEY_REGISTERED, .public_part = record->data};
    tdsa_status st;

    if (strlen(label) > KS_LABEL_MAX || spec->attrs_len > KS_ATTRS_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "label or attributes too long");
    }
    memcpy(row.key_id, r->key_id, sizeof row.key_id);
    memcpy(row.label, label, strlen(label) + 1);
    row.public_len = record->len;
    row.created_ms = p->cfg.clock.wall_ms(p->cfg.clock.ctx);
    row.presignature_limit = spec->presignature_limit == PART_LIMIT_DEFAULT
                                 ? p->cfg.default_presignature_limit
                                 : spec->presignature_limit;
    tdsa_buf_append(&attrs, spec->attrs, spec->attrs_len);
    st = tdsa_buf_check(&attrs, err);
    row.attrs = attrs.data;
    row.attrs_len = attrs.len;
    return st == TDSA_OK ? store_registration(p, &row, err) : st;
}

static uint32_t all_peers(const part *p, bool with_client)
{
    uint32_t mask = 0;

    for (uint16_t i = 0; i < p->cfg.roster.n; i++) {
        const bool client = part_asker_of(p, i) == PART_BY_CLIENT;
        if (i != p->cfg.roster.me && (with_client || !client)) {
            mask |= 1u << i;
        }
    }
    return mask;
}

uint64_t part_start_register(part *p, const part_key_spec *spec, uint32_t deadline_ms,
                             char *key_id_out, tdsa_err *err)
{
    TDSA_SCOPED_BUF record = TDSA_BUF_EMPTY;
    part_registration r;
    part_op *op = NULL;

    key_id_out[0] = '\0';
    if (fill_registration(p, &r, spec, err) != TDSA_OK) {
        return PART_OP_NONE;
    }
    put_registration(&record, &r);
    if (tdsa_buf_check(&record, err) != TDSA_OK ||
        register_here(p, &r, spec, &record, err) != TDSA_OK) {
        return PART_OP_NONE;
    }
    op = part_op_new(p, PART_OP_REGISTER, r.key_id, deadline_ms, err);
    if (op == NULL) {
        return PART_OP_NONE;
    }
    tdsa_stmt_begin(&op->payload, "register");
    tdsa_stmt_octets(&op->payload, record.data, record.len);
    tdsa_stmt_octets(&op->payload, spec->label, spec->label == NULL ? 0 : strlen(spec->label));
    op->waiting = all_peers(p, false);
    if (part_op_ask(p, op, PART_ASK_REGISTER, err) != TDSA_OK) {
        part_op_cancel(p, op->id, err);
        return PART_OP_NONE;
    }
    memcpy(key_id_out, r.key_id, sizeof r.key_id);
    return op->id;
}

/* ---- a peer registers ---- */

static tdsa_status check_members(const part *p, const part_session *s, uint16_t from,
                                 const part_registration *r, tdsa_err *err)
{
    const peer_roster *roster = &p->cfg.roster;

    for (uint16_t i = 0; i < r->n; i++) {
        peer_keys keys;
        bool known = false;

        memcpy(keys.x25519, r->members[i].x25519, sizeof keys.x25519);
        memcpy(keys.x448, r->members[i].x448, sizeof keys.x448);
        if (i == roster->me) {
            known = part_member_is(&r->members[i], &roster->my_public);
        } else if (i == from) {
            known = part_member_is(&r->members[i], &s->link[from]->keys);
        } else {
            known = peer_roster_find(roster, i, &keys) != NULL;
        }
        if (!known) {
            return TDSA_FAIL(err, TDSA_E_CONFLICT,
                             "participant %u of the registration has other keys than "
                             "remoteParticipants[%u] here",
                             i, i);
        }
    }
    return TDSA_OK;
}

static tdsa_status check_registration(const part *p, const part_registration *r, tdsa_err *err)
{
    if (r->n != p->cfg.roster.n || r->t != p->cfg.t) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT,
                         "registration for %u participants and threshold %u, here %u and %u", r->n,
                         r->t, p->cfg.roster.n, p->cfg.t);
    }
    if (check_minima(p, &r->policy, err) != TDSA_OK) {
        return err->status;
    }
    return mpc_policy_check(&r->policy, r->scheme, r->curve, err);
}

tdsa_status part_ask_register(part *p, part_session *s, uint16_t from, const part_ask *a,
                              tdsa_err *err)
{
    TDSA_SCOPED_BUF copy = TDSA_BUF_EMPTY;
    tdsa_reader r = tdsa_reader_of(a->body, a->body_len);
    const uint8_t *record = NULL;
    const uint8_t *label = NULL;
    size_t record_len = 0;
    size_t label_len = 0;
    part_registration reg;
    ks_key row = {.state = KS_KEY_REGISTERED};
    tdsa_status st;

    tdsa_stmt_expect(&r, "register");
    record = tdsa_stmt_read_octets(&r, &record_len, KS_PUBLIC_MAX);
    label = tdsa_stmt_read_octets(&r, &label_len, KS_LABEL_MAX);
    st = tdsa_reader_finish(&r, "register", err);
    if (st == TDSA_OK) {
        st = parse_registration(&reg, record, record_len, err);
    }
    if (st == TDSA_OK) {
        st = check_registration(p, &reg, err);
    }
    if (st == TDSA_OK) {
        st = check_members(p, s, from, &reg, err);
    }
    if (st == TDSA_OK) {
        st = part_registered_check(p, &reg, from, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    memcpy(row.key_id, reg.key_id, sizeof row.key_id);
    if (label_len > 0) {
        memcpy(row.label, label, label_len);
    }
    row.created_ms = p->cfg.clock.wall_ms(p->cfg.clock.ctx);
    row.presignature_limit = p->cfg.default_presignature_limit;
    tdsa_buf_append(&copy, record, record_len);
    st = tdsa_buf_check(&copy, err);
    row.public_part = copy.data;
    row.public_len = copy.len;
    return st == TDSA_OK ? store_registration(p, &row, err) : st;
}

/* ---- key generation, ping ---- */

tdsa_status part_check_registered(part *p, const char *key_id, tdsa_err *err)
{
    part_registration reg;
    ks_key_state state = KS_KEY_DELETED;
    tdsa_status st = part_may_coordinate(p, err);

    if (st == TDSA_OK && !part_key_id_ok(key_id)) {
        st = TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no such key");
    }
    if (st == TDSA_OK) {
        st = part_registration_load(p, key_id, &reg, &state, err);
    }
    if (st == TDSA_OK && state != KS_KEY_REGISTERED) {
        st = TDSA_FAIL(err, TDSA_E_CONFLICT, "key %s has a share already", key_id);
    }
    return st;
}

uint64_t part_start_keygen(part *p, const char *key_id, uint32_t deadline_ms, tdsa_err *err)
{
    part_session *s = NULL;
    part_op *op = NULL;

    if (part_check_registered(p, key_id, err) != TDSA_OK) {
        return PART_OP_NONE;
    }
    op = part_op_new(p, PART_OP_KEYGEN, key_id, deadline_ms, err);
    if (op == NULL) {
        return PART_OP_NONE;
    }
    op->state = OP_RUNNING;
    part_op_event(p, PART_OP_KEYGEN, PART_EVENT_STARTED, op->started_ms);
    if (part_session_open(p, &s, PEER_FOR_SECRETS, key_id, err) != TDSA_OK ||
        part_run_begin_keygen(p, s, key_id, op->id, op->deadline_ms, err) != TDSA_OK) {
        part_op_cancel(p, op->id, err);
        return PART_OP_NONE;
    }
    return op->id;
}

uint64_t part_start_ping(part *p, uint32_t deadline_ms, tdsa_err *err)
{
    part_op *op = part_op_new(p, PART_OP_PING, "", deadline_ms, err);

    if (op == NULL) {
        return PART_OP_NONE;
    }
    op->waiting = all_peers(p, false);
    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
        op->result.alive[i] = (op->waiting & (1u << i)) == 0;
    }
    if (part_op_ask(p, op, PART_ASK_PING, err) != TDSA_OK) {
        part_op_cancel(p, op->id, err);
        return PART_OP_NONE;
    }
    return op->id;
}

/* ---- who may ask ---- */

tdsa_status part_check_bound(part *p, const part_session *s, uint16_t from, const char *key_id,
                             ks_key_state *state, tdsa_err *err)
{
    part_registration reg;
    tdsa_status st;

    if (!part_key_id_ok(key_id)) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no such key");
    }
    st = part_registration_load(p, key_id, &reg, state, err);
    if (st == TDSA_OK && !part_members_have(reg.members, reg.n, from, &s->link[from]->keys)) {
        /* The same words as for a key that is not here: nobody learns which keys exist. */
        st = TDSA_FAIL(err, TDSA_E_NOT_FOUND, "there is no key %s", key_id);
    }
    return st;
}
