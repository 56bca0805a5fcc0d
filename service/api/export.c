#include <string.h>

#include "api/call.h"
#include "api/encode.h"
#include "base/encode.h"

/* POST /v1/keys/{id}/export-approvals and /v1/keys/{id}/export. The answer of the second is the package
 * that `tdsa recovery` reads. */

typedef struct {
    part_export_spec spec;
    uint32_t path[MPC_PATH_MAX];
} export_job;

static tdsa_status read_job(svc_call *c, export_job *j, tdsa_err *err)
{
    const svc_value *path = svc_call_value(c, SVC_EXPORT_PATH);
    TDSA_SCOPED_BUF hash = TDSA_BUF_EMPTY;
    tdsa_status st = tdsa_hex_decode(&hash, svc_call_value(c, SVC_EXPORT_CERTIFICATE)->text, err);

    memset(j, 0, sizeof *j);
    if (st != TDSA_OK || hash.len != sizeof j->spec.certificate) {
        return svc_call_refuse(c, 422, "INVALID_FIELD", "certificate", TDSA_E_BAD_INPUT, err,
                               "certificate must be 64 hex digits");
    }
    memcpy(j->spec.certificate, hash.data, sizeof j->spec.certificate);
    if (path->present && svc_path_read(path->text, j->path, &j->spec.path_len, err) != TDSA_OK) {
        return svc_call_refuse(c, 422, "INVALID_FIELD", "path", TDSA_E_BAD_INPUT, err,
                               "path must look like m/44/0, of up to 50 steps below 2^31");
    }
    j->spec.key_id = c->key.key_id;
    j->spec.path = j->path;
    return TDSA_OK;
}

static void put_path(json_t *o, const part_export_spec *spec)
{
    if (spec->path_len > 0) {
        svc_put(o, "path", svc_path_json(spec->path, spec->path_len));
    }
}

tdsa_status svc_api_do_APPROVE_EXPORT(svc_call *c, tdsa_err *err)
{
    const svc_value *valid = svc_call_value(c, SVC_APPROVE_VALID);
    char hex[2 * sizeof(((part_export_spec *)NULL)->certificate) + 1];
    uint64_t valid_ms = valid->present ? (uint64_t)valid->number * 1000 : PART_APPROVAL_DEFAULT_MS;
    uint64_t expires_ms = 0;
    export_job j;
    tdsa_status st = read_job(c, &j, err);

    if (st == TDSA_OK) {
        st = part_engine_approve_export(c->api->cfg.engine, &j.spec, valid_ms, &expires_ms, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    tdsa_hex(hex, j.spec.certificate, sizeof j.spec.certificate);
    c->reply = json_object();
    svc_put(c->reply, "keyId", json_string(c->key.key_id));
    svc_put(c->reply, "certificate", json_string(hex));
    put_path(c->reply, &j.spec);
    svc_put(c->reply, "expiresAt", svc_time_json(expires_ms));
    return TDSA_OK;
}

tdsa_status svc_api_do_EXPORT(svc_call *c, tdsa_err *err)
{
    part_recovery_package pkg;
    export_job j;
    tdsa_status st = read_job(c, &j, err);

    if (st == TDSA_OK) {
        st = part_engine_export(c->api->cfg.engine, &j.spec, 0, &pkg, err);
    }
    if (st == TDSA_OK) {
        c->reply = svc_recovery_json(c->key.key_id, &pkg);
        svc_put(c->reply, "export", json_true());
        put_path(c->reply, &j.spec);
        part_recovery_package_clear(&pkg);
    }
    return st;
}
