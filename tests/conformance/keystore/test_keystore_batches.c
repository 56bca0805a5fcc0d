#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ks_fixture.h"

#define LANE 0xfedcba9876543210u /* the highest bit is set */

static void a_batch_has_what_was_given(void **state)
{
    ks_fixture *f = *state;
    ks_batch *b = NULL;

    ks_fixture_active(f, "k", "share");
    ks_fixture_batch(f, "k", 7, KS_BATCH_MADE, LANE, 42, 100);
    OK(f, ks_batch_get(f->s, ks_fixture_beta(7), &b, &f->err));
    assert_memory_equal(b->beta, ks_fixture_beta(7), KS_BETA_LEN);
    assert_string_equal(b->key_id, "k");
    assert_int_equal(b->epoch, 0);
    assert_int_equal(b->state, KS_BATCH_MADE);
    assert_true(b->lane == LANE);
    assert_int_equal(b->seq, 42);
    assert_int_equal(b->count, 100);
    assert_int_equal(b->next, 0);
    assert_int_equal(b->members, 7);
    assert_int_equal(b->data_len, 100);
    for (size_t i = 0; i < b->data_len; i++) {
        assert_int_equal(b->data[i], 7);
    }
    ks_batch_free(b);
    EXPECT(f, TDSA_E_NOT_FOUND, ks_batch_get(f->s, ks_fixture_beta(8), &b, &f->err));
    assert_null(b);
}

static void a_large_batch_is_kept_whole(void **state)
{
    ks_fixture *f = *state;
    const size_t len = 1024 * 133;
    ks_batch in = {.state = KS_BATCH_FREE, .lane = 1, .seq = 1, .count = KS_BATCH_COUNT_MAX};
    ks_batch *b = NULL;

    ks_fixture_active(f, "k", "share");
    (void)snprintf(in.key_id, sizeof in.key_id, "k");
    in.data = malloc(len);
    assert_non_null(in.data);
    for (size_t i = 0; i < len; i++) {
        in.data[i] = (uint8_t)(i * 31 >> 3);
    }
    in.data_len = len;
    OK(f, ks_batch_insert(f->s, &in, &f->err));
    OK(f, ks_batch_get(f->s, in.beta, &b, &f->err));
    assert_int_equal(b->data_len, len);
    assert_memory_equal(b->data, in.data, len);
    ks_batch_free(b);
    free(in.data);
}

static void wrong_batches_are_refused(void **state)
{
    ks_fixture *f = *state;
    ks_batch b = {.state = KS_BATCH_FREE, .count = 1};

    (void)snprintf(b.key_id, sizeof b.key_id, "k");
    EXPECT(f, TDSA_E_NOT_FOUND, ks_batch_insert(f->s, &b, &f->err)); /* no such key */
    ks_fixture_active(f, "k", "share");
    b.count = 0;
    EXPECT(f, TDSA_E_BAD_INPUT, ks_batch_insert(f->s, &b, &f->err));
    b.count = KS_BATCH_COUNT_MAX + 1;
    EXPECT(f, TDSA_E_BAD_INPUT, ks_batch_insert(f->s, &b, &f->err));
    b.count = 1;
    b.next = 2;
    EXPECT(f, TDSA_E_BAD_INPUT, ks_batch_insert(f->s, &b, &f->err));
    b.next = 0;
    b.seq = UINT64_MAX;
    EXPECT(f, TDSA_E_BAD_INPUT, ks_batch_insert(f->s, &b, &f->err));
    b.seq = 0;
    b.state = KS_BATCH_VOID;
    EXPECT(f, TDSA_E_BAD_INPUT, ks_batch_insert(f->s, &b, &f->err));
    b.state = KS_BATCH_FREE;
    OK(f, ks_batch_insert(f->s, &b, &f->err));
    EXPECT(f, TDSA_E_CONFLICT, ks_batch_insert(f->s, &b, &f->err));
}

