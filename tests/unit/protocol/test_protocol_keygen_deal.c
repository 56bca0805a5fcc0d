#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/statement.h"
#include "keygen_fixture.h"

/*
 * Every check of a dealing has a run here in which exactly one value is wrong: who is blamed, and
 * that nobody ends with a key.
 */

static void a_wrong_commitment_is_a_complaint(void **state)
{
    fixture f;
    protocol_run *r = &f.r;

    (void)state;
    set_up(&f);
    f.t.round = R_COMMIT; /* 0 gets another commitment than the opening fits */
    f.t.offset = 1;
    f.t.from_end = true;
    assert_int_equal(run_keygen(r, KEY_ID), 0);
    assert_dead(r, 0, TDSA_E_PROTOCOL, 1, "not what was committed to");
    assert_dead(r, 2, TDSA_E_PROTOCOL, TDSA_NOBODY, "participant 0 complains about participant 1");
    run_clear(r);
}

static void a_changed_opening_is_a_complaint(void **state)
{
    static const size_t at[] = {OPEN_CC, OPEN_PART0, OPEN_Z + 31};
    fixture f;

    (void)state;
    set_up(&f);
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        f.t.offset = at[i];
        complains(&f, "not what was committed to");
    }
    f.t.from_end = true;
    f.t.offset = SALT_END;
    complains(&f, "not what was committed to");
    run_clear(&f.r);
}

static void a_wrong_address_is_a_complaint(void **state)
{
    fixture f;

    (void)state;
    set_up(&f);
    f.t.offset = OPEN_SID;
    complains(&f, "malformed");
    f.t.offset = OPEN_INDEX;
    complains(&f, "malformed");
    f.t.from_end = true;
    f.t.offset = PRIV_SID_END;
    complains(&f, "malformed");
    f.t.offset = PRIV_FROM_END;
    complains(&f, "malformed");
    f.t.offset = PRIV_TO_END;
    complains(&f, "malformed");
    run_clear(&f.r);
}

static void a_vector_of_another_length_is_a_complaint(void **state)
{
    fixture f;

    (void)state;
    set_up(&f);
    f.t.offset = OPEN_LIST_LEN; /* the list claims one byte more or less */
    complains(&f, "malformed");
    run_clear(&f.r);
}

static void a_wrong_share_is_a_complaint(void **state)
{
    fixture f;

    (void)state;
    set_up(&f);
    f.t.from_end = true;
    f.t.offset = PRIV_SHARE_END;
    complains(&f, "share does not fit");
    f.t.kind = TAMPER_FILL; /* not below q */
    f.t.offset = PRIV_SHARE_END;
    f.t.len = 32;
    f.t.value = 0xff;
    complains(&f, "malformed");
    f.t.value = 0;
    complains(&f, "share does not fit");
    run_clear(&f.r);
}

static void a_wrong_private_part_is_a_complaint(void **state)
{
    fixture f;

    (void)state;
    set_up(&f);
    f.t.from_end = true;
    f.t.offset = PRIV_CC_END;
    complains(&f, "chain code part");
    f.t.offset = PRIV_SET_END;
    complains(&f, "a contribution does not fit");
    f.t.offset = PRIV_PAIR_END;
    complains(&f, "a contribution does not fit");
    f.t.offset = PRIV_PAIR_END + 5; /* the type of the item */
    complains(&f, "malformed");
    run_clear(&f.r);
}

/* ---- a dealer that commits to what it then opens ---- */

typedef struct {
    protocol_run *r;
    size_t offset, len;
    uint8_t value; /* 0: flip the lowest bit of one byte */
} bad_dealer;

static void commit_again(mpc_keygen *run)
{
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    tdsa_err err;

    tdsa_stmt_begin(&b, "com");
    tdsa_buf_append(&b, run->open[1].data + 9, run->open[1].len - 9);
    assert_int_equal(tdsa_hash_stmt(run->com[1], &b, &err), TDSA_OK);
}

