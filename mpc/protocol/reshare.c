#include "protocol/reshare.h"

#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/statement.h"
#include "protocol/fields.h"
#include "protocol/keygen_internal.h"

/* What a reshare does otherwise than a key generation: the old epoch, and dealings of its shares. */

/* ---- the old epoch as a statement ---- */

/* stmt("key", key id, epoch, curve, t, [indices], Y, [X_i], chain code) */
static void put_record(tdsa_buf *b, const mpc_key *k)
{
    uint16_t indices[GRP_PARTIES_MAX];
    size_t list = 0;

    (void)mpc_key_indices(indices, &k->pub);
    tdsa_stmt_begin(b, "key");
    tdsa_stmt_text(b, k->pub.key_id);
    tdsa_stmt_uint(b, k->pub.epoch);
    tdsa_stmt_text(b, grp_curve_name(k->pub.curve));
    tdsa_stmt_uint(b, k->pub.t);
    tdsa_stmt_uint_list(b, indices, k->pub.n);
    mpc_put_point(b, k->g, &k->pub.y);
    list = tdsa_stmt_list_begin(b);
    for (size_t i = 0; i < k->pub.n; i++) {
        mpc_put_point(b, k->g, &k->pub.x[indices[i]]);
    }
    tdsa_stmt_list_end(b, list);
    tdsa_stmt_octets(b, k->pub.cc, sizeof k->pub.cc);
}

tdsa_status mpc_key_digest(uint8_t out[64], const mpc_key *k, tdsa_err *err)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;

    put_record(&b, k);
    return tdsa_hash_stmt(out, &b, err);
}

size_t reshare_record_len(const mpc_keygen *run)
{
    const size_t point = MPC_ITEM(grp_get_info(run->g)->point_len);

    return MPC_TEXT("key") + MPC_ITEM(strlen(run->key->pub.key_id)) + 2 * MPC_UINT +
           MPC_ITEM(strlen(grp_curve_name(run->key->pub.curve))) + MPC_ITEM(run->old.n * MPC_UINT) +
           point + MPC_ITEM(run->old.n * point) + MPC_ITEM(sizeof run->old.cc);
}

/* The fields before Y are those that the run is about. */
static bool read_head(const mpc_keygen *run, tdsa_reader *r)
{
    const mpc_key_public *pub = &run->key->pub;
    char key_id[MPC_KEY_ID_MAX + 1];
    char curve[16];
    uint16_t indices[GRP_PARTIES_MAX];
    bool same = true;

    tdsa_stmt_expect(r, "key");
    tdsa_stmt_read_text(r, key_id, sizeof key_id);
    same = strcmp(key_id, pub->key_id) == 0;
    same = tdsa_stmt_read_uint(r) == run->old.epoch && same;
    tdsa_stmt_read_text(r, curve, sizeof curve);
    same = strcmp(curve, grp_curve_name(pub->curve)) == 0 && same;
    same = tdsa_stmt_read_uint(r) == run->old.t && same;
    same = tdsa_stmt_read_uint_list(r, indices, GRP_PARTIES_MAX) == run->old.n && same;
    return !r->failed && same &&
           memcmp(indices, run->old.indices, run->old.n * sizeof indices[0]) == 0;
}

/* Y and all X_i: decoded, on one polynomial, which is Y at 0. */
static tdsa_status read_record(mpc_keygen *run, const uint8_t *in, size_t len, tdsa_err *err)
{
    keygen_old *old = &run->old;
    tdsa_reader r = tdsa_reader_of(in, len);
    tdsa_reader list;
    grp_point x[GRP_PARTIES_MAX];
    grp_point y;
    tdsa_status st;

    if (!read_head(run, &r)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a record of another key or epoch");
    }
    st = mpc_get_point(&r, run->g, &old->y, err);
    list = tdsa_stmt_read_list(&r);
    for (size_t i = 0; i < old->n && st == TDSA_OK; i++) {
        st = mpc_get_point(&list, run->g, &x[i], err);
        old->x[old->indices[i]] = x[i];
    }
    if (st == TDSA_OK) {
        st = tdsa_reader_finish(&list, "verification shares", err);
    }
    tdsa_stmt_read_exact(&r, old->cc, sizeof old->cc);
    if (st == TDSA_OK) {
        st = tdsa_reader_finish(&r, "record of the old epoch", err);
    }
    if (st == TDSA_OK) {
        st = grp_consist_vartime(run->g, x, old->indices, old->n, old->t, err);
    }
    if (st == TDSA_OK) {
        st = grp_interpolate_vartime(run->g, &y, x, old->indices, old->t + 1u, err);
    }
    if (st == TDSA_OK && !grp_point_equal(run->g, &y, &old->y)) {
        st = TDSA_FAIL(err, TDSA_E_PROTOCOL, "the verification shares do not make the public key");
    }
    return st;
}

