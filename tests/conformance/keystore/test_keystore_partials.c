#include <string.h>

#include <sqlite3.h>

#include "ks_fixture.h"

/* A presignature given away on its own: its burn and its record are one. */

static ks_partial row_of(uint8_t tag, uint32_t index, uint8_t transcript, uint64_t expires_ms)
{
    ks_partial row = {.index = index, .key_id = "k", .expires_ms = expires_ms};

    memcpy(row.beta, ks_fixture_beta(tag), sizeof row.beta);
    memset(row.transcript, transcript, sizeof row.transcript);
    return row;
}

static void a_burn_and_its_record_are_one(void **state)
{
    ks_fixture *f = *state;
    const ks_partial row = row_of(1, 65, 7, 5000);
    ks_partial got;
    uint64_t mask = 0;

    ks_fixture_active(f, "k", "share");
    ks_fixture_batch(f, "k", 1, KS_BATCH_FREE, 1, 1, 100);
    EXPECT(f, TDSA_E_NOT_FOUND, ks_partial_get(f->s, row.beta, 65, &got, &f->err));
    OK(f, ks_partial_burn(f->s, &row, &f->err));
    OK(f, ks_batch_burnt(f->s, row.beta, 1, &mask, &f->err));
    assert_int_equal(mask, 2);
    ks_fixture_reopen(f);
    if (strcmp(f->variant->backend, "memory") == 0) {
        return; /* it forgets */
    }
    OK(f, ks_partial_get(f->s, row.beta, 65, &got, &f->err));
    assert_string_equal(got.key_id, "k");
    assert_int_equal(got.expires_ms, 5000);
    assert_memory_equal(got.transcript, row.transcript, sizeof got.transcript);
    assert_false(got.failed);
    EXPECT(f, TDSA_E_NOT_FOUND, ks_partial_get(f->s, row.beta, 64, &got, &f->err));
}

static void only_what_is_free_is_given_away(void **state)
{
    ks_fixture *f = *state;
    const uint8_t *beta = ks_fixture_beta(1);
    ks_partial row = row_of(1, 3, 7, 5000);
    ks_partial got;

    ks_fixture_active(f, "k", "share");
    ks_fixture_batch(f, "k", 1, KS_BATCH_FREE, 1, 1, 10);
    ks_fixture_batch(f, "k", 2, KS_BATCH_MADE, 1, 2, 10);
    OK(f, ks_lease(f->s, beta, 0, 4, &f->err));
    EXPECT(f, TDSA_E_CONFLICT, ks_partial_burn(f->s, &row, &f->err)); /* leased */
    EXPECT(f, TDSA_E_NOT_FOUND, ks_partial_get(f->s, beta, 3, &got, &f->err));
    row.index = 5;
    OK(f, ks_burn(f->s, beta, 0, 1u << 5, &f->err));
    EXPECT(f, TDSA_E_CONFLICT, ks_partial_burn(f->s, &row, &f->err)); /* burnt */
    row.index = 4;
    OK(f, ks_partial_burn(f->s, &row, &f->err));
    EXPECT(f, TDSA_E_CONFLICT, ks_partial_burn(f->s, &row, &f->err)); /* twice */
    EXPECT(f, TDSA_E_CONFLICT, ks_burn(f->s, beta, 0, 0xf0, &f->err));
    row.index = 10;
    EXPECT(f, TDSA_E_NOT_FOUND, ks_partial_burn(f->s, &row, &f->err)); /* outside */
    row = row_of(2, 0, 7, 5000);
    EXPECT(f, TDSA_E_NOT_FOUND, ks_partial_burn(f->s, &row, &f->err)); /* not FREE */
    row = row_of(3, 0, 7, 5000);
    EXPECT(f, TDSA_E_NOT_FOUND, ks_partial_burn(f->s, &row, &f->err)); /* no batch */
    OK(f, ks_lease(f->s, beta, 4, 10, &f->err)); /* a lease reads what is burnt afterwards */
}