static void bad_dealer_hook(void *ctx, run_step step, unsigned round, uint16_t from, uint16_t to,
                            tdsa_buf *m)
{
    const bad_dealer *d = ctx;
    mpc_keygen *run = d->r->keygen[1];
    uint8_t *at = NULL;

    if (step != STEP_KEYGEN || round != R_COMMIT || from != 1) {
        return;
    }
    at = run->open[1].data + d->offset - OPEN_AT;
    if (to == 0 && d->len == 0) {
        *at ^= 1;
    } else if (to == 0) {
        memset(at, d->value, d->len);
    }
    commit_again(run);
    memcpy(m->data + m->len - 64, run->com[1], 64);
}

static void both_complain(bad_dealer *d, const char *text)
{
    assert_int_equal(run_keygen(d->r, KEY_ID), 0);
    assert_dead(d->r, 0, TDSA_E_PROTOCOL, 1, text);
    assert_dead(d->r, 2, TDSA_E_PROTOCOL, 1, text);
    assert_int_equal(d->r->status[1], TDSA_E_PROTOCOL);
}

static void a_committed_lie_is_a_complaint_of_all(void **state)
{
    fixture f;
    bad_dealer d = {.r = &f.r};

    (void)state;
    set_up(&f);
    f.r.hook = bad_dealer_hook;
    f.r.hook_ctx = &d;
    d.offset = OPEN_Z + 31;
    both_complain(&d, "proof of possession");
    d.offset = OPEN_C0; /* -C_0 for C_0: rogue key without its proof */
    both_complain(&d, "proof of possession");
    d.offset = OPEN_C1; /* the proof covers all of C */
    both_complain(&d, "proof of possession");
    d.offset = OPEN_K;
    both_complain(&d, "proof of possession");
    d.offset = OPEN_CC;
    both_complain(&d, "chain code part");
    d.len = 32;
    d.value = 0xff;
    d.offset = OPEN_Z; /* z >= q */
    both_complain(&d, "malformed");
    d.offset = OPEN_C1 + 1; /* x >= p */
    both_complain(&d, "malformed");
    d.len = 1;
    d.value = 5; /* no SEC 1 form */
    d.offset = OPEN_C1;
    both_complain(&d, "malformed");
    run_clear(&f.r);
}

static void an_identity_commitment_is_a_complaint(void **state)
{
    fixture f;
    bad_dealer d = {.r = &f.r, .offset = OPEN_C1, .len = 33, .value = 0};

    (void)state;
    set_up(&f);
    f.r.hook = bad_dealer_hook;
    f.r.hook_ctx = &d;
    both_complain(&d, "malformed"); /* lowers the degree of the sharing */
    run_clear(&f.r);
}

/* Hash of the set {0,1} of dealer 1: only 0 holds that contribution, so only 0 complains. */
static void a_wrong_contribution_hash_is_a_complaint(void **state)
{
    fixture f;
    bad_dealer d = {.r = &f.r, .offset = OPEN_PART0};

    (void)state;
    set_up(&f);
    f.r.hook = bad_dealer_hook;
    f.r.hook_ctx = &d;
    assert_int_equal(run_keygen(&f.r, KEY_ID), 0);
    assert_dead(&f.r, 0, TDSA_E_PROTOCOL, 1, "a contribution does not fit");
    assert_dead(&f.r, 2, TDSA_E_PROTOCOL, TDSA_NOBODY,
                "participant 0 complains about participant 1");
    run_clear(&f.r);
}

/* 1 shows 0 another opening than 2, each with its commitment: only the views tell. */
static void split_hook(void *ctx, run_step step, unsigned round, uint16_t from, uint16_t to,
                       tdsa_buf *m)
{
    protocol_run *r = ctx;
    mpc_keygen *run = r->keygen[1];
    tdsa_buf *open = &run->open[1];

    if (step != STEP_KEYGEN || from != 1 || to != 0 || (round != R_COMMIT && round != R_DEAL)) {
        return;
    }
    open->data[open->len - 1] ^= 1; /* the salt */
    if (round == R_COMMIT) {
        commit_again(run);
        memcpy(m->data + m->len - 64, run->com[1], 64);
    } else if (round == R_DEAL) {
        m->data[OPEN_AT + open->len - 1] ^= 1;
    }
    open->data[open->len - 1] ^= 1;
    if (round == R_COMMIT) {
        commit_again(run);
    }
}

