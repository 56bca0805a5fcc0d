#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ks_fixture.h"

/* Two epochs of one key beside each other, on every backend. */

static void add_epoch(ks_fixture *f, tdsa_status want, const char *key_id, uint32_t epoch,
                      const char *share)
{
    uint8_t public_part[] = "new public part";
    ks_key k = {.epoch = epoch, .created_ms = 77, .presignature_limit = 5};
    tdsa_secret *secret = NULL;

    (void)snprintf(k.key_id, sizeof k.key_id, "%s", key_id);
    (void)snprintf(k.label, sizeof k.label, "given");
    k.public_part = public_part;
    k.public_len = sizeof public_part;
    if (share != NULL) {
        OK(f, tdsa_secret_copy(&secret, (const uint8_t *)share, strlen(share), &f->err));
    }
    EXPECT(f, want, ks_key_add_epoch(f->s, &k, secret, &f->err));
    tdsa_secret_free(secret);
}

static void expect_share(ks_fixture *f, const char *key_id, uint32_t epoch, const char *share)
{
    tdsa_secret *got = NULL;

    EXPECT(f, share == NULL ? TDSA_E_NOT_FOUND : TDSA_OK,
           ks_key_open(f->s, key_id, epoch, &got, &f->err));
    if (share != NULL) {
        assert_int_equal(tdsa_secret_len(got), strlen(share));
        assert_memory_equal(tdsa_secret_view(got), share, strlen(share));
    }
    tdsa_secret_free(got);
}

static void expect_state(ks_fixture *f, const char *key_id, uint32_t epoch, int state)
{
    ks_key *k = NULL;

    EXPECT(f, state == 0 ? TDSA_E_NOT_FOUND : TDSA_OK,
           ks_key_get_epoch(f->s, key_id, epoch, &k, &f->err));
    if (state != 0) {
        assert_int_equal(k->state, state);
        assert_int_equal(k->epoch, epoch);
    }
    ks_key_free(k);
}

static uint32_t current(ks_fixture *f, const char *key_id)
{
    ks_key *k = NULL;
    uint32_t epoch = 0;

    OK(f, ks_key_get(f->s, key_id, &k, &f->err));
    epoch = k->epoch;
    ks_key_free(k);
    return epoch;
}

static void the_epoch_in_the_making_is_not_the_current_one(void **state)
{
    ks_fixture *f = *state;
    ks_key *k = NULL;

    ks_fixture_active(f, "k", "share of 0");
    OK(f, ks_key_set_attrs(f->s, "k", "kept", (const uint8_t *)"a", 1, &f->err));
    OK(f, ks_key_set_limit(f->s, "k", 9, &f->err));
    add_epoch(f, TDSA_OK, "k", 1, "share of 1");
    assert_int_equal(current(f, "k"), 0);
    expect_state(f, "k", 0, KS_KEY_ACTIVE);
    expect_state(f, "k", 1, KS_KEY_PENDING);
    expect_share(f, "k", 0, "share of 0");
    expect_share(f, "k", 1, "share of 1");
    OK(f, ks_key_get_epoch(f->s, "k", 1, &k, &f->err));
    assert_string_equal(k->label, "kept");
    assert_int_equal(k->presignature_limit, 9);
    assert_int_equal(k->attrs_len, 1);
    assert_int_equal(k->public_len, sizeof "new public part");
    ks_key_free(k);
    OK(f, ks_key_set_attrs(f->s, "k", "both", (const uint8_t *)"", 0, &f->err));
    OK(f, ks_key_get_epoch(f->s, "k", 1, &k, &f->err));
    assert_string_equal(k->label, "both");
    ks_key_free(k);
}