static tdsa_status check_earlier(const mpc_keygen *run, tdsa_err *err)
{
    if (run->old.earlier && (!grp_point_equal(run->g, &run->old.y, &run->old.earlier_y) ||
                             memcmp(run->old.cc, run->old.earlier_cc, sizeof run->old.cc) != 0)) {
        return TDSA_FAIL(err, TDSA_E_PROTOCOL,
                         "the dealers have another public key or chain code than the earlier epoch "
                         "of key %s here",
                         run->key->pub.key_id);
    }
    return TDSA_OK;
}

tdsa_status reshare_take_record(mpc_keygen *run, uint16_t from, const uint8_t *in, size_t len,
                                tdsa_err *err)
{
    keygen_old *old = &run->old;
    tdsa_status st;

    if (old->known) {
        if (len == old->record.len && memcmp(in, old->record.data, len) == 0) {
            return TDSA_OK;
        }
        if (old->mine) {
            return TDSA_BLAME(err, from,
                              "participant %u reports another old epoch than the one here", from);
        }
        return TDSA_FAIL(err, TDSA_E_PROTOCOL,
                         "participants %u and %u report different old epochs: one of them lies",
                         old->told_by, from);
    }
    st = read_record(run, in, len, err);
    if (st == TDSA_E_PROTOCOL) {
        return TDSA_BLAME(err, from, "participant %u reports shares that are not of one key", from);
    }
    if (st == TDSA_OK) {
        st = check_earlier(run, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    tdsa_buf_append(&old->record, in, len);
    st = tdsa_buf_check(&old->record, err);
    if (st == TDSA_OK) {
        st = tdsa_hash_stmt(old->digest, &old->record, err);
    }
    memcpy(run->key->pub.cc, old->cc, sizeof old->cc);
    old->told_by = from;
    old->known = st == TDSA_OK;
    return st;
}

void reshare_put_inputs(const mpc_keygen *run, tdsa_buf *b)
{
    mpc_put_members(b, run->old.dealers, run->old.dealer_count);
    tdsa_stmt_uint(b, run->old.t);
    tdsa_stmt_uint_list(b, run->old.indices, run->old.n);
}

/* ---- dealing ---- */

static void dealer_indices(const mpc_keygen *run, uint16_t out[GRP_PARTIES_MAX])
{
    for (size_t i = 0; i < run->old.dealer_count; i++) {
        out[i] = run->old.dealers[i].index;
    }
}

/* lambda of a dealer over all dealers. */
static void lambda_of(const mpc_keygen *run, grp_scalar *out, uint16_t who)
{
    grp_scalar lambda[GRP_PARTIES_MAX];
    uint16_t dealers[GRP_PARTIES_MAX];

    dealer_indices(run, dealers);
    grp_lagrange(run->g, lambda, dealers, run->old.dealer_count);
    for (size_t i = 0; i < run->old.dealer_count; i++) {
        if (dealers[i] == who) {
            *out = lambda[i];
        }
    }
}

tdsa_status reshare_make_poly(mpc_keygen *run, tdsa_err *err)
{
    grp_scalar *constant = &run->sec->f.coeff[0]; /* in locked memory */
    grp_scalar lambda = {0};

    if (keygen_refreshes(run)) {
        return keygen_deal_over(run, NULL, err);
    }
    lambda_of(run, &lambda, run->round.me);
    grp_scalar_mul(run->g, constant, &lambda, &run->sec->old_share);
    return keygen_deal_over(run, constant, err);
}

tdsa_status reshare_constant_fits(bool *fits, const mpc_keygen *run, uint16_t from, tdsa_err *err)
{
    grp_scalar lambda = {0};
    grp_point want;
    tdsa_status st;

    if (run->kind == KEYGEN_IMPORT && from == run->importer) {
        *fits = grp_point_equal(run->g, &run->old.y, &run->c[from][0]);
        return TDSA_OK;
    }
    *fits = run->kind != KEYGEN_RESHARE || !keygen_deals(run, from);
    if (*fits) {
        return TDSA_OK;
    }
    lambda_of(run, &lambda, from);
    st = grp_mul_vartime(run->g, &want, &lambda, &run->old.x[from], err);
    *fits = st == TDSA_OK && grp_point_equal(run->g, &want, &run->c[from][0]);
    return st;
}

tdsa_status reshare_finish_public(mpc_keygen *run, tdsa_err *err)
{
    mpc_key_public *pub = &run->key->pub;
    tdsa_status st = TDSA_OK;

    if (!keygen_refreshes(run)) {
        return grp_point_equal(run->g, &pub->y, &run->old.y)
                   ? TDSA_OK
                   : TDSA_FAIL(err, TDSA_E_PROTOCOL, "the dealings do not make the public key");
    }
    pub->y = run->old.y; /* the dealings of a refresh add up to 0 */
    for (size_t k = 0; k < pub->n && st == TDSA_OK; k++) {
        const uint16_t j = pub->members[k].index;

        st = grp_point_add_vartime(run->g, &pub->x[j], &pub->x[j], &run->old.x[j], err);
    }
    return st;
}

/* ---- birth ---- */

static bool same_member(const mpc_member *a, const mpc_member *b)
{
    return a->index == b->index && memcmp(a->x25519, b->x25519, sizeof a->x25519) == 0 &&
           memcmp(a->x448, b->x448, sizeof a->x448) == 0;
}

static const mpc_member *find_member(const mpc_member *members, size_t count, uint16_t index)
{
    for (size_t i = 0; i < count; i++) {
        if (members[i].index == index) {
            return &members[i];
        }
    }
    return NULL;
}

/* Nothing changes: all members of the old epoch deal to themselves. */
static bool is_refresh(const mpc_reshare_cfg *cfg)
{
    if (cfg->dealer_count != cfg->n || cfg->old_n != cfg->n || cfg->t != cfg->old_t) {
        return false;
    }
    for (size_t i = 0; i < cfg->n; i++) {
        if (!same_member(&cfg->dealers[i], &cfg->members[i])) {
            return false;
        }
    }
    return true;
}

static tdsa_status check_dealers(const mpc_reshare_cfg *cfg, tdsa_err *err)
{
    if (!mpc_key_sizes_valid(cfg->old_n, cfg->old_t) || cfg->dealer_count > cfg->old_n ||
        cfg->dealer_count <= cfg->old_t || !mpc_members_valid(cfg->dealers, cfg->dealer_count)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "%u dealers of %u members of threshold %u: more than the threshold must "
                         "deal, in order, each once",
                         cfg->dealer_count, cfg->old_n, cfg->old_t);
    }
    for (size_t i = 0; i < cfg->old_n; i++) {
        if (cfg->old_indices[i] >= GRP_PARTIES_MAX ||
            (i > 0 && cfg->old_indices[i] <= cfg->old_indices[i - 1])) {
            return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "old members are not in order, each once");
        }
    }
    for (size_t i = 0; i < cfg->dealer_count; i++) {
        const mpc_member *d = &cfg->dealers[i];
        const mpc_member *again = find_member(cfg->members, cfg->n, d->index);
        bool was = false;

        for (size_t k = 0; k < cfg->old_n; k++) {
            was = was || cfg->old_indices[k] == d->index;
        }
        if (!was || (again != NULL && !same_member(again, d))) {
            return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                             "dealer %u is no member of the old epoch, or has other keys in the "
                             "new one",
                             d->index);
        }
    }
    return TDSA_OK;
}

