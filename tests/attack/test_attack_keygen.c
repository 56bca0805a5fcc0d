#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "attack/hostile.h"
#include "base/hash.h"
#include "base/statement.h"
#include "protocol/fields.h"
#include "protocol/keygen_internal.h"
#include "support/protocol_tamper.h"

/*
 * Rows 11, 14, 15, 17, 21 and 26: a participant that deviates while the key is made. It runs our own
 * code with its state changed, so that every message is well formed and hashes to what it must.
 */

#define KEY_ID "HostileKey000000000000000000"

enum { R_RANDOM, R_COMMIT, R_DEAL, R_REPORT, R_STORED };
enum { LIAR = 1 };

/* Nobody honest has a key; who failed has no secret left and blames nobody honest, the others wait for
 * a message that does not come. */
static void assert_no_key(const protocol_run *r, uint16_t liar)
{
    static const mpc_key_secret none;

    for (uint16_t i = 0; i < r->n; i++) {
        if (i == liar) {
            continue;
        }
        assert_null(r->key[i]);
        if (r->status[i] == TDSA_OK) {
            assert_false(mpc_keygen_round_complete(r->keygen[i]));
        } else {
            assert_refused(r, i, liar);
            assert_memory_equal(r->keygen[i]->key->sec, &none, sizeof none);
        }
    }
}

/* The same participants try again, under the same key id, and all is well. */
static void assert_next_run_works(protocol_run *r)
{
    r->hook = NULL;
    assert_int_equal(run_keygen(r, KEY_ID), r->n);
    honest_run_still_signs(r, 1);
}

/* ---- row 11: a participant with two faces ---- */

typedef struct {
    protocol_run *r;
    mpc_keygen *face; /* what participant 2 is shown; the run's own is shown to the others */
    uint16_t shown_to;
    unsigned from_round;
    tdsa_test_rng rng;
} two_faces;

/* The second face follows the honest messages of every round on its own. */
static void face_takes(two_faces *f, unsigned round)
{
    for (uint16_t i = 0; i < f->r->n; i++) {
        TDSA_SCOPED_BUF m = TDSA_BUF_EMPTY;
        tdsa_err err;

        if (i != LIAR && mpc_keygen_round(f->r->keygen[i]) == round &&
            mpc_keygen_send(f->r->keygen[i], LIAR, &m, &err) == TDSA_OK &&
            mpc_keygen_round(f->face) == round && !mpc_keygen_has(f->face, i)) {
            (void)!mpc_keygen_take(f->face, i, m.data, m.len, &err);
        }
    }
}

static void face_hook(void *ctx, run_step step, unsigned round, uint16_t from, uint16_t to,
                      tdsa_buf *m)
{
    two_faces *f = ctx;
    tdsa_err err;

    if (step != STEP_KEYGEN || from != LIAR || to != f->shown_to || round < f->from_round) {
        return;
    }
    while (mpc_keygen_round(f->face) < round) {
        if (mpc_keygen_advance(f->face, &err) != TDSA_OK) {
            return;
        }
    }
    if (round == R_STORED) {
        mpc_keygen_mark_stored(f->face);
    }
    face_takes(f, round);
    tdsa_buf_reset(m);
    if (mpc_keygen_send(f->face, to, m, &err) != TDSA_OK) {
        tdsa_buf_reset(m);
    }
}

/* Both faces until `from_round` are the same participant; then the second has randomness of its own
 * and goes to participant `shown_to` alone. */
static void show_two_faces(protocol_run *r, uint16_t n, uint16_t t, unsigned from_round)
{
    two_faces f = {.r = r, .shown_to = (uint16_t)(n - 1), .from_round = from_round};
    mpc_keygen_cfg cfg;
    tdsa_rng other;
    uint8_t skip[32];
    tdsa_err err;

    run_init(r, GRP_P256, n, t, "two faces");
    f.rng = r->rng[LIAR];
    cfg = run_keygen_cfg(r, LIAR, KEY_ID);
    cfg.rng = tdsa_test_rng_of(&f.rng);
    if (from_round == R_RANDOM) {
        other = cfg.rng;
        assert_int_equal(tdsa_rng_fill(&other, skip, sizeof skip, &err), TDSA_OK);
    }
    assert_int_equal(mpc_keygen_new(&f.face, &cfg, &err), TDSA_OK);
    if (from_round != R_RANDOM) { /* the same random value, then another polynomial */
        assert_int_equal(tdsa_rng_fill(&cfg.rng, skip, sizeof skip, &err), TDSA_OK);
    }
    f.from_round = R_RANDOM; /* it must see every round; equal messages until it draws */
    r->hook = face_hook;
    r->hook_ctx = &f;
    assert_int_equal(run_keygen(r, KEY_ID), 0);
    mpc_keygen_free(f.face);
}

