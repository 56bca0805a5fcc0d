#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "ks_fixture.h"

#define THREADS 6u
#define COUNT   384u

typedef struct {
    ks_fixture *f;
    const uint8_t *leased_beta, *burnt_beta;
    atomic_uint leased[COUNT], burnt[COUNT];
    atomic_uint failures;
} shared;

typedef struct {
    shared *all;
    unsigned number;
} worker;

static void wrong(shared *all, const tdsa_err *err, const char *what)
{
    print_error("%s: %s\n", what, err->text);
    (void)atomic_fetch_add(&all->failures, 1);
}

static void lease_some(shared *all, tdsa_err *err)
{
    const uint8_t *beta = all->leased_beta;
    ks_batch *b = NULL;
    tdsa_status st = ks_batch_get(all->f->s, beta, &b, err);
    uint32_t at = 0;

    if (st != TDSA_OK) {
        if (st != TDSA_E_LOGIN) {
            wrong(all, err, "get");
        }
        return;
    }
    at = b->next;
    ks_batch_free(b);
    if (at == COUNT) {
        return;
    }
    st = ks_lease(all->f->s, beta, at, at + 1, err);
    if (st == TDSA_OK) {
        (void)atomic_fetch_add(&all->leased[at], 1);
    } else if (st != TDSA_E_CONFLICT) {
        wrong(all, err, "lease");
    }
}

static void *work(void *arg)
{
    const worker *w = arg;
    shared *all = w->all;
    ks *s = all->f->s;
    tdsa_err err;

    for (uint32_t i = 0; i < COUNT; i++) {
        const uint32_t at = (i + w->number * 61) % COUNT;
        tdsa_status st = ks_burn(s, all->burnt_beta, at / 64, (uint64_t)1 << (at % 64), &err);
        tdsa_secret *share = NULL;

        if (st == TDSA_OK) {
            (void)atomic_fetch_add(&all->burnt[at], 1);
        } else if (st != TDSA_E_CONFLICT) {
            wrong(all, &err, "burn");
        }
        lease_some(all, &err);
        if (w->number == 0 && i % 16 == 0) {
            ks_lock(s);
            if (ks_unlock(s, NULL, 0, &err) != TDSA_OK) {
                wrong(all, &err, "unlock");
            }
        }
        st = ks_key_open(s, "k", 0, &share, &err);
        if (st != TDSA_OK && st != TDSA_E_LOGIN) {
            wrong(all, &err, "open");
        }
        tdsa_secret_free(share);
    }
    return NULL;
}

static void threads_share_one_store(void **state)
{
    static shared all;
    pthread_t thread[THREADS];
    worker w[THREADS];

    memset(&all, 0, sizeof all);
    all.f = *state;
    ks_fixture_active(all.f, "k", "share");
    ks_fixture_batch(all.f, "k", 1, KS_BATCH_FREE, 1, 1, COUNT);
    ks_fixture_batch(all.f, "k", 2, KS_BATCH_FREE, 1, 2, COUNT);
    all.leased_beta = ks_fixture_beta(1);
    all.burnt_beta = ks_fixture_beta(2);
    for (unsigned i = 0; i < THREADS; i++) {
        w[i] = (worker){&all, i};
        assert_int_equal(pthread_create(&thread[i], NULL, work, &w[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    }
    assert_int_equal(atomic_load(&all.failures), 0);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(atomic_load(&all.burnt[i]), 1);
        assert_true(atomic_load(&all.leased[i]) <= 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(threads_share_one_store)};

    return ks_fixture_run("threads", tests, 1);
}
