#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/statement.h"
#include "protocol/keygen_internal.h"
#include "support/protocol_tamper.h"

/*
 * What can go wrong in a reshare, or be made to: nobody ends with a new epoch unless all agree, the
 * culprit is named where it is certain, and the old epoch stays what it was.
 */

#define KEY_ID "ReshareKey000000000000000000"

enum { R_RANDOM, R_COMMIT, R_DEAL, R_REPORT, R_STORED, R_ACTIVE };

typedef struct {
    protocol_run r;
    tamper t;
    run_reshare_spec s;
} fixture;

/* A key of 0, 1, 2 that is reshared to 0, 1, 2, 3: 3 has never seen it. */
static void set_up(fixture *f)
{
    memset(f, 0, sizeof *f);
    run_init(&f->r, GRP_P256, 3, 1, "reshare negative");
    f->r.policy.reshare = true;
    assert_int_equal(run_keygen(&f->r, KEY_ID), 3);
    f->s = (run_reshare_spec){
        .dealers = {0, 1, 2}, .members = {0, 1, 2, 3}, .dealer_count = 3, .n = 4, .t = 1};
    f->t = (tamper){.step = STEP_RESHARE, .from = 1, .to = 0};
    f->r.hook = tamper_hook;
    f->r.hook_ctx = &f->t;
}

/* The old epoch of the last reshare is whole: shares on their polynomial, at the public key. */
static void old_epoch_lives(const fixture *f)
{
    for (uint16_t i = 0; i < 3; i++) {
        const mpc_key *old = mpc_keygen_key(f->r.previous[i]);
        grp_point mine;
        tdsa_err err;

        assert_int_equal(grp_mul_base(f->r.g, &mine, &old->sec->share, &err), TDSA_OK);
        assert_true(grp_point_equal(f->r.g, &mine, &old->pub.x[i]));
    }
}

static void assert_dead(const fixture *f, uint16_t who, int culprit, const char *text)
{
    const uint8_t zero[sizeof(keygen_secret)] = {0};

    assert_int_equal(f->r.status[who], TDSA_E_PROTOCOL);
    if (strstr(f->r.err[who].text, text) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", text, f->r.err[who].text);
    }
    assert_int_equal(f->r.err[who].participant, culprit);
    assert_null(f->r.key[who]);
    assert_memory_equal(f->r.keygen[who]->sec, zero, sizeof zero);
}

/* One tampered message: `who` dies, naming the culprit; nobody finishes. */
static void dies(fixture *f, uint16_t who, int culprit, const char *text)
{
    assert_int_equal(run_reshare(&f->r, &f->s), 0);
    assert_int_equal(f->t.hits, 1);
    assert_dead(f, who, culprit, text);
    old_epoch_lives(f);
    run_clear(&f->r);
}

/* All runs are made, one is changed from inside, then all go on. */
static void prepare(fixture *f)
{
    run_reshare_begin(&f->r);
    for (uint16_t i = 0; i < 4; i++) {
        run_reshare_setup setup;

        run_reshare_prepare(&f->r, i, &f->s, &setup);
        assert_int_equal(mpc_reshare_new(&f->r.keygen[i], &setup.cfg, &f->r.err[i]), TDSA_OK);
    }
}

/* ---- dealings ---- */

/* Everything fits together, but the dealing is not of the old share: the key would change. */
static void a_dealing_of_another_constant_is_seen_by_all(void **state)
{
    fixture f;
    grp_scalar one;

    (void)state;
    set_up(&f);
    f.r.hook = NULL;
    prepare(&f);
    grp_scalar_set_u64(f.r.g, &one, 1);
    grp_scalar_add(f.r.g, &f.r.keygen[1]->sec->old_share, &f.r.keygen[1]->sec->old_share, &one);
    assert_int_equal(run_reshare_drive(&f.r), 0);
    assert_dead(&f, 0, 1, "not of its share of the old epoch");
    assert_dead(&f, 3, 1, "not of its share of the old epoch"); /* it never had the key */
    old_epoch_lives(&f);
    run_clear(&f.r);
}

