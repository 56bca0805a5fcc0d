#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/sim_internal.h"

/* Reshare on virtual time: the key stays, one epoch is in use, the earlier shares go. */

static const part_reshare_spec REFRESH = {.member_count = 0};

static void generate(sim *s, uint16_t who, char *key_id)
{
    tdsa_err err;

    if (sim_keygen(s, who, GRP_P256, key_id, &err) != TDSA_OK) {
        sim_fail(s, "keygen", err.text);
    }
}

static void must_sign(sim *s, uint16_t who, const char *key_id)
{
    uint8_t digest[32];
    part_sign_result sig;
    tdsa_err err;

    memset(digest, 1 + (int)sim_random(s, 255), sizeof digest);
    if (sim_sign(s, who, key_id, digest, &sig, &err) != TDSA_OK) {
        sim_fail(s, "I3: an ACTIVE key does not sign", err.text);
    }
    sim_check_signature(s, who, key_id, digest, &sig);
}

static void must_reshare(sim *s, uint16_t who, const char *key_id, const part_reshare_spec *spec)
{
    tdsa_err err;

    if (sim_reshare(s, who, key_id, spec, &err) != TDSA_OK) {
        sim_fail(s, "reshare", err.text);
    }
}

/* -1: the key is not there; else the epoch in use. */
static int epoch_at(sim *s, uint16_t i, const char *key_id)
{
    ks_key *row = NULL;
    tdsa_err err;
    int epoch = -1;

    if (ks_key_get(sim_store(s, i), key_id, &row, &err) == TDSA_OK && row->state == KS_KEY_ACTIVE) {
        epoch = (int)row->epoch;
    }
    ks_key_free(row);
    return epoch;
}

typedef struct {
    const char *key_id;
    unsigned count;
} row_count;

static bool count_row(void *ctx, const ks_key *row)
{
    row_count *c = ctx;

    c->count += strcmp(row->key_id, c->key_id) == 0 ? 1u : 0u;
    return true;
}

static unsigned rows_at(sim *s, uint16_t i, const char *key_id, ks_key_state state)
{
    row_count c = {.key_id = key_id};
    tdsa_err err;

    assert_int_equal(ks_key_each_in(sim_store(s, i), state, count_row, &c, &err), TDSA_OK);
    return c.count;
}

/* Everybody of `members` uses this epoch, and nothing else of the key is anywhere. */
static void only_epoch(sim *s, uint16_t n, const char *key_id, int epoch, uint32_t members)
{
    for (uint16_t i = 0; i < n; i++) {
        assert_int_equal(epoch_at(s, i, key_id), (members >> i & 1) != 0 ? epoch : -1);
        assert_int_equal(rows_at(s, i, key_id, KS_KEY_PENDING), 0);
        assert_int_equal(rows_at(s, i, key_id, KS_KEY_OLD), 0);
    }
}

static uint64_t stock(sim *s, uint16_t i, const char *key_id)
{
    uint64_t count = 0;
    tdsa_err err;

    assert_int_equal(part_stock(sim_part(s, i), key_id, &count, &err), TDSA_OK);
    return count;
}

static void presign(sim *s, uint16_t i, const char *key_id)
{
    part_result none;
    tdsa_err err;

    if (sim_finish(s, i, part_start_presign(sim_part(s, i), key_id, 16, 0, &err), &none, &err) !=
        TDSA_OK) {
        sim_fail(s, "presign", err.text);
    }
}

static void a_refresh_voids_presignatures_and_signs_on(void **state)
{
    (void)state;
    for (unsigned client = 0; client < 2; client++) {
        const sim_cfg cfg = {
            .seed = 71, .n = 3, .t = 1, .with_client = client == 1, .delay_max_ms = 5};
        sim *s = sim_new(&cfg);
        char key_id[KS_KEY_ID_MAX + 1];
        part_key_info before;
        part_key_info after;
        tdsa_err err;

        generate(s, 0, key_id);
        must_sign(s, 0, key_id);
        must_sign(s, 0, key_id);
        assert_int_equal(part_key_describe(sim_part(s, 0), key_id, &before, &err), TDSA_OK);
        for (int epoch = 1; epoch <= 3; epoch++) {
            presign(s, 0, key_id);
            assert_true(stock(s, 0, key_id) > 0);
            must_reshare(s, 0, key_id, &REFRESH);
            only_epoch(s, 3, key_id, epoch, 7);
            assert_int_equal(stock(s, 0, key_id), 0);
            must_sign(s, 0, key_id);
            must_sign(s, 0, key_id);
        }
        assert_int_equal(part_key_describe(sim_part(s, 0), key_id, &after, &err), TDSA_OK);
        assert_memory_equal(before.public_key, after.public_key, before.public_key_len);
        assert_memory_equal(before.chain_code, after.chain_code, 32);
        assert_int_equal(after.epoch, 3);
        assert_string_equal(after.label, before.label);
        sim_free(s);
    }
}

