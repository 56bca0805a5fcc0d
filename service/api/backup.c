#include "api/call.h"
#include "api/encode.h"
#include "api/error.h"
#include "base/encode.h"

/* POST /v1/keys/{id}/backup and /v1/keys:restore: the share of this participant alone. */

tdsa_status svc_api_do_BACKUP(svc_call *c, tdsa_err *err)
{
    TDSA_SCOPED_BUF backup = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    tdsa_status st =
        part_engine_backup(c->api->cfg.engine, c->key.key_id,
                           svc_call_value(c, SVC_BACKUP_PASSPHRASE)->text, &backup, err);

    if (st == TDSA_OK) {
        svc_base64(&text, backup.data, backup.len);
        st = tdsa_buf_check(&text, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    c->reply = json_object();
    svc_put(c->reply, "keyId", json_string(c->key.key_id));
    svc_put(c->reply, "epoch", json_integer((json_int_t)c->key.epoch));
    svc_put(c->reply, "backup", json_stringn((const char *)text.data, text.len));
    return TDSA_OK;
}

tdsa_status svc_api_do_RESTORE(svc_call *c, tdsa_err *err)
{
    TDSA_SCOPED_BUF backup = TDSA_BUF_EMPTY;
    const svc_value *text = svc_call_value(c, SVC_RESTORE_BACKUP);
    char key_id[KS_KEY_ID_MAX + 1];
    tdsa_status st;

    if (tdsa_base64_decode(&backup, text->text, text->text_len, NULL, err) != TDSA_OK) {
        return svc_call_refuse(c, 422, "INVALID_FIELD", "backup", TDSA_E_BAD_INPUT, err,
                               "backup must be base64");
    }
    st = part_engine_restore(c->api->cfg.engine, backup.data, backup.len,
                             svc_call_value(c, SVC_RESTORE_PASSPHRASE)->text, 0, key_id, err);
    if (st != TDSA_OK && svc_error_is_tombstone(err)) {
        return svc_call_refuse(c, 410, "DELETED", NULL, TDSA_E_NOT_FOUND, err,
                               "the key was deleted by its participants: this backup is worth "
                               "nothing");
    }
    if (st == TDSA_OK) {
        st = part_engine_key(c->api->cfg.engine, key_id, &c->key, err);
    }
    if (st == TDSA_OK) {
        c->reply = svc_key_json(&c->key);
    }
    return st;
}
