#include "api/call.h"

/* Presignatures: making, counting, dropping. */

static tdsa_status show_stock(svc_call *c, tdsa_err *err)
{
    uint64_t available = 0;
    tdsa_status st = part_engine_available(c->api->cfg.engine, c->key.key_id, &available, err);

    if (st != TDSA_OK) {
        return st;
    }
    c->reply = json_object();
    svc_put(c->reply, "keyId", json_string(c->key.key_id));
    svc_put(c->reply, "available", json_integer((json_int_t)available));
    svc_put(c->reply, "limit", json_integer((json_int_t)c->key.presignature_limit));
    return TDSA_OK;
}

tdsa_status svc_api_do_PRESIGN(svc_call *c, tdsa_err *err)
{
    uint32_t count = (uint32_t)svc_call_value(c, SVC_PRESIGN_COUNT)->number;
    tdsa_status st = part_engine_presign(c->api->cfg.engine, c->key.key_id, count, 0, err);

    if (st == TDSA_OK) {
        st = show_stock(c, err);
    }
    if (st == TDSA_OK) {
        svc_put(c->reply, "made", json_integer((json_int_t)count));
    }
    return st;
}

tdsa_status svc_api_do_STOCK(svc_call *c, tdsa_err *err)
{
    return show_stock(c, err);
}

tdsa_status svc_api_do_PURGE(svc_call *c, tdsa_err *err)
{
    uint64_t dropped = 0;
    tdsa_status st = part_engine_purge(c->api->cfg.engine, c->key.key_id, &dropped, err);

    if (st == TDSA_OK) {
        c->reply = json_object();
        svc_put(c->reply, "keyId", json_string(c->key.key_id));
        svc_put(c->reply, "dropped", json_integer((json_int_t)dropped));
    }
    return st;
}
