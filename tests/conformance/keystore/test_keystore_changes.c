#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ks_db.h"
#include "ks_fixture.h"

/* Which keys changed since a value of the change counter, on every backend. */

static bool on(const ks_fixture *f, const char *backend)
{
    return strcmp(f->variant->backend, backend) == 0;
}

static uint64_t counter(ks_fixture *f)
{
    uint64_t out = 0;

    OK(f, ks_change_counter(f->s, &out, &f->err));
    return out;
}

static bool note(void *ctx, const ks_key *k)
{
    tdsa_buf_appendf(ctx, "%s %u %d %s;", k->key_id, k->epoch, (int)k->state, k->label);
    return true;
}

/* The keys that changed since then are these, in any state. */
static void changed(ks_fixture *f, uint64_t since, const char *want)
{
    TDSA_SCOPED_BUF seen = TDSA_BUF_EMPTY;

    OK(f, ks_key_each_changed(f->s, since, note, &seen, &f->err));
    tdsa_buf_append_u8(&seen, 0);
    assert_string_equal((const char *)seen.data, want);
}

/* What happened since *since, which is then now. */
static void then(ks_fixture *f, uint64_t *since, const char *want)
{
    const uint64_t now = counter(f);

    assert_true(now > *since);
    changed(f, *since, want);
    changed(f, now, "");
    *since = now;
}

static void add_epoch(ks_fixture *f, const char *key_id, uint32_t epoch)
{
    ks_key k = {.epoch = epoch, .presignature_limit = -1};
    tdsa_secret *share = NULL;

    (void)snprintf(k.key_id, sizeof k.key_id, "%s", key_id);
    OK(f, tdsa_secret_copy(&share, (const uint8_t *)"next", 4, &f->err));
    OK(f, ks_key_add_epoch(f->s, &k, share, &f->err));
    tdsa_secret_free(share);
}

static void restore(ks_fixture *f, const char *key_id)
{
    ks_key k = {.epoch = 3, .presignature_limit = -1, .label = "back"};
    tdsa_secret *share = NULL;

    (void)snprintf(k.key_id, sizeof k.key_id, "%s", key_id);
    OK(f, tdsa_secret_copy(&share, (const uint8_t *)"old", 3, &f->err));
    OK(f, ks_key_restore(f->s, &k, share, &f->err));
    tdsa_secret_free(share);
}

static void order(ks_fixture *f, const char *key_id, uint64_t serial, ks_deletion_state state)
{
    ks_deletion d = {.serial = serial, .state = state, .members = 7};
    ks_deletion was;

    (void)snprintf(d.key_id, sizeof d.key_id, "%s", key_id);
    if (ks_deletion_get(f->s, key_id, &was, &f->err) == TDSA_OK) {
        OK(f, ks_deletion_put(f->s, &d, &was, &f->err));
    } else {
        OK(f, ks_deletion_put(f->s, &d, NULL, &f->err));
    }
}

static void every_kind_of_change_is_told(void **state)
{
    ks_fixture *f = *state;
    uint64_t at = counter(f);

    ks_fixture_active(f, "other", "share");
    at = counter(f);
    changed(f, at, "");
    ks_fixture_register(f, "k");
    then(f, &at, "k 0 1 label of k;");
    ks_fixture_store(f, "k", "share");
    then(f, &at, "k 0 2 label of k;");
    OK(f, ks_key_move(f->s, "k", 0, KS_KEY_PENDING, KS_KEY_REGISTERED, &f->err));
    then(f, &at, "k 0 1 label of k;");
    ks_fixture_store(f, "k", "share");
    OK(f, ks_key_move(f->s, "k", 0, KS_KEY_PENDING, KS_KEY_ACTIVE, &f->err));
    then(f, &at, "k 0 3 label of k;");
    OK(f, ks_key_set_attrs(f->s, "k", "new", (const uint8_t *)"a", 1, &f->err));
    then(f, &at, "k 0 3 new;");
    OK(f, ks_key_set_limit(f->s, "k", 7, &f->err));
    then(f, &at, "k 0 3 new;");
    add_epoch(f, "k", 1);
    then(f, &at, "k 0 3 new;");
    OK(f, ks_key_move(f->s, "k", 1, KS_KEY_PENDING, KS_KEY_ACTIVE, &f->err));
    then(f, &at, "k 1 3 new;");
    OK(f, ks_key_drop_epoch(f->s, "k", 0, &f->err));
    then(f, &at, "k 1 3 new;");
    order(f, "k", 1, KS_DELETION_SCHEDULED);
    then(f, &at, "k 1 6 new;");
    order(f, "k", 2, KS_DELETION_UNDOING);
    order(f, "k", 2, KS_DELETION_CANCELLED);
    then(f, &at, "k 1 3 new;");
    order(f, "k", 3, KS_DELETION_WIPED);
    then(f, &at, "k 1 4 ;");
    restore(f, "backup");
    then(f, &at, "backup 3 7 back;");
}

