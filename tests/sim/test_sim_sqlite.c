#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "keystore/keystore.h"

/*
 * What power failures leave of a real SQLite keystore: the database and its log are copied before and
 * after every commit, and put together as a disk might have them that lost power in the middle: the
 * log is cut or torn at any byte between the two, or ends in garbage; the database, while a checkpoint
 * writes it, holds any of its pages in the old or the new form. Whatever is opened shows the state
 * before the commit or the one after it; what was acknowledged before is always there.
 */

#define COMMITS 80u    /* past a checkpoint, after which the log begins again */
#define TEARS   3u     /* per commit that is torn */
#define FILLER  60000u /* bytes that bring the checkpoint nearer */
#define PAGE    4096u

typedef struct {
    uint8_t *data;
    size_t len;
} file;

typedef struct {
    file db, wal;
} disk;

static uint64_t random_state = 1;

static uint64_t below(uint64_t n)
{
    uint64_t z = (random_state += 0x9e3779b97f4a7c15ull);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return (z ^ (z >> 31)) % n;
}

static tdsa_status fill(void *ctx, uint8_t *out, size_t len, tdsa_err *err)
{
    (void)ctx;
    (void)err;
    for (size_t i = 0; i < len; i++) {
        out[i] = (uint8_t)below(256);
    }
    return TDSA_OK;
}

static void must(tdsa_status st, const tdsa_err *err)
{
    if (st != TDSA_OK) {
        fail_msg("%s", err->text);
    }
}

/* ---- files ---- */

static file load(const char *path)
{
    FILE *f = fopen(path, "rbe");
    struct stat info;
    file out = {NULL, 0};

    if (f == NULL) {
        return out;
    }
    assert_int_equal(fstat(fileno(f), &info), 0);
    out.len = (size_t)info.st_size;
    out.data = malloc(out.len + 1);
    assert_non_null(out.data);
    assert_int_equal(fread(out.data, 1, out.len, f), out.len);
    (void)fclose(f);
    return out;
}

