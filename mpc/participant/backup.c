#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/statement.h"
#include "participant/internal.h"
#include "participant/share_backup.h"

/*
 * Backup and restore of one participant's share. A restored share never signs: it deals in a refresh,
 * which this participant asks for by itself, and whose new shares sign.
 */

#define REFRESH_FIRST_MS 500u
#define REFRESH_AGAIN_MS 5000u
#define REFRESH_LAST_MS  60000u
#define LOOK_MS          60000u /* another process of this database may restore a key */

/* ---- backup ---- */

static tdsa_status fill(part *p, part_key *k, const ks_key *row, part_share_backup *out,
                        tdsa_err *err)
{
    const mpc_key_public *pub = &k->key->pub;
    tdsa_status st = mpc_key_encode_share(&out->share, k->key, err);

    memcpy(out->key_id, row->key_id, sizeof out->key_id);
    memcpy(out->label, row->label, sizeof out->label);
    out->epoch = row->epoch;
    out->me = pub->me;
    out->member_count = pub->n;
    memcpy(out->members, pub->members, sizeof out->members);
    out->log2_n = PART_BACKUP_LOG2_N;
    out->created_ms = row->created_ms;
    out->presignature_limit = row->presignature_limit;
    out->public_part = malloc(row->public_len);
    out->attrs = row->attrs_len == 0 ? NULL : malloc(row->attrs_len);
    if (st == TDSA_OK && (out->public_part == NULL || (row->attrs_len > 0 && out->attrs == NULL))) {
        st = TDSA_FAIL(err, TDSA_E_NO_MEMORY, "backup of a share");
    }
    if (st != TDSA_OK) {
        return st;
    }
    memcpy(out->public_part, row->public_part, row->public_len);
    out->public_len = row->public_len;
    if (row->attrs_len > 0) {
        memcpy(out->attrs, row->attrs, row->attrs_len);
        out->attrs_len = row->attrs_len;
    }
    st = tdsa_rng_fill(&p->cfg.rng, out->salt, sizeof out->salt, err);
    return st == TDSA_OK ? tdsa_rng_fill(&p->cfg.rng, out->nonce, sizeof out->nonce, err) : st;
}

tdsa_status part_backup_make(part *p, const char *key_id, part_share_backup *out, tdsa_err *err)
{
    part_key *k = NULL;
    ks_key *row = NULL;
    char detail[32];
    tdsa_status st;

    memset(out, 0, sizeof *out);
    if (!part_key_id_ok(key_id)) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND, "no such key");
    }
    st = part_key_hold(p, key_id, &k, err);
    if (st == TDSA_OK) {
        st = ks_key_get_epoch(p->cfg.store, key_id, k->key->pub.epoch, &row, err);
    }
    if (st == TDSA_OK) {
        (void)snprintf(detail, sizeof detail, "epoch %u", row->epoch);
        st = part_audit(p, "key.backup", key_id, detail, err);
    }
    if (st == TDSA_OK) {
        st = fill(p, k, row, out, err);
    }
    if (st != TDSA_OK) {
        part_share_backup_clear(out);
    }
    ks_key_free(row);
    part_key_release(p, k);
    return st;
}

/* ---- restore ---- */

/* It was made at this very participant. */
static tdsa_status check_mine(const part *p, const part_share_backup *b, tdsa_err *err)
{
    const peer_keys *mine = &p->cfg.roster.my_public;

    if (b->me != p->cfg.roster.me) {
        return TDSA_FAIL(err, TDSA_E_DENIED,
                         "the backup is participant %u's, and this is participant %u", b->me,
                         p->cfg.roster.me);
    }
    for (size_t i = 0; i < b->member_count; i++) {
        if (b->members[i].index == b->me && part_member_is(&b->members[i], mine)) {
            return TDSA_OK;
        }
    }
    return TDSA_FAIL(err, TDSA_E_DENIED,
                     "the backup was made with other identity keys than this participant has now");
}