static void activation_replaces_the_earlier_epoch_at_once(void **state)
{
    ks_fixture *f = *state;
    ks_batch *b = NULL;

    ks_fixture_active(f, "k", "share of 0");
    ks_fixture_active(f, "other", "share");
    ks_fixture_batch(f, "k", 1, KS_BATCH_FREE, 1, 1, 64);
    ks_fixture_batch(f, "k", 2, KS_BATCH_MADE, 1, 2, 64);
    ks_fixture_batch(f, "other", 3, KS_BATCH_FREE, 1, 1, 64);
    add_epoch(f, TDSA_OK, "k", 1, "share of 1");
    OK(f, ks_lease(f->s, ks_fixture_beta(1), 0, 8, &f->err));
    OK(f, ks_key_move(f->s, "k", 1, KS_KEY_PENDING, KS_KEY_ACTIVE, &f->err));
    assert_int_equal(current(f, "k"), 1);
    expect_state(f, "k", 0, KS_KEY_OLD);
    EXPECT(f, TDSA_E_CONFLICT, ks_lease(f->s, ks_fixture_beta(1), 8, 16, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_burn(f->s, ks_fixture_beta(1), 0, 1u << 20, &f->err));
    for (uint8_t tag = 1; tag <= 2; tag++) {
        OK(f, ks_batch_get(f->s, ks_fixture_beta(tag), &b, &f->err));
        assert_int_equal(b->state, KS_BATCH_VOID);
        ks_batch_free(b);
    }
    OK(f, ks_batch_get(f->s, ks_fixture_beta(3), &b, &f->err));
    assert_int_equal(b->state, KS_BATCH_FREE); /* of another key */
    ks_batch_free(b);
    expect_share(f, "k", 1, "share of 1");
    expect_share(f, "k", 0, "share of 0"); /* kept until everybody has the new one */
    EXPECT(f, TDSA_E_CONFLICT, ks_key_move(f->s, "k", 1, KS_KEY_PENDING, KS_KEY_ACTIVE, &f->err));
}

static void an_epoch_is_wiped_alone(void **state)
{
    ks_fixture *f = *state;

    ks_fixture_active(f, "k", "share of 0");
    EXPECT(f, TDSA_E_CONFLICT, ks_key_drop_epoch(f->s, "k", 0, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_key_drop_epoch(f->s, "k", 1, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_key_drop_epoch(f->s, "x", 0, &f->err));
    add_epoch(f, TDSA_OK, "k", 1, "share of 1");
    OK(f, ks_key_drop_epoch(f->s, "k", 1, &f->err)); /* an abandoned reshare */
    expect_state(f, "k", 1, 0);
    expect_share(f, "k", 0, "share of 0");
    add_epoch(f, TDSA_OK, "k", 1, "second try");
    OK(f, ks_key_move(f->s, "k", 1, KS_KEY_PENDING, KS_KEY_ACTIVE, &f->err));
    OK(f, ks_key_drop_epoch(f->s, "k", 0, &f->err));
    expect_state(f, "k", 0, 0);
    expect_share(f, "k", 0, NULL);
    expect_share(f, "k", 1, "second try");
    EXPECT(f, TDSA_E_CONFLICT, ks_key_drop_epoch(f->s, "k", 1, &f->err));
}

static void one_epoch_is_made_at_a_time_and_never_again(void **state)
{
    ks_fixture *f = *state;

    ks_fixture_active(f, "k", "share");
    add_epoch(f, TDSA_E_CONFLICT, "k", 0, "again");
    add_epoch(f, TDSA_OK, "k", 2, "a");
    add_epoch(f, TDSA_E_CONFLICT, "k", 2, "b");
    add_epoch(f, TDSA_E_CONFLICT, "k", 3, "c");
    OK(f, ks_key_move(f->s, "k", 2, KS_KEY_PENDING, KS_KEY_ACTIVE, &f->err));
    add_epoch(f, TDSA_E_CONFLICT, "k", 1, "d");
    add_epoch(f, TDSA_OK, "k", 3, "e");
    OK(f, ks_key_delete(f->s, "k", true, &f->err));
    for (uint32_t epoch = 0; epoch < 4; epoch++) {
        expect_share(f, "k", epoch, NULL);
    }
    add_epoch(f, TDSA_E_CONFLICT, "k", 9, "f"); /* a tombstone stays one */
}

static void a_key_may_begin_with_a_later_epoch(void **state)
{
    ks_fixture *f = *state;
    ks_key *k = NULL;

    add_epoch(f, TDSA_OK, "k", 7, "share of 7");
    OK(f, ks_key_get(f->s, "k", &k, &f->err));
    assert_int_equal(k->state, KS_KEY_PENDING);
    assert_string_equal(k->label, "given");
    assert_int_equal(k->created_ms, 77);
    assert_int_equal(k->presignature_limit, 5);
    ks_key_free(k);
    OK(f, ks_key_drop_epoch(f->s, "k", 7, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_key_get(f->s, "k", &k, &f->err));
    add_epoch(f, TDSA_OK, "k", 7, "share of 7");
    OK(f, ks_key_move(f->s, "k", 7, KS_KEY_PENDING, KS_KEY_ACTIVE, &f->err));
    expect_share(f, "k", 7, "share of 7");
}

/* Registered here, but generated elsewhere: the reshare brings the share. */
static void a_registered_row_gives_way(void **state)
{
    ks_fixture *f = *state;

    ks_fixture_register(f, "k");
    add_epoch(f, TDSA_OK, "k", 4, "share of 4");
    OK(f, ks_key_move(f->s, "k", 4, KS_KEY_PENDING, KS_KEY_ACTIVE, &f->err));
    expect_state(f, "k", 0, 0);
    expect_share(f, "k", 4, "share of 4");
}

/* A participant that is not in the new epoch notes it, without a share. */
static void an_epoch_may_have_no_share(void **state)
{
    ks_fixture *f = *state;

    ks_fixture_active(f, "k", "share of 0");
    add_epoch(f, TDSA_OK, "k", 1, NULL);
    expect_share(f, "k", 1, NULL);
    expect_share(f, "k", 0, "share of 0");
    expect_state(f, "k", 1, KS_KEY_PENDING);
}

typedef struct {
    char seen[64];
} note;

static bool note_row(void *ctx, const ks_key *k)
{
    note *n = ctx;
    const size_t at = strlen(n->seen);

    (void)snprintf(n->seen + at, sizeof n->seen - at, "%s%u:%d ", k->key_id, k->epoch,
                   (int)k->state);
    return true;
}

static void rows_are_found_by_state_and_listed_once(void **state)
{
    ks_fixture *f = *state;
    note n = {{0}};

    ks_fixture_active(f, "a", "share");
    ks_fixture_active(f, "b", "share");
    ks_fixture_register(f, "c");
    ks_fixture_store(f, "c", "share");
    add_epoch(f, TDSA_OK, "a", 1, "share of 1");
    add_epoch(f, TDSA_OK, "b", 1, "share of 1");
    OK(f, ks_key_move(f->s, "b", 1, KS_KEY_PENDING, KS_KEY_ACTIVE, &f->err));
    OK(f, ks_key_each(f->s, NULL, 10, note_row, &n, &f->err));
    assert_string_equal(n.seen, "a0:3 b1:3 c0:2 ");
    memset(&n, 0, sizeof n);
    OK(f, ks_key_each_in(f->s, KS_KEY_PENDING, note_row, &n, &f->err));
    assert_string_equal(n.seen, "a1:2 c0:2 ");
    memset(&n, 0, sizeof n);
    OK(f, ks_key_each_in(f->s, KS_KEY_OLD, note_row, &n, &f->err));
    assert_string_equal(n.seen, "b0:5 ");
}

static void bad_input_is_refused(void **state)
{
    ks_fixture *f = *state;
    ks_key *k = NULL;

    add_epoch(f, TDSA_E_BAD_INPUT, "", 1, "share");
    add_epoch(f, TDSA_E_BAD_INPUT, "a b", 1, "share");
    EXPECT(f, TDSA_E_BAD_INPUT, ks_key_get_epoch(f->s, "a b", 0, &k, &f->err));
    EXPECT(f, TDSA_E_BAD_INPUT, ks_key_drop_epoch(f->s, "a b", 0, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_key_get_epoch(f->s, "k", 0, &k, &f->err));
}

static tdsa_status restore(ks_fixture *f, const char *key_id, uint32_t epoch, const char *text)
{
    uint8_t public_part[] = "public part";
    ks_key k = {.epoch = epoch,
                .created_ms = 5,
                .presignature_limit = 7,
                .public_part = public_part,
                .public_len = sizeof public_part};
    tdsa_secret *share = NULL;
    tdsa_status st = tdsa_secret_copy(&share, (const uint8_t *)text, strlen(text), &f->err);

    (void)snprintf(k.key_id, sizeof k.key_id, "%s", key_id);
    st = st == TDSA_OK ? ks_key_restore(f->s, &k, share, &f->err) : st;
    tdsa_secret_free(share);
    return st;
}

static void a_restored_share_is_in_use_until_the_next_epoch_is(void **state)
{
    ks_fixture *f = *state;
    ks_key *k = NULL;

    OK(f, restore(f, "k", 3, "share of 3"));
    OK(f, ks_key_get(f->s, "k", &k, &f->err));
    assert_true(k->state == KS_KEY_RESTORED && k->epoch == 3 && k->presignature_limit == 7);
    ks_key_free(k);
    expect_share(f, "k", 3, "share of 3");
    add_epoch(f, TDSA_OK, "k", 4, "share of 4");
    OK(f, ks_key_get(f->s, "k", &k, &f->err));
    assert_int_equal(k->state, KS_KEY_RESTORED); /* not the one in the making */
    ks_key_free(k);
    EXPECT(f, TDSA_E_CONFLICT, ks_key_drop_epoch(f->s, "k", 3, &f->err));
    OK(f, ks_key_move(f->s, "k", 4, KS_KEY_PENDING, KS_KEY_ACTIVE, &f->err));
    assert_int_equal(current(f, "k"), 4);
    expect_state(f, "k", 3, KS_KEY_OLD);
}

static void a_share_is_restored_where_the_key_is_not(void **state)
{
    ks_fixture *f = *state;

    ks_fixture_active(f, "active", "share");
    EXPECT(f, TDSA_E_CONFLICT, restore(f, "active", 0, "share"));
    EXPECT(f, TDSA_E_CONFLICT, restore(f, "active", 9, "share"));
    ks_fixture_register(f, "registered");
    OK(f, restore(f, "registered", 0, "share"));
    expect_state(f, "registered", 0, KS_KEY_RESTORED);
    EXPECT(f, TDSA_E_CONFLICT, restore(f, "registered", 0, "share")); /* twice */
    OK(f, ks_key_delete(f->s, "active", true, &f->err));
    EXPECT(f, TDSA_E_CONFLICT, restore(f, "active", 0, "share"));
    EXPECT(f, TDSA_E_BAD_INPUT, restore(f, "no id!", 0, "share"));
}

static void epochs_survive_a_restart(void **state)
{
    ks_fixture *f = *state;

    if (strcmp(f->variant->backend, "memory") == 0) {
        return;
    }
    ks_fixture_active(f, "k", "share of 0");
    add_epoch(f, TDSA_OK, "k", 1, "share of 1");
    ks_fixture_reopen(f);
    expect_share(f, "k", 0, "share of 0");
    expect_share(f, "k", 1, "share of 1");
    OK(f, ks_key_move(f->s, "k", 1, KS_KEY_PENDING, KS_KEY_ACTIVE, &f->err));
    ks_fixture_reopen(f);
    assert_int_equal(current(f, "k"), 1);
    expect_state(f, "k", 0, KS_KEY_OLD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_epoch_in_the_making_is_not_the_current_one),
        cmocka_unit_test(activation_replaces_the_earlier_epoch_at_once),
        cmocka_unit_test(an_epoch_is_wiped_alone),
        cmocka_unit_test(one_epoch_is_made_at_a_time_and_never_again),
        cmocka_unit_test(a_key_may_begin_with_a_later_epoch),
        cmocka_unit_test(a_registered_row_gives_way),
        cmocka_unit_test(an_epoch_may_have_no_share),
        cmocka_unit_test(rows_are_found_by_state_and_listed_once),
        cmocka_unit_test(bad_input_is_refused),
        cmocka_unit_test(a_restored_share_is_in_use_until_the_next_epoch_is),
        cmocka_unit_test(a_share_is_restored_where_the_key_is_not),
        cmocka_unit_test(epochs_survive_a_restart),
    };

    return ks_fixture_run("epochs", tests, sizeof tests / sizeof tests[0]);
}
