#include <stdio.h>
#include <string.h>

#include "ks_fixture.h"

static ks_deletion order(const char *key_id, uint64_t serial, ks_deletion_state state)
{
    ks_deletion d = {.serial = serial,
                     .state = state,
                     .due_ms = 1700000000000,
                     .grace_ms = 5000,
                     .members = 7,
                     .told = 1};

    (void)snprintf(d.key_id, sizeof d.key_id, "%s", key_id);
    return d;
}

static ks_key_state state_of(ks_fixture *f, const char *key_id, uint32_t epoch)
{
    ks_key *k = NULL;
    ks_key_state state;

    OK(f, ks_key_get_epoch(f->s, key_id, epoch, &k, &f->err));
    state = k->state;
    ks_key_free(k);
    return state;
}

static tdsa_status open_share(ks_fixture *f, const char *key_id)
{
    tdsa_secret *share = NULL;
    tdsa_status st = ks_key_open(f->s, key_id, 0, &share, &f->err);

    tdsa_secret_free(share);
    return st;
}

static void an_order_moves_the_key_and_its_undoing_moves_it_back(void **state)
{
    ks_fixture *f = *state;
    const ks_deletion scheduled = order("k", 1, KS_DELETION_SCHEDULED);
    const ks_deletion undoing = order("k", 2, KS_DELETION_UNDOING);
    const ks_deletion cancelled = order("k", 2, KS_DELETION_CANCELLED);
    uint64_t before = 0;
    uint64_t after = 0;
    ks_deletion got;

    ks_fixture_active(f, "k", "share");
    ks_fixture_batch(f, "k", 1, KS_BATCH_FREE, 1, 1, 10);
    EXPECT(f, TDSA_E_NOT_FOUND, ks_deletion_get(f->s, "k", &got, &f->err));
    OK(f, ks_change_counter(f->s, &before, &f->err));
    OK(f, ks_deletion_put(f->s, &scheduled, NULL, &f->err));
    OK(f, ks_change_counter(f->s, &after, &f->err));
    assert_true(before != after);
    assert_int_equal(state_of(f, "k", 0), KS_KEY_DELETING);
    OK(f, open_share(f, "k")); /* kept for the undoing */
    OK(f, ks_deletion_get(f->s, "k", &got, &f->err));
    assert_memory_equal(&got, &scheduled, sizeof got);
    OK(f, ks_deletion_put(f->s, &undoing, &scheduled, &f->err));
    assert_int_equal(state_of(f, "k", 0), KS_KEY_DELETING);
    OK(f, ks_deletion_put(f->s, &cancelled, &undoing, &f->err));
    assert_int_equal(state_of(f, "k", 0), KS_KEY_ACTIVE);
    OK(f, ks_lease(f->s, ks_fixture_beta(1), 0, 1, &f->err));
}

static void an_order_replaces_only_the_one_that_it_was_made_for(void **state)
{
    ks_fixture *f = *state;
    const ks_deletion scheduled = order("k", 1, KS_DELETION_SCHEDULED);
    const ks_deletion undoing = order("k", 2, KS_DELETION_UNDOING);
    const ks_deletion wiped = order("k", 1, KS_DELETION_WIPED);

    ks_fixture_active(f, "k", "share");
    EXPECT(f, TDSA_E_CONFLICT, ks_deletion_put(f->s, &undoing, &scheduled, &f->err));
    assert_int_equal(state_of(f, "k", 0), KS_KEY_ACTIVE);
    OK(f, ks_deletion_put(f->s, &scheduled, NULL, &f->err));
    EXPECT(f, TDSA_E_CONFLICT, ks_deletion_put(f->s, &scheduled, NULL, &f->err));
    OK(f, ks_deletion_put(f->s, &undoing, &scheduled, &f->err));
    /* another process had decided to wipe, before it knew */
    EXPECT(f, TDSA_E_CONFLICT, ks_deletion_put(f->s, &wiped, &scheduled, &f->err));
    OK(f, open_share(f, "k"));
}