static void batches_move_forward_only(void **state)
{
    ks_fixture *f = *state;

    ks_fixture_active(f, "k", "share");
    ks_fixture_batch(f, "k", 1, KS_BATCH_MADE, 1, 1, 10);
    OK(f, ks_batch_move(f->s, ks_fixture_beta(1), KS_BATCH_MADE, KS_BATCH_FREE, &f->err));
    EXPECT(f, TDSA_E_CONFLICT,
           ks_batch_move(f->s, ks_fixture_beta(1), KS_BATCH_MADE, KS_BATCH_FREE, &f->err));
    OK(f, ks_batch_move(f->s, ks_fixture_beta(1), KS_BATCH_FREE, KS_BATCH_VOID, &f->err));
    EXPECT(f, TDSA_E_BAD_INPUT,
           ks_batch_move(f->s, ks_fixture_beta(1), KS_BATCH_VOID, KS_BATCH_FREE, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND,
           ks_batch_move(f->s, ks_fixture_beta(2), KS_BATCH_MADE, KS_BATCH_FREE, &f->err));
}

static void at_start_made_batches_become_void(void **state)
{
    ks_fixture *f = *state;
    ks_batch *b = NULL;

    ks_fixture_active(f, "k", "share");
    ks_fixture_batch(f, "k", 1, KS_BATCH_MADE, 1, 1, 10);
    ks_fixture_batch(f, "k", 2, KS_BATCH_MADE, 2, 3, 10);
    ks_fixture_batch(f, "k", 3, KS_BATCH_FREE, 1, 2, 10);
    OK(f, ks_batch_void_made(f->s, 3, &f->err));
    OK(f, ks_batch_get(f->s, ks_fixture_beta(1), &b, &f->err));
    assert_int_equal(b->state, KS_BATCH_VOID);
    ks_batch_free(b);
    OK(f, ks_batch_get(f->s, ks_fixture_beta(2), &b, &f->err));
    assert_int_equal(b->state, KS_BATCH_MADE);
    ks_batch_free(b);
    OK(f, ks_batch_void_made(f->s, 0, &f->err));
    OK(f, ks_batch_get(f->s, ks_fixture_beta(2), &b, &f->err));
    assert_int_equal(b->state, KS_BATCH_VOID);
    ks_batch_free(b);
    OK(f, ks_batch_get(f->s, ks_fixture_beta(3), &b, &f->err));
    assert_int_equal(b->state, KS_BATCH_FREE);
    ks_batch_free(b);
}

static uint8_t found_tag(ks_fixture *f, const char *key_id, bool any_lane)
{
    const ks_batch_filter mine = {.lane_from = ks_lane(f->s), .lane_to = ks_lane(f->s)};
    ks_batch *b = NULL;
    uint8_t tag = 0;

    if (ks_batch_find(f->s, key_id, 0, any_lane ? NULL : &mine, &b, &f->err) == TDSA_OK) {
        tag = b->beta[0];
        assert_int_equal(b->data[0], tag);
    } else {
        assert_int_equal(f->err.status, TDSA_E_NOT_FOUND);
    }
    ks_batch_free(b);
    return tag;
}

static void the_oldest_free_batch_is_found(void **state)
{
    ks_fixture *f = *state;
    const uint64_t mine = ks_lane(f->s);
    ks_batch *b = NULL;

    ks_fixture_active(f, "k", "share");
    ks_fixture_active(f, "other", "share");
    assert_int_equal(found_tag(f, "k", false), 0);
    ks_fixture_batch(f, "k", 1, KS_BATCH_FREE, mine + 1, 1, 10);
    ks_fixture_batch(f, "k", 2, KS_BATCH_MADE, mine, 1, 10);
    ks_fixture_batch(f, "other", 3, KS_BATCH_FREE, mine, 2, 10);
    assert_int_equal(found_tag(f, "k", false), 0);
    assert_int_equal(found_tag(f, "k", true), 1);
    ks_fixture_batch(f, "k", 5, KS_BATCH_FREE, mine, 5, 10);
    ks_fixture_batch(f, "k", 4, KS_BATCH_FREE, mine, 4, 10);
    assert_int_equal(found_tag(f, "k", false), 4);
    OK(f, ks_lease(f->s, ks_fixture_beta(4), 0, 10, &f->err));
    assert_int_equal(found_tag(f, "k", false), 5);
    EXPECT(f, TDSA_E_NOT_FOUND, ks_batch_find(f->s, "k", 1, NULL, &b, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_batch_find(f->s, "none", 0, NULL, &b, &f->err));
}

static void members(ks_fixture *f, uint8_t tag, uint64_t lane, uint32_t mask)
{
    uint8_t data[1] = {tag};
    ks_batch b = {.state = KS_BATCH_FREE,
                  .lane = lane,
                  .seq = tag,
                  .count = 10,
                  .members = mask,
                  .data = data,
                  .data_len = 1};

    memcpy(b.beta, ks_fixture_beta(tag), KS_BETA_LEN);
    (void)snprintf(b.key_id, sizeof b.key_id, "k");
    OK(f, ks_batch_insert(f->s, &b, &f->err));
}

static uint8_t found_within(ks_fixture *f, uint32_t mask, uint64_t from, uint64_t to)
{
    const ks_batch_filter filter = {.within = mask, .lane_from = from, .lane_to = to};
    ks_batch *b = NULL;
    uint8_t tag = 0;

    if (ks_batch_find(f->s, "k", 0, &filter, &b, &f->err) == TDSA_OK) {
        tag = b->beta[0];
    } else {
        assert_int_equal(f->err.status, TDSA_E_NOT_FOUND);
    }
    ks_batch_free(b);
    return tag;
}

static void batches_are_found_by_members_and_lanes(void **state)
{
    ks_fixture *f = *state;
    const ks_batch_filter low = {.within = 0x0f};
    const ks_batch_filter mine = {.lane_from = 20, .lane_to = 29};
    uint64_t left = 0;

    ks_fixture_active(f, "k", "share");
    members(f, 1, 10, 0x07);
    members(f, 2, 20, 0x0b);
    members(f, 3, 29, 0x0d);
    members(f, 4, 30, 0x13);
    members(f, 5, LANE, 0x13);
    assert_int_equal(found_within(f, 0x07, 0, 0), 1);
    assert_int_equal(found_within(f, 0x0b, 0, 0), 2);
    assert_int_equal(found_within(f, 0x0f, 11, 100), 2);
    assert_int_equal(found_within(f, 0x0d, 0, 0), 3);
    assert_int_equal(found_within(f, 0x17, 11, 100), 4);
    assert_int_equal(found_within(f, 0x03, 0, 0), 0);
    assert_int_equal(found_within(f, 0x07, 11, 100), 0);
    OK(f, ks_batch_available(f->s, "k", &low, &left, &f->err));
    assert_int_equal(left, 30);
    OK(f, ks_batch_available(f->s, "k", &mine, &left, &f->err));
    assert_int_equal(left, 20);
    OK(f, ks_batch_available(f->s, "k", NULL, &left, &f->err));
    assert_int_equal(left, 50);
}

typedef struct {
    unsigned count;
    uint32_t left;
    uint8_t last;
    uint64_t burnt;
    unsigned stop_at;
} tally;

static bool add_up(void *ctx, const ks_batch_info *b)
{
    tally *t = ctx;

    t->count++;
    t->left += b->left;
    t->last = b->beta[0];
    t->burnt |= b->burnt[1];
    return t->count != t->stop_at;
}

static void what_is_burnt_ahead_of_a_lease_is_not_there(void **state)
{
    ks_fixture *f = *state;
    const ks_batch_filter first = {.lane_from = 1, .lane_to = 1};
    tally t = {0};
    uint64_t mask = 1;
    uint64_t left = 0;

    ks_fixture_active(f, "k", "share");
    ks_fixture_active(f, "other", "share");
    ks_fixture_batch(f, "k", 1, KS_BATCH_FREE, 1, 1, 100);
    ks_fixture_batch(f, "k", 2, KS_BATCH_MADE, 1, 2, 100);
    ks_fixture_batch(f, "other", 3, KS_BATCH_FREE, 2, 1, 100);
    OK(f, ks_lease(f->s, ks_fixture_beta(1), 0, 65, &f->err));
    OK(f, ks_burn(f->s, ks_fixture_beta(1), 1, 7, &f->err)); /* one of them is leased */
    OK(f, ks_batch_burnt(f->s, ks_fixture_beta(1), 1, &mask, &f->err));
    assert_true(mask == 7);
    OK(f, ks_batch_burnt(f->s, ks_fixture_beta(1), 0, &mask, &f->err));
    assert_true(mask == 0);
    OK(f, ks_batch_burnt(f->s, ks_fixture_beta(9), 0, &mask, &f->err));
    assert_true(mask == 0);
    EXPECT(f, TDSA_E_BAD_INPUT, ks_batch_burnt(f->s, ks_fixture_beta(1), 16, &mask, &f->err));
    OK(f, ks_batch_available(f->s, "k", NULL, &left, &f->err));
    assert_int_equal(left, 33);
    OK(f, ks_batch_each(f->s, "k", NULL, add_up, &t, &f->err));
    assert_int_equal(t.count, 2);
    assert_int_equal(t.left, 133);
    assert_true(t.burnt == 7);
    t = (tally){0};
    OK(f, ks_batch_each(f->s, NULL, NULL, add_up, &t, &f->err));
    assert_int_equal(t.count, 3);
    assert_int_equal(t.last, 3);
    t = (tally){0};
    OK(f, ks_batch_each(f->s, NULL, &first, add_up, &t, &f->err));
    assert_int_equal(t.count, 2);
    t = (tally){.stop_at = 1};
    OK(f, ks_batch_each(f->s, NULL, NULL, add_up, &t, &f->err));
    assert_int_equal(t.count, 1);
    EXPECT(f, TDSA_E_BAD_INPUT, ks_batch_each(f->s, "k!", NULL, add_up, &t, &f->err));
}

static void a_lease_moves_on_from_where_it_stands(void **state)
{
    ks_fixture *f = *state;
    const uint8_t *beta = ks_fixture_beta(1);
    ks_batch *b = NULL;
    uint64_t left = 0;

    ks_fixture_active(f, "k", "share");
    ks_fixture_batch(f, "k", 1, KS_BATCH_FREE, 1, 1, 100);
    OK(f, ks_lease(f->s, beta, 0, 1, &f->err));
    EXPECT(f, TDSA_E_CONFLICT, ks_lease(f->s, beta, 0, 1, &f->err));
    EXPECT(f, TDSA_E_CONFLICT, ks_lease(f->s, beta, 2, 3, &f->err));
    OK(f, ks_lease(f->s, beta, 1, 64, &f->err));
    EXPECT(f, TDSA_E_CONFLICT, ks_lease(f->s, beta, 64, 101, &f->err)); /* past the end */
    OK(f, ks_batch_available(f->s, "k", NULL, &left, &f->err));
    assert_int_equal(left, 36);
    OK(f, ks_lease(f->s, beta, 64, 100, &f->err));
    OK(f, ks_batch_get(f->s, beta, &b, &f->err));
    assert_int_equal(b->next, 100);
    ks_batch_free(b);
    EXPECT(f, TDSA_E_BAD_INPUT, ks_lease(f->s, beta, 5, 5, &f->err));
    EXPECT(f, TDSA_E_BAD_INPUT, ks_lease(f->s, beta, 5, 4, &f->err));
    EXPECT(f, TDSA_E_BAD_INPUT, ks_lease(f->s, beta, 5, KS_BATCH_COUNT_MAX + 1, &f->err));
    EXPECT(f, TDSA_E_CONFLICT, ks_lease(f->s, ks_fixture_beta(9), 0, 1, &f->err));
    OK(f, ks_batch_available(f->s, "k", NULL, &left, &f->err));
    assert_int_equal(left, 0);
}

static void only_free_batches_are_leased_and_burnt(void **state)
{
    ks_fixture *f = *state;

    ks_fixture_active(f, "k", "share");
    ks_fixture_batch(f, "k", 1, KS_BATCH_MADE, 1, 1, 100);
    EXPECT(f, TDSA_E_CONFLICT, ks_lease(f->s, ks_fixture_beta(1), 0, 1, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_burn(f->s, ks_fixture_beta(1), 0, 1, &f->err));
    OK(f, ks_batch_move(f->s, ks_fixture_beta(1), KS_BATCH_MADE, KS_BATCH_VOID, &f->err));
    EXPECT(f, TDSA_E_CONFLICT, ks_lease(f->s, ks_fixture_beta(1), 0, 1, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_burn(f->s, ks_fixture_beta(1), 0, 1, &f->err));
}

static void bits_burn_once_and_in_any_order(void **state)
{
    ks_fixture *f = *state;
    const uint8_t *beta = ks_fixture_beta(1);

    ks_fixture_active(f, "k", "share");
    ks_fixture_batch(f, "k", 1, KS_BATCH_FREE, 1, 1, 100);
    OK(f, ks_burn(f->s, beta, 0, 0xf0, &f->err));
    OK(f, ks_burn(f->s, beta, 0, 0x0f, &f->err));
    EXPECT(f, TDSA_E_CONFLICT, ks_burn(f->s, beta, 0, 0x10, &f->err));
    EXPECT(f, TDSA_E_CONFLICT, ks_burn(f->s, beta, 0, 0x180, &f->err)); /* one of two */
    OK(f, ks_burn(f->s, beta, 0, 0x100, &f->err)); /* the refused call left nothing */
    OK(f, ks_burn(f->s, beta, 0, (uint64_t)1 << 63, &f->err));
    EXPECT(f, TDSA_E_CONFLICT, ks_burn(f->s, beta, 0, (uint64_t)1 << 63, &f->err));
    OK(f, ks_burn(f->s, beta, 1, (uint64_t)1 << 35, &f->err)); /* number 99 */
    EXPECT(f, TDSA_E_NOT_FOUND, ks_burn(f->s, beta, 1, (uint64_t)1 << 36, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_burn(f->s, beta, 2, 1, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_burn(f->s, ks_fixture_beta(2), 0, 1, &f->err));
    EXPECT(f, TDSA_E_BAD_INPUT, ks_burn(f->s, beta, 16, 1, &f->err));
    EXPECT(f, TDSA_E_BAD_INPUT, ks_burn(f->s, beta, UINT32_MAX, 1, &f->err));
    EXPECT(f, TDSA_E_BAD_INPUT, ks_burn(f->s, beta, 0, 0, &f->err));
}

static void batch_numbers_only_rise(void **state)
{
    ks_fixture *f = *state;

    ks_fixture_active(f, "k", "share");
    OK(f, ks_seq_raise(f->s, "k", 0, LANE, 5, &f->err));
    EXPECT(f, TDSA_E_CONFLICT, ks_seq_raise(f->s, "k", 0, LANE, 5, &f->err));
    EXPECT(f, TDSA_E_CONFLICT, ks_seq_raise(f->s, "k", 0, LANE, 4, &f->err));
    OK(f, ks_seq_raise(f->s, "k", 0, LANE, 6, &f->err));
    OK(f, ks_seq_raise(f->s, "k", 0, 1, 1, &f->err));
    OK(f, ks_seq_raise(f->s, "k", 1, LANE, 1, &f->err));
    OK(f, ks_seq_raise(f->s, "k", 1, 7, 0, &f->err));
    EXPECT(f, TDSA_E_CONFLICT, ks_seq_raise(f->s, "k", 1, 7, 0, &f->err));
    EXPECT(f, TDSA_E_BAD_INPUT, ks_seq_raise(f->s, "k", 0, LANE, UINT64_MAX, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_seq_raise(f->s, "x", 0, LANE, 1, &f->err));
}

static void a_purge_takes_all_or_what_is_used_up(void **state)
{
    ks_fixture *f = *state;
    uint64_t dropped = 0;
    ks_batch *b = NULL;

    ks_fixture_active(f, "k", "share");
    ks_fixture_active(f, "other", "share");
    ks_fixture_batch(f, "k", 1, KS_BATCH_FREE, 1, 1, 10);  /* leased to the end */
    ks_fixture_batch(f, "k", 2, KS_BATCH_FREE, 1, 2, 65);  /* burnt to the end */
    ks_fixture_batch(f, "k", 3, KS_BATCH_FREE, 1, 3, 100); /* partly */
    ks_fixture_batch(f, "k", 4, KS_BATCH_MADE, 1, 4, 10);
    ks_fixture_batch(f, "other", 5, KS_BATCH_FREE, 1, 5, 10);
    OK(f, ks_lease(f->s, ks_fixture_beta(1), 0, 10, &f->err));
    OK(f, ks_burn(f->s, ks_fixture_beta(2), 0, UINT64_MAX, &f->err));
    OK(f, ks_burn(f->s, ks_fixture_beta(2), 1, 1, &f->err));
    OK(f, ks_burn(f->s, ks_fixture_beta(3), 0, 0xff, &f->err));
    OK(f, ks_batch_void_made(f->s, 0, &f->err));
    OK(f, ks_batch_purge(f->s, "k", true, &dropped, &f->err));
    assert_int_equal(dropped, 0);
    EXPECT(f, TDSA_E_NOT_FOUND, ks_batch_get(f->s, ks_fixture_beta(1), &b, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_batch_get(f->s, ks_fixture_beta(2), &b, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_burn(f->s, ks_fixture_beta(2), 0, 1, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_batch_get(f->s, ks_fixture_beta(4), &b, &f->err));
    OK(f, ks_batch_get(f->s, ks_fixture_beta(3), &b, &f->err));
    ks_batch_free(b);
    OK(f, ks_batch_purge(f->s, "k", false, &dropped, &f->err));
    assert_int_equal(dropped, 92);
    OK(f, ks_batch_purge(f->s, "k", false, &dropped, &f->err));
    assert_int_equal(dropped, 0);
    OK(f, ks_batch_get(f->s, ks_fixture_beta(5), &b, &f->err));
    ks_batch_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_has_what_was_given),
        cmocka_unit_test(a_large_batch_is_kept_whole),
        cmocka_unit_test(wrong_batches_are_refused),
        cmocka_unit_test(batches_move_forward_only),
        cmocka_unit_test(at_start_made_batches_become_void),
        cmocka_unit_test(the_oldest_free_batch_is_found),
        cmocka_unit_test(batches_are_found_by_members_and_lanes),
        cmocka_unit_test(what_is_burnt_ahead_of_a_lease_is_not_there),
        cmocka_unit_test(a_lease_moves_on_from_where_it_stands),
        cmocka_unit_test(only_free_batches_are_leased_and_burnt),
        cmocka_unit_test(bits_burn_once_and_in_any_order),
        cmocka_unit_test(batch_numbers_only_rise),
        cmocka_unit_test(a_purge_takes_all_or_what_is_used_up),
    };

    return ks_fixture_run("batches", tests, sizeof tests / sizeof tests[0]);
}
