#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/statement.h"
#include "protocol/presign_internal.h"
#include "support/protocol_tamper.h"

/* Prepare mode: coins with exactly one wrong thing, and lists that members see differently. */

#define KEY_ID "PrepareKey000000000000000000"

/* In a coin of (3,1) on P-256: "coin", sender, T0, committee, the coin. */
enum { COIN_SENDER = 9 + 5 + 7, COIN_T0 = 9 + 13 + 5, COIN_COMMITTEE = COIN_T0 + 64 + 5 + 5 + 7 };

static const uint8_t digest[32] = {0x5a};

typedef struct {
    protocol_run r;
    tamper t; /* the coin of 1 */
    mpc_request q;
    tdsa_buf bytes;
} fixture;

static void set_up(fixture *f, uint16_t n, uint16_t t)
{
    memset(f, 0, sizeof *f);
    run_init(&f->r, GRP_P256, n, t, "prepare");
    f->r.policy.prepare = true;
    assert_int_equal(run_keygen(&f->r, KEY_ID), n);
    assert_int_equal(run_presign(&f->r, 1, 1), f->r.committee_count);
    f->q = run_request(&f->r, 1, digest, sizeof digest);
    mpc_request_encode(&f->bytes, &f->q);
    f->t = (tamper){.step = STEP_PREPARE, .from = 1, .to = 0};
    f->r.hook_ctx = &f->t;
}

static void tear_down(fixture *f)
{
    tdsa_buf_clear(&f->bytes);
    run_clear(&f->r);
}

static void t0_of(const fixture *f, uint16_t i, uint8_t t0[64])
{
    tdsa_err err;

    assert_int_equal(
        mpc_prepare_new(t0, f->r.key[i], f->r.batch[i], &f->q, f->bytes.data, f->bytes.len, &err),
        TDSA_OK);
}

/* What the members would send, as one list. */
static void coins_of(const fixture *f, mpc_coins *coins)
{
    uint8_t t0[64];
    tdsa_err err;

    memset(coins, 0, sizeof *coins);
    for (uint16_t i = 0; i < f->r.committee_count; i++) {
        TDSA_SCOPED_BUF coin = TDSA_BUF_EMPTY;

        t0_of(f, i, t0);
        assert_int_equal(mpc_prepare_reply(&coin, f->r.key[i], f->r.batch[i], f->q.index, t0, &err),
                         TDSA_OK);
        assert_int_equal(
            mpc_prepare_take(coins, f->r.key[0], f->r.batch[0], t0, i, coin.data, coin.len, &err),
            TDSA_OK);
    }
    assert_true(mpc_prepare_complete(coins, f->r.key[0]));
}

static tdsa_status context_of(const fixture *f, uint16_t i, const mpc_coins *coins,
                              mpc_context *ctx, tdsa_err *err)
{
    return mpc_context_prepared(ctx, f->r.key[i], f->r.batch[i], &f->q, f->bytes.data, f->bytes.len,
                                coins, err);
}

static void signatures_with_coins_verify(void **state)
{
    static const uint16_t sizes[][2] = {{3, 1}, {4, 1}, {5, 2}};
    fixture f;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        mpc_signature sig;
        mpc_context ctx;
        tdsa_err err;

        set_up(&f, sizes[i][0], sizes[i][1]);
        assert_int_equal(run_sign(&f.r, &f.q, &sig, &ctx, &err), TDSA_OK);
        assert_true(run_openssl_verifies(f.r.g, &ctx.y_final, digest, sizeof digest, &sig));
        tear_down(&f);
    }
}

/* All members have one T0; T is another value and moves with the list. */
static void the_whole_list_is_in_t(void **state)
{
    fixture f;
    uint8_t t0[2][64];
    mpc_context ctx;
    mpc_coins coins;
    tdsa_err err;

    (void)state;
    set_up(&f, 3, 1);
    t0_of(&f, 0, t0[0]);
    t0_of(&f, 2, t0[1]);
    assert_memory_equal(t0[0], t0[1], 64);
    coins_of(&f, &coins);
    for (uint16_t i = 0; i < 3; i++) {
        assert_int_equal(context_of(&f, i, &coins, &ctx, &err), TDSA_OK);
        assert_memory_equal(ctx.prepared, t0[0], 64);
        assert_memory_not_equal(ctx.transcript, t0[0], 64);
    }
    tear_down(&f);
}

static void fails(fixture *f, tdsa_status st, int culprit, const char *text)
{
    mpc_signature sig;
    mpc_context ctx;
    tdsa_err err;

    f->r.hook = tamper_hook;
    f->t.hits = 0;
    assert_int_equal(run_sign(&f->r, &f->q, &sig, &ctx, &err), st);
    assert_int_equal(f->t.hits, 1);
    assert_int_equal(err.participant, culprit);
    if (strstr(err.text, text) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", text, err.text);
    }
    assert_int_equal(sig.len, 0);
}