static void five_become_three_and_five_again(void **state)
{
    const sim_cfg cfg = {.seed = 72, .n = 5, .t = 2, .delay_max_ms = 5};
    const part_reshare_spec fewer = {.members = {0, 2, 4}, .member_count = 3, .t = 1};
    const part_reshare_spec others = {.members = {1, 2, 3}, .member_count = 3};
    const part_reshare_spec all = {.members = {0, 1, 2, 3, 4}, .member_count = 5, .t = 2};
    sim *s = sim_new(&cfg);
    char key_id[KS_KEY_ID_MAX + 1];

    (void)state;
    generate(s, 1, key_id);
    must_reshare(s, 1, key_id, &fewer); /* the coordinator leaves */
    only_epoch(s, 5, key_id, 1, 0x15);
    must_sign(s, 4, key_id);
    must_sign(s, 0, key_id);
    must_reshare(s, 2, key_id, &others);
    only_epoch(s, 5, key_id, 2, 0x0e);
    must_sign(s, 3, key_id);
    must_reshare(s, 2, key_id, &all);
    only_epoch(s, 5, key_id, 3, 0x1f);
    must_sign(s, 0, key_id);
    must_sign(s, 4, key_id);
    sim_free(s);
}

/* Who is down does not deal; who is down and is to get a share is waited for in vain. */
static void old_members_that_are_down_are_left_out(void **state)
{
    const sim_cfg cfg = {.seed = 73, .n = 5, .t = 1, .delay_max_ms = 5};
    const part_reshare_spec without = {.members = {0, 1, 2}, .member_count = 3};
    sim *s = sim_new(&cfg);
    char key_id[KS_KEY_ID_MAX + 1];
    tdsa_err err;

    (void)state;
    generate(s, 0, key_id);
    sim_crash(s, 3);
    assert_int_equal(sim_reshare(s, 0, key_id, &REFRESH, &err), TDSA_E_UNAVAILABLE);
    assert_int_equal(err.participant, 3);
    must_reshare(s, 0, key_id, &without);
    must_sign(s, 0, key_id);
    assert_int_equal(epoch_at(s, 1, key_id), 1);
    assert_int_equal(epoch_at(s, 3, key_id), 0); /* it does not know; nobody signs with it */
    sim_start(s, 3);
    sim_idle(s, 1000);
    assert_int_not_equal(
        sim_sign(s, 3, key_id, (const uint8_t[32]){1}, &(part_sign_result){0}, &err), TDSA_OK);
    /* the next reshare takes it in again: it compares the key with its own record */
    must_reshare(s, 0, key_id, &(part_reshare_spec){.members = {0, 1, 2, 3, 4}, .member_count = 5});
    only_epoch(s, 5, key_id, 2, 0x1f);
    must_sign(s, 3, key_id);
    sim_free(s);
}

static void what_is_not_allowed_is_refused(void **state)
{
    const sim_cfg cfg = {.seed = 74, .n = 3, .t = 1, .with_client = true, .delay_max_ms = 5};
    const part_reshare_spec bad[] = {
        {.members = {0, 1}, .member_count = 2},
        {.members = {0, 2, 1}, .member_count = 3},
        {.members = {0, 1, 3}, .member_count = 3},
        {.members = {0, 1, 1}, .member_count = 3},
        {.members = {0, 1, 2}, .member_count = 3, .t = 2},
        {.t = 2},
        {.t = 77},
        {.member_count = 99},
    };
    sim *s = sim_new(&cfg);
    char key_id[KS_KEY_ID_MAX + 1];
    tdsa_err err;

    (void)state;
    generate(s, 0, key_id);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(sim_reshare(s, 0, key_id, &bad[i], &err), TDSA_E_BAD_INPUT);
    }
    assert_int_equal(sim_reshare(s, 1, key_id, &REFRESH, &err), TDSA_E_CONFLICT);
    assert_int_equal(sim_reshare(s, 0, "none", &REFRESH, &err), TDSA_E_NOT_FOUND);
    assert_int_equal(sim_reshare(s, 0, "a b", &REFRESH, &err), TDSA_E_NOT_FOUND);
    only_epoch(s, 3, key_id, 0, 7);
    must_sign(s, 0, key_id);
    sim_free(s);
}

