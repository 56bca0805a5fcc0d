#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/call.h"

/* Registering, listing and showing keys. */

#define LIST_LIMIT_DEFAULT 100u
#define LIST_LIMIT_MAX     1000u

json_t *svc_time_json(uint64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    char text[40], out[48];

    if (gmtime_r(&seconds, &tm) == NULL ||
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm) == 0) {
        return json_null();
    }
    (void)snprintf(out, sizeof out, "%s.%03uZ", text, (unsigned)(wall_ms % 1000));
    return json_string(out);
}

static json_t *label_json(const char *label)
{
    json_t *v = json_string(label);

    return v != NULL ? v : json_string(""); /* not UTF-8: another program wrote it */
}

json_t *svc_key_json(const part_key_info *k)
{
    json_t *o = json_object();

    svc_put(o, "keyId", json_string(k->key_id));
    svc_put(o, "state", json_string(ks_key_state_name(k->state)));
    svc_put(o, "curve", json_string(grp_curve_name(k->curve)));
    svc_put(o, "scheme", json_string(mpc_scheme_name(k->scheme)));
    svc_put(o, "label", label_json(k->label));
    svc_put(o, "participants", json_integer(k->n));
    svc_put(o, "threshold", json_integer(k->t));
    svc_put(o, "epoch", json_integer((json_int_t)k->epoch));
    svc_put(o, "created", svc_time_json(k->created_ms));
    svc_put(o, "clientParticipates", json_boolean(k->client_participates));
    svc_policy_put(o, k);
    svc_put(o, "presignatureLimit", json_integer((json_int_t)k->presignature_limit));
    if (ks_key_in_use(k->state) &&
        (k->policy.derivation == MPC_DERIVE_NONE || k->policy.min_path == 0)) {
        svc_put(o, "publicKey", svc_point_json(k->public_key, k->public_key_len));
    }
    if (k->state == KS_KEY_DELETING) {
        svc_deletion_put(o, k->deletion_ms, k->deletion_pending);
    }
    return o;
}

/* ---- register, generate ---- */

tdsa_status svc_key_spec_read(svc_call *c, part_key_spec *spec, tdsa_err *err)
{
    const svc_value *id = svc_call_value(c, SVC_KEY_ID);
    const svc_value *limit = svc_call_value(c, SVC_KEY_LIMIT);

    memset(spec, 0, sizeof *spec);
    spec->key_id = id->present ? id->text : NULL;
    spec->label = svc_call_value(c, SVC_KEY_LABEL)->text;
    spec->presignature_limit = limit->present ? limit->number : PART_LIMIT_DEFAULT;
    return svc_policy_read(c, spec, err);
}

static tdsa_status register_key(svc_call *c, char key_id[KS_KEY_ID_MAX + 1], tdsa_err *err)
{
    part_key_spec spec;
    tdsa_status st = svc_key_spec_read(c, &spec, err);

    return st == TDSA_OK ? part_engine_register(c->api->cfg.engine, &spec, 0, key_id, err) : st;
}

tdsa_status svc_key_show(svc_call *c, const char *key_id, tdsa_err *err)
{
    tdsa_status st = part_engine_key(c->api->cfg.engine, key_id, &c->key, err);

    if (st == TDSA_OK) {
        c->reply = svc_key_json(&c->key);
    }
    return st;
}

tdsa_status svc_api_do_REGISTER(svc_call *c, tdsa_err *err)
{
    char key_id[KS_KEY_ID_MAX + 1];
    tdsa_status st = register_key(c, key_id, err);

    return st == TDSA_OK ? svc_key_show(c, key_id, err) : st;
}

tdsa_status svc_api_do_GENERATE(svc_call *c, tdsa_err *err)
{
    char key_id[KS_KEY_ID_MAX + 1];
    tdsa_status st = register_key(c, key_id, err);

    if (st == TDSA_OK) {
        st = part_engine_generate(c->api->cfg.engine, key_id, 0, err);
    }
    return st == TDSA_OK ? svc_key_show(c, key_id, err) : st;
}

tdsa_status svc_api_do_SHARE(svc_call *c, tdsa_err *err)
{
    char key_id[KS_KEY_ID_MAX + 1];
    tdsa_status st;

    if (c->key.state == KS_KEY_ACTIVE) {
        return svc_call_refuse(c, 409, "KEY_ACTIVE", NULL, TDSA_E_CONFLICT, err,
                               "the key has its shares already");
    }
    memcpy(key_id, c->key.key_id, sizeof key_id);
    st = part_engine_generate(c->api->cfg.engine, key_id, 0, err);
    return st == TDSA_OK ? svc_key_show(c, key_id, err) : st;
}

