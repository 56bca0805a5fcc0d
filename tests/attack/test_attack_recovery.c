#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/statement.h"
#include "protocol/recovery_internal.h"
#include "support/recovery_kit.h"
#include "support/rsa_maker.h"

/* Recovery infos that lie: about what they are of, and about what their ciphertexts hold. */

#define REPS MPC_RECOVERY_REPETITIONS

enum { LIAR = 1 };

static recovery_kit kit;
static protocol_run run; /* secp256k1, (3,1) */
static tdsa_buf bytes[3];
static mpc_recovery_info infos[3];
static tdsa_err err;

/* The weak verifier: when set, this is the challenge, whatever the ciphertexts are. */
static const uint8_t *fixed_challenge;

/* NOLINTBEGIN: the names are the linker's */
tdsa_status __real_recovery_challenge(uint8_t out[RECOVERY_CHALLENGE_LEN], const recovery_first *f,
                                      tdsa_err *e);
tdsa_status __wrap_recovery_challenge(uint8_t out[RECOVERY_CHALLENGE_LEN], const recovery_first *f,
                                      tdsa_err *e);
/* NOLINTEND */

tdsa_status __wrap_recovery_challenge(uint8_t out[RECOVERY_CHALLENGE_LEN], const recovery_first *f,
                                      tdsa_err *e)
{
    if (fixed_challenge != NULL) {
        memcpy(out, fixed_challenge, RECOVERY_CHALLENGE_LEN);
        return TDSA_OK;
    }
    return __real_recovery_challenge(out, f, e);
}

static void make_run(protocol_run *r, const char *seed, const char *key_id)
{
    run_init(r, GRP_SECP256K1, 3, 1, seed);
    r->policy.reshare = true;
    assert_int_equal(run_keygen(r, key_id), 3);
}

static void make_info(tdsa_buf *b, mpc_recovery_info *info, protocol_run *r, uint16_t i,
                      const char *aux)
{
    recovery_kit_make(b, r, i, kit.cert, aux);
    assert_int_equal(mpc_recovery_decode(info, r->g, b->data, b->len, &err), TDSA_OK);
}

static int set_up(void **state)
{
    (void)state;
    recovery_kit_open(&kit);
    make_run(&run, "hostile recovery", "HostileRecoveryKey");
    for (uint16_t i = 0; i < 3; i++) {
        make_info(&bytes[i], &infos[i], &run, i, "vault 7");
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (uint16_t i = 0; i < 3; i++) {
        tdsa_buf_clear(&bytes[i]);
    }
    run_clear(&run);
    recovery_kit_close(&kit);
    return 0;
}

/* The package with the liar's info replaced; whoever looks refuses it and names the liar. */
static void refused_by_name(const mpc_recovery_info *lie)
{
    const mpc_recovery_info package[3] = {infos[0], *lie, infos[2]};

    assert_int_equal(mpc_recovery_verify_package_vartime(package, 3, run.g, kit.cert, &err),
                     TDSA_E_PROTOCOL);
    assert_int_equal(err.participant, LIAR);
}

/* ---- every field ---- */

/* Flips one bit of b and offers it: the bytes are no info any more, or they prove nothing. */
static void flip(tdsa_buf *b, size_t at)
{
    mpc_recovery_info info;

    b->data[at] ^= 1u;
    if (mpc_recovery_decode(&info, run.g, b->data, b->len, &err) == TDSA_OK) {
        assert_int_not_equal(mpc_recovery_verify_vartime(&info, run.g, kit.cert, &err), TDSA_OK);
        assert_int_equal(err.participant, info.index);
    }
    b->data[at] ^= 1u;
}

/* First, middle and last byte of each item between from and to, and its type and length. */
static size_t flip_items(tdsa_buf *b, size_t from, size_t to)
{
    size_t count = 0;

    while (from < to) {
        const uint8_t *p = b->data + from;
        const size_t len = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];

        flip(b, from);
        flip(b, from + 4);
        if (len > 0) {
            flip(b, from + 5);
            flip(b, from + 5 + len / 2);
            flip(b, from + 4 + len);
        }
        from += 5 + len;
        count++;
    }
    assert_int_equal(from, to);
    return count;
}

