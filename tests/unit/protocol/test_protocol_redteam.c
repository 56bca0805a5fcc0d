#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/statement.h"
#include "protocol/keygen_internal.h"
#include "protocol/presign_internal.h"
#include "support/protocol_tamper.h"

/*
 * Known failures of threshold signing (docs/protocol.md, "Known failures"), by their row: each is
 * tried here and must not succeed.
 */

#define KEY_ID "RedteamKey000000000000000000"

enum { R_COMMIT = 1, R_DEAL = 2 };
enum { REPLY_T = 10 + 13 + 5 }; /* T in a reply */

static void make_batch(protocol_run *r, grp_curve curve, uint16_t n, uint16_t t,
                       const mpc_policy *policy)
{
    run_init(r, curve, n, t, "redteam");
    if (policy != NULL) {
        r->policy = *policy;
    }
    assert_int_equal(run_keygen(r, KEY_ID), n);
    assert_int_equal(run_presign(r, 1, 1), r->committee_count);
}

static tdsa_status context_of(const protocol_run *r, uint16_t i, const mpc_request *q,
                              mpc_context *ctx)
{
    TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;
    tdsa_err err;

    mpc_request_encode(&bytes, q);
    return mpc_context_new(ctx, r->key[i], r->batch[i], q, bytes.data, bytes.len, &err);
}

static void answer(const protocol_run *r, uint16_t i, const mpc_request *q, tdsa_buf *out)
{
    mpc_context ctx;
    tdsa_err err;

    assert_int_equal(context_of(r, i, q, &ctx), TDSA_OK);
    assert_int_equal(mpc_sign_reply(out, r->key[i], r->batch[i], q, &ctx, &err), TDSA_OK);
}

/* Row 1: more signers than 2t+1, shown different digests, gave a forgery. */
static void row_1_only_the_stored_committee_of_2t_plus_1_answers(void **state)
{
    static const uint8_t digest[32] = {1};
    protocol_run r;
    mpc_request q;
    mpc_context ctx;
    mpc_presign_cfg cfg;

    (void)state;
    make_batch(&r, GRP_P256, 5, 1, NULL);
    q = run_request(&r, 0, digest, sizeof digest);
    assert_int_equal(context_of(&r, 0, &q, &ctx), TDSA_OK);
    q.committee_count = 5; /* 2t+2 cannot even be written: committees are odd */
    q.committee[3] = 3;
    q.committee[4] = 4;
    assert_int_equal(context_of(&r, 0, &q, &ctx), TDSA_E_CONFLICT);
    q.committee_count = 3;
    q.committee[2] = 4; /* a member that did not presign */
    assert_int_equal(context_of(&r, 0, &q, &ctx), TDSA_E_CONFLICT);
    cfg = run_presign_cfg(&r, 0, 1, 2);
    assert_true(mpc_committee_valid(r.key[0], cfg.committee, 3));
    cfg.committee[3] = 3;
    assert_false(mpc_committee_valid(r.key[0], cfg.committee, 4));
    assert_false(mpc_committee_valid(r.key[0], cfg.committee, 2));
    run_clear(&r);
}

/* Rows 2 and 8: member 1 is shown another request; the combiner pretends that all was equal. */
static void splits_to_noise(protocol_run *r, const mpc_request *q, const mpc_request *other)
{
    mpc_combine *c = NULL;
    mpc_context ctx;
    mpc_signature sig;
    tdsa_err err;

    assert_int_equal(context_of(r, 0, q, &ctx), TDSA_OK);
    assert_int_equal(mpc_combine_new(&c, r->key[0], r->batch[0], &ctx, &err), TDSA_OK);
    for (uint16_t i = 0; i < 3; i++) {
        TDSA_SCOPED_BUF reply = TDSA_BUF_EMPTY;

        answer(r, i, i == 1 ? other : q, &reply);
        if (i == 1) { /* the honest check sees it, this combiner does not */
            assert_int_equal(mpc_combine_take(c, i, reply.data, reply.len, &err), TDSA_E_PROTOCOL);
            memcpy(reply.data + REPLY_T, ctx.transcript, sizeof ctx.transcript);
        }
        assert_int_equal(mpc_combine_take(c, i, reply.data, reply.len, &err), TDSA_OK);
    }
    assert_int_equal(mpc_combine_finish(c, &sig, &err), TDSA_E_VERIFY);
    mpc_combine_free(c);
}

