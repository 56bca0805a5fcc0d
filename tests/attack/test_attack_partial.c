#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "support/partial_run.h"

/* An application that may ask every member for partial signatures, and abuses it. */

static part_stats stats_of(const partial_run *f, uint16_t who)
{
    part_stats stats;

    part_get_stats(sim_part(f->s, who), &stats);
    return stats;
}

/* Everybody is as before: the group makes a signature. */
static void still_signs(partial_run *f)
{
    tdsa_err err;

    if (partial_run_sign(f, 0, 200, &err) != TDSA_OK) {
        fail_msg("%s", err.text);
    }
}

/* Members 0 and 1 are shown one request, 2 another. */
static void split(partial_run *f)
{
    tdsa_err err;

    sim_must(f->s, partial_run_ask(f, 0, &err), "0", &err);
    sim_must(f->s, partial_run_ask(f, 1, &err), "1", &err);
    f->digest[0] ^= 1;
    f->s->dishonest = 7; /* the ledger would say so; the engine alone has to stand it */
    sim_must(f->s, partial_run_ask(f, 2, &err), "2", &err);
    f->digest[0] ^= 1;
}

static void row_2_members_shown_different_requests_give_noise_and_an_alarm(void **state)
{
    partial_run *f = partial_run_new(&(partial_wish){.n = 3});
    TDSA_SCOPED_BUF forged = TDSA_BUF_EMPTY;
    part_partial_view v;
    part_partial_view w;
    tdsa_err err;

    (void)state;
    split(f);
    assert_int_equal(partial_run_combine(f, 0, &err), TDSA_E_BAD_INPUT); /* of another request */
    /* The values of 2 under the request and T of the others: all that the caller can make up. */
    sim_must(f->s, part_partial_parse(&v, f->partial[0].data, f->partial[0].len, &err), "0", &err);
    sim_must(f->s, part_partial_parse(&w, f->partial[2].data, f->partial[2].len, &err), "2", &err);
    tdsa_buf_append(&forged, f->partial[0].data, (size_t)(v.reply - f->partial[0].data));
    tdsa_buf_append(&forged, w.reply, w.reply_len);
    memcpy(forged.data + partial_run_transcript_at(&forged),
           f->partial[0].data + partial_run_transcript_at(&f->partial[0]), 64);
    tdsa_buf_reset(&f->partial[2]);
    tdsa_buf_append(&f->partial[2], forged.data, forged.len);
    f->s->lied = true;
    assert_int_equal(partial_run_combine(f, 0, &err), TDSA_E_VERIFY);
    assert_int_equal(stats_of(f, 0).verify_failures, 1);
    f->s->dishonest = 0;
    still_signs(f);
    tdsa_buf_clear(&forged); /* the simulator counts */
    partial_run_free(f);
}

static void row_5_a_member_gives_its_part_for_one_request_only(void **state)
{
    partial_run *f = partial_run_new(&(partial_wish){.n = 3});
    tdsa_err err;

    (void)state;
    partial_run_ask_all(f);
    f->digest[0] ^= 1;
    for (uint16_t i = 0; i < 3; i++) {
        assert_int_equal(partial_run_ask(f, i, &err), TDSA_E_CONFLICT);
        assert_true(partial_run_says(&err, PART_PRESIGNATURE_USED));
        sim_crash(f->s, i); /* nor after a restart */
        sim_start(f->s, i);
        assert_int_equal(partial_run_ask(f, i, &err), TDSA_E_CONFLICT);
        assert_true(partial_run_says(&err, PART_PRESIGNATURE_USED));
    }
    f->digest[0] ^= 1;
    assert_int_equal(partial_run_combine(f, 0, &err), TDSA_OK);
    still_signs(f);
    partial_run_free(f);
}

