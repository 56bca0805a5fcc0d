#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/statement.h"
#include "protocol/fields.h"
#include "protocol/keygen_internal.h"

/* ---- lengths ---- */

/* Hashes of contributions in an opening: a getter's sets, then its pairs. */
size_t keygen_hash_count_of(const mpc_keygen *run, uint16_t from)
{
    return keygen_gets(run, from) ? run->sets_each + run->key->pub.n - 1u : 0;
}

/* Contributions in a private part: the sets that both are in, and the pair. */
size_t keygen_part_count_of(const mpc_keygen *run, uint16_t from, uint16_t to)
{
    return keygen_gets(run, from) && keygen_gets(run, to) ? run->sets_shared + 1 : 0;
}

bool keygen_gives_share(const mpc_keygen *run, uint16_t from, uint16_t to)
{
    return keygen_deals(run, from) && keygen_gets(run, to);
}

size_t keygen_open_len(const mpc_keygen *run, uint16_t from)
{
    const grp_info *info = grp_get_info(run->g);
    const size_t hash_count = keygen_hash_count_of(run, from);

    return MPC_TEXT("open") + MPC_ITEM(KEYGEN_SID_LEN) + MPC_UINT +
           MPC_ITEM(keygen_point_count(run, from) * MPC_ITEM(info->point_len)) +
           MPC_ITEM(keygen_proves(run, from)
                        ? MPC_ITEM(info->point_len) + MPC_ITEM(info->scalar_len)
                        : 0) +
           MPC_ITEM(run->kind == KEYGEN_NEW ? TDSA_H32_LEN : 0) +
           MPC_ITEM(hash_count * MPC_ITEM(TDSA_H32_LEN)) + MPC_ITEM(KEYGEN_PART_LEN);
}

size_t keygen_private_len(const mpc_keygen *run, uint16_t from, uint16_t to)
{
    const size_t part_count = keygen_part_count_of(run, from, to);

    return MPC_TEXT("priv") + MPC_ITEM(KEYGEN_SID_LEN) + 2 * MPC_UINT +
           MPC_ITEM(keygen_gives_share(run, from, to) ? grp_get_info(run->g)->scalar_len : 0) +
           MPC_ITEM(run->kind == KEYGEN_NEW ? KEYGEN_PART_LEN : 0) +
           MPC_ITEM(part_count * MPC_ITEM(KEYGEN_PART_LEN));
}

/* ---- hashes of private values ---- */

tdsa_status keygen_hash_cc_part(uint8_t out[32], const mpc_keygen *run, uint16_t dealer,
                                const uint8_t part[KEYGEN_PART_LEN], tdsa_err *err)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    tdsa_status st;

    tdsa_stmt_begin(&b, "cc-part");
    tdsa_stmt_octets(&b, run->sid, KEYGEN_SID_LEN);
    tdsa_stmt_uint(&b, dealer);
    tdsa_stmt_octets(&b, part, KEYGEN_PART_LEN);
    st = tdsa_hash32_stmt(out, &b, err);
    tdsa_declassify(out, 32); /* its dealer broadcasts it with the opening */
    return st;
}

tdsa_status keygen_hash_part(uint8_t out[32], const mpc_keygen *run, uint16_t dealer,
                             const char *kind, const uint16_t *members, size_t count,
                             const uint8_t part[KEYGEN_PART_LEN], tdsa_err *err)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    tdsa_status st;

    tdsa_stmt_begin(&b, "part");
    tdsa_stmt_octets(&b, run->sid, KEYGEN_SID_LEN);
    tdsa_stmt_uint(&b, dealer);
    tdsa_stmt_text(&b, kind);
    tdsa_stmt_uint_list(&b, members, count);
    tdsa_stmt_octets(&b, part, KEYGEN_PART_LEN);
    st = tdsa_hash32_stmt(out, &b, err);
    tdsa_declassify(out, 32); /* its dealer broadcasts it with the opening */
    return st;
}

/* A pair as a set, lower index first. */
void keygen_pair_of(uint16_t out[2], uint16_t a, uint16_t b)
{
    out[0] = a < b ? a : b;
    out[1] = a < b ? b : a;
}

