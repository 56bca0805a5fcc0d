#include "group/prss.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/cipher.h"
#include "base/hash.h"
#include "base/secret.h"
#include "base/statement.h"
#include "group/group_internal.h"

/* Values that one read of a stream covers. */
#define VALUES_PER_READ 64u

/* f_A(id of me) = num/den, public. Over the common denominator, at most 9!, |num| is at most 8^4 * 9!, so
 * the sum of GRP_MY_SETS_MAX products with scalars takes one limb more than a scalar. */
typedef struct {
    tdsa_ctr_stream *stream;
    int64_t num, den;
} prss_term;

struct grp_prss {
    const grp *g;       /* lent for the life of this */
    grp_scalar inverse; /* of the common denominator */
    size_t count;
    prss_term term[GRP_MY_SETS_MAX];
};

/* Sums of num*value, the positive and the negative ones by themselves. Secret. */
typedef struct {
    mp_limb_t sum[2][GRP_SCALAR_LIMBS_MAX + 1];
} prss_sums;

/* The stream of one set: kappa_AC = HKDF(kappa_A; 'committee', C), then
 * HKDF(kappa_AC; 'prss-stream', name, beta). */
static tdsa_status open_stream(tdsa_ctr_stream **out, const uint8_t kappa[32],
                               const grp_prss_cfg *cfg, tdsa_err *err)
{
    TDSA_SCOPED_BUF info = TDSA_BUF_EMPTY;
    uint8_t key[TDSA_KEY_LEN];
    tdsa_status st = TDSA_OK;

    tdsa_stmt_begin(&info, "committee");
    tdsa_stmt_uint_list(&info, cfg->committee, cfg->committee_count);
    st = tdsa_hkdf_stmt(key, kappa, TDSA_KEY_LEN, &info, err);
    if (st == TDSA_OK) {
        tdsa_buf_reset(&info);
        tdsa_stmt_begin(&info, "prss-stream");
        tdsa_stmt_text(&info, cfg->name);
        tdsa_stmt_octets(&info, cfg->beta, TDSA_H32_LEN);
        st = tdsa_hkdf_stmt(key, key, sizeof key, &info, err);
    }
    if (st == TDSA_OK) {
        st = tdsa_ctr_new(out, key, err);
    }
    tdsa_wipe(key, sizeof key);
    return st;
}

/* Position in an ascending committee; committee_count when it is not there. */
static size_t position_of(const uint16_t *committee, size_t count, uint16_t index)
{
    size_t at = 0;

    while (at < count && committee[at] != index) {
        at++;
    }
    return at;
}

static tdsa_status check_committee(const uint16_t *committee, size_t count, uint16_t me,
                                   tdsa_err *err)
{
    if (count < 3 || count > GRP_PARTIES_MAX || count % 2 == 0) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "committee of %zu", count);
    }
    for (size_t i = 0; i < count; i++) {
        if (committee[i] >= GRP_PARTIES_MAX || (i > 0 && committee[i - 1] >= committee[i])) {
            return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "committee member %u is out of order or range",
                             (unsigned)committee[i]);
        }
    }
    if (position_of(committee, count, me) == count) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "participant %u is not in the committee",
                         (unsigned)me);
    }
    return TDSA_OK;
}

/* Sets of t+1 that hold me, out of the committee: C(2t, t). */
static size_t sets_needed(size_t committee_count)
{
    const size_t t = committee_count / 2;
    size_t n = 1;

    for (size_t i = 1; i <= t; i++) {
        n = n * (t + i) / i;
    }
    return n;
}

/* True when an earlier key is of the same set. */
static bool is_repeated(const grp_prss_cfg *cfg, size_t at)
{
    const grp_set *a = &cfg->keys[at].set;

    for (size_t i = 0; i < at; i++) {
        if (grp_set_within(a, cfg->keys[i].set.member, cfg->keys[i].set.count)) {
            return true; /* all sets have the same size */
        }
    }
    return false;
}

static tdsa_status add_terms(grp_prss *p, const grp_prss_cfg *cfg, tdsa_err *err)
{
    for (size_t i = 0; i < cfg->key_count; i++) {
        const grp_set_key *k = &cfg->keys[i];
        prss_term *term = NULL;
        tdsa_status st = TDSA_OK;

        if (k->set.count != cfg->committee_count / 2 + 1 || !grp_set_has(&k->set, cfg->me) ||
            is_repeated(cfg, i)) {
            return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                             "set key %zu is not one of participant %u, or comes twice", i,
                             (unsigned)cfg->me);
        }
        if (!grp_set_within(&k->set, cfg->committee, cfg->committee_count)) {
            continue; /* only sets inside the committee are used */
        }
        if (p->count == GRP_MY_SETS_MAX) {
            return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "too many set keys");
        }
        term = &p->term[p->count++];
        grp_set_fraction(&term->num, &term->den, &k->set, cfg->committee, cfg->committee_count,
                         cfg->me);
        st = open_stream(&term->stream, k->key, cfg, err);
        if (st != TDSA_OK) {
            return st;
        }
    }
    if (p->count != sets_needed(cfg->committee_count)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "%zu set keys for a committee of %zu, not %zu",
                         p->count, cfg->committee_count, sets_needed(cfg->committee_count));
    }
    return TDSA_OK;
}

