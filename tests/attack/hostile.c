#include "attack/hostile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/statement.h"
#include "protocol/fields.h"
#include "protocol/presign_internal.h"

#define KEY_ID "HostileKey000000000000000000"

static void must(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "hostile: %s\n", what);
        abort();
    }
}

/* ---- scalars and points ---- */

grp_scalar sc_u64(const grp *g, uint64_t v)
{
    grp_scalar out;

    grp_scalar_set_u64(g, &out, v);
    return out;
}

grp_scalar sc_add(const grp *g, grp_scalar a, grp_scalar b)
{
    grp_scalar_add(g, &a, &a, &b);
    return a;
}

grp_scalar sc_sub(const grp *g, grp_scalar a, grp_scalar b)
{
    grp_scalar_sub(g, &a, &a, &b);
    return a;
}

grp_scalar sc_mul(const grp *g, grp_scalar a, grp_scalar b)
{
    grp_scalar_mul(g, &a, &a, &b);
    return a;
}

grp_scalar sc_div(const grp *g, grp_scalar a, grp_scalar b)
{
    grp_scalar_inv_vartime(g, &b, &b);
    return sc_mul(g, a, b);
}

grp_scalar sc_neg(const grp *g, grp_scalar a)
{
    grp_scalar_neg(g, &a, &a);
    return a;
}

bool sc_equal(const grp *g, grp_scalar a, grp_scalar b)
{
    return grp_scalar_equal(g, &a, &b);
}

grp_scalar sc_pick(const grp *g, const char *word, uint64_t counter)
{
    TDSA_SCOPED_BUF field = TDSA_BUF_EMPTY;
    grp_scalar out;
    tdsa_err err;

    tdsa_stmt_text(&field, word);
    tdsa_stmt_uint(&field, counter);
    must(grp_hash_to_scalar(g, &out, "hostile", field.data, field.len, &err) == TDSA_OK, "pick");
    return out;
}

grp_point pt_base(const grp *g, grp_scalar a)
{
    grp_point out;
    tdsa_err err;

    must(grp_mul_base(g, &out, &a, &err) == TDSA_OK, "base multiplication");
    return out;
}

grp_point pt_mul(const grp *g, grp_scalar a, grp_point p)
{
    grp_point out;
    tdsa_err err;

    must(grp_mul_vartime(g, &out, &a, &p, &err) == TDSA_OK, "multiplication");
    return out;
}

grp_point pt_add(const grp *g, grp_point a, grp_point b)
{
    tdsa_err err;

    must(grp_point_add_vartime(g, &a, &a, &b, &err) == TDSA_OK, "addition");
    return a;
}

grp_point pt_sub(const grp *g, grp_point a, grp_point b)
{
    grp_point_neg(g, &b, &b);
    return pt_add(g, a, b);
}

/* ---- clusters ---- */

mpc_policy hostile_policy_bip32(void)
{
    mpc_policy p = run_policy();

    p.derivation = MPC_DERIVE_BIP32;
    return p;
}

void hostile_cluster(protocol_run *r, grp_curve curve, uint16_t n, uint16_t t, uint16_t first,
                     const mpc_policy *policy)
{
    run_init(r, curve, n, t, "attack");
    if (policy != NULL) {
        r->policy = *policy;
    }
    for (uint16_t i = 0; i < r->committee_count; i++) {
        r->committee[i] = (uint16_t)(first + i);
    }
    must(run_keygen(r, KEY_ID) == n, "key generation");
    must(run_presign(r, 1, 1) == r->committee_count, "presignatures");
}

