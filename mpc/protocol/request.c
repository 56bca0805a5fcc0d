#include <string.h>

#include "base/assert.h"
#include "base/statement.h"
#include "protocol/key_internal.h"
#include "protocol/sign.h"

#define WORD_MAX 16u

static void put_options(tdsa_buf *out, const mpc_request *q)
{
    const size_t list = tdsa_stmt_list_begin(out);

    switch (q->scheme) {
    case MPC_SCHEME_ECDSA:
        tdsa_stmt_uint(out, q->low_s ? 1 : 0);
        break;
    case MPC_SCHEME_EDDSA:
        break;
    case MPC_SCHEME_BIP340:
        tdsa_stmt_uint(out, q->taproot ? 1 : 0);
        if (q->has_merkle_root) {
            tdsa_stmt_octets(out, q->merkle_root, sizeof q->merkle_root);
        } else {
            tdsa_stmt_absent(out);
        }
        break;
    }
    tdsa_stmt_list_end(out, list);
}

void mpc_request_encode(tdsa_buf *out, const mpc_request *q)
{
    size_t list = 0;

    tdsa_stmt_begin(out, "request");
    tdsa_stmt_uint(out, MPC_VERSION);
    tdsa_stmt_text(out, q->key_id);
    tdsa_stmt_uint(out, q->epoch);
    list = tdsa_stmt_list_begin(out);
    tdsa_stmt_octets(out, q->beta, sizeof q->beta);
    tdsa_stmt_uint(out, q->index);
    tdsa_stmt_list_end(out, list);
    tdsa_stmt_uint_list(out, q->committee, q->committee_count);
    tdsa_stmt_text(out, mpc_scheme_name(q->scheme));
    tdsa_stmt_text(out, tdsa_hash_name(q->digest_alg));
    tdsa_stmt_octets(out, q->payload, q->payload_len);
    list = tdsa_stmt_list_begin(out);
    for (uint16_t i = 0; i < q->path_len; i++) {
        tdsa_stmt_uint(out, q->path[i]);
    }
    tdsa_stmt_list_end(out, list);
    put_options(out, q);
    tdsa_stmt_octets(out, q->policy_tag, sizeof q->policy_tag);
}

static uint32_t read_u32(tdsa_reader *r)
{
    const uint64_t v = tdsa_stmt_read_uint(r);

    if (v > UINT32_MAX) {
        r->failed = true;
        return 0;
    }
    return (uint32_t)v;
}

static tdsa_status read_presig_id(tdsa_reader *r, mpc_request *q, tdsa_err *err)
{
    tdsa_reader id = tdsa_stmt_read_list(r);

    tdsa_stmt_read_exact(&id, q->beta, sizeof q->beta);
    q->index = read_u32(&id);
    return tdsa_reader_finish(&id, "request: presignature id", err);
}

static tdsa_status read_committee(tdsa_reader *r, mpc_request *q, tdsa_err *err)
{
    q->committee_count = (uint16_t)tdsa_stmt_read_uint_list(r, q->committee, GRP_PARTIES_MAX);
    if (r->failed || q->committee_count < 3 || q->committee_count % 2 == 0) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "request: a committee has 2t+1 members");
    }
    for (uint16_t i = 0; i < q->committee_count; i++) {
        if (q->committee[i] >= GRP_PARTIES_MAX ||
            (i > 0 && q->committee[i] <= q->committee[i - 1])) {
            return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "request: the committee does not ascend");
        }
    }
    return TDSA_OK;
}

static tdsa_status read_words(tdsa_reader *r, mpc_request *q, tdsa_err *err)
{
    char scheme[WORD_MAX];
    char digest[WORD_MAX];

    tdsa_stmt_read_text(r, scheme, sizeof scheme);
    tdsa_stmt_read_text(r, digest, sizeof digest);
    if (r->failed || !mpc_scheme_by_name(&q->scheme, scheme)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "request: unknown scheme");
    }
    if (!mpc_digest_by_name(&q->digest_alg, digest)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "request: unknown digest algorithm");
    }
    if ((q->digest_alg == TDSA_HASH_NONE) != (q->scheme != MPC_SCHEME_ECDSA)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "request: scheme %s does not go with digest %s",
                         scheme, digest);
    }
    return TDSA_OK;
}