static void row_11_two_random_values_abort_before_any_secret(void **state)
{
    protocol_run r;

    (void)state;
    show_two_faces(&r, 3, 1, R_RANDOM);
    assert_no_key(&r, LIAR);
    for (uint16_t i = 0; i < 3; i++) {
        assert_int_equal(mpc_keygen_round(r.keygen[i]), R_COMMIT);
        assert_true(i == LIAR || r.keygen[i]->open[LIAR].len == 0); /* nothing was dealt */
    }
    assert_next_run_works(&r);
    run_clear(&r);
}

/* Two polynomials, each committed, opened and shared faultlessly: only the echo can tell. */
static void row_11_two_dealings_abort_everywhere(void **state)
{
    static const uint16_t sizes[][2] = {{3, 1}, {5, 2}};

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        protocol_run r;
        const uint16_t victim = (uint16_t)(sizes[k][0] - 1);

        show_two_faces(&r, sizes[k][0], sizes[k][1], R_COMMIT);
        for (uint16_t i = 0; i < sizes[k][0]; i++) {
            if (i != LIAR) { /* every other check passed at each of them */
                assert_false(r.keygen[i]->complaint[i].made);
                assert_int_equal(mpc_keygen_round(r.keygen[i]), R_REPORT);
            }
        }
        assert_false(grp_point_equal(r.g, &r.keygen[0]->c[LIAR][0], &r.keygen[victim]->c[LIAR][0]));
        assert_no_key(&r, LIAR);
        assert_next_run_works(&r);
        run_clear(&r);
    }
}

/* Each digest that is compared, shown differently to one participant. */
static void row_11_no_round_can_be_told_in_two_ways(void **state)
{
    (void)state;
    for (unsigned round = 0; round < MPC_KEYGEN_ROUNDS; round++) {
        protocol_run r;
        tamper t = {.step = STEP_KEYGEN, .round = round, .from = LIAR, .to = 2, .offset = 32};

        run_init(&r, GRP_P256, 3, 1, "told twice");
        r.hook = tamper_hook;
        r.hook_ctx = &t;
        assert_true(run_keygen(&r, KEY_ID) == (round == R_STORED ? 2 : 0));
        assert_refused(&r, 2, LIAR);
        if (round != R_STORED) {
            assert_no_key(&r, LIAR);
        }
        assert_next_run_works(&r);
        run_clear(&r);
    }
}

/* ---- row 15: the last to speak chooses its key by the keys of the others ---- */

/* What the liar commits to and opens is made anew from its state. */
static void commit_again(mpc_keygen *run)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    tdsa_err err;

    tdsa_stmt_begin(&b, "com");
    tdsa_buf_append(&b, run->open[LIAR].data + MPC_TEXT("open"),
                    run->open[LIAR].len - MPC_TEXT("open"));
    assert_int_equal(tdsa_hash_stmt(run->com[LIAR], &b, &err), TDSA_OK);
}

typedef struct {
    protocol_run *r;
    bool before_commit; /* it sees the others' polynomials before it commits: a broken channel */
    bool done;
} rogue;

/* C_0 of the liar becomes G*rogue minus what the others deal: Y would be the liar's alone. The others'
 * openings are read from their states, which no real adversary can. */
