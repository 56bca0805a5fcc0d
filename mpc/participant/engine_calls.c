#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "participant/engine_internal.h"

/* The blocking calls: enter, start, finish, leave. */

uint64_t part_engine_now(const part_engine *e)
{
    return e->clock.mono_ms(e->clock.ctx);
}

/* Drives what was started, or reports why it was not. The lock is held. */
static tdsa_status drive(part_engine *e, uint64_t op, part_result *result, tdsa_err *err)
{
    if (op != PART_OP_NONE) {
        return part_engine_finish(e, op, result, err);
    }
    part_engine_flush(e);
    TDSA_ASSERT(err->status != TDSA_OK);
    return err->status;
}

/* The same; the lock is given back. */
static tdsa_status finish(part_engine *e, uint64_t op, part_result *result, tdsa_err *err)
{
    const tdsa_status st = drive(e, op, result, err);

    part_engine_leave(e);
    return st;
}

mpc_policy part_policy_default(grp_curve curve, mpc_scheme scheme)
{
    if (scheme != MPC_SCHEME_ECDSA) {
        return (mpc_policy){.purpose = MPC_PURPOSE_MESSAGE,
                            .derivation = MPC_DERIVE_NONE,
                            .reshare = true,
                            .digests = 1u << TDSA_HASH_NONE};
    }
    return (mpc_policy){
        .purpose = MPC_PURPOSE_DIGEST,
        .derivation = MPC_DERIVE_NONE,
        .reshare = true,
        .low_s = curve == GRP_SECP256K1,
        .digests = (1u << TDSA_HASH_SHA224) | (1u << TDSA_HASH_SHA256) | (1u << TDSA_HASH_SHA384) |
                   (1u << TDSA_HASH_SHA512),
    };
}

tdsa_status part_engine_register(part_engine *e, const part_key_spec *spec, uint32_t deadline_ms,
                                 char *key_id_out, tdsa_err *err)
{
    part_result none;

    part_engine_enter(e);
    return finish(e, part_start_register(e->part, spec, deadline_ms, key_id_out, err), &none, err);
}

tdsa_status part_engine_generate(part_engine *e, const char *key_id, uint32_t deadline_ms,
                                 tdsa_err *err)
{
    part_result none;

    part_engine_enter(e);
    return finish(e, part_start_keygen(e->part, key_id, deadline_ms, err), &none, err);
}

