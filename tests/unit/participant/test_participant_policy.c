#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/statement.h"
#include "participant/internal.h"
#include "sim/sim_internal.h"

/* The policy of a key is applied by every participant, whatever the coordinator thinks of it. */

#define N 3u

static const uint8_t digest[32] = {7};

static void new_key(sim *s, const mpc_policy *policy, char *key_id)
{
    const part_key_spec spec = {
        .curve = GRP_P256, .policy = *policy, .presignature_limit = PART_LIMIT_DEFAULT};
    part_result none;
    tdsa_err err;
    part *p = sim_part(s, 0);

    sim_must(s, sim_finish(s, 0, part_start_register(p, &spec, 0, key_id, &err), &none, &err),
             "register", &err);
    sim_must(s, sim_finish(s, 0, part_start_keygen(p, key_id, 0, &err), &none, &err), "keygen",
             &err);
    sim_must(s, sim_finish(s, 0, part_start_presign(p, key_id, 8, 0, &err), &none, &err), "presign",
             &err);
}

static tdsa_status sign(sim *s, const char *key_id, const uint32_t *path, uint16_t len,
                        tdsa_err *err)
{
    const part_sign_request req = {.key_id = key_id,
                                   .digest_alg = TDSA_HASH_SHA256,
                                   .payload = digest,
                                   .payload_len = sizeof digest,
                                   .path = path,
                                   .path_len = len};
    part_result result;

    return sim_finish(s, 0, part_start_sign(sim_part(s, 0), &req, 0, err), &result, err);
}

static uint64_t burned(sim *s, uint16_t index)
{
    part_stats stats;

    part_get_stats(sim_part(s, index), &stats);
    return stats.burned;
}

/* Participant 0 takes a presignature and asks one member only, past every check of its own. */
static tdsa_status ask_one(sim *s, const char *key_id, uint16_t member, const mpc_request *wish,
                           tdsa_err *err)
{
    TDSA_SCOPED_BUF body = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF bytes = TDSA_BUF_EMPTY;
    part *p = sim_part(s, 0);
    part_session *session = NULL;
    part_key *k = NULL;
    part_result result;
    part_op *op = NULL;
    mpc_request q;

    sim_must(s, part_key_hold(p, key_id, &k, err), "key", err);
    op = part_op_new(p, PART_OP_SIGN, key_id, 0, err);
    assert_non_null(op);
    op->key = k;
    op->state = OP_REPLIES;
    sim_must(s, part_signing_session(p, k, 7, &session, err), "session", err);
    sim_must(s, part_stock_take(p, k, &op->batch, &op->request.index, err), "stock", err);
    sim_must(s, mpc_request_for_key(&q, k->key, err), "request", err);
    q.index = op->request.index;
    memcpy(q.beta, mpc_batch_beta(op->batch->batch), sizeof q.beta);
    q.committee_count = N;
    memcpy(q.committee, mpc_batch_committee(op->batch->batch), N * sizeof q.committee[0]);
    q.digest_alg = wish->digest_alg;
    q.payload = digest;
    q.payload_len = tdsa_hash_len(wish->digest_alg);
    q.path_len = wish->path_len;
    memcpy(q.path, wish->path, sizeof q.path);
    q.low_s = wish->low_s;
    mpc_request_encode(&bytes, &q);
    tdsa_stmt_begin(&body, "sign-request");
    tdsa_stmt_uint(&body, k->lease_from);
    tdsa_stmt_uint(&body, k->lease_end);
    tdsa_stmt_octets(&body, bytes.data, bytes.len);
    const part_question question = {
        .session = session,
        .peer = member,
        .op = op->id,
        .for_op = op->id,
        .deadline_ms = op->deadline_ms,
        .ask = {.kind = PART_ASK_SIGN, .body = body.data, .body_len = body.len}};
    sim_must(s, part_put(p, &question, err), "question", err);
    return sim_finish(s, 0, op->id, &result, err);
}

static void every_participant_refuses_what_the_policy_forbids(void **state)
{
    static const struct {
        mpc_request wish;
        const char *word;
    } cases[] = {
        {{.digest_alg = TDSA_HASH_SHA256, .path = {44}, .path_len = 1}, "2 elements"},
        {{.digest_alg = TDSA_HASH_SHA256, .path = {45, 0}, .path_len = 2}, "prefix"},
        {{.digest_alg = TDSA_HASH_SHA256, .path = {44, 1, 2, 3}, .path_len = 4}, "at most 3"},
        {{.digest_alg = TDSA_HASH_SHA1, .path = {44, 0}, .path_len = 2}, "sha1"},
    };
    const sim_cfg cfg = {.seed = 31, .n = N, .t = 1, .delay_max_ms = 1};
    const uint32_t good[] = {44, 0, 7};
    mpc_policy policy = part_policy_default(GRP_P256, MPC_SCHEME_ECDSA);
    char key_id[KS_KEY_ID_MAX + 1];
    sim *s = sim_new(&cfg);
    tdsa_err err;

    (void)state;
    policy.derivation = MPC_DERIVE_BIP32;
    policy.min_path = 2;
    policy.min_path_xpub = 3;
    policy.max_path = 3;
    policy.prefix[0] = 44;
    policy.prefix_len = 1;
    new_key(s, &policy, key_id);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (uint16_t member = 1; member < N; member++) {
            const uint64_t before = burned(s, member);

            s->dishonest = 1u << 0;
            assert_int_equal(ask_one(s, key_id, member, &cases[i].wish, &err), TDSA_E_DENIED);
            assert_int_equal(err.participant, member);
            assert_non_null(strstr(err.text, cases[i].word));
            assert_int_equal(burned(s, member), before);
        }
        assert_int_equal(sign(s, key_id, cases[i].wish.path, cases[i].wish.path_len, &err),
                         cases[i].wish.digest_alg == TDSA_HASH_SHA256 ? TDSA_E_DENIED : TDSA_OK);
    }
    sim_must(s, sign(s, key_id, good, 3, &err), "sign", &err);
    sim_free(s);
}