static void row_2_members_that_see_different_requests_give_noise(void **state)
{
    uint8_t digest[48] = {1};
    uint8_t other_digest[48] = {2};
    mpc_policy policy = run_policy();
    protocol_run r;
    mpc_request q;
    mpc_request other;

    (void)state;
    policy.derivation = MPC_DERIVE_BIP32;
    make_batch(&r, GRP_SECP256K1, 3, 1, &policy);
    q = run_request(&r, 0, digest, 32);
    q.path_len = 2;
    q.path[0] = 44;
    other = q;
    other.payload = other_digest;
    splits_to_noise(&r, &q, &other);
    other = q;
    other.low_s = true; /* the same digest and key, another option */
    splits_to_noise(&r, &q, &other);
    other = q;
    other.digest_alg = TDSA_HASH_SHA384; /* the same h, another name for it */
    other.payload = digest;
    other.payload_len = 48;
    splits_to_noise(&r, &q, &other);
    run_clear(&r);
}

static void row_8_a_split_path_gives_noise_and_another_nonce(void **state)
{
    static const uint8_t digest[32] = {1};
    mpc_policy policy = run_policy();
    protocol_run r;
    mpc_request q;
    mpc_request other;
    mpc_context a;
    mpc_context b;

    (void)state;
    policy.derivation = MPC_DERIVE_BIP32;
    make_batch(&r, GRP_P256, 3, 1, &policy);
    q = run_request(&r, 2, digest, sizeof digest);
    q.path_len = 1;
    other = q;
    other.path[0] = 1;
    splits_to_noise(&r, &q, &other);
    assert_int_equal(context_of(&r, 0, &q, &a), TDSA_OK);
    assert_int_equal(context_of(&r, 0, &other, &b), TDSA_OK);
    assert_false(grp_scalar_equal(r.g, &a.r, &b.r)); /* r is not known before the request */
    assert_false(grp_point_equal(r.g, &a.y_final, &b.y_final));
    run_clear(&r);
}

static void pad_of(const protocol_run *r, uint16_t j, const uint8_t t[64], grp_scalar *out)
{
    uint8_t pair[GRP_PARTIES_MAX][32];
    tdsa_err err;

    for (size_t i = 0; i < r->committee_count; i++) {
        memcpy(pair[i], r->key[j]->sec->pairs[r->committee[i]], 32);
    }
    assert_int_equal(grp_pad(r->g, out,
                             &(grp_pad_cfg){.committee = r->committee,
                                            .committee_count = r->committee_count,
                                            .me = j,
                                            .pair_keys = (const uint8_t(*)[32])pair,
                                            .word = "mu",
                                            .transcript = t},
                             &err),
                     TDSA_OK);
}

/* Row 3: the masks vanish over the whole committee and over no part of it. */
static void row_3_masks_vanish_over_the_whole_committee_only(void **state)
{
    static const uint8_t t[64] = {7};
    protocol_run r;
    grp_scalar lambda[GRP_PARTIES_MAX];

    (void)state;
    make_batch(&r, GRP_P256, 5, 2, NULL);
    grp_lagrange(r.g, lambda, r.committee, r.committee_count);
    for (unsigned part = 1; part < 1u << 5; part++) {
        grp_scalar sum;
        grp_scalar pad;

        grp_scalar_set_u64(r.g, &sum, 0);
        for (uint16_t j = 0; j < 5; j++) {
            if ((part >> j & 1u) != 0) {
                pad_of(&r, j, t, &pad);
                grp_scalar_mul(r.g, &pad, &pad, &lambda[j]);
                grp_scalar_add(r.g, &sum, &sum, &pad);
            }
        }
        assert_true(grp_scalar_is_zero(r.g, &sum) == (part == 31));
    }
    run_clear(&r);
}

