#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keystore/data_key.h"
#include "keystore/internal.h"
#include "ks_fixture.h"

/* A new data key, on every backend and encryptor. */

#define BATCHES 5u

static bool has_key(const ks_fixture *f)
{
    return f->variant->encryptor != KS_ENCRYPTOR_NONE;
}

#define OBJECTS 20u /* more than one page */

static void put_object(ks_fixture *f, uint8_t tag, bool sealed)
{
    uint8_t bytes[100];
    ks_object o = {.id = {tag}, .sealed = sealed, .created_ms = tag, .bytes = bytes};

    memset(bytes, tag, sizeof bytes);
    o.len = tag;
    OK(f, ks_object_put(f->s, &o, &f->err));
}

static bool see_object(void *ctx, const ks_object *o)
{
    uint8_t *next = ctx;

    assert_int_equal(o->id[0], *next);
    assert_int_equal(o->sealed, *next != 3);
    assert_int_equal(o->len, *next);
    for (size_t i = 0; i < o->len; i++) {
        assert_int_equal(o->bytes[i], *next);
    }
    (*next)++;
    return true;
}

/* Rows of every kind that is sealed. */
static void fill(ks_fixture *f)
{
    static const uint8_t text[] = "a sealed value";
    ks_key next = {.key_id = "k", .epoch = 1, .presignature_limit = -1};
    tdsa_secret *share = NULL;

    ks_fixture_active(f, "k", "the share");
    ks_fixture_register(f, "empty");
    ks_fixture_active(f, "other", "another share");
    OK(f, tdsa_secret_copy(&share, (const uint8_t *)"of epoch 1", 10, &f->err));
    OK(f, ks_key_add_epoch(f->s, &next, share, &f->err));
    tdsa_secret_free(share);
    for (uint8_t i = 1; i <= BATCHES; i++) {
        ks_fixture_batch(f, "k", i, KS_BATCH_FREE, 7, i, 100);
    }
    OK(f, ks_lease(f->s, ks_fixture_beta(1), 0, 10, &f->err));
    OK(f, ks_burn(f->s, ks_fixture_beta(2), 0, 0xf0, &f->err));
    OK(f, ks_batch_move(f->s, ks_fixture_beta(3), KS_BATCH_FREE, KS_BATCH_VOID, &f->err));
    for (uint8_t tag = 0; tag < OBJECTS; tag++) {
        put_object(f, tag, tag != 3);
    }
    OK(f, ks_meta_put(f->s, "sealed", true, text, sizeof text, &f->err));
    /* not sealed, and looks as if */
    OK(f, ks_meta_put(f->s, "plain", false, (const uint8_t *)"\x02\0\0\0\x01 plain", 12, &f->err));
}

static void share_is(ks_fixture *f, const char *key, uint32_t epoch, const char *text)
{
    tdsa_secret *share = NULL;

    OK(f, ks_key_open(f->s, key, epoch, &share, &f->err));
    assert_int_equal(tdsa_secret_len(share), strlen(text));
    assert_memory_equal(tdsa_secret_view(share), text, strlen(text));
    tdsa_secret_free(share);
}

static void all_is_there(ks_fixture *f)
{
    TDSA_SCOPED_BUF value = TDSA_BUF_EMPTY;
    uint8_t data[100];
    uint64_t count = 0;
    ks_batch *b = NULL;
    uint8_t next = 0;

    OK(f, ks_object_each(f->s, see_object, &next, &f->err));
    assert_int_equal(next, OBJECTS);
    share_is(f, "k", 0, "the share");
    share_is(f, "k", 1, "of epoch 1");
    share_is(f, "other", 0, "another share");
    for (uint8_t i = 1; i <= BATCHES; i++) {
        memset(data, i, sizeof data);
        OK(f, ks_batch_get(f->s, ks_fixture_beta(i), &b, &f->err));
        assert_int_equal(b->data_len, sizeof data);
        assert_memory_equal(b->data, data, sizeof data);
        assert_int_equal(b->state, i == 3 ? KS_BATCH_VOID : KS_BATCH_FREE);
        assert_int_equal(b->next, i == 1 ? 10 : 0);
        ks_batch_free(b);
    }
    OK(f, ks_batch_available(f->s, "k", NULL, &count, &f->err));
    assert_int_equal(count, 90 + 96 + 200);
    EXPECT(f, TDSA_E_CONFLICT, ks_burn(f->s, ks_fixture_beta(2), 0, 0x10, &f->err));
    OK(f, ks_meta_get(f->s, "sealed", true, &value, &f->err));
    assert_string_equal((const char *)value.data, "a sealed value");
    tdsa_buf_clear(&value);
    OK(f, ks_meta_get(f->s, "plain", false, &value, &f->err));
    assert_memory_equal(value.data, "\x02\0\0\0\x01 plain", 12);
}

