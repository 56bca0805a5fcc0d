#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ks_db.h"
#include "ks_fixture.h"
#include "support/softhsm.h"

/* Other wrappings of the data key; what is left when rows do not open or keys are gone. */

static const ks_variant clear = {"sqlite+none", "sqlite", KS_ENCRYPTOR_NONE};
static const ks_variant gcm = {"sqlite+aesgcm", "sqlite", KS_ENCRYPTOR_AESGCM};
static const ks_variant token = {"sqlite+pkcs11", "sqlite", KS_ENCRYPTOR_PKCS11};

#define PIN_VALUE "&pin-value=" KS_FIXTURE_PIN

static void shut(ks_fixture *f)
{
    ks_close(f->s);
    f->s = NULL;
}

static void refused(ks_fixture *f, tdsa_status want, const char *text)
{
    ks *s = NULL;

    EXPECT(f, want, ks_open(&s, &f->cfg, &f->err));
    if (strstr(f->err.text, text) == NULL) {
        fail_msg("no '%s' in '%s'", text, f->err.text);
    }
}

static void share_is_there(ks_fixture *f)
{
    tdsa_secret *share = NULL;

    OK(f, ks_key_open(f->s, "k", 0, &share, &f->err));
    assert_memory_equal(tdsa_secret_view(share), "the share", 9);
    tdsa_secret_free(share);
}

static const ks_object private = {
    .id = {1}, .sealed = true, .bytes = (const uint8_t *)"private", .len = 7};

static void fill(ks_fixture *f)
{
    ks_fixture_active(f, "k", "the share");
    ks_fixture_batch(f, "k", 1, KS_BATCH_FREE, 7, 1, 100);
    OK(f, ks_meta_put(f->s, "sealed", true, (const uint8_t *)"value", 6, &f->err));
    OK(f, ks_object_put(f->s, &private, &f->err));
}

static bool is_private(void *ctx, const ks_object *o)
{
    size_t *n = ctx;

    assert_true(o->sealed);
    assert_int_equal(o->len, private.len);
    assert_memory_equal(o->bytes, private.bytes, o->len);
    (*n)++;
    return true;
}

static void all_is_there(ks_fixture *f)
{
    TDSA_SCOPED_BUF value = TDSA_BUF_EMPTY;
    size_t objects = 0;
    ks_batch *b = NULL;

    share_is_there(f);
    OK(f, ks_batch_get(f->s, ks_fixture_beta(1), &b, &f->err));
    assert_int_equal(b->data_len, 100);
    ks_batch_free(b);
    OK(f, ks_meta_get(f->s, "sealed", true, &value, &f->err));
    assert_string_equal((const char *)value.data, "value");
    OK(f, ks_object_each(f->s, is_private, &objects, &f->err));
    assert_int_equal(objects, 1);
}

/* Changes to the encryptor of `next`, and opens with it. */
static void change_to(ks_fixture *f, const ks_cfg *next)
{
    ks_rotation r = {.rows_per_commit = 1};
    const ks_rewrapping w = {.cfg = next, .rotation = &r};
    const ks_cfg before = f->cfg;

    OK(f, ks_rewrap(f->s, &w, &f->err));
    all_is_there(f); /* the same store goes on */
    shut(f);
    refused(f, TDSA_E_WRAPPING,
            before.encryptor == KS_ENCRYPTOR_NONE ? "no encryption key" : "check value");
    f->cfg = *next;
    ks_fixture_reopen(f);
    all_is_there(f);
}

static void another_secret_text_wraps_the_same_rows(void **state)
{
    ks_fixture *f = *state;
    ks_cfg next = f->cfg;

    fill(f);
    next.encryption_key = "another secret text";
    change_to(f, &next);
    assert_int_equal(ks_db_number(f, "SELECT max(number) FROM data_key"), 1);
}

static void a_store_goes_from_clear_to_a_token_and_back_to_a_text(void **state)
{
    ks_fixture *f = *state;
    ks_cfg gcm_cfg = f->cfg;
    ks_cfg token_cfg = f->cfg;

    fill(f);
    gcm_cfg.encryptor = KS_ENCRYPTOR_AESGCM;
    change_to(f, &gcm_cfg);
    assert_int_equal(ks_db_number(f, "SELECT count(*) FROM data_key"), 1);
    assert_int_equal(ks_db_number(f, "SELECT number FROM data_key"), 1);
    assert_int_equal(
        ks_db_number(f, "SELECT count(*) FROM key WHERE substr(sealed, 1, 5) <> x'0200000001'"), 0);
    assert_int_equal(ks_db_number(f, "SELECT count(*) FROM batch_data"
                                     " WHERE substr(sealed, 1, 5) <> x'0200000001'"),
                     0);
    assert_int_equal(ks_db_number(f, "SELECT count(*) FROM meta WHERE name = 'sealed'"
                                     " AND substr(value, 1, 5) = x'0200000001'"),
                     1);
    assert_int_equal(softhsm_make(f->dir, "tok", KS_FIXTURE_PIN, "tdsa-wrap"), 0);
    ks_fixture_uri(f, "tok", "tdsa-wrap", PIN_VALUE);
    token_cfg.encryptor = KS_ENCRYPTOR_PKCS11;
    token_cfg.wrapping_uri = f->uri;
    change_to(f, &token_cfg);
    change_to(f, &gcm_cfg);
}

