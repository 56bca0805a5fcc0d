#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ks_fixture.h"

static tdsa_status share_is(ks_fixture *f, const char *key_id, const char *share)
{
    tdsa_secret *got = NULL;
    tdsa_status st = ks_key_open(f->s, key_id, 0, &got, &f->err);

    if (st == TDSA_OK) {
        assert_int_equal(tdsa_secret_len(got), strlen(share));
        assert_memory_equal(tdsa_secret_view(got), share, strlen(share));
    } else {
        assert_null(got);
    }
    tdsa_secret_free(got);
    return st;
}

static ks_key *get(ks_fixture *f, const char *key_id)
{
    ks_key *k = NULL;

    OK(f, ks_key_get(f->s, key_id, &k, &f->err));
    return k;
}

static void a_registered_key_has_what_was_given(void **state)
{
    ks_fixture *f = *state;
    uint8_t attrs[] = {9, 0, 7};
    uint8_t early[] = {5, 6};
    ks_key in = {.epoch = 3, .created_ms = 1234567890123, .presignature_limit = 500};
    ks_key *k = NULL;

    (void)snprintf(in.key_id, sizeof in.key_id, "a.B_c-9");
    (void)snprintf(in.label, sizeof in.label, "Schl\xc3\xbcssel 'quoted'; --");
    in.attrs = attrs;
    in.attrs_len = sizeof attrs;
    in.public_part = early;
    in.public_len = sizeof early;
    OK(f, ks_key_register(f->s, &in, &f->err));
    k = get(f, "a.B_c-9");
    assert_string_equal(k->key_id, in.key_id);
    assert_string_equal(k->label, in.label);
    assert_int_equal(k->epoch, 3);
    assert_int_equal(k->state, KS_KEY_REGISTERED);
    assert_int_equal(k->created_ms, 1234567890123);
    assert_int_equal(k->presignature_limit, 500);
    assert_int_equal(k->attrs_len, sizeof attrs);
    assert_memory_equal(k->attrs, attrs, sizeof attrs);
    assert_int_equal(k->public_len, sizeof early);
    assert_memory_equal(k->public_part, early, sizeof early);
    ks_key_free(k);
}

static void a_key_id_is_registered_once(void **state)
{
    ks_fixture *f = *state;
    ks_key k = {.epoch = 1, .presignature_limit = -1};

    ks_fixture_register(f, "k");
    (void)snprintf(k.key_id, sizeof k.key_id, "k");
    EXPECT(f, TDSA_E_CONFLICT, ks_key_register(f->s, &k, &f->err));
    EXPECT(f, TDSA_E_CONFLICT, ks_key_register(f->s, &k, &f->err));
}

static void bad_key_ids_and_sizes_are_refused(void **state)
{
    static const char *const bad[] = {"", "a b", "a/b", "a'b", "\xc3\xbc", "a\n"};
    ks_fixture *f = *state;
    ks_key k = {.presignature_limit = -1};
    ks_key *got = NULL;
    uint8_t *big = calloc(1, KS_PUBLIC_MAX + 1);

    assert_non_null(big);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        (void)snprintf(k.key_id, sizeof k.key_id, "%s", bad[i]);
        EXPECT(f, TDSA_E_BAD_INPUT, ks_key_register(f->s, &k, &f->err));
        EXPECT(f, TDSA_E_BAD_INPUT, ks_key_get(f->s, bad[i], &got, &f->err));
    }
    EXPECT(f, TDSA_E_BAD_INPUT,
           ks_key_get(f->s, "12345678901234567890123456789012345678901234567890123456789012345",
                      &got, &f->err));
    (void)snprintf(k.key_id, sizeof k.key_id, "k");
    k.public_part = big;
    k.public_len = KS_PUBLIC_MAX + 1;
    EXPECT(f, TDSA_E_BAD_INPUT, ks_key_register(f->s, &k, &f->err));
    k.public_len = 0;
    k.attrs = big;
    k.attrs_len = KS_ATTRS_MAX + 1;
    EXPECT(f, TDSA_E_BAD_INPUT, ks_key_register(f->s, &k, &f->err));
    k.attrs_len = 0;
    k.presignature_limit = -2;
    EXPECT(f, TDSA_E_BAD_INPUT, ks_key_register(f->s, &k, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_key_get(f->s, "k", &got, &f->err));
    free(big);
}

