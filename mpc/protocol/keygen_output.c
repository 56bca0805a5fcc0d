#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/statement.h"
#include "protocol/fields.h"
#include "protocol/keygen_internal.h"

#define SID_LEN 32u

/* ---- end of round 2: view digest and keys for randomness ---- */

/* H('view', sid, [R1 broadcasts], [R2 broadcasts]), mine included. */
static tdsa_status hash_view(mpc_keygen *run, tdsa_err *err)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    size_t list = 0;

    tdsa_stmt_begin(&b, "view");
    tdsa_stmt_octets(&b, run->sid, SID_LEN);
    list = tdsa_stmt_list_begin(&b);
    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
        if (keygen_takes_part(run, i)) {
            tdsa_stmt_octets(&b, run->com[i], sizeof run->com[i]);
        }
    }
    tdsa_stmt_list_end(&b, list);
    list = tdsa_stmt_list_begin(&b);
    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
        if (keygen_takes_part(run, i)) {
            tdsa_stmt_octets(&b, run->open[i].data, run->open[i].len);
        }
    }
    tdsa_stmt_list_end(&b, list);
    return tdsa_hash_stmt(run->view[run->round.me], &b, err);
}

/* kappa = HKDF(contributions in member order; kind, sid, key-id, curve, epoch, A) */
static tdsa_status derive_kappa(uint8_t out[32], const mpc_keygen *run, const char *kind,
                                const uint16_t *members, size_t count,
                                const uint8_t (*parts)[KEYGEN_PART_LEN], tdsa_err *err)
{
    TDSA_SCOPED_BUF info = TDSA_BUF_EMPTY;

    tdsa_stmt_begin(&info, kind);
    tdsa_stmt_octets(&info, run->sid, SID_LEN);
    tdsa_stmt_text(&info, run->key->pub.key_id);
    tdsa_stmt_text(&info, grp_curve_name(run->key->pub.curve));
    tdsa_stmt_uint(&info, run->key->pub.epoch);
    tdsa_stmt_uint_list(&info, members, count);
    return tdsa_hkdf_stmt(out, parts[0], count * KEYGEN_PART_LEN, &info, err);
}

static tdsa_status derive_kappas(mpc_keygen *run, tdsa_err *err)
{
    mpc_key_secret *sec = run->key->sec;
    tdsa_status st = TDSA_OK;

    for (size_t i = 0; i < sec->set_count && st == TDSA_OK; i++) {
        const grp_set *set = &sec->sets[i].set;

        st = derive_kappa(sec->sets[i].key, run, "prss", set->member, set->count,
                          (const uint8_t(*)[KEYGEN_PART_LEN])run->sec->set_part[i], err);
    }
    for (uint16_t i = 0; i < GRP_PARTIES_MAX && st == TDSA_OK; i++) {
        const uint16_t me = run->round.me;
        const uint16_t pair[2] = {me < i ? me : i, me < i ? i : me};

        if (keygen_gets(run, i) && i != me) {
            st = derive_kappa(sec->pairs[i], run, "pair", pair, 2,
                              (const uint8_t(*)[KEYGEN_PART_LEN])run->sec->pair_part[i], err);
        }
    }
    return st;
}

tdsa_status keygen_close_deals(mpc_keygen *run, tdsa_err *err)
{
    tdsa_status st = hash_view(run, err);

    if (st != TDSA_OK || run->complaint[run->round.me].made || !keygen_gets(run, run->round.me)) {
        return st; /* with a complaint there are no keys to confirm */
    }
    return derive_kappas(run, err);
}

/* ---- confirms ---- */

size_t keygen_confirm_count(const mpc_keygen *run, uint16_t peer)
{
    return keygen_gets(run, run->round.me) && keygen_gets(run, peer) ? run->sets_shared + 1 : 0;
}

/* H('confirm', sid, kind, A, sender, kappa) */
static tdsa_status hash_confirm(uint8_t out[64], const mpc_keygen *run, const char *kind,
                                const uint16_t *members, size_t count, uint16_t sender,
                                const uint8_t kappa[32], tdsa_err *err)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;

    tdsa_stmt_begin(&b, "confirm");
    tdsa_stmt_octets(&b, run->sid, SID_LEN);
    tdsa_stmt_text(&b, kind);
    tdsa_stmt_uint_list(&b, members, count);
    tdsa_stmt_uint(&b, sender);
    tdsa_stmt_octets(&b, kappa, 32);
    return tdsa_hash_stmt(out, &b, err);
}