/* A share that may not be refreshed would never sign: say so before anything is stored. */
static tdsa_status check_reshare(const part *p, const mpc_key *key, tdsa_err *err)
{
    if (p->cfg.disable_reshare) {
        return TDSA_FAIL(err, TDSA_E_DENIED,
                         "disableReshare is set here, and a restored share signs after a refresh "
                         "only");
    }
    if (!key->pub.policy.reshare) {
        return TDSA_FAIL(err, TDSA_E_DENIED,
                         "the policy of key %s forbids resharing, and a restored share signs after "
                         "a refresh only",
                         key->pub.key_id);
    }
    return TDSA_OK;
}

static tdsa_status check_absent(part *p, const char *key_id, tdsa_err *err)
{
    ks_key *row = NULL;
    tdsa_status st = ks_key_get(p->cfg.store, key_id, &row, err);

    if (st == TDSA_E_NOT_FOUND) {
        return TDSA_OK;
    }
    if (st == TDSA_OK && row->state == KS_KEY_RESTORED) {
        st = TDSA_FAIL(err, TDSA_E_CONFLICT,
                       "key %s is restored here already and waits for a refresh", key_id);
    } else if (st == TDSA_OK && row->state == KS_KEY_DELETED) {
        st = TDSA_FAIL(err, TDSA_E_CONFLICT, "key %s was deleted here", key_id);
    } else if (st == TDSA_OK && row->state != KS_KEY_REGISTERED) {
        st = TDSA_FAIL(err, TDSA_E_CONFLICT, "key %s is here, at epoch %u", key_id, row->epoch);
    }
    ks_key_free(row);
    return st;
}

/* The two halves fit each other and the header. */
static tdsa_status decode(part *p, const part_share_backup *b, mpc_key **out, tdsa_err *err)
{
    const grp *g = NULL;
    grp_curve curve = GRP_P256;
    tdsa_status st = mpc_key_peek_curve(&curve, b->public_part, b->public_len, err);

    if (st == TDSA_OK) {
        st = part_group(p, curve, &g, err);
    }
    if (st == TDSA_OK) {
        st = mpc_key_decode_share(out, g, b->public_part, b->public_len, b->share, err);
    }
    if (st == TDSA_OK && (strcmp((*out)->pub.key_id, b->key_id) != 0 ||
                          (*out)->pub.epoch != b->epoch || (*out)->pub.me != b->me)) {
        mpc_key_free(*out);
        *out = NULL;
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the backup contradicts itself");
    }
    return st;
}

static uint32_t servers_of(const part *p, const mpc_key *key)
{
    uint32_t mask = 0;

    for (uint16_t i = 0; i < p->cfg.roster.n; i++) {
        if (i != p->cfg.roster.me && mpc_key_is_member(&key->pub, i) &&
            part_asker_of(p, i) == PART_BY_SERVER && peer_roster_selected(&p->cfg.roster, i)) {
            mask |= 1u << i;
        }
    }
    return mask;
}

static void put_question(tdsa_buf *out, const mpc_key_public *pub)
{
    tdsa_stmt_begin(out, "status");
    tdsa_stmt_text(out, pub->key_id);
    tdsa_stmt_uint(out, pub->epoch);
    tdsa_stmt_uint(out, (uint64_t)KS_KEY_RESTORED);
    tdsa_stmt_octets(out, pub->stored, sizeof pub->stored);
}

static tdsa_status check_restore(part *p, const part_share_backup *b, mpc_key **key, tdsa_err *err)
{
    tdsa_status st = check_mine(p, b, err);

    if (st == TDSA_OK) {
        st = check_absent(p, b->key_id, err);
    }
    if (st == TDSA_OK) {
        st = decode(p, b, key, err);
    }
    return st == TDSA_OK ? check_reshare(p, *key, err) : st;
}

