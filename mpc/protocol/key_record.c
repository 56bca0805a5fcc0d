#include <string.h>

#include "base/statement.h"
#include "protocol/fields.h"
#include "protocol/key_internal.h"

#define CURVE_NAME_MAX    16u
#define POLICY_RECORD_MAX 512u

/* ---- public half ---- */

static void put_members(tdsa_buf *out, const mpc_key_public *pub)
{
    const size_t list = tdsa_stmt_list_begin(out);

    for (uint16_t i = 0; i < pub->n; i++) {
        const size_t one = tdsa_stmt_list_begin(out);

        tdsa_stmt_uint(out, pub->members[i].index);
        tdsa_stmt_octets(out, pub->members[i].x25519, sizeof pub->members[i].x25519);
        tdsa_stmt_octets(out, pub->members[i].x448, sizeof pub->members[i].x448);
        tdsa_stmt_list_end(out, one);
    }
    tdsa_stmt_list_end(out, list);
}

/* X_j in the order of the members. */
static void put_shares(tdsa_buf *out, const mpc_key *k)
{
    const size_t list = tdsa_stmt_list_begin(out);

    for (size_t i = 0; i < k->pub.n; i++) {
        mpc_put_point(out, k->g, &k->pub.x[k->pub.members[i].index]);
    }
    tdsa_stmt_list_end(out, list);
}

void mpc_key_encode_public(tdsa_buf *out, const mpc_key *k)
{
    TDSA_SCOPED_BUF policy = TDSA_BUF_EMPTY;

    mpc_policy_encode(&policy, &k->pub.policy);
    tdsa_stmt_begin(out, "key-public");
    tdsa_stmt_uint(out, MPC_VERSION);
    tdsa_stmt_text(out, grp_curve_name(k->pub.curve));
    tdsa_stmt_text(out, mpc_scheme_name(k->pub.scheme));
    tdsa_stmt_text(out, k->pub.key_id);
    tdsa_stmt_uint(out, k->pub.epoch);
    tdsa_stmt_uint(out, k->pub.n);
    tdsa_stmt_uint(out, k->pub.t);
    tdsa_stmt_uint(out, k->pub.me);
    put_members(out, &k->pub);
    tdsa_stmt_octets(out, policy.data, policy.len);
    tdsa_stmt_octets(out, k->pub.cluster_id, sizeof k->pub.cluster_id);
    tdsa_stmt_octets(out, k->pub.cc, sizeof k->pub.cc);
    tdsa_stmt_octets(out, k->pub.stored, sizeof k->pub.stored);
    mpc_put_point(out, k->g, &k->pub.y);
    put_shares(out, k);
    if (policy.failed) {
        out->failed = true;
    }
}

/* Tag, version and curve; false when they are not there. */
static bool read_curve(tdsa_reader *r, grp_curve *out)
{
    char name[CURVE_NAME_MAX];

    tdsa_stmt_expect(r, "key-public");
    if (tdsa_stmt_read_uint(r) != MPC_VERSION) {
        r->failed = true;
    }
    tdsa_stmt_read_text(r, name, sizeof name);
    return !r->failed && grp_curve_by_name(out, name);
}

tdsa_status mpc_key_peek_curve(grp_curve *out, const uint8_t *in, size_t len, tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(in, len);

    if (!read_curve(&r, out)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT,
                         "key record: not a key of version %u on a known curve", MPC_VERSION);
    }
    return TDSA_OK;
}

/* Curve, scheme, id, epoch, n, t, me. */
static tdsa_status read_head(tdsa_reader *r, mpc_key *k, tdsa_err *err)
{
    char scheme[CURVE_NAME_MAX];
    grp_curve curve = GRP_P256;
    uint64_t size[4];

    if (!read_curve(r, &curve) || curve != grp_get_info(k->g)->curve) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "key record: not a key on %s",
                         grp_get_info(k->g)->name);
    }
    tdsa_stmt_read_text(r, scheme, sizeof scheme);
    tdsa_stmt_read_text(r, k->pub.key_id, sizeof k->pub.key_id);
    for (size_t i = 0; i < 4; i++) {
        size[i] = tdsa_stmt_read_uint(r);
        if (size[i] > UINT32_MAX) {
            r->failed = true;
        }
    }
    if (r->failed || !mpc_scheme_by_name(&k->pub.scheme, scheme) ||
        !mpc_scheme_fits(k->pub.scheme, curve) || !mpc_key_id_valid(k->pub.key_id) ||
        !mpc_key_sizes_valid((unsigned)size[1], (unsigned)size[2]) || size[3] >= GRP_PARTIES_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "key record: wrong scheme, key id, n, t or index");
    }
    k->pub.epoch = (uint32_t)size[0];
    k->pub.n = (uint16_t)size[1];
    k->pub.t = (uint16_t)size[2];
    k->pub.me = (uint16_t)size[3];
    return TDSA_OK;
}

