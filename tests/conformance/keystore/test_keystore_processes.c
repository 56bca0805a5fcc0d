#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ks_fixture.h"
#include "ks_worker.h"

extern char **environ;

static const ks_variant gcm = {"sqlite+aesgcm", "sqlite", KS_ENCRYPTOR_AESGCM};
static const ks_variant postgres = {"postgres+aesgcm", "postgres", KS_ENCRYPTOR_AESGCM};

#define WORKERS 3u
#define KILLS   25u

static bool in_a_file(const ks_fixture *f)
{
    return f->variant == &gcm;
}

/* Starts ks_worker; what it says goes to <folder>/out<number>. */
static pid_t start(const ks_fixture *f, const char *mode, unsigned number)
{
    char program[] = KS_WORKER_PROGRAM;
    char out[160], port[8];
    const char *const words[2][8] = {
        {program, mode, f->variant->backend, f->place.socket, port, f->place.database,
         f->place.user, NULL},
        {program, mode, f->path, NULL},
    };
    posix_spawn_file_actions_t actions;
    char *argv[8];
    pid_t pid = 0;

    (void)snprintf(out, sizeof out, "%s/out%u", f->dir, number);
    (void)snprintf(port, sizeof port, "%u", f->place.port);
    memcpy(argv, words[in_a_file(f) ? 1 : 0], sizeof argv);
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(
        posix_spawn_file_actions_addopen(&actions, 1, out, O_WRONLY | O_CREAT | O_TRUNC, 0600), 0);
    assert_int_equal(posix_spawn(&pid, program, &actions, NULL, argv, environ), 0);
    (void)posix_spawn_file_actions_destroy(&actions);
    return pid;
}