void honest_run_still_signs(protocol_run *r, uint64_t seq)
{
    uint8_t digest[32] = {0x5a};
    mpc_request q;
    mpc_signature sig;
    mpc_context ctx;
    tdsa_err err;

    r->hook = NULL;
    assert_int_equal(run_presign(r, 1, seq), r->committee_count);
    q = run_request(r, 0, digest, sizeof digest);
    q.low_s = r->policy.low_s;
    q.path_len = r->policy.derivation == MPC_DERIVE_BIP32 ? 1 : 0;
    assert_int_equal(run_sign(r, &q, &sig, &ctx, &err), TDSA_OK);
    if (r->policy.purpose == MPC_PURPOSE_MESSAGE) {
        assert_int_equal(tdsa_hash(digest, TDSA_HASH_SHA256, digest, sizeof digest, &err), TDSA_OK);
    }
    assert_true(run_openssl_verifies(r->g, &ctx.y_final, digest, sizeof digest, &sig));
}

/* ---- asking ---- */

void hostile_values(const protocol_run *r, const tdsa_buf *reply, hostile_answer *a)
{
    tdsa_reader in = tdsa_reader_of(reply->data, reply->len);
    const bool ecdsa = r->scheme == MPC_SCHEME_ECDSA;
    uint16_t committee[GRP_PARTIES_MAX];
    uint8_t transcript[64];
    tdsa_reader values;
    tdsa_err err;

    tdsa_stmt_expect(&in, "reply");
    (void)tdsa_stmt_read_uint(&in);
    tdsa_stmt_read_exact(&in, transcript, sizeof transcript);
    (void)tdsa_stmt_read_uint_list(&in, committee, GRP_PARTIES_MAX);
    values = tdsa_stmt_read_list(&in);
    must(mpc_get_scalar(&values, r->g, ecdsa ? &a->mu : &a->z, &err) == TDSA_OK, "first value");
    must(!ecdsa || mpc_get_scalar(&values, r->g, &a->nu, &err) == TDSA_OK, "second value");
}

tdsa_status hostile_ask(const protocol_run *r, uint16_t who, const mpc_request *q,
                        hostile_answer *out, tdsa_err *err)
{
    TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;
    mpc_request seen;
    tdsa_status st;

    memset(out, 0, sizeof *out);
    mpc_request_encode(&bytes, q);
    st = mpc_request_decode(&seen, bytes.data, bytes.len, err);
    if (st == TDSA_OK) {
        st = mpc_context_new(&out->ctx, r->key[who], r->batch[who], &seen, bytes.data, bytes.len,
                             err);
    }
    if (st == TDSA_OK) {
        st = mpc_sign_reply(&out->bytes, r->key[who], r->batch[who], &seen, &out->ctx, err);
    }
    if (st == TDSA_OK) {
        hostile_values(r, &out->bytes, out);
        out->y = sc_add(r->g, out->ctx.h, sc_mul(r->g, out->ctx.r, out->ctx.epsilon));
    }
    return st;
}

void hostile_answer_clear(hostile_answer *a)
{
    tdsa_buf_clear(&a->bytes);
}

hostile_answer hostile_must_ask(const protocol_run *r, uint16_t who, const mpc_request *q)
{
    hostile_answer a;
    tdsa_err err;

    if (hostile_ask(r, who, q, &a, &err) != TDSA_OK) {
        fail_msg("participant %u refuses: %s", who, err.text);
    }
    hostile_answer_clear(&a);
    return a;
}

void hostile_reply(const protocol_run *r, uint16_t who, const mpc_context *ctx, grp_scalar mu,
                   grp_scalar nu, tdsa_buf *out)
{
    size_t list = 0;

    tdsa_stmt_begin(out, "reply");
    tdsa_stmt_uint(out, who);
    tdsa_stmt_octets(out, ctx->transcript, sizeof ctx->transcript);
    tdsa_stmt_uint_list(out, r->committee, r->committee_count);
    list = tdsa_stmt_list_begin(out);
    mpc_put_scalar(out, r->g, &mu);
    mpc_put_scalar(out, r->g, &nu);
    tdsa_stmt_list_end(out, list);
}

/* ---- what the corrupt know ---- */

grp_scalar hostile_share(const protocol_run *r, uint16_t who, const char *name, uint32_t index)
{
    grp_prss *stream = NULL;
    grp_scalar out;
    tdsa_err err;

    must(presign_stream(&stream, r->key[who], r->committee, r->committee_count, name,
                        r->batch[who]->beta, &err) == TDSA_OK,
         "stream");
    must(grp_prss_shares(stream, &out, index, 1, &err) == TDSA_OK, "share");
    grp_prss_free(stream);
    return out;
}

