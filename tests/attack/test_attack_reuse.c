#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "attack/hostile.h"
#include "attack/weak.h"

/*
 * Rows 5 and 24: a presignature, a label or a random stream is used twice, by a member that was
 * rolled back, cloned or forked. What happens to the marks on disk is tested by the keystore, the
 * simulator and the kill tests; here they have failed already, and the masks must hold.
 */

enum { INDEX = 1 };

/* ---- one honest member answers again ---- */

/* Participant 1 (id 2) answers `count` requests on one presignature. */
static void ask_again(const protocol_run *r, hostile_answer *a, size_t count)
{
    uint8_t digest[32] = {0};

    for (size_t i = 0; i < count; i++) {
        mpc_request q = run_request(r, INDEX, digest, sizeof digest);

        digest[0] = (uint8_t)(1 + i);
        q.path_len = 1;
        q.path[0] = (uint32_t)(10 + i);
        a[i] = hostile_must_ask(r, 1, &q);
    }
}

/* With x_2 and the corrupt x_1: x = 2*x_1 - x_2. */
static bool is_key(const protocol_run *r, grp_scalar x2)
{
    const grp *g = r->g;
    const grp_scalar x1 = r->key[0]->sec->share;

    return sc_equal(g, judge_key(r), sc_sub(g, sc_add(g, x1, x1), x2));
}

/* Two answers whose masks cancel. */
static bool two_answers_give_the_key(const protocol_run *r, const hostile_answer *a)
{
    const grp *g = r->g;
    const grp_scalar a2 =
        sc_div(g, sc_sub(g, a[0].mu, a[1].mu), sc_sub(g, a[0].ctx.delta, a[1].ctx.delta));
    grp_scalar x2 = sc_div(g, sc_sub(g, a[0].nu, a[1].nu), a2);

    x2 = sc_sub(g, x2, sc_sub(g, a[0].y, a[1].y));
    x2 = sc_div(g, x2, sc_sub(g, a[0].ctx.r, a[1].ctx.r));
    return is_key(r, x2);
}

/* Three answers under masks b + tau*f: the combination that cancels both. */
static bool three_answers_give_the_key(const protocol_run *r, const hostile_answer *a)
{
    const grp *g = r->g;
    grp_scalar tau[3];
    grp_scalar mu = sc_u64(g, 0);
    grp_scalar nu = mu;
    grp_scalar delta = mu;
    grp_scalar y = mu;
    grp_scalar rr = mu;
    grp_scalar a2;

    for (size_t i = 0; i < 3; i++) {
        grp_scalar_reduce(g, &tau[i], a[i].ctx.transcript, 64);
    }
    for (size_t i = 0; i < 3; i++) {
        const grp_scalar c = sc_sub(g, tau[(i + 1) % 3], tau[(i + 2) % 3]);

        mu = sc_add(g, mu, sc_mul(g, c, a[i].mu));
        nu = sc_add(g, nu, sc_mul(g, c, a[i].nu));
        delta = sc_add(g, delta, sc_mul(g, c, a[i].ctx.delta));
        y = sc_add(g, y, sc_mul(g, c, a[i].y));
        rr = sc_add(g, rr, sc_mul(g, c, a[i].ctx.r));
    }
    a2 = sc_div(g, mu, delta);
    return is_key(r, sc_div(g, sc_sub(g, sc_div(g, nu, a2), y), rr));
}

static void row_5_a_member_that_answers_again_reveals_nothing(void **state)
{
    const mpc_policy policy = hostile_policy_bip32();
    protocol_run r;
    hostile_answer a[3];

    (void)state;
    weak_off();
    hostile_cluster(&r, GRP_P256, 3, 1, 0, &policy);
    ask_again(&r, a, 3);
    assert_false(two_answers_give_the_key(&r, a));
    assert_false(two_answers_give_the_key(&r, a + 1));
    assert_false(three_answers_give_the_key(&r, a));
    honest_run_still_signs(&r, 2);
    run_clear(&r);
}

static void row_5_without_masks_of_their_own_two_answers_give_the_key(void **state)
{
    const mpc_policy policy = hostile_policy_bip32();
    protocol_run r;
    hostile_answer a[3];

    (void)state;
    weak_off();
    hostile_cluster(&r, GRP_P256, 3, 1, 0, &policy);
    weak.what = WEAK_PADS_BY_KEY;
    ask_again(&r, a, 2);
    assert_true(two_answers_give_the_key(&r, a));
    weak.what = WEAK_PADS_LINEAR;
    ask_again(&r, a, 3);
    assert_false(two_answers_give_the_key(&r, a));
    assert_true(three_answers_give_the_key(&r, a));
    weak_off();
    run_clear(&r);
}

/* ---- a label that comes again ---- */

typedef struct {
    grp_scalar r, s;
    mpc_context ctx;
} signed_once;

static void sign_batch(protocol_run *r, uint64_t seq, uint8_t tag, signed_once *out)
{
    uint8_t digest[32] = {1, tag};
    mpc_request q;
    mpc_signature sig;
    tdsa_err err;

    assert_int_equal(run_presign(r, 1, seq), r->committee_count);
    q = run_request(r, INDEX, digest, sizeof digest);
    assert_int_equal(run_sign(r, &q, &sig, &out->ctx, &err), TDSA_OK);
    run_ecdsa_split(r->g, &out->r, &out->s, &sig);
}

