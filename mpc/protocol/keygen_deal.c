#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/statement.h"
#include "protocol/fields.h"
#include "protocol/keygen_internal.h"

#define SID_LEN 32u

/* ---- lengths ---- */

/* Hashes of contributions in an opening: a getter's sets, then its pairs. */
static size_t hash_count_of(const mpc_keygen *run, uint16_t from)
{
    return keygen_gets(run, from) ? run->sets_each + run->key->pub.n - 1u : 0;
}

/* Contributions in a private part: the sets that both are in, and the pair. */
static size_t part_count_of(const mpc_keygen *run, uint16_t from, uint16_t to)
{
    return keygen_gets(run, from) && keygen_gets(run, to) ? run->sets_shared + 1 : 0;
}

size_t keygen_open_len(const mpc_keygen *run, uint16_t from)
{
    const grp_info *info = grp_get_info(run->g);
    const size_t hash_count = hash_count_of(run, from);

    return MPC_TEXT("open") + MPC_ITEM(SID_LEN) + MPC_UINT +
           MPC_ITEM((run->key->pub.t + 1u) * MPC_ITEM(info->point_len)) +
           MPC_ITEM(MPC_ITEM(info->point_len) + MPC_ITEM(info->scalar_len)) +
           MPC_ITEM(TDSA_H32_LEN) + MPC_ITEM(hash_count * MPC_ITEM(TDSA_H32_LEN)) +
           MPC_ITEM(KEYGEN_PART_LEN);
}

size_t keygen_private_len(const mpc_keygen *run, uint16_t from, uint16_t to)
{
    const size_t part_count = part_count_of(run, from, to);

    return MPC_TEXT("priv") + MPC_ITEM(SID_LEN) + 2 * MPC_UINT +
           MPC_ITEM(grp_get_info(run->g)->scalar_len) + MPC_ITEM(KEYGEN_PART_LEN) +
           MPC_ITEM(part_count * MPC_ITEM(KEYGEN_PART_LEN));
}

/* ---- hashes of private values ---- */

static tdsa_status hash_cc_part(uint8_t out[32], const mpc_keygen *run, uint16_t dealer,
                                const uint8_t part[KEYGEN_PART_LEN], tdsa_err *err)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    tdsa_status st;

    tdsa_stmt_begin(&b, "cc-part");
    tdsa_stmt_octets(&b, run->sid, SID_LEN);
    tdsa_stmt_uint(&b, dealer);
    tdsa_stmt_octets(&b, part, KEYGEN_PART_LEN);
    st = tdsa_hash32_stmt(out, &b, err);
    tdsa_declassify(out, 32); /* its dealer broadcasts it with the opening */
    return st;
}

static tdsa_status hash_part(uint8_t out[32], const mpc_keygen *run, uint16_t dealer,
                             const char *kind, const uint16_t *members, size_t count,
                             const uint8_t part[KEYGEN_PART_LEN], tdsa_err *err)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    tdsa_status st;

    tdsa_stmt_begin(&b, "part");
    tdsa_stmt_octets(&b, run->sid, SID_LEN);
    tdsa_stmt_uint(&b, dealer);
    tdsa_stmt_text(&b, kind);
    tdsa_stmt_uint_list(&b, members, count);
    tdsa_stmt_octets(&b, part, KEYGEN_PART_LEN);
    st = tdsa_hash32_stmt(out, &b, err);
    tdsa_declassify(out, 32); /* its dealer broadcasts it with the opening */
    return st;
}

/* A pair as a set, lower index first. */
static void pair_of(uint16_t out[2], uint16_t a, uint16_t b)
{
    out[0] = a < b ? a : b;
    out[1] = a < b ? b : a;
}

static size_t position_in(const grp_set *set, uint16_t index)
{
    size_t at = 0;

    while (at < set->count && set->member[at] != index) {
        at++;
    }
    TDSA_ASSERT(at < set->count);
    return at;
}

/* ---- my dealing ---- */

/* e = H2S('pop', sid, i, all of C_i, K) */
static tdsa_status pop_challenge(grp_scalar *e, const mpc_keygen *run, uint16_t dealer,
                                 const grp_point *c, const grp_point *k, tdsa_err *err)
{
    TDSA_SCOPED_BUF fields = TDSA_BUF_EMPTY;
    tdsa_status st;

    tdsa_stmt_octets(&fields, run->sid, SID_LEN);
    tdsa_stmt_uint(&fields, dealer);
    mpc_put_points(&fields, run->g, c, run->key->pub.t + 1u);
    mpc_put_point(&fields, run->g, k);
    st = tdsa_buf_check(&fields, err);
    if (st != TDSA_OK) {
        return st;
    }
    return grp_hash_to_scalar(run->g, e, "pop", fields.data, fields.len, err);
}