static void read_members(tdsa_reader *r, mpc_key_public *pub)
{
    tdsa_reader list = tdsa_stmt_read_list(r);

    for (uint16_t i = 0; i < pub->n; i++) {
        tdsa_reader one = tdsa_stmt_read_list(&list);

        const uint64_t index = tdsa_stmt_read_uint(&one);

        if (index >= GRP_PARTIES_MAX) {
            one.failed = true;
        }
        pub->members[i].index = (uint16_t)index;
        tdsa_stmt_read_exact(&one, pub->members[i].x25519, sizeof pub->members[i].x25519);
        tdsa_stmt_read_exact(&one, pub->members[i].x448, sizeof pub->members[i].x448);
        if (one.failed || tdsa_reader_left(&one) > 0) {
            r->failed = true;
        }
    }
    if (list.failed || tdsa_reader_left(&list) > 0 || !mpc_members_valid(pub->members, pub->n)) {
        r->failed = true;
    }
}

static tdsa_status read_points(tdsa_reader *r, mpc_key *k, tdsa_err *err)
{
    tdsa_reader list;
    tdsa_status st = mpc_get_point(r, k->g, &k->pub.y, err);

    if (st != TDSA_OK) {
        return st;
    }
    list = tdsa_stmt_read_list(r);
    for (uint16_t i = 0; i < k->pub.n && st == TDSA_OK; i++) {
        st = mpc_get_point(&list, k->g, &k->pub.x[k->pub.members[i].index], err);
    }
    if (st == TDSA_OK) {
        st = tdsa_reader_finish(&list, "key record: verification shares", err);
    }
    return st;
}

static tdsa_status read_public(mpc_key *k, const uint8_t *in, size_t len, tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(in, len);
    size_t policy_len = 0;
    const uint8_t *policy = NULL;
    tdsa_status st = read_head(&r, k, err);

    if (st != TDSA_OK) {
        return st;
    }
    read_members(&r, &k->pub);
    policy = tdsa_stmt_read_octets(&r, &policy_len, POLICY_RECORD_MAX);
    tdsa_stmt_read_exact(&r, k->pub.cluster_id, sizeof k->pub.cluster_id);
    tdsa_stmt_read_exact(&r, k->pub.cc, sizeof k->pub.cc);
    tdsa_stmt_read_exact(&r, k->pub.stored, sizeof k->pub.stored);
    if (policy == NULL || r.failed) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "key record: malformed near byte %zu", r.pos);
    }
    st = mpc_policy_decode(&k->pub.policy, policy, policy_len, err);
    if (st != TDSA_OK) {
        return st;
    }
    st = read_points(&r, k, err);
    if (st != TDSA_OK) {
        return st;
    }
    return tdsa_reader_finish(&r, "key record", err);
}

/* ---- secret half ---- */

tdsa_status mpc_key_encode_secret(tdsa_secret **out, const mpc_key *k, tdsa_err *err)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    size_t list = 0;
    tdsa_status st;

    *out = NULL;
    if (k->sec == NULL) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "key %s: its secret half is not loaded",
                         k->pub.key_id);
    }
    tdsa_stmt_begin(&b, "key-secret");
    tdsa_stmt_octets(&b, k->pub.cluster_id, sizeof k->pub.cluster_id);
    tdsa_stmt_uint(&b, k->pub.me);
    mpc_put_scalar(&b, k->g, &k->sec->share);
    list = tdsa_stmt_list_begin(&b);
    for (size_t i = 0; i < k->sec->set_count; i++) {
        tdsa_stmt_octets(&b, k->sec->sets[i].key, sizeof k->sec->sets[i].key);
    }
    tdsa_stmt_list_end(&b, list);
    list = tdsa_stmt_list_begin(&b);
    for (size_t i = 0; i < k->pub.n; i++) {
        const uint16_t other = k->pub.members[i].index;

        if (other != k->pub.me) {
            tdsa_stmt_octets(&b, k->sec->pairs[other], sizeof k->sec->pairs[other]);
        }
    }
    tdsa_stmt_list_end(&b, list);
    st = tdsa_buf_check(&b, err);
    if (st != TDSA_OK) {
        return st;
    }
    return tdsa_secret_copy(out, b.data, b.len, err);
}

static void read_randomness_keys(tdsa_reader *r, mpc_key *k)
{
    grp_set sets[GRP_MY_SETS_MAX];
    tdsa_reader list = tdsa_stmt_read_list(r);

    k->sec->set_count = mpc_key_sets_with(sets, &k->pub, k->pub.me);
    for (size_t i = 0; i < k->sec->set_count; i++) {
        k->sec->sets[i].set = sets[i];
        tdsa_stmt_read_exact(&list, k->sec->sets[i].key, sizeof k->sec->sets[i].key);
    }
    if (list.failed || tdsa_reader_left(&list) > 0) {
        r->failed = true;
    }
    list = tdsa_stmt_read_list(r);
    for (size_t i = 0; i < k->pub.n; i++) {
        const uint16_t other = k->pub.members[i].index;

        if (other != k->pub.me) {
            tdsa_stmt_read_exact(&list, k->sec->pairs[other], sizeof k->sec->pairs[other]);
        }
    }
    if (list.failed || tdsa_reader_left(&list) > 0) {
        r->failed = true;
    }
}