tdsa_status keygen_confirms(const mpc_keygen *run, uint16_t peer, uint16_t sender,
                            uint8_t (*out)[64], tdsa_err *err)
{
    const mpc_key_secret *sec = run->key->sec;
    const uint16_t me = run->round.me;
    const uint16_t pair[2] = {me < peer ? me : peer, me < peer ? peer : me};
    size_t at = 0;
    tdsa_status st = TDSA_OK;

    if (keygen_confirm_count(run, peer) == 0) {
        return TDSA_OK;
    }
    for (size_t i = 0; i < sec->set_count && st == TDSA_OK; i++) {
        const grp_set *set = &sec->sets[i].set;

        if (grp_set_has(set, peer)) {
            st = hash_confirm(out[at++], run, "prss", set->member, set->count, sender,
                              sec->sets[i].key, err);
        }
    }
    if (st != TDSA_OK) {
        return st;
    }
    return hash_confirm(out[at], run, "pair", pair, 2, sender, sec->pairs[peer], err);
}

/* ---- end of round 3 ---- */

static const char *reason_text(keygen_reason reason)
{
    switch (reason) {
    case KEYGEN_BAD_LENGTH:
        return "message of the wrong length";
    case KEYGEN_BAD_FORM:
        return "malformed opening or private part";
    case KEYGEN_BAD_COMMITMENT:
        return "the opening is not what was committed to";
    case KEYGEN_BAD_PROOF:
        return "wrong proof of possession";
    case KEYGEN_BAD_SHARE:
        return "the share does not fit the commitments";
    case KEYGEN_BAD_CONSTANT:
        return "the dealing is not of its share of the old epoch, or of the key that it told";
    case KEYGEN_BAD_CC_PART:
        return "the chain code part does not fit its hash";
    case KEYGEN_BAD_CONTRIBUTION:
        return "a contribution does not fit its hash";
    case KEYGEN_FINE:
        break;
    }
    return "no reason";
}

/* Complaints abort and remove nobody: either of the pair may lie. Only my own names a culprit. */
static tdsa_status judge_complaints(const mpc_keygen *run, tdsa_err *err)
{
    const uint16_t me = run->round.me;
    const keygen_complaint *mine = &run->complaint[me];

    if (mine->made) {
        return TDSA_BLAME(err, mine->dealer,
                          "participant %u (here) complains about participant %u: %s", me,
                          mine->dealer, reason_text(mine->reason));
    }
    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
        const keygen_complaint *c = &run->complaint[i];

        if (c->made) {
            return TDSA_FAIL(err, TDSA_E_PROTOCOL,
                             "participant %u complains about participant %u: %s", i, c->dealer,
                             reason_text(c->reason));
        }
    }
    return TDSA_OK;
}

static tdsa_status judge_views(const mpc_keygen *run, tdsa_err *err)
{
    const uint16_t me = run->round.me;

    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
        if (keygen_takes_part(run, i) &&
            memcmp(run->view[i], run->view[me], sizeof run->view[i]) != 0) {
            return TDSA_FAIL(err, TDSA_E_PROTOCOL,
                             "participants %u and %u saw different broadcasts: one of them or a "
                             "third participant lies",
                             i, me);
        }
    }
    /* views are equal, so every contribution is the one that all saw the hash of: the sender lies */
    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
        if ((run->confirm_bad >> i & 1u) != 0) {
            return TDSA_BLAME(err, i, "participant %u confirms other keys than participant %u", i,
                              me);
        }
    }
    return TDSA_OK;
}

/* Y and all X_j from the sum of the commitment vectors. */
static tdsa_status sum_commitments(mpc_keygen *run, tdsa_err *err)
{
    mpc_key_public *pub = &run->key->pub;
    grp_point sum[GRP_THRESHOLD_MAX + 1];
    tdsa_status st = TDSA_OK;

    for (size_t m = 0; m <= pub->t && st == TDSA_OK; m++) {
        grp_point_set_identity(&sum[m]);
        for (uint16_t i = 0; i < GRP_PARTIES_MAX && st == TDSA_OK; i++) {
            if (keygen_deals(run, i)) {
                st = grp_point_add_vartime(run->g, &sum[m], &sum[m], &run->c[i][m], err);
            }
        }
    }
    if (st != TDSA_OK) {
        return st;
    }
    pub->y = sum[0];
    if (run->kind == KEYGEN_NEW && grp_point_is_identity(&pub->y)) {
        return TDSA_FAIL(err, TDSA_E_PROTOCOL, "the public key is the identity");
    }
    for (uint16_t k = 0; k < pub->n && st == TDSA_OK; k++) {
        const uint16_t j = pub->members[k].index;

        st = grp_commit_eval_vartime(run->g, &pub->x[j], sum, pub->t + 1u, j, err);
    }
    if (st == TDSA_OK && run->kind != KEYGEN_NEW) {
        st = reshare_finish_public(run, err);
    }
    for (uint16_t k = 0; k < pub->n && st == TDSA_OK; k++) {
        const uint16_t j = pub->members[k].index;

        if (grp_point_is_identity(&pub->x[j])) {
            st = TDSA_FAIL(err, TDSA_E_PROTOCOL, "the share of participant %u is 0", j);
        }
    }
    return st;
}