uint64_t part_start_restore(part *p, part_share_backup *b, uint32_t deadline_ms, tdsa_err *err)
{
    mpc_key *key = NULL;
    part_op *op = NULL;
    tdsa_status st = check_restore(p, b, &key, err);

    if (st == TDSA_OK) {
        op = part_op_new(p, PART_OP_RESTORE, b->key_id, deadline_ms, err);
    }
    if (op != NULL) {
        op->backup = malloc(sizeof *op->backup);
        op->waiting = servers_of(p, key);
        memcpy(op->stored, key->pub.stored, sizeof op->stored);
        put_question(&op->payload, &key->pub);
    }
    mpc_key_free(key);
    if (op == NULL) {
        return PART_OP_NONE;
    }
    if (op->backup == NULL) {
        st = TDSA_FAIL(err, TDSA_E_NO_MEMORY, "backup of a share");
    } else {
        *op->backup = *b; /* what is inside moves */
        memset(b, 0, sizeof *b);
        st = part_op_ask(p, op, PART_ASK_STATUS, err);
    }
    if (st != TDSA_OK) {
        part_op_cancel(p, op->id, err);
        return PART_OP_NONE;
    }
    return op->id;
}

void part_restore_answered(part_op *op, uint16_t from, const part_answer *a)
{
    tdsa_reader r = tdsa_reader_of(a->body, a->body_len);
    char key_id[KS_KEY_ID_MAX + 1];
    uint8_t stored[64];
    uint64_t state = 0;

    op->result.alive[from] = a->status == TDSA_OK || a->status == TDSA_E_NOT_FOUND;
    op->key_is_gone = op->key_is_gone || part_deletion_is_refusal(a);
    tdsa_stmt_expect(&r, "status");
    tdsa_stmt_read_text(&r, key_id, sizeof key_id);
    (void)tdsa_stmt_read_uint(&r);
    state = tdsa_stmt_read_uint(&r);
    tdsa_stmt_read_exact(&r, stored, sizeof stored);
    if (a->status == TDSA_OK && !r.failed && state != KS_KEY_OLD && state != KS_KEY_PENDING &&
        tdsa_ct_equal(stored, op->stored, sizeof stored)) {
        op->has_epoch |= 1u << from;
    }
}

static tdsa_status check_answers(const part_op *op, tdsa_err *err)
{
    bool answered = false;

    for (size_t i = 0; i < GRP_PARTIES_MAX; i++) {
        answered = answered || op->result.alive[i];
    }
    if (op->has_epoch != 0) {
        return TDSA_OK;
    }
    if (!answered) {
        return TDSA_FAIL(err, TDSA_E_UNAVAILABLE,
                         "no participant of key %s answers: whether the backup is still of use "
                         "cannot be said",
                         op->key_id);
    }
    if (op->key_is_gone) {
        return TDSA_FAIL(err, TDSA_E_NOT_FOUND,
                         "DELETED: key %s was deleted by its participants, so this share is worth "
                         "nothing",
                         op->key_id);
    }
    return TDSA_FAIL(err, TDSA_E_CONFLICT,
                     "BACKUP_TOO_OLD: the participants have left epoch %u of key %s, so this share "
                     "is worth nothing; a reshare by another participant gives this one a new one",
                     op->backup->epoch, op->key_id);
}

/* First the stock goes, then the share comes: in between there is nothing that could sign. */
static tdsa_status store(part *p, const part_share_backup *b, tdsa_err *err)
{
    ks_key row = {.epoch = b->epoch,
                  .created_ms = b->created_ms,
                  .presignature_limit = b->presignature_limit,
                  .public_part = b->public_part,
                  .public_len = b->public_len,
                  .attrs = b->attrs,
                  .attrs_len = b->attrs_len};
    tdsa_status st;

    memcpy(row.key_id, b->key_id, sizeof row.key_id);
    memcpy(row.label, b->label, sizeof row.label);
    TDSA_FAILPOINT("restore.before_purge");
    st = part_give_up_stock(p, err);
    TDSA_FAILPOINT("restore.before_share");
    if (st == TDSA_OK) {
        st = ks_key_restore(p->cfg.store, &row, b->share, err);
    }
    TDSA_FAILPOINT("restore.after_share");
    return st;
}

