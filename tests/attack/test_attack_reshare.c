#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "attack/hostile.h"
#include "attack/weak.h"
#include "protocol/keygen_internal.h"
#include "support/protocol_tamper.h"

/*
 * Rows 11 and 26 where a key changes hands: a dealer that deals another share, names another key, or
 * tells the new members apart. Whatever it does, one epoch is left with which the honest ones sign.
 */

#define KEY_ID "HostileKey000000000000000000"

enum { R_RANDOM, R_COMMIT, R_DEAL, R_REPORT, R_STORED, R_ACTIVE };
enum { LIAR = 1 };

/* 0 has lost its key, 1 and 2 deal, 2 leaves, 3 is new. */
static const run_reshare_spec moved = {
    .dealers = {1, 2}, .dealer_count = 2, .members = {0, 1, 3}, .n = 3, .t = 1, .lost = 1u << 0};
static const run_reshare_spec refreshed = {
    .dealers = {0, 1, 2}, .dealer_count = 3, .members = {0, 1, 2}, .n = 3, .t = 1};

static void set_up(protocol_run *r)
{
    weak_off();
    run_init(r, GRP_P256, 3, 1, "reshare attack");
    r->policy.reshare = true;
    assert_int_equal(run_keygen(r, KEY_ID), 3);
}

/* The old epoch at everybody, as after an aborted reshare. */
static void back_to_old_epoch(protocol_run *r)
{
    for (uint16_t i = 0; i < GRP_PARTIES_MAX; i++) {
        mpc_keygen_free(r->keygen[i]);
        r->keygen[i] = r->previous[i];
        r->previous[i] = NULL;
        r->key[i] = r->keygen[i] == NULL ? NULL : mpc_keygen_key(r->keygen[i]);
    }
}

/* Nobody honest has a new epoch or blames another honest one; the old one signs, and a reshare of
 * honest participants works. */
static void assert_nothing_lost(protocol_run *r, const run_reshare_spec *spec)
{
    for (uint16_t i = 0; i < 4; i++) {
        if (i != LIAR && r->keygen[i] != NULL) {
            assert_null(r->key[i]);
            assert_true(r->status[i] == TDSA_OK || r->status[i] == TDSA_E_PROTOCOL);
            assert_true(r->status[i] == TDSA_OK || r->err[i].participant == LIAR ||
                        r->err[i].participant == TDSA_NOBODY);
        }
    }
    back_to_old_epoch(r);
    honest_run_still_signs(r, 1);
    assert_true(run_reshare(r, spec) >= 3);
    memcpy(r->committee, spec->members, sizeof r->committee);
    honest_run_still_signs(r, 1);
}

/* ---- substitution ---- */

typedef struct {
    protocol_run *r;
    unsigned round;
    bool done;
} substitution;

/* Before it deals the liar puts another share in the place of its own, or a constant into the
 * polynomial of a refresh: Y would move by as much as it likes. */
static void substitute(void *ctx, run_step step, unsigned round, uint16_t from, uint16_t to,
                       tdsa_buf *m)
{
    substitution *s = ctx;
    keygen_secret *sec = s->r->keygen[LIAR]->sec;
    const grp_scalar more = sc_pick(s->r->g, "substitute", 1);

    (void)to;
    (void)m;
    if (step != STEP_RESHARE || from != LIAR || round != s->round || s->done) {
        return;
    }
    s->done = true;
    if (round == R_RANDOM) {
        sec->old_share = sc_add(s->r->g, sec->old_share, more);
    } else {
        sec->f.coeff[0] = sc_add(s->r->g, sec->f.coeff[0], more);
    }
}

static void row_11_a_dealer_cannot_deal_another_share(void **state)
{
    static const unsigned rounds[] = {R_RANDOM, R_COMMIT};

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        protocol_run r;
        substitution s = {.r = &r, .round = rounds[k]};

        set_up(&r);
        r.hook = substitute;
        r.hook_ctx = &s;
        assert_int_equal(run_reshare(&r, &moved), 0);
        assert_int_equal(r.err[3].participant, LIAR);
        assert_non_null(
            strstr(r.err[3].text, k == 0 ? "share of the old epoch" : "share does not fit"));
        assert_nothing_lost(&r, &moved);
        run_clear(&r);
    }
}

static void row_11_a_refresh_moves_no_key(void **state)
{
    protocol_run r;
    substitution s = {.r = &r, .round = R_COMMIT};

    (void)state;
    set_up(&r);
    r.hook = substitute;
    r.hook_ctx = &s;
    assert_int_equal(run_reshare(&r, &refreshed), 0);
    assert_int_equal(r.err[0].participant, LIAR);
    assert_int_equal(r.err[2].participant, LIAR);
    assert_nothing_lost(&r, &refreshed);
    run_clear(&r);
}