static void a_wrong_coin_message_is_blamed(void **state)
{
    fixture f;

    (void)state;
    set_up(&f, 3, 1);
    f.t.kind = TAMPER_CUT;
    fails(&f, TDSA_E_PROTOCOL, 1, "malformed");
    f.t.kind = TAMPER_APPEND;
    fails(&f, TDSA_E_PROTOCOL, 1, "malformed");
    f.t.kind = TAMPER_FLIP;
    f.t.offset = COIN_SENDER;
    fails(&f, TDSA_E_PROTOCOL, 1, "another request");
    f.t.offset = COIN_T0;
    fails(&f, TDSA_E_PROTOCOL, 1, "another request");
    f.t.offset = COIN_COMMITTEE;
    fails(&f, TDSA_E_PROTOCOL, 1, "another committee");
    f.t.from_end = true;
    f.t.kind = TAMPER_FILL;
    f.t.offset = 32;
    f.t.len = 32;
    f.t.value = 0xff; /* not below q */
    fails(&f, TDSA_E_PROTOCOL, 1, "malformed");
    tear_down(&f);
}

/* A lawful but wrong coin shows in the polynomial, which names nobody. */
static void a_wrong_coin_stops_everybody(void **state)
{
    fixture f;

    (void)state;
    set_up(&f, 3, 1);
    f.t.from_end = true;
    f.t.offset = 1;
    fails(&f, TDSA_E_PROTOCOL, TDSA_NOBODY, "one polynomial");
    tear_down(&f);
}

static void refused_by(const fixture *f, uint16_t i, const mpc_coins *coins, const char *text)
{
    mpc_context ctx;
    tdsa_err err;

    assert_int_equal(context_of(f, i, coins, &ctx, &err), TDSA_E_PROTOCOL);
    if (strstr(err.text, text) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", text, err.text);
    }
}

/* Any list that holds the honest members' own values and lies on one polynomial is the true list, as
 * long as t+1 of them look: nobody can choose the coin. */
static void another_list_is_refused_by_the_member_it_wrongs(void **state)
{
    fixture f;
    mpc_coins coins;
    mpc_coins other;
    grp_scalar v;

    (void)state;
    set_up(&f, 3, 1);
    coins_of(&f, &coins);
    /* a coin of the relay's choice on a line through the value of 0: the others see it */
    other = coins;
    grp_scalar_set_u64(f.r.g, &v, 5);
    grp_scalar_add(f.r.g, &other.c[1], &other.c[1], &v);
    grp_scalar_add(f.r.g, &other.c[2], &other.c[2], &v);
    grp_scalar_add(f.r.g, &other.c[2], &other.c[2], &v);
    assert_true(grp_shares_consist_vartime(f.r.g, other.c, f.r.committee, 3, 1));
    refused_by(&f, 1, &other, "in the place of participant 1");
    refused_by(&f, 2, &other, "in the place of participant 2");
    /* own value replaced: off the polynomial for the others */
    other = coins;
    grp_scalar_add(f.r.g, &other.c[1], &other.c[1], &v);
    refused_by(&f, 0, &other, "one polynomial");
    refused_by(&f, 1, &other, "in the place of participant 1");
    refused_by(&f, 2, &other, "one polynomial");
    /* two values swapped */
    other = coins;
    other.c[0] = coins.c[2];
    other.c[2] = coins.c[0];
    refused_by(&f, 0, &other, "in the place of participant 0");
    refused_by(&f, 2, &other, "in the place of participant 2"); /* on a line mirrored at member 1 */
    tear_down(&f);
}

/* The value at 0 is the same and still it is another list: with that value alone a relaying client
 * chooses the coin. */
static void a_list_with_the_same_value_at_zero_is_another_list(void **state)
{
    fixture f;
    mpc_coins coins;
    mpc_coins other;
    grp_scalar v;

    (void)state;
    set_up(&f, 3, 1);
    coins_of(&f, &coins);
    other = coins;
    for (uint16_t i = 0; i < 3; i++) { /* plus 7x, which is 0 at 0 */
        grp_scalar_set_u64(f.r.g, &v, 7u * (i + 1u));
        grp_scalar_add(f.r.g, &other.c[i], &other.c[i], &v);
    }
    assert_true(grp_shares_consist_vartime(f.r.g, other.c, f.r.committee, 3, 1));
    for (uint16_t i = 0; i < 3; i++) {
        refused_by(&f, i, &other, "in the place of participant");
    }
    tear_down(&f);
}