grp_scalar hostile_pad(const protocol_run *r, uint16_t who, const char *word, const uint8_t t[64])
{
    uint8_t pair[GRP_PARTIES_MAX][32];
    grp_scalar out;
    tdsa_err err;

    for (size_t i = 0; i < r->committee_count; i++) {
        memcpy(pair[i], r->key[who]->sec->pairs[r->committee[i]], 32);
    }
    must(grp_pad(r->g, &out,
                 &(grp_pad_cfg){.committee = r->committee,
                                .committee_count = r->committee_count,
                                .me = who,
                                .pair_keys = (const uint8_t(*)[32])pair,
                                .word = word,
                                .transcript = t},
                 &err) == TDSA_OK,
         "pad");
    return out;
}

grp_point hostile_r(const protocol_run *r, uint16_t who, uint32_t index)
{
    const size_t len = grp_get_info(r->g)->point_raw_len;
    grp_point out;
    tdsa_err err;

    must(grp_point_decode(r->g, &out, r->batch[who]->r_list + index * len, len, &err) == TDSA_OK,
         "R");
    return out;
}

/* ---- the judge ---- */

/* The polynomial through values at the ids of `members`, at `id`. */
static grp_scalar interpolate_at(const grp *g, const grp_scalar *v, const uint16_t *members,
                                 size_t count, uint64_t id)
{
    const grp_scalar at = sc_u64(g, id);
    grp_scalar sum = sc_u64(g, 0);

    for (size_t i = 0; i < count; i++) {
        const grp_scalar mine = sc_u64(g, members[i] + 1u);
        grp_scalar term = v[i];

        for (size_t k = 0; k < count; k++) {
            const grp_scalar theirs = sc_u64(g, members[k] + 1u);

            if (k != i) {
                term = sc_mul(g, term, sc_div(g, sc_sub(g, at, theirs), sc_sub(g, mine, theirs)));
            }
        }
        sum = sc_add(g, sum, term);
    }
    return sum;
}

grp_scalar judge_key(const protocol_run *r)
{
    static const uint16_t members[GRP_THRESHOLD_MAX + 1] = {0, 1, 2, 3, 4};
    grp_scalar v[GRP_THRESHOLD_MAX + 1];
    grp_scalar x;
    grp_point y;

    for (uint16_t i = 0; i <= r->t; i++) {
        v[i] = r->key[i]->sec->share;
    }
    x = interpolate_at(r->g, v, members, r->t + 1u, 0);
    y = pt_base(r->g, x);
    must(grp_point_equal(r->g, &y, &r->key[0]->pub.y), "the judge knows the key");
    return x;
}

grp_scalar judge_value_at(const protocol_run *r, const char *name, uint32_t index, uint64_t id)
{
    grp_scalar v[GRP_THRESHOLD_MAX + 1];

    for (uint16_t i = 0; i <= r->t; i++) {
        v[i] = hostile_share(r, r->committee[i], name, index);
    }
    return interpolate_at(r->g, v, r->committee, r->t + 1u, id);
}

bool judge_verifies(const protocol_run *r, grp_point y, grp_scalar h, grp_scalar big_r,
                    grp_scalar s)
{
    return grp_ecdsa_verify_vartime(r->g, &y, &h, &big_r, &s);
}

void assert_refused(const protocol_run *r, uint16_t who, uint16_t culprit)
{
    if (r->status[who] != TDSA_E_PROTOCOL) {
        fail_msg("participant %u ends with %s", who, tdsa_status_name(r->status[who]));
    }
    if (r->err[who].participant != TDSA_NOBODY && r->err[who].participant != culprit) {
        fail_msg("participant %u blames %d, not %u: %s", who, r->err[who].participant, culprit,
                 r->err[who].text);
    }
}