static void wiping_leaves_a_tombstone_and_the_order(void **state)
{
    ks_fixture *f = *state;
    const ks_deletion scheduled = order("k", 1, KS_DELETION_SCHEDULED);
    const ks_deletion wiped = order("k", 1, KS_DELETION_WIPED);
    const ks_deletion undoing = order("k", 2, KS_DELETION_UNDOING);
    ks_key again = {.key_id = "k", .presignature_limit = -1};
    ks_batch *b = NULL;
    ks_deletion got;

    ks_fixture_active(f, "k", "share");
    ks_fixture_batch(f, "k", 1, KS_BATCH_FREE, 1, 1, 10);
    OK(f, ks_deletion_put(f->s, &scheduled, NULL, &f->err));
    OK(f, ks_deletion_put(f->s, &wiped, &scheduled, &f->err));
    assert_int_equal(state_of(f, "k", 0), KS_KEY_DELETED);
    EXPECT(f, TDSA_E_NOT_FOUND, open_share(f, "k"));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_batch_get(f->s, ks_fixture_beta(1), &b, &f->err));
    EXPECT(f, TDSA_E_CONFLICT, ks_key_register(f->s, &again, &f->err));
    OK(f, ks_deletion_get(f->s, "k", &got, &f->err));
    assert_int_equal(got.state, KS_DELETION_WIPED);
    EXPECT(f, TDSA_E_CONFLICT, ks_deletion_put(f->s, &undoing, &got, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_deletion_put(f->s, &undoing, &scheduled, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_deletion_put(f->s, &scheduled, NULL, &f->err));
}

static bool count_order(void *ctx, const ks_deletion *d)
{
    (void)d;
    ++*(unsigned *)ctx;
    return true;
}

static unsigned open_orders(ks_fixture *f)
{
    unsigned count = 0;

    OK(f, ks_deletion_each_open(f->s, count_order, &count, &f->err));
    return count;
}

static void an_order_is_open_until_all_have_it_and_nothing_is_left_to_do(void **state)
{
    ks_fixture *f = *state;
    const ks_deletion scheduled = order("k", 1, KS_DELETION_SCHEDULED);
    const ks_deletion wiped = order("k", 1, KS_DELETION_WIPED);
    ks_deletion got;

    ks_fixture_active(f, "k", "share");
    assert_int_equal(open_orders(f), 0);
    OK(f, ks_deletion_put(f->s, &scheduled, NULL, &f->err));
    OK(f, ks_deletion_told(f->s, &scheduled, 0xff, &f->err)); /* strangers are not counted */
    OK(f, ks_deletion_get(f->s, "k", &got, &f->err));
    assert_int_equal(got.told, 7);
    assert_int_equal(open_orders(f), 1); /* to be wiped */
    OK(f, ks_deletion_put(f->s, &wiped, &got, &f->err));
    assert_int_equal(open_orders(f), 1); /* to be told */
    OK(f, ks_deletion_told(f->s, &scheduled, 6, &f->err));
    assert_int_equal(open_orders(f), 1); /* that was another one */
    OK(f, ks_deletion_told(f->s, &wiped, 6, &f->err));
    assert_int_equal(open_orders(f), 0);
}

static void what_is_no_order_is_refused(void **state)
{
    ks_fixture *f = *state;
    const ks_deletion bad[] = {order("k", 0, KS_DELETION_SCHEDULED),
                               order("k", 2, KS_DELETION_SCHEDULED),
                               order("k", 1, KS_DELETION_UNDOING),
                               order("k", 3, KS_DELETION_CANCELLED),
                               order("k", 2, KS_DELETION_WIPED),
                               order("k", 1, (ks_deletion_state)5),
                               order("k", UINT64_MAX, KS_DELETION_SCHEDULED),
                               order("", 1, KS_DELETION_SCHEDULED)};
    const ks_deletion unknown = order("x", 1, KS_DELETION_SCHEDULED);
    const ks_deletion wiped = order("x", 1, KS_DELETION_WIPED);

    ks_fixture_active(f, "k", "share");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        EXPECT(f, TDSA_E_BAD_INPUT, ks_deletion_put(f->s, &bad[i], NULL, &f->err));
        EXPECT(f, TDSA_E_BAD_INPUT, ks_deletion_told(f->s, &bad[i], 1, &f->err));
    }
    EXPECT(f, TDSA_E_NOT_FOUND, ks_deletion_put(f->s, &unknown, NULL, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_deletion_put(f->s, &wiped, NULL, &f->err));
    assert_int_equal(state_of(f, "k", 0), KS_KEY_ACTIVE);
}

static void add_epoch(ks_fixture *f, uint32_t epoch, tdsa_status want)
{
    uint8_t public_part[] = "public part";
    ks_key k = {.key_id = "k",
                .epoch = epoch,
                .presignature_limit = -1,
                .public_part = public_part,
                .public_len = sizeof public_part};
    tdsa_secret *share = NULL;

    OK(f, tdsa_secret_copy(&share, (const uint8_t *)"new", 3, &f->err));
    EXPECT(f, want, ks_key_add_epoch(f->s, &k, share, &f->err));
    tdsa_secret_free(share);
}

/* What was in doubt when the order came is settled meanwhile, and comes back with the undoing. */
static void an_epoch_that_is_confirmed_meanwhile_is_deleting_too(void **state)
{
    ks_fixture *f = *state;
    const ks_deletion scheduled = order("k", 1, KS_DELETION_SCHEDULED);
    const ks_deletion undoing = order("k", 2, KS_DELETION_UNDOING);
    const ks_deletion cancelled = order("k", 2, KS_DELETION_CANCELLED);
    ks_key *k = NULL;

    ks_fixture_active(f, "k", "share");
    add_epoch(f, 1, TDSA_OK);
    OK(f, ks_deletion_put(f->s, &scheduled, NULL, &f->err));
    OK(f, ks_key_get(f->s, "k", &k, &f->err));
    assert_int_equal(k->state, KS_KEY_DELETING); /* not the newer one in the making */
    ks_key_free(k);
    OK(f, ks_key_move(f->s, "k", 1, KS_KEY_PENDING, KS_KEY_ACTIVE, &f->err));
    assert_int_equal(state_of(f, "k", 0), KS_KEY_OLD);
    assert_int_equal(state_of(f, "k", 1), KS_KEY_DELETING);
    EXPECT(f, TDSA_E_CONFLICT, ks_key_drop_epoch(f->s, "k", 1, &f->err));
    OK(f, ks_key_drop_epoch(f->s, "k", 0, &f->err));
    add_epoch(f, 2, TDSA_E_CONFLICT);
    OK(f, ks_deletion_put(f->s, &undoing, &scheduled, &f->err));
    add_epoch(f, 2, TDSA_E_CONFLICT);
    OK(f, ks_deletion_put(f->s, &cancelled, &undoing, &f->err));
    assert_int_equal(state_of(f, "k", 1), KS_KEY_ACTIVE);
    add_epoch(f, 2, TDSA_OK);
    OK(f, ks_key_move(f->s, "k", 2, KS_KEY_PENDING, KS_KEY_ACTIVE, &f->err));
    assert_int_equal(state_of(f, "k", 2), KS_KEY_ACTIVE);
}

static void the_order_goes_with_a_key_that_leaves_no_tombstone(void **state)
{
    ks_fixture *f = *state;
    const ks_deletion scheduled = order("k", 1, KS_DELETION_SCHEDULED);
    ks_deletion got;

    ks_fixture_active(f, "k", "share");
    OK(f, ks_deletion_put(f->s, &scheduled, NULL, &f->err));
    OK(f, ks_key_delete(f->s, "k", false, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_deletion_get(f->s, "k", &got, &f->err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_order_moves_the_key_and_its_undoing_moves_it_back),
        cmocka_unit_test(an_order_replaces_only_the_one_that_it_was_made_for),
        cmocka_unit_test(wiping_leaves_a_tombstone_and_the_order),
        cmocka_unit_test(an_order_is_open_until_all_have_it_and_nothing_is_left_to_do),
        cmocka_unit_test(what_is_no_order_is_refused),
        cmocka_unit_test(an_epoch_that_is_confirmed_meanwhile_is_deleting_too),
        cmocka_unit_test(the_order_goes_with_a_key_that_leaves_no_tombstone),
    };

    return ks_fixture_run("deletions", tests, sizeof tests / sizeof tests[0]);
}