static void nothing_goes_back_to_clear(void **state)
{
    ks_fixture *f = *state;
    ks_cfg next = f->cfg;
    ks_rotation r = {0};
    const ks_rewrapping w = {.cfg = &next, .rotation = &r};

    fill(f);
    next.encryptor = KS_ENCRYPTOR_NONE;
    EXPECT(f, TDSA_E_BAD_INPUT, ks_rewrap(f->s, &w, &f->err));
    next.encryptor = KS_ENCRYPTOR_AESGCM;
    next.encryption_key = "";
    EXPECT(f, TDSA_E_CONFIG, ks_rewrap(f->s, &w, &f->err));
    all_is_there(f);
}

/* Sealing the rows of a clear store was stopped by a row that is damaged. */
static void half_sealed_rows_are_for_one_command_only(void **state)
{
    ks_fixture *f = *state;
    ks_cfg next = f->cfg;
    ks_rotation r = {0};
    const ks_rewrapping w = {.cfg = &next, .rotation = &r};
    ks_data_key_info info;

    fill(f);
    ks_fixture_active(f, "z", "damaged");
    ks_db_edit(f, "UPDATE key SET sealed = x'00112233' WHERE key_id = 'z'");
    next.encryptor = KS_ENCRYPTOR_AESGCM;
    EXPECT(f, TDSA_E_STORE, ks_rewrap(f->s, &w, &f->err));
    assert_non_null(strstr(f->err.text, "share of key z, epoch 0"));
    shut(f);
    refused(f, TDSA_E_WRAPPING, "run tdsa keystore change-encryptor again");
    f->cfg = next;
    refused(f, TDSA_E_WRAPPING, "run tdsa keystore change-encryptor again");
    f->cfg.takes_clear = true;
    ks_fixture_reopen(f);
    OK(f, ks_data_key_status(f->s, &info, &f->err));
    assert_true(info.rotating);
    assert_int_equal(info.number, 1);
    assert_int_equal(info.old_number, 0);
    assert_true(info.rows_left > 0);
    all_is_there(f);
    OK(f, ks_key_delete(f->s, "z", true, &f->err));
    OK(f, ks_rotate_data_key(f->s, &r, &f->err));
    assert_true(r.resumed);
    f->cfg.takes_clear = false;
    ks_fixture_reopen(f);
    all_is_there(f);
    /* a row in clear is no row any more */
    ks_db_edit(f, "UPDATE key SET sealed = x'00' || zeroblob(40) WHERE key_id = 'k'");
    EXPECT(f, TDSA_E_STORE, ks_key_open(f->s, "k", 0, &(tdsa_secret *){NULL}, &f->err));
}

/* ---- rows that do not open ---- */

static void a_share_that_does_not_open_keeps_the_old_key(void **state)
{
    ks_fixture *f = *state;
    ks_rotation r = {0};
    ks_data_key_info info;

    fill(f);
    ks_fixture_active(f, "z", "damaged");
    ks_db_edit(f, "UPDATE key SET public_part = x'00' WHERE key_id = 'z'");
    EXPECT(f, TDSA_E_STORE, ks_rotate_data_key(f->s, &r, &f->err));
    assert_non_null(strstr(f->err.text, "share of key z, epoch 0, does not open under data key 1"));
    OK(f, ks_data_key_status(f->s, &info, &f->err));
    assert_true(info.rotating && info.chained);
    assert_int_equal(info.number, 2);
    assert_int_equal(info.old_number, 1);
    all_is_there(f);
    ks_fixture_reopen(f);
    all_is_there(f);
    ks_db_edit(f, "UPDATE key SET public_part = (SELECT public_part FROM key WHERE key_id = 'k')"
                  " WHERE key_id = 'z'");
    OK(f, ks_rotate_data_key(f->s, &r, &f->err));
    assert_true(r.resumed);
    OK(f, ks_data_key_status(f->s, &info, &f->err));
    assert_false(info.rotating || info.chained);
    assert_int_equal(ks_db_number(f, "SELECT count(*) FROM data_key WHERE number = 1"), 0);
}

static void a_batch_that_does_not_open_is_emptied(void **state)
{
    ks_fixture *f = *state;
    ks_rotation r = {0};

    fill(f);
    ks_fixture_batch(f, "k", 2, KS_BATCH_FREE, 7, 2, 100);
    ks_db_edit(f, "UPDATE batch SET lane = 8 WHERE seq = 2");
    OK(f, ks_rotate_data_key(f->s, &r, &f->err));
    assert_int_equal(r.damaged, 1);
    assert_int_equal(ks_db_number(f, "SELECT count(*) FROM batch_data WHERE length(sealed) = 0"),
                     1);
    all_is_there(f);
}

