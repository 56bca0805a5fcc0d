#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/statement.h"
#include "keygen_fixture.h"

/* The other rounds of key generation: inputs, sid, reports, R4, and who may speak when. */

static void exact_length_before_anything(void **state)
{
    static const tamper_kind kinds[] = {TAMPER_CUT, TAMPER_APPEND};
    fixture f;

    (void)state;
    set_up(&f);
    for (unsigned round = 0; round < MPC_KEYGEN_ROUNDS; round++) {
        for (size_t i = 0; i < 2; i++) {
            f.t.round = round;
            f.t.kind = kinds[i];
            if (round == R_DEAL) {
                complains(&f, "wrong length");
            } else {
                blames_sender(&f, "bytes, ");
            }
        }
    }
    run_clear(&f.r);
}

static void a_wrong_tag_is_blamed(void **state)
{
    fixture f;

    (void)state;
    set_up(&f);
    f.t.offset = 5;
    for (unsigned round = 0; round < MPC_KEYGEN_ROUNDS; round++) {
        f.t.round = round;
        if (round == R_DEAL) {
            complains(&f, "malformed");
        } else {
            blames_sender(&f, "participant 1");
        }
    }
    run_clear(&f.r);
}

static void other_inputs_are_blamed(void **state)
{
    fixture f;

    (void)state;
    set_up(&f);
    f.t.round = R_RANDOM;
    f.t.offset = 11 + 5;
    blames_sender(&f, "participant 1 has other inputs");
    run_clear(&f.r);
}

/* Runs with configurations that differ in one field: they part in the first round. */
static void every_input_is_compared(void **state)
{
    fixture f;

    (void)state;
    for (unsigned field = 0; field < 10; field++) {
        set_up(&f);
        f.r.hook = NULL;
        for (uint16_t i = 0; i < 3; i++) {
            mpc_keygen_cfg cfg = run_keygen_cfg(&f.r, i, i == 1 && field == 0 ? "other" : KEY_ID);
            mpc_member members[3];

            memcpy(members, f.r.members, sizeof members);
            cfg.members = members;
            members[2].x25519[31] ^= (uint8_t)(i == 1 && field == 1);
            members[0].x448[0] ^= (uint8_t)(i == 1 && field == 2);
            cfg.policy.purpose = i == 1 && field == 3 ? MPC_PURPOSE_MESSAGE : MPC_PURPOSE_DIGEST;
            cfg.policy.derivation = i == 1 && field == 4 ? MPC_DERIVE_BIP32 : MPC_DERIVE_NONE;
            cfg.policy.min_path += i == 1 && field == 5;
            cfg.policy.exportable = i == 1 && field == 6;
            cfg.policy.reshare = i == 1 && field == 7;
            cfg.policy.low_s = i == 1 && field == 8;
            cfg.policy.digests ^= i == 1 && field == 9 ? 1u << TDSA_HASH_SHA384 : 0;
            assert_int_equal(mpc_keygen_new(&f.r.keygen[i], &cfg, &f.r.err[i]), TDSA_OK);
            f.r.status[i] = TDSA_OK;
        }
        assert_int_equal(run_keygen_drive(&f.r), 0);
        assert_dead(&f.r, 0, TDSA_E_PROTOCOL, 1, "other inputs");
        assert_dead(&f.r, 2, TDSA_E_PROTOCOL, 1, "other inputs");
        assert_int_equal(f.r.err[1].status, TDSA_E_PROTOCOL);
        run_clear(&f.r);
    }
}

/* 1 tells 0 another random value than 2: both see that sid differs, nobody knows who lied. */
static void a_split_random_value_aborts_before_any_share_is_sent(void **state)
{
    fixture f;

    (void)state;
    set_up(&f);
    f.t.round = R_RANDOM;
    f.t.offset = 1;
    f.t.from_end = true;
    assert_int_equal(run_keygen(&f.r, KEY_ID), 0);
    assert_dead(&f.r, 0, TDSA_E_PROTOCOL, TDSA_NOBODY, "sid differs between participants 1");
    assert_int_equal(f.r.status[2], TDSA_E_PROTOCOL);
    assert_int_equal(mpc_keygen_round(f.r.keygen[0]), R_COMMIT);
    assert_int_equal(mpc_keygen_round(f.r.keygen[2]), R_COMMIT);
    run_clear(&f.r);
}

