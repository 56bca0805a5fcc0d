#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/statement.h"
#include "protocol/presign_internal.h"

tdsa_status presign_stream(grp_prss **out, const mpc_key *key, const uint16_t *committee,
                           size_t committee_count, const char *name, const uint8_t beta[32],
                           tdsa_err *err)
{
    const grp_prss_cfg cfg = {.keys = key->sec->sets,
                              .key_count = key->sec->set_count,
                              .committee = committee,
                              .committee_count = committee_count,
                              .me = key->pub.me,
                              .name = name,
                              .beta = beta};

    return grp_prss_new(out, key->g, &cfg, err);
}

/* Committee and R list of stored data into a fresh batch. */
static tdsa_status read_data(mpc_batch *b, const uint8_t *data, size_t len, tdsa_err *err)
{
    const size_t list_len = (size_t)b->count * mpc_scheme_points(b->key->pub.scheme) *
                            grp_get_info(b->key->g)->point_raw_len;
    tdsa_reader r = tdsa_reader_of(data, len);
    const uint8_t *list = NULL;
    size_t committee_count = 0;
    tdsa_status st;

    tdsa_stmt_expect(&r, "batch-data");
    committee_count = tdsa_stmt_read_uint_list(&r, b->committee, GRP_PARTIES_MAX);
    list = tdsa_stmt_read_item(&r, TDSA_ITEM_OCTETS, list_len);
    st = tdsa_reader_finish(&r, "batch data", err);
    if (st != TDSA_OK || list == NULL) {
        return st;
    }
    if (!mpc_committee_valid(b->key, b->committee, committee_count)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "batch data: not a committee of key %s",
                         b->key->pub.key_id);
    }
    b->r_list = malloc(list_len);
    if (b->r_list == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for a batch of %u", b->count);
    }
    memcpy(b->r_list, list, list_len);
    return TDSA_OK;
}

static tdsa_status open_streams(mpc_batch *b, tdsa_err *err)
{
    const size_t committee_count = 2u * b->key->pub.t + 1u;
    tdsa_status st = TDSA_OK;

    for (size_t i = 0; i < PRESIGN_STREAMS && st == TDSA_OK; i++) {
        const char *name = presign_stream_name(b->key->pub.scheme, i);

        st = presign_stream(&b->stream[i], b->key, b->committee, committee_count, name, b->beta,
                            err);
    }
    if (st == TDSA_OK && b->key->pub.policy.prepare) {
        st = presign_stream(&b->coin, b->key, b->committee, committee_count, "coin", b->beta, err);
    }
    return st;
}

static tdsa_status prepare_pads(mpc_batch *b, tdsa_err *err)
{
    uint8_t pair[GRP_PARTIES_MAX][32];
    const mpc_key *key = b->key;
    const grp_pad_cfg cfg = {.committee = b->committee,
                             .committee_count = 2u * key->pub.t + 1u,
                             .me = key->pub.me,
                             .pair_keys = (const uint8_t(*)[32])pair};
    tdsa_status st = TDSA_OK;

    for (size_t i = 0; i < cfg.committee_count; i++) {
        memcpy(pair[i], key->sec->pairs[b->committee[i]], sizeof pair[i]);
    }
    st = grp_pad_keys_new(&b->pads, key->g, &cfg, err);
    tdsa_wipe(pair, sizeof pair);
    return st;
}

/* The policy tag, and H('cc', cc): 32 bytes. */
static tdsa_status hash_facts(mpc_batch *b, tdsa_err *err)
{
    TDSA_SCOPED_BUF cc = TDSA_BUF_EMPTY;
    const tdsa_status st = mpc_policy_tag(b->policy_tag, &b->key->pub.policy, err);

    if (st != TDSA_OK) {
        return st;
    }
    tdsa_stmt_begin(&cc, "cc");
    tdsa_stmt_octets(&cc, b->key->pub.cc, sizeof b->key->pub.cc);
    return tdsa_hash32_stmt(b->cc_hash, &cc, err);
}

tdsa_status mpc_batch_new(mpc_batch **out, const mpc_key *key, const uint8_t beta[32],
                          uint32_t count, const uint8_t *data, size_t len, tdsa_err *err)
{
    mpc_batch *b = NULL;
    tdsa_status st;

    *out = NULL;
    if (count < 1 || count > MPC_PRESIGN_COUNT_MAX) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "a batch of %u presignatures, allowed are 1 to %u",
                         count, MPC_PRESIGN_COUNT_MAX);
    }
    b = calloc(1, sizeof *b);
    if (b == NULL) {
        return TDSA_FAIL(err, TDSA_E_NO_MEMORY, "no memory for a batch");
    }
    b->key = key;
    b->count = count;
    memcpy(b->beta, beta, sizeof b->beta);
    st = read_data(b, data, len, err);
    if (st == TDSA_OK) {
        grp_lagrange(key->g, b->lambda, b->committee, 2u * key->pub.t + 1u);
        st = hash_facts(b, err);
    }
    if (st == TDSA_OK && key->sec != NULL) {
        st = open_streams(b, err);
    }
    if (st == TDSA_OK && key->sec != NULL) {
        st = prepare_pads(b, err);
    }
    if (st != TDSA_OK) {
        mpc_batch_free(b);
        return st;
    }
    *out = b;
    return TDSA_OK;
}

void mpc_batch_free(mpc_batch *b)
{
    if (b == NULL) {
        return;
    }
    for (size_t i = 0; i < PRESIGN_STREAMS; i++) {
        grp_prss_free(b->stream[i]);
    }
    grp_pad_keys_free(b->pads);
    grp_prss_free(b->coin);
    free(b->r_list);
    free(b);
}

const uint8_t *mpc_batch_beta(const mpc_batch *b)
{
    return b->beta;
}

uint32_t mpc_batch_count(const mpc_batch *b)
{
    return b->count;
}

const uint16_t *mpc_batch_committee(const mpc_batch *b)
{
    return b->committee;
}

tdsa_status batch_points(grp_point out[PRESIGN_POINTS_MAX], const mpc_batch *b, uint32_t index,
                         tdsa_err *err)
{
    const size_t width = mpc_scheme_points(b->key->pub.scheme);
    const size_t point_len = grp_get_info(b->key->g)->point_raw_len;
    tdsa_status st = TDSA_OK;

    TDSA_ASSERT(index < b->count && width <= PRESIGN_POINTS_MAX);
    for (size_t i = 0; i < PRESIGN_POINTS_MAX; i++) {
        grp_point_set_identity(&out[i]);
    }
    for (size_t i = 0; i < width && st == TDSA_OK; i++) {
        const uint8_t *at = b->r_list + (index * width + i) * point_len;

        st = grp_point_decode(b->key->g, &out[i], at, point_len, err);
    }
    return st;
}