static void a_split_view_aborts_everywhere(void **state)
{
    fixture f;

    (void)state;
    set_up(&f);
    f.r.hook = split_hook;
    f.r.hook_ctx = &f.r;
    assert_int_equal(run_keygen(&f.r, KEY_ID), 0);
    assert_dead(&f.r, 0, TDSA_E_PROTOCOL, TDSA_NOBODY, "saw different broadcasts");
    assert_dead(&f.r, 1, TDSA_E_PROTOCOL, TDSA_NOBODY, "participants 0 and 1 saw different");
    assert_dead(&f.r, 2, TDSA_E_PROTOCOL, TDSA_NOBODY, "participants 0 and 2 saw different");
    run_clear(&f.r);
}

/* ---- the result: reached only when every check above was passed, so the inside is changed ---- */

typedef enum { BAD_SUM, BAD_SHARE, BAD_DEGREE } bad_result;

typedef struct {
    protocol_run *r;
    bad_result what;
} inside;

static void spoil(mpc_keygen *run, bad_result what)
{
    tdsa_err err;
    grp_scalar one;

    switch (what) {
    case BAD_SUM: /* C_{0,0} = -(C_{1,0} + C_{2,0}) */
        assert_int_equal(
            grp_point_add_vartime(run->g, &run->c[0][0], &run->c[1][0], &run->c[2][0], &err),
            TDSA_OK);
        grp_point_neg(run->g, &run->c[0][0], &run->c[0][0]);
        break;
    case BAD_SHARE:
        grp_scalar_set_u64(run->g, &one, 1);
        grp_scalar_add(run->g, &run->sec->share, &run->sec->share, &one);
        break;
    case BAD_DEGREE: /* Y = -f_1*G: X of participant 0 is O */
        for (size_t m = 0; m < 2; m++) {
            grp_scalar_set_u64(run->g, &one, 5);
            assert_int_equal(grp_mul_base(run->g, &run->c[0][m], &one, &err), TDSA_OK);
            run->c[1][m] = run->c[0][m];
            assert_int_equal(
                grp_point_add_vartime(run->g, &run->c[2][m], &run->c[0][m], &run->c[0][m], &err),
                TDSA_OK);
        }
        for (size_t i = 0; i < 3; i++) {
            grp_point_neg(run->g, &run->c[i][1], &run->c[i][1]);
        }
        break;
    }
}

static void spoil_hook(void *ctx, run_step step, unsigned round, uint16_t from, uint16_t to,
                       tdsa_buf *m)
{
    const inside *i = ctx;

    (void)m;
    if (step == STEP_KEYGEN && round == R_REPORT && from == 1 && to == 0) {
        spoil(i->r->keygen[0], i->what);
    }
}

static void a_degenerate_result_is_refused(void **state)
{
    static const char *const texts[] = {"public key is the identity",
                                        "does not fit my verification",
                                        "share of participant 0 is 0"};
    fixture f;
    inside i = {.r = &f.r};

    (void)state;
    set_up(&f);
    f.r.hook = spoil_hook;
    f.r.hook_ctx = &i;
    for (unsigned what = 0; what < 3; what++) {
        i.what = (bad_result)what;
        assert_int_equal(run_keygen(&f.r, KEY_ID), 0);
        assert_dead(&f.r, 0, TDSA_E_PROTOCOL, TDSA_NOBODY, texts[what]);
    }
    run_clear(&f.r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_commitment_is_a_complaint),
        cmocka_unit_test(a_changed_opening_is_a_complaint),
        cmocka_unit_test(a_wrong_address_is_a_complaint),
        cmocka_unit_test(a_vector_of_another_length_is_a_complaint),
        cmocka_unit_test(a_wrong_share_is_a_complaint),
        cmocka_unit_test(a_wrong_private_part_is_a_complaint),
        cmocka_unit_test(a_committed_lie_is_a_complaint_of_all),
        cmocka_unit_test(an_identity_commitment_is_a_complaint),
        cmocka_unit_test(a_wrong_contribution_hash_is_a_complaint),
        cmocka_unit_test(a_split_view_aborts_everywhere),
        cmocka_unit_test(a_degenerate_result_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