/* x_j*G = X_j, and all X on one polynomial of degree t. */
static tdsa_status check_key(mpc_keygen *run, tdsa_err *err)
{
    const mpc_key_public *pub = &run->key->pub;
    uint16_t members[GRP_PARTIES_MAX];
    grp_point shares[GRP_PARTIES_MAX];
    grp_point mine;
    tdsa_status st = grp_mul_base(run->g, &mine, &run->key->sec->share, err);

    if (st != TDSA_OK) {
        return st;
    }
    tdsa_declassify(&mine, sizeof mine); /* X_j is public */
    if (!grp_point_equal(run->g, &mine, &pub->x[pub->me])) {
        return TDSA_FAIL(err, TDSA_E_PROTOCOL, "my share does not fit my verification share");
    }
    (void)mpc_key_indices(members, pub);
    for (size_t i = 0; i < pub->n; i++) {
        shares[i] = pub->x[members[i]];
    }
    return grp_consist_vartime(run->g, shares, members, pub->n, pub->t, err);
}

/* cc = H('cc', sid, cc_0..) */
static tdsa_status hash_chain_code(mpc_keygen *run, tdsa_err *err)
{
    mpc_key_public *pub = &run->key->pub;
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    size_t list = 0;
    tdsa_status st;

    tdsa_stmt_begin(&b, "cc");
    tdsa_stmt_octets(&b, run->sid, SID_LEN);
    list = tdsa_stmt_list_begin(&b);
    for (size_t i = 0; i < pub->n; i++) {
        tdsa_stmt_octets(&b, run->sec->cc[pub->members[i].index], KEYGEN_PART_LEN);
    }
    tdsa_stmt_list_end(&b, list);
    st = tdsa_hash32_stmt(pub->cc, &b, err);
    tdsa_declassify(pub->cc, sizeof pub->cc); /* part of the public half */
    return st;
}

/* stored = H('stored', sid, view, Y, X_*, cc, t, epoch) */
static tdsa_status hash_stored(mpc_keygen *run, tdsa_err *err)
{
    mpc_key_public *pub = &run->key->pub;
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    size_t list = 0;

    tdsa_stmt_begin(&b, "stored");
    tdsa_stmt_octets(&b, run->sid, SID_LEN);
    tdsa_stmt_octets(&b, run->view[pub->me], sizeof run->view[pub->me]);
    mpc_put_point(&b, run->g, &pub->y);
    list = tdsa_stmt_list_begin(&b);
    for (size_t i = 0; i < pub->n; i++) {
        mpc_put_point(&b, run->g, &pub->x[pub->members[i].index]);
    }
    tdsa_stmt_list_end(&b, list);
    tdsa_stmt_octets(&b, pub->cc, sizeof pub->cc);
    tdsa_stmt_uint(&b, pub->t);
    tdsa_stmt_uint(&b, pub->epoch);
    return tdsa_hash_stmt(pub->stored, &b, err);
}

/* My share; a participant that leaves keeps nothing. */
static tdsa_status settle_secret(mpc_keygen *run, tdsa_err *err)
{
    grp_scalar *share = &run->key->sec->share;

    if (!keygen_gets(run, run->round.me)) {
        tdsa_secret_free(run->key->sec_mem);
        run->key->sec_mem = NULL;
        run->key->sec = NULL;
        return TDSA_OK;
    }
    *share = run->sec->share; /* both in locked memory */
    if (keygen_refreshes(run)) {
        grp_scalar_add(run->g, share, share, &run->sec->old_share);
    }
    return check_key(run, err);
}

tdsa_status keygen_finish_key(mpc_keygen *run, tdsa_err *err)
{
    tdsa_status st = judge_complaints(run, err);

    if (st == TDSA_OK) {
        st = judge_views(run, err);
    }
    if (st == TDSA_OK) {
        st = sum_commitments(run, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    st = settle_secret(run, err);
    if (st == TDSA_OK && run->kind == KEYGEN_NEW) {
        st = hash_chain_code(run, err);
    }
    if (st == TDSA_OK) {
        st = hash_stored(run, err);
    }
    tdsa_wipe(run->sec, sizeof *run->sec); /* polynomial and parts have done their work */
    return st == TDSA_OK && run->kind == KEYGEN_EXPORT ? export_make_info(run, err) : st;
}