/* Row 4: degenerate values are refused by every member before it answers. */
static void row_4_a_zero_digest_is_refused_by_every_member(void **state)
{
    static const uint8_t zero[32] = {0};
    protocol_run r;
    mpc_request q;
    mpc_context ctx;

    (void)state;
    make_batch(&r, GRP_SECP256K1, 3, 1, NULL);
    q = run_request(&r, 0, zero, sizeof zero);
    for (uint16_t i = 0; i < 3; i++) {
        assert_int_equal(context_of(&r, i, &q, &ctx), TDSA_E_BAD_INPUT);
    }
    run_clear(&r);
}

/* Row 9: R comes from the own record, so a member with another R answers another transcript. */
static void row_9_each_member_signs_with_its_own_r(void **state)
{
    static const uint8_t digest[32] = {9};
    protocol_run r;
    mpc_request q;
    mpc_context mine;
    mpc_context theirs;
    mpc_combine *c = NULL;
    mpc_signature sig;
    tdsa_err err;

    (void)state;
    make_batch(&r, GRP_P256, 3, 1, NULL);
    q = run_request(&r, 0, digest, sizeof digest);
    memcpy(r.batch[1]->r_list, r.batch[1]->r_list + 65, 65); /* R of index 1 in place of 0 */
    assert_int_equal(context_of(&r, 0, &q, &mine), TDSA_OK);
    assert_int_equal(context_of(&r, 1, &q, &theirs), TDSA_OK);
    assert_memory_not_equal(mine.transcript, theirs.transcript, sizeof mine.transcript);
    assert_int_equal(mpc_combine_new(&c, r.key[0], r.batch[0], &mine, &err), TDSA_OK);
    for (uint16_t i = 0; i < 3; i++) {
        TDSA_SCOPED_BUF reply = TDSA_BUF_EMPTY;

        answer(&r, i, &q, &reply);
        memcpy(reply.data + REPLY_T, mine.transcript, sizeof mine.transcript);
        assert_int_equal(mpc_combine_take(c, i, reply.data, reply.len, &err), TDSA_OK);
    }
    assert_int_equal(mpc_combine_finish(c, &sig, &err), TDSA_E_VERIFY);
    mpc_combine_free(c);
    run_clear(&r);
}

/* Row 10: values modulo q come from 128 bits more than q has. */
static void row_10_values_modulo_q_are_wide(void **state)
{
    (void)state;
    for (int curve = GRP_P256; curve <= GRP_SECP256K1; curve++) {
        grp *g = NULL;
        tdsa_err err;

        assert_int_equal(grp_open(&g, (grp_curve)curve, &err), TDSA_OK);
        assert_int_equal(grp_get_info(g)->wide_len, (grp_get_info(g)->order_bits + 128 + 7) / 8);
        grp_close(g);
    }
}

/* Row 11, the batch half: one member is shown another R_j on the polynomial of a liar. With 2t+1
 * members the honest points fix it, so only lists of members with different labels could differ. */
static void row_11_lists_are_compared_before_a_batch_is_free(void **state)
{
    protocol_run r;
    tamper t = {
        .step = STEP_PRESIGN, .round = 2, .from = 2, .to = ANYBODY, .from_end = true, .offset = 64};

    (void)state;
    run_init(&r, GRP_P256, 3, 1, "redteam");
    assert_int_equal(run_keygen(&r, KEY_ID), 3);
    r.hook = tamper_hook;
    r.hook_ctx = &t;
    assert_int_equal(run_presign(&r, 1, 1), 1); /* the liar alone ends with a batch */
    assert_null(r.batch[0]);
    assert_null(r.batch[1]);
    run_clear(&r);
}

/* ---- rows 14 and 15: what a dealer can do with another's opening ---- */

typedef struct {
    protocol_run *r;
    bool own_name; /* puts its own index into the copied opening */
} copier;

