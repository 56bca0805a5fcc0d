#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "ks_fixture.h"

static const ks_variant gcm = {"sqlite+aesgcm", "sqlite", KS_ENCRYPTOR_AESGCM};

/* Edits the database as somebody would who has the file. */
static void edit(ks_fixture *f, const char *sql)
{
    sqlite3 *db = NULL;
    char *text = NULL;

    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    (void)sqlite3_busy_timeout(db, 2000);
    if (sqlite3_exec(db, sql, NULL, NULL, &text) != SQLITE_OK) {
        fail_msg("%s: %s", sql, text);
    }
    (void)sqlite3_close(db);
}

static uint64_t rows_refused(ks_fixture *f)
{
    ks_stats stats;

    ks_get_stats(f->s, &stats);
    return stats.rows_refused;
}

static tdsa_status open_share(ks_fixture *f, const char *key_id)
{
    tdsa_secret *share = NULL;
    tdsa_status st = ks_key_open(f->s, key_id, 0, &share, &f->err);

    tdsa_secret_free(share);
    return st;
}

static void swapped_rows_are_refused_and_counted(void **state)
{
    ks_fixture *f = *state;
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    const uint8_t value[] = {7};
    ks_batch *b = NULL;

    ks_fixture_active(f, "a", "share of a");
    ks_fixture_active(f, "b", "share of b");
    ks_fixture_batch(f, "a", 1, KS_BATCH_FREE, 1, 1, 10);
    ks_fixture_batch(f, "a", 2, KS_BATCH_FREE, 1, 2, 10);
    OK(f, ks_meta_put(f->s, "x", true, value, 1, &f->err));
    edit(f, "UPDATE key SET sealed = (SELECT sealed FROM key WHERE key_id = 'b')"
            " WHERE key_id = 'a'");
    EXPECT(f, TDSA_E_STORE, open_share(f, "a"));
    assert_non_null(strstr(f->err.text, "key a"));
    assert_int_equal(rows_refused(f), 1);
    OK(f, open_share(f, "b"));
    edit(f, "UPDATE batch_data SET sealed = (SELECT sealed FROM batch_data ORDER BY beta LIMIT 1)");
    OK(f, ks_batch_get(f->s, ks_fixture_beta(1), &b, &f->err));
    ks_batch_free(b);
    EXPECT(f, TDSA_E_STORE, ks_batch_get(f->s, ks_fixture_beta(2), &b, &f->err));
    assert_int_equal(rows_refused(f), 2);
    edit(f, "INSERT INTO meta SELECT 'y', value FROM meta WHERE name = 'x'");
    EXPECT(f, TDSA_E_STORE, ks_meta_get(f->s, "y", true, &out, &f->err));
    assert_int_equal(rows_refused(f), 3);
    edit(f, "UPDATE key SET sealed = (SELECT value FROM meta WHERE name = 'x')");
    EXPECT(f, TDSA_E_STORE, open_share(f, "b"));
    assert_int_equal(rows_refused(f), 4);
}

static void an_edited_public_part_is_noticed_at_use(void **state)
{
    ks_fixture *f = *state;

    ks_fixture_active(f, "k", "share");
    edit(f, "UPDATE key SET label = 'x', attrs = x'00', presignature_limit = 3");
    OK(f, open_share(f, "k")); /* these may change */
    edit(f, "UPDATE key SET public_part = x'001122'");
    EXPECT(f, TDSA_E_STORE, open_share(f, "k"));
    edit(f, "UPDATE key SET public_part = NULL");
    EXPECT(f, TDSA_E_STORE, open_share(f, "k"));
    edit(f, "UPDATE key SET public_part = CAST('public part' || x'00' AS BLOB)");
    OK(f, open_share(f, "k")); /* as it was */
    edit(f, "UPDATE key SET epoch = 1");
    EXPECT(f, TDSA_E_NOT_FOUND, open_share(f, "k"));
    assert_int_equal(rows_refused(f), 2);
}

static void edited_columns_of_a_batch_are_noticed(void **state)
{
    static const char *const edits[] = {
        "UPDATE batch SET key_id = 'other'",
        "UPDATE batch SET epoch = 1",
        "UPDATE batch SET lane = 77",
        "UPDATE batch SET seq = 77",
        "UPDATE batch SET count = 11",
        "UPDATE batch SET members = 3",
        "DELETE FROM batch_data",
    };
    ks_fixture *f = *state;
    ks_batch *b = NULL;

    ks_fixture_active(f, "k", "share");
    ks_fixture_active(f, "other", "share");
    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
        const uint8_t tag = (uint8_t)(i + 1);

        edit(f, "DELETE FROM batch");
        ks_fixture_batch(f, "k", tag, KS_BATCH_FREE, 1, 1, 10);
        edit(f, edits[i]);
        EXPECT(f, TDSA_E_STORE, ks_batch_get(f->s, ks_fixture_beta(tag), &b, &f->err));
        assert_int_equal(rows_refused(f), i + 1);
    }
}