/* In a refresh the constant is left out, and must be 0. */
static void a_refresh_with_a_constant_is_refused(void **state)
{
    fixture f;

    (void)state;
    set_up(&f);
    f.r.hook = NULL;
    f.s.n = 3;
    run_reshare_begin(&f.r);
    for (uint16_t i = 0; i < 3; i++) {
        run_reshare_setup setup;

        run_reshare_prepare(&f.r, i, &f.s, &setup);
        assert_int_equal(mpc_reshare_new(&f.r.keygen[i], &setup.cfg, &f.r.err[i]), TDSA_OK);
        assert_int_equal(f.r.keygen[i]->kind, KEYGEN_REFRESH);
    }
    run_reshare_rounds(&f.r, R_RANDOM, R_DEAL);
    grp_scalar_set_u64(f.r.g, &f.r.keygen[1]->sec->f.coeff[0], 5); /* after its commitments */
    run_reshare_rounds(&f.r, R_DEAL, MPC_RESHARE_ROUNDS);
    assert_dead(&f, 0, 1, "the share does not fit");
    assert_dead(&f, 2, 1, "the share does not fit");
    old_epoch_lives(&f);
    run_clear(&f.r);
}

static void a_substituted_share_is_complained_about(void **state)
{
    fixture f;

    (void)state;
    set_up(&f);
    f.t.round = R_DEAL;
    f.t.from_end = true;
    f.t.offset = 3 * 37 + 32 + 5 + 5 + 1; /* behind it: cc absent, list of 2 sets and a pair */
    assert_int_equal(run_reshare(&f.r, &f.s), 0);
    assert_int_equal(f.t.hits, 1);
    assert_int_equal(f.r.status[0], TDSA_E_PROTOCOL);
    assert_int_equal(f.r.err[0].participant, 1);
    assert_dead(&f, 2, TDSA_NOBODY, "participant 0 complains about participant 1");
    assert_dead(&f, 3, TDSA_NOBODY, "participant 0 complains about participant 1");
    old_epoch_lives(&f);
    run_clear(&f.r);
}

/* One commitment more would raise the threshold. */
static void a_longer_vector_is_complained_about(void **state)
{
    fixture f;

    (void)state;
    set_up(&f);
    f.t.round = R_DEAL;
    f.t.kind = TAMPER_APPEND;
    dies(&f, 0, 1, "wrong length");
}

/* The coordinator tells one participant another threshold. */
static void another_threshold_shows_in_the_first_round(void **state)
{
    fixture f;
    run_reshare_setup setup;

    (void)state;
    set_up(&f);
    f.r.hook = NULL;
    f.s.n = 5;
    f.s.members[4] = 4;
    run_reshare_begin(&f.r);
    for (uint16_t i = 0; i < 5; i++) {
        f.s.t = i == 2 ? 2 : 1;
        run_reshare_prepare(&f.r, i, &f.s, &setup);
        assert_int_equal(mpc_reshare_new(&f.r.keygen[i], &setup.cfg, &f.r.err[i]), TDSA_OK);
    }
    assert_int_equal(run_reshare_drive(&f.r), 0);
    assert_dead(&f, 0, 2, "other inputs");
    assert_dead(&f, 4, 2, "other inputs");
    run_clear(&f.r);
}

/* ---- broadcasts, confirmations, echoes ---- */

static void a_split_commitment_shows_in_the_views(void **state)
{
    fixture f;

    (void)state;
    set_up(&f);
    f.t.round = R_COMMIT;
    f.t.from_end = true;
    f.t.offset = 1;
    assert_int_equal(run_reshare(&f.r, &f.s), 0);
    assert_dead(&f, 0, 1, "not what was committed to");
    old_epoch_lives(&f);
    run_clear(&f.r);
}

static void a_split_random_value_aborts(void **state)
{
    fixture f;

    (void)state;
    set_up(&f);
    f.t.round = R_RANDOM;
    f.t.offset = 11 + 69 + 5;
    assert_int_equal(run_reshare(&f.r, &f.s), 0);
    assert_dead(&f, 0, TDSA_NOBODY, "sid differs");
    run_clear(&f.r);
}

static void a_split_confirmation_blames_its_sender(void **state)
{
    fixture f;

    (void)state;
    set_up(&f);
    f.t.round = R_REPORT;
    f.t.from_end = true;
    f.t.offset = 1;
    dies(&f, 0, 1, "confirms other keys");
}

static void another_stored_epoch_is_blamed(void **state)
{
    fixture f;

    (void)state;
    set_up(&f);
    f.t.round = R_STORED;
    f.t.from_end = true;
    f.t.offset = 1;
    dies(&f, 0, 1, "stored another key");
}