static void a_wrong_sid_aborts(void **state)
{
    fixture f;

    (void)state;
    set_up(&f);
    f.t.round = R_COMMIT;
    f.t.offset = 11 + 5;
    assert_int_equal(run_keygen(&f.r, KEY_ID), 0);
    assert_dead(&f.r, 0, TDSA_E_PROTOCOL, TDSA_NOBODY, "sid differs between participants 1");
    run_clear(&f.r);
}

/* ---- reports ---- */

static void a_wrong_view_aborts(void **state)
{
    fixture f;

    (void)state;
    set_up(&f);
    f.t.round = R_REPORT;
    f.t.offset = 11 + 5;
    assert_int_equal(run_keygen(&f.r, KEY_ID), 0);
    assert_dead(&f.r, 0, TDSA_E_PROTOCOL, TDSA_NOBODY, "participants 1 and 0 saw different");
    run_clear(&f.r);
}

static void a_wrong_confirm_blames_its_sender(void **state)
{
    fixture f;

    (void)state;
    set_up(&f);
    f.t.round = R_REPORT;
    f.t.from_end = true;
    f.t.offset = 1; /* of the pair */
    blames_sender(&f, "confirms other keys");
    f.t.offset = 69 + 1; /* of the set */
    blames_sender(&f, "confirms other keys");
    assert_int_not_equal(f.r.status[2], TDSA_E_PROTOCOL); /* waits for 0, which sends no R4 */
    assert_null(f.r.key[2]);
    run_clear(&f.r);
}

static void put_complaint(tdsa_buf *b, const uint8_t view[64], uint64_t dealer, uint64_t reason)
{
    size_t list = 0;

    tdsa_stmt_begin(b, "report");
    tdsa_stmt_octets(b, view, 64);
    list = tdsa_stmt_list_begin(b);
    tdsa_stmt_uint(b, dealer);
    tdsa_stmt_uint(b, reason);
    tdsa_stmt_list_end(b, list);
    list = tdsa_stmt_list_begin(b);
    tdsa_stmt_list_end(b, list);
}

static void a_complaint_aborts_and_names_the_pair(void **state)
{
    static const uint8_t view[64] = {0};
    fixture f;

    (void)state;
    set_up(&f);
    f.t.round = R_REPORT;
    f.t.kind = TAMPER_REPLACE;
    f.t.to = ANYBODY;
    put_complaint(&f.t.bytes, view, 2, KEYGEN_BAD_SHARE);
    assert_int_equal(run_keygen(&f.r, KEY_ID), 0);
    assert_dead(&f.r, 0, TDSA_E_PROTOCOL, TDSA_NOBODY,
                "participant 1 complains about participant 2");
    assert_dead(&f.r, 2, TDSA_E_PROTOCOL, TDSA_NOBODY, "the share does not fit");
    tdsa_buf_clear(&f.t.bytes);
    run_clear(&f.r);
}

static void a_complaint_about_nobody_is_blamed(void **state)
{
    static const uint64_t bad[][2] = {{3, 1}, {0, 0}, {0, 9}, {UINT64_MAX, 1}, {0, UINT64_MAX}};
    static const uint8_t view[64] = {0};
    fixture f;

    (void)state;
    set_up(&f);
    f.t.round = R_REPORT;
    f.t.kind = TAMPER_REPLACE;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        put_complaint(&f.t.bytes, view, bad[i][0], bad[i][1]);
        blames_sender(&f, "names no dealer");
        tdsa_buf_clear(&f.t.bytes);
    }
    run_clear(&f.r);
}

/* ---- R4 ---- */

static void a_different_stored_digest_is_blamed(void **state)
{
    fixture f;

    (void)state;
    set_up(&f);
    f.t.round = R_STORED;
    f.t.from_end = true;
    f.t.offset = 1;
    blames_sender(&f, "stored another key");
    run_clear(&f.r);
}

