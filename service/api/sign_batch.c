#include <stdlib.h>
#include <string.h>

#include "api/error.h"
#include "api/sign_request.h"

/* POST /v1/keys/{id}/sign-batch: every item is read, signed and answered on its own. */

typedef struct {
    svc_value values[SVC_SIGN_FIELDS];
    svc_sign_job job;
    json_t *error; /* owned: why it cannot be signed */
    size_t at;     /* its place among those that are signed */
} line;

typedef struct {
    size_t count;
    line *lines;
    size_t asked;
    part_sign_request *requests; /* of those that can be signed, in their order */
    part_batch_item *results;
    json_t *root_key; /* {"publicKey"} without a path: most have none */
} job;

/* The failure of one item, in the form of a failure of the whole. */
static json_t *failure_of(svc_call *c, const tdsa_err *err)
{
    const svc_failure f = {
        .http = c->fail_http != 0 ? c->fail_http : svc_http_status(err),
        .code = c->fail_code != NULL ? c->fail_code : svc_error_code(err),
        .details = c->fail_details[0] != '\0' ? c->fail_details : NULL,
    };
    json_t *o = svc_failure_json(&f, err);

    c->fail_http = 0;
    c->fail_code = NULL;
    c->fail_details[0] = '\0';
    return o;
}

static void read_line(svc_call *c, job *j, size_t i)
{
    const svc_shape shape = svc_row_shape(c->row);
    line *l = &j->lines[i];
    tdsa_err err;
    tdsa_status st;

    svc_value_item(&shape, svc_call_value(c, SVC_BATCH_ITEMS), i, l->values);
    st = svc_sign_read(c, l->values, &l->job, &err);
    if (st == TDSA_OK) {
        st = svc_sign_encoding(c, l->values[SVC_SIGN_ENCODING].text, &err);
    }
    if (st != TDSA_OK) {
        l->error = failure_of(c, &err);
        return;
    }
    l->at = j->asked++;
    j->requests[l->at] = l->job.req;
}

static tdsa_status put_key(svc_call *c, job *j, const line *l, json_t *o, tdsa_err *err)
{
    const part_sign_request *req = &l->job.req;
    tdsa_status st = TDSA_OK;

    if (req->path_len > 0) {
        return svc_sign_public_key(o, c, req->path, req->path_len, err);
    }
    if (j->root_key == NULL) {
        j->root_key = json_object();
        st = svc_sign_public_key(j->root_key, c, NULL, 0, err);
    }
    (void)json_object_update(o, j->root_key);
    return st;
}

static json_t *answer(svc_call *c, job *j, const line *l)
{
    const part_batch_item *result = &j->results[l->at];
    json_t *o = json_object();
    tdsa_err err;

    if (l->error != NULL) {
        svc_put(o, "error", json_incref(l->error));
        return o;
    }
    if (result->err.status != TDSA_OK) {
        svc_put(o, "error", failure_of(c, &result->err));
        return o;
    }
    svc_sign_show(o, c, l->values[SVC_SIGN_ENCODING].text, &result->sign);
    (void)put_key(c, j, l, o, &err); /* it signs: its path is lawful */
    svc_put(o, "sessionId", json_string(result->sign.session_id));
    return o;
}

static void show(svc_call *c, job *j)
{
    json_t *list = json_array();

    for (size_t i = 0; i < j->count; i++) {
        (void)json_array_append_new(list, answer(c, j, &j->lines[i]));
    }
    c->reply = json_object();
    svc_put(c->reply, "keyId", json_string(c->key.key_id));
    svc_put(c->reply, "results", list);
}

static bool make_room(job *j)
{
    j->lines = calloc(j->count, sizeof *j->lines);
    j->requests = calloc(j->count, sizeof *j->requests);
    j->results = calloc(j->count, sizeof *j->results);
    return j->lines != NULL && j->requests != NULL && j->results != NULL;
}

static void clear(job *j)
{
    for (size_t i = 0; j->lines != NULL && i < j->count; i++) {
        svc_sign_clear(&j->lines[i].job);
        json_decref(j->lines[i].error);
    }
    json_decref(j->root_key);
    free(j->lines);
    free(j->requests);
    free(j->results);
}

tdsa_status svc_api_do_SIGN_BATCH(svc_call *c, tdsa_err *err)
{
    job j = {.count = svc_call_value(c, SVC_BATCH_ITEMS)->list_len};
    tdsa_status st = TDSA_OK;

    if (!make_room(&j)) {
        st = TDSA_FAIL(err, TDSA_E_NO_MEMORY, "a batch of %zu", j.count);
    }
    for (size_t i = 0; st == TDSA_OK && i < j.count; i++) {
        read_line(c, &j, i);
    }
    if (st == TDSA_OK && j.asked > 0) {
        st = part_engine_sign_batch(c->api->cfg.engine, c->key.key_id, j.requests, j.asked, 0,
                                    j.results, err);
    }
    if (st == TDSA_OK) {
        show(c, &j);
    }
    clear(&j);
    return st;
}