static void a_key_that_is_erased_is_told_as_deleted(void **state)
{
    ks_fixture *f = *state;
    uint64_t at = 0;

    ks_fixture_active(f, "k", "share");
    ks_fixture_register(f, "half");
    ks_fixture_active(f, "buried", "share");
    at = counter(f);
    OK(f, ks_key_delete(f->s, "k", false, &f->err));
    then(f, &at, "k 0 4 ;");
    OK(f, ks_key_drop_epoch(f->s, "half", 0, &f->err));
    then(f, &at, "half 0 4 ;");
    OK(f, ks_key_delete(f->s, "buried", true, &f->err));
    then(f, &at, "buried 0 4 ;");
    ks_fixture_register(f, "k"); /* it may come again */
    then(f, &at, "k 0 1 label of k;");
}

static void nothing_else_is_told(void **state)
{
    const ks_object o = {.id = {1}, .bytes = (const uint8_t *)"x", .len = 1};
    const uint8_t id[KS_OBJECT_ID_LEN] = {1};
    ks_fixture *f = *state;
    uint64_t at = 0;

    ks_fixture_active(f, "k", "share");
    at = counter(f);
    ks_fixture_batch(f, "k", 1, KS_BATCH_FREE, 1, 1, 64);
    OK(f, ks_burn(f->s, ks_fixture_beta(1), 0, 1, &f->err));
    EXPECT(f, TDSA_E_CONFLICT, ks_key_move(f->s, "k", 0, KS_KEY_PENDING, KS_KEY_ACTIVE, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_key_set_limit(f->s, "none", 1, &f->err));
    assert_int_equal(counter(f), at);
    OK(f, ks_object_put(f->s, &o, &f->err));
    then(f, &at, "");
    OK(f, ks_object_delete(f->s, id, &f->err));
    then(f, &at, "");
}

#define KEYS_MANY 50u /* more than one page */

typedef struct {
    unsigned next, until;
} walk;

static bool see(void *ctx, const ks_key *k)
{
    walk *w = ctx;
    char id[16];

    (void)snprintf(id, sizeof id, "k%u", w->next);
    assert_string_equal(k->key_id, id);
    w->next++;
    return w->next != w->until;
}

static void each_is_told_once_in_the_order_of_the_changes(void **state)
{
    ks_fixture *f = *state;
    const uint64_t start = counter(f);
    walk w = {0, 0};
    uint64_t at = 0;
    char id[16];

    for (unsigned i = 0; i < KEYS_MANY; i++) {
        (void)snprintf(id, sizeof id, "k%u", i == KEYS_MANY - 1 ? 0 : i + 1);
        ks_fixture_register(f, id);
        at = i == 9 ? counter(f) : at;
    }
    w.next = 11;
    w.until = KEYS_MANY;
    OK(f, ks_key_each_changed(f->s, at, see, &w, &f->err));
    assert_int_equal(w.next, KEYS_MANY);
    OK(f, ks_key_set_limit(f->s, "k0", 1, &f->err));
    for (unsigned i = 1; i < KEYS_MANY; i++) {
        (void)snprintf(id, sizeof id, "k%u", i);
        OK(f, ks_key_set_limit(f->s, id, 1, &f->err));
    }
    w = (walk){0, 0};
    OK(f, ks_key_each_changed(f->s, start, see, &w, &f->err));
    assert_int_equal(w.next, KEYS_MANY);
}

static void what_is_not_known_is_said(void **state)
{
    ks_fixture *f = *state;
    TDSA_SCOPED_BUF seen = TDSA_BUF_EMPTY;

    ks_fixture_register(f, "k");
    EXPECT(
        f, TDSA_E_CONFLICT,
        ks_key_each_changed(f->s, counter(f) + 1, note, &seen, &f->err)); /* of another database */
    EXPECT(f, TDSA_E_CONFLICT, ks_key_each_changed(f->s, UINT64_MAX, note, &seen, &f->err));
    assert_int_equal(seen.len, 0);
    changed(f, 0, "k 0 1 label of k;"); /* since ever */
}

static void of_a_database_that_was_brought_forward_the_past_is_not_known(void **state)
{
    ks_fixture *f = *state;
    TDSA_SCOPED_BUF seen = TDSA_BUF_EMPTY;
    uint64_t at = 0;

    if (!on(f, "sqlite") || f->variant->encryptor != KS_ENCRYPTOR_AESGCM) {
        return;
    }
    ks_fixture_copy_db(f, KS_SCHEMA1_DB);
    ks_fixture_reopen(f);
    at = counter(f);
    assert_true(at > 0);
    EXPECT(f, TDSA_E_CONFLICT, ks_key_each_changed(f->s, at - 1, note, &seen, &f->err));
    EXPECT(f, TDSA_E_CONFLICT, ks_key_each_changed(f->s, 0, note, &seen, &f->err));
    changed(f, at, "");
    OK(f, ks_key_set_limit(f->s, "k", 1, &f->err));
    then(f, &at, "k 0 3 label of k;");
}

static void another_process_is_told(void **state)
{
    ks_fixture *f = *state;
    ks *mine = f->s;
    ks *other = NULL;
    uint64_t at = 0;

    if (on(f, "memory")) {
        return;
    }
    OK(f, ks_open(&other, &f->cfg, &f->err));
    f->s = other;
    at = counter(f);
    f->s = mine;
    ks_fixture_register(f, "k");
    f->s = other;
    then(f, &at, "k 0 1 label of k;");
    f->s = mine;
    OK(f, ks_key_delete(f->s, "k", false, &f->err));
    f->s = other;
    then(f, &at, "k 0 4 ;");
    f->s = mine;
    ks_close(other);
}

/* ---- several processes at once ---- */

#define WRITERS 3
#define KEYS    6
#define ROUNDS  30

/* Keys come, change and go. */
static int write_keys(const ks_cfg *cfg, unsigned who)
{
    ks *s = NULL;
    tdsa_err err = {.text = ""};
    tdsa_status st = ks_open(&s, cfg, &err);
    ks_key k = {.presignature_limit = -1};
    char label[32];

    for (unsigned i = 0; st == TDSA_OK && i < ROUNDS; i++) {
        (void)snprintf(k.key_id, sizeof k.key_id, "k%u-%u", who, i * 5 % KEYS);
        (void)snprintf(label, sizeof label, "round %u", i);
        st = ks_key_set_attrs(s, k.key_id, label, (const uint8_t *)label, 1, &err);
        if (st == TDSA_E_NOT_FOUND) {
            st = ks_key_register(s, &k, &err);
        } else if (st == TDSA_OK && i % 4 == 3) {
            st = ks_key_delete(s, k.key_id, false, &err);
        }
    }
    if (st != TDSA_OK) {
        (void)fprintf(stderr, "writer %u: %s\n", who, err.text);
    }
    ks_close(s);
    return st == TDSA_OK ? 0 : 1;
}

/* What somebody knows who reads changes alone. */
typedef struct {
    char label[WRITERS][KEYS][KS_LABEL_MAX + 1];
    bool there[WRITERS][KEYS];
} known;

static bool learn(void *ctx, const ks_key *k)
{
    known *all = ctx;
    const unsigned who = (unsigned)(k->key_id[1] - '0');
    const unsigned which = (unsigned)(k->key_id[3] - '0');

    assert_true(who < WRITERS && which < KEYS);
    all->there[who][which] = k->state != KS_KEY_DELETED;
    memset(all->label[who][which], 0, sizeof all->label[who][which]);
    memcpy(all->label[who][which], k->label, strlen(k->label));
    return true;
}

static void whoever_follows_the_counter_knows_all(void **state)
{
    static known followed;
    static known read;
    ks_fixture *f = *state;
    uint64_t at = 0;
    uint64_t now = 0;
    pid_t child[WRITERS];
    unsigned left = WRITERS;
    int status = -1;

    if (on(f, "memory") || f->variant->encryptor == KS_ENCRYPTOR_PKCS11) {
        return;
    }
    memset(&followed, 0, sizeof followed);
    memset(&read, 0, sizeof read);
    f->cfg.busy_timeout_ms = 20000;
    ks_close(f->s);
    f->s = NULL;
    for (unsigned i = 0; i < WRITERS; i++) {
        child[i] = fork();
        assert_true(child[i] >= 0);
        if (child[i] == 0) {
            _exit(write_keys(&f->cfg, i));
        }
    }
    OK(f, ks_open(&f->s, &f->cfg, &f->err));
    for (bool last = false; !last;) {
        last = left == 0; /* one more time after the end of all */
        now = counter(f);
        OK(f, ks_key_each_changed(f->s, at, learn, &followed, &f->err));
        at = now;
        if (left > 0 && waitpid(child[left - 1], &status, WNOHANG) > 0) {
            assert_int_equal(status, 0);
            left--;
        }
    }
    OK(f, ks_key_each(f->s, NULL, SIZE_MAX, learn, &read, &f->err));
    for (unsigned i = 0; i < WRITERS; i++) {
        for (unsigned k = 0; k < KEYS; k++) {
            assert_int_equal(followed.there[i][k], read.there[i][k]);
            assert_string_equal(followed.label[i][k], read.label[i][k]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_change_is_told),
        cmocka_unit_test(a_key_that_is_erased_is_told_as_deleted),
        cmocka_unit_test(nothing_else_is_told),
        cmocka_unit_test(each_is_told_once_in_the_order_of_the_changes),
        cmocka_unit_test(what_is_not_known_is_said),
        cmocka_unit_test(of_a_database_that_was_brought_forward_the_past_is_not_known),
        cmocka_unit_test(another_process_is_told),
        cmocka_unit_test(whoever_follows_the_counter_knows_all),
    };

    return ks_fixture_run("changes", tests, sizeof tests / sizeof tests[0]);
}