void part_restore_go_on(part *p, part_op *op)
{
    char detail[32];
    tdsa_err err;
    tdsa_status st = check_answers(op, &err);

    (void)snprintf(detail, sizeof detail, "epoch %u", op->backup->epoch);
    if (st == TDSA_OK) {
        st = part_audit(p, "key.restore", op->key_id, detail, &err);
    }
    if (st == TDSA_OK) {
        st = store(p, op->backup, &err);
    }
    if (st != TDSA_OK) {
        part_op_end(p, op, &err);
        return;
    }
    part_say(p, TDSA_LOG_WARN, "key %s is restored at epoch %u: it signs after a refresh",
             op->key_id, op->backup->epoch);
    p->refresh_ms = part_now(p) + REFRESH_FIRST_MS;
    p->refresh_wait_ms = REFRESH_AGAIN_MS;
    part_op_end_ok(p, op);
}

/* ---- the refresh that it asks for ---- */

typedef struct {
    part *p;
    const char *after;
    char first[KS_KEY_ID_MAX + 1], next[KS_KEY_ID_MAX + 1];
} search;

static bool look(void *ctx, const ks_key *row)
{
    search *s = ctx;

    if (part_deletion_is_open(s->p, row->key_id)) {
        return true; /* until that is undone */
    }
    if (s->first[0] == '\0') {
        memcpy(s->first, row->key_id, sizeof s->first);
    }
    if (strcmp(row->key_id, s->after) > 0 && s->next[0] == '\0') {
        memcpy(s->next, row->key_id, sizeof s->next);
    }
    return true;
}

/* The restored key after the one tried last; false when none waits for a refresh. */
static bool next_restored(part *p)
{
    search s = {.p = p, .after = p->refresh_key};
    tdsa_err err;

    if (ks_key_each_in(p->cfg.store, KS_KEY_RESTORED, look, &s, &err) != TDSA_OK) {
        return false;
    }
    memcpy(p->refresh_key, s.next[0] != '\0' ? s.next : s.first, sizeof p->refresh_key);
    return p->refresh_key[0] != '\0';
}

const char *part_client_restored(part *p)
{
    return part_is_client(p) && next_restored(p) ? p->refresh_key : NULL;
}

void part_restored_begin(part *p)
{
    p->refresh_wait_ms = REFRESH_AGAIN_MS;
    p->refresh_ms = part_now(p) + (next_restored(p) ? REFRESH_FIRST_MS : LOOK_MS);
}

static void ended(part *p)
{
    part_result none;
    tdsa_err err;

    if (!part_op_over(p, p->refresh_op, &none, &err)) {
        return;
    }
    p->refresh_op = PART_OP_NONE;
    p->refresh_ms = part_now(p) + (err.status == TDSA_OK ? REFRESH_FIRST_MS : p->refresh_wait_ms);
    if (err.status != TDSA_OK) {
        p->refresh_wait_ms =
            p->refresh_wait_ms * 2 > REFRESH_LAST_MS ? REFRESH_LAST_MS : p->refresh_wait_ms * 2;
    }
}

void part_restored_due(part *p)
{
    const part_reshare_spec same = {.member_count = 0};
    tdsa_err err;

    if (p->refresh_op != PART_OP_NONE) {
        ended(p);
        return;
    }
    if (p->refresh_ms > part_now(p) || !p->background) {
        return;
    }
    p->refresh_ms = UINT64_MAX;
    if (part_may_coordinate(p, &err) != TDSA_OK) {
        return; /* the client does it */
    }
    if (!next_restored(p)) {
        p->refresh_ms = part_now(p) + LOOK_MS;
        return;
    }
    p->refresh_op = part_start_reshare(p, p->refresh_key, &same, p->cfg.session_timeout_ms, &err);
    if (p->refresh_op == PART_OP_NONE) {
        part_say(p, TDSA_LOG_WARN, "restored key %s is not refreshed: %s", p->refresh_key,
                 err.text);
        p->refresh_ms = part_now(p) + p->refresh_wait_ms;
    }
}

uint64_t part_restored_next_due(const part *p)
{
    if (p->refresh_op != PART_OP_NONE) {
        return part_op_done(p, p->refresh_op) ? part_now(p) : UINT64_MAX;
    }
    return p->background ? p->refresh_ms : UINT64_MAX;
}
