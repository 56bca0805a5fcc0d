#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/statement.h"
#include "protocol/fields.h"
#include "protocol/keygen_internal.h"

/* Another's dealing: every check of round 2. */

/* What an opening says, in the order of its fields. */
typedef struct {
    grp_point k;
    grp_scalar z;
    uint8_t cc_hash[32];
    size_t hash_count;
    uint8_t part_hash[GRP_MY_SETS_MAX + GRP_PARTIES_MAX][32];
} opening;

/* True when the opening has the right shape; every point and scalar is decoded. */
static bool read_opening(mpc_keygen *run, uint16_t from, const uint8_t *in, size_t len,
                         opening *out)
{
    const size_t point_count = keygen_point_count(run, from);
    grp_point *points = run->c[from] + (keygen_zero_constant(run, from) ? 1 : 0);
    tdsa_reader r = tdsa_reader_of(in, len);
    tdsa_reader list;
    uint8_t sid[KEYGEN_SID_LEN];
    uint8_t salt[KEYGEN_PART_LEN];
    tdsa_err why;
    bool fine = true;

    tdsa_stmt_expect(&r, "open");
    tdsa_stmt_read_exact(&r, sid, sizeof sid);
    fine = tdsa_stmt_read_uint(&r) == from && memcmp(sid, run->sid, sizeof sid) == 0;
    list = tdsa_stmt_read_list(&r);
    grp_point_set_identity(&run->c[from][0]); /* what is left out when it is 0 */
    for (size_t m = 0; m < point_count; m++) {
        fine = fine && mpc_get_point(&list, run->g, &points[m], &why) == TDSA_OK;
    }
    fine = fine && tdsa_reader_finish(&list, "commitments", &why) == TDSA_OK;
    if (keygen_proves(run, from)) {
        list = tdsa_stmt_read_list(&r);
        fine = fine && mpc_get_point(&list, run->g, &out->k, &why) == TDSA_OK;
        fine = fine && mpc_get_scalar(&list, run->g, &out->z, &why) == TDSA_OK;
        fine = fine && tdsa_reader_finish(&list, "proof", &why) == TDSA_OK;
    } else {
        fine = tdsa_stmt_read_absent(&r) && fine;
    }
    if (run->kind == KEYGEN_NEW) {
        tdsa_stmt_read_exact(&r, out->cc_hash, sizeof out->cc_hash);
    } else {
        fine = tdsa_stmt_read_absent(&r) && fine;
    }
    list = tdsa_stmt_read_list(&r);
    out->hash_count = keygen_hash_count_of(run, from);
    for (size_t i = 0; i < out->hash_count; i++) {
        tdsa_stmt_read_exact(&list, out->part_hash[i], sizeof out->part_hash[i]);
    }
    fine = fine && tdsa_reader_finish(&list, "hashes", &why) == TDSA_OK;
    tdsa_stmt_read_exact(&r, salt, sizeof salt);
    return tdsa_reader_finish(&r, "opening", &why) == TDSA_OK && fine;
}

/* z*G = K + e*C_0, as z*G - e*C_0 = K; all public. A dealing without a proof has no secret of its
 * own in it. */
static tdsa_status proof_holds(bool *holds, mpc_keygen *run, uint16_t from, const opening *o,
                               tdsa_err *err)
{
    grp_scalar e;
    grp_point v;
    tdsa_status st;

    *holds = !keygen_proves(run, from);
    if (*holds) {
        return TDSA_OK;
    }
    st = keygen_pop_challenge(&e, run, from, run->c[from], &o->k, err);
    if (st != TDSA_OK || grp_scalar_is_zero(run->g, &e)) {
        return st;
    }
    grp_scalar_neg(run->g, &e, &e);
    st = grp_mul_add_vartime(run->g, &v, &o->z, &e, &run->c[from][0], err);
    *holds = st == TDSA_OK && grp_point_equal(run->g, &v, &o->k);
    return st;
}

