#include <string.h>

#include "fake_server.h"

/* What the stand-in for the engine does not do; test_service_group.c has the real one. */

#define REFUSED TDSA_FAIL(err, TDSA_E_DENIED, "the fake engine does not do this")

tdsa_status part_engine_xpub(part_engine *e, const char *key_id, const uint32_t *path,
                             uint16_t path_len, char *out, tdsa_err *err)
{
    (void)e;
    (void)key_id;
    (void)path;
    (void)path_len;
    out[0] = '\0';
    return REFUSED;
}

tdsa_status part_engine_recovery(part_engine *e, const part_recovery_request *req,
                                 uint32_t deadline_ms, part_recovery_package *out, tdsa_err *err)
{
    (void)e;
    (void)req;
    (void)deadline_ms;
    memset(out, 0, sizeof *out);
    return REFUSED;
}

tdsa_status part_engine_purge_all(part_engine *e, uint64_t *dropped, tdsa_err *err)
{
    (void)e;
    *dropped = 0;
    return REFUSED;
}

tdsa_status part_engine_set_limit(part_engine *e, const char *key_id, int64_t limit, tdsa_err *err)
{
    (void)e;
    (void)key_id;
    (void)limit;
    return REFUSED;
}

tdsa_status part_engine_presignatures(part_engine *e, const char *key_id, part_presig_fn fn,
                                      void *ctx, tdsa_err *err)
{
    (void)e;
    (void)key_id;
    (void)fn;
    (void)ctx;
    return REFUSED;
}

tdsa_status part_engine_delete_presignature(part_engine *e, const char *key_id,
                                            const part_presig_id *id, tdsa_err *err)
{
    (void)e;
    (void)key_id;
    (void)id;
    return REFUSED;
}

tdsa_status part_engine_undelete(part_engine *e, const char *key_id, uint32_t deadline_ms,
                                 tdsa_err *err)
{
    (void)e;
    (void)key_id;
    (void)deadline_ms;
    return REFUSED;
}

/* Its keys go at once. */
tdsa_status part_engine_deletion(part_engine *e, const char *key_id, part_deletion_info *out,
                                 tdsa_err *err)
{
    (void)e;
    (void)key_id;
    (void)err;
    *out = (part_deletion_info){.state = KS_DELETION_WIPED, .due_ms = UINT64_C(1700000000000)};
    return TDSA_OK;
}

static part_reshare_spec reshared;

const part_reshare_spec *fake_engine_reshared(void)
{
    return &reshared;
}

tdsa_status part_engine_reshare(part_engine *e, const char *key_id, const part_reshare_spec *spec,
                                uint32_t deadline_ms, tdsa_err *err)
{
    part_key_info info;
    const tdsa_status st = part_engine_key(e, key_id, &info, err);

    (void)deadline_ms;
    reshared = *spec;
    if (st == TDSA_OK && spec->t == 4) {
        return tdsa_err_blame(err, TDSA_E_DENIED, 2, TDSA_WHERE, "disableReshare is set here");
    }
    return st;
}

static part_export_spec exported;

const part_export_spec *fake_engine_exported(void)
{
    return &exported;
}

tdsa_status part_engine_approve_export(part_engine *e, const part_export_spec *spec,
                                       uint64_t valid_ms, uint64_t *expires_ms, tdsa_err *err)
{
    (void)e;
    (void)err;
    exported = *spec;
    *expires_ms = valid_ms; /* as if it were 1970 */
    return TDSA_OK;
}

tdsa_status part_engine_export(part_engine *e, const part_export_spec *spec, uint32_t deadline_ms,
                               part_recovery_package *out, tdsa_err *err)
{
    (void)e;
    (void)deadline_ms;
    exported = *spec;
    memset(out, 0, sizeof *out);
    if (spec->path_len == 7) {
        return tdsa_err_blame(err, TDSA_E_DENIED, 2, TDSA_WHERE,
                              "participant 2: " PART_NOT_APPROVED ": participant 2 has not");
    }
    out->public_key[0] = 2;
    out->public_key_len = 33;
    out->count = 1;
    tdsa_buf_append_str(&out->infos[0].bytes, "info");
    return tdsa_buf_check(&out->infos[0].bytes, err);
}

tdsa_status part_engine_sign_batch(part_engine *e, const char *key_id, const part_sign_request *req,
                                   size_t count, uint32_t deadline_ms, part_batch_item *out,
                                   tdsa_err *err)
{
    (void)err;
    for (size_t i = 0; i < count; i++) {
        part_sign_request one = req[i];

        one.key_id = key_id;
        out[i].err.participant = TDSA_NOBODY;
        out[i].err.status = part_engine_sign(e, &one, deadline_ms, &out[i].sign, &out[i].err);
    }
    return TDSA_OK;
}

static part_import_spec imported;
static uint8_t imported_key[66];
static size_t imported_len;

const part_import_spec *fake_engine_imported(const uint8_t **key, size_t *len)
{
    *key = imported_key;
    *len = imported_len;
    return &imported;
}

tdsa_status part_engine_import(part_engine *e, const part_import_spec *spec, uint32_t deadline_ms,
                               char *key_id_out, tdsa_err *err)
{
    imported = *spec;
    imported_len = tdsa_secret_len(spec->private_key);
    memcpy(imported_key, tdsa_secret_view(spec->private_key), imported_len);
    if (spec->key.policy.rate == 7) {
        return tdsa_err_blame(err, TDSA_E_DENIED, 2, TDSA_WHERE, "importKeys is not set here");
    }
    return part_engine_register(e, &spec->key, deadline_ms, key_id_out, err);
}

tdsa_status part_engine_backup(part_engine *e, const char *key_id, const char *passphrase,
                               tdsa_buf *out, tdsa_err *err)
{
    (void)e;
    (void)key_id;
    tdsa_buf_append(out, passphrase, strlen(passphrase));
    return tdsa_buf_check(out, err);
}

tdsa_status part_engine_restore(part_engine *e, const uint8_t *backup, size_t len,
                                const char *passphrase, uint32_t deadline_ms, char *key_id_out,
                                tdsa_err *err)
{
    (void)e;
    (void)deadline_ms;
    key_id_out[0] = '\0';
    if (len != strlen(passphrase) || memcmp(backup, passphrase, len) != 0) {
        return TDSA_FAIL(err, TDSA_E_DENIED, "the passphrase is wrong");
    }
    return TDSA_FAIL(err, TDSA_E_CONFLICT, "the key is here");
}

tdsa_status part_engine_partial(part_engine *e, const part_sign_request *req,
                                const part_presig_id *id, part_partial_result *out, tdsa_err *err)
{
    (void)e;
    (void)req;
    (void)id;
    memset(out, 0, sizeof *out);
    return TDSA_FAIL(err, TDSA_E_CONFLICT, PART_EXPIRED ": long ago");
}

tdsa_status part_engine_combine(part_engine *e, const char *key_id, const part_bytes *partials,
                                size_t count, part_combined *out, tdsa_err *err)
{
    (void)e;
    (void)key_id;
    (void)partials;
    (void)count;
    memset(out, 0, sizeof *out);
    return TDSA_FAIL(err, TDSA_E_CONFLICT, PART_PRESIGNATURE_USED ": by another");
}