/* Dealer 1 commits to and opens what dealer 2 does. */
static void copy_hook(void *ctx, run_step step, unsigned round, uint16_t from, uint16_t to,
                      tdsa_buf *m)
{
    const copier *c = ctx;
    mpc_keygen *mine = c->r->keygen[1];
    const mpc_keygen *victim = c->r->keygen[2];
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    tdsa_err err;

    (void)to;
    if (step != STEP_KEYGEN || from != 1 || round != R_COMMIT) {
        return;
    }
    tdsa_buf_reset(&mine->open[1]);
    tdsa_buf_append(&mine->open[1], victim->open[2].data, victim->open[2].len);
    if (c->own_name) {
        mine->open[1].data[9 + 5 + 32 + 5 + 7] = 1;
    }
    tdsa_stmt_begin(&b, "com");
    tdsa_buf_append(&b, mine->open[1].data + 9, mine->open[1].len - 9);
    assert_int_equal(tdsa_hash_stmt(mine->com[1], &b, &err), TDSA_OK);
    memcpy(m->data + m->len - 64, mine->com[1], 64);
}

static void copy_fails(bool own_name, const char *text)
{
    protocol_run r;
    copier c = {.r = &r, .own_name = own_name};

    run_init(&r, GRP_P256, 3, 1, "redteam");
    r.hook = copy_hook;
    r.hook_ctx = &c;
    assert_int_equal(run_keygen(&r, KEY_ID), 0);
    for (uint16_t i = 0; i < 3; i += 2) {
        assert_int_equal(r.status[i], TDSA_E_PROTOCOL);
        assert_int_equal(r.err[i].participant, 1);
        assert_non_null(strstr(r.err[i].text, text));
    }
    run_clear(&r);
}

static void row_14_a_proof_holds_for_its_maker_only(void **state)
{
    (void)state;
    copy_fails(true, "proof of possession");
}

static void row_15_a_copied_commitment_cannot_be_opened(void **state)
{
    (void)state;
    copy_fails(false, "malformed"); /* the index inside is another's */
}

/* Row 14: the challenge covers sid, so a proof of one run is none in another. */
static void row_14_a_proof_holds_in_its_run_only(void **state)
{
    protocol_run old;
    protocol_run r;
    tamper t = {.step = STEP_KEYGEN, .round = R_DEAL, .from = 1, .to = 0};

    (void)state;
    run_init(&old, GRP_P256, 3, 1, "old run");
    old.hook = record_hook;
    old.hook_ctx = &t;
    assert_int_equal(run_keygen(&old, KEY_ID), 3);
    run_init(&r, GRP_P256, 3, 1, "new run");
    t.kind = TAMPER_REPLACE;
    r.hook = tamper_hook;
    r.hook_ctx = &t;
    assert_int_equal(run_keygen(&r, KEY_ID), 0);
    assert_int_equal(r.err[0].participant, 1);
    tdsa_buf_clear(&t.bytes);
    run_clear(&old);
    run_clear(&r);
}

/* Row 16: evaluation ids follow from the configured index; none is 0, none comes twice. */
static void row_16_indices_come_from_the_configuration(void **state)
{
    protocol_run r;
    mpc_member members[3];
    mpc_keygen_cfg cfg;
    mpc_keygen *run = NULL;
    tdsa_err err;

    (void)state;
    run_init(&r, GRP_P256, 3, 1, "redteam");
    cfg = run_keygen_cfg(&r, 0, KEY_ID);
    memcpy(members, r.members, sizeof members);
    cfg.members = members;
    members[2].index = 1;
    assert_int_equal(mpc_keygen_new(&run, &cfg, &err), TDSA_E_BAD_INPUT);
    members[2].index = UINT16_MAX; /* index + 1 would be id 0 */
    assert_int_equal(mpc_keygen_new(&run, &cfg, &err), TDSA_E_BAD_INPUT);
    assert_null(run);
    run_clear(&r);
}

/* Row 17: an opening with t+2 commitments, well formed and committed to, is too long. */
static void row_17_an_over_long_vector_is_refused(void **state)
{
    protocol_run r;
    protocol_run wide;
    tamper t = {.step = STEP_KEYGEN, .round = R_DEAL, .from = 1, .to = 0};

    (void)state;
    run_init(&wide, GRP_P256, 5, 2, "redteam");
    wide.hook = record_hook;
    wide.hook_ctx = &t;
    assert_int_equal(run_keygen(&wide, KEY_ID), 5);
    run_init(&r, GRP_P256, 5, 1, "redteam");
    t.kind = TAMPER_REPLACE; /* degree 2 in a run of degree 1 */
    r.hook = tamper_hook;
    r.hook_ctx = &t;
    assert_int_equal(run_keygen(&r, KEY_ID), 0);
    assert_int_equal(r.err[0].participant, 1);
    assert_non_null(strstr(r.err[0].text, "wrong length"));
    tdsa_buf_clear(&t.bytes);
    run_clear(&wide);
    run_clear(&r);
}