tdsa_status part_engine_import(part_engine *e, const part_import_spec *spec, uint32_t deadline_ms,
                               char *key_id_out, tdsa_err *err)
{
    const uint64_t started_ms = part_engine_now(e);
    TDSA_SCOPED_SECRET x = NULL;
    mpc_import_key key;
    part_result none;
    uint64_t gone = 0;
    tdsa_status st;

    key_id_out[0] = '\0';
    part_engine_enter(e);
    st = part_import_read(e->part, spec, &key, &x, err);
    part_engine_leave(e);
    if (st == TDSA_OK) {
        st = part_engine_register(e, &spec->key, deadline_ms, key_id_out, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    gone = part_engine_now(e) - started_ms;
    if (deadline_ms != 0) { /* one deadline for both */
        deadline_ms = gone < deadline_ms ? deadline_ms - (uint32_t)gone : 1;
    }
    part_engine_enter(e);
    return finish(e, part_start_import(e->part, key_id_out, &key, deadline_ms, err), &none, err);
}

static bool refreshed(part_engine *e, const char *key_id, tdsa_err *err);

tdsa_status part_engine_presign(part_engine *e, const char *key_id, uint32_t count,
                                uint32_t deadline_ms, tdsa_err *err)
{
    part_result none;
    tdsa_status st = TDSA_OK;

    for (unsigned i = 0; i < 2; i++) {
        part_engine_enter(e);
        st = finish(e, part_start_presign(e->part, key_id, count, deadline_ms, err), &none, err);
        if (st == TDSA_OK || i > 0 || !refreshed(e, key_id, err)) {
            break;
        }
    }
    return st;
}

tdsa_status part_engine_reshare(part_engine *e, const char *key_id, const part_reshare_spec *spec,
                                uint32_t deadline_ms, tdsa_err *err)
{
    part_result none;

    part_engine_enter(e);
    return finish(e, part_start_reshare(e->part, key_id, spec, deadline_ms, err), &none, err);
}

/* The refresh that a restored share waits for. */
static bool refreshed(part_engine *e, const char *key_id, tdsa_err *err)
{
    const part_reshare_spec same = {.member_count = 0};
    tdsa_err why;

    if (err->status != TDSA_E_CONFLICT || strstr(err->text, PART_RESTORED ":") == NULL) {
        return false;
    }
    if (part_engine_reshare(e, key_id, &same, 0, &why) != TDSA_OK) {
        (void)tdsa_err_wrap(err, "the refresh failed (%s)", why.text);
        return false;
    }
    return true;
}

tdsa_status part_engine_backup(part_engine *e, const char *key_id, const char *passphrase,
                               tdsa_buf *out, tdsa_err *err)
{
    part_share_backup b;
    tdsa_status st = part_passphrase_check(passphrase, err);

    if (st != TDSA_OK) {
        return st;
    }
    part_engine_enter(e);
    st = part_backup_make(e->part, key_id, &b, err);
    part_engine_leave(e);
    if (st == TDSA_OK) { /* outside the lock: it takes long on purpose */
        st = part_share_backup_seal(out, &b, passphrase, err);
        part_share_backup_clear(&b);
    }
    return st;
}

tdsa_status part_engine_restore(part_engine *e, const uint8_t *backup, size_t len,
                                const char *passphrase, uint32_t deadline_ms, char *key_id_out,
                                tdsa_err *err)
{
    part_share_backup b;
    part_result none;
    tdsa_status st = part_passphrase_check(passphrase, err);

    if (st == TDSA_OK) {
        st = part_share_backup_open(&b, backup, len, passphrase, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    memcpy(key_id_out, b.key_id, sizeof b.key_id);
    part_engine_enter(e);
    st = finish(e, part_start_restore(e->part, &b, deadline_ms, err), &none, err);
    part_share_backup_clear(&b); /* empty when the operation took it */
    return st;
}

tdsa_status part_engine_delete(part_engine *e, const char *key_id, uint64_t grace_ms,
                               uint32_t deadline_ms, tdsa_err *err)
{
    part_result none;

    part_engine_enter(e);
    return finish(e, part_start_delete(e->part, key_id, grace_ms, deadline_ms, err), &none, err);
}

tdsa_status part_engine_undelete(part_engine *e, const char *key_id, uint32_t deadline_ms,
                                 tdsa_err *err)
{
    part_result none;

    part_engine_enter(e);
    return finish(e, part_start_undelete(e->part, key_id, deadline_ms, err), &none, err);
}

/* Others are signing and will soon have no presignatures: this caller sees to it. What goes wrong, they
 * will meet themselves. The lock is held. */
static void make_ahead(part_engine *e, const char *key_id)
{
    part_result none;
    tdsa_err err;
    uint64_t op = PART_OP_NONE;

    if (e->inside > 0 && !e->stopping) {
        op = part_start_ahead(e->part, key_id, &err);
    }
    if (op != PART_OP_NONE) {
        (void)part_engine_finish(e, op, &none, &err);
    }
}

/* A caller whose operation is over does something for all, outside the lock: part_engine_stop waits for it. */
static void go_out(part_engine *e)
{
    e->inside++;
    part_engine_leave(e);
}

static void come_back(part_engine *e)
{
    part_engine_enter(e);
    e->inside--;
    part_engine_flush(e);
}

/* A quarter of a full lease is used: the caller leases what follows, and has it burnt. The lock is held. */
static void lease_ahead(part_engine *e, const char *key_id)
{
    part_lease_work w;
    part_result none;
    tdsa_err err;
    uint64_t op = PART_OP_NONE;

    if (e->inside > 0 && !e->stopping && part_take_lease(e->part, key_id, &w)) {
        go_out(e);
        part_make_lease(&w);
        come_back(e);
        op = part_give_lease(e->part, &w);
    }
    if (op != PART_OP_NONE) {
        (void)part_engine_finish(e, op, &none, &err);
    }
}

/* A key that signs a lot gets its table, at the cost of this caller. The lock is held. */
static void make_table(part_engine *e, const char *key_id)
{
    part_table_work w;

    if (!e->stopping && part_take_table(e->part, key_id, &w)) {
        go_out(e);
        part_make_table(&w);
        come_back(e);
        part_give_table(e->part, &w);
    }
}

/* The store is asked for changes of keys outside the lock, so that callers do not wait for each other's questions.
 * When it does not answer, what is in memory is believed. */
static uint64_t start_sign(part_engine *e, const part_sign_request *req, uint32_t deadline_ms,
                           tdsa_err *err)
{
    uint64_t changes = 0;
    uint64_t op = PART_OP_NONE;
    tdsa_err ignored;

    if (ks_change_counter(e->store, &changes, &ignored) != TDSA_OK) {
        changes = 0;
    }
    part_engine_enter(e);
    part_keys_follow_to(e->part, changes);
    op = part_start_sign(e->part, req, deadline_ms, err);
    part_keys_follow_again(e->part);
    return op;
}

tdsa_status part_engine_sign(part_engine *e, const part_sign_request *req, uint32_t deadline_ms,
                             part_sign_result *out, tdsa_err *err)
{
    part_result result;
    tdsa_status st = TDSA_OK;

    memset(out, 0, sizeof *out);
    memset(&result, 0, sizeof result);
    for (unsigned i = 0; i < 2; i++) {
        st = drive(e, start_sign(e, req, deadline_ms, err), &result, err);
        if (st == TDSA_OK) {
            make_ahead(e, req->key_id);
            lease_ahead(e, req->key_id);
            make_table(e, req->key_id);
        }
        part_engine_leave(e);
        if (st == TDSA_OK || i > 0 || !refreshed(e, req->key_id, err)) {
            break;
        }
    }
    *out = result.sign; /* of one that failed: the session, nothing else */
    return st;
}

/* Why nothing of a batch was signed; of one of which something was, the first request's success. */
static tdsa_err *why_none(uint64_t op, part_batch_item *items, size_t count, tdsa_err *err)
{
    for (size_t i = 0; op != PART_OP_NONE && i < count; i++) {
        if (items[i].err.status == TDSA_OK) {
            return &items[i].err;
        }
    }
    return op == PART_OP_NONE ? err : &items[0].err;
}

tdsa_status part_engine_sign_batch(part_engine *e, const char *key_id, const part_sign_request *req,
                                   size_t count, uint32_t deadline_ms, part_batch_item *out,
                                   tdsa_err *err)
{
    part_result none;
    uint64_t op = PART_OP_NONE;
    tdsa_status st = TDSA_OK;

    for (unsigned i = 0; i < 2; i++) {
        part_engine_enter(e);
        op = part_start_sign_batch(e->part, key_id, req, count, deadline_ms, out, err);
        st = drive(e, op, &none, err);
        make_table(e, key_id);
        part_engine_leave(e);
        if (i > 0 || !refreshed(e, key_id, why_none(op, out, count, err))) {
            break;
        }
    }
    return op == PART_OP_NONE ? st : TDSA_OK; /* each request says how it ended */
}

/* The package moves to the caller. */
static tdsa_status finish_package(part_engine *e, uint64_t op, part_recovery_package *out,
                                  tdsa_err *err)
{
    part_result result;
    tdsa_status st;

    memset(&result, 0, sizeof result);
    st = finish(e, op, &result, err);
    if (st == TDSA_OK) {
        *out = *result.recovery; /* the buffers move */
        free(result.recovery);
    } else {
        part_recovery_free(result.recovery);
    }
    return st;
}

tdsa_status part_engine_recovery(part_engine *e, const part_recovery_request *req,
                                 uint32_t deadline_ms, part_recovery_package *out, tdsa_err *err)
{
    memset(out, 0, sizeof *out);
    part_engine_enter(e);
    return finish_package(e, part_start_recovery(e->part, req, deadline_ms, err), out, err);
}

tdsa_status part_engine_export(part_engine *e, const part_export_spec *spec, uint32_t deadline_ms,
                               part_recovery_package *out, tdsa_err *err)
{
    memset(out, 0, sizeof *out);
    part_engine_enter(e);
    return finish_package(e, part_start_export(e->part, spec, deadline_ms, err), out, err);
}

tdsa_status part_engine_approve_export(part_engine *e, const part_export_spec *spec,
                                       uint64_t valid_ms, uint64_t *expires_ms, tdsa_err *err)
{
    tdsa_status st;

    part_engine_enter(e);
    st = part_approve_export(e->part, spec, valid_ms, expires_ms, err);
    part_engine_leave(e);
    return st;
}

tdsa_status part_engine_ping(part_engine *e, uint32_t deadline_ms, bool *ok, tdsa_err *err)
{
    part_result result;
    tdsa_status st;

    memset(&result, 0, sizeof result);
    part_engine_enter(e);
    st = finish(e, part_start_ping(e->part, deadline_ms, err), &result, err);
    memcpy(ok, result.alive, sizeof result.alive);
    return st;
}

/* ---- local ---- */

tdsa_status part_engine_available(part_engine *e, const char *key_id, uint64_t *out, tdsa_err *err)
{
    tdsa_status st;

    part_engine_enter(e);
    st = part_stock(e->part, key_id, out, err);
    part_engine_leave(e);
    return st;
}

tdsa_status part_engine_available_all(part_engine *e, uint64_t *out, tdsa_err *err)
{
    tdsa_status st;

    part_engine_enter(e);
    st = part_stock_all(e->part, out, err);
    part_engine_leave(e);
    return st;
}

tdsa_status part_engine_purge(part_engine *e, const char *key_id, uint64_t *dropped, tdsa_err *err)
{
    tdsa_status st;

    part_engine_enter(e);
    st = part_purge(e->part, key_id, dropped, err);
    part_engine_leave(e);
    return st;
}

tdsa_status part_engine_purge_all(part_engine *e, uint64_t *dropped, tdsa_err *err)
{
    tdsa_status st;

    part_engine_enter(e);
    st = part_purge_all(e->part, dropped, err);
    part_engine_leave(e);
    return st;
}

tdsa_status part_engine_set_limit(part_engine *e, const char *key_id, int64_t limit, tdsa_err *err)
{
    tdsa_status st;

    part_engine_enter(e);
    st = part_set_limit(e->part, key_id, limit, err);
    part_engine_flush(e);
    part_engine_leave(e);
    return st;
}

tdsa_status part_engine_stock(part_engine *e, const char *key_id, part_stock_info *out,
                              tdsa_err *err)
{
    tdsa_status st;

    part_engine_enter(e);
    st = part_stock_describe(e->part, key_id, out, err);
    part_engine_leave(e);
    return st;
}

tdsa_status part_engine_presignatures(part_engine *e, const char *key_id, part_presig_fn fn,
                                      void *ctx, tdsa_err *err)
{
    tdsa_status st;

    part_engine_enter(e);
    st = part_presignatures(e->part, key_id, fn, ctx, err);
    part_engine_leave(e);
    return st;
}

tdsa_status part_engine_delete_presignature(part_engine *e, const char *key_id,
                                            const part_presig_id *id, tdsa_err *err)
{
    tdsa_status st;

    part_engine_enter(e);
    st = part_presig_delete(e->part, key_id, id, err);
    part_engine_leave(e);
    return st;
}

tdsa_status part_engine_deletion(part_engine *e, const char *key_id, part_deletion_info *out,
                                 tdsa_err *err)
{
    tdsa_status st;

    part_engine_enter(e);
    st = part_deletion_describe(e->part, key_id, out, err);
    part_engine_leave(e);
    return st;
}

tdsa_status part_engine_key(part_engine *e, const char *key_id, part_key_info *out, tdsa_err *err)
{
    tdsa_status st;

    part_engine_enter(e);
    st = part_key_describe(e->part, key_id, out, err);
    part_engine_leave(e);
    return st;
}

tdsa_status part_engine_list(part_engine *e, const part_key_filter *filter, part_key_fn fn,
                             void *ctx, tdsa_err *err)
{
    tdsa_status st;

    part_engine_enter(e);
    st = part_key_list(e->part, filter, fn, ctx, err);
    part_engine_leave(e);
    return st;
}

tdsa_status part_engine_set_attrs(part_engine *e, const char *key_id, const char *label,
                                  const uint8_t *attrs, size_t attrs_len, tdsa_err *err)
{
    return ks_key_set_attrs(e->store, key_id, label, attrs, attrs_len, err);
}

tdsa_status part_engine_partial(part_engine *e, const part_sign_request *req,
                                const part_presig_id *id, part_partial_result *out, tdsa_err *err)
{
    tdsa_status st;

    part_engine_enter(e);
    st = part_partial(e->part, req, id, out, err);
    part_engine_flush(e);
    part_engine_leave(e);
    return st;
}

tdsa_status part_engine_combine(part_engine *e, const char *key_id, const part_bytes *partials,
                                size_t count, part_combined *out, tdsa_err *err)
{
    tdsa_status st;

    part_engine_enter(e);
    st = part_combine(e->part, key_id, partials, count, out, err);
    part_engine_leave(e);
    return st;
}

tdsa_status part_engine_public_key(part_engine *e, const char *key_id, const uint32_t *path,
                                   uint16_t path_len, uint8_t *out, size_t *out_len, tdsa_err *err)
{
    tdsa_status st;

    part_engine_enter(e);
    st = part_derive_public(e->part, key_id, path, path_len, out, out_len, err);
    part_engine_leave(e);
    return st;
}

tdsa_status part_engine_xpub(part_engine *e, const char *key_id, const uint32_t *path,
                             uint16_t path_len, char *out, tdsa_err *err)
{
    tdsa_status st;

    part_engine_enter(e);
    st = part_derive_xpub(e->part, key_id, path, path_len, out, err);
    part_engine_leave(e);
    return st;
}

void part_engine_stats(part_engine *e, part_stats *out)
{
    part_engine_enter(e);
    part_get_stats(e->part, out);
    part_engine_leave(e);
}