/* ---- another key ---- */

/* A dealer tells a member without a record of its own a faultless record of another key of the same
 * name and members, to have it hold shares of that. */
static void row_11_dealers_must_name_one_old_epoch(void **state)
{
    protocol_run other;
    protocol_run r;
    tamper t = {.step = STEP_RESHARE, .round = R_RANDOM, .from = LIAR, .to = 0};

    (void)state;
    set_up(&other);
    assert_int_equal(run_keygen(&other, KEY_ID), 3); /* once more: another key */
    other.hook = record_hook;
    other.hook_ctx = &t;
    assert_true(run_reshare(&other, &moved) > 0);
    assert_true(t.hits > 0);
    set_up(&r);
    for (unsigned reverse = 0; reverse < 2; reverse++) { /* the liar speaks first, then last */
        t.kind = TAMPER_REPLACE;
        r.reverse = reverse == 1;
        r.hook = tamper_hook;
        r.hook_ctx = &t;
        assert_int_equal(run_reshare(&r, &moved), 0);
        assert_int_equal(r.status[0], TDSA_E_PROTOCOL);
        if (reverse == 0) {
            r.hook = NULL;
            back_to_old_epoch(&r);
        }
    }
    assert_nothing_lost(&r, &moved);
    tdsa_buf_clear(&t.bytes);
    run_clear(&other);
    run_clear(&r);
}

/* ---- split confirmations ---- */

/* The liar acknowledges to one and not to another. */
static void row_26_split_acknowledgements_leave_both_epochs_whole(void **state)
{
    static const unsigned rounds[] = {R_STORED, R_ACTIVE};
    static const tamper_kind kinds[] = {TAMPER_DROP, TAMPER_FLIP};

    (void)state;
    for (size_t k = 0; k < 4; k++) {
        protocol_run r;
        tamper t = {.step = STEP_RESHARE,
                    .round = rounds[k / 2],
                    .from = LIAR,
                    .to = 2,
                    .kind = kinds[k % 2],
                    .offset = 60};

        set_up(&r);
        r.hook = tamper_hook;
        r.hook_ctx = &t;
        (void)run_reshare(&r, &refreshed);
        assert_true(t.hits > 0);
        assert_null(r.key[2]); /* it is not done: it keeps both */
        assert_true(r.status[2] == TDSA_OK || r.err[2].participant == LIAR);
        assert_true(rounds[k / 2] == R_ACTIVE || r.key[0] == NULL);
        /* what all have stored is one epoch, whoever may use it already */
        for (uint16_t i = 0; i < 3; i++) {
            assert_true(mpc_keygen_round(r.keygen[i]) >= R_STORED);
            assert_memory_equal(r.keygen[i]->key->pub.stored, r.keygen[0]->key->pub.stored, 64);
        }
        back_to_old_epoch(&r);
        honest_run_still_signs(&r, 1);
        run_clear(&r);
    }
}

/* A mobile adversary: a share of each epoch, never two of one. */
static void row_26_shares_of_two_epochs_are_worth_nothing(void **state)
{
    protocol_run r;
    grp_scalar lambda[2];
    static const uint16_t members[2] = {0, 2};

    (void)state;
    set_up(&r);
    const grp_scalar x = judge_key(&r);
    assert_int_equal(run_reshare(&r, &refreshed), 3);
    grp_lagrange(r.g, lambda, members, 2);
    const grp_scalar old_0 = mpc_keygen_key(r.previous[0])->sec->share;
    const grp_scalar old_2 = mpc_keygen_key(r.previous[2])->sec->share;
    const grp_scalar new_2 = r.key[2]->sec->share;
    assert_true(sc_equal(
        r.g, x, sc_add(r.g, sc_mul(r.g, lambda[0], old_0), sc_mul(r.g, lambda[1], old_2))));
    assert_false(sc_equal(
        r.g, x, sc_add(r.g, sc_mul(r.g, lambda[0], old_0), sc_mul(r.g, lambda[1], new_2))));
    run_clear(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(row_11_a_dealer_cannot_deal_another_share),
        cmocka_unit_test(row_11_a_refresh_moves_no_key),
        cmocka_unit_test(row_11_dealers_must_name_one_old_epoch),
        cmocka_unit_test(row_26_split_acknowledgements_leave_both_epochs_whole),
        cmocka_unit_test(row_26_shares_of_two_epochs_are_worth_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