static void row_28_every_field_of_an_info_is_bound(void **state)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    const size_t context = (size_t)(infos[LIAR].context_bytes - bytes[LIAR].data);

    (void)state;
    tdsa_buf_append(&b, bytes[LIAR].data, bytes[LIAR].len);
    assert_int_equal(flip_items(&b, 0, b.len), 8);
    assert_int_equal(flip_items(&b, context, context + infos[LIAR].context_len), 17);
    for (size_t i = 0; i < REPS; i += 9) { /* halves and ciphertexts all along the proof */
        flip(&b, (size_t)(infos[LIAR].opened - bytes[LIAR].data) + i * 64 + 31);
        flip(&b, (size_t)(infos[LIAR].opened - bytes[LIAR].data) + i * 64 + 63);
        flip(&b, (size_t)(infos[LIAR].kept - bytes[LIAR].data) + i * 256 + 255);
    }
    assert_memory_equal(b.data, bytes[LIAR].data, b.len);
}

/* ---- another's info in its place ---- */

static void row_28_an_info_of_something_else_is_refused_by_name(void **state)
{
    const run_reshare_spec refresh = {
        .dealers = {0, 1, 2}, .dealer_count = 3, .members = {0, 1, 2}, .n = 3, .t = 1};
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    mpc_recovery_info lie;
    protocol_run other;

    (void)state;
    make_run(&other, "another key", "HostileRecoveryKey"); /* of the same name */
    make_info(&b, &lie, &other, LIAR, "vault 7");
    refused_by_name(&lie);
    run_clear(&other);
    tdsa_buf_reset(&b);
    make_info(&b, &lie, &run, LIAR, "vault 8"); /* other auxiliary data */
    refused_by_name(&lie);
    tdsa_buf_reset(&b);
    make_run(&other, "hostile recovery", "HostileRecoveryKey");
    assert_int_equal(run_reshare(&other, &refresh), 3); /* the same key, the next epoch */
    make_info(&b, &lie, &other, LIAR, "vault 7");
    assert_true(grp_point_equal(run.g, &lie.context.y, &infos[0].context.y));
    refused_by_name(&lie);
    run_clear(&other);
    lie = infos[2]; /* another participant's, twice */
    lie.index = LIAR;
    refused_by_name(&lie);
}

