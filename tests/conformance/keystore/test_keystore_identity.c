#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ks_fixture.h"
#include "ks_tempdir.h"

/* Which database it is: a copy in the place of the file gives up the presignatures, a move does not. */

static const ks_variant sqlite = {"sqlite+aesgcm", "sqlite", KS_ENCRYPTOR_AESGCM};

static uint64_t available(ks_fixture *f)
{
    uint64_t n = 0;

    OK(f, ks_batch_available(f->s, "k", NULL, &n, &f->err));
    return n;
}

static void fill(ks_fixture *f)
{
    ks_fixture_active(f, "k", "share");
    ks_fixture_batch(f, "k", 1, KS_BATCH_FREE, 1, 1, 64);
    OK(f, ks_burn(f->s, ks_fixture_beta(1), 0, 0xf, &f->err));
    assert_int_equal(available(f), 60);
}

static void close_store(ks_fixture *f)
{
    ks_close(f->s);
    f->s = NULL;
}

/* A copy with a number of its own. */
static void copy(const char *from, const char *to)
{
    char command[600];

    (void)unlink(to);
    (void)snprintf(command, sizeof command, "cp -p '%s' '%s'", from, to);
    assert_int_equal(system(command), 0);
}

static bool moved(ks_fixture *f, ks_moved *m)
{
    ks_moved none;

    if (!ks_take_moved(f->s, m)) {
        return false;
    }
    assert_false(ks_take_moved(f->s, &none)); /* once */
    return true;
}

static void share_is_there(ks_fixture *f)
{
    tdsa_secret *share = NULL;

    OK(f, ks_key_open(f->s, "k", 0, &share, &f->err));
    tdsa_secret_free(share);
}

static void a_file_that_stays_keeps_its_stock(void **state)
{
    ks_fixture *f = *state;
    ks_moved m;

    fill(f);
    for (int i = 0; i < 3; i++) {
        ks_fixture_reopen(f);
        assert_false(moved(f, &m));
        assert_int_equal(available(f), 60);
    }
}

static void a_copy_that_was_put_back_has_no_stock(void **state)
{
    ks_fixture *f = *state;
    char away[200];
    ks_marks before, after;
    ks_moved m;

    fill(f);
    OK(f, ks_marks_read(f->s, &before, &f->err));
    close_store(f);
    (void)snprintf(away, sizeof away, "%s/away.db", f->dir);
    copy(f->path, away);
    assert_int_equal(rename(away, f->path), 0);
    ks_fixture_reopen(f);
    assert_true(moved(f, &m));
    assert_int_equal(m.dropped, 60);
    assert_non_null(strstr(m.was, "sqlite inode="));
    assert_non_null(strstr(m.now, "sqlite inode="));
    assert_string_not_equal(m.was, m.now);
    assert_int_equal(available(f), 0);
    share_is_there(f);
    OK(f, ks_marks_read(f->s, &after, &f->err));
    assert_int_equal(after.purges,
                     before.purges + 1); /* the other participants hear of it by that */
    ks_fixture_batch(f, "k", 2, KS_BATCH_FREE, 1, 2, 64);
    ks_fixture_reopen(f); /* and from now on it is this one */
    assert_false(moved(f, &m));
    assert_int_equal(available(f), 64);
}

static void another_process_of_a_replaced_file_gives_up_nothing_more(void **state)
{
    ks_fixture *f = *state;
    char away[200];
    ks *second = NULL;
    ks_moved m;

    fill(f);
    close_store(f);
    (void)snprintf(away, sizeof away, "%s/away.db", f->dir);
    copy(f->path, away);
    assert_int_equal(rename(away, f->path), 0);
    ks_fixture_reopen(f);
    assert_true(moved(f, &m));
    ks_fixture_batch(f, "k", 2, KS_BATCH_FREE, 1, 2, 64);
    OK(f, ks_open(&second, &f->cfg, &f->err));
    assert_false(ks_take_moved(second, &m));
    ks_close(second);
    assert_int_equal(available(f), 64);
}

static void a_file_that_moves_to_another_folder_keeps_its_stock(void **state)
{
    ks_fixture *f = *state;
    char folder[200], path[240];
    ks_moved m;

    fill(f);
    close_store(f);
    (void)snprintf(folder, sizeof folder, "%s/elsewhere", f->dir);
    (void)snprintf(path, sizeof path, "%s/other.db", folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(rename(f->path, path), 0);
    f->cfg.path = path;
    ks_fixture_reopen(f);
    assert_false(moved(f, &m));
    assert_int_equal(available(f), 60);
    close_store(f);
    assert_int_equal(rename(path, f->path), 0);
    f->cfg.path = f->path;
    assert_int_equal(rmdir(folder), 0);
    ks_fixture_reopen(f);
    assert_int_equal(available(f), 60);
}

#define SQLITE(f)                                                                \
    {                                                                            \
#        f, f, ks_fixture_setup, ks_fixture_teardown, (void *)(uintptr_t)&sqlite \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        SQLITE(a_file_that_stays_keeps_its_stock),
        SQLITE(a_copy_that_was_put_back_has_no_stock),
        SQLITE(another_process_of_a_replaced_file_gives_up_nothing_more),
        SQLITE(a_file_that_moves_to_another_folder_keeps_its_stock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
