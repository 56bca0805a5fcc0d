#include "group_test.h"

#include <stdlib.h>

#include "group/prss.h"

/* A full set-up for (n, t): every key is a hash of its members. */
typedef struct {
    grp_set_key keys[GRP_ALL_SETS_MAX];
    size_t key_count;
    uint8_t pair[GRP_PARTIES_MAX][GRP_PARTIES_MAX][32];
} setup;

static void make_setup(setup *s, uint16_t n, size_t t)
{
    grp_set sets[GRP_ALL_SETS_MAX];
    uint16_t all[GRP_PARTIES_MAX];

    for (uint16_t i = 0; i < n; i++) {
        all[i] = i;
        for (uint16_t j = 0; j < n; j++) {
            memset(s->pair[i][j], 16 * (i < j ? i : j) + (i < j ? j : i), 32);
        }
    }
    s->key_count = grp_sets_of(sets, all, n, t);
    for (size_t i = 0; i < s->key_count; i++) {
        s->keys[i].set = sets[i];
        memset(s->keys[i].key, (int)i + 1, 32);
    }
}

static size_t keys_of(grp_set_key *out, const setup *s, uint16_t me)
{
    size_t count = 0;

    for (size_t i = 0; i < s->key_count; i++) {
        if (grp_set_has(&s->keys[i].set, me)) {
            out[count++] = s->keys[i];
        }
    }
    return count;
}

static const uint8_t beta[32] = "the batch label of these tests.";

static void shares_of(const grp *g, grp_scalar *out, const setup *s, const uint16_t *committee,
                      size_t count, uint16_t me, const char *name, uint64_t first, size_t values)
{
    grp_set_key mine[GRP_MY_SETS_MAX];
    const grp_prss_cfg cfg = {.keys = mine,
                              .key_count = keys_of(mine, s, me),
                              .committee = committee,
                              .committee_count = count,
                              .me = me,
                              .name = name,
                              .beta = beta};
    grp_prss *p = NULL;
    tdsa_err err;

    assert_int_equal(grp_prss_new(&p, g, &cfg, &err), TDSA_OK);
    assert_int_equal(grp_prss_shares(p, out, first, values, &err), TDSA_OK);
    grp_prss_free(p);
}

static void shares_lie_on_one_polynomial_of_degree_t(void **state)
{
    static const uint16_t committee[9] = {0, 1, 2, 3, 4, 5, 6, 7, 8};

    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        for (size_t t = 1; t <= 4; t++) {
            grp *g = open_curve(c);
            setup s;
            grp_point points[9];
            tdsa_err err;

            make_setup(&s, (uint16_t)(2 * t + 1), t);
            for (uint16_t j = 0; j < 2 * t + 1; j++) {
                grp_scalar share;

                shares_of(g, &share, &s, committee, 2 * t + 1, j, "k", 17, 1);
                points[j] = base_times(g, &share);
            }
            assert_int_equal(grp_consist_vartime(g, points, committee, 2 * t + 1, t, &err),
                             TDSA_OK);
            /* not by accident of a lower degree */
            assert_int_equal(grp_consist_vartime(g, points, committee, 2 * t + 1, t - 1, &err),
                             TDSA_E_PROTOCOL);
            grp_close(g);
        }
    }
}

static void a_range_equals_its_single_values(void **state)
{
    static const uint16_t committee[3] = {0, 2, 3};

    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        grp *g = open_curve(c);
        setup s;
        static grp_scalar all[200];

        make_setup(&s, 4, 1);
        shares_of(g, all, &s, committee, 3, 2, "a", 5, 200);
        for (size_t i = 0; i < 200; i += 7) {
            grp_scalar one;

            shares_of(g, &one, &s, committee, 3, 2, "a", 5 + i, 1);
            assert_true(grp_scalar_equal(g, &one, &all[i]));
        }
        grp_close(g);
    }
}