/* K = kG, z = k + e*f(0). */
static tdsa_status put_proof(mpc_keygen *run, tdsa_buf *b, const grp_point *k_point,
                             const grp_scalar *k, tdsa_err *err)
{
    const uint16_t me = run->round.me;
    const size_t list = tdsa_stmt_list_begin(b);
    grp_scalar e;
    grp_scalar z;
    const tdsa_status st = pop_challenge(&e, run, me, run->c[me], k_point, err);

    if (st != TDSA_OK) {
        return st;
    }
    if (grp_scalar_is_zero(run->g, &e)) {
        return TDSA_FAIL(err, TDSA_E_CRYPTO, "the challenge of my proof is 0");
    }
    grp_scalar_mul(run->g, &z, &e, &run->sec->f.coeff[0]);
    grp_scalar_add(run->g, &z, &z, k);
    tdsa_declassify(&z, sizeof z); /* broadcast with the opening */
    mpc_put_point(b, run->g, k_point);
    mpc_put_scalar(b, run->g, &z);
    tdsa_stmt_list_end(b, list);
    return TDSA_OK;
}

/* The hashes of my contributions: sets in lexicographic order, then pairs. */
static tdsa_status put_part_hashes(const mpc_keygen *run, tdsa_buf *b, tdsa_err *err)
{
    const uint16_t me = run->round.me;
    const size_t list = tdsa_stmt_list_begin(b);
    uint8_t hash[32];
    tdsa_status st = TDSA_OK;

    for (size_t i = 0; i < run->key->sec->set_count && st == TDSA_OK; i++) {
        const grp_set *set = &run->key->sec->sets[i].set;

        st = hash_part(hash, run, me, "prss", set->member, set->count,
                       run->sec->set_part[i][position_in(set, me)], err);
        tdsa_stmt_octets(b, hash, sizeof hash);
    }
    for (uint16_t i = 0; i < GRP_PARTIES_MAX && st == TDSA_OK; i++) {
        uint16_t pair[2];

        if (keygen_gets(run, i) && i != me) {
            pair_of(pair, me, i);
            st = hash_part(hash, run, me, "pair", pair, 2, run->sec->pair_part[i][me < i ? 0 : 1],
                           err);
            tdsa_stmt_octets(b, hash, sizeof hash);
        }
    }
    tdsa_stmt_list_end(b, list);
    return st;
}

/* Everything I contribute but the polynomial, drawn in the order of the specification. */
static tdsa_status draw_parts(mpc_keygen *run, uint8_t salt[KEYGEN_PART_LEN], tdsa_err *err)
{
    const uint16_t me = run->round.me;
    tdsa_status st = tdsa_rng_fill(&run->rng, run->sec->cc[me], KEYGEN_PART_LEN, err);

    for (size_t i = 0; i < run->key->sec->set_count && st == TDSA_OK; i++) {
        const size_t at = position_in(&run->key->sec->sets[i].set, me);

        st = tdsa_rng_fill(&run->rng, run->sec->set_part[i][at], KEYGEN_PART_LEN, err);
    }
    for (uint16_t i = 0; i < GRP_PARTIES_MAX && st == TDSA_OK; i++) {
        if (keygen_gets(run, i) && i != me) {
            st = tdsa_rng_fill(&run->rng, run->sec->pair_part[i][me < i ? 0 : 1], KEYGEN_PART_LEN,
                               err);
        }
    }
    if (st == TDSA_OK) {
        st = tdsa_rng_fill(&run->rng, salt, KEYGEN_PART_LEN, err);
        tdsa_declassify(salt, KEYGEN_PART_LEN); /* broadcast with the opening */
    }
    return st;
}

/* H of the opening under the tag 'com': the fields are the same. */
static tdsa_status hash_opening(uint8_t out[64], const uint8_t *open, size_t len, tdsa_err *err)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;

    TDSA_ASSERT(len > MPC_TEXT("open"));
    tdsa_stmt_begin(&b, "com");
    tdsa_buf_append(&b, open + MPC_TEXT("open"), len - MPC_TEXT("open"));
    return tdsa_hash_stmt(out, &b, err);
}