/* It answers, but its database is empty: it gets a share like one that never had the key. */
static void a_member_that_lost_its_key_gets_a_new_share(void **state)
{
    const sim_cfg cfg = {.seed = 75, .n = 3, .t = 1, .delay_max_ms = 5};
    sim *s = sim_new(&cfg);
    char key_id[KS_KEY_ID_MAX + 1];
    tdsa_err err;

    (void)state;
    generate(s, 0, key_id);
    sim_key_of(s, key_id)->deleted = true; /* the loss is meant */
    assert_int_equal(ks_key_delete(sim_store(s, 2), key_id, false, &err), TDSA_OK);
    must_reshare(s, 0, key_id, &REFRESH);
    only_epoch(s, 3, key_id, 1, 7);
    must_sign(s, 2, key_id);
    assert_int_equal(ks_key_delete(sim_store(s, 1), key_id, false, &err), TDSA_OK);
    assert_int_equal(ks_key_delete(sim_store(s, 2), key_id, false, &err), TDSA_OK);
    assert_int_equal(sim_reshare(s, 0, key_id, &REFRESH, &err), TDSA_E_UNAVAILABLE);
    assert_non_null(strstr(err.text, "1 members of the old epoch are there with their shares"));
    sim_free(s);
}

static void disable_reshare_is_honoured_on_both_sides(void **state)
{
    const sim_cfg cfg = {.seed = 76, .n = 3, .t = 1, .with_client = true, .delay_max_ms = 5};

    (void)state;
    for (uint16_t who = 0; who < 3; who++) {
        sim *s = sim_new(&cfg);
        char key_id[KS_KEY_ID_MAX + 1];
        tdsa_err err;

        generate(s, 0, key_id);
        sim_part(s, who)->cfg.disable_reshare = true;
        assert_int_equal(sim_reshare(s, 0, key_id, &REFRESH, &err), TDSA_E_DENIED);
        assert_non_null(strstr(err.text, "disableReshare"));
        sim_part(s, who)->cfg.disable_reshare = false;
        must_sign(s, 0, key_id); /* refused before anything was stored: the next one goes */
        must_reshare(s, 0, key_id, &REFRESH);
        only_epoch(s, 3, key_id, 1, 7);
        sim_free(s);
    }
}

static void a_key_whose_policy_forbids_it_is_not_reshared(void **state)
{
    const sim_cfg cfg = {.seed = 77, .n = 3, .t = 1, .delay_max_ms = 5};
    part_key_spec spec = {.curve = GRP_P256, .presignature_limit = PART_LIMIT_DEFAULT};
    sim *s = sim_new(&cfg);
    char key_id[KS_KEY_ID_MAX + 1];
    part_result none;
    tdsa_err err;

    (void)state;
    spec.policy = part_policy_default(GRP_P256, MPC_SCHEME_ECDSA);
    spec.policy.reshare = false;
    assert_int_equal(
        sim_finish(s, 0, part_start_register(sim_part(s, 0), &spec, 0, key_id, &err), &none, &err),
        TDSA_OK);
    assert_int_equal(sim_reshare(s, 0, key_id, &REFRESH, &err), TDSA_E_NOT_FOUND);
    assert_int_equal(
        sim_finish(s, 0, part_start_keygen(sim_part(s, 0), key_id, 0, &err), &none, &err), TDSA_OK);
    assert_int_equal(sim_reshare(s, 0, key_id, &REFRESH, &err), TDSA_E_DENIED);
    only_epoch(s, 3, key_id, 0, 7);
    must_sign(s, 1, key_id);
    sim_free(s);
}

/* A coordinator that looks at an old record is told so, and looks again. */
static void another_epoch_is_refused_and_looked_up(void **state)
{
    const sim_cfg cfg = {
        .seed = 78, .n = 3, .t = 1, .with_client = true, .clients = 2, .delay_max_ms = 5};
    uint8_t digest[32] = {1};
    part_sign_result sig;
    sim *s = sim_new(&cfg);
    char key_id[KS_KEY_ID_MAX + 1];
    tdsa_err err;

    (void)state;
    generate(s, 0, key_id);
    must_sign(s, 0, key_id);
    must_sign(s, 3, key_id); /* another process of the client has the key in memory now */
    must_reshare(s, 0, key_id, &REFRESH);
    must_sign(s, 0, key_id);
    assert_int_equal(sim_sign(s, 3, key_id, digest, &sig, &err), TDSA_E_CONFLICT);
    assert_non_null(strstr(err.text, "EPOCH"));
    must_sign(s, 3, key_id);
    sim_free(s);
}

/* ---- crashes ---- */