/* Tag, epoch, participant and share: what both forms begin with. */
static tdsa_status read_share(mpc_key *k, tdsa_reader *r, const char *tag, tdsa_err *err)
{
    uint8_t cluster[sizeof k->pub.cluster_id];
    uint64_t me = 0;

    tdsa_stmt_expect(r, tag);
    tdsa_stmt_read_exact(r, cluster, sizeof cluster);
    me = tdsa_stmt_read_uint(r);
    if (r->failed || me != k->pub.me ||
        !tdsa_ct_equal(cluster, k->pub.cluster_id, sizeof cluster)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "key %s: the secret half belongs to another key",
                         k->pub.key_id);
    }
    return mpc_get_scalar(r, k->g, &k->sec->share, err);
}

static tdsa_status check_share(const mpc_key *k, tdsa_err *err)
{
    grp_point share_point;
    tdsa_status st = grp_mul_base(k->g, &share_point, &k->sec->share, err);

    if (st != TDSA_OK) {
        return st;
    }
    tdsa_declassify(&share_point, sizeof share_point); /* X_j is public */
    if (!grp_point_equal(k->g, &share_point, &k->pub.x[k->pub.me])) {
        return TDSA_FAIL(err, TDSA_E_CRYPTO, "key %s: the share does not belong to its public half",
                         k->pub.key_id);
    }
    return TDSA_OK;
}

static tdsa_status read_secret(mpc_key *k, const tdsa_secret *secret, tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(tdsa_secret_view(secret), tdsa_secret_len(secret));
    tdsa_status st = read_share(k, &r, "key-secret", err);

    if (st != TDSA_OK) {
        return st;
    }
    read_randomness_keys(&r, k);
    st = tdsa_reader_finish(&r, "secret half of a key", err);
    return st == TDSA_OK ? check_share(k, err) : st;
}

tdsa_status mpc_key_encode_share(tdsa_secret **out, const mpc_key *k, tdsa_err *err)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    tdsa_status st;

    *out = NULL;
    if (k->sec == NULL) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "key %s: its secret half is not loaded",
                         k->pub.key_id);
    }
    tdsa_stmt_begin(&b, "key-share");
    tdsa_stmt_octets(&b, k->pub.cluster_id, sizeof k->pub.cluster_id);
    tdsa_stmt_uint(&b, k->pub.me);
    mpc_put_scalar(&b, k->g, &k->sec->share);
    st = tdsa_buf_check(&b, err);
    return st == TDSA_OK ? tdsa_secret_copy(out, b.data, b.len, err) : st;
}

tdsa_status mpc_key_decode_share(mpc_key **out, const grp *g, const uint8_t *pub, size_t pub_len,
                                 const tdsa_secret *share, tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(tdsa_secret_view(share), tdsa_secret_len(share));
    mpc_key *k = NULL;
    tdsa_status st = mpc_key_alloc(&k, g, true, err);

    *out = NULL;
    if (st == TDSA_OK) {
        st = read_public(k, pub, pub_len, err);
    }
    if (st == TDSA_OK && !mpc_key_is_member(&k->pub, k->pub.me)) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "key %s: participant %u is no member of it",
                       k->pub.key_id, k->pub.me);
    }
    if (st == TDSA_OK) {
        st = read_share(k, &r, "key-share", err);
    }
    if (st == TDSA_OK) {
        st = tdsa_reader_finish(&r, "share of a key", err);
    }
    if (st == TDSA_OK) {
        st = check_share(k, err);
    }
    if (st != TDSA_OK) {
        mpc_key_free(k);
        return st;
    }
    *out = k;
    return TDSA_OK;
}

tdsa_status mpc_key_decode(mpc_key **out, const grp *g, const uint8_t *pub, size_t pub_len,
                           const tdsa_secret *secret, tdsa_err *err)
{
    mpc_key *k = NULL;
    tdsa_status st;

    *out = NULL;
    st = mpc_key_alloc(&k, g, secret != NULL, err);
    if (st == TDSA_OK) {
        st = read_public(k, pub, pub_len, err);
    }
    if (st == TDSA_OK && secret != NULL && !mpc_key_is_member(&k->pub, k->pub.me)) {
        st = TDSA_FAIL(err, TDSA_E_BAD_INPUT, "key %s: participant %u is no member of it",
                       k->pub.key_id, k->pub.me);
    }
    if (st == TDSA_OK && secret != NULL) {
        st = read_secret(k, secret, err);
    }
    if (st != TDSA_OK) {
        mpc_key_free(k);
        return st;
    }
    *out = k;
    return TDSA_OK;
}