/* Nothing but the current key, and every record under it. */
static void all_is_under(ks_fixture *f, uint32_t number)
{
    uint8_t head[KS_SEAL_HEAD_LEN];
    uint64_t left = 0;
    ks_stored_keys rows = {.count = 0};
    TDSA_SCOPED_BUF record = TDSA_BUF_EMPTY;
    ks_data_key_info info;

    ks_seal_head(head, number);
    OK(f, f->s->backend->ops->sealed_count(f->s->backend, head, &left, &f->err));
    assert_int_equal(left, 0);
    OK(f, f->s->backend->ops->meta_get(f->s->backend, "sealed", &record, &f->err));
    assert_memory_equal(record.data, head, sizeof head);
    OK(f, ks_stored_keys_read(f->s, &rows, &f->err));
    assert_int_equal(rows.count, 1);
    assert_int_equal(rows.row[0].chained.len, 0);
    ks_stored_keys_clear(&rows);
    OK(f, ks_data_key_status(f->s, &info, &f->err));
    assert_int_equal(info.number, number);
    assert_false(info.rotating);
    assert_false(info.chained);
}

static void reopen(ks_fixture *f)
{
    if (strcmp(f->variant->backend, "memory") != 0) {
        ks_fixture_reopen(f);
    }
}

typedef struct {
    uint64_t calls, done, total;
} progress;

static void note(void *ctx, uint64_t done, uint64_t total)
{
    progress *p = ctx;

    p->calls++;
    assert_true(done >= p->done && done <= total);
    p->done = done;
    p->total = total;
}

#define SEALED (3 + BATCHES + OBJECTS - 1) /* rows that are counted before they are sealed again */

static void every_row_is_sealed_under_the_new_key(void **state)
{
    ks_fixture *f = *state;
    progress p = {0, 0, 0};
    ks_rotation r = {.rows_per_commit = 2, .progress = note, .ctx = &p};

    fill(f);
    if (!has_key(f)) {
        EXPECT(f, TDSA_E_BAD_INPUT, ks_rotate_data_key(f->s, &r, &f->err));
        all_is_there(f);
        return;
    }
    for (uint32_t number = 2; number < 5; number++) {
        p = (progress){0, 0, 0};
        OK(f, ks_rotate_data_key(f->s, &r, &f->err));
        assert_false(r.resumed);
        assert_int_equal(r.number, number);
        assert_int_equal(r.rows, SEALED + 1);
        assert_int_equal(r.damaged, 0);
        assert_true(p.calls > 4 && p.done == SEALED && p.total == p.done);
        all_is_under(f, number);
        all_is_there(f);
        reopen(f);
        all_is_there(f);
    }
}

static void what_is_stored_later_is_under_the_new_key(void **state)
{
    ks_fixture *f = *state;
    ks_rotation r = {0};

    fill(f);
    if (has_key(f)) {
        OK(f, ks_rotate_data_key(f->s, &r, &f->err));
        ks_fixture_active(f, "later", "a later share");
        OK(f, ks_meta_put(f->s, "sealed", true, (const uint8_t *)"x", 2, &f->err));
        all_is_under(f, 2);
        reopen(f);
        share_is(f, "later", 0, "a later share");
    }
}

