#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include "keystore/internal.h"
#include "ks_fixture.h"
#include "support/softhsm.h"

static const ks_variant clear = {"sqlite+none", "sqlite", KS_ENCRYPTOR_NONE};
static const ks_variant gcm = {"sqlite+aesgcm", "sqlite", KS_ENCRYPTOR_AESGCM};
static const ks_variant token = {"sqlite+pkcs11", "sqlite", KS_ENCRYPTOR_PKCS11};

static void shut(ks_fixture *f)
{
    ks_close(f->s);
    f->s = NULL;
}

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

static void refused(ks_fixture *f, tdsa_status want, const char *text)
{
    ks *s = NULL;

    EXPECT(f, want, ks_open(&s, &f->cfg, &f->err));
    assert_null(s);
    if (strstr(f->err.text, text) == NULL) {
        fail_msg("no '%s' in '%s'", text, f->err.text);
    }
}

static tdsa_status open_share(ks_fixture *f, const char *key_id)
{
    tdsa_secret *share = NULL;
    tdsa_status st = ks_key_open(f->s, key_id, 0, &share, &f->err);

    tdsa_secret_free(share);
    return st;
}

/* ---- opening ---- */

static void the_file_is_for_its_owner_only(void **state)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    ks_fixture *f = *state;
    const mode_t old = umask(0);
    char name[200];
    struct stat info;

    shut(f);
    (void)unlink(f->path);
    ks_fixture_reopen(f);
    ks_fixture_active(f, "k", "share");
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(name, sizeof name, "%s%s", f->path, ends[i]);
        assert_int_equal(stat(name, &info), 0);
        assert_int_equal(info.st_mode & 07777, 0600);
    }
    shut(f);
    assert_int_equal(chmod(f->path, 0664), 0);
    (void)umask(0777);
    ks_fixture_reopen(f);
    assert_int_equal(stat(f->path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    shut(f);
    (void)unlink(f->path);
    ks_fixture_reopen(f);
    (void)umask(old);
    assert_int_equal(stat(f->path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
}

static void what_cannot_be_opened_is_said(void **state)
{
    ks_fixture *f = *state;
    char name[200];

    shut(f);
    (void)snprintf(name, sizeof name, "%s/none/x.db", f->dir);
    f->cfg.path = name;
    refused(f, TDSA_E_STORE, "folder does not exist");
    f->cfg.path = f->dir;
    refused(f, TDSA_E_STORE, "is not a file");
    (void)snprintf(name, sizeof name, "%s/x.db", f->dir);
    f->cfg.path = name;
    f->cfg.create_tables = false;
    refused(f, TDSA_E_STORE, "create-tables");
    assert_int_equal(access(name, F_OK), -1);
    assert_int_equal(close(open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
    refused(f, TDSA_E_STORE, "has no tables");
}

static void other_files_are_not_taken_for_a_keystore(void **state)
{
    ks_fixture *f = *state;
    char name[200];
    FILE *file = NULL;

    shut(f);
    edit(f, "PRAGMA user_version = 1000");
    refused(f, TDSA_E_STORE, "schema version 1000; this program knows version ");
    refused(f, TDSA_E_STORE, ": install a newer one");
    edit(f, "PRAGMA user_version = 0");
    refused(f, TDSA_E_STORE, "schema version 0");
    edit(f, "PRAGMA user_version = 1; PRAGMA application_id = 7");
    refused(f, TDSA_E_STORE, "belongs to another program");
    shut(f);
    (void)unlink(f->path);
    ks_fixture_reopen(f);
    shut(f);
    edit(f, "DROP TABLE block");
    refused(f, TDSA_E_STORE, "no such table: block"); /* not made again: burns would be forgotten */
    (void)snprintf(name, sizeof name, "%s/text.db", f->dir);
    file = fopen(name, "w");
    assert_non_null(file);
    for (int i = 0; i < 1000; i++) {
        (void)fputs("this is not a database at all\n", file);
    }
    (void)fclose(file);
    f->cfg.path = name;
    refused(f, TDSA_E_STORE, "is not a SQLite database");
}

static void names_that_look_like_uris_are_file_names(void **state)
{
    ks_fixture *f = *state;
    char here[512];

    shut(f);
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(f->dir), 0);
    f->cfg.path = "file:x?mode=memory";
    ks_fixture_reopen(f);
    ks_fixture_active(f, "k", "share");
    ks_fixture_reopen(f);
    OK(f, open_share(f, "k"));
    assert_int_equal(access("file:x?mode=memory", F_OK), 0);
    assert_int_equal(chdir(here), 0);
}

/* What a process without the right to write gets; run as nobody when this is root. */
static int open_read_only(ks_fixture *f)
{
    ks *s = NULL;

    if (geteuid() == 0 && seteuid(65534) != 0) {
        return 1;
    }
    if (ks_open(&s, &f->cfg, &f->err) != TDSA_E_STORE) {
        return 2;
    }
    return strstr(f->err.text, "cannot be written") != NULL ? 0 : 3;
}

static void a_read_only_file_is_refused(void **state)
{
    ks_fixture *f = *state;
    int status = 0;
    pid_t pid;

    shut(f);
    assert_int_equal(chmod(f->path, 0400), 0);
    if (geteuid() == 0) {
        assert_int_equal(chmod(f->dir, 0755), 0);
        assert_int_equal(chown(f->path, 65534, 65534), 0);
    }
    pid = fork();
    if (pid == 0) {
        _exit(open_read_only(f));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(chmod(f->path, 0600), 0);
}

/* ---- several connections ---- */

/* A key with a batch; and another connection that holds the lock of writers. */
static sqlite3 *held_by_others(ks_fixture *f, uint32_t busy_timeout_ms)
{
    sqlite3 *db = NULL;

    shut(f);
    f->cfg.busy_timeout_ms = busy_timeout_ms;
    ks_fixture_reopen(f);
    ks_fixture_active(f, "k", "share");
    ks_fixture_batch(f, "k", 1, KS_BATCH_FREE, 1, 1, 10);
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    return db;
}

static void a_database_that_others_hold_is_busy(void **state)
{
    ks_fixture *f = *state;
    sqlite3 *db = held_by_others(f, 30);

    EXPECT(f, TDSA_E_STORE, ks_lease(f->s, ks_fixture_beta(1), 0, 1, &f->err));
    assert_non_null(strstr(f->err.text, "busy"));
    EXPECT(f, TDSA_E_STORE, ks_burn(f->s, ks_fixture_beta(1), 0, 1, &f->err));
    EXPECT(f, TDSA_E_STORE, ks_key_delete(f->s, "k", true, &f->err));
    EXPECT(f, TDSA_E_STORE, ks_ping(f->s, &f->err));
    OK(f, open_share(f, "k")); /* reading goes on */
    refused(f, TDSA_E_STORE, "busy");
    assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    OK(f, ks_ping(f->s, &f->err));
    OK(f, ks_lease(f->s, ks_fixture_beta(1), 0, 1, &f->err));
    OK(f, ks_burn(f->s, ks_fixture_beta(1), 0, 1, &f->err));
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

typedef struct {
    ks *s;
    atomic_bool over;
    tdsa_status st;
    tdsa_err err;
} slow_call;

static void *burn_slowly(void *ctx)
{
    slow_call *c = ctx;

    c->st = ks_burn(c->s, ks_fixture_beta(1), 0, 1, &c->err);
    atomic_store(&c->over, true);
    return NULL;
}

static bool is_inside(ks *s)
{
    if (pthread_mutex_trylock(&s->mu) != 0) {
        return true;
    }
    assert_int_equal(pthread_mutex_unlock(&s->mu), 0);
    return false;
}

/* Callers of the participant ask for these under its lock. */
static void counters_do_not_wait_for_a_commit(void **state)
{
    ks_fixture *f = *state;
    slow_call c = {.st = TDSA_E_INTERNAL};
    sqlite3 *db = held_by_others(f, 60000);
    uint64_t changes = 0;
    ks_marks marks;
    pthread_t thread;

    c.s = f->s;
    assert_int_equal(pthread_create(&thread, NULL, burn_slowly, &c), 0);
    while (!is_inside(f->s)) {
        (void)sched_yield();
    }
    OK(f, ks_change_counter(f->s, &changes, &f->err));
    ks_marks_known(f->s, &marks);
    assert_int_equal(marks.burns, 0);
    assert_false(atomic_load(&c.over));
    assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(c.st, TDSA_OK);
    ks_marks_known(f->s, &marks);
    assert_int_equal(marks.burns, 1);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void two_stores_share_what_is_used_up(void **state)
{
    ks_fixture *f = *state;
    const uint8_t *beta = ks_fixture_beta(1);
    uint64_t before = 0;
    uint64_t after = 0;
    ks *other = NULL;
    ks_key *k = NULL;

    ks_fixture_active(f, "k", "share");
    ks_fixture_batch(f, "k", 1, KS_BATCH_FREE, 1, 1, 10);
    OK(f, ks_open(&other, &f->cfg, &f->err));
    assert_true(ks_lane(other) != ks_lane(f->s));
    OK(f, ks_lease(f->s, beta, 0, 4, &f->err));
    EXPECT(f, TDSA_E_CONFLICT, ks_lease(other, beta, 0, 4, &f->err));
    OK(f, ks_lease(other, beta, 4, 5, &f->err));
    OK(f, ks_burn(f->s, beta, 0, 0x7, &f->err));
    EXPECT(f, TDSA_E_CONFLICT, ks_burn(other, beta, 0, 0x4, &f->err));
    OK(f, ks_seq_raise(f->s, "k", 0, 1, 9, &f->err));
    EXPECT(f, TDSA_E_CONFLICT, ks_seq_raise(other, "k", 0, 1, 9, &f->err));
    OK(f, ks_change_counter(f->s, &before, &f->err));
    OK(f, ks_lease(other, beta, 5, 6, &f->err));
    OK(f, ks_change_counter(f->s, &after, &f->err));
    assert_true(before == after); /* no key changed */
    OK(f, ks_key_set_limit(other, "k", 5, &f->err));
    OK(f, ks_change_counter(f->s, &after, &f->err));
    assert_true(before != after);
    OK(f, ks_key_get(f->s, "k", &k, &f->err));
    assert_int_equal(k->presignature_limit, 5);
    ks_key_free(k);
    ks_close(other);
}

static void every_start_has_a_lane_of_its_own(void **state)
{
    ks_fixture *f = *state;
    uint64_t seen[20];
    ks_stats stats;

    for (size_t i = 0; i < 20; i++) {
        ks_get_stats(f->s, &stats);
        assert_int_equal(stats.start_counter, i + 1);
        seen[i] = ks_lane(f->s);
        for (size_t j = 0; j < i; j++) {
            assert_true(seen[i] != seen[j]);
        }
        ks_fixture_reopen(f);
    }
}

static void everything_is_there_after_a_restart(void **state)
{
    ks_fixture *f = *state;
    const uint8_t *beta = ks_fixture_beta(1);
    const uint8_t value[] = {7};
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    ks_batch *b = NULL;

    ks_fixture_active(f, "k", "share");
    ks_fixture_batch(f, "k", 1, KS_BATCH_FREE, 1, 1, 10);
    OK(f, ks_lease(f->s, beta, 0, 4, &f->err));
    OK(f, ks_burn(f->s, beta, 0, 0x70, &f->err));
    OK(f, ks_seq_raise(f->s, "k", 0, 8, 9, &f->err));
    OK(f, ks_meta_put(f->s, "m", true, value, 1, &f->err));
    f->cfg.create_tables = false;
    ks_fixture_reopen(f);
    OK(f, open_share(f, "k"));
    OK(f, ks_batch_get(f->s, beta, &b, &f->err));
    assert_int_equal(b->next, 4);
    ks_batch_free(b);
    EXPECT(f, TDSA_E_CONFLICT, ks_burn(f->s, beta, 0, 0x10, &f->err));
    EXPECT(f, TDSA_E_CONFLICT, ks_seq_raise(f->s, "k", 0, 8, 9, &f->err));
    OK(f, ks_meta_get(f->s, "m", true, &out, &f->err));
    assert_int_equal(out.len, 1);
}

/* ---- secrets stay in ---- */

#define CANARY "CaNaRy-5f1d0c9e7b3a"

/* grep in a process of its own: opening and closing the file here would drop SQLite's locks. */
static bool found_in_folder(const ks_fixture *f, const char *text)
{
    char dir[128];
    char pattern[128];
    char *argv[] = {(char[]){"grep"}, (char[]){"-rqaF"}, (char[]){"--"}, pattern, dir, NULL};

    (void)snprintf(dir, sizeof dir, "%s", f->dir);
    (void)snprintf(pattern, sizeof pattern, "%s", text);
    return softhsm_run(argv) == 0;
}

static void plant(ks_fixture *f)
{
    ks_batch b = {.state = KS_BATCH_FREE, .count = 1, .beta = {1}};
    const uint8_t *canary = (const uint8_t *)CANARY;

    ks_fixture_register(f, "k");
    ks_fixture_store(f, "k", CANARY);
    (void)snprintf(b.key_id, sizeof b.key_id, "k");
    b.data = malloc(sizeof CANARY);
    assert_non_null(b.data);
    memcpy(b.data, CANARY, sizeof CANARY);
    b.data_len = sizeof CANARY;
    OK(f, ks_batch_insert(f->s, &b, &f->err));
    free(b.data);
    OK(f, ks_meta_put(f->s, "m", true, canary, sizeof CANARY, &f->err));
}

static void no_planted_secret_is_in_a_file(void **state)
{
    ks_fixture *f = *state;

    plant(f);
    assert_true(found_in_folder(f, "label of k")); /* the search can find something */
    assert_false(found_in_folder(f, CANARY));
    assert_false(found_in_folder(f, "correct horse battery"));
    assert_false(found_in_folder(f, KS_FIXTURE_PIN));
    shut(f);
    assert_true(found_in_folder(f, "label of k"));
    assert_false(found_in_folder(f, CANARY));
    assert_false(found_in_folder(f, "correct horse battery"));
}

static void without_encryption_they_are_there_until_deleted(void **state)
{
    ks_fixture *f = *state;

    plant(f);
    assert_true(found_in_folder(f, CANARY)); /* so the search above would find them */
    edit(f, "DELETE FROM meta WHERE name = 'm'");
    OK(f, ks_key_delete(f->s, "k", true, &f->err));
    assert_false(found_in_folder(f, CANARY));
}

/* ---- a disk that is full ---- */

static void a_full_disk_is_an_error_and_passes(void **state)
{
    ks_fixture *f = *state;
    struct rlimit old;
    struct rlimit small;
    tdsa_status st = TDSA_OK;
    uint8_t tag = 0;
    int i;
    ks_batch *b = NULL;

    ks_fixture_active(f, "k", "share");
    ks_fixture_batch(f, "k", 200, KS_BATCH_FREE, 1, 1, 10);
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 320u * 1024u;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    while (st == TDSA_OK && tag < 100) {
        ks_batch in = {.state = KS_BATCH_FREE, .count = 10, .seq = tag};
        uint8_t data[3000] = {0};

        tag++;
        memcpy(in.beta, ks_fixture_beta(tag), KS_BETA_LEN);
        (void)snprintf(in.key_id, sizeof in.key_id, "k");
        in.data = data;
        in.data_len = sizeof data;
        st = ks_batch_insert(f->s, &in, &f->err);
    }
    assert_int_equal(st, TDSA_E_STORE);
    for (st = TDSA_OK, i = 0; st == TDSA_OK && i < 100; i++) { /* into what the batch left over */
        st = ks_ping(f->s, &f->err);
    }
    assert_int_equal(st, TDSA_E_STORE);
    OK(f, open_share(f, "k"));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    OK(f, ks_ping(f->s, &f->err));
    OK(f, ks_lease(f->s, ks_fixture_beta(200), 0, 1, &f->err));
    ks_fixture_reopen(f);
    OK(f, ks_batch_get(f->s, ks_fixture_beta((uint8_t)(tag - 1)), &b, &f->err));
    ks_batch_free(b);
    EXPECT(f, TDSA_E_CONFLICT, ks_lease(f->s, ks_fixture_beta(200), 0, 1, &f->err));
}

/* ---- a disk that fails ---- */

static bool syncs_fail;

/* In front of libc's, for SQLite too: the executable's symbols come first. */
static int sync_file(long call, int fd)
{
    if (syncs_fail) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(call, fd);
}

TDSA_EXPORT int fsync(int fd)
{
    return sync_file(SYS_fsync, fd);
}

TDSA_EXPORT int fdatasync(int fd)
{
    return sync_file(SYS_fdatasync, fd);
}

/* After a failed fsync the kernel may have thrown the pages away, and the next fsync succeeds all
 * the same. */
static void after_a_failed_sync_nothing_is_believed(void **state)
{
    ks_fixture *f = *state;
    const uint8_t *beta = ks_fixture_beta(1);

    ks_fixture_active(f, "k", "share");
    ks_fixture_batch(f, "k", 1, KS_BATCH_FREE, 1, 1, 10);
    OK(f, ks_lease(f->s, beta, 0, 1, &f->err));
    syncs_fail = true;
    EXPECT(f, TDSA_E_STORE, ks_lease(f->s, beta, 1, 2, &f->err));
    syncs_fail = false;
    EXPECT(f, TDSA_E_STORE, ks_lease(f->s, beta, 1, 2, &f->err));
    EXPECT(f, TDSA_E_STORE, ks_burn(f->s, beta, 0, 1, &f->err));
    EXPECT(f, TDSA_E_STORE, ks_ping(f->s, &f->err));
    EXPECT(f, TDSA_E_STORE, ks_key_delete(f->s, "k", true, &f->err));
    EXPECT(f, TDSA_E_STORE, open_share(f, "k"));
    ks_fixture_reopen(f);
    OK(f, open_share(f, "k"));
    EXPECT(f, TDSA_E_CONFLICT, ks_lease(f->s, beta, 0, 1, &f->err)); /* what was told is there */
}

static struct CMUnitTest with(struct CMUnitTest test, const ks_variant *variant)
{
    test.setup_func = ks_fixture_setup;
    test.teardown_func = ks_fixture_teardown;
    test.initial_state = (void *)(uintptr_t)variant;
    return test;
}

/* ---- size ---- */

#define SIZE_BATCHES 40u
#define SIZE_COUNT   256u /* presignatures; the size that the stock keeper makes */
#define SIZE_R       65u  /* bytes of R on a 256-bit curve, as batches hold it */

static void presignatures_take_little_more_than_their_r(void **state)
{
    ks_fixture *f = *state;
    ks_batch b = {.state = KS_BATCH_FREE, .lane = 1, .count = SIZE_COUNT, .members = 7};
    struct stat before;
    struct stat after;

    ks_fixture_active(f, "k", "share");
    ks_fixture_reopen(f); /* the log goes into the file */
    assert_int_equal(stat(f->path, &before), 0);
    (void)snprintf(b.key_id, sizeof b.key_id, "k");
    b.data_len = (size_t)SIZE_COUNT * SIZE_R + 60;
    b.data = calloc(1, b.data_len);
    assert_non_null(b.data);
    for (uint8_t tag = 1; tag <= SIZE_BATCHES; tag++) {
        memcpy(b.beta, ks_fixture_beta(tag), KS_BETA_LEN);
        b.seq = tag;
        OK(f, ks_batch_insert(f->s, &b, &f->err));
        for (uint32_t block = 0; block < SIZE_COUNT / KS_BLOCK_SIZE; block++) {
            OK(f, ks_burn(f->s, b.beta, block, UINT64_MAX, &f->err));
        }
    }
    free(b.data);
    ks_fixture_reopen(f);
    assert_int_equal(stat(f->path, &after), 0);
    assert_true((size_t)(after.st_size - before.st_size) <=
                (size_t)SIZE_BATCHES * SIZE_COUNT * (SIZE_R + 8));
}

#define GCM(f) with((struct CMUnitTest)cmocka_unit_test(f), &gcm)

int main(void)
{
    const struct CMUnitTest tests[] = {
        GCM(the_file_is_for_its_owner_only),
        GCM(what_cannot_be_opened_is_said),
        GCM(other_files_are_not_taken_for_a_keystore),
        GCM(names_that_look_like_uris_are_file_names),
        GCM(a_read_only_file_is_refused),
        GCM(a_database_that_others_hold_is_busy),
        GCM(counters_do_not_wait_for_a_commit),
        GCM(two_stores_share_what_is_used_up),
        GCM(every_start_has_a_lane_of_its_own),
        GCM(everything_is_there_after_a_restart),
        GCM(no_planted_secret_is_in_a_file),
        with((struct CMUnitTest)cmocka_unit_test(no_planted_secret_is_in_a_file), &token),
        with((struct CMUnitTest)cmocka_unit_test(without_encryption_they_are_there_until_deleted),
             &clear),
        GCM(presignatures_take_little_more_than_their_r),
        GCM(a_full_disk_is_an_error_and_passes),
        GCM(after_a_failed_sync_nothing_is_believed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