static void another_active_epoch_is_blamed(void **state)
{
    fixture f;

    (void)state;
    set_up(&f);
    f.t.round = R_ACTIVE;
    f.t.from_end = true;
    f.t.offset = 1;
    assert_int_equal(run_reshare(&f.r, &f.s), 3);
    assert_int_equal(f.r.status[0], TDSA_E_PROTOCOL);
    assert_int_equal(f.r.err[0].participant, 1);
    run_clear(&f.r);
}

static void nothing_is_said_before_it_is_durable(void **state)
{
    fixture f;
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    tdsa_err err;

    (void)state;
    set_up(&f);
    f.t.round = R_ACTIVE;
    f.t.kind = TAMPER_DROP;
    (void)run_reshare(&f.r, &f.s);
    assert_int_equal(mpc_keygen_round(f.r.keygen[0]), R_ACTIVE);
    f.r.keygen[0]->active = false;
    assert_int_equal(mpc_keygen_send(f.r.keygen[0], 2, &out, &err), TDSA_E_BAD_INPUT);
    assert_int_equal(out.len, 0);
    run_clear(&f.r);
}

/* ---- the old epoch as the dealers report it ---- */

enum { RECORD_AT = 11 + 69 + 37 + 5 };

static void another_old_epoch_is_blamed_by_who_has_it(void **state)
{
    fixture f;

    (void)state;
    set_up(&f);
    f.t.round = R_RANDOM;
    f.t.from_end = true;
    f.t.offset = 1; /* chain code */
    dies(&f, 0, 1, "reports another old epoch");
}

/* Who never had the key cannot tell which of two dealers lies, and believes neither. */
static void dealers_that_disagree_are_not_believed(void **state)
{
    fixture f;

    (void)state;
    set_up(&f);
    f.t.round = R_RANDOM;
    f.t.to = 3;
    f.t.from_end = true;
    f.t.offset = 1;
    dies(&f, 3, TDSA_NOBODY, "report different old epochs");
}

static void a_record_that_is_no_key_is_blamed(void **state)
{
    static const struct {
        size_t offset;
        const char *text;
    } bad[] = {{RECORD_AT + 5, "participant 0"},            /* the tag */
               {RECORD_AT + 8 + 5, "another key or epoch"}, /* key id */
               {RECORD_AT + 8 + 33 + 12, "another key or epoch"}};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        fixture f;

        set_up(&f);
        f.t.round = R_RANDOM;
        f.t.from = 0;
        f.t.to = 3;
        f.t.offset = bad[i].offset;
        dies(&f, 3, 0, bad[i].text);
    }
}

/* All dealers tell a newcomer of points that are no key at all. */
static void shares_that_are_not_of_one_key_are_refused(void **state)
{
    fixture f;

    (void)state;
    set_up(&f);
    f.r.hook = NULL;
    prepare(&f);
    for (uint16_t i = 0; i < 3; i++) {
        const mpc_key *old = mpc_keygen_key(f.r.previous[0]);
        tdsa_buf *b = &f.r.keygen[i]->old.record;
        uint8_t x0[33];
        uint8_t x1[33];

        grp_point_encode(f.r.g, x0, &old->pub.x[0]);
        grp_point_encode(f.r.g, x1, &old->pub.x[1]);
        for (size_t at = 0; at + 33 <= b->len; at++) {
            if (memcmp(b->data + at, x0, 33) == 0) {
                memcpy(b->data + at, x1, 33);
            }
        }
    }
    assert_int_equal(run_reshare_drive(&f.r), 0);
    assert_dead(&f, 3, 0, "not of one key");
    run_clear(&f.r);
}

/* One that missed epochs has an earlier record: the dealers' key must be the same. */
static void another_key_than_the_earlier_epoch_here_is_refused(void **state)
{
    fixture f;

    (void)state;
    set_up(&f);
    f.r.hook = NULL;
    prepare(&f);
    f.r.keygen[3]->old.earlier = true;
    f.r.keygen[3]->old.earlier_y = mpc_keygen_key(f.r.previous[0])->pub.x[0];
    assert_int_equal(run_reshare_drive(&f.r), 0);
    assert_int_equal(f.r.status[3], TDSA_E_PROTOCOL);
    assert_non_null(strstr(f.r.err[3].text, "another public key or chain code"));
    run_clear(&f.r);
}

