#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keystore/counter_file.h"
#include "ks_fixture.h"

/* The second copy of the counters: an old database beside a newer file gives up its presignatures. */

static char counter_path[192];
static char saved_path[192];

static int setup(void **state)
{
    ks_fixture *f = NULL;
    const int rc = ks_fixture_setup(state);

    f = *state;
    (void)snprintf(counter_path, sizeof counter_path, "%s/counter", f->dir);
    (void)snprintf(saved_path, sizeof saved_path, "%s/saved", f->dir);
    f->cfg.counter_file = counter_path;
    return rc;
}

static bool outlives_its_process(const ks_fixture *f)
{
    return strcmp(f->variant->backend, "sqlite") == 0 ||
           strcmp(f->variant->backend, "postgres") == 0;
}

static void copy(const char *from, const char *to)
{
    char command[512];

    (void)snprintf(command, sizeof command, "cp '%s' '%s'", from, to);
    assert_int_equal(system(command), 0);
}

/* A backup of the database, and its return. */
static void back_up(const ks_fixture *f)
{
    if (strcmp(f->variant->backend, "postgres") == 0) {
        assert_true(db_place_postgres_keep(&f->place));
    } else {
        copy(f->path, saved_path);
    }
}

static void put_back(const ks_fixture *f)
{
    if (strcmp(f->variant->backend, "postgres") == 0) {
        assert_true(db_place_postgres_put_back(&f->place));
    } else {
        copy(saved_path, f->path);
    }
}

/* The database is closed; its log is in it. */
static void shut(ks_fixture *f)
{
    ks_close(f->s);
    f->s = NULL;
}

static void reopen(ks_fixture *f)
{
    f->cfg.counter_file = counter_path;
    OK(f, ks_open(&f->s, &f->cfg, &f->err));
}

static tdsa_status try_open(ks_fixture *f)
{
    f->cfg.counter_file = counter_path;
    return ks_open(&f->s, &f->cfg, &f->err);
}

static void make_file(const char *text)
{
    FILE *out = fopen(counter_path, "w");

    assert_non_null(out);
    (void)fputs(text, out);
    assert_int_equal(fclose(out), 0);
}

static bool found(ks_fixture *f)
{
    ks_marks was;
    ks_marks seen;

    return ks_found_rollback(f->s, &was, &seen);
}

static uint64_t available(ks_fixture *f)
{
    uint64_t n = 0;

    OK(f, ks_batch_available(f->s, "k", NULL, &n, &f->err));
    return n;
}

/* A key with 100 presignatures in a database that has the file from now on. */
static void begin(ks_fixture *f)
{
    ks_fixture_active(f, "k", "share");
    ks_fixture_batch(f, "k", 7, KS_BATCH_FREE, 1, 1, 100);
    shut(f);
    make_file("");
    reopen(f);
    assert_int_equal(available(f), 0); /* nobody knows what was burnt before */
    ks_fixture_batch(f, "k", 8, KS_BATCH_FREE, 1, 2, 100);
}

static void an_old_database_wants_its_file(void **state)
{
    ks_fixture *f = *state;

    if (!outlives_its_process(f)) {
        return;
    }
    shut(f);
    EXPECT(f, TDSA_E_CONFIG, try_open(f));
    assert_non_null(strstr(f->err.text, "make an empty file"));
    make_file("garbage\n");
    EXPECT(f, TDSA_E_STORE, try_open(f));
    assert_non_null(strstr(f->err.text, "damaged"));
    make_file("");
    reopen(f);
    assert_false(found(f));
}

static void a_new_database_makes_it(void **state)
{
    ks_fixture *f = *state;
    ks_file_state file;
    ks_marks copied;
    ks_marks m;

    shut(f);
    ks_fixture_empty_db(f);
    reopen(f);
    OK(f, ks_counter_file_read(counter_path, &file, &copied, &f->err));
    OK(f, ks_marks_read(f->s, &m, &f->err));
    assert_int_equal(file, KS_FILE_FILLED);
    assert_memory_equal(&copied, &m, sizeof m);
    assert_int_equal(m.starts, 1);
}