static tdsa_status check_policy(const mpc_reshare_cfg *cfg, tdsa_err *err)
{
    uint8_t asked[32];
    uint8_t mine[32];
    tdsa_status st = mpc_policy_tag(asked, &cfg->policy, err);

    if (st == TDSA_OK && cfg->mine != NULL) {
        st = mpc_policy_tag(mine, &cfg->mine->pub.policy, err);
        if (st == TDSA_OK && memcmp(asked, mine, sizeof mine) != 0) {
            st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "the policy is not that of key %s here",
                           cfg->key_id);
        }
    }
    if (st == TDSA_OK && !cfg->policy.reshare) {
        st = TDSA_FAIL(err, TDSA_E_DENIED, "the policy of key %s forbids resharing", cfg->key_id);
    }
    return st;
}

/* My own record against what the run is about. */
static tdsa_status check_mine(const mpc_reshare_cfg *cfg, tdsa_err *err)
{
    const bool dealer = find_member(cfg->dealers, cfg->dealer_count, cfg->me) != NULL;
    const mpc_key_public *pub = cfg->mine == NULL ? NULL : &cfg->mine->pub;
    bool same = pub != NULL;

    if (!dealer && find_member(cfg->members, cfg->n, cfg->me) == NULL) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "participant %u has no part in this reshare",
                         cfg->me);
    }
    if (pub == NULL) {
        return dealer ? TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a dealer needs its key") : TDSA_OK;
    }
    if (strcmp(pub->key_id, cfg->key_id) != 0 || pub->curve != grp_get_info(cfg->g)->curve ||
        pub->scheme != cfg->scheme || pub->epoch > cfg->old_epoch ||
        (dealer &&
         (pub->epoch != cfg->old_epoch || cfg->mine->sec == NULL || pub->me != cfg->me))) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "key %s, epoch %u is not what is here (epoch %u)",
                         cfg->key_id, cfg->old_epoch, pub->epoch);
    }
    if (pub->epoch != cfg->old_epoch) {
        return TDSA_OK; /* this participant missed an epoch; it is compared in round 0 */
    }
    same = pub->n == cfg->old_n && pub->t == cfg->old_t;
    for (size_t i = 0; i < pub->n && same; i++) {
        same = pub->members[i].index == cfg->old_indices[i];
    }
    for (size_t i = 0; i < cfg->dealer_count && same; i++) {
        const mpc_member *m = mpc_key_member(pub, cfg->dealers[i].index);

        same = m != NULL && same_member(m, &cfg->dealers[i]);
    }
    return same ? TDSA_OK
                : TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                            "the members, threshold or dealers are not those of key %s here",
                            cfg->key_id);
}