static void the_rate_holds_at_every_participant(void **state)
{
    const sim_cfg cfg = {.seed = 32, .n = N, .t = 1, .delay_max_ms = 1};
    const mpc_request wish = {.digest_alg = TDSA_HASH_SHA256};
    mpc_policy policy = part_policy_default(GRP_P256, MPC_SCHEME_ECDSA);
    char key_id[KS_KEY_ID_MAX + 1];
    sim *s = sim_new(&cfg);
    tdsa_err err;

    (void)state;
    policy.rate = 3;
    new_key(s, &policy, key_id);
    for (unsigned i = 0; i < 3; i++) { /* one minute's worth at once */
        sim_must(s, sign(s, key_id, NULL, 0, &err), "sign", &err);
    }
    assert_int_equal(sign(s, key_id, NULL, 0, &err), TDSA_E_LIMIT);
    assert_true(part_is_rate_limited(&err));
    assert_int_equal(err.participant, TDSA_NOBODY);

    part_rates_free(sim_part(s, 0)); /* a coordinator that does not care */
    s->dishonest = 1u << 0;
    for (uint16_t member = 1; member < N; member++) {
        const uint64_t before = burned(s, member);

        assert_int_equal(ask_one(s, key_id, member, &wish, &err), TDSA_E_LIMIT);
        assert_true(part_is_rate_limited(&err));
        assert_int_equal(err.participant, member);
        assert_int_equal(burned(s, member), before);
    }
    part_rates_free(sim_part(s, 0));
    sim_idle(s, 20000); /* a third of a minute gives one of three */
    sim_must(s, sign(s, key_id, NULL, 0, &err), "sign", &err);
    assert_int_equal(sign(s, key_id, NULL, 0, &err), TDSA_E_LIMIT);
    sim_idle(s, 3600000); /* and an hour no more than a minute's worth */
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(sign(s, key_id, NULL, 0, &err), i < 3 ? TDSA_OK : TDSA_E_LIMIT);
    }
    sim_free(s);
}

/* A key's count does not depend on whether the key is in the cache. */
static void a_rate_outlives_the_cache_of_keys(void **state)
{
    const sim_cfg cfg = {.seed = 33, .n = N, .t = 1, .delay_max_ms = 1};
    mpc_policy policy = part_policy_default(GRP_P256, MPC_SCHEME_ECDSA);
    char key_id[KS_KEY_ID_MAX + 1];
    sim *s = sim_new(&cfg);
    tdsa_err err;

    (void)state;
    policy.rate = 1;
    new_key(s, &policy, key_id);
    sim_must(s, sign(s, key_id, NULL, 0, &err), "sign", &err);
    for (uint16_t i = 0; i < N; i++) {
        part_forget(sim_part(s, i));
    }
    assert_int_equal(sign(s, key_id, NULL, 0, &err), TDSA_E_LIMIT);
    sim_free(s);
}

static void full_buckets_make_room(void **state)
{
    const sim_cfg cfg = {.seed = 34, .n = N, .t = 1, .delay_max_ms = 1};
    mpc_key_public key = {.policy = {.rate = 2}};
    sim *s = sim_new(&cfg);
    part *p = sim_part(s, 0);
    tdsa_err err;

    (void)state;
    for (unsigned i = 0; i <= PART_BUCKETS_MAX; i++) {
        (void)snprintf(key.key_id, sizeof key.key_id, "key-%u", i);
        assert_int_equal(part_rate_take(p, &key, &err),
                         i < PART_BUCKETS_MAX ? TDSA_OK : TDSA_E_LIMIT);
    }
    sim_idle(s, 60000);
    assert_int_equal(part_rate_take(p, &key, &err), TDSA_OK);
    assert_int_equal(p->bucket_count, 1);
    key.policy.rate = 0;
    (void)snprintf(key.key_id, sizeof key.key_id, "free");
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(part_rate_take(p, &key, &err), TDSA_OK);
    }
    assert_int_equal(p->bucket_count, 1);
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_participant_refuses_what_the_policy_forbids),
        cmocka_unit_test(the_rate_holds_at_every_participant),
        cmocka_unit_test(a_rate_outlives_the_cache_of_keys),
        cmocka_unit_test(full_buckets_make_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
