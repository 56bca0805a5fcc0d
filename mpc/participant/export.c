#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/encode.h"
#include "base/statement.h"
#include "participant/export.h"
#include "participant/run_internal.h"
#include "protocol/export.h"

/*
 * Export of a key (protocol/export.h): a run of all members whose result is not stored. Each encrypts
 * its fresh share under the certificate and sends it to the coordinator only, after its approval is used
 * up and the export recorded.
 */

/* ---- the plan ---- */

void part_export_put_path(tdsa_buf *out, const uint32_t *path, size_t len)
{
    const size_t list = tdsa_stmt_list_begin(out);

    for (size_t i = 0; i < len; i++) {
        tdsa_stmt_uint(out, path[i]);
    }
    tdsa_stmt_list_end(out, list);
}

void part_export_read_path(tdsa_reader *r, uint32_t path[MPC_PATH_MAX], uint16_t *len)
{
    tdsa_reader list = tdsa_stmt_read_list(r);
    uint64_t element = 0;

    *len = 0;
    while (!list.failed && tdsa_reader_left(&list) > 0 && *len < MPC_PATH_MAX) {
        element = tdsa_stmt_read_uint(&list);
        if (element >= MPC_HARDENED) {
            r->failed = true;
            return;
        }
        path[(*len)++] = (uint32_t)element;
    }
    if (list.failed || tdsa_reader_left(&list) > 0) {
        r->failed = true;
    }
}

void part_export_put_plan(tdsa_buf *out, const part_export_plan *plan)
{
    tdsa_stmt_begin(out, "export-plan");
    tdsa_stmt_uint(out, plan->epoch);
    tdsa_stmt_octets(out, plan->certificate, sizeof plan->certificate);
    part_export_put_path(out, plan->path, plan->path_len);
}

tdsa_status part_export_parse_plan(part_export_plan *out, const uint8_t *in, size_t len,
                                   tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(in, len);
    uint64_t epoch = 0;

    memset(out, 0, sizeof *out);
    tdsa_stmt_expect(&r, "export-plan");
    epoch = tdsa_stmt_read_uint(&r);
    tdsa_stmt_read_exact(&r, out->certificate, sizeof out->certificate);
    part_export_read_path(&r, out->path, &out->path_len);
    if (epoch > UINT32_MAX) {
        r.failed = true;
    }
    out->epoch = (uint32_t)epoch;
    return tdsa_reader_finish(&r, "plan of an export", err);
}

tdsa_status part_export_plan_of(part_export_plan *out, const part_export_spec *spec, uint32_t epoch,
                                tdsa_err *err)
{
    memset(out, 0, sizeof *out);
    if (spec->path_len > MPC_PATH_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a path has at most %u elements", MPC_PATH_MAX);
    }
    for (size_t i = 0; i < spec->path_len; i++) {
        if (spec->path[i] >= MPC_HARDENED) {
            return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "hardened derivation needs the private key");
        }
        out->path[i] = spec->path[i];
    }
    out->path_len = spec->path_len;
    out->epoch = epoch;
    memcpy(out->certificate, spec->certificate, sizeof out->certificate);
    return TDSA_OK;
}

void part_export_text(char out[PART_EXPORT_TEXT_MAX], const part_export_plan *plan)
{
    char hex[2 * sizeof plan->certificate + 1];
    int len;

    tdsa_hex(hex, plan->certificate, sizeof plan->certificate);
    len = snprintf(out, PART_EXPORT_TEXT_MAX, "epoch %u, certificate %s, path m", plan->epoch, hex);
    for (size_t i = 0; i < plan->path_len && len < (int)PART_EXPORT_TEXT_MAX; i++) {
        len += snprintf(out + len, PART_EXPORT_TEXT_MAX - (size_t)len, "/%u", plan->path[i]);
    }
}

/* ---- checks of everybody ---- */

static const tdsa_rsa_cert *certificate_of(const part *p, const uint8_t sha256[32])
{
    for (size_t i = 0; i < p->cfg.export_count; i++) {
        if (memcmp(tdsa_rsa_cert_facts(p->cfg.exports[i])->sha256, sha256, 32) == 0) {
            return p->cfg.exports[i];
        }
    }
    return NULL;
}

