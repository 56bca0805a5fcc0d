/* Connections of a store to a server, with SQLite behind the driver of the tests: when they are made,
 * asked, replaced and closed. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "driver_faulty.h"
#include "ks_tempdir.h"

#define LONG_MS (3600u * 1000u)

typedef struct {
    char dir[128], path[160];
    ks_server server;
    ks_cfg cfg;
    ks *s;
    tdsa_err err;
} place;

static void ok(place *p, tdsa_status st, int line)
{
    if (st != TDSA_OK) {
        fail_msg("line %d: %s", line, p->err.text);
    }
}
#define OK(p, call) ok((p), (call), __LINE__)

static void open_with(place *p, ks_pool pool)
{
    p->server.pool = pool;
    OK(p, ks_open(&p->s, &p->cfg, &p->err));
}

static void read_something(place *p)
{
    ks_marks marks;

    OK(p, ks_marks_read(p->s, &marks, &p->err));
}

static tdsa_status write_something(place *p)
{
    static const uint8_t value[] = {1};

    return ks_meta_put(p->s, "m", false, value, sizeof value, &p->err);
}

static void wait_a_moment(void)
{
    const struct timespec t = {.tv_nsec = 5000000};

    (void)nanosleep(&t, NULL);
}

static void the_second_connection_comes_with_the_first_ping(void **state)
{
    place *p = *state;

    open_with(p, (ks_pool){.validation_ms = LONG_MS});
    assert_int_equal(driver_faulty_connections(), 1);
    OK(p, write_something(p));
    assert_int_equal(driver_faulty_connections(), 1);
    OK(p, ks_ping(p->s, &p->err));
    OK(p, ks_ping(p->s, &p->err));
    assert_int_equal(driver_faulty_connections(), 2);
}

static void initial_connections_are_there_at_start(void **state)
{
    place *p = *state;

    open_with(p, (ks_pool){.initial = 10, .max = 100});
    assert_int_equal(driver_faulty_connections(), 2);
}

static void one_connection_is_enough(void **state)
{
    place *p = *state;

    open_with(p, (ks_pool){.max = 1});
    OK(p, ks_ping(p->s, &p->err));
    OK(p, write_something(p));
    assert_int_equal(driver_faulty_connections(), 1);
}

static bool ping_inside(void *ctx, const ks_key *k)
{
    place *p = ctx;

    (void)k;
    OK(p, ks_ping(p->s, &p->err));
    return true;
}

static void a_ping_does_not_wait_for_another_call(void **state)
{
    place *p = *state;
    const ks_key k = {.key_id = "k", .presignature_limit = -1};

    open_with(p, (ks_pool){.initial = 2});
    OK(p, ks_key_register(p->s, &k, &p->err));
    OK(p, ks_key_each(p->s, NULL, 10, ping_inside, p, &p->err)); /* inside its lock */
}

static void *ping_often(void *ctx)
{
    place *p = ctx;
    tdsa_err err;

    for (int i = 0; i < 100; i++) {
        /* one that is cut at its commit, or each time it is tried, fails */
        if (ks_ping(p->s, &err) != TDSA_OK && strstr(err.text, "the test cuts") == NULL) {
            return ctx;
        }
    }
    return NULL;
}

static void pings_and_calls_run_beside_each_other(void **state)
{
    place *p = *state;
    pthread_t thread[2];
    void *failed[2] = {NULL, NULL};

    p->cfg.busy_timeout_ms = LONG_MS;
    open_with(p, (ks_pool){.validation_ms = LONG_MS, .idle_ms = 1, .wait_ms = LONG_MS});
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&thread[i], NULL, ping_often, p), 0);
    }
    for (int i = 0; i < 100; i++) {
        OK(p, write_something(p));
        if (i % 10 == 9) {
            driver_faulty_lose();
        }
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(thread[i], &failed[i]), 0);
    }
    assert_null(failed[0]);
    assert_null(failed[1]);
    OK(p, ks_ping(p->s, &p->err));
}

static void idle_connections_are_asked_before_use(void **state)
{
    place *p = *state;
    unsigned before;

    open_with(p, (ks_pool){.validation_ms = LONG_MS});
    before = driver_faulty_asked();
    read_something(p);
    assert_int_equal(driver_faulty_asked(), before);
    ks_close(p->s);
    open_with(p, (ks_pool){.validation_ms = 0}); /* always */
    before = driver_faulty_asked();
    OK(p, write_something(p));
    assert_int_equal(driver_faulty_asked(), before + 1);
    driver_faulty_lose();
    before = driver_faulty_made();
    OK(p, write_something(p));
    assert_int_equal(driver_faulty_made(), before + 1);
}