/* Bytes of it that nobody can open any more do not keep an old key alive. */
static void an_object_that_does_not_open_is_emptied(void **state)
{
    ks_fixture *f = *state;
    const ks_object_row row = {.id = (const uint8_t[KS_OBJECT_ID_LEN]){99},
                               .created_ms = 99,
                               .is_sealed = true,
                               .sealed = (const uint8_t *)"\x02\0\0\0\x01 nobody sealed this",
                               .sealed_len = 24};
    ks_rotation r = {0};
    ks_stats before;
    ks_stats after;

    fill(f);
    if (!has_key(f)) {
        return;
    }
    OK(f, f->s->backend->ops->object_put(f->s->backend, &row, &f->err));
    OK(f, ks_rotate_data_key(f->s, &r, &f->err));
    assert_int_equal(r.damaged, 1);
    all_is_under(f, 2);
    ks_get_stats(f->s, &before);
    all_is_there(f);
    ks_get_stats(f->s, &after);
    assert_int_equal(before.rows_refused, after.rows_refused);
    OK(f, ks_object_delete(f->s, row.id, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_object_delete(f->s, row.id, &f->err));
}

static void a_store_that_is_locked_is_not_rotated_without_a_pin(void **state)
{
    ks_fixture *f = *state;
    ks_rotation r = {.pin = KS_FIXTURE_PIN, .pin_len = strlen(KS_FIXTURE_PIN)};

    fill(f);
    if (f->variant->encryptor != KS_ENCRYPTOR_PKCS11) {
        return;
    }
    ks_close(f->s);
    f->s = NULL;
    ks_fixture_uri(f, "tok", "tdsa-wrap", "");
    f->cfg.unlock_at_open = false;
    OK(f, ks_open(&f->s, &f->cfg, &f->err));
    r.pin = NULL;
    EXPECT(f, TDSA_E_LOGIN, ks_rotate_data_key(f->s, &r, &f->err));
    r.pin = KS_FIXTURE_PIN;
    OK(f, ks_rotate_data_key(f->s, &r, &f->err));
    OK(f, ks_unlock(f->s, KS_FIXTURE_PIN, strlen(KS_FIXTURE_PIN), &f->err));
    all_is_under(f, 2);
    all_is_there(f);
}

/* ---- a second store on the database, as another process has it ---- */

static bool shared(const ks_fixture *f)
{
    return has_key(f) && strcmp(f->variant->backend, "memory") != 0;
}

/* Exchanges the two stores of the test. */
static void swap(ks_fixture *f, ks **other)
{
    ks *s = f->s;

    f->s = *other;
    *other = s;
}

typedef struct {
    ks_fixture *f;
    ks *other;
    bool done;
} visitor;

/* In the middle of a rotation: the other store reads what is done and what is not, and writes. */
static void visit(void *ctx, uint64_t done, uint64_t total)
{
    visitor *v = ctx;

    if (v->done || done == 0 || done == total) {
        return;
    }
    v->done = true;
    swap(v->f, &v->other);
    all_is_there(v->f);
    ks_fixture_active(v->f, "meanwhile", "a share of meanwhile");
    swap(v->f, &v->other);
    share_is(v->f, "meanwhile", 0, "a share of meanwhile");
}

static void another_process_follows_without_its_encryptor(void **state)
{
    ks_fixture *f = *state;
    visitor v = {f, NULL, false};
    ks_rotation r = {.rows_per_commit = 1, .progress = visit, .ctx = &v};
    ks_stats before;
    ks_stats after;

    fill(f);
    if (!shared(f)) {
        return;
    }
    OK(f, ks_open(&v.other, &f->cfg, &f->err));
    ks_get_stats(v.other, &before);
    OK(f, ks_rotate_data_key(f->s, &r, &f->err));
    assert_true(v.done);
    all_is_under(f, 2);
    swap(f, &v.other);
    all_is_there(f);
    share_is(f, "meanwhile", 0, "a share of meanwhile");
    ks_get_stats(f->s, &after);
    assert_int_equal(before.unwraps, after.unwraps);
    swap(f, &v.other);
    ks_close(v.other);
}

/* Rotations that come right after another process has read which keys there are. */
typedef struct {
    ks_fixture *f;
    ks *s; /* of the process that rotates */
    unsigned rotations;
} rotator;

static rotator *again; /* NULL: nobody rotates */

tdsa_status __real_ks_stored_keys_read(ks *s, ks_stored_keys *out, tdsa_err *err);
tdsa_status __wrap_ks_stored_keys_read(ks *s, ks_stored_keys *out, tdsa_err *err);

tdsa_status __wrap_ks_stored_keys_read(ks *s, ks_stored_keys *out, tdsa_err *err)
{
    const tdsa_status st = __real_ks_stored_keys_read(s, out, err);
    ks_rotation r = {0};

    if (again != NULL && s != again->s && again->rotations > 0) {
        again->rotations--;
        OK(again->f, ks_rotate_data_key(again->s, &r, &again->f->err));
    }
    return st;
}

static void a_rotation_after_the_one_that_is_followed_is_followed_too(void **state)
{
    ks_fixture *f = *state;
    rotator more = {f, f->s, 2};
    ks_rotation r = {0};
    ks *other = NULL;

    fill(f);
    if (!shared(f)) {
        return;
    }
    OK(f, ks_open(&other, &f->cfg, &f->err));
    OK(f, ks_rotate_data_key(f->s, &r, &f->err));
    swap(f, &other);
    again = &more;
    share_is(f, "k", 0, "the share");
    again = NULL;
    assert_int_equal(more.rotations, 0);
    swap(f, &other);
    ks_close(other);
    all_is_under(f, 4);
}

/* Nothing is there to follow by: the encryptor gives the new key. */
static void a_process_that_slept_asks_its_encryptor(void **state)
{
    ks_fixture *f = *state;
    ks_rotation r = {0};
    ks *other = NULL;
    ks_stats before;
    ks_stats after;

    fill(f);
    if (!shared(f)) {
        return;
    }
    OK(f, ks_open(&other, &f->cfg, &f->err));
    ks_get_stats(other, &before);
    OK(f, ks_rotate_data_key(f->s, &r, &f->err));
    OK(f, ks_rotate_data_key(f->s, &r, &f->err));
    swap(f, &other);
    all_is_there(f);
    ks_get_stats(f->s, &after);
    assert_int_equal(before.unwraps + 1, after.unwraps);
    ks_fixture_active(f, "later", "a later share");
    all_is_under(f, 3);
    swap(f, &other);
    ks_close(other);
}

/* A ping is enough to follow in time. */
static void an_idle_process_follows_at_its_health_check(void **state)
{
    ks_fixture *f = *state;
    ks_ring keys = {.takes_clear = false};
    ks_rotation r = {0};
    ks *other = NULL;
    ks_stats before;
    ks_stats after;

    fill(f);
    if (!shared(f)) {
        return;
    }
    OK(f, ks_open(&other, &f->cfg, &f->err));
    ks_get_stats(other, &before);
    { /* a rotation that was killed after its first step */
        const ks_encryptor_use use = {f->s->encryptor, NULL, 0};

        OK(f, ks_data_key_get(f->s, NULL, 0, &keys, &f->err));
        OK(f, ks_rotation_begin(f->s, &use, &keys, &f->err));
        ks_ring_clear(&keys);
    }
    OK(f, ks_ping(other, &f->err));
    OK(f, ks_rotate_data_key(f->s, &r, &f->err));
    assert_true(r.resumed);
    OK(f, ks_ping(other, &f->err));
    swap(f, &other);
    all_is_there(f);
    all_is_under(f, 2);
    ks_get_stats(f->s, &after);
    assert_int_equal(before.unwraps, after.unwraps);
    assert_null(f->s->ring.old.secret);
    swap(f, &other);
    ks_close(other);
}

/* What a process does that works on the store: sealed rows of each kind. Ends at end of file of `until`. */
static int work(const ks_cfg *cfg, int until, int ready)
{
    uint8_t beta[KS_BETA_LEN] = {0xaa};
    uint8_t data[200] = {1};
    ks_batch b = {.state = KS_BATCH_FREE, .lane = 99, .count = 64, .members = 7, .key_id = "k"};
    const ks_object o = {.id = {0xbb}, .sealed = true, .bytes = data, .len = sizeof data};
    TDSA_SCOPED_BUF value = TDSA_BUF_EMPTY;
    ks *s = NULL;
    tdsa_err err = {.text = ""};
    tdsa_status st = ks_open(&s, cfg, &err);
    char byte = 0;

    b.data = data;
    b.data_len = sizeof data;
    for (uint32_t i = 0; st == TDSA_OK && read(until, &byte, 1) < 0 && errno == EAGAIN; i++) {
        tdsa_secret *share = NULL;
        ks_batch *back = NULL;

        memcpy(beta + 1, &i, sizeof i);
        memcpy(b.beta, beta, sizeof beta);
        b.seq = i;
        st = ks_batch_insert(s, &b, &err);
        st = st == TDSA_OK ? ks_batch_get(s, beta, &back, &err) : st;
        ks_batch_free(back);
        st = st == TDSA_OK ? ks_object_put(s, &o, &err) : st;
        st = st == TDSA_OK ? ks_meta_put(s, "work", true, data, sizeof data, &err) : st;
        tdsa_buf_clear(&value);
        st = st == TDSA_OK ? ks_meta_get(s, "work", true, &value, &err) : st;
        st = st == TDSA_OK ? ks_key_open(s, "k", 0, &share, &err) : st;
        tdsa_secret_free(share);
        if (st == TDSA_OK && write(ready, "+", 1) != 1) {
            break;
        }
    }
    if (st != TDSA_OK) {
        (void)fprintf(stderr, "the other process: %s: %s\n", tdsa_status_name(st), err.text);
    }
    ks_close(s);
    return st == TDSA_OK ? 0 : 1;
}

static void a_process_that_writes_all_the_time_sees_no_error(void **state)
{
    ks_fixture *f = *state;
    ks_rotation r = {.rows_per_commit = 3};
    char bytes[256];
    int status = 0;
    int stop[2];
    int ready[2];
    pid_t pid;

    fill(f);
    if (!shared(f)) {
        return;
    }
    f->cfg.busy_timeout_ms = 20000;
    ks_close(f->s);
    f->s = NULL;
    assert_int_equal(pipe(stop), 0);
    assert_int_equal(pipe(ready), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(stop[1]);
        (void)fcntl(stop[0], F_SETFL, O_NONBLOCK);
        _exit(work(&f->cfg, stop[0], ready[1]));
    }
    (void)close(ready[1]);
    OK(f, ks_open(&f->s, &f->cfg, &f->err));
    for (uint32_t i = 0; i < 4; i++) {
        assert_true(read(ready[0], bytes, i == 0 ? 1 : sizeof bytes) >
                    0); /* it works between two */
        OK(f, ks_rotate_data_key(f->s, &r, &f->err));
        assert_int_equal(r.number, i + 2);
    }
    assert_true(read(ready[0], bytes, sizeof bytes) > 0);
    (void)close(stop[1]);
    while (read(ready[0], bytes, sizeof bytes) > 0) {
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    (void)close(stop[0]);
    (void)close(ready[0]);
    all_is_under(f, 5);
    share_is(f, "k", 0, "the share");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_sealed_under_the_new_key),
        cmocka_unit_test(what_is_stored_later_is_under_the_new_key),
        cmocka_unit_test(an_object_that_does_not_open_is_emptied),
        cmocka_unit_test(a_store_that_is_locked_is_not_rotated_without_a_pin),
        cmocka_unit_test(another_process_follows_without_its_encryptor),
        cmocka_unit_test(a_rotation_after_the_one_that_is_followed_is_followed_too),
        cmocka_unit_test(a_process_that_slept_asks_its_encryptor),
        cmocka_unit_test(an_idle_process_follows_at_its_health_check),
        cmocka_unit_test(a_process_that_writes_all_the_time_sees_no_error),
    };

    return ks_fixture_run("rotation", tests, sizeof tests / sizeof tests[0]);
}