static tdsa_status put_opening(mpc_keygen *run, const grp_scalar *k, tdsa_err *err)
{
    const uint16_t me = run->round.me;
    tdsa_buf *b = &run->open[me];
    uint8_t salt[KEYGEN_PART_LEN];
    uint8_t hash[32];
    grp_point k_point;
    tdsa_status st = grp_mul_base(run->g, &k_point, k, err);

    if (st != TDSA_OK) {
        return st;
    }
    tdsa_declassify(&k_point, sizeof k_point); /* broadcast with the opening */
    st = draw_parts(run, salt, err);
    if (st != TDSA_OK) {
        return st;
    }
    tdsa_stmt_begin(b, "open");
    tdsa_stmt_octets(b, run->sid, SID_LEN);
    tdsa_stmt_uint(b, me);
    mpc_put_points(b, run->g, run->c[me], run->key->pub.t + 1u);
    st = put_proof(run, b, &k_point, k, err);
    if (st != TDSA_OK) {
        return st;
    }
    st = hash_cc_part(hash, run, me, run->sec->cc[me], err);
    if (st != TDSA_OK) {
        return st;
    }
    tdsa_stmt_octets(b, hash, sizeof hash);
    st = put_part_hashes(run, b, err);
    tdsa_stmt_octets(b, salt, sizeof salt);
    return st != TDSA_OK ? st : tdsa_buf_check(b, err);
}

tdsa_status keygen_deal_make(mpc_keygen *run, tdsa_err *err)
{
    const uint16_t me = run->round.me;
    grp_scalar k;
    tdsa_status st = grp_poly_random(run->g, &run->sec->f, run->key->pub.t, &run->rng, err);

    if (st != TDSA_OK) {
        return st;
    }
    st = grp_poly_commit(run->g, run->c[me], &run->sec->f, err);
    if (st != TDSA_OK) {
        return st;
    }
    tdsa_declassify(run->c[me], sizeof run->c[me]); /* broadcast with the opening */
    grp_poly_eval(run->g, &run->sec->share, &run->sec->f, me);
    st = grp_scalar_random(run->g, &k, &run->rng, err);
    if (st == TDSA_OK) {
        st = put_opening(run, &k, err);
    }
    grp_scalar_clear(&k);
    if (st != TDSA_OK) {
        return st;
    }
    TDSA_ASSERT(run->open[me].len == keygen_open_len(run, me));
    return hash_opening(run->com[me], run->open[me].data, run->open[me].len, err);
}

void keygen_deal_private(const mpc_keygen *run, uint16_t to, tdsa_buf *out)
{
    const uint16_t me = run->round.me;
    grp_scalar share;
    size_t list = 0;

    grp_poly_eval(run->g, &share, &run->sec->f, to);
    tdsa_stmt_begin(out, "priv");
    tdsa_stmt_octets(out, run->sid, SID_LEN);
    tdsa_stmt_uint(out, me);
    tdsa_stmt_uint(out, to);
    mpc_put_scalar(out, run->g, &share);
    grp_scalar_clear(&share);
    tdsa_stmt_octets(out, run->sec->cc[me], KEYGEN_PART_LEN);
    list = tdsa_stmt_list_begin(out);
    for (size_t i = 0; i < run->key->sec->set_count; i++) {
        const grp_set *set = &run->key->sec->sets[i].set;

        if (grp_set_has(set, to)) {
            tdsa_stmt_octets(out, run->sec->set_part[i][position_in(set, me)], KEYGEN_PART_LEN);
        }
    }
    tdsa_stmt_octets(out, run->sec->pair_part[to][me < to ? 0 : 1], KEYGEN_PART_LEN);
    tdsa_stmt_list_end(out, list);
}

/* ---- taking a dealing ---- */

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
    tdsa_reader r = tdsa_reader_of(in, len);
    tdsa_reader list;
    uint8_t sid[SID_LEN];
    uint8_t salt[KEYGEN_PART_LEN];
    tdsa_err why;
    bool fine = true;

    tdsa_stmt_expect(&r, "open");
    tdsa_stmt_read_exact(&r, sid, sizeof sid);
    fine = tdsa_stmt_read_uint(&r) == from && memcmp(sid, run->sid, sizeof sid) == 0;
    list = tdsa_stmt_read_list(&r);
    for (size_t m = 0; m <= run->key->pub.t; m++) {
        fine = fine && mpc_get_point(&list, run->g, &run->c[from][m], &why) == TDSA_OK;
    }
    fine = fine && tdsa_reader_finish(&list, "commitments", &why) == TDSA_OK;
    list = tdsa_stmt_read_list(&r);
    fine = fine && mpc_get_point(&list, run->g, &out->k, &why) == TDSA_OK;
    fine = fine && mpc_get_scalar(&list, run->g, &out->z, &why) == TDSA_OK;
    fine = fine && tdsa_reader_finish(&list, "proof", &why) == TDSA_OK;
    tdsa_stmt_read_exact(&r, out->cc_hash, sizeof out->cc_hash);
    list = tdsa_stmt_read_list(&r);
    out->hash_count = hash_count_of(run, from);
    for (size_t i = 0; i < out->hash_count; i++) {
        tdsa_stmt_read_exact(&list, out->part_hash[i], sizeof out->part_hash[i]);
    }
    fine = fine && tdsa_reader_finish(&list, "hashes", &why) == TDSA_OK;
    tdsa_stmt_read_exact(&r, salt, sizeof salt);
    return tdsa_reader_finish(&r, "opening", &why) == TDSA_OK && fine;
}