/* Puts all factors over the product of the ids of the committee, which each den divides. */
static void share_denominator(grp_prss *p, const grp_prss_cfg *cfg)
{
    int64_t common = 1;

    for (size_t i = 0; i < cfg->committee_count; i++) {
        common *= cfg->committee[i] + 1; /* the evaluation id; 9! at most */
    }
    for (size_t i = 0; i < p->count; i++) {
        p->term[i].num *= common / p->term[i].den;
    }
    grp_scalar_set_u64(p->g, &p->inverse, (uint64_t)common);
    grp_scalar_inv_vartime(p->g, &p->inverse, &p->inverse); /* the committee is public */
}

tdsa_status grp_prss_new(grp_prss **out, const grp *g, const grp_prss_cfg *cfg, tdsa_err *err)
{
    grp_prss *p = NULL;
    tdsa_status st = check_committee(cfg->committee, cfg->committee_count, cfg->me, err);

    *out = NULL;
    if (st != TDSA_OK) {
        return st;
    }
    p = calloc(1, sizeof *p);
    if (p == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for PRSS");
    }
    p->g = g;
    st = add_terms(p, cfg, err);
    if (st != TDSA_OK) {
        grp_prss_free(p);
        return st;
    }
    share_denominator(p, cfg);
    *out = p;
    return TDSA_OK;
}

/* Adds one set's part to sums[0..count-1]; count <= VALUES_PER_READ. */
static tdsa_status add_part(const grp *g, const prss_term *term, prss_sums *sums, uint64_t first,
                            size_t count, tdsa_err *err)
{
    uint8_t bytes[VALUES_PER_READ * GRP_WIDE_LEN_MAX];
    const size_t len = g->info.wide_len;
    const size_t sign = term->num < 0 ? 1 : 0;
    const mp_limb_t factor = (mp_limb_t)(term->num < 0 ? -term->num : term->num);
    grp_scalar v;
    tdsa_status st = TDSA_OK;

    st = tdsa_ctr_read(term->stream, first * len, bytes, count * len, err);
    for (size_t i = 0; i < count && st == TDSA_OK; i++) {
        mp_limb_t *sum = sums[i].sum[sign];

        grp_scalar_reduce(g, &v, bytes + i * len, len);
        sum[g->n] += mpn_addmul_1(sum, v.limb, g->n, factor);
    }
    grp_scalar_clear(&v);
    tdsa_wipe(bytes, count * len);
    return st;
}

/* out = (positive sum - negative sum) / the common denominator */
static void finish_sum(const grp_prss *p, grp_scalar *out, prss_sums *s)
{
    grp_scalar minus;

    grp_limbs_reduce(p->g, out, s->sum[0], (size_t)p->g->n + 1);
    grp_limbs_reduce(p->g, &minus, s->sum[1], (size_t)p->g->n + 1);
    grp_scalar_sub(p->g, out, out, &minus);
    grp_scalar_mul(p->g, out, out, &p->inverse);
    grp_scalar_clear(&minus);
}

/* count <= VALUES_PER_READ */
static tdsa_status shares_of_read(grp_prss *p, grp_scalar *out, uint64_t first, size_t count,
                                  tdsa_err *err)
{
    prss_sums sums[VALUES_PER_READ];
    tdsa_status st = TDSA_OK;

    memset(sums, 0, count * sizeof sums[0]);
    for (size_t i = 0; i < p->count && st == TDSA_OK; i++) {
        st = add_part(p->g, &p->term[i], sums, first, count, err);
    }
    for (size_t i = 0; i < count && st == TDSA_OK; i++) {
        finish_sum(p, &out[i], &sums[i]);
    }
    tdsa_wipe(sums, count * sizeof sums[0]);
    return st;
}

tdsa_status grp_prss_shares(grp_prss *p, grp_scalar *out, uint64_t first, size_t count,
                            tdsa_err *err)
{
    tdsa_status st = TDSA_OK;

    tdsa_wipe(out, count * sizeof *out);
    if (first > UINT32_MAX || count > UINT32_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "PRSS values from %llu on",
                         (unsigned long long)first);
    }
    for (size_t done = 0; done < count && st == TDSA_OK; done += VALUES_PER_READ) {
        const size_t part = count - done < VALUES_PER_READ ? count - done : VALUES_PER_READ;

        st = shares_of_read(p, out + done, first + done, part, err);
    }
    if (st != TDSA_OK) {
        tdsa_wipe(out, count * sizeof *out);
    }
    return st;
}

