#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "attack/fields.h"
#include "attack/hostile.h"
#include "attack/weak.h"
#include "protocol/prepare.h"
#include "protocol/presign_internal.h"

/*
 * Row 8 in prepare mode: the value that nobody knew before the request was locked. The combiner, who
 * relays the members' shares of it, wants to choose it.
 */

enum { INDEX = 1, LIAR = 1 };

static const uint8_t digest[32] = {7};

typedef struct {
    protocol_run r;
    mpc_request q;
    tdsa_buf bytes;
    uint8_t t0[64];
    tdsa_buf coin[3]; /* message of each member */
    mpc_coins coins;
} prepared;

static void set_up(prepared *p)
{
    mpc_policy policy = run_policy();
    tdsa_err err;

    memset(p, 0, sizeof *p);
    weak_off();
    policy.prepare = true;
    hostile_cluster(&p->r, GRP_SECP256K1, 3, 1, 0, &policy);
    p->q = run_request(&p->r, INDEX, digest, sizeof digest);
    mpc_request_encode(&p->bytes, &p->q);
    for (uint16_t i = 0; i < 3; i++) {
        assert_int_equal(mpc_prepare_new(p->t0, p->r.key[i], p->r.batch[i], &p->q, p->bytes.data,
                                         p->bytes.len, &err),
                         TDSA_OK);
        assert_int_equal(
            mpc_prepare_reply(&p->coin[i], p->r.key[i], p->r.batch[i], INDEX, p->t0, &err),
            TDSA_OK);
        assert_int_equal(mpc_prepare_take(&p->coins, p->r.key[0], p->r.batch[0], p->t0, i,
                                          p->coin[i].data, p->coin[i].len, &err),
                         TDSA_OK);
    }
}

static void clear(prepared *p)
{
    weak_off();
    tdsa_buf_clear(&p->bytes);
    for (size_t i = 0; i < 3; i++) {
        tdsa_buf_clear(&p->coin[i]);
    }
    run_clear(&p->r);
}

/* A list that member `who` takes for good: on a line through its own coin, with `target` at 0. */
static mpc_coins list_for(const prepared *p, uint16_t who, grp_scalar target)
{
    const grp *g = p->r.g;
    const grp_scalar slope = sc_div(g, sc_sub(g, p->coins.c[who], target), sc_u64(g, who + 1u));
    mpc_coins out = p->coins;

    for (uint64_t i = 0; i < 3; i++) {
        out.c[i] = sc_add(g, target, sc_mul(g, slope, sc_u64(g, i + 1)));
    }
    return out;
}

/* Each honest member is given the list that it believes. True when a signature comes out whose nonce the
 * combiner has chosen with `target`. */
static bool combiner_chooses(const prepared *p, grp_scalar target, grp_scalar *big_r)
{
    const grp *g = p->r.g;
    grp_scalar lambda[3];
    grp_scalar mu = sc_u64(g, 0);
    grp_scalar nu = mu;
    mpc_context ctx[3];
    tdsa_err err;

    grp_lagrange(g, lambda, p->r.committee, 3);
    for (uint16_t i = 3; i-- > 0;) { /* 0 is the combiner and goes by the list of 1 */
        const mpc_coins list = list_for(p, i == 0 ? 1 : i, target);
        TDSA_SCOPED_BUF reply = TDSA_BUF_EMPTY;
        hostile_answer a;

        if (i == 0) {
            ctx[0] = ctx[1];
        } else { /* it finds its own coin in its place, and all on one line */
            assert_int_equal(mpc_context_prepared(&ctx[i], p->r.key[i], p->r.batch[i], &p->q,
                                                  p->bytes.data, p->bytes.len, &list, &err),
                             TDSA_OK);
        }
        assert_int_equal(mpc_sign_reply(&reply, p->r.key[i], p->r.batch[i], &p->q, &ctx[i], &err),
                         TDSA_OK);
        hostile_values(&p->r, &reply, &a);
        mu = sc_add(g, mu, sc_mul(g, lambda[i], a.mu));
        nu = sc_add(g, nu, sc_mul(g, lambda[i], a.nu));
    }
    *big_r = ctx[1].r;
    return judge_verifies(&p->r, p->r.key[0]->pub.y, ctx[1].h, ctx[1].r, sc_div(g, nu, mu));
}

static void row_8_a_relaying_combiner_does_not_choose_the_coin(void **state)
{
    prepared p;
    grp_scalar r;

    (void)state;
    set_up(&p);
    assert_false(combiner_chooses(&p, sc_pick(p.r.g, "coin", 1), &r));
    honest_run_still_signs(&p.r, 2);
    clear(&p);
}

static void row_8_with_the_value_alone_in_t_the_combiner_grinds_the_nonce(void **state)
{
    prepared p;
    grp_scalar r[2];

    (void)state;
    set_up(&p);
    weak.coin_value_only = true;
    for (uint64_t i = 0; i < 2; i++) { /* as many nonces as it likes for one locked request */
        assert_true(combiner_chooses(&p, sc_pick(p.r.g, "coin", i), &r[i]));
    }
    assert_false(sc_equal(p.r.g, r[0], r[1]));
    clear(&p);
}

/* ---- what a member may send ---- */

static void every_field_of_a_coin_is_checked(void **state)
{
    TDSA_SCOPED_BUF changed = TDSA_BUF_EMPTY;
    field all[FIELDS_MAX];
    prepared p;
    size_t refused = 0;
    tdsa_err err;

    (void)state;
    set_up(&p);
    const size_t count = fields_of(all, p.r.g, &p.coin[LIAR]);
    for (size_t which = 0; which < count; which++) {
        for (int k = 0; k < CHANGE_END; k++) {
            mpc_coins coins = {0};
            tdsa_status st = TDSA_OK;

            if (!field_apply(&changed, p.r.g, &p.coin[LIAR], which, (field_change)k, &p.coin[2],
                             NULL)) {
                continue;
            }
            refused++;
            st = mpc_prepare_take(&coins, p.r.key[0], p.r.batch[0], p.t0, LIAR, changed.data,
                                  changed.len, &err);
            if (st != TDSA_OK) {
                assert_int_equal(st, TDSA_E_PROTOCOL);
                assert_int_equal(err.participant, LIAR);
                continue;
            }
            for (uint16_t i = 0; i < 3; i += 2) { /* another value: every list with it is refused */
                assert_int_equal(mpc_prepare_take(&coins, p.r.key[0], p.r.batch[0], p.t0, i,
                                                  p.coin[i].data, p.coin[i].len, &err),
                                 TDSA_OK);
            }
            for (uint16_t i = 0; i < 3; i++) {
                assert_int_equal(mpc_prepare_check(&coins, p.r.key[i], p.r.batch[i], INDEX, &err),
                                 TDSA_E_PROTOCOL);
                assert_int_equal(err.participant, TDSA_NOBODY);
            }
        }
    }
    assert_true(refused > 80);
    honest_run_still_signs(&p.r, 2);
    clear(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(row_8_a_relaying_combiner_does_not_choose_the_coin),
        cmocka_unit_test(row_8_with_the_value_alone_in_t_the_combiner_grinds_the_nonce),
        cmocka_unit_test(every_field_of_a_coin_is_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