/* Two signatures whose nonces are k + delta_1 and k + delta_2 give k, and k gives x. */
static bool equal_nonces_give_the_key(const protocol_run *r, const signed_once *a,
                                      const signed_once *b)
{
    const grp *g = r->g;
    const grp_scalar u = sc_sub(g, a->ctx.h, sc_mul(g, a->s, a->ctx.delta));
    const grp_scalar v = sc_sub(g, b->ctx.h, sc_mul(g, b->s, b->ctx.delta));
    const grp_scalar top = sc_sub(g, sc_mul(g, u, b->r), sc_mul(g, v, a->r));
    const grp_scalar under = sc_sub(g, sc_mul(g, a->s, b->r), sc_mul(g, b->s, a->r));
    const grp_scalar k = sc_div(g, top, under);
    const grp_scalar x =
        sc_div(g, sc_sub(g, sc_mul(g, a->s, sc_add(g, k, a->ctx.delta)), a->ctx.h), a->r);

    return sc_equal(g, x, judge_key(r));
}

/* All databases back to the same day: lane and seq come again, the random generators do not. */
static void row_5_a_cluster_put_back_repeats_no_nonce(void **state)
{
    protocol_run r;
    signed_once a;
    signed_once b;

    (void)state;
    weak_off();
    hostile_cluster(&r, GRP_P256, 3, 1, 0, NULL);
    sign_batch(&r, 2, 1, &a);
    sign_batch(&r, 2, 2, &b);
    assert_false(equal_nonces_give_the_key(&r, &a, &b));
    run_clear(&r);
}

static void row_5_generators_put_back_as_well_give_the_key(void **state)
{
    protocol_run r;
    signed_once a;
    signed_once b;
    tdsa_test_rng rng[GRP_PARTIES_MAX];

    (void)state;
    weak_off();
    hostile_cluster(&r, GRP_P256, 3, 1, 0, NULL);
    memcpy(rng, r.rng, sizeof rng);
    sign_batch(&r, 2, 1, &a);
    memcpy(r.rng, rng, sizeof rng);
    sign_batch(&r, 2, 2, &b);
    assert_true(equal_nonces_give_the_key(&r, &a, &b));
    run_clear(&r);
}

/* One honest generator that moves on is enough. */
static void row_5_one_fresh_generator_is_enough(void **state)
{
    protocol_run r;
    signed_once a;
    signed_once b;
    tdsa_test_rng rng[GRP_PARTIES_MAX];

    (void)state;
    weak_off();
    hostile_cluster(&r, GRP_P256, 3, 1, 0, NULL);
    memcpy(rng, r.rng, sizeof rng);
    sign_batch(&r, 2, 1, &a);
    memcpy(r.rng, rng, 2 * sizeof rng[0]); /* 0 and 1 are snapshots, 2 is not */
    sign_batch(&r, 2, 2, &b);
    assert_false(equal_nonces_give_the_key(&r, &a, &b));
    run_clear(&r);
}

/* ---- row 24: fork ---- */

/* The first message of a presignature run made in a child, which lives on as a copy of us. */
static void nonce_in_child(const mpc_presign_cfg *cfg, tdsa_buf *out)
{
    int ends[2];
    pid_t child = -1;
    uint8_t bytes[512];
    ssize_t got = 0;
    int status = 0;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        TDSA_SCOPED_BUF message = TDSA_BUF_EMPTY;
        mpc_presign *run = NULL;
        tdsa_err err;
        bool fine = mpc_presign_new(&run, cfg, &err) == TDSA_OK &&
                    mpc_presign_send(run, 1, &message, &err) == TDSA_OK &&
                    write(ends[1], message.data, message.len) == (ssize_t)message.len;
        _exit(fine ? 0 : 1);
    }
    (void)close(ends[1]);
    got = read(ends[0], bytes, sizeof bytes);
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0 && got > 0);
    tdsa_buf_append(out, bytes, (size_t)got);
}

/* Whether parent and child, both going on from one state, send the same nonce. */
static bool fork_repeats_the_nonce(const mpc_presign_cfg *cfg)
{
    TDSA_SCOPED_BUF ours = TDSA_BUF_EMPTY;
    TDSA_SCOPED_BUF theirs = TDSA_BUF_EMPTY;
    mpc_presign *run = NULL;
    tdsa_err err;

    nonce_in_child(cfg, &theirs);
    assert_int_equal(mpc_presign_new(&run, cfg, &err), TDSA_OK);
    assert_int_equal(mpc_presign_send(run, 1, &ours, &err), TDSA_OK);
    mpc_presign_free(run);
    assert_int_equal(ours.len, theirs.len);
    return memcmp(ours.data, theirs.data, ours.len) == 0;
}

static void row_24_a_forked_child_draws_other_nonces(void **state)
{
    protocol_run r;
    mpc_presign_cfg cfg;

    (void)state;
    weak_off();
    hostile_cluster(&r, GRP_P256, 3, 1, 0, NULL);
    cfg = run_presign_cfg(&r, 0, 1, 2);
    assert_true(fork_repeats_the_nonce(&cfg)); /* a generator with state is copied by fork */
    cfg.rng = tdsa_os_rng();
    assert_false(fork_repeats_the_nonce(&cfg));
    run_clear(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(row_5_a_member_that_answers_again_reveals_nothing),
        cmocka_unit_test(row_5_without_masks_of_their_own_two_answers_give_the_key),
        cmocka_unit_test(row_5_a_cluster_put_back_repeats_no_nonce),
        cmocka_unit_test(row_5_generators_put_back_as_well_give_the_key),
        cmocka_unit_test(row_5_one_fresh_generator_is_enough),
        cmocka_unit_test(row_24_a_forked_child_draws_other_nonces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