/* ---- configuration ---- */

static void refused(const mpc_reshare_cfg *cfg, tdsa_status want, const char *text)
{
    mpc_keygen *run = NULL;
    tdsa_err err;

    assert_int_equal(mpc_reshare_new(&run, cfg, &err), want);
    assert_null(run);
    if (strstr(err.text, text) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", text, err.text);
    }
}

static void wrong_configurations_are_refused(void **state)
{
    fixture f;
    run_reshare_setup good;
    run_reshare_setup one;

    (void)state;
    set_up(&f);
    run_reshare_begin(&f.r);
    run_reshare_prepare(&f.r, 0, &f.s, &good);
#define REFUSED(change, status, text)          \
    do {                                       \
        one = good;                            \
        one.cfg.dealers = one.dealers;         \
        one.cfg.members = one.members;         \
        one.cfg.old_indices = one.old_indices; \
        change;                                \
        refused(&one.cfg, status, text);       \
    } while (0)
    REFUSED(one.cfg.t = 2, TDSA_E_BAD_INPUT, "2t+1");
    REFUSED(one.cfg.dealer_count = 1, TDSA_E_BAD_INPUT, "more than the threshold");
    REFUSED(one.cfg.dealer_count = 4, TDSA_E_BAD_INPUT, "more than the threshold");
    REFUSED(one.dealers[1].index = 0, TDSA_E_BAD_INPUT, "in order");
    REFUSED(one.dealers[2].index = 5, TDSA_E_BAD_INPUT, "dealer 5 is no member");
    REFUSED(one.dealers[2].x448[0] ^= 1, TDSA_E_BAD_INPUT, "other keys in the new one");
    REFUSED((one.dealers[2].x448[0] ^= 1, one.members[2].x448[0] ^= 1), TDSA_E_BAD_INPUT,
            "not those of key");
    REFUSED(one.members[1].index = 7, TDSA_E_BAD_INPUT, "in order");
    REFUSED(one.old_indices[1] = 0, TDSA_E_BAD_INPUT, "in order");
    REFUSED(one.cfg.old_n = 4, TDSA_E_BAD_INPUT, "");
    REFUSED(one.cfg.me = 5, TDSA_E_BAD_INPUT, "no part in this reshare");
    REFUSED(one.cfg.mine = NULL, TDSA_E_BAD_INPUT, "a dealer needs its key");
    REFUSED(one.cfg.key_id = "other", TDSA_E_BAD_INPUT, "is not what is here");
    REFUSED(one.cfg.old_epoch = 1, TDSA_E_BAD_INPUT, "is not what is here");
    REFUSED(one.cfg.old_epoch = UINT32_MAX, TDSA_E_BAD_INPUT, "no epoch after");
    REFUSED(one.cfg.policy.low_s = !one.cfg.policy.low_s, TDSA_E_BAD_INPUT, "policy is not that");
    REFUSED((one.cfg.me = 3, one.cfg.mine = NULL, one.cfg.policy.reshare = false), TDSA_E_DENIED,
            "forbids resharing");
#undef REFUSED
    run_clear(&f.r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dealing_of_another_constant_is_seen_by_all),
        cmocka_unit_test(a_refresh_with_a_constant_is_refused),
        cmocka_unit_test(a_substituted_share_is_complained_about),
        cmocka_unit_test(a_longer_vector_is_complained_about),
        cmocka_unit_test(another_threshold_shows_in_the_first_round),
        cmocka_unit_test(a_split_commitment_shows_in_the_views),
        cmocka_unit_test(a_split_random_value_aborts),
        cmocka_unit_test(a_split_confirmation_blames_its_sender),
        cmocka_unit_test(another_stored_epoch_is_blamed),
        cmocka_unit_test(another_active_epoch_is_blamed),
        cmocka_unit_test(nothing_is_said_before_it_is_durable),
        cmocka_unit_test(another_old_epoch_is_blamed_by_who_has_it),
        cmocka_unit_test(dealers_that_disagree_are_not_believed),
        cmocka_unit_test(a_record_that_is_no_key_is_blamed),
        cmocka_unit_test(shares_that_are_not_of_one_key_are_refused),
        cmocka_unit_test(another_key_than_the_earlier_epoch_here_is_refused),
        cmocka_unit_test(wrong_configurations_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
