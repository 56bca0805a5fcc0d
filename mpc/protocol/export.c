#include "protocol/export.h"

#include <string.h>

#include "base/assert.h"
#include "base/statement.h"
#include "protocol/bip32.h"
#include "protocol/fields.h"
#include "protocol/keygen_internal.h"

/* What an export does otherwise than a refresh: what it is about, infos instead of a new epoch, and
 * the round in which they are released. */

#define DIGEST_LEN 64u

void export_put_inputs(const mpc_keygen *run, tdsa_buf *b)
{
    const keygen_export *e = &run->exported;
    size_t list = 0;

    tdsa_stmt_uint(b, e->coordinator);
    tdsa_stmt_octets(b, tdsa_rsa_cert_facts(e->cert)->sha256, 32);
    list = tdsa_stmt_list_begin(b);
    for (size_t i = 0; i < e->path_len; i++) {
        tdsa_stmt_uint(b, e->path[i]);
    }
    tdsa_stmt_list_end(b, list);
}

/* ---- my info ---- */

/* The public half of what is exported: the sharing of this run, moved by epsilon of the path. */
static tdsa_status derive_public(const mpc_keygen *run, const mpc_bip32_node *node,
                                 mpc_recovery_context *c, tdsa_err *err)
{
    const keygen_export *e = &run->exported;
    grp_point shift;
    tdsa_status st = mpc_recovery_context_of(c, run->key, NULL, 0, err);

    c->use = MPC_RECOVERY_EXPORT;
    memcpy(c->path, e->path, sizeof c->path);
    c->path_len = e->path_len;
    if (st != TDSA_OK || e->path_len == 0) {
        return st;
    }
    c->y = node->y;
    st = recovery_cc_hash(c->cc_hash, node->cc, err);
    if (st == TDSA_OK) {
        st = grp_mul_base(run->g, &shift, &node->epsilon, err);
    }
    for (size_t i = 0; i < c->n && st == TDSA_OK; i++) {
        const uint16_t j = c->members[i];

        st = grp_point_add_vartime(run->g, &c->x[j], &c->x[j], &shift, err);
        if (st == TDSA_OK && grp_point_is_identity(&c->x[j])) {
            st = TDSA_FAIL(err, TDSA_E_PROTOCOL, "the exported share of participant %u is 0", j);
        }
    }
    return st;
}

/* Up to where all infos of this export are the same bytes. */
static tdsa_status keep_info(mpc_keygen *run, tdsa_err *err)
{
    keygen_export *e = &run->exported;
    const tdsa_buf *mine = &e->info[run->round.me];
    mpc_recovery_info info;
    const tdsa_status st = mpc_recovery_decode(&info, run->g, mine->data, mine->len, err);

    if (st == TDSA_OK) {
        e->head_len = (size_t)(info.context_bytes - mine->data) + info.context_len;
    }
    return st;
}

tdsa_status export_make_info(mpc_keygen *run, tdsa_err *err)
{
    keygen_export *e = &run->exported;
    mpc_key_secret *sec = run->key->sec;
    mpc_bip32_node node;
    mpc_recovery_context context;
    const mpc_recovery_making m = {run->g, &context, run->round.me, &sec->share, e->cc, e->cert};
    tdsa_status st;

    mpc_bip32_root(&node, run->key);
    st = mpc_bip32_walk_vartime(&node, run->g, e->path, e->path_len, false, err);
    memcpy(e->cc, node.cc, sizeof e->cc);
    if (st == TDSA_OK) {
        st = derive_public(run, &node, &context, err);
    }
    if (st == TDSA_OK) {
        grp_scalar_add(run->g, &sec->share, &sec->share, &node.epsilon);
        st = mpc_recovery_make(&e->info[run->round.me], &m, &run->rng, err);
    }
    tdsa_wipe(sec, sizeof *sec); /* encrypted: nobody needs it any more, nor the kappas */
    return st == TDSA_OK ? keep_info(run, err) : st;
}

/* ---- round 4: release ---- */

size_t export_release_len(const mpc_keygen *run)
{
    const keygen_export *e = &run->exported;

    return MPC_TEXT("release") + MPC_ITEM(DIGEST_LEN) +
           MPC_ITEM(run->round.me == e->coordinator ? e->info[run->round.me].len : 0);
}

tdsa_status export_send_release(mpc_keygen *run, uint16_t to, tdsa_buf *out, tdsa_err *err)
{
    const tdsa_buf *mine = &run->exported.info[run->round.me];

    if (!run->stored) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the export is not marked as recorded yet");
    }
    tdsa_stmt_begin(out, "release");
    tdsa_stmt_octets(out, run->key->pub.stored, DIGEST_LEN);
    if (to == run->exported.coordinator) {
        tdsa_stmt_octets(out, mine->data, mine->len);
    } else {
        tdsa_stmt_absent(out);
    }
    return TDSA_OK;
}

/* Another's info: of the same sharing as mine, of its own share, with a proof that holds. */
static tdsa_status check_info(mpc_keygen *run, uint16_t from, const uint8_t *in, size_t len,
                              tdsa_err *err)
{
    const keygen_export *e = &run->exported;
    mpc_recovery_info info;
    tdsa_status st;

    if (memcmp(in, e->info[run->round.me].data, e->head_len) != 0) {
        return TDSA_BLAME(err, from, "the info of participant %u is of another export", from);
    }
    st = mpc_recovery_decode(&info, run->g, in, len, err);
    if (st != TDSA_OK) {
        return st;
    }
    if (info.index != from) {
        return TDSA_BLAME(err, from, "participant %u gives an info of participant %u", from,
                          info.index);
    }
    st = mpc_recovery_verify_vartime(&info, run->g, e->cert, err);
    return st == TDSA_OK ? mpc_recovery_verify_cc(&info, e->cert, e->cc, err) : st;
}