static void old_connections_are_replaced(void **state)
{
    place *p = *state;
    unsigned before;

    open_with(p, (ks_pool){.max_age_ms = 1, .validation_ms = LONG_MS});
    before = driver_faulty_made();
    wait_a_moment();
    OK(p, write_something(p));
    assert_true(driver_faulty_made() > before);
    assert_int_equal(driver_faulty_connections(), 1);
}

static void the_spare_one_is_closed_when_idle(void **state)
{
    place *p = *state;
    unsigned before;

    open_with(p, (ks_pool){.initial = 2, .idle_ms = 1, .validation_ms = LONG_MS});
    wait_a_moment();
    OK(p, write_something(p));
    assert_int_equal(driver_faulty_connections(), 1);
    before = driver_faulty_made();
    OK(p,
       ks_ping(p->s, &p->err)); /* another, which is idle again as soon as a millisecond has gone */
    assert_int_equal(driver_faulty_made(), before + 1);
}

static void a_call_waits_for_a_server_that_is_gone(void **state)
{
    place *p = *state;

    open_with(p, (ks_pool){.wait_ms = LONG_MS, .validation_ms = LONG_MS});
    driver_faulty_lose();
    driver_faulty_refuse(3);
    OK(p, write_something(p));
    driver_faulty_lose();
    driver_faulty_refuse(1);
    read_something(p);
}

static void when_it_stays_away_calls_fail_and_later_ones_work(void **state)
{
    place *p = *state;

    open_with(p, (ks_pool){.wait_ms = 1, .validation_ms = LONG_MS});
    OK(p, ks_ping(p->s, &p->err));
    driver_faulty_lose();
    driver_faulty_refuse(100000);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(write_something(p), TDSA_E_STORE);
        assert_non_null(strstr(p->err.text, "refuses connections"));
        assert_int_equal(ks_ping(p->s, &p->err), TDSA_E_STORE);
    }
    driver_faulty_refuse(0);
    while (write_something(p) != TDSA_OK || ks_ping(p->s, &p->err) != TDSA_OK) {
        assert_non_null(strstr(p->err.text, "refuses connections")); /* for a moment more */
        wait_a_moment();
    }
}

/* Not one try for each call: each may take as long as connecting to a silent host does. */
static void calls_do_not_stand_in_line_for_a_server_that_is_silent(void **state)
{
    place *p = *state;
    unsigned tries;

    open_with(p, (ks_pool){.max = 1, .wait_ms = 1, .validation_ms = LONG_MS});
    driver_faulty_lose();
    driver_faulty_refuse(100000);
    driver_faulty_silence(200);
    assert_int_equal(write_something(p), TDSA_E_STORE);
    tries = driver_faulty_refused();
    for (int i = 0; i < 50; i++) {
        assert_int_equal(write_something(p), TDSA_E_STORE);
    }
    assert_true(driver_faulty_refused() - tries < 50);
    driver_faulty_silence(0);
}

static void a_lost_file_is_not_made_again_by_a_new_connection(void **state)
{
    place *p = *state;

    open_with(p, (ks_pool){.wait_ms = 1, .validation_ms = LONG_MS});
    assert_int_equal(unlink(p->path), 0);
    driver_faulty_lose();
    assert_int_equal(write_something(p), TDSA_E_STORE); /* and no empty one is made */
    assert_int_equal(access(p->path, F_OK), -1);
}

/* ---- another database ---- */

static ks_backend *backend_of(place *p)
{
    ks_backend *b = NULL;

    OK(p, ks_sql_open(&b, ks_driver_of_a_test, &p->cfg, &p->err));
    return b;
}

static void another_database_is_not_written_before_the_store_has_settled_it(void **state)
{
    place *p = *state;
    TDSA_SCOPED_BUF text = TDSA_BUF_EMPTY;
    const ks_marks marks = {.starts = 1};
    uint64_t number = 0;
    ks_backend *b = NULL;

    driver_faulty_identity("one");
    p->server.pool = (ks_pool){.wait_ms = 1, .validation_ms = LONG_MS};
    b = backend_of(p);
    b->ops->settled(b);
    driver_faulty_lose();
    OK(p, b->ops->batch_void_made(b, 0, &p->err));
    assert_false(b->ops->moved(b));
    driver_faulty_identity("two");
    driver_faulty_lose();
    assert_int_equal(b->ops->batch_void_made(b, 0, &p->err), TDSA_E_STORE);
    assert_non_null(strstr(p->err.text, "not the one of before"));
    assert_true(b->ops->moved(b));
    OK(p, b->ops->purge_all(b, &marks, &number, &p->err));
    OK(p, b->ops->meta_put(b, "x", (const uint8_t *)"y", 1, &p->err));
    OK(p, b->ops->identity(b, &text, &p->err));
    assert_int_equal(text.len, 3);
    assert_memory_equal(text.data, "two", 3);
    assert_int_equal(b->ops->batch_void_made(b, 0, &p->err), TDSA_E_STORE);
    b->ops->settled(b);
    OK(p, b->ops->batch_void_made(b, 0, &p->err));
    b->ops->close(b);
}