size_t keygen_position_in(const grp_set *set, uint16_t index)
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
tdsa_status keygen_pop_challenge(grp_scalar *e, const mpc_keygen *run, uint16_t dealer,
                                 const grp_point *c, const grp_point *k, tdsa_err *err)
{
    TDSA_SCOPED_BUF fields = TDSA_BUF_EMPTY;
    tdsa_status st;

    tdsa_stmt_octets(&fields, run->sid, KEYGEN_SID_LEN);
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
static tdsa_status make_proof(mpc_keygen *run, grp_point *k_point, grp_scalar *z, tdsa_err *err)
{
    const uint16_t me = run->round.me;
    grp_scalar k;
    grp_scalar e;
    tdsa_status st = grp_scalar_random(run->g, &k, &run->rng, err);

    if (st == TDSA_OK) {
        st = grp_mul_base(run->g, k_point, &k, err);
        tdsa_declassify(k_point, sizeof *k_point); /* broadcast with the opening */
    }
    if (st == TDSA_OK) {
        st = keygen_pop_challenge(&e, run, me, run->c[me], k_point, err);
    }
    if (st == TDSA_OK && grp_scalar_is_zero(run->g, &e)) {
        st = TDSA_FAIL(err, TDSA_E_CRYPTO, "the challenge of my proof is 0");
    }
    if (st == TDSA_OK) {
        grp_scalar_mul(run->g, z, &e, &run->sec->f.coeff[0]);
        grp_scalar_add(run->g, z, z, &k);
        tdsa_declassify(z, sizeof *z); /* broadcast with the opening */
    }
    grp_scalar_clear(&k);
    return st;
}

static void put_proof(const mpc_keygen *run, tdsa_buf *b, const grp_point *k_point,
                      const grp_scalar *z)
{
    size_t list = 0;

    if (!keygen_proves(run, run->round.me)) {
        tdsa_stmt_absent(b);
        return;
    }
    list = tdsa_stmt_list_begin(b);
    mpc_put_point(b, run->g, k_point);
    mpc_put_scalar(b, run->g, z);
    tdsa_stmt_list_end(b, list);
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

        st = keygen_hash_part(hash, run, me, "prss", set->member, set->count,
                              run->sec->set_part[i][keygen_position_in(set, me)], err);
        tdsa_stmt_octets(b, hash, sizeof hash);
    }
    for (uint16_t i = 0; i < GRP_PARTIES_MAX && st == TDSA_OK; i++) {
        uint16_t pair[2];

        if (keygen_gets(run, me) && keygen_gets(run, i) && i != me) {
            keygen_pair_of(pair, me, i);
            st = keygen_hash_part(hash, run, me, "pair", pair, 2,
                                  run->sec->pair_part[i][me < i ? 0 : 1], err);
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
    tdsa_status st = TDSA_OK;

    if (run->kind == KEYGEN_NEW) {
        st = tdsa_rng_fill(&run->rng, run->sec->cc[me], KEYGEN_PART_LEN, err);
    }
    for (size_t i = 0; i < run->key->sec->set_count && st == TDSA_OK; i++) {
        const size_t at = keygen_position_in(&run->key->sec->sets[i].set, me);

        st = tdsa_rng_fill(&run->rng, run->sec->set_part[i][at], KEYGEN_PART_LEN, err);
    }
    for (uint16_t i = 0; i < GRP_PARTIES_MAX && st == TDSA_OK; i++) {
        if (keygen_gets(run, me) && keygen_gets(run, i) && i != me) {
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
tdsa_status keygen_hash_opening(uint8_t out[64], const uint8_t *open, size_t len, tdsa_err *err)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;

    TDSA_ASSERT(len > MPC_TEXT("open"));
    tdsa_stmt_begin(&b, "com");
    tdsa_buf_append(&b, open + MPC_TEXT("open"), len - MPC_TEXT("open"));
    return tdsa_hash_stmt(out, &b, err);
}

static tdsa_status put_opening(mpc_keygen *run, const grp_point *k_point, const grp_scalar *z,
                               tdsa_err *err)
{
    const uint16_t me = run->round.me;
    const size_t point_count = keygen_point_count(run, me);
    tdsa_buf *b = &run->open[me];
    uint8_t salt[KEYGEN_PART_LEN];
    uint8_t hash[32];
    tdsa_status st = draw_parts(run, salt, err);

    if (st != TDSA_OK) {
        return st;
    }
    tdsa_stmt_begin(b, "open");
    tdsa_stmt_octets(b, run->sid, KEYGEN_SID_LEN);
    tdsa_stmt_uint(b, me);
    mpc_put_points(b, run->g, run->c[me] + (keygen_zero_constant(run, me) ? 1 : 0), point_count);
    put_proof(run, b, k_point, z);
    if (run->kind == KEYGEN_NEW) {
        st = keygen_hash_cc_part(hash, run, me, run->sec->cc[me], err);
        tdsa_stmt_octets(b, hash, sizeof hash);
    } else {
        tdsa_stmt_absent(b);
    }
    if (st == TDSA_OK) {
        st = put_part_hashes(run, b, err);
    }
    tdsa_stmt_octets(b, salt, sizeof salt);
    return st != TDSA_OK ? st : tdsa_buf_check(b, err);
}

/* My polynomial and its commitments; whoever does not deal has none. */
tdsa_status keygen_deal_over(mpc_keygen *run, const grp_scalar *constant, tdsa_err *err)
{
    const uint16_t me = run->round.me;
    grp_poly *f = &run->sec->f;
    tdsa_status st = TDSA_OK;

    f->degree = run->key->pub.t;
    if (constant == NULL) {
        grp_scalar_set_u64(run->g, &f->coeff[0], 0);
    } else {
        f->coeff[0] = *constant;
    }
    for (size_t m = 1; m <= f->degree && st == TDSA_OK; m++) {
        st = grp_scalar_random(run->g, &f->coeff[m], &run->rng, err);
    }
    grp_point_set_identity(&run->c[me][0]);
    for (size_t m = constant == NULL ? 1 : 0; m <= f->degree && st == TDSA_OK; m++) {
        st = grp_mul_base(run->g, &run->c[me][m], &f->coeff[m], err);
    }
    tdsa_declassify(run->c[me], sizeof run->c[me]); /* broadcast with the opening */
    return st;
}

static tdsa_status make_poly(mpc_keygen *run, tdsa_err *err)
{
    const uint16_t me = run->round.me;
    tdsa_status st;

    if (run->kind == KEYGEN_IMPORT) {
        return import_make_poly(run, err);
    }
    if (run->kind != KEYGEN_NEW) {
        return keygen_deals(run, me) ? reshare_make_poly(run, err) : TDSA_OK;
    }
    st = grp_poly_random(run->g, &run->sec->f, run->key->pub.t, &run->rng, err);
    if (st != TDSA_OK) {
        return st;
    }
    st = grp_poly_commit(run->g, run->c[me], &run->sec->f, err);
    tdsa_declassify(run->c[me], sizeof run->c[me]); /* broadcast with the opening */
    return st;
}

tdsa_status keygen_deal_make(mpc_keygen *run, tdsa_err *err)
{
    const uint16_t me = run->round.me;
    grp_point k_point;
    grp_scalar z;
    tdsa_status st = make_poly(run, err);

    if (st == TDSA_OK && keygen_gives_share(run, me, me)) {
        grp_poly_eval(run->g, &run->sec->share, &run->sec->f, me);
    }
    if (st == TDSA_OK && keygen_proves(run, me)) {
        st = make_proof(run, &k_point, &z, err);
    }
    if (st == TDSA_OK) {
        st = put_opening(run, &k_point, &z, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    TDSA_ASSERT(run->open[me].len == keygen_open_len(run, me));
    return keygen_hash_opening(run->com[me], run->open[me].data, run->open[me].len, err);
}

void keygen_deal_private(const mpc_keygen *run, uint16_t to, tdsa_buf *out)
{
    const uint16_t me = run->round.me;
    grp_scalar share;
    size_t list = 0;

    tdsa_stmt_begin(out, "priv");
    tdsa_stmt_octets(out, run->sid, KEYGEN_SID_LEN);
    tdsa_stmt_uint(out, me);
    tdsa_stmt_uint(out, to);
    if (keygen_gives_share(run, me, to)) {
        grp_poly_eval(run->g, &share, &run->sec->f, to);
        mpc_put_scalar(out, run->g, &share);
        grp_scalar_clear(&share);
    } else {
        tdsa_stmt_absent(out);
    }
    if (run->kind == KEYGEN_NEW) {
        tdsa_stmt_octets(out, run->sec->cc[me], KEYGEN_PART_LEN);
    } else {
        tdsa_stmt_absent(out);
    }
    list = tdsa_stmt_list_begin(out);
    for (size_t i = 0; i < run->key->sec->set_count; i++) {
        const grp_set *set = &run->key->sec->sets[i].set;

        if (grp_set_has(set, to)) {
            tdsa_stmt_octets(out, run->sec->set_part[i][keygen_position_in(set, me)],
                             KEYGEN_PART_LEN);
        }
    }
    if (keygen_part_count_of(run, me, to) > 0) {
        tdsa_stmt_octets(out, run->sec->pair_part[to][me < to ? 0 : 1], KEYGEN_PART_LEN);
    }
    tdsa_stmt_list_end(out, list);
}
