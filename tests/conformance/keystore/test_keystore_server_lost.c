/* A store on a server whose connections are cut: between calls, and in the middle of them.
 * Nothing is restarted, and what was answered is there. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ks_fixture.h"
#include "support/softhsm.h"

#define BATCHES_LONG 16u
#define BURNS        256u /* of each batch */
#define BLOCKS       (BURNS / KS_BLOCK_SIZE)

static bool cut(const ks_fixture *f)
{
    char sql[200];

    if (strcmp(f->variant->backend, "postgres") == 0) {
        (void)snprintf(sql, sizeof sql,
                       "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                       " WHERE usename = '%s'",
                       f->place.user);
    } else {
        (void)snprintf(sql, sizeof sql, "KILL USER '%s'", f->place.user);
    }
    return db_place_sql(&f->place, sql, NULL, 0);
}

static void a_connection_that_was_cut_is_made_again_by_the_next_call(void **state)
{
    ks_fixture *f = *state;
    ks_marks marks;
    uint64_t changes = 0;

    ks_fixture_active(f, "k", "share");
    ks_fixture_batch(f, "k", 1, KS_BATCH_FREE, 1, 1, 10);
    OK(f, ks_ping(f->s, &f->err));
    assert_true(cut(f));
    OK(f, ks_lease(f->s, ks_fixture_beta(1), 0, 1, &f->err));
    assert_true(cut(f));
    OK(f, ks_marks_read(f->s, &marks, &f->err));
    assert_int_equal(marks.burns, 1);
    assert_true(cut(f));
    OK(f, ks_ping(f->s, &f->err));
    OK(f, ks_change_counter(f->s, &changes, &f->err));
    EXPECT(f, TDSA_E_CONFLICT, ks_lease(f->s, ks_fixture_beta(1), 0, 1, &f->err));
}

/* ---- in the middle ---- */

typedef struct {
    const ks_fixture *f;
    atomic_bool over;
    atomic_uint cuts;
} killer;

static void *keep_cutting(void *ctx)
{
    killer *k = ctx;

    while (!atomic_load(&k->over)) {
        const struct timespec t = {.tv_nsec = (long)(7 * atomic_load(&k->cuts) % 20) * 1000000};

        (void)nanosleep(&t, NULL);
        if (cut(k->f)) {
            atomic_fetch_add(&k->cuts, 1);
        }
    }
    return NULL;
}

/* Burns every presignature of a batch once; how many of them ended with "unknown". */
static unsigned burn_all(ks_fixture *f, uint8_t tag, uint64_t told[BLOCKS])
{
    unsigned unknown = 0;

    for (uint32_t i = 0; i < BURNS; i++) {
        const uint32_t block = i / KS_BLOCK_SIZE;
        const uint64_t bit = 1ull << (i % KS_BLOCK_SIZE);
        const tdsa_status st = ks_burn(f->s, ks_fixture_beta(tag), block, bit, &f->err);

        if (st == TDSA_OK) {
            told[block] |= bit;
        } else if (st == TDSA_E_STORE) { /* and never "used already": that would be our own burn */
            unknown++;
        } else {
            fail_msg("burn %u: %s: %s", i, tdsa_status_name(st), f->err.text);
        }
    }
    return unknown;
}

static void expect_burnt(ks_fixture *f, uint8_t tag, const uint64_t told[BLOCKS], unsigned unknown)
{
    unsigned more = 0;

    for (uint32_t block = 0; block < BLOCKS; block++) {
        uint64_t mask = 0;

        OK(f, ks_batch_burnt(f->s, ks_fixture_beta(tag), block, &mask, &f->err));
        assert_true((told[block] & ~mask) == 0);
        more += (unsigned)__builtin_popcountll(mask & ~told[block]);
    }
    assert_true(more <= unknown);
}

static void what_was_answered_is_there_however_often_connections_are_cut(void **state)
{
    ks_fixture *f = *state;
    const unsigned batches = getenv("TDSA_TEST_LONG") != NULL ? BATCHES_LONG : 1;
    uint64_t told[BATCHES_LONG][BLOCKS] = {0};
    unsigned unknown[BATCHES_LONG] = {0};
    killer k = {.f = f};
    pthread_t thread;

    ks_fixture_active(f, "k", "share");
    for (uint8_t i = 0; i < batches; i++) {
        ks_fixture_batch(f, "k", (uint8_t)(i + 1), KS_BATCH_FREE, 1, i + 1, BURNS);
        assert_int_equal(pthread_create(&thread, NULL, keep_cutting, &k), 0);
        unknown[i] = burn_all(f, (uint8_t)(i + 1), told[i]);
        atomic_store(&k.over, true);
        assert_int_equal(pthread_join(thread, NULL), 0);
        atomic_store(&k.over, false);
    }
    assert_true(atomic_load(&k.cuts) > 0);
    for (uint8_t i = 0; i < batches; i++) {
        expect_burnt(f, (uint8_t)(i + 1), told[i], unknown[i]);
    }
    print_message("%s: %u cuts\n", f->variant->name, atomic_load(&k.cuts));
    OK(f, ks_ping(f->s, &f->err));
}