void grp_prss_free(grp_prss *p)
{
    if (p == NULL) {
        return;
    }
    for (size_t i = 0; i < p->count; i++) {
        tdsa_ctr_free(p->term[i].stream);
    }
    tdsa_wipe(p, sizeof *p);
    free(p);
}

struct grp_pad_keys {
    size_t count, mine;                   /* members of the committee, and my position */
    grp_scalar inverse;                   /* of my Lagrange coefficient, public */
    tdsa_hkdf_key *pair[GRP_PARTIES_MAX]; /* by position; NULL at mine */
};

void grp_pad_keys_free(grp_pad_keys *k)
{
    if (k != NULL) {
        for (size_t i = 0; i < k->count; i++) {
            tdsa_hkdf_key_free(k->pair[i]);
        }
        free(k);
    }
}

tdsa_status grp_pad_keys_new(grp_pad_keys **out, const grp *g, const grp_pad_cfg *cfg,
                             tdsa_err *err)
{
    grp_scalar lambda[GRP_PARTIES_MAX];
    grp_pad_keys *k = NULL;
    tdsa_status st = check_committee(cfg->committee, cfg->committee_count, cfg->me, err);

    *out = NULL;
    if (st != TDSA_OK) {
        return st;
    }
    k = calloc(1, sizeof *k);
    if (k == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for the keys of pads");
    }
    k->count = cfg->committee_count;
    k->mine = position_of(cfg->committee, cfg->committee_count, cfg->me);
    grp_lagrange(g, lambda, cfg->committee, cfg->committee_count);
    grp_scalar_inv_vartime(g, &k->inverse, &lambda[k->mine]); /* the committee is public */
    for (size_t i = 0; i < k->count && st == TDSA_OK; i++) {
        if (i != k->mine) {
            st = tdsa_hkdf_key_new(&k->pair[i], cfg->pair_keys[i], err);
        }
    }
    if (st != TDSA_OK) {
        grp_pad_keys_free(k);
        return st;
    }
    *out = k;
    return TDSA_OK;
}

/* PRF(kappa; word, T) = HKDF-Expand(kappa, stmt('pad-' word, T), L) mod q. */
static tdsa_status pad_prf(const grp *g, grp_scalar *out, const tdsa_hkdf_key *kappa,
                           const tdsa_buf *info, tdsa_err *err)
{
    uint8_t wide[GRP_WIDE_LEN_MAX];
    const tdsa_status st = tdsa_hkdf_key_expand(kappa, wide, g->info.wide_len, info, err);

    if (st == TDSA_OK) {
        grp_scalar_reduce(g, out, wide, g->info.wide_len);
    }
    tdsa_wipe(wide, sizeof wide);
    return st;
}

/* The info of all PRFs of one pad: stmt('pad-' word, T). */
static void pad_info(tdsa_buf *info, const grp_pad_cfg *cfg)
{
    TDSA_SCOPED_BUF tag = TDSA_BUF_EMPTY;

    tdsa_buf_append_str(&tag, "pad-");
    tdsa_buf_append(&tag, cfg->word, strlen(cfg->word) + 1);
    if (tag.failed) {
        info->failed = true;
        return;
    }
    tdsa_stmt_begin(info, (const char *)tag.data);
    tdsa_stmt_octets(info, cfg->transcript, TDSA_SHA512_LEN);
}

static tdsa_status draw_pad(const grp *g, grp_scalar *out, const grp_pad_keys *k,
                            const tdsa_buf *info, tdsa_err *err)
{
    grp_scalar part = {{0}};
    tdsa_status st = TDSA_OK;

    for (size_t i = 0; i < k->count && st == TDSA_OK; i++) {
        if (i == k->mine) {
            continue;
        }
        st = pad_prf(g, &part, k->pair[i], info, err);
        if (st == TDSA_OK && k->mine < i) { /* sigma: + when j < i */
            grp_scalar_add(g, out, out, &part);
        } else if (st == TDSA_OK) {
            grp_scalar_sub(g, out, out, &part);
        }
    }
    if (st == TDSA_OK) {
        grp_scalar_mul(g, out, out, &k->inverse);
    } else {
        grp_scalar_clear(out);
    }
    grp_scalar_clear(&part);
    return st;
}

tdsa_status grp_pad(const grp *g, grp_scalar *out, const grp_pad_cfg *cfg, tdsa_err *err)
{
    TDSA_SCOPED_BUF info = TDSA_BUF_EMPTY;
    grp_pad_keys *made = NULL;
    tdsa_status st = TDSA_OK;

    memset(out, 0, sizeof *out);
    pad_info(&info, cfg);
    if (cfg->prepared != NULL) {
        return draw_pad(g, out, cfg->prepared, &info, err);
    }
    st = grp_pad_keys_new(&made, g, cfg, err);
    if (st == TDSA_OK) {
        st = draw_pad(g, out, made, &info, err);
    }
    grp_pad_keys_free(made);
    return st;
}
