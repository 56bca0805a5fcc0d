#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/statement.h"
#include "participant/internal.h"
#include "protocol/recovery.h"

/*
 * Recovery infos: of this participant's share under every certificate of its configuration, and a
 * package of those of all participants, each verified before anybody gets it.
 */

void part_recovery_package_clear(part_recovery_package *pkg)
{
    for (size_t i = 0; i < pkg->count; i++) {
        tdsa_buf_clear(&pkg->infos[i].bytes);
    }
    memset(pkg, 0, sizeof *pkg);
}

void part_recovery_free(part_recovery_package *pkg)
{
    if (pkg != NULL) {
        part_recovery_package_clear(pkg);
        free(pkg);
    }
}

static tdsa_status check_certificates(const part *p, tdsa_err *err)
{
    if (p->cfg.ers_count == 0) {
        return TDSA_FAIL(err, TDSA_E_CONFLICT,
                         "NO_CERTIFICATE: no ersCertificates are configured here");
    }
    return TDSA_OK;
}

/* The place of the infos of a participant: behind those of lower indices and its own earlier ones. */
static tdsa_buf *add_info(part_recovery_package *pkg, uint16_t index, const tdsa_rsa_cert *cert)
{
    size_t at = pkg->count;

    TDSA_ASSERT(pkg->count < PART_RECOVERY_INFOS_MAX);
    while (at > 0 && pkg->infos[at - 1].participant > index) {
        pkg->infos[at] = pkg->infos[at - 1];
        at--;
    }
    pkg->count++;
    pkg->infos[at].participant = index;
    pkg->infos[at].bytes = TDSA_BUF_EMPTY;
    memcpy(pkg->infos[at].certificate, tdsa_rsa_cert_facts(cert)->sha256,
           sizeof pkg->infos[at].certificate);
    return &pkg->infos[at].bytes;
}

/* My infos, one per certificate. */
static tdsa_status make_mine(const part *p, const mpc_key *key, const uint8_t *aux, size_t aux_len,
                             part_recovery_package *pkg, tdsa_err *err)
{
    mpc_recovery_context context;
    mpc_recovery_making m = {.g = key->g,
                             .context = &context,
                             .index = key->pub.me,
                             .share = &key->sec->share,
                             .cc = key->pub.cc};
    tdsa_status st = mpc_recovery_context_of(&context, key, aux, aux_len, err);

    for (size_t i = 0; i < p->cfg.ers_count && st == TDSA_OK; i++) {
        m.cert = p->cfg.ers[i];
        st = mpc_recovery_make(add_info(pkg, m.index, m.cert), &m, &p->cfg.rng, err);
    }
    return st;
}

/* Recorded before anything is made. */
static tdsa_status record(part *p, const mpc_key *key, uint16_t by, tdsa_err *err)
{
    char detail[96];

    (void)snprintf(detail, sizeof detail,
                   "epoch %u under %zu certificates, asked by participant %u", key->pub.epoch,
                   p->cfg.ers_count, by);
    return part_audit(p, "key.recovery-info", key->pub.key_id, detail, err);
}

/* ---- a peer asks ---- */

typedef struct {
    char key_id[KS_KEY_ID_MAX + 1];
    uint64_t epoch;
    const uint8_t *aux;
    size_t aux_len;
} wish;

static tdsa_status read_wish(wish *out, const part_ask *a, tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(a->body, a->body_len);

    tdsa_stmt_expect(&r, "recovery");
    tdsa_stmt_read_text(&r, out->key_id, sizeof out->key_id);
    out->epoch = tdsa_stmt_read_uint(&r);
    out->aux = tdsa_stmt_read_octets(&r, &out->aux_len, MPC_RECOVERY_AUX_MAX);
    return tdsa_reader_finish(&r, "recovery", err);
}