tdsa_status reshare_fill_old(mpc_keygen *run, const mpc_reshare_cfg *cfg, tdsa_err *err)
{
    keygen_old *old = &run->old;
    const mpc_key *mine = cfg->mine;

    old->epoch = cfg->old_epoch;
    old->n = cfg->old_n;
    old->t = cfg->old_t;
    memcpy(old->indices, cfg->old_indices, cfg->old_n * sizeof old->indices[0]);
    memcpy(old->dealers, cfg->dealers, cfg->dealer_count * sizeof old->dealers[0]);
    old->dealer_count = cfg->dealer_count;
    if (mine == NULL) {
        return TDSA_OK;
    }
    if (mine->pub.epoch != cfg->old_epoch) {
        old->earlier = true;
        old->earlier_y = mine->pub.y;
        memcpy(old->earlier_cc, mine->pub.cc, sizeof old->earlier_cc);
        return TDSA_OK;
    }
    old->known = true;
    old->mine = true;
    old->y = mine->pub.y;
    memcpy(old->x, mine->pub.x, sizeof old->x);
    memcpy(old->cc, mine->pub.cc, sizeof old->cc);
    memcpy(run->key->pub.cc, mine->pub.cc, sizeof old->cc);
    put_record(&old->record, mine);
    if (mine->sec != NULL) {
        run->sec->old_share = mine->sec->share; /* both in locked memory */
    }
    return tdsa_hash_stmt(old->digest, &old->record, err);
}

static tdsa_status check_cfg(const mpc_reshare_cfg *cfg, const mpc_keygen_cfg *as_keygen,
                             tdsa_err *err)
{
    tdsa_status st = keygen_check_cfg(as_keygen, err);

    if (st == TDSA_OK && cfg->old_epoch == UINT32_MAX) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "there is no epoch after %u", cfg->old_epoch);
    }
    if (st == TDSA_OK) {
        st = check_dealers(cfg, err);
    }
    if (st == TDSA_OK) {
        st = check_mine(cfg, err);
    }
    return st == TDSA_OK ? check_policy(cfg, err) : st;
}

tdsa_status mpc_reshare_new(mpc_keygen **out, const mpc_reshare_cfg *cfg, tdsa_err *err)
{
    const mpc_keygen_cfg as_keygen = {.g = cfg->g,
                                      .scheme = cfg->scheme,
                                      .n = cfg->n,
                                      .t = cfg->t,
                                      .me = cfg->me,
                                      .members = cfg->members,
                                      .key_id = cfg->key_id,
                                      .epoch = cfg->old_epoch + 1,
                                      .policy = cfg->policy,
                                      .rng = cfg->rng};
    mpc_keygen *run = NULL;
    tdsa_status st;

    *out = NULL;
    st = check_cfg(cfg, &as_keygen, err);
    if (st != TDSA_OK) {
        return st;
    }
    st = keygen_alloc(&run, &as_keygen, is_refresh(cfg) ? KEYGEN_REFRESH : KEYGEN_RESHARE,
                      keygen_member_bits(cfg->dealers, cfg->dealer_count), err);
    if (st == TDSA_OK) {
        st = reshare_fill_old(run, cfg, err);
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