static void names_give_unrelated_values(void **state)
{
    static const uint16_t committee[3] = {0, 1, 2};
    grp *g = open_curve(0);
    setup s;
    grp_scalar k;
    grp_scalar a;

    (void)state;
    make_setup(&s, 3, 1);
    shares_of(g, &k, &s, committee, 3, 0, "k", 0, 1);
    shares_of(g, &a, &s, committee, 3, 0, "a", 0, 1);
    assert_false(grp_scalar_equal(g, &k, &a));
    grp_close(g);
}

static void new_refuses_bad_committees_and_missing_keys(void **state)
{
    static const uint16_t good[3] = {0, 1, 2};
    static const uint16_t others[3] = {1, 2, 3};
    static const uint16_t unordered[3] = {0, 2, 1};
    static const uint16_t twice[3] = {0, 1, 1};
    static const uint16_t far[3] = {0, 1, 9};
    grp *g = open_curve(0);
    setup s;
    grp_set_key mine[GRP_MY_SETS_MAX];
    grp_prss_cfg cfg = {
        .keys = mine, .committee = good, .committee_count = 3, .me = 0, .name = "k", .beta = beta};
    grp_prss *p = NULL;
    tdsa_err err;

    (void)state;
    make_setup(&s, 4, 1);
    cfg.key_count = keys_of(mine, &s, 0);
    assert_int_equal(grp_prss_new(&p, g, &cfg, &err), TDSA_OK);
    grp_prss_free(p);
    cfg.committee = others;
    assert_int_equal(grp_prss_new(&p, g, &cfg, &err), TDSA_E_BAD_INPUT);
    assert_null(p);
    cfg.committee = unordered;
    assert_int_equal(grp_prss_new(&p, g, &cfg, &err), TDSA_E_BAD_INPUT);
    cfg.committee = twice;
    assert_int_equal(grp_prss_new(&p, g, &cfg, &err), TDSA_E_BAD_INPUT);
    cfg.committee = far;
    assert_int_equal(grp_prss_new(&p, g, &cfg, &err), TDSA_E_BAD_INPUT);
    cfg.committee = good;
    cfg.committee_count = 2;
    assert_int_equal(grp_prss_new(&p, g, &cfg, &err), TDSA_E_BAD_INPUT);
    cfg.committee_count = 3;
    cfg.key_count = 1; /* a key is missing: the share would be wrong */
    assert_int_equal(grp_prss_new(&p, g, &cfg, &err), TDSA_E_BAD_INPUT);
    cfg.keys = &s.keys[3]; /* a set without me */
    assert_int_equal(grp_prss_new(&p, g, &cfg, &err), TDSA_E_BAD_INPUT);
    grp_prss_free(NULL);
    grp_close(g);
}

static void one_set_key_twice_is_refused(void **state)
{
    static const uint16_t committee[3] = {0, 1, 2};
    grp *g = open_curve(0);
    setup s;
    grp_set_key mine[GRP_MY_SETS_MAX];
    grp_prss_cfg cfg = {.keys = mine,
                        .key_count = 2,
                        .committee = committee,
                        .committee_count = 3,
                        .me = 0,
                        .name = "k",
                        .beta = beta};
    grp_prss *p = NULL;
    tdsa_err err;

    (void)state;
    make_setup(&s, 3, 1);
    (void)keys_of(mine, &s, 0);
    mine[1] = mine[0];
    assert_int_equal(grp_prss_new(&p, g, &cfg, &err), TDSA_E_BAD_INPUT);
    assert_null(p);
    grp_close(g);
}

static void shares_refuse_indices_beyond_any_batch(void **state)
{
    static const uint16_t committee[3] = {0, 1, 2};
    grp *g = open_curve(0);
    setup s;
    grp_set_key mine[GRP_MY_SETS_MAX];
    grp_prss_cfg cfg = {.keys = mine,
                        .committee = committee,
                        .committee_count = 3,
                        .me = 0,
                        .name = "k",
                        .beta = beta};
    grp_prss *p = NULL;
    grp_scalar out;
    tdsa_err err;

    (void)state;
    make_setup(&s, 3, 1);
    cfg.key_count = keys_of(mine, &s, 0);
    assert_int_equal(grp_prss_new(&p, g, &cfg, &err), TDSA_OK);
    assert_int_equal(grp_prss_shares(p, &out, UINT64_MAX, 1, &err), TDSA_E_BAD_INPUT);
    assert_true(grp_scalar_is_zero(g, &out));
    grp_prss_free(p);
    grp_close(g);
}