static void a_row_whose_key_is_gone_says_so(void **state)
{
    ks_fixture *f = *state;
    ks_rotation r = {0};
    ks_stats before;
    ks_stats after;

    fill(f);
    ks_db_edit(f, "CREATE TABLE kept AS SELECT sealed FROM key WHERE key_id = 'k'");
    OK(f, ks_rotate_data_key(f->s, &r, &f->err));
    ks_db_edit(f, "UPDATE key SET sealed = (SELECT sealed FROM kept) WHERE key_id = 'k'");
    ks_get_stats(f->s, &before);
    EXPECT(f, TDSA_E_STORE, ks_key_open(f->s, "k", 0, &(tdsa_secret *){NULL}, &f->err));
    assert_non_null(strstr(f->err.text, "data key 1 is gone"));
    ks_get_stats(f->s, &after);
    assert_int_equal(before.rows_refused + 1, after.rows_refused); /* counted once */
    assert_int_equal(before.unwraps, after.unwraps);               /* nobody was asked */
}

static void too_many_data_keys_are_refused(void **state)
{
    ks_fixture *f = *state;

    fill(f);
    shut(f);
    ks_db_edit(f, "INSERT INTO data_key SELECT 2, 1, wrapped, NULL FROM data_key");
    refused(f, TDSA_E_STORE, "data keys of the database are damaged");
    ks_db_edit(f, "UPDATE data_key SET state = 2");
    refused(f, TDSA_E_STORE, "data keys of the database are damaged");
    ks_db_edit(f, "DELETE FROM data_key WHERE number = 2");
    refused(f, TDSA_E_STORE, "no current data key");
}

/* ---- a new key in the token ---- */

static void a_new_wrapping_key_takes_the_place_of_the_old_one(void **state)
{
    ks_fixture *f = *state;
    ks_new_wrapping_key w = {.destroy_old = false};
    ks_data_key_info info;
    ks_rotation r = {0};

    fill(f);
    OK(f, ks_data_key_status(f->s, &info, &f->err));
    OK(f, ks_rotate_wrapping_key(f->s, &w, &f->err));
    assert_string_equal(info.check_value, w.old_check_value);
    assert_string_not_equal(w.check_value, w.old_check_value);
    OK(f, ks_data_key_status(f->s, &info, &f->err));
    assert_string_equal(info.check_value, w.check_value);
    all_is_there(f);
    ks_fixture_reopen(f); /* found by its check value, beside the old one of the same name */
    all_is_there(f);
    OK(f, ks_rotate_data_key(f->s, &r,
                             &f->err)); /* the new data key is under the new wrapping key too */
    OK(f, ks_data_key_status(f->s, &info, &f->err));
    assert_string_equal(info.check_value, w.check_value);
    ks_fixture_reopen(f);
    all_is_there(f);
}

static void the_old_wrapping_key_is_destroyed_on_request(void **state)
{
    ks_fixture *f = *state;
    ks_new_wrapping_key w = {.destroy_old = true};

    fill(f);
    OK(f, ks_rotate_wrapping_key(f->s, &w, &f->err));
    ks_db_edit(f, "CREATE TABLE kept AS SELECT wrapped FROM data_key"); /* a copy of the database */
    ks_fixture_reopen(f);
    all_is_there(f);
    OK(f, ks_rotate_wrapping_key(f->s, &w, &f->err));
    ks_fixture_reopen(f);
    all_is_there(f);
    shut(f);
    ks_db_edit(f, "UPDATE data_key SET wrapped = (SELECT wrapped FROM kept)");
    refused(f, TDSA_E_WRAPPING, w.old_check_value);
}

static void only_a_token_makes_wrapping_keys(void **state)
{
    ks_fixture *f = *state;
    ks_new_wrapping_key w = {.destroy_old = true};

    EXPECT(f, TDSA_E_BAD_INPUT, ks_rotate_wrapping_key(f->s, &w, &f->err));
    assert_non_null(strstr(f->err.text, "change-encryptor"));
}

static struct CMUnitTest with(struct CMUnitTest test, const ks_variant *variant)
{
    test.setup_func = ks_fixture_setup;
    test.teardown_func = ks_fixture_teardown;
    test.initial_state = (void *)(uintptr_t)variant;
    return test;
}

#define ON(v, f) with((struct CMUnitTest)cmocka_unit_test(f), &(v))

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(gcm, another_secret_text_wraps_the_same_rows),
        ON(clear, a_store_goes_from_clear_to_a_token_and_back_to_a_text),
        ON(gcm, nothing_goes_back_to_clear),
        ON(token, nothing_goes_back_to_clear),
        ON(clear, half_sealed_rows_are_for_one_command_only),
        ON(gcm, a_share_that_does_not_open_keeps_the_old_key),
        ON(gcm, a_batch_that_does_not_open_is_emptied),
        ON(gcm, a_row_whose_key_is_gone_says_so),
        ON(gcm, too_many_data_keys_are_refused),
        ON(token, a_new_wrapping_key_takes_the_place_of_the_old_one),
        ON(token, the_old_wrapping_key_is_destroyed_on_request),
        ON(gcm, only_a_token_makes_wrapping_keys),
        ON(clear, only_a_token_makes_wrapping_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
