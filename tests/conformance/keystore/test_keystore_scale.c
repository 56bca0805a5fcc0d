#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "ks_fixture.h"

/*
 * Many keys: a start, a key by its id, keys by label and a page of the list read few rows, whatever
 * the number of keys is. Steps of SQLite's machine are counted, not time. 20,000 keys; 1,000,000 with
 * TDSA_TEST_LONG=1.
 */

#define KEYS_SHORT 20000u
#define KEYS_LONG  1000000u
#define FEW_STEPS \
    20000 /* of SQLite's machine; reading every key of the short form takes ten times as many */

static const ks_variant sqlite = {"sqlite+aesgcm", "sqlite", KS_ENCRYPTOR_AESGCM};

static unsigned key_count(void)
{
    return getenv("TDSA_TEST_LONG") != NULL ? KEYS_LONG : KEYS_SHORT;
}

static void run(sqlite3 *db, const char *text)
{
    if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK) {
        fail_msg("%s: %s", text, sqlite3_errmsg(db));
    }
}

/* Copies of the rows of key "k", each with a spent batch. */
static void multiply(ks_fixture *f)
{
    char text[600];
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    run(db, "PRAGMA synchronous = OFF");
    run(db, "BEGIN");
    (void)snprintf(
        text, sizeof text,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %u)"
        " INSERT INTO key SELECT printf('key-%%07d', i), epoch, state,"
        " 'label ' || (i %% 1000), created_ms, presignature_limit, public_part, attrs, sealed"
        " FROM n, key WHERE key_id = 'k'",
        key_count());
    run(db, text);
    run(db, "INSERT INTO batch SELECT randomblob(32), key_id, epoch, 3, 1, 1, 64, 64, 7 FROM key");
    run(db, "INSERT INTO key_change SELECT key_id, 1 FROM key WHERE key_id <> 'k'");
    run(db, "COMMIT");
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static int steps;

static int count_steps(void *ctx)
{
    (void)ctx;
    steps++;
    return 0;
}

/* Every connection of this process from now on counts. */
static int watch(sqlite3 *db, const char **text, const struct sqlite3_api_routines *api)
{
    (void)text;
    (void)api;
    sqlite3_progress_handler(db, 1, count_steps, NULL);
    return SQLITE_OK;
}

static void was_few(const char *what)
{
    if (steps > FEW_STEPS) {
        fail_msg("%s takes %d steps", what, steps);
    }
    steps = 0;
}

static bool count_key(void *ctx, const ks_key *k)
{
    unsigned *n = ctx;

    (void)k;
    (*n)++;
    return true;
}

static void no_question_reads_every_row(void **state)
{
    const unsigned labelled = key_count() / 1000;
    ks_fixture *f = *state;
    ks_key *k = NULL;
    uint64_t at = 0;
    unsigned n = 0;

    ks_fixture_active(f, "k", "share");
    ks_close(f->s);
    f->s = NULL;
    multiply(f);
    assert_int_equal(sqlite3_auto_extension((void (*)(void))(uintptr_t)watch), SQLITE_OK);
    steps = 0;
    ks_fixture_reopen(f);
    OK(f, ks_batch_void_made(f->s, 0, &f->err));
    OK(f, ks_key_each_in(f->s, KS_KEY_PENDING, count_key, &n, &f->err));
    OK(f, ks_key_each_in(f->s, KS_KEY_OLD, count_key, &n, &f->err));
    OK(f, ks_key_each_in(f->s, KS_KEY_RESTORED, count_key, &n, &f->err));
    assert_int_equal(n, 0);
    was_few("a start");
    OK(f, ks_key_get(f->s, "key-0012345", &k, &f->err));
    assert_string_equal(k->label, "label 345");
    ks_key_free(k);
    was_few("a key by its id");
    OK(f, ks_key_each(f->s, "key-0010000", 100, count_key, &n, &f->err));
    assert_int_equal(n, 100);
    was_few("a page of the list");
    n = 0;
    OK(f, ks_key_each_labelled(f->s, "label 345", NULL, 20, count_key, &n, &f->err));
    assert_int_equal(n, labelled < 20 ? labelled : 20);
    was_few("keys by label");
    n = 0;
    OK(f, ks_key_each_labelled(f->s, "label 345", "key-0000345", 1, count_key, &n, &f->err));
    assert_int_equal(n, 1);
    OK(f, ks_key_each_labelled(f->s, "label 345", "key-9999999", 9, count_key, &n, &f->err));
    OK(f, ks_key_each_labelled(f->s, "label", NULL, 9, count_key, &n, &f->err));
    assert_int_equal(n, 1); /* the whole label, and only what comes after */
    was_few("keys by label, on another page");
    OK(f, ks_change_counter(f->s, &at, &f->err));
    OK(f, ks_key_set_limit(f->s, "key-0012345", 7, &f->err));
    n = 0;
    OK(f, ks_key_each_changed(f->s, at, count_key, &n, &f->err));
    assert_int_equal(n, 1);
    was_few("keys that changed");
    OK(f, ks_key_each(f->s, NULL, SIZE_MAX, count_key, &n, &f->err)); /* the counting works */
    assert_true(steps > FEW_STEPS);
    sqlite3_reset_auto_extension();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"no_question_reads_every_row", no_question_reads_every_row, ks_fixture_setup,
         ks_fixture_teardown, (void *)(uintptr_t)&sqlite},
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