static void rogue_hook(void *ctx, run_step step, unsigned round, uint16_t from, uint16_t to,
                       tdsa_buf *m)
{
    rogue *k = ctx;
    mpc_keygen *mine = k->r->keygen[LIAR];
    const unsigned when = k->before_commit ? R_COMMIT : R_DEAL;
    const size_t c0 = MPC_TEXT("open") + MPC_ITEM(32) + MPC_UINT + 5 + 5;
    const grp *g = k->r->g;
    grp_point c = pt_base(g, sc_pick(g, "rogue", 1));

    (void)to;
    if (step != STEP_KEYGEN || from != LIAR || round != when) {
        return;
    }
    for (uint16_t i = 0; i < k->r->n; i++) {
        if (i != LIAR) {
            c = pt_sub(g, c, k->r->keygen[i]->c[i][0]);
        }
    }
    if (!k->done) {
        grp_point_encode(g, mine->open[LIAR].data + c0, &c);
        if (k->before_commit) {
            commit_again(mine);
        }
        k->done = true;
    }
    if (k->before_commit) { /* "commit", then the digest */
        memcpy(m->data + m->len - 64, mine->com[LIAR], 64);
    } else { /* "deal", then the opening */
        memcpy(m->data + MPC_TEXT("deal") + 5, mine->open[LIAR].data, mine->open[LIAR].len);
    }
}

static void rogue_fails(bool before_commit, const char *why)
{
    protocol_run r;
    rogue k = {.r = &r, .before_commit = before_commit};

    run_init(&r, GRP_P256, 3, 1, "rogue");
    r.hook = rogue_hook;
    r.hook_ctx = &k;
    assert_int_equal(run_keygen(&r, KEY_ID), 0);
    assert_no_key(&r, LIAR);
    assert_int_equal(r.err[0].participant, LIAR);
    if (strstr(r.err[0].text, why) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", why, r.err[0].text);
    }
    assert_next_run_works(&r);
    run_clear(&r);
}

static void row_15_a_key_chosen_after_the_others_is_not_what_was_committed(void **state)
{
    (void)state;
    rogue_fails(false, "not what was committed");
}

static void row_15_a_rogue_key_has_no_proof_of_possession(void **state)
{
    (void)state;
    rogue_fails(true, "proof of possession");
}

/* What remains: to abort when the result does not please. It is seen, and the next key is new. */
static void row_15_an_abort_after_the_result_gives_another_key(void **state)
{
    protocol_run r;
    tamper t = {
        .step = STEP_KEYGEN, .round = R_REPORT, .from = LIAR, .to = ANYBODY, .kind = TAMPER_DROP};
    grp_point sum;
    tdsa_err err;

    (void)state;
    run_init(&r, GRP_P256, 3, 1, "abort");
    r.hook = tamper_hook;
    r.hook_ctx = &t;
    assert_int_equal(run_keygen(&r, KEY_ID), 0);
    sum = pt_add(r.g, pt_add(r.g, r.keygen[0]->c[0][0], r.keygen[0]->c[1][0]),
                 r.keygen[0]->c[2][0]); /* the liar knows Y by now */
    for (uint16_t i = 0; i < 3; i += 2) {
        assert_false(mpc_keygen_round_complete(r.keygen[i])); /* the others wait for it by name */
        assert_int_equal(mpc_keygen_advance(r.keygen[i], &err), TDSA_E_BAD_INPUT);
        assert_non_null(strstr(err.text, "participant 1 has not spoken"));
    }
    assert_next_run_works(&r);
    assert_false(grp_point_equal(r.g, &sum, &r.key[0]->pub.y));
    run_clear(&r);
}

/* ---- row 21: framing ---- */

typedef struct {
    protocol_run *r;
    uint16_t dealer;
} framer;

/* The liar complains about an honest dealer, with any reason. */
static void frame_hook(void *ctx, run_step step, unsigned round, uint16_t from, uint16_t to,
                       tdsa_buf *m)
{
    const framer *f = ctx;

    if (step == STEP_KEYGEN && round == R_REPORT && from == LIAR) {
        tdsa_err err;

        f->r->keygen[LIAR]->complaint[LIAR] =
            (keygen_complaint){.made = true, .dealer = f->dealer, .reason = KEYGEN_BAD_SHARE};
        tdsa_buf_reset(m);
        assert_int_equal(mpc_keygen_send(f->r->keygen[LIAR], to, m, &err), TDSA_OK);
    }
}