static void row_28_an_info_under_another_certificate_is_refused(void **state)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    mpc_recovery_info lie;
    tdsa_rsa_cert *cert = NULL;
    rsa_pair pair;

    (void)state;
    rsa_make_fit(&pair, 2048);
    assert_int_equal(tdsa_rsa_cert_new(&cert, pair.der.data, pair.der.len, &err), TDSA_OK);
    recovery_kit_make(&b, &run, LIAR, cert, "vault 7");
    assert_int_equal(mpc_recovery_decode(&lie, run.g, b.data, b.len, &err), TDSA_OK);
    assert_int_equal(mpc_recovery_verify_vartime(&lie, run.g, kit.cert, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(err.participant, LIAR);
    memcpy(lie.certificate, infos[0].certificate, sizeof lie.certificate); /* so it says */
    refused_by_name(&lie);
    tdsa_rsa_cert_free(cert);
    rsa_pair_clear(&pair);
}

/* ---- a prover that does not encrypt its share ---- */

/* What a liar holds. It knows neither its share nor anybody's. */
typedef struct {
    uint8_t guess[RECOVERY_CHALLENGE_LEN]; /* the halves that it expects to open */
    size_t lies;                           /* in so many repetitions the other half is nothing */
    tdsa_test_rng *rng;
    uint8_t label[MPC_RECOVERY_LABEL_LEN];
    uint8_t cc_sealed[256];
    grp_scalar half[REPS][2];
    uint8_t seed[REPS][2][32];
    tdsa_buf first, opened, kept;
} liar;

static void seal(const liar *l, const grp_scalar *value, const uint8_t *seed, uint8_t *out)
{
    uint8_t v[32];
    const tdsa_oaep p = {l->label, sizeof l->label, v, sizeof v, seed};

    grp_scalar_encode(run.g, v, value);
    assert_int_equal(tdsa_rsa_encrypt(out, kit.cert, &p, &err), TDSA_OK);
}

/* One repetition: a half that opens, and one that is right or nothing. */
static void lie_once(liar *l, size_t i, const grp_scalar *share)
{
    const tdsa_rng rng = tdsa_test_rng_of(l->rng);
    const unsigned b = recovery_bit(l->guess, i);
    uint8_t *to = tdsa_buf_extend(&l->first, 33 + 2 * 256);
    grp_scalar *half = l->half[i];
    grp_scalar minus;
    grp_point a;

    assert_int_equal(tdsa_rng_fill(&rng, l->seed[i][0], sizeof l->seed[i], &err), TDSA_OK);
    assert_int_equal(grp_scalar_random(run.g, &half[b], &rng, &err), TDSA_OK);
    grp_scalar_sub(run.g, &half[1 - b], share, &half[b]);
    if (b == 0) {
        assert_int_equal(grp_mul_base(run.g, &a, &half[0], &err), TDSA_OK);
    } else { /* X_j - sG, as the verifier will have it */
        grp_scalar_neg(run.g, &minus, &half[1]);
        assert_int_equal(
            grp_mul_base_add_vartime(run.g, &a, &minus, &run.key[0]->pub.x[LIAR], &err), TDSA_OK);
    }
    if (i < l->lies) {
        assert_int_equal(grp_scalar_random(run.g, &half[1 - b], &rng, &err), TDSA_OK);
    }
    grp_point_encode(run.g, to, &a);
    seal(l, &half[0], l->seed[i][0], to + 33);
    seal(l, &half[1], l->seed[i][1], to + 33 + 256);
}

/* Opens the halves that a challenge picks. */
static void open_halves(liar *l, mpc_recovery_info *out, const uint8_t *challenge)
{
    tdsa_buf_reset(&l->opened);
    tdsa_buf_reset(&l->kept);
    for (size_t i = 0; i < REPS; i++) {
        const unsigned b = recovery_bit(challenge, i);
        uint8_t v[32];

        grp_scalar_encode(run.g, v, &l->half[i][b]);
        tdsa_buf_append(&l->opened, v, sizeof v);
        tdsa_buf_append(&l->opened, l->seed[i][b], sizeof l->seed[i][b]);
        tdsa_buf_append(&l->kept, l->first.data + i * 545 + 33 + (1 - b) * 256, 256);
    }
    out->challenge = challenge;
    out->opened = l->opened.data;
    out->kept = l->kept.data;
}

/* An info of the liar; valid when the challenge is what it guessed. The honest halves need the share,
 * which a liar that lies everywhere does not have. */
static void lie_all(liar *l, mpc_recovery_info *out, size_t lies)
{
    const recovery_subject subject = recovery_subject_of(&infos[LIAR]);
    const tdsa_rng rng = tdsa_test_rng_of(l->rng);
    grp_scalar share = run.key[LIAR]->sec->share;

    *out = infos[LIAR];
    l->lies = lies;
    tdsa_buf_reset(&l->first);
    if (lies == REPS) {
        grp_scalar_set_u64(run.g, &share, 1);
    }
    assert_int_equal(tdsa_rng_fill(&rng, l->guess, sizeof l->guess, &err), TDSA_OK);
    assert_int_equal(recovery_label(l->label, &subject, RECOVERY_SHARE, &err), TDSA_OK);
    memcpy(l->cc_sealed, infos[LIAR].cc_sealed, sizeof l->cc_sealed);
    for (size_t i = 0; i < REPS; i++) {
        lie_once(l, i, &share);
    }
    open_halves(l, out, l->guess);
}

static void liar_clear(liar *l)
{
    tdsa_buf_clear(&l->first);
    tdsa_buf_clear(&l->opened);
    tdsa_buf_clear(&l->kept);
}

static tdsa_status recover(const mpc_recovery_info *lie, mpc_recovery_verdict verdicts[2])
{
    const mpc_recovery_info from[2] = {*lie, infos[2]};
    const mpc_recovery_opener opener = mpc_recovery_opener_of(kit.key);
    const mpc_recovery_asked asked = {run.g, from, 2, NULL};
    mpc_recovered out;
    const tdsa_status st = mpc_recovery_recover(&out, verdicts, &asked, &opener, &err);

    mpc_recovered_clear(&out);
    return st;
}

static void row_28_a_liar_that_encrypts_nothing_has_no_proof(void **state)
{
    liar l = {.rng = &run.rng[LIAR]};
    mpc_recovery_info lie;

    (void)state;
    lie_all(&l, &lie, REPS);
    refused_by_name(&lie);
    assert_non_null(strstr(err.text, "the challenge is not that of the ciphertexts"));
    liar_clear(&l);
}

static void row_28_a_liar_that_knows_the_challenge_is_believed(void **state)
{
    liar l = {.rng = &run.rng[LIAR]};
    mpc_recovery_verdict verdicts[2];
    mpc_recovery_info lie;

    (void)state;
    lie_all(&l, &lie, REPS);
    fixed_challenge = l.guess;
    assert_int_equal(mpc_recovery_verify_vartime(&lie, run.g, kit.cert, &err), TDSA_OK);
    fixed_challenge = NULL;
    assert_int_equal(recover(&lie, verdicts), TDSA_E_LIMIT); /* and nothing is recovered */
    assert_false(verdicts[0].good);
    assert_true(verdicts[1].good);
    liar_clear(&l);
}

/* A liar in two repetitions that opens what the challenge asks for: it passes when the challenge does not
 * ask for the two halves that are nothing. Then the other 126 still hold the share. */
static void row_28_a_lie_passes_half_of_the_time_each_and_costs_nothing(void **state)
{
    enum { TRIES = 64, LIES = 2 };
    liar l = {.rng = &run.rng[LIAR]};
    mpc_recovery_verdict verdicts[2];
    unsigned passed = 0;

    (void)state;
    for (unsigned i = 0; i < TRIES; i++) {
        uint8_t challenge[RECOVERY_CHALLENGE_LEN];
        mpc_recovery_info lie;

        lie_all(&l, &lie, LIES);
        const recovery_first f = {l.label, l.cc_sealed, 256, l.first.data, l.first.len};
        assert_int_equal(__real_recovery_challenge(challenge, &f, &err), TDSA_OK);
        open_halves(&l, &lie, challenge);
        if (mpc_recovery_verify_vartime(&lie, run.g, kit.cert, &err) != TDSA_OK) {
            assert_int_equal(err.participant, LIAR);
            continue;
        }
        if (passed++ == 0) {
            assert_int_equal(recover(&lie, verdicts), TDSA_OK);
            assert_true(verdicts[0].good);
        }
    }
    assert_in_range(passed, 6, 30); /* 16 are expected; 2^-128 when all repetitions lie */
    liar_clear(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(row_28_every_field_of_an_info_is_bound),
        cmocka_unit_test(row_28_an_info_of_something_else_is_refused_by_name),
        cmocka_unit_test(row_28_an_info_under_another_certificate_is_refused),
        cmocka_unit_test(row_28_a_liar_that_encrypts_nothing_has_no_proof),
        cmocka_unit_test(row_28_a_liar_that_knows_the_challenge_is_believed),
        cmocka_unit_test(row_28_a_lie_passes_half_of_the_time_each_and_costs_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