static tdsa_status read_path(tdsa_reader *r, mpc_request *q, tdsa_err *err)
{
    tdsa_reader list = tdsa_stmt_read_list(r);

    while (tdsa_reader_left(&list) > 0 && q->path_len < MPC_PATH_MAX) {
        q->path[q->path_len] = read_u32(&list);
        q->path_len++;
    }
    return tdsa_reader_finish(&list, "request: path", err);
}

static bool read_flag(tdsa_reader *r)
{
    const uint64_t v = tdsa_stmt_read_uint(r);

    if (v > 1) {
        r->failed = true;
    }
    return v == 1;
}

static tdsa_status read_options(tdsa_reader *r, mpc_request *q, tdsa_err *err)
{
    tdsa_reader list = tdsa_stmt_read_list(r);

    switch (q->scheme) {
    case MPC_SCHEME_ECDSA:
        q->low_s = read_flag(&list);
        break;
    case MPC_SCHEME_EDDSA:
        break;
    case MPC_SCHEME_BIP340:
        q->taproot = read_flag(&list);
        q->has_merkle_root = !tdsa_stmt_read_absent(&list);
        if (q->has_merkle_root) {
            tdsa_stmt_read_exact(&list, q->merkle_root, sizeof q->merkle_root);
        }
        if (q->has_merkle_root && !q->taproot) {
            list.failed = true; /* a root changes nothing without the tweak */
        }
        break;
    }
    if (list.failed || tdsa_reader_left(&list) > 0) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "request: unknown options for scheme %s",
                         mpc_scheme_name(q->scheme));
    }
    return TDSA_OK;
}

static tdsa_status read_request(tdsa_reader *r, mpc_request *q, tdsa_err *err)
{
    tdsa_status st;

    tdsa_stmt_expect(r, "request");
    if (tdsa_stmt_read_uint(r) != MPC_VERSION) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "request: not one of version %u", MPC_VERSION);
    }
    tdsa_stmt_read_text(r, q->key_id, sizeof q->key_id);
    q->epoch = read_u32(r);
    if (r->failed || !mpc_key_id_valid(q->key_id)) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "request: no key id and epoch");
    }
    st = read_presig_id(r, q, err);
    if (st == TDSA_OK) {
        st = read_committee(r, q, err);
    }
    if (st == TDSA_OK) {
        st = read_words(r, q, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    q->payload = tdsa_stmt_read_octets(r, &q->payload_len, MPC_MESSAGE_MAX);
    if (q->payload == NULL) {
        return TDSA_FAIL(err, TDSA_E_BAD_INPUT, "request: no payload of at most %u bytes",
                         MPC_MESSAGE_MAX);
    }
    st = read_path(r, q, err);
    if (st == TDSA_OK) {
        st = read_options(r, q, err);
    }
    if (st != TDSA_OK) {
        return st;
    }
    tdsa_stmt_read_exact(r, q->policy_tag, sizeof q->policy_tag);
    return tdsa_reader_finish(r, "request", err);
}

tdsa_status mpc_request_decode(mpc_request *out, const uint8_t *in, size_t len, tdsa_err *err)
{
    tdsa_reader r = tdsa_reader_of(in, len);
    mpc_request q = {.scheme = MPC_SCHEME_ECDSA, .digest_alg = TDSA_HASH_SHA256};
    const tdsa_status st = read_request(&r, &q, err);

    memset(out, 0, sizeof *out);
    if (st == TDSA_OK) {
        *out = q;
    }
    return st;
}

tdsa_status mpc_request_for_key(mpc_request *q, const mpc_key *key, tdsa_err *err)
{
    memcpy(q->key_id, key->pub.key_id, sizeof q->key_id);
    q->epoch = key->pub.epoch;
    q->scheme = key->pub.scheme;
    return mpc_policy_tag(q->policy_tag, &key->pub.policy, err);
}