/* Row 18: no door takes a point that is not on the curve. */
static void row_18_a_point_off_the_curve_is_refused(void **state)
{
    protocol_run r;
    tamper t = {
        .step = STEP_PRESIGN, .round = 1, .from = 1, .to = 0, .from_end = true, .offset = 1};

    (void)state;
    run_init(&r, GRP_SECP256K1, 3, 1, "redteam");
    assert_int_equal(run_keygen(&r, KEY_ID), 3);
    r.compressed_wire = false;
    r.hook = tamper_hook;
    r.hook_ctx = &t;
    assert_int_equal(run_presign(&r, 1, 1), 0);
    assert_int_equal(r.err[0].participant, 1);
    run_clear(&r);
}

/* Row 27: the recovery id is the one of the final s. */
static void row_27_the_recovery_id_recovers_the_key(void **state)
{
    uint8_t digest[32] = {3};
    protocol_run r;

    (void)state;
    make_batch(&r, GRP_SECP256K1, 3, 1, NULL);
    for (uint8_t i = 0; i < 6; i++) {
        grp_scalar u1;
        grp_scalar u2;
        grp_scalar inverse;
        grp_point v;
        grp_point y;
        uint8_t bytes[33];
        mpc_request q;
        mpc_signature sig;
        grp_scalar sig_r;
        grp_scalar sig_s;
        mpc_context ctx;
        tdsa_err err;

        digest[1] = i;
        q = run_request(&r, i % 3, digest, sizeof digest);
        q.low_s = i < 3;
        assert_int_equal(run_sign(&r, &q, &sig, &ctx, &err), TDSA_OK);
        assert_true(sig.recovery_id < 4);
        bytes[0] = (uint8_t)(2 + (sig.recovery_id & 1)); /* x < q but with probability 2^-128 */
        run_ecdsa_split(r.g, &sig_r, &sig_s, &sig);
        memcpy(bytes + 1, sig.bytes, 32);
        assert_int_equal(grp_point_decode(r.g, &v, bytes, sizeof bytes, &err), TDSA_OK);
        grp_scalar_inv(r.g, &inverse, &sig_r); /* Y = (s*V - h*G) / r */
        grp_scalar_mul(r.g, &u2, &inverse, &sig_s);
        grp_scalar_mul(r.g, &u1, &inverse, &ctx.h);
        grp_scalar_neg(r.g, &u1, &u1);
        assert_int_equal(grp_mul_add_vartime(r.g, &y, &u1, &u2, &v, &err), TDSA_OK);
        assert_true(grp_point_equal(r.g, &y, &ctx.y_final));
    }
    run_clear(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(row_1_only_the_stored_committee_of_2t_plus_1_answers),
        cmocka_unit_test(row_2_members_that_see_different_requests_give_noise),
        cmocka_unit_test(row_3_masks_vanish_over_the_whole_committee_only),
        cmocka_unit_test(row_4_a_zero_digest_is_refused_by_every_member),
        cmocka_unit_test(row_8_a_split_path_gives_noise_and_another_nonce),
        cmocka_unit_test(row_9_each_member_signs_with_its_own_r),
        cmocka_unit_test(row_10_values_modulo_q_are_wide),
        cmocka_unit_test(row_11_lists_are_compared_before_a_batch_is_free),
        cmocka_unit_test(row_14_a_proof_holds_for_its_maker_only),
        cmocka_unit_test(row_14_a_proof_holds_in_its_run_only),
        cmocka_unit_test(row_15_a_copied_commitment_cannot_be_opened),
        cmocka_unit_test(row_16_indices_come_from_the_configuration),
        cmocka_unit_test(row_17_an_over_long_vector_is_refused),
        cmocka_unit_test(row_18_a_point_off_the_curve_is_refused),
        cmocka_unit_test(row_27_the_recovery_id_recovers_the_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