static void a_stored_share_opens_again(void **state)
{
    ks_fixture *f = *state;
    ks_key *k = NULL;

    ks_fixture_register(f, "k");
    EXPECT(f, TDSA_E_NOT_FOUND, share_is(f, "k", "")); /* no share yet */
    ks_fixture_store(f, "k", "the share");
    k = get(f, "k");
    assert_int_equal(k->state, KS_KEY_PENDING);
    assert_int_equal(k->public_len, sizeof "public part");
    assert_string_equal(k->label, "label of k");
    ks_key_free(k);
    OK(f, share_is(f, "k", "the share"));
    OK(f, ks_key_move(f->s, "k", 0, KS_KEY_PENDING, KS_KEY_ACTIVE, &f->err));
    OK(f, share_is(f, "k", "the share"));
}

static void the_longest_share_is_stored(void **state)
{
    ks_fixture *f = *state;
    tdsa_secret *in = NULL;
    tdsa_secret *out = NULL;

    ks_fixture_register(f, "k");
    OK(f, tdsa_secret_new(&in, TDSA_SECRET_LEN_MAX, &f->err));
    memset(tdsa_secret_bytes(in), 0xa5, TDSA_SECRET_LEN_MAX);
    OK(f, ks_key_store(f->s, "k", 0, (const uint8_t *)"", 0, in, &f->err));
    OK(f, ks_key_open(f->s, "k", 0, &out, &f->err));
    assert_true(tdsa_secret_equal(in, out));
    tdsa_secret_free(in);
    tdsa_secret_free(out);
}