static void save(const char *path, const uint8_t *data, size_t len)
{
    FILE *f = fopen(path, "wbe");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

/* Copies first: to close a descriptor of the database would give up SQLite's locks of this process. */
static disk look(const char *folder)
{
    char command[512];
    char path[256];
    disk d;
    const pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        (void)snprintf(command, sizeof command,
                       "cp '%s/store.db' '%s/seen.db' && cp '%s/store.db-wal' '%s/seen.wal'",
                       folder, folder, folder, folder);
        (void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    (void)snprintf(path, sizeof path, "%s/seen.db", folder);
    d.db = load(path);
    (void)snprintf(path, sizeof path, "%s/seen.wal", folder);
    d.wal = load(path);
    return d;
}

static void drop(disk *d)
{
    free(d->db.data);
    free(d->wal.data);
}

/* ---- the store: one key, one batch ---- */

static ks *open_store(const char *path, bool create)
{
    const ks_cfg cfg = {.backend = "sqlite",
                        .path = path,
                        .create_tables = create,
                        .encryptor = KS_ENCRYPTOR_AESGCM,
                        .encryption_key = "simulated",
                        .unlock_at_open = true,
                        .rng = {fill, NULL}};
    ks *s = NULL;
    tdsa_err err;

    must(ks_open(&s, &cfg, &err), &err);
    return s;
}

static const uint8_t beta[KS_BETA_LEN] = {7};

static void make_rows(ks *s)
{
    uint8_t data[] = {1, 2, 3};
    ks_key key = {.key_id = "torn", .presignature_limit = -1};
    ks_batch b = {.key_id = "torn",
                  .state = KS_BATCH_FREE,
                  .lane = 1,
                  .seq = 1,
                  .count = KS_BATCH_COUNT_MAX,
                  .members = 7,
                  .data = data,
                  .data_len = sizeof data};
    tdsa_err err;

    memcpy(b.beta, beta, sizeof beta);
    must(ks_key_register(s, &key, &err), &err);
    must(ks_batch_insert(s, &b, &err), &err);
}

/* The state is a number: so many commits of these are there. */
static void commit(ks *s, uint32_t k)
{
    tdsa_err err;

    if (k % 2 == 0) {
        must(ks_lease(s, beta, k / 2, k / 2 + 1, &err), &err);
    } else {
        must(ks_burn(s, beta, k / 2 / KS_BLOCK_SIZE, 1ull << (k / 2 % KS_BLOCK_SIZE), &err), &err);
    }
}

static uint32_t count_commits(ks *s)
{
    ks_batch *b = NULL;
    uint32_t burnt = 0;
    uint32_t leased = 0;
    tdsa_err err;

    must(ks_batch_get(s, beta, &b, &err), &err);
    for (uint32_t i = 0; i < KS_BATCH_COUNT_MAX / KS_BLOCK_SIZE; i++) {
        uint64_t mask = 0;
        must(ks_batch_burnt(s, beta, i, &mask, &err), &err);
        burnt += (uint32_t)__builtin_popcountll(mask);
    }
    leased = b->next;
    ks_batch_free(b);
    assert_true(leased == burnt || leased == burnt + 1); /* in the order they were made */
    return leased + burnt;
}

/* Opens what the disk has, and says how many commits are there. */
static uint32_t recover(const char *folder, const file *db, const file *wal)
{
    char path[256];
    uint32_t found = 0;
    ks *s = NULL;

    (void)snprintf(path, sizeof path, "%s/torn.db-shm", folder);
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/torn.db-wal", folder);
    save(path, wal->data, wal->len);
    (void)snprintf(path, sizeof path, "%s/torn.db", folder);
    save(path, db->data, db->len);
    s = open_store(path, false);
    found = count_commits(s);
    ks_close(s);
    return found;
}

/* ---- tearing ---- */

static file copy(const file *f, size_t room)
{
    file out = {malloc(room + 1), f->len};

    assert_non_null(out.data);
    memset(out.data, 0, room + 1);
    memcpy(out.data, f->data, f->len);
    return out;
}

/* First byte that the commit wrote into the log. */
static size_t first_difference(const file *a, const file *b)
{
    const size_t len = a->len < b->len ? a->len : b->len;
    size_t i = 0;

    while (i < len && a->data[i] == b->data[i]) {
        i++;
    }
    return i;
}

/* The log as of `at` bytes of the new one: then it ends, goes on with what was there, or with garbage. */
static file tear(const disk *old, const disk *new, size_t at)
{
    const size_t room = (old->wal.len > new->wal.len ? old->wal.len : new->wal.len) + 64;
    file wal = copy(&old->wal, room);

    memcpy(wal.data, new->wal.data, at);
    switch (below(3)) {
    case 0:
        wal.len = at;
        break;
    case 1:
        wal.len = wal.len > at ? wal.len : at;
        break;
    default:
        wal.len = at + below(64);
        for (size_t i = at; i < wal.len; i++) {
            wal.data[i] = (uint8_t)below(256);
        }
        break;
    }
    return wal;
}

/* `last`: commits that are there when all of the log is. */
static void check_torn_log(const char *folder, const disk *old, const disk *new, uint32_t before,
                           uint32_t last)
{
    const size_t from = first_difference(&old->wal, &new->wal);

    for (unsigned i = 0; i < TEARS && from < new->wal.len; i++) {
        /* the whole of it is one of the cases */
        const size_t at = i == 0 ? new->wal.len : from + below(new->wal.len - from);
        file wal = tear(old, new, at);
        const uint32_t found = recover(folder, &old->db, &wal);

        if ((found != before && found != last) || (i == 0 && found != last)) {
            fail_msg("log cut at %zu of %zu..%zu: %u commits, %u were acknowledged", at, from,
                     new->wal.len, found, before);
        }
        free(wal.data);
    }
}

/* A checkpoint wrote the database: the log was durable before. */
static void check_torn_database(const char *folder, const disk *old, const disk *new,
                                const file *wal, uint32_t expected)
{
    for (unsigned i = 0; i < TEARS; i++) {
        file db = copy(&old->db, new->db.len > old->db.len ? new->db.len : old->db.len);
        for (size_t page = 0; page * PAGE < new->db.len; page++) {
            const size_t rest = new->db.len - page *PAGE;
            if (below(2) == 0) {
                memcpy(db.data + page * PAGE, new->db.data + page *PAGE, rest < PAGE ? rest : PAGE);
                db.len = db.len > page * PAGE + PAGE ? db.len : page * PAGE + PAGE;
            }
        }
        assert_int_equal(recover(folder, &db, wal), expected);
        free(db.data);
    }
}

typedef struct {
    const char *folder;
    disk now;
    unsigned restarts, checkpoints;
} history;

/* Something was committed: tears it, sometimes. before, after: commits that are there. */
static void look_on(history *h, bool look_closely, uint32_t before, uint32_t after)
{
    disk new = look(h->folder);
    const bool again = first_difference(&h->now.wal, &new.wal) < h->now.wal.len;
    const bool checkpoint = first_difference(&h->now.db, &new.db) < new.db.len;

    if (checkpoint) {
        check_torn_database(h->folder, &h->now, &new, &new.wal, after);
    } else if (look_closely || again) {
        check_torn_log(h->folder, &h->now, &new, before, after);
    }
    h->restarts += again ? 1 : 0;
    h->checkpoints += checkpoint ? 1 : 0;
    drop(&h->now);
    h->now = new;
}

static void fill_up(ks *s)
{
    static uint8_t filler[FILLER];
    tdsa_err err;

    (void)fill(NULL, filler, sizeof filler, &err);
    must(ks_meta_put(s, "filler", false, filler, sizeof filler, &err), &err);
}

/* What is put together below stands for the same file, though its number is another. */
static void forget_number(const char *path)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db, "DELETE FROM meta WHERE name = 'ks.identity'", NULL, NULL, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void a_torn_commit_is_there_or_not(void **state)
{
    /* in memory where there is such a place: what is torn is torn by hand */
    char in_memory[] = "/dev/shm/tdsa-torn-XXXXXX";
    char on_disk[] = "/tmp/tdsa-torn-XXXXXX";
    char *folder = mkdtemp(in_memory) != NULL ? in_memory : mkdtemp(on_disk);
    history h = {.folder = folder};
    char path[256];
    char command[300];
    ks *s = NULL;

    (void)state;
    assert_non_null(folder);
    (void)snprintf(path, sizeof path, "%s/store.db", folder);
    s = open_store(path, true);
    make_rows(s);
    forget_number(path);
    h.now = look(folder);
    for (uint32_t k = 0; k < COMMITS; k++) {
        fill_up(s);
        look_on(&h, k % 16 == 0, k, k);
        commit(s, k);
        look_on(&h, k % 8 == 0, k, k + 1);
    }
    assert_true(h.checkpoints > 0);
    assert_true(h.restarts > 1);
    ks_close(s); /* empties the log into the database */
    file last = load(path);
    const disk closed = {.db = last};
    check_torn_database(folder, &h.now, &closed, &h.now.wal, COMMITS);
    free(last.data);
    drop(&h.now);
    (void)snprintf(command, sizeof command, "rm -r '%s'", folder);
    assert_int_equal(system(command), 0); /* NOLINT: a folder of our own */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_torn_commit_is_there_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