static void row_21_a_false_complaint_removes_nobody(void **state)
{
    (void)state;
    for (uint16_t dealer = 0; dealer < 5; dealer++) {
        protocol_run r;
        framer f = {.r = &r, .dealer = dealer};

        if (dealer == LIAR) {
            continue;
        }
        run_init(&r, GRP_P256, 5, 2, "framing");
        r.hook = frame_hook;
        r.hook_ctx = &f;
        assert_int_equal(run_keygen(&r, KEY_ID), 0);
        for (uint16_t i = 0; i < 5; i++) {
            if (i != LIAR) { /* the pair is told, nobody is found guilty */
                assert_int_equal(r.status[i], TDSA_E_PROTOCOL);
                assert_int_equal(r.err[i].participant, TDSA_NOBODY);
                assert_non_null(strstr(r.err[i].text, "participant 1 complains about"));
            }
        }
        assert_next_run_works(&r); /* with all five: the majority is not worn down */
        run_clear(&r);
    }
}

/* A bad share for one honest participant, whose complaint must not turn against it. */
static void row_21_a_bad_share_does_not_frame_its_victim(void **state)
{
    protocol_run r;
    tamper t = {.step = STEP_KEYGEN, .round = R_DEAL, .from = LIAR, .to = 3, .from_end = true};

    (void)state;
    run_init(&r, GRP_P256, 5, 2, "framing");
    /* contributions: 3 sets shared by two of five, one pair; then the chain code part, the share */
    t.offset = 4 * 37 + 5 + 37 + 1;
    r.hook = tamper_hook;
    r.hook_ctx = &t;
    assert_int_equal(run_keygen(&r, KEY_ID), 0);
    assert_int_equal(r.err[3].participant, LIAR);
    assert_non_null(strstr(r.err[3].text, "share does not fit"));
    for (uint16_t i = 0; i < 5; i++) {
        if (i != LIAR && i != 3) {
            assert_int_equal(r.err[i].participant, TDSA_NOBODY);
            assert_non_null(strstr(r.err[i].text, "participant 3 complains about participant 1"));
        }
    }
    assert_next_run_works(&r);
    run_clear(&r);
}

/* ---- row 26: nobody uses the key before all have stored it ---- */

static void row_26_a_silent_or_false_acknowledgement_activates_nothing(void **state)
{
    static const tamper_kind kinds[] = {TAMPER_DROP, TAMPER_FLIP};

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        protocol_run r;
        tamper t = {.step = STEP_KEYGEN,
                    .round = R_STORED,
                    .from = LIAR,
                    .to = ANYBODY,
                    .kind = kinds[k],
                    .offset = 60};

        run_init(&r, GRP_P256, 3, 1, "stored");
        r.hook = tamper_hook;
        r.hook_ctx = &t;
        assert_int_equal(run_keygen(&r, KEY_ID), 1); /* the liar alone is done */
        for (uint16_t i = 0; i < 3; i += 2) {
            assert_null(r.key[i]);
            assert_int_equal(mpc_keygen_round(r.keygen[i]), R_STORED);
            assert_true(kinds[k] == TAMPER_DROP || r.err[i].participant == LIAR);
        }
        assert_next_run_works(&r);
        run_clear(&r);
    }
}

/* The acknowledgement of a key that is not stored yet cannot be had from an honest participant. */
static void row_26_nothing_is_acknowledged_before_it_is_stored(void **state)
{
    TDSA_SCOPED_BUF m = TDSA_BUF_EMPTY;
    protocol_run r;
    tdsa_err err;

    (void)state;
    run_init(&r, GRP_P256, 3, 1, "stored");
    assert_int_equal(run_keygen(&r, KEY_ID), 3);
    r.keygen[0]->stored = false;
    r.keygen[0]->round.round = R_STORED;
    assert_int_equal(mpc_keygen_send(r.keygen[0], 1, &m, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(m.len, 0);
    run_clear(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(row_11_two_random_values_abort_before_any_secret),
        cmocka_unit_test(row_11_two_dealings_abort_everywhere),
        cmocka_unit_test(row_11_no_round_can_be_told_in_two_ways),
        cmocka_unit_test(row_15_a_key_chosen_after_the_others_is_not_what_was_committed),
        cmocka_unit_test(row_15_a_rogue_key_has_no_proof_of_possession),
        cmocka_unit_test(row_15_an_abort_after_the_result_gives_another_key),
        cmocka_unit_test(row_21_a_false_complaint_removes_nobody),
        cmocka_unit_test(row_21_a_bad_share_does_not_frame_its_victim),
        cmocka_unit_test(row_26_a_silent_or_false_acknowledgement_activates_nothing),
        cmocka_unit_test(row_26_nothing_is_acknowledged_before_it_is_stored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
