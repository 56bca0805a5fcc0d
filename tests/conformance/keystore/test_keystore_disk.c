#define _GNU_SOURCE 1 /* RTLD_NEXT, off64_t */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/attr.h"
#include "ks_fixture.h"

/*
 * A disk in trouble under SQLite: full, read-only, a sync that fails once. The program puts itself
 * between SQLite and the C library: its own functions of these names come first.
 */

static const ks_variant sqlite = {"sqlite+aesgcm", "sqlite", KS_ENCRYPTOR_AESGCM};

static struct {
    atomic_int write_errno; /* every write fails with it; 0: none */
    atomic_int syncs_bad;   /* so many syncs fail with EIO, and go well after that */
    atomic_int syncs;
} disk;

static void *next_of(const char *name)
{
    void *symbol = dlsym(RTLD_NEXT, name);

    assert_non_null(symbol);
    return symbol;
}

typedef ssize_t write_fn(int fd, const void *data, size_t len, off_t at);
typedef int sync_fn(int fd);

static ssize_t write_or_fail(const char *name, int fd, const void *data, size_t len, off_t at)
{
    void *symbol = next_of(name);
    write_fn *real = NULL;
    const int code = atomic_load(&disk.write_errno);

    if (code != 0) {
        errno = code;
        return -1;
    }
    memcpy(&real, &symbol, sizeof real);
    return real(fd, data, len, at);
}

static int sync_or_fail(const char *name, int fd)
{
    void *symbol = next_of(name);
    sync_fn *real = NULL;

    atomic_fetch_add(&disk.syncs, 1);
    if (atomic_load(&disk.syncs_bad) > 0) {
        atomic_fetch_sub(&disk.syncs_bad, 1);
        errno = EIO;
        return -1;
    }
    memcpy(&real, &symbol, sizeof real);
    return real(fd);
}

TDSA_EXPORT ssize_t pwrite64(int fd, const void *data, size_t len, off64_t at)
{
    return write_or_fail("pwrite64", fd, data, len, at);
}

TDSA_EXPORT int fdatasync(int fd)
{
    return sync_or_fail("fdatasync", fd);
}

TDSA_EXPORT int fsync(int fd)
{
    return sync_or_fail("fsync", fd);
}

static int setup(void **state)
{
    atomic_store(&disk.write_errno, 0);
    atomic_store(&disk.syncs_bad, 0);
    return ks_fixture_setup(state);
}

static void fill(ks_fixture *f)
{
    ks_fixture_active(f, "k", "share");
    ks_fixture_batch(f, "k", 1, KS_BATCH_FREE, 1, 1, 64);
    ks_fixture_batch(f, "k", 2, KS_BATCH_FREE, 1, 2, 64);
}

static void reads_work(ks_fixture *f)
{
    tdsa_secret *share = NULL;
    uint64_t mask = 0;

    OK(f, ks_key_open(f->s, "k", 0, &share, &f->err));
    tdsa_secret_free(share);
    OK(f, ks_batch_burnt(f->s, ks_fixture_beta(1), 0, &mask, &f->err));
}

/* Writes fail with a code; nothing that fails is done, reads go on, and it works again afterwards. */
static void writes_fail_with(ks_fixture *f, int code)
{
    uint64_t mask = 0;

    fill(f);
    OK(f, ks_burn(f->s, ks_fixture_beta(1), 0, 1, &f->err));
    atomic_store(&disk.write_errno, code);
    for (int i = 0; i < 3; i++) {
        EXPECT(f, TDSA_E_STORE, ks_burn(f->s, ks_fixture_beta(1), 0, 2, &f->err));
        EXPECT(f, TDSA_E_STORE, ks_lease(f->s, ks_fixture_beta(2), 0, 8, &f->err));
        EXPECT(f, TDSA_E_STORE, ks_ping(f->s, &f->err));
        EXPECT(f, TDSA_E_STORE, ks_key_set_limit(f->s, "k", 5, &f->err));
        reads_work(f);
    }
    atomic_store(&disk.write_errno, 0);
    OK(f, ks_ping(f->s, &f->err)); /* no restart */
    EXPECT(f, TDSA_E_CONFLICT, ks_burn(f->s, ks_fixture_beta(1), 0, 1, &f->err));
    OK(f, ks_burn(f->s, ks_fixture_beta(1), 0, 4, &f->err));
    OK(f, ks_lease(f->s, ks_fixture_beta(2), 0, 8, &f->err));
    ks_fixture_reopen(f);
    OK(f, ks_batch_burnt(f->s, ks_fixture_beta(1), 0, &mask, &f->err));
    assert_int_equal(mask & 5, 5);
}

static void a_full_disk_fails_closed_and_recovers(void **state)
{
    writes_fail_with(*state, ENOSPC);
}

static void a_quota_fails_closed_and_recovers(void **state)
{
    writes_fail_with(*state, EDQUOT);
}

static void a_disk_that_became_read_only_fails_closed_and_recovers(void **state)
{
    writes_fail_with(*state, EROFS);
}

/* What was not written may be gone though the next sync says that all is well. */
static void a_sync_that_fails_once_ends_the_store(void **state)
{
    ks_fixture *f = *state;
    tdsa_secret *share = NULL;
    uint64_t mask = 0;
    int syncs = 0;

    fill(f);
    OK(f, ks_burn(f->s, ks_fixture_beta(1), 0, 1, &f->err));
    atomic_store(&disk.syncs_bad, 1);
    EXPECT(f, TDSA_E_STORE, ks_burn(f->s, ks_fixture_beta(1), 0, 2, &f->err));
    assert_int_equal(atomic_load(&disk.syncs_bad), 0);
    syncs = atomic_load(&disk.syncs);
    for (int i = 0; i < 3; i++) {
        EXPECT(f, TDSA_E_STORE, ks_burn(f->s, ks_fixture_beta(1), 0, 4, &f->err));
        assert_non_null(strstr(f->err.text, "restart"));
        EXPECT(f, TDSA_E_STORE, ks_lease(f->s, ks_fixture_beta(2), 0, 8, &f->err));
        EXPECT(f, TDSA_E_STORE, ks_ping(f->s, &f->err));
        EXPECT(f, TDSA_E_STORE, ks_key_open(f->s, "k", 0, &share, &f->err));
    }
    assert_int_equal(atomic_load(&disk.syncs), syncs); /* not tried again as if nothing was */
    ks_fixture_reopen(f);
    OK(f, ks_batch_burnt(f->s, ks_fixture_beta(1), 0, &mask, &f->err));
    assert_int_equal(mask & 1, 1);
    assert_int_equal(mask & 4, 0);
    OK(f, ks_burn(f->s, ks_fixture_beta(1), 0, 4, &f->err));
}

#define DISK(f)                                                       \
    {                                                                 \
#        f, f, setup, ks_fixture_teardown, (void *)(uintptr_t)&sqlite \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        DISK(a_full_disk_fails_closed_and_recovers),
        DISK(a_quota_fails_closed_and_recovers),
        DISK(a_disk_that_became_read_only_fails_closed_and_recovers),
        DISK(a_sync_that_fails_once_ends_the_store),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