static void row_5_an_expired_part_stays_expired(void **state)
{
    partial_run *f = partial_run_new(&(partial_wish){.n = 3});
    tdsa_err err;

    (void)state;
    partial_run_ask_all(f);
    sim_idle(f->s, PARTIAL_TIMEOUT_MS + 1000);
    for (uint16_t i = 0; i < 3; i++) {
        assert_int_equal(partial_run_combine(f, i, &err), TDSA_E_CONFLICT);
        assert_true(partial_run_says(&err, PART_EXPIRED));
        sim_crash(f->s, i);
        sim_start(f->s, i);
        assert_int_equal(partial_run_combine(f, i, &err), TDSA_E_CONFLICT);
        assert_true(partial_run_says(&err, PART_EXPIRED));
        f->digest[0] ^= 1;
        assert_int_equal(partial_run_ask(f, i, &err), TDSA_E_CONFLICT);
        f->digest[0] ^= 1;
    }
    sim_idle(f->s, 2 * PARTIAL_TIMEOUT_MS); /* the records are gone */
    assert_int_equal(partial_run_combine(f, 0, &err), TDSA_E_NOT_FOUND);
    assert_int_equal(partial_run_ask(f, 0, &err), TDSA_E_CONFLICT);
    still_signs(f);
    partial_run_free(f);
}

static void row_6_a_leased_presignature_is_not_given_away(void **state)
{
    partial_run *f = partial_run_new(&(partial_wish){.n = 3});
    const part_presig_id first = f->id;
    tdsa_err err;

    (void)state;
    still_signs(f); /* takes the presignature that the caller has in mind */
    f->id = first;
    for (uint16_t i = 0; i < 3; i++) {
        assert_int_equal(partial_run_ask(f, i, &err), TDSA_E_CONFLICT);
        assert_true(partial_run_says(&err, PART_PRESIGNATURE_USED));
    }
    assert_int_equal(partial_run_sign(f, 0, 201, &err), TDSA_OK); /* leases two: 1 and 2 */
    f->id.index = 2;                                              /* leased, not used yet */
    for (uint16_t i = 0; i < 3; i++) {
        assert_int_equal(partial_run_ask(f, i, &err), TDSA_E_CONFLICT);
    }
    assert_int_equal(partial_run_sign(f, 0, 202, &err), TDSA_OK);
    partial_run_free(f);
}

static void row_6_a_presignature_given_away_is_not_signed_with(void **state)
{
    partial_run *f = partial_run_new(&(partial_wish){.n = 3});
    tdsa_err err;

    (void)state;
    /* The members first, behind the coordinator's back: it loses the range, no more. Its own part of
     * another request with the same presignature stays with it, and is worth nothing. */
    f->s->dishonest = PARTIAL_CALLER;
    sim_must(f->s, partial_run_ask(f, 1, &err), "1", &err);
    sim_must(f->s, partial_run_ask(f, 2, &err), "2", &err);
    still_signs(f);
    assert_int_equal(partial_run_ask(f, 0, &err), TDSA_E_CONFLICT); /* it leased it meanwhile */
    assert_true(partial_run_says(&err, PART_PRESIGNATURE_USED));
    assert_int_equal(partial_run_combine(f, 1, &err), TDSA_E_BAD_INPUT); /* 0 is missing */
    f->s->dishonest = 0;
    /* All of them: the coordinator leaves it out. */
    partial_run_choose(f);
    f->digest[5] = 5;
    partial_run_ask_all(f);
    for (uint8_t i = 0; i < 8; i++) {
        assert_int_equal(partial_run_sign(f, 0, (uint8_t)(210 + i), &err), TDSA_OK);
    }
    assert_int_equal(partial_run_combine(f, 2, &err), TDSA_OK);
    partial_run_free(f);
}

static void row_6_who_is_no_member_gives_nothing(void **state)
{
    partial_run *f = partial_run_new(&(partial_wish){.n = 4});
    uint16_t outsider = 0;
    tdsa_err err;

    (void)state;
    while ((f->members >> outsider & 1) != 0) {
        outsider++;
    }
    assert_int_equal(partial_run_ask(f, outsider, &err), TDSA_E_NOT_FOUND);
    partial_run_ask_all(f);
    assert_int_equal(partial_run_combine(f, outsider, &err), TDSA_E_NOT_FOUND);
    assert_int_equal(partial_run_combine(f, 0, &err), TDSA_OK);
    partial_run_free(f);
}