static tdsa_status answer_wish(part *p, const part_session *s, uint16_t from, const wish *w,
                               part_key *k, tdsa_buf *out, tdsa_err *err)
{
    part_recovery_package mine;
    tdsa_status st = part_epoch_check(p, k, w->epoch, err);

    memset(&mine, 0, sizeof mine);
    if (st == TDSA_OK &&
        !part_members_have(k->key->pub.members, k->key->pub.n, from, &s->link[from]->keys)) {
        st = TDSA_FAIL(err, TDSA_E_NOT_FOUND, "there is no key %s", w->key_id);
    }
    st = st != TDSA_OK ? st : record(p, k->key, from, err);
    st = st != TDSA_OK ? st : make_mine(p, k->key, w->aux, w->aux_len, &mine, err);
    tdsa_stmt_begin(out, "recovery-infos");
    for (size_t i = 0; i < mine.count && st == TDSA_OK; i++) {
        tdsa_stmt_octets(out, mine.infos[i].bytes.data, mine.infos[i].bytes.len);
    }
    part_recovery_package_clear(&mine);
    return st;
}

tdsa_status part_ask_recovery(part *p, part_session *s, uint16_t from, const part_ask *a,
                              tdsa_buf *out, tdsa_err *err)
{
    ks_key_state state = KS_KEY_DELETED;
    part_key *k = NULL;
    wish w;
    tdsa_status st = read_wish(&w, a, err);

    st = st != TDSA_OK ? st : part_check_bound(p, s, from, w.key_id, &state, err);
    st = st != TDSA_OK ? st : check_certificates(p, err);
    st = st != TDSA_OK ? st : part_key_hold(p, w.key_id, &k, err);
    if (st != TDSA_OK) {
        return st;
    }
    st = answer_wish(p, s, from, &w, k, out, err);
    part_key_release(p, k);
    if (st == TDSA_OK) {
        part_say(p, TDSA_LOG_INFO, "key %s: recovery info made at the request of participant %u",
                 w.key_id, from);
    }
    return st;
}

/* ---- the coordinator ---- */

/* My certificate of an info; NULL when it is none of mine. */
static const tdsa_rsa_cert *certificate_of(const part *p, const mpc_recovery_info *info)
{
    for (size_t i = 0; i < p->cfg.ers_count; i++) {
        if (memcmp(tdsa_rsa_cert_facts(p->cfg.ers[i])->sha256, info->certificate, 32) == 0) {
            return p->cfg.ers[i];
        }
    }
    return NULL;
}

static bool has_info(const part_recovery_package *pkg, uint16_t from, const tdsa_rsa_cert *cert)
{
    for (size_t i = 0; i < pkg->count; i++) {
        if (pkg->infos[i].participant == from &&
            memcmp(pkg->infos[i].certificate, tdsa_rsa_cert_facts(cert)->sha256, 32) == 0) {
            return true;
        }
    }
    return false;
}

/* One of my own infos, whose context everybody's must have. */
static const tdsa_buf *my_bytes(const part *p, const part_recovery_package *pkg)
{
    size_t i = 0;

    while (pkg->infos[i].participant != p->cfg.roster.me) {
        i++;
        TDSA_ASSERT(i < pkg->count);
    }
    return &pkg->infos[i].bytes;
}

/* Certificate, context and participant are those that I expect. */
static tdsa_status check_subject(const part_op *op, const part *p, uint16_t from,
                                 const mpc_recovery_info *info, tdsa_err *err)
{
    const mpc_key *key = op->key->key;
    const tdsa_buf *own = my_bytes(p, op->result.recovery);
    mpc_recovery_info mine;
    tdsa_status st = mpc_recovery_decode(&mine, key->g, own->data, own->len, err);

    if (st == TDSA_OK && (info->index != from || info->context_len != mine.context_len ||
                          memcmp(info->context_bytes, mine.context_bytes, mine.context_len) != 0)) {
        return TDSA_BLAME(err, from, "its recovery info is of another key, epoch or participant");
    }
    return st;
}

/* Checks one info of a peer and keeps it. */
static tdsa_status take_info(const part *p, const part_op *op, uint16_t from, const uint8_t *bytes,
                             size_t len, tdsa_err *err)
{
    part_recovery_package *pkg = op->result.recovery;
    const mpc_key *key = op->key->key;
    const tdsa_rsa_cert *cert = NULL;
    tdsa_buf *to = NULL;
    mpc_recovery_info info;
    tdsa_status st = mpc_recovery_decode(&info, key->g, bytes, len, err);

    if (st != TDSA_OK) {
        return TDSA_BLAME(err, from, "its recovery info cannot be read");
    }
    cert = certificate_of(p, &info);
    if (cert == NULL || has_info(pkg, from, cert)) {
        return tdsa_err_blame(err, TDSA_E_CONFLICT, from, TDSA_WHERE,
                              "CERTIFICATES_DIFFER: its ersCertificates are not the ones here");
    }
    st = check_subject(op, p, from, &info, err);
    st = st != TDSA_OK ? st : mpc_recovery_verify_vartime(&info, key->g, cert, err);
    st = st != TDSA_OK ? st : mpc_recovery_verify_cc(&info, cert, key->pub.cc, err);
    if (st == TDSA_OK) {
        to = add_info(pkg, from, cert);
        tdsa_buf_append(to, bytes, len);
        st = tdsa_buf_check(to, err);
    }
    return st;
}