static void a_share_is_stored_once(void **state)
{
    ks_fixture *f = *state;
    const uint8_t other[] = "other";
    tdsa_secret *secret = NULL;

    ks_fixture_register(f, "k");
    ks_fixture_store(f, "k", "first");
    OK(f, tdsa_secret_copy(&secret, other, sizeof other, &f->err));
    EXPECT(f, TDSA_E_CONFLICT, ks_key_store(f->s, "k", 0, other, 5, secret, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_key_store(f->s, "k", 1, other, 5, secret, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_key_store(f->s, "x", 0, other, 5, secret, &f->err));
    OK(f, share_is(f, "k", "first"));
    tdsa_secret_free(secret);
}

static void states_move_forward_only(void **state)
{
    ks_fixture *f = *state;

    ks_fixture_register(f, "k");
    EXPECT(f, TDSA_E_CONFLICT, ks_key_move(f->s, "k", 0, KS_KEY_PENDING, KS_KEY_ACTIVE, &f->err));
    EXPECT(f, TDSA_E_BAD_INPUT,
           ks_key_move(f->s, "k", 0, KS_KEY_REGISTERED, KS_KEY_ACTIVE, &f->err));
    ks_fixture_store(f, "k", "share");
    EXPECT(f, TDSA_E_NOT_FOUND, ks_key_move(f->s, "k", 7, KS_KEY_PENDING, KS_KEY_ACTIVE, &f->err));
    OK(f, ks_key_move(f->s, "k", 0, KS_KEY_PENDING, KS_KEY_ACTIVE, &f->err));
    EXPECT(f, TDSA_E_CONFLICT, ks_key_move(f->s, "k", 0, KS_KEY_PENDING, KS_KEY_ACTIVE, &f->err));
    EXPECT(f, TDSA_E_BAD_INPUT, ks_key_move(f->s, "k", 0, KS_KEY_ACTIVE, KS_KEY_PENDING, &f->err));
    EXPECT(f, TDSA_E_CONFLICT,
           ks_key_move(f->s, "k", 0, KS_KEY_PENDING, KS_KEY_REGISTERED, &f->err));
}

static void an_abandoned_generation_loses_its_share(void **state)
{
    ks_fixture *f = *state;
    ks_key *k = NULL;

    ks_fixture_register(f, "k");
    ks_fixture_store(f, "k", "half made");
    OK(f, ks_key_move(f->s, "k", 0, KS_KEY_PENDING, KS_KEY_REGISTERED, &f->err));
    k = get(f, "k");
    assert_int_equal(k->state, KS_KEY_REGISTERED);
    assert_int_equal(k->public_len, 0);
    ks_key_free(k);
    EXPECT(f, TDSA_E_NOT_FOUND, share_is(f, "k", ""));
    ks_fixture_store(f, "k", "second try");
    OK(f, share_is(f, "k", "second try"));
}

static void attributes_and_limits_change(void **state)
{
    ks_fixture *f = *state;
    const uint8_t attrs[] = {4, 4};
    char long_label[KS_LABEL_MAX + 2];
    ks_key *k = NULL;

    ks_fixture_active(f, "k", "share");
    OK(f, ks_key_set_attrs(f->s, "k", "new", attrs, sizeof attrs, &f->err));
    OK(f, ks_key_set_limit(f->s, "k", 12, &f->err));
    k = get(f, "k");
    assert_string_equal(k->label, "new");
    assert_int_equal(k->attrs_len, 2);
    assert_int_equal(k->presignature_limit, 12);
    ks_key_free(k);
    OK(f, share_is(f, "k", "share"));
    memset(long_label, 'x', sizeof long_label - 1);
    long_label[sizeof long_label - 1] = '\0';
    EXPECT(f, TDSA_E_BAD_INPUT, ks_key_set_attrs(f->s, "k", long_label, attrs, 2, &f->err));
    EXPECT(f, TDSA_E_BAD_INPUT, ks_key_set_limit(f->s, "k", -2, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_key_set_attrs(f->s, "x", "new", attrs, 2, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_key_set_limit(f->s, "x", 1, &f->err));
}

typedef struct {
    char ids[100][KS_KEY_ID_MAX + 1];
    size_t count, stop_at;
    ks_fixture *f;
} seen;

static bool note(void *ctx, const ks_key *k)
{
    seen *s = ctx;
    ks_key *again = NULL;

    (void)snprintf(s->ids[s->count], sizeof s->ids[0], "%s", k->key_id);
    s->count++;
    OK(s->f, ks_key_get(s->f->s, k->key_id, &again, &s->f->err)); /* the store may be used */
    ks_key_free(again);
    return s->count != s->stop_at;
}

static void keys_are_listed_in_order_and_in_pages(void **state)
{
    ks_fixture *f = *state;
    seen s = {.f = f};
    char id[16];

    for (int i = 79; i >= 0; i--) {
        (void)snprintf(id, sizeof id, "k%02d", i);
        ks_fixture_register(f, id);
    }
    OK(f, ks_key_each(f->s, NULL, 100, note, &s, &f->err));
    assert_int_equal(s.count, 80);
    for (int i = 0; i < 80; i++) {
        (void)snprintf(id, sizeof id, "k%02d", i);
        assert_string_equal(s.ids[i], id);
    }
    s.count = 0;
    OK(f, ks_key_each(f->s, "k09", 5, note, &s, &f->err));
    assert_int_equal(s.count, 5);
    assert_string_equal(s.ids[0], "k10");
    s.count = 0;
    s.stop_at = 40;
    OK(f, ks_key_each(f->s, "k", 100, note, &s, &f->err));
    assert_int_equal(s.count, 40);
    s.count = 0;
    OK(f, ks_key_each(f->s, "k79", 100, note, &s, &f->err));
    OK(f, ks_key_each(f->s, NULL, 0, note, &s, &f->err));
    assert_int_equal(s.count, 0);
}

static void a_deleted_key_leaves_a_tombstone_or_nothing(void **state)
{
    ks_fixture *f = *state;
    ks_key *k = NULL;
    ks_batch *b = NULL;
    ks_key again = {.presignature_limit = -1};

    ks_fixture_active(f, "k", "share");
    ks_fixture_batch(f, "k", 1, KS_BATCH_FREE, 5, 1, 10);
    OK(f, ks_seq_raise(f->s, "k", 0, 5, 1, &f->err));
    OK(f, ks_key_delete(f->s, "k", true, &f->err));
    k = get(f, "k");
    assert_int_equal(k->state, KS_KEY_DELETED);
    assert_int_equal(k->public_len, 0);
    ks_key_free(k);
    EXPECT(f, TDSA_E_NOT_FOUND, share_is(f, "k", ""));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_batch_get(f->s, ks_fixture_beta(1), &b, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_burn(f->s, ks_fixture_beta(1), 0, 1, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_seq_raise(f->s, "k", 0, 5, 9, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_key_set_limit(f->s, "k", 1, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_key_move(f->s, "k", 0, KS_KEY_PENDING, KS_KEY_ACTIVE, &f->err));
    (void)snprintf(again.key_id, sizeof again.key_id, "k");
    EXPECT(f, TDSA_E_CONFLICT, ks_key_register(f->s, &again, &f->err));
    OK(f, ks_key_delete(f->s, "k", false, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_key_get(f->s, "k", &k, &f->err));
    EXPECT(f, TDSA_E_NOT_FOUND, ks_key_delete(f->s, "k", true, &f->err));
    OK(f, ks_key_register(f->s, &again, &f->err));
}

static void the_change_counter_moves_with_keys_only(void **state)
{
    ks_fixture *f = *state;
    uint64_t a = 0;
    uint64_t b = 0;

    OK(f, ks_change_counter(f->s, &a, &f->err));
    ks_fixture_register(f, "k");
    OK(f, ks_change_counter(f->s, &b, &f->err));
    assert_true(a != b);
    ks_fixture_store(f, "k", "share");
    OK(f, ks_change_counter(f->s, &a, &f->err));
    assert_true(a != b);
    ks_fixture_batch(f, "k", 1, KS_BATCH_FREE, 5, 1, 10);
    OK(f, ks_lease(f->s, ks_fixture_beta(1), 0, 1, &f->err));
    OK(f, ks_burn(f->s, ks_fixture_beta(1), 0, 1, &f->err));
    OK(f, ks_change_counter(f->s, &b, &f->err));
    assert_true(a == b);
    OK(f, ks_key_delete(f->s, "k", true, &f->err));
    OK(f, ks_change_counter(f->s, &b, &f->err));
    assert_true(a != b);
}

static void a_locked_store_shows_public_data_only(void **state)
{
    ks_fixture *f = *state;
    const uint8_t value[] = "v";
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;
    ks_batch *b = NULL;
    ks_batch fresh = {.state = KS_BATCH_FREE, .count = 1};
    ks_key *k = NULL;

    ks_fixture_active(f, "k", "share");
    ks_fixture_batch(f, "k", 1, KS_BATCH_FREE, 5, 1, 10);
    OK(f, ks_meta_put(f->s, "m", true, value, sizeof value, &f->err));
    assert_true(ks_is_unlocked(f->s));
    ks_lock(f->s);
    assert_false(ks_is_unlocked(f->s));
    k = get(f, "k");
    ks_key_free(k);
    EXPECT(f, TDSA_E_LOGIN, share_is(f, "k", ""));
    EXPECT(f, TDSA_E_LOGIN, ks_batch_get(f->s, ks_fixture_beta(1), &b, &f->err));
    (void)snprintf(fresh.key_id, sizeof fresh.key_id, "k");
    EXPECT(f, TDSA_E_LOGIN, ks_batch_insert(f->s, &fresh, &f->err));
    EXPECT(f, TDSA_E_LOGIN, ks_meta_get(f->s, "m", true, &out, &f->err));
    EXPECT(f, TDSA_E_LOGIN, ks_meta_put(f->s, "m", true, value, 1, &f->err));
    OK(f, ks_unlock(f->s, NULL, 0, &f->err));
    OK(f, share_is(f, "k", "share"));
    OK(f, ks_unlock(f->s, NULL, 0, &f->err));
    OK(f, share_is(f, "k", "share"));
}

static void named_values_are_kept(void **state)
{
    ks_fixture *f = *state;
    const uint8_t value[] = {0, 1, 2, 0xff};
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;

    for (int sealed = 0; sealed < 2; sealed++) {
        const char *name = sealed ? "sealed" : "clear";

        EXPECT(f, TDSA_E_NOT_FOUND, ks_meta_get(f->s, name, sealed, &out, &f->err));
        OK(f, ks_meta_put(f->s, name, sealed, value, sizeof value, &f->err));
        OK(f, ks_meta_put(f->s, name, sealed, value, sizeof value - 1, &f->err));
        OK(f, ks_meta_get(f->s, name, sealed, &out, &f->err));
        assert_int_equal(out.len, sizeof value - 1);
        assert_memory_equal(out.data, value, out.len);
        OK(f, ks_meta_put(f->s, name, sealed, value, 0, &f->err));
        tdsa_buf_reset(&out);
        OK(f, ks_meta_get(f->s, name, sealed, &out, &f->err));
        assert_int_equal(out.len, 0);
    }
    EXPECT(f, TDSA_E_STORE, ks_meta_get(f->s, "clear", true, &out, &f->err));
    EXPECT(f, TDSA_E_BAD_INPUT, ks_meta_put(f->s, "", false, value, 1, &f->err));
    EXPECT(f, TDSA_E_BAD_INPUT, ks_meta_put(f->s, "ks.data-key", false, value, 1, &f->err));
    EXPECT(f, TDSA_E_BAD_INPUT, ks_meta_get(f->s, "ks.data-key", false, &out, &f->err));
}

static void a_named_value_is_created_once(void **state)
{
    ks_fixture *f = *state;
    const uint8_t value[] = {1, 2};
    TDSA_SCOPED_BUF out = TDSA_BUF_EMPTY;

    for (int sealed = 0; sealed < 2; sealed++) {
        const char *name = sealed ? "sealed" : "clear";

        OK(f, ks_meta_create(f->s, name, sealed, value, sizeof value, &f->err));
        EXPECT(f, TDSA_E_CONFLICT, ks_meta_create(f->s, name, sealed, value, 1, &f->err));
        if (strcmp(f->cfg.backend, "memory") !=
            0) { /* which forgets everything when it is closed */
            ks_fixture_reopen(f);
        }
        EXPECT(f, TDSA_E_CONFLICT, ks_meta_create(f->s, name, sealed, value, 1, &f->err));
        tdsa_buf_reset(&out);
        OK(f, ks_meta_get(f->s, name, sealed, &out, &f->err));
        assert_int_equal(out.len, sizeof value);
    }
    EXPECT(f, TDSA_E_BAD_INPUT, ks_meta_create(f->s, "ks.mine", false, value, 1, &f->err));
    ks_lock(f->s);
    EXPECT(f, TDSA_E_LOGIN, ks_meta_create(f->s, "other", true, value, 1, &f->err));
}

static void starts_are_counted_and_commits_too(void **state)
{
    ks_fixture *f = *state;
    ks_stats stats;

    OK(f, ks_ping(f->s, &f->err));
    ks_get_stats(f->s, &stats);
    assert_int_equal(stats.start_counter, 1);
    assert_int_equal(stats.rows_refused, 0);
    assert_true(ks_lane(f->s) != 0);
    ks_fixture_active(f, "k", "share");
    const uint64_t before = stats.commits;
    ks_get_stats(f->s, &stats);
    assert_int_equal(stats.commits, before + 3);
    assert_int_equal(ks_needs_login(f->s), f->variant->encryptor == KS_ENCRYPTOR_PKCS11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_registered_key_has_what_was_given),
        cmocka_unit_test(a_key_id_is_registered_once),
        cmocka_unit_test(bad_key_ids_and_sizes_are_refused),
        cmocka_unit_test(a_stored_share_opens_again),
        cmocka_unit_test(the_longest_share_is_stored),
        cmocka_unit_test(a_share_is_stored_once),
        cmocka_unit_test(states_move_forward_only),
        cmocka_unit_test(an_abandoned_generation_loses_its_share),
        cmocka_unit_test(attributes_and_limits_change),
        cmocka_unit_test(keys_are_listed_in_order_and_in_pages),
        cmocka_unit_test(a_deleted_key_leaves_a_tombstone_or_nothing),
        cmocka_unit_test(the_change_counter_moves_with_keys_only),
        cmocka_unit_test(a_locked_store_shows_public_data_only),
        cmocka_unit_test(named_values_are_kept),
        cmocka_unit_test(a_named_value_is_created_once),
        cmocka_unit_test(starts_are_counted_and_commits_too),
    };

    return ks_fixture_run("keys", tests, sizeof tests / sizeof tests[0]);
}
