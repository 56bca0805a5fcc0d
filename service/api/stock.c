#include <stdlib.h>

#include "api/call.h"

/* Presignatures: making, counting, limiting, dropping. */

#define RANGES_MAX 1000u

static json_t *members_json(uint32_t members)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < GRP_PARTIES_MAX; i++) {
        if ((members & (1u << i)) != 0) {
            (void)json_array_append_new(list, json_integer((json_int_t)i));
        }
    }
    return list;
}

static void put_count(json_t *o, const part_stock_count *count)
{
    svc_put(o, "available", json_integer((json_int_t)count->available));
    svc_put(o, "leased", json_integer((json_int_t)count->leased));
    svc_put(o, "used", json_integer((json_int_t)count->used));
}

static tdsa_status show_stock(svc_call *c, tdsa_err *err)
{
    part_stock_info info;
    json_t *committees = NULL;
    tdsa_status st = part_engine_stock(c->api->cfg.engine, c->key.key_id, &info, err);

    if (st != TDSA_OK) {
        return st;
    }
    committees = json_array();
    for (size_t i = 0; i < info.committee_count; i++) {
        json_t *o = json_object();

        svc_put(o, "members", members_json(info.committee[i].members));
        put_count(o, &info.committee[i]);
        (void)json_array_append_new(committees, o);
    }
    c->reply = json_object();
    svc_put(c->reply, "keyId", json_string(c->key.key_id));
    put_count(c->reply, &info.total);
    svc_put(c->reply, "limit", json_integer((json_int_t)info.limit));
    svc_put(c->reply, "committees", committees);
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

typedef struct {
    json_t *list;
    size_t left;
} ranges;

static bool add_range(void *ctx, const part_presig_range *r)
{
    ranges *all = (ranges *)ctx;
    char id[PART_PRESIG_ID_MAX];
    json_t *o = NULL;

    if (all->left == 0) {
        return false;
    }
    all->left--;
    part_presig_id_put(id, &r->first);
    o = json_object();
    svc_put(o, "first", json_string(id));
    svc_put(o, "count", json_integer((json_int_t)(r->to - r->first.index)));
    svc_put(o, "members", members_json(r->members));
    (void)json_array_append_new(all->list, o);
    return true;
}

static tdsa_status show_ranges(svc_call *c, const char *text, tdsa_err *err)
{
    char *end = NULL;
    const unsigned long max = strtoul(text, &end, 10);
    ranges all = {NULL, (size_t)max};
    tdsa_status st;

    if (text[0] < '0' || text[0] > '9' || *end != '\0' || max < 1 || max > RANGES_MAX) {
        return svc_call_refuse(c, 400, "INVALID_QUERY", "ranges", TDSA_E_BAD_INPUT, err,
                               "ranges must be an integer of 1..1000");
    }
    all.list = json_array();
    st = part_engine_presignatures(c->api->cfg.engine, c->key.key_id, add_range, &all, err);
    if (st != TDSA_OK) {
        json_decref(all.list);
        return st;
    }
    svc_put(c->reply, "ranges", all.list);
    return TDSA_OK;
}

tdsa_status svc_api_do_STOCK(svc_call *c, tdsa_err *err)
{
    const char *text = http_request_query(c->request, "ranges");
    tdsa_status st = show_stock(c, err);

    return st == TDSA_OK && text != NULL ? show_ranges(c, text, err) : st;
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

tdsa_status svc_api_do_PURGE_ONE(svc_call *c, tdsa_err *err)
{
    part_presig_id id;

    if (!part_presig_id_parse(&id, http_request_param(c->request, 1))) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND,
                         "there is no presignature of that name: it has 64 hexadecimal digits, a "
                         "hyphen and a number");
    }
    return part_engine_delete_presignature(c->api->cfg.engine, c->key.key_id, &id, err);
}

tdsa_status svc_api_do_PURGE_ALL(svc_call *c, tdsa_err *err)
{
    uint64_t dropped = 0;
    tdsa_status st = part_engine_purge_all(c->api->cfg.engine, &dropped, err);

    if (st == TDSA_OK) {
        c->reply = json_object();
        svc_put(c->reply, "dropped", json_integer((json_int_t)dropped));
    }
    return st;
}

tdsa_status svc_api_do_LIMIT(svc_call *c, tdsa_err *err)
{
    const int64_t limit = svc_call_value(c, SVC_LIMIT_LIMIT)->number;
    tdsa_status st = part_engine_set_limit(c->api->cfg.engine, c->key.key_id, limit, err);

    return st == TDSA_OK ? show_stock(c, err) : st;
}
