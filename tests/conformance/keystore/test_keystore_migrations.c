#include <stdio.h>
#include <string.h>

#include "ks_db.h"
#include "ks_fixture.h"

/* schema1.db was made by a program of schema version 1. It holds key "k" (ACTIVE, share "share"), the
 * tombstone "gone", two batches of 10 of which the first is leased to 4 and has 0x70 burnt, number 9
 * of lane 8, and the sealed value "m". */

static const ks_variant gcm = {"sqlite+aesgcm", "sqlite", KS_ENCRYPTOR_AESGCM};

static void refused(ks_fixture *f, const char *text)
{
    ks *s = NULL;

    EXPECT(f, TDSA_E_STORE, ks_open(&s, &f->cfg, &f->err));
    if (strstr(f->err.text, text) == NULL) {
        fail_msg("no '%s' in '%s'", text, f->err.text);
    }
}

static void everything_of_schema_1_is_there(ks_fixture *f)
{
    TDSA_SCOPED_BUF value = TDSA_BUF_EMPTY;
    const uint8_t *beta = ks_fixture_beta(1);
    tdsa_secret *share = NULL;
    ks_key gone = {.key_id = "gone", .presignature_limit = -1};
    ks_key *k = NULL;
    ks_batch *b = NULL;

    OK(f, ks_key_get(f->s, "k", &k, &f->err));
    assert_int_equal(k->state, KS_KEY_ACTIVE);
    assert_string_equal(k->label, "label of k");
    assert_int_equal(k->presignature_limit, 50);
    ks_key_free(k);
    OK(f, ks_key_open(f->s, "k", 0, &share, &f->err));
    assert_int_equal(tdsa_secret_len(share), 5);
    assert_memory_equal(tdsa_secret_view(share), "share", 5);
    tdsa_secret_free(share);
    EXPECT(f, TDSA_E_CONFLICT, ks_key_register(f->s, &gone, &f->err));
    OK(f, ks_batch_get(f->s, beta, &b, &f->err));
    assert_int_equal(b->next, 4);
    ks_batch_free(b);
    EXPECT(f, TDSA_E_CONFLICT, ks_burn(f->s, beta, 0, 0x10, &f->err));
    EXPECT(f, TDSA_E_CONFLICT, ks_seq_raise(f->s, "k", 0, 8, 9, &f->err));
    OK(f, ks_meta_get(f->s, "m", true, &value, &f->err));
    assert_int_equal(value.len, 1);
    OK(f, ks_lease(f->s, beta, 4, 5, &f->err));
}

static void a_database_of_schema_1_is_brought_forward_and_its_key_opens(void **state)
{
    ks_fixture *f = *state;

    ks_fixture_copy_db(f, KS_SCHEMA1_DB);
    assert_int_equal(ks_db_number(f, "PRAGMA user_version"), 1);
    ks_fixture_reopen(f);
    everything_of_schema_1_is_there(f);
    assert_true(ks_db_number(f, "PRAGMA user_version") > 1);
    assert_int_equal(ks_db_number(f, "SELECT count(*) FROM deletion"), 0);
    f->cfg.create_tables = false; /* nothing is missing any more */
    ks_fixture_reopen(f);
}

static void a_new_database_has_the_tables_of_one_that_was_brought_forward(void **state)
{
    static const char all[] = "SELECT sum(length(name) * 31 + length(sql)) FROM sqlite_schema";
    ks_fixture *f = *state;
    const int64_t fresh = ks_db_number(f, all);
    const int64_t version = ks_db_number(f, "PRAGMA user_version");

    ks_fixture_copy_db(f, KS_SCHEMA1_DB);
    assert_true(ks_db_number(f, all) < fresh);
    ks_fixture_reopen(f);
    assert_int_equal(ks_db_number(f, all), fresh);
    assert_int_equal(ks_db_number(f, "PRAGMA user_version"), version);
}

static void an_older_database_is_left_alone_where_tables_may_not_be_made(void **state)
{
    ks_fixture *f = *state;

    ks_fixture_copy_db(f, KS_SCHEMA1_DB);
    f->cfg.create_tables = false;
    refused(f, "schema version 1, this program needs");
    refused(f, "create-tables");
    EXPECT(f, TDSA_E_STORE, ks_create_tables(&f->cfg, &f->err));
    assert_int_equal(ks_db_number(f, "PRAGMA user_version"), 1);
    f->cfg.create_tables = true;
    OK(f, ks_create_tables(&f->cfg, &f->err));
    f->cfg.create_tables = false;
    ks_fixture_reopen(f);
    everything_of_schema_1_is_there(f);
}

static void a_migration_that_fails_changes_nothing(void **state)
{
    ks_fixture *f = *state;

    ks_fixture_copy_db(f, KS_SCHEMA1_DB);
    ks_db_edit(f, "CREATE TABLE deletion (x)");
    refused(f, "making tables");
    assert_int_equal(ks_db_number(f, "PRAGMA user_version"), 1);
    ks_db_edit(f, "DROP TABLE deletion");
    ks_fixture_reopen(f);
    everything_of_schema_1_is_there(f);
}

static void a_lost_table_is_not_made_again(void **state)
{
    ks_fixture *f = *state;

    ks_fixture_copy_db(f, KS_SCHEMA1_DB);
    ks_db_edit(f, "DROP TABLE block");
    refused(f, "no such table: block");
    refused(f, "no such table: block");
}

static void an_empty_file_is_empty_whatever_version_it_says(void **state)
{
    ks_fixture *f = *state;

    ks_close(f->s);
    f->s = NULL;
    (void)remove(f->path);
    ks_db_edit(f, "PRAGMA user_version = 7");
    ks_fixture_reopen(f);
    ks_fixture_active(f, "k", "share");
}

static struct CMUnitTest with(struct CMUnitTest test)
{
    test.setup_func = ks_fixture_setup;
    test.teardown_func = ks_fixture_teardown;
    test.initial_state = (void *)(uintptr_t)&gcm;
    return test;
}

#define TEST(f) with((struct CMUnitTest)cmocka_unit_test(f))

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_database_of_schema_1_is_brought_forward_and_its_key_opens),
        TEST(a_new_database_has_the_tables_of_one_that_was_brought_forward),
        TEST(an_older_database_is_left_alone_where_tables_may_not_be_made),
        TEST(a_migration_that_fails_changes_nothing),
        TEST(a_lost_table_is_not_made_again),
        TEST(an_empty_file_is_empty_whatever_version_it_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