static void every_start_lease_and_burn_is_in_the_file(void **state)
{
    ks_fixture *f = *state;
    ks_file_state file;
    ks_marks copied;
    ks_marks m;

    if (!outlives_its_process(f)) {
        return;
    }
    begin(f);
    OK(f, ks_lease(f->s, ks_fixture_beta(8), 0, 4, &f->err));
    OK(f, ks_burn(f->s, ks_fixture_beta(8), 1, 1, &f->err));
    OK(f, ks_marks_read(f->s, &m, &f->err));
    OK(f, ks_counter_file_read(counter_path, &file, &copied, &f->err));
    assert_true(copied.burns == m.burns && copied.starts == m.starts);
    assert_int_equal(m.burns, 2);
    shut(f);
    reopen(f);
    assert_false(found(f)); /* nothing was put back */
    assert_int_equal(available(f), 95);
}

static void a_database_put_back_gives_up_its_presignatures(void **state)
{
    ks_fixture *f = *state;
    ks_marks before;
    ks_marks was;
    ks_marks seen;
    ks_marks m;

    if (!outlives_its_process(f)) {
        return;
    }
    begin(f);
    shut(f);
    back_up(f);
    reopen(f);
    OK(f, ks_burn(f->s, ks_fixture_beta(8), 0, 1, &f->err));
    OK(f, ks_marks_read(f->s, &before, &f->err));
    shut(f);
    put_back(f);
    reopen(f);
    assert_true(ks_found_rollback(f->s, &was, &seen));
    assert_true(was.burns == 0 && seen.burns == 1);
    assert_int_equal(available(f), 0);
    OK(f, ks_marks_read(f->s, &m, &f->err));
    assert_false(ks_marks_behind(&m, &before)); /* counters never go back for those who look */
    assert_int_equal(m.purges, before.purges + 1);
    shut(f);
    reopen(f); /* it is settled */
    assert_false(found(f));
}

static void a_start_that_was_lost_is_enough(void **state)
{
    ks_fixture *f = *state;

    if (!outlives_its_process(f)) {
        return;
    }
    begin(f);
    shut(f);
    back_up(f);
    reopen(f);
    shut(f);
    put_back(f);
    reopen(f);
    assert_true(found(f));
}

static void a_file_put_back_is_found_too(void **state)
{
    ks_fixture *f = *state;

    if (!outlives_its_process(f)) {
        return;
    }
    begin(f);
    shut(f);
    copy(counter_path, saved_path);
    reopen(f);
    for (uint32_t i = 0; i < 100; i++) {
        OK(f, ks_lease(f->s, ks_fixture_beta(8), i, i + 1, &f->err));
    }
    shut(f);
    copy(saved_path, counter_path);
    reopen(f);
    assert_true(found(f));
}

static void a_crash_between_the_two_is_none(void **state)
{
    ks_fixture *f = *state;

    if (!outlives_its_process(f)) {
        return;
    }
    begin(f);
    copy(counter_path, saved_path);
    OK(f, ks_lease(f->s, ks_fixture_beta(8), 0, 1, &f->err));
    shut(f);
    copy(saved_path, counter_path); /* the lease committed, and the file was not written any more */
    reopen(f);
    assert_false(found(f));
    assert_int_equal(available(f), 99);
}

static void the_file_of_another_database_is_refused(void **state)
{
    ks_fixture *f = *state;
    const ks_marks other = {.store_id = 1, .starts = 1};

    if (!outlives_its_process(f)) {
        return;
    }
    begin(f);
    shut(f);
    assert_int_equal(unlink(counter_path), 0);
    OK(f, ks_counter_file_raise(counter_path, true, &other, &f->err));
    EXPECT(f, TDSA_E_STORE, try_open(f));
    assert_non_null(strstr(f->err.text, "another database"));
    make_file("");
    reopen(f);
}