tdsa_status part_export_allowed(const part *p, const mpc_key_public *key,
                                const part_export_plan *plan, const tdsa_rsa_cert **cert,
                                tdsa_err *err)
{
    *cert = certificate_of(p, plan->certificate);
    if (*cert == NULL) {
        return TDSA_FAIL(err, TDSA_E_DENIED,
                         "the certificate is none of the exportCertificates of participant %u",
                         p->cfg.roster.me);
    }
    if (!key->policy.exportable) {
        return TDSA_FAIL(err, TDSA_E_DENIED, "the policy of key %s forbids exporting it",
                         key->key_id);
    }
    if (plan->path_len > 0 &&
        mpc_policy_check_path(&key->policy, plan->path, plan->path_len, err) != TDSA_OK) {
        return err->status;
    }
    return part_audit_needed(p, "an export", err);
}

/* All members have the keys that the configuration here says; a client has those of the key. */
static tdsa_status check_known(const part *p, const mpc_key_public *key, tdsa_err *err)
{
    const peer_roster *roster = &p->cfg.roster;

    for (size_t i = 0; i < key->n; i++) {
        const mpc_member *m = &key->members[i];
        peer_keys keys;
        bool known = m->index < roster->n;

        memcpy(keys.x25519, m->x25519, sizeof keys.x25519);
        memcpy(keys.x448, m->x448, sizeof keys.x448);
        if (m->index == roster->me) {
            known = part_member_is(m, &roster->my_public);
        } else if (known && part_asker_of(p, m->index) != PART_BY_CLIENT) {
            known = peer_roster_find(roster, m->index, &keys) != NULL;
        }
        if (!known) {
            return TDSA_FAIL(err, TDSA_E_CONFLICT,
                             "participant %u of the key has other keys than "
                             "remoteParticipants[%u] here: refresh the key first",
                             m->index, m->index);
        }
    }
    return TDSA_OK;
}

/* The call of a client is its approval; every server has given one before. */
static tdsa_status check_approved(part *p, const part_run *r, tdsa_err *err)
{
    return part_is_client(p) ? TDSA_OK : part_approval_check(p, r->key_id, r->export_plan, err);
}

static tdsa_status make_run(part *p, part_run *r, const tdsa_rsa_cert *cert, tdsa_err *err)
{
    const part_export_plan *plan = r->export_plan;
    const mpc_export_cfg cfg = {.key = r->key->key,
                                .coordinator = r->coordinator,
                                .path = plan->path_len > 0 ? plan->path : NULL,
                                .path_len = plan->path_len,
                                .cert = cert,
                                .rng = p->cfg.rng};

    return mpc_export_new(&r->keygen, &cfg, err);
}

tdsa_status part_export_begin(part *p, part_run *r, tdsa_err *err)
{
    const mpc_key_public *key = NULL;
    const tdsa_rsa_cert *cert = NULL;
    tdsa_status st = r->key == NULL ? part_key_hold(p, r->key_id, &r->key, err) : TDSA_OK;

    if (st != TDSA_OK) {
        return st;
    }
    key = &r->key->key->pub;
    r->member_count = mpc_key_indices(r->members, key);
    st = part_run_bind(p, r, key->members, key->n, err);
    st = st != TDSA_OK ? st : part_epoch_check(p, r->key, r->export_plan->epoch, err);
    st = st != TDSA_OK ? st : check_known(p, key, err);
    st = st != TDSA_OK ? st : part_export_allowed(p, key, r->export_plan, &cert, err);
    st = st != TDSA_OK ? st : check_approved(p, r, err);
    return st != TDSA_OK ? st : make_run(p, r, cert, err);
}

/* ---- what is durable, and what comes out ---- */

/* Everything is ready to leave: from here on the approval is gone, whatever becomes of the rest. */
static tdsa_status use_up(part *p, part_run *r, tdsa_err *err)
{
    char what[PART_EXPORT_TEXT_MAX];
    char detail[PART_EXPORT_TEXT_MAX + 64];
    tdsa_status st =
        part_is_client(p) ? TDSA_OK : part_approval_use(p, r->key_id, r->export_plan, err);

    if (st != TDSA_OK) {
        return st;
    }
    part_export_text(what, r->export_plan);
    (void)snprintf(detail, sizeof detail, "asked by participant %u, %s", r->coordinator, what);
    st = part_audit(p, "key.export", r->key_id, detail, err);
    if (st == TDSA_OK) {
        mpc_keygen_mark_stored(r->keygen);
    }
    return st;
}