/* ---- a server of its own that is stopped (long form) ---- */

/* db_server.py with up to three words, "" for none. */
static void tell_server(const char *a, const char *b, const char *c, const char *d)
{
    char word[5][200];
    char *argv[7] = {(char[]){"python3"}};
    size_t n = 1;

    (void)snprintf(word[0], sizeof word[0], "%s/support/db_server.py", TDSA_TESTS_DIR);
    (void)snprintf(word[1], sizeof word[1], "%s", a);
    (void)snprintf(word[2], sizeof word[2], "%s", b);
    (void)snprintf(word[3], sizeof word[3], "%s", c);
    (void)snprintf(word[4], sizeof word[4], "%s", d);
    for (size_t i = 0; i < 5 && word[i][0] != '\0'; i++) {
        argv[n++] = word[i];
    }
    assert_int_equal(softhsm_run(argv), 0);
}

static void *start_again(void *file)
{
    const struct timespec t = {.tv_nsec = 300000000};

    (void)nanosleep(&t, NULL);
    tell_server("up", file, "", "");
    return NULL;
}

static void a_server_that_is_started_again_is_used_again(void **state)
{
    ks_fixture *f = *state;
    const char *kind = f->variant->backend;
    const char *name = strcmp(kind, "postgres") == 0 ? "TDSA_TEST_POSTGRES" : "TDSA_TEST_MARIADB";
    char before[200];
    char file[200];
    pthread_t thread;

    if (getenv("TDSA_TEST_LONG") == NULL) {
        skip();
    }
    (void)snprintf(before, sizeof before, "%s", getenv(name));
    (void)snprintf(file, sizeof file, "%s/own", f->dir);
    tell_server("start", kind, file, "--own");
    assert_int_equal(setenv(name, file, 1), 0);
    assert_true(db_place_make(&f->place, kind));
    ks_fixture_reopen(f);
    ks_fixture_active(f, "k", "share");
    ks_fixture_batch(f, "k", 1, KS_BATCH_FREE, 1, 1, 10);
    OK(f, ks_lease(f->s, ks_fixture_beta(1), 0, 1, &f->err));
    tell_server("down", file, "", "");
    EXPECT(f, TDSA_E_STORE, ks_ping(f->s, &f->err)); /* at once */
    assert_int_equal(pthread_create(&thread, NULL, start_again, file), 0);
    OK(f, ks_lease(f->s, ks_fixture_beta(1), 1, 2, &f->err)); /* waits */
    assert_int_equal(pthread_join(thread, NULL), 0);
    EXPECT(f, TDSA_E_CONFLICT, ks_lease(f->s, ks_fixture_beta(1), 0, 1, &f->err));
    while (ks_ping(f->s, &f->err) != TDSA_OK) { /* for as long as it keeps its last failure */
    }
    tell_server("stop", file, "", "");
    assert_int_equal(setenv(name, before, 1), 0);
}

static int run_on(const ks_variant *v)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_that_was_cut_is_made_again_by_the_next_call),
        cmocka_unit_test(what_was_answered_is_there_however_often_connections_are_cut),
        cmocka_unit_test(a_server_that_is_started_again_is_used_again),
    };

    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        tests[i].setup_func = ks_fixture_setup;
        tests[i].teardown_func = ks_fixture_teardown;
        tests[i].initial_state = (void *)(uintptr_t)v;
    }
    return cmocka_run_group_tests_name(v->name, tests, NULL, NULL);
}

int main(void)
{
    const ks_variant *all[KS_VARIANTS_MAX];
    const size_t n = ks_variants(all);
    int failed = 0;
    int ran = 0;

    for (size_t i = 0; i < n; i++) {
        if (strcmp(all[i]->backend, "memory") != 0 && strcmp(all[i]->backend, "sqlite") != 0) {
            failed += run_on(all[i]);
            ran++;
        }
    }
    if (ran == 0) {
        (void)fprintf(stderr, "no server: tests/support/db_server.py run KIND -- this program\n");
        return 1;
    }
    return failed;
}