static void nothing_is_sent_before_the_key_is_stored(void **state)
{
    fixture f;
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    tdsa_err err;

    (void)state;
    set_up(&f);
    f.t.round = R_REPORT;
    f.t.kind = TAMPER_DROP;
    (void)run_keygen(&f.r, KEY_ID);
    assert_int_equal(mpc_keygen_round(f.r.keygen[2]), R_STORED);
    f.r.keygen[2]->stored = false;
    assert_int_equal(mpc_keygen_send(f.r.keygen[2], 0, &out, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(out.len, 0);
    mpc_keygen_mark_stored(f.r.keygen[2]);
    assert_int_equal(mpc_keygen_send(f.r.keygen[2], 0, &out, &err), TDSA_OK);
    run_clear(&f.r);
}

/* ---- who may speak, and when ---- */

static void a_second_message_of_one_round_is_refused(void **state)
{
    fixture f;
    TDSA_SCOPED_BUF m = TDSA_BUF_EMPTY;
    mpc_keygen *run[3];
    tdsa_err err;

    (void)state;
    set_up(&f);
    for (uint16_t i = 0; i < 3; i++) {
        const mpc_keygen_cfg cfg = run_keygen_cfg(&f.r, i, KEY_ID);

        assert_int_equal(mpc_keygen_new(&run[i], &cfg, &err), TDSA_OK);
    }
    assert_int_equal(mpc_keygen_send(run[1], 0, &m, &err), TDSA_OK);
    assert_false(mpc_keygen_has(run[0], 1));
    assert_int_equal(mpc_keygen_take(run[0], 1, m.data, m.len, &err), TDSA_OK);
    assert_true(mpc_keygen_has(run[0], 1));
    assert_int_equal(mpc_keygen_take(run[0], 1, m.data, m.len, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(mpc_keygen_take(run[0], 0, m.data, m.len, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(mpc_keygen_take(run[0], 3, m.data, m.len, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(mpc_keygen_take(run[0], 77, m.data, m.len, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(mpc_keygen_send(run[0], 0, &m, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(mpc_keygen_send(run[0], 3, &m, &err), TDSA_E_BAD_INPUT);
    assert_false(mpc_keygen_round_complete(run[0]));
    assert_int_equal(mpc_keygen_advance(run[0], &err), TDSA_E_BAD_INPUT);
    assert_non_null(strstr(err.text, "participant 2 has not spoken"));
    tdsa_buf_reset(&m);
    assert_int_equal(mpc_keygen_send(run[2], 0, &m, &err), TDSA_OK);
    assert_int_equal(mpc_keygen_take(run[0], 2, m.data, m.len, &err), TDSA_OK); /* still alive */
    assert_int_equal(mpc_keygen_advance(run[0], &err), TDSA_OK);
    for (uint16_t i = 0; i < 3; i++) {
        mpc_keygen_free(run[i]);
    }
    run_clear(&f.r);
}

static void the_same_message_is_sent_again(void **state)
{
    fixture f;

    (void)state;
    set_up(&f);
    f.r.hook = NULL;
    for (uint16_t i = 0; i < 3; i++) {
        const mpc_keygen_cfg cfg = run_keygen_cfg(&f.r, i, KEY_ID);

        assert_int_equal(mpc_keygen_new(&f.r.keygen[i], &cfg, &f.r.err[i]), TDSA_OK);
    }
    for (unsigned round = 0; round < MPC_KEYGEN_ROUNDS; round++) {
        for (uint16_t i = 0; i < 9; i++) {
            TDSA_SCOPED_BUF a = TDSA_BUF_EMPTY;
            TDSA_SCOPED_BUF b = TDSA_BUF_EMPTY;
            const uint16_t from = i / 3;
            const uint16_t to = i % 3;
            tdsa_err err;

            if (from != to) {
                assert_int_equal(mpc_keygen_send(f.r.keygen[from], to, &a, &err), TDSA_OK);
                assert_int_equal(mpc_keygen_send(f.r.keygen[from], to, &b, &err), TDSA_OK);
                assert_int_equal(a.len, b.len);
                assert_memory_equal(a.data, b.data, a.len);
                assert_int_equal(mpc_keygen_take(f.r.keygen[to], from, a.data, a.len, &err),
                                 TDSA_OK);
            }
        }
        for (uint16_t i = 0; i < 3; i++) {
            if (round == R_STORED) {
                mpc_keygen_mark_stored(f.r.keygen[i]);
            }
            assert_int_equal(mpc_keygen_advance(f.r.keygen[i], &f.r.err[i]), TDSA_OK);
            if (round + 1 == R_STORED) {
                mpc_keygen_mark_stored(f.r.keygen[i]);
            }
        }
    }
    assert_int_equal(mpc_keygen_take(f.r.keygen[0], 1, (const uint8_t *)"x", 1, &f.r.err[0]),
                     TDSA_E_BAD_INPUT); /* the run is over */
    assert_int_equal(mpc_keygen_advance(f.r.keygen[0], &f.r.err[0]), TDSA_E_BAD_INPUT);
    run_clear(&f.r);
}

/* A deal recorded in one run and played in another. */
static void a_message_of_another_run_is_refused(void **state)
{
    fixture f;
    fixture old;

    (void)state;
    set_up(&old);
    old.t.round = R_DEAL;
    old.r.hook = record_hook;
    assert_int_equal(run_keygen(&old.r, KEY_ID), 3);
    set_up(&f);
    f.t.kind = TAMPER_REPLACE;
    f.t.bytes = old.t.bytes;
    run_clear(&f.r);
    run_init(&f.r, GRP_P256, 3, 1, "another seed");
    f.r.hook = tamper_hook;
    f.r.hook_ctx = &f.t;
    complains(&f, "malformed");
    tdsa_buf_clear(&old.t.bytes);
    run_clear(&old.r);
    run_clear(&f.r);
}

/* The deal of 2 in the name of 1. */
static void a_message_of_another_sender_is_refused(void **state)
{
    fixture f;
    fixture old;

    (void)state;
    set_up(&old);
    old.t.round = R_DEAL;
    old.t.from = 2;
    old.r.hook = record_hook;
    assert_int_equal(run_keygen(&old.r, KEY_ID), 3);
    set_up(&f); /* the same seed: the same run */
    f.t.kind = TAMPER_REPLACE;
    f.t.bytes = old.t.bytes;
    complains(&f, "malformed");
    tdsa_buf_clear(&old.t.bytes);
    run_clear(&old.r);
    run_clear(&f.r);
}

/* ---- configuration ---- */

static void assert_refused(fixture *f, const mpc_keygen_cfg *cfg, const char *text)
{
    mpc_keygen *run = NULL;
    tdsa_err err;

    assert_int_equal(mpc_keygen_new(&run, cfg, &err), TDSA_E_BAD_INPUT);
    assert_null(run);
    assert_int_equal(err.participant, TDSA_NOBODY);
    if (strstr(err.text, text) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", text, err.text);
    }
    (void)f;
}

static void wrong_configurations_are_refused(void **state)
{
    fixture f;
    mpc_member members[GRP_PARTIES_MAX];
    mpc_keygen_cfg good;
    mpc_keygen_cfg cfg;
    char id[MPC_KEY_ID_MAX + 2];

    (void)state;
    set_up(&f);
    good = run_keygen_cfg(&f.r, 0, KEY_ID);
    memcpy(members, f.r.members, sizeof members);
    good.members = members;
#define REFUSED(change, text)           \
    do {                                \
        cfg = good;                     \
        change;                         \
        assert_refused(&f, &cfg, text); \
    } while (0)
    REFUSED(cfg.n = 2, "2t+1");
    REFUSED(cfg.t = 0, "2t+1");
    REFUSED(cfg.t = 2, "2t+1");
    REFUSED(cfg.n = 10, "2t+1");
    REFUSED((cfg.n = 9, cfg.t = 5), "2t+1");
    REFUSED(cfg.me = 3, "not among the members");
    REFUSED(cfg.me = 9, "2t+1");
    REFUSED(cfg.epoch = 1, "epoch 0");
    REFUSED(cfg.key_id = "", "key id");
    REFUSED(cfg.key_id = "a b", "key id");
    REFUSED(cfg.key_id = "k\x80", "key id");
    memset(id, 'a', sizeof id);
    id[MPC_KEY_ID_MAX + 1] = '\0';
    REFUSED(cfg.key_id = id, "key id");
    REFUSED(cfg.policy.digests = 0, "digest");
    REFUSED(cfg.policy.digests = 1u << 6, "digest");
    REFUSED(cfg.policy.digests = 1u << TDSA_HASH_NONE, "digests that are known");
    REFUSED(cfg.scheme = MPC_SCHEME_EDDSA, "cannot have this scheme");
    REFUSED(cfg.policy.min_path = MPC_PATH_MAX + 1, "path length");
    members[1].index = 0;
    REFUSED((void)0, "in order");
#undef REFUSED
    run_clear(&f.r);
}

static tdsa_status dry_fill(void *ctx, uint8_t *out, size_t len, tdsa_err *err)
{
    size_t *left = ctx;

    memset(out, 0x5a, len);
    if (*left < len) {
        return TDSA_FAIL(err, TDSA_E_CRYPTO, "no randomness left");
    }
    *left -= len;
    return TDSA_OK;
}

static void a_dry_generator_ends_the_run(void **state)
{
    fixture f;
    size_t left = 0;
    mpc_keygen *run = NULL;
    mpc_keygen_cfg cfg;
    tdsa_err err;

    (void)state;
    set_up(&f);
    f.r.hook = NULL;
    cfg = run_keygen_cfg(&f.r, 1, KEY_ID);
    cfg.rng = (tdsa_rng){.fill = dry_fill, .ctx = &left};
    assert_int_equal(mpc_keygen_new(&run, &cfg, &err), TDSA_E_CRYPTO);
    assert_null(run);
    for (size_t have = 32; have < 32 + 3 * 48 + 6 * 32; have += 16) {
        left = have;
        assert_int_equal(mpc_keygen_new(&f.r.keygen[1], &cfg, &err), TDSA_OK);
        for (uint16_t i = 0; i < 3; i += 2) {
            const mpc_keygen_cfg other = run_keygen_cfg(&f.r, i, KEY_ID);

            assert_int_equal(mpc_keygen_new(&f.r.keygen[i], &other, &err), TDSA_OK);
        }
        memset(f.r.status, 0, sizeof f.r.status);
        assert_int_equal(run_keygen_drive(&f.r), 0);
        assert_dead(&f.r, 1, TDSA_E_CRYPTO, TDSA_NOBODY, "no randomness left");
        for (uint16_t i = 0; i < 3; i++) {
            mpc_keygen_free(f.r.keygen[i]);
            f.r.keygen[i] = NULL;
        }
    }
    run_clear(&f.r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_length_before_anything),
        cmocka_unit_test(a_wrong_tag_is_blamed),
        cmocka_unit_test(other_inputs_are_blamed),
        cmocka_unit_test(every_input_is_compared),
        cmocka_unit_test(a_split_random_value_aborts_before_any_share_is_sent),
        cmocka_unit_test(a_wrong_sid_aborts),
        cmocka_unit_test(a_wrong_view_aborts),
        cmocka_unit_test(a_wrong_confirm_blames_its_sender),
        cmocka_unit_test(a_complaint_aborts_and_names_the_pair),
        cmocka_unit_test(a_complaint_about_nobody_is_blamed),
        cmocka_unit_test(a_different_stored_digest_is_blamed),
        cmocka_unit_test(nothing_is_sent_before_the_key_is_stored),
        cmocka_unit_test(a_second_message_of_one_round_is_refused),
        cmocka_unit_test(the_same_message_is_sent_again),
        cmocka_unit_test(a_message_of_another_run_is_refused),
        cmocka_unit_test(a_message_of_another_sender_is_refused),
        cmocka_unit_test(wrong_configurations_are_refused),
        cmocka_unit_test(a_dry_generator_ends_the_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