static void nothing_is_burnt_when_the_file_cannot_be_written(void **state)
{
    ks_fixture *f = *state;

    if (!outlives_its_process(f)) {
        return;
    }
    begin(f);
    assert_int_equal(unlink(counter_path), 0);
    EXPECT(f, TDSA_E_STORE, ks_burn(f->s, ks_fixture_beta(8), 0, 1, &f->err));
    EXPECT(f, TDSA_E_STORE, ks_lease(f->s, ks_fixture_beta(8), 0, 1, &f->err));
}

/* ---- the file alone ---- */

static void a_torn_record_leaves_the_other(void **state)
{
    ks_fixture *f = *state;
    ks_marks m = {.store_id = 9, .starts = 1, .burns = 5};
    ks_marks got;
    ks_file_state file;
    int fd = -1;

    OK(f, ks_counter_file_raise(counter_path, true, &m, &f->err));
    m.burns = 6;
    OK(f, ks_counter_file_raise(counter_path, false, &m, &f->err));
    for (unsigned slot = 0; slot < 2; slot++) { /* the first record written is the second slot's */
        copy(counter_path, saved_path);
        fd = open(counter_path, O_WRONLY);
        assert_int_equal(pwrite(fd, "torn", 4, (off_t)(slot * KS_COUNTER_APART)), 4);
        (void)close(fd);
        OK(f, ks_counter_file_read(counter_path, &file, &got, &f->err));
        assert_int_equal(file, KS_FILE_FILLED);
        assert_true(got.burns == 5 || got.burns == 6);
        copy(saved_path, counter_path);
    }
    OK(f, ks_counter_file_read(counter_path, &file, &got, &f->err));
    assert_int_equal(got.burns, 6);
    m.burns = 3; /* never back */
    OK(f, ks_counter_file_raise(counter_path, false, &m, &f->err));
    OK(f, ks_counter_file_read(counter_path, &file, &got, &f->err));
    assert_int_equal(got.burns, 6);
    m.store_id = 10;
    EXPECT(f, TDSA_E_STORE, ks_counter_file_raise(counter_path, false, &m, &f->err));
}

static void a_line_is_exactly_what_is_written(void **state)
{
    ks_fixture *f = *state;
    const ks_marks m = {.store_id = 0xfedcba9876543210u, .starts = 12, .burns = 345};
    uint8_t line[KS_COUNTER_LINE_LEN];
    ks_marks got;
    int fd = -1;

    OK(f, ks_counter_file_raise(counter_path, true, &m, &f->err));
    fd = open(counter_path, O_RDONLY);
    assert_int_equal(pread(fd, line, sizeof line, 0), sizeof line);
    (void)close(fd);
    assert_true(ks_counter_line_parse(&got, line, sizeof line));
    assert_memory_equal(&got, &m, sizeof m);
    assert_false(ks_counter_line_parse(&got, line, sizeof line - 1));
    for (size_t i = 0; i < sizeof line; i++) {
        line[i] ^= 1;
        assert_false(ks_counter_line_parse(&got, line, sizeof line));
        line[i] ^= 1;
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_old_database_wants_its_file, setup),
        cmocka_unit_test_setup(a_new_database_makes_it, setup),
        cmocka_unit_test_setup(every_start_lease_and_burn_is_in_the_file, setup),
        cmocka_unit_test_setup(a_database_put_back_gives_up_its_presignatures, setup),
        cmocka_unit_test_setup(a_start_that_was_lost_is_enough, setup),
        cmocka_unit_test_setup(a_file_put_back_is_found_too, setup),
        cmocka_unit_test_setup(a_crash_between_the_two_is_none, setup),
        cmocka_unit_test_setup(the_file_of_another_database_is_refused, setup),
        cmocka_unit_test_setup(nothing_is_burnt_when_the_file_cannot_be_written, setup),
        cmocka_unit_test_setup(a_torn_record_leaves_the_other, setup),
        cmocka_unit_test_setup(a_line_is_exactly_what_is_written, setup),
    };

    return ks_fixture_run("counter file", tests, sizeof tests / sizeof tests[0]);
}