/* A corrupt member shows 2 one coin of its own and 1 another one: on (5,2) the honest values leave no
 * room, on any size the polynomial is fixed by t+1 of them. */
static void a_split_list_is_seen_by_one_side(void **state)
{
    fixture f;
    mpc_coins coins;
    mpc_coins split;
    grp_scalar v;

    (void)state;
    set_up(&f, 5, 2);
    coins_of(&f, &coins);
    split = coins;
    grp_scalar_set_u64(f.r.g, &v, 1);
    grp_scalar_add(f.r.g, &split.c[0], &split.c[0], &v);
    grp_scalar_add(f.r.g, &split.c[1], &split.c[1], &v);
    for (uint16_t i = 2; i < 5; i++) {
        mpc_context ctx;
        tdsa_err err;

        refused_by(&f, i, &split, "one polynomial");
        assert_int_equal(context_of(&f, i, &coins, &ctx, &err), TDSA_OK);
    }
    tear_down(&f);
}

static void lists_come_back_as_they_were(void **state)
{
    fixture f;
    TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
    tdsa_reader r;
    mpc_coins coins;
    mpc_coins back;
    tdsa_err err;

    (void)state;
    set_up(&f, 3, 1);
    coins_of(&f, &coins);
    mpc_coins_put(&b, f.r.g, &coins);
    r = tdsa_reader_of(b.data, b.len);
    assert_int_equal(mpc_coins_get(&r, f.r.g, 3, &back, &err), TDSA_OK);
    assert_int_equal(tdsa_reader_finish(&r, "coins", &err), TDSA_OK);
    assert_true(mpc_prepare_complete(&back, f.r.key[0]));
    for (uint16_t i = 0; i < 3; i++) {
        assert_true(grp_scalar_equal(f.r.g, &coins.c[i], &back.c[i]));
    }
    r = tdsa_reader_of(b.data, b.len);
    assert_int_equal(mpc_coins_get(&r, f.r.g, 5, &back, &err), TDSA_E_BAD_INPUT);
    coins.count = 2;
    tdsa_buf_reset(&b);
    mpc_coins_put(&b, f.r.g, &coins);
    r = tdsa_reader_of(b.data, b.len);
    assert_int_equal(mpc_coins_get(&r, f.r.g, 3, &back, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(back.count, 0);
    coins.count = 4;
    tdsa_buf_reset(&b);
    mpc_coins_put(&b, f.r.g, &coins);
    r = tdsa_reader_of(b.data, b.len);
    assert_int_equal(mpc_coins_get(&r, f.r.g, 3, &back, &err), TDSA_E_BAD_INPUT);
    tear_down(&f);
}

static void prepare_mode_is_for_keys_that_say_so(void **state)
{
    fixture f;
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    uint8_t t0[64];
    mpc_coins coins = {0};
    mpc_context ctx;
    tdsa_err err;

    (void)state;
    set_up(&f, 3, 1);
    assert_int_equal(
        mpc_context_new(&ctx, f.r.key[0], f.r.batch[0], &f.q, f.bytes.data, f.bytes.len, &err),
        TDSA_E_DENIED);
    assert_int_equal(context_of(&f, 0, &coins, &ctx, &err), TDSA_E_BAD_INPUT); /* no coins */
    f.r.policy.prepare = false;
    assert_int_equal(run_keygen(&f.r, KEY_ID), 3);
    assert_int_equal(run_presign(&f.r, 1, 1), 3);
    f.q = run_request(&f.r, 1, digest, sizeof digest);
    tdsa_buf_reset(&f.bytes);
    mpc_request_encode(&f.bytes, &f.q);
    assert_int_equal(
        mpc_prepare_new(t0, f.r.key[0], f.r.batch[0], &f.q, f.bytes.data, f.bytes.len, &err),
        TDSA_E_DENIED);
    assert_int_equal(context_of(&f, 0, &coins, &ctx, &err), TDSA_E_DENIED);
    assert_int_equal(mpc_prepare_reply(&out, f.r.key[0], f.r.batch[0], 0, t0, &err),
                     TDSA_E_BAD_INPUT);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_with_coins_verify),
        cmocka_unit_test(the_whole_list_is_in_t),
        cmocka_unit_test(a_wrong_coin_message_is_blamed),
        cmocka_unit_test(a_wrong_coin_stops_everybody),
        cmocka_unit_test(another_list_is_refused_by_the_member_it_wrongs),
        cmocka_unit_test(a_list_with_the_same_value_at_zero_is_another_list),
        cmocka_unit_test(a_split_list_is_seen_by_one_side),
        cmocka_unit_test(lists_come_back_as_they_were),
        cmocka_unit_test(prepare_mode_is_for_keys_that_say_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