tdsa_status part_recovery_answered(part *p, part_op *op, uint16_t from, const part_answer *a,
                                   tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(a->body, a->body_len);
    size_t count = 0;
    tdsa_status st = TDSA_OK;

    tdsa_stmt_expect(&r, "recovery-infos");
    while (st == TDSA_OK && !r.failed && tdsa_reader_left(&r) > 0 && count < p->cfg.ers_count) {
        size_t len = 0;
        const uint8_t *bytes = tdsa_stmt_read_octets(&r, &len, MPC_RECOVERY_INFO_MAX);

        if (bytes != NULL) {
            st = take_info(p, op, from, bytes, len, err);
            count++;
        }
    }
    if (st == TDSA_OK && r.failed) {
        st = TDSA_BLAME(err, from, "its answer has no recovery infos");
    }
    if (st == TDSA_OK && (count != p->cfg.ers_count || tdsa_reader_left(&r) > 0)) {
        st = tdsa_err_blame(err, TDSA_E_CONFLICT, from, TDSA_WHERE,
                            "CERTIFICATES_DIFFER: its ersCertificates are not the ones here");
    }
    return st == TDSA_OK ? st : tdsa_err_wrap(err, "participant %u", from);
}

static tdsa_status begin(part *p, part_op *op, const part_recovery_request *req, tdsa_err *err)
{
    const mpc_key_public *pub = &op->key->key->pub;
    part_recovery_package *pkg = calloc(1, sizeof *pkg);
    tdsa_status st = TDSA_OK;

    if (pkg == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "recovery package");
    }
    op->result.recovery = pkg;
    pkg->epoch = pub->epoch;
    pkg->public_key_len = grp_get_info(op->key->key->g)->point_len;
    grp_point_encode(op->key->key->g, pkg->public_key, &pub->y);
    st = record(p, op->key->key, pub->me, err);
    st = st != TDSA_OK ? st : make_mine(p, op->key->key, req->aux, req->aux_len, pkg, err);
    for (uint16_t i = 0; i < pub->n && !req->local; i++) {
        op->waiting |= pub->members[i].index != pub->me ? 1u << pub->members[i].index : 0u;
    }
    tdsa_stmt_begin(&op->payload, "recovery");
    tdsa_stmt_text(&op->payload, op->key_id);
    tdsa_stmt_uint(&op->payload, pub->epoch);
    tdsa_stmt_octets(&op->payload, req->aux, req->aux_len);
    return st == TDSA_OK && op->waiting != 0 ? part_op_ask(p, op, PART_ASK_RECOVERY, err) : st;
}

uint64_t part_start_recovery(part *p, const part_recovery_request *req, uint32_t deadline_ms,
                             tdsa_err *err)
{
    part_op *op = NULL;
    part_key *k = NULL;
    tdsa_status st = req->local ? TDSA_OK : part_may_coordinate(p, err);

    st = st != TDSA_OK ? st : check_certificates(p, err);
    if (st == TDSA_OK && !part_key_id_ok(req->key_id)) {
        st = TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no such key");
    }
    if (st != TDSA_OK || part_key_hold(p, req->key_id, &k, err) != TDSA_OK) {
        return PART_OP_NONE;
    }
    op = part_op_new(p, PART_OP_RECOVERYINFO, req->key_id, deadline_ms, err);
    if (op == NULL) {
        part_key_release(p, k);
        return PART_OP_NONE;
    }
    op->key = k;
    if (begin(p, op, req, err) != TDSA_OK) {
        part_op_cancel(p, op->id, err);
        return PART_OP_NONE;
    }
    if (op->waiting == 0) {
        part_op_end_ok(p, op);
    }
    return op->id;
}