static void pads_weighted_with_lambda_cancel(void **state)
{
    static const uint16_t committee[5] = {0, 2, 3, 5, 8};
    static const char *const words[] = {"mu", "nu", "z"};
    uint8_t transcript[64];

    (void)state;
    memset(transcript, 0x5a, sizeof transcript);
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        grp *g = open_curve(c);
        setup s;
        grp_scalar lambda[5];
        tdsa_err err;

        make_setup(&s, 9, 2);
        grp_lagrange(g, lambda, committee, 5);
        for (size_t w = 0; w < 3; w++) {
            grp_scalar sum;

            grp_scalar_set_u64(g, &sum, 0);
            for (size_t j = 0; j < 5; j++) {
                uint8_t keys[5][32];
                const grp_pad_cfg cfg = {.committee = committee,
                                         .committee_count = 5,
                                         .me = committee[j],
                                         .pair_keys = (const uint8_t(*)[32])keys,
                                         .word = words[w],
                                         .transcript = transcript};
                grp_scalar pad;
                grp_scalar again;
                grp_pad_cfg ready = cfg;
                grp_pad_keys *prepared = NULL;

                for (size_t i = 0; i < 5; i++) {
                    memcpy(keys[i], s.pair[committee[j]][committee[i]], 32);
                }
                assert_int_equal(grp_pad(g, &pad, &cfg, &err), TDSA_OK);
                assert_int_equal(grp_pad_keys_new(&prepared, g, &cfg, &err), TDSA_OK);
                ready.prepared = prepared;
                ready.pair_keys = NULL;
                assert_int_equal(grp_pad(g, &again, &ready, &err), TDSA_OK);
                assert_true(grp_scalar_equal(g, &pad, &again));
                grp_pad_keys_free(prepared);
                assert_false(grp_scalar_is_zero(g, &pad));
                grp_scalar_mul(g, &pad, &pad, &lambda[j]);
                grp_scalar_add(g, &sum, &sum, &pad);
            }
            assert_true(grp_scalar_is_zero(g, &sum));
        }
        grp_close(g);
    }
}

static void pad_refuses_a_stranger(void **state)
{
    static const uint16_t committee[3] = {0, 1, 2};
    static const uint8_t keys[3][32];
    static const uint8_t transcript[64];
    const grp_pad_cfg cfg = {.committee = committee,
                             .committee_count = 3,
                             .me = 4,
                             .pair_keys = keys,
                             .word = "mu",
                             .transcript = transcript};
    grp *g = open_curve(0);
    grp_scalar pad;
    grp_pad_keys *prepared = NULL;
    tdsa_err err;

    (void)state;
    assert_int_equal(grp_pad_keys_new(&prepared, g, &cfg, &err), TDSA_E_BAD_INPUT);
    assert_null(prepared);
    grp_pad_keys_free(NULL);
    assert_int_equal(grp_pad(g, &pad, &cfg, &err), TDSA_E_BAD_INPUT);
    assert_true(grp_scalar_is_zero(g, &pad));
    grp_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_lie_on_one_polynomial_of_degree_t),
        cmocka_unit_test(a_range_equals_its_single_values),
        cmocka_unit_test(names_give_unrelated_values),
        cmocka_unit_test(new_refuses_bad_committees_and_missing_keys),
        cmocka_unit_test(one_set_key_twice_is_refused),
        cmocka_unit_test(shares_refuse_indices_beyond_any_batch),
        cmocka_unit_test(pads_weighted_with_lambda_cancel),
        cmocka_unit_test(pad_refuses_a_stranger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