/* z*G = K + e*C_0, as z*G - e*C_0 = K; all public. */
static tdsa_status proof_holds(bool *holds, mpc_keygen *run, uint16_t from, const opening *o,
                               tdsa_err *err)
{
    grp_scalar e;
    grp_point v;
    tdsa_status st = pop_challenge(&e, run, from, run->c[from], &o->k, err);

    *holds = false;
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
            part = run->sec->set_part[i][position_in(set, from)];
            tdsa_stmt_read_exact(list, part, KEYGEN_PART_LEN);
            st = hash_part(hash, run, from, "prss", set->member, set->count, part, err);
            *fine = *fine && tdsa_ct_equal(hash, o->part_hash[hash_position(theirs, count, set)],
                                           sizeof hash);
        }
    }
    if (st != TDSA_OK) {
        return st;
    }
    pair_of(pair, me, from);
    part = run->sec->pair_part[from][from < me ? 0 : 1];
    tdsa_stmt_read_exact(list, part, KEYGEN_PART_LEN);
    st = hash_part(hash, run, from, "pair", pair, 2, part, err);
    *fine =
        *fine && tdsa_ct_equal(hash, o->part_hash[count + pair_position(run, from)], sizeof hash);
    return st;
}

/* The private part: address, share, chain code part, contributions, in this order. */
static tdsa_status take_private(mpc_keygen *run, uint16_t from, const uint8_t *in, size_t len,
                                const opening *o, keygen_reason *reason, tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(in, len);
    tdsa_reader list;
    grp_scalar share = {0};
    uint8_t sid[SID_LEN];
    uint8_t hash[32];
    tdsa_err why;
    bool fine = false;
    tdsa_status st = TDSA_OK;

    tdsa_stmt_expect(&r, "priv");
    tdsa_stmt_read_exact(&r, sid, sizeof sid);
    fine = memcmp(sid, run->sid, sizeof sid) == 0;
    fine = tdsa_stmt_read_uint(&r) == from && fine;
    fine = tdsa_stmt_read_uint(&r) == run->round.me && fine;
    if (!fine || mpc_get_scalar(&r, run->g, &share, &why) != TDSA_OK) {
        *reason = KEYGEN_BAD_FORM;
        goto out;
    }
    st = share_fits(&fine, run, from, &share, err);
    if (st != TDSA_OK || !fine) {
        *reason = KEYGEN_BAD_SHARE;
        goto out;
    }
    tdsa_stmt_read_exact(&r, run->sec->cc[from], KEYGEN_PART_LEN);
    st = hash_cc_part(hash, run, from, run->sec->cc[from], err);
    if (st != TDSA_OK || !tdsa_ct_equal(hash, o->cc_hash, sizeof hash)) {
        *reason = r.failed ? KEYGEN_BAD_FORM : KEYGEN_BAD_CC_PART;
        goto out;
    }
    list = tdsa_stmt_read_list(&r);
    st = take_parts(&fine, run, from, &list, o, err);
    if (st == TDSA_OK && (tdsa_reader_finish(&list, "contributions", &why) != TDSA_OK ||
                          tdsa_reader_finish(&r, "private part", &why) != TDSA_OK)) {
        *reason = KEYGEN_BAD_FORM;
    } else if (!fine) {
        *reason = KEYGEN_BAD_CONTRIBUTION;
    }
out:
    grp_scalar_clear(&share);
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
    st = hash_opening(com, open, open_len, err);
    if (st != TDSA_OK || memcmp(com, run->com[from], sizeof com) != 0) {
        *reason = KEYGEN_BAD_COMMITMENT;
        return st;
    }
    st = proof_holds(&holds, run, from, &o, err);
    if (st != TDSA_OK || !holds) {
        *reason = KEYGEN_BAD_PROOF;
        return st;
    }
    return take_private(run, from, priv, priv_len, &o, reason, err);
}
