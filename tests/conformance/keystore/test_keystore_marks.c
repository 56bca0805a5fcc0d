#include <string.h>

#include "ks_fixture.h"

/* The counters by which a database that was put back is recognised. */

static ks_marks marks_of(ks_fixture *f)
{
    ks_marks m;
    ks_marks known;

    OK(f, ks_marks_read(f->s, &m, &f->err));
    ks_marks_known(f->s, &known);
    assert_memory_equal(&known, &m, sizeof m);
    return m;
}

static void a_start_raises_the_count_of_starts(void **state)
{
    ks_fixture *f = *state;
    const ks_marks first = marks_of(f);
    ks_marks second;

    assert_true(first.starts > 0);
    assert_int_equal(first.burns, 0);
    assert_int_equal(first.purges, 0);
    if (strcmp(f->variant->backend, "memory") == 0) {
        return; /* it does not outlive its process */
    }
    ks_fixture_reopen(f);
    second = marks_of(f);
    assert_true(second.starts == first.starts + 1);
    assert_true(second.store_id == first.store_id);
}

static void leases_and_burns_raise_the_counter_and_refused_ones_do_not(void **state)
{
    ks_fixture *f = *state;
    ks_marks known;

    ks_fixture_active(f, "k", "share");
    ks_fixture_batch(f, "k", 7, KS_BATCH_FREE, 1, 1, 100);
    OK(f, ks_lease(f->s, ks_fixture_beta(7), 0, 4, &f->err));
    ks_marks_known(f->s, &known); /* without a look at the database */
    assert_int_equal(known.burns, 1);
    OK(f, ks_burn(f->s, ks_fixture_beta(7), 1, 6, &f->err));
    ks_marks_known(f->s, &known);
    assert_int_equal(known.burns, 2);
    EXPECT(f, TDSA_E_CONFLICT, ks_lease(f->s, ks_fixture_beta(7), 0, 4, &f->err));
    EXPECT(f, TDSA_E_CONFLICT, ks_burn(f->s, ks_fixture_beta(7), 1, 2, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_burn(f->s, ks_fixture_beta(8), 1, 2, &f->err));
    assert_int_equal(marks_of(f).burns, 2);
    if (strcmp(f->variant->backend, "memory") != 0) {
        ks_fixture_reopen(f);
        assert_int_equal(marks_of(f).burns, 2);
    }
}

static void a_burn_that_two_make_is_made_once(void **state)
{
    ks_fixture *f = *state;
    const uint8_t *beta = ks_fixture_beta(7);
    ks_once good = {.made = false};
    ks_once bad = {.made = false};

    ks_fixture_active(f, "k", "share");
    ks_fixture_batch(f, "k", 7, KS_BATCH_FREE, 1, 1, 100);
    OK(f, ks_burn_once(f->s, &good, beta, 66, 68, &f->err));
    OK(f, ks_burn_once(f->s, &good, beta, 66, 68, &f->err));
    assert_int_equal(marks_of(f).burns, 1);
    EXPECT(f, TDSA_E_CONFLICT, ks_burn_once(f->s, &bad, beta, 67, 68, &f->err));
    f->err.text[0] = '\0';
    EXPECT(f, TDSA_E_CONFLICT, ks_burn_once(f->s, &bad, beta, 67, 68, &f->err));
    assert_string_not_equal(f->err.text, "");
    assert_int_equal(marks_of(f).burns, 1);
}

static uint64_t burnt(ks_fixture *f, uint32_t block)
{
    uint64_t mask = 0;

    OK(f, ks_batch_burnt(f->s, ks_fixture_beta(7), block, &mask, &f->err));
    return mask;
}

static tdsa_status burn_range(ks_fixture *f, uint8_t tag, uint32_t from, uint32_t to)
{
    ks_once once = {.made = false};

    return ks_burn_once(f->s, &once, ks_fixture_beta(tag), from, to, &f->err);
}

static void a_range_of_several_blocks_burns_in_one_commit_or_not_at_all(void **state)
{
    ks_fixture *f = *state;

    ks_fixture_active(f, "k", "share");
    ks_fixture_batch(f, "k", 7, KS_BATCH_FREE, 1, 1, 300);
    OK(f, burn_range(f, 7, 60, 193));
    assert_int_equal(marks_of(f).burns, 1);
    assert_true(burnt(f, 0) == 0xf000000000000000u);
    assert_true(burnt(f, 1) == UINT64_MAX);
    assert_true(burnt(f, 2) == UINT64_MAX);
    assert_true(burnt(f, 3) == 1);
    EXPECT(f, TDSA_E_CONFLICT, burn_range(f, 7, 0, 61));
    EXPECT(f, TDSA_E_CONFLICT, burn_range(f, 7, 192, 300));
    EXPECT(f, TDSA_E_NOT_FOUND, burn_range(f, 7, 250, 301));
    EXPECT(f, TDSA_E_NOT_FOUND, burn_range(f, 8, 0, 1));
    EXPECT(f, TDSA_E_BAD_INPUT, burn_range(f, 7, 5, 5));
    EXPECT(f, TDSA_E_BAD_INPUT, burn_range(f, 7, 0, KS_BATCH_COUNT_MAX + 1));
    assert_true(burnt(f, 0) == 0xf000000000000000u);
    assert_true(burnt(f, 3) == 1);
    assert_true(burnt(f, 4) == 0);
    assert_int_equal(marks_of(f).burns, 1);
    OK(f, burn_range(f, 7, 0, 60));
    OK(f, burn_range(f, 7, 193, 300));
    assert_true(burnt(f, 0) == UINT64_MAX);
    assert_true(burnt(f, 4) == (1ull << 44) - 1);
    assert_int_equal(marks_of(f).burns, 3);
}

static void a_purge_gives_up_everything_and_raises_the_counters(void **state)
{
    ks_fixture *f = *state;
    const ks_marks seen = {.starts = 40, .burns = 50, .purges = 6};
    ks_marks low = {.starts = 1};
    uint64_t dropped = 0;
    uint64_t left = 1;
    uint64_t mask = 1;
    ks_marks m;

    ks_fixture_active(f, "k", "share");
    ks_fixture_active(f, "l", "share");
    ks_fixture_batch(f, "k", 7, KS_BATCH_FREE, 1, 1, 100);
    ks_fixture_batch(f, "l", 8, KS_BATCH_FREE, 1, 1, 10);
    OK(f, ks_lease(f->s, ks_fixture_beta(7), 0, 4, &f->err));
    OK(f, ks_burn(f->s, ks_fixture_beta(8), 0, 1, &f->err));
    OK(f, ks_purge_all(f->s, &seen, &dropped, &f->err));
    assert_int_equal(dropped, 96 + 9);
    m = marks_of(f);
    assert_true(m.starts == 40 && m.burns == 50 && m.purges == 7);
    OK(f, ks_batch_available(f->s, "k", NULL, &left, &f->err));
    assert_int_equal(left, 0);
    OK(f, ks_batch_burnt(f->s, ks_fixture_beta(8), 0, &mask, &f->err));
    assert_int_equal(mask, 0); /* nobody can use it: the batch is gone */
    EXPECT(f, TDSA_E_NOT_FOUND, ks_burn(f->s, ks_fixture_beta(8), 0, 2, &f->err));
    OK(f, ks_purge_all(f->s, &low, &dropped, &f->err)); /* counters never go back */
    m = marks_of(f);
    assert_true(dropped == 0 && m.starts == 40 && m.burns == 50 && m.purges == 8);
    low.burns = UINT64_MAX;
    EXPECT(f, TDSA_E_BAD_INPUT, ks_purge_all(f->s, &low, &dropped, &f->err));
}

static void a_locked_store_purges_too(void **state)
{
    ks_fixture *f = *state;
    const ks_marks none = {0};
    uint64_t dropped = 0;

    ks_lock(f->s);
    OK(f, ks_purge_all(f->s, &none, &dropped, &f->err));
    assert_int_equal(marks_of(f).purges, 1);
}

static void batches_with_a_member_become_void(void **state)
{
    ks_fixture *f = *state;
    ks_batch *b = NULL;

    ks_fixture_active(f, "k", "share");
    ks_fixture_active(f, "l", "share");
    ks_fixture_batch(f, "k", 7, KS_BATCH_FREE, 1, 1, 100); /* members 0, 1, 2 */
    ks_fixture_batch(f, "k", 8, KS_BATCH_MADE, 1, 2, 100);
    ks_fixture_batch(f, "l", 9, KS_BATCH_FREE, 1, 1, 100);
    OK(f, ks_batch_void_with(f->s, "k", 1u << 3, &f->err));
    OK(f, ks_batch_get(f->s, ks_fixture_beta(7), &b, &f->err));
    assert_int_equal(b->state, KS_BATCH_FREE);
    ks_batch_free(b);
    OK(f, ks_batch_void_with(f->s, "k", 1u << 2, &f->err));
    for (uint8_t tag = 7; tag <= 9; tag++) {
        OK(f, ks_batch_get(f->s, ks_fixture_beta(tag), &b, &f->err));
        assert_int_equal(b->state, tag == 9 ? KS_BATCH_FREE : KS_BATCH_VOID);
        ks_batch_free(b);
    }
    EXPECT(f, TDSA_E_BAD_INPUT, ks_batch_void_with(f->s, "", 1, &f->err));
}

static void a_lower_counter_of_any_kind_is_behind(void **state)
{
    const ks_marks seen = {.starts = 5, .burns = 6, .purges = 7};
    ks_marks mine = seen;

    (void)state;
    assert_false(ks_marks_behind(&mine, &seen));
    mine.starts = 4;
    mine.burns = 100;
    assert_true(ks_marks_behind(&mine, &seen));
    mine = seen;
    mine.burns = 5;
    assert_true(ks_marks_behind(&mine, &seen));
    mine = seen;
    mine.burns = 100;
    mine.purges = 6;
    assert_true(ks_marks_behind(&mine, &seen));
    mine = (ks_marks){.purges = 8}; /* of before the last purge */
    assert_false(ks_marks_behind(&mine, &seen));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_start_raises_the_count_of_starts),
        cmocka_unit_test(leases_and_burns_raise_the_counter_and_refused_ones_do_not),
        cmocka_unit_test(a_burn_that_two_make_is_made_once),
        cmocka_unit_test(a_range_of_several_blocks_burns_in_one_commit_or_not_at_all),
        cmocka_unit_test(a_purge_gives_up_everything_and_raises_the_counters),
        cmocka_unit_test(a_locked_store_purges_too),
        cmocka_unit_test(batches_with_a_member_become_void),
        cmocka_unit_test(a_lower_counter_of_any_kind_is_behind),
    };

    return ks_fixture_run("marks", tests, sizeof tests / sizeof tests[0]);
}