static tdsa_status add_info(part_recovery_package *pkg, const part_run *r, uint16_t from,
                            tdsa_err *err)
{
    part_recovery_info *info = &pkg->infos[pkg->count];
    const uint8_t *bytes = NULL;
    size_t len = 0;

    mpc_export_info(r->keygen, from, &bytes, &len);
    TDSA_ASSERT(bytes != NULL);
    pkg->count++;
    info->participant = from;
    info->bytes = TDSA_BUF_EMPTY;
    memcpy(info->certificate, r->export_plan->certificate, sizeof info->certificate);
    tdsa_buf_append(&info->bytes, bytes, len);
    return tdsa_buf_check(&info->bytes, err);
}

/* The run has verified every info; the public key is in each. */
static tdsa_status fill_package(part_recovery_package *pkg, const part_run *r, tdsa_err *err)
{
    const grp *g = r->key->key->g;
    mpc_recovery_info info;
    tdsa_status st = TDSA_OK;

    for (size_t i = 0; i < r->member_count && st == TDSA_OK; i++) {
        st = add_info(pkg, r, r->members[i], err);
    }
    if (st == TDSA_OK) {
        st = mpc_recovery_decode(&info, g, pkg->infos[0].bytes.data, pkg->infos[0].bytes.len, err);
    }
    if (st == TDSA_OK) {
        pkg->epoch = r->export_plan->epoch;
        pkg->public_key_len = grp_get_info(g)->point_len;
        grp_point_encode(g, pkg->public_key, &info.context.y);
    }
    return st;
}

static tdsa_status hand_out(part *p, part_run *r, tdsa_err *err)
{
    part_op *op = part_op_find(p, r->op);
    part_recovery_package *pkg = NULL;
    tdsa_status st;

    if (r->coordinator != p->cfg.roster.me || op == NULL) {
        part_say(p, TDSA_LOG_INFO, "key %s: exported at the request of participant %u", r->key_id,
                 r->coordinator);
        return TDSA_OK;
    }
    pkg = calloc(1, sizeof *pkg);
    if (pkg == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "package of an export");
    }
    st = fill_package(pkg, r, err);
    if (st != TDSA_OK) {
        part_recovery_free(pkg);
        return st;
    }
    op->result.recovery = pkg;
    part_say(p, TDSA_LOG_INFO, "key %s: exported", r->key_id);
    return TDSA_OK;
}

tdsa_status part_export_after(part *p, part_run *r, tdsa_err *err)
{
    switch (part_run_round(r)) {
    case MPC_KEYGEN_ROUND_STORED:
        return use_up(p, r, err);
    case MPC_EXPORT_ROUNDS:
        return hand_out(p, r, err);
    default:
        return TDSA_OK;
    }
}

/* ---- the coordinator ---- */

static tdsa_status begin_mine(part *p, const part_op *op, part_key *k, const part_export_spec *spec,
                              tdsa_err *err)
{
    part_run *r = NULL;
    tdsa_status st = part_run_mine(p, &r, op, RUN_EXPORT, err);

    if (st != TDSA_OK) {
        return st;
    }
    r->key = part_key_ref(k);
    r->export_plan = calloc(1, sizeof *r->export_plan);
    if (r->export_plan == NULL) {
        st = TDSA_FAIL(err, TDSA_E_NO_MEMORY, "plan of an export");
    }
    st = st != TDSA_OK ? st : part_export_plan_of(r->export_plan, spec, k->key->pub.epoch, err);
    if (st == TDSA_OK) {
        part_export_put_plan(&r->plan_bytes, r->export_plan);
        st = tdsa_buf_check(&r->plan_bytes, err);
    }
    st = st != TDSA_OK ? st : part_export_begin(p, r, err);
    return part_run_go(p, r, st);
}

uint64_t part_start_export(part *p, const part_export_spec *spec, uint32_t deadline_ms,
                           tdsa_err *err)
{
    part_op *op = NULL;
    part_key *k = NULL;
    tdsa_status st = part_may_coordinate(p, err);

    if (st == TDSA_OK && !part_key_id_ok(spec->key_id)) {
        st = TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no such key");
    }
    if (st != TDSA_OK || part_key_hold(p, spec->key_id, &k, err) != TDSA_OK) {
        return PART_OP_NONE;
    }
    op = part_op_new(p, PART_OP_EXPORT, spec->key_id, deadline_ms, err);
    if (op == NULL) {
        part_key_release(p, k);
        return PART_OP_NONE;
    }
    op->state = OP_RUNNING;
    part_op_event(p, PART_OP_EXPORT, PART_EVENT_STARTED, op->started_ms);
    st = begin_mine(p, op, k, spec, err);
    part_key_release(p, k);
    if (st != TDSA_OK) {
        part_op_cancel(p, op->id, err);
        return PART_OP_NONE;
    }
    return op->id;
}