/* f_i(id_me)*G = sum of id_me^m * C_{i,m}; adds the share. */
static tdsa_status share_fits(bool *fits, mpc_keygen *run, uint16_t from, const grp_scalar *share,
                              tdsa_err *err)
{
    grp_point left;
    grp_point right;
    tdsa_status st = grp_mul_base(run->g, &left, share, err);

    *fits = false;
    if (st != TDSA_OK) {
        return st;
    }
    tdsa_declassify(&left, sizeof left); /* everybody can compute it from the commitments */
    st = grp_commit_eval_vartime(run->g, &right, run->c[from], run->key->pub.t + 1u, run->round.me,
                                 err);
    *fits = st == TDSA_OK && grp_point_equal(run->g, &left, &right);
    if (*fits) {
        grp_scalar_add(run->g, &run->sec->share, &run->sec->share, share);
    }
    return st;
}

/* Position of a hash in from's opening: counts the sets and pairs of `from`. */
static size_t hash_position(const grp_set *sets, size_t set_count, const grp_set *wanted)
{
    size_t at = 0;

    while (at < set_count && memcmp(&sets[at].member, &wanted->member,
                                    wanted->count * sizeof wanted->member[0]) != 0) {
        at++;
    }
    TDSA_ASSERT(at < set_count);
    return at;
}

/* Where from's list of pairs, which ascends by the other member, has the pair with me. */
static size_t pair_position(const mpc_keygen *run, uint16_t from)
{
    size_t at = 0;

    for (uint16_t i = 0; i < run->round.me; i++) {
        at += keygen_gets(run, i) && i != from ? 1u : 0u;
    }
    return at;
}

/* Reads the contributions that I share with `from` and compares each with its hash. */
static tdsa_status take_parts(bool *fine, mpc_keygen *run, uint16_t from, tdsa_reader *list,
                              const opening *o, tdsa_err *err)
{
    const uint16_t me = run->round.me;
    grp_set theirs[GRP_MY_SETS_MAX];
    const size_t count = mpc_key_sets_with(theirs, &run->key->pub, from);
    uint8_t hash[32];
    uint16_t pair[2];
    uint8_t *part = NULL;
    tdsa_status st = TDSA_OK;

    *fine = true;
    for (size_t i = 0; i < run->key->sec->set_count && st == TDSA_OK; i++) {
        const grp_set *set = &run->key->sec->sets[i].set;

        if (grp_set_has(set, from)) {
            part = run->sec->set_part[i][keygen_position_in(set, from)];
            tdsa_stmt_read_exact(list, part, KEYGEN_PART_LEN);
            st = keygen_hash_part(hash, run, from, "prss", set->member, set->count, part, err);
            *fine = *fine && tdsa_ct_equal(hash, o->part_hash[hash_position(theirs, count, set)],
                                           sizeof hash);
        }
    }
    if (st != TDSA_OK || keygen_part_count_of(run, from, me) == 0) {
        return st;
    }
    keygen_pair_of(pair, me, from);
    part = run->sec->pair_part[from][from < me ? 0 : 1];
    tdsa_stmt_read_exact(list, part, KEYGEN_PART_LEN);
    st = keygen_hash_part(hash, run, from, "pair", pair, 2, part, err);
    *fine =
        *fine && tdsa_ct_equal(hash, o->part_hash[count + pair_position(run, from)], sizeof hash);
    return st;
}

/* The share of a dealer, or nothing from one that does not deal to me. */
static tdsa_status take_share(mpc_keygen *run, uint16_t from, tdsa_reader *r, keygen_reason *reason,
                              tdsa_err *err)
{
    grp_scalar share = {0};
    tdsa_err why;
    bool fine = false;
    tdsa_status st = TDSA_OK;

    if (!keygen_gives_share(run, from, run->round.me)) {
        *reason = tdsa_stmt_read_absent(r) ? KEYGEN_FINE : KEYGEN_BAD_FORM;
        return TDSA_OK;
    }
    if (mpc_get_scalar(r, run->g, &share, &why) != TDSA_OK) {
        *reason = KEYGEN_BAD_FORM;
    } else {
        st = share_fits(&fine, run, from, &share, err);
        *reason = fine ? KEYGEN_FINE : KEYGEN_BAD_SHARE;
    }
    grp_scalar_clear(&share);
    return st;
}

