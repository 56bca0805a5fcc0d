#include <stdlib.h>
#include <string.h>

#include "api/call.h"

/* Deleting keys, and undoing that. */

void svc_deletion_put(json_t *o, uint64_t due_ms, uint32_t pending)
{
    json_t *list = json_array();

    if (due_ms != 0) {
        svc_put(o, "deletionTime", svc_time_json(due_ms));
    } else {
        svc_put(o, "undoing", json_true());
    }
    for (uint32_t i = 0; i < 32; i++) {
        if ((pending >> i & 1) != 0) {
            (void)json_array_append_new(list, json_integer(i));
        }
    }
    svc_put(o, "pending", list);
}

static tdsa_status read_grace(svc_call *c, uint64_t *grace_ms, tdsa_err *err)
{
    const char *text = http_request_query(c->request, "graceSeconds");
    char *end = NULL;
    unsigned long v;

    *grace_ms = PART_GRACE_DEFAULT;
    if (text == NULL) {
        return TDSA_OK;
    }
    v = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || v > PART_GRACE_MAX_MS / 1000) {
        return svc_call_refuse(c, 400, "INVALID_QUERY", "graceSeconds", TDSA_E_BAD_INPUT, err,
                               "graceSeconds must be a number of seconds");
    }
    *grace_ms = (uint64_t)v * 1000;
    return TDSA_OK;
}

tdsa_status svc_api_do_DELETE(svc_call *c, tdsa_err *err)
{
    part_engine *engine = c->api->cfg.engine;
    char key_id[KS_KEY_ID_MAX + 1];
    part_deletion_info d;
    uint64_t grace_ms = PART_GRACE_DEFAULT;
    tdsa_status st = read_grace(c, &grace_ms, err);

    memcpy(key_id, c->key.key_id, sizeof key_id);
    if (st == TDSA_OK) {
        st = part_engine_delete(engine, key_id, grace_ms, 0, err);
        if (st == TDSA_E_BAD_INPUT) {
            return svc_call_refuse(c, 400, "INVALID_QUERY", "graceSeconds", st, err, err->text);
        }
    }
    if (st == TDSA_OK) {
        st = part_engine_deletion(engine, key_id, &d, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    c->reply = json_object();
    svc_put(c->reply, "keyId", json_string(key_id));
    svc_put(c->reply, "state", json_string(d.state == KS_DELETION_WIPED ? "DELETED" : "DELETING"));
    svc_deletion_put(c->reply, d.due_ms, d.pending);
    return TDSA_OK;
}

tdsa_status svc_api_do_UNDELETE(svc_call *c, tdsa_err *err)
{
    char key_id[KS_KEY_ID_MAX + 1];
    tdsa_status st;

    memcpy(key_id, c->key.key_id, sizeof key_id);
    st = part_engine_undelete(c->api->cfg.engine, key_id, 0, err);
    if (st == TDSA_E_NOT_FOUND) {
        return svc_call_refuse(c, 410, "DELETED", NULL, st, err,
                               "a participant has wiped its share: the key is gone");
    }
    if (st == TDSA_E_UNAVAILABLE) { /* noted: it goes on by itself */
        c->success = 202;
        st = TDSA_OK;
    }
    return st == TDSA_OK ? svc_key_show(c, key_id, err) : st;
}