static sim_cfg cfg_of(uint64_t seed)
{
    sim_cfg cfg = {.seed = seed, .n = 3, .t = 1, .with_client = seed % 2 == 0};

    if (seed % 3 == 0) {
        cfg.n = 5;
        cfg.t = seed % 4 == 1 ? 1 : 2;
    }
    cfg.crash_permille = 5 + (unsigned)(seed * 3 % 40);
    cfg.drop_permille = (unsigned)(seed * 7 % 40);
    cfg.torn_permille = (unsigned)(seed * 5 % 30);
    cfg.dup_permille = (unsigned)(seed * 5 % 60);
    cfg.delay_max_ms = 1 + (uint32_t)(seed % 20);
    return cfg;
}

static part_reshare_spec any_spec(sim *s, const sim_cfg *cfg)
{
    part_reshare_spec spec = {.member_count = 0};

    if (cfg->n == 5 && sim_random(s, 2) == 0) {
        const uint16_t left_out = (uint16_t)(1 + sim_random(s, 4));

        for (uint16_t i = 0; i < 5; i++) {
            if (i != left_out) {
                spec.members[spec.member_count++] = i;
            }
        }
        spec.t = 1;
    } else if (cfg->n == 5) {
        spec = (part_reshare_spec){.members = {0, 1, 2, 3, 4}, .member_count = 5};
        spec.t = (uint16_t)(1 + sim_random(s, 2));
    }
    return spec;
}

/* After the faults: one epoch at each, the same at its members, and the key signs. */
static void check_settled(sim *s, const sim_cfg *cfg, const char *key_id)
{
    int newest = -1;
    part_key_info info;
    tdsa_err err;

    for (uint16_t i = 0; i < cfg->n; i++) {
        const int epoch = epoch_at(s, i, key_id);

        newest = epoch > newest ? epoch : newest;
        if (rows_at(s, i, key_id, KS_KEY_PENDING) != 0) {
            sim_fail(s, "an epoch in the making is left", key_id);
        }
        if (rows_at(s, i, key_id, KS_KEY_OLD) != 0) {
            sim_fail(s, "shares of an earlier epoch are left", key_id);
        }
    }
    assert_true(newest >= 0);
    for (uint16_t i = 0; i < cfg->n; i++) {
        if (epoch_at(s, i, key_id) != newest ||
            part_key_describe(sim_part(s, i), key_id, &info, &err) != TDSA_OK ||
            (cfg->with_client && i != 0)) {
            continue;
        }
        must_sign(s, i, key_id);
        must_sign(s, i, key_id);
    }
}

static void live(uint64_t seed)
{
    const sim_cfg cfg = cfg_of(seed);
    const sim_cfg calm = {.seed = seed,
                          .n = cfg.n,
                          .t = cfg.t,
                          .with_client = cfg.with_client,
                          .delay_max_ms = cfg.delay_max_ms};
    char key_id[KS_KEY_ID_MAX + 1];
    uint8_t digest[32] = {0};
    part_sign_result sig;
    tdsa_err err;
    sim *s = sim_new(&calm);

    generate(s, 0, key_id);
    s->cfg = cfg;
    for (unsigned i = 0; i < 8; i++) {
        const part_reshare_spec spec = any_spec(s, &cfg);
        const uint16_t who = cfg.with_client ? 0 : (uint16_t)sim_random(s, cfg.n);

        if (!sim_is_up(s, who)) {
            sim_idle(s, 50);
            sim_start(s, who);
        }
        digest[0] = (uint8_t)i;
        if (sim_is_up(s, who)) {
            (void)sim_reshare(s, who, key_id, &spec, &err);
        }
        if (sim_is_up(s, who) && sim_sign(s, who, key_id, digest, &sig, &err) == TDSA_OK &&
            sim_is_up(s, who)) {
            sim_check_signature(s, who, key_id, digest, &sig);
        }
    }
    sim_heal(s);
    sim_idle(s, 600000);
    check_settled(s, &cfg, key_id);
    sim_free(s);
}

static void crashes_at_any_step_leave_one_epoch_that_signs(void **state)
{
    const char *one = getenv("TDSA_SIM_SEED");
    const char *many = getenv("TDSA_SIM_COUNT");
    const uint64_t count = many == NULL ? 6 : strtoull(many, NULL, 10);

    (void)state;
    if (one != NULL) {
        live(strtoull(one, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= count; seed++) {
        live(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refresh_voids_presignatures_and_signs_on),
        cmocka_unit_test(five_become_three_and_five_again),
        cmocka_unit_test(old_members_that_are_down_are_left_out),
        cmocka_unit_test(what_is_not_allowed_is_refused),
        cmocka_unit_test(a_member_that_lost_its_key_gets_a_new_share),
        cmocka_unit_test(disable_reshare_is_honoured_on_both_sides),
        cmocka_unit_test(a_key_whose_policy_forbids_it_is_not_reshared),
        cmocka_unit_test(another_epoch_is_refused_and_looked_up),
        cmocka_unit_test(crashes_at_any_step_leave_one_epoch_that_signs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