static void wrong_records_are_refused(void **state)
{
    ks_fixture *f = *state;
    ks_partial row = row_of(1, KS_BATCH_COUNT_MAX, 7, 5000);
    uint64_t left = 0;

    ks_fixture_active(f, "k", "share");
    ks_fixture_batch(f, "k", 1, KS_BATCH_FREE, 1, 1, 10);
    EXPECT(f, TDSA_E_BAD_INPUT, ks_partial_burn(f->s, &row, &f->err));
    EXPECT(f, TDSA_E_BAD_INPUT, ks_partial_get(f->s, row.beta, row.index, &row, &f->err));
    EXPECT(f, TDSA_E_BAD_INPUT, ks_partial_fail(f->s, row.beta, KS_BATCH_COUNT_MAX, &f->err));
    row = row_of(1, 1, 7, UINT64_MAX);
    EXPECT(f, TDSA_E_BAD_INPUT, ks_partial_burn(f->s, &row, &f->err));
    row = row_of(1, 1, 7, 1);
    row.key_id[0] = '/';
    EXPECT(f, TDSA_E_BAD_INPUT, ks_partial_burn(f->s, &row, &f->err));
    EXPECT(f, TDSA_E_BAD_INPUT, ks_partial_collect(f->s, UINT64_MAX, &left, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_partial_fail(f->s, row.beta, 1, &f->err));
}

static void records_fail_and_are_collected_and_burns_stay(void **state)
{
    ks_fixture *f = *state;
    ks_partial got;
    uint64_t left = 0;

    ks_fixture_active(f, "k", "share");
    ks_fixture_batch(f, "k", 1, KS_BATCH_FREE, 1, 1, 10);
    for (uint32_t i = 0; i < 4; i++) {
        const ks_partial row = row_of(1, i, 7, 1000 * i);
        OK(f, ks_partial_burn(f->s, &row, &f->err));
    }
    OK(f, ks_partial_fail(f->s, ks_fixture_beta(1), 3, &f->err));
    OK(f, ks_partial_get(f->s, ks_fixture_beta(1), 3, &got, &f->err));
    assert_true(got.failed);
    OK(f, ks_partial_collect(f->s, 2000, &left, &f->err));
    assert_int_equal(left, 2);
    EXPECT(f, TDSA_E_NOT_FOUND, ks_partial_get(f->s, ks_fixture_beta(1), 1, &got, &f->err));
    OK(f, ks_partial_get(f->s, ks_fixture_beta(1), 2, &got, &f->err));
    EXPECT(f, TDSA_E_CONFLICT, ks_burn(f->s, ks_fixture_beta(1), 0, 1, &f->err));
    OK(f, ks_partial_collect(f->s, 1000000, &left, &f->err));
    assert_int_equal(left, 0);
}

static void a_batch_with_records_is_not_used_up(void **state)
{
    ks_fixture *f = *state;
    const ks_partial row = row_of(1, 0, 7, 1000);
    ks_batch *b = NULL;
    ks_partial got;
    uint64_t number = 0;

    ks_fixture_active(f, "k", "share");
    ks_fixture_batch(f, "k", 1, KS_BATCH_FREE, 1, 1, 1);
    OK(f, ks_partial_burn(f->s, &row, &f->err));
    OK(f, ks_batch_purge(f->s, "k", true, &number, &f->err));
    OK(f, ks_batch_get(f->s, row.beta, &b, &f->err));
    ks_batch_free(b);
    OK(f, ks_partial_collect(f->s, 2000, &number, &f->err));
    OK(f, ks_batch_purge(f->s, "k", true, &number, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_batch_get(f->s, row.beta, &b, &f->err));
    ks_fixture_batch(f, "k", 1, KS_BATCH_FREE, 1, 1, 1);
    OK(f, ks_partial_burn(f->s, &row, &f->err));
    OK(f, ks_key_delete(f->s, "k", true, &f->err)); /* takes its records along */
    EXPECT(f, TDSA_E_NOT_FOUND, ks_partial_get(f->s, row.beta, 0, &got, &f->err));
}

static void there_is_room_for_so_many_records_only(void **state)
{
    ks_fixture *f = *state;
    const ks_partial row = row_of(1, 0, 7, 1000);
    sqlite3 *db = NULL;
    ks_partial got;
    uint64_t mask = 0;

    if (strcmp(f->variant->backend, "sqlite") != 0) {
        return;
    }
    ks_fixture_active(f, "k", "share");
    ks_fixture_batch(f, "k", 1, KS_BATCH_FREE, 1, 1, 10);
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "INSERT INTO partial WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL"
                                  " SELECT i + 1 FROM n WHERE i < 65536)"
                                  " SELECT zeroblob(32), i, 'k', zeroblob(64), i, 0 FROM n",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    EXPECT(f, TDSA_E_LIMIT, ks_partial_burn(f->s, &row, &f->err));
    OK(f, ks_batch_burnt(f->s, row.beta, 0, &mask, &f->err));
    assert_int_equal(mask, 0); /* nothing was burnt */
    assert_int_equal(
        sqlite3_exec(db, "UPDATE partial SET transcript = x'00' WHERE place = 2", NULL, NULL, NULL),
        SQLITE_OK);
    EXPECT(f, TDSA_E_STORE,
           ks_partial_get(f->s, (const uint8_t[KS_BETA_LEN]){0}, 2, &got, &f->err));
    assert_int_equal(sqlite3_exec(db, "DELETE FROM partial WHERE place = 1", NULL, NULL, NULL),
                     SQLITE_OK);
    OK(f, ks_partial_burn(f->s, &row, &f->err));
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burn_and_its_record_are_one),
        cmocka_unit_test(only_what_is_free_is_given_away),
        cmocka_unit_test(wrong_records_are_refused),
        cmocka_unit_test(records_fail_and_are_collected_and_burns_stay),
        cmocka_unit_test(a_batch_with_records_is_not_used_up),
        cmocka_unit_test(there_is_room_for_so_many_records_only),
    };

    return ks_fixture_run("partials", tests, sizeof tests / sizeof tests[0]);
}