static void damaged_rows_are_refused_whatever_is_in_them(void **state)
{
    static const char *const edits[] = {
        "UPDATE key SET sealed = NULL",
        "UPDATE key SET sealed = x'01'",
        "UPDATE key SET sealed = x''",
        "UPDATE key SET sealed = zeroblob(20000)",
        "UPDATE key SET sealed = 'text'",
        "UPDATE key SET sealed = x'00' || randomblob(100)",
        "UPDATE key SET state = 99",
        "UPDATE key SET label = hex(zeroblob(300))",
        "UPDATE key SET attrs = zeroblob(5000)",
        "UPDATE key SET public_part = zeroblob(5000)",
    };
    ks_fixture *f = *state;

    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
        edit(f, "DELETE FROM key");
        ks_fixture_active(f, "k", "share");
        edit(f, edits[i]);
        EXPECT(f, TDSA_E_STORE, open_share(f, "k"));
        assert_int_equal(rows_refused(f), i + 1);
    }
}

static void a_damaged_batch_does_not_stand_in_the_way(void **state)
{
    ks_fixture *f = *state;
    ks_batch *b = NULL;

    ks_fixture_active(f, "k", "share");
    for (uint8_t tag = 1; tag <= 4; tag++) {
        ks_fixture_batch(f, "k", tag, KS_BATCH_FREE, 1, tag, 10);
    }
    edit(f, "UPDATE batch_data SET sealed = zeroblob(50) WHERE substr(beta, 1, 1) < x'03'");
    edit(f, "UPDATE batch SET count = 100000 WHERE substr(beta, 1, 1) = x'03'");
    OK(f, ks_batch_find(f->s, "k", 0, NULL, &b, &f->err));
    assert_int_equal(b->beta[0], 4);
    ks_batch_free(b);
    assert_int_equal(rows_refused(f), 3);
    OK(f, ks_batch_find(f->s, "k", 0, NULL, &b, &f->err));
    ks_batch_free(b);
    assert_int_equal(rows_refused(f), 3);
}

static bool count_rows(void *ctx, const ks_key *k)
{
    size_t *n = ctx;

    (void)k;
    (*n)++;
    return true;
}

static void damaged_names_are_refused_in_lists(void **state)
{
    ks_fixture *f = *state;
    size_t n = 0;

    ks_fixture_active(f, "k", "share");
    edit(f, "UPDATE key SET key_id = hex(zeroblob(300))");
    EXPECT(f, TDSA_E_STORE, ks_key_each(f->s, NULL, 10, count_rows, &n, &f->err));
    edit(f, "UPDATE key SET key_id = 'a b'");
    EXPECT(f, TDSA_E_STORE, ks_key_each(f->s, NULL, 10, count_rows, &n, &f->err));
    assert_int_equal(n, 0);
    assert_int_equal(rows_refused(f), 2);
}

static void an_encrypted_store_takes_no_clear_row(void **state)
{
    ks_fixture *f = *state;
    char sql[320];
    char other[200];
    ks *s = NULL;
    ks *mine = f->s;

    ks_fixture_active(f, "k", "share");
    (void)snprintf(other, sizeof other, "%s/clear.db", f->dir);
    f->cfg.path = other;
    f->cfg.encryptor = KS_ENCRYPTOR_NONE;
    OK(f, ks_open(&s, &f->cfg, &f->err));
    f->s = s;
    ks_fixture_active(f, "k", "planted");
    ks_close(s);
    f->s = mine;
    (void)snprintf(sql, sizeof sql,
                   "ATTACH '%s' AS c; UPDATE key SET sealed = (SELECT sealed FROM c.key)", other);
    edit(f, sql);
    EXPECT(f, TDSA_E_STORE, open_share(f, "k"));
    assert_non_null(strstr(f->err.text, "not sealed"));
}

static struct CMUnitTest with(struct CMUnitTest test)
{
    test.setup_func = ks_fixture_setup;
    test.teardown_func = ks_fixture_teardown;
    test.initial_state = (void *)(uintptr_t)&gcm;
    return test;
}

#define GCM(f) with((struct CMUnitTest)cmocka_unit_test(f))

int main(void)
{
    const struct CMUnitTest tests[] = {
        GCM(swapped_rows_are_refused_and_counted),
        GCM(an_edited_public_part_is_noticed_at_use),
        GCM(edited_columns_of_a_batch_are_noticed),
        GCM(damaged_rows_are_refused_whatever_is_in_them),
        GCM(a_damaged_batch_does_not_stand_in_the_way),
        GCM(damaged_names_are_refused_in_lists),
        GCM(an_encrypted_store_takes_no_clear_row),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