/* The chain code part of a new key; a reshare keeps the chain code. */
static tdsa_status take_cc_part(mpc_keygen *run, uint16_t from, tdsa_reader *r, const opening *o,
                                keygen_reason *reason, tdsa_err *err)
{
    uint8_t hash[32];
    tdsa_status st;

    if (run->kind != KEYGEN_NEW) {
        *reason = tdsa_stmt_read_absent(r) ? KEYGEN_FINE : KEYGEN_BAD_FORM;
        return TDSA_OK;
    }
    tdsa_stmt_read_exact(r, run->sec->cc[from], KEYGEN_PART_LEN);
    st = keygen_hash_cc_part(hash, run, from, run->sec->cc[from], err);
    if (st != TDSA_OK || !tdsa_ct_equal(hash, o->cc_hash, sizeof hash)) {
        *reason = r->failed ? KEYGEN_BAD_FORM : KEYGEN_BAD_CC_PART;
    }
    return st;
}

/* The private part: address, share, chain code part, contributions, in this order. */
static tdsa_status take_private(mpc_keygen *run, uint16_t from, const uint8_t *in, size_t len,
                                const opening *o, keygen_reason *reason, tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(in, len);
    tdsa_reader list;
    uint8_t sid[KEYGEN_SID_LEN];
    tdsa_err why;
    bool fine = false;
    tdsa_status st = TDSA_OK;

    tdsa_stmt_expect(&r, "priv");
    tdsa_stmt_read_exact(&r, sid, sizeof sid);
    fine = memcmp(sid, run->sid, sizeof sid) == 0;
    fine = tdsa_stmt_read_uint(&r) == from && fine;
    fine = tdsa_stmt_read_uint(&r) == run->round.me && fine;
    if (!fine) {
        *reason = KEYGEN_BAD_FORM;
        return TDSA_OK;
    }
    st = take_share(run, from, &r, reason, err);
    if (st == TDSA_OK && *reason == KEYGEN_FINE) {
        st = take_cc_part(run, from, &r, o, reason, err);
    }
    if (st != TDSA_OK || *reason != KEYGEN_FINE) {
        return st;
    }
    list = tdsa_stmt_read_list(&r);
    st = take_parts(&fine, run, from, &list, o, err);
    if (st == TDSA_OK && (tdsa_reader_finish(&list, "contributions", &why) != TDSA_OK ||
                          tdsa_reader_finish(&r, "private part", &why) != TDSA_OK)) {
        *reason = KEYGEN_BAD_FORM;
    } else if (!fine) {
        *reason = KEYGEN_BAD_CONTRIBUTION;
    }
    return st;
}

tdsa_status keygen_deal_take(mpc_keygen *run, uint16_t from, const uint8_t *in, size_t len,
                             keygen_reason *reason, tdsa_err *err)
{
    const size_t open_len = keygen_open_len(run, from);
    const size_t priv_len = keygen_private_len(run, from, run->round.me);
    tdsa_reader r = tdsa_reader_of(in, len);
    const uint8_t *open = NULL;
    const uint8_t *priv = NULL;
    opening o;
    uint8_t com[64];
    bool holds = false;
    tdsa_status st;

    tdsa_stmt_expect(&r, "deal");
    open = tdsa_stmt_read_item(&r, TDSA_ITEM_OCTETS, open_len);
    priv = tdsa_stmt_read_item(&r, TDSA_ITEM_OCTETS, priv_len);
    if (open == NULL || priv == NULL) {
        *reason = KEYGEN_BAD_FORM;
        return TDSA_OK;
    }
    tdsa_buf_append(&run->open[from], open, open_len); /* for the view digest */
    st = tdsa_buf_check(&run->open[from], err);
    if (st != TDSA_OK) {
        return st;
    }
    if (!read_opening(run, from, open, open_len, &o)) {
        *reason = KEYGEN_BAD_FORM;
        return TDSA_OK;
    }
    st = keygen_hash_opening(com, open, open_len, err);
    if (st != TDSA_OK || memcmp(com, run->com[from], sizeof com) != 0) {
        *reason = KEYGEN_BAD_COMMITMENT;
        return st;
    }
    st = proof_holds(&holds, run, from, &o, err);
    if (st != TDSA_OK || !holds) {
        *reason = KEYGEN_BAD_PROOF;
        return st;
    }
    st = reshare_constant_fits(&holds, run, from, err);
    if (st != TDSA_OK || !holds) {
        *reason = KEYGEN_BAD_CONSTANT;
        return st;
    }
    return take_private(run, from, priv, priv_len, &o, reason, err);
}