tdsa_status svc_api_do_RESHARE(svc_call *c, tdsa_err *err)
{
    const svc_value *members = svc_call_value(c, SVC_RESHARE_MEMBERS);
    const svc_value *threshold = svc_call_value(c, SVC_RESHARE_THRESHOLD);
    part_reshare_spec spec = {.t = threshold->present ? (uint16_t)threshold->number : 0};
    char key_id[KS_KEY_ID_MAX + 1];
    tdsa_status st;

    if (members->present && (members->list_len < 3 || members->list_len > GRP_PARTIES_MAX)) {
        return svc_call_refuse(c, 422, "INVALID_FIELD", "members", TDSA_E_BAD_INPUT, err,
                               "members: three to nine participants");
    }
    for (size_t i = 0; members->present && i < members->list_len; i++) {
        spec.members[spec.member_count++] = (uint16_t)members->list[i];
    }
    memcpy(key_id, c->key.key_id, sizeof key_id);
    st = part_engine_reshare(c->api->cfg.engine, key_id, &spec, 0, err);
    if (st != TDSA_OK) {
        return st;
    }
    st = svc_key_show(c, key_id, err);
    if (st == TDSA_E_NOT_FOUND) { /* this participant has left */
        c->reply = json_object();
        svc_put(c->reply, "keyId", json_string(key_id));
        svc_put(c->reply, "state", json_string("LEFT"));
        st = TDSA_OK;
    }
    return st;
}

tdsa_status svc_api_do_KEY(svc_call *c, tdsa_err *err)
{
    (void)err;
    c->reply = svc_key_json(&c->key);
    return TDSA_OK;
}

/* ---- list ---- */

typedef struct {
    json_t *keys;
    size_t left;
    bool more;
    char last[KS_KEY_ID_MAX + 1];
} page;

static bool add_key(void *ctx, const part_key_info *k)
{
    page *p = (page *)ctx;

    if (p->left == 0) {
        p->more = true;
        return false;
    }
    p->left--;
    (void)snprintf(p->last, sizeof p->last, "%s", k->key_id);
    (void)json_array_append_new(p->keys, svc_key_json(k));
    return true;
}

static tdsa_status read_limit(svc_call *c, size_t *out, tdsa_err *err)
{
    const char *text = http_request_query(c->request, "limit");
    char *end = NULL;
    unsigned long v;

    *out = LIST_LIMIT_DEFAULT;
    if (text == NULL) {
        return TDSA_OK;
    }
    v = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || v < 1 || v > LIST_LIMIT_MAX) {
        return svc_call_refuse(c, 400, "INVALID_QUERY", "limit", TDSA_E_BAD_INPUT, err,
                               "limit must be an integer of 1..1000");
    }
    *out = (size_t)v;
    return TDSA_OK;
}

tdsa_status svc_api_do_LIST(svc_call *c, tdsa_err *err)
{
    const char *state = http_request_query(c->request, "state");
    const bool all = state != NULL && strcmp(state, "all") == 0;
    part_key_filter filter = {.after = http_request_query(c->request, "after"),
                              .label = http_request_query(c->request, "label"),
                              .all_states = all};
    page p = {NULL, 0, false, ""};
    size_t limit;
    tdsa_status st = read_limit(c, &limit, err);

    if (st != TDSA_OK) {
        return st;
    }
    if (state != NULL && !all && strcmp(state, "ACTIVE") != 0) {
        return svc_call_refuse(c, 400, "INVALID_QUERY", "state", TDSA_E_BAD_INPUT, err,
                               "state must be ACTIVE or all");
    }
    if (filter.after != NULL && strlen(filter.after) > KS_KEY_ID_MAX) {
        return svc_call_refuse(c, 400, "INVALID_QUERY", "after", TDSA_E_BAD_INPUT, err,
                               "after must be a cursor of the page before");
    }
    p.keys = json_array();
    p.left = limit;
    /* one more than asked for tells whether there is a next page */
    filter.limit = limit + 1;
    st = part_engine_list(c->api->cfg.engine, &filter, add_key, &p, err);
    if (st != TDSA_OK) {
        json_decref(p.keys);
        return st;
    }
    c->reply = json_object();
    svc_put(c->reply, "keys", p.keys);
    if (p.more) {
        svc_put(c->reply, "next", json_string(p.last));
    }
    return TDSA_OK;
}