static void row_6_parts_of_two_presignatures_do_not_mix(void **state)
{
    partial_run *f = partial_run_new(&(partial_wish){.n = 3});
    tdsa_buf first[3];
    tdsa_err err;

    (void)state;
    partial_run_ask_all(f);
    for (size_t i = 0; i < 3; i++) {
        first[i] = f->partial[i];
        f->partial[i] = TDSA_BUF_EMPTY;
    }
    partial_run_choose(f); /* the same digest with another presignature */
    partial_run_ask_all(f);
    for (size_t i = 0; i < 3; i++) {
        const tdsa_buf second = f->partial[i];

        f->partial[i] = first[i];
        assert_int_equal(partial_run_combine(f, 0, &err), TDSA_E_BAD_INPUT);
        assert_non_null(strstr(err.text, "another request"));
        f->partial[i] = second;
    }
    assert_int_equal(partial_run_combine(f, 0, &err), TDSA_OK);
    assert_int_equal(stats_of(f, 0).verify_failures, 0);
    for (size_t i = 0; i < 3; i++) {
        tdsa_buf_clear(&first[i]);
    }
    partial_run_free(f);
}

static void row_13_a_wrong_part_is_fatal_and_never_tried_again(void **state)
{
    partial_run *f = partial_run_new(&(partial_wish){.n = 3});
    tdsa_err err;

    (void)state;
    partial_run_ask_all(f);
    f->s->lied = true;
    f->partial[2].data[f->partial[2].len - 3] ^= 1;
    assert_int_equal(partial_run_combine(f, 0, &err), TDSA_E_VERIFY);
    assert_int_equal(stats_of(f, 0).verify_failures, 1);
    f->partial[2].data[f->partial[2].len - 3] ^= 1; /* the right one comes too late */
    assert_int_equal(partial_run_combine(f, 0, &err), TDSA_E_CONFLICT);
    assert_true(partial_run_says(&err, PART_SIGNATURE_FAILED));
    sim_crash(f->s, 0);
    sim_start(f->s, 0);
    assert_int_equal(partial_run_combine(f, 0, &err), TDSA_E_CONFLICT);
    assert_true(partial_run_says(&err, PART_SIGNATURE_FAILED));
    assert_int_equal(partial_run_ask(f, 0, &err), TDSA_E_CONFLICT);
    assert_true(partial_run_says(&err, PART_SIGNATURE_FAILED));
    still_signs(f);
    partial_run_free(f);
}

static void row_5_a_part_is_durable_before_it_is_given(void **state)
{
    (void)state;
    for (unsigned torn = 0; torn < 40; torn++) { /* the process dies before, in or after the burn */
        partial_run *f = partial_run_new(&(partial_wish){.n = 3});
        bool given = false;
        tdsa_err err;

        for (unsigned i = 0; i < torn; i++) {
            (void)sim_random(f->s, 2);
        }
        f->s->cfg.torn_permille = 500;
        given = partial_run_ask(f, 1, &err) == TDSA_OK;
        f->s->cfg.torn_permille = 0;
        sim_crash(f->s, 1);
        sim_start(f->s, 1);
        f->digest[0] ^= 1;
        if (given) { /* what was given away holds */
            assert_int_equal(partial_run_ask(f, 1, &err), TDSA_E_CONFLICT);
        }
        f->digest[0] ^= 1;
        if (given) {
            assert_int_equal(partial_run_ask(f, 1, &err), TDSA_OK);
        }
        partial_run_free(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(row_2_members_shown_different_requests_give_noise_and_an_alarm),
        cmocka_unit_test(row_5_a_member_gives_its_part_for_one_request_only),
        cmocka_unit_test(row_5_an_expired_part_stays_expired),
        cmocka_unit_test(row_5_a_part_is_durable_before_it_is_given),
        cmocka_unit_test(row_6_a_leased_presignature_is_not_given_away),
        cmocka_unit_test(row_6_a_presignature_given_away_is_not_signed_with),
        cmocka_unit_test(row_6_who_is_no_member_gives_nothing),
        cmocka_unit_test(row_6_parts_of_two_presignatures_do_not_mix),
        cmocka_unit_test(row_13_a_wrong_part_is_fatal_and_never_tried_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