static bool no_key(void *ctx, const ks_key *k)
{
    (void)ctx;
    (void)k;
    return false;
}

/* The numbers of its changes may be those of the one before. */
static void no_value_of_the_change_counter_is_of_two_databases(void **state)
{
    place *p = *state;
    uint64_t before = 0;
    uint64_t after = 0;

    driver_faulty_identity("one");
    open_with(p, (ks_pool){.wait_ms = 1, .validation_ms = LONG_MS});
    OK(p, ks_change_counter(p->s, &before, &p->err));
    OK(p, ks_key_each_changed(p->s, before, no_key, NULL, &p->err));
    driver_faulty_identity("two");
    driver_faulty_lose();
    assert_int_equal(ks_change_counter(p->s, &after, &p->err), TDSA_E_STORE);
    OK(p, ks_change_counter(p->s, &after, &p->err));
    assert_true(after > before);
    assert_int_equal(ks_key_each_changed(p->s, before, no_key, NULL, &p->err), TDSA_E_CONFLICT);
    OK(p, ks_key_each_changed(p->s, after, no_key, NULL, &p->err));
}

/* ---- fork ---- */

static int child(place *p)
{
    ks *mine = NULL;

    ks_abandon(p->s);
    if (ks_open(&mine, &p->cfg, &p->err) != TDSA_OK || ks_ping(mine, &p->err) != TDSA_OK) {
        return 1;
    }
    ks_close(mine);
    return 0;
}

static void a_child_leaves_both_connections_to_its_parent(void **state)
{
    place *p = *state;
    int status = 0;
    pid_t pid;

    open_with(p, (ks_pool){.initial = 2});
    ks_fork_prepare(p->s);
    pid = fork();
    if (pid == 0) {
        _exit(child(p));
    }
    ks_fork_parent(p->s);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    OK(p, write_something(p));
    OK(p, ks_ping(p->s, &p->err));
}

static int setup(void **state)
{
    place *p = calloc(1, sizeof *p);

    if (p == NULL || ks_tempdir_make(p->dir, sizeof p->dir) != 0) {
        free(p);
        return -1;
    }
    (void)snprintf(p->path, sizeof p->path, "%s/x.db", p->dir);
    driver_faulty_install();
    driver_faulty_arm(FAULT_NONE, 0);
    driver_faulty_refuse(0);
    driver_faulty_identity(NULL);
    p->cfg = (ks_cfg){.backend = "faulty",
                      .path = p->path,
                      .server = &p->server,
                      .create_tables = true,
                      .encryptor = KS_ENCRYPTOR_NONE,
                      .unlock_at_open = true,
                      .rng = tdsa_os_rng(),
                      .clock = tdsa_os_clock()};
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    place *p = *state;

    ks_close(p->s);
    ks_tempdir_remove(p->dir);
    free(p);
    return driver_faulty_connections() == 0 ? 0 : -1;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_second_connection_comes_with_the_first_ping),
        TEST(initial_connections_are_there_at_start),
        TEST(one_connection_is_enough),
        TEST(a_ping_does_not_wait_for_another_call),
        TEST(pings_and_calls_run_beside_each_other),
        TEST(idle_connections_are_asked_before_use),
        TEST(old_connections_are_replaced),
        TEST(the_spare_one_is_closed_when_idle),
        TEST(a_call_waits_for_a_server_that_is_gone),
        TEST(when_it_stays_away_calls_fail_and_later_ones_work),
        TEST(calls_do_not_stand_in_line_for_a_server_that_is_silent),
        TEST(a_lost_file_is_not_made_again_by_a_new_connection),
        TEST(another_database_is_not_written_before_the_store_has_settled_it),
        TEST(no_value_of_the_change_counter_is_of_two_databases),
        TEST(a_child_leaves_both_connections_to_its_parent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