tdsa_status export_take_release(mpc_keygen *run, uint16_t from, const uint8_t *in, size_t len,
                                tdsa_err *err)
{
    keygen_export *e = &run->exported;
    const size_t info_len = e->info[run->round.me].len;
    tdsa_reader r = tdsa_reader_of(in, len);
    const uint8_t *info = NULL;
    uint8_t digest[DIGEST_LEN];
    tdsa_status st;

    tdsa_stmt_expect(&r, "release");
    tdsa_stmt_read_exact(&r, digest, sizeof digest);
    if (run->round.me == e->coordinator) {
        info = tdsa_stmt_read_item(&r, TDSA_ITEM_OCTETS, info_len);
    } else if (!tdsa_stmt_read_absent(&r)) {
        r.failed = true;
    }
    st = tdsa_reader_finish(&r, "release", err);
    if (st != TDSA_OK) {
        return st;
    }
    if (memcmp(digest, run->key->pub.stored, sizeof digest) != 0) {
        return TDSA_BLAME(err, from, "participant %u exports another sharing than the one here",
                          from);
    }
    if (info == NULL) {
        return TDSA_OK;
    }
    st = check_info(run, from, info, info_len, err);
    if (st == TDSA_OK) {
        tdsa_buf_append(&e->info[from], info, info_len);
        st = tdsa_buf_check(&e->info[from], err);
    }
    return st;
}

void mpc_export_info(const mpc_keygen *run, uint16_t from, const uint8_t **bytes, size_t *len)
{
    const keygen_export *e = &run->exported;

    TDSA_ASSERT(run->kind == KEYGEN_EXPORT && run->round.round == MPC_EXPORT_ROUNDS);
    TDSA_ASSERT(run->round.me == e->coordinator && from < GRP_PARTIES_MAX &&
                keygen_takes_part(run, from));
    *bytes = e->info[from].data;
    *len = e->info[from].len;
}

/* ---- birth ---- */

/* The policy, and a path under which the key may sign; the root needs none. */
static tdsa_status check_allowed(const mpc_export_cfg *cfg, tdsa_err *err)
{
    const mpc_key_public *pub = &cfg->key->pub;
    mpc_bip32_node node;
    tdsa_status st;

    if (!pub->policy.exportable) {
        return TDSA_FAIL(err, TDSA_E_DENIED, "the policy of key %s forbids its export",
                         pub->key_id);
    }
    if (cfg->path_len == 0) {
        return TDSA_OK;
    }
    st = mpc_policy_check_path(&pub->policy, cfg->path, cfg->path_len, err);
    if (st == TDSA_OK) {
        mpc_bip32_root(&node, cfg->key);
        st = mpc_bip32_walk_vartime(&node, cfg->key->g, cfg->path, cfg->path_len, false, err);
    }
    return st;
}

static tdsa_status check_cfg(const mpc_export_cfg *cfg, tdsa_err *err)
{
    const mpc_key *key = cfg->key;

    if (key->sec == NULL) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "key %s has no share here", key->pub.key_id);
    }
    if (!mpc_key_is_member(&key->pub, cfg->coordinator)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "participant %u, who coordinates, is no member of key %s",
                         cfg->coordinator, key->pub.key_id);
    }
    if (cfg->path_len > MPC_PATH_MAX || (cfg->path_len > 0 && cfg->path == NULL)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "path: more than %u elements", MPC_PATH_MAX);
    }
    return check_allowed(cfg, err);
}

static tdsa_status fill(mpc_keygen *run, const mpc_export_cfg *cfg, tdsa_err *err)
{
    keygen_export *e = &run->exported;
    uint16_t indices[GRP_PARTIES_MAX];
    const mpc_key_public *pub = &cfg->key->pub;
    const mpc_reshare_cfg as_refresh = {.old_epoch = pub->epoch,
                                        .old_t = pub->t,
                                        .old_indices = indices,
                                        .old_n = pub->n,
                                        .dealers = pub->members,
                                        .dealer_count = pub->n,
                                        .mine = cfg->key};

    e->coordinator = cfg->coordinator;
    e->cert = cfg->cert;
    e->path_len = cfg->path_len;
    if (cfg->path_len > 0) {
        memcpy(e->path, cfg->path, cfg->path_len * sizeof e->path[0]);
    }
    (void)mpc_key_indices(indices, pub);
    return reshare_fill_old(run, &as_refresh, err);
}

tdsa_status mpc_export_new(mpc_keygen **out, const mpc_export_cfg *cfg, tdsa_err *err)
{
    const mpc_key_public *pub = &cfg->key->pub;
    const mpc_keygen_cfg as_keygen = {.g = cfg->key->g,
                                      .scheme = pub->scheme,
                                      .n = pub->n,
                                      .t = pub->t,
                                      .me = pub->me,
                                      .members = pub->members,
                                      .key_id = pub->key_id,
                                      .epoch = pub->epoch,
                                      .policy = pub->policy,
                                      .rng = cfg->rng};
    mpc_keygen *run = NULL;
    tdsa_status st = check_cfg(cfg, err);

    *out = NULL;
    if (st == TDSA_OK) {
        st = keygen_check_cfg(&as_keygen, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    st = keygen_alloc(&run, &as_keygen, KEYGEN_EXPORT, keygen_member_bits(pub->members, pub->n),
                      err);
    if (st == TDSA_OK) {
        st = fill(run, cfg, err);
    }
    if (st == TDSA_OK) {
        st = keygen_begin(run, err);
    }
    if (st != TDSA_OK) {
        mpc_keygen_free(run);
        return st;
    }
    *out = run;
    return TDSA_OK;
}