static int finish(pid_t pid)
{
    int status = 0;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Adds up how often each number was won; returns how many lines of `what` there are. */
static unsigned count_wins(const ks_fixture *f, unsigned number, char what, unsigned *wins)
{
    char out[160];
    char line[64];
    unsigned lines = 0;
    FILE *file = NULL;

    (void)snprintf(out, sizeof out, "%s/out%u", f->dir, number);
    file = fopen(out, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (line[0] == what && strchr(line, '\n') != NULL) {
            const unsigned long at = strtoul(line + 2, NULL, 10);

            assert_true(at < KS_WORKER_COUNT);
            wins[at]++;
            lines++;
        }
    }
    (void)fclose(file);
    return lines;
}

static void make_batches(ks_fixture *f)
{
    ks_fixture_active(f, "k", "share");
    ks_fixture_batch(f, "k", KS_WORKER_LEASED, KS_BATCH_FREE, 1, 1, KS_WORKER_COUNT);
    ks_fixture_batch(f, "k", KS_WORKER_BURNT, KS_BATCH_FREE, 1, 2, KS_WORKER_COUNT);
}

static void race(ks_fixture *f, const char *mode, char what)
{
    unsigned wins[KS_WORKER_COUNT] = {0};
    pid_t pid[WORKERS];

    make_batches(f);
    for (unsigned i = 0; i < WORKERS; i++) {
        pid[i] = start(f, mode, i);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        assert_int_equal(finish(pid[i]), 0);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        (void)count_wins(f, i, what, wins);
    }
    for (unsigned i = 0; i < KS_WORKER_COUNT; i++) {
        if (wins[i] != 1) {
            fail_msg("presignature %u was won %u times", i, wins[i]);
        }
    }
}

static void each_presignature_is_leased_by_one_process(void **state)
{
    race(*state, "lease", 'L');
}

static void each_presignature_is_burnt_by_one_process(void **state)
{
    race(*state, "burn", 'B');
}

static void a_database_is_made_by_one_of_many_processes(void **state)
{
    ks_fixture *f = *state;
    pid_t pid[8];
    ks_stats stats;

    for (unsigned round = 0; round < (in_a_file(f) ? 5u : 2u); round++) {
        ks_close(f->s);
        f->s = NULL;
        ks_fixture_empty_db(f);
        for (unsigned i = 0; i < 8; i++) {
            pid[i] = start(f, "open", i);
        }
        for (unsigned i = 0; i < 8; i++) {
            assert_int_equal(finish(pid[i]), 0);
        }
        ks_fixture_reopen(f);
        ks_get_stats(f->s, &stats);
        assert_int_equal(stats.start_counter, 9);
    }
}

static void an_older_database_is_migrated_by_one_of_many_processes(void **state)
{
    ks_fixture *f = *state;
    pid_t pid[8];
    ks_stats stats;

    for (unsigned round = 0; round < 5; round++) {
        ks_fixture_copy_db(f, KS_SCHEMA1_DB);
        for (unsigned i = 0; i < 8; i++) {
            pid[i] = start(f, "open", i);
        }
        for (unsigned i = 0; i < 8; i++) {
            assert_int_equal(finish(pid[i]), 0);
        }
        ks_fixture_reopen(f);
        ks_get_stats(f->s, &stats);
        assert_int_equal(stats.start_counter, 10); /* the one that made it is the first */
    }
}

static void wait_ms(long ms)
{
    const struct timespec t = {ms / 1000, ms % 1000 * 1000000};

    (void)nanosleep(&t, NULL);
}

/* Until the process has opened the store, however slow the machine is. */
static void wait_open(const ks_fixture *f, unsigned number)
{
    unsigned opened[KS_WORKER_COUNT] = {0};

    while (count_wins(f, number, 'O', opened) == 0) {
        wait_ms(1);
    }
}

/* What the killed process was told to be done is done, and nothing is half done. */
static void check_after_kill(ks_fixture *f, unsigned *total)
{
    unsigned leased[KS_WORKER_COUNT] = {0};
    unsigned burnt[KS_WORKER_COUNT] = {0};
    ks_batch *b = NULL;

    *total += count_wins(f, 0, 'L', leased);
    *total += count_wins(f, 0, 'B', burnt);
    ks_fixture_reopen(f);
    OK(f, ks_batch_get(f->s, ks_fixture_beta(KS_WORKER_LEASED), &b, &f->err));
    for (unsigned k = 0; k < KS_WORKER_COUNT; k++) {
        const tdsa_status st = ks_burn(f->s, ks_fixture_beta(KS_WORKER_BURNT), k / KS_BLOCK_SIZE,
                                       (uint64_t)1 << (k % KS_BLOCK_SIZE), &f->err);

        assert_true(leased[k] <= 1);
        assert_true(leased[k] == 0 || k < b->next);
        assert_true(burnt[k] == 0 || st == TDSA_E_CONFLICT);
    }
    ks_batch_free(b);
}

static void no_lease_or_burn_is_lost_by_a_kill(void **state)
{
    ks_fixture *f = *state;
    const unsigned kills = in_a_file(f) ? KILLS : KILLS / 3;
    unsigned total = 0;
    uint64_t dropped = 0;

    ks_fixture_active(f, "k", "share");
    for (unsigned i = 0; i < kills; i++) {
        pid_t pid;

        ks_fixture_batch(f, "k", KS_WORKER_LEASED, KS_BATCH_FREE, 1, 1, KS_WORKER_COUNT);
        ks_fixture_batch(f, "k", KS_WORKER_BURNT, KS_BATCH_FREE, 1, 2, KS_WORKER_COUNT);
        pid = start(f, "write", 0);
        if (i % 2 == 0) { /* the others may be killed while they open */
            wait_open(f, 0);
        }
        wait_ms((in_a_file(f) ? 4 : 20) + (long)(i * 7 % 23));
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(finish(pid), -1);
        check_after_kill(f, &total);
        OK(f, ks_batch_purge(f->s, "k", false, &dropped, &f->err));
    }
    print_message("%u leases and burns in %u killed processes\n", total, kills);
    assert_true(total > 0);
}

/* ---- fork ---- */

/* True when the kernel holds a lock of this process on some file (/proc/locks names pids). */
static bool holds_a_lock(void)
{
    char pid[32];
    char line[256];
    bool found = false;
    FILE *locks = fopen("/proc/locks", "r");

    if (locks == NULL) {
        return true; /* cannot be told here */
    }
    (void)snprintf(pid, sizeof pid, " %ld ", (long)getpid());
    while (!found && fgets(line, sizeof line, locks) != NULL) {
        found = strstr(line, pid) != NULL;
    }
    (void)fclose(locks);
    return found;
}

/* In the child: forgets the inherited store, opens its own, uses both batches. */
static int child_of_fork(ks_fixture *f, uint32_t from)
{
    tdsa_secret *share = NULL;
    ks *s = NULL;

    ks_abandon(f->s);
    if (ks_open(&s, &f->cfg, &f->err) != TDSA_OK) {
        return 1;
    }
    if (in_a_file(f) && !holds_a_lock()) {
        return 2; /* SQLite believes in the parent's locks */
    }
    if (ks_lane(s) == 0 || ks_key_open(s, "k", 0, &share, &f->err) != TDSA_OK) {
        return 3;
    }
    tdsa_secret_free(share);
    if (ks_lease(s, ks_fixture_beta(KS_WORKER_LEASED), from, from + 1, &f->err) != TDSA_OK) {
        return 4;
    }
    if (ks_burn(s, ks_fixture_beta(KS_WORKER_BURNT), 0, 1, &f->err) != TDSA_E_CONFLICT) {
        return 5;
    }
    ks_close(s);
    return 0;
}

static void a_child_opens_its_own_store_after_a_fork(void **state)
{
    ks_fixture *f = *state;
    const uint8_t *beta = ks_fixture_beta(KS_WORKER_LEASED);
    uint32_t next = 0;
    pid_t pid;

    make_batches(f);
    OK(f, ks_burn(f->s, ks_fixture_beta(KS_WORKER_BURNT), 0, 1, &f->err));
    for (int prepared = 0; prepared < 2; prepared++) {
        OK(f, ks_lease(f->s, beta, next, next + 1, &f->err));
        next++;
        if (prepared != 0) {
            ks_fork_prepare(f->s);
        }
        pid = fork();
        if (pid == 0) {
            _exit(child_of_fork(f, next));
        }
        if (prepared != 0) {
            ks_fork_parent(f->s);
        }
        assert_int_equal(finish(pid), 0);
        next++;
        OK(f, ks_ping(f->s, &f->err)); /* the parent's locks are still there */
        assert_true(!in_a_file(f) || holds_a_lock());
    }
    EXPECT(f, TDSA_E_CONFLICT, ks_lease(f->s, beta, next - 1, next, &f->err));
    ks_fixture_reopen(f);
    OK(f, ks_lease(f->s, beta, next, next + 1, &f->err));
}

static struct CMUnitTest with(struct CMUnitTest test, const ks_variant *variant)
{
    test.setup_func = ks_fixture_setup;
    test.teardown_func = ks_fixture_teardown;
    test.initial_state = (void *)(uintptr_t)variant;
    return test;
}

#define GCM(f)      with((struct CMUnitTest)cmocka_unit_test(f), &gcm)
#define POSTGRES(f) with((struct CMUnitTest)cmocka_unit_test(f), &postgres)

int main(void)
{
    const struct CMUnitTest tests[] = {
        GCM(each_presignature_is_leased_by_one_process),
        GCM(each_presignature_is_burnt_by_one_process),
        GCM(a_database_is_made_by_one_of_many_processes),
        GCM(an_older_database_is_migrated_by_one_of_many_processes),
        GCM(no_lease_or_burn_is_lost_by_a_kill),
        GCM(a_child_opens_its_own_store_after_a_fork),
    };
    const struct CMUnitTest on_postgres[] = {
        POSTGRES(each_presignature_is_leased_by_one_process),
        POSTGRES(each_presignature_is_burnt_by_one_process),
        POSTGRES(a_database_is_made_by_one_of_many_processes),
        POSTGRES(no_lease_or_burn_is_lost_by_a_kill),
        POSTGRES(a_child_opens_its_own_store_after_a_fork),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    if (db_place_offered("postgres")) {
        failed += cmocka_run_group_tests(on_postgres, NULL, NULL);
    }
    return failed;
}
